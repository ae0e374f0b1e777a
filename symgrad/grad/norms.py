"""Norms of arrays: what a root of sums of squares pulls back, and how it moves.

The slope of h = sqrt(sum(c*x*x)) by one x is c times its direction cosine (`grad.norm_sides`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from symgrad.grad.norm_sides import Side, sides_of
from symgrad.grad.sweep import pullback
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.places import places_of
from symgrad.ir.reduce import conjunction, reduce
from symgrad.records import dataclass


@dataclass(frozen=True)
class Norm:
    """A norm as a definition: where that is read for it, what it reads itself, and its sides."""

    node: Node
    tensor: TensorId
    place: tuple[Node, ...]
    sources: frozenset[TensorId]
    sides: tuple[Side, ...]


def norms_in(
    g: Graph, bodies: Iterable[Node], apart: Container[TensorId] = ()
) -> dict[Node, tuple[Norm, Node]]:
    """(norm, c) for each node in some bodies that is c times the norm of a sum over axes.

    Those that read definitions `apart` are not looked for.
    """
    found = {}
    for n in g.reachable(bodies) if g.stabilise and "norm" in g.present else ():
        node = g.args[n][0] if g.op[n] == "scaled_norm" else n
        if g.op[node] != "norm" or g.args[node][0] == g.args[node][2]:
            continue
        sides, sources = sides_of(g, node), _definitions_in(g, node)
        if sides is None or any(t in apart for t in sources):
            continue
        place = tuple(g.first_occurrence(node, g.axes[node]))
        norm = Norm(node, g.define("map", place, (), node), place, sources, sides)
        found[n] = norm, g.one if n == node else g.node("scaled", g.one, g.args[n][1])
    return found


def _definitions_in(g: Graph, node: Node) -> frozenset[TensorId]:
    read = (g.args[r][0] for r in g.reads((node,)))
    return frozenset(t for t in read if g.tensors[t].kind != "input")


def pulled(
    g: Graph, norm: Norm, axes: Sequence[Node], bar: Node, active: frozenset[TensorId]
) -> Iterator[tuple[tuple[Node, ...], dict[Node, Node]]]:
    """The loops over each side of a norm, and the cotangents of what is read there, from that of the norm."""
    bar = g.substitute(bar, dict(zip(axes, norm.place, strict=True)))
    for side in norm.sides:
        yield (*norm.place, *side.red), pullback(g, {side.x: g.mul(bar, _slope(g, norm, side))}, active)


def moved(g: Graph, norm: Norm, tangent_of: Callable[[Node], Node]) -> Node:
    """The tangent of a norm from those of its sides."""
    total = g.zero
    for side in norm.sides:
        total = g.add(total, reduce(g, "sum", side.red, g.mul(_slope(g, norm, side), tangent_of(side.x))))
    return total


def moved_cosine(g: Graph, cosine: Node, tangent_of: Callable[[Node], Node]) -> Node | None:
    """The tangent of u = x/h: ((1 - u*u)*dx - u*sum(c*v*dy over the other sides y, v = y/h))/h."""
    x, q, root = g.args[cosine]
    if g.op[root] != "scaled_norm" or g.op[g.args[root][0]] != "norm":
        return None
    norm, total, is_found = g.args[root][0], g.zero, False
    for side in sides_of(g, norm) or ():
        body = g.mul(g.mul(side.weight, side.cosine), tangent_of(side.x))
        place = places_of(g, side.cosine, {}, side.red, cosine)
        if place is not None:
            is_found = True
            here = conjunction(g, [g.ieq(a, b) for a, b in zip(side.red, place, strict=True)])
            body = g.mask(g.node("not", here), body)
        total = g.add(total, reduce(g, "sum", side.red, body))
    if not is_found:
        return None
    is_finite = g.node("ne", norm, g.const(float("inf")))
    rest = g.mask(is_finite, g.div(g.div(q, root), root))
    own = g.div(g.mul(rest, tangent_of(g.args[x][0])), root)
    # By the scaled length, with the power of two last: 1/h is infinite for a subnormal h, also beside u = 0.
    return g.mul(g.node("scaled", g.one, g.args[norm][1]), g.sub(own, g.mul(cosine, g.div(total, root))))


def _slope(g: Graph, norm: Norm, side: Side) -> Node:
    """The slope of a norm by a side of it, 0 where the norm is."""
    return g.mask(g.node("ne", norm.node, g.zero), g.mul(side.weight, side.cosine))
