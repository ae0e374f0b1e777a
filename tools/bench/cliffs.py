"""Cliffs: sizes at which a kernel is slower than another schedule of the same program would be.

    python tools/bench/cliffs.py [--only NAME ...] [--details]

For every shared program (`tests/programs`) value and gradient run at sizes from 1 to 4096, powers of two
and their odd neighbours, one axis at a time, the others at a middle value, as long as the program stays
below a number of operations. At each point the kernel as LLVM compiles it is compared with the best one
that a search finds: loops fused or apart, matrix products by the kernel or in plain loops, layouts searched
or as written, or by the C compiler. A slowdown of 1 is the best schedule; the worst one over all sizes is
the program's cliff. Small inputs are fresh in every evaluation of some hundreds: with three numbers that are
always the same, the processor knows each branch.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
from common import ROOT, Contender, ResultsDiffer, Setup, Table, main, measure, number
from machine_code import Addresses, backends

import symgrad as sg
from symgrad.ir.count import operations
from symgrad.loops.nest import Routine, evaluate_poly, with_derived
from symgrad.loops.split import split
from symgrad.opt.passes import PASSES
from symgrad.pipeline import optimise, routine_of
from symgrad.run.addresses import CACHE_LINE, to_line
from symgrad.targets.base import Loaded, target_named, workspace_elements

if str(ROOT / "tests") not in sys.path:
    sys.path.insert(0, str(ROOT / "tests"))
from programs import PROGRAMS, SharedProgram

MOST = 4096
MOST_OPERATIONS = 1 << 23  # of one evaluation
MIDDLE = {1: 1, 2: 32, 3: 24, 4: 16, 5: 12}  # the other sizes, by the number of all
WORDS = ("value", "grad")
TOLERANCE = 1e-8
TINY = ("logistic_regression", "attention_matrix")  # the second has two versions of its loops
SAMPLES_BYTES = 1 << 18
MOST_SAMPLES = 512
DOUBTFUL = 1.3  # slowdowns beyond are measured again
# One decision of the compiler taken otherwise: what stands in the place of what.
OTHERWISE = {
    "as compiled": {},
    "loops apart": {"symgrad.loops.lower.fused": lambda routine: routine},
    "plain loops": {"symgrad.loops.definitions.terms_of": lambda *arguments: ()},
    "layouts as written": {"symgrad.pipeline.PASSES": [p for p in PASSES if p[0] != "layout"]},
}
Sizes = Mapping[str, int]


def sizes_of_an_axis(most: int = MOST) -> list[int]:
    """1 to 5, then powers of two and their odd neighbours."""
    powers = [1 << k for k in range(3, most.bit_length())]
    return [n for n in (*range(1, 6), *(p + d for p in powers for d in (-1, 0, 1))) if n <= most]


@dataclass(frozen=True)
class Schedule:
    """A program compiled one way."""

    name: str
    backend: str
    routine: Routine
    loaded: Loaded

    def contender(self, samples: Sequence[Sequence[np.ndarray]], sizes: Sizes) -> Contender:
        """Evaluations of all samples in turn: what a branch predictor learns of one of them helps nobody."""
        r = self.routine
        named = {n: sizes[s] for n, s in zip(r.sizes, r.size_symbols, strict=True)}
        kinds = [np.int64 if b.dtype == "int" else np.float64 for b in r.buffers_of("input")]
        arrays = [_bank(x, kind) for x, kind in zip(zip(*samples, strict=True), kinds, strict=True)]
        shapes = [tuple(evaluate_poly(e, named) for e in b.extents) for b in r.buffers_of("output")]
        results = [_bank([np.zeros(shape)] * len(samples), np.float64) for shape in shapes]
        work = np.empty(workspace_elements(r, named) + CACHE_LINE)
        work = work[to_line(work.ctypes.data) // work.itemsize :]  # as calls from Python do it
        buffers = Addresses([*arrays, *results, work])
        steps = [x.shape[1] for x in (*arrays, *results)]
        meta = np.array([1, *named.values(), *steps], np.int64)

        def run(times: int) -> None:
            for start in range(0, times, len(samples)):
                meta[0] = min(times - start, len(samples))
                self.loaded.call(buffers.start, meta.ctypes.data)

        def all_results() -> list[np.ndarray]:
            run(len(samples))
            return [x[:, : math.prod(shape)].copy() for x, shape in zip(results, shapes, strict=True)]

        return Contender(f"{self.backend}, {self.name}", "kernel", run, all_results)


def _bank(arrays: Sequence[np.ndarray], kind: type) -> np.ndarray:
    """One array in a row, each at the beginning of a cache line; (samples, elements and what is between)."""
    length = max(int(np.size(arrays[0])), 1)
    step = length + -length % (CACHE_LINE // 8)
    room = np.zeros(len(arrays) * step + CACHE_LINE // 8, kind)
    bank = room[to_line(room.ctypes.data) // room.itemsize :][: len(arrays) * step].reshape(-1, step)
    for row, array in zip(bank, arrays, strict=True):
        row[: np.size(array)] = np.ravel(array)
    return bank


class Compiled:
    """A shared program in every schedule; the first one is what `sg.compile` makes."""

    def __init__(self, program: SharedProgram) -> None:
        self.program = program
        self.derived = sg.program(program.expr, args=program.args, wrt=program.wrt).derived(WORDS)
        self.schedules: list[Schedule] = []
        for name in OTHERWISE:
            routine = self._routine(name)
            if all(routine.body != other.routine.body for other in self.schedules):  # it makes a difference
                self._add(name, "llvm", routine)
        if "c" in backends():
            self._add("as compiled", "c", self._routine("as compiled", library=False))

    def _add(self, name: str, backend: str, routine: Routine) -> None:
        self.schedules.append(Schedule(name, backend, routine, target_named(backend).build(routine)))

    def _routine(self, name: str, library: bool = True) -> Routine:
        with ExitStack() as changes:
            for place, what in OTHERWISE[name].items():
                changes.enter_context(patch(place, what))
            unit = optimise(self.derived.unit)
            return split(routine_of(unit, "kernel", self.derived.words, library))

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(self.program.sizes[0])

    def operations(self, sizes: Sizes) -> int:
        unit = self.derived.unit
        return operations(unit.graph, unit.roots, sizes)

    def points(self, most: int) -> Iterator[tuple[str, Sizes]]:
        """(axis, sizes), ascending along each axis."""
        middle = MIDDLE[len(self.axes)]
        for axis in self.axes:
            for size in sizes_of_an_axis(most):
                sizes = {**dict.fromkeys(self.axes, min(middle, most)), axis: size}
                if self._is_possible(sizes) and self.operations(sizes) <= MOST_OPERATIONS:
                    yield axis, sizes

    def _is_possible(self, sizes: Sizes) -> bool:
        """Whether every array has an element: no window is longer than its signal.

        Of a schedule with one version of the loops: where there are two, the memory of one has no element.
        """
        r = next((s for s in self.schedules if s.name == "layouts as written"), self.schedules[0]).routine
        named = with_derived(r, {n: sizes[s] for n, s in zip(r.sizes, r.size_symbols, strict=True)})
        return all(evaluate_poly(e, named) > 0 for b in r.buffers for e in b.extents)


@dataclass(frozen=True)
class Point:
    """Seconds of every schedule at one place."""

    axis: str
    sizes: Sizes
    seconds: tuple[float, ...]
    operations: int

    @property
    def slowdown(self) -> float:
        return self.seconds[0] / min(self.seconds)

    @property
    def rate(self) -> float:
        """Nanoseconds per operation."""
        return self.seconds[0] / max(self.operations, 1) * 1e9

    @property
    def where(self) -> str:
        return " ".join(f"{axis}={size}" for axis, size in self.sizes.items())


def measured(compiled: Compiled, setup: Setup) -> list[Point]:
    """All points of one program; the results of all schedules are compared at each."""
    found = []
    rng = np.random.RandomState(setup.seed % 2**32)
    for axis, sizes in compiled.points(5 if setup.tiny else MOST):
        samples = _samples(compiled.program, rng, sizes)
        contenders = [s.contender(samples, sizes) for s in compiled.schedules]
        _compare(contenders)
        point = Point(axis, sizes, tuple(measure(contenders, setup)), compiled.operations(sizes))
        if point.slowdown > DOUBTFUL:  # once more, longer: what is left is no noise
            again = replace(setup, rounds=3 * setup.rounds)
            point = replace(point, seconds=tuple(measure(contenders, again)))
        found.append(point)
    return found


def _samples(program: SharedProgram, rng: np.random.RandomState, sizes: Sizes) -> list[list[np.ndarray]]:
    """Inputs of as many evaluations as stay in the caches, with their gradients."""
    first = list(program.make_inputs(rng, sizes).values())
    count = SAMPLES_BYTES // (2 * sum(x.nbytes for x in first) + 1)
    others = range(min(max(count, 1), MOST_SAMPLES) - 1)
    return [first, *(list(program.make_inputs(rng, sizes).values()) for _ in others)]


def _compare(contenders: Sequence[Contender]) -> None:
    """Raise ResultsDiffer where results do: relative to the largest of them, as a gradient may vanish."""
    wanted, *others = (c.results() for c in contenders)
    scale = max(1.0, *(float(np.abs(x).max(where=np.isfinite(x), initial=0.0)) for x in wanted))
    for contender, results in zip(contenders[1:], others, strict=True):
        for x, y in zip(wanted, results, strict=True):
            if not np.allclose(x, y, rtol=0.0, atol=TOLERANCE * scale, equal_nan=True):  # products overflow
                raise ResultsDiffer(f"{contender.label} and {contenders[0].label} differ")


def run(setup: Setup) -> list[Table]:
    """The worst slowdown of each shared program with sizes, and where it is."""
    wanted = setup.only or (TINY if setup.tiny else ())
    chosen = [p for p in PROGRAMS if p.sizes[0] and (p.name in wanted or not wanted)]
    rows, tables, labels = [], [], ()
    for program in chosen:
        compiled = Compiled(program)
        labels = tuple(f"{s.backend}, {s.name}" for s in compiled.schedules)
        points = measured(compiled, setup)
        rows.append(_row(program.name, labels, points))
        if setup.details:
            tables.append(_points_table(program.name, labels, points))
        print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    rows.sort(key=lambda row: -float(row[1]))
    header = ("", "worst slowdown", "at", "best there", "median slowdown", "median ns per operation")
    note = f"{len(rows)} programs; seconds of {labels[0]} over those of the best schedule. Seed {setup.seed}."
    return [
        *tables,
        Table("Cliffs: value and gradient at sizes from 1 to 4096", header, tuple(rows), labels, note),
    ]


def _row(name: str, labels: Sequence[str], points: Sequence[Point]) -> tuple[str, ...]:
    worst = max(points, key=lambda p: p.slowdown)
    best = labels[int(np.argmin(worst.seconds))]
    middle, rate = (float(np.median(x)) for x in ([p.slowdown for p in points], [p.rate for p in points]))
    return name, f"{worst.slowdown:.2f}", worst.where, best, f"{middle:.2f}", number(rate)


def _points_table(name: str, labels: Sequence[str], points: Sequence[Point]) -> Table:
    rows = [
        (p.where, number(p.rate), *(number(s * 1e6) for s in p.seconds), f"{p.slowdown:.2f}") for p in points
    ]
    return Table(
        f"Cliffs: {name}", ("", "ns per operation", *(f"{x} us" for x in labels), "slowdown"), tuple(rows)
    )


if __name__ == "__main__":
    main(run)
