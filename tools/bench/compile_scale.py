"""How the compiler's own time and memory grow with the expression: up to 1,000,000 operations, depth 5,000.

A random scalar expression of two symbols, built of sums, products, sines and cosines of earlier parts; its
value and gradient. Every size runs in a process of its own, because memory is measured at its peak. While the
expression is built, its value and both derivatives are computed along in numbers (forward mode), and compared
with the kernel's.

The stages up to the tape are what the first call waits for; machine code is made in the background, and not
measured of the largest expression.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from common import Contender, ResultsDiffer, Setup, Table, main, measure, number
from machine_code import Addresses, SymgradCode

from symgrad.ir.collection import collection_paused
from symgrad.ir.graph import Graph
from symgrad.loops.split import split
from symgrad.loops.walk import walk
from symgrad.pipeline import optimise, routine_of
from symgrad.program import program
from symgrad.targets.base import Loaded, target_named, workspace_elements
from symgrad.targets.llvm import provide_interpreter

SIZES = (1_000, 10_000, 100_000, 1_000_000)
MOST_OPTIMISED = 100_000
DEPTH = 5_000
STAGES = ("conversion", "reverse sweep", "passes", "lowering", "tape")
ROWS = (
    "depth", "nodes of the graph", "nodes created and interned, millions a second", "statements",
    *(f"{stage}, s" for stage in STAGES),
    "all to the first call, s", "tape, us/statement", "emission and optimised machine code, s",
    "emission and optimised machine code, us/statement", "one evaluation, tape, us",
    "one evaluation, optimised, us", "one evaluation, optimised, ns/node",
    "peak memory, MiB", "memory grown, KiB/operation",
)  # fmt: skip
LENGTHS = (10, 40, 160)  # of chains of layers
POINT = (0.3, 0.7)
Numbers = tuple[float, float, float]  # a value and its two derivatives


def run(setup: Setup) -> list[Table]:
    """One column per size."""
    sizes = (200,) if setup.tiny else SIZES
    found = [_in_a_process(size, setup.seed) for size in sizes]
    rows = zip(*map(_column, found), strict=True)
    header = ("", *(f"{f['operations']:,} operations" for f in found))
    note = f"Random scalar expressions, value and gradient by two symbols, LLVM, CPU time. Seed {setup.seed}."
    table = tuple((name, *row) for name, row in zip(ROWS, rows, strict=True))
    scale = Table("Compile time and scale", header, table, tuple(map(str, sizes)), note)
    return [scale, _layers(LENGTHS[:1] if setup.tiny else LENGTHS)]


def _layers(lengths: Sequence[int]) -> Table:
    """A chain of layers with symbolic sizes: loop nests, most of them equal but for their arrays."""
    n = sp.Symbol("n", integer=True, positive=True)
    X, W, V = (sp.MatrixSymbol(name, n, n) for name in ("X", "W", "V"))
    rows = []
    for length in lengths:
        layer = X
        for k in range(length):
            layer = (W if k % 2 else V) * layer.applyfunc(sp.tanh) + X
        marks = [time.process_time()]
        source = program(sp.Trace(layer), (X, W, V), (X, W, V))
        derived = source.derived(("value", "grad"))
        routine = split(routine_of(optimise(derived.unit), "layers", derived.words, library=True))
        marks.append(time.process_time())
        text = target_named("llvm").emit(routine)
        marks.append(time.process_time())
        target_named("llvm").build(routine)
        marks.append(time.process_time())
        functions = text.count("define internal void")
        rows.append((f"{length} layers", *(number(b - a) for a, b in pairwise(marks)), str(functions)))
    header = ("", "before emission, s", "emission, s", "machine code, s", "functions of loops")
    note = (
        "X -> W tanh(X) + X, so many times; trace, and its gradient by three matrices of any size; CPU time."
    )
    return Table("Compile time of layers", header, tuple(rows), note=note)


def _column(found: dict[str, Any]) -> tuple[str, ...]:
    """One size, in the order of ROWS."""
    seconds, statements = found["seconds"], found["statements"]
    optimising, run = found["optimising"], found["run"]
    by_statement = None if optimising is None else optimising / statements * 1e6
    return (
        f"{found['depth']:,}", f"{found['nodes']:,}", number(found["interned"]), f"{statements:,}",
        *map(number, seconds), number(sum(seconds)), number(seconds[-1] / statements * 1e6),
        number(optimising), number(by_statement), number(found["quick"] * 1e6),
        *(("-", "-") if run is None else (number(run * 1e6), number(run / found["nodes"] * 1e9))),
        number(found["peak"]), number(found["grown"] * 1024 / found["operations"]),
    )  # fmt: skip


def _in_a_process(size: int, seed: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(size), str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# ---- one size ----------------------------------------------------------------------------------


def measure_one(size: int, seed: int) -> dict[str, Any]:
    """Compile one expression stage by stage; raises ResultsDiffer if the kernel is wrong."""
    x, y = sp.symbols("x y", real=True)
    expression, numbers, depth = random_expression(size, min(DEPTH, size // 4), seed, (x, y))
    SymgradCode(lambda: program(sp.sin(x)), ("value",), "llvm", [np.array(0.5)])  # LLVM itself takes memory
    provide_interpreter("float64", special=False)  # once per machine
    before = _peak()
    marks = [time.process_time()]

    def stage(make: Callable[[], Any]) -> Any:
        made = make()
        marks.append(time.process_time())
        return made

    source = program(expression, (x, y), (x, y))
    target = target_named("llvm")
    with collection_paused():  # as `compile` does
        translation = stage(lambda: source.translation)
        derived = stage(lambda: source.derived(("value", "grad")))
        unit = stage(lambda: optimise(derived.unit))
        routine = stage(lambda: routine_of(unit, "scale", derived.words, search=False))
        quick = stage(lambda: target.build(routine, tier="quick"))
    seconds = [b - a for a, b in pairwise(marks)]
    peak = _peak()
    marks.append(time.process_time())
    loaded = stage(lambda: target.build(routine)) if size <= MOST_OPTIMISED else None
    work = workspace_elements(routine, {})
    statements = sum(1 for _ in walk(routine.body, into_parts=True))
    return {
        "operations": size, "depth": depth, "nodes": len(translation.graph.op), "interned": _interned(),
        "statements": statements, "seconds": seconds, "peak": peak, "grown": peak - before,
        "optimising": None if loaded is None else marks[-1] - marks[-2],
        "run": None if loaded is None else _check(loaded, work, numbers),
        "quick": _check(quick, work, numbers),
    }  # fmt: skip


def _interned() -> float:
    """How many millions of nodes a second a graph takes in."""
    g = Graph()
    numbers = [g.const(k) for k in range(500)]
    start = time.process_time()
    for a in numbers:
        for b in numbers:
            g.intern("mul", (a, b))
    return len(numbers) ** 2 / (time.process_time() - start) / 1e6


def _peak() -> float:
    """The largest memory this process has had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _check(loaded: Loaded, work: int, wanted: Numbers) -> float:
    """Compare with the numbers computed along; the CPU seconds of one evaluation."""
    value, gradient = np.zeros(()), np.zeros(2)
    memory = np.empty(work + loaded.extra + 1)
    buffers = Addresses([np.array(POINT[0]), np.array(POINT[1]), value, gradient, memory])
    meta = np.array([1, 0, 0, 0, 0], dtype=np.int64)
    loaded.call(buffers.start, meta.ctypes.data)
    got = (float(value), float(gradient[0]), float(gradient[1]))
    if not np.allclose(got, wanted, rtol=1e-9, atol=1e-12):
        raise ResultsDiffer(f"the kernel computes {got} instead of {wanted}")

    def run(times: int) -> None:
        meta[0] = times
        loaded.call(buffers.start, meta.ctypes.data)

    contender = Contender("symgrad llvm", "kernel", run, lambda: [value, gradient])
    return measure([contender], Setup(rounds=5))[0]


