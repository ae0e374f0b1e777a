"""What a cosine leaves of 1, by the difference of the two directions: it is nothing between near ones.

    1 - sum(x*y)/(|x|*|y|)    ->    sum(d**2)/2        d = x/|x| - y/|y|

and 1 + cosine with -y, unless it is more than a half. Where the norms are of one size, d is
((x - y) - y*(|x| - |y|)/|y|)/|x|, in which nothing is rounded that is large beside it; what is off in the
norms moves both directions along themselves, of which the square of d sees little. At an offset of 1e3, where
all directions are near, the left side has lost six of its digits. Derivatives are those of the cosine: this
comes after them.

Source: the law of cosines; Higham 2002, section 1.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction
from symgrad.ir.stability.patterns import product_of_powers
from symgrad.ir.stability.weighted_means import Powers, is_sum, powers, summand, times_power
from symgrad.opt.rebuild import Copy, copy_with

_LARGE, _SMALL = Fraction(2**120), Fraction(1, 2**100)  # in range of single precision, too
_PRODUCTS = ("mul", "div", "neg")


class _Cosine(NamedTuple):
    """number * sum(x*y over axes)/(|x|*|y|), with the two norms."""

    number: Fraction
    axes: tuple[Node, ...]
    sides: tuple[Node, Node]
    norms: tuple[Node, Node]


def cosine_distances(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such differences by directions."""
    below = g.definitions_below(roots)
    has_norms = g.stabilise and "norm" in g.present
    if not has_norms or not any(
        _less_cosine(g, n) is not None for t in below for n in g.reachable(g.tensors[t].bodies)
    ):
        return g, {t: t for t in below}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        made = _less_cosine(copy.new, new)
        return new if made is None else made

    return copy_with(g, roots, on_node=on_node, stabilise=False)


def _less_cosine(g: Graph, n: Node) -> Node | None:
    """q + p*cosine, for numbers of which one is the other or its opposite."""
    if g.op[n] not in ("add", "sub"):
        return None
    sign = 1 if g.op[n] == "add" else -1
    (left, right), signs = g.args[n], ((1, sign), (sign, 1))
    for constant, other, (of_constant, of_other) in ((left, right, signs[0]), (right, left, signs[1])):
        q = g.rational(constant)
        found = _cosine(g, other) if q and g.op[other] in _PRODUCTS else None
        if q is not None and found is not None and abs(found.number) == abs(q):
            x, y = found.sides
            d = _apart(g, x, g.neg(y) if of_constant * q == of_other * found.number else y, *found.norms)
            is_needed = g.node("not", _is_large(g, n, abs(q) / 2))
            body = g.mask(is_needed, g.mul(d, d))
            out = g.first_occurrence(body, g.axes[body] - frozenset(found.axes))
            total = g.read(g.define("sum", out, found.axes, body), *out)
            return g.where(is_needed, g.mul(g.const(of_constant * q / 2), total), n)
    return None


def _is_large(g: Graph, x: Node, least: Fraction) -> Node:
    """Whether a number is larger than the least one, but finite."""
    size, ends = g.node("abs", x), (g.const(least), g.const(float("inf")))
    return g.node("and", g.node("lt", ends[0], size), g.node("lt", size, ends[1]))


def _apart(g: Graph, x: Node, y: Node, first: Node, second: Node) -> Node:
    """x over its norm less y over its own."""
    twice = [g.mul(g.const(2), norm) for norm in (first, second)]
    tests = (first, twice[1]), (second, twice[0]), (twice[0], g.const(_LARGE)), (g.const(_SMALL), first)
    is_near = conjunction(g, [g.node("lt", *pair) for pair in tests])
    longer = g.div(g.sub(first, second), second)
    near = g.div(g.sub(g.sub(x, y), g.mul(y, longer)), first)
    return g.where(is_near, near, g.sub(g.div(x, first), g.div(y, second)))


def _cosine(g: Graph, node: Node) -> _Cosine | None:
    number, factors = powers(g, node)
    norms = [n for n, times in factors.items() if times == -1 and g.op[n] == "norm"]
    sums = [n for n, times in factors.items() if times == 1 and is_sum(g, n)]
    if len(norms) != 2 or len(sums) != 1 or len(factors) != 3:
        return None
    axes = tuple(g.fresh_axis(g.extent(a)) for a in g.tensors[g.args[sums[0]][0]].red)
    both = summand(g, sums[0], axes)
    first, second = (_sides(g, norm, axes) for norm in norms)
    if both is None or first is None or second is None:
        return None
    whole = times_power((number, both[1]), times_power(first, second), -1)
    if whole[1]:
        return None
    sides = product_of_powers(g, *first), product_of_powers(g, *second)
    return _Cosine(whole[0] * both[0], axes, sides, (norms[0], norms[1]))


def _sides(g: Graph, norm: Node, axes: Sequence[Node]) -> Powers | None:
    """The x of the root of sum(x*x) over the axes, of any sign."""
    number, factors = powers(g, g.args[norm][1])
    read = next(iter(factors), g.zero)
    squares = summand(g, read, axes) if factors == {read: 1} and is_sum(g, read) else None
    if squares is None or any(times % 2 for times in squares[1].values()):
        return None
    number *= squares[0]
    root = Fraction(isqrt(number.numerator), isqrt(number.denominator))
    return (root, {n: times // 2 for n, times in squares[1].items()}) if root * root == number else None
