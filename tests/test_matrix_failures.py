"""What matrix functions refuse, and shapes, samples, sizes and types they have to serve."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad import linalg
from symgrad.errors import BadArgument, BadOption, IndexOutOfRange, NoFactorisation, ShapeMismatch
from symgrad.ir.check import check
from symgrad.ir.evaluate import evaluate
from symgrad.ir.text import parse_program, print_program
from symgrad.pipeline import optimise

n, m, k = sp.symbols("n m k", integer=True, positive=True)
A, B, b = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, k), sp.MatrixSymbol("b", n, 1)
T = sp.MatrixSymbol("T", m, n)
BACKENDS = ("numpy", "llvm", "c")
on_every_target = pytest.mark.parametrize("backend", BACKENDS)
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])


def matrix(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def definite(rows: int, seed: int = 0) -> np.ndarray:
    a = matrix(rows, rows, seed)
    return a @ a.T + np.eye(rows)


# ---- errors ----------------------------------------------------------------------------------------------

FAILURES: dict[str, tuple[Any, str, dict[str, np.ndarray], str]] = {
    "solve": (linalg.solve(A, b), "value", {"A": SINGULAR, "b": np.ones((2, 1))}, "'A' is singular"),
    "inverse": (A.I, "value", {"A": SINGULAR}, "'A' is singular"),
    "triangular": (
        linalg.solve(A, b, assume="lower"), "value", {"A": np.tril([[0.0, 0], [1, 1]]), "b": np.ones((2, 1))},
        "'A' is singular",
    ),
    "solve spd": (
        linalg.solve(A, b, assume="spd"), "value", {"A": INDEFINITE, "b": np.ones((2, 1))},
        "'A' is not positive definite",
    ),
    "cholesky": (linalg.cholesky(A), "value", {"A": INDEFINITE}, "'A' is not positive definite"),
    "cholesky of nan": (linalg.cholesky(A), "value", {"A": np.full((2, 2), np.nan)}, "not positive definite"),
    "logdet spd": (linalg.logdet(A, "spd"), "value", {"A": INDEFINITE}, "'A' is not positive definite"),
    "gradient of a determinant": (sp.Determinant(A), "grad", {"A": SINGULAR}, "'A' is singular"),
    "qr": (linalg.qr(T)[1], "value", {"T": np.ones((3, 2))}, "'T' does not have full column rank"),
    "eigenvalues of inf": (linalg.eigvalsh(A), "value", {"A": np.full((2, 2), np.inf)}, "not finite"),
    "singular values of nan": (linalg.svdvals(T), "value", {"T": np.full((3, 2), np.nan)}, "not finite"),
    "an infinite matrix is not definite": (
        linalg.solve(A, b, assume="spd"), "value", {"A": np.full((2, 2), np.inf), "b": np.ones((2, 1))},
        "not positive definite",
    ),
    "gradient of the largest of equal eigenvalues": (
        linalg.eigvalsh(A)[n - 1, 0], "grad", {"A": np.eye(3)}, "the function tells apart",
    ),
    "gradient of the largest of equal singular values": (
        linalg.svdvals(A)[0, 0], "grad", {"A": np.diag([1.0, -2.0, 2.0])}, "the function tells apart",
    ),
    "Jacobian of equal eigenvalues": (
        linalg.eigvalsh(A), "jac", {"A": np.diag([2.0, 2.0, 3.0])}, "the function tells apart",
    ),
    "eigenvectors' gradient at repeated eigenvalues": (
        linalg.eigh(A)[1][0, 1], "grad", {"A": np.diag([2.0, 2.0, 3.0])}, "repeated values",
    ),
}  # fmt: skip


@on_every_target
@pytest.mark.parametrize("name", FAILURES)
def test_a_matrix_without_a_value_is_an_error_that_names_it(name: str, backend: str) -> None:
    expression, word, arrays, text = FAILURES[name]
    kernel = sg.compile(expression, wrt=None if word == "value" else A, outputs=word, backend=backend)
    with pytest.raises(NoFactorisation, match=text):
        kernel(**arrays)


def test_a_failed_matrix_that_was_computed_is_named_by_its_inputs() -> None:
    kernel = sg.compile(linalg.cholesky(T.T * T - sp.Identity(n)), outputs="value")
    with pytest.raises(np.linalg.LinAlgError, match="the matrix made of 'T' is not positive definite"):
        kernel(np.zeros((3, 2)))


@on_every_target
def test_the_first_bad_sample_is_named(backend: str) -> None:
    kernel = sg.compile(linalg.logdet(A, assume="spd"), outputs="value", backend=backend)
    samples = np.stack([np.eye(2), np.eye(2), INDEFINITE, INDEFINITE])
    np.testing.assert_array_equal(kernel(samples[:2]), [0.0, 0.0])
    with pytest.raises(NoFactorisation) as caught:
        kernel(samples)
    assert backend == "numpy" or "sample (2,)" in caught.value.where


@on_every_target
def test_a_wide_matrix_is_refused_where_columns_must_be_independent(backend: str) -> None:
    kernel = sg.compile(linalg.svdvals(T), outputs="value", backend=backend)
    with pytest.raises(ShapeMismatch, match="'T' has fewer rows than columns"):
        kernel(np.ones((2, 3)))


@on_every_target
def test_the_logarithm_of_a_determinant_has_the_limits_of_the_logarithm(backend: str) -> None:
    kernel = sg.compile([linalg.logdet(A), *linalg.slogdet(A)], outputs="value", backend=backend)
    np.testing.assert_array_equal(kernel(SINGULAR), [-np.inf, 0.0, -np.inf])
    np.testing.assert_allclose(kernel(np.diag([-2.0, 1.0])), [np.nan, -1.0, np.log(2)])


def test_mistakes_are_refused_when_the_expression_is_written() -> None:
    with pytest.raises(ShapeMismatch, match="cholesky of a matrix of shape"):
        linalg.cholesky(T)
    with pytest.raises(ShapeMismatch, match="right side"):
        linalg.solve(A, T)
    with pytest.raises(BadOption, match="assume"):
        linalg.solve(A, b, assume="diagonal")
    with pytest.raises(BadArgument, match="qr of a"):
        linalg.qr(sp.Symbol("x"))
    with pytest.raises(ShapeMismatch, match="fewer rows"):
        linalg.qr(sp.MatrixSymbol("W", 2, 3))


# ---- values, shapes and sizes ------------------------------------------------------------------------------


@cache
def two_solves(backend: str) -> Any:
    loss = linalg.logdet(A) + sp.Trace(linalg.solve(A, B).T * linalg.solve(A, B, "spd"))
    return sg.compile(loss, args=(A, B), wrt=A, outputs=("value", "grad"), backend=backend)


@on_every_target
@pytest.mark.parametrize("rows", [0, 1, 2, 5, 20])
def test_one_kernel_serves_every_size(rows: int, backend: str) -> None:
    kernel = two_solves(backend)
    a, right = definite(rows), matrix(rows, 3, 1)
    x = np.linalg.solve(a, right)
    value, gradient = kernel(a, right)
    np.testing.assert_allclose(value, np.linalg.slogdet(a)[1] + (x * x).sum(), rtol=1e-11, atol=1e-13)
    slope = -np.linalg.solve(a.T, 2 * x) @ x.T
    wanted = np.linalg.inv(a).T + (slope + (slope + slope.T) / 2) / 2 if rows else a
    np.testing.assert_allclose(gradient, wanted, rtol=1e-9, atol=1e-11)


DECOMPOSED = {
    "cholesky": (linalg.cholesky(A), np.linalg.cholesky),
    "eigvalsh": (linalg.eigvalsh(A), lambda a: np.linalg.eigvalsh(a)[:, None]),
    "triangular factor": (linalg.qr(A)[1], lambda a: np.linalg.cholesky(a.T @ a).T),
    "svdvals": (linalg.svdvals(A), lambda a: np.linalg.svd(a)[1][:, None]),
    "solve": (A.I * A.T, lambda a: np.linalg.solve(a, a.T)),
}


@pytest.mark.parametrize("backend", ["llvm", "c"])
@pytest.mark.parametrize("name", DECOMPOSED)
def test_values_of_small_and_large_matrices_in_both_types(name: str, backend: str) -> None:
    expression, wanted = DECOMPOSED[name]
    for dtype, tolerance in ((np.float64, 1e-10), (np.float32, 2e-3)):
        kernel = sg.compile(expression, outputs="value", backend=backend, dtype=dtype)
        for rows in (0, 1, 3, 12, 40) if name != "svdvals" else (1, 3, 12, 40):
            a = definite(rows, rows)
            found = kernel(a.astype(dtype))
            assert found.dtype == dtype
            scale = abs(wanted(a)).max(initial=1.0)
            np.testing.assert_allclose(found, wanted(a), rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_singular_values_of_matrices_of_low_rank_are_found_in_c(dtype: str) -> None:
    kernel = sg.compile(linalg.svdvals(T), outputs="value", backend="c", dtype=dtype)
    thin = matrix(20, 2) @ matrix(2, 15, 1)
    for a in (np.ones((4, 3)), np.ones((9, 8)), thin, np.eye(5, 3), np.zeros((3, 2)), np.diag([1, 1e-20, 0])):
        found, wanted = kernel(a.astype(dtype))[:, 0], np.linalg.svd(a)[1]
        np.testing.assert_allclose(found, wanted, atol=20 * np.finfo(dtype).eps * max(wanted.max(), 1))


@on_every_target
def test_eigenvectors_and_orthogonal_factors_mean_the_same_everywhere(backend: str) -> None:
    kernel = sg.compile(linalg.eigh(A)[1], outputs="value", backend=backend)
    a = definite(12)
    v = kernel(a)
    np.testing.assert_allclose(v.T @ v, np.eye(12), atol=1e-14)
    np.testing.assert_allclose(v.T @ a @ v, np.diag(np.linalg.eigvalsh(a)), atol=1e-12)
    large = abs(v) > 1e-3 * abs(v).max(axis=0)
    assert (v[large.argmax(axis=0), range(12)] > 0).all()
    tall = matrix(14, 5)
    q = sg.compile(linalg.qr(T)[0], outputs="value", backend=backend)(tall)
    np.testing.assert_allclose(q.T @ q, np.eye(5), atol=1e-14)
    assert (np.diagonal(q.T @ tall) > 0).all()


def test_samples_of_every_argument_broadcast() -> None:
    a, right = np.stack([definite(4, s) for s in range(3)]), matrix(4, 1)
    for backend in BACKENDS:
        kernel = sg.compile(linalg.solve(A, b), outputs="value", backend=backend)
        np.testing.assert_allclose(kernel(a, right), np.linalg.solve(a, right[None]), rtol=1e-12)


def test_the_log_determinant_of_400_rows_does_not_overflow() -> None:
    a = 50 * definite(400)
    value, gradient = sg.compile(sp.log(sp.Determinant(A)), wrt=A, outputs=("value", "grad"))(a)
    with np.errstate(over="ignore"):
        assert np.isinf(np.linalg.det(a))
    assert value == pytest.approx(np.linalg.slogdet(a)[1], rel=1e-14)
    np.testing.assert_allclose(gradient, np.linalg.inv(a).T, rtol=1e-8, atol=1e-12)


@on_every_target
def test_sums_over_repeated_values_have_gradients(backend: str) -> None:
    one, a = sp.OneMatrix(1, n), np.diag([2.0, 2.0, 3.0])
    cubes = sp.HadamardPower(linalg.eigvalsh(A), 3)
    logarithms = linalg.svdvals(A).applyfunc(sp.log)
    for expression, wanted in ((one * cubes, 3 * a**2), (one * logarithms, np.linalg.inv(a))):
        gradient = sg.compile(expression[0, 0], wrt=A, outputs="grad", backend=backend)(a)
        np.testing.assert_allclose(gradient, wanted, atol=1e-12)


@on_every_target
def test_the_largest_eigenvalue_has_a_gradient_where_it_is_single(backend: str) -> None:
    kernel = sg.compile(linalg.eigvalsh(A)[n - 1, 0], wrt=A, outputs="grad", backend=backend)
    np.testing.assert_allclose(kernel(np.diag([2.0, 2.0, 3.0])), np.diag([0.0, 0.0, 1.0]), atol=1e-15)


@on_every_target
def test_the_sign_of_a_determinant_of_nan_is_nan(backend: str) -> None:
    kernel = sg.compile(linalg.slogdet(A)[0], outputs="value", backend=backend)
    assert np.isnan(kernel(np.full((2, 2), np.nan)))


# ---- the text form, the checker, the passes ----------------------------------------------------------------


def test_programs_with_matrix_functions_read_back_and_keep_their_values() -> None:
    loss = (
        sp.Trace(linalg.solve(A, B).T * linalg.cholesky(A) * B)
        + linalg.logdet(A)
        + (linalg.eigh(A)[1] * linalg.eigvalsh(A))[0, 0]
    )
    derived = sg.program(loss, args=(A, B), wrt=A).derived(("value", "grad"))
    unit = derived.unit
    for found in (unit, optimise(unit)):
        check(found.graph, found.roots)
        text = print_program(found.graph, dict(found.outputs))
        g, outputs = parse_program(text)
        assert print_program(g, outputs) == text
        arrays = {"A": definite(3), "B": matrix(3, 2)}
        inputs = {t: arrays[g.tensors[t].name] for t in range(len(g.tensors)) if g.tensors[t].kind == "input"}
        value, gradient = evaluate(g, list(outputs.values()), inputs, {"n": 3, "k": 2})
        wanted = sg.compile(loss, args=(A, B), wrt=A, outputs=("value", "grad"), backend="numpy")(**arrays)
        assert value == pytest.approx(wanted[0], rel=1e-12)
        np.testing.assert_allclose(gradient, wanted[1], rtol=1e-11, atol=1e-12)


def test_a_solve_its_gradient_and_a_determinant_share_one_factorisation() -> None:
    loss = (b.T * A.I * b)[0, 0] + sp.log(sp.Determinant(A))
    unit = optimise(sg.program(loss, wrt=A).derived(("value", "grad")).unit)
    calls = [unit.graph.tensors[t].name for t in unit.graph.definitions_below(unit.roots)]
    assert calls.count("lu") == 1 and "inverse" not in calls


@pytest.mark.parametrize("expression", [A.I * b, b.T * A.inv(), b.T * A.I * b, A**-2 * b, (A.I).T * b])
def test_inverses_in_products_become_solves(expression: Any) -> None:
    unit = sg.program(expression, args=(A, b)).derived(("value",)).unit
    names = {unit.graph.tensors[t].name for t in unit.graph.definitions_below(unit.roots)}
    assert names & {"solve", "solve_transposed"} and "inverse" not in names


def test_calls_print_as_they_are_written() -> None:
    w, v = linalg.eigh(A)
    assert str([w, v, linalg.qr(T)[1], linalg.solve(A, b, assume="upper"), linalg.logdet(A)]) == (
        "[eigvalsh(A), eigh(A)[1], qr(T)[1], solve(A, b, assume='upper'), logdet(A)]"
    )
    assert str(sg.program(linalg.logdet(A), wrt=A).value) == "log(Determinant(A))"
    assert str(sg.program(linalg.solve(A, b), args=(A, b)).value) == "A**(-1)*b"


# ---- programs ----------------------------------------------------------------------------------------------


def test_the_marginal_likelihood_of_a_gaussian_process() -> None:
    i, j = sp.symbols("i j", integer=True)
    s, t = sp.symbols("s t", positive=True)
    x, y = sp.MatrixSymbol("x", n, 1), sp.MatrixSymbol("y", n, 1)
    entry = sp.Lambda((i, j), s * sp.exp(-((x[i, 0] - x[j, 0]) ** 2)) + t * sp.KroneckerDelta(i, j))
    K = sp.FunctionMatrix(n, n, entry)
    loss = sp.Trace(y.T * linalg.solve(K, y, assume="spd")) / 2 + linalg.logdet(K, assume="spd") / 2
    at, target = matrix(15, 1, 4), matrix(15, 1, 5)
    for backend in BACKENDS:
        kernel = sg.compile(loss, args=(s, t, x, y), wrt=(s, t), outputs=("value", "grad"), backend=backend)
        value, gradient = kernel(1.5, 0.3, at, target)
        E = np.exp(-((at - at.T) ** 2))
        inside = np.linalg.inv(1.5 * E + 0.3 * np.eye(15))
        a = inside @ target
        wanted = [(np.trace(inside @ D) - (a.T @ D @ a)[0, 0]) / 2 for D in (E, np.eye(15))]
        np.testing.assert_allclose(gradient, wanted, rtol=1e-11)
        whole = (target.T @ a)[0, 0] / 2 - np.linalg.slogdet(inside)[1] / 2
        assert value == pytest.approx(whole, rel=1e-12)


def test_the_penalty_of_a_ridge_regression_has_a_gradient_through_its_solution() -> None:
    p = sp.Symbol("p", positive=True)
    X, y = sp.MatrixSymbol("X", m, n), sp.MatrixSymbol("y", m, 1)
    w = linalg.solve(X.T * X + p * sp.Identity(n), X.T * y, assume="spd")
    error = sp.Trace((X * w - y).T * (X * w - y))
    data, target = matrix(20, 6), matrix(20, 1, 1)
    for backend in BACKENDS:
        slope, curvature = sg.compile(
            error, args=(p, X, y), wrt=p, outputs=("grad", "hess"), backend=backend
        )(0.7, data, target)
        M = data.T @ data + 0.7 * np.eye(6)
        best = np.linalg.solve(M, data.T @ target)
        first = -np.linalg.solve(M, best)
        second = -2 * np.linalg.solve(M, first)
        rest = data @ best - target
        assert slope == pytest.approx(2 * (rest.T @ data @ first)[0, 0], rel=1e-10)
        wanted = 2 * ((data @ first).T @ (data @ first) + rest.T @ data @ second)[0, 0]
        assert curvature == pytest.approx(wanted, rel=1e-9)


def test_an_exported_routine_reports_failure_by_its_status(tmp_path: Path) -> None:
    sg.export_c(linalg.logdet(A, assume="spd"), "definite", tmp_path, wrt=A)
    assert "1: the matrix made of 'A' is not positive definite" in (tmp_path / "definite.c").read_text()
    subprocess.run(["make", "-s", "-C", str(tmp_path)], check=True)
    printed = subprocess.run([str(tmp_path / "definite_main")], check=True, capture_output=True, text=True)
    lines = dict(line.split(" = ") for line in printed.stdout.splitlines())
    assert lines["status[0]"] == "1" and "nan" in lines["value[0]"]


@on_every_target
def test_an_element_outside_of_the_result_of_a_function_is_refused(backend: str) -> None:
    for expression in (linalg.cholesky(A)[1, 0], linalg.eigvalsh(A)[n - 2, 0], A.I[0, 1]):
        kernel = sg.compile(expression, outputs="value", backend=backend)
        assert np.isfinite(kernel(definite(2)))
        with pytest.raises(IndexOutOfRange, match="leaves its array"):
            kernel(np.eye(1))
