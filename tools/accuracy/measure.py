"""One case on every target: how far values, first and second derivatives are from the exact ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import exact
import mpmath
import numpy as np
from cases import Case
from regions import Oscillation

import symgrad as sg
from symgrad.program import Program
from symgrad.run.accuracy import last_places
from symgrad.run.kernel import Kernel

QUANTITIES = ("value", "first", "second")
TARGETS = ("numpy", "llvm", "c")
DTYPES = ("float64", "float32")
_SLOW = ("call",)  # one sample after the other in Python takes too long, and says nothing new
_ENTRIES = 2  # of a gradient, and rows of a Hessian, that are measured
_WORDS = {"map": (("value",),), "loop": (("grad", "hvp"), ("grad",))}  # what is tried, one after the other


@dataclass
class Errors:
    """Errors in units in the last place of one quantity on one target, and the worst point."""

    ulps: list[float] = field(default_factory=list)
    at: tuple[float, ...] = ()
    form: str = ""

    def add(self, ulps: np.ndarray, points: np.ndarray, form: str) -> None:
        if ulps.size and ulps.max() > max(self.ulps, default=-1.0):
            self.at, self.form = tuple(map(float, points[int(ulps.argmax())])), form
        self.ulps += ulps.tolist()

    @property
    def worst(self) -> float:
        return max(self.ulps)

    @property
    def median(self) -> float:
        return float(np.median(self.ulps))


Key = tuple[str, str, str]
"""Quantity, target, dtype."""


@dataclass
class Result:
    """Of one case. refused: which targets do not compute all of it, and why, each once."""

    name: str
    errors: dict[Key, Errors] = field(default_factory=dict)
    refused: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class Truth:
    """Points, (B, arity); exact values, (B,), and derivatives by entries, each (B,), None where unknown.

    sizes  of a function that oscillates: the amplitudes by which errors count, by the same entries, and ()
           for the value.
    """

    points: np.ndarray
    value: np.ndarray
    first: dict[int, np.ndarray]
    second: dict[tuple[int, int], np.ndarray]
    sizes: dict[Any, np.ndarray] = field(default_factory=dict)


def measure(
    case: Case, count: int, seconds: float, quantities: Sequence[str] = QUANTITIES,
    targets: Sequence[str] = TARGETS,
) -> Result:  # fmt: skip
    """Errors at `count` points for each precision; fewer where exact numbers take more than `seconds`."""
    result = Result(case.name)
    for dtype in DTYPES:
        truth = exact_numbers(case, np.dtype(dtype), count, seconds, quantities)
        for target in targets:
            for form, build in case.forms.items():
                if form not in _forms(case, target):
                    continue
                kernel = _compiled(case, form, build, (target, dtype), result)
                if kernel is not None:
                    _compare(kernel, (case, form), truth, (target, dtype), quantities, result)
    return result


def _forms(case: Case, target: str) -> Sequence[str]:
    """Special functions of compiled targets are the same calls in loops: one form of them is enough.

    On numpy the slow forms are left out where there are others.
    """
    if target == "numpy":
        return [form for form in case.forms if form not in _SLOW] or list(case.forms)
    return ["call"] if case.group == "special" else list(case.forms)


def _compiled(
    case: Case, form: str, build: Callable[[], Program], where: tuple[str, str], result: Result
) -> Kernel | None:
    """A kernel for all that the target can compute; None where that is nothing."""
    for words in _WORDS.get(form, (("value", "grad", "hess"), ("value", "grad"), ("value",))):
        if words == ("value",) or case.by:
            try:
                return sg.compile(build(), outputs=words, backend=where[0], dtype=where[1])
            except sg.SymgradError as error:
                result.refused.setdefault(f"{where[0]}: {error.summary}")
    return None


# ---- exact numbers -----------------------------------------------------------------------------


def exact_numbers(
    case: Case, dtype: np.dtype, count: int, seconds: float, quantities: Sequence[str]
) -> Truth:
    rng = np.random.default_rng(sum(case.name.encode()))
    with np.errstate(all="ignore"):
        candidates = case.sample(rng, count, dtype).astype(dtype)
    candidates = candidates[np.isfinite(candidates).all(axis=1)].astype(np.float64)
    limits = np.finfo(dtype)
    points, values = [], []
    start = time.perf_counter()
    for point in rng.permutation(candidates):
        value = exact.value(case.exact, point)
        if value is not None and (value == 0 or limits.tiny <= abs(value) <= limits.max):
            points.append(point)
            values.append(value)
        if len(points) >= count or time.perf_counter() - start > seconds:
            break
    kept = np.array(points)
    first, second = _derivatives(case, case.exact, kept, seconds, quantities)
    truth = Truth(kept, _objects(values), first, second)
    return truth if case.oscillation is None else _with_amplitudes(case, case.oscillation, truth, seconds)


def _with_amplitudes(case: Case, oscillation: Oscillation, truth: Truth, seconds: float) -> Truth:
    """The same, with sqrt(f**2 + companion**2) of values and derivatives where the function oscillates."""
    inside = [oscillation.where(*point) for point in truth.points]
    companion = [exact.value(oscillation.companion, p) for p in truth.points]
    quantities = [q for q, known in (("first", truth.first), ("second", truth.second)) if known]
    first, second = _derivatives(case, oscillation.companion, truth.points, seconds, quantities)
    sizes = {}
    pairs = [((), truth.value, companion)]
    pairs += [(k, column, first[k]) for k, column in truth.first.items()]
    pairs += [(k, column, second[k]) for k, column in truth.second.items()]
    for key, column, other in pairs:
        sizes[key] = _objects(
            [mpmath.hypot(a, b) if now and a is not None and b is not None else a
             for a, b, now in zip(column, other, inside, strict=True)]
        )  # fmt: skip
    return replace(truth, sizes=sizes)


def _derivatives(
    case: Case, function: exact.Function, points: np.ndarray, seconds: float, quantities: Sequence[str]
) -> tuple[Any, Any]:
    entries = case.by[:_ENTRIES]
    first: dict[int, list[Any]] = {k: [] for k in entries if "first" in quantities}
    second: dict[tuple[int, int], list[Any]] = {
        (k, m): [] for k in entries for m in entries if m <= k and "second" in quantities
    }
    by = exact.SHORT if case.group == "special" else exact.USUAL
    start = time.perf_counter()
    for point in points:
        late = time.perf_counter() - start > 2 * seconds
        for k, column in first.items():
            column.append(None if late else exact.derivative(function, point, (k,), by))
        for pair, rows in second.items():
            rows.append(None if late else exact.derivative(function, point, pair, by))
    return {k: _objects(c) for k, c in first.items()}, {k: _objects(c) for k, c in second.items()}


def _objects(numbers: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(numbers), dtype=object)
    array[:] = numbers
    return array


# ---- comparison --------------------------------------------------------------------------------


def _compare(
    kernel: Kernel,
    what: tuple[Case, str],
    truth: Truth,
    where: tuple[str, str],
    quantities: Sequence[str],
    result: Result,
) -> None:
    case, form = what
    found = _numbers(kernel, case, form, truth.points)
    # A product with the Hessian has its other entries times 0 in it, and 0 times infinity is no number.
    finite = [_measurable(column, np.dtype(where[1])) for column in truth.second.values()]
    all_second = np.logical_and.reduce(finite) if finite else True
    pairs: list[tuple[str, Any, np.ndarray]] = [("value", None, truth.value)]
    pairs += [("first", k, column) for k, column in truth.first.items()]
    pairs += [("second", pair, column) for pair, column in truth.second.items()]
    for quantity, entry, wanted in pairs:
        if quantity not in found or quantity not in quantities:
            continue
        value = found[quantity] if entry is None else found[quantity][entry]
        counts = _measurable(wanted, np.dtype(where[1])) & (all_second if quantity == "second" else True)
        size = truth.sizes.get(() if entry is None else entry, wanted)
        ulps = last_places(value[counts], wanted[counts], where[1], size[counts])
        errors = result.errors.setdefault((quantity, *where), Errors())
        errors.add(ulps, truth.points[counts], form if entry is None else f"{form}, {entry}")


def _measurable(wanted: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Where the exact number is known and a normal number of the type, or 0."""
    limits = np.finfo(dtype)
    return np.array(
        [x is not None and (x == 0 or float(limits.tiny) <= abs(x) <= float(limits.max)) for x in wanted],
        dtype=bool,
    )


