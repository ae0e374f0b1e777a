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


BESSEL_ENDS = {  # where SciPy's kv and iv are 0 or infinite, and the function is not
    "besselk": [(0.0, 704.9), (1.0, 700.0), (0.25, 704.0), (145.6, 712.9), (295.2, 755.9), (133.7, 0.5),
                (207.5, 5.0), (400.7, 50.0), (913.4, 300.0), (1120.0, 441.05)],
    "besseli": [(0.0, 709.9), (1.0, 713.9), (2.5, 713.9), (92.7, 718.7), (199.5, 736.8), (145.5, 712.9),
                (0.5, 1e-250), (0.0, 1e-300), (2.0, 1e-120), (1.5, 1e-200), (7.0, 1e-40), (0.25, 5e-324)],
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", BESSEL_ENDS)
def test_modified_bessel_functions_are_right_wherever_they_are_in_range(name: str, backend: str) -> None:
    points = np.array(BESSEL_ENDS[name])
    kernel = sg.compile(getattr(sp, name)(a, x), args=(a, x), outputs="value", backend=backend)
    with mpmath.workdps(60):
        exact = [float(getattr(mpmath, name)(*map(mpmath.mpf, row), maxprec=20_000)) for row in points]
    assert np.all(np.isfinite(exact)) and min(exact) > 2.3e-308
    np.testing.assert_allclose(kernel(*points.T), exact, rtol=5e-13)
    assert kernel(0.3, 3000.0) == (0 if name == "besselk" else np.inf)


@pytest.mark.parametrize("backend", BACKENDS)
def test_erfcinv_next_to_one_is_the_difference_to_one(backend: str) -> None:
    gap = 2.0 ** -np.arange(2, 53, 10)
    found = sg.compile(sp.erfcinv(x), args=(x,), outputs="value", backend=backend)(1 + gap)
    np.testing.assert_allclose(found, -exactly(mpmath.erfinv, gap[:, None]), rtol=1e-15)


def gamma_shares(shape: float, at: float) -> tuple[Any, Any]:
    """The lower and the upper incomplete function, whichever is small by its series or continued fraction."""
    s, t = mpmath.mpf(shape), mpmath.mpf(at)
    weight = mpmath.exp(s * mpmath.log(t) - t - mpmath.loggamma(s + 1))
    if t < s:
        term, total, n = mpmath.mpf(1), mpmath.mpf(1), s
        while term > total * mpmath.mpf(10) ** -25:
            n += 1
            term *= t / n
            total += term
        return weight * total, 1 - weight * total
    fraction = t
    for k in range(int(30 * mpmath.sqrt(s)), 0, -1):
        fraction = t + (k - s) / (1 + k / fraction)
    return 1 - weight * s / fraction, weight * s / fraction


@pytest.mark.parametrize("backend", BACKENDS)
def test_incomplete_gamma_functions_of_large_shape_keep_both_tails(backend: str) -> None:
    """SciPy's lower one is 15 % off at a shape of 3e7, five deviations below the mean."""
    shares = [f(a, x) / sp.gamma(a) for f in (sp.lowergamma, sp.uppergamma)]
    kernel = sg.compile(sp.ImmutableMatrix(shares), args=(a, x), outputs="value", backend=backend)
    for shape, deviation in ((1.5e5, -8.0), (1e6, -5.0), (1e6, 0.5), (3.3e7, -5.0), (1e6, 6.0)):
        at = shape + deviation * shape**0.5
        with mpmath.workdps(40):
            exact = [float(v) for v in gamma_shares(shape, at)]
        np.testing.assert_allclose(np.ravel(kernel(shape, at)), exact, rtol=2e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_densities_of_large_shape_keep_their_digits_in_every_derivative(backend: str) -> None:
    p, q = mpmath.mpf(2e5), mpmath.mpf(3e5)

    def gamma_density(t: Any) -> Any:
        return mpmath.exp((p - 1) * mpmath.log(t) - t - mpmath.loggamma(p))

    def beta_density(t: Any) -> Any:
        log_beta = mpmath.loggamma(p) + mpmath.loggamma(q) - mpmath.loggamma(p + q)
        return mpmath.exp((p - 1) * mpmath.log(t) + (q - 1) * mpmath.log(1 - t) - log_beta)

    cases = [
        (sp.lowergamma(a, x) / sp.gamma(a), gamma_density, 2.004e5),
        (sp.betainc_regularized(a, b, 0, x), beta_density, 0.4005),
    ]
    for share, density, at in cases:
        slopes = sp.ImmutableMatrix([sp.Derivative(share, (x, k)) for k in (1, 2, 3)])
        found = np.ravel(sg.compile(slopes, args=(a, b, x), outputs="value", backend=backend)(2e5, 3e5, at))
        with mpmath.workdps(60):
            exact = [float(mpmath.diff(density, mpmath.mpf(at), k)) for k in range(3)]
        np.testing.assert_allclose(found, exact, rtol=1e-11)


NEAR = {  # functions of x next to where they, or their derivatives, have a pole, a zero or a branch point
    "digamma": (sp.digamma(x), mpmath.digamma, [-7 + 2.0**-30, -1 - 2.0**-40, -0.75, -19.99]),
    "slope of gamma": (
        sp.Derivative(sp.gamma(x), x),
        lambda t: mpmath.gamma(t) * mpmath.digamma(t),
        [-7 + 2.0**-30, -2.7, 3.5],
    ),
    "loggamma": (sp.loggamma(x), mpmath.loggamma, [1 + 2.0**-40, 2 - 2.0**-30, 1.1, 1e-300, 1e300]),
    "slope of LambertW": (
        sp.Derivative(sp.LambertW(x), x),
        lambda t: mpmath.exp(-mpmath.lambertw(t)) / (1 + mpmath.lambertw(t)),
        [-0.36787944, -0.367, 3.0],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NEAR)
def test_digits_are_kept_next_to_poles_zeros_and_branch_points(name: str, backend: str) -> None:
    expression, function, points = NEAR[name]
    real = sp.Symbol("x", real=True)
    kernel = sg.compile(expression.xreplace({x: real}), args=(real,), outputs="value", backend=backend)
    exact = exactly(function, np.array(points)[:, None])
    np.testing.assert_allclose(kernel(np.array(points)), exact, rtol=2e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_of_beta_keep_their_digits_beside_large_shapes(backend: str) -> None:
    """digamma(a) - digamma(a + b) has lost them all at 1e15."""
    points = np.array([(7.4e7, 4.0), (1e15, 0.3), (250.0, 900.0), (3.0, 1e-9), (0.3, 0.7)])
    program = sg.program(sp.log(sp.beta(a, b)), args=(a, b), wrt=(a, b))
    grad = sg.compile(program, outputs="grad", backend=backend)(*points.T)
    with mpmath.workdps(60):
        for place, (p, q) in enumerate(points.tolist()):
            both = mpmath.psi(0, mpmath.mpf(p) + q)
            wanted = [float(mpmath.psi(0, t) - both) for t in (p, q)]
            np.testing.assert_allclose(np.ravel(grad[place]), wanted, rtol=2e-15)


ELLIPTIC = [(2.1e-8, -0.83), (0.7, 1e-9), (1.0, -4.2), (1.4, 0.93)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_of_elliptic_integrals_by_the_parameter_are_right_next_to_zero(backend: str) -> None:
    """In closed form they are differences over powers of m sin(phi)**2, which cancel."""
    rows = [sp.Derivative(f(a, b), (b, k)) for f in (sp.elliptic_f, sp.elliptic_e) for k in (1, 2, 3, 4)]
    kernel = sg.compile(sp.ImmutableMatrix(rows), args=(a, b), outputs="value", backend=backend)
    points = np.array(ELLIPTIC)
    found = np.reshape(kernel(*points.T), (len(points), 8))

    of_first = [(0.5, 1, -1.5), (0.75, 2, -2.5), (1.875, 3, -3.5), (6.5625, 4, -4.5)]
    of_second = [(-0.5, 1, -0.5), (-0.25, 2, -1.5), (-0.375, 3, -2.5), (-0.9375, 4, -3.5)]
    forms = [*of_first, *of_second]
    with mpmath.workdps(40):
        for place, (phi, m) in enumerate(points.tolist()):
            exact = [float(elliptic_integral(mpmath.mpf(phi), m, *form)) for form in forms]
            np.testing.assert_allclose(found[place], exact, rtol=3e-15)


def elliptic_integral(phi: Any, m: float, factor: float, j: int, power: float) -> Any:
    """The integral of factor * sin**(2j) * (1 - m sin**2)**power: F and E differentiated inside of it."""

    def integrand(u: Any) -> Any:
        sine = mpmath.sin(phi * u)
        return factor * (sine / phi) ** (2 * j) * (1 - m * sine**2) ** mpmath.mpf(power)

    return phi ** (2 * j + 1) * mpmath.quad(integrand, [0, 0.5, 1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_log_beta_of_negative_numbers_is_as_right_as_it_was_written(backend) -> None:
    points = np.array([(-4705307004297.207, -4e-20), (-265.339102822, -3e-19), (-25.32872472018228, 25.703)])
    p, q = sp.symbols("p q")
    written = sp.loggamma(p) + sp.loggamma(q) - sp.loggamma(p + q)

    def log_beta(p: Any, q: Any) -> Any:
        return mpmath.re(mpmath.loggamma(p) + mpmath.loggamma(q) - mpmath.loggamma(p + q))

    for order in (points, points[:, ::-1]):
        found = sg.compile(written, args=(p, q), outputs="value", backend=backend)(*order.T)
        np.testing.assert_allclose(found, exactly(log_beta, order), rtol=1e-14)
