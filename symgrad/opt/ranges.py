"""Sums of squares that leave the range of numbers, in logarithms and above a division.

    log(s), log1p(s)   as log(t) - 2*log(scale), where s is a sum with squares that has over- or underflowed
    x/s, x*y/s, (1 + y**2)/s
                       as (x*scale/t)*scale and its like, one division for each s

Here t is the sum s of sides that are multiplied with `scale`, a power of two: 1 wherever s is in range, and
then both are what is written, to the last digit, but in another order: x*(1/s/s) is (x/s)*(1/s), as 1/s/s is
out of range long before it.

This comes after differentiation, for which a sum is a sum, and a quotient in lowest terms is one. What is
divided once and has no side of s above it is 0 or infinite where s is the other: it stays as it is.

Source: Blue 1978, A portable Fortran program to find the Euclidean norm of a vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from symgrad.ir.composites.log_products import unless_zero
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.product import Product, product_of
from symgrad.ir.signs import is_never_negative
from symgrad.ir.unit import Unit
from symgrad.opt.rebuild import Copy, copy_with

_MOST_NODES = 48  # of a sum that is searched
_MOST_FACTORS = 16  # of a product
_LOGS = {"log": 0, "log1p": 0, "xlogy": 1, "xlog1py": 1}  # and the place of what they are a logarithm of
_FACTORS = frozenset(("mul", "div"))
_BOUNDED = frozenset(
    ("sin", "cos", "tanh", "atan", "asin", "acos", "erf", "logistic", "sech", "log", "log1p", "asinh",
     "hypot_slope", "direction_cosine", "norm_cosine", "share", "scaled")
)  # fmt: skip


class _Powers(NamedTuple):
    """log2 of the scale of a sum `above` which multiples of it overflow, and `below` which it loses digits.

    The sum of up to 60 scaled squares is in range for all numbers, and no less than 2^-14 if it was large.
    """

    down: int
    up: int
    above: int
    below: int


_SINGLE, _DOUBLE = _Powers(-67, 86, 120, -96), _Powers(-515, 600, 1016, -960)


def with_sums_in_range(unit: Unit) -> Unit:
    """The unit after `in_range`."""
    return unit.moved(*in_range(unit.graph, unit.roots))


def in_range(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such logarithms and quotients by scaled sums."""
    below = g.definitions_below(roots)
    chosen = {t: found for t in below if (found := _chosen(g, t))} if g.stabilise else {}
    if not chosen:
        return g, {t: t for t in below}
    made_of: dict[tuple[TensorId, Node], Node] = {}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        wanted = chosen.get(t)
        if wanted is None:
            return new
        if old in wanted:
            parts = wanted[old]
            if parts is None:
                new = _logarithm(copy.new, new)
            else:
                new = _quotient(copy.new, _moved(parts, t, made_of))
        made_of[t, old] = new
        return new

    return copy_with(g, roots, on_node=on_node, stabilise=False)


def _moved(parts: Product, t: TensorId, made_of: dict[tuple[TensorId, Node], Node]) -> Product:
    """The product with its factors in the new graph."""
    above, below = ([made_of[t, n] for n in side] for side in (parts.above, parts.below))
    return Product(parts.number, tuple(above), tuple(below))


# ---- what is looked for ------------------------------------------------------------------------


def _chosen(g: Graph, t: TensorId) -> dict[Node, Product | None]:
    """The nodes of a definition that are computed in another way: products as their factors, logarithms."""
    op, args = g.op, g.args
    nodes = g.reachable(g.tensors[t].bodies)
    found: dict[Node, Product | None] = {}
    has_quotient = False
    for n in nodes:
        if op[n] == "div":
            has_quotient = has_quotient or op[args[n][1]] == "add"
        elif op[n] in _LOGS and _has_square(g, args[n][_LOGS[op[n]]], op[n] in ("log1p", "xlog1py")):
            found[n] = None
    for n in _products(g, t, nodes) if has_quotient else ():
        parts = product_of(g, n, _MOST_FACTORS)
        sums = [] if parts is None else [s for s in parts.below if not _is_length(g, s)]
        if parts is not None and sums and all(_is_needed(g, parts, s) for s in sums):
            found[n] = parts
    return found


def _products(g: Graph, t: TensorId, nodes: Sequence[Node]) -> list[Node]:
    """Products and quotients that are no factor of another one, or not only that."""
    outside = {*g.tensors[t].bodies}
    for n in nodes:
        if g.op[n] not in _FACTORS:
            outside.update(g.children(n))
    return [n for n in nodes if g.op[n] in ("mul", "div") and n in outside]


