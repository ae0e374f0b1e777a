"""The largest and smallest number that a loop meets: signs of zeros, infinities and nan, at every length."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.nest import Accumulate, Call, Cell, Const, For, Function, Load, Statement, poly, variable
from symgrad.targets.llvm_extrema import extremum_cells

TARGETS = ("numpy", "llvm", "c")
n = sp.symbols("n", integer=True, positive=True)
i = sp.symbols("i", integer=True)
x = sp.IndexedBase("x", shape=(n,))
LENGTHS = (1, 7, 8, 9, 31, 64, 77)
QUIET = np.array([0x7FF8000000000001, 0xFFF8000000000001], dtype=np.uint64).view(np.float64)


@pytest.fixture(scope="module", params=[(b, t) for b in TARGETS for t in ("float64", "float32")], ids=str)
def both(request: pytest.FixtureRequest) -> tuple[sg.Kernel, sg.Kernel, np.dtype]:
    backend, dtype = request.param
    largest, smallest = (
        sg.compile(f(x[i], (i, 0, n - 1)), args=(x,), outputs="value", backend=backend, dtype=dtype)
        for f in (sg.Maximum, sg.Minimum)
    )
    return largest, smallest, np.dtype(dtype)


def test_extremes_are_found_at_every_place(both: tuple[sg.Kernel, sg.Kernel, np.dtype]) -> None:
    largest, smallest, dtype = both
    for length in LENGTHS:
        for place in {0, length // 2, length - 1}:
            for end in (5.0, math.inf, 1e-40):
                numbers = np.full(length, -end, dtype)
                numbers[place] = end
                assert largest(numbers) == dtype.type(end)
                assert smallest(-numbers) == dtype.type(-end)


def test_a_nan_of_either_sign_is_kept(both: tuple[sg.Kernel, sg.Kernel, np.dtype]) -> None:
    largest, smallest, dtype = both
    for length in LENGTHS:
        for nan in QUIET:
            numbers = np.linspace(-1, 1, length).astype(dtype)
            numbers[length // 3] = nan
            assert math.isnan(largest(numbers)) and math.isnan(smallest(numbers))


def test_zeros_keep_their_sign(both: tuple[sg.Kernel, sg.Kernel, np.dtype]) -> None:
    largest, smallest, dtype = both
    for length in LENGTHS:
        zeros = np.full(length, -0.0, dtype)
        assert math.copysign(1, largest(zeros)) == -1
        assert math.copysign(1, smallest(-zeros)) == 1
        below = np.linspace(-1, -0.5, length, dtype=dtype)
        below[-1] = -0.0
        assert math.copysign(1, largest(below)) == -1


def test_zeros_are_ordered_by_their_signs_in_machine_code() -> None:
    largest, smallest = (
        sg.compile(f(x[i], (i, 0, n - 1)), args=(x,), outputs="value") for f in (sg.Maximum, sg.Minimum)
    )
    for length in LENGTHS[1:]:
        zeros = np.full(length, -0.0)
        zeros[length // 2] = 0.0
        assert math.copysign(1, largest(zeros)) == 1 and math.copysign(1, smallest(zeros)) == -1


def test_of_nothing_they_are_the_infinities(both: tuple[sg.Kernel, sg.Kernel, np.dtype]) -> None:
    largest, smallest, dtype = both
    assert largest(np.zeros(0, dtype)) == -math.inf and smallest(np.zeros(0, dtype)) == math.inf


def test_cells_of_other_functions_stay_numbers() -> None:
    loop: list[Statement] = [Const(0, ("f", -math.inf)), Cell(1, 0), Cell(2, 0)]
    body: list[Statement] = [Load(3, "x", (variable("i"),)), Accumulate("max", 1, 3), Accumulate("sum", 2, 3)]
    loop.append(For("i", (poly(0),), (variable("n"),), body))
    assert extremum_cells(loop) == {1: "max"}
    assert extremum_cells(loop[-1:]) == {}
    handed = Call(Function((), (), (), ((1, False),), []), (), (), (), (1,))
    assert extremum_cells([*loop, handed]) == {}
