"""Time cut into tiles: what of a recurrence and its derivatives has to be there for one tile only.

A recurrence forwards and the one of its cotangents backwards meet in the middle: what the first computes
the second needs in the other order. Instead of storing it for all times, time is cut into tiles. The states
at the start of each tile are kept (checkpoints); what lies inside is computed again when the other direction
comes to it. All that has a place in time belongs to a tile, not only the states: input projections before
the loop, what the loop records, cotangents, and the sums over time behind it, which add up tile by tile.

A definition *follows* the tiles if one of its loops is time, shifted by the same number of steps in all it
reads of others that follow. Definitions are passed over in *sweeps*, even ones forwards in time and odd ones
backwards: each recurrence goes in the first sweep of its direction that has what it needs complete, sums over
time in the first that has it. `loops.sweeps` makes the loops.

Sources: Griewank 1992, Achieving logarithmic growth of temporal and spatial complexity in reverse automatic
differentiation; Griewank & Walther 2008, Evaluating Derivatives, chapter 12 (multi-level checkpointing).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import inf

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms
from symgrad.ir.running import running_form
from symgrad.ir.scan import Scan, is_scan, outer_sources, scan_of
from symgrad.loops.recurrences import Loop, Recurrences
from symgrad.records import dataclass

_FOLLOWING = ("map", "enum", "scatter", "sum", "prod", "max", "min")
_SHORT = 16  # a recurrence of a given number of steps below this is not worth tiles
Item = TensorId | Scan  # what a sweep computes: a definition, or a recurrence with all its states


@dataclass(frozen=True)
class Window:
    """A tensor kept for one tile [start, stop), on its axis `position`.

    It holds the times from start + first on, as many as the tile and `more`.
    """

    position: int
    first: int
    more: int


@dataclass(frozen=True)
class Member:
    """A definition with a loop over time: its `axis`, for the times [start + low, stop + high) of a tile.

    position  of time in the result; None for a sum over time.
    summands  of a map that no one shift fits, (expression, shift): it is added up, each in its own times.
    """

    axis: Node
    position: int | None
    low: int
    high: int
    summands: tuple[tuple[Node, int], ...] = ()


@dataclass(frozen=True)
class Tiling:
    """What follows the tiles of recurrences of one length.

    surplus    the tiles cover this many times more than the recurrence has steps.
    stages     the sweep of each recurrence and of each definition in `members`.
    again      what later sweeps need inside of a tile: it is computed again where they come to it.
    windows    what is kept for one tile; what is in `members` and not here is kept for all times.
    ends       trajectories of which the last states are needed outside.
    owner      the recurrence or the definition that computes each tensor that follows the tiles.
    needs      of each of those, the tensors that have to be complete before its sweep.
    """

    length: Node
    surplus: int
    scans: tuple[Scan, ...]
    members: Mapping[TensorId, Member]
    stages: Mapping[Item, int]
    again: frozenset[Item]
    windows: Mapping[TensorId, Window]
    ends: frozenset[TensorId]
    owner: Mapping[TensorId, Item]
    needs: Mapping[Item, tuple[TensorId, ...]]

    @property
    def sweeps(self) -> int:
        """How many there are."""
        return 1 + max(self.stages.values())


def tilings(g: Graph, around: Recurrences) -> list[Tiling]:
    """One for each length of recurrences that storing less pays for.

    Where recurrences stand in the steps of others, one in all: images of those have another length.
    """
    by_length: dict[Node, dict[Scan, None]] = {}
    for t in around.outer:
        scan = scan_of(g, t) if is_scan(g, t) else None
        if scan is not None and Loop(scan) in around.records:
            by_length.setdefault(scan.length, {})[scan] = None
    found: list[Tiling] = []
    for length, scans in by_length.items():
        known = g.rational(length)
        if known is None or known >= _SHORT:
            taken = {t for tiling in found for t in tiling.owner}
            tiling = _Analysis(g, around, length, tuple(scans), taken).run()
            if tiling is not None:
                found.append(tiling)
                if any(loop.around is not None for loop in around.loops):
                    break
    return found


@dataclass(frozen=True)
class _Cover:
    """Where time is in a tensor, and by how much a read may be shifted inside a tile."""

    position: int
    low: float
    high: float


@dataclass(frozen=True)
class _Use:
    """One read: at time + `shift`, or, where that is None, of what is complete (or of the last state)."""

    source: TensorId
    shift: int | None = None
    is_end: bool = False


class _Analysis:
    """Who follows the tiles of one length, found from the recurrences on, then back to what they read.

    taken  definitions that follow the tiles of another length.
    """

    def __init__(
        self,
        g: Graph,
        around: Recurrences,
        length: Node,
        scans: tuple[Scan, ...],
        taken: Collection[TensorId],
    ) -> None:
        self.g, self.around, self.length, self.scans, self.taken = g, around, length, scans, taken
        self.results = {r: scan for scan in scans for r in scan.results}
        self.cover: dict[TensorId, _Cover] = {}
        self.axis: dict[TensorId, Node] = {}  # the loop over time of definitions that follow
        self.sums: dict[TensorId, tuple[float, float]] = {}  # those over time
        self.summands: dict[TensorId, tuple[tuple[Node, int], ...]] = {}  # of maps, each with its shift
        self.whole: set[TensorId] = set()  # needed for all times
        self.owner: dict[TensorId, Item] = dict(self.results)
        self._find_kept_by_scans()

    def run(self) -> Tiling | None:
        self._follow_from_recurrences()
        self._follow_to_sources()
        self._find_whole()
        kept = {t for t in self.cover if t not in self.whole and t not in self.around.aliases}
        if not kept - set(self.around.ends):
            return None
        self.uses = {item: list(self._uses(item)) for item in self._items()}
        self._choose_spans()
        self._choose_stages()
        return self._result()

    def _items(self) -> Iterator[Item]:
        """Everything outside of recurrences, ascending; a recurrence once, at its first trajectory."""
        seen: set[Scan] = set()
        for t in self.around.outer:
            if not is_scan(self.g, t):
                yield t
            elif (scan := scan_of(self.g, t)) not in seen and Loop(scan) in self.around.records:
                seen.add(scan)
                yield scan

    # ---- who follows -----------------------------------------------------------------------

    def _find_kept_by_scans(self) -> None:
        """What the loops of the recurrences leave behind besides their states."""
        self.kept: dict[TensorId, _Cover] = {}
        for scan in self.scans:
            times = self.around.times[scan]
            for t, record in self.around.records[Loop(scan)].items():
                self.kept[record.tensor] = _Cover(record.order.index(times[t][-1].position), 0, 0)
                self.owner[record.tensor] = scan
        for t, (result, later, record) in self.around.aliases.items():
            if result in self.results:
                self.kept[t] = _Cover(record.order.index(0), -later, 1 - later)
                self.owner[t] = self.results[result]
            elif result in self.kept:
                self.kept[t] = _Cover(record.order.index(self.kept[result].position), 0, 0)
                self.owner[t] = self.owner[result]

    def _follow_from_recurrences(self) -> None:
        for t in self.around.outer:
            if t in self.results:
                self.cover[t] = _Cover(0, 0, 1)
                self._check_scan(self.results[t])
            elif t in self.kept:
                self.cover[t] = self.kept[t]
            elif self.g.tensors[t].kind not in ("input", "state") and not is_scan(self.g, t):
                self._follow(t)

    def _check_scan(self, scan: Scan) -> None:
        """What a recurrence reads at another time than its tile has needs to be there for all times."""
        for s, index, axis in self._scan_reads(scan):
            cover = self.cover.get(s)
            if cover is not None:
                shift = _shift(self.g, index[cover.position], axis)
                if shift is None or not cover.low <= shift <= cover.high:
                    self.whole.add(s)

    def _scan_reads(self, scan: Scan) -> Iterator[tuple[TensorId, tuple[Node, ...], Node]]:
        """(tensor, index, time) of each read of something outside in the steps."""
        for t in self.around.everything_in(Loop(scan)):
            for r in self.g.reads_of(t):
                s, *index = self.g.args[r]
                if s not in self.around.clocks and self.g.tensors[s].kind != "state":
                    yield s, tuple(index), self.around.clocks[t][0].axis
        for loop in self.around.within(Loop(scan)):
            inner = loop.scan
            for first, step, r in zip(inner.firsts, inner.steps, inner.results, strict=True):
                position = self.around.clocks[r][0].position if inner is not scan else 0
                links = [(step, position)] if inner is scan else [(step, position), (first, position - 1)]
                for t, place in links:
                    if t not in self.around.clocks:
                        axes = tuple(self.g.fresh_axis(e) for e in self.g.tensors[t].extents)
                        yield t, axes, axes[place]

    def _follow(self, t: TensorId) -> None:
        """`t` follows if all it reads of what follows is at the same time, up to a shift."""
        shifts = self._shifts(self.g.reads_of(t))
        (axis, *more) = shifts or (None,)
        if axis is not None and not more and self._can_follow(t, axis):
            low, high = self._range(shifts[axis])
            if low <= high:
                self._add(t, axis, low, high)
                return
            if self._add_summands(t, axis):
                return
        self.whole.update(s for found in shifts.values() for s, _ in found)

    def _shifts(self, reads: Iterable[Node]) -> dict[Node, list[tuple[TensorId, int]]]:
        """By the axis that is time, what is read that follows, and how much later."""
        shifts: dict[Node, list[tuple[TensorId, int]]] = {}
        for r in reads:
            s, *index = self.g.args[r]
            cover = self.cover.get(s)
            if cover is None or self._fixed(s, index[cover.position]):
                continue
            constant, terms = self.g.linear(index[cover.position])
            axis = next(iter(terms), None)
            if axis is None or terms != {axis: 1} or self.g.op[axis] != "axis":
                self.whole.add(s)
                continue
            shifts.setdefault(axis, []).append((s, constant))
        return shifts

    def _range(self, shifts: Iterable[tuple[TensorId, int]]) -> tuple[float, float]:
        """The shifts of a definition with which a tile has all that it reads."""
        low, high = -inf, inf
        for s, shift in shifts:
            low, high = max(low, self.cover[s].low - shift), min(high, self.cover[s].high - shift)
        return low, high

    def _add_summands(self, t: TensorId, axis: Node) -> bool:
        """A map follows term by term if every term does."""
        g, tensor = self.g, self.g.tensors[t]
        found: dict[int, Node] = {}
        if tensor.kind != "map":
            return False
        for sign, term in additive_terms(g, tensor.body):
            low, high = self._range(self._shifts(g.reads((term,))).get(axis, ()))
            if low > high:
                return False
            at = int(min(max(0, low), high))
            found[at] = g.add(found.get(at, g.zero), term if sign > 0 else g.neg(term))
        self.axis[t], self.owner[t] = axis, t
        self.summands[t] = tuple((body, at) for at, body in sorted(found.items()))
        return True

    def _add(self, t: TensorId, axis: Node, low: float, high: float) -> None:
        tensor = self.g.tensors[t]
        self.axis[t], self.owner[t] = axis, t
        if axis in tensor.red:
            self.sums[t] = low, high
        else:
            position = tensor.out.index(axis) + (1 if tensor.kind == "enum" else 0)
            self.cover[t] = _Cover(position, low, high)

    def _can_follow(self, t: TensorId, axis: Node) -> bool:
        g, tensor = self.g, self.g.tensors[t]
        if tensor.kind not in _FOLLOWING or t in self.taken or self._surplus_of(axis) is None:
            return False
        running = running_form(g, tensor)
        return running is None or axis not in (running.axis, *tensor.red)

    def _surplus_of(self, axis: Node) -> int | None:
        """How much longer an axis is than the recurrence, if that is a number."""
        constant, terms = self.g.linear(self.g.isub(self.g.extent(axis), self.length))
        return None if terms else constant

    def _fixed(self, s: TensorId, index: Node) -> _Use | None:
        """The use that a read of a trajectory is, if it is at its start or at its end."""
        if s in self.around.aliases:
            s, later, _ = self.around.aliases[s]
            index = self.g.iadd(index, self.g.const(later))
        scan = self.results.get(s)
        if scan is None:
            return None
        start, end = (self.length, self.g.zero) if scan.lag else (self.g.zero, self.length)
        if index == start:
            return _Use(scan.firsts[scan.results.index(s)])
        return _Use(s, is_end=True) if index == end else None

    def _follow_to_sources(self) -> None:
        """What only those that follow read, at their time up to a shift, follows as well."""
        g = self.g
        readers: dict[TensorId, list[tuple[tuple[Node, ...], Node | None]]] = {}
        elsewhere = set(self.around.outputs)
        for scan in self.scans:
            elsewhere.update(scan.firsts)
            for s, index, axis in self._scan_reads(scan):
                readers.setdefault(s, []).append((index, axis))
        for t in reversed(self.around.outer):
            tensor = g.tensors[t]
            if t in self.kept or t in self.around.provided[None]:
                continue
            if is_scan(g, t):
                if t not in self.results:
                    elsewhere.update(outer_sources(g, t))
                continue
            known = t in self.owner or t in elsewhere or tensor.kind in ("input", "scatter")
            known = known or any(g.args[r][0] in self.cover for r in g.reads_of(t))
            if not known and (place := self._common_place(t, readers.get(t, []))) is not None:
                self._add(t, tensor.out[place], -inf, inf)
            for r in g.reads_of(t):
                s, *places = g.args[r]
                readers.setdefault(s, []).append((tuple(places), self.axis.get(t)))

    def _common_place(self, t: TensorId, reads: Sequence[tuple[tuple[Node, ...], Node | None]]) -> int | None:
        """The axis of the result of `t` that is time for all its readers."""
        leading = 1 if self.g.tensors[t].kind == "enum" else 0
        for place, own in enumerate(self.g.tensors[t].out):
            at = [(index[place + leading], axis) for index, axis in reads]
            if at and all(axis is not None and _shift(self.g, i, axis) is not None for i, axis in at):
                return place if self._can_follow(t, own) else None
        return None

    def _find_whole(self) -> None:
        """What is read outside as well is kept for all times."""
        self.whole.update(t for t in self.cover if t in self.around.outputs)
        for item in self._items():
            if isinstance(item, Scan):
                self.whole.update(t for t in item.firsts if t in self.cover)
                if item not in self.scans:
                    self.whole.update(t for t in outer_sources(self.g, item.results[0]) if t in self.cover)
            elif item not in self.axis and item not in self.kept:
                for r in self.g.reads_of(item):
                    s, index = self.g.args[r][0], self.g.args[r][1:]
                    if s in self.cover and self._fixed(s, index[self.cover[s].position]) is None:
                        self.whole.add(s)
        for t in [t for t in self.whole if t in self.around.aliases]:
            self.whole.add(self.around.aliases[t][0])

    # ---- uses ------------------------------------------------------------------------------

    def _uses(self, item: Item) -> Iterator[_Use]:
        if isinstance(item, Scan):
            if item not in self.scans:
                yield from (_Use(s) for s in outer_sources(self.g, item.results[0]))
                return
            yield from (_Use(s) for s in item.firsts)
            for s, index, axis in self._scan_reads(item):
                use = self._use(s, index, axis)
                cover = self.cover.get(s)
                is_there = (
                    cover is not None and use.shift is not None and cover.low <= use.shift <= cover.high
                )
                yield use if is_there else _Use(use.source)
        elif item not in self.kept:
            for r in self.g.reads_of(item):
                s, *places = self.g.args[r]
                yield self._use(s, tuple(places), self.axis.get(item))

    def _use(self, s: TensorId, index: tuple[Node, ...], axis: Node | None) -> _Use:
        cover = self.cover.get(s)
        if cover is None:
            return _Use(s)
        fixed = self._fixed(s, index[cover.position])
        if fixed is not None:
            return fixed
        if axis is None or (s in self.axis and s in self.whole):
            return _Use(s)
        return _Use(s, _shift(self.g, index[cover.position], axis))

    # ---- spans and sweeps ------------------------------------------------------------------

    def _choose_spans(self) -> None:
        """Which times of a tile each definition covers: what its readers need, or each time once."""
        wanted: dict[TensorId, tuple[int, int]] = {}
        self.spans: dict[TensorId, tuple[int, int]] = {}
        for item in reversed(list(self._items())):
            if not self._follows(item):
                continue
            low = high = 0
            if not isinstance(item, Scan) and item not in self.summands:
                low, high = self.spans[item] = self._span(item, wanted.get(item))
            for use, first, last in self._reads_at(item, low, high):
                if use.shift is not None and use.source in self.axis:
                    a, b = first + use.shift, last + use.shift
                    c, d = wanted.get(use.source, (a, b))
                    wanted[use.source] = min(a, c), max(b, d)

    def _reads_at(self, item: Item, low: int, high: int) -> Iterator[tuple[_Use, int, int]]:
        """What an item reads, and the times it does so for."""
        if isinstance(item, Scan) or item not in self.summands:
            yield from ((use, low, high) for use in self.uses[item])
            return
        for body, at in self.summands[item]:
            for r in self.g.reads((body,)):
                s, *index = self.g.args[r]
                yield self._use(s, tuple(index), self.axis[item]), at, at

    def _span(self, t: TensorId, wanted: tuple[int, int] | None) -> tuple[int, int]:
        if t not in self.sums and t not in self.whole and wanted is not None:
            return wanted
        low, high = self.sums[t] if t in self.sums else (self.cover[t].low, self.cover[t].high)
        at = int(min(max(0, low), high))
        return at, at

    def _choose_stages(self) -> None:
        """As early as can be, but what only others in a tile read comes with the first of them."""
        items = [i for i in self._items() if isinstance(i, Scan) or i not in self.kept]
        early: dict[Item, int] = {}  # the sweep in which (for what follows) or after which it is there
        for item in items:
            stage = self._earliest(item, early)
            early[item] = stage + (1 if item in self.scans and stage % 2 != item.lag else 0)
        late = dict.fromkeys(items, max(early.values()))
        for item in reversed(items):
            if item not in self.cover or item in self.whole:
                late[item] = early[item]
            for use in self.uses[item]:
                source = self._provider(use.source)
                if source is not None:
                    is_before = use.shift is None and self._follows(item)
                    late[source] = min(late[source], late[item] - is_before)
        self.stages: dict[Item, int] = {i: late[i] for i in items if self._follows(i)}
        self.again: set[Item] = set()
        for item in reversed(items):
            for use in self.uses[item]:
                if use.shift is not None:
                    source = self.owner[use.source]
                    if item in self.again or self.stages[item] > self.stages[source]:
                        self.again.add(source)

    def _follows(self, item: Item) -> bool:
        return item in self.scans if isinstance(item, Scan) else item in self.axis

    def _earliest(self, item: Item, early: Mapping[Item, int]) -> int:
        stage = 0 if self._follows(item) else -1
        for use in self.uses[item]:
            source = self._provider(use.source)
            if source is not None:
                is_before = use.shift is None and self._follows(item)
                stage = max(stage, early[source] + is_before)
        return stage

    def _provider(self, t: TensorId) -> Item | None:
        """What computes a tensor; None for inputs."""
        return self.owner[t] if t in self.owner else provider(self.g, self.around, t)

    def _result(self) -> Tiling:
        members: dict[TensorId, Member] = {}
        windows: dict[TensorId, Window] = {}
        surplus = 0
        for t, axis in self.axis.items():
            if t in self.summands:
                position = self.g.tensors[t].out.index(axis)
                members[t] = Member(axis, position, 0, 0, self.summands[t])
                surplus = max(surplus, (self._surplus_of(axis) or 0) - self.summands[t][0][1])
                continue
            low, high = self.spans[t]
            place = None if t in self.sums else self.cover[t].position
            members[t] = Member(axis, place, low, high)
            if place is not None and t not in self.whole:
                first = min(low, 0)
                windows[t] = Window(place, first, max(high, 0) - first)
            else:
                surplus = max(surplus, (self._surplus_of(axis) or 0) - low)
        for t, cover in self.cover.items():
            if t not in self.axis and t not in self.whole and t not in self.around.aliases:
                windows[t] = Window(cover.position, 0, 1 if t in self.results else 0)
        ends = {use.source for uses in self.uses.values() for use in uses if use.is_end}
        needs = {
            item: tuple(use.source for use in self.uses[item] if use.shift is None) for item in self.stages
        }
        return Tiling(
            self.length,
            surplus,
            self.scans,
            members,
            self.stages,
            frozenset(self.again),
            windows,
            frozenset(t for t in ends if t in windows),
            self.owner,
            needs,
        )


def provider(g: Graph, around: Recurrences, t: TensorId) -> Item | None:
    """What computes a tensor, where nothing follows tiles: a recurrence, itself, or nothing for inputs."""
    if g.tensors[t].kind == "input":
        return None
    if t in around.aliases:
        t = around.aliases[t][0]
    if t in around.provided[None]:
        for loop, records in around.records.items():
            if loop.around is None and any(t == r.tensor for r in records.values()):
                return loop.scan
    return scan_of(g, t) if is_scan(g, t) else t


def _shift(g: Graph, index: Node, axis: Node) -> int | None:
    """c where an index is axis + c."""
    constant, terms = g.linear(index)
    return constant if terms == {axis: 1} else None


def own_item(g: Graph, around: Recurrences, t: TensorId) -> Item | None:
    """What has to be done for a tensor itself; None where something else leaves it behind."""
    item = provider(g, around, t)
    return item if item == t or is_scan(g, t) else None
