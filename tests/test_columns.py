"""Loops along rows and down columns are done in blocks where nothing keeps their turns in order."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from routines import DTYPES, TARGETS, ZERO, I, J, M, N, call
from tolerances import assert_close

import symgrad as sg
from symgrad.loops.columns import HEIGHT, WIDTH, columns_in_blocks
from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    LoadInt,
    Poly,
    Routine,
    Statement,
    Store,
    StoreReduce,
    Transpose,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.walk import walk
from symgrad.targets.base import target_named

SIZES = (0, 1, 2, 7, 8, 9, 17, WIDTH, 2 * WIDTH + 1)


def nest(
    inner: list[Statement], before: list[Statement] | None = None, after: list[Statement] | None = None,
    upper: Poly = M,
) -> Routine:  # fmt: skip
    """for i < n: before; for j < m: inner; after      with x[m, n], z[n, m], y[n, m] and s."""
    shape = (N, M)
    buffers = (
        Buffer("x", "input", (M, N)), Buffer("z", "input", shape), Buffer("k", "input", (M,), "int"),
        Buffer("l", "input", (N,), "int"), Buffer("t", "output", shape),
        Buffer("y", "output", shape), Buffer("s", "output", ()), Buffer("r", "output", (N,)),
    )  # fmt: skip
    over_j = For("j", (poly(0),), (upper,), inner)
    over_i = For("i", (poly(0),), (N,), [*(before or []), over_j, *(after or [])])
    body = [Const(90, ZERO), Cell(91, 90), over_i, Store("s", (), 91)]
    return Routine("f", ("n", "m"), ("n", "m"), buffers, body)


COLUMN, ROW = Load(1, "x", (J, I)), Load(2, "z", (I, J))
PRODUCT: list[Statement] = [COLUMN, ROW, Compute(3, "mul", (1, 2)), Store("y", (I, J), 3)]


def test_a_column_is_put_side_by_side_block_by_block() -> None:
    made = columns_in_blocks(nest(PRODUCT))
    loops = [s for _, s in walk(made.body) if isinstance(s, For)]
    assert [(s.var, s.step) for s in loops[2:]] == [("i", 1), ("j", 1)]
    strips, blocks, turns, row = loops
    assert (strips.step, blocks.step) == (WIDTH, HEIGHT)
    assert turns.upper[0] == poly_add(variable(blocks.var), poly(HEIGHT))
    assert row.upper[0] == poly_add(variable(strips.var), poly(WIDTH))
    (copy,) = [s for s in blocks.body if isinstance(s, Transpose)]
    assert (copy.source.start.buffer, copy.source.start.index) == (
        "x",
        (variable(strips.var), variable(blocks.var)),
    )
    assert (copy.source.strides, copy.to.strides) == ((N, poly(1)), (poly(WIDTH), poly(1)))
    reads = [s for s in row.body if isinstance(s, Load)]
    assert [(s.buffer, len(s.index)) for s in reads] == [(made.buffers[-1].name, 2), ("z", 2)]
    assert made.buffers[-1].extents == (poly(HEIGHT), poly(WIDTH))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_blocks_are_right_at_every_size(target: str, dtype: str) -> None:
    """y = x.T*z*(i + 1), s its sum."""
    inner: list[Statement] = [
        *PRODUCT[:3], Compute(4, "mul", (3, 10)), Store("y", (I, J), 4), Accumulate("sum", 91, 4),
    ]  # fmt: skip
    routine = columns_in_blocks(nest(inner, before=[FromInt(10, poly_add(I, poly(1)))]))
    assert len(routine.buffers_of("work")) == 1
    loaded = target_named(target).build(routine, dtype)
    rng = np.random.default_rng(0)
    for n in SIZES:
        for m in SIZES:
            x, z = (rng.integers(-9, 9, size).astype(dtype) for size in ((m, n), (n, m)))  # all is exact
            inputs = {"x": x, "z": z, "k": np.zeros(m, np.int64), "l": np.zeros(n, np.int64)}
            found = call(target, routine, {"n": n, "m": m}, inputs, dtype, loaded=loaded)
            wanted = x.T * z * np.arange(1, n + 1)[:, None]
            assert np.array_equal(found["y"], wanted)
            assert found["s"] == wanted.sum()


@pytest.mark.parametrize("target", TARGETS)
def test_rows_that_are_looked_up_get_their_sums_in_the_order_they_had(target: str) -> None:
    """r[i] = i; t[l[i], j] += x[j, i]*z[i, j]: what a turn stores by itself is done before."""
    before = [FromInt(10, I), Store("r", (I,), 10), LoadInt("g", "l", (I,))]
    inner = [*PRODUCT[:3], StoreReduce("sum", "t", (variable("g"), J), 3)]
    plain = nest(inner, before=before)
    routine = columns_in_blocks(plain)
    first, strips = [s for s in routine.body if isinstance(s, For)]
    assert [type(s) for s in first.body] == [FromInt, Store] and strips.step == WIDTH
    rng = np.random.default_rng(1)
    for n in SIZES[1:]:
        for m in SIZES[1:]:
            x, z, look = rng.normal(size=(m, n)), rng.normal(size=(n, m)), rng.integers(0, min(n, 3), n)
            inputs = {"x": x, "z": z, "k": np.zeros(m, np.int64), "l": look}
            ours, theirs = (call(target, r, {"n": n, "m": m}, inputs) for r in (routine, plain))
            assert np.array_equal(ours["r"], np.arange(n))
            assert np.array_equal(ours["t"], theirs["t"])


SUM: list[Statement] = [Const(20, ZERO), Cell(21, 20)]
WHOLE = {
    "each row has a sum": nest(
        [*PRODUCT, Accumulate("sum", 21, 3)], before=SUM, after=[Store("r", (I,), 21)]
    ),
    "sums in memory": nest([*PRODUCT, StoreReduce("sum", "r", (I,), 3)]),
    "what is written does not say which turn wrote it": nest([*PRODUCT[:3], Store("r", (I,), 3)]),
    "what is written is read elsewhere": nest([Load(5, "y", (J, I)), *PRODUCT]),
    "a turn stores what the inner loop reads": nest(
        [Load(7, "r", (I,)), *PRODUCT], before=[FromInt(10, I), Store("r", (I,), 10)]
    ),
    "the inner loop needs a sum that a turn adds to": nest(
        [*PRODUCT[:3], Compute(4, "mul", (3, 91)), Store("y", (I, J), 4)],
        before=[FromInt(10, I), Accumulate("sum", 91, 10)],
    ),
    "the ends of the inner loop are read from memory": nest(
        PRODUCT, before=[LoadInt("g", "l", (I,))], upper=variable("g")
    ),
    "the column is written": nest([COLUMN, ROW, Compute(3, "mul", (1, 2)), Store("x", (J, I), 3)]),
    "the next column begins a row further down": nest([Load(1, "x", (poly_add(I, J), I)), *PRODUCT[1:]]),
    "the ends of the inner loop depend on the outer one": nest(PRODUCT, upper=I),
    "no row is walked": nest([COLUMN, Store("r", (I,), 1)]),
    "no column is walked": nest([ROW, Store("y", (I, J), 2)]),
    "the column is read under a condition": nest(
        [ROW, Compute(6, "lt", (90, 2)), If(6, [COLUMN, Store("y", (I, J), 1)])]
    ),
    "the place is read from memory": nest(
        [LoadInt("g", "k", (J,)), Load(1, "x", (variable("g"), I)), ROW, Store("y", (I, J), 1)]
    ),
}


@pytest.mark.parametrize("why", WHOLE)
def test_loops_whose_turns_keep_their_order_or_gain_nothing_stay(why: str) -> None:
    assert columns_in_blocks(WHOLE[why]) is WHOLE[why]


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_sums_over_entries_and_their_transposes_are_right_at_every_size(backend: str) -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    i, j = sp.symbols("i j", integer=True)
    w = sp.MatrixSymbol("W", n, n)
    form = sp.Sum(sp.sin(w[i, j] * w[j, i]) * (i + 1), (i, 0, n - 1), (j, 0, n - 1))
    kernel = sg.compile(form, args=(w,), wrt=w, outputs=("value", "grad"), backend=backend)
    assert any(s.step == HEIGHT for _, s in walk(kernel._spec.routine.body) if isinstance(s, For))
    for size in (*SIZES[1:], 2 * HEIGHT):
        x = np.random.default_rng(size).normal(size=(size, size))
        x[0, -1] = 3e6  # beyond what our own sine takes
        rows = np.arange(1, size + 1)[:, None]
        value, grad = kernel(x)
        assert_close(value, np.sum(np.sin(x * x.T) * rows), factor=10 * size**2)
        assert_close(grad, (rows + rows.T) * np.cos(x * x.T) * x.T, factor=100)
