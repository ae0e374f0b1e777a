"""Definitions become loop nests: the last place where tensors exist.

Each definition is one nest; the step of a recurrence is a loop over time around the nests of its
definitions. A value is computed in the outermost loop that has all its axes, so loop-invariant code
is never inside. Index conditions of a reduction become loop bounds; a read that could fall outside
its tensor is only made where its condition holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from symgrad.ir.bands import Band
from symgrad.ir.bounds import is_nonnegative
from symgrad.ir.graph import Graph, Node, Tensor, TensorId
from symgrad.ir.names import mangled
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.running import Running, running_form
from symgrad.ir.scan import Clock, Scan, clocks, is_scan, outer_definitions, scan_of
from symgrad.ir.triangle import is_symmetric_sum, mirrored_entry, triangle_conditions
from symgrad.loops.calls import Calls
from symgrad.loops.deltas import absorbed_scatters, split_bands
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    LoadInt,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Test,
    Value,
    poly,
    poly_add,
    poly_from,
    poly_mul,
    variable,
)
from symgrad.loops.order import loop_order
from symgrad.loops.records import Record, last_states, records

_T = TypeVar("_T")
_IDENTITY = {
    "sum": ("q", 0, 1),
    "prod": ("q", 1, 1),
    "max": ("f", "-inf"),
    "min": ("f", "inf"),
    "scatter": ("q", 0, 1),
}
_LEAVES = frozenset(("read", "cast", "ige", "ieq", "const", "true", "false"))  # no values below them
_SELECTIONS = frozenset(("mask", "where", "and", "or"))  # what stands behind their condition may not exist
_LOOP_NAMES = ("i", "j", "k", "l", "p", "q", "r", "s")


@dataclass(frozen=True)
class Interface:
    """Inputs and outputs of a routine in call order: (what the user calls it, tensor)."""

    name: str
    inputs: tuple[tuple[str, TensorId], ...]
    outputs: tuple[tuple[str, TensorId], ...]
    title: str = ""


def lower(g: Graph, interface: Interface, library: bool = False) -> Routine:
    """The loop nests that compute the outputs. `g` must be legal (see `opt.passes.legalise`).

    library  the routine may call LAPACK and BLAS (`nest.Library`); else it has loops for everything.
    """
    return _Lowering(g, interface, library).run()


class _Lowering:
    """State of one lowering: names, numbered values, and the statements at top level."""

    def __init__(self, g: Graph, interface: Interface, library: bool) -> None:
        self.g = g
        self.library = library
        self.interface = interface
        roots = [t for _, t in interface.outputs]
        self.order = g.definitions_below(roots)
        self.size_symbols = _sizes_in_use(g, [*self.order, *(t for _, t in interface.inputs)])
        names = mangled(
            [*self.size_symbols, *(n for n, _ in interface.inputs), *(n for n, _ in interface.outputs)]
        )
        self.size_names = dict(zip(self.size_symbols, names, strict=False))
        self.taken = set(names)
        self.buffers: dict[TensorId, Buffer] = {}
        self.copies: list[tuple[Buffer, TensorId]] = []  # one tensor asked for twice
        self.top: list[Statement] = []
        self.top_values: dict[Node, Value] = {}
        self.scans = _scans(g, self.order)
        self.clocks: dict[TensorId, Clock] = {}  # definitions that stand in a loop over time
        self.records: dict[
            TensorId, Record
        ] = {}  # those of them that the loop being made keeps for all times
        self.records_of: dict[Scan, dict[TensorId, Record]] = {}
        outer = outer_definitions(g, (t for _, t in interface.outputs))
        for scan in self.scans:
            self.clocks.update(clocks(g, scan))
        self.ends = last_states(g, self.scans, self.order, [t for _, t in interface.outputs])
        self.aliases: dict[TensorId, tuple[TensorId, int, Record]] = {}  # what a trajectory holds
        free = set(outer) - {t for _, t in interface.outputs}
        for scan in self.scans:
            found = records(g, scan, outer)
            for step, result in zip(scan.steps, scan.results, strict=True):
                record = found.pop(step, None)
                if record is not None and record.tensor in free:
                    self.aliases[record.tensor] = result, 1 - scan.lag, record
            self.records_of[scan] = found
        links = {s for t in self.order for s in g.tensors[t].links}
        self.absorbed = absorbed_scatters(g, roots, {*roots, *links, *self.clocks})
        self.time: Poly = ()  # the time that loop is at
        self.trajectories: dict[TensorId, tuple[TensorId, int]] = {}  # what stands there, and how much later
        self.integers: dict[Node, str] = {}
        self.next_value = 0
        self.calls = Calls()
        self._make_buffers(names[len(self.size_symbols) :])

    def run(self) -> Routine:
        done = {*self.aliases, *(r.tensor for kept in self.records_of.values() for r in kept.values())}
        for t in outer_definitions(self.g, (t for _, t in self.interface.outputs)):
            kind = self.g.tensors[t].kind
            if t in done:
                continue
            if is_scan(self.g, t):
                scan = scan_of(self.g, t)
                done.update(scan.results)
                self._emit_scan(scan)
            elif kind != "input" and t not in self.absorbed:
                Nest(self, t).emit()
        self.calls.finish(self)
        return Routine(
            self.interface.name,
            tuple(self.size_names[s] for s in self.size_symbols),
            tuple(self.size_symbols),
            tuple(self.all_buffers),
            self.top,
            self.interface.title,
            self.calls.notes,
            tuple(self.calls.failures),
        )

    # ---- recurrences -----------------------------------------------------------------------

    def _emit_scan(self, scan: Scan) -> None:
        """First values, then one loop over time with the nests of the step inside.

        The values of each step are written where the next one reads them: into the trajectory.
        """
        length, later = self.poly(scan.length), 1 - scan.lag
        for first, result in zip(scan.firsts, scan.results, strict=True):
            self._copy(first, (), result, (length if scan.lag else poly(0),))
        self.trajectories = {s: (r, 0) for s, r in zip(scan.states, scan.results, strict=True)}
        for step, result in zip(scan.steps, scan.results, strict=True):
            if step in self.clocks and result not in self.ends:
                self.trajectories.setdefault(step, (result, later))
        name = self.fresh_name("time")
        self.time = variable(name)
        if scan.lag:
            self.time = poly_add(poly_add(length, poly(1), -1), self.time, -1)
        outside, known = self.top, dict(self.top_values)
        self.top, self.records = [], self.records_of[scan]
        for t in clocks(self.g, scan):
            Nest(self, t).emit()
        for step, result in zip(scan.steps, scan.results, strict=True):
            if self.trajectories.get(step) != (result, later):
                self._copy(step, (self.time,), result, (poly_add(self.time, poly(later)),))
        outside.append(For(name, (poly(0),), (length,), self.top))
        self.top, self.top_values, self.records = outside, known, {}

    def _copy(self, source: TensorId, at: tuple[Poly, ...], target: TensorId, to: tuple[Poly, ...]) -> None:
        """Copy: target[to, ...] = source[at, ...]."""
        value, rest = self.fresh_value(), self.g.tensors[target].extents[len(to) :]
        names = [self.loop_name(d) for d in range(len(rest))]
        index = tuple(variable(n) for n in names)
        body: list[Statement] = [
            Load(value, *self.element(source, (*at, *index))),
            Store(*self.element(target, (*to, *index)), value),
        ]
        for name, extent in reversed(list(zip(names, rest, strict=True))):
            body = [For(name, (poly(0),), (self.poly(extent),), body)]
        self.top.extend(body)

    def element(self, t: TensorId, index: tuple[Poly, ...]) -> tuple[str, tuple[Poly, ...]]:
        """(buffer, index) of an element of a tensor, or of the part of it at its first indices."""
        if t in self.trajectories:
            result, later = self.trajectories[t]
            if result in self.ends:
                return self.buffers[result].name, index[1:]
            return self.buffers[result].name, (poly_add(index[0], poly(later)), *index[1:])
        if t in self.aliases:
            result, later, alias = self.aliases[t]
            index = tuple(index[alias.order.index(k)] for k in range(len(index)))
            return self.buffers[result].name, (poly_add(index[0], poly(later)), *index[1:])
        record = self.records.get(t)
        if record is not None:
            return self.buffers[record.tensor].name, tuple(index[p] for p in record.order if p < len(index))
        return self.buffers[t].name, self.without_time(t, index)

    def without_time(self, t: TensorId, parts: Sequence[Any]) -> tuple[Any, ...]:
        """One part per axis of the buffer of `t`: what a step computes is kept for one time only.

        So are the states of a recurrence of which only the last are needed.
        """
        if t in self.ends:
            return tuple(parts[1:])
        clock = self.clocks.get(t)
        if clock is None:
            return tuple(parts)
        return (*parts[: clock.position], *parts[clock.position + 1 :])

    def _make_buffers(self, names: Sequence[str]) -> None:
        g, n_inputs = self.g, len(self.interface.inputs)
        self.all_buffers: list[Buffer] = []
        for name, (symbol, t) in zip(names, self.interface.inputs, strict=False):
            self._add_buffer(t, name, "input", symbol)
        for name, (symbol, t) in zip(names[n_inputs:], self.interface.outputs, strict=True):
            assert t not in self.buffers, "every output is a definition of its own"
            self._add_buffer(t, name, "output", symbol)
        own: set[TensorId] = set()  # what a loop over time keeps for one time, in a buffer of its own
        for scan in self.scans:  # a definition may belong to the steps of several
            placed = {*self.records_of[scan], *scan.steps}
            own.update(t for t in clocks(g, scan) if t not in placed)
            if scan.results[0] in self.ends:
                own.update(scan.steps)
        elsewhere = {*self.absorbed, *self.aliases, *(t for t in self.clocks if t not in own)}
        results = [r for scan in self.scans for r in scan.results]
        for t in dict.fromkeys((*self.order, *results)):
            is_stored = g.tensors[t].kind not in ("input", "state") and t not in elsewhere
            if is_stored and t not in self.buffers:
                self._add_buffer(t, self.fresh_name("t"), "work", "")

    def _add_buffer(self, t: TensorId, name: str, role: str, symbol: str) -> None:
        tensor = self.g.tensors[t]
        extents = tuple(self.poly(e) for e in self.without_time(t, tensor.extents))
        buffer = Buffer(name, role, extents, tensor.dtype, symbol)
        self.buffers[t] = buffer
        self.all_buffers.append(buffer)

    def status_buffer(self) -> str:
        """A further output, one number."""
        name = "status" if "status" not in self.taken else self.fresh_name("status")
        self.taken.add(name)
        place = max(k for k, b in enumerate(self.all_buffers) if b.role == "output")
        self.all_buffers.insert(place + 1, Buffer(name, "output", (), symbol="status"))
        return name

    def fresh_name(self, stem: str) -> str:
        k = 1
        while f"{stem}{k}" in self.taken:
            k += 1
        self.taken.add(f"{stem}{k}")
        return f"{stem}{k}"

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


def _scans(g: Graph, tensors: Sequence[TensorId]) -> list[Scan]:
    """The recurrences among some tensors, each once."""
    return list(dict.fromkeys(scan_of(g, t) for t in tensors if is_scan(g, t)))


def _sizes_in_use(g: Graph, tensors: Sequence[TensorId]) -> list[str]:
    """Size symbols by first use: the order of the routine's integer parameters."""
    names: dict[str, None] = {}
    for t in sorted(set(tensors)):
        tensor = g.tensors[t]
        for n in g.reachable((*tensor.extents, *tensor.out, *tensor.red, *tensor.bodies, *tensor.target)):
            if g.op[n] == "size":
                names[g.args[n][0]] = None
    return list(names)


