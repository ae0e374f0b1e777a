"""A claim against each independent method: one row of the report per method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from symgrad.run.bisection import with_entry_found
from symgrad.run.claims import Check, Claim
from symgrad.run.differences import Estimate, Sweep, central_difference, forward_difference, sweep
from symgrad.run.functions import Function
from symgrad.run.judging import (
    CENTRAL,
    COMPLEX,
    EXACT,
    FORWARD,
    REFERENCE,
    TRUST,
    Tolerances,
    count_text,
    errors_of,
    judged,
    largest,
    row_of,
)
from symgrad.run.point import Array
from symgrad.run.report import LEFT_OUT, Entry, Row, entry_text
from symgrad.run.taylor import taylor_rows

_EXACT_BUDGET = 150_000  # operations at 50 digits, about a second
_COMPLEX_BUDGET = 200_000_000
_LARGEST_GRID = 4_000_000  # numbers in one array of the reference evaluator


# ---- values ------------------------------------------------------------------------------------


def compare_value(parts: Sequence[Array], function: Function, tolerances: Tolerances) -> list[Row]:
    """The value against the reference evaluator and against 50 digits."""
    value = np.concatenate([np.ravel(p) for p in parts])
    floor = np.full(value.shape, tolerances.floor * max(1.0, np.abs(value).max(initial=0.0)))
    rows = []
    for method in (REFERENCE, EXACT):
        reason = _too_large(function, method)
        if reason:
            rows.append(Row("value", method, result=LEFT_OUT, note=reason))
            continue
        found = function.exact_value() if method == EXACT else function.reference_value()
        relative, allowed = errors_of(value, found, np.zeros_like(found), floor, tolerances.of(method))
        m = largest(relative / allowed)
        entry = Entry("value", "", (int(m),) if value.size > 1 else (), "", float(value[m]), float(found[m]),
                      float(relative[m]), float(allowed[m]), method) if value.size else None  # fmt: skip
        rows.append(row_of("value", method, count_text(value.size, "number"), entry))
    return rows


# ---- derivatives -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Swept:
    """The sweeps of all checks of a claim and what is read off them; `on_kink` is (checks, M)."""

    sweeps: tuple[Sweep, ...]
    forward: tuple[Estimate, ...]
    central: tuple[Estimate, ...]
    on_kink: Array


def compare_claim(claim: Claim, tolerances: Tolerances, notes: list[str]) -> list[Row]:
    """One row per method; remarks for the reader are added to `notes`."""
    kinks = claim.function.kinks()
    swept = _sweep_all(claim, bool(kinks), tolerances)
    _note_kinks(claim, swept, kinks, notes)
    skip = swept.on_kink.copy()
    if skip.any():  # one-sided slopes do not add up along a direction
        skip[[k for k, c in enumerate(claim.checks) if c.vector is not None]] = True
    rows = [
        _difference_row(claim, FORWARD, swept.forward, skip, tolerances),
        _difference_row(claim, CENTRAL, swept.central, skip, tolerances),
        _slope_row(claim, COMPLEX, skip, tolerances),
        _slope_row(claim, EXACT, skip, tolerances),
        *taylor_rows(claim, swept.sweeps, bool(kinks), bool(skip.any()), tolerances),
        *_kink_rows(claim, swept),
    ]
    return with_entry_found(claim, rows, tolerances)


def _sweep_all(claim: Claim, has_kinks: bool, tolerances: Tolerances) -> Swept:
    sweeps = tuple(_sweep(claim, check) for check in claim.checks)
    ahead = tuple(forward_difference(s) for s in sweeps)
    central = tuple(central_difference(s) for s in sweeps)
    shape = (len(sweeps), claim.checks[0].claimed.size)
    on_kink = np.zeros(shape, dtype=bool)
    if has_kinks:
        for k, (check, s) in enumerate(zip(claim.checks, sweeps, strict=True)):
            on_kink[k] = _is_on_kink(claim, check, ahead[k], forward_difference(s, side=-1), tolerances)
    return Swept(sweeps, ahead, central, on_kink)


def _sweep(claim: Claim, check: Check) -> Sweep:
    """An entry moves in proportion to its size; a random direction has that built in."""
    at = claim.function.at
    scale = 1.0 if check.entry is None else max(1.0, abs(float(at[check.entry])))
    return sweep(claim.function.values, at, check.direction(at.size), scale)


def _is_on_kink(
    claim: Claim, check: Check, ahead: Estimate, behind: Estimate, tolerances: Tolerances
) -> Array:
    """Where both one-sided slopes are known, differ, and have the claimed derivative between them."""
    floor = tolerances.floor * claim.magnitude(check)
    with np.errstate(all="ignore"):
        size = np.maximum(floor, np.maximum(np.abs(ahead.value), np.abs(behind.value)))
        differ = np.abs(ahead.value - behind.value) > 20 * (ahead.error + behind.error) + 1e-3 * size
        slack = tolerances.of(CENTRAL) * size + TRUST * (ahead.error + behind.error)
        least = np.minimum(ahead.value, behind.value) - slack
        most = np.maximum(ahead.value, behind.value) + slack
        return np.asarray(differ & (least <= check.claimed) & (check.claimed <= most))


def _places_on_kinks(claim: Claim, swept: Swept) -> list[int]:
    return [k for k, check in enumerate(claim.checks) if check.entry is not None and swept.on_kink[k].any()]


def _kink_rows(claim: Claim, swept: Swept) -> list[Row]:
    """Entries on a kink, compared with the slopes of both sides (`_is_on_kink`: they lie between them)."""
    places = _places_on_kinks(claim, swept)
    return (
        [Row(claim.word, "slopes of both sides", count_text(len(places), "entry"), "between")]
        if places
        else []
    )


def _note_kinks(claim: Claim, swept: Swept, kinks: list[str], notes: list[str]) -> None:
    places = _places_on_kinks(claim, swept)
    if places:
        where = entry_text(*claim.variables.entry(claim.checks[places[0]].entry or 0))
        number = count_text(len(places), "entry")
        notes.append(
            f"{claim.word}: {number} on a kink of {', '.join(kinks)}, such as {where}; "
            "there the derivative lies between the left and the right slope, and directions are not compared"
        )


def _difference_row(
    claim: Claim, method: str, estimates: Sequence[Estimate], skip: Array, tolerances: Tolerances
) -> Row:
    slopes = np.stack([e.value for e in estimates])
    errors = np.stack([e.error for e in estimates])
    steps = np.stack([e.step for e in estimates])
    row = judged(claim, claim.checks, method, slopes, errors, skip, tolerances)
    span = f"steps {steps.max():.0e} to {steps.min():.0e}"
    return replace(row, note="; ".join(part for part in (span, row.note) if part))


def _slope_row(claim: Claim, method: str, skip: Array, tolerances: Tolerances) -> Row:
    """An exact method, on as many checks as its budget allows: a direction first, then entries."""
    function = claim.function
    reason = _too_large(function, method)
    if reason:
        return Row(claim.word, method, result=LEFT_OUT, note=reason)
    budget = _EXACT_BUDGET // 2 if method == EXACT else _COMPLEX_BUDGET
    count = max(1, budget // max(1, function.operations))
    order = sorted(range(len(claim.checks)), key=lambda k: claim.checks[k].vector is None)[:count]
    slope = function.exact_slope if method == EXACT else function.complex_slope
    checks = [claim.checks[k] for k in order]
    slopes = np.stack([slope(check.direction(function.at.size)) for check in checks])
    return judged(claim, checks, method, slopes, np.zeros_like(slopes), skip[order], tolerances)


def _too_large(function: Function, method: str) -> str:
    """Why the reference evaluator is not asked; empty if it is."""
    if method == EXACT and function.operations > _EXACT_BUDGET:
        return f"too large: {function.operations:,} operations, at most {_EXACT_BUDGET:,} at {EXACT}"
    if method != EXACT and function.largest > _LARGEST_GRID:
        return f"too large: {function.largest:,} numbers in one array, at most {_LARGEST_GRID:,}"
    return ""
