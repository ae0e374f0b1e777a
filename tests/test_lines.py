"""Long straight-line code that is not written out: the same statements, and the same numbers from a tape."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad import pipeline
from symgrad.loops import runs
from symgrad.loops.lines import Lines
from symgrad.loops.nest import Compute, Const, For, Routine, Run, Statement, Store, StoreReduce, poly
from symgrad.loops.runs import with_lines
from symgrad.loops.walk import has_blocks, types_in
from symgrad.targets.base import target_named
from symgrad.targets.tape import taped

X = sp.symbols("x0:6", real=True)
A = sp.IndexedBase("a", shape=(3,))
LLVM = target_named("llvm")
TIERS = ("quick", "optimised")
POINTS = [np.array([0.3, -0.7, 1.25, 2.0, -0.0, 0.5]), np.array([np.inf, 1.0, np.nan, -2.0, 3.0, 1e30])]


def formula(length: int, x: Sequence[Any] = X, seed: int = 1) -> sp.Expr:
    """A random formula of six numbers, with functions of one to three arguments; SymPy evaluates nothing."""
    rng = np.random.default_rng(seed)
    parts: list[Any] = [*x, A[0], A[2]]
    if x is X:  # a choice by entries of an array is made by a condition
        parts += [sp.Piecewise((x[k], x[k + 1] > x[k - 1]), (x[0] * x[k], True)) for k in range(1, 5)]
    for _ in range(length):
        a, b = (parts[-1 - int(k)] for k in rng.integers(0, min(len(parts), 30), 2))
        kind = int(rng.integers(0, 6))
        if kind < 2:
            made = (sp.Mul, sp.Add)[kind](a, b, evaluate=False)
        elif kind < 5:
            made = (sp.sin, sp.cos, sp.tanh)[kind - 2](a, evaluate=False)
        else:
            made = sp.atan2(a, b, evaluate=False)
        parts.append(made)
    return sp.Add(*parts[-20:], evaluate=False)


def routine(monkeypatch: pytest.MonkeyPatch | None, outputs: Sequence[str] = ("value", "grad")) -> Routine:
    """Value and gradient of a long formula; with `monkeypatch`, every statement written out."""
    derived = sg.program(formula(900), (*X, A), X).derived(outputs)
    unit = pipeline.optimise(derived.unit)
    if monkeypatch is None:
        return pipeline.routine_of(unit, "lines", derived.words, search=False)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "LEAST", 10**9)
        return pipeline.routine_of(unit, "lines", derived.words, search=False)


def numbers(code: Routine, dtype: str, tier: str, x: np.ndarray) -> list[bytes]:
    loaded = LLVM.build(code, dtype, tier)
    value, grad = np.zeros((), dtype), np.zeros(6, dtype)
    work = np.empty(100_000, dtype)
    inputs = [*np.asarray(x, dtype).reshape(6, 1), np.array([0.5, 1.5, -2.5], dtype)]
    arrays = [*inputs, value, grad, work]
    pointers = np.array([a.ctypes.data for a in arrays], dtype=np.uintp)
    loaded.call(pointers.ctypes.data, np.array([1, 0, 0, 0], dtype=np.int64).ctypes.data)
    return [np.where(np.isnan(a), np.nan, a).astype(dtype).tobytes() for a in (value, grad)]


def test_the_statements_are_those_that_would_have_been_written(monkeypatch: pytest.MonkeyPatch) -> None:
    short, written = routine(None), routine(monkeypatch)
    assert isinstance(short.body, Lines) and isinstance(written.body, list)
    assert [*short.body] == written.body
    assert len(short.body) == len(written.body) > 4_000
    assert short.body[7:900:3] == written.body[7:900:3] and short.body[-1] == written.body[-1]
    assert not any(isinstance(s, Run) for s in short.body)


def test_what_passes_ask_first_is_known_without_writing_the_statements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short, written = routine(None).body, routine(monkeypatch).body
    monkeypatch.setattr(Lines, "__iter__", None)
    assert types_in(short) == types_in(written) and not has_blocks(short)
    assert isinstance(short, Lines)
    assert short.others() == [s for s in written if type(s) is not Compute]
    assert short.ops() == {s.op for s in written if isinstance(s, Compute)}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_tape_written_backwards_computes_the_same_numbers_to_the_bit(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, written = routine(None), routine(monkeypatch)
    for x in POINTS:
        forwards = numbers(written, dtype, "quick", x)
        assert numbers(short, dtype, "quick", x) == forwards
    assert numbers(short, dtype, "optimised", POINTS[0]) == numbers(written, dtype, "quick", POINTS[0])


def test_a_tape_takes_no_more_slots_than_values_are_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    short, written = (taped(_in_one_part(r), "float64", True) for r in (routine(None), routine(monkeypatch)))
    assert short is not None and written is not None
    (backwards,), (forwards,) = short.segments.values(), written.segments.values()
    assert backwards.slots <= forwards.slots
    assert len(short.data) == len(written.data)


def _in_one_part(code: Routine) -> Routine:
    return pipeline.split(code, part=len(code.body))


def test_values_that_nobody_reads_and_numbers_added_in_memory_are_on_tape_too() -> None:
    body = routine(None).body
    assert isinstance(body, Lines)
    run = body.runs[0]
    dead = replace(run, nodes=[*run.nodes])  # a second time: nobody reads those values
    stores = [s for s in body.pieces if isinstance(s, Store)]
    value = stores[0]
    twice: list[Statement] = [dead, run, value, StoreReduce("sum", value.buffer, value.index, value.src)]
    code = replace(routine(None), body=Lines(twice))
    (once,) = np.frombuffer(numbers(routine(None), "float64", "quick", POINTS[0])[0])
    (double,) = np.frombuffer(numbers(code, "float64", "quick", POINTS[0])[0])
    assert double == 2 * once != 0


def test_functions_of_scipy_are_on_tape_as_well() -> None:
    terms = [sp.besselj(1, X[k % 6] + k) * sp.gamma(X[(k + 1) % 6] + k % 7 + 1) for k in range(700)]
    quick, good = (
        sg.compile(sp.Add(*terms, evaluate=False), args=X, tier=tier) for tier in ("quick", "optimised")
    )
    assert isinstance(quick._spec.routine.body, Lines)
    assert quick(*POINTS[0]) == good(*POINTS[0])


def test_a_kernel_with_lines_is_pickled_with_its_statements() -> None:
    kernel = sg.compile(formula(900), args=(*X, A), wrt=X, outputs=("value", "grad"), tier="quick")
    again = pickle.loads(pickle.dumps(kernel))
    assert again._spec.routine.body == [*kernel._spec.routine.body]
    given = (*POINTS[0], np.array([0.5, 1.5, -2.5]))
    for one, other in zip(kernel(*given), again(*given), strict=True):
        np.testing.assert_array_equal(one, other)


def test_loops_that_fill_a_gradient_run_first(monkeypatch: pytest.MonkeyPatch) -> None:
    v = sp.IndexedBase("v", shape=(6,))
    expr = formula(900, [v[k] for k in range(6)])
    kernels = [sg.compile(expr, args=(v, A), wrt=v, outputs=("value", "grad"), tier="quick")]
    monkeypatch.setattr(runs, "LEAST", 10**9)
    kernels += [sg.compile(expr, args=(v, A), wrt=v, outputs=("value", "grad"), tier=tier) for tier in TIERS]
    body = kernels[0]._spec.routine.body
    assert isinstance(body, Lines) and [type(s) for s in body.before] == [Const, For]
    assert isinstance(kernels[1]._spec.routine.body, list)
    value, gradient = kernels[0](POINTS[0], [0.5, 1.5, -2.5])
    assert np.count_nonzero(gradient) == 5 and gradient[5] == 0  # which the formula does not have
    for kernel in kernels[1:]:
        again = kernel(POINTS[0], [0.5, 1.5, -2.5])
        assert again[0] == value and (again[1] == gradient).all()


def test_a_loop_that_fills_what_was_stored_before_it_stays_behind() -> None:
    lines = routine(None).body
    assert isinstance(lines, Lines)
    value = next(s for s in lines.pieces if isinstance(s, Store))
    zero = Const(10**6, ("q", 0, 1))
    fill = For("i", (poly(0),), (poly(1),), [Store(value.buffer, value.index, zero.dst)])
    late: list[Statement] = [*lines.pieces, zero, fill]
    assert with_lines(late) == [*Lines(late)]
    early = with_lines([lines.pieces[0], zero, fill, *lines.pieces[1:]])
    assert isinstance(early, Lines) and early.before == (zero, fill)


def test_code_with_loops_beside_it_is_written_out() -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    v, i = sp.IndexedBase("v", shape=(n,)), sp.Idx("i", n)
    plain = sg.compile(formula(900), args=(*X, A), outputs=("value", "grad"), tier="quick")
    kernel = sg.compile(
        formula(900) + sp.Sum(v[i] ** 2, i), args=(*X, A, v), outputs=("value", "grad"), tier="quick"
    )
    assert isinstance(kernel._spec.routine.body, list)
    assert not any(isinstance(s, Run) for s in kernel._spec.routine.body)
    given = (*POINTS[0], np.array([0.5, 1.5, -2.5]))
    value, _ = kernel(*given, np.array([3.0, 4.0]))
    np.testing.assert_allclose(value, plain(*given)[0] + 25, rtol=1e-13)
