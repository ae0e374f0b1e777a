"""Loops that end before their last step: they are left there, and nothing is computed for what is left."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.nest import Compute, If, Leave
from symgrad.loops.walk import walk

T, n = sp.symbols("T n", integer=True, positive=True)
s, k = sp.symbols("s k", integer=True)
A, x0 = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("x0", n, 1)
a, y0 = sp.symbols("a y0")


def halved(steps):
    return sg.while_loop(lambda y: y > 1, lambda y, t: y / (1 + a), y0, steps)


def shrunk():
    """A network that contracts until its state is small."""
    return sg.while_loop(lambda q: (q.T * q)[0, 0] > 1, lambda q, t: (A * q).applyfunc(sp.tanh), x0, T)


def of_final_state():
    q = shrunk().final
    return q[0, 0] + sp.sin(q[1, 0])


def of_all_states():
    q = shrunk().trajectory
    return sp.Sum(sp.cos(q[s, k, 0]), (s, 0, T), (k, 0, n - 1))


def of_what_the_steps_compute():
    """The same products and functions as in the step, at all times: also after the end."""
    q = shrunk().trajectory
    inner = sp.Sum(A[k, r] * q[s, r, 0], (r, 0, n - 1))
    return sp.Sum(sp.tanh(inner) ** 2, (s, 0, T - 1), (k, 0, n - 1)) + q[T, 0, 0]


r = sp.Symbol("r", integer=True)
DATA = (np.array([[0.9, 0.2, 0.1], [0.0, 0.8, 0.3], [0.1, -0.2, 0.9]]), np.full((3, 1), 2.0), 60)


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_a_loop_is_left_where_its_condition_fails(backend):
    """It would not come back from the turns it may make."""
    kernel = sg.compile(halved(T).final, args=(a, y0, T), outputs="value", backend=backend)
    assert abs(kernel(0.5, 100.0, 10**15) - 100 / 1.5**12) <= 1e-14


def test_a_loop_over_matrices_is_left_too():
    kernel = sg.compile(shrunk().final, args=(A, x0, T), outputs="value")
    result = kernel(*DATA[:2], 10**15)
    np.testing.assert_allclose(
        result, sg.compile(shrunk().final, args=(A, x0, T), outputs="value", backend="numpy")(*DATA)
    )


def check_against_all_turns(make, words, backend, memories):
    program = sg.program(make(), args=(A, x0, T), wrt=(A, x0))
    tangent = {"tangent": (DATA[0] * 0.5, DATA[1] * 0.3)} if "hvp" in words else {}
    wanted = sg.compile(program, outputs=words, backend="numpy")(*DATA, **tangent)
    for memory in memories:
        got = sg.compile(program, outputs=words, backend=backend, memory=memory)(*DATA, **tangent)
        for x, y in zip(numbers(got), numbers(wanted), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("make", [of_final_state, of_all_states, of_what_the_steps_compute])
def test_derivatives_of_a_loop_that_was_left_are_those_of_all_its_turns(make):
    check_against_all_turns(make, ("value", "grad"), "llvm", (None, "recomputed"))


def test_second_derivatives_of_a_loop_that_was_left_are_those_of_all_its_turns():
    check_against_all_turns(of_final_state, ("hvp",), "llvm", (None,))


def test_derivatives_of_a_loop_that_was_left_are_those_of_all_its_turns_in_c():
    check_against_all_turns(of_what_the_steps_compute, ("value", "grad"), "c", (None,))


def numbers(results):
    if isinstance(results, tuple | list):
        return [x for part in results for x in numbers(part)]
    return [np.asarray(results)]


@pytest.mark.parametrize("make", [of_final_state, of_all_states, of_what_the_steps_compute])
def test_what_memory_held_before_the_call_has_no_effect_on_the_turns_that_were_not_made(make):
    program = sg.program(make(), args=(A, x0, T), wrt=(A, x0))
    kernel = sg.compile(program, outputs="grad")
    wanted = kernel(*DATA)
    for filling in (np.nan, 1e300):
        work = np.full(kernel.workspace(n=3, T=60) // 8, filling)
        outputs = [np.zeros_like(x) for x in wanted]
        steps = np.array(60, dtype=np.int64)
        arrays = (DATA[0], DATA[1], steps, *outputs, work)
        sizes = [{"n": 3, "T": 60}[name] for name in kernel.signature.passed]
        kinds = [ctypes.c_void_p] * len(arrays) + [ctypes.c_int64] * len(sizes)
        ctypes.CFUNCTYPE(None, *kinds)(kernel.address)(*(x.ctypes.data for x in arrays), *sizes)
        assert all(np.array_equal(x, y) for x, y in zip(outputs, wanted, strict=True))


def leaves(program, words=("value",)) -> bool:
    routines = []
    sg.compile(program, outputs=words, watch=lambda stage, thing: stage == "lower" and routines.append(thing))
    return any(isinstance(statement, Leave) for _, statement in walk(routines[0].body, into_parts=True))


def test_a_loop_is_only_left_where_the_condition_can_never_hold_again():
    """The condition of a step may depend on the time; then the loop goes on."""
    y = sp.IndexedBase("y", shape=(T,))
    gated = sg.scan(lambda q, t: sp.Piecewise((sp.sin(q), y[t] > 0), (q, True)), y0, T).final
    program = sg.program(gated, args=(y, y0), wrt=(y0,))
    assert not leaves(program, ("value", "grad"))
    assert leaves(sg.program(halved(T).final, args=(a, y0, T)))
    values, start = np.array([1.0, -1.0, 2.0, -3.0, 1.0]), 0.9
    wanted = np.sin(np.sin(np.sin(start)))
    slope = np.cos(start) * np.cos(np.sin(start)) * np.cos(np.sin(np.sin(start)))
    value, gradient = sg.compile(program, outputs=("value", "grad"))(values, start)
    np.testing.assert_allclose([value, gradient[0]], [wanted, slope], rtol=1e-14)


def test_a_loop_is_left_where_any_of_its_conditions_fails():
    """Two conditions of which each would leave the state as it is: the second fails first."""
    pair = sg.while_loop(
        lambda q: (sp.Abs(q[0]) > 1e-9) & ((q[1] > 1) | (q[0] > 8)),
        lambda q, t: (q[0] / (1 + a), q[1] / 2),
        (y0, y0),
        T,
    ).final
    program = sg.program(pair[0] + pair[1], args=(a, y0, T), wrt=(a, y0))
    routines = []
    kernel = sg.compile(
        program,
        outputs=("value", "grad"),
        watch=lambda stage, thing: stage == "lower" and routines.append(thing),
    )
    statements = [s for _, s in walk(routines[0].body, into_parts=True)]
    made = {s.dst: s for s in statements if isinstance(s, Compute)}
    (end,) = [s for s in statements if isinstance(s, If) and any(isinstance(b, Leave) for b in s.body)]
    (going,) = made[end.condition].args
    assert made[going].op == "and"
    value, slope = kernel(0.5, 9.0, 40)
    x, z, by_a, by_y, half = 9.0, 9.0, 0.0, 1.0, 1.0
    while abs(x) > 1e-9 and (z > 1 or x > 8):
        by_a, by_y = by_a / 1.5 - x / 1.5**2, by_y / 1.5
        x, z, half = x / 1.5, z / 2, half / 2
    np.testing.assert_allclose([value, *slope], [x + z, by_a, by_y + half], rtol=1e-14)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_derivatives_of_a_loop_that_does_not_end_are_nan_as_its_value_is(backend):
    growing = sg.while_loop(lambda y: y < 100, lambda y, t: a * y + 1, y0, 20).final
    outputs = ("value", "grad", "hess")
    kernel = sg.compile(growing, args=(a, y0), wrt=(a, y0), outputs=outputs, backend=backend)
    assert all(np.isnan(part).all() for part in kernel(0.5, 0.2))
    assert all(np.isfinite(part).all() for part in kernel(2.0, 0.2))