@dataclass(frozen=True)
class _Scope:
    """A list of statements that run inside `level` loops (possibly in a branch there)."""

    statements: list[Statement]
    level: int


def _swapped(halves: tuple[_T, ...]) -> tuple[_T, ...]:
    """The second half first."""
    middle = len(halves) // 2
    return halves[middle:] + halves[:middle]


class Nest:
    """One definition's loops. Level 0 is outside all loops, level k inside the k-th."""

    def __init__(self, lowering: _Lowering, t: TensorId) -> None:
        self.low = lowering
        self.g = lowering.g
        self.t = t
        self.tensor: Tensor = self.g.tensors[t]
        clock = lowering.clocks.get(t)
        self.time = clock.axis if clock is not None else None  # the axis of a loop around this nest
        self._use_loops(loop_order(self.g, self.tensor))
        self.needs_guard: dict[Node, bool] = {}
        self.mirror = self.time is None and is_symmetric_sum(self.g, self.tensor) and self._halves_in_order()

    def _use_loops(self, loops: list[Node]) -> None:
        """Start with empty levels for these loops, outermost first."""
        self.loops = loops = [a for a in loops if a != self.time]
        self.values: dict[Node, Value] = {}
        self.loaded: set[Node] = set()  # gathered indices already in a variable of this nest
        self.names = {a: self.low.loop_name(d) for d, a in enumerate(loops)}
        self.depth = {a: d + 1 for d, a in enumerate(loops)}
        self.variables = {a: variable(name) for a, name in self.names.items()}
        if self.time is not None:
            self.variables[self.time], self.depth[self.time] = self.low.time, 0
        self.pre: list[list[Statement]] = [self.low.top, *([] for _ in loops)]
        self.scopes = [_Scope(statements, level) for level, statements in enumerate(self.pre)]
        self.post: list[list[Statement]] = [[] for _ in range(len(loops) + 1)]
        self.lower_bounds: dict[Node, list[Poly]] = {a: [poly(0)] for a in loops}
        self.upper_bounds = {a: [self.poly(self.g.extent(a))] for a in loops}

    # ---- small helpers ---------------------------------------------------------------------

    def poly(self, node: Node) -> Poly:
        return self.low.poly(node, self.variables)

    def level(self, n: Node) -> int:
        return max((self.depth[a] for a in self.g.axes[n]), default=0)

    def _reduces_outside_output(self) -> bool:
        """A reduced loop lies outside one over the result: accumulate in memory."""
        kinds = [a in self.tensor.red for a in self.loops]
        return any(kinds[d] and not kinds[d + 1] for d in range(len(kinds) - 1))

    def element(self, index: Sequence[Node]) -> tuple[str, tuple[Poly, ...]]:
        """(buffer, index) of an element of the result."""
        return self.low.element(self.t, tuple(self.poly(i) for i in index))

    # ---- the nest --------------------------------------------------------------------------

    def emit(self) -> None:
        t = self.tensor
        if t.kind in ("map", "enum"):
            self._emit_maps()
            return
        if t.kind == "call":
            self.low.calls.emit(self.low, self.t, self.time)
            return
        if (running := running_form(self.g, t)) is not None:
            self._emit_running(running)
            return
        if t.kind == "scatter":
            self._emit_initial(("q", 0, 1))
            self._emit_update("sum", self._split_guard(t.body), tuple(t.target))
        elif self._reduces_outside_output():
            self._emit_memory_reduction()
        else:
            self._emit_cell_reduction()
        self._assemble()
        if self.mirror and self._reduces_outside_output():
            self._emit_mirror_copy()

    def _emit_running(self, running: Running) -> None:
        """One register carried along the axis, stored before or after each step."""
        g, t = self.g, self.tensor
        (c,) = t.red
        last = g.iadd(g.extent(c), g.const(-1))
        place = c if running.forward else g.isub(last, c)
        self._use_loops([a for a in t.out if a != running.axis] + [c])
        at = len(self.loops)
        cell = self._cell(self.pre[at - 1], _IDENTITY[t.kind])
        store = Store(*self.element([place if a == running.axis else a for a in t.out]), cell)
        if not running.inclusive:
            self.pre[at].append(store)
        (value,) = self._values((g.substitute(running.value, {c: place}),))
        self.pre[at].append(Accumulate(t.kind, cell, value))
        if running.inclusive:
            self.pre[at].append(store)
        self._assemble()

    def _emit_maps(self) -> None:
        """Every entry of every body; bands are added where they are, each in loops of its own."""
        t = self.tensor
        if t.kind == "enum":
            for entry, value in enumerate(self._values(t.bodies)):
                self.pre[-1].append(Store(*self.element((self.g.const(entry), *t.out)), value))
            self._assemble()
            return
        half = mirrored_entry(self.g, t.out, t.body) if self.time is None else None
        body = t.body if half is None else half
        dense, bands = split_bands(self.g, t.out, body, self.low.absorbed, self.time)
        self._emit_entries(dense, is_mirrored=half is not None and bool(self.g.axes[dense]))
        for band in bands:
            self._use_loops(list(band.loops))
            self._emit_band(band, is_mirrored=half is not None)

    def _emit_entries(self, value: Node, is_mirrored: bool) -> None:
        """All entries of a map; of a symmetric one the lower triangle, stored at both places.

        (A fill with one number is no symmetric one: in order of memory it takes half the time.)
        """
        inner = self.pre[-1]
        if is_mirrored:
            inner = self._enter(list(self._triangle(self.tensor.out)), len(self.loops))
        (entry,) = self._values((value,), inner)
        buffer, index = self.element(self.tensor.out)
        inner.append(Store(buffer, index, entry))
        if is_mirrored:
            inner.append(Store(buffer, _swapped(index), entry))
        self._assemble()

    def _emit_band(self, band: Band, is_mirrored: bool) -> None:
        """Add a band; of a symmetric map what lies below the diagonal, at both its places."""
        g, target = self.g, band.target
        guards, value = self._band_parts(band)
        if is_mirrored:
            guards = conjuncts(g, conjunction(g, [*guards, self._triangle(target)[-1]]))
            if guards == [g.false]:
                return
        inner, entry = self._emit_update("sum", ([p for p in guards if p != g.true], value), target)
        below = g.node("not", self._triangle(_swapped(target))[-1]) if is_mirrored else g.false
        if below != g.false:
            other: list[Statement] = [StoreReduce("sum", *self.element(_swapped(target)), entry)]
            inner += other if below == g.true else [If(self._values((below,), inner)[0], other)]
        self._assemble()

    def _triangle(self, place: tuple[Node, ...]) -> tuple[Node, ...]:
        """Conditions for the first half of a place not to come before the second."""
        half = len(self.tensor.out) // 2
        conditions = triangle_conditions(self.g, self.tensor.out[:half], self.tensor.out[half:])
        onto = dict(zip(self.tensor.out, place, strict=True))
        return tuple(self.g.substitute_all(conditions, onto))

    def _band_parts(self, band: Band) -> tuple[list[Node], Node]:
        """(all conditions, value) of a band."""
        g = self.g
        if g.op[band.value] != "mask":
            return list(band.guards), band.value
        predicate, value = g.args[band.value]
        return [*band.guards, *conjuncts(g, predicate)], value

    def _emit_cell_reduction(self) -> None:
        """Outputs outside: one register per element."""
        t = self.tensor
        if self.mirror:
            self._only_lower_triangle()
        at = len(self.loops) - len(t.red)
        cell = self._cell(self.pre[at], _IDENTITY[t.kind])
        guards, body = self._split_guard(t.body)
        inner = self._enter(guards, len(self.loops))
        if not self.mirror and any(self._is_bounded(a) for a in self.loops[:at]):
            self._emit_initial(_IDENTITY[t.kind])  # entries that no loop visits
        (value,) = self._values((body,), inner)
        inner.append(Accumulate(t.kind, cell, value))
        self._store_result(self.post[at], cell)

    def _store_result(self, where: list[Statement], value: Value) -> None:
        buffer, index = self.element(self.tensor.out)
        where.append(Store(buffer, index, value))
        if self.mirror:
            where.append(Store(buffer, _swapped(index), value))

    def _emit_memory_reduction(self) -> None:
        """Reduced loops outside: the row of results is the accumulator."""
        if self.mirror:
            self._only_lower_triangle()
        self._emit_initial(_IDENTITY[self.tensor.kind])
        self._emit_update(self.tensor.kind, self._split_guard(self.tensor.body), tuple(self.tensor.out))

    def _halves_in_order(self) -> bool:
        half = len(self.tensor.out) // 2
        return self.depth[self.tensor.out[0]] < self.depth[self.tensor.out[half]]

    def _only_lower_triangle(self) -> None:
        """A symmetric result is computed where its first half's leading index is not smaller."""
        out = self.tensor.out
        self.upper_bounds[out[len(out) // 2]].append(poly_add(self.poly(out[0]), poly(1)))

    def _emit_mirror_copy(self) -> None:
        """The upper triangle from the lower one, in a nest of its own."""
        low, buffer, out = self.low, self.low.buffers[self.t].name, self.tensor.out
        half, index = len(out) // 2, tuple(self.poly(a) for a in out)
        value = low.fresh_value()
        body: list[Statement] = [
            Load(value, buffer, index),
            Store(buffer, _swapped(index), value),
        ]
        for d, a in reversed(list(enumerate(out))):
            upper = (self.poly(out[0]),) if d == half else (self.poly(self.g.extent(a)),)
            body = [For(self.names[a], (poly(0),), upper, body)]
        low.top.extend(body)

    def _emit_initial(self, identity: tuple[Any, ...]) -> None:
        """Fill the result, in a nest of its own before the updates."""
        low = self.low
        value, extents = low.fresh_value(), self.tensor.extents
        names = [low.loop_name(d) for d in range(len(extents))]
        index = [variable(n) for n in names]
        if self.time is not None:
            index[low.clocks[self.t].position] = low.time
        body: list[Statement] = [
            Const(value, identity),
            Store(*low.element(self.t, tuple(index)), value),
        ]
        for name, extent in reversed(low.without_time(self.t, list(zip(names, extents, strict=True)))):
            body = [For(name, (poly(0),), (low.poly(extent),), body)]
        low.top.extend(body)

    def _emit_update(
        self, kind: str, guarded: tuple[list[Node], Node], target: tuple[Node, ...]
    ) -> tuple[list[Statement], Value]:
        """Accumulate in memory; returns where, and the value."""
        guards, body = guarded
        inner = self._enter(guards, len(self.loops))
        (value,) = self._values((body,), inner)
        self._integers(target, _Scope(inner, len(self.loops)))
        inner.append(StoreReduce(kind, *self.element(target), value))
        return inner, value

    def _assemble(self) -> None:
        """Wrap the levels into loops, innermost first."""
        inside = self.pre[len(self.loops)] + self.post[len(self.loops)]
        for d in range(len(self.loops) - 1, -1, -1):
            axis = self.loops[d]
            loop = For(
                self.names[axis],
                tuple(dict.fromkeys(self.lower_bounds[axis])),
                tuple(dict.fromkeys(self.upper_bounds[axis])),
                inside,
            )
            if d == 0:
                self.low.top.append(loop)
                self.low.top.extend(self.post[0])
            else:
                inside = [*self.pre[d], loop, *self.post[d]]
        if not self.loops:
            self.low.top.extend(self.post[0])

    # ---- guards ----------------------------------------------------------------------------

    def _split_guard(self, body: Node) -> tuple[list[Node], Node]:
        """(conditions, value) of a reduced body; only sums and scatters have masks to annihilate."""
        g = self.g
        if g.op[body] != "mask" or self.tensor.kind not in ("sum", "scatter"):
            return [], body
        predicate, inner = g.args[body]
        return conjuncts(g, predicate), inner

    def _enter(self, guards: list[Node], level: int) -> list[Statement]:
        """Turn conditions into loop bounds where possible, the rest into one nested `If` each."""
        rest = [p for p in guards if not self._as_bound(p)]
        here = self.pre[level]
        on_indices = [p for p in rest if self.g.op[p] in ("ige", "ieq") and not self._unsafe(p)]
        gathered = [p for p in rest if self.g.op[p] in ("ige", "ieq") and self._unsafe(p)]
        on_values = [p for p in rest if p not in on_indices and p not in gathered]
        for parts in (on_indices, gathered, on_values):  # what is read may only exist where those before hold
            if parts:
                (condition,) = self._values((conjunction(self.g, parts),), here)
                inside: list[Statement] = []
                here.append(If(condition, inside))
                here = inside
        return here

    def _is_bounded(self, axis: Node) -> bool:
        """A condition became a bound of this loop."""
        return len(self.lower_bounds[axis]) + len(self.upper_bounds[axis]) > 2

    def _as_bound(self, p: Node) -> bool:
        """ige(c*v + rest) with v the innermost axis and c = 1 or -1 bounds the loop over v."""
        g = self.g
        if g.op[p] != "ige":
            return False
        index = g.args[p][0]
        _, terms = g.linear(index)
        if any(g.op[a] not in ("axis", "size", "imul") for a in terms) or not g.axes[index]:
            return False
        axis = max(g.axes[index], key=lambda a: self.depth[a])
        k = terms.get(axis, 0)
        if axis == self.time or abs(k) != 1 or any(axis in g.axes[a] for a in terms if a != axis):
            return False
        rest = self.poly(g.isub(index, g.iscale(axis, k)))
        if k == 1:
            self.lower_bounds[axis].append(poly_from({m: -c for m, c in rest}))
        else:
            self.upper_bounds[axis].append(poly_add(rest, poly(1)))
        return True

    # ---- values ----------------------------------------------------------------------------

    def _values(self, roots: Sequence[Node], scope: list[Statement] | None = None) -> list[Value]:
        """Make the values of `roots`; `scope` is where values that need a guard are computed."""
        level = len(self.loops)
        here = _Scope(self.pre[level] if scope is None else scope, level)
        local: dict[Node, Value] = {}
        self._emit_nodes(roots, here, local)
        return [self._lookup(r, local) for r in roots]

    def _lookup(self, n: Node, local: Mapping[Node, Value]) -> Value:
        value = local.get(n)
        if value is None:
            value = self.values.get(n)
        return self.low.top_values[n] if value is None else value

    def _has_value(self, n: Node, local: Mapping[Node, Value]) -> bool:
        return n in local or n in self.values or n in self.low.top_values

    def _emit_nodes(self, roots: Sequence[Node], scope: _Scope, local: dict[Node, Value]) -> None:
        for n in self._needed(roots, local):
            if self._unsafe(n):
                local[n] = self._emit_one(n, scope, local)
            else:
                self._emit_at_its_level(n, scope, local)

    def _emit_at_its_level(self, n: Node, scope: _Scope, local: dict[Node, Value]) -> None:
        """As far outside as its axes allow; a branch keeps what belongs to its own level."""
        level = self.level(n) if self.g.axes[n] else 0
        outer = self.scopes[level]
        if level == scope.level and scope.statements is not outer.statements:
            local[n] = self._emit_one(n, scope, local)
            return
        table = self.low.top_values if not self.g.axes[n] else self.values
        # Farther out, what this branch has computed for itself cannot be seen.
        visible = local if scope.statements is outer.statements else {}
        table[n] = self._emit_one(n, outer, visible)

    def _needed(self, roots: Sequence[Node], local: Mapping[Node, Value]) -> list[Node]:
        """Nodes to compute, ascending; the arms of guarding selections are not entered."""
        seen: set[Node] = set()
        stack = [r for r in roots if self.g.kind[r] != "int"]
        while stack:
            n = stack.pop()
            if n in seen or self._has_value(n, local):
                continue
            seen.add(n)
            stack.extend(self._value_children(n))
        return sorted(seen)

    def _value_children(self, n: Node) -> tuple[Node, ...]:
        g = self.g
        if g.op[n] in _LEAVES:
            return ()
        if not self._is_guarding(n):
            return g.arguments[n]
        return (g.args[n][0],) if g.op[n] in ("mask", "where") else tuple(t for t, _ in self._branches(n))

    def _emit_one(self, n: Node, scope: _Scope, local: dict[Node, Value]) -> Value:
        op, args = self.g.op[n], self.g.args[n]
        if op in _LEAVES:
            return self._emit_leaf(n, scope)
        if self._is_guarding(n):
            return self._emit_guarded(n, scope, local)
        values = tuple([self._lookup(a, local) for a in args])
        dst = self.low.fresh_value()
        scope.statements.append(Compute(dst, op, values))
        return dst

    def _emit_leaf(self, n: Node, scope: _Scope) -> Value:
        op, args, where = self.g.op[n], self.g.args[n], scope.statements
        dst = self.low.fresh_value()
        if op == "const":
            where.append(Const(dst, args))
        elif op in ("true", "false"):
            where.append(Bool(dst, op == "true"))
        elif op == "cast":
            self._integers(args, scope)
            where.append(FromInt(dst, self.poly(args[0])))
        elif op in ("ige", "ieq"):
            self._integers(args, scope)
            where.append(Test(dst, op, self.poly(args[0])))
        else:
            self._integers(args[1:], scope)
            where.append(Load(dst, *self.low.element(args[0], tuple(self.poly(i) for i in args[1:]))))
        return dst

    def _integers(self, nodes: Sequence[Node], scope: _Scope) -> None:
        """Load the gathered indices that `nodes` mention (inner ones first), each once if possible.

        A branch keeps those of its own level: what stands after it would come too late.
        """
        g = self.g
        for n in g.reachable(nodes):
            if g.op[n] != "read" or g.kind[n] != "int" or n in self.loaded:
                continue
            level = self.level(n)
            in_branch = level == scope.level and scope.statements is not self.pre[level]
            once = level > 0 and not in_branch and not self._unsafe(n)
            here = self.pre[level] if once else scope.statements
            if once:
                self.loaded.add(n)
            name = self.low.fresh_name("g")
            t, *index = g.args[n]
            here.append(LoadInt(name, self.low.buffers[t].name, tuple(self.poly(i) for i in index)))
            self.low.integers[n] = name

    # ---- reads that need their condition ---------------------------------------------------

    def _unsafe(self, n: Node) -> bool:
        """Whether computing `n` makes a read that is not proven to be inside its tensor."""
        if n not in self.needs_guard:
            unknown: set[Node] = set()
            stack = [n]
            while stack:
                m = stack.pop()
                if m not in unknown and m not in self.needs_guard:
                    unknown.add(m)
                    stack.extend(self.g.children(m))
            for m in sorted(unknown):
                self.needs_guard[m] = self._unsafe_here(m)
        return self.needs_guard[n]

    def _unsafe_here(self, n: Node) -> bool:
        g = self.g
        if g.op[n] == "read" and not self._in_range(n):
            return True
        if g.op[n] in _SELECTIONS and self._guards_its_arms(n):
            # A decided condition has a safe side; a selection is as safe as its condition.
            return self.g.kind[n] != "bool" and self.needs_guard[g.args[n][0]]
        return any(self.needs_guard[c] for c in g.children(n))

    def _in_range(self, read: Node) -> bool:
        g = self.g
        t, *index = g.args[read]
        for i, extent in zip(index, g.tensors[t].extents, strict=True):
            if not is_nonnegative(g, i):
                return False
            if not is_nonnegative(g, g.isub(g.iadd(extent, g.const(-1)), i)):
                return False
        return True

    def _branches(self, n: Node) -> list[tuple[Node, Node]]:
        """(condition, what is only needed where it holds) of a selection or a decided condition."""
        g = self.g
        op, args = g.op[n], g.args[n]
        if op == "mask":
            return [(args[0], args[1])]
        if op == "where":
            return [(args[0], args[1]), (g.node("not", args[0]), args[2])]
        if op in ("and", "or"):
            first, second = sorted(args, key=lambda a: self.needs_guard[a])
            if self.needs_guard[second] and not self.needs_guard[first]:
                return [(first if op == "and" else g.node("not", first), second)]
        return []

    def _guards_its_arms(self, n: Node) -> bool:
        """A selection or a conjunction whose condition protects an unproven read."""
        if self.g.op[n] in ("mask", "where"):
            return any(self.needs_guard[a] for a in self.g.args[n][1:])
        return bool(self._branches(n))

    def _is_guarding(self, n: Node) -> bool:
        if self.g.op[n] not in _SELECTIONS:
            return False
        self._unsafe(n)
        return self._guards_its_arms(n)

    def _emit_guarded(self, n: Node, scope: _Scope, local: dict[Node, Value]) -> Value:
        """A register that is set in the branch taken, so the other one reads nothing."""
        start, cell = self.low.fresh_value(), self.low.fresh_value()
        if self.g.kind[n] == "bool":
            scope.statements.append(Bool(start, self.g.op[n] == "or"))
        else:
            scope.statements.append(Const(start, ("q", 0, 1)))
        scope.statements.append(Cell(cell, start))
        for test, arm in self._branches(n):
            self._emit_nodes((test,), scope, local)
            inside: list[Statement] = []
            scope.statements.append(If(self._lookup(test, local), inside))
            inner = dict(local)
            self._emit_nodes((arm,), _Scope(inside, scope.level), inner)
            inside.append(SetCell(cell, self._lookup(arm, inner)))
        return cell

    def _cell(self, where: list[Statement], identity: tuple[Any, ...]) -> Value:
        start, cell = self.low.fresh_value(), self.low.fresh_value()
        where += [Const(start, identity), Cell(cell, start)]
        return cell
