"""The formulas and their derivatives with mpmath at 60 digits, by central differences.

A step of 1e-18 leaves an error near 1e-36 from the step and 1e-24 from rounding (in second derivatives), so
that rounding the results to float64 gives the correct numbers. No derivative rule takes part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

mp.mp.dps = 60
STEP = mp.mpf("1e-18")
NOISE = 1e-20

Array = np.ndarray


def _each(function: Callable[..., Any], arguments: int = 1) -> Callable[..., Any]:
    return np.frompyfunc(function, arguments, 1)


class HighPrecision:
    """The part of NumPy's namespace that the formulas use, on object arrays of mpmath numbers."""

    exp, log, sqrt, tanh = map(_each, (mp.exp, mp.log, mp.sqrt, mp.tanh))
    sin, cos, tan, sinh, cosh = map(_each, (mp.sin, mp.cos, mp.tan, mp.sinh, mp.cosh))
    arcsin, arccos, arctan = map(_each, (mp.asin, mp.acos, mp.atan))
    arcsinh, arccosh, arctanh = map(_each, (mp.asinh, mp.acosh, mp.atanh))
    erf, erfc, cbrt, log1p = map(_each, (mp.erf, mp.erfc, mp.cbrt, mp.log1p))
    arctan2 = _each(mp.atan2, 2)
    maximum, minimum = _each(max, 2), _each(min, 2)
    stack, trace, where = staticmethod(np.stack), staticmethod(np.trace), staticmethod(np.where)

    def __init__(self) -> None:
        self.pi = mp.pi()

    @staticmethod
    def number(value: int) -> Any:
        """An exact number."""
        return mp.mpf(value)

    @staticmethod
    def sum(values: Array, axis: int | None = None) -> Any:
        """The sum; of nothing, zero."""
        return np.sum(values, axis=axis, initial=mp.mpf(0))

    @staticmethod
    def prod(values: Array) -> Any:
        """The product of all entries."""
        return np.prod(values, initial=mp.mpf(1))

    @staticmethod
    def det(matrix: Array) -> Any:
        """The determinant, by elimination with pivots."""
        return mp.det(mp.matrix(matrix.tolist()))

    @staticmethod
    def inverse(matrix: Array) -> Array:
        """The inverse, by elimination with pivots."""
        entries = mp.inverse(mp.matrix(matrix.tolist())).tolist()
        return np.asarray(entries, dtype=object)

    @classmethod
    def logsumexp(cls, values: Array, axis: int) -> Any:
        """log(sum(exp(values))) as it stands: mpmath's exponents do not overflow."""
        return cls.log(cls.sum(cls.exp(values), axis))


def lift(values: Array) -> Array:
    """Floats become object arrays of mpmath numbers, exactly; integer arrays stay."""
    return values if values.dtype.kind == "i" else np.asarray(_each(mp.mpf)(values), dtype=object)


def to_float(values: Any) -> Array:
    """Round to float64; what can only be rounding noise becomes zero."""
    rounded = np.asarray(values, dtype=object).astype(np.float64)
    return np.where(abs(rounded) < NOISE, 0.0, rounded)


class Differences:
    """Value and derivatives of one formula at one point."""

    def __init__(
        self, formula: Callable[..., Any], inputs: dict[str, Array], targets: tuple[str, ...]
    ) -> None:
        self._formula = formula
        self._inputs = {name: lift(values) for name, values in inputs.items()}
        self._targets = targets
        self._point = [self._inputs[name] for name in targets]

    def value(self) -> Array:
        """The value, rounded."""
        return to_float(self._at(self._point))

    def jacobian(self) -> list[Array]:
        """One array per target: the shape of the value followed by the target's shape."""
        return [to_float(part) for part in self._jacobian(self._point)]

    def gradient_along(self, tangents: list[Array]) -> list[Array]:
        """The derivative of the gradient in a direction, one array per target."""
        along = [lift(tangent) for tangent in tangents]
        ahead = self._jacobian([p + STEP * v for p, v in zip(self._point, along, strict=True)])
        behind = self._jacobian([p - STEP * v for p, v in zip(self._point, along, strict=True)])
        return [to_float((a - b) / (2 * STEP)) for a, b in zip(ahead, behind, strict=True)]

    def value_along(self, tangents: list[Array]) -> Array:
        """The derivative of the value in a direction."""
        along = [STEP * lift(tangent) for tangent in tangents]
        ahead = self._at([p + v for p, v in zip(self._point, along, strict=True)])
        behind = self._at([p - v for p, v in zip(self._point, along, strict=True)])
        return to_float((ahead - behind) / (2 * STEP))

    def _at(self, point: list[Array]) -> Any:
        return self._formula(HighPrecision(), self._inputs | dict(zip(self._targets, point, strict=True)))

    def _jacobian(self, point: list[Array]) -> list[Array]:
        arrays = [np.asarray(part, dtype=object) for part in point]
        return [self._by_entries(arrays, k) for k in range(len(arrays))]

    def _by_entries(self, point: list[Array], k: int) -> Array:
        columns = [self._by_entry(point, k, entry) for entry in np.ndindex(point[k].shape)]
        table = np.stack([np.asarray(column, dtype=object) for column in columns], axis=-1)
        return np.asarray(table.reshape(table.shape[:-1] + point[k].shape))

    def _by_entry(self, point: list[Array], k: int, entry: tuple[int, ...]) -> Any:
        shift = np.zeros(point[k].shape, dtype=object)
        shift[entry] = STEP
        ahead = self._at([*point[:k], point[k] + shift, *point[k + 1 :]])
        behind = self._at([*point[:k], point[k] - shift, *point[k + 1 :]])
        return (ahead - behind) / (2 * STEP)
