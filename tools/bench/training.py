"""Training steps per second: Adam on a two-layer network, the whole loop compiled or not."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import sympy as sp
from common import Contender, Setup, Table, contest, main, repeated

import symgrad as sg
from symgrad.run.batches import make_batches
from symgrad.run.fused import compiled_steps
from symgrad.run.objective import make_objective

INPUTS, HIDDEN, SAMPLES, BATCH, RATE = 13, 32, 1024, 64, 1e-3

n, d, h = sp.symbols("n d h", integer=True, positive=True)
X, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("Y", n, 1)
W, b, v, c = (
    sp.MatrixSymbol("W", d, h),
    sp.MatrixSymbol("b", 1, h),
    sp.MatrixSymbol("v", h, 1),
    sp.Symbol("c"),
)
Arrays = dict[Any, Any]


def loss() -> sp.Expr:
    """Mean squared error of tanh(X W + b) v + c."""
    ones = sp.OneMatrix(n, 1)
    residual = (X * W + ones * b).applyfunc(sp.tanh) * v + c * ones - Y
    return (residual.T * residual)[0, 0] / n


def run(setup: Setup) -> list[Table]:
    """A run of steps: fused, step by step, and by JAX."""
    steps = 3 if setup.tiny else 256
    rng = setup.random()
    data = {X: rng.normal(size=(SAMPLES, INPUTS)), Y: rng.normal(size=(SAMPLES, 1))}
    params = {W: rng.normal(size=(INPUTS, HIDDEN)) / 4, b: np.zeros((1, HIDDEN)),
              v: rng.normal(size=(HIDDEN, 1)) / 6, c: 0.0}  # fmt: skip
    order = np.stack([rng.permutation(SAMPLES)[:BATCH] for _ in range(steps)])
    contenders = [*_fused(params, data, order), _by_steps(params, data, order)]
    if jax := setup.peer("jax"):
        contenders += _jax(jax, params, data, order)
    note = (
        f"{steps} steps on mini-batches of {BATCH} of {SAMPLES} samples, {INPUTS}-{HIDDEN}-1, tanh, float64."
    )
    return [contest("Training: Adam on a small network", contenders, setup, note)]


def _fused(params: Arrays, data: Arrays, order: np.ndarray) -> list[Contender]:
    found = []
    method, batches = sg.optim.Adam(RATE), make_batches(data, params, BATCH, n, 0)
    for backend in ("llvm", "c"):
        objective = make_objective(loss(), params, data, backend, "float64")
        loop = compiled_steps(objective, method, batches, True)
        assert loop is not None
        x = objective.layout.pack(params)

        def one(loop: Any = loop, x: np.ndarray = x) -> np.ndarray:
            return np.asarray(loop(x, method.init(x), data, list(order), len(order)).x)

        found.append(Contender(f"symgrad {backend}", "fused loop", repeated(one), lambda one=one: [one()]))
    return found


def _by_steps(params: Arrays, data: Arrays, order: np.ndarray) -> Contender:
    objective = make_objective(loss(), params, data, "llvm", "float64")
    method, layout = sg.optim.Adam(RATE), objective.layout

    def one() -> np.ndarray:
        x = layout.pack(params)
        state = method.init(x)
        for chosen in order:
            batch = {key: array[chosen] for key, array in data.items()}
            value, grad = objective.value_and_grad({**batch, **layout.unpack(x)})
            x, state = method.update(state, value, layout.pack(grad), x)
        return x

    return Contender("symgrad llvm", "step by step", repeated(one), lambda: [one()])


def _jax(jax: ModuleType, params: Arrays, data: Arrays, order: np.ndarray) -> list[Contender]:
    jax.config.update("jax_enable_x64", True)
    jnp, lax = jax.numpy, jax.lax
    start = tuple(jnp.asarray(value) for value in params.values())
    images, targets, chosen = jnp.asarray(data[X]), jnp.asarray(data[Y]), jnp.asarray(order)

    def mean_square(p: Any, x: Any, y: Any) -> Any:
        r = jnp.tanh(x @ p[0] + p[1]) @ p[2] + p[3] - y
        return (r * r).sum() / len(x)

    def step(t: Any, state: Any) -> Any:
        p, m, s = state
        g = jax.grad(mean_square)(p, images[chosen[t]], targets[chosen[t]])
        m = jax.tree.map(lambda a, b: 0.9 * a + (1 - 0.9) * b, m, g)
        s = jax.tree.map(lambda a, b: 0.999 * a + (1 - 0.999) * b * b, s, g)
        c1, c2 = 1 - 0.9 ** (t + 1.0), 1 - 0.999 ** (t + 1.0)
        p = jax.tree.map(lambda p, a, b: p - RATE * (a / c1) / (jnp.sqrt(b / c2) + 1e-8), p, m, s)
        return p, m, s

    zeros = jax.tree.map(jnp.zeros_like, start)
    whole = jax.jit(lambda p: lax.fori_loop(0, len(order), step, (p, zeros, zeros))[0])
    single = jax.jit(step)

    def flat(p: Any) -> np.ndarray:
        return np.concatenate([np.asarray(a).ravel() for a in p])

    def by_steps() -> np.ndarray:
        state = start, zeros, zeros
        for t in range(len(order)):
            state = single(t, state)
        return flat(state[0])

    return [
        Contender("JAX jit", "fori_loop", repeated(lambda: flat(whole(start))), lambda: [flat(whole(start))]),
        Contender("JAX jit", "step by step", repeated(by_steps), lambda: [by_steps()]),
    ]


if __name__ == "__main__":
    main(run)
