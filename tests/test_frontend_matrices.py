"""Matrix expressions against NumPy's formulas."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions import (
    BlockMatrix,
    HadamardPower,
    HadamardProduct,
    Identity,
    MatAdd,
    MatMul,
    MatPow,
    MatrixSymbol,
    OneMatrix,
    Trace,
    Transpose,
    ZeroMatrix,
)
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.dotproduct import DotProduct
from translating import names, value_of, value_of_translation

from symgrad.errors import ShapeMismatch, UnsupportedExpression
from symgrad.frontend.translate import Translator, translate
from symgrad.ir.graph import Graph

n, m, k = sp.symbols("n m k", integer=True, positive=True)
t, s = sp.symbols("t s")
A, B, C = MatrixSymbol("A", n, m), MatrixSymbol("B", n, m), MatrixSymbol("C", m, k)
S, R = MatrixSymbol("S", n, n), MatrixSymbol("R", n, n)
u, v, w = MatrixSymbol("u", n, 1), MatrixSymbol("v", m, 1), MatrixSymbol("w", n, 1)
P, Q = MatrixSymbol("P", 2, 3), MatrixSymbol("Q", 3, 3)
SIZES = {"n": 4, "m": 3, "k": 2}
_rng = np.random.RandomState(7)
a, b, c = (_rng.uniform(-1, 1, shape) for shape in ((4, 3), (4, 3), (3, 2)))
ss, r, uu, vv, ww, pp, qq = (
    _rng.uniform(-1, 1, shape) for shape in ((4, 4), (4, 4), (4, 1), (3, 1), (4, 1), (2, 3), (3, 3))
)
DATA = {
    "A": a, "B": b, "C": c, "S": ss, "R": r, "u": uu, "v": vv, "w": ww, "P": pp, "Q": qq, "H": r,
    "t": 0.4, "s": -1.3,
}  # fmt: skip
I4 = np.eye(4)
squares = sp.Lambda(t, t**2)

EXPRESSIONS = [
    (A + B, a + b),
    (2 * A - t * B / 3, 2 * a - 0.4 * b / 3),
    (A * C, a @ c),
    (A.T, a.T),
    ((A * C).T, (a @ c).T),
    (Transpose(MatAdd(A, B)), (a + b).T),
    (S * R * S, ss @ r @ ss),
    (S**3, ss @ ss @ ss),
    (S**7, np.linalg.matrix_power(ss, 7)),
    (MatPow(S, 0), I4),
    (S - Identity(n), ss - I4),
    (2 * Identity(n), 2 * I4),
    (MatAdd(A, ZeroMatrix(n, m)), a),
    (A + OneMatrix(n, m), a + 1),
    (OneMatrix(n, n) * A, np.ones((4, 4)) @ a),
    (A * OneMatrix(m, 1), a.sum(axis=1, keepdims=True)),
    (HadamardProduct(A, B), a * b),
    (HadamardProduct(A, B, A), a * b * a),
    (HadamardPower(A, 2), a**2),
    (HadamardPower(A.applyfunc(sp.exp), t), np.exp(a) ** 0.4),
    (HadamardPower(2, A), 2**a),
    (HadamardPower(A.applyfunc(sp.exp), B), np.exp(a) ** b),
    (A.applyfunc(sp.tanh), np.tanh(a)),
    ((A * v).applyfunc(lambda z: sp.Max(z, 0)), np.maximum(a @ vv, 0)),
    (A.applyfunc(sp.Lambda(s, s * t + s**2)), a * 0.4 + a**2),
    (ElementwiseApplyFunction(squares, A).applyfunc(sp.sin), np.sin(a**2)),
    (u * v.T, uu @ vv.T),
    (u.T * A * v, uu.T @ a @ vv),
    (u.T * u, uu.T @ uu),
    (DiagMatrix(u), np.diag(uu[:, 0])),
    (DiagMatrix(u) * A, uu * a),
    (DiagMatrix(A.T * u), np.diag((a.T @ uu)[:, 0])),
    (DiagonalMatrix(S), np.diag(np.diag(ss))),
    (DiagonalOf(S * R), np.diag(ss @ r)[:, None]),
    (A[1:3, :], a[1:3]),
    (A[:, 0], a[:, :1]),
    (S[0 : n - 1, 1:n], ss[0:3, 1:4]),
    (MatrixSymbol("H", 4, 4)[0:4:2, 1:3], r[0:4:2, 1:3]),
    (sp.Matrix([[1, t, 0], [t**2, 2, 3]]) * Q, np.array([[1, 0.4, 0], [0.16, 2, 3]]) @ qq),
    (P + sp.Matrix([[t, 1, 2], [0, 0, s]]), pp + np.array([[0.4, 1, 2], [0, 0, -1.3]])),
    (sp.FunctionMatrix(n, m, sp.Lambda((s, t), s - 2 * t)), np.arange(4)[:, None] - 2 * np.arange(3)),
    (BlockMatrix([[S, A]]), np.hstack([ss, a])),
    (BlockMatrix([[A], [B]]), np.vstack([a, b])),
    (BlockMatrix([[S, A], [A.T, Identity(m)]]), np.block([[ss, a], [a.T, np.eye(3)]])),
    (BlockMatrix([[u, A], [ZeroMatrix(1, 1), v.T]]), np.block([[uu, a], [np.zeros((1, 1)), vv.T]])),
    (BlockMatrix([[S, A]]) * BlockMatrix([[u], [v]]), ss @ uu + a @ vv),
    (Trace(S * R) * A, np.trace(ss @ r) * a),
]  # fmt: skip


@pytest.mark.parametrize(("expr", "expected"), EXPRESSIONS, ids=lambda e: str(e)[:60].replace("\n", " "))
def test_matrix_expressions_are_those_of_numpy(expr: sp.Basic, expected: np.ndarray) -> None:
    result = value_of(expr, DATA, SIZES)
    np.testing.assert_allclose(result, expected, rtol=2e-14, atol=1e-14)


SCALARS = [
    (Trace(S), np.trace(ss)),
    (Trace(A * C * C.T * A.T), np.trace(a @ c @ c.T @ a.T)),
    (Trace(2 * S * R * S) / n, np.trace(2 * ss @ r @ ss) / 4),
    (Trace(S**3), np.trace(ss @ ss @ ss)),
    (Trace(u * u.T), (uu**2).sum()),
    (Trace(A.applyfunc(sp.exp) * B.T), (np.exp(a) * b).sum()),
    (sp.log(Trace(A.T * A)) + t, np.log((a**2).sum()) + 0.4),
    (A[1, 2] * A[0, 0], a[1, 2] * a[0, 0]),
    ((A * C)[1, 1], (a @ c)[1, 1]),
    ((u.T * A * v)[0, 0], (uu.T @ a @ vv)[0, 0]),
    (sp.Sum(A[sp.Symbol("i"), 0] * u[sp.Symbol("i"), 0], (sp.Symbol("i"), 0, n - 1)), a[:, 0] @ uu[:, 0]),
    (DotProduct(u, w), (uu * ww).sum()),
    (DotProduct(u.T, w), (uu * ww).sum()),
]


@pytest.mark.parametrize(("expr", "expected"), SCALARS, ids=lambda e: str(e)[:60])
def test_scalars_made_of_matrices_are_those_of_numpy(expr: sp.Expr, expected: float) -> None:
    assert value_of(expr, DATA, SIZES) == pytest.approx(expected, rel=1e-13)


def test_a_matrix_with_one_row_works_at_every_size() -> None:
    for size in (1, 2, 5):
        x = _rng.uniform(-1, 1, (size, size))
        y = _rng.uniform(-1, 1, (size, 1))
        result = value_of(S * u + S.T * u, {"S": x, "u": y}, {"n": size})
        np.testing.assert_allclose(result, x @ y + x.T @ y, rtol=1e-13)


def test_the_result_of_a_matrix_expression_has_two_axes() -> None:
    translated = translate(A * v)
    assert translated.is_matrix
    assert translated.shape is None
    assert [translated.graph.op[e] for e in translated.graph.tensors[translated.value].extents] == [
        "size",
        "const",
    ]
    assert names(translated.args) == ["A", "v"]


def test_a_product_is_one_definition_and_the_result_itself() -> None:
    translated = translate(A * C)
    definition = translated.graph.tensors[translated.value]
    assert definition.kind == "sum"
    assert [t.kind for t in translated.graph.tensors] == ["input", "input", "sum"]


def test_a_chain_is_multiplied_in_the_cheap_order() -> None:
    translated = translate(S * R * S * u)
    ranks = [t.rank for t in translated.graph.tensors if t.kind == "sum"]
    assert max(ranks) == 1  # S*(R*(S*u)): never a product of two matrices


def test_the_trace_of_a_product_does_not_form_it() -> None:
    graph = translate(Trace(A * B.T)).graph
    assert [t.kind for t in graph.tensors if t.kind != "input"] == ["sum"]
    assert [t.rank for t in graph.tensors if t.kind == "sum"] == [0]


def test_the_trace_of_a_chain_takes_the_cheapest_rotation() -> None:
    graph = translate(Trace(S * u * w.T * R)).graph
    assert max(t.rank for t in graph.tensors if t.kind == "sum") == 1


def test_equal_matrices_are_one_definition() -> None:
    graph = translate((A * C).applyfunc(sp.exp) + (A * C)).graph
    assert [t.kind for t in graph.tensors].count("sum") == 1


def test_powers_are_shared_squares() -> None:
    graph = translate(S**8).graph
    assert [t.kind for t in graph.tensors].count("sum") == 3


def test_a_lambda_with_matrices_of_its_own_keeps_its_axes_apart() -> None:
    inner = sp.Lambda(t, t * Trace(S * t))
    result = value_of(S.applyfunc(inner), {"S": ss}, SIZES)
    np.testing.assert_allclose(result, ss * ss * np.trace(ss), rtol=1e-14)


def test_identity_in_a_product_leaves_no_sum() -> None:
    graph = translate(MatMul(S, DiagMatrix(u), R, evaluate=False)).graph
    assert [t.kind for t in graph.tensors].count("sum") == 1


def test_several_matrices_share_one_translator() -> None:
    tr = Translator(Graph(), (S, u))
    one, two = tr.values((S * u, (S * u).applyfunc(sp.sin)))
    assert one.extents == two.extents
    assert tr.graph.args[two.body] == (one.body,)


# ---- depth -------------------------------------------------------------------------------------


def test_depth_does_not_matter_for_matrices() -> None:
    expr: sp.Basic = S
    for step in range(3000):
        head = (MatAdd, HadamardProduct)[step % 2]
        expr = sp.Basic.__new__(head, expr, R)
    expr = sp.Basic.__new__(Transpose, expr)
    translated = translate(expr)
    assert value_of_translation(translated, {"S": np.zeros((4, 4)), "R": 0.5 * I4}, SIZES).shape == (4, 4)


# ---- errors ------------------------------------------------------------------------------------


def _unchecked(head: type, *args: sp.Basic) -> sp.Basic:
    return sp.Basic.__new__(head, *args)


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ShapeMismatch) as caught:
        translate(_unchecked(MatMul, A, B))
    assert str(caught.value) == (
        "cannot multiply shapes (n, m) and (n, m)\n"
        "  where    A*B\n"
        "  because  A has m columns and B has n rows\n"
        "  try      a transpose, or HadamardProduct for the elementwise product"
    )
    with pytest.raises(ShapeMismatch, match=r"cannot add shapes \(n, m\) and \(m, k\)"):
        translate(_unchecked(MatAdd, A, C))
    with pytest.raises(ShapeMismatch, match="cannot multiply elementwise"):
        translate(_unchecked(HadamardProduct, A, C))
    with pytest.raises(ShapeMismatch, match="Trace of a matrix of shape"):
        translate(_unchecked(Trace, A))


def test_extents_that_are_equal_as_polynomials_fit() -> None:
    left, right = MatrixSymbol("L", n, 2 * (m + 1)), MatrixSymbol("R", 2 * m + 2, k)
    x, y = np.ones((4, 8)), np.ones((8, 2))
    np.testing.assert_array_equal(value_of(_unchecked(MatMul, left, right), {"L": x, "R": y}, SIZES), x @ y)


def test_a_matrix_where_a_number_is_needed_is_refused() -> None:
    with pytest.raises(ShapeMismatch, match="where a number is needed") as caught:
        translate(_unchecked(sp.exp, S))
    assert "applyfunc" in caught.value.try_


def test_a_one_by_one_matrix_is_a_number() -> None:
    expr = _unchecked(sp.exp, u.T * u)
    assert value_of(expr, DATA, SIZES) == pytest.approx(np.exp((uu**2).sum()))


def test_inverses_and_determinants_have_numpys_values() -> None:
    s = np.array([[0.5, 2.0, -1.0], [1.5, 0.25, 3.0], [-2.0, 1.0, 0.75]])
    sizes = {"n": 3}
    np.testing.assert_allclose(value_of(S**-1, {"S": s}, sizes), np.linalg.inv(s), rtol=1e-14)
    np.testing.assert_allclose(value_of(S**-2, {"S": s}, sizes), np.linalg.inv(s @ s), rtol=1e-13)
    np.testing.assert_allclose(value_of(S.inv() * S.T, {"S": s}, sizes), np.linalg.inv(s) @ s.T, rtol=1e-13)
    assert value_of(sp.Determinant(S), {"S": s}, sizes) == pytest.approx(np.linalg.det(s), rel=1e-14)


def test_a_symbolic_power_of_a_matrix_is_refused() -> None:
    with pytest.raises(UnsupportedExpression, match="to the power q"):
        translate(MatPow(S, sp.Symbol("q")))


def test_a_slice_with_a_step_that_sympy_counts_differently_is_refused() -> None:
    assert Q[0:3:2, :].shape == (1, 3)  # rows 0 and 2 are two rows
    with pytest.raises(UnsupportedExpression, match="a step that does not divide"):
        translate(Q[0:3:2, :])


def test_blocks_that_do_not_fit_are_refused() -> None:
    blocks = sp.ImmutableDenseMatrix(2, 1, [S, A])
    with pytest.raises(ShapeMismatch, match=r"block \(1, 0\) has shape \(n, m\)"):
        translate(_unchecked(BlockMatrix, blocks))
