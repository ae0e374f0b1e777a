"""Derivatives of recurrences: again recurrences, and never unrolled.

    forward   Hdot[t + 1] = dstep/dH[t] * Hdot[t] + the tangent of what the step reads elsewhere
    reverse   L[r + 1] = Hbar[T - 1 - r] + (dstep/dH[T - 1 - r])' * L[r],  L[0] = Hbar[T]

where L[r] is the cotangent of H[T - r]. What the steps read elsewhere, parameters above all, gets its
cotangent afterwards and for all times at once, from L: a sum over time, a contraction like any other.
Both follow from the rules for ordinary definitions, because time is an ordinary axis of a step: only
the state before is held fixed, and a step is turned round so that it reads L at its own time.
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
    clocks,
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
    g: Graph, scan: Scan, outside: Mapping[TensorId, Bar | None], push: Push
) -> dict[TensorId, Bar | None]:
    """The tangents of all trajectories.

    outside  the tangents of what the recurrence reads (its frontier); None is zero.
    push     `push(seeds, t)`: the tangent of a tensor, given those of others.
    """
    chosen = active_states(g, scan, (t for t, bar in outside.items() if bar is not None))
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
    closed = close_scan(g, [dots[k] for k in chosen], firsts, steps) if chosen else ()
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
    backward = _Backward(g, scan)
    adjoints = []
    for k in chosen:
        extents = (*g.tensors[scan.firsts[k]].extents, *(g.extent(a) for a in further))
        adjoints.append(new_state(g, scan.length, extents))
    closed = _adjoint_scan(g, scan, chosen, adjoints, bars, further, backward, pull)
    out: list[tuple[TensorId, tuple[Node, ...], Node]] = []
    for k, t in zip(chosen, closed, strict=True):
        first, step = scan.firsts[k], scan.steps[k]
        axes = _fresh(g, g.tensors[first].extents)
        out.append((first, axes, g.read(t, scan.length, *axes, *further)))
        if step not in backward.steps:  # it reads no state
            axes = _fresh(g, g.tensors[step].extents)
            out.append((step, axes, g.read(t, g.isub(backward.last, axes[0]), *axes[1:], *further)))
    wanted = [t for t in backward.outside if t in active]
    seeds = backward.seeds(chosen, closed, further)
    for t, (axes, body) in zip(wanted, pull(seeds, wanted), strict=True):
        out.append((t, axes, backward.on_results(body)))
    return [(t, axes, body) for t, axes, body in out if t in active and body != g.zero]


def _adjoint_scan(
    g: Graph, scan: Scan, chosen: Sequence[int], adjoints: Sequence[TensorId], bars: Mapping[TensorId, Bar],
    further: Sequence[Node], backward: _Backward, pull: Pull,
) -> tuple[TensorId, ...]:  # fmt: skip
    """The recurrence of the cotangents of the states, backwards in time."""
    wrt = [backward.states[k] for k in chosen]
    pulled = pull(backward.seeds(chosen, adjoints, further), wrt)
    firsts, steps = [], []
    for k, (axes, body) in zip(chosen, pulled, strict=True):
        own, bar = bars.get(scan.results[k], (axes, g.zero))
        before = dict(zip(own, (g.isub(backward.last, axes[0]), *axes[1:]), strict=True))
        direct = _decided(g, g.substitute(bar, before))
        step = g.add(direct, backward.on_results(body))
        steps.append(g.define("map", (*axes, *further), (), step))
        last = _decided(g, g.substitute(bar, {own[0]: scan.length}))
        firsts.append(g.define("map", (*own[1:], *further), (), last))
    return close_scan(g, adjoints, firsts, steps)


class _Backward:
    """The steps of a recurrence in reverse order: step r is that of time T - 1 - r."""

    def __init__(self, g: Graph, scan: Scan) -> None:
        self.g, self.scan = g, scan
        self.last = g.isub(scan.length, g.one)
        self.inside = clocks(g, scan.steps, scan.states)
        self.outside = frontier(g, scan)
        shorter = g.isub(scan.length, g.one)
        self.states = [new_state(g, shorter, g.tensors[s].extents[1:]) for s in scan.states]
        rules = {s: self._earlier(b) for s, b in zip(scan.states, self.states, strict=True)}
        self.steps = rebuilt(g, scan.steps, rules, self.inside, self.last)

    def _earlier(self, t: TensorId) -> ReadRule:
        g, last = self.g, self.last
        return lambda index: g.read(t, g.isub(last, index[0]), *index[1:])

    def seeds(
        self, chosen: Sequence[int], adjoints: Sequence[TensorId], further: Sequence[Node]
    ) -> dict[TensorId, Bar]:
        """The cotangents of the steps: those of the states after them."""
        g = self.g
        out: dict[TensorId, Bar] = {}
        for k, t in zip(chosen, adjoints, strict=True):
            step = self.steps.get(self.scan.steps[k])
            if step is not None:
                axes, body = out.get(step) or (_fresh(g, g.tensors[step].extents), g.zero)
                out[step] = axes, g.add(body, g.read(t, *axes, *further))
        return out

    def on_results(self, body: Node) -> Node:
        """An expression of the states before the steps, on the trajectories that are known by now.

        Values that the steps compute on the way are those of the recurrence itself, at their own time.
        """
        g, scan = self.g, self.scan
        rules = {b: self._earlier(r) for b, r in zip(self.states, scan.results, strict=True)}
        return on_tensors(g, body, rules)


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
