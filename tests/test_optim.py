"""Optimizers on their own: each step against a formula by hand, and the corners of the line search."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from symgrad import optim
from symgrad.errors import BadOption
from symgrad.run.optim.base import Evaluation, Linearisation, NoStep
from symgrad.run.optim.lbfgs import Pair, lbfgs_direction
from symgrad.run.optim.levenberg_marquardt import bounded_step, model_of
from symgrad.run.optim.line_search import Line, line_from, strong_wolfe
from symgrad.run.optim.newton import newton_direction

GRADS = ((0.5, -3.0, 0.0), (1.5, 2.0, 0.0), (-0.25, 1.0, 0.0))
START = (1.0, -2.0, 4.0)
EVERY_METHOD = [
    # With its first radius that one would be at the minimum of a quadratic after one step.
    method(radius=0.1) if method is optim.LevenbergMarquardt else method()
    for method in optim.METHODS.values()
]


class Function:
    """A function of one vector with its derivatives, in the role of the oracle."""

    def __init__(self, value: Callable[..., Any], grad: Callable[..., Any], hess: Callable[..., Any]) -> None:
        self._value, self._grad, self._hess = value, grad, hess
        self.calls = 0

    def value_and_grad(self, x: np.ndarray) -> Evaluation:
        self.calls += 1
        return Evaluation(float(self._value(x)), np.asarray(self._grad(x), x.dtype))

    def hess(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self._hess(x))

    def residuals_and_jac(self, x: np.ndarray) -> Linearisation:
        """Of a quadratic function without offset: half the square of R x, where R'R is the Hessian."""
        self.calls += 1
        factor = np.linalg.cholesky(self.hess(x)).T
        return Linearisation(factor @ x, factor)

    def hvp(self, x: np.ndarray, tangent: np.ndarray) -> np.ndarray:
        return self.hess(x) @ tangent


def quadratic(matrix: np.ndarray, offset: float = 0.0) -> Function:
    return Function(lambda x: 0.5 * x @ matrix @ x + offset, lambda x: matrix @ x, lambda x: matrix)


def follow(method: Any, grads: tuple[tuple[float, ...], ...] = GRADS) -> np.ndarray:
    """The parameters after one update per gradient."""
    x = np.array(START)
    state = method.init(x)
    for grad in grads:
        x, state = method.update(state, 0.0, np.array(grad), x)
    return x


def by_hand(step: Callable[[dict[str, float], float, float, int], float]) -> list[float]:
    """The same, one parameter at a time with Python floats; `step` keeps what it needs in a dict."""
    result = []
    for entry, x in enumerate(START):
        memory: dict[str, float] = {}
        for t, grad in enumerate(GRADS, start=1):
            x = step(memory, x, grad[entry], t)
        result.append(x)
    return result


def test_gradient_descent_subtracts_the_gradient_times_the_rate() -> None:
    assert_allclose(follow(optim.GradientDescent(0.1)), by_hand(lambda m, x, g, t: x - 0.1 * g), rtol=1e-14)


def test_a_rate_may_be_a_schedule_from_the_step_number() -> None:
    method = optim.GradientDescent(lambda step: 1.0 / (1 + step))
    assert_allclose(follow(method), by_hand(lambda m, x, g, t: x - g / t), rtol=1e-14)


def test_momentum_adds_up_decayed_gradients() -> None:
    def step(m: dict[str, float], x: float, g: float, t: int) -> float:
        m["v"] = 0.8 * m.get("v", 0.0) + g
        return x - 0.1 * m["v"]

    assert_allclose(follow(optim.Momentum(0.1, 0.8)), by_hand(step), rtol=1e-14)


def test_nesterov_looks_one_decayed_step_ahead() -> None:
    def step(m: dict[str, float], x: float, g: float, t: int) -> float:
        m["v"] = 0.8 * m.get("v", 0.0) + g
        return x - 0.1 * (g + 0.8 * m["v"])

    assert_allclose(follow(optim.Nesterov(0.1, 0.8)), by_hand(step), rtol=1e-14)


def test_nesterov_equals_the_textbook_form_with_an_extrapolated_point() -> None:
    # y' = x - lr f'(x);  x' = y' + momentum (y' - y) on f = x^2 / 2, started at y = x: Nesterov (1983).
    lr, momentum, x, y = 0.3, 0.5, 2.0, 2.0
    method = optim.Nesterov(lr, momentum)
    params, state = np.array([x]), method.init(np.array([x]))
    for _ in range(6):
        params, state = method.update(state, 0.0, params.copy(), params)
        y_next = x - lr * x
        x, y = y_next + momentum * (y_next - y), y_next
        assert_allclose(params, [x], rtol=1e-12)


