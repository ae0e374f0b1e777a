"""Variances under weights that are symbols: p*x**2 + (1 - p)*y**2 - (p*x + (1 - p)*y)**2.

Weights that sum to 1 make it p*(1 - p)*(x - y)**2; of more numbers a sum over pairs. Those with numbers for
weights are in `quadratic_forms`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING

from symgrad.ir.product import Product, product_of, whole_of
from symgrad.ir.quadratic import Linear
from symgrad.ir.stability.audit import AUDITS, Audit
from symgrad.ir.stability.patterns import MOST_FACTORS, MOST_TERMS, terms_of
from symgrad.ir.stability.quadratic_forms import linear_form
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

NAME = "variance_under_weights"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "p*x**2 + (1 - p)*y**2 - (p*x + (1 - p)*y)**2",
    "p*(1 - p)*(x - y)**2",
    "a sum of weighted squares less the square of the weighted sum, where the weights sum to 1",
    "Chan, Golub & LeVeque 1983",
    (
        {"p": 0.3, "x": 1 + 2.0**-40, "y": 1.0},
        {"p": 1e-9, "x": 1e8 + 1, "y": 1e8},
        {"p": 0.75, "x": -3.0, "y": 2.0},
    ),
)

_MOST_NUMBERS = 4  # from which on pairs are more operations
_SUMS = ("add", "sub")


def with_weighted_variances(g: Graph, nodes: Sequence[int]) -> Sequence[int]:
    """The terms of a sum; instead of those of such a variance, what it is in differences."""
    if not 3 <= len(nodes) <= MOST_TERMS:
        return nodes
    for place, node in enumerate(nodes):
        n = g.args[node][0] if g.op[node] == "neg" else node
        n = g.args[n][1] if g.op[n] == "mul" and g.op[g.args[n][0]] == "const" else n
        if g.op[n] == "mul" and g.args[n][0] == g.args[n][1] and g.op[g.args[n][0]] in _SUMS:
            found = _variance(g, node, g.args[n][0], [*nodes[:place], *nodes[place + 1 :]])
            if found is not None:
                g.fired[NAME] += 1
                return found
    return nodes


@dataclass(frozen=True)
class _Weighted:
    """number * weights * value."""

    number: Fraction
    weights: Counter[int]
    value: int


def _variance(g: Graph, square: int, total: int, others: list[int]) -> list[int] | None:
    """The other terms, with the variance; `square` is a number times total**2."""
    whole = product_of(g, square, MOST_FACTORS)
    terms = terms_of(g, total)
    if whole is None or not 2 <= len(terms) <= _MOST_NUMBERS:
        return None
    found: list[_Weighted] = []
    for sign, term in terms:
        weighted = _with_its_square(g, product_of(g, term, MOST_FACTORS, sign), -whole.number, others)
        if weighted is None:
            return None
        place, part = weighted
        del others[place]
        found.append(part)
    weights = [_times(g, w.number, w.weights) for w in found]
    whole_weight: Linear = {}
    for node in weights:
        inside = linear_form(g, node)
        for x, c in ({node: Fraction(1)} if inside is None else inside).items():
            whole_weight[x] = whole_weight.get(x, Fraction(0)) + c
    if {x: c for x, c in whole_weight.items() if c} != {g.one: Fraction(1)}:
        return None
    for (v, one), (w, other) in combinations(zip(weights, found, strict=True), 2):
        d = g.sub(one.value, other.value)
        others.append(g.mul(g.const(-whole.number), g.mul(g.mul(v, d), g.mul(w, d))))
    return others


def _with_its_square(
    g: Graph, part: Product | None, number: Fraction, others: list[int]
) -> tuple[int, _Weighted] | None:
    """(the place of number*w*x**2 among the others, w and x) for the product w*x."""
    if part is None or part.below:
        return None
    own = Counter(part.above)
    for place, other in enumerate(others):
        candidate = product_of(g, other, MOST_FACTORS)
        if candidate is None or candidate.below or candidate.number != number * part.number:
            continue
        extra = Counter(candidate.above)
        extra.subtract(own)
        left = [x for x, n in extra.items() if n]
        if len(left) == 1 and extra[left[0]] == 1 and own[left[0]] == 1:
            return place, _Weighted(part.number, own - Counter(left), left[0])
    return None


def _times(g: Graph, number: Fraction, factors: Counter[int]) -> int:
    return whole_of(g, Product(number, tuple(factors.elements()), ()))
