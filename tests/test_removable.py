"""Removable singularities of one value: values and derivatives against mpmath's, at 0, near it and far."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph
from symgrad.ir.series.laurent import FUNCTIONS, ROWS, formula_of, series_of, value_of
from symgrad.ir.series.offset import reduced
from symgrad.ir.series.probe import probe, variable_of

TARGETS = ("numpy", "llvm", "c")
every_target = pytest.mark.parametrize("target", TARGETS)
x, a, b, c = sp.symbols("x a b c", real=True)
length = sp.Symbol("length", positive=True)

QUOTIENTS = (
    sp.LambertW(x / 2) / x, sp.sqrt(1 + x**2) / x - 1 / x, 1 / (1 + x**2) - 1,
    sp.tanh(x) / x, sp.atan(x) / x, sp.asin(x) / x, sp.erf(x) / x, sp.asinh(x) / x, sp.atanh(x) / x,
    x / (sp.exp(x) - 1), x / sp.sinh(x), x / sp.tanh(x), x * sp.coth(x), x * sp.gamma(x),
    sp.sin(x) / sp.tan(x),
    (sp.sqrt(1 + x) - 1) / x, ((1 + x) ** sp.Rational(5, 2) - 1) / x, (2**x - 1) / x, sp.besselj(1, x) / x,
    sp.coth(x) - 1 / x, 1 / sp.sin(x) - 1 / x, 1 / x**2 - 1 / sp.sinh(x) ** 2, (x - sp.sin(x)) / x**3,
    sp.exp(-x) / (1 - sp.exp(-x)) - 1 / x, (x * sp.cos(x) - sp.sin(x)) / x**2, (x - sp.tanh(x)) / x**3,
    (sp.exp(x) - 1 - x) / x**2, (1 - (1 + x) * sp.exp(-x)) / x**2, (sp.log(1 + x) - x) / x**2,
    sp.log(sp.cosh(x)) / x**2, sp.log(sp.sin(x) / x), x - sp.sin(x), sp.log(1 + x) - x,
    sp.sin(2 * x) / sp.sin(x),
    (sp.exp(2 * x) - 1) / (sp.exp(x) - 1), x * sp.exp(x) / (sp.exp(x) - 1), (2 / (1 + sp.exp(-x)) - 1) / x,
    ((1 + x) ** 5 - 1) / x, ((1 + x) ** 12 - 1) / x, ((1 + x**2) ** 3 - 1) / x**2, (1 - (1 - 2 * x) ** 3) / x,
    ((1 + x) ** 3 - 1 - 3 * x) / x**2, sp.log((1 + x) / (1 - x)) / x,
)  # fmt: skip
NEAR = (0.0, 1e-100, 1e-12, -1e-8, 1e-5, -1e-3, 0.03, 0.2, -0.4)
FAR = (-0.7, 0.55, 0.95)


def _exact(expr: sp.Expr, at: float, order: int) -> mpmath.mpf:
    """By differences with very many digits; the limit at 0 beside it."""
    digits = 100 if 0 < abs(at) < 1e-20 else 30
    with mpmath.workdps(7 * digits):
        f = sp.lambdify(x, expr, "mpmath")
        point = mpmath.mpf(at) if at else mpmath.mpf(10) ** -digits
        step = mpmath.mpf(10) ** (-digits - 20)
        value = mpmath.re(mpmath.diff(f, point, order, h=step) if order else f(point))
        return value if at or abs(value) > 1e-20 else mpmath.mpf(0)


@cache
def _reference(order: int, at: float) -> tuple[mpmath.mpf, ...]:
    return tuple(_exact(e, at, order) for e in QUOTIENTS)


@cache
def _kernel(target: str) -> sg.Kernel:
    """Every quotient of a variable of its own: a diagonal Hessian has all second derivatives."""
    variables = sp.symbols(f"x:{len(QUOTIENTS)}", real=True)
    total = sp.Add(*(e.xreplace({x: v}) for e, v in zip(QUOTIENTS, variables, strict=True)), evaluate=False)
    return sg.compile(total, args=variables, outputs=("grad", "hess_diag"), backend=target)


@cache
def _values(target: str) -> sg.Kernel:
    return sg.compile(sp.Matrix(QUOTIENTS), args=(x,), backend=target)


@every_target
@pytest.mark.parametrize("at", [*NEAR, *FAR])
def test_quotients_and_differences_are_right_near_their_singularity(at: float, target: str) -> None:
    values = np.ravel(_values(target)(at))
    slopes, curvatures = _kernel(target)(*[at] * len(QUOTIENTS))
    # A derivative that passes 0 nearby is known to so many digits of the size of its terms.
    allowed = 1e-13 if at in NEAR else 2e-12
    wrong = []
    for order, found in enumerate((values, slopes, curvatures)):
        for expr, value, wanted in zip(QUOTIENTS, found, _reference(order, at), strict=True):
            if not abs(value - wanted) <= allowed * abs(wanted) + 1e-90:
                wrong.append((expr, order, value, mpmath.nstr(wanted, 17)))
    assert not wrong


@every_target
def test_a_third_derivative_is_right_at_the_singularity(target: str) -> None:
    expr = sp.Derivative(sp.Derivative(sp.atan(x) / x, x), x)
    kernel = sg.compile(expr, args=(x,), wrt=x, outputs="grad", backend=target)
    for at in (0.0, 1e-6, -0.02, 0.3):
        wanted = _exact(sp.atan(x) / x, at, 3)
        assert abs(kernel(at) - wanted) <= 1e-13 * abs(wanted) + 1e-90


# ---- at other points -------------------------------------------------------------------------

ELSEWHERE = (
    (sp.log(x) / (x - 1), 1), ((x**5 - 1) / (x - 1), 1), ((sp.exp(x) - sp.E) / (x - 1), 1),
    (sp.sin(sp.pi * x) / (x * (1 - x)), 1), (sp.sin(sp.pi * x) / (x * (1 - x)), 0),
    ((sp.sqrt(x) - 2) / (x - 4), 4), (1 / sp.log(x) - 1 / (x - 1), 1),
    (sp.cos(x) / (x - sp.pi / 2), sp.pi / 2), (sp.acos(x) / sp.sqrt(1 - x**2), 1),
    (sp.acos(x) ** 2 / (1 - x), 1), (sp.acosh(x) / sp.sqrt(x**2 - 1), 1), ((x - 1) / sp.log(x), 1),
    (x * sp.log(x) / (x - 1), 1), ((x - 1 - sp.log(x)) / (x - 1) ** 2, 1), ((x - sp.pi) / sp.sin(x), sp.pi),
    (sp.digamma(x) + 1 / x, 0), ((x + 1) * sp.gamma(x), -1), (sp.loggamma(x) / (x - 2), 2),
    (sp.tan(x) * (x - sp.pi / 2), sp.pi / 2), (sp.sec(x) + 1 / (x - sp.pi / 2), sp.pi / 2),
    ((sp.exp(x) - sp.exp(sp.Rational(1, 3))) / (x - sp.Rational(1, 3)), sp.Rational(1, 3)),
    ((sp.log(x) - 1) / (x - sp.E), sp.E), ((sp.cbrt(x) - 2) / (x - 8), 8), ((1 - x**3) / (1 - x**2), 1),
    (sp.atan(x - 1) / (x - 1), 1), (sp.sqrt(x) / sp.sinh(sp.sqrt(x)), 0), ((x**2 + x) / x, 0),
    (sp.asin(sp.sqrt(x)) / sp.sqrt(x * (1 - x)), 0),
)  # fmt: skip
BESIDE = (0.0, 1e-100, 1e-16, -1e-12, 1e-8, -1e-5, 1e-3, -0.02, 0.2, -0.4)


@cache
def _exactly(index: int, at: float) -> tuple[mpmath.mpf, ...]:
    """Value and two derivatives; at the point itself, the limit beside it."""
    expr, center = ELSEWHERE[index]
    with mpmath.workdps(300):
        f, point = sp.lambdify(x, expr, "mpmath"), mpmath.mpf(at)
        if abs(point - sp.lambdify((), sp.sympify(center), "mpmath")()) < 1e-90:
            point += mpmath.mpf(10) ** -95
        h = mpmath.mpf(10) ** -110
        return tuple(
            mpmath.re(mpmath.diff(f, point, order, h=h) if order else f(point)) for order in range(3)
        )


@every_target
def test_quotients_and_differences_are_right_near_other_points(target: str) -> None:
    variables = sp.symbols(f"x:{len(ELSEWHERE)}", real=True)
    terms = [e.xreplace({x: v}) for (e, _), v in zip(ELSEWHERE, variables, strict=True)]
    total = sp.Add(*terms, evaluate=False)
    derivatives = sg.compile(total, args=variables, outputs=("grad", "hess_diag"), backend=target)
    values = sg.compile(sp.Matrix(terms), args=variables, backend=target)
    wrong = []
    for beside in BESIDE:
        points = [float(c) + beside for _, c in ELSEWHERE]
        found = zip(np.ravel(values(*points)), *derivatives(*points), strict=True)
        for index, (at, numbers) in enumerate(zip(points, found, strict=True)):
            if beside < -0.1 and ELSEWHERE[index][0].has(sp.sqrt(x), sp.acosh):
                continue  # far on the side where the parts of the formula are not real
            for order, (number, wanted) in enumerate(zip(numbers, _exactly(index, at), strict=True)):
                if not abs(number - wanted) <= 2e-13 * abs(wanted) + 1e-90:
                    wrong.append((ELSEWHERE[index][0], at, order, number, mpmath.nstr(wanted, 17)))
    assert not wrong


@every_target
def test_the_formula_is_used_as_it_is_written_far_from_the_point(target: str) -> None:
    kernel = sg.compile(sp.log(x) / (x - 1), wrt=x, outputs=("value", "grad"), backend=target)
    for at in (1e-12, 1e-5, 40.0, 1e200):
        value, slope = (_exact(sp.log(x) / (x - 1), at, order) for order in (0, 1))
        np.testing.assert_allclose(kernel(at), (float(value), float(slope)), rtol=2e-15)


def test_a_double_next_to_the_point_is_none() -> None:
    """cos(x) is not 0 at the double next to pi/2: a true pole there, of a formula with that double."""
    at = float(np.pi / 2)
    assert np.isinf(sg.compile(sp.cos(x) / (x - at))(at))
    slope = sg.compile(sp.cos(x) / (x - sp.pi / 2), wrt=x, outputs="grad")(at)
    with mpmath.workdps(40):
        wanted = (mpmath.mpf(at) - mpmath.pi / 2) / 3
    assert abs(slope - wanted) <= 1e-15 * abs(wanted)  # 2e-17: by what pi/2 is beyond its double


@pytest.mark.parametrize(
    "expr", [sp.sqrt((x - 1) ** 2) / (x - 1), sp.sin(sp.sqrt(1 - x)) / (1 - x), sp.log(x) / (x - 1) ** 2]
)
def test_what_is_not_regular_stays_as_it_is(expr: sp.Expr) -> None:
    program = sg.program(expr, args=(x,))
    g = program.translation.graph
    assert all(g.op[n] != "removable" for n in g.reachable(g.tensors[program.translation.value].bodies))


def test_two_points_of_one_formula_differentiate_sparsely() -> None:
    """Edge pushing derives what an op is of placeholders: the formulas in it are to follow."""
    n = sp.Symbol("n", integer=True, positive=True)
    i = sp.Symbol("i", integer=True)
    v = sp.IndexedBase("v", shape=(n,))
    terms = sp.Sum(
        v[i + 1] * sp.log(v[i]) / (v[i] - 1) + sp.sin(sp.pi * v[i]) / (v[i] * (1 - v[i])), (i, 0, n - 2)
    )
    at = np.array([1.0, 1 + 1e-9, 0.5, 2.0])
    dense = sg.compile(terms, wrt=v, outputs="hess")(at)
    sparse = sg.compile(terms, wrt=v, outputs="hess", sparse="csr")(at).toarray()
    np.testing.assert_allclose(sparse, dense, rtol=1e-13, atol=1e-300)
    assert abs(dense[0, 1] + 0.5) < 1e-15  # the slope of log(x)/(x - 1) at 1


# ---- away from 0 -----------------------------------------------------------------------------


@every_target
@pytest.mark.parametrize(
    ("expr", "at", "value", "slope"),
    [
        (x / (sp.exp(x) - 1), 800.0, 0.0, 0.0),
        (x / (sp.exp(x) - 1), -800.0, 800.0, -1.0),
        (x / sp.sinh(x), 800.0, 0.0, 0.0),
        (x * sp.exp(x) / (sp.exp(x) - 1), 800.0, 800.0, 1.0),
        (x * sp.exp(x) / (sp.exp(x) - 1), -800.0, 0.0, 0.0),
        (sp.tanh(x) / x, sp.oo, 0.0, 0.0),
        (x * sp.coth(x), -900.0, 900.0, -1.0),
    ],
)
def test_far_away_nothing_overflows(
    expr: sp.Expr, at: float, value: float, slope: float, target: str
) -> None:
    found = sg.compile(expr, wrt=x, outputs=("value", "grad"), backend=target)(float(at))
    assert found == (value, slope)


# ---- several variables -------------------------------------------------------------------------

PRODUCTS = (
    sp.tanh(a * b) / (a * b), sp.tanh(a * b) / a, a * b * sp.cos(a * b) - sp.sin(a * b),
    (sp.exp(a - b) - 1) / (a - b),
    b + sp.coth(a) - 1 / a, b * (1 - sp.exp(-a * b)) / a, a / sp.tanh(a * b), sp.atan(a / b) / a,
)  # fmt: skip


@every_target
@pytest.mark.parametrize("expr", PRODUCTS)
def test_the_variable_may_be_a_product_a_quotient_or_a_difference(expr: sp.Expr, target: str) -> None:
    kernel = sg.compile(expr, args=(a, b), outputs=("value", "grad", "hess"), backend=target)
    f = sp.lambdify((a, b), expr, "mpmath")
    for point in ((1e-9, 0.75), (-3e-5, -0.5), (0.25, 0.5)):
        value, slopes, curvatures = kernel(*point)
        with mpmath.workdps(120):
            step = mpmath.mpf(10) ** -30
            exact = {
                n: mpmath.diff(f, tuple(map(mpmath.mpf, point)), n, h=step)
                for n in ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
            }
        found = {
            (0, 0): value, (1, 0): slopes[0], (0, 1): slopes[1],
            (2, 0): curvatures[0, 0], (1, 1): curvatures[0, 1], (0, 2): curvatures[1, 1],
        }  # fmt: skip
        for n, wanted in exact.items():
            # What vanishes to all digits of the other derivatives is not known to more.
            allowed = 1e-12 * abs(wanted) + 1e-28 * max(abs(w) for w in exact.values())
            assert abs(found[n] - wanted) <= allowed, (point, n, found[n], wanted)


# ---- roots -------------------------------------------------------------------------------------

r = sp.sqrt(a**2 + b**2)
three, five = sp.sqrt(3) * r / length, sp.sqrt(5) * r / length
FLAT = {  # a function of a norm, and its second derivative by each coordinate at 0 where length is 0.5
    "matern 3/2": (c**2 * (1 + three) * sp.exp(-three), -12.0),
    "matern 5/2": (c**2 * (1 + five + five**2 / 3) * sp.exp(-five), -20.0 / 3),
    "matern 5/2, without a length": (c**2 * (1 + r + r**2 / 3) * sp.exp(-r), -1.0 / 3),
    "matern 3/2 of a wide length": ((1 + r / 1024) * sp.exp(-r / 1024), -(2.0**-20)),
    "tanh(r)/r": (sp.tanh(r) / r, -2.0 / 3),
    "log(1 + r) - r": (sp.log(1 + r) - r, -1.0),
    "r/tanh(r)": (r / sp.tanh(r), 2.0 / 3),
    "1 - (1 + r)*exp(-r)": (1 - (1 + r) * sp.exp(-r), 1.0),
}


@every_target
@pytest.mark.parametrize("name", FLAT)
def test_a_flat_function_of_a_norm_has_its_hessian_at_zero(name: str, target: str) -> None:
    expr, curvature = FLAT[name]
    kernel = sg.compile(
        expr, args=(a, b, c, length), wrt=(a, b), outputs=("value", "grad", "hess"), backend=target
    )
    _, slopes, hessian = kernel(0.0, 0.0, 1.0, 0.5)
    assert slopes.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(hessian, curvature * np.eye(2), rtol=1e-15, atol=0)
    f = sp.lambdify((a, b, c, length), expr, "mpmath")
    for point in ((3e-9, 1e-9), (0.01, -0.02), (0.3, 0.8), (-2.0, 1.0)):
        _, slopes, hessian = kernel(*point, 1.0, 0.5)
        with mpmath.workdps(100):
            at = (*map(mpmath.mpf, point), mpmath.mpf(1), mpmath.mpf(0.5))
            step = mpmath.mpf(10) ** -30
            exact = [[mpmath.diff(f, at, _orders(i, j), h=step) for j in (0, 1)] for i in (0, 1)]
            first = [mpmath.diff(f, at, _orders(i), h=step) for i in (0, 1)]
        np.testing.assert_allclose(slopes, np.array(first, dtype=float), rtol=1e-13)
        np.testing.assert_allclose(hessian, np.array(exact, dtype=float), rtol=1e-12, atol=1e-15)


def _orders(*axes: int) -> tuple[int, ...]:
    return tuple(axes.count(k) for k in range(4))


@every_target
def test_a_kernel_matrix_with_coinciding_points_has_second_derivatives(target: str) -> None:
    n, d = sp.symbols("n d", integer=True, positive=True)
    i, j, k = sp.symbols("i j k", integer=True)
    points, weights = sp.IndexedBase("points", shape=(n, d)), sp.IndexedBase("weights", shape=(n,))
    distance = sp.sqrt(sp.Sum((points[i, k] - points[j, k]) ** 2, (k, 0, d - 1))) * sp.sqrt(5) / length
    matern = (1 + distance + distance**2 / 3) * sp.exp(-distance)
    energy = sp.Sum(weights[i] * weights[j] * matern, (i, 0, n - 1), (j, 0, n - 1))
    kernel = sg.compile(
        energy, args=(points, weights, length), wrt=points, outputs=("grad", "hvp"), backend=target
    )
    where = np.array([[0.5, 0.25], [0.5, 0.25], [-0.25, 1.0]])
    along, w = np.array([[1.0, -0.5], [0.25, 2.0], [0.5, 0.75]]), np.array([1.0, 2.0, 3.0])
    slopes, product = kernel(where, w, 0.75, tangent=along)

    def slope(t: mpmath.mpf) -> list[list[mpmath.mpf]]:
        """The gradient of the Matern kernel, written by hand, as far along."""
        p = np.vectorize(mpmath.mpf)(where) + t * along
        scale = mpmath.sqrt(5) / mpmath.mpf(0.75)
        total = [[mpmath.mpf(0)] * 2 for _ in p]
        for s in range(3):
            for q in range(3):
                h = scale * mpmath.sqrt(sum((p[s, m] - p[q, m]) ** 2 for m in (0, 1)))
                factor = -2 * w[s] * w[q] * scale**2 / 3 * (1 + h) * mpmath.exp(-h)
                for m in (0, 1):
                    total[s][m] += factor * (p[s, m] - p[q, m])
        return total

    with mpmath.workdps(60):
        step = mpmath.mpf(10) ** -20
        exact = (np.array(slope(step)) - np.array(slope(-step))) / (2 * step)
        np.testing.assert_allclose(slopes, np.array(slope(mpmath.mpf(0)), dtype=float), rtol=1e-13)
        np.testing.assert_allclose(product, exact.astype(float), rtol=1e-12)


# ---- how it is seen ----------------------------------------------------------------------------


def test_the_formula_is_printed_as_it_is_written() -> None:
    gradient = sg.program(sp.tanh(x) / x, wrt=x).grad
    assert not gradient.has(sp.Piecewise)
    at = sp.Rational(3, 4)
    difference = gradient.xreplace({x: at}) - sp.diff(sp.tanh(x) / x, x).xreplace({x: at})
    assert abs(sp.N(difference, 40)) < 1e-38


@every_target
def test_without_stability_rules_the_plain_formula_is_computed(target: str) -> None:
    assert np.isnan(sg.compile(sp.tanh(x) / x, backend=target, stabilise=False)(0.0))


def test_verify_agrees_at_the_singularity_and_beside_it() -> None:
    for at in (0.0, 1e-9, 0.3):
        assert sg.verify(sg.program(sp.coth(x) - 1 / x, wrt=x), at={x: at}).ok


def test_a_true_pole_stays_one() -> None:
    value, slope = sg.compile(sp.tanh(x) / x**2, wrt=x, outputs=("value", "grad"))(2.0**-20)
    np.testing.assert_allclose((value, slope), (2.0**20, -(2.0**40)), rtol=1e-11)
    assert np.isnan(sg.compile(sp.tanh(x) / x**2)(0.0))


@pytest.mark.parametrize("half_turns", [1, 3, 4])
def test_the_distance_from_the_nearest_of_all_turns_is_exact(half_turns: int) -> None:
    g = Graph()
    u = g.read(g.input("u"))
    center, period = (g.mul(g.const(Fraction(k, 2)), g.const("pi")) for k in (1, half_turns))
    distance = g.define("map", (), (), reduced(g, u, center, period))
    rng = np.random.default_rng(0)
    beside = rng.choice([0.0, 1e-16, 1e-9, 1e-3], 300)
    for at in (1 + half_turns * rng.integers(-1300, 1300, 300)) * (np.pi / 2) + beside:
        (found,) = evaluate(g, [distance], {g.args[u][0]: at}, {})
        with mpmath.workdps(60):
            turn = half_turns * mpmath.pi / 2
            wanted = at - mpmath.pi / 2
            wanted -= turn * mpmath.nint(wanted / turn)
            assert abs(float(found) - wanted) <= 2.0**-52 * abs(wanted), at
    for at in (1e9, -1e300, np.inf, np.nan):  # farther away no turns are taken off
        (found,) = evaluate(g, [distance], {g.args[u][0]: at}, {})
        np.testing.assert_equal(float(found), at - np.pi / 2)


@every_target
def test_all_turns_have_their_digits_in_single_precision(target: str) -> None:
    expr = (1 - sp.sin(x)) / sp.cos(x) ** 2
    kernel = sg.compile(expr, wrt=x, outputs=("value", "grad"), dtype="float32", backend=target)
    for turns in (0, 1, -3, 1000):
        at = np.float32((turns + 0.25) * 2 * np.pi)
        wanted = [float(_exact(expr, float(at), order)) for order in (0, 1)]
        np.testing.assert_allclose(kernel(at), wanted, rtol=1e-6)


def test_what_has_no_period_is_regular_at_one_point() -> None:
    """sin(x)/x grows with no turn; frequencies without a common one have no period."""
    for expr in (sp.sin(x) / (x - sp.pi), sp.sin(x) / sp.sin(sp.sqrt(2) * x), sp.sin(x**2) / sp.sin(x) ** 2):
        assert "reduced" not in sg.program(expr).translation.graph.op
    assert "reduced" in sg.program(sp.sin(sp.sqrt(2) * x) / sp.sin(2 * sp.sqrt(2) * x)).translation.graph.op


def test_single_precision_is_right_near_the_singularity() -> None:
    kernel = sg.compile(sp.coth(x) - 1 / x, wrt=x, outputs=("value", "grad"), dtype="float32")
    for at in (0.0, 1e-6, 0.01, 0.5):
        wanted = [float(_exact(sp.coth(x) - 1 / x, float(np.float32(at)), n)) for n in (0, 1)]
        np.testing.assert_allclose(kernel(at), wanted, rtol=5e-7)


@every_target
def test_the_distance_from_a_point_that_is_no_number_is_exact_in_single_precision(target: str) -> None:
    expr = sp.cos(x) / (x - sp.pi / 2)
    kernel = sg.compile(expr, wrt=x, outputs=("value", "grad"), dtype="float32", backend=target)
    for at in (np.float32(np.pi / 2), np.float32(1.5), np.float32(1.0)):
        wanted = [float(_exact(expr, float(at), order)) for order in (0, 1)]
        np.testing.assert_allclose(kernel(at), wanted, rtol=1e-6)


# ---- the mechanism -----------------------------------------------------------------------------


def _node(g: Graph, op: str, u: int) -> int:
    """The function of an argument that is 0.25 and a bit, or 1.25 and a bit, or around 0."""
    shifted = g.intern("add", (u, g.const(0.25 if op not in ("loggamma", "gamma") else 1)))
    two = dict.fromkeys(
        ("add", "sub", "mul", "div", "square_difference", "deviation", "nested_share"), (shifted, shifted)
    )
    above_one = g.intern("add", (shifted, g.one))
    args = {
        "leg": (above_one, shifted),
        "hypot": (above_one, shifted),
        **dict.fromkeys(
            (
                "direction_cosine",
                "hypot_slope",
                "double_cosine",
                "inversion",
                "less_cosine",
                "half_tangent",
                "altitude",
                "pseudo_huber",
                "root_beside_square",
            ),
            (above_one, shifted),
        ),
        **dict.fromkeys(("xlogy", "xlog1py", "xovery"), (above_one, shifted)),
        "acosh": (above_one,),
        "polygamma": (g.const(2), shifted),
        "pow": (above_one, g.const(2.5)),
        "besselj": (g.const(2), u),
        "besseli": (g.one, u),
        "besseli_core": (g.one, u),
    } | two
    if op.endswith("_difference") and op not in args:
        args[op] = (above_one, u, shifted)
    if op in ("hypot_difference", "cosine_difference", "sine_difference"):
        args[op] = (above_one, u, shifted, above_one)
    if op in ("asin_difference", "atanh_difference", "tan_difference"):
        args[op] = (shifted, u, g.const(0.125))
    if op == "pow_difference":
        args[op] = (above_one, u, shifted, g.const(2.5))
    if op == "powm1":
        args[op] = (above_one, g.const(2.5), u)
    if op.endswith("_less_side"):
        args[op] = (above_one, shifted, above_one)[: 3 if op.startswith("root") else 2]
    if op.startswith("quadratic_root"):
        args[op] = (above_one, shifted, above_one)
    if op == "less_norm_cosine":
        args[op] = (above_one, shifted, above_one)
    if op.startswith("radial_"):
        args[op] = (
            (u, g.intern("mul", (u, u))) if "bessel" in op else (shifted, g.intern("mul", (shifted, shifted)))
        )
    return g.intern(op, args.get(op, (shifted,)))


@pytest.mark.parametrize("op", sorted(set(FUNCTIONS) - set(ROWS)))
def test_a_series_adds_up_to_the_function(op: str) -> None:
    g = Graph(stabilise=False)
    u = g.read(g.input("u"))
    node = _node(g, op, u)
    found = series_of(formula_of(g, node, u), 40)
    assert found is not None
    with mpmath.workdps(40):
        at = mpmath.mpf(1) / 64
        total = mpmath.fsum(t * at ** (found.valuation + k) for k, t in enumerate(found.terms))
        (exact,) = evaluate(g, [g.define("map", (), (), node)], {g.args[u][0]: at}, {}, object)
        assert abs(total - exact[()]) <= 1e-36 * max(abs(exact[()]), mpmath.mpf(1e-3))


def test_a_deep_formula_of_one_variable_is_looked_at_without_recursion() -> None:
    g = Graph()
    node = variable = g.read(g.input("u"))
    for _ in range(5000):
        node = g.intern("add", (g.node("sin", node), g.one))
    assert variable_of(g, node) == variable
    assert g.op[g.add(g.node("sin", node), g.const(-1))] == "add"
    assert np.isfinite(probe(g, node).value)


def test_a_formula_that_is_made_again_is_not_expanded_twice() -> None:
    g = Graph()
    first, second = (g.read(g.input(name)) for name in "uv")
    node = g.div(g.node("tanh", first), first)
    again = g.substitute(node, {first: second})
    assert g.op[again] == "removable" and g.args[again][0] == second
    assert g.op[g.args[again][-1]] == "div"


def test_a_product_put_in_for_the_variable_keeps_the_derivatives() -> None:
    g = Graph()
    u, v = (g.read(g.input(name)) for name in "uv")
    node = g.substitute(g.div(g.node("tanh", u), u), {u: g.mul(g.const(2), v)})
    assert g.op[node] == "removable" and g.args[node][0] in (v, g.mul(g.const(2), v))


@pytest.mark.parametrize("expr", QUOTIENTS)
def test_series_and_formula_meet_at_the_radius(expr: sp.Expr) -> None:
    program = sg.program(expr, args=(x,))
    g, value = program.translation.graph, program.translation.value
    (argument,) = program.translation.inputs.values()
    nodes = [n for n in g.reachable(g.tensors[value].bodies) if g.op[n] == "removable"]
    for n in nodes:
        variable, lower, upper, t, near, away = g.args[n]
        ends = g.rational(lower), g.rational(upper)
        assert None not in ends and g.op[variable] == "read"
        center = Fraction(0) if t == variable else value_of(formula_of(g, g.args[t][1], t))
        for at in (center + end for end in ends):
            with mpmath.workdps(40):
                inputs = {argument: mpmath.mpf(at.numerator) / at.denominator}
                tensors = [g.define("map", (), (), arm) for arm in (near, away)]
                first, second = (v[()] for v in evaluate(g, tensors, inputs, {}, object))
                assert abs(first - second) <= 2**-54 * abs(second)


def test_a_formula_of_too_many_steps_is_left_alone() -> None:
    g = Graph()
    u = g.read(g.input("u"))
    terms = [g.node("sin", g.mul(g.const(k), u)) for k in range(2, 130)]
    while len(terms) > 1:  # as shallow as can be
        terms = [g.intern("add", pair) for pair in zip(terms[::2], terms[1::2], strict=True)]
    assert formula_of(g, terms[0], u) == ()
    assert g.op[g.div(terms[0], u)] == "div"
