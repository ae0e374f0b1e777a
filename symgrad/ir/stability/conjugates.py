"""A polynomial less a root that it is nearly equal to: the roots of a quadratic equation, in a sum.

    l - q*sqrt(p) = (l**2 - q**2*p)/(l + q*sqrt(p))

for polynomials l and p. Where the squares of the terms of l are terms of q**2*p, too, they are not in what is
above when that is multiplied out: of Morrison's a + b + k - sqrt((a + b + k)**2 - 4*a*b) it is 4*a*b. This
looks at a sum as a whole, as the terms of l are terms of it. `grad.conjugates` has the derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import zip_longest
from typing import TYPE_CHECKING

from symgrad.ir.polynomials import (
    Polynomial,
    Powers,
    degree,
    multiple,
    plain_terms,
    polynomial_of,
    product,
    renamed,
    total,
)
from symgrad.ir.signs import is_never_negative
from symgrad.ir.stability.audit import AUDITS, Audit, at_pairs
from symgrad.ir.stability.patterns import numbered, terms_of, under_root
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

NAME = "polynomial_less_root"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "x + y - sqrt((x - y)**2 + 4)",
    "-root_less_side(x + y, 4 - 4*x*y, r)",
    "the squares of two terms or more are terms under the root, multiplied out; r is the root",
    "Higham 2002, section 1.8; Morrison 1969; Chen & Harker 1993",
    at_pairs((1e8, 1e-3), (3.0, 1e-8), (1e9, 1e5), (0.3, 0.75)),
)
_ROOTS = ("sqrt", "norm", "hypot")
_MOST_TERMS = 8  # of a sum that is looked at
_MORE = 64  # times a sum of squares, what is under a root is finite, too


@dataclass(frozen=True)
class _Root:
    """number*node, the node a root of the polynomial `inside`."""

    number: Fraction
    node: int
    inside: Polynomial
    is_product: bool


def with_conjugates(g: Graph, terms: Sequence[int]) -> Sequence[int]:
    """The terms of a sum; instead of a root and those that it is nearly equal to, their difference."""
    if len(terms) > _MOST_TERMS or g.present.isdisjoint(_ROOTS):
        return terms
    roots = {place: root for place, n in enumerate(terms) if (root := _root(g, n)) is not None}
    if len(roots) != 1:
        return terms
    ((at, root),) = roots.items()
    if any(numbered(g, n)[1] in g.args[root.node] for n in terms if g.op[root.node] == "hypot"):
        return terms  # a side of two: `sides`
    square = multiple(root.inside, root.number**2)
    beside: dict[int, Polynomial] = {}
    for place, n in enumerate(terms):
        found = polynomial_of(g, n) if place != at else None
        if found and all(square.get(_squared(m)) == c * c for m, c in found.items()):
            beside[place] = found
    made = _difference(g, root, list(beside.values()))
    if made is None:
        return terms
    g.fired[NAME] += 1
    return [*(n for place, n in enumerate(terms) if place != at and place not in beside), made]


def _squared(powers: Powers) -> Powers:
    return tuple((x, 2 * n) for x, n in powers)


def _root(g: Graph, term: int) -> _Root | None:
    """A number times a root, or times the product of two."""
    number, node = numbered(g, term)
    parts = [node] if g.op[node] in _ROOTS else list(g.args[node]) if g.op[node] == "mul" else []
    inside = [_inside(g, part) for part in parts if g.op[part] in _ROOTS]
    if not parts or len(inside) < len(parts):
        return None
    found: Polynomial = {(): Fraction(1)}
    for p in inside:
        if p is None:
            return None
        found = product(found, p)
    return _Root(number, node, found, len(parts) > 1)


def _inside(g: Graph, root: int) -> Polynomial | None:
    if g.op[root] != "hypot":
        inside = under_root(g, root)
        return None if inside is None else polynomial_of(g, inside)
    sides = [polynomial_of(g, side) for side in g.args[root]]
    x, y = (None if side is None else product(side, side) for side in sides)
    return None if x is None or y is None else total(x, y)


def _difference(g: Graph, root: _Root, beside: Sequence[Polynomial]) -> int | None:
    """number*root + the sum of polynomials, as number*(root - x) for x = -sum/number."""
    polynomial: Polynomial = {}
    for p in beside:
        polynomial = total(polynomial, p)
    if len(polynomial) < (1 if root.is_product else 2):
        return None  # a root less one of its sides, and else no root of these terms
    x = multiple(polynomial, -1 / root.number)
    rest = total(root.inside, multiple(product(x, x), Fraction(-1)))
    if not rest or any(_squared(m) in rest for m in x):
        return None
    if is_never_negative(g, sum_in_squares(g, multiple(x, Fraction(-1)))):
        return None  # nothing cancels
    small, power = _over_power_of_two(g, root)
    side, beside_square = (sum_in_squares(g, renamed(p, small)) for p in (x, rest))
    made = g.node("root_less_side", side, beside_square, _with_fewest_digits_lost(g, root, small))
    return g.mul(g.const(root.number), g.div(made, power))


def sum_in_squares(g: Graph, p: Polynomial) -> int:
    """The polynomial as a node, with (x - y)**2 for x**2 - 2*x*y + y**2."""
    return g.sum_of(_terms(g, p))


def _terms(g: Graph, p: Polynomial) -> list[int]:
    left, squares = dict(p), list[int]()
    for powers in [powers for powers, c in p.items() if c < 0]:
        for x, y in _halves(powers):
            c = -left.get(powers, Fraction(0)) / 2
            if c and left.get(_squared(x)) == c == left.get(_squared(y)):
                difference = g.sub(*plain_terms(g, {x: Fraction(1), y: Fraction(1)}))
                squares.append(g.mul(g.const(c), g.mul(difference, difference)))
                for used in (powers, _squared(x), _squared(y)):
                    del left[used]
    return [*squares, *_in_turns(plain_terms(g, left), sum(c > 0 for c in left.values()))]


def _in_turns(terms: list[int], positive: int) -> list[int]:
    """Positive and negative terms in turns: of x - y + z nothing is lost where x is near y."""
    pairs = zip_longest(terms[:positive], terms[positive:])
    return [n for pair in pairs for n in pair if n is not None]


def _halves(powers: Powers) -> list[tuple[Powers, Powers]]:
    """A product of two factors as these, or one of them as it and 1."""
    factors = [x for x, n in powers for _ in range(n)]
    if len(factors) not in (1, 2):
        return []
    x, y = (*(((x, 1),) for x in factors), ())[:2]
    return [(x, y)] if x != y else []


def _with_fewest_digits_lost(g: Graph, root: _Root, small: dict[int, int]) -> int:
    """The root as it is written; where that cancels, and multiplied out it does not, of the latter.

    (x + y + z)**2 - 4*x*y is (x - y)**2 + z**2 + 2*x*z + 2*y*z: for positive numbers no term is negative.
    """
    inside = under_root(g, root.node) if g.op[root.node] == "sqrt" else None
    if inside is None:
        return root.node
    written = [polynomial_of(g, term) or {} for _, term in terms_of(g, inside)]
    may_cancel = not is_never_negative(g, inside) and sum(map(_size, written)) > _size(root.inside)
    inside = g.substitute(inside, small)
    if not may_cancel:
        return g.node("sqrt", inside)
    terms = _terms(g, renamed(root.inside, small))
    is_sum = g.true
    for n in terms:
        if not is_never_negative(g, n):
            is_sum = g.node("and", is_sum, g.node("le", g.zero, n))
    return g.node("sqrt", g.where(is_sum, g.sum_of(terms), inside))


def _size(p: Polynomial) -> Fraction:
    return sum(map(abs, p.values()), Fraction(0))


def _over_power_of_two(g: Graph, root: _Root) -> tuple[dict[int, int], int]:
    """The variables over a power of two where their squares overflow or underflow, and 1 over it.

    If that is a power of two for each term: of x*y, x**2, and of z where it is no factor of anything.
    """
    if g.op[root.node] != "sqrt":
        return {}, g.one  # a length is right over the range of numbers
    alone = {powers[0][0] for powers in root.inside if degree(powers) == 1}
    others = {x for powers in root.inside if degree(powers) == 2 for x, _ in powers}
    if not alone.isdisjoint(others) or any(degree(powers) not in (1, 2) for powers in root.inside):
        return {}, g.one
    sides, rest = sorted(others, key=g.order_key), sorted(alone, key=g.order_key)
    squares = g.mul(g.const(_MORE), g.sum_of(g.intern("mul", (x, x)) for x in sides))
    s = g.sum_of([squares, *(g.node("abs", x) for x in rest)])
    small = {x: g.intern("scaled", (x, s)) for x in sides}
    small |= {x: g.intern("scaled", (g.intern("scaled", (x, s)), s)) for x in rest}
    return small, g.intern("scaled", (g.one, s))
