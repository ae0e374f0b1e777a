"""The text of about a dozen programs at two stages, compared to the letter with kernels/golden.

`pytest tests/test_golden.py --update` rewrites the files; the diff is what a change does to users.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import program_named

import symgrad as sg
from symgrad.ir.text import print_program
from symgrad.pipeline import optimise

GOLDEN = Path(__file__).parent.parent / "kernels" / "golden"
NAMES = (
    "arm_distance",
    "attention_index",
    "block_quadratic",
    "branches",
    "convolution",
    "dense_index",
    "dense_matrix",
    "embedding",
    "lennard_jones_pairs",
    "log_determinant",
    "logistic_regression",
    "orthogonality_matrix",
    "product_with_zeros",
    "rosenbrock",
)
IN_CUDA = ("arm_distance", "convolution")


def texts_of(name: str, directory: Path) -> dict[str, str]:
    """The optimised definitions and the exports of a shared program's value and gradient."""
    p = program_named(name)
    program = sg.program(p.expr, args=p.args, wrt=p.wrt)
    unit = optimise(program.derived(("value", "grad")).unit)
    sg.export_c(program, name, directory)
    cuda = sg.export_cuda(program, name, directory) if name in IN_CUDA else []
    return {
        f"{name}.ir": print_program(unit.graph, dict(unit.outputs)),
        f"{name}.c": (directory / f"{name}.c").read_text(),
        f"{name}.h": (directory / f"{name}.h").read_text(),
        **{path.name: path.read_text() for path in cuda},
    }


@pytest.mark.parametrize("name", NAMES)
def test_definitions_and_c_are_what_they_were(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for file_name, text in texts_of(name, tmp_path).items():
        path = GOLDEN / file_name
        if request.config.getoption("--update"):
            path.write_text(text)
        assert text == path.read_text(), f"{path.name} changed: pytest tests/test_golden.py --update"


def test_the_text_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from test_golden import texts_of\n"
        "for name in ('dense_matrix', 'branches', 'lennard_jones_pairs'):\n"
        "    for text in texts_of(name, Path(sys.argv[1])).values(): print(text)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1 and "void dense_matrix(" in outputs.pop()
