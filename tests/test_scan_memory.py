"""Recurrences within a budget of memory: the same derivatives, from less that is stored."""

from __future__ import annotations

import ctypes
import re
import subprocess

import jax
import numpy as np
import pytest
import sympy as sp
from test_scan import (
    alpha,
    beta,
    length,
    lstm,
    lstm_data,
    lstm_in_jax,
    rk4,
    rk4_in_jax,
    u0,
    v0,
    worst,
)

import symgrad as sg
from symgrad.errors import BadOption, BudgetTooSmall, format_error

jax.config.update("jax_enable_x64", True)

T, M, n = sp.symbols("T M n", integer=True, positive=True)
s, k, r = sp.symbols("s k r", integer=True)
A, x0, X = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("x0", n, 1), sp.MatrixSymbol("X", T, n)
a, y0 = sp.symbols("a y0")
BUDGET = 64 * 1024


def flat(results):
    """Every number of a structure of results."""
    if isinstance(results, tuple | list):
        return np.concatenate([flat(x) for x in results])
    return np.ravel(results)


def called(kernel, data, tangent=None):
    return flat(kernel(*data, tangent=tangent) if "hvp" in kernel.outputs else kernel(*data))


# ---- an LSTM, an ODE ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lstm_by_jax():
    return jax.jit(jax.value_and_grad(lstm_in_jax, range(14)))(*lstm_data(1000))


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_gradient_of_an_lstm_over_1000_steps_agrees_with_jax_within_64_kib(backend, lstm_by_jax):
    kernel = sg.compile(lstm(), outputs=("value", "grad"), backend=backend, memory=BUDGET)
    assert kernel.workspace(n=4, d=3, T=1000) <= BUDGET
    value, gradient = kernel(*lstm_data(1000))
    wanted, slopes = lstm_by_jax
    assert abs(value - wanted) <= 1e-12 * abs(wanted)
    assert worst(gradient, slopes) <= 1e-10


def network_kernel(memory, backend="llvm", outputs=("value", "grad")):
    expr, args, _ = of_final_state()
    return sg.compile(sg.program(expr, args=args, wrt=args), outputs=outputs, backend=backend, memory=memory)


def network_data(steps):
    return list(data_for((A, x0, X), steps))


def test_one_kernel_serves_every_number_of_steps_and_stores_what_it_may():
    kernel, stored = network_kernel(8192), network_kernel(None)
    for steps in (1, 2, 40, 1000):
        data = network_data(steps)
        np.testing.assert_allclose(flat(kernel(*data)), flat(stored(*data)), rtol=1e-11, atol=1e-13)
        assert kernel.workspace(n=3, T=steps) <= 8192
        tiles = kernel.tiles(n=3, T=steps)
        assert (tiles["blocks"] * tiles["tiles_in_block"] == 1) == (steps <= 40)


def test_a_budget_that_holds_everything_gives_the_stored_gradient_to_the_last_bit():
    data = network_data(50)
    assert np.array_equal(flat(network_kernel(10**9)(*data)), flat(network_kernel(None)(*data)))


def test_a_runge_kutta_solution_of_5000_steps_has_its_gradient_within_8_kib():
    u, v = sg.scan(rk4, (u0, v0), T).final
    args, point = (alpha, beta, u0, v0, length), (1.1, 0.4, 2.0, 0.7, 3.0)
    kernel = sg.compile(
        sg.program(u * v, args=(*args, T), wrt=args), outputs=("value", "grad"), memory=8 * 1024
    )
    assert kernel.workspace(T=5000) <= 8 * 1024
    value, gradient = kernel(*point, 5000)
    final = rk4_in_jax(5000)
    np.testing.assert_allclose(value, np.prod(final(*point)), rtol=1e-12)
    wanted = jax.grad(lambda *p: final(*p)[0] * final(*p)[1], range(5))(*point)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-10)


# ---- memory ------------------------------------------------------------------------------------


