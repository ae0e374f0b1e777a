"""The command line: exit codes, what it prints, and that it refuses bad input with one message."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

import symgrad
from symgrad.cli import main
from symgrad.errors import error_classes, error_page
from symgrad.ir.ops import OPS

MODEL = """
import sympy as sp
import symgrad

x, y = sp.symbols("x y", real=True)
n, d = sp.symbols("n d", integer=True, positive=True)
X, w = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("w", d, 1)

bowl = (x - 2)**2 + 3*(y + 1)**2
three = "3"

def squares():
    return sp.Trace((X*w).T*(X*w))

def program():
    return symgrad.program(bowl, args=(y, x), wrt=(x, y))

def needs(a, b=1):
    return a
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return str(path)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# --- help, why ------------------------------------------------------------------------------------


def test_help_names_every_command_and_succeeds(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("export", "compile", "derive", "verify", "explain", "demo", "why"):
        assert command in out


@pytest.mark.parametrize(
    "arguments", [(), ("fly",), ("derive",), ("derive", "x", "--order", "3"), ("derive", "x", "--fast")]
)
def test_arguments_that_make_no_command_are_bad_input(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: symgrad")


def test_why_prints_the_page_of_an_error_class(capsys):
    assert run(capsys, "why", "ShapeMismatch") == (0, error_page("ShapeMismatch"), "")


def test_why_alone_lists_the_classes(capsys):
    code, out, _ = run(capsys, "why")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(error_classes())


def test_why_of_an_unknown_class_is_bad_input(capsys):
    code, out, err = run(capsys, "why", "Nonsense")
    assert (code, out) == (2, "")
    assert err.startswith(
        "BadOption: there is no error class called 'Nonsense'\n  try      one of SymgradError, "
    )


# --- derive ---------------------------------------------------------------------------------------


def test_derive_prints_the_gradient_of_a_text(capsys):
    code, out, err = run(capsys, "derive", "x**2 + 3*y", "--wrt", "x,y", "--format", "sympy")
    assert (code, err) == (0, "")
    assert "2*x" in out
    assert "3" in out


def test_derive_prints_a_matrix_gradient_for_declared_arrays(capsys):
    code, out, err = run(
        capsys, "derive", "Trace(X.T*X)", "--let", "X = matrix(n, d)", "--wrt", "X", "--format", "sympy"
    )
    assert (code, out.strip(), err) == (0, "2*X", "")


def test_derive_prints_latex(capsys):
    code, out, _ = run(capsys, "derive", "sin(x)", "--wrt", "x", "--format", "latex")
    assert code == 0
    assert r"\cos" in out


def test_derive_to_the_second_order_prints_the_hessian(capsys):
    code, out, _ = run(capsys, "derive", "x**3", "--wrt", "x", "--order", "2", "--format", "sympy")
    assert code == 0
    assert "6*x" in out


# --- what an expression argument may be -----------------------------------------------------------


@pytest.mark.parametrize("name", ["bowl", "program"])
def test_an_expression_a_program_or_a_function_in_a_file_is_taken_by_its_name(capsys, model, name):
    code, out, err = run(capsys, "derive", f"{model}:{name}", "--wrt", "x", "--format", "sympy")
    assert (code, err) == (0, "")
    assert "2*x - 4" in out


def test_a_function_that_returns_an_expression_is_called(capsys, model):
    code, out, err = run(capsys, "derive", f"{model}:squares", "--wrt", "w", "--format", "sympy")
    assert (code, out.strip(), err) == (0, "2*X.T*X*w", "")


def test_the_programs_own_variables_are_kept_when_none_are_named(capsys, model):
    code, out, _ = run(capsys, "derive", f"{model}:program", "--format", "sympy")
    assert code == 0
    assert "2*x - 4" in out
    assert "6*y + 6" in out


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("missing", "BadArgument: '{model}' has no 'missing'\n  because  it has "),
        ("needs", "BadArgument: 'needs' is a function that needs arguments\n  because  a\n"),
        ("three", "BadArgument: 'str' is not an expression\n"),
    ],
)
def test_names_in_a_file_that_are_no_expressions_are_bad_input(capsys, model, name, start):
    code, out, err = run(capsys, "derive", f"{model}:{name}")
    assert (code, out) == (2, "")
    assert err.startswith(start.format(model=model))


def test_a_file_that_is_not_there_is_bad_input(capsys):
    code, _, err = run(capsys, "derive", "nowhere.py:loss")
    assert code == 2
    assert err == "BadArgument: there is no file 'nowhere.py'\n  try      file.py:name, or an expression\n"


def test_declarations_for_an_expression_in_a_file_are_bad_input(capsys, model):
    code, _, err = run(capsys, "derive", f"{model}:bowl", "--let", "x = real")
    assert code == 2
    assert err.startswith("BadOption: --let declares names of an expression typed as text")


def test_a_text_that_is_refused_prints_the_message_without_a_traceback(capsys):
    assert run(capsys, "derive", "x^2") == (
        2,
        "",
        "ParseError: the operator `^` is not read\n"
        "  where    column 1: 'x^2'\n"
        "  try      write powers with `**`\n",
    )


def test_an_unknown_name_in_wrt_is_bad_input_and_lists_the_names(capsys):
    assert run(capsys, "derive", "x + y", "--wrt", "z") == (
        2,
        "",
        "BadArgument: the expression has no symbol 'z'\n  because  it has 'x', 'y'\n",
    )


# --- verify ---------------------------------------------------------------------------------------


@dataclass
class Report:
    """What `symgrad.verify` returns, as far as the command line uses it."""

    ok: bool
    table: str = "the table"

    def to_json(self) -> str:
        return json.dumps({"ok": self.ok})


