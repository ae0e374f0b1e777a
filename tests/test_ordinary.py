"""Turns of a recurrence without their guards, and with them where a number is extreme: the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from routines import DTYPES, ONE, TARGETS, N, call

import symgrad as sg
from symgrad.ir.graph import EPSILON, SMALLEST
from symgrad.ir.unit import Unit
from symgrad.loops import nest, ordinary
from symgrad.loops.intervals import Intervals
from symgrad.loops.nest import (
    Buffer,
    Compute,
    Const,
    For,
    If,
    Load,
    Routine,
    Statement,
    Store,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.ordinary import FEWEST, with_ordinary_turns
from symgrad.loops.walk import walk
from symgrad.pipeline import optimise, routine_of
from symgrad.targets.base import target_named

T, LATER = variable("t"), poly_add(variable("t"), poly(1))
LEAST, MOST = ("q", 1, 2**90), ("q", 2**90, 1)
INFINITE = ("f", "inf")


def of(body: list[Statement]) -> Routine:
    """A loop over t on x (n numbers, two each) and s (n + 1), whose first number is 0."""
    buffers = (Buffer("x", "input", (N, poly(2))), Buffer("s", "output", (poly_add(N, poly(1)),)))
    before: list[Statement] = [Const(90, ("q", 0, 1)), Store("s", (poly(0),), 90)]
    loop = For("t", (poly(0),), (N,), body)
    return Routine("f", ("n",), ("n",), buffers, [*before, loop], contracts=False)


def guarded(at: tuple = (T,), to: tuple = (LATER,), count: int = FEWEST) -> list[Statement]:
    """s[t + 1] = s[t] + x[t, 0]/a + x[t, 1]/a ..., a the length of x[t] with guards; `count` quotients."""
    body: list[Statement] = [
        Load(0, "s", at), Load(1, "x", (T, poly(0))), Load(2, "x", (T, poly(1))), Const(3, LEAST),
        Const(4, INFINITE), Const(5, ONE), Const(6, MOST), Compute(7, "mul", (1, 1)),
        Compute(8, "mul", (2, 2)), Compute(9, "add", (7, 8)), Compute(10, "lt", (9, 3)),
        Compute(11, "eq", (9, 4)),
    ]  # fmt: skip
    value, total = 12, 0
    for k in range(count):
        scale, again, length, side, sum_ = (value + j for j in range(5))
        body += [
            Compute(scale, "where", (11, 3, 5)),
            Compute(again, "where", (10, 6, scale)),
            Compute(length, "sqrt", (9,)),
            Compute(side, "mul", (1 + k % 2, again)),
            Compute(sum_, "add", (total, side)),
            Compute(value + 5, "abs", (length,)),
            Compute(value + 6, "lt", (value + 5, 3)),
            Compute(value + 7, "where", (value + 6, side, sum_)),
        ]
        value, total = value + 8, value + 7
    return [*body, Store("s", to, total)]


def again(routine: Routine) -> list[If]:
    """The turns as they were written, behind their tests."""
    return [s for _, s in walk(routine.body) if isinstance(s, If)]


def choices(body: list[Statement]) -> int:
    return sum(isinstance(s, Compute) and s.op == "where" for s in body)


def test_choices_are_made_and_kept_for_extreme_numbers() -> None:
    routine = with_ordinary_turns(of(guarded()))
    (loop,) = (s for s in routine.body if isinstance(s, For))
    (other,) = again(routine)
    assert choices(loop.body) == 0
    assert choices(other.body) == 3 * FEWEST
    asked = [s for s in loop.body if isinstance(s, Compute) and s.op in ("lt", "le", "eq", "ne")]
    assert len(asked) == 2  # the square of the length, from below and above; its root follows
    assert sum(isinstance(s, Compute) and s.op == "sqrt" for s in loop.body) == 0  # nothing needs it


def everywhere(dtype: str) -> np.ndarray:
    """Pairs of numbers of every size, those beside the bounds of the guards, zeros, infinities and nan."""
    about = np.finfo(dtype)
    with np.errstate(all="ignore"):
        sizes = np.ldexp(np.array(1, dtype), np.arange(about.minexp - about.nmant, about.maxexp, 3))
        bounds = np.ldexp(np.array(1, dtype), [-45, 45, -90, 90])
    beside = [np.nextafter(b, np.array(way, dtype)) for b in bounds for way in (0, np.inf)]
    special = [0.0, np.inf, np.nan, about.max, about.tiny, 1.0, 1.7, *bounds, *beside]
    found = np.concatenate([sizes, special]).astype(dtype)
    found = np.concatenate([found, -found])
    rng = np.random.default_rng(0)
    paired = np.stack(
        [np.tile(found, 3), np.concatenate([found, np.zeros_like(found), rng.permutation(found)])], axis=1
    )
    return paired[rng.permutation(len(paired))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_the_numbers_are_those_as_written(target: str, dtype: str) -> None:
    routine = of(guarded())
    new = with_ordinary_turns(routine)
    assert new is not routine
    x = everywhere(dtype)
    old_loaded, new_loaded = (target_named(target).build(r, dtype) for r in (routine, new))
    for pair in x:
        inputs = {"x": np.stack([[1.5, 0.25], pair, [-0.5, 2.0]])}
        wanted = call(target, routine, {"n": 3}, inputs, dtype, loaded=old_loaded)["s"]
        found = call(target, new, {"n": 3}, inputs, dtype, loaded=new_loaded)["s"]
        np.testing.assert_array_equal(found, wanted, err_msg=str(pair))


def quotients() -> list[Statement]:
    """s[t + 1] = x[t, 0]/r + x[t, 1]/r, where r is the length, or 1 where the guard of the root holds."""
    *body, store = guarded()
    assert isinstance(store, Store)
    root = next(s.dst for s in body if isinstance(s, Compute) and s.op == "sqrt")
    guard = next(s for s in body if isinstance(s, Compute) and s.op == "lt" and s.dst > 11)
    body += [
        Compute(70, "where", (guard.dst, 5, root)), Compute(71, "div", (1, 70)), Compute(72, "div", (2, 70)),
        Compute(73, "add", (71, 72)),
    ]  # fmt: skip
    return [*body, replace(store, src=73)]


def divisions(routine: Routine) -> list[int]:
    """How many there are in the turns, and in those as written, but for those of constants."""
    (loop,) = (s for s in routine.body if isinstance(s, For))
    blocks = [loop.body, again(routine)[0].body]
    constants = {s.dst for _, s in walk(routine.body) if isinstance(s, Const)}
    by = [[s.args[1] for s in b if isinstance(s, Compute) and s.op == "div"] for b in blocks]
    return [sum(v not in constants for v in divisors) for divisors in by]


@pytest.mark.parametrize("dtype", DTYPES)
def test_quotients_by_what_is_in_range_are_products(dtype: str) -> None:
    routine = of(quotients())
    new = with_ordinary_turns(routine)
    assert divisions(new) == [1, 2]
    assert divisions(with_ordinary_turns(routine, divides=True)) == [2, 2]
    old_loaded, new_loaded = (target_named("llvm").build(r, dtype) for r in (routine, new))
    for pair in everywhere(dtype):
        inputs = {"x": np.stack([pair])}
        wanted = call("llvm", routine, {"n": 1}, inputs, dtype, loaded=old_loaded)["s"]
        found = call("llvm", new, {"n": 1}, inputs, dtype, loaded=new_loaded)["s"]
        two = 2 * 1.5 * np.finfo(dtype).eps  # quotients of at most 1
        np.testing.assert_allclose(found, wanted, rtol=0, atol=two, err_msg=str(pair))


def test_turns_that_do_not_wait_stay() -> None:
    body = [s for s in guarded() if s != Load(0, "s", (T,))]
    apart = of([Const(0, ("q", 1, 3)), *body])
    assert with_ordinary_turns(apart) is apart


def test_few_choices_stay() -> None:
    routine = of(guarded(count=1))
    assert with_ordinary_turns(routine) is routine


def test_what_is_read_again_stays() -> None:
    """The store cannot come last."""
    body = guarded()
    routine = of([*body, Load(80, "s", (LATER,)), Store("s", (T,), 80)])
    assert with_ordinary_turns(routine) is routine


def test_comparisons_with_numbers_of_ordinary_size_are_no_guards() -> None:
    def near(s: Statement) -> Statement:
        return Const(s.dst, ("q", 3, 2)) if isinstance(s, Const) and s.payload in (LEAST, INFINITE) else s

    routine = of([near(s) for s in guarded()])
    assert with_ordinary_turns(routine) is routine


def test_comparisons_with_zero_are_guards_only_where_they_follow() -> None:
    zero = [Const(70, ("q", 0, 1)), Compute(71, "ne", (9, 70)), Compute(72, "ne", (1, 70))]
    ends = [Compute(73, "mask", (71, 2)), Compute(74, "mask", (72, 2)), Compute(75, "add", (73, 74))]
    *body, store = guarded()
    assert isinstance(store, Store)
    last = [Compute(76, "add", (store.src, 75)), replace(store, src=76)]
    new = with_ordinary_turns(of([*body, *zero, *ends, *last]))
    (loop,) = (s for s in new.body if isinstance(s, For))
    assert [s.args[1] for s in loop.body if isinstance(s, Compute) and s.op == "mask"] == [2]
    assert sum(isinstance(s, Compute) and s.op == "mask" for s in again(new)[0].body) == 1


def test_the_last_turn_is_another_one() -> None:
    """nan is what is left where a loop has no end."""
    *body, store = guarded()
    assert isinstance(store, Store)
    last = [
        nest.Test(70, "ieq", poly_add(T, poly(-2))),
        Const(71, ("f", "nan")),
        Compute(72, "where", (70, 71, store.src)),
    ]
    routine = of([*body, *last, replace(store, src=72)])
    new = with_ordinary_turns(routine)
    inputs = {"x": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])}
    found, wanted = (call("llvm", r, {"n": 4}, inputs)["s"] for r in (new, routine))
    assert np.isnan(wanted[3:]).all() and not np.isnan(wanted[:3]).any()
    np.testing.assert_array_equal(found, wanted)
    (loop,) = (s for s in new.body if isinstance(s, For))
    assert choices(loop.body) == 0


# ---- what follows from comparisons -------------------------------------------------------------


def knowing(*statements: Statement) -> Intervals:
    of = Intervals()
    for s in statements:
        of.define(s)
    return of


def test_roots_and_sides_are_between_those_of_their_squares() -> None:
    of = knowing(
        Const(0, LEAST), Const(1, INFINITE), Compute(3, "mul", (2, 2)), Compute(5, "mul", (4, 4)),
        Compute(6, "add", (3, 5)), Compute(7, "sqrt", (6,)), Compute(8, "abs", (2,)),
        Const(9, ("q", 1, 2**46)), Const(10, ("q", 1, 2**44)),
    )  # fmt: skip
    assert not of.is_not_zero(7) and not of.follows(Compute(20, "lt", (8, 1)))
    of.learn(Compute(20, "le", (0, 6)))
    assert of.is_not_zero(6) and of.is_not_zero(7) and not of.is_not_zero(2)
    assert of.follows(Compute(21, "lt", (9, 7))) and not of.follows(Compute(21, "lt", (10, 7)))
    assert not of.follows(Compute(20, "lt", (8, 1)))  # it may be infinite
    of.learn(Compute(20, "lt", (6, 1)))
    assert of.follows(Compute(20, "lt", (8, 1))) and of.follows(Compute(20, "lt", (4, 1)))


def test_constants_of_a_type_are_known_for_both() -> None:
    """The smallest number over the rounding unit: 1e-292, or 1e-31."""
    of = knowing(
        Const(0, SMALLEST), Const(1, EPSILON), Compute(2, "div", (0, 1)), Const(3, ("q", 1, 10**32)),
        Const(4, ("q", 1, 10**35)), Const(5, ("f", "nan")), Compute(6, "add", (5, 0)),
    )  # fmt: skip
    assert of.is_extreme(2) and of.is_extreme(3) and not of.is_extreme(1) and not of.is_constant(6)
    of.learn(Compute(20, "le", (3, 7)))
    assert not of.follows(Compute(21, "lt", (2, 7)))  # in double precision only
    of.learn(Compute(20, "le", (2, 7)))
    assert of.follows(Compute(21, "lt", (4, 7)))


# ---- programs ----------------------------------------------------------------------------------

x, y, w = sp.symbols("x y w")


def fall() -> sp.Expr:
    """A body around two others, by Euler's method; the length of its last place."""

    def step(state, t):
        a, b, u, v = state
        force = [sum((c - p) / sp.sqrt((a - p) ** 2 + (b - w) ** 2) ** 3 for p in (1, 3)) for c in (a,)]
        down = sum((b - w) / sp.sqrt((a - p) ** 2 + (b - w) ** 2) ** 3 for p in (1, 3))
        return a + u / 10, b + v / 10, u - force[0] / 10, v - down / 10

    end = sg.scan(step, (x, y, 0, 0), 12).final
    return sp.sqrt(end[0] ** 2 + end[1] ** 2)