def test_least_memory_grows_with_the_square_root_of_the_steps_and_with_the_cube_root_in_blocks():
    least = {}
    for word in ("checkpointed", "recomputed"):
        kernel = network_kernel(word, outputs="grad")
        least[word] = [kernel.workspace(n=32, T=steps) for steps in (1_000, 1_000_000)]
    assert least["checkpointed"][1] < 35 * least["checkpointed"][0]
    assert least["recomputed"][1] < 11 * least["recomputed"][0]
    assert least["recomputed"][1] < least["checkpointed"][1] / 4


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_nothing_is_written_outside_of_the_workspace_that_was_announced(backend):
    """The machine code itself, in memory with marked borders."""
    kernel, data = network_kernel("recomputed", backend, "grad"), network_data(17)
    wanted = kernel(*data)
    elements, border = kernel.workspace(n=3, T=17) // 8, 512
    memory = np.full(elements + 2 * border, 7.25)
    outputs = [np.zeros_like(x) for x in wanted]
    sizes = {"n": 3, "T": 17, **kernel.tiles(n=3, T=17)}
    pointers = [x.ctypes.data for x in (*data, *outputs)] + [memory[border:].ctypes.data]
    numbers = [sizes[name] for name in kernel.signature.passed]
    kinds = [ctypes.c_void_p] * len(pointers) + [ctypes.c_int64] * len(numbers)
    ctypes.CFUNCTYPE(None, *kinds)(kernel.address)(*pointers, *numbers)
    assert np.all(memory[:border] == 7.25) and np.all(memory[border + elements :] == 7.25)
    assert all(np.array_equal(x, y) for x, y in zip(outputs, wanted, strict=True))


def test_a_budget_that_cannot_be_met_says_the_smallest_that_can():
    kernel = network_kernel(1000, outputs="grad")
    with pytest.raises(BudgetTooSmall) as caught:
        kernel.workspace(n=3, T=1000)
    least = network_kernel("recomputed", outputs="grad").workspace(n=3, T=1000)
    assert format_error(caught.value) == (
        "BudgetTooSmall: the workspace does not fit into 1,000 bytes\n"
        f"  because  with n = 3, T = 1000 it needs {least:,} bytes at least\n"
        f"  try      memory={least}, or more"
    )
    with pytest.raises(BudgetTooSmall, match="does not fit"):
        kernel(*network_data(1000))
    assert network_kernel(least, outputs="grad").workspace(n=3, T=1000) == least


def test_a_budget_holds_for_programs_without_recurrences_too():
    kernel = sg.compile(sp.Determinant(A), wrt=A, outputs="grad", memory=100)
    with pytest.raises(BudgetTooSmall, match=r"it needs .* bytes; nothing in it can be computed again"):
        kernel(np.eye(40))


@pytest.mark.parametrize("memory", [-1, 1.5, True, "little"])
def test_what_is_no_budget_is_refused(memory):
    with pytest.raises(BadOption, match="no budget of memory"):
        sg.compile(a**2, memory=memory)


# ---- every kind of program ---------------------------------------------------------------------


def network():
    return sg.scan(lambda h, t: (A * h + X[t, :].T).applyfunc(sp.tanh), x0, T)


def of_final_state():
    h = network().final
    return (h.T * h)[0, 0], (A, x0, X), ("value", "grad", "hvp")


def whole_hessian():
    expr, _, _ = of_final_state()
    return expr, (A, x0), ("hess",)


def of_a_function_of_a_sum_over_time():
    """The cotangents need the sum complete before they begin."""
    h = network().trajectory
    return sp.log(1 + sp.Sum(h[s, k, 0] ** 2, (s, 0, T), (k, 0, n - 1))), (A, x0, X), ("value", "grad", "hvp")


def of_neighbours_in_time():
    h = network().trajectory
    return sp.Sum(h[s + 1, k, 0] * h[s, k, 0], (s, 0, T - 1), (k, 0, n - 1)), (A, x0, X), ("value", "grad")


def of_all_pairs_of_times():
    """No tile holds them: the trajectory is stored."""
    h = network().trajectory
    pairs = sp.Sum(sp.sin(h[s, k, 0] * h[r, k, 0]), (s, 0, T), (r, 0, T), (k, 0, n - 1))
    return pairs, (A, x0, X), ("value", "grad")


