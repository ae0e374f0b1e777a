"""What loops keep for later ones: what these make of it, where the first loop makes the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from programs import program_named
from routines import TARGETS, I, J, M, N, call

import symgrad as sg
from symgrad.loops import nest
from symgrad.loops.effects import effects
from symgrad.loops.kept import kept_further
from symgrad.loops.nest import (
    Buffer,
    Compute,
    Const,
    For,
    If,
    Load,
    Poly,
    Routine,
    Statement,
    Store,
    StoreReduce,
    poly,
    poly_add,
)
from symgrad.loops.walk import walk
from symgrad.pipeline import optimise, routine_of

RNG = np.random.default_rng(11)
AT = (I, J)
SECOND = [Load(20, "t", AT), Compute(21, "mul", (20, 20)), Load(22, "r", AT), Compute(23, "mul", (21, 22)),
          Load(24, "w", (J,)), Compute(25, "mul", (23, 24)), Store("y", AT, 25)]  # fmt: skip


def _loops(body: list[Statement], outer: str = "i", inner: str = "j") -> For:
    extents = {"i": N, "j": M}
    return For(outer, (poly(0),), (extents[outer],), [For(inner, (poly(0),), (extents[inner],), body)])


def _first(between: list[Statement], at: tuple[Poly, Poly] = AT) -> For:
    """t[i, j] = exp(x[i, j]);  s[j] += t*t*r[i, j]."""
    values = [Load(10, "x", AT), Compute(11, "exp", (10,)), Store("t", at, 11), Compute(12, "mul", (11, 11)),
              Load(13, "r", AT), Compute(14, "mul", (12, 13)), StoreReduce("sum", "s", (J,), 14)]  # fmt: skip
    return _loops([*values, *between])


def _routine(*loops: Statement) -> Routine:
    none = Const(0, ("q", 0, 1))
    clear = For("j", (poly(0),), (M,), [Store("s", (J,), 0)])
    buffers = (
        Buffer("x", "input", (N, M)), Buffer("r", "input", (N, M)), Buffer("w", "input", (M,)),
        Buffer("s", "output", (M,)), Buffer("y", "output", (N, M)), Buffer("z", "output", (N, M)),
        Buffer("t", "work", (N, M)), Buffer("u", "work", (N, M)),
    )  # fmt: skip
    return Routine("f", ("n", "m"), ("n", "m"), buffers, [none, clear, *loops])


def _reads(routine: Routine) -> list[frozenset[str]]:
    return [effects(s).reads for s in routine.body if isinstance(s, For)]


@pytest.mark.parametrize("target", TARGETS)
def test_later_loops_read_what_they_made_and_give_the_same_numbers(target: str) -> None:
    better = kept_further(_routine(_first([]), _loops(SECOND)))
    assert _reads(better)[-1] == {"t", "w"}
    assert not [s for _, s in walk(better.body[-1:]) if isinstance(s, Compute)][1:], "one product is left"
    x, r, w = RNG.random((5, 19)), RNG.random((5, 19)), RNG.random(19)
    ours = call(target, better, {"n": 5, "m": 19}, {"x": x, "r": r, "w": w})
    np.testing.assert_allclose(ours["s"], (np.exp(x) ** 2 * r).sum(0), rtol=1e-14)
    np.testing.assert_allclose(ours["y"], np.exp(x) ** 2 * r * w, rtol=1e-14)


def test_loops_may_stand_in_each_other_the_other_way_round_and_have_other_names() -> None:
    assert _reads(kept_further(_routine(_first([]), _loops(SECOND, "j", "i"))))[-1] == {"t", "w"}
    names = {"i": "j", "j": "i"}
    other = [
        replace(s, index=tuple(((tuple(names[v] for v in vs), k),) for p in s.index for vs, k in p))
        if isinstance(s, Load | Store)
        else s
        for s in SECOND
    ]
    swapped = For("j", (poly(0),), (N,), [For("i", (poly(0),), (M,), other)])
    assert _reads(kept_further(_routine(_first([]), swapped)))[-1] == {"t", "w"}


def test_all_later_loops_have_to_make_the_same() -> None:
    third = [Load(30, "t", AT), Compute(31, "mul", (30, 30)), Store("z", AT, 31)]
    better = kept_further(_routine(_first([]), _loops(SECOND), _loops(third)))
    assert _reads(better)[-2:] == [{"t", "r", "w"}, {"t"}]
    assert not [s for _, s in walk(better.body[-1:]) if isinstance(s, Compute)], "the square is what is kept"
    plain = _routine(_first([]), _loops(SECOND), _loops([Load(30, "t", AT), Store("z", AT, 30)]))
    assert kept_further(plain) is plain


ASKED = [nest.Test(15, "ige", poly_add(I, poly(-2))), If(15, [Store("t", AT, 11)])]


@pytest.mark.parametrize(
    "loops",
    [
        (_first([Store("t", AT, 10)]), _loops(SECOND)),  # stored twice
        (_first([]), _loops([*SECOND[:2], Store("y", AT, 21)]), _loops([Store("t", AT, 0)])),  # and later
        (replace(_first([]), step=2), _loops(SECOND)),  # every other row
        (_loops([*_first([]).body[0].body[:2], *ASKED]), _loops(SECOND)),  # only some elements
        (_loops(SECOND), _first([])),  # of the call before
        (_first([]), _loops([Load(20, "t", AT), Compute(21, "mul", (20, 10)), Store("y", AT, 21)])),
    ],
)
def test_nothing_else_is_kept_where_something_else_is_read(loops: tuple[For, ...]) -> None:
    plain = _routine(*loops)
    assert kept_further(plain) is plain


@pytest.mark.parametrize("target", TARGETS)
def test_conditions_are_not_kept(target: str) -> None:
    """Both loops ask only whether t < 1/2, and an array holds numbers."""
    half, zero = Const(1, ("q", 1, 2)), Const(0, ("q", 0, 1))

    def asked(at: int, t: int, arms: tuple[int, int]) -> list[Statement]:
        return [Compute(at, "lt", (t, 1)), Compute(at + 1, "where", (at, *arms))]

    values: list[Statement] = [Load(10, "x", AT), Compute(11, "exp", (10,)), Store("t", AT, 11)]
    first = _loops([*values, *asked(12, 11, (2, 0)), StoreReduce("sum", "s", (J,), 13)])
    last = _loops([Load(20, "t", AT), *asked(21, 20, (0, 2)), Store("y", AT, 22)])
    routine = _routine(first, last)
    one = Const(2, ("q", 1, 1))
    routine = replace(routine, body=[zero, half, one, *routine.body[1:]])
    x, none = -RNG.random((5, 19)), np.zeros((5, 19))
    ours = call(target, kept_further(routine), {"n": 5, "m": 19}, {"x": x, "r": none, "w": none[0]})
    below = np.exp(x) < 0.5
    assert below.any() and not below.all()
    np.testing.assert_array_equal(ours["y"], ~below)
    np.testing.assert_array_equal(ours["s"], below.sum(0))


def test_only_the_same_elements_of_other_arrays_make_the_same() -> None:
    square, other = SECOND[:2], [Compute(23, "mul", (21, 22)), *SECOND[4:]]
    transposed = _routine(_first([]), _loops([*square, Load(22, "r", (J, I)), *other]))
    better = kept_further(transposed)
    assert _reads(better)[-1] == {"t", "r", "w"}
    assert len([s for _, s in walk(better.body[-1:]) if isinstance(s, Compute)]) == 2, "the square is kept"


def test_arrays_that_change_in_between_do_not_make_the_same() -> None:
    def of_u(loop: For) -> For:
        body = loop.body[0].body
        return _loops([replace(s, buffer="u") if getattr(s, "buffer", "") == "r" else s for s in body])

    fill, first, last = _loops([Store("u", AT, 0)]), of_u(_first([])), of_u(_loops(SECOND))
    assert _reads(kept_further(_routine(fill, first, last)))[-1] == {"t", "w"}
    assert _reads(kept_further(_routine(fill, first, fill, last)))[-1] == {"t", "u", "w"}


def test_the_last_loop_of_a_batch_normalisation_reads_two_matrices() -> None:
    program = program_named("batch_norm")
    derived = sg.program(program.expr, args=program.args, wrt=program.wrt).derived(("value", "grad"))
    *_, last = _reads(routine_of(optimise(derived.unit), "f", derived.words))
    assert {"X", "grad_X"} < last
    assert "R" not in last
