"""Which entries of value, gradient and Hessian of a compiled formula are wrong, against `duals.py`.

An entry may be off by 1e-13 of itself, or by a few times what rounding of the inputs changes, as no formula
can know of that; a test says how many times.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from duals import exact

import symgrad as sg

RELATIVE, ROUNDINGS = 1e-13, 4
SMALLEST, LARGEST = 1e-306, 1.7e308
DIGITS = 400
ASIDE = 60  # digits after which a point is beside a tie, where zeros are below `NOTHING`
NOTHING = 1e-55
Point = Sequence[float]
OUTPUTS = ("value", "grad", "hess")


def arguments(expr: sp.Expr) -> list[sp.Symbol]:
    return sorted(expr.free_symbols, key=str)


def off(
    found: Sequence[float],
    wanted: Sequence[Any],
    changes: Callable[[], Sequence[Any]],
    roundings: int = ROUNDINGS,
    smallest: float = SMALLEST,
) -> list[Any]:
    """(place, found, exact) of the entries that are wrong; `changes` is asked only where one may be.

    changes  by how much half a last place of each of the inputs changes the entries, all together.
    """
    pairs = [(k, a, b) for k, (a, b) in enumerate(zip(found, wanted, strict=True)) if abs(b) < LARGEST]
    wrong = [(k, a, b) for k, a, b in pairs if not abs(a - b) <= RELATIVE * abs(b) + smallest]
    if wrong and roundings:
        change = changes()
        wrong = [(k, a, b) for k, a, b in wrong if not abs(a - b) <= roundings * change[k]]
    return [(k, float(a), mpmath.nstr(b, 17)) for k, a, b in wrong]


def half_a_place(x: float) -> Any:
    return mpmath.mpf(float(np.spacing(abs(x)))) / 2 if x else 0


def changes(
    expr: sp.Expr, args: Sequence[sp.Symbol], point: Sequence[Any], wanted: Sequence[Any]
) -> list[Any]:
    change = [mpmath.mpf(0)] * len(wanted)
    for k, x in enumerate(point):
        moved = [mpmath.mpf(p) for p in point]
        moved[k] += half_a_place(float(x))
        beside = exact(expr, args, moved)
        if beside is not None:
            change = [c + abs(a - b) for c, a, b in zip(change, wanted, beside, strict=True)]
    return change


def beside(point: Point) -> list[Any]:
    """A point next to a tie, where a quotient is 0/0."""
    return [mpmath.mpf(t) + k * mpmath.mpf(10) ** -ASIDE for k, t in enumerate(point, start=1)]


def wrong_entries(
    expr: sp.Expr,
    points: Iterable[Point],
    target: str,
    roundings: int = ROUNDINGS,
    digits: int = DIGITS,
    args: Sequence[sp.Symbol] | None = None,
    is_limit: bool = True,
) -> list[Any]:
    """(point, place, found, exact) of those of a formula of these arguments, by default sorted by name.

    is_limit  where there is no value, that next to the point is wanted; else none is.
    """
    args = args or arguments(expr)
    kernel = sg.compile(expr, args=args, wrt=args, outputs=OUTPUTS, backend=target)
    wrong = []
    for point in points:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, of overflow in branches that are not taken
            found = [float(x) for part in kernel(*point) for x in np.ravel(part)]
        with mpmath.workdps(digits):
            at, smallest, wanted = point, SMALLEST, exact(expr, args, point)
            if wanted is None and is_limit:
                at, smallest = beside(point), NOTHING
                wanted = exact(expr, args, at)
                assert wanted is not None, (str(expr), point)
            if wanted is not None:
                change = partial(changes, expr, args, at, wanted)
                wrong += [(point, *entry) for entry in off(found, wanted, change, roundings, smallest)]
    return wrong
