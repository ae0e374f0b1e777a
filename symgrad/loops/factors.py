"""Loops without factors that are nearly always 1, and without choices that are nearly always the same.

    for i: a[i] = k*b[i]        ->        if k == 1: for i: a[i] = b[i]
                                          if not:    for i: a[i] = k*b[i]

Lengths and quotients are multiplied with powers of two, which are 1 unless a sum of squares overflows or
underflows, and are 0 where a length is. Their slopes have a handful of such factors at every place of an
array. They are computed before the loop, so they are asked for there. In the first loop products with them
are gone, choices are made, and what has become equal is computed once; its numbers are the same, x*1 is x.
Only divisions by what the loop does not change are products with a reciprocal, at most 1.5 last places off:
numbers whose reciprocal is out of range are asked for, too (`loops.divisions`).

A factor is a choice with 1 among what is chosen from. Beside factors, conditions are asked for, too: in the
first loop they hold.
Source: loop unswitching, Allen & Cocke 1971, A catalogue of optimizing transformations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from symgrad.ir.graph import EPSILON, SMALLEST
from symgrad.loops.divisions import before_jumps
from symgrad.loops.nest import (
    Accumulate,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    Routine,
    Statement,
    Store,
    Test,
    Value,
)
from symgrad.loops.renamed import renamed_statement
from symgrad.loops.walk import defined, each_replaced, has_blocks, makers, next_value, operands, walk

FEWEST = 2  # operations of a turn that go
_MOST_STATEMENTS = 400  # in a turn that is written twice
_SHORTEST = 8  # turns
_ONE = ("q", 1, 1)
_PURE = (Const, Compute, FromInt, Load, Test)


def with_factors_asked_once(routine: Routine, divides: bool = False) -> Routine:
    """The routine with such loops written twice; itself if there are none.

    divides  every division stays one.
    """
    if not has_blocks(routine.body):
        return routine
    choices = {s.dst: s for _, s in walk(routine.body, True) if isinstance(s, Compute) and s.op == "where"}
    if not choices:
        return routine
    made = _Factors(routine, choices, divides)
    body = each_replaced(routine.body, made.replaced)
    return replace(routine, body=body) if made.count else routine


class _Factors:
    """`ones` are constants 1, `count` is how many loops were written twice."""

    def __init__(self, routine: Routine, choices: dict[Value, Compute], divides: bool) -> None:
        self.choices, self.divides, self.next_value = choices, divides, next_value(routine.body)
        statements = [s for _, s in walk(routine.body, True)]
        self.ones = {s.dst for s in statements if isinstance(s, Const) and s.payload == _ONE}
        self.count = 0

    def replaced(self, s: Statement) -> list[Statement]:
        if not isinstance(s, For) or len(s.body) > _MOST_STATEMENTS or s.lanes or s.short or _is_short(s):
            return [s]
        if not all(isinstance(inside, (*_PURE, Store, Accumulate)) for inside in s.body):
            return [s]
        own = {defined(inside) for inside in s.body}
        factors, conditions = list[Value](), list[Value]()
        for inside in s.body:
            if isinstance(inside, Compute) and inside.op in ("mul", "div"):
                candidates = inside.args if inside.op == "mul" else inside.args[1:]
                factors += [v for v in candidates if v not in own and self._may_be_one(v)]
            elif isinstance(inside, Compute) and inside.op in ("where", "mask") and inside.args[0] not in own:
                conditions.append(inside.args[0])
        if not factors or len(factors) + len(conditions) < FEWEST:
            return [s]
        self.count += 1
        kept = () if self.divides else before_jumps(s.body)
        divisors = [
            inside.args[1]
            for inside in s.body
            if isinstance(inside, Compute) and inside.op == "div" and not self.divides
            if inside.dst not in kept and inside.args[1] not in own and inside.args[1] not in factors
        ]
        return self._twice(s, *(list(dict.fromkeys(found)) for found in (factors, conditions, divisors)))

    def _may_be_one(self, v: Value) -> bool:
        """Whether this is a choice with 1 among what is chosen from."""
        stack = [v]
        while stack:
            choice = self.choices.get(stack.pop())
            if choice is not None:
                if not self.ones.isdisjoint(choice.args[1:]):
                    return True
                stack += choice.args[1:]
        return False

    def _twice(
        self, loop: For, factors: list[Value], conditions: list[Value], divisors: list[Value]
    ) -> list[Statement]:
        before, asked = list[Statement](), [*conditions]

        def made(op: str, *args: Value) -> Value:
            before.append(Compute(value := self._new(), op, args))
            return value

        before.append(Const(one := self._new(), _ONE))
        asked += [made("eq", v, one) for v in factors]
        inverses = dict[Value, Value]()
        if divisors:
            before.append(Const(eps := self._new(), EPSILON))
            before.append(Const(smallest := self._new(), SMALLEST))
            least = made("div", smallest, eps)
            most = made("div", one, least)
            for v in divisors:
                size = made("abs", v)
                asked += [made("lt", least, size), made("lt", size, most)]
                inverses[v] = made("div", one, v)
        holds = asked[0]
        for test in asked[1:]:
            holds = made("and", holds, test)
        fails = made("not", holds)
        turn = self._without(loop.body, {*factors, one}, {*conditions}, inverses)
        return [*before, If(holds, [replace(loop, body=turn)]), If(fails, [loop])]

    def _without(
        self, body: Sequence[Statement], ones: set[Value], holding: set[Value], inverses: dict[Value, Value]
    ) -> list[Statement]:
        """A turn in which some values are 1, some conditions hold, and some numbers have a reciprocal."""
        here, known, made = dict[Value, Value](), dict[Any, Value](), list[Statement]()
        for s in body:
            s = renamed_statement(s, {}, here)
            if not isinstance(s, _PURE):
                made.append(s)
                continue
            value = _same(s, ones, holding) if isinstance(s, Compute) else None
            if value is None:
                if isinstance(s, Compute) and s.op == "div" and s.args[1] in inverses:
                    s = Compute(s.dst, "mul", (s.args[0], inverses[s.args[1]]))
                key = (s.op, s.args) if isinstance(s, Compute) else (type(s), s.dst)
                if key not in known:
                    known[key] = self._new()
                    made.append(replace(s, dst=known[key]))
                value = known[key]
            here[s.dst] = value
        effects = [s for s in made if defined(s) is None]
        kept = {id(s) for s in makers(made, {v for s in effects for v in operands(s)})}
        return [s for s in made if defined(s) is None or id(s) in kept]

    def _new(self) -> Value:
        self.next_value += 1
        return self.next_value - 1


def _same(s: Compute, ones: set[Value], holding: set[Value]) -> Value | None:
    """The value that an operation only passes on."""
    first, *others = s.args
    if s.op == "mul" and first in ones:
        return others[0]
    if s.op in ("mul", "div") and others[0] in ones:
        return first
    return others[0] if s.op in ("where", "mask") and first in holding else None


def _is_short(loop: For) -> bool:
    """Whether it has few turns whatever the sizes are."""
    numbers = [sum(k for _, k in upper) for upper in loop.upper if not any(term for term, _ in upper)]
    return bool(numbers) and min(numbers) < _SHORTEST
