"""A routine as a small C project: source, header, Makefile, a main that runs it once; or one file of CUDA.

Everything is plain C99 and depends on nothing but libm, and on CBLAS if asked to. What a user calls their
symbols appears in comments and in one function's strings only, escaped (see `text.comment_text`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from symgrad.errors import BadName, BadOption, quoted
from symgrad.loops.nest import Buffer, Contract, Routine
from symgrad.loops.split import split
from symgrad.loops.walk import walk
from symgrad.targets.base import check_dtype, parameters
from symgrad.targets.c import CFile
from symgrad.targets.cuda import emit_cuda
from symgrad.targets.export_main import main_text
from symgrad.targets.text import (
    LIBRARY_NAMES,
    check_identifier,
    comment_text,
    polynomial,
    shape_text,
    wrapped,
)

# Functions of the standard library a program is likely to link; one of ours must not replace them.
_WORDS_OF_LIBC = (
    "abort abs atexit atof atoi bsearch calloc clock close div exit fclose fflush fopen fputs fread free"
    " frexp fwrite getc getenv gets labs ldexp malloc memcmp memcpy memmove memset modf open perror putc"
    " putchar puts qsort raise rand read realloc remove rename scanf signal sprintf srand strcat strcmp"
    " strcpy strlen strtod system time tolower toupper write"
)
_LINKED = frozenset(_WORDS_OF_LIBC.split())
_AXES = 64  # NumPy's limit


def export_c(
    routine: Routine,
    name: str,
    directory: str | Path,
    dtype: str = "float64",
    metadata: Mapping[str, str] | None = None,
    own_functions: bool = False,
    cblas: bool = False,
) -> list[Path]:
    """Write NAME.c, NAME.h, NAME_main.c and a Makefile into `directory`, creating it.

    name      of the C function; BadName if C or C++ has another use for it.
    dtype     "float64" (double) or "float32" (float).
    metadata  lines for the header comment, as `key: value`.
    own_functions  print our own exp, log, tanh, ... (`vector_math.py`) where loops then vectorise,
              given a processor with fused multiply-add; otherwise libm's are called.
    cblas     large matrix products are handed to CBLAS.
    Returns the paths written. The same arguments give the same bytes.
    """
    check_dtype(dtype)
    routine = split(_named(routine, name, metadata))
    file = CFile(routine, dtype, standalone=True, include=f"{name}.h", own=own_functions)
    file.cblas = cblas and any(isinstance(s, Contract) for _, s in walk(routine.body, into_parts=True))
    libraries = "-lcblas -lm" if file.cblas else "-lm"
    texts = {
        f"{name}.c": _source(file),
        f"{name}.h": _header(file),
        f"{name}_main.c": main_text(file),
        "Makefile": _MAKEFILE.replace("NAME", name).replace("LIBRARIES", libraries),
    }
    _check_makefile(Path(directory) / "Makefile")
    return _written(texts, directory)


def export_cuda(
    routine: Routine,
    name: str,
    directory: str | Path,
    dtype: str = "float64",
    metadata: Mapping[str, str] | None = None,
    own_functions: bool = False,
    shared: Collection[str] = (),
) -> list[Path]:
    """Write NAME.cu into `directory`, creating it; the other parameters as for `export_c` and `emit_cuda`."""
    routine = _named(routine, name, metadata)
    return _written({f"{name}.cu": emit_cuda(routine, dtype, shared, own_functions)}, directory)


def _named(routine: Routine, name: str, metadata: Mapping[str, str] | None) -> Routine:
    """The routine by its exported name; what is to be said of it stands in its notes."""
    check_function_name(name)
    notes = tuple(f"{key}: {value}" for key, value in (metadata or {}).items())
    return replace(routine, name=name, notes=(*routine.notes, *notes))


def _written(texts: Mapping[str, str], directory: str | Path) -> list[Path]:
    """The files of these names, written into a directory that is made if it is not there."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file_name, text in texts.items():
        path = folder / file_name
        path.write_text(text, encoding="ascii", newline="\n")
        paths.append(path)
    return paths


def _check_makefile(path: Path) -> None:
    """Refuse to replace a Makefile that somebody else wrote."""
    if path.exists() and not path.read_text(errors="replace").startswith("# Written by symgrad "):
        raise BadOption(
            f"{quoted(str(path))} is there already, and not from an export",
            because="the export writes a Makefile of its own",
            try_="another directory",
        )


def check_function_name(name: str) -> str:
    """`name`, or BadName if an exported function cannot have it."""
    if name in LIBRARY_NAMES or name in _LINKED:
        raise BadName(
            f"{quoted(name)} cannot be the name of an exported function",
            because="the C library has a function of that name",
            try_=f"my_{name}",
        )
    return check_identifier(name)


# ---- NAME.c ----------------------------------------------------------------------------------------


def _source(file: CFile) -> str:
    names = [_string(b.symbol or b.name) for b in file.parameters]
    ranks = [str(len(b.extents)) for b in file.parameters]
    blocks = [
        _function(file, "work_size", [f"return {file.work_size_text(_size_names(file))};"]),
        _function(file, "argument_count", [f"return {len(file.parameters)};"]),
        _function(file, "argument_name", _switch(names, '""')),
        _function(file, "argument_rank", _switch(ranks, "-1")),
        _function(file, "argument_extent", _extents(file)),
    ]
    # The text comes second: the functions above add to the helpers it prints first.
    text = file.text()
    return text + "".join("\n" + "\n".join(block) + "\n" for block in blocks)


# The metadata functions: result, own parameters, whether the sizes follow.
_METADATA: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "work_size": ("int64_t ", (), True),
    "argument_count": ("int64_t ", (), False),
    "argument_name": ("const char *", ("argument",), False),
    "argument_rank": ("int64_t ", ("argument",), False),
    "argument_extent": ("int64_t ", ("argument", "axis"), True),
}


