"""Loops along rows and down columns are done in blocks where nothing keeps their turns in order."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS, ZERO, I, J, M, N, call
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
    assert [s.step for s in loops] == [WIDTH, HEIGHT, 1, 1, 1, 1]
    strips, blocks, *_ = loops
    assert [s.var for s in loops[2:]] == ["j", "i", "i", "j"]
    assert [s.upper[0] for s in loops[2:4]] == [
        poly_add(variable(strips.var), poly(WIDTH)),
        poly_add(variable(blocks.var), poly(HEIGHT)),
    ]
    reads = [s for s in loops[5].body if isinstance(s, Load)]
    assert [(s.buffer, len(s.index)) for s in reads] == [(made.buffers[-1].name, 2), ("z", 2)]
    assert made.buffers[-1].extents == (poly(HEIGHT), poly(WIDTH))


@pytest.mark.parametrize("target", TARGETS)
def test_blocks_are_right_at_every_size(target: str) -> None:
    """y = x.T*z*(i + 1), s its sum."""
    inner: list[Statement] = [
        *PRODUCT[:3], Compute(4, "mul", (3, 10)), Store("y", (I, J), 4), Accumulate("sum", 91, 4),
    ]  # fmt: skip
    routine = columns_in_blocks(nest(inner, before=[FromInt(10, poly_add(I, poly(1)))]))
    assert len(routine.buffers_of("work")) == 1
    loaded = target_named(target).build(routine)
    rng = np.random.default_rng(0)
    for n in SIZES:
        for m in SIZES:
            x, z = rng.normal(size=(m, n)), rng.normal(size=(n, m))
            inputs = {"x": x, "z": z, "k": np.zeros(m, np.int64)}
            found = call(target, routine, {"n": n, "m": m}, inputs, loaded=loaded)
            wanted = x.T * z * np.arange(1, n + 1)[:, None]
            assert np.array_equal(found["y"], wanted)
            assert_close(found["s"], wanted.sum(), factor=100 * max(n * m, 1))


SUM: list[Statement] = [Const(20, ZERO), Cell(21, 20)]
WHOLE = {
    "each row has a sum": nest(
        [*PRODUCT, Accumulate("sum", 21, 3)], before=SUM, after=[Store("r", (I,), 21)]
    ),
    "sums in memory": nest([*PRODUCT, StoreReduce("sum", "r", (I,), 3)]),
    "what is written does not say which turn wrote it": nest([*PRODUCT[:3], Store("r", (I,), 3)]),
    "what is written is read elsewhere": nest([Load(5, "y", (J, I)), *PRODUCT]),
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
