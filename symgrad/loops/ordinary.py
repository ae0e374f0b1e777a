"""Guards against numbers out of range, in a loop whose turns wait for each other: asked once a turn.

    for t: k = 1e200 if s < 1e-300 else 1            for t: c = f(s)
           s = f(k*s)                        ->             if not 1e-300 <= s: c = f(k*s), as written
                                                            s = c

Lengths, quotients and others choose by the size of their arguments what they multiply by. In a recurrence
every choice, and every product with a factor that is nearly always 1, makes the next turn wait. So a turn is
written twice. The first time no number is extreme: choices are made, products with 1 are gone, and what has
become equal is computed once. Where a number is extreme after all, or nan, the turn is computed again as it
was written. Its numbers are the same, x*1 is x, but for quotients by one number that the tests keep in range:
those are products with its reciprocal, at most 1.5 last places off, 3.5 where it is a root
(`loops.divisions`).

A guard is a comparison with a number below 2**-60 or above 2**60, or a test for one turn of the loop. What
follows from another guard is not tested: a length is neither 0 nor infinite where its square is neither.
Comparisons with 0 are guards only where they follow from others.
Source: speculation with recovery, as in trace scheduling; Fisher 1981, IEEE Transactions on Computers 30(7).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from symgrad.ir.graph import EPSILON, SMALLEST
from symgrad.loops.divisions import with_reciprocals
from symgrad.loops.independent import never_meet, waits
from symgrad.loops.intervals import Intervals
from symgrad.loops.nest import (
    Bool,
    Cell,
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
    Test,
    Value,
)
from symgrad.loops.peel import alone
from symgrad.loops.renamed import renamed_statement
from symgrad.loops.walk import defined, has_blocks, makers, next_value, operands, walk

FEWEST = 4  # choices that have to be made, for a turn to be written twice
_MOST_STATEMENTS = 2_000  # in a turn that is
_PURE = (Const, Bool, Compute, FromInt, Test, Load)
_ONE = ("q", 1, 1)
_COMMUTE = frozenset(("add", "mul", "eq", "ne", "and", "or"))
Pure = Const | Bool | Compute | FromInt | Test | Load


def with_ordinary_turns(routine: Routine, divides: bool = False) -> Routine:
    """The routine with such turns; itself if there are none.

    divides  every division stays one.
    """
    if not has_blocks(routine.body) or _choices(s for _, s in walk(routine.body, into_parts=True)) < FEWEST:
        return routine
    made = _Turns(next_value(routine.body), divides)
    body = made.block(routine.body, None)
    return replace(routine, body=body) if made.count else routine


def _choices(body: Iterable[Statement]) -> int:
    return sum(isinstance(s, Compute) and s.op == "where" for s in body)


class _Turns:
    """`count` is how many stretches of statements were written twice."""

    def __init__(self, next_value: Value, divides: bool) -> None:
        self.count = 0
        self.divides = divides
        self.next_value = next_value
        self.intervals = Intervals()
        self.ones: set[Value] = set()

    def block(self, body: Sequence[Statement], loop: For | None) -> list[Statement]:
        """As deep as loops stand in each other; `loop` is the one around, where its turns wait."""
        done: list[Statement] = []
        stretch: list[Statement] = []
        for place, s in enumerate(body):
            if isinstance(s, (*_PURE, Store)):
                stretch.append(s)
                continue
            done += self._stretch(stretch, body[place:], loop)
            stretch = []
            if isinstance(s, For):
                s = replace(s, body=self.block(s.body, s if waits(s) else None))
            elif isinstance(s, If | Part):
                s = replace(s, body=self.block(s.body, loop))
            done.append(s)
        return [*done, *self._stretch(stretch, (), loop)]

    def _stretch(
        self, stretch: list[Statement], after: Sequence[Statement], loop: For | None
    ) -> list[Statement]:
        """Statements without blocks, as they were or written twice."""
        for s in stretch:
            self.intervals.define(s)
            if isinstance(s, Const):
                (self.ones.add if s.payload == _ONE else self.ones.discard)(s.dst)
        if loop is None or len(stretch) > _MOST_STATEMENTS or _choices(stretch) < FEWEST:
            return stretch
        if _reads_back(stretch):
            return stretch
        pure = [s for s in stretch if isinstance(s, _PURE)]
        stores = [s for s in stretch if isinstance(s, Store)]
        read = {v for _, s in walk([*stores, *after], into_parts=True) for v in operands(s)}
        turn = _Ordinary(self, loop)
        for s in pure:
            turn.add(s)
        if turn.decided < FEWEST or not turn.tests:
            return stretch
        self.count += 1
        return [*_written(turn, pure, read), *(replace(s, src=turn.always.get(s.src, s.src)) for s in stores)]

    def new(self) -> Value:
        self.next_value += 1
        return self.next_value - 1


def _reads_back(stretch: Sequence[Statement]) -> bool:
    """Whether something stored may be loaded again: the stores could not all come last."""
    stored: dict[str, list[tuple[Poly, ...]]] = {}
    for s in stretch:
        if isinstance(s, Load) and not all(never_meet(s.index, at, ()) for at in stored.get(s.buffer, ())):
            return True
        if isinstance(s, Store):
            stored.setdefault(s.buffer, []).append(s.index)
    return False


class _Ordinary:
    """A turn where no number is extreme.

    body     its statements. Those that are the same in every turn keep their values, others have new ones.
    here     what a value is in this turn, where it is another one.
    always   the same, of values that are no others in other turns.
    changed  the values whose statements are others in this turn.
    truth    truth values that are known in this turn.
    tests    truth values that all have to hold, for a turn to be like this; what they were computed from.
    decided  choices that are made.
    """

    def __init__(self, turns: _Turns, loop: For) -> None:
        self.turns, self.loop, self.intervals = turns, loop, turns.intervals.copy()
        self.first = turns.next_value  # of its own values
        self.body: list[Pure] = []
        self.here: dict[Value, Value] = {}
        self.always: dict[Value, Value] = {}
        self.changed: set[Value] = set()
        self.truth: dict[Value, bool] = {}
        self.tests: dict[Value, Compute] = {}
        self.decided = 0
        self._known: dict[Any, Value] = {}

    def add(self, s: Pure) -> None:
        """One statement more of the turn as it was written."""
        if isinstance(s, Compute):
            args = tuple(self.here.get(a, a) for a in s.args)
            is_same = self.changed.isdisjoint(s.args) and self.truth.keys().isdisjoint(args)
            value = self._simplified(s.op, args)
            if value is None:
                value = self.compute(s.op, args, s.dst if is_same else None)
                self._judge(value, s.op, args)
        else:
            is_same, value = True, self._put(s)
            if isinstance(s, Test) and s.op == "ieq" and alone(s.index, self.loop.var) is not None:
                self._suppose(value, False, "not", (value,))
        self.here[s.dst] = value
        if is_same:
            self.always[s.dst] = value
        else:
            self.changed.add(s.dst)

    def compute(self, op: str, args: tuple[Value, ...], dst: Value | None = None) -> Value:
        """An op as part of this turn, computed once."""
        s = Compute(self.turns.new() if dst is None else dst, op, tuple(map(self.literal, args)))
        value = self._put(s)
        if value == s.dst:
            self.intervals.define(s)
            self.turns.intervals.define(s)
        return value

    def _put(self, s: Pure) -> Value:
        if isinstance(s, Compute):
            key: Any = s.op, tuple(sorted(s.args)) if s.op in _COMMUTE else s.args
        else:
            key = type(s), *(getattr(s, name) for name in s.__slots__ if name != "dst")
        if key not in self._known:
            self._known[key] = s.dst
            self.body.append(s)
        return self._known[key]

    def literal(self, value: Value) -> Value:
        """A value, or the truth that it is known to be."""
        return self._put(Bool(self.turns.new(), self.truth[value])) if value in self.truth else value

    def fails(self) -> Value:
        """Whether the turn is another one: not all tests hold.

        Tests of sums come after those of their terms, and say more: they are asked first.
        """
        known, asked = self.turns.intervals.copy(), list[Value]()
        for test, s in reversed(self.tests.items()):
            if not known.follows(s):
                asked.append(test)
                known.learn(s)
        holds, *rest = asked
        for test in rest:
            holds = self._put(Compute(self.turns.new(), "and", (holds, test)))
        return self._put(Compute(self.turns.new(), "not", (holds,)))

    def with_reciprocals(self) -> list[Statement]:
        """The body, with products where numbers are divided by ones that are ordinary here alone."""
        under = {s.dst: s.args[1] for s in self.body if isinstance(s, Compute) and s.op == "div"}
        own = {v for v in under if v >= self.first and self.intervals.has_reciprocal(under[v])}
        if self.turns.divides:
            own.clear()
        squares = {r: s for r in {under[v] for v in own} if (s := self.intervals.square_of(r)) is not None}
        return with_reciprocals(self.body, own.__contains__, self.turns.new, self.turns.ones, squares)

    def _simplified(self, op: str, args: tuple[Value, ...]) -> Value | None:
        """The value that an op has without computing it; None if it has none."""
        truth, ones = self.truth, self.turns.ones
        if op == "where" and args[0] in truth:
            self.decided += 1
            return args[1] if truth[args[0]] else args[2]
        if op == "mask" and truth.get(args[0]):
            self.decided += 1
            return args[1]
        if op == "mul" and args[0] in ones:
            return args[1]
        if op in ("mul", "div") and args[1] in ones:
            return args[0]
        if op in ("and", "or"):
            rest = [a for a in args if truth.get(a) is not (op == "and")]
            decisive = [a for a in rest if a in truth]
            return decisive[0] if decisive else rest[0] if len(rest) == 1 else args[0] if not rest else None
        if op == "not" and args[0] in truth:
            value = self.turns.new()
            truth[value] = not truth[args[0]]
            return value
        return None

    def _judge(self, value: Value, op: str, args: tuple[Value, ...]) -> None:
        """Whether a comparison is a guard, or follows from others."""
        if op not in ("lt", "le", "eq", "ne") or value in self.truth or any(a in self.truth for a in args):
            return
        a, b = args
        of, strictly = self.intervals, op == "lt"
        if of.is_constant(a) == of.is_constant(b):
            return  # numbers of one type or the other
        if op in ("eq", "ne"):
            x, number = (a, b) if of.is_constant(b) else (b, a)
            if of.is_zero(number) and of.is_not_zero(x):
                self.truth[value] = op == "ne"
            elif of.is_infinite(number):
                self._suppose(value, op == "ne", "le", (x, self._largest()))
        elif of.is_extreme(a) or of.is_extreme(b):
            if of.is_one_below(a, b):
                self._suppose(value, True, op, args)
            else:
                self._suppose(value, False, "le" if strictly else "lt", (b, a))

    def _largest(self) -> Value:
        """eps/smallest: what is not above it has a reciprocal, too (`loops.divisions`)."""
        ends = [Const(self.turns.new(), payload) for payload in (EPSILON, SMALLEST)]
        for s in ends:
            self.intervals.define(s)
            self.turns.intervals.define(s)
        eps, smallest = map(self._put, ends)
        return self.compute("div", (eps, smallest))

    def _suppose(self, value: Value, truth: bool, op: str, args: tuple[Value, ...]) -> None:
        """A truth value is known here, where op(args) holds: that is tested, unless it follows."""
        if value in self.truth:
            return
        if not self.intervals.follows(Compute(value, op, args)):
            test = self.compute(op, args)
            self.tests[test] = s = Compute(test, op, args)
            self.intervals.learn(s)
        self.truth[value] = truth


def _written(turn: _Ordinary, pure: Sequence[Pure], read: Collection[Value]) -> list[Statement]:
    """The ordinary turn, the tests, and the turn as it was where one fails; `read` is used afterwards."""
    given = [s.dst for s in pure if s.dst in read and turn.here[s.dst] != s.dst]
    ordinary: list[Statement] = [Cell(v, turn.literal(turn.here[v])) for v in given]
    fails = turn.fails()
    kept = makers(turn.with_reciprocals(), {fails, *read, *(v for s in ordinary for v in operands(s))})
    there = {defined(s) for s in kept}

    changed = [v for v in given if v in turn.changed]
    needed, again = set(changed), list[Pure]()
    for s in reversed(pure):
        if s.dst in needed and (v := turn.always.get(s.dst, s.dst)) not in there:
            needed.update(operands(s) if v == s.dst else (v,))
            again += [s] if v == s.dst else []
    new = {s.dst: turn.turns.new() for s in reversed(again)}
    new |= {v: new.get(same, same) for v, same in turn.always.items() if v != same}
    other = [_with_value(renamed_statement(s, {}, new), new[s.dst]) for s in reversed(again)]
    return [*kept, *ordinary, If(fails, [*other, *(SetCell(v, new[v]) for v in changed)])]


def _with_value(s: Statement, value: Value) -> Statement:
    assert isinstance(s, _PURE)
    return replace(s, dst=value)
