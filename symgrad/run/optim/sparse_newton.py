"""The direction of Newton's method by a sparse factorisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgrad.run.flat import Vector
from symgrad.run.optim.base import NoStep

_SHIFT = 1e-3  # the first multiple of the identity, relative to the largest entry


def sparse_newton_direction(hessian: Any, grad: Vector) -> Vector:
    """-(H + t I)^-1 g with t = 0 for a positive definite H, else the first t of a doubling sequence that
    makes it so.

    hessian  SciPy's csc_array, symmetric, (size, size). grad: (size,).
    Raises NoStep if the Hessian is not finite, or no shift makes it positive definite.
    Source: Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 3.3 (Cholesky with an added
    multiple of the identity); whether a matrix is positive definite is read off SuperLU's pivots.
    """
    import scipy.sparse  # slow to import, and most programs do without it

    if not np.isfinite(hessian.data).all():
        raise NoStep("the Hessian has entries that are not finite")
    largest = float(np.abs(hessian.data).max(initial=0.0))
    least = float(hessian.diagonal().min(initial=0.0))
    step = _SHIFT * largest if largest > 0.0 else 1.0
    shift = 0.0 if least > 0.0 or (least == 0.0 and largest > 0.0) else step - least
    identity = scipy.sparse.eye_array(len(grad), dtype=grad.dtype, format="csc")
    while np.isfinite(shift):
        factor = _factor(hessian + grad.dtype.type(shift) * identity if shift else hessian)
        if factor is not None:
            return np.asarray(-factor.solve(grad), grad.dtype)
        shift = max(2.0 * shift, step)
    raise NoStep("no multiple of the identity makes the Hessian positive definite")


def _factor(matrix: Any) -> Any | None:
    """The factorisation of a symmetric matrix, rows not exchanged; None unless it is positive definite."""
    import scipy.sparse.linalg  # as above

    try:
        factor = scipy.sparse.linalg.splu(
            matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError:  # exactly singular
        return None
    has_diagonal_pivots = bool((factor.perm_r == factor.perm_c).all())
    return factor if has_diagonal_pivots and bool((factor.U.diagonal() > 0.0).all()) else None
