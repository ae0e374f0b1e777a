"""Derivatives and substitutions inside expressions."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions import MatrixSymbol, Trace
from translating import value_of

from symgrad.errors import BadArgument, NonScalarGradient, UnsupportedExpression
from symgrad.frontend.calculus import Gradient, GradientElement, grad
from symgrad.frontend.translate import translate
from symgrad.grad.inside import differentiate

n, m = sp.symbols("n m", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
x, y, t = sp.symbols("x y t", real=True)
X, W = MatrixSymbol("X", n, m), MatrixSymbol("W", m, 1)
a = sp.IndexedBase("a", shape=(n,))
SIZES = {"n": 3, "m": 2}
_rng = np.random.RandomState(3)
xx, ww, aa = _rng.uniform(-1, 1, (3, 2)), _rng.uniform(-1, 1, (2, 1)), _rng.uniform(0.5, 1, 3)
DATA = {"X": xx, "W": ww, "a": aa, "x": 0.7, "y": -0.4, "t": 1.3}


def value(expr: object, **options: object) -> np.ndarray:
    return value_of(expr, DATA, SIZES, differentiate=differentiate, **options)


# ---- substitution ------------------------------------------------------------------------------


def test_subs_binds_its_variables_one_after_the_other_as_sympy_does() -> None:
    chained = sp.Subs(x - 2 * y, (x, y), (y, x))
    assert chained.doit() == -x
    assert value(chained) == pytest.approx(-0.7)


def test_subs_inside_subs_binds_the_inner_variable() -> None:
    inner = sp.Subs(sp.sin(t) * x, t, x**2)
    assert value(sp.Subs(inner, x, y + 1)) == pytest.approx(math.sin(0.36) * 0.6)


def test_subs_reaches_into_sums() -> None:
    total = sp.Sum(sp.sin(a[i] * t), (i, 0, n - 1))
    assert value(sp.Subs(total, t, x * y)) == pytest.approx(np.sin(aa * -0.28).sum())


# ---- Derivative --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expr",
    [
        sp.Derivative(sp.sin(x * y) * sp.exp(x), x), sp.Derivative(sp.sin(x * y) * sp.exp(x), x, x, y),
        sp.Derivative(x**3 * y**2, (x, 2), (y, 2)), x * sp.Derivative(sp.tanh(x * y), y) ** 2,
        sp.Derivative(x * sp.Derivative(sp.sin(x) * y, x), x),
        sp.Subs(sp.Derivative(sp.sin(t * x), t), t, x * y),
        sp.Subs(sp.Derivative(sp.sin(t * x), t, x), (t, x), (x * y, x + 1)),
    ],
    ids=str,
)  # fmt: skip
def test_derivatives_are_those_of_sympy(expr: sp.Expr) -> None:
    exact = float(expr.doit().subs({x: sp.Rational(7, 10), y: sp.Rational(-2, 5)}).evalf(30))
    assert value(expr) == pytest.approx(exact, rel=1e-13)


def test_a_derivative_by_an_element_of_an_array() -> None:
    total = sp.Sum(a[i] ** 3, (i, 0, n - 1))
    assert value(sp.Derivative(total, a[1])) == pytest.approx(3 * aa[1] ** 2)


def test_a_derivative_by_a_bound_variable_reaches_into_sums() -> None:
    total = sp.Sum(sp.sin(a[i] * t), (i, 0, n - 1))
    slope = sp.Derivative(total, t, evaluate=False)
    expected = (np.cos(aa * -0.28) * aa).sum()
    assert value(sp.Subs(slope, t, x * y)) == pytest.approx(expected)


def test_a_derivative_at_a_point_that_varies_with_an_index() -> None:
    total = sp.Sum(sp.sin(a[j] * t), (j, 0, n - 1))
    at = sp.Subs(sp.Derivative(total, t, evaluate=False), t, a[i])
    expected = sum((np.cos(aa * aa[r]) * aa).sum() for r in range(3))
    assert value(sp.Basic.__new__(sp.Sum, at, sp.Tuple(i, 0, n - 1))) == pytest.approx(expected)


# ---- grad --------------------------------------------------------------------------------------


def test_the_gradient_by_a_matrix_is_a_matrix_expression() -> None:
    energy = Trace((X * W).applyfunc(sp.cosh) * sp.OneMatrix(1, n))
    gradient = grad(energy, W)
    assert isinstance(gradient, Gradient)
    assert gradient.shape == (m, 1)
    expected = xx.T @ np.sinh(xx @ ww)
    np.testing.assert_allclose(value(gradient), expected, rtol=1e-13)
    penalty = Trace(gradient.T * gradient)
    assert value(penalty) == pytest.approx((expected**2).sum())
    assert value(gradient[1, 0]) == pytest.approx(expected[1, 0])


def test_the_gradient_by_an_indexed_array_has_entries() -> None:
    gradient = grad(sp.Sum(a[i] ** 3, (i, 0, n - 1)), a)
    assert gradient.shape == (n,)
    assert value(sp.Sum(gradient[j] ** 2, (j, 0, n - 1))) == pytest.approx((9 * aa**4).sum())
    np.testing.assert_allclose(value(gradient), 3 * aa**2, rtol=1e-14)


def test_the_gradient_by_a_scalar_and_by_an_element() -> None:
    assert value(grad(x**2 * y, x) * y) == pytest.approx(2 * 0.7 * 0.16)
    assert value(grad(sp.Sum(a[i] ** 3, (i, 0, n - 1)), a[2])) == pytest.approx(3 * aa[2] ** 2)


def test_the_gradient_of_each_term_of_a_sum() -> None:
    term = sp.exp(a[i] * x)
    penalty = sp.Sum(grad(term, x) ** 2, (i, 0, n - 1))
    assert value(penalty) == pytest.approx(((aa * np.exp(aa * 0.7)) ** 2).sum())


def test_gradients_nest() -> None:
    assert value(grad(grad(x**4, x), x)) == pytest.approx(12 * 0.49)


def test_a_gradient_prints_and_pickles() -> None:
    gradient = grad(x**2, x)
    assert str(gradient) == "grad(x**2, x)"
    assert sp.latex(gradient) == r"\nabla_{x} \left(x^{2}\right)"
    assert str(grad(Trace(X * X.T), X)) == "grad(Trace(X*X.T), X)"
    assert pickle.loads(pickle.dumps(gradient)) == gradient
    assert isinstance(gradient, GradientElement)


# ---- errors ------------------------------------------------------------------------------------


def test_only_scalars_have_gradients() -> None:
    with pytest.raises(NonScalarGradient):
        grad(X, X)
    with pytest.raises(NonScalarGradient):
        grad(x < 1, x)


def test_a_gradient_is_by_a_symbol() -> None:
    with pytest.raises(BadArgument, match="cannot differentiate with respect to a Add"):
        grad(x, x + 1)


def test_a_gradient_by_what_is_no_argument_is_refused() -> None:
    with pytest.raises(BadArgument, match="'y' is not among the arguments"):
        translate(grad(x**2, y), args=(x,), differentiate=differentiate)


def test_derivatives_by_indices_and_sizes_are_refused() -> None:
    with pytest.raises(UnsupportedExpression, match="derivative by the index i"):
        value(sp.Basic.__new__(sp.Sum, GradientElement(i * a[i], i), sp.Tuple(i, 0, n - 1)))
    with pytest.raises(UnsupportedExpression, match="derivative by the size n"):
        value(GradientElement(n * sp.Sum(a[i], (i, 0, n - 1)), n))


def test_without_a_differentiator_derivatives_are_refused() -> None:
    with pytest.raises(UnsupportedExpression, match="no way to differentiate"):
        translate(grad(x**2, x))
