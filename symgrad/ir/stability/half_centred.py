"""Sums over axes of products one factor of which is centred: covariances, slopes of least squares.

    sum(p*(x - m)*y)   ->   sum(p*(x - m)*(y - sum(p*y)/sum(p)))      m = sum(p*x)/sum(p), or the mean of x

All p*(x - m) add up to 0 but for their rounding, which a y far from 0 multiplies. So any number may be taken
from y. Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance": two passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.stability.audit import AUDITS, Audit
from symgrad.ir.stability.patterns import product_of_powers
from symgrad.ir.stability.weighted_means import Powers, Weights, powers, times_power, weights_of_mean

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

NAME = "half_centred_covariance"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "Sum((v[i] - Sum(v[j], (j, 0, n - 1))/n)*v[i], (i, 0, n - 1))",
    "sum((v - mean)**2)",
    "a sum of products with one factor that is centred",
    "Chan, Golub & LeVeque 1983: two passes",
    ({"v": (1e6 + 1.0, 1e6 + 2.0, 1e6 + 4.0)}, {"v": (0.5, 1.0, -2.0)}),
)

_SUMS = ("add", "sub")
_ROOM = 2**55  # what m is taken from does not overflow if this times m does not


def with_both_centred(g: Graph, axes: Sequence[int], body: int) -> int:
    """What a sum over the axes adds up: if one of its factors is centred, with the others centred."""
    if g.op[body] not in ("mul", "div", "sub", "neg") or "sum" not in g.present:
        return body
    whole = _factored(g, body)
    for factor, times in whole[1].items():
        if times != 1 or g.op[factor] not in _SUMS:
            continue
        rest = times_power(whole, (Fraction(1), {factor: 1}), -1)
        for x, mean, over, weights in _centred(g, factor, axes):
            made = _beside(g, rest, over, weights, x, mean)
            if made is not None:
                g.fired[NAME] += 1
                return g.mul(factor, made)
    return body


def _factored(g: Graph, body: int) -> Powers:
    """The factors of a product, or of the difference of two that have some in common."""
    if g.op[body] != "sub":
        return powers(g, body)
    first, second = (powers(g, side) for side in g.args[body])
    shared = {n: times for n, times in first[1].items() if second[1].get(n) == times}
    if not shared:
        return Fraction(1), {body: 1}
    common = (Fraction(1), shared)
    rest = (product_of_powers(g, *times_power(side, common, -1)) for side in (first, second))
    return times_power(common, powers(g, g.sub(*rest)))


def _centred(
    g: Graph, difference: int, axes: Sequence[int]
) -> Iterator[tuple[int, int, Sequence[int], Weights]]:
    """(x, m, these axes, the weights) of x - m or m - x, for the mean m of x over some of the axes."""
    for x, other in (g.args[difference], g.args[difference][::-1]):
        over = g.first_occurrence(x, frozenset(axes) - g.axes[other])
        if over:
            mean = g.neg(other) if g.op[difference] == "add" else other
            for weights in weights_of_mean(g, mean, x, over):
                yield x, mean, over, weights


def _beside(g: Graph, rest: Powers, axes: Sequence[int], weights: Weights, x: int, mean: int) -> int | None:
    """The other factors, weights among them, less their mean; None if one of them is centred already."""
    if any(rest[1].get(n, 0) * times < times**2 for n, times in weights.factors[1].items()):
        return None
    number, others = times_power(rest, weights.factors, -1)
    is_centred = (found == weights for n in others if g.op[n] in _SUMS for *_, found in _centred(g, n, axes))
    inner = {n: times for n, times in others.items() if g.axes[n] & frozenset(axes)}
    if not inner or any(is_centred):
        return None
    outer = {n: times for n, times in others.items() if n not in inner}
    y, p = product_of_powers(g, Fraction(1), inner), product_of_powers(g, *weights.factors)
    shift = mean if y == x else _mean(g, y, p, axes, weights.total)
    return g.mul(product_of_powers(g, number, outer), g.mul(p, g.sub(y, shift)))


def _mean(g: Graph, y: int, p: int, axes: Sequence[int], total: int) -> int:
    """sum(p*y)/total over the axes; 0 where it would make a difference overflow, or there are no values."""
    fresh = {a: g.fresh_axis(g.extent(a)) for a in axes}
    body = g.substitute(g.mul(p, y), fresh)
    out = g.first_occurrence(body, g.axes[body] - frozenset(fresh.values()))
    mean = g.div(g.read(g.define("sum", out, tuple(fresh.values()), body), *out), total)
    has_room = g.node("lt", g.node("abs", g.mul(g.const(_ROOM), mean)), g.const(float("inf")))
    return g.where(has_room, mean, g.zero)
