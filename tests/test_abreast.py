"""How many samples of a batch are computed abreast: one vector of them, or two, with the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from routines import DTYPES

import symgrad as sg
from symgrad.loops.nest import Routine
from symgrad.targets import abreast, llvm_build
from symgrad.targets.abreast import lanes_with, most_lanes
from symgrad.targets.base import LANES
from symgrad.targets.llvm import emit_llvm_batch

x, y = sp.symbols("x y", real=True)
FEW = sp.exp(-(x**2)) * sp.sin(x * y) + sp.log(1 + sp.exp(y))


def _routine(expr: sp.Expr) -> Routine:
    made: dict[str, Any] = {}
    sg.compile(expr, (x, y), (x, y), outputs=("value", "grad"), watch=made.__setitem__)
    routine: Routine = made["lower"]
    return routine


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_vector_and_two_give_the_same_bits(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    at = [np.append(rng.uniform(-2, 2, 38), [1e7, np.inf, 0.5]).astype(dtype) for _ in range(2)]

    def results() -> list[np.ndarray]:
        kernel = sg.compile(FEW, (x, y), (x, y), outputs=("value", "grad"), dtype=dtype)
        parts = [kernel(*(v[:count] for v in at)) for count in (1, 15, 16, 17, 41)]
        return [array for part in parts for array in part]

    with np.errstate(all="ignore"):
        two = results()
        monkeypatch.setattr(abreast, "_FEW", -1)
        one = results()
    for a, b in zip(two, one, strict=True):
        np.testing.assert_array_equal(a, b)


def test_code_that_keeps_few_values_takes_two_registers_for_each_where_there_are_32() -> None:
    few = _routine(FEW)
    assert most_lanes(few, "float64") == 2 * LANES["float64"]
    assert lanes_with("+fma,+avx512f", few, "float64") == 2 * LANES["float64"]
    assert lanes_with("+fma,+avx2", few, "float64") == LANES["float64"]
    assert "<16 x double>" in (emit_llvm_batch(few, lanes=16) or "")
    many = _routine(sum(sp.cos(k * x + y) for k in range(40)) ** 2)
    assert lanes_with("+fma,+avx512f", many, "float64") == LANES["float64"]


def test_instructions_in_order_are_for_one_module_only() -> None:
    """The order is an option of the process: what is compiled next has its instructions moved again."""
    kernel = _routine(FEW)
    text = emit_llvm_batch(kernel, lanes=16)
    assert text is not None
    plain = llvm_build.CodeShape(100, 100, 0, loops=False, cells=False, lanes=True)
    ordered = llvm_build.CodeShape(100, 100, 0, loops=False, cells=False, lanes=True, in_order=True)
    before = llvm_build._compile(text, plain)
    assert llvm_build._compile(text, ordered) != before
    assert llvm_build._compile(text, plain) == before
