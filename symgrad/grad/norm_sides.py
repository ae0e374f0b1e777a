"""The sides of norms of arrays, and their direction cosines: x/h for h = sqrt(t), t = sum(c*x*x) over axes.

The cosine is an op of its own (`norm_cosine`, `ir.composites.norm`): by its x it is q/h^3, where q is the sum
of all other squares. By the quotient rule it would be 1/h - x^2/h^3, of which nothing is left where one x is
nearly all of h. The sum over all places but one is written as such; `opt.others` makes all of them in
linear time.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node
from symgrad.ir.reduce import conjunction, reduce
from symgrad.ir.stability.norms import is_weight
from symgrad.ir.stability.patterns import all_factors, quotient_of, remove, terms_of
from symgrad.records import dataclass


@dataclass(frozen=True)
class Side:
    """A number c*x*x under a norm, for all places of `red`.

    x      as it is written, not over the power of two of the norm
    weight c
    cosine x/h
    """

    red: tuple[Node, ...]
    x: Node
    weight: Node
    cosine: Node


def sides_of(g: Graph, norm: Node) -> tuple[Side, ...] | None:
    """The sides of a norm; None if it is made of anything but squares with constant weights."""
    t = g.args[norm][2]
    terms = terms_of(g, t)
    found: list[Side] = []
    for k, (sign, term) in enumerate(terms):
        if g.rational(term) is not None or g.op[term] == "scaled":
            continue  # a number
        if sign < 0:
            return None
        others = g.sum_of(other for j, (_, other) in enumerate(terms) if j != k)
        made = _sides_of_term(g, norm, term, others)
        if made is None:
            return None
        found += made
    return tuple(found)


def _sides_of_term(g: Graph, norm: Node, term: Node, others: Node) -> list[Side] | None:
    s = g.args[norm][1]
    above, below = all_factors(g, term)
    sums = [f for f in above if g.op[f] == "read" and g.tensors[g.args[f][0]].kind == "sum"]
    if not sums:
        side = _side(g, term, s)
        return None if side is None else [_with_slope(g, norm, (), *side, others)]
    weights = remove(above, sums)[0]
    if len(sums) != 1 or not all(is_weight(g, f) for f in (*weights, *below)):
        return None
    red, body = _opened(g, sums[0])
    weight = quotient_of(g, weights, below)
    squares = terms_of(g, body)
    others = g.add(others, g.mul(weight, _sum_but_one(g, red, body)))
    found = []
    for k, (sign, square) in enumerate(squares):
        side = _side(g, square, s)
        if side is None or sign < 0:
            return None
        beside = g.sum_of(other for j, (_, other) in enumerate(squares) if j != k)
        x, own = side
        q = g.add(others, g.mul(weight, beside))
        found.append(_with_slope(g, norm, red, x, g.mul(weight, own), q))
    return found


def _side(g: Graph, term: Node, s: Node) -> tuple[Node, Node] | None:
    """(x, c) of a term c*x*x."""
    above, below = all_factors(g, term)
    x = next((f for f in above if g.op[f] == "scaled" and g.args[f][1] == s), None)
    if x is None or above.count(x) != 2:
        return None
    weights = remove(above, [x, x])[0]
    if not all(is_weight(g, f) for f in (*weights, *below)):
        return None
    return x, quotient_of(g, weights, below)


def _with_slope(g: Graph, norm: Node, red: tuple[Node, ...], x: Node, weight: Node, others: Node) -> Side:
    root = g.node("scaled_norm", norm, *g.args[norm][1:])
    cosine = g.node("norm_cosine", x, others, root)
    return Side(red, g.args[x][0], weight, cosine)


def _opened(g: Graph, read: Node) -> tuple[tuple[Node, ...], Node]:
    """Axes of its own for a sum that is read, and what it adds up over them."""
    tensor = g.tensors[g.args[read][0]]
    red = {r: g.fresh_axis(g.extent(r)) for r in tensor.red}
    places = dict(zip(tensor.out, g.args[read][1:], strict=True))
    return tuple(red.values()), g.substitute(tensor.body, {**red, **places})


def _sum_but_one(g: Graph, red: Sequence[Node], body: Node) -> Node:
    """The sum of a body over all places but the one where it is written."""
    moved = {r: g.fresh_axis(g.extent(r)) for r in red}
    here = conjunction(g, [g.ieq(a, b) for a, b in moved.items()])
    others = g.mask(g.node("not", here), g.substitute(body, moved))
    return reduce(g, "sum", tuple(moved.values()), others)
