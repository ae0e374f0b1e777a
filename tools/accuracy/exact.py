"""Exact values and derivatives of functions of mpmath numbers: differences, with the digits that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np

Function = Callable[..., Any]

DIGITS = 30
"""Digits that results are good to: enough to see a hundredth of the last place of a double."""
_STEP = 32  # digits between an argument and the step taken from it
_MOST = 2000  # working digits


def value(function: Function, point: Sequence[float]) -> Any:
    """function(*point) as an mpmath number; None where it is not a finite real number."""
    with mpmath.workdps(2 * DIGITS):
        return _real(function, [mpmath.mpf(float(x)) for x in point])


def derivative(function: Function, point: Sequence[float], places: Sequence[int]) -> Any:
    """The derivative by the arguments at `places` (one or two of them); None where there is none.

    Central differences with a step of 1e-32 of the argument (or of 1, where that is less). Digits are doubled
    until what the differences cancel leaves enough of them.
    """
    small = -min([0.0, *(float(np.log10(abs(x))) for x in point if x)])
    digits = int(DIGITS + len(places) * (_STEP + small))
    while digits <= _MOST:
        with mpmath.workdps(digits):
            found, kept = _difference(function, [mpmath.mpf(float(x)) for x in point], places)
        if found is None or kept >= DIGITS:
            return found
        digits = 2 * digits
    return found if found == 0 else None


def _difference(function: Function, point: list[Any], places: Sequence[int]) -> tuple[Any, float]:
    """The difference quotient, and how many digits are left of it."""
    steps = [min(abs(point[k]) or 1, mpmath.mpf(1)) * mpmath.mpf(10) ** -_STEP for k in places]
    corners = []
    for signs in [(1,), (-1,)] if len(places) == 1 else [(1, 1), (1, -1), (-1, 1), (-1, -1)]:
        moved = list(point)
        for k, step, sign in zip(places, steps, signs, strict=True):
            moved[k] = moved[k] + sign * step
        corner = _real(function, moved)
        if corner is None:
            return None, 0.0
        corners.append(corner * int(np.prod(signs)))
    total, largest = mpmath.fsum(corners), max(map(abs, corners))
    for step in steps:
        total /= 2 * step
    if total == 0 or largest == 0:
        return total, 0.0
    lost = float(mpmath.log10(largest / abs(mpmath.fsum(corners))))
    return total, mpmath.mp.dps - lost


def _real(function: Function, point: Sequence[Any]) -> Any:
    try:
        found = function(*point)
    except (ZeroDivisionError, ValueError, OverflowError, mpmath.libmp.NoConvergence):
        return None
    return found if isinstance(found, mpmath.mpf) and mpmath.isfinite(found) else None
