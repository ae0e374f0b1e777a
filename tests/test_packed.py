"""Many single numbers are one array for the machine code, and what they were for everybody else."""

from __future__ import annotations

import ctypes
import pickle
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad import pipeline
from symgrad.loops.nest import Load, Routine
from symgrad.loops.packed import LEAST, apart, packed
from symgrad.loops.walk import walk
from symgrad.run import records
from symgrad.run.kernel import Kernel
from symgrad.targets.base import target_named

COMPILED = ["llvm", "c"]
N = 20
S = sp.symbols(f"s0:{N}", real=True)
V = sp.IndexedBase("v", shape=(sp.Symbol("n", integer=True, positive=True),))
I = sp.Symbol("i", integer=True)  # noqa: E741  (an index)
K = sp.Symbol("k", integer=True)
n = V.shape[0]
STRAIGHT = sp.Add(*(sp.sin(a * b) + a / (1 + b**2) for a, b in zip(S, S[1:] + S[:1], strict=True)))
LOOPS = sp.Sum(sp.exp(-S[0] * V[I]) * S[1] + sp.Add(*S) * V[I] ** 2, (I, 0, n - 1)) * S[2]
GIVEN = np.linspace(-1.0, 2.0, N)
VECTOR = np.linspace(0.0, 1.0, 6)


def compiled(backend: str, expr: Any = STRAIGHT, args: Any = S, **options: Any) -> Kernel:
    options = {"wrt": S, "outputs": ("value", "grad"), "backend": backend} | options
    return sg.compile(expr, args, **options)


def agree(found: Any, wanted: Any, digits: float = 1e-12) -> None:
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=digits, atol=digits)


def is_packed(k: Kernel) -> bool:
    routine = k._spec.routine
    return routine is not None and bool(routine.apart)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_packed_numbers_give_what_the_reference_gives_in_every_way_of_calling(
    backend: str, dtype: str
) -> None:
    args = (S[0], V, *S[1:])
    values = (GIVEN[0], VECTOR, *GIVEN[1:])
    for expr, own, given in ((STRAIGHT, S, tuple(GIVEN)), (LOOPS, args, values)):
        k = compiled(backend, expr, own, dtype=dtype)
        wanted = compiled("numpy", expr, own)(*given)
        digits = 1e-12 if dtype == "float64" else 2e-5
        given = tuple(np.asarray(x, dtype)[()] if np.ndim(x) else float(x) for x in given)
        first = k(*given)
        agree(first, wanted, digits)
        out = (np.zeros((), dtype), np.zeros(N, dtype))
        boxes = [np.asarray(x, dtype) for x in given]
        names = {a.name if isinstance(a, sp.Symbol) else "v": x for a, x in zip(own, given, strict=True)}
        for again in (k(*given), k(*given, out=out), k(*boxes), k(*boxes, out=out), k(**names)):
            for a, b in zip(again, first, strict=True):
                np.testing.assert_array_equal(a, b)
        assert is_packed(k) and k(*given, out=out) is out


@pytest.mark.parametrize("backend", COMPILED)
def test_samples_of_some_numbers_are_computed_each_by_itself(backend: str) -> None:
    some = [np.array([x, x + 1.0, 1e7]) if k % 3 == 0 else x for k, x in enumerate(GIVEN)]
    k = compiled(backend)
    value, grad = k(*some)
    assert value.shape == (3,) and grad.shape == (3, N) and k.batch_source
    for s in range(3):
        agree((value[s], grad[s]), k(*(x[s] if np.ndim(x) else x for x in some)))
    args = (*S, V)
    loops = compiled(backend, LOOPS, args, threads=2)
    many = [np.broadcast_to(x, (40_000,)) if k % 2 else x for k, x in enumerate(GIVEN)]
    found, wanted = loops(*many, VECTOR), loops(*GIVEN, VECTOR)
    assert not loops.batch_source
    agree((found[0][-1], found[1][20_001]), wanted, 0.0)


