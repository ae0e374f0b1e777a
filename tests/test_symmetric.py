"""Symmetric matrices are read in one order, so that products by them and by their transposes are one."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from tolerances import assert_close

import symgrad as sg
from symgrad.loops.nest import Contract, For, Load, variable
from symgrad.loops.walk import walk

n, d = sp.symbols("n d", integer=True, positive=True)
A, X, V = sp.MatrixSymbol("A", d, d), sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("V", n, d)
GRAM, SUM, SCALED = X.T * X, A + A.T, 3 * (A + A.T) - sp.Identity(d)
BOTH = {
    "a Gram matrix": (lambda g: V * g + V * g.T, GRAM, (V, X)),
    "a sum with the transpose": (lambda g: V * g + V * g.T, SUM, (V, A)),
    "entries of a symmetric one": (lambda g: V * g.T - 2 * V * g, SCALED, (V, A)),
}
SIZES = (1, 2, 7, 8, 9, 17)


def products(expr: sp.Expr, args: tuple[sp.Expr, ...]) -> int:
    routine = sg.compile(expr, args=args, outputs="value")._spec.routine
    return sum(isinstance(s, Contract) for _, s in walk(routine.body))


@pytest.mark.parametrize("name", BOTH)
def test_a_product_with_the_transpose_of_a_symmetric_matrix_is_the_same_product(name: str) -> None:
    of, matrix, args = BOTH[name]
    assert products(of(matrix), args) == 1 + (matrix == GRAM)


def test_other_matrices_have_two_products() -> None:
    assert products(V * A + V * A.T, (V, A)) == 2
    assert products(V * (A - A.T) + V * (A - A.T).T, (V, A)) == 2


def test_the_gradient_of_a_distance_from_orthogonality_has_two_products() -> None:
    gap = X.T * X - sp.Identity(d)
    kernel = sg.compile(sp.Trace(gap * gap.T), args=(X,), wrt=X, outputs=("value", "grad"))
    assert sum(isinstance(s, Contract) for _, s in walk(kernel._spec.routine.body)) == 2


def test_hessians_are_the_same_to_the_bit_in_both_triangles() -> None:
    w, b = sp.MatrixSymbol("w", n, 1), sp.MatrixSymbol("b", d, 1)
    loss = sp.Trace(b.T * X.T * sp.DiagMatrix(w) * X * b)
    kernel = sg.compile(loss, args=(b, X, w), wrt=b, outputs="hess")
    rng = np.random.default_rng(0)
    found = np.squeeze(kernel(rng.normal(size=(9, 1)), rng.normal(size=(17, 9)), rng.normal(size=(17, 1))))
    assert np.array_equal(found, found.T)


def test_loops_over_entries_walk_the_rows_of_symmetric_matrices() -> None:
    i, j = sp.Idx("i", d), sp.Idx("j", d)
    routine = sg.compile(sp.exp((X.T * X)[j, i]) * A[i, j], args=(X, A), axes=[i, j])._spec.routine
    inner = [s for _, s in walk(routine.body) if isinstance(s, For) and not s.short]
    inner = [s for s in inner if any(isinstance(t, Load) and t.buffer == "A" for t in s.body)]
    (loop,) = inner
    last = {s.buffer: s.index[-1] for s in loop.body if isinstance(s, Load)}
    assert len(last) == 2
    assert set(last.values()) == {variable(loop.var)}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_values_and_gradients_are_right_at_every_size(backend: str, name: str) -> None:
    of, matrix, args = BOTH[name]
    expr = sp.Trace(of(matrix) * of(matrix).T)
    kernel = sg.compile(expr, args=args, wrt=args[0], outputs=("value", "grad"), backend=backend)
    for rows in (1, 9):
        for columns in SIZES:
            rng = np.random.default_rng(columns)
            v = rng.normal(size=(rows, columns))
            other = rng.normal(size=(rows, columns) if matrix == GRAM else (columns, columns))
            g = other.T @ other if matrix == GRAM else other + other.T
            g = 3 * g - np.eye(columns) if matrix == SCALED else g
            factor = -1 if matrix == SCALED else 2
            value, grad = kernel(v, other)
            assert_close(value, np.sum((factor * v @ g) ** 2), factor=1000)
            assert_close(grad, 2 * factor**2 * v @ g @ g, factor=10_000)
