"""What SymPy 1.14 gets wrong without saying so, or cannot do, and what symgrad does instead.

Each derivative is compared with its formula, and each is found by symgrad alone: nothing here calls SymPy's
`diff`. The cases are those that a survey of SymPy and of other systems found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from sympy import Determinant, Identity, MatrixSymbol, Sum, Trace, exp, log, sqrt

import symgrad as sg
from symgrad.errors import IndexOutOfRange, ShapeMismatch, UnsupportedExpression

n, d, h = sp.symbols("n d h", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
a, b, c, s = sp.symbols("a b c s")
A, B, C = (MatrixSymbol(name, n, n) for name in "ABC")
X, Y = MatrixSymbol("X", n, d), MatrixSymbol("Y", n, 1)
W, V = MatrixSymbol("W", d, h), MatrixSymbol("V", h, 1)
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(n,))

_rng = np.random.default_rng(7)
POINT: dict[Any, Any] = {
    A: _rng.normal(size=(3, 3)) + 4 * np.eye(3),
    B: _rng.normal(size=(3, 3)) + 3 * np.eye(3),
    C: _rng.normal(size=(3, 3)) / 4,
    X: _rng.normal(size=(3, 2)), W: _rng.normal(size=(2, 4)), V: _rng.normal(size=(4, 1)),
    Y: _rng.normal(size=(3, 1)), x: _rng.normal(size=3), y: _rng.normal(size=3),
}  # fmt: skip
inverse, det, trace, power = np.linalg.inv, np.linalg.det, np.trace, np.linalg.matrix_power
BACKENDS = ("numpy", "llvm", "c")


def output(word: str, expr: Any, wrt: Any = None, at: Any = None, backend: str = "numpy") -> Any:
    """One output of a program at the point above, or at given numbers in the order of the arguments."""
    program = sg.program(expr, wrt=wrt)
    numbers = [POINT[symbol] for symbol in program.args] if at is None else at
    return sg.compile(program, outputs=word, backend=backend)(*numbers)


# ---- gradients by a matrix -----------------------------------------------------------------------


def _network_slope(X: Any, W: Any, V: Any, Y: Any) -> np.ndarray:
    hidden = np.tanh(X @ W)
    return X.T @ (2 * (hidden @ V - Y) @ V.T * (1 - hidden**2))


NETWORK = (X * W).applyfunc(sp.tanh) * V
GRAM = X.T * X - Identity(d)
Formula = Callable[..., np.ndarray]

GRADIENTS: dict[str, tuple[Any, Any, Formula]] = {
    "log of a determinant": (log(Determinant(A)), A, lambda A: inverse(A).T),
    "determinant": (Determinant(A), A, lambda A: det(A) * inverse(A).T),
    "determinant times trace": (
        Determinant(A) * Trace(A * B), A,
        lambda A, B: det(A) * (trace(A @ B) * inverse(A).T + B.T),
    ),
    "exp of a trace": (exp(Trace(B * C)), B, lambda B, C: np.exp(trace(B @ C)) * C.T),
    "log of a squared trace": (log(Trace(B * C) ** 2), B, lambda B, C: 2 / trace(B @ C) * C.T),
    "power of a matrix": (Trace(A**4), A, lambda A: 4 * power(A, 3).T),
    "negative power of a matrix": (Trace(A**-2), A, lambda A: -2 * power(inverse(A), 3).T),
    "sum of squared entries": (
        Sum(X[i, j] ** 2, (i, 0, n - 1), (j, 0, d - 1)), X, lambda X: 2 * X,
    ),
    "two traces, the other symbol": (Trace(A.T * A) + Trace(B.T * B), A, lambda A, B: 2 * A),
    "trace plus a number": (Trace(A) + 1, A, lambda A: np.eye(3)),
    "norm": (sqrt(Trace(A.T * A)), A, lambda A: A / np.linalg.norm(A)),
    "distance of a product from I": (Trace(GRAM * GRAM), X, lambda X: 4 * X @ (X.T @ X - np.eye(2))),
    "loss of a network": (
        Trace((NETWORK - Y).T * (NETWORK - Y)), W, lambda V, W, X, Y: _network_slope(X, W, V, Y),
    ),
    "diagonal matrix": (
        Trace(sp.DiagMatrix(Y) * A), Y, lambda A, Y: np.diag(A)[:, None],
    ),
    "block matrix": (
        Trace(sp.BlockMatrix([[A, B], [B, A]]) ** 2), A, lambda A, B: 4 * A.T,
    ),
    "block matrix, the off-diagonal one": (
        Trace(sp.BlockMatrix([[A, B], [B, A]]) ** 2), B, lambda A, B: 4 * B.T,
    ),
    "slice of a matrix": (
        Trace(A[:2, :2] * A[:2, :2]), A, lambda A: np.pad(2 * A[:2, :2].T, (0, 1)),
    ),
    "two functions of entries": (
        Trace((A.applyfunc(sp.sin) * B).applyfunc(sp.tanh)), A,
        lambda A, B: np.diag(1 - np.tanh(np.diag(np.sin(A) @ B)) ** 2) @ B.T * np.cos(A),
    ),
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GRADIENTS)
def test_the_gradient_by_a_matrix_is_the_formula(name: str, backend: str) -> None:
    expr, wrt, formula = GRADIENTS[name]
    numbers = [POINT[symbol] for symbol in sg.program(expr).args]
    found = output("grad", expr, wrt, numbers, backend)
    np.testing.assert_allclose(found, formula(*numbers), rtol=1e-12, atol=1e-12)


def test_the_jacobian_of_a_network_by_its_first_matrix_has_the_axes_of_both() -> None:
    hidden = np.tanh(POINT[X] @ POINT[W])
    found = output("jac", NETWORK, W, [POINT[symbol] for symbol in sg.program(NETWORK).args])
    wanted = np.einsum("ip,iq,q->ipq", POINT[X], 1 - hidden**2, POINT[V][:, 0])
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-12)


@pytest.mark.parametrize("exponent", [sp.Rational(1, 2), k], ids=str)
def test_powers_that_are_no_products_are_refused_and_not_taken_entry_by_entry(exponent: Any) -> None:
    with pytest.raises(UnsupportedExpression, match=f"a matrix to the power {exponent}"):
        sg.program(Trace(A**exponent), wrt=A).translation  # noqa: B018  (translates)


# ---- indices -------------------------------------------------------------------------------------

SQUARES = Sum(x[i] ** 2, (i, 0, n - 1))


def test_an_index_of_the_same_name_is_not_captured_by_a_derivative() -> None:
    free = sp.Idx("i", n)
    for slope in (sg.grad(SQUARES, x)[free], sp.Derivative(SQUARES, x[free], evaluate=False)):
        np.testing.assert_allclose(output("value", slope), 2 * POINT[x], rtol=1e-14)


def test_an_index_of_the_same_name_is_not_captured_by_a_derivative_in_a_sum() -> None:
    found = output("value", Sum(sg.grad(SQUARES, x)[i] * x[i], (i, 0, n - 1)))
    np.testing.assert_allclose(found, 2 * np.sum(POINT[x] ** 2), rtol=1e-14)


def test_an_index_of_the_same_name_is_not_captured_by_a_substitution() -> None:
    scaled = Sum(x[i] * s, (i, 0, n - 1))
    found = output("value", Sum(sp.Subs(scaled, s, x[i] ** 2), (i, 0, n - 1)))
    np.testing.assert_allclose(found, POINT[x].sum() * (POINT[x] ** 2).sum(), rtol=1e-14)


def test_a_derivative_by_an_index_is_refused() -> None:
    with pytest.raises(UnsupportedExpression, match="the derivative by the index i"):
        output("value", Sum(sp.Derivative(x[i], i, evaluate=False), (i, 0, n - 1)))


@pytest.mark.parametrize("place", [3, 5, -1])
def test_an_element_outside_of_a_fixed_shape_is_refused(place: int) -> None:
    T = sp.IndexedBase("T", shape=(3,))
    with pytest.raises(IndexOutOfRange, match=f"index {place} is outside axis 0 of 'T'"):
        sg.compile(T[place], args=(T,), backend="numpy")


def test_an_element_outside_of_a_symbolic_shape_is_refused() -> None:
    with pytest.raises(IndexOutOfRange, match="index n is outside axis 0 of 'x'"):
        sg.compile(x[n], args=(x,), backend="numpy")


def test_an_array_of_another_length_than_its_fixed_shape_is_refused() -> None:
    T = sp.IndexedBase("T", shape=(3,))
    with pytest.raises(ShapeMismatch):
        sg.compile(T[2], args=(T,), backend="numpy")(np.ones(5))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_repeated_free_index_is_not_summed_over(backend: str) -> None:
    free = sp.Idx("i", n)
    found = output("value", x[free] * y[free], backend=backend)
    np.testing.assert_allclose(found, POINT[x] * POINT[y], rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_derivative_of_a_sum_by_each_element_is_an_array(backend: str) -> None:
    slope = sg.grad(Sum(x[k] ** 3 * y[k], (k, 0, n - 1)), x)[sp.Idx("i", n)]
    found = output("value", slope, backend=backend)
    np.testing.assert_allclose(found, 3 * POINT[x] ** 2 * POINT[y], rtol=1e-14)


def test_an_upper_limit_below_the_lower_one_is_an_empty_sum() -> None:
    assert output("value", Sum(x[i], (i, 0, n - 1)), at=[np.zeros(0)]) == 0.0
    assert output("value", Sum(x[i + 1], (i, 0, n - 3)), at=[np.ones(1)]) == 0.0


# ---- functions with kinks and jumps --------------------------------------------------------------

SECOND_ORDER = ("value", "grad", "hess")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("expr", "at", "expected"),
    [
        (sp.Abs(a), -1.5, (1.5, -1.0, 0.0)),
        (sp.Abs(a), 0.0, (0.0, 0.0, 0.0)),
        (sp.Abs(a), 2.0, (2.0, 1.0, 0.0)),
        (sp.sign(a), -1.5, (-1.0, 0.0, 0.0)),
        (sp.sign(a), 0.0, (0.0, 0.0, 0.0)),
        (sp.Heaviside(a), 0.0, (0.5, 0.0, 0.0)),
        (sp.Mod(a, 2), 0.5, (0.5, 1.0, 0.0)),
        (sp.Mod(a, 2), -0.5, (1.5, 1.0, 0.0)),
        (sp.Mod(a, -2), 0.5, (-1.5, 1.0, 0.0)),
        (sp.Piecewise((sqrt(a), a > 0), (0, True)), -1.0, (0.0, 0.0, 0.0)),
        (sg.Where(a > 0, sqrt(a), 0), -1.0, (0.0, 0.0, 0.0)),
        (sg.Where(a > 0, sqrt(a), 0), 4.0, (2.0, 0.25, -1 / 32)),
        (sg.Where(a > 0, log(a) * a, 0), 0.0, (0.0, 0.0, 0.0)),
    ],
    ids=str,
)
def test_derivatives_at_kinks_are_numbers(expr: Any, at: float, expected: Any, backend: str) -> None:
    found = [output(word, expr, a, [at], backend) for word in SECOND_ORDER]
    np.testing.assert_allclose(np.array(found), expected, rtol=1e-15)


def test_the_remainder_also_has_a_derivative_by_its_divisor() -> None:
    np.testing.assert_array_equal(output("grad", sp.Mod(a, b), (a, b), [-3.5, 2.0]), [1.0, 2.0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tie_goes_to_the_first_argument(backend: str) -> None:
    for expr in (sp.Max(a, b, c), sp.Min(a, b, c)):
        np.testing.assert_array_equal(output("grad", expr, (a, b, c), [1.0] * 3, backend), [1.0, 0.0, 0.0])


def test_a_rectifier_passes_the_gradient_at_zero_on_to_its_argument() -> None:
    assert output("grad", sp.Max(a, 0), a, [0.0]) == 1.0


# ---- norms at zero -------------------------------------------------------------------------------

NORMS: dict[str, tuple[Any, Any]] = {
    "of a matrix": (sqrt(Trace(A.T * A)), A),
    "of a vector": (sqrt(Sum(x[i] ** 2, (i, 0, n - 1))), x),
    "of an explicit vector": (sp.Matrix([a, b, c]).norm(), (a, b, c)),
    "of a difference": (sqrt(Sum((x[i] - x[0]) ** 2, (i, 0, n - 1))), x),
    "of every row": (Sum(sqrt(Sum(A[i, j] ** 2, (j, 0, n - 1))), (i, 0, n - 1)), A),
    "weighted, over a size": (sqrt(Sum(exp(y[i]) * x[i] ** 2, (i, 0, n - 1)) / n), x),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NORMS)
def test_the_gradient_of_a_norm_at_zero_is_zero(name: str, backend: str) -> None:
    expr, wrt = NORMS[name]
    args = sg.program(expr).args
    at = [np.zeros_like(POINT[symbol]) if symbol in POINT else 0.0 for symbol in args]
    for word in ("grad", "hess"):
        np.testing.assert_array_equal(output(word, expr, wrt, at, backend), 0.0)


@pytest.mark.parametrize("name", [name for name in NORMS if "explicit" not in name])
def test_the_gradient_of_a_norm_elsewhere_is_that_of_differences(name: str) -> None:
    expr, wrt = NORMS[name]
    args = sg.program(expr).args
    direction = np.cos(np.arange(POINT[wrt].size)).reshape(POINT[wrt].shape)

    def along(step: float) -> float:
        moved = [POINT[symbol] + step * direction * (symbol == wrt) for symbol in args]
        return float(output("value", expr, wrt, moved))

    slope = np.sum(output("grad", expr, wrt) * direction)
    assert slope == pytest.approx((along(1e-5) - along(-1e-5)) / 2e-5, rel=1e-8)


def test_the_printed_gradient_of_a_norm_is_the_plain_formula() -> None:
    assert str(sg.program(sqrt(Trace(A.T * A)), wrt=A).grad) == "1/sqrt(Trace(A.T*A))*A"
    assert str(sg.program(sqrt(a**2 + b**2), wrt=a).grad) == "a/sqrt(a**2 + b**2)"


@pytest.mark.parametrize("expr", [sqrt(a), sqrt(sqrt(a) * b**2)], ids=str)
def test_a_root_of_what_is_no_sum_of_squares_keeps_its_infinite_slope(expr: Any) -> None:
    assert output("grad", expr, a, [0.0, 2.0][: len(expr.free_symbols)]) == np.inf


# ---- exponentials that overflow ------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("expr", "at", "value", "slopes"),
    [
        (log(exp(a) + exp(b)), (800.0, 800.0), 800 + np.log(2), (0.5, 0.5)),
        (log(exp(a) + exp(b)), (800.0, -800.0), 800.0, (1.0, 0.0)),
        (log(exp(a) + exp(b)), (-800.0, -800.0), -800 + np.log(2), (0.5, 0.5)),
        (log(exp(a) + 3 * exp(b) + 1), (800.0, 800.0), 800 + np.log(4), (0.25, 0.75)),
        (log(exp(a) / 2 + exp(-a) / 2 + 0 * b), (800.0,), 800 - np.log(2), (1.0,)),
        (exp(a) / (exp(a) + exp(b)), (800.0, 800.0), 0.5, (0.25, -0.25)),
        (exp(a) / (exp(a) + exp(b)), (-800.0, 800.0), 0.0, (0.0, 0.0)),
        (log(1 + exp(a)), (800.0,), 800.0, (1.0,)),
    ],
    ids=str,
)
def test_logarithms_of_sums_of_exponentials_do_not_overflow(
    expr: Any, at: tuple[float, ...], value: float, slopes: tuple[float, ...], backend: str
) -> None:
    wrt = tuple(sg.program(expr).args)
    assert output("value", expr, wrt, at, backend) == pytest.approx(value, rel=1e-15)
    np.testing.assert_allclose(output("grad", expr, wrt, at, backend), slopes, rtol=1e-12, atol=1e-300)
    assert np.isfinite(output("hess", expr, wrt, at, backend)).all()


def test_without_stability_rewrites_the_plain_formula_is_computed() -> None:
    program = sg.program(log(exp(a) + exp(b)), stabilise=False)
    with np.errstate(over="ignore"):
        assert sg.compile(program, outputs="value", backend="numpy")(800.0, 800.0) == np.inf


def test_many_terms_are_left_alone_in_bounded_time() -> None:
    symbols = sp.symbols("z0:300")
    expr = log(sp.Add(*map(exp, symbols)))
    assert output("value", expr, at=[0.0] * 300) == pytest.approx(np.log(300))
