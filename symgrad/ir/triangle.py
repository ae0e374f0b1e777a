"""The lower triangle of a tensor whose axes are two halves of equal extents, in row-major order."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node
from symgrad.ir.ops import OPS
from symgrad.ir.tensor import Tensor

# Up to two operations give the same number in both triangles for less than a second store; from three
# on, a fused multiply-add may round one of two products only.
_EXACT = 2


def triangle_conditions(g: Graph, first: Sequence[Node], second: Sequence[Node]) -> tuple[Node, ...]:
    """Conditions for (first) >= (second): of the leading axes, which loops can use, and of the whole.

    The last condition says everything; one that is its own consequence (vectors) stands alone.
    """
    pairs = [(p, q) for p, q in zip(first, second, strict=True) if g.extent(p) != g.one]
    if not pairs:
        return (g.true,)
    place = g.const(0)
    for p, q in pairs:
        place = g.iadd(g.imul(place, g.extent(p)), g.isub(p, q))
    leading = g.ige0(g.isub(*pairs[0]))
    return (leading,) if len(pairs) == 1 else (leading, g.ige0(place))


def swap_of(first: Sequence[Node], second: Sequence[Node]) -> dict[Node, Node]:
    """The substitution that exchanges the halves."""
    return dict(zip((*first, *second), (*second, *first), strict=True))


def is_symmetric_sum(g: Graph, tensor: Tensor) -> bool:
    """True for a sum that stays as it is written when its halves of axes are exchanged."""
    half = len(tensor.out) // 2
    first, second = tensor.out[:half], tensor.out[half:]
    if not half or len(tensor.out) % 2 or tensor.kind != "sum" or not _same_extents(g, first, second):
        return False
    return g.substitute(tensor.body, swap_of(first, second)) == tensor.body


def mirrored_entry(g: Graph, out: Sequence[Node], body: Node) -> Node | None:
    """E if `body` over the axes `out` is to be computed for first >= second alone, None if everywhere.

    That is where(first >= second, E[first, second], E[second, first]), and what is written symmetric.
    """
    half = len(out) // 2
    first, second = out[:half], out[half:]
    if not half or len(out) % 2 or not _same_extents(g, first, second):
        return None
    swap = swap_of(first, second)
    if g.op[body] == "where" and g.args[body][0] == triangle_conditions(g, first, second)[-1]:
        _, entry, other = g.args[body]
        return entry if g.substitute(entry, swap) == other else None
    return body if _operations(g, first, second, body) > _EXACT and g.substitute(body, swap) == body else None


def _operations(g: Graph, first: Sequence[Node], second: Sequence[Node], body: Node) -> int:
    """The price of what depends on both halves."""
    p, q = frozenset(first), frozenset(second)
    both = (n for n in g.reachable((body,)) if g.op[n] in OPS and g.axes[n] & p and g.axes[n] & q)
    return sum(OPS[g.op[n]].cost for n in both)


def _same_extents(g: Graph, first: Sequence[Node], second: Sequence[Node]) -> bool:
    return all(g.extent(p) == g.extent(q) for p, q in zip(first, second, strict=True))
