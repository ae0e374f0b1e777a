"""The loops over tiles of time (`loops.tiles`): sweeps forwards and backwards, and what they compute again.

    for each block of tiles                        in the direction of the sweep
        compute again what earlier sweeps left     from the states at the start of the block
        keep the states here
        for each tile of the block                 in the direction of the sweep
            compute again ...                      from the states at the start of the tile
            keep the states here
            the steps of recurrences, and what follows them

Where a sweep begins, the one before it has just ended: there nothing is computed again. So with one tile,
which holds all times, everything is computed once, and stored.

The numbers of blocks, of tiles in a block and of steps in a tile are sizes of the routine: who calls it
chooses them, as memory allows, with blocks * tiles * steps >= the length of the recurrence + surplus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from symgrad.ir.graph import Node, TensorId
from symgrad.ir.scan import Scan, frontier
from symgrad.ir.text import node_text
from symgrad.loops.definitions import Nest
from symgrad.loops.nest import (
    Address,
    Buffer,
    For,
    If,
    Part,
    Poly,
    Statement,
    Test,
    TimeTiles,
    poly,
    poly_add,
    poly_mul,
    variable,
)
from symgrad.loops.recurrences import Recurrences
from symgrad.loops.tiles import Item, Member, Tiling, own_item, provider
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.loops.lower import Lowering

LEVELS = 2  # blocks, and tiles in them
SIZE_NAMES = ("blocks", "tiles_in_block", "steps_in_tile")


@dataclass(frozen=True)
class Span:
    """The part of a loop over time that belongs to a tile: [lower, min(upper)) of `axis`.

    adds_up  to the results, which were 0 at first: sums over time, and maps made of summands.
    is_shifted  it is not just the times of the tile.
    summand  what is added here to a map; None where its body is stored.
    """

    axis: Node
    lower: Poly
    upper: tuple[Poly, ...]
    adds_up: bool
    is_shifted: bool
    summand: Node | None


class Sweeps:
    """The sweeps over the tiles of one length."""

    def __init__(self, low: Lowering, tiling: Tiling) -> None:
        self.low, self.g, self.tiling = low, low.g, tiling
        names = [low.size_parameter(name) for name in SIZE_NAMES]
        self.sizes = TimeTiles(tuple(names), low.poly(tiling.length), tiling.surplus)
        self.counts, self.steps = [variable(n) for n in names[:LEVELS]], variable(names[LEVELS])
        self.start: Poly = ()  # of the tile that is being made
        self.parts: dict[tuple[Item, ...], Part] = {}  # the code of a tile, once for each contents
        self.summand: tuple[Node, int] | None = None  # that is being made, and its shift
        self.is_before_first = False  # of times that a shifted definition has before its first tile
        self.now: dict[TensorId, Buffer] = {}  # the states that the next tile starts from
        self.kept: dict[TensorId, list[Buffer]] = {}  # those at the start of each block, and of each tile
        self.ends: dict[TensorId, Buffer] = {}  # those after the sweep
        self.directions = [stage % 2 for stage in range(tiling.sweeps)]

    # ---- where values lie ------------------------------------------------------------------

    def extents(self, t: TensorId, extents: Sequence[Poly]) -> tuple[Poly, ...]:
        """The extents of the buffer of a tensor: those of a tile, if it is kept for one only."""
        window = self.tiling.windows.get(t)
        if window is None:
            return tuple(extents)
        own = poly_add(self.steps, poly(window.more))
        return (*extents[: window.position], own, *extents[window.position + 1 :])

    def element(self, t: TensorId, index: tuple[Poly, ...]) -> tuple[str, tuple[Poly, ...]]:
        """(buffer, index) of an element at the given time."""
        owner, window = self.tiling.owner[t], self.tiling.windows.get(t)
        if isinstance(owner, Scan) and t in owner.results:
            start, end = self._limits(owner)
            if index[0] == start:
                return self.low.element(owner.firsts[owner.results.index(t)], index[1:])
            if index[0] == end and t in self.ends:
                return self.ends[t].name, index[1:]
        name = self.low.buffers[t].name
        if window is None:
            return name, index
        place = poly_add(index[window.position], poly_add(self.start, poly(window.first)), -1)
        return name, (*index[: window.position], place, *index[window.position + 1 :])

    def _limits(self, scan: Scan) -> tuple[Poly, Poly]:
        """The times of the first and of the last state."""
        return (self.sizes.length, ()) if scan.lag else ((), self.sizes.length)

    def span(self, t: TensorId) -> Span:
        """The part of the loop over time of a definition that belongs to this tile."""
        member = self.tiling.members[t]
        body, low, high = None, member.low, member.high
        if self.summand is not None:
            body, low = self.summand
            high = low
        lower = poly_add(self.start, poly(low))
        upper = [poly_add(poly_add(self.start, self.steps), poly(high))]
        if self.is_before_first:  # nothing but in the first tile, where start is 0
            lower, upper = poly(0), [poly(low), poly_add(poly(low), self.start, -low)]
        adds_up = member.position is None or body is not None
        return Span(member.axis, lower, tuple(upper), adds_up, (low, high) != (0, 0), body)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a caller has to know of the sizes it chooses."""
        blocks, tiles, steps = self.sizes.names
        surplus = f" + {self.sizes.surplus}" if self.sizes.surplus else ""
        least = node_text(self.g, self.tiling.length) + surplus
        return (
            f"time in tiles: {blocks} * {tiles} * {steps} >= {least};",
            "  fewer and longer tiles take more memory and compute less again; with one tile, nothing",
        )

    def make_buffers(self) -> None:
        """The states between tiles."""
        last = self.tiling.sweeps - 1
        for scan in self.tiling.scans:
            for r in scan.results:
                rest = tuple(self.low.poly(e) for e in self.g.tensors[r].extents[1:])
                self.now[r] = self._buffer(rest)
                if r in self.tiling.ends:
                    self.ends[r] = self._buffer(rest)
                if scan in self.tiling.again and self.tiling.stages[scan] < last:
                    self.kept[r] = [self._buffer((count, *rest)) for count in self.counts]

    def _buffer(self, extents: tuple[Poly, ...]) -> Buffer:
        buffer = Buffer(self.low.fresh_name("t"), "work", extents)
        self.low.all_buffers.append(buffer)
        return buffer

    # ---- sweeps ----------------------------------------------------------------------------

    def sweep(self, stage: int) -> None:
        """All of one sweep: sums start at nothing, recurrences at their first states."""
        items = self._items(stage)
        for item in items:
            if not isinstance(item, Scan) and self._adds_up(self.tiling.members[item]):
                Nest(self.low, item).emit_identity()
        for scan, r in self._states(items):
            self._copy(r, self._at_time(r, self._limits(scan)[0]), self._at(self.now[r]))
        self._loops(0, stage, [], is_main=True)
        for _, r in self._states(items):
            if r in self.ends:
                self._copy(r, self._at(self.now[r]), self._at(self.ends[r]))

    def _adds_up(self, member: Member) -> bool:
        return member.position is None or bool(member.summands)

    def _items(self, stage: int) -> list[Item]:
        """What a sweep computes, in order."""
        found = [item for item, at in self.tiling.stages.items() if at == stage]
        return sorted(found, key=lambda item: min(item.results) if isinstance(item, Scan) else item)

    def _states(self, items: Sequence[Item]) -> list[tuple[Scan, TensorId]]:
        return [(item, r) for item in items if isinstance(item, Scan) for r in item.results]

    def _loops(self, level: int, stage: int, outer: list[Poly], is_main: bool) -> None:
        """One loop over tiles, or blocks of them, and what is inside; at last the tile itself."""
        if level == LEVELS:
            self._tile(stage, outer, is_main)
            return
        count, name = self.counts[level], self.low.fresh_name("tile")
        turn = variable(name)
        here = poly_add(poly_add(count, poly(1), -1), turn, -1) if self.directions[stage] else turn
        with self._inside() as body:
            self._again(level, stage, [*outer, here], turn)
            for _, r in self._states(self._items(stage)):
                if r in self.kept:
                    self._copy(r, self._at(self.now[r]), self._at(self.kept[r][level], here))
            self._loops(level + 1, stage, [*outer, here], is_main)
        self.low.top.append(For(name, (poly(0),), (count,), body))

    def _again(self, level: int, stage: int, places: list[Poly], turn: Poly) -> None:
        """What earlier sweeps had here, but for the place where the last of them has ended."""
        earlier = [s for s in range(stage) if any(i in self.tiling.again for i in self._items(s))]
        with self._inside() as body:
            for s in earlier:
                for _, r in self._states(self._items(s)):
                    if r in self.kept:
                        self._copy(r, self._at(self.kept[r][level], places[-1]), self._at(self.now[r]))
                self._loops(level + 1, s, places, is_main=False)
        if not body:
            return
        before = max(s for s in range(stage) if self._items(s))
        if self.directions[stage] in (self.directions[before], self.directions[earlier[-1]]):
            self.low.top.extend(body)
            return
        condition = self.low.fresh_value()
        self.low.top += [Test(condition, "ige", poly_add(turn, poly(-1))), If(condition, body)]

    def _tile(self, stage: int, places: Sequence[Poly], is_main: bool) -> None:
        """One tile: the steps of the recurrences, and the definitions that follow them."""
        items = tuple(i for i in self._items(stage) if is_main or i in self.tiling.again)
        if items not in self.parts:
            self.parts[items] = self._part(items, f"sweep {stage}, one tile")
        part, tile = self.parts[items], poly(0)
        for count, place in zip(self.counts, places, strict=True):
            tile = poly_add(poly_mul(tile, count), place)
        start = poly_mul(tile, self.steps)
        self.low.top.append(For(part.integers[0], (start,), (poly_add(start, poly(1)),), [part]))

    def _part(self, items: Sequence[Item], comment: str) -> Part:
        name = self.low.fresh_name("start")
        self.start = variable(name)
        with self._inside() as body:
            self.low.top_values = {}
            for item in items:
                if isinstance(item, Scan):
                    self._steps(item)
                    continue
                self._definition(item)
        return Part(body, comment, (name,), name)

    def _definition(self, t: TensorId) -> None:
        """What a definition has for a tile, or each of its summands."""
        member = self.tiling.members[t]
        for summand in member.summands or (None,):
            self.summand = summand
            Nest(self.low, t).emit()
            if (member.low if summand is None else summand[1]) > 0:
                self.is_before_first = True
                Nest(self.low, t).emit()
                self.is_before_first = False
        self.summand = None

    def _steps(self, scan: Scan) -> None:
        """The steps of a tile, from the states before it to those after it."""
        length, stop = self.sizes.length, poly_add(self.start, self.steps)
        turn = self.low.fresh_name("time")
        loop = For(turn, (self.start,), (stop, length))
        time = variable(turn)
        if scan.lag:
            loop = For(turn, (poly(0), poly_add(stop, length, -1)), (self.steps,))
            time = poly_add(poly_add(stop, poly(-1)), time, -1)
        for r in scan.results:
            for at in self._edge(is_stop=bool(scan.lag)):
                self._copy(r, self._at(self.now[r]), self._at_time(r, at))
        self.low.emit_steps(scan, loop, time)
        for r in scan.results:
            for at in self._edge(is_stop=not scan.lag):
                self._copy(r, self._at_time(r, at), self._at(self.now[r]))

    def _edge(self, is_stop: bool) -> Iterator[Poly]:
        """The first or the last time of a tile that is not after the end; code made for it is put in place.

        The loop around it has one turn, or none for a tile that begins after the end.
        """
        start, stop, length = self.start, poly_add(self.start, self.steps), self.sizes.length
        after = poly_add(length, poly(1))
        loops = [For("", (start,), (poly_add(start, poly(1)), after))]
        if is_stop:
            in_time = For("", (stop,), (poly_add(stop, poly(1)), after))
            loops = [in_time, For("", (length, start), (after, stop))]
        for loop in loops:
            loop.var = self.low.fresh_name("edge")
            with self._inside() as loop.body:
                yield variable(loop.var)
            self.low.top.append(loop)

    # ---- copies ----------------------------------------------------------------------------

    def _at(self, buffer: Buffer, *before: Poly) -> Address:
        return lambda rest: (buffer.name, (*before, *rest))

    def _at_time(self, r: TensorId, time: Poly) -> Address:
        return lambda rest: self.element(r, (time, *rest))

    def _copy(self, r: TensorId, source: Address, target: Address) -> None:
        """Copy one state of a trajectory."""
        self.low.copy([self.low.poly(e) for e in self.g.tensors[r].extents[1:]], source, target)

    @contextmanager
    def _inside(self) -> Iterator[list[Statement]]:
        """Statements made here go to a list of their own; the values they compute stay there."""
        low = self.low
        outside, known = low.top, dict(low.top_values)
        body: list[Statement] = []
        low.top = body
        yield body
        low.top, low.top_values = outside, known


