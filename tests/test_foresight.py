"""Lengths without divisions, conditions that hardly ever hold, and recurrences that keep numbers at hand."""

from __future__ import annotations

import re

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.nest import Cell, Compute, For, Routine, SetCell, Store
from symgrad.loops.walk import walk

x, y, t, w = sp.symbols("x y t w", real=True)
BACKENDS = ("numpy", "llvm", "c")
SIDES = (0.0, -0.0, 3.0, -1e-8, 5e-324, 3e-200, 1e-160, 4e200, 1e308, 1.7e308, np.inf, -np.inf, np.nan)


def _routine(expr, args, wrt=None, words=("value",)) -> Routine:
    seen = {}
    sg.compile(expr, args, wrt, outputs=words, watch=lambda stage, thing: seen.setdefault(stage, thing))
    return seen["lower"]


def _count(routine: Routine, op: str) -> int:
    return sum(isinstance(s, Compute) and s.op == op for _, s in walk(routine.body))


def _orbit(inner):
    """Euler's method until a particle has crossed the axis."""

    def step(state, time):
        a, b, u, v = state
        force = [sg.grad(inner(a, b), s) for s in (a, b)]
        return a + u / 10, b + v / 10, u - force[0] / 10, v - force[1] / 10

    return sg.while_loop(lambda s: s[1] > 0, step, (0, 8, sp.Rational(3, 4), -w), 500).final


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_length_is_right_for_sides_of_any_size(backend: str, dtype: str) -> None:
    kernel = sg.compile(sp.sqrt(x**2 + y**2), (x, y), outputs="value", backend=backend, dtype=dtype)
    number = np.dtype(dtype).type
    with np.errstate(over="ignore"):
        sides = [number(s) for s in (*SIDES, 1e-44, 1e-30, 2e19, 3e38)]
        for a in sides:
            for b in sides:
                value, exact = number(kernel(a, b)), number(np.hypot(np.float64(a), np.float64(b)))
                if np.isinf(exact) or np.isnan(exact):
                    np.testing.assert_equal(value, exact)
                else:
                    np.testing.assert_array_almost_equal_nulp(value, exact, 2)


def test_a_length_takes_no_division() -> None:
    routine = _routine(sp.sqrt(x**2 + y**2), (x, y))
    assert (_count(routine, "div"), _count(routine, "sqrt")) == (0, 1)


def test_a_length_and_its_direction_cosines_share_one_root() -> None:
    length = sp.sqrt(x**2 + y**2)
    routine = _routine(sp.Matrix([length, sg.grad(length, x), sg.grad(length, y)]), (x, y))
    roots = {s.args for _, s in walk(routine.body) if isinstance(s, Compute) and s.op == "sqrt"}
    assert len(roots) == 1


def test_a_quotient_whose_parts_both_move_takes_one_division_for_its_tangent() -> None:
    words = ("value", "jvp")
    assert _count(_routine(sp.sin(x) / y, (x, y), (x, y), words), "div") == 2
    assert _count(_routine(w / y, (w, y), y, words), "div") == 2


def test_both_direction_cosines_turn_with_one_speed() -> None:
    """The value has the two cosines; their tangents need one further division, of the speed they share."""
    length = sp.sqrt(x**2 + y**2)
    inside = sp.Matrix([sg.grad(length, x), sg.grad(length, y)])
    routine = _routine(inside, (x, y), (x, y), ("value", "jvp"))
    slopes = {s.args for _, s in walk(routine.body) if isinstance(s, Compute) and s.op == "div"}
    assert len(slopes) <= 4, slopes  # at least three; equal ones of two outputs may stand twice


