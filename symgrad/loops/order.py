"""Which loop goes where: outputs outside, and inside the axis that walks memory with stride one."""

from __future__ import annotations

from symgrad.ir.bounds import typical
from symgrad.ir.graph import Graph, Node, Tensor

_UNIT, _STRIDED = 1, 8  # relative price of one access per turn of the inner loop


def loop_order(g: Graph, tensor: Tensor) -> list[Node]:
    """The axes of a definition, outermost first."""
    axes = [*tensor.out, *tensor.red]
    if tensor.kind == "scatter" or len(axes) < 2:
        return axes
    accesses = [g.args[r][1:] for r in g.reads(tensor.bodies)]
    writes = [tensor.out] * (2 if tensor.red else 1)
    inner = min(axes, key=lambda a: (_price(g, a, [*accesses, *writes]), a in tensor.red, -axes.index(a)))
    if typical(g, g.extent(inner)) < 4:  # too short to pay for; keep the natural order
        return axes
    return [a for a in axes if a != inner] + [inner]


def _price(g: Graph, axis: Node, accesses: list[tuple[Node, ...]]) -> int:
    total = 0
    for index in accesses:
        for place, i in enumerate(index):
            if axis not in g.axes[i]:
                continue
            k = g.linear(i)[1].get(axis, 0)
            total += _UNIT if place == len(index) - 1 and k == 1 else _STRIDED
    return total
