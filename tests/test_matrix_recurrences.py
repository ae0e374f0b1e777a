"""Matrix functions inside the steps of recurrences."""

from __future__ import annotations

import numpy as np
import pytest
from routines import TARGETS, call

from symgrad.grad.reverse import gradient
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.matrix.call import Array
from symgrad.ir.matrix.call import call as matrix_function
from symgrad.ir.reduce import reduce
from symgrad.ir.scan import close_scan, new_state
from symgrad.ir.unit import Unit
from symgrad.loops.lower import Interface, lower
from symgrad.opt.passes import PASSES

SIZES = {"T": 4, "n": 3}


def implicit_steps() -> tuple[Graph, list[TensorId], list[TensorId]]:
    """h[t + 1] solves (A + h h') h[t + 1] = h[t]; the loss is the squared length of the last state."""
    g = Graph()
    T, n = g.size("T"), g.size("n")
    A, h0 = g.input("A", (n, n)), g.input("h0", (n,))
    h = new_state(g, T, (n,))
    t, i = g.fresh_axis(T), g.fresh_axis(n)
    matrix = Array((n, n), lambda p, q: g.add(g.read(A, p, q), g.mul(g.read(h, t, p), g.read(h, t, q))))
    right = Array((n, g.one), lambda p, q: g.read(h, t, p))
    solved = matrix_function(g, "solve", (matrix, right), (n, g.one))
    (H,) = close_scan(g, [h], [h0], [g.define("map", (t, i), (), solved.at(i, g.zero))])
    k = g.fresh_axis(n)
    loss = g.define("map", (), (), reduce(g, "sum", [k], g.integer_power(g.read(H, T, k), 2)))
    slopes = [g.define("map", axes, (), body) for axes, body in gradient(g, loss, (A, h0))]
    return g, [A, h0], [loss, *slopes]


def by_hand(a: np.ndarray, h: np.ndarray) -> complex:
    for _ in range(SIZES["T"]):
        h = np.linalg.solve(a + np.outer(h, h), h)
    return (h * h).sum()


@pytest.mark.parametrize("target", [*TARGETS, "numpy", "lapack"])
def test_a_system_solved_in_every_step_has_a_value_and_a_gradient(target: str) -> None:
    rng = np.random.default_rng(0)
    a, h = rng.normal(size=(3, 3)) + 3 * np.eye(3), rng.normal(size=3)
    g, inputs, outputs = implicit_steps()
    if target == "numpy":
        found = evaluate(g, outputs, dict(zip(inputs, (a, h), strict=True)), SIZES)
    else:
        named = (("A", inputs[0]), ("h0", inputs[1]))
        unit = Unit(g, named, tuple((f"out{k}", t) for k, t in enumerate(outputs)))
        for _, run in PASSES:
            unit = unit.moved(*run(unit.graph, unit.roots))
        routine = lower(unit.graph, Interface("f", unit.inputs, unit.outputs), library=target == "lapack")
        made = call("llvm" if target == "lapack" else target, routine, SIZES, {"A": a, "h0": h})
        assert made.pop("status") == 0
        found = [made[f"out{k}"] for k in range(3)]
    assert float(found[0]) == pytest.approx(by_hand(a, h).real, rel=1e-13)
    step = 1e-30
    for where, slopes in ((0, found[1]), (1, found[2])):
        for place in np.ndindex(*slopes.shape):
            moved = [np.array(x, dtype=complex) for x in (a, h)]
            moved[where][place] += 1j * step
            assert slopes[place] == pytest.approx(by_hand(*moved).imag / step, rel=1e-11, abs=1e-14)
