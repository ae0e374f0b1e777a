"""Polynomials in Bernstein form: their factors make up what they were, in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from symgrad.ir.stability.bernstein import APART, Coefficients, elevated, form_of, orders_of, plus, times

NUMBERS = st.fractions(min_value=-3, max_value=3, max_denominator=4)
POLYNOMIALS = st.lists(NUMBERS, min_size=1, max_size=5).map(tuple)
SHARES = (Fraction(0), Fraction(1, 7), Fraction(1, 2), Fraction(4, 5), Fraction(1))


def value(c: Coefficients, p: Fraction) -> Fraction:
    return sum((x * p**k * (1 - p) ** (len(c) - 1 - k) for k, x in enumerate(c)), Fraction(0))


@given(POLYNOMIALS, POLYNOMIALS)
def test_sums_and_products_are_those_of_the_values(a: Coefficients, b: Coefficients) -> None:
    for p in SHARES:
        assert value(plus(a, b), p) == value(a, p) + value(b, p)
        assert value(plus(a, b, -1), p) == value(a, p) - value(b, p)
        assert value(times(a, b), p) == value(a, p) * value(b, p)
        assert value(elevated(a, 7), p) == value(a, p)


@given(POLYNOMIALS.filter(any), st.integers(0, 2))
def test_a_form_is_the_polynomial_with_its_zeros_taken_out(c: Coefficients, odd: int) -> None:
    for _ in range(odd):
        c = times(c, APART)
    form = form_of(c)
    assert form.odd >= odd
    assert orders_of(form.rest)[:3] == (0, 0, 0)
    assert all(x.denominator == 1 for x in form.rest) and form.rest[-1] > 0
    for p in SHARES:
        outside = form.number * p**form.above * (1 - p) ** form.below * (2 * p - 1) ** form.odd
        assert outside * value(form.rest, p) == value(c, p)


def test_a_polynomial_without_a_zero_between_has_one_sign() -> None:
    """1 - 3*p*q is p**2 - p*q + q**2, which is p**3 + q**3."""
    assert form_of((Fraction(1), Fraction(-1), Fraction(1))).rest == (1, 0, 0, 1)
