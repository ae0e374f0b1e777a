"""The main of an exported project: small sizes, the same inputs every time, outputs on the screen."""

from __future__ import annotations

from symgrad.targets.c import CFile
from symgrad.targets.text import fresh_prefix

_SMALLEST = 3  # the sizes are 3, 4, 5, ...: different, so that a wrong stride shows


def main_text(file: CFile) -> str:
    """NAME_main.c: allocates, fills the inputs, calls the function once, prints every output."""
    name, real = file.name, file.real
    size = fresh_prefix("n", [name])
    array = fresh_prefix("a", [name])
    sizes = [f"{size}{k}" for k in range(len(file.routine.sizes))]
    elements = "".join(f", {s}" for s in sizes)
    lines = [f"    const int64_t {s} = {_SMALLEST + k};" for k, s in enumerate(sizes)]
    arrays = []
    for k, buffer in enumerate(file.parameters):
        kind = "int64_t" if buffer.dtype == "int" else real
        make = f"{name}_indices" if buffer.dtype == "int" else f"{name}_numbers"
        lines.append(f"    {kind} *{array}{k} = {make}({name}_elements({k}{elements}), {k});")
        arrays.append(f"{array}{k}")
    if file.work:
        k = len(arrays)
        lines.append(f"    {real} *{array}{k} = {name}_numbers({name}_work_size({', '.join(sizes)}), {k});")
        arrays.append(f"{array}{k}")
    if arrays:
        lines += [f"    if ({' || '.join('!' + a for a in arrays)}) {{", "        return 1;", "    }"]
    lines.append(f"    {name}({', '.join([*arrays, *sizes])});")
    for k, buffer in enumerate(file.parameters):
        if buffer.role == "output":
            lines.append(f"    {name}_print({k}, {array}{k}, {name}_elements({k}{elements}));")
    lines += [f"    free({a});" for a in arrays]
    return "\n".join([
        f"/* Calls {name} once on small arrays and prints what comes out. */",
        "",
        "#include <inttypes.h>", "#include <stdio.h>", "#include <stdlib.h>", "",
        f'#include "{name}.h"', "",
        *_helpers(file, sizes),
        "int main(void)", "{", *lines, "    return 0;", "}",
    ]) + "\n"  # fmt: skip


def _helpers(file: CFile, sizes: list[str]) -> list[str]:
    name, real = file.name, file.real
    has_reals = bool(file.work) or any(b.dtype == "real" for b in file.parameters)
    has_indices = any(b.dtype == "int" for b in file.parameters)
    has_outputs = any(b.role == "output" for b in file.parameters)
    typed = "".join(f", int64_t {s}" for s in sizes)
    passed = "".join(f", {s}" for s in sizes)
    lines: list[str] = []
    if file.parameters:
        lines += [
            f"static int64_t {name}_elements(int64_t argument{typed})", "{",
            "    int64_t count = 1;",
            f"    for (int64_t axis = 0; axis < {name}_argument_rank(argument); axis++) {{",
            f"        count *= {name}_argument_extent(argument, axis{passed});",
            "    }", "    return count;", "}", "",
        ]  # fmt: skip
    if has_reals:
        lines += _allocator(name, real, "numbers", f"({real})((7 * i + 3 * seed) % 11 + 1) / 12")
    if has_indices:
        lines += _allocator(name, "int64_t", "indices", "0 * seed")
    if has_outputs:
        lines += [
            f"static void {name}_print(int64_t argument, const {real} *values, int64_t count)", "{",
            "    for (int64_t i = 0; i < count; i++) {",
            '        printf("%s[%" PRId64 "] = %.17g\\n",',
            f"            {name}_argument_name(argument), i, (double)values[i]);",
            "    }", "}", "",
        ]  # fmt: skip
    return lines


def _allocator(name: str, kind: str, what: str, value: str) -> list[str]:
    """A function that allocates and fills an array of `count` elements (one more: never none)."""
    return [
        f"static {kind} *{name}_{what}(int64_t count, int64_t seed)", "{",
        f"    {kind} *values = malloc(((size_t)count + 1) * sizeof *values);",
        "    for (int64_t i = 0; values && i < count; i++) {",
        f"        values[i] = {value};",
        "    }", "    return values;", "}", "",
    ]  # fmt: skip
