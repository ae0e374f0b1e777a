"""Where a series and the formula it stands for meet: both sides have their digits, up to the Hessian."""

from __future__ import annotations

from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.graph import Graph
from symgrad.ir.series.economised import units_lost
from symgrad.ir.series.laurent import formula_of
from symgrad.ir.series.removable import Expansion, slope_of

x = sp.Symbol("x", real=True)
FORMULAS = {
    "1/log(1+x) - 1/x": 1 / sp.log(1 + x) - 1 / x,
    "(x - tanh)/x^3": (x - sp.tanh(x)) / x**3,
    "(x - atan)/x^3": (x - sp.atan(x)) / x**3,
    "(x - log1p)/x^2": (x - sp.log(1 + x)) / x**2,
    "((1+x)*log(1+x) - x)/x^2": ((1 + x) * sp.log(1 + x) - x) / x**2,
    "(1 - exp(-x^2))/x^2": (1 - sp.exp(-(x**2))) / x**2,
    "j1(x)/x": (sp.sin(x) - x * sp.cos(x)) / x**3,
    "j2": (3 / x**3 - 1 / x) * sp.sin(x) - 3 * sp.cos(x) / x**2,
    "1/x^2 - 1/sinh^2": 1 / x**2 - 1 / sp.sinh(x) ** 2,
    "log(1+x^2)/x^2": sp.log(1 + x**2) / x**2,
    "(x coth - 1)/x^2": (x * sp.coth(x) - 1) / x**2,
    "(exp - 1 - x - x^2/2)/x^3": (sp.exp(x) - 1 - x - x**2 / 2) / x**3,
    "(x log(x) - x + 1)/(x-1)^2": (x * sp.log(x) - x + 1) / (x - 1) ** 2,
    "Debye": 2 * (sp.exp(-x) - 1 + x) / x**2,
}  # fmt: skip
POINTS = (*(float(s * 0.01 * 1.06**k) for k in range(115) for s in (1, -1)), 0.75217, 0.91, 1.688)


@cache
def _wanted(name: str) -> tuple[tuple[float, list[mpmath.mpf]], ...]:
    """The value and three derivatives, where they are real."""
    expr = FORMULAS[name]
    f = sp.lambdify(x, [expr.diff(x, k) if k else expr for k in range(4)], "mpmath", cse=True)
    found = []
    with mpmath.workdps(60):
        for at in POINTS:
            try:
                values = f(mpmath.mpf(at))
            except (ValueError, ZeroDivisionError):
                continue
            if all(mpmath.im(v) == 0 for v in values):
                found.append((at, [mpmath.re(v) for v in values]))
    return tuple(found)


@pytest.mark.parametrize("target", ["numpy", "llvm", "c"])
@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_derivatives_have_their_digits_on_both_sides(name: str, target: str) -> None:
    kernel = sg.compile(
        FORMULAS[name], args=(x,), wrt=(x,), outputs=("value", "grad", "hess"), backend=target
    )
    assert len(_wanted(name)) > len(POINTS) / 3
    wrong = []
    for at, exact in _wanted(name):
        for order, number in enumerate(kernel(at)):
            off = abs(float(np.ravel(number)[0]) - exact[order])
            # next to a zero the rounding of x itself is felt
            if not off <= 1e-13 * abs(exact[order]) + 2.0**-50 * abs(at * exact[order + 1]):
                wrong.append((at, order, number, mpmath.nstr(exact[order], 17)))
    assert not wrong


def _expansions(expr: sp.Expr) -> list[Expansion]:
    """Those of a formula and of its first two derivatives."""
    program = sg.program(expr, args=(x,))
    g = program.translation.graph
    (argument,) = program.translation.inputs.values()
    (node,) = g.tensors[program.translation.value].bodies
    for _ in range(2):
        node = slope_of(g, node, g.read(argument))
    return list(g.expansions.values())


def test_polynomials_reach_farther_than_series_with_no_more_terms() -> None:
    found = [e for name in FORMULAS for e in _expansions(FORMULAS[name])]
    farther = [e for e in found if e.middle]
    assert len(farther) > 10
    for e in farther:
        assert len(e.terms) <= (24 if e.lower == -e.upper else 48)
        assert float(e.terms[0]) == float(e.series.terms[0])  # the limit


def test_a_series_is_kept_where_the_formula_has_its_digits() -> None:
    for expr in (sp.tanh(x) / x, x / (sp.exp(x) - 1), x / sp.sin(x), sp.coth(x) - 1 / x):
        found = _expansions(expr)
        assert found and not any(e.middle for e in found[:2])


def test_the_bound_counts_what_cancels() -> None:
    g = Graph(stabilise=False)
    u = g.read(g.input("u"))
    quotient = g.intern("div", (g.intern("sub", (g.node("exp", u), g.one)), u))
    for at in (1e-6, 1e-3, 0.5):  # exp(u) is rounded, and divided by u; two roundings more
        lost = units_lost(formula_of(g, quotient, u), at)
        assert lost is not None and abs(lost - (np.exp(at) / np.expm1(at) + 2)) < 1e-6 * lost
    assert units_lost(formula_of(g, g.node("log", u), u), -1.0) is None
