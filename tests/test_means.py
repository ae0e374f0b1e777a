"""Sums of numbers less their mean: nothing is left of them, and of no others."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from programs import program_named

import symgrad as sg
from symgrad.ir.graph import Graph, Node
from symgrad.ir.reduce import reduce


class _Matrix:
    """A[n, m] and B[n, m] at axes i, j."""

    def __init__(self, rows: int = 0) -> None:
        g = self.g = Graph()
        self.n, self.m = g.const(rows) if rows else g.size("n"), g.size("m")
        self.a, self.b = (g.input(name, (self.n, self.m)) for name in "AB")
        self.i, self.j = g.fresh_axis(self.n), g.fresh_axis(self.m)

    def less_mean(self, axes: tuple[Node, ...], of: int, by: Node) -> Node:
        """A less the sum of `of` over the axes, divided by `by`."""
        g = self.g
        fresh = {a: g.fresh_axis(g.extent(a)) for a in axes}
        total = reduce(
            g, "sum", tuple(fresh.values()), g.read(of, fresh.get(self.i, self.i), fresh.get(self.j, self.j))
        )
        return g.sub(g.read(self.a, self.i, self.j), g.div(total, by))


def _sum_with_factor(c: _Matrix, axes: tuple[Node, ...], body: Node) -> Node:
    """As derivatives have them: a factor keeps the terms together."""
    return reduce(c.g, "sum", axes, c.g.mul(c.g.read(c.g.input("w", ())), body))


def test_numbers_less_their_mean_sum_to_zero_along_columns_rows_and_both() -> None:
    c = _Matrix()
    g = c.g
    n, m = g.cast(c.n), g.cast(c.m)
    for axes, count in (((c.i,), n), ((c.j,), m), ((c.i, c.j), g.mul(n, m))):
        body = c.less_mean(axes, c.a, count)
        assert _sum_with_factor(c, axes, body) == g.zero
        assert _sum_with_factor(c, axes, g.neg(body)) == g.zero


def test_how_many_there_are_may_be_a_number() -> None:
    c = _Matrix(rows=5)
    assert _sum_with_factor(c, (c.i,), c.less_mean((c.i,), c.a, c.g.const(5))) == c.g.zero


@pytest.mark.parametrize("other", ["array", "count", "axis"])
def test_other_differences_stay(other: str) -> None:
    c = _Matrix()
    g = c.g
    body = {
        "array": lambda: c.less_mean((c.i,), c.b, g.cast(c.n)),
        "count": lambda: c.less_mean((c.i,), c.a, g.cast(c.m)),
        "axis": lambda: c.less_mean((c.j,), c.a, g.cast(c.m)),
    }[other]()
    assert _sum_with_factor(c, (c.i,), body) != g.zero


def test_a_batch_normalisation_adds_no_deviations_up() -> None:
    p = program_named("batch_norm")
    g = (unit := sg.program(p.expr, args=p.args, wrt=p.wrt).derived(("value", "grad")).unit).graph
    sums = [g.tensors[t] for t in g.definitions_below(unit.roots) if g.tensors[t].kind == "sum"]
    assert sums and not any(g.op[s.body] == "sub" for s in sums)


def test_the_derivative_by_a_mean_is_exactly_zero() -> None:
    n, i, k = sp.Symbol("n", integer=True), sp.Symbol("i", integer=True), sp.Symbol("k", integer=True)
    x, w = sp.IndexedBase("x", shape=(n,)), sp.Symbol("w")
    mean = sp.Sum(x[k], (k, 0, n - 1)) / n
    kernel = sg.compile(sp.Sum(w * (x[i] - mean), (i, 0, n - 1)), (x, w), x, outputs=("value", "grad"))
    value, slope = kernel(np.array([0.1, 0.2, 0.4, 1e16, -3.0]), 3.0)
    assert value == 0 and not slope.any()
