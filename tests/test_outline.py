"""Nests as functions of their own: the same numbers, and equal nests are one function."""

from __future__ import annotations

import re

import llvmlite.binding as binding
import numpy as np
import pytest
import sympy as sp
from programs import program_named

import symgrad as sg
from symgrad.loops.nest import Buffer, Call, Compute, For, Load, Routine, Statement, Store, poly, variable
from symgrad.loops.walk import walk
from symgrad.pipeline import optimise, routine_of
from symgrad.program import program
from symgrad.targets import llvm, llvm_build, outline
from symgrad.targets.host import processor

n = sp.Symbol("n", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
x = sp.IndexedBase("x", shape=(n,))
index = sp.IndexedBase("index", shape=(n,))


def everything(routine: Routine) -> Routine:
    return outline.outlined(routine, least=0)


def nothing(routine: Routine) -> Routine:
    return routine


CASES = {
    "sums into registers around the loop": sp.Sum(x[i] ** 2, (i, 0, n - 1))
    * sp.Sum(sp.exp(x[i]), (i, 0, n - 1)),
    "sine and cosine with large arguments": sp.Sum(sp.sin(x[i] * 1e9) + sp.cos(x[i]), (i, 0, n - 1)),
    "two loops with guards": sp.Sum(
        sp.Sum(sp.Piecewise((x[i] * x[j], i < j), (0, True)), (j, 0, n - 1)), (i, 0, n - 1)
    ),
    "largest entries": sp.log(sp.Sum(sp.exp(x[i]), (i, 0, n - 1)))
    + sp.Sum(sp.Max(x[i], x[0]), (i, 0, n - 1)),
    "values from outside": sp.Sum(sp.Sum(x[i] * sp.sqrt(x[j] ** 2 + 2), (j, 0, i)), (i, 0, n - 1)) / n,
}


@pytest.mark.parametrize("case", CASES)
def test_outlined_loops_give_the_same_numbers(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for change in (nothing, everything):
        monkeypatch.setattr(llvm, "outlined", change)
        kernel = sg.compile(CASES[case], args=(x,), wrt=x, outputs=("value", "grad"))
        assert ("_nest" in kernel.source) == (change is everything)
        results.append(kernel(np.linspace(0.3, 2.1, 37)))
    (value, grad), (outlined_value, outlined_grad) = results
    assert outlined_value == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(outlined_grad, grad, rtol=1e-13)


@pytest.mark.parametrize(
    "name", ["dense_matrix", "max_pool", "mixture_diagonal", "gaussian_likelihood", "physics_informed"]
)
def test_every_loop_of_a_program_can_be_a_function(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = program_named(name)
    results = []
    for change in (nothing, everything):
        monkeypatch.setattr(llvm, "outlined", change)
        kernel = sg.compile(shared.expr, args=shared.args, wrt=shared.wrt, outputs=("value", "grad"))
        results.append(kernel(*shared.inputs(3).values()))
    for before, after in zip(*results, strict=True):
        parts = zip(before, after, strict=True) if isinstance(before, tuple) else [(before, after)]
        for b, a in parts:
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def chain(length: int) -> Routine:
    """Each array from the one before, in loops that differ in names alone."""
    size = (variable("n"),)
    names = ["x", *(f"t{k}" for k in range(1, length)), "y"]
    roles = ["input", *["work"] * (length - 1), "output"]
    body: list[Statement] = []
    for k in range(length):
        at = (variable(f"i{k}"),)
        inside: list[Statement] = [
            Load(10 * k, names[k], at),
            Compute(10 * k + 1, "exp" if k == 0 else "sin", (10 * k,)),
            Store(names[k + 1], at, 10 * k + 1),
        ]
        body.append(For(f"i{k}", (poly(0),), size, inside))
    buffers = tuple(Buffer(name, role, size) for name, role in zip(names, roles, strict=True))
    return Routine("chain", ("n",), ("n",), buffers, body)


def test_equal_nests_are_one_function() -> None:
    calls = [s for _, s in walk(outline.outlined(chain(30), least=0).body) if isinstance(s, Call)]
    assert len(calls) == 30
    assert len({s.function for s in calls}) == 2
    assert [s.buffers for s in calls[:2]] == [("x", "t1"), ("t1", "t2")]
    text = llvm.emit_llvm(chain(30))
    assert text.count("define internal void") == 3  # exp, sin, and sin of large arguments


def test_short_routines_stay_as_they_are() -> None:
    source = program(sp.Sum(x[i] ** 2, (i, 0, n - 1)), (x,), (x,))
    derived = source.derived(("value", "grad"))
    routine = routine_of(optimise(derived.unit), "short", derived.words)
    assert outline.outlined(routine) is routine


def test_a_recurrence_with_its_gradient_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    W, h0 = sp.MatrixSymbol("W", n, n), sp.MatrixSymbol("h0", n, 1)
    h = sg.scan(lambda h, t: (W * h).applyfunc(sp.tanh) + h0, h0, 5).final
    results = []
    for change in (nothing, everything):
        monkeypatch.setattr(llvm, "outlined", change)
        kernel = sg.compile((h.T * h)[0, 0], args=(W, h0), wrt=(W, h0), outputs=("value", "grad"))
        results.append(kernel(np.linspace(-1, 1, 16).reshape(4, 4), np.linspace(0.2, 0.5, 4).reshape(4, 1)))
    (value, grads), (outlined_value, outlined_grads) = results
    assert outlined_value == pytest.approx(value, rel=1e-14)
    for grad, outlined_grad in zip(grads, outlined_grads, strict=True):
        np.testing.assert_allclose(outlined_grad, grad, rtol=1e-12)


def test_what_is_inside_a_long_loop_over_time_becomes_functions_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outline, "_MOST_TOGETHER", 5)
    W, h0 = sp.MatrixSymbol("W", n, n), sp.MatrixSymbol("h0", n, 1)
    h = sg.scan(lambda h, t: (W * h).applyfunc(sp.tanh) + t * h0, h0, 5).final
    kernel = sg.compile((h.T * h)[0, 0], args=(W, h0), wrt=(W, h0), outputs=("value", "grad"))
    monkeypatch.setattr(llvm, "outlined", everything)
    parts = sg.compile((h.T * h)[0, 0], args=(W, h0), wrt=(W, h0), outputs=("value", "grad"))
    assert parts.source.count("define internal void") > 5
    at = np.linspace(-1, 1, 16).reshape(4, 4), np.linspace(0.2, 0.5, 4).reshape(4, 1)
    assert parts(*at)[0] == pytest.approx(kernel(*at)[0], rel=1e-14)
    np.testing.assert_allclose(parts(*at)[1][0], kernel(*at)[1][0], rtol=1e-12)


@pytest.mark.skipif(
    "+avx512f" not in processor()[1].split(","), reason="its vectors are as wide as the stack"
)
def test_vectors_without_a_register_lie_in_one_line_of_the_cache() -> None:
    """The stack begins with a line in functions of loops: what is kept there is stored and loaded aligned."""
    p = program_named("batch_norm")
    unit = optimise(program(p.expr, p.args, p.wrt).derived(("value", "grad")).unit)
    routine = routine_of(unit, "f", ("value", "grad"))
    machine = llvm_build._machine(2)
    module = binding.parse_assembly(llvm.emit_llvm(routine, rest_lanes=8))
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    llvm_build.optimise(module, machine, llvm.shape_of(routine))
    kept = re.findall(r"\bvmov(\w)p[sd]\s+%zmm\d+, [-\w]*\(%rsp\)", machine.emit_assembly(module))
    assert kept and set(kept) == {"a"}
