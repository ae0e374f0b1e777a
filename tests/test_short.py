"""Short loops in the turns of a recurrence are written out: which ones, and that the numbers stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from routines import TARGETS, I, N, call

from symgrad.loops.forward import forwarded
from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    Load,
    Poly,
    Routine,
    Statement,
    Store,
    poly,
    poly_add,
    poly_at,
    poly_mul,
    variable,
)
from symgrad.loops.short import MOST_TURNS, with_short_loops_written_out
from symgrad.loops.walk import walk

T = variable("t")


def turning(turns: int = 2, waits: bool = True) -> Routine:
    """States s: u[i] = s[i + 1]*x[t] (the last one: of s[0]), then s[i] = u[i] + i, and y[t] = s[0]."""
    first: list[Statement] = [Load(1, "x", (T,))]
    for k in range(turns):
        first += [
            Load(10 + 4 * k, "s", (poly((k + 1) % turns),)), Compute(11 + 4 * k, "mul", (10 + 4 * k, 1)),
            Store("u", (poly(k),), 11 + 4 * k),
        ]  # fmt: skip
    copy: list[Statement] = [
        Load(2, "u", (I,)), FromInt(3, I), Compute(4, "add", (2, 3)), Store("s", (I,), 4),
    ]  # fmt: skip
    inner = For("i", (poly(0),), (poly(turns),), copy)
    last = [Load(5, "s", (poly(0),)), Store("y", (T,), 5)]
    body = [*first, inner, *last] if waits else [replace(inner, body=[FromInt(3, I), Store("z", (T, I), 3)])]
    buffers = (
        Buffer("x", "input", (N,)), Buffer("y", "output", (N,)), Buffer("z", "output", (N, poly(turns))),
        Buffer("s", "work", (poly(turns),)), Buffer("u", "work", (poly(turns),)),
    )  # fmt: skip
    start = For("i", (poly(0),), (poly(turns),), [FromInt(6, poly_add(I, poly(1))), Store("s", (I,), 6)])
    loop = For("t", (poly(0),), (N,), body)
    return Routine("f", ("n",), ("n",), buffers, [start, loop], contracts=False)


def inner_loops(routine: Routine) -> int:
    loop = next(s for s in routine.body if isinstance(s, For) and s.var == "t")
    return sum(isinstance(s, For) for _, s in walk(loop.body))


@pytest.mark.parametrize("turns", [1, 2, MOST_TURNS])
@pytest.mark.parametrize("target", TARGETS)
def test_the_numbers_stay(target: str, turns: int) -> None:
    routine = turning(turns)
    new = with_short_loops_written_out(routine)
    assert inner_loops(routine) == 1 and inner_loops(new) == 0
    inputs = {"x": np.random.default_rng(0).normal(size=7)}
    found, wanted = (call(target, r, {"n": 7}, inputs)["y"] for r in (new, routine))
    np.testing.assert_array_equal(found, wanted)
    assert len(set(found)) == 7


def test_what_is_copied_is_not_loaded_again() -> None:
    new = with_short_loops_written_out(turning())
    touched = [s.buffer for _, s in walk(new.body) if isinstance(s, Load | Store)]
    assert "u" not in touched
    assert "u" not in {b.name for b in new.buffers}
    assert touched.count("s") == 5  # one before the loop, and two loads and stores


def accumulating(routine: Routine) -> Routine:
    *rest, loop = routine.body
    assert isinstance(loop, For)
    zero, cell = Const(40, ("q", 0, 1)), Cell(41, 40)
    adding: list[Statement] = [FromInt(3, I), Accumulate("sum", 41, 3)]
    body = [zero, cell, *(replace(s, body=adding) if isinstance(s, For) else s for s in loop.body)]
    return replace(routine, body=[*rest, replace(loop, body=body)])


@pytest.mark.parametrize(
    "routine", [turning(MOST_TURNS + 1), turning(waits=False), accumulating(turning())],
    ids=["long", "in a loop that does not wait", "that adds up"],
)  # fmt: skip
def test_other_loops_stay(routine: Routine) -> None:
    assert with_short_loops_written_out(routine) is routine


def test_a_store_leaves_other_elements_as_they_are() -> None:
    """y[0], y[1] = x[0], x[1]: both are known afterwards; after y[n] nothing is."""
    two = [
        Load(1, "x", (poly(0),)),
        Load(2, "x", (poly(1),)),
        Store("y", (poly(0),), 1),
        Store("y", (poly(1),), 2),
    ]
    again = [
        Load(3, "y", (poly(0),)),
        Load(4, "y", (poly(1),)),
        Store("z", (poly(0),), 3),
        Store("z", (poly(1),), 4),
    ]
    buffers = (Buffer("x", "input", (N,)), Buffer("y", "output", (N,)), Buffer("z", "output", (N,)))

    def loads(*between: Statement) -> int:
        routine = Routine("f", ("n",), ("n",), buffers, [*two, *between, *again])
        return sum(isinstance(s, Load) and s.buffer == "y" for s in forwarded(routine).body)

    assert loads() == 0
    assert loads(Store("y", (N,), 1)) == 2
    assert loads(Store("y", (poly(1),), 1)) == 0


def test_a_polynomial_at_a_place() -> None:
    p: Poly = poly_add(poly_mul(I, I), poly_mul(I, T))
    assert poly_at(p, "i", poly(3)) == poly_add(poly(9), poly_mul(poly(3), T))
    assert poly_at(T, "i", poly(3)) == T
