"""The residuals once more, in plain Python over mpmath numbers: no SymPy and no symgrad.

Indices are those of the paper. Each function takes the unknowns `x`, read as x[1], x[2], ..., and the number
of residuals where that is free, and returns the list of residuals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mpmath import atan, cos, exp, log, mp, mpf, pi, sin, sqrt

from mgh import data

Number = Any


class Unknowns(list[Number]):
    """A list that is read from 1 on."""

    def __getitem__(self, i: Any) -> Any:
        assert i >= 1
        return super().__getitem__(i - 1)


def _observed(values: np.ndarray) -> Unknowns:
    return Unknowns(mpf(float(value)) for value in values)


def rosenbrock(x: Unknowns) -> list[Number]:
    return [10 * (x[2] - x[1] ** 2), 1 - x[1]]


def freudenstein_roth(x: Unknowns) -> list[Number]:
    return [
        x[1] - x[2] ** 3 + 5 * x[2] ** 2 - 2 * x[2] - 13,
        x[1] + x[2] ** 3 + x[2] ** 2 - 14 * x[2] - 29,
    ]


def powell_badly_scaled(x: Unknowns) -> list[Number]:
    return [10000 * x[1] * x[2] - 1, exp(-x[1]) + exp(-x[2]) - mpf("1.0001")]


def brown_badly_scaled(x: Unknowns) -> list[Number]:
    return [x[1] - 1000000, x[2] - mpf("0.000002"), x[1] * x[2] - 2]


def beale(x: Unknowns) -> list[Number]:
    return [mpf(y) - x[1] + x[1] * x[2] ** i for i, y in ((1, "1.5"), (2, "2.25"), (3, "2.625"))]


def jennrich_sampson(x: Unknowns, m: int) -> list[Number]:
    return [2 + 2 * i - exp(i * x[1]) - exp(i * x[2]) for i in range(1, m + 1)]


def helical_valley(x: Unknowns) -> list[Number]:
    theta = atan(x[2] / x[1]) / (2 * pi) + (0 if x[1] > 0 else mpf(1) / 2)
    return [10 * x[3] - 100 * theta, 10 * sqrt(x[1] ** 2 + x[2] ** 2) - 10, x[3]]


def bard(x: Unknowns) -> list[Number]:
    y, out = _observed(data.BARD), []
    for i in range(1, 16):
        v = 16 - i
        out.append(y[i] - x[1] - i / (v * x[2] + min(i, v) * x[3]))
    return out


def gaussian(x: Unknowns) -> list[Number]:
    y = _observed(data.GAUSSIAN)
    return [x[1] * exp(-x[2] * (mpf(8 - i) / 2 - x[3]) ** 2 / 2) - y[i] for i in range(1, 16)]


def meyer(x: Unknowns) -> list[Number]:
    y = _observed(data.MEYER)
    return [x[1] * exp(x[2] / (45 + 5 * i + x[3])) - y[i] for i in range(1, 17)]


def gulf(x: Unknowns, m: int) -> list[Number]:
    out = []
    for i in range(1, m + 1):
        t = mpf(i) / 100
        y = 25 + exp(mpf(2) / 3 * log(-50 * log(t)))
        out.append(exp(-exp(x[3] * log(abs(y - x[2]))) / x[1]) - t)
    return out


def box(x: Unknowns, m: int) -> list[Number]:
    out = []
    for i in range(1, m + 1):
        t = mpf(i) / 10
        out.append(exp(-t * x[1]) - exp(-t * x[2]) - x[3] * (exp(-t) - exp(-10 * t)))
    return out


def powell_singular(x: Unknowns) -> list[Number]:
    return [
        x[1] + 10 * x[2], sqrt(mpf(5)) * (x[3] - x[4]), (x[2] - 2 * x[3]) ** 2,
        sqrt(mpf(10)) * (x[1] - x[4]) ** 2,
    ]  # fmt: skip


def wood(x: Unknowns) -> list[Number]:
    ten = sqrt(mpf(10))
    return [
        10 * x[2] - 10 * x[1] ** 2, 1 - x[1], 3 * ten * (x[4] - x[3] ** 2), 1 - x[3],
        ten * (x[2] + x[4] - 2), (x[2] - x[4]) / ten,
    ]  # fmt: skip


def kowalik_osborne(x: Unknowns) -> list[Number]:
    y, u = _observed(data.KOWALIK_OSBORNE_Y), _observed(data.KOWALIK_OSBORNE_U)
    return [y[i] - x[1] * u[i] * (u[i] + x[2]) / (u[i] * (u[i] + x[3]) + x[4]) for i in range(1, 12)]


def brown_dennis(x: Unknowns, m: int) -> list[Number]:
    out = []
    for i in range(1, m + 1):
        t = mpf(i) / 5
        out.append((x[1] + t * x[2] - exp(t)) ** 2 + (x[3] + x[4] * sin(t) - cos(t)) ** 2)
    return out


def osborne_1(x: Unknowns) -> list[Number]:
    y, out = _observed(data.OSBORNE_1), []
    for i in range(1, 34):
        t = 10 * (i - 1)
        out.append(y[i] - x[1] - x[2] * exp(-t * x[4]) - x[3] * exp(-t * x[5]))
    return out


def biggs(x: Unknowns, m: int) -> list[Number]:
    out = []
    for i in range(1, m + 1):
        t = mpf(i) / 10
        y = exp(-t) - 5 * exp(-10 * t) + 3 * exp(-4 * t)
        out.append(x[3] * exp(-t * x[1]) - x[4] * exp(-t * x[2]) + x[6] * exp(-t * x[5]) - y)
    return out


def osborne_2(x: Unknowns) -> list[Number]:
    y, out = _observed(data.OSBORNE_2), []
    for i in range(1, 66):
        t = mpf(i - 1) / 10
        value = x[1] * exp(-t * x[5])
        value += x[2] * exp(-x[6] * (t - x[9]) ** 2)
        value += x[3] * exp(-x[7] * (t - x[10]) ** 2)
        value += x[4] * exp(-x[8] * (t - x[11]) ** 2)
        out.append(y[i] - value)
    return out


def watson(x: Unknowns) -> list[Number]:
    n, out = len(x), []
    for i in range(1, 30):
        t = mpf(i) / 29
        slope = sum((j - 1) * x[j] * t ** (j - 2) for j in range(2, n + 1))
        out.append(slope - sum(x[j] * t ** (j - 1) for j in range(1, n + 1)) ** 2 - 1)
    return [*out, x[1], x[2] - x[1] ** 2 - 1]


def extended_rosenbrock(x: Unknowns) -> list[Number]:
    out = []
    for i in range(1, len(x), 2):
        out += [10 * x[i + 1] - 10 * x[i] ** 2, 1 - x[i]]
    return out


def extended_powell(x: Unknowns) -> list[Number]:
    out: list[Number] = []
    for i in range(1, len(x), 4):
        out += powell_singular(Unknowns(x[i + k] for k in range(4)))
    return out


def penalty_1(x: Unknowns) -> list[Number]:
    weight = sqrt(mpf("0.00001"))
    return [*(weight * (v - 1) for v in x), sum(v**2 for v in x) - mpf(1) / 4]


def penalty_2(x: Unknowns) -> list[Number]:
    n, weight = len(x), sqrt(mpf("0.00001"))
    out = [x[1] - mpf(1) / 5]
    for i in range(2, n + 1):
        y = exp(mpf(i) / 10) + exp(mpf(i - 1) / 10)
        out.append(weight * (exp(x[i] / 10) + exp(x[i - 1] / 10) - y))
    out += [weight * (exp(x[i - n + 1] / 10) - exp(-mpf(1) / 10)) for i in range(n + 1, 2 * n)]
    return [*out, sum((n - i + 1) * x[i] ** 2 for i in range(1, n + 1)) - 1]


def variably_dimensioned(x: Unknowns) -> list[Number]:
    total = sum(i * (x[i] - 1) for i in range(1, len(x) + 1))
    return [*(v - 1 for v in x), total, total**2]


def trigonometric(x: Unknowns) -> list[Number]:
    n = len(x)
    total = n - sum(cos(v) for v in x)
    return [total + i * (1 - cos(x[i])) - sin(x[i]) for i in range(1, n + 1)]


def brown_almost_linear(x: Unknowns) -> list[Number]:
    n, product = len(x), mpf(1)
    for v in x:
        product *= v
    return [*(x[i] + sum(x) - n - 1 for i in range(1, n)), product - 1]


def _padded(x: Unknowns) -> list[Number]:
    """With the zeros at both ends, so that it is read from 0 to n + 1."""
    return [mpf(0), *x, mpf(0)]


def discrete_boundary_value(x: Unknowns) -> list[Number]:
    n, z = len(x), _padded(x)
    h = mpf(1) / (n + 1)
    return [2 * z[i] - z[i - 1] - z[i + 1] + h**2 * (z[i] + i * h + 1) ** 3 / 2 for i in range(1, n + 1)]


def discrete_integral_equation(x: Unknowns) -> list[Number]:
    n, out = len(x), []
    h = mpf(1) / (n + 1)
    for i in range(1, n + 1):
        t = i * h
        total = sum((1 - t) * j * h * (x[j] + j * h + 1) ** 3 for j in range(1, i + 1))
        total += sum(t * (1 - j * h) * (x[j] + j * h + 1) ** 3 for j in range(i + 1, n + 1))
        out.append(x[i] + h / 2 * total)
    return out


def broyden_tridiagonal(x: Unknowns) -> list[Number]:
    z = _padded(x)
    return [3 * z[i] - 2 * z[i] ** 2 - z[i - 1] - 2 * z[i + 1] + 1 for i in range(1, len(x) + 1)]


def broyden_banded(x: Unknowns) -> list[Number]:
    n, out = len(x), []
    for i in range(1, n + 1):
        band = [j for j in range(max(1, i - 5), min(n, i + 1) + 1) if j != i]
        out.append(2 * x[i] + 5 * x[i] ** 3 + 1 - sum(x[j] + x[j] ** 2 for j in band))
    return out


def linear_full_rank(x: Unknowns, m: int) -> list[Number]:
    mean = 2 * sum(x) / m
    return [*(v - mean - 1 for v in x), *[-mean - 1] * (m - len(x))]


def linear_rank_1(x: Unknowns, m: int) -> list[Number]:
    total = sum(j * x[j] for j in range(1, len(x) + 1))
    return [i * total - 1 for i in range(1, m + 1)]


def linear_rank_1_with_zeros(x: Unknowns, m: int) -> list[Number]:
    total = sum(j * x[j] for j in range(2, len(x)))
    return [mpf(-1), *((i - 1) * total - 1 for i in range(2, m)), mpf(-1)]


def chebyquad(x: Unknowns) -> list[Number]:
    """By mpmath's own polynomials, which are hypergeometric functions, and no recurrence."""
    n, out = len(x), []
    for i in range(1, 9):
        mean = sum(mp.chebyt(i, 2 * v - 1) for v in x) / n
        out.append(mean + (mpf(1) / (i * i - 1) if i % 2 == 0 else 0))
    return out


_IN_ORDER: tuple[Callable[..., list[Number]], ...] = (
    rosenbrock, freudenstein_roth, powell_badly_scaled, brown_badly_scaled, beale, jennrich_sampson,
    helical_valley, bard, gaussian, meyer, gulf, box, powell_singular, wood, kowalik_osborne, brown_dennis,
    osborne_1, biggs, osborne_2, watson, extended_rosenbrock, extended_powell, penalty_1, penalty_2,
    variably_dimensioned, trigonometric, brown_almost_linear, discrete_boundary_value,
    discrete_integral_equation, broyden_tridiagonal, broyden_banded, linear_full_rank, linear_rank_1,
    linear_rank_1_with_zeros, chebyquad,
)  # fmt: skip
FORMULAS = dict(enumerate(_IN_ORDER, start=1))
"""The residuals by the number of the problem."""
