"""Which values, cells and integer variables of a routine are used, and how often.

A value nobody stores, branches on or accumulates is dead; compilers with all warnings on refuse
unused variables, so targets do not print it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import field

from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Call,
    Compute,
    Const,
    Element,
    Load,
    LoadInt,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Value,
    Vector,
)
from symgrad.loops.walk import Name, defined, operands, polynomials, variables, walk
from symgrad.records import dataclass

_STRAIGHT = frozenset((Const, Bool, Compute, Load, Store, Vector, Element))


@dataclass
class Liveness:
    """uses: how often each live value or integer variable is read; a key that is missing is dead.

    inline: values read exactly once, in the very block that computes them.
    """

    uses: Counter[Name] = field(default_factory=Counter)
    inline: set[Value] = field(default_factory=set)
    buffers: set[str] = field(default_factory=set)

    def keeps(self, statement: Statement) -> bool:
        """Whether the statement has an effect that somebody sees."""
        if type(statement) is Compute:  # nearly all of them
            return statement.dst in self.uses
        name = defined(statement)
        if name is None and isinstance(statement, SetCell | Accumulate):
            name = statement.cell
        return name is None or name in self.uses


def liveness(body: Sequence[Statement], kept: Iterable[Value] = ()) -> Liveness:
    """What of `body` is live; parts and functions are not entered (each is analysed on its own).

    kept  cells that are read after it.
    """
    if _STRAIGHT.issuperset(map(type, body)):
        return _of_straight(body)
    writers: dict[Name, list[tuple[int, Statement]]] = {}
    home: dict[Name, int] = {}
    waiting: list[tuple[int, Statement]] = []
    for block, statement in walk(body):
        name = defined(statement)
        if name is not None:
            home[name] = block
        elif isinstance(statement, SetCell | Accumulate):
            name = statement.cell
        if name is None:
            waiting.append((block, statement))
        else:
            writers.setdefault(name, []).append((block, statement))
    for cell in kept:
        waiting.extend(writers.pop(cell, ()))
    found = Liveness()
    uses: dict[Name, int] = {}
    last_block: dict[Name, int] = {}
    while waiting:
        block, statement = waiting.pop()
        reads: Iterable[Name]
        if type(statement) is Compute:  # nearly all of them
            reads = statement.args
        else:
            if isinstance(statement, Load | LoadInt | Store | StoreReduce):
                found.buffers.add(statement.buffer)
            elif isinstance(statement, Call):
                found.buffers.update(statement.buffers)
            reads = [*operands(statement), *variables(polynomials(statement))]
        for used in reads:
            uses[used] = uses.get(used, 0) + 1
            last_block[used] = block
            if used in writers:
                waiting.extend(writers.pop(used))
    found.uses.update(uses)
    found.inline = {
        n for n, k in found.uses.items() if k == 1 and isinstance(n, int) and home.get(n) == last_block[n]
    }
    found.uses.update(kept)
    return found


def _of_straight(body: Sequence[Statement]) -> Liveness:
    """The same for statements one after the other, from the last use of a value to its definition."""
    found = Liveness()
    uses: dict[Name, int] = {}
    for s in reversed(body):
        if type(s) is Compute:
            if s.dst in uses:
                for value in s.args:
                    uses[value] = uses.get(value, 0) + 1
        elif type(s) is Element:
            if s.dst in uses:
                uses[s.src] = uses.get(s.src, 0) + 1
        elif isinstance(s, Store) or (isinstance(s, Load | Vector) and s.dst in uses):
            if isinstance(s, Store | Load):
                found.buffers.add(s.buffer)
            read: list[Name] = [*operands(s), *variables(polynomials(s))]
            for name in read:
                uses[name] = uses.get(name, 0) + 1
    found.uses.update(uses)
    found.inline = {name for name, count in uses.items() if count == 1 and isinstance(name, int)}
    return found
