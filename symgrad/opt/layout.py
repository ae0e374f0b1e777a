"""Which axis of a stored tensor is contiguous: the one that costs its readers and itself least.

The order of a definition's axes comes from the expression; here it becomes the order in memory. Outputs and
inputs keep theirs, the user sees them. A definition costs its typical number of turns times the price of
one: its innermost loop walks each tensor with stride one, or not at all, or from line to line. Every loop
of a definition may be the innermost one, and the cheapest is (`loops.order` chooses the same way). Matrix
products take every order (`nest.Contract`), but an operand whose rows are not contiguous is packed, and such
a result is copied, number by number.

Tensors are visited from the last to the first, a few times over: each takes the axis that makes the
definitions around it cheapest. Then all that have an axis in common, because loops walk them together, take
it at once where that is cheaper: one of them alone would not; and what one definition makes, with what it
reads. The other axes of what products multiply follow each other as in the result: axes that do so in both
are one axis to the product. What a product sums over comes behind the axes of its batches, before all others.

What a choice changes is the price of the reads of that tensor: the sums around it are kept, and each visit
takes time by the number of those reads, also where a definition reads hundreds of tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from operator import add

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
    orders = Layout(g, roots).orders()
    if not orders:
        return g, {t: t for t in g.definitions_below(roots)}

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        return copy.reordered(t, orders[t]) if t in orders else None

    return copy_with(g, roots, on_tensor, orders=orders)


class Layout:
    """The search of `orders`; `last[t]` is the position of the axis of `t` that lies contiguous."""

    def __init__(self, g: Graph, roots: Sequence[TensorId]) -> None:
        self.g = g
        below = g.definitions_below(roots)
        fixed = linked(g, below) | set(roots)
        self.movable = [t for t in below if g.tensors[t].kind in _MOVABLE and g.tensors[t].rank > 1
                        and t not in fixed]  # fmt: skip
        self.last = {t: g.tensors[t].rank - 1 for t in self.movable}
        self.prices: dict[TensorId, _Walks | _Moves] = {}
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
            self.prices[t] = _Moves(self, t, terms)
        else:
            self.accesses[t] = found
            self.prices[t] = _Walks(self, t, found)

    def walking(self) -> float:
        """What the loops cost, without the matrix products, which have other loops."""
        return sum(price.cost() for price in self.prices.values() if isinstance(price, _Walks))

    def least_walking(self) -> float:
        """What they cost if every array were contiguous along every loop."""
        return sum(price.least() for price in self.prices.values() if isinstance(price, _Walks))

    def orders(self) -> dict[TensorId, tuple[int, ...]]:
        """New positions of the axes, for the definitions that should change."""
        self._visit_all()
        together = chain(self._common_axes(), self._axes_at_one())
        if sum(self._visit_together(places) for places in together):
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
                both = self.g.axes[term.a] & self.g.axes[term.b]
                around = max((p for p, axis in enumerate(axes) if axis in both), default=-1)
                for s, *index in (self.g.args[term.a], self.g.args[term.b]):
                    inner = index[self.last.get(s, -1)] not in axes
                    missing = len(axes) if inner else around + 0.5
                    places = [axes.index(i) if i in axes else missing for i in index]
                    found.setdefault(s, self._order(s, places))
        return {t: found.get(t) or self._order(t, range(self.g.tensors[t].rank)) for t in self.movable}

    def _order(self, t: TensorId, places: Sequence[float]) -> tuple[int, ...]:
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

    def _axes_at_one(self) -> Iterator[dict[TensorId, int]]:
        """The same for each axis of one definition alone: what it makes, and what it reads."""
        for found in self.accesses.values():
            of_axis: dict[Node, dict[TensorId, int]] = {}
            for s, index in found:
                for p, i in enumerate(index):
                    if s in self.last and self.g.op[i] == "axis":
                        of_axis.setdefault(i, {}).setdefault(s, p)
            for places in of_axis.values():
                if sum(self.last[s] != p for s, p in places.items()) > 1:
                    yield places

    def _visit_together(self, places: Mapping[TensorId, int]) -> bool:
        """Make these places contiguous if that is cheaper."""
        around = {u for t in places for u in self.around[t]}
        known = {t: self.last[t] for t in places}
        before = sum(self.prices[u].cost() for u in around)
        self.choose(places)
        if sum(self.prices[u].cost() for u in around) < _CHEAPER * before:
            return True
        self.choose(known)
        return False

    def choose(self, places: Mapping[TensorId, int]) -> None:
        """Make these places contiguous."""
        for t, place in places.items():
            if place != self.last[t]:
                self.last[t] = place
                for u in self.around[t]:
                    self.prices[u].follow(t)

    def _visit(self, t: TensorId) -> None:
        costs = {}
        now = self.last[t]
        for place in range(self.g.tensors[t].rank):
            self.choose({t: place})
            costs[place] = sum(self.prices[u].cost() for u in self.around[t])
        self.choose({t: min(costs, key=lambda p: (costs[p], p != now, -p))})

    def is_contiguous(self, s: TensorId, index: Sequence[Node], axes: Sequence[Node]) -> bool:
        """Whether one of the axes walks the tensor with stride one."""
        contiguous = self.contiguous(s, index)
        terms = {} if contiguous is None else self.g.linear(contiguous)[1]
        return any(terms.get(a) == 1 for a in axes)

    def contiguous(self, s: TensorId, index: Sequence[Node]) -> Node | None:
        """The index that moves by one element; an axis of extent 1 is none."""
        last, extents, one = self.last.get(s, len(index) - 1), self.g.tensors[s].extents, self.g.one
        if index and extents[last] != one:
            return index[last]
        return next((index[p] for p in reversed(range(len(index))) if extents[p] != one), None)


class _Walks:
    """What the loops of a definition cost: by innermost loop, the sum over its accesses of one turn."""

    def __init__(self, search: Layout, t: TensorId, accesses: Sequence[Access]) -> None:
        g, tensor = search.g, search.g.tensors[t]
        lengths = {a: typical(g, g.extent(a)) for a in (*tensor.out, *tensor.red)}
        self.search, self.accesses = search, accesses
        self.candidates = [a for a, length in lengths.items() if length >= _SHORT] or list(lengths)
        self.turns = prod(lengths.values())
        # The result of a sum in a register is written once.
        self.own = [_UNIT / lengths[a] if a in tensor.red else 0.0 for a in self.candidates]
        self.parts = [self._part(s, index) for s, index in accesses]
        self.sums = [sum(column) for column in zip(*self.parts, strict=True)]
        self.places = _places([(s,) for s, _ in accesses])

    def cost(self) -> float:
        return self.turns * min(map(add, self.own, self.sums), default=0)

    def least(self) -> float:
        """The cost if every access walked its tensor with stride one, or not at all."""
        axes = self.search.g.axes
        met = [frozenset[Node]().union(*(axes[i] for i in index)) for _, index in self.accesses]
        unit = [_UNIT * sum(axis in found for found in met) for axis in self.candidates]
        return self.turns * min(map(add, self.own, unit), default=0)

    def follow(self, s: TensorId) -> None:
        """Tensor `s` has another contiguous axis now."""
        for k in self.places.get(s, ()):
            new = self._part(*self.accesses[k])
            self.sums = [x - y + z for x, y, z in zip(self.sums, self.parts[k], new, strict=True)]
            self.parts[k] = new

    def _part(self, s: TensorId, index: Sequence[Node]) -> list[int]:
        """The price of one access, by innermost loop."""
        g, contiguous = self.search.g, self.search.contiguous(s, index)
        part = [0] * len(self.candidates)
        for i in index:
            for k, axis in enumerate(self.candidates):
                if axis in g.axes[i]:
                    is_next = i == contiguous and g.linear(i)[1].get(axis, 0) == 1
                    part[k] += _UNIT if is_next else _STRIDED
        return part


class _Moves:
    """What the matrix products that a definition is the sum of cost."""

    def __init__(self, search: Layout, t: TensorId, terms: Sequence[Term]) -> None:
        self.search, self.t, self.terms = search, t, terms
        axes = {group for term in terms for group in (term.rows, term.columns, term.depth)}
        self.volumes = {group: self._volume(group) for group in axes}
        self.parts = [self._part(term) for term in terms]
        self.sum = sum(self.parts)
        args = search.g.args
        self.places = _places([(t, args[term.a][0], args[term.b][0]) for term in terms])

    def cost(self) -> float:
        return self.sum

    def follow(self, s: TensorId) -> None:
        """Tensor `s` has another contiguous axis now."""
        for k in self.places.get(s, ()):
            new = self._part(self.terms[k])
            self.sum += new - self.parts[k]
            self.parts[k] = new

    def _part(self, term: Term) -> int:
        """The price of packing, copying, and numbers that lie apart, of the product or of its transpose."""
        search, out, volumes = self.search, self.search.g.tensors[self.t].out, self.volumes

        def price(a: Node, b: Node, rows: tuple[Node, ...], columns: tuple[Node, ...]) -> int:
            both = [c for c in columns if search.is_contiguous(self.t, out, (c,))]
            copying = not both
            packing = not search.is_contiguous(*self._access(b), both or columns)
            apart = not search.is_contiguous(*self._access(a), term.depth)
            wide, long, deep = volumes[columns], volumes[rows], volumes[term.depth]
            return _STRIDED * wide * (packing * deep + copying * long) + _APART * apart * long * deep

        return min(
            price(term.a, term.b, term.rows, term.columns), price(term.b, term.a, term.columns, term.rows)
        )

    def _access(self, read: Node) -> Access:
        s, *index = self.search.g.args[read]
        return s, tuple(index)

    def _volume(self, axes: Sequence[Node]) -> int:
        g = self.search.g
        return prod(typical(g, g.extent(a)) for a in axes)


def _places(tensors: Sequence[tuple[TensorId, ...]]) -> dict[TensorId, list[int]]:
    """For each tensor, where it occurs in the list."""
    found: dict[TensorId, dict[int, None]] = {}
    for k, together in enumerate(tensors):
        for s in together:
            found.setdefault(s, {})[k] = None
    return {s: [*places] for s, places in found.items()}
