"""Recurrences as definitions: `H[0] = first`, `H[t + 1] = step[t]`, where `step[t]` reads `H` at `t`.

Or backwards in time, as their derivatives are: `H[T] = first`, `H[t] = step[t]`, where `step[t]` reads `H`
at `t + 1`.

A *state* is a tensor that stands for the trajectory of one state while the step is written down: its
extents are `(T + 1, ...)`. The step is made of ordinary definitions, in which time is an ordinary axis
and the states are read at that axis: `step[t, i] = tanh(sum over k of W[i, k]*state[t, k])`. So they
are shared, rewritten and differentiated like all others. A *scan* closes the circle: one tensor per
state, its whole trajectory, with links `(state, first, step)` to the tensors of all its states.

What does not read a state does not depend on the one before: it is computed for all times at once,
before the scan. What a scan needs step by step is found by `clocks`.

A scan in the step of another one, whose state it reads, has the time of that one as an ordinary axis as well:
`inner[k, t]` is the state after k turns in step t of the outer scan. The place of `t` is the same in all its
states. Outside of the step it is a scan for all t at once.

States are numbered by the nesting of scans, so that equal scans are one object and substitution in a
step never captures the state of another. Source: tensor_ir study, section 3.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from symgrad.errors import IllegalProgram
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.tensor import SCANS
from symgrad.records import dataclass

_LEVEL = 1 << 16  # canonical numbers of states: level * _LEVEL + position
_FRESH = 1 << 40  # numbers of states whose scan is not closed yet
ReadRule = Callable[[tuple[Node, ...]], Node]  # what a read at these indices becomes


@dataclass(frozen=True)
class Clock:
    """The place of time in a definition: axis `position` of the result, the bound axis `axis`.

    A scan binds no axes: there `axis` is 0.
    """

    position: int
    axis: Node


@dataclass(frozen=True)
class Scan:
    """A recurrence taken apart: one state, first value, step and trajectory per position.

    length  T, the number of steps.
    lag     step[t] reads the states at t + lag and gives those at t + 1 - lag: 0, backwards 1.
    """

    states: tuple[TensorId, ...]
    firsts: tuple[TensorId, ...]
    steps: tuple[TensorId, ...]
    results: tuple[TensorId, ...]
    length: Node
    lag: int


def new_state(g: Graph, length: Node, extents: Sequence[Node]) -> TensorId:
    """A state of its own: the trajectory, of extents (length + 1, *extents), of a scan to be closed."""
    return g.recurrence("state", (g.iadd(length, g.one), *extents), _FRESH + g.fresh_number())


def close_scan(
    g: Graph,
    states: Sequence[TensorId],
    firsts: Sequence[TensorId],
    steps: Sequence[TensorId],
    lag: int = 0,
) -> tuple[TensorId, ...]:
    """The trajectories of a recurrence, one per state; backwards in time with `lag` 1.

    firsts[k] has the extents of state k without time; steps[k] has time in front, of extent T.
    """
    length = g.isub(g.tensors[states[0]].extents[0], g.one)
    if g.rational(length) in (0, 1):
        return tuple(_unrolled(g, states, firsts, steps, lag))
    below = g.definitions_below((*firsts, *steps))
    numbers = [g.tensors[t].entry for t in below if g.tensors[t].kind == "state"]
    level = 1 + max((n // _LEVEL for n in numbers if n < _FRESH), default=0)
    own = [g.recurrence("state", g.tensors[s].extents, level * _LEVEL + k) for k, s in enumerate(states)]
    steps = rebased(g, steps, dict(zip(states, own, strict=True)))
    links = [t for triple in zip(own, firsts, steps, strict=True) for t in triple]
    return tuple(g.recurrence(SCANS[lag], g.tensors[s].extents, k, links) for k, s in enumerate(own))


def _unrolled(
    g: Graph, states: Sequence[TensorId], firsts: Sequence[TensorId], steps: Sequence[TensorId], lag: int
) -> Iterable[TensorId]:
    """No step or one: nothing to repeat (and an axis of extent 1 is no axis)."""
    rules = {s: _without_time(g, f) for s, f in zip(states, firsts, strict=True)}
    moved = rebuilt(g, steps, rules)
    for s, first, step in zip(states, firsts, steps, strict=True):
        axes = [g.fresh_axis(e) for e in g.tensors[s].extents]
        body = g.read(first, *axes[1:])
        if g.extent(axes[0]) != g.one:
            after = g.read(moved.get(step, step), g.zero, *axes[1:])
            body = g.where(g.ieq0(g.isub(axes[0], g.const(lag))), body, after)
        yield g.define("map", axes, (), body)


def _without_time(g: Graph, t: TensorId) -> ReadRule:
    return lambda index: g.read(t, *index[1:])


def is_scan(g: Graph, t: TensorId) -> bool:
    """Whether a tensor is a trajectory of a recurrence."""
    return g.tensors[t].kind in SCANS


def scan_of(g: Graph, t: TensorId) -> Scan:
    """The recurrence that a trajectory belongs to."""
    links, kind = g.tensors[t].links, g.tensors[t].kind
    states = links[0::3]
    results = tuple(g.recurrence(kind, g.tensors[s].extents, k, links) for k, s in enumerate(states))
    length = g.isub(g.tensors[t].extents[0], g.one)
    return Scan(states, links[1::3], links[2::3], results, length, SCANS.index(kind))


# ---- what belongs to a step --------------------------------------------------------------------


def dependents(g: Graph, roots: Iterable[TensorId], states: Iterable[TensorId]) -> list[TensorId]:
    """The tensors that `roots` need and that depend on one of `states`, ascending; the states left out.

    What stands inside the steps of other, closed scans is no part of it.
    """
    found = set(states)
    order = []
    for t in outer_definitions(g, roots):
        if t not in found and any(s in found for s in outer_sources(g, t)):
            found.add(t)
            order.append(t)
    return order


def clocks(g: Graph, scan: Scan, more: Iterable[TensorId] = ()) -> dict[TensorId, Clock]:
    """Where time is in each definition of a step (those that depend on its states), ascending.

    more  further tensors that depend on its states.
    Raises IllegalProgram where a definition reads what is not there yet: another time than its own.
    """
    return _followed(g, (*scan.steps, *more), dict.fromkeys(scan.states, (0, scan.lag)))


def clocks_around(
    g: Graph, scan: Scan, position: int, more: Iterable[TensorId] = ()
) -> dict[TensorId, Clock]:
    """Where the time of a recurrence around `scan` is in each definition of its step.

    position  of that time in the states of `scan`.
    """
    return _followed(g, (*scan.steps, *more), dict.fromkeys(scan.states, (position, 0)))


Places = Mapping[TensorId, tuple[int, int]]  # where a time is, and how much earlier it is than the index


def _followed(g: Graph, roots: Iterable[TensorId], start: Places) -> dict[TensorId, Clock]:
    """A time from the tensors in `start` on, through all definitions below `roots`."""
    places = dict(start)
    found: dict[TensorId, Clock] = {}
    for t in dependents(g, roots, start):
        clock = Clock(_place_in(g, scan_of(g, t), places), g.zero) if is_scan(g, t) else _clock(g, t, places)
        found[t] = clock
        places[t] = (clock.position, 0)
    return found


def _clock(g: Graph, t: TensorId, places: Places) -> Clock:
    tensor = g.tensors[t]
    times = set()
    for r in g.reads_of(t):
        s, *index = g.args[r]
        if s in places:
            position, lag = places[s]
            times.add(g.isub(index[position], g.const(lag)))
    axis = min(times)
    results = tensor.target if tensor.kind == "scatter" else tensor.out
    if len(times) != 1 or axis not in results:
        raise _of_another_time(t)
    position = results.index(axis) + (1 if tensor.kind == "enum" else 0)
    return Clock(position, axis)


def _of_another_time(t: TensorId) -> IllegalProgram:
    return IllegalProgram(
        f"the step of a recurrence reads a state at another time than its own (t{t})",
        because="a step may only use the state it starts from",
        try_="keep older values in the state as well",
    )


def _place_in(g: Graph, scan: Scan, places: Places) -> int:
    """Where a time is in the states of a recurrence that reads tensors in `places`: the same in all."""
    apart = _followed(g, scan.steps, places)  # as if the states did not know the time
    found = {places[t][0] + 1 for t in scan.firsts if t in places}
    found |= {places[t][0] for t in scan.steps if t in places}
    found |= {apart[t].position for t in scan.steps if t in apart}
    position = min(found)
    inside = _followed(g, scan.steps, {**places, **dict.fromkeys(scan.states, (position, 0))})
    if len(found) != 1 or any(t not in inside and t not in places for t in scan.steps):
        raise _of_another_time(scan.results[0])
    if any(inside[t].position != position for t in scan.steps if t in inside):
        raise _of_another_time(scan.results[0])
    return position


def has_place(g: Graph, scan: Scan, position: int) -> bool:
    """Whether a recurrence runs for every place on an axis of its states by itself."""
    if any(position >= g.tensors[s].rank for s in scan.states):
        return False
    try:
        inside = clocks_around(g, scan, position)
    except IllegalProgram:
        return False
    return all(inside[t].position == position for t in scan.steps if t in inside)


def frontier(g: Graph, scan: Scan) -> tuple[TensorId, ...]:
    """The tensors that the first values and the steps need from outside, ascending."""
    return outer_sources(g, scan.results[0])


def outer_sources(g: Graph, t: TensorId) -> tuple[TensorId, ...]:
    """The tensors a definition is made of; those of a scan come from outside of its steps."""
    links = g.tensors[t].links
    if not links:
        return tuple(g.sources_of(t))
    if links not in g.frontiers:
        for s in g.definitions_below((t,)):  # ascending, so that scans in the steps are known by then
            inner = g.tensors[s].links
            if inner and inner not in g.frontiers:
                g.frontiers[inner] = _frontier(g, inner)
    return g.frontiers[links]


def _frontier(g: Graph, links: tuple[TensorId, ...]) -> tuple[TensorId, ...]:
    states, firsts, steps = links[0::3], links[1::3], links[2::3]
    inside = {*dependents(g, steps, states), *states}
    outside = {*firsts, *(s for s in steps if s not in inside)}
    for t in inside:
        outside.update(s for s in outer_sources(g, t) if s not in inside)
    return tuple(sorted(outside))


def outer_definitions(g: Graph, roots: Iterable[TensorId]) -> list[TensorId]:
    """`roots` and every tensor they need, ascending, without what only stands inside the steps of scans."""
    seen: set[TensorId] = set()
    stack = list(roots)
    while stack:
        t = stack.pop()
        if t not in seen:
            seen.add(t)
            stack.extend(outer_sources(g, t))
    return sorted(seen)


# ---- the same definitions on other tensors -----------------------------------------------------


def rebased(g: Graph, roots: Sequence[TensorId], moves: Mapping[TensorId, TensorId]) -> list[TensorId]:
    """`roots` with tensors replaced by others of the same extents, everywhere below them."""
    rules = {old: same_place(g, new) for old, new in moves.items()}
    made = rebuilt(g, roots, rules)
    return [moves.get(t, made.get(t, t)) for t in roots]


def same_place(g: Graph, t: TensorId) -> ReadRule:
    """Reads of another tensor at the same place."""
    return lambda index: g.read(t, *index)


def rebuilt(
    g: Graph, roots: Sequence[TensorId], rules: Mapping[TensorId, ReadRule]
) -> dict[TensorId, TensorId]:
    """Where each definition below `roots` went that depends on a tensor in `rules`.

    rules    what a read of a tensor at given indices becomes.
    """
    made: dict[TensorId, TensorId] = {}
    for t in dependents(g, roots, rules):
        tensor = g.tensors[t]
        if is_scan(g, t):
            if t not in made:
                made.update(_rebuilt_scan(g, scan_of(g, t), rules, made))
            continue
        nodes = moved(g, (*tensor.bodies, *tensor.target), rules, made)
        count = len(tensor.bodies)
        bodies, target = nodes[:count], nodes[count:]
        made[t] = g.define(tensor.kind, tensor.out, tensor.red, bodies, target, tensor.extents, tensor.name)
    return made


def _rebuilt_scan(
    g: Graph, scan: Scan, rules: Mapping[TensorId, ReadRule], made: Mapping[TensorId, TensorId]
) -> dict[TensorId, TensorId]:
    """All trajectories of a recurrence again, on states of its own."""
    states = [new_state(g, scan.length, g.tensors[s].extents[1:]) for s in scan.states]
    moves = {**made, **dict(zip(scan.states, states, strict=True))}
    moves |= rebuilt(g, scan.steps, {**rules, **{t: same_place(g, new) for t, new in moves.items()}})
    firsts = [moves[t] if t in moves else _placed(g, t, rules) for t in scan.firsts]
    steps = [moves[t] if t in moves else _placed(g, t, rules) for t in scan.steps]
    return dict(zip(scan.results, close_scan(g, states, firsts, steps, scan.lag), strict=True))


def _placed(g: Graph, t: TensorId, rules: Mapping[TensorId, ReadRule]) -> TensorId:
    """What stands for a tensor of which reads are replaced."""
    if t not in rules:
        return t
    axes = [g.fresh_axis(e) for e in g.tensors[t].extents]
    return g.define("map", axes, (), rules[t](tuple(axes)))


def moved(
    g: Graph,
    nodes: Sequence[Node],
    rules: Mapping[TensorId, ReadRule],
    made: Mapping[TensorId, TensorId],
) -> list[Node]:
    """Expressions with their reads moved to other tensors."""
    changes: dict[Node, Node] = {}
    for r in g.reads(nodes):
        t, *index = g.args[r]
        if t in rules:
            changes[r] = rules[t](tuple(index))
        elif t in made:
            changes[r] = g.read(made[t], *index)
    return g.substitute_all(nodes, changes)


def on_tensors(g: Graph, body: Node, rules: Mapping[TensorId, ReadRule]) -> Node:
    """An expression with reads of some tensors replaced, also inside the definitions it reads."""
    made = rebuilt(g, [g.args[r][0] for r in g.reads((body,))], rules)
    return moved(g, (body,), rules, made)[0]
