"""Many divisions by one number are products with its reciprocal: in the loops, where they are repeated.

    a/r, a/r/r, b/r, ...   becomes   k = 1 where r is ordinary, or else a power of two;  q = 1/(r*k);
                                     (a*q)*k, ((a*q)*k*q)*k, (b*q)*k, ...

A processor divides one pair of numbers at a time, and multiplies several. A reciprocal may be out of range
where the quotient is not: of a number below 1e-308, or far above 1e+308. So `r` comes between `smallest/eps`
and its reciprocal first, by `k`, which the product gets at the end: nothing in between is out of range unless
the quotient is, and 0, infinity and nan are what they are in a quotient. It is off by at most 1.5 last places
instead of 0.5. Where a comparison, or a function with jumps, depends on a quotient in the same turn, that one
stays: 49*(1/49) is not 1.
Source: Granlund & Montgomery 1994, "Division by invariant integers using multiplication" (the idea; the
argument about the range is our own).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from symgrad.ir.graph import EPSILON, SMALLEST
from symgrad.ir.ops import OPS
from symgrad.loops.nest import (
    Accumulate,
    Compute,
    Const,
    For,
    If,
    Part,
    Routine,
    SetCell,
    Statement,
    ToInt,
    Value,
)
from symgrad.loops.walk import has_blocks, next_value, walk

FEWEST = 4  # quotients by one number; the reciprocal, and asking for its range, cost as much as two
_JUMPS = frozenset(("floor", "ceil", "fmod", "mod", "sign"))


def with_shared_reciprocals(routine: Routine) -> Routine:
    """The routine with such divisions replaced; itself if its loops have none."""
    if not has_blocks(routine.body):
        return routine
    inside = [s for _, s in walk(routine.body, into_parts=True)]
    if sum(isinstance(s, Compute) and s.op == "div" for s in inside) < FEWEST:
        return routine
    made = _Divisions(inside, next_value(routine.body))
    body = made.block(routine.body, in_loop=False)
    return replace(routine, body=body) if made.count else routine


class _Divisions:
    """`count` is how many divisors were replaced, `kept` the values that something with jumps depends on."""

    def __init__(self, inside: Sequence[Statement], next_value: int) -> None:
        self.count = 0
        self.next_value = next_value
        self.constants = {s.dst for s in inside if isinstance(s, Const)}
        self.kept = before_jumps(inside)

    def block(self, body: Sequence[Statement], in_loop: bool) -> list[Statement]:
        """As deep as loops stand in each other."""
        done: list[Statement] = []
        often = self._often(body) if in_loop else set()
        known: dict[Value, tuple[Value, Value]] = {}
        for s in body:
            if isinstance(s, For | If | Part):
                s = replace(s, body=self.block(s.body, in_loop or isinstance(s, For)))
            elif isinstance(s, Compute) and self._is_replaced(s) and s.args[1] in often:
                over, under = s.args
                if under not in known:
                    known[under] = self._reciprocal(under, done)
                inverse, scale = known[under]
                done.append(Compute(scaled := self._new(), "mul", (over, inverse)))
                s = Compute(s.dst, "mul", (scaled, scale))
            done.append(s)
        return done

    def _often(self, body: Sequence[Statement]) -> set[Value]:
        """What so many different numbers are divided by."""
        over: dict[Value, set[Value]] = {}
        for s in body:
            if isinstance(s, Compute) and self._is_replaced(s):
                over.setdefault(s.args[1], set()).add(s.args[0])
        return {under for under, numbers in over.items() if len(numbers) >= FEWEST}

    def _is_replaced(self, s: Compute) -> bool:
        return s.op == "div" and s.dst not in self.kept and s.args[1] not in self.constants

    def _reciprocal(self, under: Value, done: list[Statement]) -> tuple[Value, Value]:
        """Append what computes q and k; their numbers."""

        def made(op: str, *args: Value) -> Value:
            done.append(Compute(value := self._new(), op, args))
            return value

        def constant(*payload: object) -> Value:
            done.append(Const(value := self._new(), payload))
            return value

        self.count += 1
        one, eps = constant("q", 1, 1), constant(*EPSILON)
        least = made("div", constant(*SMALLEST), eps)
        smaller = made("mul", eps, eps)
        size = made("abs", under)
        is_small, is_large = made("lt", size, least), made("lt", made("div", one, least), size)
        scale = made("where", is_small, made("div", one, smaller), made("where", is_large, smaller, one))
        return made("div", one, made("mul", under, scale)), scale

    def _new(self) -> Value:
        self.next_value += 1
        return self.next_value - 1


def with_reciprocals(
    body: Sequence[Statement],
    is_ordinary: Callable[[Value], bool],
    new: Callable[[], Value],
    ones: Collection[Value] = (),
    squares: Mapping[Value, Value] = MappingProxyType({}),
) -> list[Statement]:
    """Straight-line code in which two or more quotients by one number in range are products.

    is_ordinary  whether a value is a quotient by a number that is known to be in range.
    new          numbers for further values.
    ones         values that are 1: a quotient of one is the reciprocal.
    squares      what some of these numbers are the roots of, where that is in range as well. The reciprocal
                 of such a root r of s is r*(1/s): root and quotient are computed at the same time, where 1/r
                 would wait for r; and a/r/r is a*(1/s). a/r has four roundings and not two, that of the root
                 among them: at most 3.5 last places instead of 1.5.
    """
    kept, over = before_jumps(body), dict[Value, list[Value]]()
    for s in body:
        if isinstance(s, Compute) and s.op == "div" and s.dst not in kept and is_ordinary(s.dst):
            over.setdefault(s.args[1], []).append(s.dst)
    shared = {dst for quotients in over.values() if len(quotients) > 1 for dst in quotients}
    quotients = [s for s in body if isinstance(s, Compute) and s.dst in shared]
    inverses = {s.args[1]: s.dst for s in quotients if s.args[0] in ones}
    below = dict.fromkeys(s.args[1] for s in quotients)
    here = {s.dst for s in body if isinstance(s, Compute)}
    of_squares = {r: new() for r in below if r in squares and r in here}
    done, made = list[Statement](), set[Value]()
    for s in body:
        if isinstance(s, Compute) and s.dst in of_squares:  # before the root, which takes longer
            done.append(Const(one := new(), ("q", 1, 1)))
            done.append(Compute(of_squares[s.dst], "div", (one, squares[s.dst])))
        elif isinstance(s, Compute) and s.dst in shared:
            a, r = s.args
            if r not in inverses:
                inverses[r] = new()
            inverse = inverses[r]
            if inverse not in made:
                made.add(inverse)
                if r in of_squares:
                    done.append(Compute(inverse, "mul", (r, of_squares[r])))
                else:
                    done += [Const(one := new(), ("q", 1, 1)), Compute(inverse, "div", (one, r))]
            if s.dst == inverse:
                continue
            s = Compute(s.dst, "mul", (a, inverse))
        done.append(s)
    return _with_squares(done, {inverses[r]: inverse for r, inverse in of_squares.items()})


def _with_squares(body: Sequence[Statement], squares: Mapping[Value, Value]) -> list[Statement]:
    """The body with a*q for a*i*i, where q is the square of i."""
    once: dict[tuple[Value, Value], Value] = {}  # a, by a*i and i
    done = list[Statement]()
    for s in body:
        if isinstance(s, Compute) and s.op == "mul":
            for a, i in (s.args, s.args[::-1]):
                if i in squares and (a, i) in once:
                    s = Compute(s.dst, "mul", (once[a, i], squares[i]))
                    break
                if i in squares:
                    once[s.dst, i] = a
        done.append(s)
    return done


def before_jumps(inside: Sequence[Statement]) -> set[Value]:
    """The values that something with jumps depends on."""
    kept: set[Value] = set()
    for s in reversed(inside):
        if isinstance(s, Compute) and (s.dst in kept or _has_jumps(s.op)):
            kept.update(s.args)
        elif isinstance(s, ToInt) or (isinstance(s, SetCell | Accumulate) and s.cell in kept):
            kept.add(s.src)
    return kept


def _has_jumps(op: str) -> bool:
    row = OPS.get(op)  # targets have ops of their own, which have none
    return op in _JUMPS or (row is not None and row.result == "bool")
