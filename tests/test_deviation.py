"""Derivatives of means under a softmax, entry by entry, where one share is nearly everything.

The reference is written out by hand in mpmath: p_j*(c_j - sum(p*c)) and what follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad import nn
from symgrad.ir.graph import Graph
from symgrad.opt.deviation import NAME

TARGETS = ("numpy", "llvm", "c")
every_target = pytest.mark.parametrize("target", TARGETS)
RELATIVE = 1e-13
n, m, d, e = sp.symbols("n m d e", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
tau = sp.Symbol("tau", positive=True)
v, w = (sp.IndexedBase(name, shape=(n,)) for name in "vw")
SCORES = ((40.0, 0.0, 1.0), (0.0, 700.0, 1.0), (1000.0, -3.0, 999.5), (1.0, 2.0, 3.0), (50.0, 50.0, 0.0),
          (-800.0, -840.0, -850.0), (5e-324, 0.0, -0.0), (300.0, 300.0, 300.0))  # fmt: skip
WEIGHTS, TANGENT = (0.7, 0.3, -1.25), (0.3, -0.2, 0.9)


def over(body: Any) -> Any:
    return sp.Sum(body, (i, 0, n - 1))


def mean(scores: Any) -> Any:
    return over(w[i] * sp.exp(scores)) / over(sp.exp(scores))


def shares(scores: Sequence[Any]) -> list[Any]:
    powers = [mpmath.exp(x) for x in scores]
    return [x / mpmath.fsum(powers) for x in powers]


def exactly(numbers: Any) -> list[Any]:
    return [mpmath.mpf(float(x)) for x in np.ravel(numbers)]


def average(p: Sequence[Any], c: Sequence[Any]) -> Any:
    return mpmath.fsum(a * b for a, b in zip(p, c, strict=True))


def wrong(found: Any, wanted: Sequence[Any], relative: float = RELATIVE) -> list[tuple[float, float]]:
    """Entries without enough digits (a subnormal has none to give)."""
    pairs = zip(np.ravel(found), wanted, strict=True)
    return [(f, float(w)) for f, w in pairs if not abs(f - w) <= relative * abs(w) + 1e-307]


@every_target
@pytest.mark.parametrize("offset", [0.0, 1e6, -1e100])
def test_gradient_of_a_mean_has_its_digits_for_every_logit(offset: float, target: str) -> None:
    kernel = sg.compile(mean(v[i]), args=(v, w), wrt=v, outputs="grad", backend=target)
    for scores in SCORES[:-1]:
        weights = np.array(WEIGHTS) + offset if abs(offset) < 1e9 else np.array(WEIGHTS) * offset
        with mpmath.workdps(900):
            p, c = shares(exactly(scores)), exactly(weights)
            wanted = [
                a * mpmath.fsum(q * (b - x) for q, x in zip(p, c, strict=True))
                for a, b in zip(p, c, strict=True)
            ]
        assert not wrong(kernel(np.array(scores), weights), wanted, RELATIVE if abs(offset) != 1e6 else 1e-9)


@every_target
def test_tangents_and_second_derivatives_in_a_direction_have_theirs(target: str) -> None:
    kernel = sg.compile(mean(v[i]), args=(v, w), wrt=v, outputs=("jvp", "hvp"), backend=target)
    for scores in (*SCORES[:4], SCORES[5]):
        with mpmath.workdps(900):
            p, c, t = shares(exactly(scores)), exactly(WEIGHTS), exactly(TANGENT)
            c, t = ([x - average(p, row) for x in row] for row in (c, t))
            both = mpmath.fsum(a * x * y for a, x, y in zip(p, c, t, strict=True))
            wanted = [both, *(a * (x * y - both) for a, x, y in zip(p, c, t, strict=True))]
        first, second = kernel(np.array(scores), np.array(WEIGHTS), tangent=np.array(TANGENT))
        assert not wrong([first, *second], wanted)


@every_target
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_gradient_by_a_temperature_has_its_digits(offset: float, target: str) -> None:
    kernel = sg.compile(mean(v[i] / tau), args=(v, w, tau), wrt=tau, outputs="grad", backend=target)
    for scores in ((1.0, 2.0, 3.0), (0.5, 0.5, 0.25), (0.5, 0.25, -0.25)):
        for temperature in (1.0, 0.03125, 2.0**-8):
            point = np.array(scores) + offset
            with mpmath.workdps(900):
                x, c = [a / mpmath.mpf(temperature) for a in exactly(point)], exactly(WEIGHTS)
                p = shares(x)
                wanted = (
                    -average(p, [a * (b - average(p, c)) for a, b in zip(x, c, strict=True)]) / temperature
                )
            assert not wrong(kernel(point, np.array(WEIGHTS), temperature), [wanted], 1e-12)


# ---- attention ---------------------------------------------------------------------------------

SIZES = {"Q": (2, 2), "K": (3, 2), "V": (3, 2), "R": (2, 2)}
MATRICES = {name: sp.MatrixSymbol(name, *shape) for name, shape in zip(
    SIZES, ((n, d), (m, d), (m, e), (n, e)), strict=True)}  # fmt: skip
ARRAYS = {name: sp.IndexedBase(name, shape=matrix.shape) for name, matrix in MATRICES.items()}


def attention(written: str) -> tuple[Any, tuple[Any, ...]]:
    """The squared distance of softmax(Q*K.T/sqrt(d))*V from R, and its arguments."""
    if written == "matrices":
        distance = nn.attention(*list(MATRICES.values())[:3]) - MATRICES["R"]
        return sp.Trace(distance.T * distance), tuple(MATRICES.values())
    q, keys, values, right = ARRAYS.values()
    if written == "entries":
        result = nn.attention(q, keys, values)[i, k]
    else:
        score = sp.exp(sp.Sum(q[i, k] * keys[j, k], (k, 0, d - 1)) / sp.sqrt(d))
        result = sp.Sum(score * values[j, k], (j, 0, m - 1)) / sp.Sum(score, (j, 0, m - 1))
    loss = sp.Sum((result - right[i, k]) ** 2, (i, 0, n - 1), (k, 0, e - 1))
    return loss, tuple(ARRAYS.values())


def exact_attention(arrays: dict[str, np.ndarray]) -> list[Any]:
    """The value, and the gradient by Q, K and V, entry after entry."""
    q, keys, values, right = (np.array(exactly(a), dtype=object).reshape(a.shape) for a in arrays.values())
    root = mpmath.sqrt(2)
    p = np.array([shares(row) for row in q @ keys.T / root], dtype=object)
    apart = p @ values - right
    slope = 2 * apart @ values.T
    scores = p * (slope - (p * slope).sum(axis=1, keepdims=True)) / root
    parts = ((apart**2).sum(), scores @ keys, scores.T @ q, 2 * p.T @ apart)
    return [x for part in parts for x in np.ravel(part)]


@every_target
@pytest.mark.parametrize("written", ["matrices", "entries", "quotients"])
def test_attention_has_its_digits_however_sure_it_is(written: str, target: str) -> None:
    loss, args = attention(written)
    kernel = sg.compile(loss, args=args, wrt=args[:3], outputs=("value", "grad"), backend=target)
    for scale in (1.0, 6.0, 20.0):
        rng = np.random.default_rng(0)
        arrays = {name: rng.standard_normal(shape) for name, shape in SIZES.items()}
        arrays["Q"] *= scale
        arrays["K"] *= scale
        value, gradients = kernel(*arrays.values())
        found = [value, *(x for part in gradients for x in np.ravel(part))]
        with mpmath.workdps(900):
            assert not wrong(found, exact_attention(arrays), 1e-12)


@every_target
def test_gradient_of_attention_by_its_temperature_has_its_digits(target: str) -> None:
    """Sums over pairs that are written in different orders, one of which has the mean inside."""
    q, keys, values, right = ARRAYS.values()
    score = sp.exp(sp.Sum(q[i, k] * keys[j, k], (k, 0, d - 1)) / tau)
    result = sp.Sum(score * values[j, k], (j, 0, m - 1)) / sp.Sum(score, (j, 0, m - 1))
    loss = sp.Sum((result - right[i, k]) ** 2, (i, 0, n - 1), (k, 0, e - 1))
    args = (*ARRAYS.values(), tau)
    kernel = sg.compile(loss, args=args, wrt=(q, tau), outputs="grad", backend=target)
    for temperature in (1.0, 0.125, 0.015625):
        rng = np.random.default_rng(1)
        arrays = [rng.standard_normal(shape) for shape in SIZES.values()]
        arrays[0][:, 0] += 1.0  # all rows are sure
        arrays[1][0, 0] += 4.0
        _, found = kernel(*arrays, temperature)
        with mpmath.workdps(900):
            q_, keys_, values_, right_ = (np.array(exactly(a), dtype=object).reshape(a.shape) for a in arrays)
            x = q_ @ keys_.T / mpmath.mpf(temperature)
            p = np.array([shares(row) for row in x], dtype=object)
            slope = 2 * (p @ values_ - right_) @ values_.T
            wanted = -(p * (slope - (p * slope).sum(axis=1, keepdims=True)) * x).sum() / temperature
        assert not wrong([found], [wanted], 1e-12)


def test_a_quotient_of_sums_over_stored_exponentials_does_not_overflow() -> None:
    """Scores above 709, in a sum over more axes than the exponentials have."""
    loss, args = attention("quotients")
    kernel = sg.compile(loss, args=args, backend="llvm")
    keys, values = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0], [3.0]])
    (value,) = kernel(np.array([[2000.0, 0.0]]), keys, values, np.zeros((1, 1)))
    assert value == pytest.approx(4.0, rel=1e-15)


# ---- what stays as it is -----------------------------------------------------------------------


def fired(expr: Any, wrt: Any, **options: Any) -> int:
    seen: list[Graph] = []

    def watch(stage: str, thing: Any) -> None:
        if stage == "logsumexp":
            seen.append(thing.graph)

    sg.compile(expr, args=(v, w, tau), wrt=wrt, outputs="grad", watch=watch, **options)
    return seen[0].fired[NAME]


def test_only_the_difference_from_a_mean_under_the_same_softmax_is_rewritten() -> None:
    assert fired(mean(v[i]), v) == 1
    assert fired(mean(v[i]), v, stabilise=False) == 0
    assert fired(mean(v[i]), w) == 0
    assert fired(mean(v[i]) - over(w[i] ** 2), w) == 0
    assert fired(sp.log(over(sp.exp(v[i]))) - over(v[i] * w[i]), v) == 0


@every_target
def test_rows_of_infinities_have_the_gradients_they_had(target: str) -> None:
    on, off = (
        sg.compile(mean(v[i]), args=(v, w), wrt=v, outputs="grad", backend=target, stabilise=stable)
        for stable in (True, False)
    )
    weights = np.array([1.0, 2.0, 4.0])
    for scores in ([-np.inf, 0.0, 1.0], [-np.inf, -np.inf, 2.0], [1.0, 2.0, np.nan]):
        found, before = on(np.array(scores), weights), off(np.array(scores), weights)
        np.testing.assert_allclose(found, before, rtol=1e-13, atol=1e-15)
    assert np.isnan(on(np.array([0.0, 1.0, 2.0]), np.array([1.0, np.nan, 2.0]))).all()
    assert on(np.zeros(0), np.zeros(0)).shape == (0,)
