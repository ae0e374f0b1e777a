"""Exact values and derivatives of functions of mpmath numbers: differences, with the digits that takes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

Function = Callable[..., Any]

_SECONDS = 0.5  # for one evaluation


@dataclass(frozen=True)
class Precision:
    """How derivatives are found.

    digits  that results are good to: enough to see a hundredth of the last place of a double.
    step    digits between an argument and the step taken from it: far more than those between an argument and
            an end of the domain.
    most    working digits.
    """

    digits: int = 30
    step: int = 32
    most: int = 1500


USUAL = Precision()
SHORT = Precision(20, 22, 250)
"""Of functions that take long."""


def value(function: Function, point: Sequence[float]) -> Any:
    """function(*point) as an mpmath number; None where it is not a finite real number.

    Digits are doubled until two results agree: some functions of mpmath's lose digits without saying so.
    """
    before, digits = None, USUAL.digits
    while digits <= USUAL.most:
        with mpmath.workdps(digits):
            found = _real(function, [mpmath.mpf(float(x)) for x in point])
            if found is None or (before is not None and abs(found - before) <= abs(found) / 10**20):
                return found
        before, digits = found, 2 * digits
    return None


def derivative(
    function: Function, point: Sequence[float], places: Sequence[int], by: Precision = USUAL
) -> Any:
    """The derivative by the arguments at `places` (one or two of them); None where there is none.

    Central differences with a step of 1e-32 (`by.step`) of the argument, or of 1 where that is less. Digits
    are doubled until what the differences cancel leaves enough of them; where that does not happen (at zeros
    of the derivative) the result is None as well.
    """
    decades = max([0.0, *(abs(float(np.log10(abs(x)))) for x in point if x)])
    digits = int(by.digits + len(places) * (by.step + decades))
    while digits <= by.most:
        with mpmath.workdps(digits):
            exactly = [mpmath.mpf(float(x)) for x in point]
            found, kept = _difference(function, exactly, places, 1, by.step)
            if found is None or (kept >= by.digits and all(point)):
                return found
            if kept >= by.digits:  # at 0, what is singular on both sides may look symmetric
                again, _ = _difference(function, exactly, places, 3, by.step)
                return found if again is not None and abs(again - found) <= abs(found) / 10**20 else None
        digits = 2 * digits
    return None


def _difference(
    function: Function, point: list[Any], places: Sequence[int], times: int, step_digits: int
) -> tuple[Any, float]:
    """The difference quotient, and how many digits are left of it."""
    unit = times * mpmath.mpf(10) ** -step_digits
    steps = [min(abs(point[k]) or 1, mpmath.mpf(1)) * unit for k in places]
    corners = []
    for signs in [(1,), (-1,)] if len(places) == 1 else [(1, 1), (1, -1), (-1, 1), (-1, -1)]:
        moved = list(point)
        for k, step, sign in zip(places, steps, signs, strict=True):
            moved[k] = moved[k] + sign * step
        corner = _real(function, moved)
        if corner is None:
            return None, 0.0
        corners.append(corner * int(np.prod(signs)))
    total = mpmath.fsum(corners)
    if total == 0:
        return total, 0.0
    largest = max([mpmath.mpf(1), *map(abs, corners), *map(abs, point)])  # also of what is inside, about
    kept = mpmath.mp.dps - float(mpmath.log10(largest / abs(total)))
    for step in steps:
        total /= 2 * step
    return total, kept


def _real(function: Function, point: Sequence[Any]) -> Any:
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        found = function(*point)
    except (ZeroDivisionError, ValueError, OverflowError, TimeoutError, mpmath.libmp.NoConvergence):
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return found if isinstance(found, mpmath.mpf) and mpmath.isfinite(found) else None


def _too_late(*_: Any) -> None:
    raise TimeoutError("the series takes too long to converge")
