"""Gradient descent as the particle and saddle problems have it: as a recurrence, and around a kernel.

The step length starts at 1e-5; it doubles after ten successes in a row and halves at a failure. The search
ends where the gradient or the step is not longer than 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import hypot
from typing import Any

import sympy as sp

import symgrad as sg

FIRST_STEP, TOLERANCE, STREAK = 1e-5, 1e-5, 10


def argmin(both: Callable[..., tuple[float, Sequence[float]]], start: Sequence[float]) -> list[float]:
    """Where the search from `start` ends; `both(*x)` is the value and the slope at x."""
    x, length, streak = list(start), FIRST_STEP, 0
    value, slope = both(*x)
    norm = hypot(*slope)
    while norm > TOLERANCE:
        if streak == STREAK:
            length, streak = 2 * length, 0
        if length * norm <= TOLERANCE:
            break
        there = [a - length * d for a, d in zip(x, slope, strict=True)]
        new_value, new_slope = both(*there)
        if new_value < value:
            x, value, slope, streak = there, new_value, new_slope, streak + 1
            norm = hypot(*slope)
        else:
            length, streak = length / 2, 0
    return x


def argmin_of_one(both: Callable[[float], tuple[float, float]], start: float) -> float:
    """The same for a function of one number, whose slope is a number."""
    x, length, streak = start, FIRST_STEP, 0
    value, slope = both(x)
    norm = abs(slope)
    while norm > TOLERANCE:
        if streak == STREAK:
            length, streak = 2 * length, 0
        if length * norm <= TOLERANCE:
            break
        there = x - length * slope
        new_value, new_slope = both(there)
        if new_value < value:
            x, value, slope, streak = there, new_value, new_slope, streak + 1
            norm = abs(slope)
        else:
            length, streak = length / 2, 0
    return x


def argmin_of_pair(
    f: Callable[[Any, Any], Any], start: Sequence[Any], is_forward: bool, max_steps: int
) -> tuple[Any, Any]:
    """The same search as a recurrence, for a function of two numbers; its end as two expressions.

    is_forward  whether the slope is taken by two scalars, in forward mode, or by an array, in reverse mode.
    """

    def parts(state: Sequence[Any]) -> tuple[Any, ...]:
        if is_forward:
            x, (value, length, streak) = state[:2], state[2:]
            slope = [sg.grad(f(*x), a) for a in x]
        else:
            array, value, length, streak = state
            x, slopes = (array[0], array[1]), sg.grad(f(array[0], array[1]), array)
            slope = [slopes[0], slopes[1]]
        return x, slope, value, length, streak

    def is_going(state: Sequence[Any]) -> Any:
        _, slope, _, length, streak = parts(state)
        norm = sp.sqrt(slope[0] ** 2 + slope[1] ** 2)
        return (norm > TOLERANCE) & ((length * norm > TOLERANCE) | (streak >= STREAK))

    def step(state: Sequence[Any], t: Any) -> tuple[Any, ...]:
        x, slope, value, length, streak = parts(state)
        there = [a - length * d for a, d in zip(x, slope, strict=True)]
        new = f(*there)
        falls = (streak < STREAK) & (new < value)
        a, b, value = (sg.Where(falls, *p) for p in zip((*there, new), (*x, value), strict=True))
        length *= sg.Where(streak >= STREAK, 2, sg.Where(falls, 1, sp.Rational(1, 2)))
        point = (a, b) if is_forward else (_pair(a, b),)
        return *point, value, length, sg.Where(falls, streak + 1, 0)

    point = tuple(start) if is_forward else (_pair(*start),)
    end = sg.while_loop(is_going, step, (*point, f(*start), FIRST_STEP, 0), max_steps).final
    return (end[0], end[1]) if is_forward else (end[0][0], end[0][1])


def _pair(a: Any, b: Any) -> sg.Entries:
    return sg.Entries((2,), lambda i: sg.Where(sp.Eq(i, 0), a, b))
