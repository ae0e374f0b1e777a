"""A large graph of numbers without loops: value and gradient of some thousand rotations of numbers before.

Every step is a*c + b*s or a*c - b*s of two of the last numbers, drawn at random, and of one of eight pairs
(cos, sin) that are inputs too; so numbers and derivatives keep their size. Nothing repeats: it shows order of
evaluation and registers, for one sample and for samples side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import mul
from typing import Any

import numpy as np
import sympy as sp
from common import Contender, Setup, Table, compare, main, measure, number, stopwatch
from machine_code import SymgradCode
from peers import CasadiFunction

import symgrad as sg
from symgrad.ir.count import operations

STEPS = (1_200, 12_000)
NEAR = 48  # how far back a step may reach
PAIRS = 8
SAMPLES = 512
WORDS = ("value", "grad")
Draws = Sequence[tuple[int, int, int, bool]]  # of each step: the two numbers, the pair, whether it adds


def run(setup: Setup) -> list[Table]:
    """Two sizes, and the smaller one over samples."""
    steps = (60,) if setup.tiny else STEPS
    return [*(_one(n, setup, n == steps[0]) for n in steps), _batch(steps[0], setup)]


def draws(steps: int, rng: np.random.Generator) -> Draws:
    numbers = np.column_stack(
        [*rng.integers(NEAR, size=(2, steps)), rng.integers(PAIRS, size=steps), rng.integers(2, size=steps)]
    )
    return [(a, b, j, bool(adds)) for a, b, j, adds in numbers.tolist()]


def chain(drawn: Draws, numbers: Sequence[Any], add: Callable[..., Any], mul: Callable[..., Any]) -> Any:
    """The sum of the last numbers, with the operations of whichever package."""
    x, c, s = numbers[:PAIRS], numbers[PAIRS : 2 * PAIRS], numbers[2 * PAIRS :]
    made = [mul(x[k % PAIRS], c[k // PAIRS]) for k in range(NEAR)]
    for a, b, j, adds in drawn:
        other = mul(made[-1 - b], s[j])
        made.append(add(mul(made[-1 - a], c[j]), other if adds else mul(-1, other)))
    return add(*made[-NEAR:])


def total(*terms: Any) -> Any:
    return sum(terms[1:], terms[0])


def program(drawn: Draws) -> sg.Program:
    symbols = sp.symbols(f"x:{PAIRS} c:{PAIRS} s:{PAIRS}", real=True)

    def added(*terms: Any) -> Any:
        return sp.Add(*terms, evaluate=False)

    def multiplied(*factors: Any) -> Any:
        return sp.Mul(*factors, evaluate=False)

    return sg.program(chain(drawn, symbols, added, multiplied), symbols, symbols)


def inputs(rng: np.random.Generator, samples: int = 1) -> list[np.ndarray]:
    angles = rng.uniform(0.3, 1.2, (PAIRS, samples))
    rows = [*rng.normal(size=(PAIRS, samples)), *np.cos(angles), *np.sin(angles)]
    return [row if samples > 1 else row[0] for row in rows]


def _one(steps: int, setup: Setup, with_peers: bool) -> Table:
    drawn, point = draws(steps, setup.random()), inputs(setup.random())
    source = program(drawn)
    code = SymgradCode(lambda: program(drawn), WORDS, "llvm", [np.array(p) for p in point])
    peers = _peers(setup, drawn, point) if with_peers else []
    title = f"Large scalar graph, {steps:,} steps, one sample"
    return _table(title, source, [_flat(code.contender()), *peers], setup, 1)


def _batch(steps: int, setup: Setup) -> Table:
    samples = 5 if setup.tiny else SAMPLES
    drawn, points = draws(steps, setup.random()), inputs(setup.random(), samples)
    code = SymgradCode(lambda: program(drawn), WORDS, "llvm", points, samples=samples)
    found = [_flat(code.contender())]
    if (heyoka := setup.peer("heyoka")) is not None:
        found.append(_heyoka(heyoka, drawn, np.array(points)))
    title = f"Large scalar graph, {steps:,} steps, {samples} samples"
    return _table(title, program(drawn), found, setup, samples)


def _table(
    title: str, source: sg.Program, contenders: Sequence[Contender], setup: Setup, samples: int
) -> Table:
    unit = source.derived(WORDS).unit
    count = operations(unit.graph, unit.roots, {})
    agreed = compare(contenders)
    seconds = measure(contenders, setup)
    rows = [
        (
            c.name,
            c.way,
            number(c.build),
            number(s * 1e6),
            number(s * 1e9 / count / samples),
            number(s / seconds[0]),
        )
        for c, s in zip(contenders, seconds, strict=True)
    ]
    header = ("", "what", "build s", "us", "ns per operation", "/ first row")
    note = f"Value and gradient by {3 * PAIRS} numbers, {count:,} operations. Seed {setup.seed}."
    return Table(title, header, tuple(rows), agreed, note)


def _flat(contender: Contender) -> Contender:
    """With all results in one array: value and derivatives, a row per sample."""

    def results() -> list[np.ndarray]:
        value, *slopes = contender.results()
        return [np.stack([value, *np.moveaxis(np.concatenate(slopes, -1), -1, 0)])]

    return Contender(contender.name, contender.way, contender.run, results, contender.build)


# ---- peers -------------------------------------------------------------------------------------


def _peers(setup: Setup, drawn: Draws, point: list[np.ndarray]) -> list[Contender]:
    found: list[Contender] = []
    if (casadi := setup.peer("casadi")) is not None:
        function = CasadiFunction("CasADi SX", _casadi(casadi, drawn), [np.array(point)], [(), (len(point),)])
        machine = function.machine()

        def results() -> list[np.ndarray]:
            value, slopes = machine.results()
            return [np.concatenate([np.ravel(value), slopes])]

        found.append(Contender(machine.name, machine.way, machine.run, results, machine.build))
    if (heyoka := setup.peer("heyoka")) is not None:
        found.append(_heyoka(heyoka, drawn, np.array(point)[:, None]))
    return found


def _casadi(casadi: Any, drawn: Draws) -> Callable[[], Any]:
    def build() -> Any:
        z = casadi.SX.sym("z", 3 * PAIRS)
        value = chain(
            drawn, [z[k] for k in range(3 * PAIRS)], lambda *t: sum(t[1:], t[0]), lambda a, b: a * b
        )
        return casadi.Function("chain", [z], [value, casadi.gradient(value, z)], {"cse": True})

    return build


def _heyoka(heyoka: Any, drawn: Draws, points: np.ndarray) -> Contender:
    with stopwatch() as seconds:
        symbols = heyoka.make_vars(*(f"z{k}" for k in range(3 * PAIRS)))
        value = chain(drawn, symbols, lambda *terms: heyoka.sum(list(terms)), mul)
        tensors = heyoka.diff_tensors([value], diff_args=symbols, diff_order=1)
        function = heyoka.cfunc([value, *(t for _, t in tensors.get_derivatives(1))], symbols)
    place = np.empty((1 + 3 * PAIRS, points.shape[1]))

    def run(times: int) -> None:
        for _ in range(times):
            function(points, outputs=place)

    def results() -> list[np.ndarray]:
        run(1)
        return [place[:, 0].copy() if points.shape[1] == 1 else place.copy()]

    return Contender("heyoka cfunc, default", "call", run, results, seconds[0])


if __name__ == "__main__":
    main(run)
