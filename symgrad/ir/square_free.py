"""Polynomials of one variable as products of powers of polynomials that have no root twice.

By Yun's algorithm: D. Y. Y. Yun 1976, On square-free decomposition algorithms (von zur Gathen & Gerhard 2013,
section 14.6). Coefficients are rational, the lowest first; no list ends in 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Coefficients = list[Fraction]


def square_free_factors(p: Sequence[Fraction]) -> list[tuple[Coefficients, int]]:
    """(factor, how often it is one), constants aside; its lowest coefficient is 1, or 0."""
    common = _greatest(list(p), _slope(p))
    once, rest = _divided(p, common)[0], _divided(_slope(p), common)[0]
    found, power = [], 1
    while len(once) > 1:
        rest = _difference(rest, _slope(once))
        factor = _greatest(once, rest)
        if len(factor) > 1:
            lowest = factor[0] or Fraction(1)
            found.append(([c / lowest for c in factor], power))
        once, rest, power = _divided(once, factor)[0], _divided(rest, factor)[0], power + 1
    return found


def _slope(p: Sequence[Fraction]) -> Coefficients:
    return [k * c for k, c in enumerate(p)][1:]


def _trimmed(p: Coefficients) -> Coefficients:
    while p and not p[-1]:
        p.pop()
    return p


def _difference(p: Sequence[Fraction], q: Sequence[Fraction]) -> Coefficients:
    size = max(len(p), len(q))
    first, second = ([*r, *[Fraction(0)] * (size - len(r))] for r in (p, q))
    return _trimmed([a - b for a, b in zip(first, second, strict=True)])


def _divided(p: Sequence[Fraction], q: Sequence[Fraction]) -> tuple[Coefficients, Coefficients]:
    """The quotient and what is left."""
    left, quotient = list(p), [Fraction(0)] * max(len(p) - len(q) + 1, 0)
    for k in range(len(p) - len(q), -1, -1):
        quotient[k] = left[k + len(q) - 1] / q[-1]
        for j, c in enumerate(q):
            left[k + j] -= quotient[k] * c
    return quotient, _trimmed(left)


def _greatest(p: Coefficients, q: Coefficients) -> Coefficients:
    """The greatest common divisor, with 1 for the highest coefficient."""
    while q:
        p, q = q, _divided(p, q)[1]
    return [c / p[-1] for c in p]
