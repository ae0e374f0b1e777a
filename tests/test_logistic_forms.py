"""Formulas of logistic functions, softplus, tanh and exponentials, as they are written: every entry is right.

Value, gradient and Hessian, from where exponentials underflow to where they overflow, against numbers of
mpmath with derivatives (`duals.py`). An entry may be off by 1e-13 of itself, and by four times what rounding
of the inputs changes; nothing counts beside the largest entry.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact
from kept_digits import off, wrong_entries

import symgrad as sg

x, y, a, b, m, t = sp.symbols("x y a b m t", real=True)
exp, log, tanh, cosh, sqrt, R = sp.exp, sp.log, sp.tanh, sp.cosh, sp.sqrt, sp.Rational


def s(u: sp.Expr) -> sp.Expr:
    return 1 / (1 + exp(-u))


p, q, e, half = s(x), 1 - s(x), exp(x), exp(x) / (1 + exp(x))

OF_ONE = {
    "logistic": p, "of exp": half, "complement": q, "variance": p * q, "log": log(p),
    "log of complement": log(q), "less half": p - R(1, 2), "twice less one": 2 * p - 1,
    "skewness": p * q * (1 - 2 * p), "gini": 2 * p * q, "odds": p / q, "log-odds": log(p / q),
    "log-odds of exp": log(half / (1 - half)), "deviation": sqrt(p * q), "square root": sqrt(p),
    "cube root": p ** R(1, 3), "root of exp": sqrt(half), "power": p ** R(3, 2),
    "root of odds": sqrt(p / q), "square": p**2, "square of exp": half**2, "square of complement": q**2,
    "beta": p**2 * q**2, "focal": -(q**2) * log(p), "entropy": -p * log(p) - q * log(q), "swish": x * p,
    "swish'": x * p * q, "gelu": x / 2 * (1 + tanh(x)), "mish": x * tanh(log(1 + e)),
    "entropy by softplus": log(1 + e) - x * p, "of minus": log(1 + 1 / e) + x * q,
    "entropy by exp": log(1 + e) - x * half, "certainty": x * p - log(1 + e) + log(2),
    "three states": log(e + 1 + 1 / e), "with a number": log(e + 3 + 1 / e), "by cosh": log(1 + 2 * cosh(x)),
    "interval": s(x + 1) - s(x - 1), "of tanh": tanh(x + 1) - tanh(x - 1),
    "log of interval": log(s(x + 1) - s(x - 1)),
    "step": s(10 * x) - s(10 * (x - 1)), "near step": log(s(x + R(1, 100)) - s(x - R(1, 100))),
    "entropy of a half": log(1 + exp(x / 2)) - x / 2 * s(x / 2),
    "of a third": log(1 + exp(3 * x)) - 3 * x * s(3 * x), "entropy by tanh": log(2 * cosh(x)) - x * tanh(x),
    "square of entropy": (log(1 + e) - x * p) ** 2, "log of entropy": log(log(1 + e) - x * p),
    "perplexity": exp(log(1 + e) - x * p), "perplexity by shares": exp(-p * log(p) - q * log(q)),
    "log of entropy by shares": log(-p * log(p) - q * log(q)),
    "of one and two": (e - 1) / (e + 2),
    "over softplus": x / log(1 + e), "one over softplus": 1 / log(1 + e),
    "root of softplus": sqrt(log(1 + e)), "log of softplus": log(log(1 + e)),
    "complementary log-log": log(1 - exp(-e)),
    "scaled log-log": log(1 - exp(-3 * e)), "log of exp of exp less one": log(exp(e) - 1),
    "of a hazard": p / log(1 + e), "over p": log(q) / p, "over exp": log(1 + e) / e,
    "less square": 1 - p**2, "less square of complement": 1 - q**2, "less cube": 1 - p**3,
    "best of five": 1 - q**5, "log of less square": log(1 - p**2), "log of less cube": log(1 - q**3),
    "log of best of five": log(1 - q**5), "less cube of tanh": 1 - tanh(x) ** 3,
    "less fourth power of tanh": 1 - tanh(x) ** 4, "impurity": 1 - p**2 - q**2,
    "symmetric loss": 4 * q - log(p), "Taylor loss": q + q**2 / 2, "guessing": log(R(1, 4) + 3 * p / 4),
    "odds of two": log((1 + p) / (1 - p)),
    "power loss": (1 - p ** R(7, 10)) * R(10, 7), "cubic in both": p**3 - q**3 - tanh(x / 2) / 4,
    "softplus": log(1 + e), "softplus/x": log(1 + e) / x, "log of slope": log(p * q),
    "log of slope of exp": log(e / (1 + e) ** 2), "log of square": log(p**2), "scaled": log(3 * q / 4),
    "slope of exp": e / (1 + e) ** 2, "cubic": e**2 / (1 + e) ** 3, "odd": (e - 1) * e / (e + 1) ** 3,
    "other numbers": 1 / (2 * e + 3), "growth": 5 / (1 + 4 * exp(-3 * x)), "Richards": (1 + e) ** R(-2, 3),
    "exp times": e * q, "exp of minus times": exp(-x) * p, "atan": sp.atan(e), "of itself": s(p),
    "tanh": (e - 1 / e) / (e + 1 / e), "tanh by doubles": (e**2 - 1) / (e**2 + 1),
    "tanh by half": (e - 1) / (e + 1), "tanh of minus": (1 - exp(-2 * x)) / (1 + exp(-2 * x)),
    "tanh by logistic": 2 / (1 + exp(-2 * x)) - 1, "coth": (e + 1 / e) / (e - 1 / e),
    "sech": 2 / (e + 1 / e), "sech of doubles": 2 * e / (e**2 + 1), "sech squared": 4 / (e + 1 / e) ** 2,
    "sinh": (e - 1 / e) / 2, "cosh": (e + 1 / e) / 2, "slope of tanh": 1 - tanh(x) ** 2,
    "its logarithm": log(1 - tanh(x) ** 2), "cubic in tanh": tanh(x) - tanh(x) ** 3,
    "half tanh": (1 - tanh(x)) / 2, "log(1 + tanh)": log(1 + tanh(x)),
    "atanh(tanh)": log((1 + tanh(x)) / (1 - tanh(x))), "log-cosh": log((e + 1 / e) / 2),
    "log 2cosh": log(e + 1 / e) - log(2), "log sech": log(2 / (e + 1 / e)),
    "log-cosh by softplus": x + log(1 + exp(-2 * x)) - log(2), "Gompertz": exp(-2 * exp(-3 * x)),
    "Gumbel": exp(-x - exp(-x)), "exp of exp": exp(-e), "its complement": 1 - exp(-e),
    "hazard": 1 - exp(-2 * e), "Morse": (1 - exp(-x)) ** 2, "Hill": e**3 / (e**3 + 8),
    "Langevin": 1 / tanh(x) - 1 / x, "Bose": 1 / (e - 1), "far": log(1 + exp(x - 1000)),
    "Gudermannian": sp.atan(sp.sinh(x)), "by tanh": sp.asin(tanh(x)), "what it leaves": sp.acos(tanh(x)),
    "cold": R(1, 250) * log(1 + exp(250 * x)), "cold Fermi": 1 / (exp(250 * (x - 1000)) + 1),
}  # fmt: skip
OF_TWO = {
    "Bradley-Terry": s(x - y), "its logarithm": log(s(x - y)), "of exp": log(e / (e + exp(y))),
    "Rasch": s(x - y) * (1 - s(x - y)), "softplus less": log(1 + e) - y * x, "gate": s(x) * tanh(y),
    "tanh": (e - exp(y)) / (e + exp(y)), "log-cosh": log((exp(x - y) + exp(y - x)) / 2),
    "logistic density": log(exp(y - x) / (1 + exp(y - x)) ** 2), "both": log(s(x) * s(y)),
    "ratio": log(s(x) / s(y)), "three": log(1 + e + exp(y)), "Morse": (1 - exp(y - x)) ** 2,
    "weighted slope": y * e / (1 + e) ** 2, "Fermi": 1 / (exp(x - y) + 1),
    "divergence": s(y) * log(s(y) / s(x)),
    "divergence by softplus": log(1 + exp(y)) - log(1 + e) + (x - y) * s(x),
    "cold softplus": y * log(1 + exp(x / y)), "entropy of a quotient": log(1 + exp(x / y)) - x / y * s(x / y),
    "soft cross-entropy": -(s(y) * log(p) + (1 - s(y)) * log(q)),
    "mean of two": (x * e + y * exp(y)) / (e + exp(y)),
    "cold cosh": y * log(2 * cosh(x / y)),
    "log of share of 1": log(1 / (1 + e + exp(y))),
}  # fmt: skip
OF_SHARES = {  # some second derivative of which is 0 where a share is 1/2, or where two are equal or both 0
    "soft label": log(1 + e) - x * s(y), "share of 1": 1 / (1 + e + exp(y)),
    "margin": (e - exp(y)) / (1 + e + exp(y)),
    "margin to 1": e / (1 + e + exp(y)) - 1 / (1 + e + exp(y)),
}  # fmt: skip
OF_MORE = {
    "ordinal": log(s(y - x) - s(b - x)),
    "Fermi": 1 / (exp((x - m) / t) + 1), "regression": log(s(a * x + b)), "linear": s(a * x + b),
    "cross-entropy": -(y * log(s(a * x + b)) + (1 - y) * log(1 - s(a * x + b))), "tanh": tanh((x - m) / t),
    "slope": exp((x - m) / t) / (t * (1 + exp((x - m) / t)) ** 2), "growth": a / (1 + exp(-b * (x - m))),
    "cold softplus": t * log(1 + exp((x - m) / t)),
    "log-log regression": y * log(1 - exp(-exp(a * x + b))) - (1 - y) * exp(a * x + b),
    "density": -(x - m) / t - log(t) - 2 * log(1 + exp(-(x - m) / t)),
    "Morse": (1 - exp(-a * (x - b))) ** 2, "Gompertz": a * exp(-b * exp(-t * x)),
    "Hill": a * exp(b * x) / (1 + exp(b * x)),
}  # fmt: skip

SIZES = (1e-200, 1e-16, 1e-8, 0.3, 5.0, 18.0, 37.0, 300.0, 500.0, 708.0, 740.0, 1000.0)
POINTS = [(0.0,), *((sign * size,) for size in SIZES for sign in (1, -1))]
PAIRS = [
    *itertools.product((0.0, 1e-9, 1.0, -2.0, 18.0, -40.0, -700.0), (0.5, -1.0, 20.0, -350.0, 999.5)),
    (0.5, 0.5), (-40.0, -40.0), (900.0, 900.0),
]  # fmt: skip
MORE = (1.0, 0.5, -0.3, 0.004, 3.0, 20.0, 1e-8, -5.0, 40.0, 0.1, 1e3, 1.7)
DIGITS = 900


def wrong(formula: sp.Expr, points: Sequence[tuple[float, ...]], backend: str = "llvm") -> list[object]:
    return wrong_entries(formula, points, backend, digits=DIGITS, is_limit=False)


@pytest.mark.parametrize("name", OF_ONE)
def test_every_entry_of_a_formula_of_one_value_has_its_digits(name: str) -> None:
    assert not wrong(sp.sympify(OF_ONE[name]), POINTS)


@pytest.mark.parametrize("name", OF_TWO)
def test_every_entry_of_a_formula_of_two_values_has_its_digits(name: str) -> None:
    assert not wrong(OF_TWO[name], PAIRS)


@pytest.mark.parametrize("name", OF_SHARES)
def test_every_entry_of_a_formula_of_shares_has_its_digits(name: str) -> None:
    assert not wrong(OF_SHARES[name], [(u, v) for u, v in PAIRS if abs(u) > 0.5 and u != v and max(u, v) > 0])


@pytest.mark.parametrize("name", OF_MORE)
def test_every_entry_of_a_formula_with_parameters_has_its_digits(name: str) -> None:
    count = len(OF_MORE[name].free_symbols)
    points = [tuple(MORE[(k + 5 * j + k * j) % len(MORE)] for j in range(count)) for k in range(12)]
    assert not wrong(OF_MORE[name], points)


@pytest.mark.parametrize("backend", ["numpy", "c"])
@pytest.mark.parametrize("name", ["cube root", "tanh", "deviation", "log of slope", "softplus/x"])
def test_other_targets_have_the_digits(name: str, backend: str) -> None:
    assert not wrong(OF_ONE[name], POINTS, backend)


def test_exponentials_beside_opposite_ones_do_not_overflow() -> None:
    """In logarithms of longer sums, and above a divisor that becomes a hyperbolic cosine."""
    for formula in (
        log(3 * e + 3 / e + 5 * exp(y)), (x * e + y / e) / (e + 1 / e), exp(x + y) / (e + 1 / e),
        e / (e + 1 / e), e / (e + 1 / e + exp(y)),
    ):  # fmt: skip
        assert not wrong(
            formula, [(800.0, 1.0), (-800.0, 0.5), (3.0, 0.25)] if y in formula.free_symbols else POINTS
        )


def test_the_reference_knows_derivatives() -> None:
    with mpmath.workdps(30):
        found = exact(log(cosh(x)) * y**2, (x, y), (0.5, 3.0))
        assert found is not None
        slope = mpmath.tanh(0.5)
        wanted = [9 * mpmath.log(mpmath.cosh(0.5)), 9 * slope, 6 * mpmath.log(mpmath.cosh(0.5))]
        wanted += [9 * (1 - slope**2), 6 * slope, 6 * slope, 2 * mpmath.log(mpmath.cosh(0.5))]
        assert all(abs(u - v) < 1e-25 for u, v in zip(found, wanted, strict=True))
    assert off([9.0, 6.0, 2.0 + 1e-12], [mpmath.mpf(t) for t in (9, 6, 2)], lambda: [0, 0, 0])[0][0] == 2


def test_logarithms_where_exponentials_are_beyond_any_reference():
    value = sg.compile(sp.log(sp.log(1 + sp.exp(x))), outputs="value")
    assert [value(p) for p in (-1e8, -1e300, -np.inf, np.inf)] == [-1e8, -1e300, -np.inf, np.inf]
    link = sg.compile(sp.log(1 - sp.exp(-sp.exp(x))), outputs="value")
    assert [link(p) for p in (-1e8, -1e300, -np.inf, np.inf)] == [-1e8, -1e300, -np.inf, 0.0]
    share = 1 / (1 + sp.exp(-x))
    left = sg.compile(sp.log(1 - share**2), outputs="value")
    assert [left(p) for p in (1e16, 1e300, np.inf, -1e8, -np.inf)] == [-1e16, -1e300, -np.inf, 0.0, 0.0]
    interval = sg.compile(sp.log(share - share.subs(x, y)), args=(x, y), outputs="value")
    assert [interval(*p) for p in ((1e6, 1e5), (-1e5, -1e6), (np.inf, 1e300))] == [-1e5, -1e5, -1e300]
    assert np.isnan(interval(1e300, np.inf))


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_an_entropy_far_out_is_nothing(backend: str) -> None:
    """Also at infinity, where its shares are 1 and 0; its slope is 0 as long as numbers are finite."""
    formula = log(1 + exp(x)) - x * p
    entropy = sg.compile(formula, args=(x,), wrt=x, outputs=("value", "grad"), backend=backend)
    assert [entropy(far)[0] for far in (1e4, -1e300, np.inf, -np.inf)] == [0.0] * 4
    assert [float(entropy(far)[1]) for far in (1e4, -1e300)] == [0.0] * 2
    assert np.isnan(entropy(np.nan)[0])
