"""Exported C: compiles alone with every warning an error, runs, and says the same as the library."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import routines
from routines import DTYPES, I, M, N, call, loop, routine
from tolerances import assert_close

from symgrad.errors import BadName, BadOption
from symgrad.loops.nest import Buffer, Const, For, Load, Routine, Store, poly
from symgrad.targets.c_build import find_compiler
from symgrad.targets.export import export_c

HOSTILE = ("*/ int evil; /*", "a\nb", "line\\", "??/", "é\u2028ξ", "*", "/", '"%s"', "x\x00y", "//")


def make_and_run(directory: Path) -> dict[str, list[float]]:
    """What `make test` prints, by name; on a machine without make, its commands are run one by one."""
    compiler = shlex.join(find_compiler()[0])
    by_hand = commands_of((directory / "Makefile").read_text(encoding="ascii"), compiler)
    for command in [["make", "-s", f"CC={compiler}", "test"]] if shutil.which("make") else by_hand:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    printed: dict[str, list[float]] = {}
    for line in done.stdout.splitlines():
        name, value = re.fullmatch(r"(.*)\[\d+\] = (.*)", line).groups()
        printed.setdefault(name, []).append(float(value))
    return printed


def commands_of(makefile: str, compiler: str) -> list[list[str]]:
    """The commands of `make test`: those of the makefile in its order, without the ones that clean up."""
    values = dict(re.findall(r"^(\w+) \?= (.*)$", makefile, flags=re.MULTILINE)) | {"CC": compiler}
    lines = re.findall(r"^\t(?!rm )(.*)$", makefile, flags=re.MULTILINE)
    return [shlex.split(re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], line)) for line in lines]


def inputs_of_main(kernel: Routine, dtype: str) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """The sizes and inputs that an exported main uses."""
    sizes = {size: 3 + k for k, size in enumerate(kernel.sizes)}
    arrays = {}
    for k, b in enumerate(kernel.buffers_of("input")):
        shape = tuple(sum(c * int(np.prod([sizes[n] for n in ns])) for ns, c in e) for e in b.extents)
        count = int(np.prod(shape, dtype=np.int64))
        numbers = ((7 * np.arange(count) + 3 * k) % 11 + 1).astype(dtype) / np.dtype(dtype).type(12)
        arrays[b.name] = (np.zeros(count, np.int64) if b.dtype == "int" else numbers).reshape(shape)
    return sizes, arrays


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "make", [routines.matrix_vector, routines.gather, routines.triangle, routines.guarded]
)
def test_an_export_builds_without_warnings_and_prints_what_the_library_computes(
    tmp_path: Path, make, dtype: str
) -> None:
    kernel = make()
    export_c(kernel, "demo", tmp_path, dtype)
    printed = make_and_run(tmp_path)
    sizes, inputs = inputs_of_main(kernel, dtype)
    for name, wanted in call("llvm", kernel, sizes, inputs, dtype).items():
        assert_close(np.array(printed[name], dtype), wanted.reshape(-1))


def test_an_export_of_6000_ops_in_parts_builds_and_runs(tmp_path: Path) -> None:
    kernel = routines.chain(6_000)
    export_c(kernel, "long_line", tmp_path)
    assert "long_line_part2" in (tmp_path / "long_line.c").read_text()
    sizes, inputs = inputs_of_main(kernel, "float64")
    wanted = call("llvm", kernel, sizes, inputs)
    printed = make_and_run(tmp_path)
    assert_close(np.array(printed["y"]), wanted["y"])
    assert_close(np.array(printed["z"]), wanted["z"])


def hostile_routine() -> Routine:
    """Names that would break a comment, a string or a line, everywhere a user's text appears."""
    buffers = [Buffer(f"x{k}", "input", (N,), symbol=text) for k, text in enumerate(HOSTILE)]
    body = [
        For("i", ((),), (N,), [Load(1, "x0", (I,)), Store("y", (I,), 1)], comment=text) for text in HOSTILE
    ]
    kernel = routine([*buffers, Buffer("y", "output", (N,), symbol=HOSTILE[0])], body, ("n", "m"))
    return replace(kernel, title=HOSTILE[0], notes=HOSTILE, size_symbols=HOSTILE[:2])


