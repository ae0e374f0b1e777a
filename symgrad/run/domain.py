"""A point outside of a program's domain: said in a row, instead of comparing what is not a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgrad.run.findings import Findings
from symgrad.run.functions import Function
from symgrad.run.judging import count_text
from symgrad.run.point import Array
from symgrad.run.report import FAILED, Row

DOMAIN = "domain"
_OUTSIDE = "the program is not finite at the point, so there is nothing to compare: give another, or domain="


def is_outside(
    word: str, parts: Sequence[Array], function: Function, can_evaluate: bool, findings: Findings
) -> bool:
    """Whether the differentiated function is not finite at the point; `findings` then says so.

    parts  of the output `word`. For a value, the reference evaluator has to agree: a kernel may be wrong.
    """
    is_value = word == "value"
    here = _flat(parts) if is_value else function.values(function.at[None])[0]
    if np.isfinite(here).all():
        return False
    if is_value and can_evaluate and np.isfinite(function.reference_value()).all():
        return False
    what = "" if is_value else "the gradient is " if function.word == "grad" else "the value is "
    first = here[~np.isfinite(here)][0]
    findings.rows.append(
        Row(
            word,
            DOMAIN,
            count_text(here.size, "number"),
            "not finite",
            "finite",
            FAILED,
            note=f"{what}{first:g}" if here.size == 1 else f"{what}{first:g} in some entry",
        )
    )
    if _OUTSIDE not in findings.notes:
        findings.notes.append(_OUTSIDE)
    return True


def note_infinite(word: str, parts: Sequence[Array], findings: Findings) -> None:
    """Say which derivatives are not finite where the value is."""
    numbers = _flat(() if word == "value" else parts)
    bad = numbers[~np.isfinite(numbers)]
    if bad.size:
        findings.notes.append(
            f"{word}: {count_text(bad.size, 'number')} not finite, such as {bad[0]:g}: no slope equals that"
        )


def _flat(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.zeros(0), *(np.ravel(part) for part in parts)])
