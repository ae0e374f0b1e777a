"""Powers near one: compound interest, annuities, the Box-Cox transformation, geometric sums."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.composites.powers_less_one import power_is_near_one
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import (
    PRODUCTS,
    all_factors,
    beside_one,
    factors_of,
    quotient_of,
    remove,
    signed_factors,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MANY = 8  # steps of growth
_HIGHAM = "Higham 2002, section 1.14"


def _power(g: Graph, node: int) -> tuple[int, int] | None:
    """x and y of x**y, where y is no number."""
    sign = 1
    if g.op[node] == "div" and g.args[node][0] == g.one:
        node, sign = g.args[node][1], -1
    if g.op[node] != "pow" or g.op[g.args[node][1]] == "const":
        return None
    x, y = g.args[node]
    return x, (y if sign > 0 else g.neg(y))


def _less_one(g: Graph, node: int) -> int | None:
    found = _power(g, node)
    if found is None:
        return None
    x, y = found
    return g.node("powm1", x, y, g.mul(y, g.node("log", x)))


@stable(
    "add",
    "x**y - 1 cancels where y*log(x) is small",
    Audit("x**y - 1", "powm1(x, y, y*log(x)), which is expm1(y*log(x))", "y is no number; 1 + r for x counts",
          _HIGHAM, at_pairs((1.5, 1e-12), (0.25, -1e-6), (2.0, 3.0), (1e-300, 1e-5))),
    on=among("const"),
    needs=("pow",),
)  # fmt: skip
def power_plus_minus_one(g: Graph, a: Args) -> int | None:
    for one, other in (a, a[::-1]):
        if one == g.minus_one:
            return _less_one(g, other)
    return None


@stable(
    "sub",
    "1 - x**y cancels where y*log(x) is small",
    Audit("1 - (1 + x)**(-y)", "-powm1(1 + x, -y, -y*log1p(x))", "likewise",
          _HIGHAM, at_pairs((1e-12, 12.0), (0.05, 1e-9), (0.25, 30.0))),
    on=among("const"),
    needs=("pow",),
)  # fmt: skip
def one_minus_power(g: Graph, a: Args) -> int | None:
    for one, other, sign in ((a[0], a[1], -1), (a[1], a[0], 1)):
        made = _less_one(g, other) if one == g.one else None
        if made is not None:
            return made if sign > 0 else g.neg(made)
    return None


@stable(
    "div",
    "(x**y - 1)/y is nan at y = 0, where it is log(x), and (x**y - 1)/(x - 1) at x = 1",
    Audit(
        "(x**y - 1)/y", "log(x)*exprel(y*log(x))",
        "a factor of y*log(x), x - 1, or r for x = 1 + r; below too",
        "Box & Cox 1964; Higham 2002, section 1.14",
        at_pairs((1.5, 1e-12), (2.0, -1e-5), (0.5, 1e-3), (2.0, 3.0)),
    ),
    on=lambda ops: any(op in ("powm1", *PRODUCTS) for op in ops),
    needs=("powm1",),
)  # fmt: skip
def power_less_one_over_factor(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for mine, others, is_above in ((above, below, True), (below, above, False)):
        for place, factor in enumerate(mine):
            found = _regular(g, factor, others) if g.op[factor] == "powm1" else None
            if found is None:
                continue
            parts, rest = found
            x, _, t = g.args[factor]
            near = g.node("and", power_is_near_one(g, t), g.node("lt", g.zero, x))
            mine = without(mine, place)
            regular = ([*mine, *parts], rest) if is_above else (rest, [*mine, *parts])
            hidden = g.where(near, g.one, factor if not is_above else a[1])
            apart = ([*mine, factor], [hidden]) if is_above else (above, [*mine, hidden])
            return g.where(near, quotient_of(g, *regular), quotient_of(g, *apart))
    return None


def _regular(g: Graph, node: int, factors: list[int]) -> tuple[list[int], list[int]] | None:
    """t*exprel(t), and the factors below it, without what they share; None if nothing, and none is x - 1."""
    x, _, t = g.args[node]
    own = signed_factors(g, t)
    signed = [s for f in factors for s in signed_factors(g, f)]
    left, rest = remove(own, signed)
    shared, _ = remove(own, left)
    quotient = g.node("exprel", t)
    if any(g.op[f] != "const" for f in shared):
        return [*left, quotient], rest
    r = beside_one(g, x)
    differences = (r,) if r is not None else (g.add(x, g.minus_one), g.sub(x, g.one), g.sub(g.one, x))
    return ([*own, quotient], factors) if any(f in differences for f in factors) else None


# ---- growth ------------------------------------------------------------------------------------


@stable(
    "pow",
    "(1 + y/x)**x has lost y/x where x is large; its derivative by x is a difference",
    Audit("(1 + y/x)**x", "exp(y*log1prel(y/x))",
          "|y/x| < 1/2 and |x| > 8; a factor of the exponent is one of the divisor, or the other way round",
          _HIGHAM, at_pairs((1e9, 0.05), (365.0, -0.5), (3.0, 0.25), (2.0, 10.0))),
    on=among("add", "sub"),
)  # fmt: skip
def growth_over_many_steps(g: Graph, a: Args) -> int | None:
    """(1 + r)**n, where n*r is simpler than its factors, is exp(n*r * log(1 + r)/r)."""
    base, n = a
    r = None if g.op[n] == "const" else beside_one(g, base)
    if r is None:
        return None
    (above, below), (by, under) = all_factors(g, n), all_factors(g, r)
    above, under = remove(above, under)
    below, by = remove(below, by)
    shared = len(all_factors(g, n)[0]) - len(above) + len(all_factors(g, n)[1]) - len(below)
    if not shared:
        return None
    is_small = g.node("lt", g.node("abs", r), g.const(Fraction(1, 2)))
    near = g.node("and", is_small, g.node("lt", g.const(_MANY), g.node("abs", n)))
    exponent = quotient_of(g, [*above, *by, g.node("log1prel", r)], [*below, *under])
    return g.where(near, g.node("exp", exponent), g.node("pow", g.where(near, g.one, base), n))
