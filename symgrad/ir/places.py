"""Where in an expression over axes another one stands: what its axes have to be to make that of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.ir.graph import Graph, Node

_COMMUTE = frozenset(("add", "mul"))


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
