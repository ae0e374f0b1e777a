"""How many samples of a batch are computed abreast: those of one vector, or of two where registers allow.

A result comes some cycles after its operation began. In a long chain of operations, as the polynomial of an
exponential, one vector waits for most of the time; a second one fills the gaps. Every value takes two
registers then: only code that keeps few values at a time has enough of them.
"""

from __future__ import annotations

import numpy as np

from symgrad.loops.lanes import across_lanes
from symgrad.loops.nest import Const, Part, Routine, element_count
from symgrad.loops.walk import defined, operands
from symgrad.targets.base import LANES, workspace_elements

_CACHE_LINE = 64  # bytes; what moving the tiles to the beginning of one can cost
_FEW = 12  # values, in 24 of 32 registers: functions keep few more than their argument for long
_SHORT = 1_000  # statements, which fit into the first cache for instructions twice


def most_lanes(routine: Routine, dtype: str) -> int:
    """The lanes of a block for a processor with enough registers."""
    return LANES[dtype] * (2 if _keeps_few_values(routine) else 1)


def lanes_with(features: str, routine: Routine, dtype: str) -> int:
    """The same for a processor with these features, as LLVM writes them."""
    has_many = "+avx512f" in features.split(",")  # 32 registers of 512 bits
    return most_lanes(routine, dtype) if has_many else LANES[dtype]


def batch_elements(routine: Routine, dtype: str) -> int:
    """How many elements the workspace of its form for batches needs at most: workspace and tiles."""
    lanes = most_lanes(routine, dtype)
    block = across_lanes(routine, lanes)
    assert block is not None
    tiles = sum(element_count(b, {}) for b in block.buffers if b.role != "work")
    most = lanes + _CACHE_LINE // np.dtype(dtype).itemsize  # samples computed alone, and the gap
    return workspace_elements(block, {}) + tiles + most


def _keeps_few_values(routine: Routine) -> bool:
    """Whether straight-line code never has more than a few values that it needs later; constants are none."""
    body = (routine.straight or routine).body
    if len(body) > _SHORT or any(isinstance(s, Part) for s in body):
        return False
    constants = {s.dst for s in body if isinstance(s, Const)}
    live: set[object] = set()
    most = 0
    for s in reversed(body):
        live.discard(defined(s))
        live.update(v for v in operands(s) if v not in constants)
        most = max(most, len(live))
    return most <= _FEW
