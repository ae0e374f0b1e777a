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
    """

    run: Callable[[], Any]
    output: Callable[[Any], Any]


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
    _made.extend([(SYMBOLIC, lowered - start), (COMPILE, time.perf_counter_ns() - lowered)])
    return made


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


def as_list(result: Any) -> Any:
    """An array as nested lists of floats."""
    return result.tolist()
