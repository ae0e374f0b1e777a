"""Losses with a width that are polynomials of x/k: Tukey's biweight, with derivatives by both."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.square_free import square_free_factors

x, k = sp.symbols("x k", real=True)
LOSSES = {
    "biweight": k**2 / 6 * (1 - (1 - (x / k) ** 2) ** 3),
    "of the fourth power": k**2 * (1 - (1 - (x / k) ** 2) ** 2) / 4,
    "of an odd power": k**3 * (1 - (1 - (x / k) ** 3) ** 2),
}
POINTS = tuple(
    (s * u, v) for u in (1e-12, 1e-8, 1e-3, 0.3, 0.999, 1.0, 7.0) for v in (1.0, 3.0, 1e3) for s in (1, -1)
)


def exact(expr: sp.Expr, point: tuple[float, ...]) -> list[Any]:
    first = [sp.diff(expr, v) for v in (x, k)]
    second = [sp.diff(expr, u, v) for u, v in ((x, x), (x, k), (k, k))]
    with mpmath.workdps(300):
        return list(sp.lambdify((x, k), [expr, *first, *second], "mpmath")(*map(mpmath.mpf, point)))


@pytest.mark.parametrize("target", ["llvm", "c", "numpy"])
@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_of_a_scaled_polynomial_keep_their_digits(name: str, target: str) -> None:
    expr = LOSSES[name]
    kernel = sg.compile(expr, args=(x, k), wrt=(x, k), outputs=("value", "grad", "hess"), backend=target)
    for point in POINTS:
        value, gradient, hessian = kernel(*point)
        found = [value, *gradient, hessian[0, 0], hessian[0, 1], hessian[1, 1]]
        wanted = exact(expr, point)
        with mpmath.workdps(300):
            moved = exact(expr, (point[0] * (1 + mpmath.mpf(2) ** -53), point[1]))
            for number, right, beside in zip(found, wanted, moved, strict=True):
                error = abs(mpmath.mpf(float(number)) - right)
                assert error <= 1e-14 * abs(right) + 8 * abs(beside - right), (point, number, right)


def test_the_slopes_of_the_biweight_are_a_few_products() -> None:
    kernel = sg.compile(LOSSES["biweight"], args=(x, k), wrt=(x, k), outputs=("grad",))
    at = np.array([0.3, 1.0, 2.0])
    (gradient,) = kernel(at, np.full(3, 2.0))
    w = at / 2
    assert np.allclose(
        gradient, np.stack([at * (1 - w**2) ** 2, at * w**3 * (1 - 2 / 3 * w**2)], axis=-1), rtol=1e-15
    )


def test_a_polynomial_is_the_product_of_its_square_free_factors() -> None:
    t = sp.Symbol("t")
    for p in (
        t - 1,
        (t - 1) ** 2,
        6 * (t - 1) ** 2 * (t + 2),
        (t**2 + 1) ** 3 * (2 * t - 3),
        t**3 * (1 - t) ** 2,
        7 + 0 * t,
    ):
        coefficients = sp.Poly(p, t).all_coeffs()[::-1]
        found = square_free_factors([Fraction(int(c)) for c in coefficients])
        wanted = sp.Poly(p, t).sqf_list()[1]
        assert [n for _, n in found] == [n for _, n in wanted]
        for (factor, _), (other, _) in zip(found, wanted, strict=True):
            made = sp.Poly([sp.Rational(c.numerator, c.denominator) for c in factor[::-1]], t)
            assert made.monic() == other.monic()
            assert factor[0] in (0, 1)
