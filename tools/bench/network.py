"""The two-layer network of both network benchmarks, written for every contender.

Mean over b samples of (tanh(X W1 + b1) W2 + b2 - Y)^2, with d inputs and h hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from common import Setup

import symgrad as sg

WORDS = ("value", "grad")
INPUTS, HIDDEN = 8, 32

HAND_WRITTEN = """
#include <math.h>
#include <string.h>
void bench(double **a)
{
    enum { d = INPUTS, h = HIDDEN, b = SAMPLES };
    const double *restrict W1 = a[0], *restrict b1 = a[1], *restrict W2 = a[2], *restrict b2 = a[3];
    const double *restrict X = a[4], *restrict Y = a[5];
    double *restrict value = a[6], *restrict gW1 = a[7], *restrict gb1 = a[8], *restrict gW2 = a[9];
    double *restrict gb2 = a[10];
    double sum = 0.0, gout = 0.0;
    memset(gW1, 0, sizeof(double) * d * h);
    memset(gb1, 0, sizeof(double) * h);
    memset(gW2, 0, sizeof(double) * h);
    for (int s = 0; s < b; s++) {
        double z[h], y = *b2;
        const double *restrict x = X + d * s;
        memcpy(z, b1, sizeof z);
        for (int i = 0; i < d; i++)
            for (int j = 0; j < h; j++) z[j] += x[i] * W1[i * h + j];
        for (int j = 0; j < h; j++) z[j] = tanh(z[j]);
        for (int j = 0; j < h; j++) y += z[j] * W2[j];
        const double rest = y - Y[s], w = 2.0 * rest / b;
        sum += rest * rest;
        gout += w;
        for (int j = 0; j < h; j++) {
            gW2[j] += w * z[j];
            z[j] = w * W2[j] * (1.0 - z[j] * z[j]);
            gb1[j] += z[j];
        }
        for (int i = 0; i < d; i++)
            for (int j = 0; j < h; j++) gW1[i * h + j] += x[i] * z[j];
    }
    *value = sum / b;
    *gb2 = gout;
}
"""


def hand_written(samples: int) -> str:
    """The C text for a fixed number of samples."""
    return f"#define INPUTS {INPUTS}\n#define HIDDEN {HIDDEN}\n#define SAMPLES {samples}\n" + HAND_WRITTEN


def data(setup: Setup, samples: int) -> list[np.ndarray]:
    """W1 (d, h), b1 (h,), W2 (h,), b2 (), X (samples, d), Y (samples,)."""
    draw = setup.random().standard_normal
    weights = [draw((INPUTS, HIDDEN)) / 3, draw(HIDDEN), draw(HIDDEN) / 6, np.array(draw())]
    return [*weights, draw((samples, INPUTS)), draw(samples)]


def shapes() -> list[tuple[int, ...]]:
    """Of the value and the gradients by W1, b1, W2, b2."""
    return [(), (INPUTS, HIDDEN), (HIDDEN,), (HIDDEN,), ()]


def flat(result: Sequence[Any]) -> list[np.ndarray]:
    """A kernel's (value, gradients) as one list."""
    value, gradients = result
    return [np.asarray(value), *map(np.asarray, gradients)]


def program(one_sample: bool = False) -> sg.Program:
    """With symbolic sizes d and h, and b samples or just one."""
    d, h, b = sp.symbols("d h b", integer=True, positive=True)
    i, j, s = sp.symbols("i j s", integer=True)
    if one_sample:
        b = sp.Integer(1)
    W1, b1 = sp.IndexedBase("W1", shape=(d, h)), sp.IndexedBase("b1", shape=(h,))
    W2, b2 = sp.IndexedBase("W2", shape=(h,)), sp.Symbol("b2", real=True)
    X, Y = sp.IndexedBase("X", shape=(b, d)), sp.IndexedBase("Y", shape=(b,))
    s = sp.Integer(0) if one_sample else s
    hidden = sp.tanh(sp.Sum(X[s, i] * W1[i, j], (i, 0, d - 1)) + b1[j])
    loss = (sp.Sum(hidden * W2[j], (j, 0, h - 1)) + b2 - Y[s]) ** 2
    mean = loss if one_sample else sp.Sum(loss, (s, 0, b - 1)) / b
    return sg.program(mean, args=(W1, b1, W2, b2, X, Y), wrt=(W1, b1, W2, b2))


def program_in_matrices() -> sg.Program:
    """The same in matrix notation, the way most people would write it; b1 and b2 are rows."""
    d, h, b = sp.symbols("d h b", integer=True, positive=True)
    W1, b1, W2 = sp.MatrixSymbol("W1", d, h), sp.MatrixSymbol("b1", 1, h), sp.MatrixSymbol("W2", h, 1)
    b2, X, Y = sp.MatrixSymbol("b2", 1, 1), sp.MatrixSymbol("X", b, d), sp.MatrixSymbol("Y", b, 1)
    ones = sp.OneMatrix(b, 1)
    hidden = (X * W1 + ones * b1).applyfunc(sp.tanh)
    rest = hidden * W2 + ones * b2 - Y
    return sg.program(sp.Trace(rest.T * rest) / b, args=(W1, b1, W2, b2, X, Y), wrt=(W1, b1, W2, b2))


def casadi_function(casadi: Any, kind: str, samples: int) -> Callable[[], Any]:
    """kind: "SX" (scalars) or "MX" (matrices). Arrays come in NumPy's order, so matrices are transposed."""

    def build() -> Any:
        symbol = getattr(casadi, kind).sym
        W1, b1, W2 = symbol("W1", HIDDEN, INPUTS), symbol("b1", HIDDEN), symbol("W2", HIDDEN)
        b2, X, Y = symbol("b2"), symbol("X", INPUTS, samples), symbol("Y", samples)
        columns = casadi.repmat(b1, 1, samples)
        rest = (W2.T @ casadi.tanh(W1 @ X + columns)).T + b2 - Y
        loss = casadi.sumsqr(rest) / samples
        gradients = [casadi.gradient(loss, v) for v in (W1, b1, W2, b2)]
        return casadi.Function("network", [W1, b1, W2, b2, X, Y], [loss, *gradients])

    return build


def jax_function(jax: Any) -> Callable[..., Any]:
    """(value, gradients...) of six arrays."""

    def loss(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any) -> Any:
        return ((jax.numpy.tanh(X @ W1 + b1) @ W2 + b2 - Y) ** 2).mean()

    def value_and_gradients(*arrays: Any) -> Any:
        value, gradients = jax.value_and_grad(loss, argnums=(0, 1, 2, 3))(*arrays)
        return (value, *gradients)

    return value_and_gradients
