"""What tools did in an eval: kept as it happens, and as JSON between runs."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MOST_ERRORS = 3  # as many are kept in a file; one shows what is wrong


@dataclass
class Measured:
    """One workload of one function: the median of its runs, their number, what the eval's check said.

    Of an eval that ran more than once it is `middle` of the medians, the number of all runs, and valid where
    the eval said so every time.
    """

    function: str
    workload: str
    milliseconds: float
    runs: int
    valid: bool = False


def middle(values: Sequence[float]) -> float:
    """The mean without the twentieth at either end: of up to four values their median."""
    cut = math.ceil(len(values) / 20) if len(values) > 2 else 0
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


@dataclass
class Session:
    """What one tool did in one eval.

    making   what it reported for `define`: name -> nanoseconds.
    rows     identity of the message -> what was measured, in the order of the eval.
    errors   what went wrong, in the words of the tool or of the eval.
    medians  identity of the message -> milliseconds, each time that the eval ran; not stored.
    """

    tool: str
    making: dict[str, int] = field(default_factory=dict)
    rows: dict[int, Measured] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    medians: dict[int, list[float]] = field(default_factory=dict)

    def record(self, message: dict[str, Any], response: dict[str, Any]) -> None:
        """Put down one exchange."""
        if response.get("success") is False:
            self.errors.append(f"{message['kind']}: {response.get('error', 'refused')}")
        elif message["kind"] == "define":
            made = {t["name"]: t["nanoseconds"] for t in response.get("timings") or ()}
            self.making = self.making or made  # later times find it made
        elif message["kind"] == "evaluate":
            runs = [t["nanoseconds"] for t in response["timings"] if t["name"] == "evaluate"]
            self._evaluated(message, runs)
        elif message["kind"] == "analysis":
            row, times = self.rows[message["of"]], len(self.medians[message["of"]])
            row.valid = message["valid"] and (times == 1 or row.valid)
            if not message["valid"]:
                self.errors.append(message.get("error", "invalid"))

    def _evaluated(self, message: dict[str, Any], runs: Sequence[int]) -> None:
        workload = str(message.get("description", message["input"]))
        row = self.rows.setdefault(message["id"], Measured(message["function"], workload, 0.0, 0))
        medians = self.medians.setdefault(message["id"], [])
        medians.append(statistics.median(runs) / 1e6)
        row.milliseconds = middle(medians)
        row.runs += len(runs)

    def last(self, function: str) -> Measured | None:
        """The last workload of a function; None where there is none."""
        return next((row for row in reversed(self.rows.values()) if row.function == function), None)

    def at(self, function: str, workload: str) -> Measured | None:
        """What was measured for a workload; None where nothing was."""
        found = (r for r in self.rows.values() if (r.function, r.workload) == (function, workload))
        return next(found, None)


@dataclass(frozen=True)
class Result:
    """One run of one eval.

    eval      its name.
    day       of the run, ISO.
    machine   processor.
    options   that the eval was given.
    sessions  one for each tool; symgrad's is the first.
    times     how often the eval ran.
    """

    eval: str
    day: str
    machine: str
    options: Sequence[str]
    sessions: Sequence[Session]
    times: int = 1

    def save(self, folder: Path) -> None:
        """Write it to FOLDER/EVAL.json, in place of an earlier run of the eval."""
        data = {"day": self.day, "machine": self.machine, "options": list(self.options), "times": self.times}
        sessions = [
            {
                "tool": s.tool,
                "making": s.making,
                "rows": [asdict(row) for row in s.rows.values()],
                "errors": [_last_line(error) for error in s.errors[:MOST_ERRORS]],
            }
            for s in self.sessions
        ]
        folder.mkdir(exist_ok=True)
        (folder / f"{self.eval}.json").write_text(json.dumps(data | {"sessions": sessions}, indent=1) + "\n")


def load(path: Path) -> Result:
    """What `Result.save` wrote."""
    data = json.loads(path.read_text())
    sessions = [
        Session(s["tool"], s["making"], {k: Measured(**row) for k, row in enumerate(s["rows"])}, s["errors"])
        for s in data.pop("sessions")
    ]
    return Result(eval=path.stem, sessions=sessions, **data)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines() or [""]
    return lines[-1][:200]
