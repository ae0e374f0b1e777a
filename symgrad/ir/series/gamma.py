"""Series of the gamma function and its logarithmic derivatives around any point, poles among them.

Source: NIST Digital Library of Mathematical Functions, 5.5.1 and 5.5.2 (the recurrences that lead to a
positive argument), 5.7.3 (the series of the logarithm), 5.15.1 and 5.15.2 (polygamma functions by zeta).
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.series.laurent import (
    FUNCTIONS,
    NoSeries,
    Number,
    Series,
    add,
    composed,
    constant_like,
    div,
    exp,
    sub,
)

_MOST_SHIFTS = 64  # to a positive argument


def _log_gamma(a: Series) -> Series:
    """Of what is positive."""
    import mpmath

    c = a.constant()
    if a.valuation < 0 or not c > 0:
        raise NoSeries
    coefficients = [mpmath.loggamma(c), mpmath.digamma(c)]
    coefficients += [(-1) ** k * mpmath.zeta(k, c) / k for k in range(2, len(a.taylor()))]
    return composed(coefficients, sub(a, constant_like(c, a)))


def _polygamma(n: int, a: Series) -> Series:
    """Of what is positive: derivative n + 1 of the logarithm of gamma."""
    import mpmath

    c, count = a.constant(), len(a.taylor())
    first = [mpmath.digamma(c)] if n == 0 else []
    later = [_zeta_term(n, k, c) for k in range(len(first), count)]
    return composed([*first, *later], sub(a, constant_like(c, a)))


def _zeta_term(n: int, k: int, c: Number) -> Number:
    """polygamma(n + k, c)/k!."""
    import mpmath

    sign = (-1) ** (n + k + 1)
    return sign * mpmath.factorial(n + k) / mpmath.factorial(k) * mpmath.zeta(n + k + 1, c)


def _shifts(a: Series) -> list[Series]:
    """a, a + 1, ... up to the last one that is not positive."""
    c = a.constant()
    if a.valuation < 0 or not c > -_MOST_SHIFTS:
        raise NoSeries
    found = []
    while not c > 0:
        found.append(a)
        a = add(a, constant_like(1, a))
        c = a.constant()
    return found


def _beyond(a: Series, steps: Sequence[Series]) -> Series:
    return add(steps[-1], constant_like(1, a)) if steps else a


def _gamma(a: Series) -> Series:
    steps = _shifts(a)
    value = exp(_log_gamma(_beyond(a, steps)))
    for step in steps:
        value = div(value, step)
    return value


def _polygamma_anywhere(n: int, a: Series) -> Series:
    import mpmath

    steps = _shifts(a)
    value = _polygamma(n, _beyond(a, steps))
    for step in steps:
        pole = constant_like((-1) ** (n + 1) * mpmath.factorial(n), a)
        for _ in range(n + 1):
            pole = div(pole, step)
        value = add(value, pole)
    return value


def _polygamma_of_order(order: Series, a: Series) -> Series:
    n = int(order.constant())
    if n < 0 or n != order.constant() or any(order.taylor()[1:]):
        raise NoSeries
    return _polygamma_anywhere(n, a)


FUNCTIONS.update(
    {
        "gamma": _gamma,
        "loggamma": _log_gamma,
        "digamma": lambda a: _polygamma_anywhere(0, a),
        "polygamma": _polygamma_of_order,
    }
)
