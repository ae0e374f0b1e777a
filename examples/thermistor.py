"""The law of a thermistor from sixteen measurements: least squares by Levenberg and Marquardt.

The residual is written for one measurement; the measurements are data. The parameters differ by six powers
of ten and lie in a long curved valley, which has made this fit a test of such methods since Meyer and Roth,
J. Inst. Math. Appl. 9 (1972) 218.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

import symgrad as sg

CELSIUS = np.arange(50.0, 130.0, 5.0)
OHMS = np.array(
    [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872],
    float,
)


def main() -> dict[str, float]:
    """Fit, print, and return the parameters with the root mean square of what is left."""
    t, ohms, scale, b, offset = sp.symbols("t ohms scale b offset")
    residual = scale * sp.exp(b / (t + offset)) - ohms
    start = {scale: 0.02, b: 4000.0, offset: 250.0}
    data = {t: CELSIUS, ohms: OHMS}

    fit = sg.minimize(residual, start, data, method="lm")
    jac = sg.compile(residual, args=(*start, *data), wrt=tuple(start), outputs="jac")
    slopes = jac(*fit.x.values(), *data.values())
    freedom = len(OHMS) - len(start)
    units = np.linalg.norm(
        slopes, axis=0
    )  # without them the matrix to invert is singular in double precision
    covariance = 2 * fit.fun / freedom * np.linalg.inv((slopes / units).T @ (slopes / units))
    for (symbol, found), error in zip(fit.x.items(), np.sqrt(np.diag(covariance)) / units, strict=True):
        print(f"{symbol!s:>6} = {found:.6g} ± {error:.1g}")
    left = float(np.sqrt(2 * fit.fun / len(OHMS)))
    print(f"{fit.nit} steps; {left:.2f} ohms are left on average")
    return {**{str(symbol): found for symbol, found in fit.x.items()}, "left": left}


if __name__ == "__main__":
    main()
