"""Variances and covariances over an axis: sums of products less products of sums.

    c*sum(x*y) - c*sum(x)*sum(y)/n   ->   c*sum((x - mean(x))*(y - mean(y)))

for any factor c: 1/n for the mean of squares less the square of the mean, 1/(n - 1), 1, or n. The form on the
left cancels where the means are large beside the deviations. Source: Chan, Golub & LeVeque 1983, "Algorithms
for computing the sample variance": two passes.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.product import powers_in
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, stable
from symgrad.ir.stability.patterns import product_of_powers

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_FACTORS = 12
_OPS = ("mul", "div", "read")  # of what is taken from another; a sum alone is a read
Powers = tuple[Fraction, dict[int, int]]  # a number, and how often each factor stands beside it


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
    number, powers = _powers(g, means)
    sums = [n for n, times in powers.items() for _ in range(times) if _is_sum(g, n)]
    if len(sums) != 2:
        return None
    factor, others = _powers(g, products)
    whole = next((n for n in others if _is_sum(g, n) and others[n] == 1), None)
    if whole is None:
        return None
    pair = [g.tensors[g.args[n][0]] for n in sums]
    both, index = g.tensors[g.args[whole][0]], g.args[whole][1:]
    if any(
        (t.red, t.out) != (both.red, both.out) or g.args[n][1:] != index
        for t, n in zip(pair, sums, strict=True)
    ):
        return None
    if both.body != g.mul(pair[0].body, pair[1].body):
        return None
    extents = _powers(g, count := _count(g, both.red))
    for n in sums:
        powers[n] -= 1
    del others[whole]
    for n, times in extents[1].items():
        powers[n] = powers.get(n, 0) + times
    if factor != number * extents[0] or others != {n: times for n, times in powers.items() if times}:
        return None
    free = sorted({axis for i in index for axis in g.axes[i]})
    out, red = ([g.fresh_axis(g.extent(axis)) for axis in axes] for axes in (free, both.red))
    moved = dict(zip(free, out, strict=True))
    at = [g.substitute(i, moved) for i in index]
    apart = [
        g.sub(
            g.substitute(t.body, dict(zip((*t.out, *t.red), (*at, *red), strict=True))),
            g.substitute(g.div(n, count), moved),
        )
        for t, n in zip(pair, sums, strict=True)
    ]
    spread = g.read(g.define("sum", out, red, g.mul(*apart)), *free)
    return g.mul(product_of_powers(g, factor, others), spread)


def _is_sum(g: Graph, node: int) -> bool:
    return g.op[node] == "read" and g.tensors[g.args[node][0]].kind == "sum"


def _powers(g: Graph, node: int) -> Powers:
    """A product as whole powers of its factors, products of sizes taken apart; of many factors: one."""
    found = powers_in(g, node, _MOST_FACTORS)
    if found is None:
        return Fraction(1), {node: 1}
    powers: dict[int, int] = {}
    for n, times in found[1].items():
        sizes = [g.cast(f) for f in g.factors(g.args[n][0])] if g.op[n] == "cast" else [n]
        for part in sizes:
            powers[part] = powers.get(part, 0) + times
    return found[0], {n: times for n, times in powers.items() if times}


def _count(g: Graph, axes: tuple[int, ...]) -> int:
    """How many values the axes take together, as a number."""
    count = g.one
    for axis in axes:
        count = g.imul(count, g.extent(axis))
    return g.cast(count)
