"""Sums over an axis of products with a centring matrix: I - 11'/n, or diag(p) - pp'/sum(p) under weights.

    sum(([i = k]*c - c*p[k]/sum(p))*x[k] over k)   ->   c*(x[i] - sum(p*x)/sum(p))

so that its row of n numbers is not added up, and what is centred is seen: beside another factor that is not
(`half_centred`), and by derivatives. Without weights what is added up is x/n, which does not overflow.

Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance": two passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.stability.audit import AUDITS, Audit
from symgrad.ir.stability.patterns import product_of_powers
from symgrad.ir.stability.weighted_means import ONE, Powers, Weights, powers, times_power, weights_in
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

NAME = "centring_matrix"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "Trace(A.T*(Identity(n) - OneMatrix(n, n)/n)*A)",
    "sum((A - column means)**2)",
    "a sum over rows or columns of I - 11'/n times anything, or of diag(p) - pp'/sum(p)",
    "Chan, Golub & LeVeque 1983: two passes",
    (
        {"A": ((1e6 + 1.0, 1e6, 2.0), (1e6 + 2.5, 1e6 - 2.0, 3.0), (1e6, 1e6 + 1.5, -1.0))},
        {"A": ((2.0, 1.0, 0.5), (1.0, 3.0, -1.0), (0.25, -2.0, 1.0))},
    ),
)


@dataclass(frozen=True)
class _Centring:
    """The factor ([axis = other] - p/sum(p))*scale of a sum over `axis`."""

    axis: int
    other: int
    scale: int
    weights: Weights


def with_centring(g: Graph, axes: Sequence[int], body: int) -> tuple[Sequence[int], int]:
    """The axes of a sum and what it adds up, without the centring matrices among the factors of that."""
    while g.op[body] in ("mul", "div"):
        whole = powers(g, body)
        found = _found(g, axes, whole)
        if found is None:
            break
        factor, centring = found
        rest = times_power(whole, (Fraction(1), {factor: 1}), -1)[1]
        inner = {n: times for n, times in rest.items() if centring.axis in g.axes[n]}
        outer = {n: times for n, times in rest.items() if n not in inner}
        x = product_of_powers(g, Fraction(1), inner)
        there = g.substitute(x, {centring.axis: centring.other})
        apart = there if _is_centred(g, x, centring) else g.sub(there, _mean(g, x, centring))
        body = g.mul(product_of_powers(g, whole[0], outer), g.mul(centring.scale, apart))
        axes = [a for a in axes if a != centring.axis]
        g.fired[NAME] += 1
    return axes, body


def _found(g: Graph, axes: Sequence[int], whole: Powers) -> tuple[int, _Centring] | None:
    for factor, times in whole[1].items():
        if times == 1 and g.op[factor] in ("add", "sub"):
            centring = _centring(g, axes, factor)
            if centring is not None:
                return factor, centring
    return None


def _centring(g: Graph, axes: Sequence[int], factor: int) -> _Centring | None:
    """The factor as a centring matrix, if it is one over one of the axes."""
    for mask, rest in (g.args[factor], g.args[factor][::-1]):
        pair = _diagonal(g, mask)
        if pair is None:
            continue
        scale = g.args[mask][1]
        if g.op[factor] == "sub":
            scale, rest = (scale, g.neg(rest)) if mask == g.args[factor][0] else (g.neg(scale), rest)
        for axis, other in (pair, pair[::-1]):
            if axis in axes:
                own = g.substitute(scale, {axis: other})
                beside = times_power(powers(g, rest), (Fraction(-1), {}))
                for weights in weights_in(g, beside, (axis,)):
                    total = times_power(beside, powers(g, weights.total))
                    if total == times_power(powers(g, own), weights.factors):
                        return _Centring(axis, other, own, weights)
    return None


def _diagonal(g: Graph, mask: int) -> tuple[int, int] | None:
    """The two axes of one length that a mask says are equal."""
    if g.op[mask] != "mask" or g.op[g.args[mask][0]] != "ieq":
        return None
    constant, terms = g.linear(g.args[g.args[mask][0]][0])
    if constant or sorted(terms.values()) != [-1, 1] or any(g.op[a] != "axis" for a in terms):
        return None
    first, second = sorted(terms)
    return (first, second) if g.extent(first) == g.extent(second) else None


def _is_centred(g: Graph, x: int, centring: _Centring) -> bool:
    """Whether this is a centring matrix itself, of the columns of which the mean is 0."""
    if centring.weights.factors != ONE or g.op[x] not in ("add", "sub"):
        return False
    own = _centring(g, (centring.axis,), x)
    return own is not None and own.weights == centring.weights and not g.axes[own.scale]


def _mean(g: Graph, x: int, centring: _Centring) -> int:
    """The mean of x over the axis."""
    axis, weights = g.fresh_axis(g.extent(centring.axis)), centring.weights
    p = product_of_powers(g, *weights.factors)
    has_weights = weights.factors != ONE
    body = g.substitute(g.mul(p, x) if has_weights else g.div(x, weights.total), {centring.axis: axis})
    out = g.first_occurrence(body, g.axes[body] - {axis})
    total = g.read(g.define("sum", out, (axis,), body), *out)
    return g.div(total, weights.total) if has_weights else total