def test_hostile_symbols_stay_inside_comments_and_strings(tmp_path: Path) -> None:
    paths = export_c(hostile_routine(), "demo", tmp_path, metadata={HOSTILE[0]: HOSTILE[1]})
    for path in paths:
        text = path.read_bytes()
        assert text.isascii() and b"\0" not in text and b"\r" not in text
        if path.suffix in (".c", ".h"):
            code = re.sub(rb"/\*.*?\*/", b"", text, flags=re.DOTALL)
            assert b"evil" not in re.sub(rb'"(\\.|[^"\\])*"', b"", code)
            assert b"??" not in text
    printed = make_and_run(tmp_path)
    assert printed[HOSTILE[0]] == [(7 * i % 11 + 1) / 12 for i in range(3)]


@pytest.mark.parametrize(
    "name", ["int", "class", "1st", "a-b", "", "exp", "expf", "malloc", "main", "__f", "a b"]
)
def test_a_name_that_c_or_its_library_uses_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadName):
        export_c(routines.matrix_vector(), name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_exported_library_name_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(BadName) as caught:
        export_c(routines.matrix_vector(), "exp", tmp_path)
    assert str(caught.value) == (
        "'exp' cannot be the name of an exported function\n"
        "  because  the C library has a function of that name\n"
        "  try      my_exp"
    )


def test_exports_are_the_same_to_the_byte(tmp_path: Path) -> None:
    for make in (routines.gather, hostile_routine, lambda: routines.chain(6_000)):
        first = export_c(make(), "demo", tmp_path / "a")
        second = export_c(make(), "demo", tmp_path / "b")
        assert [p.name for p in first] == ["demo.c", "demo.h", "demo_main.c", "Makefile"]
        assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_the_header_documents_every_argument(tmp_path: Path) -> None:
    kernel = routines.matrix_vector()
    export_c(replace(kernel, notes=("contract: none",)), "product", tmp_path, metadata={"program": "abc"})
    text = (tmp_path / "product.h").read_text()
    assert (
        text[: text.index("#ifndef")]
        == """\
/*
 * y = X w
 *
 * X     in    double   shape (n, m)
 * w     in    double   shape (m,)
 * y     out   double   shape (n,)
 * s     out   double   one number
 * work  work  double   product_work_size(n, m) elements, contents lost
 * n     size  int64_t
 * m     size  int64_t
 *
 * Arrays are row-major and must not overlap, except that inputs may. Nothing is allocated,
 * nothing global is touched: any number of threads may call this at the same time.
 *
 * contract: none
 * program: abc
 */

"""
    )


def test_sizes_and_arrays_named_like_variables_of_the_metadata_do_not_clash(tmp_path: Path) -> None:
    extents = tuple(((((s,), 1),)) for s in ("argument", "axis", "extent"))
    kernel = routine(
        [Buffer("values", "input", extents), Buffer("count", "output", ()), Buffer("a0", "work", extents)],
        [Load(1, "values", (poly(0), poly(0), poly(0))), Store("a0", (poly(0), poly(0), poly(0)), 1),
         Load(2, "a0", (poly(0), poly(0), poly(0))), Store("count", (), 2)],
        ("argument", "axis", "extent"),
    )  # fmt: skip
    export_c(kernel, "n0", tmp_path)
    assert make_and_run(tmp_path)["count"] == [1 / 12]


def test_a_function_without_arguments_or_outputs_still_builds(tmp_path: Path) -> None:
    export_c(routine([], [], ()), "nothing", tmp_path / "0")
    assert make_and_run(tmp_path / "0") == {}
    only = routine([Buffer("y", "output", ())], [Const(1, ("f", "-inf")), Store("y", (), 1)], ())
    export_c(only, "constant", tmp_path / "1")
    assert make_and_run(tmp_path / "1") == {"y": [-np.inf]}
    empty = routine([Buffer("x", "input", (M,)), Buffer("y", "output", (N,))], [loop("i", N, [])])
    export_c(empty, "unread", tmp_path / "2")
    assert len(make_and_run(tmp_path / "2")["y"]) == 3


def test_a_makefile_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n\techo mine\n")
    with pytest.raises(BadOption, match="is there already"):
        export_c(routines.gather(), "demo", tmp_path)
    assert (tmp_path / "Makefile").read_text() == "all:\n\techo mine\n"
