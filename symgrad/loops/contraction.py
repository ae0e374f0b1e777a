"""Calls for the sums that are matrix products (`ir.contraction`).

In memory an axis is a stride, so transposed operands, slices and the windows of a convolution are all the
same. Axes that lie in memory like one longer axis are joined; of the others one of each kind goes to
`nest.Contract`, and loops stand around it.

The numbers differ from those of plain loops by the order in which the terms of a sum are added, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from symgrad.ir.bounds import typical
from symgrad.ir.contraction import Term
from symgrad.ir.graph import Node, TensorId
from symgrad.ir.triangle import is_symmetric_sum
from symgrad.loops.nest import (
    Contract,
    For,
    Least,
    Monomial,
    Poly,
    Start,
    Statement,
    Strided,
    poly,
    poly_add,
    poly_from,
    poly_mul,
    variable,
)
from symgrad.loops.triangles import is_read_only_where, is_zero_unless
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.loops.lower import Lowering
    from symgrad.loops.sweeps import Span

_LANES = 8  # numbers in a vector
_PACKING, _COPYING = 24, 32  # price of handling one number apart, in turns of the innermost loop

Place = tuple[str, tuple[Poly, ...]]  # a buffer and an index


# ---- memory --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Axis:
    """One loop: the axes it stands for, its strides in the two arrays that have it, a typical length."""

    members: tuple[Node, ...]
    extent: Poly
    strides: tuple[Poly, Poly]
    length: int

    def joined(self, inner: _Axis) -> _Axis | None:
        """Both loops as one, if both arrays are walked as by one."""
        if any(s != poly_mul(inner.extent, t) for s, t in zip(self.strides, inner.strides, strict=True)):
            return None
        members = (*self.members, *inner.members)
        return _Axis(members, poly_mul(self.extent, inner.extent), inner.strides, self.length * inner.length)


@dataclass(frozen=True)
class _Product:
    """One term with its axes as they lie in memory; strides are in (operand, c), of the depth in (a, b)."""

    a: Place
    b: Place
    rows: tuple[_Axis, ...]
    columns: tuple[_Axis, ...]
    depth: tuple[_Axis, ...]

    @property
    def turned(self) -> _Product:
        """c^T = b^T a^T."""
        depth = (_Axis(x.members, x.extent, x.strides[::-1], x.length) for x in self.depth)
        return _Product(self.b, self.a, self.columns, self.rows, tuple(depth))

    @property
    def inner(self) -> tuple[_Axis, _Axis, _Axis]:
        """The rows, columns and depth of the kernel."""
        row, deep = _longest(self.rows), _longest(self.depth)
        return row, min(self.columns, key=lambda x: _price(x, row, deep)), deep

    @property
    def price(self) -> float:
        row, column, deep = self.inner
        return _price(column, row, deep)


def _price(column: _Axis, row: _Axis, deep: _Axis) -> float:
    """Of one product, in turns of the innermost loop: empty lanes, packing of b, copying of c."""
    filled = -(-column.length // _LANES) * _LANES / column.length
    packing, copying = (stride != poly(1) for stride in column.strides)
    return filled * (1 + packing * _PACKING / row.length + copying * _COPYING / deep.length)


def _longest(axes: Sequence[_Axis]) -> _Axis:
    return max(axes, key=lambda x: x.length)


class Products:
    """The calls for one definition.

    times  where axes are whose loops are around everything.
    fill  appends loops that set the result to 0.
    span  the part of one of the axes that is made; the result may be what is there and more.
    """

    def __init__(
        self,
        low: Lowering,
        t: TensorId,
        times: Mapping[Node, Poly],
        fill: Callable[[], None],
        span: Span | None = None,
    ) -> None:
        self.span, self.adds_up = span, span is not None and span.adds_up
        self.low, self.g, self.t, self.tensor, self.fill = low, low.g, t, low.g.tensors[t], fill
        own = [a for a in (*self.tensor.out, *self.tensor.red) if a not in times]
        self.marks = {a: f"@{a}" for a in own}  # stand for axes until it is known which of them get loops
        self.places = {a: variable(mark) for a, mark in self.marks.items()}
        self.places.update(times)
        self.extents = {a: low.poly(self.g.extent(a)) for a in own}
        if span is not None:
            self._use_span(span)
        self.c = self._place(t, self.tensor.out)
        self.is_symmetric = not times and is_symmetric_sum(self.g, self.tensor)

    def _use_span(self, span: Span) -> None:
        """One axis starts later, and is as long as the span is."""
        self.places[span.axis] = poly_add(span.lower, self.places[span.axis])
        name = self.low.fresh_name("count")
        ends = (self.extents[span.axis], *span.upper)
        self.low.top.append(Least(name, tuple(poly_add(end, span.lower, -1) for end in ends)))
        self.extents[span.axis] = variable(name)

    def emit(self, terms: Sequence[Term]) -> None:
        """Append the calls to the routine."""
        for number, term in enumerate(terms):
            product = self._product(term)
            if product.turned.price < product.price:
                product = product.turned
            parts = len(product.depth) > 1
            if parts and number == 0:
                self.fill()
            self._emit_one(term, product, parts or number > 0 or self.adds_up)

    # ---- axes in memory --------------------------------------------------------------------

    def _product(self, term: Term) -> _Product:
        a, b, c = self._read(term.a), self._read(term.b), self.c
        pairs = ((term.rows, a, c), (term.columns, b, c), (term.depth, a, b))
        return _Product(a, b, *(self._axes(*pair) for pair in pairs))

    def _read(self, read: Node) -> Place:
        t, *index = self.g.args[read]
        return self._place(t, index)

    def _place(self, t: TensorId, index: Sequence[Node]) -> Place:
        return self.low.element(t, tuple(self.low.poly(i, self.places) for i in index))

    def _axes(self, axes: Sequence[Node], one: Place, other: Place) -> tuple[_Axis, ...]:
        """The axes as loops, joined where they can be."""
        loops: list[_Axis] = []
        for a in axes:
            strides = self._stride(one, self.marks[a]), self._stride(other, self.marks[a])
            extent = self.g.extent(a)
            axis = _Axis((a,), self.extents[a], strides, typical(self.g, extent))
            both = loops[-1].joined(axis) if loops else None
            loops[-1:] = [both] if both is not None else [*loops[-1:], axis]
        return tuple(loops)

    def _stride(self, place: Place, mark: str) -> Poly:
        """How many elements further the next index of an axis lies."""
        buffer, index = place
        number: Poly = ()
        for extent, i in zip(self.low.extents_of(buffer), index, strict=True):
            number = poly_add(poly_mul(number, extent), i)
        return poly_from({_without(names, mark): k for names, k in number if mark in names})

    # ---- statements ------------------------------------------------------------------------

    def _emit_one(self, term: Term, product: _Product, added: bool) -> None:
        low, inner = self.low, product.inner
        row, column, deep = inner
        inside = {m for axis in inner for m in axis.members}
        outside = [x for x in self.marks if x not in inside]
        names = {x: low.loop_name(d) for d, x in enumerate(outside)}
        at = {mark: names.get(x) for x, mark in self.marks.items()}
        limits = self._limits(term, product, names)
        for axis, limit in zip(inner, limits, strict=True):
            if limit is not None:
                at[self.marks[axis.members[0]]] = limit.first
        a, b, c = (_start(place, at) for place in (product.a, product.b, self.c))
        lower = self.is_symmetric and not outside
        rows, columns, depth = (
            axis.extent if limit is None else limit.extent for axis, limit in zip(inner, limits, strict=True)
        )
        body: list[Statement] = [
            Contract(
                rows, columns, depth,
                Strided(a, (row.strides[0], deep.strides[0])),
                Strided(b, (deep.strides[1], column.strides[0])),
                Strided(c, (row.strides[1], column.strides[1])),
                poly(int(added)), poly(term.scale), poly(int(lower)), low.scratch(),
            )
        ]  # fmt: skip
        for x in reversed(outside):
            body = [For(names[x], (poly(0),), (self.extents[x],), body)]
        low.top.extend(body)

    def _limits(
        self, term: Term, product: _Product, names: Mapping[Node, str]
    ) -> tuple[_Limit | None, _Limit | None, _Limit | None]:
        """What is left of the rows, columns and depth in one turn of the loops around, `names`."""
        row, column, deep = (self._limit(term, axis, names, axis in product.depth) for axis in product.inner)
        return row, column, deep

    def _limit(self, term: Term, axis: _Axis, names: Mapping[Node, str], is_depth: bool) -> _Limit | None:
        if self.span is not None or len(axis.members) > 1:
            return None
        (x,) = axis.members
        for other, name in names.items():
            if self.g.extent(other) != self.g.extent(x):
                continue
            at, end = variable(name), axis.extent
            if self._is_needless(term, x, other, is_depth):
                return _Limit(None, poly_add(at, poly(1)))
            if self._is_needless(term, other, x, is_depth):
                return _Limit(name, poly_add(end, at, -1))
        return None

    def _is_needless(self, term: Term, low: Node, high: Node, is_depth: bool) -> bool:
        """Whether nothing has to be done where one axis is larger than the other."""
        if is_depth:
            return any(is_zero_unless(self.g, read, low, high) for read in (term.a, term.b))
        t, out = self.t, self.tensor.out
        if low not in out or high not in out or t in self.low.fixed or t in self.low.clocks:
            return False
        return is_read_only_where(self.g, self.low.order, t, out.index(low), out.index(high))


@dataclass(frozen=True)
class _Limit:
    """The part of an axis that has to be done.

    first   the variable it begins at, None for 0.
    extent  how long it is.
    """

    first: str | None
    extent: Poly


def _without(names: Monomial, mark: str) -> Monomial:
    rest = list(names)
    rest.remove(mark)
    return tuple(rest)


def _start(place: Place, at: Mapping[str, str | None]) -> Start:
    """A place where marks are loops, or 0."""
    buffer, index = place
    return Start(buffer, tuple(_at(i, at) for i in index))


def _at(index: Poly, at: Mapping[str, str | None]) -> Poly:
    total: Poly = ()
    for names, k in index:
        loops = [at.get(name, name) for name in names]
        if None not in loops:
            total = poly_add(total, ((tuple(sorted(map(str, loops))), k),))
    return total
