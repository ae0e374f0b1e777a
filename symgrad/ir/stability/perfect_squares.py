"""Perfect squares written out in a sum: a**2 - 2*a*b + b**2, over and times something.

    x**4 - 2*x**2*y**2 + y**4      (x**2 - y**2)**2
    x**2/y - 2*x + y               (x - y)**2/y
    exp(x) - 2 + exp(-x)           4*sinh(x/2)**2
    1/r**12 - 2/r**6 + 1           ((1 - r**6)/r**6)**2

Of three monomials M1, M2 and M3 with M3^2 = M1*M2, the quotient M1/M3 in lowest terms is a/b, and M1/a^2
stands before the square. Forms of degree two are in `quadratic_forms`. With divisors the sum is computed as
it is written where nothing cancels: so nothing that is made overflows.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING

from symgrad.ir.product import powers_in
from symgrad.ir.quadratic import Linear, Product
from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import AUDITS, Audit, at
from symgrad.ir.stability.patterns import MOST_FACTORS, MOST_TERMS
from symgrad.ir.stability.quadratic_forms import linear_form, nodes_of_products, sum_of_linear
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Powers = dict[int, int]

NAME = "perfect_square_in_sum"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "2 - exp(x) - exp(-x)",
    "-4*sinh(x/2)**2",
    "three terms of a sum; with divisors only where a small part of each is left",
    "DLMF 4.35; school mathematics",
    at(1e-8, -1e-3, 0.3, 3.0, 700.0),
)

_HIGHEST = 16
_HALF = Fraction(1, 2)
_IN_RANGE = Fraction(2) ** 240


def with_perfect_squares(g: Graph, nodes: Sequence[int]) -> Sequence[int]:
    """The terms of a sum, three of them as one if they are the square of a difference."""
    if not 3 <= len(nodes) <= MOST_TERMS:
        return nodes
    numbers = [_number(g, n) for n in nodes]
    if len({abs(q) for q in numbers}) == 1:
        return nodes  # the one in the middle has a number before it that is larger
    for k, middle in enumerate(numbers):
        ends = [n for n in range(len(nodes)) if n != k]
        for i, j in combinations(ends, 2):
            if middle * middle == 4 * numbers[i] * numbers[j]:
                written = g.sum_of(nodes[n] for n in sorted((i, j, k)))
                made = _square(g, (nodes[i], nodes[k], nodes[j]), written)
                if made is not None:
                    g.fired[NAME] += 1
                    return [*(nodes[n] for n in ends if n not in (i, j)), made]
    return nodes


def _number(g: Graph, node: int) -> Fraction:
    """The number before a term, as far as it is easy to see."""
    sign = 1
    if g.op[node] == "neg":
        sign, node = -1, g.args[node][0]
    if g.op[node] == "div":
        node = g.args[node][0]
    if g.op[node] == "mul":
        node = g.args[node][0]
    return sign * (g.rational(node) or Fraction(1))


@dataclass(frozen=True)
class _Monomial:
    """number * product of powers * exp(exponent)."""

    number: Fraction
    powers: Powers
    exponent: Linear


def _monomial(g: Graph, node: int) -> _Monomial | None:
    parts = powers_in(g, node, MOST_FACTORS)
    if parts is None or any(abs(e) > _HIGHEST for e in parts[1].values()):
        return None
    number, powers = parts
    exponent: Linear = {}
    for n in [n for n in powers if g.op[n] == "exp"]:
        inside = linear_form(g, g.args[n][0])
        if inside is None:
            return None
        exponent = _combined(exponent, inside, powers.pop(n))
    return _Monomial(number, powers, exponent)


def _combined(first: Linear, second: Linear, times: int) -> Linear:
    total = dict(first)
    for x, c in second.items():
        total[x] = total.get(x, Fraction(0)) + times * c
    return {x: c for x, c in total.items() if c}


def _square(g: Graph, nodes: Args, written: int) -> int | None:
    """Two ends with the middle between them as a square; else, where nothing cancels, as they are written."""
    found = [_monomial(g, n) for n in nodes]
    if any(m is None for m in found):
        return None
    one, mid, other = (m for m in found if m is not None)
    bases = {*one.powers, *mid.powers, *other.powers}
    if mid.number**2 != 4 * one.number * other.number or any(
        2 * mid.powers.get(x, 0) != one.powers.get(x, 0) + other.powers.get(x, 0) for x in bases
    ):
        return None
    step = _combined(one.exponent, mid.exponent, -1)
    if step != _combined(mid.exponent, other.exponent, -1):
        return None
    ratio = {x: e for x in bases if (e := one.powers.get(x, 0) - mid.powers.get(x, 0))}
    if step:
        is_difference = not ratio and 2 * one.number == -mid.number
        beside_number = g.rational(nodes[1]) is not None  # others are second differences (`sum_steps`)
        return _by_sinh(g, step, nodes[1]) if is_difference and beside_number else None
    if not ratio:
        return None
    return _by_difference(g, one, ratio, mid.number / (2 * one.number), written)


def _by_sinh(g: Graph, step: Linear, middle: int) -> int:
    """number*(exp(d) - 2 + exp(-d)) is number*4*sinh(d/2)**2."""
    wave = g.node("sinh", g.mul(g.const(_HALF), sum_of_linear(g, step)))
    return g.mul(g.mul(g.const(-2), middle), g.mul(wave, wave))


def _by_difference(g: Graph, one: _Monomial, ratio: Powers, times: Fraction, written: int) -> int:
    """number * rest * (a + times*b)**2."""
    a = _product(g, {x: e for x, e in ratio.items() if e > 0})
    b = _product(g, {x: -e for x, e in ratio.items() if e < 0})
    rest = dict(one.powers)
    for x, e in ratio.items():
        rest[x] = rest.get(x, 0) - 2 * max(e, 0)
    rest = {x: e for x, e in rest.items() if e}
    form: Linear = {a: Fraction(1)}
    form[b] = form.get(b, Fraction(0)) + times
    if not rest:
        return g.sum_of(nodes_of_products(g, [Product(one.number, form, form)]))
    d = sum_of_linear(g, form)
    sides = [d, d]  # half of the powers to each: where little is left of a and b, these are in range as a is
    for x, e in rest.items():
        raised = [g.integer_power(x, n) for n in (abs(e) - abs(e) // 2, abs(e) // 2)]
        sides = [(g.div if e < 0 else g.mul)(side, r) for side, r in zip(sides, raised, strict=True)]
    square = g.mul(g.const(one.number), g.mul(*sides))
    size = g.node("abs", a)
    near = g.node("lt", g.node("abs", d), g.mul(g.const(_HALF), size))
    if min(rest.values()) < -1:  # derivatives have a in powers up to the fourth, above and below
        for low, high in ((g.const(1 / _IN_RANGE), size), (size, g.const(_IN_RANGE))):
            near = g.node("and", near, g.node("lt", low, high))
    return g.where(near, square, written)


def _product(g: Graph, powers: Powers) -> int:
    product = g.one
    for x, e in powers.items():
        product = g.mul(product, g.integer_power(x, e))
    return product
