"""Numerically nasty points: value, gradient and Hessian to 1e-13 relative, on every target.

The reference is independent of symgrad: SymPy differentiates the expression as it is written, and mpmath
evaluates that with hundreds of digits, so that nothing it cancels matters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
RELATIVE = 1e-13
DIGITS = 800
x, y, z = sp.symbols("x y z", real=True)
exp, log, sqrt, sin, cos, tanh = sp.exp, sp.log, sp.sqrt, sp.sin, sp.cos, sp.tanh
T = sp.Rational(4, 1000)
ROTATION = sqrt(x**2 + y**2 + z**2)


def softmax(first: Any, *others: Any) -> Any:
    return exp(first) / sum(map(exp, (first, *others)))


NEAR_ZERO = (1e-8, -1e-8, 1e-5, -1e-3, 0.1, 1.0, 3.0, 1e-100)
SATURATED = (40.0, -40.0, 700.0, -700.0, 0.25, 1e-9)
LOGITS = ((40.0, 0.0, 1.0), (1000.25, 1000.0, 999.5), (-1000.25, -1000.0, -1003.5), (1003.0, 1000.0, 700.0),
          (0.5, -0.25, 0.125))  # fmt: skip
SCORES = ((1.5, 1.25, 1.375), (0.03125, 0.0, -0.0625), (3.0, -2.0, 1.0), (1.0, 1.03125, 1.125))
ALL_QUADRANTS = ((1.0, 2.0), (1.0, -2.0), (-1.0, 2.0), (-1.0, -2.0), (1e-8, 1.0), (1e-8, -1.0),
                 (3e150, 1e150), (1e-150, -3e-150), (1.0, 1e-8), (-1.0, -1e-9), (1.0, 1.0), (-1.0, 1.0),
                 (2.0, -2.0000001), (-5.0, -5.000000001))  # fmt: skip
DIAGONALS = ((1e-200, -1e-200), (1e200, 1e200), (-3e-160, -3e-160), (1e300, 1e-300), (-1e308, 1e308))
OFF_AXES = ((1.0, 2.0), (1.0, -2.0), (-1.0, 2.0), (-1.0, -2.0), (1e-8, 1.0), (1e-8, -1.0), (1.0, 1e-8),
            (-1.0, -1e-9), (2.0, -1e-9), (-1e-12, -5.0), (3e-100, 1e-110), (-1e150, 1e149))  # fmt: skip
BELOW_ROOTS_OF_THE_SMALLEST = (1e-180, -1e-160, -1e-154, 1e-20, -1e-9, 1e-3, 0.5, -0.9, 2.0)
THIN = (
    (1.0, 1.0, 1e-8),
    (2.0, 2.0 + 1e-9, -1e-8),
    (3.0, 4.0, 1.0),
    (1e100, 1e100, 1e-6),
    (1e-100, 2e-100, 3.0),
)
OFF_POLE = (
    (1e-9, 2e-9, 1.0),
    (1e-9, 2e-9, -1.0),
    (1.0, -2.0, 1e-9),
    (3e-100, 1e-100, -1e-90),
    (1.0, 2.0, -3.0),
)
SIDES = ((1e8, 1.0), (-1.0, 1e9), (3e200, -1e150), (3e-150, 4e-150), (1.0, 1.0), (0.0, 2.0))

# name -> expression, points of its arguments (sorted by name).
CASES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "logistic": (1 / (1 + exp(-x)), SATURATED),
    "one minus logistic": (1 - 1 / (1 + exp(-x)), SATURATED),
    "log of logistic": (log(1 / (1 + exp(-x))), SATURATED),
    "softplus": (log(1 + exp(x)), SATURATED),
    "log(1 - exp(x))": (log(1 - exp(x)), (-1e-10, -0.5, -1.0, -40.0, -700.0)),
    "log(exp(x) - 1)": (log(exp(x) - 1), (1e-10, 0.5, 5.0, 40.0, 1000.0)),
    "log-sum-exp": (log(exp(x) + exp(y) + exp(z)), LOGITS),
    "log-difference-exp": (log(exp(x) - exp(y)), ((800.0, 799.0), (1.0, 1 - 2.0**-20), (-800.0, -820.0))),
    "softmax": (softmax(x, y, z), LOGITS),
    "one minus softmax": (1 - softmax(x, y, z), LOGITS),
    "cross-entropy": (log(exp(x) + exp(y) + exp(z)) - x, LOGITS),
    "cross-entropy of a log-softmax": (-log(softmax(x, y, z)), LOGITS),
    "1/x - (1 + cos(x))/(2*sin(x))": (1 / x - (1 + cos(x)) / (2 * sin(x)), (1e-8, -1e-3, 0.1, 1.0, 3.0)),
    "angle over a side": (
        sp.atan2(y, x) / y, ((1.0, 1e-9), (2.0, -1e-3), (0.5, 1.5), (-1.0, 0.5), (3e200, 1e190))),
    "logarithm of a quaternion": (
        2 * sp.atan2(sqrt(x**2 + y**2), z) / sqrt(x**2 + y**2) * x,
        ((1e-9, 2e-9, 1.0), (0.3, 0.2, 0.9), (0.3, 0.2, -0.9), (1e-160, 2e-160, 1.0))),
    "inverse of the left Jacobian of rotations": (
        x * y * (1 / ROTATION**2 - (1 + cos(ROTATION)) / (2 * ROTATION * sin(ROTATION))),
        ((1e-9, 2e-9, -1e-9), (0.3, -0.2, 0.1), (1.0, 2.0, 2.0))),
    "mixture of two, far from both": (
        log(z * exp(-((x - y) ** 2) / 2) + (1 - z) * exp(-(x**2))),
        ((50.0, 48.0, 0.25), (-41.0, 1e3, 0.75), (0.5, 1.25, 0.25))),
    "mixture of exponentials": (
        log(z * exp(x) + (1 - z) * exp(y)),
        ((1000.25, 1000.0, 0.25), (-1000.5, -1001.0, 0.75), (800.0, -800.0, 0.5), (0.5, -0.25, 0.125))),
    "exponential and a number": (log(z + exp(x)), ((1000.0, 0.25), (-800.0, 3.0), (0.5, 2.0))),
    "softmax at temperature 0.004": (softmax(x / T, y / T, z / T), SCORES),
    "cross-entropy at temperature 0.004": (-log(softmax(x / T, y / T, z / T)), SCORES),
    "tanh": (tanh(x), (20.0, -300.0, 1e-9, 0.5)),
    "one minus tanh squared": (1 - tanh(x) ** 2, (20.0, -300.0, 0.5)),
    "one minus tanh": (1 - tanh(x), (20.0, 300.0, 0.5, -20.0)),
    "log(cosh(x))": (log(sp.cosh(x)), (1e-8, 0.5, 30.0, -800.0)),
    "1 - erf(x)": (1 - sp.erf(x), (5.0, 20.0, 0.5, -1.0)),
    "expm1": (exp(x) - 1, (1e-12, -1e-9, 0.25, -40.0)),
    "log1p": (log(1 + x), (1e-12, -1e-9, 0.25, 1e9)),
    "sin(x)/x": (sin(x) / x, NEAR_ZERO),
    "tan(x)/x": (sp.tan(x) / x, NEAR_ZERO[:-1]),
    "sinh(x)/x": (sp.sinh(x) / x, NEAR_ZERO),
    "(exp(x) - 1)/x": ((exp(x) - 1) / x, (*NEAR_ZERO, -30.0, 700.0)),
    "log(1 + x)/x": (log(1 + x) / x, (*NEAR_ZERO[:-1], -0.5, 0.45, 1e10)),
    "(1 - cos(x))/x**2": ((1 - cos(x)) / x**2, NEAR_ZERO),
    "(1 - cos(x))/x": ((1 - cos(x)) / x, NEAR_ZERO[:-1]),
    "(x - sin(x))/x**3": ((x - sin(x)) / x**3, NEAR_ZERO),
    "x/sin(x)": (x / sin(x), NEAR_ZERO[:-2]),
    "x/log(1 + x)": (x / log(1 + x), (*NEAR_ZERO[:-1], -0.5, 0.45, 1e5)),
    "x**2*log(x)": (x**2 * log(x), (1e-100, 0.25, 1e5)),
    "sin(3*x)/x": (sin(3 * x) / x, NEAR_ZERO[:-1]),
    "1 - cos(x)": (1 - cos(x), NEAR_ZERO),
    "cosh(x) - 1": (sp.cosh(x) - 1, NEAR_ZERO),
    "sqrt(1 + x) - 1": (sqrt(1 + x) - 1, (1e-12, -1e-9, 0.25, 1e9)),
    "sqrt(1 + x**2) - 1": (sqrt(1 + x**2) - 1, (1e-8, 0.5, 30.0)),
    "sqrt(1 - x**2) - 1": (sqrt(1 - x**2) - 1, (1e-8, 0.5, 1 - 2.0**-30)),
    "sqrt(x + 1) - sqrt(x)": (sqrt(x + 1) - sqrt(x), (1e10, 1e-5, 1e15)),
    "difference of squares": (x**2 - y**2, ((1 + 2.0**-40, 1.0), (1e8 + 1, 1e8), (0.5, 1e-20))),
    "log(1 - x**2)": (log(1 - x**2), (1e-8, 0.5, 1 - 2.0**-30)),
    "log of a power": (log(x**4), (1e200, 1e-150, 1 + 2.0**-30, -3.0)),
    "x*log(x)": (x * log(x), (1e-300, 0.25, 1e5)),
    "hypot": (sqrt(x**2 + y**2), ((3e200, 4e200), (3e-200, 4e-200), (1.0, 1e-8), (-1e-9, 5.0))),
    "hypot, steep": (sqrt(x**2 + y**2), SIDES),
    "x/hypot": (x / sqrt(x**2 + y**2), SIDES),
    "x/sqrt(1 + x**2)": (x / sqrt(1 + x**2), (1e8, -1e9, 1e-9, 0.5, 1e100)),
    "3*x*z/hypot": (3 * x * z / sqrt(x**2 + y**2), ((1e4, 1.0, 2.0), (-1.0, 2e3, 0.5), (3.0, 4.0, 1.0))),
    "leg": (sqrt(x**2 - y**2),
            ((1 + 2.0**-40, 1.0), (-5.0, 3.0), (5e200, 3e200), (1e9, 1.0), (5e-150, -3e-150))),
    "sqrt(x**2 - 1)": (sqrt(x**2 - 1), (1.000000123, -1 - 2.0**-45, 3.0, 1e100)),
    "x**2 - 4": (x**2 - 4, (2.000000123, -3.0, 1e-9)),
    "atan2": (sp.atan2(y, x), ALL_QUADRANTS),
    "atan2, out of range": (sp.atan2(y, x), DIAGONALS),
    "product of exponentials": (exp(x) * exp(-y), ((800.0, 799.5), (-760.0, -750.25), (300.3, 0.7))),
    "inverse cosine of a side over a length": (sp.acos(y / sqrt(x**2 + y**2)), OFF_AXES),
    "inverse cosine of minus a side over a length": (sp.acos(-y / sqrt(x**2 + y**2)), OFF_AXES),
    "inverse sine of a side over a length": (sp.asin(x / sqrt(x**2 + y**2)), OFF_AXES),
    "angle from the pole": (sp.acos(z / sqrt(x**2 + y**2 + z**2)), OFF_POLE),
    "third side of a triangle": (sqrt(x**2 + y**2 - 2 * x * y * cos(z)), THIN),
    "third side beside the outer angle": (
        sqrt(x**2 + 1 + 2 * x * cos(y)), ((-1.0, 1e-8), (1.5, 1.0), (-2.0, 1e-9))),
    "logarithm of the third side": (log(x**2 + y**2 - 2 * x * y * cos(z)), THIN[:3]),
    "log(1 + x + x**2)": (log(1 + x + x**2), NEAR_ZERO),
    "log(1 + x + x**2/2)": (log(1 + x + x**2 / 2), NEAR_ZERO),
    "log(1 + x + y**2)": (log(1 + x + y**2), ((1e-20, 1e-9), (0.5, 2.0), (-1e-9, 1e-30))),
    "log(1 + x) - log(1 - x)": (log(1 + x) - log(1 - x), (*NEAR_ZERO[:5], 0.9)),
    "(log(1 + x) - log(1 - x))/2": ((log(1 + x) - log(1 - x)) / 2, (*NEAR_ZERO[:5], 0.9)),
    "log(1 - exp(-x**2))": (log(1 - exp(-(x**2))), (1e-150, -1e-20, 1e-9, 0.5, 5.0)),
    "log(1 - exp(-x**2)), out of range": (log(1 - exp(-2 * x**2)), (1e-300, -1e-170)),
    "log(exp(x**2) - 1)": (log(exp(x**2) - 1), (1e-150, -1e-20, 1e-9, 0.5, 5.0)),
    "log(exp(x**2) - 1), out of range": (log(exp(2 * x**2) - 1), (1e-300, -1e-170)),
    "sqrt(1 - exp(-x**2))": (sqrt(1 - exp(-(x**2))), BELOW_ROOTS_OF_THE_SMALLEST),
    "sqrt(exp(2*x**2) - 1)": (sqrt(exp(2 * x**2) - 1), BELOW_ROOTS_OF_THE_SMALLEST),
    "sqrt(exp(x) - 1 - x)": (sqrt(exp(x) - 1 - x), BELOW_ROOTS_OF_THE_SMALLEST),
    "sqrt(x - log(1 + x))": (sqrt(x - log(1 + x)), BELOW_ROOTS_OF_THE_SMALLEST),
    "sqrt(sqrt(1 + x**2) - 1)": (sqrt(sqrt(1 + x**2) - 1), BELOW_ROOTS_OF_THE_SMALLEST),
    "sqrt(log(1 + x**2))": (sqrt(log(1 + x**2)), BELOW_ROOTS_OF_THE_SMALLEST),
    "sqrt(log(cosh(x)))": (sqrt(log(sp.cosh(x))), BELOW_ROOTS_OF_THE_SMALLEST),
    "log(1 - sin(x)/x)": (log(1 - sin(x) / x), (1e-150, -1e-20, 1e-9, 0.5, 5.0)),
    "log(exp(x) - 1 - x)": (log(exp(x) - 1 - x), (1e-150, -1e-20, 1e-9, 0.5, 5.0)),
    "log(exp(x) - 1)/x": (log(exp(x) - 1) / x, (1e-9, 0.75, 1.5, 20.0, 36.0, 500.0)),
    "(1 - cos(x))/x**2 - 1/2": ((1 - cos(x)) / x**2 - sp.Rational(1, 2), NEAR_ZERO),
    "1/2 - (1 - cos(x))/x**2": (sp.Rational(1, 2) - (1 - cos(x)) / x**2, NEAR_ZERO),
    "1 - (sin(x)/x)**2": (1 - (sin(x) / x) ** 2, NEAR_ZERO),
    "sinh(x)/x, far out": (sp.sinh(x) / x, (-100.0, 600.0, 712.0, -715.0)),
    "angle by the half of it": (2 * sp.atan(x / (y + sqrt(x**2 + y**2))), OFF_AXES),
    "angle by the other half of it": (2 * sp.atan((sqrt(x**2 + y**2) - y) / x), OFF_AXES),
    "angle by the half of it, by atan2": (2 * sp.atan2(x, y + sqrt(x**2 + y**2)), OFF_AXES),
    "sine of twice an angle": (sin(2 * sp.atan2(x, y)), OFF_AXES),
    "cosine of twice an angle": (cos(2 * sp.atan2(x, y)), OFF_AXES),
    "sine of three times an angle": (sin(3 * sp.atan2(x, y)), OFF_AXES),
    "cosine of minus five times an angle": (cos(-5 * sp.atan2(x, y)), OFF_AXES),
    "sine of four times an angle": (sin(4 * sp.atan2(x, y)), OFF_AXES),
    "tangent of twice an angle": (sp.tan(2 * sp.atan2(x, y)), OFF_AXES),
    "cosine of half an angle": (cos(sp.atan2(x, y) / 2), OFF_AXES),
    "sine of half an angle": (sin(sp.atan2(x, y) / 2), OFF_AXES),
    "tangent of half an angle": (sp.tan(sp.atan2(x, y) / 2), OFF_AXES),
}  # fmt: skip


def arguments(expr: Any) -> list[Any]:
    return sorted(expr.free_symbols, key=str)


@lru_cache
def exact(name: str) -> list[list[mpmath.mpf]]:
    """For each point: the value, the gradient and the Hessian by rows, one after the other."""
    expr, points = CASES[name]
    args = arguments(expr)
    gradient = [sp.diff(expr, a) for a in args]
    entries = [expr, *gradient, *(sp.diff(d, a) for d in gradient for a in args)]
    functions = [sp.lambdify(args, e, modules="mpmath", cse=True) for e in entries]
    with mpmath.workdps(DIGITS):
        return [[f(*map(mpmath.mpf, np.atleast_1d(p).tolist())) for f in functions] for p in points]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_value_gradient_and_hessian_have_thirteen_digits(name: str, target: str) -> None:
    expr, points = CASES[name]
    args = arguments(expr)
    compiled = sg.compile(expr, args=args, wrt=args, outputs=("value", "grad", "hess"), backend=target)
    wrong = []
    for point, wanted in zip(points, exact(name), strict=True):
        found = np.concatenate([np.ravel(part) for part in compiled(*np.atleast_1d(point))])
        for k, (f, w) in enumerate(zip(found, wanted, strict=True)):
            near = float(w)
            if f != near and not abs(f - w) <= RELATIVE * abs(w) + 1e-320:
                wrong.append((point, k, f, near))
    assert not wrong


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("point", [(1e-160, 1e-160), (1e-160, 1e-300), (1e-300, -1e-160), (1e160, -1e160)])
def test_products_with_the_hessian_of_an_angle_are_finite_beside_entries_out_of_range(
    point: tuple[float, float], target: str
) -> None:
    compiled = sg.compile(sp.atan2(y, x), args=[x, y], wrt=[x, y], outputs="hvp", backend=target)
    for tangent in ((1.0, 0.0), (0.0, 1.0)):
        with mpmath.workdps(DIGITS):
            a, b = map(mpmath.mpf, point)
            s = (a * a + b * b) ** 2
            own, mixed = 2 * a * b / s, (b * b - a * a) / s
            wanted = (own, mixed) if tangent[0] else (mixed, -own)
        with np.errstate(over="ignore"):
            found = np.ravel(compiled(*point, tangent=tangent))
        for f, w in zip(found, map(float, wanted), strict=True):
            assert f == w or abs(f - w) <= RELATIVE * abs(w)


@pytest.mark.parametrize("target", TARGETS)
def test_tangents_of_quotients_by_exponentials_are_right_where_their_squares_overflow(target: str) -> None:
    expr, point, speed = 1 / (exp(x) - 1), 600.0, 0.75
    found = sg.compile(expr, args=[x], wrt=[x], outputs="jvp", backend=target)(point, tangent=(speed,))
    with mpmath.workdps(DIGITS):
        wanted = -speed * mpmath.exp(point) / mpmath.expm1(point) ** 2
        assert abs(float(np.ravel(found)[0]) - wanted) <= RELATIVE * abs(wanted)
