"""Direction cosines of arrays as the quotients that they are, sums of them with the length outside.

An operation of their own is for derivatives (`grad.norms`): here x/h is a quotient like others, which meets
what it is multiplied and divided by.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import reduce
from symgrad.opt.rebuild import Copy, copy_with


def cosines_as_quotients(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions without cosines of sides over norms of sums."""
    below = g.definitions_below(roots)
    found = {t for t in below if any(_is_cosine(g, n) for n in g.reachable(g.tensors[t].bodies))}
    if not found:
        return g, {t: t for t in below}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        return copy.new.div(*copy.new.args[new][::2]) if _is_cosine(copy.new, new) else new

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        if t not in found or g.tensors[t].kind != "sum":
            return None
        made = copy.tensor(t, on_node)
        tensor = copy.new.tensors[made]
        return copy.new.define("map", tensor.out, (), reduce(copy.new, "sum", tensor.red, tensor.body))

    return copy_with(g, roots, on_tensor, on_node)


def _is_cosine(g: Graph, n: Node) -> bool:
    return g.op[n] == "norm_cosine" and g.op[g.args[n][2]] == "scaled_norm"
