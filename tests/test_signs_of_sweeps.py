"""Reverse sweeps carry signs and numbers beside the cotangents: nothing is made only to lose them again."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

x, y = sp.symbols("x y", real=True)
CHAIN = sp.cos(sp.cos(sp.cos(x * y) * y) - sp.cos(x)) / (2 - sp.sin(x - y))


def test_a_sweep_negates_nothing_but_results() -> None:
    f = x
    for _ in range(6):
        f = sp.cos(f) * y
    g = sg.program(f, args=(x, y)).derived(("grad",)).unit.graph
    negated = [g.op[g.args[n][0]] for n in range(len(g.op)) if g.op[n] == "neg"]
    assert len(negated) <= 2


def test_a_sweep_makes_nothing_that_the_gradient_is_not_made_of() -> None:
    f = x
    for k in range(8):
        f = sp.cos(3 * f) * y if k % 2 else sp.sin(f / 7) * f
    source = sg.program(f, args=(x, y))
    before = len(source.translation.graph.op)
    derived = source.derived(("value", "grad"))
    g = derived.unit.graph
    bodies = [b for t in g.definitions_below(derived.unit.roots) for b in g.tensors[t].bodies]
    needed = {*g.reachable(bodies)}
    dead = [n for n in range(before, len(g.op)) if n not in needed and g.op[n] in ("mul", "neg", "add")]
    assert not dead


def test_numbers_with_many_digits_stay_products() -> None:
    f, value, slope = x, mpmath.mpf("0.3"), mpmath.mpf(1)
    for k in range(40):
        c = sp.Rational(3**80 + k, 2**127)
        f, value, slope = c * sp.sin(f), c.p * mpmath.sin(value) / c.q, slope * c.p * mpmath.cos(value) / c.q
    gradient = sg.compile(f, args=(x,), wrt=x, outputs="grad")(0.3)
    np.testing.assert_allclose(gradient, float(slope), rtol=1e-13)


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
