"""Roots of sums of squares over the whole range of numbers, with gradients and Hessians, on every target.

The reference is mpmath: x/|x| and (1 - x x'/|x|^2)/|x| with fifty digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact as derivatives

import symgrad as sg
from symgrad.ir.composites.norm import NAMES
from symgrad.ir.text import print_program
from symgrad.ir.text_parse import parse_program
from symgrad.loops.nest import Accumulate, For, If, Store, poly, variable
from symgrad.loops.unswitch import sums_unswitched, unswitched
from symgrad.loops.walk import walk

TARGETS = ("numpy", "llvm", "c")
n = sp.Symbol("n", integer=True, positive=True)
i, k = sp.symbols("i k", integer=True)
v = sp.IndexedBase("v", shape=(n,))
w = sp.MatrixSymbol("w", n, 1)
x, y, z = sp.symbols("x y z", real=True)
SQUARES = sp.Sum(v[i] ** 2, (i, 0, n - 1))

# formula, argument -> weight and added number of the sum of squares
ARRAYS: dict[str, tuple[Any, Any, Callable[[int], Any], int]] = {
    "a sum over an index": (sp.sqrt(SQUARES), v, lambda size: 1, 0),
    "a matrix product": (sp.sqrt(sp.Trace(w.T * w)), w, lambda size: 1, 0),
    "a root mean square": (sp.sqrt(SQUARES / n), v, lambda size: mpmath.mpf(1) / size, 0),
    "with a factor": (sp.sqrt(2 * sp.Sum((3 * v[i]) ** 2, (i, 0, n - 1))), v, lambda size: 18, 0),
    "elements written out": (sp.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2), v, lambda size: 1, 0),
    "a sum and a number": (sp.sqrt(SQUARES + 1), v, lambda size: 1, 1),
    "and a number": (sp.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2 + 1), v, lambda size: 1, 1),
}
VECTORS = {
    "float64": ((3e200, -4e200, 1e200), (3e-200, 4e-200, -1e-200), (1.0, 2.0, -3.0), (1e154, 1e154, 1e154),
                (1e260, 1.0, 2e260), (1e-260, 2e-260, 0.0), (1e300, 1.0, 2e300), (1e-300, 2e-300, 0.0),
                (1e307, 1e307, 1e307)),
    "float32": ((3e30, -4e30, 1e30), (3e-30, 4e-30, -1e-30), (1.0, 2.0, -3.0), (1e19, 1e19, 1e19)),
}  # fmt: skip
# There the factors of second derivatives leave the range.
EXTREME = (*VECTORS["float64"][-3:], *VECTORS["float32"][:2], VECTORS["float32"][-1])
RELATIVE = {"float64": 2e-15, "float32": 1e-6}


def exact(point: Sequence[float], weight: Any, number: int) -> list[mpmath.mpf]:
    """Value, gradient and Hessian of sqrt(weight*|x|^2 + number), one after the other."""
    with mpmath.workdps(50):
        a = [mpmath.mpf(float(c)) for c in point]
        h = mpmath.sqrt(weight * mpmath.fsum(c * c for c in a) + number)
        slope = [weight * c / h for c in a]
        bend = [(weight * (p == q) - slope[p] * slope[q]) / h for p in range(3) for q in range(3)]
        return [h, *slope, *bend]


def wrong_entries(found: np.ndarray, wanted: Sequence[mpmath.mpf], dtype: str) -> list[Any]:
    """Those that are off by more than rounding; an entry counts as 0 if it is below what the type holds."""
    tiny = float(np.finfo(dtype).tiny)
    pairs = [(k, f, w) for k, (f, w) in enumerate(zip(found, wanted, strict=True))]
    return [
        (k, f, mpmath.nstr(w, 17)) for k, f, w in pairs
        if not abs(mpmath.mpf(float(f)) - w) <= RELATIVE[dtype] * abs(w) + tiny
    ]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", RELATIVE)
@pytest.mark.parametrize("name", ARRAYS)
def test_a_norm_has_its_digits_where_its_squares_overflow_or_underflow(
    name: str, dtype: str, target: str
) -> None:
    expr, wrt, weight, number = ARRAYS[name]
    words = ("value", "grad", "hess")
    compiled = sg.compile(expr, args=(wrt,), wrt=wrt, outputs=words, backend=target, dtype=dtype)
    for point in VECTORS[dtype]:
        a = np.array(point, dtype=dtype)
        given = a[:, None] if wrt is w else a
        found = np.concatenate([np.ravel(part) for part in compiled(given)])
        entries = 4 if point in EXTREME else 13
        assert wrong_entries(found[:entries], exact(a, weight(3), number)[:entries], dtype) == [], point


@pytest.mark.parametrize("target", TARGETS)
def test_norms_of_rows_and_directions_are_in_range_too(target: str) -> None:
    m = sp.Symbol("m", integer=True, positive=True)
    X = sp.IndexedBase("X", shape=(n, m))
    rows = sp.sqrt(sp.Sum(X[i, k] ** 2, (k, 0, m - 1)))
    matrix = np.array([[3e200, 4e200], [3.0, 4.0], [3e-200, 4e-200], [0.0, 0.0]])
    lengths = sg.compile(rows, args=(X,), axes=[i], outputs="value", backend=target)(matrix)
    np.testing.assert_allclose(lengths, [5e200, 5, 5e-200, 0], rtol=1e-15)
    gradient = sg.compile(sp.Sum(rows, (i, 0, n - 1)), wrt=X, outputs="grad", backend=target)(matrix)
    np.testing.assert_allclose(gradient, [[0.6, 0.8]] * 3 + [[0, 0]], rtol=1e-15)
    direction = sg.compile(v[0] / sp.sqrt(SQUARES), wrt=v, outputs=("value", "grad"), backend=target)
    for size in (1e200, 1.0, 1e-200):
        value, slope = direction(np.array([3 * size, 4 * size]))
        np.testing.assert_allclose([value, *(slope * size)], [0.6, 0.128, -0.096], rtol=1e-14)


@pytest.mark.parametrize("target", TARGETS)
def test_infinite_and_undefined_numbers_pass_through_a_norm(target: str) -> None:
    compiled = sg.compile(sp.sqrt(SQUARES), wrt=v, outputs="value", backend=target)
    assert compiled(np.array([1.0, np.inf, 2.0])) == np.inf
    assert np.isnan(compiled(np.array([1.0, np.nan, 2.0])))
    assert compiled(np.array([1e308, 1e308, 1e308, 1e308])) == np.inf  # 2e308


@pytest.mark.parametrize("expr", [sp.sqrt(SQUARES), sp.sqrt(x**2 + y**2 + z**2)])
def test_within_the_range_of_the_squares_a_norm_is_the_plain_root_to_the_bit(expr: Any) -> None:
    wrt = v if expr.has(v) else (x, y, z)
    points = np.random.default_rng(3).normal(size=(20, 3)) * 10.0 ** np.arange(-10, 10)[:, None]
    stable, plain = (sg.compile(expr, wrt=wrt, stabilise=on) for on in (True, False))
    for p in points:
        given = (p,) if wrt is v else p
        assert stable(*given) == plain(*given)


def test_roots_less_one_and_differences_of_roots_keep_their_rules() -> None:
    s = x**2 + y**2 + z**2
    at = (1e-9, 2e-9, 2e-9)
    assert sg.compile(sp.log(1 + s), args=(x, y, z), outputs="value")(*at) == pytest.approx(
        9e-18, rel=1e-15, abs=0
    )
    assert sg.compile(sp.sqrt(1 + s) - 1, args=(x, y, z), outputs="value")(*at) == pytest.approx(
        4.5e-18, rel=1e-15, abs=0
    )
    apart = sg.compile(sp.sqrt(s + 1) - sp.sqrt(s), args=(x, y, z), outputs="value")
    assert apart(1e9, 2e9, 2e9) == pytest.approx(1 / 6e9, rel=1e-15, abs=0)


def test_a_norm_prints_as_its_plain_formula_and_is_one_kink() -> None:
    p = sg.program(sp.sqrt(sp.Trace(w.T * w)), wrt=w)
    assert p.grad == w / sp.sqrt(sp.Trace(w.T * w))
    q = sg.program(sp.sqrt(x**2 + y**2 + z**2), wrt=(x, y, z))
    (kink,) = q.kinks
    assert str(kink).startswith("norm") and kink.arguments == (x**2 + y**2 + z**2,)
    assert sg.verify(q, at={x: 0.0, y: 0.0, z: 0.0}).ok
    assert sg.verify(q, at={x: 0.5, y: -1.0, z: 2.0}).ok


def test_a_program_with_a_norm_is_text_and_back() -> None:
    tr = sg.program(sp.sqrt(SQUARES), wrt=v).translation
    text = print_program(tr.graph, {"value": tr.value})
    assert "norm(" in text and "out_of_range(" in text
    graph, roots = parse_program(text)
    assert print_program(graph, roots) == text
    assert {"norm", "scaled", "out_of_range", "scaled_norm", "norm_cosine"} == NAMES


# ---- sums that only some values need -----------------------------------------------------------


def test_the_second_sum_is_a_loop_under_its_condition() -> None:
    routine = sg.compile(sp.sqrt(SQUARES), wrt=v)._spec.routine
    conditional = [s for _, s in walk(routine.body, into_parts=True) if isinstance(s, If)]
    assert any(isinstance(s, For) for choice in conditional for s in choice.body)
    loops = [s for _, s in walk(routine.body, into_parts=True) if isinstance(s, For)]
    assert loops and not any(isinstance(s, If) for loop in loops for s in loop.body)


@dataclass
class Loops:
    """What of a routine is looked at."""

    body: list[Any]


def test_conditions_leave_all_loops_that_do_nothing_else() -> None:
    inner = For("j", (poly(0),), (variable("i"),), [If(1, [])])
    routine = Loops([For("i", (poly(0),), (variable("n"),), [inner])])
    (choice,) = unswitched(routine).body
    assert isinstance(choice, If) and choice.condition == 1
    assert [s.var for _, s in walk(choice.body, into_parts=True) if isinstance(s, For)] == ["i", "j"]


def test_conditions_of_sums_leave_their_loops_before_others_are_fused_with_them() -> None:
    (one, two), end = ([Accumulate("sum", 2, 3)], [Store("a", (variable("i"),), 3)]), (variable("n"),)
    routine = Loops([For("i", (poly(0),), end, [If(1, body)]) for body in (one, two)])
    first, second = sums_unswitched(routine).body
    assert isinstance(first, If) and isinstance(second, For)


FAR = ((3e199, -1e200, 1e180), (-0.3, 1e200, 1e80), (1e300, 2e300, -3e300), (1e120, 2e119, 3e118),
       (3e-40, 1e-40, -2e-40), (1e-30, 2e-60, 0.0), (1.0, 2.0, -3.0), (1e9, 1.0, 2.0))  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("power", [sp.Rational(3, 2), sp.Rational(5, 2)])
def test_a_side_over_the_cube_of_a_length_goes_on_where_the_cube_overflows(power: Any, target: str) -> None:
    expr, args = x / (x**2 + y**2 + z**2) ** power, (x, y, z)
    kernel = sg.compile(expr, args=args, wrt=args, outputs=("value", "grad", "hess"), backend=target)
    for point in FAR:
        with np.errstate(all="ignore"):
            found = np.concatenate([np.ravel(part) for part in kernel(*point)])
        with mpmath.workdps(1000):
            wanted = derivatives(expr, args, point)
        for a, b in zip(found, wanted, strict=True):
            if abs(b) > 1.7e308:
                assert a == float(mpmath.sign(b)) * np.inf, (point, a, b)
            else:
                assert abs(a - b) <= 1e-13 * abs(b) + 1e-306, (point, a, b)
