"""Elementary functions: ns per element in loops, per call outside of loops, and what compiling them costs.

    python tools/bench/vector_math.py [--rounds N] [--tiny]

Loops run over 2048 elements, which fit into the first cache. Results are compared with NumPy's before timing.
"""

from __future__ import annotations

import common
import numpy as np
import scipy.special
from common import Contender, Setup, Table
from machine_code import Addresses, CCode, backends, compiler

from symgrad.loops.nest import Buffer, Compute, Const, For, Load, Routine, Statement, Store, variable
from symgrad.targets import llvm_build
from symgrad.targets.base import Loaded, target_named
from symgrad.targets.llvm import emit_llvm, shape_of
from symgrad.targets.own_functions import with_own_functions
from symgrad.targets.vector_math import APART, FUNCTIONS

N, INDEX = variable("n"), variable("i")
_ELEMENTS = 2048
_CALLS = 16  # in straight-line code
_TOLERANCE = {"float64": 1e-14, "float32": 1e-6}
_C = """
#include <math.h>
void bench(double **b)
{
    TYPE *restrict y = (TYPE *)b[1];
    const TYPE *restrict x = (const TYPE *)b[0];
    for (int i = 0; i < COUNT; i++) y[i] = FUNCTION(x[i]);
}
"""


def run(setup: Setup) -> list[Table]:
    """Elementary functions of our own against NumPy's and libm's."""
    names = ["exp", "erf"] if setup.tiny else [name for name, f in FUNCTIONS.items() if f.arity == 1]
    tables = [_loops(names, dtype, setup) for dtype in _TOLERANCE]
    tables += [_straight(names, dtype, setup) for dtype in _TOLERANCE]
    return [*tables, _compile_time(names, setup)]


# ---- loops -------------------------------------------------------------------------------------


def _map(name: str) -> Routine:
    body: list[Statement] = [Load(1, "x", (INDEX,)), Compute(2, name, (1,)), Store("y", (INDEX,), 2)]
    buffers = (Buffer("x", "input", (N,)), Buffer("y", "output", (N,)))
    return Routine("kernel", ("n",), ("n",), buffers, [For("i", ((),), (N,), body)])


class _Kernel:
    """Machine code with its arrays; the first entry of `meta` is how often to run."""

    def __init__(self, loaded: Loaded, x: np.ndarray, sizes: tuple[int, ...]) -> None:
        self.loaded, self.x, self.y = loaded, x, np.zeros_like(x)
        self.buffers = Addresses([self.x, self.y, np.zeros(8, x.dtype)])
        self.meta = np.array([1, *sizes, 0, 0], np.int64)

    def run(self, times: int) -> None:
        self.meta[0] = times
        self.loaded.call(self.buffers.start, self.meta.ctypes.data)

    def contender(self, name: str) -> Contender:
        def results() -> list[np.ndarray]:
            self.run(1)
            return [self.y]

        return Contender(name, "loop", self.run, results)


def _contenders(name: str, dtype: str, setup: Setup) -> list[Contender]:
    most = 1.0 if name in ("asin", "acos") else 10.0
    x = setup.random().uniform(0.1, most, _ELEMENTS).astype(dtype)
    y = np.zeros_like(x)
    others = {"atan": np.arctan, "asin": np.arcsin, "acos": np.arccos, "erf": scipy.special.erf}
    function = others.get(name) or getattr(np, name)

    def numpy(times: int) -> None:
        for _ in range(times):
            function(x, y)

    ours = [
        _Kernel(target_named(b).build(_map(name), dtype), x, (_ELEMENTS,)).contender(f"symgrad {b}")
        for b in backends()
    ]
    out = [*ours, Contender("NumPy", "loop", numpy, lambda: [function(x)])]
    if compiler() is not None:
        kind, suffix = ("double", "") if dtype == "float64" else ("float", "f")
        text = _C.replace("TYPE", kind).replace("COUNT", str(_ELEMENTS)).replace("FUNCTION", name + suffix)
        z = np.zeros_like(x)
        code = CCode(text, ("-O2", "-fno-math-errno"), [x, z])

        def results() -> list[np.ndarray]:
            code.run(1)
            return [z]

        out.append(Contender("libm", "loop", code.run, results))
    return out


def _loops(names: list[str], dtype: str, setup: Setup) -> Table:
    rows: list[tuple[str, ...]] = []
    header: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()
    for name in names:
        contenders = _contenders(name, dtype, setup)
        agreed = common.compare(contenders, _TOLERANCE[dtype])
        times = [s / _ELEMENTS * 1e9 for s in common.measure(contenders, setup)]
        ratios = [common.number(t / times[0]) for t in times[1:]]
        rows.append((name, *map(common.number, times), *ratios))
        labels = [c.name for c in contenders]
        header = (
            "",
            *(f"{label} ns" for label in labels),
            *(f"{label} / {labels[0]}" for label in labels[1:]),
        )
    return Table(
        f"Loops, {dtype}", header, tuple(rows), agreed, note=f"Per element; SciPy for erf. Seed {setup.seed}."
    )


# ---- straight-line code ------------------------------------------------------------------------


def _calls(op: str, chained: bool) -> Routine:
    """Calls that wait for each other's results, or that do not."""
    body: list[Statement] = [Load(0, "x", ())]
    last, number = 0, 1
    for call in range(_CALLS):
        body.append(Const(number, ("q", 0 if chained else call, 64)))
        body += [
            Compute(number + 1, "add", (last if chained else 0, number)),
            Compute(number + 2, op, (number + 1,)),
            Compute(number + 3, "add", (number + 2, 0 if chained else last)),
        ]
        last, number = number + 3, number + 4
    buffers = (Buffer("x", "input", ()), Buffer("y", "output", ()))
    return Routine("kernel", (), (), buffers, [*body, Store("y", (), last)])


def _straight(names: list[str], dtype: str, setup: Setup) -> Table:
    rows = []
    for name in names:
        x = np.array(0.7, dtype)
        contenders = []
        for chained in (True, False):
            for op in (name, APART + name):
                routine = _calls(op, chained)
                text = emit_llvm(routine, dtype, own=False)
                kernel = _Kernel(llvm_build.build(text, "kernel", shape_of(routine, dtype)), x, ())
                contenders.append(kernel.contender(op))
        times = [s / _CALLS * 1e9 for s in common.measure(contenders, setup)]
        rows.append((name, *map(common.number, times)))
    header = ("", "chained, libm ns", "chained, own ns", "apart, libm ns", "apart, own ns")
    note = "Per call, LLVM. Own functions are used outside of loops where both are no slower."
    return Table(f"Straight-line code, {dtype}", header, tuple(rows), note=note)


# ---- compile time ------------------------------------------------------------------------------


def _compile_time(names: list[str], setup: Setup) -> Table:
    rows = []
    for name in names:
        times: list[list[float]] = [[], []]
        for _ in range(min(setup.rounds, 5)):
            for own in (0, 1):
                plain = _map(name)
                routine = with_own_functions(plain, "float64") if own else plain
                with common.stopwatch() as seconds:
                    text = emit_llvm(routine, own=False)
                    llvm_build._load(
                        llvm_build._compile(text, shape_of(routine)), text, "kernel"
                    )  # not the cache
                times[own].append(seconds[0])
        rows.append((name, *(common.number(min(t) * 1e3) for t in times)))
    return Table("Compile time of a loop", ("", "libm ms", "own ms"), tuple(rows), note="LLVM, float64.")


if __name__ == "__main__":
    common.main(run)
