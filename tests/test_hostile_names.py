"""Symbols may be called anything: the code stays correct, nothing is injected, no two names become one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symgrad as sg
from symgrad.errors import BadName, DuplicateNames
from symgrad.ir.names import mangled
from symgrad.targets.c_build import find_compiler
from symgrad.targets.text import LIBRARY_NAMES, RESERVED, check_identifier

BACKENDS = ("llvm", "c", "numpy")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")

KEYWORDS = (
    "int",
    "double",
    "for",
    "restrict",
    "_Bool",
    "class",
    "co_await",
    "typeof",
    "asm",
    "main",
    "char8_t",
)
LIBRARY = ("exp", "printf", "j1", "y0", "gamma", "errno", "expf", "free", "INFINITY", "NAN", "NULL", "I")
MACROS = ("M_PI", "INT64_MAX", "PRId64", "HUGE_VALF", "unix", "stdin", "FLT_MIN", "RAND_MAX", "BUFSIZ")
INNER = ("work", "meta", "buffers", "count", "kernel", "kernel_call", "value", "grad", "v0", "t1", "w1", "g1")
LOOPS = ("i", "j", "i_", "i_1", "k", "extent", "argument", "axis", "size", "n_size")
UNDERSCORES = ("_", "__", "_x", "__x", "_X", "a__b", "a_", "a_1", "_1", "x_")
LAYOUT = ("a b", " ", "", "a\nb", "a\r\nb", "\t", "\x00", "\x0b", "\u2028", "\u202e", "\ufeff", "a" * 3000)
LETTERS = ("λ", "é", "ÿ", "日本", "🙂", "\u017f", "\ud800", "x\u0301", "Ⅳ", "²")
DIGITS = ("1", "1a", "0x10", "1e5", "-", "+", "x-y", "x+y", "a.b", "a->b")
COMMENTS = ("*/", "/*", "//", "a*/ int z; /*", "\\", "a\\", "\\\n", "??/", "??/\n", "#define x", "# 1")
QUOTES = ('"', "'", 'a"b', "%s", "%n", "@x", "%x", "$x", "`x`", "{", "}", "\\x41", "\\0")
INJECTIONS = (
    '"; }',
    "'; }",
    "; }",
    "; } int main() { return 1; }",
    "x; system(0)",
    "!0",
    "), (",
    "\n}\ndefine void @f() {",
)
NASTY = (*KEYWORDS, *LIBRARY, *MACROS, *INNER, *LOOPS, *UNDERSCORES, *LAYOUT, *LETTERS, *DIGITS, *COMMENTS,
         *QUOTES, *INJECTIONS)  # fmt: skip

names = st.one_of(
    st.text(max_size=12),
    st.text(alphabet='a_1" \n\\/*;{}%@?', max_size=8),
    st.sampled_from(NASTY),
    st.tuples(st.sampled_from(NASTY), st.sampled_from(NASTY)).map("".join),
)
LIGHT = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def weighted(symbols: Sequence[Any]) -> Any:
    """A sum in which every symbol has its own weight, so that a mix-up shows."""
    return sp.Add(*(weight * s for weight, s in enumerate(symbols, 1)))


def check_weights(symbols: Sequence[Any], backend: str) -> None:
    k = sg.compile(weighted(symbols), symbols, tuple(symbols), outputs=("value", "grad"), backend=backend)
    arguments = np.linspace(1.0, 2.0, len(symbols))
    value, grad = k(*arguments)
    np.testing.assert_array_equal(grad, np.arange(1.0, len(symbols) + 1))
    assert value == pytest.approx(grad @ arguments, rel=1e-12)
    by_name = {s.name: x for s, x in zip(symbols, arguments, strict=True)}
    assert k(**by_name)[0] == value


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_nasty_names_at_once_are_scalars_of_one_kernel(backend: str) -> None:
    check_weights([sp.Symbol(name) for name in dict.fromkeys(NASTY)], backend)


@settings(LIGHT, max_examples=60)
@given(st.lists(names, min_size=1, max_size=6, unique=True))
def test_any_text_is_a_name_for_llvm_and_the_reference(texts: list[str]) -> None:
    symbols = [sp.Symbol(text) for text in texts]
    check_weights(symbols, "llvm")
    check_weights(symbols, "numpy")


@settings(LIGHT, max_examples=8)
@given(st.lists(names, min_size=5, max_size=25, unique=True))
def test_any_text_is_a_name_for_c(texts: list[str]) -> None:
    check_weights([sp.Symbol(text) for text in texts], "c")


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_sizes_and_indices_may_have_nasty_names(backend: str) -> None:
    nasty = list(dict.fromkeys(NASTY))
    for start in range(0, len(nasty), 20):
        check_arrays(nasty[start : start + 20], backend)


def check_arrays(texts: Sequence[str], backend: str) -> None:
    """Each text is the name of a size and of the index over it; part of an array's name."""
    terms, arrays, numbers = [], [], []
    for position, text in enumerate(texts):
        size, index = sp.Symbol(text, integer=True, positive=True), sp.Symbol(text, integer=True)
        array = sp.IndexedBase(sp.Symbol("array of " + text), shape=(size, 2))
        terms.append((position + 1) * sp.Sum(array[index, 0] * array[index, 1], (index, 0, size - 1)))
        arrays.append(array)
        numbers.append(np.full((position + 1, 2), 2.0))
    k = sg.compile(sp.Add(*terms), arrays, outputs="value", backend=backend)
    assert k(*numbers) == sum(4.0 * (p + 1) ** 2 for p in range(len(texts)))


