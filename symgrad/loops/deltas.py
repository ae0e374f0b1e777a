"""Terms of a map that are zero but on a diagonal: added where they live, not tested everywhere.

`T[i, j] = a(i, j) + [i == j + 1]*b(i)` is stored as `a`, then `b` is added along one loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.ir.bounds import is_nonnegative
from symgrad.ir.graph import Graph, Node, Tensor
from symgrad.ir.reduce import additive_terms, conjunction, conjuncts


@dataclass(frozen=True)
class Delta:
    """One term: `value`, added at `axis` = `place` where the `guards` hold; no axis is `axis` any more."""

    axis: Node
    place: Node
    guards: list[Node]
    value: Node


def split_deltas(g: Graph, tensor: Tensor, time: Node | None = None) -> tuple[Node, list[Delta]]:
    """(the rest of the body, the diagonal terms) of a map; `time` is an axis that has no loop here."""
    axes = [a for a in tensor.out if a != time]
    dense, deltas = g.zero, []
    for sign, term in additive_terms(g, tensor.body):
        delta = _delta(g, axes, sign, term)
        if delta is not None:
            deltas.append(delta)
        else:
            dense = g.add(dense, term) if sign > 0 else g.sub(dense, term)
    return (dense, deltas) if deltas else (tensor.body, [])


def _delta(g: Graph, axes: list[Node], sign: int, term: Node) -> Delta | None:
    """The term as a Delta if one of its conditions fixes an axis of the result."""
    if g.op[term] != "mask":
        return None
    predicate, value = g.args[term]
    parts = conjuncts(g, predicate)
    for equation in parts:
        if g.op[equation] != "ieq":
            continue
        index = g.args[equation][0]
        _, terms = g.linear(index)
        for axis in reversed(axes):
            k = terms.get(axis, 0)
            if abs(k) == 1 and not any(axis in g.axes[a] for a in terms if a != axis):
                place = g.iscale(g.isub(index, g.iscale(axis, k)), -k)  # k is 1 or -1, so 1/k = k
                rest = [p for p in parts if p != equation]
                return _at(g, axis, place, rest, value if sign > 0 else g.neg(value))
    return None


def _at(g: Graph, axis: Node, place: Node, rest: list[Node], value: Node) -> Delta:
    limits = (place, g.isub(g.iadd(g.extent(axis), g.const(-1)), place))
    guards = [g.ige0(i) for i in limits if not is_nonnegative(g, i)]
    moved = g.substitute(g.mask(conjunction(g, rest), value), {axis: place})
    if g.op[moved] == "mask":
        return Delta(axis, place, [*guards, *conjuncts(g, g.args[moved][0])], g.args[moved][1])
    return Delta(axis, place, guards, moved)
