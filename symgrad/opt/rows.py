"""Lengths of rows, and quotients by sums of their squares, where they are read and not stored.

    r[i] = 1/s[i]        2*x[i, j]*r[i]    is    2*x[i, j]/s[i]

Beside a side x the quotient is in range where 1/s[i] alone is 0 or infinite (`opt.ranges`).
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.product import PRODUCTS, product_of
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.opt.scaled_sums import Form, degree_of, is_sum, length_of, sides_of

_MOST_FACTORS = 16  # of a product


def with_quotients_by_rows(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with stored lengths of rows, and quotients by more of them than sides, inlined."""
    below = g.definitions_below(roots)
    stored = {t for t in below if t not in roots and _is_over_rows(g, t)}
    if not stored:
        return g, {t: t for t in below}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if g.op[old] != "read" or g.args[old][0] not in stored:
            return new
        source, *index = copy.new.args[new]
        tensor = copy.new.tensors[source]
        return copy.new.substitute(tensor.body, dict(zip(tensor.out, index, strict=True)))

    return copy_with(g, roots, on_node=on_node, stabilise=False)


def _is_over_rows(g: Graph, t: TensorId) -> bool:
    """Whether this is a map of lengths of rows, or of quotients by more of them than sides are above."""
    tensor = g.tensors[t]
    if tensor.kind != "map" or not tensor.out:
        return False
    if _length_of_row(g, tensor.body):
        return True
    parts = product_of(g, tensor.body, _MOST_FACTORS) if g.op[tensor.body] in PRODUCTS else None
    rows = [n for n in parts.below if _length_of_row(g, n) or _sum_of_row(g, n)] if parts is not None else []
    if parts is None or not rows:
        return False
    sides = frozenset[Form]().union(*(sides_of(g, n) for n in rows))
    above = sum(g.op[n] == "scaled" or degree_of(g, n, sides) for n in parts.above)
    return above < sum(1 if _length_of_row(g, n) else 2 for n in rows)


def _sum_of_row(g: Graph, n: Node) -> bool:
    """Whether this is a sum of squares of a row, perhaps with a number."""
    return (is_sum(g, n) or g.op[n] == "add") and len(g.axes[n]) == 1 and bool(sides_of(g, n))


def _length_of_row(g: Graph, n: Node) -> bool:
    """Whether this is the norm of a row, perhaps stored."""
    if g.op[n] == "read" and g.tensors[g.args[n][0]].kind == "map":
        n = g.tensors[g.args[n][0]].body
    return length_of(g, n) is not None and len(g.axes[n]) == 1
