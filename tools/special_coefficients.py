"""Print the constants of symgrad/targets/special_functions.c that are not in a table of formulas.

    python tools/special_coefficients.py

digamma     (x - 3/2)-powers of digamma(x)/(x - root) on [1, 2], highest first, and the root in two parts
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


if __name__ == "__main__":
    mpmath.mp.dps = 60
    print("digamma", *digamma_polynomial(), sep="\n  ")
    print("1/gamma", *reciprocal_gamma(), sep="\n  ")
