"""Contenders that run as machine code without Python in between: symgrad's routines, and C text."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import common
import numpy as np

from symgrad.grad.sparsity import Storage
from symgrad.loops.nest import Buffer, evaluate_poly
from symgrad.loops.split import split
from symgrad.pipeline import optimise, routine_of
from symgrad.program import Program
from symgrad.run.addresses import CACHE_LINE, to_line
from symgrad.run.packing import packing_of
from symgrad.targets.abreast import batch_elements
from symgrad.targets.base import target_named, workspace_elements

Arrays = Sequence[np.ndarray]
_NUMBERS = count(1)  # a name of its own for every routine: the C cache must not know it
STRICT = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
FAST = ("-O3", "-march=native", "-ffast-math", "-fopenmp-simd", "-mprefer-vector-width=512")


class Addresses:
    """The addresses of some arrays, and others, as C's `void *const *`, and the arrays kept alive."""

    def __init__(self, arrays: Arrays, *others: int) -> None:
        self.arrays = list(arrays)
        addresses = [*(a.ctypes.data for a in self.arrays), *others]
        self.pointers = (ctypes.c_void_p * max(len(addresses), 1))(*addresses)

    @property
    def start(self) -> int:
        return ctypes.addressof(self.pointers)


# ---- symgrad -----------------------------------------------------------------------------------


def backends() -> tuple[str, ...]:
    """The compiled backends that work on this machine."""
    return ("llvm", "c") if compiler() else ("llvm",)


class SymgradCode:
    """The machine code of a program, with the buffers of one call.

    inputs   one array per argument, in order; with a leading axis of `samples` where samples > 1.
    sizes    the values of the size symbols, by name.
    storage  of matrices among the words; their places are inputs, after the arguments.
    """

    def __init__(
        self, program: Callable[[], Program], words: tuple[str, ...], backend: str, inputs: Arrays,
        sizes: Mapping[str, int] | None = None, samples: int = 1, storage: Storage | None = None,
    ) -> None:  # fmt: skip
        with common.stopwatch() as seconds:
            derived = program().derived(words, storage)
            name, packs = f"bench{next(_NUMBERS)}", samples == 1
            routine = split(routine_of(optimise(derived.unit), name, derived.words, packs=packs))
            one = target_named(backend).build(routine)
            many = target_named(backend).build_batch(routine) if samples > 1 else None
        self.loaded = many or one
        self.keepalive = one
        self.build = seconds[0]
        self.backend, self.routine = backend, routine
        symbols = dict(sizes or {})
        named = {n: symbols[s] for n, s in zip(routine.sizes, routine.size_symbols, strict=True)}
        packing = packing_of(routine)
        inputs = inputs if packing is None else packing.inputs([np.asarray(x) for x in inputs], ())
        kinds = [np.int64 if b.dtype == "int" else np.float64 for b in routine.buffers_of("input")]
        self.inputs = [np.ascontiguousarray(x, dtype=kind) for x, kind in zip(inputs, kinds, strict=True)]
        lead = (samples,) if samples > 1 else ()
        self.outputs = [np.zeros(lead + _shape(b, named)) for b in routine.buffers_of("output")]
        length = batch_elements(routine, "float64") if many else workspace_elements(routine, named)
        work = np.empty(length + CACHE_LINE)
        work = work[to_line(work.ctypes.data) // work.itemsize :]  # as calls from Python do it
        self.buffers = Addresses([*self.inputs, *self.outputs, work], one.address)
        every = [*self.inputs, *self.outputs]
        # A step of zero makes every "sample" the same one: a loop of evaluations in machine code.
        steps = [a.size // samples if samples > 1 else 0 for a in every]
        self.meta = np.array([samples, *named.values(), *steps], dtype=np.int64)
        self.samples = samples

    def run(self, times: int) -> None:
        """Evaluate `times` times; a batch is one evaluation."""
        if self.samples > 1:
            for _ in range(times):
                self.loaded.call(self.buffers.start, self.meta.ctypes.data)
            return
        self.meta[0] = times
        self.loaded.call(self.buffers.start, self.meta.ctypes.data)

    def results(self) -> list[np.ndarray]:
        self.run(1)
        return [x.copy() for x in self.outputs]

    def contender(self, way: str = "kernel") -> common.Contender:
        return common.Contender(f"symgrad {self.backend}", way, self.run, self.results, self.build)


def _shape(buffer: Buffer, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(max(evaluate_poly(e, sizes), 0) for e in buffer.extents)


# ---- C -----------------------------------------------------------------------------------------

_LOOP = """
void bench_repeat(long times, double **b)
{
    for (long time = 0; time < times; time++) {
        bench(b);
        __asm__ volatile("" ::: "memory"); /* each evaluation has to happen */
    }
}
"""


def compiler() -> str | None:
    """The C compiler's command, or None."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


class CCode:
    """C text that defines `void bench(double **b)`, compiled, with the arrays it works on.

    language  "c", or "c++" for text that declares it `extern "C"`.
    """

    def __init__(self, source: str, flags: Sequence[str], arrays: Arrays, language: str = "c") -> None:
        command, standard = (str(compiler()), "gnu11") if language == "c" else ("g++", "gnu++17")
        loop = _LOOP if language == "c" else f'extern "C" {{\n{_LOOP}\n}}'
        with tempfile.TemporaryDirectory() as folder:
            ends = ("c" if language == "c" else "cpp", "o", "so")
            text, part, library = (Path(folder) / f"bench.{end}" for end in ends)
            text.write_text(source + loop)
            # In two steps: linking with -ffast-math makes a whole process flush subnormal numbers to zero.
            compiling = [f"-std={standard}", *flags, "-fPIC", "-c", str(text), "-o", str(part)]
            linking = ["-shared", str(part), "-o", str(library), "-lm"]
            with common.stopwatch() as seconds:
                for arguments in (compiling, linking):
                    subprocess.run([command, *arguments], check=True)
                loaded = ctypes.CDLL(str(library))
        self.build = seconds[0]
        self.function: Any = loaded.bench_repeat
        self.function.argtypes, self.function.restype = (ctypes.c_long, ctypes.c_void_p), None
        self.buffers = Addresses(arrays)

    def run(self, times: int) -> None:
        self.function(times, self.buffers.start)


def handwritten(
    source: str, inputs: Arrays, outputs: Arrays, results: Callable[[], Arrays] | None = None,
    name: str = "C by hand",
) -> list[common.Contender]:  # fmt: skip
    """The same text compiled strictly and with every liberty; none without a compiler.

    results  turns the output arrays into what the other contenders return; default: the arrays as they are.
    """
    if compiler() is None:
        return []
    contenders = []
    for kind, flags in (("strict", STRICT), ("fast-math", FAST)):
        code = CCode(source, flags, [*inputs, *outputs])

        def read(code: CCode = code) -> Arrays:
            code.run(1)
            return results() if results else [x.copy() for x in outputs]

        contenders.append(common.Contender(f"{name}, {kind}", "kernel", code.run, read, code.build))
    return contenders
