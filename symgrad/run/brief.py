"""Kernels so brief that letting other threads run in the meantime would cost more than it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.loops.nest import (
    Call,
    Contract,
    For,
    If,
    Library,
    Part,
    Routine,
    Statement,
    Tile,
    Transpose,
    evaluate_poly,
    with_derived,
)
from symgrad.loops.walk import variables

_MOST = 300  # statements that are run: a microsecond at most


def is_brief(routine: Routine, sizes: Mapping[str, int]) -> bool:
    """Whether a call with these sizes, by the names the routine has for them, is brief."""
    return _run(routine.body, with_derived(routine, sizes)) <= _MOST


def _run(body: Sequence[Statement], sizes: Mapping[str, int]) -> int:
    """How many statements are run, at most; more than `_MOST` where that is not known or too many."""
    if len(body) > _MOST:
        return _MOST + 1
    total = 0
    for s in body:
        total += 1
        if isinstance(s, For):
            turns = _turns(s, sizes)
            total += turns and turns * _run(s.body, sizes)
        elif isinstance(s, If):
            total += _run(s.body, sizes)
        elif isinstance(s, Part | Library | Call | Contract | Tile | Transpose):
            return _MOST + 1
        if total > _MOST:
            break
    return total


def _turns(loop: For, sizes: Mapping[str, int]) -> int:
    """The turns of a loop whose ends follow from sizes alone; else more than `_MOST`."""
    if not sizes.keys() >= set(variables((*loop.lower, *loop.upper))):
        return _MOST + 1
    first = max(evaluate_poly(p, sizes) for p in loop.lower)
    return max(min(evaluate_poly(p, sizes) for p in loop.upper) - first, 0)
