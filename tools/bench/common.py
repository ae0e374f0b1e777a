"""What every benchmark has in common: a pinned core, a clock, interleaved rounds, and tables.

A benchmark is a script with a function `run(setup) -> list[Table]`; `main(run)` turns it into a command.

Times are CPU seconds of this process and of compilers it started, because the machines are shared: a process
that waits for its turn is not slower. Every contender runs in every round, so that a change of the machine's
speed meets all of them, and the median over the rounds counts. Results are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from types import ModuleType

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # the checkout this file stands in, installed or not

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class ResultsDiffer(Exception):
    """Two contenders computed different numbers, so their times say nothing."""


@dataclass(frozen=True)
class Setup:
    """How large and how long a run is.

    tiny     smallest sizes and one round: does the benchmark still work?
    peers    whether to run what is installed besides symgrad.
    rounds   how often every contender is timed.
    block    CPU seconds that one timing should last.
    seed     of the random data; None draws a new one, which the table prints.
    only     the parts of a benchmark to run, by name; all if empty.
    details  whether to print more tables.
    """

    tiny: bool = False
    peers: bool = True
    rounds: int = 15
    block: float = 2e-3
    seed: int = field(default_factory=lambda: int(np.random.SeedSequence().generate_state(1)[0]))
    only: tuple[str, ...] = ()
    details: bool = False

    def random(self) -> np.random.Generator:
        """A generator of this run's data, the same for every contender."""
        return np.random.default_rng(self.seed)

    def peer(self, name: str) -> ModuleType | None:
        """The peer's module, or None if it is not installed or not wanted."""
        if not self.peers:
            return None
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


TINY = Setup(tiny=True, peers=False, rounds=1, block=0.0)


@dataclass(frozen=True)
class Contender:
    """One way to compute the same numbers.

    name     who computes.
    way      what is timed: "kernel" (machine code called from machine code), "call" (from Python).
    run      evaluates as often as it is told.
    results  the numbers of one evaluation, in the order all contenders agree on.
    build    CPU seconds from the expression to something callable; None where nothing is built.
    """

    name: str
    way: str
    run: Callable[[int], object]
    results: Callable[[], Sequence[np.ndarray | float]]
    build: float | None = None

    @property
    def label(self) -> str:
        return f"{self.name}, {self.way}"


def repeated(function: Callable[..., object], *args: object) -> Callable[[int], None]:
    """`run` of a contender that is called from Python."""

    def run(times: int) -> None:
        for _ in repeat(None, times):
            function(*args)

    return run


# ---- clock -------------------------------------------------------------------------------------


def cpu_seconds() -> float:
    """CPU time of this process and of the children that ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """`with stopwatch() as seconds:` appends the CPU seconds of the block to `seconds`."""
    seconds: list[float] = []
    start = cpu_seconds()
    yield seconds
    seconds.append(cpu_seconds() - start)


def pin() -> int | None:
    """Keep this process on one core; its number, or None where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def _timed(run: Callable[[int], object], times: int) -> float:
    start = time.process_time()
    run(times)
    return time.process_time() - start


def _times_for(run: Callable[[int], object], block: float) -> int:
    """How many evaluations last about `block` seconds; also the warm-up."""
    times, seconds = 1, _timed(run, 1)
    while seconds < block:
        times = max(2 * times, min(round(0.9 * times * block / max(seconds, 1e-9)), 20 * times))
        seconds = _timed(run, times)
    return times


def measure(contenders: Sequence[Contender], setup: Setup) -> list[float]:
    """The median CPU seconds of one evaluation, for each contender, from interleaved rounds."""
    times = [_times_for(c.run, setup.block) for c in contenders]
    samples: list[list[float]] = [[] for _ in contenders]
    for number in range(setup.rounds):
        for k in range(len(contenders)):
            which = (k + number) % len(contenders)  # nobody always runs after the same neighbour
            samples[which].append(_timed(contenders[which].run, times[which]) / times[which])
    return [statistics.median(s) for s in samples]


# ---- results -----------------------------------------------------------------------------------


