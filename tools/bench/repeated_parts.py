"""Formulas written out whose parts are equal but for what they read: with and without loops made of them.

Value and gradient (of the matrix: its entries), LLVM, all optimised; results are compared to the bit.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp
from common import Contender, ResultsDiffer, Setup, Table, main, measure, number
from machine_code import Addresses

from symgrad.loops.nest import Routine, element_count
from symgrad.loops.reroll import rerolled
from symgrad.loops.split import split
from symgrad.loops.walk import walk
from symgrad.pipeline import optimise, routine_of
from symgrad.program import Program, program
from symgrad.targets.base import Loaded, target_named, workspace_elements

HEADER = (
    "", "statements", "with loops", "finding them, s", "machine code, s", "with loops, s",
    "one evaluation, us", "with loops, us",
)  # fmt: skip


def rosenbrock(n: int) -> Program:
    x = sp.IndexedBase("x", shape=(n,))
    terms = (100 * (x[k + 1] - x[k] ** 2) ** 2 + (1 - x[k]) ** 2 for k in range(n - 1))
    return program(sp.Add(*terms), wrt=x)


def cluster(n: int) -> Program:
    P = sp.MatrixSymbol("P", n, 3)
    pairs = itertools.combinations(range(n), 2)
    squares = (sum((P[i, k] - P[j, k]) ** 2 for k in range(3)) for i, j in pairs)
    return program(sp.Add(*(4 * (r**-6 - r**-3) for r in squares)), wrt=P)


def matrix(n: int) -> Program:
    x, y = sp.symbols(f"x0:{n}", real=True), sp.symbols(f"y0:{n}", real=True)
    return program(sp.Matrix(n, n, lambda i, j: sp.exp(-((x[i] - y[j]) ** 2)) / (1 + x[i] * y[j])), (*x, *y))


def pendulum(steps: int) -> Program:
    angle, speed, h = sp.symbols("angle speed h", real=True)
    a, b = angle, speed
    for _ in range(steps):
        b = b - h * sp.sin(a)
        a = a + h * b
    return program(a**2 + b**2, (angle, speed, h), (angle, speed))


CASES: Mapping[str, tuple[Callable[[int], Program], int]] = {
    "Rosenbrock's function of 1,000 numbers": (rosenbrock, 1000),
    "20 atoms, Lennard-Jones": (cluster, 20),
    "matrix of 80 by 80 entries": (matrix, 80),
    "pendulum, 300 steps": (pendulum, 300),
}


def run(setup: Setup) -> list[Table]:
    """One row per formula."""
    cases = {"Rosenbrock's function of 200 numbers": (rosenbrock, 200)} if setup.tiny else CASES
    rows = tuple((name, *_row(make(size), setup)) for name, (make, size) in cases.items())
    note = f"LLVM, optimised, CPU time; the same numbers to the bit. Seed {setup.seed}."
    return [Table("Repeated parts of formulas written out", HEADER, rows, note=note)]


def _row(source: Program, setup: Setup) -> tuple[str, ...]:
    derived = source.derived(("value",) if isinstance(source.expr, sp.MatrixBase) else ("value", "grad"))
    found = routine_of(optimise(derived.unit), "repeated", derived.words)
    if found.straight is None:
        raise ResultsDiffer("nothing was found that repeats")
    plain = found.straight
    seconds, _ = _timed(lambda: rerolled(plain))
    routines = [split(replace(plain, straight=None)), split(found)]
    built = [_timed(lambda r=r: target_named("llvm").build(r)) for r in routines]
    contenders = [_contender(r, b, setup.seed) for r, (_, b) in zip(routines, built, strict=True)]
    one, other = ([x.tobytes() for x in c.results()] for c in contenders)
    if one != other:
        raise ResultsDiffer("loops change the numbers")
    times = measure(contenders, setup)
    return (
        *(f"{sum(1 for _ in walk(r.body, into_parts=True)):,}" for r in routines), number(seconds),
        *(number(s) for s, _ in built), *(number(t * 1e6) for t in times),
    )  # fmt: skip


def _timed(make: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    made = make()
    return time.process_time() - start, made


def _contender(routine: Routine, loaded: Loaded, seed: int) -> Contender:
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal(element_count(b, {})) for b in routine.buffers_of("input")]
    outputs = [np.zeros(element_count(b, {})) for b in routine.buffers_of("output")]
    buffers = Addresses([*inputs, *outputs, np.zeros(workspace_elements(routine, {}) + 1)])
    meta = np.array([1, *(0 for _ in (*inputs, *outputs))], dtype=np.int64)

    def run(times: int) -> None:
        meta[0] = times
        loaded.call(buffers.start, meta.ctypes.data)

    run(1)
    return Contender("symgrad llvm", "kernel", run, lambda: outputs)


if __name__ == "__main__":
    main(run)
