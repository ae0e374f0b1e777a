"""Kernels that say when their digits are gone, and where they went."""

from __future__ import annotations

import ctypes
import pickle
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import BadOption, PrecisionLost, SymgradError, format_error
from symgrad.targets.c_build import shared_library

x, y, a, b, c = sp.symbols("x y a b c")
n, T = sp.symbols("n T", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
v = sp.IndexedBase("v", shape=(n,))
ALL = ("numpy", "llvm", "c")
LEG = sp.sqrt(x**2 + y**2) - y
MEAN = sp.Sum(v[i], (i, 0, n - 1)) / n
VARIANCE = sp.Sum(v[j] ** 2, (j, 0, n - 1)) / n - MEAN**2
SEVENTH = sp.expand((x - 1) ** 7)
QUADRATIC = (-b + sp.sqrt(b**2 - 4 * a * c)) / (2 * a)


def lost(kernel: Any, *args: Any, **by_name: Any) -> PrecisionLost:
    with pytest.raises(PrecisionLost) as caught:
        kernel(*args, **by_name)
    return caught.value


# ---- the message -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ALL)
def test_the_message_says_what_was_lost_and_where(backend):
    kernel = sg.compile(LEG, stabilise=False, outputs="value", accuracy=1e-10, backend=backend)
    assert kernel(3.0, 4.0) == 1.0
    assert format_error(lost(kernel, 1.0, 1e6)) == (
        """
PrecisionLost: value is 5.00004e-07 with a rounding error of up to 2.2e-10
  where    -y + sqrt(x**2 + y**2), where 42 bits are lost (100% of the bound)
  because  5e-17 is allowed: 1e-10*|entry|
  try      a form that does not cancel (stabilise=True makes many), a larger accuracy=, or allowance= for"""
        " entries that may be 0"
    ).lstrip("\n")


def test_the_entry_is_named_as_the_user_counts_it():
    kernel = sg.compile(sp.Matrix([[x, x + y], [LEG, y]]), stabilise=False, accuracy=1e-10)
    assert str(lost(kernel, 1.0, 1e6)).startswith("value[1, 0] is 5.00004e-07")
    w = sp.MatrixSymbol("w", 2, 1)
    kernel = sg.compile(
        LEG.subs({x: w[0, 0], y: w[1, 0]}) + a,
        args=(w, a),
        wrt=(w, a),
        outputs="grad",
        accuracy=1e-10,
        stabilise=False,
    )
    assert str(lost(kernel, np.array([[1.0], [1e6]]), 0.0)).startswith("grad_w[1, 0] is -5")


CANCELLING = {
    "a leg": (LEG, {"x": 1e-3, "y": 1e6}, "-y + sqrt(x**2 + y**2)"),
    "a versine": ((1 - sp.cos(x)) / x**2, {"x": 1e-6}, "1 - cos(x)"),
    "a quadratic": (QUADRATIC, {"a": 1.0, "b": 1e6, "c": 1.0}, "-b + sqrt(-4*a*c + b**2)"),
    "a variance": (
        VARIANCE,
        {"v": 1e4 + np.linspace(0, 1, 50)},
        "Sum(v[i]**2, (i, 0, n - 1))/n - Sum(v[i], (i, 0, n - 1))**2/n**2",
    ),
    "a steep function": (sp.log(1 + x), {"x": 1e-9}, "log(x + 1)"),
    "a large angle": (sp.sin(x * y), {"x": 1e7 / 3, "y": 1e5 / 7}, "sin(x*y)"),
    "a telescope": (sp.Sum(v[i] - v[n - 1 - i], (i, 0, n - 1)) + 1, {"v": 1e9 * np.arange(5.0)}, "Sum"),
}


@pytest.mark.parametrize("case", CANCELLING)
def test_the_place_where_the_digits_went_is_named(case):
    expr, at, place = CANCELLING[case]
    error = lost(sg.compile(expr, stabilise=False, accuracy=1e-8), **at)
    assert error.where.startswith(place), error.where
    assert "bits are lost" in error.where


def test_of_an_expanded_polynomial_the_last_sum_is_named():
    error = lost(sg.compile(SEVENTH, accuracy=1e-6), 1.01)
    assert "- 1" in error.where
    assert "7*x" in error.where.replace(" ", "")


STABLE = {
    "a versine": ((1 - sp.cos(x)) / x**2, {"x": 1e-6}),
    "a logarithm": (sp.log(1 + x), {"x": 1e-9}),
    "a power": ((x - 1) ** 7, {"x": 1.01}),
    "a quadratic": (2 * c / (-b - sp.sqrt(b**2 - 4 * a * c)), {"a": 1.0, "b": 1e6, "c": 1.0}),
    "a variance": (VARIANCE, {"v": 1e4 + np.linspace(0, 1, 50)}),
    "a log-sum-exp": (sp.log(sp.Sum(sp.exp(v[i]), (i, 0, n - 1))), {"v": 1e3 + np.linspace(0, 1, 5)}),
}


@pytest.mark.parametrize("case", STABLE)
def test_stable_forms_pass(case):
    expr, at = STABLE[case]
    kernel = sg.compile(expr, outputs=("value", "value_error"), accuracy=1e-9)
    value, bound = kernel(**at)
    assert 0 < bound < 1e-9 * abs(value)


# ---- calls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ALL)
def test_the_first_sample_that_is_not_sure_enough_is_named(backend):
    kernel = sg.compile(LEG, stabilise=False, outputs=("value", "grad"), accuracy=1e-8, backend=backend)
    ys = np.array([[1.0, 2.0, 1.0], [1.0, 1e7, 1e8]])
    error = lost(kernel, 1.0, ys)
    assert error.where.startswith("sample (1, 1); y/sqrt(x**2 + y**2) - 1")
    values, grads = kernel(1.0, ys[0])
    np.testing.assert_array_equal(values, sg.compile(LEG, stabilise=False, outputs="value")(1.0, ys[0]))
    assert grads.shape == (3, 2)


def test_a_checked_kernel_returns_what_an_unchecked_one_does():
    X, w = sp.MatrixSymbol("X", n, 3), sp.MatrixSymbol("w", 3, 1)
    program = sg.program(sg.losses.squared_error(X * w, sp.ones(1, 1)[0] * (X * w) / 3), args=(w, X), wrt=w)
    at = np.array([[1.0], [2.0], [-1.0]]), np.random.default_rng(0).normal(size=(5, 3))
    words = ("value", "grad", "hess")
    plain, checked = sg.compile(program, outputs=words), sg.compile(program, outputs=words, accuracy=1e-6)
    out = (None, np.zeros((3, 1)), None)
    for kernel in (checked, pickle.loads(pickle.dumps(checked))):
        for got, wanted in zip(kernel(*at, out=out), plain(*at), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-14)
    assert out[1].any()


def test_an_unpickled_kernel_names_the_place_too():
    kernel = pickle.loads(pickle.dumps(sg.compile(LEG, stabilise=False, outputs="value", accuracy=1e-10)))
    assert "-y + sqrt(x**2 + y**2)" in lost(kernel, 1.0, 1e6).where


def test_an_allowance_lets_entries_be_zero():
    slope = x**3 / 3 - 2 * x
    optimum = float(np.sqrt(2.0))
    assert lost(sg.compile(slope, outputs="grad", accuracy=1e-6), optimum).summary.startswith("grad[0] is")
    assert abs(sg.compile(slope, outputs="grad", accuracy=1e-6, allowance=1e-14)(optimum)[0]) < 1e-15


def test_numbers_that_are_exact_pass_whatever_is_asked():
    kernel = sg.compile(sp.Max(x, y) - 0 * x, outputs=("value", "grad", "hess"), accuracy=1e-300)
    value, grad, hess = kernel(1.0, 2.0)
    assert (value, grad.tolist(), hess.tolist()) == (2.0, [0.0, 1.0], [[0.0, 0.0], [0.0, 0.0]])


def test_numbers_that_are_not_finite_say_so_themselves():
    kernel = sg.compile(sp.log(x) / (x - x * y), accuracy=1e-10)
    assert np.isinf(kernel(0.0, 0.5))
    assert np.isnan(kernel(-1.0, 0.5))


UNDERFLOWING = {
    "a product over a sum": (x * y / (x + y), (1e-200, 1e-200)),
    "products one after the other": (x * y * a, (1e-200, 1e-200, 1e300)),
    "a square over a number": (x**2 / y, (1e-170, 1e-200)),
    "an exponential times a number": (sp.exp(-x) * a, (1e300, 750.5)),
    "the logarithm of a subnormal number": (sp.log(x * y), (1e-160, 1.3e-160)),
    "a root": (sp.sqrt(x * y), (1e-161, 1e-161)),
}


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("case", UNDERFLOWING)
def test_what_underflows_on_the_way_to_a_number_that_does_not_is_refused(case, backend):
    expr, at = UNDERFLOWING[case]
    lost(sg.compile(expr, accuracy=1e-10, stabilise=False, backend=backend), *at)
    assert np.isfinite(sg.compile(expr, accuracy=1e-10, stabilise=False, backend=backend)(*(2.0 for _ in at)))


def test_a_sum_of_products_counts_the_underflow_of_each():
    w = sp.IndexedBase("w", shape=(n,))
    expr = sp.Sum(v[i] * w[i], (i, 0, n - 1)) * x
    small = np.full(3, 1e-170)
    lost(sg.compile(expr, args=(v, w, x), accuracy=1e-10), small, small, 1e300)
    assert sg.compile(expr, args=(v, w, x), accuracy=1e-10)(small, 1e30 * small, 1e300)[0] == pytest.approx(
        3e-10
    )


def test_a_result_below_the_smallest_normal_number_is_as_right_as_it_can_be():
    kernel = sg.compile(sp.exp(-x) * y, outputs=("value", "grad"), accuracy=1e-10)
    value, grad = kernel(740.0, 3.0)
    assert 0 < value < np.finfo(float).tiny
    assert kernel(800.0, 3.0)[0] == 0.0 and np.isfinite(grad).all()


def test_sparse_results_are_checked():
    energy = sp.Sum((v[i + 1] - v[i]) ** 4, (i, 0, n - 2))
    kernel = sg.compile(energy, wrt=v, outputs="hess", sparse="csr", accuracy=1e-10)
    steps = np.array([0.0, 1.0, 3.0, 4.0])
    dense = sg.compile(energy, wrt=v, outputs="hess")(steps)
    np.testing.assert_allclose(kernel(steps).toarray(), dense)
    error = lost(sg.compile(energy, wrt=v, outputs="hess", sparse="csr", accuracy=1e-18), steps)
    assert error.summary.startswith("hess[")


def test_single_precision_has_fewer_digits_to_lose():
    double, single = (
        sg.compile(LEG, stabilise=False, outputs="value", accuracy=1e-3, dtype=d)
        for d in ("float64", "float32")
    )
    assert double(1.0, 1e4) == pytest.approx(5e-5, rel=1e-3)
    assert "-y + sqrt" in lost(single, 1.0, 1e4).where


def test_the_step_of_a_recurrence_is_named():
    logistic = sg.scan(lambda s, t: sp.Rational(39, 10) * s * (1 - s), init=x, length=T).final
    kernel = sg.compile(logistic, args=(x, T), wrt=x, outputs=("value", "grad"), accuracy=1e-6)
    assert kernel(0.3, 3)[0] == pytest.approx(0.9512, abs=1e-4)
    error = lost(sg.compile(logistic, args=(x, T), accuracy=1e-6), 0.3, 60)
    assert "1 - state[i]" in error.where


def test_an_ill_conditioned_system_is_refused():
    A, B = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, 1)
    kernel = sg.compile(sg.linalg.solve(A, B), outputs="value", accuracy=1e-6)
    hilbert = 1 / (np.arange(9)[:, None] + np.arange(9) + 1.0)
    np.testing.assert_allclose(kernel(hilbert[:3, :3], np.ones((3, 1))), [[3], [-24], [30]], rtol=1e-10)
    assert lost(kernel, hilbert, np.ones((9, 1))).summary.startswith("value[")


