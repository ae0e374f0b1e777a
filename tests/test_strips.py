"""Strips of matrix products: the same numbers for every size, with memory for one strip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS
from sympy.matrices.expressions.special import OneMatrix

import symgrad as sg
from symgrad.loops.effects import Effects, Several, commute
from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    Contract,
    For,
    Least,
    Load,
    Poly,
    Routine,
    Start,
    Statement,
    Store,
    StoreReduce,
    Strided,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.strips import ROWS, stripped
from symgrad.loops.walk import walk

n, d, k = sp.symbols("n d k", integer=True, positive=True)
I, C, A = sp.symbols("i c a", integer=True)  # noqa: E741  (indices)
SIZES = (0, 1, ROWS, ROWS + 1, 2 * ROWS + 5)
RNG = np.random.default_rng(3)


def nearest() -> sg.Program:
    """The sum of the least entries of the rows of a product."""
    X, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("W", shape=(k, d))
    squares = sp.Sum(W[C, A] ** 2, (A, 0, d - 1))
    least = sg.Minimum(squares - 2 * sp.Sum(X[I, A] * W[C, A], (A, 0, d - 1)), (C, 0, k - 1))
    return sg.program(sp.Sum(least, (I, 0, n - 1)), args=(X, W), wrt=W)


def network() -> sg.Program:
    """Two layers, whose gradients are products that sum over the long axis."""
    X, W, V = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("W", d, k), sp.MatrixSymbol("V", k, d)
    error = (X * W).applyfunc(sp.tanh) * V - X
    return sg.program(sp.Trace(error.T * error), args=(X, W, V), wrt=(W, V))


def mixture() -> sg.Program:
    """Of forms with a triangular factor each: products with a further axis."""
    X, L = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("L", shape=(k, d, d))
    B = sp.Symbol("b", integer=True)
    turned = sp.Sum(sg.Where(B <= A, L[C, A, B], 0) * X[I, B], (B, 0, d - 1))
    forms = sp.Sum(sp.exp(-sp.Sum(turned**2, (A, 0, d - 1))), (C, 0, k - 1))
    return sg.program(sp.Sum(sp.log(1 + forms), (I, 0, n - 1)), args=(X, L), wrt=L)


def centred() -> sg.Program:
    """A product whose first factor is the difference of a row and each of several centres."""
    X, M = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("M", shape=(k, d))
    L = sp.IndexedBase("L", shape=(k, d, d))
    B = sp.Symbol("b", integer=True)
    turned = sp.Sum(L[C, A, B] * (X[I, B] - M[C, B]), (B, 0, d - 1))
    forms = sp.Sum(sp.exp(-sp.Sum(turned**2, (A, 0, d - 1))), (C, 0, k - 1))
    return sg.program(sp.Sum(forms, (I, 0, n - 1)), args=(X, M, L), wrt=(M, L))


def spread() -> sg.Program:
    """Sums of the columns of what was made of a product."""
    X, W = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("W", d, k)
    b = sp.MatrixSymbol("b", 1, k)
    u = (X * W + OneMatrix(n, 1) * b).applyfunc(sp.sin)
    return sg.program(sp.Trace(u.T * u), args=(X, W, b), wrt=(W, b))


SHAPES: dict[Callable[[], sg.Program], list[tuple[int, ...]]] = {
    nearest: [(7, 5)], network: [(5, 4), (4, 5)], mixture: [(3, 5, 5)], centred: [(3, 5), (3, 5, 5)],
    spread: [(5, 4), (1, 4)],
}  # fmt: skip


def flat(results: object) -> np.ndarray:
    """All numbers of a result, in a row."""
    if isinstance(results, tuple):
        return np.concatenate([flat(r) for r in results])
    return np.ravel(results)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("made", SHAPES)
def test_strips_give_what_the_reference_gives_at_every_length(
    made: Callable[[], sg.Program], target: str
) -> None:
    program, words = made(), ("value", "grad")
    kernel, reference = (sg.compile(program, outputs=words, backend=b) for b in (target, "numpy"))
    others = [RNG.normal(size=shape) for shape in SHAPES[made]]
    for rows in SIZES:
        given = [RNG.normal(size=(rows, 5)), *others]
        ours, theirs = (flat(k(*given)) for k in (kernel, reference))
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11 * (1 + rows))


@pytest.mark.parametrize("made", [nearest, network, mixture, centred])
def test_the_workspace_does_not_grow_with_the_long_axis(made: Callable[[], sg.Program]) -> None:
    kernel = sg.compile(made(), outputs="grad", backend="c")
    assert kernel.workspace(n=10**7, d=5, k=4) == kernel.workspace(n=10**3, d=5, k=4)
    assert kernel.workspace(n=4, d=5, k=4) < kernel.workspace(n=10**3, d=5, k=4)


def test_products_that_add_up_in_one_result_share_strips() -> None:
    """Along a direction a gradient is a sum of two products over the long axis."""
    kernel, reference = (sg.compile(network(), outputs="hvp", backend=b) for b in ("c", "numpy"))
    assert kernel.workspace(n=10**7, d=5, k=4) == kernel.workspace(n=10**3, d=5, k=4)
    W, V = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 5))
    for rows in SIZES:
        X = RNG.normal(size=(rows, 5))
        ours, theirs = (flat(k(X, W, V, tangent=(W[::-1], V[::-1]))) for k in (kernel, reference))
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11 * (1 + rows))


# ---- routines made by hand ---------------------------------------------------------------------

N, K, J, R = variable("n"), variable("k"), variable("j"), variable("r")


def routine(body: list[Statement]) -> Routine:
    x, w, y = (Buffer(name, role, (N, K)) for name, role in (("x", "input"), ("w", "input"), ("y", "output")))
    work = (Buffer("c", "work", (N, K)), Buffer("t", "work", (N, K)), Buffer("s", "work", (poly(9600),)))
    return Routine("f", ("n", "k"), ("n", "k"), (x, w, y, *work), body)


def multiplied() -> Contract:
    """c = x w', row by row."""
    zero = (poly(0), poly(0))
    a, b, c = (Start(name, zero) for name in "xwc")
    one, start = poly(1), Start("s", (poly(0),))
    return Contract(N, K, K, Strided(a, (K, one)), Strided(b, (one, K)), Strided(c, (K, one)),
                    poly(0), one, poly(0), start)  # fmt: skip


