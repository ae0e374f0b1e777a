"""Many single numbers as one array.

A function of 300 numbers that takes 300 addresses spends more time on them than on the numbers, and what lies
all over memory is loaded one by one. `packed` makes one array of them, its first input; where they stand side
by side again, in the form for batches, `apart` gives the inputs back that a caller knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from symgrad.loops.effects import effects
from symgrad.loops.lines import Lines
from symgrad.loops.nest import (
    Buffer,
    Call,
    Contract,
    For,
    If,
    Library,
    Load,
    Part,
    Poly,
    Routine,
    Run,
    Statement,
    Tile,
    Transpose,
    poly,
)
from symgrad.loops.walk import types_in, unused_name, walk

LEAST = 16  # numbers; registers hold the addresses of fewer, more or less

_Place = tuple[str, tuple[Poly, ...]]
_Places = Mapping[_Place, _Place]
_OPAQUE = frozenset((Library, Call, Contract, Tile, Transpose))


def packed(routine: Routine, least: int = LEAST) -> Routine:
    """The routine with its real inputs of rank 0 as one array, the first input; itself if they are few.

    `Routine.apart` of the result are the inputs that it had.
    """
    inputs = routine.buffers_of("input")
    numbers = [b for b in inputs if _is_number(b)]
    if len(numbers) < least or _hands_over(routine, {b.name for b in numbers}):
        return routine
    name = unused_name(routine, "numbers")
    places: _Places = {(b.name, ()): (name, (poly(k),)) for k, b in enumerate(numbers)}
    others = [b for b in routine.buffers if not (b.role == "input" and _is_number(b))]
    array = Buffer(name, "input", (poly(len(numbers)),))
    return replace(routine, buffers=(array, *others), body=_moved(routine.body, places), apart=inputs)


def apart(routine: Routine) -> Routine | None:
    """A straight-line routine with the inputs that it had before `packed`; None if it is not straight."""
    if not routine.apart:
        return routine
    routine = routine.straight or routine
    if not types_in(routine.body).isdisjoint((For, If, *_OPAQUE)):
        return None
    array = routine.buffers[0].name
    places: _Places = {(array, (poly(k),)): (b.name, ()) for k, b in enumerate(numbers_of(routine))}
    kept = [b for b in routine.buffers if b.role != "input"]
    return replace(routine, buffers=(*routine.apart, *kept), body=_moved(routine.body, places), apart=())


def numbers_of(routine: Routine) -> tuple[Buffer, ...]:
    """What stands in the first input of a packed routine."""
    return tuple(b for b in routine.apart if _is_number(b))


def _is_number(b: Buffer) -> bool:
    return not b.extents and b.dtype == "real"


def _hands_over(routine: Routine, names: set[str]) -> bool:
    """Whether a number is handed over by its address."""
    if types_in(routine.body).isdisjoint(_OPAQUE):
        return False
    opaque = (s for _, s in walk(routine.body, into_parts=True) if type(s) in _OPAQUE)
    return any(not names.isdisjoint(effects(s).touches) for s in opaque)


def _moved(body: Sequence[Statement], places: _Places) -> Sequence[Statement]:
    if isinstance(body, Lines):
        return Lines([*_each(body.pieces, places)], [*_each(body.before, places)])
    return [*_each(body, places)]


def _each(body: Sequence[Statement], places: _Places) -> Iterator[Statement]:
    """The statements with their loads from elsewhere."""
    for s in body:
        if type(s) is Load:
            buffer, index = places.get((s.buffer, s.index), (s.buffer, s.index))
            yield Load(s.dst, buffer, index)
        elif type(s) is Run:
            leaves = _each([*s.leaves.values()], places)
            yield replace(s, leaves=dict(zip(s.leaves, leaves, strict=True)))
        elif isinstance(s, For | If):
            yield replace(s, body=[*_each(s.body, places)])
        elif isinstance(s, Part):
            yield replace(s, body=_moved(s.body, places))
        else:
            yield s
