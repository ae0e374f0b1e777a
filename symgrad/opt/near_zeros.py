"""loggamma(1 + x) and loggamma(2 + x) next to x = 0, where they are 0: 1 + x rounds x away.

There they are the first terms of their series in x. Farther out than 1/32 the rounding of 1 + x is no more
than 32 last places of the result. This comes after differentiation: the derivatives are not 0 there, and
rules know differences of loggamma at sums as what they are.

Source: DLMF 5.7.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.series.laurent import series_of
from symgrad.ir.series.removable import rational
from symgrad.ir.stability.patterns import sum_of_signed, terms_of
from symgrad.opt.rebuild import Copy, copy_with

_ZEROS = (1, 2)
_RADIUS = Fraction(1, 32)
_EPSILON = 2.0**-60  # relative size of what is left out
_ORDER = 16


def near_zeros(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such values by their series."""
    if not g.stabilise or "loggamma" not in g.present:
        return g, {t: t for t in g.definitions_below(roots)}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        return _by_series(copy.new, new) if copy.new.op[new] == "loggamma" else new

    return copy_with(g, roots, on_node=on_node)


def _by_series(g: Graph, node: Node) -> Node:
    terms = terms_of(g, g.args[node][0])
    numbers = [(sign, q) for sign, term in terms if (q := g.rational(term)) is not None]
    rest = [(sign, term) for sign, term in terms if g.rational(term) is None]
    zero = sum(sign * q for sign, q in numbers)
    if not rest or zero not in _ZEROS:
        return node
    x, value = sum_of_signed(g, rest), g.zero
    for c in reversed(_terms(int(zero))):
        value = g.mul(x, g.add(g.const(c), value))
    return g.where(g.node("lt", g.node("abs", x), g.const(_RADIUS)), value, node)


@lru_cache
def _terms(zero: int) -> tuple[Fraction, ...]:
    """The terms of loggamma(zero + x) from x on, as many as matter in the radius."""
    found = series_of((("x",), ("const", "q", zero, 1), ("add", 0, 1), ("loggamma", 2)), _ORDER)
    assert found is not None and found.valuation == 1
    terms = [rational(c) for c in found.terms]
    return tuple(c for k, c in enumerate(terms) if abs(c / terms[0]) * _RADIUS**k > _EPSILON)
