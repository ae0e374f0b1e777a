"""Divisions and roots that an outer loop repeats: x[i, j] - s[j]/n divides for every i what only j changes.

Compilers take out of the innermost loop what it does not change. What it does change, but a loop around it
does not, they compute in every turn of that one; stored, it is computed once (`opt.passes.share`).
"""

from __future__ import annotations

from collections import Counter
from math import prod

from symgrad.ir.bounds import typical
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.ops import OPS

_DIVISION = 4  # of `Op.cost`: what takes less is done again rather than stored
_MANY = 8  # turns of the loops around, typically; for fewer it is not worth storing


def unvarying(g: Graph, t: TensorId) -> set[Node]:
    """The largest parts of the bodies of `t` with a division, of the innermost loop, but not of all loops."""
    tensor = g.tensors[t]
    loops = frozenset((*tensor.out, *tensor.red))
    inner = _innermost(g, t, loops) if len(loops) > 1 else None
    if inner is None:
        return set()
    order = g.reachable(tensor.bodies)
    dear: set[Node] = set()
    for n in order:
        row = OPS.get(g.op[n])
        if row is not None and (row.cost >= _DIVISION or any(c in dear for c in g.children(n))):
            dear.add(n)
    found: set[Node] = set()
    inside: set[Node] = set()
    for n in reversed(order):
        is_part = (
            n in dear and g.kind[n] == "real" and inner in g.axes[n] and _is_repeated(g, loops - g.axes[n])
        )
        if is_part and n not in inside:
            found.add(n)
        if is_part or n in inside:
            inside.update(g.children(n))
    return found


def _is_repeated(g: Graph, others: frozenset[Node]) -> bool:
    """Whether loops over these axes have many turns."""
    return prod(typical(g, g.extent(a)) for a in others) >= _MANY


def _innermost(g: Graph, t: TensorId, loops: frozenset[Node]) -> Node | None:
    """The axis that most of the largest reads walk with stride one."""
    reads = [n for n in g.reads_of(t) if len(g.args[n]) > 1]
    most = max((len(g.axes[n] & loops) for n in reads), default=0)
    last = Counter(g.args[n][-1] for n in reads if len(g.axes[n] & loops) == most and g.args[n][-1] in loops)
    return last.most_common(1)[0][0] if last else None
