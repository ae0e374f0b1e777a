"""What a call from Python costs: Rosenbrock's function, some 5 ns of arithmetic; a term of it for samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from common import Contender, Setup, Table, contest, main, repeated
from peers import CasadiFunction, jax_contender, numba_contender

import symgrad as sg

N = 4
SAMPLES = 64


def rosenbrock() -> tuple[sp.Expr, sp.IndexedBase]:
    """The sum over a symbolic number of terms, and its argument."""
    n, i = sp.symbols("n i", integer=True, positive=True)
    x = sp.IndexedBase("x", shape=(n,))
    term = 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return sp.Sum(term, (i, 0, n - 2)), x


def value_numpy(x: np.ndarray) -> float:
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def gradient_numpy(x: np.ndarray) -> np.ndarray:
    gradient = np.zeros_like(x)
    step = x[1:] - x[:-1] ** 2
    gradient[:-1] = -400 * step * x[:-1] - 2 * (1 - x[:-1])
    gradient[1:] += 200 * step
    return gradient


def value_and_gradient_loop(x: np.ndarray) -> tuple[float, np.ndarray]:
    """For numba."""
    value, gradient = 0.0, np.zeros_like(x)
    for i in range(len(x) - 1):
        step, rest = x[i + 1] - x[i] * x[i], 1.0 - x[i]
        value += 100.0 * step * step + rest * rest
        gradient[i] += -400.0 * step * x[i] - 2.0 * rest
        gradient[i + 1] += 200.0 * step
    return value, gradient


def value_loop(x: np.ndarray) -> float:
    """For numba."""
    value = 0.0
    for i in range(len(x) - 1):
        step, rest = x[i + 1] - x[i] * x[i], 1.0 - x[i]
        value += 100.0 * step * step + rest * rest
    return value


def term_numpy(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 100 * (b - a**2) ** 2 + (1 - a) ** 2


def term_loop(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """For numba."""
    result = np.empty_like(a)
    for i in range(len(a)):
        step, rest = b[i] - a[i] * a[i], 1.0 - a[i]
        result[i] = 100.0 * step * step + rest * rest
    return result


def run(setup: Setup) -> list[Table]:
    """Checked calls of symgrad's kernels against the calls of others."""
    x = setup.random().uniform(-2.0, 2.0, N)
    note = f"Rosenbrock's function, n = {N}, one call from Python."
    value = [*_ours_value(x), *_peers_value(setup, x)]
    gradient = [*_ours_gradient(x), *_peers_gradient(setup, x)]
    return [
        contest("Call overhead: value", value, setup, note, 1e-9),
        contest("Call overhead: value and gradient", gradient, setup, note, 1e-9),
        contest(
            f"Call overhead: {SAMPLES} samples", _samples(setup), setup, f"One term, {SAMPLES} samples.", 1e-9
        ),
    ]


def _ours_value(x: np.ndarray) -> list[Contender]:
    expression, symbol = rosenbrock()
    kernel = sg.compile(expression, args=(symbol,), outputs="value")
    a, b = sp.symbols("a b", real=True)
    two = sg.compile(100 * (b - a**2) ** 2 + (1 - a) ** 2, args=(a, b), outputs="value")
    first, second = map(float, x[:2])
    rest = value_numpy(x) - value_numpy(x[:2])
    return [
        Contender("symgrad llvm", "k(x)", repeated(kernel, x), lambda: [kernel(x)]),
        Contender("symgrad llvm", "k(a, b), one term", repeated(two, first, second),
                  lambda: [two(first, second) + rest]),
    ]  # fmt: skip


def _peers_value(setup: Setup, x: np.ndarray) -> list[Contender]:
    found = [Contender("NumPy", "by hand", repeated(value_numpy, x), lambda: [value_numpy(x)])]
    if numba := setup.peer("numba"):
        found.append(numba_contender(numba, value_loop, [x], lambda value: [value], "numba njit"))
    return found


def _samples(setup: Setup) -> list[Contender]:
    a, b = sp.symbols("a b", real=True)
    kernel = sg.compile(100 * (b - a**2) ** 2 + (1 - a) ** 2, args=(a, b), outputs="value")
    x, y = setup.random().uniform(-2.0, 2.0, (2, SAMPLES))
    out = np.zeros(SAMPLES)

    def with_out(times: int) -> None:
        for _ in range(times):
            kernel(x, y, out=out)

    found = [
        Contender("symgrad llvm", "k(a, b)", repeated(kernel, x, y), lambda: [kernel(x, y)]),
        Contender("symgrad llvm", "k(a, b, out=...)", with_out, lambda: [kernel(x, y, out=out).copy()]),
        Contender("NumPy", "by hand", repeated(term_numpy, x, y), lambda: [term_numpy(x, y)]),
    ]
    if numba := setup.peer("numba"):
        found.append(numba_contender(numba, term_loop, [x, y], lambda value: [value], "numba njit"))
    if jax := setup.peer("jax"):
        found.append(jax_contender(jax, lambda a, b: (term_numpy(a, b),), [x, y]))
    return found


def _ours_gradient(x: np.ndarray) -> list[Contender]:
    expression, symbol = rosenbrock()
    kernel = sg.compile(expression, args=(symbol,), wrt=symbol, outputs=("value", "grad"))
    value, gradient = np.zeros(()), np.zeros(N)

    def with_out(times: int) -> None:
        for _ in range(times):
            kernel(x, out=(value, gradient))

    def results() -> list[np.ndarray]:
        kernel(x, out=(value, gradient))
        return [value.copy(), gradient.copy()]

    return [
        Contender("symgrad llvm", "k(x)", repeated(kernel, x), lambda: list(kernel(x))),
        Contender("symgrad llvm", "k(x, out=...)", with_out, results),
    ]


def _peers_gradient(setup: Setup, x: np.ndarray) -> list[Contender]:
    def by_hand(x: np.ndarray) -> tuple[float, np.ndarray]:
        return value_numpy(x), gradient_numpy(x)

    found = [Contender("NumPy", "by hand", repeated(by_hand, x), lambda: list(by_hand(x)))]
    if numba := setup.peer("numba"):
        found.append(numba_contender(numba, value_and_gradient_loop, [x], list, "numba njit"))
    if casadi := setup.peer("casadi"):
        build = _casadi(casadi)
        bound = CasadiFunction("CasADi SX", build, [x], [(), (N,)]).machine()
        function = build()
        found += [bound, Contender("CasADi SX", "F(x)", repeated(function, x), bound.results)]
    if jax := setup.peer("jax"):
        found.append(jax_contender(jax, _jax(jax), [x]))
    return found


def _casadi(casadi: Any) -> Callable[[], Any]:
    def build() -> Any:
        x = casadi.SX.sym("x", N)
        f = casadi.sumsqr(10 * (x[1:] - x[:-1] ** 2)) + casadi.sumsqr(1 - x[:-1])
        return casadi.Function("rosenbrock", [x], [f, casadi.gradient(f, x)])

    return build


def _jax(jax: Any) -> Callable[..., Any]:
    def value(x: Any) -> Any:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    function: Callable[..., Any] = jax.value_and_grad(value)
    return function


if __name__ == "__main__":
    main(run)
