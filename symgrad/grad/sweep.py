"""Scalar sweeps over the body of a definition: the chain rule on a shared graph, both ways.

Sources: Griewank & Walther 2008, Evaluating Derivatives, chapter 3.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from symgrad.errors import UnsupportedExpression
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.ops import OPS


def active_nodes(g: Graph, roots: Iterable[Node], active: frozenset[TensorId]) -> list[Node]:
    """Nodes below `roots` whose value depends on a tensor in `active`, ascending."""
    alive: set[Node] = set()
    for n in g.reachable(roots):
        if g.op[n] == "read":
            if g.args[n][0] in active:
                alive.add(n)
        elif g.kind[n] == "real" and any(c in alive for c in g.children(n)):
            alive.add(n)
    return sorted(alive)


def pullback(
    g: Graph, seeds: Mapping[Node, Node], active: frozenset[TensorId]
) -> dict[Node, Node]:
    """Cotangents of every read below the seeds' keys; `seeds` maps a node to its cotangent.

    Each node is visited once; a partial derivative is built once per active argument.
    """
    order = active_nodes(g, seeds, active)
    alive = set(order)
    cotangent = {n: bar for n, bar in seeds.items() if n in alive}
    reads: dict[Node, Node] = {}
    for n in reversed(order):
        bar = cotangent.pop(n, g.zero)
        if bar == g.zero:
            continue
        if g.op[n] == "read":
            reads[n] = bar
            continue
        for argument, part in _partials(g, n, alive):
            old = cotangent.get(argument)
            new = bar if part == g.one else g.mul(bar, part)
            cotangent[argument] = new if old is None else g.add(old, new)
    return reads


def pushforward(g: Graph, roots: Iterable[Node], tangents: Mapping[Node, Node]) -> dict[Node, Node]:
    """Tangents of every node below `roots`; `tangents` gives those of the reads (absent = zero)."""
    dot: dict[Node, Node] = {n: t for n, t in tangents.items() if t != g.zero}
    for n in g.reachable(roots):
        if g.op[n] == "read" or n in dot or g.kind[n] != "real":
            continue
        if not any(c in dot for c in g.children(n)):
            continue
        total = push_one(g, n, dot)
        if total != g.zero:
            dot[n] = total
    return dot


def push_one(g: Graph, n: Node, dot: Mapping[Node, Node]) -> Node:
    """The tangent of one node from the tangents of its arguments."""
    if g.op[n] in ("where", "mask"):
        return _push_selection(g, n, dot)
    total = g.zero
    for argument, part in _partials(g, n, dot):
        total = g.add(total, g.mul(part, dot[argument]))
    return total


def _push_selection(g: Graph, n: Node, dot: Mapping[Node, Node]) -> Node:
    """One selection of tangents instead of a sum of two masked ones."""
    predicate, *arms = g.args[n]
    tangents = [dot.get(a, g.zero) for a in arms]
    if len(arms) == 1 or tangents[1] == g.zero:
        return g.mask(predicate, tangents[0])
    if tangents[0] == g.zero:
        return g.mask(g.node("not", predicate), tangents[1])
    return g.where(predicate, *tangents)


def _partials(g: Graph, n: Node, alive: Container[Node]) -> list[tuple[Node, Node]]:
    """(argument, d n / d argument) for the arguments in `alive`, structural zeros left out."""
    op, args = g.op[n], g.args[n]
    if op == "add":
        return [(a, g.one) for a in args if a in alive]
    if op == "mul":
        a, b = args
        pairs = ((a, b), (b, a))
        return [p for p in pairs if p[0] in alive]
    row = OPS.get(op)
    if row is None or len(row.partials) != len(args):
        raise UnsupportedExpression(
            f"no derivative rule for `{op}`", try_="write the expression with other functions"
        )
    return [
        (a, rule(g, args, n))
        for a, rule in zip(args, row.partials, strict=True)
        if rule is not None and a in alive
    ]
