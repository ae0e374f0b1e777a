"""What a turn of a loop stores for the next one stays in a register, too.

    for t: s[t + 1] = f(s[t])      ->      c = s[0]
                                           for t: c = f(c); s[t + 1] = c

A number that was just stored can be loaded some seven cycles later, and a recurrence whose states are kept
waits for that at every step. LLVM does this (loop load elimination) for loops that count their turns, not for
those that something leaves, or whose stores stand in the two arms of a condition.
Source: scalar replacement, Callahan, Carr & Kennedy 1990, Improving register allocation for subscripted
variables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from symgrad.loops.effects import effects
from symgrad.loops.nest import (
    Cell,
    Compute,
    Const,
    For,
    If,
    Leave,
    Load,
    Part,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    Test,
    Value,
    poly,
    poly_add,
    poly_at,
    variable,
)
from symgrad.loops.renamed import renamed_statement
from symgrad.loops.walk import each_replaced, has_blocks, next_value, walk

Index = tuple[Poly, ...]


def with_carried(routine: Routine) -> Routine:
    """The routine with such registers; itself if there are none."""
    if not has_blocks(routine.body):
        return routine
    made = _Carried(routine)
    body = each_replaced(routine.body, made.statement)
    return replace(routine, body=body) if made.count else routine


class _Carried:
    """`count` is the number of registers."""

    def __init__(self, routine: Routine) -> None:
        self.next_value = next_value(routine.body)
        self.count = 0

    def statement(self, loop: Statement) -> list[Statement]:
        """What stands in the place of a statement."""
        if not isinstance(loop, For) or loop.step != 1 or loop.lanes:
            return [loop]
        if len(loop.lower) != 1 or len(loop.upper) != 1:
            return [loop]
        before: list[Statement] = []
        for buffer, index in list(_carried(loop)):
            before += self._first(loop, buffer, index)
            loop = replace(loop, body=self._in_register(loop, buffer, index, self.next_value - 1))
            self.count += 1
        return [*before, loop]

    def _first(self, loop: For, buffer: str, index: Index) -> list[Statement]:
        """The register, the last value made, with what the first turn reads, if there is one."""
        ((lower,), (upper,)) = loop.lower, loop.upper
        more = poly_add(poly_add(upper, lower, -1), poly(-1))  # turns after the first
        zero, is_any, number, cell = (self._new() for _ in range(4))
        load = Load(number, buffer, tuple(poly_at(p, loop.var, lower) for p in index))
        if all(not names and k > 0 for names, k in more):
            return [load, Cell(cell, number)]
        return [
            Const(zero, ("q", 0, 1)),
            Cell(cell, zero),
            Test(is_any, "ige", more),
            If(is_any, [load, SetCell(cell, number)]),
        ]

    def _in_register(self, loop: For, buffer: str, index: Index, cell: Value) -> list[Statement]:
        """The body: it reads the register where it loaded what the turn before has stored."""
        stored = _next(index, loop.var)
        following = self._new()

        def block(body: Sequence[Statement], same: Mapping[Value, Value]) -> list[Statement]:
            same, done = dict(same), list[Statement]()
            for s in body:
                if isinstance(s, Load) and s.buffer == buffer and s.index == index:
                    same[s.dst] = cell
                    continue
                s = renamed_statement(s, {}, same)
                if isinstance(s, For | If | Part) and not _is_exit(s):
                    s = replace(s, body=block(s.body, same))
                done.append(s)
                if isinstance(s, Store) and s.buffer == buffer and s.index == stored:
                    done.append(SetCell(following, s.src))
            return done

        return [Cell(following, cell), *block(loop.body, {}), SetCell(cell, following)]

    def _new(self) -> Value:
        self.next_value += 1
        return self.next_value - 1


def _carried(loop: For) -> Iterator[tuple[str, Index]]:
    """(buffer, index) of what a turn loads and the one before has stored, on every way through its body."""
    inside = [s for s in loop.body if not _is_exit(s)]
    every = [s for _, s in walk(inside, into_parts=True)]
    if not any(isinstance(s, Store) for s in every):
        return
    others = [s for s in every if not isinstance(s, Load | Store | For | If | Part)]
    opaque = frozenset[str]().union(*(effects(s).touches for s in others))
    loads = dict.fromkeys((s.buffer, s.index) for s in every if isinstance(s, Load))
    for buffer, index in loads:
        stored = _next(index, loop.var)
        stores = [s.index for s in every if isinstance(s, Store) and s.buffer == buffer]
        if buffer in opaque or stored not in stores or not _is_on_every_way(inside, buffer, stored):
            continue
        if all(_differ(s, index) for s in stores) and all(s == stored or _differ(s, stored) for s in stores):
            yield buffer, index


def _is_exit(s: Statement) -> bool:
    """Whether it ends the loop where its condition holds."""
    return isinstance(s, If) and bool(s.body) and isinstance(s.body[-1], Leave)


def _is_on_every_way(body: Sequence[Statement], buffer: str, index: Index) -> bool:
    """Whether a body stores an element once: itself, or under a condition and under its opposite."""

    def count(body: Sequence[Statement]) -> int:
        return sum(isinstance(s, Store) and s.buffer == buffer and s.index == index for s in body)

    total = count([s for _, s in walk(body, into_parts=True)])
    if count(body):
        return total == 1
    opposite = {s.dst: s.args[0] for s in body if isinstance(s, Compute) and s.op == "not"}
    arms = [s.condition for s in body if isinstance(s, If) and count(s.body) == 1]
    return total == len(arms) == 2 and (opposite.get(arms[0]) == arms[1] or opposite.get(arms[1]) == arms[0])


def _next(index: Index, var: str) -> Index:
    """An index in the next turn."""
    return tuple(poly_at(p, var, poly_add(variable(var), poly(1))) for p in index)


def _differ(a: Index, b: Index) -> bool:
    """Whether two elements of an array are never the same one."""
    apart = (poly_add(p, q, -1) for p, q in zip(a, b, strict=True))
    return any(len(d) == 1 and d[0][0] == () for d in apart)
