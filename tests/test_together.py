"""Calls of one function in straight-line code that are made at once by a vector function."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symgrad as sg
from symgrad.loops.nest import Compute, Const, Element, Load, Part, Store, Vector, poly
from symgrad.loops.walk import defined, operands
from symgrad.targets.together import together
from symgrad.targets.vector_math import FUNCTIONS

COMPILED = ("llvm", "c")
x = sp.symbols("x0:12", real=True)
ONE_ARGUMENT = [name for name in FUNCTIONS if FUNCTIONS[name].arity == 1]


def compiled(entries: list[Any], backend: str, dtype: str = "float64") -> sg.Kernel:
    return sg.compile(sp.Matrix(entries), args=x, outputs="value", backend=backend, dtype=dtype)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_a_function_of_many_numbers_is_that_of_each(name: str, dtype: str, backend: str) -> None:
    spelled: dict[str, Any] = {"expm1": lambda a: sp.exp(a) - 1, "log1p": lambda a: sp.log(1 + a)}
    made = spelled.get(name) or getattr(sp, name)
    kernel = compiled([made(a) for a in x[:11]], backend, dtype)
    points = np.linspace(0.05, 0.95, 12).astype(dtype)
    found = kernel(*points).ravel()
    with mpmath.workdps(40):
        wanted = [float(sp.N(made(sp.Float(float(p), 40)), 30)) for p in points[:11]]
    np.testing.assert_allclose(found, wanted, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("backend", COMPILED)
def test_they_are_called_with_vectors(backend: str) -> None:
    source = compiled([sp.sin(a) + sp.exp(sp.cos(a)) for a in x[:6]], backend).source
    calls = {"llvm": "call <8 x double> @symgrad.{}.x8(", "c": "kernel_{}_x8(t"}[backend]
    assert [source.count(calls.format(f)) for f in ("sin", "cos", "exp")] == [1, 1, 1]
    few = compiled([sp.sin(x[0]), sp.sin(x[1])], backend).source
    assert "sin_x" not in few and "sin.x" not in few


@pytest.mark.parametrize("backend", COMPILED)
def test_special_and_large_arguments_of_some_lanes_leave_the_others_alone(backend: str) -> None:
    kernel = compiled([f(a) for a in x for f in (sp.sin, sp.tanh)], backend)
    points = np.array([0.5, 1e300, -0.0, np.nan, 3e6, -2.0, np.inf, 1e-310, 1.0, -1e9, 0.25, -np.inf])
    with np.errstate(invalid="ignore"):
        wanted = np.stack([np.sin(points), np.tanh(points)], axis=1)
    found = kernel(*points).reshape(12, 2)
    np.testing.assert_allclose(found, wanted, rtol=4e-16)
    np.testing.assert_array_equal(np.signbit(found[2]), [True, True])


@pytest.mark.parametrize("backend", COMPILED)
def test_two_arguments_stay_together(backend: str) -> None:
    entries = [sp.atan2(a, b) for a, b in zip(x[:6], x[6:], strict=True)]
    entries += [sp.exp(a) ** b for a, b in zip(x[:5], x[6:11], strict=True)]
    points = np.linspace(-2.0, 1.5, 12)
    wanted = [*np.arctan2(points[:6], points[6:]), *np.exp(points[:5]) ** points[6:11]]
    np.testing.assert_allclose(compiled(entries, backend)(*points).ravel(), wanted, rtol=1e-15)


@pytest.mark.parametrize("backend", COMPILED)
def test_functions_of_functions_come_level_by_level(backend: str) -> None:
    entries = list(x)
    for _ in range(4):
        entries = [sp.sin(a + b) for a, b in zip(entries, [*entries[1:], entries[0]], strict=True)]
    points = np.linspace(-1.0, 1.0, 12)
    wanted = points
    for _ in range(4):
        wanted = np.sin(wanted + np.roll(wanted, -1))
    kernel = sg.compile(sp.Matrix(entries), args=x, wrt=x, outputs=("value", "jac"), backend=backend)
    value, jacobian = kernel(*points)
    np.testing.assert_allclose(value.ravel(), wanted, rtol=1e-14)
    reference = sg.compile(sp.Matrix(entries), args=x, wrt=x, outputs="jac", backend="numpy")(*points)
    np.testing.assert_allclose(jacobian, reference, rtol=1e-13, atol=1e-15)


# ---- the statements ----------------------------------------------------------------------------------

FUNCTION_OPS = ("sin", "exp", "pow")


@st.composite
def straight_code(draw: st.DrawFn) -> list[Any]:
    """Loads, sums, functions and stores; some loads read what was stored before."""
    body: list[Any] = [Load(0, "x", (poly(0),)), Const(1, ("q", 1, 3))]
    for dst in range(2, draw(st.integers(5, 60))):
        known = [s.dst for s in body if not isinstance(s, Store)]
        any_value = st.sampled_from(known)
        kind = draw(st.sampled_from(["load", "add", "sin", "sin", "exp", "exp", "pow", "store", "again"]))
        if kind == "load":
            body.append(Load(dst, "x", (poly(draw(st.integers(0, 9))),)))
        elif kind == "again":
            body.append(Load(dst, "out", (poly(draw(st.integers(0, 4))),)))
        elif kind == "store":
            body.append(Store("out", (poly(draw(st.integers(0, 4))),), draw(any_value)))
        else:
            arity = 2 if kind in ("add", "pow") else 1
            body.append(Compute(dst, kind, tuple(draw(any_value) for _ in range(arity))))
    return [*body, Store("out", (poly(9),), next(s.dst for s in reversed(body) if not isinstance(s, Store)))]


def symbols_of(body: list[Any]) -> list[tuple[Any, ...]]:
    """What is stored, store after store, as expressions of what was in memory before."""
    values: dict[int, Any] = {}
    memory: dict[Any, Any] = {}
    stores: list[tuple[Any, ...]] = []
    for s in body:
        assert all(a in values for a in operands(s)), "a value is read before it is computed"
        if isinstance(s, Store):
            memory[s.buffer, s.index] = values[s.src]
            stores.append((s.buffer, s.index, values[s.src]))
        elif isinstance(s, Vector):
            values[s.dst] = tuple((s.op, *(values[a] for a in args)) for args in s.args)
        elif isinstance(s, Element):
            values[s.dst] = values[s.src][s.place]
        elif isinstance(s, Load):
            values[s.dst] = memory.get((s.buffer, s.index), (s.buffer, s.index))
        elif isinstance(s, Const):
            values[s.dst] = s.payload
        else:
            values[s.dst] = (s.op, *(values[a] for a in s.args))
        assert defined(s) is None or list(values).count(defined(s)) == 1
    return stores


@settings(max_examples=150, deadline=None)
@given(straight_code())
def test_the_code_stores_what_it_stored_before(body: list[Any]) -> None:
    numbers = iter(range(1000, 2000))
    changed = together(body, lambda: next(numbers))
    assert symbols_of(changed) == symbols_of(body)
    inside = together([Part(body)], lambda: next(numbers))
    assert symbols_of(inside[0].body) == symbols_of(body)  # type: ignore[union-attr]  # it is a part


def test_code_of_the_same_functions_is_shortened() -> None:
    body: list[Any] = [Load(k, "x", (poly(k),)) for k in range(20)]
    body += [Compute(100 + k, "exp", (k,)) for k in range(20)]
    body += [Store("out", (poly(k),), 100 + k) for k in range(20)]
    vectors = [s for s in together(body, iter(range(500, 600)).__next__) if isinstance(s, Vector)]
    assert [len(v.args) for v in vectors] == [8, 8, 4]