def test_verify_accepts_a_right_gradient(capsys):
    code, out, err = run(capsys, "verify", "x**2*exp(y)", "--at", "x=1.5", "--at", "y=-0.5")
    assert (code, err) == (0, "")
    assert out.strip()


def test_verify_takes_arrays_as_nested_lists(capsys):
    arguments = [
        "Sum(v[i]**4, (i, 0, n - 1))",
        "--let",
        "v = array(n)",
        "--wrt",
        "v",
        "--at",
        "v=[1, 2, -3]",
        "--json",
    ]
    code, out, err = run(capsys, "verify", *arguments)
    assert (code, err) == (0, "")
    assert json.loads(out)


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_a_failed_verification_exits_with_one(capsys, monkeypatch, ok, code):
    monkeypatch.setattr(symgrad, "verify", lambda *_args, **_options: Report(ok), raising=False)
    assert run(capsys, "verify", "x**2") == (code, "the table\n", "")
    assert run(capsys, "verify", "x**2", "--json") == (code, json.dumps({"ok": ok}) + "\n", "")


def test_verify_passes_the_point_the_outputs_and_the_seed(capsys, monkeypatch):
    seen = {}

    def verify(_program, **options):
        seen.update(options)
        return Report(True)

    monkeypatch.setattr(symgrad, "verify", verify, raising=False)
    run(capsys, "verify", "x*y", "--at", "x=2", "--at", "y = [[1], [2]]", "--seed", "7", "--outputs", "grad")
    assert seen["at"]["x"] == 2.0
    assert np.array_equal(seen["at"]["y"], [[1.0], [2.0]])
    assert seen["seed"] == 7
    assert seen["outputs"] == ("grad",)


@pytest.mark.parametrize(
    "value", ["x", "x=", "x=one", "x=[1, [2]]", "x=__import__('os')", "x=" + "[" * 100_000]
)
def test_values_that_are_not_numbers_are_bad_input(capsys, value):
    code, out, err = run(capsys, "verify", "x**2", "--at", value)
    assert (code, out) == (2, "")
    assert err.startswith(f"BadOption: cannot read {value!r}\n  where    --at\n")


# --- export, explain, demo ------------------------------------------------------------------------


def test_export_writes_the_files_it_names(capsys, tmp_path):
    target = tmp_path / "new" / "folder"
    code, out, err = run(
        capsys, "export", "x**2 + y", "--wrt", "x,y", "--name", "paraboloid", "--directory", str(target)
    )
    assert (code, err) == (0, "")
    written = sorted(path.name for path in target.iterdir())
    assert written == ["Makefile", "paraboloid.c", "paraboloid.h", "paraboloid_main.c"]
    assert sorted(line.rsplit("/", 1)[-1] for line in out.splitlines()) == written


def test_compile_is_another_word_for_export(capsys, tmp_path):
    code, _, err = run(capsys, "compile", "x**2", "--outputs", "value", "--directory", str(tmp_path))
    assert (code, err) == (0, "")
    assert (tmp_path / "kernel.c").is_file()


def test_a_name_that_is_no_c_identifier_is_bad_input(capsys, tmp_path):
    code, _, err = run(capsys, "export", "x**2", "--name", "a b", "--directory", str(tmp_path))
    assert code == 2
    assert err.startswith("BadName: ")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_bad_input(capsys, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    code, _, err = run(capsys, "export", "x**2", "--directory", str(blocked))
    assert code == 2
    assert err.startswith(f"BadOption: cannot write to '{blocked}'\n")


def test_explain_names_the_expression_and_counts_operations(capsys):
    code, out, err = run(capsys, "explain", "x**2*y", "--wrt", "x", "--outputs", "value,grad")
    assert (code, err) == (0, "")
    assert "grad" in out


def test_explain_counts_for_the_sizes_given_and_prints_json(capsys):
    options = ["--size", "n=5", "--size", "d=2", "--json"]
    code, out, err = run(capsys, "explain", "Trace(X.T*X)", "--let", "X = matrix(n, d)", *options)
    assert (code, err) == (0, "")
    assert json.loads(out)["sizes"] == {"n": 5, "d": 2}


@pytest.mark.parametrize("text", ["n", "n=", "n=-1", "n=1.5", "=3", "n=" + "9" * 30])
def test_sizes_that_are_not_whole_numbers_are_bad_input(capsys, text):
    code, out, err = run(capsys, "explain", "x**2", "--size", text)
    assert (code, out) == (2, "")
    assert err == f"BadOption: cannot read {text!r}\n  where    --size\n  try      n=1000\n"


def test_verify_names_the_wrong_entry_and_exits_with_one(capsys, monkeypatch):
    wrong = replace(OPS["sinh"], partials=(lambda g, a, value: value,))
    monkeypatch.setitem(OPS, "sinh", wrong)
    code, out, err = run(capsys, "verify", "x**2 + sinh(y)", "--at", "x=1", "--at", "y=0.5")
    assert (code, err) == (1, "")
    assert "\nworst  grad y: 0.521095" in out
    assert out.splitlines()[-1].startswith("FAILED: grad (forward differences)")


# --- as a process ---------------------------------------------------------------------------------


def test_python_dash_m_symgrad_returns_the_exit_code():
    done = subprocess.run(
        [sys.executable, "-m", "symgrad", "derive", "x^2"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.startswith("ParseError: the operator `^` is not read\n")


def test_why_takes_the_name_of_an_error_in_any_case(capsys):
    assert main(["why", "shapeMISMATCH"]) == 0
    assert capsys.readouterr().out.startswith("ShapeMismatch\n")


def test_output_that_nobody_reads_to_its_end_is_no_error():
    command = [sys.executable, "-m", "symgrad", "derive", "x**2*sin(y)", "--wrt", "x,y"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
