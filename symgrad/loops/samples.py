"""One routine for samples that lie side by side: what a thread of a graphics processor computes.

Every array gets a last axis, along which samples lie next to each other, and every index a last 0: the caller
hands over the addresses of its sample. Threads that run together then touch numbers next to each other, which
memory delivers at once. The work buffers have an axis for the threads instead, which are fewer than samples.

    y[i] = f(x[i])        becomes        y[i, 0] = f(x[i, 0]), with shapes (n, samples)

Both axes have symbolic lengths, the last two sizes; with 1 and 1 it is the routine as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from symgrad.errors import IllegalProgram
from symgrad.loops.nest import (
    Buffer,
    Contract,
    For,
    If,
    Library,
    Load,
    LoadInt,
    Part,
    Routine,
    Statement,
    Store,
    StoreReduce,
    Tile,
    Transpose,
    poly,
    variable,
)
from symgrad.loops.walk import free_name, taken_names


def of_samples(routine: Routine, shared: Collection[str]) -> Routine:
    """The routine for one of many samples; its last two sizes are the numbers of samples and of threads.

    shared  inputs that all samples have in common: they stay as they are.
    Raises IllegalProgram for routines that call libraries or `nest.Contract` (see `lower(plain=)`).
    """
    taken = taken_names(routine)
    samples = free_name(taken, "samples")
    threads = free_name({*taken, samples}, "threads")
    length = {"input": samples, "output": samples, "work": threads}

    def deeper(b: Buffer) -> Buffer:
        if b.role == "table" or b.name in shared:
            return b
        return replace(b, extents=(*b.extents, variable(length[b.role])))

    buffers = tuple(map(deeper, routine.buffers))
    changed = {b.name for b, old in zip(buffers, routine.buffers, strict=True) if b is not old}
    return replace(
        routine,
        sizes=(*routine.sizes, samples, threads),
        size_symbols=(*routine.size_symbols, samples, threads),
        buffers=buffers,
        body=_at_one_sample(routine.body, changed),
        straight=None,
    )


def _at_one_sample(body: Sequence[Statement], changed: Collection[str]) -> list[Statement]:
    done: list[Statement] = []
    for s in body:
        if isinstance(s, Load | LoadInt | Store | StoreReduce) and s.buffer in changed:
            done.append(replace(s, index=(*s.index, poly(0))))
        elif isinstance(s, For | If | Part):
            done.append(replace(s, body=_at_one_sample(s.body, changed)))
        elif isinstance(s, Contract | Tile | Transpose | Library):
            raise IllegalProgram("a sample among others cannot be handed to a function of whole arrays")
        else:
            done.append(s)
    return done
