"""The reference of an op that is defined by its expansion: one formula for every target.

The expansion is built once, in a graph of its own, and evaluated in double precision; the result is rounded
to the type of the arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Expand = Callable[["Graph", tuple[int, ...]], int]


def by_expansion(expand: Expand, arity: int) -> Callable[..., Any]:
    """A NumPy function of `arity` arrays, which broadcast, that computes the expansion."""

    @cache
    def built() -> tuple[Graph, list[int], int]:
        from symgrad.ir.graph import Graph  # whose module imports the table that this is a part of

        g = Graph(stabilise=False)  # rules would make the op again
        size = g.size("n")
        axis = g.fresh_axis(size)
        inputs = [g.input(f"x{k}", (size,)) for k in range(arity)]
        body = expand(g, tuple(g.read(t, axis) for t in inputs))
        return g, inputs, g.define("map", (axis,), (), body)

    def call(*args: Any) -> Any:
        from symgrad.ir.evaluate import evaluate

        kind = np.result_type(*(np.asarray(a) for a in args))
        number = np.complex128 if kind.kind == "c" else np.float64
        wide = np.broadcast_arrays(*(np.asarray(a, dtype=number) for a in args))
        g, inputs, result = built()
        flat = {t: w.ravel() for t, w in zip(inputs, wide, strict=True)}
        (value,) = evaluate(g, [result], flat, {"n": wide[0].size}, number)
        return value.reshape(wide[0].shape).astype(kind if kind.kind in "fc" else np.float64)[()]

    return call
