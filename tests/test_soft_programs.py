"""Programs made of softmaxes, over arrays and written out: every entry of value, gradient and Hessian.

`soft_programs.py` has the programs, the points and the reference. An entry may be off by 1e-13 of itself, and
by four times what rounding of the inputs changes; nothing counts beside the largest entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from soft_programs import DIGITS, POWER, PROGRAMS, SYMBOLS, Program, exact, i, lost, mean, over, points

import symgrad as sg
from symgrad.opt.pairs import NAME as PAIRED

SIZE = 4
CHOSEN = ("30", "40, last", "700", "offset, near", "offset, far", "ties on top", "ladder")
WORDS = ("value", "grad", "hess")
OVER_ARRAYS = (
    "log-sum-exp", "softmax", "log-softmax", "mean of scores", "mean of data", "variance",
    "variance by squares", "entropy", "entropy by the mean", "soft cross-entropy", "cross-entropy",
    "softmax at a temperature", "soft minimum", "hinge",
)  # fmt: skip
WRITTEN_OUT = (
    "log-sum-exp", "softmax", "softmax, its last", "log-softmax", "mean of scores", "mean of data",
    "variance", "variance by squares", "entropy", "entropy by the mean", "perplexity", "soft cross-entropy",
    "cross-entropy", "label smoothing", "softmax at a temperature", "energy", "heat capacity",
    "soft minimum",
)  # fmt: skip


@lru_cache
def reference(name: str, size: int) -> list[tuple[str, dict[str, Any], list[Any]]]:
    """The chosen points, those of a temperature at 0.1, and what is exact there."""
    program = PROGRAMS[name]
    near = {k: p for k, p in points(program, size).items() if k.partition(", t =")[0] in CHOSEN}
    if "t" in program.names:
        near = {k: p for k, p in near.items() if p["t"] == 0.1}
    with mpmath.workdps(DIGITS):
        return [(k, p, exact(program, p)) for k, p in near.items()]


def of_arrays(program: Program, backend: str) -> Callable[[Mapping[str, Any]], list[float]]:
    """Value, gradient and Hessian by rows over all inputs, one after the other."""
    wrt = tuple(SYMBOLS[k] for k in program.inputs)
    args = [SYMBOLS[k] for k in program.names]
    kernel = sg.compile(program.arrays, args=args, wrt=wrt, outputs=WORDS, backend=backend)

    def call(point: Mapping[str, Any]) -> list[float]:
        value, grad, hess = kernel(*(point[k] for k in program.names))
        sizes = [np.size(point[k]) for k in program.inputs]
        blocks = [
            [np.reshape(block, (a, b)) for block, b in zip(row, sizes, strict=True)]
            for row, a in zip(hess, sizes, strict=True)
        ]
        return [float(value), *np.concatenate([np.ravel(g) for g in grad]), *np.block(blocks).ravel()]

    return call


def written_out(program: Program, size: int, backend: str) -> Callable[[Mapping[str, Any]], list[float]]:
    given = {k: sp.symbols(f"{k}:{size}", real=True) if k in "uvw" else SYMBOLS[k] for k in program.names}
    args, wrt = (
        [x for k in names for x in np.ravel(np.array(given[k], dtype=object))]
        for names in (program.names, program.inputs)
    )
    kernel = sg.compile(program.numbers(**given), args=args, wrt=wrt, outputs=WORDS, backend=backend)

    def call(point: Mapping[str, Any]) -> list[float]:
        value, grad, hess = kernel(*(float(x) for k in program.names for x in np.ravel(point[k])))
        return [value, *grad, *hess.ravel()]

    return call


def wrong(name: str, size: int, call: Callable[[Mapping[str, Any]], list[float]]) -> list[Any]:
    with mpmath.workdps(DIGITS):
        found = [(k, lost(PROGRAMS[name], p, call(p), wanted)) for k, p, wanted in reference(name, size)]
    return [(k, entries) for k, entries in found if entries]


@pytest.mark.parametrize("name", OVER_ARRAYS)
def test_every_entry_of_a_formula_over_arrays_has_its_digits(name: str) -> None:
    assert not wrong(name, SIZE, of_arrays(PROGRAMS[name], "llvm"))


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_every_entry_of_a_formula_written_out_has_its_digits(name: str) -> None:
    assert not wrong(name, SIZE, written_out(PROGRAMS[name], SIZE, "llvm"))


@pytest.mark.parametrize("backend", ["numpy", "c"])
@pytest.mark.parametrize("name", ["softmax", "mean of scores", "entropy"])
def test_other_targets_have_the_digits_of_what_is_written_out(name: str, backend: str) -> None:
    assert not wrong(name, SIZE, written_out(PROGRAMS[name], SIZE, backend))


@pytest.mark.parametrize(
    ("name", "size"),
    [("log-sum-exp", 10), *((k, c) for k in ("log-sum-exp", "mean of scores") for c in (2, 3))],
)
def test_any_number_of_scores_may_be_written_out(name: str, size: int) -> None:
    assert not wrong(name, size, written_out(PROGRAMS[name], size, "llvm"))


# ---- infinite scores -------------------------------------------------------------------------------

INF = float("inf")
X = sp.symbols("x:3", real=True)
WHOLE = sum(map(sp.exp, X))
LIMITS = {  # scores -> log-sum-exp, softmax
    (0.0, -INF, -INF): (0.0, (1.0, 0.0, 0.0)),
    (-INF, 3.0, -INF): (3.0, (0.0, 1.0, 0.0)),
    (1.0, 1.0, -INF): (1 + np.log(2), (0.5, 0.5, 0.0)),
    (INF, 0.0, 1.0): (INF, (1.0, 0.0, 0.0)),
    (-INF, 2.0, INF): (INF, (0.0, 0.0, 1.0)),
    (-INF, -INF, INF): (INF, (0.0, 0.0, 1.0)),
    (-INF, -INF, -INF): (-INF, (0.0, 0.0, 0.0)),  # by convention, as over arrays
}


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_infinite_scores_that_are_written_out_have_their_limits(backend: str) -> None:
    total = sg.compile(sp.log(WHOLE), args=X, wrt=X, outputs=WORDS, backend=backend)
    first = sg.compile(sp.exp(X[0]) / WHOLE, args=X, wrt=X, outputs=WORDS, backend=backend)
    log_first = sg.compile(X[0] - sp.log(WHOLE), args=X, wrt=X, outputs=("value", "grad"), backend=backend)
    for scores, (wanted, shares) in LIMITS.items():
        value, gradient, hessian = total(*scores)
        assert value == pytest.approx(wanted, rel=1e-15)
        np.testing.assert_allclose(gradient, shares, rtol=1e-15)
        p = np.array(shares)
        np.testing.assert_allclose(hessian, np.diag(p) - np.outer(p, p), rtol=1e-15)
        value, gradient, hessian = first(*scores)
        assert value == p[0]
        np.testing.assert_allclose(gradient, p[0] * ([1, 0, 0] - p), rtol=1e-15)
        assert np.isfinite(hessian).all()
        value, gradient = log_first(*scores)
        np.testing.assert_allclose(gradient, [1, 0, 0] - p, rtol=1e-15)
        finite = np.log(p[0]) if p[0] else -INF
        np.testing.assert_equal(value, np.nan if max(scores) == -INF else finite)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_shares_of_two_infinite_scores_have_no_limit(backend: str) -> None:
    total = sg.compile(sp.log(WHOLE), args=X, wrt=X, outputs=("value", "grad"), backend=backend)
    value, gradient = total(INF, 0.0, INF)
    assert value == INF
    np.testing.assert_array_equal(gradient, [np.nan, 0.0, np.nan])


# ---- what overflowed -------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_large_scores_in_quotients_of_sums_do_not_overflow(backend: str) -> None:
    """A square of a mean, a difference of exponentials over their sum, log(1 + a sum)."""
    v = SYMBOLS["v"]
    whole = over(POWER)
    formulas = (mean(v[i], POWER) ** 2, (sp.exp(v[0]) - sp.exp(v[1])) / whole, sp.log(1 + whole))
    found = [
        sg.compile(f, wrt=v, outputs="value", backend=backend)(np.array([1000.0, 999.0])) for f in formulas
    ]
    p = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(found, [(999 + p) ** 2, 2 * p - 1, 1000 - np.log(p)], rtol=1e-13)


def test_only_shares_of_the_whole_that_is_summed_have_a_variance() -> None:
    """Of exponentials over another sum, no identity of means holds."""
    v, u = SYMBOLS["v"], SYMBOLS["u"]
    whole = over(sp.exp(u[i]))
    formula = over(v[i] ** 2 * sp.exp(v[i])) / whole - (over(v[i] * sp.exp(v[i])) / whole) ** 2
    value = sg.compile(formula, args=(v, u), outputs="value")(x := np.array([0.5, 1.0]), np.array([0.0, 2.0]))
    p = np.exp(x) / (1 + np.exp(2.0))
    assert value == pytest.approx(p @ x**2 - (p @ x) ** 2, rel=1e-14)


def test_terms_that_differ_by_a_share_are_paired_in_hessians_alone() -> None:
    program = sg.program(PROGRAMS["mean of scores"].arrays, wrt=SYMBOLS["v"])
    for words, times in (("hess", True), ("grad", False), ("hvp", False)):
        units: dict[str, Any] = {}
        sg.compile(program, outputs=words, watch=units.__setitem__)
        assert bool(units["pairs"].graph.fired[PAIRED]) is times


# ---- the operations --------------------------------------------------------------------------------


def test_ten_large_scores_written_out_do_not_overflow() -> None:
    xs = sp.symbols("x:10", real=True)
    kernel = sg.compile(sp.log(sum(map(sp.exp, xs))), args=xs, wrt=xs, outputs=("value", "grad"))
    value, gradient = kernel(*range(991, 1001))
    assert value == pytest.approx(1000 + np.log(np.exp(-np.arange(10.0)).sum()), rel=1e-15)
    np.testing.assert_allclose(gradient, np.exp(np.arange(991, 1001) - value), rtol=1e-12)


def test_shares_of_one_sum_take_one_exponential_for_each_score() -> None:
    xs = sp.symbols("x:6", real=True)
    units: dict[str, Any] = {}
    sg.compile(sp.log(sum(map(sp.exp, xs))), args=xs, wrt=xs, outputs=WORDS, watch=units.__setitem__)
    g, roots = units["invariant"].graph, units["invariant"].roots
    used = g.reachable([b for t in g.definitions_below(roots) for b in g.tensors[t].bodies])
    assert [g.op[n] for n in used].count("exp") == 6


def test_a_jump_below_a_quotient_has_no_tangent() -> None:
    x, y = sp.symbols("x y", real=True)
    value, hess = sg.compile(sp.floor(x) / y, args=(x, y), wrt=(x, y), outputs=("value", "hess"))(2.5, 2.0)
    assert value == 1.0
    np.testing.assert_array_equal(hess, [[0, 0], [0, 0.5]])
