"""What is kept for the last loop that reads it stands where that loop writes: in the memory of a result.

    for i: t[i] = f(x[i])                  for i: y[i] = f(x[i])
    ...                            ->      ...
    for i: y[i] = g(t[i], s)               for i: y[i] = g(y[i], s)

Only where each element of the result is written once, at the place that is read there, and by nothing before:
the loop then touches one array less, and the routine needs less memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgrad.loops.effects import Effects, effects, is_elementwise
from symgrad.loops.fuse import TRIED
from symgrad.loops.nest import Compute, For, If, Load, Routine, Statement, Store, StoreReduce, variable


def in_place(routine: Routine) -> Routine:
    """The routine with such memory shared; itself if there is none."""
    work = [b for b in routine.buffers if b.role == "work" and b.dtype == "real" and b.extents]
    if not work or not any(isinstance(s, For) for s in routine.body):
        return routine
    known = [effects(s) for s in routine.body]
    for t in work:
        for y in (b for b in routine.buffers if b.role == "output" and b.extents == t.extents):
            if y.dtype == t.dtype and _may_share(routine.body, known, t.name, y.name):
                body = _renamed(routine.body, t.name, y.name)
                buffers = tuple(b for b in routine.buffers if b.name != t.name)
                return in_place(replace(routine, body=body, buffers=buffers))
    return routine


def _may_share(body: Sequence[Statement], known: Sequence[Effects], t: str, y: str) -> bool:
    """Whether the last statement that touches `t` is the only one that touches `y`, and does so in place."""
    if [k for k, e in enumerate(known) if y in e.touches] != [k := _last(known, t)] or t in known[k].writes:
        return False
    if not all(is_elementwise((s,)) for s, e in zip(body, known, strict=True) if t in e.touches):
        return False
    return _is_in_place(body[k], t, y)


def _last(known: Sequence[Effects], t: str) -> int:
    return max((k for k, e in enumerate(known) if t in e.touches), default=-1)


def _is_in_place(loop: Statement, t: str, y: str) -> bool:
    """Whether loops around one body write one element of `y` in each turn, where one of `t` is read before.

    Targets may run a loop with some functions again (`fuse.TRIED`): it has to find what it found.
    """
    around: set[str] = set()
    while isinstance(loop, For) and loop.step == 1 and not loop.lanes:
        around.add(loop.var)
        if len(loop.body) == 1 and isinstance(loop.body[0], For):
            loop = loop.body[0]
            continue
        if any(isinstance(s, For | If) or (isinstance(s, Compute) and s.op in TRIED) for s in loop.body):
            return False
        touched = [s for s in loop.body if isinstance(s, Load | Store | StoreReduce) and s.buffer in (t, y)]
        *reads, write = touched
        index = write.index
        is_one = isinstance(write, Store) and write.buffer == y
        are_before = all(isinstance(s, Load) and s.buffer == t and s.index == index for s in reads)
        return (
            is_one and are_before and len(index) == len(around) and set(index) == set(map(variable, around))
        )
    return False


def _renamed(body: Sequence[Statement], t: str, y: str) -> list[Statement]:
    """With `y` in the place of `t`; as deep as loops stand in each other."""
    out: list[Statement] = []
    for s in body:
        if isinstance(s, For | If):
            s = replace(s, body=_renamed(s.body, t, y))
        elif isinstance(s, Load | Store | StoreReduce) and s.buffer == t:
            s = replace(s, buffer=y)
        out.append(s)
    return out
