"""Loops whose first or last turns are special: those apart, so that the turns between them ask nothing.

    for i in [0, n): if i == 0: a else: b[i - 1]       for i in [0, min(n, 1)): as written
                                                 ->    for i in [1, n): b[i - 1]

An innermost loop over [low, high) has tests that change at low + A at the latest and at high - B at the
earliest, for small numbers A and B. It becomes three loops over the same turns in the same order. In the
middle one those tests are decided, and what depends on them alone is gone: it is straight-line code, which
vectorises. The others stay as written.
Source: index-set splitting, Allen & Kennedy 2001, Optimizing Compilers for Modern Architectures, section 5.8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Test,
    Value,
    poly,
    poly_add,
)
from symgrad.loops.walk import defined, each_replaced, has_blocks, next_value, walk

MOST_TURNS = 8  # at either end: what is special after so many turns is taken for the rule
_MOST_STATEMENTS = 2_000  # in a loop that is written three times
KNOWN = (
    Const, Bool, Compute, FromInt, Test, Load, Store, StoreReduce, Cell, SetCell, Accumulate, If,
)  # fmt: skip
_ZERO = ("q", 0, 1)


def peeled(routine: Routine) -> Routine:
    """The routine with special turns of innermost loops apart; itself if there are none."""
    if not has_blocks(routine.body):
        return routine
    made = _Peeling(routine)
    body = each_replaced(routine.body, made.statement)
    return replace(routine, body=body) if made.count else routine


class _Peeling:
    """`count` is the number of loops that were cut."""

    def __init__(self, routine: Routine) -> None:
        self.next_value = next_value(routine.body)
        self.count = 0

    def statement(self, loop: Statement) -> list[Statement]:
        """What stands in the place of a statement: of an innermost loop, three."""
        if not isinstance(loop, For):
            return [loop]
        inside = [s for _, s in walk(loop.body, into_parts=True)]
        if len(inside) > _MOST_STATEMENTS or not all(isinstance(s, KNOWN) for s in inside):
            return [loop]
        first, last = _special_turns(loop, inside)
        if (not first and not last) or not any(isinstance(s, If) for s in inside):
            return [loop]
        (low,), (high,) = loop.lower, loop.upper
        start, stop = poly_add(low, poly(first)), poly_add(high, poly(-last))
        middle = _between(loop, start, stop)
        if middle is None:
            return [loop]
        self.count += 1
        parts = [replace(loop, lower=(start,), upper=(stop,), body=middle)]
        if first:
            parts.insert(0, replace(loop, upper=(high, start), body=self._copied(loop.body)))
        if last:
            parts.append(replace(loop, lower=(start, stop), body=self._copied(loop.body)))
        return list(parts)

    def _copied(self, body: Sequence[Statement]) -> list[Statement]:
        made, self.next_value = copied(body, self.next_value)
        return made


def copied(body: Sequence[Statement], next_value: Value) -> tuple[list[Statement], Value]:
    """The same statements with values of their own, from `next_value` on; and the next one after those."""
    new: dict[Value, Value] = {}
    for _, s in walk(body):
        value = defined(s)
        if isinstance(value, int):
            new[value] = next_value
            next_value += 1
    return _renamed(body, new), next_value


def _renamed(body: Sequence[Statement], new: Mapping[Value, Value]) -> list[Statement]:
    """Statements on other values."""
    out: list[Statement] = []
    for s in body:
        made = replace(s)
        for name in ("dst", "src", "cell", "init", "condition"):
            if hasattr(made, name):
                value = getattr(made, name)
                setattr(made, name, new.get(value, value))
        if isinstance(made, Compute):
            made.args = tuple(new.get(v, v) for v in made.args)
        if isinstance(made, If | For):
            made.body = _renamed(made.body, new)
        out.append(made)
    return out


# ---- which turns are special -------------------------------------------------------------------


def _special_turns(loop: For, inside: Sequence[Statement]) -> tuple[int, int]:
    """How many turns at the start and at the end differ from the others by the tests in them."""
    first = last = 0
    if len(loop.lower) != 1 or len(loop.upper) != 1 or loop.step != 1 or loop.lanes:
        return 0, 0
    for s in inside:
        if isinstance(s, Test) and (known := alone(s.index, loop.var)) is not None:
            k, rest = known
            place = rest if k < 0 else poly_add((), rest, -1)  # where the index is zero
            after = 1 if k < 0 or s.op == "ieq" else 0  # turns there that belong to those before
            from_start = _number(poly_add(place, loop.lower[0], -1))
            to_end = _number(poly_add(loop.upper[0], place, -1))
            if from_start is not None and 0 < from_start + after <= MOST_TURNS:
                first = max(first, from_start + after)
            elif to_end is not None and 0 < to_end <= MOST_TURNS:
                last = max(last, to_end - (after if s.op == "ige" else 0))
    return first, last


def alone(index: Poly, var: str) -> tuple[int, Poly] | None:
    """(k, rest) if the index is k*var + rest with k = 1 or -1 and no `var` in the rest."""
    own = [(names, k) for names, k in index if var in names]
    if len(own) != 1 or own[0][0] != (var,) or abs(own[0][1]) != 1:
        return None
    return own[0][1], tuple(term for term in index if term != own[0])


def _number(p: Poly) -> int | None:
    """The value of a polynomial without variables."""
    return sum(k for _, k in p) if all(not names for names, _ in p) else None


# ---- the turns between -------------------------------------------------------------------------


def _between(loop: For, start: Poly, stop: Poly) -> list[Statement] | None:
    """The body of the loop for turns in [start, stop), as straight-line code; None where it asks more."""
    body = Decided(loop.var, start, stop, frozenset()).block(loop.body)
    if any(isinstance(s, If) for s in body):
        return None
    cells = {s.dst for s in body if isinstance(s, Cell)} - {s.cell for s in body if isinstance(s, Accumulate)}
    return Decided(loop.var, start, stop, frozenset(cells)).block(loop.body)


class Decided:
    """Statements for turns of a loop in [start, stop).

    settled  cells that are set in straight-line code only: names for what they hold at each place.
    """

    def __init__(self, var: str, start: Poly, stop: Poly, settled: frozenset[Value]) -> None:
        self.var, self.start, self.stop, self.settled = var, start, stop, settled
        self.truth: dict[Value, bool] = {}
        self.zeros: set[Value] = set()
        self.cells: set[Value] = set()
        self.same: dict[Value, Value] = {}  # values that turned out to be others

    def block(self, body: Sequence[Statement]) -> list[Statement]:
        out: list[Statement] = []
        for s in body:
            if isinstance(s, If):
                condition = self.same.get(s.condition, s.condition)
                inside = self.block(s.body) if self.truth.get(condition, True) else []
                out += inside if condition in self.truth else [If(condition, inside)]
            elif isinstance(s, SetCell) and s.cell in self.settled:
                self.same[s.cell] = self.same.get(s.src, s.src)
            else:
                out += self._kept(_renamed((s,), self.same)[0])
        return out

    def _kept(self, s: Statement) -> Sequence[Statement]:
        """What is left of a statement: nothing where its value is there already."""
        if not self._is_known(s):
            return (s,)
        if isinstance(s, Test | Compute) and s.dst in self.truth:
            return (Bool(s.dst, self.truth[s.dst]),)
        return ()

    def _is_known(self, s: Statement) -> bool:
        """Whether a statement makes a truth value that is known, or what is there already."""
        if isinstance(s, Const) and s.payload == _ZERO:
            self.zeros.add(s.dst)
        elif isinstance(s, Bool):
            self.truth[s.dst] = s.value
        elif isinstance(s, Cell) and s.dst in self.settled:
            self.same[s.dst] = s.init
        elif isinstance(s, Cell):
            self.cells.add(s.dst)
        elif isinstance(s, Test) and (value := self.outcome(s)) is not None:
            self.truth[s.dst] = value
        elif isinstance(s, Compute):
            return self._is_known_computation(s)
        return isinstance(s, Cell | Test) and (s.dst in self.same or s.dst in self.truth)

    def _is_known_computation(self, s: Compute) -> bool:
        args = s.args
        if s.op in ("and", "or"):
            decides = s.op == "or"
            known = [self.truth[a] for a in args if a in self.truth]
            rest = [a for a in args if a not in self.truth]
            if decides in known or not rest:
                self.truth[s.dst] = decides if decides in known else not decides
            elif known:
                self.same[s.dst] = rest[0]
        elif s.op == "not" and args[0] in self.truth:
            self.truth[s.dst] = not self.truth[args[0]]
        elif s.op in ("where", "mask") and args[0] in self.truth:
            chosen = args[1] if self.truth[args[0]] else args[2] if s.op == "where" else None
            if chosen is not None and chosen not in self.cells:  # a cell may change before this is read
                self.same[s.dst] = chosen
        elif s.op in ("add", "sub") and args[1] in self.zeros and args[0] not in self.cells:
            self.same[s.dst] = args[0]
        elif s.op == "add" and args[0] in self.zeros and args[1] not in self.cells:
            self.same[s.dst] = args[1]
        return s.dst in self.truth or s.dst in self.same

    def outcome(self, s: Test) -> bool | None:
        """What a test gives in all of these turns; None where they differ or nobody knows."""
        known = alone(s.index, self.var)
        if known is None:
            return None
        k, rest = known
        place = rest if k < 0 else poly_add((), rest, -1)
        above = _number(poly_add(self.start, place, -1))  # how far the turns begin after the place
        below = _number(poly_add(place, self.stop, -1))  # and how far they have ended before it
        is_above, is_below = above is not None and above > 0, below is not None and below >= 0
        if s.op == "ieq":
            return False if is_above or is_below else None
        if is_above or (k > 0 and above == 0):
            return k > 0
        return k < 0 if is_below or (k < 0 and below == -1) else None
