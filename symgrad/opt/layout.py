"""Which axis of a stored tensor is contiguous: the one that costs its readers and itself least.

The order of a definition's axes comes from the expression; here it becomes the order in memory. Outputs and
inputs keep theirs, the user sees them. A definition costs its typical number of turns times the price of
one: its innermost loop walks each tensor with stride one, or not at all, or from line to line. Every loop
of a definition may be the innermost one, and the cheapest is (`loops.order` chooses the same way). Matrix
products take every order (`nest.Contract`) and have no say.

Tensors are visited from the last to the first, a few times over: each takes the axis that makes the
definitions around it cheapest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.ir.bounds import typical
from symgrad.ir.contraction import terms_of
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.opt.rebuild import Copy, copy_with, linked

_MOVABLE = ("map", "sum", "prod", "max", "min", "logsumexp")
_UNIT, _STRIDED = 1, 8  # price of one access per turn of the innermost loop, as in `loops.order`
_VISITS = 3
_SHORT = 4  # a loop that is typically shorter pays for nothing

Access = tuple[TensorId, tuple[Node, ...]]


def layout(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Reorder the axes of stored definitions so that the axis that costs least comes last."""
    orders = _Layout(g, roots).orders()
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


class _Layout:
    """The search; `last[t]` is the position of the axis of `t` that lies contiguous."""

    def __init__(self, g: Graph, roots: Sequence[TensorId]) -> None:
        self.g = g
        below = g.definitions_below(roots)
        fixed = linked(g, below) | set(roots)
        self.movable = [t for t in below if g.tensors[t].kind in _MOVABLE and g.tensors[t].rank > 1
                        and t not in fixed]  # fmt: skip
        self.last = {t: g.tensors[t].rank - 1 for t in self.movable}
        self.accesses: dict[TensorId, list[Access]] = {}
        self.around: dict[TensorId, dict[TensorId, None]] = {t: {t: None} for t in self.movable}
        for t in below:
            if g.tensors[t].kind in _MOVABLE and not terms_of(g, g.tensors[t]):
                self._look_at(t)

    def _look_at(self, t: TensorId) -> None:
        g, found = self.g, [(t, self.g.tensors[t].out)]
        for read in g.reads_of(t):
            s, *index = g.args[read]
            if index:
                found.append((s, tuple(index)))
            if s in self.around:
                self.around[s][t] = None
        self.accesses[t] = found

    def orders(self) -> dict[TensorId, tuple[int, ...]]:
        """New positions of the axes, for the definitions that should change."""
        for _ in range(_VISITS if self.movable else 0):
            before = dict(self.last)
            for t in reversed(self.movable):
                self._visit(t)
            if before == self.last:
                break
        ranks = {t: self.g.tensors[t].rank for t in self.movable}
        return {t: (*(p for p in range(ranks[t]) if p != last), last)
                for t, last in self.last.items() if last != ranks[t] - 1}  # fmt: skip

    def _visit(self, t: TensorId) -> None:
        costs = {}
        now = self.last[t]
        for place in range(self.g.tensors[t].rank):
            self.last[t] = place
            costs[place] = sum(self._cost(u) for u in self.around[t])
        best = min(costs, key=lambda p: (costs[p], p != now, -p))
        self.last[t] = best

    def _cost(self, t: TensorId) -> float:
        g, tensor = self.g, self.g.tensors[t]
        if t not in self.accesses:
            return 0
        lengths = {a: typical(g, g.extent(a)) for a in (*tensor.out, *tensor.red)}
        candidates = [a for a, length in lengths.items() if length >= _SHORT] or list(lengths)
        turns = 1
        for length in lengths.values():
            turns *= length
        return turns * min((self._price(t, a, lengths) for a in candidates), default=0)

    def _price(self, t: TensorId, axis: Node, lengths: Mapping[Node, int]) -> float:
        """Of one turn with this innermost loop; the result of a sum in a register is written once."""
        g, total = self.g, 0.0
        for s, index in self.accesses[t]:
            contiguous = index[self.last.get(s, len(index) - 1)] if index else None
            if s == t and axis in g.tensors[t].red:
                total += _UNIT / lengths[axis]
            for i in index:
                k = g.linear(i)[1].get(axis, 0) if axis in g.axes[i] else None
                if k is not None:
                    total += _UNIT if i == contiguous and k == 1 else _STRIDED
        return total
