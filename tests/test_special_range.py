"""Special functions far from the middle of their domains: tiny arguments, large orders and shapes."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from routines import TARGETS

import symgrad as sg

x, a, b = sp.symbols("x a b", positive=True)
BACKENDS = ("numpy", *TARGETS)


def exactly(function: Any, points: np.ndarray) -> np.ndarray:
    with mpmath.workdps(60):
        return np.array([float(function(*map(mpmath.mpf, row))) for row in points.tolist()])


BESSEL = {
    "besselk": [(0.0, 1e-300), (2.5, 1e-6), (5.86, 3.5e-7), (19.0, 1.8e-7), (36.0, 3e-4), (37.5, 300.0)],
    "besseli": [(1.95, 1e-8), (-1.95, 1e-8), (36.3, 5e-6), (19.4, 8.5e-6), (9.7, 0.17)],
    "besselj": [(31.2, 333.1), (35.1, 349.9), (16.9, 55.7), (31.8, 3.7e-7), (21.7, 57.8)],
    "bessely": [(31.2, 333.1), (35.1, 349.9), (36.0, 99.2), (7.7, 3.6e-4), (21.7, 57.8)],
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", BESSEL)
def test_bessel_functions_of_tiny_arguments_and_large_orders_are_right_and_come_back(name, backend) -> None:
    points = np.array(BESSEL[name])
    kernel = sg.compile(getattr(sp, name)(a, x), args=(a, x), outputs="value", backend=backend)
    np.testing.assert_allclose(kernel(*points.T), exactly(getattr(mpmath, name), points), rtol=5e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_erfcinv_next_to_one_is_the_difference_to_one(backend: str) -> None:
    gap = 2.0 ** -np.arange(2, 53, 10)
    found = sg.compile(sp.erfcinv(x), args=(x,), outputs="value", backend=backend)(1 + gap)
    np.testing.assert_allclose(found, -exactly(mpmath.erfinv, gap[:, None]), rtol=1e-15)
