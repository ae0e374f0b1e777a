"""The suite's C++ tools as they were built (`make -C tools/manual` in its checkout), nothing is built again.

python tools/bench/gradbench/binaries.py SUITE/tools/manual
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def answer(folder: Path, message: dict[str, Any]) -> dict[str, Any]:
    """The response to one message: a program per module takes a file and the name of the function."""
    response: dict[str, Any] = {"id": message["id"]}
    match message["kind"]:
        case "start":
            response["tool"] = folder.name
        case "define":
            response["success"] = (folder / "bin" / message["module"]).exists()
        case "evaluate":
            response |= _evaluate(folder / "bin" / message["module"], message["function"], message["input"])
    return response


def _evaluate(program: Path, function: str, data: Any) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(data, file)
        file.flush()
        done = subprocess.run([program, file.name, function], text=True, capture_output=True, check=False)
    if done.returncode:
        return {"success": False, "error": done.stderr}
    output, *timings = map(json.loads, done.stdout.splitlines())
    return {"success": True, "output": output, "timings": timings}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(Path(sys.argv[1]), json.loads(line))), flush=True)
