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


def unvarying(g: Graph, t: TensorId) -> dict[Node, bool]:
    """The outermost divisions and functions of fewer axes than `t` has loops: whether of the innermost one.

    A sum of products around them would be rounded otherwise stored than in place, where products are fused
    with sums. And what is stored of one index has to be stored of all: else Hessians would not be exactly
    symmetric.
    """
    tensor = g.tensors[t]
    loops = frozenset((*tensor.out, *tensor.red))
    inner = innermost(g, t, loops) if len(loops) > 1 else None
    if inner is None:
        return {}
    found: dict[Node, bool] = {}
    inside: set[Node] = set()
    for n in reversed(g.reachable(tensor.bodies)):
        row = OPS.get(g.op[n])
        is_dear = row is not None and row.cost >= _DIVISION and bool(g.axes[n])
        if is_dear and n not in inside and is_repeated(g, loops - g.axes[n]):
            found[n] = inner in g.axes[n]
        if n in found or n in inside:
            inside.update(g.children(n))
    return found


def is_repeated(g: Graph, others: frozenset[Node]) -> bool:
    """Whether loops over these axes have many turns."""
    return prod(typical(g, g.extent(a)) for a in others) >= _MANY


def innermost(g: Graph, t: TensorId, loops: frozenset[Node]) -> Node | None:
    """The axis that most reads in all loops walk with stride one; where there are none, that of a map."""
    tensor = g.tensors[t]
    places = [g.args[n][-1] for n in g.reads_of(t) if g.axes[n] >= loops]
    last = Counter(i for i in places if i in loops)
    if not last:
        return tensor.out[-1] if not tensor.red and not places else None
    (best, _), *_ = last.most_common(1)
    return int(best)
