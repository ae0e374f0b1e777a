"""Long straight-line kernels: quick code first, optimised code later, the same numbers to the bit."""

from __future__ import annotations

import gc
import pickle
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import BadOption
from symgrad.loops.nest import Compute, Const, If, Load, Statement, Store, poly, variable
from symgrad.run import tiers
from symgrad.targets import llvm, llvm_build
from symgrad.targets.liveness import liveness

xs = sp.symbols("x0:12", real=True)
POINT = np.linspace(0.2, 0.9, len(xs))


def long_expression(terms: int) -> sp.Expr:
    """A sum of so many different terms, none of them deep: SymPy is slow with deep ones."""
    total = []
    for k in range(terms):
        a, b, c = (xs[(k * step + k // 12) % len(xs)] for step in (1, 5, 7))
        inner = (a * b + sp.Rational(k + 1, terms)) * c - a / (b + k)
        total.append(sp.sin(inner) if k % 20 == 0 else sp.tanh(inner) if k % 20 == 1 else inner**2 * (c - a))
    return sp.Add(*total, evaluate=False)


@pytest.fixture(scope="module")
def source() -> sg.Program:
    return sg.program(long_expression(240), xs, xs)


def compiled(source: sg.Program, **options: Any) -> sg.Kernel:
    return sg.compile(source, outputs=("value", "grad"), **options)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Nothing is improved before this is set."""
    event, improved = threading.Event(), llvm_build._improved

    def later(*given: Any) -> Any:
        event.wait()
        return improved(*given)

    monkeypatch.setattr(llvm_build, "_improved", later)
    yield event
    event.set()
    tiers.wait()


def bits(result: Any) -> list[bytes]:
    return [np.asarray(part).tobytes() for part in result]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_tiers_give_the_same_bits(source: sg.Program, dtype: str) -> None:
    quick, optimised = (compiled(source, dtype=dtype, tier=tier) for tier in ("quick", "optimised"))
    assert (quick.tier, optimised.tier) == ("quick", "optimised")
    at = POINT.astype(dtype)
    assert bits(quick(*at)) == bits(optimised(*at))


def test_the_numbers_are_those_of_the_reference_evaluator(source: sg.Program) -> None:
    value, grad = compiled(source)(*POINT)
    expected_value, expected_grad = compiled(source, backend="numpy")(*POINT)
    assert value == pytest.approx(expected_value, rel=1e-13)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-11, atol=1e-13)


def test_a_long_kernel_is_called_at_once_and_becomes_optimised(
    source: sg.Program, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "0")
    kernel = compiled(source)
    assert kernel.tier == "quick"
    first, quick_address = kernel(*POINT), kernel.address
    again = kernel(*POINT)  # by machine code alone, from here on
    held.set()
    tiers.wait()
    assert kernel.tier == "optimised" and kernel.address != quick_address
    assert bits(kernel(*POINT)) == bits(again) == bits(first)
    assert bits(kernel(*POINT + 0.0)) == bits(first)


def test_calls_with_the_same_arguments_go_to_the_optimised_code(
    source: sg.Program, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "0")
    kernel = compiled(source)
    kernel(*POINT)
    (plan,) = kernel._plans.values()
    assert plan.record is not None and kernel._built.call_address in plan.record
    held.set()
    tiers.wait()
    kernel(*POINT)
    (plan,) = kernel._plans.values()
    assert plan.record is not None and kernel._built.call_address in plan.record


def test_code_that_is_in_the_cache_is_optimised_from_the_start(
    source: sg.Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(tmp_path))
    first = compiled(source)
    tiers.wait()
    assert first.tier == compiled(source).tier == "optimised"


def test_kernels_that_are_gone_are_not_compiled(
    source: sg.Program, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "0")
    well: list[bool] = []
    compile_module = llvm_build._compile_module

    def counted(text: str, shape: Any, quick: bool, *rest: Any) -> bytes:
        well.append(not quick)
        return compile_module(text, shape, quick, *rest)

    monkeypatch.setattr(llvm_build, "_compile_module", counted)
    kernel = compiled(source)
    del kernel
    held.set()
    tiers.wait()
    assert well and not any(well)


def test_short_kernels_and_kernels_with_loops_are_optimised_at_once() -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    A = sp.MatrixSymbol("A", n, n)
    assert sg.compile(sp.sin(xs[0]) * xs[1], xs[:2]).tier == "optimised"
    assert sg.compile(sp.Trace(A * A.T), (A,), wrt=A, outputs=("value", "grad")).tier == "optimised"


def test_the_quick_tier_of_a_kernel_with_loops_gives_its_numbers() -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    A = sp.MatrixSymbol("A", n, n)
    at = np.random.default_rng(1).normal(size=(7, 7))
    loss = sp.Trace((A * A.T).applyfunc(sp.sin))
    quick, optimised = (
        sg.compile(loss, (A,), wrt=A, outputs=("value", "grad"), tier=tier) for tier in ("quick", "optimised")
    )
    assert quick.tier == "quick"
    assert quick(at)[0] == pytest.approx(optimised(at)[0], rel=1e-13)
    np.testing.assert_allclose(quick(at)[1], optimised(at)[1], rtol=1e-12)


def test_a_kernel_of_many_parts_is_several_modules_with_one_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    source = sg.program(long_expression(400), xs, xs)
    monkeypatch.setattr(llvm, "_PARTS_TOGETHER", 2)
    divided = compiled(source, tier="optimised")
    assert divided.source.count(llvm_build.NEXT_MODULE) > 1
    monkeypatch.undo()
    whole = compiled(source, tier="quick")
    assert llvm_build.NEXT_MODULE not in whole.source
    assert bits(divided(*POINT)) == bits(whole(*POINT))


def test_vectors_are_made_in_the_functions_called_and_not_by_their_callers(source: sg.Program) -> None:
    text = compiled(source, tier="optimised").source
    parts = re.findall(r"^define \w+ void @kernel_part.*?^}", text, re.DOTALL | re.MULTILINE)
    assert any("@symgrad.sin.x8(" in part and "extractvalue" in part for part in parts)
    assert not any("insertelement" in part for part in parts)


def test_long_straight_code_is_neither_moved_before_nor_after_registers_are_allocated(
    source: sg.Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is, is an option of the process: other code is compiled as before."""
    text = compiled(source, tier="optimised").source.split(llvm_build.NEXT_MODULE)[0]
    short = llvm_build.CodeShape(100, 100, 0, loops=False, cells=False)
    long = replace(short, statements=10_000)
    before, without = llvm_build._compile(text, short), llvm_build._compile(text, long)
    assert llvm_build._compile(text, short) == before != without
    only_after = [("-disable-post-ra=true", "-disable-post-ra=false")]
    monkeypatch.setattr(llvm_build, "_left_out", lambda shape: only_after)
    assert llvm_build._compile(text, long) not in (before, without)


def test_nothing_is_collected_while_text_is_written(
    source: sg.Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(llvm, "outlined", lambda routine: (seen.append(gc.isenabled()), routine)[1])
    assert gc.isenabled() and compiled(source, tier="quick").source
    assert seen[-1] is False and gc.isenabled()


def test_pickled_kernels_keep_their_tier(source: sg.Program) -> None:
    kernel = pickle.loads(pickle.dumps(compiled(source, tier="quick")))
    assert kernel.tier == "quick"
    assert bits(kernel(*POINT)) == bits(compiled(source)(*POINT))


def test_a_process_ends_while_its_kernel_is_being_improved(tmp_path: Any) -> None:
    code = """
import sys
sys.path.insert(0, "tests")
from test_tiers import compiled, long_expression, xs, sg, POINT
kernel = compiled(sg.program(long_expression(300), xs, xs))
print(kernel.tier, len(kernel(*POINT)))
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "quick 2\n"


def test_an_unknown_tier_is_refused() -> None:
    with pytest.raises(BadOption) as caught:
        sg.compile(xs[0], tier="fast")
    assert str(caught.value) == (
        "unknown tier 'fast'\n"
        "  where    tier=\n"
        "  because  the tiers are auto, quick, optimised\n"
        '  try      tier="auto", the default'
    )


def test_backends_with_one_tier_have_no_quick_one() -> None:
    with pytest.raises(BadOption) as caught:
        sg.compile(xs[0], backend="numpy", tier="quick")
    assert str(caught.value) == (
        'backend="numpy" has no quick tier\n'
        "  where    tier=\n"
        "  because  only LLVM compiles in more than one way\n"
        '  try      backend="llvm", or leave tier= out'
    )


def test_uses_in_straight_line_code_are_those_found_in_any_code() -> None:
    at = (poly(0),)
    body: list[Statement] = [
        Load(0, "x", at),
        Const(1, ("q", 2, 1)),
        Compute(2, "mul", (0, 1)),
        Compute(3, "add", (2, 0)),
        Compute(4, "sin", (3,)),  # nobody needs it
        Load(5, "z", at),  # nor this
        Store("y", (variable("n"),), 3),
    ]
    straight = liveness(body)
    general = liveness([*body, If(6, [])])
    assert straight.uses == {0: 2, 1: 1, 2: 1, 3: 1, "n": 1}
    assert straight.uses == general.uses - Counter({6: 1}) and straight.inline == general.inline - {6}
    assert straight.buffers == general.buffers == {"x", "y"}
