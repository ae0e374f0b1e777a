"""Indexed arrays, sums and products over ranges, and reads that could leave their array."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from sympy.tensor.array.expressions import ArraySymbol
from translating import names, value_of

import symgrad as sg
from symgrad.entries import Entries, Where
from symgrad.errors import BadArgument, IndexOutOfRange, ShapeMismatch, UnsupportedExpression
from symgrad.frontend.ranges import Gather
from symgrad.frontend.translate import translate

n, m, k = sp.symbols("n m k", integer=True, positive=True)
i, j, l = sp.symbols("i j l", integer=True)  # noqa: E741  (the letters of the formulas)
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(m,))
A = sp.IndexedBase("A", shape=(n, m))
t = sp.Symbol("t")
X, Y = np.array([0.3, -1.2, 2.5, 0.9]), np.array([1.5, 0.2, -0.7])
M = np.arange(12.0).reshape(4, 3) / 7 - 0.5
DATA = {"x": X, "y": Y, "A": M, "t": 0.4}
SIZES = {"n": 4, "m": 3}


def check(expr: object, expected: object, **options: object) -> None:
    """The translated value is NumPy's formula, to a few roundings."""
    np.testing.assert_allclose(value_of(expr, DATA, SIZES, **options), expected, rtol=1e-14, atol=1e-15)


# ---- sums and products -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (sp.Sum(x[i], (i, 0, n - 1)), X.sum()),
        (sp.Sum(x[i] * sp.sin(t * x[i]), (i, 0, n - 1)), (X * np.sin(0.4 * X)).sum()),
        (sp.Sum(x[i] * x[i - 1], (i, 1, n - 1)), (X[1:] * X[:-1]).sum()),
        (sp.Sum(x[n - 1 - i] * (i + 1), (i, 0, n - 1)), (X[::-1] * np.arange(1, 5)).sum()),
        (sp.Sum(A[i, j] * x[i] * y[j], (i, 0, n - 1), (j, 0, m - 1)), X @ M @ Y),
        (sp.Sum(sp.exp(sp.Sum(A[i, j] * y[j], (j, 0, m - 1))), (i, 0, n - 1)), np.exp(M @ Y).sum()),
        (sp.Sum(x[i] * x[j], (j, 0, i), (i, 0, n - 1)), np.sum(np.tril(np.outer(X, X)))),
        (sp.Sum(x[i] * x[j], (j, i + 1, n - 1), (i, 0, n - 1)), np.sum(np.triu(np.outer(X, X), 1))),
        (sp.Sum(x[i] * x[j] * x[l], (l, 0, j), (j, 0, i), (i, 0, n - 1)),
         sum(X[a] * X[b] * X[c] for a in range(4) for b in range(a + 1) for c in range(b + 1))),
        (sp.Sum(x[2 * i], (i, 0, 1)), X[0] + X[2]),
        (sp.Sum(i**2, (i, 1, n)), 30.0),
        (sp.Sum(1, (i, 0, n - 1), (j, 0, m - 1)), 12.0),
        (sp.Product(x[i], (i, 0, n - 1)), X.prod()),
        (sp.Product(x[i] + t, (i, 1, 2)), (X[1:3] + 0.4).prod()),
        (sp.Product(x[i] + x[j], (j, 0, i), (i, 0, n - 1)),
         np.prod([X[a] + X[b] for a in range(4) for b in range(a + 1)])),
        (sp.Sum(sp.Product(x[j], (j, 0, i)), (i, 0, n - 1)), np.cumprod(X).sum()),
        (sp.Sum(x[i], (i, 0, n - 1)) ** 2 / n, X.sum() ** 2 / 4),
        (sp.Sum(sp.KroneckerDelta(i, j) * x[i] * x[j], (i, 0, n - 1), (j, 0, n - 1)), (X**2).sum()),
        (sp.Sum(x[i] * (-1) ** i, (i, 0, n - 1)), (X * [1, -1, 1, -1]).sum()),
    ],
    ids=str,
)  # fmt: skip
def test_sums_and_products(expr: sp.Expr, expected: float) -> None:
    check(expr, expected)


