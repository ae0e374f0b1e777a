"""Run the evals of the GradBench suite against symgrad and other tools, and write the table of their times.

    python tools/bench/gradbench/run.py --suite CHECKOUT --python VENV/bin/python [--evals lse det] [--write]
    python tools/bench/gradbench/run.py --table

CHECKOUT is one of github.com/gradbench/gradbench with `make -C cpp` and `make -C tools/manual` done; VENV has
numpy, pydantic and dataclasses-json, which its evals need, and jax and torch, where those are to be measured.
The evals run as they are, with their workloads and checks: one process per tool, all on one core and in step,
so that each workload meets every tool within seconds and only one process works at a time.

One run of one eval, with all its tools, is one file: with `--write` it replaces `results/EVAL.json`, and no
other file of results. GRADBENCH.md is made of these files and nothing else, by `--write` and by `--table`
alike; so where two runs of different evals meet, keep both files of results and make the table again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import select
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

import report  # noqa: E402  (found through the lines above)
from outcomes import Result, Session, load  # noqa: E402

RESULTS, TABLE = HERE / "results", HERE.parent / "GRADBENCH.md"
EVALS = ("hello", "lse", "llsq", "det", "ode", "particle", "saddle", "gmm", "kmeans", "ba", "ht", "lstm")
BINARIES = ("manual", "enzyme", "tapenade", "codipack", "adept", "adol-c", "cppad", "finite")
IN_PYTHON = ("jax", "pytorch")
TOOLS = ("symgrad", *BINARIES, *IN_PYTHON)
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
        if name in BINARIES:
            return [sys.executable, str(HERE / "binaries.py"), str(self.root / "tools" / name)]
        program = self.root / "python" / "gradbench" / "gradbench" / "tools" / name / "run.py"
        waiting = [str(HERE / "jax_waiting.py")] if name == "jax" else []
        return [self.python, *waiting, str(program)]

    def has(self, name: str) -> bool:
        """Whether a tool is built, or its package installed."""
        if name in BINARIES:
            return any((self.root / "tools" / name / "bin").glob("*"))
        module = {"symgrad": "json", "jax": "jax", "pytorch": "torch"}[name]
        find = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
        return subprocess.run([self.python, "-c", find], check=False).returncode == 0


def exchanges(
    ask: subprocess.Popen[str], answer: subprocess.Popen[str], session: Session, seconds: float
) -> Generator[None, None, bool]:
    """Hand messages to the tool and responses to the eval; after each pair the next tool has its turn.

    What is returned: whether the tool is still there when the eval is done.

    The eval's next message, and so its check of the result, is waited for first: nobody else works meanwhile.
    A tool that is silent for `seconds` has had its last turn.
    """
    assert ask.stdin and ask.stdout and answer.stdin and answer.stdout
    line = ask.stdout.readline()
    while line:
        print(line, end="", file=answer.stdin, flush=True)
        response = _line_within(answer.stdout, seconds)
        if not response:
            session.errors.append("the tool ended" if response == "" else f"no answer within {seconds:g} s")
            stop(answer)
            return False
        session.record(json.loads(line), json.loads(response))
        print(response, end="", file=ask.stdin, flush=True)
        line = ask.stdout.readline()
        yield
    return True


def stop(process: subprocess.Popen[str]) -> None:
    """End a process and what it has started, such as the program that does the work."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _line_within(pipe: IO[str], seconds: float) -> str | None:
    """The next line; "" at the end, None where none has begun in time. The pipe is empty before."""
    ready, _, _ = select.select([pipe], [], [], seconds)
    return pipe.readline() if ready else None


@contextlib.contextmanager
def running(command: list[str], suite: Suite, **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A process of the suite with pipes to and from it, until the end of the block."""
    library = os.pathsep.join([str(suite.root / "python" / "gradbench"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | ONE_CORE | {"PYTHONPATH": library}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(
        command, cwd=suite.root, env=environment, start_new_session=True, **pipes, **how
    )
    try:
        yield process
    finally:
        stop(process)
        process.communicate()  # closes the pipes


def turns(
    suite: Suite, name: str, options: Sequence[str], session: Session, given: argparse.Namespace
) -> Iterator[None]:
    """One tool's way through the eval, as often as it runs; a step is one message and its answer."""
    with running(suite.tool(session.tool), suite, stderr=subprocess.DEVNULL) as answer:
        for _ in range(given.times):
            with running(suite.eval(name, options), suite) as ask:
                there = yield from exchanges(ask, answer, session, given.timeout)
            if not there:
                return


def run_eval(suite: Suite, name: str, tools: Sequence[str], given: argparse.Namespace) -> Result:
    """One eval against all tools, in step."""
    options = given.options if name != "hello" else ()  # it takes none
    sessions = [Session(tool) for tool in tools]
    with contextlib.ExitStack() as stack:
        left = [
            stack.enter_context(contextlib.closing(turns(suite, name, options, session, given)))
            for session in sessions
        ]
        while left:
            left = [turn for turn in left if next(turn, turn) is not turn]
    return Result(name, date.today().isoformat(), _processor(), options, sessions, given.times)


def _processor() -> str:
    names = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return next(names, platform.processor()).split(":")[-1].strip()


def write_table() -> None:
    """GRADBENCH.md, of all results that are stored."""
    stored = [RESULTS / f"{name}.json" for name in EVALS]
    TABLE.write_text(report.text([load(path) for path in stored if path.exists()]))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", type=Path, help="a checkout of the suite")
    parser.add_argument("--python", default=sys.executable, help="for the evals, and tools in Python")
    parser.add_argument("--evals", nargs="+", default=list(EVALS), choices=EVALS)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, help="beside symgrad; all that are there")
    parser.add_argument("--timeout", type=float, default=120, help="seconds that a tool has for one answer")
    parser.add_argument("--times", type=int, default=1, help="how often the evals run")
    parser.add_argument("--write", action="store_true", help="keep the results, and make the table again")
    parser.add_argument("--table", action="store_true", help="only make the table again")
    parser.add_argument("options", nargs="*", help="for the evals, after --: -- --min-seconds 0.2")
    given = parser.parse_args()
    if not given.table and given.suite is None:
        parser.error("--suite is needed, except with --table")
    return given


def main() -> None:
    given = arguments()
    if given.table:
        write_table()
        return
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    suite = Suite(given.suite.resolve(), given.python)
    chosen = given.tools or [tool for tool in TOOLS if suite.has(tool)]
    tools = ["symgrad", *(tool for tool in TOOLS[1:] if tool in chosen)]
    for name in given.evals:
        result = run_eval(suite, name, tools, given)
        print(report.table(result), flush=True)
        if given.write:
            result.save(RESULTS)
            write_table()


if __name__ == "__main__":
    main()
