"""Two loops of which one walks some arrays along their rows and others down their columns: in blocks.

    for i < n:                                  for strip < n by 64: for block < n by 16:
        for j < n: y[i, j] = f(x[j, i])             c[i, j] = x[j, i] for j in strip.., i in block..
                                          ->        for i in block..: for j in strip..: y[i, j] = f(c[i, j])

Down a column every number lies in a line of memory of its own. A block takes sixteen numbers of each row it
meets, and puts those of a column side by side, in vector registers (`nest.Transpose`): that takes less time
than instructions that gather them, and what follows is walked along rows.

Only where what is written is written at the inner loop's place: turns that touch one element then have that
place in common, and come in the order that they had, also where they add to it, s[k[i], j] += f(x[j, i]).
Where a turn stores something of its own before the inner loop, that becomes a loop by itself.
Source: strip mining and interchange, Allen & Kennedy 2001, Optimizing Compilers for Modern Architectures,
section 9.3; Lam, Rothberg & Wolf 1991, "The cache performance and optimizations of blocked algorithms".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgrad.loops.effects import Index, accesses, commute, effects, is_elementwise
from symgrad.loops.nest import (
    Bool,
    Buffer,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Least,
    Load,
    LoadInt,
    Part,
    Poly,
    Routine,
    SetCell,
    Start,
    Statement,
    Strided,
    Test,
    Transpose,
    poly,
    poly_add,
    poly_at,
    poly_mul,
    variable,
)
from symgrad.loops.peel import copied
from symgrad.loops.walk import (
    defined,
    free_name,
    has_blocks,
    makers,
    next_value,
    taken_names,
    variables,
    walk,
)

HEIGHT = 16  # turns of a block: as many as the longest vector has numbers
WIDTH = 64  # turns of a strip: whole vectors
_PURE = (Const, Bool, Compute, FromInt, Test, Load, LoadInt)
_COMMENT = "block by block: what is read down columns lies in rows"


def columns_in_blocks(routine: Routine) -> Routine:
    """The routine with such loops in blocks; itself if it has none."""
    if not has_blocks(routine.body) or sum(isinstance(s, For) for _, s in walk(routine.body)) < 2:
        return routine
    made = _Blocks(routine)
    body = made.block(routine.body)
    buffers = (*routine.buffers, *made.columns)
    return replace(routine, body=body, buffers=buffers) if made.count else routine


class _Blocks:
    """`count` is how many loops are in blocks, `columns` the memory for what is put side by side."""

    def __init__(self, routine: Routine) -> None:
        self.taken = taken_names(routine)
        self.strip_name, self.block_name = self._name("strip"), self._name("block")
        self.width_name, self.turns_name = self._name("width"), self._name("turns")
        self.extents = {b.name: b.extents for b in routine.buffers}
        self.reals = {b.name for b in routine.buffers if b.dtype == "real"}
        self.next_value = next_value(routine.body)
        self.columns: list[Buffer] = []
        self.count = 0

    def block(self, body: Sequence[Statement]) -> list[Statement]:
        """As deep as loops stand in each other."""
        out: list[Statement] = []
        for s in body:
            made = self._found(s) if isinstance(s, For) else []
            if made:
                out += made
            else:
                out.append(replace(s, body=self.block(s.body)) if isinstance(s, For | If | Part) else s)
        return out

    def _found(self, loop: For) -> list[For]:
        """A loop in blocks, behind one with what stood before its inner loop; none where that may not be."""
        *before, walked = _parted(loop)
        inner = _inner_loop(walked)
        if inner is None or not self._pays(walked, inner):
            return []
        if before:  # a value that both make has two numbers
            walked.body, self.next_value = copied(walked.body, self.next_value)
        return [*before, self._in_blocks(walked)]

    def _in_blocks(self, outer: For) -> For:
        inner = outer.body[-1]
        assert isinstance(inner, For)
        at = tuple(
            poly_add(variable(x.var), variable(start), -1)
            for x, start in ((outer, self.block_name), (inner, self.strip_name))
        )
        outer_part, inner_part = _part(outer, self.block_name, HEIGHT), _part(inner, self.strip_name, WIDTH)
        body: list[Statement] = []
        copies: list[Statement] = [
            _size(self.turns_name, outer, self.block_name, HEIGHT),
            _size(self.width_name, inner, self.strip_name, WIDTH),
        ]
        known: dict[tuple[str, Index], Buffer] = {}
        for s in inner.body:
            if isinstance(s, Load) and self._is_column(s, outer, inner):
                place = s.buffer, s.index
                if place not in known:
                    known[place] = self._column(len(known))
                    copies.append(self._copy(s, outer, inner, known[place]))
                s = Load(s.dst, known[place].name, at)
            body.append(s)
        self.count += 1
        rows = replace(outer_part, body=[*outer.body[:-1], replace(inner_part, body=body)])
        blocks = For(self.block_name, outer.lower, outer.upper, [*copies, rows], step=HEIGHT)
        return For(self.strip_name, inner.lower, inner.upper, [blocks], _COMMENT, step=WIDTH)

    def _copy(self, s: Load, outer: For, inner: For, to: Buffer) -> Transpose:
        """Of an array from where both loops' parts begin: its columns become rows."""
        first = [poly_at(i, outer.var, variable(self.block_name)) for i in s.index]
        start = tuple(poly_at(i, inner.var, variable(self.strip_name)) for i in first)
        source = Strided(Start(s.buffer, start), (self._stride(s, inner), poly(1)))
        rows = Strided(Start(to.name, (poly(0), poly(0))), (poly(WIDTH), poly(1)))
        return Transpose(variable(self.turns_name), variable(self.width_name), source, rows)

    def _stride(self, s: Load, loop: For) -> Poly:
        """How many elements further the next turn of a loop reads."""
        place: Poly = ()
        for extent, i in zip(self.extents[s.buffer], s.index, strict=True):
            place = poly_add(poly_mul(place, extent), i)
        return poly_add(poly_at(place, loop.var, poly_add(variable(loop.var), poly(1))), place, -1)

    def _pays(self, outer: For, inner: For) -> bool:
        """Whether a column is read in every turn, and a row walked as well."""
        rows = any(_moves_by_one(index[-1], inner.var) for _, index, _ in accesses(inner.body) if index)
        return rows and any(self._is_column(s, outer, inner) for s in inner.body)

    def _is_column(self, s: Statement, outer: For, inner: For) -> bool:
        """Whether the inner loop reads down a column, and the outer one goes on to the next."""
        if not isinstance(s, Load) or s.buffer not in self.reals or not s.index:
            return False
        if not {defined(t) for t in (*outer.body, *inner.body)}.isdisjoint(variables(s.index)):
            return False  # a place that was read from memory
        if any(is_written for buffer, _, is_written in accesses(inner.body) if buffer == s.buffer):
            return False
        if outer.var not in variables(s.index) or inner.var not in variables(s.index[:-1]):
            return False
        down = set(variables((self._stride(s, inner),)))
        return self._stride(s, outer) == poly(1) and down.isdisjoint((outer.var, inner.var))

    def _column(self, number: int) -> Buffer:
        if number == len(self.columns):
            self.columns.append(Buffer(self._name("columns"), "work", (poly(HEIGHT), poly(WIDTH))))
        return self.columns[number]

    def _name(self, stem: str) -> str:
        name = free_name(self.taken, stem)
        self.taken.add(name)
        return name


