"""Sums of squares per row, in logarithms and quotients, over the whole range of doubles.

Rows of different sizes against forward mode in mpmath (`duals.py`): values, gradients and Hessians to 1e-13.
"""

from __future__ import annotations

import warnings
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact
from test_whole_range import digits, is_right

import symgrad as sg
from symgrad.loops.nest import For, If
from symgrad.loops.walk import walk

WORDS = ("value", "grad", "hess")
ROWS = COLUMNS = 2
ENTRIES = ROWS * COLUMNS
SIZES = ((1.0, 1.0), (1e-200, 1e-200), (1e200, 1e200), (1e200, 1.0), (1e160, 1e-160), (1e-160, 1.0))

m, n = sp.symbols("m n", integer=True, positive=True)
i, k = sp.symbols("i k", integer=True)
A, B = (sp.IndexedBase(name, shape=(m, n)) for name in "AB")
PLACES = sp.symbols("a0:4 b0:4", real=True)


def over_rows(e: Any) -> Any:
    return sp.Sum(e, (i, 0, m - 1))


def in_row(e: Any) -> Any:
    return sp.Sum(e, (k, 0, n - 1))


SQUARES, OTHERS = in_row(A[i, k] ** 2), in_row(B[i, k] ** 2)
DOT = in_row(A[i, k] * B[i, k])
FORMULAS = {
    "log": over_rows(sp.log(SQUARES)),
    "log1p": over_rows(sp.log(1 + SQUARES)),
    "saturation": over_rows(SQUARES / (1 + SQUARES)),
    "a share": over_rows(A[i, 0] ** 2 / SQUARES),
    "a cosine": over_rows(DOT / sp.sqrt(SQUARES * OTHERS)),
    "along rows": over_rows(DOT / sp.sqrt(SQUARES)),
    "one element": over_rows(A[i, 1] / sp.sqrt(SQUARES)),
}


def written_out(expr: Any) -> Any:
    whole = expr.subs({m: ROWS, n: COLUMNS}).doit()
    names = {"A": PLACES[:ENTRIES], "B": PLACES[ENTRIES:]}
    entries = whole.atoms(sp.Indexed)
    places = {e: COLUMNS * int(e.indices[0]) + int(e.indices[1]) for e in entries}
    return whole.xreplace({e: names[str(e.base)][places[e]] for e in entries})


def computed(kernel: Any, at: list[np.ndarray]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of overflow in branches that are not taken
        value, gradient, hessian = kernel(*at)
    if len(at) == 2:
        gradient = np.concatenate([g.ravel() for g in gradient])
        hessian = np.block([[h.reshape(ENTRIES, ENTRIES) for h in row] for row in hessian])
    return np.concatenate([np.ravel(part) for part in (value, gradient, hessian)])


def is_known(found: float, wanted: Any) -> bool:
    """Right, or no number where none is in range."""
    return is_right(found, wanted) or (abs(wanted) > np.finfo(float).max and not np.isfinite(found))


CASES = [*((name, "llvm") for name in FORMULAS), ("log", "c"), ("log", "numpy"), ("along rows", "numpy")]


@pytest.mark.parametrize(("name", "backend"), CASES)
def test_rows_out_of_range_have_their_derivatives(name: str, backend: str) -> None:
    expr, plain = FORMULAS[name], written_out(FORMULAS[name])
    arrays = [X for X in (A, B) if X in expr.atoms(sp.IndexedBase)]
    args = [*PLACES[: ENTRIES * len(arrays)]]
    kernel = sg.compile(expr, args=arrays, wrt=arrays, outputs=WORDS, backend=backend)
    rng = np.random.default_rng(0)
    numbers = rng.uniform(0.1, 1.1, (len(arrays), ROWS, COLUMNS))
    for sizes in SIZES:
        at = [part * size for part, size in zip(numbers, sizes, strict=False)]
        point = [float(x) for part in at for x in part.ravel()]
        with mpmath.workdps(digits(point)):
            wanted = exact(plain, args, point)
        for entry, (found, want) in enumerate(zip(computed(kernel, at), wanted, strict=True)):
            assert is_known(float(found), want), (sizes, entry, found, mpmath.nstr(want, 17))


def test_rows_of_all_sizes_stand_beside_each_other() -> None:
    rows = np.array([[3e200, 4e200], [3e-200, 4e-200], [3.0, 4.0], [0.0, 5.0]])
    value, gradient = sg.compile(FORMULAS["log"], wrt=A, outputs=("value", "grad"))(rows)
    sizes = [200, -200, 0, 0]
    assert value == pytest.approx(sum(2 * np.log(5) + 2 * e * np.log(10) for e in sizes), rel=1e-14)
    lengths = np.array([5e200, 5e-200, 5.0, 5.0])[:, None]
    np.testing.assert_allclose(gradient, 2 * (rows / lengths) / lengths, rtol=1e-14)


def test_the_second_sum_of_a_row_is_computed_only_out_of_range() -> None:
    routine = sg.compile(FORMULAS["log"], wrt=A, outputs="value")._spec.routine
    (first, *_) = [s for s in routine.body if isinstance(s, For)]
    assert sum(isinstance(s, For) for s in first.body) == 1
    assert any(isinstance(s, For) for _, s in walk([s for s in first.body if isinstance(s, If)]))
