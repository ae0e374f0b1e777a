"""Problems with any number of unknowns `n`: one program, and one kernel, for all of them.

Places `k` and `j` count from 0, so that the literature's i is k + 1. Where the first or the last equations
differ, the residual is a `Piecewise` in `k`, and neighbours that do not exist are guarded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp
from sympy import Eq, IndexedBase, Piecewise, Rational, Sum, cos, exp, sin, sqrt

import symgrad as sg
from mgh.problem import Instance, Problem, Residual

n, m, blocks = sp.symbols("n m blocks", integer=True, positive=True)
j, d = sp.symbols("j d", integer=True)
x = IndexedBase("x", shape=(n,))
pairs, fours = IndexedBase("x", shape=(blocks, 2)), IndexedBase("x", shape=(blocks, 4))
every = (j, 0, n - 1)
_root_of_weight = sqrt(Rational(1, 10**5))


def watson(k: sp.Expr) -> sp.Expr:
    t = (k + 1) / sp.Integer(29)
    slope = Sum(j * x[j] * t ** (j - 1), (j, 1, n - 1))
    main = slope - Sum(x[j] * t**j, every) ** 2 - 1
    return Piecewise((main, k < 29), (x[0], Eq(k, 29)), (x[1] - x[0] ** 2 - 1, True))


def extended_rosenbrock(k: sp.Expr, c: sp.Expr) -> sp.Expr:
    first, second = pairs[k, 0], pairs[k, 1]
    return Piecewise((10 * (second - first**2), Eq(c, 0)), (1 - first, True))


def extended_powell(k: sp.Expr, c: sp.Expr) -> sp.Expr:
    w, v, p, q = (fours[k, column] for column in range(4))
    return Piecewise(
        (w + 10 * v, Eq(c, 0)),
        (sqrt(5) * (p - q), Eq(c, 1)),
        ((v - 2 * p) ** 2, Eq(c, 2)),
        (sqrt(10) * (w - q) ** 2, True),
    )


def penalty_1(k: sp.Expr) -> sp.Expr:
    total = Sum(x[j] ** 2, every) - Rational(1, 4)
    return Piecewise((_root_of_weight * (x[k] - 1), k < n), (total, True))


def penalty_2(k: sp.Expr) -> sp.Expr:
    i = k + 1
    growth = exp(x[k] / 10) + exp(x[k - 1] / 10) - exp(i / sp.Integer(10)) - exp(k / sp.Integer(10))
    decay = exp(x[k - n + 1] / 10) - exp(-Rational(1, 10))
    return Piecewise(
        (x[0] - Rational(1, 5), Eq(k, 0)),
        (_root_of_weight * growth, k < n),
        (_root_of_weight * decay, k < 2 * n - 1),
        (Sum((n - j) * x[j] ** 2, every) - 1, True),
    )


def variably_dimensioned(k: sp.Expr) -> sp.Expr:
    weighted = Sum((j + 1) * (x[j] - 1), every)
    return Piecewise((x[k] - 1, k < n), (weighted, Eq(k, n)), (weighted**2, True))


def trigonometric(k: sp.Expr) -> sp.Expr:
    return n - Sum(cos(x[j]), every) + (k + 1) * (1 - cos(x[k])) - sin(x[k])


def brown_almost_linear(k: sp.Expr) -> sp.Expr:
    linear = x[k] + Sum(x[j], every) - (n + 1)
    return Piecewise((linear, k < n - 1), (sp.Product(x[j], every) - 1, True))


def _left(k: sp.Expr) -> sp.Expr:
    return Piecewise((x[k - 1], k > 0), (0, True))


def _right(k: sp.Expr) -> sp.Expr:
    return Piecewise((x[k + 1], k < n - 1), (0, True))


def discrete_boundary_value(k: sp.Expr) -> sp.Expr:
    h = 1 / (n + 1)
    return 2 * x[k] - _left(k) - _right(k) + h**2 * (x[k] + (k + 1) * h + 1) ** 3 / 2


def discrete_integral_equation(k: sp.Expr) -> sp.Expr:
    h = 1 / (n + 1)
    t, s = (k + 1) * h, (j + 1) * h
    cube = (x[j] + s + 1) ** 3
    before, after = Sum(s * cube, (j, 0, k)), Sum((1 - s) * cube, (j, k + 1, n - 1))
    return x[k] + h * ((1 - t) * before + t * after) / 2


def broyden_tridiagonal(k: sp.Expr) -> sp.Expr:
    return (3 - 2 * x[k]) * x[k] - _left(k) - 2 * _right(k) + 1


def broyden_banded(k: sp.Expr) -> sp.Expr:
    """The band reaches five places to the left and one to the right."""
    neighbour = x[k + d] * (1 + x[k + d])
    is_there = (k + d >= 0) & (k + d < n) & sp.Ne(d, 0)
    band = Sum(sg.Where(is_there, neighbour, 0), (d, -5, 1))
    return x[k] * (2 + 5 * x[k] ** 2) + 1 - band


def linear_full_rank(k: sp.Expr) -> sp.Expr:
    mean = 2 * Sum(x[j], every) / m + 1
    return Piecewise((x[k] - mean, k < n), (-mean, True))


def linear_rank_1(k: sp.Expr) -> sp.Expr:
    return (k + 1) * Sum((j + 1) * x[j], every) - 1


def linear_rank_1_with_zeros(k: sp.Expr) -> sp.Expr:
    inner = Sum((j + 1) * x[j], (j, 1, n - 2))
    return Piecewise((k * inner - 1, k < m - 1), (-1, True))


def chebyquad(degrees: int) -> sp.Matrix:
    """The first so many degrees, by the recurrence T(i+1) = 2 t T(i) - T(i-1), for any number of unknowns."""
    t = 2 * x[j] - 1
    before, here, residuals = sp.Integer(1), t, []
    for i in range(1, degrees + 1):
        integral = Rational(-1, i**2 - 1) if i % 2 == 0 else sp.Integer(0)
        residuals.append(Sum(here, every) / n - integral)
        before, here = here, 2 * t * here - before
    return sp.Matrix(residuals)


Start = Callable[[int], np.ndarray]


def _constant(*numbers: float) -> Start:
    return lambda size: np.tile(numbers, size // len(numbers))


def _count(size: int) -> np.ndarray:
    return np.arange(1.0, size + 1)


def _grid(size: int) -> np.ndarray:
    return _count(size) / (size + 1)


def _bent(size: int) -> np.ndarray:
    return _grid(size) * (_grid(size) - 1)


def _problem(
    number: int,
    name: str,
    residual: Residual | sp.Matrix,
    extents: tuple[sp.Expr, ...],
    start: Start,
    minima: dict[int, tuple[float, ...]],
    unknowns: IndexedBase = x,
) -> Problem:
    instances = tuple(Instance(start(size), values) for size, values in minima.items())
    return Problem(number, name, unknowns, residual, instances, extents)


def _linear(number: int, name: str, residual: Residual, minimum: Callable[[int, int], float]) -> Problem:
    sizes = ((10, 20), (4, 4), (5, 50))
    instances = (Instance(np.ones(size), (minimum(size, rows),), {m: rows}) for size, rows in sizes)
    return Problem(number, name, x, residual, tuple(instances), (m,))


_ZERO = (0.0,)
SIZED = (
    _problem(
        20, "Watson", watson, (sp.Integer(31),), _constant(0.0),
        {6: (2.28767e-3,), 9: (1.39976e-6,), 12: (4.72238e-10,)},
    ),
    _problem(
        21, "Extended Rosenbrock", extended_rosenbrock, (blocks, sp.Integer(2)), _constant(-1.2, 1.0),
        {10: _ZERO, 4: _ZERO}, pairs,
    ),
    _problem(
        22, "Extended Powell singular", extended_powell, (blocks, sp.Integer(4)),
        _constant(3.0, -1.0, 0.0, 1.0), {8: _ZERO, 4: _ZERO}, fours,
    ),
    _problem(23, "Penalty I", penalty_1, (n + 1,), _count, {4: (2.24997e-5,), 10: (7.08765e-5,)}),
    _problem(24, "Penalty II", penalty_2, (2 * n,), _constant(0.5), {4: (9.37629e-6,), 10: (2.93660e-4,)}),
    _problem(
        25, "Variably dimensioned", variably_dimensioned, (n + 2,), lambda size: 1 - _count(size) / size,
        {10: _ZERO, 5: _ZERO},
    ),
    _problem(
        26, "Trigonometric", trigonometric, (n,), lambda size: np.full(size, 1 / size),
        {10: (0.0, 2.79506e-5), 5: _ZERO},
    ),
    _problem(
        27, "Brown almost-linear", brown_almost_linear, (n,), _constant(0.5),
        {10: (0.0, 1.0), 5: (0.0, 1.0)},
    ),
    _problem(28, "Discrete boundary value", discrete_boundary_value, (n,), _bent, {10: _ZERO, 6: _ZERO}),
    _problem(
        29, "Discrete integral equation", discrete_integral_equation, (n,), _bent, {10: _ZERO, 6: _ZERO}
    ),
    _problem(30, "Broyden tridiagonal", broyden_tridiagonal, (n,), _constant(-1.0), {10: _ZERO, 7: _ZERO}),
    _problem(31, "Broyden banded", broyden_banded, (n,), _constant(-1.0), {10: _ZERO, 7: _ZERO}),
    _linear(32, "Linear, full rank", linear_full_rank, lambda size, rows: rows - size),
    _linear(33, "Linear, rank 1", linear_rank_1, lambda size, rows: rows * (rows - 1) / (2 * (2 * rows + 1))),
    _linear(
        34, "Linear, rank 1 with zero columns and rows", linear_rank_1_with_zeros,
        lambda size, rows: (rows**2 + 3 * rows - 6) / (2 * (2 * rows - 3)),
    ),
    _problem(35, "Chebyquad", chebyquad(8), (), _grid, {8: (3.51687e-3,)}),
)  # fmt: skip
