"""Sparse Jacobians and Hessians: values against SymPy at 40 digits, patterns against its zeros."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
import sympy as sp
from sparse_problems import PROBLEMS, Problem, i, k, n, x
from tolerances import assert_close

import symgrad as sg
from symgrad.errors import BadArgument, BadOption, IndexOutOfRange, ShapeMismatch

BACKENDS = ("numpy", "llvm", "c")
TYPES = {"csc": scipy.sparse.csc_array, "csr": scipy.sparse.csr_array, "coo": scipy.sparse.coo_array}


def compiled(p: Problem, backend: str = "llvm", sparse: str | None = "csc", **options: Any) -> Any:
    axes = {} if p.axes is None else {"axes": p.axes}
    return sg.compile(
        p.expr, args=p.args, wrt=p.wrt, outputs=p.word, backend=backend, sparse=sparse, **options, **axes
    )


def stored(matrix: Any) -> set[tuple[int, int]]:
    coo = matrix.tocoo()
    return set(zip(coo.coords[0].tolist(), coo.coords[1].tolist(), strict=True))


def nonzeros(dense: np.ndarray) -> set[tuple[int, int]]:
    return set(map(tuple, np.argwhere(dense).tolist()))


# ---- values and patterns -----------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_sparse_derivatives_are_those_of_sympy_and_store_no_zeros(name, backend):
    p = PROBLEMS[name]
    found = compiled(p, backend)(*p.values)
    assert_close(found.toarray(), p.exact)
    assert stored(found) == nonzeros(p.exact)
    assert found.nnz == len(nonzeros(p.exact))


@pytest.mark.parametrize("stored_as", TYPES)
@pytest.mark.parametrize("name", ["broyden_jacobian", "bundle_hess"])
def test_results_are_scipy_arrays_in_canonical_form(name, stored_as):
    p = PROBLEMS[name]
    found = compiled(p, sparse=stored_as, dtype="float32")(*p.values)
    assert type(found) is TYPES[stored_as]
    assert found.dtype == np.float32
    assert found.shape == p.exact.shape
    assert found.has_canonical_format
    again = TYPES[stored_as](found)
    again.has_canonical_format = False
    again.sum_duplicates()
    np.testing.assert_array_equal(again.data, found.data)
    assert_close(found.toarray(), p.exact, "float32")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["rosenbrock", "lennard_jones", "random_pattern", "bundle_gauss_newton"])
def test_the_lower_triangle_alone_when_asked(name, backend):
    p = PROBLEMS[name]
    found = compiled(p, backend, triangle="lower")(*p.values)
    assert_close(found.toarray(), np.tril(p.exact))
    assert stored(found) == nonzeros(np.tril(p.exact))


@pytest.mark.parametrize("name", PROBLEMS)
def test_full_matrices_are_exactly_symmetric_and_their_lower_half_is_the_lower_triangle(name):
    p = PROBLEMS[name]
    if p.word == "jac":
        assert (compiled(p)(*p.values).toarray() == compiled(p, sparse="csr")(*p.values).toarray()).all()
        return
    full = compiled(p)(*p.values).toarray()
    assert (full == full.T).all()
    assert (np.tril(full) == compiled(p, triangle="lower")(*p.values).toarray()).all()


def test_rosenbrock_1000_is_right_to_the_last_places_and_costs_a_multiple_of_n():
    p = PROBLEMS["rosenbrock"]
    kernel = compiled(p, triangle="lower")
    v = np.random.default_rng(0).normal(size=1000)
    with mpmath.workdps(30):
        e = [mpmath.mpf(t) for t in v.tolist()]
        below = [float(-400 * t) for t in e[:-1]]
        main = [1200 * t**2 - 400 * s + 2 for t, s in pairwise(e)] + [mpmath.mpf(0)]
        diagonal = [float(t + (200 if q else 0)) for q, t in enumerate(main)]
    found = kernel(v)
    assert found.nnz == 1999
    np.testing.assert_array_equal(found.diagonal(-1), below)
    np.testing.assert_allclose(found.diagonal(), diagonal, rtol=4e-15, atol=1e-12)
    small, large = (kernel.ops(n=size)["after"] for size in (1000, 2000))
    assert small < 20 * 1000
    assert large < 2.1 * small


@pytest.mark.parametrize("backend", BACKENDS)
def test_entries_that_are_sums_over_nothing_are_not_stored(backend):
    y = sp.IndexedBase("y", shape=(2 * n,))  # only the first half of y is read, and by x[0] nothing of it
    expr = sp.Sum((x[i] - y[k]) ** 4, (k, 0, i - 1), (i, 0, n - 1))
    kernel = sg.compile(expr, args=(x, y), wrt=(x, y), outputs="hess", sparse="csr", backend=backend)
    found = kernel(np.array([1.0, 2.0, np.inf]), np.array([5.0, 6.0, np.nan, 1.0, 1.0, 1.0]))
    assert stored(found) == {(1, 1), (2, 2), (3, 3), (4, 4), (1, 3), (3, 1), (2, 3), (3, 2), (2, 4), (4, 2)}
    assert found[1, 1] == 12 * (2 - 5) ** 2
    assert kernel(np.ones(1), np.ones(2)).nnz == 0


@pytest.mark.parametrize("n_value", [0, 1, 2])
def test_small_and_empty_sizes(n_value):
    found = compiled(PROBLEMS["rosenbrock"])(np.zeros(n_value))
    assert found.shape == (n_value, n_value)
    assert found.nnz == {0: 0, 1: 0, 2: 4}[n_value]


# ---- scalars -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("word", ["jac", "hess", "gauss_newton"])
def test_scalar_expressions_have_patterns_known_at_compile_time(word, backend):
    v = sp.symbols("v:6", real=True)
    residuals = [v[q + 1] - sp.sin(v[q]) * v[0] for q in range(5)]
    expr = sum(r**2 for r in residuals) if word == "hess" else sp.Matrix(residuals)
    kernel = sg.compile(expr, args=v, wrt=v, outputs=word, backend=backend, sparse="csr")
    at = np.random.default_rng(1).normal(size=6)
    matrix = sp.hessian(expr, v) if word == "hess" else sp.Matrix(residuals).jacobian(v)
    matrix = matrix.T * matrix if word == "gauss_newton" else matrix
    exact = np.array(matrix.subs(dict(zip(v, at, strict=True))).evalf(30).tolist(), dtype=float)
    found = kernel(*at)
    assert_close(found.toarray(), exact)
    assert stored(found) == stored(kernel.sparsity()) == nonzeros(exact)


def test_a_residual_with_axes_by_scalars():
    p, q = sp.symbols("p q", real=True)
    t = sp.IndexedBase("t", shape=(n,))
    model = p * sp.exp(q * t[i])
    times = np.linspace(0, 1, 5)
    options = {"args": (p, q, t), "wrt": (p, q), "axes": (i,)}
    jac = sg.compile(model, outputs="jac", sparse="csc", **options)(2.0, 0.5, times)
    exact = np.stack([np.exp(0.5 * times), 2 * times * np.exp(0.5 * times)], axis=1)
    assert_close(jac.toarray(), exact)
    product = sg.compile(model, outputs="gauss_newton", **options)(2.0, 0.5, times)
    assert_close(product, exact.T @ exact)


# ---- patterns ----------------------------------------------------------------------------------


def test_the_pattern_follows_the_integers_of_each_call():
    p = PROBLEMS["random_pattern"]
    kernel = compiled(p)
    v, first, second = p.values
    moved = first.copy()
    moved[0] = (moved[0] + 1) % 9
    one, two, again = kernel(v, first, second), kernel(v, moved, second), kernel(v, first, second)
    assert stored(one) != stored(two)
    assert stored(two) == stored(kernel.sparsity(n=9, m=12, a=moved, b=second))
    np.testing.assert_array_equal(one.toarray(), again.toarray())


def test_integers_changed_in_place_are_noticed():
    p = PROBLEMS["random_pattern"]
    kernel, dense = compiled(p), compiled(p, sparse=None)
    v, first, second = (np.array(t) for t in p.values)
    kernel(v, first, second)
    first[:] = first[::-1].copy()
    assert_close(kernel(v, first, second).toarray(), dense(v, first, second))


def test_results_own_their_memory():
    p = PROBLEMS["rosenbrock"]
    kernel = compiled(p)
    one = kernel(*p.values)
    one.data[:] = 0
    one.eliminate_zeros()
    two = kernel(*p.values)
    assert_close(two.toarray(), p.exact)


def test_kernels_with_sparse_results_pickle():
    p = PROBLEMS["random_pattern"]
    kernel = compiled(p, "numpy")
    again = pickle.loads(pickle.dumps(kernel))
    np.testing.assert_array_equal(again(*p.values).toarray(), kernel(*p.values).toarray())
    assert again.arguments == ("x", "a", "b")


def test_several_words_share_a_kernel():
    p = PROBLEMS["rosenbrock"]
    kernel = sg.compile(p.expr, args=p.args, wrt=x, outputs=("value", "hess", "grad"), sparse="csc")
    value, hess, grad = kernel(*p.values)
    plain = sg.compile(p.expr, args=p.args, wrt=x, outputs=("value", "grad"))
    assert value == plain(*p.values)[0]
    assert_close(grad, plain(*p.values)[1])
    assert_close(hess.toarray(), p.exact)
    both = sg.compile(PROBLEMS["broyden_jacobian"].expr, wrt=x, axes=(i,), sparse="csr",
                      outputs=("jac", "gauss_newton"))  # fmt: skip
    patterns = both.sparsity(n=5)
    assert list(patterns) == ["jac", "gauss_newton"]
    assert patterns["jac"].nnz == 13


def test_operation_counts_and_workspace_need_only_the_sizes_of_the_user():
    kernel = compiled(PROBLEMS["random_pattern"])
    assert kernel.ops(n=9, m=12)["after"] > 0
    assert kernel.workspace(n=9, m=12) >= 0
    assert "places" not in repr(kernel)


# ---- diagonals and Gauss-Newton products -------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [q for q in PROBLEMS if PROBLEMS[q].word == "hess"])
def test_the_diagonal_alone(name, backend):
    p = PROBLEMS[name]
    kernel = sg.compile(p.expr, args=p.args, wrt=p.wrt, outputs="hess_diag", backend=backend)
    found = kernel(*p.values)
    parts, wrt = (found, p.wrt) if isinstance(p.wrt, tuple) else ((found,), (p.wrt,))
    wanted = [v for s, v in zip(p.args, p.values, strict=True) if s in wrt]
    assert [part.shape for part in parts] == [v.shape for v in wanted]
    assert_close(np.concatenate([part.ravel() for part in parts]), np.diag(p.exact))


def test_the_diagonal_of_rosenbrock_never_sees_a_square():
    p = PROBLEMS["rosenbrock"]
    unit = sg.program(p.expr, args=p.args, wrt=x).derived(("hess_diag",)).unit
    g = unit.graph
    loops = [len(g.tensors[t].out) + len(g.tensors[t].red) for t in g.definitions_below(unit.roots)]
    assert max(loops) == 1


def test_the_diagonal_by_scalars():
    u, v = sp.symbols("u v", real=True)
    kernel = sg.compile(sp.sin(u) * v**3, args=(u, v), wrt=(u, v), outputs="hess_diag")
    np.testing.assert_allclose(kernel(0.3, 0.7), [-np.sin(0.3) * 0.7**3, np.sin(0.3) * 6 * 0.7], rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gauss_newton_products_with_a_direction(backend):
    p = PROBLEMS["bundle_gauss_newton"]
    kernel = sg.compile(
        p.expr, args=p.args, wrt=p.wrt, axes=p.axes, outputs=("gnvp", "gauss_newton"), backend=backend
    )
    rng = np.random.default_rng(5)
    direction = (rng.normal(size=(3, 3)), rng.normal(size=(4, 2)))
    product, blocks = kernel(*p.values, tangent=direction)
    flat = np.concatenate([t.ravel() for t in direction])
    assert_close(np.concatenate([t.ravel() for t in product]), p.exact @ flat)
    dense = np.block([[blocks[0][0].reshape(9, 9), blocks[0][1].reshape(9, 8)],
                      [blocks[1][0].reshape(8, 9), blocks[1][1].reshape(8, 8)]])  # fmt: skip
    assert_close(dense, p.exact)


def test_gauss_newton_products_by_scalars():
    u, v = sp.symbols("u v", real=True)
    residuals = sp.Matrix([u * v, sp.sin(u), u - v])
    at, direction = (0.3, 0.7), np.array([1.0, -2.0])
    jacobian = np.array(residuals.jacobian([u, v]).subs({u: at[0], v: at[1]}).tolist(), float)
    product, matrix = sg.compile(residuals, args=(u, v), wrt=(u, v), outputs=("gnvp", "gauss_newton"))(
        *at, tangent=direction
    )
    assert_close(product, jacobian.T @ jacobian @ direction)
    assert_close(matrix, jacobian.T @ jacobian)


# ---- elsewhere ---------------------------------------------------------------------------------


def test_newton_with_sparse_hessians_minimises_ten_thousand_variables():
    expr = sp.Sum((x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 4 / 4, (i, 0, n - 2)) + (x[0] + 1) ** 2
    start = {x: np.random.default_rng(2).uniform(0.5, 1.5, 10_000)}
    fit = sg.minimize(expr, start, method=sg.optim.Newton(sparse=True), tol=1e-9)
    assert fit.success
    assert fit.nit < 60
    assert np.abs(fit.jac[x]).max() <= 1e-9


@pytest.mark.parametrize("sparse", [True, False])
def test_sparse_and_dense_newton_leave_regions_of_negative_curvature(sparse):
    expr = (
        sp.Sum(x[i] ** 4 - x[i] ** 2 + x[i] / 10 + (x[i + 1] - x[i]) ** 2 / 8, (i, 0, n - 2)) + x[n - 1] ** 4
    )
    start = {x: np.linspace(-0.2, 0.3, 30)}
    fit = sg.minimize(expr, start, method=sg.optim.Newton(sparse=sparse))
    assert fit.success
    curvature = sg.compile(expr, wrt=x, outputs="hess")(fit.x[x])
    assert np.linalg.eigvalsh(curvature).min() > -1e-6


def test_scipy_takes_sparse_hessians():
    p = PROBLEMS["rosenbrock"]
    problem = sg.scipy_problem(p.expr, {x: np.full(20, 0.9)}, method="trust-constr", sparse="csc")
    assert scipy.sparse.issparse(problem.hess(problem.x0))
    result = scipy.optimize.minimize(**problem, options={"gtol": 1e-8})
    np.testing.assert_allclose(problem.unpack(result.x)[x], 1.0, atol=1e-5)
    with pytest.raises(BadOption, match="takes no sparse matrix"):
        sg.scipy_problem(p.expr, {x: np.full(20, 0.9)}, method="dogleg", sparse="csc")


@pytest.mark.parametrize("name", ["rosenbrock", "bundle_jac"])
@pytest.mark.parametrize("triangle", ["full", "lower"])
def test_sparse_kernels_are_verified(name, triangle):
    p = PROBLEMS[name]
    report = sg.verify(compiled(p, triangle=triangle), at=dict(zip(p.args, p.values, strict=True)))
    assert report.ok


def test_scipy_takes_sparse_jacobians_of_residuals():
    p = PROBLEMS["broyden_jacobian"]
    program = sg.program(p.expr, wrt=x, axes=p.axes)
    problem = sg.scipy_problem(program, {x: np.full(30, -1.0)}, method="trf", sparse="csr")
    assert problem.jac(problem.x0).nnz == 88
    result = scipy.optimize.least_squares(**problem)
    assert np.abs(result.fun).max() < 1e-8


# ---- errors ------------------------------------------------------------------------------------


def test_what_sparse_kernels_refuse():
    p = PROBLEMS["random_pattern"]
    kernel = compiled(p)
    v, first, second = p.values
    with pytest.raises(ShapeMismatch, match="has shape"):
        kernel(np.stack([v, v]), first, second)
    with pytest.raises(BadOption, match="out="):
        kernel(v, first, second, out=np.zeros(3))
    with pytest.raises(IndexOutOfRange, match="'a' holds the index 9"):
        kernel(v, np.full_like(first, 9), second)
    with pytest.raises(IndexOutOfRange, match="'a' holds the index 9"):
        kernel.sparsity(n=9, m=12, a=np.full_like(first, 9), b=second)
    with pytest.raises(BadArgument, match="array 'b' is missing"):
        kernel.sparsity(n=9, m=12, a=first)
    with pytest.raises(BadArgument, match="size 'm' is missing"):
        kernel.sparsity(n=9, a=first, b=second)
    with pytest.raises(BadOption, match="sparse is 'bsr'"):
        compiled(p, sparse="bsr")
    with pytest.raises(BadOption, match="triangle is 'upper'"):
        compiled(p, triangle="upper")
    with pytest.raises(BadOption, match="triangle without sparse"):
        compiled(p, sparse=None, triangle="lower")
    with pytest.raises(BadOption, match="standalone C has no sparse outputs"):
        sg.export_c(p.expr, "pattern", wrt=x, outputs="hess", sparse="csc")
    with pytest.raises(BadOption, match="sparse without a matrix"):
        sg.compile(p.expr, wrt=x, outputs="grad", sparse="csc")


def test_names_that_a_user_took_are_left_alone():
    odd = sp.IndexedBase("places_hess_0", shape=(sp.Symbol("entries_hess", integer=True, positive=True),))
    size = odd.shape[0]
    expr = sp.Sum(odd[i] ** 3, (i, 0, size - 1))
    found = sg.compile(expr, wrt=odd, outputs="hess", sparse="csc")(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(found.toarray(), np.diag([6.0, 12.0]))
