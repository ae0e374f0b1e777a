"""A saddle point by gradient descent whose objective is the result of another gradient descent.

The inner search is a recurrence with derivatives inside, by scalars (forward mode) or by an array (reverse
mode). The outer search takes the derivative of what the inner one finds, likewise. The first letter of a
function is the outer search.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, kernel
from problems.descent import argmin, argmin_of_pair

_MOST_STEPS = 500  # of the inner search, which needs some 150
_x = sp.symbols("x1 x2")
_s = sp.symbols("s1 s2")  # where every search starts


def _f(x1: Any, x2: Any, y1: Any, y2: Any) -> Any:
    return (x1**2 + x2**2) - (y1**2 + y2**2)


def _best_answer(mode: str) -> tuple[Any, Any]:
    """The y that maximises f(x, y)."""
    return argmin_of_pair(lambda *y: -_f(*_x, *y), _s, mode == "f", _MOST_STEPS)


def _value_and_slope(outer: str, inner: str) -> Callable[..., Any]:
    largest = _f(*_x, *_best_answer(inner))
    if outer == "r":
        both = kernel(largest, args=(*_x, *_s), wrt=_x, outputs=("value", "grad"))

        def reverse(*at: float) -> tuple[float, list[float]]:
            value, slope = both(*at)
            return value, slope.tolist()

        return reverse
    parts = [largest, *(sg.grad(largest, x) for x in _x)]  # derivatives by one scalar are forward sweeps
    made = kernel(sp.Matrix(parts), args=(*_x, *_s), wrt=_x, outputs="value")
    room = np.empty((len(parts), 1))
    entries = room.ravel()  # the same memory

    def forward(*at: float) -> tuple[float, list[float]]:
        made(*at, out=room)
        value, *slope = entries.tolist()
        return value, slope

    return forward


_answers = {
    mode: kernel(sp.Matrix(_best_answer(mode)), args=(*_x, *_s), wrt=_x, outputs="value") for mode in "fr"
}


def _prepared(outer: str, inner: str) -> Callable[[dict[str, Any]], Prepared]:
    both, answer = _value_and_slope(outer, inner), _answers[inner]

    def prepare(data: dict[str, Any]) -> Prepared:
        start = data["start"]

        def run() -> list[float]:
            x = argmin(lambda *point: both(*point, *start), start)
            return [*x, *answer(*x, *start).ravel()]

        return Prepared(run, lambda result: [float(r) for r in result])

    return prepare


FUNCTIONS = {outer + inner: _prepared(outer, inner) for outer in "fr" for inner in "fr"}