def of_running_sums():
    h = network().trajectory
    inner = sp.Sum(h[s, k, 0], (s, 0, r))
    return sp.Sum(inner**2, (r, 0, T), (k, 0, n - 1)), (A, x0, X), ("value", "grad")


def one_recurrence_after_another():
    h = network().final
    second = sg.scan(lambda q, t: sp.sin(q) * a + h[0, 0], h[1, 0], T).final
    return second, (A, x0, X, a), ("value", "grad")


def recurrences_of_several_lengths():
    h = network().final
    second = sg.scan(lambda q, t: sp.sin(q) * a + h[0, 0], h[1, 0], 2 * T + 17).final
    third = sg.scan(lambda q, t: sp.cos(q) * second + A[0, 0], second, T).final
    return third, (A, x0, X, a), ("value", "grad")


def a_gradient_inside():
    h = network().final
    slope = sg.grad((h.T * h)[0, 0], A)
    return sp.Trace(slope.T * slope), (A, x0, X), ("value", "grad")


def shifted_inputs():
    """Increments of a path, and its gradient at all its points."""
    y = sp.IndexedBase("y", shape=(T + 1,))
    q = sg.scan(lambda q, t: q + a * sp.sin(q) * (y[t + 1] - y[t]), y0, T)
    expr = q.final**2 + sp.Sum(sp.cos(q.trajectory[s] * y[s]), (s, 0, T))
    return expr, (y, a, y0), ("value", "grad", "hvp")


def inputs_at_both_ends_of_a_step():
    """The gradient by them has terms of two steps, of which a tile may have one only."""
    y = sp.IndexedBase("y", shape=(T + 1,))
    q = sg.scan(lambda q, t: q + a * (sp.sin(q * y[t]) + sp.sin(q * y[t + 1])), a, T)
    return q.final + sp.Sum(q.trajectory[s] ** 2 * y[s], (s, 0, T)), (y, a), ("value", "grad", "hvp")


def gathered_inputs():
    table, places = sp.IndexedBase("E", shape=(n,)), sp.IndexedBase("idx", shape=(T,), integer=True)
    q = sg.scan(lambda q, t: sp.tanh(q * a + table[places[t]]), y0, T).final
    return q, (table, a, y0, places), ("value", "grad")


def a_loop_with_an_end():
    q = sg.while_loop(lambda q: q > 1, lambda q, t: q / (1 + a * t), y0, T + 9).final
    return q, (a, y0, T), ("value", "grad", "hess")


PROGRAMS = (
    of_final_state,
    whole_hessian,
    of_a_function_of_a_sum_over_time,
    of_neighbours_in_time,
    of_all_pairs_of_times,
    of_running_sums,
    one_recurrence_after_another,
    recurrences_of_several_lengths,
    a_gradient_inside,
    shifted_inputs,
    inputs_at_both_ends_of_a_step,
    gathered_inputs,
    a_loop_with_an_end,
)


def data_for(args, steps: int):
    rng = np.random.default_rng(steps)
    sizes = {n: 3, T: steps}
    for x in args:
        if x == T:
            yield steps
        elif not getattr(x, "shape", ()):
            yield {a: 0.3, y0: 5.0}[x]
        else:
            shape = [int(sp.sympify(q).subs(sizes)) for q in x.shape]
            whole = x.is_integer if isinstance(x, sp.IndexedBase) else False
            yield rng.integers(0, 3, size=shape) if whole else 0.7 * rng.normal(size=shape)


def equal_with_tiles(make, backend: str, budgets, lengths) -> None:
    expr, args, words = make()
    wrt = [x for x in args if x != T and not getattr(x, "is_integer", False)]
    program = sg.program(expr, args=sg.program(expr).args if A in args and X not in args else args, wrt=wrt)
    stored = sg.compile(program, outputs=words)
    for budget in budgets:
        kernel = sg.compile(program, outputs=words, backend=backend, memory=budget)
        for steps in lengths:
            data = list(data_for(program.args, steps))
            tangent = tuple(np.full(np.shape(x), 0.3) for x in data[: len(wrt)])
            got, wanted = called(kernel, data, tangent), called(stored, data, tangent)
            np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-13 * np.abs(wanted).max())


