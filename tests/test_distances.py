"""Differences of the distances from two points, with derivatives up to the Hessian, against mpmath."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from kept_digits import arguments, wrong_entries

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
every_target = pytest.mark.parametrize("target", TARGETS)
a, b, t, x, y, z = sp.symbols("a b t x y z", real=True)


def distance(*sides: Any) -> Any:
    return sp.sqrt(sum(side**2 for side in sides))


FORMULAS = {
    "from two points": distance(x - a, y) - distance(x + a, y),
    "from a point and the origin": distance(x - a, y) - distance(x, y),
    "of two lengths beside one": distance(a, x) - distance(b, x),
    "of energies": 3 * distance(x, 2) - 3 * distance(x, a) - b,
    "of roots beside a number": sp.sqrt(x**2 + 1) - sp.sqrt(y**2 + 1),
    "of times of arrival": (distance(x - a, y) - distance(x - b, y) - t) ** 2,
}
SIZES = (1e-8, 1e-3, 0.3, 3.0, 1e3, 1e8)
FAR = (5e-324, 1e-310, 1e-300, 1e-160, 1e-20, 1.0, 1e80, 1e155, 1e300)


def points(count: int, sizes: tuple[float, ...]) -> list[list[float]]:
    rng = np.random.default_rng(count)
    picked = rng.choice(sizes, (24, count)) * rng.choice((1, -1), (24, count))
    alike = rng.choice(sizes[2:], (8, 1)) * rng.uniform(-1, 1, (8, count))
    return [[float(v) for v in point] for point in (*picked, *alike)]


@every_target
@pytest.mark.parametrize("name", FORMULAS)
def test_differences_of_distances_keep_their_digits(name: str, target: str) -> None:
    expr = FORMULAS[name]
    assert not wrong_entries(expr, points(len(arguments(expr)), SIZES), target)


@every_target
@pytest.mark.parametrize("name", list(FORMULAS)[:3])
def test_they_do_over_the_range_of_numbers(name: str, target: str) -> None:
    expr = FORMULAS[name]
    assert not wrong_entries(expr, points(len(arguments(expr)), FAR), target, digits=1300)


@every_target
def test_values_and_gradients_of_distances_in_space_do(target: str) -> None:
    expr = distance(x, y, z - a) - distance(x, y, z + a)
    found = wrong_entries(expr, points(4, SIZES), target)
    assert not [entry for entry in found if entry[1] <= 4]  # of the Hessian, one entry is left


@pytest.mark.parametrize("point", [(0.0, 0.0), (2.0, 0.0), (0.0, 3.0)])
def test_where_a_distance_is_0_its_slope_is_that_of_a_length(point: tuple[float, float]) -> None:
    expr = distance(x - 2, y) - distance(x, y)
    value, gradient = sg.compile(expr, args=(x, y), wrt=(x, y), outputs=("value", "grad"))(*point)
    sides = (point[0] - 2, point[1]), point
    slopes = [np.divide(side, np.hypot(*side)) if any(side) else (0.0, 0.0) for side in sides]
    assert value == pytest.approx(np.hypot(*sides[0]) - np.hypot(*sides[1]), rel=1e-15)
    assert gradient == pytest.approx(np.subtract(*slopes), rel=1e-15)
