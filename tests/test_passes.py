"""Every pass keeps the value of every program, and does what it is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from programs import program_named
from strategies import RandomProgram, scalar_programs, tensor_programs

import symgrad as sg
from symgrad.ir.check import check
from symgrad.ir.count import operations
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import reduce, store
from symgrad.ir.unit import Unit
from symgrad.loops.lower import Interface, lower
from symgrad.loops.nest import Contract, For, poly
from symgrad.loops.walk import walk
from symgrad.opt.forward import forward
from symgrad.opt.logsumexp import split_logsumexp
from symgrad.opt.passes import PASSES, inline, layout, legalise, share

SETTINGS = settings(max_examples=60, deadline=None)


def _unit(p: RandomProgram) -> Unit:
    inputs = tuple((p.graph.tensors[t].name, t) for t in p.inputs)
    return Unit(p.graph, inputs, tuple(p.outputs.items()))


def _values(unit: Unit, arrays: dict[str, np.ndarray], sizes: dict[str, int]) -> list[np.ndarray]:
    inputs = {t: arrays[name] for name, t in unit.inputs}
    return evaluate(unit.graph, [t for _, t in unit.outputs], inputs, sizes)


def _assert_every_pass_keeps_the_values(p: RandomProgram) -> None:
    unit = _unit(p)
    arrays = {p.graph.tensors[t].name: x for t, x in p.arrays().items()}
    expected = _values(unit, arrays, p.sizes)
    for name, run in PASSES:
        graph, moved = run(unit.graph, unit.roots)
        unit = unit.moved(graph, moved)
        check(graph, unit.roots)
        for a, b in zip(expected, _values(unit, arrays, p.sizes), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12, err_msg=name)


@SETTINGS
@given(scalar_programs())
def test_every_pass_keeps_the_value_of_scalar_programs(p: RandomProgram) -> None:
    _assert_every_pass_keeps_the_values(p)


@SETTINGS
@given(tensor_programs())
def test_every_pass_keeps_the_value_of_tensor_programs(p: RandomProgram) -> None:
    _assert_every_pass_keeps_the_values(p)


@pytest.fixture
def matrix() -> tuple[Graph, TensorId, int, int]:
    g = Graph()
    n, m = g.size("n"), g.size("m")
    return g, g.input("X", (n, m)), g.fresh_axis(n), g.fresh_axis(m)


def test_share_stores_a_transcendental_that_two_definitions_need(matrix: tuple) -> None:
    g, x, i, j = matrix
    value = g.node("tanh", g.read(x, i, j))
    rows = g.define("sum", (i,), (j,), value)
    columns = g.define("sum", (j,), (i,), g.mul(value, value))
    new, moved = share(g, [rows, columns])
    bodies = [new.tensors[t].body for t in new.definitions_below(moved.values()) if new.tensors[t].bodies]
    assert sum(new.op[n] == "tanh" for b in bodies for n in new.reachable((b,))) == 1
    sizes = {"n": 3, "m": 4}
    assert operations(new, [moved[rows], moved[columns]], sizes) < operations(g, [rows, columns], sizes)


def test_inline_removes_maps_that_are_read_once_in_loops_of_their_own_size(matrix: tuple) -> None:
    g, x, i, j = matrix
    stored = store(g, (i, j), g.node("exp", g.read(x, i, j)))
    total = g.define("sum", (i,), (j,), stored)
    new, moved = inline(g, [total])
    assert [new.tensors[t].kind for t in new.definitions_below([moved[total]])] == ["input", "sum"]


def test_inline_keeps_maps_that_a_larger_loop_would_compute_again(matrix: tuple) -> None:
    g, x, i, j = matrix
    k = g.fresh_axis(g.extent(i))
    stored = store(g, (i, j), g.node("exp", g.read(x, i, j)))
    product = g.define("sum", (i, k), (j,), g.mul(stored, g.read(x, k, j)))
    new, moved = inline(g, [product])
    assert "map" in [new.tensors[t].kind for t in new.definitions_below([moved[product]])]


def test_outputs_that_only_copy_are_what_they_copy() -> None:
    """Also where others read it; a second output that copies the same is a copy."""
    g = Graph()
    n, m = g.size("n"), g.size("m")
    a, b, i, j, k = g.input("A", (n, m)), g.input("B", (m, m)), *map(g.fresh_axis, (n, m, m))
    product = g.define("sum", (j, i), (k,), g.mul(g.read(a, i, k), g.read(b, j, k)))
    turned = g.define("map", (i, j), (), g.read(product, j, i))
    again = g.define("map", (j, i), (), g.read(product, j, i))
    doubled = g.define("map", (j, i), (), g.mul(g.const(2), g.read(product, j, i)))
    roots, sizes = [turned, again, doubled], {"n": 3, "m": 2}
    new, moved = forward(g, roots)
    after = [moved[t] for t in roots]
    assert [new.tensors[t].kind for t in after] == ["sum", "map", "map"]
    assert len(new.definitions_below(after)) == len(g.definitions_below(roots)) - 1
    rng = np.random.default_rng(4)
    arrays = {a: rng.normal(size=(3, 2)), b: rng.normal(size=(2, 2))}
    copied = {moved[t]: x for t, x in arrays.items()}
    before, values = evaluate(g, roots, arrays, sizes), evaluate(new, after, copied, sizes)
    for x, y in zip(before, values, strict=True):
        np.testing.assert_array_equal(y, x)


def test_layout_makes_contiguous_what_the_reader_walks() -> None:
    g = Graph()
    n = g.size("n")
    x, i, j = g.input("X", (n, n)), g.fresh_axis(n), g.fresh_axis(n)
    value = g.node("exp", g.read(x, i, j))
    k = g.fresh_axis(n)
    rows = g.define("map", (j, i), (), value)  # stored by columns of X
    product = g.define("sum", (k, i), (j,), g.mul(g.read(x, k, j), g.read(rows, i, j)))
    other = g.define("map", (i, j), (), g.read(rows, j, i))  # walks the first axis of what is stored
    new, moved = layout(g, [product, other])
    (reader,) = new.reads((new.tensors[moved[other]].body,))
    assert new.args[reader][1:] == new.tensors[moved[other]].out  # now along the last


def _network_layer(g: Graph) -> tuple[int, list[int]]:
    """exp(X W), what it multiplies from the left, and a second product with it, all stored by columns."""
    n, d, h = (g.size(name) for name in "ndh")
    x, w = g.input("X", (n, d)), g.input("W", (d, h))
    i, j, k = g.fresh_axis(h), g.fresh_axis(n), g.fresh_axis(d)
    product = g.define("sum", (i, j), (k,), g.mul(g.read(x, j, k), g.read(w, k, i)))
    layer = g.define("map", (i, j), (), g.node("exp", g.read(product, i, j)))
    back = g.define("sum", (k, i), (j,), g.mul(g.read(x, j, k), g.read(layer, i, j)))
    return layer, [back]


def test_layout_turns_tensors_together_where_products_would_pack_their_operands() -> None:
    g = Graph()
    _, roots = _network_layer(g)
    new, moved = layout(g, roots)
    below = [new.tensors[t] for t in new.definitions_below([moved[roots[0]]])]
    extents = [t.extents for t in below if t.kind in ("sum", "map") and t.extents[0] == new.size("n")]
    assert extents == [(new.size("n"), new.size("h"))] * 2


def test_layout_sums_up_batches_of_products_batch_by_batch() -> None:
    """The axis that a product sums over stands behind those of its batches, and before its rows."""
    g = Graph()
    n, d, c = (g.size(name) for name in "ndc")
    x, w = g.input("X", (n, d)), g.input("W", (c, d))
    i, j, k, h = g.fresh_axis(c), g.fresh_axis(n), g.fresh_axis(d), g.fresh_axis(d)
    apart = g.define("map", (j, i, k), (), g.node("exp", g.sub(g.read(x, j, k), g.read(w, i, k))))
    product = g.define("sum", (i, k, h), (j,), g.mul(g.read(apart, j, i, k), g.read(apart, j, i, h)))
    new, moved = layout(g, [product])
    (made,) = (
        t for t in map(new.tensors.__getitem__, new.definitions_below([moved[product]])) if t.kind == "map"
    )
    assert made.extents == (new.size("c"), new.size("n"), new.size("d"))


def test_layout_turns_what_is_made_and_what_reads_it_together() -> None:
    """What a Gaussian mixture multiplies is made along d, and added up over n: neither turns alone."""
    units: list[Unit] = []

    def watch(stage: str, thing: Any) -> None:
        if stage == "layout":
            units.append(thing)

    mixture = program_named("mixture_full")
    sg.compile(mixture.expr, mixture.args, mixture.wrt, outputs=("value", "grad"), watch=watch)
    (unit,) = units
    g = unit.graph
    below = map(g.tensors.__getitem__, g.definitions_below(unit.roots))
    long = [t for t in below if t.kind == "map" and g.size("n") in t.extents and t.rank == 3]
    assert len(long) == 3 and all(t.extents[:2] == (g.size("c"), g.size("n")) for t in long)


def test_layout_keeps_a_column_contiguous() -> None:
    """An axis of extent 1 is none: the one before it walks memory with stride one."""
    g = Graph()
    n, m = g.size("n"), g.size("m")
    x, v = g.input("X", (n, m)), g.input("v", (m, g.one))
    i, j = g.fresh_axis(n), g.fresh_axis(m)
    shifted = g.define("map", (i, j), (), g.node("exp", g.add(g.read(x, i, j), g.read(v, j, g.zero))))
    total = g.define("sum", (i,), (j,), g.mul(g.read(shifted, i, j), g.read(v, j, g.zero)))
    new, moved = layout(g, [total])
    (t,) = (t for t in new.definitions_below([moved[total]]) if new.tensors[t].kind == "map")
    assert new.tensors[t].extents == (new.size("n"), new.size("m"))


def test_legalise_leaves_only_ops_with_a_spelling(matrix: tuple) -> None:
    g, x, i, j = matrix
    value = g.read(x, i, j)
    body = g.add(g.node("softplus", value), g.node("mod", value, g.node("sign", value)))
    total = g.read(g.define("logsumexp", (i,), (j,), body), i)
    out = g.define("map", (i,), (), g.node("logistic", total))
    whole, places = split_logsumexp(g, [out])
    new, moved = legalise(whole, [places[out]])
    below = new.definitions_below([moved[places[out]]])
    assert all(new.tensors[t].kind != "logsumexp" for t in below)
    nodes = new.reachable([b for t in below for b in new.tensors[t].bodies])
    assert all(OPS[new.op[n]].expand is None for n in nodes if new.op[n] in OPS)


def test_a_symmetric_product_is_computed_below_its_diagonal_only(matrix: tuple) -> None:
    g, x, i, j = matrix
    k = g.fresh_axis(g.extent(j))
    gram = reduce(g, "sum", [i], g.mul(g.read(x, i, j), g.read(x, i, k)))
    interface = Interface("gram", (("X", x),), (("out", g.args[gram][0]),))
    (call,) = [s for _, s in walk(lower(g, interface).body) if isinstance(s, Contract)]
    assert call.lower == poly(1)
    routine = lower(g, interface, plain=True)
    bounded = [s for _, s in walk(routine.body) if isinstance(s, For) and len(s.upper) == 2]
    assert bounded, "no loop over the result stops at the diagonal"


def test_conditions_on_different_axes_are_counted_without_a_grid_of_all_of_them():
    """A sum over all places of a matrix but one, for every place: the condition has four axes."""
    g = Graph()
    n, d = g.size("n"), g.size("d")
    x = g.input("x", (n, d))
    i, j, k, m = (g.fresh_axis(size) for size in (n, d, n, d))
    elsewhere = g.node("not", g.node("and", g.ieq(i, k), g.ieq(j, m)))
    t = g.define("sum", (i, j), (k, m), g.mask(elsewhere, g.node("exp", g.read(x, k, m))))
    for sizes in ({"n": 3, "d": 4}, {"n": 3000, "d": 2000}):
        places = sizes["n"] * sizes["d"]
        assert operations(g, [t], sizes) == pytest.approx(places * (places - 1) + places - 1, rel=1e-12)
