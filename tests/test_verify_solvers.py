"""`verify` of matrix functions, recurrences and solvers: points with values, exact numbers there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad import linalg
from symgrad.errors import BadArgument
from symgrad.ir.matrix.values import VALUES

n, m = sp.symbols("n m", integer=True, positive=True)
A, D, T = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("D", n, n), sp.MatrixSymbol("T", m, n)
F, b = sp.MatrixSymbol("F", n, 1), sp.MatrixSymbol("b", n, 1)
x, steps = sp.Symbol("x", real=True), sp.Symbol("steps", integer=True, positive=True)
WORDS = ("value", "grad", "hess")

VERIFIED: dict[str, Any] = {
    "a definite matrix is drawn": sg.program(linalg.logdet(A, assume="spd"), wrt=A),
    "so is a tall one": sg.program(sp.Trace(F.T * linalg.svdvals(T)), wrt=T),
    "eigenvectors": sg.program(sp.Trace(D.T * linalg.eigh(A)[1]), wrt=A),
    "a recurrence of one number": sg.program(
        sg.scan(lambda s, t: sp.sin(s) * x, init=x, length=steps).final, wrt=x
    ),
}


@pytest.mark.parametrize("name", VERIFIED)
def test_every_method_agrees_where_a_matrix_or_a_recurrence_has_a_value(name: str) -> None:
    report = sg.verify(VERIFIED[name], outputs=WORDS)
    assert report.ok, report.table
    used = {row.method for row in report.rows if row.result == "ok"}
    assert {"central differences", "complex step", "50 digits"} <= used


def test_a_matrix_that_never_has_a_value_is_said_to_have_none() -> None:
    with pytest.raises(BadArgument, match="no point was found"):
        sg.verify(linalg.logdet(-A.T * A, assume="spd"), wrt=A)


def test_a_derivative_that_is_zero_everywhere_is_right_beside_the_rounding_of_many_digits() -> None:
    p, q = sp.symbols("p q", positive=True)
    report = sg.verify(sp.lowergamma(p, q) + sp.uppergamma(p, q), wrt=q, outputs=WORDS)
    assert report.ok, report.table
    assert [a.output for a in report.accuracy] == ["value"]  # of zeros no digits are counted


@pytest.mark.parametrize("expression", [sp.Trace(b.T * linalg.solve(A, b)), sp.Trace(linalg.cholesky(A))])
def test_an_exported_file_that_reports_failures_is_verified(expression: Any, tmp_path: Path) -> None:
    sg.export_c(expression, "checked", tmp_path, wrt=A, outputs=("value", "grad"))
    report = sg.verify(expression, wrt=A, against=tmp_path / "checked.c")
    assert report.ok, report.table


@pytest.mark.parametrize("rows", [2, 5])
def test_complex_numbers_go_through_eigenvectors_and_singular_values_to_the_last_digits(rows: int) -> None:
    rng, step = np.random.default_rng(rows), 1e-30
    a, dot = (x + x.T for x in rng.normal(size=(2, rows, rows)))
    w, v = np.linalg.eigh(a)
    inside = v.T @ dot @ v
    with np.errstate(divide="ignore"):
        gaps = np.where(np.eye(rows) > 0, 0.0, 1 / (w[None] - w[:, None]))
    values = VALUES["eigenvalues"](a + 1j * step * dot)
    np.testing.assert_allclose(values.imag / step, np.diag(inside), rtol=1e-12, atol=1e-12)
    vectors = VALUES["eigenvectors"](a + 1j * step * dot)
    wanted = v @ (gaps * inside) * np.sign(vectors.real[0] * v[0])
    np.testing.assert_allclose(vectors.imag / step, wanted, rtol=1e-11, atol=1e-12)
    tall, moved = rng.normal(size=(2, rows + 2, rows))
    u, _, vt = np.linalg.svd(tall, full_matrices=False)
    values = VALUES["singular_values"](tall + 1j * step * moved)
    np.testing.assert_allclose(values.imag / step, np.diag(u.T @ moved @ vt.T), rtol=1e-11, atol=1e-12)


def test_operations_are_counted_where_conditions_multiply_indices_by_sizes() -> None:
    kernel = sg.compile(sp.Trace(F.T * linalg.svdvals(T)), wrt=T, outputs="hess", backend="numpy")
    small, large = (kernel.ops(n=k, m=k + 1)["before"] for k in (3, 6))
    assert 0 < small < large


@pytest.mark.parametrize("values", [linalg.eigvalsh(A), linalg.svdvals(A)])
def test_a_symmetric_function_of_repeated_values_is_verified_there(values: Any) -> None:
    cubes = (sp.OneMatrix(1, n) * sp.HadamardPower(values, 3))[0, 0]
    report = sg.verify(cubes, wrt=A, at={A: np.diag([2.0, 2.0, 3.0])}, outputs=("value", "grad"))
    assert report.ok, report.table
    assert any(row.method == "complex step" and row.result == "ok" for row in report.rows)


@pytest.mark.parametrize("power", [3, 4, 5])
def test_a_derivative_that_vanishes_at_the_point_is_right_beside_the_error_of_the_step(power: int) -> None:
    assert sg.verify(x**power, at={x: 0.0}, outputs=WORDS).ok
    report = sg.verify(x**power, at={x: 0.0}, grad=lambda x: 1e-9)
    assert {"50 digits", "complex step"} <= {row.method for row in report.rows if row.result == "FAILED"}
