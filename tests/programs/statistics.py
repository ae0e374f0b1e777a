"""Likelihoods and regressions."""

from __future__ import annotations

import numpy as np
import sympy as sp
from sympy import IndexedBase, Piecewise, Sum, exp, log

from .core import Shape, SharedProgram, Sizes, signs, size_sets, uniform

n, d, c = sp.symbols("n d c", integer=True, positive=True)
i, j, k, p, q = sp.symbols("i j k p q", integer=True)
UNIT = uniform(-1.0, 1.0)


def mixture_full() -> SharedProgram:
    """Log-likelihood of a Gaussian mixture whose precision factors are lower triangular, with a prior.

    The factor of component k is exp(s[k, :]) on the diagonal and l[k, p, q] below; the rest of l is not read.
    """
    x = IndexedBase("x", shape=(n, d))
    alpha, mu = IndexedBase("alpha", shape=(c,)), IndexedBase("mu", shape=(c, d))
    s, low = IndexedBase("s", shape=(c, d)), IndexedBase("l", shape=(c, d, d))
    off_diagonal = Sum(low[k, p, q] * (x[i, q] - mu[k, q]), (q, 0, p - 1))
    scaled = exp(s[k, p]) * (x[i, p] - mu[k, p]) + off_diagonal
    inner = alpha[k] + Sum(s[k, p], (p, 0, d - 1)) - Sum(scaled**2, (p, 0, d - 1)) / 2
    fit = Sum(log(Sum(exp(inner), (k, 0, c - 1))), (i, 0, n - 1))
    normaliser = n * log(Sum(exp(alpha[k]), (k, 0, c - 1))) + n * d * log(2 * sp.pi) / 2
    triangle = Sum(low[k, p, q] ** 2, (q, 0, p - 1), (p, 0, d - 1), (k, 0, c - 1))
    prior = -(Sum(exp(2 * s[k, p]), (p, 0, d - 1), (k, 0, c - 1)) + triangle) / 2
    draws = {x: UNIT, alpha: UNIT, mu: UNIT, s: uniform(-0.5, 0.5), low: UNIT}
    sizes = size_sets("n d c", (1, 1, 1), (1, 3, 2), (6, 1, 3), (5, 2, 4), (9, 4, 5))
    return SharedProgram(
        "mixture_full", fit - normaliser + prior, tuple(draws), (alpha, mu, s, low), sizes, draws
    )


def mixture_diagonal() -> SharedProgram:
    """Negative log-likelihood per sample of a Gaussian mixture with diagonal precision exp(2 s)."""
    x = IndexedBase("x", shape=(n, d))
    alpha, mu = IndexedBase("alpha", shape=(c,)), IndexedBase("mu", shape=(c, d))
    s = IndexedBase("s", shape=(c, d))
    square = exp(2 * s[k, j]) * (x[i, j] - mu[k, j]) ** 2
    inner = alpha[k] + Sum(s[k, j] - square / 2, (j, 0, d - 1))
    fit = Sum(log(Sum(exp(inner), (k, 0, c - 1))), (i, 0, n - 1)) / n
    loss = log(Sum(exp(alpha[k]), (k, 0, c - 1))) - fit
    draws = {x: UNIT, alpha: UNIT, mu: UNIT, s: uniform(-0.5, 0.5)}
    sizes = size_sets("n d c", (1, 1, 1), (1, 3, 2), (6, 1, 3), (5, 2, 4), (17, 4, 9))
    return SharedProgram("mixture_diagonal", loss, tuple(draws), (alpha, mu, s), sizes, draws)


