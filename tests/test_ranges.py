"""Sums of squares out of range (`opt.ranges`): the sums in range, single precision, what is no number."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.graph import Graph
from symgrad.opt.ranges import in_range

x, y, z = sp.symbols("x y z", real=True)
BACKENDS = ["llvm", "c", "numpy"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_range_nothing_changes_to_the_last_digit(backend):
    """Of numbers whose squares are exact: they may be added with one rounding or with two."""
    rng = np.random.default_rng(3)
    first, second = rng.integers(-1000, 1000, (2, 500)) * 2.0 ** rng.integers(-490, 490, (2, 500))
    kernel = sg.compile(x / (1 + x**2 + y**2), args=(x, y), outputs="value", backend=backend)
    with np.errstate(all="ignore"):
        orders = [first / (first**2 + second**2 + 1), first / (first**2 + 1 + second**2)]
        orders.append(first / (second**2 + 1 + first**2))
        found = kernel(first, second)
    assert any(np.array_equal(found, wanted) for wanted in orders)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "expr",
    [x / (1 + x**2 + y**2), y / (1 + x**2), x * y / (1 + x**2 + y**2), sp.log(1 + x**2 + y**2),
     sp.log(2 + x**2), sp.log(x**2 + y**2 + z**2), x**2 / (y**2 + z**2 + x**2)],
    ids=str,
)  # fmt: skip
def test_single_precision(expr, backend):
    """To 2^-20 of the value, where that is a normal number."""
    args = sorted(expr.free_symbols, key=str)
    kernel = sg.compile(expr, args=args, outputs="value", backend=backend, dtype="float32")
    sizes = np.array([1e-37, 1e-25, 1e-19, 1e-4, 3.0, 1e4, 9e18, 1.5e19, 3e30, 3.3e38], np.float32)
    points = np.random.default_rng(5).choice(sizes, size=(300, len(args)))
    for point, found in zip(points, kernel(*points.T), strict=True):
        with mpmath.workdps(120):
            numbers = dict(zip(args, (sp.Float(float(p), 120) for p in point), strict=True))
            wanted = mpmath.mpf(str(expr.subs(numbers).evalf(60)))
        if abs(wanted) < 1.2e-38:
            assert abs(found) <= 2.4e-38, (point, found, wanted)
        else:
            assert abs(float(found) - wanted) <= 2.0**-20 * abs(wanted), (point, found, wanted)


@pytest.mark.parametrize("backend", BACKENDS)
def test_infinities_and_nans_stay(backend):
    quotient = sg.compile(y / (1 + x**2), args=(x, y), outputs="value", backend=backend)
    logarithm = sg.compile(sp.log(1 + x**2), args=(x,), outputs="value", backend=backend)
    for infinity in (np.inf, -np.inf):
        assert quotient(infinity, 3.0) == 0
        assert logarithm(infinity) == np.inf
        assert quotient(3.0, infinity) == infinity
    assert np.isnan(quotient(np.nan, 1.0))
    assert np.isnan(quotient(np.inf, np.inf))
    assert np.isnan(logarithm(np.nan))


def test_what_stays_in_range_is_left_alone():
    """A reciprocal, which is 0 or infinite where the sum is the other; bounded sides; no square."""
    g = Graph()
    a, b = (g.read(g.input(name, ())) for name in "ab")
    squares = g.sum_of([g.one, g.mul(a, a), g.mul(b, b)])
    sine = g.node("sin", a)
    for body in (
        g.div(g.one, squares),
        g.div(b, g.add(g.one, g.mul(sine, sine))),
        g.div(b, g.add(a, g.one)),
        g.node("log", g.add(a, b)),
    ):
        t = g.define("map", (), (), body)
        same, _ = in_range(g, [t])
        assert same is g
    changed, _ = in_range(g, [g.define("map", (), (), g.div(a, squares))])
    assert changed is not g
