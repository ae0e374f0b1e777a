"""Variances and covariances over an axis: sums of products less products of sums.

    c*sum(p*x*y) - c*sum(p*x)*sum(p*y)/sum(p)   ->   c*sum(p*(x - mean(x))*(y - mean(y)))

for any factor c: 1/n for the mean of squares less the square of the mean, 1/(n - 1), 1, or n. With
weights p, or without, where sum(p) is n. The form on the left cancels where the means are large beside the
deviations. Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance": two passes.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, stable
from symgrad.ir.stability.patterns import product_of_powers
from symgrad.ir.stability.weighted_means import Powers, is_sum, powers, summand, times_power, weights_in

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_OPS = ("mul", "div", "read")  # of what is taken from another; a sum alone is a read


@stable(
    "sub",
    "the mean of squares minus the square of the mean cancels where the mean is large",
    Audit(
        "Sum(v[i]**2, (i, 0, n - 1))/n - (Sum(v[i], (i, 0, n - 1))/n)**2", "sum((v - mean)**2)/n",
        "a sum of products less the product of the sums over the number of values, both times anything",
        "Chan, Golub & LeVeque 1983: two passes",
        ({"v": (1e6 + 1.0, 1e6 + 2.0, 1e6 + 4.0)}, {"v": (0.5, 1.0, -2.0)}),
    ),
    on=among("mul", "div"),
    needs=("sum",),
)  # fmt: skip
def variance_in_two_passes(g: Graph, a: Args) -> int | None:
    for whole, (minuend, subtrahend) in ((1, a), (-1, a[::-1])):
        if g.op[minuend] in _OPS and g.op[subtrahend] in _OPS:
            found = _covariance(g, minuend, subtrahend)
            if found is not None:
                return found if whole > 0 else g.neg(found)
    return None


def _covariance(g: Graph, products: int, means: int) -> int | None:
    """The difference of the two, if it is a multiple of a covariance."""
    subtrahend = powers(g, means)
    sums = [n for n, times in subtrahend[1].items() for _ in range(times) if is_sum(g, n)]
    if len(sums) != 2:
        return None
    minuend = powers(g, products)
    whole = next((n for n, times in minuend[1].items() if times == 1 and is_sum(g, n)), None)
    if whole is None:
        return None
    red = [g.fresh_axis(g.extent(axis)) for axis in g.tensors[g.args[whole][0]].red]
    both, *found = (summand(g, n, red) for n in (whole, *sums))
    pair = [part for part in found if part is not None]
    if both is None or len(pair) < 2:
        return None
    factor, left = (_over(x, *y) for x, y in ((minuend, (whole,)), (subtrahend, sums)))
    for weights in weights_in(g, subtrahend, red):
        if times_power(both, weights.factors) == times_power(pair[0], pair[1]) and factor == times_power(
            left, powers(g, weights.total)
        ):
            xs = [times_power(part, weights.factors, -1) for part in pair]
            body = product_of_powers(g, *weights.factors)
            for x, n in zip(xs, sums, strict=True):
                body = g.mul(body, g.sub(product_of_powers(g, *x), g.div(n, weights.total)))
            out = sorted(g.axes[body] - frozenset(red))
            return g.mul(product_of_powers(g, *factor), g.read(g.define("sum", out, red, body), *out))
    return None


def _over(whole: Powers, *nodes: int) -> Powers:
    for n in nodes:
        whole = times_power(whole, (Fraction(1), {n: 1}), -1)
    return whole
