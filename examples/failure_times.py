"""How long an air conditioner runs before it fails: a gamma distribution fitted by maximum likelihood.

The likelihood holds log(gamma(k)) of the shape k, and so its derivatives hold digamma and trigamma. Newton's
method finds the maximum, and the Hessian there the standard errors.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

import symgrad as sg

# Hours between failures aboard one Boeing 720: Proschan, Technometrics 5 (1963) 375; Davison and Hinkley,
# Bootstrap Methods and their Application (1997), example 1.1.
HOURS = np.array([3, 5, 7, 18, 43, 85, 91, 98, 100, 130, 230, 487], float)


def main() -> dict[str, float]:
    """Fit, print, and return shape and mean with their standard errors."""
    count = sp.Symbol("count", integer=True, positive=True)
    i = sp.Symbol("i", integer=True)
    hours = sp.IndexedBase("hours", shape=(count,))
    log_shape, log_mean = sp.symbols("log_shape log_mean")  # their exponentials are positive by themselves
    shape, scale = sp.exp(log_shape), sp.exp(log_mean - log_shape)
    log_density = (
        (shape - 1) * sp.log(hours[i]) - hours[i] / scale - shape * sp.log(scale) - sp.loggamma(shape)
    )
    loss = -sp.Sum(log_density, (i, 0, count - 1))

    start = {log_shape: 0.0, log_mean: 4.0}
    fit = sg.minimize(loss, start, {hours: HOURS}, method="newton")
    hess = sg.compile(loss, args=(*start, hours), wrt=tuple(start), outputs="hess")
    errors = np.sqrt(
        np.diag(np.linalg.inv(hess(*fit.x.values(), HOURS)))
    )  # relative, because of the exponentials
    k, mean = np.exp(list(fit.x.values()))
    print(f"shape {k:.4f} ± {k * errors[0]:.4f}, mean {mean:.1f} ± {mean * errors[1]:.1f} hours")
    print(f"{fit.nit} steps of Newton's method")
    return {"shape": k, "mean": mean, "shape_error": k * errors[0], "mean_error": mean * errors[1]}


if __name__ == "__main__":
    main()
