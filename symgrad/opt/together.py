"""Recurrences of which one follows the other become one.

    x[t+1] = f(x[t])                          (x, v)[t+1] = f(x[t]), f'(x[t])*v[t]
    v[t+1] = f'(x[t])*v[t]       becomes

A tangent reads the states of its primal, each at its own time, in one direction. Run one after the other, the
first would store all its states for the second, and what the steps have in common would be computed twice.
Together, they keep a state, leave the loop together, and one fills the waits of the other.

Not where a sum lies between the two: for all times at once it may be a matrix product.
Source: Griewank & Walther 2008, Evaluating Derivatives, section 3.1 (tangents along with values).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from symgrad.errors import IllegalProgram
from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.scan import (
    Scan,
    clocks,
    close_scan,
    dependents,
    is_scan,
    new_state,
    outer_definitions,
    rebuilt,
    same_place,
    scan_of,
)
from symgrad.opt.rebuild import Copy

_MOST_PAIRS = 64  # that are looked at


def together(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with each recurrence that follows another one in the loop of that one."""
    place = {t: t for t in g.definitions_below(roots)}
    while (merged := next(_merged_pairs(g, [place[t] for t in roots]), None)) is not None:
        g, moved = with_others(g, [place[t] for t in roots], merged)
        place = {t: moved[s] for t, s in place.items() if s in moved}
    return g, place


def with_others(
    g: Graph, roots: Sequence[TensorId], others: Mapping[TensorId, TensorId]
) -> tuple[Graph, dict[TensorId, TensorId]]:
    """A copy in which other tensors stand for some, and the map from old to new ones."""
    copy = Copy(g, g.stabilise, {})
    for t in (*g.definitions_below(others.values()), *g.definitions_below(roots)):
        if t not in copy.tensors:
            copy.tensors[t] = copy.tensors[others[t]] if t in others else copy.tensor(t)
    return copy.new, copy.tensors


def _merged_pairs(g: Graph, roots: Sequence[TensorId]) -> Iterator[dict[TensorId, TensorId]]:
    """For two recurrences that can be one: their trajectories, and those of that one."""
    scans = dict.fromkeys(scan_of(g, t) for t in outer_definitions(g, roots) if is_scan(g, t))
    pairs = [(a, b) for b in scans for a in scans if a is not b and (a.length, a.lag) == (b.length, b.lag)]
    for first, second in pairs[:_MOST_PAIRS]:
        results = _in_one(g, first, second)
        if results is not None:
            yield dict(zip((*first.results, *second.results), results, strict=True))


def _in_one(g: Graph, first: Scan, second: Scan) -> tuple[TensorId, ...] | None:
    """One recurrence for two; None where the second does not follow the first step by step."""
    between = dependents(g, (*second.firsts, *second.steps), first.results)
    own = dependents(g, second.steps, second.states)
    if not between or any(t in second.firsts or is_scan(g, t) for t in between):
        return None
    if any(g.tensors[t].kind != "map" for t in between if t not in own):
        return None
    states = [new_state(g, first.length, g.tensors[s].extents[1:]) for s in (*first.states, *second.states)]
    leading, following = states[: len(first.states)], states[len(first.states) :]
    steps = [
        *_steps_on(g, first, dict(zip(first.states, leading, strict=True))),
        *_steps_on(
            g, second, dict(zip((*first.results, *second.states), (*leading, *following), strict=True))
        ),
    ]
    results = close_scan(g, states, (*first.firsts, *second.firsts), steps, first.lag)
    try:
        clocks(g, scan_of(g, results[0]))
    except IllegalProgram:  # the second reads the first at another time than its own
        return None
    return results


def _steps_on(g: Graph, scan: Scan, moves: Mapping[TensorId, TensorId]) -> list[TensorId]:
    """The steps of a recurrence, reading other tensors at the same places."""
    made = rebuilt(g, scan.steps, {old: same_place(g, new) for old, new in moves.items()})
    return [made.get(t, t) for t in scan.steps]
