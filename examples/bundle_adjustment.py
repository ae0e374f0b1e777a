"""Cameras and points from pictures: bundle adjustment with a sparse Jacobian.

Every observation is the picture of one point by one camera, so a row of the Jacobian has eight entries that
are not zero, whatever the number of cameras and points. The residual is written once, for observation k;
symgrad finds the pattern from the arrays that say which camera saw which point, and computes only those
entries.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize
import sympy as sp

import symgrad as sg

n, cameras, points = sp.symbols("n cameras points", integer=True, positive=True)
POSES = sp.IndexedBase("poses", shape=(cameras, 6))  # rotation vector, translation
PLACES = sp.IndexedBase("places", shape=(points, 3))
CAMERA, POINT = sp.IndexedBase("camera", shape=(n,)), sp.IndexedBase("point", shape=(n,))
SEEN = sp.IndexedBase("seen", shape=(n, 2))


def residuals() -> sp.Expr:
    """Where each point is pictured, less where it was seen: an array of shape (n, 2)."""
    k, side = sp.Idx("k", n), sp.Idx("side", 2)
    w = sp.Matrix([POSES[CAMERA[k], i] for i in range(3)])
    p = sp.Matrix([PLACES[POINT[k], i] for i in range(3)])
    angle = sp.sqrt(w.dot(w))  # Rodrigues' formula; sinc keeps it whole where there is no rotation
    turned = p * sp.cos(angle) + w.cross(p) * sp.sinc(angle) + w * w.dot(p) * sp.sinc(angle / 2) ** 2 / 2
    x, y, z = (turned[i] + POSES[CAMERA[k], 3 + i] for i in range(3))
    return sp.Piecewise((x / z, sp.Eq(side, 0)), (y / z, True)) - SEEN[k, side]


def main(count: int = 12, size: int = 200, noise: float = 1e-3) -> dict[str, float]:
    """Adjust, print, and return the errors per coordinate before and after, and how full the Jacobian is."""
    program = sg.program(residuals(), args=(POSES, PLACES, CAMERA, POINT, SEEN), wrt=(POSES, PLACES))
    value, jacobian = sg.compile(program), sg.compile(program, outputs="jac", sparse="csr")

    random = np.random.default_rng(0)
    places = random.uniform(-1.0, 1.0, (size, 3))
    poses = np.hstack([random.normal(0.0, 0.2, (count, 3)), random.normal([0.0, 0.0, 6.0], 0.5, (count, 3))])
    which = np.nonzero(random.random((count, size)) < 0.4)  # camera and point of every observation
    (exact,) = value(poses, places, *which, np.zeros((len(which[0]), 2)))
    seen = exact + random.normal(0.0, noise, exact.shape)

    def arrays(x: np.ndarray) -> tuple[np.ndarray, ...]:
        return x[: poses.size].reshape(poses.shape), x[poses.size :].reshape(places.shape), *which, seen

    rough = np.hstack([np.zeros((count, 3)), poses[:, 3:] + random.normal(0.0, 0.1, (count, 3))])
    start = np.concatenate([rough.ravel(), (places + random.normal(0.0, 0.1, places.shape)).ravel()])
    fit = scipy.optimize.least_squares(
        lambda x: np.ravel(value(*arrays(x))),
        start,
        lambda x: jacobian(*arrays(x)),
        tr_solver="lsmr",
        x_scale="jac",
    )
    before, after = (float(np.sqrt(np.mean(np.square(value(*arrays(x)))))) for x in (start, fit.x))
    pattern = jacobian(*arrays(start))
    full = pattern.nnz / np.prod(pattern.shape)
    print(f"{len(seen)} observations of {size} points by {count} cameras: {fit.nfev} evaluations")
    print(f"error per coordinate {before:.5f} -> {after:.5f} with noise of {noise}")
    print(f"{full:.1%} of the Jacobian is not zero")
    return {"before": before, "after": after, "full": float(full)}


if __name__ == "__main__":
    main()
