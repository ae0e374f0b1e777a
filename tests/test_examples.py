"""The examples, the README and the docstrings say what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import scipy.special
import scipy.stats

import symgrad
from symgrad import cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(symgrad.__path__, "symgrad.")
    if module.name != "symgrad.__main__"  # importing it runs it
)


def example(name: str) -> dict[str, Any]:
    """The names that an example defines, without its running."""
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))


def test_quickstart_gives_the_gradient_at_the_origin_and_one_step_of_a_tenth() -> None:
    result = example("quickstart")["main"]()
    assert result["gradient"].tolist() == [-4.0, 2.0]
    assert result["hessian"].tolist() == [[2.0, 0.0], [0.0, 2.0]]
    assert result["point"] == pytest.approx([0.4, -0.2], abs=1e-15)
    assert result["minimum"] == pytest.approx([2.0, -1.0], abs=1e-7)


def test_the_tanh_network_learns_the_digits() -> None:
    trained, tested = example("digits_network")["main"](epochs=8)
    assert trained > 0.95
    assert tested > 0.85


def test_the_robot_arm_reaches_the_pose() -> None:
    assert example("robot_arm")["main"]() < 1e-12


def test_logistic_regression_finds_the_eights() -> None:
    assert example("logistic_regression")["main"](samples=300) > 0.97


def test_three_atoms_form_a_triangle_and_thirteen_come_near_the_least_known_energy() -> None:
    module = example("lennard_jones")
    found = module["main"](sizes=(3, 13), starts=4)
    assert found[3] == pytest.approx(-3.0, abs=1e-6)
    assert module["KNOWN"][13] - 1e-6 < found[13] < -35


def test_bundle_adjustment_leaves_the_noise_that_the_free_parameters_cannot_take_up() -> None:
    found = example("bundle_adjustment")["main"]()
    residuals, parameters, free = (
        2 * 998,
        12 * 6 + 200 * 3,
        7,
    )  # the whole scene moves, turns and scales freely
    expected = 1e-3 * ((residuals - parameters + free) / residuals) ** 0.5
    assert found["before"] > 20 * found["after"]
    assert found["after"] == pytest.approx(expected, rel=0.05)
    assert found["full"] == pytest.approx(8 / parameters)


def test_the_failure_times_have_the_gamma_distribution_that_scipy_fits() -> None:
    module = example("failure_times")
    shape, _, scale = scipy.stats.gamma.fit(module["HOURS"], floc=0)
    found = module["main"]()
    assert found["shape"] == pytest.approx(shape, rel=1e-6)
    assert found["mean"] == pytest.approx(shape * scale, rel=1e-6)
    # By theory the information about (shape, mean) is diagonal: n (trigamma(k) - 1/k) and n k / mean**2.
    information = len(module["HOURS"]) * (scipy.special.polygamma(1, shape) - 1 / shape)
    assert found["shape_error"] == pytest.approx(information**-0.5, rel=1e-5)


def test_the_thermistor_has_the_least_sum_of_squares_in_the_literature() -> None:
    found = example("thermistor")["main"]()
    assert 16 * found["left"] ** 2 == pytest.approx(87.9458, rel=1e-5)
    assert found["b"] == pytest.approx(6181.35, rel=1e-5)


def test_every_example_is_run_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for path in (ROOT / "examples").glob("*.py"):
        assert f'example("{path.stem}")' in source, path.name


def test_the_readme_begins_with_the_two_commands() -> None:
    first_block = README.split("```")[1].splitlines()
    assert first_block[0] == "sh"
    commands = [line for line in first_block[1:] if not line.startswith("#")]
    assert len(commands) == 2
    assert "pip install ." in commands[0]
    assert commands[0].endswith("symgrad demo")
    assert "[test]" in commands[1]
    assert "pytest" in commands[1]
    assert len(README.split("```")[0].splitlines()) <= 6


def test_the_python_of_the_readme_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) >= 3
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README.md", "README.md", 0)
    assert failures_of(test) == ""


def test_the_commands_of_the_readme_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(line)[1:] for line in README.splitlines() if line.startswith("symgrad ")]
    assert len(commands) >= 5
    for command in commands:
        assert cli.main(command) == 0, (command, capsys.readouterr().err)
    assert Path("quartic", "quartic.c").is_file()


def test_the_files_the_readme_names_exist() -> None:
    names = re.findall(r"`((?:symgrad|tests|tools|examples|\.ci)/[\w./]*)`", README)
    assert len(names) >= 5
    assert [name for name in names if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_print_what_they_say(name: str) -> None:
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        assert failures_of(test) == "", test.name


def failures_of(test: doctest.DocTest) -> str:
    """What a doctest complains about; empty if every output is the one written."""
    complaints: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE).run(
        test, out=complaints.append
    )
    return "".join(complaints)
