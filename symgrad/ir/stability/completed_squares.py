"""y - x**2 as -w**2, where y is what completes the square: w is x with other signs, or without some terms.

exp(v*x/D)*erfc((x + v*t)/(2*sqrt(D*t))) is exp(-((x - v*t)/(2*sqrt(D*t)))**2) times a function that is no
exponential; with y of a thousand, y - x**2 has lost three digits, and its derivatives more. Whether it is so,
is seen by multiplying out both, in exact arithmetic.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.polynomials import Polynomial, Powers, multiple, product, times, total
from symgrad.ir.stability.patterns import all_factors, quotient_of, sum_of_signed, terms_of, without

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_TERMS, _MOST_MULTIPLIED = 3, 24
_DEEPEST = 12  # operations in one another that are multiplied out


def root_left(g: Graph, y: int, x: int) -> int | None:
    """The w, of the terms of one factor of x."""
    above, below = all_factors(g, x)
    place = next((k for k, f in enumerate(above) if g.op[f] in ("add", "sub")), None)
    if place is None:
        return None
    terms, others = terms_of(g, above[place]), without(above, place)
    scale = multiplied_out(g, quotient_of(g, others, below))
    parts = [multiplied_out(g, term) for _, term in terms[: _MOST_TERMS + 1]]
    exponent = multiplied_out(g, y)
    if len(terms) > _MOST_TERMS or scale is None or exponent is None or None in parts:
        return None
    known = [p for p in parts if p is not None]
    left = total(exponent, multiple(_square(g, known, [s for s, _ in terms], scale), Fraction(-1)))
    for signs in itertools.product((1, -1, 0), repeat=len(terms)):
        flipped = [a * s for a, (s, _) in zip(signs, terms, strict=True)]
        if any(signs) and not total(left, _square(g, known, flipped, scale)):
            kept = [(s, term) for s, (_, term) in zip(flipped, terms, strict=True) if s]
            return quotient_of(g, [*others, sum_of_signed(g, kept)], below)
    return None


def _square(g: Graph, parts: list[Polynomial], signs: list[int], scale: Polynomial) -> Polynomial:
    whole: Polynomial = {}
    for part, sign in zip(parts, signs, strict=True):
        whole = total(whole, multiple(part, Fraction(sign)))
    whole = _product(g, whole, scale)
    return _product(g, whole, whole)


def multiplied_out(g: Graph, node: int, depth: int = _DEEPEST) -> Polynomial | None:
    """A node as a polynomial in others, divisors of one term included; None if it has too many terms."""
    op, args = g.op[node], g.args[node]
    q = g.rational(node)
    if q is not None:
        return {(): q} if q else {}
    if not depth or op not in ("add", "sub", "mul", "div", "neg"):
        return {((node, 1),): Fraction(1)}
    parts = [multiplied_out(g, a, depth - 1) for a in args]
    first, second = parts[0], parts[-1]
    if first is None or second is None:
        return None
    if op == "neg":
        return multiple(first, Fraction(-1))
    if op in ("add", "sub"):
        made = total(first, multiple(second, Fraction(1 if op == "add" else -1)))
    elif op == "div":
        if len(second) != 1:
            return {((node, 1),): Fraction(1)}
        ((powers, c),) = second.items()
        made = _product(g, first, {tuple((n, -e) for n, e in powers): 1 / c})
    else:
        made = _product(g, first, second)
    return made if len(made) <= _MOST_MULTIPLIED else None


def _product(g: Graph, p: Polynomial, q: Polynomial) -> Polynomial:
    """The product; squares of roots are what is under them."""
    found: Polynomial = {}
    for powers, c in product(p, q).items():
        number, others = _without_roots(g, powers)
        found = total(found, {others: c * number})
    return found


def _without_roots(g: Graph, powers: Powers) -> tuple[Fraction, Powers]:
    """A number and powers that are together these powers, of no even power of a root of one term."""
    for n, e in powers:
        inside = multiplied_out(g, g.args[n][0]) if g.op[n] == "sqrt" and not e % 2 else None
        if inside is not None and len(inside) == 1:
            ((under, c),) = inside.items()
            rest = times(((n, -e),), powers)
            number, others = _without_roots(g, times(rest, tuple((m, k * e // 2) for m, k in under)))
            return c ** (e // 2) * number, others
    return Fraction(1), powers
