"""Recurrences in the steps of others, which depend on their states: against loops written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import IllegalProgram

BACKENDS = ("numpy", "llvm", "c")
x, u = sp.Symbol("x", real=True), sp.Symbol("u", real=True)
n, T, i = (
    sp.Symbol("n", integer=True, positive=True),
    sp.Symbol("T", integer=True, positive=True),
    sp.Symbol("i", integer=True),
)
STEPS = 5


def newton(q: Any, t: Any) -> Any:
    root = sg.scan(lambda v, s: (v + q / v) / 2, init=q, length=4).final
    return q + root * x / 10


def newton_by_hand(q: Any, p: Any) -> Any:
    v = q
    for _ in range(4):
        v = (v + q / v) / 2
    return q + v * p / 10


def solved(q: Any, t: Any) -> Any:
    return sg.implicit(u - q - x / 10 * sp.sin(u), u, guess=q, max_steps=12)


def solved_by_hand(q: Any, p: Any) -> Any:
    v = q
    for _ in range(60):
        v = q + p / 10 * mpmath.sin(v)
    return v


def halved(q: Any, t: Any) -> Any:
    return sg.while_loop(lambda v: v > 1, lambda v, s: v / 2, q * x + t, max_steps=8).final


def trajectory(q: Any, t: Any) -> Any:
    path = sg.scan(lambda v, s: v * q / 2 + x / (s + 1), init=q, length=3).trajectory
    return sp.Sum(path[i], (i, 0, 3)) / 4


def trajectory_by_hand(q: Any, p: Any) -> Any:
    path = [q]
    for s in range(3):
        path.append(path[-1] * q / 2 + p / (s + 1))
    return sum(path) / 4


def deeper(q: Any, t: Any) -> Any:
    def inner(v: Any, s: Any) -> Any:
        return sg.scan(lambda w, r: sp.sin(w * v) + q, init=v, length=2).final / 2

    return sg.scan(inner, init=q, length=3).final


def deeper_by_hand(q: Any, p: Any) -> Any:
    v = q
    for _ in range(3):
        w = v
        for _ in range(2):
            w = mpmath.sin(w * v) + q
        v = w / 2
    return v


CASES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any], float]] = {
    "newton": (newton, newton_by_hand, 2.0),
    "implicit": (solved, solved_by_hand, 0.75),
    "trajectory": (trajectory, trajectory_by_hand, 0.7),
    "three deep": (deeper, deeper_by_hand, 0.7),
}


def by_hand(step: Callable[[Any, Any], Any], p: Any) -> Any:
    q = p
    for _ in range(STEPS):
        q = step(q, p)
    return q


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_a_recurrence_in_a_step_has_derivatives_to_second_order(name: str, backend: str) -> None:
    step, exact, at = CASES[name]
    final = sg.scan(step, init=x, length=T).final
    kernel = sg.compile(final, args=(x, T), wrt=x, outputs=("value", "grad", "hess", "hvp"), backend=backend)
    found = kernel(at, STEPS, tangent=1.0)
    with mpmath.workdps(50):
        wanted = [
            float(mpmath.diff(lambda p: by_hand(exact, p), mpmath.mpf(at), order)) for order in (0, 1, 2)
        ]
    np.testing.assert_allclose(found, [*wanted, wanted[2]], rtol=1e-12)


@pytest.mark.parametrize("memory", ["checkpointed", "recomputed", 4096])
def test_a_recurrence_in_a_step_keeps_to_a_memory_budget(memory: Any) -> None:
    final = sg.scan(newton, init=x, length=T).final
    stored = sg.compile(final, args=(x, T), wrt=x, outputs="grad")
    kernel = sg.compile(final, args=(x, T), wrt=x, outputs="grad", memory=memory)
    np.testing.assert_allclose(kernel(0.5, 40), stored(0.5, 40), rtol=1e-13)
    assert kernel.workspace(T=2000) < stored.workspace(T=2000) / 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loop_with_a_condition_in_a_step_ends_where_its_condition_does(backend: str) -> None:
    final = sg.scan(halved, init=x, length=T).final
    value, slope = sg.compile(final, args=(x, T), wrt=x, outputs=("value", "grad"), backend=backend)(1.7, 4)

    def loop(p: float) -> float:
        q = p
        for t in range(4):
            q = q * p + t
            while q > 1:
                q = q / 2
        return q

    np.testing.assert_allclose(value, loop(1.7), rtol=1e-15)
    np.testing.assert_allclose(slope, (loop(1.7 + 1e-6) - loop(1.7 - 1e-6)) / 2e-6, rtol=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
def test_matrices_and_arrays_are_states_of_recurrences_in_a_step(backend: str) -> None:
    d = sp.Symbol("d", integer=True, positive=True)
    W, h = sp.MatrixSymbol("W", d, d), sp.MatrixSymbol("h", d, 1)
    v = sp.IndexedBase("v", shape=(n,))

    def relaxed(q: Any, t: Any) -> Any:
        inner = sg.scan(lambda p, s: q + (W * p).applyfunc(sp.sin) / (s + 2), init=q, length=3).final
        own = sp.Sum(
            sg.scan(lambda r, s: r + v[i] * q[0, 0] / (r**2 + 2), init=v[i], length=2).final, (i, 0, n - 1)
        )
        return inner / 2 + own * h

    final = sg.scan(relaxed, init=h, length=T).final
    kernel = sg.compile(
        sp.Trace(final.T * final), args=(W, h, v, T), wrt=(W, v), outputs=("value", "grad"), backend=backend
    )
    rng = np.random.default_rng(3)
    w0, h0, v0 = (0.3 * rng.normal(size=shape) for shape in ((3, 3), (3, 1), 4))

    def loop(w: np.ndarray, a: np.ndarray) -> complex:
        q = h0.astype(complex)
        for _ in range(STEPS):
            p, r = q, a.astype(complex)
            for s in range(3):
                p = q + np.sin(w @ p) / (s + 2)
            for _ in range(2):
                r = r + a * q[0, 0] / (r**2 + 2)
            q = p / 2 + r.sum() * h0
        return complex((q * q).sum())

    value, (by_w, by_v) = kernel(w0, h0, v0, STEPS)
    np.testing.assert_allclose(value, loop(w0, v0).real, rtol=1e-13)
    for k in np.ndindex(3, 3):
        step = np.zeros((3, 3), complex)
        step[k] = 1e-30j
        np.testing.assert_allclose(by_w[k], loop(w0 + step, v0).imag / 1e-30, rtol=1e-12)
    for k in range(4):
        moved = v0.astype(complex)
        moved[k] += 1e-30j
        np.testing.assert_allclose(by_v[k], loop(w0, moved).imag / 1e-30, rtol=1e-12)


@pytest.mark.parametrize("length", [n, 65])
def test_many_turns_in_a_step_are_refused(length: Any) -> None:
    final = sg.scan(
        lambda q, t: sg.scan(lambda v, s: v * q, init=q, length=length).final, init=x, length=T
    ).final
    with pytest.raises(IllegalProgram) as caught:
        sg.compile(final, args=(x, T, n))
    assert str(caught.value) == (
        "a recurrence of many turns inside the step of another one\n"
        "  where    x[T]\n"
        "  because  it depends on the state of the outer one, and is written out turn by turn: 64 at most, "
        "and their number has to be known\n"
        "  try      fewer turns (max_steps=), a number of them, or one recurrence whose state holds both"
    )
