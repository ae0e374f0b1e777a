"""Powers of softmaxes, nested logits, impurities, and ties: sums of products of exponentials and their roots.

Value, gradient and Hessian against numbers of mpmath with derivatives (`duals.py`), also where exponentials
overflow.
"""

from __future__ import annotations

import itertools

import pytest
import sympy as sp
from kept_digits import wrong_entries
from test_logistic_forms import s

x, y, z = sp.symbols("x y z", real=True)
exp, log, sqrt, R = sp.exp, sp.log, sp.sqrt, sp.Rational
S = exp(x) + exp(y) + exp(z)
NEST = sqrt(exp(2 * x) + exp(2 * y))  # two alternatives that are alike
TIE = exp(z) * exp((x + y) / 2)
DIGITS = 900

OF_ONE = {
    "entropy of Tsallis": 2 - 2 * s(x) ** R(3, 2) - 2 * s(-x) ** R(3, 2),
    "its cube": 1 - s(x) ** 3 - s(-x) ** 3,
}
OF_TWO = {
    "share of a root": exp(x) / sqrt(exp(x) + exp(y)) ** 2, "of halves": exp(x / 2) / sqrt(exp(x) + exp(y)),
    "prior and densities": log(s(x) * exp(-(y**2) / 2) + s(-x) * exp(-((y - 1) ** 2) / 2)),
    "win or half of a tie": log((exp(x) + R(1, 2)) / (1 + exp(x) + exp(y))),
    "by shares": log(exp(x) / (1 + exp(x) + exp(y)) + 1 / (2 * (1 + exp(x) + exp(y)))),
    "product of sums": log(sp.E * (exp(x) + exp(y)) + exp(x)),
    "of softplus": log(exp(3 * x) * (1 + exp(y)) + 1),
    "impurity": 1 - (exp(2 * x) + exp(2 * y) + 1) / (1 + exp(x) + exp(y)) ** 2,
}  # fmt: skip
OF_THREE = {
    "power loss": (1 - (exp(x) / S) ** R(7, 10)) / R(7, 10),
    "impurity": 1 - sum(exp(2 * u) for u in (x, y, z)) / S**2,
    "impurity by shares": 1 - sum((exp(u) / S) ** 2 for u in (x, y, z)),
    "entropy of Tsallis": 2 - 2 * sum((exp(u) / S) ** R(3, 2) for u in (x, y, z)),
    "nest": NEST / (NEST + exp(z)), "in a nest": exp(2 * x) / (NEST * (NEST + exp(z))),
    "its logarithm": log(exp(2 * x) / NEST**2 * NEST / (NEST + exp(z))),
    "inclusive value": log(NEST + exp(z)),
    "one of two": log((exp(x) + exp(y)) / S), "parts of two": log(exp(x) / S / 3 + exp(y) / S),
    "product": exp(x) * exp(y) / S**2, "with a square": exp(2 * x) * exp(y) / S**3,
    "share and gate": log(s(x) * exp(x) / S),
    "share of a sum": exp(x + y) / (exp(x + y) + exp(z)) / (exp(x) + 3),
    "tie": log(TIE / (exp(x) + exp(y) + TIE)), "win": x - log(exp(x) + exp(y) + TIE),
}  # fmt: skip

FAR = (0.3, -2.0, 5.0, 18.0, -40.0, 40.0, -350.0, 720.0, -800.0, 1000.0)
PAIRS = [*itertools.product((0.5, -3.0, 40.0, -38.0, 900.0), (0.25, 1.0, -20.0, 350.0))]
TRIPLES = [(FAR[k], FAR[(3 * k + 1) % 10], FAR[(7 * k + 2) % 10]) for k in range(10)]
TRIPLES += [(1000.25, 1003.0, 999.0), (-1000.0, -1003.0, -999.0), (0.25, 0.5, -1.0), (5.0, 0.5, 7.0)]


@pytest.mark.parametrize("name", OF_ONE)
def test_powers_of_two_states_have_their_digits(name: str) -> None:
    points = [(c * u,) for u in FAR for c in (1, -1)]
    assert not wrong_entries(OF_ONE[name], points, "llvm", digits=DIGITS, is_limit=False)


@pytest.mark.parametrize("backend", ["llvm", "c"])
@pytest.mark.parametrize("name", OF_TWO)
def test_powers_of_two_scores_have_their_digits(name: str, backend: str) -> None:
    assert not wrong_entries(OF_TWO[name], PAIRS, backend, digits=DIGITS, is_limit=False)


def test_two_levels_have_their_mixed_derivative() -> None:
    """It is a product of two differences of shares, and 0 where either is."""
    levels = log(exp(x) + exp(-x) + exp(y) + exp(-y))
    points = [(u, v) for u in (0.0, 1e-9, 0.5, 40.0, -300.0) for v in (0.5, 1.0, -20.0, 301.0)]
    assert not wrong_entries(levels, points, "llvm", digits=DIGITS, is_limit=False)


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
@pytest.mark.parametrize("name", OF_THREE)
def test_powers_of_three_scores_have_their_digits(name: str, backend: str) -> None:
    assert not wrong_entries(OF_THREE[name], TRIPLES, backend, digits=DIGITS, is_limit=False)
