"""Many divisions by one number in a loop: products with a reciprocal that are right over the whole range."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from routines import DTYPES, TARGETS, I, N, call

import symgrad as sg
from symgrad.ir.unit import Unit
from symgrad.loops.divisions import FEWEST, with_reciprocals, with_shared_reciprocals
from symgrad.loops.nest import Buffer, Compute, Const, For, Load, Routine, Statement, Store, poly
from symgrad.loops.walk import walk
from symgrad.pipeline import optimise, routine_of
from symgrad.targets.base import target_named

WORDS = ("value", "grad")
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
X, R = sp.IndexedBase("X", shape=(n,)), sp.IndexedBase("R", shape=(n,))


def quotients(count: int, last: str = "") -> Routine:
    """q[i, k] = x[i, k]/r[i]; the op `last` of the last one."""
    body: list[Statement] = [Load(0, "r", (I,))]
    for k in range(count):
        body += [Load(2 * k + 1, "x", (I, poly(k))), Compute(2 * k + 2, "div", (2 * k + 1, 0))]
        body.append(Store("q", (I, poly(k)), 2 * k + 2))
    if last:
        body[-1:] = [
            Compute(2 * count + 1, last, (2 * count,)),
            Store("q", (I, poly(count - 1)), 2 * count + 1),
        ]
    buffers = (
        Buffer("x", "input", (N, poly(count))), Buffer("r", "input", (N,)),
        Buffer("q", "output", (N, poly(count))),
    )  # fmt: skip
    return Routine("f", ("n",), ("n",), buffers, [For("i", (poly(0),), (N,), body)])


def over_numbers(routine: Routine) -> int:
    """How many divisions have a number that was loaded above."""
    inside = [s for _, s in walk(routine.body)]
    loaded = {s.dst for s in inside if isinstance(s, Load)}
    return sum(isinstance(s, Compute) and s.op == "div" and s.args[0] in loaded for s in inside)


def test_few_divisions_stay() -> None:
    routine = quotients(FEWEST - 1)
    assert with_shared_reciprocals(routine) is routine


def test_many_become_products() -> None:
    assert over_numbers(with_shared_reciprocals(quotients(FEWEST))) == 0


def test_code_without_loops_stays() -> None:
    routine = quotients(FEWEST)
    (loop,) = routine.body
    straight = Routine("f", ("n", "i"), ("n", "i"), routine.buffers, loop.body)
    assert with_shared_reciprocals(straight) is straight


@pytest.mark.parametrize("jump", ["floor", "sign"])
def test_a_quotient_before_a_jump_stays(jump: str) -> None:
    assert over_numbers(with_shared_reciprocals(quotients(FEWEST + 1, jump))) == 1
    assert over_numbers(with_shared_reciprocals(quotients(FEWEST + 1, "neg"))) == 0


def everywhere(dtype: str) -> np.ndarray:
    """Numbers of every size, of both signs, with their neighbours, zeros, infinities and nan."""
    about = np.finfo(dtype)
    low, high = about.minexp - about.nmant, about.maxexp - 1
    with np.errstate(under="ignore"):
        powers = np.ldexp(np.array(1, dtype), np.arange(low, high + 1, 1 if dtype == "float32" else 7))
        sizes = np.concatenate([powers, powers * np.asarray(1.7, dtype), [about.max, about.tiny]])
    special = np.array([0.0, np.inf, np.nan], dtype)
    found = np.concatenate([sizes, np.nextafter(sizes, np.array(0, dtype)), special])
    return np.concatenate([found, -found]).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_products_are_the_quotients_over_the_whole_range(target: str, dtype: str) -> None:
    numbers = everywhere(dtype)
    routine = with_shared_reciprocals(quotients(FEWEST))
    loaded = target_named(target).build(routine, dtype)
    rng = np.random.default_rng(0)
    r = np.repeat(numbers, 40)
    x = rng.choice(numbers, (r.size, FEWEST))
    with np.errstate(all="ignore"):
        x[:, 0] = (r * rng.uniform(0.25, 1.0, r.size)).astype(dtype)  # most quotients of these are ordinary
        wanted = x / r[:, None]
        exact = x.astype(np.longdouble) / r[:, None].astype(np.longdouble)
    found = call(target, routine, {"n": r.size}, {"x": x, "r": r}, dtype, loaded=loaded)["q"]
    about = np.finfo(dtype)
    border = np.abs(np.abs(exact / about.max) - 1) < 4 * about.eps  # a last place from infinity
    known = np.isfinite(wanted) & ~border
    lost = ~np.isfinite(wanted) & ~border
    assert np.array_equal(found[lost], wanted[lost], equal_nan=True)
    assert np.array_equal(np.signbit(found[known]), np.signbit(wanted[known]))
    assert (np.abs(found[known] - exact[known]) / np.spacing(np.abs(wanted[known]))).max() <= 1.5


def straight() -> list[Statement]:
    """Quotients 2, 3, 5 and 6 of 0 and 1 by 4 and 7; the sign of 6 is asked for."""
    return [
        Compute(2, "div", (0, 4)), Compute(3, "div", (1, 4)), Compute(5, "div", (0, 7)),
        Compute(6, "div", (1, 7)), Compute(8, "sign", (6,)),
    ]  # fmt: skip


def test_quotients_by_numbers_in_range_need_no_scale() -> None:
    numbers = iter(range(20, 30))
    made = with_reciprocals(straight(), {2, 3, 5, 6}.__contains__, lambda: next(numbers))
    inverse = Compute(20, "div", (21, 4))
    assert made == [
        Const(21, ("q", 1, 1)), inverse, Compute(2, "mul", (0, 20)), Compute(3, "mul", (1, 20)),
        *straight()[2:],
    ]  # fmt: skip


def test_a_quotient_of_one_is_the_reciprocal() -> None:
    made = with_reciprocals(straight()[:2], {2, 3}.__contains__, lambda: 20, ones={1})
    assert made == [Const(20, ("q", 1, 1)), Compute(3, "div", (20, 4)), Compute(2, "mul", (0, 3))]


def test_a_number_that_may_be_out_of_range_divides() -> None:
    assert with_reciprocals(straight(), {3, 5, 6}.__contains__, lambda: 20) == straight()


def by_root() -> list[Statement]:
    """Of s and a: r = sqrt(s), a/r, a/r/r, a/r/r/r."""
    return [
        Compute(2, "sqrt", (0,)), Compute(3, "div", (1, 2)), Compute(4, "div", (3, 2)),
        Compute(5, "div", (4, 2)),
    ]  # fmt: skip


def test_the_reciprocal_of_a_root_does_not_wait_for_it() -> None:
    numbers = iter(range(20, 30))
    made = with_reciprocals(by_root(), {3, 4, 5}.__contains__, lambda: next(numbers), squares={2: 0})
    square, one, inverse = 20, 21, 22
    assert made == [
        Const(one, ("q", 1, 1)), Compute(square, "div", (one, 0)), Compute(2, "sqrt", (0,)),
        Compute(inverse, "mul", (2, square)), Compute(3, "mul", (1, inverse)), Compute(4, "mul", (1, square)),
        Compute(5, "mul", (4, inverse)),
    ]  # fmt: skip


def test_a_root_from_before_the_loop_is_divided_by() -> None:
    """Its square may be nowhere to be seen."""
    numbers = iter(range(20, 30))
    made = with_reciprocals(by_root()[1:], {3, 4, 5}.__contains__, lambda: next(numbers), squares={2: 0})
    assert made[:2] == [Const(21, ("q", 1, 1)), Compute(20, "div", (21, 2))]


@pytest.mark.parametrize("target", TARGETS)
def test_quotients_by_a_root_have_few_wrong_places(target: str) -> None:
    numbers = iter(range(20, 30))
    body = with_reciprocals(by_root(), {3, 4, 5}.__contains__, lambda: next(numbers), squares={2: 0})
    stores = [Store(name, (I,), value) for name, value in (("one", 3), ("two", 4), ("three", 5))]
    loop = For("i", (poly(0),), (N,), [Load(0, "s", (I,)), Load(1, "a", (I,)), *body, *stores])
    names = ("one", "two", "three")
    buffers = [Buffer(name, "input", (N,)) for name in "sa"] + [
        Buffer(name, "output", (N,)) for name in names
    ]
    rng = np.random.default_rng(5)
    s, a = (2.0 ** rng.uniform(-200, 200, 20_000) for _ in range(2))
    found = call(
        target, Routine("f", ("n",), ("n",), tuple(buffers), [loop]), {"n": s.size}, {"s": s, "a": a}
    )
    exact, root = a.astype(np.longdouble), np.sqrt(s.astype(np.longdouble))
    for name, most in zip(names, (3.5, 1.5, 5.5), strict=True):  # roundings less a half
        exact = exact / root
        wrong = np.abs(found[name] - exact) / np.spacing(found[name])
        assert wrong.max() <= most


def unit_of(words: tuple[str, ...]) -> Unit:
    above = sp.Sum(
        sp.sin(X[i] / R[i]) + sp.cos(X[i] ** 2 / R[i]) + sp.exp(sp.sin(X[i]) / R[i]), (i, 0, n - 1)
    )
    return optimise(sg.program(above, args=(X, R), wrt=(X, R)).derived(words).unit)


def test_where_errors_are_bounded_divisions_are_what_they_are() -> None:
    unit = unit_of(WORDS)
    assert over_all(routine_of(unit, "k", WORDS)) < over_all(routine_of(unit, "k", WORDS, bounded=True))
    words = (*WORDS, "grad_error")
    unit = unit_of(words)
    assert over_all(routine_of(unit, "k", words)) == over_all(routine_of(unit, "k", words, bounded=True))


def over_all(routine: Routine) -> int:
    """Divisions of anything but 1: what a reciprocal saves."""
    inside = [s for _, s in walk(routine.body, into_parts=True)]
    constants = {s.dst for s in inside if not isinstance(s, For) and type(s).__name__ == "Const"}
    return sum(
        isinstance(s, Compute) and s.op == "div" and not constants.issuperset(s.args[:1]) for s in inside
    )
