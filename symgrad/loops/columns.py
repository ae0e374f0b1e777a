"""Two loops of which one walks some arrays along their rows and others down their columns: in blocks.

    for i < n:                                  for strip < n by 64: for block < n by 8:
        for j < n: y[i, j] = f(x[j, i])             for j in strip..: for i in block..: c[i, j] = x[j, i]
                                          ->        for i in block..: for j in strip..: y[i, j] = f(c[i, j])

Down a column every number lies in a line of memory of its own. A block takes eight numbers of each line that
it meets, and puts those of a column side by side, one by one: that takes less time than instructions that
gather them, and what follows is walked along rows.

Only where every pair of turns may trade places: what is written is written at both loops' places, and sums go
on in any order. The turns of a strip come in the order that they had.
Source: strip mining and interchange, Allen & Kennedy 2001, Optimizing Compilers for Modern Architectures,
section 9.3; Lam, Rothberg & Wolf 1991, "The cache performance and optimizations of blocked algorithms".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgrad.loops.effects import Index, accesses, is_elementwise
from symgrad.loops.nest import (
    Bool,
    Buffer,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    Part,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Test,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.walk import defined, free_name, has_blocks, next_value, taken_names, variables, walk

HEIGHT = 8  # turns of a block: the numbers of a line
WIDTH = 64  # turns of a strip
_PURE = (Const, Bool, Compute, FromInt, Test, Load)
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
        self.reals = {b.name for b in routine.buffers if b.dtype == "real"}
        self.next_value = next_value(routine.body)
        self.columns: list[Buffer] = []
        self.count = 0

    def block(self, body: Sequence[Statement]) -> list[Statement]:
        """As deep as loops stand in each other."""
        out: list[Statement] = []
        for s in body:
            inner = _inner_loop(s) if isinstance(s, For) else None
            if isinstance(s, For) and inner is not None and self._pays(s, inner):
                out.append(self._in_blocks(s, inner))
            else:
                out.append(replace(s, body=self.block(s.body)) if isinstance(s, For | If | Part) else s)
        return out

    def _in_blocks(self, outer: For, inner: For) -> For:
        at = tuple(
            poly_add(variable(x.var), variable(start), -1)
            for x, start in ((outer, self.block_name), (inner, self.strip_name))
        )
        outer_part, inner_part = _part(outer, self.block_name, HEIGHT), _part(inner, self.strip_name, WIDTH)
        body: list[Statement] = []
        copies: list[Statement] = []
        known: dict[tuple[str, Index], Buffer] = {}
        for s in inner.body:
            if isinstance(s, Load) and self._is_column(s, outer, inner):
                place = s.buffer, s.index
                if place not in known:
                    known[place] = self._column(len(known))
                    copies += [replace(s, dst=self.next_value), Store(known[place].name, at, self.next_value)]
                    self.next_value += 1
                s = Load(s.dst, known[place].name, at)
            body.append(s)
        self.count += 1
        packing = replace(inner_part, body=[replace(outer_part, body=copies, short=True)])
        turns = replace(outer_part, body=[*outer.body[:-1], replace(inner_part, body=body)])
        blocks = For(self.block_name, outer.lower, outer.upper, [packing, turns], step=HEIGHT)
        return For(self.strip_name, inner.lower, inner.upper, [blocks], _COMMENT, step=WIDTH)

    def _pays(self, outer: For, inner: For) -> bool:
        """Whether a column is read in every turn, and a row walked as well."""
        rows = any(_moves_by_one(index[-1], inner.var) for _, index, _ in accesses(inner.body) if index)
        return rows and any(self._is_column(s, outer, inner) for s in inner.body)

    def _is_column(self, s: Statement, outer: For, inner: For) -> bool:
        """Whether the inner loop reads down a column, and the outer one goes on to the next."""
        if not isinstance(s, Load) or s.buffer not in self.reals or not s.index:
            return False
        if not {defined(t) for t in inner.body}.isdisjoint(variables(s.index)):
            return False  # a place that was read from memory
        return _moves_by_one(s.index[-1], outer.var) and inner.var in variables(s.index[:-1])

    def _column(self, number: int) -> Buffer:
        if number == len(self.columns):
            self.columns.append(Buffer(self._name("columns"), "work", (poly(HEIGHT), poly(WIDTH))))
        return self.columns[number]

    def _name(self, stem: str) -> str:
        name = free_name(self.taken, stem)
        self.taken.add(name)
        return name


def _part(loop: For, start: str, turns: int) -> For:
    """So many turns of a loop from a place on."""
    first = variable(start)
    return replace(loop, lower=(first,), upper=(poly_add(first, poly(turns)), *loop.upper))


def _inner_loop(s: For) -> For | None:
    """The loop in another one, if both may be done in blocks."""
    inner = s.body[-1] if s.body else None
    if not isinstance(inner, For) or not all(isinstance(b, _PURE) for b in s.body[:-1]):
        return None
    is_rectangle = not any(s.var in variables((p,)) for p in (*inner.lower, *inner.upper))
    is_plain = all(x.step == len(x.lower) == 1 and not x.lanes and not x.short for x in (s, inner))
    is_innermost = not any(isinstance(t, For | Part) for t in inner.body)
    return inner if is_rectangle and is_plain and is_innermost and _may_be_reordered(s, inner) else None


def _may_be_reordered(outer: For, inner: For) -> bool:
    """Whether the pairs of turns may come in any order."""
    statements = [t for _, t in walk(inner.body)]
    inside = set(map(defined, statements))
    keeps = any(isinstance(t, SetCell) and t.cell not in inside for t in statements)
    if keeps or any(isinstance(t, StoreReduce) for t in statements) or not is_elementwise(inner.body):
        return False
    written = {buffer for buffer, _, is_written in accesses(inner.body) if is_written}
    places = {(buffer, index) for buffer, index, _ in accesses(outer.body) if buffer in written}
    are_apart = len(places) == len(written)
    return are_apart and all({variable(outer.var), variable(inner.var)} <= set(index) for _, index in places)


def _moves_by_one(i: Poly, var: str) -> bool:
    """Whether an index is the variable and something without it."""
    return var in variables((i,)) and var not in variables((poly_add(i, variable(var), -1),))
