"""`sg.verify`: derivatives against independent computations, as a table.

forward, central differences  the compiled value over a sweep of steps, read off where it is steadiest
complex step                  the reference evaluator on complex numbers: no cancellation, all digits
50 digits                     central differences with mpmath: all digits, for small programs
Taylor                        the order of the remainder along random directions that move every entry
structural zeros              where nothing depends on a variable, its derivative is exactly 0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from symgrad.errors import BadOption, NoFactorisation, NotConverged, PrecisionLost
from symgrad.ir.evaluate import evaluate_size
from symgrad.program import Program
from symgrad.records import dataclass
from symgrad.run.claims import Analytic, analytic_outputs, claim_of
from symgrad.run.comparisons import can_evaluate, compare_claim, compare_value
from symgrad.run.domain import is_outside, note_infinite
from symgrad.run.findings import Findings, accuracies, merged
from symgrad.run.functions import DIGITS, Function, Variables, pattern_of, variables_of
from symgrad.run.hints import hints
from symgrad.run.judging import Tolerances, strain_of
from symgrad.run.noise import value_noise, with_noise
from symgrad.run.own import own_derivative
from symgrad.run.point import Array, Arrays, Interval, Point, checked_domain, make_point, names_of
from symgrad.run.products import GAUSS_NEWTON, compare_products
from symgrad.run.report import FAILED, NO_DIGITS, OK, Entry, Report
from symgrad.run.subject import Subject, subject_of

_FEWEST_DIGITS, _MOST_DIGITS = 20, 1000


def verify(
    subject: Any,
    at: Mapping[Any, Any] | None = None,
    *,
    wrt: Any = None,
    outputs: str | Sequence[str] | None = None,
    grad: Any = None,
    hess: Any = None,
    against: str | Path | None = None,
    sizes: Mapping[Any, int] | None = None,
    domain: Mapping[Any, tuple[float, float]] | None = None,
    samples: int = 1,
    seed: int = 0,
    digits: int = DIGITS,
    rtol: float | None = None,
    entries: int | None = None,
    backend: str = "llvm",
    dtype: Any = "float64",
    kinks: str | None = None,
    raises: bool = False,
) -> Report:
    """Compare the derivatives of a kernel, a program or a SymPy expression with independent computations.

    at       symbol or name -> number or array of the declared shape; the rest is drawn at random.
    wrt      what to differentiate by, as for `compile`; not with a kernel.
    outputs  words as for `compile`; default: those of the kernel, else value and gradient (or Jacobian).
    grad, hess  your own gradient and Hessian to verify instead: a function of the program's arguments, in
             their order, that returns arrays in the structure of `wrt`; or SymPy expressions in that
             structure (or a mapping from the symbols to them).
    against  a C file that `export_c` wrote for this program, to verify instead, as it lies there.
    sizes    size symbol or name -> number; default: what `at` gives, else small different numbers.
    domain   symbol or name -> (low, high), to draw from; numbers have the declared signs anyway.
    samples  how many points are drawn; the report shows the worst row of each method.
    seed     of everything random: the point, the entries compared, the directions. Further points have the
             following seeds.
    digits   of the high-precision evaluation, at least 20.
    rtol     the relative error allowed; default by method: 1e-5 and 1e-6 for forward and central differences
             (and what the sweep says they can resolve), 1e-9 for the others, 1e-3 for all in float32.
    entries  how many entries to compare at most; default: as many as take a few seconds. Directional
             comparisons cover every entry; where one fails, the entry is found by bisection.
    backend, dtype, kinks  of the kernel that is verified, as for `compile`; not with a kernel.
    raises   raise VerificationFailed instead of returning a report that is not ok.

    Errors are relative to the larger of the two numbers, or a thousandth of the largest derivative if both
    are smaller. Where the left and the right slope differ (a kink), differences accept a derivative between
    them, the complex step compares it with what the convention takes, and the report names the kink.
    A number that is smaller than what rounding may change of it has no digits: it does not fail, and the
    report names it.

    Returns a Report: `ok`, `table`, `worst`, `rows`, `accuracy`, `hints`, `raise_if_wrong()`, `to_json()`; it
    prints as its table.
    Raises BadArgument, BadOption, ShapeMismatch for input that does not fit, and VerificationFailed if asked.
    """
    _check_numbers(rtol, entries, samples, digits)
    about = subject_of(subject, wrt, outputs, grad, hess, against, backend, dtype, kinks)
    inside = checked_domain(domain, about.program.args, names_of(at))
    tolerances = Tolerances("float64" if about.own else str(about.kernel.dtype), rtol)
    points = [_point(about, at, sizes, inside, seed + k) for k in range(samples)]
    _check_drawn(points[0], samples)
    plans = [Plan(about, point, seed + k, digits, entries) for k, point in enumerate(points)]
    labels = [f"point {k + 1} (seed {seed + k})" for k in range(samples)]
    findings = merged([_findings(plan, tolerances) for plan in plans], labels)
    title = _title(about.name, points[0], seed, samples)
    report = _report(findings, title, tolerances.dtype)
    return report.raise_if_wrong() if raises else report


# ---- one point ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What is verified at which point, and how thoroughly."""

    about: Subject
    point: Point
    seed: int
    digits: int
    entries: int | None


