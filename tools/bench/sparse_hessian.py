"""Rosenbrock's function of 100 and 1,000 numbers: the sparse Hessian alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from common import Contender, Setup, Table, contest, main, repeated
from machine_code import backends, handwritten
from peers import CasadiFunction
from rosenbrock100 import rosenbrock_sum, sparse_code

import symgrad as sg

HAND = """
void bench(double **b)
{
    enum { n = N };
    const double *restrict x = b[0];
    double *restrict h = b[1]; /* column i: above at 3 i - 1, diagonal at 3 i, below at 3 i + 1 */
    for (int i = 0; i < n - 1; i++) {
        h[3 * i + 1] = h[3 * i + 2] = -400.0 * x[i];
        h[3 * i] = 1200.0 * x[i] * x[i] - 400.0 * x[i + 1] + 2.0 + (i ? 200.0 : 0.0);
    }
    h[3 * n - 3] = 200.0;
}
"""


def run(setup: Setup) -> list[Table]:
    """Both sizes: machine code, calls, and CasADi."""
    return [_table(setup, n) for n in ((6,) if setup.tiny else (100, 1000))]


def _table(setup: Setup, n: int) -> Table:
    x = setup.random().uniform(-2.0, 2.0, n)
    note = f"Rosenbrock's function, n = {n}: the {3 * n - 2} entries of its Hessian that are not zero."
    contenders = [*_ours(x), *_by_hand(x)]
    if casadi := setup.peer("casadi"):
        contenders += CasadiFunction("CasADi SX", _casadi(casadi, n), [x], [(n, n)]).contenders(setup)
    return contest(f"Sparse Hessian, Rosenbrock-{n}", contenders, setup, note)


def _program() -> sg.Program:
    expression, x = rosenbrock_sum()
    return sg.program(expression, args=(x,), wrt=x)


def _ours(x: np.ndarray) -> list[Contender]:
    found = [_kernel(x, backend, "full") for backend in backends()]
    found.append(_kernel(x, "llvm", "lower"))
    kernel = sg.compile(_program(), outputs="hess", sparse="csc")
    call = Contender(
        "symgrad llvm", "call, SciPy's csc_array", repeated(kernel, x), lambda: [kernel(x).toarray()]
    )
    return [*found, call]


def _kernel(x: np.ndarray, backend: str, triangle: str) -> Contender:
    code, results = sparse_code(x, ("hess",), backend, triangle)
    way = "kernel" if triangle == "full" else "kernel, lower triangle"
    return Contender(f"symgrad {backend}", way, code.run, results, code.build)


def _by_hand(x: np.ndarray) -> list[Contender]:
    n = len(x)
    values = np.zeros(3 * n - 2)
    rows = np.array([r for c in range(n) for r in range(max(c - 1, 0), min(c + 2, n))])
    starts = np.array([0, *np.cumsum([min(c + 2, n) - max(c - 1, 0) for c in range(n)])])

    def dense() -> list[np.ndarray]:
        return [scipy.sparse.csc_array((values, rows, starts), shape=(n, n)).toarray()]

    return handwritten(f"#define N {n}\n" + HAND, [x], [values], dense)


def _casadi(casadi: Any, n: int) -> Callable[[], Any]:
    def build() -> Any:
        x = casadi.SX.sym("x", n)
        f = casadi.sumsqr(10 * (x[1:] - x[:-1] ** 2)) + casadi.sumsqr(1 - x[:-1])
        return casadi.Function("rosenbrock", [x], [casadi.hessian(f, x)[0]], {"cse": True})

    return build


if __name__ == "__main__":
    main(run)
