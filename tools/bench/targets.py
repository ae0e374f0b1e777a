"""The figures that symgrad is held against, beside what was measured last.

    python tools/bench/targets.py            # prints the table
    python tools/bench/targets.py --write    # writes TARGETS.md

Nothing is measured here: every number is read from RESULTS.md, CLIFFS.md and `gradbench/results/`, and a row
whose number is not there any more is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE / "gradbench") not in sys.path:
    sys.path.insert(0, str(HERE / "gradbench"))

import outcomes  # noqa: E402  (found through the lines above)
from common import Table, number  # noqa: E402

HEAD = """\
# Targets

Written by `tools/bench/targets.py --write`, out of RESULTS.md, CLIFFS.md and `gradbench/results/`:
there stands what was measured, how and when. A ratio that moves by 10 % is noise. How far each kernel
is from its floor, counted in operations and bytes, is the last table of RESULTS.md.
"""


@dataclass(frozen=True)
class Target:
    """A figure to reach: at most `bound`, or at least where `is_floor`."""

    what: str
    bound: float
    measured: float
    is_floor: bool = False

    @property
    def is_met(self) -> bool:
        return self.measured >= self.bound if self.is_floor else self.measured <= self.bound

    def row(self) -> tuple[str, ...]:
        wanted = f"{'>=' if self.is_floor else '<='} {self.bound:g}"
        return self.what, wanted, number(self.measured), "yes" if self.is_met else "NO"


class Results:
    """The tables of a Markdown file, by their titles."""

    def __init__(self, text: str) -> None:
        self.tables: dict[str, list[list[str]]] = {}
        title = ""
        for line in text.splitlines():
            if line.startswith("## "):
                title = line[3:]
            elif line.startswith("|") and not set(line) <= set("|-: "):
                self.tables.setdefault(title, []).append([c.strip() for c in line[2:-2].split(" | ")])

    def at(self, title: str, row: str, column: str, what: str = "") -> float:
        """The number in a row; `what`, its second column, tells it from others of its name. Or KeyError."""
        header, *rows = self.tables[title]
        for cells in rows:
            if cells[0] == row and (not what or cells[1] == what):
                return float(cells[header.index(column)].replace(",", ""))
        raise KeyError(f"no row {row!r}, {what!r} in {title!r}")

    def column(self, title: str, column: str, start: str = "") -> list[float]:
        """The numbers of the rows whose names begin so."""
        header, *rows = self.tables[title]
        return [float(cells[header.index(column)]) for cells in rows if cells[0].startswith(start)]


# ---- what is asked -----------------------------------------------------------------------------


LLVM, C = "symgrad llvm", "symgrad c"


def scalar_kernels(r: Results) -> Iterator[Target]:
    title, sums = "Rosenbrock-100", "kernel, Sum, sparse Hessian"
    yield Target("Rosenbrock-100 with sparse Hessian: kernel, us", 0.25, r.at(title, LLVM, "us", sums))
    yield Target("the same: build, s", 0.1, r.at(title, LLVM, "build s", sums))
    one, many = "Six-joint arm, one sample", "Six-joint arm, 1000 samples in one call"
    kernel = r.at(one, LLVM, "us", "kernel")
    yield Target("robot arm: kernel, us", 0.06, kernel)
    for backend in (LLVM, C):
        per_sample = r.at(many, backend, "us", "kernel") / 1000
        yield Target(f"robot arm, batch, {backend[8:]}: us per sample", 0.034, per_sample)
    title = "Two-layer network 8-32-1, one sample"
    for backend in (LLVM, C):
        seconds = r.at(title, backend, "us", "kernel, written out")
        yield Target(f"two-layer network, one sample, {backend[8:]}: kernel, us", 0.2, seconds)
    title = "Two-layer network 8-32-1, 64 samples"
    yield Target("two-layer network, 64 samples: kernel, us", 7, r.at(title, LLVM, "us", "kernel, indices"))


TENSOR_PROGRAMS = {  # how a row of the large size begins, and how many times as fast as JAX it is to be
    "MLP n=256": 1.5, "convolution B=4": 10, "attention n=256": 1.8, "batch norm n=512": 4,
    "||W'W - I||^2 n=512": 2.5, "GMM n=1000": 5,
}  # fmt: skip


def tensor_programs(r: Results) -> Iterator[Target]:
    grads, products = "Tensor programs: value and gradients", "Tensor programs: Hessian-vector product"
    ratios = {title: r.column(title, "JAX / llvm") for title in (grads, products)}  # small and large in turn
    for start, bound in TENSOR_PROGRAMS.items():
        (ratio,) = r.column(grads, "JAX / llvm", start)
        yield Target(f"{start}.., value and gradients: JAX / symgrad", bound, ratio, True)
    hvp = "Hessian-vector products"
    yield Target(f"{hvp}, large: least JAX / symgrad", 1.5, min(ratios[products][1::2]), True)
    yield Target(f"{hvp}, small: least JAX / symgrad", 1, min(ratios[products][::2]), True)
    yield Target("value and gradients, small: least JAX / symgrad", 10, min(ratios[grads][::2]), True)
    for n, bound in ((8, 50), (64, 70), (128, 70)):
        share = r.at("Matrix products: A B", f"n = {n}", "symgrad llvm % of peak")
        yield Target(f"matrix product, n = {n}: % of peak", bound, share, True)
    blas = r.at("Matrix products: A B", "n = 1024", "symgrad llvm / BLAS")
    yield Target("matrix product, n = 1024: BLAS / symgrad", 1, blas, True)


def calls_and_loops(r: Results) -> Iterator[Target]:
    title = "Call overhead: value and gradient"
    yield Target("call with out=, ns", 100, r.at(title, LLVM, "ns", "k(x, out=...)"))
    yield Target("call that returns value and new gradient, ns", 250, r.at(title, LLVM, "ns", "k(x)"))
    title = "200-flop kernel, 1000000 samples in one call"
    for backend, bound in ((LLVM, 7), (C, 8.5)):
        per_sample = r.at(title, backend, "us", "kernel") / 1000
        yield Target(
            f"batch of 200 operations and 5 functions, {backend[8:]}: ns per sample", bound, per_sample
        )
    for function, bound in (("exp", 0.8), ("log", 1.1), ("tanh", 1.2), ("sin", 1.0)):
        for backend in (LLVM, C):
            per_element = r.at("Loops, float64", function, f"{backend} ns")
            yield Target(f"{function} in a loop, {backend[8:]}: ns", bound, per_element)
    one, many = (
        _titled(r, "Large scalar graph, 1,200 steps, " + end) for end in ("one sample", "512 samples")
    )
    yield Target("large scalar graph: ns per operation", 0.35, r.at(one, LLVM, "ns per operation"))
    yield Target("the same over samples: ns per operation", 0.04, r.at(many, LLVM, "ns per operation"))
    steps = 256
    for backend in (LLVM, C):
        step = r.at("Training: Adam on a small network", backend, "us", "fused loop") / steps
        yield Target(f"Adam step of a small network, {backend[8:]}: us", 6, step)


def compiling(r: Results) -> Iterator[Target]:
    title = "Compile time and scale"
    small, large, huge = (f"{n} operations" for n in ("10,000", "100,000", "1,000,000"))
    first = "all to the first call, s"
    yield Target("first call of 10,000 operations, s", 0.15, r.at(title, first, small))
    optimised = r.at(title, "emission and optimised machine code, s", small)
    yield Target("optimised code of 10,000 operations, s", 1, optimised)
    yield Target("first call of 100,000 operations, s", 1.5, r.at(title, first, large))
    yield Target("first call of 1,000,000 operations, s", 15, r.at(title, first, huge))
    yield Target("memory of 1,000,000 operations, GiB", 4, r.at(title, "peak memory, MiB", huge) / 1024)
    yield Target("memory, KiB per operation", 2, r.at(title, "memory grown, KiB/operation", huge))
    nodes = r.at(title, "nodes of the graph", large)
    for what, stage, bound in (
        ("SymPy to IR", "conversion, s", 0.2),
        ("reverse sweep", "reverse sweep, s", 0.3),
    ):
        yield Target(
            f"{what}: million nodes per second", bound, nodes / r.at(title, stage, large) / 1e6, True
        )
    made = r.at(title, "nodes created and interned, millions a second", large)
    yield Target("nodes created and interned, million per second", 0.5, made, True)
    yield Target("import, ms", 150, r.at("Start", "import symgrad", "all, ms"))
    loaded = r.at("Start", "formula of two symbols, value and gradient", "code from the cache, ms")
    yield Target("code of a small kernel from the cache, ms", 5, loaded)


GRADBENCH = (  # eval, function, tool it is held against ("" for the fastest), bound of the ratio
    ("lse", "primal", "manual", 0.5), ("lse", "gradient", "manual", 0.3),
    ("llsq", "primal", "manual", 0.5), ("llsq", "gradient", "manual", 0.06),
    ("det", "primal", "manual", 0.5), ("det", "gradient", "manual", 0.0001),
    ("ode", "primal", "manual", 0.3), ("ode", "gradient", "enzyme", 0.3),
    ("gmm", "objective", "manual", 0.5), ("gmm", "jacobian", "manual", 0.1),
    ("kmeans", "cost", "manual", 0.5), ("kmeans", "dir", "manual", 0.2),
    ("ba", "objective", "manual", 0.5), ("ba", "jacobian", "manual", 0.3),
    ("ht", "objective", "manual", 0.5), ("ht", "jacobian", "manual", 0.25),
    ("lstm", "objective", "manual", 0.5), ("lstm", "jacobian", "manual", 0.1),
    *(("particle", kind, "enzyme", 0.5) for kind in ("rr", "ff", "fr", "rf")),
    *(("saddle", kind, "", 0.5) for kind in ("rr", "ff", "fr", "rf")),
)  # fmt: skip


def gradbench() -> Iterator[Target]:
    for name, function, tool, bound in GRADBENCH:
        result = outcomes.load(HERE / "gradbench" / "results" / f"{name}.json")
        own = next(s for s in result.sessions if s.tool == "symgrad").last(function)
        assert own is not None and own.valid, (name, function)
        others = [s.at(function, own.workload) for s in result.sessions if s.tool == tool or not tool]
        times = [m.milliseconds for m in others if m is not None and m is not own and m.valid]
        yield Target(f"{name}, {function}: symgrad / {tool or 'best'}", bound, own.milliseconds / min(times))


def cliffs(r: Results) -> Iterator[Target]:
    worst = max(r.column("", "worst slowdown"))  # its only table
    yield Target("worst slowdown of any shared program at any size, below 2", 1.99, worst)


def _titled(r: Results, start: str) -> str:
    return next(title for title in r.tables if title.startswith(start))


def tables() -> list[Table]:
    """All targets; KeyError, StopIteration or AssertionError where a number is missing."""
    results = Results((HERE / "RESULTS.md").read_text())
    sizes = Results((HERE / "CLIFFS.md").read_text())
    parts: Sequence[tuple[str, Iterator[Target]]] = (
        ("Scalar kernels", scalar_kernels(results)),
        ("Tensor programs", tensor_programs(results)),
        ("Calls, batches, loops", calls_and_loops(results)),
        ("Compile time and scale", compiling(results)),
        ("GradBench, largest workload", gradbench()),
        ("Sizes", cliffs(sizes)),
    )
    header = ("", "target", "measured", "met")
    return [Table(title, header, tuple(t.row() for t in part)) for title, part in parts]


def text() -> str:
    """What TARGETS.md holds."""
    return "\n".join([HEAD, *(table.text() for table in tables())])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write TARGETS.md")
    if parser.parse_args().write:
        (HERE / "TARGETS.md").write_text(text())
    else:
        print(text())


if __name__ == "__main__":
    main()