# ---- the expression ----------------------------------------------------------------------------


class _Part:
    """A SymPy expression and its numbers at POINT."""

    __slots__ = ("expression", "numbers")

    def __init__(self, expression: sp.Expr, numbers: Numbers) -> None:
        self.expression, self.numbers = expression, numbers


def random_expression(
    operations: int, depth: int, seed: int, symbols: tuple[sp.Symbol, sp.Symbol]
) -> tuple[sp.Expr, Numbers, int]:
    """About that many operations: the expression, its value and derivatives at POINT, and its depth.

    Strands side by side grow by turns a product or sum and a sine or cosine. Everything stays within reach of
    1, and derivatives shrink on the way, so that rounding errors do not grow.
    """
    rng = np.random.default_rng(seed)
    x, y = symbols
    leaves = [_Part(x, (POINT[0], 1.0, 0.0)), _Part(y, (POINT[1], 0.0, 1.0))]
    strands = [_step(leaves[k % 2], leaves, k, True) for k in range(max(1, operations // depth))]
    choices = rng.integers(0, 4, (depth, len(strands)))
    partners = rng.integers(0, len(strands), (depth, len(strands)))
    for layer in range(depth - 1):
        before = [*strands]
        for k, part in enumerate(before):
            choice = int(choices[layer, k])
            others = [leaves[choice % 2]] if choice < 2 or len(strands) == 1 else [before[partners[layer, k]]]
            strands[k] = _step(part, others, choice, layer % 2 == 1)
    total = sp.Add(*(s.expression for s in strands), evaluate=False)
    value, by_x, by_y = (math.fsum(column) for column in zip(*(s.numbers for s in strands), strict=True))
    return total, (value, by_x, by_y), depth + 1


def _step(part: _Part, others: list[_Part], choice: int, unary: bool) -> _Part:
    a, da, ea = part.numbers
    if unary:
        s, c = math.sin(a), math.cos(a)
        head, value, slope = (sp.sin, s, c) if choice % 2 else (sp.cos, c, -s)
        return _Part(head(part.expression, evaluate=False), (value, slope * da, slope * ea))
    other = others[0]
    b, db, eb = other.numbers
    if choice < 2:
        return _Part(sp.Add(part.expression, other.expression, evaluate=False), (a + b, da + db, ea + eb))
    return _Part(
        sp.Mul(part.expression, other.expression, evaluate=False), (a * b, da * b + a * db, ea * b + a * eb)
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure_one(int(sys.argv[2]), int(sys.argv[3]))))
    else:
        main(run)
