"""A function that is stored and the one in its derivative, needed elsewhere, are made in one loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS

import symgrad as sg
from symgrad.ir.graph import Graph, TensorId

n, d, h = sp.symbols("n d h", integer=True, positive=True)
X, W, v = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("W", d, h), sp.MatrixSymbol("v", h, 1)


def _network(function: Any) -> sp.Expr:
    """Sum of squares of f(X W) v: the gradient by v needs f again, that by W its derivative."""
    out = (X * W).applyfunc(function) * v
    return (out.T * out)[0, 0]


def _shared(function: Any) -> tuple[Graph, list[TensorId]]:
    made: dict[str, Any] = {}
    sg.compile(_network(function), (X, W, v), (W, v), outputs=("value", "grad"), watch=made.__setitem__)
    unit = made["share"]
    return unit.graph, unit.graph.definitions_below(unit.roots)


@pytest.mark.parametrize(
    ("function", "pair"),
    [(sp.tanh, ("tanh", "sech")), (sp.sin, ("sin", "cos")), (sp.cosh, ("cosh", "sinh"))],
    ids=["tanh", "sin", "cosh"],
)
def test_the_derivative_is_stored_next_to_the_function(function: Any, pair: tuple[str, str]) -> None:
    g, below = _shared(function)
    ops = [g.op[g.tensors[t].body] if g.tensors[t].kind == "map" else "" for t in below]
    place = ops.index(pair[0])
    assert ops[place + 1] == pair[1]
    first, second = (g.tensors[t] for t in below[place : place + 2])
    assert g.args[first.body] == g.args[second.body]


def test_a_function_that_shares_no_steps_with_its_derivative_is_stored_alone() -> None:
    g, below = _shared(sp.atan)
    ops = [g.op[g.tensors[t].body] for t in below if g.tensors[t].kind == "map"]
    assert ops.count("atan") == 1 and "div" not in ops


def test_both_stand_in_one_loop_of_the_text() -> None:
    kernel = sg.compile(_network(sp.tanh), (X, W, v), (W, v), outputs=("value", "grad"), backend="c")
    loops = kernel.source[kernel.source.rindex("void kernel(") :].split("for (")
    functions = [loop for loop in loops if "own_tanh(" in loop or "own_cosh(" in loop]
    assert len(functions) == (2 if "int64_t few" in kernel.source else 1)  # one in each version of the loops
    assert all("own_tanh(" in loop and "own_cosh(" in loop for loop in functions)


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("function", [sp.tanh, sp.sin], ids=str)
def test_gradients_are_those_of_complex_steps(function: Any, backend: str) -> None:
    rng = np.random.default_rng(0)
    x, w, u = rng.normal(size=(9, 3)), rng.normal(size=(3, 5)), rng.normal(size=(5, 1))
    kernel = sg.compile(_network(function), (X, W, v), (W, v), outputs=("value", "grad"), backend=backend)
    value, (by_w, by_v) = kernel(x, w, u)
    f = {sp.tanh: np.tanh, sp.sin: np.sin}[function]

    def loss(w: np.ndarray, u: np.ndarray) -> complex:
        return ((f(x @ w) @ u) ** 2).sum()

    np.testing.assert_allclose(value, loss(w, u), rtol=1e-13)
    for array, found in ((w, by_w), (u, by_v)):
        for k in np.ndindex(array.shape):
            step = np.zeros(array.shape, complex)
            step[k] = 1e-30j
            moved = loss(w + step, u) if array is w else loss(w, u + step)
            assert found[k] == pytest.approx(moved.imag / 1e-30, rel=1e-11, abs=1e-11)
