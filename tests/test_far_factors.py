"""Factors that leave the range of numbers where what they make does not: densities, ratios, tails."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact
from kept_digits import arguments, wrong_entries

import symgrad as sg

x, y, a, b = sp.symbols("x y a b", real=True)
exp, log, gamma = sp.exp, sp.log, sp.gamma
sinh, tanh, erfinv = sp.sinh, sp.tanh, sp.erfinv
TARGETS = ("numpy", "llvm", "c")
SHAPES = ((2.5, 1.25), (200.0, 190.0), (300.0, 310.0), (0.5, 1e-8))

# name -> expression, points of its arguments sorted by name.
CASES: dict[str, tuple[Any, tuple[tuple[float, ...], ...]]] = {
    "log(gamma(x))": (log(gamma(x)), ((2.5,), (200.0,), (1e6,), (1e-3,))),
    "log(sinh(x))": (log(sinh(x)), ((1e-9,), (0.5,), (40.0,), (800.0,), (1e5,))),
    "log(tanh(x))": (log(tanh(x)), ((1e-9,), (0.5,), (10.0,), (40.0,), (300.0,))),
    "log(2*sinh(x))": (log(2 * sinh(x)), ((1e-9,), (0.25,), (40.0,), (800.0,), (1e5,))),
    "log(tanh(x/2)) by exponentials": (
        log((1 - exp(-x)) / (1 + exp(-x))),
        ((1e-9,), (0.5,), (40.0,), (300.0,)),
    ),
    "1 less a power of what saturates": (
        1 - (1 - exp(-x)) ** 5,
        ((1e-3,), (0.5,), (2.0,), (40.0,), (300.0,)),
    ),
    "likewise a high power": (1 - (1 - exp(-x)) ** 12, ((1e-3,), (0.5,), (2.0,), (40.0,), (300.0,))),
    "its logarithm": (log(1 - (1 - exp(-x)) ** 2), ((1e-9,), (1e-3,), (0.5,), (2.0,), (40.0,), (300.0,))),
    "1 less what saturates in two": (
        1 - (1 - exp(-x)) * (1 - exp(-y)),
        ((0.5, 2.0), (20.0, 30.0), (300.0, 1.0)),
    ),
    "a choice's logarithm": (log(1 - (1 - x) ** 3), ((1e-9,), (0.25,), (1 - 2.0**-30,), (1.5,), (3.0,))),
    "quantile of a complement": (erfinv(1 - x), ((1e-17,), (1e-3,), (1e-100,), (1.5,), (0.75,))),
    "normal quantile": (sp.sqrt(2) * erfinv(2 * x - 1), ((1e-17,), (1e-3,), (1e-100,), (0.75,), (0.25,))),
}
# The same where logarithms up to 1000 are exponents: three digits of 16 are theirs.
FAR: dict[str, tuple[Any, tuple[tuple[float, ...], ...]]] = {
    "gamma density": (x ** (a - 1) * exp(-x) / gamma(a), SHAPES),
    "gamma density with a rate": (b**a * x ** (a - 1) * exp(-b * x) / gamma(a),
                                  tuple((s, 0.5, 2 * t) for s, t in SHAPES)),
    "Poisson probability": (x**a * exp(-x) / gamma(a + 1), SHAPES),
    "beta density": (x ** (a - 1) * (1 - x) ** (b - 1) * gamma(a + b) / (gamma(a) * gamma(b)),
                     ((2.0, 3.0, 0.25), (200.0, 300.0, 0.375))),
    "beta density by beta": (x ** (a - 1) * (1 - x) ** (b - 1) / sp.beta(a, b),
                             ((2.0, 3.0, 0.25), (600.0, 700.0, 0.4375))),
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_value_gradient_and_hessian_are_right(name, target):
    expr, points = CASES[name]
    assert not wrong_entries(expr, points, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FAR)
def test_large_logarithms_cost_three_digits(name, target):
    expr, points = FAR[name]
    args = arguments(expr)
    kernel = sg.compile(expr, args=args, wrt=args, outputs=("value", "grad", "hess"), backend=target)
    with mpmath.workdps(60):
        for point in points:
            found = np.concatenate([np.ravel(r) for r in kernel(*point)])
            wanted = [float(w) for w in exact(expr, args, point)]
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-306)


@pytest.mark.parametrize("backend", TARGETS)
def test_where_no_factor_is_out_of_range_the_plain_quotient_is_taken(backend):
    density = x ** (a - 1) * exp(-x) / gamma(a)
    options = {"args": (a, x), "outputs": "value", "backend": backend}
    plain = sg.compile(density, stabilise=False, **options)
    kernel = sg.compile(density, **options)
    for point in ((2.5, 1.25), (17.0, 9.0), (0.5, 3.0)):
        np.testing.assert_allclose(kernel(*point), plain(*point), rtol=1e-15)


@pytest.mark.parametrize("backend", TARGETS)
def test_densities_and_their_slopes_at_the_ends_of_their_range(backend):
    kernel = sg.compile(
        x ** (a - 1) * exp(-x) / gamma(a), args=(a, x), wrt=x, outputs=("value", "grad"), backend=backend
    )
    assert kernel(1.0, 0.0) == (1.0, -1.0)
    assert kernel(2.0, 0.0) == (0.0, 1.0)
    assert kernel(3.0, 0.0) == (0.0, 0.0)
    assert kernel(0.5, 0.0)[0] == np.inf
    value, slope = kernel(300.0, 1e-3)
    assert (value, slope) == (0.0, 0.0)


@pytest.mark.parametrize("backend", TARGETS)
def test_logarithms_of_negative_numbers_stay_nan(backend):
    value = sg.compile(log(gamma(x)), outputs="value", backend=backend)
    assert np.isnan(value(-0.5)) and np.isfinite(value(-1.5))
    assert np.isnan(sg.compile(log(sinh(x)), outputs="value", backend=backend)(-1.0))
    assert np.isnan(sg.compile(log(tanh(x)), outputs="value", backend=backend)(-1.0))
    assert sg.compile(log(sinh(x)), outputs="value", backend=backend)(0.0) == -np.inf


def test_the_sign_of_gamma_functions_of_negative_arguments_is_kept():
    kernel = sg.compile(gamma(x + sp.Rational(1, 2)) / gamma(x), outputs=("value", "grad"))
    assert kernel(-1.25) == (
        pytest.approx(-1.23278129966193, rel=1e-13),
        [pytest.approx(8.14653851332884, rel=1e-13)],
    )
