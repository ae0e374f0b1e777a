"""Reverse sweeps carry signs beside the cotangents: nothing is made only to lose its sign again."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad as sg

x, y = sp.symbols("x y", real=True)
CHAIN = sp.cos(sp.cos(sp.cos(x * y) * y) - sp.cos(x)) / (2 - sp.sin(x - y))


def test_a_sweep_negates_nothing_but_sines_and_results() -> None:
    f = x
    for _ in range(6):
        f = sp.cos(f) * y
    g = sg.program(f, args=(x, y)).derived(("grad",)).unit.graph
    negated = [g.op[g.args[n][0]] for n in range(len(g.op)) if g.op[n] == "neg"]
    assert negated.count("sin") == 6  # each is the derivative of a cosine
    assert len(negated) <= 6 + 2


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_signs_that_are_carried_come_out_right(backend: str) -> None:
    gradient = sg.compile(CHAIN, args=(x, y), wrt=(x, y), outputs="grad", backend=backend)(0.3, 0.7)
    exact = [
        float(sp.diff(CHAIN, s).subs({x: sp.Rational(3, 10), y: sp.Rational(7, 10)}).evalf(30))
        for s in (x, y)
    ]
    np.testing.assert_allclose(gradient, exact, rtol=1e-14)


def test_a_minus_on_both_sides_of_a_mask_stays_inside_it() -> None:
    f = sp.Piecewise((-sp.sqrt(x), x > 0), (0, True)) - sp.Piecewise((x * sp.sqrt(x), x > 0), (0, True))
    gradient = sg.compile(f, args=(x,), wrt=(x,), outputs="grad")
    np.testing.assert_allclose(gradient(4.0), [-0.25 - 3.0], rtol=1e-15)
    np.testing.assert_array_equal(gradient(-1.0), [0.0])
