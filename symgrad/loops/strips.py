"""Strips of a long axis: what a matrix product leaves for the loops after it stays in the cache.

    c = a b                                  for first in 0..n by ROWS:
    for i < n: t[i] = f(c[i])       becomes      c = a[first..] b, ROWS rows of it
    e = t' x                                     for i in first..: t[i - first] = f(c[i - first])
                                                 e += t' x[first..]

Memory for c and t is ROWS rows instead of n. Everything that has a loop over the same axis, and works on what
is made in strips, takes part: loops, whatever loops stand around that one, and products that sum over the
axis; so do loops before the product that make what it reads, where nothing else does. What is in one row is
touched by one strip only; others are only read, or written by one statement.
Source: Allen and Kennedy, Optimizing Compilers for Modern Architectures (2001), section 9.3 (strip-mine and
interchange); array contraction as in `loops.forward`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product as cartesian
from typing import Any

from symgrad.loops.effects import Effects, Several, accesses, effects, is_elementwise
from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Const,
    Contract,
    For,
    If,
    Least,
    Load,
    LoadInt,
    Poly,
    Routine,
    Start,
    Statement,
    Store,
    StoreReduce,
    Strided,
    poly,
    poly_add,
    poly_mul,
    variable,
)
from symgrad.loops.strided import axis_of, size, stays_within
from symgrad.loops.walk import defined, free_name, has_blocks, operands, taken_names, types_in, walk
from symgrad.records import dataclass

_STEP = 48  # rows of a strip: half as many take products longer, twice as many leave the second cache
_SPARE = 24  # more of the last one, which so has no fewer
ROWS = _STEP + _SPARE  # at most
_MOST = 128  # statements that are looked at for one loop over strips
_TITLE = "strip by strip: what is in between stays in the cache"

Bounds = tuple[Poly, Poly]  # of a strip: its first index, how many


@dataclass(frozen=True)
class _Piece:
    """A statement that can be done strip by strip.

    own     for each array: the axes at which every index is that of the strip's axis.
    make    the statement for a strip.
    before  statements that have to be done once before.
    sums    the array to which it adds something in every strip, and
    clears  whether it writes that in the first one.
    """

    effects: Effects
    own: Mapping[str, frozenset[int]]
    make: Callable[[Bounds], Statement]
    before: tuple[Statement, ...] = ()
    sums: str = ""
    clears: bool = False


def stripped(routine: Routine) -> Routine:
    """The same routine with matrix products, and the loops on their results, in strips."""
    if not has_blocks(routine.body) and Contract not in types_in(routine.body):
        return routine  # long straight-line code
    k, known = 0, _Known(routine)
    while k < len(routine.body):
        routine, k = _at(routine, k, known) or (routine, k + 1)
    return routine


class _Known:
    """What is asked of the statements of a routine again and again, found once."""

    def __init__(self, routine: Routine) -> None:
        self.names = taken_names(routine)
        self._effects: dict[int, tuple[Statement, Effects]] = {}
        self._counted: tuple[Routine, Counter[str]] | None = None
        self._pieces: dict[tuple[int, Poly], list[_Piece]] = {}

    def name(self, stem: str) -> str:
        """A new name for a variable."""
        made = free_name(self.names, stem)
        self.names.add(made)
        return made

    def effects(self, s: Statement) -> Effects:
        found = self._effects.get(id(s))
        if found is None:
            self._effects[id(s)] = found = s, effects(s)  # kept, so that no other gets its number
        return found[1]

    def pieces(self, s: Statement, extent: Poly, buffers: Mapping[str, Buffer]) -> list[_Piece]:
        """The ways to do a statement in strips, while the arrays are what they are."""
        key = id(s), extent
        if key not in self._pieces:
            self._pieces[key] = _pieces(s, self.effects(s), extent, buffers)
        return self._pieces[key]

    def forget_pieces(self, smaller: Mapping[str, int]) -> None:
        """Some arrays have become smaller."""
        for key in [k for k in self._pieces if not self._effects[k[0]][1].touches.isdisjoint(smaller)]:
            del self._pieces[key]

    def touching(self, routine: Routine) -> Counter[str]:
        """How many statements touch each array."""
        if self._counted is None or self._counted[0] is not routine:
            self._counted = routine, Counter(b for s in routine.body for b in self.effects(s).touches)
        return self._counted[1]


def _at(routine: Routine, k: int, known: _Known) -> tuple[Routine, int] | None:
    """The routine with strips that begin with the product at statement `k`, and where to go on."""
    product = _product_of(routine.body[k])
    buffers = {b.name: b for b in routine.buffers}
    if product is None or buffers[product.c.start.buffer].role != "work":
        return None
    best: tuple[_Strips, dict[str, int], Routine, int] | None = None
    for extent in dict.fromkeys((product.rows, product.columns)):
        if _is_short(extent):
            continue
        for (ordered, first), begins in cartesian(_orders(routine, k, extent, known), (True, False)):
            strips = _Strips(buffers, extent, begins, known)
            strips.collect(ordered.body[first : first + _MOST])
            smaller = strips.smaller(known.touching(routine))
            if smaller and (best is None or len(smaller) > len(best[1])):
                best = strips, smaller, ordered, first
    if best is None:
        return None
    strips, smaller, ordered, first = best
    known.forget_pieces(smaller)
    return strips.result(ordered, first, smaller)


def _orders(routine: Routine, k: int, extent: Poly, known: _Known) -> list[tuple[Routine, int]]:
    """The routine, and where strips may begin: with the product at statement `k`, or before it.

    Before it stand, in another order of the statements, the loops that make what it reads.
    """
    buffers = {b.name: b for b in routine.buffers}
    wanted = set(known.effects(routine.body[k]).reads)
    makers: list[Statement] = []
    between: list[Statement] = []
    passed, start = Several(), max(k - _MOST, 0)
    for s in reversed(routine.body[start:k]):
        own = known.effects(s)
        makes = any(b in wanted and buffers[b].role == "work" for b in own.writes)
        if makes and _product_of(s) is None and passed.commute(own) and known.pieces(s, extent, buffers):
            makers.insert(0, s)
            wanted |= own.reads
        else:
            between.insert(0, s)
            passed.add(own)
    if not makers:
        return [(routine, k)]
    body = [*routine.body[:start], *between, *makers, *routine.body[k:]]
    return [(routine, k), (replace(routine, body=body), k - len(makers))]


def _is_short(extent: Poly) -> bool:
    return not any(names for names, _ in extent) and sum(k for _, k in extent) <= ROWS


class _Strips:
    """The statements that take part, and those that move before and behind them.

    begins  whether also what touches nothing that was made in strips so far, but writes arrays that may be.
    """

    def __init__(self, buffers: Mapping[str, Buffer], extent: Poly, begins: bool, known: _Known) -> None:
        self.buffers, self.extent, self.begins, self.known = buffers, extent, begins, known
        self.pieces: list[_Piece] = []
        self.front: list[Statement] = []
        self.back: list[Statement] = []
        self.done = Several()  # the pieces
        self.behind = Several()
        self.written: set[str] = set()

    def collect(self, body: Sequence[Statement]) -> None:
        """Sort the statements; the first one is the product that everything is about."""
        for s in body:
            own = self.known.effects(s)
            piece = self._piece(s, own)
            if piece is not None and self.behind.commute(own):
                self.pieces.append(piece)
                self.done.add(piece.effects)
                self.front.extend(piece.before)
                self.written |= piece.effects.writes
            elif not self.pieces:
                return
            elif self.done.commute(own) and self.behind.commute(own):
                self.front.append(s)
            else:
                self.back.append(s)
                self.behind.add(own)

    def _piece(self, s: Statement, known: Effects) -> _Piece | None:
        for piece in self.known.pieces(s, self.extent, self.buffers):
            is_concerned = not self.pieces or known.touches & self.written or self._begins(piece)
            if is_concerned and self._may_share_strips(piece):
                return piece
        return None

    def _may_share_strips(self, piece: _Piece) -> bool:
        """Whether it may begin on a strip before each piece there is is done with the next one."""
        return self.done.commute(piece.effects) or all(_may_share_strips(p, piece) for p in self.pieces)

    def _begins(self, piece: _Piece) -> bool:
        """Whether it writes arrays that may become smaller: zeros that others add to, say."""
        return self.begins and any(self._axes(b, piece) for b in piece.effects.writes)

    def _axes(self, buffer: str, piece: _Piece) -> set[int]:
        """The axes that may become as long as a strip, as far as one piece is concerned."""
        b = self.buffers[buffer]
        return {p for p in piece.own[buffer] if b.role == "work" and b.extents[p] == self.extent}

    def smaller(self, touching: Mapping[str, int]) -> dict[str, int]:
        """Arrays that hold a strip only from now on, and along which axis; empty where that saves little.

        touching  how many statements of the routine touch each array.
        """
        mine = Counter(b for p in self.pieces for b in p.effects.touches)
        begun = {b for p in self.pieces for s in p.before for b in effects(s).touches}
        found: dict[str, int] = {}
        for b in sorted(self.written - begun):
            if mine[b] != touching[b]:
                continue
            axes = [self._axes(b, p) for p in self.pieces if b in p.effects.touches]
            common = set.intersection(*axes)
            if common:
                found[b] = min(common)
        has_rows = any(len(self.buffers[b].extents) > 1 for b in found)
        return found if has_rows and len(self.pieces) > 1 else {}

    def result(self, routine: Routine, k: int, smaller: Mapping[str, int]) -> tuple[Routine, int]:
        stems = ("first", "over", "more", "none", "rows", "strip")
        first, over, more, none, rows, strip = map(self.known.name, stems)
        rest = poly_add(self.extent, variable(first), -1)
        # `more` is 1 if further strips follow, else 0: the last strip takes the rest.
        body: list[Statement] = [
            Least(over, (poly(0), poly_add(poly(ROWS), rest, -1))),
            Least(more, (poly(1), poly_add((), variable(over), -1))),
        ]
        count = poly_add(rest, poly_mul(variable(more), poly_add(rest, poly(_STEP), -1)), -1)
        body.append(Least(strip, (count,)))
        body += [piece.make((variable(first), variable(strip))) for piece in self.pieces]
        body = _OnStrips(self.buffers, smaller, variable(first), variable(rows)).body(body)
        # One strip at least: sums over an axis without entries are 0.
        until = poly_add(self.extent, poly(_SPARE), -1)
        least = Least(none, (poly(0), poly_add(until, poly(1), -1)))
        loop = For(first, (poly(0),), (poly_add(until, variable(none), -1),), body, _TITLE, _STEP)
        buffers = tuple(
            replace(b, extents=_shorter(b.extents, smaller[b.name], variable(rows)))
            if b.name in smaller
            else b
            for b in routine.buffers
        )
        done = [*routine.body[:k], *self.front, least, loop]
        derived = (*routine.derived, Least(rows, (poly(ROWS), self.extent)))
        body = [*done, *self.back, *routine.body[k + _MOST :]]
        return replace(routine, buffers=buffers, body=body, derived=derived), len(done)


def _may_share_strips(one: _Piece, two: _Piece) -> bool:
    """Whether the second may begin on a strip before the first is done with the next one."""
    a, b = one.effects, two.effects
    if a.changes & (b.uses | b.changes) or b.changes & a.uses:
        return False
    shared = (a.writes & b.touches) | (a.reads & b.writes)
    if one.sums == two.sums and not two.clears:
        shared -= {one.sums}
    return all(one.own[x] & two.own[x] for x in shared)


# ---- loops ---------------------------------------------------------------------------------------------


def _pieces(s: Statement, known: Effects, extent: Poly, buffers: Mapping[str, Buffer]) -> list[_Piece]:
    """The ways to do a statement in strips of an axis of this extent."""
    product = _product_of(s)
    if product is not None:
        return _product_pieces(s, product, known, extent, buffers)
    before, s = _with_sums_added(s, extent)
    loop = _loop_over(s, extent)
    if loop is None or not is_elementwise((s,)):
        return []
    indices: dict[str, set[tuple[Poly, ...]]] = {}
    for buffer, index, _ in accesses((s,)):
        indices.setdefault(buffer, set()).add(index)
    at = variable(loop.var)
    own = {
        b: frozenset(p for p in range(len(next(iter(i)))) if all(index[p] == at for index in i))
        for b, i in indices.items()
    }
    around = _loops_around(s, loop)
    if around and not all(own[b] or _is_reached(indices[b], around) for b in known.writes):
        return []

    def make(bounds: Bounds) -> Statement:
        first, count = bounds
        return _with_inner(s, loop, replace(loop, lower=(first,), upper=(poly_add(first, count),)))

    return [_Piece(known, own, make, before)]


def _with_sums_added(s: Statement, extent: Poly) -> tuple[tuple[Statement, ...], Statement]:
    """A sum over the axis that is stored when its loop is done becomes one that is added to zeros.

    c = 0;  for r: c += f(r);  t[i] = c      becomes      t[i] = 0;  c = 0;  for r: c += f(r);  t[i] += c
    """
    if not isinstance(s, For) or s.upper == (extent,):
        return (), s
    if len(s.body) == 1:
        before, inner = _with_sums_added(s.body[0], extent)
        return tuple(replace(s, body=[b]) for b in before), replace(s, body=[inner])
    *values, loop, store = s.body
    if not isinstance(loop, For) or loop.upper != (extent,):
        return (), s
    zero = _zero_of(values, loop, store)
    if zero is None or not isinstance(store, Store):
        return (), s
    start = replace(s, body=[zero, replace(store, src=zero.dst)])
    added = StoreReduce("sum", store.buffer, store.index, store.src)
    return (start,), replace(s, body=[*values, loop, added])


def _zero_of(values: Sequence[Statement], loop: Statement, store: Statement) -> Const | None:
    """The zero that a sum starts from, where a loop computes the sum and what follows stores it."""
    if not isinstance(loop, For) or not isinstance(store, Store) or not all(map(_only_computes, values)):
        return None
    cell = next((v for v in values if isinstance(v, Cell) and v.dst == store.src), None)
    zeros = (v for v in values if isinstance(v, Const) and v.payload == ("q", 0, 1))
    zero = next((v for v in zeros if cell is not None and v.dst == cell.init), None)
    touched = [t for _, t in walk([loop]) if store.src in operands(t) or store.src in effects(t).changes]
    are_sums = all(isinstance(t, For | Accumulate) and getattr(t, "kind", "sum") == "sum" for t in touched)
    return zero if are_sums else None


def _place_of_loop(s: For) -> int:
    """Where the loop stands in the body of another: last, but for a sum that is stored."""
    return -2 if len(s.body) > 1 and isinstance(s.body[-1], StoreReduce) else -1


def _loop_over(s: Statement, extent: Poly) -> For | None:
    """The outermost loop over the whole axis, if what stands around it only computes values."""
    while isinstance(s, For) and not s.lanes:
        if (s.lower, s.upper, s.step) == ((poly(0),), (extent,), 1):
            return s
        p = _place_of_loop(s)
        if not all(_only_computes(b) for b in s.body[:p]):
            return None
        if p == -2 and _zero_of(s.body[:p], s.body[p], _stored(s.body[-1])) is None:
            return None
        s = s.body[p]
    return None


def _stored(s: Statement) -> Statement:
    """What adds a number, as if it stored it."""
    return Store(s.buffer, s.index, s.src) if isinstance(s, StoreReduce) and s.kind == "sum" else s


def _only_computes(s: Statement) -> bool:
    known = effects(s)
    return defined(s) is not None and not known.writes and not known.changes


def _loops_around(s: Statement, loop: For) -> list[For]:
    found = []
    while s is not loop:
        assert isinstance(s, For)
        found.append(s)
        s = s.body[_place_of_loop(s)]
    return found


def _is_reached(indices: set[tuple[Poly, ...]], around: Sequence[For]) -> bool:
    """Whether all accesses are to one element, another one in every turn of the loops around."""
    return len(indices) == 1 and all(variable(x.var) in next(iter(indices)) for x in around)


def _with_inner(s: Statement, old: For, new: For) -> Statement:
    if s is old:
        return new
    assert isinstance(s, For)
    p = _place_of_loop(s) % len(s.body)
    return replace(s, body=[*s.body[:p], _with_inner(s.body[p], old, new), *s.body[p + 1 :]])


# ---- matrix products -----------------------------------------------------------------------------------


def _product_of(s: Statement) -> Contract | None:
    """The matrix product that a statement is, with loops around it or without."""
    while isinstance(s, For) and len(s.body) == 1:
        s = s.body[0]
    return s if isinstance(s, Contract) else None


def _product_pieces(
    s: Statement, product: Contract, known: Effects, extent: Poly, buffers: Mapping[str, Buffer]
) -> list[_Piece]:
    found = []
    plain = product.lower == poly(0)
    if product.rows == extent and plain:
        found.append(_along(s, product, known, buffers, "rows", {"a": 0, "c": 0}))
    if product.columns == extent and plain:
        found.append(_along(s, product, known, buffers, "columns", {"b": 1, "c": 1}))
    if product.depth == extent:
        found.append(_along(s, product, known, buffers, "depth", {"a": 1, "b": 0}))
    return [piece for piece in found if piece is not None]


def _along(
    s: Statement,
    product: Contract,
    known: Effects,
    buffers: Mapping[str, Buffer],
    side: str,
    moved: Mapping[str, int],
) -> _Piece | None:
    """A product in strips of one of its axes; `moved` says which stride of which array belongs to it."""
    arrays: dict[str, Strided] = {"a": product.a, "b": product.b, "c": product.c}
    axes: dict[str, int] = {}
    own: dict[str, frozenset[int]] = {x.start.buffer: frozenset() for x in arrays.values()}
    if len(own) < len(arrays):
        return None
    for name, which in moved.items():
        array = arrays[name]
        buffer = buffers[array.start.buffer]
        p = axis_of(array.strides[which], buffer.extents)
        if p is None:
            return None
        axes[name] = p
        other = _other_extent(product, name, which)
        if array.start.index[p] == () and stays_within(array.strides[1 - which], other, buffer.extents, p):
            own[buffer.name] = frozenset((p,))
    scratch = {product.scratch.buffer}
    without = replace(known, reads=known.reads - scratch, writes=known.writes - scratch)

    def make(bounds: Bounds) -> Statement:
        first, count = bounds
        strips = {name: _shifted(arrays[name], axes[name], first) for name in moved}
        changes: dict[str, Any] = {side: count, **strips}
        if side == "depth" and product.keep == ():
            changes["keep"] = first
        return _with_product(s, replace(product, **changes))

    sums = product.c.start.buffer if side == "depth" else ""
    return _Piece(without, own, make, sums=sums, clears=product.keep == ())


def _other_extent(product: Contract, name: str, which: int) -> Poly:
    """The length of the other axis of an array."""
    extents = {
        "a": (product.rows, product.depth),
        "b": (product.depth, product.columns),
        "c": (product.rows, product.columns),
    }
    return extents[name][1 - which]


def _shifted(array: Strided, p: int, first: Poly) -> Strided:
    start = array.start
    index = (*start.index[:p], poly_add(start.index[p], first), *start.index[p + 1 :])
    return replace(array, start=Start(start.buffer, index))


def _with_product(s: Statement, product: Contract) -> Statement:
    return replace(s, body=[_with_product(s.body[0], product)]) if isinstance(s, For) else product


# ---- arrays of a strip ---------------------------------------------------------------------------------


def _shorter(extents: tuple[Poly, ...], p: int, rows: Poly) -> tuple[Poly, ...]:
    return (*extents[:p], rows, *extents[p + 1 :])


class _OnStrips:
    """Statements on arrays of which some hold a strip: indices along it count from its beginning."""

    def __init__(
        self, buffers: Mapping[str, Buffer], smaller: Mapping[str, int], first: Poly, rows: Poly
    ) -> None:
        self.buffers, self.smaller, self.first, self.rows = buffers, smaller, first, rows

    def body(self, statements: Sequence[Statement]) -> list[Statement]:
        return [self._one(s) for s in statements]

    def _one(self, s: Statement) -> Statement:
        if isinstance(s, For | If):
            return replace(s, body=self.body(s.body))
        if isinstance(s, Load | LoadInt | Store | StoreReduce):
            return replace(s, index=self._index(s.buffer, s.index))
        if isinstance(s, Contract):
            return replace(s, a=self._array(s.a), b=self._array(s.b), c=self._array(s.c))
        return s

    def _index(self, buffer: str, index: tuple[Poly, ...]) -> tuple[Poly, ...]:
        p = self.smaller.get(buffer)
        return index if p is None else (*index[:p], poly_add(index[p], self.first, -1), *index[p + 1 :])

    def _array(self, x: Strided) -> Strided:
        name = x.start.buffer
        if name not in self.smaller:
            return x
        extents = self.buffers[name].extents
        shorter = _shorter(extents, self.smaller[name], self.rows)
        one, two = (self._stride(stride, extents, shorter) for stride in x.strides)
        return Strided(Start(name, self._index(name, x.start.index)), (one, two))

    def _stride(self, stride: Poly, extents: Sequence[Poly], shorter: Sequence[Poly]) -> Poly:
        p = axis_of(stride, extents)
        return stride if p is None else size(shorter[1 + p :])
