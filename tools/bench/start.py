"""How long it takes to begin: the import, and a first call whose machine code lies in the cache already.

Every number is CPU time of a process of its own, the median of some. The import counts beyond those of SymPy
and NumPy, with Python's own files compiled before. A first call is `compile` and one call; "code" is the part
of it that makes or loads machine code, the rest translates and differentiates.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from unittest.mock import patch

import network
import numpy as np
import scalar_graph
import sympy as sp
from common import Setup, Table, main, number

IMPORT = """
import time, numpy, sympy
start = time.process_time()
import symgrad
print(time.process_time() - start)
"""


def run(setup: Setup) -> list[Table]:
    """Processes one after the other: each program with an empty cache, then with its code there."""
    times = 1 if setup.tiny else setup.rounds
    rows = [("import symgrad", "-", "-", number(1e3 * _import_seconds(times)))]
    for name in PROGRAMS if not setup.tiny else list(PROGRAMS)[:1]:
        with tempfile.TemporaryDirectory() as place:
            cold = _first_call(name, place)
            warm = [_first_call(name, place) for _ in range(times)]
        code, all_of_it = (statistics.median(w[k] for w in warm) for k in ("code", "all"))
        rows.append((name, number(1e3 * cold["all"]), number(1e3 * code), number(1e3 * all_of_it)))
    header = ("", "empty cache, ms", "code from the cache, ms", "all, ms")
    note = "CPU time to the end of the first call; of the import, beyond SymPy and NumPy."
    return [Table("Start", header, tuple(rows), note=note)]


def _import_seconds(times: int) -> float:
    """Python keeps its compiled files in a folder of this run, wherever it may not write."""
    with tempfile.TemporaryDirectory() as place:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = place

        def once() -> float:
            done = subprocess.run(
                [sys.executable, "-c", IMPORT], env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
            return float(done.stdout)

        once()
        return statistics.median(once() for _ in range(times))


def _first_call(name: str, place: str) -> dict[str, float]:
    environment = {**os.environ, "SYMGRAD_CACHE_DIR": place}
    command = [sys.executable, __file__, "--one", name]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


# ---- one process -------------------------------------------------------------------------------


def _formula() -> Callable[[], object]:
    import symgrad as sg

    x, y = sp.symbols("x y", real=True)
    f = sp.exp(-(x**2)) * sp.sin(x * y) + sp.log(1 + y**2)
    return lambda: sg.compile(f, args=(x, y), wrt=(x, y), outputs=("value", "grad"))(0.1, 0.2)


def _network() -> Callable[[], object]:
    import symgrad as sg

    arrays = network.data(Setup(seed=0), 4)
    source = network.program()
    return lambda: sg.compile(source, outputs=network.WORDS)(*arrays)


def _large() -> Callable[[], object]:
    import symgrad as sg

    rng = np.random.default_rng(0)
    source, point = scalar_graph.program(scalar_graph.draws(1_200, rng)), scalar_graph.inputs(rng)
    return lambda: sg.compile(source, outputs=scalar_graph.WORDS)(*point)


PROGRAMS = {
    "formula of two symbols, value and gradient": _formula,
    "two-layer network, sizes are symbols": _network,
    "graph of 10,000 operations": _large,
}


def _measure_one(name: str) -> dict[str, float]:
    from symgrad.targets import llvm

    begin = PROGRAMS[name]()
    spent = [0.0]
    build = llvm.LLVMTarget.build

    def timed(*args: object, **options: object) -> object:
        start = time.process_time()
        try:
            return build(*args, **options)  # type: ignore[arg-type]  # what `build` was called with
        finally:
            spent[0] += time.process_time() - start

    with patch.object(llvm.LLVMTarget, "build", timed):
        start = time.process_time()
        begin()
        return {"all": time.process_time() - start, "code": spent[0]}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(_measure_one(sys.argv[2])), flush=True)
        os._exit(0)  # what improves code in the background need not end
    main(run)
