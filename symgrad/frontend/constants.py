"""How large a constant in a text may be, decided before SymPy computes it (`9**9**9`)."""

from __future__ import annotations

import math
from typing import Any

import sympy as sp

from symgrad.extrema import Extremum

MAX_CONSTANT_BITS = 10_000  # of a number, or of the binary exponent of a decimal
MAX_CONSTANT_TERMS = 10_000  # of a sum without symbols, which SymPy may evaluate when it compares it
MAX_EXPLICIT_POWER = 4  # of an explicit Matrix, which SymPy multiplies out

Value = Any


def is_small(value: sp.Expr) -> bool:
    """Whether a constant, already built, is below the limits; each part of it has passed this test before."""
    if isinstance(value, sp.Rational):
        return max(int(value.p).bit_length(), int(value.q).bit_length()) <= MAX_CONSTANT_BITS
    if value.has(sp.Sum, sp.Product, Extremum):
        return True  # not evaluated here; the number of their terms is bounded
    return not is_beyond(value, sp.Integer(2) ** MAX_CONSTANT_BITS)


def is_beyond(value: sp.Expr, bound: int | sp.Integer) -> bool:
    """Whether a constant exceeds the bound in magnitude; False for anything with symbols."""
    if not value.is_number or value.has(sp.Sum, sp.Product, Extremum):
        return False
    size = abs(value).evalf(4)
    return bool(size > bound) if size.is_comparable else False


def is_small_power(base: sp.Expr, exponent: sp.Expr) -> bool:
    """Whether base**exponent, both constants, stays below the limits, by logarithms, before computing it."""
    magnitude = abs(exponent).evalf(15)
    if not magnitude.is_comparable or magnitude > MAX_CONSTANT_BITS:
        return base in (0, 1, -1)
    if isinstance(base, sp.Rational):
        bits = float(max(int(base.p).bit_length(), int(base.q).bit_length()))
    else:
        size = abs(base).evalf(15)
        bits = abs(float(sp.log(size, 2).evalf(15))) if size.is_comparable and size > 0 else 1.0
    return bits * float(magnitude) <= MAX_CONSTANT_BITS


def length_of_limit(limit: tuple[Value, Value, Value]) -> float:
    """How many terms a limit of a constant sum has; infinitely many if it depends on another index.

    A range that runs backwards counts as well: SymPy gives it a value, by Karr's convention.
    """
    span = limit[2] - limit[1] + 1
    return float(min(abs(int(span)), 10**9)) if span.is_Integer else math.inf
