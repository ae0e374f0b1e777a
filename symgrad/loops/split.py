"""Cut long straight-line code into parts, so that compilers take time linear in its length.

Compilers allocate registers in time that grows faster than a function does. `split` cuts every long
run of straight-line statements at the top of a routine into `Part`s of bounded size, which targets
compile as functions of their own. Values that cross a cut go through a work buffer: stored where they
are computed, loaded where a part first reads them, in slots that are used again once they are read
for the last time. What costs no more than a load (constants, inputs, indices) is computed again instead.

Statements that open a block or touch a mutable cell stay where they are, between the parts.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from symgrad.loops.lines import Lines
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Buffer,
    Compute,
    Const,
    FromInt,
    Load,
    LoadInt,
    Part,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Test,
    Value,
    poly,
)
from symgrad.loops.walk import (
    Name,
    defined,
    is_bool,
    operands,
    polynomials,
    unused_name,
    variables,
    walk,
)
from symgrad.records import dataclass

LIMIT = 2_000  # statements; a run no longer than this stays whole
PART = 1_000  # statements in one part (studies/limits.md, section 3)

_CHEAP = frozenset((Const, Bool, FromInt, Test, LoadInt))
_STRAIGHT = frozenset((Const, Bool, Compute, FromInt, Test, Load, LoadInt, Store, StoreReduce))


def split(routine: Routine, limit: int = LIMIT, part: int = PART) -> Routine:
    """The same routine with its long straight-line runs cut into parts of `part` statements.

    Returns `routine` itself if no run at its top is longer than `limit` statements. Where values cross a cut,
    the result has one more work buffer, and the workspace has to be sized for the result.
    """
    if isinstance(routine.body, Lines) and limit < len(routine.body) <= part:
        lines = routine.body
        return replace(routine, body=[*lines.before, Part(Lines(lines.pieces))])
    pieces = list(_pieces(routine.body, limit, part))
    if not any(piece.scope for piece in pieces):
        return routine
    if len(pieces) == 1:
        return replace(routine, body=[Part(pieces[0].statements)])
    return _Splitter(routine, pieces).run()


@dataclass(frozen=True)
class _Piece:
    """Consecutive statements of one scope: 0 is the routine itself, k its k-th part."""

    scope: int
    statements: list[Statement]


def _pieces(body: Sequence[Statement], limit: int, part: int) -> Iterator[_Piece]:
    if len(body) > limit and _STRAIGHT.issuperset(map(type, body)):  # one run
        for scope, first in enumerate(range(0, len(body), part), 1):
            yield _Piece(scope, [*body[first : first + part]])
        return
    run: list[Statement] = []
    scope = 0
    for statement in (*body, None):
        if statement is not None and type(statement) in _STRAIGHT:
            run.append(statement)
            continue
        if len(run) > limit:
            for first in range(0, len(run), part):
                scope += 1
                yield _Piece(scope, run[first : first + part])
        elif run:
            yield _Piece(0, run)
        run = []
        if statement is not None:
            yield _Piece(0, [statement])


class _Splitter:
    """Rewrites the pieces one after the other."""

    def __init__(self, routine: Routine, pieces: list[_Piece]) -> None:
        self.routine, self.pieces = routine, pieces
        self.inputs = {b.name for b in routine.buffers if b.role == "input"}
        self.definition: dict[Name, Statement] = {}  # at the routine's top
        self.home: dict[Name, int] = {}  # the scope that computes it
        self.place: dict[Name, int] = {}  # the number of the statement that does
        self.starts: dict[int, int] = {}  # of the first statement of a scope
        self.bools: set[Name] = set()
        self.fresh = 0
        self._find_definitions()
        self.foreign = [self._foreign_of(p) for p in pieces]  # by the place of the statement in its piece
        self.last_load = self._find_last_loads()
        self.stored: dict[int, set[int]] = {}  # by scope: places of statements whose values other scopes load
        for value in self.last_load:
            scope = self.home[value]
            self.stored.setdefault(scope, set()).add(self.place[value] - self.starts[scope])
        self.slot: dict[Value, int] = {}
        self.current: set[Value] = set()  # what memory holds the present content of
        self.free: list[int] = []
        self.slots = 0
        self.memory = unused_name(routine, "spill")

    def run(self) -> Routine:
        body: list[Statement] = []
        known: dict[int, set[Name]] = {0: set()}
        expiring: dict[int, list[Value]] = {}
        for value, number in self.last_load.items():
            expiring.setdefault(number, []).append(value)
        for number, piece in enumerate(self.pieces):
            inside = body
            if piece.scope:
                known[piece.scope] = set()
                body += self._stores_before(number)
                inside = []
                body.append(Part(inside))
            self._write(piece, self.foreign[number], known[piece.scope], inside)
            for value in sorted(expiring.get(number, ())):
                self.current.discard(value)
                heapq.heappush(self.free, self.slot.pop(value))
        spill = Buffer(self.memory, "work", (poly(self.slots),))
        return replace(self.routine, buffers=(*self.routine.buffers, spill), body=body)

    def _write(
        self, piece: _Piece, foreign: dict[int, list[Name]], known: set[Name], out: list[Statement]
    ) -> None:
        """The statements, with what they need from other scopes before them, and what others need behind."""
        done = 0
        touched = self.stored.get(piece.scope, ()) if piece.scope else range(len(piece.statements))
        for k in sorted({*foreign, *touched}):
            out += piece.statements[done:k]
            if k in foreign:
                self._fetch(foreign[k], known, out)
            out.append(piece.statements[k])
            self._after(piece.statements[k], piece.scope, out)
            done = k + 1
        out += piece.statements[done:]

    # ---- analysis ----------------------------------------------------------------------------

    def _find_definitions(self) -> None:
        place, definition, home, bools = self.place, self.definition, self.home, self.bools
        number = 0
        for piece in self.pieces:
            self.starts[piece.scope] = number
            for number, top in enumerate(piece.statements, number):  # noqa: B020  (goes on counting)
                if piece.scope == 0:
                    inside = (defined(s) for _, s in walk((top,)))
                    self.fresh = max([self.fresh, *(n + 1 for n in inside if isinstance(n, int))])
                name = defined(top) if type(top) is not Compute else top.dst
                if name is not None:
                    place[name] = number
                    definition[name], home[name] = top, piece.scope
                    if is_bool(top, bools):
                        bools.add(name)
            number += 1
        self.fresh = max([self.fresh, *(n + 1 for n in definition if isinstance(n, int))])

    def _find_last_loads(self) -> dict[Value, int]:
        """For each value that crosses a border, the last piece that loads it from memory."""
        last: dict[Value, int] = {}
        in_routine: set[Value] = set()  # the routine's own scope loads a value only once
        for number, piece in enumerate(self.pieces):
            for names in self.foreign[number].values():
                for name in names:
                    if isinstance(name, str) or self._is_cheap(name):
                        continue
                    if piece.scope:
                        last[name] = number
                    elif name not in in_routine:
                        last[name] = number
                        in_routine.add(name)
        return last

    def _foreign_of(self, piece: _Piece) -> dict[int, list[Name]]:
        """What statements read from other scopes."""
        home, scope = self.home, piece.scope
        found: dict[int, list[Name]] = {}
        for k, s in enumerate(piece.statements):
            if type(s) is Compute:  # nearly all of them, mostly with operands of their own scope
                for n in s.args:
                    if home[n] != scope:
                        break
                else:
                    continue
            elif type(s) is Const:
                continue
            if names := self._foreign(s, scope):
                found[k] = names
        return found

    def _foreign(self, statement: Statement, scope: int) -> list[Name]:
        """What the statement reads from other scopes, directly or through what is computed again."""
        found: dict[Name, None] = {}
        waiting = list(_names_read(statement))
        while waiting:
            name = waiting.pop()
            if name not in found and self.home.get(name, scope) != scope:
                found[name] = None
                if self._is_cheap(name):
                    waiting.extend(_names_read(self.definition[name]))
        return sorted(found, key=self.place.__getitem__) if len(found) > 1 else [*found]

    def _is_cheap(self, name: Name) -> bool:
        """Whether computing it again costs no more than loading it."""
        s = self.definition[name]
        return type(s) in _CHEAP or (type(s) is Load and s.buffer in self.inputs)

    # ---- rewriting ---------------------------------------------------------------------------

    def _fetch(self, names: list[Name], known: set[Name], out: list[Statement]) -> None:
        """Compute again, or load, what a statement needs from other scopes."""
        for name in names:
            if name in known:
                continue
            known.add(name)
            if isinstance(name, str) or self._is_cheap(name):
                out.append(self.definition[name])
            else:
                out.extend(self._load(name))

    def _after(self, statement: Statement, scope: int, out: list[Statement]) -> None:
        """Store what other scopes will read, and note which cells a statement has changed."""
        if scope:
            name = defined(statement)
            if name is not None and name in self.last_load:
                out.extend(self._store(name))
        elif not isinstance(statement, Compute):
            for _, inner in walk((statement,)):
                if isinstance(inner, SetCell | Accumulate):
                    self.current.discard(inner.cell)

    def _stores_before(self, number: int) -> list[Statement]:
        """What the routine's own scope has to put into memory for a part."""
        out: list[Statement] = []
        for names in self.foreign[number].values():
            for name in names:
                if isinstance(name, str) or self.home[name] or self._is_cheap(name):
                    continue
                if name not in self.current:
                    out.extend(self._store(name))
        return out

    def _store(self, value: Value) -> list[Statement]:
        """Put a value into its slot, a truth value as 0 or 1."""
        if value not in self.slot:
            self.slots += not self.free
            self.slot[value] = heapq.heappop(self.free) if self.free else self.slots - 1
        self.current.add(value)
        index = (poly(self.slot[value]),)
        if value not in self.bools:
            return [Store(self.memory, index, value)]
        one, number = self._new(), self._new()
        return [
            Const(one, ("q", 1, 1)),
            Compute(number, "mask", (value, one)),
            Store(self.memory, index, number),
        ]

    def _load(self, value: Value) -> list[Statement]:
        index = (poly(self.slot[value]),)
        if value not in self.bools:
            return [Load(value, self.memory, index)]
        number, zero = self._new(), self._new()
        return [
            Load(number, self.memory, index),
            Const(zero, ("q", 0, 1)),
            Compute(value, "ne", (number, zero)),
        ]

    def _new(self) -> Value:
        self.fresh += 1
        return self.fresh - 1


def _names_read(statement: Statement) -> Iterable[Name]:
    """Every value and integer variable that the statement, or what stands inside it, reads."""
    return statement.args if type(statement) is Compute else _names_inside(statement)


def _names_inside(statement: Statement) -> Iterator[Name]:
    for _, inner in walk((statement,)):
        yield from operands(inner)
        yield from variables(polynomials(inner))
        if isinstance(inner, SetCell | Accumulate):
            yield inner.cell