def test_exported_c_counts_the_entries_that_are_lost(tmp_path):
    paths = sg.export_c(
        SEVENTH, "seventh", tmp_path, outputs=("value", "grad"), accuracy=1e-6, allowance=1e-30
    )
    source, header = (paths[k].read_text() for k in (0, 1))
    assert "lost: how many entries may be off by more than 1e-06*|entry| + 1e-30" in header
    with shared_library(
        source.replace('#include "seventh.h"', header), ("-O2", "-shared", "-fPIC")
    ) as library:
        call = ctypes.CDLL(str(library)).seventh
    for at, lost_there in ((3.0, 0.0), (1.01, 2.0)):
        point, value, grad, count = (np.full(1, number) for number in (at, -1.0, -1.0, -1.0))
        call(*(array.ctypes.data_as(ctypes.c_void_p) for array in (point, value, grad, count)))
        assert count[0] == lost_there
        assert value[0] == pytest.approx((at - 1) ** 7, abs=1e-12)


# ---- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"accuracy": 0}, "accuracy is 0"),
        ({"accuracy": -1e-3}, "accuracy is -0.001"),
        ({"accuracy": "high"}, "accuracy is 'high'"),
        ({"accuracy": 1e-6, "allowance": -1.0}, "allowance is -1.0"),
        ({"allowance": 1e-6}, "allowance without accuracy"),
        ({"accuracy": 1e-6, "outputs": "grad_error"}, "nothing to check beside grad_error"),
    ],
)
def test_accuracies_that_mean_nothing_are_refused(options, text):
    with pytest.raises(BadOption, match=text):
        sg.compile(x, **options)