def logistic_regression() -> SharedProgram:
    """Logistic loss with labels -1 and 1, an intercept and a ridge penalty."""
    X, y = IndexedBase("X", shape=(n, d)), IndexedBase("y", shape=(n,))
    w = IndexedBase("w", shape=(d,))
    b, penalty = sp.symbols("b penalty")
    score = Sum(X[i, j] * w[j], (j, 0, d - 1)) + b
    loss = Sum(log(1 + exp(-y[i] * score)), (i, 0, n - 1)) / n + penalty * Sum(w[j] ** 2, (j, 0, d - 1)) / 2
    draws = {X: UNIT, y: signs, w: UNIT, b: UNIT, penalty: uniform(0.1, 0.2)}
    sizes = size_sets("n d", (1, 1), (1, 5), (7, 1), (6, 3), (33, 8))
    return SharedProgram("logistic_regression", loss, tuple(draws), (w, b), sizes, draws)


def huber_regression() -> SharedProgram:
    """Huber's loss: quadratic near zero, linear beyond a width; the width is differentiated too."""
    X, y = IndexedBase("X", shape=(n, d)), IndexedBase("y", shape=(n,))
    w = IndexedBase("w", shape=(d,))
    width = sp.Symbol("width")
    r = Sum(X[i, j] * w[j], (j, 0, d - 1)) - y[i]
    huber = Piecewise((r**2 / 2, sp.Abs(r) <= width), (width * (sp.Abs(r) - width / 2), True))
    draws = {X: UNIT, y: UNIT, w: UNIT, width: uniform(0.3, 0.6)}
    sizes = size_sets("n d", (1, 1), (1, 5), (7, 1), (6, 3), (33, 8))
    return SharedProgram(
        "huber_regression", Sum(huber, (i, 0, n - 1)), tuple(draws), (w, width), sizes, draws
    )


def log_sum_exp_far() -> SharedProgram:
    """log-sum-exp of numbers near a thousand: overflows unless the largest is taken out first."""
    x = IndexedBase("x", shape=(n,))
    draws = {x: uniform(999.0, 1001.0)}
    sizes = size_sets("n", (1,), (2,), (3,), (8,), (37,))
    return SharedProgram("log_sum_exp_far", log(Sum(exp(x[i]), (i, 0, n - 1))), (x,), x, sizes, draws)


def softmax_cold() -> SharedProgram:
    """The mean of u under a softmax at temperature 0.004, whose exponents are near 750."""
    x, u = IndexedBase("x", shape=(n,)), IndexedBase("u", shape=(n,))
    tau = sp.Symbol("tau")
    weight = exp(x[i] / tau)
    mean = Sum(u[i] * weight, (i, 0, n - 1)) / Sum(weight, (i, 0, n - 1))
    draws = {x: uniform(3.0, 3.01), u: UNIT, tau: uniform(0.004, 0.0041)}
    sizes = size_sets("n", (1,), (2,), (3,), (8,), (37,))
    return SharedProgram("softmax_cold", mean, (x, u, tau), x, sizes, draws)


def half_zero(rng: np.random.RandomState, shape: Shape, sizes: Sizes) -> np.ndarray:
    """Every other entry is exactly zero, the first one too; the rest lie in [0.5, 1.5)."""
    values = 0.5 + rng.random_sample(shape)
    values[::2] = 0.0
    return values


def relative_entropy() -> SharedProgram:
    """Generalised relative entropy of counts y, many of them zero: 0 log 0 counts as 0 and makes no nan."""
    y, w = IndexedBase("y", shape=(n,)), IndexedBase("w", shape=(n,))
    rate = exp(w[i])
    term = Piecewise((y[i] * log(y[i] / rate), y[i] > 0), (0, True)) - y[i] + rate
    draws = {y: half_zero, w: UNIT}
    sizes = size_sets("n", (1,), (2,), (3,), (8,), (37,))
    return SharedProgram("relative_entropy", Sum(term, (i, 0, n - 1)), (y, w), w, sizes, draws)


STATISTICS = (
    mixture_full(),
    mixture_diagonal(),
    logistic_regression(),
    huber_regression(),
    log_sum_exp_far(),
    softmax_cold(),
    relative_entropy(),
)
