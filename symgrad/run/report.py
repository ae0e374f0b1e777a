"""What a verification found: rows, the worst entry, a table and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

Index = tuple[int, ...]

OK, FAILED, LEFT_OUT, NO_ANSWER = "ok", "FAILED", "left out", "no answer"


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
        place = entry_text(self.symbol, self.index)
        if not place and self.output not in ("value", "jvp", "hvp"):
            return " ".join(part for part in (self.output, self.of, "along a random direction") if part)
        parts = [self.output, self.of, "by" if self.of and place else "", place]
        return " ".join(part for part in parts if part)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.analytic:.10g} analytic, {self.numeric:.10g} by {self.method}, "
            f"error {self.error:.1e}, allowed {self.allowed:.1e}"
        )


def entry_text(symbol: str, index: Index) -> str:
    """`W[3, 4]`, or `x` for a scalar."""
    return f"{symbol}[{', '.join(map(str, index))}]" if index else symbol


@dataclass(frozen=True)
class Row:
    """One method on one output.

    compared  how many entries and directions; `measure` and `limit` the worst of them and what is allowed,
              as text; `note` says what was left out and why.
    """

    output: str
    method: str
    compared: str = ""
    measure: str = ""
    limit: str = ""
    result: str = OK
    note: str = ""
    worst: Entry | None = None


@dataclass(frozen=True)
class Report:
    """The result of `symgrad.verify`; prints as its table.

    ok     whether no row failed and every output was compared with at least one independent number.
    worst  the entry with the largest error in proportion to what is allowed: of the rows that failed, if any.
    rows   one per method and output.
    title  what was verified, and where.
    notes  what the reader has to know besides.
    """

    ok: bool
    rows: tuple[Row, ...]
    worst: Entry | None
    title: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def table(self) -> str:
        """The whole report as aligned text."""
        lines = [*self.title, "", *_aligned(self.rows), ""]
        lines += [f"note   {note}" for note in self.notes]
        if self.worst is not None:
            lines.append(f"worst  {self.worst}")
        failed = [f"{row.output} ({row.method})" for row in self.rows if row.result == FAILED]
        if self.ok:
            lines.append("ok")
        elif failed:
            lines.append("FAILED: " + ", ".join(failed))
        else:
            lines.append("FAILED: an output could not be compared with anything")
        return "\n".join(lines)

    def to_json(self) -> str:
        """The report as JSON text; infinities and nan are strings."""
        content = {
            "ok": self.ok,
            "title": list(self.title),
            "rows": [_plain(asdict(row)) for row in self.rows],
            "worst": None if self.worst is None else {"name": self.worst.name, **_plain(asdict(self.worst))},
            "notes": list(self.notes),
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


def _aligned(rows: tuple[Row, ...]) -> list[str]:
    """A header and one line per row, columns padded to their longest text."""
    header = ("output", "method", "compared", "worst", "allowed", "result", "")
    body = [(r.output, r.method, r.compared, r.measure, r.limit, r.result, r.note) for r in rows]
    widths = [max(len(line[k]) for line in (header, *body)) for k in range(len(header))]
    return [
        "  ".join(f"{text:<{w}}" for text, w in zip(line, widths, strict=True)).rstrip()
        for line in (header, *body)
    ]
