"""Passes that rewrite definitions: each copies the needed part of a graph into a fresh one.

What nothing needs is left behind (dead definitions), and rewrites that unlock others meet again,
because every node is made anew by the same constructors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.ops import OPS
from symgrad.ir.tensor import SCANS

_ROWS = OPS.keys() - {"cast"}  # what `Graph.node` makes as it stands
NodeHook = Callable[["Copy", TensorId, Node, Node], Node]
TensorHook = Callable[["Copy", TensorId], "TensorId | None"]


class Copy:
    """A copy in progress: `old` graph, `new` graph, and where each tensor went."""

    def __init__(self, old: Graph, stabilise: bool, orders: Mapping[TensorId, tuple[int, ...]]) -> None:
        self.old = old
        self.new = Graph(stabilise, old.kinks)
        self.new.hints = dict(old.hints)
        self.new.entries = dict(old.entries)
        self.tensors: dict[TensorId, TensorId] = {}
        self.orders = orders  # tensors whose axes are permuted on the way

    def bodies(self, t: TensorId, on_node: NodeHook | None = None) -> list[Node]:
        """The bodies (and scatter targets) of `t` in the new graph."""
        tensor = self.old.tensors[t]
        return self.nodes((*tensor.bodies, *tensor.target, *tensor.extents, *tensor.out, *tensor.red),
                          t, on_node)  # fmt: skip

    def reordered(self, t: TensorId, order: Sequence[int], on_node: NodeHook | None = None) -> TensorId:
        """The copy of a definition with its axes in another order."""
        old = self.old.tensors[t]
        made = self.bodies(t, on_node)
        axes = made[1 + len(old.extents) :]
        out, red = axes[: len(old.out)], axes[len(old.out) :]
        return self.new.define(old.kind, [out[p] for p in order], red, made[0])

    def nodes(self, roots: Sequence[Node], t: TensorId, on_node: NodeHook | None = None) -> list[Node]:
        done: dict[Node, Node] = {}
        ops, args, node = self.old.op, self.old.args, self.new.node
        for n in self.old.reachable(roots):
            op = ops[n]
            made = node(op, *[done[a] for a in args[n]]) if op in _ROWS else self._leaf(n, done)
            done[n] = on_node(self, t, n, made) if on_node is not None else made
        return [done[r] for r in roots]

    def _leaf(self, n: Node, done: Mapping[Node, Node]) -> Node:
        """The copy of what is no elementwise operation: constants, reads and indices."""
        op, args = self.old.op[n], self.old.args[n]
        new, children = self.new, [done[c] for c in self.old.children(n)]
        if op == "read":
            order = self.orders.get(args[0])
            index = children if order is None else [children[p] for p in order]
            return new.read(self.tensors[args[0]], *index)
        if op == "lin":
            total = new.const(args[0])
            for child, k in zip(children, args[2::2], strict=True):
                total = new.iadd(total, child, k)
            return total
        if op == "axis":
            return new.axis(args[0], children[0])
        if op in ("const", "size"):
            return new.intern(op, args)
        special: dict[str, Callable[..., Node]] = {
            "imul": new.imul, "ige": new.ige0, "ieq": new.ieq0, "cast": new.cast,
        }  # fmt: skip
        return special[op](*children) if op in special else new.node(op, *children)

    def tensor(self, t: TensorId, on_node: NodeHook | None = None) -> TensorId:
        """The plain copy of one tensor."""
        old = self.old.tensors[t]
        made = self.bodies(t, on_node)
        parts = iter(made)
        bodies = [next(parts) for _ in old.bodies]
        target = [next(parts) for _ in old.target]
        extents = [next(parts) for _ in old.extents]
        out = [next(parts) for _ in old.out]
        red = [next(parts) for _ in old.red]
        if old.kind == "input":
            return self.new.input(old.name, extents, old.dtype)
        if old.kind in ("state", *SCANS):
            return self.new.recurrence(old.kind, extents, old.entry, [self.tensors[s] for s in old.links])
        return self.new.define(old.kind, out, red, bodies, target, extents, old.name)


def copy_with(
    g: Graph,
    roots: Sequence[TensorId],
    on_tensor: TensorHook | None = None,
    on_node: NodeHook | None = None,
    stabilise: bool | None = None,
    orders: Mapping[TensorId, tuple[int, ...]] | None = None,
) -> tuple[Graph, dict[TensorId, TensorId]]:
    """A new graph with everything `roots` need, and the map from old to new tensors.

    on_tensor(copy, t) may return the replacement of a definition (None: copy it).
    on_node(copy, t, old, new) may replace a node of a body after it was copied.
    orders     permutations of the axes of some tensors, applied where they are read.
    stabilise  whether the new graph applies stability rewrites (None: as the old one).
    """
    copy = Copy(g, g.stabilise if stabilise is None else stabilise, orders or {})
    for t in g.definitions_below(roots):
        replacement = on_tensor(copy, t) if on_tensor is not None else None
        copy.tensors[t] = copy.tensor(t, on_node) if replacement is None else replacement
    return copy.new, copy.tensors


def linked(g: Graph, tensors: Sequence[TensorId]) -> set[TensorId]:
    """Tensors that a scan is made of: like outputs, they stay definitions with their axes in order."""
    return {s for t in tensors for s in g.tensors[t].links}
