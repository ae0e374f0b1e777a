"""An emitted C file as a kernel: the file as it lies there is compiled, and called like any other kernel.

Nothing of the file is trusted: the parameters in its text and the names, ranks and extents that its functions
report have to be those of the program, or the file is refused.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from symgrad.errors import BadArgument, BadOption, IllegalProgram, quoted
from symgrad.grad.outputs import ERROR_WORDS, OUTPUT_WORDS
from symgrad.loops.nest import Routine, evaluate_poly
from symgrad.program import Program
from symgrad.records import dataclass
from symgrad.run.interface import signature_of
from symgrad.run.kernel import Built, Kernel, Spec, call_compiled
from symgrad.run.signature import Sizes
from symgrad.targets.base import parameters
from symgrad.targets.c_build import load, shared_library

_FLAGS = ("-std=c99", "-O2", "-fPIC", "-shared")
_PROBES = (3, 2, 5, 4, 7)  # sizes at which extents are compared
_METADATA = ("work_size", "argument_rank", "argument_extent", "argument_name")


def emitted_kernel(source: Program, path: str | Path, words: Sequence[str], dtype: str) -> Kernel:
    """The C file at `path`, written by `export_c` for this program, as a kernel.

    words  its outputs; dtype: of its real numbers.
    Raises BadArgument for a file that is not there, does not compile, or computes something else, and
    MissingCompiler.
    """
    from symgrad.pipeline import optimise, routine_of  # the pipeline itself imports this folder

    file = _read(Path(path))
    derived = source.derived(tuple(words))
    unit = optimise(derived.unit)
    routine = routine_of(unit, file.name, derived.words)
    signature = replace(signature_of(derived, single=False), passed=routine.size_symbols)
    _check_prototype(file, routine, dtype)
    build = partial(_build, file, routine)
    kernel = Kernel(Spec(signature, None, "c", dtype, build, (derived.unit, unit), failures=routine.failures))
    kernel.program = source
    return kernel


def words_in_file(path: str | Path) -> tuple[str, ...]:
    """The output words in the first comment of an emitted file; BadOption where there are none."""
    found = re.search(r"\A/\*\s*\n \* ([a-z_, ]+)\n", _read(Path(path)).text)
    words = tuple(found.group(1).split(", ")) if found else ()
    if not words or not set(words) <= {*OUTPUT_WORDS, *ERROR_WORDS}:
        raise BadOption(
            f"{quoted(str(path))} does not say what it computes",
            because="its first comment names no outputs",
            try_='outputs=("value", "grad")',
        )
    return words


# ---- the text ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CText:
    """A C file, its header included; the name of its function, and the types of that one's parameters."""

    path: str
    name: str
    text: str
    types: tuple[str, ...]


def _read(path: Path) -> CText:
    if path.suffix != ".c" or not path.is_file():
        raise BadArgument(
            f"there is no C file {quoted(str(path))}",
            because="it is a folder" if path.is_dir() else "no file of that name, ending in .c, is there",
            try_='export_c(program, "softmax", directory="out"), then against="out/softmax.c"',
        )
    name, text = path.stem, path.read_text(errors="replace")
    header = path.with_suffix(".h")
    if header.is_file():
        text = text.replace(f'#include "{name}.h"\n', header.read_text(errors="replace"), 1)
    found = re.search(rf"^void {re.escape(name)}\(([^)]*)\)\s*\{{", text, re.MULTILINE)
    if found is None or not name.isidentifier():
        raise BadArgument(
            f"{quoted(str(path))} has no function {quoted(name)}",
            because="the function has the name of the file",
            try_="the file that export_c wrote, under its own name",
        )
    types = tuple(_type_of(parameter) for parameter in found.group(1).split(","))
    return CText(str(path), name, text, () if types == ("void",) else types)


def _type_of(parameter: str) -> str:
    """`const double *`, `double *`, `int64_t`: a parameter without its name and qualifiers."""
    words = parameter.replace("*", " * ").replace("restrict", " ").split()
    return " ".join(words if words == ["void"] else words[:-1])


def _expected_types(routine: Routine, dtype: str) -> list[str]:
    real = {"float64": "double", "float32": "float"}[dtype]
    types = []
    for buffer in parameters(routine):
        kind = "int64_t" if buffer.dtype == "int" else real
        types.append(f"const {kind} *" if buffer.role == "input" else f"{kind} *")
    return types


