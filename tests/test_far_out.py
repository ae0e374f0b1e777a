"""Where one factor of a derivative has underflowed and another one overflowed: the truth, not nan."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
DIGITS = 700
x, y = sp.symbols("x y", real=True)
NEXT_TO_ZERO = (1e-310, 1e-300, 1e-160, 1e-100, 1e-20, 1e-3, 0.05, 0.3, 2.0)


def exact(expr: sp.Expr, args: tuple[sp.Symbol, ...], point: tuple[float, ...]) -> list[mpmath.mpf]:
    """Value, gradient and Hessian at the doubles themselves."""
    firsts = [sp.diff(expr, a) for a in args]
    entries = [expr, *firsts, *(sp.diff(f, a) for f in firsts for a in args)]
    with mpmath.workdps(DIGITS):
        numbers = [mpmath.mpf(p) for p in point]
        return [sp.lambdify(args, e, "mpmath")(*numbers) for e in entries]


def check(expr: sp.Expr, points: tuple[float, ...], backend: str, tolerance: float = 1e-13) -> None:
    """At all points one by one, and as a batch."""
    kernel = sg.compile(expr, args=(x,), wrt=x, outputs=("value", "grad", "hess"), backend=backend)
    batch = np.stack([np.asarray(part) for part in kernel(np.array(points))], axis=1)
    for point, row in zip(points, batch, strict=True):
        entries = exact(expr, (x,), (point,))
        for found, wanted in zip([*row, *kernel(point)], [*entries, *entries], strict=True):
            assert abs(float(found) - wanted) <= tolerance * abs(wanted) + mpmath.mpf("1e-320"), point


FLAT = (
    sp.exp(-1 / x**2),
    sp.exp(-1 / x),
    x**2 * sp.exp(-1 / x),
    sp.Piecewise((sp.exp(-1 / x**2), x > 0), (0, True)),
    1 / (1 + sp.exp(1 / x)),
    sp.tanh(1 / x),
    1 / sp.cosh(1 / x),
    sp.erf(1 / x),
    sp.exp(-(sp.log(x) ** 2)),
)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("expr", FLAT, ids=str)
def test_an_exponential_beats_the_quotients_its_derivatives_are_multiplied_by(expr, backend):
    check(expr, NEXT_TO_ZERO, backend)


@pytest.mark.parametrize("stabilise", [True, False])
@pytest.mark.parametrize("backend", TARGETS)
def test_a_bump_is_flat_at_its_ends(backend, stabilise):
    bump = sp.Piecewise((sp.exp(-1 / (1 - x**2)), sp.Abs(x) < 1), (0, True))
    kernel = sg.compile(bump, wrt=x, outputs=("grad", "hess"), backend=backend, stabilise=stabilise)
    for end in (1.0, np.nextafter(1.0, 0.0), 1 - 1e-8, -1 + 1e-4, -1.0, 2.0):
        assert [float(part) for part in kernel(end)] == [0.0, 0.0]


def test_a_nan_is_not_far_out():
    kernel = sg.compile(sp.exp(-1 / x), wrt=x, outputs=("grad", "hess"))
    assert all(np.isnan(float(part)) for part in kernel(np.nan))


def test_exponents_that_cannot_outrun_themselves_pay_nothing():
    a, b = (sg.compile(e, wrt=(x, y), outputs="grad").ops for e in (sp.exp(-(x**2) - y), sp.exp(-(x**2) / y)))
    assert "where" not in str(a) and a != b


@pytest.mark.parametrize("under", [sp.sqrt(1 + y**2), sp.sqrt(sp.Rational(1, 100) + y**4), 3 + sp.Abs(y)])
def test_quotients_by_what_is_apart_from_zero_pay_nothing(under):
    grad = sg.compile(sp.tanh(x / under), wrt=(x, y), outputs="grad", backend="c")
    assert "4096" not in grad.source
    poles = sg.compile(sp.tanh(x / (under - 5)), wrt=(x, y), outputs="grad", backend="c")
    assert "4096" in poles.source


@pytest.mark.parametrize("backend", TARGETS)
def test_a_heat_kernel_has_finite_derivatives_for_a_short_time(backend):
    heat = sp.exp(-(x**2) / (4 * y)) / sp.sqrt(y)
    kernel = sg.compile(heat, args=(x, y), wrt=(x, y), outputs=("grad", "hess"), backend=backend)
    for time in (1e-200, 1e-160, 1e-100):
        assert all(np.all(part == 0) for part in kernel(0.5, time))


NORMAL = sp.erfc(-x / sp.sqrt(2)) / 2
FAR = (-37.0, -8.5, -1.0, -1e-9, 0.0, 0.3, 2.0, 9.0, 37.0)


@pytest.mark.parametrize(
    "expr",
    [
        sp.log(sp.erfc(x)),
        sp.log((1 + sp.erf(x)) / 2),
        sp.log(NORMAL),
        x * NORMAL,
        sp.exp(-(x**2) / 2) / NORMAL,
    ],
    ids=str,
)
def test_tails_of_the_error_function_keep_their_digits(expr):
    check(expr, FAR, "llvm", tolerance=3e-13)


def test_the_logarithm_of_a_tail_goes_on_where_the_tail_is_zero():
    check(sp.log(sp.erfc(x)), (30.0, 300.0, 1e8, 1e20, 1e100, 1e150), "llvm")


def test_a_scaled_complementary_error_function_goes_on_for_ever():
    check(sp.exp(x**2) * sp.erfc(x), (-20.0, -1.0, 0.0, 0.3, 5.0, 30.0, 1e5, 1e50, 1e90), "llvm")
    check(sp.exp(x**2 / 2) * sp.erfc(x / sp.sqrt(2)), (-30.0, 0.5, 100.0, 1e20), "llvm")


@pytest.mark.parametrize("backend", TARGETS)
def test_gelu_is_finite_to_the_end_of_the_range(backend):
    gelu = sg.compile(x * (1 + sp.erf(x / sp.sqrt(2))) / 2, wrt=x, outputs=("grad", "hess"), backend=backend)
    assert [float(part) for part in gelu(1e308)] == [1.0, 0.0]
    assert [float(part) for part in gelu(-1e308)] == [0.0, 0.0]


@pytest.mark.parametrize("backend", TARGETS)
def test_a_power_by_base_and_exponent_has_its_limits_at_zero(backend):
    kernel = sg.compile(x**y, args=(x, y), wrt=(x, y), outputs="hess", backend=backend)
    for exponent, wanted in ((0.5, -np.inf), (1.0, -np.inf), (1.5, 0.0), (2.0, 0.0), (-0.5, np.inf)):
        hess = kernel(0.0, exponent)
        assert hess[0, 1] == hess[1, 0] == wanted
    mixed = kernel(1e-300, 0.5)[0, 1]
    with mpmath.workdps(40):
        base = mpmath.mpf(1e-300)
        assert abs(mixed / (base**-0.5 * (1 + mpmath.log(base) / 2)) - 1) < 1e-14


LARGE = {
    sp.log(1 + x**2): (1e100, -1e150),
    x / sp.log(1 + x**2): (1e80, 1e140),
    x**2 / sp.log(1 + x**2): (1e80, 1e140),
    sp.log((sp.exp(x) - 1) / x): (300.0, 800.0, 1e8, 1e100, -40.0, 1e-9),
    sp.log(sp.sinh(x) / x): (300.0, -800.0, 1e100, 1e308, 1e-9),
    (sp.exp(x) - 1) / x: (100.0, 700.0, 714.0, -800.0),
    1 / sp.cosh(x) ** 2: (350.0, 800.0, -1e300),
}


@pytest.mark.parametrize("expr", LARGE, ids=str)
def test_second_derivatives_far_away(expr):
    check(expr, LARGE[expr], "llvm", tolerance=1e-12 if expr.has(sp.exp) else 1e-13)


@pytest.mark.parametrize("backend", TARGETS)
def test_a_quotient_that_overflows_has_infinite_derivatives(backend):
    kernel = sg.compile((sp.exp(x) - 1) / x, wrt=x, outputs=("value", "grad", "hess"), backend=backend)
    for point in (745.0, 1e4, 1e308, np.inf):
        assert [float(part) for part in kernel(point)] == [np.inf] * 3


@pytest.mark.parametrize("backend", TARGETS)
def test_entries_beside_a_side_that_is_zero_are_zero(backend):
    kernel = sg.compile(sp.sqrt(x**2 + y**2), args=(x, y), wrt=(x, y), outputs="hess", backend=backend)
    for side in (1e-300, 1e-200, 1e200):
        assert kernel(0.0, side)[0, 1] == kernel(side, 0.0)[0, 1] == 0
