"""Squared distances written out over axes, of points that are near each other and far from 0."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg

ROWS, OTHERS, COLUMNS = 4, 3, 5
n, m, d = sp.symbols("n m d", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
mu = sp.Symbol("mu", real=True)
x, y = (sp.IndexedBase(name, shape=(n,), real=True) for name in "xy")
u, v = sp.MatrixSymbol("x", n, 1), sp.MatrixSymbol("y", n, 1)
A, B = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("B", m, d)


def over(body: Any) -> Any:
    return sp.Sum(body, (i, 0, n - 1))


def along(body: Any) -> Any:
    return sp.Sum(body, (k, 0, d - 1))


def ones(*shape: Any) -> Any:
    return sp.OneMatrix(*shape)


PAIR = along(A[i, k] ** 2) + along(B[j, k] ** 2) - 2 * along(A[i, k] * B[j, k])
ROW_BY_ROW = (
    sp.HadamardProduct(A, A) * ones(d, m)
    + (sp.HadamardProduct(B, B) * ones(d, n)).T
    - 2 * A * B.T
)  # fmt: skip
VECTORS: dict[str, Any] = {
    "indexed": over(x[i] ** 2) + over(y[i] ** 2) - 2 * over(x[i] * y[i]),
    "half of it": over(x[i] * y[i]) - over(y[i] ** 2) / 2 - over(x[i] ** 2) / 2,
    "matrices": (u.T * u)[0, 0] + (v.T * v)[0, 0] - 2 * (v.T * u)[0, 0],
    "beside a term": mu + over(x[i] ** 2) - over(2 * x[i] * y[i]) + over(y[i] ** 2),
}
TIMES = {"half of it": Fraction(-1, 2)}


def exactly(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The squared distances of rows, in fractions."""
    rows = [[sum((Fraction(s) - Fraction(t)) ** 2 for s, t in zip(p, q, strict=True)) for q in b.tolist()]
            for p in a.tolist()]  # fmt: skip
    return np.array(rows, dtype=object)


def near(offset: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a = offset + rng.standard_normal((ROWS, COLUMNS))
    return a, a[:OTHERS] + 1e-3 * rng.standard_normal((OTHERS, COLUMNS))


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e8])
@pytest.mark.parametrize("name", VECTORS)
def test_of_two_vectors(name: str, offset: float, backend: str) -> None:
    a, b = (p[:1] for p in near(offset))
    shape = (-1, 1) if name == "matrices" else (-1,)
    at = [u, v] if name == "matrices" else [x, y]
    numbers = [a.reshape(shape), b.reshape(shape)]
    if VECTORS[name].has(mu):
        at, numbers = [mu, *at], [0.0, *numbers]
    kernel = sg.compile(
        VECTORS[name], args=at, wrt=[at[-2]], outputs=("value", "grad", "hess"), backend=backend
    )
    value, grad, hess = kernel(*numbers)
    times = TIMES.get(name, Fraction(1))
    assert value == pytest.approx(float(times * exactly(a, b)[0, 0]), rel=1e-15, abs=0)
    np.testing.assert_allclose(np.ravel(grad), 2 * float(times) * (a - b)[0], rtol=1e-15)
    np.testing.assert_allclose(np.reshape(hess, (COLUMNS, COLUMNS)), 2 * float(times) * np.eye(COLUMNS))


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e8])
@pytest.mark.parametrize("form", ["indexed", "matrices"])
def test_of_all_rows(form: str, offset: float) -> None:
    a, b = near(offset)
    if form == "indexed":
        kernel = sg.compile(
            sp.Sum(sp.sqrt(PAIR), (i, 0, n - 1), (j, 0, m - 1)),
            args=[A, B],
            wrt=[A],
            outputs=("value", "grad"),
        )
        value, (grad,) = kernel(a, b)
        distances = np.sqrt(exactly(a, b).astype(float))
        assert value == pytest.approx(distances.sum(), rel=1e-14, abs=0)
        directions = (a[:, None] - b[None]) / distances[:, :, None]
        np.testing.assert_allclose(grad, directions.sum(axis=1), rtol=1e-13, atol=1e-15)
    else:
        found = sg.compile(ROW_BY_ROW, args=[A, B], wrt=[A], outputs="value")(a, b)
        np.testing.assert_allclose(found, exactly(a, b).astype(float), rtol=1e-14)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e8])
def test_from_one_number(offset: float) -> None:
    """What a likelihood of normal errors is, by its sufficient statistics."""
    expr = over(x[i] ** 2) - 2 * mu * over(x[i]) + n * mu**2
    a, centre = near(offset)[0][:, 0], offset + 0.5
    value, grad, hess = sg.compile(expr, args=[x, mu], wrt=[mu], outputs=("value", "grad", "hess"))(a, centre)
    apart = [Fraction(centre) - Fraction(t) for t in a.tolist()]
    assert value == pytest.approx(float(sum(t**2 for t in apart)), rel=1e-15, abs=0)
    assert np.ravel(grad)[0] == pytest.approx(float(2 * sum(apart)), rel=1e-15, abs=0)
    assert np.ravel(hess)[0] == 2 * ROWS


def test_the_same_entries_of_matrices() -> None:
    square = sp.MatrixSymbol("B", n, d)
    expr = sp.HadamardProduct(A, A) + sp.HadamardProduct(square, square) - 2 * sp.HadamardProduct(A, square)
    a, _ = near(1e8)
    b = a + 2.0**-10
    np.testing.assert_array_equal(
        sg.compile(expr, args=[A, square], wrt=[A], outputs="value")(a, b), 2.0**-20
    )
