"""Programs of scalars only: large shared graphs without loops. They have five input sets instead of sizes."""

from __future__ import annotations

from functools import reduce
from operator import mul

import sympy as sp
from sympy import Matrix, Rational, cos, exp, log, pi, sin, sqrt

from .core import SharedProgram, same_sizes, uniform

# Denavit-Hartenberg rows (twist, length, offset) of a six-joint arm with a spherical wrist, in metres.
ARM = (
    (pi / 2, Rational(0), Rational(9, 100)),
    (sp.Integer(0), Rational(-17, 40), Rational(0)),
    (sp.Integer(0), Rational(-39, 100), Rational(0)),
    (pi / 2, Rational(0), Rational(11, 100)),
    (-pi / 2, Rational(0), Rational(19, 200)),
    (pi / 7, Rational(1, 50), Rational(2, 25)),
)


def link(angle: sp.Expr, twist: sp.Expr, length: sp.Expr, offset: sp.Expr) -> Matrix:
    """The transform of one joint after Denavit and Hartenberg, J. Applied Mechanics 22 (1955) 215."""
    ct, st, ca, sa = cos(angle), sin(angle), cos(twist), sin(twist)
    return Matrix(
        [
            [ct, -st * ca, st * sa, length * ct],
            [st, ct * ca, -ct * sa, length * st],
            [0, sa, ca, offset],
            [0, 0, 0, 1],
        ]
    )


def arm_transform(angles: tuple[sp.Symbol, ...]) -> Matrix:
    """The 3x4 pose (rotation and position) of the arm's hand."""
    links = (link(angle, *row) for angle, row in zip(angles, ARM, strict=True))
    return reduce(mul, links)[:3, :]


def arm_distance() -> SharedProgram:
    """The squared distance of the hand's pose, twelve numbers, from a given pose."""
    angles, goal = sp.symbols("q1:7"), sp.symbols("g1:13")
    loss = sp.Add(*((entry - g) ** 2 for entry, g in zip(arm_transform(angles), goal, strict=True)))
    draws = {**dict.fromkeys(angles, uniform(-3.0, 3.0)), **dict.fromkeys(goal, uniform(-1.0, 1.0))}
    return SharedProgram("arm_distance", loss, (*angles, *goal), angles, same_sizes(5), draws)


def arm_pose() -> SharedProgram:
    """The pose itself as a column of twelve, for its 12x6 Jacobian."""
    angles = sp.symbols("q1:7")
    pose = Matrix(list(arm_transform(angles)))
    draws = dict.fromkeys(angles, uniform(-3.0, 3.0))
    outputs = ("value", "jac", "jvp")
    return SharedProgram("arm_pose", pose, angles, angles, same_sizes(5), draws, outputs)


def rosenbrock_two() -> SharedProgram:
    """Rosenbrock's valley in two scalars."""
    x, y = sp.symbols("x y")
    loss = 100 * (y - x**2) ** 2 + (1 - x) ** 2
    draws = {x: uniform(-1.5, 1.5), y: uniform(-1.5, 1.5)}
    return SharedProgram("rosenbrock_two", loss, (x, y), (x, y), same_sizes(5), draws)


def elementary() -> SharedProgram:
    """Every elementary function once, on arguments where all are smooth."""
    x, y, z = sp.symbols("x y z")
    circular = sin(x * y) + cos(z) * sp.tan(x) + sp.asin(x) * sp.acos(y) + sp.atan(x + z) + sp.atan2(y, z)
    hyperbolic = sp.sinh(x) * sp.cosh(y) + sp.tanh(x * z) + sp.asinh(z) + sp.acosh(1 + x) + sp.atanh(y / 2)
    powers = exp(-x) * log(y + z) + sqrt(x + y) + x**y + z ** Rational(3, 2) + y**-3 + 2**z + sp.cbrt(x)
    kinked = sp.Abs(x - y) * z + sp.Max(x, z, y) + sp.Min(x * y, z**2) + sp.sign(x - z) * y
    draws = dict.fromkeys((x, y, z), uniform(0.2, 0.9))
    loss = circular + hyperbolic + powers + kinked
    return SharedProgram("elementary", loss, (x, y, z), (x, y, z), same_sizes(5), draws)


def special_functions() -> SharedProgram:
    """Error functions and sin(x)/x."""
    x, y = sp.symbols("x y")
    loss = sp.erf(x * y) + sp.erfc(y) * x + sp.sinc(x + 2 * y) * y + log(sp.erfc(x - y))
    draws = {x: uniform(0.2, 1.8), y: uniform(0.2, 1.8)}
    return SharedProgram("special_functions", loss, (x, y), (x, y), same_sizes(5), draws)


def branches() -> SharedProgram:
    """Conditions joined by logic, nested branches, and arms that are undefined where not taken."""
    x, y = sp.symbols("x y")
    inside = sp.And(x > 0, sp.Or(y > 0, x > 1))
    nested = sp.Piecewise((sqrt(y), y > Rational(1, 2)), (y**3, True))
    loss = sp.Piecewise((log(x) * nested, inside), (x * y**2 + sp.Heaviside(y) * y, True)) + exp(x)
    draws = {x: uniform(-1.0, 2.0), y: uniform(-1.0, 2.0)}
    return SharedProgram("branches", loss, (x, y), (x, y), same_sizes(7), draws)


SCALARS = (
    arm_distance(),
    arm_pose(),
    rosenbrock_two(),
    elementary(),
    special_functions(),
    branches(),
)