def test_rmsprop_divides_by_the_root_of_the_mean_square() -> None:
    def step(m: dict[str, float], x: float, g: float, t: int) -> float:
        m["s"] = 0.7 * m.get("s", 0.0) + 0.3 * g * g
        return x - 0.1 * g / (math.sqrt(m["s"]) + 1e-6)

    assert_allclose(follow(optim.RMSProp(0.1, 0.7, 1e-6)), by_hand(step), rtol=1e-14)


def adam_by_hand(weight_decay: float) -> list[float]:
    def step(m: dict[str, float], x: float, g: float, t: int) -> float:
        m["m"] = 0.8 * m.get("m", 0.0) + 0.2 * g
        m["s"] = 0.95 * m.get("s", 0.0) + 0.05 * g * g
        first, second = m["m"] / (1 - 0.8**t), m["s"] / (1 - 0.95**t)
        return x - 0.1 * (first / (math.sqrt(second) + 1e-6) + weight_decay * x)

    return by_hand(step)


def test_adam_divides_corrected_means() -> None:
    assert_allclose(follow(optim.Adam(0.1, 0.8, 0.95, 1e-6)), adam_by_hand(0.0), rtol=1e-14)


def test_adamw_shrinks_the_parameters_apart_from_the_moments() -> None:
    assert_allclose(follow(optim.AdamW(0.1, 0.8, 0.95, 1e-6, 0.02)), adam_by_hand(0.02), rtol=1e-14)


def test_the_first_step_of_adam_is_the_rate_in_the_direction_of_the_sign() -> None:
    moved = follow(optim.Adam(0.01, epsilon=0.0), GRADS[:1])
    assert_allclose(moved, np.array(START) - [0.01, -0.01, 0.0], rtol=1e-14)


@pytest.mark.parametrize("method", EVERY_METHOD, ids=lambda method: type(method).__name__)
def test_a_step_changes_nothing_it_was_given_and_repeats_exactly(method: Any) -> None:
    oracle = quadratic(np.diag([1.0, 5.0, 2.0]))
    extra = {"oracle": oracle} if method.needs else {}
    x = np.array(START)
    state = method.init(x)
    value, grad = oracle.value_and_grad(x)
    x, state = method.update(state, value, grad, x, **extra)
    value, grad = oracle.value_and_grad(x)
    before = pickle.dumps((state, value, grad, x))
    first = method.update(state, value, grad, x, **extra)
    assert pickle.dumps((state, value, grad, x)) == before
    second = method.update(state, value, grad, x, **extra)
    assert pickle.dumps(first) == pickle.dumps(second)


@pytest.mark.parametrize("method", EVERY_METHOD, ids=lambda method: type(method).__name__)
def test_methods_and_their_states_survive_pickling(method: Any) -> None:
    copy = pickle.loads(pickle.dumps(method))
    assert copy == method and hash(copy) == hash(method)
    state = method.init(np.array(START))
    assert type(pickle.loads(pickle.dumps(state))) is type(state)


@pytest.mark.parametrize("method", EVERY_METHOD, ids=lambda method: type(method).__name__)
def test_single_precision_stays_single(method: Any) -> None:
    oracle = quadratic(np.diag(np.float32([1.0, 5.0, 2.0])))
    x = np.float32(START)
    value, grad = oracle.value_and_grad(x)
    extra = {"oracle": oracle} if method.needs else {}
    moved, _ = method.update(method.init(x), value, grad, x, **extra)
    assert moved.dtype == np.float32 and not np.array_equal(moved, x)


def test_the_exact_step_on_a_quadratic_is_the_quotient_of_two_products() -> None:
    matrix = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 7.0]])
    oracle, x, method = quadratic(matrix), np.array(START), optim.ExactStep()
    grad = matrix @ x
    moved, state = method.update(method.init(x), float(0.5 * x @ grad), grad, x, oracle=oracle)
    assert_allclose(moved, x - (grad @ grad) / (grad @ matrix @ grad) * grad, rtol=1e-13)
    assert oracle.calls == 1
    assert_allclose(state.here.grad, matrix @ moved, rtol=1e-13)


def test_the_exact_step_finds_the_minimum_along_the_gradient_of_a_quartic() -> None:
    oracle = Function(lambda x: x[0] ** 4 - x[0], lambda x: 4 * x**3 - 1, lambda x: [[12 * x[0] ** 2]])
    method, x = optim.ExactStep(line_tol=1e-12), np.array([3.0])
    moved, _ = method.update(method.init(x), *oracle.value_and_grad(x), x, oracle=oracle)
    assert_allclose(moved, [0.25 ** (1 / 3)], rtol=1e-10)


