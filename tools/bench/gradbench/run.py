"""Run the evals of the GradBench suite against symgrad and other tools, and write the table of their times.

    python tools/bench/gradbench/run.py --suite CHECKOUT --python VENV/bin/python [--evals lse det] [--write]

CHECKOUT is one of github.com/gradbench/gradbench with `make -C cpp` and `make -C tools/manual` done; VENV has
numpy, pydantic and dataclasses-json, which its evals need. The evals run as they are, with their workloads
and checks: one process per tool, all on one core and in step, so that each workload meets every tool within
seconds and only one process works at a time. Times are medians of the runs that tools report.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent / "GRADBENCH.md"
EVALS = ("hello", "lse", "llsq", "det", "ode", "particle", "saddle", "gmm", "kmeans", "ba", "ht", "lstm")
TOOLS = ("symgrad", "manual", "jax")
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "SYMGRAD_CACHE_BYTES": "0",  # what is compiled here is compiled from cold
}


@dataclass(frozen=True)
class Suite:
    """Where the suite is, and a Python that its evals run in."""

    root: Path
    python: str

    def eval(self, name: str, options: Sequence[str]) -> list[str]:
        """The command of an eval."""
        program = self.root / "python" / "gradbench" / "gradbench" / "evals" / name / "run.py"
        return [self.python, str(program), *options]

    def tool(self, name: str) -> list[str]:
        """The command of a tool."""
        if name == "symgrad":
            return [sys.executable, str(HERE / "tool.py")]
        if name == "manual":
            return [sys.executable, str(HERE / "binaries.py"), str(self.root / "tools" / name)]
        program = self.root / "python" / "gradbench" / "gradbench" / "tools" / name / "run.py"
        return [sys.executable, str(HERE / "jax_waiting.py"), str(program)]


@dataclass
class Session:
    """What one tool did in one eval.

    times    (function, workload) -> nanoseconds of each run, in the order of the eval.
    making   what it reported for `define`: name -> nanoseconds.
    valid    how many results the eval found valid.
    errors   what went wrong, in the words of the tool or of the eval.
    """

    tool: str
    times: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    making: dict[str, int] = field(default_factory=dict)
    valid: int = 0
    errors: list[str] = field(default_factory=list)

    def record(self, message: dict[str, Any], response: dict[str, Any]) -> None:
        """Put down one exchange."""
        if response.get("success") is False:
            self.errors.append(f"{message['kind']}: {response.get('error', 'refused')}")
        elif message["kind"] == "define":
            self.making = {t["name"]: t["nanoseconds"] for t in response.get("timings") or ()}
        elif message["kind"] == "evaluate":
            runs = [t["nanoseconds"] for t in response["timings"] if t["name"] == "evaluate"]
            key = message["function"], str(message.get("description", message["input"]))
            self.times[key] = runs
        elif message["kind"] == "analysis":
            self.valid += message["valid"]
            if not message["valid"]:
                self.errors.append(message.get("error", "invalid"))

    def milliseconds(self, key: tuple[str, str]) -> float | None:
        """The median time of one workload; None where there is none."""
        return statistics.median(self.times[key]) / 1e6 if self.times.get(key) else None


def exchanges(ask: subprocess.Popen[str], answer: subprocess.Popen[str], session: Session) -> Iterator[None]:
    """Hand messages to the tool and responses to the eval; after each pair the next tool has its turn.

    The eval's next message, and so its check of the result, is waited for first: nobody else works meanwhile.
    """
    assert ask.stdin and ask.stdout and answer.stdin and answer.stdout
    line = ask.stdout.readline()
    while line:
        print(line, end="", file=answer.stdin, flush=True)
        response = answer.stdout.readline()
        if not response:
            session.errors.append("the tool ended")
            return
        session.record(json.loads(line), json.loads(response))
        print(response, end="", file=ask.stdin, flush=True)
        line = ask.stdout.readline()
        yield


def run_eval(suite: Suite, name: str, tools: Sequence[str], options: Sequence[str]) -> list[Session]:
    """One eval against all tools, in step."""
    library = os.pathsep.join([str(suite.root / "python" / "gradbench"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | ONE_CORE | {"PYTHONPATH": library}
    sessions = [Session(tool) for tool in tools]
    with ExitStack() as stack:

        def started(command: list[str], **how: Any) -> subprocess.Popen[str]:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            process = subprocess.Popen(command, cwd=suite.root, env=environment, **pipes, **how)
            stack.callback(process.kill)
            return process

        turns = []
        for tool, session in zip(tools, sessions, strict=True):
            ask = started(suite.eval(name, options if name != "hello" else ()))
            turns.append(exchanges(ask, started(suite.tool(tool), stderr=subprocess.DEVNULL), session))
        while turns:
            turns = [turn for turn in turns if next(turn, turn) is not turn]
    return sessions


# ---- the table ---------------------------------------------------------------------------------


def table(name: str, sessions: Sequence[Session]) -> str:
    """One eval as text: a row for the last workload of each function, times and ratios to symgrad's."""
    ours = sessions[0]
    last = {function: (function, workload) for function, workload in ours.times}
    others = [s for s in sessions[1:] if s.times]
    header = ["function, workload", "symgrad ms", *(f"{s.tool} ms" for s in others),
              *(f"symgrad / {s.tool}" for s in others)]  # fmt: skip
    rows = []
    for key in last.values():
        mine, theirs = ours.milliseconds(key), [s.milliseconds(key) for s in others]
        ratios = [mine / t if mine is not None and t else None for t in theirs]
        workload = " ".join(key).replace("|", " ")[:60]
        rows.append([workload, *map(_number, [mine, *theirs, *ratios])])
    lines = [f"## {name}", "", *(_verdict(s) for s in sessions), "", _line(header)]
    return "\n".join([*lines, _line(["---", *["---:"] * (len(header) - 1)]), *map(_line, rows), ""])


