"""Rosenbrock's function of 100 numbers: value, gradient and Hessian in one kernel.

Twice: written out as a scalar expression of 100 symbols, and as one sum with a symbolic number of terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse
import sympy as sp
from common import Contender, Setup, Table, contest, main, repeated
from cpp_peers import cpp_contenders
from machine_code import SymgradCode, backends, handwritten
from peers import CasadiFunction, jax_contender, lambdify_contender, symengine_contender

import symgrad as sg
from symgrad.grad.sparsity import Storage
from symgrad.run.patterns import make_pattern

WORDS = ("value", "grad", "hess")

HAND_DENSE = """
#include <string.h>
void bench(double **b)
{
    enum { n = N };
    const double *restrict x = b[0];
    double *restrict value = b[1], *restrict g = b[2], *restrict h = b[3];
    double sum = 0.0;
    memset(h, 0, sizeof(double) * n * n);
    for (int i = 0; i < n; i++) g[i] = 0.0;
    for (int i = 0; i < n - 1; i++) {
        const double step = x[i + 1] - x[i] * x[i], rest = 1.0 - x[i], cross = -400.0 * x[i];
        sum += 100.0 * step * step + rest * rest;
        g[i] += cross * step - 2.0 * rest;
        g[i + 1] = 200.0 * step;
        h[i * n + i] += 800.0 * x[i] * x[i] - 400.0 * step + 2.0;
        h[(i + 1) * n + i + 1] = 200.0;
        h[i * n + i + 1] = h[(i + 1) * n + i] = cross;
    }
    *value = sum;
}
"""

HAND_BAND = """
void bench(double **b)
{
    enum { n = N };
    const double *restrict x = b[0];
    double *restrict value = b[1], *restrict g = b[2], *restrict diagonal = b[3], *restrict below = b[4];
    double sum = 0.0;
    double step[n];
    for (int i = 0; i < n - 1; i++) {
        step[i] = x[i + 1] - x[i] * x[i];
        sum += 100.0 * step[i] * step[i] + (1.0 - x[i]) * (1.0 - x[i]);
        below[i] = -400.0 * x[i];
        g[i] = below[i] * step[i] - 2.0 * (1.0 - x[i]);
        diagonal[i] = 800.0 * x[i] * x[i] - 400.0 * step[i] + 2.0;
    }
    g[n - 1] = diagonal[n - 1] = 0.0;
    for (int i = 1; i < n; i++) {
        g[i] += 200.0 * step[i - 1];
        diagonal[i] += 200.0;
    }
    *value = sum;
}
"""


def run(setup: Setup) -> list[Table]:
    """Value, gradient and dense Hessian: machine code, calls, and the peers."""
    n = 6 if setup.tiny else 100
    x = setup.random().uniform(-2.0, 2.0, n)
    note = f"Rosenbrock's function, n = {n}: value, gradient, Hessian (dense unless the row says otherwise)."
    contenders = [*_ours(x), *_by_hand(x), *_peers(setup, x)]
    return [contest("Rosenbrock-100", contenders, setup, note)]


def _ours(x: np.ndarray) -> list[Contender]:
    found = []
    for backend in backends():
        code = SymgradCode(_as_sum, WORDS, backend, [x], {"n": len(x)})
        found.append(code.contender("kernel, Sum with symbolic n"))
    for backend in backends():
        sparse, dense = sparse_code(x, WORDS, backend)
        way = "kernel, Sum, sparse Hessian"
        found.append(Contender(f"symgrad {backend}", way, sparse.run, dense, sparse.build))
    for backend in backends():
        code = SymgradCode(lambda: _written_out(len(x)), WORDS, backend, list(x))
        found.append(code.contender("kernel, written out"))
    expression, symbol = rosenbrock_sum()
    kernel = sg.compile(expression, args=(symbol,), wrt=symbol, outputs=WORDS)
    return [*found, Contender("symgrad llvm", "call, Sum", repeated(kernel, x), lambda: list(kernel(x)))]


def rosenbrock_sum() -> tuple[sp.Expr, sp.IndexedBase]:
    """The function as a sum with a symbolic number of terms, and its argument."""
    n, i = sp.symbols("n i", integer=True, positive=True)
    x = sp.IndexedBase("x", shape=(n,))
    return sp.Sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2, (i, 0, n - 2)), x


def _as_sum() -> sg.Program:
    expression, x = rosenbrock_sum()
    return sg.program(expression, args=(x,), wrt=x)


def sparse_code(
    x: np.ndarray, words: tuple[str, ...], backend: str, triangle: str = "full"
) -> tuple[SymgradCode, Callable[[], list[np.ndarray]]]:
    """The machine code of the sum, the Hessian (the last word) as the values of a csc_array, and its results.

    The code gets the places that the pattern gives it; of a lower triangle the results are the whole matrix.
    """
    storage = Storage("csc", triangle)
    derived = _as_sum().derived(words, storage)
    pattern = make_pattern(derived.unit.graph, derived.sparse[0], {}, {"n": len(x)})
    sizes = {"n": len(x), **pattern.sizes}
    code = SymgradCode(_as_sum, words, backend, [x, *pattern.inputs], sizes, storage=storage)

    def results() -> list[np.ndarray]:
        *others, values = code.results()
        dense = scipy.sparse.coo_array((values, (pattern.rows, pattern.columns)), pattern.shape).toarray()
        return [*others, dense if triangle == "full" else dense + np.tril(dense, -1).T]

    return code, results


def _terms(x: Sequence[Any]) -> list[Any]:
    return [100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1)]


def _written_out(n: int) -> sg.Program:
    x = sp.symbols(f"x:{n}", real=True)
    return sg.program(sp.Add(*_terms(x)), args=x, wrt=x)


def _by_hand(x: np.ndarray) -> list[Contender]:
    n = len(x)
    value, gradient, hessian = np.zeros(()), np.zeros(n), np.zeros((n, n))
    diagonal, below = np.zeros(n), np.zeros(n - 1)

    def banded() -> list[np.ndarray]:
        matrix = np.diag(diagonal) + np.diag(below, -1) + np.diag(below, 1)
        return [value.copy(), gradient.copy(), matrix]

    bands = [value, gradient, diagonal, below]
    size = f"#define N {n}\n"
    return [
        *handwritten(size + HAND_DENSE, [x], [value, gradient, hessian], name="C by hand, dense"),
        *handwritten(size + HAND_BAND, [x], bands, banded, "C by hand, band only"),
    ]


def _peers(setup: Setup, x: np.ndarray) -> list[Contender]:
    n = len(x)
    shapes = [(), (n,), (n, n)]
    found: list[Contender] = []
    if casadi := setup.peer("casadi"):
        found += CasadiFunction("CasADi SX, sparse", _casadi(casadi, n), [x], shapes).contenders(setup)
    if jax := setup.peer("jax"):
        found.append(jax_contender(jax, _jax(jax), [x]))
    if symengine := setup.peer("symengine"):
        found.append(symengine_contender(symengine, lambda: _symengine(symengine, n), x, shapes))
    if setup.peers:
        found.append(lambdify_contender(lambda: _sympy(n), list(x), shapes))
    return found + cpp_contenders(setup, _derivatives, x, shapes)


def _casadi(casadi: Any, n: int) -> Callable[[], Any]:
    def build() -> Any:
        x = casadi.SX.sym("x", n)
        f = casadi.sumsqr(10 * (x[1:] - x[:-1] ** 2)) + casadi.sumsqr(1 - x[:-1])
        hessian, gradient = casadi.hessian(f, x)
        return casadi.Function("rosenbrock", [x], [f, gradient, hessian], {"cse": True})

    return build


def _jax(jax: Any) -> Callable[..., Any]:
    def value(x: Any) -> Any:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    return lambda x: (*jax.value_and_grad(value)(x), jax.hessian(value)(x))


def _derivatives(module: Any, x: Sequence[Any]) -> list[Any]:
    """All outputs, of the symbols of SymForce or wrenfold."""
    f = sum(_terms(x))
    gradient = [f.diff(a) for a in x]
    return [f, *gradient, *(g.diff(b) for g in gradient for b in x)]


def _symengine(symengine: Any, n: int) -> tuple[list[Any], list[Any]]:
    x = list(symengine.symbols(f"x:{n}"))
    f = symengine.Add(*_terms(x))
    gradient = [f.diff(a) for a in x]
    return x, [f, *gradient, *(g.diff(b) for g in gradient for b in x)]


def _sympy(n: int) -> tuple[Sequence[Any], list[Any]]:
    x = sp.symbols(f"x:{n}", real=True)
    f = sp.Add(*_terms(x))
    gradient = [f.diff(a) for a in x]
    return x, [f, *gradient, *(g.diff(b) for g in gradient for b in x)]


if __name__ == "__main__":
    main(run)
