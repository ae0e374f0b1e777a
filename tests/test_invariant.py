"""Products whose constant factors meet those of an outer loop."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.nest import Compute, For
from symgrad.loops.walk import walk

n, m = sp.symbols("n m", integer=True, positive=True)
h, s = sp.symbols("h s", real=True)
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(m,))
w = sp.IndexedBase("w", shape=(n, m))


def _products_in_innermost_loops(expr, args) -> int:
    seen = {}
    sg.compile(expr, args, outputs="value", watch=lambda stage, thing: seen.setdefault(stage, thing))
    loops = [s for _, s in walk(seen["lower"].body) if isinstance(s, For)]
    inner = [loop for loop in loops if not any(isinstance(b, For) for b in loop.body)]
    return sum(isinstance(b, Compute) and b.op == "mul" for loop in inner for b in loop.body)


def test_two_numbers_meet_outside_of_the_loop() -> None:
    halves = sg.Entries((n,), lambda i: sp.Rational(1, 3) * (sp.exp(h) * x[i]))
    assert _products_in_innermost_loops(halves, (h, x)) == 1


def test_a_constant_meets_the_factor_of_the_outer_loop() -> None:
    scaled = sg.Entries((n, m), lambda i, j: 3 * (sp.cos(x[i]) * w[i, j]))
    assert _products_in_innermost_loops(scaled, (x, w)) == 1


def test_factors_that_may_be_of_any_size_stay_in_their_order() -> None:
    """The slope of a norm is in range because of it (`test_norms` has the numbers)."""
    scaled = sg.Entries((n, m), lambda i, j: sp.sin(x[i]) * (sp.cos(x[i]) * w[i, j]))
    assert _products_in_innermost_loops(scaled, (x, w)) == 2


def test_a_product_with_a_second_use_is_not_computed_twice() -> None:
    both = sg.Entries((n,), lambda i: sp.exp(h * x[i]) + sp.Rational(1, 3) * (h * x[i]))
    assert _products_in_innermost_loops(both, (h, x)) == 2


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_the_numbers_of_a_recurrence_are_those_of_its_formula(backend: str) -> None:
    def step(v, t):
        k1 = sg.Entries((n,), lambda i: x[i] * v[i])
        k2 = sg.Entries((n,), lambda i: x[i] * (v[i] + (h / s) / 2 * k1[i]))
        return sg.Entries((n,), lambda i: v[i] + (h / s) / 3 * (k1[i] + 2 * k2[i]))

    last = sg.scan(step, sg.Entries((n,), lambda i: 1 / (i + 1)), m).final
    i = sp.Idx("i", n)
    kernel = sg.compile(last[i], (x, h, s, m), axes=[i], outputs="value", backend=backend)
    X = np.random.default_rng(0).uniform(size=50)
    v = 1 / np.arange(1.0, 51)
    for _ in range(9):
        k1 = X * v
        v = v + 0.3 / 7 / 3 * (k1 + 2 * X * (v + 0.3 / 7 / 2 * k1))
    np.testing.assert_allclose(kernel(X, 0.3, 7.0, 9), v, rtol=1e-14)
