"""Calls of matrix functions in a routine: loops over their further axes, scratch memory, and the status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from symgrad.ir.graph import Node, TensorId
from symgrad.ir.matrix.failures import failure_text
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.loops.lapack import LAPACK, SMALL
from symgrad.loops.matrix_loops import OWN, Site
from symgrad.loops.nest import Buffer, Failure, For, Poly, Statement, Store, poly, variable
from symgrad.loops.small_matrices import FUNCTIONS, by_size
from symgrad.loops.writer import Index, Number, View, Writer, as_poly

if TYPE_CHECKING:
    from symgrad.loops.lower import Lowering


class Calls:
    """The calls of one routine, and what can go wrong in them."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.status: str = ""

    def emit(self, low: Lowering, t: TensorId, times: Mapping[Node, Poly]) -> None:
        """The loops of the call `t`, for each value of the axes before its result's.

        times  where those among them are whose loops are around everything already (of recurrences).
        """
        g, tensor, row = low.g, low.g.tensors[t], MATRIX_FUNCTIONS[low.g.tensors[t].name]
        outer = tensor.out[: len(tensor.out) - len(row.result)]
        names = {a: low.loop_name(d) for d, a in enumerate(outer)}
        places = {a: times[a] if a in times else variable(name) for a, name in names.items()}
        w = _writer(low, len(outer))
        operands = tuple(
            _operand(low, w, b, r, places) for b, r in zip(tensor.bodies, row.ranks, strict=True)
        )
        own = tuple(variable(f"@{k}") for k in range(len(row.result)))
        buffer, place = low.element(t, (*places.values(), *own))
        assert place[len(place) - len(own) :] == own, "the axes of a call's result keep their order"
        result = View(w, buffer, place[: len(place) - len(own)])
        failed = w.register(w.truth(False)) if row.fails else None

        def fail(condition: Number) -> None:
            assert failed is not None, f"{tensor.name} has a value for every matrix"
            with w.when(condition):
                failed.set(w.truth(True))

        def scratch(*extents: Index) -> View:
            return _scratch(low, w, tuple(map(as_poly, extents)))

        letters = [letter for shape in row.operands for letter in shape]
        lengths = {letter: low.poly(g.extent(a)) for letter, a in zip(letters, tensor.red, strict=True)}
        _loops_for(low, tensor.name, lengths)(Site(w, lengths, operands, result, scratch, fail))
        if failed is not None:
            extents = [low.poly(g.extent(a)) for a in tensor.out[len(outer) :]]
            with w.when(failed.now):
                self._report(low, w, Failure(tensor.name, failure_text(g, tensor.name, tensor.bodies[0])))
                _fill_with_nan(w, result, extents)
        body: list[Statement] = w.statements
        for a in reversed([a for a in outer if a not in times]):
            body = [For(names[a], (poly(0),), (low.poly(g.extent(a)),), body)]
        low.top.extend(body)

    def _report(self, low: Lowering, w: Writer, failure: Failure) -> None:
        """status = the number of this call, unless an earlier one has failed."""
        if not self.status:
            self.status = low.status_buffer()
        self.failures.append(failure)
        status = View(w, self.status)
        with w.when(w.compute("eq", status.get(), 0)):
            status.put(w.number(len(self.failures)))

    def finish(self, low: Lowering) -> None:
        """The status is 0 before everything else."""
        if self.status:
            w = _writer(low, 0)
            View(w, self.status).put(w.number(0))
            low.top[:0] = w.statements

    @property
    def notes(self) -> tuple[str, ...]:
        """What the status says, for readers of the code."""
        if not self.failures:
            return ()
        title = "status: 0, or the number of the first call that failed, whose results are then nan:"
        return (title, *(f"  {k}: {failure.text}" for k, failure in enumerate(self.failures, 1)))


def _writer(low: Lowering, depth: int) -> Writer:
    def rank_of(buffer: str) -> int:
        return next(len(b.extents) for b in reversed(low.all_buffers) if b.name == buffer)

    return Writer(low.fresh_value, low.loop_name, lambda: low.fresh_name("g"), depth, rank_of)


def _loops_for(low: Lowering, name: str, lengths: Mapping[str, Poly]) -> Callable[[Site], None]:
    """LAPACK where the target has it and the matrix is not known to be small; our functions for few rows."""
    rows = lengths["n"]
    is_small = all(names == () for names, _ in rows) and sum(k for _, k in rows) <= SMALL
    if not low.library or name not in LAPACK or is_small:
        return OWN[name]
    return by_size(name, LAPACK[name]) if name in FUNCTIONS else LAPACK[name]


def _operand(low: Lowering, w: Writer, body: Node, rank: int, places: Mapping[Node, Poly]) -> View:
    """Where an operand lies: `opt.factorise` has put it into memory, its own axes last.

    A recurrence may have laid its axes out in another order; then it is copied.
    """
    t, *index = low.g.args[body]
    before = tuple(low.poly(i, places) for i in index[: len(index) - rank])
    own = tuple(variable(f"@{k}") for k in range(rank))
    buffer, place = low.element(t, (*before, *own))
    if place[len(place) - rank :] == own:
        return View(w, buffer, place[: len(place) - rank])
    extents = tuple(low.poly(e) for e in low.g.tensors[t].extents[len(before) :])
    copy = _scratch(low, w, extents)
    with w.loops(extents) as loops:
        value = w.load(*low.element(t, (*before, *loops)))
        w.append(Store(copy.buffer, loops, value.value))
    return copy


def _scratch(low: Lowering, w: Writer, extents: tuple[Poly, ...]) -> View:
    buffer = Buffer(low.fresh_name("t"), "work", extents)
    low.all_buffers.append(buffer)
    return View(w, buffer.name)


def _fill_with_nan(w: Writer, result: View, extents: list[Poly]) -> None:
    nan = w.constant("f", "nan")
    with w.loops(extents) as loops:
        result[loops] = nan
