"""Products with exponentials that leave the range of numbers before the product does (`opt.far`)."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy import cosh, exp, sinh

import symgrad as sg
from symgrad.opt.far import far_products

x, y = sp.symbols("x y", real=True)
BACKENDS = ["llvm", "c", "numpy"]
OUTPUTS = ("value", "grad", "hess", "jvp", "hvp")
DIGITS = 500
RELATIVE = 1e-13
LEAST = 2.3e-308  # below it digits are missing
LAST = 5e-324  # of a term that a derivative multiplies by x**2
FAR = (300.0, 372.0, 600.0, 709.0, 709.9, 715.0, 722.0, 731.0, 744.0, 750.0, 760.0, 1e4)
ON_BOTH_SIDES = (*FAR, *(-point for point in FAR), 0.5, -3.0, 1e-9)
FIRST, SECOND = (-715.0, -1.0, 1e-9, 3.0, 705.0, 711.0, 745.0), (-1.0, 2.0, 705.0, 716.0, 744.0, 760.0)
PAIRS = tuple((a, b) for a in FIRST for b in SECOND)
ONE = {
    "bernoulli": x / (exp(x) - 1),
    "bernoulli, the other way": x / (1 - exp(-x)),
    "bernoulli by exp(-x)": x * exp(-x) / (1 - exp(-x)),
    "heat capacity of an oscillator": x**2 * exp(x) / (exp(x) - 1) ** 2,
    "planck": x**3 / (exp(x) - 1),
    "occupation": 1 / (exp(x) - 1),
    "slope of the occupation": exp(x) / (exp(x) - 1) ** 2,
    "cosecant": 1 / sinh(x),
    "x over sinh": x / sinh(x),
}
SEVERAL = {
    "quotient of two": (exp(x) - 1) / (exp(y) - 1),
    "over 1 + exp(y)": exp(x) / (1 + exp(y)),
    "number over one": x / (exp(y) - 1),
    "hyperbolic": sinh(x) / sinh(y),
}
GROWING = {"exp(x)/x": exp(x) / x, "exp(x)/x**2": exp(x) / x**2, "cosh(x)/x": cosh(x) / x}


def _wanted(expr, args, point):
    """Value, gradient, Hessian, and the parts of the last two along the first argument."""
    rows = [expr, *(expr.diff(s) for s in args), *(expr.diff(s, t) for s in args for t in args)]
    with mpmath.workdps(DIGITS):
        found = [mpmath.mpf(v) for v in sp.lambdify(args, rows, "mpmath")(*map(mpmath.mpf, point))]
    count = len(args)
    return [*found, found[1], *found[1 + count : 1 + 2 * count]]


def _assert_right(kernel, expr, args, point):
    tangent = (1.0, *[0.0] * (len(args) - 1))
    with np.errstate(all="ignore"):
        results = kernel(*point, tangent=tangent)
    found = np.concatenate([np.ravel(result) for result in results])
    for f, w in zip(found, _wanted(expr, args, point), strict=True):
        if abs(w) > mpmath.mpf(np.finfo(float).max):
            assert not np.isfinite(f), (point, f, w)
        else:
            allowed = RELATIVE * max(abs(w), LEAST) + LAST * max(map(abs, point)) ** 2
            assert abs(mpmath.mpf(float(f)) - w) <= allowed, (point, f, mpmath.nstr(w))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ONE)
def test_quotients_by_exponentials_are_right_beyond_the_range_of_these(name, backend):
    kernel = sg.compile(ONE[name], [x], [x], outputs=OUTPUTS, backend=backend)
    for point in ON_BOTH_SIDES:
        _assert_right(kernel, ONE[name], [x], (point,))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SEVERAL)
def test_exponentials_of_two_values_cancel_where_both_overflow(name, backend):
    kernel = sg.compile(SEVERAL[name], [x, y], [x, y], outputs=OUTPUTS, backend=backend)
    for point in PAIRS:
        _assert_right(kernel, SEVERAL[name], [x, y], point)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GROWING)
def test_what_an_exponential_is_divided_by_keeps_the_quotient_in_range(name, backend):
    kernel = sg.compile(GROWING[name], [x], [x], outputs=OUTPUTS, backend=backend)
    for point in (300.0, 709.9, 711.0, 713.5):
        _assert_right(kernel, GROWING[name], [x], (point,))


def test_exponentials_of_two_values_may_be_of_any_size():
    quotient = sg.compile((exp(x) - 1) / (exp(y) - 1), args=[x, y], outputs="value")
    assert quotient(1e6 + 0.5, 1e6) == pytest.approx(np.exp(0.5), rel=1e-15)
    assert quotient(3.0, np.inf) == 0
    assert np.isnan(quotient(np.nan, 3.0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_products_keep_the_order_that_keeps_them_in_range(backend):
    """Three divisors of which no two have a product."""
    expr = (exp(x) - 1) / (exp(y) - 1)
    kernel = sg.compile(expr, [x, y], [x, y], outputs=OUTPUTS, backend=backend)
    for point in ((1e-160, 1e-150), (1e-20, 1e-150)):
        _assert_right(kernel, expr, [x, y], point)


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_range_nothing_changes_to_the_last_digit(backend):
    points = np.random.default_rng(1).uniform(-170, 170, 500)
    kernel = sg.compile(x / (exp(x) - 1), args=[x], outputs="value", backend=backend)
    expm1 = sg.compile(exp(x) - 1, args=[x], outputs="value", backend=backend)
    apart = np.abs(points) > 10  # nearer to 0 it is a series
    found, below = kernel(points), expm1(points)
    assert np.array_equal(found[apart], (points / below)[apart])


@pytest.mark.parametrize("backend", BACKENDS)
def test_infinities_and_nans_stay(backend):
    kernel = sg.compile(1 / (exp(x) - 1), args=[x], outputs="value", backend=backend)
    assert kernel(np.inf) == 0
    assert kernel(-np.inf) == -1
    assert np.isnan(kernel(np.nan))


@pytest.mark.parametrize("backend", BACKENDS)
def test_single_precision(backend):
    kernel = sg.compile(x / (exp(x) - 1), args=[x], outputs="value", backend=backend, dtype="float32")
    for point in (-800.0, -200.0, 1.5, 80.0, 200.0, 800.0):
        assert kernel(point) == pytest.approx(
            float(_wanted(x / (exp(x) - 1), [x], (point,))[0]), rel=1e-6, abs=1e-37
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_elements_of_arrays(backend):
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    v = sp.IndexedBase("v", shape=(n,))
    kernel = sg.compile(
        sp.Sum(v[i] ** 3 / (exp(v[i]) - 1), (i, 0, n - 1)), [v], [v], outputs="grad", backend=backend
    )
    found = np.ravel(kernel(np.array(FAR)))
    for f, point in zip(found, FAR, strict=True):
        wanted = _wanted(x**3 / (exp(x) - 1), [x], (point,))[1]
        assert abs(mpmath.mpf(float(f)) - wanted) <= RELATIVE * max(abs(wanted), LEAST)


@pytest.mark.parametrize(
    "expr", [x * exp(-x), exp(x) * y, y / (1 + exp(-x)), exp(-(x**2)) / y, sp.tanh(x) * y], ids=str
)
def test_products_that_cannot_tell_stay_as_they_are(expr):
    units = []
    sg.compile(
        expr,
        [x, y],
        [x, y],
        outputs="grad",
        watch=lambda stage, unit: units.append(unit) if stage == "inline" else None,
    )
    (unit,) = units
    graph, tensors = far_products(unit.graph, unit.roots)
    assert graph is unit.graph
    assert all(tensors[t] == t for t in unit.roots)
