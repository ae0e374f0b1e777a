"""Recurrences that have an end before their last step: where their condition fails, nothing is computed.

A step is the identity where a condition fails if that is what is left of it with the condition false: so is
the step of `sg.while_loop`, and that of its derivatives. Of several such conditions all have to hold. What
the step computes on the way is then not needed either, unless something outside reads it for such times and
is not guarded by the conditions. Conditions that depend on nothing but the states fail for ever once they
fail, and the loop is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.scan import (
    Scan,
    is_scan,
    moved,
    outer_sources,
    rebuilt,
    same_place,
    scan_of,
)
from symgrad.loops.recurrences import Loop, Recurrences
from symgrad.records import dataclass

_MOST_CANDIDATES = 8
_REDUCED = ("map", "sum", "scatter")  # zero where their bodies are


@dataclass(frozen=True)
class Halt:
    """Where a step does nothing.

    going     it holds where the step does something; over the axes `times`.
    times     those of the loops over time, the outermost first.
    condition what it is computed from: definitions of the step.
    always    definitions to be computed at all times, those and what is needed elsewhere.
    is_final  once it fails it fails for ever.
    """

    going: Node
    times: tuple[Node, ...]
    condition: frozenset[TensorId]
    always: frozenset[TensorId]
    is_final: bool

    @property
    def leaves(self) -> bool:
        """Whether the loop ends where the condition fails."""
        return self.is_final and self.always == self.condition


def halt_of(g: Graph, known: Recurrences, loop: Loop, fixed: Collection[TensorId]) -> Halt | None:
    """Where a recurrence does nothing; None if that is not known to be anywhere.

    fixed  definitions that are needed as they are: outputs, and what recurrences are made of.
    """
    scan, inside = loop.scan, known.inside[loop.scan]
    if any(step not in inside or g.tensors[step].kind != "map" for step in scan.steps):
        return None
    search = _Search(g, known, loop)
    found = [p for p in search.candidates() if search.is_identity_without(p)]
    final = [p for p in found if search.is_final((p,))]
    return search.halt(tuple(final or found), fixed) if found else None


class _Search:
    """What has to be computed even where the step does nothing."""

    def __init__(self, g: Graph, known: Recurrences, loop: Loop) -> None:
        self.g, self.known, self.loop, self.scan = g, known, loop, loop.scan
        scan = loop.scan
        self.inside = known.inside[scan]
        self.times = self._times(scan.steps[0])

    def _times(self, t: TensorId) -> tuple[Node, ...]:
        """The axes of a definition that are times, the outermost first."""
        return tuple(clock.axis for clock in self.known.clocks[t])

    def _there(self, going: Node, times: Sequence[Node]) -> Node:
        """A condition at other times."""
        return self.g.substitute(going, dict(zip(self.times, times, strict=False)))

    def candidates(self) -> list[Node]:
        """Conditions on nothing but the times in the steps, over the axes of the steps."""
        g = self.g
        found: dict[Node, None] = {}
        for t in self.inside:
            times = self._times(t)
            for n in g.reachable(g.tensors[t].bodies):
                if g.op[n] in ("where", "mask"):
                    for p in conjuncts(g, g.args[n][0]):
                        p = g.args[p][0] if g.op[p] == "not" else p
                        if {times[-1]} <= g.axes[p] <= {*times} and g.op[p] not in ("ige", "ieq"):
                            found[g.substitute(p, dict(zip(times, self.times, strict=True)))] = None
        return list(found)[:_MOST_CANDIDATES]

    def is_identity_without(self, going: Node) -> bool:
        """Whether every state stays as it is where the condition is false."""
        g, zeros = self.g, set[TensorId]()
        states = dict(zip(self.scan.steps, self.scan.states, strict=True))
        for t in self.inside:
            tensor = g.tensors[t]
            if is_scan(g, t):
                zeros |= self._zero_trajectories(scan_of(g, t), zeros, going)
                continue
            left = self._left(t, zeros, going)
            if t in states:
                own = [g.zero if g.extent(a) == g.one else a for a in tensor.out]
                if left != [g.read(states[t], g.iadd(own[0], g.const(self.scan.lag)), *own[1:])]:
                    return False
            elif tensor.kind in _REDUCED and all(body == g.zero for body in left):
                zeros.add(t)
        return len(set(self.scan.steps)) == len(self.scan.steps)

    def _left(self, t: TensorId, zeros: Collection[TensorId], going: Node) -> list[Node]:
        """What is left of a definition where the condition is false, and some tensors are zero."""
        g = self.g
        changes = {r: g.zero for r in g.reads_of(t) if g.args[r][0] in zeros}
        if t in self.known.clocks:
            changes[self._there(going, self._times(t))] = g.false
        return g.substitute_all(g.tensors[t].bodies, changes)

    def _zero_trajectories(self, scan: Scan, zeros: Collection[TensorId], going: Node) -> set[TensorId]:
        """The trajectories of a recurrence in the step that stay at zero; all, or none."""
        g, found = self.g, {*zeros, *scan.states}
        inside = self.known.inside.get(scan, ())
        for t in (*scan.firsts, *inside, *scan.steps):
            if g.tensors[t].kind in _REDUCED and {*self._left(t, found, going)} <= {g.zero}:
                found.add(t)
        return set(scan.results) if found.issuperset((*scan.firsts, *scan.steps)) else set()

    def is_final(self, goings: tuple[Node, ...]) -> bool:
        """Whether conditions depend on the time through the states alone."""
        if self.scan.lag:
            return False
        g, own, condition = self.g, {*self.inside, *self.scan.states}, self._condition(goings)
        parts: list[tuple[tuple[Node, ...], Node]] = [(goings, self.times[-1])]
        parts += [((*g.tensors[t].bodies, *g.tensors[t].target), self._times(t)[-1]) for t in condition]
        for bodies, time in parts:
            states = {r: g.zero for r in g.reads(bodies) if g.args[r][0] in own}
            if any(time in g.axes[n] for n in g.substitute_all(bodies, states)):
                return False
        return not any(is_scan(g, t) for t in condition)

    def _condition(self, goings: Iterable[Node]) -> frozenset[TensorId]:
        return self._below(self.g.args[r][0] for r in self.g.reads(goings))

    def _below(self, tensors: Iterable[TensorId]) -> frozenset[TensorId]:
        """The definitions of the step that some tensors are made of, and those of them."""
        found: set[TensorId] = set()
        stack = list(tensors)
        while stack:
            t = stack.pop()
            if t in self.inside and t not in found:
                found.add(t)
                stack.extend(outer_sources(self.g, t))
        return frozenset(found)

    def halt(self, goings: tuple[Node, ...], fixed: Collection[TensorId]) -> Halt:
        condition, needed = self._condition(goings), set[TensorId]()
        loop, records = self.loop, self.known.records[self.loop]
        at = {t: t for t in records}  # what is stored: where, as seen from further outside
        places = {t: tuple(c.position for c in self.known.times[self.scan][t]) for t in at}
        images = goings
        while at:
            scan, around = loop.scan, loop.around
            rules = {s: same_place(self.g, r) for s, r in zip(scan.states, scan.results, strict=True)}
            roots = [self.g.args[r][0] for r in self.g.reads(images)]
            images = tuple(moved(self.g, images, rules, rebuilt(self.g, roots, rules)))
            records = self.known.records[loop]
            places = {t: tuple(map(records[s].order.index, places[t])) for t, s in at.items() if s in records}
            at = {t: records[s].tensor for t, s in at.items() if s in records}
            scope = self.known.outer if around is None else self.known.inside[around.scan]
            stored = {at[t]: place for t, place in places.items()}
            missing = _Readers(self.g, self.known, self.times, images, stored).among(around, scope, fixed)
            needed.update(t for t, s in at.items() if s in missing)
            if around is None:
                break
            loop = around
        always = condition | self._below(needed)
        return Halt(conjunction(self.g, goings), self.times, condition, always, self.is_final(goings))


class _Readers:
    """Who reads what a loop has stored, as seen from outside of that loop.

    images  the conditions there, over the axes `times`.
    place   where those times are in what is stored.
    """

    def __init__(
        self, g: Graph, known: Recurrences, times: Sequence[Node], images: Sequence[Node],
        place: Mapping[TensorId, tuple[int, ...]],
    ) -> None:  # fmt: skip
        self.g, self.known, self.times, self.images, self.place = g, known, times, images, dict(place)

    def among(
        self, around: Loop | None, scope: Sequence[TensorId], fixed: Collection[TensorId]
    ) -> set[TensorId]:
        """Tensors of which some definition needs values where the condition fails.

        A reader does not if it selects by the condition, or if all its own readers do.
        """
        self._follow(scope)
        g, found = self.g, set(fixed)
        for t in reversed(scope):
            if is_scan(g, t):
                for d in self.known.everything_in(Loop(scan_of(g, t), around)):
                    found.update(self._needed_by(d, is_needed=True))
            else:
                found.update(self._needed_by(t, is_needed=t in found))
        return found

    def _follow(self, scope: Sequence[TensorId]) -> None:
        """Where times are in definitions that read what is stored at their own times."""
        g, stored = self.g, set(self.place)
        for t in scope:
            tensor = g.tensors[t]
            times = {self._times_of(r) for r in g.reads_of(t) if g.args[r][0] in self.place}
            if t not in stored and tensor.kind in ("map", "sum") and len(times) == 1:
                (own,) = times
                if set(own) <= {*tensor.out}:
                    self.place[t] = tuple(map(tensor.out.index, own))

    def _times_of(self, read: Node) -> tuple[Node, ...]:
        s, *index = self.g.args[read]
        return tuple(index[p] for p in self.place[s])

    def _needed_by(self, t: TensorId, is_needed: bool) -> Iterator[TensorId]:
        g, own = self.g, None
        if not is_needed and t in self.place:
            own = tuple(g.tensors[t].out[p] for p in self.place[t])
        for r in g.reads_of(t):
            s = g.args[r][0]
            if s in self.place:
                times = self._times_of(r)
                if times != own and not self._is_guarded(t, r, times):
                    yield s

    def _is_guarded(self, t: TensorId, read: Node, at: Sequence[Node]) -> bool:
        """Whether a read has no effect where any of the conditions fails at the times `at`."""
        g, tensor = self.g, self.g.tensors[t]
        bodies = (*tensor.bodies, *tensor.target)
        conditions = g.substitute_all(self.images, dict(zip(self.times, at, strict=True)))
        return all(read not in g.reachable(g.substitute_all(bodies, {c: g.false})) for c in conditions)
