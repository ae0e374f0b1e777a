"""What a derivative expression over a tensor's axes becomes before it is used again.

Cheap expressions stay inline. Dense ones become a definition, computed once. Terms under an index
equality (a delta) stay inline, so that the equality can still remove a loop: nothing dense is ever
built from something diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import additive_terms, conjuncts, store

# Functions whose derivatives are finite at finite arguments: a zero times them is a zero.
_FINITE = frozenset((
    "add", "sub", "mul", "neg", "sin", "cos", "tanh", "logistic", "softplus", "erf", "erfc", "atan", "abs",
    "maximum", "minimum", "where", "mask", "sign", "floor", "ceil", "sinc", "cast",
    "logistic_slope", "logistic_entropy", "logcosh", "square_difference", "deviation",
    "nested_share", "finite_part",
))  # fmt: skip


def stored(g: Graph, axes: Sequence[Node], body: Node) -> Node:
    """`body` (over `axes` and possibly further free axes) ready to be used many times."""
    deltas: list[tuple[int, Node]] = []
    dense: list[tuple[int, Node]] = []
    for sign, term in additive_terms(g, body):
        (deltas if _has_affine_delta(g, term) else dense).append((sign, term))
    total = _materialised(g, axes, _signed(g, dense))
    for sign, term in deltas:
        total = g.add(total, term) if sign > 0 else g.sub(total, term)
    return total


def _signed(g: Graph, terms: list[tuple[int, Node]]) -> Node:
    total = g.zero
    for sign, term in terms:
        total = g.add(total, term) if sign > 0 else g.sub(total, term)
    return total


def _has_affine_delta(g: Graph, term: Node) -> bool:
    """mask([i == j], ..) with an equality of axes (not of gathered indices)."""
    if g.op[term] != "mask":
        return False
    for p in conjuncts(g, g.args[term][0]):
        if g.op[p] == "ieq":
            atoms = g.linear(g.args[p][0])[1]
            if all(g.op[a] in ("axis", "size", "imul") for a in atoms):
                return True
    return False


def _materialised(g: Graph, axes: Sequence[Node], body: Node) -> Node:
    """A stored map, unless reading it back would cost as much as computing it."""
    if is_trivial(g, body):
        return body
    everything = [*axes, *sorted(g.axes[body] - frozenset(axes), key=g.order_key)]
    used = [a for a in everything if a in g.axes[body]]
    if g.op[body] != "mask":
        return store(g, used, body)
    predicate, inner = g.args[body]
    if g.axes[inner] < g.axes[body] and _are_apart(g, predicate):
        return g.mask(predicate, _materialised(g, axes, inner))
    return g.mask(predicate, store(g, used, body))


def _are_apart(g: Graph, predicate: Node) -> bool:
    """Whether a condition says that places are not the same: what it hides can be computed everywhere."""
    return g.op[predicate] == "not" and all(g.op[p] == "ieq" for p in conjuncts(g, g.args[predicate][0]))


def is_trivial(g: Graph, body: Node) -> bool:
    """A constant, a read, or one of those with a sign, a constant factor or a mask."""
    for _ in range(3):
        if g.op[body] in ("neg", "cast"):
            body = g.args[body][0]
        elif g.op[body] == "mask" or (g.op[body] == "mul" and g.op[g.args[body][0]] == "const"):
            body = g.args[body][1]
    return g.op[body] in ("const", "read", "size", "axis", "lin")


def without_needless_mask(g: Graph, value: Node, bodies: Sequence[Node]) -> Node:
    """Drop a mask over values from a stored cotangent when nothing infinite can meet its zeros.

    The stored tensor is already 0 where the mask is false. Only `0 * inf` needs the mask itself,
    and polynomials and bounded functions have no infinite derivatives at finite points. Without
    the mask the sum it enters is a plain contraction.
    """
    if g.op[value] != "mask" or g.op[g.args[value][1]] != "read":
        return value
    predicate, inner = g.args[value]
    if any(g.op[p] in ("ige", "ieq") for p in conjuncts(g, predicate)):
        return value
    if g.tensors[g.args[inner][0]].kind != "map":
        return value
    stored_body = g.tensors[g.args[inner][0]].body
    if g.op[stored_body] != "mask":
        return value
    ops = {g.op[n] for n in g.reachable(bodies) if g.kind[n] == "real" and g.op[n] in OPS}
    return inner if ops <= _FINITE else value