def _verdict(session: Session) -> str:
    if not session.times:
        return f"- {session.tool}: does not have it"
    made = ", ".join(f"{k} {v / 1e9:.2f} s" for k, v in session.making.items())
    first = f"; first error: {session.errors[0].strip().splitlines()[-1][:100]}" if session.errors else ""
    text = f"- {session.tool}: {session.valid} of {len(session.times)} results valid"
    return text + (f"; {made}" if made else "") + first


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _processor() -> str:
    names = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return next(names, platform.processor()).split(":")[-1].strip()


def title(options: Sequence[str]) -> str:
    """What stands above the tables."""
    text = " with " + " ".join(options) if options else ""
    return f"""# GradBench

The public suite's evals, workloads{text} and checks; written by `tools/bench/gradbench/run.py` on
{date.today().isoformat()}, {_processor()}, one core, one thread, every workload on all
tools within seconds of each other. Medians, in milliseconds, of the largest workload of each function.
"symbolic" is the time from the expressions to loop nests, "compile" that from there to machine code; neither
is in the times below. JAX's clock stops when its result is there; it compiles in its first run, so that
medians of three runs or more are without that.
The gradient of `ode` in the manual tool is a closed form, and not the derivative of the steps.
"""


def sections(text: str) -> dict[str, str]:
    """The tables of an earlier run, by eval."""
    parts = text.split("\n## ")[1:]
    return {part.splitlines()[0]: "## " + part.rstrip() + "\n" for part in parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable, help="for the evals")
    parser.add_argument("--evals", nargs="+", default=list(EVALS), choices=EVALS)
    parser.add_argument("--tools", nargs="+", default=list(TOOLS), choices=TOOLS)
    parser.add_argument("--write", action="store_true", help=f"replace these evals in {TABLE.name}")
    parser.add_argument("options", nargs="*", help="for the evals, after --: -- --min-seconds 0.2")
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    suite = Suite(given.suite.resolve(), given.python)
    known = sections(TABLE.read_text()) if TABLE.exists() else {}
    for name in given.evals:
        known[name] = table(name, run_eval(suite, name, given.tools, given.options))
        print(known[name], flush=True)
        if given.write:
            ordered = [known[name] for name in EVALS if name in known]
            TABLE.write_text("\n".join([title(given.options), *ordered]))


if __name__ == "__main__":
    main()
