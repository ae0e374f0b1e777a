"""Loops whose turns touch different elements: which ones, and what targets say about them."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS

import symgrad as sg
from symgrad.loops.independent import is_parallel, never_meet, only_gathers
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Buffer,
    Cell,
    For,
    If,
    Load,
    LoadInt,
    Routine,
    Statement,
    Store,
    poly,
    poly_add,
    variable,
)
from symgrad.targets.c import emit_c
from symgrad.targets.c_body import simd_cells
from symgrad.targets.llvm import emit_llvm

n, m = sp.symbols("n m", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
I, G, N = variable("i"), variable("g"), variable("n")  # noqa: E741  (indices)


def loop(*body: Statement) -> For:
    return For("i", (poly(0),), (N,), list(body))


def test_turns_that_store_in_columns_of_their_own_are_independent() -> None:
    assert is_parallel(loop(Load(0, "x", (I,)), Store("y", (poly(0), I), 0), Store("y", (poly(1), I), 0)))
    assert is_parallel(loop(Load(0, "y", (N, I)), Store("y", (poly(1), I), 0)))


@pytest.mark.parametrize(
    "body",
    [
        [Load(0, "y", (poly_add(I, poly(1)),)), Store("y", (I,), 0)],  # the next turn's element
        [Store("y", (poly(0), I), 0), Store("y", (I, poly(0)), 0)],  # no common axis
        [Store("y", (poly(0), N), 0), Store("y", (poly(1), N), 0)],  # every turn the same
        [LoadInt("g", "idx", (I,)), Store("y", (poly(0), G), 0), Store("y", (poly(1), G), 0)],
        [For("j", (poly(0),), (N,), [Store("y", (poly(0), I), 0), Store("y", (poly(1), I), 0)])],
        [Bool(1, True), If(1, [Store("y", (poly(0), I), 0), Store("y", (poly(1), I), 0)])],  # guards loads
    ],
)  # fmt: skip
def test_turns_that_may_meet_are_not_independent(body: list[Statement]) -> None:
    assert not is_parallel(loop(Bool(9, True), Cell(0, 9), *body))


def test_turns_of_a_loop_over_many_arrays_are_marked() -> None:
    stores = [Store(f"y{k}", (I,), 0) for k in range(3)]
    assert is_parallel(loop(Load(0, "x", (I,)), *stores))
    assert not is_parallel(loop(Load(0, "y1", (poly(0),)), *stores))  # the first turn writes it


def test_a_loop_with_one_place_per_array_needs_no_mark() -> None:
    assert not is_parallel(loop(Load(0, "x", (I,)), Store("y", (I,), 0)))


def block() -> tuple[sp.Matrix, list[object]]:
    """Twelve numbers per element, of data that is gathered, with sines."""
    x, at = sp.IndexedBase("x", shape=(m, 3)), sp.IndexedBase("at", shape=(n,))
    a, b, c = (x[at[i], k] for k in range(3))
    f = sp.Matrix([sp.sin(a * b) / c, sp.cos(a + c) * b, a * b * c, sp.sqrt(a) + b])
    entries = [sp.Derivative(e, v, evaluate=False) for e in f for v in (a, b, c)]
    return sp.Matrix(4, 3, entries), [x, at]


def test_sums_beside_stores_may_be_added_up_in_any_order_in_c() -> None:
    total = [Load(0, "x", (I,)), Accumulate("sum", 9, 0)]
    assert simd_cells(loop(*total, Store("y", (I,), 0))) == ((9,), ())
    assert simd_cells(loop(*total, Store("y", (poly(0),), 0))) == ((), ())  # the last turn's stays there
    assert simd_cells(loop(*total, Store("y", (I,), 9))) == ((), ())  # sums so far


@pytest.mark.parametrize("target", TARGETS)
def test_a_block_of_numbers_per_turn_is_what_the_reference_says(target: str) -> None:
    expr, args = block()
    x, at = np.random.default_rng(1).uniform(0.5, 2, (5, 3)), np.array([4, 0, 0, 3, 2, 1, 4, 2, 2, 1, 0])
    for data in (x, x * 1e7):  # sines of large arguments are another loop
        ours, theirs = (
            sg.compile(expr, args=args, axes=[i], outputs="value", backend=b)(data, at)
            for b in (target, "numpy")
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_targets_tell_their_compilers() -> None:
    expr, args = block()
    texts = {
        b: sg.compile(expr, args=args, axes=[i], outputs="value", backend=b).source for b in ("llvm", "c")
    }
    assert "kernel_INDEPENDENT\n    for" in texts["c"] and "GCC ivdep" in texts["c"]
    assert "llvm.loop.parallel_accesses" in texts["llvm"]
    loads = [line for line in texts["llvm"].splitlines() if "load" in line and "%b_x" in line]
    assert all(", !llvm.access.group" in line for line in loads)


def test_elements_never_meet_only_where_a_fixed_index_differs_by_a_number() -> None:
    time, following = variable("t"), poly_add(variable("t"), poly(1))
    assert never_meet((following, I), (time, poly_add(I, poly(-1))), {"i"})
    assert not never_meet((following, I), (time, I), {"i", "t"})  # another turn's time
    assert not never_meet((time, I), (time, poly_add(I, poly(1))), {"i"})  # the next turn's element
    assert not never_meet((time, I), (N, I), {"i"})  # who knows


def test_loops_that_only_gather_are_no_vectors() -> None:
    """On both targets; a loop that reads something else, or writes what it reads, is as before."""
    at, read, write = LoadInt("g", "idx", (I,)), Load(0, "x", (G,)), Store("y", (I,), 0)
    assert only_gathers(loop(at, read, write))
    assert not only_gathers(loop(at, read, Load(1, "z", (I,)), write))
    assert not only_gathers(loop(at, Load(0, "y", (G,)), write))
    buffers = (
        Buffer("idx", "input", (N,), "int"), Buffer("x", "input", (N,)), Buffer("y", "output", (N,)),
    )  # fmt: skip
    gathering = Routine("f", ("n",), ("n",), buffers, [loop(at, read, write)])
    copying = Routine("f", ("n",), ("n",), buffers, [loop(Load(0, "x", (I,)), write)])
    for emit, mark in ((emit_c, "simdlen(1)"), (emit_llvm, "llvm.loop.vectorize.enable")):
        assert mark in emit(gathering)
        assert mark not in emit(copying)