def test_an_empty_range_gives_the_identity_not_karrs_convention() -> None:
    check(sp.Sum(x[i], (i, 0, -3)), 0.0, args=(x,))
    check(sp.Product(x[i], (i, 3, 1)), 1.0, args=(x,))
    assert value_of(sp.Sum(x[i], (i, 5, n - 1)), {"x": X}, SIZES) == 0.0


def test_an_inner_range_that_is_empty_for_some_outer_index_is_skipped_there() -> None:
    check(sp.Sum(sp.Product(x[j], (j, 0, i - 2)), (i, 0, n - 1)), 1 + 1 + X[0] + X[0] * X[1])


def test_an_idx_brings_its_own_range() -> None:
    r = sp.Idx("r", n)
    check(sp.Sum(x[r], r), X.sum())
    check(sp.Sum(x[sp.Idx("s", (1, n - 1))], sp.Idx("s", (1, n - 1))), X[1:].sum())


def test_sums_that_reuse_an_index_name_keep_it_apart() -> None:
    inner = sp.Sum(x[i], (i, 0, n - 1))
    check(sp.Sum(x[i] * inner, (i, 0, n - 1)), X.sum() ** 2)
    outside = sp.Sum(x[i] ** 2, (i, 0, n - 1)) + i
    assert value_of(outside, {**DATA, "i": 7.0}, SIZES) == pytest.approx((X**2).sum() + 7)


def test_sharing_survives_nested_sums() -> None:
    total: sp.Basic = sp.Sum(x[i], (i, 0, n - 1))
    for _ in range(40):  # 2**40 translations, if the inner sum were not shared
        body = sp.Basic.__new__(sp.Mul, x[i], total)  # SymPy's own constructors do not keep the sharing
        outer = sp.Basic.__new__(sp.Sum, body, sp.Tuple(i, 0, n - 1))
        total = sp.Basic.__new__(sp.Add, outer, total)
    assert len(translate(total).graph.op) < 3000


def test_sizes_and_indices_are_exact_integers_in_values() -> None:
    big = sp.Sum(n**2 * (i + 1), (i, 0, n - 1))
    check(big, 16 * 10.0)
    check(x[n - 1] + n, X[3] + 4)


# ---- results with axes -------------------------------------------------------------------------


def test_free_indices_number_the_result_in_order_of_appearance() -> None:
    a, b = sp.Idx("a", n), sp.Idx("b", m)
    check(A[a, b] * x[a], M * X[:, None])
    check(A[a, b] * x[a], (M * X[:, None]).T, axes=(b, a))
    check(sp.Sum(A[a, j] * y[j], (j, 0, m - 1)), M @ Y)


def test_a_free_index_without_a_range_runs_along_its_array() -> None:
    check(2 * x[sp.Idx("a")], 2 * X)
    check(2 * x[i], 2 * X, axes=(i,))


def test_a_free_index_may_start_anywhere() -> None:
    a = sp.Idx("a", (1, n - 1))
    check(x[a] - x[a - 1], np.diff(X))


def test_several_entries_may_have_axes() -> None:
    a = sp.Idx("a", n)
    check(sp.Matrix([x[a], 1]), np.array([[X], [np.ones(4)]]))


def test_arrays_in_index_form_are_translated_entry_by_entry() -> None:
    check(
        Entries((m, n), lambda p, q: A[q, p] + Where(p < q, 1, 0)),
        M.T + (np.arange(3)[:, None] < np.arange(4)),
    )


# ---- conditions on indices ---------------------------------------------------------------------


def test_a_condition_on_indices_guards_a_read_that_would_be_out_of_range() -> None:
    before = Where(i >= 1, x[i - 1], 0)
    check(sp.Sum(x[i] * before, (i, 0, n - 1)), (X[1:] * X[:-1]).sum())
    after = Where(i < n - 1, x[i + 1], x[i])
    check(sp.Sum(after, (i, 0, n - 1)), X[1:].sum() + X[-1])


