"""Even functions of a norm are smooth at its zero, and so are their derivatives here: right to any order.

The references: mpmath's derivatives of f(sqrt(s)) for the operations, and for whole programs the Taylor
polynomial in s = |v|**2, which SymPy differentiates at the origin.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special
import sympy as sp
from scalar_derivatives import derivative, value_at, variables

import symgrad as sg
from symgrad.ir.composites.radial import FAMILIES, HIGHEST, NAMES, ROWS
from symgrad.ir.graph import Graph
from symgrad.ir.ops import OPS
from symgrad.ir.text import print_program
from symgrad.ir.text_parse import parse_program

TARGETS = ("numpy", "llvm", "c")
a, b, c = sp.symbols("a b c", real=True)
n = sp.symbols("n", integer=True, positive=True)
i = sp.symbols("i", integer=True)
v = sp.IndexedBase("v", shape=(n,))
s = sp.Symbol("s")
NORM = sp.sqrt(a**2 + b**2 + c**2)

# name -> the function of a norm, and of s in SymPy (any form of it).
EVEN: dict[str, tuple[Any, Any]] = {
    "cos": (lambda h: sp.cos(h), sp.cos(sp.sqrt(s))),
    "cos of twice": (lambda h: sp.cos(2 * h), sp.cos(2 * sp.sqrt(s))),
    "cosh": (lambda h: sp.cosh(h), sp.cosh(sp.sqrt(s))),
    "one minus cos": (lambda h: 1 - sp.cos(h), 1 - sp.cos(sp.sqrt(s))),
    "cosh minus one": (lambda h: sp.cosh(h) - 1, sp.cosh(sp.sqrt(s)) - 1),
    "sin(h)/h": (lambda h: sp.sin(h) / h, sp.sin(sp.sqrt(s)) / sp.sqrt(s)),
    "sinc": (lambda h: sp.sinc(h), sp.sin(sp.sqrt(s)) / sp.sqrt(s)),
    "sinh(h)/h": (lambda h: sp.sinh(h) / h, sp.sinh(sp.sqrt(s)) / sp.sqrt(s)),
    "(1 - cos(h))/h**2": (lambda h: (1 - sp.cos(h)) / h**2, (1 - sp.cos(sp.sqrt(s))) / s),
    "(h - sin(h))/h**3": (
        lambda h: (h - sp.sin(h)) / h**3, (sp.sqrt(s) - sp.sin(sp.sqrt(s))) / sp.sqrt(s) ** 3,
    ),
    "log(cosh(h))": (lambda h: sp.log(sp.cosh(h)), sp.log(sp.cosh(sp.sqrt(s)))),
    "besselj": (lambda h: sp.besselj(0, h), sp.besselj(0, sp.sqrt(s))),
    "besseli": (lambda h: sp.besseli(0, h), sp.besseli(0, sp.sqrt(s))),
}  # fmt: skip
every_function = pytest.mark.parametrize("name", EVEN)
every_target = pytest.mark.parametrize("backend", TARGETS)


def taylor(name: str, order: int = 4) -> list[sp.Expr]:
    """The coefficients of s**0 .. s**(order - 1), from the series in h."""
    h = sp.Symbol("h", positive=True)
    series = sp.series(EVEN[name][1].subs(s, h**2).simplify(), h, 0, 2 * order).removeO()
    return [series.coeff(h, 2 * k) for k in range(order)]


# ---- the operations ----------------------------------------------------------------------------

EDGES = [0.3, 1.0, 1.999, 2.001, 2.999, 3.001, 3.999, 4.001, 9.5, 40.0]


@pytest.mark.parametrize("name", ROWS)
def test_an_operation_is_the_derivative_of_the_one_before_it(name: str) -> None:
    """2 d/ds R^(k-1) f = R^k f, by mpmath's differences; the last places of the fast value too."""
    family, k = ROWS[name]
    with mpmath.workdps(60):
        for h in EDGES:
            wanted = OPS[family.op(k)].mpmath(mpmath.mpf(h), 0)
            if k:
                before = OPS[family.op(k - 1)].mpmath
                slope = mpmath.diff(lambda t, f=before: f(mpmath.sqrt(t), t), mpmath.mpf(h) ** 2)
                assert abs(2 * slope - wanted) <= mpmath.mpf(10) ** -30 * max(1, abs(wanted)), h
            fast = OPS[name].numpy(np.float64(h), np.float64(h * h))
            assert abs(fast - wanted) <= 2e-14 * abs(wanted) + 2e-17, (h, fast, wanted)


