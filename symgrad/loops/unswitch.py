"""Loops that do nothing but ask, at every turn, what they could ask once.

    for i in [0, n): if c: a[i]        ->        if c: for i in [0, n): a[i]

The condition was computed before the loop, or it would stand in its body. What is left is a loop without
branches, which vectorises, and none at all where the condition fails: sums that only some values need.
Source: loop unswitching, Allen & Cocke 1971, A catalogue of optimizing transformations.
"""

from __future__ import annotations

from dataclasses import replace

from symgrad.loops.nest import For, If, Routine, Statement
from symgrad.loops.walk import each_replaced, has_blocks


def unswitched(routine: Routine) -> Routine:
    """The routine with such conditions outside of their loops."""
    return (
        replace(routine, body=each_replaced(routine.body, _unswitched))
        if has_blocks(routine.body)
        else routine
    )


def _unswitched(s: Statement) -> list[Statement]:
    if isinstance(s, For) and len(s.body) == 1 and isinstance(s.body[0], If):
        choice = s.body[0]
        return [If(choice.condition, [replace(s, body=choice.body)])]
    return [s]