def test_conditions_on_indices_are_predicates_over_integers() -> None:
    graph = translate(
        sp.Sum(Where(sp.Or(i < j, sp.Eq(i, 2)), x[i], 0) * y[j], (i, 0, n - 1), (j, 0, m - 1))
    ).graph
    assert "ige" in graph.op
    assert "ieq" in graph.op
    assert "lt" not in graph.op


def test_a_mixed_condition_compares_values() -> None:
    check(sp.Sum(Where(x[i] > i - 1, 1, 0), (i, 0, n - 1)), (X - np.arange(4) + 1 > 0).sum())


def test_a_periodic_neighbour_may_be_written_with_a_condition() -> None:
    following = Where(sp.Eq(i, n - 1), x[0], x[i + 1])
    check(sp.Sum(following * x[i], (i, 0, n - 1)), (np.roll(X, -1) * X).sum())


# ---- gathers -----------------------------------------------------------------------------------


def test_an_array_used_as_an_index_holds_integers() -> None:
    idx = sp.IndexedBase("idx", shape=(k,))
    expr = sp.Sum(A[idx[i], j], (i, 0, k - 1), (j, 0, m - 1))
    translated = translate(expr)
    assert translated.graph.tensors[translated.inputs[idx]].dtype == "int"
    where = np.array([3, 0, 3, 1, 2])
    assert value_of(expr, {**DATA, "idx": where}, {**SIZES, "k": 5}) == pytest.approx(M[where].sum())


def test_an_array_whose_label_is_an_integer_holds_integers() -> None:
    count = sp.IndexedBase(sp.Symbol("count", integer=True), shape=(n,))
    expr = sp.Sum(count[i] * x[i], (i, 0, n - 1))
    translated = translate(expr)
    assert translated.graph.tensors[translated.inputs[count]].dtype == "int"
    assert value_of(expr, {"x": X, "count": np.array([1, 2, 3, 4])}, SIZES) == pytest.approx(X @ [1, 2, 3, 4])


def test_a_gathered_index_may_be_compared_and_shifted() -> None:
    idx = sp.IndexedBase("idx", shape=(n,))
    expr = sp.Sum(Where(sp.Eq(idx[i], j), x[i], 0) * A[idx[i] + 1, j], (i, 0, n - 1), (j, 0, m - 1))
    where = np.array([2, 0, 1, 1])
    expected = sum(X[a] * M[where[a] + 1, where[a]] for a in range(4))
    assert value_of(expr, {**DATA, "idx": where}, SIZES) == pytest.approx(expected)


def test_the_bounds_of_gathered_indices_are_told() -> None:
    idx = sp.IndexedBase("idx", shape=(k,))
    translated = translate(sp.Sum(x[idx[i] + 2], (i, 0, k - 1)))
    g = translated.graph
    assert translated.reads.gathers == (
        Gather(translated.inputs[idx], g.const(-2), g.iadd(g.size("n"), g.const(-3))),
    )


def test_a_scalar_symbol_in_an_index_is_an_integer_argument() -> None:
    expr = x[l] + 1
    translated = translate(expr)
    assert translated.graph.tensors[translated.inputs[l]].dtype == "int"
    assert value_of(expr, {"x": X, "l": 2}, SIZES) == X[2] + 1


# ---- arguments ---------------------------------------------------------------------------------


def test_sizes_are_not_arguments_where_a_shape_gives_them() -> None:
    translated = translate(sp.Sum(A[i, j] * x[i] * t / n, (i, 0, n - 1), (j, 0, m - 1)))
    assert names(translated.args) == ["A", "t", "x"]
    assert translated.sizes == {"n": n, "m": m}


def test_a_size_that_no_shape_gives_is_an_argument() -> None:
    translated = translate(sp.Sum(t**i, (i, 0, k - 1)))
    assert names(translated.args) == ["k", "t"]
    assert translated.graph.tensors[translated.inputs[k]].dtype == "int"
    assert value_of(sp.Sum(t**i, (i, 0, k - 1)), {"t": 0.5, "k": 4}, {"k": 4}) == 1.875


