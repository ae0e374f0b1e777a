"""Second derivatives computed once: a Hessian is symmetric (Schwarz), which differentiation does not see.

Reverse mode stores `s'(z[i])*X[i, p]` before it is multiplied by `X[i, q]`, so the sum over i does not look
symmetric in p and q. Here sums of a diagonal block are restricted to p >= q, where lowering finds a loop
bound, and the block becomes `where(p >= q, H[p, q], H[q, p])`: exactly symmetric. A block above the
diagonal becomes the transpose of the one below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction
from symgrad.ir.tensor import Tensor
from symgrad.ir.triangle import is_symmetric_sum, swap_of, triangle_conditions
from symgrad.ir.unit import Mirror, Unit


def computed_once(unit: Unit) -> Unit:
    """The unit with every pair of mirrored outputs computed once; the same unit where there is none."""
    g, made = unit.graph, {}
    for m in unit.mirrors:
        first, second, entry = _halves(g, m)
        if m.tensor != m.source:
            replacement = _transposed(g, m, first, second, entry)
        elif len(first) != len(second) or is_symmetric_sum(g, g.tensors[m.source]):
            continue  # two blocks that are one tensor already; a sum that lowering computes once as it is
        else:
            replacement = _symmetric(g, first, second, entry)
        if replacement is not None:
            made[m.tensor] = replacement
    outputs = tuple((name, made.get(t, t)) for name, t in unit.outputs)
    return Unit(g, unit.inputs, outputs) if made else unit


def _halves(g: Graph, m: Mirror) -> tuple[list[Node], list[Node], Node]:
    """Fresh axes for both halves of the source, and its entry there."""
    axes = [g.fresh_axis(e) for e in g.tensors[m.source].extents]
    source = g.tensors[m.source]
    if source.kind == "map":
        entry = g.substitute(source.body, dict(zip(source.out, axes, strict=True)))
    else:
        entry = g.read(m.source, *axes)
    return axes[: m.split], axes[m.split :], entry


def _transposed(g: Graph, m: Mirror, first: list[Node], second: list[Node], entry: Node) -> TensorId | None:
    """u[q, p] = t[p, q], unless every entry is one number."""
    if g.op[entry] == "const":
        return None
    return g.define("map", (*second, *first), (), g.read(m.source, *first, *second))


# ---- a block by itself ---------------------------------------------------------------------------------


def _symmetric(g: Graph, first: list[Node], second: list[Node], entry: Node) -> TensorId:
    """where(p >= q, E[p, q], E[q, p]) with the sums in E restricted to p >= q.

    Even where E is written symmetric: a fused multiply-add rounds one of two products only.
    """
    lower = triangle_conditions(g, first, second)
    entry = _restricted(g, entry, first, second, lower)
    body = g.where(lower[-1], entry, g.substitute(entry, swap_of(first, second)))
    return g.define("map", (*first, *second), (), body)


def _restricted(
    g: Graph, entry: Node, first: Sequence[Node], second: Sequence[Node], lower: tuple[Node, ...]
) -> Node:
    """`entry` reading sums that are 0 above the diagonal, where nothing reads them."""
    places: dict[TensorId, set[tuple[Node, ...]]] = {}
    for r in g.reads((entry,)):
        places.setdefault(g.args[r][0], set()).add(g.args[r][1:])
    replaced: dict[Node, Node] = {}
    for t, indices in places.items():
        (index, *more) = indices
        inside = [c for c in lower if g.axes[c] and g.axes[c] <= frozenset(index)]
        if more or not inside or len(set(index)) < len(index) or not _wants_bounds(g, g.tensors[t]):
            continue
        replaced[g.read(t, *index)] = g.read(_masked(g, t, index, inside), *index)
    return g.substitute(entry, replaced)


def _wants_bounds(g: Graph, tensor: Tensor) -> bool:
    return tensor.kind == "sum" and not is_symmetric_sum(g, tensor)


def _masked(g: Graph, t: TensorId, index: Sequence[Node], conditions: Iterable[Node]) -> TensorId:
    tensor = g.tensors[t]
    at = dict(zip(index, tensor.out, strict=True))
    condition = conjunction(g, [g.substitute(c, at) for c in conditions])
    return g.define(tensor.kind, tensor.out, tensor.red, g.mask(condition, tensor.body))
