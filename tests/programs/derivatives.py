"""Derivatives that stand inside a loss, which is differentiated again: `sg.grad`, `Derivative`, `Subs`."""

from __future__ import annotations

import sympy as sp
from sympy import Derivative, IndexedBase, Subs, Sum, tanh

import symgrad as sg

from .core import SharedProgram, same_sizes, size_sets, uniform

n, d, h = sp.symbols("n d h", integer=True, positive=True)
i, j, p = sp.symbols("i j p", integer=True)
UNIT = uniform(-1.0, 1.0)
NETWORKS = size_sets("n d h", (1, 1, 1), (1, 4, 2), (5, 1, 3), (3, 2, 1), (7, 3, 5))

X, W = IndexedBase("X", shape=(n, d)), IndexedBase("W", shape=(h, d))
b, v = IndexedBase("b", shape=(h,)), IndexedBase("v", shape=(h,))


def network() -> sp.Expr:
    """A network of one hidden layer at sample i: one number."""
    return Sum(v[p] * tanh(Sum(W[p, j] * X[i, j], (j, 0, d - 1)) + b[p]), (p, 0, h - 1))


def gradient_penalty() -> SharedProgram:
    """Samples where the network's slope is not 1 are penalised (Gulrajani et al. 2017, section 4)."""
    square = Sum(sg.grad(network(), X)[i, j] ** 2, (j, 0, d - 1))
    loss = Sum((sp.sqrt(square) - 1) ** 2, (i, 0, n - 1)) / n
    draws = {X: UNIT, W: UNIT, b: UNIT, v: uniform(0.5, 1.5)}
    return SharedProgram("gradient_penalty", loss, tuple(draws), (W, b, v), NETWORKS, draws)


def score_matching() -> SharedProgram:
    """Score matching for an unnormalised log-density (Hyvaerinen 2005, theorem 1)."""
    density = network() - Sum(X[i, j] ** 2, (j, 0, d - 1)) / 2
    slope = sg.grad(density, X)[i, j]
    term = sg.grad(slope, X)[i, j] + slope**2 / 2
    loss = Sum(term, (i, 0, n - 1), (j, 0, d - 1)) / n
    draws = {X: UNIT, W: UNIT, b: UNIT, v: UNIT}
    return SharedProgram("score_matching", loss, tuple(draws), (W, b, v), NETWORKS, draws)


def physics_informed() -> SharedProgram:
    """The equation u'' + u = 0 at given points, u a small network, with u(0) = 0 and u(pi/2) = 1."""
    s, t, w = sp.Symbol("s"), IndexedBase("t", shape=(n,)), IndexedBase("w", shape=(h,))
    u = Sum(v[p] * tanh(w[p] * s + b[p]), (p, 0, h - 1))
    residual = Subs(Derivative(u, (s, 2)) + u, s, t[i])
    ends = Subs(u, s, 0) ** 2 + (Subs(u, s, sp.pi / 2) - 1) ** 2
    draws = {t: uniform(0.0, 1.5), w: UNIT, b: UNIT, v: UNIT}
    sizes = size_sets("n h", (1, 1), (1, 3), (4, 1), (6, 4), (13, 7))
    loss = Sum(residual**2, (i, 0, n - 1)) / n + ends
    return SharedProgram("physics_informed", loss, tuple(draws), (w, b, v), sizes, draws)


def scalar_derivatives() -> SharedProgram:
    """Mixed and repeated derivatives of scalars, one of them at a point that varies."""
    x, y, s = sp.symbols("x y s")
    mixed = Derivative(sp.sin(x * y) * sp.exp(x), x, y)
    repeated = Derivative(sp.log(1 + x**2 * y**2), (x, 3))
    moved = Subs(Derivative(sp.exp(s * y) * tanh(s), s), s, x**2 + y)
    draws = {x: uniform(0.2, 1.2), y: uniform(0.2, 1.2)}
    loss = mixed * repeated + moved**2
    return SharedProgram("scalar_derivatives", loss, (x, y), (x, y), same_sizes(5), draws)


DERIVATIVES = (
    gradient_penalty(),
    score_matching(),
    physics_informed(),
    scalar_derivatives(),
)
