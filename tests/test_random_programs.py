"""Random programs through the passes, the loop nests and machine code, against the reference evaluator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from routines import call
from strategies import RandomProgram, scalar_programs, tensor_programs
from tolerances import assert_close

from symgrad.ir.check import check
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.reduce import needs_its_guards
from symgrad.ir.unit import Unit
from symgrad.loops.lower import Interface, lower
from symgrad.loops.split import split
from symgrad.opt.passes import PASSES


def unit_of(program: RandomProgram) -> Unit:
    names = program.graph.tensors
    inputs = tuple((names[t].name, t) for t in program.inputs)
    return Unit(program.graph, inputs, tuple(program.outputs.items()))


def values(unit: Unit, program: RandomProgram) -> dict[str, np.ndarray]:
    arrays = {program.graph.tensors[t].name: array for t, array in program.arrays().items()}
    inputs = {t: arrays[name] for name, t in unit.inputs}
    names, tensors = zip(*unit.outputs, strict=True)
    return dict(zip(names, evaluate(unit.graph, tensors, inputs, program.sizes), strict=True))


def after_passes(unit: Unit) -> list[tuple[str, Unit]]:
    stages = []
    for name, run in PASSES:
        unit = unit.moved(*run(unit.graph, unit.roots))
        stages.append((name, unit))
    return stages


@settings(max_examples=60, deadline=None, derandomize=True)
@given(tensor_programs(min_size=0, smooth=False))
def test_no_pass_changes_what_a_tensor_program_means(program):
    unit = unit_of(program)
    wanted = values(unit, program)
    for name, made in after_passes(unit):
        check(made.graph, made.roots)
        for output, found in values(made, program).items():
            np.testing.assert_allclose(found, wanted[output], rtol=1e-10, atol=1e-10, err_msg=name)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(scalar_programs(smooth=False))
def test_no_pass_changes_what_a_scalar_program_means(program):
    unit = unit_of(program)
    wanted = values(unit, program)
    for name, made in after_passes(unit):
        check(made.graph, made.roots)
        for output, found in values(made, program).items():
            np.testing.assert_allclose(found, wanted[output], rtol=1e-12, atol=1e-12, err_msg=name)


def compiled(program: RandomProgram, dtype: str) -> dict[str, np.ndarray]:
    """The outputs by machine code. Two outputs that are one tensor are computed once."""
    unit = after_passes(unit_of(program))[-1][1]
    g, distinct = unit.graph, {}
    for name, t in unit.outputs:
        if g.tensors[t].kind != "input":
            distinct.setdefault(t, name)
    routine = split(lower(g, Interface("kernel", unit.inputs, tuple((n, t) for t, n in distinct.items()))))
    arrays = {program.graph.tensors[t].name: array for t, array in program.arrays().items()}
    symbols = {b.name: b.symbol for b in routine.buffers}
    inputs = {b.name: arrays[b.symbol] for b in routine.buffers_of("input")}
    sizes = {n: program.sizes[s] for n, s in zip(routine.sizes, routine.size_symbols, strict=True)}
    return {symbols[name]: array for name, array in call("llvm", routine, sizes, inputs, dtype).items()}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(program=tensor_programs(min_size=0))
def test_machine_code_of_tensor_programs_agrees_with_the_reference(program, dtype):
    wanted = values(unit_of(program), program)
    for name, found in compiled(program, dtype).items():
        assert_close(found.reshape(wanted[name].shape), wanted[name], dtype, factor=100)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(program=scalar_programs())
def test_machine_code_of_scalar_programs_agrees_with_the_reference(program, dtype):
    wanted = values(unit_of(program), program)
    for name, found in compiled(program, dtype).items():
        assert_close(found.reshape(wanted[name].shape), wanted[name], dtype, factor=100)


def guarded_twice() -> tuple[Graph, list[TensorId], TensorId, TensorId]:
    """Two sums that both need exp(x[p - k]), each only where p >= k."""
    g = Graph()
    n = g.size("n")
    x, y = g.input("x", (n,)), g.input("y", (n,))
    p, k = g.fresh_axis(n), g.fresh_axis(n)
    d = g.isub(p, k)
    e = g.node("exp", g.read(x, d))
    sums = [
        g.define("sum", (p,), (k,), g.mask(g.ige0(d), g.mul(e, factor)))
        for factor in (g.read(y, k), g.node("sin", g.read(y, k)))
    ]
    return g, sums, x, y


def test_a_value_shared_by_two_guarded_sums_is_not_computed_where_both_guards_fail():
    g, sums, x, y = guarded_twice()
    unit = Unit(g, (("x", x), ("y", y)), tuple((f"s{i}", t) for i, t in enumerate(sums)))
    program = RandomProgram(g, [x, y], dict(unit.outputs), {"n": 4})
    wanted = values(unit, program)
    for _, made in after_passes(unit):
        for name, found in values(made, program).items():
            np.testing.assert_allclose(found, wanted[name])


def test_what_needs_its_guards_is_what_reads_out_of_range_without_them():
    g, sums, _, _ = guarded_twice()
    body = g.tensors[sums[0]].body
    bound = needs_its_guards(g, (body,))
    assert {g.op[n] for n in bound} == {"read", "exp", "mul"}
    assert body not in bound
