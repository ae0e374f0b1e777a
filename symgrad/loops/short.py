"""Short loops in the turns of a loop that waits, written out: what they move stays in registers.

    for t: ...; u[0] = a; u[1] = b              for t: ...; s[0] = a
           for i < 2: s[i] = u[i]        ->            s[1] = b

A state that is an array of two or three numbers is copied from one step to the next by a loop of as many
turns. In memory it can be loaded some seven cycles after it was stored, and such loops may be functions of
their own. Written out, what was just stored is known (`loops.forward`).
Source: loop unrolling and scalar replacement; Allen and Kennedy 2001, Optimizing Compilers for Modern
Architectures, chapter 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgrad.loops.forward import forwarded
from symgrad.loops.independent import waits
from symgrad.loops.nest import (
    Bool,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    Part,
    Poly,
    Routine,
    Statement,
    Store,
    Test,
    evaluate_poly,
    poly,
    poly_at,
)
from symgrad.loops.peel import copied
from symgrad.loops.walk import has_blocks, next_value

MOST_TURNS = 4
_MOST_STATEMENTS = 64  # that a loop becomes
_STRAIGHT = (Const, Bool, Compute, FromInt, Test, Load, Store)


def with_short_loops_written_out(routine: Routine) -> Routine:
    """The routine with such loops as straight-line code; itself if there are none."""
    if not has_blocks(routine.body):
        return routine
    made = _Short(next_value(routine.body))
    body = made.block(routine.body, is_in_turn=False)
    return forwarded(replace(routine, body=body)) if made.count else routine


class _Short:
    """`count` is how many loops were written out."""

    def __init__(self, next_value: int) -> None:
        self.count = 0
        self.next_value = next_value

    def block(self, body: Sequence[Statement], is_in_turn: bool) -> list[Statement]:
        """As deep as loops stand in each other; `is_in_turn` if one around waits."""
        done: list[Statement] = []
        for s in body:
            if isinstance(s, For) and is_in_turn and (turns := _turns(s)) is not None:
                self.count += 1
                for k in turns:
                    again, self.next_value = copied(s.body, self.next_value)
                    done += [_at(statement, s.var, poly(k)) for statement in again]
                continue
            if isinstance(s, For):
                s = replace(s, body=self.block(s.body, is_in_turn or waits(s)))
            elif isinstance(s, If | Part):
                s = replace(s, body=self.block(s.body, is_in_turn))
            done.append(s)
        return done


def _turns(loop: For) -> range | None:
    """The turns of a loop that is written out."""
    bounds = [*loop.lower, *loop.upper]
    if loop.lanes or any(names for p in bounds for names, _ in p):
        return None
    if not all(isinstance(s, _STRAIGHT) for s in loop.body):
        return None
    low, high = (
        max(evaluate_poly(p, {}) for p in loop.lower), min(evaluate_poly(p, {}) for p in loop.upper)
    )  # fmt: skip
    turns = range(low, high, loop.step)
    return turns if len(turns) <= MOST_TURNS and len(turns) * len(loop.body) <= _MOST_STATEMENTS else None


def _at(s: Statement, var: str, value: Poly) -> Statement:
    """A statement where a variable has a value."""
    if isinstance(s, FromInt | Test):
        return replace(s, index=poly_at(s.index, var, value))
    if isinstance(s, Load | Store):
        return replace(s, index=tuple(poly_at(p, var, value) for p in s.index))
    return s
