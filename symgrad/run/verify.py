"""`sg.verify`: derivatives against independent computations, as a table.

forward, central differences  the compiled value over a sweep of steps, read off where it is steadiest
complex step                  the reference evaluator on complex numbers: no cancellation, all digits
50 digits                     central differences with mpmath: all digits, for small programs
Taylor                        the order of the remainder along random directions that move every entry
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symgrad.errors import BadArgument, BadOption, VerificationFailed
from symgrad.ir.evaluate import evaluate_size
from symgrad.program import Program, program
from symgrad.run.claims import Analytic, analytic_outputs, claim_of, own_gradient
from symgrad.run.comparisons import compare_claim, compare_value
from symgrad.run.functions import Function, Variables, variables_of
from symgrad.run.judging import Tolerances
from symgrad.run.kernel import Kernel
from symgrad.run.point import Array, Arrays, Point, make_point, names_of
from symgrad.run.report import FAILED, OK, Entry, Report, Row


def verify(
    subject: Any,
    at: Mapping[Any, Any] | None = None,
    *,
    wrt: Any = None,
    outputs: str | Sequence[str] | None = None,
    grad: Callable[..., Any] | None = None,
    sizes: Mapping[Any, int] | None = None,
    seed: int = 0,
    rtol: float | None = None,
    entries: int | None = None,
    backend: str = "llvm",
    dtype: Any = "float64",
    raises: bool = False,
) -> Report:
    """Compare the derivatives of a kernel, a program or a SymPy expression with independent computations.

    at       symbol or name -> number or array of the declared shape; the rest is drawn at random.
    wrt      what to differentiate by, as for `compile`; not with a kernel.
    outputs  words as for `compile`; default: those of the kernel, else value and gradient (or Jacobian).
    grad     your own gradient to verify instead: a function of the program's arguments, in their order, that
             returns arrays in the structure of `wrt`.
    sizes    size symbol or name -> number; default: what `at` gives, else small different numbers.
    seed     of everything random: the point, the entries compared, the directions.
    rtol     the relative error allowed; default by method: 1e-5 and 1e-6 for forward and central differences
             (and what the sweep says they can resolve), 1e-9 for the others, 1e-3 for all in float32.
    entries  how many entries to compare at most; default: as many as take a few seconds. Directional
             comparisons cover every entry; where one fails, the entry is found by bisection.
    backend, dtype  of the kernel that is verified, as for `compile`; not with a kernel.
    raises   raise VerificationFailed instead of returning a report that is not ok.

    Errors are relative to the larger of the two numbers, or a thousandth of the largest derivative if both
    are smaller. Where the left and the right slope differ (a kink), a derivative between them is accepted,
    and the report says so.

    Returns a Report: `ok`, `table`, `worst`, `rows`, `to_json()`; it prints as its table.
    Raises BadArgument, BadOption, ShapeMismatch for input that does not fit, and VerificationFailed if asked.
    """
    _check_numbers(rtol, entries)
    source, kernel = _source(subject, wrt, outputs, backend, dtype)
    words = _words(source, kernel, outputs, grad)
    kernel = kernel or _compiled(source, ("value",) if grad else words, backend, dtype)
    point = _point(kernel, source, at, sizes, seed)
    variables = variables_of(source, point.arrays)
    found = analytic_outputs(kernel, point.arrays, point.sizes, seed)
    if grad is not None:
        found = replace(found, outputs={"grad": own_gradient(grad, point, variables)})
    tolerances = Tolerances("float64" if grad else str(kernel.dtype), rtol)
    notes: list[str] = []
    rows: list[Row] = []
    for word in words:
        function = _function(word, kernel, point, variables, found)
        if word == "value":
            rows += compare_value(found.outputs[word], function, tolerances)
        elif variables.size:
            claim = claim_of(word, found, function, seed, entries, _value_shape(source, point))
            rows += compare_claim(claim, tolerances, notes)
        else:
            notes.append(f"{word}: there is nothing to differentiate by")
    title = _title(kernel, point, words, seed, "your gradient" if grad else None)
    report = _report(rows, title, notes)
    if raises and not report.ok:
        raise _failure(report)
    return report


# ---- what is verified --------------------------------------------------------------------------


def _check_numbers(rtol: float | None, entries: int | None) -> None:
    if rtol is not None and not rtol > 0:
        raise BadOption(
            f"rtol is {rtol}", because="a relative error allowed has to be positive", try_="rtol=1e-6"
        )
    if entries is not None and entries < 1:
        raise BadOption(f"entries is {entries}", because="at least one entry is compared", try_="entries=10")


def _source(subject: Any, wrt: Any, outputs: Any, backend: str, dtype: Any) -> tuple[Program, Kernel | None]:
    """The program, and the kernel if one was given."""
    if not isinstance(subject, Kernel):
        if isinstance(subject, Program) and wrt is None:
            return subject, None
        return program(subject, wrt=wrt), None
    if wrt is not None or backend != "llvm" or np.dtype(dtype) != np.float64:
        raise BadOption(
            "wrt, backend and dtype belong to a program, and a kernel was given",
            try_="leave them out, or pass the program",
        )
    if subject.program is None:
        raise BadArgument(
            "the kernel does not know its program",
            because="it was unpickled",
            try_="verify the program, or a kernel compiled in this process",
        )
    if outputs is not None and not set(_as_words(outputs)) <= set(subject.outputs):
        raise BadOption(
            "outputs names a word that the kernel does not have",
            because="the kernel's outputs are " + ", ".join(subject.outputs),
        )
    return subject.program, subject


def _as_words(outputs: str | Sequence[str]) -> tuple[str, ...]:
    return (outputs,) if isinstance(outputs, str) else tuple(outputs)


def _words(source: Program, kernel: Kernel | None, outputs: Any, grad: Any) -> tuple[str, ...]:
    if grad is not None:
        if outputs not in (None, "grad", ("grad",)):
            raise BadOption("with grad= only the gradient is verified", try_="leave outputs out")
        return ("grad",)
    if outputs is not None:
        return _as_words(outputs)
    if kernel is not None:
        return kernel.outputs
    return default_outputs(source)


def default_outputs(source: Program) -> tuple[str, str]:
    """Value and gradient, or value and Jacobian where the value is an array."""
    p = source.problem()
    is_number = all(e == p.graph.one for e in p.graph.tensors[p.value].extents)
    return ("value", "grad" if is_number else "jac")


def _compiled(source: Program, words: tuple[str, ...], backend: str, dtype: Any) -> Kernel:
    from symgrad.pipeline import compile as compile_kernel  # the pipeline itself imports this folder

    return compile_kernel(source, outputs=words, backend=backend, dtype=dtype)


def _point(kernel: Kernel, source: Program, at: Any, sizes: Any, seed: int) -> Point:
    def is_usable(arrays: Arrays, chosen: dict[str, int]) -> bool:
        found = analytic_outputs(kernel, arrays, chosen, seed)
        return all(np.isfinite(part).all() for parts in found.outputs.values() for part in parts)

    point = make_point(kernel.signature, source.args, names_of(at), names_of(sizes), seed, is_usable)
    if kernel.dtype == np.float64:
        return point
    # The kernel rounds its arguments; everybody has to see the rounded ones.
    arrays = {name: _rounded(x, kernel.dtype) for name, x in point.arrays.items()}
    return replace(point, arrays=arrays)


def _rounded(x: Array, dtype: np.dtype) -> Array:
    return x.astype(dtype).astype(x.dtype) if x.dtype.kind == "f" else x


def _function(word: str, kernel: Kernel, point: Point, variables: Variables, found: Analytic) -> Function:
    """The function whose slopes the output `word` is made of."""
    weights = found.cotangent if word == "vjp" else None
    what = "grad" if word in ("hess", "hvp") else "value"
    return Function(kernel, found.given, what, point, variables, weights)


def _value_shape(source: Program, point: Point) -> tuple[int, ...]:
    p = source.problem()
    return tuple(evaluate_size(p.graph, extent, point.sizes) for extent in p.shape)


# ---- the report --------------------------------------------------------------------------------


def _report(rows: Sequence[Row], title: tuple[str, ...], notes: Sequence[str]) -> Report:
    failed = [row for row in rows if row.result == FAILED]
    answered = {row.output for row in rows if row.result in (OK, FAILED)}
    is_complete = all(row.output in answered for row in rows)
    entries = [row.worst for row in failed or rows if row.worst is not None]
    worst = max(entries, key=_severity, default=None)
    return Report(not failed and is_complete, tuple(rows), worst, title, tuple(notes))


def _severity(entry: Entry) -> tuple[bool, float]:
    """Entries that have a name come first where something failed."""
    ratio = entry.error / entry.allowed if entry.allowed else float("inf") if entry.error else 0.0
    return bool(entry.symbol) and ratio > 1, ratio


def _title(
    kernel: Kernel, point: Point, words: Sequence[str], seed: int, what: str | None
) -> tuple[str, ...]:
    shapes = [name + (str(x.shape) if x.shape else "") for name, x in point.arrays.items()]
    given = [text for text, name in zip(shapes, point.arrays, strict=True) if name not in point.drawn]
    drawn = [text for text, name in zip(shapes, point.arrays, strict=True) if name in point.drawn]
    lines = [f"verify  {what or ', '.join(words)}  ({kernel.backend}, {kernel.dtype})"]
    if given:
        lines.append("given   " + ", ".join(given))
    if drawn:
        lines.append(f"random  {', '.join(drawn)}  (seed {seed})")
    if point.sizes:
        lines.append("sizes   " + ", ".join(f"{name} = {n}" for name, n in sorted(point.sizes.items())))
    return tuple(lines)


def _failure(report: Report) -> VerificationFailed:
    failed = [f"{row.output} by {row.method}" for row in report.rows if row.result == FAILED]
    if report.worst is None or not failed:
        return VerificationFailed("nothing could be compared", because=report.table)
    worst = report.worst
    return VerificationFailed(
        f"{worst.name} is {worst.analytic:.10g}, and {worst.numeric:.10g} by {worst.method}",
        where="; ".join(report.title[1:]),
        because="these comparisons failed: " + ", ".join(failed),
        try_="print the report of verify(..., raises=False)",
    )
