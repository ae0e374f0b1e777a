"""How loops over time are cut into tiles so that the workspace of a call fits into a budget.

Fewer and longer tiles mean less to compute again and more to store. With one tile everything is stored and
nothing is computed twice. With several, every step but those of the last tile is computed twice, and the
least memory grows with the square root of the number of steps; with blocks of tiles, three times, and with
its cube root. The plan taken is the first of these that fits, with tiles as long as they can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Any

import numpy as np

from symgrad.errors import BadOption, BudgetTooSmall, listed
from symgrad.loops.contract import SCRATCH
from symgrad.loops.nest import Poly, Routine, TimeTiles, evaluate_poly
from symgrad.run.signature import Sizes
from symgrad.targets.base import ALIGNMENT, workspace_elements

WORDS = ("stored", "checkpointed", "recomputed")
Memory = int | str | None
_SHARE_OF_PRODUCTS = 4  # their scratch memory is at most one in so many bytes of a budget


def check_memory(memory: Any) -> Memory:
    """`memory`, None for "stored"; BadOption for what is no budget."""
    is_number = isinstance(memory, int | np.integer) and not isinstance(memory, bool)
    if memory is None or memory == "stored":
        return None
    if (is_number and memory >= 0) or (isinstance(memory, str) and memory in WORDS):
        return int(memory) if is_number else str(memory)
    raise BadOption(
        f"no budget of memory: {memory!r}",
        where="memory=",
        because="a budget is a number of bytes of workspace, or one of the words " + ", ".join(WORDS),
        try_='memory=64*1024, or memory="checkpointed"',
    )


def has_room_for_products(memory: Memory) -> bool:
    """Whether matrix products may take memory of their own, to be faster."""
    if isinstance(memory, int):
        return memory >= _SHARE_OF_PRODUCTS * SCRATCH * 8
    return memory != "recomputed"


def planned(routine: Routine, sizes: Sizes, memory: Memory, itemsize: int) -> Sizes:
    """The sizes with those that the caller of a routine chooses, so that its workspace is within a budget.

    Raises BudgetTooSmall, with the smallest workspace there is, where no choice is.
    """
    symbols = dict(zip(routine.sizes, routine.size_symbols, strict=True))
    known = {name: sizes[symbol] for name, symbol in symbols.items() if symbol in sizes}
    for tiles in routine.tiles:
        known |= _least(routine, known, tiles, memory)
    most = memory // itemsize if isinstance(memory, int) else None
    if most is not None:
        least = workspace_elements(routine, known)
        if least > most:
            raise _too_small(routine, sizes, least * itemsize, int(memory or 0))
        for tiles in routine.tiles:
            known |= _longest(routine, known, tiles, most)
    return {**sizes, **{symbols[name]: known[name] for tiles in routine.tiles for name in tiles.names}}


def _too_small(routine: Routine, sizes: Sizes, least: int, memory: int) -> BudgetTooSmall:
    at = ", ".join(f"{listed([s])} = {v}" for s, v in sizes.items())
    nothing = "; nothing in it can be computed again"
    return BudgetTooSmall(
        f"the workspace does not fit into {memory:,} bytes",
        because=(f"with {at} " if at else "")
        + f"it needs {least:,} bytes"
        + (" at least" if routine.tiles else nothing),
        try_=f"memory={least}, or more",
    )


def _least(routine: Routine, known: Mapping[str, int], tiles: TimeTiles, memory: Memory) -> dict[str, int]:
    """The choice that needs the least memory; as one block, if the budget is the word for that."""
    others = {name: 1 for t in routine.tiles for name in t.names if name not in known}
    plans = list(_plans(tiles, known))[: 1 if memory == "checkpointed" else None]
    found = []
    for plan in plans:
        elements = _workspaces(routine, {**others, **known, **plan})
        best = int(np.argmin(elements))
        found.append((int(elements[best]), {name: int(v[best]) for name, v in plan.items()}))
    return min(found, key=lambda item: item[0])[1]


def _longest(routine: Routine, known: Mapping[str, int], tiles: TimeTiles, most: int) -> dict[str, int]:
    """The choice that computes the least again within `most` elements."""
    for plan in _plans(tiles, known):
        elements = _workspaces(routine, {**known, **plan})
        fits = np.flatnonzero(elements <= most)
        if fits.size:
            return {name: int(v[fits[-1]]) for name, v in plan.items()}
    return {name: known[name] for name in tiles.names}


def _plans(tiles: TimeTiles, known: Mapping[str, Any]) -> Iterator[dict[str, np.ndarray]]:
    """Choices of (blocks, tiles in a block, steps in a tile), steps ascending: in one block, then in several.

    For each number of tiles the shortest ones that suffice; as many blocks as tiles in a block.
    """
    total = max(evaluate_poly(tiles.length, known) + tiles.surplus, 1)
    root = isqrt(total)
    few = np.arange(1, root + 1, dtype=np.int64)
    counts = np.unique(np.concatenate([few, -(-total // few)]))
    steps = np.unique(-(-total // counts))
    counts = -(-total // steps)
    yield dict(zip(tiles.names, (np.ones_like(steps), counts, steps), strict=True))
    blocks = np.ceil(np.sqrt(counts)).astype(np.int64)
    yield dict(zip(tiles.names, (blocks, -(-counts // blocks), steps), strict=True))


def _workspaces(routine: Routine, sizes: Mapping[str, Any]) -> np.ndarray:
    """Elements of the workspace for many choices at once, as `workspace_elements` counts them."""
    total: Any = 0
    known = dict(sizes)
    for s in routine.derived:
        known[s.var] = np.minimum.reduce(np.broadcast_arrays(*(_evaluated(p, sizes) for p in s.of)))
    for buffer in routine.buffers_of("work"):
        count: Any = 1
        for extent in buffer.extents:
            count = count * np.maximum(_evaluated(extent, known), 0)
        total = total + -(-count // ALIGNMENT) * ALIGNMENT
    shape = np.broadcast_shapes(*(np.shape(v) for v in sizes.values()))
    return np.broadcast_to(np.asarray(total, dtype=np.int64), shape)


def _evaluated(p: Poly, sizes: Mapping[str, Any]) -> Any:
    total: Any = 0
    for names, k in p:
        term: Any = k
        for name in names:
            term = term * sizes[name]
        total = total + term
    return total
