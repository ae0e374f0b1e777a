"""What one problem of the collection is: residuals in SymPy, starts, and minima as published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

Residual = Callable[..., sp.Expr]


@dataclass(frozen=True, eq=False)
class Instance:
    """One size of a problem: where to start, the data, and the least sums of squares in the literature.

    `start` has one number per unknown. `minima` holds every published value that a method may end at: the
    global minimum first, then local ones.
    """

    start: np.ndarray
    minima: tuple[float, ...]
    data: Mapping[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Problem:
    """A problem of the collection under its number there.

    `unknowns` is an indexed array or a tuple of symbols. `residuals` is a column of expressions, or a
    function of one index per entry of `extents` that gives the residual at that place, from 0 on.
    """

    number: int
    name: str
    unknowns: Any
    residuals: sp.Matrix | Residual
    instances: tuple[Instance, ...]
    extents: tuple[sp.Expr, ...] = ()

    @property
    def is_scalar(self) -> bool:
        """Whether the unknowns are symbols and no array."""
        return isinstance(self.unknowns, tuple)

    @property
    def params(self) -> tuple[Any, ...]:
        return self.unknowns if self.is_scalar else (self.unknowns,)

    @property
    def data(self) -> tuple[Any, ...]:
        return tuple(self.instances[0].data)

    @property
    def args(self) -> tuple[Any, ...]:
        return (*self.params, *self.data)

    @cached_property
    def vector(self) -> Any:
        """The residuals as one expression with an array for its value."""
        if isinstance(self.residuals, sp.MatrixBase):
            return self.residuals
        return self.residuals(*(sp.Idx(f"k{axis}", extent) for axis, extent in enumerate(self.extents)))

    @cached_property
    def half_squares(self) -> sp.Expr:
        """Half the sum of the squared residuals."""
        if isinstance(self.residuals, sp.MatrixBase):
            return sp.Add(*(residual**2 for residual in self.residuals)) / 2
        places = [sp.Symbol(f"k{axis}", integer=True) for axis in range(len(self.extents))]
        limits = [(k, 0, extent - 1) for k, extent in zip(places, self.extents, strict=True)]
        return sp.Sum(self.residuals(*places) ** 2, *reversed(limits)) / 2

    def starting_values(self, instance: Instance) -> dict[Any, Any]:
        """Symbol -> starting value, as `sg.minimize` takes it."""
        return dict(zip(self.params, self.arguments(instance, instance.start), strict=False))

    def arguments(self, instance: Instance, x: np.ndarray) -> list[Any]:
        """The arguments of a kernel at the unknowns `x`, shape (n,)."""
        unknowns = list(map(float, x)) if self.is_scalar else [x.reshape(self._shape(x.size))]
        return [*unknowns, *(instance.data[symbol] for symbol in self.data)]

    def _shape(self, size: int) -> tuple[int, ...]:
        inner = tuple(int(extent) for extent in self.unknowns.shape[1:])
        return (size // int(np.prod(inner)), *inner)
