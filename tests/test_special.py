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
from routines import TARGETS
from tolerances import SPECIAL_ULPS, ULPS, ulps_apart

import symgrad as sg
from symgrad.errors import UnsupportedExpression
from symgrad.ir.op import NoDerivative, Op
from symgrad.ir.special import SPECIAL
from symgrad.ir.special.bessel_far import KINDS, MOST

POINTS = 8
EPS = float(np.finfo(np.float64).eps)
x = sp.Symbol("x", real=True)
half = sp.Rational(1, 2)


@dataclass(frozen=True)
class Case:
    """A function of x on an interval."""

    expression: sp.Expr
    low: float
    high: float
    exact: Callable[[Any], Any]


def mp(name: str, *before: Any, **options: Any) -> Callable[[Any], Any]:
    return lambda t: getattr(mpmath, name)(*before, t, **options)


def bessel(name: str, n: Any, low: float, high: float) -> Case:
    order = mpmath.mpf(sp.Rational(n).p) / sp.Rational(n).q
    return Case(getattr(sp, name)(n, x), low, high, mp(name, order))


def spherical(name: str, n: int, t: Any) -> Any:
    of_half = mpmath.besselj if name == "jn" else mpmath.bessely
    return mpmath.sqrt(mpmath.pi / (2 * t)) * of_half(n + mpmath.mpf(1) / 2, t)


