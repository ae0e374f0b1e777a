"""Numbers less their mean at an offset: right to their last places, where the mean itself is not."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad import nn
from symgrad.opt.centred import centred

COUNT, COLUMNS, DIGITS, TOLERANCE = 40, 6, 60, 1e-13
n, d = sp.symbols("n d", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
x, p = (sp.IndexedBase(name, shape=(n,), real=True) for name in "xp")
X = sp.MatrixSymbol("X", n, d)


def over(body: Any, index: sp.Symbol = i) -> Any:
    return sp.Sum(body, (index, 0, n - 1))


APART = x[i] - over(x[j], j) / n
WEIGHTED = x[i] - over(p[j] * x[j], j) / over(p[j], j)
VARIANCE = over(APART**2) / n
Z = APART / sp.sqrt(over((x[k] - over(x[j], j) / n) ** 2, k) / n)


def deviations(a: list[Any], weights: list[Any] | None = None) -> list[Any]:
    weights = weights or [mpmath.mpf(1)] * len(a)
    mean = sum(w * t for w, t in zip(weights, a, strict=True)) / sum(weights)
    return [t - mean for t in a]


def standard(a: list[Any]) -> list[Any]:
    apart = deviations(a)
    return [t / mpmath.sqrt(sum(s**2 for s in apart) / len(a)) for t in apart]


# Formulas of one array and weights, and the same in many digits.
FORMULAS: dict[str, tuple[Any, Any]] = {
    "third moment": (over(APART**3) / n, lambda a, w: sum(t**3 for t in deviations(a)) / len(a)),
    "skewness": (over(Z**3) / n, lambda a, w: sum(t**3 for t in standard(a)) / len(a)),
    "smooth": (over(sp.tanh(APART)), lambda a, w: sum(mpmath.tanh(t) for t in deviations(a))),
    "turned": (
        over(sp.exp(over(x[j], j) / n - x[i])),
        lambda a, w: sum(mpmath.exp(-t) for t in deviations(a)),
    ),
    "weights": (over(sp.tanh(WEIGHTED)), lambda a, w: sum(mpmath.tanh(t) for t in deviations(a, w))),
    "standard": (over(sp.sin(Z)), lambda a, w: sum(mpmath.sin(t) for t in standard(a))),
    "mean deviation": (over(sp.Abs(APART)) / n, lambda a, w: sum(abs(t) for t in deviations(a)) / len(a)),
}


def numbers(offset: float, shape: tuple[int, ...]) -> np.ndarray:
    return offset + np.random.default_rng(1).standard_normal(shape)


def many(a: np.ndarray) -> list[Any]:
    return [mpmath.mpf(t) for t in a.tolist()]


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
@pytest.mark.parametrize("offset", [1e3, 1e6])
@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_gradient(name: str, offset: float, backend: str) -> None:
    expr, exactly = FORMULAS[name]
    a, w = numbers(offset, (COUNT,)), np.linspace(0.5, 2.0, COUNT)
    args = [x, p] if expr.has(p) else [x]
    value, grad = sg.compile(expr, args=args, wrt=[x], outputs=("value", "grad"), backend=backend)(
        *(a, w)[: len(args)]
    )
    with mpmath.workdps(DIGITS):
        at, weights = many(a), many(w)
        assert abs(value - exactly(at, weights)) <= TOLERANCE * abs(exactly(at, weights))
        wanted = [
            mpmath.diff(
                lambda t, q=q: exactly([*at[:q], t, *at[q + 1 :]], weights), at[q], h=mpmath.mpf(10) ** -25
            )
            for q in range(3)
        ]
    largest = max(map(abs, wanted))
    for found, right in zip(np.ravel(grad), wanted, strict=False):
        assert abs(found - right) <= TOLERANCE * largest


@pytest.mark.parametrize("offset", [1e3, 1e6])
@pytest.mark.parametrize("form", ["matrix", "indexed"])
@pytest.mark.parametrize("layer", [nn.layer_norm, nn.batch_norm])
def test_every_entry_of_normalised_numbers(layer: Any, form: str, offset: float) -> None:
    a = numbers(offset, (COUNT, COLUMNS))
    argument = X if form == "matrix" else sp.IndexedBase("X", shape=(n, d), real=True)
    found = np.asarray(sg.compile(layer(argument), args=[argument], outputs="value")(a))
    lines = a if layer is nn.layer_norm else a.T
    with mpmath.workdps(DIGITS):
        for line, own in zip(lines, found if layer is nn.layer_norm else found.T, strict=True):
            apart = deviations(many(line))
            root = mpmath.sqrt(sum(t**2 for t in apart) / len(apart) + mpmath.mpf(1) / 100000)
            assert all(
                abs(s - t / root) <= TOLERANCE * abs(t / root) for s, t in zip(own, apart, strict=True)
            )


def test_equal_numbers_are_their_mean() -> None:
    """The mean of 49 times 1000.1 is not 1000.1 in doubles."""
    kernel = sg.compile(over(sp.Abs(APART)), args=[x], outputs="value")
    assert kernel(np.full(49, 1000.1)) <= 49 * 1000.1 * 2.0**-104


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_what_it_was(number: float) -> None:
    a = np.array([1.0, number, 3.0])
    kernel = sg.compile(over(sp.atan(APART)), args=[x], outputs="value")
    with np.errstate(invalid="ignore"):
        np.testing.assert_equal(kernel(a), np.arctan(a - a.mean()).sum())


@pytest.mark.parametrize(("expr", "is_left"), [(VARIANCE, True), (over(APART**3), False)])
def test_sums_of_squares_do_without(expr: Any, is_left: bool) -> None:
    unit = sg.program(expr, args=[x]).derived(("value",)).unit
    made, _ = centred(unit.graph, unit.roots)
    assert (made is unit.graph) == is_left


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
@pytest.mark.parametrize("deviations_of", [APART, 3 * p[i] * WEIGHTED / 7])
def test_deviations_add_up_to_nothing(deviations_of: Any, backend: str) -> None:
    args = [x, p] if deviations_of.has(p) else [x]
    kernel = sg.compile(over(deviations_of), args=args, outputs="value", backend=backend)
    a = numbers(1e3, (COUNT,))
    weights = [np.linspace(0.5, 2.0, COUNT)] if len(args) > 1 else []
    assert kernel(a, *weights) == 0.0
    a[3] = np.inf
    with np.errstate(invalid="ignore"):
        assert np.isnan(kernel(a, *weights))
