"""Means over axes, under weights or none, as the rules about variances and covariances find them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.product import powers_in
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_FACTORS = 12
Powers = tuple[Fraction, dict[int, int]]  # a number, and how often each factor stands beside it
ONE: Powers = (Fraction(1), {})


@dataclass(frozen=True)
class Weights:
    """Factors of what is summed up, and their own sum: 1 and the number of values where there are none."""

    factors: Powers
    total: int


def powers(g: Graph, node: int) -> Powers:
    """A product as whole powers of its factors, products of sizes taken apart; of many factors: one."""
    found = powers_in(g, node, _MOST_FACTORS)
    if found is None:
        return Fraction(1), {node: 1}
    total: Powers = (found[0], {})
    for n, times in found[1].items():
        sizes = [g.cast(f) for f in g.factors(g.args[n][0])] if g.op[n] == "cast" else [n]
        for part in sizes:
            total = times_power(total, (Fraction(1), {part: 1}), times)
    return total


def times_power(x: Powers, y: Powers, exponent: int = 1) -> Powers:
    """x * y**exponent."""
    found = dict(x[1])
    for n, times in y[1].items():
        found[n] = found.get(n, 0) + exponent * times
    return x[0] * y[0] ** exponent, {n: times for n, times in found.items() if times}


def is_sum(g: Graph, node: int) -> bool:
    """Whether this is an element of a sum over axes."""
    return g.op[node] == "read" and g.tensors[g.args[node][0]].kind == "sum"


def summand(g: Graph, read: int, axes: Sequence[int]) -> Powers | None:
    """What a sum adds up, over these axes; None if it is over others."""
    tensor, index = g.tensors[g.args[read][0]], g.args[read][1:]
    if [g.extent(a) for a in tensor.red] != [g.extent(a) for a in axes]:
        return None
    at = dict(zip((*tensor.out, *tensor.red), (*index, *axes), strict=True))
    return powers(g, g.substitute(tensor.body, at))


def count(g: Graph, axes: Sequence[int]) -> int:
    """How many values the axes take together, as a number."""
    found = g.one
    for axis in axes:
        found = g.imul(found, g.extent(axis))
    return g.cast(found)


def weights_in(g: Graph, found: Powers, axes: Sequence[int]) -> Iterator[Weights]:
    """The weights under which a product may be a mean over the axes, or a product of means; none first."""
    yield Weights(ONE, count(g, axes))
    for n, times in found[1].items():
        if times < 0 and is_sum(g, n):
            factors = summand(g, n, axes)
            if factors is not None:
                yield Weights(factors, n)


def weights_of_mean(g: Graph, mean: int, x: int, axes: Sequence[int]) -> Iterator[Weights]:
    """The weights under which one number is the mean of another over the axes."""
    found, value = powers(g, mean), powers(g, x)
    for n in [n for n, times in found[1].items() if times == 1 and is_sum(g, n)]:
        added = summand(g, n, axes)
        if added is None:
            continue
        whole = times_power(times_power(found, (Fraction(1), {n: 1}), -1), added)
        for weights in weights_in(g, found, axes):
            if times_power(whole, powers(g, weights.total)) == times_power(weights.factors, value):
                yield weights
