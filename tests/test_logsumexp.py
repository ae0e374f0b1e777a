"""Losses over a softmax of any size keep their digits: large offsets, low temperatures, saturated classes."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
n, c = sp.symbols("n c", integer=True, positive=True)
Z, Y = sp.MatrixSymbol("Z", n, c), sp.MatrixSymbol("Y", n, c)
LOSS = sg.losses.softmax_cross_entropy(Z, Y, reduction="sum")
SCORES = np.array([[1040.0, 1000.0, 999.5], [1000.25, 1000.5, 999.0], [-2.0, -1003.5, -2.5], [3.0, 3.0, 3.0]])
SCORES = np.concatenate([SCORES, np.array([[0.25, 0.5, 0.125], [1.0, -1.0, 0.0]]) / 0.004])
LABELS = np.eye(3)[[0, 1, 2, 0, 1, 0]]


def shares(row: np.ndarray) -> list[mpmath.mpf]:
    weights = [mpmath.exp(mpmath.mpf(float(z))) for z in row]
    return [w / sum(weights) for w in weights]


@pytest.mark.parametrize("target", TARGETS)
def test_cross_entropy_has_thirteen_digits_at_offsets_of_a_thousand_and_where_it_saturates(
    target: str,
) -> None:
    loss = sg.compile(LOSS, args=(Z, Y), outputs="value", backend=target)
    with mpmath.workdps(800):
        for row, label in zip(SCORES, LABELS, strict=True):
            wanted = -mpmath.log(shares(row)[int(label.argmax())])
            assert abs(loss(row[None], label[None]) - wanted) <= 1e-13 * wanted


@pytest.mark.parametrize("target", TARGETS)
def test_softmax_minus_target_is_right_to_the_last_places_of_its_terms(target: str) -> None:
    grad = sg.compile(LOSS, args=(Z, Y), wrt=Z, outputs="grad", backend=target)(SCORES, LABELS)
    with mpmath.workdps(800):
        for found, row, label in zip(grad, SCORES, LABELS, strict=True):
            for g, share, y in zip(found, shares(row), label, strict=True):
                allowed = 1e-13 * share if y == 0 else 4e-16
                assert abs(g - (share - mpmath.mpf(y))) <= allowed + 1e-320


@pytest.mark.parametrize("target", TARGETS)
def test_log_sum_exp_of_infinities_and_ties_is_what_it_was(target: str) -> None:
    v = sp.IndexedBase("v", shape=(c,))
    i = sp.Symbol("i", integer=True)
    lse = sg.compile(sp.log(sp.Sum(sp.exp(v[i]), (i, 0, c - 1))), outputs="value", backend=target)
    assert lse(np.array([-np.inf, -np.inf])) == -np.inf
    assert lse(np.array([-np.inf, 2.0])) == 2.0
    assert lse(np.array([np.inf, 2.0, -np.inf, 0.0])) == np.inf
    assert np.isnan(lse(np.array([np.nan, 2.0])))
    assert lse(np.array([7.0, 7.0, 7.0])) == pytest.approx(7 + np.log(3), rel=4e-16)
    assert lse(np.zeros(0)) == -np.inf