def over(body: list[Statement]) -> For:
    return For("r", (poly(0),), (N,), [For("j", (poly(0),), (K,), body)])


def extents(r: Routine) -> dict[str, Poly]:
    return {b.name: b.extents[0] for b in r.buffers}


def test_a_loop_on_the_rows_of_a_product_joins_its_strips() -> None:
    made = stripped(routine([multiplied(), over([Load(0, "c", (R, J)), Store("y", (R, J), 0)])]))
    assert extents(made)["c"] == variable("rows")
    assert extents(made)["y"] == N
    assert [type(s) for s in made.body[-1].body] == [Least, Least, Least, Contract, For]


def test_a_loop_that_makes_what_a_product_reads_joins_its_strips() -> None:
    maker = over([Load(0, "x", (R, J)), Store("t", (R, J), 0)])
    other = over([Load(0, "w", (R, J)), Store("y", (R, J), 0)])
    zero, product = (poly(0), poly(0)), multiplied()
    product = replace(product, a=replace(product.a, start=Start("t", zero)))
    reader = over([Load(0, "c", (R, J)), StoreReduce("sum", "y", (R, J), 0)])
    made = stripped(routine([maker, other, product, reader]))
    assert extents(made) == extents(routine([])) | {"c": variable("rows"), "t": variable("rows")}
    assert made.body[0] == other
    assert [type(s) for s in made.body[-1].body] == [Least, Least, Least, For, Contract, For]
    columns = over([Load(0, "t", (J, R)), Store("y", (R, J), 0)])
    kept = stripped(routine([maker, product, reader, columns]))
    assert extents(kept) == extents(routine([])) | {"c": variable("rows")}


@pytest.mark.parametrize(
    "index",
    [(poly_add(R, poly(1)), poly(0)), (poly(0), poly(0)), (J, R)],
    ids=["the next row", "one number", "columns"],
)
def test_a_loop_that_reads_elsewhere_stays_behind_the_product(index: tuple[Poly, Poly]) -> None:
    body = [multiplied(), over([Load(0, "c", index), Store("y", (R, J), 0)])]
    assert stripped(routine(body)).body == body


def test_what_stands_between_moves_in_front_or_behind() -> None:
    between = [over([Load(1, "x", (R, J)), Store("t", (R, J), 1)])]
    last = over(
        [Load(2, "t", (J, R)), Load(0, "c", (R, J)), Compute(3, "add", (0, 2)), Store("y", (R, J), 3)]
    )
    made = stripped(routine([multiplied(), *between, last]))
    loop = made.body[-1]
    assert between[0] in made.body and extents(made) == extents(routine([])) | {"c": variable("rows")}
    assert isinstance(loop, For) and len(loop.body) == 5


def test_sums_into_what_other_loops_read_are_not_cut() -> None:
    added = For("j", (poly(0),), (K,), [For("r", (poly(0),), (N,), [
        Load(0, "c", (R, J)), StoreReduce("sum", "t", (J, poly(0)), 0)])])  # fmt: skip
    reader = over([Load(1, "t", (J, poly(0))), Store("y", (R, J), 1)])
    made = stripped(routine([multiplied(), added, reader]))
    assert made.body[-1] == reader
    assert sum(isinstance(s, For) and s.step > 1 for _, s in walk(made.body)) == 1


def test_a_sum_over_the_strips_is_added_to_zeros() -> None:
    summed = For("j", (poly(0),), (K,), [
        Const(7, ("q", 0, 1)), Cell(8, 7),
        For("r", (poly(0),), (N,), [Load(0, "c", (R, J)), Accumulate("sum", 8, 0)]),
        Store("y", (poly(0), J), 8),
    ])  # fmt: skip
    made = stripped(routine([multiplied(), summed]))
    zeros, _, strips = made.body
    assert extents(made)["c"] == variable("rows")
    assert isinstance(zeros, For) and [type(s) for s in zeros.body] == [Const, Store]
    assert isinstance(strips, For)
    assert any(isinstance(s, StoreReduce) and s.kind == "sum" for _, s in walk(strips.body))


def test_a_statement_commutes_with_several_if_it_does_with_each_of_them() -> None:
    rng = np.random.default_rng(11)

    def some(names: str) -> frozenset[str]:
        return frozenset(name for name in names if rng.random() < 0.12)

    def one() -> Effects:
        return Effects(some("abcd"), some("abcd"), some("xyz"), some("xyz"), some("xyz"), rng.random() < 0.05)

    outcomes = set()
    for size in [*range(5)] * 80:
        others, own, together = [one() for _ in range(size)], one(), Several()
        for other in others:
            together.add(other)
        outcome = all(commute(own, other) for other in others)
        assert together.commute(own) == outcome
        outcomes.add((size, outcome))
    assert len(outcomes) == 9  # both, of every number of them; with none it always does
