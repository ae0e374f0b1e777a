"""How the samples of a block become tiles and tiles become samples, as shuffles of vectors.

The numbers of one sample are contiguous in memory, those of one row of a tile are one number of every
sample: a tile is the transpose of its samples. Squares of LANES by LANES numbers are transposed by exchanging
halves, quarters, ... of pairs of rows (Eklundh 1972); the rows of narrower samples are merged one by one.

A shuffle of two rows is a list of places, from LANES on those of the second row; -1 is a place nobody reads.
"""

from __future__ import annotations

from math import prod

from symgrad.loops.nest import Buffer


def exchanges(lanes: int) -> list[tuple[int, list[int], list[int]]]:
    """The stages of a transposition: (distance of the two rows, what the first keeps, what the second keeps).

    Numbers from `lanes` on are places of the second row.
    """
    stages = []
    distance = lanes // 2
    while distance:
        first = [p if not p & distance else lanes + p - distance for p in range(lanes)]
        second = [p + distance if not p & distance else lanes + p for p in range(lanes)]
        stages.append((distance, first, second))
        distance //= 2
    return stages


def merges(core: int, lanes: int, into: bool) -> list[tuple[int, list[tuple[int, list[int]]]]]:
    """For each of 1 < `core` < `lanes` rows of the result, how it is made of rows of the source.

    It begins as the first row; then come steps (row, shuffle with it). into: from samples to tiles.
    """
    out = []
    for k in range(core):
        # Number e of the samples of a block is number e % core of sample e // core.
        if into:
            wanted = [divmod(lane * core + k, lanes) for lane in range(lanes)]
        else:
            wanted = [divmod(k * lanes + p, core)[::-1] for p in range(lanes)]
        first, *rest = sorted({row for row, _ in wanted})
        known = [at if row == first else -1 for row, at in wanted]
        steps = []
        for number in rest:
            places = [lanes + at if row == number else known[p] for p, (row, at) in enumerate(wanted)]
            known = [p if place >= 0 else -1 for p, place in enumerate(places)]
            steps.append((number, places))
        out.append((first, steps))
    return out


def tile_rows(b: Buffer) -> int:
    """The elements of one sample of a buffer whose last axis is the lane."""
    return prod(max(sum(k for _, k in extent), 0) for extent in b.extents[:-1])
