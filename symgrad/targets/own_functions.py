"""Which elementary functions of a routine become our own (`vector_math.py`), before a target prints it.

In innermost loops all of them, so that these loops vectorise; in straight-line code those of which several
can be called at once (`call_lanes.py`); elsewhere those that are no slower there than the library's, one call
at a time. In long straight-line code (`Routine.contracts` is false) all of them, whether parts of it became
loops or not. The choice depends on the routine alone, so the numbers do not depend on what a compiler made of
a loop. Ops are renamed: "exp" to "own_exp".

Sine and cosine are our own only up to a limit, and a call of the library behind a condition would keep the
loop from being vectorised. So the loop calls our function without asking ("own_sin"), and notes whether any
argument was too large; if one was, the loop is run again, with a function that asks ("apart_sin") instead:

    far = false
    for i: ... own_sin(x) ... ; far |= |x| > limit
    if far: for i: ... apart_sin(x) ...

This is done where the second run finds what the first one found: no element is both read and written, and
reductions start again from what they held before. In other loops these two stay the library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import count
from operator import is_
from typing import Any

from symgrad.loops.effects import Index
from symgrad.loops.independent import names_inside, never_meet
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Cell,
    Compute,
    Const,
    Contract,
    For,
    If,
    Leave,
    Library,
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
from symgrad.loops.walk import bodies, defined, operands, walk
from symgrad.targets.call_lanes import called_at_once
from symgrad.targets.vector_math import APART, FUNCTIONS, OWN, function_of, is_limited, traced

MOST_VECTORISED = 3_000  # instructions in one block; the vectoriser's time is quadratic (10,000: 10 s)
_MOST_TWICE = 2_000  # statements; a longer loop is not worth having twice

# One call after the other, tanh takes less time than the library's (25 against 30 ns, independent calls
# 8 against 9); the chains of multiply-adds of the others take more (exp 15 against 4). Measured by
# tools/bench/vector_math.py.
_OUTSIDE = frozenset({"tanh"})


def with_own_functions(routine: Routine, dtype: str) -> Routine:
    """The routine with its elementary functions replaced; the same object if there is nothing to replace."""
    ops: set[str] = set()
    loops = False
    for body in bodies(routine.body):
        ops |= {s.op for s in body if type(s) is Compute}
        loops |= any(type(s) is For for s in body)
    if not ops & FUNCTIONS.keys():
        return routine
    rewriting = _Rewriting(routine, dtype)
    body = called_at_once(routine.body, rewriting.new)
    if loops or ops & rewriting.outside:
        body = rewriting.body(body)
    same = len(body) == len(routine.body) and all(map(is_, body, routine.body))
    return routine if same else replace(routine, body=body)


def inlined_operations(body: Sequence[Statement], dtype: str) -> int:
    """How many instructions inlining our own functions adds to a routine that has them."""
    ops = (s.op for _, s in walk(body, into_parts=True) if isinstance(s, Compute))
    return sum(len(traced(function_of(op), dtype)) for op in ops if op.startswith(OWN))


def _innermost_loops(body: Sequence[Statement], dtype: str) -> set[int]:
    """The `id` of every loop without loops inside that is short enough to be vectorised."""
    found: set[int] = set()
    stack: list[tuple[Iterator[Statement], For | None]] = [(iter(body), None)]
    counts, innermost = [0], [True]  # of each loop around
    while stack:
        rest, loop = stack[-1]
        s = next(rest, None)
        if s is None:
            stack.pop()
            if loop is not None:
                count = counts.pop()
                if innermost.pop() and count <= MOST_VECTORISED:
                    found.add(id(loop))
            continue
        own = isinstance(s, Compute) and s.op in FUNCTIONS
        counts[-1] += len(traced(s.op, dtype)) if own else 1  # type: ignore[union-attr]  # a Compute
        if isinstance(s, For):
            innermost[-1] = False
            counts.append(0)
            innermost.append(True)
        if isinstance(s, For | If | Part):
            stack.append((iter(s.body), s if isinstance(s, For) else None))
    return found


class _Rewriting:
    """Copies a body with other ops, and some loops twice."""

    def __init__(self, routine: Routine, dtype: str) -> None:
        self.routine, self.dtype = routine, dtype
        self.outside = _OUTSIDE if routine.contracts else FUNCTIONS.keys()

    @cached_property
    def inner(self) -> set[int]:
        return _innermost_loops(self.routine.body, self.dtype)

    @cached_property
    def numbers(self) -> Iterator[Value]:
        return count(1 + max(map(_last_number, bodies(self.routine.body))))

    def new(self) -> Value:
        return next(self.numbers)

    def body(self, statements: Sequence[Statement]) -> list[Statement]:
        """Iterative, as everything here: loops may be nested as deep as the user's expression."""
        return _copied(statements, self._outside)

    def _outside(self, s: Statement) -> list[Statement] | None:
        if type(s) is Compute:
            return [Compute(s.dst, APART + s.op, s.args)] if s.op in self.outside else None
        return self._loop(s) if isinstance(s, For) and id(s) in self.inner else None

    def _loop(self, loop: For) -> list[Statement]:
        limited = sorted({s.op for _, s in walk(loop.body) if isinstance(s, Compute) and is_limited(s.op)})
        if limited and _is_repeatable(loop):
            return self._twice(loop, limited)
        return [replace(loop, body=_copied(loop.body, self._own_or_apart))]

    def _own_or_apart(self, s: Statement) -> list[Statement] | None:
        """Our own function; where it has a limit, what functions outside of loops are."""
        if isinstance(s, Compute) and is_limited(s.op):
            return self._outside(s)
        return _own_where_unlimited(s)

    def _twice(self, loop: For, limited: Sequence[str]) -> list[Statement]:
        far, no = self.new(), self.new()
        before: list[Statement] = [Bool(no, False), Cell(far, no)]
        limits: dict[str, Value] = {}
        for op in limited:
            limits[op] = self.new()
            limit = Fraction(FUNCTIONS[op].limit)
            before.append(Const(limits[op], ("q", limit.numerator, limit.denominator)))
        restored: list[Statement] = []
        for cell in _cells_from_outside(loop):
            kept = self.new()
            before.append(Cell(kept, cell))
            restored.append(SetCell(cell, kept))
        first = replace(loop, body=self._noting(loop.body, far, limits))
        comment = f"{loop.comment}, again with large arguments".removeprefix(", ")
        again = replace(loop, body=self._apart(loop.body), comment=comment)
        return [*before, first, If(far, [*restored, again])]

    def _noting(self, body: Sequence[Statement], far: Value, limits: dict[str, Value]) -> list[Statement]:
        """The body, noting in the cell `far` whether an argument of a limited function was too large."""

        def change(s: Statement) -> list[Statement] | None:
            if not isinstance(s, Compute) or s.op not in limits:
                return _own_where_unlimited(s)
            size, larger = self.new(), self.new()
            return [
                replace(s, op=OWN + s.op),
                Compute(size, "abs", s.args),
                Compute(larger, "lt", (limits[s.op], size)),
                Accumulate("any", far, larger),
            ]

        return _copied(body, change)

    def _apart(self, body: Sequence[Statement]) -> list[Statement]:
        """A copy with functions for any argument; values get new numbers, each computed in one place."""
        new: dict[Value, Value] = {}
        for _, s in walk(body):
            name = defined(s)
            if isinstance(name, int):
                new[name] = self.new()

        def change(s: Statement) -> list[Statement]:
            if isinstance(s, Compute) and s.op in FUNCTIONS:
                s = replace(s, op=APART + s.op)
            return [_renamed(s, new)]

        return _copied(body, change)


