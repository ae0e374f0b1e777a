"""symgrad as a tool of the GradBench suite: one JSON message a line on standard input, one answer each.

    python tools/bench/gradbench/tool.py

The answer to `define` says how long the expressions took to become loops ("symbolic") and those machine code
("compile"); the answer to `evaluate` how long each run took ("evaluate"). See the suite's CONTRIBUTING.md.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parents[2]):  # the checkout this file stands in, installed or not
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from problems import common  # noqa: E402  (found through the lines above)

MODULES = ("ba", "det", "gmm", "hello", "ht", "kmeans", "llsq", "lse", "lstm", "ode", "particle", "saddle")


def answer(message: dict[str, Any]) -> dict[str, Any]:
    """The response to one message; a failure is an answer too."""
    response: dict[str, Any] = {"id": message["id"]}
    try:
        match message["kind"]:
            case "start":
                response["tool"] = "symgrad"
            case "define":
                response |= _define(message["module"])
            case "evaluate":
                response |= _evaluate(message["module"], message["function"], message["input"])
    except Exception:  # noqa: BLE001  (the protocol's way to report it, and the next message may be fine)
        response |= {"success": False, "error": traceback.format_exc()}
    return response


def _define(module: str) -> dict[str, Any]:
    if not is_written(module):
        return {"success": False, "error": f"no problem named {module!r}"}
    importlib.import_module(f"problems.{module}")
    timings = [{"name": k, "nanoseconds": v} for k, v in common.times_of_making().items()]
    return {"success": True, "timings": timings}


def is_written(module: str) -> bool:
    """Whether the suite has an eval of that name and we have its expressions."""
    return module in MODULES and (HERE / "problems" / f"{module}.py").exists()


def _evaluate(module: str, function: str, data: Any) -> dict[str, Any]:
    functions = importlib.import_module(f"problems.{module}").FUNCTIONS
    if function not in functions:
        return {"success": False, "error": f"no function {function!r} in {module}"}
    prepared = functions[function](data)
    asked = data if isinstance(data, dict) else {}
    result, nanoseconds = _timed_runs(prepared, asked.get("min_runs", 1), asked.get("min_seconds", 0))
    timings = [{"name": "evaluate", "nanoseconds": n} for n in nanoseconds]
    return {"success": True, "output": prepared.output(result), "timings": timings}


def _timed_runs(prepared: common.Prepared, runs: int, seconds: float) -> tuple[Any, list[int]]:
    """At least `runs` runs, and one, until `seconds` have passed in them: the last result, all times."""
    times: list[int] = []
    total = 0
    while not times or len(times) < runs or total < seconds * 1e9:
        result, nanoseconds = prepared.timed()
        times.append(nanoseconds)
        total += nanoseconds
    return result, times


def serve(messages: Iterable[str], out: TextIO) -> None:
    """Answer every message, one JSON object a line."""
    for line in messages:
        print(json.dumps(answer(json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
