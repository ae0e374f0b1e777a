"""Logarithms of products out of range, and numbers times logarithms at 0, on every target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
every_target = pytest.mark.parametrize("target", TARGETS)
x, y, z = sp.symbols("x y z", real=True)
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
v, w = (sp.IndexedBase(name, shape=(n,)) for name in "vw")
log = sp.log
SIZES = (5e-324, 3e-310, 1e-308, 1e-200, 1e-17, 0.3, 1.0, 20.0, 1e8, 1e154, 1e300, float(np.finfo(float).max))


def is_near(found: float, wanted: Any, ulps: float, size: float = 0.0) -> bool:
    """`size` is of what is added up: near 1 a logarithm has the digits that a rounded product leaves it."""
    near = float(wanted)
    return found == near or bool(abs(found - wanted) <= ulps * np.spacing(max(abs(near), size)) + 5e-324)


# name -> expression of x and y, its value and gradient from p, q > 0
OF_TWO: dict[str, tuple[Any, Callable[[Any, Any], Sequence[Any]]]] = {
    "log(x*y)": (log(x * y), lambda p, q: (mpmath.log(p * q), 1 / p, 1 / q)),
    "log(x/y)": (log(x / y), lambda p, q: (mpmath.log(p / q), 1 / p, -1 / q)),
    "log(1/(x*y))": (log(1 / (x * y)), lambda p, q: (-mpmath.log(p * q), -1 / p, -1 / q)),
    "log(x**2*y**3)": (log(x**2 * y**3), lambda p, q: (mpmath.log(p**2 * q**3), 2 / p, 3 / q)),
    "log(|x*y|)": (log(sp.Abs(x * y)), lambda p, q: (mpmath.log(p * q), 1 / p, 1 / q)),
    "x*log(x/y)": (x * log(x / y), lambda p, q: (p * mpmath.log(p / q), mpmath.log(p / q) + 1, -p / q)),
    "x*log(y)": (x * log(y), lambda p, q: (p * mpmath.log(q), mpmath.log(q), p / q)),
}


@every_target
@pytest.mark.parametrize("name", OF_TWO)
def test_a_logarithm_of_two_numbers_is_right_for_numbers_of_any_size(name: str, target: str) -> None:
    expr, exact = OF_TWO[name]
    kernel = sg.compile(expr, args=(x, y), wrt=(x, y), outputs=("value", "grad"), backend=target)
    pairs = np.array([(a, b) for a in SIZES for b in SIZES])
    values, gradients = kernel(pairs[:, 0], pairs[:, 1])
    with mpmath.workdps(700):
        for (a, b), value, gradient in zip(pairs, values, gradients, strict=True):
            wanted = exact(mpmath.mpf(a), mpmath.mpf(b))
            terms = abs(3 * np.log(a)) + abs(3 * np.log(b)) if "**" in name else 1.0  # of a sum of several
            sizes = (a, 1.0, 0.0) if name.startswith("x*") else (terms, 0.0, 0.0)
            for found, right, size in zip((value, *gradient), wanted, sizes, strict=True):
                assert is_near(found, right, 8, size), (a, b, found, mpmath.nstr(right, 17))


@every_target
def test_signs_zeros_and_infinities_are_those_of_the_plain_product(target: str) -> None:
    for expr in (log(x * y), log(x / y), log(x * y * z), log(x**y), x * log(y)):
        args = sorted(expr.free_symbols, key=str)
        on, off = (
            sg.compile(expr, args=args, backend=b, stabilise=s) for b, s in ((target, True), ("numpy", False))
        )
        special = (0.0, -2.0, 3.0, np.inf, -np.inf, np.nan)
        for a in special:
            for b in special:
                point = (a, b, 0.5)[: len(args)]
                with np.errstate(all="ignore"):
                    plain, found = off(*point)[0], on(*point)[0]
                is_term_of_an_entropy = expr == x * log(y) and a == b == 0
                assert is_term_of_an_entropy or np.array_equal(found, plain, equal_nan=True), (expr, point)


@every_target
def test_a_likelihood_of_many_numbers_does_not_underflow(target: str) -> None:
    """And the sum of logarithms is not taken where the product is in range."""
    shares, counts = np.linspace(0.001, 0.4, 300), np.arange(300) % 7
    cases = (
        (log(sp.Product(v[i], (i, 0, n - 1))), np.ones(300)),
        (log(sp.Product(v[i] ** w[i], (i, 0, n - 1))), counts),
        (log(sp.Abs(sp.Product(-(v[i] ** 2), (i, 0, n - 1)))), 2 * np.ones(300)),
    )
    with mpmath.workdps(60):
        for expr, powers in cases:
            args = [a for a in (v, w) if a in expr.atoms(sp.IndexedBase)]
            kernel = sg.compile(
                expr, args=args, wrt=v, outputs=("value", "grad", "hess_diag"), backend=target
            )
            value, gradient, diagonal = kernel(*(shares, counts.astype(float))[: len(args)])
            wanted = mpmath.fsum(k * mpmath.log(mpmath.mpf(p)) for k, p in zip(powers, shares, strict=True))
            assert abs(value - wanted) <= 1e-15 * abs(wanted)
            np.testing.assert_allclose(gradient, powers / shares, rtol=1e-14)
            np.testing.assert_allclose(diagonal, -powers / shares**2, rtol=1e-14)
    kernel = sg.compile(cases[0][0], args=(v,), backend=target)
    assert kernel(np.array([1 + 2.0**-40, 1 - 2.0**-41]))[0] == np.log((1 + 2.0**-40) * (1 - 2.0**-41))
    assert np.isnan(kernel(np.array([-1e-200, 1e-200]))[0]) or kernel(np.array([-1e-200, 1e-200]))[0] < -900
    assert kernel(np.array([1e200, 1e200, 1e-200, 1e-200, 1e-200]))[0] == pytest.approx(
        np.log(1e-200), rel=1e-15
    )


@every_target
def test_a_density_with_factors_has_a_logarithm_where_it_underflows(target: str) -> None:
    density = sp.exp(-((x - y) ** 2) / (2 * z**2)) / (sp.sqrt(2 * sp.pi) * z)
    args = (x, y, z)
    kernel = sg.compile(log(density), args=args, wrt=args, outputs=("value", "grad"), backend=target)
    for point in ((100.0, 0.0, 1.0), (1.0, 0.5, 2.0), (0.0, 1e5, 0.25)):
        a, b, s = map(mpmath.mpf, point)
        u = (a - b) / s
        value, gradient = kernel(*point)
        assert is_near(value, -u * u / 2 - mpmath.log(mpmath.sqrt(2 * mpmath.pi) * s), 4, 1.0)
        for found, wanted in zip(gradient, (-u / s, u / s, (u * u - 1) / s), strict=True):
            assert is_near(found, wanted, 8)


# ---- terms of entropies ------------------------------------------------------------------------


@every_target
def test_relative_entropy_at_zero_is_zero_and_its_slope_is_minus_infinity(target: str) -> None:
    words = ("value", "grad", "hess")
    kernel = sg.compile(x * log(x / y), args=(x, y), wrt=(x, y), outputs=words, backend=target)
    value, gradient, hessian = kernel(0.0, 0.5)
    assert value == 0
    np.testing.assert_array_equal(gradient, [-np.inf, 0.0])
    np.testing.assert_array_equal(hessian, [[np.inf, -2.0], [-2.0, 0.0]])
    sums = sp.Sum(v[i] * log(v[i] / w[i]), (i, 0, n - 1))
    kernel = sg.compile(sums, args=(v, w), wrt=(v, w), outputs=("value", "grad"), backend=target)
    value, (by_p, by_q) = kernel(np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    assert value == pytest.approx(np.log(2), rel=1e-15)
    np.testing.assert_allclose(by_p, [-np.inf, np.log(2) + 1], rtol=1e-15)
    np.testing.assert_array_equal(by_q, [0.0, -2.0])
    middle = (x + y) / 2
    divergence = x * log(x / middle) + y * log(y / middle)
    value, gradient = sg.compile(
        divergence, args=(x, y), wrt=(x, y), outputs=("value", "grad"), backend=target
    )(0.0, 0.5)
    assert value == pytest.approx(0.5 * np.log(2), rel=1e-15)
    np.testing.assert_allclose(gradient, [-np.inf, np.log(2)], rtol=1e-15)


@every_target
def test_terms_of_a_cross_entropy_that_are_nothing_are_zero(target: str) -> None:
    binary = -y * log(x) - (1 - y) * log(1 - x)
    kernel = sg.compile(binary, args=(x, y), wrt=x, outputs=("value", "grad"), backend=target)
    assert kernel(0.0, 0.0) == (0.0, 1.0)
    assert kernel(1.0, 1.0) == (0.0, -1.0)
    assert kernel(0.0, 1.0) == (np.inf, -np.inf)
    sums = -sp.Sum(v[i] * log(w[i]), (i, 0, n - 1))
    kernel = sg.compile(sums, args=(v, w), wrt=w, outputs=("value", "grad"), backend=target)
    value, gradient = kernel(np.array([0.0, 0.25, 0.75]), np.array([0.0, 0.5, 0.5]))
    assert value == pytest.approx(np.log(2), rel=1e-15)
    np.testing.assert_array_equal(gradient, [0.0, -0.5, -1.5])
