"""Matrix products of few terms are loops in place, those of one tile are one, and every size is right."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS, M, N, call
from tolerances import assert_close

import symgrad as sg
from symgrad.loops import nest
from symgrad.loops.contract import DEPTH, ROWS, SCRATCH, contract_routine
from symgrad.loops.nest import Buffer, Contract, For, If, Poly, Routine, Start, Strided, poly, variable
from symgrad.loops.versions import MOST_TERMS, with_small_products
from symgrad.loops.walk import walk
from symgrad.targets.base import target_named
from symgrad.targets.llvm import emit_llvm

K = variable("k")
SIZES = (0, 1, 2, 3, 8, 17)


def of(
    rows: Poly, columns: Poly, depth: Poly, keep: Poly = (), sign: int = 1, turned: bool = False
) -> Routine:
    """c (+)= sign a b, or with `turned`, b stored as its transpose; `c` holds the entries of `d` before."""
    zero = (poly(0), poly(0))
    b = Strided(Start("b", zero), (poly(1), depth) if turned else (columns, poly(1)))
    a, c = Strided(Start("a", zero), (depth, poly(1))), Strided(Start("c", zero), (columns, poly(1)))
    contract = Contract(rows, columns, depth, a, b, c, keep, poly(sign), (), Start("scratch", (poly(0),)))
    before = For("i", (poly(0),), (rows,), [For("j", (poly(0),), (columns,), [
        nest.Load(0, "d", (variable("i"), variable("j"))), nest.Store("c", (variable("i"), variable("j")), 0),
    ])])  # fmt: skip
    buffers = (
        Buffer("a", "input", (rows, depth)),
        Buffer("b", "input", (columns, depth) if turned else (depth, columns)),
        Buffer("d", "input", (rows, columns)),
        Buffer("c", "output", (rows, columns)),
        Buffer("scratch", "work", (poly(SCRATCH),)),
    )
    return Routine("f", ("n", "m", "k"), ("n", "m", "k"), buffers, [before, contract])


def kinds(routine: Routine) -> list[str]:
    return [type(s).__name__ for s in routine.body[1:]]


def test_lengths_that_sizes_give_choose_when_the_kernel_runs() -> None:
    made = with_small_products(of(N, M, K))
    assert kinds(made) == ["Test", "If", "Test", "If"]
    few, small, many, large = made.body[1:]
    assert isinstance(few, nest.Test)
    assert isinstance(many, nest.Test)
    assert (few.op, few.index) == ("ige", (((), MOST_TERMS), (("k", "m", "n"), -1)))
    assert (many.op, many.index) == ("ige", (((), -MOST_TERMS - 1), (("k", "m", "n"), 1)))
    assert isinstance(small, If)
    assert isinstance(large, If)
    assert (few.dst, many.dst) == (small.condition, large.condition)
    assert [type(s) for s in large.body] == [Contract]
    loops = [s for _, s in walk(small.body) if isinstance(s, For)]
    assert [s.upper for s in loops] == [(N,), (M,), (K,)]
    assert all(s.short for s in loops)


def test_known_lengths_are_one_or_the_other() -> None:
    assert kinds(with_small_products(of(poly(2), poly(4), poly(4)))) == ["For"]
    for lengths in ((poly(2), poly(4), poly(5)), (N, poly(6), poly(6))):
        assert kinds(with_small_products(of(*lengths))) == ["Contract"]


def test_a_product_that_is_kept_where_a_number_says_so_stays_a_call() -> None:
    assert kinds(with_small_products(of(N, M, K, keep=K))) == ["Contract"]


def test_compilers_neither_unroll_nor_vectorise_short_loops() -> None:
    text = emit_llvm(with_small_products(of(N, M, K)))
    assert text.count("llvm.loop.unroll.disable") == text.count('"llvm.loop.vectorize.enable", i1 false') == 1
    assert "llvm.loop" not in emit_llvm(of(N, M, K))
    assert "f_SUM(c" not in target_named("c").emit(with_small_products(of(N, M, K)))


@pytest.mark.parametrize(("keep", "sign", "turned"), [((), 1, False), ((), -1, True), (poly(1), -1, False)])
@pytest.mark.parametrize("target", TARGETS)
def test_products_are_right_at_every_size(target: str, keep: Poly, sign: int, turned: bool) -> None:
    routine = with_small_products(of(N, M, K, keep, sign, turned))
    loaded = target_named(target).build(routine)
    rng = np.random.default_rng(0)
    for n, m, k in product(SIZES, repeat=3):
        a, b, d = rng.normal(size=(n, k)), rng.normal(size=(k, m)), rng.normal(size=(n, m))
        inputs = {"a": a, "b": np.ascontiguousarray(b.T) if turned else b, "d": d}
        found = call(target, routine, {"n": n, "m": m, "k": k}, inputs, loaded=loaded)["c"]
        assert_close(found, sign * (a @ b) + (d if keep else 0), factor=10 * max(k, 1))


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_a_gradient_through_products_is_right_at_every_size(backend: str) -> None:
    n, d = sp.symbols("n d", integer=True, positive=True)
    w = sp.MatrixSymbol("W", n, d)
    form = sp.Trace((w.T * w - sp.Identity(d)) * (w.T * w - sp.Identity(d)))
    kernel = sg.compile(form, args=(w,), wrt=w, outputs=("value", "grad"), backend=backend)
    for rows, columns in product(SIZES[1:], repeat=2):
        x = np.random.default_rng(rows).normal(size=(rows, columns))
        gap = x.T @ x - np.eye(columns)
        value, grad = kernel(x)
        assert_close(value, np.sum(gap**2), factor=100)
        assert_close(grad, 4 * x @ gap, factor=1000)


# ---- one tile --------------------------------------------------------------------------------------------


def test_a_product_of_one_tile_asks_whether_it_is_one_and_how_its_factor_lies() -> None:
    for masks in (True, False):
        first = next(s for s in contract_routine("f", 24, masks).body if isinstance(s, If))
        arms = [s.body for s in first.body if isinstance(s, If)]
        kinds = [[type(s) for s in arm] for arm in arms]
        assert kinds == [[nest.Tile], [nest.Transpose, nest.Tile]]


@pytest.mark.parametrize(("keep", "turned"), [((), False), (poly(1), False), ((), True)])
@pytest.mark.parametrize("target", TARGETS)
def test_products_around_one_tile_are_right(target: str, keep: Poly, turned: bool) -> None:
    routine = of(N, M, K, keep, -1, turned)
    loaded = target_named(target).build(routine)
    rng = np.random.default_rng(0)
    for n, m, k in product((0, 1, ROWS, ROWS + 1), (0, 1, 7, 24, 25), (0, 1, DEPTH, DEPTH + 1)):
        a, b, d = rng.normal(size=(n, k)), rng.normal(size=(k, m)), rng.normal(size=(n, m))
        inputs = {"a": a, "b": np.ascontiguousarray(b.T) if turned else b, "d": d}
        found = call(target, routine, {"n": n, "m": m, "k": k}, inputs, loaded=loaded)["c"]
        assert_close(found, (d if keep else 0) - a @ b, factor=10 * max(k, 1))
