"""Recurrences of entries that do not touch each other: sums on the way, and blocks that stay in the cache."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.nest import Compute, For, If, Load, Routine

n, m, k = sp.symbols("n m k", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
x, p = sp.IndexedBase("x", shape=(m,)), sp.IndexedBase("p", shape=(n,))
w = sp.IndexedBase("w", shape=(n, k))
BACKENDS = ("numpy", "llvm", "c")


def _polynomial(start=0):
    """Horner's scheme at many points at once."""
    first = sg.Entries((n,), lambda i: start)
    return sg.scan(lambda v, t: sg.Entries((n,), lambda i: v[i] * p[i] + x[m - 1 - t]), first, m).final


def _objective():
    return sp.Sum((_polynomial()[i] - sp.sin(p[i])) ** 2, (i, 0, n - 1)) / 2


def _routine(expr, args, wrt=None, words="value") -> Routine:
    seen = {}
    sg.compile(expr, args, wrt, outputs=words, watch=lambda stage, thing: seen.setdefault(stage, thing))
    return seen["lower"]


def _blocks(routine: Routine) -> list[For]:
    return [s for s in routine.body if isinstance(s, For) and s.comment.startswith("block by block")]


def _largest_rank(routine: Routine) -> int:
    return max(len(b.extents) for b in routine.buffers_of("work"))


def test_the_gradient_of_horner_keeps_no_trajectory() -> None:
    """The cotangent of each coefficient is a sum over the points, taken as the sweep goes back."""
    assert _largest_rank(_routine(_objective(), (x, p), x, "grad")) == 1


def test_the_trajectory_is_kept_where_something_else_reads_it() -> None:
    assert _largest_rank(_routine(_objective(), (x, p), p, "grad")) == 2


def test_sums_that_are_products_of_matrices_are_made_for_all_times_at_once() -> None:
    """One product with all states takes less time than one with each."""
    first = sg.Entries((n,), lambda i: 1)
    run = sg.scan(lambda v, t: sg.Entries((n,), lambda i: v[i] * p[i]), first, m)
    total = sg.Entries((m, k), lambda t, c: sp.Sum(run.trajectory[t, i] * w[i, c], (i, 0, n - 1)))
    assert _largest_rank(_routine(total, (p, w, m))) == 2


def test_a_recurrence_without_neighbours_runs_block_by_block() -> None:
    for words, number in (("value", 1), ("grad", 2)):
        blocks = _blocks(_routine(_objective(), (x, p), x, words))
        assert len(blocks) == number
        for block in blocks:
            turns = [s for s in block.body if isinstance(s, For)]
            assert len(turns) == 1
            assert block.step >= 256


def test_several_turns_are_one_pass_over_a_block() -> None:
    """One load of the state and of the point for all of them; the last turns one by one."""
    (block,) = _blocks(_routine(_objective(), (x, p)))
    (turns,) = [s for s in block.body if isinstance(s, For)]
    together, alone = [s for s in turns.body if isinstance(s, If)]
    (jam,) = [s for s in together.body if isinstance(s, For)]
    (rest,) = alone.body
    assert isinstance(rest, For) and rest.step == 1 and turns.step == 4
    assert sum(isinstance(s, Load) for s in jam.body) == 2
    assert sum(isinstance(s, Compute) for s in jam.body) == 4 * 2


def test_long_turns_stay_apart() -> None:
    def step(v, t):
        return sg.Entries((n,), lambda i: sum(sp.sin(c * v[i] + x[t]) / c for c in range(1, 30)))

    last = sg.scan(step, sg.Entries((n,), lambda i: 1), m).final
    (block,) = _blocks(_routine(sp.Sum(last[i], (i, 0, n - 1)), (x, n)))
    (turns,) = [s for s in block.body if isinstance(s, For)]
    assert turns.step == 1


def test_a_recurrence_that_reads_its_neighbours_does_not() -> None:
    def step(v, t):
        return sg.Entries((n,), lambda i: sg.Where(sp.Eq(i, 0), x[0], v[i - 1] * p[i]))

    last = sg.scan(step, sg.Entries((n,), lambda i: 1), m).final
    assert not _blocks(_routine(sp.Sum(last[i], (i, 0, n - 1)), (x, p, m)))


def test_a_step_that_needs_all_entries_of_the_step_before_does_not() -> None:
    def step(v, t):
        return sg.Entries((n,), lambda i: v[i] * p[i] / sp.Sum(v[i] ** 2, (i, 0, n - 1)))

    last = sg.scan(step, sg.Entries((n,), lambda i: 1), m).final
    assert not _blocks(_routine(sp.Sum(last[i], (i, 0, n - 1)), (p, m)))


def test_few_entries_need_no_blocks() -> None:
    q = sp.IndexedBase("q", shape=(30,))
    first = sg.Entries((30,), lambda i: 1)
    last = sg.scan(lambda v, t: sg.Entries((30,), lambda i: v[i] * q[i] + 1), first, m).final
    assert not _blocks(_routine(sp.Sum(last[i], (i, 0, 29)), (q, m)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_value_and_gradient_of_a_fit_are_those_of_its_vandermonde_matrix(backend: str) -> None:
    kernel = sg.compile(_objective(), (x, p), x, outputs=("value", "grad"), backend=backend)
    for points, terms in ((1, 1), (7, 2), (1023, 3), (1024, 4), (1025, 5), (3000, 11)):
        rng = np.random.default_rng(points)
        at, coefficients = rng.uniform(-1, 1, points), rng.normal(size=terms)
        matrix = np.vander(at, terms, increasing=True)
        rest = matrix @ coefficients - np.sin(at)
        value, slope = kernel(coefficients, at)
        np.testing.assert_allclose(value, (rest**2).sum() / 2, rtol=1e-12)
        np.testing.assert_allclose(slope, matrix.T @ rest, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_totals_of_forward_states_before_and_after_each_step(backend: str) -> None:
    first = sg.Entries((n,), lambda i: p[i])
    run = sg.scan(lambda v, t: sg.Entries((n,), lambda i: v[i] * p[i] + x[t]), first, m)
    before = sg.Entries((m,), lambda t: sp.Sum(run.trajectory[t, i] ** 2, (i, 0, n - 1)))
    after = sg.Entries((m,), lambda t: sp.Sum(run.trajectory[m - t, i], (i, 0, n - 1)))
    rng = np.random.default_rng(1)
    X, P = rng.normal(size=6), rng.uniform(-1, 1, 3000)
    states = [P]
    for c in X:
        states.append(states[-1] * P + c)
    for expr, wanted in (
        (before, [(v**2).sum() for v in states[:-1]]),
        (after, [v.sum() for v in states[:0:-1]]),
    ):
        got = sg.compile(expr, (x, p), outputs="value", backend=backend)(X, P)
        np.testing.assert_allclose(got, wanted, rtol=1e-11)
