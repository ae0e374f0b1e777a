"""x**y by x: as many digits as the value has, also where the exponent less 1 is rounded."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from routines import TARGETS

import symgrad as sg
from symgrad.run.accuracy import last_places

BACKENDS = ("numpy", *TARGETS)
x, y = sp.symbols("x y", positive=True)
BASES = {
    "float64": (3.2e-272, 1e-300, 7e-5, 0.3, 1.7, 2e4, 9e200),
    "float32": (3.2e-9, 1e-16, 7e-5, 0.3, 1.7, 2e4, 9e20),
}
EXPONENTS = (0.1455, 1 / 3, -0.3, -1.7, 0.49999, 0.75, 1.2, 1e-3, 1e-17)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_of_a_power_by_its_base_are_within_a_few_places(backend: str, dtype: str) -> None:
    program = sg.program(x**y, args=(x, y), wrt=x)
    kernel = sg.compile(program, outputs=("grad", "hess"), backend=backend, dtype=dtype)
    pairs = np.array([(a, b) for a in BASES[dtype] for b in EXPONENTS]).astype(dtype).astype(np.float64)
    with mpmath.workdps(40):
        exact = [(b * a ** (b - 1), b * (b - 1) * a ** (b - 2)) for a, b in map(_exactly, pairs)]
        low, high = map(float, (np.finfo(dtype).tiny, np.finfo(dtype).max))
        fits = [all(low <= abs(v) <= high for v in both) for both in exact]
    grad, hess = kernel(*pairs[fits].T)
    wanted = np.array(exact, dtype=object)[fits]
    assert len(wanted) > 25
    assert last_places(np.ravel(grad), wanted[:, 0], dtype).max() <= 3
    assert last_places(np.ravel(hess), wanted[:, 1], dtype).max() <= 5


def _exactly(pair: np.ndarray) -> tuple[mpmath.mpf, mpmath.mpf]:
    return mpmath.mpf(float(pair[0])), mpmath.mpf(float(pair[1]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_of_a_power_at_zero_and_infinity(backend: str) -> None:
    grad = sg.compile(sg.program(x**y, args=(x, y), wrt=x), outputs="grad", backend=backend)
    inf = np.inf
    base = np.array([0.0, 0.0, 0.0, 0.0, 0.0, inf, inf, inf])
    exponent = np.array([0.0, 0.3, 1.0, 1.5, -0.3, 0.3, -0.3, 1.5])
    wanted = [0.0, inf, 1.0, 0.0, -inf, 0.0, 0.0, inf]
    np.testing.assert_array_equal(np.ravel(grad(base, exponent)), wanted)


def test_the_derivative_of_a_power_prints_as_a_power() -> None:
    program = sg.program(x**y, args=(x, y), wrt=x)
    assert program.grad == y * x ** (y - 1)
    twice = sg.program(sp.Derivative(x**y, (x, 2)), args=(x, y), wrt=x)
    assert x ** (y - 3) in twice.grad.atoms(sp.Pow)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_slope_of_a_power_varies_with_its_exponent_where_it_is_zero(backend: str) -> None:
    """d/dy of y*x**(y - 1) is 1/x at y = 0, of y*(y - 1)*x**(y - 2) is 1/x at y = 1."""
    base = np.array([0.3, 1.0, 2.0, 1e5])
    hess = sg.compile(x**y, args=(x, y), wrt=(x, y), outputs="hess", backend=backend)
    for a, found in zip(base, hess(base, np.zeros(4)), strict=True):
        np.testing.assert_allclose(found, [[0, 1 / a], [1 / a, np.log(a) ** 2]], rtol=1e-15)
    curvature = sp.Derivative(x**y, (x, 2))
    slope = sg.compile(curvature, args=(x, y), wrt=y, outputs="grad", backend=backend)
    np.testing.assert_allclose(np.ravel(slope(base, np.ones(4))), 1 / base, rtol=1e-15)
    at_ends = hess(np.array([0.0, 5e-324]), np.zeros(2))
    assert at_ends[0].tolist() == [[0, 0], [0, 0]] and at_ends[1, 0, 0] == 0
