"""Arguments that machine code takes as one array of numbers (`loops.packed`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgrad.loops.nest import Routine
from symgrad.loops.packed import numbers_of
from symgrad.records import dataclass


@dataclass(frozen=True)
class Packing:
    """The arguments in the array, which is the first that the machine code takes; and those after it."""

    numbers: tuple[int, ...]
    others: tuple[int, ...]

    def inputs(self, arguments: Sequence[np.ndarray], batch: tuple[int, ...]) -> list[np.ndarray]:
        """What the machine code takes for arguments that have the sample axes `batch`, or none."""
        numbers = [arguments[k] for k in self.numbers]
        lead = batch if any(x.ndim for x in numbers) else ()
        array = np.empty((*lead, len(numbers)), numbers[0].dtype)
        for k, x in enumerate(numbers):
            array[..., k] = x
        return [array, *(arguments[k] for k in self.others)]


def packing_of(routine: Routine) -> Packing | None:
    """Of the arguments of a routine; None where it takes each by itself."""
    if not routine.apart:
        return None
    packed = {b.name for b in numbers_of(routine)}
    numbers = tuple(k for k, b in enumerate(routine.apart) if b.name in packed)
    return Packing(numbers, tuple(k for k in range(len(routine.apart)) if k not in numbers))
