"""Polynomials on an interval, where a Taylor series ends before the formula has its digits.

The k-th derivative of a quotient by x^m loses digits like 1/x^(m + k) on the way to 0. A Taylor series can
be used up to a part of its radius of convergence alone, and where log, atan, tanh or a root is in the
formula, the second derivative has lost 1e-12 there. Two steps then:

    the ends    from the end of the series outwards, on each side, until the rounding errors of the formula
                are small from there on. They are bounded to first order: every step of it rounds once, and
                its error is carried to the result by the derivative of the result by that step
    the terms   of c + t q, where c is the limit, and q the polynomial that interpolates the rest in the zeros
                of a Chebyshev polynomial, less the terms that are not felt: by powers of the distance
                from the middle; in t^2 of an even function. They converge in an ellipse around the interval,
                not in a disc, so there are no more of them than of the series

Where both cannot be had with the terms there may be, the interval is the one that loses least.

Sources: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.3 (running errors to first
order, here backwards as in Linnainmaa 1976); Trefethen 2013, Approximation Theory and Approximation Practice,
chapters 3, 4 and 8; Lanczos 1938, Trigonometric interpolation (economised series).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from math import isfinite

from symgrad.ir.composites.radial import NAMES as RADIAL
from symgrad.ir.ops import OPS
from symgrad.ir.series.laurent import (
    FUNCTIONS,
    ROWS,
    UNKNOWN,
    Formula,
    NoSeries,
    Number,
    Series,
    constant_of_step,
)
from symgrad.records import dataclass

_LOST = 2.0**7  # units of rounding that may be lost, at most: 1.4e-14
_LITTLE = 2.0**4  # what is looked at no farther: it is less beyond
_OF_SLOPE = 2.0**-4  # of x times the slope: a value next to a zero is not known to more digits
_LEVEL = 2.0**-4  # of the largest value: likewise, where it is a polynomial
_GROWTH, _MOST_GROWN = Fraction(9, 8), 16  # an end is moved by this factor, so many times
_BITS = 256  # of the values that are interpolated
_KEPT_BITS = 80  # of the terms
_MOST_TERMS, _MOST_OF_EVEN = 48, 24  # in t, in t^2
_MORE_POINTS = 8
_EPSILON = 2.0**-56  # relative size of what is left out
_ROUNDINGS = 4  # of a term that matters, by Horner's rule
_BY_SERIES = RADIAL.union(ROWS)  # with fewer arguments in a formula than in a graph


@dataclass(frozen=True)
class Polynomial:
    """Instead of the terms of a series between two values of t; see `ir.series.removable.Expansion`."""

    terms: tuple[Fraction, ...]
    lower: Fraction
    upper: Fraction
    middle: Fraction


def economised(
    formula: Formula, center: Fraction, series: Series, is_even: bool, radius: Fraction
) -> Polynomial | None:
    """A polynomial beyond the radius of a series, if the formula has lost digits there and one is short.

    center  in `_BITS` bits or more; t is the distance from it.
    """
    import mpmath

    with mpmath.workprec(_BITS):
        c = _number(center)
        sides = [_reach(formula, float(c), sign, radius) for sign in ((1,) if is_even else (-1, 1))]
        best, least = None, max(lost for side in sides for _, lost in side[:1])
        for shorter in range(max(map(len, sides)) - 1):
            ends = [side[max(len(side) - 1 - shorter, 0)] for side in sides]
            lost = max(units for _, units in ends)
            if lost >= least:
                break
            made = _interpolated(formula, c, series, is_even, ends[0][0], ends[-1][0])
            if made is not None and max(made[1], lost) < least:
                best, least = made[0], max(made[1], lost)
            if least <= _LOST:
                break
    return best


# ---- the ends ----------------------------------------------------------------------------------


def _reach(formula: Formula, center: float, sign: int, radius: Fraction) -> list[tuple[Fraction, float]]:
    """Ends to one side, and what a formula loses from there on, up to where that is little enough."""
    ends, lost = [radius], [0.0]
    for k in range(_MOST_GROWN):
        end = ends[-1] if k == 0 else _rounded(ends[-1] * _GROWTH)
        units = units_lost(formula, center + sign * float(end))
        if units is None:
            break
        ends[k:], lost[k:] = [end], [units]
        if units <= _LITTLE:
            break
    beyond = list(accumulate(reversed(lost), max))[::-1]
    kept = next((k for k, units in enumerate(beyond) if units <= _LOST), len(ends) - 1)
    return list(zip(ends, beyond, strict=True))[: kept + 1]


def units_lost(formula: Formula, x: float) -> float | None:
    """A bound of the rounding errors of a formula in units of rounding of its value.

    None where it is not a real number, or where a step has no series. The bound itself needs few digits.
    """
    try:
        values, partials = _values(formula, x)
    except (*UNKNOWN, OverflowError):
        return None
    weights = [0.0] * len(values)
    weights[-1] = 1.0
    total, slope = 0.0, 0.0
    for n in reversed(range(len(values))):
        op, *args = formula[n]
        if op == "x":
            slope += weights[n]
        elif op not in ("const", "neg"):
            total += abs(weights[n] * values[n])
        for a, partial in zip(args, partials[n], strict=False):
            weights[a] += weights[n] * partial
    size = max(abs(values[-1]), abs(x * slope) * _OF_SLOPE)
    return total / size if size and isfinite(total / size) else None


def _values(formula: Formula, x: float) -> tuple[list[float], list[Sequence[float]]]:
    """Those of all steps, and their derivatives by their arguments."""
    values: list[float] = []
    partials: list[Sequence[float]] = []
    for op, *args in formula:
        if op == "x" or op == "const":
            values.append(x if op == "x" else float(constant_of_step(args)))
            partials.append(())
            continue
        value, slopes = _ARITHMETIC[op] if op in _ARITHMETIC else _of_function(op)
        inside = [values[k] for k in args]
        values.append(value(*inside))
        partials.append(slopes(*inside))
    return values, partials


_Function = Callable[..., float]
_ARITHMETIC: dict[str, tuple[_Function, Callable[..., Sequence[float]]]] = {
    "add": (operator.add, lambda a, b: (1.0, 1.0)), "sub": (operator.sub, lambda a, b: (1.0, -1.0)),
    "mul": (operator.mul, lambda a, b: (b, a)), "div": (operator.truediv, lambda a, b: (1 / b, -a / b / b)),
    "neg": (operator.neg, lambda a: (-1.0,)),
}  # fmt: skip


def _of_function(op: str) -> tuple[_Function, Callable[..., Sequence[float]]]:
    """By its series in one argument after the other."""
    return (
        lambda *args: _line_of(op, None, *args)[0],
        lambda *args: [_line_of(op, k, *args)[1] for k in range(len(args))],
    )


@lru_cache(maxsize=4096)  # variants of one formula are tried at the same ends
def _line_of(op: str, moving: int | None, *values: float) -> tuple[float, float]:
    import mpmath

    terms = _applied(op, [mpmath.mpf(v) for v in values], moving).taylor()
    first, second = (*terms, 0, 0)[:2]
    return float(first), float(second)


def _applied(op: str, values: Sequence[Number], moving: int | None = None) -> Series:
    """The series of an op, in one of its arguments, around these."""
    if op not in FUNCTIONS:
        raise NoSeries
    return FUNCTIONS[op](*(_line(v, k == moving) for k, v in enumerate(values)))


def _line(value: Number, is_moving: bool) -> Series:
    """value + u, or value."""
    one = _number(int(is_moving))
    return Series(0, (value, one)) if value else Series(1, (one,)) if is_moving else Series(2, ())


# ---- the terms ---------------------------------------------------------------------------------


def _interpolated(
    formula: Formula, center: Number, series: Series, is_even: bool, below: Fraction, above: Fraction
) -> tuple[Polynomial, float] | None:
    """A polynomial, and the units of rounding that its sum loses; None if the terms are too many.

    q is interpolated in w = (t - middle)/half from -1 to 1; of an even function with t^2 for t.
    """
    import mpmath

    most = _MOST_OF_EVEN if is_even else _MOST_TERMS
    low, high = (Fraction(0), above * above) if is_even else (-below, above)
    middle, half = (low + high) / 2, (high - low) / 2
    values, rests, places = [], [], []
    for w in _waves(most, 1):
        place = _number(middle) + mpmath.ldexp(_number(half) * w, -_BITS)
        t = mpmath.sqrt(place) if is_even else place
        try:
            value = _value(formula, center + t) / t**series.valuation
        except UNKNOWN:
            return None
        if abs(mpmath.im(value)) > abs(value) * _EPSILON:  # of a function of a root below 0 nothing is left
            return None
        value = mpmath.re(value)
        rests.append((value - series.terms[0]) / place)
        values.append(float(value))
        places.append(float(place))
    scale = max(map(abs, rests))
    level = _LEVEL * max(map(abs, values))
    felt = max(min(map(abs, values)), level) / float(scale * max(-low, high))
    found = _economised([_fixed(r / scale) for r in rests], _EPSILON * felt, most)
    if found is None:
        return None
    terms = [series.terms[0], *(mpmath.ldexp(scale * c, -_BITS) for c in _in_powers(found))]
    sizes = [abs(float(c)) for c in terms]
    lost = max(
        (sizes[0] + abs(place) * _ROUNDINGS * sum(c * abs(w) ** k for k, c in enumerate(sizes[1:])))
        / max(abs(value), level)
        for value, place, w in zip(values, places, (at / 2.0**_BITS for at in _waves(most, 1)), strict=True)
    )
    kept = [_kept(terms[0]), *(_kept(c) / half**k for k, c in enumerate(terms[1:]))]
    return Polynomial(tuple(kept), -above if is_even else -below, above, middle), lost


def _value(formula: Formula, x: Number) -> Number:
    values: list[Number] = []
    for op, *args in formula:
        if op == "x" or op == "const":
            values.append(x if op == "x" else constant_of_step(args))
        elif op in _BY_SERIES:
            values.append(_applied(op, [values[k] for k in args]).constant())
        else:
            values.append(OPS[op].mpmath(*(values[k] for k in args)))
    return values[-1]


# What is below is in whole numbers, in units of 2^-_BITS: products of mpmath's take ten times as long.


@lru_cache(maxsize=4 * _MOST_TERMS)
def _waves(most: int, k: int) -> list[int]:
    """The Chebyshev polynomial of this degree in the zeros of one, some more than terms are allowed."""
    import mpmath

    count = most + _MORE_POINTS
    return [_fixed(mpmath.cospi(mpmath.mpf(k * (2 * j + 1)) / (2 * count))) for j in range(count)]


def _fixed(value: Number) -> int:
    import mpmath

    return int(mpmath.nint(mpmath.ldexp(value, _BITS)))


def _economised(values: Sequence[int], small: float, most: int) -> list[int] | None:
    """The coefficients of Chebyshev polynomials that matter; None if they are too many."""
    count = len(values)
    found = [sum(map(operator.mul, values, _waves(most, k))) * 2 // count >> _BITS for k in range(count)]
    found[0] //= 2
    left, felt = 0, int(small * 2.0**_BITS)
    while found and left + abs(found[-1]) <= felt:
        left += abs(found.pop())
    return found if 0 < len(found) < most else None


def _in_powers(found: Sequence[int]) -> list[int]:
    """The same polynomial by powers of w instead of Chebyshev polynomials."""
    last, now = [1], [0, 1]
    total = [0] * max(len(found), 2)
    for c in found:
        for k, weight in enumerate(last):
            total[k] += c * weight
        after = [0, *(2 * weight for weight in now)]
        for k, weight in enumerate(last):
            after[k] -= weight
        last, now = now, after
    return total[: len(found)]


def _kept(c: Number) -> Fraction:
    import mpmath

    with mpmath.workprec(_KEPT_BITS):
        sign, mantissa, exponent, _ = (+c)._mpf_
    return Fraction(-int(mantissa) if sign else int(mantissa)) * Fraction(2) ** int(exponent)


def _rounded(value: Fraction) -> Fraction:
    """To five bits."""
    unit = Fraction(2) ** (value.numerator.bit_length() - value.denominator.bit_length() - 5)
    return round(value / unit) * unit


def _number(value: int | Fraction) -> Number:
    import mpmath

    q = Fraction(value)
    return mpmath.mpf(q.numerator) / q.denominator
