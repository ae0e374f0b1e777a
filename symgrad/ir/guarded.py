"""Definitions in branches that may not be taken: what must not be computed there is guarded by itself.

A matrix function has a matrix that has a result, where its own is not needed:

    where(p, log_det(A), x)   is   where(p, log_det(where(p, A, D)), x)     D = diag(1, 2, .., n)

so that a matrix without a factorisation is an error only where its function is needed; value and derivatives
of the branch that is not taken are finite, and their masks leave nothing of them. D has an inverse, a
Cholesky factor, and distinct eigenvalues and singular values. A call that is needed without a condition, or
under different ones, stays as it is, and so does one whose condition depends on an index. A function that has
a value for every matrix is guarded too: its derivative may have none.

A definition that reads arrays at places which exist only where conditions on its own indices hold reads
nothing elsewhere:

    [k >= l] f(sum over q of x[k - l + q])   is   [k >= l] f(sum over q of [k >= l] x[k - l + q])
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.bounds import facts_of, is_index_predicate, read_is_in_range
from symgrad.ir.check import unproven_reads
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix_functions import MATRIX_FUNCTIONS
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.scan import is_scan, outer_definitions, outer_sources

Conditions = frozenset[Node]


def guard(g: Graph, value: TensorId) -> TensorId:
    """The definition `value`; those below it are guarded by the conditions under which they are needed."""
    order = outer_definitions(g, (value,))
    doubtful = _doubtful_reads(g, value)
    if not doubtful and not any(g.tensors[t].kind == "call" for t in order):
        return value
    needed = _conditions(g, order, value)
    moved: dict[TensorId, TensorId] = {}
    for t in order:
        tensor = g.tensors[t]
        stale = [r for r in g.reads_of(t) if g.args[r][0] in moved]
        reads = {r: g.read(moved[g.args[r][0]], *g.args[r][1:]) for r in stale}
        bodies = _guarded(g, t, needed.get(t, frozenset()), doubtful.get(t, ()))
        if is_scan(g, t) or not (reads or bodies != tensor.bodies):
            continue
        bodies = tuple(g.substitute_all(bodies, reads))
        target = g.substitute_all(tensor.target, reads)
        extents = tensor.extents if tensor.kind == "scatter" else ()
        moved[t] = g.define(tensor.kind, tensor.out, tensor.red, bodies, target, extents, tensor.name)
    return moved.get(value, value)


def _doubtful_reads(g: Graph, value: TensorId) -> dict[TensorId, list[Node]]:
    """Of each definition, the reads that may leave their array for all its own conditions say."""
    found: dict[TensorId, list[Node]] = {}
    for place in unproven_reads(g, (value,)):
        if g.op[place.node] == "read":
            found.setdefault(place.tensor, []).append(place.node)
    return found


def _guarded(g: Graph, t: TensorId, needed: Conditions, doubtful: Sequence[Node]) -> tuple[Node, ...]:
    """The bodies of a definition of which nothing is needed where the conditions do not hold."""
    tensor = g.tensors[t]
    if not needed:
        return tensor.bodies
    if tensor.kind == "call":
        fixed = frozenset(p for p in needed if not g.axes[p])
        return (_other_matrix(g, t, tensor.bodies[0], fixed), *tensor.bodies[1:]) if fixed else tensor.bodies
    told = [p for p in sorted(needed, key=g.order_key) if is_index_predicate(g, p)]
    facts = [f for p in told for f in facts_of(g, p)]
    if tensor.kind == "scatter" or not any(read_is_in_range(g, r, facts) for r in doubtful):
        return tensor.bodies
    return tuple(g.mask(conjunction(g, told), body) for body in tensor.bodies)


def _other_matrix(g: Graph, t: TensorId, body: Node, conditions: Conditions) -> Node:
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
            meet(g.args[read][0], _said_of(g, read, needed[t] | conditions))
    return needed


def _said_of(g: Graph, read: Node, conditions: Conditions) -> Conditions:
    """Those of `conditions` that are about the axes of what is read, or about none: in these axes."""
    t, *index = g.args[read]
    tensor = g.tensors[t]
    own = index[1:] if tensor.kind == "enum" else index
    names = {i: a for i, a in zip(own, tensor.out, strict=False) if g.op[i] == "axis"}
    kept = [p for p in conditions if g.axes[p] <= names.keys()]
    return frozenset(g.substitute_all(kept, names))


def _conditions_of_reads(g: Graph, t: TensorId) -> dict[Node, Conditions]:
    """Of each read in a definition, the conditions on every way to it: without axes, or about indices."""
    tensor = g.tensors[t]
    held: dict[Node, Conditions] = dict.fromkeys((*tensor.bodies, *tensor.target), frozenset())
    below = g.reachable(held)
    for n in reversed(below):
        predicate, *arms = g.args[n] if g.op[n] in ("where", "mask") else (-1,)
        for k, child in enumerate(g.children(n)):
            more = held[n]
            if arms and k > 0:
                more |= _told(g, predicate if k == 1 else g.node("not", predicate))
            held[child] = held[child] & more if child in held else more
    return {n: held[n] for n in below if g.op[n] == "read" and g.tensors[g.args[n][0]].kind != "input"}


def _told(g: Graph, predicate: Node) -> Conditions:
    return frozenset(p for p in conjuncts(g, predicate) if not g.axes[p] or is_index_predicate(g, p))