def _last_number(body: Sequence[Statement]) -> Value:
    """The largest number of the values and cells that statements make or are handed from outside."""
    last = max([s.dst for s in body if type(s) is Compute], default=0)  # nearly all of them
    for s in body:
        if type(s) is not Compute:
            name = defined(s)
            more = (s.cell,) if isinstance(s, SetCell | Accumulate) else ()
            last = max(last, name if isinstance(name, int) else 0, *operands(s), *more)
    return last


_WITH_BODIES = (For, If, Part)
Change = Callable[[Statement], "list[Statement] | None"]


def _copied(statements: Sequence[Statement], change: Change) -> list[Statement]:
    """A copy of a body and all bodies inside it.

    change  what to put in a statement's place, None to keep it. One statement with an empty body stands for a
            statement with a body, which is then copied into it.
    """
    result: list[Statement] = []
    stack: list[tuple[Iterator[Statement], list[Statement]]] = [(iter(statements), result)]
    while stack:
        rest, out = stack[-1]
        for s in rest:
            changed = change(s)
            if isinstance(s, _WITH_BODIES):
                changed = changed or [replace(s, body=[])]
                out += changed
                first = changed[0]
                if len(changed) == 1 and isinstance(first, _WITH_BODIES) and not first.body:
                    inner: list[Statement] = []
                    first.body = inner
                    stack.append((iter(s.body), inner))
                    break
            elif changed is None:
                out.append(s)
            else:
                out += changed
        else:
            stack.pop()
    return result


def _own_where_unlimited(s: Statement) -> list[Statement] | None:
    if isinstance(s, Compute) and s.op in FUNCTIONS and not is_limited(s.op):
        return [replace(s, op=OWN + s.op)]
    return None


def _is_repeatable(loop: For) -> bool:
    """Whether a second run, after restoring the cells, finds what the first one found."""
    read: dict[str, set[Index]] = {}
    written: set[tuple[str, Index]] = set()
    for number, (_, s) in enumerate(walk(loop.body)):
        if number > _MOST_TWICE or isinstance(s, StoreReduce | Part | Leave | Contract | Library):
            return False
        if isinstance(s, Load | LoadInt):
            read.setdefault(s.buffer, set()).add(s.index)
        elif isinstance(s, Store):
            written.add((s.buffer, s.index))
    varying = {loop.var, *names_inside(loop)}
    return all(never_meet(to, at, varying) for buffer, to in written for at in read.get(buffer, ()))


def _cells_from_outside(loop: For) -> list[Value]:
    """The cells of enclosing blocks that the loop changes."""
    inside = {defined(s) for _, s in walk(loop.body)}
    changed = dict.fromkeys(s.cell for _, s in walk(loop.body) if isinstance(s, SetCell | Accumulate))
    return [cell for cell in changed if cell not in inside]


def _renamed(s: Statement, new: dict[Value, Value]) -> Statement:
    """A copy with values renamed; the body of a condition is left empty."""

    def of(value: Value) -> Value:
        return new.get(value, value)

    fields: dict[str, Any] = {}
    if isinstance(s, Compute):
        fields["args"] = tuple(map(of, s.args))
    elif isinstance(s, If):
        fields |= {"condition": of(s.condition), "body": []}
    elif isinstance(s, Cell):
        fields["init"] = of(s.init)
    elif operands(s):
        fields["src"] = of(operands(s)[0])
    if isinstance(s, SetCell | Accumulate):
        fields["cell"] = of(s.cell)
    name = defined(s)
    if isinstance(name, int):
        fields["dst"] = new[name]
    return replace(s, **fields)
