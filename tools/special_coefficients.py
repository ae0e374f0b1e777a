"""Print the constants of symgrad/targets/special_functions.c that are not in a table of formulas.

    python tools/special_coefficients.py

digamma     (x - 3/2)-powers of digamma(x)/(x - root) on [1, 2], highest first, and the root in two parts
erfc_...    the polynomials of symgrad/ir/special/erfc.py
1/gamma     Taylor coefficients of 1/gamma(1 + m), odd and even ones (DLMF 5.7.1)
"""

from __future__ import annotations

import mpmath

_DEGREE = 21
_TERMS = 26


def digamma_polynomial() -> tuple[float, float, list[float]]:
    """The root of digamma as a sum of two floats, and the quotient's coefficients, highest power first."""
    root = mpmath.findroot(mpmath.digamma, 1.4616)
    upper = mpmath.mpf(float(root))

    def quotient(t: mpmath.mpf) -> mpmath.mpf:
        x = t + mpmath.mpf(3) / 2
        return mpmath.polygamma(1, root) if x == root else mpmath.digamma(x) / (x - root)

    coefficients = mpmath.chebyfit(quotient, [-0.5, 0.5], _DEGREE + 1)
    return float(upper), float(root - upper), [float(c) for c in coefficients]


def reciprocal_gamma() -> tuple[list[float], list[float]]:
    """Odd and even Taylor coefficients of 1/gamma(1 + m)."""
    coefficients = mpmath.taylor(lambda m: mpmath.rgamma(1 + m), 0, _TERMS)
    return [float(c) for c in coefficients[1::2]], [float(c) for c in coefficients[0::2]]


def tails(center: int = 3, nodes: int = 80) -> dict[str, list[float]]:
    """Coefficients in t = (x - 3)/(x + 3), lowest power first, of functions times powers of 1 + x."""
    from symgrad.ir.special.erfc import ROWS

    found = {}
    for name, power, degree in (("erfc_excess", 1, 31), ("erfc_bend", 2, 33), ("erfc_bend_slope", 3, 36)):
        function = next(row.mpmath for row in ROWS if row.name == name)
        angles = [mpmath.pi * (k + mpmath.mpf(1) / 2) / nodes for k in range(nodes)]
        places = [center * (1 + t) / (1 - t) for t in map(mpmath.cos, angles)]
        values = [function(x) * (1 + x) ** power for x in places]
        series = [
            2 * mpmath.fsum(v * mpmath.cos(j * a) for v, a in zip(values, angles, strict=True)) / nodes
            for j in range(degree + 1)
        ]
        found[name] = _in_powers([series[0] / 2, *series[1:]])
    return found


def _in_powers(chebyshev: list[mpmath.mpf]) -> list[float]:
    """Chebyshev polynomials multiplied out."""
    before, last = [mpmath.mpf(1)], [mpmath.mpf(0), mpmath.mpf(1)]
    total = [chebyshev[0], chebyshev[1], *([mpmath.mpf(0)] * (len(chebyshev) - 2))]
    for c in chebyshev[2:]:
        doubled = [mpmath.mpf(0), *(2 * a for a in last)]
        before, last = last, [d - b for d, b in zip(doubled, [*before, 0, 0], strict=True)]
        total = [t + c * a for t, a in zip(total, [*last, *[0] * (len(total) - len(last))], strict=True)]
    return [float(t) for t in total]


if __name__ == "__main__":
    mpmath.mp.dps = 60
    print("digamma", *digamma_polynomial(), sep="\n  ")
    print("1/gamma", *reciprocal_gamma(), sep="\n  ")
    for name, coefficients in tails().items():
        print(name, *coefficients, sep="\n  ")