def unit_of() -> Unit:
    words = ("value", "grad")
    return optimise(sg.program(fall(), args=(x, y, w), wrt=(x, y, w)).derived(words).unit)


POINTS = [
    (0.3, 0.7, 0.2),
    (1.0, 0.5, 0.5),
    (1e200, 2.0, 0.0),
    (1e-200, 1e-200, 0.0),
    (3.0, 1e-180, 0.0),
    (1e308, 1e308, -1e308),
]


@pytest.mark.parametrize("point", POINTS)
def test_programs_have_the_same_numbers(
    point: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"args": (x, y, w), "wrt": (x, y, w), "outputs": ("value", "grad")}
    new = sg.compile(fall(), **given)
    monkeypatch.setattr(ordinary, "FEWEST", 10**9)
    old = sg.compile(fall(), **given)
    assert new.source != old.source
    for found, wanted in zip(new(*point), old(*point), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_the_step_of_a_program_has_no_choices_left() -> None:
    """But those by the type, which compilers make."""
    routine = routine_of(unit_of(), "k", ("value", "grad"))
    assert again(routine)
    steps = [s for _, s in walk(routine.body) if isinstance(s, For) and s.var.startswith("time")]
    assert len(steps) == 2
    for loop in steps:
        constants = {s.dst for s in loop.body if isinstance(s, Const)}
        for s in loop.body:
            if isinstance(s, Compute) and constants.issuperset(s.args):
                constants.add(s.dst)
        rest = [s for s in loop.body if isinstance(s, Compute) and s.op == "where" and s.dst not in constants]
        assert not rest
