"""Differences that cancel, and their quotients at ties: value, gradient and Hessian to 1e-13 relative.

The reference is independent of symgrad: numbers of mpmath with derivatives (`duals.py`), in hundreds of
digits, a little beside a tie, where the expression is 0/0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from kept_digits import arguments, wrong_entries

import symgrad as sg

x, y, z = sp.symbols("x y z", real=True)
exp, log, sqrt, sin, cos, tan, tanh, atan = sp.exp, sp.log, sp.sqrt, sp.sin, sp.cos, sp.tan, sp.tanh, sp.atan
erf, loggamma, digamma = sp.erf, sp.loggamma, sp.digamma

TURNS = ((1.0, 1e-12), (3.0, 2.0), (0.5, 1024.0), (1e-9, 2e-9))
STEPS = ((1.0, 1e-12), (3.0, 2.0), (1e8, 1e-3), (1e-9, 2e-9), (0.3, 1e3))
SMALL_STEPS = ((1.0, 1e-12), (3.0, 2.0), (20.0, 1e-3), (1e-9, 2e-9))
TIES = ((1.0, 1.0), (1.0, 1 + 2.0**-40), (1e-9, 2e-9), (3.0, 2.0))
NEXT_TO_TIES = ((1.0, 1 + 2.0**-20), (1.0, 1.125), (3.0, 2.0))
WIDE_TIES = (*TIES, (1e8, 1e8 + 1))
UNIT_STEPS = ((0.25, 1e-12), (0.75, 2e-9), (0.5, 0.25), (1e-9, 2e-9))
FAR = ((1e9,), (-1e9,), (1e100,), (-3.0,), (1e-9,))
SIDES = ((1.0, 1e-12), (1e-5, 1.0), (1e8, 1e-3), (3.0, 4.0), (1e-3, -5.0))
SCALES = ((1e-3, 1e-9), (1.0, -1e-5), (-2.5, 1e-3), (1e6, 0.3), (2.0, 3.0), (1.5, 30.0))  # of y/x
TURNS_AND_HALVES = tuple((k * np.pi / 2 + e,) for k in (5, -3, 401, -4003) for e in (0.0, 1e-5))
WHOLE_TURNS = tuple((k * np.pi + e,) for k in (2, -4, 100, 4000) for e in (0.0, 1e-5))
ROOTS = ((1e-8, 1.0, 2.0), (1.0, -3.0, 1.0), (1.0, 1e5, 1.0))


def exp_of_square(t: Any) -> Any:
    return exp(-(t**2))


def softplus(t: Any) -> Any:
    return log(1 + exp(t))


ON_EVERY_TARGET = [str(e) for e in (
    cos(x + y) - cos(x), (exp(x) - exp(y)) / (x - y), sqrt(x**2 + y**2) - y, log(x + y) - log(x),
    erf(x) - erf(y), (x + y) ** z - x**z, loggamma(x + y) - loggamma(x), x**2 * log(1 + (y / x) ** 2) / 2,
)]  # fmt: skip

# What is written, and points of its arguments (sorted by name).
CASES: dict[str, tuple[Any, tuple[tuple[float, ...], ...]]] = {
    str(e): (e, points)
    for e, points in (
        (cos(x + y) - cos(x), TURNS),
        (sin(x + y) - sin(x), TURNS),
        (exp(x + y) - exp(x), SMALL_STEPS),
        (tanh(x + y) - tanh(x), SMALL_STEPS),
        (log(x + y) - log(x), STEPS),
        (sqrt(x + y) - sqrt(x), STEPS),
        (atan(x + y) - atan(x), (*STEPS, (1e5, 1.0))),
        (1 / x - 1 / (x + y), STEPS),
        (z / sqrt(x) - z / sqrt(x + y), ((1.0, 1e-12, 2.0), (0.5, 3.0, -1.0))),
        (2 * cos(x + y) - 2 * cos(x), STEPS[:2]),
        (exp(x) - exp(y), TIES[1:]),
        (cos(x) - cos(y), TIES[1:]),
        (tanh(x) - tanh(y), (*TIES[1:], (20.0, 21.0))),
        (atan(x) - atan(y), WIDE_TIES[1:]),
        (sqrt(x**2 + y**2) - y, SIDES),
        (1 - y / sqrt(x**2 + y**2), SIDES),
        (1 - x / sqrt(1 + x**2), ((1e-9,), (3.0,), (1e8,), (-1e8,))),
        (x - sqrt(x**2 - y**2), ((1.0, 1e-8), (3.0, 2.0))),
        (
            (x + y + sqrt((x - y) ** 2 + z**2)) / 2,
            ((1.0, 2.0, 1e-3), (-1.0, 1.0, 2.0**-20), (2.0, 1.0, 1e-3)),
        ),
        (sqrt(x**2 + 1) - sqrt(x**2 - 1), ((2.0,), (1e3,), (-1e8,))),
        (sqrt(4 * x**2 + 1) - sqrt(4 * x**2 + 9), ((1e-9,), (0.5,), (1e8,))),
        (x**2 / (1 + x**2) - 1, ((1e-9,), (-40.0,), (1e8,))),
        (1 - (x**2 - 1) / (x**2 + 1), ((1e8,), (-3.0,), (1e-9,))),
        (1 + (x**2 - 4) / (x**2 + 4), ((1e-9,), (-3.0,), (1e8,))),
        (sp.pi / 2 - atan(x), FAR),
        (sp.Rational(1, 2) + atan(x) / sp.pi, FAR),
        (2 * atan((x - y) / z) / sp.pi - 1, ((1e5, 2.0, 0.25), (-1e5, 2.0, 3.0), (1.0, -2.0, 2.0))),
        (sp.pi / 2 - atan(1 / x), ((1e-5,), (3.0,), (-2.0,))),
        *(
            (f, ((1e-9,), (-1e-5,), (-0.25,), (3.0,)))
            for f in (
                (1 + x) ** 10 - 1,
                1 - (1 - x) ** 31,
                log((1 + x) ** 2),
                log((1 + x) ** 12),
                (1 + x) ** 20 - (1 + x) ** 5,
            )
        ),
        (y - y * (1 - x**2) ** 12, ((1e-6, 3.0), (0.25, 2.0))),
        *(
            (f, ((1e-7,), (-1e-5,), (0.25,), (-0.75,)))
            for f in (
                (1 + x) * log(1 + x) - x,
                (1 + x) * log(1 + x) + (1 - x) * log(1 - x),
            )
        ),
        (x * log(x) - x + y**2, ((1 + 2.0**-40, 2.0), (3.0, 0.5))),
        (sqrt(x**2 + y**2 + z**2) - z, ((1e-5, 2e-5, 3.0), (1.0, 2.0, -3.0))),
        (sqrt(x**2 + y) + x, ((-1.0, 1e-12), (-1e8, 1.0), (2.0, 3.0))),
        (sqrt(x**2 + y) - x, ((1e-9, 0.3), (1e-12, 1.0), (-1e-12, 1.0), (-1e5, 1e-9), (1e5, 1e-9))),
        (x / 2 + sqrt(x**2 + 4) / 2, ((-1e5,), (-1e9,), (-1e-9,), (3.0,))),
        (-y / 2 + sqrt(y**2 / 4 - x), ((1e-9, 1.0), (1e-9, -3.0), (-1.0, 1e-8), (1.0, 1e5))),
        (2 * x * y - sqrt(4 * x**2 * y**2 + 1), ((1e5, 3.0), (1e-9, 2.0), (-1e5, 3.0))),
        (sqrt(x**4 * y**2 + 5) / 3 - x**2 * y / 3, ((1e5, 3.0), (1e-9, 2.0), (1e5, -3.0))),
        (-y + sqrt(y**2 - 4 * x * z), ROOTS),
        ((-y + sqrt(y**2 - 4 * x * z)) / (2 * x), ROOTS),
        ((exp(x) - exp(y)) / (x - y), (*TIES, (3.0, -2.0))),
        ((log(x) - log(y)) / (x - y), WIDE_TIES),
        ((sqrt(x) - sqrt(y)) / (x - y), WIDE_TIES),
        ((sin(x) - sin(y)) / (x - y), TIES),
        ((cos(x) - cos(y)) / (x - y), TIES),
        ((atan(x) - atan(y)) / (x - y), TIES),
        ((tanh(x) - tanh(y)) / (x - y), TIES),
        ((1 / x - 1 / y) / (x - y), WIDE_TIES),
        ((x**2 - y**2) / (x - y), TIES),
        ((x - y) / log(x / y), TIES),
        ((x - y) / (log(x) - log(y)), TIES),
        ((exp(x) - exp(y)) / (sin(x) - sin(y)), TIES[:3]),
        *(
            (e, SCALES)
            for e in (
                x**2 * log(1 + (y / x) ** 2) / 2,
                x**2 * (sqrt(1 + (y / x) ** 2) - 1),
                x**2 * (2 * sqrt(1 + (y / x) ** 2 / 2) - 2),
                x**2 * (1 - exp(-(y**2) / (2 * x**2))),
                x**2 * log(sp.cosh(y / x)),
                x**2 * (1 - cos(y / x)),
                x * sin(y / x),
                x * atan(y / x),
                x * (exp(-y / x) - 1),
                x**3 * (sp.sinh(y / x) - y / x),
            )
        ),
        *(
            (e, ((1.0,), (1 + 2.0**-40,), (1.01,), (0.5,), (3.0,)))
            for e in (
                (x**2 - 1) / 2 - log(x),
                3 * ((x**2 - 1) / 2 - log(x)),
                log(x) + 1 / (2 * x**2) - sp.Rational(1, 2),
                x * log(x) - (x**2 - 1) / 2,
                x**2 + 2 / x - 3,
                2 * x + 1 / x**2 - 3,
                2 * sqrt(x) + 1 / x - 3,
            )
        ),
        *((x**2 * (t - log(1 + t)), SCALES) for t in (sp.Abs(y / x),)),
        *((x**2 * (t - log(1 + t)), SCALES[:2]) for t in (y / x, sp.Abs(y) / x)),
        (y * x**2 * log(1 + (z / x) ** 2), ((1e-3, 2.0, 1e-9), (3.0, -0.5, 1e-3))),
        ((x * z) ** 2 * (sqrt(1 + (y / (x * z)) ** 2) - 1), ((1e-3, 1e-9, 2.0), (1e3, 3.0, 0.5))),
        (((x - y) - (z - 10)) / log((x - y) / (z - 10)), ((80.0, 30.0, 60 + 1e-12), (80.0, 30.0, 65.0))),
        (x**y - 1, ((1.5, 1e-12), (1e-5, 1e-8), (2.0, 3.0))),
        ((1 + x) ** y - 1, ((1e-9, 360.0), (0.05, 1e-9), (0.25, 30.0))),
        ((x**y - 1) / y, ((1.5, 1e-12), (2.0, 0.0), (0.5, 1e-3), (2.0, 3.0))),
        (y / (x**y - 1), ((1.5, 0.25), (2.0, 3.0))),
        ((1 - (1 + x) ** (-y)) / x, ((1e-9, 360.0), (0.05, 1e-9), (0.0, 30.0), (0.25, 12.0))),
        ((x**y - 1) / (x - 1), ((1.0, 3.0), (1 + 2.0**-40, 3.5), (0.5, 2.0), (1.0, 0.5))),
        (log((x + y) / x), STEPS),
        ((exp(x) - exp(y)) / (exp(x) + exp(y)), ((1.0, 1 + 2.0**-40), (-800.0, -801.0), (800.0, 801.0))),
        ((1 - sin(x)) / cos(x) ** 2, ((np.pi / 2,), (np.pi / 2 + 1e-5,), (1.0,))),
        (tan(x) - 1 / cos(x), ((np.pi / 2,), (np.pi / 2 + 1e-5,), (1.0,))),
        (sin(sp.pi * x) / sin(2 * sp.pi * x), ((1 + 2.0**-30,), (-1.25,))),
        (cos(3 * x) / cos(x), ((np.pi / 2,), (-np.pi / 2,), (1.5,))),
        ((1 - sin(x)) / cos(x) ** 2, TURNS_AND_HALVES),
        (tan(x) - 1 / cos(x), TURNS_AND_HALVES),
        (cos(3 * x) / cos(x), TURNS_AND_HALVES),
        (cos(x) * tan(x), TURNS_AND_HALVES),
        (sin(5 * x) / sin(x), WHOLE_TURNS),
        ((1 - cos(x)) / sin(x) ** 2, WHOLE_TURNS),
        (1 / sin(x) - 1 / tan(x), WHOLE_TURNS),
        (sin(5 * x / 2) ** 2 / sin(x / 2) ** 2, WHOLE_TURNS),
        (sin(2 * x + 1) / sin(x + sp.Rational(1, 2)), ((-0.5,), (3 * np.pi - 0.5,), (1.0,))),
        (
            sin(sp.pi * x) / sin(2 * sp.pi * x),
            ((5 + 2.0**-30,), (-4 + 2.0**-20,), (3001 + 2.0**-20,), (0.25,)),
        ),
        (x * sin(x) / (x**2 - 9 * sp.pi**2), ((3 * np.pi,), (-3 * np.pi,), (1.0,))),
        ((sin(x + y) - sin(x)) / y, (*SMALL_STEPS, (1.0, 0.0))),
        (x * (exp(-x * z) - exp(-y * z)) / (y - x), ((1.0, 1.0, 1.0), (1.0, 3.0, 2.0))),
        *((f(x + y) - f(x), SMALL_STEPS) for f in (sp.sinh, sp.cosh, tan, exp_of_square)),
        *((f(x + y) - f(x), STEPS) for f in (sp.asinh, softplus, lambda t: t * log(t))),
        *((f(x + y) - f(x), UNIT_STEPS) for f in (sp.asin, sp.acos, sp.atanh)),
        (sp.acosh(x + y) - sp.acosh(x), ((2.0, 1e-12), (1e8, 1.0))),
        (log(1 + x + y) - log(1 + x), ((0.25, 1e-12), (1e-9, 2e-12), (1e8, 1.0))),
        (erf(x) - erf(y), ((3.0, 3.5), (-3.0, -4.0), (0.5, 0.25))),
        (log(erf(x) / 2 - erf(y) / 2), ((3.5, 3.0), (-3.0, -4.0), (0.5, 0.25))),
        ((erf(x) - erf(y)) / (x - y), TIES[:2]),
        *(((x + y) ** p - x**p, STEPS[:4]) for p in (3, -2, sp.Rational(5, 2))),
        ((x + y) ** z - x**z, ((1.0, 1e-12, 2.5), (1e8, 1.0, 0.5), (0.5, 0.25, 3.0))),
        *(((x**p - y**p) / (x - y), TIES) for p in (3, 4, sp.Rational(5, 2), -2)),
        ((x**z - y**z) / (x - y), ((1.0, 1.0, 2.5), (1.0, 1 + 2.0**-40, 2.5), (3.0, 2.0, 0.5))),
        ((x**3 - y**3) / (x**2 - y**2), TIES),
        ((x * log(x) - y * log(y)) / (x - y), TIES[:2]),
        (loggamma(x + y) - loggamma(x), ((1e8, 0.5), (3.0, 1e-9), (1.5, 2.5))),
        (loggamma(x) + loggamma(y) - loggamma(x + y), ((1e8, 0.5), (3.0, 1e10), (2.0, 3.0))),
        (digamma(x + y) - digamma(x), ((1e8, 0.5), (3.0, 1e-9))),
        (z + exp(x + y) - exp(x), ((1.0, 1e-12, 2e-12),)),
        *((f(x + y) - 2 * f(x) + f(x - y), ((1.0, 1e-6), (2.0, 0.125))) for f in (exp, sin, log, sqrt)),
        *(((x + y) ** p - 2 * x**p + (x - y) ** p, ((1.0, 1e-6), (2.0, 0.125))) for p in (-1, 3)),
        (log(x * y) / (x * y - 1), ((1.0, 1.0), (2.0, 0.5), (3.0, 2.0))),
        ((x * y - 1) / log(x * y), ((1.0, 1.0), (1.25, 1.0), (3.0, 2.0))),
        ((1 - x) / (1 - x**y), ((1.0, 3.0), (1.25, 2.0), (3.0, 2.0))),
        (log(x + y) / (x + y - 1), ((0.5, 0.5), (0.25, 0.75 + 2.0**-40))),
        (log(x**2 + y**2) / (x**2 + y**2 - 1), ((1.0, 0.25), (0.5, 0.25))),
        (sp.acos(1 - x), ((1e-12,), (0.75,), (1.5,))),
        (sp.acos(1 - x - y), ((1e-12, 1e-13), (0.5, 0.25))),
        (sp.acosh(1 + x), ((1e-12,), (1e-100,), (0.5,))),
        *(
            (e, NEXT_TO_TIES)
            for e in (
                x * log(x / y) - x + y,
                x / y - log(x / y) - 1,
                log(y / x) + x**2 / (2 * y**2) - sp.Rational(1, 2),
            )
        ),
        (z + x * log(x / y) - x + y, ((1.0, 1 + 2.0**-20, 1e-12),)),
        ((exp(x + y) - 2 * exp(x) + exp(x - y)) / y**2, ((1.0, 1e-6), (1.0, 0.0))),
        ((exp(x + y) - exp(x - y)) / (2 * y), ((1.0, 1e-6), (1.0, 0.0))),
    )
}


def wrong(name: str, target: str) -> list[Any]:
    expr, points = CASES[name]
    return wrong_entries(expr, points, target, roundings=0)


@pytest.mark.parametrize("name", CASES)
def test_nothing_cancels_in_value_gradient_and_hessian(name: str) -> None:
    assert wrong(name, "numpy") == []


@pytest.mark.parametrize("target", ["llvm", "c"])
@pytest.mark.parametrize("name", ON_EVERY_TARGET)
def test_nor_on_compiled_targets(name: str, target: str) -> None:
    assert wrong(name, target) == []


def test_differences_in_which_nothing_cancels_stay_as_they_are() -> None:
    for expr in (
        cos(x) * cos(y) - sin(x) * sin(y), sin(x + 1) - sin(x), sin(x) - sin(y), log(x) - log(y),
        1 / x - 1 / y, sqrt(x) - sqrt(y), x - y**2,
    ):  # fmt: skip
        fired = sg.program(expr, args=arguments(expr)).translation.graph.rewritten
        assert not fired, (expr, fired)


def test_the_logarithm_of_a_difference_of_exponentials_is_still_one() -> None:
    kernel = sg.compile(log(exp(x) - exp(y)), args=(x, y))
    np.testing.assert_allclose(kernel(1000.0, 999.0), 1000 + np.log(-np.expm1(-1.0)), rtol=1e-15)


def test_ends_of_the_range_and_negative_arguments_stay_right() -> None:
    cases = (
        (1 / sqrt(x) - 1 / sqrt(x + y), (2.0**-876, 0.0), 0.0),
        ((x - y) / log(x / y), (-1.0, -2.0), -1 / np.log(2.0)),
        ((x**y - 1) / (x - 1), (0.0, 0.0), 0.0),
        (log((x + y) / x), (-2.0, 1.0), -np.log(2.0)),
        (exp(x) - exp(y), (-np.inf, -np.inf), 0.0),
        (atan(x) - atan(y), (np.inf, 0.0), np.pi / 2),
        (sqrt(x + y) - sqrt(x), (0.0, 0.0), 0.0),
        (sqrt(x**2 + y**2) - x, (1e200, 1e200), 1e200 * (np.sqrt(2.0) - 1)),
        (cos(x) - cos(y), (1e300, 1e300), 0.0),
    )
    for expr, point, wanted in cases:
        found = sg.compile(expr, args=(x, y), backend="numpy")(*point)
        np.testing.assert_allclose(found, wanted, rtol=1e-15, err_msg=str(expr))
