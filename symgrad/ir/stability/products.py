"""Logarithms of products, which leave the range of numbers before their logarithm does; x*log(y) at 0."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.ops import OPS
from symgrad.ir.product import product_of
from symgrad.ir.rules import Args, among
from symgrad.ir.signs import is_never_negative, is_positive
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.error_functions import is_in_range
from symgrad.ir.stability.patterns import MOST_FACTORS, factors_of
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SCALING = "Higham 2002, section 27.8"
_ENTROPY = "Cover & Thomas 2006, section 2.1"
_LARGE = 2**200  # a number beside which a product of one other leaves the range of numbers
# Their logarithms are no logarithms; nor are those of sums of exponentials.
_OWN = ("exp", "exp_of_sum", "logistic", "sech", "cosh", "sinh", "expm1", "pow", "share", "share_of_others")
_SHARES = ("logistic", "share", "share_of_others")
_OF_SUMS = ("logaddexp", "softplus")


@dataclass
class _Quotient:
    """number * above / below."""

    number: int
    above: list[int]
    below: list[int]


def _quotient(g: Graph, node: int) -> _Quotient | None:
    """The factors of a product or quotient, numbers and sizes together; None for more than a few."""
    parts = product_of(g, node, MOST_FACTORS)
    if parts is None:
        return None
    found = _Quotient(g.const(parts.number), [], [])
    for n in parts.above:
        if g.op[n] in ("const", "cast"):
            found.number = g.mul(found.number, n)
        else:
            found.above.append(n)
    for n in parts.below:
        if g.op[n] in ("const", "cast"):
            found.number = g.div(found.number, n)
        else:
            found.below.append(n)
    return found


@stable(
    "log",
    "a product overflows, underflows, and loses digits to underflow, before its logarithm does",
    Audit(
        "log(x*y)", "log_product(x, y)",
        "two or more factors and divisors; log(x/y) counts, one factor beside numbers does not", _SCALING,
        at_pairs((1e200, 1e200), (3e-200, 2e-200), (1e-310, 0.25), (1 + 2.0**-40, 1.0), (2.0, 0.3)),
    ),
    on=among("mul", "div", "abs"),
)  # fmt: skip
def log_of_product(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] not in ("mul", "div", "abs"):
        return None
    is_modulus = g.op[a[0]] == "abs"
    parts = _quotient(g, g.args[a[0]][0] if is_modulus else a[0])
    if parts is not None and is_modulus:
        parts.number = g.node("abs", parts.number)
        parts.above, parts.below = ([g.node("abs", n) for n in part] for part in (parts.above, parts.below))
    count = 0 if parts is None else len(parts.above) + len(parts.below)
    if parts is None or count == 0:
        return None
    if count > 2 or any(_has_own_logarithm(g, n) for n in (*parts.above, *parts.below)):
        total = _sum_of_logarithms(g, parts)
        return total if _is_of_shares(g, parts) else g.node("log_in_range", a[0], total, total)
    q = g.rational(parts.number)
    if count == 1:
        if q is None or 1 / _LARGE < abs(Fraction(q)) < _LARGE:
            return None
        above, below = [*parts.above, parts.number], parts.below
        return g.node("log_product", *above) if not below else g.node("log_quotient", parts.number, *below)
    if len(parts.above) == 2:
        return g.node("log_product", g.mul(parts.number, parts.above[0]), parts.above[1])
    if not parts.above:
        return g.neg(g.node("log_product", g.div(parts.below[0], parts.number), parts.below[1]))
    return g.node("log_quotient", parts.above[0], g.div(parts.below[0], parts.number))


def _has_own_logarithm(g: Graph, n: int) -> bool:
    if g.op[n] == "add":
        return g.op[g.node("log", n)] in _OF_SUMS
    is_product = g.op[n] == "read" and g.tensors[g.args[n][0]].kind == "prod"
    return g.op[n] in _OWN or is_product or is_in_range(g, n)


def _is_of_shares(g: Graph, parts: _Quotient) -> bool:
    """Whether no factor is above 1: the product is rounded there, the sum of logarithms has one sign."""
    return parts.number == g.one and not parts.below and all(g.op[n] in _SHARES for n in parts.above)


def _sum_of_logarithms(g: Graph, parts: _Quotient) -> int:
    """log|number| + ...; nan and -inf where the logarithm of the product is."""
    total = g.zero if parts.number == g.one else g.node("log_abs", parts.number)
    for factor in parts.above:
        total = g.add(total, _logarithm(g, factor))
    for factor in parts.below:
        total = g.sub(total, _logarithm(g, factor))
    return total


def _logarithm(g: Graph, factor: int) -> int:
    if g.op[factor] == "pow":
        base, exponent = g.args[factor]
        return g.node("xlogy", exponent, g.node("abs", base))
    if g.op[factor] == "sinh":
        return g.node("log", g.node("sinh", g.node("abs", g.args[factor][0])))
    made = g.node("log", factor) if _has_own_logarithm(g, factor) else factor
    return g.node("log_abs", factor) if g.op[made] == "log" or made == factor else made


@stable(
    "log",
    "a product over an axis overflows and underflows long before its logarithm does",
    Audit(
        "log(Product(v[i], (i, 0, n - 1)))", "log_in_range(product, sum(log|v|))",
        "the sum where the product is out of range, and for all derivatives", _SCALING,
        ({"v": (1e200, 1e200, 3.0)}, {"v": (1e-200, -1e-200, -3.0)}, {"v": (0.5, 1.25, 2.0)}),
    ),
    on=among("read", "abs"),
)  # fmt: skip
def log_of_long_product(g: Graph, a: Args) -> int | None:
    read = g.args[a[0]][0] if g.op[a[0]] == "abs" else a[0]
    if g.op[read] != "read" or g.tensors[g.args[read][0]].kind != "prod":
        return None
    needed = g.node("or", g.node("out_of_range", g.node("abs", a[0])), g.node("ne", a[0], a[0]))
    from_here = _sum_over_axes(g, read, needed, expanded=True)
    return g.node("log_in_range", a[0], from_here, _sum_over_axes(g, read, g.true, expanded=False))


def _sum_over_axes(g: Graph, read: int, condition: int, expanded: bool) -> int:
    """The logarithms of what is multiplied, added up under a condition.

    expanded  in plain operations: what only derivatives have is not computed for the value as well.
    """
    tensor = g.tensors[g.args[read][0]]
    red = {r: g.fresh_axis(g.extent(r)) for r in tensor.red}
    places = dict(zip(tensor.out, g.args[read][1:], strict=True))
    body = _logarithm(g, g.substitute(tensor.body, {**red, **places}))
    expand = OPS[g.op[body]].expand if g.op[body] in ("log_abs", "xlogy") and expanded else None
    body = g.mask(condition, body if expand is None else expand(g, g.args[body]))
    axes = tuple(red.values())
    out = g.first_occurrence(body, g.axes[body] - frozenset(axes))
    return g.read(g.define("sum", out, axes, body), *out)


@stable(
    "log",
    "a power overflows, underflows, and is rounded near 1, before its logarithm",
    Audit("log(x**y)", "xlogy(y, x)", "where x is not negative and y not 0",
          "Higham 2002, section 1.14",
          at_pairs((1e200, 2.5), (1e-200, 3.5), (1 + 2.0**-40, 3.0), (2.0, 1e5), (2.0, 0.5))),
    on=among("pow"),
)  # fmt: skip
def log_of_general_power(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "pow":
        return None
    base, exponent = g.args[a[0]]
    q = g.rational(exponent)
    if q is not None:
        return g.mul(exponent, g.node("log", base)) if q.denominator % 2 == 0 else None
    is_plain = g.node("or", g.node("lt", base, g.zero), g.node("eq", exponent, g.zero))
    plain = g.node("log_product", a[0], g.one)  # an op that no rule looks at
    return g.where(is_plain, plain, g.node("xlogy", exponent, base))


# ---- numbers times logarithms ------------------------------------------------------------------


@stable(
    "mul",
    "x*log(x/y) is nan at x = 0, where its limit is 0",
    Audit("x*log(x/y)", "relative_entropy(x, y)", "a factor that is divided, or divides, under the logarithm",
          "Cover & Thomas 2006, section 2.3",
          at_pairs((0.25, 0.5), (1e-310, 0.5), (1e-200, 1e200), (3.0, 3.0))),
    on=among("log_quotient"),
)  # fmt: skip
def product_with_own_log_quotient(g: Graph, a: Args) -> int | None:
    for log, other in (a, a[::-1]):
        if g.op[log] != "log_quotient":
            continue
        (x, y), factors = g.args[log], factors_of(g, other)
        for own, made in ((x, (x, y)), (y, (y, x))):
            if own in factors and g.op[own] != "const":
                factors.remove(own)
                result = g.node("relative_entropy", *made)
                for factor in factors:
                    result = g.mul(factor, result)
                return result if own == x else g.neg(result)
    return None


_LOGARITHMS = {"log": "xlogy", "log1p": "xlog1py"}


@stable(
    "mul",
    "0*log(0) is nan, and 0 as a term of a cross-entropy",
    Audit("x*log(y)", "xlogy(x, y)",
          "a number and a logarithm over the same axes, that may be of 0; x*log(1 + y) counts", _ENTROPY,
          at_pairs((0.0, 0.0), (0.25, 0.5), (3.0, 1 + 2.0**-40), (-2.0, 1e300)), is_limit=True),
    on=among(*_LOGARITHMS),
)  # fmt: skip
def number_times_log(g: Graph, a: Args) -> int | None:
    for log, other in (a, a[::-1]):
        if g.op[log] not in _LOGARITHMS or g.kind[other] != "real" or g.axes[log] != g.axes[other]:
            continue
        y = g.args[log][0]
        if (
            g.op[y] == "const"
            or g.op[other] == "mask"
            or (is_positive(g, y) if g.op[log] == "log" else is_never_negative(g, y))  # 0 for no product
            or any(g.op[f] in ("const", *_LOGARITHMS) for f in factors_of(g, other))
        ):
            continue
        return g.node(_LOGARITHMS[g.op[log]], other, y)
    return None
