"""Sides of right triangles and their quotients where their squares are out of range, on every target."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from kept_digits import wrong_entries

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
every_target = pytest.mark.parametrize("target", TARGETS)
x, y = sp.symbols("x y", real=True)
_LARGEST, _TINY = float(np.finfo(float).max), float(np.finfo(float).tiny)
SIZES = (
    0.0,
    5e-324,
    3e-310,
    _TINY,
    1e-200,
    1e-100,
    1e-17,
    1.0,
    1 + 2.0**-52,
    1e8,
    1.4e154,
    1e200,
    1e300,
    _LARGEST,
    np.inf,
)


def compiled(expr: Any, target: str, **options: Any) -> Any:
    kernel = sg.compile(expr, args=(x, y), wrt=(x, y), outputs=("value", "grad"), backend=target, **options)
    pairs = np.array([(a, s * b) for a in SIZES for b in SIZES for s in (1, -1)])
    value, gradient = kernel(pairs[:, 0], pairs[:, 1])
    return pairs, np.column_stack([value, gradient])


def is_near(found: float, wanted: Any, ulps: float) -> bool:
    if mpmath.isnan(wanted):
        return True
    near = float(wanted)
    return found == near or abs(found - wanted) <= ulps * np.spacing(abs(near)) + 5e-324 * ulps


@every_target
def test_the_cosine_of_a_direction_is_right_for_all_numbers(target: str) -> None:
    pairs, found = compiled(x / sp.sqrt(x**2 + y**2), target)
    with mpmath.workdps(700):
        for (a, b), (value, *_) in zip(pairs, found, strict=True):
            if np.isinf(a) or a == b == 0:
                continue  # a quotient of infinities or zeros
            exact = a / mpmath.hypot(a, b)
            assert is_near(value, exact, 4), (a, b)


@every_target
def test_a_leg_and_its_gradient_are_right_for_all_numbers(target: str) -> None:
    pairs, found = compiled(sp.sqrt(x**2 - y**2), target)
    with mpmath.workdps(700):
        for (a, b), entries in zip(pairs, found, strict=True):
            p, q = mpmath.mpf(a), mpmath.mpf(b)
            if a < abs(b) or (np.isinf(a) and np.isinf(b)):
                assert np.isnan(entries[0]), (a, b)
            elif np.isinf(a) or a == abs(b):
                assert entries[0] == (a if np.isinf(a) else 0.0), (a, b)
            else:
                root = mpmath.sqrt((p - q) * (p + q))
                assert all(
                    is_near(f, w, 6) for f, w in zip(entries, (root, p / root, -q / root), strict=True)
                ), (a, b)


@every_target
def test_the_gradient_of_an_angle_is_right_for_all_numbers(target: str) -> None:
    pairs, found = compiled(sp.atan2(y, x), target)
    with mpmath.workdps(1400):
        for (a, b), (value, *gradient) in zip(pairs, found, strict=True):
            assert is_near(value, mpmath.mpf(float(np.arctan2(b, a))), 2), (a, b)
            square = mpmath.mpf(a) ** 2 + mpmath.mpf(b) ** 2
            if not np.isinf(a) and not np.isinf(b) and _TINY < square < mpmath.mpf(_LARGEST) ** 2 / 4:
                assert is_near(gradient[0], -b / square, 6) and is_near(gradient[1], a / square, 6), (a, b)


@every_target
def test_the_cube_root_of_a_cube_is_the_number_also_at_zero(target: str) -> None:
    for expr, slope in (
        (sp.real_root(x**3, 3), 1),
        (sp.real_root(8 * x**3, 3), 2),
        (sp.Abs(x) * sp.sign(x), 1),
    ):
        kernel = sg.compile(expr, args=(x,), wrt=(x,), outputs=("value", "grad", "hess"), backend=target)
        for point in (0.0, 1e-200, -2.0):
            value, gradient, hessian = kernel(point)
            assert (value, gradient[0], hessian[0, 0]) == (slope * point, slope, 0)


@every_target
def test_a_root_less_its_side_is_right_where_the_square_overflows(target: str) -> None:
    kernel = sg.compile(
        sp.sqrt(x**2 + y) - x, args=(x, y), wrt=(x, y), outputs=("value", "grad", "hess"), backend=target
    )
    sizes = (1e155, 3e200, 1e300, 8e307)  # the root and the side are added
    for a in (s * t for s in sizes for t in (1, -1)):
        for b in (0.0, -0.3, 1e10, 2e300, -2e300, _LARGEST):
            value, gradient, hessian = kernel(a, b)
            with mpmath.workdps(900):
                p, q = mpmath.mpf(a), mpmath.mpf(b)
                root = mpmath.sqrt(p * p + q)
                wanted = [
                    root - p,
                    p / root - 1,
                    1 / (2 * root),
                    q / root**3,
                    -p / (2 * root**3),
                    -1 / (4 * root**3),
                ]
                if abs(wanted[0]) > _LARGEST:
                    wanted[0] = mpmath.mpf("inf")
                found = [value, *gradient, hessian[0, 0], hessian[0, 1], hessian[1, 1]]
                assert all(is_near(f, w, 8) for f, w in zip(found, wanted, strict=True)), (a, b, found)


@every_target
def test_a_length_less_one_times_its_width_is_right_next_to_zero_and_far_out(target: str) -> None:
    expr = x * (sp.sqrt(1 + 1 / x**2) - 1)
    kernel = sg.compile(expr, args=(x,), wrt=(x,), outputs=("value", "grad", "hess"), backend=target)
    for size in (1e-300, 1e-80, 1e-20, 1e-8, 0.3, 1e3, 1e20, 1e80):
        value, gradient, hessian = kernel(size)
        with mpmath.workdps(700):
            p = mpmath.mpf(size)
            root = mpmath.sqrt(p * p + 1)
            wanted = [root - p, p / root - 1, 1 / root**3]
            assert all(
                is_near(f, w, 8) for f, w in zip((value, gradient[0], hessian[0, 0]), wanted, strict=True)
            )


k = sp.Symbol("k", real=True)
ORDINARY = [
    (s * a, t * b) for a in (1e-8, 1e-3, 0.3, 3.0) for b in (1e-3, 3.0, 1e3) for s in (1, -1) for t in (1, -1)
]


@every_target
@pytest.mark.parametrize(
    "expr",
    [
        1 / (x + sp.sqrt(x**2 + k)),
        3 / (2 * x + 2 * sp.sqrt(x**2 + k)),
    ],
    ids=str,
)
def test_roots_and_their_sides_keep_their_digits_up_to_the_hessian(expr: Any, target: str) -> None:
    points = [(a, b) for a, b in ORDINARY if a > 0 or expr.subs({k: a, x: b}).is_real]
    assert not wrong_entries(expr, points, target)


@every_target
@pytest.mark.parametrize("number", [1, 4])
def test_a_multiple_of_a_root_less_the_number_is_regular_at_0(number: int, target: str) -> None:
    expr = x - x * sp.sqrt(1 + sp.Integer(number) / x**2)
    points = [(s * a,) for a in (5e-324, 1e-310, 1e-80, 1e-8, 1e-3, 0.3, 3.0, 1e3, 1e200) for s in (1, -1)]
    assert not wrong_entries(expr, points, target, digits=1500)