def _has_square(g: Graph, s: Node, may_be_one: bool = False) -> bool:
    """Whether this is a sum with a square that may leave the range of numbers; or a square."""
    return (g.op[s] == "add" or (may_be_one and g.op[s] == "mul")) and bool(_sides(g, s))


def _sides(g: Graph, s: Node) -> frozenset[Node]:
    """What is squared in a sum; nothing if it is too long to be searched."""
    found, stack, left = set[Node](), [s], _MOST_NODES
    while stack:
        left -= 1
        if left < 0:
            return frozenset()
        n = stack.pop()
        op, args = g.op[n], g.args[n]
        if op in ("add", "sub", "neg"):
            stack += args
        elif op == "mul":
            if args[0] == args[1] and g.op[args[0]] not in _BOUNDED:
                found.add(args[0])
            elif args[0] != args[1]:
                stack += [a for a in args if g.op[a] == "mul"]
        elif op == "div":
            stack.append(args[0])
    return frozenset(found)


def _is_needed(g: Graph, parts: Product, s: Node) -> bool:
    """Whether the quotient by s may be a number where s is infinite, or not the one that is found."""
    if g.op[s] != "add" or not parts.above:
        return False
    sides = _sides(g, s)
    if sides and _has_number(g, s):
        return True
    return bool(sides) and any(n in sides or _is_second_degree(g, n, sides) for n in parts.above)


def _has_number(g: Graph, s: Node) -> bool:
    """Whether a sum has a positive number for a term, which no sum of squares that matters is far below."""
    stack = [s]
    while stack:
        n = stack.pop()
        if g.op[n] == "add":
            stack += g.args[n]
        elif (q := g.rational(n)) and q > 0:
            return True
    return False


def _is_length(g: Graph, n: Node) -> bool:
    """Whether this is a length that is at least a number."""
    return g.op[n] == "hypot" and any(g.op[side] == "const" for side in g.args[n])


def _is_second_degree(g: Graph, n: Node, sides: frozenset[Node]) -> bool:
    """Whether this is a sum with the square of a side."""
    return g.op[n] in ("add", "sub") and not sides.isdisjoint(_sides(g, n))


# ---- what is made of it ------------------------------------------------------------------------


def _by_precision(g: Graph, double: Fraction | float, single: Fraction | float) -> Node:
    """A number for double precision, or one for single precision, where 2^1000 is infinite."""
    is_single = g.node("eq", g.const(2**1000), g.const(float("inf")))
    return g.where(is_single, g.const(single), g.const(double))


class _Scaled:
    """A sum s with its sides multiplied by a power of two.

    down, up, both   1, or the power where s has overflowed, where it has underflowed, and in either case.
    total            the sum of the scaled squares
    """

    def __init__(self, g: Graph, s: Node, over: Node | None = None, may_underflow: bool = True) -> None:
        self.g, self.sum, self.has_number = g, s, _has_number(g, s)
        self.over = g.node("lt", self._power(2), s) if over is None else over
        self.down = g.where(self.over, self._power(0), g.one)
        self.under: Node | None = None
        self.up, self.both = g.one, self.down
        if may_underflow and not self.has_number and is_never_negative(g, s):
            self.under = g.node("lt", s, self._power(3))
            self.up = g.where(self.under, self._power(1), g.one)
            self.both = g.where(self.over, self._power(0), self.up)
        self.total = self.of_second_degree(s)

    def _power(self, which: int) -> Node:
        return _by_precision(self.g, Fraction(2) ** _DOUBLE[which], Fraction(2) ** _SINGLE[which])

    def times(self, n: Node, *powers: Node) -> Node:
        """In this order, without any rule: the product of powers would be out of range."""
        for power in powers:
            if power != self.g.one:
                n = power if n == self.g.one else self.g.intern("mul", (n, power))
        return n

    def single(self, x: Node) -> Node:
        """x/s."""
        over = self.g.div(self.times(x, self.both), self.total)
        return self.times(over, self.both)

    def pair(self, x: Node, y: Node) -> Node:
        """x*y/s: of a product that underflows nothing would be left beside an s that is as small."""
        g = self.g
        if self.has_number:
            product = g.intern("mul", tuple(self.times(n, self.both) for n in g.ordered(x, y)))
            return g.div(product, self.total)
        if x != y:
            is_less = g.node("lt", g.node("abs", x), g.node("abs", y))
            x, y = g.where(is_less, y, x), g.where(is_less, x, y)
        over = g.div(self.times(x, self.up), self.total)
        return self.times(g.intern("mul", (over, self.times(y, self.both))), self.down)

    def divided(self, n: Node) -> Node:
        """n/s for an n that may be 0, as s may."""
        if self.has_number:
            return self.g.intern("mul", (n, self.g.div(self.g.one, self.sum)))
        return self.times(self.g.div(n, self.total), self.both, self.both)

    def of_second_degree(self, n: Node) -> Node:
        """n*scale**2 for a sum with squares, each factor of which is multiplied once."""
        g, args = self.g, self.g.args[n]
        op = g.op[n]
        if op in ("add", "sub", "neg"):
            return g.intern(op, tuple(self.of_second_degree(part) for part in args))
        if op == "mul":
            if args[0] == args[1]:
                side = self.times(args[0], self.both)
                return g.intern("mul", (side, side))
            whole = next((k for k in (1, 0) if g.op[args[k]] in ("mul", "add", "sub")), None)
            if whole is not None:
                return g.intern("mul", (args[1 - whole], self.of_second_degree(args[whole])))
            if not any(g.op[part] == "const" for part in args):
                return g.intern("mul", tuple(self.times(part, self.both) for part in args))
        if op == "div":
            return g.intern("div", (self.of_second_degree(args[0]), args[1]))
        return self.times(n, self.both, self.both)


