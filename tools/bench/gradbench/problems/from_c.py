"""Functions of one number as exported C, called and timed from C.

The suite's C++ tools read the clock around the function itself. Of a single multiplication a clock in Python
would see nothing but the call.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cffi
import sympy as sp

import symgrad as sg
from problems.common import COMPILE, SYMBOLIC, put_down

_FLAGS = ["-O3", "-fvisibility=hidden"]  # hidden: it may be inlined, as the C++ functions are
_TIMER = """
#include <time.h>

static int64_t {name}_timed(double x, double *result)
{{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &end);  /* the tools in C++ have read it before, too */
    clock_gettime(CLOCK_MONOTONIC, &start);
    {name}(&x, result);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - start.tv_sec) * INT64_C(1000000000) + (end.tv_nsec - start.tv_nsec);
}}
"""

Timed = Callable[[float], tuple[float, int]]  # the result at a number, and nanoseconds


def timed_functions(expr: Any, x: sp.Symbol, words: Sequence[str]) -> dict[str, Timed]:
    """For each output word of `expr` by `x`, a number each: the exported C function, a clock around it."""
    start = time.perf_counter_ns()
    with tempfile.TemporaryDirectory() as folder:
        for word in words:
            sg.export_c(expr, f"{word}_of", folder, args=(x,), wrt=x, outputs=word)
        exported = time.perf_counter_ns()
        library = _built(folder, [f"{word}_of" for word in words])
    put_down(SYMBOLIC, exported - start)
    put_down(COMPILE, time.perf_counter_ns() - exported)
    return {word: _timed(library, f"{word}_of") for word in words}


def _built(folder: str, names: Sequence[str]) -> Any:
    """The C files and their timers as one module."""
    builder = cffi.FFI()
    for name in names:
        builder.cdef(f"int64_t {name}_timed(double x, double *result);")
    files = [(Path(folder) / f"{name}.c").read_text() + _TIMER.format(name=name) for name in names]
    builder.set_source("_timed", "\n".join(files), include_dirs=[folder], extra_compile_args=_FLAGS)
    path = builder.compile(tmpdir=folder)
    spec = importlib.util.spec_from_file_location("_timed", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _timed(library: Any, name: str) -> Timed:
    call, result = getattr(library.lib, f"{name}_timed"), library.ffi.new("double *")

    def timed(x: float) -> tuple[float, int]:
        nanoseconds = call(x, result)
        return result[0], nanoseconds

    return timed
