"""`sg.bench`: what a program costs, counted and measured: operations, bytes, the floor, times."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from symgrad import pipeline
from symgrad.errors import BadOption
from symgrad.explain import Recorder, Stage, sizes_to_explain, stage_lines
from symgrad.ir.count import operations_by_name
from symgrad.loops.nest import evaluate_poly
from symgrad.program import Program, program
from symgrad.rates import Rates, seconds_of_each
from symgrad.records import dataclass
from symgrad.run.kernel import Kernel
from symgrad.run.point import directions_of, make_point, names_of
from symgrad.run.results import leaves_of
from symgrad.run.subject import default_outputs


@dataclass(frozen=True)
class Work:
    """One kind of operation: how many the optimised program has, and seconds each in a vector loop."""

    name: str
    count: float
    each: float

    @property
    def seconds(self) -> float:
        return self.count * self.each


@dataclass(frozen=True)
class Bench:
    """The result of `symgrad.bench`; prints as a page of text. Times are CPU seconds of one thread.

    sizes      that everything is for.
    stages     of compiling, with their times.
    work       the operations after the last pass, by kind. Matrix functions count as additions.
    moved      bytes: arguments read once and results written once; `workspace` bytes lie in between.
    arithmetic, memory   seconds that the operations and the moving of the bytes take at this machine's rates.
    empty_call seconds of a call that does nothing.
    call, call_out       of a call that returns new arrays, and of one that writes to given ones.
    """

    outputs: tuple[str, ...]
    backend: str
    dtype: str
    sizes: Mapping[str, int]
    stages: tuple[Stage, ...]
    work: tuple[Work, ...]
    moved: int
    workspace: int
    arithmetic: float
    memory: float
    empty_call: float
    call: float
    call_out: float

    @property
    def floor(self) -> float:
        """The larger of `arithmetic` and `memory`, and an empty call: what one core could do at best."""
        return max(self.arithmetic, self.memory) + self.empty_call

    @property
    def ratio(self) -> float:
        """The time of a call with `out=` by the floor."""
        return self.call_out / self.floor

    def to_json(self) -> str:
        """The same as JSON text."""
        return json.dumps(
            {**asdict(self), "floor": self.floor, "ratio": self.ratio}, indent=2, allow_nan=False
        )

    def __str__(self) -> str:
        title = f"bench  {', '.join(self.outputs)}  ({self.backend}, {self.dtype})"
        return "\n\n".join(
            [title, *("\n  ".join([name, *lines]) for name, lines in _sections(self) if lines)]
        )

    __repr__ = __str__


def bench(
    expr: Any,
    args: Sequence[Any] | None = None,
    wrt: Any = None,
    *,
    outputs: str | Sequence[str] | None = None,
    sizes: Mapping[Any, int] | None = None,
    at: Mapping[Any, Any] | None = None,
    seed: int = 0,
    backend: str = "llvm",
    dtype: Any = "float64",
    **options: Any,
) -> Bench:
    """Compile a program, count what it has to do, and measure what it takes, on one core.

    outputs  words as for `compile`; default: value and gradient, or Jacobian for an array.
    sizes    size symbol or name -> number; default: the program's hints, else 64.
    at       symbol or name -> value; what is missing is drawn at random (`seed`) where results are finite.
    The rest is as for `compile`, and so is what is raised; BadArgument for a size or a name that does not
    exist, BadOption for the reference backend.

    The floor is the larger of two times: the operations of the optimised program at the rates of vector loops
    that do nothing else, and its arguments and results moved once at the rate of a copy of the same size. It
    is an estimate to compare with, not a proof: what several values share is counted once. (The roofline
    model: Williams, Waterman and Patterson, Communications of the ACM 52 (2009) 65.)
    """
    if backend == "numpy":
        raise BadOption("the reference backend is not measured", where="backend=", try_='"llvm" or "c"')
    source = program(expr, args, wrt, **options)
    source = replace(source) if isinstance(expr, Program) else source
    words = default_outputs(source) if outputs is None else outputs
    source = replace(source)  # nothing translated yet: the front end's time counts
    recorder = Recorder()
    kernel = pipeline.compile(
        source, outputs=words, backend=backend, dtype=dtype, tier="optimised", watch=recorder
    )
    chosen = sizes_to_explain(kernel, source, names_of(sizes))
    arrays, chosen = _point(kernel, source, names_of(at), chosen if at is None else names_of(sizes), seed)
    rates = Rates(backend, str(kernel.dtype))
    unit = recorder.units[-1]
    counts = operations_by_name(unit.graph, unit.roots, chosen)
    work = tuple(Work(name, count, rates.operation(name)) for name, count in sorted(counts.items()))
    moved = _bytes(kernel, arrays, chosen)
    call = partial(kernel, *arrays, **_directions(kernel, chosen, seed))
    given = _to_write_to(call())
    returning, writing = seconds_of_each([call, partial(call, out=given)])
    return Bench(
        kernel.outputs,
        backend,
        str(kernel.dtype),
        chosen,
        tuple(recorder.stages(chosen)),
        tuple(sorted(work, key=lambda w: -w.seconds)),
        moved,
        kernel.workspace(**chosen),
        sum(w.seconds for w in work),
        rates.moved(moved),
        rates.call(),
        returning,
        writing,
    )


def _point(
    kernel: Kernel, source: Program, given: Mapping[str, Any], sizes: Mapping[str, int], seed: int
) -> tuple[list[Any], dict[str, int]]:
    """The arguments of the calls, and their sizes."""

    def is_usable(arrays: Any, sizes: Any) -> bool:
        results = kernel(*arrays.values(), **_directions(kernel, sizes, seed))
        return all(np.isfinite(x).all() for x in _flat(results))

    point = make_point(kernel.signature, source.args, given, sizes, seed, is_usable)
    arguments = {a.name: a for a in kernel.signature.arguments}
    ready = {
        name: x if arguments[name].dtype == "int" else np.asarray(x, kernel.dtype)
        for name, x in point.arrays.items()
    }
    return [float(x) if x.ndim == 0 and x.dtype.kind == "f" else x for x in ready.values()], dict(point.sizes)


def _directions(kernel: Kernel, sizes: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Of the kernel's own type, which a call then need not convert."""
    found = directions_of(kernel.signature, dict(sizes), seed)
    return {
        role: tuple(np.asarray(part, kernel.dtype) for part in x)
        if isinstance(x, tuple)
        else np.asarray(x, kernel.dtype)
        for role, x in found.items()
    }


