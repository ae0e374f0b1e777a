"""Which entry is wrong, where only a direction that moves all of them showed that one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from symgrad.run.claims import Check, Claim
from symgrad.run.differences import central_difference, sweep
from symgrad.run.judging import CENTRAL, COMPLEX, Tolerances, judged
from symgrad.run.point import Array
from symgrad.run.report import FAILED, OK, Entry, Row


def with_entry_found(claim: Claim, rows: Sequence[Row], tolerances: Tolerances) -> list[Row]:
    """The rows; where only directions failed, with the entry behind it in the first row that failed."""
    failing = [k for k, row in enumerate(rows) if row.result == FAILED]
    named = any(rows[k].worst is not None and rows[k].worst.symbol for k in failing)  # type: ignore[union-attr]
    if not failing or named or claim.matrix is None:
        return list(rows)
    by_complex = any(row.method == COMPLEX and row.result in (OK, FAILED) for row in rows)
    entry = _find_entry(claim, COMPLEX if by_complex else CENTRAL, tolerances)
    k = failing[0]
    note = "; ".join(part for part in (rows[k].note, "entry found by bisection") if part)
    return [*rows[:k], replace(rows[k], worst=entry, note=note), *rows[k + 1 :]]


def _find_entry(claim: Claim, method: str, tolerances: Tolerances) -> Entry:
    """Halve the entries that move, following the half whose slope differs more."""
    size = claim.variables.size
    slope = claim.function.complex_slope if method == COMPLEX else lambda d: _central_slope(claim, d)
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
    worst = judged(claim, [check], method, found, np.zeros_like(found), skip, tolerances).worst
    assert worst is not None
    return worst


def _central_slope(claim: Claim, direction: Array) -> Array:
    return central_difference(sweep(claim.function.values, claim.function.at, direction, 1.0)).value
