"""Straight-line code on tape: the interpreter's numbers are those of the optimised code, to the bit."""

from __future__ import annotations

import pickle
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import routines
import sympy as sp

import symgrad as sg
from symgrad.ir.ops import OPS
from symgrad.loops.nest import (
    Bool,
    Buffer,
    Compute,
    Const,
    For,
    FromInt,
    Load,
    Part,
    Routine,
    Statement,
    Store,
    StoreReduce,
    Vector,
    poly,
    variable,
)
from symgrad.loops.nest import Test as IntegerTest
from symgrad.loops.split import split
from symgrad.run import tiers
from symgrad.targets import cache, llvm, llvm_build, own_functions, tape_llvm
from symgrad.targets.base import target_named
from symgrad.targets.tape import instructions, takes_truth, taped

LLVM = target_named("llvm")
SPECIALS = [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 1e308, -1e-310, 3e7, 2.5, -0.75, 710.0, 1e-3]
ORDINARY = [op for op in instructions(False) if op in OPS]


def program_of(ops: list[str], length: int, seed: int, inputs: int = len(SPECIALS)) -> Routine:
    """A random routine: inputs x, then `length` operations on what is there; all numbers are stored."""
    rng = np.random.default_rng(seed)
    body: list[Statement] = [Load(k, "x", (poly(k),)) for k in range(inputs)]
    body += [Const(inputs, ("q", 1, 3)), Const(inputs + 1, ("s", "epsilon")), Bool(inputs + 2, True)]
    body += [FromInt(inputs + 3, poly(7)), IntegerTest(inputs + 4, "ige", poly(-1))]
    reals, truths = [*range(inputs + 2), inputs + 3], [inputs + 2, inputs + 4]
    results: list[int] = []
    for k in range(length):
        op, dst = ops[k % len(ops)], inputs + 5 + k
        row = OPS[op]
        recent = reals[-60:] + reals[:inputs]
        args = tuple(int(rng.choice(truths if takes_truth(op, j) else recent)) for j in range(row.arity))
        body.append(Compute(dst, op, args))
        (truths if row.result == "bool" else reals).append(dst)
        if row.result == "bool":
            body.append(Compute(dst + length, "cast", (dst,)))
        results.append(dst + length if row.result == "bool" else dst)
    body += [Store("y", (poly(k),), result) for k, result in enumerate(results)]
    x, y = Buffer("x", "input", (poly(inputs),)), Buffer("y", "output", (poly(length),))
    return Routine("random", (), (), (x, y), body)


def both(routine: Routine, x: np.ndarray, dtype: str, samples: int = 1) -> list[np.ndarray]:
    """The output in the quick and in the optimised tier."""
    cut = split(replace(routine, contracts=False), limit=100, part=150)
    quick, optimised = (LLVM.build(cut, dtype, tier) for tier in ("quick", "optimised"))
    assert llvm.tape_for(cut, dtype, "quick") is not None
    given = {"x": x}
    return [
        routines.call("llvm", cut, {}, given, dtype, samples, loaded)["y"] for loaded in (quick, optimised)
    ]


def assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    """Equal numbers with equal signs; a nan is a nan."""
    np.testing.assert_array_equal(a, b)
    numbers = ~np.isnan(a)
    np.testing.assert_array_equal(np.signbit(a)[numbers], np.signbit(b)[numbers])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(3))
def test_every_operation_gives_the_bits_of_the_optimised_code(dtype: str, seed: int) -> None:
    with np.errstate(over="ignore"):
        x = np.array(SPECIALS).astype(dtype)
    assert_same_bits(*both(program_of(ORDINARY, 12 * len(ORDINARY), seed), x, dtype))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_so_do_special_functions(dtype: str) -> None:
    """Between others, each where it is defined."""
    rng = np.random.default_rng(6)
    special = [op for op in OPS if OPS[op].llvm.startswith("external")]
    plain = program_of(ORDINARY, 300, 7)
    before, results = plain.body[:-300], plain.body[-300:]
    value = 10_000
    for place, op in enumerate(special):
        row = OPS[op]
        for k in range(row.arity):
            low, high = row.domain[min(k, len(row.domain) - 1)]
            is_order = k == 0 and row.arity == 2  # some are whole numbers
            number = round(high) if is_order else rng.uniform(low, high)
            before.append(Const(value + k, ("q", int(1000 * number), 1000)))
        before.append(Compute(value + row.arity, op, tuple(range(value, value + row.arity))))
        before.append(Store("y", (poly(300 + place),), value + row.arity))
        value += row.arity + 1
    x, y = plain.buffers
    mixed = replace(
        plain, buffers=(x, replace(y, extents=(poly(300 + len(special)),))), body=[*before, *results]
    )
    x0 = np.random.default_rng(5).uniform(0.05, 3, len(SPECIALS)).astype(dtype)
    assert_same_bits(*both(mixed, x0, dtype))


