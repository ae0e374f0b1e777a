"""When a number counts as right: tolerances by method, and the row of the report for one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from symgrad.records import dataclass
from symgrad.run.claims import Check, Claim
from symgrad.run.point import Array
from symgrad.run.report import FAILED, NO_ANSWER, NO_DIGITS, OK, Entry, Row

REFERENCE = "reference evaluator"
FORWARD, CENTRAL = "forward differences", "central differences"
COMPLEX = "complex step"
TRUST = 8
"""An estimated error may be wrong by this factor."""


@dataclass(frozen=True)
class Tolerances:
    """Relative errors allowed, by method.

    floor  numbers below this part of the largest are compared as if they were that large.
    vague  a method whose own error is larger than this gives no answer.
    """

    dtype: str
    given: float | None = None

    def of(self, method: str) -> float:
        if self.given is not None:
            return self.given
        exact = {FORWARD: 1e-5, CENTRAL: 1e-6}.get(method, 1e-9)
        return exact if self.dtype == "float64" else 1e-3

    @property
    def floor(self) -> float:
        return 1e-3 if self.dtype == "float64" else 0.1

    @property
    def vague(self) -> float:
        return max(1e-2, 10 * self.of(CENTRAL))

    @property
    def rounding(self) -> float:
        """The error of a derivative that Taylor remainders overlook, relative to its magnitude."""
        return max(1e-12 if self.dtype == "float64" else 1e-4, self.given or 0.0)


def judged(
    claim: Claim, checks: Sequence[Check], method: str, slopes: Array, errors: Array, skip: Array,
    tolerances: Tolerances,
) -> Row:  # fmt: skip
    """The row for slopes (checks, M) with errors of their own.

    Those of numbers without digits have to be among them already.
    """
    claimed = np.stack([check.claimed for check in checks])
    floor = tolerances.floor * np.stack([claim.magnitude(check) for check in checks])
    relative, allowed = errors_of(claimed, slopes, errors, floor, tolerances.of(method))
    ratio = relative / allowed
    silent = ~skip & (ratio <= 1) & ((allowed > tolerances.vague) | ~np.isfinite(slopes))
    ratio = np.where(skip | silent, -1.0, ratio)
    compared = [check for k, check in enumerate(checks) if not (skip | silent)[k].all()]
    if not compared:
        is_lost = any(check.lost.any() for check in checks)
        result = NO_DIGITS if is_lost else NO_ANSWER
        return Row(claim.word, method, "nothing", result=result, note=_silence(silent))
    k, m = map(int, np.unravel_index(largest(ratio), ratio.shape))
    check = checks[k]
    symbol, index = ("", ()) if check.entry is None else claim.variables.entry(check.entry)
    entry = Entry(
        claim.word, symbol, index, claim.place(m), float(claimed[k, m]), float(slopes[k, m]),
        float(relative[k, m]), float(allowed[k, m]), method,
    )  # fmt: skip
    return replace(row_of(claim.word, method, _compared(claim, compared), entry), note=_silence(silent))


def errors_of(claimed: Array, found: Array, errors: Array, floor: Array, rtol: float) -> tuple[Array, Array]:
    """Relative errors and what is allowed of each. A claim that is not finite is infinitely wrong."""
    with np.errstate(all="ignore"):
        size = np.maximum(np.maximum(np.abs(claimed), np.abs(found)), floor)
        size = np.where(np.isfinite(size) & (size > 0), size, 1.0)
        relative = np.abs(claimed - found) / size
        allowed = np.maximum(rtol, TRUST * errors / size)
    relative = np.where(claimed == found, 0.0, relative)
    relative = np.where(np.isfinite(found), relative, 0.0)
    relative = np.where(np.isfinite(claimed) | (claimed == found), relative, np.inf)
    allowed = np.where(np.isfinite(allowed), allowed, np.where(np.isfinite(claimed), np.inf, 1.0))
    return relative, allowed


def largest(ratio: Array) -> int:
    return int(np.argmax(np.where(np.isnan(ratio), np.inf, ratio))) if ratio.size else 0


def row_of(word: str, method: str, compared: str, entry: Entry | None) -> Row:
    if entry is None:
        return Row(word, method, compared)
    result = OK if entry.error <= entry.allowed else FAILED
    measure, limit = f"{entry.error:.1e}", f"{entry.allowed:.0e}"
    return Row(word, method, compared, measure, limit, result, worst=entry, strain=strain_of(entry))


def strain_of(entry: Entry) -> float:
    """The error as a part of what is allowed."""
    return entry.error / entry.allowed if entry.allowed else np.inf if entry.error else 0.0


def exactly(digits: int) -> str:
    """The name of the method that evaluates with so many digits."""
    return f"{digits} digits"


def _silence(silent: Array) -> str:
    return f"{int(silent.sum())} could not be resolved" if silent.any() else ""


def _compared(claim: Claim, checks: Sequence[Check]) -> str:
    entries = sum(check.entry is not None for check in checks)
    total = claim.variables.size
    parts = []
    if entries:
        parts.append(
            f"{entries} of {count_text(total, 'entry')}" if entries < total else count_text(entries, "entry")
        )
    if len(checks) > entries:
        parts.append(count_text(len(checks) - entries, "direction"))
    return ", ".join(parts)


def count_text(n: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{n} {noun if n == 1 else plural}"
