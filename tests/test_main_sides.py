"""Norms of arrays one element of which is nearly all of the norm, and sums over all elements but one.

The Hessian of |x| is (1 - u*u')/|x| with u = x/|x|: of 1 - u[i]*u[i] nothing would be left.
The reference is mpmath.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.graph import Graph
from symgrad.opt.others import sums_of_others

TARGETS = ("numpy", "llvm", "c")
n, m = sp.symbols("n m", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
v, w = (sp.IndexedBase(name, shape=(n,)) for name in "vw")
A = sp.IndexedBase("A", shape=(n, n))
M = sp.MatrixSymbol("M", n, n)


def total(term: Any, axis: sp.Symbol = i) -> Any:
    return sp.Sum(term, (axis, 0, n - 1))


# formula of v, and the one in numbers x[0], x[1], x[2]
NORMS: dict[str, tuple[Any, Any]] = {
    "a norm": (sp.sqrt(total(v[i] ** 2)), lambda x: mpmath.sqrt(sum(a * a for a in x))),
    "a root mean square": (sp.sqrt(total(v[i] ** 2) / n), lambda x: mpmath.sqrt(sum(a * a for a in x) / 3)),
    "with a number": (sp.sqrt(total(v[i] ** 2) + 1), lambda x: mpmath.sqrt(sum(a * a for a in x) + 1)),
    "of multiples": (
        2 * sp.sqrt(total((3 * v[i]) ** 2)), lambda x: 6 * mpmath.sqrt(sum(a * a for a in x))),
    "a function of it": (
        sp.exp(-sp.sqrt(total(v[i] ** 2))), lambda x: mpmath.exp(-mpmath.sqrt(sum(a * a for a in x)))),
}  # fmt: skip
POINTS = (
    (1.0, 3e-9, -2e-9), (-2e-14, 1e-15, 3.0), (1e-5, 700.0, -2e-4), (1e150, 2e136, -1e137),
    (3e-170, 2e-160, 1e-172), (4e250, -1e240, 3e243), (0.5, -1.5, 1.25), (2.0, -2.0, 2.0), (0.0, 3.0, 0.0),
)  # fmt: skip
DIRECTIONS = ((0.75, -1.5, 0.5), (1e-9, 2.0, -1e-9))


def exact(formula: Any, at: tuple[float, ...]) -> list[list[Any]]:
    """The Hessian, by central differences in so many digits that nothing of them is lost."""
    with mpmath.workdps(2500):
        x, h = [mpmath.mpf(a) for a in at], mpmath.mpf(10) ** -700 * max(map(abs, at))

        def moved(a: int, b: int, first: int, second: int) -> Any:
            y = list(x)
            y[a] += first * h
            y[b] += second * h
            return formula(y)

        return [
            [
                (moved(a, b, 1, 1) - moved(a, b, 1, -1) - moved(a, b, -1, 1) + moved(a, b, -1, -1))
                / (4 * h * h)
                for b in range(3)
            ]
            for a in range(3)
        ]


def is_near(found: float, wanted: Any, size: Any = 0) -> bool:
    return abs(mpmath.mpf(float(found)) - wanted) <= 2e-14 * (abs(wanted) + size) + 1e-305


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NORMS)
def test_second_derivatives_of_a_norm_keep_their_digits_beside_a_main_element(name: str, target: str) -> None:
    expr, formula = NORMS[name]
    compiled = sg.compile(expr, wrt=v, outputs=("hess", "hess_diag", "hvp"), backend=target)
    for at in POINTS:
        wanted = exact(formula, at)
        for direction in DIRECTIONS:
            hess, diagonal, product = compiled(np.array(at), tangent=np.array(direction))
            for a in range(3):
                assert all(is_near(hess[a, b], wanted[a][b]) for b in range(3)), (at, a)
                assert is_near(diagonal[a], wanted[a][a]), (at, a)
                terms = [wanted[a][b] * mpmath.mpf(direction[b]) for b in range(3)]
                assert is_near(product[a], sum(terms), max(map(abs, terms))), (at, a)


@pytest.mark.parametrize("target", TARGETS)
def test_norms_of_matrices_and_rows_keep_them_too(target: str) -> None:
    at = np.array([[1e-9, 2.0], [3e-9, -1e-9]])
    frobenius = sg.compile(sp.sqrt(sp.Trace(M.T * M)), wrt=M, outputs="hess_diag", backend=target)
    others = np.array([[4 + 1e-17, 1.1e-17], [4, 4]])
    np.testing.assert_allclose(frobenius(at), others / 8, rtol=1e-14)
    rows = total(sp.sqrt(sp.Sum(A[j, i] ** 2, (i, 0, n - 1))), j)
    diagonal = sg.compile(rows, wrt=A, outputs="hess_diag", backend=target)(at)
    np.testing.assert_allclose(
        diagonal, [[0.5, 1e-18 / 8], [1e-18 / 1e-27 / 10**1.5, 9e-18 / 1e-27 / 10**1.5]], rtol=1e-14
    )


@pytest.mark.parametrize("target", TARGETS)
def test_a_sum_over_all_but_one_is_right_beside_a_large_one(target: str) -> None:
    place = sp.Idx("place", n)
    others = total(sp.Piecewise((0, sp.Eq(i, place)), (v[i] * w[i], True)))
    compiled = sg.compile(others, args=(v, w), axes=[place], outputs="value", backend=target)
    for a in ([1e20, 1.0, 2.0, -0.5], [1.0, 1.0, 1.0, 1.0], [3.0, -3.0, 1e-9, 2e-9], [0.0, 0.0, 0.0, 5.0]):
        wanted = [sum(a[:k]) + sum(a[k + 1 :]) for k in range(4)]
        size = np.array([max(abs(b) for q, b in enumerate(a) if q != k) for k in range(4)])
        assert np.all(np.abs(compiled(np.array(a), np.ones(4)) - wanted) <= 1e-15 * size), a


def test_sums_over_all_but_one_take_one_loop_after_the_other() -> None:
    unit = sg.program(sp.sqrt(total(v[i] ** 2)), wrt=v).derived(("hvp",)).unit
    graph, places = sums_of_others(unit.graph, unit.roots)
    below = graph.definitions_below([places[t] for t in unit.roots])
    assert any(_loops(unit.graph, t) == 2 for t in unit.graph.definitions_below(unit.roots))
    assert all(_loops(graph, t) <= 1 for t in below)


def _loops(g: Graph, t: int) -> int:
    return len(g.tensors[t].out) + len(g.tensors[t].red)


@pytest.mark.parametrize("target", TARGETS)
def test_infinite_elements_and_the_smallest_ones_leave_the_others_as_they_are(target: str) -> None:
    compiled = sg.compile(sp.sqrt(total(v[i] ** 2)), wrt=v, outputs=("hess", "hess_diag"), backend=target)
    with np.errstate(all="ignore"):
        hess, diagonal = compiled(np.array([np.inf, 1.0, 2.0]))
        assert np.all(hess[1:, 1:] == 0) and np.all(diagonal[1:] == 0)
        hess, _ = compiled(np.array([0.0, 5e-324, 0.0]))
        assert np.array_equal(hess, np.diag([np.inf, 0, np.inf]))
