"""The loop around the optimizers: convergence, endings, callbacks, mini-batches, and what users see."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import sympy as sp
from numpy.testing import assert_allclose

import symgrad as sg
from symgrad import optim
from symgrad.errors import BadArgument, BadOption, DtypeMismatch, ShapeMismatch
from symgrad.run.batches import Batches, make_batches
from symgrad.run.flat import layout_of
from symgrad.run.loop import State, Status, run_loop
from symgrad.run.minimize import minimize
from symgrad.run.progress import ProgressBar
from symgrad.run.scipy_problem import scipy_problem

n, d = sp.symbols("n d", integer=True, positive=True)
X, y, w = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("y", n, 1), sp.MatrixSymbol("w", d, 1)


def rosenbrock(arrays: Mapping[str, Any]) -> tuple[float, tuple[np.ndarray]]:
    return scipy.optimize.rosen(arrays["x"]), (scipy.optimize.rosen_der(arrays["x"]),)


class Logistic:
    """The regularised logistic loss, parameters w (n,) and c (a number), and its derivatives."""

    def __init__(self, samples: int = 60, features: int = 4) -> None:
        random = np.random.default_rng(0)
        self.inputs = random.normal(size=(samples, features))
        noise = random.normal(size=samples)
        self.labels = (self.inputs @ np.arange(features) + noise > 0).astype(float)
        self.data = {"X": self.inputs, "y": self.labels}
        self.start = {"w": np.zeros(features), "c": 0.0}

    def value_and_grad(self, arrays: Mapping[str, Any]) -> tuple[float, tuple[Any, Any]]:
        inputs, labels, weights = arrays["X"], arrays["y"], arrays["w"]
        scores = inputs @ weights + arrays["c"]
        value = np.mean(np.logaddexp(0, scores) - labels * scores) + 0.05 * weights @ weights
        errors = (1 / (1 + np.exp(-scores)) - labels) / len(labels)
        return value, (inputs.T @ errors + 0.1 * weights, errors.sum())

    def hess(self, arrays: Mapping[str, Any]) -> np.ndarray:
        scores = arrays["X"] @ arrays["w"] + arrays["c"]
        slopes = 1 / (1 + np.exp(-scores)) / (1 + np.exp(scores)) / len(scores)
        design = np.column_stack([arrays["X"], np.ones(len(scores))])
        return design.T @ (design * slopes[:, None]) + np.diag([0.1] * (design.shape[1] - 1) + [0.0])

    def hvp(self, arrays: Mapping[str, Any], tangents: Mapping[str, Any]) -> np.ndarray:
        return self.hess(arrays) @ np.append(tangents["w"], tangents["c"])


@pytest.mark.parametrize("method", [optim.LBFGS(), optim.Newton()], ids=lambda method: type(method).__name__)
@pytest.mark.parametrize("size", [2, 10, 50])
def test_rosenbrock_is_solved_to_the_last_digits(method: Any, size: int) -> None:
    result = run_loop(
        rosenbrock,
        {"x": np.linspace(-1.2, 1.0, size)},
        method,
        hess=lambda arrays: scipy.optimize.rosen_hess(arrays["x"]),
        tol=1e-10,
    )
    assert result.success and result.status == Status.GRADIENT_SMALL
    assert_allclose(result.x["x"], np.ones(size), atol=1e-9)
    assert np.abs(result.jac["x"]).max() <= 1e-10


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        (optim.LBFGS(), 30),
        (optim.Newton(), 10),
        (optim.ExactStep(), 100),
        (optim.Nesterov(1.0, 0.8), 300),
        (optim.GradientDescent(2.0), 300),
        (optim.Momentum(1.0, 0.8), 300),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_smooth_convex_loss_reaches_a_tiny_gradient(method: Any, steps: int, offset: float) -> None:
    # With the offset the last digits of the parameters change nothing in the value any more.
    problem = Logistic()

    def shifted(arrays: Mapping[str, Any]) -> tuple[float, Any]:
        value, grad = problem.value_and_grad(arrays)
        return value + offset, grad

    result = run_loop(
        shifted,
        problem.start,
        method,
        data=problem.data,
        hess=problem.hess,
        hvp=problem.hvp,
        tol=1e-10,
        max_steps=steps,
    )
    assert result.success, result.message
    assert max(np.abs(result.jac["w"]).max(), abs(result.jac["c"])) <= 1e-10


@pytest.mark.parametrize(
    "method", [optim.RMSProp(0.01), optim.Adam(0.05), optim.AdamW(0.05, weight_decay=0.0)]
)
def test_scaled_methods_come_close_to_the_optimum(method: Any) -> None:
    problem = Logistic()
    best = run_loop(problem.value_and_grad, problem.start, optim.LBFGS(), data=problem.data)
    result = run_loop(problem.value_and_grad, problem.start, method, data=problem.data, max_steps=600)
    assert_allclose(result.fun, best.fun, rtol=1e-4)


def test_lbfgs_goes_on_to_rounding_error_when_the_tolerance_is_zero() -> None:
    problem = Logistic()
    result = run_loop(problem.value_and_grad, problem.start, optim.LBFGS(), data=problem.data, tol=0.0)
    assert result.success and result.status == Status.AT_ROUNDING
    assert np.abs(result.jac["w"]).max() < 1e-14


def test_the_result_has_the_structure_of_the_starting_values() -> None:
    problem = Logistic()
    start = {"w": np.zeros((4, 1)), "c": 1}

    def value_and_grad(arrays: Mapping[str, Any]) -> tuple[float, Any]:
        assert isinstance(arrays["c"], float) and arrays["w"].shape == (4, 1)
        return problem.value_and_grad({**arrays, "w": arrays["w"][:, 0]})

    result = run_loop(value_and_grad, start, optim.LBFGS(), data=problem.data)
    assert list(result.x) == ["w", "c"] and list(result.jac) == ["w", "c"]
    assert result.x["w"].shape == (4, 1) and type(result.x["c"]) is float
    assert np.array_equal(start["w"], np.zeros((4, 1)))
    first = problem.value_and_grad({**problem.data, "w": np.zeros(4), "c": 1.0})[0]
    assert result.history[0] == first and result.history[-1] == result.fun
    assert len(result.history) == result.nit + 1 and result.nfev >= result.nit + 1


def test_a_quadratic_bowl_takes_the_first_gradient_step_to_the_right_place() -> None:
    def bowl(arrays: Mapping[str, Any]) -> tuple[float, np.ndarray]:
        a, b = arrays["a"], arrays["b"]
        return (a - 2) ** 2 + (b + 1) ** 2, np.array([2 * (a - 2), 2 * (b + 1)])

    result = run_loop(bowl, {"a": 0.0, "b": 0.0}, optim.GradientDescent(0.1), max_steps=1)
    assert_allclose([result.x["a"], result.x["b"]], [0.4, -0.2], rtol=1e-15)
    assert result.nit == 1 and result.status == Status.STEPS_DONE and not result.success


def test_zero_steps_only_evaluate() -> None:
    result = run_loop(rosenbrock, {"x": np.zeros(2)}, optim.Adam(), max_steps=0)
    assert result.nit == 0 and result.nfev == 1 and result.fun == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_not_finite_stops_at_the_last_good_point(bad: float) -> None:
    def falls_off(arrays: Mapping[str, Any]) -> tuple[float, Any]:
        return (-arrays["x"] if arrays["x"] < 2.5 else bad), (-1.0,)

    result = run_loop(falls_off, {"x": 0.0}, optim.GradientDescent(1.0))
    assert not result.success and result.status == Status.NOT_FINITE
    assert result.message == (
        f"the value is {bad} at step 3 (epoch 3); x is the last point where both were finite"
    )
    assert result.x == {"x": 2.0} and result.fun == -2.0


def test_a_gradient_that_is_not_finite_is_named_by_its_parameter() -> None:
    def broken(arrays: Mapping[str, Any]) -> tuple[float, Any]:
        return 1.0, (np.zeros(2), np.array([0.0, math.nan]))

    result = run_loop(broken, {"a": np.ones(2), "b": np.ones(2)}, optim.LBFGS())
    assert result.status == Status.NOT_FINITE and not result.success
    assert result.message == "the gradient of b is not finite at step 0 (epoch 0); x is the starting point"
    assert_allclose(result.x["a"], np.ones(2))


def test_a_wrong_gradient_is_not_called_a_success() -> None:
    for method in (optim.LBFGS(), optim.Newton()):
        result = run_loop(
            lambda arrays: (arrays["x"] ** 2, (-2 * arrays["x"],)),
            {"x": 0.3},
            method,
            hess=lambda arrays: np.array([[2.0]]),
        )
        assert not result.success and result.status == Status.NO_STEP
        assert "the gradient may be wrong" in result.message


def test_a_function_without_a_minimum_says_so() -> None:
    result = run_loop(lambda arrays: (arrays["x"], (1.0,)), {"x": 0.3}, optim.LBFGS())
    assert not result.success and "may be unbounded below" in result.message


def test_the_callback_sees_every_step_and_can_stop() -> None:
    seen: list[State] = []

    def callback(state: State) -> bool:
        seen.append(state)
        return state.step == 3

    start = np.array([-1.2, 1.0])
    result = run_loop(rosenbrock, {"x": start}, optim.GradientDescent(1e-3), callback=callback)
    assert [state.step for state in seen] == [0, 1, 2, 3]
    assert [state.value for state in seen] == list(result.history)
    assert result.status == Status.CALLBACK and not result.success and result.nit == 3
    assert_allclose(seen[0].params["x"], start)
    assert_allclose(seen[0].grad_norm, np.abs(scipy.optimize.rosen_der(start)).max())
    for state in seen:
        assert scipy.optimize.rosen(state.params["x"]) == state.value


def test_the_callback_cannot_change_the_parameters() -> None:
    def callback(state: State) -> None:
        state.params["x"][0] = 7.0

    with pytest.raises(ValueError, match="read-only"):
        run_loop(rosenbrock, {"x": np.zeros(2)}, optim.Adam(), callback=callback)


def test_a_converged_run_has_shown_its_last_point_to_the_callback() -> None:
    values: list[float] = []
    result = run_loop(
        rosenbrock, {"x": np.zeros(2)}, optim.LBFGS(), callback=lambda state: values.append(state.value)
    )
    assert result.success and values[-1] == result.fun


def test_the_point_a_line_search_accepted_is_not_evaluated_again() -> None:
    points: list[bytes] = []

    def counting(arrays: Mapping[str, Any]) -> tuple[float, Any]:
        points.append(arrays["x"].tobytes())
        return rosenbrock(arrays)

    result = run_loop(counting, {"x": np.array([-1.2, 1.0])}, optim.LBFGS())
    assert len(points) == len(set(points)) == result.nfev


def test_a_gradient_buffer_that_is_overwritten_by_every_call_does_no_harm() -> None:
    buffer = np.empty(3)

    def reusing(arrays: Mapping[str, Any]) -> tuple[float, Any]:
        buffer[:] = scipy.optimize.rosen_der(arrays["x"])
        return scipy.optimize.rosen(arrays["x"]), buffer

    result = run_loop(reusing, {"x": np.zeros(3)}, optim.LBFGS())
    expected = run_loop(rosenbrock, {"x": np.zeros(3)}, optim.LBFGS())
    assert result.success and result.nit == expected.nit


def test_single_precision_runs_in_single_precision() -> None:
    def single(arrays: Mapping[str, Any]) -> tuple[float, Any]:
        assert arrays["x"].dtype == np.float32
        return float(((arrays["x"] - 3) ** 2).sum()), 2 * (arrays["x"] - 3)

    result = run_loop(single, {"x": [0.0, 1.0]}, optim.LBFGS(), dtype="float32")
    assert result.success and result.x["x"].dtype == np.float32
    assert_allclose(result.x["x"], [3.0, 3.0], rtol=1e-5)


def test_blocks_of_a_hessian_are_put_together_in_the_order_of_the_parameters() -> None:
    layout = layout_of({"a": np.zeros((2, 1)), "b": 0.0})
    blocks = ((np.arange(4.0).reshape(2, 1, 2, 1), np.array([[7.0], [8.0]])), (np.array([[5.0, 6.0]]), 9.0))
    assert_allclose(layout.matrix(blocks), [[0, 1, 7], [2, 3, 8], [5, 6, 9]])
    assert_allclose(layout.matrix(np.arange(9.0).reshape(3, 3)), np.arange(9.0).reshape(3, 3))


def test_packing_and_unpacking_are_inverse_and_share_no_memory_with_the_source() -> None:
    params = {"a": np.arange(6.0).reshape(2, 3), "b": 4, "c": [1.0]}
    layout = layout_of(params)
    vector = layout.pack(params)
    again = layout.unpack(vector)
    assert_allclose(again["a"], params["a"])
    assert again["b"] == 4.0 and again["c"].shape == (1,)
    assert not np.shares_memory(vector, params["a"])
    assert np.shares_memory(again["a"], vector)


# Mini-batches


def numbered(count: int, size: int, seed: int = 0) -> Batches:
    return Batches({"s": np.arange(float(count)), "k": 5.0}, {"s": (0,)}, count, size, seed)


def samples_seen(batches: Batches, epochs: int) -> list[list[float]]:
    """The samples of each batch of the first epochs, by running a loop over them."""
    seen: list[list[float]] = []

    def value_and_grad(arrays: Mapping[str, Any]) -> tuple[float, Any]:
        seen.append(arrays["s"].tolist())
        assert arrays["k"] == 5.0
        return 0.0, (0.0,)

    run_loop(value_and_grad, {"x": 0.0}, optim.Adam(), batches=batches, epochs=epochs)
    return seen[:-1]  # the last call is on all the data, for the result


@pytest.mark.parametrize(("count", "size"), [(10, 3), (12, 4), (5, 5), (7, 1)])
def test_an_epoch_visits_every_sample_once(count: int, size: int) -> None:
    seen = samples_seen(numbered(count, size), epochs=3)
    per_epoch = -(-count // size)
    assert len(seen) == 3 * per_epoch
    for epoch in range(3):
        batches = seen[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sorted(sample for batch in batches for sample in batch) == list(range(count))
        assert all(len(batch) == size for batch in batches[:-1])


def test_equal_seeds_give_equal_orders_and_epochs_differ() -> None:
    first, second = samples_seen(numbered(20, 6, seed=1), 2), samples_seen(numbered(20, 6, seed=1), 2)
    assert first == second
    assert first != samples_seen(numbered(20, 6, seed=2), 2)
    assert first[:4] != first[4:]


def test_mini_batches_train_a_logistic_regression_and_report_on_all_the_data() -> None:
    problem = Logistic()
    batches = Batches(problem.data, {"X": (0,), "y": (0,)}, 60, 16, seed=0)
    result = run_loop(problem.value_and_grad, problem.start, optim.Adam(0.02), batches=batches, epochs=60)
    best = run_loop(problem.value_and_grad, problem.start, optim.LBFGS(), data=problem.data)
    assert result.success and result.nit == 60 * 4
    assert result.message == "ran for 240 steps, as asked"
    assert best.fun < result.fun < best.fun + 5e-3
    assert result.fun == problem.value_and_grad({**problem.data, **result.x})[0]
    assert len(result.history) == 240
    assert_allclose(result.epoch_history, result.history.reshape(60, 4).mean(axis=1))


def test_max_steps_ends_in_the_middle_of_an_epoch() -> None:
    epochs: list[int] = []
    result = run_loop(
        lambda arrays: (1.0, (1.0,)),
        {"x": 0.0},
        optim.GradientDescent(0.5),
        batches=numbered(6, 2),
        epochs=9,
        max_steps=4,
        callback=lambda state: epochs.append(state.epoch),
    )
    assert epochs == [0, 0, 0, 1] and result.nit == 4 and result.x == {"x": -2.0}


def test_the_batch_axis_is_the_leading_size_all_data_have_in_common() -> None:
    data = {X: np.arange(12.0).reshape(6, 2), y: np.arange(6.0)}
    batches = make_batches(data, {w: np.zeros((2, 1))}, 4, None, seed=3)
    assert batches.axes == {X: (0,), y: (0,)} and batches.count == 6 and batches.per_epoch == 2
    stream = batches.orders()
    for _ in range(4):
        batch = batches.batch(next(stream)[1], {})
        assert_allclose(batch[X][:, 0], 2 * batch[y])


def test_a_batch_axis_may_be_the_second_or_both_axes_and_its_size_may_be_data() -> None:
    kernel_matrix, columns = sp.MatrixSymbol("K", n, n), sp.MatrixSymbol("A", d, n)
    fixed = sp.MatrixSymbol("R", d, d)
    values = np.arange(5.0)
    data = {
        kernel_matrix: np.add.outer(10 * values, values),
        columns: np.stack([values, -values]),
        fixed: np.eye(2),
        n: 5,
    }
    batches = make_batches(data, {}, 3, n, seed=0)
    batch = batches.batch(next(batches.orders())[1], {})
    chosen = batch[columns][0]
    assert len(chosen) == 3
    assert_allclose(batch[kernel_matrix], np.add.outer(10 * chosen, chosen))
    assert batch[fixed] is data[fixed] and batch[n] == 3


def test_an_unclear_batch_axis_is_asked_for() -> None:
    data = {X: np.zeros((4, 2)), sp.MatrixSymbol("R", d, d): np.eye(2)}
    with pytest.raises(BadOption) as caught:
        make_batches(data, {}, 2, None, 0)
    assert str(caught.value) == (
        "it is not clear which axis of the data runs over samples\n"
        "  because  the arrays have no leading size in common: X (n, d), R (d, d)\n"
        "  try      batch_axis= one of d, n"
    )


def test_samples_must_agree_in_number() -> None:
    with pytest.raises(ShapeMismatch) as caught:
        make_batches({X: np.zeros((4, 2)), y: np.zeros((5, 1))}, {}, 2, None, 0)
    assert str(caught.value) == (
        "the data arrays have different numbers of samples\n  because  n is 4 in X, 5 in y"
    )


def test_parameters_are_not_cut_into_batches() -> None:
    with pytest.raises(BadOption, match="would cut the parameter 'u'"):
        make_batches({X: np.zeros((4, 2))}, {sp.MatrixSymbol("u", n, 1): np.zeros(4)}, 2, None, 0)


@pytest.mark.parametrize(
    "method", [optim.LBFGS(), optim.Newton(), optim.ExactStep(), optim.LevenbergMarquardt()]
)
def test_line_searches_refuse_mini_batches(method: Any) -> None:
    with pytest.raises(BadOption, match="does not work on mini-batches"):
        run_loop(lambda arrays: (0.0, (0.0,)), {"x": 0.0}, method, batches=numbered(4, 2))


# From SymPy to the result


def bowl() -> tuple[sp.Symbol, sp.Symbol, sp.Expr]:
    a, b = sp.symbols("a b")
    return a, b, (a - 2) ** 2 + (b + 1) ** 2


def least_squares(seed: int = 0) -> tuple[sp.Expr, dict[Any, np.ndarray], np.ndarray]:
    """(X w - y)'(X w - y) / n + w'w / 10, data for it, and its minimiser from the normal equations."""
    residual = X * w - y
    loss = (residual.T * residual)[0, 0] / n + (w.T * w)[0, 0] / 10
    random = np.random.default_rng(seed)
    inputs, outputs = random.normal(size=(40, 3)), random.normal(size=(40, 1))
    solution = np.linalg.solve(inputs.T @ inputs / 40 + np.eye(3) / 10, inputs.T @ outputs / 40)
    return loss, {X: inputs, y: outputs}, solution


def test_one_gradient_step_from_the_origin_of_a_bowl() -> None:
    a, b, loss = bowl()
    result = minimize(loss, {a: 0.0, b: 0.0}, method=optim.GradientDescent(0.1), max_steps=1)
    assert_allclose([result.x[a], result.x[b]], [0.4, -0.2], rtol=1e-15)


@pytest.mark.parametrize("method", [None, "newton", "exact-step", optim.Nesterov(0.2, 0.3)])
@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_every_kind_of_method_finds_the_bottom_of_a_bowl(method: Any, backend: str) -> None:
    a, b, loss = bowl()
    result = minimize(loss, {a: 0.0, b: 0.0}, method=method, backend=backend)
    assert result.success
    assert_allclose([result.x[a], result.x[b]], [2.0, -1.0], atol=1e-7)
    assert_allclose(result.fun, 0.0, atol=1e-14)


@pytest.mark.parametrize("method", ["lbfgs", "newton", "exact-step"])
def test_least_squares_in_matrix_notation_solves_the_normal_equations(method: str) -> None:
    loss, data, solution = least_squares()
    result = minimize(loss, {w: np.zeros((3, 1))}, data, method=method, tol=1e-10)
    assert result.success, result.message
    assert_allclose(result.x[w], solution, rtol=1e-8)
    assert result.jac[w].shape == (3, 1)


def test_several_array_parameters_are_minimised_together() -> None:
    u, v = sp.MatrixSymbol("u", n, 1), sp.MatrixSymbol("v", d, 1)
    s = sp.Symbol("s")
    loss = ((u.T * u)[0, 0] - 1) ** 2 + ((v.T * v)[0, 0] - s) ** 2 + (s - 3) ** 2
    start = {u: np.ones((2, 1)), s: 1.0, v: np.array([[1.0], [2.0], [3.0]])}
    for method in ("lbfgs", "newton"):
        result = minimize(loss, start, method=method)
        assert result.success, result.message
        assert_allclose((result.x[u] ** 2).sum(), 1.0, rtol=1e-6)
        assert_allclose((result.x[v] ** 2).sum(), 3.0, rtol=1e-6)
        assert_allclose(result.x[s], 3.0, rtol=1e-6)


def test_a_program_is_minimised_like_its_expression() -> None:
    loss, data, solution = least_squares()
    result = minimize(sg.program(loss, args=(X, w, y), wrt=w), {w: np.zeros((3, 1))}, data)
    assert_allclose(result.x[w], solution, rtol=1e-6)


def test_a_program_argument_without_a_value_is_named() -> None:
    loss, data, _ = least_squares()
    program = sg.program(loss, args=(X, w, y), wrt=w)
    with pytest.raises(BadArgument, match="there is no value for 'y'"):
        minimize(program, {w: np.zeros((3, 1))}, {X: data[X]})


def test_an_array_for_a_scalar_symbol_is_not_a_sum_over_samples() -> None:
    a, b, loss = bowl()
    with pytest.raises(ShapeMismatch, match=r"the value is an array of shape \(3,\), not one number"):
        minimize(loss, {a: 0.0}, {b: np.arange(3.0)})


def test_residuals_of_observations_are_fitted_as_scipy_fits_them() -> None:
    times = np.linspace(0.0, 4.0, 40)
    seen = 2.5 * np.exp(-1.3 * times) + 0.5 + 0.05 * np.cos(37.0 * times)
    t, level, a, b, c = sp.symbols("t level a b c")
    residual = a * sp.exp(-b * t) + c - level  # of one observation: the others are samples
    start = {a: 1.0, b: 1.0, c: 0.0}
    fit = minimize(residual, start, {t: times, level: seen}, method="lm")
    expected = scipy.optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * times) + p[2] - seen, list(start.values()), method="lm", xtol=1e-12
    )
    assert fit.success
    assert_allclose([fit.x[symbol] for symbol in start], expected.x, rtol=1e-6)
    assert fit.fun == pytest.approx(expected.cost, rel=1e-12)
    assert fit.nit < 12


def test_residuals_in_matrix_form_by_several_arrays_are_fitted() -> None:
    random, b = np.random.default_rng(2), sp.MatrixSymbol("b", 1, 1)
    design, start = random.normal(size=(30, 3)), {w: np.zeros((3, 1)), b: np.zeros((1, 1))}
    target = design @ [[1.0], [-2.0], [0.5]] + 0.7
    fit = minimize(X * w + sp.OneMatrix(n, 1) * b - y, start, {X: design, y: target}, method="lm")
    assert_allclose(fit.x[w], [[1.0], [-2.0], [0.5]], rtol=1e-12)
    assert_allclose(fit.x[b], [[0.7]], rtol=1e-12)
    assert fit.nit == 1


def test_single_precision_residuals_are_fitted_in_single_precision() -> None:
    a, b = sp.symbols("a b")
    fit = minimize(
        sp.Matrix([10 * (b - a**2), 1 - a]), {a: -1.2, b: 1.0}, method="lm", dtype="float32", tol=1e-4
    )
    assert fit.success and [fit.x[a], fit.x[b]] == pytest.approx([1.0, 1.0], abs=1e-5)


def test_one_number_is_no_array_of_residuals() -> None:
    a, b, loss = bowl()
    with pytest.raises(ShapeMismatch, match="the value is one number, not an array of residuals"):
        minimize(loss, {a: 0.0, b: 0.0}, method="lm")


def test_an_array_of_residuals_with_a_parameter_of_the_wrong_shape_is_refused() -> None:
    t, a = sp.symbols("t a")
    with pytest.raises(ShapeMismatch, match="the Jacobian of 6 residuals by 2 parameters has shape"):
        minimize(a * t, {a: np.ones((2, 1))}, {t: np.arange(3.0)}, method="lm")


def test_a_wrong_jacobian_is_not_called_a_success() -> None:
    def residuals_and_jac(arrays: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        return arrays["x"] - 3.0, -np.eye(2)

    def value_and_grad(arrays: Mapping[str, Any]) -> tuple[float, tuple[np.ndarray]]:
        r, jac = residuals_and_jac(arrays)
        return 0.5 * r @ r, (r @ jac,)

    result = run_loop(
        value_and_grad, {"x": np.ones(2)}, optim.LevenbergMarquardt(), residuals_and_jac=residuals_and_jac
    )
    assert not result.success and result.status == Status.NO_STEP


def test_integer_pixels_are_data_like_any_other() -> None:
    loss, data, _ = least_squares()
    rounded = {X: np.abs(np.rint(data[X])).astype(np.uint8), y: np.rint(data[y]).astype(np.int64)}
    floats = {key: array.astype(float) for key, array in rounded.items()}
    start = {w: np.zeros((3, 1))}
    assert_allclose(minimize(loss, start, rounded).x[w], minimize(loss, start, floats).x[w], rtol=1e-12)


def test_mini_batches_of_a_symbolic_loss_come_close_and_repeat_exactly() -> None:
    loss, data, solution = least_squares()
    options: dict[str, Any] = {"method": optim.Adam(0.02), "batch_size": 16, "epochs": 150}
    result = minimize(loss, {w: np.zeros((3, 1))}, data, **options)
    assert result.success and result.nit == 450
    assert_allclose(result.x[w], solution, atol=0.05)
    again = minimize(loss, {w: np.zeros((3, 1))}, data, **options)
    assert np.array_equal(again.x[w], result.x[w]) and again.fun == result.fun


def test_the_digits_of_single_precision_suffice_for_least_squares() -> None:
    loss, data, solution = least_squares()
    result = minimize(loss, {w: np.zeros((3, 1))}, data, dtype="float32")
    assert result.success and result.x[w].dtype == np.float32
    assert_allclose(result.x[w], solution, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("method", ["trust-ncg", "trust-exact", "Newton-CG", "L-BFGS-B", "BFGS"])
def test_scipy_solves_a_problem_made_for_its_method(method: str) -> None:
    loss, data, solution = least_squares()
    problem = scipy_problem(loss, {w: np.zeros((3, 1))}, data, method=method)
    result = scipy.optimize.minimize(**problem)
    assert result.success
    assert_allclose(problem.unpack(result.x)[w], solution, rtol=1e-4)


def test_a_scipy_problem_is_keyword_arguments_with_everything() -> None:
    a, b, _ = bowl()
    rosen = (1 - a) ** 2 + 100 * (b - a**2) ** 2
    problem = scipy_problem(rosen, {a: -1.2, b: 1.0})
    assert list(problem) == ["fun", "x0", "jac", "hess", "hessp"]
    result = scipy.optimize.minimize(**problem, method="trust-ncg")
    assert_allclose(result.x, [1.0, 1.0], rtol=1e-5)
    assert problem.unpack(result.x) == {a: result.x[0], b: result.x[1]}


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_scipy_fits_residuals_made_for_its_method(method: str) -> None:
    t, level, a, b = sp.symbols("t level a b")
    times = np.linspace(0.0, 3.0, 20)
    data = {t: times, level: 3.0 * np.exp(-0.7 * times)}
    problem = scipy_problem(a * sp.exp(-b * t) - level, {a: 1.0, b: 1.0}, data, method=method)
    assert sorted(problem) == ["fun", "jac", "method", "x0"]
    shares = np.exp(-times)
    assert_allclose(problem.fun(problem.x0), shares - data[level], rtol=1e-14)
    assert_allclose(problem.jac(problem.x0), np.column_stack([shares, -times * shares]), rtol=1e-14)
    fit = scipy.optimize.least_squares(**problem)
    assert fit.success and fit.cost < 1e-20
    assert problem.unpack(fit.x) == pytest.approx({a: 3.0, b: 0.7}, rel=1e-9)


def test_the_derivatives_of_a_scipy_problem_are_those_of_rosenbrock() -> None:
    a, b, _ = bowl()
    problem = scipy_problem((1 - a) ** 2 + 100 * (b - a**2) ** 2, {a: -1.2, b: 1.0})
    x, p = np.array([0.3, -0.7]), np.array([1.0, 2.0])
    assert_allclose(problem["fun"](x), scipy.optimize.rosen(x))
    assert_allclose(problem["jac"](x), scipy.optimize.rosen_der(x))
    assert_allclose(problem["hess"](x), scipy.optimize.rosen_hess(x))
    assert_allclose(problem["hessp"](x, p), scipy.optimize.rosen_hess_prod(x, p))


def test_a_scipy_problem_survives_pickling() -> None:
    loss, data, _ = least_squares()
    problem = scipy_problem(loss, {w: np.zeros((3, 1))}, data)
    x = np.array([0.1, 0.2, 0.3])
    value = problem["fun"](x)
    again = pickle.loads(pickle.dumps(problem))
    assert again["fun"](x) == value and np.array_equal(again["hessp"](x, x), problem["hessp"](x, x))


def test_methods_and_options_that_do_not_exist_are_refused() -> None:
    a, b, loss = bowl()
    with pytest.raises(BadOption, match="there is no method called 'sgd'"):
        minimize(loss, {a: 0.0, b: 0.0}, method="sgd")
    with pytest.raises(BadArgument, match="not an optimizer"):
        minimize(loss, {a: 0.0, b: 0.0}, method=optim.Adam)
    with pytest.raises(BadOption, match="batch_axis without batch_size"):
        minimize(loss, {a: 0.0, b: 0.0}, batch_axis=n)
    with pytest.raises(BadOption, match="SciPy has no method called 'adam'"):
        scipy_problem(loss, {a: 0.0, b: 0.0}, method="adam")
    with pytest.raises(BadArgument, match="'a' is both a parameter and data"):
        minimize(loss, {a: 0.0, b: 0.0}, {a: 1.0})


# What can be wrong with the arguments


def test_missing_or_useless_starting_values_are_refused() -> None:
    with pytest.raises(BadArgument, match="no parameters to optimise"):
        layout_of({})
    with pytest.raises(DtypeMismatch, match="starting value of 'x' is complex"):
        layout_of({"x": 1j})
    with pytest.raises(BadArgument, match="starting value of 'x' is not a number"):
        layout_of({"x": "one"})
    with pytest.raises(BadOption, match="dtype is 'float16'"):
        layout_of({"x": 1.0}, "float16")


def test_a_gradient_of_the_wrong_size_names_its_parameter() -> None:
    with pytest.raises(ShapeMismatch, match="'x' has 2 entries, and 3 came back for it"):
        run_loop(lambda arrays: (0.0, (np.zeros(3),)), {"x": np.zeros(2)}, optim.Adam())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs is -1"),
        ({"max_steps": 1.5}, "max_steps is 1.5"),
        ({"tol": -1e-3}, "tol is -0.001"),
        ({"tol": math.nan}, "tol is nan"),
    ],
)
def test_limits_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        run_loop(rosenbrock, {"x": np.zeros(2)}, optim.Adam(), **options)


def test_states_and_results_survive_pickling() -> None:
    states: list[State] = []
    result = run_loop(rosenbrock, {"x": np.zeros(2)}, optim.LBFGS(), callback=states.append, max_steps=3)
    again = pickle.loads(pickle.dumps(result))
    assert again.message == result.message and np.array_equal(again.x["x"], result.x["x"])
    assert pickle.loads(pickle.dumps(states[1])).step == 1


def test_a_result_with_symbols_for_keys_prints() -> None:
    x = sp.Symbol("x")
    result = run_loop(
        lambda arrays: (arrays[x] ** 2, (2 * arrays[x],)), {x: 1.0}, optim.Newton(), max_steps=0
    )
    assert isinstance(result, scipy.optimize.OptimizeResult)
    assert "jac: x: 2.0" in " ".join(repr(result).split())


# The progress bar


def test_the_progress_bar_writes_to_stderr_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    run_loop(rosenbrock, {"x": np.zeros(2)}, optim.Adam(), max_steps=5, progress=True)
    captured = capsys.readouterr()
    assert "value" in captured.err and "5/5" in captured.err and captured.out == ""


def test_the_progress_bar_is_silent_when_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar(None, 3) as bar:
        bar._next = 0.0  # as if the second of patience were over
        bar.show(1, 0, 1.0, 1.0)
    assert capsys.readouterr() == ("", "")


# ---- what does not fit -------------------------------------------------------------------------


def test_a_callback_that_cannot_be_called_is_refused() -> None:
    t = sp.Symbol("t")
    with pytest.raises(BadArgument, match="callback is 3, which cannot be called"):
        sg.minimize(t**2, {t: 1.0}, callback=3)  # type: ignore[arg-type]


def test_a_symbol_without_a_value_in_an_expression_is_named_with_what_to_do() -> None:
    t, s = sp.symbols("t s")
    with pytest.raises(BadArgument, match="there is no value for 's'") as caught:
        sg.minimize(t**2 * s, {t: 1.0})
    assert caught.value.try_ == "params={s: ...} to optimise it, data={s: ...} to keep it fixed"