@pytest.mark.parametrize("backend", BACKENDS)
def test_tangents_of_cosines_agree_with_high_precision(backend: str) -> None:
    length = sp.sqrt(x**2 + y**2)
    inside = sp.Matrix([sg.grad(length, x), sg.grad(length, y), sp.sin(x * y) / length])
    kernel = sg.compile(inside, (x, y), (x, y), outputs="jvp", backend=backend)
    for a, b in ((3.0, 4.0), (-1e-3, 2.0), (1e100, -2e100), (2e-130, 1e-130)):
        direction = (0.3 * a, -0.7 * b)
        with mpmath.workdps(60):
            p, q, dp, dq = (mpmath.mpf(v) for v in (a, b, *direction))
            h = mpmath.sqrt(p * p + q * q)
            speed = (q * dp - p * dq) / h**2
            wave = mpmath.cos(p * q) * (q * dp + p * dq) / h - mpmath.sin(p * q) * (p * dp + q * dq) / h**3
            wanted = [float(q / h * speed), float(-p / h * speed), float(wave)]
        got = kernel(a, b, tangent=direction)
        found = np.ravel(got)
        checked = slice(None) if abs(a) < 1e3 else slice(2)  # sin of 1e200 has no digits
        np.testing.assert_allclose(found[checked], wanted[checked], rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_tangent_of_a_cosine_at_the_origin_is_zero(backend: str) -> None:
    cosine = sg.grad(sp.sqrt(x**2 + y**2), x)
    kernel = sg.compile(cosine, (x, y), (x, y), outputs="jvp", backend=backend)
    assert kernel(0.0, 0.0, tangent=(1.0, 2.0)) == 0


def test_what_an_infinite_number_selects_is_foreseen_and_what_a_sign_selects_is_not() -> None:
    foreseen = sg.compile(sp.sqrt(x**2 + y**2), (x, y)).source
    selections = [line for line in foreseen.splitlines() if "= select" in line and "double" in line]
    assert selections and sum("!prof" in line for line in selections) >= len(selections) - 3
    assert "branch_weights" in foreseen
    assert "!prof" not in sg.compile(sp.Piecewise((x, x > 0), (y**2, True)), (x, y)).source


def test_the_last_step_that_a_search_may_take_is_foreseen_not_to_come() -> None:
    """Every state of a search is nan after its last step, which none should need."""
    final = _orbit(lambda a, b: a**2 * b + a)
    source = sg.compile(final[0] ** 2, (w,)).source
    compared = re.search(r"(%\w+) = icmp eq i64", source)
    assert compared is not None
    chosen = [line for line in source.splitlines() if f"select i1 {compared[1]}," in line]
    assert chosen and all("!prof" in line for line in chosen)


def test_a_recurrence_carries_its_states_alone() -> None:
    """What one step computes for itself is kept for no other, though there is only one loop."""
    final = _orbit(lambda a, b: 1 / sp.sqrt((a - 10) ** 2 + b**2))
    routine = _routine(final[0] ** 2, (w,))
    (loop,) = [s for _, s in walk(routine.body) if isinstance(s, For)]
    carried = {s.dst for s in routine.body if isinstance(s, Cell)}
    assert len(carried) == 4
    assert carried <= {s.cell for _, s in walk(loop.body) if isinstance(s, SetCell)}
    assert not any(isinstance(s, Store) for _, s in walk(loop.body))
    assert len(routine.buffers_of("work")) == 4


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_a_recurrence_of_lengths_gives_the_numbers_of_the_reference(backend: str) -> None:
    final = _orbit(lambda a, b: 1 / sp.sqrt((a - 10) ** 2 + (b - w) ** 2))
    value = (final[0] - final[1]) ** 2
    kernels = [sg.compile(value, (w,), w, outputs=("value", "jvp"), backend=b) for b in ("numpy", backend)]
    for at in (0.1, 0.4):
        (a, da), (b, db) = (k(at, tangent=1.0) for k in kernels)
        np.testing.assert_allclose((b, db), (a, da), rtol=1e-10)


def test_numbers_of_forecasts_are_not_those_of_loops() -> None:
    """Metadata of loops and of forecasts stand in one list."""
    n = sp.Symbol("n", integer=True, positive=True)
    a, b = (sp.IndexedBase(name, shape=(n,)) for name in "ab")
    source = sg.compile(sg.Entries((n,), lambda i: sp.sqrt(a[i] ** 2 + b[i] ** 2)), (a, b)).source
    defined = re.findall(r"^(!\d+) =", source, re.MULTILINE)
    assert len(defined) == len(set(defined))
    assert set(re.findall(r"!prof (!\d+)", source)) <= set(defined)