@pytest.mark.parametrize("make", PROGRAMS, ids=lambda make: make.__name__)
def test_derivatives_do_not_depend_on_the_budget(make):
    equal_with_tiles(make, "llvm", ("recomputed",), (1, 2, 5, 19))


def test_memory_for_a_gradient_by_inputs_at_both_ends_of_a_step_does_not_grow_with_the_steps():
    expr, args, _ = inputs_at_both_ends_of_a_step()
    kernel = sg.compile(sg.program(expr, args=args, wrt=args), outputs="grad", memory="recomputed")
    assert kernel.workspace(T=1_000_000) < 16 * kernel.workspace(T=1000)


def test_derivatives_do_not_depend_on_a_budget_in_between():
    equal_with_tiles(one_recurrence_after_another, "llvm", (3_000,), (1, 19))


@pytest.mark.parametrize("make", [of_running_sums, shifted_inputs, whole_hessian], ids=lambda m: m.__name__)
def test_derivatives_do_not_depend_on_the_budget_where_products_have_memory_of_their_own(make):
    equal_with_tiles(make, "llvm", ("checkpointed",), (1, 19))


@pytest.mark.parametrize("make", [one_recurrence_after_another, shifted_inputs], ids=lambda m: m.__name__)
def test_derivatives_do_not_depend_on_the_budget_in_c(make):
    equal_with_tiles(make, "c", ("recomputed",), (1, 19))


def test_the_reference_stores_everything_and_takes_any_budget():
    equal_with_tiles(shifted_inputs, "numpy", ("checkpointed",), (3,))


# ---- exported C, explain -----------------------------------------------------------------------


def test_exported_c_leaves_the_tiles_to_its_caller_and_runs(tmp_path):
    """The main that comes with it takes 3, 4, 5, ... for its sizes."""
    expr, args, _ = of_final_state()
    program = sg.program(expr, args=args, wrt=args)
    sg.export_c(program, "net", tmp_path, outputs="grad", memory="checkpointed")
    header = (tmp_path / "net.h").read_text()
    assert "time in tiles: blocks * tiles_in_block * steps_in_tile >= T" in header
    assert "int64_t blocks, int64_t tiles_in_block" in header.replace("\n", "").replace("    ", " ")
    sg.export_c(program, "whole", tmp_path / "whole", outputs="grad")
    found = [printed_by(tmp_path, "net"), printed_by(tmp_path / "whole", "whole")]
    assert found[0].size > 10
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-15)


def printed_by(directory, name):
    """The numbers that an exported main prints."""
    run = {"cwd": directory, "check": True, "capture_output": True, "text": True}
    subprocess.run(["make", "-s", f"{name}_main"], **run)
    text = subprocess.run([f"./{name}_main"], **run).stdout
    return np.array([float(x) for x in re.findall(r"[-+]?\d\.\d+(?:e[-+]\d+)?", text)])


def test_exported_c_takes_no_number_of_bytes(tmp_path):
    expr, args, _ = of_final_state()
    with pytest.raises(BadOption, match="standalone C has no budget"):
        sg.export_c(sg.program(expr, args=args), "net", tmp_path, memory=4096)


def test_explain_tells_the_tiles_and_shows_the_loops_over_them():
    expr, args, _ = of_final_state()
    found = sg.explain(sg.program(expr, args=args), outputs="grad", sizes={"n": 4, "T": 100}, memory=8192)
    assert found.workspace <= 8192
    assert found.tiles["tiles_in_block"] * found.tiles["steps_in_tile"] >= 100
    text = str(found)
    assert f"tiles_in_block {found.tiles['tiles_in_block']}" in text
    loops = [line.strip() for line in found.loops]
    assert {"sweep 0, one tile", "sweep 0, one tile, again", "sweep 1, one tile"} <= set(loops)