@pytest.mark.parametrize("name", ROWS)
def test_an_operation_at_zero_is_the_first_term_of_its_series(name: str) -> None:
    family, k = ROWS[name]
    for call in (OPS[name].numpy, OPS[name].mpmath):
        assert float(call(np.float64(0.0), np.float64(0.0))) == float(family.term(k, 0))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_derivatives_by_what_is_under_the_root_agree_with_high_precision(name: str) -> None:
    g = Graph()
    x, y = variables(g, 2)
    square = g.add(g.mul(x, x), g.mul(y, y))
    value = g.intern(name, (g.node("sqrt", square), square))
    first = derivative(g, value, x)
    entries = [(first, (1, 0)), (derivative(g, first, x), (2, 0)), (derivative(g, first, y), (1, 1))]
    with mpmath.workdps(50):
        for point in ((0.4, -0.3), (1.5, 2.0), (3.0, 4.0)):
            at = tuple(map(mpmath.mpf, point))
            for node, order in entries:
                wanted = mpmath.diff(lambda p, q: OPS[name].mpmath(mpmath.sqrt(p * p + q * q), 0), at, order)
                precise = value_at(g, node, dict(zip((x, y), at, strict=True)), object)
                assert abs(precise - wanted) <= 1e-15 * max(1, abs(wanted)), (point, order)


def test_every_family_has_as_many_operations_as_it_says() -> None:
    assert {f.op(k) for f in FAMILIES.values() for k in range(HIGHEST + 1)} == set(ROWS) < NAMES


def test_a_program_with_them_is_text_and_back() -> None:
    g = Graph()
    x = g.read(g.input("x"))
    t = g.define("map", (), (), g.node("cos", g.node("sqrt", g.mul(x, x))))
    text = print_program(g, {"y": t})
    assert "radial_cos" in text
    again, outputs = parse_program(text)
    assert print_program(again, outputs) == text


# ---- programs ----------------------------------------------------------------------------------


@every_target
@every_function
def test_value_gradient_and_hessian_at_the_origin(name: str, backend: str) -> None:
    """f = c0 + c1*s + ...: the value is c0, the gradient 0 and the Hessian 2*c1 times the identity."""
    kernel = sg.compile(
        EVEN[name][0](NORM), args=(a, b, c), wrt=(a, b, c), outputs=("value", "grad", "hess"), backend=backend
    )
    value, grad, hess = kernel(0.0, 0.0, 0.0)
    first, second, *_ = map(float, taylor(name))
    assert value == pytest.approx(first, rel=1e-15)
    assert not grad.any()
    np.testing.assert_allclose(hess, 2 * second * np.eye(3), rtol=1e-15)


@every_function
def test_derivatives_of_orders_three_to_six_at_the_origin(name: str) -> None:
    polynomial = sum(term * (a**2 + b**2) ** k for k, term in enumerate(taylor(name)))
    value = EVEN[name][0](sp.sqrt(a**2 + b**2))
    orders = ((3, 0), (2, 2), (4, 0), (3, 3), (4, 2), (6, 0))
    asked = [sp.Derivative(value, (a, p), (b, q)) if q else sp.Derivative(value, (a, p)) for p, q in orders]
    kernel = sg.compile(sp.Matrix(asked), args=(a, b), backend="numpy")
    wanted = [float(sp.diff(polynomial, a, p, b, q).subs({a: 0, b: 0})) for p, q in orders]
    np.testing.assert_allclose(np.ravel(kernel(0.0, 0.0)), wanted, rtol=1e-14, atol=1e-300)


