"""Matrix functions in branches that may not be taken: what is guarded is their argument, not their result.

    where(p, log_det(A), x)   is   where(p, log_det(where(p, A, D)), x)     D = diag(1, 2, .., n)

so that a matrix without a factorisation is an error only where its function is needed; value and derivatives
of the branch that is not taken are finite, and their masks leave nothing of them. D has an inverse, a
Cholesky factor, and distinct eigenvalues and singular values. A call that is needed without a condition, or
under different ones, stays as it is, and so does one whose condition depends on an index. A function that has
a value for every matrix is guarded too: its derivative may have none.
"""

from __future__ import annotations

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix_functions import MATRIX_FUNCTIONS
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.scan import is_scan, outer_definitions, outer_sources

Conditions = frozenset[Node]


def guard_calls(g: Graph, value: TensorId) -> TensorId:
    """The definition `value` with every call guarded by the conditions under which alone it is needed."""
    order = outer_definitions(g, (value,))
    if not any(g.tensors[t].kind == "call" for t in order):
        return value
    needed = _conditions(g, order, value)
    moved: dict[TensorId, TensorId] = {}
    for t in order:
        tensor = g.tensors[t]
        stale = [r for r in g.reads_of(t) if g.args[r][0] in moved]
        reads = {r: g.read(moved[g.args[r][0]], *g.args[r][1:]) for r in stale}
        is_guarded = tensor.kind == "call" and bool(needed[t])
        if is_scan(g, t) or not (reads or is_guarded):
            continue
        bodies = g.substitute_all(tensor.bodies, reads)
        target = g.substitute_all(tensor.target, reads)
        if is_guarded:
            bodies[0] = _guarded(g, t, bodies[0], needed[t])
        extents = tensor.extents if tensor.kind == "scatter" else ()
        moved[t] = g.define(tensor.kind, tensor.out, tensor.red, bodies, target, extents, tensor.name)
    return moved.get(value, value)


def _guarded(g: Graph, t: TensorId, body: Node, conditions: Conditions) -> Node:
    """The first operand of a call, diag(1, 2, ..) where the conditions do not hold."""
    tensor = g.tensors[t]
    i, j = tensor.red[: MATRIX_FUNCTIONS[tensor.name].ranks[0]]
    other = g.mask(g.ieq(i, j), g.cast(g.iadd(i, g.one)))
    holds = conjunction(g, sorted(conditions, key=g.order_key))
    return g.where(holds, body, other)


def _conditions(g: Graph, order: list[TensorId], value: TensorId) -> dict[TensorId, Conditions]:
    """Of each definition, the conditions that hold wherever it is needed."""
    needed: dict[TensorId, Conditions] = {value: frozenset()}

    def meet(t: TensorId, conditions: Conditions) -> None:
        needed[t] = needed[t] & conditions if t in needed else conditions

    for t in reversed(order):
        if is_scan(g, t):  # made as a whole: what is outside of it is needed
            for s in outer_sources(g, t):
                meet(s, frozenset())
            continue
        for read, conditions in _conditions_of_reads(g, t).items():
            meet(g.args[read][0], needed[t] | conditions)
    return needed


def _conditions_of_reads(g: Graph, t: TensorId) -> dict[Node, Conditions]:
    """Of each read in a definition, the conditions without axes on every way to it."""
    tensor = g.tensors[t]
    held: dict[Node, Conditions] = dict.fromkeys((*tensor.bodies, *tensor.target), frozenset())
    below = g.reachable(held)
    for n in reversed(below):
        predicate, *arms = g.args[n] if g.op[n] in ("where", "mask") else (-1,)
        for k, child in enumerate(g.children(n)):
            more = held[n]
            if arms and k > 0:
                more |= _without_axes(g, predicate if k == 1 else g.node("not", predicate))
            held[child] = held[child] & more if child in held else more
    return {n: held[n] for n in below if g.op[n] == "read"}


def _without_axes(g: Graph, predicate: Node) -> Conditions:
    return frozenset(p for p in conjuncts(g, predicate) if not g.axes[p])
