"""Newton's method with a modified Hessian where the Hessian is not positive definite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from symgrad.run.flat import Matrix, Vector
from symgrad.run.optim.base import Evaluation, NoStep, Oracle, check_between
from symgrad.run.optim.line_search import DECREASE, NO_BETTER_POINT, line_from, search
from symgrad.run.optim.sparse_newton import sparse_newton_direction


@dataclass(frozen=True, slots=True)
class NewtonState:
    """The value and gradient at the current parameters."""

    here: Evaluation | None


@dataclass(frozen=True)
class Newton:
    """x <- x - a |H|^-1 g with a from a strong Wolfe search that tries a = 1 first.

    |H| is the Hessian H where that has a Cholesky factor. Where it has none, its eigenvalues are replaced by
    their absolute values, and by sqrt(epsilon) times the largest where they are smaller (by 1 if H is 0),
    which turns directions of negative curvature into directions of descent. A step costs one Hessian,
    O(size^3) for the factor, and usually one gradient. At a saddle point the gradient is 0 and the loop ends
    like at a minimum. Needs the whole data in every step.

    With `sparse=True` the Hessian is a SciPy sparse array and a step costs what its entries and their sparse
    factor cost; one that is not positive definite has a multiple of the identity added (`sparse_newton`).

    Source: Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 3.2 and section 3.4 (eigenvalue
    modification).
    """

    curvature: float = 0.9
    sparse: bool = False
    needs: ClassVar[tuple[str, ...]] = ("value_and_grad", "hess")

    def __post_init__(self) -> None:
        check_between("curvature", self.curvature, DECREASE, 1.0, open_below=True)

    def init(self, params: Vector) -> NewtonState:
        return NewtonState(None)

    def update(
        self, state: NewtonState, value: float, grad: Vector, params: Vector, *, oracle: Oracle
    ) -> tuple[Vector, NewtonState]:
        solve = sparse_newton_direction if self.sparse else newton_direction
        direction = solve(oracle.hess(params), grad)
        line = line_from(oracle, params, value, grad, direction, self.curvature)
        point = search(line, 1.0)
        if point is None:
            raise NoStep(NO_BETTER_POINT, line.is_at_rounding)
        return point.x, NewtonState(Evaluation(point.value, point.grad))


def newton_direction(hessian: Matrix, grad: Vector) -> Vector:
    """-H^-1 g for a positive definite Hessian, shape (size, size); else -|H|^-1 g with |H| as described in
    `Newton`.

    Raises NoStep if the Hessian is not finite.
    """
    if not np.isfinite(hessian).all():
        raise NoStep("the Hessian has entries that are not finite")
    import scipy.linalg  # slow to import, and most programs do without it

    try:
        factor = scipy.linalg.cho_factor(hessian, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return -_solve_absolute(hessian, grad)
    return np.asarray(-scipy.linalg.cho_solve(factor, grad, check_finite=False), grad.dtype)


def _solve_absolute(hessian: Matrix, grad: Vector) -> Vector:
    import scipy.linalg  # as above

    values, vectors = scipy.linalg.eigh(hessian, check_finite=False)
    sizes = np.abs(values)
    least = np.sqrt(np.finfo(grad.dtype).eps) * sizes.max()
    sizes = np.maximum(sizes, least if least > 0.0 else 1.0)
    return np.asarray(vectors @ ((vectors.T @ grad) / sizes), grad.dtype)
