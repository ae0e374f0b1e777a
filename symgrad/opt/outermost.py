"""The products of a definition that passes take apart: each as a whole, and no part of it again."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId

PRODUCTS = frozenset(("mul", "div"))


def outermost_products(g: Graph, t: TensorId, nodes: Sequence[Node]) -> list[Node]:
    """Products and quotients among the nodes that are no factor of another one, or not only that."""
    outside = {*g.tensors[t].bodies}
    for n in nodes:
        if g.op[n] not in PRODUCTS:
            outside.update(g.children(n))
    return [n for n in nodes if g.op[n] in PRODUCTS and n in outside]
