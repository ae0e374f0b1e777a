"""What statements read and change, and so which of them may trade places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from symgrad.loops.nest import (
    Accumulate,
    Call,
    Contract,
    For,
    If,
    Leave,
    Library,
    Load,
    LoadInt,
    Part,
    Poly,
    SetCell,
    Start,
    Statement,
    Store,
    StoreReduce,
    Tile,
    Transpose,
)
from symgrad.loops.walk import Name, defined, operands, polynomials, variables, walk
from symgrad.records import dataclass

Index = tuple[Poly, ...]


@dataclass(frozen=True)
class Effects:
    """Buffers read and written; names used, made, and (cells) changed; not what is local to a loop."""

    reads: frozenset[str]
    writes: frozenset[str]
    uses: frozenset[Name]
    makes: frozenset[Name]
    changes: frozenset[Name]
    leaves: bool = False  # the loop around: nothing passes it

    @cached_property
    def touches(self) -> frozenset[str]:
        return self.reads | self.writes


def effects(statement: Statement) -> Effects:
    """Of one statement with everything inside of it."""
    reads: set[str] = set()
    writes: set[str] = set()
    uses: set[Name] = set()
    inside: set[Name] = set()
    changes: set[Name] = set()
    for _, s in walk((statement,), into_parts=True):
        uses.update(operands(s))
        uses.update(variables(polynomials(s)))
        name = defined(s)
        if name is not None:
            inside.add(name)
        if isinstance(s, For):
            inside.add(s.var)
        if isinstance(s, SetCell | Accumulate):
            changes.add(s.cell)
        for buffer, is_read, is_written in _memory(s):
            reads.update([buffer] * is_read)
            writes.update([buffer] * is_written)
    own = defined(statement)
    makes = frozenset() if own is None else frozenset((own,))
    local = inside - makes
    used, changed = frozenset(uses - inside), frozenset(changes - local)
    return Effects(frozenset(reads), frozenset(writes), used, makes, changed, _leaves(statement))


def _leaves(s: Statement) -> bool:
    return isinstance(s, Leave) or (isinstance(s, If) and any(map(_leaves, s.body)))


def _memory(s: Statement) -> Iterator[tuple[str, bool, bool]]:
    """(buffer, is read, is written) of one statement by itself."""
    if isinstance(s, Load | LoadInt):
        yield s.buffer, True, False
    elif isinstance(s, Store):
        yield s.buffer, False, True
    elif isinstance(s, StoreReduce):
        yield s.buffer, True, True
    elif isinstance(s, Library):
        for a in s.arguments:
            if isinstance(a, Start):
                yield a.buffer, True, True
    elif isinstance(s, Call):
        yield from ((buffer, True, True) for buffer in s.buffers)
    elif isinstance(s, Contract | Tile):
        yield from ((array.start.buffer, True, array is s.c) for array in (s.a, s.b, s.c))
        if isinstance(s, Contract):
            yield s.scratch.buffer, True, True
    elif isinstance(s, Transpose):
        yield s.source.start.buffer, True, False
        yield s.to.start.buffer, False, True


def commute(a: Effects, b: Effects) -> bool:
    """Whether two statements give the same in either order."""
    return not (
        a.leaves
        or b.leaves
        or a.writes & b.touches
        or b.writes & a.reads
        or a.uses & (b.makes | b.changes)
        or b.uses & (a.makes | a.changes)
        or a.changes & b.changes
    )


class Several:
    """The effects of several statements together."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.uses: set[Name] = set()
        self.makes: set[Name] = set()  # or changes
        self.changes: set[Name] = set()
        self.leaves: set[bool] = set()  # of each

    def add(self, e: Effects) -> None:
        self.reads |= e.reads
        self.writes |= e.writes
        self.uses |= e.uses
        self.makes |= e.makes | e.changes
        self.changes |= e.changes
        self.leaves.add(e.leaves)

    def commute(self, a: Effects) -> bool:
        """Whether another statement and each of these give the same in either order, as `commute` says."""
        return not (
            (a.leaves and self.leaves)
            or True in self.leaves
            or not self.writes.isdisjoint(a.touches)
            or not self.reads.isdisjoint(a.writes)
            or not self.makes.isdisjoint(a.uses)
            or not self.uses.isdisjoint(a.makes | a.changes)
            or not self.changes.isdisjoint(a.changes)
        )


def accesses(body: Iterable[Statement]) -> Iterator[tuple[str, Index, bool]]:
    """(buffer, index, is written) of every element that loops touch, one by one."""
    for _, s in walk(list(body)):
        if isinstance(s, Load | LoadInt | Store | StoreReduce):
            yield s.buffer, s.index, isinstance(s, Store | StoreReduce)


def is_elementwise(body: Iterable[Statement]) -> bool:
    """Whether `accesses` sees all memory that statements touch, and no loop ends before its time."""
    return not any(
        isinstance(s, Library | Contract | Tile | Transpose | Part | Call | Leave)
        for _, s in walk(list(body))
    )
