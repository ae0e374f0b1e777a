"""Losses and densities with a width k, functions of (x/k)**2: right wherever the result is a number.

The squares of x and k leave the range of numbers at 1e155 and at 1e-162. Against mpmath.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact as derivatives
from test_far_out import TARGETS, exact

import symgrad as sg

x, y, k = sp.symbols("x y k", real=True)
q = (x / k) ** 2
LOSSES = (
    k**2 * (sp.sqrt(1 + q) - 1),
    k**2 * sp.log(1 + q),
    k**2 * (1 - sp.exp(-q)),
    sp.log(1 + q),
    sp.sqrt(1 + q),
    k * sp.sqrt(1 + q),
    x * q,
)
FAR = [(1e180, width) for width in (1e-3, 1.0, 30.0, 1e100, 1e200)]
NEAR = [(share * width, width) for share in (0.25, -1.5, 6.0) for width in (1e-120, 1e-160, 1e150, 1e180)]
LARGEST, SMALLEST = mpmath.mpf("1e307"), mpmath.mpf("1e-306")


def entries(expr: Any, point: tuple[float, float], words: tuple[str, ...], backend: str) -> list[float]:
    kernel = sg.compile(expr, args=(x, k), wrt=(x, k), outputs=words, backend=backend)
    with np.errstate(all="ignore"):
        return [float(part) for out in kernel(*point) for part in np.ravel(out)]


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("expr", LOSSES, ids=str)
def test_a_function_of_a_quotient_does_not_square_its_parts(expr, backend):
    for point in FAR + NEAR:
        wanted = exact(expr, (x, k), point)[:3]
        found = entries(expr, point, ("value", "grad"), backend)
        for a, b in zip(found, wanted, strict=True):
            if abs(b) < LARGEST:
                assert abs(a - b) <= 1e-13 * abs(b) + SMALLEST, (point, found, wanted)


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("expr", [sp.log(1 + q), sp.sqrt(1 + q)], ids=str)
def test_second_derivatives_do_not_either(expr, backend):
    for point in ((3e180, 2e180), (-2e-180, 1e-180), (0.3, 0.7), (1e8, 1.0), (1e-8, 1.0)):
        wanted = exact(expr, (x, k), point)
        found = entries(expr, point, ("value", "grad", "hess"), backend)
        for a, b in zip(found, wanted, strict=True):
            if abs(b) < LARGEST:
                assert abs(a - b) <= 1e-13 * abs(b) + SMALLEST, (point, found, wanted)


def test_a_square_that_a_loop_does_not_repeat_is_computed_once():
    """x[i]/k**2 has one division for each element, as before: k*k is not in the loop."""
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    v = sp.IndexedBase("v", shape=(n,))
    kernel = sg.compile(sp.Sum(v[i] / k**2, (i, 0, n - 1)), args=(v, k), outputs="value", backend="c")
    loop = kernel.source[kernel.source.index("for (") :]
    assert loop[: loop.index("}")].count("/") <= 1


WEIGHTS = (1 / (1 + q), 1 / (1 + q) ** 2, (1 + q) ** sp.Rational(-3, 2), 1 / (1 + (2 * x / k) ** 2))


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("expr", WEIGHTS, ids=str)
def test_weights_with_a_width_are_right_at_all_magnitudes(expr, backend):
    shares = [(share * width, width) for share in (0.25, -6.0) for width in (1e-120, 1e150, -1e180)]
    apart = [(1e-300, 1e155), (3.0, -1e200), (1e200, 0.3), (-1e155, 1e-160), (1e-8, 1.0), (1e-80, 1e100)]
    for point in (*shares, *apart):
        wanted = exact(expr, (x, k), point)
        found = entries(expr, point, ("value", "grad", "hess"), backend)
        for a, b in zip(found, wanted, strict=True):
            assert abs(a - b) <= 1e-13 * abs(b) + SMALLEST, (point, found, wanted)


@pytest.mark.parametrize("backend", TARGETS)
def test_the_mixed_entry_of_a_cauchy_loss_does_not_underflow_far_out(backend):
    """4*k/x: q times the derivative of q/(1 + q**2), which is below all numbers."""
    hessian = entries(k**2 * sp.log(1 + q), (1e200, 0.3), ("hess",), backend)
    assert abs(hessian[1] - 1.2e-200) <= 1e-213 and hessian[1] == hessian[2]


@pytest.mark.parametrize("expr", WEIGHTS, ids=str)
def test_weights_are_flat_for_an_infinite_width(expr):
    value, by_x, by_k, *_ = entries(expr, (3.0, np.inf), ("value", "grad"), "llvm")
    assert (value, by_x, by_k) == (1, 0, 0)


def test_powers_of_one_over_a_square_beside_one_have_one_slope():
    """-2*(x/h)*(1/h)**3: by quotients of 1/h twice as many divisions."""
    kernel = sg.compile(1 / (1 + x**2), args=(x,), wrt=(x,), outputs=("value", "grad"), backend="c")
    body = kernel.source[kernel.source.index("{") :]
    assert body[: body.index("\n}")].count(" / ") <= 3


SLOPES = (
    k**2 * (sp.sqrt(1 + q) - 1),
    x / sp.sqrt(1 + q),
    k**2 * x**2 / (k**2 + x**2),
    k * (sp.sqrt(1 + q) - 1),
    (sp.sqrt(x**2 + k**2) - k) / x,
)


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("expr", SLOPES, ids=str)
def test_second_derivatives_by_a_width_do_not_cancel(expr, backend):
    shares = [(share * width, width) for share in (0.25, -6.0) for width in (1e-60, 1e60, -1e150)]
    apart = [
        (3.0, -1e-200),
        (1e100, 0.3),
        (-1e155, 1e-120),
        (1e-8, 1.0),
        (1e-80, 1e10),
        (1e9, 2.0),
        (-1e-9, -1.0),
    ]
    for point in (*shares, *apart):
        with mpmath.workdps(1500):
            wanted = derivatives(expr, (x, k), point)
        found = entries(expr, point, ("value", "grad", "hess"), backend)
        for a, b in zip(found, wanted, strict=True):
            assert abs(a - b) <= 1e-13 * abs(b) + SMALLEST, (point, found, wanted)


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("expr", [(sp.sqrt(1 + x**2) - 1) / x, x * (sp.sqrt(1 + 1 / x**2) - 1)], ids=str)
def test_a_root_less_1_over_or_times_its_side_is_right_for_all_numbers(expr, backend):
    kernel = sg.compile(expr, args=(x,), wrt=(x,), outputs=("value", "grad", "hess"), backend=backend)
    for point in (5e-324, 1e-300, -1e-155, 1e-80, -1e-8, 0.3, -1.0, 1e3, 1e8, -1e80, 1e155, -1e300, 1.7e308):
        with np.errstate(all="ignore"):
            found = [float(np.ravel(part)[0]) for part in kernel(point)]
        with mpmath.workdps(1500):
            wanted = derivatives(expr, (x,), (point,))
        for a, b in zip(found, wanted, strict=True):
            assert abs(a - b) <= 1e-13 * abs(b) + SMALLEST, (point, found, wanted)


ROOTS = (
    sp.sqrt(x**2 + x) - x,
    sp.sqrt(4 * x**2 + x) - 2 * x,
    x + sp.sqrt(x**2 + x),
    sp.sqrt(x**2 + k * x) - x,
    sp.sqrt(x**2 + k * x + 3) - x,
    x - sp.sqrt(x**2 - x),
)


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("expr", ROOTS, ids=str)
def test_a_root_less_its_side_is_regular_at_infinity(expr, backend):
    """The difference, and that of its derivatives, to all digits; beyond 1e155 the square overflows."""
    for side in (1e200, -1e200, 1e160, 1e80, -1e80, 1e8, -1e8, 1e3, -40.0, 5.0):
        wanted = exact(expr, (x, k), (side, 0.75))
        found = entries(expr, (side, 0.75), ("value", "grad", "hess"), backend)
        for a, b in zip(found, wanted, strict=True):
            assert abs(a - b) <= 1e-13 * abs(b) + SMALLEST, (side, found, wanted)
