"""Which matrices are symmetric by the way they are made."""

from __future__ import annotations

from collections.abc import Iterable

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.call import Array

_MOST = 1000  # nodes that are looked at


def is_symmetric(g: Graph, a: Array) -> bool:
    """Whether swapping rows and columns gives the same expression, for all one can see.

    Reads of definitions that are symmetric themselves (X^T X, A + A^T) count as equal when swapped.
    """
    rows, columns = a.extents
    if rows != columns:
        return False
    i, j = g.fresh_axis(rows), g.fresh_axis(columns)
    body = a.at(i, j)
    below = g.definitions_below({g.args[r][0] for r in g.reads((body,))})
    if len(g.reachable((body,))) > _MOST or len(below) > _MOST:
        return False
    return _is_unchanged(g, body, i, j, symmetric_definitions(g, below))


def symmetric_definitions(g: Graph, tensors: Iterable[TensorId]) -> set[TensorId]:
    """Those of some tensors, which follow what they read, that are symmetric matrices."""
    known: set[TensorId] = set()
    for t in tensors:
        if _is_symmetric_definition(g, t, known):
            known.add(t)
    return known


def _is_symmetric_definition(g: Graph, t: TensorId, known: set[TensorId]) -> bool:
    tensor = g.tensors[t]
    if len(tensor.out) != 2 or tensor.kind not in ("map", "sum"):
        return tensor.kind == "call" and tensor.name == "inverse_spd"
    i, j = tensor.out
    same = g.extent(i) == g.extent(j) and len(g.reachable((tensor.body,))) <= _MOST
    return same and _is_unchanged(g, tensor.body, i, j, known)


def _is_unchanged(g: Graph, body: Node, i: Node, j: Node, symmetric: set[TensorId]) -> bool:
    swapped = g.substitute(body, {i: j, j: i})
    return _sorted(g, body, symmetric) == _sorted(g, swapped, symmetric)


def _sorted(g: Graph, body: Node, symmetric: set[TensorId]) -> Node:
    """The indices of reads of symmetric matrices in one order."""
    order = {}
    for r in g.reads((body,)):
        t, *index = g.args[r]
        in_order = [*index[:-2], *sorted(index[-2:])]
        if t in symmetric and index != in_order:
            order[r] = g.read(t, *in_order)
    return g.substitute(body, order)
