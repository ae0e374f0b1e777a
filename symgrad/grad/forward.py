"""Forward mode over definitions: no index map has to be inverted.

`Tdot[o] = reduce over k of dT/dbody * sum over reads of dbody/dread * Sdot[index]`. Seeds may have
extra free axes (one direction per value of those axes): a delta seed gives a whole Jacobian.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.grad.recurrence import tangents
from symgrad.grad.rules import weight
from symgrad.grad.store import stored
from symgrad.grad.sweep import pushforward
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.call import over, taken_apart
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.reduce import reduce
from symgrad.ir.scan import frontier, is_scan, outer_definitions, scan_of

Tangent = tuple[tuple[Node, ...], Node]  # (one axis per axis of the tensor, expression over them)


class Forward:
    """Tangents of tensors and of expressions, given those of some tensors; computed on demand once."""

    def __init__(self, g: Graph, seeds: Mapping[TensorId, Tangent | None]) -> None:
        self.g = g
        self.tangents: dict[TensorId, Tangent | None] = dict(seeds)

    def tensor(self, t: TensorId) -> Tangent | None:
        """The tangent of a tensor, None where it is zero."""
        for s in outer_definitions(self.g, (t,)):
            if s not in self.tangents:
                if is_scan(self.g, s):
                    self._scan(s)
                else:
                    self.tangents[s] = self._definition(s)
        return self.tangents[t]

    def expression(self, body: Node) -> Node:
        """The tangent of a node whose free axes belong to the caller."""
        for r in self.g.reads((body,)):
            self.tensor(self.g.args[r][0])
        return self._push((body,)).get(body, self.g.zero)

    def _push(self, bodies: Sequence[Node]) -> dict[Node, Node]:
        reads = {r: self._at(r) for r in self.g.reads(bodies)}
        return pushforward(self.g, bodies, reads)

    def _at(self, read: Node) -> Node:
        """The tangent of what a read reads."""
        t, *index = self.g.args[read]
        tangent = self.tangents[t]
        if tangent is None:
            return self.g.zero
        axes, value = tangent
        return self.g.substitute(value, dict(zip(axes, index, strict=True)))

    def _definition(self, t: TensorId) -> Tangent | None:
        g, tensor = self.g, self.g.tensors[t]
        if tensor.kind in ("input", "state"):
            return None
        dots = self._push(tensor.bodies)
        if not any(b in dots for b in tensor.bodies):
            return None
        if tensor.kind == "enum":
            return self._enum(t, [dots.get(b, g.zero) for b in tensor.bodies])
        if tensor.kind == "scatter":
            return self._scatter(t, dots[tensor.body])
        if tensor.kind == "call":
            return self._call(t, [dots.get(b) for b in tensor.bodies])
        value = dots[tensor.body]
        if tensor.kind != "map":
            value = reduce(g, "sum", tensor.red, weight(g, t, value))
        return tensor.out, stored(g, tensor.out, value)

    def _scan(self, t: TensorId) -> None:
        """The tangents of all trajectories of a recurrence."""
        scan = scan_of(self.g, t)
        outside = {s: self.tensor(s) for s in frontier(self.g, scan)}

        def push(seeds: Mapping[TensorId, Tangent | None], step: TensorId) -> Tangent | None:
            return Forward(self.g, seeds).tensor(step)

        self.tangents.update(tangents(self.g, scan, outside, push))

    def _call(self, t: TensorId, dots: Sequence[Node | None]) -> Tangent | None:
        g, tensor, row = self.g, self.g.tensors[t], MATRIX_FUNCTIONS[self.g.tensors[t].name]
        parts = taken_apart(g, t, row.ranks, len(row.result))
        tangents = [None if d is None else over(g, axes, d) for axes, d in zip(parts.axes, dots, strict=True)]
        assert row.forward is not None, "factors are made after differentiation"
        value = row.forward(parts, tangents)
        if value is None:
            return None
        return tensor.out, stored(g, tensor.out, value.at(*parts.places))

    def _enum(self, t: TensorId, dots: list[Node]) -> Tangent:
        g, tensor = self.g, self.g.tensors[t]
        extra = sorted(frozenset().union(*(g.axes[d] for d in dots)) - set(tensor.out), key=g.order_key)
        whole = g.define("enum", (*tensor.out, *extra), (), dots)
        entry = g.fresh_axis(tensor.extents[0])
        return (entry, *tensor.out), g.read(whole, entry, *tensor.out, *extra)

    def _scatter(self, t: TensorId, dot: Node) -> Tangent:
        g, tensor = self.g, self.g.tensors[t]
        extra = sorted(g.axes[dot] - set(tensor.red), key=g.order_key)
        extents = (*tensor.extents, *(g.extent(a) for a in extra))
        whole = g.define("scatter", (), (*tensor.red, *extra), dot, (*tensor.target, *extra), extents)
        axes = tuple(g.fresh_axis(e) for e in tensor.extents)
        return axes, g.read(whole, *axes, *extra)
