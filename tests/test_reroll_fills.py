"""Outputs of straight-line code that hold one number nearly everywhere are filled with it first."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS, call

import symgrad as sg
from symgrad import pipeline
from symgrad.loops.nest import For, Routine, Store
from symgrad.loops.reroll import rerolled
from symgrad.loops.split import split

X = sp.symbols("x0:40", real=True)
CHAIN = sp.Add(*(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(X)), evaluate=False)
BAND = sp.Matrix(30, 30, lambda i, j: X[i] * X[j] + sp.sin(X[i]) if abs(i - j) < 2 else 3)


def straight(name: str) -> Routine:
    program, word = {"Hessian": (sg.program(CHAIN, wrt=X), "hess"), "matrix": (sg.program(BAND), "value")}[
        name
    ]
    derived = program.derived((word,))
    unit = pipeline.optimise(derived.unit)
    return replace(pipeline.routine_of(unit, "kernel", derived.words, search=False), contracts=False)


@pytest.mark.parametrize("name", ["Hessian", "matrix"])
def test_an_output_of_mostly_one_number_is_filled_once_and_nothing_is_stored_twice_with_it(name: str) -> None:
    plain = straight(name)
    made = rerolled(plain, 0, 40)
    assert made.straight is not None
    fill = next(s for s in made.body if isinstance(s, For))
    (store,) = fill.body
    assert isinstance(store, Store) and store.buffer == plain.buffers_of("output")[0].name
    rng = np.random.default_rng(0)
    given = {b.name: np.asarray(rng.normal()) for b in plain.buffers_of("input")}
    for target in TARGETS:
        found, wanted = (call(target, split(r), {}, given, "float64") for r in (made, plain))
        for out in wanted:
            np.testing.assert_array_equal(found[out], wanted[out])


def test_a_written_out_hessian_is_right_alone_and_for_samples() -> None:
    kernel = sg.compile(CHAIN, X, X, outputs="hess", tier="optimised")
    point = np.random.default_rng(1).normal(size=40)
    wanted = sg.compile(CHAIN, X, X, outputs="hess", backend="numpy")(*point)
    np.testing.assert_allclose(kernel(*point), wanted, rtol=1e-13)
    samples = kernel(*([x, 2.0] for x in point))
    np.testing.assert_allclose(samples[0], wanted, rtol=1e-13)
