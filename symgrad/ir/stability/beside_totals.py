"""The terms of a sum beside the logarithm of a sum of exponentials, and which of them are a part of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.stability.anchors import is_anchored
from symgrad.ir.stability.patterns import powers_of, quotient_of, terms_of
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Terms = list[tuple[int, int]]  # with their signs
Key = frozenset[tuple[int, int]]  # the powers in a product without its number
_NUMBER: Key = frozenset()


@dataclass(frozen=True)
class Total:
    """sign*times*L, the term at a place of a sum, for a logarithm L; times is above/below."""

    place: int
    sign: int
    node: int
    above: list[int]
    below: list[int]

    def times(self, g: Graph, value: int) -> tuple[int, int]:
        """The same with another value for the logarithm."""
        return self.sign, quotient_of(g, [*self.above, value], self.below)


def _inside(g: Graph, node: int) -> Sequence[int]:
    """What a logarithm is of: its arguments, or the body of its sum."""
    return (g.tensors[g.args[node][0]].body,) if g.op[node] == "read" else g.args[node]


class Others:
    """The terms of a sum beside a logarithm, as numbers before products of powers."""

    def __init__(self, g: Graph, total: Total, terms: Terms) -> None:
        self.g, self.total, self.terms = g, total, terms
        # Scores less their anchor stay whole: of sums with the anchor there is nothing left to be gained.
        self.opens = not any(is_anchored(g, score) for score in _inside(g, total.node))
        self.parts = {k: self._monomials([t], [], s) for k, (s, t) in enumerate(terms) if k != total.place}
        self.numbers = _added(part for parts in self.parts.values() for part in parts)

    def places_of(self, amount: Terms) -> list[int]:
        """Where the terms are that are -times*amount; none if not all of them are there."""
        wanted = self._wanted(amount)
        if not any(wanted):
            return []
        for key, number in wanted.items():
            # Of a number a part may be taken.
            if key not in self.numbers or (key and self.numbers[key] != number):
                return []
        found = [(k, [key in wanted for _, key in parts]) for k, parts in self.parts.items()]
        return [] if any(any(has) != all(has) for _, has in found) else [k for k, has in found if any(has)]

    def _wanted(self, amount: Terms) -> dict[Key, Fraction]:
        total = self.total
        parts = (self._monomials([*total.above, t], total.below, -s * total.sign) for s, t in amount)
        return _added(part for of in parts for part in of)

    def _monomials(self, above: Sequence[int], below: Sequence[int], sign: int) -> list[tuple[Fraction, Key]]:
        if self.opens:
            return _monomials(self.g, above, below, sign)
        number, key = monomial(self.g, above, below)
        return [(sign * number, key)]

    def part_of(self, amount: Terms) -> tuple[Fraction, list[int]] | None:
        """(q, where) if one term is -q*times*amount for a number 0 < q < 1, as for smooth labels."""
        wanted = self._wanted(amount)
        places = [k for k, parts in self.parts.items() if any(key in wanted for _, key in parts)]
        if len(wanted) != 1 or len(places) != 1 or len(self.parts[places[0]]) != 1:
            return None
        ((key, number),) = wanted.items()
        ratio = self.numbers.get(key, Fraction(0)) / number
        return (ratio, places) if key and 0 < ratio < 1 else None

    def less(self, amount: Terms, places: Sequence[int]) -> Terms:
        """The other terms with times*amount added, which is there at these places."""
        left = [self.terms[k] for k in self.parts if k not in places]
        number = self._wanted(amount).get(_NUMBER)
        if number is not None and self.numbers[_NUMBER] != number:
            left.append((1, self.g.const(self.numbers[_NUMBER] - number)))
        return left


def _monomials(g: Graph, above: Sequence[int], below: Sequence[int], sign: int) -> list[tuple[Fraction, Key]]:
    """Numbers and the powers beside them: those of the terms of a sum that is a factor."""
    number, powers = monomial(g, above, below)
    total = next((x for x, e in powers if e == 1 and g.op[x] in ("add", "sub")), None)
    if total is None:
        return [(sign * number, powers)]
    found = []
    for s, term in terms_of(g, total):
        own, more = powers_of(g, [term]) or (Fraction(1), {term: 1})
        together = {**dict(powers), total: 0}
        for x, e in more.items():
            together[x] = together.get(x, 0) + e
        found.append((sign * s * number * own, frozenset((x, e) for x, e in together.items() if e)))
    return found


def monomial(g: Graph, above: Sequence[int], below: Sequence[int] = ()) -> tuple[Fraction, Key]:
    """A number and the powers beside it; a product of many factors is one of them."""
    over, under = powers_of(g, above), powers_of(g, below)
    if over is None or under is None:
        return Fraction(1), frozenset({(quotient_of(g, list(above), list(below)), 1)})
    powers = dict(over[1])
    for x, e in under[1].items():
        powers[x] = powers.get(x, 0) - e
    return over[0] / under[0], frozenset((x, e) for x, e in powers.items() if e)


def _added(parts: Iterable[tuple[Fraction, Key]]) -> dict[Key, Fraction]:
    found = dict[Key, Fraction]()
    for number, key in parts:
        found[key] = found.get(key, Fraction(0)) + number
    return {key: number for key, number in found.items() if number}
