"""Removable singularities that the user has filled in: derivatives of the whole function at the point too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from sympy import Eq, Ne, Piecewise, Rational, exp, log, sin, sqrt

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")
x, a, b = sp.symbols("x a b", real=True)
NORM = sqrt(a**2 + b**2)

# The choice, its value at 0, and its first and second derivative there (by hand, from the series).
FILLED: dict[str, tuple[Any, float, float, float]] = {
    "sin(x)/x": (Piecewise((1, Eq(x, 0)), (sin(x) / x, True)), 1, 0, -1 / 3),
    "the other way round": (Piecewise((sin(x) / x, Ne(x, 0)), (1, True)), 1, 0, -1 / 3),
    "sin(3*x)/x": (Piecewise((3, Eq(x, 0)), (sin(3 * x) / x, True)), 3, 0, -9),
    "sinh(x)/x": (Piecewise((1, Eq(x, 0)), (sp.sinh(x) / x, True)), 1, 0, 1 / 3),
    "(1 - cos(x))/x**2": (
        Piecewise((Rational(1, 2), Eq(x, 0)), ((1 - sp.cos(x)) / x**2, True)), 1 / 2, 0, -1 / 12,
    ),
    "(exp(x) - 1)/x": (Piecewise((1, Eq(x, 0)), ((exp(x) - 1) / x, True)), 1, 1 / 2, 1 / 3),
    "log(1 + x)/x": (Piecewise((1, Eq(x, 0)), (log(1 + x) / x, True)), 1, -1 / 2, 2 / 3),
    "(x - sin(x))/x**3": (
        Piecewise((Rational(1, 6), Eq(x, 0)), ((x - sin(x)) / x**3, True)), 1 / 6, 0, -1 / 60,
    ),
    "in a product": (exp(x) * Piecewise((1, Eq(x, 0)), (sin(x) / x, True)), 1, 1, 2 / 3),
    "product inside": (Piecewise((0, Eq(x, 0)), (sin(x) ** 2 / x, True)), 0, 1, 0),
}  # fmt: skip


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("name", FILLED)
def test_derivatives_at_the_point_are_those_of_the_whole_function(name: str, backend: str) -> None:
    expr, *wanted = FILLED[name]
    kernel = sg.compile(expr, wrt=x, outputs=("value", "grad", "hess"), backend=backend)
    np.testing.assert_allclose([float(part) for part in kernel(0.0)], wanted, rtol=1e-15, atol=0)
    assert sg.program(expr).kinks == ()


@pytest.mark.parametrize("backend", TARGETS)
def test_a_norm_may_be_what_is_zero(backend: str) -> None:
    expr = Piecewise((1, Eq(NORM, 0)), (sin(NORM) / NORM, True))
    kernel = sg.compile(expr, args=(a, b), wrt=(a, b), outputs=("value", "grad", "hess"), backend=backend)
    value, grad, hess = kernel(0.0, 0.0)
    assert value == 1.0 and not grad.any()
    np.testing.assert_allclose(hess, -np.eye(2) / 3, rtol=1e-15)


# What is filled in is not the limit, or the other arm is not smooth there: the choice stays one.
KEPT = {
    "another value": (Piecewise((2, Eq(x, 0)), (sin(x) / x, True)), 2.0),
    "x*log(x)": (Piecewise((0, Eq(x, 0)), (x * log(x), True)), 0.0),
    "a root": (Piecewise((0, Eq(x, 0)), (sqrt(x), True)), 0.0),
    "a root of a quotient's numerator": (Piecewise((0, Eq(x, 0)), (sqrt(sp.Abs(x)) * sin(x) / x, True)), 0.0),
    "no quotient": (Piecewise((0, Eq(x, 0)), (x**2, True)), 0.0),
}


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("name", KEPT)
def test_other_choices_have_the_derivatives_of_the_arm_taken(name: str, backend: str) -> None:
    expr, value = KEPT[name]
    kernel = sg.compile(expr, wrt=x, outputs=("value", "grad", "hess"), backend=backend)
    assert [float(part) for part in kernel(0.0)] == [value, 0.0, 0.0]
    assert len(sg.program(expr).kinks) >= 1


def test_without_stability_rules_the_arm_that_is_taken_is_a_constant() -> None:
    kernel = sg.compile(FILLED["sin(x)/x"][0], wrt=x, outputs="hess", stabilise=False, backend="numpy")
    assert float(kernel(0.0)) == 0.0


@pytest.mark.parametrize("backend", TARGETS)
def test_a_power_of_a_modulus_has_derivatives_zero_at_zero_by_convention(backend: str) -> None:
    """The true second derivative is infinite; |x|**(1/2), of which it is made, has derivative 0 at 0."""
    kernel = sg.compile(sp.Abs(x) ** Rational(3, 2), wrt=x, outputs=("grad", "hess"), backend=backend)
    assert [float(part) for part in kernel(0.0)] == [0.0, 0.0]
