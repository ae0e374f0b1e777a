"""Elementwise operations on complex numbers, for derivatives by the complex step.

f(x + ih) = f(x) + ih f'(x) + O(h^2) for an analytic f: the imaginary part carries the derivative,
without the cancellation of differences. An operation that is only piecewise analytic continues the
piece that the real part is on.

Source: Squire and Trapp 1998, Using complex variables to estimate derivatives of real functions;
Martins, Sturdza and Alonso 2003, The complex-step derivative approximation, sections 2.2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgrad.ir.ops import OPS

Form = Callable[..., Any]

_NUMPY_IS_ANALYTIC = (
    "add", "sub", "mul", "div", "neg", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin",
    "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc",
    "and", "or", "not", "where", "mask", "cast",
)  # fmt: skip


def _pow(x: Any, y: Any) -> Any:
    """x**y; a constant whole exponent is exact for negative x, where log(x) leaves the real line."""
    whole = (np.imag(y) == 0) & (np.real(y) == np.round(np.real(y)))
    turns = np.where(whole & (np.real(x) < 0), np.real(y), 0)
    base = np.where(whole & (np.real(x) < 0), -x, x)
    return np.power(base, y) * np.where(turns % 2 == 1, -1, 1)


def _cbrt(x: Any) -> Any:
    def root(z: Any) -> Any:
        return np.cbrt(np.real(z)) * np.exp(np.log(z / np.real(z)) / 3)

    x = np.asarray(x)
    return np.where(np.real(x) >= 0, root(x), -root(-x))


def _abs(x: Any) -> Any:
    return np.where(np.real(x) >= 0, x, -x)


def _hypot(x: Any, y: Any) -> Any:
    big = np.hypot(np.real(x), np.real(y))
    unit = np.where(big == 0, 1, big)  # squares of the rest neither overflow nor vanish
    return unit * np.sqrt((x / unit) ** 2 + (y / unit) ** 2)


def _atan2(y: Any, x: Any) -> Any:
    """The angle of the real parts plus the small angle from there."""
    yr, xr = np.real(y), np.real(x)
    return np.arctan2(yr, xr) + np.arctan((xr * y - yr * x) / (xr * x + yr * y))


def _logistic(x: Any) -> Any:
    e = np.exp(-_abs(x))
    return np.where(np.real(x) >= 0, 1, e) / (1 + e)


def _softplus(x: Any) -> Any:
    return np.where(np.real(x) >= 0, x, 0) + np.log1p(np.exp(-_abs(x)))


def _logaddexp(x: Any, y: Any) -> Any:
    equal = np.real(x) == np.real(y)  # equal infinities have no difference
    return np.where(equal, (x + y) / 2 + np.log(2), _larger(x, y) + np.log1p(np.exp(-_abs(x - y))))


def _sinc(x: Any) -> Any:
    """sin(x)/x, by its series near 0 where the imaginary part would cancel."""
    x = np.asarray(x, dtype=np.complex128)
    near = np.abs(x) < 0.05
    q = np.where(near, x, 0) ** 2
    series = 1 - q / 6 * (1 - q / 20 * (1 - q / 42 * (1 - q / 72)))
    away = np.where(near, 1, x)
    return np.where(near, series, np.sin(away) / away)


def _larger(x: Any, y: Any) -> Any:
    return np.where(np.real(x) >= np.real(y), x, y)


def _smaller(x: Any, y: Any) -> Any:
    return np.where(np.real(x) <= np.real(y), x, y)


def _real_parts(op: str) -> Form:
    """A jump or a predicate: what the real parts say."""
    return lambda *args: OPS[op].numpy(*map(np.real, args))


def _remainder(op: str) -> Form:
    """x - q*y with the whole quotient q of the real parts."""

    def form(x: Any, y: Any) -> Any:
        xr, yr = np.real(x), np.real(y)
        return x - np.round((xr - OPS[op].numpy(xr, yr)) / yr) * y

    return form


COMPLEX_FORMS: dict[str, Form] = {
    **{op: OPS[op].numpy for op in _NUMPY_IS_ANALYTIC},
    "pow": _pow,
    "cbrt": _cbrt,
    "hypot": _hypot,
    "atan2": _atan2,
    "logistic": _logistic,
    "softplus": _softplus,
    "logaddexp": _logaddexp,
    "sinc": _sinc,
    "abs": _abs,
    "maximum": _larger,
    "minimum": _smaller,
    **{op: _real_parts(op) for op in ("sign", "floor", "ceil", "lt", "le", "eq", "ne")},
    **{op: _remainder(op) for op in ("fmod", "mod")},
}
