"""Which axis of a stored tensor is contiguous: the one that costs its readers and itself least.

The order of a definition's axes comes from the expression; here it becomes the order in memory. Outputs and
inputs keep theirs, the user sees them. A definition costs its typical number of turns times the price of
one: its innermost loop walks each tensor with stride one, or not at all, or from line to line. Every loop
of a definition may be the innermost one, and the cheapest is (`loops.order` chooses the same way). Matrix
products take every order (`nest.Contract`), but an operand whose rows are not contiguous is packed, and such
a result is copied, number by number.

Tensors are visited from the last to the first, a few times over: each takes the axis that makes the
definitions around it cheapest. Then all that have an axis in common, because loops walk them together, take
it at once where that is cheaper: one of them alone would not. The other axes of what products multiply follow
each other as in the result: axes that do so in both are one axis to the product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from symgrad.ir.bounds import typical
from symgrad.ir.contraction import Term, terms_of
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.opt.rebuild import Copy, copy_with, linked

_MOVABLE = ("map", "sum", "prod", "max", "min", "logsumexp")
_UNIT, _STRIDED = 1, 8  # price of one access per turn of the innermost loop, as in `loops.order`
_APART = 2  # price of a number that a product takes from a line of its own
_VISITS = 3
_CHEAPER = 0.95  # what a change of several tensors has to come down to
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
        self.products: dict[TensorId, tuple[Term, ...]] = {}
        for t in below:
            if g.tensors[t].kind in _MOVABLE:
                self._look_at(t)

    def _look_at(self, t: TensorId) -> None:
        g, found = self.g, [(t, self.g.tensors[t].out)]
        for read in g.reads_of(t):
            s, *index = g.args[read]
            if index:
                found.append((s, tuple(index)))
            if s in self.around:
                self.around[s][t] = None
        if terms := terms_of(g, g.tensors[t]):
            self.products[t] = terms
        else:
            self.accesses[t] = found

    def orders(self) -> dict[TensorId, tuple[int, ...]]:
        """New positions of the axes, for the definitions that should change."""
        self._visit_all()
        if any(self._visit_together(places) for places in self._common_axes()):
            self._visit_all()
        return {
            t: order for t, order in self._orders_in_memory().items() if order != tuple(range(len(order)))
        }

    def _orders_in_memory(self) -> dict[TensorId, tuple[int, ...]]:
        """The contiguous axis last; the other axes of operands in the order that they have in the result."""
        found: dict[TensorId, tuple[int, ...]] = {}
        for t in reversed(self.products):  # results before what they are made of
            out = self.g.tensors[t].out
            axes = [out[p] for p in found.get(t) or self._order(t, range(len(out)))]
            for term in self.products[t]:
                for s, *index in (self.g.args[term.a], self.g.args[term.b]):
                    inner = index[self.last.get(s, -1)] not in axes
                    places = [axes.index(i) if i in axes else len(axes) * inner - 1 for i in index]
                    found.setdefault(s, self._order(s, places))
        return {t: found.get(t) or self._order(t, range(self.g.tensors[t].rank)) for t in self.movable}

    def _order(self, t: TensorId, places: Sequence[int]) -> tuple[int, ...]:
        """The positions of the axes by their places, but the contiguous one last."""
        last = self.last.get(t, -1)
        return tuple(sorted(range(len(places)), key=lambda p: (p == last, places[p], p)))

    def _visit_all(self) -> None:
        for _ in range(_VISITS if self.movable else 0):
            before = dict(self.last)
            for t in reversed(self.movable):
                self._visit(t)
            if before == self.last:
                break

    def _common_axes(self) -> list[dict[TensorId, int]]:
        """For each axis that several tensors have in common, its place in each of them."""
        joined: dict[tuple[TensorId, int], tuple[TensorId, int]] = {}

        def first(place: tuple[TensorId, int]) -> tuple[TensorId, int]:
            while (before := joined.setdefault(place, place)) != place:
                joined[place] = joined[before]
                place = before
            return place

        for found in self.accesses.values():
            of_axis: dict[Node, tuple[TensorId, int]] = {}
            for s, index in found:
                for p, i in enumerate(index):
                    if self.g.op[i] == "axis":
                        joined[first((s, p))] = first(of_axis.setdefault(i, (s, p)))
        groups: dict[tuple[TensorId, int], dict[TensorId, int]] = {}
        for s, p in joined:
            if s in self.last:
                groups.setdefault(first((s, p)), {}).setdefault(s, p)
        return [group for group in groups.values() if len(group) > 1]

    def _visit_together(self, places: Mapping[TensorId, int]) -> bool:
        """Make these places contiguous if that is cheaper."""
        around = {u for t in places for u in self.around[t]}
        known, before = dict(self.last), sum(map(self._cost, around))
        self.last.update(places)
        if sum(map(self._cost, around)) < _CHEAPER * before:
            return True
        self.last = known
        return False

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
            return sum(self._moves(t, term) for term in self.products.get(t, ()))
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
            contiguous = self._contiguous(s, index)
            if s == t and axis in g.tensors[t].red:
                total += _UNIT / lengths[axis]
            for i in index:
                k = g.linear(i)[1].get(axis, 0) if axis in g.axes[i] else None
                if k is not None:
                    total += _UNIT if i == contiguous and k == 1 else _STRIDED
        return total

    def _moves(self, t: TensorId, term: Term) -> float:
        """The price of packing, copying, and numbers that lie apart, of the product or of its transpose."""
        out = self.g.tensors[t].out

        def price(a: Node, b: Node, rows: Sequence[Node], columns: Sequence[Node]) -> float:
            both = [c for c in columns if self._is_contiguous(t, out, (c,))]
            copying = not both
            packing = not self._is_contiguous(*self._access(b), both or columns)
            apart = not self._is_contiguous(*self._access(a), term.depth)
            return _STRIDED * self._volume(columns) * (
                packing * self._volume(term.depth) + copying * self._volume(rows)
            ) + _APART * apart * self._volume(rows) * self._volume(term.depth)  # fmt: skip

        return min(
            price(term.a, term.b, term.rows, term.columns), price(term.b, term.a, term.columns, term.rows)
        )

    def _access(self, read: Node) -> Access:
        s, *index = self.g.args[read]
        return s, tuple(index)

    def _is_contiguous(self, s: TensorId, index: Sequence[Node], axes: Sequence[Node]) -> bool:
        """Whether one of the axes walks the tensor with stride one."""
        contiguous = self._contiguous(s, index)
        terms = {} if contiguous is None else self.g.linear(contiguous)[1]
        return any(terms.get(a) == 1 for a in axes)

    def _contiguous(self, s: TensorId, index: Sequence[Node]) -> Node | None:
        """The index that moves by one element; an axis of extent 1 is none."""
        last, extents = self.last.get(s, len(index) - 1), self.g.tensors[s].extents
        places = [*(p for p in range(len(index)) if p != last), last] if index else []
        return next((index[p] for p in reversed(places) if extents[p] != self.g.one), None)

    def _volume(self, axes: Sequence[Node]) -> int:
        return prod(typical(self.g, self.g.extent(a)) for a in axes)
