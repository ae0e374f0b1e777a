"""Sums down the columns of a matrix, in a loop over its rows: four rows in one pass over the columns.

    for i < n:                                  for i in 0..n by 4:
        for j < d: s[j] += f(x[i, j])   becomes     for j < d: s[j] = s[j] + f(x[i, j]) + .. + f(x[i + 3, j])

A sum is loaded and stored once for four rows, and no row waits for the sums of the row before to come back
from memory; terms are added in the order they had. Next to functions that would be nothing. Only where a turn
of the inner loop touches nothing that another one writes.
Source: Allen and Kennedy, Optimizing Compilers for Modern Architectures (2001), section 8.4 (unroll-and-jam).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from symgrad.ir.ops import OPS
from symgrad.loops.effects import effects
from symgrad.loops.fuse import DEAR
from symgrad.loops.independent import writes_apart
from symgrad.loops.jam import jammed
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    Part,
    Routine,
    Statement,
    Store,
    StoreReduce,
    Test,
    Value,
)
from symgrad.loops.walk import free_name, has_blocks, next_value, taken_names, variables, walk

_KNOWN = (Const, Bool, Compute, FromInt, Test, Load, Cell, Accumulate, Store, StoreReduce)


def rows_together(routine: Routine) -> Routine:
    """The routine with such rows together; itself if it has none."""
    if not has_blocks(routine.body) or not any(map(_adds_rows, _loops(routine.body))):
        return routine
    names = taken_names(routine)
    new = count(next_value(routine.body)).__next__

    def name(stem: str) -> str:
        made = free_name(names, stem)
        names.add(made)
        return made

    return replace(routine, body=_block(routine.body, name, new))


def _loops(body: Sequence[Statement]) -> list[For]:
    return [s for _, s in walk(body) if isinstance(s, For)]


def _block(
    body: Sequence[Statement], name: Callable[[str], str], new: Callable[[], Value]
) -> list[Statement]:
    """As deep as loops stand in each other."""
    done: list[Statement] = []
    for s in body:
        if isinstance(s, For) and _adds_rows(s):
            s = jammed(s, name, new)
        elif isinstance(s, For | If | Part):
            s = replace(s, body=_block(s.body, name, new))
        done.append(s)
    return done


def _adds_rows(loop: For) -> bool:
    """Whether it is a loop over rows with sums down their columns, whose rows may be done together."""
    inner = [s for s in loop.body if isinstance(s, For)]
    if len(inner) != 1 or loop.lanes or inner[0].lanes or loop.step != 1 or inner[0].step != 1:
        return False
    (columns,) = inner
    sums = [s for s in columns.body if isinstance(s, StoreReduce) and s.kind == "sum"]
    if all(loop.var in variables(s.index) for s in sums) or _is_dear(columns.body):
        return False
    around = [s for s in loop.body if s is not columns]
    if not all(isinstance(s, _KNOWN) for s in (*around, *columns.body)):
        return False
    if loop.var in variables((*columns.lower, *columns.upper)) or not writes_apart(columns):
        return False
    return _may_be_parted(loop, columns, around)


def _is_dear(body: Sequence[Statement]) -> bool:
    return any(isinstance(s, Compute) and OPS[s.op].cost >= DEAR for s in body)


def _may_be_parted(loop: For, columns: For, around: Sequence[Statement]) -> bool:
    """Whether what stands around the loop over the columns may be done for several rows before or after it.

    What it writes nothing else touches, and nothing reads a sum over the rows before that is done.
    """
    touched = Counter(b for s in (columns, *around) for b in effects(s).touches)
    written = {b for s in around for b in effects(s).writes} | effects(columns).writes
    return all(touched[b] == 1 for b in written) and not effects(loop).changes & effects(loop).uses