def _logarithm(g: Graph, node: Node) -> Node:
    """log(t) + 2*log(1/scale); log1p(s) is log(s) where s overflows, and log1p(t - 1) that of t."""
    op, args = g.op[node], g.args[node]
    place = _LOGS[op]
    s = args[place]
    is_infinite = g.node("eq", s, g.const(float("inf")))
    scaled = _Scaled(g, s, is_infinite, may_underflow=op in ("log", "xlogy"))
    shift = g.where(scaled.over, _doubled_log(g, 0), g.zero)
    if op in ("log1p", "xlog1py"):  # they are 0 where s is
        less = g.intern("sub", (scaled.total, g.one))
        made = g.intern("log1p", (g.where(scaled.over, less, s),))
    else:
        made = g.intern("log", (scaled.total,))
        if scaled.under is not None:
            shift = g.where(scaled.under, _doubled_log(g, 1), shift)
    made = g.intern("add", (made, shift))
    if place == 0:
        return made
    product = g.intern("mul", (args[0], made))
    return unless_zero(g, args, -1 if op == "xlog1py" else 0, product)


def _doubled_log(g: Graph, which: int) -> Node:
    double, single = (-2 * powers[which] * math.log(2) for powers in (_DOUBLE, _SINGLE))
    return _by_precision(g, double, single)


def _quotient(g: Graph, parts: Product) -> Node:
    """The product with every division by a sum of squares beside what is of its size."""
    above, shares, again = list(parts.above), list[Node](), list[_Scaled]()
    lengths = [n for n in parts.below if _is_length(g, n)]
    for s in dict.fromkeys(n for n in parts.below if n not in lengths):
        scaled, times = _Scaled(g, s), parts.below.count(s)
        made = _shares(scaled, times, above)
        shares += made.nodes
        again += [scaled] * made.left
    whole = g.one
    for n in (*shares, *above):
        whole = n if whole == g.one else g.intern("mul", g.ordered(whole, n))
    for scaled in again:
        whole = scaled.divided(whole)
    for length in lengths:
        whole = g.div(whole, length)
    return g.mul(g.const(parts.number), whole)


class _Shares(NamedTuple):
    """Quotients by one sum, and how often it still divides what they are multiplied with."""

    nodes: list[Node]
    left: int


def _shares(scaled: _Scaled, times: int, above: list[Node]) -> _Shares:
    """Factors divided by a sum that divides `times`; `above` keeps the others.

    Sides first, then, where the sum is at least a number, others; two at a time where there are so many.
    """
    g, sides = scaled.g, _sides(scaled.g, scaled.sum)
    made = []
    for n in [n for n in above if _is_second_degree(g, n, sides)][:times]:
        above.remove(n)
        made.append(g.div(scaled.of_second_degree(n), scaled.total))
    left = times - len(made)
    own = [n for n in above if n in sides]
    if scaled.has_number:
        own += [n for n in above if n not in sides]
    own = own[: 2 * left]
    for n in own:
        above.remove(n)
    while len(own) > left:
        made.append(scaled.pair(own.pop(), own.pop(0)))
        left -= 1
    return _Shares([*made, *(scaled.single(x) for x in own)], left - len(own))
