"""Numbers less their mean: their sum is 0.

    sum over i of (x[i] - sum(x)/n)   is   0   for n numbers x[i]

What rounding leaves of it is a digit of nothing. The derivative of a variance by its mean is such a sum.
"""

from __future__ import annotations

from fractions import Fraction

from symgrad.ir.graph import Graph, Node
from symgrad.ir.product import product_of

_MOST_FACTORS = 6  # of a mean: a sum, and the extents it is divided by


def are_less_their_mean(g: Graph, axes: frozenset[Node], body: Node) -> bool:
    """Whether `body` is a number less the mean of these numbers over `axes`, or that mean less the number."""
    if g.op[body] != "sub":
        return False
    x, mean = g.args[body]
    return _is_mean(g, axes, x, mean) or _is_mean(g, axes, mean, x)


def _is_mean(g: Graph, axes: frozenset[Node], x: Node, mean: Node) -> bool:
    """Whether `mean` is the sum of `x` over these axes, divided by how many there are."""
    if g.axes[mean] & axes or g.op[mean] not in ("mul", "div"):
        return False
    product = product_of(g, mean, _MOST_FACTORS)
    if product is None or len(product.above) != 1:
        return False
    number, sizes = Fraction(1), list[Node]()
    for a in axes:
        size = g.cast(g.extent(a))
        q = g.rational(size)
        number, sizes = (number / q, sizes) if q else (number, [*sizes, size])
    is_count = product.number == number and sorted(product.below) == sorted(sizes)
    return is_count and _is_sum(g, axes, x, product.above[0])


def _is_sum(g: Graph, axes: frozenset[Node], x: Node, total: Node) -> bool:
    """Whether `total` reads the sum of `x` over these axes."""
    if g.op[total] != "read" or g.tensors[g.args[total][0]].kind != "sum":
        return False
    t, *index = g.args[total]
    tensor = g.tensors[t]
    own, order = g.first_occurrence(tensor.body, frozenset(tensor.red)), g.first_occurrence(x, axes)
    if len(own) != len(tensor.red) or [*map(g.extent, own)] != [*map(g.extent, order)]:
        return False
    places = dict(zip((*tensor.out, *own), (*index, *order), strict=True))
    return len(order) == len(axes) and g.substitute(tensor.body, places) == x
