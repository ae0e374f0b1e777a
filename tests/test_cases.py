"""Loops that are not made: cases along short axes, places that a value names; and what needs no branch."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.nest import Compute, For, If, Store, ToInt, poly, poly_add, variable
from symgrad.loops.walk import walk
from symgrad.pipeline import optimise, routine_of

n = sp.Symbol("n", integer=True, positive=True)
i, j = sp.Idx("i", n), sp.Symbol("j", integer=True)
side, place = sp.Idx("side", 3), sp.Symbol("place", integer=True)
x, which = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("which", shape=(n,))
HEIGHTS, PLACES = np.array([0.3, -1.2, 0.7, 2.0]), np.array([3, 1, 0, 0])
BACKENDS = ("numpy", "llvm", "c")


def statements(expr, kind, **options):
    """The statements of a kind in the loops of a program's value."""
    derived = sg.program(expr, **options).derived(("value",))
    routine = routine_of(optimise(derived.unit), "kernel", derived.words)
    return [s for _, s in walk(routine.body) if isinstance(s, kind)]


def chosen(index):
    slow = sp.sin(x[i])
    return sp.Piecewise((slow, sp.Eq(index, 0)), (slow**2, sp.Eq(index, 1)), (1 - slow, True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_entries_told_apart_along_a_short_axis_are_what_their_cases_say(backend):
    f = sg.compile(chosen(side), args=(x,), wrt=x, axes=[i, side], outputs=("value", "jac"), backend=backend)
    value, jacobian = f(HEIGHTS)
    s, c = np.sin(HEIGHTS), np.cos(HEIGHTS)
    np.testing.assert_allclose(value, np.stack([s, s**2, 1 - s], axis=1), rtol=1e-15)
    slopes = np.stack([c, 2 * s * c, -c], axis=1)
    np.testing.assert_allclose(jacobian, slopes[:, :, None] * np.eye(4)[:, None], rtol=1e-15)


def test_entries_told_apart_share_one_loop_and_what_they_have_in_common():
    options = {"args": (x,), "axes": [i, side]}
    assert len(statements(chosen(side), For, **options)) == 1
    assert len(statements(chosen(side), Store, **options)) == 3
    assert [s.op for s in statements(chosen(side), Compute, **options)].count("sin") == 1


def test_an_axis_of_which_one_place_differs_stays_a_loop():
    long = sp.Idx("long", 9)
    expr = sp.Piecewise((x[i], sp.Eq(long, 4)), (2 * x[i], True))
    assert len(statements(expr, Store, args=(x,), axes=[i, long])) == 1


def test_a_diagonal_of_a_short_matrix_that_is_repeated_stays_a_band():
    expr = sp.Piecewise((sp.KroneckerDelta(i, sp.Idx("k", n)), sp.Eq(side, 0)), (0, True))
    f = sg.compile(expr, args=(n,), axes=[i, sp.Idx("k", n), side])
    np.testing.assert_array_equal(f(3)[0][:, :, 0], np.eye(3))


def gathered():
    here = x[which[i]]
    return sp.Matrix([here, sg.Where(x[i] > 0, here * 3, here + x[i])])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_choice_between_values_of_what_is_read_anyway_is_right(backend):
    f = sg.compile(gathered(), args=(x, which), axes=[i], outputs="value", backend=backend)
    here = HEIGHTS[PLACES]
    expected = [here, np.where(HEIGHTS > 0, here * 3, here + HEIGHTS)]
    np.testing.assert_array_equal(f(HEIGHTS, PLACES)[:, 0], expected)


def test_a_choice_that_reads_what_is_read_anyway_needs_no_branch():
    inner = sp.Matrix([x[which[i]], sp.sin(x[which[i]]) / x[which[i]]])
    slopes = sp.Matrix([sp.Derivative(sp.sinc(e), x[which[i]], evaluate=False) for e in inner[:1]])
    assert statements(slopes.col_join(inner), If, args=(x, which), axes=[i]) == []


def test_a_value_with_a_guard_of_its_own_is_shared_and_stored():
    y = sp.IndexedBase("y", shape=(n, n))
    slow = sp.tanh(sg.Where(j >= 1, x[j - 1], 0))
    here, there = (sg.Where(j <= place, slow * y[at], 0) for at in ((j, place), (place, j)))
    rows = sp.Sum(here, (place, 0, n - 1), (j, 0, n - 1))
    total = rows + sp.Sum(sp.sin(sp.Sum(there, (place, 0, n - 1))), (j, 0, n - 1))
    unit = optimise(sg.program(total, args=(x, y)).derived(("value",)).unit)
    g = unit.graph
    bodies = [g.tensors[t].bodies for t in g.definitions_below(unit.roots)]
    assert sum(any(g.op[k] == "tanh" for k in g.reachable(body)) for body in bodies) == 1
    table = np.arange(16.0).reshape(4, 4) / 7
    shifted = np.tanh(np.concatenate([[0.0], HEIGHTS[:-1]]))
    late = np.triu(np.ones((4, 4)))
    expected = (late * table * shifted[:, None]).sum() + np.sin((late * table.T).sum(axis=1) * shifted).sum()
    for backend in BACKENDS:
        value = sg.compile(total, args=(x, y), outputs="value", backend=backend)(HEIGHTS, table)
        assert value == pytest.approx(expected, rel=1e-14)


m = sp.Symbol("m", integer=True, positive=True)
y = sp.IndexedBase("y", shape=(m,))
nearest = sp.Sum(sg.Minimum((x[j] - y[place]) ** 2, (j, 0, n - 1)), (place, 0, m - 1))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("kinks", "slopes"),
    [
        ("first", [-0.5, -0.5, -1.5, 0.0]),
        ("mean", [-0.25, -0.5, -0.5, 0.75]),
        ("right", [0.0, -0.5, 0.5, 1.5]),
    ],
)
def test_the_slope_of_a_smallest_value_goes_to_the_place_that_attains_it(backend, kinks, slopes):
    """Also where two places attain it, and where none does, because a value is nan."""
    f = sg.compile(nearest, args=(x, y), wrt=x, outputs="grad", kinks=kinks, backend=backend)
    heights = np.array([0.25, -1.25, 0.75, 2.25])
    for targets in ([0.5, -1.0, 1.5], [0.5, np.nan, -1.0, 1.5]):
        np.testing.assert_array_equal(f(heights, np.array(targets)), slopes)


def test_a_sum_of_one_place_named_by_a_value_makes_one_turn_for_each():
    derived = sg.program(nearest, args=(x, y), wrt=x).derived(("grad",))
    routine = routine_of(optimise(derived.unit), "kernel", derived.words)
    (named,) = [s.var for _, s in walk(routine.body) if isinstance(s, ToInt)]
    loops = [s for _, s in walk(routine.body) if isinstance(s, For)]
    (short,) = [s for s in loops if variable(named) in s.lower]
    assert poly_add(variable(named), poly(1)) in short.upper
