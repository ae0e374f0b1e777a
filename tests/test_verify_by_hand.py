"""Derivatives written by hand, and C files: wrong entries are named, and simple mistakes explained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.cli import main
from symgrad.errors import BadArgument, BadOption, ShapeMismatch, VerificationFailed

x, y = sp.symbols("x y", real=True)
n, d = sp.symbols("n d", integer=True, positive=True)
A = sp.MatrixSymbol("A", n, n)
X, w, t = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("t", n, 1)
v = sp.IndexedBase("v", shape=(n,))
i = sp.Idx("i", n)
PAIR = x**2 * y + sp.sin(y)
TRACE = sg.program(sp.Trace(A * A * A), wrt=A)
LEAST_SQUARES = sg.program(((X * w - t).T * (X * w - t))[0, 0], args=(w, X, t), wrt=w)


# ---- right ones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grad",
    [
        (2 * x * y, x**2 + sp.cos(y)),
        sp.Matrix([2 * x * y, x**2 + sp.cos(y)]),
        {y: x**2 + sp.cos(y), "x": 2 * x * y},
        lambda a, b: (2 * a * b, a**2 + np.cos(b)),
        lambda a, b: np.array([2 * a * b, a**2 + np.cos(b)]),
    ],
    ids=["tuple", "matrix", "mapping", "function", "array"],
)
def test_a_right_gradient_passes_in_every_form(grad: Any) -> None:
    report = sg.verify(PAIR, grad=grad)
    assert report.ok
    assert report.hints == ()
    assert {row.output for row in report.rows} == {"grad"}


def test_right_gradients_in_matrix_and_index_notation_pass() -> None:
    assert sg.verify(TRACE, grad=3 * (A * A).T).ok
    assert sg.verify(LEAST_SQUARES, grad=2 * X.T * (X * w - t)).ok
    assert sg.verify(sp.Sum(v[i] ** 3, (i, 0, n - 1)), wrt=v, grad=3 * v[i] ** 2).ok


def test_a_gradient_by_several_arrays_is_a_tuple() -> None:
    program = sg.program((t.T * X * w)[0, 0], args=(X, w, t), wrt=(X, w))
    assert sg.verify(program, grad=(t * w.T, X.T * t)).ok
    report = sg.verify(program, grad=(t * w.T, 2 * X.T * t), sizes={n: 3, d: 4})
    assert report.hints == ("grad w: 2 times the derivative",)
    assert report.worst.symbol == "w"


@pytest.mark.parametrize(
    "hess",
    [
        [[2 * y, 2 * x], [2 * x, -sp.sin(y)]],
        sp.Matrix([[2 * y, 2 * x], [2 * x, -sp.sin(y)]]),
        lambda a, b: [[2 * b, 2 * a], [2 * a, -np.sin(b)]],
    ],
    ids=["rows", "matrix", "function"],
)
def test_a_right_hessian_passes_in_every_form(hess: Any) -> None:
    report = sg.verify(PAIR, hess=hess)
    assert report.ok
    assert {row.output for row in report.rows} == {"hess"}


def test_gradient_and_hessian_can_be_verified_together() -> None:
    own = {"grad": (2 * x * y, x**2 + sp.cos(y)), "hess": [[2 * y, 2 * x], [2 * x, sp.sin(y)]]}
    report = sg.verify(PAIR, **own)
    assert {row.output for row in report.rows if row.result == "FAILED"} == {"hess"}
    assert (report.worst.symbol, report.worst.of) == ("y", "y")


def test_a_hessian_by_a_matrix_has_four_axes() -> None:
    program = sg.program(sp.Trace(A.T * A), wrt=A)

    def hessian(a: np.ndarray) -> np.ndarray:
        m = a.shape[0]
        return 2 * np.einsum("ik,jl->ijkl", np.eye(m), np.eye(m))

    assert sg.verify(program, hess=hessian).ok
    wrong = sg.verify(program, hess=lambda a: hessian(a) * np.where(np.arange(len(a)) == 1, -1, 1))
    assert not wrong.ok
    assert wrong.worst.index[1] == 1


# ---- wrong ones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grad", "hint", "symbol"),
    [
        ((2 * x * y, -(x**2) - sp.cos(y)), "grad y: the opposite sign", "y"),
        ((4 * x * y, x**2 + sp.cos(y)), "grad x: 2 times the derivative", "x"),
        ((2 * x * y / 3, x**2 + sp.cos(y)), "grad x: 1/3 times the derivative", "x"),
        ((2 * x * y - 1, x**2 + sp.cos(y)), "grad x: the derivative - 1", "x"),
        ((2 * x * y, 0), "grad y: 0, where the derivative is not", "y"),
        ((x**2 + sp.cos(y), 2 * x * y), "the derivatives by x and y are exchanged", "x"),
    ],
    ids=["sign", "twice", "third", "constant", "zero", "exchanged"],
)
def test_a_simple_mistake_is_named_and_explained(grad: Any, hint: str, symbol: str) -> None:
    report = sg.verify(PAIR, grad=grad, at={x: 0.7, y: 1.3})
    assert not report.ok
    assert report.hints == (hint,)
    assert report.worst.symbol in (symbol, "y")
    assert f"hint   {hint}" in report.table
    assert json.loads(report.to_json())["hints"] == [hint]


def test_the_entry_the_number_given_and_the_right_one_are_in_the_report() -> None:
    def gradient(a: np.ndarray) -> np.ndarray:
        right = 3 * (a @ a).T
        right[1, 2] *= 2
        return right

    report = sg.verify(TRACE, grad=gradient)
    a = report.worst
    assert (a.symbol, a.index, a.analytic) == ("A", (1, 2), pytest.approx(2 * a.numeric, rel=1e-9))
    assert report.hints == ("grad A: 1 of 9 entries is wrong, there: 2 times the derivative",)


def test_a_transposed_gradient_is_recognised() -> None:
    assert sg.verify(TRACE, grad=3 * A * A).hints == ("grad A: transposed",)
    assert sg.verify(TRACE, grad=-3 * A * A).hints == ("grad A: transposed, and of the opposite sign",)


def test_a_factor_that_is_a_size_is_called_by_its_name() -> None:
    report = sg.verify(LEAST_SQUARES, grad=2 * X.T * (X * w - t) / n, sizes={n: 7, d: 3})
    assert report.hints == ("grad w: 1/7 (1/n) times the derivative",)


def test_a_hessian_that_is_not_symmetric_is_said_to_be_so() -> None:
    report = sg.verify(x**2 * y, hess=[[2 * y, 2 * x], [0, 0]], at={x: 1.5, y: 2.0})
    assert report.hints == ("hess: not symmetric: [0, 1] is 3, [1, 0] is 0",)


def test_a_mistake_that_nothing_simple_explains_gets_no_hint() -> None:
    report = sg.verify(PAIR, grad=(2 * x * sp.sin(y), x**2 + sp.cos(y)), at={x: 0.7, y: 1.3})
    assert not report.ok
    assert report.hints == ()


def test_the_hint_is_in_the_exception() -> None:
    report = sg.verify(PAIR, grad=(-2 * x * y, x**2 + sp.cos(y)), at={x: 0.7, y: 1.3})
    with pytest.raises(VerificationFailed, match=r"^grad x is -1\.82, and 1\.82") as caught:
        report.raise_if_wrong()
    assert caught.value.try_ == "grad x: the opposite sign"


# ---- input that does not fit -------------------------------------------------------------------


def test_the_wrong_shape_is_refused_and_a_transposed_one_said_to_be_so() -> None:
    with pytest.raises(ShapeMismatch) as caught:
        sg.verify(LEAST_SQUARES, grad=lambda w, X, t: (2 * X.T @ (X @ w - t)).T, sizes={n: 3, d: 2})
    assert str(caught.value) == (
        "the gradient given has parts of shape (1, 2)\n  because  w has shape (2, 1)\n  try      transpose it"
    )
    with pytest.raises(ShapeMismatch, match="the Hessian given has parts of shape"):
        sg.verify(PAIR, hess=[[2 * y, 2 * x, 0], [2 * x, -sp.sin(y), 0]])


def test_a_symbol_that_is_no_argument_is_refused() -> None:
    with pytest.raises(BadArgument) as caught:
        sg.verify(x * y, grad=(y, sp.Symbol("x")))  # not the real x
    assert str(caught.value) == (
        "the derivative given holds 'x'\n  because  the program's arguments are x, y\n"
        "  try      write it in those, with the same symbols (assumptions count)"
    )


def test_a_mapping_has_to_name_every_symbol() -> None:
    with pytest.raises(BadArgument, match="'y' is missing from the derivative given"):
        sg.verify(x * y, grad={x: y})
    with pytest.raises(BadArgument, match="'z' is not differentiated by"):
        sg.verify(x * y, grad={x: y, y: x, "z": x})


def test_outputs_have_to_be_what_was_written_by_hand() -> None:
    with pytest.raises(BadOption, match="with grad= outputs is grad"):
        sg.verify(x * y, grad=(y, x), outputs="hess")


# ---- C files -----------------------------------------------------------------------------------


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(tmp_path / "cache"))
    sg.export_c(LEAST_SQUARES, "squares", directory=tmp_path, outputs=("value", "grad", "hess"))
    return tmp_path / "squares.c"


def test_an_exported_file_is_verified_as_it_lies_there(exported: Path) -> None:
    report = sg.verify(LEAST_SQUARES, against=exported, samples=2)
    assert report.ok
    assert report.title[0] == f"verify  value, grad, hess  ({exported}, float64)"
    assert {row.output for row in report.rows} == {"value", "grad", "hess"}


def test_an_exported_file_in_single_precision_is_verified(tmp_path: Path) -> None:
    sg.export_c(PAIR, "pair", directory=tmp_path, dtype="float32")
    report = sg.verify(PAIR, against=tmp_path / "pair.c", dtype="float32")
    assert report.ok
    assert {a.dtype for a in report.accuracy} == {"float32"}


def test_a_number_changed_in_an_exported_file_is_found(exported: Path) -> None:
    sg.export_c(LEAST_SQUARES, "squares", directory=exported.parent)
    text = exported.read_text()
    changed = re.sub(r"(\bgrad\[[^;]*?\] = )([^;]*);", r"\g<1>1.5*(\g<2>);", text)
    assert changed != text
    exported.write_text(changed)
    report = sg.verify(LEAST_SQUARES, against=str(exported))
    assert {row.output for row in report.rows if row.result == "FAILED"} == {"grad"}
    assert report.worst.symbol == "w"
    assert report.worst.analytic == pytest.approx(1.5 * report.worst.numeric, rel=1e-6)


def test_a_file_of_another_program_is_refused(exported: Path) -> None:
    with pytest.raises(BadArgument, match="the parameters of 'squares' are not those of the program"):
        sg.verify(x * y, against=exported)
    program = sg.program(((X * w - t).T * (X * w - t))[0, 0], args=(w, X, t), wrt=t)
    with pytest.raises(BadArgument, match="the arrays of 'squares' are not those of the program") as caught:
        sg.verify(program, against=exported)
    assert "array 4 is 'grad' of shape (3, 1) in the file, and 'grad' of shape (2, 1)" in caught.value.because


def test_files_that_are_no_exports_are_refused(exported: Path) -> None:
    for path in ("nowhere.c", exported.parent, exported.with_suffix(".h")):
        with pytest.raises(BadArgument, match="there is no C file"):
            sg.verify(LEAST_SQUARES, against=path)
    exported.write_text(exported.read_text().replace("value[0] =", "value[0] = (", 1))
    with pytest.raises(BadArgument, match=r"squares\.c' does not compile"):
        sg.verify(LEAST_SQUARES, against=exported)
    exported.write_text("void squares(void)\n{\n}\n")
    with pytest.raises(BadOption, match="does not say what it computes"):
        sg.verify(LEAST_SQUARES, against=exported)
    exported.write_text("int squares(void) { return 0; }\n")
    with pytest.raises(BadArgument, match="has no function 'squares'"):
        sg.verify(LEAST_SQUARES, against=exported)


def test_one_thing_is_verified_at_a_time(exported: Path) -> None:
    with pytest.raises(BadOption, match="against= is given beside grad="):
        sg.verify(LEAST_SQUARES, against=exported, grad=w)


# ---- the command line --------------------------------------------------------------------------


def test_the_command_line_verifies_a_gradient_typed_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "x**2*y", "--grad", "2*x*y", "--grad", "x**2"]) == 0
    capsys.readouterr()
    assert main(["verify", "x**2*y", "--grad", "2*x*y", "--grad", "-x**2", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["hints"] == ["grad y: the opposite sign"]
    assert report["worst"]["symbol"] == "y"


def test_the_command_line_verifies_what_a_file_holds(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = exported.parent / "model.py"
    model.write_text(
        "import sympy as sp\nx, y = sp.symbols('x y', real=True)\nloss = x**2*sp.exp(y)\n"
        "def right(x, y):\n    import math\n    return 2*x*math.exp(y), x*x*math.exp(y)\n"
        "hessian = [[2*sp.exp(y), 2*x*sp.exp(y)], [2*x*sp.exp(y), x**2]]\n"
    )
    assert main(["verify", f"{model}:loss", "--grad", f"{model}:right", "--samples", "3"]) == 0
    assert "3 points, seeds 0 to 2" in capsys.readouterr().out
    assert main(["verify", f"{model}:loss", "--hess", f"{model}:hessian", "--domain", "y=[1, 2]"]) == 1
    assert "worst  hess y by y" in capsys.readouterr().out
    assert main(["export", f"{model}:loss", "--name", "loss", "--directory", str(exported.parent)]) == 0
    assert main(["verify", f"{model}:loss", "--against", str(exported.parent / "loss.c")]) == 0
    assert main(["verify", f"{model}:loss", "--against", "nowhere.c"]) == 2
    assert capsys.readouterr().err.startswith("BadArgument: there is no C file 'nowhere.c'")
