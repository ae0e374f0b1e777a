"""The sample axis as a loop: a straight-line routine on a block of samples that are computed side by side.

    y = f(x)        becomes        for lane in 0 .. LANES: y[lane] = f(x[lane])

Every buffer gets the lane as its last axis, so that what a vector register holds is contiguous in memory:
such a buffer is a tile. Targets compile the loop to vector instructions (`For.lanes` says that they must),
and write around it what runs it on any number of samples, moving each block's samples into tiles and
out of them (`targets/samples.py`). A last, shorter block is filled up, so that every sample is computed by
the same instructions: its numbers depend neither on its place nor on how many others there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgrad.loops.nest import (
    Bool,
    Buffer,
    Compute,
    Const,
    For,
    FromInt,
    Load,
    Part,
    Poly,
    Routine,
    Statement,
    Store,
    Test,
    poly,
    variable,
)
from symgrad.loops.split import split
from symgrad.loops.walk import unused_name, walk

_STRAIGHT = (Const, Bool, Compute, FromInt, Test, Load, Store)


def across_lanes(routine: Routine, lanes: int) -> Routine | None:
    """The routine on blocks of `lanes` samples; None unless it is straight-line code on reals.

    Parts stay functions of their own, to be compiled for a whole block. Loops that were found in
    straight-line code are written out again: side by side, samples fill the registers without them.
    """
    routine = split(routine.straight or routine)
    straight = all(isinstance(s, (*_STRAIGHT, Part)) for _, s in walk(routine.body, into_parts=True))
    plain = all(b.dtype == "real" and _is_constant(b) for b in routine.buffers)
    if not straight or not plain or routine.failures:
        return None
    buffers = tuple(replace(b, extents=(*b.extents, poly(lanes))) for b in routine.buffers)
    lane = unused_name(routine, "lane")
    loop = For(lane, (poly(0),), (poly(lanes),), _spread(routine.body, variable(lane)), lanes=True)
    return replace(routine, buffers=buffers, body=[loop])


def lanes_loop(routine: Routine) -> For | None:
    """The loop over lanes of what `across_lanes` made, None for other routines."""
    first = routine.body[0] if len(routine.body) == 1 else None
    return first if isinstance(first, For) and first.lanes else None


def _is_constant(buffer: Buffer) -> bool:
    return all(names == () for extent in buffer.extents for names, _ in extent)


def _spread(body: Sequence[Statement], lane: Poly) -> list[Statement]:
    """The statements with the lane as last index of every buffer."""
    out: list[Statement] = []
    for s in body:
        if isinstance(s, Load | Store):
            out.append(replace(s, index=(*s.index, lane)))
        elif isinstance(s, Part):
            out.append(replace(s, body=_spread(s.body, lane)))  # parts hold no parts
        else:
            out.append(s)
    return out
