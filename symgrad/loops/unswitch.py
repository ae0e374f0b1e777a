"""Loops that do nothing but ask, at every turn, what they could ask once.

    for i in [0, n): if c: a[i]        ->        if c: for i in [0, n): a[i]

The condition was computed before the loop, or it would stand in its body. What is left is a loop without
branches, which vectorises, and none at all where the condition fails: sums that only some values need. These
leave their loops before others are fused with them.
Source: loop unswitching, Allen & Cocke 1971, A catalogue of optimizing transformations.
"""

from __future__ import annotations

from dataclasses import replace

from symgrad.loops.nest import For, If, Routine, Statement, Store, StoreReduce
from symgrad.loops.walk import each_replaced, has_blocks, walk


def unswitched(routine: Routine) -> Routine:
    """The routine with such conditions outside of their loops."""
    return (
        replace(routine, body=each_replaced(routine.body, _unswitched))
        if has_blocks(routine.body)
        else routine
    )


def sums_unswitched(routine: Routine) -> Routine:
    """The routine with such conditions outside of loops that only add up."""
    if not has_blocks(routine.body):
        return routine
    return replace(routine, body=each_replaced(routine.body, _sum_unswitched))


def _sum_unswitched(s: Statement) -> list[Statement]:
    (made,) = _unswitched(s)
    stores = made is not s and any(isinstance(inside, Store | StoreReduce) for _, inside in walk((s,)))
    return [s if stores else made]


def _unswitched(s: Statement) -> list[Statement]:
    if isinstance(s, For) and len(s.body) == 1 and isinstance(s.body[0], If):
        choice = s.body[0]
        return [If(choice.condition, [replace(s, body=choice.body)])]
    return [s]