def test_ordinary_inputs_in_many_samples_give_the_same_bits() -> None:
    x = np.random.default_rng(3).normal(size=(5, len(SPECIALS)))
    quick, optimised = both(program_of(ORDINARY, 400, 9), x, "float64", samples=5)
    assert quick.shape == (5, 400)
    assert_same_bits(quick, optimised)


def test_where_code_is_cut_and_what_is_called_at_once_decides_about_no_bit() -> None:
    """Two calls are the library's in short code, three our own at once: in parts all are our own."""
    plain = replace(program_of(["sin", "mul", "exp", "add", "tanh", "sub"], 300, 4), contracts=True)
    x = np.linspace(-2, 2, len(SPECIALS))
    results = []
    for part in (40, 2_000):
        cut = split(plain, 100, part)
        for tier in ("quick", "optimised"):
            loaded = LLVM.build(cut, "float64", tier)
            results.append(routines.call("llvm", cut, {}, {"x": x}, loaded=loaded)["y"])
    for other in results[1:]:
        assert_same_bits(results[0], other)


def test_functions_made_at_once_are_interpreted_one_by_one() -> None:
    """Code beside loops calls vector functions; on tape they are the same functions of one number each."""
    plain = split(
        replace(program_of(["sin", "exp", "tanh", "mul", "add"], 600, 4), contracts=False), 100, 200
    )
    loop = For(
        "i", (poly(0),), (poly(1),), [Load(-1, "x", (variable("i"),)), Store("y", (variable("i"),), -1)]
    )
    beside = replace(plain, body=[loop, *plain.body])
    own = own_functions.with_own_functions(beside, "float64")
    assert any(isinstance(s, Vector) for p in own.body if isinstance(p, Part) for s in p.body)
    x = np.linspace(-2, 2, len(SPECIALS))
    one, other = (
        routines.call("llvm", beside, {}, {"x": x}, loaded=LLVM.build(beside, "float64", tier))["y"]
        for tier in ("quick", "optimised")
    )
    assert_same_bits(one, other)


def test_code_between_parts_and_code_that_no_instruction_stands_for_is_compiled() -> None:
    """A part that reads at a place that depends on a size; a loop between two parts."""
    n = variable("n")
    first: list[Statement] = [Load(0, "x", (poly(0),)), Compute(1, "sin", (0,)), Store("y", (poly(0),), 1)]
    at_size: list[Statement] = [Load(2, "x", (n,)), Store("y", (poly(1),), 2)]
    loop = For("i", (poly(2),), (poly(4),), [Load(3, "x", (variable("i"),)), Store("y", (variable("i"),), 3)])
    last: list[Statement] = [Load(4, "y", (poly(3),)), Compute(5, "neg", (4,)), Store("y", (poly(4),), 5)]
    x, y = Buffer("x", "input", (poly(5),)), Buffer("y", "output", (poly(5),))
    body: list[Statement] = [Part(first), Part(at_size), loop, Part(last)]
    mixed = Routine("mixed", ("n",), ("n",), (x, y), body)
    tape = taped(mixed, "float64", own=True)
    assert tape is not None
    assert [s.name for s in tape.routine.body if isinstance(s, Part)] == ["tape1", "", "tape2"]
    at = np.array([0.5, 1.5, 2.5, 3.5, 4.5])
    for tier in ("quick", "optimised"):
        got = routines.call("llvm", mixed, {"n": 2}, {"x": at}, loaded=LLVM.build(mixed, "float64", tier))[
            "y"
        ]
        np.testing.assert_allclose(got, [np.sin(0.5), 2.5, 2.5, 3.5, -3.5], rtol=1e-15)


# ---- kernels -----------------------------------------------------------------------------------

xs = sp.symbols("x0:6", real=True)
POINT = np.linspace(0.2, 0.9, len(xs))