def _findings(plan: Plan, tolerances: Tolerances) -> Findings:
    about, point = plan.about, plan.point
    variables = variables_of(about.program, point.arrays)
    found = analytic_outputs(about.kernel, point.arrays, point.sizes, plan.seed)
    own = {
        word: own_derivative(word, given, about.program, point, variables)
        for word, given in about.own.items()
    }
    found = replace(found, outputs={**found.outputs, **own})
    findings, shape = Findings(), _value_shape(about.program, point)
    for word in about.words:
        function = _function(word, plan, variables, found)
        parts = found.outputs[word]
        is_compared = word == "value" or variables.size
        if is_compared and is_outside(word, parts, function, can_evaluate(function), findings):
            continue
        note_infinite(word, parts, findings)
        if word == "value":
            compare_value(
                parts, function, tolerances, findings, shape,
                lambda: value_noise(about.program, about.kernel, point),
            )  # fmt: skip
        elif not variables.size:
            findings.notes.append(f"{word}: there is nothing to differentiate by")
        elif word in GAUSS_NEWTON:
            compare_products(word, found.outputs[word], function, found.tangent, tolerances, findings)
        else:
            claim = claim_of(word, found, function, plan.seed, plan.entries, shape)
            claim = replace(claim, pattern=pattern_of(about.kernel, word, point), is_own=word in own)
            compare_claim(
                claim, tolerances, findings,
                lambda claim: with_noise(claim, about.program, about.kernel, point, found, shape),
            )  # fmt: skip
            failed = any(row.output == word and row.result == FAILED for row in findings.rows)
            if failed and word in own:
                findings.hints += _hints(word, own[word], plan, variables)
    return findings


def _hints(word: str, own: list[Array], plan: Plan, variables: Variables) -> list[str]:
    """What explains the user's derivative, beside ours."""
    from symgrad.pipeline import compile as compile_kernel  # the pipeline itself imports this folder

    point = plan.point
    kernel = compile_kernel(plan.about.program, outputs=(word,), backend=plan.about.kernel.backend)
    right = analytic_outputs(kernel, point.arrays, point.sizes, plan.seed).outputs[word]
    return hints(word, own, right, variables, point.sizes)


def _function(word: str, plan: Plan, variables: Variables, found: Analytic) -> Function:
    """The function whose slopes the output `word` is made of."""
    weights = found.cotangent if word == "vjp" else None
    what = "grad" if word in ("hess", "hvp", "hess_diag") else "value"
    return Function(plan.about.kernel, found.given, what, plan.point, variables, weights, plan.digits)


