"""Sums over axes as they are written, before anything is differentiated."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node
from symgrad.ir.reduce import reduce
from symgrad.ir.stability.centring import with_centring
from symgrad.ir.stability.half_centred import with_both_centred


def summed(g: Graph, axes: Sequence[Node], body: Node) -> Node:
    """The sum of the body over the axes, in a form that does not cancel if there is one."""
    if g.stabilise:
        axes, body = with_centring(g, axes, body)
        body = with_both_centred(g, axes, body)
    return reduce(g, "sum", axes, body)
