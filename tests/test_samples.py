"""Batches: samples side by side in vector registers, and shared out among threads."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
from routines import DTYPES, TARGETS, numbers_between, routine

import symgrad as sg
from symgrad.errors import BadOption
from symgrad.loops.lanes import across_lanes, lanes_loop
from symgrad.loops.nest import Buffer, Compute, Const, Load, Part, Routine, Store, poly
from symgrad.loops.split import split
from symgrad.run import samples as samples_module
from symgrad.targets import c as c_target
from symgrad.targets import c_build
from symgrad.targets.abreast import batch_elements
from symgrad.targets.base import LANES, target_named
from symgrad.targets.c import MOST_SIDE_BY_SIDE
from symgrad.targets.tiles import exchanges, merges

x, y, z = sp.symbols("x y z", real=True)
MIXED = sp.exp(x) * sp.sin(y) + sp.Piecewise((sp.log(x), x > 0), (-x, True)) + sp.tanh(x * y)


@lru_cache
def mixed(backend: str, dtype: str = "float64", threads: int = 1) -> sg.Kernel:
    words = ("value", "grad", "hess")
    return sg.compile(MIXED, (x, y), (x, y), outputs=words, backend=backend, dtype=dtype, threads=threads)


def points(count: int, dtype: str = "float64", seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-2, 2, count).astype(dtype) for _ in range(2)]


def same_bits(found: Any, wanted: Any) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, wanted, strict=True))


# ---- the numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_gives_what_the_reference_gives(backend: str, dtype: str) -> None:
    at = points(37, dtype)
    for found, wanted in zip(mixed(backend, dtype)(*at), mixed("numpy", dtype)(*at), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_samples_numbers_do_not_depend_on_its_place_or_on_the_others(backend: str, dtype: str) -> None:
    kernel, at = mixed(backend, dtype), points(50, dtype)
    whole = kernel(*at)
    for count in range(36):
        assert same_bits(kernel(*(v[:count] for v in at)), (w[:count] for w in whole))
    for first in range(0, 50, 7):
        one = kernel(*(v[first : first + 1] for v in at))
        assert same_bits(one, (w[first : first + 1] for w in whole))
    order = np.random.default_rng(1).permutation(50)
    assert same_bits(kernel(*(v[order] for v in at)), (w[order] for w in whole))


@pytest.mark.parametrize("backend", TARGETS)
def test_shared_arguments_and_several_sample_axes_broadcast(backend: str) -> None:
    kernel, (a, b) = mixed(backend), points(21)
    wanted = kernel(np.repeat(a, 21), np.tile(b, 21))
    grid = kernel(a[:, None], b)
    assert [g.shape for g in grid] == [(21, 21), (21, 21, 2), (21, 21, 2, 2)]
    assert same_bits((g.reshape(w.shape) for g, w in zip(grid, wanted, strict=True)), wanted)
    assert same_bits(kernel(a[3], b), (g[3] for g in grid))
    assert same_bits(kernel(float(a[3]), b), (g[3] for g in grid))
    assert same_bits(kernel(a, b[4]), (g[:, 4] for g in grid))


def _copies(sizes: Sequence[int]) -> Routine:
    """y_c = x_c, arrays of c numbers."""
    inputs = [Buffer(f"x{c}", "input", (poly(c),)) for c in sizes]
    outputs = [Buffer(f"y{c}", "output", (poly(c),)) for c in sizes]
    body: list[Any] = []
    for c in sizes:
        for k in range(c):
            body += [Load(len(body), f"x{c}", (poly(k),)), Store(f"y{c}", (poly(k),), len(body))]
    return routine([*inputs, *outputs], body, ())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_of_every_size_go_through_tiles_unchanged(target: str, dtype: str) -> None:
    sizes = [*range(1, 20), 24, 33]
    kernel = _copies(sizes)
    many = target_named(target).build_batch(kernel, dtype)
    assert many is not None
    for count in (1, 16, 35):
        inputs = [np.random.default_rng(c).uniform(size=(count, c)).astype(dtype) for c in sizes]
        for apart in (1, 0):  # whether each sample has inputs of its own
            outputs = [np.zeros_like(x) for x in inputs]
            work = np.zeros(batch_elements(kernel, dtype), dtype)
            pointers = np.array([a.ctypes.data for a in (*inputs, *outputs, work)] + [0], np.uintp)
            meta = np.array([count, *(c * apart for c in sizes), *sizes], np.int64)
            many.call(pointers.ctypes.data, meta.ctypes.data)
            for got, x in zip(outputs, inputs, strict=True):
                np.testing.assert_array_equal(got, x if apart else np.broadcast_to(x[0], x.shape))


@lru_cache
def _product_with(count: int, backend: str, dtype: str) -> sg.Kernel:
    """A Hessian of `count` variables times a vector: arguments and results of `count` numbers a sample."""
    v = sp.symbols(f"v0:{count}", real=True)
    chain = sum(v[k] ** 2 * v[(k + 1) % count] + sp.sin(v[k]) for k in range(count))
    return sg.compile(chain, v, v, outputs=("grad", "hvp"), backend=backend, dtype=dtype)


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize(("dtype", "sizes"), [("float64", (3, 9)), ("float32", (5,))])
def test_arguments_and_results_of_every_size_keep_their_order(
    backend: str, dtype: str, sizes: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(3)
    for size in sizes:
        kernel, count = _product_with(size, backend, dtype), 2 * LANES[dtype] + 3
        at, along = rng.uniform(-1, 1, (size, count)).astype(dtype), rng.uniform(-1, 1, (count, size))
        found = kernel(*at, tangent=along.astype(dtype))
        shared = kernel(*at, tangent=along[0].astype(dtype))
        for s in (0, LANES[dtype] - 1, LANES[dtype], count - 1):
            one = kernel(*(float(v[s]) for v in at), tangent=along[s].astype(dtype))
            for f, o in zip(found, one, strict=True):
                np.testing.assert_allclose(f[s], o, rtol=0, atol=40 * np.finfo(dtype).eps)
            one = kernel(*(float(v[s]) for v in at), tangent=along[0].astype(dtype))
            np.testing.assert_allclose(shared[1][s], one[1], rtol=0, atol=40 * np.finfo(dtype).eps)


@pytest.mark.parametrize("backend", TARGETS)
def test_special_values_stay_in_their_sample(backend: str) -> None:
    e = sg.compile([sp.exp(x), sp.log(x), sp.atan(x), sp.sqrt(x), sp.Abs(x)], (x,), backend=backend)
    at = np.array([1.0, np.nan, np.inf, -np.inf, 0.0, -0.0, 710.0, -746.0, -1.0, 5e-324])
    inside = np.full(40, 0.5)
    inside[7:27:2] = at
    with np.errstate(all="ignore"):
        wanted = np.array(
            [np.exp(inside), np.log(inside), np.arctan(inside), np.sqrt(inside), np.abs(inside)]
        )
    found = np.asarray(e(inside)).T.reshape(5, 40)
    assert (numbers_between(found, wanted)[np.isfinite(wanted)] <= 2).all()
    np.testing.assert_array_equal(found[~np.isfinite(wanted)], wanted[~np.isfinite(wanted)])
    assert (np.signbit(found) == np.signbit(wanted))[~np.isnan(wanted)].all()


@pytest.mark.parametrize("backend", TARGETS)
def test_arguments_beyond_the_limit_of_our_sine_are_computed_alone(backend: str) -> None:
    kernel, (a, b) = mixed(backend), points(20)
    near = kernel(a, b)
    b[[3, 4, 19]] = [1e6, -1e9, 1e300]
    far = kernel(a, b)
    rest = np.setdiff1d(np.arange(20), [3, 4, 19])
    assert same_bits((f[rest] for f in far), (n[rest] for n in near))
    for s in (3, 4, 19):
        assert same_bits((f[s] for f in far), kernel(float(a[s]), float(b[s])))


@pytest.mark.parametrize("backend", TARGETS)
def test_functions_without_a_vector_form_are_called_for_each_sample(backend: str) -> None:
    kernel = sg.compile(
        sp.gamma(x) + sp.besselj(0, y) + x**y + sp.acosh(x + 1), (x, y), (x, y), outputs=("value", "grad"),
        backend=backend,
    )  # fmt: skip
    a, b = (abs(v) + 0.1 for v in points(19))
    for s, one in enumerate(kernel(float(p), float(q)) for p, q in zip(a, b, strict=True)):
        for found, wanted in zip(kernel(a, b), one, strict=True):
            np.testing.assert_allclose(found[s], wanted, rtol=1e-13)


@pytest.mark.parametrize("backend", TARGETS)
def test_out_arrays_are_written_and_nothing_beside_them(backend: str) -> None:
    kernel, at = mixed(backend), points(13)
    memory = np.full((15, 2), 7.0)
    value, grad, hess = kernel(*at, out=(None, memory[1:14], None))
    assert np.shares_memory(grad, memory)
    assert same_bits((value, grad, hess), kernel(*at))
    assert (memory[[0, 14]] == 7.0).all()
    copy = at[0].copy()  # a result may take the place of an argument
    assert same_bits((kernel(copy, at[1], out=(copy, None, None))[0],), (value,))


def test_no_samples_give_empty_results() -> None:
    value, grad, hess = mixed("llvm")(np.zeros(0), np.zeros(0))
    assert (value.shape, grad.shape, hess.shape) == ((0,), (0, 2), (0, 2, 2))


# ---- threads -----------------------------------------------------------------------------------

ROWS = sp.MatrixSymbol("M", 5, 7)


@lru_cache
def _loops(backend: str, threads: int) -> sg.Kernel:
    loss = sp.Trace(ROWS * ROWS.T * ROWS * ROWS.T)
    return sg.compile(loss, (ROWS,), ROWS, outputs=("value", "grad"), backend=backend, threads=threads)


@pytest.mark.parametrize("backend", TARGETS)
def test_every_number_of_threads_gives_the_same_bits(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples_module, "_LEAST", 1)  # small calls are shared too
    at = points(203)
    wanted = mixed(backend)(*at)
    matrices = np.random.default_rng(2).uniform(-1, 1, (61, 5, 7))
    wanted_loops = _loops(backend, 1)(matrices)
    for threads in (2, 3, 7):
        assert same_bits(mixed(backend, threads=threads)(*at), wanted)
        assert same_bits(_loops(backend, threads)(matrices), wanted_loops)


def test_samples_are_shared_out_in_whole_blocks_and_only_if_there_is_enough_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[int] = []
    monkeypatch.setattr(samples_module, "_run", lambda call, jobs: used.extend(int(m[0]) for _, m in jobs))
    kernel = mixed("llvm", threads=3)
    kernel(*points(203))
    assert used == []  # this thread does it all
    kernel(*points(100_003))
    assert len(used) == 3 and sum(used) == 100_003 and all(n % LANES["float64"] == 0 for n in used[:-1])


def test_kernels_keep_their_threads_when_pickled() -> None:
    kernel = pickle.loads(pickle.dumps(mixed("llvm", threads=3)))
    assert kernel.threads == 3
    assert same_bits(kernel(*points(9)), mixed("llvm")(*points(9)))


def test_all_threads_are_as_many_as_there_are_processors() -> None:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert sg.compile(x**2, (x,), threads="all").threads == count
    assert sg.compile(x**2, (x,)).threads == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_threads_work_in_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples_module, "_LEAST", 1)
    kernel, at = mixed("llvm", threads=2), points(64)
    wanted = kernel(*at)
    before = samples_module._pool
    samples_module._forget_threads()  # what a forked process calls
    assert samples_module._pool is not before
    assert same_bits(kernel(*at), wanted)


@pytest.mark.parametrize(
    ("threads", "backend", "text"),
    [
        (0, "llvm", "BadOption: threads is 0\n  where    threads=\n  because  it is a number of threads\n"
         '  try      a whole number from 1 on, or threads="all"'),
        (True, "llvm", "threads is True"),
        ("many", "c", "threads is 'many'"),
        (2, "numpy", "the reference backend computes in one thread"),
    ],
)  # fmt: skip
def test_what_is_no_number_of_threads_is_refused(threads: Any, backend: str, text: str) -> None:
    with pytest.raises(BadOption) as caught:
        sg.compile(x, (x,), backend=backend, threads=threads)
    assert text in f"BadOption: {caught.value}" or text in str(caught.value)


# ---- what is computed side by side -------------------------------------------------------------


def test_straight_line_code_computes_samples_in_vectors() -> None:
    """In one vector of eight, or in two abreast."""
    text = mixed("llvm").batch_source
    assert re.search("fmul contract <(8|16) x double>", text)
    assert re.search(r"call <(8|16) x double> @symgrad\.own_exp\(<\1 x double>", text)
    assert re.search("<(16|32) x float>", mixed("llvm", "float32").batch_source)
    assert "SIDE_BY_SIDE\n    for (int64_t lane = 0; lane < 8; lane++) {" in mixed("c").batch_source


@pytest.mark.parametrize("backend", TARGETS)
def test_loops_over_tensors_run_sample_after_sample(backend: str) -> None:
    assert _loops(backend, 1).batch_source == ""
    matrices = np.random.default_rng(2).uniform(-1, 1, (5, 5, 7))
    for s, (value, grad) in enumerate(zip(*_loops(backend, 1)(matrices), strict=True)):
        assert same_bits((value, grad), _loops(backend, 1)(matrices[s]))


def _chain(length: int) -> Routine:
    """y = x + 1/2 + 1/2 + ... with every step stored."""
    body: list[Any] = [Load(0, "x", ()), Const(1, ("q", 1, 2))]
    body += [
        Compute(2 + k, "add" if k % 7 else "sin", (1 + k, 0) if k % 7 else (k + 1,)) for k in range(length)
    ]
    buffers = [Buffer("x", "input", ()), Buffer("y", "output", (poly(2),))]
    stores = [Store("y", (poly(0),), length + 1), Store("y", (poly(1),), length)]
    return routine(buffers, [*body, *stores], ())


def _batch(target: str, kernel: Routine, at: np.ndarray) -> np.ndarray:
    one, many = target_named(target).build(kernel), target_named(target).build_batch(kernel)
    assert many is not None
    out, work = np.zeros((at.size, 2)), np.zeros(batch_elements(kernel, "float64"))
    pointers = np.array([a.ctypes.data for a in (at, out, work)] + [one.address], np.uintp)
    meta = np.array([at.size, 1, 2], np.int64)
    many.call(pointers.ctypes.data, meta.ctypes.data)
    return out


def test_long_code_in_parts_computes_samples_side_by_side_too() -> None:
    whole, at = _chain(300), np.linspace(-3, 3, 21)
    at[5] = 1e7
    cut = split(whole, limit=100, part=50)
    assert sum(isinstance(s, Part) for s in cut.body) > 3
    np.testing.assert_allclose(_batch("llvm", cut, at), _batch("llvm", whole, at), rtol=1e-13, atol=1e-13)
    assert target_named("c").build_batch(cut) is None


def test_c_code_too_long_for_the_vectoriser_runs_sample_after_sample() -> None:
    assert target_named("c").build_batch(_chain(MOST_SIDE_BY_SIDE)) is None


def test_only_straight_line_code_on_reals_of_known_shape_goes_across_lanes() -> None:
    kernel = _chain(3)
    block = across_lanes(kernel, 8)
    assert block is not None and lanes_loop(block) is not None and lanes_loop(kernel) is None
    assert [b.extents[-1] for b in block.buffers] == [poly(8)] * 2
    whole = replace(kernel, buffers=(replace(kernel.buffers[0], dtype="int"), *kernel.buffers[1:]))
    assert across_lanes(whole, 8) is None
    unknown = replace(
        kernel, buffers=(replace(kernel.buffers[0], extents=(((("n",), 1),),)), kernel.buffers[1])
    )
    assert across_lanes(unknown, 8) is None


def test_a_symbol_called_like_our_own_names_is_a_symbol() -> None:
    names = sp.symbols("lane far t0 b0 work d0 samples tile", real=True)
    e = sum(sp.sin(k * v) for k, v in enumerate(names, 1))
    at = np.random.default_rng(0).uniform(-1, 1, (8, 11))
    wanted = sum(np.sin(k * v) for k, v in enumerate(at, 1))
    for backend in TARGETS:
        np.testing.assert_allclose(
            sg.compile(e, names, outputs="value", backend=backend)(*at), wanted, rtol=1e-13
        )


# ---- shuffles ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lanes", [2, 4, 8, 16])
def test_exchanges_transpose_a_square(lanes: int) -> None:
    rows = list(np.arange(lanes * lanes).reshape(lanes, lanes))
    for distance, first, second in exchanges(lanes):
        for i in range(lanes):
            if not i & distance:
                both = np.concatenate([rows[i], rows[i + distance]])
                rows[i], rows[i + distance] = both[first], both[second]
    np.testing.assert_array_equal(rows, np.arange(lanes * lanes).reshape(lanes, lanes).T)


@pytest.mark.parametrize("core", [2, 3, 5, 7])
def test_merges_make_tiles_of_samples_and_samples_of_tiles(core: int) -> None:
    samples = np.arange(8 * core).reshape(8, core)
    tile = samples.T

    def moved(flat: np.ndarray, into: bool) -> np.ndarray:
        rows, out = flat.reshape(core, 8), []
        for first, steps in merges(core, 8, into):
            result = rows[first]
            for number, places in steps:
                result = np.concatenate([result, rows[number], [-1]])[places]
            out.append(result)
        return np.concatenate(out)

    np.testing.assert_array_equal(moved(samples.ravel(), True), tile.ravel())
    np.testing.assert_array_equal(moved(tile.ravel(), False), samples.ravel())


def test_a_block_of_far_samples_leaves_no_trace_in_the_next_one() -> None:
    kernel, (a, b) = mixed("llvm"), points(24)
    b[:8] = 1e9
    assert same_bits((f[8:] for f in kernel(a, b)), kernel(a[8:], b[8:]))


def _many_functions() -> sp.Expr:
    return sum(sp.sin(k * x) * sp.exp(-k * y) + sp.cos(k * y) for k in range(1, 12))


def test_c_calls_functions_with_vectors_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    at = points(19)
    inlined = sg.compile(_many_functions(), (x, y), outputs="value", backend="c")
    assert "declare simd" not in inlined.batch_source
    monkeypatch.setattr(c_target, "_MOST_INLINED", 100)
    kernel = sg.compile(_many_functions(), (x, y), outputs="value", backend="c")
    assert '_Pragma("omp declare simd notinbranch") static' in kernel.batch_source
    np.testing.assert_allclose(kernel(*at), inlined(*at), rtol=1e-13, atol=1e-13)
    assert same_bits((kernel(*(v[5:6] for v in at)),), (kernel(*at)[5:6],))


def test_the_c_compiler_computes_a_block_of_samples_in_vectors() -> None:
    """Also where arguments are compared with a limit: `||` would be a branch."""
    text = sg.compile(_many_functions(), (x, y), outputs="value", backend="c").batch_source
    command = [*c_build.find_compiler()[0], "-O3", *c_build._FLAGS, "-S", "-x", "c", "-", "-o", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    block = done.stdout.split("\nkernel:")[1].split("\nkernel_call:")[0]
    assert re.search(r"vfn?m(add|sub)\d+p[sd]|fml[as]\s+[vz]\d", block)  # x86, ARM
    assert not re.search(r"vfn?m(add|sub)\d+s[sd]|fmadd\s+[ds]\d", block)
