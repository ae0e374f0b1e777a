"""Lengths less a side, beside the scale of that side: derivatives by it against mpmath, up to the Hessian."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from kept_digits import wrong_entries

c, m, p = ARGS = sp.symbols("c m p", real=True)
FORMULAS = {
    "kinetic energy": m * c**2 * (sp.sqrt(1 + p**2 / (m * c) ** 2) - 1),
    "by lengths": c * (sp.sqrt(p**2 + m**2 * c**2) - m * c),
    "total energy less that at rest": sp.sqrt(p**2 * c**2 + m**2 * c**4) - m * c**2,
}
SIZES = (1e-8, 1e-3, 0.3, 3.0, 1e3, 1e8)


def points() -> list[tuple[float, ...]]:
    rng = np.random.default_rng(3)
    picked = rng.choice(SIZES, (30, 3)) * rng.choice((1, -1), (30, 3))
    alike = rng.choice(SIZES, (8, 1)) * rng.uniform(-1, 1, (8, 3))
    return [tuple(float(v) for v in point) for point in (*picked, *alike)]


@pytest.mark.parametrize("target", ["numpy", "llvm", "c"])
@pytest.mark.parametrize("name", FORMULAS)
def test_derivatives_by_a_common_scale_keep_their_digits(name: str, target: str) -> None:
    expr: Any = FORMULAS[name]
    assert not wrong_entries(expr, points(), target, args=ARGS)


@pytest.mark.parametrize("name", FORMULAS)
def test_they_do_where_squares_leave_the_range_of_numbers(name: str) -> None:
    far = [
        (1e-3, 1e3, 1e200),
        (2e5, 1e160, 3e165),
        (1e-3, 1e200, 1e198),
        (3.0, -1e-200, 2e-199),
        (-0.5, 1e-180, 1e-185),
    ]
    assert not wrong_entries(FORMULAS[name], far, "llvm", args=ARGS, digits=800)


@pytest.mark.parametrize("target", ["numpy", "llvm", "c"])
def test_the_gradient_of_a_velocity_does(target: str) -> None:
    expr = c * p / sp.sqrt(p**2 + m**2 * c**2)
    assert not [entry for entry in wrong_entries(expr, points(), target, args=ARGS) if entry[1] <= len(ARGS)]