def test_names_that_become_one_word_stay_two_arguments() -> None:
    groups = (["a?", "a!", "a_", "a__", "a_1", "a 1"], ["i", "i_", "i?", "i_1"], ["λ", "β", "x_", "x"],
              ["x" * 50, "x" * 60], ["int", "int_1", "int?"], ["M_PI", "M_PI_x", "M-PI"])  # fmt: skip
    for texts in groups:
        for backend in BACKENDS:
            check_weights([sp.Symbol(text) for text in texts], backend)


@settings(LIGHT, max_examples=300)
@given(st.lists(st.one_of(names, st.sampled_from(sorted(RESERVED | LIBRARY_NAMES))), max_size=30))
def test_mangled_names_are_distinct_identifiers_that_c_has_no_use_for(texts: list[str]) -> None:
    made = mangled(texts)
    assert len(made) == len(texts) == len(set(made))
    for name in made:
        assert check_identifier(name) == name
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
    assert mangled(texts) == made


def test_plain_names_stay_as_they_are() -> None:
    plain = ["x", "W1", "b_1", "learning_rate", "X", "n", "d", "W_1", "theta", "Loss"]
    assert mangled(plain) == plain


@pytest.mark.parametrize("standard", ["c99", "gnu17"])
def test_no_mangled_name_is_a_macro_of_a_header(standard: str) -> None:
    headers = ("math", "stdint", "inttypes", "stdio", "stdlib")
    text = "".join(f"#include <{header}.h>\n" for header in headers)
    command = [*find_compiler()[0], f"-std={standard}", "-dM", "-E", "-xc", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    macros = re.findall(r"#define ([A-Za-z_]\w*)(?!\()\b(?!\()", done.stdout)
    assert "INT64_MAX" in macros and "EOF" in macros
    assert set(mangled(macros)) & set(macros) == set()


def strict_build(directory: Path, name: str) -> subprocess.CompletedProcess[str]:
    compiler = find_compiler()[0]
    sources = [str(directory / f"{name}.c"), str(directory / f"{name}_main.c")]
    command = [*compiler, *STRICT, *sources, "-o", str(directory / "program"), "-lm"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_exported_c_with_nasty_names_compiles_without_a_warning_and_runs(tmp_path: Path, dtype: str) -> None:
    symbols = [sp.Symbol(name) for name in dict.fromkeys(NASTY)]
    sg.export_c(weighted(symbols), "nasty", tmp_path, args=symbols, wrt=tuple(symbols), dtype=dtype)
    done = strict_build(tmp_path, "nasty")
    assert (done.returncode, done.stderr) == (0, "")
    subprocess.run([tmp_path / "program"], check=True, capture_output=True)
    for path in tmp_path.glob("*.[ch]"):
        assert path.read_bytes().isascii()


@settings(LIGHT, max_examples=5)
@given(st.lists(names, min_size=10, max_size=30, unique=True))
def test_exported_c_with_any_names_compiles_without_a_warning(
    tmp_path_factory: Any, texts: list[str]
) -> None:
    symbols = [sp.Symbol(text) for text in texts]
    directory = tmp_path_factory.mktemp("export")
    sg.export_c(weighted(symbols), "any_names", directory, args=symbols, wrt=tuple(symbols))
    done = strict_build(directory, "any_names")
    assert (done.returncode, done.stderr) == (0, "")


def test_exported_arrays_and_sizes_with_nasty_names_compile_without_a_warning(tmp_path: Path) -> None:
    terms, arrays = [], []
    for text in dict.fromkeys(NASTY):
        size, index = sp.Symbol(text, integer=True, positive=True), sp.Symbol(text, integer=True)
        array = sp.IndexedBase(sp.Symbol("array of " + text), shape=(size,))
        terms.append(sp.Sum(array[index] ** 2, (index, 0, size - 1)))
        arrays.append(array)
    sg.export_c(sp.Add(*terms), "arrays", tmp_path, args=arrays, wrt=tuple(arrays))
    done = strict_build(tmp_path, "arrays")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["exp", "main", "int", "a b", "", "1", "memcpy", '"; }', "__x", "_X", "é"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_compiled_function_cannot_have_a_name_that_c_cannot_give_it(name: str, backend: str) -> None:
    with pytest.raises(BadName):
        sg.compile(sp.exp(sp.Symbol("x")), backend=backend, name=name)


def test_two_symbols_of_one_name_are_refused_whatever_the_name() -> None:
    for text in ("x", '"; }', "λ", ""):
        with pytest.raises(DuplicateNames):
            sg.compile(sp.Symbol(text) + 2 * sp.Symbol(text, positive=True))


def test_messages_show_nasty_names_on_one_line() -> None:
    for text in ("a\nb", "\x1b[31m", "\u2028"):
        symbol = sp.Symbol(text)
        with pytest.raises(DuplicateNames) as caught:
            sg.compile(symbol + 2 * sp.Symbol(text, positive=True))
        assert len(str(caught.value).splitlines()) == 4
        assert "\x1b" not in str(caught.value)
        with pytest.raises(TypeError) as missing:
            sg.compile(symbol)()
        assert len(str(missing.value).splitlines()) == 4
        assert "\x1b" not in str(missing.value)
