"""Loops over functions that are our own only up to a limit (sine, cosine), so that they vectorise.

A call of the library behind a condition would keep a loop from being vectorised. So the loop calls our own
function without asking ("near_sin"), and notes whether any argument was too large; if one was, the loop is run
again, with the guarded function ("sin") in its place:

    far = false
    for i: ... near_sin(x) ... ; far |= |x| > limit
    if far: for i: ... sin(x) ...

This is done to innermost loops whose second run finds what the first one found: no buffer is both read and written,
and reductions start again from what they held before. Elsewhere the guarded function is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Cell,
    Compute,
    Const,
    For,
    If,
    Load,
    LoadInt,
    Part,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Value,
)
from symgrad.loops.walk import defined, walk
from symgrad.targets.vector_math import FUNCTIONS, NEAR_PREFIX, is_limited

_MOST = 500  # statements; a longer loop is not worth having twice


def with_near_loops(routine: Routine) -> Routine:
    """The routine with every loop that qualifies written twice; the same object if none does."""
    loops = [s for _, s in walk(routine.body, into_parts=True) if isinstance(s, For) and _qualifies(s)]
    if not loops:
        return routine
    return replace(routine, body=_Doubling(routine, loops).body(routine.body))


def _qualifies(loop: For) -> bool:
    limited, count = False, 0
    read: set[str] = set()
    written: set[str] = set()
    for _, s in walk(loop.body):
        count += 1
        if count > _MOST or isinstance(s, For | Part | StoreReduce):
            return False
        if isinstance(s, Compute):
            limited |= is_limited(s.op)
        elif isinstance(s, Load | LoadInt):
            read.add(s.buffer)
        elif isinstance(s, Store):
            written.add(s.buffer)
    return limited and not read & written


class _Doubling:
    """Rewrites the loops in question; everything else is kept as it is."""

    def __init__(self, routine: Routine, loops: Sequence[For]) -> None:
        self.loops = {id(loop) for loop in loops}
        numbers = (defined(s) for _, s in walk(routine.body, into_parts=True))
        self.next = 1 + max((n for n in numbers if isinstance(n, int)), default=0)

    def _new(self) -> Value:
        self.next += 1
        return self.next - 1

    def body(self, statements: Sequence[Statement]) -> list[Statement]:
        """Iterative: loops may be nested as deep as the user's expression."""
        result: list[Statement] = []
        stack: list[tuple[Iterator[Statement], list[Statement]]] = [(iter(statements), result)]
        while stack:
            rest, out = stack[-1]
            s = next(rest, None)
            if s is None:
                stack.pop()
            elif isinstance(s, For) and id(s) in self.loops:
                out.extend(self._twice(s))
            elif isinstance(s, For | If | Part):
                copy = replace(s, body=[])
                out.append(copy)
                stack.append((iter(s.body), copy.body))
            else:
                out.append(s)
        return result

    def _twice(self, loop: For) -> list[Statement]:
        far, no, limits = self._new(), self._new(), {}
        before: list[Statement] = [Bool(no, False), Cell(far, no)]
        for op in sorted({s.op for _, s in walk(loop.body) if isinstance(s, Compute) and is_limited(s.op)}):
            limit = Fraction(FUNCTIONS[op].limit)
            limits[op] = self._new()
            before.append(Const(limits[op], ("q", limit.numerator, limit.denominator)))
        restored: list[Statement] = []
        inside = {defined(s) for _, s in walk(loop.body)}
        for cell in _cells_set(loop):
            if cell not in inside:
                kept = self._new()
                before.append(Cell(kept, cell))
                restored.append(SetCell(cell, kept))
        first = replace(loop, body=self._near(loop.body, far, limits))
        comment = f"{loop.comment}, again with large arguments".removeprefix(", ")
        second = replace(loop, body=self._renumbered(loop.body), comment=comment)
        return [*before, first, If(far, [*restored, second])]

    def _near(self, statements: Sequence[Statement], far: Value, limits: dict[str, Value]) -> list[Statement]:
        """The body with near functions, each noting in the cell `far` whether its argument was too large."""
        result: list[Statement] = []
        stack: list[tuple[Iterator[Statement], list[Statement]]] = [(iter(statements), result)]
        noted: set[Value] = set()
        while stack:
            rest, out = stack[-1]
            s = next(rest, None)
            if s is None:
                stack.pop()
            elif isinstance(s, If):
                copy = replace(s, body=[])
                out.append(copy)
                stack.append((iter(s.body), copy.body))
            elif isinstance(s, Compute) and s.op in limits:
                out.append(replace(s, op=NEAR_PREFIX + s.op))
                if s.args[0] not in noted or len(stack) > 1:
                    noted.update(s.args if len(stack) == 1 else ())
                    size, larger = self._new(), self._new()
                    out += [
                        Compute(size, "abs", s.args), Compute(larger, "lt", (limits[s.op], size)),
                        Accumulate("any", far, larger),
                    ]  # fmt: skip
            else:
                out.append(s)
        return result

    def _renumbered(self, statements: Sequence[Statement]) -> list[Statement]:
        """A copy whose own values have new numbers: each number is computed in one place only."""
        new: dict[Value, Value] = {}
        for _, s in walk(statements):
            name = defined(s)
            if isinstance(name, int):
                new[name] = self._new()
        result: list[Statement] = []
        stack: list[tuple[Iterator[Statement], list[Statement]]] = [(iter(statements), result)]
        while stack:
            rest, out = stack[-1]
            s = next(rest, None)
            if s is None:
                stack.pop()
                continue
            out.append(_renamed(s, new))
            if isinstance(s, If):
                stack.append((iter(s.body), out[-1].body))  # type: ignore[union-attr]  # _renamed keeps the class
        return result


def _cells_set(loop: For) -> list[Value]:
    return list(dict.fromkeys(s.cell for _, s in walk(loop.body) if isinstance(s, SetCell | Accumulate)))


def _renamed(s: Statement, new: dict[Value, Value]) -> Statement:
    """A copy of one statement; the body of a condition is left empty."""
    if isinstance(s, Compute):
        return replace(s, dst=new[s.dst], args=tuple(new.get(a, a) for a in s.args))
    if isinstance(s, Cell):
        return replace(s, dst=new[s.dst], init=new.get(s.init, s.init))
    if isinstance(s, SetCell | Accumulate):
        return replace(s, cell=new.get(s.cell, s.cell), src=new.get(s.src, s.src))
    if isinstance(s, Store):
        return replace(s, src=new.get(s.src, s.src))
    if isinstance(s, If):
        return replace(s, condition=new.get(s.condition, s.condition), body=[])
    name = defined(s)
    if isinstance(name, int):
        return replace(s, dst=new[name])  # type: ignore[call-arg]  # constants, tests, loads have one
    return s