def test_the_exact_step_crosses_a_stretch_of_negative_curvature() -> None:
    oracle = Function(lambda x: np.cos(x[0]), lambda x: -np.sin(x), lambda x: [[-np.cos(x[0])]])
    method, x = optim.ExactStep(), np.array([0.25])
    moved, _ = method.update(method.init(x), *oracle.value_and_grad(x), x, oracle=oracle)
    assert_allclose(moved, [math.pi], atol=1e-6)


def test_a_line_that_falls_without_end_is_reported() -> None:
    slope = Function(lambda x: x[0], lambda x: np.ones(1), lambda x: np.zeros((1, 1)))
    x = np.zeros(1)
    for method in (optim.ExactStep(), optim.LBFGS(), optim.Newton()):
        with pytest.raises(NoStep, match="unbounded below"):
            method.update(method.init(x), *slope.value_and_grad(x), x, oracle=slope)


def test_newton_solves_a_positive_quadratic_in_one_step() -> None:
    matrix = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 7.0]])
    oracle, x, method = quadratic(matrix), np.array(START), optim.Newton()
    moved, _ = method.update(method.init(x), *oracle.value_and_grad(x), x, oracle=oracle)
    assert_allclose(moved, np.zeros(3), atol=1e-14)
    assert oracle.calls == 2


def test_newton_turns_negative_curvature_into_descent() -> None:
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    hessian = turn @ np.diag([4.0, -2.0]) @ turn.T
    grad = turn @ np.array([8.0, 3.0])
    assert_allclose(newton_direction(hessian, grad), -turn @ np.array([2.0, 1.5]), rtol=1e-13)


def test_newton_with_a_hessian_of_zeros_follows_the_gradient() -> None:
    assert_allclose(newton_direction(np.zeros((2, 2)), np.array([1.0, -2.0])), [-1.0, 2.0])


def test_newton_reports_a_hessian_that_is_not_finite() -> None:
    with pytest.raises(NoStep, match="not finite"):
        newton_direction(np.array([[np.nan]]), np.ones(1))


def test_the_two_loops_multiply_by_the_bfgs_inverse_hessian() -> None:
    # With matrices, (6.17) of Nocedal and Wright: H <- (I - rho s y') H (I - rho y s') + rho s s'.
    random = np.random.default_rng(3)
    curvature = np.diag(np.arange(1.0, 6.0))
    pairs = []
    for _ in range(4):
        s = random.normal(size=5)
        pairs.append(Pair(s, curvature @ s, 1.0 / float(s @ curvature @ s)))
    newest = pairs[-1]
    inverse = np.eye(5) / (newest.rho * (newest.y @ newest.y))
    for s, y, rho in pairs:
        left = np.eye(5) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    grad = random.normal(size=5)
    assert_allclose(lbfgs_direction(tuple(pairs), grad), -inverse @ grad, rtol=1e-12)


def test_lbfgs_keeps_no_more_pairs_than_its_memory() -> None:
    oracle, method = quadratic(np.diag([1.0, 10.0, 100.0, 1000.0])), optim.LBFGS(memory=2)
    x = np.ones(4)
    state = method.init(x)
    for _ in range(4):
        value, grad = oracle.value_and_grad(x)
        x, state = method.update(state, value, grad, x, oracle=oracle)
    assert len(state.pairs) == 2
    assert_allclose(state.pairs[-1].rho, 1 / (state.pairs[-1].s @ state.pairs[-1].y))


def line_of(value: Callable[[float], float], slope: Callable[[float], float], curvature: float = 0.1) -> Line:
    oracle = Function(lambda x: value(float(x[0])), lambda x: [slope(float(x[0]))], lambda x: [[0.0]])
    start, grad = oracle.value_and_grad(np.zeros(1))
    return line_from(oracle, np.zeros(1), start, grad, np.ones(1), curvature)


