"""Loops of one turn are no loops: what stands in them is done where they stand.

The axis of a row or a column is such a loop. Without it the loop around it is an innermost one, which
compilers vectorise, and is fused with its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgrad.loops.nest import For, If, Leave, Part, Routine, Statement, poly
from symgrad.loops.renamed import renamed
from symgrad.loops.walk import has_blocks, walk


def without_single_turns(routine: Routine) -> Routine:
    """The same routine without loops from 0 to 1; itself if it has none."""
    if not has_blocks(routine.body) or not any(_is_single(s) for _, s in walk(routine.body)):
        return routine
    return replace(routine, body=_block(routine.body))


def _block(body: Sequence[Statement]) -> list[Statement]:
    done: list[Statement] = []
    for s in body:
        if isinstance(s, For | If | Part):
            inside = _block(s.body)
            if isinstance(s, For) and _is_single(s):
                done += renamed(inside, {s.var: None})
                continue
            s = replace(s, body=inside)
        done.append(s)
    return done


def _is_single(s: Statement) -> bool:
    """Whether a statement is a loop of one turn, at 0, that nothing leaves."""
    if not isinstance(s, For) or (s.lower, s.upper, s.lanes) != ((poly(0),), (poly(1),), False):
        return False
    return not any(isinstance(inner, Leave) for _, inner in walk(s.body))
