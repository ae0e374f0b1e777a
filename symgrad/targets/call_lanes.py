"""Several calls of one elementary function in straight-line code are made at once, by a vector function.

    y0 = sin(x0) ... y5 = sin(x5)        becomes        v = sin of (x0, .., x5);  y0 = v[0] ... y5 = v[5]

A vector function of eight numbers takes about as long as two calls of the library's for one number. Calls
that depend on each other cannot be made at once; those can that have the same number of functions on their
longest way from what the code is given. What the arguments need is then computed earlier than it was written;
no store changes its place, and nothing that reads memory which the code itself writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from symgrad.loops.nest import (
    Bool,
    Compute,
    Const,
    Element,
    FromInt,
    Load,
    Part,
    Poly,
    Statement,
    Store,
    Test,
    Value,
    Vector,
)
from symgrad.loops.walk import defined, operands
from symgrad.targets.vector_math import FUNCTIONS

MOST = 8  # calls at once
_FEWEST = 3
_STRAIGHT = frozenset((Const, Bool, Compute, FromInt, Test, Load, Store))

Key = tuple[str, int]  # op, and how many functions come before it
Place = tuple[str, tuple[Poly, ...] | None]


def called_at_once(body: Sequence[Statement], new: Callable[[], Value]) -> list[Statement]:
    """The statements, and those of parts, with calls made at once; loops and conditions stay as they are.

    new  gives the number of a further value.
    """
    out: list[Statement] = []
    run: list[Statement] = []
    for s in body:
        if type(s) in _STRAIGHT:
            run.append(s)
            continue
        out += _at_once(run, new)
        run = []
        if isinstance(s, Part) and _STRAIGHT.issuperset(map(type, s.body)):
            s = replace(s, body=_at_once([*s.body], new))
        out.append(s)
    return out + _at_once(run, new)


def _at_once(run: list[Statement], new: Callable[[], Value]) -> list[Statement]:
    """Straight-line code with its calls made at once."""
    calls = sum(1 for s in run if type(s) is Compute and s.op in FUNCTIONS)
    chunks = list(_chunks(run)) if calls >= _FEWEST else []
    return _rewritten(run, chunks, new) if chunks else run


def _chunks(run: Sequence[Statement]) -> Iterator[list[int]]:
    """The places of calls to be made at once."""
    groups: dict[Key, list[int]] = {}
    depths: dict[Value, int] = {}
    late: set[Value] = set()  # values that cannot be computed earlier
    written: set[Place] = set()
    for place, s in enumerate(run):
        if type(s) is Compute:
            if not late.isdisjoint(s.args):
                late.add(s.dst)
                continue
            depth = max([depths.get(a, 0) for a in s.args])
            if s.op in FUNCTIONS:
                groups.setdefault((s.op, depth), []).append(place)
                depth += 1
            if depth:
                depths[s.dst] = depth
        elif type(s) is Store:
            written.add(_place_of(s))
        elif type(s) is Load and _may_be_written(s, written):
            late.add(s.dst)
    for places in groups.values():
        for first in range(0, len(places), MOST):
            if len(places) - first >= _FEWEST:
                yield places[first : first + MOST]


def _may_be_written(s: Load, written: set[Place]) -> bool:
    buffer, index = _place_of(s)
    if index is None:
        return any(b == buffer for b, _ in written)
    return (buffer, index) in written or (buffer, None) in written


def _place_of(s: Load | Store) -> Place:
    """The buffer and the index; None for an index that is not known here."""
    known = all(names == () for p in s.index for names, _ in p)
    return s.buffer, s.index if known else None


def _rewritten(
    run: Sequence[Statement], chunks: Sequence[list[int]], new: Callable[[], Value]
) -> list[Statement]:
    """The statements in their order, but for what the first call of a chunk needs for the others."""
    chunk_of = {place: chunk for chunk in chunks for place in chunk}
    home = {defined(s): place for place, s in enumerate(run)}
    done = bytearray(len(run))
    out: list[Statement] = []
    for first, s in enumerate(run):
        if done[first]:
            continue
        if first not in chunk_of:
            out.append(s)  # what it needs stands before it
            done[first] = True
            continue
        stack = [first]
        while stack:
            place = stack.pop()
            if done[place]:
                continue
            places = chunk_of.get(place, [place])
            needed = {home[a] for p in places for a in operands(run[p]) if a in home}
            waiting = [p for p in needed if not done[p]]
            if waiting:
                stack += [place, *sorted(waiting, reverse=True)]
                continue
            out += [run[place]] if place not in chunk_of else _calls([run[p] for p in places], new)
            for p in places:
                done[p] = True
    return out


def _calls(calls: Sequence[Statement], new: Callable[[], Value]) -> Iterator[Statement]:
    vector = new()
    computes = [s for s in calls if isinstance(s, Compute)]
    yield Vector(vector, computes[0].op, tuple(s.args for s in computes))
    for place, s in enumerate(computes):
        yield Element(s.dst, vector, place)


def lanes_for(calls: int) -> int:
    """The length of the vector that so many calls are made with."""
    return MOST // 2 if calls <= MOST // 2 else MOST
