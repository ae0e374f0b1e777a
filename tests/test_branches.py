"""What is not taken has no effect: no nan from the other arm, in value or any derivative, on any target.

The model: at a point, a choice is the arm whose condition holds there, so every `Piecewise` is replaced by
that arm and SymPy differentiates what is left, which is smooth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sympy import And, Eq, Ne, Not, Or, Piecewise, Rational, Sum, exp, log, sin, sqrt

import symgrad as sg
from symgrad.errors import IndexOutOfRange
from symgrad.frontend.guarded import elements_in_arms
from symgrad.loops.nest import If
from symgrad.loops.walk import walk
from symgrad.pipeline import optimise, routine_of
from symgrad.run.kernel import Kernel

x, y, z = sp.symbols("x y z", real=True)
n, m = sp.symbols("n m", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
v, w = sp.IndexedBase("v", shape=(n,)), sp.IndexedBase("w", shape=(n,))
BACKENDS = ("numpy", "llvm", "c")
WORDS = ("value", "grad", "hess", "hvp", "jvp", "jac")


def taken(expr: Any, at: dict[Any, Any]) -> Any:
    """The expression with the arm that is taken at the point in place of every choice."""
    if isinstance(expr, Piecewise | sg.Where):
        pairs = (
            expr.args if isinstance(expr, Piecewise) else ((expr.args[1], expr.args[0]), (expr.args[2], True))
        )
        return taken(next(value for value, condition in pairs if holds(condition, at)), at)
    if isinstance(expr, sp.Max | sp.Min):
        parts = [taken(part, at) for part in expr.args]
        return (max if isinstance(expr, sp.Max) else min)(parts, key=lambda part: number(part, at))
    return expr.func(*(taken(arg, at) for arg in expr.args)) if expr.args else expr


def holds(condition: Any, at: dict[Any, Any]) -> bool:
    """Whether a condition holds, taking the arms that it needs."""
    if condition in (sp.true, sp.false, True, False):
        return bool(condition)
    if isinstance(condition, And | Or):
        return (all if isinstance(condition, And) else any)(holds(part, at) for part in condition.args)
    if isinstance(condition, sp.ITE):
        return holds(condition.args[1] if holds(condition.args[0], at) else condition.args[2], at)
    if isinstance(condition, Not):
        return not holds(condition.args[0], at)
    sides = [number(taken(side, at), at) for side in condition.args]
    return sp.zoo not in sides and bool(condition.func(*sides))  # another condition hides an infinite one


def number(expr: Any, at: dict[Any, Any]) -> Any:
    """The value at a point, from the right by the one symbol where it is infinite."""
    value = expr.subs({s: sp.Rational(number) for s, number in at.items()})
    if value is sp.zoo and len(expr.free_symbols) == 1:
        (s,) = expr.free_symbols
        return sp.limit(expr, s, sp.Rational(at[s]), "+")
    return value


def derivatives(expr: Any, symbols: tuple[Any, ...], at: dict[Any, Any]) -> list[float]:
    """Value, gradient, Hessian and third derivatives of the arms taken, as floats; zoo and nan are nan."""
    smooth = taken(expr, at)
    terms = [smooth]
    for _ in range(3):
        terms += [term.diff(s) for term in terms[-(len(symbols) ** _) :] for s in symbols]
    values = [sp.N(number(term, at), 30) for term in terms]
    return [float(value) if value.is_real else np.nan for value in values]


def thirds(expr: Any, symbols: tuple[Any, ...]) -> list[Any]:
    return [
        sp.Derivative(expr, (r, 1), (s, 1), (t, 1), evaluate=False)
        for r in symbols for s in symbols for t in symbols
    ]  # fmt: skip


# expression, point; every one has an infinity or a nan in an arm not taken, or beside the point. (Where what
# is filled in is the limit, the choice is the whole function: test_filled_in.py.)
GUARDED: list[tuple[Any, dict[Any, float]]] = [
    (Piecewise((sin(x) / x, Ne(x, 0)), (2, True)), {x: 0}),
    (Piecewise((2, Eq(x, 0)), (sin(x) / x, True)), {x: 0}),
    (Piecewise((x * log(x), x > 0), (0, True)), {x: 0}),
    (Piecewise((x * log(x), x > 0), (0, True)), {x: -1}),
    (Piecewise((log(x), x > 0), (y**2, True)) * exp(y), {x: -3, y: 2}),
    (Piecewise((sqrt(x), x > 0), (y, True)) ** 2, {x: 0, y: 3}),
    (Piecewise((sqrt(x), x >= 0), (0, True)), {x: -1}),
    (Piecewise((exp(-1 / x), x > 0), (0, True)), {x: 0}),
    (Piecewise((exp(-1 / x**2), Ne(x, 0)), (0, True)), {x: 0}),
    (Piecewise((Piecewise((log(x) / y, y > 0), (x * 2, True)), x > 0), (y**2, True)), {x: -1, y: 0}),
    (Piecewise((Piecewise((log(x) / y, y > 0), (x * 2, True)), x > 0), (y**2, True)), {x: 1, y: 0}),
    (Piecewise((x * log(x) + sqrt(x), x > 0), (x**2, True)) * log(2 + x), {x: -1}),
    (exp(Piecewise((log(x), x > 0), (0, True))), {x: -1}),
    (sp.Max(sqrt(x), 1), {x: 0}),
    (sp.Min(1 / x**2, y), {x: 0, y: 2}),
    (sp.Max(log(x), -1) * y, {x: 0, y: 2}),
    (Piecewise((exp(x), x < 1), (x**2, True)), {x: 1000}),
    (Piecewise((exp(x) / (1 + exp(x)), x < 1), (x, True)) ** 2, {x: 1000}),
    (Piecewise((x / y, Ne(y, 0)), (x**2, True)), {x: 1, y: 0}),
    (Piecewise((x / y**2, y > 0), (0, True)) * x, {x: 1, y: 0}),
    (Piecewise((x**y, x > 0), (x, True)), {x: -1, y: 0.5}),
    (Piecewise((1 / sqrt(x), x > 0), (0, True)) * y, {x: 0, y: 1}),
    (Piecewise((log(x / (1 - x)), And(x > 0, x < 1)), (y, True)), {x: 1, y: 2}),
    (Piecewise((x * log(x / y), And(x > 0, y > 0)), (0, True)), {x: 0, y: 0}),
    (Piecewise((0, Or(Eq(x, 0), Eq(y, 0))), (1 / (x * y), True)), {x: 0, y: 1}),
    (Piecewise((1 / x, x < 0), (0, Eq(x, 0)), (log(x), True)), {x: 0}),
    (Piecewise((1 / x, x < 0), (0, Eq(x, 0)), (log(x), True)), {x: 2}),
    (Piecewise((1, Piecewise((log(x), x > 0), (0, True)) > 0), (x**3, True)), {x: 0}),
    (Piecewise((sp.tan(x), x**2 < 1), (x, True)) * exp(x), {x: 2}),
    (sp.erf(Piecewise((1 / x, Ne(x, 0)), (y, True))), {x: 0, y: 0.5}),
    (Piecewise((sp.asin(x), x < 1), (0, True)) + Piecewise((sp.acosh(x), x > 1), (x, True)), {x: 1}),
    (sg.Where(x > 0, log(x) / log(x), x) + sg.Where(x > 0, 1 / x, 3 * x), {x: 0}),
    (sg.Where(x >= 0, sg.Where(x > 0, 1 / x, 1 / (x - y)), sg.Where(x >= 0, 1 / x, log(x))), {x: 0, y: -1}),
    (sg.Where(Eq(x, 0), y**3, sqrt(x) * sqrt(y)), {x: 0, y: 1}),
    (x**Rational(7, 2) + y, {x: 0, y: 0}),
    (x ** sp.Float(2.0) * y, {x: 0, y: 2}),
    (x**4.0 * y, {x: 0, y: 2}),
]  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_arm_not_taken_has_no_effect_on_any_derivative(backend: str) -> None:
    """All expressions in one kernel, each with variables of its own."""
    parts, points, expected, counts = [], [], [], []
    for k, (expr, at) in enumerate(GUARDED):
        symbols = tuple(sorted(expr.free_symbols, key=str))
        own = tuple(sp.Symbol(f"{s}{k:02d}", real=True) for s in symbols)
        expr = expr.xreplace(dict(zip(symbols, own, strict=True)))
        where = dict(zip(own, (at[s] for s in symbols), strict=True))
        parts.append((expr, own))
        points.append(where)
        expected += derivatives(expr, own, where)
        counts.append(len(own))
    everything = [d for expr, own in parts for d in (expr, *thirds(expr, own))]
    symbols = tuple(s for _, own in parts for s in own)
    at = [float(where[s]) for (_, own), where in zip(parts, points, strict=True) for s in own]
    total = sp.Add(*(expr for expr, _ in parts), evaluate=False)
    grad, hess = sg.compile(total, symbols, symbols, outputs=("grad", "hess"), backend=backend)(*at)
    others = sg.compile(everything, symbols, (), outputs="value", backend=backend)(*at)
    found, first, place = [], 0, 0
    for count in counts:
        block = slice(first, first + count)
        value, third = others[place], others[place + 1 : place + 1 + count**3]
        found += [value, *grad[block], *hess[block, block].ravel(), *third]
        first, place = first + count, place + 1 + count**3
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-12, atol=1e-12)


# ---- norms and powers at zero ------------------------------------------------------------------

p = sp.Symbol("p", positive=True)
AT_LEAST: list[Any] = [
    sqrt(x**2 + y**2),
    sqrt(x**2 + y**2) ** 3,
    (x**2 + y**2) ** Rational(1, 4),
    (x**2 + y**2) ** Rational(5, 4),
    (sp.Abs(x) ** 3 + sp.Abs(y) ** 3) ** Rational(1, 3),
    sp.codegen.cfunctions.hypot(x, y),
    sqrt(2 * x**2 + 3 * y**2) * exp(x),
    sqrt(x**2 * y**2 + x**4),
    log(1 + sqrt(x**2 + y**2)),
    sqrt(sp.Abs(x)) + sp.Abs(y) ** Rational(1, 3),
    x * sqrt(x**2 + y**2),
    sp.Max(sqrt(x**2 + y**2) - 1, 0) / sp.Max(sqrt(x**2 + y**2), 1),
    sp.Matrix([x, y]).norm(),
    sp.Matrix([x, y]).norm(4),
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_norm_has_derivative_zero_at_zero_to_third_order(backend: str) -> None:
    names = [sp.symbols(f"x{k} y{k}", real=True) for k in range(len(AT_LEAST))]
    parts = [e.xreplace({x: a, y: b}) for e, (a, b) in zip(AT_LEAST, names, strict=True)]
    symbols = tuple(s for pair in names for s in pair)
    total = sp.Add(*parts)
    kernel = sg.compile(total, symbols, symbols, outputs=("value", "grad", "hess", "hvp"), backend=backend)
    for result in kernel(*np.zeros(len(symbols)), tangent=np.ones(len(symbols))):
        np.testing.assert_array_equal(result, 0.0)
    third = [sp.Derivative(e, (a, 2), b, evaluate=False) for e, (a, b) in zip(parts, names, strict=True)]
    found = sg.compile(third, symbols, (), outputs="value", backend=backend)(*np.zeros(len(symbols)))
    np.testing.assert_array_equal(found, 0.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_norm_over_a_symbolic_power_has_derivative_zero_at_zero(backend: str) -> None:
    norm = Sum(sp.Abs(v[i]) ** p, (i, 0, n - 1)) ** (1 / p)
    grad, hess = sg.compile(norm, (v, p), v, outputs=("grad", "hess"), backend=backend)(np.zeros(3), 3.0)
    np.testing.assert_array_equal(grad, 0.0)
    np.testing.assert_array_equal(hess, 0.0)
    away = np.array([1.0, -2.0, 0.5])
    grad = sg.compile(norm, (v, p), v, outputs="grad", backend=backend)(away, 3.0)
    length = np.sum(np.abs(away) ** 3) ** (1 / 3)
    np.testing.assert_allclose(grad, np.sign(away) * (np.abs(away) / length) ** 2, rtol=1e-14)


def test_the_printed_gradient_of_a_power_norm_is_the_plain_formula() -> None:
    assert str(sg.program((x**2 + y**2) ** Rational(1, 4), wrt=x).grad) == "x/(2*(x**2 + y**2)**(3/4))"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("expr", "at", "slopes"),
    [
        (x**y, (0.0, 2.0), (0.0, 0.0)),
        (x**y, (0.0, 1.0), (1.0, 0.0)),
        (x**y, (0.0, 0.0), (0.0, 0.0)),  # 0**0 is 1; as x**0 is, around it
        (x**y, (1.0, 0.0), (0.0, 0.0)),
        (sp.Abs(x) ** y, (0.0, 3.0), (0.0, 0.0)),
        (sp.Max(x, 0) ** y, (0.0, 2.0), (0.0, 0.0)),
    ],
    ids=str,
)
def test_powers_at_zero_have_finite_slopes(expr: Any, at: Any, slopes: Any, backend: str) -> None:
    value, grad, hess = sg.compile(expr, (x, y), (x, y), outputs=("value", "grad", "hess"), backend=backend)(
        *at
    )
    assert value == at[0] ** at[1]
    np.testing.assert_array_equal(grad, slopes)
    mixed = -np.inf if at == (0.0, 1.0) else 0.0  # the limit of x**(y - 1)*(1 + y*log(x))
    assert hess[0, 1] == hess[1, 0] == (1.0 if at == (1.0, 0.0) else mixed)
    assert np.isfinite(np.diag(hess)).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_power_of_three_halves_is_infinite_only_where_it_is(backend: str) -> None:
    """x*sqrt(x), which it is computed as, would have 0*inf as its slope at 0."""
    power = x ** Rational(3, 2)
    value, grad, hess = sg.compile(power, x, x, outputs=("value", "grad", "hess"), backend=backend)(0.0)
    assert (value, float(grad), float(hess)) == (0.0, 0.0, np.inf)
    value, grad = sg.compile(x ** Rational(5, 2), x, x, outputs=("value", "grad"), backend=backend)(4.0)
    assert (value, float(grad)) == (32.0, 20.0)
    if backend == "llvm":
        assert "pow" not in sg.compile(power, x, x, outputs="value").source


# ---- guards in sums ----------------------------------------------------------------------------

IN_SUMS: list[tuple[Any, tuple[Any, ...]]] = [
    (Sum(sg.Where(v[i] > 0, v[i] * log(v[i]), 0), (i, 0, n - 1)), ([0.0, 0.5, -0.5],)),
    (
        Sum(Piecewise((1 / (v[i] - v[j]), Ne(i, j)), (0, True)), (i, 0, n - 1), (j, 0, n - 1)),
        ([0.0, 0.5, 2.0],),
    ),
    (Sum(sg.Where(Ne(v[i], v[j]), (v[i] - v[j]) ** -2, 0), (i, 0, n - 1), (j, 0, n - 1)), ([0.0, 0.5, 0.5],)),
    (Sum(sg.Where(v[i] > 0, w[i] / v[i], 0) ** 2, (i, 0, n - 1)), ([0.0, 0.5, 2.0], [1.0, 2.0, 3.0])),
    (Sum(sg.Where(v[i] < 1, exp(v[i]), 0) * w[i], (i, 0, n - 1)), ([1000.0, 0.5, 0.0], [1.0, 2.0, 3.0])),
    (log(Sum(sg.Where(v[i] > 0, exp(w[i]), 0), (i, 0, n - 1))), ([0.0, 0.5, 0.5], [1000.0, 2.0, 3.0])),
    (sp.Product(sg.Where(v[i] > 0, log(v[i]), 2), (i, 0, n - 1)), ([0.0, 0.5, 0.25],)),
    (
        Sum(
            Sum(sg.Where(Ne(v[j], v[i]), w[i] / (v[i] - v[j]), 0), (j, 0, n - 1)) ** 2, (i, 0, n - 1)
        ),
        ([0.0, 0.5, 0.5], [1.0, 2.0, 3.0]),
    ),
]  # fmt: skip


def written_out(expr: Any, size: int) -> Any:
    """A sum or product with every term on its own, elements as plain symbols."""

    def rebuilt(part: Any, known: dict[Any, int]) -> Any:
        if isinstance(part, sp.Indexed):
            return sp.Symbol(f"{part.base.label}{part.indices[0].xreplace(known)}", real=True)
        if isinstance(part, Sum | sp.Product):
            terms = [rebuilt(part.args[0], {**known, part.args[1][0]: sp.Integer(k)}) for k in range(size)]
            inner = part.func(part.args[0], *part.args[2:]) if len(part.args) > 2 else None
            if inner is not None:
                terms = [rebuilt(inner, {**known, part.args[1][0]: sp.Integer(k)}) for k in range(size)]
            return sp.Add(*terms) if isinstance(part, Sum) else sp.Mul(*terms)
        if part in known:
            return known[part]
        return part.func(*(rebuilt(arg, known) for arg in part.args)) if part.args else part

    return rebuilt(expr, {})


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", range(len(IN_SUMS)))
def test_guards_in_loops_over_data_hide_what_they_do_not_take(case: int, backend: str) -> None:
    expr, at = IN_SUMS[case]
    arrays = tuple(map(np.array, at))
    bases = (v, w)[: len(arrays)]
    symbols = [sp.Symbol(f"{b.label}{k}", real=True) for b in bases for k in range(3)]
    values = dict(zip(symbols, np.concatenate(arrays), strict=True))
    smooth = taken(written_out(expr, 3), values)
    exact = [sp.N(number(term, values), 30) for term in (smooth, *(smooth.diff(s) for s in symbols))]
    second = [[sp.N(number(smooth.diff(r, s), values), 30) for s in symbols] for r in symbols]
    kernel = sg.compile(expr, bases, bases, outputs=WORDS, backend=backend)
    tangent = tuple(np.ones(3) for _ in bases)
    value, grad, hess, hvp, jvp, jac = kernel(*arrays, tangent=tangent)
    wanted = np.array(exact[1:], dtype=float)
    np.testing.assert_allclose(value, float(exact[0]), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.concatenate(grad), wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.concatenate(jac), wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(jvp, wanted.sum(), rtol=1e-12, atol=1e-11)
    matrix = np.array(second, dtype=float)
    np.testing.assert_allclose(np.block([list(row) for row in hess]), matrix, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(np.concatenate(hvp), matrix.sum(axis=1), rtol=1e-11, atol=1e-11)


# ---- gathers -----------------------------------------------------------------------------------

u = sp.IndexedBase("u", shape=(m,))
place = sp.IndexedBase(sp.Symbol("place", integer=True), shape=(n,))
PICKED = Sum(sg.Where(v[i] > 0, u[place[i]] ** 2 * v[i], 0), (i, 0, n - 1))
NESTED = Sum(sg.Where(v[i] > 0, Sum(sin(u[place[i]] * u[j]), (j, 0, m - 1)), 1), (i, 0, n - 1))
OUTSIDE = np.array([0, 70000, -5, 1])
V, U = np.array([1.0, -1.0, 0.0, 2.0]), np.array([3.0, 4.0])


def picking(expr: Any, backend: str, **options: Any) -> Kernel:
    return sg.compile(
        expr, (u, v, place), (u, v), outputs=("value", "grad", "hvp"), backend=backend, **options
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("expr", [PICKED, NESTED], ids=["plain", "nested"])
def test_an_index_may_be_outside_where_a_condition_on_values_leaves_it_out(expr: Any, backend: str) -> None:
    kernel = picking(expr, backend)
    tangent = (np.array([1.0, -2.0]), np.ones(4))
    inside = kernel(U, V, np.array([0, 0, 0, 1]), tangent=tangent)
    outside = kernel(U, V, OUTSIDE, tangent=tangent)
    numbers = [np.concatenate([np.ravel(part) for word in r for part in np.atleast_1d(word)])
               for r in ((value, *grad, *hvp) for value, grad, hvp in (inside, outside))]  # fmt: skip
    np.testing.assert_array_equal(*numbers)
    assert np.isfinite(numbers[1]).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("expr", [PICKED, NESTED], ids=["plain", "nested"])
def test_an_index_that_is_used_outside_is_still_refused(expr: Any, backend: str) -> None:
    kernel = sg.compile(expr, (u, v, place), (u, v), outputs="value", backend=backend)
    assert np.isfinite(kernel(U, V, OUTSIDE))
    with pytest.raises(IndexOutOfRange, match="an index of 'u' leaves the array"):
        kernel(U, V + 1.5, OUTSIDE)


def test_an_index_used_without_the_condition_as_well_has_to_be_inside() -> None:
    both = PICKED + Sum(u[place[i]], (i, 0, n - 1))
    kernel = sg.compile(both, (u, v, place), (u, v), outputs="value", backend="numpy")
    assert kernel(U, V, np.array([0, 1, 1, 1])) == 9 + 32 + 3 + 12
    with pytest.raises(IndexOutOfRange):
        kernel(U, V, OUTSIDE)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_choice_that_asks_for_both_ends_needs_no_check_at_the_call(backend: str) -> None:
    at = 3 - i - place[i]
    shifted = Sum(sg.Where(sp.And(at >= 0, at < m), u[at] * v[i], 7), (i, 0, n - 1))
    kernel = sg.compile(shifted, (u, v, place), (u, v), outputs=("value", "grad"), backend=backend)
    assert not kernel.signature.escapes
    value, (by_u, by_v) = kernel(U, V, np.array([9, 1, 0, -9]))
    assert value == 7 - U[1] + 0 * U[1] + 7
    np.testing.assert_array_equal(by_u, [0.0, V[1] + V[2]])
    np.testing.assert_array_equal(by_v, [0.0, U[1], U[1], 0.0])
    for ends in (at >= 0, at < m):
        half = Sum(sg.Where(ends, u[at] * v[i], 7), (i, 0, n - 1))
        checked = sg.compile(half, (u, v, place), (u, v), outputs="value", backend=backend)
        assert checked.signature.escapes
        with pytest.raises(IndexOutOfRange, match="an index of 'u' leaves the array"):
            checked(U, V, np.array([9, 1, 0, -9]))


def test_samples_are_checked_one_by_one() -> None:
    kernel = sg.compile(PICKED, (u, v, place), (u, v), outputs="value")
    places = np.stack([np.array([0, 1, 1, 1]), OUTSIDE])
    np.testing.assert_array_equal(kernel(U, V, places), [9 + 32, 9 + 32])
    with pytest.raises(IndexOutOfRange):
        kernel(U, np.stack([V, V + 1.5]), places)


def test_elements_in_conditions_are_not_in_arms() -> None:
    element = u[place[i]]
    assert elements_in_arms(sg.Where(element > 0, 1, 2)) == set()
    assert id(element) in elements_in_arms(sg.Where(v[i] > 0, element, 2))


# ---- random guards -----------------------------------------------------------------------------

VALUES = (-1.0, 0.0, 1.0, 2.0)
SINGULAR = (
    log(x),
    1 / x,
    sqrt(x),
    x * log(x),
    1 / (x - y),
    sqrt(x - y),
    x**y,
    log(y) / x,
    sp.asin(x),
    x / y**2,
)
SMOOTH = (x, y, x * y, sin(x), exp(y), x**2 - y, sp.Integer(2))
CONDITIONS = (x > 0, x >= 0, x < y, Ne(x, y), Eq(x, 0), And(x > 0, y > 0), Or(x < 0, y < 1), Ne(y, 0))


@st.composite
def guarded(draw: Any, depth: int = 2) -> Any:
    """Nested choices between singular arms, in sums, products and functions."""
    if depth == 0:
        return draw(st.sampled_from(SINGULAR + SMOOTH))
    first = draw(guarded(depth=depth - 1))
    kind = draw(st.sampled_from(("choice", "choice", "add", "mul", "sin", "square")))
    if kind == "sin":
        return sin(first)
    if kind == "square":
        return first**2
    second = draw(guarded(depth=depth - 1))
    if kind == "choice":
        return sg.Where(draw(st.sampled_from(CONDITIONS)), first, second)
    return first + second if kind == "add" else first * second


def is_regular(expr: Any, at: dict[Any, float]) -> bool:
    """Whether every function on the way of the arms taken has all its derivatives at its own argument."""
    if isinstance(expr, sg.Where):
        return is_regular(expr.args[1 if holds(expr.args[0], at) else 2], at)
    if not all(is_regular(arg, at) for arg in expr.args):
        return False
    first = number(taken(expr.args[0], at), at) if expr.args else None
    if isinstance(expr, sp.Pow) and expr.exp.is_Integer:
        return bool(expr.exp > 0 or first != 0)
    if isinstance(expr, sp.Pow | log):
        return bool(first.is_positive)
    return not isinstance(expr, sp.asin) or bool(abs(first) < 1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(guarded(), st.sampled_from(VALUES), st.sampled_from(VALUES))
def test_random_choices_have_the_derivatives_of_the_arms_taken(expr: Any, at_x: float, at_y: float) -> None:
    at = {x: at_x, y: at_y}
    assume(is_regular(expr, at))
    smooth = taken(expr, at)
    terms = [smooth, *(smooth.diff(s) for s in (x, y)), *(smooth.diff(r, s) for r in (x, y) for s in (x, y))]
    wanted = [number(term, at) for term in terms]
    exact = np.array([sp.N(value, 30) for value in wanted], dtype=float)
    for backend in ("numpy", "llvm"):
        kernel = sg.compile(expr, (x, y), (x, y), outputs=("value", "grad", "hess"), backend=backend)
        found = np.concatenate([np.ravel(part) for part in kernel(at_x, at_y)])
        np.testing.assert_allclose(found, exact, rtol=1e-11, atol=1e-11)


both = sp.IndexedBase("both", shape=(2 * n,))
left, right = both[2 * i], both[2 * i + 1]


@pytest.mark.parametrize(
    ("term", "branches"),
    [
        (v[i] * sp.Max(left, right) ** 2, 0),  # cheap: added, or 0
        (Piecewise((exp(left * v[i]), left < right), (0, True)), 1),  # a function
    ],
)
def test_what_is_added_where_numbers_compare_is_behind_a_branch_if_it_is_dear(
    term: sp.Expr, branches: int
) -> None:
    total = Sum(term, (i, 0, n - 1))
    derived = sg.program(total, args=(both, v), wrt=both).derived(("grad",))
    routine = routine_of(optimise(derived.unit), "f", derived.words)
    assert sum(isinstance(s, If) for _, s in walk(routine.body)) == branches


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_what_is_not_added_may_be_infinite_or_nan(backend: str) -> None:
    total = Sum(v[i] * sp.Max(left, right) ** 2, (i, 0, n - 1))
    kernel = sg.compile(total, (both, v), both, outputs=("grad",), backend=backend)
    for length in (1, 7, 8, 16, 17, 40):
        rng = np.random.default_rng(length)
        pairs, factors = rng.standard_normal((length, 2)), rng.standard_normal(length)
        pairs[0], factors[0] = (-np.inf, 2.0), 3.0
        pairs[-1], factors[-1] = (3.0, 2.0), np.inf
        largest = pairs.max(1, keepdims=True)
        expected = np.where(pairs == largest, 2 * largest * factors[:, None], 0.0)
        (found,) = kernel(pairs.ravel(), factors)
        np.testing.assert_allclose(found.reshape(length, 2), expected, rtol=1e-15)
