"""Loops with special first and last turns: the turns between ask nothing, and every size is right."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops import nest
from symgrad.loops.nest import For, If, poly, poly_add, variable
from symgrad.loops.peel import peeled
from symgrad.loops.walk import walk

n = sp.Symbol("n", integer=True, positive=True)
i = sp.Idx("i", n)
x = sp.IndexedBase("x", shape=(n,))


def previous(k, deep):
    """x[k]*x[k-1]*... with 2 in the place of what comes before the first."""
    return x[k] * sg.Where(sp.Eq(k, 0), 2, previous(k - 1, deep - 1)) if deep else x[k]


PROGRAMS = {
    "special at the start": x[i] + sg.Where(sp.Eq(i, 0), 3, x[i - 1]),
    "special for three turns": previous(i, 3),
    "special at the end": x[i] - sg.Where(sp.Eq(i, n - 1), 3, x[i + 1]),
    "special at both ends": sg.Where(i >= 2, x[i - 2], 1) * sg.Where(i < n - 3, x[i + 3], -1),
    "another value before and after": sg.Where(i < 2, sp.sin(x[0]), x[i - 2]) + sg.Where(i <= 1, 5, x[i - 2]),
    "two conditions": sg.Where((i > 0) & (i < n - 1), x[i - 1] * x[i + 1], x[i]),
    "a condition on a value": sg.Where(x[i] > 0, sg.Where(i > 0, x[i - 1], 4), x[i]),
}


def loops(routine):
    """The loops without loops inside, in order."""
    found = [s for _, s in walk(routine.body, into_parts=True) if isinstance(s, For)]
    return [s for s in found if not any(isinstance(t, For) for t in s.body)]


def routine_of(kernel):
    return kernel._spec.routine


def has_if(loop):
    return any(isinstance(s, If) for _, s in walk(loop.body))


CASES = [*((name, "llvm") for name in PROGRAMS), *((name, "c") for name in list(PROGRAMS)[3:5])]


@pytest.mark.parametrize(("name", "backend"), CASES)
def test_every_size_gives_the_numbers_of_the_reference(name, backend):
    options = {"args": (x,), "wrt": x, "axes": [i], "outputs": ("value", "vjp")}
    kernel = sg.compile(PROGRAMS[name], backend=backend, **options)
    reference = sg.compile(PROGRAMS[name], backend="numpy", **options)
    for size in (*range(1, 10), 40):
        a, w = np.random.default_rng(size).normal(size=(2, size))
        pairs = zip(kernel(a, cotangent=w), reference(a, cotangent=w), strict=True)
        for found, wanted in pairs:
            np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", list(PROGRAMS)[:4])
def test_the_turns_between_are_straight_line_code(name):
    kernel = sg.compile(PROGRAMS[name], args=(x,), axes=[i], outputs="value")
    middle = [loop for loop in loops(routine_of(kernel)) if not has_if(loop)]
    assert len(middle) == 1
    assert any(has_if(loop) for loop in loops(routine_of(kernel)))


def test_a_loop_that_asks_for_values_stays_one():
    k = variable("k")
    stored = If(2, [If(3, [nest.Store("value", (k,), 0)])])
    body = [
        nest.Load(0, "x", (k,)),
        nest.Compute(2, "lt", (0, 0)),
        nest.Test(3, "ige", poly_add(k, poly(-1))),
        stored,
    ]
    routine = nest.Routine("f", ("n",), ("n",), (), [For("k", (poly(0),), (variable("n"),), body)])
    assert peeled(routine) is routine


def test_what_is_special_far_from_the_ends_is_not_peeled():
    far = x[i] + sg.Where(sp.Eq(i, 100), 3, x[i - 100])
    kernel = sg.compile(sg.Where(i >= 100, far, x[i]), args=(x,), axes=[i], outputs="value")
    assert len(loops(routine_of(kernel))) == 1


def test_peeling_twice_changes_nothing():
    routine = routine_of(sg.compile(PROGRAMS["special at both ends"], args=(x,), axes=[i], outputs="value"))
    assert peeled(routine) is routine


def test_sums_with_special_terms_keep_all_of_them():
    k = sp.Symbol("k", integer=True)
    total = sp.Sum(x[k] * sg.Where(sp.Eq(k, 0), 7, x[k - 1]), (k, 0, n - 1))
    f = sg.compile(total, wrt=x, outputs=("value", "grad"))
    for size in (1, 2, 3, 20):
        a = np.random.default_rng(size).normal(size=size)
        value, grad = f(a)
        before, after = np.concatenate([[7], a[:-1]]), np.append(a[1:], 0)
        np.testing.assert_allclose(value, a @ before, rtol=1e-13)
        np.testing.assert_allclose(grad, before + after, rtol=1e-13)
