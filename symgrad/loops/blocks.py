"""Recurrences whose entries do not touch each other, block by block: a block stays in the first cache.

    for t < T:                          for first in 0..n by BLOCK:
        for i < n: y[i] = f(y[i])   becomes     for t < T:
                                                    for i in first..: y[i] = f(y[i])

What every loop inside writes is touched at the loop's own index alone. Sums over all entries, one per turn of
the outer loop, are added up over the blocks.
Source: Allen and Kennedy, Optimizing Compilers for Modern Architectures (2001), section 9.3 (strip-mine and
interchange).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from symgrad.loops.forward import forwarded
from symgrad.loops.jam import jammed
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    Least,
    Load,
    Poly,
    Routine,
    Statement,
    Store,
    StoreReduce,
    Test,
    Value,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.walk import free_name, has_blocks, next_value, taken_names, variables, walk

BLOCK = 1024  # entries: 8 KB of each array
_SIMPLE = (Const, Bool, Compute, FromInt, Test, Load)
_TITLE = "block by block: each stays in the first cache for all turns"


def blocked(routine: Routine) -> Routine:
    """The same routine with the loops around such loops inside of loops over blocks."""
    if not has_blocks(routine.body):
        return routine
    names = taken_names(routine)
    new = count(next_value(routine.body)).__next__
    made = [_in_blocks(s, names, new) if isinstance(s, For) else None for s in routine.body]
    if not any(made):
        return routine
    pairs = zip(routine.body, made, strict=True)
    return forwarded(replace(routine, body=[b for s, blocks in pairs for b in (blocks or [s])]))


def _in_blocks(loop: For, names: set[str], new: Callable[[], Value]) -> list[Statement] | None:
    """What stands for a loop; None if it stays."""
    inner = [s for s in loop.body if isinstance(s, For)]
    if not inner or loop.lanes or loop.step != 1 or not _is_long(inner[0].upper):
        return None
    if any((s.lower, s.upper, s.step) != ((poly(0),), inner[0].upper, 1) or s.lanes for s in inner):
        return None
    sums = _sums(loop)
    if sums is None or not all(map(_is_simple, inner)) or not _has_state(loop, inner):
        return None
    if not _touches_itself_alone(loop, inner, sums):
        return None
    first, end = (_new(stem, names) for stem in ("first", "end"))
    bounds = (variable(first),), (variable(end),)
    turns = replace(loop, body=[_part(s, bounds, sums) for s in loop.body])
    turns = jammed(turns, lambda stem: _new(stem, names), new)
    last = Least(end, (poly_add(variable(first), poly(BLOCK)), *inner[0].upper))
    blocks = For(first, (poly(0),), inner[0].upper, [last, turns], _TITLE, BLOCK)
    zeros = [replace(loop, body=[c, replace(s, src=c.dst)], comment="") for s, c in sums.values()]
    return [*zeros, blocks]


def _new(stem: str, names: set[str]) -> str:
    name = free_name(names, stem)
    names.add(name)
    return name


def _is_long(upper: Sequence[Poly]) -> bool:
    """Whether it may be more than two blocks."""
    if len(upper) != 1:
        return False
    return any(names for names, _ in upper[0]) or sum(k for _, k in upper[0]) > 2 * BLOCK


def _is_simple(loop: For) -> bool:
    return all(
        isinstance(s, (*_SIMPLE, Store)) or (isinstance(s, Accumulate) and s.kind == "sum") for s in loop.body
    )


def _has_state(loop: For, inner: Sequence[For]) -> bool:
    """Whether each turn goes on from elements that the turn before has stored."""
    touched = [b for s in inner for b in s.body if isinstance(b, Load | Store)]
    stays = [(b, (b.buffer, b.index)) for b in touched if loop.var not in variables(b.index)]
    loaded = {place for b, place in stays if isinstance(b, Load)}
    return any(place in loaded for b, place in stays if isinstance(b, Store))


def _sums(loop: For) -> dict[Value, tuple[Store, Const]] | None:
    """The sums of a turn by their cells, each with its store and its zero; None if there is anything else."""
    zeros = {s.dst: s for s in loop.body if isinstance(s, Const) and s.payload == ("q", 0, 1)}
    cells = {s.dst: zeros.get(s.init) for s in loop.body if isinstance(s, Cell)}
    stores = [s for s in loop.body if isinstance(s, Store)]
    found = {s.src: (s, zero) for s in stores if (zero := cells.get(s.src)) is not None}
    others = [s for s in loop.body if not isinstance(s, (*_SIMPLE, For, Cell, Store))]
    read = {a for s in loop.body if isinstance(s, Compute) for a in s.args}
    is_plain = not others and len(found) == len(stores) == len(cells) and not read & cells.keys()
    if not is_plain or any(loop.var not in variables(s.index) for s in stores):
        return None
    used = {
        a for s in loop.body if isinstance(s, For) for b in s.body if isinstance(b, Compute) for a in b.args
    }
    return None if used & cells.keys() else found


def _touches_itself_alone(loop: For, inner: Sequence[For], sums: dict[Value, tuple[Store, Const]]) -> bool:
    """Whether what is written is touched at the index of the inner loops, and sums nowhere else."""
    own: dict[str, set[tuple[int, ...]]] = {}
    touched: dict[str, int] = {}
    for s in inner:
        for b in s.body:
            if isinstance(b, Load | Store):
                places = [p for p, i in enumerate(b.index) if s.var in variables((i,))]
                alone = len(places) == 1 and b.index[places[0]] == variable(s.var)
                own.setdefault(b.buffer, set()).add(tuple(places) if alone else ())
    for _, b in walk(loop.body):
        if isinstance(b, Load | Store):
            touched[b.buffer] = touched.get(b.buffer, 0) + 1
    written = {b.buffer for s in inner for b in s.body if isinstance(b, Store)}
    outside = {b.buffer for b in loop.body if isinstance(b, Load)}
    if written & outside or any(len(own[b]) != 1 or own[b] == {()} for b in written):
        return False
    totals = [s.buffer for s, _ in sums.values()]
    return bool(written) and all(touched[b] == 1 for b in totals)


def _part(
    s: Statement, bounds: tuple[tuple[Poly, ...], tuple[Poly, ...]], sums: dict[Value, tuple[Store, Const]]
) -> Statement:
    if isinstance(s, For):
        return replace(s, lower=bounds[0], upper=bounds[1])
    return StoreReduce("sum", s.buffer, s.index, s.src) if isinstance(s, Store) and s.src in sums else s
