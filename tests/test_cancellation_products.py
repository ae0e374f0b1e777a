"""Sums of products that cancel: divergences, growth, powers and products less one, with derivatives.

As in test_cancellation.py, but an entry may be as far off as rounding its inputs makes it.
"""

from __future__ import annotations

import itertools
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact
from kept_digits import DIGITS, arguments, wrong_entries

import symgrad as sg

PLACES = 8  # roundings of the inputs, half a place each
x, y, z, w = sp.symbols("x y z w", real=True)
exp, log, sqrt, cos = sp.exp, sp.log, sp.sqrt, sp.cos
half = sp.Rational(1, 2)
NEAR = 2.0**-20
Point = tuple[float, ...]

SHARES = (
    (0.3, 0.3 + NEAR),
    (0.3, 0.3 + 2.0**-40),
    (0.7, 0.7 + 2.0**-10),
    (0.5, 0.25),
    (1e-9, 2e-9),
    (1e-9, 0.5),
)
NORMALS = ((1.0, 1 + NEAR, 1.0, 1 + NEAR), (1.0, 3.0, 2.0, 1.0), (2.0, 2.5, 2.0, 2.5))
LATENT = ((1e-6, 1e-8), (0.0, 1e-8), (1.0, 2.0), (-3.0, 0.5))

SMALL_STEPS = ((1e-6, 0.5), (0.125, 0.5), (1e-9, 3.0))


def softplus(t: Any) -> Any:
    return log(1 + exp(t))


def logistic(t: Any) -> Any:
    return 1 / (1 + exp(-t))


def second(f: Any) -> Any:
    return f(x + y) - 2 * f(x) + f(x - y)


GREAT_CIRCLE = sp.acos(sp.sin(x) * sp.sin(y) + cos(x) * cos(y) * cos(z))

# What is written, and points of its arguments (sorted by name).
CASES: dict[str, tuple[Any, tuple[Point, ...]]] = {
    str(e): (e, points)
    for e, points in (
        (x * log(x / y) + (1 - x) * log((1 - x) / (1 - y)), SHARES),
        (x * (log(x) - log(y)) + (1 - x) * (log(1 - x) - log(1 - y)), SHARES),
        (x * log(x / y) + z * log(z / w) + (1 - x - z) * log((1 - x - z) / (1 - y - w)),
         ((0.5, 0.25, 0.25 + NEAR, 0.5 - NEAR), (0.2, 0.25, 0.3, 0.5))),
        (log(y / x) + (x**2 + (z - w) ** 2) / (2 * y**2) - half, NORMALS),
        (log(y) - log(x) + (x**2 + (z - w) ** 2) / (2 * y**2) - half, NORMALS),
        ((exp(x) + y**2 - 1 - x) / 2, LATENT),
        (y**2 - x + exp(x) - 1, LATENT),
        (-(1 + x - y**2 - exp(x)) / 2, LATENT),
        ((1 + x / y) ** (y * z), ((0.05, 1e9, 3.0), (0.05, 365.0, 30.0), (-0.05, 12.0, 2.0))),
        ((x * y + 1) ** (1 / x), ((1e-12, 2.0), (1e-5, 0.5), (0.0, 3.0), (0.5, 3.0))),
        ((1 + x) ** (1 / x), ((1e-9,), (0.01,), (0.5,))),
        (x * (1 + y / 12) ** (12 * z) - x, ((3.0, 1e-9, 3.0), (3.0, 0.05, 3.0))),
        (x * exp(y) - x, ((3.0, 1e-9), (2.0, -1.0))),
        (x * cos(y) * exp(z) - x, ((3.0, 1e-5, 1e-9), (2.0, 1.0, -1.0))),
        (1 - exp(-x) * exp(-y), ((1e-9, 1e-10), (1.0, 2.0))),
        ((1 + x) * (1 + y) - 1, ((1e-9, 1e-10), (0.5, 0.25), (3.0, -2.0))),
        (1 - (1 - x) * (1 - y) * (1 - z), ((1e-9, 1e-10, 2e-9), (0.5, 0.25, 0.1))),
        (1 - (1 - x**2) ** 3, ((1e-9,), (1e-4,), (0.5,), (3.0,))),
        (GREAT_CIRCLE, ((0.5, 0.5, 1e-6), (0.5, 0.5 + 1e-6, 1e-6), (0.5, -0.25, 1.0), (0.5, -0.5, 3.125))),
        (GREAT_CIRCLE.subs(z, z - w), ((1.0, 0.5, 0.5, 1 + 1e-6), (2.0, 0.5, -0.25, 1.0))),
        (1 - (1 - x) ** 5, ((1e-9,), (0.5,), (-2.0,))),
        ((1 + x * y) ** 2 - 1, ((1e-9, 1e-3), (0.5, 0.25))),
        ((1 + x) ** sp.Rational(5, 2) - 1, ((1e-9,), (0.75,), (3.0,))),
        ((1 + x) ** 4 - (1 - x) ** 4, ((1e-9,), (0.5,), (-3.0,))),
        ((x + 1) ** 2 - (x - 1) ** 2, ((1e-9,), (1e9,))),
        ((x + y) ** 2 - (x - y) ** 2, ((1.0, 1e-9), (1e9, 1.0), (1e-9, 1.0))),
        *((f(x + y) + f(x - y), SMALL_STEPS) for f in (sp.sin, sp.sinh)),
        ((sp.sinh(x + y) + sp.sinh(x - y)) / (2 * x), (*SMALL_STEPS, (0.0, 0.5))),
        (z + sp.sinh(x + y) + sp.sinh(x - y), ((1e-6, 0.5, 1e-6),)),
        *((second(f), ((0.5, 1e-6), (0.5, 0.125), (0.5, 2.0)))
          for f in (sp.tanh, sp.tan, softplus, logistic)),
        (second(sp.atan), ((0.5, 1e-6), (-3.0, 1e-3), (0.5, 2.0), (1e5, 0.5))),
        *((second(f) / y**2, ((0.5, 1e-6), (0.5, 0.125), (0.5, 2.0), (0.5, 0.0)))
          for f in (sp.tanh, sp.atan, softplus, logistic)),
        (second(log) / y**2, ((0.5, 1e-6), (0.5, 0.125), (0.5, 0.0))),
        ((1 - x ** (1 - y)) / (y - 1), ((2.0, 1.0), (2.0, 1 + NEAR), (0.5, 3.0))),
        (((1 - x) ** (2 - y) - 1) / (y - 2), ((-3.0, 2.0), (-3.0, 2 + NEAR), (-3.0, 1.0))),
        ((x + y) ** 6 - (x - y) ** 6, ((1.0, 1e-9), (1e-9, 1.0), (3.0, 2.0))),
    )
}  # fmt: skip