def long_expression(terms: int) -> sp.Expr:
    """So many terms of which no two are alike."""
    heads = (sp.sin, sp.exp, sp.tanh, sp.sqrt, sp.Abs)
    total = []
    for k in range(terms):
        a, b, c = (xs[(k * step + k // 6) % 6] for step in (1, 2, 5))
        total.append(heads[k % 5](a * b + sp.Rational(k + 1, terms)) * (c - a) ** (2 + k % 3) / (b + k))
    return sp.Add(*total, evaluate=False)


@pytest.fixture(scope="module")
def source() -> sg.Program:
    return sg.program(long_expression(400), xs, xs)


def compiled(source: sg.Program, **options: Any) -> sg.Kernel:
    return sg.compile(source, outputs=("value", "grad"), **options)


def bits(result: Any) -> list[bytes]:
    return [np.asarray(part).tobytes() for part in result]


def test_the_first_form_of_a_long_kernel_is_a_tape(
    source: sg.Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "0")
    texts: list[str] = []
    compile_module = llvm_build._compile_module

    def noted(text: str, shape: Any, quick: bool, *rest: Any) -> bytes:
        texts.append(text)
        return compile_module(text, shape, quick, *rest)

    monkeypatch.setattr(llvm_build, "_compile_module", noted)
    monkeypatch.setattr("symgrad.run.kernel.improve_later", lambda *_: None)
    llvm.provide_interpreter("float64", special=False)
    texts.clear()
    kernel = compiled(source)
    assert kernel.tier == "quick"
    (text,) = texts
    assert text.count("\n") < 150 and "@symgrad.tape.float64" in text
    assert "symgrad.tape" not in kernel.source  # what will be compiled, not what runs now
    assert kernel.source.count("fmul") > 100
    assert bits(kernel(*POINT)) == bits(compiled(source, tier="optimised")(*POINT))


def test_calls_that_have_begun_keep_the_workspace_they_were_made_for(
    source: sg.Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machine code needs another workspace than a tape; threads that call meanwhile never mix them up."""
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "0")
    kernel = compiled(source)
    assert kernel.tier == "quick" and kernel._built.improve is not None
    wanted, quick = bits(kernel(*POINT)), kernel.workspace()
    wrong, stop = list[Any](), threading.Event()

    def work() -> None:
        while not stop.is_set():
            if bits(kernel(*POINT)) != wanted:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    tiers.wait()
    assert kernel.tier == "optimised"
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong and kernel.workspace() != quick
    assert [plan.built for plan in kernel._plans.values()] == [kernel._built] * len(kernel._plans)


def test_code_that_nobody_needs_any_more_is_not_written_to_its_end(
    source: sg.Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends waits for the thread that writes it."""
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "0")
    monkeypatch.setattr("symgrad.run.kernel.improve_later", lambda *_: None)
    monkeypatch.setattr(llvm, "rerolled", lambda routine: routine)  # as loops, it would be a single part
    kernel, asked = compiled(source), list[int]()
    improve = kernel._built.improve
    assert improve is not None

    def is_wanted() -> bool:
        asked.append(len(asked))
        return len(asked) < 5  # some parts of it are written by then

    def unexpected(*_: object) -> bytes:
        raise AssertionError("compiled")

    monkeypatch.setattr(llvm_build, "_compile_module", unexpected)
    assert improve(is_wanted) is None
    assert len(asked) == 5


def test_threads_share_a_tape(source: sg.Program) -> None:
    kernel, found = compiled(source, tier="quick"), list[Any]()
    points = np.random.default_rng(2).uniform(0.2, 0.9, (8, len(xs)))
    wanted = [bits(kernel(*point)) for point in points]

    def work() -> None:
        found.append([bits(kernel(*point)) for _ in range(20) for point in points])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted * 20] * 4


def test_a_tape_outlives_its_kernel_only_while_it_is_used(source: sg.Program) -> None:
    """The machine code around it is shared by kernels with the same text; each tape is its kernel's own."""
    first = compiled(source, tier="quick")
    one = first(*POINT)
    other = compiled(sg.program(2 * long_expression(400), xs, xs), tier="quick")
    two = other(*POINT)
    del first
    again = compiled(source, tier="quick")
    assert bits(again(*POINT)) == bits(one)
    assert bits(other(*POINT)) == bits(two)


def test_a_pickled_tape_gives_the_same_bits(source: sg.Program) -> None:
    kernel = compiled(source, tier="quick")
    copy = pickle.loads(pickle.dumps(kernel))
    assert copy.tier == "quick"
    assert bits(copy(*POINT)) == bits(kernel(*POINT))


def test_batches_of_a_taped_kernel_are_those_of_the_optimised_one(source: sg.Program) -> None:
    points = np.random.default_rng(8).uniform(0.2, 0.9, (len(xs), 11))
    quick, optimised = (compiled(source, tier=tier) for tier in ("quick", "optimised"))
    assert bits(quick(*points)) == bits(optimised(*points))


def test_a_hundred_thousand_operations_on_tape() -> None:
    """A chain that is as deep as it is long: y <- sin(y)*c + y, and its derivative."""
    length = 33_334
    body: list[Statement] = [Load(0, "x", (poly(0),)), Const(1, ("q", 1, 1000))]
    for k in range(length):
        last, new = (3 * k + 1 if k else 0), 3 * k + 2
        body += [
            Compute(new, "sin", (last,)),
            Compute(new + 1, "mul", (new, 1)),
            Compute(new + 2, "add", (new + 1, last)),
        ]
    body.append(Store("y", (poly(0),), 3 * length + 1))
    x, y = Buffer("x", "input", (poly(1),)), Buffer("y", "output", (poly(1),))
    cut = split(Routine("deep", (), (), (x, y), body, contracts=False))
    got = routines.call("llvm", cut, {}, {"x": np.array([0.25])}, loaded=LLVM.build(cut, "float64", "auto"))[
        "y"
    ]
    expected = 0.25
    for _ in range(length):
        expected += np.sin(expected) * 0.001
    assert got[0] == pytest.approx(expected, rel=1e-12)


# ---- the cache ---------------------------------------------------------------------------------


KEPT: list[dict[str, Any]] = []  # LLVM goes on calling the interpreter it was given last


def test_a_corrupt_interpreter_in_the_cache_is_made_anew(
    source: sg.Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = bits(compiled(source, tier="quick")(*POINT))
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(tmp_path))
    key = llvm_build.provided_key(tape_llvm.name_of("float64", False))
    entry = tmp_path / "kernels" / f"{key}.entry"

    def as_in_a_new_process() -> list[bytes]:
        monkeypatch.setattr(llvm_build, "_provided", {})
        KEPT.append(llvm_build._provided)
        return bits(compiled(source, tier="quick")(*POINT))

    assert as_in_a_new_process() == wanted
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-100] + bytes(100))
    assert cache.found(key) is None
    assert as_in_a_new_process() == wanted
    assert entry.read_bytes() == whole


