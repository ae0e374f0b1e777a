"""Recurrences that follow another one run in its loop, and compute what they did by themselves."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, exp, sin
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.scan import is_scan, outer_definitions, scan_of
from symgrad.ir.unit import Unit
from symgrad.loops.nest import For, Routine
from symgrad.loops.walk import walk

T, n = sp.symbols("T n", integer=True, positive=True)
a, y0 = sp.symbols("a y0")


def compiled(expr: Any, args: Any, wrt: Any, words: Any, **options: Any) -> tuple[sg.Kernel, Unit, Routine]:
    """A kernel, with its definitions after the pass and its loops."""
    seen: dict[str, Any] = {}
    kernel = sg.compile(
        expr,
        args=args,
        wrt=wrt,
        outputs=words,
        watch=lambda stage, thing: seen.update({stage: thing}),
        **options,
    )
    return kernel, seen["together"], seen["lower"]


def recurrences(unit: Unit) -> int:
    g = unit.graph
    return len({scan_of(g, t) for t in outer_definitions(g, unit.roots) if is_scan(g, t)})


def chain() -> sp.Expr:
    """x[t+1] = sin(a*x[t]) + x[t]/2."""
    return sg.scan(lambda x, t: sp.sin(a * x) + x / 2, y0, T).final


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_a_tangent_runs_along_and_no_states_are_kept(backend: str) -> None:
    kernel, unit, routine = compiled(chain(), (a, y0, T), (a, y0), ("value", "jvp"), backend="llvm")
    assert recurrences(unit) == 1
    assert sum(isinstance(s, For) for _, s in walk(routine.body, into_parts=True)) == 1
    assert kernel.workspace(T=10) == kernel.workspace(T=10_000)
    if backend != "llvm":
        kernel = sg.compile(chain(), args=(a, y0, T), wrt=(a, y0), outputs=("value", "jvp"), backend=backend)
    value, slope = kernel(0.7, 1.3, 25, tangent=(0.3, -0.4))
    x, v = 1.3, -0.4
    for _ in range(25):
        x, v = sin(0.7 * x) + x / 2, cos(0.7 * x) * (0.3 * x + 0.7 * v) + v / 2
    np.testing.assert_allclose([value, slope], [x, v], rtol=1e-13)


def test_derivatives_inside_of_an_expression_run_along() -> None:
    both = sp.Matrix([chain(), sg.grad(chain(), y0)])
    kernel, unit, _ = compiled(both, (a, y0, T), y0, "value")
    assert recurrences(unit) == 1
    x, v = 0.4, 1.0
    for _ in range(9):
        x, v = sin(1.1 * x) + x / 2, (1.1 * cos(1.1 * x) + 0.5) * v
    np.testing.assert_allclose(np.ravel(kernel(1.1, 0.4, 9)), [x, v], rtol=1e-13)


def test_second_derivatives_take_two_recurrences_one_each_way() -> None:
    """Value and tangent forwards; cotangent and its tangent backwards."""
    kernel, unit, _ = compiled(chain(), (a, y0, T), y0, "hvp")
    assert recurrences(unit) == 2
    by = 1e-5
    slope = sg.compile(chain(), args=(a, y0, T), wrt=y0, outputs="grad")
    central = (slope(0.9, 0.3 + by, 12) - slope(0.9, 0.3 - by, 12)) / (2 * by)
    np.testing.assert_allclose(kernel(0.9, 0.3, 12, tangent=1.0), central, rtol=1e-6)


def test_a_loop_that_ends_early_ends_for_the_tangent_too() -> None:
    final = sg.while_loop(lambda x: x > 1, lambda x, t: x * sp.exp(-a / 10), y0, T).final
    kernel, unit, _ = compiled(final, (a, y0, T), (a, y0), ("value", "jvp"))
    assert recurrences(unit) == 1
    x, v = 3.0, 1.0
    while x > 1:
        x, v = x * exp(-0.05), exp(-0.05) * (v - x * 0.2)
    np.testing.assert_allclose(kernel(0.5, 3.0, 400, tangent=(2.0, 1.0)), [x, v], rtol=1e-13)


@pytest.mark.parametrize(
    ("place", "number"),
    [(lambda t, T: t, 1), (lambda t, T: T - t, 2), (lambda t, T: t + 1, 2), (lambda t, T: T, 2)],
)
def test_only_what_reads_the_states_at_its_own_time_runs_along(
    place: Callable[[Any, Any], Any], number: int
) -> None:
    states = sg.scan(lambda x, t: sp.cos(x), y0, T).trajectory
    final = sg.scan(lambda z, t: z / 2 + states[place(t, T)], a, T).final
    kernel, unit, _ = compiled(final, (a, y0, T), (), "value")
    assert recurrences(unit) == number
    numbers = [0.2]
    for _ in range(7):
        numbers.append(cos(numbers[-1]))
    z = 0.6
    for k in range(7):
        z = z / 2 + numbers[place(k, 7)]
    np.testing.assert_allclose(kernel(0.6, 0.2, 7), z, rtol=1e-14)


def test_sums_between_stay_matrix_products() -> None:
    A, B, q = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, n), sp.MatrixSymbol("q", n, 1)
    inner = sg.scan(lambda x, t: (A * x).applyfunc(sp.tanh), q, T).trajectory
    final = sg.scan(lambda z, t: (A * z + B * inner[t]).applyfunc(sp.tanh), q, T).final
    kernel, unit, _ = compiled(final, (A, B, q, T), (), "value")
    assert recurrences(unit) == 2
    rng = np.random.default_rng(3)
    first, second, start = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 1))
    x = z = start
    for _ in range(5):
        x, z = np.tanh(first @ x), np.tanh(first @ z + second @ x)
    np.testing.assert_allclose(kernel(first, second, start, 5), z, rtol=1e-12)
