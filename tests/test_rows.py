"""Sums down the columns of a matrix: several rows in one pass over the columns, with the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from routines import TARGETS, I, J, M, N, call

from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    If,
    Load,
    Routine,
    Statement,
    Store,
    StoreReduce,
    poly,
    poly_add,
)
from symgrad.loops.rows import rows_together
from symgrad.loops.walk import walk

RNG = np.random.default_rng(7)


def routine(before: list[Statement], inside: list[Statement], after: list[Statement]) -> Routine:
    """for i < n: before; for j < m: inside; after. Around it a sum that starts from 0."""
    one, none = Const(100, ("q", 1, 1)), Const(101, ("q", 0, 1))
    columns = For("j", (poly(0),), (M,), inside)
    rows = For("i", (poly(0),), (N,), [*before, columns, *after])
    buffers = (
        Buffer("x", "input", (N, M)), Buffer("w", "input", (N,)), Buffer("s", "output", (M,)),
        Buffer("y", "output", (N, M)), Buffer("r", "output", (N,)), Buffer("c", "output", (poly(1),)),
    )  # fmt: skip
    clear = For("j", (poly(0),), (M,), [Store("s", (J,), 101)])
    body = [one, none, clear, Cell(102, 101), rows, Store("c", (poly(0),), 102)]
    return Routine("f", ("n", "m"), ("n", "m"), buffers, body)


def weighted() -> Routine:
    """s[j] += w[i]*x[i, j];  y[i, j] = w[i]*x[i, j];  r[i] = the sum of a row of y;  c = the sum of w."""
    before = [Load(0, "w", (I,)), Accumulate("sum", 102, 0), Cell(3, 101)]
    inside = [Load(1, "x", (I, J)), Compute(2, "mul", (0, 1)), StoreReduce("sum", "s", (J,), 2),
              Store("y", (I, J), 2), Accumulate("sum", 3, 2)]  # fmt: skip
    return routine(before, inside, [Store("r", (I,), 3)])


@pytest.mark.parametrize("target", TARGETS)
def test_rows_together_give_the_same_numbers(target: str) -> None:
    plain = weighted()
    together = rows_together(plain)
    for n in (0, 1, 3, 4, 5, 8, 11):
        for m in (0, 1, 2, 17):
            x, w = RNG.integers(-99, 99, (n, m)) / 4.0, RNG.integers(-99, 99, n) / 4.0  # sums are exact
            ours = call(target, together, {"n": n, "m": m}, {"x": x, "w": w})
            y = w[:, None] * x
            for name, wanted in (("s", y.sum(0)), ("y", y), ("r", y.sum(1)), ("c", [w.sum()])):
                np.testing.assert_array_equal(ours[name], wanted, err_msg=f"{name} {n} {m}")


def test_a_sum_is_loaded_and_stored_once_for_four_rows() -> None:
    made = rows_together(weighted())
    (rows,) = [s for s in made.body if isinstance(s, For) and s.step == 4]
    together, alone = [s for s in rows.body if isinstance(s, If)]
    touched = [type(s) for _, s in walk(together.body) if getattr(s, "buffer", "") == "s"]
    assert touched == [Load, Store]
    assert [type(s) for _, s in walk(alone.body) if getattr(s, "buffer", "") == "s"] == [StoreReduce]


ADDED = StoreReduce("sum", "s", (J,), 1)
LOADED = Load(1, "x", (I, J))


@pytest.mark.parametrize(
    ("before", "inside", "after"),
    [
        ([], [Load(1, "s", (poly_add(J, poly(-1)),)), ADDED], []),  # another turn of the inner loop reads it
        ([], [LOADED, replace(ADDED, index=(poly(0),))], []),  # one element for all columns
        ([Load(0, "s", (poly(0),))], [LOADED, ADDED], []),  # read between two rows
        ([], [LOADED, ADDED], [Store("s", (poly(0),), 100)]),  # written between two rows
        ([Load(0, "r", (I,))], [LOADED, ADDED], [Store("r", (poly_add(I, poly(1)),), 0)]),  # row after row
        ([Accumulate("sum", 102, 100)], [LOADED, Compute(2, "mul", (1, 102)), ADDED], []),  # sums so far
        ([], [LOADED, Store("y", (I, J), 1)], []),  # no sum
        ([], [LOADED, replace(ADDED, index=(I,), buffer="r")], []),  # along the rows
        ([], [Load(2, "x", (I, J)), Compute(1, "exp", (2,)), ADDED], []),  # a function
    ],
)
def test_rows_stay_apart_where_that_matters_or_would_not_pay(
    before: list[Statement], inside: list[Statement], after: list[Statement]
) -> None:
    plain = routine(before, inside, after)
    assert rows_together(plain) is plain
