"""Sums over the states of a recurrence are taken while it runs, where that is all its trajectory is for.

    r[t] = d*r[t + 1]                       r = d*r;  s[t] = sum over j of r[j]
    s[t] = sum over j of r[t + 1, j]   becomes

Nothing but the state of one time is kept then. A sum that is a matrix product for all times at once stays.
Source: Griewank & Walther 2008, Evaluating Derivatives, section 3.2 (adjoints in place: what they are needed
for is incremented as they go).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symgrad.errors import IllegalProgram
from symgrad.ir.contraction import terms_of
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms
from symgrad.ir.scan import (
    ReadRule,
    Scan,
    clocks,
    close_scan,
    dependents,
    is_scan,
    moved,
    new_state,
    outer_definitions,
    rebuilt,
    same_place,
    scan_of,
)
from symgrad.opt.together import with_others
from symgrad.records import dataclass

_MOST = 16  # recurrences that are looked at


@dataclass(frozen=True)
class _Total:
    """A definition that sums the states of one time each.

    axis   its axis that goes over the times.
    place  the place on that axis of the total for each step, over the axis `time` of steps.
    """

    tensor: TensorId
    axis: Node
    place: Node
    time: Node


def totals(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such sums as further states of their recurrences."""
    place = {t: t for t in g.definitions_below(roots)}
    for _ in range(_MOST):
        others = next(_replaced(g, [place[t] for t in roots]), None)
        if others is None:
            break
        g, gone = with_others(g, [place[t] for t in roots], others)
        place = {t: gone[s] for t, s in place.items() if s in gone}
    return g, place


def _replaced(g: Graph, roots: Sequence[TensorId]) -> Iterator[dict[TensorId, TensorId]]:
    """What stands for a recurrence and the sums over its states, one recurrence at a time."""
    order = outer_definitions(g, roots)
    for scan in list(dict.fromkeys(scan_of(g, t) for t in order if is_scan(g, t)))[:_MOST]:
        found = _totals_of(g, scan, order, roots)
        if found:
            made = _with_totals(g, scan, found)
            if made is not None:
                yield made


def _totals_of(g: Graph, scan: Scan, order: Sequence[TensorId], roots: Sequence[TensorId]) -> list[_Total]:
    """The sums, if nothing else reads the trajectories but at their ends."""
    if set(scan.results) & set(roots) or any(_may_halt(g, step) for step in scan.steps):
        return []
    end = g.zero if scan.lag else scan.length
    found = []
    for t in order:
        reads = [r for r in g.reads_of(t) if g.args[r][0] in scan.results]
        if is_scan(g, t) and set(scan.results) & set(g.tensors[t].links) and t not in scan.results:
            return []
        if not reads or all(g.args[r][1] == end for r in reads):
            continue
        total = _total(g, scan, t, reads)
        if total is None:
            return []
        found.append(total)
    return found


def _may_halt(g: Graph, step: TensorId) -> bool:
    """Whether a step has conditions, under which it may do nothing (`loops.halting`)."""
    tensor = g.tensors[step]
    terms = [term for body in tensor.bodies for _, term in additive_terms(g, body)]
    return tensor.kind != "map" or any(g.op[term] in ("where", "mask") for term in terms)


def _total(g: Graph, scan: Scan, t: TensorId, reads: Sequence[Node]) -> _Total | None:
    tensor = g.tensors[t]
    own = {s for s in g.sources_of(t) if s not in scan.results}
    if tensor.kind != "sum" or terms_of(g, tensor) or dependents(g, own, scan.results):
        return None
    places = {g.args[r][1] for r in reads}
    if len(places) != 1 or any(len(tensor.out) >= g.tensors[g.args[r][0]].rank for r in reads):
        return None
    time = g.fresh_axis(scan.length)
    now = g.iadd(time, g.const(scan.lag))
    last = g.iadd(scan.length, g.minus_one)
    for axis in tensor.out:
        for place in (time, g.isub(last, time)):
            if g.extent(axis) == scan.length and g.substitute(min(places), {axis: place}) == now:
                return _Total(t, axis, place, time)
    return None


def _with_totals(g: Graph, scan: Scan, found: Sequence[_Total]) -> dict[TensorId, TensorId] | None:
    """The recurrence with further states, and what is read of them."""
    states = [new_state(g, scan.length, g.tensors[s].extents[1:]) for s in scan.states]
    steps = rebuilt(g, scan.steps, _same_places(g, scan.states, states))
    firsts = list(scan.firsts)
    more = []
    for total in found:
        tensor = g.tensors[total.tensor]
        rest = [a for a in tensor.out if a != total.axis]
        extents = [g.extent(a) for a in rest]
        states.append(new_state(g, scan.length, extents))
        firsts.append(g.define("map", [g.fresh_axis(e) for e in extents], (), g.zero))
        (body,) = moved(g, tensor.bodies, _same_places(g, scan.results, states), {})
        body = g.substitute(body, {total.axis: total.place})
        more.append(g.define("sum", (total.time, *rest), tensor.red, body))
    results = close_scan(g, states, firsts, [*(steps.get(t, t) for t in scan.steps), *more], scan.lag)
    try:
        clocks(g, scan_of(g, results[0]))
    except IllegalProgram:  # of another time than its own
        return None
    others = dict(zip(scan.results, results, strict=False))
    for total, result in zip(found, results[len(scan.results) :], strict=True):
        others[total.tensor] = _read_at_times(g, total, result, scan)
    return others


def _same_places(g: Graph, old: Sequence[TensorId], new: Sequence[TensorId]) -> dict[TensorId, ReadRule]:
    return {a: same_place(g, b) for a, b in zip(old, new, strict=False)}


def _read_at_times(g: Graph, total: _Total, result: TensorId, scan: Scan) -> TensorId:
    """The totals in the order of the definition that they stand for: what step t makes is at t + 1 - lag."""
    tensor = g.tensors[total.tensor]
    forward = total.place == total.time
    last = g.iadd(scan.length, g.minus_one)
    step = total.axis if forward else g.isub(last, total.axis)
    rest = [a for a in tensor.out if a != total.axis]
    value = g.read(result, g.iadd(step, g.const(1 - scan.lag)), *rest)
    return g.define("map", tensor.out, (), value)
