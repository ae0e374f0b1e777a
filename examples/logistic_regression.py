"""Is this handwritten digit an eight? Logistic regression by SciPy's trust-region Newton method.

`sg.scipy_problem` hands SciPy the value, the exact gradient and Hessian-vector products; the Hessian itself
is never formed.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize
import sympy as sp

import symgrad as sg
from symgrad.data import digits


def main(samples: int | None = None) -> float:
    """Fit, print, and return the share of images judged rightly; `samples` limits their number."""
    n, d = sp.symbols("n d", integer=True, positive=True)
    X, w, y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("y", n, 1)
    b = sp.Symbol("b")
    scores = X * w + b * sp.OneMatrix(n, 1)
    loss = sg.losses.binary_cross_entropy(scores, y) + sp.Rational(1, 1000) * sp.Trace(w.T * w)

    images, labels = digits()
    images, is_eight = images[:samples] / 16, (labels[:samples] == 8).astype(float)[:, None]
    problem = sg.scipy_problem(
        loss,
        x0={w: np.zeros((images.shape[1], 1)), b: 0.0},
        data={X: images, y: is_eight},
        method="trust-ncg",
    )
    result = scipy.optimize.minimize(**problem)
    found = problem.unpack(result.x)

    right = (images @ found[w] + found[b] > 0) == (is_eight > 0)
    print(f"{result.nit} Newton steps, {result.nhev} Hessian products, loss {result.fun:.6f}")
    print(f"{right.mean():.4f} of {len(images)} images judged rightly")
    return float(right.mean())


if __name__ == "__main__":
    main()
