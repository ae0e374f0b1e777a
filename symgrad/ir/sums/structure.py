"""Where an expression is zero whatever its real inputs are: masks over indices, and sums over nothing.

The indicator of an expression is made of integers alone: 0 where the expression is structurally zero, and
positive elsewhere. An input, a constant other than 0 and every function count as not zero.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.bounds import is_nonnegative
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction, conjuncts

_ALIKE = frozenset(("neg", "cast"))  # zero where their argument is


def is_over_integers(g: Graph, predicate: Node) -> bool:
    """Whether a predicate depends on loops, sizes and entries of integer arrays alone."""
    return all(g.op[n] != "read" or g.kind[n] == "int" for n in g.reachable((predicate,)))


class Indicators:
    """Indicators of the expressions of one graph, each made once."""

    def __init__(self, g: Graph) -> None:
        self.g = g
        self.nodes: dict[Node, Node] = {}
        self.tensors: dict[TensorId, TensorId | None] = {}  # None: nowhere zero

    def of(self, root: Node) -> Node:
        """The indicator of `root`, the constant 1 where nothing is known to be zero."""
        for t in self.g.definitions_below(self.g.args[r][0] for r in self.g.reads((root,))):
            if t not in self.tensors:
                self.tensors[t] = self._definition(t)
        return self._expression(root)

    def _expression(self, root: Node) -> Node:
        for n in self.g.reachable((root,)):
            if n not in self.nodes and self.g.kind[n] in ("real", "const"):
                self.nodes[n] = self._node(n)
        return self.nodes.get(root, self.g.one)

    def _node(self, n: Node) -> Node:
        g, op, args = self.g, self.g.op[n], self.g.args[n]
        if op == "const":
            return g.zero if n == g.zero else g.one
        if op == "read":
            made = self.tensors.get(args[0])
            return g.one if made is None else g.read(made, *args[1:])
        if op in ("mask", "where"):
            return self._selection(args[0], *args[1:])
        own = [self.nodes.get(a, g.one) for a in args]
        if op in ("add", "sub"):
            return self._either(*own)
        if op == "mul":
            return g.mul(*own)
        return own[0] if op in _ALIKE or op == "div" else g.one

    def _selection(self, predicate: Node, *arms: Node) -> Node:
        g = self.g
        own = [self.nodes[a] for a in arms]
        parts = [p for p in conjuncts(g, predicate) if is_over_integers(g, p)]
        known = conjunction(g, parts)
        if len(own) == 1:
            return g.mask(known, own[0])
        if is_over_integers(g, predicate):
            return g.where(predicate, *own)
        return self._either(g.mask(known, own[0]), own[1])

    def _either(self, a: Node, b: Node) -> Node:
        g = self.g
        return g.one if g.one in (a, b) else g.add(a, b)

    def _definition(self, t: TensorId) -> TensorId | None:
        """The indicator of a definition, over the same axes."""
        g, tensor = self.g, self.g.tensors[t]
        if tensor.kind not in ("map", "sum", "scatter", "enum"):
            return None
        bodies = [self._expression(b) for b in tensor.bodies]
        if tensor.kind == "sum":
            bodies = [g.mask(self._runs(tensor.red), bodies[0])]
        if tensor.kind != "scatter" and all(b == g.one for b in bodies):
            return None
        return g.define(tensor.kind, tensor.out, tensor.red, bodies, tensor.target, tensor.extents)

    def _runs(self, axes: Sequence[Node]) -> Node:
        """The predicate that loops are not empty."""
        g = self.g
        last = [g.iadd(g.extent(a), g.const(-1)) for a in axes]
        return conjunction(g, [g.ige0(i) for i in last if not is_nonnegative(g, i)])
