"""Gradients of random programs, first and second order, against differences at sixty digits."""

from __future__ import annotations

from collections.abc import Sequence

import mpmath
import numpy as np
from hypothesis import given, settings
from strategies import RandomProgram, scalar_programs, tensor_programs

from symgrad.grad.reverse import gradient
from symgrad.ir.check import check
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.reduce import reduce

quick = settings(max_examples=60, deadline=None, derandomize=True)
_STEP = mpmath.mpf(10) ** -20


def weighted_total(g: Graph, tensors: Sequence[TensorId]) -> TensorId:
    """The sum of all elements of some tensors, each with a weight of its own."""
    total = g.zero
    for t in tensors:
        axes = [g.fresh_axis(e) for e in g.tensors[t].extents]
        entry = g.read(t, *axes)
        for k, axis in enumerate(axes):
            entry = g.mul(entry, g.node("cos", g.cast(g.iadd(axis, g.const(k + 1)))))
        total = g.add(total, reduce(g, "sum", axes, entry))
    return g.define("map", (), (), total)


def gradients(g: Graph, loss: TensorId, wrt: Sequence[TensorId]) -> list[TensorId]:
    return [g.define("map", axes, (), value) for axes, value in gradient(g, loss, wrt)]


def real_inputs(program: RandomProgram) -> list[TensorId]:
    return [t for t in program.inputs if program.graph.tensors[t].dtype == "real"]


def moved(array: np.ndarray, direction: np.ndarray, step: mpmath.mpf) -> np.ndarray:
    exact = np.frompyfunc(lambda a, d: mpmath.mpf(float(a)) + step * mpmath.mpf(float(d)), 2, 1)
    return np.asarray(exact(array, direction), dtype=object)


def assert_gradient(program: RandomProgram, loss: TensorId, found: Sequence[TensorId]) -> None:
    """`found` is the gradient of `loss`, along one random direction; finite everywhere."""
    g, arrays, wrt = program.graph, program.arrays(), real_inputs(program)
    check(g, [loss, *found])
    rng = np.random.default_rng(1)
    direction = {t: rng.normal(size=arrays[t].shape) for t in wrt}
    slopes = evaluate(g, found, arrays, program.sizes)
    parts = [s * direction[t] for s, t in zip(slopes, wrt, strict=True)]
    with mpmath.workdps(60):
        ends = []
        for step in (_STEP, -_STEP):
            there = {**arrays, **{t: moved(arrays[t], d, step) for t, d in direction.items()}}
            ends.append(evaluate(g, [loss], there, program.sizes, object)[0][()])
        wanted = float((ends[0] - ends[1]) / (2 * _STEP))
    scale = 1 + sum(float(np.abs(p).sum()) for p in parts)
    assert abs(sum(float(p.sum()) for p in parts) - wanted) <= 1e-9 * scale


@quick
@given(tensor_programs(max_definitions=3, min_size=0))
def test_gradients_of_tensor_programs(program):
    g = program.graph
    loss = weighted_total(g, list(program.outputs.values()))
    assert_gradient(program, loss, gradients(g, loss, real_inputs(program)))


@quick
@given(scalar_programs(max_ops=15))
def test_gradients_of_scalar_programs(program):
    g = program.graph
    loss = weighted_total(g, list(program.outputs.values()))
    assert_gradient(program, loss, gradients(g, loss, real_inputs(program)))


@quick
@given(tensor_programs(max_definitions=2, max_ops=4))
def test_second_derivatives_of_tensor_programs(program):
    g, wrt = program.graph, real_inputs(program)
    first = weighted_total(g, gradients(g, weighted_total(g, list(program.outputs.values())), wrt))
    assert_gradient(program, first, gradients(g, first, wrt))


@quick
@given(scalar_programs(max_ops=8))
def test_second_derivatives_of_scalar_programs(program):
    g, wrt = program.graph, real_inputs(program)
    first = weighted_total(g, gradients(g, weighted_total(g, list(program.outputs.values())), wrt))
    assert_gradient(program, first, gradients(g, first, wrt))


def test_a_value_used_under_several_nested_conditions_has_no_nan_slope_where_all_fail():
    """log(x) only matters where x > 0, but reaches the result on four ways."""
    g = Graph()
    x, y = g.input("x"), g.input("y")
    u, p, q = g.node("log", g.read(x)), g.node("lt", g.zero, g.read(x)), g.node("lt", g.zero, g.read(y))
    inner = g.add(g.where(q, g.node("sin", u), g.zero), g.where(g.node("not", q), u, g.node("cos", u)))
    loss = g.define("map", (), (), g.where(p, inner, g.zero))
    (slope,) = gradients(g, loss, [x])
    for at, wanted in ((0.0, 0.0), (-1.0, 0.0), (1.0, 1.0)):
        assert evaluate(g, [slope], {x: at, y: 1.0}, {})[0] == wanted


def test_a_value_used_under_two_unrelated_conditions_has_no_nan_slope_where_both_fail():
    g = Graph()
    x, y = g.input("x"), g.input("y")
    u = g.node("log", g.read(x))
    p, q = g.node("lt", g.zero, g.read(x)), g.node("lt", g.one, g.read(x))
    loss = g.define("map", (), (), g.add(g.mask(p, g.node("sin", u)), g.mask(q, g.mul(u, g.read(y)))))
    (slope,) = gradients(g, loss, [x])
    for at, wanted in ((0.0, 0.0), (1.0, 1.0)):
        assert evaluate(g, [slope], {x: at, y: 5.0}, {})[0] == wanted
