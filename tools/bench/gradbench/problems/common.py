"""What every problem has in common: prepared calls, and kernels whose making is timed in two parts.

A problem is a module with a table `FUNCTIONS: dict[str, Callable[[dict], Prepared]]`. Importing it makes its
kernels, so that the tool's answer to `define` is the import and what it took.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import symgrad as sg

SYMBOLIC, COMPILE = "symbolic", "compile"
_made: list[tuple[str, int]] = []


@dataclass(frozen=True)
class Prepared:
    """A call whose input is decoded.

    run     what is timed, as often as the protocol asks; everything that depends on the numbers is in here.
    output  the JSON value of what `run` returned; not timed.
    clock   `run` with its nanoseconds, where the clock is not Python's.
    """

    run: Callable[[], Any]
    output: Callable[[Any], Any]
    clock: Callable[[], tuple[Any, int]] | None = None

    def timed(self) -> tuple[Any, int]:
        """The result of a run, and the nanoseconds it took."""
        if self.clock is not None:
            return self.clock()
        start = time.perf_counter_ns()
        result = self.run()
        return result, time.perf_counter_ns() - start


def kernel(expr: Any, args: Any = None, wrt: Any = None, **options: Any) -> sg.Kernel:
    """`sg.compile`, with its time put down: "symbolic" to the loop nests, "compile" from there to the kernel.

    Arguments, result and errors are those of `sg.compile`.
    """
    start = time.perf_counter_ns()
    lowered = start

    def watch(stage: str, thing: Any) -> None:
        nonlocal lowered
        if stage == "lower":
            lowered = time.perf_counter_ns()

    made = sg.compile(expr, args, wrt, watch=watch, **options)
    put_down(SYMBOLIC, lowered - start)
    put_down(COMPILE, time.perf_counter_ns() - lowered)
    return made


def put_down(part: str, nanoseconds: int) -> None:
    """Add to what making the kernels took."""
    _made.append((part, nanoseconds))


def times_of_making() -> dict[str, int]:
    """Nanoseconds of each part, over the kernels made since the last call."""
    total: dict[str, int] = {}
    for name, nanoseconds in _made:
        total[name] = total.get(name, 0) + nanoseconds
    _made.clear()
    return total


def numbers(values: Any) -> np.ndarray:
    """Nested lists as an array of doubles, also where a number has no fraction."""
    return np.array(values, dtype=np.float64)


def room(*shape: int) -> np.ndarray:
    """An array for results, in memory that has been written to before."""
    return np.full(shape, np.nan)


def as_list(result: Any) -> Any:
    """An array as nested lists of floats."""
    return result.tolist()
