"""Which innermost loops get a loop of their own for the turns that are fewer than a vector has lanes."""

from __future__ import annotations

from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Compute,
    Const,
    For,
    FromInt,
    Load,
    LoadInt,
    Store,
    StoreReduce,
    Test,
)
from symgrad.targets.vector_math import OWN


def has_rest(loop: For) -> bool:
    """Whether an innermost loop has functions, and nothing that keeps vectors from doing it."""
    simple = (Const, Bool, Compute, FromInt, Test, Load, LoadInt, Store, StoreReduce, Accumulate)
    return (
        loop.step == 1
        and not loop.lanes
        and any(isinstance(s, Compute) and s.op.startswith(OWN) for s in loop.body)
        and all(isinstance(s, simple) for s in loop.body)
        and all(s.kind in ("sum", "any") for s in loop.body if isinstance(s, Accumulate))
    )


def is_interleaved(loop: For) -> bool:
    """Whether it walks an array in steps of more than one: the last vector would read beyond its end."""
    indices = (i for s in loop.body if isinstance(s, Load | Store | StoreReduce) for i in s.index)
    return any(abs(k) > 1 for i in indices for names, k in i if loop.var in names)
