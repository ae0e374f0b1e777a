"""What the calls look like that machine code makes by itself (`run.trampoline`), as 64-bit integers.

    record   HEADER words, then ARGUMENT words per argument, then RESULT words per result, then meta
    header   arguments, results, is a tuple?, NAME_call, bytes of the block, place of the first number in it,
             bytes of a real, words of meta, the descriptor of reals
    argument kind (0 a number, 1 an array), descriptor, number of axes, bytes, extents
    result   number of axes, bytes, extents, NumPy's type number

A single number is passed in the block, and its shape is ().
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

RECORD = 24  # where an object has the address of its record
MAX_AXES = 6
HEADER, ARGUMENT, RESULT = 9, 4 + MAX_AXES, 3 + MAX_AXES
MAX_ARGUMENTS, MAX_RESULTS, MAX_META = 32, 16, 128


def record_of(
    call_address: int,
    real: np.dtype,
    arguments: Sequence[tuple[np.dtype, tuple[int, ...]]],
    results: Sequence[tuple[int, ...]],
    is_tuple: bool,
    workspace: int,
    meta: np.ndarray,
) -> np.ndarray | None:
    """The record of a call; None for one that is beyond the fixed sizes of the machine code.

    arguments  (type, shape) of each; shape () for a Python float.
    results    their shapes, all of type `real`; () for one that is returned as a float.
    workspace  elements before the single numbers in the block.
    """
    ranks = [len(shape) for shape in (*(shape for _, shape in arguments), *results)]
    if (
        max(ranks, default=0) > MAX_AXES
        or len(arguments) > MAX_ARGUMENTS
        or not 0 < len(results) <= MAX_RESULTS
        or meta.size > MAX_META
    ):
        return None
    numbers = sum(shape == () for shape in (*(shape for _, shape in arguments), *results))
    size = (workspace + numbers) * real.itemsize
    words = [
        len(arguments), len(results), int(is_tuple), call_address, size, workspace, real.itemsize,
        meta.size, id(real),
    ]  # fmt: skip
    for dtype, shape in arguments:
        length = prod(shape) * dtype.itemsize
        words += [int(bool(shape)), id(dtype), len(shape), length, *_padded(shape)]
    for shape in results:
        words += [len(shape), prod(shape) * real.itemsize, *_padded(shape), real.num]
    return np.array([*words, *meta], np.int64)


def _padded(shape: tuple[int, ...]) -> list[int]:
    return [*shape, *[0] * (MAX_AXES - len(shape))]
