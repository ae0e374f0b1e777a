"""loggamma(1 + x) and loggamma(2 + x) next to x = 0, where they are 0 (`opt.near_zeros`)."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

x, y = sp.symbols("x y", real=True)
BACKENDS = ["llvm", "c", "numpy"]
POINTS = (1e-40, -1e-20, 1e-12, -1e-9, 1e-4, -0.01, 0.03124, -0.03126, 0.04, 0.3, -0.9, 20.0)
DIGITS = 120
RELATIVE = 1e-14
EXPRESSIONS = (
    sp.loggamma(1 + x),
    sp.loggamma(2 + x),
    sp.loggamma(1 - x),
    sp.log(sp.gamma(1 + x)),
    sp.loggamma(x**2 + 1),
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("expr", EXPRESSIONS, ids=str)
def test_value_and_slope_keep_their_digits(expr, backend):
    kernel = sg.compile(expr, [x], [x], outputs=("value", "grad"), backend=backend)
    exact = sp.lambdify([x], [expr, expr.diff(x)], "mpmath")
    for point in POINTS:
        with mpmath.workdps(DIGITS):
            try:
                wanted = [mpmath.re(v) for v in exact(mpmath.mpf(point))]
            except ValueError:  # a pole
                continue
        for f, w in zip(kernel(point), wanted, strict=True):
            assert abs(mpmath.mpf(float(np.ravel(f)[0])) - w) <= RELATIVE * abs(w), point


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_beside_the_number_may_be_anything(backend):
    kernel = sg.compile(sp.loggamma(2 + x - y), [x, y], outputs="value", backend=backend)
    found = [float(np.ravel(kernel(a, b))[0]) for a, b in ((3e-12, 1e-12), (1.5, 0.25))]
    with mpmath.workdps(DIGITS):
        wanted = [
            mpmath.loggamma(2 + mpmath.mpf(a) - mpmath.mpf(b)) for a, b in ((3e-12, 1e-12), (1.5, 0.25))
        ]
    assert all(abs(f - w) <= 1e-13 * abs(w) for f, w in zip(found, wanted, strict=True))


def test_nan_and_the_pole_stay():
    kernel = sg.compile(sp.loggamma(1 + x), [x], outputs="value")
    assert np.isnan(float(np.ravel(kernel(np.nan))[0]))
    assert float(np.ravel(kernel(-1.0))[0]) == np.inf
