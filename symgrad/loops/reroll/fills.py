"""Outputs that hold one number nearly everywhere, as Hessians hold 0: filled with it before all else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from symgrad.loops.nest import (
    Buffer,
    Const,
    For,
    Statement,
    Store,
    StoreReduce,
    element_count,
    poly,
    variable,
)

_LEAST = 64  # stores of one number


def without_fills(
    body: Sequence[Statement], buffers: Mapping[str, Buffer], name: str
) -> tuple[Sequence[Statement], list[For]]:
    """The statements without stores of the number that most of an output holds, and loops that fill it.

    name  that no variable of the loops begins with.
    """
    constants = {s.dst: s.payload for s in body if type(s) is Const}
    stores = [s for s in body if type(s) is Store and s.src in constants]
    if len(stores) < _LEAST:
        return body, []
    counts = Counter((s.buffer, constants[s.src]) for s in stores)
    added = {s.buffer for s in body if type(s) is StoreReduce}
    most = {
        buffer: payload
        for (buffer, payload), count in counts.items()
        if buffer not in added and count >= _LEAST and 2 * count > element_count(buffers[buffer], {})
    }
    gone = [s for s in stores if most.get(s.buffer) == constants[s.src]]
    source = {s.buffer: s.src for s in gone}
    left_out = set(map(id, gone))
    loops = [_fill(buffers[b], value, f"{name}{k}") for k, (b, value) in enumerate(source.items())]
    return [s for s in body if id(s) not in left_out] if loops else body, loops


def _fill(buffer: Buffer, value: int, name: str) -> For:
    variables = [f"{name}_{k}" for k in range(len(buffer.extents))]
    body: list[Statement] = [Store(buffer.name, tuple(map(variable, variables)), value)]
    for var, extent in reversed(list(zip(variables, buffer.extents, strict=True))):
        body = [For(var, (poly(0),), (extent,), body)]
    (loop,) = body
    assert isinstance(loop, For)
    return loop
