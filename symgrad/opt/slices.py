"""What is read of a map at one place of an axis is computed there, so that the map need not be kept for it.

The cotangent of the last state is one row of the cotangents of all states. Where these are made for tiles of
time only (`loops.tiles`), that row is not there when the recurrence back begins with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.opt.rebuild import Copy, copy_with

_SHORT = 16  # axes known to be shorter do not count
_MOST_ROUNDS = 8  # maps of maps of maps


def slices_inlined(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Reads of maps at a fixed place of a long axis become what stands there. `g` is and stays legal."""
    moved = {t: t for t in g.definitions_below(roots)}
    for _ in range(_MOST_ROUNDS):
        if not any(_is_slice(g, r) for t in g.definitions_below(roots) for r in g.reads_of(t)):
            break
        g, step = copy_with(g, roots, on_node=_inlined, stabilise=False)
        roots = [step[t] for t in roots]
        moved = {t: step[new] for t, new in moved.items() if new in step}
    return g, moved


def _inlined(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
    if copy.old.op[old] != "read" or not _is_slice(copy.old, old) or copy.new.op[new] != "read":
        return new
    source = copy.new.tensors[copy.new.args[new][0]]
    return copy.new.substitute(source.body, dict(zip(source.out, copy.new.args[new][1:], strict=True)))


def _is_slice(g: Graph, read: Node) -> bool:
    t, *index = g.args[read]
    tensor = g.tensors[t]
    if tensor.kind != "map":
        return False
    lengths = [g.rational(e) for e in tensor.extents]
    is_long = [length is None or length >= _SHORT for length in lengths]
    return any(long and not g.axes[i] for i, long in zip(index, is_long, strict=True))
