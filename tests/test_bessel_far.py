"""Modified Bessel functions far out: their logarithms, quotients and scaled products, and derivatives."""

from __future__ import annotations

from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp
from routines import TARGETS

import symgrad as sg

x, y = sp.symbols("x y", positive=True)
BACKENDS = ("numpy", *TARGETS)
I0, I1, I2, K0, K1, K3 = (
    f(n, x) for f, n in ((sp.besseli, 0), (sp.besseli, 1), (sp.besseli, 2), (sp.besselk, 0), (sp.besselk, 1),
                         (sp.besselk, 3))
)  # fmt: skip
quarter = sp.Rational(1, 4)
FAR = (31.0, 700.0, 712.0, 1e5)
ORDERS = 3
FORMULAS = {
    "log I0": sp.log(I0),
    "log of 2*pi*I0": sp.log(2 * sp.pi * I0),
    "log I0 - x": sp.log(I0) - x,
    "log I of order 3/4": sp.log(sp.besseli(3 * quarter, x)),
    "log K0": sp.log(K0),
    "x + log K1": x + sp.log(K1),
    "log of x*K1": sp.log(x * K1),
    "exp(-x)*I0": sp.exp(-x) * I0,
    "exp(x)*K of order 1/4": sp.exp(x) * sp.besselk(quarter, x),
    "I1/I0": I1 / I0,
    "1 - I1/I0": 1 - I1 / I0,
    "I2/I0": I2 / I0,
    "K1/K0": K1 / K0,
    "K0/K3": K0 / K3,
    "K of order 9/4 over 1/4": sp.besselk(9 * quarter, x) / sp.besselk(quarter, x),
    "I0*K0": I0 * K0,
    "Wronskian": I1 * K0 + I0 * K1,
}


besselk = cache(lambda v, at: mpmath.besselk(v, at))  # which takes long for whole orders


@cache
def exact() -> list[list[mpmath.mpf]]:
    """Value, slope and curvature of every formula at every point far out."""
    entries = [sp.diff(f, x, k) for f in FORMULAS.values() for k in range(ORDERS)]
    functions = [sp.lambdify(x, entry, [{"besselk": besselk}, "mpmath"]) for entry in entries]
    with mpmath.workdps(50):
        return [[f(mpmath.mpf(p)) for f in functions] for p in FAR]


