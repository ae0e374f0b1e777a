"""Bounds of the rounding errors of what is verified: a number below its bound has no digits to compare.

Asked for only where something failed: a number that is all rounding is neither right nor wrong.
Source: Higham 2002, section 3.3 (`grad.rounding`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symgrad.errors import UnsupportedExpression
from symgrad.grad.outputs import error_word
from symgrad.program import Program
from symgrad.run.claims import Analytic, Claim, claim_of
from symgrad.run.functions import outputs_of
from symgrad.run.kernel import Kernel
from symgrad.run.point import Array, Point

_DOUBLE = "float64"  # in which all methods but the kernel itself compute


def value_noise(program: Program, kernel: Kernel, point: Point) -> Array | None:
    """A bound of the rounding error of each number of the value; None where none is known."""
    found = _bounds(program, kernel.backend, str(kernel.dtype), ("value",), point, {})
    return None if found is None else _flat(found["value"])


def with_noise(
    claim: Claim, program: Program, kernel: Kernel, point: Point, found: Analytic, shape: tuple[int, ...]
) -> Claim:
    """The claim with bounds of the rounding errors of its numbers; the same one where none are known.

    shape  of the value.
    """
    word, function = claim.word, claim.function
    claimed = _bounds(program, kernel.backend, str(kernel.dtype), (word,), point, found.given)
    words = dict.fromkeys((function.word, "value"))
    values = _bounds(program, kernel.backend, _DOUBLE, tuple(words), point, {})
    if claimed is None or values is None:
        return claim
    of_function, of_value = _flat(values[function.word]), _flat(values["value"])
    if function.weights is not None:
        of_function = np.atleast_1d(np.abs(function.weights) @ of_function)
    same = claim_of(word, replace(found, outputs=claimed), function, 0, 1, shape)
    checks = []
    for check in claim.checks:
        if same.matrix is None:
            noise = same.checks[0].claimed
        else:
            noise = same.matrix @ np.abs(check.direction(claim.variables.size))
        checks.append(replace(check, noise=np.where(claim.is_open(check), 0.0, noise)))
    return replace(
        claim, checks=tuple(checks), of_function=of_function, of_value=float(of_value.max(initial=0.0))
    )


def _bounds(
    program: Program, backend: str, dtype: str, words: Sequence[str], point: Point, given: Mapping[str, Any]
) -> dict[str, list[Array]] | None:
    """Of output words; None where a function of matrices or a solver has none."""
    from symgrad.pipeline import compile as compile_kernel  # the pipeline itself imports this folder

    names = tuple(map(error_word, words))
    try:
        kernel = compile_kernel(program, outputs=names, backend=backend, dtype=dtype)
    except UnsupportedExpression:  # a function without such bounds
        return None
    taken = {a.role for a in kernel.signature.arguments}
    directions = {role: x for role, x in given.items() if role in taken}
    found = outputs_of(kernel, point.arrays, point.sizes, directions)
    return {word: [np.abs(part) for part in found[name]] for word, name in zip(words, names, strict=True)}


def _flat(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(part) for part in parts])
