"""Which sums are matrix products.

A sum of products of two reads,  C[...] = sum over red of A[...]*B[...],  is one where each factor has an
axis of the result that the other one lacks. Axes are told apart by who has them: rows (A and C), columns
(B and C), depth (A and B), and the rest (all three).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod

from symgrad.ir.bounds import read_is_in_range, typical
from symgrad.ir.graph import Graph, Node
from symgrad.ir.reduce import additive_terms, factors_of
from symgrad.ir.tensor import Tensor
from symgrad.records import dataclass

_LARGEST_SCALE = 2**30  # targets hand it over as an int
_FEW = 64  # products in all; below, loops that a compiler unrolls take less time than a call


@dataclass(frozen=True)
class Term:
    """scale * a * b: two reads; `rows` are axes of a alone, `columns` of b alone, `depth` is reduced."""

    scale: int
    a: Node
    b: Node
    rows: tuple[Node, ...]
    columns: tuple[Node, ...]
    depth: tuple[Node, ...]


def terms_of(g: Graph, tensor: Tensor, times: Collection[Node] = ()) -> tuple[Term, ...]:
    """The matrix products that a definition is the sum of; none if it is anything else.

    times  axes that have a loop already.
    """
    if tensor.kind != "sum" or is_small(g, tensor):
        return ()
    out = [a for a in tensor.out if a not in times]
    terms = [_term(g, out, tensor.red, sign, body) for sign, body in additive_terms(g, tensor.body)]
    found = tuple(t for t in terms if t is not None)
    return found if len(found) == len(terms) else ()


def is_small(g: Graph, tensor: Tensor) -> bool:
    """All sizes are known, and a call would take more time than the loops."""
    extents = [g.extent(a) for a in (*tensor.out, *tensor.red)]
    return all(g.op[e] == "const" for e in extents) and prod(typical(g, e) for e in extents) < _FEW


def _term(g: Graph, out: Sequence[Node], red: tuple[Node, ...], sign: int, body: Node) -> Term | None:
    top, bottom = factors_of(g, body)
    scale, reads = scale_of(g, top)
    if bottom or len(reads) != 2 or not all(is_plain_read(g, r) for r in reads):
        return None
    a, b = reads
    rows = tuple(x for x in out if x in g.axes[a] - g.axes[b])
    columns = tuple(x for x in out if x in g.axes[b] - g.axes[a])
    if not rows or not columns or not frozenset(red) <= g.axes[a] & g.axes[b]:
        return None
    return Term(sign * scale, a, b, rows, columns, red)


def scale_of(g: Graph, factors: Sequence[Node]) -> tuple[int, list[Node]]:
    """The product of the factors that are integers, not too large for one, and the other factors."""
    scale, others = 1, []
    for n in factors:
        q = g.rational(n)
        if q is not None and q.denominator == 1 and 0 < abs(scale * q) <= _LARGEST_SCALE:
            scale *= int(q)
        else:
            others.append(n)
    return scale, others


def is_plain_read(g: Graph, n: Node) -> bool:
    """Of reals, at places that are linear in axes, inside of the tensor."""
    return is_linear_read(g, n) and read_is_in_range(g, n)


def is_linear_read(g: Graph, n: Node) -> bool:
    """Of reals, at places that are linear in axes."""
    if g.op[n] != "read" or g.kind[n] != "real":
        return False
    atoms = [a for i in g.args[n][1:] for a in g.linear(i)[1]]
    return all(len(g.axes[a]) < 2 for a in atoms) and all(g.op[m] != "read" for m in g.reachable(atoms))
