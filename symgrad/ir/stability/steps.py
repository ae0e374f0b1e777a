"""Differences of one function at two arguments, and such differences over that of the arguments.

    cos(x + h) - cos(x), log(x + y) - log(x)      by what the arguments differ in, h and y
    (exp(x) - exp(y))/(x - y)                     the divided difference, regular at x = y

The rows are in `differences.py`. Of arguments that have no term in common, a difference loses no more than
an error of the last place of one argument does, but where both are small (exp and cos, which are not 0 at 0)
or where the function saturates (atan, tanh, the logistic function): others are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.composites.difference_families import NAMES
from symgrad.ir.composites.differences import (
    FAMILIES,
    difference_node,
    log_of_near_quotient,
    log_slope_of_quotient,
    slope_node,
)
from symgrad.ir.composites.power_differences import power_slope
from symgrad.ir.rules import MULTIPLE, Args, all_among, among, equal
from symgrad.ir.series.probe import CONSTANT, variable_of
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import (
    ODD,
    PRODUCTS,
    common_terms,
    difference_of,
    factors_of,
    multiple_of,
    numbered,
    quotient_of,
    remove,
    signed_factors,
    without,
)
from symgrad.ir.stability.power_steps import powers_of_one_kind

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_CONJUGATE = "Higham 2002, sections 1.7, 1.8 and 1.14"
_DIVIDED = "McCurdy, Ng & Parlett 1984"
_ALONE = frozenset(
    ("exp", "cos", "cosh", "atan", "acos", "logistic", "tanh", "softplus", "erf", "erfc")
)  # also of arguments with nothing in common
_BOUNDED = frozenset(
    ("exp", "cos", "sin", "tan", "sinh", "cosh", "softplus")
)  # a step that is no small number is none to them
_AS_PRODUCTS = ("logistic", "tanh")  # of any two arguments; both may saturate
_VIA = {  # op: (family, what its difference is multiplied by, what the arguments are)
    "tanh": ("logistic", 2, 2),  # 2*logistic(2*x) - 1
    "acos": ("asin", -1, 1),
    "erfc": ("erf", -1, 1),
}
FUNCTIONS = frozenset((*FAMILIES, *_VIA)) - {"reciprocal", "reciprocal_root"}
_INNER = ("mul", "div", "neg", "add", "sub", "hypot")
_SUMS = ("add", "sub")
_STEPS = NAMES | {"pow_difference"}
_LEAST_STEP = 0.25
_DEEPEST = 4
_DEPTH: ContextVar[int] = ContextVar("how many functions deep a difference is looked for", default=0)
Parts = tuple[int, int, int]  # c, u and v


_LOGARITHMS = ("log", "log1p")


def _may_be_alike(ops: Sequence[str]) -> bool:
    if ops[0] != ops[1]:
        return sorted(ops) == ["log", "log1p"]
    return ops[0] in FUNCTIONS or ops[0] in ("mul", "div")


@stable(
    "sub",
    "f(c + u) - f(c + v) cancels where u and v are small beside c, or near each other",
    Audit(
        "cos(x + y) - cos(x)", "cos_difference(x, y, 0)",
        "exp, cos, cosh, atan, acos, tanh, logistic, softplus and erf; others with a term in common; "
        "equal factors",
        _CONJUGATE,
        at_pairs((1.0, 1e-12), (0.5, 1e-3), (1e-9, 2e-9), (2.0, 5.0)),
    ),
    on=_may_be_alike,
    needs=(*FUNCTIONS, "div"),
)  # fmt: skip
def difference_of_one_function(g: Graph, a: Args) -> int | None:
    op = g.op[a[0]]
    if op != g.op[a[1]]:
        return _of_logarithms(g, a)
    if op == "mul":
        return _with_common_factor(g, *a)
    if op == "div":
        (k, x), (m, y) = g.args[a[0]], g.args[a[1]]
        return _reciprocals(g, k, x, y) if k == m else None
    return _difference(g, op, g.args[a[0]][0], g.args[a[1]][0]) if op in FUNCTIONS else None


@stable(
    "add",
    "2*f(x + h) + (-2)*f(x) is twice a difference",
    Audit("2*cos(x + y) - 2*cos(x)", "2*cos_difference(x, y, 0)", "factors that are opposite numbers",
          _CONJUGATE,
          at_pairs((1.0, 1e-12), (0.5, 1e-3), (1e-9, 2e-9), (2.0, 5.0))),
    on=equal,
    needs=(*FUNCTIONS, "div"),
    of=all_among(MULTIPLE, "div"),
)  # fmt: skip
def sum_with_opposite_factors(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != g.op[a[1]] or g.op[a[0]] not in ("mul", "div"):
        return None
    (p, x), (q, y) = g.args[a[0]], g.args[a[1]]
    if g.op[p] != "const" or g.op[q] != "const":
        return None
    first, second = g.rational(p), g.rational(q)
    if first is None or second is None or first + second:
        return None
    if g.op[a[0]] == "div":
        return _reciprocals(g, p, x, y)
    if g.op[x] not in FUNCTIONS or g.op[x] != g.op[y]:
        return None
    made = _difference(g, g.op[x], g.args[x][0], g.args[y][0])
    return None if made is None else g.mul(p, made)


@stable(
    "add",
    "f(h + x) + f(h - x) of an odd function is f(x + h) - f(x - h)",
    Audit("sin(y + x) + sin(y - x)", "sin_difference(x, y, -y)",
          "sin, tan, sinh, tanh and their inverses, erf; opposite terms", _CONJUGATE,
          at_pairs((1.0, 1e-12), (0.5, 1e-3), (3.0, 2e-9), (0.25, 0.5))),
    on=lambda ops: ops[0] in ODD and ops[0] == ops[1],
    needs=tuple(ODD),
)  # fmt: skip
def sum_of_odd_function(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] not in ODD or g.op[a[0]] != g.op[a[1]]:
        return None
    x, y = (g.args[part][0] for part in a)
    opposite = g.neg(y)
    return None if common_terms(g, x, opposite) is None else _difference(g, g.op[a[0]], x, opposite)


def _of_logarithms(g: Graph, a: Args) -> int | None:
    """log(1 + x + y) - log1p(x)."""
    if any(g.op[part] not in _LOGARITHMS for part in a):
        return None
    inside = [g.args[part][0] for part in a]
    whole = [g.add(g.one, x) if g.op[part] == "log1p" else x for part, x in zip(a, inside, strict=True)]
    parts = common_terms(g, *whole)
    return None if parts is None or parts[0] == g.one else difference_node(g, "log", *parts)


def _with_common_factor(g: Graph, a: int, b: int) -> int | None:
    """k*f(x) - k*f(y)."""
    (p, q), (r, s) = g.args[a], g.args[b]
    if p != r and p != s and q != r and q != s:  # as of most products
        return None
    for k, m, x, y in ((p, r, q, s), (p, s, q, r), (q, r, p, s), (q, s, p, r)):
        if k == m and g.op[x] == g.op[y] and g.op[x] in FUNCTIONS:
            made = _difference(g, g.op[x], g.args[x][0], g.args[y][0])
            return None if made is None else g.mul(k, made)
    return None


def _reciprocals(g: Graph, k: int, x: int, y: int) -> int | None:
    """k/x - k/y, for roots x and y too."""
    is_root = g.op[x] == g.op[y] == "sqrt"
    parts = common_terms(g, *(g.args[n][0] if is_root else n for n in (x, y)))
    if parts is None:
        return None
    return g.mul(k, difference_node(g, "reciprocal_root" if is_root else "reciprocal", *parts))


def _difference(g: Graph, op: str, x: int, y: int) -> int | None:
    parts = common_terms(g, x, y) or _by_inner_difference(g, x, y)
    if parts is not None and op in _BOUNDED and _is_large_step(g, *parts[1:]):
        return None
    if parts is None and op not in _AS_PRODUCTS and (op not in _ALONE or _is_of_one_value(g, x, y)):
        return None
    return _difference_by_parts(g, op, parts or (g.zero, x, y))


def _by_inner_difference(g: Graph, x: int, y: int) -> Parts | None:
    """(y, x - y, 0) where x - y is a difference of one function itself: exp(-(x + h)^2) - exp(-x^2).

    A few functions deep: nothing recurses over a user's expression.
    """
    op, depth = g.op[x], _DEPTH.get()
    if op != g.op[y] or depth == _DEEPEST or (op not in _INNER and op not in FUNCTIONS):
        return None
    deeper = _DEPTH.set(depth + 1)
    try:
        step = g.sub(x, y)
    finally:
        _DEPTH.reset(deeper)
    return (y, step, g.zero) if any(g.op[f] in _STEPS for f in factors_of(g, step)) else None


def _difference_by_parts(g: Graph, op: str, parts: Parts) -> int:
    family, times, scale = _VIA.get(op, (op, 1, 1))
    return g.mul(g.const(times), difference_node(g, family, *_scaled(g, parts, scale)))


def _scaled(g: Graph, parts: Parts, scale: int) -> Parts:
    c, u, v = parts
    by = g.const(scale)
    return g.mul(by, c), g.mul(by, u), g.mul(by, v)


def _is_large_step(g: Graph, u: int, v: int) -> bool:
    step = g.rational(g.sub(u, v))
    return step is not None and abs(step) >= _LEAST_STEP


def _is_of_one_value(g: Graph, x: int, y: int) -> bool:
    """Formulas of one value, or constants: `ir.series.removable` looks after these."""
    first, second = variable_of(g, x), variable_of(g, y)
    return first == second or CONSTANT in (first, second)


@stable(
    "log",
    "a difference of logistic functions underflows before its logarithm does, as of ordinal regression",
    Audit("log(1/(1 + exp(-x)) - 1/(1 + exp(-y)))", "log1mexp(y - x) - softplus(-x) - softplus(y)",
          "multiples by positive numbers; differences of tanh", _CONJUGATE,
          at_pairs((800.0, 790.0), (1.0, 1 - 1e-9), (-20.0, -40.0), (0.5, -3.0))),
    on=among("logistic_difference", "mul"),
    needs=("logistic_difference",),
)  # fmt: skip
def log_of_logistic_difference(g: Graph, a: Args) -> int | None:
    number, difference = numbered(g, a[0])
    if g.op[difference] != "logistic_difference":
        return None
    c, u, v = g.args[difference]
    if number < 0:
        u, v = v, u
    far = g.add(g.node("softplus", g.neg(g.add(c, u))), g.node("softplus", g.add(c, v)))
    log = g.sub(g.node("log1mexp", g.sub(v, u)), far)
    return g.add(g.node("log", g.const(abs(number))), log)


@stable(
    "log_quotient",
    "log((x + y)/x) cancels where y is small beside x",
    Audit("log((x + y)/x)", "log1p(y/x)", "a term in common above and below, and neither is much larger",
          _CONJUGATE, at_pairs((1.0, 1e-12), (3.0, 1e-5), (-2.0, 1e-9), (0.5, 3.0))),
    on=among("add", "sub"),
)  # fmt: skip
def log_of_nearly_equal(g: Graph, a: Args) -> int | None:
    parts = common_terms(g, *a)
    return None if parts is None else log_of_near_quotient(g, *parts)


@stable(
    "div",
    "(exp(x) - exp(y))/(exp(x) + exp(y)) is 0/0 or infinity over infinity out of range",
    Audit("(exp(x) - exp(y))/(exp(x) + exp(y))", "tanh((x - y)/2)", "the same exponentials", _CONJUGATE,
          at_pairs((800.0, 801.0), (-800.0, -800.5), (1.0, 1 + 1e-9), (0.5, -3.0))),
    on=lambda ops: ops[1] == "add" and ops[0] in ("exp_difference", *PRODUCTS),
    needs=("exp_difference",),
)  # fmt: skip
def difference_over_sum_of_exponentials(g: Graph, a: Args) -> int | None:
    if g.op[a[1]] != "add" or any(g.op[part] != "exp" for part in g.args[a[1]]):
        return None
    exponents = {g.args[part][0] for part in g.args[a[1]]}
    above = factors_of(g, a[0])
    for place, factor in enumerate(above):
        if g.op[factor] == "exp_difference":
            c, u, v = g.args[factor]
            if exponents == {g.add(c, u), g.add(c, v)}:
                made = g.node("tanh", g.mul(g.const(Fraction(1, 2)), g.sub(u, v)))
                return quotient_of(g, [*without(above, place), made], [])
    return None


# ---- divided differences -------------------------------------------------------------------------


_CHANGES = frozenset((*NAMES, "add", "sub", "square_difference", "log_quotient", "pow_difference"))


def _may_be_divided(ops: Sequence[str]) -> bool:
    return any(op in _CHANGES or op in PRODUCTS for op in ops)


@stable(
    "div",
    "(f(x) - f(y))/(x - y) is nan at x = y, where it is the derivative; its own derivatives cancel near it",
    Audit(
        "(exp(x) - exp(y))/(x - y)", "exp((x + y)/2)*sinhc((x - y)/2)",
        "differences of one function, and that of its arguments, above and below", _DIVIDED,
        at_pairs((1.0, 1 + 1e-9), (1e-3, 1.001e-3), (0.5, 0.3), (3.0, -2.0)),
    ),
    on=_may_be_divided,
    needs=(*NAMES, "sub", "square_difference", "log_quotient", "pow_difference"),
)  # fmt: skip
def divided_difference(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for mine, others, is_above in ((above, below, True), (below, above, False)):
        for place, factor in enumerate(mine):
            found = _change(g, factor)
            rest = None if found is None else _without_step(g, found.parts, others)
            if found is not None and rest is not None:
                made = [*without(mine, place), _slope(g, found), *rest[0]]
                return quotient_of(g, *((made, rest[1]) if is_above else (rest[1], made)))
    return None


class Change(NamedTuple):
    """number times the difference of one function, of a power with an exponent."""

    family: str
    parts: Parts
    exponent: int = 0
    number: Fraction = Fraction(1)


def _change(g: Graph, node: int) -> Change | None:
    """The function and its arguments, of what is a difference of one."""
    op, args = g.op[node], g.args[node]
    if op in NAMES:
        return Change(op.removesuffix("_difference"), (args[0], args[1], args[2]))
    if op == "pow_difference":
        return Change("pow", (args[0], args[1], args[2]), args[3])
    if op in ("square_difference", "log_quotient"):
        return Change("square" if op == "square_difference" else op, (g.zero, *args))
    if op == "sub" and g.op[args[0]] == g.op[args[1]] and g.op[args[0]] in FUNCTIONS:
        x, y = args
        return Change(g.op[x], (g.zero, g.args[x][0], g.args[y][0]))
    return _written_change(g, node) if op in ("add", "sub") else None


def _written_change(g: Graph, node: int) -> Change | None:
    """That of reciprocals and powers, as they are written."""
    op, args = g.op[node], g.args[node]
    if g.op[args[0]] == g.op[args[1]] == "div":
        (p, x), (q, y) = g.args[args[0]], g.args[args[1]]
        if p == g.one and q == (g.one if op == "sub" else g.minus_one):
            return Change("reciprocal", (g.zero, x, y))
        if (p, q) == (g.minus_one, g.one):
            return Change("reciprocal", (g.zero, y, x))
    powers = powers_of_one_kind(g, args[0], args[1], -1 if op == "sub" else 1)
    if powers is None:
        return None
    first, second = powers
    return Change("pow", (g.zero, first.base, second.base), first.exponent, first.number)


def _without_step(g: Graph, parts: Parts, factors: list[int]) -> tuple[list[int], list[int]] | None:
    """(Factors of u - v that are left, factors that are left of these); None if they have no sum in common.

    A factor that is a difference itself, of the same arguments, is its divided difference times u - v.
    """
    step = signed_factors(g, difference_of(g, *parts[1:]))
    signed = [s for f in factors for s in signed_factors(g, f)]
    for place, factor in enumerate(signed):
        found = _change(g, factor)
        if found is not None:
            own = signed_factors(g, difference_of(g, *found.parts[1:]))
            signed = [*without(signed, place), _slope(g, found), *own]
            break
    left, rest = remove(step, signed)
    shared, _ = remove(step, left)
    return _as_multiple(g, parts, signed) if all(g.op[f] == "const" for f in shared) else (left, rest)


def _as_multiple(g: Graph, parts: Parts, factors: list[int]) -> tuple[list[int], list[int]] | None:
    """The same where u - v stands among the factors in another order: as a - b - x + y for u = a - b."""
    _, u, v = parts
    if g.op[u] not in _SUMS and g.op[v] not in _SUMS:
        return None
    step = g.sub(u, v)
    for place, factor in enumerate(factors):
        number = multiple_of(g, step, factor) if g.op[factor] in _SUMS else None
        if number is not None:
            return [g.const(number)], without(factors, place)
    return None


def _slope(g: Graph, change: Change) -> int:
    c, u, v = change.parts
    if change.family == "square":
        return g.add(u, v)
    if change.family == "log_quotient":
        return log_slope_of_quotient(g, u, v)
    if change.family == "pow":
        return g.mul(g.const(change.number), power_slope(g, c, u, v, change.exponent))
    family, times, scale = _VIA.get(change.family, (change.family, 1, 1))
    return g.mul(g.const(times * scale), slope_node(g, family, *_scaled(g, change.parts, scale)))
