"""Functions of a product beside its factors: value, gradient and Hessian with all their digits.

The reference is independent of symgrad: numbers of mpmath with derivatives (`duals.py`).
"""

from __future__ import annotations

import pytest
import sympy as sp
from kept_digits import wrong_entries

k, t, s = sp.symbols("k t s", real=True)
RATES = tuple((r, u) for r in (1e-12, -1e-8, 1e-5, 1e-3, 0.05, 0.5, 3.0) for u in (1e-3, 1.0, 30.0))
MATURITIES = tuple((q, u) for q in (0.1, 1.0, 5.0) for u in (1e-12, 1e-8, 1e-5, 0.01, 1.0))
DISCOUNT = (1 - sp.exp(-k * t)) / k

CASES = {
    str(e): (e, points)
    for e, points in (
        (DISCOUNT, RATES),  # of a bond in the model of Vasicek, the value of an annuity
        (t - DISCOUNT, RATES),
        ((t - DISCOUNT) / k**2, RATES),
        ((1 - sp.exp(-t / s)) / (t / s) - sp.exp(-t / s), MATURITIES),  # Nelson & Siegel
        (sp.exp(-k * t) / t - 1 / t, RATES),  # a screened potential less a plain one
        (k / (1 - sp.exp(-k * t)), RATES),
        (sp.log(1 - sp.exp(-sp.Abs(k) * t)), RATES),
        (sp.tanh(k * t) / k, RATES),
        (sp.sin(k * t) / k, RATES),
        (sp.log(1 + k**2 * t) / k, RATES),
        (DISCOUNT * sp.exp(-k * s), tuple((*r, 2.0) for r in RATES)),
    )
}
ON_EVERY_TARGET = [str(e) for e in (DISCOUNT, (t - DISCOUNT) / k**2)]


@pytest.mark.parametrize("name", list(CASES))
def test_functions_of_one_value_keep_their_digits(name: str) -> None:
    assert wrong_entries(*CASES[name], "numpy") == []


@pytest.mark.parametrize("target", ["llvm", "c"])
@pytest.mark.parametrize("name", ON_EVERY_TARGET)
def test_also_on_compiled_targets(name: str, target: str) -> None:
    assert wrong_entries(*CASES[name], target) == []
