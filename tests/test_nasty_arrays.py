"""Numerically nasty points of formulas over arrays: value, gradient and Hessian, on every target.

The reference is independent of symgrad: the formula of a few numbers, differentiated by SymPy as it is
written and evaluated by mpmath with hundreds of digits, so that nothing it cancels matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
RELATIVE = 1e-13
DIGITS = 700
n = sp.Symbol("n", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
v = sp.IndexedBase("v", shape=(n,))
exp, log = sp.exp, sp.log


@dataclass(frozen=True)
class Case:
    """A formula over `v`, and the same of a few numbers; where; the relative error that is allowed."""

    expr: Any
    same: Callable[[Sequence[Any]], Any]
    points: tuple[tuple[float, ...], ...]
    relative: float = RELATIVE


def over(body: Any, axis: Any = i) -> Any:
    return sp.Sum(body, (axis, 0, n - 1))


def total(scale: Any, q: Sequence[Any]) -> Any:
    return sum(exp(scale * c) for c in q)


HOT, COLD = sp.Integer(250), sp.Integer(-30)  # a temperature of 0.004, and energies
SCORES = ((1.5, 1.25, 1.375), (3.0, -2.0, 1.0), (0.03125, 0.0, -0.0625))
CASES: dict[str, Case] = {
    "softmax at temperature 0.004": Case(
        exp(HOT * v[0]) / over(exp(HOT * v[i])), lambda q: exp(HOT * q[0]) / total(HOT, q), SCORES),
    "another entry of it": Case(
        exp(HOT * v[1]) / over(exp(HOT * v[i])), lambda q: exp(HOT * q[1]) / total(HOT, q), SCORES),
    "cross-entropy at temperature 0.004": Case(
        log(over(exp(HOT * v[i]))) - HOT * v[0], lambda q: log(total(HOT, q)) - HOT * q[0], SCORES),
    "softmax of energies": Case(
        exp(COLD * v[1]) / over(exp(COLD * v[i])), lambda q: exp(COLD * q[1]) / total(COLD, q), SCORES),
    "soft minimum": Case(-log(over(exp(-v[i]))), lambda q: -log(total(-1, q)), ((-40.0, 0.0, 1.0), *SCORES)),
    "square of a softmax": Case(
        (exp(30 * v[0]) / over(exp(30 * v[i]))) ** 2, lambda q: (exp(30 * q[0]) / total(30, q)) ** 2, SCORES),
    "square of what a softmax leaves": Case(
        (1 - exp(30 * v[0]) / over(exp(30 * v[i]))) ** 2,
        lambda q: (total(30, q[1:]) / total(30, q)) ** 2, SCORES[:2]),
}  # fmt: skip


@lru_cache
def exact(name: str) -> list[list[mpmath.mpf]]:
    """For each point: the value, the gradient and the Hessian by rows, one after the other."""
    case = CASES[name]
    q = sp.symbols(f"q:{len(case.points[0])}", real=True)
    formula = case.same(q)
    gradient = [sp.diff(formula, a) for a in q]
    entries = [formula, *gradient, *(sp.diff(d, a) for d in gradient for a in q)]
    function = sp.lambdify(q, entries, modules="mpmath", cse=True)
    with mpmath.workdps(DIGITS):
        return [function(*map(mpmath.mpf, point)) for point in case.points]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_value_gradient_and_hessian_of_a_formula_over_an_array(name: str, target: str) -> None:
    case = CASES[name]
    compiled = sg.compile(case.expr, wrt=v, outputs=("value", "grad", "hess"), backend=target)
    wrong = []
    for point, wanted in zip(case.points, exact(name), strict=True):
        found = np.concatenate([np.ravel(part) for part in compiled(np.array(point))])
        for k, (f, w) in enumerate(zip(found, wanted, strict=True)):
            if f != float(w) and not abs(f - w) <= case.relative * abs(w) + 1e-307:
                wrong.append((point, k, f, mpmath.nstr(w, 17)))
    assert not wrong
