"""The recurrences that get loops over time, those in the steps of others inside their loops.

A recurrence in the step of another one is also there for all times at once where derivatives read it: its
*image*, in which the trajectories of the outer one stand for its states. So are the definitions of its step.
The inner loop stores them there as it goes (`loops.records`), and no loops are made for the image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.scan import (
    Clock,
    ReadRule,
    Scan,
    clocks,
    clocks_around,
    is_scan,
    outer_definitions,
    rebuilt,
    same_place,
    scan_of,
)
from symgrad.loops.records import Record, last_states, places
from symgrad.records import dataclass

Alias = tuple[TensorId, int, Record]  # what a trajectory holds: that one, how much later, where its axes are


@dataclass(frozen=True)
class Loop:
    """The loop over time of a recurrence, in the step of another one (`around`) or of none.

    (Equal steps are one object: a recurrence may be in those of several others.)
    """

    scan: Scan
    around: Loop | None = None


class Recurrences:
    """What is computed in which loop over time, and where it is stored.

    outer    the definitions outside of all recurrences, ascending.
    loops    of recurrences, each before those in its step.
    inside   what the step of a recurrence computes, ascending.
    clocks   of what is computed in loops over time, where it has their times, the outermost first.
    times    of each recurrence, those clocks of all that its loop computes or stores.
    records  of each loop, what it stores for definitions outside of it.
    provided what is stored by loops so, in the step of a loop or outside of all (None).
    aliases  definitions that trajectories hold.
    ends     trajectories of which nothing but the last states is stored.
    """

    def __init__(self, g: Graph, outputs: Sequence[TensorId]) -> None:
        self.g, self.outputs = g, set(outputs)
        self.outer = outer_definitions(g, outputs)
        self.loops: list[Loop] = []
        self.inside: dict[Scan, list[TensorId]] = {}
        self.clocks: dict[TensorId, tuple[Clock, ...]] = {}
        self.times: dict[Scan, Mapping[TensorId, tuple[Clock, ...]]] = {}
        self.records: dict[Loop, dict[TensorId, Record]] = {}
        self.provided: dict[Loop | None, set[TensorId]] = {}
        self.aliases: dict[TensorId, Alias] = {}
        self._images: dict[Scan, dict[TensorId, TensorId]] = {}
        images = self._in_scope(None, self.outer, set(self.outer), self.outputs)
        self.ends = self._ends(images)

    def _in_scope(
        self, around: Loop | None, scope: Sequence[TensorId], wanted: set[TensorId],
        kept: Collection[TensorId],
    ) -> list[Scan]:  # fmt: skip
        """The recurrences among the definitions `scope`; those that are images of others come back.

        wanted  what is needed there.
        kept    definitions that stay as they are.
        """
        found = list(dict.fromkeys(scan_of(self.g, t) for t in scope if is_scan(self.g, t)))
        for scan in found:
            self._hold(scan, scope, wanted, kept)
        stored = self.provided[around] = set()
        images = []
        for scan in found:
            if not stored.isdisjoint(scan.results):
                images.append(scan)
                continue
            self._add(scan)
            loop, near = Loop(scan, around), (*scope, *self.inside[scan])
            self.loops.append(loop)
            self.records[loop] = places(self.g, self.images(scan), near, wanted)
            stored.update(r.tensor for r in self.records[loop].values())
        for scan in found:
            loop = Loop(scan, around)
            if loop in self.records:
                needed = {*self.inside[scan], *self.records[loop]}
                images += self._in_scope(loop, self.inside[scan], needed, {*scan.steps, *self.records[loop]})
        return images

    def _hold(
        self, scan: Scan, scope: Sequence[TensorId], wanted: set[TensorId], kept: Collection[TensorId]
    ) -> None:
        """What its trajectories are for other definitions: their steps, for all times."""
        images = rebuilt(self.g, scan.steps, self._rules(scan))
        steps = {t: images[t] for t in scan.steps if t in images}
        found = places(self.g, steps, (*scope, *images), set(wanted))
        for step, result in zip(scan.steps, scan.results, strict=True):
            record = found.pop(step, None)
            if record is not None:
                wanted.discard(record.tensor)
                if record.tensor not in kept:
                    self.aliases[record.tensor] = result, 1 - scan.lag, record

    def _rules(self, scan: Scan) -> dict[TensorId, ReadRule]:
        return {s: same_place(self.g, r) for s, r in zip(scan.states, scan.results, strict=True)}

    def images(self, scan: Scan) -> dict[TensorId, TensorId]:
        """Of what its step computes, and stores for all turns of recurrences in it, the same for all times.

        (Not of the next states, which the trajectories hold.)
        """
        if scan not in self._images:
            g, inside = self.g, clocks(self.g, scan)
            own = [t for t in inside if t not in scan.steps]
            for inner in dict.fromkeys(scan_of(g, t) for t in inside if is_scan(g, t)):
                own += [*inner.results, *self.images(inner).values()]
            images = rebuilt(g, own, self._rules(scan))
            self._images[scan] = {t: images[t] for t in dict.fromkeys(own)}
        return self._images[scan]

    def _add(self, scan: Scan) -> None:
        """A recurrence that gets a loop: where times are in its step."""
        g, more = self.g, self.images(scan)
        self.inside[scan] = sorted(clocks(g, scan))
        outer = [clocks_around(g, scan, c.position, more) for c in self.clocks.get(scan.results[0], ())]
        all_clocks = (*outer, clocks(g, scan, more))
        self.times[scan] = {t: tuple(of_one[t] for of_one in all_clocks) for t in all_clocks[-1]}
        for t in self.inside[scan]:
            same = scan_of(g, t).results if is_scan(g, t) else (t,)
            self.clocks.update(dict.fromkeys(same, self.times[scan][t]))

    def _ends(self, images: Sequence[Scan]) -> set[TensorId]:
        """See `last_states`; a trajectory and its image lie in one place."""
        scans = dict.fromkeys((*(loop.scan for loop in self.loops), *images))
        return self.agreed(last_states(self.g, scans, (*self.outer, *self.clocks), self.outputs))

    def agreed(self, ends: set[TensorId]) -> set[TensorId]:
        """Those of some trajectories that are stored nowhere with all their states."""
        links = [(t, r.tensor) for records in self.records.values() for t, r in records.items()]
        links = [(t, image) for t, image in links if is_scan(self.g, t)]
        ends = set(ends)
        for pair in (*links, *reversed(links)):
            if not ends.issuperset(pair):
                ends.difference_update(pair)
        return ends

    def stored(self, ends: Collection[TensorId]) -> Iterator[TensorId]:
        """What is computed in loops over time and has memory of its own.

        ends  trajectories of which nothing but the last states is stored.
        """
        for loop in self.loops:
            scan, placed = loop.scan, {*self.records[loop], *loop.scan.steps}
            yield from (t for t in self.inside[scan] if t not in placed)
            yield from (s for s, r in zip(scan.steps, scan.results, strict=True) if r in ends)
            if loop.around is not None:
                yield from (r for r in scan.results if r not in self.records[loop.around])

    def within(self, loop: Loop) -> list[Loop]:
        """A loop and those in it; none for an image."""
        found = [loop] if loop in self.records else []
        for each in found:  # while it grows
            scans = dict.fromkeys(scan_of(self.g, t) for t in self.inside[each.scan] if is_scan(self.g, t))
            found.extend(inner for s in scans if (inner := Loop(s, each)) in self.records)
        return found

    def everything_in(self, loop: Loop) -> list[TensorId]:
        """What is computed in a loop, and in the loops in it, but for trajectories."""
        found = (t for inner in self.within(loop) for t in self.inside[inner.scan])
        return sorted(t for t in found if not is_scan(self.g, t))
