"""`sg.stored`: an array computed once, with the values and derivatives of its formula."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad as sg

n, m = sp.symbols("n m", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
x, which = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("which", shape=(m,))
HEIGHTS, PLACES = np.array([0.3, -1.2, 0.7, 2.0]), np.array([3, 1, 1, 0, 3])


def summed(array):
    return sp.Sum(array[which[i]] ** 2, (i, 0, m - 1))


def far(k):
    return sp.Sum(sp.sin(x[k] * x[j]), (j, 0, n - 1))


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_a_stored_array_has_the_value_and_derivatives_of_its_formula(backend):
    array = sg.Entries((n,), far)
    words = ("value", "grad", "hess")
    plain, stored = (
        sg.compile(summed(a), args=(x, which), wrt=x, outputs=words, backend=backend)
        for a in (array, sg.stored(array))
    )
    for a, b in zip(plain(HEIGHTS, PLACES), stored(HEIGHTS, PLACES), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-13, atol=1e-13)


def test_a_stored_array_is_computed_once_for_each_place_and_not_for_each_read():
    array = sg.Entries((n,), far)
    plain, stored = (sg.program(summed(a), args=(x, which)) for a in (array, sg.stored(array)))
    sizes = {"n": 10, "m": 1000}
    sines = [_sines(p.derived(("value",)).unit, sizes) for p in (plain, stored)]
    assert sines == [10_000, 100]


def _sines(unit, sizes):
    """How many sines are evaluated, from the extents of the definitions that hold one."""
    g = unit.graph
    total = 0
    for t in g.definitions_below(unit.roots):
        if any(g.op[k] == "sin" for k in g.reachable(g.tensors[t].bodies)):
            axes = [*g.tensors[t].out, *g.tensors[t].red]
            total += int(np.prod([sizes[g.args[g.extent(a)][0]] for a in axes]))
    return total


def test_matrices_and_scalars_can_be_stored():
    A, b = sp.MatrixSymbol("A", 2, 3), sp.Symbol("b", real=True)
    value = sg.compile(sp.Trace(sg.stored(A * A.T)) + sg.stored(b**2), args=(A, b))
    assert value(np.arange(6.0).reshape(2, 3), 3.0) == (55.0 + 9.0,)


def test_what_is_no_array_is_refused():
    with pytest.raises(sg.SymgradError):
        sg.stored(sp.IndexedBase("shapeless"))