def _parted(loop: For) -> list[For]:
    """What a turn stores before its inner loop, in a loop of its own, and the rest; else the loop itself."""
    before, inner = loop.body[:-1], loop.body[-1:]
    stores = [s for s in before if not isinstance(s, _PURE)]
    if not stores or has_blocks(before) or not isinstance(inner[0], For):
        return [loop]
    used = {name for s in stores for name in effects(s).uses}
    kept = {id(s) for s in (*stores, *makers(before, used))}
    first = replace(loop, body=[s for s in before if id(s) in kept])
    second = replace(loop, body=[*makers(before, effects(inner[0]).uses), *inner])
    return [first, second] if commute(effects(first), effects(second)) else [loop]


def _part(loop: For, start: str, turns: int) -> For:
    """So many turns of a loop from a place on."""
    first = variable(start)
    return replace(loop, lower=(first,), upper=(poly_add(first, poly(turns)), *loop.upper))


def _size(name: str, loop: For, start: str, most: int) -> Least:
    """How many turns a part of a loop has."""
    return Least(name, (poly(most), *(poly_add(u, variable(start), -1) for u in loop.upper)))


def _inner_loop(s: For) -> For | None:
    """The loop in another one, if both may be done in blocks."""
    inner = s.body[-1] if s.body else None
    if not isinstance(inner, For) or not all(isinstance(b, _PURE) for b in s.body[:-1]):
        return None
    is_rectangle = {s.var, *map(defined, s.body)}.isdisjoint(variables((*inner.lower, *inner.upper)))
    is_plain = all(x.step == len(x.lower) == 1 and not x.lanes and not x.short for x in (s, inner))
    is_innermost = not any(isinstance(t, For | Part) for t in inner.body)
    return inner if is_rectangle and is_plain and is_innermost and _may_be_reordered(s, inner) else None


def _may_be_reordered(outer: For, inner: For) -> bool:
    """Whether turns that touch one element keep their order: all that touch it have the same inner turn."""
    statements = [t for _, t in walk(inner.body)]
    inside = set(map(defined, statements))
    keeps = any(isinstance(t, SetCell) and t.cell not in inside for t in statements)
    if keeps or not is_elementwise(inner.body):
        return False
    written = {buffer for buffer, _, is_written in accesses(inner.body) if is_written}
    places = {(buffer, index) for buffer, index, _ in accesses(outer.body) if buffer in written}
    return len(places) == len(written) and all(variable(inner.var) in index for _, index in places)


def _moves_by_one(i: Poly, var: str) -> bool:
    """Whether an index is the variable and something without it."""
    return var in variables((i,)) and var not in variables((poly_add(i, variable(var), -1),))
