"""The Taylor test of a claim: how fast the remainder along random directions vanishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from symgrad.run.claims import Check, Claim
from symgrad.run.differences import (
    EPS,
    Order,
    Sweep,
    both_sides,
    central_difference,
    first_order,
    second_order,
    sweep,
)
from symgrad.run.judging import CENTRAL, Tolerances, count_text, largest
from symgrad.run.point import Array
from symgrad.run.report import FAILED, LEFT_OUT, Entry, Row

TAYLOR, BOTH_SIDES = "Taylor, one side", "Taylor, both sides"
_LEAST = {TAYLOR: 1.6, BOTH_SIDES: 2.5}
"""The orders accepted, where 2 and 3 are expected."""
_REMAINDERS = {TAYLOR: first_order, BOTH_SIDES: both_sides}

SECOND = "Taylor, second order"
_DOUBLE = 1e-12  # of gradients in double precision: their rounding error, relative to their magnitude

Remainder = Callable[[Sweep, Array, float, float], Order]


def taylor_rows(
    claim: Claim, sweeps: Sequence[Sweep], has_kinks: bool, is_on_kink: bool, tolerances: Tolerances
) -> list[Row]:
    """The remainder ahead, and that of both sides together; of second derivatives also that of the value.

    sweeps  of all checks of the claim; the directions among them are used.
    """
    chosen = [k for k, check in enumerate(claim.checks) if check.vector is not None]
    if not chosen:
        return []
    of_value = claim.word in ("hess", "hvp")
    if is_on_kink:
        methods = [*_LEAST, *([SECOND] if of_value else [])]
        return [Row(claim.word, m, result=LEFT_OUT, note="the point is on a kink") for m in methods]
    rows = []
    for method, remainder in _REMAINDERS.items():
        orders = [_order(claim, claim.checks[k], sweeps[k], remainder, tolerances) for k in chosen]
        # Where steps cross kinks, the remainder of both sides is of the second order as well.
        least = min(_LEAST[method], 1.6) if has_kinks else _LEAST[method]
        rows.append(
            _row(
                claim,
                method,
                [(o, claim.checks[k], sweeps[k]) for o, k in zip(orders, chosen, strict=True)],
                least,
            )
        )
    return [*rows, _second_row(claim, chosen, sweeps, has_kinks, tolerances)] if of_value else rows


def _second_row(
    claim: Claim, chosen: Sequence[int], sweeps: Sequence[Sweep], has_kinks: bool, tolerances: Tolerances
) -> Row:
    """The value against its expansion by the gradient and the claimed second derivative."""
    if has_kinks:
        return Row(claim.word, SECOND, result=LEFT_OUT, note="steps may cross kinks")
    found = []
    for k in chosen:
        check, gradient = claim.checks[k], sweeps[k].here
        vector = check.direction(claim.variables.size)
        s = sweep(claim.function.value_function.values, claim.function.at, vector, 1.0)
        moduli = np.abs(vector)
        with np.errstate(all="ignore"):
            slope, curvature = gradient @ vector, check.claimed @ vector
            size = float(np.abs(gradient) @ moduli)
            of_curvature = tolerances.rounding * float(claim.magnitude(check) @ moduli)
        slopes = np.array([slope]), np.array([curvature])
        lost, more = _noise(claim, check)
        more = np.hypot(more, claim.of_value) if more else 0.0
        order = second_order(
            s, *slopes, _DOUBLE * size + lost, of_curvature + lost * float(moduli.max()), EPS * size + more
        )
        found.append((order, check, sweeps[k]))
    return _row(claim, SECOND, found, _LEAST[BOTH_SIDES])


def _order(claim: Claim, check: Check, s: Sweep, remainder: Remainder, tolerances: Tolerances) -> Order:
    magnitude = float(np.sqrt((claim.magnitude(check) ** 2).sum()))
    lost, more = _noise(claim, check)
    return remainder(s, check.claimed, tolerances.rounding * magnitude + lost, EPS * magnitude + more)


def _noise(claim: Claim, check: Check) -> tuple[float, float]:
    """What rounding may change of a direction's derivative and of the values; 0 where nobody asked."""
    if check.noise is None:
        return 0.0, 0.0
    return float(np.sqrt((check.noise**2).sum())), float(np.sqrt((np.asarray(claim.of_function) ** 2).sum()))


def _row(claim: Claim, method: str, found: Sequence[tuple[Order, Check, Sweep]], least: float) -> Row:
    compared = count_text(len(found), "direction")
    measured = [(o.order, check, s) for o, check, s in found if o.order is not None]
    if not measured:
        return Row(claim.word, method, compared, "exact", note="the remainder is rounding at every step")
    order, check, s = min(measured, key=lambda item: item[0])
    strain = least / order if order > 0 else np.inf
    row = Row(claim.word, method, compared, f"order {order:.2f}", f">= {least}", strain=strain)
    return row if order >= least else replace(row, result=FAILED, worst=_entry(claim, check, s))


def _entry(claim: Claim, check: Check, s: Sweep) -> Entry:
    """The direction in numbers: the claimed derivative along it, and that by central differences."""
    found = central_difference(s).value
    m = largest(np.abs(check.claimed - found))
    a, n = float(check.claimed[m]), float(found[m])
    error = abs(a - n) / (max(abs(a), abs(n)) or 1.0)
    return Entry(claim.word, "", (), claim.place(m), a, n, error, 0.0, CENTRAL)
