"""Divergences next to x = y: x*log(x/y) - x + y, x/y - log(x/y) - 1, which vanish there with their slopes.

Their terms are forms of one degree in x and y, with log(x/y): divided by powers of y they are a formula of
t = (x - y)/y alone, and that loses its digits near 0 as other formulas of one value do (`singularities`).
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.rules import Args, always
from symgrad.ir.series.laurent import formula_of
from symgrad.ir.series.removable import expansion, removable
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import all_factors, sum_of_signed, terms_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_LOGARITHMS = ("log_quotient", "relative_entropy")
_MOST_DEGREE = 4
_SOURCE = "Kullback & Leibler 1951; Itakura & Saito 1968; Higham 2002, section 1.14"


class Term(NamedTuple):
    """number * x^power * y^(degree - power) * log(x/y)^logs, times other factors."""

    number: Fraction
    power: int
    degree: int
    logs: int
    others: tuple[tuple[int, int], ...]


@stable(
    "add",
    "x*log(x/y) - x + y is of second order in x - y, its terms are not",
    Audit("x*log(x/y) - x + y", "y*removable(t, radius, series, (1 + t)*log1p(t) - t), t = (x - y)/y",
          "forms of one degree in x and y, with log(x/y) in one", _SOURCE,
          at_pairs((1.0, 1.25), (1.0, 1 + 2.0**-20), (3.0, 2.0), (1e-5, 1.0))),
    on=always,
    needs=_LOGARITHMS,
)  # fmt: skip
def divergence(g: Graph, a: Args) -> int | None:
    terms = [*terms_of(g, a[0]), *terms_of(g, a[1])]
    pair = next((p for _, t in terms if (p := _pair(g, t)) is not None), None)
    if pair is None or len(terms) < 3 or g.op[pair[0]] == g.op[pair[1]] == "where":  # what this makes
        return None
    parsed = [_term(g, s, t, *pair) for s, t in terms]
    with_log = next((p for p in parsed if p is not None and p.logs), None)
    if with_log is None:
        return None
    kind = (with_log.degree, with_log.others)
    mine = [p for p in parsed if p is not None and (p.degree, p.others) == kind]
    made = _around_tie(g, mine, *pair) if len(mine) > 2 else None
    if made is None:
        return None
    rest = [t for t, p in zip(terms, parsed, strict=True) if p is None or (p.degree, p.others) != kind]
    return g.add(sum_of_signed(g, rest), made)


def _pair(g: Graph, node: int) -> tuple[int, int] | None:
    """x and y of a term with log(x/y)."""
    above, _ = all_factors(g, node)
    found = next((g.args[f] for f in above if g.op[f] in _LOGARITHMS), None)
    return None if found is None else (found[0], found[1])


def _term(g: Graph, sign: int, node: int, x: int, y: int) -> Term | None:
    above, below = all_factors(g, node)
    number, logs, powers = Fraction(sign), 0, Counter[int]()
    todo = [(f, 1) for f in above] + [(f, -1) for f in below]
    for factor, times in todo:
        q = g.rational(factor)
        if q is not None:
            if not q:
                return None
            number *= q**times
        elif g.op[factor] in _LOGARITHMS and set(g.args[factor]) == {x, y} and times > 0:
            first, second = g.args[factor]
            logs, number = logs + 1, number * (1 if (first, second) == (x, y) else -1)
            if g.op[factor] == "relative_entropy":
                powers[first] += 1
        else:
            powers[factor] += times
    power, degree = powers[x], powers[x] + powers[y]
    others = tuple(sorted((f, n) for f, n in powers.items() if n and f not in (x, y)))
    is_small = max(abs(power), abs(degree - power)) <= _MOST_DEGREE and logs <= 2
    return Term(number, power, degree, logs, others) if is_small else None


def _around_tie(g: Graph, terms: list[Term], x: int, y: int) -> int | None:
    """The sum by t = (x - y)/y where that is small, if it is of second order in t."""
    near = g.node("lt", g.node("abs", g.sub(x, y)), g.mul(g.const(Fraction(1, 4)), g.node("abs", y)))
    t = g.div(g.where(near, g.sub(x, y), g.zero), g.where(near, y, g.one))
    away = _formula(g, terms, t)
    found = expansion(formula_of(g, away, t))
    made = None if found is None or found.valuation < 2 else removable(g, away, t, found)
    if made is None:
        return None
    together = g.mul(_power(g, y, terms[0].degree), made)
    apart = _written(g, terms, g.where(near, g.one, x), g.where(near, g.one, y))
    return g.mul(_outside(g, terms[0], y), g.where(near, together, apart))


def _formula(g: Graph, terms: list[Term], t: int) -> int:
    """The sum over y^degree: with r = 1 + t for x/y. Interned: rules would take it apart."""
    r, log = g.add(g.one, t), g.intern("log1p", (t,))
    total = g.zero
    for term in sorted(terms, key=lambda term: term.number < 0):
        factors = [*[r] * term.power, *[log] * term.logs]
        value = factors[0] if factors else g.one
        for factor in factors[1:]:
            value = g.intern("mul", g.ordered(value, factor))
        for _ in range(-term.power):
            value = g.intern("div", (value, r))
        value = g.mul(g.const(abs(term.number)), value)
        if total == g.zero:
            total = value if term.number > 0 else g.neg(value)
        elif term.number > 0:
            total = g.intern("add", g.ordered(total, value))
        else:
            total = g.intern("sub", (total, value))
    return total


def _written(g: Graph, terms: list[Term], x: int, y: int) -> int:
    """As it was written, but for the order."""
    total = g.zero
    for term in terms:
        value = g.mul(_power(g, x, term.power), _power(g, y, term.degree - term.power))
        for _ in range(term.logs):
            value = g.mul(value, g.node("log_quotient", x, y))
        total = g.add(total, g.mul(g.const(term.number), value))
    return total


def _outside(g: Graph, term: Term, y: int) -> int:
    value = g.one
    for factor, times in term.others:
        value = g.mul(value, _power(g, factor, times))
    return value


def _power(g: Graph, x: int, n: int) -> int:
    power = g.one
    for _ in range(abs(n)):
        power = g.mul(power, x)
    return power if n >= 0 else g.div(g.one, power)
