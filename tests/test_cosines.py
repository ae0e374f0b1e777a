"""Cosines of arrays, one element of which is nearly all of its norm: u'v/(|u||v|), u'v/|v|, v[0]/|v|.

The derivative of v[0]/|v| by v[0] is (1 - c*c)/|v| with c = v[0]/|v|: of 1 - c*c nothing would be left.
The reference is mpmath.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.nest import Compute, For, If
from symgrad.loops.walk import walk
from symgrad.opt.others import others_in

TARGETS = ("numpy", "llvm", "c")
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
v, w = (sp.IndexedBase(name, shape=(n,)) for name in "vw")
SIZE = 3


def total(term: Any, axis: sp.Symbol = i) -> Any:
    return sp.Sum(term, (axis, 0, n - 1))


def dot(x: Any, y: Any) -> Any:
    return mpmath.fdot(x, y)


def length(x: Any) -> Any:
    return mpmath.sqrt(dot(x, x))


SQUARES, OTHERS, PRODUCTS = total(v[i] ** 2), total(w[i] ** 2), total(v[i] * w[i])
# formula of v and w, and the one in two lists of numbers
COSINES: dict[str, tuple[Any, Any]] = {
    "of two arrays": (
        PRODUCTS / sp.sqrt(SQUARES) / sp.sqrt(OTHERS), lambda x, y: dot(x, y) / length(x) / length(y)),
    "under one root": (PRODUCTS / sp.sqrt(SQUARES * OTHERS), lambda x, y: dot(x, y) / length(x) / length(y)),
    "along one array": (PRODUCTS / sp.sqrt(SQUARES), lambda x, y: dot(x, y) / length(x)),
    "of one element": (w[0] * v[0] / sp.sqrt(SQUARES), lambda x, y: y[0] * x[0] / length(x)),
    "beside a number": (
        PRODUCTS / sp.sqrt(SQUARES + 1), lambda x, y: dot(x, y) / mpmath.sqrt(dot(x, x) + 1)),
}  # fmt: skip
POINTS = (
    ((1.0, 3e-9, -2e-9), (2.0, 1.0, -0.5)), ((-2e-14, 1e-15, 3.0), (1e-14, 3e-14, 7.0)),
    ((1e-5, 700.0, -2e-4), (3.0, 1e-6, 2e-6)), ((1e150, 2e136, -1e137), (1.0, 2e-9, 3e-8)),
    ((3e-170, 2e-160, 1e-172), (1.0, 2.0, 3.0)), ((4e250, -1e240, 3e243), (2e9, 3.0, 5.0)),
    ((0.5, -1.5, 1.25), (1.5, 0.25, -2.0)), ((2.0, -2.5, 2.0), (1.0, 1.0, -1.0)),
)  # fmt: skip


@cache
def exact(formula: Any, at: tuple[Any, ...]) -> tuple[list[Any], list[list[Any]]]:
    """Gradient and Hessian, by central differences in so many digits that nothing of them is lost."""
    with mpmath.workdps(400):
        x = [mpmath.mpf(a) for part in at for a in part]
        steps = [mpmath.mpf(10) ** -100 * max(map(abs, part)) for part in at for _ in part]

        def moved(*by: tuple[int, int]) -> Any:
            y = list(x)
            for place, times in by:
                y[place] += times * steps[place]
            return formula(y[:SIZE], y[SIZE:])

        places = range(2 * SIZE)
        gradient = [(moved((a, 1)) - moved((a, -1))) / (2 * steps[a]) for a in places]
        hessian = [
            [
                (
                    moved((a, 1), (b, 1))
                    - moved((a, 1), (b, -1))
                    - moved((a, -1), (b, 1))
                    + moved((a, -1), (b, -1))
                )
                / (4 * steps[a] * steps[b])
                for b in places
            ]
            for a in places
        ]
        return gradient, hessian


def is_near(found: float, wanted: Any) -> bool:
    if abs(wanted) > np.finfo(float).max:
        return not np.isfinite(found)
    return abs(mpmath.mpf(float(found)) - wanted) <= 1e-13 * abs(wanted) + 1e-300


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", COSINES)
def test_gradients_of_cosines_keep_their_digits_beside_a_main_element(name: str, target: str) -> None:
    expr, formula = COSINES[name]
    compiled = sg.compile(expr, args=(v, w), wrt=(v, w), outputs="grad", backend=target)
    for at in POINTS:
        wanted, _ = exact(formula, at)
        found = np.concatenate(compiled(*map(np.array, at)))
        assert all(map(is_near, found, wanted)), at


@pytest.mark.parametrize("name", ["along one array", "of one element"])
def test_so_do_their_hessians(name: str) -> None:
    expr, formula = COSINES[name]
    compiled = sg.compile(expr, args=(v, w), wrt=v, outputs=("hess", "hess_diag"))
    for at in POINTS:
        _, wanted = exact(formula, at)
        hessian, diagonal = compiled(*map(np.array, at))
        for a in range(SIZE):
            assert all(is_near(hessian[a, b], wanted[a][b]) for b in range(SIZE)), (at, a)
            assert is_near(diagonal[a], wanted[a][a]), (at, a)


@pytest.mark.parametrize("target", TARGETS)
def test_many_elements_are_as_right_with_a_main_one_as_without(target: str) -> None:
    compiled = sg.compile(
        COSINES["of two arrays"][0], args=(v, w), wrt=(v, w), outputs="grad", backend=target
    )
    rng = np.random.default_rng(0)
    for main in (0.0, 2.0, 20.0, 1e9):
        x, y = rng.standard_normal(50), rng.standard_normal(50)
        x[7] += main
        with mpmath.workdps(60):
            xs, ys = ([mpmath.mpf(float(a)) for a in part] for part in (x, y))
            h, product = length(xs), dot(xs, ys)
            scale = h**3 * length(ys)
            wanted = [
                (b * mpmath.fsum(c * c for q, c in enumerate(xs) if q != p)
                 - a * mpmath.fsum(c * d for q, (c, d) in enumerate(zip(xs, ys, strict=True)) if q != p))
                / scale
                for p, (a, b) in enumerate(zip(xs, ys, strict=True))
            ]  # fmt: skip
            sizes = [
                (abs(b) * (h * h - a * a) + abs(a * (product - a * b))) / scale
                for a, b in zip(xs, ys, strict=True)
            ]
        found = compiled(x, y)[0]
        for got, want, size in zip(found, wanted, sizes, strict=True):
            assert abs(mpmath.mpf(float(got)) - want) <= 4e-15 * size + 1e-30, main


@pytest.mark.parametrize("target", TARGETS)
def test_a_cosine_of_single_numbers_does_not_change(target: str) -> None:
    expr, _ = COSINES["of two arrays"]
    compiled = sg.compile(expr, args=(v, w), wrt=(v, w), outputs="grad", backend=target)
    assert all(part == 0 for part in compiled(np.array([3.0]), np.array([-0.7])))


def test_a_gradient_without_a_main_element_is_two_loops() -> None:
    """All other loops stand under a condition."""
    cosine, arrays = PRODUCTS / sp.sqrt(SQUARES * OTHERS), (v, w)
    compiled = sg.compile(cosine, args=arrays, wrt=arrays, outputs=("value", "grad"))
    body = compiled._spec.routine.body
    assert sum(isinstance(s, For) for s in body) == 1
    graph, roots = (unit := sg.program(cosine, arrays, arrays).derived(("grad",)).unit).graph, unit.roots
    assert any(others_in(graph, t) for t in graph.definitions_below(roots))
    choices = [s for s in body if isinstance(s, If) and any(isinstance(inside, For) for inside in s.body)]
    (last,) = [s for _, s in walk([choices[-2]]) if isinstance(s, For)]
    assert not any(isinstance(s, Compute) and s.op in ("where", "mask", "div") for s in last.body)
