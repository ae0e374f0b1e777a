"""Quotients beside their own terms, and forms in two sides over their squares, on every target.

The reference is mpmath. What counts is the error beside what half a last place of the arguments changes: no
formula can do better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
every_target = pytest.mark.parametrize("target", TARGETS)
RELATIVE = 1e-13  # or `ROUNDINGS` times the conditioning
ROUNDINGS = 8
LARGEST = float(np.finfo(float).max)
x, y, z, k, v = sp.symbols("x y z k v", real=True)


def exact_functions(expr: Any, by: Sequence[Any]) -> Callable[..., list[Any]]:
    """Value, gradient and Hessian, one after the other."""
    slopes = [sp.diff(expr, a) for a in by]
    return sp.lambdify(by, [expr, *slopes, *(sp.diff(s, b) for s in slopes for b in by)], modules="mpmath")


def wrong_entries(expr: Any, by: Sequence[Any], points: Sequence[Any], target: str, digits: int) -> list[Any]:
    """Entries with a larger error than allowed, where the exact one is in range."""
    words = ("value", "grad", "hess")
    kernel = sg.compile(expr, args=by, wrt=by, outputs=words, backend=target)
    exact, wrong = exact_functions(expr, by), []
    for point in points:
        found = np.concatenate([np.ravel(part) for part in kernel(*point)])
        with mpmath.workdps(digits):
            centre = [mpmath.mpf(c) for c in point]
            wanted, moved = exact(*centre), [mpmath.mpf(0)] * len(found)
            for place, c in enumerate(point):
                beside = list(centre)
                beside[place] += mpmath.mpf(float(np.spacing(abs(c)))) / 2
                moved = [m + abs(b - w) for m, b, w in zip(moved, exact(*beside), wanted, strict=True)]
            for entry, (f, w, m) in enumerate(zip(found, wanted, moved, strict=True)):
                allowed = max(RELATIVE * abs(w), ROUNDINGS * m) + ROUNDINGS * mpmath.mpf(5e-324)
                if abs(w) <= LARGEST and not abs(mpmath.mpf(float(f)) - w) <= allowed:
                    wrong.append((point, entry, float(f), mpmath.nstr(w, 17)))
    return wrong


FORMS = {
    "x/(x**2 + y**2)": x / (x**2 + y**2),
    "y/(x**2 + y**2)": y / (x**2 + y**2),
    "x*y/(x**2 + y**2)": x * y / (x**2 + y**2),
    "x**2/(x**2 + y**2)": x**2 / (x**2 + y**2),
    "(x**2 - y**2)/(x**2 + y**2)": (x**2 - y**2) / (x**2 + y**2),
    "(x**2 + 3*y**2)/(x**2 + y**2)": (x**2 + 3 * y**2) / (x**2 + y**2),
    "(x - y)/(x**2 + y**2)": (x - y) / (x**2 + y**2),
    "1/(x**2 + y**2)": 1 / (x**2 + y**2),
    "x/(4*x**2 + 9*y**2)": x / (4 * x**2 + 9 * y**2),
    "(x**2 + y**2)**(-3/2)": (x**2 + y**2) ** sp.Rational(-3, 2),
    "x/(x**2 + y**2)**(3/2)": x / (x**2 + y**2) ** sp.Rational(3, 2),
    "log(x**2 + y**2)": sp.log(x**2 + y**2),
}
SIDES = (1e-79, 1.0, 1 + 2.0**-52, 1e8, 1e160, 1e300)
# Where the shorter side is that much shorter, and their squares underflow, factors of derivatives overflow.
PAIRS = [(a, s * b) for a in SIDES for b in SIDES for s in (1, -1) if min(a, b) > 1e-80]


@every_target
@pytest.mark.parametrize("name", FORMS)
def test_a_form_over_two_squares_is_right_for_all_numbers(name: str, target: str) -> None:
    assert wrong_entries(FORMS[name], (x, y), PAIRS, target, 1300) == []


@every_target
@pytest.mark.parametrize("side", [3e-310, 1e-200, 1e160, 1e300])
def test_values_of_forms_are_right_where_squares_are_nothing_or_infinite(side: float, target: str) -> None:
    pair = (side, -2 * side)
    for name, form in FORMS.items():
        found = sg.compile(form, args=(x, y), outputs="value", backend=target)(*pair)
        with mpmath.workdps(50):
            wanted = sp.lambdify((x, y), form, modules="mpmath")(*map(mpmath.mpf, pair))
        near = float(wanted) if abs(wanted) <= LARGEST else float(mpmath.sign(wanted)) * np.inf
        assert found == near or abs(found - near) <= 6 * np.spacing(abs(near)), name


@every_target
def test_second_derivatives_of_a_thin_plate_spline_are_in_range_near_its_centre(target: str) -> None:
    square = x**2 + y**2
    kernel = sg.compile(square * sp.log(square), args=(x, y), wrt=(x, y), outputs="hess", backend=target)
    for side in (1e-200, 1e-160, 1e-100, 1.0):
        entry = 2 * np.log(2.0) + 4 * np.log(side) + 4  # 2*log(s) + 2 + 4*x**2/s
        np.testing.assert_allclose(kernel(side, -side), [[entry, -2], [-2, entry]], rtol=1e-13)


@every_target
def test_a_form_that_is_nothing_at_the_origin_says_so(target: str) -> None:
    for form in (x / (x**2 + y**2), x * y / (x**2 + y**2), (x**2 - y**2) / (x**2 + y**2)):
        assert np.isnan(sg.compile(form, args=(x, y), outputs="value", backend=target)(0.0, 0.0))
    assert sg.compile(1 / (x**2 + y**2), args=(x, y), outputs="value", backend=target)(0.0, 0.0) == np.inf


# Rates, shares and directions as they are written, where one term is nearly all of the divisor.
RATIOS = {
    "Michaelis-Menten": (v * x / (k + x), (v, k, x)),
    "Hill": (v * x**2 / (k**2 + x**2), (v, k, x)),
    "substrate inhibition": (v * x / (k + x + x**2), (v, k, x)),
    "a share": (x / (x + y + z), (x, y, z)),
    "what is left of it": (1 - x / (x + y), (x, y)),
    "a contrast": ((x - y) / (x + y), (x, y)),
    "a direction": (x / sp.sqrt(x**2 + y**2 + z**2), (x, y, z)),
    "sums with a term in common": ((x**2 + 1) / (x**2 + y**2), (x, y)),
}
LARGE = (2.0, 3.0, 1e9)


@every_target
@pytest.mark.parametrize("name", RATIOS)
def test_derivatives_of_a_quotient_have_their_digits_where_it_saturates(name: str, target: str) -> None:
    expr, by = RATIOS[name]
    points = [p[: len(by)] for p in (LARGE, LARGE[::-1], (3e-9, 1.0, 2.0), (0.3, 0.7, 1.1))]
    assert wrong_entries(expr, by, points, target, 80) == []


@every_target
def test_the_gradient_of_a_product_of_saturated_rates_has_its_digits(target: str) -> None:
    expr = x / (x + y) * z / (1 + z)
    kernel = sg.compile(expr, args=(x, y, z), wrt=(x, y, z), outputs="grad", backend=target)
    a, b, c = point = (1e9, 3.0, 2e8)
    wanted = [b / (a + b) ** 2 * c / (1 + c), -a / (a + b) ** 2 * c / (1 + c), a / (a + b) / (1 + c) ** 2]
    np.testing.assert_allclose(kernel(*point), wanted, rtol=1e-14)


def test_a_difference_of_other_quotients_stays_as_it_is() -> None:
    for expr in (x / (k + x) - y / (k + x), x / y - x * z / y, 1 / (x + y) - z / (x + y) ** 2):
        graph = sg.program(expr, wrt=x).translation.graph
        assert not graph.fired["quotient_less_its_share"]
