"""Sums of squares over an axis, in logarithms and quotients, over the whole range of doubles.

Vectors of all magnitudes and signs, and mixtures of them, against forward mode in mpmath (`duals.py`). An
entry is right to 1e-13 and a few times what it changes by when the numbers change by a unit in the last
place; next to the ends of the range it is of that size. Where one element is nearly all of a length,
derivatives by it are differences, which no sum over all elements has: of mixtures only values are looked at.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact
from test_whole_range import digits, is_right

import symgrad as sg
from symgrad.loops.nest import For, If

UNITS = 8
SIZES = (1e-300, 1e-200, 1e-160, 1e-120, 1e-80, 1e-10, 1.0, 1e10, 1e80, 1e130, 1e155, 1e200, 1e300)
SHARES = (1.0, 0.5, 0.3, 0.7, 0.9)

n = sp.Symbol("n", integer=True, positive=True)
i, k = sp.symbols("i k", integer=True)
v, w = (sp.IndexedBase(name, shape=(n,)) for name in "vw")
PLACES = sp.symbols("v0:3 w0:3", real=True)
log, sqrt = sp.log, sp.sqrt


def total(e: Any, index: Any = i) -> Any:
    return sp.Sum(e, (index, 0, n - 1))


S, T, D = total(v[i] ** 2), total(w[i] ** 2), total((v[i] - w[i]) ** 2)
DOT, LENGTH = total(v[i] * w[i]), sqrt(total(v[k] ** 2, k))
WITH_HESSIAN = (
    S / (1 + S), 1 / (1 + S), 1 / (1 + S) ** 2, (1 - S) / (1 + S), (S / n) / (1 + S / n), D / (1 + D),
    1 / (1 + D), total(v[i] ** 2 / (1 + S)),
)  # fmt: skip
WITH_GRADIENT = (
    log(1 + S), log(1 + S / n), v[0] / (1 + S), total(v[i]) / (1 + S), v[0] / sqrt(1 + S), sqrt(1 + S),
    log(S), log(S / n), log(S) / 2 + 1, log(D), v[0] / sqrt(S), total(v[i]) / sqrt(S), sqrt(1 + D),
    log(1 + D), total(v[i] / LENGTH), sqrt(D), 1 / sqrt(D),
)  # fmt: skip
WITH_VALUE = (
    S / (S + T), DOT / (S + T), (S - T) / (S + T), DOT / S, DOT / (sqrt(S) * sqrt(T)), DOT / (1 + S),
    DOT**2 / (S * T), log(S + T), D / (S + T), 2 * DOT / (S + T), total(sp.tanh(v[i] / sqrt(S / n))),
    v[0] * v[1] / S, v[0] ** 2 / S, v[0] ** 2 / (1 + S), DOT / sqrt(S * T),
)  # fmt: skip
OF_LIKE_SIZES = (  # elsewhere the sum of products overflows or underflows where no sum of squares does
    DOT / S, DOT / (1 + S), DOT / (sqrt(S) * sqrt(T)), DOT / sqrt(S * T),
)  # fmt: skip
ENTRIES = {
    **dict.fromkeys(WITH_HESSIAN, ("value", "grad", "hess")),
    **dict.fromkeys(WITH_GRADIENT, ("value", "grad")),
    **dict.fromkeys(WITH_VALUE, ("value",)),
}


def vectors(count: int, is_mixed: bool) -> Iterator[list[float]]:
    """Numbers of one size, one vector after the other; of all sizes if mixed, each of its own."""
    rng = random.Random(count)
    for size in SIZES:
        for _ in range(2):
            numbers = []
            for _ in range(count):
                base = rng.choice(SIZES) if is_mixed else size
                numbers.append(base * rng.choice(SHARES) * rng.choice((1, -1)))
            yield numbers


def written_out(expr: Any) -> Any:
    whole = expr.subs(n, 3).doit()
    names = {"v": PLACES[:3], "w": PLACES[3:]}
    return whole.xreplace({e: names[str(e.base)][int(e.indices[0])] for e in whole.atoms(sp.Indexed)})


def computed(expr: Any, points: list[list[float]], words: tuple[str, ...], backend: str) -> np.ndarray:
    """A row per point: what is asked for, with Hessians by rows."""
    arrays = [a for a in (v, w) if a in expr.atoms(sp.IndexedBase)]
    kernel = sg.compile(expr, args=arrays, wrt=arrays, outputs=words, backend=backend)
    numbers = np.array(points)
    given = [np.ascontiguousarray(numbers[:, 3 * place : 3 * place + 3]) for place in range(len(arrays))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of overflow in branches that are not taken
        found = kernel(*given)
    rows = []
    for word, part in zip(words, found if len(words) > 1 else (found,), strict=True):
        if word == "hess" and len(arrays) == 2:
            part = np.block([list(row) for row in part])
        if word == "grad" and len(arrays) == 2:
            part = np.concatenate(part, axis=1)
        rows.append(np.asarray(part).reshape(len(points), -1))
    return np.concatenate(rows, axis=1)


def wrong(expr: Any, is_mixed: bool, backend: str) -> list[Any]:
    words, plain = ("value",) if is_mixed else ENTRIES[expr], written_out(expr)
    args = [p for p in PLACES if p in plain.free_symbols]
    args = [*PLACES] if len(args) > 3 else [*PLACES[:3]]
    points = list(vectors(len(args), is_mixed))
    found = []
    for point, row in zip(points, computed(expr, points, words, backend), strict=True):
        with mpmath.workdps(digits(point)):
            wanted = exact(plain, args, point)[: len(row)]
            bad = [e for e in range(len(row)) if not is_right(float(row[e]), wanted[e])]
            changes = [mpmath.mpf(0)] * len(wanted)
            for place in range(len(point)) if bad else ():
                moved = [mpmath.mpf(p) for p in point]
                moved[place] *= 1 + mpmath.mpf(2) ** -52
                there = exact(plain, args, moved)[: len(row)]
                changes = [c + abs(a - b) for c, a, b in zip(changes, there, wanted, strict=True)]
            still = [e for e in bad if not abs(float(row[e]) - wanted[e]) <= UNITS * changes[e]]
            found += [(point, e, float(row[e]), mpmath.nstr(wanted[e], 17)) for e in still]
    return found


@pytest.mark.parametrize("expr", ENTRIES, ids=str)
def test_of_one_size(expr):
    assert wrong(expr, False, "llvm") == []


@pytest.mark.parametrize("expr", [e for e in ENTRIES if e not in OF_LIKE_SIZES], ids=str)
def test_of_all_sizes(expr):
    assert wrong(expr, True, "llvm") == []


@pytest.mark.parametrize("backend", ["c", "numpy"])
@pytest.mark.parametrize("expr", [S / (1 + S), log(S), DOT / (sqrt(S) * sqrt(T)), DOT / S], ids=str)
def test_on_every_target(expr, backend):
    assert wrong(expr, False, backend) == []


def test_a_side_times_a_length_has_its_hessian():
    """Of more sides than the powers beside them: such products stay as they are."""
    (row,) = computed(v[0] * sqrt(S), [[1e155, 1e10, 1e155]], ("hess",), "llvm")
    root = math.sqrt(0.5)
    np.testing.assert_allclose(row[[0, 2, 8]], [2.5 * root, 0.5 * root, 0.5 * root], rtol=1e-13)


def test_terms_over_a_length_twice_cancel_where_one_number_is_nearly_all_of_it():
    """The exact entry is -3.5e-360; of terms that were taken apart differently 3e-176 was left."""
    rms = sp.sqrt(total(v[k] ** 2, k) / n)
    (row,) = computed(total(sp.tanh(v[i] / rms)), [[1e80, -1e-300, -1e-120]], ("hess",), "llvm")
    assert abs(row[0]) < 1e-300


def test_the_second_sum_is_computed_only_out_of_range():
    routine = sg.compile(log(S), wrt=v, outputs="value")._spec.routine
    inside = [s for s in routine.body if isinstance(s, If)]
    loops = [s for s in routine.body if isinstance(s, For)]
    assert len(loops) == 1
    assert any(isinstance(s, For) for choice in inside for s in choice.body)