@cache
def computed(backend: str, stabilise: bool, points: tuple[float, ...]) -> np.ndarray:
    """An array of points, formulas and orders."""
    entries = [sp.Derivative(f, (x, k)) if k else f for f in FORMULAS.values() for k in range(ORDERS)]
    kernel = sg.compile(sp.ImmutableMatrix(entries), args=(x,), backend=backend, stabilise=stabilise)
    with np.errstate(all="ignore"):
        return np.asarray(kernel(np.array(points))).reshape(len(points), len(FORMULAS), ORDERS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_slopes_and_curvatures_keep_their_digits_far_out(backend: str) -> None:
    wrong = []
    found = computed(backend, True, FAR).reshape(len(FAR), -1)
    names = [(name, k) for name in FORMULAS for k in range(ORDERS)]
    for p, row, wanted in zip(FAR, found.tolist(), exact(), strict=True):
        for name, value, want in zip(names, row, wanted, strict=True):
            if not abs(value - want) <= 4e-15 * abs(want):
                wrong.append((p, name, value, mpmath.nstr(want, 17)))
    assert not wrong


NEAR = (1e-9, 1e-3, 0.5, 3.0, 7.5)
RANGE = (5e-324, 1e-300, 1e-8, 0.3, 20.0, 709.0, 745.0, 1e8, 1e154, 1e300, 1.7e308, np.inf, -0.5, np.nan)


def test_nearby_they_are_what_they_were() -> None:
    plain, found = (computed("numpy", on, NEAR)[2:] for on in (False, True))
    assert np.isfinite(plain).all()
    np.testing.assert_allclose(found, plain, rtol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_finite_result_is_lost_over_the_whole_range(backend: str) -> None:
    plain, found = computed("numpy", False, RANGE)[..., 0], computed(backend, True, RANGE)[..., 0]
    assert not (np.isnan(found) & ~np.isnan(plain)).any()
    assert np.isfinite(found[np.isfinite(plain)]).all()


def test_higher_derivatives_keep_their_digits_and_come_from_the_equation_at_last() -> None:
    """The fifth ones need a row that there is not, and lose a factor x."""
    orders = ((sp.log(I0), 3), (sp.exp(-x) * I0, 4), (I1 / I0, 3), (sp.exp(-x) * I0, 5), (K1 / K0, 4))
    entries = sp.ImmutableMatrix([sp.Derivative(f, (x, k)) for f, k in orders])
    functions = [sp.lambdify(x, entry.doit(), "mpmath") for entry in entries]
    kernel = sg.compile(entries, args=(x,))
    for at in FAR:
        with mpmath.workdps(60):
            wanted = [float(f(mpmath.mpf(at))) for f in functions]
        found = np.ravel(kernel(at))
        np.testing.assert_allclose(found[:3], wanted[:3], rtol=2e-14)
        np.testing.assert_allclose(found[3:], wanted[3:], rtol=2e-15 * at + 1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_density_of_von_mises_is_finite_at_every_concentration(backend: str) -> None:
    density = sp.exp(x * sp.cos(y)) / (2 * sp.pi * I0)
    outputs = ("value", "grad", "hess")
    kernel = sg.compile(density, args=(x, y), wrt=(x, y), outputs=outputs, backend=backend)
    logarithm = sg.compile(sp.log(density), args=(x, y), wrt=(x, y), outputs=outputs, backend=backend)
    functions = [
        sp.lambdify((x, y), f, "mpmath")
        for f in (density, density.diff(x), density.diff(y), density.diff(y, 2))
    ]
    for at in ((2.0, 0.5), (700.0, 0.1), (1000.0, 0.03), (1e5, 0.002)):
        with mpmath.workdps(60):
            wanted = [f(*map(mpmath.mpf, at)) for f in functions]
        value, grad, hess = kernel(*at)
        for found, exact in zip((value, *grad, hess[1][1]), wanted, strict=True):
            assert abs(found - exact) <= 1e-11 * abs(exact), at  # the exponent is rounded
        value, grad, _ = logarithm(*at)
        with mpmath.workdps(60):
            assert abs(value - mpmath.log(wanted[0])) <= 1e-15 * at[0] + 1e-15
            np.testing.assert_allclose(grad, [float(w / wanted[0]) for w in wanted[1:3]], rtol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_orders_may_be_large_or_data(backend: str) -> None:
    """Where v**2 is large beside x the slopes are differences, which lose a factor x at most."""
    v = sp.Symbol("v")
    for function, sign in ((sp.besselk, -1), (sp.besseli, 1)):
        kernel = sg.compile(
            sp.log(function(v, x)), args=(v, x), wrt=x, outputs=("value", "grad"), backend=backend
        )
        exact = mpmath.besselk if sign < 0 else mpmath.besseli
        for order, at in ((0.3, 900.0), (7.0, 800.0), (60.0, 900.0), (200.0, 1000.0), (150.5, 40.0)):
            with mpmath.workdps(60):
                q, p = mpmath.mpf(order), mpmath.mpf(at)
                middle, below, above = (exact(q + k, p, maxprec=50_000) for k in (0, -1, 1))
                wanted = [mpmath.log(middle), sign * (below + above) / (2 * middle)]
            value, grad = kernel(order, at)
            assert abs(value - wanted[0]) <= 1e-13 * abs(wanted[0]), (function, order, at)
            assert abs(float(np.ravel(grad)[0]) - wanted[1]) <= 2e-12 * abs(wanted[1]), (function, order, at)


def test_a_product_that_is_in_range_is_not_lost_with_its_exponential() -> None:
    kernel = sg.compile(sp.exp(5) * I0, args=(x,))
    shifted = sg.compile(sp.exp(y) * I0, args=(x, y))
    with mpmath.workdps(30):
        for at in (30.0, 700.0, 707.0):
            exact = mpmath.exp(5) * mpmath.besseli(0, at)
            assert kernel(at)[0] == pytest.approx(float(exact), rel=1e-13)
            assert shifted(at, 5.0)[0] == pytest.approx(float(exact), rel=1e-13)