def test_verify_judges_the_numbers_of_a_checked_kernel_and_leaves_their_bounds_out():
    words = ("value", "grad", "grad_error")
    kernel = sg.compile(sp.exp(x) * y**2, wrt=(x, y), outputs=words, accuracy=1e-10)
    report = sg.verify(kernel, at={x: 0.5})
    assert report.ok and {row.output for row in report.rows} == {"value", "grad"}
    with pytest.raises(BadOption, match="nothing to verify beside grad_error"):
        sg.verify(kernel, outputs="grad_error")
    with pytest.raises(PrecisionLost):
        sg.verify(sg.compile(LEG, stabilise=False, accuracy=1e-10), at={x: 1.0, y: 1e6})


def test_explain_says_what_is_checked():
    text = str(sg.explain(LEG, accuracy=1e-8, allowance=1e-12))
    assert "a call raises PrecisionLost where an error may exceed 1e-08*|entry| + 1e-12" in text
    assert "PrecisionLost" not in str(sg.explain(LEG))
    assert "promise" in str(sg.explain(LEG)) and "promise" not in text  # that of derivatives alone


def test_what_is_not_asked_for_is_compiled_as_before():
    plain, checked = (
        sg.compile(LEG, stabilise=False, outputs=("value", "grad")),
        sg.compile(LEG, stabilise=False, outputs=("value", "grad"), accuracy=1),
    )
    assert plain.ops()["after"] < checked.ops()["after"]
    assert "lost" not in plain.source


