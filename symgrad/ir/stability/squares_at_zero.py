"""Roots and logarithms of what vanishes at 0 like a square: sqrt(1 - exp(-x**2)), log(exp(x) - 1 - x).

The square leaves the range of numbers where its root and its logarithm do not, and their derivatives before:
with f(x) = x^k*q(x) for an even k

    sqrt(f(x)) = |x|^(k/2)*sqrt(q(x))        log(f(x)) = k*log|x| + log(q(x))

near 0, where the quotient q is computed by its series (`ir.series.removable`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.rules import Args
from symgrad.ir.series.laurent import FUNCTIONS
from symgrad.ir.series.probe import ALGEBRA, is_function, probe, variable_of
from symgrad.ir.series.removable import IS_PART, expansion_of, near_point, removable
from symgrad.ir.stability.audit import Audit, at, stable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from symgrad.ir.graph import Graph

_HIGHAM = "Higham 2002, section 1.14"
_SMALL = 2.0**-36  # at a variable of 2^-30: what vanishes like a square, or faster
_OWN = FUNCTIONS.keys() - ALGEBRA - {"sqrt", "pow"}


def _is_function(ops: Sequence[str]) -> bool:
    return ops[0] in _OWN or ops[0] in ALGEBRA


@stable(
    "sqrt",
    "what is under the root underflows with the square of x, its derivatives before",
    Audit("sqrt(1 - exp(-x**2))", "|x|*sqrt(removable(x, radius, series, (1 - exp(-x**2))/x**2)) near 0",
          "functions of one value that vanish at 0 like a square or faster", _HIGHAM,
          at(1e-300, -1e-170, 1e-40, 0.5, 6.0)),
    on=_is_function,
)  # fmt: skip
def root_of_double_zero(g: Graph, a: Args) -> int | None:
    found = _divided(g, a[0])
    if found is None:
        return None
    is_near, x, times, quotient = found
    near = g.mul(g.integer_power(g.node("abs", x), times // 2), g.node("sqrt", quotient))
    return g.where(is_near, near, g.node("sqrt", g.where(is_near, g.one, a[0])))


@stable(
    "log",
    "what is under the logarithm underflows with the square of x, its derivatives before",
    Audit("log(exp(x) - 1 - x)",
          "2*log(abs(x)) + log(removable(x, radius, series, (exp(x) - 1 - x)/x**2)) near 0", "likewise",
          _HIGHAM, at(1e-300, -1e-170, 1e-40, 0.5, 6.0)),
    on=_is_function,
)  # fmt: skip
def log_of_double_zero(g: Graph, a: Args) -> int | None:
    found = _divided(g, a[0])
    if found is None:
        return None
    is_near, x, times, quotient = found
    near = g.add(g.mul(g.const(times), g.node("log", g.node("abs", x))), g.node("log", quotient))
    return g.where(is_near, near, g.node("log", g.where(is_near, g.one, a[0])))


def _divided(g: Graph, node: int) -> tuple[int, int, int, int] | None:
    """Where its variable x is near 0, x, an even k > 0, and the formula over x^k, which is regular at 0."""
    if IS_PART.get() or not is_function(g, node):
        return None
    found = probe(g, node)
    if found.is_algebra or not 0 < abs(found.value) < _SMALL:
        return None
    x = variable_of(g, node)
    whole = expansion_of(g, node, x, x)
    times = 0 if whole is None else whole.valuation // 2 * 2
    if not times:
        return None
    quotient = removable(g, g.intern("div", (node, g.integer_power(x, times))), x)
    if quotient is None:
        return None
    return near_point(g, quotient), x, times, quotient
