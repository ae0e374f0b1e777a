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
exp, log, R = sp.exp, sp.log, sp.Rational
T = R(4, 1000)


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


def entropy(q: Sequence[Any]) -> Any:
    shares = [exp(c) / total(1, q) for c in q]
    return -sum(p * log(p) for p in shares)


SHARE = exp(v[i]) / over(exp(v[j]), j)
HOT, COLD = sp.Integer(250), sp.Integer(-30)  # a temperature of 0.004, and energies
SPREAD = tuple(map(tuple, (np.random.default_rng(1).standard_normal((6, 5)) * 0.02).tolist()))
SCORES = ((1.5, 1.25, 1.375), (3.0, -2.0, 1.0), (0.03125, 0.0, -0.0625))
CASES: dict[str, Case] = {
    "softmax at temperature 0.004": Case(
        exp(HOT * v[0]) / over(exp(HOT * v[i])), lambda q: exp(HOT * q[0]) / total(HOT, q), SCORES),
    "softmax of 250 times numbers that are rounded": Case(
        exp(HOT * v[0]) / over(exp(HOT * v[i])), lambda q: exp(HOT * q[0]) / total(HOT, q), SPREAD, 2e-14),
    "cross-entropy of 250 times numbers that are rounded": Case(
        log(over(exp(HOT * v[i]))) - HOT * v[0], lambda q: log(total(HOT, q)) - HOT * q[0], SPREAD, 2e-14),
    "another entry of it": Case(
        exp(HOT * v[1]) / over(exp(HOT * v[i])), lambda q: exp(HOT * q[1]) / total(HOT, q), SCORES),
    "cross-entropy at temperature 0.004": Case(
        log(over(exp(HOT * v[i]))) - HOT * v[0], lambda q: log(total(HOT, q)) - HOT * q[0], SCORES),
    "softmax of energies": Case(
        exp(COLD * v[1]) / over(exp(COLD * v[i])), lambda q: exp(COLD * q[1]) / total(COLD, q), SCORES),
    "soft minimum": Case(-log(over(exp(-v[i]))), lambda q: -log(total(-1, q)), ((-40.0, 0.0, 1.0), *SCORES)),
    "entropy of a softmax": Case(
        -over(SHARE * log(SHARE)), entropy,
        ((40.0, 0.0, 1.0), (10.0, 0.0, -5.0), (0.0, 50.0, -20.0), (1000.25, 1000.0, 999.5))),
    "square of a softmax": Case(
        (exp(30 * v[0]) / over(exp(30 * v[i]))) ** 2, lambda q: (exp(30 * q[0]) / total(30, q)) ** 2, SCORES),
    "square of what a softmax leaves": Case(
        (1 - exp(30 * v[0]) / over(exp(30 * v[i]))) ** 2,
        lambda q: (total(30, q[1:]) / total(30, q)) ** 2, SCORES[:2]),
}  # fmt: skip

