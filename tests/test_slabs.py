"""Slabs of what products in loops read: the same numbers, memory for one slab, and only where it may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS

import symgrad as sg
from symgrad.loops.nest import (
    Buffer,
    Compute,
    Contract,
    For,
    Load,
    Poly,
    Routine,
    Start,
    Statement,
    Store,
    Strided,
    poly,
    poly_add,
    poly_mul,
    variable,
)
from symgrad.loops.slabs import in_slabs
from symgrad.loops.strips import ROWS

N, D, K = variable("n"), variable("d"), variable("k")
R, V, J = variable("i"), variable("v"), variable("j")
ZERO, ONE = poly(0), poly(1)
START = [Load(0, "x", (R, V)), Load(1, "u", (V, R, J))]


def loops(order: str, body: list[Statement]) -> For:
    """Loops around statements, the outermost first."""
    for name in reversed(order):
        body = [For(name, (ZERO,), ({"i": N, "v": D, "w": D, "j": K}[name],), body)]
    (loop,) = body
    assert isinstance(loop, For)
    return loop


def maker(order: str = "ivj", at: tuple[Poly, ...] = (R, V, J)) -> For:
    """t[i, v, j] = x[i, v]*u[v, i, j]."""
    return loops(order, [*START, Compute(2, "mul", (0, 1)), Store("t", at, 2)])


def product(name: str = "v", extent: Poly = D, result: str = "y", at: Poly | None = None) -> For:
    """y[v] = x' t[:, v, :], for every v."""
    v = variable(name)
    c = Strided(Start(result, (v, ZERO, ZERO)), (K, ONE))
    b = Strided(Start("t", (ZERO, v if at is None else at, ZERO)), (poly_mul(D, K), ONE))
    a = Strided(Start("x", (ZERO, ZERO)), (ONE, D))
    contract = Contract(D, K, N, a, b, c, ZERO, ONE, ZERO, Start("s", (ZERO,)))
    return For(name, (ZERO,), (extent,), [contract])


def routine(*body: Statement) -> Routine:
    buffers = (
        Buffer("x", "input", (N, D)), Buffer("y", "output", (D, D, K)), Buffer("z", "output", (N, D, K)),
        Buffer("u", "work", (D, N, K)), Buffer("t", "work", (N, D, K)), Buffer("s", "work", (poly(9600),)),
    )  # fmt: skip
    return Routine("f", ("n", "d", "k"), ("n", "d", "k"), buffers, list(body))


def also_read() -> For:
    """u is there for others, too."""
    return loops("vij", [Load(5, "u", (V, R, J)), Store("z", (R, V, J), 5)])


def filled() -> For:
    return loops("vij", [Load(6, "x", (R, V)), Store("u", (V, R, J), 6)])


@pytest.mark.parametrize("order", ["ivj", "vij"])
def test_an_array_that_a_product_in_a_loop_reads_is_made_in_that_loop(order: str) -> None:
    made = in_slabs(routine(filled(), maker(order), also_read(), product("w")))
    assert next(b.extents for b in made.buffers if b.name == "t") == (N, K)
    *others, loop = made.body
    assert others == [filled(), also_read()]
    assert isinstance(loop, For) and loop.var == "w"
    slab, contract = loop.body
    w = variable("w")
    assert slab == loops("ij", [Load(0, "x", (R, w)), Load(1, "u", (w, R, J)), Compute(2, "mul", (0, 1)),
                                Store("t", (R, J), 2)])  # fmt: skip
    assert isinstance(contract, Contract)
    assert contract.b == Strided(Start("t", (ZERO, ZERO)), (K, ONE))


def test_a_loop_whose_variable_another_has_gets_a_new_one() -> None:
    made = in_slabs(routine(filled(), maker(), also_read(), product("i")))
    loop = made.body[-1]
    assert isinstance(loop, For) and loop.var == "i_1"
    slab, contract = loop.body
    assert isinstance(slab, For) and slab.var == "i"
    assert isinstance(contract, Contract)
    assert contract.c.start.index[0] == variable("i_1")


@pytest.mark.parametrize(
    "body",
    [
        (filled(), maker(), product()),
        (filled(), maker("ijv"), also_read(), product()),
        (filled(), maker(), also_read(), product(extent=poly_add(D, poly(-1)))),
        (filled(), maker(), also_read(), product(at=poly_add(V, poly(-1)))),
        (filled(), maker(at=(V, V, J)), also_read(), product()),
        (filled(), maker(), filled(), also_read(), product()),
        (filled(), maker(), also_read(), product(result="u")),
        (filled(), maker(), also_read(), product(), loops("ivj", [Load(7, "t", (R, V, J))])),
        (filled(), maker(), also_read(), replace(product(), lanes=True)),
    ],
    ids=[
        "what it is made of is there for it alone", "its loop is the innermost one", "other turns",
        "another slab", "the loop is at two places", "what it is made of changes",
        "the product changes what it is made of", "others read it, too", "samples side by side",
    ],
)  # fmt: skip
def test_other_arrays_stay_whole(body: tuple[Statement, ...]) -> None:
    given = routine(*body)
    assert in_slabs(given) is given


def test_a_slab_that_the_product_walks_out_of_is_none() -> None:
    """The columns of the product are those of two axes, of which the loop's is one; or its terms are."""
    loop = product()
    contract = loop.body[0]
    assert isinstance(contract, Contract)
    wide = replace(loop, body=[replace(contract, columns=poly_mul(D, K))])
    down = Strided(Start("t", (V, ZERO, ZERO)), (poly_mul(D, K), ONE))
    long = replace(loop, upper=(N,), body=[replace(contract, b=down)])
    for reader in (wide, long):
        given = routine(filled(), maker(), also_read(), reader)
        assert in_slabs(given) is given


n, d, k = sp.symbols("n d k", integer=True, positive=True)


@pytest.mark.parametrize("target", TARGETS)
def test_forms_with_a_matrix_each_have_their_gradients_in_slabs(target: str) -> None:
    i, c, a, b = sp.symbols("i c a b", integer=True)
    X, M = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("M", shape=(k, d))
    L = sp.IndexedBase("L", shape=(d, d, k))
    root = sg.Where(b <= a, L[a, b, c], 0)
    turned = sp.Sum(root * X[i, b], (b, 0, d - 1)) - sp.Sum(root * M[c, b], (b, 0, d - 1))
    forms = sp.Sum(sp.exp(-sp.Sum(turned**2, (a, 0, d - 1))), (c, 0, k - 1))
    program = sg.program(sp.Sum(sp.log(forms), (i, 0, n - 1)), args=(X, M, L), wrt=(M, L))
    kernel, reference = (sg.compile(program, outputs="grad", backend=b) for b in (target, "numpy"))
    rng = np.random.default_rng(4)
    for rows, width, count in [(0, 3, 2), (1, 1, 1), (7, 3, 2), (300, 5, 9), (50, 9, 20)]:
        given = [rng.normal(size=s) / 2 for s in ((rows, width), (count, width), (width, width, count))]
        for ours, theirs in zip(kernel(*given), reference(*given), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11 * rows)
    strip = ROWS * 64 * 100 * 8  # bytes: the forms of its rows, of which there is one array, not another
    assert kernel.workspace(n=1000, d=64, k=100) < 2 * (64 * 64 * 100 * 8) + 1.2 * strip
