"""What a cosine leaves of 1: at an offset, where all directions are near, and far out."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.opt.cosine_distances import cosine_distances

COUNT, ROWS, DIGITS, TOLERANCE = 9, 4, 700, 1e-14
n, d = sp.symbols("n d", integer=True, positive=True)
i, k = sp.symbols("i k", integer=True)
u, v = (sp.IndexedBase(name, shape=(n,), real=True) for name in "uv")
X, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("Y", n, d)


def over(body: Any) -> Any:
    return sp.Sum(body, (i, 0, n - 1))


def row(body: Any) -> Any:
    return sp.Sum(body, (k, 0, d - 1))


COSINE = over(u[i] * v[i]) / sp.sqrt(over(u[i] ** 2) * over(v[i] ** 2))
OF_MULTIPLES = over(3 * u[i] * v[i]) / (sp.sqrt(over(9 * u[i] ** 2)) * sp.sqrt(over(4 * v[i] ** 2))) * 2
FORMULAS: dict[str, tuple[Any, Any]] = {
    "distance": (1 - COSINE, lambda c: 1 - c),
    "turned": (COSINE - 1, lambda c: c - 1),
    "of opposite": (2 + 2 * COSINE, lambda c: 2 + 2 * c),
    "of multiples": (3 - 3 * OF_MULTIPLES, lambda c: 3 - 3 * c),
    "squared": ((1 - COSINE) ** 2, lambda c: (1 - c) ** 2),
}
PER_ROW = over(1 - row(X[i, k] * Y[i, k]) / sp.sqrt(row(X[i, k] ** 2) * row(Y[i, k] ** 2))) / n
OF_MATRICES = 1 - sp.Trace(X.T * Y) / sp.sqrt(sp.Trace(X.T * X) * sp.Trace(Y.T * Y))

_RNG = np.random.default_rng(0)
_A, _B = _RNG.standard_normal((2, COUNT))
POINTS = {
    "apart": (_A, _B),
    "at an offset": (1e3 + _A, 1e3 + _B),
    "at opposite ones": (1e3 + _A, -1e3 + _B),
    "far out": (1e200 * _A, 1e200 * _B),
    "of many sizes": (1e200 * _A, 1e-200 * _B),
    "small": (1e-200 * _A, 1e-200 * _B),
}


def cosine(a: np.ndarray, b: np.ndarray) -> Any:
    x, y = ([mpmath.mpf(t) for t in side.ravel().tolist()] for side in (a, b))
    product = sum(s * t for s, t in zip(x, y, strict=True))
    return product / mpmath.sqrt(sum(s * s for s in x) * sum(t * t for t in y))


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
@pytest.mark.parametrize("at", POINTS)
@pytest.mark.parametrize("name", FORMULAS)
def test_values(name: str, at: str, backend: str) -> None:
    expr, exactly = FORMULAS[name]
    found = sg.compile(expr, args=[u, v], outputs="value", backend=backend)(*POINTS[at])
    with mpmath.workdps(DIGITS):
        wanted = exactly(cosine(*POINTS[at]))
        assert abs(found - wanted) <= TOLERANCE * abs(wanted)


def test_parallel_directions_are_at_no_distance() -> None:
    kernel = sg.compile(1 - COSINE, args=[u, v], outputs="value")
    assert kernel(_A, _A) == 0.0
    assert 0 <= kernel(_A, 3 * _A) <= 1e-30


def test_nan_is_no_distance() -> None:
    kernel = sg.compile(1 - COSINE, args=[u, v], outputs="value")
    with np.errstate(invalid="ignore"):
        assert np.isnan(kernel(_A, 0 * _A)) and np.isnan(kernel(_A, np.where(_B > 0, np.nan, _B)))


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
def test_rows_and_matrices(backend: str) -> None:
    rng = np.random.default_rng(1)
    a, b = 1e3 + rng.standard_normal((2, ROWS, COUNT))
    of_rows, of_matrices = (
        sg.compile(expr, args=[X, Y], outputs="value", backend=backend)(a, b)
        for expr in (PER_ROW, OF_MATRICES)
    )
    with mpmath.workdps(DIGITS):
        wanted = sum(1 - cosine(p, q) for p, q in zip(a, b, strict=True)) / ROWS
        assert abs(of_rows - wanted) <= TOLERANCE * wanted
        wanted = 1 - cosine(a, b)
        assert abs(of_matrices - wanted) <= TOLERANCE * wanted


def test_derivatives_are_those_of_the_cosine() -> None:
    of_distance, of_cosine = (
        sg.compile(expr, args=[u, v], wrt=u, outputs=("grad", "hess"))(_A, _B)
        for expr in (1 - COSINE, COSINE)
    )
    for found, opposite in zip(of_distance, of_cosine, strict=True):
        np.testing.assert_allclose(found, -np.asarray(opposite), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(("expr", "is_made"), [(1 - COSINE, True), (2 - COSINE, False), (COSINE, False)])
def test_only_of_the_same_number(expr: Any, is_made: bool) -> None:
    unit = sg.program(expr, args=[u, v]).derived(("value",)).unit
    made, _ = cosine_distances(unit.graph, unit.roots)
    assert (made is not unit.graph) == is_made
