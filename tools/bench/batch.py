"""A batch of a scalar kernel: 200 multiplications and additions, 3 exp, tanh, log; 4 numbers in, 1 out.

The kernel of studies/limits.md, section 2: how near samples side by side come to what the registers allow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from common import Contender, Setup, Table, contest, main, repeated, stopwatch
from machine_code import SymgradCode, backends, handwritten
from peers import jax_contender, numba_contender

import symgrad as sg

_STEPS = 25  # of a multiplication and an addition each, in four chains

HAND_WRITTEN = """
#include <math.h>
void bench(double **in)
{
    const double *restrict a = in[0], *restrict b = in[1], *restrict c = in[2], *restrict d = in[3];
    double *restrict y = in[4];
#ifdef __FAST_MATH__
#pragma omp simd
#endif
    for (int i = 0; i < SAMPLES; i++) {
        double p = a[i], q = b[i], u = c[i], v = d[i];
#pragma GCC unroll 25
        for (int k = 0; k < 25; k++) {
            p = p*b[i] + c[i];
            q = q*c[i] - d[i];
            u = u*d[i] + a[i];
            v = v*a[i] - b[i];
        }
        const double e = exp(-(p*q));
        y[i] = e*tanh(u) + log(e + exp(v)) + exp(q*u);
    }
}
"""


def run(setup: Setup) -> list[Table]:
    """Samples that fit into the second cache, and samples that do not."""
    sizes = (5,) if setup.tiny else (4096, 1_000_000)
    return [_contest(samples, setup) for samples in sizes]


def _contest(samples: int, setup: Setup) -> Table:
    inputs = [setup.random().uniform(0.1, 0.6, samples) * (1 + 0.1 * k) for k in range(4)]
    codes = [SymgradCode(program, ("value",), b, inputs, samples=samples).contender() for b in backends()]
    kernel = sg.compile(program(), outputs="value")
    ours = [*codes, Contender("symgrad llvm", "call", repeated(kernel, *inputs), lambda: [kernel(*inputs)])]
    text = f"#define SAMPLES {samples}\n{HAND_WRITTEN}"
    hand = handwritten(text, inputs, [np.zeros(samples)])
    note = "200 multiplications and additions, 3 exp, tanh, log. Time of all samples."
    title = f"200-flop kernel, {samples} samples in one call"
    return contest(title, [*ours, *hand, *_peers(setup, inputs)], setup, note)


def _formula(a: Any, b: Any, c: Any, d: Any, exp: Any, tanh: Any, log: Any) -> Any:
    """With the functions of whichever package."""
    p, q, u, v = a, b, c, d
    for _ in range(_STEPS):
        p, q, u, v = p * b + c, q * c - d, u * d + a, v * a - b
    e = exp(-(p * q))
    return e * tanh(u) + log(e + exp(v)) + exp(q * u)


def program() -> sg.Program:
    symbols = sp.symbols("a b c d", real=True)
    return sg.program(_formula(*symbols, sp.exp, sp.tanh, sp.log), args=symbols)


# ---- peers -------------------------------------------------------------------------------------


def _peers(setup: Setup, inputs: list[np.ndarray]) -> list[Contender]:
    found: list[Contender] = []
    if jax := setup.peer("jax"):
        jnp = jax.numpy
        found.append(jax_contender(jax, lambda *x: (_formula(*x, jnp.exp, jnp.tanh, jnp.log),), inputs))
    if heyoka := setup.peer("heyoka"):
        found += [_heyoka(heyoka, inputs, fast) for fast in (False, True)]
    if numba := setup.peer("numba"):
        place = np.zeros_like(inputs[0])
        arguments = [*inputs, place]
        found.append(numba_contender(numba, _loop(), arguments, lambda _: [place.copy()], "numba njit"))
    if setup.peers:
        function = partial(_formula, *inputs, np.exp, np.tanh, np.log)
        found.append(Contender("NumPy", "call", repeated(function), lambda: [function()]))
    return found


def _heyoka(heyoka: Any, inputs: list[np.ndarray], fast: bool) -> Contender:
    with stopwatch() as seconds:
        symbols = heyoka.make_vars("a", "b", "c", "d")
        expression = _formula(*symbols, heyoka.exp, heyoka.tanh, heyoka.log)
        function = heyoka.cfunc([expression], symbols, fast_math=fast, compact_mode=False)
    rows, place = np.array(inputs), np.zeros((1, inputs[0].size))

    def run(times: int) -> None:
        for _ in range(times):
            function(rows, outputs=place)

    name = "heyoka cfunc" + ", fast_math" * fast
    return Contender(name, "call", run, lambda: [function(rows)[0]], seconds[0])


def _loop() -> Callable[..., Any]:
    exp, tanh, log, steps = math.exp, math.tanh, math.log, _STEPS

    def loop(a: Any, b: Any, c: Any, d: Any, y: Any) -> None:
        for i in range(a.size):
            p, q, u, v = a[i], b[i], c[i], d[i]
            for _ in range(steps):
                p, q = p * b[i] + c[i], q * c[i] - d[i]
                u, v = u * d[i] + a[i], v * a[i] - b[i]
            e = exp(-(p * q))
            y[i] = e * tanh(u) + log(e + exp(v)) + exp(q * u)

    return loop


if __name__ == "__main__":
    main(run)
