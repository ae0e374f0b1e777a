"""Matrix functions on every target: values and derivatives of first and second order against 60 digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad import linalg
from symgrad.ir.evaluate import evaluate

n, m, k = sp.symbols("n m k", integer=True, positive=True)
A, D = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("D", n, n)
B, C = sp.MatrixSymbol("B", n, k), sp.MatrixSymbol("C", n, k)
T, E = sp.MatrixSymbol("T", m, n), sp.MatrixSymbol("E", m, n)
F = sp.MatrixSymbol("F", n, 1)
SIZES = {"n": 3, "m": 4, "k": 2}
BACKENDS = ("numpy", "llvm", "c")


def paired(X: Any, Y: Any) -> Any:
    return sp.Trace(X.T * Y)


@dataclass(frozen=True)
class Case:
    """A scalar made of one matrix function; `definite`: A is drawn symmetric positive definite, almost."""

    value: Any
    wrt: tuple[Any, ...] = (A,)
    definite: bool = False


CASES = {
    "solve": Case(paired(C, linalg.solve(A, B)), (A, B)),
    "solve of the transpose": Case(paired(C, A.T.I * B), (A, B)),
    "solve from the right": Case(paired(C.T, B.T * A.I), (A, B)),
    "solve spd": Case(paired(C, linalg.solve(A, B, assume="spd")), (A, B), True),
    "solve lower": Case(paired(C, linalg.solve(A, B, assume="lower")), (A, B), True),
    "solve upper": Case(paired(C, linalg.solve(A, B, assume="upper")), (A, B), True),
    "inverse": Case(paired(D, A.I)),
    "determinant": Case(sp.Determinant(A)),
    "log of a determinant": Case(linalg.logdet(A), definite=True),
    "log of a definite determinant": Case(linalg.logdet(A, assume="spd"), definite=True),
    "sign and log": Case(linalg.slogdet(A)[0] * linalg.slogdet(A)[1] ** 2),
    "cholesky": Case(paired(D, linalg.cholesky(A)), definite=True),
    "eigenvalues": Case(paired(F, linalg.eigvalsh(A)), definite=True),
    "eigenvectors": Case(paired(D, linalg.eigh(A)[1]), definite=True),
    "eigenvalues and vectors": Case(paired(F, linalg.eigh(A)[1] * linalg.eigh(A)[0]), definite=True),
    "orthogonal factor": Case(paired(E, linalg.qr(T)[0]), (T,)),
    "triangular factor": Case(paired(D, linalg.qr(T)[1]), (T,)),
    "singular values": Case(paired(F, linalg.svdvals(T)), (T,)),
}


def draw(case: Case) -> dict[str, np.ndarray]:
    """Arrays for every symbol of a case, the same each time."""
    rng = np.random.default_rng(11)
    shapes = {"A": "nn", "D": "nn", "B": "nk", "C": "nk", "T": "mn", "E": "mn", "F": "n1"}
    out = {}
    for symbol, letters in shapes.items():
        shape = tuple(SIZES.get(letter, 1) for letter in letters)
        out[symbol] = rng.normal(size=shape)
    if case.definite:
        a = out["A"]
        out["A"] = a @ a.T + np.diag([1.0, 2.0, 4.0]) + 0.01 * rng.normal(size=a.shape)
    used = {str(s) for s in case.value.atoms(sp.MatrixSymbol)}
    return {symbol: x for symbol, x in out.items() if symbol in used}


def exactly(program: Any, word: str, arrays: dict[str, Any]) -> list[np.ndarray]:
    """An output of a program in mpmath's numbers."""
    unit = program.derived((word,)).unit
    inputs = {t: arrays[name] for name, t in unit.inputs}
    return evaluate(unit.graph, [t for _, t in unit.outputs], inputs, SIZES, object)


def moved(arrays: dict[str, Any], directions: dict[str, Any], step: Any) -> dict[str, Any]:
    exact = {s: np.vectorize(mpmath.mpf, otypes=[object])(x) for s, x in arrays.items()}
    return {s: x + step * directions[s] if s in directions else x for s, x in exact.items()}


def flat(parts: Any) -> np.ndarray:
    parts = parts if isinstance(parts, (list, tuple)) else [parts]
    return np.concatenate([np.ravel(np.asarray(p)).astype(float) for p in parts])


def differences(program: Any, word: str, arrays: dict[str, Any], directions: dict[str, Any]) -> np.ndarray:
    """The derivative of an output along a direction by central differences with 60 digits."""
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -20
        after = exactly(program, word, moved(arrays, directions, h))
        before = exactly(program, word, moved(arrays, directions, -h))
        return flat([(a - b) / (2 * h) for a, b in zip(after, before, strict=True)])


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_both_modes_and_orders_agree_with_high_precision(name: str) -> None:
    case = CASES[name]
    program = sg.program(case.value, wrt=case.wrt)
    arrays, rng = draw(case), np.random.default_rng(3)
    directions = {str(s): rng.normal(size=arrays[str(s)].shape) for s in case.wrt}
    along = differences(program, "value", arrays, directions)
    second = differences(program, "grad", arrays, directions)
    with mpmath.workdps(60):
        exact = [flat(exactly(program, word, moved(arrays, {}, 0))) for word in ("value", "grad")]
    tangent = tuple(directions.values())
    along_wrt = tangent if len(tangent) > 1 else tangent[0]
    for backend in BACKENDS:
        # LLVM takes a second for all four; its forward mode is that of the product.
        words = ("grad", "hvp") if backend == "llvm" else ("value", "grad", "jvp", "hvp")
        kernel = sg.compile(program, outputs=words, backend=backend)
        found = dict(zip(words, kernel(**arrays, tangent=along_wrt), strict=True))
        np.testing.assert_allclose(found.get("value", exact[0][0]), exact[0][0], rtol=1e-12)
        np.testing.assert_allclose(found.get("jvp", along[0]), along[0], rtol=1e-10, atol=1e-11)
        gradient, product = flat(found["grad"]), flat(found["hvp"])
        np.testing.assert_allclose(gradient, exact[1], rtol=1e-11, atol=1e-11 * abs(exact[1]).max())
        np.testing.assert_allclose(gradient @ flat(tangent), along[0], rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(product, second, rtol=1e-9, atol=1e-10 * abs(second).max())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "entries", [[[1.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [2.0, 4.0]], [[1, 2, 0], [2, 4, 0], [3, 1, 0]]]
)
def test_the_largest_singular_value_has_its_hessian_where_another_one_is_zero(entries, backend):
    a = np.array(entries, dtype=float)
    A = sp.MatrixSymbol("A", *a.shape)
    largest = linalg.svdvals(A)[0, 0]
    hess = sg.compile(largest, args=(A,), wrt=A, outputs="hess", backend=backend)(a)
    moved = np.zeros_like(hess)
    step = 2.0**-14

    for place in np.ndindex(a.shape):
        ends = []
        for sign in (1, -1):
            b = a.copy()
            b[place] += sign * step
            left, _, right = np.linalg.svd(b)
            ends.append(np.outer(left[:, 0], right[0]))
        moved[place] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(hess, moved, atol=1e-7)
