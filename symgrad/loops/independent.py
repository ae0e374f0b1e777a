"""Loops whose turns touch no memory of each other, where a compiler could not tell.

A loop that stores a block of numbers per turn, y[k, i] for k = 0, 1, ..., 29, stores to places that differ by
multiples of a size. Compilers see thirty addresses that might coincide, and the checks that they do not are
more than they are willing to make: the loop stays scalar. So it does where many arrays might overlap. Here
indices are still those of axes: turns that differ in one index of an array touch different elements of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from symgrad.loops.effects import Index, accesses, is_elementwise
from symgrad.loops.nest import Accumulate, For, If, Load, LoadInt, Store, poly_add, variable
from symgrad.loops.walk import Name, defined, variables, walk

_FEW = 4  # pairs of arrays of which one is written; compilers give up at about ten, and checking takes time


def is_parallel(loop: For) -> bool:
    """Whether an innermost loop's turns touch different elements of all arrays that it writes, and many.

    Not where a condition is inside: told that turns are independent, compilers take every load for safe.
    """
    if any(isinstance(s, For | If) for s in loop.body) or not is_elementwise(loop.body):
        return False
    touched, written = _touched(loop)
    are_many = len(written) * (len(touched) - 1) > _FEW or any(len(set(touched[b])) > 1 for b in written)
    return are_many and writes_apart(loop)


def writes_apart(loop: For) -> bool:
    """Whether no turn of a loop touches an element that another one writes."""
    touched, written = _touched(loop)
    return all(own_axes(touched[b], loop) for b in written)


def waits(loop: For) -> bool:
    """Whether a turn may read what another one wrote; then it takes as long as its longest chain."""
    adds_up = any(isinstance(s, Accumulate) for s in loop.body)
    return not loop.lanes and not adds_up and not writes_apart(loop)


def only_gathers(loop: For) -> bool:
    """Whether a loop does nothing but copy what a table points at to other arrays.

    Processors load vectors of addresses number by number: on AMD's Zen 5 such a loop is faster without.
    """
    found = {s.var for s in loop.body if isinstance(s, LoadInt)}
    loads = [s for s in loop.body if isinstance(s, Load)]
    if not loads or not all(isinstance(s, LoadInt | Load | Store) for s in loop.body):
        return False
    written = {s.buffer for s in loop.body if isinstance(s, Store)}
    return all(s.buffer not in written and not found.isdisjoint(variables(s.index)) for s in loads)


def _touched(loop: For) -> tuple[dict[str, list[Index]], set[str]]:
    """Where a loop touches each array, and the arrays that it writes."""
    touched: dict[str, list[Index]] = {}
    written: set[str] = set()
    for buffer, index, is_written in accesses(loop.body):
        touched.setdefault(buffer, []).append(index)
        written.update([buffer] * is_written)
    return touched, written


def own_axes(indices: Sequence[Index], loop: For) -> set[int]:
    """The axes at which every index is the same: the loop's variable, and what is fixed in the loop."""
    inside = names_inside(loop)
    found = set()
    for p, at in enumerate(indices[0]):
        rest = set(variables((poly_add(at, variable(loop.var), -1),)))
        if loop.var not in rest and not rest & inside and all(index[p] == at for index in indices):
            found.add(p)
    return found


def names_inside(loop: For) -> set[Name | None]:
    """What differs from turn to turn: names made in a loop, and the variables of loops in it."""
    return {s.var if isinstance(s, For) else defined(s) for _, s in walk(loop.body)}


def never_meet(a: Index, b: Index, varying: Collection[Name | None]) -> bool:
    """Whether elements of one array are different ones whatever some names are: at one axis, by a number."""
    for p, q in zip(a, b, strict=True):
        apart = poly_add(p, q, -1)
        if apart and all(not names for names, _ in apart) and not set(variables((p,))) & set(varying):
            return True
    return False
