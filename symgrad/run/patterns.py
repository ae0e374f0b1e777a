"""Where the entries of sparse results lie, for given sizes and integer arrays.

The index equations of `grad.sparsity` are evaluated once, with NumPy, and sorted. What a kernel needs from
then on is one integer per value: its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgrad.errors import ShapeMismatch
from symgrad.grad.sparsity import SparseOutput
from symgrad.ir.evaluate import evaluate, evaluate_size
from symgrad.ir.graph import Graph, TensorId
from symgrad.records import dataclass

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Pattern:
    """One sparse result for one set of sizes and integer arrays.

    shape, rows, columns  of the matrix and its stored entries, in the order of their values.
    inputs                arrays for `SparseOutput.inputs`.
    sizes                 values of the sizes that count values.
    """

    shape: tuple[int, int]
    rows: Integers
    columns: Integers
    inputs: tuple[Integers, ...]
    sizes: Mapping[str, int]


def make_pattern(
    g: Graph, output: SparseOutput, arrays: Mapping[TensorId, Any], sizes: Mapping[str, int]
) -> Pattern:
    """The pattern of a sparse output; `arrays` holds the integer inputs that its places depend on.

    Raises ShapeMismatch for a matrix with more places than int64 can number.
    """
    height, width = (max(evaluate_size(g, e, sizes), 0) for e in output.shape)
    shape = (height, width)
    if shape[0] * shape[1] > np.iinfo(np.int64).max:
        raise ShapeMismatch(
            f"the sparse matrix of {output.word!r} has {shape[0]} x {shape[1]} places",
            because="places are numbered in 64 bits",
        )
    if output.entries is not None:
        places = np.array(output.entries, np.int64).reshape(-1, 2)
        return Pattern(shape, places[:, 0], places[:, 1], (), {})
    found = _numbers(g, output, arrays, sizes, shape)
    if not output.count:
        return _of_diagonals(output, shape, np.concatenate(found))
    kept = [numbers >= 0 for numbers in found]
    numbers = np.concatenate([np.zeros(0, np.int64), *(x[k] for x, k in zip(found, kept, strict=True))])
    computed, inverse = np.unique(numbers, return_inverse=True)
    inputs = _spread(kept, inverse.reshape(-1))
    counts = {output.count: len(computed)}
    if output.mirror is not None:
        computed, mirror = _mirrored(computed, shape[0])
        inputs.append(mirror)
        counts[output.total] = len(computed)
    return Pattern(shape, *_rows_and_columns(output, shape, computed), tuple(inputs), counts)


def _of_diagonals(output: SparseOutput, shape: tuple[int, int], found: Integers) -> Pattern:
    """Of values that are computed diagonal after diagonal; `found`: their places, -1 for those not stored."""
    (stored,) = np.nonzero(found >= 0)
    stored = stored[np.argsort(found[stored], kind="stable")]
    numbers = found[stored]
    if output.is_symmetric and output.storage.triangle == "full":
        numbers, source = _mirrored(numbers, shape[0])
        stored = stored[source]
    counts = {output.total: len(numbers)}
    return Pattern(shape, *_rows_and_columns(output, shape, numbers), (stored,), counts)


def _rows_and_columns(
    output: SparseOutput, shape: tuple[int, int], numbers: Integers
) -> tuple[Integers, Integers]:
    major, minor = np.divmod(numbers, max(_minor_length(output, shape), 1))
    return (minor, major) if output.storage.format == "csc" else (major, minor)


def _minor_length(output: SparseOutput, shape: tuple[int, ...]) -> int:
    return shape[0] if output.storage.format == "csc" else shape[1]


def _numbers(
    g: Graph,
    output: SparseOutput,
    arrays: Mapping[TensorId, Any],
    sizes: Mapping[str, int],
    shape: tuple[int, ...],
) -> list[Integers]:
    """Each band's places as numbers in the order of the format; -1 where there is no value."""
    wanted = [t for band in output.bands for t in band]
    places = [x.astype(np.int64) for x in evaluate(g, wanted, arrays, sizes)]
    found = []
    for above, column in zip(places[::2], places[1::2], strict=True):
        row = above - 1
        ordered = column * shape[0] + row if output.storage.format == "csc" else row * shape[1] + column
        found.append(np.where(above > 0, ordered, -1))
    return found


def _spread(kept: list[NDArray[np.bool_]], inverse: Integers) -> list[Integers]:
    """The place of each value of each band among the distinct ones; -1 where it has none."""
    out, start = [], 0
    for mask in kept:
        count = int(mask.sum())
        own = np.full(mask.shape, -1, np.int64)
        own[mask] = inverse[start : start + count]
        start += count
        out.append(own)
    return out


def _mirrored(numbers: Integers, n: int) -> tuple[Integers, Integers]:
    """(the places of both triangles in order, which computed value each of them holds)."""
    major, minor = np.divmod(numbers, max(n, 1))
    across = np.flatnonzero(major != minor)
    everything = np.concatenate([numbers, minor[across] * n + major[across]])
    order = np.argsort(everything, kind="stable")
    source = np.concatenate([np.arange(len(numbers)), across])
    return everything[order], source[order]
