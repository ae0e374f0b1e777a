"""Recurrences that have an end before their last step: where their condition fails, nothing is computed.

A step is the identity where a condition fails if that is what is left of it with the condition false: so is
the step of `sg.while_loop`, and that of its derivatives. Of several such conditions all have to hold. What
the step computes on the way is then not needed either, unless something outside reads it for such times and
is not guarded by the conditions. Conditions that depend on nothing but the states fail for ever once they
fail, and the loop is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.scan import Clock, Scan, clocks, is_scan, moved, rebuilt, same_place, scan_of
from symgrad.loops.records import Record

_MOST_CANDIDATES = 8
_REDUCED = ("map", "sum", "scatter")  # zero where their bodies are


@dataclass(frozen=True)
class Halt:
    """Where a step does nothing.

    going     it holds where the step does something; over the axis `time`.
    condition what it is computed from: definitions of the step.
    always    definitions to be computed at all times, those and what is needed elsewhere.
    is_final  once it fails it fails for ever.
    """

    going: Node
    time: Node
    condition: frozenset[TensorId]
    always: frozenset[TensorId]
    is_final: bool

    @property
    def leaves(self) -> bool:
        """Whether the loop ends where the condition fails."""
        return self.is_final and self.always == self.condition


def halt_of(
    g: Graph,
    scan: Scan,
    records: Mapping[TensorId, Record],
    outer: Sequence[TensorId],
    fixed: Collection[TensorId],
) -> Halt | None:
    """Where a recurrence does nothing; None if that is not known to be anywhere.

    records  what its loop stores for other definitions.
    outer    the definitions outside of recurrences, ascending.
    fixed    those that are needed as they are: outputs, and what recurrences are made of.
    """
    inside = clocks(g, scan)
    if any(step not in inside or g.tensors[step].kind != "map" for step in scan.steps):
        return None
    found = [p for p in _candidates(g, scan, inside) if _is_identity_without(g, scan, inside, p)]
    final = [p for p in found if _Search(g, scan, inside, (p,)).is_final]
    return _Search(g, scan, inside, final or found).halt(records, outer, fixed) if found else None


def _candidates(g: Graph, scan: Scan, inside: Mapping[TensorId, Clock]) -> list[Node]:
    """Conditions on nothing but the time in the steps, over the axis of the steps."""
    time = inside[scan.steps[0]].axis
    found: dict[Node, None] = {}
    for t, clock in inside.items():
        for n in g.reachable(g.tensors[t].bodies):
            if g.op[n] in ("where", "mask"):
                for p in conjuncts(g, g.args[n][0]):
                    p = g.args[p][0] if g.op[p] == "not" else p
                    if g.axes[p] == {clock.axis} and g.op[p] not in ("ige", "ieq"):
                        found[g.substitute(p, {clock.axis: time})] = None
    return list(found)[:_MOST_CANDIDATES]


def _is_identity_without(g: Graph, scan: Scan, inside: Mapping[TensorId, Clock], going: Node) -> bool:
    """Whether every state stays as it is where the condition is false."""
    zeros: set[TensorId] = set()
    states = dict(zip(scan.steps, scan.states, strict=True))
    time = inside[scan.steps[0]].axis
    for t, clock in inside.items():
        tensor = g.tensors[t]
        changes = {r: g.zero for r in g.reads_of(t) if g.args[r][0] in zeros}
        changes[g.substitute(going, {time: clock.axis})] = g.false
        left = g.substitute_all(tensor.bodies, changes)
        if t in states:
            own = [g.zero if g.extent(a) == g.one else a for a in tensor.out]
            if left != [g.read(states[t], g.iadd(own[0], g.const(scan.lag)), *own[1:])]:
                return False
        elif tensor.kind in _REDUCED and all(body == g.zero for body in left):
            zeros.add(t)
    return len(set(scan.steps)) == len(scan.steps)


class _Search:
    """What has to be computed even where the step does nothing."""

    def __init__(
        self, g: Graph, scan: Scan, inside: Mapping[TensorId, Clock], goings: Sequence[Node]
    ) -> None:
        self.g, self.scan, self.inside, self.goings = g, scan, inside, tuple(goings)
        self.time = inside[scan.steps[0]].axis
        self.condition = self._below(g.args[r][0] for r in g.reads(self.goings))

    def halt(
        self, records: Mapping[TensorId, Record], outer: Sequence[TensorId], fixed: Collection[TensorId]
    ) -> Halt:
        rules = {s: same_place(self.g, r) for s, r in zip(self.scan.states, self.scan.results, strict=True)}
        self.images = moved(self.g, self.goings, rules, rebuilt(self.g, self.scan.steps, rules))
        self._place_times(records, outer)
        unguarded = self._unguarded(outer, fixed)
        always = self.condition | self._below(t for t, r in records.items() if r.tensor in unguarded)
        return Halt(conjunction(self.g, self.goings), self.time, self.condition, always, self.is_final)

    def _place_times(self, records: Mapping[TensorId, Record], outer: Sequence[TensorId]) -> None:
        """Where time is in what the loop stores, and in definitions that read it at their own time."""
        g = self.g
        self.place = {r.tensor: r.order.index(self.inside[t].position) for t, r in records.items()}
        for t in outer:
            tensor = g.tensors[t]
            times = {g.args[r][1 + self.place[s]] for r in g.reads_of(t) if (s := g.args[r][0]) in self.place}
            if t not in self.place and tensor.kind in ("map", "sum") and len(times) == 1:
                (time,) = times
                if time in tensor.out:
                    self.place[t] = tensor.out.index(time)

    def _below(self, tensors: Iterable[TensorId]) -> frozenset[TensorId]:
        """The definitions of the step that some tensors are made of, and those of them."""
        found: set[TensorId] = set()
        stack = list(tensors)
        while stack:
            t = stack.pop()
            if t in self.inside and t not in found:
                found.add(t)
                stack.extend(self.g.sources_of(t))
        return frozenset(found)

    @property
    def is_final(self) -> bool:
        """Whether the conditions depend on the time through the states alone."""
        if self.scan.lag:
            return False
        g, own = self.g, {*self.inside, *self.scan.states}
        parts: list[tuple[tuple[Node, ...], Node]] = [(self.goings, self.time)]
        parts += [((*g.tensors[t].bodies, *g.tensors[t].target), self.inside[t].axis) for t in self.condition]
        for bodies, time in parts:
            states = {r: g.zero for r in g.reads(bodies) if g.args[r][0] in own}
            if any(time in g.axes[n] for n in g.substitute_all(bodies, states)):
                return False
        return True

    def _unguarded(self, outer: Sequence[TensorId], fixed: Collection[TensorId]) -> set[TensorId]:
        """Tensors of which some definition needs values where the condition fails.

        A reader does not if it selects by the condition, or if all its own readers do.
        """
        g, found = self.g, set(fixed)
        for t in reversed(outer):
            if is_scan(g, t):
                for d in clocks(g, scan_of(g, t)):
                    found.update(self._needed_by(d, is_needed=True))
            else:
                found.update(self._needed_by(t, is_needed=t in found))
        return found

    def _needed_by(self, t: TensorId, is_needed: bool) -> Iterator[TensorId]:
        g, own = self.g, None
        if not is_needed and t in self.place:
            own = g.tensors[t].out[self.place[t]]
        for r in g.reads_of(t):
            s, *index = g.args[r]
            if s in self.place:
                time = index[self.place[s]]
                if time != own and not self._is_guarded(t, r, time):
                    yield s

    def _is_guarded(self, t: TensorId, read: Node, at: Node) -> bool:
        """Whether a read has no effect where any of the conditions fails at the time `at`."""
        g, tensor = self.g, self.g.tensors[t]
        bodies = (*tensor.bodies, *tensor.target)
        conditions = g.substitute_all(self.images, {self.time: at})
        return all(read not in g.reachable(g.substitute_all(bodies, {c: g.false})) for c in conditions)
