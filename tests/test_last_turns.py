"""Loops with functions whose turns are no whole number of vectors: the last ones are one masked vector."""

from __future__ import annotations

import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from routines import DTYPES, TARGETS, ZERO, I, N, call
from tolerances import assert_close

from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    Load,
    Poly,
    Routine,
    Store,
    poly,
    poly_add,
)
from symgrad.targets import llvm_build
from symgrad.targets.base import target_named
from symgrad.targets.host import processor
from symgrad.targets.llvm import emit_llvm
from symgrad.targets.own_functions import with_own_functions

FIRST, TWICE = 3, poly_add((), I, 2)


def functions(stride: Poly, first: int) -> Routine:
    """y[i] = exp(x[stride]) from `first` on, and its sum."""
    body = [Load(2, "x", (stride,)), Compute(3, "exp", (2,)), Store("y", (I,), 3), Accumulate("sum", 1, 3)]
    loop = For("i", (poly(first),), (N,), body)
    length = poly_add((), N, 2)
    buffers = (Buffer("x", "input", (length,)), Buffer("y", "output", (N,)), Buffer("s", "output", ()))
    return Routine("f", ("n",), ("n",), buffers, [Const(0, ZERO), Cell(1, 0), loop, Store("s", (), 1)])


@pytest.mark.parametrize("first", [0, FIRST])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_number_of_turns_gives_the_same_as_one_by_one(
    target: str, dtype: str, step: int, first: int
) -> None:
    routine = functions(I if step == 1 else TWICE, first)
    loaded = target_named(target).build(routine, dtype)
    rng = np.random.default_rng(0)
    for n in (*range(4), *range(7, 13), *range(15, 20), 31, 32, 33, 47, 48, 49, 63, 64, 65, 81, 100, 129):
        x = rng.uniform(-1, 1, 2 * n).astype(dtype)
        found = call(target, routine, {"n": n}, {"x": x}, dtype, loaded=loaded)
        expected = np.exp(x.astype(np.float64))[: step * n : step][first:]
        assert_close(found["y"][first:], expected)
        assert_close(found["s"], expected.sum(), factor=max(n, 1))


def test_a_single_last_turn_is_none_for_a_masked_vector() -> None:
    exp = with_own_functions(functions(I, 0), "float64")
    text = emit_llvm(exp, own=False, rest_lanes=8)
    (few,) = re.findall(r"(%v\d+) = icmp sle i64 %v\d+, 1$", text, re.MULTILINE)
    (border,) = re.findall(rf"(%v\d+) = select i1 {few}, i64 (%v\d+), i64 (%v\d+)", text)
    turns, whole = border[1:]
    assert f"{turns} = call i64 @llvm.smax.i64(" in text
    assert f"{whole} = and i64 {turns}, -16" in text  # two vectors
    assert len(re.findall(rf"phi i64 \[ {border[0]}, ", text)) == 1  # the last turns begin there


@pytest.mark.skipif("+avx512f" not in processor()[1].split(","), reason="no masks: loops have no such parts")
def test_whole_blocks_have_code_for_whole_blocks_only() -> None:
    """Four vectors, two, one number, one masked vector: LLVM adds nothing for turns that there are not."""
    text = emit_llvm(with_own_functions(functions(I, 0), "float64"), own=False, rest_lanes=8)
    assert [text.count(f'interleave.count", i32 {k}}}') for k in (4, 2)] == [1, 1]
    machine = llvm_build._machine(2)
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    llvm_build.optimise(module, machine, llvm_build.CodeShape(20, 20, 20, True, True))
    alone, _, _ = str(module).partition("define void @f_call")
    assert alone.count("  store <8 x double>") == 4 + 2
    assert alone.count("  store double") == 1 + 1  # a single turn, and the sum
    assert alone.count("call void @llvm.masked.store") == 1


@pytest.mark.skipif("+avx512f" not in processor()[1].split(","), reason="no masks: loops have no such parts")
def test_the_last_turns_of_a_loop_over_every_second_number_are_masked_vectors() -> None:
    machine = llvm_build._machine(2)
    module = llvm.parse_assembly(
        emit_llvm(with_own_functions(functions(TWICE, 0), "float64"), own=False, rest_lanes=8)
    )
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    llvm_build.optimise(module, machine, llvm_build.CodeShape(20, 20, 20, True, True))
    alone, _, _ = str(module).partition("define void @f_call")
    assert alone.count("call <16 x double> @llvm.masked.load") > 0
    assert alone.count("call void @llvm.masked.store") > 0
    assert alone.count("  store double") <= 1 + 1  # a turn behind the blocks, and the sum


def test_only_loops_with_functions_have_a_loop_for_their_last_turns() -> None:
    exp = with_own_functions(functions(I, 0), "float64")
    assert emit_llvm(exp, own=False, rest_lanes=8).count("predicate.enable") == 1
    assert "predicate.enable" not in emit_llvm(exp, own=False)
    assert emit_llvm(exp, own=False, rest_lanes=8).count('interleave.count", i32 2}') == 1
    plain = functions(I, 0)
    plain.body[2].body[1] = Compute(3, "mul", (2, 2))
    assert emit_llvm(plain, own=False, rest_lanes=8) == emit_llvm(plain, own=False)
