"""How far each kernel is from its floor: what its operations and its bytes would take by themselves.

Operations are those of the optimised program, each at the rate of a vector loop that does nothing else,
measured on this machine in the same run; bytes are those of arguments and results, moved once. The floor is
the larger of the two times and an empty call (`sg.bench`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import arm
import batch
import network
from common import Setup, Table, main, number
from rosenbrock100 import rosenbrock_sum
from tensor_programs import CASES, WORDS, program_named

import symgrad as sg

Subject = tuple[str, sg.Program, tuple[str, ...], Mapping[str, int]]


def run(setup: Setup) -> list[Table]:
    """One row per kernel: operations, bytes, the floor, a call, and the ratio of the two."""
    rows = [_row(*subject) for subject in _subjects(setup.tiny)]
    header = ("", "operations", "bytes", "arithmetic us", "bytes us", "floor us", "call us", "call / floor")
    note = "A call from Python with `out=`, LLVM; medians of CPU time."
    return [Table("Distance from the floor", header, tuple(rows), (), note)]


def _subjects(tiny: bool) -> Iterator[Subject]:
    yield "six-joint arm", arm.program(), arm.WORDS, {}
    if tiny:
        return
    expression, x = rosenbrock_sum()
    rosenbrock = sg.program(expression, args=(x,), wrt=x)
    yield "Rosenbrock, n=100", rosenbrock, ("value", "grad"), {"n": 100}
    yield "Rosenbrock, n=100,000", rosenbrock, ("value", "grad"), {"n": 100_000}
    yield "200 operations and 5 functions, 1 sample", batch.program(), ("value",), {}
    small = {"d": network.INPUTS, "h": network.HIDDEN}
    yield "network 8-32-1, 1 sample", network.program(one_sample=True), network.WORDS, small
    yield "network 8-32-1, 64 samples", network.program(), network.WORDS, {**small, "b": 64}
    for case in CASES:
        shared = program_named(case.name)
        for words in WORDS.values():
            for sizes in map(case.sizes, (case.small, case.large)):
                numbers = " ".join(f"{k}={v}" for k, v in sizes.items())
                label = f"{case.title} {numbers}, {' and '.join(words)}"
                yield label, sg.program(shared.expr, shared.args, shared.wrt), words, sizes


def _row(
    label: str, program: sg.Program, words: tuple[str, ...], sizes: Mapping[str, int]
) -> tuple[str, ...]:
    found = sg.bench(program, outputs=words, sizes=sizes)
    count = sum(w.count for w in found.work)
    times = (found.arithmetic, found.memory, found.floor, found.call_out)
    return (
        label,
        f"{count:,.0f}",
        f"{found.moved:,}",
        *(number(t * 1e6) for t in times),
        number(found.ratio),
    )


if __name__ == "__main__":
    main(run)
