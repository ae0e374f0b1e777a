"""Matrix algebra: traces, products, blocks. SymPy's own derivative is wrong or fails on several of these."""

from __future__ import annotations

import sympy as sp
from sympy import BlockMatrix, DiagMatrix, Identity, MatrixSymbol, Sum, Trace

from .core import SharedProgram, size_sets, uniform

n, m, d = sp.symbols("n m d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
UNIT = uniform(-1.0, 1.0)
PAIRS = size_sets("n d", (1, 1), (1, 4), (5, 1), (4, 3), (11, 6))
SQUARES = size_sets("n", (1,), (2,), (3,), (5,), (9,))


def orthogonality_matrix() -> SharedProgram:
    """The squared Frobenius distance of W'W from the identity."""
    W = MatrixSymbol("W", n, d)
    defect = W.T * W - Identity(d)
    return SharedProgram("orthogonality_matrix", Trace(defect.T * defect), (W,), W, PAIRS, {W: UNIT})


def trace_cube() -> SharedProgram:
    """The trace of a matrix power; SymPy differentiates it as an element-wise power."""
    W = MatrixSymbol("W", n, n)
    return SharedProgram("trace_cube", Trace(W**3), (W,), W, SQUARES, {W: UNIT})


def exp_trace() -> SharedProgram:
    """A scalar function of a trace; SymPy says the derivative is zero."""
    B, C = MatrixSymbol("B", n, d), MatrixSymbol("C", d, n)
    draws = {B: UNIT, C: UNIT}
    return SharedProgram("exp_trace", sp.exp(Trace(B * C)), (B, C), (B, C), PAIRS, draws)


def log_trace_squared() -> SharedProgram:
    """The logarithm of a squared trace, which is negative as often as not before the square."""
    B, C = MatrixSymbol("B", n, d), MatrixSymbol("C", d, n)
    draws = {B: UNIT, C: UNIT}
    return SharedProgram("log_trace_squared", sp.log(Trace(B * C) ** 2), (B, C), B, PAIRS, draws)


def frobenius_norm() -> SharedProgram:
    """A sum of two norms by square roots of traces, and a constant; SymPy raises on it."""
    A, B = MatrixSymbol("A", n, d), MatrixSymbol("B", d, n)
    norm = sp.sqrt(Trace(A.T * A)) + sp.sqrt(Trace(A * B * B.T * A.T) + 1) + 1
    draws = {A: UNIT, B: UNIT}
    return SharedProgram("frobenius_norm", norm, (A, B), (A, B), PAIRS, draws)


def weighted_least_squares() -> SharedProgram:
    """Least squares with a diagonal weight matrix; coefficients and weights differentiated."""
    X, y = MatrixSymbol("X", n, d), MatrixSymbol("y", n, 1)
    b, w = MatrixSymbol("b", d, 1), MatrixSymbol("w", n, 1)
    r = X * b - y
    draws = {X: UNIT, y: UNIT, b: UNIT, w: uniform(0.5, 1.5)}
    loss = Trace(r.T * DiagMatrix(w) * r)
    return SharedProgram("weighted_least_squares", loss, tuple(draws), (b, w), PAIRS, draws)


def block_quadratic() -> SharedProgram:
    """A quadratic form whose matrix and vector are put together from blocks."""
    A, B, C = MatrixSymbol("A", n, n), MatrixSymbol("B", n, m), MatrixSymbol("C", m, m)
    x, y = MatrixSymbol("x", n, 1), MatrixSymbol("y", m, 1)
    whole, vector = BlockMatrix([[A, B], [B.T, C]]), BlockMatrix([[x], [y]])
    draws = {A: UNIT, B: UNIT, C: UNIT, x: UNIT, y: UNIT}
    sizes = size_sets("n m", (1, 1), (1, 4), (5, 1), (3, 2), (7, 9))
    form = Trace(vector.T * whole * vector)
    return SharedProgram("block_quadratic", form, tuple(draws), (B, x, y), sizes, draws)


def transposed_elements() -> SharedProgram:
    """Entries of a matrix symbol inside a sum, read straight and transposed."""
    W = MatrixSymbol("W", n, n)
    total = Sum(sp.sin(W[i, j] * W[j, i]) * (i + 1), (i, 0, n - 1), (j, 0, n - 1))
    return SharedProgram("transposed_elements", total, (W,), W, SQUARES, {W: UNIT})


MATRICES = (
    orthogonality_matrix(),
    trace_cube(),
    exp_trace(),
    log_trace_squared(),
    frobenius_norm(),
    weighted_least_squares(),
    block_quadratic(),
    transposed_elements(),
)
