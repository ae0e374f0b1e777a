"""Loops over the same range in one: what one computes the other finds in registers and in the first cache.

    for i: t[i] = f(x[i])                      for i:
    for i: y[i] = g(t[i])          becomes         t[i] = f(x[i])
                                                   y[i] = g(t[i])

Two loops may become one where every element that one writes and the other touches is touched in the same
turn: some index of it is the loop's variable. What stands between them moves in front or behind. Loops inside
of the new one come to stand side by side, and are fused in turn. Fills wait for a use of what they fill.
Source: Allen and Kennedy, Optimizing Compilers for Modern Architectures (2001), section 6.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count, permutations

from symgrad.ir.ops import OPS
from symgrad.loops.effects import Effects, Index, accesses, commute, effects, is_elementwise
from symgrad.loops.forward import forwarded
from symgrad.loops.independent import names_inside, never_meet
from symgrad.loops.nest import (
    Accumulate,
    Compute,
    For,
    If,
    Least,
    Load,
    LoadInt,
    Routine,
    Statement,
    Store,
    StoreReduce,
    poly_add,
    variable,
)
from symgrad.loops.renamed import renamed
from symgrad.loops.walk import has_blocks, variables, walk

MOST_STATEMENTS = 300  # in one loop: beyond that, registers and address streams run out
_MOST_APART = 100  # in one whose parts touch no element together: they only take registers from each other
DEAR = 5  # of `Op.cost`: functions, more than a division
TRIED = frozenset(("sin", "cos", "tan"))
LOOK_BACK = 12  # statements with loops that a loop may move past


def fused(routine: Routine) -> Routine:
    """The same routine with neighbouring loops fused and needless memory gone; itself if it has no loop."""
    if not has_blocks(routine.body) or not any(isinstance(s, For) for _, s in walk(routine.body)):
        return routine
    return forwarded(replace(routine, body=_block(routine.body)))


def _block(body: Sequence[Statement]) -> list[Statement]:
    """Statements with their loops fused, the inner ones after the outer ones."""
    if not any(isinstance(s, For) for s in body):
        return [*body]
    done: list[Statement] = []
    known: list[Effects] = []
    for statement in body:
        if isinstance(statement, For) and _may_be_fused(statement) and _merged(done, known, statement):
            continue
        done.append(statement)
        known.append(effects(statement))
    return [_inside(s) for s in done]


def _may_be_fused(loop: For) -> bool:
    return not loop.lanes and is_elementwise(loop.body)


def _inside(statement: Statement) -> Statement:
    if isinstance(statement, For) and not statement.lanes:
        return replace(statement, body=_block(statement.body))
    return statement


def _merged(done: list[Statement], known: list[Effects], loop: For) -> bool:
    """Fuse a loop with one before it, if there is one that allows it."""
    own = effects(loop)
    passed = 0
    for k in range(len(done) - 1, -1, -1):
        candidate = done[k]
        if isinstance(candidate, For) and not _is_fill_apart(known[k], own):
            places = _rearranged(known, k, own) if _have_one_range(candidate, loop) else None
            both = None if places is None else _one_loop(candidate, loop, known[k], own)
            if both is not None and places is not None:
                front, back = places
                order = [*range(k), *front, None, *back]
                done[:], known[:] = (
                    [both if i is None else done[i] for i in order],
                    [effects(both) if i is None else known[i] for i in order],
                )
                return True
            passed += 1
            if passed > LOOK_BACK:
                return False
    return False


def _is_fill_apart(a: Effects, b: Effects) -> bool:
    """Whether one of two loops fills memory that the other does not touch.

    As one loop they would gain little, and what uses that memory could not be done before the other.
    """
    return bool(a.reads) != bool(b.reads) and not a.touches & b.touches


def _rearranged(known: Sequence[Effects], k: int, own: Effects) -> tuple[list[int], list[int]] | None:
    """Of what stands between statement `k` and a loop at the end: what moves in front of `k`, what behind."""
    front: list[int] = []
    back: list[int] = []
    for i in range(k + 1, len(known)):
        if all(commute(known[i], known[j]) for j in (k, *back)):
            front.append(i)
        elif commute(known[i], own):
            back.append(i)
        else:
            return None
    return front, back


def _have_one_range(first: For, second: For) -> bool:
    return (first.lower, first.upper, first.step) == (second.lower, second.upper, second.step)


def _one_loop(first: For, second: For, one: Effects, two: Effects) -> For | None:
    """Both loops, of one range and with these effects, as one.

    None where that would change what they compute, or be too much for one loop. What the name of the variable
    has no part in is asked first.
    """
    size = _size(first) + _size(second)
    if not _may_be_fused(first) or size > MOST_STATEMENTS or not _are_alike(first.body, second.body):
        return None
    if _meet_in_cells(one, two):
        return None
    both, again = _joined(first, second)
    if _is_spoilt(both) or not _meet_in_one_turn(both, one, two):
        return None
    return None if size > _MOST_APART and not _touch_the_same(both.body[: -len(again)], again) else both


def may_be_one(first: For, second: For) -> bool:
    """Whether two loops may become one, or take turns in any other way that keeps each one's order."""
    one, two = effects(first), effects(second)
    if not _have_one_range(first, second) or _meet_in_cells(one, two):
        return False
    return _meet_in_one_turn(_joined(first, second)[0], one, two)


