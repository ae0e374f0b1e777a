"""Reductions whose range grows with an axis of the result: one running value instead of one loop each.

    T[o, k] = reduce over c <= k of x(o, c)        and c < k, c >= k, c > k

Cumulative sums and products have this form, and so do the exclusive products of `grad.rules`.
"""

from __future__ import annotations

from symgrad.ir.graph import Graph, Node
from symgrad.ir.tensor import Tensor
from symgrad.records import dataclass


@dataclass(frozen=True)
class Running:
    """axis: `k`; value: x(o, c); forward: c runs up to k (else down to it); inclusive: k itself counts."""

    axis: Node
    value: Node
    forward: bool
    inclusive: bool


def running_form(g: Graph, tensor: Tensor) -> Running | None:
    """The running form of a reduction over one axis, None if it has none."""
    if tensor.kind not in ("sum", "prod", "max", "min") or len(tensor.red) != 1:
        return None
    parts = _guarded(g, tensor)
    if parts is None:
        return None
    predicate, value = parts
    (c,) = tensor.red
    constant, terms = g.linear(g.args[predicate][0])
    others = [a for a in terms if a != c]
    if len(others) != 1 or others[0] not in tensor.out or constant not in (0, -1):
        return None
    k = others[0]
    if g.extent(k) != g.extent(c) or k in g.axes[value] or (terms[k], terms.get(c)) not in ((1, -1), (-1, 1)):
        return None
    return Running(k, value, terms[k] == 1, constant == 0)


def _guarded(g: Graph, tensor: Tensor) -> tuple[Node, Node] | None:
    """(predicate, value) of mask(i >= 0, value), or of where(i >= 0, value, identity)."""
    op, args = g.op[tensor.body], g.args[tensor.body]
    if tensor.kind == "sum":
        if op != "mask" or g.op[args[0]] != "ige":
            return None
        return args[0], args[1]
    identity = {"prod": g.one, "max": g.const(float("-inf")), "min": g.const(float("inf"))}[tensor.kind]
    if op != "where" or g.op[args[0]] != "ige" or args[2] != identity:
        return None
    return args[0], args[1]