def _flat(results: Any) -> Iterator[Any]:
    if isinstance(results, tuple | list):
        for part in results:
            yield from _flat(part)
    else:
        yield results.data if hasattr(results, "tocsc") else results


def _to_write_to(results: Any) -> Any:
    """Arrays to write to, in the structure of the results."""
    if isinstance(results, tuple | list):
        return tuple(_to_write_to(part) for part in results)
    return None if isinstance(results, float) or hasattr(results, "tocsc") else np.empty_like(results)


def _bytes(kernel: Kernel, arrays: Sequence[Any], sizes: Mapping[str, int]) -> int:
    """Of the arguments, the directions and the results."""
    leaves = [leaf for tree in kernel.signature.outputs for leaf in leaves_of(tree)]
    results = sum(prod(evaluate_poly(e, sizes) for e in leaf.shape) for leaf in leaves)
    directions = [a for a in kernel.signature.arguments if a.role in ("tangent", "cotangent")]
    entries = results + sum(prod(evaluate_poly(e, sizes) for e in a.extents) for a in directions)
    return sum(np.asarray(x).nbytes for x in arrays) + entries * kernel.dtype.itemsize


# ---- as text -----------------------------------------------------------------------------------


def _sections(b: Bench) -> Iterator[tuple[str, Sequence[str]]]:
    yield "sizes", [", ".join(f"{name} = {n}" for name, n in sorted(b.sizes.items()))] if b.sizes else ()
    yield "stages of compiling", stage_lines(b.stages)
    yield "operations after the last pass, and their time in a vector loop", _work_lines(b)
    yield (
        "bytes",
        [
            f"arguments and results: {b.moved:,}, {_time(b.memory)} to move",
            f"workspace: {b.workspace:,}",
        ],
    )
    yield (
        "times of one call",
        [
            f"floor                  {_time(b.floor)}  ({_bound_by(b)}, {_time(b.empty_call)} for any call)",
            f"with out=              {_time(b.call_out)}  ({b.ratio:.2f} times the floor)",
            f"returning new results  {_time(b.call)}",
        ],
    )


def _bound_by(b: Bench) -> str:
    return "arithmetic" if b.arithmetic >= b.memory else "memory"


def _work_lines(b: Bench) -> list[str]:
    rows = [("operation", "count", "ns each", "together")]
    for w in b.work:
        each = f"{1e9 * w.each:.3g}"
        rows.append((w.name, f"{w.count:,.0f}", each, _time(w.seconds)))
    rows.append(("total", f"{sum(w.count for w in b.work):,.0f}", "", _time(b.arithmetic)))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(row[k].rjust(widths[k]) for k in range(1, 4))]).rstrip()
        for row in rows
    ]


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1.0:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
