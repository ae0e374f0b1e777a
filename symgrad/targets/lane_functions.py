"""Elementary functions of a loop over lanes (`loops/lanes.py`): all of them become our own.

Sine, cosine and tangent are our own only up to a limit. A block of samples notes in one more output which
of its samples went beyond it; those are computed again, alone, by the routine for one sample:

    far[lane] = 0
    ... own_sin(x[lane]) ...
    far[lane] += |x| > limit
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from symgrad.loops.lanes import lanes_loop
from symgrad.loops.nest import (
    Buffer,
    Compute,
    Const,
    For,
    Load,
    Part,
    Poly,
    Routine,
    Statement,
    Store,
    Value,
    variable,
)
from symgrad.loops.walk import defined, unused_name, walk
from symgrad.targets.vector_math import FUNCTIONS, OWN, is_limited


def with_lane_functions(routine: Routine) -> tuple[Routine, str]:
    """The routine with its elementary functions replaced, and the name of the output that says which samples
    have to be computed alone: one number per lane, 0 if not; "" if there is no such output.
    """
    loop = lanes_loop(routine)
    assert loop is not None
    ops = {s.op for _, s in walk(loop.body, into_parts=True) if isinstance(s, Compute)}
    limited = any(map(is_limited, ops))
    far = unused_name(routine, "far") if limited else ""
    rewriting = _Rewriting(routine, loop, far)
    body = rewriting.body(loop.body)
    if not far:
        return replace(routine, body=[replace(loop, body=body)]), ""
    zero = rewriting.new()
    body = [Const(zero, ("q", 0, 1)), Store(far, rewriting.lane, zero), *body]
    last = max(k for k, b in enumerate(routine.buffers) if b.role == "output")
    note = Buffer(far, "output", (loop.upper[0],))
    buffers = (*routine.buffers[: last + 1], note, *routine.buffers[last + 1 :])
    return replace(routine, buffers=buffers, body=[replace(loop, body=body)]), far


class _Rewriting:
    """Copies bodies with other ops, noting in the buffer `far` which arguments are too large for them."""

    def __init__(self, routine: Routine, loop: For, far: str) -> None:
        self.far = far
        self.lane: tuple[Poly] = (variable(loop.var),)
        numbers = (defined(s) for _, s in walk(routine.body, into_parts=True))
        self.next = 1 + max((n for n in numbers if isinstance(n, int)), default=0)

    def new(self) -> Value:
        self.next += 1
        return self.next - 1

    def body(self, statements: Sequence[Statement]) -> list[Statement]:
        """A copy; beside each limited function stands the question whether its argument is too large."""
        out: list[Statement] = []
        asked: dict[tuple[float, Value], None] = {}
        beyond: Value | None = None
        for s in statements:
            if isinstance(s, Part):
                out.append(replace(s, body=self.body(s.body)))  # parts hold no parts
                continue
            if not isinstance(s, Compute) or s.op not in FUNCTIONS:
                out.append(s)
                continue
            out.append(replace(s, op=OWN + s.op))
            question = FUNCTIONS[s.op].limit, s.args[0]
            if is_limited(s.op) and question not in asked:
                asked[question] = None
                beyond = self._ask(*question, beyond, out)
        if beyond is not None:
            self._note(beyond, out)
        return out

    def _ask(self, limit: float, x: Value, before: Value | None, out: list[Statement]) -> Value:
        """Whether |x| > limit, or one before was beyond its limit; a nan is not."""
        bound, size, larger, exact = self.new(), self.new(), self.new(), Fraction(limit)
        out.append(Const(bound, ("q", exact.numerator, exact.denominator)))
        out += [Compute(size, "abs", (x,)), Compute(larger, "lt", (bound, size))]
        if before is None:
            return larger
        any_of_them = self.new()
        out.append(Compute(any_of_them, "or", (before, larger)))
        return any_of_them

    def _note(self, beyond: Value, out: list[Statement]) -> None:
        """far[lane] += beyond."""
        one, number, old, total = (self.new() for _ in range(4))
        out += [
            Const(one, ("q", 1, 1)),
            Compute(number, "mask", (beyond, one)),
            Load(old, self.far, self.lane),
            Compute(total, "add", (old, number)),
            Store(self.far, self.lane, total),
        ]
