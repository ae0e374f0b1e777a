"""Derivatives from values alone: forward and central differences over many steps, and Taylor remainders.

Nothing here knows where the values come from. A sweep evaluates the function once for all steps along one
direction; every method reads its answer off the same values.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symgrad.records import dataclass

Array = np.ndarray
Values = Callable[[Array], Array]
"""Points, shape (B, N), to values, shape (B, M)."""

STEPS = 10.0 ** -np.arange(1.0, 12.0)
EPS = float(np.finfo(np.float64).eps)
_ULPS = 4  # rounding of one value, in units in its last place, as the error estimates take it
_ABOVE_NOISE = 20  # a remainder counts towards the order where it exceeds rounding this many times
_LAST = 3  # the order is the median slope over the smallest steps that count


@dataclass(frozen=True)
class Sweep:
    """Values along one direction: at the point (M,), and ahead and behind for every step, (S, M)."""

    steps: Array
    here: Array
    ahead: Array
    behind: Array


@dataclass(frozen=True)
class Estimate:
    """A derivative along a direction, its estimated error, and the step it was read off at; all (M,)."""

    value: Array
    error: Array
    step: Array


def sweep(values: Values, point: Array, direction: Array, scale: float) -> Sweep:
    """The values at `point + h*direction` and `point - h*direction` for h = 0.1*scale, ..., 1e-11*scale.

    point, direction  shape (N,).
    The steps are powers of ten times `scale`, rounded to powers of two, so that they are exact in binary.
    """
    steps = 2.0 ** np.round(np.log2(STEPS * scale))
    shifts = steps[:, None] * direction
    points = np.concatenate([point[None], point + shifts, point - shifts])
    result = values(points)
    count = len(steps)
    return Sweep(steps, result[0], result[1 : 1 + count], result[1 + count :])


def forward_difference(s: Sweep, side: int = 1) -> Estimate:
    """(f(x + h d) - f(x))/h where its error is smallest; `side=-1` looks behind instead."""
    there = s.ahead if side > 0 else s.behind
    with np.errstate(all="ignore"):
        slopes = side * (there - s.here) / s.steps[:, None]
    return _plateau(s, slopes)


def central_difference(s: Sweep) -> Estimate:
    """(f(x + h d) - f(x - h d))/(2 h) where its error is smallest."""
    with np.errstate(all="ignore"):
        slopes = (s.ahead - s.behind) / (2 * s.steps[:, None])
    return _plateau(s, slopes)


def _plateau(s: Sweep, slopes: Array) -> Estimate:
    """The slope that differs least from its neighbours in the sweep.

    A slope's error is taken as a part of its distance to the slope at the next larger step (truncation: with
    ten times the step that one is off by 10 or 100 times as much), a part of its distance to the slope at the
    next smaller step (rounding), and the rounding of the values themselves.
    """
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(s.here), np.maximum(np.abs(s.ahead), np.abs(s.behind)))
        noise = _ULPS * EPS * size / s.steps[:, None]
        apart = np.abs(np.diff(slopes, axis=0))
        error = np.full_like(slopes, np.inf)
        error[1:-1] = 0.2 * apart[:-1] + 0.05 * apart[1:] + noise[1:-1]
    error = np.where(np.isfinite(error), error, np.inf)
    best = error.argmin(axis=0)
    columns = np.arange(slopes.shape[1])
    return Estimate(slopes[best, columns], error[best, columns], s.steps[best])


# ---- Taylor remainders -------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """The observed order of a remainder; None where the remainder is no more than rounding.

    `points` is the number of steps whose remainder counts.
    """

    order: float | None
    points: int


def first_order(s: Sweep, slope: Array, rounding: float, noise: float = 0.0) -> Order:
    """The order of |f(x + h d) - f(x) - h f'(x) d| in h: 2 for the right derivative, 1 for a wrong one.

    slope     the claimed derivative along the direction, (M,).
    rounding  its rounding error, absolute.
    noise     of the values besides their own rounding: what rounding the arguments changes of them.
    Source: the "Taylor test", Farrell et al. 2013, Automated derivation of the adjoint of high-level
    transient finite element programs, SIAM J. Sci. Comput. 35, section 4.
    """
    with np.errstate(all="ignore"):
        remainder = s.ahead - s.here - s.steps[:, None] * slope
    return _order(s, remainder, rounding, noise)


def both_sides(s: Sweep, slope: Array, rounding: float, noise: float = 0.0) -> Order:
    """The order of |f(x + h d) - f(x - h d) - 2 h f'(x) d|, in which the curvature cancels: 3, or 1."""
    with np.errstate(all="ignore"):
        remainder = s.ahead - s.behind - 2 * s.steps[:, None] * slope
    return _order(s, remainder, rounding, noise)


def second_order(
    s: Sweep, slope: Array, curvature: Array, rounding: float, of_curvature: float, noise: float = 0.0
) -> Order:
    """The order of |f(x + h d) - f(x) - h f'(x) d - h**2/2 d f''(x) d|: 3, or 2 for a wrong f''.

    curvature     the claimed second derivative along the direction, (M,).
    of_curvature  its rounding error, absolute.
    """
    with np.errstate(all="ignore"):
        h = s.steps[:, None]
        remainder = s.ahead - s.here - h * slope - h * h / 2 * curvature
    return _order(s, remainder, rounding + of_curvature / 2 * s.steps, noise)


def _order(s: Sweep, remainder: Array, rounding: float | Array, more: float) -> Order:
    """`rounding` is that of the claimed slope, for all steps or for each of them, (S,)."""
    with np.errstate(all="ignore"):
        size = _norm(remainder)
        # At the smallest steps, what is left of the second difference is the rounding of the values.
        rough = _norm(s.ahead - 2 * s.here + s.behind)[-_LAST:]
        values = np.maximum(_norm(s.ahead), _norm(s.behind)) + _norm(s.here[None])
        noise = _ABOVE_NOISE * (
            more + np.maximum(EPS * values, rough[np.isfinite(rough)].max(initial=0.0)) + rounding * s.steps
        )
        counts = np.isfinite(size) & (size > noise)
    chosen = np.nonzero(counts)[0]
    if len(chosen) < 2:
        return Order(None, len(chosen))
    slopes = np.diff(np.log(size[chosen])) / np.diff(np.log(s.steps[chosen]))
    order = float(np.median(slopes[-_LAST:]))
    last, following = chosen[-1], min(chosen[-1] + 1, len(s.steps) - 1)
    if np.isfinite(size[following]) and noise[following] > 0 and following > last:
        # Steps no longer cross a kink, and the remainder falls below rounding at once.
        order = max(
            order, float(np.log(size[last] / noise[following]) / np.log(s.steps[last] / s.steps[following]))
        )
    return Order(order, len(chosen))


def _norm(x: Array) -> Array:
    return np.asarray(np.sqrt((x * x).sum(axis=-1)))