def test_an_array_symbol_is_an_array() -> None:
    cube = ArraySymbol("cube", (2, n, 3))
    values = np.arange(24.0).reshape(2, 4, 3)
    result = value_of(sp.Sum(cube[1, i, 2], (i, 0, n - 1)), {"cube": values}, SIZES)
    assert result == values[1, :, 2].sum()


def test_a_base_without_a_shape_takes_the_one_declared_in_the_arguments() -> None:
    bare = sp.IndexedBase("x")
    assert value_of(sp.Sum(bare[i], (i, 0, n - 1)), DATA, SIZES, args=(x,)) == pytest.approx(X.sum())


# ---- errors ------------------------------------------------------------------------------------


def test_a_base_without_a_shape_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnsupportedExpression, match="'b' has no shape") as caught:
        translate(sp.Sum(sp.IndexedBase("b")[i], (i, 0, n - 1)))
    assert "shape=(n,)" in caught.value.try_


@pytest.mark.parametrize(
    "expr",
    [
        sp.Sum(x[i], (i, 0, n)), sp.Sum(x[i + 1], (i, 0, n - 1)), sp.Sum(x[i - 1], (i, 0, n - 1)), x[n],
        x[-1],
        sp.IndexedBase("c", shape=(3,))[3], sp.Sum(sp.IndexedBase("c", shape=(3,))[i], (i, 1, 3)),
        sp.Sum(x[2 * i], (i, 0, n)), sp.Sum(A[i, m], (i, 0, n - 1)),
    ],
    ids=str,
)  # fmt: skip
def test_a_read_that_is_surely_out_of_range_is_refused(expr: sp.Expr) -> None:
    with pytest.raises(IndexOutOfRange):
        translate(expr)


def test_the_message_of_an_index_out_of_range() -> None:
    with pytest.raises(IndexOutOfRange) as caught:
        translate(sp.Sum(x[i], (i, 0, n)))
    assert str(caught.value) == (
        "index n is outside axis 0 of 'x'\n"
        "  where    Sum(x[i], (i, 0, n))\n"
        "  because  that axis has n entries, 0 to n - 1\n"
        "  try      a smaller range: a Sum includes its upper limit, "
        "and negative indices do not count from the end"
    )


def test_a_read_that_may_be_out_of_range_becomes_a_condition_on_sizes() -> None:
    translated = translate(sp.Sum(x[i] * y[i], (i, 0, n - 1)))
    g = translated.graph
    assert translated.reads.conditions == (g.isub(g.size("m"), g.size("n")),)
    assert translate(sp.Sum(x[i], (i, 0, n - 1))).reads.conditions == ()


def test_the_wrong_number_of_indices_is_refused() -> None:
    with pytest.raises((ShapeMismatch, sp.tensor.indexed.IndexException)):
        translate(sp.Indexed(A, i), args=(A,), axes=(i,))


@pytest.mark.parametrize("index", [i / 2, sp.sin(i), sp.floor(x[i])], ids=str)
def test_an_index_has_to_be_an_integer(index: sp.Expr) -> None:
    base = sp.IndexedBase("b", shape=(n,))
    with pytest.raises(BadArgument, match="an index is not an integer") as caught:
        translate(sp.Sum(base[index], (i, 0, n - 1)) + sp.sin(t))
    assert str(index) in caught.value.summary


@pytest.mark.parametrize("limit", [sp.floor(n / 2), sp.Max(n - 3, 0), sp.Min(n, m) - 1], ids=str)
def test_a_limit_that_is_an_integer_but_no_sum_of_sizes_is_refused_for_that_reason(limit: sp.Expr) -> None:
    with pytest.raises(UnsupportedExpression) as caught:
        translate(sp.Sum(x[i], (i, 0, limit)))
    assert str(caught.value) == (
        f"a limit is an integer, but no sum of sizes and indices: {limit}\n"
        f"  where    {sp.Sum(x[i], (i, 0, limit))}\n"
        "  because  ranges are compared and joined as sums of sizes and indices with integer factors; floor, "
        "ceiling, Max and Min are none\n"
        "  try      a size symbol of its own, whose value is given at the call"
    )


