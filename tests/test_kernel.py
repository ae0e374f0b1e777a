"""Calling kernels: arguments, samples, arrays of every kind, results, out=, copies, threads, counts."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
from tolerances import assert_close

import symgrad as sg
from symgrad.errors import BadArgument, DtypeMismatch, IndexOutOfRange, ShapeMismatch

BACKENDS = ("llvm", "c", "numpy")
n, d, m = sp.symbols("n d m", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
x, y, z = sp.symbols("x y z")
X, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("Y", n, d)
w, b = sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("b", n, 1)
A, v = sp.IndexedBase("A", shape=(n, d)), sp.IndexedBase("v", shape=(n,))

PAIR = sp.exp(x) * y**2
RESIDUAL = X * w - b
LEAST_SQUARES = sp.Trace(RESIDUAL.T * RESIDUAL)
RNG = np.random.default_rng(0)


@cache
def pair(backend: str = "llvm", outputs: Any = ("value", "grad", "hess"), dtype: str = "float64") -> Any:
    return sg.compile(PAIR, (x, y), (x, y), outputs=outputs, backend=backend, dtype=dtype)


@cache
def least_squares(backend: str = "llvm", outputs: Any = ("value", "grad")) -> Any:
    return sg.compile(LEAST_SQUARES, (X, w, b), (w, b), outputs=outputs, backend=backend)


def data(rows: int = 5, columns: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows)
    return rng.normal(size=(rows, columns)), rng.normal(size=(columns, 1)), rng.normal(size=(rows, 1))


def expected(a: np.ndarray, weights: np.ndarray, target: np.ndarray) -> tuple[float, tuple[Any, Any]]:
    r = a @ weights - target
    return float((r**2).sum()), (2 * a.T @ r, -2 * r)


def assert_same(found: Any, wanted: Any) -> None:
    """Equal structure, types and shapes, close numbers."""
    assert type(found) is type(wanted)
    if isinstance(wanted, tuple):
        assert len(found) == len(wanted)
        for f, g in zip(found, wanted, strict=True):
            assert_same(f, g)
    else:
        assert_close(np.asarray(found), np.asarray(wanted))


# ---- which argument is which -----------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_arguments_go_by_position_by_name_or_both(backend: str) -> None:
    k, (a, weights, target) = least_squares(backend), data()
    wanted = expected(a, weights, target)
    assert_same(k(a, weights, target), wanted)
    assert_same(k(b=target, X=a, w=weights), wanted)
    assert_same(k(a, b=target, w=weights), wanted)


def test_arguments_keep_the_given_order_and_default_to_the_order_of_their_names() -> None:
    assert sg.compile(x - y, (y, x), outputs="value")(1.0, 5.0) == 4.0
    k = sg.compile(z - x + 0 * y, outputs="value")
    assert k.arguments == ("x", "z")
    assert k(1.0, 5.0) == 4.0


def test_an_argument_may_be_called_self_and_one_called_out_goes_by_position() -> None:
    me, out = sp.symbols("self out")
    assert sg.compile(2 * me, outputs="value")(self=3.0) == 6.0
    assert sg.compile(2 * out, outputs="value")(3.0) == 6.0


def test_an_argument_with_the_name_of_a_tangent_is_not_the_tangent() -> None:
    given = sp.IndexedBase("tangent", shape=(2,))
    k = sg.compile(given[0] * x + given[1] * y, (given, x, y), (x, y), outputs="jvp")
    assert k(np.array([2.0, 3.0]), 0.0, 0.0, tangent=(10.0, 100.0)) == 320.0
    cotangent = sp.Symbol("cotangent")
    k = sg.compile(cotangent * x, (cotangent, x), x, outputs="vjp")
    assert k(5.0, 1.0, cotangent=7.0) == 35.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_size_that_no_shape_determines_is_an_argument_or_given_by_name(backend: str) -> None:
    series = sp.Sum(x**i, (i, 0, n - 1))
    by_name = sg.compile(series, (x,), outputs="value", backend=backend)
    assert by_name(2.0, n=4) == 15.0
    assert by_name(2.0, n=np.int32(5)) == 31.0
    assert by_name(2.0, n=0) == 0.0
    argument = sg.compile(series, (n, x), x, outputs=("value", "grad"), backend=backend)
    assert argument(4, 2.0) == (15.0, 17.0)
    assert argument(x=2.0, n=3) == (7.0, 5.0)
    values, slopes = argument(3, [1.0, 2.0])
    assert values.tolist() == [3.0, 7.0] and slopes.tolist() == [3.0, 5.0]


def test_sizes_are_solved_from_shapes_that_are_expressions_of_them() -> None:
    stacked, plain = sp.IndexedBase("stacked", shape=(2 * n + 1,)), sp.IndexedBase("plain", shape=(n * d,))
    k = sg.compile(
        sp.Sum(stacked[i], (i, 0, 2 * n)) + sp.Sum(plain[i], (i, 0, n * d - 1)) * d,
        (stacked, plain),
        outputs="value",
    )
    assert k(np.ones(7), np.ones(12)) == 7.0 + 12.0 * 4
    with pytest.raises(ShapeMismatch, match="2\\*n \\+ 1 cannot be 6"):
        k(np.ones(6), np.ones(12))
    with pytest.raises(ShapeMismatch, match="cannot be 10"):
        k(np.ones(7), np.ones(10))


def test_a_size_given_by_name_has_to_agree_with_the_shapes() -> None:
    k, arrays = least_squares(), data(5, 3)
    assert_same(k(*arrays, n=5), k(*arrays))
    with pytest.raises(ShapeMismatch, match="expected 4"):
        k(*arrays, n=4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_arguments_that_the_value_does_not_use_are_accepted_and_have_zero_derivatives(backend: str) -> None:
    k = sg.compile(x**2, (x, y, X), (y, X, x), outputs=("value", "grad"), backend=backend)
    value, (by_y, by_array, by_x) = k(3.0, 1.0, np.ones((2, 4)))
    assert (value, by_y, by_x) == (9.0, 0.0, 6.0)
    assert by_array.shape == (2, 4) and not by_array.any()
    k = sg.compile(x**2, (x, y), (y,), outputs=("grad", "hess", "hvp"), backend=backend)
    grad, hess, hvp = k(3.0, 1.0, tangent=(2.0,))
    assert grad.tolist() == [0.0] and hess.tolist() == [[0.0]] and hvp.tolist() == [0.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_kernels_without_arguments_and_of_constants(backend: str) -> None:
    assert sg.compile(sp.pi, outputs="value", backend=backend)() == np.pi
    assert sg.compile(sp.Integer(3), outputs=("value", "grad"), backend=backend)() == (3.0, ())
    assert sg.compile(sp.Integer(3), (x,), x, outputs=("value", "grad"), backend=backend)(1.0) == (3.0, 0.0)
    ones = sg.compile(sp.OneMatrix(n, d), (), outputs="value", backend=backend)(n=2, d=3)
    assert ones.tolist() == [[1.0] * 3] * 2
    assert sg.compile(x, outputs=("value", "grad"), wrt=x, backend=backend)(4.0) == (4.0, 1.0)


# ---- samples ---------------------------------------------------------------------------------------


def shapes_that_broadcast() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [
        ((), (4,)),
        ((4,), ()),
        ((3, 1), (4,)),
        ((2, 3, 4), (3, 1)),
        ((1,), (5,)),
        ((0,), ()),
        ((2, 0), (0,)),
    ]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("left", "right"), shapes_that_broadcast())
def test_scalars_broadcast_like_a_ufunc(backend: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    k = pair(backend)
    a, c = RNG.normal(size=left), RNG.normal(size=right)
    value, grad, hess = k(a, c)
    batch = np.broadcast_shapes(left, right)
    assert (value.shape, grad.shape, hess.shape) == (batch, (*batch, 2), (*batch, 2, 2))
    full = np.broadcast_arrays(a, c)
    for at in np.ndindex(*batch):
        assert_same((float(value[at]), grad[at], hess[at]), k(float(full[0][at]), float(full[1][at])))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "leads",
    [((4,), (), ()), ((), (4,), ()), ((2, 1), (3,), ()), ((4,), (1,), (4,)), ((2, 3), (2, 1), (1, 3))],
)
def test_leading_axes_of_arrays_are_samples(backend: str, leads: tuple[tuple[int, ...], ...]) -> None:
    k, cores = least_squares(backend), [x.shape for x in data()]
    arrays = [RNG.normal(size=lead + core) for lead, core in zip(leads, cores, strict=True)]
    value, (by_w, by_b) = k(*arrays)
    batch = np.broadcast_shapes(*leads)
    full = [np.broadcast_to(a, batch + core) for a, core in zip(arrays, cores, strict=True)]
    assert (value.shape, by_w.shape, by_b.shape) == (batch, (*batch, 3, 1), (*batch, 5, 1))
    for at in np.ndindex(*batch):
        assert_same((float(value[at]), (by_w[at], by_b[at])), expected(*(a[at] for a in full)))


def test_scalars_and_arrays_share_the_sample_axes() -> None:
    k = sg.compile(x * sp.Sum(v[i], (i, 0, n - 1)), (x, v), (x, v), outputs=("value", "grad"))
    factors, rows = np.array([1.0, 2.0, 3.0]), RNG.normal(size=(3, 4))
    value, (by_x, by_v) = k(factors, rows)
    assert_close(value, factors * rows.sum(axis=1))
    assert_close(by_x, rows.sum(axis=1))
    assert_close(by_v, np.repeat(factors[:, None], 4, axis=1))


def test_arrays_with_strides_of_zero_are_samples_like_any_other() -> None:
    a, weights, target = data()
    repeated = np.broadcast_to(a, (4, *a.shape))
    value, _ = least_squares()(repeated, np.broadcast_to(weights, (4, *weights.shape)), target)
    assert_close(value, np.full(4, expected(a, weights, target)[0]))
    number = np.broadcast_to(np.float64(2.0), (6,))
    assert pair(outputs="value")(0.0, number).tolist() == [4.0] * 6


def test_tangents_and_cotangents_have_samples_too() -> None:
    k = pair(outputs="jvp")
    directions = RNG.normal(size=(5, 2))
    slopes = k(1.0, 2.0, tangent=directions)
    assert_close(slopes, directions @ pair(outputs="grad")(1.0, 2.0))
    assert_close(k(1.0, 2.0, tangent=(directions[:, 0], directions[:, 1])), slopes)
    a, weights, target = data()
    residual = sg.compile(RESIDUAL, (X, w, b), w, outputs="vjp")
    cotangents = RNG.normal(size=(6, 5, 1))
    assert_close(residual(a, weights, target, cotangent=cotangents), np.swapaxes(a, 0, 1) @ cotangents)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_vector_stands_for_a_declared_column_or_row(backend: str) -> None:
    a, weights, target = data()
    assert_same(least_squares(backend)(a, weights[:, 0], target[:, 0]), expected(a, weights, target))
    row = sp.MatrixSymbol("row", 1, n)
    k = sg.compile(row * row.T, outputs="value", backend=backend)
    assert k(np.array([1.0, 2.0, 3.0])).tolist() == [[14.0]]


# ---- arrays of every kind --------------------------------------------------------------------------


def layouts(a: np.ndarray) -> dict[str, Any]:
    """The same numbers in other memory."""
    rows, columns = a.shape
    wide = np.zeros((rows, 2 * columns))
    wide[:, ::2] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    packed = np.zeros(rows * columns, dtype=[("tag", "u1"), ("number", "f8")])
    packed["number"] = a.ravel()
    return {
        "Fortran order": np.asfortranarray(a),
        "every second column": wide[:, ::2],
        "reversed": np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
        "transposed": np.ascontiguousarray(a.T).T,
        "read-only": frozen,
        "unaligned": packed["number"].reshape(a.shape),
        "other byte order": a.astype(a.dtype.newbyteorder()),
        "list": a.tolist(),
        "matrix of another class": np.ma.array(a),
        "longer float": a.astype(np.longdouble),
    }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", layouts(np.ones((2, 2))))
def test_the_layout_of_an_array_changes_nothing(backend: str, kind: str) -> None:
    a, weights, target = data()
    given = layouts(a)[kind]
    before = copy.deepcopy(given)
    assert_same(least_squares(backend)(given, weights, target), expected(a, weights, target))
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "uint64", "float16", "float32"])
def test_narrow_types_are_converted_exactly(dtype: str) -> None:
    a = np.array([[1, 0], [1, 1], [0, 1]]).astype(dtype)
    weights, target = np.array([[2], [3]], dtype=np.int32), np.array([[1], [0], [1]], dtype=np.int16)
    wanted = expected(a.astype(float), weights.astype(float), target.astype(float))
    assert_same(least_squares()(a, weights, target), wanted)


@pytest.mark.parametrize(
    "number", [2, True, np.float32(2), np.int8(2), Fraction(5, 2), sp.Rational(5, 2), 10**30]
)
def test_numbers_of_every_class_are_scalars(number: Any) -> None:
    k = pair(outputs="value")
    assert k(0.0, number) == float(number) ** 2
    assert type(k(0.0, number)) is float


def test_float64_arrays_are_rounded_by_a_float32_kernel_and_results_are_float32() -> None:
    value, grad, _ = pair(dtype="float32")(np.array([0.1, 0.2]), 3.0)
    assert value.dtype == grad.dtype == np.float32
    assert_close(value, np.exp([0.1, 0.2]) * 9)
    assert type(pair(dtype="float32", outputs="value")(0.1, 3.0)) is float


@pytest.mark.parametrize("bad", [1j, np.array([1.0 + 0j]), "1", None, np.array([1, None]), sp.Symbol("t")])
def test_what_is_not_real_is_refused(bad: Any) -> None:
    with pytest.raises(DtypeMismatch, match="argument 'y' has dtype"):
        pair()(1.0, bad)


def test_missing_entries_and_ragged_lists_are_refused() -> None:
    with pytest.raises(DtypeMismatch, match="masked"):
        pair()(1.0, np.ma.array([1.0, 2.0], mask=[False, True]))
    with pytest.raises(BadArgument, match="different lengths"):
        pair()(1.0, [[1.0, 2.0], [3.0]])
    with pytest.raises(DtypeMismatch, match="too large"):
        pair()(1.0, 10**400)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty_arrays_give_empty_gradients_and_empty_sums(backend: str, shape: tuple[int, int]) -> None:
    rows, columns = shape
    value, (by_w, by_b) = least_squares(backend)(np.ones(shape), np.ones((columns, 1)), np.ones((rows, 1)))
    assert value == float(rows)
    assert by_w.shape == (columns, 1) and not by_w.any()
    assert by_b.tolist() == [[2.0]] * rows


@pytest.mark.parametrize("backend", BACKENDS)
def test_gathers_take_any_integers_and_check_them(backend: str) -> None:
    index = sp.IndexedBase("index", shape=(m,), integer=True)
    k = sg.compile(
        sp.Sum(v[index[i]] ** 2, (i, 0, m - 1)), (v, index), v, outputs=("value", "grad"), backend=backend
    )
    numbers = np.array([1.0, 2.0, 3.0])
    for dtype in ("int64", "int8", "uint64", "bool"):
        value, grad = k(numbers, np.array([1, 1, 0], dtype=dtype))
        assert value == 9.0 and grad.tolist() == [2.0, 8.0, 0.0]
    value, grad = k(numbers, np.zeros(0, dtype=int))
    assert value == 0.0 and grad.tolist() == [0.0] * 3
    values, _ = k(numbers, np.array([[0, 1], [2, 2]]))
    assert values.tolist() == [5.0, 18.0]
    for bad in ([0, 3], [-1, 0], np.array([2**63], dtype=np.uint64)):
        with pytest.raises((IndexOutOfRange, DtypeMismatch)):
            k(numbers, bad)
    with pytest.raises(DtypeMismatch, match="integers"):
        k(numbers, [0.0, 1.0])


def made_of_data() -> dict[str, tuple[Any, Any, Any]]:
    """Name: an expression over v and two integer arrays, its value in NumPy, and integers that break it."""
    p, q = (sp.IndexedBase(name, shape=(m,), integer=True) for name in "pq")

    def total(entry: Any) -> Any:
        return sp.Sum(entry, (i, 0, m - 1))

    guarded = sp.Piecewise((v[p[i]], sp.And(p[i] >= 0, p[i] < n)), (0, True))
    half = sp.Piecewise((v[p[i]], p[i] >= 0), (0, True))
    return {
        "twice": (total(v[2 * p[i]]), lambda v, p, q: v[2 * p].sum(), ([3, 0], [0, 0])),
        "sum": (total(v[p[i] + q[i]]), lambda v, p, q: v[p + q].sum(), ([3, 0], [2, 0])),
        "difference": (total(v[p[i] - q[i]]), lambda v, p, q: v[p - q].sum(), ([0, 1], [1, 0])),
        "product": (total(v[p[i] * q[i]]), lambda v, p, q: v[p * q].sum(), ([3, 0], [2, 0])),
        "from the end": (total(v[n - 1 - p[i]]), lambda v, p, q: v[4 - p].sum(), ([5, 0], [0, 0])),
        "nested": (total(v[2 * p[q[i]]]), lambda v, p, q: v[2 * p[q]].sum(), ([3, 0], [0, 0])),
        "guarded below": (total(half), lambda v, p, q: v[p[p >= 0]].sum(), ([5, -1], [0, 0])),
        "guarded": (total(guarded), lambda v, p, q: v[p[(p >= 0) & (p < 5)]].sum(), None),
    }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", made_of_data())
def test_indices_made_of_data_are_checked_before_anything_is_read_or_written(name: str, backend: str) -> None:
    expr, in_numpy, bad = made_of_data()[name]
    p, q = (sp.IndexedBase(letter, shape=(m,), integer=True) for letter in "pq")
    k = sg.compile(expr, (v, p, q), v, outputs=("value", "grad"), backend=backend)
    numbers = np.array([1.0, 10.0, 100.0, 1000.0, 10000.0])
    good = [(np.array([2, 1]), np.array([1, 0])), (np.array([1, 2]), np.array([1, 1]))]
    for first, second in good:
        value, grad = k(numbers, first, second)
        assert value == in_numpy(numbers, first, second) == grad @ numbers
    firsts, seconds = (np.array(rows) for rows in zip(*good, strict=True))
    values, _ = k(numbers, firsts, seconds[:1])
    assert values.tolist() == [in_numpy(numbers, f, seconds[0]) for f in firsts]
    if bad is None:
        value, _ = k(numbers, np.array([99, -99, 1]), np.zeros(3, int))
        assert value == 10.0
        return
    for first, second in (bad, ([good[0][0], bad[0]], [good[0][1], bad[1]])):
        with pytest.raises(IndexOutOfRange):
            k(numbers, np.array(first), np.array(second))


# ---- results ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradient_has_the_structure_of_wrt(backend: str) -> None:
    expr = x**2 * y + LEAST_SQUARES
    a, weights, target = data()
    _, (by_w, by_b) = expected(a, weights, target)

    def gradient(wrt: Any) -> Any:
        k = sg.compile(expr, (x, y, X, w, b), wrt, outputs="grad", backend=backend)
        return k(2.0, 3.0, a, weights, target)

    assert_same(gradient(x), 12.0)
    assert_same(gradient((x, y)), np.array([12.0, 4.0]))
    assert_same(gradient((y,)), np.array([4.0]))
    assert_same(gradient(w), by_w)
    assert_same(gradient((w, b)), (by_w, by_b))
    assert_same(gradient((x, w)), (12.0, by_w))


@pytest.mark.parametrize("backend", BACKENDS)
def test_second_derivatives_have_the_structure_of_wrt_twice(backend: str) -> None:
    expr = x * sp.Sum(A[i, j] ** 3, (i, 0, n - 1), (j, 0, d - 1))
    a = RNG.normal(size=(2, 3))
    k = sg.compile(expr, (x, A), (x, A), outputs=("hess", "hvp"), backend=backend)
    ((xx, xa), (ax, aa)), (hx, ha) = k(2.0, a, tangent=(1.0, np.ones((2, 3))))
    assert xx == 0.0
    assert_close(xa, 3 * a**2)
    assert_close(ax, 3 * a**2)
    assert aa.shape == (2, 3, 2, 3)
    assert_close(aa.reshape(6, 6), np.diag((12 * a).ravel()))
    assert_close(np.asarray(hx), (3 * a**2).sum())
    assert_close(ha, 3 * a**2 + 12 * a)
    single = sg.compile(expr, (x, A), A, outputs=("hess", "hvp"), backend=backend)
    hess, hvp = single(2.0, a, tangent=np.ones((2, 3)))
    assert_close(hess, aa)
    assert_close(hvp, 12 * a)


@pytest.mark.parametrize("backend", BACKENDS)
def test_jacobians_have_the_shape_of_the_value_and_then_of_wrt(backend: str) -> None:
    matrix = sp.Matrix([[x, y], [x * y, x**2], [1, y**2]])
    k = sg.compile(matrix, (x, y), (x, y), outputs=("value", "jac", "jvp", "vjp"), backend=backend)
    value, jac, jvp, vjp = k(2.0, 3.0, tangent=(1.0, 10.0), cotangent=np.arange(6.0).reshape(3, 2))
    by_x, by_y = [[1, 0], [3, 4], [0, 0]], [[0, 1], [2, 0], [0, 6]]
    assert_same(value, np.array([[2.0, 3.0], [6.0, 4.0], [1.0, 9.0]]))
    assert_same(jac, np.stack([by_x, by_y], axis=-1).astype(float))
    assert_same(jvp, np.array(by_x) + 10.0 * np.array(by_y))
    assert_same(vjp, np.tensordot(np.arange(6.0).reshape(3, 2), jac, axes=2))
    one = sg.compile(matrix, (x, y), x, outputs="jac", backend=backend)
    assert_same(one(2.0, 3.0), np.array(by_x, dtype=float))


@pytest.mark.parametrize("backend", BACKENDS)
def test_jacobians_of_matrix_expressions_by_matrices(backend: str) -> None:
    a, weights, target = data()
    k = sg.compile(RESIDUAL, (X, w, b), (w, b, X), outputs=("value", "jac", "jvp", "vjp"), backend=backend)
    parts = tuple(RNG.normal(size=s.shape) for s in (weights, target, a))
    bar = RNG.normal(size=target.shape)
    value, (by_w, by_b, by_a), jvp, vjp = k(a, weights, target, tangent=parts, cotangent=bar)
    assert_same(value, a @ weights - target)
    assert_close(by_w[:, 0, :, 0], a)
    assert_close(by_b[:, 0, :, 0], -np.eye(5))
    assert by_a.shape == (5, 1, 5, 3)
    assert_close(jvp, a @ parts[0] - parts[1] + parts[2] @ weights)
    assert_same(vjp, (a.T @ bar, -bar, bar @ weights.T))


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_have_the_rank_of_the_expression(backend: str) -> None:
    a = RNG.normal(size=(2, 3))
    assert_same(sg.compile(X * X.T, outputs="value", backend=backend)(a), a @ a.T)
    assert_same(sg.compile(X * w, (X, w), outputs="value", backend=backend)(a, a[0]), a @ a[:1].T)
    free = sg.compile(A[i, j] ** 2 + i, (A,), axes=(j, i), outputs="value", backend=backend)
    assert_same(free(a), (a**2 + np.arange(2)[:, None]).T)
    assert_same(
        sg.compile([x, x * y], (x, y), outputs="value", backend=backend)(2.0, 3.0), np.array([2.0, 6.0])
    )


def test_one_word_is_returned_alone_and_several_as_a_tuple() -> None:
    assert type(pair(outputs="value")(0.0, 1.0)) is float
    assert type(pair(outputs=("value",))(0.0, 1.0)) is tuple
    assert pair().outputs == ("value", "grad", "hess")
    value, grad, hess = pair()(0.0, 1.0)
    assert (type(value), grad.shape, hess.shape) == (float, (2,), (2, 2))


def arrays_in(result: Any) -> list[np.ndarray]:
    if isinstance(result, tuple):
        return [a for part in result for a in arrays_in(part)]
    return [result] if isinstance(result, np.ndarray) else []


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_share_no_memory_with_arguments_or_with_one_another(backend: str) -> None:
    words = ("value", "grad", "hess", "hvp")
    k = sg.compile(sp.Trace(X.T * X) + sp.Trace(Y.T * X), (X, Y), (X, Y), outputs=words, backend=backend)
    a, c = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    tangents = (np.ones((2, 3)), np.ones((2, 3)))
    given = [a, c, *tangents]
    found = arrays_in(k(a, c, tangent=tangents)) + arrays_in(k(a, c, tangent=tangents))
    assert len(found) == 2 * (2 + 4 + 2)
    for position, array in enumerate(found):
        assert not any(np.shares_memory(array, other) for other in [*given, *found[:position]])
    same = sg.compile(X, (X,), X, outputs=("value", "jvp"), backend=backend)
    for result, source in zip(same(a, tangent=c), (a, c), strict=True):
        assert_same(result, source)
        assert not np.shares_memory(result, source)


# ---- out= ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_out_is_written_and_returned_in_the_structure_of_the_result(backend: str) -> None:
    k, arrays = least_squares(backend), data()
    value, (by_w, by_b) = expected(*arrays)
    out = (np.empty(()), (np.empty((3, 1)), np.empty((5, 1))))
    result = k(*arrays, out=out)
    assert result[0] is out[0] and result[1][0] is out[1][0] and result[1][1] is out[1][1]
    assert_close(out[0], value)
    assert_close(out[1][0], by_w)
    assert_close(out[1][1], by_b)
    partly = k(*arrays, out=(None, (None, out[1][1])))
    assert type(partly[0]) is float and partly[1][1] is out[1][1]
    assert_close(partly[1][0], by_w)
    assert_same(k(*arrays, out=(None, None)), (value, (by_w, by_b)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_out_may_have_another_layout_another_float_type_or_be_an_input(backend: str) -> None:
    k = sg.compile(X + 2 * Y, (X, Y), outputs="value", backend=backend)
    a, c = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
    wanted = a + 2 * c
    for out in (np.empty((4, 3)).T, np.empty((3, 8))[:, ::2], np.empty((3, 4))[::-1]):
        assert k(a, c, out=out) is out
        assert_close(out, wanted)
    narrow = np.empty((3, 4), np.float32)
    assert k(a, c, out=narrow) is narrow
    assert_close(narrow, wanted)
    assert k(a, c, out=c) is c
    assert_close(c, wanted)
    flat = RNG.normal(size=20)
    first, second = flat[:12].reshape(3, 4), flat[8:].reshape(3, 4)
    wanted = first + 2 * second
    assert_close(k(first, second, out=second), wanted)


@pytest.mark.parametrize("backend", BACKENDS)
def test_out_takes_samples_and_explicit_matrices(backend: str) -> None:
    matrix = sp.Matrix([[x, y], [x * y, 1]])
    k = sg.compile(matrix, (x, y), (x, y), outputs=("value", "jac"), backend=backend)
    wanted = k([1.0, 2.0, 3.0], 2.0)
    out = (np.empty((3, 2, 2)), np.empty((3, 2, 2, 2)))
    assert k([1.0, 2.0, 3.0], 2.0, out=out)[1] is out[1]
    assert_same(out, wanted)


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_that_are_one_tensor_fill_every_out(backend: str) -> None:
    k = sg.compile(sp.Trace(X.T * Y), (X, Y), (X, Y), outputs="hess", backend=backend)
    arrays = [RNG.normal(size=(2, 2)) for _ in range(2)]
    wanted = k(*arrays)
    for pattern in range(16):
        out = [
            [np.full((2, 2, 2, 2), 7.0) if pattern >> (2 * r + c) & 1 else None for c in range(2)]
            for r in range(2)
        ]
        found = k(*arrays, out=out)
        assert_same(found, wanted)
        blocks = arrays_in(found)
        assert not any(np.shares_memory(p, q) for at, p in enumerate(blocks) for q in blocks[:at])


def test_an_out_that_does_not_fit_is_refused_before_anything_is_written() -> None:
    k, arrays = least_squares(), data()
    kept = np.full((3, 1), 7.0)
    frozen = np.empty((5, 1))
    frozen.flags.writeable = False
    bad: list[tuple[type, Any]] = [
        (BadArgument, 3.0),
        (BadArgument, (None,)),
        (BadArgument, (None, kept)),
        (BadArgument, (None, (kept, kept, kept))),
        (BadArgument, (None, (kept, [0.0] * 5))),
        (BadArgument, (None, (kept, frozen))),
        (ShapeMismatch, (None, (kept, np.empty((5,))))),
        (ShapeMismatch, (np.empty((1,)), (kept, None))),
        (DtypeMismatch, (None, (kept, np.empty((5, 1), int)))),
    ]
    for error, out in bad:
        with pytest.raises(error):
            k(*arrays, out=out)
    assert (kept == 7.0).all()
    two = sg.compile(sp.Trace(X.T * Y), (X, Y), (X, Y), outputs="grad")
    memory = np.zeros((3, 2))
    with pytest.raises(BadArgument, match="share memory"):
        two(np.ones((2, 2)), np.ones((2, 2)), out=(memory[:2], memory[1:]))


# ---- copies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_kernel_survives_pickling_and_copying(backend: str) -> None:
    k, arrays = least_squares(backend), data()
    for twin in (pickle.loads(pickle.dumps(k)), copy.deepcopy(k), copy.copy(k)):
        assert_same(twin(*arrays), k(*arrays))
        assert twin.arguments == k.arguments and twin.outputs == k.outputs
        assert twin.source == k.source and repr(twin) == repr(k)
        assert twin.ops(n=5, d=3) == k.ops(n=5, d=3)


def test_pickled_kernels_of_every_backend_run_in_another_process(tmp_path: Any) -> None:
    arrays = data()
    kernels = {backend: least_squares(backend) for backend in BACKENDS}
    (tmp_path / "kernels").write_bytes(pickle.dumps((kernels, arrays)))
    program = (
        "import pickle, sys\n"
        "kernels, arrays = pickle.load(open(sys.argv[1], 'rb'))\n"
        "results = {name: k(*arrays) for name, k in kernels.items()}\n"
        "pickle.dump(results, open(sys.argv[2], 'wb'))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "kernels"), str(tmp_path / "results")]
    subprocess.run(command, check=True)
    results = pickle.loads((tmp_path / "results").read_bytes())
    for backend in BACKENDS:
        assert_same(results[backend], expected(*arrays))


# ---- threads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_kernel_serves_many_threads_with_different_shapes(backend: str) -> None:
    k = least_squares(backend)
    cases = [
        data(rows, columns) for rows in range(1, 21) for columns in range(1, 16)
    ]  # more than plans are kept
    wanted = [expected(*case) for case in cases]
    start = threading.Barrier(4)

    def hammer(seed: int) -> int:
        start.wait()
        order = np.random.default_rng(seed).permutation(len(cases))[:: 4 if backend == "numpy" else 1]
        for at in order:
            assert_same(k(*cases[at]), wanted[at])
        return len(order)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(hammer, range(4))) >= len(cases)


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_machine_code_runs_without_the_global_lock(backend: str) -> None:
    k = sg.compile(sp.Sum(sp.sin(x * i), (i, 0, n - 1)), (x,), outputs="value", backend=backend)
    progress, running = [0], threading.Event()

    def count() -> None:
        running.wait()
        while running.is_set():
            progress[0] += 1

    def progress_during(turns: int) -> int:
        before = progress[0]
        k(0.5, n=turns)
        return progress[0] - before

    other = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    other.start()
    try:
        k(0.5, n=1)
        running.set()
        # Around a call the lock changes hands too, but for as long, whatever the call does.
        turns = 2_000_000
        short, long = max(progress_during(turns) for _ in range(4)), 0
        while long <= 4 * short and turns < 10**8:  # a busy machine may let nobody run for a while
            turns *= 8
            long = progress_during(turns)
    finally:
        running.clear()
        sys.setswitchinterval(interval)
        other.join()
    assert long > 4 * short


# ---- what a kernel says of itself ------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_kernel_describes_itself(backend: str) -> None:
    k = least_squares(backend)
    assert repr(k) == f"<Kernel (X(n, d), w(d, 1), b(n, 1)) -> value, grad; {backend}, float64>"
    assert (k.backend, k.dtype, k.outputs) == (backend, np.float64, ("value", "grad"))
    assert k.arguments == ("X", "w", "b")
    assert (k.address == 0) == (backend == "numpy")
    assert k.workspace(n=100, d=7) >= (0 if backend == "numpy" else 100 * 8)


def test_operations_are_counted_before_and_after_optimisation() -> None:
    k = least_squares(outputs="value")
    small, large = k.ops(n=10, d=4), k.ops(n=20, d=4)
    assert set(small) == {"before", "after"}
    assert 2 * 10 * 4 <= small["after"] <= small["before"] <= 4 * 10 * 4
    assert large["after"] < 2 * small["after"] + 5 and large["after"] > 1.9 * small["after"]
    gradient = least_squares(outputs=("value", "grad")).ops(n=1000, d=50)
    assert gradient["after"] <= 4 * k.ops(n=1000, d=50)["after"]
    assert pair(outputs="value").ops() == {"before": 3, "after": 3}


def test_operation_counts_want_every_size_and_no_other() -> None:
    with pytest.raises(BadArgument, match="size 'd' is missing"):
        least_squares().ops(n=3)
    with pytest.raises(BadArgument, match="size 'q' is not known"):
        least_squares().ops(n=3, d=2, q=1)


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
def test_the_hessian_of_a_product_of_jumps_is_zero(backend: str) -> None:
    x, y = sp.symbols("x y", real=True)
    kernel = sg.compile(sp.sign(x) * sp.floor(x) + y**2, outputs="hess", backend=backend)
    assert kernel(1.5, 2.0).tolist() == [[0.0, 0.0], [0.0, 2.0]]
