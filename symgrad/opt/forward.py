"""Maps that only copy, in any order of axes, are read where they copy from.

An output that only copies is what it copies, with its axes in the order of the output:

    S[j, i] = sum over k of A[i, k]*B[j, k];  T[i, j] = S[j, i]    becomes    T[i, j] = the same sum
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.tensor import Tensor
from symgrad.opt.rebuild import Copy, copy_with, linked

_MADE = ("map", "sum", "prod", "max", "min", "logsumexp")  # definitions whose axes may change places


def forward(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Read what copies copy; what recurrences are made of stays."""
    below = g.definitions_below(roots)
    fixed = linked(g, below) | set(roots)
    all_copies = [t for t in below if _is_copy(g, g.tensors[t])]
    copies = {t for t in all_copies if t not in fixed}
    sources: dict[TensorId, TensorId] = {}  # of an output, by what it copies
    for t in all_copies:
        s = _copied(g, t)
        if t in roots and s not in fixed and s not in copies and g.tensors[s].kind in _MADE:
            sources.setdefault(s, t)
    if not copies and not sources:
        return g, {t: t for t in below}
    orders = {s: _order(g, t) for s, t in sources.items()}
    outputs = {t: s for s, t in sources.items()}

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        if t in outputs:
            return copy.tensors[outputs[t]]
        return copy.reordered(t, orders[t], on_node) if t in orders else None

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if copy.old.op[old] != "read" or copy.old.args[old][0] not in copies:
            return new
        source = copy.new.tensors[copy.tensors[copy.old.args[old][0]]]
        return copy.new.substitute(source.body, dict(zip(source.out, copy.new.args[new][1:], strict=True)))

    return copy_with(g, roots, on_tensor, on_node, orders=orders)


def _copied(g: Graph, copy: TensorId) -> TensorId:
    return int(g.args[g.tensors[copy].body][0])


def _order(g: Graph, copy: TensorId) -> tuple[int, ...]:
    """Which axis of what is copied each axis of the copy is."""
    tensor = g.tensors[copy]
    index = g.args[tensor.body][1:]
    return tuple(index.index(axis) for axis in tensor.out)


def _is_copy(g: Graph, tensor: Tensor) -> bool:
    """T[i, j] = S[j, i]: every element of S, each once."""
    if tensor.kind != "map" or g.op[tensor.body] != "read" or not tensor.out:
        return False
    index = g.args[tensor.body][1:]
    return set(index) == set(tensor.out) and len(index) == len(tensor.out)  # in range: extents fit
