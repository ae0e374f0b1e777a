"""Definitions in branches that may not be taken: what must not be computed there is guarded by itself.

A matrix function has a matrix that has a result, where its own is not needed:

    where(p, log_det(A), x)   is   where(p, log_det(where(p, A, D)), x)     D = diag(1, 2, .., n)

so that a matrix without a factorisation is an error only where its function is needed; value and derivatives
of the branch that is not taken are finite, and their masks leave nothing of them. D has an inverse, a
Cholesky factor, and distinct eigenvalues and singular values. A call that is needed without a condition, or
under different ones, stays as it is. A condition on entries, as in a sum, counts as the question whether it
holds for any of them. A function that has a value for every matrix is guarded too: its derivative may not.

A recurrence does nothing where it is not needed: its first values and its steps are 0 there, what the steps
call is guarded, and a search for the solution of an equation that has none is no error. The derivatives are
0 and not nan, because the masks are inside:

    where(p, scan(first, step), x)   is   where(p, scan(mask(p, first), mask(p, step)), x)

So does one that runs for all places on an axis, where the condition is about the place; and one in the step
of another, where a condition on the state of that one does not hold.

A definition that reads arrays at places which exist only where conditions on its own indices hold reads
nothing elsewhere:

    [k >= l] f(sum over q of x[k - l + q])   is   [k >= l] f(sum over q of [k >= l] x[k - l + q])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symgrad.ir.bounds import facts_of, is_index_predicate, read_is_in_range
from symgrad.ir.check import unproven_reads
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.scan import (
    Scan,
    close_scan,
    dependents,
    has_place,
    is_scan,
    outer_definitions,
    outer_sources,
    scan_of,
)

Conditions = frozenset[Node]


def guard(g: Graph, value: TensorId) -> TensorId:
    """The definition `value`; those below it are guarded by the conditions under which they are needed."""
    order = outer_definitions(g, (value,))
    doubtful = _doubtful_reads(g, value)
    if not doubtful and not any(g.tensors[t].kind == "call" or is_scan(g, t) for t in order):
        return value
    needed = _conditions(g, order, (value,))
    moved: dict[TensorId, TensorId] = {}
    for t in order:
        if not is_scan(g, t):
            _move(g, t, needed.get(t, frozenset()), doubtful.get(t, ()), moved)
        elif t not in moved:
            _move_scan(g, t, needed, moved)
    return moved.get(value, value)


def _move(
    g: Graph, t: TensorId, needed: Conditions, doubtful: Sequence[Node], moved: dict[TensorId, TensorId]
) -> None:
    """A definition again if it is guarded, or made of definitions that are."""
    tensor = g.tensors[t]
    stale = [r for r in g.reads_of(t) if g.args[r][0] in moved]
    reads = {r: g.read(moved[g.args[r][0]], *g.args[r][1:]) for r in stale}
    bodies = _guarded(g, t, needed, doubtful)
    if not reads and bodies == tensor.bodies:
        return
    bodies = tuple(g.substitute_all(bodies, reads))
    target = g.substitute_all(tensor.target, reads)
    extents = tensor.extents if tensor.kind == "scatter" else ()
    moved[t] = g.define(tensor.kind, tensor.out, tensor.red, bodies, target, extents, tensor.name)


def _move_scan(
    g: Graph, t: TensorId, needed: Mapping[TensorId, Conditions], moved: dict[TensorId, TensorId]
) -> None:
    """All trajectories of a recurrence again, likewise; also those of recurrences in its step."""
    scan = scan_of(g, t)
    conditions = _on_scan(g, scan, frozenset.intersection(*(needed[r] for r in scan.results if r in needed)))
    step = dependents(g, scan.steps, scan.states)
    inner = {s for s in step if is_scan(g, s)}
    if not conditions and not inner and not any(s in moved for s in outer_sources(g, t)):
        return
    inside, fixed = dict(moved), _fixed(g, conditions)
    needed_there = _conditions(g, step, scan.steps, in_step=True) if inner else {}
    for s in step:
        if s not in inner:
            _move(g, s, fixed, (), inside)
        elif s not in inside:
            _move_scan(g, s, needed_there, inside)
    if not conditions and not any(s in inside for s in (*step, *outer_sources(g, t))):
        return
    firsts = [_masked(g, inside.get(s, s), conditions, 1) for s in scan.firsts]
    steps = [_masked(g, inside.get(s, s), conditions, 0) for s in scan.steps]
    moved.update(zip(scan.results, close_scan(g, scan.states, firsts, steps, scan.lag), strict=True))


def _on_scan(g: Graph, scan: Scan, needed: Conditions) -> Conditions:
    """The conditions that a recurrence is guarded by: without axes, or about those it runs over.

    Conditions on sizes are not worth a mask: without elements, loops have no turns.
    """
    kept = [p for p in needed if not is_index_predicate(g, p)]
    used = frozenset[Node]().union(*(g.axes[p] for p in kept))
    places = [k for k, a in enumerate(_axes_of(g, scan.results[0])) if a in used]
    own = {_axes_of(g, scan.results[0])[k] for k in places if k and has_place(g, scan, k)}
    return frozenset(p for p in kept if g.axes[p] <= own)


def _axes_of(g: Graph, t: TensorId) -> tuple[Node, ...]:
    """The axes that conditions about the places of a definition are over; of a recurrence, one for each."""
    tensor = g.tensors[t]
    return tuple(map(g.axis, range(tensor.rank), tensor.extents)) if is_scan(g, t) else tensor.out


def _masked(g: Graph, t: TensorId, conditions: Conditions, left_out: int) -> TensorId:
    """A first value, which has no time (1 place is left out), or a step; 0 where the conditions do not hold.

    Of a step that ends where a condition of its own fails, only the arm that goes on: it still ends there.
    """
    if not conditions:
        return t
    holds, tensor = conjunction(g, sorted(conditions, key=g.order_key)), g.tensors[t]
    is_ending = tensor.kind == "map" and g.op[tensor.body] == "where"
    axes = tensor.out if is_ending else tuple(g.fresh_axis(e) for e in tensor.extents)
    there = {g.axis(k, g.extent(a)): a for k, a in enumerate(axes, left_out)}
    holds = g.substitute(holds, there)
    if is_ending:
        going, after, before = g.args[tensor.body]
        return g.define("map", axes, (), g.where(going, g.mask(holds, after), before))
    return g.define("map", axes, (), g.mask(holds, g.read(t, *axes)))


def _fixed(g: Graph, conditions: Conditions) -> Conditions:
    """Those without axes."""
    return frozenset(p for p in conditions if not g.axes[p])


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
        fixed = _fixed(g, needed)
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


def _conditions(
    g: Graph, order: Sequence[TensorId], roots: Iterable[TensorId], in_step: bool = False
) -> dict[TensorId, Conditions]:
    """Of each definition, the conditions that hold wherever it is needed.

    order    the definitions, ascending; `roots` are needed as they are.
    in_step  they are those of the step of a recurrence: nothing is asked of several times at once.
    """
    needed: dict[TensorId, Conditions] = dict.fromkeys(roots, frozenset())

    def meet(t: TensorId, conditions: Conditions) -> None:
        needed[t] = needed[t] & conditions if t in needed else conditions

    for t in reversed(order):
        if is_scan(g, t):  # made as a whole
            for s in outer_sources(g, t):
                meet(s, _fixed(g, needed[t]))
            continue
        for read, conditions in _conditions_of_reads(g, t, in_step).items():
            meet(g.args[read][0], _said_of(g, read, needed[t] | conditions))
    return needed


def _said_of(g: Graph, read: Node, conditions: Conditions) -> Conditions:
    """Those of `conditions` that are about the axes of what is read, or about none: in these axes."""
    t, *index = g.args[read]
    tensor = g.tensors[t]
    own = index[1:] if tensor.kind == "enum" else index
    names = {i: a for i, a in zip(own, _axes_of(g, t), strict=False) if g.op[i] == "axis"}
    kept = [p for p in conditions if g.axes[p] <= names.keys()]
    return frozenset(g.substitute_all(kept, names))


def _conditions_of_reads(g: Graph, t: TensorId, in_step: bool) -> dict[Node, Conditions]:
    """Of each read in a definition, the conditions on every way to it."""
    tensor = g.tensors[t]
    held: dict[Node, Conditions] = dict.fromkeys((*tensor.bodies, *tensor.target), frozenset())
    below = g.reachable(held)
    for n in reversed(below):
        predicate, *arms = g.args[n] if g.op[n] in ("where", "mask") else (-1,)
        for k, child in enumerate(g.children(n)):
            more = held[n]
            if arms and k > 0:
                more |= _told(g, predicate if k == 1 else g.node("not", predicate), held[n], in_step)
            held[child] = held[child] & more if child in held else more
    return {n: held[n] for n in below if g.op[n] == "read" and g.tensors[g.args[n][0]].kind != "input"}


def _told(g: Graph, predicate: Node, held: Conditions, in_step: bool) -> Conditions:
    """The conditions that a conjunction is made of; of those on entries, also whether any is like that.

    held  conditions that hold besides: entries outside of them are not looked at.
    """
    parts = conjuncts(g, predicate)
    told = [p for p in parts if not g.axes[p] or is_index_predicate(g, p)]
    if in_step:
        return frozenset(parts)
    known = {p for p in (*held, *told) if g.axes[p] and is_index_predicate(g, p)}
    where = sorted(known, key=g.order_key)
    return frozenset((*parts, *(_anywhere(g, conjunction(g, [*where, p])) for p in parts if p not in told)))


def _anywhere(g: Graph, predicate: Node) -> Node:
    """Whether a condition holds for any value of its axes."""
    own = {a: g.fresh_axis(g.extent(a)) for a in sorted(g.axes[predicate], key=g.order_key)}
    count = g.define("sum", (), tuple(own.values()), g.mask(g.substitute(predicate, own), g.one))
    return g.node("lt", g.zero, g.read(count))
