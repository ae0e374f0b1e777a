"""Derivatives of matrix functions in print: as one would write them, and the same numbers compiled again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad import linalg
from symgrad.frontend.to_sympy import IndexedExpression

n, m, k = sp.symbols("n m k", integer=True, positive=True)
A, D, T, E = (
    sp.MatrixSymbol(s, *shape) for s, shape in zip("ADTE", ((n, n), (n, n), (m, n), (m, n)), strict=True)
)
B, C, F = sp.MatrixSymbol("B", n, k), sp.MatrixSymbol("C", n, k), sp.MatrixSymbol("F", n, 1)
p = sp.IndexedBase("p", shape=(n,))
i, j = sp.symbols("i j", integer=True)

GRADIENTS: dict[str, tuple[Any, Any, str]] = {
    "solve spd": (
        sp.Trace(C.T * linalg.solve(A, B, assume="spd")), A,
        "-(1/2)*(solve(A, B, assume='spd')*solve(A, C, assume='spd').T"
        " + solve(A, C, assume='spd')*solve(A, B, assume='spd').T)",
    ),
    "solve lower": (
        sp.Trace(C.T * linalg.solve(A, B, assume="lower")), A,
        "-tril(solve(A.T, C, assume='upper')*solve(A, B, assume='lower').T)",
    ),
    "eigenvalues": (sp.Trace(F.T * linalg.eigvalsh(A)), A, "eigh(A)[1]*DiagMatrix(F)*eigh(A)[1].T"),
    "R of QR": (
        sp.Trace(D.T * linalg.qr(T)[1]), T,
        "solve(qr(T)[1], (tril(qr(T)[1]*D.T, -1) + triu(D*qr(T)[1].T))*qr(T)[0].T, assume='upper').T",
    ),
    "largest eigenvalue": (
        linalg.eigvalsh(A)[n - 1, 0], A,
        "[i, j] -> Sum(KroneckerDelta(n, k + 1)*eigh(A)[1][i, k]*eigh(A)[1][j, k], (k, 0, n - 1))",
    ),
    "an element of Cholesky's factor": (linalg.cholesky(A)[0, 0] ** 2, A, ""),
    "Cholesky": (sp.Trace(D.T * linalg.cholesky(A)), A, ""),
    "eigenvectors": (sp.Trace(D.T * linalg.eigh(A)[1]), A, ""),
    "Q of QR": (sp.Trace(E.T * linalg.qr(T)[0]), T, ""),
    "singular values": (sp.Trace(F.T * linalg.svdvals(T)), T, ""),
    "a matrix for every index": (
        sp.Sum(linalg.logdet(A + p[i] * sp.Identity(n)) * p[i], (i, 0, n - 1)), A, ""
    ),
}  # fmt: skip


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    shapes = {
        "A": (3, 3),
        "B": (3, 2),
        "C": (3, 2),
        "D": (3, 3),
        "T": (4, 3),
        "E": (4, 3),
        "F": (3, 1),
        "p": (3,),
    }
    drawn = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    drawn["A"] = drawn["A"] @ drawn["A"].T + np.diag([1.0, 2.0, 4.0])
    return drawn | {"p": abs(drawn["p"])}


def in_sympy(printed: Any) -> Any:
    """An expression of an entry as a matrix."""
    if not isinstance(printed, IndexedExpression):
        return printed
    plain = {index: sp.Symbol(str(index), integer=True) for index in printed.indices}
    return sp.FunctionMatrix(*printed.shape, sp.Lambda(tuple(plain.values()), printed.expr.xreplace(plain)))


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_printed_gradient_reads_well_and_compiles_to_the_same_numbers(name: str) -> None:
    expression, wrt, text = GRADIENTS[name]
    program = sg.program(expression, wrt=wrt)
    printed = program.grad
    assert str(printed) == text or not text
    given = {str(s): x for s in program.args if (x := arrays().get(str(getattr(s, "label", s)))) is not None}
    wanted = sg.compile(program, outputs="grad", backend="numpy")(**given)
    again = sg.compile(in_sympy(printed), args=program.args, outputs="value", backend="numpy")
    np.testing.assert_allclose(again(**given), wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", GRADIENTS)
def test_hessians_of_matrix_functions_print(name: str) -> None:
    expression, wrt, _ = GRADIENTS[name]
    assert len(str(sg.program(expression, wrt=wrt).hess)) > 20


def test_values_print_as_they_were_written() -> None:
    for value in (
        sp.Trace(D.T * linalg.cholesky(A)),
        linalg.logdet(A, assume="spd"),
        linalg.cholesky(A)[0, 0],
        linalg.tril(A * D, -1),
        linalg.triu(A * D),
    ):
        assert sorted(str(sg.program(value).value)) == sorted(str(value))


def test_parts_of_matrices_are_those_of_numpy() -> None:
    a = np.arange(12.0).reshape(4, 3)
    for offset in (-2, 0, 1):
        for ours, theirs in ((linalg.tril, np.tril), (linalg.triu, np.triu)):
            for backend in ("numpy", "llvm"):
                kernel = sg.compile(ours(T, offset), outputs="value", backend=backend)
                np.testing.assert_array_equal(kernel(a), theirs(a, offset))
    assert sp.latex(linalg.tril(A, -1)) == r"\operatorname{tril}\left(A, -1\right)"


def test_a_gradient_through_a_triangle_sees_that_triangle_alone() -> None:
    program = sg.program(sp.Trace(D.T * linalg.tril(A) * linalg.triu(A, 1)), wrt=A)
    assert str(program.grad) == "(tril(D.T*tril(A), -1) + triu(triu(A, 1)*D.T)).T"


def test_hessians_of_norms_print_as_written_by_hand() -> None:
    n, d = sp.symbols("n d", integer=True, positive=True)
    i, w, X = sp.Symbol("i", integer=True), sp.MatrixSymbol("w", n, 1), sp.MatrixSymbol("X", n, d)
    v = sp.IndexedBase("v", shape=(n,))
    for value, wrt, text in (
        (sp.Trace(w.T * w), w, "(-1/Trace(w.T*w)**(3/2))*w*w.T + 1/sqrt(Trace(w.T*w))*I"),
        (sp.Trace(w.T * w) + 1, w, "(-1/(Trace(w.T*w) + 1)**(3/2))*w*w.T + 1/sqrt(Trace(w.T*w) + 1)*I"),
        (
            sp.Sum(v[i] ** 2, (i, 0, n - 1)),
            v,
            "[i, j] -> KroneckerDelta(i, j)/sqrt(Sum(v[l]**2, (l, 0, n - 1)))"
            " - v[i]*v[j]/Sum(v[l]**2, (l, 0, n - 1))**(3/2)",
        ),
        (
            sp.Trace(X.T * X),
            X,
            "[i, j, k, l] -> KroneckerDelta(i, k)*KroneckerDelta(j, l)"
            "/sqrt(Sum(X[q, r]**2, (q, 0, n - 1), (r, 0, d - 1)))"
            " - X[i, j]*X[k, l]/Sum(X[q, r]**2, (q, 0, n - 1), (r, 0, d - 1))**(3/2)",
        ),
    ):
        assert str(sg.program(sp.sqrt(value), wrt=wrt).hess) == text
