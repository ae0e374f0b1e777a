"""Sums in which a term and its product with a share stand apart: A + B - B*p is A + B*(1 - p).

The rule for the difference of two products (`complements.py`) sees one pair. The second derivatives of a
cross-entropy that is written out are sums of several, by number: A + 2*B - 2*B*p. All of them have the
slope of a logistic function as a factor, so no other sum is searched. In third factors tanh is a share as
well, less that of the others: 1 - tanh(z) and 1 + tanh(z) are known by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import Audit, stable
from symgrad.ir.stability.complements import (
    COMPLEMENT,
    complement_of,
    is_share,
    numbers_apart,
    share_factors,
)
from symgrad.ir.stability.patterns import MOST_TERMS, all_factors, remove

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SUMS = ("add", "sub", "neg")
_SLOPE = "logistic_slope"
_SHARED = frozenset((_SLOPE, "logistic", "tanh"))
_ARITHMETIC = frozenset((*_SUMS, "mul", "div"))
_MOST_STEPS = 32  # into a sum
Terms = dict[tuple[int, ...], Fraction]  # the factors of a term, ascending, and its number


def _may_hold_pairs(ops: Sequence[str]) -> bool:
    """A sign goes first: a + (-b) is a - b."""
    return "neg" not in ops and any(op in ("add", "sub", "mul", "div", _SLOPE) for op in ops)


def _merged(g: Graph, a: Args, sign: int) -> int | None:
    if not _may_hold_pairs([g.op[x] for x in a]) or not all(_may_have_share(g, x) for x in a):
        return None
    terms = _terms(g, a, sign) if _may_have_slope(g, a) else None
    if terms is None:
        return None
    for factors, number in terms.items():
        for share in dict.fromkeys(factors):
            if not number or not (is_share(g, share) or g.op[share] == "tanh"):
                continue
            fewer, _ = remove(list(factors), [share])
            whole = terms.get(tuple(fewer), Fraction(0))
            if whole == -number:
                return _sum(g, terms, factors, fewer, complement_of(g, share))
            if whole == number and g.op[share] == "tanh":
                return _sum(g, terms, factors, fewer, g.add(g.one, share))
    return None


def _may_have_share(g: Graph, node: int) -> bool:
    """Whether one of the functions is a factor of a term: asked of every sum, so it is quick."""
    ops, args, stack, left = g.op, g.args, [node], _MOST_STEPS
    while stack and left:
        n, left = stack.pop(), left - 1
        op = ops[n]
        if op in _SHARED:
            return True
        if op in _ARITHMETIC:
            stack += args[n]
    return False


def _may_have_slope(g: Graph, a: Args) -> bool:
    """Whether a slope is a factor of a term, or there are too many to say; terms are compared after that."""
    ops, args, left = g.op, g.args, _MOST_STEPS
    stack = [*a]
    while stack:
        n, left = stack.pop(), left - 1
        if not left:
            return True
        if ops[n] in _SUMS or (ops[n] == "mul" and ops[args[n][0]] == "const" and ops[args[n][1]] in _SUMS):
            stack += args[n]
        elif any(ops[f] == _SLOPE for f in all_factors(g, n)[0]):
            return True
    return False


def _terms(g: Graph, a: Args, sign: int) -> Terms | None:
    """The terms of a sum, also of sums times numbers; None if too many, or without a slope."""
    found: Terms = {}
    has_slope = False
    stack = [(Fraction(sign), a[1]), (Fraction(1), a[0])]
    while stack:
        if len(stack) + len(found) > MOST_TERMS:
            return None
        number, node = stack.pop()
        op, args = g.op[node], g.args[node]
        if op in _SUMS:
            last = number if op == "add" else -number
            stack += [(last, args[-1]), *((number, x) for x in args[:-1])]
        elif op == "mul" and (q := g.rational(args[0])) is not None and g.op[args[1]] in _SUMS:
            stack.append((number * q, args[1]))
        else:
            has_slope |= any(g.op[f] == _SLOPE for f in all_factors(g, node)[0])
            own, factors = numbers_apart(g, share_factors(g, node))
            key = tuple(sorted(factors))
            found[key] = found.get(key, Fraction(0)) + number * own
    return found if has_slope else None


def _sum(g: Graph, terms: Terms, more: Sequence[int], fewer: Sequence[int], left: int) -> int:
    """The sum, with `fewer*left` for the two terms that differ by a share."""
    number = terms[tuple(fewer)]
    product = left
    for factor in fewer:
        product = g.mul(factor, product)
    total = g.mul(g.const(number), product)
    for factors, n in terms.items():
        if n and factors not in (tuple(more), tuple(fewer)):
            term = g.one
            for factor in factors:
                term = g.mul(term, factor)
            total = g.add(total, g.mul(g.const(n), term))
    return total


_WHY = (
    "A + B - B*p, where p is a share of the whole, is A + B*(1 - p): the share of the others does not cancel"
)
_POINTS = ({"x": 40.0, "y": 0.0, "z": 1.0}, {"x": 0.5, "y": -1.0, "z": 0.25})
_WHEN = (
    "a sum of a few terms with the slope of a logistic function, two of which differ by one share, by number"
)


def _audit(written: str) -> Audit:
    return Audit(written, "A + B*(1 - p)", _WHEN, COMPLEMENT, _POINTS)


@stable("add", _WHY, _audit("-log(exp(x)/(exp(x) + exp(y) + exp(z)))"), on=_may_hold_pairs, needs=(_SLOPE,))
def sum_of_term_and_its_share(g: Graph, a: Args) -> int | None:
    return _merged(g, a, 1)


@stable("sub", _WHY, _audit("exp(x)/(exp(x) + exp(y) + exp(z))"), on=_may_hold_pairs, needs=(_SLOPE,))
def difference_of_term_and_its_share(g: Graph, a: Args) -> int | None:
    return _merged(g, a, -1)
