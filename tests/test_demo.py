"""`symgrad demo` does what it says: it derives, verifies, trains to the known optimum and writes C."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad import cli, demo

FILES = ("Makefile", "softmax_regression.c", "softmax_regression.h", "softmax_regression_main.c")


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_the_demo_reaches_the_known_optimum_and_accuracy(
    backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--backend", backend, "--directory", str(tmp_path / "new")]) == 0
    out, err = capsys.readouterr()
    assert "loss 0.2618645472" in out
    assert "training accuracy 0.97885" in out
    assert f"on the target {backend}" in out
    assert err == ""  # no progress bar where nobody watches
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(FILES)
    for name in FILES:
        assert str(tmp_path / "new" / name) in out


def test_the_gradient_is_printed_in_matrix_notation(capsys: pytest.CaptureFixture[str]) -> None:
    model = demo.softmax_regression()
    P = sg.program(model.loss, args=(model.W, model.b, model.X, model.Y), wrt=(model.W, model.b))
    demo.show_derivation(demo.Steps(), model, P)
    formulas = [line.strip() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [formula.split(" = ")[0] for formula in formulas] == ["Z", "loss", "dloss/dW", "dloss/db"]
    assert formulas[0] == "Z = X*W + ones*b"
    assert "X.T*(" in formulas[2]
    assert "Sum" not in "".join(formulas)
    assert "X*W" not in "".join(formulas[1:])


def test_the_printed_loss_is_the_formula_of_the_textbook() -> None:
    model = demo.softmax_regression()
    random = np.random.default_rng(1)
    X, W, b = random.normal(size=(5, 4)), random.normal(size=(4, 3)), random.normal(size=(1, 3))
    labels = np.array([0, 2, 1, 1, 0])
    Z = X @ W + b
    expected = np.mean(np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(5), labels]) + 0.5e-3 * np.sum(W**2)
    kernel = sg.compile(
        model.loss, args=(model.W, model.b, model.X, model.Y), outputs="value", backend="numpy"
    )
    assert kernel(W, b, X, np.eye(3)[labels]) == pytest.approx(expected, rel=1e-14)


def test_too_few_steps_are_not_a_failure_but_a_missed_optimum_is() -> None:
    model = demo.softmax_regression()
    assert isinstance(model.loss, sp.Expr)
    shown = demo.Steps()
    stopped = sg.minimize((sp.Symbol("x") - 1) ** 2, params={sp.Symbol("x"): 0.0}, method="gd", max_steps=1)
    assert demo.show_result(shown, stopped, 0.5)
    reached = sg.minimize((sp.Symbol("x") - 1) ** 2, params={sp.Symbol("x"): 0.0})
    assert reached.success
    assert not demo.show_result(shown, reached, 0.5)


def test_a_directory_that_cannot_be_made_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--directory", str(tmp_path / "file")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("BadOption: cannot write to ")


@pytest.mark.parametrize("steps", ["0", "-1", "many"])
def test_steps_are_a_positive_whole_number(steps: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--steps", steps]) == 2
    assert "--steps" in capsys.readouterr().err


def test_the_demo_runs_as_a_command_of_its_own(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "symgrad",
        "demo",
        "--backend=c",
        "--steps=2",
        f"--directory={tmp_path}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 steps of L-BFGS" in done.stdout
    assert "\x1b" not in done.stdout
