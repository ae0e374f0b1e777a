"""Differences of one power at two arguments: (x + h)**3 - x**3, x**p - y**p, 1/x**2 - 1/(x + h)**2.

The row is in `power_differences.py`. As those of other functions (`steps`) they are looked for where the
arguments have a term in common, and where the exponent is no number: it may be near 0.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.composites.power_differences import power_difference
from symgrad.ir.rules import MULTIPLE, POWER, SQUARE, Args, all_among
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import common_terms

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_HIGHAM = "Higham 2002, sections 1.7 and 1.14"
_MOST = 8  # of the exponent of a power that is written as a product
_ONE = Fraction(1)
_POWERS = ("mul", "div", "pow")


class Power(NamedTuple):
    """number * base**exponent."""

    number: Fraction
    base: int
    exponent: int


def power_in(g: Graph, node: int) -> Power | None:
    """What a node is as a power, also as a product and with a number before it; None for others."""
    number = _ONE
    if g.op[node] == "mul":
        q = g.rational(g.args[node][0])
        if q is not None:
            number, node = q, g.args[node][1]
    sign = 1
    if g.op[node] == "div":
        q = g.rational(g.args[node][0])
        if q is None:
            return None
        number, node, sign = number * q, g.args[node][1], -1
    if g.op[node] == "pow":
        base, exponent = g.args[node]
        return Power(number, base, exponent if sign > 0 else g.neg(exponent))
    base, times = g.powers.get(node, (node, 0))  # written as a product
    return Power(number, base, g.const(sign * times)) if 1 < times <= _MOST else None


def powers_of_one_kind(g: Graph, a: int, b: int, sign: int) -> tuple[Power, Power] | None:
    """p and q if a + sign*b is n*(p.base**e - q.base**e)."""
    if g.op[a] not in _POWERS or g.op[b] not in _POWERS:
        return None
    first = power_in(g, a)
    second = None if first is None else power_in(g, b)
    if first is None or second is None or first.exponent != second.exponent:
        return None
    return (first, second) if first.number + sign * second.number == 0 and first.base != second.base else None


_may_be_powers = all_among(MULTIPLE, SQUARE, POWER, "div", "pow")


def _difference(g: Graph, a: Args, sign: int) -> int | None:
    found = powers_of_one_kind(g, a[0], a[1], sign)
    if found is None:
        return None
    first, second = found
    parts = common_terms(g, first.base, second.base)
    if parts is None and g.op[first.exponent] == "const":
        return None
    made = power_difference(g, *(parts or (g.zero, first.base, second.base)), first.exponent)
    return g.mul(g.const(first.number), made)


@stable(
    "sub",
    "(x + y)**p - x**p cancels where y is small beside x, x**p - y**p where p is small",
    Audit("(x + y)**3 - x**3", "pow_difference(x, y, 0, 3)",
          "a term of the arguments in common, or an exponent that is no number", _HIGHAM,
          at_pairs((1.0, 1e-12), (0.5, 1e-3), (1e5, 2.0), (2.0, 5.0))),
    of=_may_be_powers,
)  # fmt: skip
def difference_of_one_power(g: Graph, a: Args) -> int | None:
    return _difference(g, a, -1)


@stable(
    "add",
    "3*(x + y)**p + (-3)*x**p is thrice a difference",
    Audit("3/(x + y)**2 - 3/x**2", "3*pow_difference(x, y, 0, -2)", "likewise, of opposite numbers", _HIGHAM,
          at_pairs((1.0, 1e-12), (0.5, 1e-3), (1e5, 2.0), (2.0, 5.0))),
    of=_may_be_powers,
)  # fmt: skip
def sum_of_opposite_powers(g: Graph, a: Args) -> int | None:
    return _difference(g, a, 1)
