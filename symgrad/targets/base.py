"""What every compiled target has in common: its interface, the workspace layout, and constants.

Both compiled targets give a routine `NAME` the same two functions:

    void NAME(inputs..., outputs..., [work], sizes...)       one sample
    void NAME_call(void *const *buffers, const int64_t *meta) many

`buffers` holds the inputs, the outputs and the workspace (always there, possibly null). `meta`
holds the number of samples, the sizes, and one stride in elements per input and output: sample s
works on `buffer + s*stride`. There are no globals and no allocation; both are re-entrant.

Straight-line code has a second form, for batches (`loops/lanes.py`), with functions of the same names:
`NAME` computes a block of samples on tiles, and `NAME_call` any number of samples with it. The workspace has
`abreast.batch_elements` elements, and after it `buffers` holds the address of the first form's `NAME`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from symgrad.errors import BadOption, IllegalProgram, quoted
from symgrad.ir.evaluate import constant_value
from symgrad.ir.graph import EPSILON, SMALLEST
from symgrad.loops.nest import Buffer, Poly, Routine, element_count, with_derived
from symgrad.records import dataclass

ALIGNMENT = 8  # elements; every slice of the workspace is a multiple of this
LANES = {"float64": 8, "float32": 16}  # 512 bits; processors with shorter registers use several
DTYPES = ("float64", "float32")
TIERS = ("auto", "quick", "optimised")

_MODULES = {"llvm": "symgrad.targets.llvm", "c": "symgrad.targets.c"}


@dataclass(frozen=True)
class Loaded:
    """A routine in executable memory.

    text          gives the text that is compiled (C, or LLVM's assembly before optimisation).
    address       of `NAME`.
    call_address  of `NAME_call`.
    call          `NAME_call(address of the pointer array, address of the meta array)` from Python;
                  releases the GIL.
    keepalive     what has to stay alive while the addresses are in use.
    extra         elements that it needs of the workspace, after those of the routine's buffers.
    improve       where this was compiled fast: compiles it well, to give the same numbers in less time.
                  Call it in any thread with a function that says whether it is still wanted; it returns None
                  if it is not.
    """

    text: Callable[[], str]
    address: int
    call_address: int
    call: Callable[[int, int], None]
    keepalive: object
    extra: int = 0
    improve: Callable[[Callable[[], bool]], Loaded | None] | None = None

    @property
    def source(self) -> str:
        """The text, which may be written only now."""
        return self.text()


class Target(Protocol):
    """A compiled target. `dtype` is "float64" or "float32", the type of every "real"."""

    name: str

    def emit(self, routine: Routine, dtype: str = "float64") -> str:
        """The routine as text, the same to the byte on every run."""
        ...

    def build(self, routine: Routine, dtype: str = "float64", tier: str = "optimised") -> Loaded:
        """The routine compiled and loaded into this process.

        tier  one of `TIERS`: "quick", compiled fast; "optimised", compiled well; "auto", the first of them
              where that can be told from the second by its speed alone. A target with one tier ignores it.
        """
        ...

    def build_batch(self, routine: Routine, dtype: str = "float64") -> Loaded | None:
        """Its form for batches; None where there is none, and `NAME_call` is used for them."""
        ...


def target_named(name: str) -> Target:
    """The compiled target called `name`; raises BadOption for any other word."""
    if name not in _MODULES:
        raise BadOption(f"there is no compiled target {quoted(name)}", try_="one of " + ", ".join(_MODULES))
    target: Target = importlib.import_module(_MODULES[name]).TARGET
    return target


def workspace_elements(routine: Routine, sizes: Mapping[str, int]) -> int:
    """How many elements of the routine's type the workspace needs for the given sizes."""
    total, known = 0, with_derived(routine, sizes)
    for buffer in routine.buffers_of("work"):
        count = element_count(buffer, known)
        total += -(-count // ALIGNMENT) * ALIGNMENT
    return total


def extra_elements(routine: Routine, compiled: Routine) -> int:
    """How many elements the buffers need that a target has added to those of a routine."""
    added = [b for b in compiled.buffers[len(routine.buffers) :] if b.role == "work"]
    return sum(-(-element_count(b, {}) // ALIGNMENT) * ALIGNMENT for b in added)


def check_dtype(dtype: str) -> str:
    """`dtype`, or BadOption."""
    if dtype not in DTYPES:
        raise BadOption(f"there is no dtype {quoted(dtype)}", try_="one of " + ", ".join(DTYPES))
    return dtype


def parameters(routine: Routine) -> tuple[Buffer, ...]:
    """The input and output buffers, in call order."""
    for buffer in routine.buffers_of("work"):
        if buffer.dtype != "real":
            raise IllegalProgram(f"the work buffer {buffer.name} is not of the routine's type")
    return routine.buffers_of("input") + routine.buffers_of("output")


def row_major(buffer: Buffer, index: tuple[Poly, ...]) -> list[tuple[Poly, Poly]]:
    """Horner steps of the element number: start at 0, then `place = place*extent + index`."""
    if len(index) != len(buffer.extents):
        raise IllegalProgram(f"{buffer.name} has rank {len(buffer.extents)}, its index {len(index)}")
    return list(zip(buffer.extents, index, strict=True))


def literal_value(payload: tuple[Any, ...], dtype: str) -> float:
    """The number of type `dtype` nearest to a constant's exact payload."""
    if payload == EPSILON:
        return float(np.finfo(dtype).eps)
    if payload == SMALLEST:
        return float(np.finfo(dtype).tiny)
    wide = constant_value(payload)
    if dtype == "float64" or wide != wide or wide in (float("inf"), float("-inf")):
        return wide
    with np.errstate(over="ignore"):
        near = np.float32(wide)
    if payload[0] != "q" or not np.isfinite(near):
        return float(near)
    exact = Fraction(payload[1], payload[2])
    inf = np.float32(np.inf)
    candidates = [c for c in (near, np.nextafter(near, -inf), np.nextafter(near, inf)) if np.isfinite(c)]
    # Rounding twice, through float64, can miss the nearest by one place: decide exactly.
    return float(min(candidates, key=lambda c: (abs(Fraction(float(c)) - exact), c != near)))
