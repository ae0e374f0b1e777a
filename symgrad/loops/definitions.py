"""The loop nest of one definition: maps with their bands, reductions, running reductions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from symgrad.ir.contraction import terms_of
from symgrad.ir.graph import Node, TensorId
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.running import Running, running_form
from symgrad.ir.sums.bands import Band
from symgrad.ir.tensor import Tensor
from symgrad.ir.triangle import is_symmetric_sum, mirrored_entry, triangle_conditions
from symgrad.loops.cases import cases
from symgrad.loops.contraction import Products
from symgrad.loops.deltas import split_bands
from symgrad.loops.levels import Levels, Scope
from symgrad.loops.nest import (
    Accumulate,
    Cell,
    Const,
    For,
    If,
    Load,
    Poly,
    Statement,
    Store,
    StoreReduce,
    Value,
    poly,
    poly_add,
    variable,
)
from symgrad.loops.order import loop_order, place_named

if TYPE_CHECKING:
    from symgrad.loops.lower import Lowering

_T = TypeVar("_T")
_CHEAP = 32  # additions: fewer than while a processor finds its way back
_IDENTITY = {
    "sum": ("q", 0, 1),
    "prod": ("q", 1, 1),
    "max": ("f", "-inf"),
    "min": ("f", "inf"),
    "scatter": ("q", 0, 1),
}


def _swapped(halves: tuple[_T, ...]) -> tuple[_T, ...]:
    """The second half first."""
    middle = len(halves) // 2
    return halves[middle:] + halves[:middle]


class Nest(Levels):
    """One definition's loops."""

    def __init__(self, lowering: Lowering, t: TensorId) -> None:
        self.t = t
        self.tensor: Tensor = lowering.g.tensors[t]
        times = lowering.times_of(t)
        super().__init__(lowering, loop_order(lowering.g, self.tensor), times, lowering.span(t))
        self.is_plain = not times and self.span is None
        self.adds_up = self.span is not None and self.span.adds_up
        self.mirror = self.is_plain and is_symmetric_sum(self.g, self.tensor) and self._halves_in_order()

    def element(self, index: Sequence[Node]) -> tuple[str, tuple[Poly, ...]]:
        """(buffer, index) of an element of the result."""
        return self.low.element(self.t, tuple(self.poly(i) for i in index))

    def emit(self) -> None:
        t = self.tensor
        if t.kind in ("map", "enum"):
            self._emit_maps()
            return
        if t.kind == "call":
            self.low.calls.emit(self.low, self.t, self.times)
            return
        is_shifted = self.span is not None and self.span.is_shifted
        if not self.low.plain and not is_shifted and (terms := terms_of(self.g, t, self.times)):
            fill = partial(self._emit_start, _IDENTITY["sum"])
            Products(self.low, self.t, self.times, fill, self.span).emit(terms)
            return
        if (running := running_form(self.g, t)) is not None:
            self._emit_running(running)
            return
        if t.kind == "scatter":
            self._emit_start(("q", 0, 1))
            self._emit_update("sum", self._split_guard(t.body), tuple(t.target))
        elif self._reduces_outside_output():
            self._emit_memory_reduction()
        else:
            self._emit_cell_reduction()
        self._assemble()
        if self.mirror and self._reduces_outside_output():
            self._emit_mirror_copy()

    def emit_identity(self) -> None:
        """What a reduction starts from, where its loops come later and more than once; a map from 0."""
        self.span = None
        self._emit_initial(_IDENTITY.get(self.tensor.kind, _IDENTITY["sum"]))

    def _emit_start(self, identity: tuple[Any, ...]) -> None:
        """The same here, but for a sum that goes on."""
        if not self.adds_up:
            self._emit_initial(identity)

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
            self._perform(t.bodies)
            for entry, value in enumerate(self._values(t.bodies)):
                self.pre[-1].append(Store(*self.element((self.g.const(entry), *t.out)), value))
            self._assemble()
            return
        if self.span is not None and self.span.summand is not None:
            self._emit_update("sum", ([], self.span.summand), tuple(t.out))
            self._assemble()
            return
        half = mirrored_entry(self.g, t.out, t.body) if self.is_plain else None
        if half is None and self.span is None and self._emit_cases():
            return
        body = t.body if half is None else half
        dense, bands = (body, list[Band]()) if self.span is not None else self._split_bands(body)
        self._emit_entries(dense, is_mirrored=half is not None and bool(self.g.axes[dense]))
        for band in bands:
            self._use_loops(list(band.loops))
            self._emit_band(band, is_mirrored=half is not None)

    def _split_bands(self, body: Node) -> tuple[Node, list[Band]]:
        return split_bands(self.g, self.tensor.out, body, self.low.absorbed, self.times)

    def _emit_cases(self) -> bool:
        """One store for each place along short axes whose places differ; False where there are none."""
        g, out = self.g, self.tensor.out
        told_apart = cases(g, [a for a in out if a not in self.times], self.tensor.body)
        if len(told_apart) == 1:
            return False
        if any(self._split_bands(value)[1] for _, value in told_apart):
            return False  # what is zero but on a diagonal has loops of its own
        fixed = told_apart[0][0]
        self._use_loops([a for a in loop_order(g, self.tensor) if a not in fixed])
        self._perform([value for _, value in told_apart])
        values = self._values([value for _, value in told_apart])
        for (place, _), value in zip(told_apart, values, strict=True):
            self.pre[-1].append(Store(*self.element([place.get(a, a) for a in out]), value))
        self._assemble()
        return True

    def _emit_entries(self, value: Node, is_mirrored: bool) -> None:
        """All entries of a map; of a symmetric one the lower triangle, stored at both places.

        (A fill with one number is no symmetric one: in order of memory it takes half the time.)
        """
        inner = self.pre[-1]
        if is_mirrored:
            inner = self._enter(list(self._triangle(self.tensor.out)), len(self.loops))
        else:
            self._perform((value,))
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
        inside, value = g.args[band.value] if g.op[band.value] == "mask" else (g.true, band.value)
        conditions = [*band.guards, *conjuncts(g, inside)]
        # Nobody foresees what numbers are, and a branch about them keeps the loop from vectors. Conditions
        # that no turn of the innermost loop changes will leave that loop.
        here = [p for p in self._on_values(conditions) if g.axes[p] >= frozenset(self.loops[-1:])]
        if not here or not self._is_cheap(value):
            return conditions, value
        return [p for p in conditions if p not in here], g.mask(conjunction(g, here), value)

    def _emit_cell_reduction(self) -> None:
        """Outputs outside: one register per element."""
        t = self.tensor
        if self.mirror:
            self._only_lower_triangle()
        at = len(self.loops) - len(t.red)
        cell = self._sum_so_far(at) if self.adds_up else self._cell(self.pre[at], _IDENTITY[t.kind])
        guards, body = self._split_guard(t.body)
        inner = self._enter(guards, len(self.loops))
        if not self.mirror and any(self._is_bounded(a) for a in self.loops[:at]):
            self._emit_start(_IDENTITY[t.kind])  # entries that no loop visits
        (value,) = self._values((body,), inner)
        inner.append(Accumulate(t.kind, cell, value))
        self._store_result(self.post[at], cell)

    def _sum_so_far(self, level: int) -> Value:
        """A register that starts with what is there."""
        before, cell = self.low.fresh_value(), self.low.fresh_value()
        self.pre[level] += [Load(before, *self.element(self.tensor.out)), Cell(cell, before)]
        return cell

    def _store_result(self, where: list[Statement], value: Value) -> None:
        buffer, index = self.element(self.tensor.out)
        where.append(Store(buffer, index, value))
        if self.mirror:
            where.append(Store(buffer, _swapped(index), value))

    def _emit_memory_reduction(self) -> None:
        """Reduced loops outside: the row of results is the accumulator."""
        if self.mirror:
            self._only_lower_triangle()
        self._emit_start(_IDENTITY[self.tensor.kind])
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
        for clock in low.clocks.get(self.t, ()):
            index[clock.position] = self.times[clock.axis]
        body: list[Statement] = [
            Const(value, identity),
            Store(*low.element(self.t, tuple(index)), value),
        ]
        bounds: list[tuple[tuple[Poly, ...], tuple[Poly, ...]]]
        bounds = [((poly(0),), (low.poly(e),)) for e in extents]
        if self.span is not None and self.span.axis in self.tensor.out:
            at = self.tensor.out.index(self.span.axis)
            bounds[at] = (poly(0), self.span.lower), (bounds[at][1][0], *self.span.upper)
        for name, (lower, upper) in reversed(low.without_time(self.t, list(zip(names, bounds, strict=True)))):
            body = [For(name, lower, upper, body)]
        low.top.extend(body)

    def _emit_update(
        self, kind: str, guarded: tuple[list[Node], Node], target: tuple[Node, ...]
    ) -> tuple[list[Statement], Value]:
        """Accumulate in memory; returns where, and the value."""
        guards, body = guarded
        inner = self._enter(guards, len(self.loops))
        (value,) = self._values((body,), inner)
        self._integers(target, Scope(inner, len(self.loops)))
        inner.append(StoreReduce(kind, *self.element(target), value))
        return inner, value

    def _reduces_outside_output(self) -> bool:
        """A reduced loop lies outside one over the result: accumulate in memory."""
        kinds = [a in self.tensor.red for a in self.loops]
        return any(kinds[d] and not kinds[d + 1] for d in range(len(kinds) - 1))

    def _split_guard(self, body: Node) -> tuple[list[Node], Node]:
        """(conditions, value) of a reduced body; only sums and scatters have masks to annihilate."""
        g = self.g
        if g.op[body] != "mask" or self.tensor.kind not in ("sum", "scatter"):
            return [], body
        predicate, inner = g.args[body]
        conditions = conjuncts(g, predicate)
        if g.op[inner] not in ("const", "read") or self._unsafe(inner):
            return conditions, inner
        # A branch around what costs nothing is slower than adding it or zero: no vectors.
        on_values = self._on_values(conditions)
        return [p for p in conditions if p not in on_values], g.mask(conjunction(g, on_values), inner)

    def _on_values(self, conditions: list[Node]) -> list[Node]:
        """Those about numbers.

        What says at which place of an axis one turn is left remains a bound of the loop (`loops.order`).
        """
        g = self.g
        return [p for p in conditions if g.op[p] not in ("ige", "ieq") and place_named(g, p) is None]

    def _is_cheap(self, value: Node) -> bool:
        """Whether computing it takes less time than a branch that was not foreseen."""
        below = [n for n in self.g.reachable((value,)) if self.g.axes[n] and self.g.op[n] in OPS]
        return not self._unsafe(value) and sum(OPS[self.g.op[n]].cost for n in below) <= _CHEAP
