"""What a turn stores for the next one stays in a register: where it does, where not, and the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from routines import TARGETS, M, N, call

from symgrad.loops.carried import with_carried
from symgrad.loops.nest import (
    Buffer,
    Compute,
    For,
    If,
    Leave,
    Load,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.walk import walk

T = variable("t")
LATER = poly_add(T, poly(1))
BACK, EARLIER = poly_add(N, T, -1), poly_add(poly_add(N, T, -1), poly(-1))  # n - t, n - t - 1


def of(body: list[Statement], upper: Poly = N) -> Routine:
    """A loop over t on x (n numbers) and s (n + 1, the first and the last of which are those of `first`)."""
    buffers = (
        Buffer("x", "input", (N,)), Buffer("first", "input", (poly(1),)),
        Buffer("s", "output", (poly_add(N, poly(1)),)), Buffer("y", "output", (N,)),
    )  # fmt: skip
    before = [Load(90, "first", (poly(0),)), Store("s", (poly(0),), 90), Store("s", (N,), 90)]
    return Routine("f", ("n", "m"), ("n", "m"), buffers, [*before, For("t", (poly(0),), (upper,), body)])


def loop_of(routine: Routine) -> For:
    return next(s for s in routine.body if isinstance(s, For))


def loads(routine: Routine) -> int:
    """How often the loop loads of `s`."""
    return sum(isinstance(s, Load) and s.buffer == "s" for _, s in walk(loop_of(routine).body))


def step(at: Poly = T, to: Poly = LATER) -> list[Statement]:
    """s[to] = s[at]*x[t] + x[t], and y[t] = s[at] after that."""
    return [
        Load(1, "s", (at,)), Load(2, "x", (T,)), Compute(3, "mul", (1, 2)), Compute(4, "add", (3, 2)),
        Store("s", (to,), 4), Compute(5, "neg", (1,)), Store("y", (T,), 5),
    ]  # fmt: skip


def arms() -> list[Statement]:
    """The same, but s[t + 1] = s[t] where x[t] is negative."""
    *before, store, neg, keep = step()
    zero = Compute(6, "sub", (2, 2))
    ask = [zero, Compute(7, "lt", (2, 6)), Compute(8, "not", (7,))]
    return [*before, *ask, If(7, [Load(9, "s", (T,)), Store("s", (LATER,), 9)]), If(8, [store]), neg, keep]


def leaving() -> list[Statement]:
    """The same, but it ends where x[t] is above 1: later states are -s[t], one by one."""
    first, number, *rest = step()
    one = Compute(6, "div", (2, 2))
    r = variable("r")
    fill = [Load(8, "s", (T,)), Compute(9, "neg", (8,)), Store("s", (poly_add(r, poly(1)),), 9)]
    leave = If(7, [For("r", (T,), (N,), fill), Leave()])
    return [number, one, Compute(7, "lt", (6, 2)), leave, first, *rest]


BODIES = {
    "plain": step(),
    "backwards": step(BACK, EARLIER),
    "in two arms": arms(),
    "that leaves": leaving(),
}


@pytest.mark.parametrize("name", BODIES)
def test_states_are_in_registers(name: str) -> None:
    routine = with_carried(of(BODIES[name]))
    inside_of_exits = 1 if name == "that leaves" else 0
    assert loads(routine) == inside_of_exits < loads(of(BODIES[name]))


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("target", TARGETS)
def test_the_numbers_are_those_of_memory(target: str, name: str) -> None:
    routine = of(BODIES[name])
    carried = with_carried(routine)
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 9):
        x = rng.uniform(-0.9, 0.9, n)
        if name == "that leaves":
            x[n // 2 :] += 2
        inputs = {"x": x, "first": np.array([0.7])}
        found, wanted = (
            call(target, r, {"n": n, "m": 0}, inputs) for r in (carried, replace(routine, contracts=False))
        )
        reached = slice(0, n // 2 if name == "that leaves" else n)
        np.testing.assert_allclose(found["s"], wanted["s"], rtol=1e-14)
        np.testing.assert_allclose(found["y"][reached], wanted["y"][reached], rtol=1e-14)


def two_places() -> list[Statement]:
    """Another store may hit what is carried: s[m]."""
    return [*step(), Store("s", (M,), 2)]


def one_arm() -> list[Statement]:
    return [s for s in arms() if not (isinstance(s, If) and s.condition == 8)]


def arms_of_two_questions() -> list[Statement]:
    """Both arms may be taken, or none."""
    body = arms()
    return [Compute(8, "lt", (6, 2)) if isinstance(s, Compute) and s.dst == 8 else s for s in body]


def added_up() -> list[Statement]:
    return [*step(), StoreReduce("sum", "s", (LATER,), 2)]


def itself() -> list[Statement]:
    """s[m] is read and stored in every turn: nothing is carried from one place to the next."""
    return step(M, M)


@pytest.mark.parametrize("make", [two_places, one_arm, arms_of_two_questions, added_up, itself])
def test_where_memory_may_be_another_it_stays_memory(make) -> None:
    routine = of(make())
    assert with_carried(routine) is routine


def test_loops_side_by_side_and_in_steps_stay() -> None:
    routine = of(step())
    for options in ({"lanes": True}, {"step": 2}):
        other = replace(routine, body=[replace(loop_of(routine), **options)])
        assert with_carried(other) is other


def test_each_place_of_a_state_has_a_register_of_its_own() -> None:
    """s[t + 1, 0] = s[t, 1] and s[t + 1, 1] = s[t, 0]."""
    zero, one = poly(0), poly(1)
    body: list[Statement] = [
        Load(1, "s", (T, zero)), Load(2, "s", (T, one)),
        Store("s", (LATER, one), 1), Store("s", (LATER, zero), 2),
    ]  # fmt: skip
    buffers = (Buffer("s", "output", (poly_add(N, poly(1)), poly(2))),)
    routine = Routine("f", ("n",), ("n",), buffers, [For("t", (poly(0),), (N,), body)])
    carried = with_carried(routine)
    assert loads(carried) == 0
    assert sum(isinstance(s, SetCell) for s in loop_of(carried).body) == 4
