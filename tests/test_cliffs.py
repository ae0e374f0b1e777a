"""No size at which a kernel is far slower than it could be, and the same numbers at all sizes."""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
import pytest
import sympy as sp
from tolerances import assert_close

import symgrad as sg
from symgrad.loops import small_matrices
from symgrad.loops.contract import contract_routine
from symgrad.loops.nest import Const, For, Load, Store, variable
from symgrad.loops.walk import walk
from symgrad.targets import llvm_build, vector_math
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


# ---- matrices of few rows --------------------------------------------------------------------------------

A, B = sp.MatrixSymbol("A", N, N), sp.MatrixSymbol("B", N, 2)
LARGEST = small_matrices.MOST


def definite(n: int) -> np.ndarray:
    x = np.random.default_rng(n).normal(size=(n, n))
    return x @ x.T + n * np.eye(n)


PARTS = {"general": np.asarray, "spd": np.asarray, "lower": np.tril, "upper": np.triu}


CASES = [*((b, a) for b in BACKENDS[:2] for a in PARTS), ("c", "general"), ("c", "upper")]


@pytest.mark.parametrize(("backend", "assume"), CASES)
def test_solutions_are_right_on_both_sides_of_the_size_that_chooses(backend: str, assume: str) -> None:
    form = sp.Trace(B.T * sg.linalg.solve(A, B, assume=assume))
    kernel = sg.compile(form, args=(A, B), wrt=A, outputs=("value", "grad"), backend=backend)
    part = PARTS[assume]
    for n in (*SIZES[1:], LARGEST, LARGEST + 1):
        a, b = definite(n), np.random.default_rng(n + 1).normal(size=(n, 2))
        value, grad = kernel(a, b)
        x, y = np.linalg.solve(part(a), b), np.linalg.solve(part(a).T, b)
        assert_close(value, np.sum(b * x), factor=100 * n)
        assert_close(grad, -part(y @ x.T), factor=100 * n)


@pytest.mark.parametrize("backend", BACKENDS)
def test_determinants_are_right_on_both_sides_of_that_size(backend: str) -> None:
    kernel = sg.compile(
        sp.log(sp.Determinant(A)), args=(A,), wrt=A, outputs=("value", "grad"), backend=backend
    )
    for n in (*SIZES[1:], LARGEST, LARGEST + 1):
        a = definite(n)
        value, grad = kernel(a)
        assert_close(value, np.linalg.slogdet(a)[1], factor=100 * n)
        assert_close(grad, np.linalg.inv(a).T, factor=100 * n)


@pytest.mark.parametrize("assume", PARTS)
def test_a_matrix_without_factors_fails_on_both_sides_of_that_size(assume: str) -> None:
    kernel = sg.compile(sg.linalg.solve(A, B, assume=assume), args=(A, B), outputs="value")
    for n in (1, 2, LARGEST, LARGEST + 1):
        with pytest.raises(sg.errors.NoFactorisation):
            kernel(np.zeros((n, n)), np.ones((n, 2)))
        assert np.all(kernel(np.eye(n), np.ones((n, 2))) == 1)


def test_kernels_ask_for_the_number_of_rows_and_call_lapack_only_for_many() -> None:
    text = sg.compile(sp.Determinant(A), args=(A,)).source
    own, library = (
        text.index("call void @symgrad_lu_f64("),
        text.index("call void @scipy.linalg.cython_lapack"),
    )
    before = text[:own]
    assert f"add nsw i64 {LARGEST}" in before or f", {LARGEST}" in before
    assert own < library
    fixed = sp.MatrixSymbol("F", 3, 3)
    assert "symgrad_lu" not in sg.compile(sp.Determinant(fixed), args=(fixed,)).source


@pytest.mark.parametrize("function", small_matrices.FUNCTIONS)
def test_functions_for_few_rows_have_no_memory_of_their_own(function: str) -> None:
    routine = small_matrices.small_routine(function, "f")
    assert [b.role for b in routine.buffers][-2:] == ["output", "output"]
    assert not routine.buffers_of("work")


# ---- products --------------------------------------------------------------------------------------------


def test_what_a_product_packs_is_filled_up_only_where_vectors_are_read_whole() -> None:
    def stores_of_constants(masks: bool) -> int:
        routine = contract_routine("f", 24, masks)
        constants = {s.dst for _, s in walk(routine.body) if isinstance(s, Const)}
        return sum(isinstance(s, Store) and s.src in constants for _, s in walk(routine.body))

    assert stores_of_constants(masks=False) == stores_of_constants(masks=True) + 1


# ---- order of loops --------------------------------------------------------------------------------------


def test_the_inner_loop_walks_the_rows_of_a_matrix_and_the_only_columns_of_others() -> None:
    matrix, one, other = sp.MatrixSymbol("A", N, N), sp.MatrixSymbol("x", N, 1), sp.MatrixSymbol("y", N, 1)
    at = sp.Idx("i", N)
    total = sp.Sum(sp.exp(matrix[at, K] + one[K, 0] * other[K, 0] + one[K, 0]), (K, 0, N - 1))
    routine = sg.compile(total, args=(matrix, one, other), axes=[at])._spec.routine
    loops = [s for _, s in walk(routine.body) if isinstance(s, For)]
    innermost = [s for s in loops if not any(isinstance(t, For) for t in s.body)]
    (load,) = [s for _, s in walk(routine.body) if isinstance(s, Load) and s.buffer == "A"]
    assert [load.index[1]] == [variable(s.var) for s in innermost]


# ---- exponentials that vanish ----------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_exponentials_and_powers_that_vanish_are_zero(backend: str) -> None:
    at = sp.Idx("i", N)
    exponents = np.array(
        [-744.4, -745.13, -745.14, -746.0, -746.1, -1e3, -1418.0, -1419.0, -1e9, -1e300, -np.inf]
    )
    exp = sg.compile(sp.exp(X[at]), args=(X,), axes=[at], outputs="value", backend=backend)
    power = sg.compile(2 ** X[at], args=(X,), axes=[at], outputs="value", backend=backend)
    for n in SIZES:
        x = np.resize(exponents, n)
        assert np.array_equal(exp(x), np.exp(x))
        assert np.array_equal(power(x), np.exp2(x))
        assert not np.signbit([*exp(x), *power(x)]).any()


def test_what_vanishes_is_multiplied_by_zeros_and_never_underflows() -> None:
    """Both powers of two that scale the result have no bit."""
    shifted = vector_math._VANISHING / np.log(2) + vector_math._ROUNDER + 2046
    bits = int(np.float64(shifted).view(np.int64))
    half = bits >> 1
    assert (half & 0xFFF, (bits - half) & 0xFFF) == (0, 0)
