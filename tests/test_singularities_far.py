"""Formulas of 1/x that are regular where x is large: value, gradient and Hessian there against mpmath's."""

from __future__ import annotations

from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
DIGITS = 700
LEAST = mpmath.mpf("1e-307")  # below it a number may be off by as much
x = sp.Symbol("x", real=True)
y, z = sp.symbols("y z", real=True)

FORMULAS = (
    x * sp.log(1 + 1 / x), x * (sp.exp(1 / x) - 1), x * sp.sin(1 / x), x**2 * (1 - sp.cos(1 / x)),
    x * sp.tanh(1 / x), x * sp.atan(1 / x), x * sp.sinh(1 / x), x * (sp.sqrt(1 + 1 / x) - 1),
    x * sp.sin(2 / x), 3 * x * sp.log(1 + 1 / (2 * x)), x * sp.asin(1 / (x + 1)),
    x - x**2 * sp.log(1 + 1 / x), sp.log(1 + 1 / x) - 1 / x, sp.log(1 + 1 / x) - 1 / (1 + x),
    x**2 * (sp.exp(1 / x) - 1) - x, sp.sin(1 / x) / sp.tanh(1 / x), 1 / sp.log(1 + 1 / x),
    sp.cos(1 / x) - 1 + 1 / (2 * x**2), x**3 * (sp.tan(1 / x) - sp.sin(1 / x)), sp.log(x * sp.sin(1 / x)),
)  # fmt: skip
POINTS = (0.7, 3.0, 30.0, -1e3, 1e5, -1e8, 1e12, 1e60)


@cache
def _exact(expr: sp.Expr, at: float) -> list[mpmath.mpf]:
    """Value, gradient and Hessian at the double itself."""
    with mpmath.workdps(DIGITS):
        return [sp.lambdify(x, sp.diff(expr, x, k), "mpmath")(mpmath.mpf(at)) for k in range(3)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("expr", FORMULAS, ids=str)
def test_nothing_cancels_where_x_is_large(expr: sp.Expr, target: str) -> None:
    kernel = sg.compile(expr, x, wrt=x, outputs=("value", "grad", "hess"), backend=target)
    for point in POINTS:
        for found, wanted in zip(kernel(point), _exact(expr, point), strict=True):
            assert abs(float(found) - wanted) <= 1e-13 * abs(wanted) + LEAST, (point, found, wanted)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_lost_where_x_is_not_large(target: str) -> None:
    """Where a reciprocal overflows the formula is computed as it is written."""
    least = 1e-310
    for expr, wanted in (
        (x * sp.tanh(1 / x), least),
        (x * sp.atan(1 / x), np.pi / 2 * least),
        (sp.tanh(1 / x) - 1 / (1 + x), 0.0),
        (x * (sp.exp(1 / x) - 1), np.inf),
    ):
        value = sg.compile(expr, x, outputs="value", backend=target)
        plain = sg.compile(expr, x, outputs="value", backend=target, stabilise=False)
        np.testing.assert_allclose(value(least), wanted, rtol=1e-10)
        np.testing.assert_equal(value(0.0), plain(0.0))


@pytest.mark.parametrize("target", TARGETS)
def test_the_limit_is_taken_at_infinity(target: str) -> None:
    kernel = sg.compile(x * sp.sin(1 / x), x, wrt=x, outputs=("value", "grad"), backend=target)
    assert kernel(np.inf) == (1.0, 0.0)
    assert kernel(-np.inf) == (1.0, 0.0)


@pytest.mark.parametrize("target", TARGETS)
def test_the_variable_may_be_a_product(target: str) -> None:
    """And stand under a sum, and in a product with others."""
    expr = sp.exp(z) * x * y * sp.sin(1 / (x * y))
    kernel = sg.compile(expr, (x, y, z), wrt=(x, y, z), outputs="grad", backend=target)
    found = kernel(3e4, 2e3, 0.5)
    with mpmath.workdps(60):
        at = [mpmath.mpf(v) for v in (3e4, 2e3, 0.5)]
        wanted = [sp.lambdify((x, y, z), sp.diff(expr, v), "mpmath")(*at) for v in (x, y, z)]
    assert all(abs(float(f) - w) <= 1e-13 * abs(w) for f, w in zip(found, wanted, strict=True))
