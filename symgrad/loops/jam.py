"""Several turns of an outer loop in one turn of the inner one: what lies between them stays in registers.

    for t < T:                                    for t in 0..T by 4:
        for i: y[i] = f(t, y[i])      becomes         for i: y[i] = f(t + 3, f(t + 2, f(t + 1, f(t, y[i]))))

and the turns that are left one by one. What they add to one element is stored once. The caller knows that no
turn of the inner loop touches what another one writes. Source: Allen and Kennedy, Optimizing Compilers for
Modern Architectures (2001), section 8.4 (unroll-and-jam).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from symgrad.loops.effects import Index
from symgrad.loops.nest import (
    Accumulate,
    Compute,
    For,
    If,
    Least,
    Load,
    Statement,
    Store,
    StoreReduce,
    Test,
    Value,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.renamed import renamed, renamed_statement
from symgrad.loops.walk import defined

TURNS = 4
_MOST = 40  # statements of the inner loop: beyond that, registers run out


def jammed(loop: For, name: Callable[[str], str], new: Callable[[], Value]) -> For:
    """The loop with its turns together where that is worth it; itself where it is not.

    name  gives a new variable with a stem; new a new value.
    """
    inner = [k for k, s in enumerate(loop.body) if isinstance(s, For)]
    if len(inner) != 1 or loop.step != 1 or len(loop.upper) != 1:
        return loop
    (k,) = inner
    middle = loop.body[k]
    assert isinstance(middle, For)
    if len(middle.body) > _MOST:
        return loop
    front: list[Statement] = []
    within: list[Statement] = []
    behind: list[Statement] = []
    for turn in range(TURNS):
        at = name(loop.var)
        same: dict[Value, Value] = {}
        front.append(Least(at, (poly_add(variable(loop.var), poly(turn)),)))
        for body, out in ((loop.body[:k], front), (middle.body, within), (loop.body[k + 1 :], behind)):
            out += _again(body, {loop.var: at}, same, new)
    one, all_of_them, others = name(loop.var), new(), new()
    within = _added_first(within, new)
    left = poly_add(poly_add(loop.upper[0], variable(loop.var), -1), poly(TURNS), -1)
    rest = For(one, (variable(loop.var),), loop.upper, renamed(loop.body, {loop.var: one}))
    body = [
        Test(all_of_them, "ige", left),
        If(all_of_them, [*front, replace(middle, body=within), *behind]),
        Compute(others, "not", (all_of_them,)),
        If(others, [rest]),
    ]
    return replace(loop, body=body, step=TURNS)


def _added_first(body: Sequence[Statement], new: Callable[[], Value]) -> list[Statement]:
    """Several numbers that are added to one element, whose array is touched nowhere else: stored once."""
    places: dict[str, set[Index]] = {}
    others: set[str] = set()
    for s in body:
        if isinstance(s, Load | Store | StoreReduce):
            places.setdefault(s.buffer, set()).add(s.index)
            others.update([s.buffer] * (not isinstance(s, StoreReduce) or s.kind != "sum"))
    sums: dict[str, tuple[Index, Value]] = {}
    done: list[Statement] = []
    for s in body:
        if not isinstance(s, StoreReduce) or s.buffer in others or len(places[s.buffer]) > 1:
            done.append(s)
            continue
        if s.buffer not in sums:
            sums[s.buffer] = s.index, new()
            done.append(Load(sums[s.buffer][1], s.buffer, s.index))
        total = new()
        done.append(Compute(total, "add", (sums[s.buffer][1], s.src)))
        sums[s.buffer] = s.index, total
    return [*done, *(Store(b, index, total) for b, (index, total) in sums.items())]


def _again(
    body: Sequence[Statement], names: dict[str, str], same: dict[Value, Value], new: Callable[[], Value]
) -> list[Statement]:
    """A copy of straight-line statements, whose values get other numbers; `same` says which."""
    done: list[Statement] = []
    for old in body:
        s = renamed_statement(old, names, same)
        if isinstance(s, Accumulate):
            s = replace(s, cell=same.get(s.cell, s.cell))
        value = defined(s)
        if isinstance(value, int):
            same[value] = new()
            s = replace(s, dst=same[value])  # type: ignore[arg-type]  # all that makes values has one
        done.append(s)
    return done
