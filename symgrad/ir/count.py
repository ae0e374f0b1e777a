"""Operation counts of definitions, before any schedule: what a program costs on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.ir.evaluate import evaluate_size
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.ops import OPS

_FREE = frozenset(("cast", "and", "or", "not", "mask", "where", "lt", "le", "eq", "ne"))


def operations(g: Graph, roots: Sequence[TensorId], sizes: Mapping[str, int]) -> int:
    """Arithmetic operations and function calls needed for `roots`.

    Each distinct value counts once per point of its own axes; a reduction one more per point of
    its loops. Selections and predicates choose, they do not compute: not counted.
    """
    total = 0
    outside: set[Node] = set()  # values without axes are computed once for all definitions
    for t in g.definitions_below(roots):
        tensor = g.tensors[t]
        if tensor.kind == "input":
            continue
        for n in g.reachable(tensor.bodies):
            if g.op[n] not in OPS or g.op[n] in _FREE:
                continue
            if not g.axes[n]:
                outside.add(n)
            else:
                total += _points(g, sorted(g.axes[n]), sizes)
        if tensor.red:
            points = _points(g, [*tensor.out, *tensor.red], sizes)
            total += points * (3 if tensor.kind == "logsumexp" else 1)
        if tensor.kind in ("det", "inverse"):  # elimination: 2/3 n^3 and 2 n^3
            i, j = tensor.red or tensor.out[-2:]
            n = _points(g, [i], sizes)
            total += _points(g, [*tensor.out, *tensor.red], sizes) * n * (2 if tensor.kind == "inverse" else 1)
    return total + len(outside)


def _points(g: Graph, axes: Sequence[Node], sizes: Mapping[str, int]) -> int:
    count = 1
    for a in axes:
        count *= max(evaluate_size(g, g.extent(a), sizes), 0)
    return count
