"""Functions that flatten out or grow slowly, far out: value, gradient and Hessian against mpmath's."""

from __future__ import annotations

from functools import cache

import mpmath
import pytest
import sympy as sp

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
DIGITS = 1300
LARGEST = mpmath.mpf("1.7e308")
LEAST = mpmath.mpf("1e-307")  # below it a number may be off by as much
x = sp.Symbol("x", real=True)

WITH_LOGARITHMS = (
    sp.atan(x) * sp.log(1 + x**2), sp.atan(x) * sp.log(x**2 + 4), sp.tanh(x) * sp.log(1 + x**2),
    sp.erf(x) * sp.log(1 + x**2), sp.asinh(x) * sp.log(1 + x**2), x * sp.log(1 + x**2),
    x / (1 + x**2) * sp.log(1 + x**2),
)  # fmt: skip
WITH_ANGLES = (x * sp.atan(x), sp.sqrt(1 + x**2) * sp.atan(x), sp.atan(x) ** 2)
HYPERBOLIC = (
    sp.exp(-x) * sp.sinh(x), sp.exp(-x) * sp.cosh(x), sp.exp(x) * sp.sinh(x), sp.exp(-x) * sp.sinh(x) / x,
    sp.cosh(x) - sp.sinh(x), sp.coth(x) - 1, 3 * sp.coth(x / 2) + 3, sp.coth(x) - sp.tanh(x),
    sp.coth(x) ** 2 - 1, x * sp.coth(x) - x, sp.sinh(x) / (1 + sp.cosh(x)),
    (sp.cosh(x) - 1) / sp.sinh(x), x / (1 + sp.cosh(x)), (sp.cosh(x) - 1) / (sp.cosh(x) + 1),
    sp.log(sp.cosh(x) - 1), sp.sinh(2 * x) / sp.sinh(x) ** 2, sp.exp(-2 * x) * sp.sinh(x) ** 2,
)  # fmt: skip
EXPONENTS = (1e-8, -0.3, 3.0, 10.0, -20.0, 30.0, -40.0, 100.0, -300.0, 355.0, -600.0, 720.0, 1e3, -1e5)
POINTS = (1e-300, 1e-8, 0.7, 30.0, -1e3, 1e5, -1e8, 1e12, 1e100, -1e150, 1e200, 1e300)


def _check(expr: sp.Expr, points: tuple[float, ...], target: str) -> None:
    kernel = sg.compile(expr, x, wrt=x, outputs=("value", "grad", "hess"), backend=target)
    for point in points:
        for found, wanted in zip(kernel(point), _exact(expr, point), strict=True):
            if mpmath.isfinite(wanted) and abs(wanted) < LARGEST:
                assert abs(float(found) - wanted) <= 1e-13 * abs(wanted) + LEAST, (point, found, wanted)


@cache
def _exact(expr: sp.Expr, at: float) -> list[mpmath.mpf]:
    """Value, gradient and Hessian at the double itself."""
    with mpmath.workdps(DIGITS + (int(2 * abs(at)) if expr in HYPERBOLIC and abs(at) < 2000 else 0)):
        return [sp.lambdify(x, sp.diff(expr, x, k), "mpmath")(mpmath.mpf(at)) for k in range(3)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("expr", [*WITH_LOGARITHMS, *WITH_ANGLES], ids=str)
def test_no_term_of_a_derivative_leaves_the_range_or_cancels(expr: sp.Expr, target: str) -> None:
    _check(expr, POINTS, target)


@pytest.mark.parametrize("target", TARGETS)
def test_no_polynomial_takes_the_place_of_cosines(target: str) -> None:
    hess = sg.compile(sp.atan(x**2 + 1), x, wrt=x, outputs="hess", backend=target)
    assert hess(1e150) == 0.0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("expr", HYPERBOLIC, ids=str)
def test_powers_of_e_are_not_lost_beside_larger_ones(expr: sp.Expr, target: str) -> None:
    _check(expr, EXPONENTS, target)


def test_a_logarithm_that_may_be_of_zero_keeps_its_guard() -> None:
    y = sp.Symbol("y", real=True)
    for own, expected in ((y * sp.log(x**2), 0.0), (y * sp.log(x**2 + 1), 0.0), (y * sp.log(1 - x), 0.0)):
        zero = 1.0 if own.has(1 - x) else 0.0
        assert sg.compile(own, (x, y), outputs="value")(zero, 0.0) == expected
