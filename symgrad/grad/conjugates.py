"""Derivatives of a root less a polynomial, both in the same variables, and of quotients by the root.

For polynomials x and s, p = x^2 + s and r = sqrt(p), the chain rule by x and s gives the derivative of r - x
by a variable v as two terms that cancel where v is in both. Of the polynomials themselves

    r - x      by v: (p'/2 - x'*r)/r      0 or a number for x': m/r, or x'*(m/r - 1) for m = p'/(2*x')
    m/r        by v: (m'*p - m*p'/2)/r^3

with what is above multiplied out: what is in both terms is not there.
Source: Higham 2002, section 1.8 (conjugates); calculus.
"""

from __future__ import annotations

from collections.abc import Container
from fractions import Fraction

from symgrad.ir.graph import Graph, Node
from symgrad.ir.polynomials import (
    Polynomial,
    degree,
    derivative,
    multiple,
    polynomial_of,
    product,
    renamed,
    total,
    variables,
    without_common_factors,
)
from symgrad.ir.stability.conjugates import sum_in_squares
from symgrad.ir.stability.patterns import root_of_square

OPS_OF_ROOTS = frozenset(("root_less_side", "norm_cosine", "less_norm_cosine"))
_HALF = Fraction(1, 2)
Slopes = list[tuple[Node, Node]]


def slopes_of_conjugate(g: Graph, n: Node, alive: Container[Node]) -> Slopes:
    """(variable, derivative by it) of such an operation; none if its arguments have no variable in common."""
    x, s, r = g.args[n]
    side = polynomial_of(g, x)
    if not side or not any(v in alive for v in variables(side)):
        return []
    rest = polynomial_of(g, s)
    if not rest or variables(side).isdisjoint(variables(rest)):
        return []
    square = total(product(side, side), rest)
    found: Slopes = []
    for v in sorted(variables(square), key=g.order_key):
        if v not in alive:
            continue
        slope = (
            _of_difference(g, side, square, r, v)
            if g.op[n] == "root_less_side"
            else _of_cosine(g, side, square, r, v)
        )
        if slope is None:
            return []
        found.append((v, g.neg(slope) if g.op[n] == "less_norm_cosine" else slope))
    return found


def _of_difference(g: Graph, side: Polynomial, square: Polynomial, r: Node, v: Node) -> Node | None:
    m, own = multiple(derivative(square, v), _HALF), derivative(side, v)
    if own.keys() - {()}:
        return None
    number = own.get((), Fraction(0))
    m = multiple(m, 1 / number) if number else m
    rest = total(square, multiple(product(m, m), Fraction(-1)))
    above, beside = (sum_in_squares(g, _in_order(g, p)) for p in (m, rest))
    if g.op[r] == "hypot":
        other = root_of_square(g, beside)
        if other is None:
            return None
        op = "less_cosine" if number else "hypot_slope"
        return g.mul(g.const(-number or 1), g.node(op, above, other))
    zero = g.node("and", g.node("eq", r, g.zero), g.node("eq", above, g.zero))
    below = g.where(zero, g.one, r)  # the derivative of a length is 0 at the origin
    op = "less_norm_cosine" if number else "norm_cosine"
    return g.mul(g.const(-number or 1), g.node(op, above, beside, below))


def _of_cosine(g: Graph, m: Polynomial, square: Polynomial, r: Node, v: Node) -> Node:
    """The polynomial above over r^3, each factor of it over r: powers of r may overflow."""
    half = multiple(derivative(square, v), -_HALF)
    above = total(product(derivative(m, v), square), product(m, half))
    if not above:
        return g.zero
    common, rest = without_common_factors(above)
    inverse = g.div(g.one, r)
    made, left = g.one, 3
    for x in common:
        made = g.mul(made, g.mul(x, inverse) if left else x)
        left = max(left - 1, 0)
    rest = _in_order(g, rest)
    degrees = {degree(powers) for powers in rest}
    if max(degrees) == 1 and left:
        made, left = g.mul(made, g.mul(sum_in_squares(g, rest), inverse)), left - 1
    elif len(degrees) == 1 and min(degrees) <= left:
        small = {x: g.mul(x, inverse) for x in variables(rest)}
        made, left = g.mul(made, sum_in_squares(g, renamed(rest, small))), left - min(degrees)
    else:
        made, left = g.mul(made, _over_powers(g, rest, inverse, left)), 0
    for _ in range(left):
        made = g.mul(made, inverse)
    return made


def _in_order(g: Graph, p: Polynomial) -> Polynomial:
    """The terms in the order of their variables, which is that of the numbers that squares are made of."""
    return dict(sorted(p.items(), key=lambda item: [g.order_key(x) for x, _ in item[0][::-1]]))


def _over_powers(g: Graph, p: Polynomial, inverse: Node, count: int) -> Node:
    """A polynomial times the inverse so many times."""
    terms: Polynomial = {}
    for powers, c in p.items():
        factors = [x for x, k in powers for _ in range(k)]
        parts = [g.mul(x, inverse) for x in factors[:count]] + factors[count:]
        made = g.one
        for part in parts + [inverse] * (count - len(factors)):
            made = g.mul(made, part)
        terms[((made, 1),)] = terms.get(((made, 1),), Fraction(0)) + c
    return sum_in_squares(g, terms)
