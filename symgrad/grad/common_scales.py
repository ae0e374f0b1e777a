"""Derivatives of lengths beside the scale of one of their sides: m*c^2*(sqrt(1 + (p/(m*c))^2) - 1).

By a factor b of a product A*f(y, x), to the power a in A, i in y and j in x, the derivative is A/b times

    f = h - y       h = hypot(x, y)      (h - y)*(a + j + (j - i)*cos)          cos = y/h, sin = x/h
    f = 1 - y/h                          (1 - cos)*(a + (j - i)*cos*(1 + cos))
    f = x/h                              sin*(a + (j - i)*cos^2)

Where the parentheses are a multiple of 1 - cos or sin^2, they are written as that: of the sum that the chain
rule has nothing is left for small x, where kinetic energy does not depend on the speed of light.

Source: Euler's theorem on homogeneous functions; Pythagoras.
"""

from __future__ import annotations

from collections.abc import Container
from fractions import Fraction

from symgrad.ir.graph import Graph, Node
from symgrad.ir.ops import OPS
from symgrad.ir.stability.patterns import factors_of, powers_of, product_of_powers, without
from symgrad.records import dataclass

_SINES = ("hypot_slope", "direction_cosine")
OPS_OF_LENGTHS = frozenset(("hypot_less_side", "less_cosine", *_SINES))
Slopes = list[tuple[Node, Node]]


@dataclass(frozen=True)
class _Product:
    """A number times powers; `sign` is 1, or the sign of it where its modulus is meant."""

    number: Fraction
    powers: dict[Node, int]
    sign: Node

    def whole(self, g: Graph) -> Node:
        return g.mul(self.sign, product_of_powers(g, self.number, self.powers))

    def over(self, g: Graph, b: Node) -> Node:
        """The product over one of its factors."""
        powers = {**self.powers, b: self.powers[b] - 1}
        return g.mul(self.sign, product_of_powers(g, self.number, powers))

    def slope(self, g: Graph, b: Node) -> Node:
        """The derivative by one of them, or by anything else."""
        return g.mul(g.const(self.powers[b]), self.over(g, b)) if b in self.powers else g.zero


def slopes_beside_scale(g: Graph, n: Node, alive: Container[Node]) -> Slopes:
    """(part, derivative by it) of such a product, where a sum of which nothing is left is avoided."""
    factors = factors_of(g, n)
    for place, f in enumerate(factors):
        if g.op[f] in OPS_OF_LENGTHS:
            found = _slopes(g, f, without(factors, place), alive)
            if found:
                return found
    return []


def _slopes(g: Graph, f: Node, others: list[Node], alive: Container[Node]) -> Slopes:
    outside, y, x = (_product(g, nodes) for nodes in (others, *([side] for side in g.args[f])))
    if outside is None or y is None or x is None:
        return []
    parts = dict.fromkeys(b for p in (outside, y, x) for b in p.powers if b in alive)
    found = {b: _as_product(g, f, outside, y, x, b) for b in parts}
    if not any(found.values()):
        return []
    return [(b, slope or _by_chain_rule(g, f, outside, (y, x), b)) for b, slope in found.items()]


def _by_chain_rule(g: Graph, f: Node, outside: _Product, sides: tuple[_Product, _Product], b: Node) -> Node:
    total = g.mul(outside.slope(g, b), f)
    for side, rule in zip(sides, OPS[g.op[f]].partials_of(2), strict=True):
        if b in side.powers and rule is not None:
            by_b = g.mul(rule(g, g.args[f], f), side.slope(g, b))
            total = g.add(total, g.mul(outside.whole(g), by_b))
    return total


def _product(g: Graph, nodes: list[Node]) -> _Product | None:
    """These as a product of powers; of a modulus, what is inside."""
    is_modulus = len(nodes) == 1 and g.op[nodes[0]] == "abs"
    inside = [g.args[nodes[0]][0]] if is_modulus else nodes
    found = powers_of(g, inside)
    return None if found is None else _Product(*found, g.node("sign", inside[0]) if is_modulus else g.one)


def _as_product(g: Graph, f: Node, outside: _Product, y: _Product, x: _Product, b: Node) -> Node | None:
    """The derivative by a factor, where it is a single product."""
    if g.op[f] in _SINES:
        x, y = y, x
    a, i, j = (p.powers.get(b, 0) for p in (outside, y, x))
    first, second = g.args[f]
    if g.op[f] == "hypot_less_side" and i - j == a + j > 0:
        less = g.mul(g.const(a + j), g.node("less_cosine", first, second))
        if a:
            return g.mul(outside.over(g, b), g.mul(f, less))
        sign = g.node("sign", b)
        reduced = g.node("hypot_less_side", g.mul(sign, y.over(g, b)), x.over(g, b))
        return g.mul(g.mul(outside.whole(g), sign), g.mul(reduced, less))
    if g.op[f] == "less_cosine" and 2 * (i - j) == a > 0:
        more = g.add(g.const(2), g.node("hypot_slope", first, second))
        return g.mul(outside.over(g, b), g.mul(g.const(i - j), g.mul(g.mul(f, f), more)))
    if g.op[f] == "less_cosine" and a == 0 < j < i:  # of the terms of both sides one may underflow
        sine, length = g.node("hypot_slope", second, first), g.node("hypot", first, second)
        turned = g.mul(g.mul(g.const(j - i), g.mul(sine, sine)), g.div(y.over(g, b), length))
        return g.mul(outside.whole(g), turned)
    if g.op[f] in _SINES and i - j == a > 0:
        return g.mul(outside.over(g, b), g.mul(g.const(a), g.mul(f, g.mul(f, f))))
    return None
