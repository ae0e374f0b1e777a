"""Quadratic forms in sums: variances, covariances and squares written out, which cancel near ties.

    (x**2 + y**2)/2 - ((x + y)/2)**2        ((x - y)/2)**2
    x**2 - 2*x*y + y**2 + z                 (x - y)**2 + z
    x1*y1 + x2*y2 - (x1 + x2)*(y1 + y2)/2   (x1 - x2)*(y1 - y2)/2

This looks at a sum as a whole, before its terms are added: of most sums it is soon seen that they have no
form of this kind. What is done with a form says `ir.quadratic`; 1 is a variable like others (x**2 - 2*x + 1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING

from symgrad.ir.product import product_of
from symgrad.ir.quadratic import (
    Deviations,
    Linear,
    Product,
    Quadratic,
    add_product,
    as_products,
    components,
    pair_of,
)
from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import AUDITS, Audit, at_pairs
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

NAME = "quadratic_form_of_differences"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "(x**2 + y**2)/2 - ((x + y)/2)**2",
    "(x/2 - y/2)**2",
    "a quadratic form in a sum that is 0 along a line: of one sign, of rank two, or a covariance",
    "Chan, Golub & LeVeque 1983; Golub & Van Loan 2013, section 4.2.8",
    at_pairs((1 + 2.0**-40, 1.0), (1e8 + 1, 1e8), (0.3, -0.7), (3e-150, 1e150)),
)

_MOST_TERMS = 64  # of a sum that is looked at
_MOST_VARIABLES = 32
_SUMS = ("add", "sub")
_MOST_PRODUCTS = _MOST_VARIABLES * (_MOST_VARIABLES + 1) // 2
_LARGE = 2**20  # numbers below are whole numbers that somebody wrote, or small multiples
_ZERO, _ONE = Fraction(0), Fraction(1)


def with_forms_of_differences(g: Graph, terms: Sequence[int]) -> Sequence[int]:
    """The terms of a sum; instead of those that are such a form, what it is in differences."""
    if not 2 <= len(terms) <= _MOST_TERMS or not _may_have_form(g, terms):
        return terms
    for with_one in (True, False):
        made = _rewritten(g, terms, with_one)
        if made is not None:
            g.fired[NAME] += 1
            terms = made
    return terms


# ---- what is there -----------------------------------------------------------------------------


def _may_have_form(g: Graph, terms: Sequence[int]) -> bool:
    """Whether a form may be singular, and no sum of squares of one sign. Asked for every sum there is."""
    op, args = g.op, g.args
    products: list[Args] = []
    linear = 0
    has_square = has_other = has_number = False
    for n in terms:
        negative = op[n] == "neg"
        if negative:
            (n,) = args[n]
        if op[n] == "const":
            has_number = True
        if op[n] != "mul":
            linear += 1
            continue
        a, b = factors = args[n]
        if op[a] == "const":
            q = g.rational(a)
            negative ^= q is not None and q < 0
            if op[b] != "mul":
                linear += 1
                continue
            a, b = factors = args[b]
        products.append(factors)
        has_square |= a == b
        has_other |= a != b or negative
    if has_number and has_square and linear > 1:
        return True
    if len(products) < 2 or not has_other:
        return False
    if len(products) == 2 and not has_square and set(products[0]).isdisjoint(products[1]):
        return False  # a determinant, a rotation: most that there are
    return _are_shared(g, products)


def _are_shared(g: Graph, products: Sequence[Args]) -> bool:
    """Whether two products have nothing in them that stands in one place only: no such form has that."""
    parts = [[x for factor in pair for x in _parts(g, factor)] for pair in products]
    count = Counter(x for own in parts for x in own)
    return sum(all(count[x] > 1 for x in own) for own in parts) > 1


def _parts(g: Graph, node: int) -> list[int]:
    """What a sum is a linear form in, as far as it is short."""
    if g.op[node] not in _SUMS:
        return [node]
    ops, args = g.op, g.args
    found: list[int] = []
    stack = [node]
    while stack and len(stack) + len(found) <= _MOST_VARIABLES:
        n = stack.pop()
        op = ops[n]
        if op in _SUMS:
            stack += args[n]
        elif op == "neg" or (op == "mul" and ops[args[n][0]] == "const"):
            stack.append(args[n][-1])
        elif op != "const":
            found.append(n)
    return [node] if stack else found


@dataclass(frozen=True)
class Term:
    """A node as number*first*second."""

    node: int
    number: Fraction
    first: Linear
    second: Linear


def term_of_form(g: Graph, node: int, with_one: bool) -> Term | None:
    parts = product_of(g, node, 3)
    if parts is None or parts.below or len(parts.above) > 2:
        return None
    if len(parts.above) < 2 and not with_one:
        return None
    factors = [linear_form(g, n) for n in parts.above]
    while len(factors) < 2:
        factors.append({g.one: _ONE})
    first, second = factors
    return None if first is None or second is None else Term(node, parts.number, first, second)


def linear_form(g: Graph, node: int) -> Linear | None:
    """A sum as a linear form in what its terms are but for numbers; None if it is long."""
    found: Linear = {}
    stack = [(_ONE, node)]
    while stack:
        if len(stack) + len(found) > _MOST_VARIABLES:
            return None
        number, n = stack.pop()
        op, args = g.op[n], g.args[n]
        q = g.rational(args[0]) if op == "mul" else g.rational(n)
        if op in _SUMS:
            stack += [(-number if op == "sub" else number, args[1]), (number, args[0])]
        elif op == "neg":
            stack.append((-number, args[0]))
        elif op == "mul" and q is not None:
            stack.append((number * q, args[1]))
        else:
            x, times = (n, number) if q is None else (g.one, number * q)
            found[x] = found.get(x, _ZERO) + times
    return {x: c for x, c in found.items() if c}


def _rewritten(g: Graph, nodes: Sequence[int], with_one: bool) -> list[int] | None:
    terms = [t for n in nodes if (t := term_of_form(g, n, with_one)) is not None]
    written: Quadratic = {}
    for t in terms:
        add_product(written, t.number, t.first, t.second)
    if len(written) > _MOST_PRODUCTS:
        return None
    made: list[int] = []
    gone: set[int] = set()
    for part in components(written):
        own = [t for t in terms if t.first and t.second and _place(t) in part]
        found = _made(g, {k: q for k, q in part.items() if q}, own) if len(own) > 1 else None
        if found is not None:
            made += found
            gone.update(t.node for t in own)
    return [*(n for n in nodes if n not in gone), *made] if gone else None


def _place(t: Term) -> tuple[int, int]:
    """Of one of the products of a term that is multiplied out."""
    return pair_of(next(iter(t.first)), next(iter(t.second)))


def _made(g: Graph, form: Quadratic, terms: Sequence[Term]) -> list[int] | None:
    """The terms of a form in differences; where something cancels, what else is left of it, too."""
    cancels = _cancels(form, terms)
    found = [as_products(part, cancels) for part in components(form)]
    if not any(found) or (cancels and not all(found)):
        return None
    made: list[int] = []
    for part, products in zip(components(form), found, strict=True):
        if isinstance(products, Deviations):
            made.append(_of_deviations(g, products))
        elif products is not None:
            made += nodes_of_products(g, products)
        else:
            made += [_times(g, q, g.mul(x, y)) for (x, y), q in part.items()]
    return made


def _cancels(form: Quadratic, terms: Sequence[Term]) -> bool:
    """Whether something multiplied out is more than what is left of it."""
    size: Quadratic = {}
    for t in terms:
        first, second = ({x: abs(c) for x, c in part.items()} for part in (t.first, t.second))
        add_product(size, abs(t.number), first, second)
    return any(abs(form.get(k, _ZERO)) < q for k, q in size.items())


# ---- what is made ------------------------------------------------------------------------------


def nodes_of_products(g: Graph, products: Sequence[Product]) -> list[int]:
    """One term for each product, or one for all where they have one number before them."""
    terms = [(number, g.mul(first, second)) for number, first, second in sides_of_products(g, products)]
    if len({number for number, _ in terms}) == 1:
        return [_times(g, terms[0][0], g.sum_of(n for _, n in terms))]
    return [_times(g, number, n) for number, n in terms]


def sides_of_products(g: Graph, products: Sequence[Product]) -> list[tuple[Fraction, int, int]]:
    """A number and two nodes for each product, which is no smaller than that of the nodes."""
    sides = [_in_range(*_primitive(g, p)) for p in products]
    return [(number, sum_of_linear(g, x), sum_of_linear(g, y)) for number, x, y in sides]


def _primitive(g: Graph, p: Product) -> tuple[Fraction, Linear, Linear]:
    """In small whole numbers, if that is what the linear forms are multiples of, and of one sign."""
    number, made = p.number, []
    for form in (p.first, p.second):
        below = lcm(*(c.denominator for c in form.values()))
        above = gcd(*(c.numerator for c in form.values()))
        scale = Fraction(below, above) if below < _LARGE else _ONE
        if form[min(form, key=g.order_key)] < 0:
            scale = -scale
        number /= scale
        made.append({x: c * scale for x, c in form.items()})
    return number, made[0], made[1]


def _in_range(number: Fraction, first: Linear, second: Linear) -> tuple[Fraction, Linear, Linear]:
    """A small number goes into the forms, by powers of 2: their product is no larger than the whole then."""
    while abs(number) < 1:
        number *= 4
        first, second = ({x: c / 2 for x, c in form.items()} for form in (first, second))
    return number, first, second


def sum_of_linear(g: Graph, form: Linear) -> int:
    """A linear form; by differences, which are exact near ties, if its coefficients sum to 0."""
    if len(form) > 2 and not sum(form.values()):
        pivot = max(form, key=lambda x: abs(form[x]))
        return g.sum_of(_times(g, c, g.sub(x, pivot)) for x, c in form.items() if x != pivot)
    total = g.zero
    for x, c in sorted(form.items(), key=lambda item: item[1] < 0):  # positive terms first
        total = g.add(total, _times(g, c, x)) if c > 0 else g.sub(total, _times(g, -c, x))
    return total


def _times(g: Graph, number: Fraction, node: int) -> int:
    return g.mul(g.const(number), node)


def _of_deviations(g: Graph, found: Deviations) -> int:
    """From the mean, all taken from one of the numbers first, so that those which are equal are."""
    first, *others = found.weights
    whole = sum(found.weights.values(), _ZERO)
    least = min(found.weights.values(), key=abs)
    number, unit, _ = _in_range(least, {first: _ONE}, {})
    scale = unit[first]
    start = _times(g, scale, first)
    apart = {x: g.sub(_times(g, scale, x), start) for x in others}
    mean = g.sum_of(_times(g, found.weights[x] / whole, apart[x]) for x in others)
    total: dict[Fraction, int] = {}
    for x, w in found.weights.items():
        d = g.neg(mean) if x == first else g.sub(apart[x], mean)
        w *= number / least
        total[w] = g.add(total.get(w, g.zero), g.mul(d, d))
    return g.sum_of(_times(g, w, squares) for w, squares in total.items())
