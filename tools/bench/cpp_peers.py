"""Contenders that write C++: SymForce and wrenfold, differentiated, printed and compiled by their own means.

SymForce's text needs Eigen's headers, wrenfold's its own `span.h`, where g++ looks for headers (`CPATH` says
where else); a package whose headers are not found does not take part.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from common import Contender, Setup, stopwatch
from machine_code import FAST, STRICT, CCode
from peers import Shapes, split

Build = Callable[[Any, Sequence[Any]], Sequence[Any]]  # the package's functions, its symbols -> all outputs
HEADERS = Path(sys.prefix) / "include" / "site" / f"python{sys.version_info[0]}.{sys.version_info[1]}"


def cpp_contenders(setup: Setup, build: Build, point: np.ndarray, shapes: Shapes) -> list[Contender]:
    """Strict and fast-math code of each package that is installed, from one expression of scalars.

    build  of the package's module of functions (`sin`, `tanh`, ...) and its symbols: all outputs, flat.
    """
    found: list[Contender] = []
    packages = {"symforce": ("SymForce", _symforce, "Eigen/Core"),
                "wrenfold": ("wrenfold", _wrenfold, "wrenfold/span.h")}  # fmt: skip
    for package, (name, write, header) in packages.items():
        if setup.peer(package) is None or not _has_header(header):
            continue
        with stopwatch() as seconds:
            text = write(build, len(point), sum(int(np.prod(s)) for s in shapes))
        found += [_contender(f"{name} C++, {kind}", text, flags, point, shapes, seconds[0])
                  for kind, flags in (("strict", STRICT), ("fast-math", FAST))]  # fmt: skip
    return found


def _has_header(header: str) -> bool:
    command = ["g++", f"-I{HEADERS}", "-x", "c++", "-fsyntax-only", "-"]
    try:
        done = subprocess.run(command, input=f"#include <{header}>\n", text=True, capture_output=True)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def _contender(
    name: str, text: str, flags: Sequence[str], point: np.ndarray, shapes: Shapes, seconds: float
) -> Contender:
    place = np.zeros(sum(int(np.prod(s)) for s in shapes))
    code = CCode(text, (*flags, f"-I{HEADERS}"), [np.ascontiguousarray(point, dtype=float), place], "c++")

    def results() -> list[np.ndarray]:
        code.run(1)
        return split(place.copy(), shapes)

    return Contender(name, "kernel", code.run, results, seconds + code.build)


_SPAN = ("wf::make_span(b[{place}], wf::constant_value_pack<{count}, 1>{{}}, "
         "wf::constant_value_pack<1, {count}>{{}})")  # fmt: skip


def _wrenfold(build: Build, inputs: int, outputs: int) -> str:
    from wrenfold import code_generation, sym, type_annotations

    def kernel(x):  # type: ignore[no-untyped-def]  # its annotation is made below
        made = build(sym, [x[k] for k in range(inputs)])
        return [code_generation.OutputArg(sym.matrix([[y] for y in made]), name="out")]

    kernel.__annotations__["x"] = Annotated[sym.MatrixExpr, type_annotations.Shape(rows=inputs, cols=1)]
    text = code_generation.generate_function(kernel, code_generation.CppGenerator())
    parts = [_SPAN.format(count=count, place=k) for k, count in enumerate((inputs, outputs))]
    head = f"#include <cmath>\n#include <wrenfold/span.h>\n{text}\n"
    return f'{head}extern "C" void bench(double **b) {{ kernel<double>({", ".join(parts)}); }}\n'


def _symforce(build: Build, inputs: int, outputs: int) -> str:
    import symforce

    symforce.set_epsilon_to_number()
    import symforce.symbolic as sf
    from symforce import codegen
    from symforce.values import Values

    x = sf.Matrix([sf.Symbol(f"x{k}") for k in range(inputs)])
    made = sf.Matrix(list(build(sf, list(x))))
    with tempfile.TemporaryDirectory() as folder:
        writer = codegen.Codegen(
            inputs=Values(x=x), outputs=Values(out=made), config=codegen.CppConfig(), name="kernel"
        )
        (path,) = writer.generate_function(output_dir=folder, skip_directory_nesting=True).generated_files
        text = Path(path).read_text().replace("#pragma once", "")
    types = [f"Eigen::Matrix<double, {count}, 1>" for count in (inputs, outputs)]
    call = f"sym::Kernel<double>(*(const {types[0]} *)b[0], ({types[1]} *)b[1])"
    return f'{text}\nextern "C" void bench(double **b) {{ {call}; }}\n'
