"""Tangents of numbers over a length more than once: one difference, right at all magnitudes."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

x, y = sp.symbols("x y", real=True)
FORCE = sg.grad(1 / sp.sqrt(x**2 + y**2), x)  # -x/r/r/r
DIRECTION = (0.6, -1.7)


def test_the_tangent_is_one_difference_over_the_length_as_often_as_the_number() -> None:
    unit = sg.program(FORCE, args=(x, y), wrt=(x, y)).derived(("jvp",)).unit
    g = unit.graph
    bodies = [b for t in g.definitions_below(unit.roots) for b in g.tensors[t].bodies]
    ops = [g.op[n] for n in g.reachable(bodies)]
    # The speed of the angle is over the length once, the cosine once, and their difference twice.
    assert ops.count("div") == 4


def exact(a: float, b: float) -> float:
    with mpmath.workdps(60):
        a, b, da, db = map(mpmath.mpf, (a, b, *DIRECTION))
        r = mpmath.sqrt(a * a + b * b)
        along = (a * da + b * db) / r
        return float(-da / r**3 + 3 * a * along / r**4)


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
def test_it_is_right_at_all_magnitudes(backend: str) -> None:
    kernel = sg.compile(FORCE, args=(x, y), wrt=(x, y), outputs="jvp", backend=backend)
    sizes = [0.0, *(s * 10.0**k for k in (-101, -99, -40, -3, 0, 5, 60, 99, 102) for s in (1.0, -2.3))]
    for a in sizes:
        for b in sizes:
            if a or b:
                found = kernel(a, b, tangent=np.array(DIRECTION))
                np.testing.assert_allclose(found, exact(a, b), rtol=1e-13, atol=2e-323)
