"""A claim against each independent method: one row of the report per method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from symgrad.kinks import Kink, kink_texts
from symgrad.records import dataclass
from symgrad.run.accuracy import measured
from symgrad.run.bisection import with_entry_found
from symgrad.run.claims import Check, Claim
from symgrad.run.differences import Estimate, Sweep, central_difference, forward_difference, sweep
from symgrad.run.findings import Findings
from symgrad.run.functions import Function
from symgrad.run.judging import (
    CENTRAL,
    COMPLEX,
    FORWARD,
    REFERENCE,
    TRUST,
    Tolerances,
    count_text,
    errors_of,
    exactly,
    judged,
    largest,
    row_of,
)
from symgrad.run.point import Array
from symgrad.run.report import FAILED, LEFT_OUT, NO_DIGITS, Entry, Row, entry_text
from symgrad.run.taylor import taylor_rows
from symgrad.run.zeros import pattern_rows, zero_rows

Shape = tuple[int, ...]

_EXACT_BUDGET = 150_000  # operations at high precision, about a second
_COMPLEX_BUDGET = 200_000_000
_MOST_KINKS = 4  # named in a note
_BOTH = 2  # numbers are off by their rounding: the one that is verified, and the one beside it
_LARGEST_GRID = 4_000_000  # numbers in one array of the reference evaluator


# ---- values ------------------------------------------------------------------------------------


def compare_value(
    parts: Sequence[Array], function: Function, tolerances: Tolerances, findings: Findings, shape: Shape,
    noise: Callable[[], Array | None],
) -> None:  # fmt: skip
    """The value against the reference evaluator and against many digits.

    shape  of the value as the user sees it.
    noise  gives bounds of its rounding errors, (entries,); asked for only where a number is wrong.
    """
    value = np.concatenate([np.ravel(p) for p in parts])
    floor = np.full(value.shape, tolerances.floor * max(1.0, np.abs(value).max(initial=0.0)))
    exact = exactly(function.digits)
    known: Check | None = None
    for method in (REFERENCE, exact):
        reason = _too_large(function, method == exact)
        if reason:
            findings.rows.append(Row("value", method, result=LEFT_OUT, note=reason))
            continue
        found = function.exact_value() if method == exact else function.reference_value()
        if method == exact:
            names = [_value_name(m, shape) for m in range(value.size)]
            findings.measured["value"] = measured(names, value, found, function.digits, tolerances.dtype)
            found = found.astype(np.float64)
        relative, allowed = errors_of(value, found, np.zeros_like(found), floor, tolerances.of(method))
        compared = np.ones(value.shape, dtype=bool)
        if (relative > allowed).any():
            known = known or Check(value, noise=noise())
            compared = ~(known.lost & (np.abs(value - found) <= _BOTH * known.lost_noise))
        row = _value_row(method, value, found, relative, allowed, compared)
        findings.rows.append(row)
    if known is not None and known.lost.any():
        m = int(known.lost.argmax())
        findings.notes.append(_lost_note("value", _value_name(m, shape), known, m, int(known.lost.sum())))


def _value_row(
    method: str, value: Array, found: Array, relative: Array, allowed: Array, compared: Array
) -> Row:
    if not value.size:
        return row_of("value", method, count_text(0, "number"), None)
    if not compared.any():
        return Row("value", method, "nothing", result=NO_DIGITS)
    m = largest(np.where(compared, relative / allowed, -1.0))
    entry = Entry("value", "", (int(m),) if value.size > 1 else (), "", float(value[m]), float(found[m]),
                  float(relative[m]), float(allowed[m]), method)  # fmt: skip
    return row_of("value", method, count_text(int(compared.sum()), "number"), entry)


def _lost_note(word: str, name: str, check: Check, m: int, count: int) -> str:
    number = f"it is {check.claimed[m]:.3g}, and rounding alone may change it by {check.lost_noise[m]:.2g}"
    count_of = count_text(count, "number")
    return f"{word}: {count_of} without digits, such as {name}: {number}; accuracy= refuses such numbers"


def _value_name(m: int, shape: Shape) -> str:
    return entry_text("value", tuple(int(i) for i in np.unravel_index(m, shape)) if shape else ())


# ---- derivatives -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Swept:
    """The sweeps of all checks of a claim and what is read off them; `on_kink` is (checks, M).

    backward, forward  the slopes of either side.
    """

    sweeps: tuple[Sweep, ...]
    backward: tuple[Estimate, ...]
    forward: tuple[Estimate, ...]
    central: tuple[Estimate, ...]
    on_kink: Array


def compare_claim(
    claim: Claim, tolerances: Tolerances, findings: Findings, with_noise: Callable[[Claim], Claim]
) -> None:
    """One row per method; remarks for the reader are notes.

    with_noise  gives the claim with bounds of its rounding errors; asked for only where something failed.
    """
    function = claim.function
    has_kinks = bool(function.kinks)
    swept = _sweep_all(claim, has_kinks, tolerances)
    skip = swept.on_kink.copy()
    if skip.any():  # one-sided slopes do not add up along a direction
        skip[[k for k, c in enumerate(claim.checks) if c.vector is not None]] = True
    is_open = np.stack([claim.is_open(check) for check in claim.checks])
    # The complex step takes the same side of a kink as the program, where a convention says which.
    is_free = any(kink.is_free for kink in _kinks_here(function))
    by_convention = (skip if is_free else False) | is_open
    is_left_out = bool(skip.any()) or any(kink.is_jump for kink in _kinks_here(function))
    skip |= is_open
    by_complex = _slopes(claim, exact=False)
    by_digits = _slopes(claim, exact=True)
    errors = _exact_errors(claim, by_digits)
    if isinstance(by_digits, dict):
        _measure(claim, by_digits, errors, skip, tolerances, findings)

    def all_rows(claim: Claim) -> list[Row]:
        return [
            _difference_row(claim, FORWARD, swept.forward, skip, tolerances),
            _difference_row(claim, CENTRAL, swept.central, skip, tolerances),
            _slope_row(claim, COMPLEX, by_complex, {}, by_convention, tolerances),
            _slope_row(claim, exactly(function.digits), by_digits, errors, skip, tolerances),
            *taylor_rows(claim, swept.sweeps, has_kinks, is_left_out, tolerances),
            *_kink_rows(claim, swept),
            *(zero_rows(claim, swept.sweeps, by_complex) if isinstance(by_complex, dict) else []),
            *pattern_rows(claim, swept.sweeps),
        ]

    rows = all_rows(claim)
    if any(row.result == FAILED for row in rows):
        claim = with_noise(claim)
        rows = all_rows(claim)
        lost = [(k, m) for k, check in enumerate(claim.checks) for m in np.nonzero(check.lost)[0]]
        if lost:
            k, m = lost[0]
            name = claim.name(claim.checks[k], int(m))
            findings.notes.append(_lost_note(claim.word, name, claim.checks[k], int(m), len(lost)))
    _note_kinks(claim, swept, rows, findings.notes)
    findings.rows += with_entry_found(claim, rows, tolerances)


def _sweep_all(claim: Claim, has_kinks: bool, tolerances: Tolerances) -> Swept:
    sweeps = tuple(_sweep(claim, check) for check in claim.checks)
    ahead = tuple(forward_difference(s) for s in sweeps)
    behind = tuple(forward_difference(s, side=-1) for s in sweeps)
    central = tuple(central_difference(s) for s in sweeps)
    shape = (len(sweeps), claim.checks[0].claimed.size)
    on_kink = np.zeros(shape, dtype=bool)
    if has_kinks:
        for k, check in enumerate(claim.checks):
            on_kink[k] = _is_on_kink(claim, check, ahead[k], behind[k], tolerances)
    return Swept(sweeps, behind, ahead, central, on_kink)


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


def _kinks_here(function: Function) -> tuple[Kink, ...]:
    """The kinks the point is on, if the reference evaluator can be asked."""
    return function.kinks_here if can_evaluate(function) else ()


def _note_kinks(claim: Claim, swept: Swept, rows: Sequence[Row], notes: list[str]) -> None:
    """Which kinks the point is on, the slopes of both sides there, and what to make of a disagreement."""
    places = _places_on_kinks(claim, swept)
    failed = {row.method for row in rows if row.result == FAILED}
    here = "; ".join(kink_texts(_kinks_here(claim.function), _MOST_KINKS))
    convention = f"convention {claim.function.convention}"
    if places:
        k = places[0]
        m = int(swept.on_kink[k].argmax())
        where = entry_text(*claim.variables.entry(claim.checks[k].entry or 0))
        notes.append(
            f"{claim.word}: {count_text(len(places), 'entry')} on a kink, such as {where}: "
            f"slope {swept.backward[k].value[m] + 0.0:.6g} on the left, "
            f"{swept.forward[k].value[m] + 0.0:.6g} on the right, "
            f"derivative {claim.checks[k].claimed[m] + 0.0:.6g} ({convention})"
        )
    by_differences = {FORWARD, CENTRAL, exactly(claim.function.digits)}
    if here and COMPLEX not in failed and failed & by_differences:
        notes.append(
            f"{claim.word}: kinks meet at the point, and the derivative by {convention} is no slope of the "
            "whole function there; another convention may give one, or another point"
        )
    if here and f"kinks at the point: {here}" not in notes:
        notes.append(f"kinks at the point: {here}")


def _difference_row(
    claim: Claim, method: str, estimates: Sequence[Estimate], skip: Array, tolerances: Tolerances
) -> Row:
    slopes = np.stack([e.value for e in estimates])
    steps = np.stack([e.step for e in estimates])
    errors = np.stack([e.error for e in estimates]) + _lost_errors(claim, claim.checks, 1 / steps)
    row = judged(claim, claim.checks, method, slopes, errors, skip, tolerances)
    span = f"steps {steps.max():.0e} to {steps.min():.0e}"
    return replace(row, note="; ".join(part for part in (span, row.note) if part))


def _lost_errors(claim: Claim, checks: Sequence[Check], per_value: Array | float) -> Array:
    """What rounding adds to the errors of slopes, (checks, M), beside numbers that have no digits.

    per_value  how much of the rounding of a value a slope has.
    """
    noise = np.stack([check.lost_noise for check in checks])
    total = noise * (1.0 if claim.is_own else _BOTH) + _BOTH * np.asarray(claim.of_function) * per_value
    return np.where(noise > 0, total / TRUST, 0.0)


def _slopes(claim: Claim, exact: bool) -> dict[int, Array] | str:
    """Slopes by an exact method, of as many checks as its budget allows: a direction first, then entries.

    Where it allows none, the reason.
    """
    function = claim.function
    reason = _too_large(function, exact)
    real_only = [] if exact else function.real_only()
    if reason or real_only:
        return reason or f"{', '.join(real_only)}: known for real arguments only"
    cost = function.exact_cost if exact else function.operations
    count = max(1, (_EXACT_BUDGET if exact else _COMPLEX_BUDGET) // max(1, cost))
    order = sorted(range(len(claim.checks)), key=lambda k: claim.checks[k].vector is None)[:count]
    slope = function.exact_slope if exact else function.complex_slope
    return {k: slope(claim.checks[k].direction(function.at.size)) for k in order}


def _exact_errors(claim: Claim, slopes: dict[int, Array] | str) -> dict[int, Array]:
    """Errors of exact slopes, where they have any."""
    if isinstance(slopes, str):
        return {}
    function = claim.function
    return {
        k: function.exact_error(claim.checks[k].direction(function.at.size), slope)
        for k, slope in slopes.items()
    }


def _slope_row(
    claim: Claim, method: str, slopes: dict[int, Array] | str, errors: Mapping[int, Array], skip: Array,
    tolerances: Tolerances,
) -> Row:  # fmt: skip
    if isinstance(slopes, str):
        return Row(claim.word, method, result=LEFT_OUT, note=slopes)
    order = list(slopes)
    found = np.stack([np.asarray(slope, dtype=np.float64) for slope in slopes.values()])
    checks = [claim.checks[k] for k in order]
    own = np.stack([errors.get(k, np.zeros(found.shape[1])) for k in order])
    if method == COMPLEX or not claim.is_own:
        own = own + _lost_errors(claim, checks, 0.0)
    row = judged(claim, checks, method, found, own, skip[order], tolerances)
    if method == COMPLEX or claim.function.word != "grad":
        return row
    way = "of the value, twice" if claim.function.is_differenced_twice else "of the gradient"
    return replace(row, note="; ".join(part for part in (row.note, f"differences {way}") if part))


def _measure(
    claim: Claim, slopes: dict[int, Array], errors: Mapping[int, Array], skip: Array,
    tolerances: Tolerances, findings: Findings,
) -> None:  # fmt: skip
    """Correct digits of the entries compared. Sums along directions are ours, and do not count."""
    names, value, exact = [], [], []
    for k, slope in slopes.items():
        check = claim.checks[k]
        if check.entry is None and claim.matrix is not None:
            continue
        known = np.array([number == number for number in slope])  # not nan, which the side of a jump may be
        for m in np.nonzero(~skip[k] & known)[0]:
            names.append(claim.name(check, int(m)))
            value.append(check.claimed[m])
            exact.append(slope[m] if abs(slope[m]) > TRUST * errors[k][m] else 0 * slope[m])
    exact_numbers = np.empty(len(exact), dtype=object)
    exact_numbers[:] = exact
    digits = claim.function.digits
    findings.measured[claim.word] = measured(
        names, np.array(value, dtype=np.float64), exact_numbers, digits, tolerances.dtype
    )


def can_evaluate(function: Function) -> bool:
    """Whether the reference evaluator can be asked for the value."""
    return not _too_large(function, exact=False)


def _too_large(function: Function, exact: bool) -> str:
    """Why the reference evaluator is not asked; empty if it is."""
    if exact and function.operations > _EXACT_BUDGET:
        most = f"at most {_EXACT_BUDGET:,} with {exactly(function.digits)}"
        return f"too large: {function.operations:,} operations, {most}"
    if not exact and function.largest > _LARGEST_GRID:
        return f"too large: {function.largest:,} numbers in one array, at most {_LARGEST_GRID:,}"
    return ""
