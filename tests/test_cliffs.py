"""No size at which a kernel is far slower than it could be, and the same numbers at all sizes."""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
import pytest
import sympy as sp
from tolerances import assert_close

import symgrad as sg
from symgrad.targets import llvm_build
from symgrad.targets.llvm_build import CodeShape

SIZES = (0, 1, 2, 7, 8, 9, 17)
BACKENDS = ("numpy", "llvm", "c")
N = sp.Symbol("n", integer=True, positive=True)
K = sp.Symbol("k", integer=True)


def optimised(kernel: sg.Kernel) -> str:
    """The kernel's LLVM code after all passes."""
    machine = llvm_build._machine(2)
    module = llvm.parse_assembly(kernel.source)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    llvm_build.optimise(module, machine, CodeShape(100, 100, 30, loops=True, cells=True))
    return str(module)


# ---- neighbours ----------------------------------------------------------------------------------------

X = sp.IndexedBase("x", shape=(N,))
VALLEY = sp.Sum(100 * (X[K + 1] - X[K] ** 2) ** 2 + (1 - X[K]) ** 2, (K, 0, N - 2))


def valley(x: np.ndarray) -> tuple[float, np.ndarray]:
    """The function of Rosenbrock and its gradient."""
    far, near = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    grad = np.zeros_like(x)
    grad[:-1] = -400 * far * x[:-1] - 2 * near
    grad[1:] += 200 * far
    return float(np.sum(100 * far**2 + near**2)), grad


@pytest.mark.parametrize("backend", BACKENDS)
def test_sums_over_neighbours_are_right_at_every_size(backend: str) -> None:
    kernel = sg.compile(VALLEY, args=(X,), wrt=X, outputs=("value", "grad"), backend=backend)
    for n in SIZES:
        x = np.random.default_rng(n).normal(size=n)
        value, grad = kernel(x)
        wanted_value, wanted_grad = valley(x)
        assert_close(value, wanted_value, factor=max(n, 1))
        assert_close(grad, wanted_grad, factor=100)


def test_what_one_turn_loads_is_not_kept_for_the_next_one() -> None:
    """Such a loop would have up to 31 last turns without vectors."""
    kernel = sg.compile(VALLEY, args=(X,), wrt=X, outputs=("value", "grad"))
    text = optimised(kernel)
    assert "vector.body" in text
    assert "vector.recur" not in text
