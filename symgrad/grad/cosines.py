"""Quotients by norms of arrays of what is linear in their sides: v[k]/|v|, u'v/|v|, u'v/(|u||v|).

With h = sqrt(sum(x*x)), sum(w*x)/h is by one x

    w*q/h^3 - x*p/h^3        q, p: the sums of x*x and of w*x over all other places

By the quotient rule it would be w/h - x*sum(w*x)/h^3, of which nothing is left where one x is nearly all of
h. The sums over all places but one are written as such; `opt.others` makes all of them in linear time, and
goes by the quotient rule where no x is most of h.

Those of which there are several to one norm, as in products of matrices, stay as they are, and so do norms
per row: in short rows one number often is most of a norm, and the sums without it would be dear.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from symgrad.grad.norm_sides import sides_of
from symgrad.grad.sweep import pullback
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.places import places_of
from symgrad.ir.product import Product, product_of, whole_of
from symgrad.ir.reduce import conjunction, reduce
from symgrad.ir.stability.patterns import all_factors, quotient_of, without
from symgrad.records import dataclass

_MOST_FACTORS = 12


@dataclass(frozen=True)
class Cosines:
    """factor * sum over `red` of rest * x/h * y/k * ..., for sides x, y of different norms h, k.

    quotient  the sum over the norms, as it is written.
    cosines   x/h, y/k: `norm_cosine`.
    """

    red: tuple[Node, ...]
    cosines: tuple[Node, ...]
    rest: Node
    quotient: Node
    factor: Node


def cosines_in(g: Graph, bodies: Iterable[Node], apart: Container[TensorId] = ()) -> dict[Node, Cosines]:
    """Such quotients in some bodies; none that reads definitions `apart`."""
    found: dict[Node, Cosines] = {}
    for n in g.reachable(bodies) if g.stabilise and "norm" in g.present else ():
        made = _cosines(g, n) if g.op[n] == "div" else None
        read = [g.args[r][0] for r in g.reads((n,))] if made is not None else []
        if made is not None and not any(t in apart and g.tensors[t].kind != "input" for t in read):
            found[n] = made
    return found


def _cosines(g: Graph, n: Node) -> Cosines | None:
    whole = product_of(g, n, _MOST_FACTORS)
    norms = [f for f in dict.fromkeys(whole.below) if g.op[f] == "norm"] if whole is not None else []
    norms = [f for f in norms if g.args[f][0] != g.args[f][2] and not g.axes[f]]  # of sums over axes
    for k, p in enumerate(whole.above if whole is not None and norms else ()):
        red, body = _opened(g, p)
        cosines, used = list[Node](), list[Node]()
        for norm in norms:
            made = _apart(g, red, body, norm) if g.axes[p] <= g.axes[norm] else None
            if made is not None:
                cosine, body = made
                cosines.append(cosine)
                used.append(norm)
        if used and whole is not None:
            below = list(whole.below)
            for norm in used:
                below.remove(norm)
            factor = whole_of(g, Product(whole.number, tuple(without([*whole.above], k)), tuple(below)))
            return Cosines(red, tuple(cosines), body, quotient_of(g, [p], used), factor)
    return None


def _opened(g: Graph, node: Node) -> tuple[tuple[Node, ...], Node]:
    """The axes of a sum that is read, and what it adds up over them; anything else over none."""
    if g.op[node] != "read" or g.tensors[g.args[node][0]].kind != "sum":
        return (), node
    tensor = g.tensors[g.args[node][0]]
    red = {r: g.fresh_axis(g.extent(r)) for r in tensor.red}
    places = dict(zip(tensor.out, g.args[node][1:], strict=True))
    return tuple(red.values()), g.substitute(tensor.body, {**red, **places})


def _apart(g: Graph, red: Sequence[Node], body: Node, norm: Node) -> tuple[Node, Node] | None:
    """(x/h, the rest) of a product with a side x of the norm h as a factor, another x for all of `red`."""
    above, below = all_factors(g, body)
    for side in sides_of(g, norm) or ():
        for k, x in enumerate(above):
            place = places_of(g, side.x, {}, side.red, x) if above.count(x) == 1 else None
            if place is not None and {*red} <= {*place}:
                cosine = g.substitute(side.cosine, dict(zip(side.red, place, strict=True)))
                return cosine, quotient_of(g, without(above, k), below)
    return None


def _slopes(g: Graph, cosines: Cosines) -> Iterator[tuple[tuple[Node, ...], Node, Node]]:
    """Axes, a node over them and the derivative of the quotient by that: of the sides, and of the rest."""
    for k, cosine in enumerate(cosines.cosines):
        _, q, root = g.args[cosine]
        norm = g.args[root][0]
        beside = g.mul(cosines.rest, quotient_of(g, without([*cosines.cosines], k), []))
        own = g.div(g.mul(g.div(g.div(q, root), root), beside), root)
        for side in sides_of(g, norm) or ():
            place = places_of(g, side.cosine, {}, side.red, cosine)
            here = g.false if place is None else conjunction(g, list(map(g.ieq, side.red, place)))
            there = g.node("not", here)
            inverse = {} if place is None else dict(zip(place, side.red, strict=True))
            at = {a: r for a, r in inverse.items() if a in cosines.red}
            # By the scaled length, with the power of two last, as h itself may be far out.
            power = g.node("scaled", g.one, g.args[norm][1])
            slope = g.mul(g.mul(side.weight, g.div(side.cosine, root)), _at_others(g, cosines, there))
            if cosines.red:
                both = g.sub(g.substitute(own, at), slope) if place is not None else g.neg(slope)
                yield side.red, side.x, g.mul(power, both)
            else:
                parts = (g.mask(here, own), g.mask(there, g.neg(slope)))
                yield side.red, side.x, g.sum_of(g.mul(power, part) for part in parts)
    yield cosines.red, cosines.rest, quotient_of(g, [*cosines.cosines], [])


def _at_others(g: Graph, cosines: Cosines, there: Node) -> Node:
    """The quotient of what is summed at the places `there`; a single place is there, or adds nothing."""
    if not cosines.red:
        return g.mul(cosines.rest, quotient_of(g, [*cosines.cosines], []))
    # Of sides, and not of cosines, each of which depends on all sides.
    sides, _, roots = zip(*(g.args[u] for u in cosines.cosines), strict=True)
    p = reduce(g, "sum", cosines.red, g.mask(there, g.mul(cosines.rest, quotient_of(g, [*sides], []))))
    for root in roots:
        p = g.div(p, root)
    return p


def pulled(
    g: Graph, cosines: Cosines, loops: Sequence[Node], bar: Node, active: frozenset[TensorId]
) -> Iterator[tuple[tuple[Node, ...], dict[Node, Node]]]:
    """What a quotient but for its factor pulls back: the loops, and the cotangents of what is read there."""
    bar = g.mul(bar, cosines.factor)
    if bar == g.zero:
        return
    for axes, node, slope in _slopes(g, cosines):
        yield (*loops, *axes), pullback(g, {node: g.mul(bar, slope)}, active)


def moved(g: Graph, cosines: Cosines, tangent_of: Callable[[Node], Node]) -> Node:
    """The tangent of a quotient from those of its sides and its other factors."""
    total = g.mul(tangent_of(cosines.factor), cosines.quotient)
    for axes, node, slope in _slopes(g, cosines):
        part = reduce(g, "sum", axes, g.mul(slope, tangent_of(node)))
        total = g.add(total, g.mul(cosines.factor, part))
    return total
