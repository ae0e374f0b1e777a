"""Quotients whose factors leave the range of numbers before the quotient does: by their logarithms there.

    gamma(x + 1/2)/gamma(x), x**(a - 1)*exp(-x)/gamma(a), gamma(a + b)/(gamma(a)*gamma(b))

become  where(a factor is out of range, exp(sum of logarithms), the plain quotient).  The plain quotient is
`xovery`, which no rule looks at. A logarithm of 1000 costs three digits: so it is for these factors alone,
and only where they are out of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.product import Product, product_of
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.patterns import MOST_FACTORS, conditions_of, numbered, remove

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SOURCE = "DLMF 5.2, 5.12.1; Higham 2002, section 27.8"
_POSITIVE = frozenset(("gamma", "pow"))  # where their first argument is
_FAR = frozenset(("beta", "exp")) | _POSITIVE
_GAMMAS = ("gamma", "beta")


def _logarithm(g: Graph, factor: int) -> int:
    """Its logarithm; right where `_conditions` hold."""
    args = g.args[factor]
    match g.op[factor]:
        case "exp":
            return int(args[0])
        case "pow":
            return g.node("xlogy", args[1], args[0])
        case "beta":
            return g.node("betaln", *args)
    return g.node("loggamma", *args)


def _conditions(g: Graph, factors: Sequence[int]) -> list[int]:
    """Under which all factors are positive and their logarithms finite, in exact arithmetic."""
    found = dict[int, None]()
    for f in factors:
        positive = g.args[f] if g.op[f] == "beta" else g.args[f][:1] if g.op[f] in _POSITIVE else ()
        found.update(dict.fromkeys(g.node("lt", g.zero, x) for x in positive))
    return list(found)


def _is_far(g: Graph, node: int) -> int:
    """Whether a positive factor has overflowed, or has lost digits to underflow."""
    is_small = g.node("lt", node, g.const("smallest"))
    return g.node("or", g.node("eq", node, g.const(float("inf"))), is_small)


def _inside(g: Graph, node: int) -> int | None:
    """The plain quotient in what `_in_range` has made: nothing else chooses between exp and xovery."""
    if g.op[node] != "where" or g.op[g.args[node][1]] != "exp":
        return None
    plain = g.args[node][2]
    if g.op[plain] != "xovery":
        return None
    return plain if all(g.op[c] in ("or", "lt") for c in conditions_of(g, g.args[node][0])) else None


def _all_factors(g: Graph, a: Args) -> Product | None:
    """Those of a product or quotient; None if all that may be far stand in one quotient that is in range."""
    known = list[int]()

    def inside(node: int, is_above: bool) -> list[tuple[int, bool]] | None:
        plain = _inside(g, node)
        if plain is None:
            return None
        known.append(plain)
        above, below = g.args[plain]
        return [(above, is_above), (below, not is_above)]

    parts = product_of(g, g.intern("div", a), MOST_FACTORS, inside=inside)
    if parts is None or len(known) != 1:
        return parts
    within = product_of(g, g.intern("div", g.args[known[0]]), MOST_FACTORS)
    count = sum(g.op[f] in _FAR for f in (*parts.above, *parts.below))
    return parts if within is None or count > len(within.above) + len(within.below) else None


def _in_range(g: Graph, parts: Product, above: list[int], below: list[int]) -> int:
    """The product with some of its factors in range, and the others beside them."""
    far_above, far_below = g.one, g.one
    for f in above:
        far_above = g.intern("mul", (far_above, f)) if far_above != g.one else f
    for f in below:
        far_below = g.intern("mul", (far_below, f)) if far_below != g.one else f
    plain = g.node("xovery", far_above, far_below)
    total = g.zero
    for f in above:
        total = g.add(total, _logarithm(g, f))
    for f in below:
        total = g.sub(total, _logarithm(g, f))
    is_far = g.false
    for f in dict.fromkeys((*above, *below, far_above, far_below)):
        if f != g.one:
            is_far = g.node("or", is_far, _is_far(g, f))
    for condition in _conditions(g, (*above, *below)):
        is_far = g.node("and", condition, is_far)
    made = g.where(is_far, g.node("exp", total), plain)
    for f in remove(list(parts.above), above)[0]:
        made = g.mul(made, f)
    for f in remove(list(parts.below), below)[0]:
        made = g.div(made, f)
    return g.mul(g.const(parts.number), made)


@stable(
    "div",
    "gamma(x) overflows for x > 171.6, a power and an exponential beside it as well",
    Audit("x**(y - 1)*exp(-x)/gamma(y)", "exp((y - 1)*log(x) - x - loggamma(y)) where one is out of range",
          "gamma or beta among powers, exponentials and their like; of arguments above 0",
          _SOURCE, at_pairs((190.0, 200.0), (2.0, 3.0)), digits=400),
    needs=_GAMMAS,
)  # fmt: skip
def quotient_of_gammas(g: Graph, a: Args) -> int | None:
    parts = _all_factors(g, a)
    if parts is None:
        return None
    above, below = ([f for f in side if g.op[f] in _FAR] for side in (parts.above, parts.below))
    if len(above) + len(below) < 2 or not any(g.op[f] in _GAMMAS for f in (*above, *below)):
        return None
    if set(above) & set(below):  # a quotient that is reduced by another rule
        return None
    return _in_range(g, parts, above, below)


@stable(
    "log",
    "gamma(x) overflows for x > 171.6, long before its logarithm",
    Audit("log(gamma(x))", "loggamma(x)", "where x or gamma(x) is positive", _SOURCE,
          at(200.0, 180.5, 2.5, 1e-3), digits=400),
    on=among("gamma"),
)  # fmt: skip
def log_of_gamma(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "gamma":
        return None
    x = g.args[a[0]][0]
    is_positive = g.node("or", g.node("lt", g.zero, x), g.node("lt", g.zero, a[0]))
    return g.where(is_positive, g.node("loggamma", x), g.const(float("nan")))


@stable(
    "log",
    "sinh(x) overflows for x > 710",
    Audit("log(sinh(x))", "x + log1mexp(-2*x) - log(2)", "also times a number", "DLMF 4.28",
          at(1e-9, 0.5, 30.0, 800.0)),
    on=among("sinh", "neg", "mul"),
    needs=("sinh",),
)  # fmt: skip
def log_of_sinh(g: Graph, a: Args) -> int | None:
    number, x = _of_odd(g, a[0], "sinh")
    if x is None:
        return None
    far = g.node("log1mexp", g.mul(g.const(-2), x))
    return g.add(g.sub(x, g.node("log", g.const(2 / number))), far)


@stable(
    "log",
    "tanh(x) is rounded to 1 for x > 19",
    Audit("log(tanh(x))", "log1mexp(-2*x) - softplus(-2*x)", "also of -tanh(-x)", "DLMF 4.28",
          at(1e-9, 0.5, 30.0, 300.0)),
    on=among("tanh", "neg"),
    needs=("tanh",),
)  # fmt: skip
def log_of_tanh(g: Graph, a: Args) -> int | None:
    number, x = _of_odd(g, a[0], "tanh")
    if x is None or number != 1:
        return None
    exponent = g.mul(g.const(-2), x)
    return g.sub(g.node("log1mexp", exponent), g.node("softplus", exponent))


def _of_odd(g: Graph, node: int, op: str) -> tuple[Fraction, int | None]:
    """(q, x) with q > 0 of q*f(x) for an odd function, -f(-x) too; None for x where it is none."""
    number, inner = numbered(g, node)
    if g.op[inner] != op or not number:
        return number, None
    (x,) = g.args[inner]
    return abs(number), x if number > 0 else g.neg(x)
