"""Loops of one turn are no loops: what stands in them is done where they stand.

The axis of a row or a column is such a loop. Without it the loop around it is an innermost one, which
compilers vectorise, and is fused with its neighbours.
"""

from __future__ import annotations

from dataclasses import replace

from symgrad.loops.nest import For, Leave, Routine, Statement, poly
from symgrad.loops.renamed import renamed
from symgrad.loops.walk import each_replaced, has_blocks, walk


def without_single_turns(routine: Routine) -> Routine:
    """The same routine without loops from 0 to 1; itself if it has none."""
    if not has_blocks(routine.body) or not any(_is_single(s) for _, s in walk(routine.body)):
        return routine
    return replace(routine, body=each_replaced(routine.body, _turn))


def _turn(s: Statement) -> list[Statement]:
    return renamed(s.body, {s.var: None}) if isinstance(s, For) and _is_single(s) else [s]


def _is_single(s: Statement) -> bool:
    """Whether a statement is a loop of one turn, at 0, that nothing leaves."""
    if not isinstance(s, For) or (s.lower, s.upper, s.lanes) != ((poly(0),), (poly(1),), False):
        return False
    return not any(isinstance(inner, Leave) for _, inner in walk(s.body))
