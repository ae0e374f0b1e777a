"""Bounds of rounding errors: never below the error there is, seldom far above it, the same everywhere."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from strategies import RandomProgram, scalar_programs, tensor_programs

import symgrad as sg
from symgrad.errors import BadOption, UnsupportedExpression
from symgrad.grad.rounding import Rounding
from symgrad.ir.evaluate import evaluate
from symgrad.ir.last_places import MEASURED, is_power_of_two, is_representable, last_places
from symgrad.ir.ops import OPS
from symgrad.run.emitted import emitted_kernel

x, y, a, b, c = sp.symbols("x y a b c")
n, m, T = sp.symbols("n m T", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
v = sp.IndexedBase("v", shape=(n,))
A, B = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, 2)
ALL, QUICK = ("numpy", "llvm", "c"), ("numpy", "llvm")


# ---- against fifty digits --------------------------------------------------------------------------


def assert_bounded(program: RandomProgram, dtype: Any) -> None:
    """Every entry is at most twice its bound and a last place off."""
    roots = list(program.outputs.values())
    rounding = Rounding(program.graph)
    bounds = [rounding.result(t) for t in roots]
    arrays = {t: x if x.dtype == np.int64 else x.astype(dtype) for t, x in program.arrays(1).items()}
    found = evaluate(program.graph, [*roots, *bounds], arrays, program.sizes, dtype)
    with mpmath.workdps(50):
        exact = evaluate(program.graph, roots, arrays, program.sizes, object)
        for value, bound, wanted in zip(found, found[len(roots) :], exact, strict=False):
            assert value.shape == bound.shape
            for got, most, right in zip(value.flat, bound.flat, wanted.flat, strict=True):
                if np.isfinite(got):
                    assert abs(float(mpmath.mpf(float(got)) - right)) <= 2 * most + np.spacing(abs(got))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(scalar_programs())
def test_no_random_formula_is_further_off_than_its_bound(dtype, program):
    assert_bounded(program, dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(tensor_programs())
def test_no_random_tensor_program_is_further_off_than_its_bound(dtype, program):
    assert_bounded(program, dtype)


def errors_and_bounds(expr: Any, wrt: tuple[Any, ...], points: np.ndarray, **options: Any) -> np.ndarray:
    """Actual error and bound of each entry of value, gradient and Hessian at points: (entries, 2)."""
    words = ("value", "grad", "hess")
    kernel = sg.compile(expr, wrt=wrt, outputs=(*words, *(w + "_error" for w in words)), **options)
    formulas = [expr, *(expr.diff(s) for s in wrt), *(expr.diff(s, t) for s in wrt for t in wrt)]
    exact = sp.lambdify(wrt, formulas, "mpmath")
    rows = []
    for point in points:
        results = kernel(*point)
        got, most = (np.concatenate([np.ravel(r) for r in part]) for part in (results[:3], results[3:]))
        with mpmath.workdps(50):
            right = exact(*(mpmath.mpf(float(p)) for p in point))
            rows += [
                (abs(float(mpmath.mpf(float(g)) - r)), e) for g, r, e in zip(got, right, most, strict=True)
            ]
    return np.array(rows)


WELL_CONDITIONED = (
    sp.exp(-(x**2)) * sp.cos(3 * y) + x * y,
    (x - 2) ** 2 / (1 + y**2) + sp.Rational(1, 3) * x,
    sp.sqrt(1 + x**2 + y**2) * sp.atan2(y, 1 + x**2),
    sp.log(1 + sp.exp(x * y)) + sp.tanh(x),
)


@pytest.mark.parametrize("backend", QUICK)
def test_bounds_of_well_conditioned_formulas_are_mostly_within_a_hundred_of_the_error(backend):
    points = np.random.default_rng(2).uniform(0.2, 1.5, (8, 2))
    for expr in WELL_CONDITIONED:
        found = errors_and_bounds(expr, (x, y), points, backend=backend)
        error, bound = found[found[:, 0] > 0].T
        assert np.all(error <= 2 * bound)
        assert np.median(bound / error) < 100


@pytest.mark.parametrize("backend", QUICK)
def test_cancelling_formulas_are_off_by_no_more_than_their_bounds(backend):
    near = np.array([[1e6, 1.0], [3.0, 1e-7], [1e4, 1e4 + 1e-3]])
    for expr in (
        sp.sqrt(x**2 + y**2) - x,
        (1 - sp.cos(y)) / y**2 + x,
        sp.expand((x - y) ** 5),
        sp.sin(x * y * 10**8),
    ):
        found = errors_and_bounds(expr, (x, y), near, backend=backend, stabilise=False)
        finite = np.isfinite(found).all(axis=1)
        assert np.all(found[finite, 0] <= 2 * found[finite, 1])
        assert finite.sum() > len(found) / 2


# ---- the same everywhere ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_target_computes_the_same_bounds(dtype):
    loss = sp.Sum(sp.log(1 + v[i] ** 2) / (1 + v[0] ** 2), (i, 0, n - 1)) + sp.Max(v[0], v[1]) / 3
    found = []
    for backend in ALL:
        kernel = sg.compile(loss, wrt=v, outputs=("value_error", "grad_error"), backend=backend, dtype=dtype)
        value, grad = kernel(np.linspace(0.5, 2, 9).astype(dtype))
        found.append(np.append(grad, value))
    assert np.all(found[0] > 0)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-4)


def test_the_bound_in_single_precision_is_that_much_larger():
    bounds = [
        sg.compile(sp.exp(x) * x - y / 3, outputs="value_error", dtype=dtype)(1.0, 2.0)
        for dtype in ("float64", "float32")
    ]
    assert bounds[1] / bounds[0] == pytest.approx(2.0**29, rel=0.01)


def test_exported_c_returns_bounds(tmp_path):
    program, words = sg.program(x * y + sp.sin(x)), ("value", "value_error", "grad_error")
    paths = sg.export_c(program, "checked", tmp_path, outputs=words)
    kernel = emitted_kernel(program, paths[0], words, "float64")
    found, wanted = kernel(0.5, 2.0), sg.compile(program, outputs=words)(0.5, 2.0)
    assert found[:2] == pytest.approx(wanted[:2], rel=1e-12)
    np.testing.assert_allclose(found[2], wanted[2], rtol=1e-12)


def test_bounds_have_the_structure_of_the_results():
    X, w = sp.MatrixSymbol("X", n, m), sp.MatrixSymbol("w", m, 1)
    program = sg.program(sp.Trace((X * w).T * (X * w)), args=(w, X), wrt=(w, X))
    kernel = sg.compile(program, outputs=("grad", "grad_error", "hess", "hess_error", "hvp", "hvp_error"))
    at = np.ones((2, 1)), np.arange(6.0).reshape(3, 2)
    results = kernel(*at, tangent=at)
    for value, bound in zip(results[::2], results[1::2], strict=True):
        flat = [part for row in value for part in (row if isinstance(row, tuple) else (row,))]
        bounds = [part for row in bound for part in (row if isinstance(row, tuple) else (row,))]
        assert [part.shape for part in flat] == [part.shape for part in bounds]
        assert all(np.all(part >= 0) for part in bounds)


# ---- what adds nothing, and what does --------------------------------------------------------------


def bound_of(expr: Any, *at: Any, **options: Any) -> Any:
    return sg.compile(expr, outputs="value_error", **options)(*at)


U = 2.0**-53


def test_exact_operations_add_nothing():
    for expr in (2 * x, -x / 4, sp.Abs(x), sp.Max(x, y), sp.Piecewise((x, x > y), (y, True)), sp.floor(x)):
        assert np.all(np.asarray(sg.compile(expr, args=(x, y), outputs="value_error")(1.3, 0.7)) == 0)


def test_each_operation_adds_one_rounding_and_a_constant_may_add_another():
    assert bound_of(x + y, 1.5, 0.25) == U * 1.75
    assert bound_of(x / 3, 1.5) == pytest.approx(U * 0.5)
    assert bound_of(x * sp.Rational(1, 3), 1.5) in (pytest.approx(U * 0.5), pytest.approx(2 * U * 0.5))
    assert bound_of(sp.pi + x, 1.0) == pytest.approx(U * (np.pi + np.pi + 1))
    assert bound_of(x * 0.1, 1.0) == pytest.approx(U * 0.1)  # 0.1 is the double that it is
    assert bound_of(x * 0.1, 1.0, dtype="float32") == pytest.approx(2.0**-24 * 0.2, rel=1e-5)


def test_what_a_branch_does_not_take_has_no_part_in_the_bound():
    expr = sp.Piecewise((x, x > 1), ((1 - sp.cos(x)) / x**2, True))
    assert bound_of(expr, 2.0) == 0
    assert bound_of(expr, 1e-8, stabilise=False) > 0.1


def test_a_sum_of_n_terms_counts_n_minus_one_additions_and_a_product_as_many():
    ones = np.ones(100)
    assert bound_of(sp.Sum(v[i], (i, 0, n - 1)), ones) == pytest.approx(99 * 100 * U)
    assert bound_of(sp.Product(v[i], (i, 0, n - 1)), ones) == pytest.approx(99 * U)
    assert bound_of(sp.Sum(v[i] * v[n - 1 - i], (i, 0, n - 1)), ones) == pytest.approx(100 * 100 * U)


def test_a_gather_that_is_differentiated_counts_the_terms_that_meet():
    p = sp.IndexedBase("p", shape=(m,), integer=True)
    loss = sp.Sum(v[p[i]] ** 3, (i, 0, m - 1))
    kernel = sg.compile(loss, args=(v, p), wrt=v, outputs=("grad", "grad_error"))
    grad, bound = kernel(np.full(3, 1.25), np.array([0, 0, 0, 0, 1]))
    assert bound[2] == grad[2] == 0
    assert 0 < bound[1] < bound[0] / 4


def test_errors_of_a_recurrence_grow_with_its_steps():
    half = sg.scan(lambda s, t: s * x, init=y, length=T).final
    found = [sg.compile(half, args=(x, y, T), outputs=("value", "value_error"))(1.5, 1.0, k) for k in (5, 50)]
    for steps, (value, bound) in zip((5, 50), found, strict=True):
        assert bound == pytest.approx(steps * U * value, rel=1e-9)


def test_a_loop_that_ends_is_as_far_off_as_its_turns_make_it():
    doubled = sg.while_loop(lambda s: s < y, lambda s, t: s * x, sp.Integer(1), max_steps=40).final
    kernel = sg.compile(doubled, args=(x, y), outputs=("value", "value_error"))
    for limit, turns in ((5.0, 4), (50.0, 10)):
        value, bound = kernel(1.5, limit)
        assert abs(value - 1.5**turns) <= bound
        assert bound == pytest.approx(turns * U * value, rel=0.3)


def test_a_recurrence_in_the_step_of_another_one_has_a_bound():
    def root(s: Any) -> Any:
        return sg.scan(lambda r, t: (r + s / r) / 2, init=sp.Integer(1), length=5).final

    outer = sg.scan(lambda s, t: root(s + 2) * x, init=y, length=T).final
    value, bound = sg.compile(outer, args=(x, y, T), outputs=("value", "value_error"))(0.75, 0.3, 3)
    with mpmath.workdps(40):
        exact = mpmath.mpf(0.3)
        for _ in range(3):
            r = mpmath.mpf(1)
            for _ in range(5):
                r = (r + (exact + 2) / r) / 2
            exact = r * mpmath.mpf(0.75)
        error = abs(float(mpmath.mpf(value) - exact))
    assert error <= bound < 1e-14


def test_stability_rewrites_count():
    scores = 1e3 + np.linspace(0, 1, 5)
    logsumexp = sp.log(sp.Sum(sp.exp(v[i]), (i, 0, n - 1)))
    value, bound = sg.compile(logsumexp, outputs=("value", "value_error"))(scores)
    assert bound < 4 * U * value
    small = 1 - sp.cos(x)
    assert bound_of(small, 1e-6) < 1e-12 * bound_of(small, 1e-6, stabilise=False) * 1e6
    plain = sg.compile(sp.log(1 + x), outputs=("value", "value_error"), stabilise=False)(1e-12)
    assert plain[1] > 1e-5 * plain[0]


def test_a_probability_at_a_large_offset_keeps_its_digits_in_the_bound_too():
    scores = np.linspace(0, 1, 5)
    logsumexp = sp.log(sp.Sum(sp.exp(v[i]), (i, 0, n - 1)))
    near, far = (sg.compile(logsumexp, wrt=v, outputs="grad_error")(scores + k) for k in (0.0, 1e6))
    np.testing.assert_allclose(near, far, rtol=1e-6)


def test_a_scatter_under_a_guard_has_a_bound():
    inner = sp.Sum(sp.Piecewise((sp.Abs(v[j - 1]) * v[j], j > 0), (0, True)) / 3, (j, 0, n - 1))
    grad, bound = sg.compile(inner, wrt=v, outputs=("grad", "grad_error"))(np.array([1.0, -2.0, 4.0]))
    assert np.all(bound > 0)
    assert np.all(bound < 8 * U * np.abs(grad))


# ---- models ----------------------------------------------------------------------------------------


def models() -> dict[str, tuple[sg.Program, tuple[Any, ...]]]:
    rng = np.random.default_rng(4)
    Q, K, V = (sp.MatrixSymbol(s, n, m) for s in "QKV")
    X, W, Y = sp.MatrixSymbol("X", n, m), sp.MatrixSymbol("W", m, m), sp.MatrixSymbol("Y", n, m)
    h = sp.MatrixSymbol("h", m, 1)
    attention = sg.nn.attention(Q, K, V)
    network = sg.losses.softmax_cross_entropy((X * W).applyfunc(sp.tanh) * W, Y)
    recurrent = sg.scan(lambda s, t: (W * s).applyfunc(sp.tanh), init=h, length=T).final
    square = rng.normal(size=(3, 3))
    inputs = tuple(rng.normal(size=(5, 3)) for _ in range(3))
    return {
        "attention": (sg.program(sp.Trace(attention.T * attention), args=(Q, K, V), wrt=(Q, V)), inputs),
        "network": (
            sg.program(network, args=(W, X, Y), wrt=W),
            (square, inputs[0], np.eye(3)[[0, 1, 2, 0, 1]]),
        ),
        "recurrence": (
            sg.program(sp.Trace(recurrent.T * recurrent), args=(W, h, T), wrt=W),
            (square, inputs[0][:1].T, np.int64(4)),
        ),
    }


@pytest.mark.parametrize("model", ["attention", "network", "recurrence"])
def test_values_and_gradients_of_models_are_within_their_bounds(model):
    program, at = models()[model]
    words = ("value", "grad")
    kernel = sg.compile(program, outputs=(*words, "value_error", "grad_error"))
    results, unit = kernel(*at), program.derived(words).unit
    inputs = {t: np.asarray(array) for (_, t), array in zip(unit.inputs, at, strict=True)}
    with mpmath.workdps(40):
        exact = evaluate(unit.graph, unit.roots, inputs, kernel.sizes_of(*at), object)
    found, bounds = ([part[0], *(part[1] if isinstance(part[1], tuple) else part[1:])]
                     for part in (results[:2], results[2:]))  # fmt: skip
    for got, most, right in zip(found, bounds, exact, strict=True):
        error = np.array(
            [abs(float(mpmath.mpf(float(p)) - q)) for p, q in zip(np.ravel(got), right.flat, strict=True)]
        )
        assert np.all(error <= 2 * np.ravel(most))
        assert np.max(most) < 1e-11 * np.max(np.abs(got))


@pytest.mark.parametrize("backend", QUICK)
def test_near_zeros_of_oscillating_functions_bounds_count_the_amplitude(backend):
    cases = ((sp.besselj(0, x), "besseljzero", (0, 3)), (sp.bessely(1, x), "besselyzero", (1, 2)),
             (sp.airyai(x), "airyaizero", (4,)))  # fmt: skip
    for expr, zero, which in cases:
        at = float(getattr(mpmath, zero)(*which))
        value, bound = sg.compile(expr, outputs=("value", "value_error"), backend=backend)(at)
        with mpmath.workdps(40):
            exact = sp.lambdify(x, expr, "mpmath")(mpmath.mpf(at))
            error = abs(float(mpmath.mpf(value) - exact))
        assert error <= bound < 1e-10
        assert bound > abs(value)


# ---- matrices --------------------------------------------------------------------------------------


def hilbert(k: int) -> np.ndarray:
    return 1 / (np.arange(k)[:, None] + np.arange(k) + 1.0)


def exact_solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    with mpmath.workdps(60):
        columns = [
            mpmath.lu_solve(mpmath.matrix(matrix.tolist()), mpmath.matrix(col.tolist())) for col in right.T
        ]
        return np.array([[col[k] for col in columns] for k in range(len(matrix))], dtype=object)


def assert_encloses(got: Any, most: Any, right: Any, tightness: float) -> None:
    with mpmath.workdps(60):
        error = np.array(
            [
                abs(float(mpmath.mpf(float(g)) - r))
                for g, r in zip(np.ravel(got), np.ravel(right), strict=True)
            ]
        )
    bound = np.ravel(most)
    assert np.all(error <= bound)
    assert np.max(bound) <= tightness * max(np.max(error), U * float(np.max(np.abs(np.ravel(got)))))


@pytest.mark.parametrize("backend", QUICK)
@pytest.mark.parametrize("assume", ["general", "spd"])
def test_the_error_of_a_solve_is_within_its_bound(assume, backend):
    kernel = sg.compile(
        sg.linalg.solve(A, B, assume=assume), outputs=("value", "value_error"), backend=backend
    )
    matrix, right = hilbert(6), np.arange(12.0).reshape(6, 2)
    assert_encloses(*kernel(matrix, right), exact_solve(matrix, right), 1e4)


def test_errors_of_inverses_triangular_solves_and_determinants_are_within_their_bounds():
    matrix = hilbert(6)
    exact = exact_solve(matrix, np.eye(6))
    assert_encloses(*sg.compile(A**-1, outputs=("value", "value_error"))(matrix), exact, 1e4)
    lower = np.tril(matrix)
    solve = sg.linalg.solve(A, B, assume="lower")
    right = np.arange(12.0).reshape(6, 2)
    got, most = sg.compile(solve, outputs=("value", "value_error"))(lower, right)
    assert_encloses(got, most, exact_solve(lower, right), 1e4)
    with mpmath.workdps(60):
        det = mpmath.det(mpmath.matrix(matrix.tolist()))
        assert_encloses(*sg.compile(sp.Determinant(A), outputs=("value", "value_error"))(matrix), det, 1e5)
        log = sg.compile(sg.linalg.logdet(A, assume="spd"), outputs=("value", "value_error"))
        assert_encloses(*log(matrix), mpmath.log(det), 1e5)


def test_errors_of_cholesky_factors_and_eigenvalues_are_within_their_bounds():
    matrix = hilbert(5)
    with mpmath.workdps(60):
        exact = mpmath.matrix(matrix.tolist())
        factor = np.array(mpmath.cholesky(exact).tolist(), dtype=object)
        values = np.array(list(mpmath.eigsy(exact, eigvals_only=True)), dtype=object)
    assert_encloses(*sg.compile(sg.linalg.cholesky(A), outputs=("value", "value_error"))(matrix), factor, 1e4)
    assert_encloses(*sg.compile(sg.linalg.eigvalsh(A), outputs=("value", "value_error"))(matrix), values, 1e4)


def test_the_error_of_what_has_no_bound_is_refused_by_name():
    with pytest.raises(UnsupportedExpression, match="the rounding error of the eigenvectors has no bound"):
        sg.compile(sg.linalg.eigh(A)[1], outputs="value_error")
    root = sg.implicit(a - x * sp.sin(a) - y, a, guess=y)
    with pytest.raises(UnsupportedExpression, match="settled"):
        sg.compile(root, args=(x, y), outputs="value_error")


def test_sparse_results_have_no_error_outputs():
    with pytest.raises(BadOption, match="'hess_error' is a dense output"):
        sg.compile(sp.Sum(v[i] ** 3, (i, 0, n - 1)), wrt=v, outputs=("hess", "hess_error"), sparse="csc")


# ---- the table -------------------------------------------------------------------------------------


def test_errors_of_ops_are_those_that_were_measured():
    text = (Path(__file__).parents[1] / "tools" / "bench" / "ACCURACY.md").read_text()
    rows = re.findall(r"^\| (\w+) \|[^|]*\| value \|(.*)\|$", text, re.MULTILINE)
    worst = {
        op: max(float(cell.strip(" *").split("/")[0]) for cell in cells.split("|")) for op, cells in rows
    }
    measured = {op: number for op, number in worst.items() if op in OPS}
    assert measured.keys() == MEASURED.keys()
    for op, number in measured.items():
        assert number <= MEASURED[op] <= 1.1 * number, f"{op}: tools/accuracy/last_places.py --write"
    assert last_places("sqrt") == last_places("add") == 0.5
    assert last_places("abs") == 0


def test_a_constant_is_exact_if_the_type_has_it():
    assert is_representable(Fraction(1, 4), 24)
    assert is_representable(Fraction(0.1), 53)
    assert not is_representable(Fraction(0.1), 24)
    assert not is_representable(Fraction(1, 3), 53)
    assert [is_power_of_two(Fraction(q)) for q in ("1/8", "-2", "3", "0")] == [True, True, False, False]