def _meet_in_cells(one: Effects, two: Effects) -> bool:
    """Whether one loop changes a register that the other one uses."""
    return bool(one.changes & (two.uses | two.changes) or two.changes & one.uses)


def _joined(first: For, second: For) -> tuple[For, list[Statement]]:
    """One loop with the bodies of both, and that of the second."""
    name = _common_name(first, second)
    again = list(renamed(second.body, {second.var: name}))
    return replace(first, var=name, body=[*renamed(first.body, {first.var: name}), *again]), again


def _meet_in_one_turn(both: For, one: Effects, two: Effects) -> bool:
    """Whether every element that one part writes and the other touches is touched in the same turn."""
    shared = (one.writes & two.touches) | (one.reads & two.writes)
    return all(_in_one_turn(b, both.var, both.body) for b in shared)


def _are_alike(one: Sequence[Statement], two: Sequence[Statement]) -> bool:
    """Whether compilers treat the loops around these alike: neither loses by being one with the other."""
    if _is_choosing(one) != _is_choosing(two) or (is_row_search(one) and not is_row_search(two)):
        return False
    if any(_is_vectorised(a) and _is_scalar(b) for a, b in permutations((one, two))):
        return False
    return _is_innermost(one) == _is_innermost(two) or not (_is_vectorised(one) or _is_vectorised(two))


def _common_name(first: For, second: For) -> str:
    """A variable for both loops that no loop inside of them has."""
    inside = {s.var for loop in (first, second) for _, s in walk(loop.body) if isinstance(s, For)}
    free = (name for name in (first.var, second.var) if name not in inside)
    return next(free, None) or next(n for k in count(1) if (n := f"{first.var}_{k}") not in inside)


def _is_choosing(body: Sequence[Statement]) -> bool:
    """Whether loops look for the largest or smallest number: compilers leave such a loop scalar."""
    return any(isinstance(s, Accumulate) and s.kind in ("max", "min") for s in body)


def is_row_search(body: Sequence[Statement]) -> bool:
    """Whether a loop inside looks for the largest or smallest number; `searches` says why that matters."""
    return any(isinstance(s, For) and _is_choosing(s.body) for s in body)


def _is_innermost(body: Sequence[Statement]) -> bool:
    return not any(isinstance(s, For) for _, s in walk(body))


def _is_vectorised(body: Sequence[Statement]) -> bool:
    """Whether a loop would lose by standing around other loops: compilers vectorise innermost ones only."""
    return _is_innermost(body) and any(isinstance(s, Compute) and OPS[s.op].cost >= DEAR for s in body)


def _is_scalar(body: Sequence[Statement]) -> bool:
    """Whether compilers compute a loop one turn at a time: it stores under conditions, or where data say."""
    return any(isinstance(s, If) or (isinstance(s, StoreReduce) and _is_gathered(s, body)) for s in body)


def _is_gathered(store: StoreReduce, body: Sequence[Statement]) -> bool:
    loaded = {s.var for s in body if isinstance(s, LoadInt)}
    return bool(loaded & set(variables(store.index)))


def _is_spoilt(loop: For) -> bool:
    """Whether a loop with a function that targets try for small arguments first could not be run again."""
    if not any(isinstance(s, Compute) and s.op in TRIED for s in loop.body):
        return False
    varying = {loop.var, *names_inside(loop)}
    read: dict[str, list[Index]] = {}
    for s in loop.body:
        if isinstance(s, StoreReduce):
            return True
        if isinstance(s, Store):
            places = read.get(s.buffer, ())
            if not all(never_meet(s.index, at, varying) for at in places):
                return True
        if isinstance(s, Load):
            read.setdefault(s.buffer, []).append(s.index)
    return False


def _touch_the_same(one: Iterable[Statement], two: Iterable[Statement]) -> bool:
    """Whether bodies of one loop touch an element that is the same in each turn."""
    places = {(buffer, index) for buffer, index, _ in accesses(one)}
    return any((buffer, index) in places for buffer, index, _ in accesses(two))


def _size(loop: For) -> int:
    return sum(1 for _ in walk(loop.body))


def _in_one_turn(buffer: str, name: str, body: Iterable[Statement]) -> bool:
    """Whether no two turns of the loop over `name` touch the same element of a buffer."""
    body = list(body)
    inner = {s.var for _, s in walk(body) if isinstance(s, For | LoadInt | Least)}
    indices = [index for b, index, _ in accesses(body) if b == buffer]
    for p, at in enumerate(indices[0]):
        rest = poly_add(at, variable(name), -1)
        if name in variables((rest,)) or inner & set(variables((rest,))):
            continue
        if all(index[p] == at for index in indices):
            return True
    return False
