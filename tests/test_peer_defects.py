"""What the code generators of other systems get wrong or refuse, and what symgrad makes instead.

The cases are those that a survey of SymPy's printers, SymEngine, CasADi, JAX, PyTorch, PyTensor and heyoka
found; `test_sympy_defects` has the ones about derivatives alone. Numbers are compared with NumPy's or
mpmath's, never with SymPy's.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy import MatrixSymbol, Sum, Trace

import symgrad as sg
from symgrad.errors import MissingCompiler, UnknownFunction, UnsupportedExpression

n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
free = sp.Idx("i", n)
a, b = sp.symbols("a b")
x, w = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("w", shape=(n,))
A, B, v = MatrixSymbol("A", n, d), MatrixSymbol("B", n, n), MatrixSymbol("v", d, 1)

_rng = np.random.default_rng(11)
POINTS, WEIGHTS = _rng.normal(size=5), _rng.normal(size=5)
MATRIX, VECTOR, SQUARE = _rng.normal(size=(4, 3)), _rng.normal(size=(3, 1)), _rng.normal(size=(3, 3))


def body_of(kernel: Any) -> str:
    """The lines of the C function that computes one sample."""
    found = re.search(r"^void kernel\([^;{]*\)\n\{\n(.*?)^\}", kernel.source, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


# ---- SymPy's C code ------------------------------------------------------------------------------


def test_the_c_of_a_sum_over_indices_is_one_loop() -> None:
    kernel = sg.compile(Sum(x[i] * w[i] ** 2, (i, 0, n - 1)), args=(x, w), outputs="value", backend="c")
    assert kernel(POINTS, WEIGHTS) == pytest.approx(POINTS @ WEIGHTS**2, rel=1e-14)
    assert body_of(kernel).count("for (") == 1
    assert "Sum" not in kernel.source


def test_the_c_of_the_derivative_of_a_sum_is_one_loop_without_a_kronecker_delta() -> None:
    kernel = sg.compile(Sum(x[i] ** 3 * w[i], (i, 0, n - 1)), args=(x, w), wrt=x, outputs="grad", backend="c")
    np.testing.assert_allclose(kernel(POINTS, WEIGHTS), 3 * POINTS**2 * WEIGHTS, rtol=1e-14)
    assert body_of(kernel).count("for (") == 1
    assert "if (" not in body_of(kernel) and "Delta" not in kernel.source


def test_the_c_of_the_derivative_of_a_sum_by_one_element_is_its_term() -> None:
    slope = sp.Derivative(Sum(x[i] ** 3 * w[i], (i, 0, n - 1)), x[2], evaluate=False)
    kernel = sg.compile(slope, args=(x, w), outputs="value", backend="c")
    assert kernel(POINTS, WEIGHTS) == pytest.approx(3 * POINTS[2] ** 2 * WEIGHTS[2], rel=1e-14)
    assert "for (" not in body_of(kernel)


def test_the_c_of_a_product_of_elements_with_one_index_is_one_loop_and_no_einstein_sum() -> None:
    kernel = sg.compile(x[free] * w[free], args=(x, w), outputs="value", backend="c")
    np.testing.assert_array_equal(kernel(POINTS, WEIGHTS), POINTS * WEIGHTS)
    assert body_of(kernel).count("for (") == 1


def test_the_c_of_a_matrix_times_a_vector_compiles_and_fills_an_array() -> None:
    kernel = sg.compile(A * v, args=(A, v), outputs="value", backend="c")
    np.testing.assert_allclose(kernel(MATRIX, VECTOR), MATRIX @ VECTOR, rtol=1e-14)
    assert "double *restrict value" in kernel.source  # an array argument, and nothing is returned
    assert not re.search(r"^double kernel", kernel.source, re.MULTILINE)


_EXPORT = """
import sys, sympy as sp, symgrad as sg
n, d = sp.symbols("n d", integer=True, positive=True)
A, v = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("v", d, 1)
sg.export_c(A * v, "product", outputs="value", directory=sys.argv[1])
"""


def test_the_outputs_of_exported_c_have_names_without_a_hash(tmp_path: Path) -> None:
    texts = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", _EXPORT, str(tmp_path / seed)], env=environment, check=True)
        texts.append([(tmp_path / seed / name).read_bytes() for name in ("product.c", "product.h")])
    assert texts[0] == texts[1]
    header = texts[0][1].decode()
    assert "double *value," in header
    assert "out_" not in header


@pytest.mark.parametrize("divisor", [2, -3])
def test_the_c_of_mod_has_the_sign_of_the_divisor(divisor: int) -> None:
    kernel = sg.compile(sp.Mod(a, divisor), args=(a,), outputs="value", backend="c")
    for number in (-3.5, -2.0, -0.5, 0.0, 0.25, 2.0, 7.5):
        assert kernel(number) == number % divisor  # Python's, like SymPy's, is that of floor


# ---- SymPy's other ways to machine code ----------------------------------------------------------


def test_machine_code_needs_no_compiler_and_is_called_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc")
    kernel = sg.compile(a**2 + 3 * b, args=(a, b), wrt=(a, b), outputs="value", name="sum_of_two")
    assert kernel(2.0, 1.0) == 7.0
    assert kernel.address > 0
    numbers = [ctypes.c_double(value) for value in (2.0, 1.0, 0.0)]
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(kernel.address)
    call(*(ctypes.addressof(number) for number in numbers))  # two inputs and the output
    assert numbers[2].value == 7.0


def test_a_missing_tool_chain_is_named_with_the_way_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(MissingCompiler, match="CC=/nowhere/cc does not run") as caught:
        sg.compile(sp.sin(a) / 7919, args=(a,), backend="c")
    assert 'backend="llvm"' in str(caught.value)


# ---- derivatives that SymPy, SymEngine and others cannot print, or get wrong ----------------------


def test_a_derivative_of_abs_that_sympy_left_undone_is_the_sign() -> None:
    slope = sp.Derivative(sp.Abs(a), a, evaluate=False)
    kernel = sg.compile(slope, args=(a,), outputs="value", backend="c")
    assert [kernel(number) for number in (-2.0, 0.0, 3.0)] == [-1.0, 0.0, 1.0]


def test_a_derivative_of_abs_in_real_and_imaginary_parts_is_the_sign() -> None:
    slope = sp.Abs(a).diff(a)  # SymPy takes a to be complex here, and derives re(a) and im(a)
    assert slope.has(sp.Derivative)
    kernel = sg.compile(slope, args=(a,), outputs="value")
    assert [kernel(number) for number in (-2.0, 3.0)] == [-1.0, 1.0]


def test_a_second_derivative_of_abs_is_zero_in_c_and_a_delta_of_sympy_is_refused() -> None:
    for expr in (sp.Abs(a), a * sp.sign(a)):
        kernel = sg.compile(expr, args=(a,), wrt=a, outputs="hess", backend="c")
        assert [float(kernel(number)) for number in (-2.0, 0.0, 3.0)] == [0.0, 0.0, 0.0]
    real = sp.Symbol("r", real=True)
    with pytest.raises(UnknownFunction, match="DiracDelta"):
        sg.compile(sp.Abs(real).diff(real, 2), args=(real,))


def test_derivatives_of_max_of_abs_are_numbers_where_symengine_leaves_them_undone() -> None:
    kernel = sg.compile(sp.Max(sp.Abs(a), b), args=(a, b), wrt=(a, b), outputs="grad", backend="c")
    np.testing.assert_array_equal(kernel(-3.0, 2.0), [-1.0, 0.0])
    np.testing.assert_array_equal(kernel(-1.0, 2.0), [0.0, 1.0])


GUARDED = {
    "Piecewise": sp.Piecewise((sp.sqrt(a), a > 0), (0, True)),
    "Where": sg.Where(a > 0, sp.sqrt(a), 0),
    "log in Piecewise": sp.Piecewise((a * sp.log(a), a > 0), (0, True)),
    "quotient in Where": sg.Where(sp.Ne(a, -1), 0, 1 / (a + 1)) + sg.Where(a < 0, 0, sp.sqrt(a)),
}


@pytest.mark.parametrize("backend", ["numpy", "llvm", "c"])
@pytest.mark.parametrize("name", GUARDED)
def test_the_derivatives_of_a_branch_not_taken_are_zero_and_not_nan(name: str, backend: str) -> None:
    words = ("value", "grad", "hess")
    kernel = sg.compile(GUARDED[name], args=(a,), wrt=a, outputs=words, backend=backend)
    point = -1.0 if name != "quotient in Where" else -2.0
    assert [float(part) for part in kernel(point)] == [0.0, 0.0, 0.0]


def test_products_of_derivatives_of_a_branch_not_taken_are_zero_as_well() -> None:
    kernel = sg.compile(GUARDED["Where"], args=(a,), wrt=(a,), outputs=("jvp", "hvp"))
    assert [float(np.ravel(part)[0]) for part in kernel(-1.0, tangent=np.ones(1))] == [0.0, 0.0]


def test_logarithms_of_sums_of_exponentials_are_finite_and_right_to_the_last_digits() -> None:
    expr = sp.log(sp.exp(a) + sp.exp(b))
    for backend in ("numpy", "llvm", "c"):
        kernel = sg.compile(expr, args=(a, b), wrt=(a, b), outputs=("value", "grad"), backend=backend)
        for at in ((800.0, 800.0), (800.0, 799.0), (-800.0, -803.0), (1000.0, -1000.0)):
            with mpmath.workdps(40):
                exact = mpmath.log(mpmath.exp(at[0]) + mpmath.exp(at[1]))
                shares = [mpmath.exp(mpmath.mpf(t) - exact) for t in at]
            value, slopes = kernel(*at)
            assert value == pytest.approx(float(exact), rel=1e-15)
            np.testing.assert_allclose(slopes, [float(s) for s in shares], rtol=1e-12, atol=1e-300)


# ---- tensors ---------------------------------------------------------------------------------------


def test_the_derivative_of_a_determinant_inside_an_expression_is_no_zero_array() -> None:
    slope = Trace(sg.grad(sp.Determinant(B), B).T * B)  # n det(B)
    for backend in ("llvm", "c"):
        found = sg.compile(slope, args=(B,), outputs="value", backend=backend)(SQUARE)
        assert found == pytest.approx(3 * np.linalg.det(SQUARE), rel=1e-13)


@pytest.mark.parametrize(
    "slope",
    [sp.Determinant(B).diff(B), sp.Derivative(sp.Determinant(B), B, evaluate=False)],
    ids=["diff", "Derivative"],
)
def test_a_derivative_of_a_determinant_that_sympy_left_undone_is_a_matrix(slope: Any) -> None:
    expected = np.linalg.det(SQUARE) * np.linalg.inv(SQUARE).T
    np.testing.assert_allclose(sg.compile(slope, outputs="value")(SQUARE), expected, rtol=1e-12)


def test_a_derivative_by_a_matrix_that_sympy_takes_for_a_scalar_is_refused() -> None:
    slope = sp.Determinant(B).diff(B)
    assert (B * slope).args[0] == slope  # moved to the front
    for expr in (B * slope, a * slope, sp.Derivative(sp.Determinant(B), (B, 2), evaluate=False)):
        with pytest.raises(UnsupportedExpression, match=r"sg\.grad\(f, X\) for a MatrixSymbol X"):
            sg.compile(expr)


def test_the_gradient_through_a_function_matrix_needs_no_recursion() -> None:
    grid = sp.FunctionMatrix(n, n, sp.Lambda((i, j), i + 2 * j))
    found = sg.compile(Trace(grid * B), args=(B,), wrt=B, outputs="grad")(SQUARE)
    np.testing.assert_array_equal(found, np.add.outer(2 * np.arange(3), np.arange(3)))
    outer = sp.FunctionMatrix(n, n, sp.Lambda((i, j), x[i] * sp.sin(x[j])))
    slope = sg.compile(Trace(outer * B), args=(x, B), wrt=x, outputs="grad")(POINTS[:3], SQUARE)
    sines, cosines = np.sin(POINTS[:3]), np.cos(POINTS[:3])
    np.testing.assert_allclose(slope, sines @ SQUARE + cosines * (SQUARE @ POINTS[:3]), rtol=1e-13)


def test_a_matrix_times_a_vector_in_index_form_is_an_array_of_sums() -> None:
    product = Sum(A[free, j] * v[j, 0], (j, 0, d - 1))
    found = sg.compile(product, args=(A, v), wrt=v, outputs=("value", "jac"))(MATRIX, VECTOR)
    np.testing.assert_allclose(found[0], (MATRIX @ VECTOR)[:, 0], rtol=1e-14)
    np.testing.assert_allclose(np.reshape(found[1], MATRIX.shape), MATRIX, rtol=1e-15)


def test_an_indexed_base_is_something_to_differentiate_by() -> None:
    found = sg.compile(sp.exp(Sum(x[i] ** 2, (i, 0, n - 1)) / n), args=(x,), wrt=x, outputs="grad")(POINTS)
    np.testing.assert_allclose(found, np.exp(POINTS @ POINTS / 5) * 2 / 5 * POINTS, rtol=1e-13)


def test_three_layers_of_functions_of_entries_are_differentiated() -> None:
    layers = (B * (B * (B * B.applyfunc(sp.sin)).applyfunc(sp.tanh)).applyfunc(sp.exp)).applyfunc(sp.cos)
    loss = Trace(layers.T * layers)
    kernel = sg.compile(loss, args=(B,), wrt=B, outputs=("value", "grad"))
    step, direction = 1e-30, np.cos(np.arange(9.0)).reshape(3, 3)  # of a complex step: nothing is subtracted

    def by_hand(m: np.ndarray) -> Any:
        return np.sum(np.cos(m @ np.exp(m @ np.tanh(m @ np.sin(m)))) ** 2)

    value, slope = kernel(SQUARE)
    assert value == pytest.approx(by_hand(SQUARE), rel=1e-13)
    expected = by_hand(SQUARE + 1j * step * direction).imag / step
    assert np.sum(slope * direction) == pytest.approx(expected, rel=1e-11)


def test_an_expression_nested_three_thousand_deep_is_differentiated() -> None:
    expr: Any = a
    for _ in range(3000):
        expr = sp.sin(expr, evaluate=False)
    value, slope = sg.compile(expr, args=(a,), wrt=a, outputs=("value", "grad"))(0.5)
    expected, product = 0.5, 1.0
    for _ in range(3000):
        expected, product = np.sin(expected), product * np.cos(expected)
    assert value == pytest.approx(expected, rel=1e-12)
    assert slope == pytest.approx(product, rel=1e-11)


def test_a_square_of_a_large_matrix_is_never_written_out() -> None:
    M = MatrixSymbol("M", 40, 40)
    numbers = _rng.normal(size=(40, 40))
    kernel = sg.compile(Trace(M * M), args=(M,), wrt=M, outputs=("value", "grad"), backend="c")
    value, slope = kernel(numbers)
    assert value == pytest.approx(np.trace(numbers @ numbers), rel=1e-12)
    np.testing.assert_allclose(slope, 2 * numbers.T, rtol=1e-14)
    assert len(kernel.source.splitlines()) < 80
