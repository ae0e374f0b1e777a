"""Quotients beside their own terms: value, gradient and Hessian to 1e-13 relative, or what rounding x moves.

The reference is independent of symgrad: numbers of mpmath with derivatives (`duals.py`).
"""

from __future__ import annotations

from typing import Any

import mpmath
import pytest
import sympy as sp
from kept_digits import wrong_entries

import symgrad as sg

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


def wrong(name: str, target: str) -> list[Any]:
    expr, points = CASES[name]
    return wrong_entries(expr, points, target)


@pytest.mark.parametrize("name", CASES)
def test_quotients_beside_their_own_terms_keep_their_digits(name: str) -> None:
    assert wrong(name, "numpy") == []


@pytest.mark.parametrize("target", ["llvm", "c"])
@pytest.mark.parametrize("name", ON_EVERY_TARGET)
def test_also_on_compiled_targets(name: str, target: str) -> None:
    assert wrong(name, target) == []


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
