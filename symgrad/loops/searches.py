"""Rows that are searched before they are used, some rows at a time.

    for i < n: top[i] = max over j of x[i, j]              for first in 0..n by ROWS:
    for i < n: y[i] = sum over j of exp(x[i, j] - top[i])      for i in first..: top[i - first] = max ...
                                                becomes        for i in first..: y[i] = sum ...

In one loop over i every row would wait for the end of its own search, which takes longer than a short row.
`fuse` leaves such loops apart: the searches of several rows overlap. In blocks, what is searched is still in
the cache when it is used, and arrays that nothing else touches hold the rows of one block.
Source: Allen and Kennedy, Optimizing Compilers for Modern Architectures (2001), section 9.3 (strip-mine).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from symgrad.loops.effects import Effects, accesses, commute, effects, is_elementwise
from symgrad.loops.fuse import LOOK_BACK, is_row_search, may_be_one
from symgrad.loops.nest import (
    For,
    If,
    Load,
    LoadInt,
    Poly,
    Routine,
    Statement,
    Store,
    StoreReduce,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.walk import free_name, has_blocks, taken_names, variables, walk

ROWS = 8
_TITLE = "some rows at a time: what is searched is still in the cache when it is used"


def searched_in_blocks(routine: Routine) -> Routine:
    """The routine with such loops in blocks; itself if it has none."""
    if not has_blocks(routine.body):
        return routine
    if not any(isinstance(s, For) and is_row_search(s.body) for _, s in walk(routine.body)):
        return routine
    made = _Blocks(routine)
    body = made.block(routine.body)
    return replace(routine, body=body, buffers=tuple(made.buffers.values()))


class _Blocks:
    """`buffers` are those of the routine, some of them for a block only."""

    def __init__(self, routine: Routine) -> None:
        self.buffers = {b.name: b for b in routine.buffers}
        self.names = taken_names(routine)
        self.touching = _touching(routine.body)

    def block(self, body: Sequence[Statement]) -> list[Statement]:
        """As deep as loops stand in each other."""
        done: list[Statement] = []
        for s in body:
            k = _place_of_search(done, s)
            if k is not None and isinstance(s, For):
                search, *between = done[k:]
                assert isinstance(search, For)
                done[k:] = [*between, self._in_block(search, s)]
                continue
            if isinstance(s, For | If):
                s = replace(s, body=self.block(s.body))
            done.append(s)
        return done

    def _in_block(self, search: For, use: For) -> For:
        first = free_name(self.names, "first")
        self.names.add(first)
        moved = self._moved((search, use))
        for buffer, p in moved.items():
            b = self.buffers[buffer]
            self.buffers[buffer] = replace(b, extents=_with(b.extents, p, poly(ROWS)))
        lower = variable(first)
        upper = (poly_add(lower, poly(ROWS)), *search.upper)
        body: list[Statement] = [
            replace(x, lower=(lower,), upper=upper, body=_on_block(x.body, moved, x.var, lower))
            for x in (search, use)
        ]
        return For(first, search.lower, search.upper, body, _TITLE, ROWS)

    def _moved(self, loops: tuple[For, For]) -> dict[str, int]:
        """The arrays that may hold the rows of a block only, and which of their axes is that of the rows."""
        mine = _touching(loops)
        own = [b for b in mine if self.buffers[b].role == "work" and mine[b] == self.touching[b]]
        return {b: p for b in own if (p := _axis_of_rows(b, loops)) is not None}


def _touching(body: Sequence[Statement]) -> Counter[str]:
    """How many statements touch each array."""
    leaves = (s for _, s in walk(list(body), into_parts=True) if not has_blocks((s,)))
    return Counter(chain.from_iterable(effects(s).touches for s in leaves))


def _axis_of_rows(buffer: str, loops: Sequence[For]) -> int | None:
    """The axis along which each turn of the loops touches one place of an array, the same in both."""
    found = [(index, loop) for loop in loops for b, index, _ in accesses((loop,)) if b == buffer]
    for p in range(len(found[0][0])):
        offsets = {poly_add(index[p], variable(loop.var), -1) for index, loop in found}
        inside = {s.var for loop in loops for _, s in walk((loop,)) if isinstance(s, For | LoadInt)}
        if len(offsets) == 1 and inside.isdisjoint(variables(offsets)):
            return p
    return None


def _place_of_search(done: Sequence[Statement], use: Statement) -> int | None:
    """Where the loop over rows is that searches what the last one uses; what is between can go before."""
    if not isinstance(use, For):
        return None
    between: list[Effects] = []
    for k in reversed(range(max(0, len(done) - LOOK_BACK), len(done))):
        search, own = done[k], effects(done[k])
        if isinstance(search, For) and _are_search_and_use(search, use):
            return k if all(commute(own, e) for e in between) else None
        between.append(own)
    return None


def _are_search_and_use(first: For, second: For) -> bool:
    return (
        is_row_search(first.body)
        and not is_row_search(second.body)
        and (first.step, first.lanes, second.lanes) == (1, False, False)
        and is_elementwise((first, second))
        and bool(effects(first).writes & effects(second).reads)
        and may_be_one(first, second)
    )


def _on_block(body: Sequence[Statement], moved: dict[str, int], row: str, first: Poly) -> list[Statement]:
    """The statements with the rows of some arrays counted from the first one of a block."""
    at = poly_add(variable(row), first, -1)
    done: list[Statement] = []
    for s in body:
        if isinstance(s, For | If):
            s = replace(s, body=_on_block(s.body, moved, row, first))
        elif isinstance(s, Load | LoadInt | Store | StoreReduce) and s.buffer in moved:
            s = replace(s, index=_with(s.index, moved[s.buffer], at))
        done.append(s)
    return done


def _with(polys: tuple[Poly, ...], p: int, new: Poly) -> tuple[Poly, ...]:
    return (*polys[:p], new, *polys[p + 1 :])
