"""Of what is only read on a diagonal, only that is computed: trace(A*B) needs no product of matrices."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, TensorId
from symgrad.opt.rebuild import Copy, copy_with, linked

_KINDS = ("map", "sum", "prod", "max", "min", "logsumexp")


def diagonal(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """T[i, j], of which all readers read T[a, a], becomes T[i]."""
    below = g.definitions_below(roots)
    same = _same_indices(g, below, linked(g, below) | set(roots))
    orders = {t: tuple(p for p, first in enumerate(firsts) if p == first) for t, firsts in same.items()}
    if not orders:
        return g, {t: t for t in below}

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        if t not in orders:
            return None
        made, old = copy.bodies(t), copy.old.tensors[t]
        body, axes = made[0], made[1 + len(old.extents) :]
        out, red = axes[: len(old.out)], axes[len(old.out) :]
        onto = {out[p]: out[first] for p, first in enumerate(same[t])}
        return copy.new.define(old.kind, [out[p] for p in orders[t]], red, copy.new.substitute(body, onto))

    return copy_with(g, roots, on_tensor, orders=orders)


def _same_indices(
    g: Graph, below: Sequence[TensorId], fixed: set[TensorId]
) -> dict[TensorId, tuple[int, ...]]:
    """For each position the first one that has the same index in every read, where there are such."""
    found: dict[TensorId, tuple[int, ...]] = {}
    for t in below:
        for read in g.reads_of(t):
            s, *index = g.args[read]
            tensor = g.tensors[s]
            if tensor.kind not in _KINDS or s in fixed or tensor.rank < 2:
                continue
            groups = found.get(s) or tuple(tensor.extents.index(e) for e in tensor.extents)
            labels = list(zip(groups, index, strict=True))
            found[s] = tuple(labels.index(label) for label in labels)
    return {t: firsts for t, firsts in found.items() if len(set(firsts)) < len(firsts)}