@every_target
@every_function
def test_near_the_origin_and_far_from_it_they_agree_with_high_precision(name: str, backend: str) -> None:
    kernel = sg.compile(
        EVEN[name][0](NORM), args=(a, b, c), wrt=(a, b, c), outputs=("value", "grad", "hess"), backend=backend
    )
    plain = sp.lambdify(s, [sp.diff(EVEN[name][1], s, k) for k in range(3)], modules="mpmath")
    for point in ((1e-9, -2e-9, 3e-9), (0.03, 0.1, -0.2), (1.0, -1.5, 0.5), (2.0, 3.0, -4.0)):
        value, grad, hess = kernel(*point)
        with mpmath.workdps(60):
            x = [mpmath.mpf(p) for p in point]
            f, f1, f2 = plain(mpmath.fsum(p * p for p in x))
            wanted_grad = [2 * f1 * p for p in x]
            wanted_hess = [[2 * f1 * (j == k) + 4 * f2 * x[j] * x[k] for k in range(3)] for j in range(3)]
            scale = max(abs(h) for row in wanted_hess for h in row)
        np.testing.assert_allclose(value, float(f), rtol=2e-14, atol=1e-16)
        np.testing.assert_allclose(grad, np.array(wanted_grad, float), rtol=1e-13, atol=1e-300)
        np.testing.assert_allclose(hess, np.array(wanted_hess, float), rtol=1e-13, atol=1e-14 * float(scale))


@every_target
def test_norms_of_arrays_of_any_size(backend: str) -> None:
    norm = sp.sqrt(sp.Sum(v[i] ** 2, (i, 0, n - 1)))
    kernel = sg.compile(
        sp.cos(norm) + sp.sin(norm) / norm, wrt=v, outputs=("grad", "hess", "hvp"), backend=backend
    )
    for size in (1, 4):
        grad, hess, hvp = kernel(np.zeros(size), tangent=np.ones(size))
        assert not grad.any()
        np.testing.assert_allclose(hess, -4 / 3 * np.eye(size), rtol=1e-15)
        np.testing.assert_allclose(hvp, np.full(size, -4 / 3), rtol=1e-15)


@every_target
def test_a_plain_root_and_a_modulus_count(backend: str) -> None:
    value = sp.cos(sp.sqrt(a)) + sp.cos(sp.Abs(b))
    kernel = sg.compile(value, args=(a, b), wrt=(a, b), outputs=("grad", "hess"), backend=backend)
    grad, hess = kernel(0.0, 0.0)
    np.testing.assert_allclose(grad, [-0.5, 0.0], rtol=1e-15, atol=0)
    np.testing.assert_allclose(hess, [[1 / 12, 0.0], [0.0, -1.0]], rtol=1e-15)


@every_target
def test_what_does_not_overflow_in_the_root_does_not_overflow(backend: str) -> None:
    kernel = sg.compile(
        sp.sin(sp.sqrt(a**2 + b**2)) / sp.sqrt(a**2 + b**2), args=(a, b), outputs="value", backend=backend
    )
    assert abs(kernel(3e200, 4e200)) <= 1 / 5e200 * 1.01
    assert kernel(1e-200, 1e-200) == 1.0


@every_target
def test_bessel_functions_of_a_norm_have_the_values_of_scipy_everywhere(backend: str) -> None:
    norm = sp.sqrt(a**2 + b**2)
    for function, wanted in ((sp.besselj, scipy.special.jv), (sp.besseli, scipy.special.iv)):
        kernel = sg.compile(function(0, norm), args=(a, b), outputs="value", backend=backend)
        for size in (0.0, 1e-300, 1e-8, 0.5, 30.0, 400.0, 1e5):
            np.testing.assert_allclose(kernel(size, -size), wanted(0, np.hypot(size, size)), rtol=1e-9)
    assert (
        abs(sg.compile(sp.besselj(0, norm), args=(a, b), outputs="value", backend=backend)(1e300, 1e300))
        < 1e-140
    )


def test_a_norm_keeps_its_kink_and_a_smooth_function_of_it_has_none() -> None:
    norm = sp.sqrt(a**2 + b**2)
    assert [str(k) for k in sg.program(norm).kinks] == ["hypot(b, a) where b = a = 0: derivative 0"]
    assert sg.program(sp.cos(norm)).kinks == ()
    assert len(sg.program(sp.cos(norm) + norm).kinks) == 1
    assert not sg.compile(norm, wrt=(a, b), outputs="hess", backend="numpy")(0.0, 0.0).any()


@every_function
def test_verify_agrees_at_the_origin(name: str) -> None:
    program = sg.program(EVEN[name][0](NORM), args=(a, b, c), wrt=(a, b, c))
    assert sg.verify(program, at={a: 0.0, b: 0.0, c: 0.0}).ok


def test_without_stability_rules_the_chain_rule_is_all_there_is() -> None:
    kernel = sg.compile(sp.cos(NORM), wrt=(a, b, c), outputs="hess", stabilise=False, backend="numpy")
    assert not kernel(0.0, 0.0, 0.0).any()
