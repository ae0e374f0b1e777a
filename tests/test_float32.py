"""Every shared program in float32 on every target, against the stored numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from programs import PROGRAMS, SharedProgram
from reference import reference_outputs
from test_reference import as_list, in_kernel_form, relative_error
from tolerances import RELATIVE

import symgrad as sg

TARGETS = ("numpy", "llvm", "c")


def errors_of(program: SharedProgram, kernel: Any, case: int) -> dict[str, float]:
    """The largest error of each output relative to its largest entry."""
    stored = reference_outputs(program, case)
    scale = max(float(abs(part).max(initial=0.0)) for parts in stored.values() for part in parts) or 1.0
    results = kernel(*program.inputs(case).values())
    errors = {}
    for word, output in zip(kernel.outputs, results, strict=True):
        expected = stored[word] if word == "value" else in_kernel_form(program, stored[word])
        actual = as_list(output, len(expected))
        errors[word] = max(relative_error(a, e, scale) for a, e in zip(actual, expected, strict=True))
    return errors


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_the_value_and_its_derivative_agree_to_single_precision(program: SharedProgram, target: str) -> None:
    words = program.outputs[:2]
    kernel = sg.compile(
        program.expr, args=program.args, wrt=program.wrt, outputs=words, backend=target, dtype="float32"
    )
    wrong = []
    for case, sizes in enumerate(program.sizes):
        for word, error in errors_of(program, kernel, case).items():
            if not error <= RELATIVE["float32"]:
                wrong.append(f"{word} off by {error:.2e} at {dict(sizes)} (case {case})")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("target", TARGETS)
def test_results_and_workspace_are_single_precision(target: str) -> None:
    program = next(p for p in PROGRAMS if p.name == "dense_matrix")
    single, double = (
        sg.compile(
            program.expr, program.args, program.wrt, outputs=("value", "grad"), backend=target, dtype=dtype
        )
        for dtype in ("float32", "float64")
    )
    _, grad = single(*program.inputs(0).values())
    assert {part.dtype for part in as_arrays(grad)} == {np.dtype(np.float32)}
    sizes = program.sizes[0]
    assert 2 * single.workspace(**sizes) == double.workspace(**sizes)


def as_arrays(result: Any) -> list[np.ndarray]:
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("target", TARGETS)
def test_kernels_compute_in_single_precision_and_do_not_merely_return_it(target: str) -> None:
    x, y = sp.symbols("x y")
    plain = {"outputs": "value", "backend": target, "dtype": "float32", "stabilise": False}
    k = sg.compile(sp.tanh(x + y) - sp.tanh(x), **plain)
    assert k(2.0**-10, 2.0**-40) == 0.0  # the sum is rounded
    assert k(2.0**-10, 2.0**-30) != 0.0
    large = sg.compile(x * x * y, outputs="value", backend=target, dtype="float32")
    assert large(2.0**70, 2.0**-100) == np.inf
