"""Source text from an expression, which needs nothing of ours: a small C project, or a file of CUDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symgrad.errors import BadOption, quoted
from symgrad.frontend.arguments import name_of
from symgrad.grad.precision import Precision, check_precision
from symgrad.ir.count import operations
from symgrad.ir.kinks import CONVENTIONS
from symgrad.ir.unit import Unit
from symgrad.loops.nest import Routine
from symgrad.pipeline import check_words, dtype_name, optimise, routine_of
from symgrad.program import Derived, Program, program
from symgrad.run.memory import Memory, check_memory
from symgrad.run.signature import shape_text, size_poly
from symgrad.targets.export import export_c as export_routine
from symgrad.targets.export import export_cuda as export_kernel

_BLAS = ("built-in", "cblas")
_COUNTED_AT = 8  # the value of every size that operation counts are quoted for


def export_c(
    expr: Any,
    name: str,
    directory: str | Path = ".",
    *,
    args: Sequence[Any] | None = None,
    wrt: Any = None,
    outputs: str | Sequence[str] = ("value", "grad"),
    dtype: Any = "float64",
    own_functions: bool = False,
    blas: str = "built-in",
    memory: str | None = None,
    accuracy: float | None = None,
    allowance: float = 0.0,
    **options: Any,
) -> list[Path]:
    """Write NAME.c, NAME.h, NAME_main.c and a Makefile for an expression or a program.

    The C is C99 without allocation, globals or dependences besides libm (and CBLAS if asked): arrays are
    row-major, the caller passes the workspace (`NAME_work_size` elements), sizes are the last arguments.

    name       of the C function.
    directory  is created.
    outputs    words as for `compile`.
    dtype      "float64" (double) or "float32" (float).
    own_functions  print our own exp, log, sin, tanh, ... into the file, so that loops over them vectorise
               on processors with fused multiply-add; by default libm's are called.
    blas       "built-in": matrix products run in a kernel that is part of the file. "cblas": those of at
               least 64*64*64 multiplications whose strides BLAS takes are handed to CBLAS (`cblas.h`, linked
               with -lcblas or what LDLIBS says), which runs in as many threads as it likes.
    memory     "stored" (the default), "checkpointed" or "recomputed": recurrences keep what they need in
               reverse for tiles of time only, and compute the rest again. How many blocks, tiles in a block
               and steps in a tile are then the last sizes: the caller's choice, as the header says.
    accuracy, allowance  add an output, `lost`: how many entries of the others may be off by more than
               accuracy*|entry| + allowance, by the bounds of their rounding errors.
    options    of `program`.
    Returns the paths written; the same arguments give the same bytes.
    Raises BadName if `name` cannot be a C function, and what `compile` raises.
    """
    if blas not in _BLAS:
        raise BadOption(
            f"unknown blas {blas!r}",
            where="blas=",
            because="matrix products run in " + " or ".join(f'"{b}"' for b in _BLAS),
            try_='blas="built-in", which needs no library',
        )
    budget = _budget(memory, options)
    precision = check_precision(accuracy, allowance, check_words(outputs))
    source, derived, unit = _derived(expr, args, wrt, outputs, options, precision)
    routine = routine_of(unit, name, derived.words, memory=budget)
    header = _header(source, derived, unit)
    if own_functions:
        header["elementary functions"] = _OWN
    if blas == "cblas":
        header["large matrix products"] = "by CBLAS"
    return export_routine(routine, name, directory, dtype_name(dtype), header, own_functions, blas == "cblas")


def export_cuda(
    expr: Any,
    name: str,
    directory: str | Path = ".",
    *,
    args: Sequence[Any] | None = None,
    wrt: Any = None,
    outputs: str | Sequence[str] = ("value", "grad"),
    shared: Sequence[Any] = (),
    dtype: Any = "float64",
    own_functions: bool = False,
    memory: str | None = None,
    accuracy: float | None = None,
    allowance: float = 0.0,
    **options: Any,
) -> list[Path]:
    """Write NAME.cu for an expression or a program: a device function, and a kernel for many samples.

    `NAME_batch` computes any number of samples in blocks of any number of threads. Every array has the shape
    that `compile` gives it and the samples as one more axis, the last: threads side by side read numbers side
    by side. `NAME` computes one sample, for use in kernels of one's own. The file needs no header of ours and
    compiles with nvcc, with NVRTC (and so `cupy.RawModule`), and with `kernels/cuda_on_host.h` in front with
    any C++ compiler.

    shared  the arguments (symbols or their names) that all samples have in common, without a further axis.
    own_functions  print our own exp, log, sin, tanh, ... into the file, the ones of the other targets; by
            default CUDA's are called.
    The other parameters are those of `export_c`.
    Returns the paths written; the same arguments give the same bytes.
    Raises BadOption for a shared argument that is none, and what `export_c` raises.
    """
    budget = _budget(memory, options)
    precision = check_precision(accuracy, allowance, check_words(outputs))
    source, derived, unit = _derived(expr, args, wrt, outputs, options, precision)
    routine = routine_of(unit, name, derived.words, memory=budget, vectors=False)
    header = _header(source, derived, unit)
    if own_functions:
        header["elementary functions"] = _OWN
    common = _shared_inputs(routine, shared)
    return export_kernel(routine, name, directory, dtype_name(dtype), header, own_functions, common)


_OWN = "in this file, at most 2 units in the last place from the exact value"


def _budget(memory: str | None, options: Mapping[str, Any]) -> Memory:
    """The budget that `memory=` means in a file of source text; BadOption for what such a file has not."""
    if "sparse" in options:
        raise BadOption(
            "standalone C has no sparse outputs",
            because="where their values belong is found for the sizes and integers of a call, in Python",
            try_="dense outputs, or sg.compile with sparse=",
        )
    budget = check_memory(memory)
    if isinstance(budget, int):
        raise BadOption(
            f"standalone C has no budget of memory: {memory!r}",
            where="memory=",
            because="who calls it chooses the tiles, and with them the memory, by its last sizes",
            try_='memory="checkpointed"',
        )
    return budget


def _derived(
    expr: Any,
    args: Sequence[Any] | None,
    wrt: Any,
    outputs: str | Sequence[str],
    options: dict[str, Any],
    precision: Precision | None,
) -> tuple[Program, Derived, Unit]:
    """The program, what was asked of it, and that optimised."""
    is_ready = isinstance(expr, Program) and args is None and wrt is None and not options
    source = expr if is_ready else program(expr, args, wrt, **options)
    derived = source.derived(check_words(outputs), precision=precision)
    return source, derived, optimise(derived.unit)


def _shared_inputs(routine: Routine, shared: Sequence[Any]) -> frozenset[str]:
    """The input buffers of these arguments."""
    inputs = {b.symbol or b.name: b.name for b in routine.buffers_of("input")}
    asked = [s if isinstance(s, str) else name_of(s) for s in shared]
    for name in asked:
        if name not in inputs:
            raise BadOption(
                f"the program has no argument {quoted(name)}",
                where="shared=",
                because="its arguments are " + ", ".join(map(quoted, inputs)),
                try_="one of these",
            )
    return frozenset(inputs[name] for name in asked)


def _header(source: Program, derived: Derived, unit: Unit) -> dict[str, str]:
    """Lines of the header comment: what it computes, in the user's terms, and at which price."""
    lines = {
        "expression": _shortened(source.expr),
        "differentiated by": ", ".join(name_of(s) for s in source.wrt) or "nothing",
        "stability rewrites": "on" if source.options.stabilise else "off",
    }
    if source.kinks:
        lines["kinks"] = f"{source.options.kinks} ({CONVENTIONS[source.options.kinks]})"
    for word, result in zip(derived.words, derived.results, strict=True):
        lines[word] = _result_text(derived, result)
    if derived.precision is not None:
        lines["lost"] = f"how many entries may be off by more than {derived.precision}"
    sizes = dict.fromkeys(source.translation.sizes, _COUNTED_AT)
    before = operations(derived.unit.graph, derived.unit.roots, sizes)
    after = operations(unit.graph, unit.roots, sizes)
    where = f", every size {_COUNTED_AT}" if sizes else ""
    lines["operations"] = f"{before} as derived, {after} after optimisation{where}"
    return lines


def _result_text(derived: Derived, result: Any) -> str:
    if isinstance(result, list):
        return "; ".join(_result_text(derived, r) for r in result)
    position, shape = result
    g = derived.unit.graph
    return f"{derived.unit.outputs[position][0]} {shape_text([size_poly(g, e) for e in shape])}, row-major"


def _shortened(expr: Any) -> str:
    """The expression on one line, cut where it is long; large ones are not printed at all."""
    if _is_large(expr):
        return f"{type(expr).__name__} of more than {_MOST} sub-expressions"
    text = str(expr)
    return text if len(text) <= 200 else text[:197] + "..."


_MOST = 300


def _is_large(expr: Any) -> bool:
    stack, seen = [expr], 0
    while stack and seen <= _MOST:
        seen += 1
        stack.extend(getattr(stack.pop(), "args", ()))
    return seen > _MOST