FAR_SCORES = ((1000.25, 1000.0, 999.5), (-1000.25, -1000.0, -1003.5), (0.5, -0.25, 0.125))
CENTRES = ((-0.5, 0.25, 1.0), (9.5, 12.0, 9.75))  # of a mixture, seen from 1/4
CASES |= {
    "logarithm of a mean of exponentials": Case(
        log(over(exp(v[i])) / n), lambda q: log(total(1, q) / len(q)), FAR_SCORES),
    "logarithm of a multiple of a sum of exponentials": Case(
        log(3 * over(exp(-v[i])) / 7), lambda q: log(3 * total(-1, q) / 7), FAR_SCORES),
    "logarithm of weighted exponentials": Case(
        log(over((i + 1) * exp(v[i])) / n),
        lambda q: log(sum((k + 1) * exp(c) for k, c in enumerate(q)) / len(q)), FAR_SCORES),
    "free energy difference": Case(
        log(over(exp(-v[i] / T)) / n), lambda q: log(total(-1 / T, q) / len(q)),
        ((1.5, 1.25, 1.375), (103.0, 102.0, 101.5))),
    "mixture of three, seen from far": Case(
        log(over((i + 1) * exp(-((v[i] - R(1, 4)) ** 2) / 2)) / (6 * sp.sqrt(2 * sp.pi))),
        lambda q: log(sum((k + 1) * exp(-((c - R(1, 4)) ** 2) / 2) for k, c in enumerate(q))
                      / (6 * sp.sqrt(2 * sp.pi))),
        CENTRES),
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


@pytest.mark.parametrize("target", TARGETS)
def test_a_mixture_has_a_likelihood_far_from_all_its_centres(target: str) -> None:
    m = sp.Symbol("m", integer=True, positive=True)
    data, centre, weight = (sp.IndexedBase(name, shape=(k,)) for name, k in (("a", m), ("c", n), ("w", n)))
    width = sp.Symbol("s")
    density = over(weight[i] * exp(-((data[j] - centre[i]) ** 2) / (2 * width**2))) / (
        width * sp.sqrt(2 * sp.pi)
    )
    fit = sg.compile(
        sp.Sum(log(density), (j, 0, m - 1)), args=(data, centre, weight, width), wrt=(centre, weight, width),
        outputs=("value", "grad"), backend=target,
    )  # fmt: skip
    at = ([60.0, -1070.5, 0.25], [0.0, 1.5], [0.375, 0.625], 0.5)
    value, (by_centre, by_weight, by_width) = fit(*at)
    with mpmath.workdps(DIGITS):
        a, c, w = (list(map(mpmath.mpf, part)) for part in at[:3])

        def density_at(d: mpmath.mpf, p: Sequence[mpmath.mpf]) -> mpmath.mpf:
            parts = [p[2 + k] * mpmath.exp(-((d - p[k]) ** 2) / (2 * p[4] ** 2)) for k in range(2)]
            return sum(parts) / (p[4] * mpmath.sqrt(2 * mpmath.pi))

        def likelihood(*p: mpmath.mpf) -> mpmath.mpf:
            return sum(mpmath.log(density_at(d, p)) for d in a)

        point = (*c, *w, mpmath.mpf(at[3]))
        slopes = [mpmath.diff(likelihood, point, tuple(int(k == q) for q in range(5))) for k in range(5)]
        wanted = np.array([likelihood(*point), *slopes], float)
    np.testing.assert_allclose([value, *by_centre, *by_weight, by_width], wanted, rtol=RELATIVE)


x, y = sp.symbols("x y", real=True)
SQUARE = x**2 + y**2
AT_ZERO: dict[str, tuple[Any, tuple[float, ...]]] = {  # -> formula, value and gradient at x = y = 0
    "x/sin(x)": (x / sp.sin(x) + y, (1, 0, 1)),
    "x/log(1 + x)": (x / log(1 + x) + y, (1, 0.5, 1)),
    "2*x*y/tan(x)": (2 * x * y / sp.tan(x), (0, 0, 2)),
    "x**2*log(x)": (x**2 * log(x) + y, (0, 0, 1)),
    "x**3*log(x)": (x**3 * log(x) + y, (0, 0, 1)),
    "r**2*log(r**2)": (SQUARE * log(SQUARE), (0, 0, 0)),
    "r**2*log(r)": (SQUARE * log(sp.sqrt(SQUARE)), (0, 0, 0)),
    "r**4*log(r)": (SQUARE**2 * log(sp.sqrt(SQUARE)), (0, 0, 0)),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", AT_ZERO)
def test_value_and_gradient_at_zero_are_the_limits(name: str, target: str) -> None:
    formula, wanted = AT_ZERO[name]
    words = ("value", "grad")
    value, gradient = sg.compile(formula, args=(x, y), wrt=(x, y), outputs=words, backend=target)(0.0, 0.0)
    np.testing.assert_array_equal([value, *gradient], wanted)


@pytest.mark.parametrize("target", TARGETS)
def test_a_thin_plate_spline_of_arrays_is_flat_at_its_centre(target: str) -> None:
    square = over(v[i] ** 2)
    spline = sg.compile(square * log(sp.sqrt(square)), wrt=v, outputs=("value", "grad"), backend=target)
    value, gradient = spline(np.zeros(3))
    np.testing.assert_array_equal([value, *gradient], np.zeros(4))
    value, gradient = spline(np.array([3.0, 0.0, 4.0]))
    assert value == pytest.approx(25 * np.log(5), rel=1e-15)
    np.testing.assert_allclose(gradient, (2 * np.log(5) + 1) * np.array([3.0, 0, 4]), rtol=1e-15)