def test_optimised_code_is_found_by_its_tape(
    source: sg.Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(llvm_build, "_recent", llvm_build._build)
    first = compiled(source)
    assert first.tier == "quick"
    tiers.wait()
    assert first.tier == "optimised"
    monkeypatch.setattr(llvm, "_module", lambda routine, dtype, tape: llvm._Module(routine, dtype, tape=tape))
    again = compiled(source)  # nothing but the form on tape is written out
    assert again.tier == "optimised"
    assert bits(again(*POINT)) == bits(first(*POINT))


def test_other_constants_are_another_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two tapes that differ in one constant have the same quick text."""
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(tmp_path))
    one, other = (
        compiled(sg.program(long_expression(400) + c * xs[0] * xs[1] * xs[2], xs, xs)) for c in (3, 5)
    )
    tiers.wait()
    again = compiled(sg.program(long_expression(400) + 3 * xs[0] * xs[1] * xs[2], xs, xs))
    assert again.tier == "optimised"
    assert bits(again(*POINT)) == bits(one(*POINT)) != bits(other(*POINT))


def test_code_with_loops_that_fill_results_is_taped_too() -> None:
    """The gradient by an array begins with a loop that writes zeros; statements add to them."""
    plain = program_of(["mul", "sin", "add", "sub"], 2_300, 3)
    reduced = [StoreReduce("sum", "y", s.index, s.src) if isinstance(s, Store) else s for s in plain.body]
    zero = 100_000
    fill = For("i", (poly(0),), (poly(2_300),), [Store("y", (variable("i"),), zero)])
    body: list[Statement] = [Const(zero, ("q", 0, 1)), fill, *reduced]
    kernel = replace(plain, body=body, contracts=False)
    quick = LLVM.build(kernel, "float64", "auto")
    assert quick.improve is not None
    x = np.random.default_rng(1).normal(size=len(SPECIALS))
    one, other = (
        routines.call("llvm", kernel, {}, {"x": x}, loaded=loaded)["y"]
        for loaded in (quick, LLVM.build(kernel, "float64", "optimised"))
    )
    assert_same_bits(one, other)
    contracted = replace(kernel, contracts=True)  # its loops and what is fused would give other numbers
    assert llvm.tape_for(contracted, "float64", "auto") is None


def test_numbers_in_memory_are_updated() -> None:
    x, y = Buffer("x", "input", (poly(3),)), Buffer("y", "output", (poly(2),))
    body: list[Statement] = [Load(k, "x", (poly(k),)) for k in range(3)]
    body += [Store("y", (poly(0),), 0), Store("y", (poly(1),), 0)]
    body += [StoreReduce("sum", "y", (poly(0),), 1), StoreReduce("prod", "y", (poly(1),), 2)]
    body += [StoreReduce("sum", "y", (poly(0),), 2)]
    kernel = Routine("update", (), (), (x, y), [Part(body)])
    assert llvm.tape_for(kernel, "float64", "quick") is not None
    at = np.array([2.0, 3.0, 5.0])
    got = routines.call("llvm", kernel, {}, {"x": at}, loaded=LLVM.build(kernel, "float64", "quick"))["y"]
    np.testing.assert_array_equal(got, [10.0, 10.0])
