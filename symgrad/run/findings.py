"""What a verification collects on its way: rows, remarks and measurements; and those of several points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from symgrad.records import dataclass
from symgrad.run.accuracy import Accuracy, Measurement, summary
from symgrad.run.report import FAILED, LEFT_OUT, NO_ANSWER, NO_DIGITS, OK, Row


@dataclass
class Findings:
    """At one point.

    measured  of each output that was evaluated exactly: its numbers, and how many more are exactly 0.
    """

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    measured: dict[str, tuple[list[Measurement], int]] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)


_RANK = {FAILED: 4, NO_DIGITS: 3, OK: 2, NO_ANSWER: 1, LEFT_OUT: 0}


def merged(points: Sequence[Findings], labels: Sequence[str]) -> Findings:
    """The worst row of each output and method over all points, and everything else together.

    labels  of the points, for the note of a row that is not the first point's.
    """
    if len(points) == 1:
        return points[0]
    total = Findings()
    best: dict[tuple[str, str], tuple[int, Row]] = {}
    for k, findings in enumerate(points):
        for row in findings.rows:
            key = row.output, row.method
            if key not in best or _severity(row) > _severity(best[key][1]):
                best[key] = k, row
        total.notes += [note for note in findings.notes if note not in total.notes]
        total.hints += [hint for hint in findings.hints if hint not in total.hints]
        for word, (numbers, zeros) in findings.measured.items():
            old, count = total.measured.get(word, ([], 0))
            total.measured[word] = [*old, *numbers], count + zeros
    total.rows = [replace(row, note=_noted(row, labels[k])) for k, row in best.values()]
    return total


def accuracies(findings: Findings, dtype: str) -> tuple[Accuracy, ...]:
    """The summary per output."""
    found = (summary(word, dtype, *measured) for word, measured in findings.measured.items())
    return tuple(a for a in found if a is not None)


def _severity(row: Row) -> tuple[int, float]:
    return _RANK[row.result], row.strain


def _noted(row: Row, label: str) -> str:
    if row.result not in (OK, FAILED):
        return row.note
    return "; ".join(part for part in (row.note, f"worst at {label}") if part)
