"""Loops without factors that are nearly always 1, and with them where one is not: the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from routines import DTYPES, ONE, TARGETS, ZERO, I, N, call

from symgrad.loops.factors import with_factors_asked_once
from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    If,
    Load,
    Poly,
    Routine,
    Statement,
    Store,
    poly,
)
from symgrad.loops.walk import walk

X, K, LIMIT, HOLDS, D = 20, 8, 3, 9, 1  # values of `routine`
FACTORS: list[Statement] = [
    Load(K + 2, "x", (I,)), Compute(X, "mul", (K + 2, K)), Compute(X + 1, "mask", (HOLDS, X)),
]  # fmt: skip
QUOTIENT: list[Statement] = [Compute(X + 2, "div", (X + 1, D)), Store("q", (I,), X + 2)]
PLAIN: list[Statement] = [Store("q", (I,), X + 1)]


def routine(body: list[Statement], extent: Poly = N) -> Routine:
    """A loop over numbers x[i], beside a factor, 1 unless s < 1, and a condition, true unless s < 0."""
    before: list[Statement] = [
        Load(0, "s", ()), Load(D, "d", ()), Const(2, ONE), Const(LIMIT, ZERO), Const(4, ("q", 2**60, 1)),
        Compute(5, "lt", (0, 2)), Compute(K, "where", (5, 4, 2)), Compute(HOLDS, "le", (LIMIT, 0)),
    ]  # fmt: skip
    buffers = (
        Buffer("x", "input", (extent,)), Buffer("s", "input", ()), Buffer("d", "input", ()),
        Buffer("q", "output", (extent,)),
    )  # fmt: skip
    return Routine("f", ("n",), ("n",), buffers, [*before, For("i", (poly(0),), (extent,), body)])


def loops_in(made: Routine) -> list[For]:
    return [s for _, s in walk(made.body) if isinstance(s, For)]


def ops_in(loop: For) -> list[str]:
    return [s.op for s in loop.body if isinstance(s, Compute)]


def test_the_first_loop_has_neither_factor_nor_condition() -> None:
    made = with_factors_asked_once(routine([*FACTORS, *QUOTIENT]))
    assert [ops_in(loop) for loop in loops_in(made)] == [["mul"], ["mul", "mask", "div"]]
    assert [type(s) for s in made.body[-2:]] == [If, If]


def test_where_errors_are_bounded_a_division_stays_one() -> None:
    made = with_factors_asked_once(routine([*FACTORS, *QUOTIENT]), divides=True)
    assert [ops_in(loop) for loop in loops_in(made)] == [["div"], ["mul", "mask", "div"]]


def test_what_becomes_equal_is_computed_once() -> None:
    again: list[Statement] = [
        Compute(X + 3, "mul", (K + 2, K + 2)), Compute(X + 4, "mul", (X, X)),
        Compute(X + 5, "add", (X + 3, X + 4)), Store("q", (I,), X + 5),
    ]  # fmt: skip
    (loop, other) = loops_in(with_factors_asked_once(routine([*FACTORS, *again])))
    assert ops_in(loop) == ["mul", "add"] and ops_in(other) == ["mul", "mask", "mul", "mul", "add"]


def test_few_turns_and_loops_with_little_to_ask_for_stay() -> None:
    for kept in (routine([*FACTORS, *PLAIN], poly(3)), routine([*FACTORS[:2], Store("q", (I,), X)])):
        assert with_factors_asked_once(kept) is kept


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_the_numbers_are_the_same_in_both_loops(target: str, dtype: str) -> None:
    x = np.array([0.0, -0.0, 1.5, -3e30, np.inf, -np.inf, np.nan, 1e-38, 7.0])
    plain = routine([*FACTORS, *PLAIN])
    for s in (2.0, 1.0, 0.5, -1.0, np.nan):
        inputs = {"x": x, "s": np.array(s), "d": np.array(1.0)}
        wanted = call(target, plain, {"n": x.size}, inputs, dtype)["q"]
        found = call(target, with_factors_asked_once(plain), {"n": x.size}, inputs, dtype)["q"]
        assert np.array_equal(found, wanted, equal_nan=True), s
        assert np.array_equal(np.signbit(found[:6]), np.signbit(wanted[:6])), s


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_quotients_are_right_over_the_whole_range(target: str, dtype: str) -> None:
    about = np.finfo(dtype)
    numbers = [about.smallest_subnormal, about.tiny, about.tiny / about.eps, 0.3, 49.0, 3e10, about.max / 3]
    x = np.array([a * b for a in [0.0, *numbers[1:], np.inf] for b in (1.0, -0.7)], dtype)
    made = with_factors_asked_once(routine([*FACTORS, *QUOTIENT]))
    for d in (*numbers, 0.0, np.inf, np.nan, -2.0):
        d = np.array(d, dtype)
        with np.errstate(all="ignore"):
            wanted = x / d
        found = call(target, made, {"n": x.size}, {"x": x, "s": np.array(2.0), "d": d}, dtype)["q"]
        is_number = np.isfinite(wanted)
        assert np.array_equal(found[~is_number], wanted[~is_number], equal_nan=True), d
        steps = np.abs(found[is_number] - wanted[is_number]) / np.spacing(np.abs(wanted[is_number]))
        assert (steps <= 2).all(), d


@pytest.mark.parametrize("target", TARGETS)
def test_sums_are_added_up_in_either_loop(target: str) -> None:
    before = routine([*FACTORS, Accumulate("sum", 50, X + 1)])
    loop = before.body[-1]
    body: list[Statement] = [*before.body[:-1], Cell(50, LIMIT), loop, Store("q", (poly(0),), 50)]
    made = with_factors_asked_once(Routine("f", ("n",), ("n",), before.buffers, body))
    assert len(loops_in(made)) == 2
    for s, wanted in ((2.0, 9.5), (0.5, 9.5 * 2**60), (-1.0, 0.0)):
        inputs = {"x": np.array([1.5, 8.0]), "s": np.array(s), "d": np.array(1.0)}
        assert call(target, made, {"n": 2}, inputs)["q"][0] == wanted
