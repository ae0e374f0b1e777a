"""The Levenberg-Marquardt method for sums of squares, in a trust region."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from symgrad.run.flat import Matrix, Vector
from symgrad.run.optim.base import Evaluation, Linearisation, NoStep, Oracle, check_between
from symgrad.run.optim.line_search import NOISE

LEAST_GAIN = 1e-4
"""A step is taken if the value falls by at least this share of what the linear model promises."""
RADIUS_ACCURACY = 0.1
"""A step as long as the radius, within this relative accuracy, is long enough."""
NO_BETTER_STEP = "no step leads to a better point; the Jacobian may be wrong, or not continuous here"
TRIALS = 60
SECULAR_STEPS = 30


@dataclass(frozen=True, slots=True)
class LevenbergMarquardtState:
    """The residuals and Jacobian at the current parameters, the scale of each parameter, and the radius.

    `scale` has shape (size,) and holds the largest norm seen of each column of the Jacobian. None before the
    first step.
    """

    linear: Linearisation | None = None
    scale: Vector | None = None
    radius: float = math.inf
    here: Evaluation | None = None


class Model(NamedTuple):
    """The residuals linearised in scaled parameters p, r + J p, by the singular value decomposition of J.

    `singular` (k,) descending, `rows` (k, size) the right singular vectors, `target` (k,) the left ones times
    -r, with k = min(residuals, size).
    """

    singular: Vector
    rows: Matrix
    target: Vector


@dataclass(frozen=True)
class LevenbergMarquardt:
    """x <- x - (J'J + a D^2)^-1 J'r, with `a` such that the step p has |D p| <= radius.

    J is the Jacobian of the residuals r, and D holds the largest norms that its columns have had, so that
    the units of the parameters make no difference. The radius starts at `radius` |D x| (at `radius` where
    that is 0), and then grows and shrinks by how well the linear model predicts the value, half the sum of
    squares. A trial costs one evaluation of residuals and Jacobian, a step O(residuals size^2) for a singular
    value decomposition; usually one trial makes a step. A rank-deficient J is no obstacle. Needs a program
    whose value is an array of residuals, and the whole data in every step.

    Source: Moré, The Levenberg-Marquardt algorithm: implementation and theory, Lecture Notes in Math. 630
    (1978) 105: scaling (section 6), the step by Newton's method on the secular equation (section 5, after
    Hebden), here with a singular value decomposition instead of a QR one.
    """

    radius: float = 100.0
    needs: ClassVar[tuple[str, ...]] = ("residuals_and_jac",)

    def __post_init__(self) -> None:
        check_between("radius", self.radius, 0.0, math.inf, open_below=True)

    def init(self, params: Vector) -> LevenbergMarquardtState:
        return LevenbergMarquardtState()

    def update(
        self, state: LevenbergMarquardtState, value: float, grad: Vector, params: Vector, *, oracle: Oracle
    ) -> tuple[Vector, LevenbergMarquardtState]:
        linear = state.linear or oracle.residuals_and_jac(params)
        scale, radius = _scale_of(linear.jac, state.scale), state.radius
        if state.scale is None:
            radius = self.radius * (float(np.linalg.norm(scale * params)) or 1.0)
        model = model_of(linear, scale)
        spacing = float(np.finfo(params.dtype).eps) * abs(value)
        noise = NOISE * spacing
        is_at_rounding = _promised(model, bounded_step(model, radius)) <= noise
        for _ in range(TRIALS):
            step = bounded_step(model, radius)
            length, promised = float(np.linalg.norm(step)), _promised(model, step)
            x = np.asarray(params + step / scale, params.dtype)
            if np.array_equal(x, params):
                break
            there = oracle.residuals_and_jac(x)
            here = there.evaluation()
            gain = (value - here.value) / promised if promised > 0.0 else -math.inf
            if gain >= LEAST_GAIN or _is_flatter(here, grad, value, noise, scale):
                return x, LevenbergMarquardtState(there, scale, _next_radius(gain, length, radius), here)
            if is_at_rounding and promised <= spacing:
                break
            radius = 0.25 * min(length, radius)
        raise NoStep(NO_BETTER_STEP, is_at_rounding)


def model_of(linear: Linearisation, scale: Vector) -> Model:
    """The linear model in scaled parameters; NoStep if the Jacobian is not finite."""
    if not np.isfinite(linear.jac).all():
        raise NoStep("the Jacobian has entries that are not finite")
    left, singular, rows = np.linalg.svd(linear.jac / scale, full_matrices=False)
    return Model(singular, rows, -(left.T @ linear.residuals))


def bounded_step(model: Model, radius: float) -> Vector:
    """The shortest p, shape (size,), with |p| <= radius for which |r + J p| is least.

    |p| may miss the radius by RADIUS_ACCURACY, relatively. Moré (1978), algorithm 5.5: Newton's method on
    1/|p(a)| - 1/radius = 0 for p(a) = (J'J + a)^-1 (-J'r), within bounds on a.
    """
    s, wanted = model.singular, model.singular * model.target
    visible = s > np.finfo(s.dtype).eps * len(s) * s.max(initial=0.0)
    free = np.divide(model.target, s, out=np.zeros_like(s), where=visible)
    length = float(np.linalg.norm(free))
    if length <= radius * (1.0 + RADIUS_ACCURACY):
        return np.asarray(model.rows.T @ free, s.dtype)
    upper = float(np.linalg.norm(wanted)) / radius
    lower, damping = 0.0, 1e-3 * upper
    for _ in range(SECULAR_STEPS):
        share = wanted / (s * s + damping)
        length = float(np.linalg.norm(share))
        if abs(length - radius) <= RADIUS_ACCURACY * radius:
            break
        lower, upper = (damping, upper) if length > radius else (lower, damping)
        slope = -float(np.dot(share / length, share / (s * s + damping)))
        damping -= (length / radius) * (length - radius) / slope
        if not lower < damping < upper:
            damping = max(1e-3 * upper, math.sqrt(lower * upper))
    return np.asarray(model.rows.T @ (wanted / (s * s + damping)), s.dtype)


def _scale_of(jac: Matrix, before: Vector | None) -> Vector:
    """The largest norm of each column so far; 1 for one that has always been 0."""
    norms = np.linalg.norm(jac, axis=0)
    if before is None:
        return np.asarray(np.where(norms > 0.0, norms, 1.0), jac.dtype)
    return np.asarray(np.maximum(norms, before), jac.dtype)


def _promised(model: Model, step: Vector) -> float:
    """By how much the linear model lowers half the sum of squares."""
    moved = model.singular * (model.rows @ step)
    return float(np.dot(model.target, moved) - 0.5 * np.dot(moved, moved))


def _is_flatter(here: Evaluation, grad: Vector, value: float, noise: float, scale: Vector) -> bool:
    """Whether values that rounding cannot tell apart have a clearly smaller gradient at the new point."""
    if not abs(here.value - value) <= noise:
        return False
    return float(np.linalg.norm(here.grad / scale)) < 0.5 * float(np.linalg.norm(grad / scale))


def _next_radius(gain: float, length: float, radius: float) -> float:
    if gain < 0.25:
        return 0.5 * length
    if gain > 0.75:
        return max(radius, 2.0 * length)
    return radius
