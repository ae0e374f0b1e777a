"""Layers of neural networks: dense, convolution, attention, normalisation, embedding, pooling."""

from __future__ import annotations

import sympy as sp
from sympy import (
    HadamardPower,
    HadamardProduct,
    IndexedBase,
    MatrixSymbol,
    OneMatrix,
    Sum,
    Trace,
    exp,
    log,
    tanh,
)

from .core import SharedProgram, integers, one_hot, size_sets, uniform

n, m, d, h, c, e = sp.symbols("n m d h c e", integer=True, positive=True)
i, j, k, t, a, b, o = sp.symbols("i j k t a b o", integer=True)
UNIT = uniform(-1.0, 1.0)


def dense_matrix() -> SharedProgram:
    """Two dense layers with tanh and softmax cross-entropy in matrix algebra; labels one-hot."""
    X, Y = MatrixSymbol("X", n, d), MatrixSymbol("Y", n, c)
    W1, b1 = MatrixSymbol("W1", d, h), MatrixSymbol("b1", 1, h)
    W2, b2 = MatrixSymbol("W2", h, c), MatrixSymbol("b2", 1, c)
    ones = OneMatrix(n, 1)
    logits = (X * W1 + ones * b1).applyfunc(tanh) * W2 + ones * b2
    normaliser = (logits.applyfunc(exp) * OneMatrix(c, 1)).applyfunc(log)
    loss = (Trace(OneMatrix(1, n) * normaliser) - Trace(Y.T * logits)) / n
    draws = {X: UNIT, Y: one_hot, W1: UNIT, b1: UNIT, W2: UNIT, b2: UNIT}
    sizes = size_sets("n d h c", (1, 1, 1, 1), (1, 3, 4, 2), (5, 2, 3, 4), (8, 4, 8, 3), (17, 5, 9, 10))
    return SharedProgram("dense_matrix", loss, tuple(draws), (W1, b1, W2, b2), sizes, draws)


def dense_index() -> SharedProgram:
    """The same network in index form; labels are integers and select their logit by a gather."""
    X, label = IndexedBase("X", shape=(n, d)), IndexedBase("label", shape=(n,))
    W1, b1 = IndexedBase("W1", shape=(d, h)), IndexedBase("b1", shape=(h,))
    W2, b2 = IndexedBase("W2", shape=(h, c)), IndexedBase("b2", shape=(c,))

    def logit(row: sp.Expr, column: sp.Expr) -> sp.Expr:
        hidden = tanh(Sum(X[row, t] * W1[t, k], (t, 0, d - 1)) + b1[k])
        return Sum(hidden * W2[k, column], (k, 0, h - 1)) + b2[column]

    per_row = log(Sum(exp(logit(i, j)), (j, 0, c - 1))) - logit(i, label[i])
    loss = Sum(per_row, (i, 0, n - 1)) / n
    draws = {X: UNIT, label: integers(c), W1: UNIT, b1: UNIT, W2: UNIT, b2: UNIT}
    sizes = size_sets("n d h c", (1, 1, 1, 1), (1, 3, 4, 2), (5, 2, 3, 4), (8, 4, 8, 3), (17, 5, 9, 10))
    return SharedProgram("dense_index", loss, tuple(draws), (W1, b1, W2, b2), sizes, draws)


def convolution() -> SharedProgram:
    """A valid 1-D convolution over channels, then the squared tanh of every output."""
    batch, channels, outputs, length, width = sp.symbols("B C O T K", integer=True, positive=True)
    x = IndexedBase("x", shape=(batch, channels, length))
    w = IndexedBase("w", shape=(outputs, channels, width))
    y = Sum(x[b, c, t + k] * w[o, c, k], (c, 0, channels - 1), (k, 0, width - 1))
    loss = Sum(tanh(y) ** 2, (b, 0, batch - 1), (o, 0, outputs - 1), (t, 0, length - width))
    draws = {x: UNIT, w: UNIT}
    rows = (1, 1, 1, 1, 1), (1, 1, 1, 5, 5), (2, 1, 3, 6, 2), (1, 3, 2, 9, 1), (2, 3, 4, 19, 5)
    return SharedProgram("convolution", loss, (x, w), (x, w), size_sets("B C O T K", *rows), draws)


def strided_convolution() -> SharedProgram:
    """A convolution with stride two whose input length is an affine function of two other sizes."""
    outputs, width = sp.symbols("M K", integer=True, positive=True)
    x = IndexedBase("x", shape=(2 * outputs + width - 2,))
    w, y = IndexedBase("w", shape=(width,)), IndexedBase("y", shape=(outputs,))
    residual = Sum(x[2 * i + k] * w[k], (k, 0, width - 1)) - y[i]
    loss = Sum(residual**2, (i, 0, outputs - 1)) / 2
    draws = {x: UNIT, w: UNIT, y: UNIT}
    sizes = size_sets("M K", (1, 1), (1, 4), (4, 1), (5, 3), (12, 7))
    return SharedProgram("strided_convolution", loss, (x, w, y), (x, w), sizes, draws)