def test_every_error_of_the_check_is_one_of_ours():
    assert issubclass(PrecisionLost, SymgradError) and issubclass(PrecisionLost, ArithmeticError)


# ---- singularities that are removed at some points, and not at others ----------------------------------


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("turns", [2.5, -1.5, 4.5, 100.5])
def test_what_is_regular_at_one_zero_of_a_cosine_is_not_taken_for_regular_at_all(backend, turns):
    """A series says what the value is next to pi/2; next to 5*pi/2 it is computed as it is written."""
    expr = (1 - sp.sin(x)) * (1 + x**2) / sp.cos(x) ** 2
    kernel = sg.compile(expr, outputs=("value", "grad", "hess"), accuracy=1e-10, backend=backend)
    value, _, _ = kernel(np.pi / 2)
    np.testing.assert_allclose(value, (1 + np.pi**2 / 4) / 2, rtol=1e-14)
    kernel(turns * np.pi + 0.5)
    for aside in (0.0, 1e-5):
        assert "rounding error" in str(lost(kernel, turns * np.pi + aside))


@pytest.mark.parametrize("backend", ALL)
def test_a_quotient_whose_square_overflows_under_a_function_that_ends_is_right_or_refused(backend):
    """(x/k)**2 is infinite, 1/sqrt(1 + (x/k)**2) is 0: a slope by x, which is no less than k/x, would be."""
    root = sp.sqrt(1 + (x / a) ** 2)
    huber, logarithm = (
        sg.compile(a**2 * f, args=(a, x), wrt=x, outputs="grad", accuracy=1e-10, backend=backend)
        for f in (root - 1, sp.log(1 + root))
    )
    assert [huber(1.0, far) for far in (-1e100, -1e180, -1e308)] == [-1.0, -1.0, -1.0]
    assert (logarithm(1.0, -1e100), logarithm(1.0, -1e180)) == (-1e-100, -1e-180)
    with pytest.raises(PrecisionLost):
        logarithm(1.0, -1e308)
