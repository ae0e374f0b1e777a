"""Which axis of a stored tensor is contiguous: the one its readers and its own operands walk.

The order of a definition's axes comes from the expression; here it becomes the order in memory.
Outputs keep theirs, the user sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, TensorId
from symgrad.opt.rebuild import Copy, copy_with, linked

_MOVABLE = ("map", "sum", "prod", "max", "min", "logsumexp")
_READER_OUT, _READER_RED, _OPERAND = 2, 1, 1  # votes


def layout(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Reorder the axes of stored definitions so that the axis with most votes comes last."""
    orders = _orders(g, roots)
    if not orders:
        return g, {t: t for t in g.definitions_below(roots)}

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        order = orders.get(t)
        if order is None:
            return None
        made, old = copy.bodies(t), copy.old.tensors[t]
        body, axes = made[0], made[1 + len(old.extents) :]
        out, red = axes[: len(old.out)], axes[len(old.out) :]
        return copy.new.define(old.kind, [out[p] for p in order], red, body)

    return copy_with(g, roots, on_tensor, orders=orders)


def _orders(g: Graph, roots: Sequence[TensorId]) -> dict[TensorId, tuple[int, ...]]:
    """New positions of the axes, for the definitions that should change."""
    below = g.definitions_below(roots)
    fixed = linked(g, below) | set(roots)
    votes = {t: [0] * g.tensors[t].rank for t in below
             if g.tensors[t].kind in _MOVABLE and g.tensors[t].rank > 1 and t not in fixed}  # fmt: skip
    orders: dict[TensorId, tuple[int, ...]] = {}
    for t in reversed(below):  # readers first: what they walk is settled when they vote
        tensor = g.tensors[t]
        order = _order(_with_operands(g, t, votes[t])) if t in votes else None
        if order is not None:
            orders[t] = order
        inner = tensor.out[order[-1]] if order is not None else tensor.out[-1] if tensor.out else None
        for read in g.reads_of(t):
            s, *index = g.args[read]
            for place, i in enumerate(index if s in votes else ()):
                votes[s][place] += _READER_OUT * (i == inner) + _READER_RED * (i in tensor.red)
    return orders


def _with_operands(g: Graph, t: TensorId, votes: list[int]) -> list[int]:
    """The votes of the readers, and one for each operand that walks an axis with stride one."""
    out, total = g.tensors[t].out, list(votes)
    for read in g.reads_of(t):
        index = g.args[read][1:]
        if index and index[-1] in out:
            total[out.index(index[-1])] += _OPERAND
    return total


def _order(votes: list[int]) -> tuple[int, ...] | None:
    """The axis with most votes last, the others as they were; None if it is last already."""
    best = max(range(len(votes)), key=lambda p: (votes[p], p))
    if best == len(votes) - 1:
        return None
    return (*(p for p in range(len(votes)) if p != best), best)
