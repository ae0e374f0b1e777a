"""Matrix functions and sums in a branch that is not taken: no error, no effect on value or derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import NoFactorisation

TARGETS = ("numpy", "llvm", "c")
x, y = sp.symbols("x y", real=True)
n = sp.symbols("n", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
A, b = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("b", n, 1)
la = sg.linalg
SINGULAR = {2: np.zeros((2, 2)), 12: np.ones((12, 12))}
GOOD = {k: np.diag(np.linspace(1.0, 2.0, k)) + 0.1 for k in SINGULAR}

FUNCTIONS: dict[str, Any] = {
    "solve": sp.Trace(b.T * la.solve(A, b)),
    "inverse": sp.Trace(A**-1),
    "definite solve": sp.Trace(b.T * la.solve(A - 2 * sp.Identity(n), b, assume="spd")),
    "log-determinant": la.logdet(A - 2 * sp.Identity(n), assume="spd"),
    "cholesky": sp.Trace(la.cholesky(A - 2 * sp.Identity(n))),
}


@pytest.mark.parametrize(("size", "backend"), [(2, "numpy"), (2, "c"), (12, "llvm")])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_matrix_without_factorisation_is_no_error_where_it_is_not_needed(
    name: str, size: int, backend: str
) -> None:
    expr = sp.Piecewise((FUNCTIONS[name], x > 0), (x**2 + sp.Trace(A.T * A) / 2, True))
    kernel = sg.compile(expr, args=(x, A, b), wrt=(x, A), outputs=("value", "grad"), backend=backend)
    matrix, vector = SINGULAR[size], np.ones((size, 1))
    value, (by_x, by_a) = kernel(-3.0, matrix, vector)
    assert value == 9.0 + np.sum(matrix**2) / 2
    assert by_x == -6.0
    np.testing.assert_array_equal(by_a, matrix)
    with pytest.raises(NoFactorisation, match="the matrix"):
        kernel(1.0, matrix, vector)


@pytest.mark.parametrize("backend", TARGETS)
def test_where_it_is_needed_nothing_changes(backend: str) -> None:
    guarded = sp.Piecewise((FUNCTIONS["solve"], x > 0), (x**2, True))
    words = ("value", "grad", "hess")
    found, wanted = (
        sg.compile(e, args=(x, A, b), wrt=A, outputs=words, backend=backend)(1.0, GOOD[2], np.ones((2, 1)))
        for e in (guarded, FUNCTIONS["solve"])
    )
    for f, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(f, w, rtol=1e-14)


@pytest.mark.parametrize("backend", TARGETS)
def test_second_derivatives_of_the_branch_taken_are_right(backend: str) -> None:
    expr = sp.Piecewise((la.logdet(A), x > 0), (x**3 * sp.Trace(A.T * A), True))
    kernel = sg.compile(expr, args=(x, A), wrt=(x, A), outputs=("hess", "hvp"), backend=backend)
    matrix = np.ones((3, 3))
    hess, hvp = kernel(-2.0, matrix, tangent=(1.0, np.zeros((3, 3))))
    assert hess[0][0] == -12.0 * 9
    np.testing.assert_array_equal(hess[0][1], 12.0 * 2 * matrix)
    np.testing.assert_array_equal(hess[1][1].reshape(9, 9), -16.0 * np.eye(9))
    np.testing.assert_array_equal(hvp[1], 12.0 * 2 * matrix)


@pytest.mark.parametrize("backend", TARGETS)
def test_nested_conditions_and_what_is_made_of_the_result(backend: str) -> None:
    solution = la.solve(A, b)
    inner = sp.Piecewise((sp.Trace(solution.T * solution), y > 0), (y, True))
    expr = sp.exp(sp.Piecewise((inner, x > 0), (-x, True)))
    kernel = sg.compile(expr, args=(x, y, A, b), wrt=(x, y, A), outputs=("value", "grad"), backend=backend)
    singular, vector = SINGULAR[2], np.ones((2, 1))
    assert kernel(-1.0, 1.0, singular, vector)[0] == pytest.approx(np.e)
    assert kernel(1.0, -1.0, singular, vector)[0] == pytest.approx(1 / np.e)
    with pytest.raises(NoFactorisation):
        kernel(1.0, 1.0, singular, vector)


@pytest.mark.parametrize("backend", TARGETS)
def test_a_call_that_every_branch_needs_is_not_guarded(backend: str) -> None:
    expr = sp.Piecewise((la.logdet(A), x > 0), (2 * la.logdet(A), True))
    program = sg.program(expr, args=(x, A), wrt=A)
    calls = [t for t in program.translation.graph.tensors if t.kind == "call"]
    assert len(calls) == 1
    kernel = sg.compile(program, outputs="value", backend=backend)
    assert kernel(-1.0, GOOD[2]) == pytest.approx(2 * kernel(1.0, GOOD[2]))
    with pytest.raises(NoFactorisation):
        sg.compile(program, outputs="grad", backend=backend)(-1.0, SINGULAR[2])


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_samples_are_guarded_one_by_one(backend: str) -> None:
    expr = sp.Piecewise((FUNCTIONS["solve"], x > 0), (x**2, True))
    kernel = sg.compile(expr, args=(x, A, b), wrt=A, outputs="value", backend=backend)
    matrices = np.stack([GOOD[2], SINGULAR[2]])
    values = kernel(np.array([1.0, -3.0]), matrices, np.ones((2, 1)))
    assert values[1] == 9.0 and values[0] == pytest.approx(float(np.linalg.inv(GOOD[2]).sum()))
    with pytest.raises(NoFactorisation):
        kernel(np.array([1.0, 1.0]), matrices, np.ones((2, 1)))


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("length", [3, 4, 9])
def test_a_sum_may_read_places_that_exist_only_in_its_branch(backend: str, length: int) -> None:
    k, q, t = sp.symbols("k q t", integer=True)
    K, T = sp.symbols("K T", integer=True, positive=True)
    w, v = sp.IndexedBase("w", shape=(K,)), sp.IndexedBase("v", shape=(T,))
    window = sp.Sum(w[q] * v[t - k + q], (q, 0, K - 1))
    exists = (t >= k) & (t - k <= T - K)
    loss = sp.Sum(sp.Piecewise((sp.tanh(window) ** 2, exists), (v[t], True)), (k, 0, K - 1), (t, 0, T - 1))
    kernel = sg.compile(loss, args=(w, v), wrt=(w, v), outputs=("value", "grad"), backend=backend)
    rng = np.random.default_rng(3)
    weights, values = rng.normal(size=3), rng.normal(size=length)

    def by_hand(w: Any, v: Any) -> Any:
        total = 0.0
        for t in range(length):
            for k in range(3):
                here = t >= k and t - k <= length - 3
                total = total + (np.tanh(w @ v[t - k : t - k + 3]) ** 2 if here else v[t])
        return total

    value, found = kernel(weights, values)
    np.testing.assert_allclose(value, by_hand(weights, values), rtol=1e-13)
    steps = [1e-200j * np.eye(size) for size in (3, length)]  # the complex step is exact
    wanted = (
        [by_hand(weights + h, values) for h in steps[0]],
        [by_hand(weights, values + h) for h in steps[1]],
    )
    for gradient, there in zip(found, wanted, strict=True):
        np.testing.assert_allclose(gradient, np.imag(there) * 1e200, rtol=1e-12)