def in_order(
    low: Lowering, around: Recurrences, sweeps: Sequence[Sweeps]
) -> Iterator[Item | tuple[Sweeps, int]]:
    """Definitions, recurrences and sweeps, each after what it needs."""
    g = low.g
    if not sweeps:
        yield from dict.fromkeys(i for i in (own_item(g, around, t) for t in around.outer) if i is not None)
        return
    swept = {t: (s, s.tiling.stages[owner]) for s in sweeps for t, owner in s.tiling.owner.items()}
    starts = {  # the first states are there before the sweep
        (r, scan.length if scan.lag else g.zero): first
        for s in sweeps
        for scan in s.tiling.scans
        for r, first in zip(scan.results, scan.firsts, strict=True)
    }
    order: TopologicalSorter[Any] = TopologicalSorter()

    def complete(tensors: Iterable[TensorId]) -> list[Any]:
        found = [swept[t] if t in swept else provider(g, around, t) for t in tensors]
        return [item for item in found if item is not None]

    for s in sweeps:
        for stage in range(s.tiling.sweeps):
            order.add((s, stage), *([(s, stage - 1)] if stage else []))
        for item, stage in s.tiling.stages.items():
            order.add((s, stage), *(i for i in complete(s.tiling.needs[item]) if i != (s, stage)))
    for t in around.outer:
        own = None if t in swept else own_item(g, around, t)
        if isinstance(own, Scan):
            order.add(own, *complete(frontier(g, own)))
        elif own is not None:
            order.add(own, *complete(starts.get(g.args[r][:2], g.args[r][0]) for r in g.reads_of(t)))
    yield from order.static_order()
