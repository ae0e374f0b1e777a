"""Lowering: reads that need a condition are made only where it holds; diagonals are added, not tested."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.graph import Graph
from symgrad.loops.lower import Interface, lower
from symgrad.loops.nest import (
    Bool,
    For,
    If,
    Leave,
    Load,
    LoadInt,
    Routine,
    Store,
    StoreReduce,
    poly,
    variable,
)
from symgrad.loops.turns import without_single_turns
from symgrad.loops.walk import walk

N, I, J = variable("n"), variable("i"), variable("j")  # noqa: E741  (indices)


def _one_map(g: Graph, inputs: dict[str, int], body: int, axes: tuple[int, ...]) -> Routine:
    t = g.define("map", axes, (), body)
    return lower(g, Interface("f", tuple(inputs.items()), (("out", t),)))


def _outside_branches(routine: Routine, kind: type) -> list[str]:
    """Buffers read by statements of a kind that stand in a loop but in no condition."""
    found, stack = [], list(routine.body)
    while stack:
        s = stack.pop()
        if isinstance(s, kind):
            found.append(s.buffer)
        if isinstance(s, For):
            stack.extend(s.body)
    return found


def test_the_second_half_of_a_condition_is_read_only_where_the_first_holds() -> None:
    g = Graph()
    n = g.size("n")
    k, x, i = g.input("k", (n,), "int"), g.input("x", (n,)), g.fresh_axis(n)
    before = g.iadd(i, g.const(-1))
    condition = g.node("and", g.ige0(before), g.ieq(g.read(k, before), i))
    routine = _one_map(g, {"k": k, "x": x}, g.mask(condition, g.read(x, i)), (i,))
    assert _outside_branches(routine, LoadInt) == []
    assert any(isinstance(s, LoadInt) for _, s in walk(routine.body))


def test_either_of_two_conditions_is_read_only_where_the_first_fails() -> None:
    g = Graph()
    n = g.size("n")
    x, i = g.input("x", (n,)), g.fresh_axis(n)
    condition = g.node("or", g.ige0(g.iscale(i, -1)), g.node("lt", g.read(x, g.iadd(i, g.const(-1))), g.zero))
    routine = _one_map(g, {"x": x}, g.where(condition, g.one, g.zero), (i,))
    assert _outside_branches(routine, Load) == []
    assert any(isinstance(s, If) for _, s in walk(routine.body))


def test_what_a_branch_computes_for_itself_is_not_used_outside_of_it() -> None:
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    x = sp.IndexedBase("x", shape=(n,))  # x[1] may not exist, and its reads stand in branches
    last = (x[1] - x[0] ** 2) ** 2
    f = sp.Sum(sp.Piecewise((x[0], i < 29), (last, True)), (i, 0, 30))
    hessian = sg.compile(f, args=(x,), wrt=x, outputs="hess")(np.array([3.0, 5.0]))
    np.testing.assert_array_equal(hessian, 2 * np.array([[12 * 9 - 4 * 5, -4 * 3], [-4 * 3, 2]]))


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_a_diagonal_is_added_along_one_loop(backend: str) -> None:
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    x = sp.IndexedBase("x", shape=(n,))
    expr = sp.Sum(x[i] ** 4, (i, 0, n - 1)) + sp.Sum(x[i], (i, 0, n - 1)) ** 2
    routines: list[Routine] = []
    kernel = sg.compile(
        expr, wrt=x, outputs="hess", backend=backend,
        watch=lambda stage, thing: routines.append(thing) if stage == "lower" else None,
    )  # fmt: skip
    for size in (1, 2, 5):
        at = np.linspace(-1.0, 1.0, size)
        np.testing.assert_allclose(kernel(at), 2.0 + np.diag(12 * at**2), rtol=1e-15)
    loops = [s for _, s in walk(routines[0].body) if isinstance(s, For)]
    around = [s for s in loops if any(isinstance(t, StoreReduce) for _, t in walk(s.body))]
    assert len(around) == 1 and around[0] in routines[0].body


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
def test_what_costs_nothing_is_selected_and_what_costs_is_branched_around(backend: str) -> None:
    g = Graph()
    n = g.size("n")
    x, i = g.input("x", (n,)), g.fresh_axis(n)
    entry = g.read(x, i)
    is_low = g.node("lt", entry, g.one)
    for value, has_branch in ((g.one, False), (entry, False), (g.node("exp", entry), True)):
        t = g.define("sum", (), (i,), g.mask(is_low, value))
        routine = lower(g, Interface("f", (("x", x),), (("out", t),)))
        assert any(isinstance(s, If) for _, s in walk(routine.body)) == has_branch
    m, j = sp.Symbol("m", integer=True, positive=True), sp.Symbol("j", integer=True)
    y = sp.IndexedBase("y", shape=(m,))
    low = sp.Sum(sg.Where(y[j] < 1, y[j], 0), (j, 0, m - 1))
    kernel = sg.compile(low, args=(y,), wrt=y, outputs=("value", "grad"), backend=backend)
    value, slope = kernel(np.array([0.5, np.inf, -2.0, np.nan, 3.0]))
    assert value == -1.5
    np.testing.assert_array_equal(slope, [1, 0, 1, 0, 0])


def test_a_loop_of_one_turn_is_no_loop() -> None:
    inner = For("j", (poly(0),), (poly(1),), [Load(0, "x", (I, J)), Store("y", (J, I), 0)])
    one = Routine("f", ("n",), ("n",), (), [For("i", (poly(0),), (N,), [inner])])
    (outer,) = without_single_turns(one).body
    assert isinstance(outer, For)
    assert outer.body == [Load(0, "x", (I, poly(0))), Store("y", (poly(0), I), 0)]


def test_a_loop_of_one_turn_that_is_left_stays() -> None:
    inside = [Bool(0, True), If(0, [Leave()])]
    left = Routine("f", (), (), (), [For("i", (poly(0),), (poly(1),), inside)])
    assert without_single_turns(left).body == left.body


@pytest.mark.parametrize("is_nested", [False, True])
def test_entries_that_calls_check_need_no_condition_in_loops(is_nested: bool) -> None:
    n, m, q = sp.symbols("n m q", integer=True, positive=True)
    x, first, second = (sp.IndexedBase(s, shape=(e,)) for s, e in (("x", m), ("first", n), ("second", q)))
    i = sp.Symbol("i", integer=True)
    place = second[first[i]] if is_nested else first[i]
    args = (x, first, second) if is_nested else (x, first)
    grad = sg.compile(sp.Sum(sp.sin(x[place]), (i, 0, n - 1)), args=args, wrt=x, outputs="grad", backend="c")
    assert " >= 0" not in grad.source and "if (" not in grad.source.split("_call")[0]
    places = [np.array([0, 2, 1, 1]), np.array([2, 1, 0])][: len(args) - 1]
    read = places[1][places[0]] if is_nested else places[0]
    values = np.array([0.5, 1.5, -2.0])
    assert grad(values, *places) == pytest.approx(np.cos(values) * np.bincount(read, minlength=3), abs=1e-15)
    for k in range(len(places)):
        outside = [p.copy() for p in places]
        outside[k][1] = 3
        with pytest.raises(sg.errors.IndexOutOfRange):
            grad(values, *outside)
