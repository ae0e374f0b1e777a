"""What later loops read of an array is the product around it, where that saves them an array."""

from __future__ import annotations

import numpy as np
from programs import program_named

import symgrad as sg
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import store
from symgrad.opt.products_around import products_around
from symgrad.pipeline import optimise


class _Waiting:
    """f[i, j] = exp(x[i, j]), and sums and maps of it: s[j] sums the rows of a body, y waits for s."""

    def __init__(self) -> None:
        g = self.g = Graph()
        self.n, self.m = g.size("n"), g.size("m")
        self.x, self.r = g.input("x", (self.n, self.m)), g.input("r", (self.n, self.m))
        i, j = self.axes()
        self.f: TensorId = g.args[store(g, (i, j), g.node("exp", g.read(self.x, i, j)))][0]

    def axes(self) -> tuple[Node, Node]:
        return self.g.fresh_axis(self.n), self.g.fresh_axis(self.m)

    def product(self, i: Node, j: Node) -> Node:
        return self.g.mul(self.g.read(self.r, i, j), self.g.read(self.f, i, j))

    def sum_of(self, body: Node, i: Node, j: Node) -> TensorId:
        return self.g.define("sum", (j,), (i,), body)

    def after(self, s: TensorId, body: Node, i: Node, j: Node) -> TensorId:
        return self.g.define("map", (i, j), (), self.g.mul(self.g.read(s, j), body))


def _arrays_read(g: Graph, t: TensorId) -> int:
    return len({g.args[r][0] for r in g.reads_of(t) if len(g.args[r]) > 2})


def test_a_later_map_reads_the_product_that_the_sum_before_it_adds_up() -> None:
    w = _Waiting()
    i, j = w.axes()
    s = w.sum_of(w.product(i, j), i, j)
    i, j = w.axes()
    y = w.after(s, w.product(i, j), i, j)
    g, moved = products_around(w.g, (s, y))
    assert _arrays_read(w.g, y) == 2 and _arrays_read(g, moved[y]) == 1
    x = {
        "x": np.array([[0.1, 0.7], [1.5, -2.0], [0.3, 0.2]]),
        "r": np.array([[1.0, 2.0], [-3.0, 0.5], [4.0, 1.5]]),
    }
    before, after = (
        evaluate(graph, outputs, {t: x[graph.tensors[t].name] for t in inputs}, {"n": 3, "m": 2})
        for graph, outputs, inputs in (
            (w.g, [s, y], [w.x, w.r]),
            (g, [moved[s], moved[y]], [moved[w.x], moved[w.r]]),
        )
    )
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_is_stored_where_the_later_map_reads_the_array_besides() -> None:
    w = _Waiting()
    i, j = w.axes()
    s = w.sum_of(w.product(i, j), i, j)
    i, j = w.axes()
    y = w.after(s, w.g.add(w.product(i, j), w.g.read(w.r, i, j)), i, j)
    g, _ = products_around(w.g, (s, y))
    assert g is w.g


def test_nothing_is_stored_that_no_loop_before_it_computes() -> None:
    w = _Waiting()
    i, j = w.axes()
    s = w.sum_of(w.g.read(w.f, i, j), i, j)
    i, j = w.axes()
    y = w.after(s, w.product(i, j), i, j)
    g, _ = products_around(w.g, (s, y))
    assert g is w.g


def test_the_gradient_of_a_batch_normalisation_passes_over_two_arrays_in_its_last_loop() -> None:
    p = program_named("batch_norm")
    unit = optimise(sg.program(p.expr, args=p.args, wrt=p.wrt).derived(("value", "grad")).unit)
    (t,) = (t for name, t in unit.outputs if name == "grad_X")
    assert _arrays_read(unit.graph, t) == 2
