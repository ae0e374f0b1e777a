"""Recurrences, loops and solutions of equations in a branch that is not taken: no error and no nan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import NoFactorisation, NotConverged

TARGETS = ("numpy", "llvm", "c")
x, y, w = sp.symbols("x y w", real=True)
n = sp.symbols("n", integer=True, positive=True)
i = sp.symbols("i", integer=True)
A, b, u = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("b", n, 1), sp.MatrixSymbol("u", n, 1)
v = sp.IndexedBase("v", shape=(n,))
la = sg.linalg

ROOT = sg.implicit(w**2 - x, w, guess=1)
SOLUTION = (b.T * sg.implicit(A * u - b, u, guess=sp.ZeroMatrix(n, 1)))[0, 0]
UNDEFINED: dict[str, tuple[Any, Any]] = {  # -> a formula, and where it has no value or no derivative: x, y
    "roots of negative numbers": (sg.scan(lambda h, t: sp.sqrt(h) - 3, x * y, length=4).final, (1.0, 2.0)),
    "logarithms of a parameter": (sg.scan(lambda h, t: h * sp.log(y), x, length=3).final, (1.0, -2.0)),
    "an equation without a solution": (ROOT, (-4.0, 2.0)),
    "a loop without an end": (
        sg.while_loop(lambda h: h < 100, lambda h, t: h * y, x, max_steps=9).final, (1.0, 0.5),
    ),
}  # fmt: skip


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("name", UNDEFINED)
def test_derivatives_of_the_other_branch_are_right(name: str, backend: str) -> None:
    formula, (at_x, at_y) = UNDEFINED[name]
    expr = sp.Piecewise((formula * y, sp.Abs(x) > 30), (x**2 * y, True))
    found = sg.compile(expr, args=(x, y), wrt=(x, y), outputs=("value", "grad", "hess"), backend=backend)
    value, gradient, hessian = found(at_x, at_y)
    assert value == at_x**2 * at_y
    np.testing.assert_array_equal(gradient, [2 * at_x * at_y, at_x**2])
    np.testing.assert_array_equal(hessian, [[2 * at_y, 2 * at_x], [2 * at_x, 0]])


@pytest.mark.parametrize("backend", TARGETS)
def test_where_it_is_needed_nothing_changes(backend: str) -> None:
    powers = sg.scan(lambda h, t: h * x, 1, length=3).final
    others = sg.scan(lambda h, t: sp.log(h) * x, x, length=3).final
    words = ("value", "grad", "hess")
    cube = sg.compile(sp.Piecewise((powers, x > 1), (others, True)), wrt=x, outputs=words, backend=backend)
    np.testing.assert_allclose([float(p) for p in cube(2.0)], [8, 12, 12], rtol=1e-15)
    root = sg.compile(sp.Piecewise((ROOT, x > 0), (x, True)), wrt=x, outputs=words, backend=backend)
    np.testing.assert_allclose([float(p) for p in root(4.0)], [2, 1 / 4, -1 / 32], rtol=1e-12)
    doubling = sg.while_loop(lambda h: h < x, lambda h, t: h * y, 1, max_steps=50).final
    loop = sg.compile(
        sp.Piecewise((doubling, y > 1), (x * y, True)), args=(x, y), wrt=y, outputs=words, backend=backend
    )
    np.testing.assert_allclose([float(p) for p in loop(100.0, 2.0)], [128, 448, 1344], rtol=1e-15)
    with pytest.raises(NotConverged):
        sg.compile(sp.Piecewise((ROOT, x < 0), (x, True)), wrt=x, outputs="grad", backend=backend)(-4.0)


@pytest.mark.parametrize("backend", TARGETS)
def test_matrix_functions_inside_of_steps_are_guarded_too(backend: str) -> None:
    steps = sp.Trace(sg.scan(lambda h, t: la.solve(A, h), b, length=3).final * b.T)
    for formula in (SOLUTION, steps):
        expr = sp.Piecewise((formula, x > 0), (x, True))
        words = ("value", "grad")
        kernel = sg.compile(expr, args=(A, b, x), wrt=(A, x), outputs=words, backend=backend)
        value, (by_a, by_x) = kernel(np.ones((2, 2)), np.ones((2, 1)), -1.0)
        assert (value, by_x) == (-1.0, 1.0)
        np.testing.assert_array_equal(by_a, np.zeros((2, 2)))
    with pytest.raises(NoFactorisation):
        kernel(np.ones((2, 2)), np.ones((2, 1)), 1.0)


@pytest.mark.parametrize("backend", TARGETS)
def test_what_a_recurrence_starts_from_is_guarded_with_it(backend: str) -> None:
    start = sp.Trace(la.cholesky(A))
    powers = sg.scan(lambda h, t: h * x, start, length=3).final
    kernel = sg.compile(
        sp.Piecewise((powers, x > 0), (x, True)), args=(A, x), wrt=x, outputs="grad", backend=backend
    )
    assert kernel(-np.eye(2), -1.0) == 1.0
    assert kernel(4 * np.eye(2), 2.0) == pytest.approx(3 * 4 * 4)
    with pytest.raises(NoFactorisation):
        kernel(-np.eye(2), 2.0)


@pytest.mark.parametrize("backend", TARGETS)
def test_a_condition_on_entries_guards_what_no_entry_needs(backend: str) -> None:
    size = sp.Trace(la.cholesky(A))
    term = sp.Piecewise((size * v[i], v[i] > 100), (v[i], True))
    total = sg.compile(
        sp.Sum(term, (i, 0, n - 1)), args=(A, v), wrt=v, outputs=("value", "grad"), backend=backend
    )
    value, gradient = total(-np.eye(2), np.array([1.0, 2.0]))
    assert value == 3.0
    np.testing.assert_array_equal(gradient, [1.0, 1.0])
    assert total(np.eye(2), np.array([1.0, 200.0]))[0] == 401.0
    with pytest.raises(NoFactorisation):
        total(-np.eye(2), np.array([1.0, 200.0]))


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_a_recurrence_in_a_branch_reads_nothing_in_front_of_its_states(backend: str) -> None:
    """Two conditions stand before a read: that of the branch, and that of the place, which comes first."""
    n, steps = sp.symbols("n steps", integer=True, positive=True)
    rate, b = sp.IndexedBase("rate", shape=(n,)), sp.Symbol("b", real=True)

    def slope(y: sg.Entries) -> sg.Entries:
        return sg.Entries((n,), lambda i: sg.Where(sp.Eq(i, 0), rate[0], rate[i] * y[i - 1]))

    def ahead(y: sg.Entries, k: sg.Entries) -> sg.Entries:
        return sg.Entries((n,), lambda i: y[i] + k[i] / 8)

    def step(y: Any, t: Any) -> sg.Entries:
        first = slope(y)
        second = slope(ahead(y, first))
        third = slope(ahead(y, second))
        return sg.Entries((n,), lambda i: y[i] + (first[i] + 2 * second[i] + third[i]) / 16)

    last = sg.scan(step, sg.Entries((n,), lambda i: 0), steps).final[n - 1]
    branch = sp.Piecewise((last, b > 0), (0, True))
    words = ("value", "grad")
    plain = sg.compile(last, args=(rate, steps), wrt=rate, outputs=words, backend="numpy")
    kernel = sg.compile(branch, args=(rate, steps, b), wrt=rate, outputs=words, backend=backend)
    for size in (1, 2, 3, 7):
        rates = np.linspace(0.5, 0.9, size)
        for found, wanted in zip(kernel(rates, 6, 1.0), plain(rates, 6), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-14)
    # Memory of this size has nothing in front of it: a read there ends the process.
    value, gradient = kernel(np.full(3000, 0.5), 100, 1.0)
    assert value == 0.0 and not gradient.any()
