"""Recurrences in the steps of others, which depend on their states: against loops written by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.walk import walk

jax.config.update("jax_enable_x64", True)

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


# ---- any number of turns -----------------------------------------------------------------------


def relaxing(q: Any, t: Any) -> Any:
    return sg.scan(lambda v, s: sp.sin(v) * x + q / (s + 1 + t), init=q, length=n).final


def relaxing_by_hand(p: Any, turns: int, steps: int) -> Any:
    q = p
    for t in range(steps):
        v = q
        for s in range(turns):
            v = mpmath.sin(v) * p + q / (s + 1 + t)
        q = v
    return q


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_number_of_turns_is_a_size_of_each_call(backend: str) -> None:
    final = sg.scan(relaxing, init=x, length=T).final
    kernel = sg.compile(
        final, args=(x, n, T), wrt=x, outputs=("value", "grad", "hess", "hvp"), backend=backend
    )
    for turns, steps in ((4, 3), (0, 3), (1, 2), (3, 1), (5, 0), (40, 6)):
        with mpmath.workdps(40):
            wanted = [
                float(mpmath.diff(partial(relaxing_by_hand, turns=turns, steps=steps), mpmath.mpf("0.7"), k))
                for k in (0, 1, 2)
            ]
        found = kernel(0.7, turns, steps, tangent=1.0)
        np.testing.assert_allclose(found, [*wanted, wanted[2]], rtol=1e-12)


@pytest.mark.parametrize("turns", [0, 1])
def test_no_turn_and_one_are_told_apart(turns: int) -> None:
    final = sg.scan(lambda q, t: relaxing(q, t).subs(n, turns), init=x, length=T).final
    value, slope = sg.compile(final, args=(x, T), wrt=x, outputs=("value", "grad"))(0.7, 3)
    np.testing.assert_allclose(value, float(relaxing_by_hand(0.7, turns, 3)), rtol=1e-14)
    with mpmath.workdps(40):
        exact = float(mpmath.diff(lambda p: relaxing_by_hand(p, turns, 3), mpmath.mpf("0.7")))
    np.testing.assert_allclose(slope, exact, rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_three_loops_stand_in_each_other(backend: str) -> None:
    m = sp.Symbol("m", integer=True, positive=True)

    def middle(q: Any, t: Any) -> Any:
        def inner(v: Any, s: Any) -> Any:
            turn = sg.scan(lambda w, r: sp.cos(w) * x + v * q / (r + s + t + 2), init=v, length=m)
            return turn.final + q / 3

        return sg.scan(inner, init=q / 2, length=n).final

    def by_hand(p: Any) -> Any:
        q = p
        for t in range(3):
            v = q / 2
            for s in range(2):
                w = v
                for r in range(4):
                    w = mpmath.cos(w) * p + v * q / (r + s + t + 2)
                v = w + q / 3
            q = v
        return q

    final = sg.scan(middle, init=x, length=T).final
    words = ("value", "grad", "hess")
    found = sg.compile(final, args=(x, m, n, T), wrt=x, outputs=words, backend=backend)(0.7, 4, 2, 3)
    with mpmath.workdps(40):
        wanted = [float(mpmath.diff(by_hand, mpmath.mpf("0.7"), k)) for k in (0, 1, 2)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_the_code_does_not_grow_with_the_number_of_turns() -> None:
    def made(turns: int) -> tuple[str, Counter[type]]:
        """The C text, and its statements: which of them share a line follows from the order of terms."""
        stages: dict[str, Any] = {}
        final = sg.scan(lambda q, t: relaxing(q, t).subs(n, turns), init=x, length=T).final
        options = {"args": (x, T), "wrt": x, "outputs": ("value", "grad"), "backend": "c"}
        kernel = sg.compile(final, **options, watch=stages.__setitem__)
        return kernel.source, Counter(type(s) for _, s in walk(stages["lower"].body, into_parts=True))

    (few, statements), (_, many) = made(11), made(1111)
    assert statements == many
    assert "11" in few, "the number of turns is in the code"


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_a_loop_in_a_step_is_left_where_its_condition_fails(backend: str) -> None:
    def halving(q: Any, t: Any) -> Any:
        return sg.while_loop(lambda v: v > 1, lambda v, s: v / 2, q * 3, max_steps=10**15).final

    kernel = sg.compile(
        sg.scan(halving, init=x, length=T).final, args=(x, T), outputs="value", backend=backend
    )
    q = 0.9
    for _ in range(1000):
        q *= 3
        while q > 1:
            q /= 2
    assert kernel(0.9, 1000) == q


def coupled(q: Any, t: Any) -> Any:
    def turn(state: Any, s: Any) -> Any:
        v, w = state
        after = sp.Piecewise((sp.sin(v * w) + x, w > 0), (v / 3, True))
        return after, sp.tanh(w * q / 2 + sp.sin(v)) + q / 5

    return sg.scan(turn, init=(q, x), length=n).final[0] / 2


def coupled_by_hand(p: Any) -> Any:
    q = p
    for _ in range(40):
        v, w = q, p
        for _ in range(3):
            after = mpmath.sin(v * w) + p if w > 0 else v / 3
            v, w = after, mpmath.tanh(w * q / 2 + mpmath.sin(v)) + q / 5
        q = v / 2
    return q


@pytest.mark.parametrize(
    ("backend", "memory"), [("llvm", None), ("c", None), ("llvm", "checkpointed"), ("llvm", "recomputed")]
)
def test_states_that_only_derivatives_read_are_there(backend: str, memory: Any) -> None:
    final = sg.scan(coupled, init=x, length=T).final
    words = ("value", "grad") if memory else ("value", "grad", "hess")
    kernel = sg.compile(final, args=(x, n, T), wrt=x, outputs=words, backend=backend, memory=memory)
    with mpmath.workdps(30):
        wanted = [float(mpmath.diff(coupled_by_hand, mpmath.mpf("0.6"), k)) for k in range(len(words))]
    np.testing.assert_allclose(kernel(0.6, 3, 40), wanted, rtol=1e-11)


def test_a_sum_over_recurrences_leaves_their_branches_where_they_are() -> None:
    v = sp.IndexedBase("v", shape=(n,))
    path = sg.scan(lambda q, t: sp.Piecewise((q * x, q > 1), (q + v[i], True)), init=v[i], length=3).final
    found = sg.compile(sp.Sum(path, (i, 0, n - 1)), args=(v, x), outputs="value")(np.array([0.4, 2.0]), 0.7)
    np.testing.assert_allclose(found, 1.2 * 0.7 + 2.0 * 0.7**2 + 2.0, rtol=1e-14)


# ---- branches not taken ------------------------------------------------------------------------


def by_complex_step(loop: Callable[[complex], complex], p: float) -> list[float]:
    moved = loop(p + 1e-30j)
    return [moved.real, moved.imag / 1e-30]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_recurrence_in_a_branch_not_taken_leaves_no_nan(backend: str) -> None:
    def step(q: Any, t: Any) -> Any:
        roots = sg.scan(lambda w, r: sp.sqrt(q) + sp.sqrt(w) * x, init=q, length=n).final
        return sp.Piecewise((roots - 3, q > 0), (q * x + 2, True))

    def by_hand(p: complex) -> complex:
        q = p
        for _ in range(5):
            w = q
            for _ in range(3):
                w = np.sqrt(q) + np.sqrt(w) * p if q.real > 0 else w
            q = w - 3 if q.real > 0 else q * p + 2
        return q

    final = sg.scan(step, init=x, length=T).final
    kernel = sg.compile(final, args=(x, n, T), wrt=x, outputs=("value", "grad"), backend=backend)
    np.testing.assert_allclose(kernel(0.7, 3, 5), by_complex_step(by_hand, 0.7), rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_recurrence_in_the_step_of_a_loop_that_has_ended_leaves_no_nan(backend: str) -> None:
    def step(q: Any, t: Any) -> Any:
        return sg.scan(lambda w, r: sp.sqrt(q) / 2 + sp.sqrt(w) * x, init=q, length=3).final - 1

    def by_hand(p: complex) -> complex:
        q = p + 3
        while q.real > 0:
            w = q
            for _ in range(3):
                w = np.sqrt(q) / 2 + np.sqrt(w) * p
            q = w - 1
        return q

    final = sg.while_loop(lambda q: q > 0, step, init=x + 3, max_steps=20).final
    found = sg.compile(final, wrt=x, outputs=("value", "grad"), backend=backend)(0.7)
    np.testing.assert_allclose(found, by_complex_step(by_hand, 0.7), rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_recurrence_for_every_entry_in_a_branch_not_taken_leaves_no_nan(backend: str) -> None:
    v = sp.IndexedBase("v", shape=(n,))
    path = sg.scan(lambda q, t: sp.sqrt(v[i]) + sp.sqrt(q) * x, init=v[i], length=3).final
    total = sp.Sum(sp.Piecewise((path, v[i] > 0), (v[i], True)), (i, 0, n - 1))
    kernel = sg.compile(total, args=(v, x), wrt=(v, x), outputs="grad", backend=backend)
    by_v, by_x = kernel(np.array([1.0, -2.0, 0.5]), 0.3)

    def by_hand(p: complex, a: complex) -> complex:
        q = a
        for _ in range(3):
            q = np.sqrt(a) + np.sqrt(q) * p
        return q

    slopes = [by_hand(0.3, a + 1e-30j).imag / 1e-30 for a in (1.0, 0.5)]
    np.testing.assert_allclose(by_v, [slopes[0], 1.0, slopes[1]], rtol=1e-13)
    np.testing.assert_allclose(
        by_x, sum(by_hand(0.3 + 1e-30j, a).imag / 1e-30 for a in (1.0, 0.5)), rtol=1e-13
    )


# ---- what they are for -------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_runge_kutta_steps_between_observations_agree_with_jax(backend: str) -> None:
    b = sp.Symbol("b", integer=True)
    samples, per_gap = sp.symbols("samples per_gap", integer=True, positive=True)
    y0, seen = sp.IndexedBase("y0", shape=(samples, 2)), sp.IndexedBase("seen", shape=(T,))
    a = sp.IndexedBase("a", shape=(3,))

    def slope(y: Any) -> Any:
        return sp.Matrix([y[1], -a[0] * sp.sin(y[0]) - a[1] * y[1]])

    def rk4(y: Any, s: Any) -> Any:
        h = 1 / (10 * per_gap)
        d1 = slope(y)
        d2 = slope(y + h / 2 * d1)
        d3 = slope(y + h / 2 * d2)
        d4 = slope(y + h * d3)
        return y + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)

    def observe(state: Any, t: Any) -> Any:
        y, loss = state
        after = sg.scan(rk4, init=y, length=per_gap).final
        return after, loss + (after[0] - a[2] * seen[t]) ** 2

    start = sp.Matrix([y0[b, 0], y0[b, 1]])
    loss = sp.Sum(sg.scan(observe, init=(start, sp.Integer(0)), length=T).final[1], (b, 0, samples - 1))
    kernel = sg.compile(
        loss, args=(a, y0, seen, per_gap), wrt=(a, y0), outputs=("value", "grad"), backend=backend
    )
    for gap in (4, 1):
        at, exact, slopes = observed_by_jax(gap)
        value, grads = kernel(*at, gap)
        np.testing.assert_allclose(value, exact, rtol=1e-13)
        for mine, theirs in zip(grads, slopes, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)


@cache
def observed_by_jax(gap: int) -> tuple[Any, Any, Any]:
    """The same of some numbers: those, value and gradient."""

    def f(y: Any, a: Any) -> Any:
        return jnp.stack([y[1], -a[0] * jnp.sin(y[0]) - a[1] * y[1]])

    def rk4(y: Any, a: Any) -> Any:
        h = 1 / (10 * gap)
        d1 = f(y, a)
        d2 = f(y + h / 2 * d1, a)
        d3 = f(y + h / 2 * d2, a)
        d4 = f(y + h * d3, a)
        return y + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)

    def loss(a: Any, y: Any, seen: Any) -> Any:
        def observe(state: Any, wanted: Any) -> Any:
            y, loss = state
            y, _ = jax.lax.scan(lambda y, _: (rk4(y, a), None), y, None, length=gap)
            return (y, loss + (y[0] - a[2] * wanted) ** 2), None

        return jax.lax.scan(observe, (y, 0.0), seen)[0][1]

    rng = np.random.default_rng(2)
    at = np.array([1.3, 0.2, 0.7]), rng.normal(size=(3, 2)), rng.normal(size=7)
    total = jax.jit(jax.value_and_grad(lambda *v: jax.vmap(loss, (None, 0, None))(*v).sum(), argnums=(0, 1)))
    return (at, *total(*at))


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_backward_euler_over_1000_steps_has_an_exact_gradient(backend: str) -> None:
    """y' = -p*(y**3 - cos t), each step solved by Newton's method, which no derivative goes through."""
    h = sp.Rational(1, 100)

    def step(q: Any, t: Any) -> Any:
        return sg.implicit(u - q + h * x * (u**3 - sp.cos(h * (t + 1))), u, guess=q)

    final = sg.scan(step, init=sp.Integer(2), length=T).final
    kernel = sg.compile(final, args=(x, T), wrt=x, outputs=("value", "grad"), backend=backend)

    def by_hand(p: complex) -> complex:
        q = 2.0 + 0j
        for t in range(1000):
            before, forced = q, np.cos((t + 1) / 100)
            for _ in range(8):
                q = q - (q - before + p / 100 * (q**3 - forced)) / (1 + p / 100 * 3 * q**2)
        return q

    exact = by_hand(3.0 + 1e-30j)
    value, slope = kernel(3.0, 1000)
    np.testing.assert_allclose([value, slope], [exact.real, exact.imag / 1e-30], rtol=1e-12)
    assert kernel.workspace(T=1000) < 20 * 8 * 1000, "the states of the searches are not stored"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_parameters_of_an_optimizer_in_a_step_are_learned(backend: str) -> None:
    """Descent on a quadratic in every step of an outer loop, which follows its own target."""
    d = sp.Symbol("d", integer=True, positive=True)
    A, w = sp.MatrixSymbol("A", d, d), sp.MatrixSymbol("w", d, 1)

    def outer(w: Any, t: Any) -> Any:
        def descent(v: Any, s: Any) -> Any:
            return v - x * (A * v - w / (t + 1))

        return sg.scan(descent, init=w, length=n).final

    final = sg.scan(outer, init=w, length=T).final
    kernel = sg.compile(
        sp.Trace(final.T * final),
        args=(x, A, w, n, T),
        wrt=(x, A),
        outputs=("value", "grad"),
        backend=backend,
    )
    (a0, w0), exact, (want_rate, want_a) = learned_by_jax()
    value, (by_rate, by_a) = kernel(0.3, a0, w0, 5, 4)
    np.testing.assert_allclose(value, exact, rtol=1e-13)
    np.testing.assert_allclose(by_rate, want_rate, rtol=1e-12)
    np.testing.assert_allclose(by_a, want_a, rtol=1e-11, atol=1e-14)


@cache
def learned_by_jax() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(5)
    a0, w0 = np.eye(3) + 0.2 * rng.normal(size=(3, 3)), rng.normal(size=(3, 1))

    def loss(rate: Any, a: Any) -> Any:
        w = jnp.asarray(w0)
        for t in range(4):
            v = w
            for _ in range(5):
                v = v - rate * (a @ v - w / (t + 1))
            w = v
        return (w * w).sum()

    return ((a0, w0), *jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(0.3, a0))
