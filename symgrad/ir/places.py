"""Where in an expression over axes another one stands, and what stands behind reads and choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph, Node

_COMMUTE = frozenset(("add", "mul"))
_MOST_STEPS = 4  # from what is written to the exponential that it is


def places_of(
    g: Graph, body: Node, known: Mapping[Node, Node], axes: Sequence[Node], node: Node
) -> tuple[Node, ...] | None:
    """What stands for `axes` in `node`, if that is a body with these, and the known ones, replaced."""
    # Negative numbers: a definition's own axes count from 0, and may be what others of the body stand for.
    own = {a: g.axis(-1 - k, g.extent(a)) for k, a in enumerate(axes)}
    pattern = g.substitute(body, {**known, **own})
    found = _matched(g, pattern, node, frozenset(own.values()), {})
    if found is None or len(found) < len(axes) or g.substitute(pattern, found) != node:
        return None
    return tuple(found[own[a]] for a in axes)


def _matched(
    g: Graph, pattern: Node, node: Node, axes: frozenset[Node], known: dict[Node, Node]
) -> dict[Node, Node] | None:
    """`known` with what the axes of a pattern stand for in a node of the same form."""
    if g.axes[pattern].isdisjoint(axes):
        return known if pattern == node else None
    if pattern in axes:
        return {**known, pattern: node} if known.get(pattern, node) == node else None
    op, mine, other = g.op[pattern], g.children(pattern), g.children(node)
    if op != g.op[node] or len(mine) != len(other):
        return None
    if op == "read" and g.args[pattern][0] != g.args[node][0]:
        return None
    for order in (other, other[::-1]) if op in _COMMUTE else (other,):
        found: dict[Node, Node] | None = known
        for a, b in zip(mine, order, strict=True):
            found = None if found is None else _matched(g, a, b, axes, found)
        if found is not None:
            return found
    return None


def exponent_behind(g: Graph, node: Node) -> Node | None:
    """x if `node` is exp(x), a read of one that is stored, or where(.., 0, exp(x))."""
    for _ in range(_MOST_STEPS):
        op, args = g.op[node], g.args[node]
        if op == "exp":
            return int(args[0])
        if op == "where" and args[1] == g.zero:
            node = args[2]
        elif op == "read" and g.tensors[args[0]].kind == "map":
            tensor = g.tensors[args[0]]
            if g.op[tensor.body] not in ("exp", "where", "read"):
                return None
            node = g.substitute(tensor.body, dict(zip(tensor.out, args[1:], strict=True)))
        else:
            return None
    return None
