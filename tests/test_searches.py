"""Rows that are searched before they are used: loops of their own, some rows at a time, right numbers."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.nest import Accumulate, Buffer, Cell, Const, For, Load, Routine, Store, poly, variable
from symgrad.loops.searches import ROWS, searched_in_blocks
from symgrad.loops.walk import walk

n, m = sp.symbols("n m", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
x, w = (sp.IndexedBase(name, shape=(n, m)) for name in "xw")
SCORES = sp.Sum(sp.exp(x[i, j]), (j, 0, m - 1))
PROGRAMS = {
    "logsumexp": sp.Sum(sp.log(SCORES), (i, 0, n - 1)),
    "softmax": sp.Sum(sp.Sum(w[i, j] * sp.exp(x[i, j]), (j, 0, m - 1)) / SCORES, (i, 0, n - 1)),
}


def lowered(name: str) -> Routine:
    """The routine of a program, before its loops change where a size says so."""
    kept = {}
    sg.compile(PROGRAMS[name], [x, w], x, outputs=("value", "grad"), watch=kept.__setitem__)
    return kept["lower"]


def searches(body: list) -> list[For]:
    """The loops over rows with nothing but a search in them."""
    loops = [s for _, s in walk(body) if isinstance(s, For)]
    inside = [(s, [t for t in s.body if isinstance(t, For)]) for s in loops]
    return [
        s
        for s, inner in inside
        if len(inner) == 1 and any(isinstance(t, Accumulate) and t.kind == "max" for t in inner[0].body)
    ]


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_waits_for_a_search_is_in_a_loop_beside_it_for_some_rows(name):
    body = lowered(name).body
    found = searches(body)
    assert found
    for search in found:
        (block,) = [s for _, s in walk(body) if isinstance(s, For) and search in s.body]
        assert block.step == ROWS
        assert [type(s) for s in block.body] == [For, For]
        assert [s.lower for s in block.body] == [(variable(block.var),)] * 2


@pytest.mark.parametrize("backend", ["llvm", "c"])
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 2 * ROWS + 3])
def test_numbers_are_right_for_any_number_of_rows(name, rows, backend):
    draw = np.random.RandomState(3)
    arrays = [draw.randn(rows, 5) for _ in "xw"]
    words = ("value", "grad")
    got, expected = (
        sg.compile(PROGRAMS[name], [x, w], x, outputs=words, backend=b)(*arrays) for b in (backend, "numpy")
    )
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def rows_and_use(place: tuple) -> Routine:
    """A search in each row, and a loop over the rows that reads its result at `place`."""
    rows, row, column = variable("n"), variable("i"), variable("j")
    inner = For("j", (poly(0),), (rows,), [Load(2, "x", (row, column)), Accumulate("max", 1, 2)])
    search = For("i", (poly(0),), (rows,), [Const(0, ("q", 0, 1)), Cell(1, 0), inner, Store("t", (row,), 1)])
    filled = For("j", (poly(0),), (rows,), [Store("y", (row, column), 3)])
    use = For("i", (poly(0),), (rows,), [Load(3, "t", place), filled])
    matrix = (rows, rows)
    buffers = (Buffer("x", "input", matrix), Buffer("y", "output", matrix), Buffer("t", "work", (rows,)))
    return Routine("f", ("n",), ("n",), buffers, [search, use])


def test_only_rows_that_use_their_own_search_share_a_block():
    own, first = rows_and_use((variable("i"),)), rows_and_use((poly(0),))
    (block,) = searched_in_blocks(own).body
    assert (block.step, len(block.body)) == (ROWS, 2)
    assert [b.extents for b in searched_in_blocks(own).buffers if b.name == "t"] == [(poly(ROWS),)]
    assert searched_in_blocks(first).body == first.body
