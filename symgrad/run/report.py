"""What a verification found: rows, the worst entry, a table and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from symgrad.errors import VerificationFailed
from symgrad.records import dataclass
from symgrad.run.accuracy import Accuracy

Index = tuple[int, ...]

OK, FAILED, LEFT_OUT, NO_ANSWER = "ok", "FAILED", "left out", "no answer"
NO_DIGITS = "no digits"
"""All that was compared is smaller than what rounding may change of it: neither right nor wrong."""


@dataclass(frozen=True)
class Entry:
    """One number that was compared.

    output    the output word; `symbol` and `index` say by which entry it is the derivative (symbol "" and
              index () along a random direction, or where the value itself is compared).
    of        the entry of the differentiated array, where that is not a single number.
    error     |analytic - numeric| relative to the larger of the two (see `verify`); `allowed` its limit.
    """

    output: str
    symbol: str
    index: Index
    of: str
    analytic: float
    numeric: float
    error: float
    allowed: float
    method: str

    @property
    def name(self) -> str:
        """`grad W[3, 4]`, `hess x[0] by y`, `value`, `grad along a random direction`."""
        return entry_name(self.output, self.symbol, self.index, self.of)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.analytic:.10g} analytic, {self.numeric:.10g} by {self.method}, "
            f"error {self.error:.1e}, allowed {self.allowed:.1e}"
        )


def entry_name(output: str, symbol: str, index: Index, of: str) -> str:
    """What an entry is called: the output, which entry of the array, and by which variable."""
    place = entry_text(symbol, index)
    if not place and output not in ("value", "jvp", "hvp", "gnvp"):
        return " ".join(part for part in (output, of, "along a random direction") if part)
    return " ".join(part for part in (output, of, "by" if of and place else "", place) if part)


def entry_text(symbol: str, index: Index) -> str:
    """`W[3, 4]`, or `x` for a scalar."""
    return f"{symbol}[{', '.join(map(str, index))}]" if index else symbol


@dataclass(frozen=True)
class Row:
    """One method on one output.

    compared  how many entries and directions; `measure` and `limit` the worst of them and what is allowed,
              as text; `note` says what was left out and why; from a `strain` of 1 on, the row fails.
    """

    output: str
    method: str
    compared: str = ""
    measure: str = ""
    limit: str = ""
    result: str = OK
    note: str = ""
    worst: Entry | None = None
    strain: float = 0.0


@dataclass(frozen=True)
class Report:
    """The result of `symgrad.verify`; prints as its table.

    ok     whether no row failed and every output was compared with at least one independent number. Numbers
           that are all rounding do not fail: `notes` names them.
    worst  the entry with the largest error in proportion to what is allowed: of the rows that failed, if any.
    rows   one per method and output.
    title  what was verified, and where.
    notes  what the reader has to know besides.
    accuracy  correct digits and last-place errors per output, where it could be evaluated exactly.
    hints  what explains the wrong entries of a derivative written by hand.
    """

    ok: bool
    rows: tuple[Row, ...]
    worst: Entry | None
    title: tuple[str, ...]
    notes: tuple[str, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        """The whole report as aligned text."""
        lines = [*self.title, "", *_aligned(_HEADER, map(_cells, self.rows)), ""]
        if self.accuracy:
            lines += [*_aligned(_ACCURACY_HEADER, map(_accuracy_cells, self.accuracy)), ""]
        lines += [f"note   {note}" for note in self.notes]
        lines += [f"hint   {hint}" for hint in self.hints]
        if self.worst is not None:
            lines.append(f"worst  {self.worst}")
        failed = [f"{row.output} ({row.method})" for row in self.rows if row.result == FAILED]
        blank = dict.fromkeys(row.output for row in self.rows if row.result == NO_DIGITS)
        if self.ok:
            lines.append(f"ok; numbers without digits: {', '.join(blank)}" if blank else "ok")
        elif failed:
            lines.append("FAILED: " + ", ".join(failed))
        else:
            lines.append("FAILED: an output could not be compared with anything")
        return "\n".join(lines)

    def raise_if_wrong(self) -> Report:
        """Raise VerificationFailed unless the report is ok; else return it."""
        if self.ok:
            return self
        failed = [f"{row.output} by {row.method}" for row in self.rows if row.result == FAILED]
        if self.worst is None or not failed:
            raise VerificationFailed("nothing could be compared", because=self.table)
        worst = self.worst
        raise VerificationFailed(
            f"{worst.name} is {worst.analytic:.10g}, and {worst.numeric:.10g} by {worst.method}",
            where="; ".join(self.title[1:]),
            because="these comparisons failed: " + ", ".join(failed),
            try_="; ".join(self.hints) or "print the report of verify(..., raises=False)",
        )

    def to_json(self) -> str:
        """The report as JSON text; infinities and nan are strings."""
        content = {
            "ok": self.ok,
            "title": list(self.title),
            "rows": [_plain(asdict(row)) for row in self.rows],
            "worst": None if self.worst is None else {"name": self.worst.name, **_plain(asdict(self.worst))},
            "notes": list(self.notes),
            "accuracy": [_plain(asdict(part)) for part in self.accuracy],
            "hints": list(self.hints),
        }
        return json.dumps(content, indent=2, allow_nan=False)

    def __str__(self) -> str:
        return self.table

    __repr__ = __str__


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


_HEADER = ("output", "method", "compared", "worst", "allowed", "result", "")
_ACCURACY_HEADER = ("output", "numbers", "digits", "median", "ulps", "median", "worst at")


def _cells(r: Row) -> tuple[str, ...]:
    return r.output, r.method, r.compared, r.measure, r.limit, r.result, r.note


def _accuracy_cells(a: Accuracy) -> tuple[str, ...]:
    numbers = f"{a.numbers} and {a.zeros} zero" if a.zeros else str(a.numbers)
    digits = f"{a.least_digits:.1f}", f"{a.median_digits:.1f}"
    ulps = _ulps_text(a.most_ulps), f"{_ulps_text(a.median_ulps)} ({a.dtype})"
    return (a.output, numbers, *digits, *ulps, a.worst)


def _ulps_text(ulps: float) -> str:
    return f"{ulps:.2f}" if ulps < 1e4 else f"{ulps:.1e}"


def _aligned(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A header and one line per row, columns padded to their longest text."""
    lines = [header, *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    return [
        "  ".join(f"{text:<{w}}" for text, w in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
