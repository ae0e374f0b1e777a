"""Memory for the last loop that reads it is that of the result which this loop writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from programs import program_named
from routines import DTYPES, TARGETS, I, N
from tolerances import assert_close

import symgrad as sg
from symgrad.loops.in_place import in_place
from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    Load,
    Routine,
    Statement,
    Store,
    poly,
)
from symgrad.loops.walk import walk


def _loop(body: list[Statement]) -> For:
    return For("i", (poly(0),), (N,), body)


def _routine(last: list[Statement], more: tuple[Statement, ...] = ()) -> Routine:
    """t = exp(x), its sum s, and a last loop."""
    first = _loop([Load(1, "x", (I,)), Compute(2, "exp", (1,)), Store("t", (I,), 2), Accumulate("sum", 0, 2)])
    buffers = (Buffer("x", "input", (N,)), Buffer("y", "output", (N,)), Buffer("s", "output", ()),
               Buffer("t", "work", (N,)))  # fmt: skip
    head: list[Statement] = [Const(9, ("q", 0, 1)), Cell(0, 9)]
    return Routine("f", ("n",), ("n",), buffers, [*head, *more, first, Store("s", (), 0), _loop(last)])


def _last(place: Any = (I,), op: str = "tanh") -> list[Statement]:
    return [Load(3, "t", place), Compute(4, op, (3,)), Store("y", (I,), 4)]


def test_what_is_read_where_a_result_is_written_has_its_memory() -> None:
    shared = in_place(_routine(_last()))
    assert [b.name for b in shared.buffers] == ["x", "y", "s"]
    assert "t" not in {s.buffer for _, s in walk(shared.body) if isinstance(s, Load | Store)}


@pytest.mark.parametrize(
    "kept",
    [
        _routine(_last((poly(0),))),  # one element, after others were written
        _routine(_last(op="sin")),  # a loop that may run twice
        _routine([*_last(), Load(5, "t", (I,)), Compute(6, "add", (5, 5)), Store("y", (I,), 6)]),
        _routine(_last(), (_loop([Load(7, "x", (I,)), Store("y", (I,), 7)]),)),  # written before
        _routine([*_last(), Store("t", (I,), 4)]),
    ],
    ids=["elsewhere", "sine", "read after", "written before", "written"],
)
def test_memory_stays_apart_where_it_has_to(kept: Routine) -> None:
    assert in_place(kept) is kept


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_normalisation_needs_no_memory_of_the_size_of_its_data(target: str, dtype: str) -> None:
    p = program_named("batch_norm")
    kernels = [
        sg.compile(p.expr, p.args, p.wrt, outputs=("value", "grad"), backend=b, dtype=dtype)
        for b in (target, "numpy")
    ]
    values = p.make_inputs(np.random.RandomState(0), {"n": 19, "d": 6})
    at = [np.asarray(v, dtype) for v in values.values()]
    (value, found), (wanted_value, wanted) = (k(*at) for k in kernels)
    assert_close(np.asarray(value), np.asarray(wanted_value), dtype, factor=4)
    for a, b in zip(found, wanted, strict=True):
        assert_close(np.asarray(a), np.asarray(b), dtype, factor=4)
    routine = kernels[0]._spec.routine
    assert routine is not None
    assert not any(len(b.extents) > 1 for b in routine.buffers_of("work"))


def test_samples_and_out_keep_their_own_memory() -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    x, k = sp.IndexedBase("x", shape=(n,)), sp.Symbol("k", integer=True)
    total = sp.Sum(sp.exp(x[k]), (k, 0, n - 1))
    kernel = sg.compile(sp.log(total) ** 2, (x,), x, outputs=("value", "grad"))
    at = np.random.default_rng(0).normal(size=(3, 7))
    value, grad = kernel(at)
    for s in range(3):
        one, slope = kernel(at[s])
        assert value[s] == one and np.array_equal(grad[s], slope)
    weights = np.exp(at) / np.exp(at).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(grad, 2 * np.log(np.exp(at).sum(axis=1, keepdims=True)) * weights, rtol=1e-13)
    out = (np.empty(()), np.empty(7))
    kernel(at[0], out=out)
    assert np.array_equal(out[1], grad[0])
