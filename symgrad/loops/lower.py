"""Definitions become loop nests: the last place where tensors exist.

Each definition is one nest; the step of a recurrence is a loop over time around the nests of its
definitions. A value is computed in the outermost loop that has all its axes, so loop-invariant code
is never inside. Index conditions of a reduction become loop bounds; a read that could fall outside
its tensor is only made where its condition holds. Where memory is scarce, time is cut into tiles
(`loops.tiles`, `loops.sweeps`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.names import mangled
from symgrad.ir.scan import Clock, Scan, is_scan, scan_of
from symgrad.loops.blocks import blocked
from symgrad.loops.calls import Calls
from symgrad.loops.contract import SCRATCH
from symgrad.loops.definitions import Nest
from symgrad.loops.deltas import absorbed_scatters
from symgrad.loops.fuse import fused
from symgrad.loops.halting import Halt, halt_of
from symgrad.loops.levels import Levels
from symgrad.loops.lines import Lines
from symgrad.loops.nest import (
    Address,
    Buffer,
    Compute,
    For,
    If,
    Leave,
    Load,
    Poly,
    Routine,
    Start,
    Statement,
    Store,
    Value,
    poly,
    poly_add,
    poly_mul,
    variable,
)
from symgrad.loops.records import Record
from symgrad.loops.recurrences import Loop, Recurrences
from symgrad.loops.runs import with_lines
from symgrad.loops.searches import searched_in_blocks
from symgrad.loops.slabs import in_slabs
from symgrad.loops.strips import stripped
from symgrad.loops.sweeps import Span, Sweeps, in_order
from symgrad.loops.tiles import tilings
from symgrad.loops.turns import without_single_turns
from symgrad.loops.unswitch import sums_unswitched
from symgrad.records import dataclass

_LOOP_NAMES = ("i", "j", "k", "l", "p", "q", "r", "s")


@dataclass(frozen=True)
class Interface:
    """Inputs and outputs of a routine in call order: (what the user calls it, tensor)."""

    name: str
    inputs: tuple[tuple[str, TensorId], ...]
    outputs: tuple[tuple[str, TensorId], ...]
    title: str = ""


def lower(
    g: Graph, interface: Interface, library: bool = False, tiled: bool = False, plain: bool = False
) -> Routine:
    """The loop nests that compute the outputs. `g` must be legal (see `opt.passes.legalise`).

    library  the routine may call LAPACK and BLAS (`nest.Library`); else it has loops for everything.
    tiled    recurrences keep what they need in reverse for tiles of time only (`loops.tiles`).
    plain    matrix products are plain loops, which need no memory of their own (`nest.Contract` does).
    """
    routine = Lowering(g, interface, library, tiled, plain).run()
    if isinstance(routine.body, Lines):
        return routine  # of its loops, which fill outputs, nothing is to be made
    loops = sums_unswitched(in_slabs(stripped(without_single_turns(routine))))
    return blocked(searched_in_blocks(fused(loops)))


class Lowering:
    """State of one lowering: names, numbered values, and the statements at top level."""

    def __init__(self, g: Graph, interface: Interface, library: bool, tiled: bool, plain: bool) -> None:
        self.g = g
        self.library = library
        self.plain = plain
        self.interface = interface
        roots = [t for _, t in interface.outputs]
        self.order = g.definitions_below(roots)
        self.size_symbols = _sizes_in_use(g, [*self.order, *(t for _, t in interface.inputs)])
        names = mangled(
            [*self.size_symbols, *(n for n, _ in interface.inputs), *(n for n, _ in interface.outputs)]
        )
        self.size_names = dict(zip(self.size_symbols, names, strict=False))
        self.taken = set(names)
        self.numbers: dict[str, Iterator[int]] = {}  # the next ones of names
        self.chosen_sizes: dict[str, str] = {}
        self.buffers: dict[TensorId, Buffer] = {}
        self.copies: list[tuple[Buffer, TensorId]] = []  # one tensor asked for twice
        self.top: list[Statement] = []
        self.outermost = self.top
        self.top_values: dict[Node, Value] = {}
        self.recurrences = Recurrences(g, roots)
        self.clocks = self.recurrences.clocks
        self.records: dict[TensorId, Record] = {}  # what the loops being made keep for all times
        self.aliases = self.recurrences.aliases
        found_tilings = tilings(g, self.recurrences) if tiled else []
        self.sweeps = [Sweeps(self, tiling) for tiling in found_tilings]
        self.follows = {t: s for s in self.sweeps for t in s.tiling.owner}
        self.ends = self.recurrences.agreed(self.recurrences.ends - set(self.follows))
        links = {s for t in self.order for s in g.tensors[t].links}
        self.fixed = {*roots, *links}
        self.absorbed = absorbed_scatters(g, roots, {*roots, *links, *self.clocks, *self.follows})
        self.around: Loop | None = None  # the innermost of those loops
        self.times: tuple[Poly, ...] = ()  # the times those loops are at, the outermost first
        self.trajectories: dict[TensorId, tuple[TensorId, int]] = {}  # what stands there, and how much later
        self.integers: dict[Node, str] = {}
        self.next_value = 0
        self.calls = Calls()
        self.scratch_name = ""
        self._make_buffers(names[len(self.size_symbols) :])

    def run(self) -> Routine:
        for item in in_order(self, self.recurrences, self.sweeps):
            if isinstance(item, tuple):
                sweeps, stage = item
                sweeps.sweep(stage)
            elif isinstance(item, Scan):
                self._emit_scan(item)
            elif item not in self.absorbed:
                Nest(self, item).emit()
        self.calls.finish(self)
        return Routine(
            self.interface.name,
            (*(self.size_names[s] for s in self.size_symbols), *self.chosen_sizes.values()),
            (*self.size_symbols, *self.chosen_sizes),
            tuple(self.all_buffers),
            with_lines(self.top),
            self.interface.title,
            (*self.calls.notes, *(note for s in self.sweeps for note in s.notes)),
            tuple(self.calls.failures),
            tuple(s.sizes for s in self.sweeps),
        )

    # ---- recurrences -----------------------------------------------------------------------

    def _emit_scan(self, scan: Scan) -> None:
        """First values, then one loop over time with the nests of the step inside."""
        length = self.poly(scan.length)
        for first, result in zip(scan.firsts, scan.results, strict=True):
            self._copy(first, None, result, length if scan.lag else poly(0))
        name = self.fresh_name("time")
        time = variable(name)
        if scan.lag:
            time = poly_add(poly_add(length, poly(1), -1), time, -1)
        self.emit_steps(scan, For(name, (poly(0),), (length,)), time)

    def emit_steps(self, scan: Scan, loop: For, time: Poly) -> None:
        """Steps of a recurrence, at the times of a loop.

        The values of each step are written where the next one reads them: into the trajectory.
        """
        later = 1 - scan.lag
        outside = self.top, dict(self.top_values), self.records, self.trajectories, self.times
        self.trajectories = {
            **self.trajectories, **{s: (r, 0) for s, r in zip(scan.states, scan.results, strict=True)}
        }  # fmt: skip
        for step, result in zip(scan.steps, scan.results, strict=True):
            if step in self.clocks and result not in self.ends:
                self.trajectories.setdefault(step, (result, later))
        around, self.around = self.around, Loop(scan, self.around)
        self.records = {**self.records, **self.recurrences.records[self.around]}
        self.top, self.times = loop.body, (*self.times, time)
        halt = halt_of(self.g, self.recurrences, self.around, self.fixed)
        if halt is None:
            self._emit_step(scan, frozenset(), later)
        else:
            self._emit_halting(scan, halt, loop)
        self.top, self.top_values, self.records, self.trajectories, self.times = outside
        self.around = around
        self.top.append(loop)

    @property
    def time(self) -> Poly:
        """The time the innermost of those loops is at."""
        return self.times[-1]

    def times_of(self, t: TensorId) -> dict[Node, Poly]:
        """Where the axes of a definition are that have a loop over time around it."""
        return {c.axis: at for c, at in zip(self.clocks.get(t, ()), self.times, strict=False)}

    def _emit_step(self, scan: Scan, done: Collection[TensorId], later: int) -> None:
        """One step, but for the definitions that are there already."""
        self._emit_all([t for t in self.recurrences.inside[scan] if t not in done])
        for step, result in zip(scan.steps, scan.results, strict=True):
            if self.trajectories.get(step) != (result, later):
                self._copy(step, self.time, result, poly_add(self.time, poly(later)))

    def _emit_all(self, tensors: Iterable[TensorId]) -> None:
        """Definitions of a step, and the recurrences in it."""
        elsewhere = {*self.aliases, *self.recurrences.provided[self.around], *self.absorbed}
        own = [t for t in tensors if t not in elsewhere or t in self.trajectories]
        for item in dict.fromkeys(scan_of(self.g, t) if is_scan(self.g, t) else t for t in own):
            if isinstance(item, Scan):
                self._emit_scan(item)
            else:
                Nest(self, item).emit()

    def _emit_halting(self, scan: Scan, halt: Halt, loop: For) -> None:
        """A step that does nothing where its condition fails (`loops.halting`)."""
        later = 1 - scan.lag
        self._emit_all(t for t in self.recurrences.inside[scan] if t in halt.always)
        (going,) = Levels(self, [], dict(zip(halt.times, self.times, strict=True)))._values((halt.going,))
        stopped = self.fresh_value()
        self.top.append(Compute(stopped, "not", (going,)))
        inside, steps = self.top, list[Statement]()
        self.top = []
        if halt.leaves:
            self._emit_rest(scan, halt, loop)
            inside.append(If(stopped, [*self.top, Leave()]))
            self.top = inside
            self._emit_step(scan, halt.always, later)
            return
        for r in scan.results:
            if r not in self.ends:
                self._copy(r, poly_add(self.time, poly(scan.lag)), r, poly_add(self.time, poly(later)))
        if self.top:
            inside.append(If(stopped, self.top))
        self.top = steps
        self._emit_step(scan, halt.always, later)
        inside.append(If(going, steps))

    def _emit_rest(self, scan: Scan, halt: Halt, loop: For) -> None:
        """All later states are this one, and the values of the condition those it has now."""
        name, outside = self.fresh_name("rest"), self.top
        self.top, now, at = [], self.time, variable(name)
        for r in scan.results:
            if r not in self.ends:
                self._copy(r, now, r, poly_add(at, poly(1)))
        for t in sorted(halt.condition & self.records.keys()):
            *outer, clock = self.clocks[t]
            self._copy_at(t, {**self._outer_times(outer), clock.position: (now, at)}, t, t)
        if self.top:
            outside.append(For(name, (now,), loop.upper, self.top))
        self.top = outside

    def _copy(self, source: TensorId, source_time: Poly | None, target: TensorId, target_time: Poly) -> None:
        """Copy the state of one time; without a time, a first value."""
        known = self._outer_times(self.clocks.get(target, ()))
        at = poly(0) if source_time is None else source_time
        self._copy_at(target, {**known, 0: (at, target_time)}, source, target, int(source_time is None))

    def _outer_times(self, outer: Sequence[Clock]) -> dict[int, tuple[Poly, Poly]]:
        return {c.position: (at, at) for c, at in zip(outer, self.times, strict=False)}

    def _copy_at(
        self, t: TensorId, fixed: Mapping[int, tuple[Poly, Poly]], source: TensorId, target: TensorId,
        left_out: int = 0,
    ) -> None:  # fmt: skip
        """Copy a tensor with the extents of `t` at some fixed places, those of the source and of the target.

        left_out  how many axes the source does not have, the first ones.
        """
        extents = self.g.tensors[t].extents

        def index(rest: tuple[Poly, ...], which: int) -> tuple[Poly, ...]:
            others = iter(rest)
            return tuple(fixed[p][which] if p in fixed else next(others) for p in range(len(extents)))

        self.copy(
            [self.poly(e) for p, e in enumerate(extents) if p not in fixed],
            lambda rest: self.element(source, index(rest, 0)[left_out:]),
            lambda rest: self.element(target, index(rest, 1)),
        )

    def copy(self, extents: Sequence[Poly], source: Address, target: Address) -> None:
        """Copy an array; the addresses of its elements are (buffer, index)."""
        value, names = self.fresh_value(), [self.loop_name(d) for d in range(len(extents))]
        index = tuple(variable(n) for n in names)
        body: list[Statement] = [Load(value, *source(index)), Store(*target(index), value)]
        for name, extent in reversed(list(zip(names, extents, strict=True))):
            body = [For(name, (poly(0),), (extent,), body)]
        self.top.extend(body)

    def element(self, t: TensorId, index: tuple[Poly, ...]) -> tuple[str, tuple[Poly, ...]]:
        """(buffer, index) of an element of a tensor, or of the part of it at its first indices."""
        while True:
            if t in self.trajectories:
                t, later = self.trajectories[t]
                index = (poly_add(index[0], poly(later)), *index[1:])
            elif t in self.aliases:
                t, later, alias = self.aliases[t]
                index = tuple(index[alias.order.index(k)] for k in range(len(index)))
                index = (poly_add(index[0], poly(later)), *index[1:])
            elif t in self.records:
                record = self.records[t]
                t, index = record.tensor, tuple(index[p] for p in record.order if p < len(index))
            else:
                return self._stored(t, self.without_time(t, index))

    def _stored(self, t: TensorId, index: tuple[Poly, ...]) -> tuple[str, tuple[Poly, ...]]:
        """Where an element of a tensor lies; what follows tiles of time may be kept for one only."""
        if t in self.follows:
            return self.follows[t].element(t, index)
        return self.buffers[t].name, index

    def span(self, t: TensorId) -> Span | None:
        """The part of the loop over time of a definition that is being made; None for all of it."""
        sweeps = self.follows.get(t)
        return sweeps.span(t) if sweeps is not None and t in sweeps.tiling.members else None

    def size_parameter(self, name: str) -> str:
        """A further size of the routine, which the caller chooses."""
        symbol, k = name, 1
        while symbol in self.size_symbols or symbol in self.chosen_sizes:
            k += 1
            symbol = f"{name}_{k}"
        own = symbol if symbol not in self.taken else self.fresh_name(name)
        self.taken.add(own)
        self.chosen_sizes[symbol] = own
        return own

    def without_time(self, t: TensorId, parts: Sequence[Any]) -> tuple[Any, ...]:
        """One part per axis of the buffer of `t`: what a step computes is kept for one time only.

        So are the states of a recurrence of which only the last are needed.
        """
        left_out = {clock.position for clock in self.clocks.get(t, ())}
        left_out |= {0} if t in self.ends else set()
        return tuple(part for place, part in enumerate(parts) if place not in left_out)

    def _make_buffers(self, names: Sequence[str]) -> None:
        g, n_inputs = self.g, len(self.interface.inputs)
        self.all_buffers: list[Buffer] = []
        for name, (symbol, t) in zip(names, self.interface.inputs, strict=False):
            self._add_buffer(t, name, "input", symbol)
        for name, (symbol, t) in zip(names[n_inputs:], self.interface.outputs, strict=True):
            assert t not in self.buffers, "every output is a definition of its own"
            self._add_buffer(t, name, "output", symbol)
        for t in self._stored_tensors():
            if g.tensors[t].kind not in ("input", "state") and t not in self.buffers:
                self._add_buffer(t, self.fresh_name("t"), "work", "")
        for sweeps in self.sweeps:
            sweeps.make_buffers()

    def _stored_tensors(self) -> list[TensorId]:
        """What has memory of its own; what a loop over time keeps for one time does as well."""
        own = set(self.recurrences.stored(self.ends))
        results = [r for loop in self.recurrences.loops for r in loop.scan.results]
        elsewhere = {*self.absorbed, *self.aliases, *(t for t in self.clocks if t not in own)}
        used = own.union(self.recurrences.outer, results)
        return [t for t in dict.fromkeys((*self.order, *results)) if t in used and t not in elsewhere]

    def _add_buffer(self, t: TensorId, name: str, role: str, symbol: str) -> None:
        tensor = self.g.tensors[t]
        extents = tuple(self.poly(e) for e in self.without_time(t, tensor.extents))
        if t in self.follows:
            extents = self.follows[t].extents(t, extents)
        buffer = Buffer(name, role, extents, tensor.dtype, symbol)
        self.buffers[t] = buffer
        self.all_buffers.append(buffer)

    def extents_of(self, buffer: str) -> tuple[Poly, ...]:
        return next(b.extents for b in reversed(self.all_buffers) if b.name == buffer)

    def scratch(self) -> Start:
        """Memory for the calls of `nest.Contract`, shared by all of them."""
        if not self.scratch_name:
            self.scratch_name = self.fresh_name("t")
            self.all_buffers.append(Buffer(self.scratch_name, "work", (poly(SCRATCH),)))
        return Start(self.scratch_name, (poly(0),))

    def status_buffer(self) -> str:
        """A further output, one number."""
        name = "status" if "status" not in self.taken else self.fresh_name("status")
        self.taken.add(name)
        place = max(k for k, b in enumerate(self.all_buffers) if b.role == "output")
        self.all_buffers.insert(place + 1, Buffer(name, "output", (), symbol="status"))
        return name

    def fresh_name(self, stem: str) -> str:
        numbers = self.numbers.setdefault(stem, count(1))  # those before are taken
        name = next(n for k in numbers if (n := f"{stem}{k}") not in self.taken)
        self.taken.add(name)
        return name

    def fresh_value(self) -> Value:
        self.next_value += 1
        return self.next_value - 1

    def loop_name(self, depth: int) -> str:
        stem = _LOOP_NAMES[depth] if depth < len(_LOOP_NAMES) else f"i{depth}"
        name, k = stem, 0
        while name in self.taken:
            k += 1
            name = f"{stem}_{k}"
        return name

    def poly(self, node: Node, axes: Mapping[Node, Poly] | None = None) -> Poly:
        """An integer node over named variables."""
        g = self.g
        constant, terms = g.linear(node)
        total = poly(constant)
        for atom, k in terms.items():
            total = poly_add(total, self._atom(atom, axes or {}), k)
        return total

    def _atom(self, atom: Node, axes: Mapping[Node, Poly]) -> Poly:
        op, args = self.g.op[atom], self.g.args[atom]
        if op == "size":
            return variable(self.size_names[args[0]])
        if op == "axis":
            return axes[atom]
        if op == "imul":
            return poly_mul(self.poly(args[0], axes), self.poly(args[1], axes))
        return variable(self.integers[atom])


def _sizes_in_use(g: Graph, tensors: Sequence[TensorId]) -> list[str]:
    """Size symbols by first use: the order of the routine's integer parameters."""
    names: dict[str, None] = {}
    if "size" not in g.op:
        return []
    for t in sorted(set(tensors)):
        tensor = g.tensors[t]
        for n in g.reachable((*tensor.extents, *tensor.out, *tensor.red, *tensor.bodies, *tensor.target)):
            if g.op[n] == "size":
                names[g.args[n][0]] = None
    return list(names)