def _point(about: Subject, at: Any, sizes: Any, inside: Mapping[str, Interval], seed: int) -> Point:
    kernel, source = about.kernel, about.program

    def is_usable(arrays: Arrays, chosen: dict[str, int]) -> bool:
        try:
            found = analytic_outputs(kernel, arrays, chosen, seed)
        except (NoFactorisation, NotConverged, PrecisionLost):
            return False
        return all(np.isfinite(part).all() for parts in found.outputs.values() for part in parts)

    given = names_of(at), names_of(sizes)
    point = make_point(kernel.signature, source.args, *given, seed, is_usable, inside)
    if kernel.dtype == np.float64:
        return point
    # The kernel rounds its arguments; everybody has to see the rounded ones.
    arrays = {name: _rounded(x, kernel.dtype) for name, x in point.arrays.items()}
    return replace(point, arrays=arrays)


def _rounded(x: Array, dtype: np.dtype) -> Array:
    return x.astype(dtype).astype(x.dtype) if x.dtype.kind == "f" else x


def _value_shape(source: Program, point: Point) -> tuple[int, ...]:
    p = source.problem()
    return tuple(evaluate_size(p.graph, extent, point.sizes) for extent in p.shape)


# ---- input that does not fit -------------------------------------------------------------------


def _check_numbers(rtol: float | None, entries: int | None, samples: int, digits: int) -> None:
    if rtol is not None and not rtol > 0:
        raise BadOption(
            f"rtol is {rtol}", because="a relative error allowed has to be positive", try_="rtol=1e-6"
        )
    if entries is not None and entries < 1:
        raise BadOption(f"entries is {entries}", because="at least one entry is compared", try_="entries=10")
    if samples < 1:
        raise BadOption(f"samples is {samples}", because="at least one point is needed", try_="samples=5")
    if not _FEWEST_DIGITS <= digits <= _MOST_DIGITS:
        raise BadOption(
            f"digits is {digits}",
            because=f"it has to be from {_FEWEST_DIGITS} (more than a double has) to {_MOST_DIGITS}",
            try_=f"digits={DIGITS}",
        )


def _check_drawn(point: Point, samples: int) -> None:
    if samples > 1 and not point.drawn:
        raise BadOption(
            f"samples is {samples}, and nothing is drawn",
            because="at= gives every argument a value",
            try_="leave samples out, or give fewer values",
        )


# ---- the report --------------------------------------------------------------------------------


def _report(findings: Findings, title: tuple[str, ...], dtype: str) -> Report:
    rows = findings.rows
    failed = [row for row in rows if row.result == FAILED]
    answered = {row.output for row in rows if row.result in (OK, FAILED, NO_DIGITS)}
    is_complete = all(row.output in answered for row in rows)
    entries = [row.worst for row in failed or rows if row.worst is not None]
    worst = max(entries, key=_severity, default=None)
    return Report(
        not failed and is_complete, tuple(rows), worst, title, tuple(findings.notes),
        accuracies(findings, dtype), tuple(findings.hints),
    )  # fmt: skip


def _severity(entry: Entry) -> tuple[bool, float]:
    """Entries that have a name come first where something failed."""
    ratio = strain_of(entry)
    return bool(entry.symbol) and ratio > 1, ratio


def _title(what: str, point: Point, seed: int, samples: int) -> tuple[str, ...]:
    shapes = [name + (str(x.shape) if x.shape else "") for name, x in point.arrays.items()]
    given = [text for text, name in zip(shapes, point.arrays, strict=True) if name not in point.drawn]
    drawn = [text for text, name in zip(shapes, point.arrays, strict=True) if name in point.drawn]
    lines = [f"verify  {what}"]
    if given:
        lines.append("given   " + ", ".join(given))
    if drawn:
        seeds = f"seed {seed}" if samples == 1 else f"{samples} points, seeds {seed} to {seed + samples - 1}"
        lines.append(f"random  {', '.join(drawn)}  ({seeds})")
    if point.sizes:
        lines.append("sizes   " + ", ".join(f"{name} = {n}" for name, n in sorted(point.sizes.items())))
    return tuple(lines)
