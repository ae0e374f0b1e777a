"""Conditions that SymPy moves out of their sums are refused, and `Where` says the same thing safely."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair
from translating import value_of

import symgrad as sg
from symgrad.errors import UnsupportedExpression
from symgrad.frontend.conditions import check_conditions

n = sp.Symbol("n", integer=True, positive=True)
i, k = sp.symbols("i k", integer=True)
v, x = sp.IndexedBase("v", shape=(n,)), sp.IndexedBase("x", shape=(n,))
f = sp.IndexedBase("f", shape=(n, n))
F = np.array([[0.5, -1.0, 2.0], [-0.3, 0.7, -0.2], [1.1, 0.4, -0.9]])
V = np.array([1.5, -0.5, 0.25])


def rectified(condition: object, value: object) -> sp.Expr:
    return sp.Piecewise((value, condition), (0, True))


def over(symbol: sp.Symbol, body: object) -> sp.Expr:
    return sp.Sum(body, (symbol, 0, n - 1))


def quadratic_form(choose: object, a: sp.Basic, b: sp.Basic) -> sp.Expr:
    """The sum over a and b of v[a] relu(f[a, b]) v[b], with the sum over b inside."""
    return over(a, v[a] * over(b, choose(f[a, b] > 0, f[a, b]) * v[b]))  # type: ignore[operator]  # a function


def test_a_condition_that_sympy_moved_out_of_its_sum_is_refused() -> None:
    with pytest.raises(UnsupportedExpression) as caught:
        sg.compile(quadratic_form(rectified, i, k), args=(v, f))
    assert str(caught.value) == (
        "a condition on k stands outside of the sum over k\n"
        "  where    Piecewise((v[i]*Sum(f[i, k]*v[k], (k, 0, n - 1)), f[i, k] > 0), "
        "(v[i]*Sum(0, (k, 0, n - 1)), True))\n"
        "  because  SymPy moves a Piecewise out of the sums inside another Sum, away from their index\n"
        "  try      sg.Where(condition, yes, no) instead of Piecewise((yes, condition), (no, True)); "
        "or another letter for one of the two k, if they are not the same"
    )


def test_it_is_refused_for_an_index_with_a_range_which_would_number_the_result() -> None:
    with pytest.raises(UnsupportedExpression, match="a condition on k stands outside"):
        sg.compile(quadratic_form(rectified, sp.Idx("i", n), sp.Idx("k", n)), args=(v, f))


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_where_in_its_place_has_the_right_value_and_gradient(backend: str) -> None:
    loss = quadratic_form(lambda test, yes: sg.Where(test, yes, 0), i, k)
    kernel = sg.compile(loss, (v, f), (v, f), outputs=("value", "grad"), backend=backend)
    value, (grad_v, grad_f) = kernel(V, F)
    positive = np.maximum(F, 0)
    np.testing.assert_allclose(value, V @ positive @ V, rtol=1e-14)
    np.testing.assert_allclose(grad_v, (positive + positive.T) @ V, rtol=1e-14)
    np.testing.assert_allclose(grad_f, np.outer(V, V) * (F > 0), rtol=1e-14)


@pytest.mark.parametrize(
    "expr",
    [
        over(i, sp.exp(over(k, rectified(f[i, k] > 0, f[i, k])))),
        over(i, over(k, rectified(k < i, f[i, k])) ** 2),
        over(i, v[i] * sp.Product(sp.Piecewise((f[i, k], f[i, k] > 0), (1, True)), (k, 0, n - 1))),
        sp.Product(1 + v[i] * over(k, rectified(sp.And(f[i, k] > 0, v[i] > 0), v[k])), (i, 0, n - 1)),
        over(i, v[i] * sp.sin(v[i] * over(k, rectified(f[i, k] > v[i], f[i, k])))),
        over(i, sp.Subs(sp.Derivative(rectified(k > x[i], k**2 * x[i]), k), k, x[i])),
    ],
    ids=["exp", "index condition", "product", "in a product", "nested", "subs"],
)
def test_it_is_refused_in_every_surrounding(expr: sp.Expr) -> None:
    with pytest.raises(UnsupportedExpression, match="a condition on k stands outside"):
        value_of(expr, {"v": V, "f": F, "x": V}, {"n": 3})


def test_a_condition_that_may_mean_either_of_two_indices_of_one_name_is_refused() -> None:
    with pytest.raises(UnsupportedExpression, match="another letter for one of the two i"):
        sg.compile(over(i, v[i] * over(i, rectified(v[i] > 0, v[i]))), args=(v,))


def test_entries_refuse_it_as_well() -> None:
    layer = sg.Entries((n,), lambda a: over(i, v[i] * over(k, rectified(f[i, k] > v[a], f[i, k]))))
    with pytest.raises(UnsupportedExpression, match="a condition on k stands outside"):
        layer[i + 1]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (over(i, rectified(v[i] > 0, v[i] * over(k, v[k]))), V[V > 0].sum() * V.sum()),
        (over(i, rectified(v[i] > 0, v[i]) * over(k, v[k] ** 2)), V[V > 0].sum() * (V**2).sum()),
        (over(i, rectified(over(k, f[i, k]) > 0, over(k, f[i, k]))), np.maximum(F.sum(1), 0).sum()),
        (sp.Sum(rectified(f[i, k] > 0, f[i, k]), (k, 0, n - 1), (i, 0, n - 1)), np.maximum(F, 0).sum()),
        (over(i, over(k, rectified(f[i, k] > 0, f[i, k]))), np.maximum(F, 0).sum()),
        (over(k, rectified(v[k] > 0, v[k])) ** 2, np.maximum(V, 0).sum() ** 2),
    ],
    ids=["condition on the outer", "factor", "sum in a condition", "two limits", "two sums", "one sum"],
)
def test_conditions_that_stay_in_their_sums_are_accepted(expr: sp.Expr, expected: float) -> None:
    np.testing.assert_allclose(value_of(expr, {"v": V, "f": F}, {"n": 3}), expected, rtol=1e-14)


def test_an_index_that_numbers_the_result_may_also_be_summed_over() -> None:
    a = sp.Idx("i", n)
    np.testing.assert_allclose(value_of(v[a] / over(a, v[a]), {"v": V}, {"n": 3}), V / V.sum(), rtol=1e-14)


def deep(leaf: sp.Basic) -> sp.Basic:
    """The sine of the sine of ... the leaf, not evaluated: SymPy evaluates by recursion."""
    for _ in range(20_000):
        leaf = sp.Basic.__new__(sp.sin, leaf)
    return leaf


@pytest.mark.parametrize(("index", "is_fine"), [(i, True), (k, False)])
def test_conditions_twenty_thousand_operations_deep_are_checked(index: sp.Symbol, is_fine: bool) -> None:
    condition = sp.Basic.__new__(sp.StrictGreaterThan, deep(v[index]), sp.S.Zero)
    pair = sp.Basic.__new__(ExprCondPair, deep(over(k, v[k])), condition)
    whole = sp.Basic.__new__(sp.Sum, sp.Basic.__new__(sp.Piecewise, pair), sp.Tuple(i, 0, n - 1))
    if is_fine:
        check_conditions(whole)
        return
    with pytest.raises(UnsupportedExpression, match="a condition on k stands outside"):
        check_conditions(whole)