def _check_prototype(file: CText, routine: Routine, dtype: str) -> None:
    """The same arrays and sizes; a workspace may be there or not."""
    expected, sizes = _expected_types(routine, dtype), ["int64_t"] * len(routine.sizes)
    types = list(file.types)
    work = types[len(expected) : len(types) - len(sizes)]
    if types != [*expected, *work, *sizes] or len(work) > 1:
        raise BadArgument(
            f"the parameters of {quoted(file.name)} are not those of the program",
            where=file.path,
            because=f"the file has ({', '.join(types)}), the program ({', '.join([*expected, *sizes])})",
            try_="the program, outputs and dtype that the file was exported with",
        )


# ---- the machine code --------------------------------------------------------------------------


def _build(file: CText, routine: Routine, spec: Spec) -> Built:
    text = file.text + _call_function(file, routine)
    try:
        with shared_library(text, _FLAGS) as path:
            loaded, library = load(path, file.text, file.name), ctypes.CDLL(str(path))
    except IllegalProgram as error:
        raise BadArgument(
            f"{quoted(file.path)} does not compile", where=error.where, because=error.because
        ) from None
    for function in _METADATA:
        if not hasattr(library, f"{file.name}_{function}"):
            raise BadArgument(
                f"{quoted(file.path)} has no function {quoted(f'{file.name}_{function}')}",
                because="it tells the arrays' names and shapes",
                try_="keep the functions that export_c writes after the first one",
            )
    _check_metadata(file, routine, library)

    def workspace(sizes: Sizes) -> int:
        return _integer(library, f"{file.name}_work_size", *(sizes[s] for s in routine.size_symbols))

    run = call_compiled(loaded.call, np.dtype(spec.dtype))
    return Built(run, lambda: file.text, loaded.address, workspace, (loaded, library))


def _call_function(file: CText, routine: Routine) -> str:
    """`NAME_call` as `targets.base` describes it."""
    count, sizes = len(parameters(routine)), len(routine.sizes)
    arguments = [
        f"({kind})buffers[{k}] + s*meta[{1 + sizes + k}]" for k, kind in enumerate(file.types[:count])
    ]
    arguments += [f"({kind})buffers[{count}]" for kind in file.types[count : len(file.types) - sizes]]
    arguments += [f"meta[{1 + k}]" for k in range(sizes)]
    return (
        f"\nvoid {file.name}_call(void *const *buffers, const int64_t *meta)\n{{\n"
        f"    for (int64_t s = 0; s < meta[0]; s++) {{\n"
        f"        {file.name}({', '.join(arguments)});\n    }}\n}}\n"
    )


def _check_metadata(file: CText, routine: Routine, library: ctypes.CDLL) -> None:
    """What the file says of its arrays against the program's: names, ranks, and extents at some sizes."""
    sizes = [_PROBES[k % len(_PROBES)] for k in range(len(routine.sizes))]
    by_name = dict(zip(routine.sizes, sizes, strict=True))
    for k, buffer in enumerate(parameters(routine)):
        wanted = [max(evaluate_poly(extent, by_name), 0) for extent in buffer.extents]
        rank = _integer(library, f"{file.name}_argument_rank", k)
        found = [
            _integer(library, f"{file.name}_argument_extent", k, axis, *sizes) for axis in range(max(rank, 0))
        ]
        name = _name(library, f"{file.name}_argument_name", k)
        expected = buffer.symbol or buffer.name
        if name != expected or found != wanted:
            at = f" for sizes {', '.join(map(str, sizes))}" if sizes else ""
            raise BadArgument(
                f"the arrays of {quoted(file.name)} are not those of the program",
                where=file.path,
                because=f"array {k} is {quoted(name)} of shape {tuple(found)} in the file, and "
                f"{quoted(expected)} of shape {tuple(wanted)} in the program{at}",
                try_="the program and outputs that the file was exported with",
            )


def _integer(library: ctypes.CDLL, function: str, *arguments: int) -> int:
    call = getattr(library, function)
    call.restype, call.argtypes = ctypes.c_int64, [ctypes.c_int64] * len(arguments)
    return int(call(*arguments))


def _name(library: ctypes.CDLL, function: str, k: int) -> str:
    call = getattr(library, function)
    call.restype, call.argtypes = ctypes.c_char_p, [ctypes.c_int64]
    return str((call(k) or b"").decode("utf-8", "surrogatepass"))