def wrong(name: str, target: str) -> list[Any]:
    expr, points = CASES[name]
    return wrong_entries(expr, points, target, PLACES)


@pytest.mark.parametrize("name", CASES)
def test_nothing_cancels_in_value_gradient_and_hessian(name: str) -> None:
    assert wrong(name, "numpy") == []


@pytest.mark.parametrize("f", [sp.tanh, sp.tan, sp.atan, softplus, logistic, log, sqrt, lambda t: 1 / t])
def test_second_differences_turn_no_right_answer_into_a_wrong_one(f: Any) -> None:
    sizes = (0.0, 5e-324, 1e-310, 1e-160, 1e-8, 0.3, 1.0, 1.5, 40.0, 1e8, 1e160, 1e300, np.inf)
    at = np.array(list(itertools.product([*sizes, *(-s for s in sizes)], repeat=2))).T
    made, plain = (
        sg.compile(second(f), args=(x, y), outputs="value", backend="numpy", stabilise=on)
        for on in (True, False)
    )
    terms = sp.lambdify((x, y), [f(x + y), 2 * f(x), f(x - y)], "mpmath")
    for point in at.T:
        with np.errstate(all="ignore"):
            found, before = float(made(*point)), float(plain(*point))
        if np.isfinite(before):
            assert np.isfinite(found), point
            if found != before and np.all(np.isfinite(point)):
                with mpmath.workdps(1000):
                    up, middle, down = (mpmath.re(t) for t in terms(*map(mpmath.mpf, point)))
                    allowed = abs(before - (up - middle + down)) + 1e-15 * max(
                        abs(up), abs(middle), abs(down)
                    )
                    assert abs(found - (up - middle + down)) <= allowed, point


@pytest.mark.parametrize("target", ["llvm", "c"])
@pytest.mark.parametrize("name", list(CASES)[::4])
def test_nor_on_compiled_targets(name: str, target: str) -> None:
    assert wrong(name, target) == []


def test_far_from_all_latitudes_a_great_circle_is_computed_as_it_is_written() -> None:
    sizes = (0.0, 5e-324, 1e-160, 1.0, 7.5, 9.0, 1e8, 1e300, np.inf)
    at = np.array(list(itertools.product([*sizes, *(-s for s in sizes)], repeat=3))).T
    with np.errstate(all="ignore"):
        made, plain = (
            sg.compile(GREAT_CIRCLE, args=(x, y, z), outputs="value", backend="numpy", stabilise=on)(*at)
            for on in (True, False)
        )
        cosine = np.sin(at[0]) * np.sin(at[1]) + np.cos(at[0]) * np.cos(at[1]) * np.cos(at[2])
        allowed = np.maximum(1e-14, 1e-15 / np.sqrt(np.maximum(1 - cosine**2, 1e-16)))
    assert np.all((np.abs(made - plain) <= allowed) | np.isnan(plain))
    is_far = ~np.all(np.abs(at) < 8, axis=0)
    np.testing.assert_array_equal(made[is_far], plain[is_far])


def test_the_reference_sees_what_is_lost() -> None:
    """The first of these formulas as it is written."""
    name = next(iter(CASES))
    expr, points = CASES[name]
    plain = sg.compile(expr, args=arguments(expr), outputs="value", backend="numpy", stabilise=False)
    with mpmath.workdps(DIGITS):
        wanted = exact(expr, arguments(expr), points[0])[0]
    assert abs(plain(*points[0]) - wanted) > 1e-8 * abs(wanted)
