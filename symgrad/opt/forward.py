"""Maps that only copy, in any order of axes, are read where they copy from."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, Tensor, TensorId
from symgrad.opt.rebuild import Copy, copy_with, linked


def forward(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Read what copies copy; outputs, and what recurrences are made of, stay."""
    below = g.definitions_below(roots)
    fixed = linked(g, below) | set(roots)
    copies = {t for t in below if t not in fixed and _is_copy(g, g.tensors[t])}
    if not copies:
        return g, {t: t for t in below}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if copy.old.op[old] != "read" or copy.old.args[old][0] not in copies:
            return new
        source = copy.new.tensors[copy.tensors[copy.old.args[old][0]]]
        return copy.new.substitute(source.body, dict(zip(source.out, copy.new.args[new][1:], strict=True)))

    return copy_with(g, roots, on_node=on_node)


def _is_copy(g: Graph, tensor: Tensor) -> bool:
    """T[i, j] = S[j, i]: every element of S, each once."""
    if tensor.kind != "map" or g.op[tensor.body] != "read" or not tensor.out:
        return False
    index = g.args[tensor.body][1:]
    return set(index) == set(tensor.out) and len(index) == len(tensor.out)  # in range: extents fit