def attention_index() -> SharedProgram:
    """Scaled dot-product attention with a temperature; four arguments differentiated."""
    Q, K = IndexedBase("Q", shape=(n, d)), IndexedBase("K", shape=(m, d))
    V, R = IndexedBase("V", shape=(m, e)), IndexedBase("R", shape=(n, e))
    tau = sp.Symbol("tau")
    score = exp(Sum(Q[i, k] * K[j, k], (k, 0, d - 1)) / (tau * sp.sqrt(d)))
    mixed = Sum(score * V[j, a], (j, 0, m - 1)) / Sum(score, (j, 0, m - 1))
    loss = Sum((mixed - R[i, a]) ** 2, (i, 0, n - 1), (a, 0, e - 1))
    draws = {Q: UNIT, K: UNIT, V: UNIT, R: UNIT, tau: uniform(0.3, 0.8)}
    sizes = size_sets("n m d e", (1, 1, 1, 1), (1, 3, 2, 1), (3, 1, 2, 2), (4, 5, 3, 2), (9, 7, 8, 5))
    return SharedProgram("attention_index", loss, tuple(draws), (Q, K, V, tau), sizes, draws)


def attention_matrix() -> SharedProgram:
    """Attention in matrix algebra: row sums by a product with ones, the division by a Hadamard power."""
    Q, K = MatrixSymbol("Q", n, d), MatrixSymbol("K", m, d)
    V, R = MatrixSymbol("V", m, e), MatrixSymbol("R", n, e)
    score = (Q * K.T / sp.sqrt(d)).applyfunc(exp)
    weight = HadamardProduct(score, HadamardPower(score * OneMatrix(m, 1), -1) * OneMatrix(1, m))
    residual = weight * V - R
    draws = {Q: UNIT, K: UNIT, V: UNIT, R: UNIT}
    sizes = size_sets("n m d e", (1, 1, 1, 1), (1, 3, 2, 1), (3, 1, 2, 2), (4, 5, 3, 2), (9, 7, 8, 5))
    loss = Trace(residual.T * residual)
    return SharedProgram("attention_matrix", loss, (Q, K, V, R), (Q, K, V), sizes, draws)


def batch_norm() -> SharedProgram:
    """Batch normalisation with scale and shift, tanh, and a weighted sum; mean and variance over the rows."""
    X, R = IndexedBase("X", shape=(n, d)), IndexedBase("R", shape=(n, d))
    gamma, beta = IndexedBase("gamma", shape=(d,)), IndexedBase("beta", shape=(d,))
    mean = Sum(X[k, j], (k, 0, n - 1)) / n
    variance = Sum((X[i, j] - mean) ** 2, (i, 0, n - 1)) / n
    normal = (X[i, j] - mean) / sp.sqrt(variance + sp.Rational(1, 100))
    loss = Sum(tanh(gamma[j] * normal + beta[j]) * R[i, j], (i, 0, n - 1), (j, 0, d - 1))
    draws = {X: UNIT, R: UNIT, gamma: uniform(0.5, 1.5), beta: UNIT}
    sizes = size_sets("n d", (1, 1), (2, 1), (3, 4), (8, 2), (19, 6))
    return SharedProgram("batch_norm", loss, tuple(draws), (X, gamma, beta), sizes, draws)


def embedding() -> SharedProgram:
    """Rows of a table looked up by tokens that repeat: the gradient adds up the rows' uses."""
    table = IndexedBase("E", shape=(m, d))
    token, u = IndexedBase("token", shape=(n,)), IndexedBase("u", shape=(d,))
    loss = Sum(tanh(Sum(table[token[t], k] * u[k], (k, 0, d - 1))) ** 2, (t, 0, n - 1))
    draws = {table: UNIT, token: integers(m), u: UNIT}
    sizes = size_sets("n m d", (1, 1, 1), (4, 1, 2), (3, 7, 2), (9, 4, 3), (20, 6, 5))
    return SharedProgram("embedding", loss, (table, token, u), (table, u), sizes, draws)


def max_pool() -> SharedProgram:
    """The larger of each pair of neighbours, a rectifier, and a smaller of three."""
    x, w = IndexedBase("x", shape=(2 * n,)), IndexedBase("w", shape=(n,))
    pooled = sp.Max(x[2 * i], x[2 * i + 1])
    term = tanh(pooled) * w[i] + sp.Max(0, pooled) ** 2 + sp.Min(x[2 * i] ** 2, pooled, w[i]) ** 3
    draws = {x: UNIT, w: UNIT}
    sizes = size_sets("n", (1,), (2,), (3,), (8,), (21,))
    return SharedProgram("max_pool", Sum(term, (i, 0, n - 1)), (x, w), (x, w), sizes, draws)


def gated_unit() -> SharedProgram:
    """A linear layer gated by a sigmoid of another and rectified, both functions the user's own."""
    X, W, G = MatrixSymbol("X", n, d), MatrixSymbol("W", d, c), MatrixSymbol("G", d, c)
    v = sp.Symbol("v")
    gate = (X * G).applyfunc(sp.Lambda(v, 1 / (1 + exp(-v))))
    rectified = HadamardProduct(X * W, gate).applyfunc(sp.Lambda(v, sp.Max(v, v / 10)))
    draws = {X: UNIT, W: UNIT, G: UNIT}
    sizes = size_sets("n d c", (1, 1, 1), (1, 4, 3), (6, 1, 2), (5, 3, 4), (11, 6, 9))
    return SharedProgram("gated_unit", Trace(rectified.T * rectified) / n, (X, W, G), (W, G), sizes, draws)


NETWORKS = (
    dense_matrix(),
    dense_index(),
    convolution(),
    strided_convolution(),
    attention_index(),
    attention_matrix(),
    batch_norm(),
    embedding(),
    max_pool(),
    gated_unit(),
)
