"""Scores over a temperature: exponents s*u whose factor s is differentiated and the same for all of them.

    log(sum(exp(s*u))) = s*m + log(sum(exp(s*(u - m))))      for any number m

With m the u of the largest exponent, a constant for derivatives, those by s are sums over u - m, which is 0
for the largest exponent: means and variances of what is left, in which an offset of all u takes no digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, stable
from symgrad.ir.stability.patterns import (
    all_factors,
    factors_of,
    quotient_of,
    remove,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Factors = tuple[list[int], list[int]]  # above and below
Terms = list[tuple[int, int]]  # with their signs
_SHIFTED = "Chan, Golub & LeVeque 1983, section 2"
_POINTS = ({"v": (0.004, 1000.01, 1000.0)}, {"v": (0.004, 1.0, 0.96)}, {"v": (0.5, 1.0, -2.0)})


def anchored(g: Graph, exponent: int, out: Sequence[int], red: Sequence[int]) -> tuple[int, int]:
    """(s*(u - m), s*m) for an exponent s*u over the axes `red`; (the exponent, 0) where s is but a number."""
    above, below = all_factors(g, exponent)
    outside = [f for f in above if g.axes[f].isdisjoint(red)], [f for f in below if g.axes[f].isdisjoint(red)]
    inside = [f for f in above if f not in outside[0]], [f for f in below if f not in outside[1]]
    if not inside[0] or all(_is_number(g, f) for f in (*outside[0], *outside[1])):
        return exponent, g.zero
    u, s, axes = quotient_of(g, *inside), quotient_of(g, *outside), (*out, *red)
    if g.op[u] != "read":
        u = g.read(g.define("map", axes, (), u), *axes)  # rounded once, as m is
    highest, lowest = (g.read(g.define(kind, out, red, u), *out) for kind in ("max", "min"))
    anchor = g.node("anchor", g.read(g.define("map", out, (), _top(g, s, highest, lowest)), *out))
    return _times(g, outside, g.sub(u, anchor)), _times(g, outside, anchor)


def anchored_few(g: Graph, exponents: Sequence[int]) -> tuple[list[int], int]:
    """The same for a few exponents that are written out."""
    factors = [all_factors(g, x) for x in exponents]
    above, below = (_common([parts[side] for parts in factors]) for side in (0, 1))
    if all(_is_number(g, f) for f in (*above, *below)):
        return list(exponents), g.zero
    us = [quotient_of(g, remove(over, above)[0], remove(under, below)[0]) for over, under in factors]
    highest = lowest = us[0]
    for u in us[1:]:
        highest, lowest = g.node("maximum", highest, u), g.node("minimum", lowest, u)
    anchor = g.node("anchor", _top(g, quotient_of(g, above, below), highest, lowest))
    # Signs stay outside, as they are where one of the exponents is found again.
    outside = [f for f in above if f != g.minus_one], below
    parts = [_times(g, outside, part) for part in (*(g.sub(u, anchor) for u in us), anchor)]
    if above.count(g.minus_one) % 2:
        parts = [g.neg(part) for part in parts]
    return parts[:-1], parts[-1]


def _common(factors: Sequence[list[int]]) -> list[int]:
    """The factors that all have."""
    shared = factors[0]
    for others in factors[1:]:
        shared = remove(shared, remove(shared, others)[0])[0]
    return shared


def _top(g: Graph, s: int, highest: int, lowest: int) -> int:
    """The u of the largest s*u, 0 where that is not finite."""
    top = g.where(g.node("lt", s, g.zero), lowest, highest)
    is_finite = g.node("lt", g.node("abs", top), g.const(float("inf")))
    return g.where(is_finite, top, g.zero)


def without_masked(g: Graph, product: int) -> dict[int, int]:
    """{u - m: the same, 0 where the exponent is -inf} for a product s*(u - m) that is differentiated by s.

    A score of -inf has no share, but 0*(u - m) would be nan. Where the largest exponent is finite, all
    infinite ones are such.
    """
    d = next((f for f in all_factors(g, product)[0] if _anchor_in(g, f) is not None), None)
    anchor = None if d is None else _anchor_in(g, d)
    if d is None or anchor is None:
        return {}
    is_finite, _, _ = g.args[_chosen(g, anchor)]
    return {d: g.where(is_finite, g.node("finite_part", d), d)}


def with_masked_scores(g: Graph, x: int) -> int:
    """x with u - m for what `without_masked` made of it."""
    if "finite_part" not in g.present:
        return x
    made = (n for n in g.reachable((x,)) if g.op[n] == "where" and g.op[g.args[n][1]] == "finite_part")
    return g.substitute(x, {n: g.args[n][2] for n in made})


def _anchor_in(g: Graph, factor: int) -> int | None:
    """m of u - m and m - u."""
    parts = g.args[factor] if g.op[factor] == "sub" else ()
    return next((m for m in parts if g.op[m] == "anchor"), None)


def _chosen(g: Graph, anchor: int) -> int:
    """The choice between the u of the largest exponent and 0 that an anchor is."""
    (chosen,) = g.args[anchor]
    if g.op[chosen] != "read":
        return int(chosen)
    t, *index = g.args[chosen]
    return g.substitute(g.tensors[t].body, dict(zip(g.tensors[t].out, index, strict=True)))


def is_anchored(g: Graph, exponent: int) -> bool:
    """Whether an exponent is s*(u - m) as above, so that the largest one is 0."""
    return _anchored_parts(g, exponent) is not None


def _anchored_parts(g: Graph, exponent: int) -> tuple[int, Factors] | None:
    """(m, s) of s*(u - m); m - u counts."""
    above, below = all_factors(g, exponent)
    for k, f in enumerate(above):
        for place, signs in ((1, []), (0, [g.minus_one])) if g.op[f] == "sub" else ():
            m = g.args[f][place]
            if g.op[m] == "anchor":
                return m, ([*without(above, k), *signs], below)
    return None


def largest_anchored(g: Graph, exponent: int) -> int:
    """The largest of exponents s*(u - m) over an axis: 0, or infinity where the largest s*u is."""
    parts = _anchored_parts(g, exponent)
    if parts is None:
        return g.zero
    anchor, (above, below) = parts
    _, top, _ = g.args[_chosen(g, anchor)]
    infinity = g.const(float("inf"))
    is_negative = g.node("lt", quotient_of(g, above, below), g.zero)
    end = g.where(is_negative, g.neg(infinity), infinity)  # once for all places, where s*top is one for each
    return g.where(g.node("eq", top, end), infinity, g.zero)


def _times(g: Graph, s: Factors, u: int) -> int:
    return quotient_of(g, [*s[0], u], s[1])


def _is_number(g: Graph, node: int) -> bool:
    """Made of constants and sizes only."""
    return all(
        g.op[n] in ("const", "cast", "size", "sqrt", "mul", "div", "neg") for n in g.reachable((node,))
    )


def _anchor_of(g: Graph, term: int) -> tuple[int, Factors] | None:
    """(m, s) if a term is s*m."""
    above, below = all_factors(g, term)
    place = next((k for k, f in enumerate(above) if g.op[f] == "anchor"), None)
    return None if place is None else (above[place], (without(above, place), below))


def _terms_with_anchor(g: Graph, total: int) -> Terms:
    """The terms of a sum that holds an anchor; none otherwise."""
    terms = terms_of(g, total) if g.op[total] in ("add", "sub") else []
    return terms if any(_anchor_of(g, term) is not None for _, term in terms) else []


@stable(
    "sub",
    "s*u - (s*m + log(sum(exp(s*(u - m))))) is s*(u - m) less the logarithm",
    Audit(
        "log(exp(v[1]/v[0])/Sum(exp(v[i]/v[0]), (i, 0, n - 1)))",
        "(v[1] - m)/v[0] - logsumexp((v - m)/v[0]), m that of the largest exponent",
        "exponents with a common factor that is no number", _SHIFTED,
        _POINTS,
    ),
    on=among("add", "sub"),
    needs=("anchor",),
)  # fmt: skip
def exponent_less_anchored_total(g: Graph, a: Args) -> int | None:
    for total, other, sign in ((a[1], a[0], 1), (a[0], a[1], -1)):
        made = _less_total(g, terms_of(g, other), _terms_with_anchor(g, total))
        if made is not None:
            return made if sign > 0 else g.neg(made)
    return None


@stable(
    "add",
    "log(sum(exp(-s*u))) + s*u with an anchor m is log(sum(exp(-s*(u - m)))) + s*(u - m)",
    Audit(
        "log(Sum(exp(-v[i]/v[0]), (i, 0, n - 1))) + v[1]/v[0]",
        "logsumexp((m - v)/v[0]) + (v[1] - m)/v[0], m that of the largest exponent",
        "exponents with a common factor that is no number, and the opposite of one", _SHIFTED,
        ({"v": (0.004, -1000.01, -1000.0)}, {"v": (0.004, -1.0, -0.96)}, {"v": (0.5, 1.0, -2.0)}),
    ),
    on=among("add", "sub"),
    needs=("anchor",),
)  # fmt: skip
def anchored_total_and_opposite_exponent(g: Graph, a: Args) -> int | None:
    for total, other in (a, a[::-1]):
        terms = _terms_with_anchor(g, total)
        made = _less_total(g, [(-s, t) for s, t in terms_of(g, other)], terms) if terms else None
        if made is not None:
            return g.neg(made)
    return None


def _less_total(g: Graph, others: Terms, terms: Terms) -> int | None:
    """The sum of `others` less that of `terms`, if one term is s*m and one of the others s*u.

    A term that is also taken away goes first: with an anchor among them the rule would make it again.
    """
    net, away = remove([t for s, t in terms if s > 0], [t for s, t in terms if s < 0])
    if len(net) + len(away) < len(terms):
        kept, rest = remove(others, [*((1, t) for t in net), *((-1, t) for t in away)])
        return sum_of_signed(g, [*kept, *((-s, t) for s, t in rest)])
    for place, (sign, term) in enumerate(terms):
        found = _anchor_of(g, term)
        for k, (other_sign, other) in enumerate(others):
            moved = _moved(g, other, *found) if found is not None and other_sign == sign else None
            if moved is not None:
                left, rest = remove(others[:k] + others[k + 1 :], terms[:place] + terms[place + 1 :])
                return sum_of_signed(g, [(sign, moved), *left, *((-s, t) for s, t in rest)])
    return None


def _moved(g: Graph, part: int, anchor: int, s: Factors) -> int | None:
    """s*(u - m) if a term is s*u; an anchor alone is the end of it: any term is 1*u."""
    if not any(s):
        return None
    above, below = all_factors(g, part)
    u, missing = remove(above, s[0])
    u_below, missing_below = remove(below, s[1])
    if missing or missing_below or anchor in u:
        return None
    return _times(g, s, g.sub(quotient_of(g, u, u_below), anchor))


@stable(
    "mul",
    "t*(m/t + y), for an anchor m, is m + t*y: the derivative by t has no m",
    Audit(
        "v[0]*log(Sum(exp(v[i]/v[0]), (i, 0, n - 1)))", "m + v[0]*logsumexp((v - m)/v[0])",
        "a factor that the anchor is divided by", _SHIFTED,
        _POINTS,
    ),
    on=among("add", "sub"),
    needs=("anchor",),
)  # fmt: skip
def product_with_anchored_total(g: Graph, a: Args) -> int | None:
    for total, factor in (a, a[::-1]):
        terms = _terms_with_anchor(g, total)
        own = factors_of(g, factor) if terms else []
        for sign, term in terms:
            found = _anchor_of(g, term)
            if found is None or not any(f in own for f in found[1][1]):
                continue
            anchor, (above, below) = found
            left, kept = remove(below, own)
            at_anchor = quotient_of(g, [*kept, *above, anchor], left)
            rest = sum_of_signed(g, [t for t in terms if t != (sign, term)])
            product = g.mul(factor, rest)
            return g.add(product, at_anchor) if sign > 0 else g.sub(product, at_anchor)
    return None
