"""Quotients beside their own terms: value, gradient and Hessian to 1e-13 relative, or what rounding x moves.

The reference is independent of symgrad: SymPy differentiates the expression as it is written, and mpmath
evaluates that with hundreds of digits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

RELATIVE = 1e-13
DIGITS = 300
x, y = sp.symbols("x y", real=True)
FAR = tuple((v,) for v in (1e-8, 0.1, 1.0, 5.0, 40.0, 1e3, 1e5, 1e8, 1e16))
BOTH = (*FAR, *((-v,) for (v,) in FAR))
PAIRS = ((1e8, 1.0), (1.0, 1e8), (0.3, 0.7), (1e3, 1e-3), (5.0, 2.0), (1e-5, 3.0))

CASES: dict[str, tuple[Any, tuple[tuple[float, ...], ...]]] = {
    str(e): (e, points)
    for e, points in (
        *((x**k / (1 + x**k), FAR) for k in (1, 2, 3, 4, 6, 8)),
        (x ** sp.Rational(5, 2) / (1 + x ** sp.Rational(5, 2)), FAR),
        (x / (1 + sp.Abs(x)), BOTH),
        (1 - 1 / (1 + x**2), BOTH),
        (x**2 / (1 + x) ** 2, FAR),
        ((x**2 + x) / (x**2 + x + 1), FAR),
        ((1 + x) / (1 + x + x**2), FAR),
        (x / (1 + sp.sqrt(1 + x**2)), FAR),
        (x / (1 + x**3) ** sp.Rational(1, 3), FAR),
        (x / (x + y), PAIRS),
        (x**2 / (x**2 + y**2), PAIRS),
        (x**4 / (x**4 + y**4), PAIRS),
        (x / (y + x + x**2), PAIRS),
        (x * y / (x + y), PAIRS),
        (1 / (1 / x + 1 / y), PAIRS),
        ((x - y) / (x + y), PAIRS),
        (1 - (x**2 + y**2) / (x + y) ** 2, PAIRS),
    )
}
ON_EVERY_TARGET = [str(e) for e in (x**4 / (1 + x**4), x / (1 + sp.Abs(x)))]


def arguments(expr: Any) -> list[Any]:
    return sorted(expr.free_symbols, key=str)


@lru_cache
def exact(name: str) -> list[list[tuple[mpmath.mpf, mpmath.mpf]]]:
    """For each point and entry of value, gradient and Hessian: the number, and what half a place moves."""
    expr, points = CASES[name]
    args = arguments(expr)
    gradient = [sp.diff(expr, a) for a in args]
    entries = [expr, *gradient, *(sp.diff(d, a) for d in gradient for a in args)]
    function = sp.lambdify(
        args, entries, modules=[{"DiracDelta": lambda _: 0}, "mpmath"]
    )  # of |x|, away from 0
    with mpmath.workdps(DIGITS):
        found = []
        for point in points:
            at = [mpmath.mpf(t) for t in point]
            here = function(*at)
            moved = [
                function(*(t * (1 + mpmath.mpf(2) ** -53) if k == j else t for k, t in enumerate(at)))
                for j in range(len(at))
            ]
            found.append([(w, sum(abs(m[k] - w) for m in moved)) for k, w in enumerate(here)])
        return found


def wrong_entries(name: str, target: str) -> list[Any]:
    expr, points = CASES[name]
    args = arguments(expr)
    compiled = sg.compile(expr, args=args, wrt=args, outputs=("value", "grad", "hess"), backend=target)
    wrong = []
    for point, entries in zip(points, exact(name), strict=True):
        found = np.concatenate([np.ravel(part) for part in compiled(*point)])
        for k, (f, (w, moved)) in enumerate(zip(found, entries, strict=True)):
            if not abs(f - w) <= max(RELATIVE * abs(w), 4 * moved) + 1e-300:
                wrong.append((point, k, f, float(w)))
    return wrong


@pytest.mark.parametrize("name", CASES)
def test_quotients_beside_their_own_terms_keep_their_digits(name: str) -> None:
    assert wrong_entries(name, "numpy") == []


@pytest.mark.parametrize("target", ["llvm", "c"])
@pytest.mark.parametrize("name", ON_EVERY_TARGET)
def test_also_on_compiled_targets(name: str, target: str) -> None:
    assert wrong_entries(name, target) == []


def test_a_square_of_a_difference_is_not_multiplied_out() -> None:
    """The square of a small x - y has its digits, multiplied out it has none."""
    kernel = sg.compile(1 - (x + y) / (x - y) ** 2, args=(x, y))
    at = 1e8 + 1.0, 1e8
    with mpmath.workdps(50):
        a, b = (mpmath.mpf(t) for t in at)
        assert kernel(*at)[0] == pytest.approx(float(1 - (a + b) / (a - b) ** 2), rel=1e-15)


def test_a_length_beside_a_number_has_no_origin() -> None:
    assert sg.program(sp.sqrt(1 + x**2), wrt=x).kinks == ()
    assert len(sg.program(sp.sqrt(y**2 + x**2), wrt=x).kinks) == 1
