"""Which loop goes where: outputs outside, and inside the axis that walks memory with stride one.

A loop of which a condition leaves one turn goes into those that say which.
"""

from __future__ import annotations

from symgrad.ir.bounds import typical
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjuncts
from symgrad.ir.tensor import Tensor

_UNIT, _STRIDED = 1, 8  # relative price of one access per turn of the inner loop


def loop_order(g: Graph, tensor: Tensor) -> list[Node]:
    """The axes of a definition, outermost first."""
    order = _by_memory(g, tensor)
    for axis, value in pinned(g, tensor):  # inside the loops that say at which place it is
        before = [a for a in order if a in g.axes[value]]
        last = max(map(order.index, before), default=-1)
        if order.index(axis) < last:
            order.insert(last + 1, axis)
            order.remove(axis)
    return order


def pinned(g: Graph, tensor: Tensor) -> list[tuple[Node, Node]]:
    """(axis, value) where a sum counts one place of an axis only: that which a value of other axes names.

    `sum over k of [i == v(k)] f(i, k)` is one turn for each k, not one for each i and k.
    """
    if tensor.kind != "sum" or g.op[tensor.body] != "mask":
        return []
    found = [place_named(g, p) for p in conjuncts(g, g.args[tensor.body][0])]
    return [pair for pair in found if pair is not None and pair[0] in tensor.out]


def place_named(g: Graph, condition: Node) -> tuple[Node, Node] | None:
    """(axis, value) of a condition that an axis, as a number, equals a value without it."""
    if g.op[condition] != "eq":
        return None
    for number, value in (g.args[condition], g.args[condition][::-1]):
        axis = g.args[number][0] if g.op[number] == "cast" else None
        if axis is not None and g.op[axis] == "axis" and g.axes[value] and axis not in g.axes[value]:
            return axis, value
    return None


def _by_memory(g: Graph, tensor: Tensor) -> list[Node]:
    axes = [*tensor.out, *tensor.red]
    if tensor.kind == "scatter" or len(axes) < 2:
        return axes
    accesses = [_moving(g, g.args[r][0], g.args[r][1:]) for r in g.reads(tensor.bodies)]
    writes = [tensor.out] * (2 if tensor.red else 1)
    inner = min(axes, key=lambda a: (_price(g, a, [*accesses, *writes]), a in tensor.red, -axes.index(a)))
    if typical(g, g.extent(inner)) < 4:  # too short to pay for; keep the natural order
        return axes
    return [a for a in axes if a != inner] + [inner]


def _moving(g: Graph, t: TensorId, index: tuple[Node, ...]) -> tuple[Node, ...]:
    """The indices of a read but those of axes of extent 1, which lie beside no other element."""
    return tuple(i for i, e in zip(index, g.tensors[t].extents, strict=True) if e != g.one)


def _price(g: Graph, axis: Node, accesses: list[tuple[Node, ...]]) -> int:
    total = 0
    for index in accesses:
        for place, i in enumerate(index):
            if axis not in g.axes[i]:
                continue
            k = g.linear(i)[1].get(axis, 0)
            total += _UNIT if place == len(index) - 1 and k == 1 else _STRIDED
    return total
