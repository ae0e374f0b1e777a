"""Determinants, inverses and negative powers. SymPy differentiates few of these, and some wrongly."""

from __future__ import annotations

import numpy as np
import sympy as sp
from sympy import Determinant, Identity, MatrixSymbol, OneMatrix, Trace

from .core import Shape, SharedProgram, Sizes, size_sets, uniform

n, d = sp.symbols("n d", integer=True, positive=True)
UNIT = uniform(-1.0, 1.0)
PAIRS = size_sets("n d", (1, 1), (1, 4), (5, 1), (4, 3), (11, 6))
SQUARES = size_sets("n", (1,), (2,), (3,), (5,), (9,))


def dominant(rng: np.random.RandomState, shape: Shape, sizes: Sizes) -> np.ndarray:
    """A square matrix with a dominant positive diagonal: its determinant is positive."""
    size = shape[0]
    return np.asarray((size + 0.5) * np.eye(size) + 2.0 * rng.random_sample(shape) - 1.0)


def covariance(rng: np.random.RandomState, shape: Shape, sizes: Sizes) -> np.ndarray:
    """A symmetric positive definite matrix."""
    half = dominant(rng, shape, sizes)
    return (half + half.T) / 4


def log_determinant() -> SharedProgram:
    """The logarithm of a determinant, of which SymPy says that the derivative is zero."""
    A = MatrixSymbol("A", n, n)
    return SharedProgram("log_determinant", sp.log(Determinant(A)), (A,), A, SQUARES, {A: dominant})


def determinant_times_trace() -> SharedProgram:
    """A determinant times a trace, scaled; SymPy's derivative drops the determinant's part."""
    A, B = MatrixSymbol("A", n, n), MatrixSymbol("B", n, n)
    loss = Determinant(A / n) * (Trace(A * B) + 1)
    draws = {A: dominant, B: UNIT}
    return SharedProgram("determinant_times_trace", loss, (A, B), (A, B), SQUARES, draws)


def inverse_form() -> SharedProgram:
    """The quadratic form of an inverse, as a matrix of one entry."""
    A, b = MatrixSymbol("A", n, n), MatrixSymbol("b", n, 1)
    draws = {A: dominant, b: UNIT}
    return SharedProgram("inverse_form", (b.T * A.I * b)[0, 0], (A, b), (A, b), SQUARES, draws)


def regularised_log_determinant() -> SharedProgram:
    """log det(X'X + I), as in Bayesian linear regression and in determinantal selection."""
    X = MatrixSymbol("X", n, d)
    loss = sp.log(Determinant(X.T * X + Identity(d)))
    return SharedProgram("regularised_log_determinant", loss, (X,), X, PAIRS, {X: UNIT})


def negative_power() -> SharedProgram:
    """Traces of negative powers of a matrix."""
    W = MatrixSymbol("W", n, n)
    loss = Trace(W**-2) * n + sp.sqrt(1 + Trace(W**-1 * W.T**-3) ** 2)
    return SharedProgram("negative_power", loss, (W,), W, SQUARES, {W: dominant})


def gaussian_likelihood() -> SharedProgram:
    """The log-likelihood of samples under a normal distribution with mean m and full covariance S."""
    X, m, S = MatrixSymbol("X", n, d), MatrixSymbol("m", d, 1), MatrixSymbol("S", d, d)
    centred = X - OneMatrix(n, 1) * m.T
    distances = Trace(centred * S.I * centred.T)
    loss = -(n * sp.log(Determinant(S)) + distances + n * d * sp.log(2 * sp.pi)) / 2
    draws = {X: UNIT, m: UNIT, S: covariance}
    return SharedProgram("gaussian_likelihood", loss, (X, m, S), (m, S), PAIRS, draws)


INVERSES = (
    log_determinant(),
    determinant_times_trace(),
    inverse_form(),
    regularised_log_determinant(),
    negative_power(),
    gaussian_likelihood(),
)
