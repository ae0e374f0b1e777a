"""A line search for the strong Wolfe conditions that still works where the value is all rounding error.

With phi(a) = f(x + a d), a step `a` is accepted if

    phi(a) <= phi(0) + DECREASE a phi'(0)    and    |phi'(a)| <= curvature |phi'(0)|.

Source: Nocedal and Wright, Numerical Optimization, 2nd ed., algorithms 3.5 (bracketing) and 3.6 (zoom), with
the cubic of (3.59). Near an optimum differences of values drown in rounding error while slopes still carry
digits; there the first condition is replaced by one on slopes, the approximate Wolfe condition of Hager and
Zhang, SIAM J. Optim. 16 (2005) 170, (4.1), for values that noise cannot tell apart: |phi(a) - phi(0)| <=
noise and phi'(a) <= (2 DECREASE - 1) phi'(0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from symgrad.run.flat import Vector
from symgrad.run.optim.base import NoStep, Oracle

DECREASE = 1e-4
NOISE = 1e3
"""Rounding error expected in a value, in epsilons of the type: a sum of many terms loses a few digits."""
WIDER_NOISE = 1e3
"""The second search allows this much more rounding error than the first."""
NO_BETTER_POINT = "the line search found no better point; the gradient may be wrong, or not continuous here"
LARGEST_GROWTH = 10.0
BRACKETINGS = 40
ZOOMS = 40


class Point(NamedTuple):
    """One point of the line: step, phi and phi' there, the parameters and the gradient, shape (size,)."""

    step: float
    value: float
    slope: float
    x: Vector
    grad: Vector


@dataclass(frozen=True, slots=True)
class Line:
    """phi(a) = f(start.x + a direction), and what counts as a good step on it."""

    oracle: Oracle
    start: Point
    direction: Vector
    curvature: float
    noise: float

    def at(self, step: float) -> Point:
        x = self.direction * step
        x += self.start.x
        value, grad = self.oracle.value_and_grad(x)
        return Point(step, value, float(np.dot(grad, self.direction)), x, grad)

    def decreases(self, point: Point) -> bool:
        start = self.start
        if point.value <= start.value + DECREASE * point.step * start.slope:
            return True
        near = abs(point.value - start.value) <= self.noise
        return near and point.slope <= (2.0 * DECREASE - 1.0) * start.slope

    @property
    def is_at_rounding(self) -> bool:
        """Whether a full Newton-like step, which gains half its slope, gains less than rounding hides."""
        return -0.5 * self.start.slope <= self.noise * WIDER_NOISE

    def is_flat(self, point: Point) -> bool:
        return abs(point.slope) <= -self.curvature * self.start.slope


def line_from(
    oracle: Oracle, x: Vector, value: float, grad: Vector, direction: Vector, curvature: float
) -> Line:
    """The line from `x` along `direction`, with the rounding error to expect in values near `value`."""
    start = Point(0.0, value, float(np.dot(grad, direction)), x, grad)
    noise = NOISE * float(np.finfo(x.dtype).eps) * abs(value)
    return Line(oracle, start, direction, curvature, noise)


def search(line: Line, first_step: float) -> Point | None:
    """`strong_wolfe`, and again on slopes alone where the gain in sight is below the value's rounding error.

    Returns None if the direction does not descend or no better point was found.
    """
    if not line.start.slope < 0.0:
        return None
    point = strong_wolfe(line, first_step)
    if point is None and line.is_at_rounding:
        point = strong_wolfe(replace(line, noise=line.noise * WIDER_NOISE), first_step)
    return point


def strong_wolfe(line: Line, first_step: float) -> Point | None:
    """A point that satisfies the conditions above, searched from `first_step` > 0 on a line that descends.

    Returns None if no point better than the start was found. Where rounding keeps the second condition out of
    reach, the best point that satisfies the first is returned. A value or slope that is not finite counts as
    too far. Raises NoStep if phi falls without end.
    """
    previous, step, too_far = line.start, first_step, math.inf
    for _ in range(BRACKETINGS):
        point = line.at(step)
        if not _is_finite(point):
            too_far = step
            step = previous.step + 0.25 * (too_far - previous.step)
            continue
        rises = previous is not line.start and point.value > previous.value + line.noise
        if rises or not line.decreases(point):
            return _zoom(line, previous, point)
        if line.is_flat(point):
            return point
        if point.slope >= 0.0:
            return _zoom(line, point, previous)
        previous, step = point, _farther(previous, point, too_far)
    if math.isfinite(too_far):
        return previous if previous is not line.start else None
    raise NoStep("the value keeps falling along the search direction; it may be unbounded below")


def _zoom(line: Line, low: Point, high: Point) -> Point | None:
    """Algorithm 3.6: `low` decreases enough, and the minimum lies between it and `high`."""
    for _ in range(ZOOMS):
        width = abs(high.step - low.step)
        if width <= 4.0 * np.spacing(max(low.step, high.step)):
            break
        point = line.at(_between(low, high, line.noise))
        if not _is_finite(point) or not line.decreases(point) or point.value > low.value + line.noise:
            high = point
            continue
        if line.is_flat(point):
            return point
        if point.slope * (high.step - low.step) >= 0.0:
            high = low
        low = point
    # Short of the slope condition only a visible gain counts: rounding error must not carry x away.
    return low if low.value < line.start.value else None


def _farther(previous: Point, point: Point, too_far: float) -> float:
    """The next, larger step: where the cubic has its minimum, but no tiny and no wild growth."""
    width = point.step - previous.step
    guess = _cubic_minimum(previous, point)
    if not guess > point.step:
        guess = point.step + LARGEST_GROWTH * width
    guess = min(max(guess, point.step + width), point.step + LARGEST_GROWTH * width)
    return guess if guess < too_far else 0.5 * (point.step + too_far)


def _between(low: Point, high: Point, noise: float) -> float:
    """A step between two points: secant on slopes where values are noise, else cubic, else the middle."""
    width = high.step - low.step
    guess = math.nan
    if _is_finite(high):
        values_are_noise = abs(high.value - low.value) <= 10.0 * noise
        guess = _secant(low, high) if values_are_noise else _cubic_minimum(low, high)
    share = (guess - low.step) / width
    if not 0.0 < share < 1.0:
        return low.step + 0.5 * width
    return low.step + min(max(share, 0.05), 0.95) * width


def _secant(a: Point, b: Point) -> float:
    if a.slope * b.slope >= 0.0:
        return math.nan
    return a.step - a.slope * (b.step - a.step) / (b.slope - a.slope)


def _cubic_minimum(a: Point, b: Point) -> float:
    """The minimum of the cubic with the values and slopes of two points, (3.59); nan if it has none."""
    d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0.0:
        return math.nan
    d2 = math.copysign(math.sqrt(square), b.step - a.step)
    below = b.slope - a.slope + 2.0 * d2
    if below == 0.0:
        return math.nan
    return b.step - (b.step - a.step) * (b.slope + d2 - d1) / below


def _is_finite(point: Point) -> bool:
    return math.isfinite(point.value) and math.isfinite(point.slope)
