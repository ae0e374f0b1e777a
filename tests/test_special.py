"""Special functions and their derivatives against mpmath on every target; ends, refusals, programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import UnsupportedExpression
from symgrad.ir.op import NoDerivative
from symgrad.ir.special import SPECIAL
from symgrad.targets.special_c import check_spelled

POINTS = 8
EPS = float(np.finfo(np.float64).eps)
x = sp.Symbol("x", real=True)
half = sp.Rational(1, 2)


@dataclass(frozen=True)
class Case:
    """A function of x on an interval, and the worst error allowed for it, its slope and its curvature.

    The error counts in last places of the value, or of the median value where that is larger (at zeros).
    """

    expression: sp.Expr
    low: float
    high: float
    exact: Callable[[Any], Any]
    ulps: float = 16.0


def mp(name: str, *before: Any, **options: Any) -> Callable[[Any], Any]:
    return lambda t: getattr(mpmath, name)(*before, t, **options)


def bessel(name: str, n: Any, low: float, high: float, ulps: float) -> Case:
    order = mpmath.mpf(sp.Rational(n).p) / sp.Rational(n).q
    return Case(getattr(sp, name)(n, x), low, high, mp(name, order), ulps)


def spherical(name: str, n: int, t: Any) -> Any:
    of_half = mpmath.besselj if name == "jn" else mpmath.bessely
    return mpmath.sqrt(mpmath.pi / (2 * t)) * of_half(n + mpmath.mpf(1) / 2, t)


CASES = {
    "erf": Case(sp.erf(x), -3, 3, mp("erf")),
    "erfc": Case(sp.erfc(x), -2, 6, mp("erfc"), 60),
    "erfi": Case(sp.erfi(x), -4, 5, mp("erfi"), 40),
    "erf2": Case(sp.erf2(1, x), 1.5, 5, lambda t: mpmath.erf(t) - mpmath.erf(1)),
    "erfinv": Case(sp.erfinv(x), -0.999, 0.999, mp("erfinv"), 60),
    "erfcinv": Case(sp.erfcinv(x), 1e-9, 0.5, lambda t: mpmath.erfinv(1 - t), 60),
    "gamma": Case(sp.gamma(x), 0.1, 25, mp("gamma"), 20),
    "gamma of negatives": Case(sp.gamma(x), -3.9, -3.1, mp("gamma"), 60),
    "loggamma": Case(sp.loggamma(x), 2.5, 500, mp("loggamma")),
    "digamma": Case(sp.digamma(x), 0.1, 40, mp("digamma")),
    "digamma of negatives": Case(sp.digamma(x), -4.9, -4.1, mp("digamma"), 60),
    "trigamma": Case(sp.polygamma(1, x), 0.05, 40, mp("polygamma", 1)),
    "trigamma of negatives": Case(sp.polygamma(1, x), -7.9, -7.1, mp("polygamma", 1), 60),
    "polygamma 2 of negatives": Case(sp.polygamma(2, x), -2.9, -2.1, mp("polygamma", 2), 60),
    "polygamma 5": Case(sp.polygamma(5, x), 0.3, 20, mp("polygamma", 5)),
    "beta": Case(sp.beta(x, sp.Float(2.5)), 0.2, 8, lambda t: mpmath.beta(t, mpmath.mpf(2.5)), 80),
    "factorial": Case(sp.factorial(x), 0.1, 12, mp("factorial"), 40),
    "binomial": Case(sp.binomial(12, x), 0.3, 11, lambda t: mpmath.binomial(12, t), 120),
    "binomial, above": Case(sp.binomial(x, 4), 5, 30, lambda t: mpmath.binomial(t, 4), 120),
    "rising": Case(sp.rf(x, sp.Float(2.5)), 0.3, 20, lambda t: mpmath.rf(t, mpmath.mpf(2.5)), 120),
    "falling": Case(sp.ff(x, sp.Float(2.5)), 3, 20, lambda t: mpmath.ff(t, mpmath.mpf(2.5)), 120),
    "harmonic": Case(sp.harmonic(x), 0.5, 30, mp("harmonic")),
    "lowergamma": Case(
        sp.lowergamma(sp.Float(2.25), x), 0.1, 12, lambda t: mpmath.gammainc(mpmath.mpf(2.25), 0, t), 40
    ),
    "uppergamma": Case(
        sp.uppergamma(sp.Float(2.25), x), 0.1, 30, lambda t: mpmath.gammainc(mpmath.mpf(2.25), t), 60
    ),
    "uppergamma of order -2": Case(sp.uppergamma(-2, x), 0.3, 9, lambda t: mpmath.gammainc(-2, t), 60),
    "betainc": Case(
        sp.betainc(2, 3, sp.Rational(1, 10), x), 0.3, 0.9,
        lambda t: mpmath.betainc(2, 3, mpmath.mpf(1) / 10, t), 40,
    ),
    "betainc_regularized": Case(
        sp.betainc_regularized(sp.Float(0.75), sp.Float(4.5), 0, x), 0.05, 0.95,
        lambda t: mpmath.betainc(mpmath.mpf(0.75), mpmath.mpf(4.5), 0, t, regularized=True), 60,
    ),
    "zeta": Case(sp.zeta(3, x), 0.2, 30, lambda t: mpmath.zeta(3, t)),
    "J0": bessel("besselj", 0, 0.1, 30, 60),
    "J3": bessel("besselj", 3, 0.5, 30, 60),
    "J of 5/3": bessel("besselj", sp.Rational(5, 3), 0.5, 30, 400),
    "Y0": bessel("bessely", 0, 0.1, 30, 60),
    "Y2": bessel("bessely", 2, 0.5, 30, 60),
    "Y of 1/3": bessel("bessely", sp.Rational(1, 3), 0.5, 30, 150),
    "I0": bessel("besseli", 0, 0.1, 60, 40),
    "I2": bessel("besseli", 2, 0.1, 60, 40),
    "I of 5/2": bessel("besseli", sp.Rational(5, 2), 0.1, 20, 40),
    "K0": bessel("besselk", 0, 0.1, 9, 40),
    "K3": bessel("besselk", 3, 0.1, 9, 40),
    "K of 1/4": bessel("besselk", sp.Rational(1, 4), 0.1, 20, 700),
    "j0": Case(sp.jn(0, x), 0.1, 20, lambda t: spherical("jn", 0, t), 150),
    "j2": Case(sp.jn(2, x), 0.1, 20, lambda t: spherical("jn", 2, t), 150),
    "y1": Case(sp.yn(1, x), 0.3, 20, lambda t: spherical("yn", 1, t), 60),
    "Ai": Case(sp.airyai(x), -6, 5, mp("airyai"), 200),
    "Ai'": Case(sp.airyaiprime(x), -6, 5, mp("airyai", derivative=1), 200),
    "Bi": Case(sp.airybi(x), -6, 5, mp("airybi"), 200),
    "Bi'": Case(sp.airybiprime(x), -6, 5, mp("airybi", derivative=1), 200),
    "elliptic_k": Case(sp.elliptic_k(x), -20, 0.99, mp("ellipk")),
    "elliptic_e": Case(sp.elliptic_e(x), -20, 0.99, mp("ellipe")),
    "elliptic_k near 0": Case(sp.elliptic_k(x), -1e-3, 1e-3, mp("ellipk")),
    "elliptic_f": Case(
        sp.elliptic_f(sp.Float(2.5), x), 0.3, 0.9, lambda t: mpmath.ellipf(mpmath.mpf(2.5), t), 60
    ),
    "incomplete elliptic_e": Case(
        sp.elliptic_e(x, sp.Float(0.75)), -4, 4, lambda t: mpmath.ellipe(t, mpmath.mpf(0.75)), 40
    ),
    "LambertW": Case(sp.LambertW(x), -0.35, 50, mp("lambertw"), 30),
    "Ei": Case(sp.Ei(x), 0.6, 50, mp("ei"), 200),
    "Ei of negatives": Case(sp.Ei(x), -20, -0.1, mp("ei"), 40),
    "E1": Case(sp.expint(1, x), 0.1, 20, mp("expint", 1), 40),
    "E3": Case(sp.expint(3, x), 0.1, 20, mp("expint", 3), 40),
    "li": Case(sp.li(x), 2, 50, mp("li"), 40),
    "Li": Case(sp.Li(x), 3, 50, mp("li", offset=True), 40),
    "Si": Case(sp.Si(x), -12, 12, mp("si"), 40),
    "Ci": Case(sp.Ci(x), 0.2, 12, mp("ci"), 40),
    "Shi": Case(sp.Shi(x), -9, 9, mp("shi"), 40),
    "Chi": Case(sp.Chi(x), 0.6, 9, mp("chi"), 40),
    "fresnels": Case(sp.fresnels(x), -4, 4, mp("fresnels"), 60),
    "fresnelc": Case(sp.fresnelc(x), -4, 4, mp("fresnelc"), 60),
}  # fmt: skip


def points_of(case: Case) -> np.ndarray:
    """Off the ends, and not at round numbers."""
    return case.low + (case.high - case.low) * (np.arange(POINTS) + 0.437) / POINTS


def runs_in_c(name: str) -> bool:
    try:
        for op in ops_of(name):
            check_spelled(op)
    except UnsupportedExpression:
        return False
    return True


def ops_of(name: str) -> set[str]:
    g = sg.program(CASES[name].expression, args=(x,)).translation.graph
    return {op for op in g.op if op in SPECIAL}


@cache
def exact_values(name: str) -> np.ndarray:
    """Value, slope and curvature at the points, (3, points), at 25 digits."""
    case = CASES[name]
    with mpmath.workdps(25):
        points = [mpmath.mpf(float(p)) for p in points_of(case)]
        rows = [[mpmath.diff(case.exact, p, k) for p in points] for k in range(3)]
        return np.array(rows, dtype=object)


@cache
def computed(backend: str, dtype: str) -> dict[str, np.ndarray]:
    """Of every case that the target has: value, slope and curvature, (3, points); one kernel."""
    names = [name for name in CASES if backend != "c" or runs_in_c(name)]
    symbols = {name: sp.Symbol(f"x{k}", real=True) for k, name in enumerate(names)}
    entries = []
    for name, symbol in symbols.items():
        value = CASES[name].expression.subs(x, symbol)
        entries += [value, sp.Derivative(value, symbol), sp.Derivative(value, (symbol, 2))]
    kernel = sg.compile(
        sp.ImmutableMatrix(entries), args=tuple(symbols.values()), backend=backend, dtype=dtype
    )
    found = np.asarray(kernel(*(points_of(CASES[name]) for name in names)))
    found = found.reshape(POINTS, len(names), 3)
    return {name: found[:, k].T for k, name in enumerate(names)}


BACKENDS = ("numpy", "llvm")


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_slopes_and_curvatures_agree_with_mpmath(backend: str) -> None:
    wrong = []
    for name, found in computed(backend, "float64").items():
        exact = exact_values(name)
        size = np.abs(exact.astype(np.float64))
        scale = np.maximum(size, np.median(size, axis=1, keepdims=True)) * EPS
        ulps = (np.abs((exact - found).astype(np.float64)) / scale).max(axis=1)
        if not (ulps <= CASES[name].ulps).all():
            wrong.append((name, ulps.round(1).tolist()))
    assert not wrong


def test_a_derivative_without_closed_form_is_refused_by_name() -> None:
    refused = [
        (sp.besselj(x, 2), "besselj has no derivative by its order"),
        (sp.lowergamma(x, 2), "gammainc has no derivative by its first argument"),
        (sp.betainc_regularized(2, x, 0, half), "betainc has no derivative by its second argument"),
        (sp.zeta(x), "zeta has no derivative by its first argument"),
    ]
    for expression, message in refused:
        assert np.isfinite(sg.compile(expression, args=(x,))(2.5))
        with pytest.raises(UnsupportedExpression, match=message) as caught:
            sg.program(expression, args=(x,), wrt=x).grad  # noqa: B018
        assert caught.value.because and caught.value.try_
    refusing = {row.name for row in SPECIAL.values() for p in row.partials if isinstance(p, NoDerivative)}
    assert refusing == {
        "polygamma", "zeta", "riemann_zeta", "gammainc", "gammaincc", "betainc", "expint", "besselj",
        "bessely", "besseli", "besselk", "spherical_jn", "spherical_yn",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sp.LambertW(x, -1), "branch -1 of LambertW"),
        (sp.jn(half, x), "the order of jn must be a whole number"),
        (sp.expint(half / 3, x), "the order of expint must be a whole number"),
        (sp.lowergamma(-half / 3, x), "lowergamma needs a positive first argument"),
        (sp.harmonic(x, 2), "generalised harmonic numbers"),
    ],
)
def test_what_no_target_can_compute_is_refused_by_name(expression: sp.Expr, message: str) -> None:
    with pytest.raises(UnsupportedExpression, match=message):
        sg.compile(expression, args=(x,))
