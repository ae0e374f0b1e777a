"""Sums of multiples of functions of one value: t - (1 - exp(-k*t))/k is t*(1 - f(k*t)).

The value is a product, and its factors stand beside the functions; so the chain rule makes q(u) + u*q'(u) of
(1 - exp(-k*t))/k. What is left beside the factors that all terms have is a formula of the value alone. Where
that cancels at 0 a series says what it is (`singularities`). Where it cancels elsewhere it is multiplied out:
q(u) + u*q'(u) is exp(-u), of which the two hold 1/u and -1/u.

Sources: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.14; Leibniz's rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.composites.quotients import ROWS as QUOTIENT_ROWS
from symgrad.ir.composites.quotients import plain_of
from symgrad.ir.product import Product, product_of
from symgrad.ir.rules import Args
from symgrad.ir.series.laurent import FUNCTIONS, ROWS, between
from symgrad.ir.series.probe import ALGEBRA, CONSTANT, is_function, probe, variable_of
from symgrad.ir.series.removable import IS_PART, removable
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.common_divisors import Sums, Terms, as_node, powers_of
from symgrad.ir.stability.patterns import (
    MOST_FACTORS,
    MOST_TERMS,
    quotient_of,
    sum_of_signed,
    terms_of,
)
from symgrad.ir.stability.singularities import CANCELS
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MADE = (*ROWS, *QUOTIENT_ROWS)  # what is regular where its value is 0
_POLES = ("exp_share", "expm1")  # and what has a pole there, or stands below
_SUMS = ("add", "sub")
_MOST_STEPS = 64  # of a formula that is multiplied out
_HIGHAM = "Higham 2002, section 1.14"


def _may_be_multiples(ops: Sequence[str]) -> bool:
    """A sign goes first; beside a number, `singularities` looks at formulas of one value."""
    return "const" not in ops and "neg" not in ops and any(op in ("mul", "div", *_MADE) for op in ops)


@stable(
    "sub",
    "t - t*f(k*t) is t*(1 - f(k*t)): the second is a formula of one value, which a series computes next to 0",
    Audit(
        "asin(x*y)/x - y", "y*removable(x*y, radius, series, f(x*y) - 1)",
        "multiples, by powers of the value or of its factors, of functions of one value", _HIGHAM,
        at_pairs((1e-12, 2.0), (1e-5, 1.0), (0.1, 0.75), (-0.3, 0.01)),
    ),
    on=_may_be_multiples,
    needs=(*_MADE, *_POLES),
)  # fmt: skip
def difference_of_multiples(g: Graph, a: Args) -> int | None:
    return _together(g, a, -1)


@stable(
    "add",
    "q(u) + u*q'(u), as the product rule makes it, is f'(u) for q(u) = f(u)/u: the two cancel far from 0",
    Audit(
        "sin(x*y)/x", "by y: cos(x*y)", "as above, where fewer terms are left of them multiplied out",
        _HIGHAM, at_pairs((0.5, 60.0), (1.0, 30.0), (1e-12, 1.0), (-0.3, 0.01)),
    ),
    on=_may_be_multiples,
    needs=(*_MADE, *_POLES),
)  # fmt: skip
def sum_of_multiples(g: Graph, a: Args) -> int | None:
    return _together(g, a, 1)


Signed = tuple[int, int]  # a sign and a term


@dataclass(frozen=True)
class _Term:
    """number * value**power * own, times the factors `beside` (above: positive, below: negative)."""

    number: Fraction
    own: tuple[list[int], list[int]]
    beside: Counter[int]


def _together(g: Graph, a: Args, sign: int) -> int | None:
    """All terms as one, or one of them with one of the others."""
    if IS_PART.get() or not _may_be_multiples([g.op[n] for n in a]):
        return None
    first, second = (1, a[0]), (sign, a[1])
    made = _as_one(g, [first, second])
    for (own, part), (other, total) in ((second, first), (first, second)):
        if made is not None or g.op[total] not in _SUMS or g.op[part] in _SUMS:
            continue
        terms = [(s * other, t) for s, t in terms_of(g, total)]
        for place, term in enumerate(terms):
            both = _as_one(g, [term, (own, part)])
            if both is not None:
                return g.add(sum_of_signed(g, terms[:place] + terms[place + 1 :]), both)
    return made


def _as_one(g: Graph, signed: list[Signed]) -> int | None:
    products = _products(g, signed)
    value = _value(g, products)
    if value is None:
        return None
    terms = [_term(g, p, value) for p in products]
    powers = _powers_of_value(g, terms, value)
    if powers is None:
        return None
    least = min(range(len(terms)), key=lambda k: powers[k])
    numbers, whole = _parts_of(g, value).number, powers[least]
    inside = [
        (t.number / numbers ** int(p - whole), int(p - whole), t.own)
        for t, p in zip(terms, powers, strict=True)
    ]
    is_known = len({variable_of(g, n) for _, n in signed}) == 1
    made = _regular(g, inside, value, is_known=is_known)
    if made is None:
        return None
    above, below = ([n for n, k in terms[least].beside.items() for _ in range(side * k)] for side in (1, -1))
    return quotient_of(g, [*above, made], below)


def _products(g: Graph, terms: list[Signed]) -> list[Product]:
    """A sum as products, also where a factor is a sum of such; none if they are many."""
    found: list[Product] = []
    stack = [(Product(Fraction(1), (), ()), sign, node) for sign, node in terms]
    while stack:
        if len(stack) + len(found) > MOST_TERMS:
            return []
        outer, sign, node = stack.pop()
        own = product_of(g, node, MOST_FACTORS, sign)
        if own is None:
            return []
        whole = Product(outer.number * own.number, outer.above + own.above, outer.below + own.below)
        place = next(
            (k for k, f in enumerate(whole.above) if g.op[f] in _SUMS and not is_function(g, f)), None
        )
        if place is None:
            found.append(whole)
            continue
        above = whole.above[:place] + whole.above[place + 1 :]
        (x, y), minus = g.args[whole.above[place]], -1 if g.op[whole.above[place]] == "sub" else 1
        rest = Product(whole.number, above, whole.below)
        stack += [(rest, 1, x), (rest, minus, y)]
    return found


def _value(g: Graph, products: Sequence[Product]) -> int | None:
    """What the functions are of, if it is the same; None without one that is regular, or has a pole, at 0."""
    functions = [
        f for p in products for f in (*p.above, *p.below) if g.op[f] in FUNCTIONS and is_function(g, f)
    ]
    if not any(g.op[f] in _MADE or g.op[f] in _POLES for f in functions):
        return None
    found = {variable_of(g, f) for f in functions if g.op[f] not in ALGEBRA}
    return found.pop() if len(found) == 1 else None


def _term(g: Graph, p: Product, value: int) -> _Term:
    own: tuple[list[int], list[int]] = ([], [])
    beside: Counter[int] = Counter()
    for side, factors in enumerate((p.above, p.below)):
        for f in factors:
            if variable_of(g, f) in (value, CONSTANT) and f != value:
                own[side].append(f)
            else:
                beside[f] += 1 - 2 * side
    return _Term(p.number, own, beside)


def _parts_of(g: Graph, value: int) -> Product:
    return product_of(g, value, MOST_FACTORS) or Product(Fraction(1), (value,), ())


def _powers_of_value(g: Graph, terms: Sequence[_Term], value: int) -> list[Fraction] | None:
    """Which power of the value, numbers aside, each term has more than the first; None if one has another."""
    parts = _parts_of(g, value)
    whole = Counter(parts.above)
    whole.subtract(parts.below)
    key = next((n for n in whole if whole[n]), None)
    if key is None:
        return None
    found = []
    for term in terms:
        more = Counter(term.beside)
        more.subtract(terms[0].beside)
        power = Fraction(more[key], whole[key])
        if power.denominator != 1 or any(more[n] != power * whole[n] for n in more.keys() | whole.keys()):
            return None
        found.append(power)
    return found


_Inside = list[tuple[Fraction, int, tuple[list[int], list[int]]]]


def _regular(g: Graph, inside: _Inside, value: int, is_known: bool) -> int | None:
    """The sum of number * value**power * own, if it is known better than as a sum."""
    nodes = [_written(g, *term, value) for term in inside]
    values = [probe(g, n).value for n in nodes]
    cancels = abs(sum(values)) < CANCELS * max(abs(v) for v in values)
    away = _multiplied_out(g, nodes, value)
    if away is None and (not cancels or is_known):
        return None
    if away is None:
        away = nodes[0]
        for n in nodes[1:]:
            away = g.intern("add", (away, n))
    if not cancels and not _has_divisor(g, away, value):
        return away
    return removable(g, away, value)


def _written(g: Graph, number: Fraction, power: int, own: tuple[list[int], list[int]], value: int) -> int:
    """As it stands: no rule sees it."""
    node = g.const(number)
    for f in (*own[0], *[value] * power):
        node = f if node == g.one else g.intern("mul", (node, f))
    for f in own[1]:
        node = g.intern("div", (node, f))
    return node


def _multiplied_out(g: Graph, nodes: Sequence[int], value: int) -> int | None:
    """The sum of formulas of a value as a sum of products of which some have cancelled; None if none do.

    The value is one factor of them, whatever it is made of.
    """
    whole = g.read(g.input("a value that functions are of"))
    sums = Sums(g)
    total: Terms = {}
    for n in nodes:
        plain = _plain(g, n, value, whole)
        powers = None if plain is None else powers_of(g, plain)
        terms = None if powers is None else sums.multiplied_out(powers.powers)
        if powers is None or terms is None:
            return None
        for monomial, number in terms.items():
            total[monomial] = total.get(monomial, Fraction(0)) + powers.number * number
    left = {monomial: number for monomial, number in total.items() if number}
    is_mixed = len({number > 0 for number in left.values()}) > 1
    return _plain(g, as_node(g, left), whole, value) if len(left) < len(total) and not is_mixed else None


def _plain(g: Graph, node: int, value: int, other: int) -> int | None:
    """The formula of another value, without series next to 0; None if it takes many steps."""
    nodes = between(g, node, value, _MOST_STEPS)
    if len(nodes) > _MOST_STEPS:
        return None
    made = {value: other}
    for n in nodes:
        args = tuple(made.get(x, x) for x in g.children(n))
        if n == value or not args:
            continue
        if g.op[n] in ROWS:
            made[n] = args[-1]
        elif g.op[n] in QUOTIENT_ROWS:
            made[n] = plain_of(g, g.op[n], args[0])
        else:
            made[n] = g.intern(g.op[n], args)
    return made.get(node, node)


def _has_divisor(g: Graph, node: int, value: int) -> bool:
    return any(g.op[n] == "div" for n in between(g, node, value))
