"""Lengths, angles and quotients over the whole range of doubles: value, gradient and Hessian to 1e-13.

At every point of a grid of magnitudes, of all signs, every entry is right to 1e-13 of itself and a few times
what it changes by when the numbers that it is a function of change by a unit in their last place. An entry
below 1e-306 is below 2e-306, one above 1.7e308 is of that size or infinite. The reference is forward mode in
mpmath, with so many digits that what the expression cancels does not matter (`duals.py`).
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact as derivatives

import symgrad as sg

RELATIVE, UNITS = 1e-13, 8
SMALLEST, LARGEST = 1e-306, 1.7e308
SIZES = (1e-300, 1e-160, 1e-80, 1e-10, 1.0, 1e10, 1e80, 1e155, 1e200, 1e300, 1.7e308)
SUBNORMAL = (5e-324, 1e-310)
FEW, FEWER = 64, 40  # points of formulas in two symbols, and in three

x, y, z = sp.symbols("x y z", real=True)
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
v = sp.IndexedBase("v", shape=(n,))
PLACES = sp.symbols("v0:3", real=True)  # the elements of v, for the reference
exp, log, sqrt, atan, atan2, tanh = sp.exp, sp.log, sp.sqrt, sp.atan, sp.atan2, sp.tanh
Abs, sin, cos, sinh, asinh = sp.Abs, sp.sin, sp.cos, sp.sinh, sp.asinh
R = sp.Rational
H = x**2 + y**2

EVERYWHERE = (  # also at subnormal arguments
    sqrt(1 + x**2), 1 / sqrt(1 + x**2), x / sqrt(1 + x**2), sqrt(1 + x**2) - 1, sqrt(1 + x**2) - x,
    x * sqrt(1 + x**2), x**2 / (1 + x**2), x / (1 + x**2), 1 / (1 + x**2), 1 / (1 + x**2) ** 2,
    (1 - x**2) / (1 + x**2), x / (1 + Abs(x)), 1 / (1 + Abs(x)), x / (1 + x), 1 / (1 + x), 1 / x, x / (2 + x),
    (x - 1) / (x + 1), (1 + x**2) ** R(3, 2), x / (1 + x**2) ** R(3, 2), x**2 / (1 + x**2) ** R(3, 2),
    1 / (1 + x**2) ** R(3, 2), sqrt(x**2 - 1), 1 / (1 + 1 / x), x * Abs(x), sqrt(x**2), sqrt(x) / (1 + x),
    atan(x), atan(1 / x), atan(x) / x, atan(sqrt(1 + x**2)), atan(x / sqrt(1 + x**2)),
    log(x), log(x**2), log(Abs(x)), log(1 + x), log(1 + Abs(x)), log(1 + x) / x, x / log(1 + x), x * log(x),
    x**2 * log(x), log(x) / x, log(x) ** 2, sqrt(1 + log(x) ** 2), log(sqrt(1 + x**2)),
    log(1 + sqrt(1 + x**2)), sqrt(1 + sqrt(1 + x**2)), asinh(x), log(exp(x) - 1), log(1 - exp(x)),
    (exp(x) - 1) / x, x / (exp(x) - 1), x * exp(-x), sin(x) / x, (1 - cos(x)) / x**2, (1 - cos(x)) / x,
    sinh(x) / x, tanh(x) / x, x / tanh(x), tanh(1 / x), sqrt(1 + x) - 1, (sqrt(1 + x) - 1) / x,
    1 / (1 + sqrt(1 + x)), sqrt(x), sqrt(x + 1) - sqrt(x),
    log(x + sqrt(1 + x**2)), log(sqrt(1 + x**2) - x), log(x + sqrt(x**2 - 1)),
    sqrt(1 + H), sqrt(2 + H), 1 / sqrt(1 + H), sqrt(x**2 - y**2), atan(y / sqrt(1 + x**2)), x / y,
    1 / (x + y), x * y, x * exp(-H), sqrt((x - y) ** 2), sqrt(1 + x**2 + y**2 + z**2),
    1 / sqrt(1 + x**2 + y**2 + z**2), sp.Sum(sqrt(1 + v[i] ** 2), (i, 0, n - 1)),
    sp.Sum(v[i] ** 2 / (1 + v[i] ** 2), (i, 0, n - 1)),
    log(1 + H), log(1 + x**2 + y**2 + z**2), log(1 + x**2), log(1 + x**2) / x, log(1 + x**2) / x**2,
    log(sqrt(1 + H)),
    x / (1 + H), 1 / (1 + H), x * y / (1 + H), x**2 / (1 + H), y / (1 + x**2),
    sp.Sum(log(1 + v[i] ** 2), (i, 0, n - 1)),
)  # fmt: skip
WHERE_NORMAL = (  # quotients of a subnormal number have few digits left
    sqrt(H), 1 / sqrt(H), atan2(y, x), atan(y / x), atan2(y, 1 + x), exp(-sqrt(H)), tanh(sqrt(H)),
    1 / (1 + sqrt(H)), sqrt(H) - z, 1 / log(x), log(H + z**2), x / (H + z**2),
)  # fmt: skip
ALL = {str(e): e for e in (*EVERYWHERE, *WHERE_NORMAL)}
ON_EVERY_TARGET = (
    sqrt(1 + H), 1 / sqrt(H), atan(y / x), atan2(y, x), sqrt(1 + x**2 + y**2 + z**2), log(1 + H),
    log(1 + x) / x, x / (1 + x**2), x / (1 + H), x / (H + z**2), log(H + z**2),
)  # fmt: skip


def for_reference(expr: Any) -> tuple[Any, list[Any]]:
    """The expression in single symbols, and these in order."""
    if not expr.has(sp.Indexed):
        return expr, sorted(expr.free_symbols, key=str)
    written = expr.subs(n, 3).doit()
    return written.xreplace({e: PLACES[int(e.indices[0])] for e in written.atoms(sp.Indexed)}), list(PLACES)


def points(name: str, count: int) -> list[tuple[float, ...]]:
    """Every size and sign of one number; of several, some of all pairs or triples, always the same ones."""
    sizes = SIZES if ALL[name] in WHERE_NORMAL else (*SUBNORMAL, *SIZES)
    numbers = (0.0, *sizes, *(-size for size in sizes))
    if count == 1:
        return [(number,) for number in numbers]
    rng = random.Random(name)
    return [tuple(rng.choice(numbers) for _ in range(count)) for _ in range(FEW if count == 2 else FEWER)]


def digits(point: Sequence[float]) -> int:
    """Enough for fourth powers of the numbers, and 1, to be added to each other."""
    sizes = [0.0, *(math.log10(abs(p)) for p in point if p)]
    return 60 + int(4 * (max(sizes) - min(sizes)))


@cache
def exact(name: str) -> list[tuple[tuple[float, ...], list[Any]]]:
    """The points where there are two derivatives, with all entries there."""
    expr, args = for_reference(ALL[name])
    found = []
    for point in points(name, len(args)):
        with mpmath.workdps(digits(point)):
            entries = derivatives(expr, args, point)
        if entries is not None:
            found.append((point, entries))
    return found


def computed(expr: Any, where: Sequence[tuple[float, ...]], backend: str) -> np.ndarray:
    """One row per point: the value, the gradient, and the Hessian by rows."""
    numbers = np.array(where)
    words = ("value", "grad", "hess")
    with np.errstate(all="ignore"):
        if expr.has(sp.Indexed):
            parts = sg.compile(expr, wrt=v, outputs=words, backend=backend)(numbers)
        else:
            args = for_reference(expr)[1]
            kernel = sg.compile(expr, args=args, wrt=args, outputs=words, backend=backend)
            parts = kernel(*(np.ascontiguousarray(column) for column in numbers.T))
    return np.concatenate([np.asarray(part).reshape(len(where), -1) for part in parts], axis=1)


def is_right(found: float, wanted: Any) -> bool:
    if abs(wanted) < SMALLEST:
        return abs(found) <= 2 * SMALLEST
    if abs(wanted) > LARGEST:
        return found * mpmath.sign(wanted) >= 0.99 * LARGEST
    return bool(np.isfinite(found) and abs(found - wanted) <= RELATIVE * abs(wanted))


def conditioning(name: str, point: tuple[float, ...]) -> list[Any]:
    """What every entry changes by when each of the numbers changes by a unit in the last place, in all."""
    expr, args = for_reference(ALL[name])
    with mpmath.workdps(digits(point) + 20):
        here = derivatives(expr, args, point)
        total = [mpmath.mpf(0)] * len(here)
        for k, number in enumerate(point):
            moved = [mpmath.mpf(p) for p in point]
            moved[k] = number * (1 + mpmath.mpf(2) ** -52)
            there = derivatives(expr, args, moved)
            total = [t + abs(a - b) for t, a, b in zip(total, here, there, strict=True)]
    return total


def check(name: str, backend: str) -> None:
    known = exact(name)
    assert len(known) >= 6
    rows = computed(ALL[name], [point for point, _ in known], backend)
    for (point, entries), row in zip(known, rows, strict=True):
        for k, (found, wanted) in enumerate(zip(row, entries, strict=True)):
            if not is_right(float(found), wanted):
                allowed = UNITS * conditioning(name, point)[k]
                assert abs(float(found) - wanted) <= allowed, (point, k, float(found), wanted)


@pytest.mark.parametrize("name", ALL)
def test_value_gradient_and_hessian_are_right_at_all_magnitudes(name):
    check(name, "llvm")


@pytest.mark.parametrize("backend", ["c", "numpy"])
@pytest.mark.parametrize("expr", ON_EVERY_TARGET, ids=str)
def test_they_are_right_on_every_target(expr, backend):
    check(str(expr), backend)


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
def test_angles_have_their_quadrants_and_signed_zeros(backend):
    kernel = sg.compile(atan2(y, x), args=(y, x), wrt=(y, x), outputs="value", backend=backend)
    numbers = (0.0, -0.0, 5e-324, -1e-300, 1.0, -1.0, 1e300, -1.7e308, math.inf, -math.inf)
    for above, right in itertools.product(numbers, repeat=2):
        found, wanted = float(kernel(above, right)), math.atan2(above, right)
        assert found == pytest.approx(wanted, rel=4e-16, abs=0), (above, right)
        assert math.copysign(1, found) == math.copysign(1, wanted)


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
def test_shares_of_a_length_cancel_next_to_1(backend):
    """The second derivative of |v| by its largest element is that of the other ones, not of rounding."""
    length = sqrt(x**2 + y**2 + z**2)
    kernel = sg.compile(length, args=(x, y, z), wrt=(x, y, z), outputs="hess", backend=backend)
    for point in ((1e10, 1.0, 0.0), (1.0, -1e9, 1e-3), (3e-200, 1e-190, 2e-195), (1e200, 1e190, -1e195)):
        with mpmath.workdps(1000):
            wanted = derivatives(length, (x, y, z), point)[4:]
        for a, b in zip(np.ravel(kernel(*point)), wanted, strict=True):
            assert abs(float(a) - b) <= RELATIVE * abs(b), point


@pytest.mark.parametrize("backend", ["llvm", "c", "numpy"])
def test_a_quotient_that_overflows_in_single_precision_has_infinite_derivatives(backend):
    words = ("value", "grad", "hess")
    kernel = sg.compile((exp(x) - 1) / x, wrt=x, outputs=words, backend=backend, dtype="float32")
    for point in (100.0, 129.0, 140.0, 700.0, 3e38, math.inf):
        assert [float(part) for part in kernel(np.float32(point))] == [math.inf] * 3
    with mpmath.workdps(60):
        wanted = derivatives((exp(x) - 1) / x, [x], [90.0])
    for found, exactly in zip(kernel(np.float32(90.0)), wanted, strict=True):
        assert abs(float(found) - exactly) <= 4e-6 * exactly


@pytest.mark.parametrize("target", ["numpy", "llvm", "c"])
def test_a_scale_times_a_function_of_an_infinite_quotient_has_a_gradient(target):
    kernel = sg.compile(
        x * sp.atan(y / x), args=(x, y), wrt=(x, y), outputs=("value", "grad"), backend=target
    )
    value, grad = kernel(5e-324, -1.7e308)
    np.testing.assert_allclose(grad, [-np.pi / 2, 0.0], rtol=1e-15)
    assert value == -1e-323  # -pi/2 of the smallest number