LINES = {
    # The functions (5.1) to (5.3) of More and Thuente, ACM TOMS 20 (1994) 286.
    "dip": (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
    "far": (
        lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
    ),
    "exp": (lambda a: math.exp(min(a, 700.0)) - 5 * a, lambda a: math.exp(min(a, 700.0)) - 5),
    "well": (lambda a: (a - 3.0) ** 4, lambda a: 4 * (a - 3.0) ** 3),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("first_step", [1e-3, 0.1, 10.0, 1e3])
def test_the_line_search_meets_the_strong_wolfe_conditions(name: str, first_step: float) -> None:
    value, slope = LINES[name]
    line = line_of(value, slope)
    point = strong_wolfe(line, first_step)
    assert point is not None
    assert value(point.step) <= value(0.0) + 1e-4 * point.step * slope(0.0)
    assert abs(slope(point.step)) <= 0.1 * abs(slope(0.0))


def test_the_line_search_backs_off_from_values_that_are_not_finite() -> None:
    def value(a: float) -> float:
        return -math.log(1.0 - a) - 2.0 * a if a < 1.0 else math.nan

    line = line_of(value, lambda a: 1.0 / (1.0 - a) - 2.0 if a < 1.0 else math.inf)
    point = strong_wolfe(line, 50.0)
    assert point is not None
    assert_allclose(point.step, 0.5, atol=0.05)


def test_the_line_search_goes_by_slopes_where_values_are_rounding_error() -> None:
    # Next to 1e8 a parabola of height 1e-10 is invisible; its slopes are exact.
    line = line_of(lambda a: 1e8 + 1e-10 * (a - 1.0) ** 2, lambda a: 2e-10 * (a - 1.0))
    point = strong_wolfe(line, 0.01)
    assert point is not None
    assert_allclose(point.step, 1.0, atol=0.1)


def test_the_line_search_finds_nothing_where_the_gradient_is_wrong() -> None:
    assert strong_wolfe(line_of(lambda a: 1.0 + a, lambda a: -1.0), 1.0) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.Adam(-1.0), "lr is -1.0\n  because  lr is a number with 0 < lr < inf"),
        (lambda: optim.Adam(b1=1.0), "b1 is 1.0\n  because  b1 is a number with 0 <= b1 < 1"),
        (
            lambda: optim.Momentum(0.1, math.nan),
            "momentum is nan\n  because  momentum is a number with 0 <= mom",
        ),
        (lambda: optim.GradientDescent("fast"), "lr is 'fast'\n  because  lr is a number with 0 < lr < inf"),
        (lambda: optim.LBFGS(memory=0), "memory is 0\n  because  memory is an integer, 1 or more"),
    ],
)
def test_an_option_out_of_range_is_named_with_its_range(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(BadOption) as caught:
        make()
    assert str(caught.value).startswith(message)


# Levenberg-Marquardt


def _random_linearisation(seed: int, count: int = 7, size: int = 4, rank: int = 4) -> Linearisation:
    random = np.random.default_rng(seed)
    jac = random.normal(size=(count, rank)) @ random.normal(size=(rank, size))
    return Linearisation(random.normal(size=count), jac)


@pytest.mark.parametrize("rank", [4, 2])
@pytest.mark.parametrize("radius", [1e-6, 0.01, 0.1, 0.2])
def test_a_bounded_step_is_as_long_as_the_radius_and_solves_the_damped_equations(
    radius: float, rank: int
) -> None:
    r, jac = linear = _random_linearisation(3, rank=rank)
    step = bounded_step(model_of(linear, np.ones(4)), radius)
    assert np.linalg.norm(step) == pytest.approx(radius, rel=0.1 + 1e-9)
    # (J'J + a) p = -J'r with one a > 0 for all entries: what is left of the right side is parallel to p.
    left = -jac.T @ r - jac.T @ (jac @ step)
    damping = (left @ step) / (step @ step)
    assert damping > 0.0
    assert_allclose(left, damping * step, atol=1e-9 * np.abs(jac.T @ r).max())


def test_a_step_within_the_radius_is_that_of_gauss_and_newton() -> None:
    r, jac = linear = _random_linearisation(4)
    shortest = np.linalg.lstsq(jac, -r, rcond=None)[0]
    assert_allclose(bounded_step(model_of(linear, np.ones(4)), 1e3), shortest, rtol=1e-10)


def test_a_step_of_a_jacobian_without_full_rank_is_the_shortest_one() -> None:
    r, jac = linear = _random_linearisation(5, rank=2)
    shortest = np.linalg.lstsq(jac, -r, rcond=None)[0]
    assert_allclose(bounded_step(model_of(linear, np.ones(4)), 1e3), shortest, rtol=1e-9, atol=1e-12)


def test_the_units_of_the_parameters_make_no_difference_to_levenberg_and_marquardt() -> None:
    matrix, units, method = (
        np.array([[3.0, 1.0], [1.0, 2.0]]),
        np.array([1e6, 1e-6]),
        optim.LevenbergMarquardt(0.5),
    )
    x = np.array([1.0, -2.0])
    plain, scaled = quadratic(matrix), quadratic(matrix / np.outer(units, units))
    moved, _ = method.update(method.init(x), *plain.value_and_grad(x), x, oracle=plain)
    there, _ = method.update(method.init(x), *scaled.value_and_grad(units * x), units * x, oracle=scaled)
    assert_allclose(there, units * moved, rtol=1e-9)
    assert not np.allclose(moved, 0.0)  # the radius was too small for the whole step


def test_a_jacobian_that_is_not_finite_makes_no_step() -> None:
    with pytest.raises(NoStep, match="the Jacobian has entries that are not finite"):
        model_of(Linearisation(np.ones(2), np.array([[1.0], [np.inf]])), np.ones(1))
