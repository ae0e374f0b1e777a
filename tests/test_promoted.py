"""Elements that every turn reads and writes stay in registers: where they do, where not, and the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from routines import TARGETS, N, call

from symgrad.loops.nest import (
    Buffer,
    Compute,
    For,
    If,
    Leave,
    Load,
    Poly,
    Routine,
    Statement,
    Store,
    StoreReduce,
    poly,
    variable,
)
from symgrad.loops.promoted import with_promoted
from symgrad.loops.walk import walk

T, ZERO, ONE, TWO = variable("t"), poly(0), poly(1), poly(2)


def of(body: list[Statement], extent: Poly = TWO) -> Routine:
    """A loop over t on x (n numbers) and the state s, which starts as `first` and ends in `last`."""
    buffers = (
        Buffer("x", "input", (N,)), Buffer("first", "input", (TWO,)),
        Buffer("last", "output", (TWO,)), Buffer("s", "work", (extent,)),
    )  # fmt: skip
    before = [s for k in (0, 1) for s in (Load(90 + k, "first", (poly(k),)), Store("s", (poly(k),), 90 + k))]
    after = [s for k in (0, 1) for s in (Load(80 + k, "s", (poly(k),)), Store("last", (poly(k),), 80 + k))]
    return Routine("f", ("n", "m"), ("n", "m"), buffers, [*before, For("t", (ZERO,), (N,), body), *after])


def step() -> list[Statement]:
    """s[0], s[1] = s[1], s[0]*x[t] + s[1], where s[1] is read after s[0] was changed, too."""
    return [
        Load(1, "s", (ZERO,)), Load(2, "s", (ONE,)), Load(3, "x", (T,)), Compute(4, "mul", (1, 3)),
        Store("s", (ZERO,), 2), Load(5, "s", (ONE,)), Compute(6, "add", (4, 5)), Store("s", (ONE,), 6),
    ]  # fmt: skip


def leaving() -> list[Statement]:
    """The same; the loop ends where x[t] is above 1, and only s[1] is changed where x[t] is negative."""
    one, zero = Compute(20, "div", (10, 10)), Compute(21, "sub", (10, 10))
    below = [Load(25, "s", (ONE,)), Compute(26, "neg", (25,)), Store("s", (ONE,), 26)]
    ask = [
        Load(10, "x", (T,)), one, zero, Compute(22, "lt", (20, 10)), If(22, [Leave()]),
        Compute(23, "lt", (10, 21)), Compute(24, "not", (23,)),
    ]  # fmt: skip
    return [*ask, If(23, below), If(24, step())]


def inner() -> list[Statement]:
    """The same steps, each twice, in a loop of its own."""
    return [For("r", (ZERO,), (TWO,), step())]


def expected(x: np.ndarray, first: np.ndarray, kind: str) -> list[float]:
    a, b = first
    for number in x:
        if kind == "leaving" and number > 1:
            break
        if kind == "leaving" and number < 0:
            b = -b
            continue
        for _ in range(2 if kind == "inner" else 1):
            a, b = b, a * number + b
    return [a, b]


BODIES = {"step": step, "leaving": leaving, "inner": inner}


def touched(routine: Routine) -> int:
    """How often loops touch the state in memory."""
    loops = [s for s in routine.body if isinstance(s, For)]
    return sum(isinstance(s, Load | Store) and s.buffer == "s" for _, s in walk(loops))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", BODIES)
def test_a_state_stays_in_registers_and_the_numbers_are_the_same(kind: str, target: str) -> None:
    routine = of(BODIES[kind]())
    changed = with_promoted(routine)
    assert touched(routine) > 0 == touched(changed)
    first = np.array([0.7, -1.3])
    for x in ([], [0.3], [0.3, -0.2, 0.9, 0.5], [0.9, -0.5, 0.2, 1.5, 0.25]):
        numbers = np.array(x)
        before, last = (
            call(target, r, {"n": len(x), "m": 0}, {"x": numbers, "first": first})["last"].tolist()
            for r in (routine, changed)
        )
        assert last == before
        assert last == pytest.approx(expected(numbers, first, kind), rel=1e-13, abs=0)


def test_what_stands_elsewhere_in_each_turn_stays_in_memory() -> None:
    moving = [Load(1, "s", (ZERO,)), Load(2, "s", (T,)), Compute(3, "add", (1, 2)), Store("s", (ZERO,), 3)]
    reduced = [*step(), StoreReduce("sum", "s", (ZERO,), 6)]
    for body in (moving, reduced):
        routine = of(body)
        assert with_promoted(routine) is routine


def test_an_array_that_may_be_empty_stays_in_memory() -> None:
    routine = of(step(), extent=N)
    assert with_promoted(routine) is routine
