"""Logarithms of mixtures of logistic functions: noisy-or, guessing, agreement of two; every entry is right.

Value, gradient and Hessian against numbers of mpmath with derivatives (`duals.py`), where the functions are
near 1, near 0, and where they underflow.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp
from kept_digits import wrong_entries
from test_logistic_forms import s

import symgrad as sg

x, y, z, g, miss = sp.symbols("x y z g miss", real=True)
log, R = sp.log, sp.Rational
p, q, r = s(x), s(y), s(z)
DIGITS = 900

OF_TWO = {
    "noisy-or": log(1 - (1 - p) * (1 - q)), "noisy-or written out": log(p + q - p * q),
    "not both": log(1 - p * q), "not one alone": log(1 - p * (1 - q)),
    "either": log(p * (1 - q) + (1 - p) * q), "agreement": log(p * q + (1 - p) * (1 - q)),
    "of two parts": log(3 * p / 10 + 7 * q / 10), "log-loss": -y * log(1 - (1 - p) * (1 - s(y))),
}  # fmt: skip
OF_THREE = {
    "noisy-or": log(1 - (1 - p) * (1 - q) * (1 - r)), "not all": log(1 - p * q * r),
    "all or one": log(1 - (1 - p * q) * (1 - r)),
}  # fmt: skip
GUESSED = {  # by g, x
    "guessing": log(g + (1 - g) * p), "no guess helps": log(1 - (g + (1 - g) * p)),
    "as written out": log(1 - g - (1 - g) * p), "as a product": log((1 - g) * (1 - p)),
}  # fmt: skip
LAPSED = log(g + (1 - g - miss) * p)

FAR = (0.3, -2.0, 5.0, 18.0, -40.0, 40.0, -350.0, 720.0, -800.0, 1000.0)
PAIRS = [*itertools.product(FAR, (0.25, -1.0, 20.0, -37.0, 350.0, -1000.0)), (0.0, 1e-9), (1e-9, 0.5)]
TRIPLES = [(FAR[k], FAR[(3 * k + 1) % 10], FAR[(7 * k + 2) % 10]) for k in range(10)]
GUESSES = [*itertools.product((1e-6, 0.02, 0.25, 0.9), FAR)]


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
@pytest.mark.parametrize("name", OF_TWO)
def test_mixtures_of_two_have_their_digits(name: str, backend: str) -> None:
    assert not wrong_entries(OF_TWO[name], PAIRS, backend, digits=DIGITS, is_limit=False)


@pytest.mark.parametrize("name", OF_THREE)
def test_mixtures_of_three_have_their_digits(name: str) -> None:
    assert not wrong_entries(OF_THREE[name], TRIPLES, "llvm", digits=DIGITS, is_limit=False)


@pytest.mark.parametrize("backend", ["llvm", "c"])
@pytest.mark.parametrize("name", GUESSED)
def test_mixtures_with_a_number_have_their_digits(name: str, backend: str) -> None:
    assert not wrong_entries(GUESSED[name], GUESSES, backend, digits=DIGITS, is_limit=False)


def test_guesses_and_lapses_have_their_digits() -> None:
    points = [(u, v, w) for u in (0.02, 0.25) for v in (1e-6, 0.1) for w in (0.3, 5.0, 40.0, -40.0, -2.0)]
    assert not wrong_entries(LAPSED, points, "llvm", digits=DIGITS, is_limit=False)


def test_weights_outside_of_0_and_1_are_right() -> None:
    """No sign of them is known: the logarithm of a product, of two negative numbers among others, stays."""
    value = sg.compile(GUESSED["as written out"], args=(g, x), outputs="value")
    assert np.isnan(value(2.0, 0.5))
    assert value(-3.0, 0.0) == pytest.approx(np.log(2), rel=1e-15)
    both = sg.compile(log((1 - g) * (1 - miss) * p), args=(g, miss, x), outputs="value")
    assert both(3.0, 2.0, 0.0) == pytest.approx(0.0, abs=1e-15)


def test_a_mixture_at_infinity_has_its_limit() -> None:
    either = sg.compile(OF_TWO["noisy-or"], args=(x, y), outputs="value")
    far = (np.inf, 1e300, 0.0, -1e300, -np.inf)
    assert [either(np.inf, v) for v in far] == [0.0] * 5
    assert [either(-np.inf, v) for v in far[3:]] == [-1e300, -np.inf]
