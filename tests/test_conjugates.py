"""Polynomials less roots that they are nearly equal to, with derivatives, against high precision."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

a, b, c = ARGS = sp.symbols("a b c", real=True)
FORMULAS = {
    "quadratic binding": (a + b + c) / 2 - sp.sqrt((a + b + c) ** 2 - 4 * a * b) / 2,
    "quadratic binding, written out": a + b + c - sp.sqrt(a**2 + b**2 + c**2 - 2 * a * b + 2 * c * (a + b)),
    "smooth minimum": a + b - sp.sqrt((a - b) ** 2 + 4 * c),
    "smooth Fischer-Burmeister": a + b - sp.sqrt(a**2 + b**2 + c),
    "eigenvalue of two states": (a + b) / 2 - sp.sqrt(((a - b) / 2) ** 2 + c**2),
    "smooth maximum": (a + b + sp.sqrt((a - b) ** 2 + c**2)) / 2,
    "Bogoliubov": sp.sqrt(a) * sp.sqrt(a + 2 * b) - a + c,
    "beside other terms": a + b - sp.sqrt((a + b) ** 2 + 4 * b) + sp.cos(c) + 7,
    "of functions": sp.log(a) + b - sp.sqrt((sp.log(a) - b) ** 2 + 4 * c),
}
NEAR = ((1e8, 1e-3, 1e-8), (3.0, 2.0, 1e3), (1e-8, 1e-3, 1e-8), (1e3, 1e3, 1e-8), (1.0, 1e-8, 1e-8),
        (0.3, 30.0, 1e-3), (1e-3, 1e-3, 0.7), (20.0, 1e-9, 0.25))  # fmt: skip
FAR = ((1e200, 3e200, 2e199), (1e160, 1e300, 1e150), (3e-200, 1e-200, 2e-201), (1e250, 1e248, 1e250))
QUADRATICS = {
    "one root": (-b + sp.sqrt(b**2 - 4 * a * c)) / (2 * a),
    "the other": (-b - sp.sqrt(b**2 - 4 * a * c)) / (2 * a),
    "time of a fall": (-b + sp.sqrt(b**2 + 2 * a * c)) / a,
}
APART = ((1e-8, -1e-3, -1e-8), (3.0, -1e3, 3.0), (1.0, 1e4, 1e-4), (-2.0, 1e-3, 5.0), (1e-20, 3.0, 1e-8),
         (3.0, 1e3, 3.0), (1e-8, 1e-3, 1e-8))  # fmt: skip
_LARGEST, _TINY = mpmath.mpf(1.7e308), mpmath.mpf(1e-290)


def exact(expr: sp.Expr, point: tuple[float, ...]) -> list[Any]:
    pairs = combinations_with_replacement(ARGS, 2)
    parts = [expr, *(sp.diff(expr, v) for v in ARGS), *(sp.diff(expr, u, v) for u, v in pairs)]
    with mpmath.workdps(1500):
        return list(sp.lambdify(ARGS, parts, "mpmath")(*map(mpmath.mpf, point)))


def found(kernel: Any, point: tuple[float, ...]) -> list[float]:
    value, gradient, hessian = kernel(*point)
    upper = [hessian[i, j] for i, j in combinations_with_replacement(range(3), 2)]
    return [float(value), *map(float, gradient), *map(float, upper)]


def is_right(number: float, wanted: Any) -> bool:
    if abs(wanted) > _LARGEST or abs(wanted) < _TINY:
        return abs(number) >= _LARGEST or abs(number) <= 2 * _TINY
    return abs(number - wanted) <= 1e-13 * abs(wanted)


@pytest.mark.parametrize("target", ["llvm", "c", "numpy"])
@pytest.mark.parametrize("name", FORMULAS)
def test_what_is_left_of_a_polynomial_and_its_derivatives_keep_their_digits(name: str, target: str) -> None:
    expr = FORMULAS[name]
    kernel = sg.compile(expr, args=ARGS, wrt=ARGS, outputs=("value", "grad", "hess"), backend=target)
    for point in NEAR:
        for number, wanted in zip(found(kernel, point), exact(expr, point), strict=True):
            assert is_right(number, wanted), (point, number, mpmath.nstr(wanted, 17))


@pytest.mark.parametrize("target", ["llvm", "c", "numpy"])
@pytest.mark.parametrize("name", QUADRATICS)
def test_roots_of_quadratics_keep_their_digits(name: str, target: str) -> None:
    expr = QUADRATICS[name]
    kernel = sg.compile(expr, args=ARGS, wrt=ARGS, outputs=("value", "grad", "hess"), backend=target)
    for point in APART:
        if name == "time of a fall" and point[1] ** 2 + 2 * point[0] * point[2] < 0:
            continue
        for number, wanted in zip(found(kernel, point), exact(expr, point), strict=True):
            assert is_right(number, wanted), (point, number, mpmath.nstr(wanted, 17))


@pytest.mark.parametrize("name", ["quadratic binding", "quadratic binding, written out", "smooth minimum"])
def test_they_do_where_squares_leave_the_range_of_numbers(name: str) -> None:
    expr = FORMULAS[name]
    kernel = sg.compile(expr, args=ARGS, wrt=ARGS, outputs=("value", "grad", "hess"))
    for point in FAR:
        for number, wanted in zip(found(kernel, point), exact(expr, point), strict=True):
            assert is_right(number, wanted), (point, number, mpmath.nstr(wanted, 17))


def test_products_with_the_hessian_keep_their_digits() -> None:
    expr = FORMULAS["quadratic binding"]
    kernel = sg.compile(expr, args=ARGS, wrt=ARGS, outputs=("hvp",))
    for point in NEAR:
        hessian = exact(expr, point)[4:]
        for k in range(3):
            direction = np.eye(3)[k]
            got = np.asarray(kernel(*point, tangent=direction)).ravel()
            pairs = list(combinations_with_replacement(range(3), 2))
            for j in range(3):
                wanted = hessian[pairs.index((min(j, k), max(j, k)))]
                assert is_right(float(got[j]), wanted), (point, got[j], mpmath.nstr(wanted, 17))


def test_a_root_at_its_zero_has_the_slope_that_a_length_has_there() -> None:
    kernel = sg.compile(FORMULAS["smooth minimum"], args=ARGS, wrt=(a, b), outputs=("value", "grad"))
    value, gradient = kernel(2.0, 2.0, 0.0)
    assert value == 4
    assert list(gradient) == [1, 1]