def _numbers(kernel: Kernel, case: Case, form: str, points: np.ndarray) -> dict[str, Any]:
    """What the kernel computes at the points: value (B,), first by entry, second by pairs of entries."""
    columns = list(points.T.copy())
    if form == "loop":
        return _loop_numbers(kernel, case, columns)
    if form == "matrix":
        order = round(points.shape[1] ** 0.5)
        columns = [points.reshape(-1, order, order)]
    elif form == "vector":
        columns = [points]
    found = dict(zip(kernel.outputs, kernel(*columns), strict=True))
    count, by = len(points), case.by if form == "call" else range(points.shape[1])
    numbers: dict[str, Any] = {"value": np.asarray(found["value"])}
    if "grad" in found:
        grad = np.reshape(found["grad"], (count, -1))
        numbers["first"] = {k: grad[:, i] for i, k in enumerate(by)}
    if "hess" in found:
        hess = np.reshape(found["hess"], (count, len(by), -1))
        numbers["second"] = {(k, m): hess[:, i, j] for i, k in enumerate(by) for j, m in enumerate(by)}
    return numbers


def _loop_numbers(kernel: Kernel, case: Case, columns: list[np.ndarray]) -> dict[str, Any]:
    if kernel.outputs == ("grad",):
        (grad,) = kernel(*columns)
        return {"first": dict(zip(case.by, grad, strict=True))}
    first: dict[int, np.ndarray] = {}
    second: dict[tuple[int, int], np.ndarray] = {}
    for m in case.by:
        tangent = tuple(np.full(len(columns[0]), float(k == m)) for k in case.by)
        grad, hvp = kernel(*columns, tangent=tangent)
        first |= dict(zip(case.by, grad, strict=True))
        second |= {(k, m): part for k, part in zip(case.by, hvp, strict=True)}
    return {"first": first, "second": second}
