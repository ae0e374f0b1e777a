"""exp(y)*erfc(x) where one overflows and the other underflows: value, gradient, Hessian against mpmath."""

from __future__ import annotations

from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.evaluate import evaluate
from symgrad.ir.stability.completed_squares import root_left

x, y, v, t, D = sp.symbols("x y v t D", real=True)
speed = sp.Symbol("v", positive=True)
POINTS = (
    (26.0, 700.0), (30.0, 900.0), (30.0, 800.0), (5.0, 20.0), (0.5, 3.0), (-3.0, 2.0), (-30.0, 5.0),
    (1e3, 1e6 - 30), (-5.0, 700.0), (28.0, -5.0), (0.0, 1.0),
)  # fmt: skip
OGATA_BANKS = sp.exp(v * x / D) * sp.erfc((x + v * t) / (2 * sp.sqrt(D * t)))
MODIFIED = y / 2 * sp.exp(y / 2 * (y * v**2 - 2 * x)) * sp.erfc((y * v**2 - x) / (sp.sqrt(2) * v))
LINES = (
    (1.0, 1.0, 1.0),
    (0.0, 1.0, 50.0),
    (-3.0, 1.0, 50.0),
    (2.0, 0.01, 3.0),
    (1.0, 5.0, 20.0),
    (-1.0, 1e-2, 1e3),
)
PLACES = (  # x, v, D, t: behind the front and before it
    (0.1, 1.0, 1e-4, 0.1), (0.1, 1.0, 1e-3, 0.1), (0.1, 1.0, 1.0, 0.1), (1e-3, 1.0, 1e-5, 0.5),
    (0.5, 2.0, 1e-4, 0.2), (0.2, 1.0, 1e-4, 0.15),
)  # fmt: skip


@cache
def _exact(expr: sp.Expr, args: tuple[sp.Symbol, ...], at: tuple[float, ...]) -> list[mpmath.mpf]:
    """The value, the gradient and the rows of the Hessian."""
    slopes = [expr.diff(a) for a in args]
    f = sp.lambdify(args, [expr, *slopes, *(s.diff(a) for s in slopes for a in args)], "mpmath", cse=True)
    with mpmath.workdps(250):
        return [mpmath.re(value) for value in f(*map(mpmath.mpf, at))]


def _found(kernel: sg.Kernel, at: tuple[float, ...]) -> list[float]:
    return [float(part) for output in kernel(*at) for part in np.ravel(output)]


@pytest.mark.parametrize("target", ["numpy", "llvm", "c"])
@pytest.mark.parametrize("expr", [sp.exp(y) * sp.erfc(x), sp.log(sp.exp(y) * sp.erfc(x) / 2)])
def test_products_and_their_logarithms_are_in_range_where_factors_are_not(expr: sp.Expr, target: str) -> None:
    kernel = sg.compile(expr, args=(x, y), wrt=(x, y), outputs=("value", "grad", "hess"), backend=target)
    for at in POINTS:
        is_logarithm = expr.has(sp.log)
        known = 1e-13 + (0 if is_logarithm else 2.0**-52 * (2 * at[0] ** 2 + abs(at[1])))  # what x and y are
        for number, exact in zip(_found(kernel, at), _exact(expr, (x, y), at), strict=True):
            assert abs(number - exact) <= known * abs(exact) + 1e-300, (at, number, exact)


@pytest.mark.parametrize("target", ["numpy", "llvm", "c"])
@pytest.mark.parametrize(
    ("expr", "args", "points"),
    [
        (OGATA_BANKS, (x, v, D, t), PLACES),
        (
            OGATA_BANKS.subs(v, sp.Symbol("v", positive=True)),
            (x, sp.Symbol("v", positive=True), D, t),
            PLACES,
        ),
        (MODIFIED, (x, v, y), LINES),
        (sp.log(MODIFIED), (x, v, y), LINES),
    ],
    ids=["advection with dispersion", "of a speed > 0", "a modified Gaussian", "its logarithm"],
)
def test_an_exponent_that_completes_the_square_loses_nothing(
    expr: sp.Expr, args: tuple[sp.Symbol, ...], points: tuple[tuple[float, ...], ...], target: str
) -> None:
    kernel = sg.compile(expr, args=args, wrt=args, outputs=("value", "grad", "hess"), backend=target)
    for at in points:
        exact = _exact(expr, args, at)
        felt = [mpmath.mpf(0)] * len(exact)  # by one rounding of each argument
        for k, a in enumerate(at):
            beside = _exact(expr, args, (*at[:k], float(np.nextafter(a, np.inf)), *at[k + 1 :]))
            felt = [f + abs(b - e) for f, b, e in zip(felt, beside, exact, strict=True)]
        for number, wanted, moved in zip(_found(kernel, at), exact, felt, strict=True):
            assert abs(number - wanted) <= 5e-13 * abs(wanted) + 8 * moved + 1e-300, (at, number, wanted)


@pytest.mark.parametrize(
    ("exponent", "argument", "root"),
    [
        (x * y, (x + y) / 2, (x - y) / 2),
        (x**2 + 2 * x * y, x + y, y),
        (4 * x * v * t / D, (x + v * t) / sp.sqrt(D * t) * sp.sqrt(t), (x - v * t) / sp.sqrt(D)),
        (x * y, x + y, None),
        (x, y, None),
    ],
)
def test_squares_are_completed_in_exact_arithmetic(
    exponent: sp.Expr, argument: sp.Expr, root: sp.Expr | None
) -> None:
    translated = sg.program(sp.Matrix([exponent, argument]), args=(x, y, v, t, D)).translation
    g = translated.graph
    first, second = g.tensors[translated.value].bodies
    found = root_left(g, first, second)
    if root is None:
        assert found is None
    else:
        assert found is not None
        left = g.define("map", (), (), g.sub(g.add(first, g.mul(found, found)), g.mul(second, second)))
        values = {tensor: 0.5 + 0.25 * k for k, tensor in enumerate(translated.inputs.values())}
        assert abs(float(evaluate(g, [left], values, {})[0])) < 1e-14


def test_what_cannot_overflow_stays_as_it_is() -> None:
    g = sg.program(sp.exp(-(y**2)) * sp.erfc(x)).translation.graph
    assert "erfcx" not in g.op
