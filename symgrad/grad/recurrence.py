"""Derivatives of recurrences: again recurrences, and never unrolled.

    forward   Hdot[t + 1] = dstep/dH[t] * Hdot[t] + the tangent of what the step reads elsewhere
    reverse   L[t] = Hbar[t] + (dstep/dH[t])' * L[t + 1],  L[T] = Hbar[T]

where L is the cotangent of H, in the other direction of time. What the steps read elsewhere, parameters
above all, gets its cotangent afterwards and for all times at once, from L: a sum over time, a contraction
like any other. Both follow from the rules for ordinary definitions, because time is an ordinary axis of a
step; only the states are held fixed.
Source: tensor_ir study, section 3.5; Griewank & Walther 2008, chapter 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from symgrad.ir.bounds import is_nonnegative
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms, conjunction, conjuncts
from symgrad.ir.scan import (
    ReadRule,
    Scan,
    close_scan,
    dependents,
    frontier,
    new_state,
    on_tensors,
    outer_sources,
    rebased,
    rebuilt,
)

Bar = tuple[tuple[Node, ...], Node]  # axes, and an expression over them and possibly over more
Pull = Callable[[Mapping[TensorId, Bar], Sequence[TensorId]], list[Bar]]
Push = Callable[[Mapping[TensorId, "Bar | None"], TensorId], "Bar | None"]


def active_states(g: Graph, scan: Scan, active: Iterable[TensorId]) -> list[int]:
    """Positions of the states that depend on a tensor in `active` (also through other states)."""
    found = {*active}
    inside = dependents(g, scan.steps, scan.states)
    while True:
        for t in inside:
            if any(s in found for s in outer_sources(g, t)):
                found.add(t)
        links = zip(scan.states, scan.firsts, scan.steps, strict=True)
        new = [s for s, first, step in links if s not in found and (first in found or step in found)]
        if not new:
            return [k for k, s in enumerate(scan.states) if s in found]
        found.update(new)


def _further_axes(g: Graph, bars: Iterable[Bar]) -> list[Node]:
    """The free axes of expressions besides their own: one direction per value of them."""
    free = frozenset().union(*(g.axes[body] - set(axes) for axes, body in bars))
    return sorted(free, key=g.order_key)


def _fresh(g: Graph, extents: Sequence[Node]) -> tuple[Node, ...]:
    return tuple(g.fresh_axis(e) for e in extents)


def _tensor_of(g: Graph, bar: Bar | None, extents: Sequence[Node], further: Sequence[Node]) -> TensorId:
    """An expression as a definition over its own and the further axes."""
    axes, body = bar or (_fresh(g, extents), g.zero)
    return g.define("map", (*axes, *further), (), body)


# ---- forward -----------------------------------------------------------------------------------


def tangents(
    g: Graph,
    scan: Scan,
    outside: Mapping[TensorId, Bar | None],
    push: Push,
    states: Sequence[int] | None = None,
) -> dict[TensorId, Bar | None]:
    """The tangents of all trajectories.

    outside  the tangents of what the recurrence reads (its frontier); None is zero.
    push     `push(seeds, t)`: the tangent of a tensor, given those of others.
    states   those that have one; None for those that depend on what has one outside.
    """
    active = (t for t, bar in outside.items() if bar is not None)
    chosen = active_states(g, scan, active) if states is None else states
    further = _further_axes(g, (bar for bar in outside.values() if bar is not None))
    seeds: dict[TensorId, Bar | None] = {**outside, **dict.fromkeys(scan.states)}
    dots = {}
    for k in chosen:
        extents = g.tensors[scan.states[k]].extents
        dots[k] = new_state(g, scan.length, (*extents[1:], *(g.extent(a) for a in further)))
        axes = _fresh(g, extents)
        seeds[scan.states[k]] = axes, g.read(dots[k], *axes, *further)
    firsts, steps = [], []
    for k in chosen:
        first, step = scan.firsts[k], scan.steps[k]
        firsts.append(_tensor_of(g, outside[first], g.tensors[first].extents, further))
        steps.append(_tensor_of(g, push(seeds, step), g.tensors[step].extents, further))
    steps = rebased(g, steps, dict(zip(scan.states, scan.results, strict=True)))
    closed = close_scan(g, [dots[k] for k in chosen], firsts, steps, scan.lag) if chosen else ()
    out: dict[TensorId, Bar | None] = dict.fromkeys(scan.results)
    for k, t in zip(chosen, closed, strict=True):
        axes = _fresh(g, g.tensors[scan.results[k]].extents)
        out[scan.results[k]] = axes, g.read(t, *axes, *further)
    return out


# ---- reverse -----------------------------------------------------------------------------------


def scan_cotangents(
    g: Graph, scan: Scan, bars: Mapping[TensorId, Bar], active: frozenset[TensorId], pull: Pull
) -> list[tuple[TensorId, tuple[Node, ...], Node]]:
    """What trajectories with cotangents `bars` add to the cotangents of what the recurrence reads.

    active  tensors whose cotangents are wanted.
    pull    `pull(seeds, wrt)`: cotangents of the tensors `wrt`, which are taken as independent.
    """
    chosen = active_states(g, scan, active)
    further = _further_axes(g, bars.values())
    more = [g.extent(a) for a in further]
    shorter = g.isub(scan.length, g.one)
    before = [new_state(g, shorter, g.tensors[s].extents[1:]) for s in scan.states]  # at each step
    after = [new_state(g, scan.length, (*g.tensors[scan.firsts[k]].extents, *more)) for k in chosen]
    steps = rebuilt(
        g, scan.steps, {s: _shifted(g, t, -scan.lag) for s, t in zip(scan.states, before, strict=True)}
    )
    inputs = {t: _shifted(g, r, scan.lag) for t, r in zip(before, scan.results, strict=True)}

    seeds: dict[TensorId, Bar] = {}  # the cotangent of a step is that of the state after it
    for k, t in zip(chosen, after, strict=True):
        step = steps.get(scan.steps[k], scan.steps[k])
        axes, body = seeds.get(step) or (_fresh(g, g.tensors[step].extents), g.zero)
        later = g.iadd(axes[0], g.const(1 - scan.lag))
        seeds[step] = axes, g.add(body, g.read(t, later, *axes[1:], *further))
    wanted = [t for t in frontier(g, scan) if t in active]
    bound = [before[k] for k in chosen]
    pulled = [(axes, on_tensors(g, body, inputs)) for axes, body in pull(seeds, (*bound, *wanted))]
    closed = _adjoint_scan(g, scan, chosen, bars, pulled[: len(chosen)], after, further)

    out: list[tuple[TensorId, tuple[Node, ...], Node]] = []
    outputs = {t: _shifted(g, r, 0) for t, r in zip(after, closed, strict=True)}
    for t, (axes, body) in zip(wanted, pulled[len(chosen) :], strict=True):
        out.append((t, axes, on_tensors(g, body, outputs)))
    for k, t in zip(chosen, closed, strict=True):
        axes = _fresh(g, g.tensors[scan.firsts[k]].extents)
        out.append((scan.firsts[k], axes, g.read(t, _start(g, scan), *axes, *further)))
    return [(t, axes, body) for t, axes, body in out if t in active and body != g.zero]


def _adjoint_scan(
    g: Graph, scan: Scan, chosen: Sequence[int], bars: Mapping[TensorId, Bar], pulled: Sequence[Bar],
    states: Sequence[TensorId], further: Sequence[Node],
) -> tuple[TensorId, ...]:  # fmt: skip
    """The recurrence of the cotangents of the states, in the other direction of time."""
    firsts, steps = [], []
    end = g.isub(scan.length, _start(g, scan))
    for k, (axes, body) in zip(chosen, pulled, strict=True):
        own, bar = bars.get(scan.results[k], (axes, g.zero))
        here = dict(zip(own, (g.iadd(axes[0], g.const(scan.lag)), *axes[1:]), strict=True))
        direct = _decided(g, g.substitute(bar, here))
        steps.append(g.define("map", (*axes, *further), (), g.add(direct, body)))
        last = _decided(g, g.substitute(bar, {own[0]: end}))
        firsts.append(g.define("map", (*own[1:], *further), (), last))
    return close_scan(g, states, firsts, steps, 1 - scan.lag)


def _start(g: Graph, scan: Scan) -> Node:
    """The time of the first value."""
    return scan.length if scan.lag else g.zero


def _shifted(g: Graph, t: TensorId, by: int) -> ReadRule:
    """Reads of another trajectory, some steps later."""
    return lambda index: g.read(t, g.iadd(index[0], g.const(by)), *index[1:])


def _decided(g: Graph, body: Node) -> Node:
    """`body` without terms whose index conditions never hold, and without conditions that always do."""
    total = g.zero
    for sign, term in additive_terms(g, body):
        if g.op[term] == "mask":
            parts = [p for p in conjuncts(g, g.args[term][0]) if not _always(g, p)]
            term = (
                g.zero if any(_never(g, p) for p in parts) else g.mask(conjunction(g, parts), g.args[term][1])
            )
        total = g.add(total, term) if sign > 0 else g.sub(total, term)
    return total


def _always(g: Graph, predicate: Node) -> bool:
    return g.op[predicate] == "ige" and is_nonnegative(g, g.args[predicate][0])


def _never(g: Graph, predicate: Node) -> bool:
    if g.op[predicate] not in ("ige", "ieq"):
        return False
    index = g.args[predicate][0]
    below = is_nonnegative(g, g.isub(g.minus_one, index))
    return below or (g.op[predicate] == "ieq" and is_nonnegative(g, g.isub(index, g.one)))
