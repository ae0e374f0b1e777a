"""Problems with a few unknowns and residuals, written out: the residuals are a column of expressions."""

from __future__ import annotations

import numpy as np
import sympy as sp
from sympy import Matrix, Piecewise, Rational, atan, exp, pi, sqrt

from mgh.problem import Instance, Problem

x1, x2, x3, x4 = sp.symbols("x1:5", real=True)


def _problem(number: int, name: str, residuals: list[sp.Expr], start: list[float], *minima: float) -> Problem:
    unknowns = (x1, x2, x3, x4)[: len(start)]
    return Problem(number, name, unknowns, Matrix(residuals), (Instance(np.array(start), minima),))


_turn = atan(x2 / x1) / (2 * pi)

SMALL = (
    _problem(1, "Rosenbrock", [10 * (x2 - x1**2), 1 - x1], [-1.2, 1.0], 0.0),
    _problem(
        2, "Freudenstein and Roth",
        [-13 + x1 + ((5 - x2) * x2 - 2) * x2, -29 + x1 + ((x2 + 1) * x2 - 14) * x2],
        [0.5, -2.0], 0.0, 48.9842,
    ),
    _problem(
        3, "Powell badly scaled",
        [10**4 * x1 * x2 - 1, exp(-x1) + exp(-x2) - Rational("1.0001")], [0.0, 1.0], 0.0,
    ),
    _problem(
        4, "Brown badly scaled",
        [x1 - 10**6, x2 - 2 * Rational(1, 10**6), x1 * x2 - 2], [1.0, 1.0], 0.0,
    ),
    _problem(
        5, "Beale", [y - x1 * (1 - x2**i) for i, y in enumerate(map(Rational, ("1.5", "2.25", "2.625")), 1)],
        [1.0, 1.0], 0.0,
    ),
    _problem(
        7, "Helical valley",
        [
            10 * (x3 - 10 * Piecewise((_turn, x1 > 0), (_turn + Rational(1, 2), True))),
            10 * (sqrt(x1**2 + x2**2) - 1),
            x3,
        ],
        [-1.0, 0.0, 0.0], 0.0,
    ),
    _problem(
        13, "Powell singular",
        [x1 + 10 * x2, sqrt(5) * (x3 - x4), (x2 - 2 * x3) ** 2, sqrt(10) * (x1 - x4) ** 2],
        [3.0, -1.0, 0.0, 1.0], 0.0,
    ),
    _problem(
        14, "Wood",
        [
            10 * (x2 - x1**2), 1 - x1, sqrt(90) * (x4 - x3**2), 1 - x3,
            sqrt(10) * (x2 + x4 - 2), (x2 - x4) / sqrt(10),
        ],
        [-3.0, -1.0, -3.0, -1.0], 0.0,
    ),
)  # fmt: skip