@pytest.mark.parametrize("backend", COMPILED)
def test_directions_of_packed_numbers_are_numbers_too(backend: str) -> None:
    k = compiled(backend, outputs=("jvp", "hvp"))
    reference = compiled("numpy", outputs=("jvp", "hvp"))
    for _ in range(2):
        agree(k(*GIVEN, tangent=tuple(GIVEN[::-1])), reference(*GIVEN, tangent=tuple(GIVEN[::-1])))
    assert is_packed(k)


def test_few_numbers_stay_parameters() -> None:
    few, enough = (sp.prod(S[:k]) for k in (LEAST - 1, LEAST))
    assert not is_packed(sg.compile(few, S[: LEAST - 1]))
    assert is_packed(sg.compile(enough, S[:LEAST]))


def test_the_function_takes_the_array_and_then_the_rest() -> None:
    k = compiled("llvm", LOOPS, (S[0], V, *S[1:]), outputs="value")
    result, numbers = np.zeros(1), GIVEN.copy()
    arrays = [x.ctypes.data_as(ctypes.c_void_p) for x in (numbers, VECTOR, result, np.zeros(64))]
    has_work = k.workspace(n=6) > 0
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (3 + has_work), ctypes.c_int64)(k.address)
    function(*arrays[: 3 + has_work], 6)
    assert result[0] == k(GIVEN[0], VECTOR, *GIVEN[1:])


def test_apart_takes_back_what_packed_did() -> None:
    derived = sg.program(STRAIGHT, S, wrt=S).derived(("value", "grad"))
    unit = pipeline.optimise(derived.unit)
    plain, made = (pipeline.routine_of(unit, "kernel", derived.words, packs=packs) for packs in (False, True))
    assert [b.name for b in made.buffers_of("input")] == ["numbers"] and not loads(made) - {"numbers"}
    back = apart(made)
    assert back is not None and back.buffers == plain.buffers and not back.apart
    emit = target_named("c").emit
    assert emit(back) == emit(plain) != emit(made)
    assert packed(made) is made and apart(plain) is plain


def loads(routine: Routine) -> set[str]:
    return {s.buffer for _, s in walk(routine.body, into_parts=True) if isinstance(s, Load)}


@pytest.mark.parametrize("backend", COMPILED)
def test_long_code_has_the_same_bits_in_both_tiers_and_after_pickling(backend: str) -> None:
    terms = [sp.sin(a * b + c) * (a - b) for a in S for b in S[:10] for c in S[:5]]
    expr = sp.Add(*terms, evaluate=False)
    quick = compiled(backend, expr, tier="quick" if backend == "llvm" else "auto")
    good = pickle.loads(pickle.dumps(compiled(backend, expr, tier="optimised")))
    assert is_packed(quick) and is_packed(good)
    given = [np.array([x, 0.5]) if k == 3 else x for k, x in enumerate(GIVEN)]
    agree(quick(*GIVEN), good(*GIVEN), 0.0)
    agree(good(*GIVEN), compiled("numpy", expr)(*GIVEN), 1e-11)
    agree((quick(*given)[1][0],), (good(*GIVEN)[1],), 1e-11)


def test_calls_with_hundreds_of_numbers_need_no_python_code(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = sp.symbols("q0:300", real=True)
    k = sg.compile(sp.Add(*(x**2 for x in symbols)), symbols, symbols, outputs=("value", "grad"))
    point = np.linspace(-1.0, 1.0, 300).tolist()
    wanted = k(*point)
    assert k._record is not None and records.MAX_ARGUMENTS >= 300

    def refuse(*args: Any, **keywords: Any) -> Any:
        raise AssertionError("this call went through Python")

    monkeypatch.setattr(k, "_call", refuse, raising=False)
    out = (np.zeros(()), np.zeros(300))
    for found in (k(*point), k(*point, out=out), k(*map(np.float64, point))):
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_array_equal(found[1], wanted[1])


def test_arrays_of_out_may_be_numbers_that_are_passed() -> None:
    for count in (3, N):
        symbols = S[:count]
        k = sg.compile(sp.Add(*symbols), symbols, symbols[0], outputs=("value", "grad"))
        first = np.array(1.5)
        rest = GIVEN[1:count].tolist()
        for _ in range(2):
            first[()] = 1.5
            value, slope = k(first, *rest, out=(first, None))
            assert value is first and first == k(1.5, *rest)[0] and slope == 1.0
