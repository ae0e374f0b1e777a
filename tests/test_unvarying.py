"""Divisions that an outer loop would repeat are done once; all others stay where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from programs import program_named

import symgrad as sg
from symgrad.ir.graph import Graph, TensorId
from symgrad.opt.passes import share
from symgrad.opt.unvarying import unvarying

TARGETS = ("llvm", "c")


def sheet() -> tuple[Graph, Any, Any, Any]:
    """A graph, the reader of a matrix, and axes i < n and j < d."""
    g = Graph()
    n, d = g.size("n"), g.size("d")
    x = g.input("X", (n, d))
    i, j = g.fresh_axis(n), g.fresh_axis(d)
    return g, g.read(x, i, j), i, j


def divisions(g: Graph, t: TensorId) -> int:
    return sum(g.op[node] == "div" for node in g.reachable(g.tensors[t].bodies))


def test_what_only_the_innermost_loop_changes_is_stored() -> None:
    g, entry, i, j = sheet()
    s = g.input("s", (g.size("d"),))
    mean = g.div(g.read(s, j), g.cast(g.size("n")))
    t = g.define("sum", (j,), (i,), g.node("exp", g.sub(entry, g.add(mean, g.one))))
    new, moved = share(g, [t])
    made = moved[t]
    assert divisions(new, made) == 0
    (stored,) = (u for u in new.definitions_below([made]) if new.tensors[u].kind == "map")
    assert new.tensors[stored].extents == (new.size("d"),) and divisions(new, stored) == 1


def test_what_the_innermost_loop_does_not_change_is_left_to_compilers() -> None:
    g, entry, i, j = sheet()
    s = g.input("s", (g.size("n"),))
    scale = g.div(g.one, g.read(s, i))
    t = g.define("map", (i, j), (), g.mul(entry, scale))
    assert not any(unvarying(g, t).values()) and share(g, [t])[0] is g


def test_what_every_loop_changes_stays() -> None:
    g, entry, i, j = sheet()
    assert not unvarying(g, g.define("sum", (j,), (i,), g.div(entry, g.cast(g.size("n")))))


def test_what_is_stored_of_one_index_is_stored_of_all() -> None:
    """Else sums of both would be added up in another order: a Hessian would not be exactly symmetric."""
    g = Graph()
    d = g.size("d")
    s, i, j = g.input("s", (d,)), g.fresh_axis(d), g.fresh_axis(d)
    t = g.define("map", (i, j), (), g.sub(*(g.node("sqrt", g.read(s, axis)) for axis in (i, j))))
    new, moved = share(g, [t])
    assert all(new.op[n] != "sqrt" for n in new.reachable(new.tensors[moved[t]].bodies))


def test_divisions_that_no_loop_repeats_are_not_stored_for_two_readers() -> None:
    g, entry, i, j = sheet()
    part = g.div(g.one, g.read(g.input("s", (g.size("n"),)), i))
    readers = [g.define("map", (i, j), (), g.mul(g.node(op, entry), part)) for op in ("sin", "cos")]
    assert share(g, readers)[0] is g


def test_for_a_few_turns_nothing_is_stored() -> None:
    g = Graph()
    d, few = g.size("d"), g.const(3)
    s, i, j = g.input("s", (d,)), g.fresh_axis(few), g.fresh_axis(d)
    root = g.node("sqrt", g.read(s, j))
    assert not unvarying(g, g.define("map", (i, j), (), g.mul(root, g.cast(i))))


def test_sums_and_products_alone_are_done_again() -> None:
    g, entry, i, j = sheet()
    s = g.input("s", (g.size("d"),))
    twice = g.add(g.read(s, j), g.mul(g.read(s, j), g.read(s, j)))
    assert not unvarying(g, g.define("sum", (j,), (i,), g.sub(entry, twice)))


def test_a_division_that_a_condition_keeps_inside_stays_there() -> None:
    """Stored it would be made everywhere, also where it reads what is not there."""
    g, entry, i, j = sheet()
    s = g.input("s", (g.size("d"),))
    last = g.iadd(j, g.const(1))
    guard = g.ige0(g.isub(g.iadd(g.size("d"), g.const(-1)), last))
    inside = g.mask(guard, g.div(g.read(s, last), g.cast(g.size("n"))))
    t = g.define("sum", (j,), (i,), g.node("exp", g.sub(entry, inside)))
    new, moved = share(g, [t])
    above = [u for u in new.definitions_below([moved[t]]) if divisions(new, u)]
    assert all(new.op[new.tensors[u].body] == "mask" for u in above if new.tensors[u].kind == "map")


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("word", ["grad", "hvp"])
def test_batch_normalisation_is_what_the_reference_says(word: str, backend: str) -> None:
    case = program_named("batch_norm")
    kernel, reference = (
        sg.compile(case.expr, case.args, case.wrt, outputs=word, backend=b) for b in (backend, "numpy")
    )
    rng = np.random.default_rng(0)
    for rows, columns in ((1, 1), (5, 3), (9, 20)):
        shapes = ((rows, columns), (columns,), (columns,), (rows, columns))
        arrays = dict(
            zip(("X", "gamma", "beta", "R"), (rng.uniform(0.5, 1.5, s) for s in shapes), strict=True)
        )
        tangent = tuple(rng.normal(size=s) for s in shapes[:3])
        more = {"tangent": tangent} if word == "hvp" else {}
        for one, other in zip(kernel(**arrays, **more), reference(**arrays, **more), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12 * (1 + np.abs(other).max()))
