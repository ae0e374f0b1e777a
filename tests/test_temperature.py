"""Softmax, log-sum-exp and their means over a temperature, to second order, beside mpmath.

What counts is the error beside what half a last place of scores and temperature changes (no formula can do
better), or an ulp of the largest entry: exact results far below that are what is left of cancelled ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special
import sympy as sp

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
RELATIVE, ROUNDINGS, ULP = 1e-13, 4, 2.0**-52
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
v, t = sp.IndexedBase("v", shape=(n,)), sp.Symbol("t", positive=True)
OVER = (i, 0, n - 1)
TOTAL = sp.log(sp.Sum(sp.exp(v[i] / t), OVER))
POINTS = [
    ([1000.0, 1000.25, 999.5], 0.004),
    ([1000.0, 1000.01, 999.98], 0.004),
    ([1000.0, 1000.0, 999.98], 0.004),
    ([1.0, 0.96, 1e-3], 0.004),
    ([2.0, 2.0, 2.0], 0.004),
    ([0.5, 1.0, -2.0], 1.0),
]
DIRECTION = (np.array([0.5, -1.0, 0.25]), 2.0**-7)


def total(x: Sequence[Any], s: Any) -> Any:
    top = max(x, key=lambda a: s * a)
    return s * top + mpmath.log(mpmath.fsum(mpmath.exp(s * (a - top)) for a in x))


# expression, the same in mpmath, and whether the exact entries may vanish beside their parts
FORMULAS: dict[str, tuple[Any, Callable[[Sequence[Any], Any], Any], bool]] = {
    "a log-sum-exp": (TOTAL, lambda x, s: total(x, 1 / s), False),
    "by an inverse temperature": (
        sp.log(sp.Sum(sp.exp(v[i] * t), OVER)), lambda x, s: total(x, s), False
    ),
    "a free energy": (t * TOTAL, lambda x, s: s * total(x, 1 / s), True),
    "a softmax": (
        sp.exp(v[0] / t) / sp.Sum(sp.exp(v[i] / t), OVER),
        lambda x, s: mpmath.exp(x[0] / s - total(x, 1 / s)), True,
    ),
    "a log-softmax": (v[1] / t - TOTAL, lambda x, s: x[1] / s - total(x, 1 / s), True),
    "a loss of a distance": (
        sp.log(sp.Sum(sp.exp(-v[i] / t), OVER)) + v[1] / t, lambda x, s: total(x, -1 / s) + x[1] / s, True,
    ),
    "a mean": (
        sp.Sum((i + 1)**2 * sp.exp(v[i] / t), OVER) / sp.Sum(sp.exp(v[i] / t), OVER),
        lambda x, s: mpmath.fsum((k + 1)**2 * mpmath.exp(a / s - total(x, 1 / s)) for k, a in enumerate(x)),
        True,
    ),
}  # fmt: skip


def exact(formula: Callable[[Sequence[Any], Any], Any], at: Sequence[Any]) -> list[Any]:
    """Value, gradient, rows of the Hessian and its product with the direction, by differences."""
    with mpmath.workdps(300):
        h, count = mpmath.mpf(10) ** -80, len(at)

        def moved(*steps: tuple[int, int]) -> Any:
            point = [mpmath.mpf(a) for a in at]
            for place, sign in steps:
                point[place] += sign * h
            return formula(point[:-1], point[-1])

        gradient = [(moved((a, 1)) - moved((a, -1))) / (2 * h) for a in range(count)]
        signs = [(p, q) for p in (1, -1) for q in (1, -1)]
        hessian = [
            [mpmath.fsum(p * q * moved((a, p), (b, q)) for p, q in signs) / (4 * h * h) for b in range(count)]
            for a in range(count)
        ]
        product = [
            mpmath.fsum(r * d for r, d in zip(row, (*DIRECTION[0], DIRECTION[1]), strict=True))
            for row in hessian
        ]
        return [moved(), *gradient, *(entry for row in hessian for entry in row), *product]


def computed(kernel: Any, scores: Sequence[float], temperature: float) -> list[float]:
    value, gradient, hessian, product = kernel(np.array(scores), temperature, tangent=DIRECTION)
    rows = np.block(
        [[hessian[0][0], hessian[0][1][:, None]], [hessian[1][0][None], np.reshape(hessian[1][1], (1, 1))]]
    )
    return [value, *gradient[0], gradient[1], *rows.ravel(), *product[0], product[1]]


# The reference evaluator computes definition by definition, and so does not see all that cancels.
PAIRS = [(name, target) for name, formula in FORMULAS.items() for target in TARGETS[1 if formula[2] else 0 :]]


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_second_derivatives_by_a_temperature_have_their_digits(name: str, target: str) -> None:
    expr, formula, may_vanish = FORMULAS[name]
    words = ("value", "grad", "hess", "hvp")
    kernel = sg.compile(expr, args=(v, t), wrt=(v, t), outputs=words, backend=target)
    for scores, temperature in POINTS:
        at = [*scores, temperature]
        found, wanted = computed(kernel, scores, temperature), exact(formula, at)
        allowed = [RELATIVE * abs(w) + mpmath.mpf("1e-310") for w in wanted]
        for place, a in enumerate(at):
            half = mpmath.mpf(float(np.spacing(abs(a)))) / 2
            beside = exact(formula, [mpmath.mpf(b) + half * (k == place) for k, b in enumerate(at)])
            allowed = [e + ROUNDINGS * abs(w - b) for e, w, b in zip(allowed, wanted, beside, strict=True)]
        for part in (slice(1, 5), slice(5, 21), slice(21, 25)) if may_vanish else ():
            largest = max(abs(w) for w in wanted[part])
            scale = max(largest, 1 / temperature)
            allowed[part] = [e + 8 * ULP * scale for e in allowed[part]]
        entries = enumerate(zip(found, wanted, allowed, strict=True))
        wrong = [(k, f, mpmath.nstr(w, 17)) for k, (f, w, e) in entries if not abs(f - w) <= e]
        assert wrong == [], at


@pytest.mark.parametrize("target", TARGETS[1:])
@pytest.mark.parametrize(
    ("scores", "temperature"),
    [
        *POINTS,
        ([0.3, -1.2, 0.7, 2.0], 0.004),
        ([1000.25, 1000.5, 999.75, 1001.125], 0.004),
        ([40.0, -40.0, 39.5], 1.0),
    ],
)
def test_every_entry_of_a_loss_whose_scores_are_less_one_of_them(
    scores: list[float], temperature: float, target: str
) -> None:
    """Its Hessian is that of a log-sum-exp: p_j times the other shares on the diagonal, however small."""
    loss = sp.log(sp.Sum(sp.exp((v[i] - v[1]) / t), OVER))
    words = ("grad", "hess", "hess_diag", "hvp")
    kernel = sg.compile(loss, args=(v, t), wrt=v, outputs=words, backend=target)
    places = range(len(scores))
    with mpmath.workdps(60):
        x, s = [mpmath.mpf(a) for a in scores], mpmath.mpf(temperature)
        p = [mpmath.exp(a / s - total(x, 1 / s)) for a in x]
        others = [mpmath.fsum(p[k] for k in places if k != j) for j in places]
        gradient = [(-others[j] if j == 1 else p[j]) / s for j in places]
        hessian = [[(p[j] * others[j] if j == k else -p[j] * p[k]) / s**2 for k in places] for j in places]
        for place in places:
            found = kernel(np.array(scores), temperature, tangent=np.eye(len(scores))[place])
            wanted = (gradient, hessian, [hessian[j][j] for j in places], hessian[place])
            for word, numbers, exactly in zip(words, found, wanted, strict=True):
                apart = zip(
                    np.ravel(numbers).tolist(), np.ravel(np.array(exactly, dtype=object)), strict=True
                )
                wrong = [
                    (f, mpmath.nstr(w, 17)) for f, w in apart if not abs(f - w) <= RELATIVE * abs(w) + 1e-300
                ]
                assert wrong == [], word


def test_only_a_factor_that_may_be_differentiated_is_taken_out() -> None:
    for expr, times in ((TOTAL, 1), (sp.log(sp.Sum(sp.exp(v[i] / 250), OVER)), 0),
                        (sp.log(sp.Sum(sp.exp(v[i] / sp.sqrt(n)), OVER)), 0)):  # fmt: skip
        g = sg.program(expr, args=(v, t) if times else (v,), wrt=v).translation.graph
        assert sum(op == "anchor" for op in g.op) == times


def test_a_program_over_a_temperature_prints_as_it_was_written() -> None:
    assert sg.program(TOTAL, args=(v, t), wrt=v).value == TOTAL


# ---- ties and infinite scores ------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_what_vanishes_where_scores_tie_is_nothing_beside_its_parts(target: str) -> None:
    share = sp.exp(v[0] / t) / sp.Sum(sp.exp(v[i] / t), OVER)
    of_share, of_total = (
        sg.compile(e, args=(v, t), wrt=v, outputs=("hess", "hvp"), backend=target) for e in (share, TOTAL)
    )
    for scores in ([1.0, 1.0], [1000.0, 1000.0, 0.0], [1e300, 1e300, 1.0], [2.0, 2.0, 2.0]):
        x, temperature = np.array(scores), 0.004
        for kernel in (of_share, of_total):  # a shift of all scores changes nothing
            hessian, product = (
                part * temperature**2 for part in kernel(x, temperature, tangent=np.ones(len(x)))
            )
            assert np.isfinite(hessian).all()
            assert np.abs(hessian.sum(axis=1)).max() <= ULP
            assert np.abs(product).max() <= ULP
        if len(set(scores[:2])) == 1 and scores[-1] != scores[0]:
            assert of_share(x, temperature, tangent=x)[0][0, 0] == 0  # p*(1 - p)*(1 - 2*p) at p = 1/2


@pytest.mark.parametrize("target", TARGETS)
def test_infinite_and_huge_scores_are_what_scipy_says_and_their_limits(target: str) -> None:
    words = ("value", "grad", "hess")
    plain = sg.compile(sp.log(sp.Sum(sp.exp(v[i]), OVER)), wrt=v, outputs=words, backend=target)
    cooled = sg.compile(TOTAL, args=(v, t), wrt=v, outputs=words, backend=target)
    inf, huge = np.inf, 1.7e308
    finite = (
        [-inf, 0.0, 1.0],
        [0.0, -inf, -inf],
        [1e300, 1e300, 1.0],
        [huge, -huge, 0.0],
        [6e291, 1e100, 0.0],
    )
    for scores in map(np.array, finite):
        with np.errstate(over="ignore"):
            total, share = scipy.special.logsumexp(scores), scipy.special.softmax(scores)
        for value, gradient, hessian in (plain(scores), cooled(scores, 1.0)):
            np.testing.assert_allclose(value, total, rtol=1e-15)
            np.testing.assert_allclose(gradient, share, rtol=1e-15)
            np.testing.assert_allclose(hessian, np.diag(share) - np.outer(share, share), rtol=1e-15, atol=ULP)
    for scores in map(np.array, ([inf, 0.0, 1.0], [inf, -inf, 0.0], [inf, inf, 0.0], [-inf, -inf, -inf])):
        for result in (plain(scores), cooled(scores, 1.0)):
            assert result[0] == max(scores)


def test_scores_that_are_opposite_have_anchors_that_are_taken_away_again() -> None:
    """t*log(2*cosh((x - m)/t)): the rules for anchors end."""
    m, t, x = sp.symbols("m t x", real=True)
    scores = sp.exp((x - m) / t) + sp.exp((m - x) / t)
    kernel = sg.compile(t * sp.log(scores), args=(m, t, x), wrt=(m, t, x), outputs=("value", "grad", "hess"))
    value, gradient, hessian = kernel(0.25, 0.5, 1.0)
    u = 0.75 / 0.5
    slope, bend = np.tanh(u), 1 / np.cosh(u) ** 2
    assert value == pytest.approx(0.5 * np.log(2 * np.cosh(u)), rel=1e-14)
    np.testing.assert_allclose(gradient, [-slope, np.log(2 * np.cosh(u)) - u * slope, slope], rtol=1e-13)
    rows = np.array([-1, -u, 1])
    np.testing.assert_allclose(hessian, np.outer(rows, rows) * bend / 0.5, rtol=1e-13)


SHARE = sp.exp(v[0] / t) / sp.Sum(sp.exp(v[i] / t), OVER)
MEAN = sp.Sum(i * sp.exp(v[i] / t), OVER) / sp.Sum(sp.exp(v[i] / t), OVER)
INF = np.inf


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("expr", [TOTAL, SHARE, v[0] / t - TOTAL, TOTAL - v[0] / t, t * TOTAL, MEAN])
def test_an_infinite_score_has_all_at_any_temperature(target: str, expr: Any) -> None:
    """By the scores as without the temperature, which is tested beside scipy."""
    words = ("value", "grad", "hess")
    cooled = sg.compile(expr, args=(v, t), wrt=v, outputs=words, backend=target)
    plain = sg.compile(expr.subs(t, 1), args=(v,), wrt=v, outputs=words, backend=target)
    warmed = sg.compile(expr.subs(t, -t), args=(v, t), wrt=v, outputs=words, backend=target)
    for scores in map(np.array, ([INF, 0.0, 1.0], [-INF, 2.0, INF], [-INF, 3.0, -INF], [0.5, -INF, 1.0])):
        value, gradient, hessian = plain(scores)
        times = 0.25 if expr == t * TOTAL else 1
        if np.isinf(scores).any() and np.isposinf(scores).any():
            for kernel, x in ((cooled, scores), (warmed, -scores)):
                found = kernel(x, 0.25)
                assert abs(found[0]) == abs(value)
                np.testing.assert_array_equal(abs(found[1]), abs(gradient) * (times / 0.25))
                np.testing.assert_array_equal(found[2], np.zeros((3, 3)))
        for a, b in zip(cooled(scores, 1.0), (value, gradient, hessian), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-15, atol=ULP)


@pytest.mark.parametrize("target", TARGETS)
def test_several_infinite_scores_have_no_shares_at_any_temperature(target: str) -> None:
    several = np.array([INF, 0.0, INF])
    for expr in (TOTAL, t * TOTAL, 1 + TOTAL):
        kernel = sg.compile(expr, args=(v, t), wrt=v, outputs=("value", "grad"), backend=target)
        value, gradient = kernel(several, 0.25)
        assert value == INF
        assert np.isnan(gradient).all()
    for expr in (SHARE, v[0] / t - TOTAL, MEAN):
        assert np.isnan(sg.compile(expr, args=(v, t), outputs="value", backend=target)(several, 0.25))


# ---- masked scores ---------------------------------------------------------------------------------

MASKED = ([1000.25, 1000.0, -INF, 999.5], [0.5, 1.0, -INF, -INF], [3.0, 2.0, -INF, 2.0])
# By the unmasked scores alone, as which of the first two are read; the mean weighs by place.
OF_SCORES = {
    "a log-sum-exp": lambda x, s: sp.log(sum(sp.exp(a / s) for a in x)),
    "by an inverse temperature": lambda x, s: sp.log(sum(sp.exp(a * s) for a in x)),
    "a free energy": lambda x, s: s * sp.log(sum(sp.exp(a / s) for a in x)),
    "a softmax": lambda x, s: sp.exp(x[0] / s) / sum(sp.exp(a / s) for a in x),
    "a log-softmax": lambda x, s: x[1] / s - sp.log(sum(sp.exp(a / s) for a in x)),
    "a loss of a distance": lambda x, s: sp.log(sum(sp.exp(-a / s) for a in x)) + x[1] / s,
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", OF_SCORES)
def test_masked_scores_take_no_part_in_derivatives_by_the_temperature(name: str, target: str) -> None:
    """0*inf is 0 there: the same numbers as without them, to second order, over an axis and written out."""
    sign, formula = -1 if name == "a loss of a distance" else 1, OF_SCORES[name]
    outputs = ("value", "grad", "hess")
    array = sg.compile(FORMULAS[name][0], args=(v, t), wrt=(v, t), outputs=outputs, backend=target)
    for scores in MASKED:
        x, s = sp.symbols(f"x:{len(scores)}", real=True), 0.5
        few = sg.compile(formula(x, t), args=(*x, t), wrt=(*x, t), outputs=outputs, backend=target)
        kept = [k for k, score in enumerate(scores) if score > -INF]
        rest = [x[k] for k in kept]
        without = sg.compile(formula(rest, t), args=(*rest, t), wrt=(*rest, t), outputs=outputs)
        value, gradient, hessian = without(*(sign * scores[k] for k in kept), s)
        places, size = [*kept, len(scores)], len(scores) + 1
        wanted = value, np.zeros(size), np.zeros((size, size))
        wanted[1][places], wanted[2][np.ix_(places, places)] = gradient, hessian
        given = sign * np.array(scores)
        own, slopes, blocks = array(given, s)
        over_axis = (
            own,
            np.append(*slopes),
            np.block([[blocks[0][0], blocks[0][1][:, None]], list(blocks[1])]),
        )
        for found in (over_axis, few(*given, s)):
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-300)