def compare(contenders: Sequence[Contender], tolerance: float = 1e-9) -> tuple[str, ...]:
    """Compare all results with the first contender's; the labels of those that agree (all of them).

    tolerance  largest difference allowed, relative to the largest number of the array.
    Raises ResultsDiffer.
    """
    first, *others = contenders
    expected = [np.asarray(x, dtype=np.float64) for x in first.results()]
    for other in others:
        results = [np.asarray(x, dtype=np.float64) for x in other.results()]
        if len(results) != len(expected):
            raise ResultsDiffer(f"{other.label} has {len(results)} results, {first.label} {len(expected)}")
        for number, (got, wanted) in enumerate(zip(results, expected, strict=True)):
            _compare_one(f"result {number} of {other.label}", got, wanted, tolerance)
    return tuple(c.label for c in contenders)


def _compare_one(what: str, got: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    if got.size != wanted.size:
        raise ResultsDiffer(f"{what} has {got.size} numbers instead of {wanted.size}")
    scale = max(float(np.abs(wanted).max(initial=0.0)), 1e-300)
    error = float(np.abs(got.ravel() - wanted.ravel()).max(initial=0.0)) / scale
    if not error <= tolerance:  # also catches nan
        raise ResultsDiffer(f"{what} is off by {error:.1e}, relative to its largest number")


# ---- tables ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A titled table of text; `agreed` names the contenders whose results were compared."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    agreed: tuple[str, ...] = ()
    note: str = ""

    def text(self) -> str:
        """Markdown that is also aligned on a terminal: names to the left, numbers to the right."""
        grid = [self.header, *self.rows]
        width = [max(len(row[k]) for row in grid) for k in range(len(self.header))]

        def line(cells: Sequence[str]) -> str:
            numbers = (c.rjust(w) for c, w in zip(cells[1:], width[1:], strict=True))
            return "| " + " | ".join([cells[0].ljust(width[0]), *numbers]) + " |"

        rule = ["-" * w if k == 0 else "-" * (w - 1) + ":" for k, w in enumerate(width)]
        parts = [f"## {self.title}", ""]
        if self.note:
            parts += [self.note, ""]
        return "\n".join([*parts, line(self.header), line(rule), *map(line, self.rows)]) + "\n"


def contest(
    title: str, contenders: Sequence[Contender], setup: Setup, note: str = "", unit: float = 1e-6
) -> Table:
    """Compare, time, and put into a table: the first contender is the one that ratios refer to.

    unit  seconds that the time column counts in: 1e-6 or 1e-9.
    """
    agreed = compare(contenders)
    seconds = measure(contenders, setup)
    rows = [
        (c.name, c.way, number(c.build), number(s / unit), number(s / seconds[0]))
        for c, s in zip(contenders, seconds, strict=True)
    ]
    header = ("", "what", "build s", "ns" if unit == 1e-9 else "us", "/ first row")
    return Table(title, header, tuple(rows), agreed, f"{note} Seed {setup.seed}.".strip())


def number(value: float | None) -> str:
    """Three significant digits, or a dash for nothing."""
    if value is None:
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        digits = 2 if value == 0 else max(0, 2 - int(np.floor(np.log10(abs(value)))))
        return f"{value:.{digits}f}"
    return f"{value:.2e}"


# ---- command line ------------------------------------------------------------------------------


def _use_one_thread() -> None:
    """Start this command again if libraries that are loaded already were not told to use one thread."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.environ.update(ONE_THREAD)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def main(run: Callable[[Setup], list[Table]]) -> None:
    """Run one benchmark as a command and print its tables."""
    parser = argparse.ArgumentParser(description=run.__doc__)
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, one round, no peers")
    parser.add_argument("--no-peers", action="store_true", help="only symgrad and hand-written code")
    parser.add_argument("--rounds", type=int, default=Setup.rounds, help="timings of each contender")
    parser.add_argument("--seed", type=int, help="of the random data; default: a new one")
    parser.add_argument("--only", nargs="+", default=(), help="the parts of these names, where it has parts")
    parser.add_argument("--details", action="store_true", help="more tables, where it has any")
    options = parser.parse_args()
    setup = TINY if options.tiny else Setup(peers=not options.no_peers, rounds=options.rounds)
    setup = replace(setup, only=tuple(options.only), details=options.details)
    if options.seed is not None:
        setup = replace(setup, seed=options.seed)
    _use_one_thread()
    pin()
    with tempfile.TemporaryDirectory() as empty:
        os.environ["SYMGRAD_CACHE_DIR"] = empty  # what is compiled here is compiled from cold
        for table in run(setup):
            print(table.text(), flush=True)
