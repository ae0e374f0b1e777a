"""Methods whose step is one formula for each entry of the parameters.

The formula runs on vectors, one step at a time, and on nodes of a graph, so that a whole loop can be compiled
(`run.fused`). Either way it is the same formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symgrad.ir.algebra import T
from symgrad.run.flat import Vector


@dataclass(frozen=True, slots=True)
class Kept:
    """The number of steps taken, and the arrays the method keeps, shape (size,), in the formula's order."""

    step: int
    arrays: tuple[Vector, ...]


class Elementwise:
    """A method that is a formula: `rule`, the numbers it takes in each step, and how many arrays it keeps.

    A formula uses + - * / and `root` and `ratio` of `ir.algebra`; a new method is a frozen class with it.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    kept: ClassVar[int] = 0

    def numbers(self, step: int) -> tuple[float, ...]:
        """What the formula takes in step 0, 1, ... besides arrays: the step size, ..."""
        raise NotImplementedError

    def rule(
        self, x: T, g: T, kept: tuple[T, ...], numbers: tuple[T | float, ...]
    ) -> tuple[T, tuple[T, ...]]:
        """The next parameter and the next kept arrays from parameter, gradient, and the kept arrays."""
        raise NotImplementedError

    def init(self, params: Vector) -> Kept:
        return Kept(0, tuple(np.zeros_like(params) for _ in range(self.kept)))

    def update(self, state: Kept, value: float, grad: Vector, params: Vector) -> tuple[Vector, Kept]:
        x, arrays = self.rule(params, grad, state.arrays, self.numbers(state.step))
        return x, Kept(state.step + 1, arrays)
