"""What the calls look like that machine code makes by itself (`run.trampoline`), as 64-bit integers.

    record   HEADER words, ARRAY words per array among the arguments, RESULT words per result, meta, codes,
             ranges, one word per argument, and one per array that the machine code takes
    header   arguments, results, codes, NAME_call, bytes of the block, place of the first number in it,
             bytes of a real, words of meta, the descriptor of reals, arguments passed by position,
             parts of tangent= (0 none, SINGLE what is passed itself), whether there is a cotangent=, ranges,
             whether it is so brief that the GIL is kept, arrays that NAME_call takes, arrays among arguments,
             alarms: single numbers after the results that say by not being 0 that something is wrong,
             the address that NAME_call takes after the block (of the routine for one sample; 0 for none)
    array    descriptor, number of axes, bytes, extents
    result   number of axes, bytes, extents, NumPy's type number, depth, and its path in the structure of all
             results: the length of each tuple around it, outermost first, and the place in it
    codes    how the structure is built: -1 takes the next result, n >= 0 makes a tuple of the last n things
    ranges   of indices: place among what NAME_call takes, number of entries, least and largest value allowed
    argument twice its place among what NAME_call takes, and 1 more for an array; of numbers that lie in one
             array the place UNUSED
    taken    bytes of each array that the caller owns, 0 for numbers in the block

A single number is passed in the block, in which all of them follow each other, and its shape is ().
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from symgrad.records import dataclass
from symgrad.run.packing import Packing

RECORD = 24  # where an object has the address of its record
FUNCTION = 3  # the word with the address of NAME_call
MAX_AXES = 6
MAX_DEPTH = 3  # of tuples: outputs, symbols, symbols again
HEADER, ARRAY, RESULT, RANGE = 18, 3 + MAX_AXES, 4 + MAX_AXES + 2 * MAX_DEPTH, 4
SINGLE = -1
MOST_INDICES = 1 << 14  # entries of integer arrays that the machine code looks at; Python is faster for more
MAX_ARGUMENTS, MAX_TAKEN, MAX_RESULTS, MAX_ALARMS, MAX_META = 1024, 64, 64, 2, 256
UNUSED = MAX_TAKEN + MAX_RESULTS + MAX_ALARMS + 2  # behind all that NAME_call takes
MAX_CODES = 3 * MAX_RESULTS
Tree = None | tuple["Tree", ...]  # the structure of results: None stands for one


@dataclass(frozen=True)
class Passed:
    """How many arguments are passed by position, as parts of tangent= (or SINGLE), and as cotangent=."""

    inputs: int
    tangents: int = 0
    cotangent: bool = False


@dataclass(frozen=True)
class Entry:
    """What machine code calls: the address of `NAME_call`, the elements of workspace that it needs, and the
    address that it takes after the workspace (of the routine for one sample; 0 where it takes none).
    """

    address: int
    workspace: int
    sample: int = 0


def record_of(
    entry: Entry,
    real: np.dtype,
    arguments: Sequence[tuple[np.dtype, tuple[int, ...]]],
    results: Sequence[tuple[int, ...]],
    structure: Tree,
    meta: np.ndarray,
    passed: Passed,
    ranges: Sequence[tuple[int, int, int, int]] = (),
    is_brief: bool = False,
    packing: Packing | None = None,
    alarms: int = 0,
    batch: bool = False,
) -> np.ndarray | None:
    """The record of a call; None for one that is beyond the fixed sizes of the machine code.

    entry      what is called, and what it needs.
    arguments  (type, shape) of each; shape () for a Python float.
    results    their shapes, all of type `real`; () for one that is returned as a float.
    structure  of the results, in order.
    passed     which arguments are passed how.
    ranges     of indices, as in the record.
    is_brief   whether to keep the GIL.
    packing    of arguments into one array of numbers.
    alarms     how many single numbers follow the results that have to be 0.
    batch      whether arguments and results have sample axes.
    """
    order = range(len(arguments)) if packing is None else packing.others
    place = {argument: k for k, argument in enumerate(order, packing is not None)}
    taken = len(order) + (packing is not None)
    if not batch:
        meta = meta[: meta.size + taken - len(arguments)]  # of one sample nobody reads the strides
    ranks = [len(shape) for shape in (*(shape for _, shape in arguments), *results)]
    codes, paths = list(_codes(structure)), list(_paths(structure, ()))
    if (
        max(ranks, default=0) > MAX_AXES
        or len(arguments) > MAX_ARGUMENTS
        or taken > MAX_TAKEN
        or not 0 < len(results) <= MAX_RESULTS
        or alarms > MAX_ALARMS
        or meta.size > MAX_META
        or len(codes) > MAX_CODES
        or max(map(len, paths)) > MAX_DEPTH
        or sum(count for _, count, _, _ in ranges) > MOST_INDICES
    ):
        return None
    numbers = alarms + sum(shape == () for shape in (*(shape for _, shape in arguments), *results))
    size = (entry.workspace + numbers) * real.itemsize
    words = [
        len(arguments), len(results), len(codes), entry.address, size, entry.workspace, real.itemsize,
        meta.size, id(real), passed.inputs, passed.tangents, int(passed.cotangent), len(ranges),
        int(is_brief), taken, sum(shape != () for _, shape in arguments), alarms, entry.sample,
    ]  # fmt: skip
    owned = [0] * taken
    for k, (dtype, shape) in enumerate(arguments):
        if shape != ():
            owned[place[k]] = prod(shape) * dtype.itemsize
            words += [id(dtype), len(shape), owned[place[k]], *_padded(shape, MAX_AXES)]
    for shape, path in zip(results, paths, strict=True):
        words += [len(shape), prod(shape) * real.itemsize, *_padded(shape, MAX_AXES), real.num]
        words += [len(path), *_padded([word for step in path for word in step], 2 * MAX_DEPTH)]
    indices = [word for argument, *rest in ranges for word in (place[argument], *rest)]
    kinds = [2 * place.get(k, UNUSED) + (shape != ()) for k, (_, shape) in enumerate(arguments)]
    return np.array([*words, *meta, *codes, *indices, *kinds, *owned], np.int64)


def _codes(tree: Tree) -> Iterator[int]:
    if tree is None:
        yield -1
        return
    for part in tree:
        yield from _codes(part)
    yield len(tree)


def _paths(tree: Tree, path: tuple[tuple[int, int], ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    """For each result (length of a tuple, place in it), from the outside to the inside."""
    if tree is None:
        yield path
        return
    for k, part in enumerate(tree):
        yield from _paths(part, (*path, (len(tree), k)))


def _padded(words: Sequence[int], count: int) -> list[int]:
    return [*words, *[0] * (count - len(words))]