def _parameter_names(file: CFile, function: str) -> list[str]:
    _, own, with_sizes = _METADATA[function]
    return [*own, *(_size_names(file).values() if with_sizes else ())]


def _size_names(file: CFile) -> dict[str, str]:
    """How the sizes are spelled in metadata functions, beside their other variables."""
    spelled = file.names.spelled
    others = ("argument", "axis", "extent")
    return {s: spelled[s] + ("_size" if spelled[s] in others else "") for s in file.routine.sizes}


def _signature(file: CFile, function: str) -> str:
    typed = [f"int64_t {name}" for name in _parameter_names(file, function)]
    return f"{_METADATA[function][0]}{file.name}_{function}({', '.join(typed) or 'void'})"


def _function(file: CFile, function: str, body: list[str]) -> list[str]:
    text = "\n".join(body)
    unused = [f"(void){name};" for name in _parameter_names(file, function) if not _mentions(text, name)]
    return [*wrapped(_signature(file, function)), "{", *("    " + s for s in (*unused, *body)), "}"]


def _mentions(text: str, name: str) -> bool:
    return name in "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


def _switch(results: Sequence[str], otherwise: str) -> list[str]:
    lines = [f"case {k}: return {result};" for k, result in enumerate(results)]
    return ["switch (argument) {", *lines, f"default: return {otherwise};", "}"]


def _extents(file: CFile) -> list[str]:
    cases = []
    for k, buffer in enumerate(file.parameters):
        for axis, extent in enumerate(buffer.extents):
            value = polynomial(extent, _size_names(file))
            cases.append(f"case {k * _AXES + axis}: extent = {value}; break;")
    switch = [f"switch (argument * {_AXES} + axis) {{", *cases, "default: break;", "}"]
    return ["int64_t extent = 1;", *switch, "return extent > 0 ? extent : 0;"]


def _string(text: str) -> str:
    """A C string literal of the UTF-8 bytes of `text`; octal escapes end where C says they end."""
    out = ""
    for byte in text.encode("utf-8", "surrogatepass"):
        c = chr(byte)
        out += c if " " <= c <= "~" and c not in '"\\?' else f"\\{byte:03o}"
    return f'"{out}"'


# ---- NAME.h ----------------------------------------------------------------------------------------


def _header(file: CFile) -> str:
    guard = f"{file.name.upper()}_H"
    prototype = wrapped(f"void {file.name}({file.parameter_list(restrict=False)});")
    metadata = [
        "/* How many elements `work` needs. */",
        *wrapped(_signature(file, "work_size") + ";"),
        "",
        "/* The arrays, inputs before outputs: how many, and of each its name, rank and extents. */",
        *wrapped(_signature(file, "argument_count") + ";"),
        *wrapped(_signature(file, "argument_name") + ";"),
        *wrapped(_signature(file, "argument_rank") + ";"),
        *wrapped(_signature(file, "argument_extent") + ";"),
    ]
    lines = [
        *_documentation(file),
        f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", "",
        "#ifdef __cplusplus", 'extern "C" {', "#endif", "",
        *prototype, "", *metadata, "",
        "#ifdef __cplusplus", "}", "#endif", "", "#endif",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _documentation(file: CFile) -> list[str]:
    r, spelled = file.routine, file.names.spelled
    rows = [(spelled[b.name], _role(b), _type(file, b), _described(file, b)) for b in parameters(r)]
    if file.work:
        sizes = ", ".join(spelled[s] for s in r.sizes)
        rows.append(
            (file.work_name, "work", file.real, f"{file.name}_work_size({sizes}) elements, contents lost")
        )
    for size, symbol in zip(r.sizes, r.size_symbols, strict=True):
        rows.append(
            (spelled[size], "size", "int64_t", f"for {comment_text(symbol)}" if symbol != size else "")
        )
    widths = [max(len(row[k]) for row in rows) if rows else 0 for k in range(3)]
    lines = ["/*", f" * {comment_text(r.title or file.name)}", " *"]
    for row in rows:
        cells = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
        lines.append(f" * {cells}  {row[3]}".rstrip())
    lines += [
        " *",
        " * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,",
        " * nothing global is touched: any number of threads may call this at the same time.",
    ]
    lines += [" *", *(f" * {comment_text(note)}" for note in r.notes)] if r.notes else []
    return [*lines, " */", ""]


def _role(buffer: Buffer) -> str:
    return {"input": "in", "output": "out"}[buffer.role]


def _type(file: CFile, buffer: Buffer) -> str:
    return "int64_t" if buffer.dtype == "int" else file.real


def _described(file: CFile, buffer: Buffer) -> str:
    what = f"shape {shape_text(buffer, file.names.spelled)}" if buffer.extents else "one number"
    symbol = f", for {comment_text(buffer.symbol)}" if buffer.symbol not in ("", buffer.name) else ""
    return what + symbol


_MAKEFILE = """\
# Written by symgrad for NAME; the next export to this directory replaces it.
CC ?= cc
CFLAGS ?= -std=c99 -Wall -Wextra -Werror -pedantic -O2
LDLIBS ?= LIBRARIES

all: NAME.o NAME_main

NAME.o: NAME.c NAME.h
\t$(CC) $(CFLAGS) -c NAME.c -o NAME.o

NAME_main: NAME_main.c NAME.o NAME.h
\t$(CC) $(CFLAGS) NAME_main.c NAME.o -o NAME_main $(LDLIBS)

test: NAME_main
\t./NAME_main

clean:
\trm -f NAME.o NAME_main

.PHONY: all test clean
"""
