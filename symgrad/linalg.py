"""Linear algebra as SymPy expressions that stay unevaluated: `sg.linalg.cholesky(K)`, `sg.linalg.qr(A)`.

Every function takes matrix expressions (or explicit matrices) of fixed or symbolic sizes and returns matrix
expressions, or scalars, to be used in others; all are differentiated exactly to any order. Vectors come as
columns, `(n, 1)`. SymPy's own notation needs none of this: `A**-1*B` and `A.inv()*B` solve a system instead
of forming the inverse, and `log(Determinant(A))` is a log-determinant that does not overflow.

    >>> import sympy as sp
    >>> n = sp.Symbol("n", integer=True, positive=True)
    >>> K, y = sp.MatrixSymbol("K", n, n), sp.MatrixSymbol("y", n, 1)
    >>> x = solve(K, y, assume="spd"); x, x.shape
    (solve(K, y, assume='spd'), (n, 1))
    >>> sp.Trace(y.T*x) + logdet(K, assume="spd")
    logdet(K, assume='spd') + Trace(y.T*solve(K, y, assume='spd'))

Symmetric operands (of `cholesky`, `eigvalsh`, `eigh`, and with `assume="spd"`): what is meant is the
symmetric part `(A + A.T)/2`, so both triangles count and gradients are symmetric, as in JAX.
Triangular operands: the other triangle is never looked at, and gradients are 0 there.

A matrix for which a function has no value (singular, not positive definite, dependent columns) raises
`NoFactorisation` when the kernel is called; so do derivatives that do not exist, of eigenvectors at repeated
eigenvalues, and gradients that tell repeated eigenvalues (or singular values) apart, as that of the largest
one does. Derivatives of a symmetric function of `eigvalsh(A)` alone (a sum over the eigenvalues) exist at
repeated ones and are right to first order there; so are tangents of such functions.
All functions raise BadArgument for what is not a matrix and ShapeMismatch for a shape that cannot be.

Sources of the rules: `symgrad/ir/matrix/functions.py`.
"""

from __future__ import annotations

from typing import Any

from symgrad.errors import BadOption, ShapeMismatch
from symgrad.frontend.describe import show
from symgrad.frontend.linalg import MatrixCall, ScalarCall, as_matrix
from symgrad.frontend.triangle import LOWER, UPPER, Triangle

Matrix = Any  # a SymPy matrix expression
Scalar = Any

__all__ = ["cholesky", "eigh", "eigvalsh", "logdet", "qr", "slogdet", "solve", "svdvals", "tril", "triu"]

_SOLVES = {"general": "solve", "spd": "solve_spd", "lower": "solve_lower", "upper": "solve_upper"}
_LOG_DETERMINANTS = {"general": "log_det", "spd": "log_det_spd"}


def solve(A: Any, B: Any, assume: str = "general") -> Matrix:
    """X with `A*X = B`: `A` is (n, n), `B` and `X` are (n, k).

    assume  "general" (LU with partial pivoting), "spd" (symmetric positive definite, by Cholesky), "lower" or
            "upper" (triangular, by substitution).
    """
    a, b = _square("solve", A), as_matrix("solve", B)
    name = _choice("assume", assume, _SOLVES)
    if a.rows != b.rows:
        raise ShapeMismatch(
            f"cannot solve a system of shape {a.shape} for a right side of shape {b.shape}",
            where=f"{name}({show(a)}, {show(b)})",
            try_="a right side with as many rows as the matrix",
        )
    return MatrixCall(name, a, b)


def cholesky(A: Any) -> Matrix:
    """The lower triangular L with a positive diagonal and `L*L.T = A`, (n, n)."""
    return MatrixCall("cholesky", _square("cholesky", A))


def eigvalsh(A: Any) -> Matrix:
    """The eigenvalues of a symmetric matrix, ascending, as a column (n, 1)."""
    return MatrixCall("eigenvalues", _square("eigvalsh", A))


def eigh(A: Any) -> tuple[Matrix, Matrix]:
    """Eigenvalues, ascending, (n, 1), and eigenvectors as columns, (n, n), of a symmetric matrix.

    Eigenvectors have length 1, and their first entry that is not small (a thousandth of the largest) is
    positive. Their derivatives need eigenvalues that differ.
    """
    a = _square("eigh", A)
    return MatrixCall("eigenvalues", a), MatrixCall("eigenvectors", a)


def qr(A: Any) -> tuple[Matrix, Matrix]:
    """Q (m, n) with orthonormal columns and upper triangular R (n, n) with `Q*R = A`, for m >= n.

    The columns of `A` have to be independent; R has a positive diagonal, which makes both unique.
    """
    a = as_matrix("qr", A)
    if (a.rows - a.cols).is_negative:
        raise ShapeMismatch(
            f"qr of a matrix of shape {a.shape}",
            where=show(a),
            because="its columns cannot be independent: it has fewer rows than columns",
            try_="the transpose of the matrix",
        )
    return MatrixCall("orthogonal_factor", a), MatrixCall("triangular_factor", a)


def svdvals(A: Any) -> Matrix:
    """The singular values, descending, as a column.

    A matrix whose sizes do not say that it has fewer rows than columns is taken to have at least as many:
    with symbolic sizes, transpose a wide one. Derivatives of second order need singular values that differ
    and are not 0.
    """
    a = as_matrix("svdvals", A)
    return MatrixCall("singular_values", a.T if (a.rows - a.cols).is_negative else a)


def logdet(A: Any, assume: str = "general") -> Scalar:
    """log(det(A)): -inf for a singular matrix, nan for a negative determinant; the gradient is `A**-T`.

    assume  "general" (by LU), or "spd" (symmetric positive definite, by Cholesky).
    """
    return ScalarCall(_choice("assume", assume, _LOG_DETERMINANTS), _square("logdet", A))


def slogdet(A: Any) -> tuple[Scalar, Scalar]:
    """The sign of the determinant (-1, 0 or 1) and the logarithm of its size (-inf for a singular matrix)."""
    a = _square("slogdet", A)
    return ScalarCall("sign_det", a), ScalarCall("log_abs_det", a)


def tril(A: Any, k: int = 0) -> Matrix:
    """The entries of `A` on and below its diagonal number `k` (above the main one where positive), else 0."""
    return Triangle(LOWER, as_matrix("tril", A), k)


def triu(A: Any, k: int = 0) -> Matrix:
    """The entries of `A` on and above its diagonal number `k` (above the main one where positive), else 0."""
    return Triangle(UPPER, as_matrix("triu", A), k)


def _square(function: str, A: Any) -> Matrix:
    a = as_matrix(function, A)
    if a.rows != a.cols:
        raise ShapeMismatch(
            f"{function} of a matrix of shape {a.shape}", where=show(a), try_="a square matrix"
        )
    return a


def _choice(option: str, word: str, table: dict[str, str]) -> str:
    if word not in table:
        raise BadOption(f"unknown {option}={word!r}", because="it is one of " + ", ".join(table))
    return table[word]
