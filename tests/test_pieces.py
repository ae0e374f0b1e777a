"""Loops that change where a size says so are made of parts that ask nothing, and every size is right."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS, ZERO, I, J, M, N, call
from tolerances import assert_close

import symgrad as sg
from symgrad.loops import nest
from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    If,
    Leave,
    Load,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    poly,
    poly_add,
)
from symgrad.loops.pieces import in_pieces
from symgrad.loops.walk import defined, walk

SIZES = (0, 1, 2, 7, 8, 9, 17)
BOTH = poly_add(N, M)


def at_least(i: Poly, bound: Poly, dst: int) -> nest.Test:
    return nest.Test(dst, "ige", poly_add(i, bound, -1))


def joined(body: list[Statement], end: Poly = BOTH) -> Routine:
    """y[i] for i < end, from a[n] and b[m]."""
    buffers = (Buffer("a", "input", (N,)), Buffer("b", "input", (M,)), Buffer("y", "output", (BOTH,)))
    return Routine("f", ("n", "m"), ("n", "m"), buffers, [For("i", (poly(0),), (end,), body)])


def one_or_the_other() -> list[Statement]:
    """y[i] = a[i] for i < n, b[i - n] for the others."""
    return [
        at_least(I, N, 0), Compute(1, "not", (0,)), Const(2, ZERO), Cell(3, 2),
        If(1, [Load(4, "a", (I,)), SetCell(3, 4)]),
        If(0, [Load(5, "b", (poly_add(I, N, -1),)), SetCell(3, 5)]),
        Store("y", (I,), 3),
    ]  # fmt: skip


def ranges(routine: Routine) -> list[tuple[Poly, Poly]]:
    return [(s.lower[0], s.upper[0]) for _, s in walk(routine.body) if isinstance(s, For)]


# ---- structure -------------------------------------------------------------------------------------------


def test_a_loop_over_two_arrays_becomes_two_loops_that_ask_nothing() -> None:
    made = in_pieces(joined(one_or_the_other()))
    assert ranges(made) == [(poly(0), N), (N, BOTH)]
    assert not any(isinstance(s, nest.Test | If | Cell | SetCell) for _, s in walk(made.body))
    values = [defined(s) for _, s in walk(made.body) if isinstance(defined(s), int)]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("target", TARGETS)
def test_two_arrays_follow_each_other_at_every_size(target: str) -> None:
    routine = in_pieces(joined(one_or_the_other()))
    for n in SIZES:
        for m in (0, 1, 9):
            a, b = np.arange(1.0, 1 + n), -np.arange(1.0, 1 + m)
            assert np.array_equal(call(target, routine, {"n": n, "m": m}, {"a": a, "b": b})["y"], [*a, *b])


def test_loops_around_are_split_for_tests_inside_of_loops() -> None:
    """sum over j < n + m of [i >= n][j >= n] b[j - n], at i."""
    inner = [
        at_least(J, N, 10), Compute(11, "and", (0, 10)), Const(12, ZERO), Cell(13, 12),
        If(11, [Load(14, "b", (poly_add(J, N, -1),)), SetCell(13, 14)]), Accumulate("sum", 2, 13),
    ]  # fmt: skip
    over_j = For("j", (poly(0),), (BOTH,), inner)
    outer = [at_least(I, N, 0), Const(1, ZERO), Cell(2, 1), over_j, Store("y", (I,), 2)]
    made = in_pieces(joined(outer))
    assert ranges(made)[0] == (poly(0), N)
    assert [r for r in ranges(made) if r == (N, BOTH)] == [(N, BOTH)] * 3  # j twice, i once
    assert not any(isinstance(s, nest.Test | If) for _, s in walk(made.body))
    for target in TARGETS:
        for n in SIZES:
            b = np.random.default_rng(n).normal(size=5)
            found = call(target, made, {"n": n, "m": 5}, {"a": np.zeros(n), "b": b})["y"]
            assert np.all(found[:n] == 0)
            assert_close(found[n:], np.full(5, b.sum()), factor=5)


def test_loops_are_whole_where_a_place_may_lie_outside_of_them() -> None:
    routine = joined(one_or_the_other(), end=M)  # n may be more than m
    assert in_pieces(routine) == routine


def test_loops_that_are_left_early_are_whole() -> None:
    routine = joined([at_least(I, N, 0), If(0, [Leave()])])
    assert in_pieces(routine) == routine


def test_tests_that_ranges_decide_are_gone() -> None:
    for bound, holds in ((poly(0), True), (BOTH, False)):
        body = [at_least(I, bound, 0), If(0, [Load(1, "a", (I,)), Store("y", (I,), 1)])]
        (loop,) = in_pieces(joined(body)).body
        kinds = [type(s).__name__ for _, s in walk(loop.body)]
        assert kinds == (["Bool", "Load", "Store"] if holds else ["Bool"])


def test_a_register_that_one_turn_sets_and_another_reads_stays() -> None:
    """y[i] = whether any a before was positive: no name for a value of this turn."""
    routine = joined([
        at_least(I, N, 0), Compute(1, "not", (0,)), Const(2, ZERO),
        If(1, [Load(3, "a", (I,)), Compute(4, "lt", (2, 3)), If(4, [SetCell(9, 3)])]),
        Store("y", (I,), 9),
    ])  # fmt: skip
    routine.body[:0] = [Const(8, ZERO), Cell(9, 8)]
    made = in_pieces(routine)
    assert len(ranges(made)) == 2
    a = np.array([-1.0, 2.0, -3.0])
    for target in TARGETS:
        found = call(target, made, {"n": 3, "m": 2}, {"a": a, "b": np.zeros(2)})["y"]
        assert np.array_equal(found, [0, 2, 2, 2, 2])


# ---- programs --------------------------------------------------------------------------------------------

n, m = sp.symbols("n m", integer=True, positive=True)
k, j = sp.symbols("k j", integer=True)
A, B, C = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, m), sp.MatrixSymbol("C", m, m)
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(m,))
X, Y = sp.MatrixSymbol("X", n, 1), sp.MatrixSymbol("Y", m, 1)
WHOLE, VECTOR = sp.BlockMatrix([[A, B], [B.T, C]]), sp.BlockMatrix([[X], [Y]])
PROGRAMS = {
    "blocks": (sp.Trace(VECTOR.T * WHOLE * VECTOR), (A, B, C, X, Y)),
    "one after the other": (sp.Sum(sg.Where(k < n, x[k], y[k - n]) ** 3, (k, 0, n + m - 1)), (x, y)),
    "with a condition on a value": (
        sp.Sum(sg.Where(k < n, sg.Where(x[k] > 0, x[k], 2), sp.sin(y[k - n])), (k, 0, n + m - 1)),
        (x, y),
    ),
    "three parts": (
        sp.Sum(
            sg.Where(k < n, x[k], sg.Where(k < n + m, y[k - n], x[k - n - m])) * (k + 1),
            (k, 0, 2 * n + m - 1),
        ),
        (x, y),
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_size_gives_the_numbers_of_the_reference(name: str) -> None:
    expr, args = PROGRAMS[name]
    compiled = {
        b: sg.compile(expr, args=args, wrt=args, outputs=("value", "grad"), backend=b)
        for b in ("numpy", "llvm", "c")
    }
    for rows in SIZES[1:]:
        for columns in (1, 8):
            sizes = {n: rows, m: columns}
            rng = np.random.default_rng(rows)
            inputs = [rng.normal(size=[int(sp.sympify(e).subs(sizes)) for e in a.shape]) for a in args]
            value, grads = compiled["numpy"](*inputs)
            for backend in ("llvm", "c"):
                found, found_grads = compiled[backend](*inputs)
                assert_close(found, value, factor=1000)
                for one, other in zip(found_grads, grads, strict=True):
                    assert_close(one, other, factor=1000)


@pytest.mark.parametrize("name", ["blocks", "one after the other", "three parts"])
def test_programs_of_parts_ask_nothing_in_their_inner_loops(name: str) -> None:
    expr, args = PROGRAMS[name]
    routine = sg.compile(expr, args=args, wrt=args, outputs=("value", "grad"))._spec.routine
    assert not any(isinstance(s, If | nest.Test) for _, s in walk(routine.body))
