"""Run every benchmark in a process of its own and write RESULTS.md beside this file.

    python tools/bench/run_all.py [--only NAME ...] [--no-peers] [--rounds N] [--output FILE]

Only what was measured in this run is written.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = (
    "start", "call_overhead", "rosenbrock100", "arm", "batch", "network_one", "network_batch", "cost_promise",
    "compile_scale", "scalar_graph", "repeated_parts", "vector_math", "sparse_hessian", "training",
    "tensor_programs", "contractions", "floors", "cliffs",
)  # fmt: skip
PACKAGES = (
    "sympy", "numpy", "llvmlite", "casadi", "jax", "torch", "numba", "symengine", "heyoka", "symforce",
    "wrenfold",
)  # fmt: skip
HOW_TO_READ = """\
Written by `tools/bench/run_all.py`. Ratios count, not absolute times: the machine is shared, all contenders
of a table ran interleaved on one core, one thread, and the numbers are medians of CPU time. `/ first row` is
the time divided by the first row's: below 1 is faster than that row. Results were compared before anything
was timed. What the rows mean stands in `tools/bench/README.md`."""


def main() -> None:
    """Run the chosen benchmarks and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    parts = ["# Benchmark results", HOW_TO_READ, describe_machine()]
    for name in options.only:
        print(name, file=sys.stderr, flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), "--rounds", str(options.rounds)]
        command += ["--no-peers"] if options.no_peers else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        parts.append(done.stdout.strip())
    options.output.write_text("\n\n".join(parts) + "\n")


def describe_machine() -> str:
    """The machine and the versions of everything that takes part, as a Markdown list."""
    versions = [f"{p} {importlib.metadata.version(p)}" for p in PACKAGES if importlib.util.find_spec(p)]
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    commit = _output("git", "-C", str(HERE), "rev-parse", "--short", "HEAD")
    package = str(HERE.parents[1] / "symgrad")
    if _output("git", "-C", package, "status", "--porcelain", "--", package) != "none":
        commit += " and uncommitted changes"
    lines = (
        f"- {datetime.date.today().isoformat()}, commit {commit}",
        f"- {_processor()}, {os.cpu_count()} cores visible, load {load} when the run began",
        f"- {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        f"- {', '.join(versions)}",
        f"- C compiler: {_output('cc', '--version')}",
    )
    return "\n".join(lines)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    wide = "AVX-512" if " avx512f" in text else ("AVX2" if " avx2" in text else "no AVX2")
    return f"{names[0] if names else platform.processor() or 'unknown processor'} ({wide})"


def _output(*command: str) -> str:
    """The first line a command prints, or "none" if it prints none or does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return done.stdout.splitlines()[0] if done.stdout else "none"


if __name__ == "__main__":
    main()
