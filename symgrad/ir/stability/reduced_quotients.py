"""Quotients of polynomials in lowest terms: (x**2 - y**2)/(x + y) is x - y.

By exact division of what stands above by a sum that stands below; both are polynomials with rational
coefficients in any nodes. Before it is reduced such a quotient is nan where both are 0, and its second
derivatives, here 0, are differences of large numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.polynomials import Polynomial, Powers, terms_of_polynomial, times, variables
from symgrad.ir.product import product_of
from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import MOST_FACTORS, factors_of, quotient_of, terms_of, without
from symgrad.ir.stability.whole_sums import as_stable_terms

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SUMS = ("add", "sub", "square_difference")
_MOST_TERMS = 4  # of a quotient: longer ones have no fewer operations
_MOST_STEPS = 16
_HIGHEST = 8


def _may_be_reduced(ops: Sequence[str]) -> bool:
    return all(op in (*_SUMS, "mul", "neg") for op in ops)


@stable(
    "div",
    "(x**2 - y**2)/(x + y) is nan at 0/0, and its derivatives are differences that cancel",
    Audit(
        "(x**2 - y**2)/(x + y)", "x - y", "a sum below that divides a sum above, polynomials of a few terms",
        "Knuth 1997, section 4.6.1",
        at_pairs((1 + 2.0**-40, 1.0), (3e200, 1e200), (2.0, -2.0 - 2.0**-40), (0.3, 0.7)), is_limit=True,
    ),
    on=_may_be_reduced,
)  # fmt: skip
def quotient_in_lowest_terms(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for place, divisor in enumerate(below):
        if g.op[divisor] not in _SUMS:
            continue
        for at, factor in enumerate(above):
            if g.op[factor] in _SUMS and factor != divisor:
                quotient = _quotient(g, factor, divisor)
                if quotient is not None:
                    return quotient_of(g, [*without(above, at), quotient], without(below, place))
    return None


def _quotient(g: Graph, above: int, below: int) -> int | None:
    divisor = _polynomial(g, below)
    dividend = None if divisor is None or len(divisor) < 2 else _polynomial(g, above)
    if divisor is None or dividend is None or not variables(divisor) <= variables(dividend):
        return None
    quotient = _divided(dividend, divisor)
    return None if quotient is None else g.sum_of(as_stable_terms(g, terms_of_polynomial(g, quotient)))


def _polynomial(g: Graph, node: int) -> Polynomial | None:
    """A sum as a polynomial in what its terms are products of; None if it is none, or has a high degree."""
    terms = terms_of(g, node)
    if g.op[node] == "square_difference":
        x, y = g.args[node]
        terms = [(1, g.mul(x, x)), (-1, g.mul(y, y))]
    found: Polynomial = {}
    for sign, term in terms:
        parts = product_of(g, term, MOST_FACTORS, sign)
        if parts is None or parts.below:
            return None
        powers: Counter[int] = Counter()
        for factor in parts.above:
            base, power = _power(g, factor)
            if not 0 < power <= _HIGHEST or g.op[base] in _SUMS:
                return None
            powers[base] += power
        key = tuple(sorted(powers.items(), reverse=True))
        found[key] = found.get(key, Fraction(0)) + parts.number
    return {k: c for k, c in found.items() if c}


def _power(g: Graph, node: int) -> tuple[int, int]:
    if g.op[node] == "pow":
        q = g.rational(g.args[node][1])
        if q is not None and q.denominator == 1:
            return g.args[node][0], int(q)
    return node, 1


def _divided(dividend: Polynomial, divisor: Polynomial) -> Polynomial | None:
    """The quotient, if it leaves nothing and is short; leading terms are by the powers of the largest."""
    left, quotient = dict(dividend), dict[Powers, Fraction]()
    lead = max(divisor)
    for _ in range(_MOST_STEPS):
        if not left:
            return quotient if len(quotient) <= _MOST_TERMS else None
        first = max(left)
        step = _without(first, lead)
        if step is None:
            return None
        number = quotient[step] = left[first] / divisor[lead]
        for powers, c in divisor.items():
            key = times(powers, step)
            left[key] = left.get(key, Fraction(0)) - number * c
        left = {k: c for k, c in left.items() if c}
    return None


def _without(powers: Powers, others: Powers) -> Powers | None:
    left = Counter(dict(powers))
    left.subtract(dict(others))
    if any(n < 0 for n in left.values()):
        return None
    return tuple(sorted(((x, n) for x, n in left.items() if n), reverse=True))
