"""The suite's JAX tool, with clocks that stop when a result is there and not when JAX was told to compute it.

python tools/bench/gradbench/jax_waiting.py SUITE/python/gradbench/gradbench/tools/jax/run.py
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from gradbench import wrap  # the suite's, on PYTHONPATH

_multiple_runs = wrap.multiple_runs


def _waiting(**options: Any) -> Callable[[Callable[[Any], Any]], Any]:
    timed = _multiple_runs(**options)
    return lambda function: timed(lambda data: jax.block_until_ready(function(data)))


if __name__ == "__main__":
    wrap.multiple_runs = _waiting
    os.sched_setaffinity = lambda who, cores: None  # it stays on the core that all tools are on
    program = sys.argv.pop(1)
    sys.path.insert(0, str(Path(program).parent))
    runpy.run_path(program, run_name="__main__")
