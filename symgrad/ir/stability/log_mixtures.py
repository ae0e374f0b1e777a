"""Logarithms of mixtures: sums of products of logistic functions, as of noisy-or, guessing and two gates.

A polynomial that has every logistic function p, and every other factor w, once at most in a product is a
decision between numbers, made one unit at a time:

    f = p*f(p = 1) + (1 - p)*f(p = 0)         1 - p1*p2 = (1 - p1) + p1*(1 - p2)
                                              g + (1 - g)*p = p + (1 - p)*g

Where all the numbers at the ends are between 0 and 1, no two terms of this cancel, and neither do those of
1 - f, whose ends are 1 less those of f. Where f is near 1, log(f) is log1p(-(1 - f)); elsewhere it is the
logarithm of the terms' sum, of logistic functions alone by their logarithms, which do not underflow.

Source: Shannon 1949, The synthesis of two-terminal switching circuits, section 2 (the decision); Higham 2002,
section 1.14 (log1p).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.log_sums import log_of_sum
from symgrad.ir.stability.patterns import quotient_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SOURCE = "Shannon 1949, section 2; Higham 2002, section 1.14"
_HALF = Fraction(1, 2)
_MOST_UNITS = 4  # all their orders are tried
_MOST_NODES = 24  # of what is under the logarithm
_MOST_MONOMIALS = 16
_OPEN = ("add", "sub", "mul", "neg")

Polynomial = dict[frozenset[int], Fraction]  # the units of a product, and the number before it
Term = tuple[Fraction, tuple[tuple[int, bool], ...]]  # a number, and which units, or what they leave of 1


# ---- what is such a polynomial -----------------------------------------------------------------


class _Units:
    """The logistic functions and other factors of a polynomial, each with what it leaves of 1."""

    def __init__(self, g: Graph) -> None:
        self.g = g
        self.pairs: list[tuple[int, int]] = []
        self.left = _MOST_NODES

    @property
    def of_logistics(self) -> bool:
        return all(self.g.op[p] == "logistic" for p, _ in self.pairs)

    def polynomial(self, node: int) -> Polynomial | None:
        """None if it is too large, or has a power of a unit."""
        g, op, args = self.g, self.g.op[node], self.g.args[node]
        self.left -= 1
        q = g.rational(node) if op == "const" else None
        if self.left < 0:
            return None
        if q is not None:
            return {frozenset(): q}
        if op not in _OPEN:
            return None if op == "where" else self._unit(node)  # what is made here it leaves alone
        parts = [self.polynomial(arg) for arg in args]
        known = [part for part in parts if part is not None]
        if len(known) < len(args):
            return None
        if op == "mul":
            return _product(*known)
        return _sum(zip((-1,) if op == "neg" else (1, -1) if op == "sub" else (1, 1), known, strict=True))

    def _unit(self, node: int) -> Polynomial | None:
        for k, (p, q) in enumerate(self.pairs):
            if node in (p, q):
                whole = {frozenset((k,)): Fraction(1)}
                return whole if node == p else _complement(whole)
        if len(self.pairs) == _MOST_UNITS:
            return None
        g = self.g
        is_logistic = g.op[node] == "logistic"
        rest = g.node("logistic", g.neg(g.args[node][0])) if is_logistic else g.sub(g.one, node)
        self.pairs.append((node, rest))
        return {frozenset((len(self.pairs) - 1,)): Fraction(1)}

    def node(self, term: Term) -> int:
        number, units = term
        factors = [self.pairs[k][not is_p] for k, is_p in units]
        return quotient_of(self.g, [self.g.const(number), *factors], [])


def _sum(parts: Iterable[tuple[int, Polynomial]]) -> Polynomial:
    total: Polynomial = {}
    for sign, part in parts:
        for units, number in part.items():
            total[units] = total.get(units, Fraction(0)) + sign * number
    return {units: number for units, number in total.items() if number}


def _product(a: Polynomial, b: Polynomial) -> Polynomial | None:
    total: Polynomial = {}
    for x, m in a.items():
        for y, n in b.items():
            if x & y or len(total) > _MOST_MONOMIALS:
                return None
            total[x | y] = total.get(x | y, Fraction(0)) + m * n
    return {units: number for units, number in total.items() if number}


def _complement(f: Polynomial) -> Polynomial:
    return _sum(((1, {frozenset(): Fraction(1)}), (-1, f)))


# ---- decisions ---------------------------------------------------------------------------------


def _units_in(f: Polynomial) -> list[int]:
    return sorted({k for units in f for k in units})


def _decide(f: Polynomial, k: int) -> tuple[Polynomial, Polynomial]:
    """f where unit k is 1, and where it is 0."""
    low = {units: number for units, number in f.items() if k not in units}
    return _sum(((1, low), (1, {units - {k}: number for units, number in f.items() if k in units}))), low


def _corner(f: Polynomial, ones: Collection[int], among: Iterable[int]) -> Polynomial:
    """f where some units are 1 or 0."""
    for k in among:
        f = _decide(f, k)[k not in ones]
    return f


def _at_corners(f: Polynomial) -> dict[frozenset[int], Fraction]:
    """Its numbers, by which units are 1."""
    units = _units_in(f)
    return {
        ones: _corner(f, ones, units).get(frozenset(), Fraction(0))
        for size in range(len(units) + 1)
        for ones in map(frozenset, combinations(units, size))
    }


def _decided(f: Polynomial, order: Sequence[int]) -> list[Term]:
    """The terms of f, its units decided in this order."""
    k = next((k for k in order if any(k in units for units in f)), None)
    if k is None:
        return [(number, ()) for number in f.values()]
    ends = zip(_decide(f, k), (True, False), strict=True)
    return [(c, ((k, is_p), *units)) for part, is_p in ends for c, units in _decided(part, order)]


def _fewest(f: Polynomial) -> list[Term]:
    """The terms of f by the order with the fewest, and the fewest factors."""
    found = (_decided(f, order) for order in permutations(_units_in(f)))
    return min(found, key=lambda terms: (len(terms), sum(len(units) for _, units in terms)))


def _factored(f: Polynomial) -> tuple[Polynomial, Polynomial] | None:
    """Two factors of f without a unit in common."""
    units = _units_in(f)
    ones, number = max(_at_corners(f).items(), key=lambda corner: abs(corner[1]))
    for size in range(1, len(units)):
        for mine in combinations(units[1:], size):
            others = [k for k in units if k not in mine]
            first, second = _corner(f, ones, mine), _corner(f, ones, others)
            second = {part: c / number for part, c in second.items()}
            if _product(first, second) == f:
                return first, second
    return None


def _built(units: _Units, f: Polynomial) -> int:
    """f, every unit once where that can be: no terms of a derivative cancel then."""
    g, found = units.g, _units_in(f)
    if not found:
        return g.const(f.get(frozenset(), Fraction(0)))
    if (factors := _factored(f)) is not None:
        return g.mul(*(_built(units, part) for part in factors))
    is_of_logistics = all(g.op[units.pairs[k][0]] == "logistic" for k in found)  # 1 - p1*p2 is mended last
    if len(found) > 1 and is_of_logistics and (factors := _factored(_complement(f))) is not None:
        return g.sub(g.one, g.mul(*(_built(units, part) for part in factors)))
    k = min(found, key=lambda k: sum(map(len, _decide(f, k))))
    terms = (g.mul(unit, _built(units, end)) for unit, end in zip(units.pairs[k], _decide(f, k), strict=True))
    return g.sum_of(terms)


# ---- logarithms --------------------------------------------------------------------------------


@stable(
    "log",
    "a mixture of logistic functions underflows, or is rounded to 1, before its logarithm",
    Audit("log(1 - (1 - 1/(1 + exp(-x)))*(1 - 1/(1 + exp(-y))))",
          "log1p(-logistic(-x)*logistic(-y)) where that is small, logaddexp(-softplus(-x), ..) elsewhere",
          "each logistic function and each other factor once in a product; between 0 and 1, which it reaches",
          _SOURCE, at_pairs((-40.0, -41.0), (-800.0, -750.0), (40.0, 1.0), (0.5, -3.0))),
    on=among(*_OPEN),
    needs=("logistic",),
)  # fmt: skip
def log_of_mixture(g: Graph, a: Args) -> int | None:
    return _log(g, a[0], is_log1p=False)


@stable(
    "log1p",
    "what a product of logistic functions leaves of 1 is rounded to 0 before its logarithm",
    Audit("log1p(-1/((1 + exp(-x))*(1 + exp(-y))))",
          "log1p(-logistic(x)*logistic(y)) where that is small, logaddexp(-softplus(x), ..) elsewhere",
          "as above", _SOURCE, at_pairs((40.0, 41.0), (800.0, 750.0), (-40.0, 1.0), (-0.5, 3.0))),
    on=among(*_OPEN),
    needs=("logistic",),
)  # fmt: skip
def log1p_of_mixture(g: Graph, a: Args) -> int | None:
    return _log(g, a[0], is_log1p=True)


def _log(g: Graph, node: int, is_log1p: bool) -> int | None:
    """log(f), f = node or 1 + node; None if f is no such mixture, or of one logistic function and numbers."""
    units = _Units(g)
    f = units.polynomial(node)
    if f is None or len(units.pairs) < 2 or not any(g.op[p] == "logistic" for p, _ in units.pairs):
        return None
    f = _sum(((1, f), (1, {frozenset(): Fraction(is_log1p)})))
    corners = set(_at_corners(f).values())
    if min(corners) < 0 or max(corners) != 1 or len(corners) == 1:
        return None
    terms = _fewest(f)
    if len(terms) == 1:
        return _log_of_term(g, units, terms[0], node)
    rest = _built(units, _complement(f))
    near = g.node("lt", g.node("abs", rest), g.const(_HALF))
    if units.of_logistics:
        far = g.node("logaddexp", *(g.node("log", units.node(term)) for term in terms))
    else:
        whole = _built(units, f)
        scores = log_of_sum(g, whole)
        far = g.node("log", g.where(near, g.one, whole)) if scores is None else scores
    made = g.where(near, g.node("log1p", g.neg(g.where(near, rest, g.zero))), far)
    return _beside_parity(g, units, f, made) if units.of_logistics else made


def _beside_parity(g: Graph, units: _Units, f: Polynomial, made: int) -> int:
    """The logarithm of f = c*(1 + d*t1*t2), t = 2*p - 1, next to t = 0, where terms of its slope cancel."""
    spins = f
    for k in range(len(units.pairs)):
        spins = _sum(
            (1, {part: number / 2 if k in units else number})
            for units, number in spins.items()
            for part in ({units, units - {k}} if k in units else {units})
        )
    pair = frozenset(range(len(units.pairs)))
    if spins.keys() != {frozenset(), pair}:
        return made
    c, d = spins[frozenset()], spins[pair]
    halves = [g.node("tanh", g.mul(g.const(_HALF), g.args[p][0])) for p, _ in units.pairs]
    rest = quotient_of(g, [g.const(d / c), *halves], [])
    is_even = g.node("lt", g.node("abs", rest), g.const(_HALF))
    even = g.add(g.node("log", g.const(c)), g.node("log1p", g.where(is_even, rest, g.zero)))
    return g.where(is_even, even, made)


def _log_of_term(g: Graph, units: _Units, term: Term, node: int) -> int | None:
    """log(c*p1*p2*(1 - w)): a sum of logarithms below 0 where w is not; the product is rounded beside 1."""
    whole = units.node(term)
    weights = [(k, is_p) for k, is_p in term[1] if g.op[units.pairs[k][0]] != "logistic"]
    if len(weights) != 1 or weights[0][1]:
        return None if whole == node else g.node("log", whole)
    w, rest = units.pairs[weights[0][0]]
    is_below = g.node("le", g.zero, w)
    logs = [g.node("log", g.const(term[0])), g.node("log", rest)]
    logs += [g.node("log", units.pairs[k][not is_p]) for k, is_p in term[1] if (k, is_p) not in weights]
    hidden = g.substitute(whole, {w: g.where(is_below, g.zero, w)})
    return g.where(is_below, g.sum_of(logs), g.node("log", hidden))
