"""Determinants and inverses as definitions: opaque to rewriting, known to differentiation.

    det      T[b] = det over (i, j) of body(b, i, j)
    inverse  T[b, i, j] = the inverse over (i, j) of the matrix body(b, i, j)

Sources of the rules: Giles 2008, An extended collection of matrix derivative results.
"""

from __future__ import annotations

from symgrad.ir.graph import Graph, Node, Tensor
from symgrad.ir.reduce import reduce


def determinant(g: Graph, i: Node, j: Node, body: Node) -> Node:
    """The determinant of the matrix whose entry (i, j) is `body`, for each value of its other axes."""
    others = g.first_occurrence(body, g.axes[body] - {i, j})
    return g.read(g.define("det", others, (i, j), body), *others)


def inverse(g: Graph, i: Node, j: Node, body: Node) -> Node:
    """Entry (i, j) of the inverse of the matrix whose entry (i, j) is `body`."""
    others = g.first_occurrence(body, g.axes[body] - {i, j})
    return g.read(g.define("inverse", (*others, i, j), (), body), *others, i, j)


def cofactor_over_determinant(g: Graph, tensor: Tensor) -> Node:
    """d log det / d body(i, j) = inverse[j, i], over the axes of a `det` definition."""
    i, j = tensor.red
    whole = g.define("inverse", (*tensor.out, i, j), (), tensor.body)
    return g.read(whole, *tensor.out, j, i)


def inverse_cotangent(g: Graph, x: int, places: tuple[Node, ...], bar: Node) -> Node:
    """Of the body of X = inverse(A): Abar = -X^T Xbar X^T, over the axes of the definition."""
    *others, i, j = g.tensors[x].out
    k, m = g.fresh_axis(g.extent(i)), g.fresh_axis(g.extent(j))
    here = g.substitute(bar, dict(zip(places, (*others, k, m), strict=True)))
    product = g.mul(g.mul(g.read(x, *others, k, i), here), g.read(x, *others, j, m))
    return g.neg(reduce(g, "sum", (k, m), product))


def inverse_tangent(g: Graph, x: int, dot: Node) -> Node:
    """Of X = inverse(A): Xdot = -X Adot X, over the axes of the definition."""
    *others, i, j = g.tensors[x].out
    k, m = g.fresh_axis(g.extent(i)), g.fresh_axis(g.extent(j))
    here = g.substitute(dot, {i: k, j: m})
    product = g.mul(g.mul(g.read(x, *others, i, k), here), g.read(x, *others, m, j))
    return g.neg(reduce(g, "sum", (k, m), product))
