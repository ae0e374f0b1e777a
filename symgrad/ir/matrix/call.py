"""Calls of matrix functions as definitions, and the matrices between them while rules are applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import reduce
from symgrad.records import dataclass

Entry = Callable[..., Node]


@dataclass(frozen=True, slots=True)
class Array:
    """A matrix or a vector as its extents and its entry at given indices; other axes may be free in it."""

    extents: tuple[Node, ...]
    at: Entry

    @property
    def transposed(self) -> Array:
        rows, columns = self.extents
        return Array((columns, rows), lambda i, j: self.at(j, i))


def over(g: Graph, axes: Sequence[Node], body: Node) -> Array:
    """The array whose entry at `axes` is `body`."""
    return Array(tuple(g.extent(a) for a in axes),
                 lambda *index: g.substitute(body, dict(zip(axes, index, strict=True))))  # fmt: skip


def call(g: Graph, name: str, operands: Sequence[Array], extents: Sequence[Node]) -> Array:
    """The matrix function `name` of the operands, one for each value of the axes that are free in them.

    extents  of the result.
    """
    own = [[g.fresh_axis(e) for e in operand.extents] for operand in operands]
    bodies = [operand.at(*axes) for operand, axes in zip(operands, own, strict=True)]
    others: dict[Node, None] = {}
    for body, axes in zip(bodies, own, strict=True):
        others |= dict.fromkeys(g.first_occurrence(body, g.axes[body] - set(axes)))
    places = [g.fresh_axis(e) for e in extents]
    flat = [a for axes in own for a in axes]
    t = g.define("call", (*others, *places), flat, bodies, name=name)
    return Array(tuple(extents), lambda *index: g.read(t, *others, *index))


def product(g: Graph, a: Array, b: Array) -> Array:
    """The matrix product, or that of a matrix and a vector."""

    def entry(i: Node, *j: Node) -> Node:
        k = g.fresh_axis(a.extents[1])
        return reduce(g, "sum", [k], g.mul(a.at(i, k), b.at(k, *j)))

    return Array((a.extents[0], *b.extents[1:]), entry)


def elementwise(g: Graph, op: str, *arrays: Array) -> Array:
    """The operation `op` on the entries of arrays of one shape."""
    return Array(arrays[0].extents, lambda *index: g.node(op, *(a.at(*index) for a in arrays)))


def identity(g: Graph, n: Node) -> Array:
    return Array((n, n), lambda i, j: g.mask(g.ieq(i, j), g.one))


def lower_part(g: Graph, a: Array, strictly: bool = False) -> Array:
    """The entries on and below the diagonal (or only below), 0 elsewhere."""
    first = g.const(-1 if strictly else 0)
    return Array(a.extents, lambda i, j: g.mask(g.ige0(g.iadd(g.isub(i, j), first)), a.at(i, j)))


def upper_part(g: Graph, a: Array) -> Array:
    """The entries on and above the diagonal, 0 elsewhere."""
    return lower_part(g, a.transposed).transposed


@dataclass(frozen=True, slots=True)
class Call:
    """A call's definition taken apart: operands and result as arrays over the axes it binds.

    The axes before those of the result are free in all of them.
    """

    g: Graph
    t: TensorId
    name: str
    operands: tuple[Array, ...]
    axes: tuple[tuple[Node, ...], ...]  # of each operand
    places: tuple[Node, ...]  # axes of the result
    others: tuple[Node, ...]

    @property
    def result(self) -> Array:
        return Array(tuple(self.g.extent(a) for a in self.places),
                     lambda *index: self.g.read(self.t, *self.others, *index))  # fmt: skip


def taken_apart(g: Graph, t: TensorId, ranks: Sequence[int], result_rank: int) -> Call:
    """The parts of the call `t`, given the ranks of the function's operands and of its result."""
    tensor = g.tensors[t]
    axes, first = [], 0
    for rank in ranks:
        axes.append(tensor.red[first : first + rank])
        first += rank
    operands = [over(g, own, body) for own, body in zip(axes, tensor.bodies, strict=True)]
    split = len(tensor.out) - result_rank
    return Call(g, t, tensor.name, tuple(operands), tuple(axes), tensor.out[split:], tensor.out[:split])
