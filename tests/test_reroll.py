"""Repeated parts of long straight-line code become loops that compute the same numbers to the bit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from routines import TARGETS, call

import symgrad as sg
from symgrad import pipeline
from symgrad.loops.nest import (
    Buffer,
    Compute,
    Const,
    For,
    Load,
    LoadInt,
    Poly,
    Routine,
    Statement,
    Store,
    poly,
)
from symgrad.loops.reroll import rerolled, to_reroll
from symgrad.loops.reroll.schedule import components
from symgrad.loops.split import split
from symgrad.loops.walk import walk
from symgrad.targets import llvm

X = sp.symbols("x0:90", real=True)
a, b, h = sp.symbols("a b h", real=True)


def rosenbrock(n: int) -> tuple[Any, Any]:
    x = X[:n]
    terms = [100 * (x[k + 1] - x[k] ** 2) ** 2 + (1 - x[k]) ** 2 for k in range(n - 1)]
    return sp.Add(*terms, evaluate=False), x


def indexed_rosenbrock(n: int) -> tuple[Any, Any]:
    x = sp.IndexedBase("x", shape=(n,))
    return sp.Add(*(100 * (x[k + 1] - x[k] ** 2) ** 2 + (1 - x[k]) ** 2 for k in range(n - 1))), x


def lennard_jones(n: int) -> tuple[Any, Any]:
    P = sp.MatrixSymbol("P", n, 3)
    pairs = itertools.combinations(range(n), 2)
    squares = [sum((P[i, k] - P[j, k]) ** 2 for k in range(3)) for i, j in pairs]
    return sp.Add(*(4 * (r**-6 - r**-3) for r in squares)), P


def matrix(n: int) -> tuple[Any, Any]:
    x, y = X[:n], X[n : 2 * n]
    return sp.Matrix(n, n, lambda i, j: sp.exp(-((x[i] - y[j]) ** 2)) / (1 + x[i] * sp.sin(y[j])) + j), None


def pieces(n: int) -> tuple[Any, Any]:
    x = X[:n]
    knot = sp.Rational(1, 3)
    terms = [
        sp.Piecewise((sp.exp(u * v) * v, u > v), (sp.log(1 + u**2) - v, u > knot), (u * v, True))
        for u, v in itertools.pairwise(x)
    ]
    return sp.Add(*terms, evaluate=False), x


def pendulum(steps: int) -> tuple[Any, Any]:
    angle, speed = a, b
    for _ in range(steps):
        speed = speed - h * sp.sin(angle)
        angle = angle + h * speed
    return angle**2 + speed**2, (a, b)


def layer(inputs: int, units: int) -> tuple[Any, Any]:
    """The sum of a layer, squared, and its weights."""
    weights = [sp.Symbol(f"w{k:03}", real=True) for k in range(inputs * units)]
    data = sp.symbols(f"x0:{inputs}", real=True)
    rows = [sum(weights[k * units + j] * data[k] for k in range(inputs)) for j in range(units)]
    return sp.Add(*map(sp.tanh, rows)) ** 2, weights


CASES = {
    "layer": layer(9, 20),
    "Rosenbrock, symbols": rosenbrock(90), "Rosenbrock, array": indexed_rosenbrock(90),
    "Lennard-Jones": lennard_jones(10), "matrix": matrix(20), "pieces": pieces(90),
    "time steps": pendulum(80),
}  # fmt: skip


def straight(name: str, monkeypatch: pytest.MonkeyPatch) -> Routine:
    """Value and gradient as straight-line code, as long code is compiled: without contraction."""
    expression, wrt = CASES[name]
    monkeypatch.setattr(pipeline, "rerolled", lambda routine: routine)
    derived = sg.program(expression, wrt=wrt).derived(("value",) if wrt is None else ("value", "grad"))
    routine = pipeline.routine_of(pipeline.optimise(derived.unit), "kernel", derived.words)
    return replace(routine, contracts=False)


def search_all_code(monkeypatch: pytest.MonkeyPatch) -> list[Routine]:
    """From now on loops are looked for in short code too; what was found."""
    found: list[Routine] = []

    def search(routine: Routine) -> Routine:
        found.append(rerolled(routine, 0, 80))
        return found[-1]

    monkeypatch.setattr(pipeline, "to_reroll", lambda routine: to_reroll(routine, 0))
    monkeypatch.setattr(llvm, "rerolled", search)
    return found


def rolled(routine: Routine) -> Routine:
    """The routine with loops, however short it is; fails if nothing became a loop."""
    made = rerolled(routine, 0, 80)
    assert made.straight is not None
    return made


def length(routine: Routine) -> int:
    return sum(1 for _ in walk(routine.body))


def test_long_sums_stand_in_loops_of_their_own_so_that_what_uses_them_becomes_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = rolled(straight("layer", monkeypatch))
    (tanh,) = (s for s in made.body if isinstance(s, For) and "tanh" in ops_of(s.body))
    assert not any(isinstance(s, For) for s in tanh.body)
    sums = [s for s in made.body if isinstance(s, For) and any(isinstance(inner, For) for inner in s.body)]
    assert any("add" in ops_of(s.body) for s in sums)


def test_products_of_weights_and_data_read_both_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = rolled(straight("layer", monkeypatch))
    loops = [s for s in made.body if isinstance(s, For) and ops_of(s.body) == {"mul"}]
    assert loops and not any(isinstance(s, LoadInt) for _, s in walk(loops))


def ops_of(body: Sequence[Statement]) -> set[str]:
    return {s.op for _, s in walk(body) if isinstance(s, Compute)}


def inputs(routine: Routine, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {b.name: [sum(k for _, k in e) for e in b.extents] for b in routine.buffers_of("input")}
    return {name: rng.uniform(-1.5, 1.5, shape) for name, shape in shapes.items()}


def same_to_the_bit(target: str, one: Routine, other: Routine, dtype: str = "float64") -> bool:
    given = inputs(one)
    results = [call(target, split(r), {}, given, dtype) for r in (one, other)]
    return all(bits(results[0][name]) == bits(results[1][name]) for name in results[0])


def bits(numbers: np.ndarray) -> bytes:
    """The numbers to the bit; IEEE 754 leaves open which bits a nan has."""
    return np.where(np.isnan(numbers), np.nan, numbers).astype(numbers.dtype).tobytes()


# ---- the same numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_loops_compute_the_same_numbers_to_the_bit(
    name: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    routine = straight(name, monkeypatch)
    made = rolled(routine)
    assert length(made) * 2 < length(routine)
    assert same_to_the_bit(target, routine, made)


def test_loops_compute_the_same_numbers_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pieces", "matrix"):
        routine = straight(name, monkeypatch)
        assert same_to_the_bit("llvm", routine, rolled(routine), "float32")


@pytest.mark.parametrize("name", ["pieces", "Rosenbrock, array"])
def test_a_kernel_with_rolled_loops_agrees_with_the_reference(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expression, wrt = CASES[name]
    found = search_all_code(monkeypatch)
    outputs = ("value", "grad")
    kernels = [
        sg.compile(expression, wrt=wrt, outputs=outputs, backend=k, tier="optimised")
        for k in ("llvm", "numpy")
    ]
    assert any(isinstance(s, For) for s in found[0].body)
    shape = () if isinstance(wrt, tuple) else (90,)
    arguments = [np.random.default_rng(3).uniform(-1, 1, shape) for _ in kernels[0].signature.arguments]
    for got, wanted in zip(kernels[0](*arguments), kernels[1](*arguments), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_a_batch_is_computed_side_by_side_without_the_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    expression, wrt = CASES["pieces"]
    plain = sg.compile(expression, wrt=wrt, outputs="grad")
    found = search_all_code(monkeypatch)
    kernel = sg.compile(expression, wrt=wrt, outputs="grad", tier="optimised")
    assert found[0].straight is not None
    points = np.random.default_rng(5).uniform(-1, 1, (len(wrt), 21))
    assert (kernel(*points) == plain(*points)).all()


# ---- how much code -----------------------------------------------------------------------------


def test_code_does_not_grow_with_the_number_of_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    for n in (120, 240):
        monkeypatch.setitem(CASES, "n", indexed_rosenbrock(n))
        lengths.append(length(rolled(straight("n", monkeypatch))))
    assert lengths[0] == lengths[1] < 100


def test_a_matrix_of_one_formula_is_two_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rolled(straight("matrix", monkeypatch))
    outer = max((s for s in made.body if isinstance(s, For)), key=lambda loop: length_of(loop))
    (inner,) = (s for s in outer.body if isinstance(s, For))
    assert (outer.upper, inner.upper) == ((poly(20),), (poly(20),))


def length_of(loop: For) -> int:
    return sum(1 for _ in walk([loop]))


def test_places_that_follow_no_pattern_come_from_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rolled(straight("Lennard-Jones", monkeypatch))
    tables = made.buffers_of("table")
    assert any(b.dtype == "int" and len(b.data) == 45 for b in tables)  # which atoms make a pair


def test_short_code_and_code_that_repeats_nothing_stay_as_they_are() -> None:
    short = pipeline.routine_of(sg.program(a * b).derived(("value",)).unit, "kernel", ("value",))
    assert rerolled(short) is short
    rng = np.random.default_rng(1)
    body: list[Statement] = [Load(0, "x", (poly(0),)), Load(1, "x", (poly(1),))]
    for k in range(2, 1500):
        op = ("add", "mul", "sub", "div")[rng.integers(4)]
        body.append(Compute(k, op, (int(rng.integers(k)), int(rng.integers(k)))))
    random = routine_of([*body, Store("y", (poly(0),), 1499)], 2, 1)
    made = rerolled(random, least=0)
    assert made.straight is None
    assert made.body == random.body


def test_loops_that_fill_an_output_stay_before_the_statements_that_add_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    routine = straight("Rosenbrock, array", monkeypatch)
    (fill,) = (s for s in routine.body if isinstance(s, For))
    assert fill in rolled(routine).body
    late = replace(routine, body=[*(s for s in routine.body if s is not fill), fill])
    assert rerolled(late, 0, 80).straight is None


def test_before_and_after_the_search_for_loops_the_numbers_are_the_same() -> None:
    expression, x = indexed_rosenbrock(160)
    quick, good = (
        sg.compile(expression, wrt=x, outputs=("value", "grad"), tier=tier) for tier in ("quick", "optimised")
    )
    assert quick._spec.routine.repeats and len(good.source) < 60_000
    points = np.random.default_rng(7).uniform(-2, 2, 160)
    for one, other in zip(quick(points), good(points), strict=True):
        assert bits(np.asarray(one)) == bits(np.asarray(other))


def test_long_code_is_rolled_by_default_and_explained() -> None:
    n = 160
    expression, x = indexed_rosenbrock(n)
    text = str(sg.explain(expression, wrt=x))
    assert "times the value" in text
    assert f"for turn < {n - 1}" in text or f"for turn < {n - 2}" in text
    kernel = sg.compile(expression, wrt=x, outputs=("value", "grad"))
    assert len(kernel.source) < 60_000
    assert kernel._spec.routine.repeats


def test_exported_code_has_tables_of_its_own(tmp_path: Any) -> None:
    expression, P = lennard_jones(14)
    sg.export_c(expression, "cluster", wrt=P, outputs=("value", "grad"), directory=tmp_path)
    text = (tmp_path / "cluster.c").read_text()
    assert "static const int64_t table" in text
    assert "repeated parts are loops" in text


# ---- random repeated code ----------------------------------------------------------------------

OPS = ("add", "sub", "mul", "div", "exp", "sin", "neg")
ARITY = {"exp": 1, "sin": 1, "neg": 1}


def routine_of(body: Sequence[Statement], inputs: int, outputs: int) -> Routine:
    buffers = (
        Buffer("x", "input", (poly(inputs),)), Buffer("s", "input", ()),
        Buffer("y", "output", (poly(outputs),)),
    )  # fmt: skip
    return Routine("kernel", (), (), buffers, list(body), contracts=False)


@st.composite
def repeated_code(draw: st.DrawFn) -> Routine:
    """Turns of a random formula of neighbours, constants, earlier turns and shared numbers; some special."""
    turns = draw(st.integers(40, 60))
    count = draw(st.integers(8, 14))  # statements in a turn
    stride, back = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    template = [
        (draw(st.sampled_from(OPS)), draw(st.integers(0, 9)), draw(st.integers(0, 9))) for _ in range(count)
    ]
    special = set(draw(st.lists(st.integers(0, turns - 1), max_size=2)))
    order = draw(st.permutations(range(turns))) if draw(st.booleans()) else range(turns)
    carried = order == range(turns) and draw(st.booleans())
    body: list[Statement] = []
    values: dict[Any, int] = {}

    def value(key: Any, made: Any) -> int:
        if key not in values:
            values[key] = len(values)
            body.append(made(values[key]))
        return values[key]

    def leaf(turn: int, choice: int) -> int:
        if choice < 3:
            at: tuple[Poly, ...] = (poly(stride * turn + choice),)
            return value(("x", at), lambda dst: Load(dst, "x", at))
        if choice == 3:
            return value("s", lambda dst: Load(dst, "s", ()))
        if choice == 4 and carried and turn >= back:
            return results[turn - back][-1]
        number = 7 if choice == 5 else turn % 5 + 1
        return value(("c", number), lambda dst: Const(dst, ("q", number, 3)))

    results: dict[int, list[int]] = {}
    for turn in order:
        own = results[turn] = [leaf(turn, 0), leaf(turn, 4)]
        for k, (op, first, second) in enumerate(template):
            if turn in special and k == 2:
                op = "mul" if op == "add" else "add"
            args = [own[-1 - first % len(own)] if first % 2 else leaf(turn, first % 7), own[-1 - second % 2]]
            args = args[: ARITY.get(op, 2)] if ARITY.get(op, 2) == 2 else args[1:]
            own.append(value((turn, k), lambda dst, op=op, args=tuple(args): Compute(dst, op, args)))
    total = results[order[0]][-1]
    for turn in order[1:]:
        term = results[turn][-1 - turn % 2]
        total = value(
            ("sum", turn), lambda dst, t=total, u=term: Compute(dst, "sub" if u % 3 else "add", (t, u))
        )
    stores = [Store("y", (poly(turn),), results[turn][-1]) for turn in order]
    body += [*stores, Store("y", (poly(turns),), total)]
    return routine_of(body, stride * turns + 3, turns + 1)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(repeated_code())
def test_random_repeated_code_computes_the_same_numbers(routine: Routine) -> None:
    made = rerolled(routine, 0, 80)
    assert same_to_the_bit("llvm", routine, made)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(repeated_code())
def test_random_repeated_code_computes_the_same_numbers_in_c(routine: Routine) -> None:
    made = rerolled(routine, 0, 80)
    assert same_to_the_bit("c", routine, made)


def test_strong_components_of_a_graph() -> None:
    follow = {0: [1], 1: [2, 3], 2: [0], 3: [4], 4: [5, 3], 5: [], 6: [6, 5]}
    starts = np.concatenate([[0], np.cumsum([len(follow[u]) for u in range(7)])]).tolist()
    found = components(starts, [v for u in range(7) for v in follow[u]])
    groups = {frozenset(u for u in range(7) if found[u] == c) for c in found}
    assert groups == {frozenset({0, 1, 2}), frozenset({3, 4}), frozenset({5}), frozenset({6})}
