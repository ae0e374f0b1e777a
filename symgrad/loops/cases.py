"""Short axes that number cases: a map that asks which entry it is gets a store for each, and no loop.

`T[i, c] = where(c == 0, a(i), where(c == 1, b(i), ...))` is one loop over i that computes once what a, b, ...
have in common, and stores every entry. A vector of explicit components, written in index notation, costs what
its components cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from symgrad.ir.graph import Graph, Node

_LONGEST, _MOST = 32, 64  # entries of one axis, and of all together
_MOST_NODES = 5_000


def cases(g: Graph, out: Sequence[Node], body: Node) -> list[tuple[dict[Node, Node], Node]]:
    """(axes to constants, the body there) for every entry along those of `out` whose places differ.

    One case, the body as it is, where there is no such axis or where the code would be long.
    """
    axes = [a for a in out if a in _told_apart(g, body)]
    lengths = [length(g, a) for a in axes]
    whole: list[tuple[dict[Node, Node], Node]] = [({}, body)]
    total = 1
    for n in lengths:
        total *= n
    if not axes or total > _MOST:
        return whole
    places = [dict(zip(axes, map(g.const, at), strict=True)) for at in product(*map(range, lengths))]
    bodies = [g.substitute(body, place) for place in places]
    if len(g.reachable(bodies)) > _MOST_NODES:
        return whole
    return list(zip(places, bodies, strict=True))


def length(g: Graph, axis: Node) -> int:
    """The extent of an axis where it is a small number, else 0."""
    constant, terms = g.linear(g.extent(axis))
    return constant if not terms and 1 < constant <= _LONGEST else 0


def _told_apart(g: Graph, body: Node) -> set[Node]:
    """Axes of constant extent that the body compares with all their places, the last excepted."""
    compared: dict[Node, set[int]] = {}
    for n in g.reachable((body,)):
        constant, terms = g.linear(g.args[n][0]) if g.op[n] == "ieq" else (0, {})
        if len(terms) == 1:
            ((atom, k),) = terms.items()
            if g.op[atom] == "axis" and constant % k == 0:
                compared.setdefault(atom, set()).add(-constant // k)
    return {axis for axis, at in compared.items() if 0 < length(g, axis) <= len(at) + 1}
