"""Variances, covariances and squares written out in numbers: value, gradient and Hessian near ties.

The reference is second-order forward mode in numbers of mpmath, with digits enough for all that cancels.
An entry may be off by 1e-13 of itself and by what half a last place of the arguments makes of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact
from kept_digits import OUTPUTS, RELATIVE, ROUNDINGS, changes, wrong_entries

import symgrad as sg
from symgrad.ir import quadratic
from symgrad.ir.stability import quadratic_forms

DIGITS = 700
TARGETS = ("llvm", "c", "numpy")
Point = tuple[float, ...]

x, y, z, p = sp.symbols("x y z p", real=True)
X = sp.symbols("x1:13", real=True)
Y = sp.symbols("y1:13", real=True)
STEPS = (1e-15, 1e-12, 1e-8, -1e-4, 0.3)
OFFSETS = (1.0, 1e3, 1e8, -0.3)
exp, log, sqrt = sp.exp, sp.log, sp.sqrt


# ---- formulas --------------------------------------------------------------------------------------


q = sp.Rational


def total(terms: Iterable[Any]) -> Any:
    first, *others = terms
    for t in others:
        first = first + t
    return first


def mean(v: Sequence[Any]) -> Any:
    return total(v) * q(1, len(v))


def variance(v: Sequence[Any], ddof: int = 0) -> Any:
    return (total(t * t for t in v) * q(1, len(v)) - mean(v) * mean(v)) * q(len(v), len(v) - ddof)


def covariance(v: Sequence[Any], w: Sequence[Any]) -> Any:
    return total(s * t for s, t in zip(v, w, strict=True)) - total(v) * total(w) * q(1, len(v))


def ties(n: int) -> list[Point]:
    return [
        tuple(c * (1 + e * ((7 * k * k + 3 * k) % 11 - 4)) for k in range(n))
        for c, e in itertools.product(OFFSETS, STEPS)
    ]


def halves(v: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    return v[: len(v) // 2], v[len(v) // 2 :]


FORMULAS: dict[str, tuple[Callable[..., Any], tuple[sp.Symbol, ...]]] = {
    "variance of 2": (lambda *v: variance(v), X[:2]),
    "variance of 3": (lambda *v: variance(v), X[:3]),
    "sample variance of 2": (lambda *v: variance(v, 1), X[:2]),
    "sample variance of 3": (lambda *v: variance(v, 1), X[:3]),
    "sample variance of 4": (lambda *v: variance(v, 1), X[:4]),
    "variance of 6": (lambda *v: variance(v), X[:6]),
    "sample variance of 9": (lambda *v: variance(v, 1), X[:9]),
    "standard deviation of 2": (lambda *v: sqrt(variance(v)), X[:2]),
    "sample standard deviation of 2": (lambda *v: sqrt(variance(v, 1)), X[:2]),
    "standard deviation of 6": (lambda *v: sqrt(variance(v)), X[:6]),
    "variance beside others": (lambda a, b, c: variance((a, b)) + c * q(1, 3) + 1, X[:3]),
    "covariance of 2": (lambda *v: covariance(*halves(v)), (*X[:2], *Y[:2])),
    "covariance of 3": (lambda *v: covariance(*halves(v)), (*X[:3], *Y[:3])),
    "square of a difference": (lambda a, b: a * a - 2 * a * b + b * b, X[:2]),
    "square less a term": (lambda a, b: a * a - 2 * a * b + b * b - a, X[:2]),
    "square of 2*a - 3*b": (lambda a, b: 4 * a * a - 12 * a * b + 9 * b * b, X[:2]),
    "square beside a number": (lambda a, b: 1 + a * b - a * a * q(1, 2) - b * b * q(1, 2), X[:2]),
    "squares of three": (lambda a, b, c: a * a + b * b + c * c - a * b - b * c - c * a, X[:3]),
    "a chain": (lambda a, b, c: a * a - 2 * a * b + 2 * b * b - 2 * b * c + c * c, X[:3]),
    "squared distance": (
        lambda a, b, c, d: a * a - 2 * a * b + b * b + c * c - 2 * c * d + d * d, (*X[:2], *Y[:2])),
    "Mahalanobis": (
        lambda a, b, c, d: 2 * a * a - 4 * a * b + 2 * b * b + 2 * a * c - 2 * a * d - 2 * b * c
        + 2 * b * d + 3 * c * c - 6 * c * d + 3 * d * d, (*X[:2], *Y[:2])),
    "two differences": (lambda a, b, c: a * b - a * c - b * b + b * c, X[:3]),
    "a square above": (lambda a, b: (a + b) * (a + b) - a * a, X[:2]),
    "two squares": (lambda a, b: (a + b) * (a + b) - (a - b) * (a - b), X[:2]),
}  # fmt: skip


def weighted(w: Sequence[Any], v: Sequence[Any]) -> Any:
    middle = total(s * t for s, t in zip(w, v, strict=True))
    return total(s * (t * t) for s, t in zip(w, v, strict=True)) - middle * middle


POSITIVE = [t for t in ties(2) if t[0] * t[1] > 0]
NEAR = [t for t in ties(2) if abs(t[0] - t[1]) < 1]
SMALL = [(t,) for t in (1e-12, -1e-7, 1e-3, 0.3, 0.9, 0.999)]
WEIGHTS = [(w, c, c * (1 + e)) for w in (0.3, 1e-5, 0.999) for c in (1.0, 1e8) for e in (1e-12, 1e-7, 0.5)]
SHARES = [(0.2, 0.7, c, c * (1 + e), c * (1 - 3 * e)) for c in (1.0, 1e8) for e in (1e-12, 1e-7, 0.2)]
FORMULAS |= {
    "square of a difference of squares": (
        lambda a, b: a * a * (a * a) - 2 * (a * a * (b * b)) + b * b * (b * b), X[:2]),
    "square of a product less a number": (lambda a, b, c: a * a * (b * b) - 2 * a * b * c + c * c, X[:3]),
    "square over a number": (lambda a, b: a * a / b - 2 * a + b, X[:2]),
    "two quotients": (lambda a, b: a / b + b / a - 2, X[:2]),
    "squares of quotients": (lambda a, b: (a / b) ** 2 + (b / a) ** 2 - 2, X[:2]),
    "a pair potential at its minimum": (lambda a, b: (a / b) ** 12 - 2 * (a / b) ** 6 + 1, X[:2]),
    "a sum beside a square": (lambda a, b: a * a / b - 2 * a + b + 3 * a, X[:2]),
    "arithmetic less harmonic mean": (lambda a, b: (a + b) * q(1, 2) - 2 * a * b / (a + b), X[:2]),
    "difference of squares over the sum": (lambda a, b: (a * a - b * b) / (a + b), X[:2]),
    "square over a difference": (lambda a, b: (a * a - 2 * a * b + b * b) / (a - b), X[:2]),
    "fourth powers over squares": (
        lambda a, b: (a * a * a * a - b * b * b * b) / (a * a + b * b), X[:2]),
    "cubes over their sum": (lambda a, b: (a * a * a + b * b * b) / (a + b), X[:2]),
    "a product over a factor": (lambda a, b: (a * a - 3 * a * b + 2 * b * b) / (a - b), X[:2]),
    "conjugates": (lambda a, b: (a - b) * (a + b), X[:2]),
}  # fmt: skip
ELSEWHERE: dict[str, tuple[Callable[..., Any], tuple[sp.Symbol, ...], list[Point]]] = {
    "weighted variance of 2": (lambda w, a, b: weighted((w, 1 - w), (a, b)), X[:3], WEIGHTS),
    "weighted deviation of 2": (lambda w, a, b: sqrt(weighted((w, 1 - w), (a, b))), X[:3], WEIGHTS),
    "weighted variance of 3": (
        lambda v, w, a, b, c: weighted((v, w, 1 - v - w), (a, b, c)) * 2, X[:5], SHARES),
    "exponentials less 2": (lambda a: exp(a) - 2 + exp(-a), X[:1], SMALL),
    "2 less exponentials": (lambda a, b: 2 - exp(a - b) - exp(b - a), X[:2], NEAR),
    "exponentials less 2 over the square": (lambda a: (exp(a) - 2 + exp(-a)) / (a * a), X[:1], SMALL),
    "second difference": (
        lambda a, b: (exp(a + b) - 2 * exp(a) + exp(a - b)) / (b * b), X[:2], [(1.0, 1e-9), (0.3, 1e-3)]),
    "logarithm over distance": (lambda a, b: log(a / b) / (a / b - 1), X[:2], POSITIVE),
    "distance over logarithm": (lambda a, b: (a / b - 1) / log(a / b), X[:2], POSITIVE),
    "logarithm over the other distance": (lambda a, b: log(a / b) / (1 - b / a), X[:2], POSITIVE),
    "arithmetic less geometric mean": (lambda a, b: (a + b) * q(1, 2) - sqrt(a * b), X[:2], POSITIVE),
    "twice that": (lambda a, b: a - 2 * sqrt(a * b) + b, X[:2], POSITIVE),
    "quadratic less arithmetic mean": (
        lambda a, b: sqrt((a * a + b * b) * q(1, 2)) - (a + b) * q(1, 2), X[:2], ties(2)),
    "1 - x times 1 + x": (lambda a: (1 - a) * (1 + a), X[:1], SMALL),
    "x - 1 times x + 1": (lambda a: (a - 1) * (a + 1), X[:1], SMALL),
    "log odds": (lambda a: log((1 + a) / (1 - a)), X[:1], SMALL),
    "log of (x + y)/(x - y)": (
        lambda a, b: log((a + b) / (a - b)), X[:2], [(3.0, 1e-9), (-1.0, 1e-4), (2.0, 1.5), (5.0, -1e-8)]),
}  # fmt: skip


def wrong(expr: Any, args: Sequence[sp.Symbol], points: Iterable[Point], target: str) -> list[Any]:
    return wrong_entries(expr, points, target, digits=DIGITS, args=args, is_limit=False)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_others_keep_their_digits(name: str) -> None:
    f, args, points = ELSEWHERE[name]
    assert not wrong(sp.sympify(f(*args)), args, points, "llvm")


@pytest.mark.parametrize("name", FORMULAS)
def test_forms_keep_their_digits_near_ties(name: str) -> None:
    f, args = FORMULAS[name]
    assert not wrong(sp.sympify(f(*args)), args, ties(len(args)), "llvm")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["standard deviation of 2", "sample variance of 4", "covariance of 2"])
def test_so_they_do_on_every_target(name: str, target: str) -> None:
    f, args = FORMULAS[name]
    assert not wrong(sp.sympify(f(*args)), args, ties(len(args))[:8], target)


FAR = (5e-324, 1e-310, 1e-160, 1.0, 1.5, 1.3e154, 1e300)


@pytest.mark.parametrize("name", [n for n, (_, args) in FORMULAS.items() if len(args) == 2])
def test_a_finite_right_answer_stays_one_over_the_whole_range(name: str) -> None:
    f, args = FORMULAS[name]
    expr = sp.sympify(f(*args))
    made = [
        sg.compile(expr, args=args, wrt=args, outputs=OUTPUTS, stabilise=on, backend="numpy")
        for on in (False, True)
    ]
    signed = [0.0, *FAR, *(-v for v in FAR)]
    for point in itertools.product(signed, repeat=2):
        with np.errstate(all="ignore"):
            before, after = ([float(v) for part in k(*point) for v in np.ravel(part)] for k in made)
        with mpmath.workdps(DIGITS):
            wanted = exact(expr, args, point)
            if wanted is None:
                continue
            pairs = zip(before, after, wanted, strict=True)
            lost = [k for k, (a, b, w) in enumerate(pairs) if is_right(a, w) and not is_right(b, w)]
            allowed = changes(expr, args, point, wanted) if lost else []
            for k in lost:
                off = abs(mpmath.mpf(after[k]) - wanted[k])
                assert off <= ROUNDINGS * allowed[k], (point, k, before[k], after[k])


def is_right(found: float, wanted: Any) -> bool:
    off = abs(mpmath.mpf(found) - wanted)
    return bool(np.isfinite(found) and off <= RELATIVE * abs(wanted) + mpmath.mpf("1e-318"))


# ---- what is rewritten, and what is not -----------------------------------------------------------------


def fired(expr: sp.Expr) -> int:
    args = sorted(expr.free_symbols, key=str)
    return sg.program(expr, args=args, wrt=tuple(args)).translation.graph.fired[quadratic_forms.NAME]


@pytest.mark.parametrize("expr", [
    x**2 + y**2, x**2 + x * y + y**2, x**2 - x * y + y**2, x * y - z * p, x * y + z * p, x * y + y * z,
    (x - y)**2 + (y - z)**2, (x - y)**2 + x * z, x**2 - 3 * x + 1, x * (y + z) + y * (p + z),
], ids=str)  # fmt: skip
def test_other_forms_are_left_alone(expr: sp.Expr) -> None:
    assert fired(expr) == 0


def test_it_can_be_turned_off() -> None:
    program = sg.program(x**2 - 2 * x * y + y**2, args=(x, y), wrt=(x, y), stabilise=False)
    assert program.translation.graph.fired[quadratic_forms.NAME] == 0


def test_many_numbers_take_operations_in_proportion() -> None:
    """Deviations from the mean, and not all pairs."""
    few, many = (
        len(sg.program(sp.sympify(variance(X[:n])), args=X[:n]).translation.graph.op) for n in (6, 12)
    )
    assert many < 2.5 * few


@pytest.mark.parametrize("seed", range(20))
def test_products_of_a_form_multiply_out_to_it(seed: int) -> None:
    """Random forms of a rank below the number of variables."""
    rng = np.random.default_rng(seed)
    n, rank = int(rng.integers(2, 7)), int(rng.integers(1, 4))
    form: quadratic.Quadratic = {}
    for _ in range(rank):
        row = {k: Fraction(int(c)) for k, c in enumerate(rng.integers(-3, 4, n)) if c}
        quadratic.add_product(form, Fraction(int(rng.integers(1, 5)), 3), row, row)
    for part in quadratic.components({k: c for k, c in form.items() if c}):
        found = quadratic.as_products(part)
        if not isinstance(found, list):
            continue
        made: quadratic.Quadratic = {}
        for term in found:
            quadratic.add_product(made, term.number, term.first, term.second)
        assert {k: c for k, c in made.items() if c} == part
