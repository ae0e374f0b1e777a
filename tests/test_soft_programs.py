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
from kept_digits import RELATIVE, ROUNDINGS, SMALLEST, wrong_entries
from soft_programs import (
    DIGITS,
    LSE,
    POWER,
    PROGRAMS,
    SYMBOLS,
    Program,
    changes,
    exact,
    i,
    lost,
    mean,
    over,
    points,
)

import symgrad as sg

SIZE = 4
WORDS = ("value", "grad", "hess")
NEAR = ("40", "40, last", "offset, near", "ties on top", "ladder, t = 0.1", "ladder")


@lru_cache
def reference(name: str, size: int) -> list[tuple[str, dict[str, Any], list[Any]]]:
    """All points, and what is exact there."""
    with mpmath.workdps(DIGITS):
        return [(k, p, exact(PROGRAMS[name], p)) for k, p in points(PROGRAMS[name], size).items()]


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
    return [(k, entry) for k, entries in found for entry in entries]


def kernel_of(form: str, program: Program, size: int, backend: str) -> Callable[..., list[float]]:
    return of_arrays(program, backend) if form == "arrays" else written_out(program, size, backend)


@pytest.mark.parametrize("form", ["arrays", "written out"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_entry_has_its_digits(name: str, form: str) -> None:
    found = wrong(name, SIZE, kernel_of(form, PROGRAMS[name], SIZE, "llvm"))
    assert not found


@pytest.mark.parametrize("backend", ["numpy", "c"])
@pytest.mark.parametrize("name", ["softmax", "mean of scores", "entropy"])
def test_other_targets_have_the_digits_of_what_is_written_out(name: str, backend: str) -> None:
    assert not wrong(name, SIZE, written_out(PROGRAMS[name], SIZE, backend))


@pytest.mark.parametrize("name", ["divergence", "energy", "variance"])
def test_the_reference_has_the_digits_of_what_is_over_arrays(name: str) -> None:
    """It computes both blocks of a Hessian that machine code copies from one."""
    assert not wrong(name, SIZE, of_arrays(PROGRAMS[name], "numpy"))


@pytest.mark.parametrize(
    ("name", "size"),
    [("log-sum-exp", 10), *((k, 2) for k in PROGRAMS if "u" not in PROGRAMS[k].names), ("divergence", 3)],
)
def test_any_number_of_scores_may_be_written_out(name: str, size: int) -> None:
    found = wrong(name, size, written_out(PROGRAMS[name], size, "llvm"))
    assert not found


# ---- products with directions ----------------------------------------------------------------------


def directions(count: int) -> list[Any]:
    """Every unit direction, that of all inputs together, and one at random."""
    return [*np.eye(count), np.ones(count), np.random.default_rng(count).standard_normal(count)]


def products_of(form: str, program: Program, size: int) -> Callable[..., list[float]]:
    """The derivative along a direction, and the Hessian times it."""
    given = {k: sp.symbols(f"{k}:{size}", real=True) if k in "uvw" else SYMBOLS[k] for k in program.names}
    if form == "arrays":
        args, wrt, value = ([SYMBOLS[k] for k in program.names], tuple(SYMBOLS[k] for k in program.inputs),
                            program.arrays)  # fmt: skip
    else:
        args, wrt = (
            [x for k in names for x in np.ravel(np.array(given[k], dtype=object))]
            for names in (program.names, program.inputs)
        )
        value = program.numbers(**given)
    kernel = sg.compile(value, args=args, wrt=wrt, outputs=("jvp", "hvp"))

    def call(point: Mapping[str, Any], direction: Any) -> list[float]:
        if form != "arrays":
            slope, product = kernel(
                *(float(x) for k in program.names for x in np.ravel(point[k])), tangent=direction
            )
            return [slope, *product]
        sizes = [np.size(point[k]) for k in program.inputs]
        cut = np.split(direction, np.cumsum(sizes)[:-1])
        parts = [d if np.ndim(point[k]) else float(d[0]) for k, d in zip(program.inputs, cut, strict=True)]
        slope, product = kernel(*(point[k] for k in program.names), tangent=tuple(parts))
        return [float(slope), *np.concatenate([np.ravel(x) for x in product])]

    return call


@lru_cache
def room(name: str, size: int, point: str) -> Any:
    """By how much rounding of the inputs, and of a direction, may change the terms of its products."""
    given, wanted = next((p, w) for k, p, w in reference(name, size) if k == point)
    return by_rows(changes(PROGRAMS[name], given, wanted)) + abs(by_rows(wanted)) * 2.0**-53


def by_rows(entries: Any) -> Any:
    """The gradient, and below it the Hessian, of value, gradient and Hessian one after the other."""
    count = round(((4 * len(entries) - 3) ** 0.5 - 1) / 2)
    return np.array(entries[1:], dtype=object).reshape(count + 1, count)


@pytest.mark.parametrize("form", ["arrays", "written out"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_entry_of_a_product_with_a_direction_has_its_digits(name: str, form: str) -> None:
    size, left = 3, []
    call = products_of(form, PROGRAMS[name], size)
    with mpmath.workdps(DIGITS):
        for k, p, wanted in reference(name, size):
            rows = by_rows(wanted)
            for d in directions(rows.shape[1]) if k in NEAR else ():
                exactly, found = rows @ np.array([mpmath.mpf(x) for x in d]), call(p, d)
                for row, (a, b) in enumerate(zip(found, exactly, strict=True)):
                    if not abs(a - b) <= RELATIVE * abs(b) + SMALLEST:
                        allowed = RELATIVE * abs(b) + ROUNDINGS * (room(name, size, k)[row] @ abs(d))
                        left += [] if abs(a - b) <= allowed else [(k, tuple(d), row, a, mpmath.nstr(b, 17))]
    assert not left


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


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_infinite_scores_of_an_array_have_their_limits(backend: str) -> None:
    """Those that are written out; a share of nothing is nan here."""
    v = SYMBOLS["v"]
    formulas = LSE, sp.exp(v[0]) / over(POWER), v[0] - LSE, LSE - v[0], over(i * POWER) / over(POWER)
    kernels = [sg.compile(f, args=(v,), wrt=v, outputs=WORDS, backend=backend) for f in formulas]
    for scores, (wanted, shares) in LIMITS.items():
        (total, first, log_first, loss, place), p = [k(np.array(scores)) for k in kernels], np.array(shares)
        assert total[0] == pytest.approx(wanted, rel=1e-15)
        np.testing.assert_allclose(total[1], p, rtol=1e-15)
        np.testing.assert_allclose(total[2], np.diag(p) - np.outer(p, p), rtol=1e-15)
        if max(scores) == -INF:
            continue
        assert first[0] == p[0]
        np.testing.assert_allclose(first[1], p[0] * ([1, 0, 0] - p), rtol=1e-15)
        assert log_first[0] == -loss[0] == (np.log(p[0]) if p[0] else -INF)
        np.testing.assert_allclose(log_first[1], [1, 0, 0] - p, rtol=1e-15)
        np.testing.assert_allclose(loss[1], p - [1, 0, 0], rtol=1e-15)
        assert place[0] == p @ np.arange(3)
        np.testing.assert_allclose(place[1], p * (np.arange(3) - place[0]), rtol=1e-15)
        assert all(np.isfinite(hessian).all() for _, _, hessian in (first, log_first, loss, place))


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_several_infinite_scores_of_an_array_have_no_shares(backend: str) -> None:
    v = SYMBOLS["v"]
    total = sg.compile(LSE, args=(v,), wrt=v, outputs=("value", "grad"), backend=backend)
    value, gradient = total(np.array([INF, 0.0, INF]))
    assert value == INF
    assert np.isnan(gradient).all()
    assert np.isnan(
        sg.compile(LSE - v[1], args=(v,), outputs="value", backend=backend)(np.array([INF, 0.0, INF]))
    )


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_a_logarithm_of_one_sum_is_no_score_of_another(backend: str) -> None:
    """Infinity less infinity is nan, where no score is counted twice."""
    v, u = SYMBOLS["v"], SYMBOLS["u"]
    apart = sg.compile(LSE - sp.log(over(sp.exp(u[i]))), args=(v, u), outputs="value", backend=backend)
    assert np.isnan(apart(np.array([INF, 0.0]), np.array([INF, 1.0])))
    assert apart(np.array([INF, 0.0]), np.array([0.0, 1.0])) == INF


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


# ---- margins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_margins_of_a_few_scores_have_the_digits_of_every_entry(backend: str) -> None:
    """2*p*q*(p - q) by both scores, where these are near each other, and where neither has much."""
    x, y, _ = X
    near = [
        (0.0, 1e-9, 0.5),
        (0.0, 1e-9, 40.0),
        (1.7, 1.0, 40.0),
        (1000.25, 1000.0, 999.0),
        (40.0, 0.0, -1.0),
    ]
    for margin in ((sp.exp(x) - sp.exp(y)) / WHOLE, sp.exp(x) / WHOLE - sp.exp(y) / WHOLE):
        assert not wrong_entries(margin, near, backend, args=X)
    for scores, limit in ((INF, 0.0, 1.0), 1.0), ((-INF, 0.0, 0.0), -0.5), ((-INF, -INF, 0.0), 0.0):
        kernel = sg.compile((sp.exp(x) - sp.exp(y)) / WHOLE, args=X, wrt=X, outputs=WORDS, backend=backend)
        value, gradient, hessian = kernel(*scores)
        assert value == limit
        assert np.isfinite(gradient).all()
        assert np.isfinite(hessian).all()


# ---- a score that is 0, and so is nowhere to be seen ------------------------------------------------

BESIDE_ZERO = (sp.exp(X[0]), sp.exp(X[1]))
LOGITS = [(0.25, 1e-9), (0.25, 20.0), (40.0, 37.0), (-40.0, 5.0), (999.5, 1000.0), (-350.0, 0.5), (1.0, 1.0)]


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_a_variance_and_entropies_of_logits_beside_zero_have_their_digits(backend: str) -> None:
    x, y = X[:2]
    p, q = (power / (1 + sum(BESIDE_ZERO)) for power in BESIDE_ZERO)
    total = sp.log(1 + sum(BESIDE_ZERO))
    formulas = (
        x**2 * p + y**2 * q - (x * p + y * q) ** 2,
        total - x * p - y * q,
        total - x / 2 - y / 4,
        total - x / 2 - y / 2,
    )
    for formula in formulas:
        assert not wrong_entries(formula, LOGITS, backend, args=(x, y)), formula


def test_weights_that_are_a_share_and_a_number_are_no_mean() -> None:
    """They do not add up to 1."""
    x, y = X[:2]
    both = sp.exp(x) + sp.exp(y)
    formula = sp.log(both) - x * sp.exp(x) / both - y / 2
    value = sg.compile(formula, args=(x, y), outputs="value")(1.0, 0.25)
    assert value == pytest.approx(float(formula.subs({x: 1.0, y: 0.25})), rel=1e-15)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_shares_beside_powers_of_numbers_and_logarithms_of_powers_do_not_overflow(backend: str) -> None:
    """A ratio of a policy to a known one; log(exp(x)*exp(-y)) is x - y."""
    x, y, z = X
    known = sp.exp(-2) / (1 + sp.exp(-2) + sp.exp(-3))
    for formula in (sp.exp(x) / WHOLE / known, sp.exp(-2) * sp.exp(x) / (sp.exp(x) + sp.exp(y) + sp.exp(z))):
        points = [(1000.0, 0.25, 0.5), (-700.0, 5.0, 3.0), (0.5, 800.0, 799.0)]
        assert not wrong_entries(formula, points, backend, args=X)
    p = sp.exp(x) / WHOLE
    for formula in (sp.log(p / known), sp.log(p / (1 - p)), sp.log(p) - sp.log(1 - p), sp.log(1 - p)):
        points = [(1003.0, -700.0, 0.25), (-700.0, 0.25, 1003.0), (1.0, -40.0, 5.0)]
        assert not wrong_entries(formula, points, backend, digits=900, args=X), formula
    odds = sp.log(sp.exp(x) * sp.exp(-y))
    assert not wrong_entries(odds, [(0.25, 999.5), (1000.0, 999.0), (0.25, -1000.0)], backend, args=(x, y))
