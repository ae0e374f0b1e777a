"""Symmetric matrices are read in one order of their indices, so that W*G and W*G' of a symmetric G are one.

    sum over k of w[i, k]*g[k, j] + sum over k of w[i, k]*g[j, k]   =   2*(sum over k of w[i, k]*g[k, j])

Which matrices are symmetric is seen from the way they are made (`symmetry.py`): X'X, A + A', and what is made
of such entry by entry. The last index becomes the one that goes along the rows of the result, as loops and
matrix products walk them. Nothing changes where pairs of entries are to be equal to the bit (`opt.mirror`).
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.symmetry import symmetric_definitions
from symgrad.ir.tensor import Tensor
from symgrad.ir.triangle import mirrored_entry
from symgrad.opt.rebuild import Copy, copy_with


def symmetric(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Reads of symmetric definitions in one order."""
    below = g.definitions_below(roots)
    known = {t for t in symmetric_definitions(g, below) if g.tensors[t].rank == 2}
    readers = [t for t in below if not _is_mirrored(g, g.tensors[t])] if known else []
    turned = {(t, r) for t in readers for r in g.reads_of(t) if g.args[r][0] in known and _is_turned(g, t, r)}
    if not turned:
        return g, {t: t for t in below}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if (t, old) not in turned or copy.new.op[new] != "read":
            return new
        tensor, *index = copy.new.args[new]
        return copy.new.read(tensor, *reversed(index))

    return copy_with(g, roots, on_node=on_node)


def _is_mirrored(g: Graph, tensor: Tensor) -> bool:
    """Whether one triangle is computed and copied: then both are the same to the bit, whatever is read."""
    return tensor.kind == "map" and mirrored_entry(g, tensor.out, tensor.body) is not None


def _is_turned(g: Graph, t: TensorId, read: Node) -> bool:
    """Whether the second index has its axes before those of the first in the result."""
    out, (_, *index) = g.tensors[t].out, g.args[read]
    first, second = (max((out.index(a) for a in g.axes[i] if a in out), default=-1) for i in index)
    return second < first or (second == first == -1 and index != sorted(index))