def test_a_size_symbol_of_its_own_may_be_a_limit() -> None:
    half = sp.Symbol("half", integer=True, positive=True)
    kernel = sg.compile(sp.Sum(x[i], (i, 0, half - 1)), (x,), outputs="value", backend="numpy")
    assert kernel(np.array([1.0, 2.0, 4.0, 8.0]), half=2) == 3.0


def test_sums_without_a_known_number_of_terms_are_refused() -> None:
    with pytest.raises(UnsupportedExpression, match="infinitely many terms"):
        translate(sp.Sum(t**i, (i, 0, sp.oo)))
    ends = sp.IndexedBase("ends", shape=(n,))
    with pytest.raises(UnsupportedExpression, match="a limit of a Sum depends on data"):
        translate(sp.Sum(x[j], (j, 0, ends[i]), (i, 0, n - 1)))


def test_a_symbol_that_is_a_size_cannot_be_two_symbols() -> None:
    other = sp.IndexedBase("z", shape=(sp.Symbol("n"),))
    with pytest.raises(ValueError, match="two different symbols are called 'n'"):
        translate(sp.Sum(x[i], (i, 0, n - 1)) + other[0])


# ---- indices that are affine in pieces ---------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (sp.Sum(x[i] * x[sp.Mod(i + 1, n)], (i, 0, n - 1)), X @ np.roll(X, -1)),
        (sp.Sum(x[i] * x[sp.Mod(i - 1, n)] ** 2, (i, 0, n - 1)), X @ np.roll(X, 1) ** 2),
        (sp.Sum(x[sp.Mod(i - j, n)] * x[i] * (j + 1), (i, 0, n - 1), (j, 0, n - 1)),
         sum(X[(p - q) % 4] * X[p] * (q + 1) for p in range(4) for q in range(4))),
        (sp.Sum(x[i] * x[sp.Max(i - 2, 0)], (i, 0, n - 1)), X @ X[[0, 0, 0, 1]]),
        (sp.Sum(x[i] * x[sp.Min(i + 1, n - 1)], (i, 0, n - 1)), X @ X[[1, 2, 3, 3]]),
        (sp.Sum(x[sp.Abs(i - j)] * x[i], (i, 0, n - 1), (j, 0, n - 1)),
         sum(X[abs(p - q)] * X[p] for p in range(4) for q in range(4))),
        (sp.Sum(x[sp.Max(i - 1, 0, 2 - i)],
                (i, 0, n - 1)), X[[2, 1, 1, 2]].sum()),
        (sp.Sum(A[sp.Mod(i + 1, n), sp.Mod(j - 1, m)] * A[i, j], (i, 0, n - 1), (j, 0, m - 1)),
         (np.roll(M, (-1, 1), (0, 1)) * M).sum()),
    ],
    ids=str,
)  # fmt: skip
def test_periodic_clamped_and_mirrored_indices(expr: sp.Expr, expected: float) -> None:
    check(expr, expected)
    assert translate(expr).reads.conditions == ()


def test_a_remainder_of_an_index_far_away_is_refused() -> None:
    with pytest.raises(UnsupportedExpression, match="the index"):
        translate(sp.Sum(x[sp.Mod(5 * i, n)], (i, 0, n - 1)))


@pytest.mark.parametrize("power", [1, 2])
def test_free_indices_number_the_axes_by_name_whatever_sympy_sorts_first(power: int) -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    p, q, v = sp.Idx("p", n), sp.Idx("q", n), sp.IndexedBase("v", shape=(n,))
    at = np.array([1.0, 2.0, 5.0])
    kernel = sg.compile(v[q] ** power * v[p] ** 3, args=(v,), outputs="value", backend="numpy")
    np.testing.assert_allclose(kernel(at), np.outer(at**3, at**power))
    kernel = sg.compile(v[q] - v[p], args=(v,), axes=(q, p), outputs="value", backend="numpy")
    np.testing.assert_allclose(kernel(at), at[:, None] - at)
