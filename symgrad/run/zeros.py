"""Structural zeros are exactly 0.0, and sparse patterns hold everything else.

That a function does not depend on a variable is seen from the outside: the value is the same number at all
steps of a sweep, and the complex step, which cancels nothing, is exactly 0 as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from symgrad.run.claims import Claim
from symgrad.run.differences import Sweep, central_difference
from symgrad.run.judging import CENTRAL, COMPLEX, count_text
from symgrad.run.point import Array
from symgrad.run.report import FAILED, Entry, Row

ZEROS, PATTERN = "structural zeros", "sparsity pattern"


def zero_rows(claim: Claim, sweeps: Sequence[Sweep], slopes: Mapping[int, Array]) -> list[Row]:
    """One row, or none where every entry compared depends on every variable.

    slopes  by the complex step, of some of the claim's checks.
    """
    zeros, wrong = 0, []
    for k, slope in slopes.items():
        check = claim.checks[k]
        if check.entry is None:
            continue
        flat = _is_flat(sweeps[k]) & (slope == 0) & ~claim.is_open(check)
        zeros += int(flat.sum())
        for m in np.nonzero(flat & (check.claimed != 0))[0]:
            symbol, index = claim.variables.entry(check.entry)
            value = float(check.claimed[m])
            wrong.append(
                Entry(claim.word, symbol, index, claim.place(int(m)), value, 0.0, np.inf, 0.0, COMPLEX)
            )
    if not zeros:
        return []
    compared = f"{zeros} zero{'s' if zeros > 1 else ''}"
    if not wrong:
        return [Row(claim.word, ZEROS, compared, "exactly 0")]
    measure = f"{count_text(len(wrong), 'entry')} not 0"
    return [Row(claim.word, ZEROS, compared, measure, "exactly 0", FAILED, worst=wrong[0], strain=np.inf)]


def pattern_rows(claim: Claim, sweeps: Sequence[Sweep]) -> list[Row]:
    """One row where the result is sparse: whatever moves with a variable has a place in the pattern.

    Also where its derivative happens to be 0 at this point.
    """
    if claim.pattern is None:
        return []
    missing = []
    for check, s in zip(claim.checks, sweeps, strict=True):
        if check.entry is None:
            continue
        finite = np.isfinite(s.ahead).all(axis=0) & np.isfinite(s.behind).all(axis=0)
        for m in np.nonzero(finite & ~_is_flat(s) & ~claim.pattern[:, check.entry])[0]:
            symbol, index = claim.variables.entry(check.entry)
            slope = float(central_difference(s).value[m])
            missing.append(
                Entry(claim.word, symbol, index, claim.place(int(m)), 0.0, slope, np.inf, 0.0, CENTRAL)
            )
    places = f"{int(claim.pattern.sum())} of {claim.pattern.size} places"
    if not missing:
        return [Row(claim.word, PATTERN, places, "complete")]
    measure = f"{len(missing)} missing"
    return [Row(claim.word, PATTERN, places, measure, "complete", FAILED, worst=missing[0], strain=np.inf)]


def _is_flat(s: Sweep) -> Array:
    same = (s.ahead == s.here) & (s.behind == s.here)
    return np.asarray(same.all(axis=0))
