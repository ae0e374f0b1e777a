"""Which values, cells and integer variables of a routine are used, and how often.

A value nobody stores, branches on or accumulates is dead; compilers with all warnings on refuse
unused variables, so targets do not print it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    LoadInt,
    Part,
    Poly,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Test,
    Value,
)

Name = Value | str  # a scalar value, or an integer variable


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
        name = defined(statement)
        if name is None and isinstance(statement, SetCell | Accumulate):
            name = statement.cell
        return name is None or name in self.uses


def walk(body: Sequence[Statement], into_parts: bool = False) -> Iterator[tuple[int, Statement]]:
    """Every statement with the number of its block, depth first, without recursion."""
    stack = [(0, iter(body))]
    blocks = 0
    while stack:
        block, rest = stack[-1]
        statement = next(rest, None)
        if statement is None:
            stack.pop()
            continue
        yield block, statement
        if isinstance(statement, For | If) or (into_parts and isinstance(statement, Part)):
            blocks += 1
            stack.append((blocks, iter(statement.body)))


def defined(statement: Statement) -> Name | None:
    """The value or variable a statement introduces (a loop's variable is not counted)."""
    if isinstance(statement, Const | Bool | Compute | FromInt | Test | Load | Cell):
        return statement.dst
    return statement.var if isinstance(statement, LoadInt) else None


def operands(statement: Statement) -> tuple[Value, ...]:
    """The scalar values a statement reads."""
    if isinstance(statement, Compute):
        return statement.args
    if isinstance(statement, Store | StoreReduce | SetCell | Accumulate):
        return (statement.src,)
    if isinstance(statement, Cell):
        return (statement.init,)
    return (statement.condition,) if isinstance(statement, If) else ()


def polynomials(statement: Statement) -> tuple[Poly, ...]:
    """The integer expressions a statement evaluates."""
    if isinstance(statement, FromInt | Test):
        return (statement.index,)
    if isinstance(statement, Load | LoadInt | Store | StoreReduce):
        return statement.index
    return (*statement.lower, *statement.upper) if isinstance(statement, For) else ()


def variables(polys: Iterable[Poly]) -> Iterator[str]:
    """The integer variables of some polynomials, repeated as often as they occur."""
    return (name for p in polys for names, _ in p for name in names)


def liveness(body: Sequence[Statement]) -> Liveness:
    """What of `body` is live; parts are not entered (each is analysed on its own)."""
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
    found = Liveness()
    last_block: dict[Name, int] = {}
    while waiting:
        block, statement = waiting.pop()
        if isinstance(statement, Load | LoadInt | Store | StoreReduce):
            found.buffers.add(statement.buffer)
        for used in (*operands(statement), *variables(polynomials(statement))):
            found.uses[used] += 1
            last_block[used] = block
            waiting.extend(writers.pop(used, ()))
    found.inline = {
        n for n, k in found.uses.items() if k == 1 and isinstance(n, int) and home.get(n) == last_block[n]
    }
    return found