CASES = {
    "erf": Case(sp.erf(x), -3, 3, mp("erf")),
    "erfc": Case(sp.erfc(x), -2, 6, mp("erfc")),
    "erfi": Case(sp.erfi(x), -4, 5, mp("erfi")),
    "erf2": Case(sp.erf2(1, x), 1.5, 5, lambda t: mpmath.erf(t) - mpmath.erf(1)),
    "erfinv": Case(sp.erfinv(x), -0.999, 0.999, mp("erfinv")),
    "erfcinv": Case(sp.erfcinv(x), 1e-9, 0.5, lambda t: mpmath.erfinv(1 - t)),
    "gamma": Case(sp.gamma(x), 0.1, 25, mp("gamma")),
    "gamma of negatives": Case(sp.gamma(x), -3.9, -3.1, mp("gamma")),
    "loggamma": Case(sp.loggamma(x), 2.5, 500, mp("loggamma")),
    "digamma": Case(sp.digamma(x), 0.1, 40, mp("digamma")),
    "digamma of negatives": Case(sp.digamma(x), -4.9, -4.1, mp("digamma")),
    "trigamma": Case(sp.polygamma(1, x), 0.05, 40, mp("polygamma", 1)),
    "trigamma of negatives": Case(sp.polygamma(1, x), -7.9, -7.1, mp("polygamma", 1)),
    "polygamma 2 of negatives": Case(sp.polygamma(2, x), -2.9, -2.1, mp("polygamma", 2)),
    "polygamma 5": Case(sp.polygamma(5, x), 0.3, 20, mp("polygamma", 5)),
    "beta": Case(sp.beta(x, sp.Float(2.5)), 0.2, 8, lambda t: mpmath.beta(t, mpmath.mpf(2.5))),
    "factorial": Case(sp.factorial(x), 0.1, 12, mp("factorial")),
    "binomial": Case(sp.binomial(12, x), 0.3, 11, lambda t: mpmath.binomial(12, t)),
    "binomial, above": Case(sp.binomial(x, 4), 5, 30, lambda t: mpmath.binomial(t, 4)),
    "rising": Case(sp.rf(x, sp.Float(2.5)), 0.3, 20, lambda t: mpmath.rf(t, mpmath.mpf(2.5))),
    "falling": Case(sp.ff(x, sp.Float(2.5)), 3, 20, lambda t: mpmath.ff(t, mpmath.mpf(2.5))),
    "harmonic": Case(sp.harmonic(x), 0.5, 30, mp("harmonic")),
    "lowergamma": Case(
        sp.lowergamma(sp.Float(2.25), x), 0.1, 12, lambda t: mpmath.gammainc(mpmath.mpf(2.25), 0, t)
    ),
    "uppergamma": Case(
        sp.uppergamma(sp.Float(2.25), x), 0.1, 30, lambda t: mpmath.gammainc(mpmath.mpf(2.25), t)
    ),
    "uppergamma of order -2": Case(sp.uppergamma(-2, x), 0.3, 9, lambda t: mpmath.gammainc(-2, t)),
    "betainc": Case(
        sp.betainc(2, 3, sp.Rational(1, 10), x), 0.3, 0.9,
        lambda t: mpmath.betainc(2, 3, mpmath.mpf(1) / 10, t),
    ),
    "betainc_regularized": Case(
        sp.betainc_regularized(sp.Float(0.75), sp.Float(4.5), 0, x), 0.05, 0.95,
        lambda t: mpmath.betainc(mpmath.mpf(0.75), mpmath.mpf(4.5), 0, t, regularized=True),
    ),
    "zeta": Case(sp.zeta(3, x), 0.2, 30, lambda t: mpmath.zeta(3, t)),
    "zeta by the exponent": Case(sp.zeta(x), 1.01, 30, mp("zeta")),
    "zeta of a shift by the exponent": Case(
        sp.zeta(x, sp.Rational(1, 4)), 1.01, 20, lambda t: mpmath.zeta(t, mpmath.mpf("0.25"))
    ),
    "zeta of negatives": Case(sp.zeta(x), -12, 0.9, mp("zeta")),
    "J0": bessel("besselj", 0, 0.1, 30),
    "J3": bessel("besselj", 3, 0.5, 30),
    "J of 5/3": bessel("besselj", sp.Rational(5, 3), 0.5, 30),
    "Y0": bessel("bessely", 0, 0.1, 30),
    "Y2": bessel("bessely", 2, 0.5, 30),
    "Y of 1/3": bessel("bessely", sp.Rational(1, 3), 0.5, 30),
    "I0": bessel("besseli", 0, 0.1, 60),
    "I2": bessel("besseli", 2, 0.1, 60),
    "I of 5/2": bessel("besseli", sp.Rational(5, 2), 0.1, 20),
    "J of -5/3": bessel("besselj", sp.Rational(-5, 3), 0.5, 12),
    "Y of -5/3": bessel("bessely", sp.Rational(-5, 3), 0.5, 12),
    "I of -1/3": bessel("besseli", sp.Rational(-1, 3), 0.1, 20),
    "K0": bessel("besselk", 0, 0.1, 9),
    "K3": bessel("besselk", 3, 0.1, 9),
    "K of 1/4": bessel("besselk", sp.Rational(1, 4), 0.1, 20),
    "j0": Case(sp.jn(0, x), 0.1, 20, lambda t: spherical("jn", 0, t)),
    "j2": Case(sp.jn(2, x), 0.1, 20, lambda t: spherical("jn", 2, t)),
    "y1": Case(sp.yn(1, x), 0.3, 20, lambda t: spherical("yn", 1, t)),
    "Ai": Case(sp.airyai(x), -6, 5, mp("airyai")),
    "Ai'": Case(sp.airyaiprime(x), -6, 5, mp("airyai", derivative=1)),
    "Bi": Case(sp.airybi(x), -6, 5, mp("airybi")),
    "Bi'": Case(sp.airybiprime(x), -6, 5, mp("airybi", derivative=1)),
    "elliptic_k": Case(sp.elliptic_k(x), -20, 0.99, mp("ellipk")),
    "elliptic_e": Case(sp.elliptic_e(x), -20, 0.99, mp("ellipe")),
    "elliptic_k near 0": Case(sp.elliptic_k(x), -1e-3, 1e-3, mp("ellipk")),
    "elliptic_f": Case(
        sp.elliptic_f(sp.Float(2.5), x), 0.3, 0.9, lambda t: mpmath.ellipf(mpmath.mpf(2.5), t)
    ),
    "incomplete elliptic_e": Case(
        sp.elliptic_e(x, sp.Float(0.75)), -4, 4, lambda t: mpmath.ellipe(t, mpmath.mpf(0.75))
    ),
    "LambertW": Case(sp.LambertW(x), -0.35, 50, mp("lambertw")),
    "Ei": Case(sp.Ei(x), 0.6, 50, mp("ei")),
    "Ei of negatives": Case(sp.Ei(x), -20, -0.1, mp("ei")),
    "E1": Case(sp.expint(1, x), 0.1, 20, mp("expint", 1)),
    "E3": Case(sp.expint(3, x), 0.1, 20, mp("expint", 3)),
    "li": Case(sp.li(x), 2, 50, mp("li")),
    "Li": Case(sp.Li(x), 3, 50, mp("li", offset=True)),
    "Si": Case(sp.Si(x), -12, 12, mp("si")),
    "Ci": Case(sp.Ci(x), 0.2, 12, mp("ci")),
    "Shi": Case(sp.Shi(x), -9, 9, mp("shi")),
    "Chi": Case(sp.Chi(x), 0.6, 9, mp("chi")),
    "fresnels": Case(sp.fresnels(x), -4, 4, mp("fresnels")),
    "fresnelc": Case(sp.fresnelc(x), -4, 4, mp("fresnelc")),
}  # fmt: skip


