"""Bands: expressions with equalities of indices as the places where they are not zero."""

from __future__ import annotations

import numpy as np

from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, Node
from symgrad.ir.reduce import conjunction, reduce
from symgrad.ir.sums.bands import Band, bands, is_split, lower_triangle, on_diagonal, scattered, summed

SIZES = {"n": 5, "m": 7}


class Setting:
    """A matrix over n by n, vectors x and w of length n, and indices a of length m."""

    def __init__(self) -> None:
        g = self.g = Graph()
        self.n, self.m = g.size("n"), g.size("m")
        self.x, self.w = g.input("x", (self.n,)), g.input("w", (self.n,))
        self.a = g.input("a", (self.m,), "int")
        self.p, self.q = g.fresh_axis(self.n), g.fresh_axis(self.n)
        rng = np.random.default_rng(0)
        self.arrays = {
            self.x: rng.normal(size=5), self.w: rng.normal(size=5), self.a: rng.integers(0, 5, 7),
        }  # fmt: skip

    def same(self, a: Node, b: Node, value: Node) -> Node:
        return self.g.mask(self.g.ieq(a, b), value)

    def at(self, tensor: int, index: Node) -> Node:
        return self.g.read(tensor, index)

    def array(self, body: Node, *axes: Node) -> np.ndarray:
        return evaluate(self.g, [self.g.define("map", axes, (), body)], self.arrays, SIZES)[0]

    def added_up(self, found: list[Band]) -> np.ndarray:
        total = np.zeros((5, 5))
        for band in found:
            t = scattered(self.g, band, (self.n, self.n))
            total += evaluate(self.g, [t], self.arrays, SIZES)[0]
        return total


def test_products_of_sums_of_deltas_are_diagonals():
    s = Setting()
    g, p, q = s.g, s.p, s.q
    before = g.iadd(q, g.const(1))
    first = g.add(s.same(p, q, s.at(s.x, p)), s.same(p, before, g.const(3)))
    body = g.mul(first, g.add(s.same(p, q, g.const(2)), s.at(s.w, p)))
    found = bands(g, (p,), (q,), body)
    assert {len(band.loops) for band in found} == {1}
    assert {g.isub(*band.target) for band in found} == {g.zero, g.one}
    np.testing.assert_allclose(s.added_up(found), s.array(body, p, q), rtol=1e-15)
    np.testing.assert_allclose(s.array(summed(g, (p, q), found), p, q), s.array(body, p, q), rtol=1e-15)
    np.testing.assert_allclose(
        s.array(on_diagonal(g, (r := g.fresh_axis(s.n),), found), r), np.diag(s.array(body, p, q)), rtol=1e-15
    )


def test_contradictions_leave_nothing():
    s = Setting()
    g, p, q = s.g, s.p, s.q
    body = s.same(p, q, s.same(p, g.iadd(q, g.const(1)), s.at(s.x, p)))
    assert bands(g, (p,), (q,), body) == []
    early = conjunction(g, [g.ieq(p, q), g.ige0(g.iadd(p, g.const(-3))), g.ige0(g.isub(g.const(1), p))])
    assert bands(g, (p,), (q,), g.mask(early, s.at(s.x, p))) == []


def test_scatters_and_sums_that_tie_rows_to_columns_are_opened():
    s = Setting()
    g, p, q = s.g, s.p, s.q
    k = g.fresh_axis(s.m)
    observed = s.at(s.a, k)
    seen = s.same(observed, p, s.same(observed, q, g.mul(s.at(s.x, observed), g.cast(k))))
    found = bands(g, (p,), (q,), reduce(g, "sum", (k,), seen))
    assert [g.extent(a) for band in found for a in band.loops] == [s.m]
    wanted = np.zeros((5, 5))
    for place, index in enumerate(s.arrays[s.a]):
        wanted[index, index] += place * s.arrays[s.x][index]
    np.testing.assert_allclose(s.added_up(found), wanted, rtol=1e-15)


def test_dense_expressions_stay_whole():
    s = Setting()
    g, p, q = s.g, s.p, s.q
    body = g.node("sin", g.mul(s.at(s.x, p), s.at(s.w, q)))
    (band,) = bands(g, (p,), (q,), body)
    assert not is_split([band], (p, q))
    assert band.value == body


def test_the_lower_triangle_of_every_kind_of_band():
    s = Setting()
    g, p, q = s.g, s.p, s.q
    k = g.fresh_axis(s.m)
    gathered = s.same(s.at(s.a, k), p, s.same(g.isub(g.iadd(s.n, g.const(-1)), s.at(s.a, k)), q, g.cast(k)))
    for body in (
        g.mul(s.at(s.x, p), s.at(s.w, q)),
        s.same(p, g.iadd(q, g.const(2)), s.at(s.x, p)),
        s.same(g.iadd(p, g.const(2)), q, s.at(s.x, p)),
        s.same(g.iadd(p, q), g.iadd(s.n, g.const(-1)), s.at(s.x, p)),
        reduce(g, "sum", (k,), gathered),
    ):
        found = bands(g, (p,), (q,), body)
        half = [part for band in found for part in lower_triangle(g, band)]
        np.testing.assert_allclose(s.added_up(half), np.tril(s.array(body, p, q)), rtol=1e-15)


def test_deep_expressions_and_long_chains_of_definitions_need_no_recursion():
    s = Setting()
    g, p, q = s.g, s.p, s.q
    body = s.same(p, q, s.at(s.x, p))
    for k in range(1500):
        body = g.neg(g.add(body, g.mul(s.same(p, q, g.const(k + 2)), s.at(s.w, q))))
        if k % 10 == 0:
            body = g.read(g.define("map", (p, q), (), body), p, q)
    (band,) = bands(g, (p,), (q,), body)
    assert band.target == (p, p)
