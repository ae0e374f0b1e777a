"""What this machine can do: the time of one operation in a vector loop, and of moving one byte.

A rate is measured with a loop of our own over an array that stays in the first cache, one operation after the
other: what a kernel would reach if it did nothing but this operation. Cheap operations count as one addition:
beside them, such a loop would measure loads and stores. Bytes are measured with a copy of as many as a kernel
touches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import reduce
from statistics import median
from typing import Any

import numpy as np

from symgrad.ir.graph import Graph, Node
from symgrad.ir.ops import OPS
from symgrad.ir.unit import Unit
from symgrad.pipeline import assemble
from symgrad.run.kernel import Kernel
from symgrad.run.signature import Argument, OutputLeaf, Signature, size_poly

_COUNT = 2048  # elements: 16 KiB in float64
_CHAINS, _STEPS = 8, 12  # multiply-adds per element, so many that loads and stores do not count
_DEAR = 3  # of `Op.cost`
_ROUNDS, _BLOCK = 9, 2e-3  # timings of each thing, seconds of each


def seconds_of(run: Callable[[], object]) -> float:
    """The least time of a call, over rounds of about `_BLOCK` seconds each: what the machine can do."""
    count = _count_for(run)
    return min(_timed(run, count) for _ in range(_ROUNDS)) / count


def seconds_of_each(runs: Sequence[Callable[[], object]]) -> list[float]:
    """The median times of calls, made in turn: a change of the machine's speed meets all of them."""
    counts = [_count_for(run) for run in runs]
    rounds = [[_timed(run, n) / n for run, n in zip(runs, counts, strict=True)] for _ in range(_ROUNDS)]
    return [median(times) for times in zip(*rounds, strict=True)]


def _count_for(run: Callable[[], object]) -> int:
    times, spent = 1, _timed(run, 1)
    while spent < _BLOCK:
        times, spent = 2 * times, _timed(run, 2 * times)
    return times


def _timed(run: Callable[[], object], times: int) -> float:
    """CPU seconds of this thread: on a shared machine, waiting for a turn is not work."""
    began = time.thread_time()
    for _ in range(times):
        run()
    return time.thread_time() - began


class Rates:
    """Seconds for each operation, for the bytes of one type, measured when first asked for."""

    def __init__(self, backend: str, dtype: str) -> None:
        self._backend, self._dtype = backend, dtype
        self._known: dict[str, float] = {}
        self._empty: float | None = None

    def call(self) -> float:
        """Seconds of a call that computes one addition: what a call costs by itself."""
        if self._empty is None:
            kernel = self._kernel(lambda g, x: g.add(x[0], g.one), 1, ())
            self._empty = seconds_of(lambda: kernel(1.5))
        return self._empty

    def operation(self, op: str) -> float:
        """Seconds of one operation in a vector loop; what is cheap or no row of the table is an addition."""
        name = op if op in OPS and OPS[op].cost >= _DEAR else "multiply-add"
        if name not in self._known:
            self._known[name] = self._arithmetic() if name == "multiply-add" else self._function(name)
        return self._known[name]

    def moved(self, count: int) -> float:
        """Seconds of moving so many bytes: half read, half written."""
        n = max(count // 2 // np.dtype(self._dtype).itemsize, _COUNT)
        kernel, x = self._kernel(lambda g, x: g.mul(x[0], g.const(2)), 1), np.ones(n, self._dtype)
        out = np.empty_like(x)
        return max(seconds_of(lambda: kernel(x, out=out)) - self.call(), 0.0) * count / (2 * x.nbytes)

    def _arithmetic(self) -> float:
        def chains(g: Graph, x: list[Node]) -> Node:
            """Side by side, so that none waits for the result before."""
            totals = [g.add(x[0], g.const(j)) for j in range(_CHAINS)]
            for k in range(_STEPS):
                totals = [g.add(g.mul(t, x[1]), g.const(k + j + 0.5)) for j, t in enumerate(totals)]
            return reduce(g.add, totals)

        kernel = self._kernel(chains, 2)
        x = np.full(_COUNT, 0.5, self._dtype)
        return self._per_element(kernel, [x, x]) / (2 * _CHAINS * (_STEPS + 1))

    def _function(self, op: str) -> float:
        row, rng = OPS[op], np.random.default_rng(0)
        given = [rng.uniform(low, high, _COUNT).astype(self._dtype) for low, high in row.domain]
        return self._per_element(self._kernel(lambda g, x: g.node(op, *x), row.arity), given)

    def _per_element(self, kernel: Kernel, given: list[np.ndarray]) -> float:
        out = np.empty_like(given[0])
        return max(seconds_of(lambda: kernel(*given, out=out)) - self.call(), 0.0) / _COUNT

    def _kernel(self, body: Callable[[Graph, list[Node]], Node], arity: int, shape: Any = None) -> Kernel:
        """An elementwise kernel over arrays of one length; over numbers where `shape` is ()."""
        g = Graph(stabilise=False)
        extents = (g.size("n"),) if shape is None else shape
        inputs = [g.input(f"x{k}", extents) for k in range(arity)]
        axes = [g.fresh_axis(e) for e in extents]
        result = g.define("map", axes, (), body(g, [g.read(t, *axes) for t in inputs]))
        unit = Unit(g, tuple((g.tensors[t].name, t) for t in inputs), (("value", result),))
        sizes = tuple(size_poly(g, e) for e in extents)
        signature = Signature(
            tuple(Argument(name, sizes) for name, _ in unit.inputs),
            ("value",), (OutputLeaf(0, sizes),), True, (sizes,), ("n",) if sizes else (), (), (),
        )  # fmt: skip
        return assemble(signature, unit, ("value",), "rate", self._backend, self._dtype)
