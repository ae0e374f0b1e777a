"""A charged particle between two others, steered to the origin: gradient descent around Euler's method.

The force is the derivative of the potential inside of the recurrence, by its two coordinates as scalars
(forward mode) or by the position as an array (reverse mode); the descent takes the derivative of the whole
as a product with a tangent (forward) or a gradient (reverse). The outer mode is the first letter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import sympy as sp

import symgrad as sg
from problems.common import Prepared, kernel
from problems.descent import argmin_of_one

_MOST_STEPS = 1000  # of time, where some 350 are needed; beyond, the particle counts as lost (nan)
_w = sp.Symbol("w")
_dt = sp.Float(0.1)


def _potential(x: Any, y: Any) -> sp.Expr:
    charges = [(10, 10 - _w), (10, 0)]
    return sum(1 / sp.sqrt((x - a) ** 2 + (y - b) ** 2) for a, b in charges)


def _moved(x: Sequence[Any], v: Sequence[Any], force: Sequence[Any]) -> tuple[Any, ...]:
    """Position and velocity after a step."""
    there = [a + _dt * b for a, b in zip(x, v, strict=True)]
    return (*there, *(b + _dt * f for b, f in zip(v, force, strict=True)))


def _forward_step(state: Any, t: Any) -> tuple[Any, ...]:
    x, y, *v = state
    force = [-sg.grad(_potential(x, y), s) for s in (x, y)]
    return _moved((x, y), v, force)


def _reverse_step(state: Any, t: Any) -> tuple[Any, ...]:
    x, u, v = state
    slope = sg.grad(_potential(x[0], x[1]), x)
    a, b, u, v = _moved((x[0], x[1]), (u, v), (-slope[0], -slope[1]))
    return sg.Entries((2,), lambda i: sg.Where(sp.Eq(i, 0), a, b)), u, v


def _is_above_in_forward(state: Any) -> Any:
    """Whether the next step ends above the axis."""
    _, y, _, v = state
    return y + _dt * v > 0


def _is_above_in_reverse(state: Any) -> Any:
    place, _, v = state
    return place[1] + _dt * v > 0


def _square_of_crossing(inner: str) -> sp.Expr:
    """The square of the place where the path crosses the axis: on the line of the step that would do so."""
    velocity = (sp.Rational(3, 4), 0)
    if inner == "f":
        first = (0, 8, *velocity)
        x, y, u, v = sg.while_loop(_is_above_in_forward, _forward_step, first, _MOST_STEPS).final
    else:
        first = (sg.Entries((2,), lambda i: 8 * i), *velocity)
        place, u, v = sg.while_loop(_is_above_in_reverse, _reverse_step, first, _MOST_STEPS).final
        x, y = place[0], place[1]
    return (x - y / v * u) ** 2


def _value_and_slope(outer: str, inner: str) -> Callable[[float], tuple[float, float]]:
    words = ("value", "jvp" if outer == "f" else "grad")
    made = kernel(_square_of_crossing(inner), args=(_w,), wrt=_w, outputs=words)
    return partial(made, tangent=1.0) if outer == "f" else made


def _prepared(both: Callable[[float], Any]) -> Callable[[dict[str, Any]], Prepared]:
    return lambda data: Prepared(lambda: argmin_of_one(both, data["w"]), lambda w: w)


FUNCTIONS = {outer + inner: _prepared(_value_and_slope(outer, inner)) for outer in "fr" for inner in "fr"}
