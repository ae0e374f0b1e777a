"""A claim against each independent method: one row of the report per method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from symgrad.run.claims import Check, Claim
from symgrad.run.differences import (
    Estimate,
    Order,
    Sweep,
    both_sides,
    central_difference,
    first_order,
    forward_difference,
    sweep,
)
from symgrad.run.functions import DIGITS, Function
from symgrad.run.point import Array
from symgrad.run.report import FAILED, LEFT_OUT, NO_ANSWER, OK, Entry, Row

FORWARD, CENTRAL = "forward differences", "central differences"
COMPLEX, EXACT = "complex step", f"{DIGITS} digits"
TAYLOR, BOTH_SIDES = "Taylor, one side", "Taylor, both sides"
_EXACT_BUDGET = 150_000  # operations at 50 digits, about a second
_COMPLEX_BUDGET = 200_000_000
_LARGEST_GRID = 4_000_000  # numbers in one array of the reference evaluator
_TRUST = 8  # an estimated error may be wrong by this factor
_ORDERS = {TAYLOR: 1.6, BOTH_SIDES: 2.5}  # least orders accepted, for 2 and 3

Slope = Callable[[Array], Array]
Remainder = Callable[[Sweep, Array, float], Order]


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
        """Of a derivative, relative to its magnitude."""
        return 1e-12 if self.dtype == "float64" else 1e-4


# ---- values ------------------------------------------------------------------------------------


def compare_value(parts: Sequence[Array], function: Function, tolerances: Tolerances) -> list[Row]:
    """The value against the reference evaluator and against 50 digits."""
    value = np.concatenate([np.ravel(p) for p in parts])
    floor = np.full(value.shape, tolerances.floor * max(1.0, np.abs(value).max(initial=0.0)))
    small = function.operations <= _EXACT_BUDGET
    rows = []
    for method, run, is_possible, limit in (
        ("reference evaluator", function.reference_value, function.largest <= _LARGEST_GRID, _LARGEST_GRID),
        (EXACT, function.exact_value, small, _EXACT_BUDGET),
    ):
        if not is_possible:
            rows.append(_left_out("value", method, function, limit))
            continue
        found = run()
        relative, allowed = _errors(value, found, np.zeros_like(found), floor, tolerances.of(method))
        m = _largest(relative / allowed)
        entry = Entry("value", "", (int(m),) if value.size > 1 else (), "", float(value[m]), float(found[m]),
                      float(relative[m]), float(allowed[m]), method) if value.size else None  # fmt: skip
        rows.append(_row("value", method, _count(value.size, "number"), entry))
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
        *_taylor_rows(claim, swept, bool(kinks), skip, tolerances),
    ]
    return _with_entry_found(claim, rows, tolerances)


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
        slack = tolerances.of(CENTRAL) * size + _TRUST * (ahead.error + behind.error)
        least = np.minimum(ahead.value, behind.value) - slack
        most = np.maximum(ahead.value, behind.value) + slack
        return np.asarray(differ & (least <= check.claimed) & (check.claimed <= most))


def _note_kinks(claim: Claim, swept: Swept, kinks: list[str], notes: list[str]) -> None:
    places = [k for k, check in enumerate(claim.checks) if check.entry is not None and swept.on_kink[k].any()]
    if places:
        symbol, index = claim.variables.entry(claim.checks[places[0]].entry or 0)
        where = symbol + (str(list(index)) if index else "")
        notes.append(
            f"{claim.word}: {_count(len(places), 'entry')} on a kink of {', '.join(kinks)}, such as {where}: "
            "the derivative lies between the left and the right slope, and directions are not compared"
        )


def _difference_row(
    claim: Claim, method: str, estimates: Sequence[Estimate], skip: Array, tolerances: Tolerances
) -> Row:
    slopes = np.stack([e.value for e in estimates])
    errors = np.stack([e.error for e in estimates])
    steps = np.stack([e.step for e in estimates])
    row = _judged(claim, claim.checks, method, slopes, errors, skip, tolerances)
    span = f"steps {steps.max():.0e} to {steps.min():.0e}"
    return replace(row, note="; ".join(part for part in (span, row.note) if part))


def _slope_row(claim: Claim, method: str, skip: Array, tolerances: Tolerances) -> Row:
    """An exact method, on as many checks as its budget allows: a direction first, then entries."""
    function = claim.function
    cost = max(1, function.operations) * (2 if method == EXACT else 1)
    budget = _EXACT_BUDGET if method == EXACT else _COMPLEX_BUDGET
    count = budget // cost
    if count < 1 or (method == COMPLEX and function.largest > _LARGEST_GRID):
        return _left_out(claim.word, method, function, budget if count < 1 else _LARGEST_GRID)
    order = sorted(range(len(claim.checks)), key=lambda k: claim.checks[k].vector is None)[:count]
    slope = _slope(claim, method)
    checks = [claim.checks[k] for k in order]
    slopes = np.stack([slope(check.direction(function.at.size)) for check in checks])
    return _judged(claim, checks, method, slopes, np.zeros_like(slopes), skip[order], tolerances)


def _slope(claim: Claim, method: str) -> Slope:
    return claim.function.exact_slope if method == EXACT else claim.function.complex_slope


def _judged(
    claim: Claim, checks: Sequence[Check], method: str, slopes: Array, errors: Array, skip: Array,
    tolerances: Tolerances,
) -> Row:  # fmt: skip
    """The row for slopes (checks, M) with errors of their own."""
    claimed = np.stack([check.claimed for check in checks])
    floor = tolerances.floor * np.stack([claim.magnitude(check) for check in checks])
    relative, allowed = _errors(claimed, slopes, errors, floor, tolerances.of(method))
    ratio = relative / allowed
    silent = ~skip & (ratio <= 1) & ((allowed > tolerances.vague) | ~np.isfinite(slopes))
    ratio = np.where(skip | silent, -1.0, ratio)
    compared = [check for k, check in enumerate(checks) if not (skip | silent)[k].all()]
    if not compared:
        return Row(claim.word, method, "nothing", result=NO_ANSWER, note=_silence(silent))
    k, m = map(int, np.unravel_index(_largest(ratio), ratio.shape))
    check = checks[k]
    symbol, index = ("", ()) if check.entry is None else claim.variables.entry(check.entry)
    entry = Entry(
        claim.word, symbol, index, claim.place(m), float(claimed[k, m]), float(slopes[k, m]),
        float(relative[k, m]), float(allowed[k, m]), method,
    )  # fmt: skip
    return replace(_row(claim.word, method, _compared(claim, compared), entry), note=_silence(silent))


def _errors(claimed: Array, found: Array, errors: Array, floor: Array, rtol: float) -> tuple[Array, Array]:
    """Relative errors and what is allowed of each. A claim that is not finite is infinitely wrong."""
    with np.errstate(all="ignore"):
        size = np.maximum(np.maximum(np.abs(claimed), np.abs(found)), floor)
        size = np.where(np.isfinite(size) & (size > 0), size, 1.0)
        relative = np.abs(claimed - found) / size
        allowed = np.maximum(rtol, _TRUST * errors / size)
    relative = np.where(claimed == found, 0.0, relative)
    relative = np.where(np.isfinite(found), relative, 0.0)
    relative = np.where(np.isfinite(claimed) | (claimed == found), relative, np.inf)
    allowed = np.where(np.isfinite(allowed), allowed, np.where(np.isfinite(claimed), np.inf, 1.0))
    return relative, allowed


def _largest(ratio: Array) -> int:
    return int(np.argmax(np.where(np.isnan(ratio), np.inf, ratio))) if ratio.size else 0


def _row(word: str, method: str, compared: str, entry: Entry | None) -> Row:
    if entry is None:
        return Row(word, method, compared)
    result = OK if entry.error <= entry.allowed else FAILED
    return Row(word, method, compared, f"{entry.error:.1e}", f"{entry.allowed:.0e}", result, worst=entry)


def _left_out(word: str, method: str, function: Function, limit: int) -> Row:
    cost = f"{function.operations:,} operations, {function.largest:,} numbers at once"
    return Row(word, method, result=LEFT_OUT, note=f"too large ({cost}; the limit is {limit:,})")


def _silence(silent: Array) -> str:
    return f"{int(silent.sum())} could not be resolved" if silent.any() else ""


def _compared(claim: Claim, checks: Sequence[Check]) -> str:
    entries = sum(check.entry is not None for check in checks)
    total = claim.variables.size
    parts = []
    if entries:
        parts.append(
            f"{entries} of {_count(total, 'entry')}" if entries < total else _count(entries, "entry")
        )
    if len(checks) > entries:
        parts.append(_count(len(checks) - entries, "direction"))
    return ", ".join(parts)


def _count(n: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{n} {noun if n == 1 else plural}"


# ---- Taylor ------------------------------------------------------------------------------------


def _taylor_rows(
    claim: Claim, swept: Swept, has_kinks: bool, skip: Array, tolerances: Tolerances
) -> list[Row]:
    chosen = [k for k, check in enumerate(claim.checks) if check.vector is not None]
    if skip[chosen].any():
        return [Row(claim.word, m, result=LEFT_OUT, note="the point is on a kink") for m in _ORDERS]
    rows = []
    for method, remainder in ((TAYLOR, first_order), (BOTH_SIDES, both_sides)):
        orders = [
            _taylor_order(claim, claim.checks[k], swept.sweeps[k], remainder, tolerances) for k in chosen
        ]
        # Where steps cross kinks, the remainder of both sides is of the second order as well.
        least = min(_ORDERS[method], 1.6) if has_kinks else _ORDERS[method]
        rows.append(_taylor_row(claim, method, chosen, orders, least, swept))
    return rows


def _taylor_order(
    claim: Claim, check: Check, s: Sweep, remainder: Remainder, tolerances: Tolerances
) -> Order:
    magnitude = float(np.sqrt((claim.magnitude(check) ** 2).sum()))
    return remainder(s, check.claimed, tolerances.rounding * magnitude)


def _taylor_row(
    claim: Claim, method: str, chosen: Sequence[int], orders: Sequence[Order], least: float, swept: Swept
) -> Row:
    measured = [(o.order, k) for o, k in zip(orders, chosen, strict=True) if o.order is not None]
    compared = _count(len(chosen), "direction")
    if not measured:
        return Row(claim.word, method, compared, "exact", note="the remainder is rounding at every step")
    order, k = min(measured)
    row = Row(claim.word, method, compared, f"order {order:.2f}", f">= {least}")
    if order >= least:
        return row
    check, found = claim.checks[k], swept.central[k]
    m = _largest(np.abs(check.claimed - found.value))
    a, n = float(check.claimed[m]), float(found.value[m])
    error = abs(a - n) / (max(abs(a), abs(n)) or 1.0)
    entry = Entry(claim.word, "", (), claim.place(m), a, n, error, 0.0, CENTRAL)
    return replace(row, result=FAILED, worst=entry)


# ---- which entry is wrong ----------------------------------------------------------------------


def _with_entry_found(claim: Claim, rows: list[Row], tolerances: Tolerances) -> list[Row]:
    """Where only directions failed, the entry behind it is looked for and put in the failing row."""
    failing = [k for k, row in enumerate(rows) if row.result == FAILED]
    named = any(rows[k].worst is not None and rows[k].worst.symbol for k in failing)  # type: ignore[union-attr]
    if not failing or named or claim.matrix is None:
        return rows
    by_complex = any(row.method == COMPLEX and row.result in (OK, FAILED) for row in rows)
    entry = _find_entry(claim, COMPLEX if by_complex else CENTRAL, tolerances)
    k = failing[0]
    note = "; ".join(part for part in (rows[k].note, "entry found by bisection") if part)
    return [*rows[:k], replace(rows[k], worst=entry, note=note), *rows[k + 1 :]]


def _find_entry(claim: Claim, method: str, tolerances: Tolerances) -> Entry:
    """Halve the entries that move, following the half whose slope differs more."""
    size = claim.variables.size
    slope = _slope(claim, COMPLEX) if method == COMPLEX else lambda d: _central_slope(claim, d)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size)
    low, high = 0, size
    while high - low > 1:
        middle = (low + high) // 2
        gaps = []
        for first, last in ((low, middle), (middle, high)):
            part = np.zeros(size)
            part[first:last] = signs[first:last]
            gap = np.abs(claim.along(part) - slope(part))
            gaps.append(float(np.where(np.isnan(gap), np.inf, gap).max()))
        low, high = (low, middle) if gaps[0] >= gaps[1] else (middle, high)
    check = Check(claim.along(np.eye(1, size, low)[0]), entry=low)
    found = slope(check.direction(size))[None]
    skip = np.zeros(found.shape, dtype=bool)
    worst = _judged(claim, [check], method, found, np.zeros_like(found), skip, tolerances).worst
    assert worst is not None
    return worst


def _central_slope(claim: Claim, direction: Array) -> Array:
    return central_difference(sweep(claim.function.values, claim.function.at, direction, 1.0)).value
