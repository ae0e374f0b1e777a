"""The reference evaluator: against mpmath, and at the edges the rest of the compiler must copy."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from scalar_derivatives import value_at, variables
from strategies import scalar_programs, tensor_programs

from symgrad.errors import IndexOutOfRange, ShapeMismatch
from symgrad.ir.evaluate import constant_value, evaluate, evaluate_size
from symgrad.ir.graph import Graph

quick = settings(max_examples=40, deadline=None, derandomize=True)


def agrees_with_mpmath(program):
    outputs = list(program.outputs.values())
    arrays = program.arrays()
    with mpmath.workdps(40):
        exact = evaluate(program.graph, outputs, arrays, program.sizes, object)
        for found, wanted in zip(evaluate(program.graph, outputs, arrays, program.sizes), exact, strict=True):
            np.testing.assert_allclose(found, wanted.astype(float), rtol=1e-9, atol=1e-9)


@quick
@given(scalar_programs())
def test_scalar_programs_agree_with_mpmath(program):
    agrees_with_mpmath(program)


@quick
@given(tensor_programs())
def test_tensor_programs_agree_with_mpmath(program):
    agrees_with_mpmath(program)


@quick
@given(tensor_programs())
def test_single_precision_stays_single_and_close(program):
    outputs = list(program.outputs.values())
    double = evaluate(program.graph, outputs, program.arrays(), program.sizes)
    single = evaluate(program.graph, outputs, program.arrays(), program.sizes, np.float32)
    for wide, narrow in zip(double, single, strict=True):
        assert narrow.dtype == np.float32
        np.testing.assert_allclose(narrow, wide, rtol=2e-2, atol=2e-2)


@pytest.fixture
def g() -> Graph:
    return Graph()


def vector(g: Graph, name: str = "x", size: str = "n", dtype: str = "real"):
    return g.input(name, (g.size(size),), dtype)


def test_mpmath_numbers_keep_all_their_digits(g):
    (x,) = variables(g, 1)
    with mpmath.workdps(60):
        third = value_at(g, g.div(g.add(x, g.const(1)), g.const(3)), {x: 0.0}, object)
        assert abs(third * 3 - 1) < mpmath.mpf(10) ** -58


@pytest.mark.parametrize("shift", [1, -1])
def test_a_read_outside_its_tensor_is_an_error(g, shift):
    x, i = vector(g), g.fresh_axis(g.size("n"))
    t = g.define("map", (i,), (), g.read(x, g.iadd(i, g.const(shift))))
    with pytest.raises(IndexOutOfRange, match="a read falls outside its tensor"):
        evaluate(g, [t], {x: np.ones(3)}, {"n": 3})


def test_a_gathered_read_outside_its_tensor_is_an_error(g):
    x, index, i = vector(g), vector(g, "index", "m", "int"), g.fresh_axis(g.size("m"))
    t = g.define("map", (i,), (), g.read(x, g.read(index, i)))
    for wrong in (3, -1):
        with pytest.raises(IndexOutOfRange):
            evaluate(g, [t], {x: np.ones(3), index: [0, wrong]}, {"n": 3, "m": 2})


def shifted(g: Graph, guard: str):
    """x[i - 1] where i >= 1, else 0 (7 for a where), in one of several ways."""
    x, i = vector(g), g.fresh_axis(g.size("n"))
    before = g.isub(i, g.one)
    inside, value = g.ige0(before), g.read(x, before)
    node = {
        "mask": lambda: g.mask(inside, value),
        "where": lambda: g.where(inside, value, g.const(7)),
        "else": lambda: g.where(g.node("not", inside), g.const(7), value),
        "nested": lambda: g.mask(inside, g.add(g.node("exp", value), g.mask(inside, value))),
    }[guard]()
    return x, g.define("map", (i,), (), node)


@pytest.mark.parametrize(
    ("guard", "wanted"),
    [("mask", [0, 1, 2]), ("where", [7, 1, 2]), ("else", [7, 1, 2]),
     ("nested", [0, np.exp(1) + 1, np.exp(2) + 2])],
)  # fmt: skip
def test_a_guard_hides_a_read_outside_its_tensor(g, guard, wanted):
    x, t = shifted(g, guard)
    (found,) = evaluate(g, [t], {x: np.array([1.0, 2.0, 3.0])}, {"n": 3})
    np.testing.assert_allclose(found, wanted)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("op", ["and", "or"])
def test_a_condition_another_one_decides_may_read_outside(g, op, order):
    index, i = vector(g, "index", "n", "int"), g.fresh_axis(g.size("n"))
    before = g.isub(i, g.one)
    known = g.ige0(before) if op == "and" else g.node("not", g.ige0(before))
    reading = g.ieq(g.read(index, before), g.const(5))
    t = g.define("map", (i,), (), g.intern("mask", (g.intern(op, (known, reading)[::order]), g.one)))
    (found,) = evaluate(g, [t], {index: [5, 4, 5]}, {"n": 3})
    np.testing.assert_array_equal(found, [0, 1, 0] if op == "and" else [1, 1, 0])


def test_a_condition_nobody_decides_may_not_read_outside(g):
    index, i = vector(g, "index", "n", "int"), g.fresh_axis(g.size("n"))
    reading = g.ieq(g.read(index, g.isub(i, g.one)), g.const(5))
    t = g.define("map", (i,), (), g.mask(reading, g.one))
    with pytest.raises(IndexOutOfRange):
        evaluate(g, [t], {index: [5, 4, 5]}, {"n": 3})


def test_a_wrong_guard_does_not_hide_a_read(g):
    x, i = vector(g), g.fresh_axis(g.size("n"))
    before = g.isub(i, g.one)
    t = g.define("map", (i,), (), g.where(g.ige0(before), g.one, g.read(x, before)))
    with pytest.raises(IndexOutOfRange):
        evaluate(g, [t], {x: np.ones(3)}, {"n": 3})


@pytest.mark.parametrize("dtype", [np.float64, object])
def test_a_mask_annihilates_nan_and_infinity(g, dtype):
    (x,) = variables(g, 1)
    positive = g.node("lt", g.zero, x)
    for bad in (g.div(x, x), g.node("log", x), g.div(g.one, x), g.const(float("nan")), g.const(float("inf"))):
        assert value_at(g, g.intern("mask", (positive, bad)), {x: 0.0}, dtype) == 0


@pytest.mark.parametrize("dtype", [np.float64, object])
def test_division_by_zero_is_ieee_in_every_mode(g, dtype):
    x, y = variables(g, 2)
    quotient = g.div(x, y)
    assert value_at(g, quotient, {x: 1.0, y: 0.0}, dtype) == np.inf
    assert value_at(g, quotient, {x: -1.0, y: 0.0}, dtype) == -np.inf
    assert np.isnan(float(value_at(g, quotient, {x: 0.0, y: 0.0}, dtype)))
    for op in ("sqrt", "log"):
        assert np.isnan(float(value_at(g, g.node(op, x), {x: -1.0}, dtype)))


EMPTY = [("sum", 0.0), ("prod", 1.0), ("max", -np.inf), ("min", np.inf), ("logsumexp", -np.inf)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, object])
@pytest.mark.parametrize(("kind", "identity"), EMPTY)
def test_an_empty_reduction_is_its_identity(g, kind, identity, dtype):
    m, n = g.size("m"), g.size("n")
    x = g.input("x", (m, n))
    i, j = g.fresh_axis(m), g.fresh_axis(n)
    t = g.define(kind, (i,), (j,), g.read(x, i, j))
    (found,) = evaluate(g, [t], {x: np.zeros((2, 0))}, {"m": 2, "n": 0}, dtype)
    assert found.dtype == dtype
    assert [float(v) for v in found] == [identity, identity]


def test_an_extent_below_zero_is_an_empty_range(g):
    n = g.size("n")
    x = g.input("x", (n,))
    i = g.fresh_axis(g.iadd(n, g.const(-3)))
    sums = g.define("sum", (), (i,), g.read(x, i))
    places = g.define("map", (i,), (), g.read(x, i))
    total, values = evaluate(g, [sums, places], {x: np.ones(2)}, {"n": 2})
    assert total == 0
    assert values.shape == (0,)


@pytest.mark.parametrize("dtype", [np.float64, object])
@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1000.0, 1000.0], 1000 + np.log(2)),
        ([-1000.0, -1001.0], -1000 + np.log1p(np.exp(-1))),
        ([1e3, -1e3], 1e3),
        ([-np.inf, -np.inf], -np.inf),
        ([-np.inf, 2.0], 2.0),
        ([np.inf, 2.0], np.inf),
    ],
)
def test_logsumexp_at_offsets_where_exp_overflows(g, values, wanted, dtype):
    x, i = vector(g), g.fresh_axis(g.size("n"))
    t = g.define("logsumexp", (), (i,), g.read(x, i))
    (found,) = evaluate(g, [t], {x: np.array(values)}, {"n": 2}, dtype)
    assert float(found) == pytest.approx(wanted, rel=1e-15)


def test_nan_goes_through_every_reduction(g):
    x, i = vector(g), g.fresh_axis(g.size("n"))
    for kind, _ in EMPTY:
        t = g.define(kind, (), (i,), g.read(x, i))
        assert np.isnan(evaluate(g, [t], {x: np.array([1.0, np.nan, 2.0])}, {"n": 3})[0])


def test_a_scatter_adds_at_repeated_targets(g):
    x, index = vector(g), vector(g, "index", "n", "int")
    i, j = g.fresh_axis(g.size("n")), g.fresh_axis(g.size("m"))
    y = g.input("y", (g.size("m"),))
    value = g.mul(g.read(x, i), g.read(y, j))
    t = g.define("scatter", (), (i, j), value, (g.read(index, i), j), (g.const(3), g.size("m")))
    arrays = {x: np.array([1.0, 2.0, 4.0]), index: [2, 0, 2], y: np.array([1.0, 10.0])}
    (found,) = evaluate(g, [t], arrays, {"n": 3, "m": 2})
    np.testing.assert_array_equal(found, [[2, 20], [0, 0], [5, 50]])


def test_a_scatter_adds_nothing_where_its_mask_is_false(g):
    x, index, i = vector(g), vector(g, "index", "n", "int"), g.fresh_axis(g.size("n"))
    place = g.read(index, i)
    inside = g.node("and", g.ige0(place), g.ige0(g.isub(g.const(1), place)))
    t = g.define("scatter", (), (i,), g.mask(inside, g.read(x, i)), (place,), (g.const(2),))
    (found,) = evaluate(g, [t], {x: np.array([1.0, 2.0, 4.0]), index: [1, 7, -2]}, {"n": 3})
    np.testing.assert_array_equal(found, [0, 1])


def test_a_scatter_outside_its_result_is_an_error(g):
    x, index, i = vector(g), vector(g, "index", "n", "int"), g.fresh_axis(g.size("n"))
    t = g.define("scatter", (), (i,), g.read(x, i), (g.read(index, i),), (g.const(2),))
    with pytest.raises(IndexOutOfRange, match="a scatter falls outside its result"):
        evaluate(g, [t], {x: np.ones(1), index: [2]}, {"n": 1})


def test_an_enum_stacks_its_entries_in_front(g):
    x, i = vector(g), g.fresh_axis(g.size("n"))
    v = g.read(x, i)
    t = g.define("enum", (i,), (), [v, g.neg(v), g.one])
    (found,) = evaluate(g, [t], {x: np.array([3.0, 4.0])}, {"n": 2})
    np.testing.assert_array_equal(found, [[3, 4], [-3, -4], [1, 1]])
    e = g.fresh_axis(g.const(3))
    total = g.define("sum", (i,), (e,), g.read(t, e, i))
    np.testing.assert_array_equal(evaluate(g, [total], {x: np.array([3.0, 4.0])}, {"n": 2})[0], [1, 1])


def test_an_axis_is_a_value_like_any_other(g):
    i, j = g.fresh_axis(g.size("n")), g.fresh_axis(g.size("n"))
    t = g.define("map", (i, j), (), g.cast(g.iadd(g.imul(i, g.size("n")), j)))
    (found,) = evaluate(g, [t], {}, {"n": 3})
    np.testing.assert_array_equal(found, np.arange(9.0).reshape(3, 3))


def test_an_input_of_the_wrong_shape_is_refused(g):
    x, i = vector(g), g.fresh_axis(g.size("n"))
    t = g.define("sum", (), (i,), g.read(x, i))
    with pytest.raises(ShapeMismatch) as error:
        evaluate(g, [t], {x: np.ones(2)}, {"n": 3})
    assert str(error.value) == (
        "input 'x' has shape (2,), not (3,)\n"
        "  because  its extents at the given sizes are 3\n"
        "  try      give an array of that shape, or other sizes"
    )


def test_sizes_are_sums_of_products(g):
    n, m = g.size("n"), g.size("m")
    extent = g.iadd(g.imul(g.iadd(n, g.one), g.imul(m, m)), g.const(-2))
    assert evaluate_size(g, extent, {"n": 3, "m": 5}) == 4 * 25 - 2


def test_constants_are_the_nearest_doubles():
    assert constant_value(("q", 1, 3)) == 1 / 3
    assert constant_value(("q", 10**400, 1)) == np.inf
    assert constant_value(("s", "pi")) == np.pi
    assert constant_value(("f", "-inf")) == -np.inf


def test_a_deep_graph_is_evaluated_without_recursion(g):
    (x,) = variables(g, 1)
    node = x
    for _ in range(30_000):
        node = g.node("sin", g.add(node, x))
    assert np.isfinite(value_at(g, node, {x: 0.25}))


def test_the_bodies_of_a_gradient_walk_through_what_they_share_once(g, monkeypatch):
    """Each entry of the gradient of a long chain reaches all of the chain."""
    xs = variables(g, 1)
    chain = [xs[0]]
    for _ in range(300):
        chain.append(g.node("sin", chain[-1]))
    t = g.define("enum", (), (), chain)
    walked = []
    reachable = g.reachable
    monkeypatch.setattr(g, "reachable", lambda roots: walked.append(reachable(roots)) or walked[-1])
    evaluate(g, [t], {g.args[xs[0]][0]: np.float64(0.5)}, {})
    assert sum(map(len, walked)) <= 4 * len(chain)
