"""Divergences next to x = y: x*log(x/y) - x + y, x/y - log(x/y) - 1, which vanish there with their slopes.

    x*log(x/y) - x + y                                   of unnormalised shares, likelihoods of counts
    x*log(x/y) + (1 - x)*log((1 - x)/(1 - y))            of shares, whose sums are equal
    log(y/x) + (x**2 + z**2)/(2*y**2) - 1/2              of normal distributions

Their terms are forms of one degree in x and y, with log(x/y): divided by powers of y they are a formula of
t = (x - y)/y alone, and that loses its digits near 0 as other formulas of one value do (`singularities`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.composites.differences import in_near_quotient
from symgrad.ir.product import Product, product_of, whole_of
from symgrad.ir.rules import Args, always
from symgrad.ir.series.laurent import formula_of
from symgrad.ir.series.removable import expansion, with_expansion
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import (
    MOST_FACTORS,
    all_factors,
    quotient_of,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_LOGARITHMS = ("log_quotient", "relative_entropy")
_MOST_DEGREE = 4
_LEAST = 2.0**-250  # share that others are divided by: its powers and theirs are in range
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
    needs=(*_LOGARITHMS, "log"),
)  # fmt: skip
def divergence(g: Graph, a: Args) -> int | None:
    terms = _with_quotients(g, [*terms_of(g, a[0]), *terms_of(g, a[1])])
    pair = next((p for _, t in terms if (p := _pair(g, t)) is not None), None)
    if pair is None or len(terms) < 3 or g.op[pair[0]] == g.op[pair[1]] == "where":  # what this makes
        return None
    terms = _multiplied_out(g, terms, *pair)
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


def _with_quotients(g: Graph, terms: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """With log(x/y) for two terms log(x) - log(y)."""
    logs = [(k, s) for k, (s, t) in enumerate(terms) if g.op[t] == "log"]
    if len(logs) != 2 or logs[0][1] == logs[1][1] or len(terms) < 4:
        return terms
    (x, y) = (g.args[terms[k][1]][0] for k, _ in sorted(logs, key=lambda log: -log[1]))
    rest = [term for k, term in enumerate(terms) if k not in (logs[0][0], logs[1][0])]
    return [(1, g.node("log_quotient", x, y)), *rest]


def _multiplied_out(g: Graph, terms: list[tuple[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    """With the terms of a sum of squares over powers of x and y one by one."""
    found: list[tuple[int, int]] = []
    for sign, term in terms:
        above, below = all_factors(g, term)
        sums = [k for k, f in enumerate(above) if g.op[f] == "add"]
        others = [f for f in (*above, *below) if g.op[f] != "const"]
        if len(sums) != 1 or len(others) < 2 or any(f not in (x, y, above[sums[0]]) for f in others):
            found.append((sign, term))
            continue
        rest = without(above, sums[0])
        inside = terms_of(g, above[sums[0]])
        found += [(s * sign, quotient_of(g, [*rest, t], below)) for s, t in inside]
    return found


@stable(
    "add",
    "the terms of a divergence of shares cancel, as these are as large together",
    Audit("x*(log(x) - log(y)) + (1 - x)*(log(1 - x) - log(1 - y))",
          "the sum of x*log(x/y) - x + y and its like, none of which is negative",
          "x and 1 - x have the same sum as y and 1 - y; any shares, where all are near; log(x/y) counts",
          _SOURCE, at_pairs((0.25, 0.26), (0.3, 0.3 + 2.0**-20), (0.5, 0.25), (1e-5, 0.5))),
    on=always,
    needs=(*_LOGARITHMS, "log", "log1p"),
)  # fmt: skip
def divergence_of_shares(g: Graph, a: Args) -> int | None:
    if not any(_holds_entropy(g, part) for part in a):
        return None
    written = [*terms_of(g, a[0]), *terms_of(g, a[1])]
    terms = _own_logs_together(g, written)
    parsed = [_entropy(g, s, t) for s, t in terms]
    entropies = [p for p in parsed if p is not None]
    if len(entropies) < 2 or not _are_alike(g, entropies):
        return None
    near, total = g.true, g.zero
    for _, x, y in entropies:
        is_large = g.node("lt", g.const(_LEAST), g.node("abs", y))
        near = g.node("and", near, g.node("and", is_large, _is_near(g, x, y)))
    for number, x, y in entropies:
        made = _of_second_order(
            g, _KULLBACK_LEIBLER, g.where(near, g.sub(x, y), g.zero), g.where(near, y, g.one)
        )
        if made is None:
            return None
        total = g.add(total, g.mul(g.const(number), made))
    rest = [term for term, p in zip(terms, parsed, strict=True) if p is None]
    apart = g.sum_of(
        g.where(near, g.zero, t if s > 0 else g.neg(t)) for s, t in written if (s, t) not in rest
    )
    return g.add(sum_of_signed(g, rest), g.where(near, total, apart))


_KULLBACK_LEIBLER = [
    Term(Fraction(n), power, 1, logs, ()) for n, power, logs in ((1, 1, 1), (-1, 1, 0), (1, 0, 0))
]


def _own_logs_together(g: Graph, terms: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """With x*log(x/y) for x*log(x) - x*log(y)."""
    found = list(terms)
    for s, t in terms:
        if g.op[t] == "xlogx":
            (x,) = g.args[t]
            other = next(
                (u for u in found if u[0] == -s and g.op[u[1]] == "xlogy" and g.args[u[1]][0] == x), None
            )
            if other is not None:
                found.remove((s, t))
                found[found.index(other)] = (s, g.node("relative_entropy", x, g.args[other[1]][1]))
    return found


def _holds_entropy(g: Graph, node: int) -> bool:
    """Seen from the node and its factors."""
    return g.op[node] == "relative_entropy" or (g.op[node] == "mul" and _entropy(g, 1, node) is not None)


def _entropy(g: Graph, sign: int, node: int) -> tuple[Fraction, int, int] | None:
    """n, x and y of n*x*log(x/y)."""
    parts = product_of(g, node, _MOST_DEGREE, sign)
    if parts is None or parts.below:
        return None
    if len(parts.above) == 1 and g.op[parts.above[0]] == "relative_entropy":
        return parts.number, *g.args[parts.above[0]]
    for x, log in (parts.above, parts.above[::-1]) if len(parts.above) == 2 else ():
        found = _quotient_in_log(g, log)
        if found is not None and sorted(terms_of(g, found[0])) == sorted(terms_of(g, x)):
            return parts.number, x, found[1]
    return None


def _quotient_in_log(g: Graph, node: int) -> tuple[int, int] | None:
    """x and y of log(x/y), and of log(x) - log(y)."""
    if g.op[node] != "sub":
        return in_near_quotient(g, node)
    inside = [g.args[log][0] if g.op[log] == "log" else g.add(g.one, g.args[log][0]) for log in g.args[node]
              if g.op[log] in ("log", "log1p")]  # fmt: skip
    return (inside[0], inside[1]) if len(inside) == 2 else None


def _are_alike(g: Graph, entropies: Sequence[tuple[Fraction, int, int]]) -> bool:
    """Whether the sum of n*(x - y) is 0, as one can see by its terms."""
    left: dict[int, Fraction] = {}
    for number, x, y in entropies:
        for sign, part in ((1, x), (-1, y)):
            for s, term in terms_of(g, part):
                parts = product_of(g, term, MOST_FACTORS, s * sign)
                if parts is None:
                    return False
                whole = whole_of(g, Product(Fraction(1), parts.above, parts.below))
                left[whole] = left.get(whole, Fraction(0)) + number * parts.number
    return not any(left.values())


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
    near = _is_near(g, x, y)
    together = _of_second_order(g, terms, g.where(near, g.sub(x, y), g.zero), g.where(near, y, g.one))
    if together is None:
        return None
    apart = _written(g, terms, g.where(near, g.one, x), g.where(near, g.one, y))
    return g.mul(_outside(g, terms[0], y), g.where(near, together, apart))


def _is_near(g: Graph, x: int, y: int) -> int:
    return g.node("lt", g.node("abs", g.sub(x, y)), g.mul(g.const(Fraction(1, 4)), g.node("abs", y)))


def _of_second_order(g: Graph, terms: list[Term], d: int, y: int) -> int | None:
    """The sum where x = y + d, by t = d/y."""
    t = g.div(d, y)
    away = _formula(g, terms, t)
    found = expansion(formula_of(g, away, t))
    made = None if found is None or found.valuation < 2 else with_expansion(g, away, t, t, found)
    return None if made is None else g.mul(_power(g, y, terms[0].degree), made)


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
