"""Hessians of scalar graphs by edge pushing: against derivatives by mpmath, and what they cost."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.grad.edge_pushing import can_push, edge_pushing
from symgrad.grad.outputs import gradient_parts, packed_hessian
from symgrad.grad.scalar_jacobian import is_lower, sparse_jacobian
from symgrad.ir.count import operations_below
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, Node
from symgrad.ir.op import NoDerivative
from symgrad.ir.ops import OPS

SMOOTH = [
    row.name
    for row in OPS.values()
    if row.result == "real" and not row.kink and row.arity <= 2 and len(row.partials) == row.arity
    and all(row.partials) and row.mpmath is not None and row.name != "mask"
    and not any(isinstance(p, NoDerivative) for p in row.partials)
]  # fmt: skip


def pushed_values(g: Graph, value: Node, inputs: list[int], at: list[Any]) -> dict[tuple[int, int], Any]:
    entries = edge_pushing(g, value, inputs)
    tensor = g.define("enum", (), (), list(entries.values()))
    found = evaluate(g, [tensor], dict(zip(inputs, at, strict=True)), {}, object)[0]
    return dict(zip(entries, found, strict=True))


@pytest.mark.parametrize("name", SMOOTH)
def test_second_partials_of_every_smooth_operation(name):
    """The row at arguments that both depend on both variables, and at equal arguments."""
    row = OPS[name]
    low, high = np.array([row.domain[min(k, len(row.domain) - 1)] for k in range(2)], float).T
    point = [mpmath.mpf(float(t)) for t in low + (high - low) * (0.62, 0.43)]

    def inner(u: Any, v: Any) -> list[Any]:
        return [u + (v - point[1]) ** 2 / 3, v + (u - point[0]) * (v - point[1])][: row.arity]

    g = Graph(stabilise=False)
    inputs = [g.input("u"), g.input("v")]
    u, v = map(g.read, inputs)
    a, b = (g.sub(t, g.const(float(p))) for t, p in zip((u, v), point, strict=True))
    arguments = [g.add(u, g.div(g.mul(b, b), g.const(3))), g.add(v, g.mul(a, b))][: row.arity]
    with mpmath.workdps(40):
        found = pushed_values(g, g.node(name, *arguments), inputs, point)
        for i, j in ((0, 0), (1, 0), (1, 1)):
            orders = tuple((i, j).count(k) for k in (0, 1))
            exact = mpmath.diff(lambda s, t: row.mpmath(*inner(s, t)), point, orders)
            assert abs(found.get((i, j), 0) - exact) <= 1e-12 * (1 + abs(exact))


def written_out(expr: Any, symbols: Any) -> Any:
    return sg.program(expr, args=symbols, wrt=symbols).problem()


def test_equal_arguments_and_shared_nodes():
    u, v = sp.symbols("u v", real=True)
    s = u * v
    expr = s * s + sp.exp(s) * sp.exp(s) + u / (u + v) + sp.sin(s) ** 3 * s
    p = written_out(expr, (u, v))
    at = {u: mpmath.mpf("0.7"), v: mpmath.mpf("1.3")}
    with mpmath.workdps(30):
        found = pushed_values(p.graph, p.graph.tensors[p.value].body, list(p.wrt), list(at.values()))
        exact = sp.hessian(expr, (u, v)).subs(at).evalf(30)
        for (i, j), value in found.items():
            assert abs(value - mpmath.mpf(exact[i, j])) < 1e-25
    assert sorted(found) == [(0, 0), (1, 0), (1, 1)]


def test_variables_that_never_meet_have_no_entry():
    symbols = sp.symbols("v:8", real=True)
    p = written_out(sum(sp.exp(a * b) for a, b in zip(symbols[::2], symbols[1::2], strict=True)), symbols)
    entries = edge_pushing(p.graph, p.graph.tensors[p.value].body, p.wrt)
    assert sorted(entries) == sorted([(k, k) for k in range(8)] + [(k + 1, k) for k in range(0, 8, 2)])


def test_long_recurrences_cost_a_third_of_sweeps_and_the_cheaper_way_is_taken():
    symbols = sp.symbols("v:40", real=True)
    state, cost = sp.Integer(1), sp.Integer(0)
    for v in symbols:
        state = sp.sin(state) + v * state
        cost += state**2 + v**2
    p = written_out(cost, symbols)
    g = p.graph
    swept = sparse_jacobian(g, [body for _, body in gradient_parts(p, "hess")], p.wrt, is_lower)
    chosen = packed_hessian(p)
    assert sorted(chosen) == sorted(swept)
    assert 2.5 * operations_below(g, chosen.values()) < operations_below(g, swept.values())


def test_sweeps_are_taken_where_they_cost_less():
    symbols = sp.symbols("v:12", real=True)
    p = written_out(sp.prod([sp.sin(v) + 2 for v in symbols]), symbols)
    g = p.graph
    pushed = edge_pushing(g, g.tensors[p.value].body, p.wrt)
    assert operations_below(g, packed_hessian(p).values()) < operations_below(g, pushed.values())


def test_branches_and_kinks_are_left_to_sweeps():
    u, v = sp.symbols("u v", real=True)
    for expr in (sp.Piecewise((u**2, u > v), (v, True)), sp.Abs(u) * v, sp.sqrt(u**2 + v**2)):
        p = written_out(expr, (u, v))
        assert not can_push(p.graph, p.graph.tensors[p.value].body, p.wrt)
    hess = sg.compile(sp.sqrt(u**2 + v**2) * u, args=(u, v), wrt=(u, v), outputs="hess", sparse="csc")
    assert np.isfinite(hess(0.0, 0.0).toarray()).all()


def test_deep_graphs_need_no_recursion():
    g = Graph()
    inputs = [g.input("u"), g.input("v")]
    value = g.read(inputs[0])
    for _ in range(1500):
        value = g.node("sin", g.add(value, g.mul(g.read(inputs[1]), g.const(1))))
    assert sorted(edge_pushing(g, value, inputs)) == [(0, 0), (1, 0), (1, 1)]
