"""Every shared program on every target gives the stored reference numbers, one kernel for all sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from programs import PROGRAMS, SharedProgram
from reference import checksum, reference_checksum, reference_outputs

import symgrad as sg

TOLERANCE = 1e-12  # largest error of an output array relative to its largest entry
TARGETS = ("numpy", "llvm", "c")


def relative_error(actual: np.ndarray, expected: np.ndarray, scale: float) -> float:
    """The largest error relative to the largest expected entry, or to `scale` where all of them are zero."""
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    largest = float(abs(expected).max(initial=0.0)) or scale
    return float(abs(actual - expected).max(initial=0.0)) / largest


def in_kernel_form(program: SharedProgram, parts: list[np.ndarray]) -> list[np.ndarray]:
    """Derivatives by several scalars come back as one array with the scalars along its last axis."""
    is_vector = isinstance(program.wrt, tuple) and all(symbol.is_Symbol for symbol in program.wrt)
    return [np.stack(parts, axis=-1)] if is_vector else parts


def as_list(output: Any, parts: int) -> list[np.ndarray]:
    """One output of a kernel as a list of arrays."""
    several = parts > 1 or isinstance(output, tuple)
    return [np.asarray(part, dtype=float) for part in (output if several else (output,))]


def run_case(program: SharedProgram, kernel: Any, case: int) -> dict[str, float]:
    """The relative error of each output word at one size set."""
    tangents = in_kernel_form(program, list(program.tangents(case)))
    tangent = tuple(tangents) if isinstance(program.wrt, tuple) and len(tangents) > 1 else tangents[0]
    outputs = kernel(*program.inputs(case).values(), tangent=tangent)
    stored = reference_outputs(program, case)
    scale = max(float(abs(part).max(initial=0.0)) for parts in stored.values() for part in parts) or 1.0
    errors = {}
    for word, output in zip(program.outputs, outputs, strict=True):
        expected = stored[word] if word in ("value", "jvp") else in_kernel_form(program, stored[word])
        actual = as_list(output, len(expected))
        errors[word] = max(relative_error(a, e, scale) for a, e in zip(actual, expected, strict=True))
    return errors


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_inputs_are_those_of_the_stored_numbers(program: SharedProgram) -> None:
    for case in range(len(program.sizes)):
        assert checksum(program.inputs(case)) == reference_checksum(program, case), case


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_one_kernel_gives_the_reference_numbers_at_every_size(program: SharedProgram, target: str) -> None:
    kernel = sg.compile(
        program.expr, args=program.args, wrt=program.wrt, outputs=program.outputs, backend=target
    )
    wrong = []
    for case, sizes in enumerate(program.sizes):
        for word, error in run_case(program, kernel, case).items():
            if not error <= TOLERANCE:
                wrong.append(f"{word} off by {error:.2e} at {dict(sizes)} (case {case})")
    assert not wrong, "\n".join(wrong)


def test_every_program_has_at_least_five_cases_and_one_of_size_one() -> None:
    for program in PROGRAMS:
        has_ones = any(set(sizes.values()) == {1} for sizes in program.sizes)
        assert len(program.sizes) >= 5, program.name
        assert has_ones or not program.sizes[0], program.name
