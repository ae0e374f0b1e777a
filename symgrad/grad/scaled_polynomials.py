"""A scale times a polynomial of a quotient by it, k^2*(1 - (1 - (x/k)^2)^3): Tukey's biweight loss.

As in `scales`, the derivative by k of k^p*F(w), w = x/k, is k^(p-1)*(p*F - w*F'), and where F is like w^p
next to 0 the two terms cancel. Of a polynomial they are added in exact arithmetic, and the sum is taken apart
into factors, which keep their digits next to their zeros, too: 2*w^4*(3 - 2*w^2), and 6*w*(1 - w^2)^2 of F'.
"""

from __future__ import annotations

from collections.abc import Container
from fractions import Fraction

from symgrad.ir.graph import Graph, Node
from symgrad.ir.polynomials import Polynomial, polynomial_of, product, total, variables
from symgrad.ir.rules import Args
from symgrad.ir.series.probe import CONSTANT, variable_of
from symgrad.ir.square_free import square_free_factors
from symgrad.ir.stability.patterns import factors_of, powers_of, product_of_powers
from symgrad.records import dataclass

_HIGHEST = 12  # power of a quotient
_SUMS = frozenset(("add", "sub", "where", "square_difference"))
Slopes = list[tuple[Node, Node]]


def slopes_of_scaled_polynomial(g: Graph, n: Node, alive: Container[Node]) -> Slopes:
    """(part of such a product, derivative by it) for the parts in `alive`; none of any other product."""
    w = next((w for f in _near(g, n) if (w := _quotient_in(g, f)) is not None), None)
    if w is None:
        return []
    polynomial: Polynomial = {(): Fraction(1)}
    others: list[Node] = []
    for f in factors_of(g, n):
        own = _polynomial(g, f) if f == w or _quotient_in(g, f) == w else None
        if own and variables(own) == {w}:
            polynomial = product(polynomial, own)
        else:
            others.append(f)
    outside, inside = powers_of(g, others), powers_of(g, [w])
    coefficients = [polynomial.get(((w, k),) if k else (), Fraction(0)) for k in range(_HIGHEST + 1)]
    if outside is None or inside is None or sum(map(bool, coefficients)) < len(polynomial):
        return []
    (number, powers), (q, steps) = outside, inside
    order = next(k for k, c in enumerate(coefficients) if c)
    if not order or not any(b in alive and powers.get(b, 0) + order * e == 0 for b, e in steps.items()):
        return []
    found: Slopes = []
    for b in [b for b in {**powers, **steps} if b in alive]:
        p, e = powers.get(b, 0), steps.get(b, 0)
        slope = [(p + e * k) * c for k, c in enumerate(coefficients)]
        left = {x: powers.get(x, 0) - (x == b) for x in {**powers, **steps}}
        found.append((b, _product(g, _Parts(number, left, q, steps), slope, w)))
    return found


def _near(g: Graph, n: Node) -> Args:
    """The first factors of a product."""
    near = g.args[n] if g.op[n] == "mul" else ()
    return near + tuple(f for a in near if g.op[a] == "mul" for f in g.args[a])


def _quotient_in(g: Graph, f: Node) -> Node | None:
    """The quotient that a sum is made of, or a choice of two."""
    if g.op[f] not in _SUMS:
        return None
    w = variable_of(g, g.args[f][1] if g.op[f] == "where" else f)
    return w if w != CONSTANT and g.op[w] == "div" else None


def _polynomial(g: Graph, f: Node) -> Polynomial | None:
    """A factor as a polynomial; of a choice, where both arms are the same one."""
    if g.op[f] != "where":
        return polynomial_of(g, f)
    condition, near, away = g.args[f]
    first, second = polynomial_of(g, near), polynomial_of(g, away)
    if first is None or second is None:
        return None
    for v in variables(second):
        if g.op[v] == "where" and g.args[v][0] == condition:  # hidden where the other arm is taken
            hidden = polynomial_of(g, g.args[v][2])
            if hidden is None:
                return None
            second = _composed(second, v, hidden)
    return first if first == second else None


def _composed(p: Polynomial, x: int, inner: Polynomial) -> Polynomial:
    """The polynomial with another one for a variable that stands in it alone."""
    own = p.get(((x, 1),), Fraction(0))
    rest = {powers: c for powers, c in p.items() if powers != ((x, 1),)}
    return total(rest, {powers: own * c for powers, c in inner.items()})


@dataclass(frozen=True)
class _Parts:
    """number * parts to their powers, beside w = q * parts to their `steps`."""

    number: Fraction
    powers: dict[int, int]
    q: Fraction
    steps: dict[int, int]


def _product(g: Graph, parts: _Parts, coefficients: list[Fraction], w: Node) -> Node:
    """The parts times the polynomial in w, by its factors."""
    while coefficients and not coefficients[-1]:
        coefficients.pop()
    if not coefficients:
        return g.zero
    least = next(k for k, c in enumerate(coefficients) if c)
    bare, is_even = coefficients[least:], not any(coefficients[least + 1 :: 2])
    # As many of the powers of w go into the parts as leave none of what w is over.
    k = next((b for b, e in parts.steps.items() if e < 0), None)
    met = 0 if k is None else -parts.powers[k] // parts.steps[k]
    if k is None or not 0 < met <= least or parts.powers[k] + met * parts.steps[k]:
        met = 0
    powers = {x: n + met * parts.steps.get(x, 0) for x, n in parts.powers.items()}
    made = product_of_powers(g, parts.number * bare[0] * parts.q**met, powers)
    made = g.mul(made, g.integer_power(w, least - met))
    x = g.mul(w, w) if is_even else w
    for factor, times in square_free_factors(bare[::2] if is_even else bare):
        value = g.const(factor[-1])
        for c in factor[-2::-1]:
            value = g.add(g.const(c), g.mul(value, x))
        for _ in range(times):
            made = g.mul(made, value)
    return made
