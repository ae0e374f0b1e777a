"""Elements that all turns of a loop read and write stay in registers, from before the loop to after it.

    for t: s[0] = f(s[0])          ->      c = s[0]
                                           for t: c = f(c)
                                           s[0] = c

These are the states of a recurrence of which only the last is asked for. A number that was just stored can be
loaded some seven cycles later, and every step waits for that. LLVM does this only in loops that store on
every way out: not in those that something leaves first (`while_loop`).
Source: scalar promotion, Cooper & Lu 1997, Register promotion in C programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from symgrad.loops.effects import effects
from symgrad.loops.nest import (
    Cell,
    Contract,
    For,
    If,
    Library,
    Load,
    Part,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    Value,
)
from symgrad.loops.walk import each_replaced, has_blocks, next_value, walk

Place = tuple[str, tuple[Poly, ...]]
_MOST = 32  # registers of one loop; beyond that they would be stored anyway


def with_promoted(routine: Routine) -> Routine:
    """The routine with such registers; itself if there are none."""
    if not has_blocks(routine.body):
        return routine
    work = {b.name for b in routine.buffers if b.role == "work" and all(map(_is_number, b.extents))}
    made = _Promoted(work, next_value(routine.body))
    body = each_replaced(routine.body, made.statement)
    return replace(routine, body=body) if made.count else routine


def _is_number(p: Poly) -> bool:
    return all(not names for names, _ in p)


class _Promoted:
    """`work` are the buffers of which every element is there in any call; `count` the number of registers."""

    def __init__(self, work: set[str], next_value: Value) -> None:
        self.work, self.next_value, self.count = work, next_value, 0

    def statement(self, loop: Statement) -> list[Statement]:
        """What stands in the place of a statement."""
        if not isinstance(loop, For) or loop.lanes:
            return [loop]
        places = [p for p in _read_and_written(loop) if p[0] in self.work]
        if not places or len(places) > _MOST:
            return [loop]
        self.count += len(places)
        cells = {place: self._new() for place in places}
        before: list[Statement] = []
        for (buffer, index), cell in cells.items():
            before += [Load(first := self._new(), buffer, index), Cell(cell, first)]

        def in_register(s: Statement) -> list[Statement]:
            if isinstance(s, Load) and (s.buffer, s.index) in cells:
                return [Cell(s.dst, cells[s.buffer, s.index])]  # what it is now: it may change in this turn
            if isinstance(s, Store) and (s.buffer, s.index) in cells:
                return [SetCell(cells[s.buffer, s.index], s.src)]
            return [s]

        after = [Store(buffer, index, cell) for (buffer, index), cell in cells.items()]
        return [*before, replace(loop, body=each_replaced(loop.body, in_register)), *after]

    def _new(self) -> Value:
        self.next_value += 1
        return self.next_value - 1


def _read_and_written(loop: For) -> Iterator[Place]:
    """What turns read before they write it: elements at places that are numbers, of buffers of which a loop
    touches no other elements.
    """
    every = [s for _, s in walk(loop.body, into_parts=True)]
    stored = dict.fromkeys((s.buffer, s.index) for s in every if isinstance(s, Store))
    if not stored or any(isinstance(s, Part | Contract | Library) for s in every):
        return  # no value crosses the border of a part; a call takes longer than a number on its way
    others = [s for s in every if not isinstance(s, Load | Store | For | If)]
    elsewhere = set[str]().union(*(effects(s).touches for s in others))
    first: dict[Place, Statement] = {}
    for s in every:
        if isinstance(s, Load | Store):
            first.setdefault((s.buffer, s.index), s)
            if not all(map(_is_number, s.index)):
                elsewhere.add(s.buffer)
    for place in stored:
        if isinstance(first[place], Load) and place[0] not in elsewhere:
            yield place
