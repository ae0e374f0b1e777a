"""Problems that fit a model with a few unknowns to observations, of which there may be any number.

The residual is written once, as a function of the observation's place `k`, from 0 on; `m` is its number.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from sympy import Abs, IndexedBase, Min, Rational, cos, exp, log, sin

from mgh import data
from mgh.problem import Instance, Problem, Residual

m = sp.Symbol("m", integer=True, positive=True)
y, u = IndexedBase("y", shape=(m,)), IndexedBase("u", shape=(m,))
x = IndexedBase("x", shape=(sp.Symbol("n", integer=True, positive=True),))


def _tenth(k: sp.Expr) -> sp.Expr:
    return k / 10


def jennrich_sampson(k: sp.Expr) -> sp.Expr:
    i = k + 1
    return 2 + 2 * i - (exp(i * x[0]) + exp(i * x[1]))


def bard(k: sp.Expr) -> sp.Expr:
    i = k + 1
    return y[k] - (x[0] + i / ((16 - i) * x[1] + Min(i, 16 - i) * x[2]))


def gaussian(k: sp.Expr) -> sp.Expr:
    t = (7 - k) / sp.Integer(2)
    return x[0] * exp(-x[1] * (t - x[2]) ** 2 / 2) - y[k]


def meyer(k: sp.Expr) -> sp.Expr:
    t = 50 + 5 * k
    return x[0] * exp(x[1] / (t + x[2])) - y[k]


def gulf(k: sp.Expr) -> sp.Expr:
    """With |y - x2| as in later lists; the `y m i x2` of the paper is a misprint."""
    t = (k + 1) / sp.Integer(100)
    level = 25 + (-50 * log(t)) ** Rational(2, 3)
    return exp(-(Abs(level - x[1]) ** x[2]) / x[0]) - t


def box(k: sp.Expr) -> sp.Expr:
    t = _tenth(k + 1)
    return exp(-t * x[0]) - exp(-t * x[1]) - x[2] * (exp(-t) - exp(-10 * t))


def kowalik_osborne(k: sp.Expr) -> sp.Expr:
    return y[k] - x[0] * (u[k] ** 2 + u[k] * x[1]) / (u[k] ** 2 + u[k] * x[2] + x[3])


def brown_dennis(k: sp.Expr) -> sp.Expr:
    t = (k + 1) / sp.Integer(5)
    return (x[0] + t * x[1] - exp(t)) ** 2 + (x[2] + x[3] * sin(t) - cos(t)) ** 2


def osborne_1(k: sp.Expr) -> sp.Expr:
    t = 10 * k
    return y[k] - (x[0] + x[1] * exp(-t * x[3]) + x[2] * exp(-t * x[4]))


def biggs(k: sp.Expr) -> sp.Expr:
    t = _tenth(k + 1)
    model = x[2] * exp(-t * x[0]) - x[3] * exp(-t * x[1]) + x[5] * exp(-t * x[4])
    return model - (exp(-t) - 5 * exp(-10 * t) + 3 * exp(-4 * t))


def osborne_2(k: sp.Expr) -> sp.Expr:
    t = _tenth(k)
    peaks = [x[p] * exp(-((t - x[7 + p]) ** 2) * x[4 + p]) for p in (1, 2, 3)]
    return y[k] - (x[0] * exp(-t * x[4]) + sp.Add(*peaks))


def _problem(
    number: int, name: str, residual: Residual, start: list[float], observed: object, *minima: float
) -> Problem:
    """`observed` is the number of observations, or a dict with those themselves."""
    values = {m: observed} if isinstance(observed, int) else observed
    instance = Instance(np.array(start), minima, values)
    return Problem(number, name, x, residual, (instance,), (m,))


FITS = (
    _problem(6, "Jennrich and Sampson", jennrich_sampson, [0.3, 0.4], 10, 124.362),
    _problem(8, "Bard", bard, [1.0, 1.0, 1.0], {y: data.BARD}, 8.21487e-3, 17.4286),
    _problem(9, "Gaussian", gaussian, [0.4, 1.0, 0.0], {y: data.GAUSSIAN}, 1.12793e-8),
    _problem(10, "Meyer", meyer, [0.02, 4000.0, 250.0], {y: data.MEYER}, 87.9458),
    _problem(11, "Gulf research and development", gulf, [5.0, 2.5, 0.15], 99, 0.0),
    _problem(12, "Box three-dimensional", box, [0.0, 10.0, 20.0], 10, 0.0),
    _problem(
        15, "Kowalik and Osborne", kowalik_osborne, [0.25, 0.39, 0.415, 0.39],
        {y: data.KOWALIK_OSBORNE_Y, u: data.KOWALIK_OSBORNE_U}, 3.07505e-4, 1.02734e-3,
    ),
    _problem(16, "Brown and Dennis", brown_dennis, [25.0, 5.0, -5.0, -1.0], 20, 85822.2),
    _problem(
        17, "Osborne 1", osborne_1, [0.5, 1.5, -1.0, 0.01, 0.02], {y: data.OSBORNE_1}, 5.46489e-5,
    ),
    _problem(18, "Biggs EXP6", biggs, [1.0, 2.0, 1.0, 1.0, 1.0, 1.0], 13, 0.0, 5.65565e-3),
    _problem(
        19, "Osborne 2", osborne_2, [1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5],
        {y: data.OSBORNE_2}, 4.01377e-2,
    ),
)  # fmt: skip
