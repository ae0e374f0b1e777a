"""L-BFGS: quasi-Newton steps from the last few changes of parameters and gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from symgrad.run.flat import Vector
from symgrad.run.optim.base import Evaluation, NoStep, Oracle, check_between, check_count
from symgrad.run.optim.line_search import DECREASE, NO_BETTER_POINT, line_from, search


class Pair(NamedTuple):
    """A change of parameters s, the change of gradient y it caused, and 1 / s'y."""

    s: Vector
    y: Vector
    rho: float


@dataclass(frozen=True, slots=True)
class LBFGSState:
    """The remembered pairs, oldest first, and the value and gradient at the current parameters."""

    pairs: tuple[Pair, ...]
    here: Evaluation | None


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS with `memory` pairs and a line search for the strong Wolfe conditions.

    The search accepts slopes up to `curvature` times the first. If it fails along the quasi-Newton direction,
    the memory is dropped and steepest descent tried; where the gain in sight is below the value's rounding
    error, the search is repeated on slopes alone instead. If that fails too, the loop ends and says so. Needs
    the whole data in every step.

    Sources: Liu and Nocedal, Math. Program. 45 (1989) 503; Nocedal and Wright, Numerical Optimization, 2nd
    ed., algorithms 7.4 (two loops) and 7.5, first scaling (7.20). The line search's are in `line_search`.
    """

    memory: int = 10
    curvature: float = 0.9
    needs: ClassVar[tuple[str, ...]] = ("value_and_grad",)

    def __post_init__(self) -> None:
        check_count("memory", self.memory)
        check_between("curvature", self.curvature, DECREASE, 1.0, open_below=True)

    def init(self, params: Vector) -> LBFGSState:
        return LBFGSState((), None)

    def update(
        self, state: LBFGSState, value: float, grad: Vector, params: Vector, *, oracle: Oracle
    ) -> tuple[Vector, LBFGSState]:
        pairs = state.pairs
        direction = lbfgs_direction(pairs, grad)
        line = line_from(oracle, params, value, grad, direction, self.curvature)
        # Without curvature the gradient's length says nothing about the step's: move by 1 at most.
        first_step = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(grad).sum()))
        point = search(line, first_step)
        if point is None and pairs and not line.is_at_rounding:
            return self.update(LBFGSState((), None), value, grad, params, oracle=oracle)
        if point is None:
            raise NoStep(NO_BETTER_POINT, bool(pairs))
        pairs = _remembered(pairs, point.x - params, point.grad - grad, self.memory)
        return point.x, LBFGSState(pairs, Evaluation(point.value, point.grad))


def lbfgs_direction(pairs: tuple[Pair, ...], grad: Vector) -> Vector:
    """-H g for the inverse Hessian H that the pairs (oldest first) stand for; -g if there are none."""
    direction = -grad
    shares = []
    for s, y, rho in reversed(pairs):
        share = rho * float(np.dot(s, direction))
        shares.append(share)
        direction -= share * y
    if pairs:
        newest = pairs[-1]
        direction *= 1.0 / (newest.rho * float(np.dot(newest.y, newest.y)))
    for s, y, rho in pairs:
        direction += (shares.pop() - rho * float(np.dot(y, direction))) * s
    return direction


def _remembered(pairs: tuple[Pair, ...], s: Vector, y: Vector, memory: int) -> tuple[Pair, ...]:
    """The pairs with (s, y) added, unless rounding left it without positive curvature."""
    product = float(np.dot(s, y))
    lengths = float(np.linalg.norm(s)) * float(np.linalg.norm(y))
    if not product > float(np.finfo(s.dtype).eps) * lengths:
        return pairs
    return (*pairs, Pair(s, y, 1.0 / product))[-memory:]
