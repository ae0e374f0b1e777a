"""Fusion of loops: random routines compute the same before and after, and what is meant to go goes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symgrad as sg
from symgrad.loops.fuse import MOST_STATEMENTS, fused
from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
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

N, I, J = variable("n"), variable("i"), variable("j")  # noqa: E741  (indices)
SIZES = {"n": 4}


def routine(body: Sequence[Statement], *work: Buffer, rank: int = 1) -> Routine:
    extents = (N,) * rank
    buffers = (
        Buffer("x", "input", extents),
        Buffer("idx", "input", (N,), "int"),
        Buffer("y", "output", extents),
    )
    return Routine("f", ("n",), ("n",), (*buffers, *work), list(body))


def loops(r: Routine) -> int:
    return sum(isinstance(s, For) for _, s in walk(r.body))


def names(r: Routine) -> set[str]:
    return {b.name for b in r.buffers}


# ---- an interpreter ----------------------------------------------------------------------------


def at(p: Poly, integers: dict[str, int]) -> int:
    return sum(k * int(np.prod([integers[n] for n in names])) for names, k in p)


def run(r: Routine, x: np.ndarray, idx: np.ndarray) -> np.ndarray:
    """What a routine writes to `y`; reading what nobody wrote gives nan."""
    memory = {b.name: np.full([at(e, SIZES) for e in b.extents], np.nan) for b in r.buffers}
    memory["x"], memory["idx"] = x, idx
    step(r.body, memory, {}, dict(SIZES))
    return memory["y"]


COMBINE = {"sum": np.add, "max": np.maximum}


def step(
    body: Sequence[Statement], memory: dict[str, np.ndarray], v: dict[int, float], integers: dict[str, int]
) -> None:
    for s in body:
        if isinstance(s, For):
            for turn in range(at(s.lower[0], integers), at(s.upper[0], integers)):
                step(s.body, memory, v, integers | {s.var: turn})
            continue
        if isinstance(s, Const):
            v[s.dst] = float(s.payload[1])
        elif isinstance(s, Compute):
            a, b = (v[k] for k in s.args)
            v[s.dst] = a + b if s.op == "add" else a * b
        elif isinstance(s, Cell):
            v[s.dst] = v[s.init]
        elif isinstance(s, Accumulate):
            v[s.cell] = float(COMBINE[s.kind](v[s.cell], v[s.src]))
        else:
            place = tuple(at(p, integers) for p in s.index)
            if isinstance(s, Load):
                v[s.dst] = float(memory[s.buffer][place])
            elif isinstance(s, LoadInt):
                integers[s.var] = int(memory[s.buffer][place])
            elif isinstance(s, Store):
                memory[s.buffer][place] = v[s.src]
            elif isinstance(s, StoreReduce):
                memory[s.buffer][place] = COMBINE[s.kind](memory[s.buffer][place], v[s.src])


# ---- random routines ---------------------------------------------------------------------------

BUFFERS = ("x", "y", "s", "t", "u")


@st.composite
def routines(draw: st.DrawFn) -> Routine:
    """Loops and straight-line code over arrays of n numbers; every index stays inside."""
    numbers = itertools.count()
    body: list[Statement] = [
        For("i", (poly(0),), (N,), [Load(k := next(numbers), "x", (I,)), Store(name, (I,), k)])
        for name in ("y", "s", "t", "u")
    ]

    def index(var: str | None) -> Poly:
        inside = draw(st.sampled_from((0, 1, 2)))
        shift = draw(st.sampled_from((0, 0, 0, 1)))
        return (
            poly(inside)
            if var is None or not draw(st.integers(0, 3))
            else poly_add(variable(var), poly(shift))
        )

    def simple(var: str | None, known: list[int], cells: list[int]) -> list[Statement]:
        kind = draw(st.sampled_from(("load", "store", "reduce", "compute", "accumulate", "gather")))
        value = draw(st.sampled_from(known))
        if kind == "load":
            known.append(next(numbers))
            return [Load(known[-1], draw(st.sampled_from(BUFFERS)), (index(var),))]
        if kind == "gather":
            known.append(next(numbers))
            name = f"g{next(numbers)}"
            return [LoadInt(name, "idx", (index(None),)),
                    Load(known[-1], draw(st.sampled_from(BUFFERS)), (variable(name),))]  # fmt: skip
        if kind == "compute":
            known.append(next(numbers))
            return [Compute(known[-1], draw(st.sampled_from(("add", "mul"))), (value, known[0]))]
        if kind == "accumulate" and cells:
            return [Accumulate(draw(st.sampled_from(("sum", "max"))), draw(st.sampled_from(cells)), value)]
        if kind == "reduce":
            return [StoreReduce("sum", draw(st.sampled_from(BUFFERS[1:])), (index(var),), value)]
        return [Store(draw(st.sampled_from(BUFFERS[1:])), (index(var),), value)]

    first = next(numbers)
    body.append(Const(first, ("q", 2, 1)))
    known, cells = [first], list[int]()
    for _ in range(draw(st.integers(2, 7))):
        if draw(st.integers(0, 3)):
            var = draw(st.sampled_from(("i", "j")))
            inner = [*known]
            inside = [s for _ in range(draw(st.integers(1, 4))) for s in simple(var, inner, cells)]
            bounds = draw(st.sampled_from(((0, -1), (0, -1), (0, -1), (0, -2))))
            body.append(For(var, (poly(bounds[0]),), (poly_add(N, poly(bounds[1])),), inside))
        elif draw(st.booleans()):
            cells.append(next(numbers))
            body.append(Cell(cells[-1], known[0]))
        else:
            body += simple(None, known, cells)
    for cell in cells:
        body.append(StoreReduce("sum", "y", (poly(0),), cell))
    work = [Buffer(name, "work", (N,)) for name in ("s", "t", "u")]
    return routine(body, *work)


@settings(max_examples=400, deadline=None)
@given(routines())
def test_random_routines_compute_the_same_fused(r: Routine) -> None:
    x, idx = np.array([1.25, -2.0, 0.5, 3.0]), np.array([2, 0, 3, 1])
    np.testing.assert_array_equal(run(fused(r), x.copy(), idx), run(r, x.copy(), idx))


# ---- what goes and what stays ------------------------------------------------------------------


def chain(offset: int = 0, second: str = "t") -> Routine:
    """t[i] = x[i]*x[i]; y[i] = t[i + offset] + t[i + offset]."""
    square = For("i", (poly(0),), (N,), [Load(0, "x", (I,)), Compute(1, "mul", (0, 0)), Store("t", (I,), 1)])
    at_j = poly_add(J, poly(offset))
    double = For("j", (poly(0),), (poly_add(N, poly(-offset)),),
                 [Load(2, second, (at_j,)), Compute(3, "add", (2, 2)), Store("y", (J,), 3)])  # fmt: skip
    return routine([square, double], Buffer("t", "work", (N,)))


def test_a_producer_and_its_consumer_need_one_loop_and_no_memory() -> None:
    r = fused(chain())
    assert loops(r) == 1 and names(r) == {"x", "idx", "y"}


def test_neighbours_of_an_element_keep_two_loops() -> None:
    r = chain(offset=1)
    assert loops(fused(r)) == 2 and "t" in names(fused(r))


def test_a_sum_is_complete_before_it_is_used() -> None:
    body = [
        Const(0, ("q", 0, 1)), Cell(1, 0),
        For("i", (poly(0),), (N,), [Load(2, "x", (I,)), Accumulate("sum", 1, 2)]),
        For("i", (poly(0),), (N,), [Load(3, "x", (I,)), Compute(4, "mul", (3, 1)), Store("y", (I,), 4)]),
    ]  # fmt: skip
    assert loops(fused(routine(body))) == 2


def test_rows_that_one_turn_writes_and_reads_need_no_axis_for_the_turns() -> None:
    copy = [Load(0, "x", (I, J)), Store("t", (I, J), 0)]
    row = [
        For("i", (poly(0),), (N,), [For("j", (poly(0),), (N,), copy)]),
        For("i", (poly(0),), (N,), [
            Const(1, ("q", 0, 1)), Cell(2, 1),
            For("k", (poly(1),), (N,), [
                Load(3, "t", (I, variable("k"))), Load(4, "t", (I, poly_add(variable("k"), poly(-1)))),
                Compute(5, "mul", (3, 4)), Accumulate("sum", 2, 5)]),
            Store("y", (I, poly(0)), 2)]),
    ]  # fmt: skip
    r = fused(routine(row, Buffer("t", "work", (N, N)), rank=2))
    (t,) = (b for b in r.buffers if b.name == "t")
    assert t.extents == (N,) and sum(isinstance(s, For) for s in r.body) == 1


def test_loops_that_look_for_the_largest_number_stay_by_themselves() -> None:
    body = [
        Const(0, ("f", "-inf")), Cell(1, 0),
        For("i", (poly(0),), (N,), [Load(2, "x", (I,)), Compute(3, "mul", (2, 2)), Store("y", (I,), 3)]),
        For("i", (poly(0),), (N,), [Load(4, "x", (I,)), Accumulate("max", 1, 4)]),
        Store("y", (poly(0),), 1),
    ]  # fmt: skip
    assert loops(fused(routine(body))) == 2


def test_a_fill_is_fused_with_what_uses_the_same_memory_only() -> None:
    zero = Const(9, ("q", 0, 1))
    square = For("i", (poly(0),), (N,), [Load(0, "x", (I,)), Compute(1, "mul", (0, 0)), Store("y", (I,), 1)])
    fills = [For("i", (poly(0),), (N,), [Store(name, (I,), 9)]) for name in ("t", "u", "y")]
    work = [Buffer(name, "work", (N,)) for name in "tu"]
    use = For("i", (poly(1),), (N,), [StoreReduce("sum", "y", (I,), 4)])
    use.body[:0] = [Load(2, "t", (I,)), Load(3, "u", (I,)), Compute(4, "add", (2, 3))]
    assert loops(fused(routine([zero, *fills[:2], square, use], *work))) == 3
    assert loops(fused(routine([zero, fills[2], square]))) == 1


def test_a_loop_of_functions_stays_without_stores_where_data_say() -> None:
    tanh = For("i", (poly(0),), (N,), [Load(0, "x", (I,)), Compute(1, "tanh", (0,)), Store("t", (I,), 1)])
    count = For("i", (poly(0),), (N,), [
        LoadInt("g", "idx", (I,)), Load(2, "t", (I,)), StoreReduce("sum", "y", (variable("g"),), 2),
    ])  # fmt: skip
    assert loops(fused(routine([tanh, count], Buffer("t", "work", (N,))))) == 2


def test_a_loop_does_not_grow_without_bound() -> None:
    one = [For("i", (poly(0),), (N,), [Load(2 * k, "x", (I,)), Store("y", (I,), 2 * k)]) for k in range(400)]
    sizes = [sum(1 for _ in walk(s.body)) for s in fused(routine(one)).body if isinstance(s, For)]
    assert len(sizes) > 1 and max(sizes) <= MOST_STATEMENTS


@pytest.mark.parametrize(("place", "number"), [(I, 1), (poly_add(I, poly(1)), 2)])
def test_long_loops_become_one_only_where_they_touch_the_same_element(place: Poly, number: int) -> None:
    def long(name: str, at: Poly, start: int) -> For:
        steps = [Compute(k + 1, "mul", (k, start)) for k in range(start, start + 60)]
        return For("i", (poly(0),), (N,), [Load(start, "x", (at,)), *steps, Store(name, (I,), start + 60)])

    body = [long("y", I, 0), long("z", place, 100)]
    assert loops(fused(routine(body, Buffer("z", "output", (N,))))) == number


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_layers_share_their_loop_over_samples(backend: str) -> None:
    n, h = sp.symbols("n h", integer=True, positive=True)
    Z = sp.MatrixSymbol("Z", n, h)
    value = sp.Trace(Z.applyfunc(sp.tanh) * Z.applyfunc(sp.tanh).T)
    kernel = sg.compile(value, wrt=Z, outputs=("value", "grad"), backend=backend)
    z = np.random.default_rng(0).normal(size=(5, 3))
    found, grad = kernel(z)
    np.testing.assert_allclose(found, (np.tanh(z) ** 2).sum(), rtol=1e-14)
    np.testing.assert_allclose(grad, 2 * np.tanh(z) / np.cosh(z) ** 2, rtol=1e-13)
    assert kernel.workspace(n=1000, h=3) == kernel.workspace(n=10, h=3)
