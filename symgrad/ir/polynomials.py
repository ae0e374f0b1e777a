"""Polynomials of a few terms with rational coefficients, in any nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Powers = tuple[tuple[int, int], ...]  # of variables, the largest first; below 0 for divisors
Polynomial = dict[Powers, Fraction]

_SUMS = ("add", "sub", "neg", "mul", "square_difference")
_MOST_NODES = 48  # of an expression that is multiplied out
_MOST_TERMS = 16


def polynomial_of(g: Graph, node: int) -> Polynomial | None:
    """An expression multiplied out, in what is neither a sum nor a product; None if it is a long one."""
    found: dict[int, Polynomial] = {}
    stack = [node]
    while stack:
        n = stack[-1]
        parts = g.args[n] if g.op[n] in _SUMS else ()
        missing = [p for p in parts if p not in found]
        if missing:
            stack += missing
            if len(stack) + len(found) > _MOST_NODES:
                return None
            continue
        stack.pop()
        found[n] = _combined(g, n, [found[p] for p in parts])
        if len(found[n]) > _MOST_TERMS:
            return None
    return found[node]


def _combined(g: Graph, n: int, parts: list[Polynomial]) -> Polynomial:
    op = g.op[n]
    if op == "mul":
        return product(*parts)
    if op == "neg":
        return multiple(parts[0], Fraction(-1))
    if op == "square_difference":
        parts = [product(p, p) for p in parts]
    if parts:
        return total(parts[0], multiple(parts[1], Fraction(1 if op == "add" else -1)))
    q = g.rational(n)
    return {((n, 1),): Fraction(1)} if q is None else {(): q} if q else {}


def total(p: Polynomial, q: Polynomial) -> Polynomial:
    found = dict(p)
    for powers, c in q.items():
        found[powers] = found.get(powers, Fraction(0)) + c
    return {powers: c for powers, c in found.items() if c}


def multiple(p: Polynomial, number: Fraction) -> Polynomial:
    return {powers: c * number for powers, c in p.items()} if number else {}


def product(p: Polynomial, q: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for powers, c in p.items():
        for others, d in q.items():
            key = times(powers, others)
            found[key] = found.get(key, Fraction(0)) + c * d
    return {powers: c for powers, c in found.items() if c}


def times(powers: Powers, others: Powers) -> Powers:
    found = dict(powers)
    for x, n in others:
        found[x] = found.get(x, 0) + n
    return tuple(sorted(((x, n) for x, n in found.items() if n), reverse=True))


def variables(p: Polynomial) -> set[int]:
    return {x for powers in p for x, _ in powers}


def derivative(p: Polynomial, x: int) -> Polynomial:
    found: Polynomial = {}
    for powers, c in p.items():
        n = dict(powers).get(x, 0)
        if n:
            found[tuple((y, m - (y == x)) for y, m in powers if y != x or m > 1)] = c * n
    return found


def degree(powers: Powers) -> int:
    return sum(n for _, n in powers)


def without_common_factors(p: Polynomial) -> tuple[list[int], Polynomial]:
    """The variables that are factors of all terms, as often as they are, and what is left."""
    least = Counter(dict(next(iter(p))))
    for powers in p:
        least &= Counter(dict(powers))
    left = {tuple((x, n - least[x]) for x, n in powers if n > least[x]): c for powers, c in p.items()}
    return sorted(least.elements()), left


def positive_first(p: Polynomial) -> Iterable[tuple[Powers, Fraction]]:
    return sorted(p.items(), key=lambda item: item[1] < 0)


def renamed(p: Polynomial, names: Mapping[int, int]) -> Polynomial:
    """The polynomial in other variables."""
    return {
        tuple(sorted(((names.get(x, x), n) for x, n in powers), reverse=True)): c for powers, c in p.items()
    }


def terms_of_polynomial(g: Graph, p: Polynomial) -> list[int]:
    """Its terms as nodes, positive ones first."""
    terms = []
    for powers, number in positive_first(p):
        made = g.one
        for x, n in powers:
            made = g.mul(made, g.integer_power(x, n))
        terms.append(g.mul(g.const(number), made))
    return terms


def plain_terms(g: Graph, p: Polynomial) -> list[int]:
    """The same as products of the variables, of which no rule makes another function of them."""
    terms = []
    for powers, number in positive_first(p):
        factors = [x for x, n in powers for _ in range(n)]
        made = factors[0] if factors else g.one
        for x in factors[1:]:
            made = g.intern("mul", g.ordered(made, x))
        terms.append(g.mul(g.const(number), made))
    return terms
