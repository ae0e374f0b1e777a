"""Divisions by roots that loops repeat: products with reciprocals that are computed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS

import symgrad as sg
from symgrad.ir.unit import Unit

n, d = sp.symbols("n d", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
X, v = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("v", shape=(d,))
SCALED = X[i, j] / sp.sqrt(v[j])


def _rows(body: sp.Expr) -> sp.Expr:
    return sp.Sum(sp.exp(body), (i, 0, n - 1), (j, 0, d - 1))


def _unit(expr: Any, args: tuple[Any, ...], words: tuple[str, ...] = ("value",)) -> Unit:
    made: dict[str, Any] = {}
    sg.compile(expr, args, args[0], outputs=words, watch=made.__setitem__)
    unit: Unit = made["reciprocals"]
    return unit


def _divisions_in_two_loops(unit: Unit) -> int:
    g = unit.graph
    return sum(
        g.op[m] == "div"
        for t in g.definitions_below(unit.roots)
        for m in g.reachable(g.tensors[t].bodies)
        if len(g.axes[m]) > 1
    )


def test_a_root_of_the_inner_loop_divides_once_for_each_of_its_turns() -> None:
    assert _divisions_in_two_loops(_unit(_rows(SCALED), (X, v), ("value", "grad"))) == 0


def test_other_divisors_divide_as_they_did() -> None:
    """The reciprocal of a number of which nothing is known may be out of range."""
    assert _divisions_in_two_loops(_unit(_rows(X[i, j] / v[j]), (X, v))) == 1


def test_a_matrix_that_may_be_symmetric_keeps_its_divisions() -> None:
    square = sp.IndexedBase("Q", shape=(n, n))
    w = sp.IndexedBase("w", shape=(n,))
    body = sp.Sum(square[i, j] ** 2 / sp.sqrt(w[j]), (i, 0, n - 1), (j, 0, n - 1))
    unit = _unit(body, (square, w), ("grad",))
    assert _divisions_in_two_loops(unit) == 1


@pytest.mark.parametrize("backend", TARGETS)
def test_roots_that_are_0_infinite_or_nan_divide_as_ieee_754_says(backend: str) -> None:
    cells = sg.compile(sp.Sum(sp.tanh(SCALED), (i, 0, n - 1), (j, 0, d - 1)), (X, v), X,
                       outputs=("grad",), backend=backend)  # fmt: skip
    x = np.array([[1.0, -1.0, 0.0, 2.0, np.inf, 3.0], [1e-300, 1e300, 5.0, -0.0, 1.0, -4.0]])
    roots = np.array([4.0, 0.0, 0.0, np.inf, 9.0, np.nan])
    with np.errstate(all="ignore"):
        (found,) = cells(x, roots)
        scaled = x / np.sqrt(roots)
        wanted = 1 / np.cosh(scaled) ** 2 / np.sqrt(roots)
    wanted[np.isinf(scaled)] = 0.0  # the slope of tanh decays faster than anything that it is divided by
    np.testing.assert_allclose(found, wanted, rtol=2e-15, atol=0)


@pytest.mark.parametrize("backend", TARGETS)
def test_quotients_are_within_two_units_in_the_last_place(backend: str) -> None:
    rng = np.random.default_rng(1)
    x, roots = rng.normal(size=(40, 9)), 10.0 ** rng.uniform(-300, 300, 9)
    weighted = sp.Sum(X[i, j] ** 2 / sp.sqrt(v[j]), (i, 0, n - 1), (j, 0, d - 1)) / 2
    (found,) = sg.compile(weighted, (X, v), X, outputs=("grad",), backend=backend)(x, roots)
    np.testing.assert_array_max_ulp(found, x / np.sqrt(roots), 2)
