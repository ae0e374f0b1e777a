"""Gradient descent that minimises along the gradient in every step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symgrad.run.flat import Vector
from symgrad.run.optim.base import Evaluation, NoStep, Oracle, check_between, check_count
from symgrad.run.optim.line_search import Point


@dataclass(frozen=True, slots=True)
class ExactStepState:
    """The value and gradient at the current parameters, and the length of the last step (1 at first)."""

    here: Evaluation | None
    last_step: float


@dataclass(frozen=True)
class ExactStep:
    """x <- x - a g with the a that minimises f along -g, found with Hessian-vector products.

    On a quadratic a = g'g / g'Hg, one product and one gradient per step. On anything else that is the first
    of several Newton iterations on phi'(a) = 0, phi(a) = f(x - a g), phi''(a) = g' H(x - a g) g, kept inside
    the interval on which phi' is known to change sign (bisection when Newton leaves it, doubling while phi
    still falls and curves down). They end when |phi'(a)| <= `line_tol` |phi'(0)|, after `line_steps`
    iterations, or when the interval is one rounding error wide. The result is a stationary point of phi where
    phi' goes from - to +: a local minimum along the line, which for a convex f is the minimum. If phi falls
    without end the loop stops and says so.

    Needs the whole data in every step. Sources: Cauchy, Comptes rendus 25 (1847) 536; Nocedal and Wright,
    Numerical Optimization, 2nd ed., (3.26); safeguarded Newton as in Press et al., Numerical Recipes, 3rd
    ed., section 9.4.
    """

    line_tol: float = 1e-6
    line_steps: int = 50
    needs: ClassVar[tuple[str, ...]] = ("value_and_grad", "hvp")

    def __post_init__(self) -> None:
        check_between("line_tol", self.line_tol, 0.0, 1.0)
        check_count("line_steps", self.line_steps)

    def init(self, params: Vector) -> ExactStepState:
        return ExactStepState(None, 1.0)

    def update(
        self, state: ExactStepState, value: float, grad: Vector, params: Vector, *, oracle: Oracle
    ) -> tuple[Vector, ExactStepState]:
        # The direction has length 1, so that a step's length does not overflow or vanish with the gradient's.
        direction = grad / -float(np.linalg.norm(grad))
        start = Point(0.0, value, float(np.dot(grad, direction)), params, grad)
        if not start.slope < 0.0:
            raise NoStep("the gradient vanishes", at_rounding=True)
        point = self._line_minimum(start, direction, oracle, state.last_step)
        return point.x, ExactStepState(Evaluation(point.value, point.grad), point.step)

    def _line_minimum(self, start: Point, direction: Vector, oracle: Oracle, last_step: float) -> Point:
        low, high, point = start, math.inf, start
        for _ in range(self.line_steps):
            curvature = float(np.dot(direction, oracle.hvp(point.x, direction)))
            step = _next_step(point, curvature, low.step, high, last_step)
            if step in (low.step, high):
                break
            point = _point_at(start, direction, oracle, step)
            if point.slope < 0.0 and math.isfinite(point.value):
                low = point
            else:
                high = step
            if abs(point.slope) <= -self.line_tol * start.slope and math.isfinite(point.value):
                return point
            if not math.isfinite(point.value + point.slope):
                point = low
        else:
            if math.isinf(high):
                raise NoStep("the value keeps falling along the gradient; it may be unbounded below")
        if low is start:
            raise NoStep("no step along the gradient changes the parameters any more", at_rounding=True)
        return low


def _next_step(point: Point, curvature: float, low: float, high: float, last_step: float) -> float:
    """Newton's step from `point` if it stays between low and high, else half way, or twice as far as low."""
    guess = point.step - point.slope / curvature if curvature > 0.0 else math.nan
    if low <= guess < high:
        return guess
    if math.isfinite(high):
        return 0.5 * (low + high)
    return 2.0 * low if low > 0.0 else last_step


def _point_at(start: Point, direction: Vector, oracle: Oracle, step: float) -> Point:
    x = direction * step
    x += start.x
    value, grad = oracle.value_and_grad(x)
    return Point(step, value, float(np.dot(grad, direction)), x, grad)
