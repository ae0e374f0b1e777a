"""Which axes of an array a stride walks, and how far.

Extents are those of an array whose last axis is contiguous; all integers are polynomials (`nest.Poly`).
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.loops.nest import Poly, poly, poly_mul


def axis_of(stride: Poly, extents: Sequence[Poly]) -> int | None:
    """The axis whose next index is so many elements further."""
    return next((p for p in range(len(extents)) if size(extents[1 + p :]) == stride), None)


def size(extents: Sequence[Poly]) -> Poly:
    """How many elements an array has."""
    product = poly(1)
    for extent in extents:
        product = poly_mul(product, extent)
    return product


def stays_within(stride: Poly, length: Poly, extents: Sequence[Poly], p: int) -> bool:
    """Whether an axis in memory is one axis of the array, or several that follow each other, but not `p`."""
    last = axis_of(stride, extents)
    if last is None:
        return False
    spans = (range(q, last + 1) for q in range(last + 1))
    return any(p not in span and size([extents[q] for q in span]) == length for span in spans)
