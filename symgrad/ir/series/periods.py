"""With what period formulas of sines, cosines and tangents come back: pi for sin(2*x)/cos(x)**2.

A singularity of such a formula is one of every turn, and one series around the nearest of them serves all:
`offset.reduced` is the distance from it.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING

from symgrad.ir.series.laurent import UNKNOWN, between, formula_of, is_number, meant, value_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_WAVES = ("sin", "cos", "tan")
_ROOTS = ("sqrt", "norm", "leg", "hypot", "abs")  # differentiated by what is under them, around 0
_LARGEST = 64  # of the whole numbers that frequencies have ratios of
_NOTHING = -2  # no node: the constant is made of no variable


def period_of(g: Graph, node: int, variable: int) -> int | None:
    """The period of a formula of one value, a constant; None if it has none, or none that is found."""
    if g.op[variable] in _ROOTS:
        return None
    factors: dict[int, int] = {variable: g.one}  # a of each a*x + b
    found: set[int] = set()
    for n in between(g, node, variable):
        own = [a for a in meant(g, n) if a in factors]
        if n == variable or not own:
            continue
        if g.op[n] in _WAVES:
            found.add(factors[own[0]])
            continue
        factor = _factor(g, n, factors)
        if factor is None:
            return None
        factors[n] = factor
    return None if node in factors or not found else _common(g, sorted(found))


def _factor(g: Graph, n: int, factors: dict[int, int]) -> int | None:
    """a of a sum, a multiple or a quotient that is a*x + b."""
    op, args = g.op[n], g.args[n]
    if op == "neg":
        return g.neg(factors[args[0]])
    if op in ("add", "sub"):
        first, second = (factors.get(a, g.zero) for a in args)
        if any(a not in factors and not _is_constant(g, a) for a in args):
            return None
        return g.add(first, second) if op == "add" else g.sub(first, second)
    if op not in ("mul", "div"):
        return None
    x, y = args
    if x in factors and _is_constant(g, y):
        return g.node(op, factors[x], y)
    return g.mul(x, factors[y]) if op == "mul" and y in factors and _is_constant(g, x) else None


def _is_constant(g: Graph, node: int) -> bool:
    return g.variables[node] == -1


def _common(g: Graph, factors: list[int]) -> int | None:
    """2*pi over the largest number that all of the factors are whole multiples of."""
    first, ratios = factors[0], []
    try:
        sizes = [value_of(formula_of(g, a, _NOTHING)) for a in factors]
    except UNKNOWN:
        return None
    if not all(sizes):
        return None
    for size in sizes:
        ratio = abs(size / sizes[0])
        q = ratio.limit_denominator(_LARGEST)
        if not is_number(ratio, q) or max(q.numerator, q.denominator) > _LARGEST:
            return None
        ratios.append(q)
    below = lcm(*(q.denominator for q in ratios))
    unit = Fraction(gcd(*(int(q * below) for q in ratios)), below)
    turn = g.mul(g.const(2 / unit), g.const("pi"))
    return g.div(turn, first if sizes[0] > 0 else g.neg(first))
