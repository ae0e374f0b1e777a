"""Polynomials of p and q = 1 - p with rational coefficients, homogeneous as 1 is p + q: Bernstein's form.

A polynomial of degree n is the tuple of the c[k] of c[k]*p**k*q**(n - k).

Source: Farouki 2012, The Bernstein polynomial basis: a centennial retrospective, sections 3 and 6.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm

from symgrad.records import dataclass

Coefficients = tuple[Fraction, ...]
_ELEVATIONS = 2  # by which a polynomial may come to have one sign


def times(a: Coefficients, b: Coefficients) -> Coefficients:
    made = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            made[i + j] += x * y
    return tuple(made)


ONE: Coefficients = (Fraction(1),)
_WHOLE: Coefficients = (Fraction(1), Fraction(1))  # q + p
APART: Coefficients = (Fraction(-1), Fraction(1))  # p - q
P: Coefficients = (Fraction(0), Fraction(1))
Q: Coefficients = (Fraction(1), Fraction(0))


def elevated(c: Coefficients, degree: int) -> Coefficients:
    """The same polynomial with a higher degree."""
    while len(c) <= degree:
        c = times(c, _WHOLE)
    return c


def plus(a: Coefficients, b: Coefficients, sign: int = 1) -> Coefficients:
    degree = max(len(a), len(b)) - 1
    pairs = zip(elevated(a, degree), elevated(b, degree), strict=True)
    return tuple(x + sign * y for x, y in pairs)


def _divided(c: Coefficients, root: int) -> Coefficients | None:
    """c/(p + root*q), root = 1 or -1; None if that is no polynomial."""
    found, carried = [], Fraction(0)
    for x in c[:0:-1]:
        carried = x - root * carried
        found.append(carried)
    return tuple(found[::-1]) if found and c[0] == root * carried else None


@dataclass(frozen=True)
class Form:
    """number*p**above*q**below*(p - q)**odd*rest.

    rest  with whole coefficients, the last above 0; it is not 0 at p = 0, 1 or 1/2.
    """

    number: Fraction
    above: int
    below: int
    odd: int
    rest: Coefficients


def orders_of(c: Coefficients) -> tuple[int, int, int, Coefficients]:
    """Of the zeros at p = 0, p = 1 and p = 1/2, and what is left of a polynomial that is not 0."""
    above = next(k for k, x in enumerate(c) if x)
    below = next(k for k, x in enumerate(c[::-1]) if x)
    c, odd = c[above : len(c) - below], 0
    while (lower := _divided(c, -1)) is not None:
        c, odd = lower, odd + 1
    return above, below, odd, c


def form_of(c: Coefficients) -> Form:
    above, below, odd, c = orders_of(c)
    while (lower := _divided(c, 1)) is not None:
        c = lower
    for degree in range(len(c) - 1, len(c) + _ELEVATIONS):
        higher = elevated(c, degree)
        if all(x >= 0 for x in higher) or all(x <= 0 for x in higher):
            c = higher
            break
    number = Fraction(gcd(*(x.numerator for x in c)), lcm(*(x.denominator for x in c)))
    number = number if c[-1] > 0 else -number
    return Form(number, above, below, odd, tuple(x / number for x in c))
