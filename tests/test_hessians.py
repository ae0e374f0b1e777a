"""Hessians: each entry computed once, exactly symmetric, and right against stored 60-digit products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sympy as sp
from programs import PROGRAMS, SharedProgram, program_named
from reference import reference_outputs
from test_reference import TOLERANCE, in_kernel_form, relative_error

import symgrad as sg
from symgrad.loops.nest import For, Routine, Statement
from symgrad.pipeline import optimise, routine_of

WITH_PRODUCTS = [program for program in PROGRAMS if "hvp" in program.outputs]
n, d, c = sp.symbols("n d c", integer=True, positive=True)
X, W, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("W", d, c), sp.MatrixSymbol("Y", n, c)
b = sp.MatrixSymbol("b", 1, c)
SOFTMAX = sg.losses.softmax_cross_entropy(X * W + sp.OneMatrix(n, 1) * b, Y)


def blocks_of(hess: Any, count: int) -> list[list[np.ndarray]]:
    """A Hessian as blocks by the `count` arrays it was taken by (all scalars count as one vector)."""
    rows = ((hess,),) if count == 1 and not isinstance(hess, tuple) else hess
    return [[np.asarray(block) for block in row] for row in rows]


def times(blocks: list[list[np.ndarray]], tangents: list[np.ndarray]) -> list[np.ndarray]:
    return [sum(np.tensordot(h, t, t.ndim) for h, t in zip(row, tangents, strict=True)) for row in blocks]  # type: ignore[misc]


def transposed(block: np.ndarray, rank: int) -> np.ndarray:
    """H[p, q] as H[q, p], where p are the first `rank` axes."""
    return np.moveaxis(block, range(rank), range(block.ndim - rank, block.ndim))


@pytest.mark.parametrize("program", WITH_PRODUCTS, ids=lambda program: program.name)
def test_a_hessian_is_exactly_symmetric_and_gives_the_stored_products(program: SharedProgram) -> None:
    kernel = sg.compile(program.expr, program.args, program.wrt, outputs="hess")
    for case in range(len(program.sizes)):
        tangents = in_kernel_form(program, list(program.tangents(case)))
        stored = reference_outputs(program, case)
        expected = in_kernel_form(program, stored["hvp"])
        blocks = blocks_of(kernel(*program.inputs(case).values()), len(tangents))
        for i, row in enumerate(blocks):
            for j, block in enumerate(row):
                mirror = transposed(blocks[j][i], tangents[j].ndim)
                assert np.array_equal(block, mirror), (case, i, j)
        scale = max(float(abs(part).max(initial=0.0)) for parts in stored.values() for part in parts) or 1.0
        for found, wanted in zip(times(blocks, tangents), expected, strict=True):
            assert relative_error(found, wanted, scale) <= TOLERANCE, case


def loops_of(body: list[Statement]) -> Iterator[For]:
    for s in body:
        if isinstance(s, For):
            yield s
        yield from loops_of(getattr(s, "body", []))


def hessian_routine(expr: Any, args: Any, wrt: Any) -> Routine:
    derived = sg.program(expr, args, wrt).derived(("hess",))
    return routine_of(optimise(derived.unit), "kernel", derived.words)


def is_triangular(loop: For, routine: Routine) -> bool:
    """A bound that depends on an outer loop."""
    names = {name for bound in (*loop.lower, *loop.upper) for monomial, _ in bound for name in monomial}
    return bool(names - set(routine.sizes))


@pytest.mark.parametrize(
    ("expr", "args", "wrt"),
    [
        (SOFTMAX, (W, b, X, Y), W),
        (SOFTMAX, (W, b, X, Y), (W, b)),
        (sp.Trace((X * W).applyfunc(sp.tanh) * (X * W).applyfunc(sp.tanh).T), (W, X), W),
    ],
    ids=["softmax by W", "softmax by W and b", "sum of squared tanh"],
)
def test_every_loop_over_samples_of_a_hessian_runs_over_the_lower_triangle(
    expr: Any, args: Any, wrt: Any
) -> None:
    routine = hessian_routine(expr, args, wrt)
    both_halves = []
    for outer in routine.body:
        nest = list(loops_of([outer]))
        extents = [str(loop.upper[0]) for loop in nest]
        if extents.count(str(((("d",), 1),))) >= 2 and any("n" in e for e in extents):
            both_halves.append(nest)
    assert both_halves, "the sum over samples of the block by W"
    for nest in both_halves:
        if len(nest) > 4:  # the reduction, not what it reads
            assert any(is_triangular(loop, routine) for loop in nest)


def test_blocks_above_the_diagonal_are_the_transposes_of_those_below() -> None:
    unit = optimise(sg.program(SOFTMAX, (W, b, X, Y), (W, b)).derived(("hess",)).unit)
    g, outputs = unit.graph, dict(unit.outputs)
    above = g.tensors[outputs["hess_W_b"]]
    assert g.op[above.body] == "read" and g.args[above.body][0] == outputs["hess_b_W"]


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 0, 3), (4, 1, 1), (5, 3, 2)])
def test_hessians_of_every_shape_agree_with_products_by_unit_vectors(
    backend: str, shape: tuple[int, int, int]
) -> None:
    rows, features, classes = shape
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(rows, features)), rng.normal(size=(features, classes))
    expr = sp.Trace((X * W).applyfunc(sp.exp) * Y.T)
    y = rng.normal(size=(rows, classes))
    hess, hvp = (sg.compile(expr, (W, X, Y), W, outputs=o, backend=backend) for o in ("hess", "hvp"))
    found = hess(w, x, y)
    assert found.shape == (features, classes, features, classes)
    for at in np.ndindex(features, classes):
        unit = np.zeros((features, classes))
        unit[at] = 1.0
        np.testing.assert_allclose(found[(..., *at)], hvp(w, x, y, tangent=unit), rtol=1e-12, atol=1e-12)


def test_the_shared_logistic_regression_sums_over_samples_once() -> None:
    program = program_named("logistic_regression")
    routine = hessian_routine(program.expr, program.args, program.wrt)
    assert any(is_triangular(loop, routine) for loop in loops_of(routine.body))
