"""`sg.verify`: right derivatives pass by every method, wrong ones are caught and the entry is named."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import BadArgument, BadOption, ShapeMismatch, VerificationFailed
from symgrad.ir.complex_forms import COMPLEX_FORMS
from symgrad.ir.ops import OPS
from symgrad.ir.series.removable import NAMES as REMOVABLE
from symgrad.ir.special import SPECIAL
from symgrad.run import claims
from symgrad.run.differences import (
    both_sides,
    central_difference,
    first_order,
    forward_difference,
    second_order,
    sweep,
)
from symgrad.run.functions import outputs_of

x, y = sp.symbols("x y", real=True)
n, d, c = sp.symbols("n d c", integer=True, positive=True)
X, W, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("W", d, c), sp.MatrixSymbol("Y", n, c)
i, j = sp.Idx("i", n), sp.Idx("j", d)
METHODS = {
    "forward differences",
    "central differences",
    "complex step",
    "50 digits",
    "Taylor, one side",
    "Taylor, both sides",
}


def regression() -> sg.Program:
    return sg.program(sg.losses.softmax_cross_entropy(X * W, Y), args=(W, X, Y), wrt=W)


def results(report: sg.Report, output: str) -> dict[str, str]:
    return {row.method: row.result for row in report.rows if row.output == output}


# ---- right derivatives -------------------------------------------------------------------------


def test_every_method_agrees_with_the_gradient_of_a_smooth_expression():
    report = sg.verify(x**2 * sp.exp(y) + sp.log(x), seed=1)
    assert report.ok
    assert results(report, "grad") == dict.fromkeys(METHODS, "ok")
    assert results(report, "value") == {"reference evaluator": "ok", "50 digits": "ok"}


@pytest.mark.parametrize("word", ["grad", "hess", "hvp", "jac", "jvp", "vjp"])
def test_every_derivative_word_of_a_matrix_program_is_verified(word):
    report = sg.verify(regression(), outputs=word, sizes={n: 2, d: 3, c: 2})
    methods = METHODS | ({"Taylor, second order"} if word in ("hess", "hvp") else set())
    assert report.ok
    assert results(report, word) == dict.fromkeys(methods, "ok")


@pytest.mark.parametrize("word", ["jac", "jvp", "vjp"])
def test_derivatives_of_an_explicit_matrix_are_verified(word):
    report = sg.verify(sp.Matrix([[x * y, sp.sin(x)], [sp.exp(y), 3]]), outputs=("value", word))
    assert report.ok
    assert set(results(report, word).values()) == {"ok"}


def test_an_array_value_has_its_jacobian_verified_by_default():
    report = sg.verify(sp.HadamardPower(X, 3))
    assert report.ok
    assert {row.output for row in report.rows} == {"value", "jac"}


def test_taylor_remainders_show_orders_two_and_three():
    report = sg.verify(sp.exp(x) * sp.sin(y), at={x: 0.3, y: 0.7})
    orders = {row.method: float(row.measure.split()[1]) for row in report.rows if "Taylor" in row.method}
    assert orders["Taylor, one side"] == pytest.approx(2, abs=0.1)
    assert orders["Taylor, both sides"] == pytest.approx(3, abs=0.1)


def test_a_kernel_is_verified_for_its_own_outputs():
    kernel = sg.compile(regression(), outputs=("hvp", "grad"))
    report = sg.verify(kernel, sizes={"n": 2, "d": 3, "c": 2})
    assert report.ok
    assert [row.output for row in report.rows][:1] == ["hvp"]
    assert {row.output for row in report.rows} == {"hvp", "grad"}


def test_float32_is_verified_to_its_own_precision():
    report = sg.verify(regression(), dtype="float32", outputs=("value", "grad", "hvp"))
    assert report.ok
    errors = [row.worst.error for row in report.rows if row.method == "50 digits" and row.worst]
    assert all(1e-12 < error < 1e-4 for error in errors)


def test_the_reference_backend_can_be_verified():
    assert sg.verify(x * sp.sin(y), backend="numpy").ok


def test_a_gradient_that_cancels_to_rounding_is_not_held_against_the_program():
    assert sg.verify((x + 1) ** 3 - x**3 - 3 * x**2 - 3 * x, at={x: 0.7}).ok


NOISE = (x - 1) ** 9 - sp.expand((x - 1) ** 9)  # 0; as it is computed, rounding and nothing else


@pytest.mark.parametrize("at", [1.0, 2.0, 3.7])
def test_numbers_that_are_all_rounding_are_named_and_do_not_fail(at):
    report = sg.verify(NOISE, at={x: at}, outputs=("value", "grad", "hess"))
    assert report.ok
    assert results(report, "grad")["50 digits"] == "no digits"
    assert "grad x: it is" in str(report)
    assert "grad" in report.table.splitlines()[-1].removeprefix("ok; numbers without digits: ")
    assert sg.verify(NOISE, grad=lambda a: 0.0, at={x: at}).ok


@pytest.mark.parametrize("at", [1.0001, 2.0, 3.7])
def test_a_remainder_of_rounding_beside_a_right_derivative_does_not_fail(at):
    assert sg.verify(NOISE + x, at={x: at}).ok
    assert not sg.verify(NOISE + x, grad=lambda a: 1.001, at={x: at}).ok


def test_numbers_that_are_more_than_rounding_fail_beside_rounding():
    assert not sg.verify(NOISE, grad=lambda a: 1e-3, at={x: 3.7}).ok
    assert not sg.verify(NOISE + x, grad=lambda a: 0.0, at={x: 3.7}).ok
    some_digits = sp.expand((x - 1) ** 9)
    assert not sg.verify(some_digits, at={x: 1.1}, outputs="grad").ok
    assert sg.verify(some_digits, at={x: 1.001}, outputs="grad").ok


def test_without_real_arguments_only_the_value_is_verified():
    counts = sp.IndexedBase("counts", shape=(n,), integer=True)
    report = sg.verify(sp.Sum(counts[i], (i, 0, n - 1)))
    assert report.ok
    assert {row.output for row in report.rows} == {"value"}
    assert report.notes == ("grad: there is nothing to differentiate by",)


def test_a_linear_program_has_no_taylor_remainder():
    report = sg.verify(3 * x - y)
    assert report.ok
    assert {row.measure for row in report.rows if "Taylor" in row.method} == {"exact"}


def test_the_same_seed_gives_the_same_report():
    assert str(sg.verify(regression(), seed=5)) == str(sg.verify(regression(), seed=5))


# ---- wrong derivatives -------------------------------------------------------------------------


def scaled_entry(entry: tuple[int, ...], factor: float) -> Any:
    right = sg.compile(regression(), outputs="grad")

    def gradient(*arrays: np.ndarray) -> np.ndarray:
        result = right(*arrays).copy()
        result[entry] *= factor
        return result

    return gradient


def test_a_wrong_entry_of_a_gradient_written_by_hand_is_named():
    report = sg.verify(regression(), grad=scaled_entry((3, 1), 1.001), sizes={d: 4})
    assert not report.ok
    assert (report.worst.symbol, report.worst.index) == ("W", (3, 1))
    assert report.worst.name == "grad W[3, 1]"
    assert report.worst.analytic == pytest.approx(1.001 * report.worst.numeric, rel=1e-6)
    assert results(report, "grad") == dict.fromkeys(METHODS, "FAILED")


def test_a_right_gradient_written_by_hand_passes():
    assert sg.verify(regression(), grad=scaled_entry((0, 0), 1.0)).ok


@pytest.mark.parametrize("seed", [0, 1])
def test_a_wrong_entry_that_was_not_sampled_is_found_by_bisection(seed):
    report = sg.verify(
        regression(), grad=scaled_entry((17, 2), 1.01), sizes={n: 4, d: 40, c: 3}, entries=2, seed=seed
    )
    assert not report.ok
    assert (report.worst.symbol, report.worst.index) == ("W", (17, 2))
    assert "entry found by bisection" in report.table


def test_a_wrong_sign_among_scalars_is_named():
    report = sg.verify(x**2 * y, grad=lambda a, b: (2 * a * b, -(a**2)), at={"x": 1.5, "y": 2.0})
    assert not report.ok
    assert (report.worst.symbol, report.worst.index) == ("y", ())
    assert report.worst.numeric == pytest.approx(2.25)


def test_a_wrong_rule_in_the_op_table_is_caught(monkeypatch):
    wrong = replace(OPS["tanh"], partials=(lambda g, a, value: g.sub(g.one, value),))
    monkeypatch.setitem(OPS, "tanh", wrong)
    report = sg.verify(x * sp.tanh(y))
    assert not report.ok
    assert report.worst.symbol == "y"
    assert set(results(report, "grad").values()) == {"FAILED"}
    assert set(results(report, "value").values()) == {"ok"}


def test_a_derivative_that_is_nan_fails():
    report = sg.verify(x * y, grad=lambda a, b: (b, float("nan")))
    assert not report.ok
    assert report.worst.symbol == "y"


@pytest.mark.parametrize("word", ["value", "grad", "hess", "hvp", "jac", "jvp", "vjp"])
def test_a_perturbed_number_in_any_output_fails(monkeypatch, word):
    def perturbed(*arguments: Any) -> dict[str, list[np.ndarray]]:
        outputs = outputs_of(*arguments)
        outputs[word] = [part * (1 + 1e-6 * (part == part.max())) for part in outputs[word]]
        return outputs

    monkeypatch.setattr(claims, "outputs_of", perturbed)
    report = sg.verify(regression(), outputs=word, sizes={n: 2, d: 3, c: 2})
    assert not report.ok
    assert results(report, word)["reference evaluator" if word == "value" else "complex step"] == "FAILED"
    assert results(report, word)["50 digits"] == "FAILED"


def test_a_failure_is_raised_on_request_and_names_the_entry():
    with pytest.raises(VerificationFailed, match=r"^grad W\[1, 0\] is .*, and .* by ") as caught:
        sg.verify(regression(), grad=scaled_entry((1, 0), 2.0), raises=True)
    assert "grad by complex step" in caught.value.because


def test_nothing_is_raised_where_all_is_well():
    assert sg.verify(x**2, raises=True).ok


# ---- kinks -------------------------------------------------------------------------------------


def test_a_derivative_between_the_slopes_of_a_kink_is_accepted_and_said_so():
    report = sg.verify(sp.Abs(x) + y**2, at={x: 0, y: 1})
    assert report.ok
    assert report.notes == (
        "grad: 1 entry on a kink, such as x: slope -1 on the left, 1 on the right, derivative 0 "
        "(convention first)",
        "kinks at the point: Abs(x) where x = 0: slope 0",
    )
    assert results(report, "grad")["Taylor, one side"] == "left out"


def test_a_derivative_outside_the_slopes_of_a_kink_fails():
    report = sg.verify(sp.Abs(x) + y**2, at={x: 0, y: 1}, grad=lambda a, b: (1.5, 2 * b))
    assert not report.ok
    assert report.worst.symbol == "x"


def test_beside_a_kink_the_derivative_is_that_of_its_side():
    report = sg.verify(sp.Max(x, 0) * y + sp.Abs(y), at={x: 1e-4, y: -1e-4})
    assert report.ok
    assert report.notes == ()
    assert results(report, "grad")["complex step"] == "ok"


# ---- points ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expr",
    [sp.log(x) + sp.sqrt(y), sp.asin(x) * y, sp.acosh(x) + y, sp.acosh(x) * sp.acos(y)],
    ids=["positive", "unit interval", "above one", "both"],
)
def test_points_are_drawn_where_the_program_is_finite(expr):
    assert sg.verify(expr).ok


def test_numbers_have_the_sign_their_symbols_are_declared_to_have():
    p, m = sp.symbols("p", positive=True), sp.symbols("m", negative=True)
    report = sg.verify(sp.log(p) * sp.log(-m))
    assert report.ok


def test_a_program_that_is_nowhere_finite_is_refused():
    with pytest.raises(BadArgument, match="no point was found where the program") as caught:
        sg.verify(sp.log(-(x**2) - 1))
    assert caught.value.because == "60 random choices of x were tried"


def test_integer_arguments_are_drawn_inside_the_array_they_index():
    rows, table = sp.IndexedBase("rows", shape=(n,), integer=True), sp.IndexedBase("table", shape=(d,))
    report = sg.verify(sp.Sum(table[rows[i]] ** 2, (i, 0, n - 1)), wrt=table, sizes={n: 6, d: 2})
    assert report.ok


def test_sizes_are_found_that_keep_every_index_in_its_array():
    v = sp.IndexedBase("v", shape=(n,))
    report = sg.verify(v[0] * v[4] + sp.Sum(v[i] ** 3, (i, 0, n - 1)))
    assert report.ok
    assert int(report.title[-1].rsplit(" ", 1)[1]) >= 5


def test_the_point_is_given_by_symbols_or_names_and_fixes_the_sizes():
    given = {"X": np.ones((4, 2)), W: np.zeros((2, 3))}
    report = sg.verify(regression(), at=given)
    assert report.title == (
        "verify  value, grad  (llvm, float64)",
        "given   W(2, 3), X(4, 2)",
        "random  Y(4, 3)  (seed 0)",
        "sizes   c = 3, d = 2, n = 4",
    )


def test_a_vector_stands_for_a_column():
    v = sp.MatrixSymbol("v", n, 1)
    assert sg.verify((v.T * v)[0, 0], at={v: [1.0, 2.0, 3.0]}).ok


def test_a_name_that_is_no_argument_is_refused():
    with pytest.raises(BadArgument) as caught:
        sg.verify(x * y, at={"z": 1.0})
    assert str(caught.value) == "there is no argument 'z'\n  because  the names are x, y"


def test_an_array_with_too_many_axes_is_refused():
    with pytest.raises(ShapeMismatch, match=r"argument 'x' has shape \(2,\)"):
        sg.verify(x * y, at={x: [1.0, 2.0]})


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ShapeMismatch, match="the gradient given has parts of shape"):
        sg.verify(x * y, grad=lambda a, b: (b, a, a))


def test_options_of_a_program_are_refused_with_a_kernel():
    kernel = sg.compile(x * y, outputs=("value", "grad"))
    with pytest.raises(BadOption, match="wrt, kinks, backend and dtype belong to a program"):
        sg.verify(kernel, wrt=x)
    with pytest.raises(BadOption, match="outputs names a word that the kernel does not have"):
        sg.verify(kernel, outputs="hess")


@pytest.mark.parametrize(
    "options",
    [{"rtol": 0.0}, {"rtol": float("nan")}, {"entries": 0}, {"samples": 0}, {"digits": 19}],
    ids=str,
)
def test_tolerances_and_counts_have_to_be_positive(options):
    with pytest.raises(BadOption, match=next(iter(options))):
        sg.verify(x * y, **options)


def test_the_tolerance_asked_for_is_used():
    wrong = scaled_entry((1, 0), 1 + 1e-5)
    assert not sg.verify(regression(), grad=wrong).ok
    assert sg.verify(regression(), grad=wrong, rtol=1e-3).ok


def test_a_kernel_from_a_pickle_is_refused():
    kernel = pickle.loads(pickle.dumps(sg.compile(x * y, outputs=("value", "grad"))))
    with pytest.raises(BadArgument, match="the kernel does not know its program"):
        sg.verify(kernel)


# ---- sparse results, diagonals, Gauss-Newton ---------------------------------------------------


def chain() -> sg.Program:
    z, k = sp.IndexedBase("z", shape=(n,)), sp.Symbol("k", integer=True)
    return sg.program(sp.Sum((z[k + 1] - z[k] ** 2) ** 2 + (1 - z[k]) ** 4, (k, 0, n - 2)), wrt=z)


@pytest.mark.parametrize("form", ["csc", "csr", "coo"])
def test_a_sparse_hessian_and_its_pattern_are_verified(form):
    report = sg.verify(sg.compile(chain(), outputs=("value", "hess"), sparse=form), sizes={n: 5})
    assert report.ok
    found = results(report, "hess")
    assert found["complex step"] == found["sparsity pattern"] == found["structural zeros"] == "ok"
    assert "13 of 25 places" in report.table


def test_a_place_missing_from_a_pattern_is_found_even_where_the_derivative_is_zero(monkeypatch):
    kernel = sg.compile(sp.Matrix([x**2 * y, y]), outputs="jac", sparse="csr")
    full = type(kernel).sparsity

    def without_one(self, **values):
        pattern = full(self, **values).tolil()
        pattern[0, 0] = False
        return pattern.tocsr()

    monkeypatch.setattr(type(kernel), "sparsity", without_one)
    report = sg.verify(kernel, at={x: 0.0, y: 1.5})
    assert results(report, "jac")["complex step"] == "ok"
    assert results(report, "jac")["sparsity pattern"] == "FAILED"
    assert report.worst.name == "jac value[0, 0] by x"


def test_the_diagonal_of_a_hessian_is_verified(monkeypatch):
    report = sg.verify(chain(), outputs="hess_diag", sizes={n: 6})
    assert report.ok
    assert results(report, "hess_diag") == dict.fromkeys(
        ("forward differences", "central differences", "complex step", "50 digits"), "ok"
    )
    assert report.accuracy[0].numbers == 6

    def perturbed(*arguments: Any) -> dict[str, list[np.ndarray]]:
        outputs = outputs_of(*arguments)
        outputs["hess_diag"] = [part * (1 + 1e-6 * (np.arange(6) == 4)) for part in outputs["hess_diag"]]
        return outputs

    monkeypatch.setattr(claims, "outputs_of", perturbed)
    report = sg.verify(chain(), outputs="hess_diag", sizes={n: 6})
    assert not report.ok
    assert report.worst.name == "hess_diag z[4] by z[4]"


@pytest.mark.parametrize("word", ["gauss_newton", "gnvp"])
def test_gauss_newton_matrices_and_products_are_verified(monkeypatch, word):
    residuals = sp.Matrix([x * y - 1, sp.exp(x), y**3])
    report = sg.verify(residuals, outputs=word)
    assert report.ok
    assert results(report, word) == {"complex step": "ok", "50 digits": "ok"}
    two = sg.program(X * W, wrt=(X, W))
    assert sg.verify(two, outputs=word, sizes={n: 2, d: 2, c: 2}).ok

    def perturbed(*arguments: Any) -> dict[str, list[np.ndarray]]:
        outputs = outputs_of(*arguments)
        outputs[word] = [part * np.where(np.arange(part.size) == part.size - 1, 1.001, 1).reshape(part.shape)
                         for part in outputs[word]]  # fmt: skip
        return outputs

    monkeypatch.setattr(claims, "outputs_of", perturbed)
    report = sg.verify(residuals, outputs=word)
    assert results(report, word) == {"complex step": "FAILED", "50 digits": "FAILED"}
    assert report.worst.symbol == "y"


# ---- digits, zeros, samples --------------------------------------------------------------------


def test_correct_digits_and_last_places_are_counted_per_output():
    report = sg.verify(x**2 * sp.exp(y) + sp.log(x), outputs=("value", "grad", "hess"), samples=3)
    assert [a.output for a in report.accuracy] == ["value", "grad", "hess"]
    assert [a.numbers for a in report.accuracy] == [3, 6, 12]
    for a in report.accuracy:
        assert 14 < a.least_digits <= a.median_digits
        assert a.median_ulps <= a.most_ulps < 8


def test_digits_lost_by_cancellation_are_counted():
    report = sg.verify((1 - sp.cos(x)) / x, at={x: 1e-3}, wrt=x, outputs="value", rtol=1e-6)
    unstable = sg.program((1 - sp.cos(x)) / x, stabilise=False)
    lost = sg.verify(unstable, at={x: 1e-3}, outputs="value", rtol=1e-6)
    assert lost.ok
    assert lost.accuracy[0].least_digits < 12
    assert lost.accuracy[0].most_ulps > 1e3
    assert report.accuracy[0].numbers == 1


def test_last_places_are_those_of_the_kernels_type():
    report = sg.verify(sp.exp(x) * y, dtype="float32")
    for a in report.accuracy:
        assert a.dtype == "float32"
        assert 6 < a.least_digits < 9
        assert 0.01 < a.most_ulps < 4


@pytest.mark.parametrize("digits", [20, 30, 120])
def test_the_digits_of_the_exact_evaluation_are_chosen(digits):
    report = sg.verify(x**2 * sp.exp(y), outputs=("value", "grad", "hess"), digits=digits)
    assert report.ok
    for output in ("value", "grad", "hess"):
        assert results(report, output)[f"{digits} digits"] == "ok"


def test_the_hessian_of_a_wrong_gradient_fails_even_if_it_is_consistent(monkeypatch):
    wrong = replace(OPS["tanh"], partials=(lambda g, a, value: g.node("cos", a[0]),))
    monkeypatch.setitem(OPS, "tanh", wrong)
    report = sg.verify(x**2 + sp.tanh(y), outputs="hess", at={x: 0.8, y: 0.6})
    found = results(report, "hess")
    assert found["complex step"] == "ok"  # of the gradient, which is wrong itself
    assert (found["50 digits"], found["Taylor, second order"]) == ("FAILED", "FAILED")


def test_the_second_order_remainder_shows_order_three():
    report = sg.verify(sp.exp(x) * sp.sin(y), at={x: 0.3, y: 0.7}, outputs=("hess", "hvp"))
    orders = [float(row.measure.split()[1]) for row in report.rows if row.method == "Taylor, second order"]
    assert orders == pytest.approx([3, 3], abs=0.1)


def test_the_order_of_the_second_remainder_falls_to_two_for_a_wrong_curvature():
    s = sweep(np.exp, np.array([0.3]), np.array([1.0]), 1.0)
    slope = np.exp([0.3])
    assert second_order(s, slope, slope, 0.0, 0.0).order == pytest.approx(3, abs=0.1)
    assert second_order(s, slope, 1.01 * slope, 0.0, 0.0).order == pytest.approx(2, abs=0.1)


def test_structural_zeros_have_to_be_exactly_zero():
    cubes = sp.Matrix([x**3, y**3])
    report = sg.verify(cubes, outputs="jac")
    zeros = next(row for row in report.rows if row.method == "structural zeros")
    assert (zeros.compared, zeros.result) == ("2 zeros", "ok")
    report = sg.verify(x**3 + y**3, hess=[[6 * x, 0], [1e-300, 6 * y]])
    assert results(report, "hess")["structural zeros"] == "FAILED"
    assert results(report, "hess")["complex step"] == "ok"  # to rounding it is right
    assert report.worst.name == "hess y by x"


def test_a_zero_by_chance_is_no_structural_zero():
    report = sg.verify(x**2 + y, at={x: 0.0, y: 1.0})
    assert "structural zeros" not in results(report, "grad")
    report = sg.verify(x + 10**20 * y, at={x: 1.0, y: 1.0}, rtol=1.0)
    assert "structural zeros" not in results(report, "grad")


def test_the_worst_of_several_points_is_shown_and_named():
    calls = []

    def gradient(a: float) -> float:
        calls.append(a)
        return 2 * a * (1.5 if len(calls) == 3 else 1.0)

    report = sg.verify(x**2, wrt=x, grad=gradient, samples=4, seed=10)
    assert len(calls) == 4
    assert len(set(map(float, calls))) == 4
    assert not report.ok
    assert "4 points, seeds 10 to 13" in report.table
    assert all("worst at point 3 (seed 12)" in row.note for row in report.rows if row.result == "FAILED")
    assert "worst at point 3 (seed 12)" in report.table


def test_numbers_are_drawn_inside_the_domain():
    seen = []

    def gradient(a: float, b: float) -> tuple[float, float]:
        seen.append((float(a), float(b)))
        return 1.0, 1.0

    ends = {x: (3.0, 3.5), "y": (float("-inf"), -2)}
    assert sg.verify(x + y, grad=gradient, domain=ends, samples=20).ok
    assert all(3 <= a <= 3.5 and b <= -2 for a, b in seen)


def test_a_domain_that_makes_no_sense_is_refused():
    p = sp.Symbol("p", positive=True)
    with pytest.raises(BadOption) as caught:
        sg.verify(p * y, domain={p: (-1, 0)})
    assert str(caught.value) == (
        "the domain of 'p' is (-1, 0)\n  because  the symbol is declared not to be negative\n"
        "  try      an interval of its sign"
    )
    for domain in ({x: (1, 0)}, {x: 3}, {x: (0, float("nan"))}, {x: ("a", "b")}):
        with pytest.raises(BadOption, match="the domain of 'x' is"):
            sg.verify(x * y, domain=domain)
    with pytest.raises(BadArgument, match="there is no argument 'z'"):
        sg.verify(x * y, domain={"z": (0, 1)})
    with pytest.raises(BadOption, match="'x' has a domain and a value"):
        sg.verify(x * y, at={x: 1.0}, domain={x: (0, 1)})
    with pytest.raises(BadOption, match="samples is 2, and nothing is drawn"):
        sg.verify(x * y, at={x: 1.0, y: 2.0}, samples=2)


def test_a_report_raises_on_request():
    with pytest.raises(VerificationFailed, match=r"^grad x is "):
        sg.verify(x**2, grad=lambda a: 3 * a, at={x: 1.0}).raise_if_wrong()
    report = sg.verify(x**2)
    assert report.raise_if_wrong() is report


# ---- the report --------------------------------------------------------------------------------


def test_large_inputs_are_sampled_and_the_table_says_so():
    rng = np.random.default_rng(0)
    at = {X: rng.random((300, 30)), W: rng.random((30, 10)), Y: np.eye(10)[rng.integers(0, 10, 300)]}
    report = sg.verify(regression(), at=at, entries=5)
    assert report.ok
    compared = {row.method: row.compared for row in report.rows if row.output == "grad"}
    assert compared["central differences"] == "5 of 300 entries, 3 directions"
    left_out = next(row for row in report.rows if row.method == "50 digits" and row.output == "grad")
    assert left_out.result == "left out"
    assert left_out.note.startswith("too large: ")


def test_the_table_is_aligned_and_ends_with_the_verdict():
    lines = str(sg.verify(x**2 * y)).splitlines()
    header = next(line for line in lines if line.startswith("output"))
    rows = lines[lines.index(header) + 1 : lines.index("", lines.index(header))]
    assert len(rows) == 8
    for line in rows:
        assert line[header.index("result") :].startswith("ok")
    assert lines[-1] == "ok"
    assert lines[-2].startswith("worst  ")


def test_a_failing_table_lists_the_comparisons_that_failed():
    table = sg.verify(x**2, grad=lambda a: 3 * a, at={x: 1.0}).table
    assert table.splitlines()[-1].startswith("FAILED: grad (forward differences), grad (central differences)")


def test_the_json_is_strict_and_holds_every_row():
    report = sg.verify(x * y, grad=lambda a, b: (b, float("inf")))
    content = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert content["ok"] is False
    assert len(content["rows"]) == len(report.rows)
    assert content["worst"]["symbol"] == "y"
    assert content["worst"]["analytic"] == "inf"


# ---- the methods on their own ------------------------------------------------------------------


def test_differences_find_the_step_where_they_are_steadiest():
    s = sweep(lambda p: np.sin(p), np.array([0.7]), np.array([1.0]), 1.0)
    ahead, behind, middle = forward_difference(s), forward_difference(s, side=-1), central_difference(s)
    for estimate, tolerance in ((ahead, 1e-6), (behind, 1e-6), (middle, 1e-9)):
        assert abs(estimate.value[0] - np.cos(0.7)) < tolerance
        assert abs(estimate.value[0] - np.cos(0.7)) <= 8 * estimate.error[0]


def test_one_sided_differences_differ_at_a_kink():
    s = sweep(np.abs, np.array([0.0]), np.array([1.0]), 1.0)
    assert (forward_difference(s).value[0], forward_difference(s, side=-1).value[0]) == (1.0, -1.0)


def test_differences_leave_out_steps_that_leave_the_domain():
    s = sweep(lambda p: np.sqrt(np.where(p < 0, np.nan, p)), np.array([1e-3]), np.array([1.0]), 1.0)
    assert central_difference(s).value[0] == pytest.approx(0.5 / np.sqrt(1e-3), rel=1e-6)


def test_the_order_of_the_remainder_falls_to_one_for_a_wrong_slope():
    s = sweep(np.exp, np.array([0.3]), np.array([1.0]), 1.0)
    right, wrong = np.exp([0.3]), 1.01 * np.exp([0.3])
    assert first_order(s, right, 0.0).order == pytest.approx(2, abs=0.05)
    assert both_sides(s, right, 0.0).order == pytest.approx(3, abs=0.05)
    assert first_order(s, wrong, 0.0).order == pytest.approx(1, abs=0.05)
    assert both_sides(s, wrong, 0.0).order == pytest.approx(1, abs=0.05)


def test_every_op_but_some_special_functions_has_a_complex_form():
    special = {*SPECIAL, *(op for op in OPS if op.startswith("radial_bessel"))}
    assert set(OPS) - special <= set(COMPLEX_FORMS) <= set(OPS)


# Arguments that belong together are not moved alone: test_removable.py, test_log_products.py,
# test_cancellation.py.
_APART = ("where", "mask", "cast", "log_in_range", "root_less_side", "less_norm_cosine", "powm1", *REMOVABLE)
_NUMERIC = [
    op for op in OPS.values() if op.name in COMPLEX_FORMS and op.result == "real" and op.name not in _APART
]


@pytest.mark.parametrize("op", _NUMERIC, ids=lambda op: op.name)
def test_the_complex_step_of_every_op_agrees_with_high_precision(op):
    rng = np.random.default_rng(7)
    domain = op.domain if len(op.domain) == op.arity else op.domain * op.arity
    step = 1e-20
    with mpmath.workdps(50):
        for _ in range(20):
            point = [float(rng.uniform(*interval)) for interval in domain]
            for k in range(op.arity):
                moved = [np.asarray(complex(a, step if m == k else 0.0)) for m, a in enumerate(point)]
                ends = [
                    op.mpmath(
                        *(
                            mpmath.mpf(a) + (s * mpmath.mpf(step) if m == k else 0)
                            for m, a in enumerate(point)
                        )
                    )
                    for s in (1, -1)
                ]
                exact = float((ends[0] - ends[1]) / (2 * mpmath.mpf(step)))
                with np.errstate(all="ignore"):
                    found = complex(COMPLEX_FORMS[op.name](*moved)).imag / step
                assert found == pytest.approx(exact, rel=1e-12, abs=1e-13), (op.name, point, k)


def test_a_gradient_of_the_wrong_shape_is_refused_even_if_its_numbers_fit() -> None:
    n, d = sp.symbols("n d", integer=True, positive=True)
    w = sp.MatrixSymbol("W", n, d)
    program = sg.program(sp.Trace(w.T * w), wrt=w)
    with pytest.raises(ShapeMismatch, match="parts of shape"):
        sg.verify(program, grad=lambda a: 2 * a.T, at={w: np.ones((3, 2))})


@pytest.mark.parametrize("wrong", [False, True])
def test_a_point_on_a_kink_alone_is_judged_by_the_slopes_of_both_sides(wrong: bool) -> None:
    x = sp.Symbol("x", real=True)
    given = {"grad": lambda a: np.array(2.0)} if wrong else {}
    report = sg.verify(sg.program(sp.Abs(x), wrt=x), at={x: 0.0}, **given)
    assert report.ok is not wrong
    assert wrong or "slopes of both sides" in report.table


# ---- outside of the domain ---------------------------------------------------------------------


@pytest.mark.parametrize(("expr", "at"), [(sp.log(x), -1.0), (1 / x, 0.0), (x**2, float("nan"))], ids=str)
def test_a_point_outside_of_the_domain_is_said_to_be_outside(expr, at):
    report = sg.verify(expr, at={x: at}, backend="numpy")
    assert not report.ok
    assert {(row.output, row.method, row.measure) for row in report.rows} == {
        ("value", "domain", "not finite"),
        ("grad", "domain", "not finite"),
    }
    assert "the program is not finite at the point" in report.table


def test_a_slope_that_is_infinite_at_a_finite_value_is_named():
    report = sg.verify(sp.sqrt(x), at={x: 0.0}, backend="numpy")
    assert not report.ok
    assert "grad: 1 number not finite, such as inf: no slope equals that" in report.notes


@pytest.mark.parametrize("given", [lambda a: "text", lambda a: [1, None, "b"]])
def test_a_gradient_that_returns_no_numbers_is_refused(given):
    with pytest.raises(BadArgument, match="the gradient given is not made of numbers"):
        sg.verify(x**2, grad=given, backend="numpy")


def test_a_number_for_a_gradient_of_two_entries_is_refused():
    with pytest.raises(ShapeMismatch, match="the gradient given has parts of shape"):
        sg.verify(x**2 * y, grad=7, backend="numpy")