def points_of(case: Case) -> np.ndarray:
    """Off the ends, and not at round numbers."""
    return case.low + (case.high - case.low) * (np.arange(POINTS) + 0.437) / POINTS


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
    """Of every case: value, slope and curvature, (3, points); one kernel."""
    names = list(CASES)
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


BACKENDS = ("numpy", *TARGETS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_slopes_and_curvatures_agree_with_mpmath(backend: str) -> None:
    """In last places of the exact value, or of the median one where that is larger (at zeros)."""
    wrong = []
    for name, found in computed(backend, "float64").items():
        exact = exact_values(name)
        size = np.abs(exact.astype(np.float64))
        scale = np.maximum(size, np.median(size, axis=1, keepdims=True)) * EPS
        ulps = (np.abs((exact - found).astype(np.float64)) / scale).max(axis=1)
        if not (ulps <= SPECIAL_ULPS.get(name, SPECIAL_ULPS["others"])).all():
            wrong.append((name, ulps.round(1).tolist()))
    assert not wrong


def test_a_derivative_without_closed_form_is_refused_by_name() -> None:
    refused = [
        (sp.besselj(x, 2), "besselj has no derivative by its order"),
        (sp.lowergamma(x, 2), "gammainc has no derivative by its first argument"),
        (sp.betainc_regularized(2, x, 0, half), "betainc has no derivative by its second argument"),
    ]
    for expression, message in refused:
        assert np.isfinite(sg.compile(expression, args=(x,))(2.5))
        with pytest.raises(UnsupportedExpression, match=message) as caught:
            sg.program(expression, args=(x,), wrt=x).grad  # noqa: B018
        assert caught.value.because and caught.value.try_
    refusing = {row.name for row in SPECIAL.values() for p in row.partials if isinstance(p, NoDerivative)}
    assert refusing == {
 "polygamma", "gammainc", "gammaincc", "betainc", "expint", "besselj",
        "bessely", "besseli", "besselk", "spherical_jn", "spherical_yn",
        "besseli_core", "besselk_core",
        *(kind.row(k) for kind in KINDS.values() for k in range(MOST + 1)),
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


OF_WHOLE_ORDER = ("polygamma", "expint", "spherical_jn", "spherical_yn")


def row_points(row: Op) -> np.ndarray:
    """Points of the row's domain, one column per argument; the same in every run."""
    intervals = [row.domain[min(k, len(row.domain) - 1)] for k in range(row.arity)]
    rng = np.random.default_rng(5)
    points = np.stack([rng.uniform(low, high, 30) for low, high in intervals], axis=1)
    if row.name in OF_WHOLE_ORDER:
        points[:, 0] = np.round(points[:, 0])
    return points


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_reference_of_every_row_agrees_with_mpmath(dtype: Any) -> None:
    wrong = []
    for row in SPECIAL.values():
        points = row_points(row).astype(dtype)
        with mpmath.workdps(40):
            exact = [row.mpmath(*(mpmath.mpf(float(a)) for a in point)) for point in points]
        found = np.asarray(row.numpy(*points.T))
        assert found.dtype == dtype, row.name
        worst = ulps_apart(found, np.array(exact, dtype=object)).max()
        if not worst <= (ULPS[row.name] if dtype == np.float64 else 4):
            wrong.append((row.name, worst))
    assert not wrong


def test_mpmath_follows_the_other_references_at_poles() -> None:
    for name in ("gamma", "loggamma", "digamma"):
        for at in (0, -1, -2.5):
            with np.errstate(all="ignore"):
                wanted = float(SPECIAL[name].numpy(np.float64(at)))
            if at != 0:  # its sign decides between the two infinities
                found = float(SPECIAL[name].mpmath(mpmath.mpf(at)))
                assert found == pytest.approx(wanted, rel=1e-14, nan_ok=True)


INF, NAN = float("inf"), float("nan")
ENDS: list[tuple[sp.Expr, dict[float, float]]] = [
    (sp.gamma(x), {0: INF, -1: NAN, -0.5: -2 * np.sqrt(np.pi), 4: 6, INF: INF, NAN: NAN, 200: INF}),
    (sp.loggamma(x), {0: INF, -1: INF, 1: 0, 2: 0, INF: INF, NAN: NAN, -0.5: np.log(2 * np.sqrt(np.pi))}),
    (sp.digamma(x), {0: -INF, -1: NAN, 1: -float(np.euler_gamma), INF: INF, NAN: NAN}),
    (sp.polygamma(1, x), {0: INF, -1: INF, 1: np.pi**2 / 6, INF: 0, NAN: NAN, 1e300: 1e-300}),
    (sp.polygamma(2, x), {0: -INF, -2: -INF, INF: 0, NAN: NAN}),
    (sp.beta(x, 2), {0: INF, 1: 0.5, NAN: NAN}),
    (sp.erfinv(x), {1: INF, -1: -INF, 0: 0, 1.5: NAN, NAN: NAN}),
    (sp.erfcinv(x), {0: INF, 2: -INF, 1: 0, -0.5: NAN, NAN: NAN}),
    (sp.erfi(x), {0: 0, INF: INF, -INF: -INF, 30: INF, NAN: NAN}),
    (sp.lowergamma(sp.Float(2.5), x), {0: 0, INF: 0.75 * np.sqrt(np.pi), -1: NAN, NAN: NAN}),
    (sp.uppergamma(sp.Float(2.5), x), {0: 0.75 * np.sqrt(np.pi), INF: 0, -1: NAN, NAN: NAN}),
    (
        sp.lowergamma(x, 500) / sp.gamma(x),
        {400: 0.999998352780736, 500: 0.50594714617076, 1e3: 3.2982727970671e-86},
    ),
    (sp.betainc_regularized(2, 3, 0, x), {0: 0, 1: 1, -0.5: NAN, 1.5: NAN, NAN: NAN}),
    (sp.zeta(x), {1: INF, 0: -0.5, -1: -1 / 12, -2: 0, 2: np.pi**2 / 6, INF: 1, NAN: NAN}),
    (sp.zeta(2, x), {0: INF, 1: np.pi**2 / 6, -0.5: NAN, NAN: NAN}),
    (sp.besselj(0, x), {0: 1, -2: 0.22389077914123567, NAN: NAN}),
    (sp.besselj(1, x), {0: 0, -2: -0.5767248077568734, NAN: NAN}),
    (sp.bessely(0, x), {0: -INF, -1: NAN, NAN: NAN}),
    (sp.besseli(0, x), {0: 1, -2: 2.2795853023360673, 800: INF, NAN: NAN}),
    (sp.besselk(0, x), {0: INF, -1: NAN, 800: 0, NAN: NAN}),
    (sp.Derivative(sp.besselj(0, x), x), {0: 0}),
    (sp.Derivative(sp.besselj(1, x), x), {0: 0.5}),
    (sp.Derivative(sp.jn(1, x), x), {0: 1 / 3}),
    (sp.jn(0, x), {0: 1, -2: np.sin(2) / 2, NAN: NAN}),
    (sp.jn(1, x), {0: 0, -2: -(np.sin(2) / 4 - np.cos(2) / 2), NAN: NAN}),
    (sp.yn(0, x), {0: -INF, -2: np.cos(2) / 2, NAN: NAN}),
    (sp.airyai(x), {0: 0.3550280538878172, 300: 0, NAN: NAN}),
    (sp.airybi(x), {0: 0.6149266274460007, NAN: NAN}),
    (sp.elliptic_k(x), {0: np.pi / 2, 1: INF, 2: NAN, NAN: NAN}),
    (sp.elliptic_e(x), {0: np.pi / 2, 1: 1, 2: NAN, NAN: NAN}),
    (sp.elliptic_f(x, half), {0: 0, NAN: NAN}),
    (sp.elliptic_f(1, x), {2: NAN, 0: 1, NAN: NAN}),
    (sp.LambertW(x), {0: 0, float(np.e): 1, -1: NAN, INF: INF, NAN: NAN, -0.36: -0.8060843159708176}),
    (sp.Ei(x), {0: -INF, INF: INF, -INF: 0, NAN: NAN}),
    (sp.expint(1, x), {0: INF, INF: 0, NAN: NAN}),
    (sp.expint(3, x), {0: 0.5, INF: 0, NAN: NAN}),
    (sp.Si(x), {0: 0, INF: np.pi / 2, -INF: -np.pi / 2, NAN: NAN}),
    (sp.Ci(x), {0: -INF, INF: 0, NAN: NAN}),
    (sp.Shi(x), {0: 0, INF: INF, NAN: NAN}),
    (sp.Chi(x), {0: -INF, INF: INF, NAN: NAN}),
    (sp.fresnels(x), {0: 0, INF: 0.5, -INF: -0.5, NAN: NAN}),
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_ends_of_domains_poles_and_infinities(backend: str) -> None:
    symbols = [sp.Symbol(f"x{k}", real=True) for k in range(len(ENDS))]
    kernel = sg.compile(
        sp.ImmutableMatrix([e.subs(x, s) for (e, _), s in zip(ENDS, symbols, strict=True)]),
        args=symbols,
        backend=backend,
    )
    most = max(len(points) for _, points in ENDS)
    columns = [(list(points) * most)[:most] for _, points in ENDS]
    found = np.asarray(kernel(*map(np.array, columns))).reshape(most, len(ENDS))
    wrong = []
    for k, (expression, points) in enumerate(ENDS):
        for place, (at, wanted) in enumerate(points.items()):
            if not np.isclose(found[place, k], wanted, rtol=1e-9, atol=1e-300, equal_nan=True):
                wrong.append((expression, at, found[place, k], wanted))
    assert not wrong


@pytest.mark.parametrize("backend", BACKENDS)
def test_single_precision_is_computed_in_double_and_rounded(backend: str) -> None:
    """The argument is rounded first: an error of half a place there is worth a few in the result."""
    for name, found in computed(backend, "float32").items():
        case, exact = CASES[name], exact_values(name).astype(np.float64)
        assert found.dtype == np.float32
        size = np.maximum(np.abs(exact), np.median(np.abs(exact), axis=1, keepdims=True))
        moved = np.abs(exact[1:] * points_of(case)) / size[:2] * 2.0**-24
        assert (np.abs(found[:2] - exact[:2]) / size[:2] <= moved * 1.5 + 40 * 2.0**-24).all(), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_zeta_keeps_its_digits_next_to_zero_and_to_the_third_derivative(backend: str) -> None:
    expression = sp.zeta(x)
    derivatives = [expression, *(sp.Derivative(expression, (x, k)) for k in (1, 2, 3))]
    kernel = sg.compile(sp.Matrix(derivatives), args=(x,), backend=backend)
    for at in (-2.5, -0.3, -1e-9, 1e-9, 0.7, 3.25):
        with mpmath.workdps(30):
            exact = [float(mpmath.diff(mpmath.zeta, mpmath.mpf(at), k)) for k in range(4)]
        np.testing.assert_allclose(np.ravel(kernel(at)), exact, rtol=1e-13)
