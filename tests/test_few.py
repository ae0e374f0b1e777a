"""Two versions of loops, for few and for many of a size: what has them, which runs, what they need."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from programs import PROGRAMS
from routines import TARGETS, M, N, call
from tolerances import assert_close

import symgrad as sg
from symgrad.ir.unit import Unit
from symgrad.loops import nest
from symgrad.loops.few import MOST, chosen
from symgrad.loops.nest import (
    Buffer,
    Const,
    Contract,
    For,
    FromInt,
    If,
    Least,
    Load,
    LoadInt,
    Part,
    Routine,
    Statement,
    Store,
    StoreReduce,
    poly,
    variable,
)
from symgrad.loops.walk import defined, walk
from symgrad.pipeline import optimise, routine_of
from symgrad.targets.base import target_named, workspace_elements

BY_NAME = {p.name: p for p in PROGRAMS}
WORDS = ("value", "grad")
AROUND = {"attention_matrix": "m", "mixture_full": "d", "convolution": "T"}
ROWS = variable("rows")


def unit_of(name: str, **options: object) -> Unit:
    p = BY_NAME[name]
    return optimise(sg.program(p.expr, args=p.args, wrt=p.wrt, **options).derived(WORDS).unit)


def of(which: int, sizes: str = "nm") -> Routine:
    """y[i] = `which` + x[i], by way of memory with room for m rows, or for m numbers; z says which it was."""
    i, extents = variable("i"), ((M, ROWS) if which == 1 else (M,))
    place = (poly(0), i) if which == 1 else (poly(0),)
    body: list[Statement] = [
        For("i", (poly(0),), (ROWS,), [
            Load(0, "x", (i,)), FromInt(1, poly(which)), Store("t", place, 0), Load(2, "t", place),
            Store("y", (i,), 2), StoreReduce("sum", "y", (i,), 1),
        ]),
        Const(3, ("q", which, 1)), Store("z", (), 3),
    ]  # fmt: skip
    buffers = (
        Buffer("x", "input", (N,)), Buffer("y", "output", (N,)), Buffer("z", "output", ()),
        Buffer("t", "work", extents),
    )  # fmt: skip
    derived = (Least("rows", (N, poly(100))),)
    return Routine("f", tuple(sizes), tuple(sizes), buffers, body, derived=derived)


@pytest.mark.parametrize("target", TARGETS)
def test_a_size_chooses_when_the_kernel_runs(target: str) -> None:
    routine = chosen("m", of(1, "mn"), of(2))  # the sizes of one need not stand in the order of the other
    loaded = target_named(target).build(routine)
    x = np.arange(3.0)
    for m in range(2 * MOST + 2):
        found = call(target, routine, {"n": 3, "m": m}, {"x": x}, loaded=loaded) if m else None
        which = 1 if m <= MOST else 2
        if found is not None:
            assert found["z"] == which
            assert np.array_equal(found["y"], x + which)


def test_each_version_has_memory_only_where_it_runs() -> None:
    few, many = of(1), of(2)
    routine = chosen("m", few, many)
    for n in (0, 1, 30):
        for m in (1, 2, MOST, MOST + 1, 100):
            needed = workspace_elements(few if m <= MOST else many, {"n": n, "m": m})
            assert workspace_elements(routine, {"n": n, "m": m}) == needed


def test_versions_share_no_value_no_memory_and_no_integer() -> None:
    routine = chosen("m", of(1), of(2))
    values = [v for _, s in walk(routine.body) if isinstance(v := defined(s), int)]
    assert len(values) == len(set(values))
    works = [b.name for b in routine.buffers_of("work")]
    integers = [s.var for s in routine.derived]
    assert len({*works, *integers, *routine.sizes}) == len(works) + len(integers) + len(routine.sizes) == 8


def touched(statements: list[Statement]) -> set[str]:
    """The buffers of some statements, those inside of others too."""
    found: set[str] = set()
    for _, s in walk(statements, into_parts=True):
        if isinstance(s, Load | LoadInt | Store | StoreReduce):
            found.add(s.buffer)
        elif isinstance(s, Contract):
            found |= {s.a.start.buffer, s.b.start.buffer, s.c.start.buffer, s.scratch.buffer}
    return found


@pytest.mark.parametrize("name", ["attention_matrix", "attention_index", "mixture_full", "physics_informed"])
def test_versions_of_programs_touch_memory_of_their_own(name: str) -> None:
    routine = routine_of(unit_of(name), "kernel", WORDS)
    few, many = (s for s in routine.body if isinstance(s, If))
    assert not any(isinstance(s, Part) for _, s in walk(routine.body))
    works = {b.name for b in routine.buffers_of("work")}
    first, second = (touched(s.body) & works for s in (few, many))
    assert first
    assert second
    assert first.isdisjoint(second)


@pytest.mark.parametrize(
    ("name", "size", "backend"),
    [(n, s, "llvm") for n, s in AROUND.items()] + [("attention_matrix", "m", "c")],  # gcc takes its time
)
def test_both_versions_are_right_around_the_border(name: str, size: str, backend: str) -> None:
    p = BY_NAME[name]
    made, plain = (
        sg.compile(p.expr, args=p.args, wrt=p.wrt, outputs=WORDS, backend=b) for b in (backend, "numpy")
    )
    rng = np.random.RandomState(0)
    for k in (1, 2, MOST, MOST + 1, 17):
        sizes = {**dict.fromkeys(p.sizes[0], 3), size: k}
        if name == "convolution":
            sizes["K"] = 1
        inputs = list(p.make_inputs(rng, sizes).values())
        (value, grads), (wanted, wanted_grads) = made(*inputs), plain(*inputs)
        assert_close(value, wanted, factor=1e3)
        for x, y in zip(grads, wanted_grads, strict=True):
            assert_close(x, y, factor=1e4)


def test_what_has_two_versions_and_by_which_size() -> None:
    wanted = {
        "attention_matrix": "m", "attention_index": "m", "gated_unit": "c", "physics_informed": "n",
        "dense_matrix": None, "logistic_regression": None, "rosenbrock": None,
        "regularised_log_determinant": None,  # factorisations may fail, and are counted once
    }  # fmt: skip
    for name, size in wanted.items():
        few = unit_of(name).few
        assert (few.size if few is not None else None) == size


def test_a_size_with_a_hint_is_what_it_is() -> None:
    few = unit_of("attention_matrix", hints={"m": 64}).few
    assert few is None


def test_plain_loops_and_budgets_have_one_version() -> None:
    unit = unit_of("attention_matrix")
    assert any(isinstance(s, nest.Test) for s in routine_of(unit, "kernel", WORDS).body)
    for options in ({"vectors": False}, {"memory": 1 << 20}):
        body = routine_of(unit, "kernel", WORDS, **options).body
        assert not any(isinstance(s, nest.Test) for s in body)


def test_programs_with_recurrences_have_one_version() -> None:
    p = BY_NAME["attention_matrix"]
    x, t = sp.Symbol("x"), sp.Symbol("t", integer=True, positive=True)
    power = sg.scan(lambda v, time: v * v + x, x, t).final
    unit = sg.program(p.expr * power, args=(*p.args, x), wrt=p.wrt).derived(WORDS).unit
    assert optimise(unit).few is None
