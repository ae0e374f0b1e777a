"""Two routines for the same numbers, and which one runs: chosen by a size when the kernel runs.

    if m <= 7: the loops for few            (`opt.few` says where that pays)
    if m >= 8: the loops for many

They share inputs and outputs. The memory of each has no elements where the other one runs: the first extent
of an array, which places nothing, is multiplied by an integer that is 1, or else at most 0.
"""

from __future__ import annotations

from dataclasses import replace

from symgrad.loops.nest import (
    Buffer,
    If,
    Least,
    Poly,
    Routine,
    Statement,
    Test,
    poly,
    poly_add,
    poly_mul,
    variable,
)
from symgrad.loops.renamed import renamed_poly, renumbered
from symgrad.loops.walk import free_name, next_value, taken_names

MOST = 7  # fewer than a vector holds


def chosen(size: str, few: Routine, many: Routine) -> Routine:
    """The routine that runs `few` where the size called so is at most MOST, and `many` elsewhere."""
    m = variable(many.sizes[many.size_symbols.index(size)])
    few = _apart(few, many)
    taken = taken_names(few) | taken_names(many)
    enough = poly_add(poly(MOST + 1), m, -1), poly_add(m, poly(-MOST))  # at least 1: this one runs
    derived, buffers, body = list[Least](), list[Buffer](), list[Statement]()
    value = next_value(few.body)
    for routine, name, at_least_one in zip((few, many), ("few", "many"), enough, strict=True):
        name = free_name(taken, name)
        derived += [*routine.derived, Least(name, (poly(1), at_least_one))]
        buffers += [_only_if(variable(name), b) for b in routine.buffers_of("work")]
        body += [Test(value, "ige", poly_add(at_least_one, poly(-1))), If(value, [*routine.body])]
        value += 1
    return replace(
        many,
        buffers=(*(b for b in many.buffers if b.role != "work"), *buffers),
        body=body,
        notes=(*many.notes, *(n for n in few.notes if n not in many.notes)),
        derived=tuple(derived),
    )


def _only_if(is_needed: Poly, work: Buffer) -> Buffer:
    first = work.extents[:1]
    return replace(work, extents=(*(poly_mul(e, is_needed) for e in first), *work.extents[1:]))


def _apart(routine: Routine, other: Routine) -> Routine:
    """The routine with the other's names for what they share, and its own for its memory and integers.

    Its values are numbered after those of the other.
    """
    sizes = dict(zip(other.size_symbols, other.sizes, strict=True))
    names: dict[str, str] = {n: sizes[s] for n, s in zip(routine.sizes, routine.size_symbols, strict=True)}
    for role in ("input", "output"):
        pairs = zip(routine.buffers_of(role), other.buffers_of(role), strict=True)
        names |= {own.name: shared.name for own, shared in pairs}
    taken = taken_names(routine) | taken_names(other)
    for own in (*(b.name for b in routine.buffers_of("work")), *(s.var for s in routine.derived)):
        names[own] = free_name(taken, own)
        taken.add(names[own])

    def buffer(b: Buffer) -> Buffer:
        return replace(b, name=names[b.name], extents=tuple(renamed_poly(e, names) for e in b.extents))

    return replace(
        routine,
        buffers=tuple(map(buffer, routine.buffers)),
        derived=tuple(
            Least(names[s.var], tuple(renamed_poly(p, names) for p in s.of)) for s in routine.derived
        ),
        body=renumbered(routine.body, names, next_value(other.body)),
    )
