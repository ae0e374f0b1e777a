"""Calls through machine code: they give what the Python call gives, and leave to it what is not theirs."""

from __future__ import annotations

import ctypes
import gc
import pickle
import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import BadArgument, DtypeMismatch, IndexOutOfRange, SymgradError
from symgrad.run import cpython, fastcall, trampoline
from symgrad.run.brief import is_brief
from symgrad.run.kernel import Kernel, call_compiled
from symgrad.run.samples import Samples
from symgrad.targets import llvm_build
from symgrad.targets.base import Loaded

x, y = sp.symbols("x y")
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
v, w = sp.IndexedBase("v", shape=(n,)), sp.IndexedBase("w", shape=(n,))
A = sp.MatrixSymbol("A", 2, 3)
DOT = sp.Sum(x * v[i] ** 2 * w[i], (i, 0, n - 1))
X = sp.MatrixSymbol("X", n, n)
STORED = sp.Trace((X * X).applyfunc(sp.tanh) * X)  # its gradient reads every entry of X*X several times
ONES, TWOS = np.ones(4), np.full(4, 2.0)


def same(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(found, tuple):
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            same(a, b)
    elif isinstance(found, np.ndarray):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape and found.flags.owndata
        np.testing.assert_array_equal(found, wanted)
    else:
        assert found == wanted


def refuse(*args: Any, **keywords: Any) -> Any:
    raise AssertionError("this call went through Python")


def fast(kernel: Any, *prepared_by: Any, **directions: Any) -> Any:
    """The kernel after a call, with Python's side of calls taken away."""
    kernel(*prepared_by, **directions)
    kernel._call = refuse
    return kernel


CASES = [
    (x * y, (x, y), (x, y), "value", (2.0, 3.0)),
    (x * y**2, (x, y), (x, y), "grad", (2.0, np.float64(3.0))),
    (x * y**2, (x, y), (x, y), ("value", "grad", "hess"), (2.0, 3.0)),
    (DOT, (x, v, w), v, ("value", "grad"), (0.5, np.arange(5.0), np.linspace(0.0, 1.0, 5))),
    (DOT, (x, v, w), (v, w), "value", (0.5, np.arange(5.0), np.linspace(0.0, 1.0, 5))),
    (sp.Trace(A * A.T) * x, (A, x), A, ("grad", "value"), (np.arange(6.0).reshape(2, 3), 2.0)),
    (DOT, (x, v, w), v, "hess", (1.5, np.arange(40.0), np.ones(40))),
]


@pytest.mark.parametrize("backend", ["llvm", "c"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[3]}"[:40])
def test_a_fast_call_returns_what_the_python_call_returns(case: Any, dtype: str, backend: str) -> None:
    expr, args, wrt, outputs, values = case
    k = sg.compile(expr, args, wrt, outputs=outputs, backend=backend, dtype=dtype)
    given = [a if isinstance(a, float) else np.asarray(a, dtype) for a in values]
    wanted = k._call(*given)
    same(fast(k, *given)(*given), wanted)


SAMPLES = [
    (sp.sin(x) * y, (x, y), (x, y), ("value", "grad"), (np.linspace(0, 3, 37), np.ones(37))),
    (sp.sin(x) * y, (x, y), (x, y), "hess", (0.5, np.linspace(0, 3, 5))),  # y alone has samples
    (x**2 * y, (x, y), x, ("grad", "value"), (np.arange(6.0).reshape(2, 3), np.ones((2, 3)))),  # two axes
    (DOT, (x, v, w), v, ("value", "grad"), (0.5, np.arange(12.0).reshape(3, 4), np.ones(4))),  # one by one
    (sp.Trace(A * A.T) * x, (A, x), A, ("grad", "value"), (np.arange(18.0).reshape(3, 2, 3), np.ones(3))),
]


@pytest.mark.parametrize("backend", ["llvm", "c"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", SAMPLES, ids=lambda case: f"{case[0]} {case[3]}"[:40])
def test_calls_with_samples_need_no_python_code(case: Any, dtype: str, backend: str) -> None:
    expr, args, wrt, outputs, values = case
    k = sg.compile(expr, args, wrt, outputs=outputs, backend=backend, dtype=dtype)
    given = [a if isinstance(a, float) else np.asarray(a, dtype) for a in values]
    wanted = k._call(*given)
    same(fast(k, *given)(*given), wanted)
    others = [a if isinstance(a, float) else a + 1 for a in given]
    expected = k(*others)
    out: Any = np.full_like(expected, np.nan) if isinstance(expected, np.ndarray) else None
    out = tuple(np.full_like(a, np.nan) for a in expected) if out is None else out
    assert k(*others, out=out) is out
    same(out, expected)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_whole_numbers_are_arguments_like_others(dtype: str) -> None:
    k = sg.compile(x * y**2, (x, y), (x, y), outputs=("value", "grad"), dtype=dtype)
    numbers = [(1, 2), (-1, 3.5), (0, -4), (2**53, 1), (-(2**53), 0), (2**24 + 1, 1), (True, 2)]
    far = [(2**53 + 1, 1), (2**63, 1), (-(2**63), 1), (2**100, -1)]  # are rounded
    wanted = [k._call(*at) for at in numbers + far]
    for at, expected in zip(numbers + far, wanted, strict=True):
        same(k(*at), expected)
        assert k(*at)[0] == np.dtype(dtype).type(float(at[0])) * at[1] ** 2
    fast(k, 1.0, 2.0)
    for at, expected in zip(numbers[:-1], wanted, strict=False):
        same(k(*at), expected)


def test_calls_with_samples_that_need_python_code_have_it() -> None:
    """Other shapes and broadcasts, shares of threads, no samples, memory in common, alarms of samples."""
    k = sg.compile(sp.sin(x) * y, (x, y), outputs="value", threads=2)
    a = np.linspace(0, 3, 300_000)
    for _ in range(2):
        for p, q in (
            (a[:9], 2.0),
            (a[:9], a[9:18]),
            (a[:9, None], a[:4]),
            (a, a),
            (a[:0], a[:0]),
            (a[:18:2], 1.0),
        ):
            np.testing.assert_allclose(k(p, q), np.sin(p) * q, rtol=1e-14)
    both = a[:9].copy()
    wanted = np.sin(both) * both
    assert k(a[:9], a[:9]) is not both and k(both, both, out=both) is both
    np.testing.assert_allclose(both, wanted, rtol=1e-14)
    lossy = sg.compile(sp.sqrt(x**2 + y**2) - y, outputs="value", accuracy=0.1, stabilise=False)
    for _ in range(2):
        assert lossy(np.full(3, 3.0), np.full(3, 4.0)).tolist() == [1, 1, 1]
        with pytest.raises(sg.errors.PrecisionLost):
            lossy(np.array([3.0, 1.0, 3.0]), np.array([4.0, 1e9, 4.0]))


def test_what_a_fast_call_cannot_make_is_made_by_the_python_call() -> None:
    k = sg.compile(DOT, (x, v, w), outputs="value")
    wanted = 4.0
    assert k(0.5, ONES, TWOS) == wanted
    for args in (
        (np.int64(1), ONES, TWOS * 0.5),  # NumPy's integer
        (np.array(0.5), ONES, TWOS),  # an array without axes
        (0.5, [1.0] * 4, TWOS),  # a list
        (0.5, ONES.astype(np.float32), TWOS),  # another type
        (0.5, np.ones(8)[::2], TWOS),  # other strides
        (0.5, ONES, TWOS.astype(">f8")),  # another byte order
    ):
        assert k(*args) == wanted
    assert k(0.5, ONES, w=TWOS) == k(x=0.5, v=ONES, w=TWOS) == wanted
    np.testing.assert_array_equal(k(np.array([0.5, 1.0]), ONES, TWOS), [4.0, 8.0])  # samples
    assert k(0.5, np.ones(6), np.full(6, 2.0)) == 6.0  # other sizes
    assert k(0.5, ONES, TWOS) == wanted


def test_errors_of_a_call_are_those_of_the_python_call() -> None:
    k = sg.compile(x * y, (x, y), outputs="value")
    assert k(1.0, 2.0) == 2.0
    with pytest.raises(BadArgument, match="argument 'y' is missing"):
        k(1.0)
    with pytest.raises(BadArgument, match="3 arguments given"):
        k(1.0, 2.0, 3.0)
    with pytest.raises(DtypeMismatch, match="argument 'y'"):
        k(1.0, "a")
    with pytest.raises(BadArgument, match="no argument 'z'"):
        k(1.0, 2.0, z=3.0)


def test_out_is_written_to_and_returned() -> None:
    k = fast(sg.compile(DOT, (x, v, w), v, outputs="grad"), 0.5, ONES, TWOS)
    out = np.zeros(4)
    before = sys.getrefcount(out)
    result = k(0.5, ONES, TWOS, out=out)
    assert result is out and out.tolist() == [2.0] * 4
    del result
    assert sys.getrefcount(out) == before


def test_several_arrays_are_written_to_as_a_tuple() -> None:
    pair = fast(sg.compile(sp.Matrix([x * y, x]), (x, y), (x, y), outputs=("value", "jac")), 2.0, 3.0)
    value, jac = (np.zeros_like(part) for part in pair(2.0, 3.0))
    found = pair(2.0, 3.0, out=(value, jac))
    assert found[0] is value and found[1] is jac
    given = (value, jac)
    counts = [sys.getrefcount(a) for a in (given, value, jac)]
    assert pair(2.0, 3.0, out=given) is given
    with pytest.raises(AssertionError, match="through Python"):  # the second does not fit
        pair(2.0, 3.0, out=(value, np.zeros(7)))
    assert pair(2.0, 3.0, out=(value, None))[0] is value
    assert [sys.getrefcount(a) for a in (given, value, jac)] == counts
    assert value.ravel().tolist() == [6.0, 2.0] and jac.ravel().tolist() == [3.0, 2.0, 1.0, 0.0]


def test_out_that_shares_memory_or_does_not_fit_is_left_to_the_python_call() -> None:
    k = sg.compile(DOT, (x, v, w), v, outputs="grad")
    k(0.5, ONES, TWOS)
    both = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    assert k(0.5, both[:4], TWOS, out=both[1:]).tolist() == [2.0] * 4  # overlaps its own argument
    mine = ONES.copy()
    assert k(0.5, mine, TWOS, out=mine) is mine and mine.tolist() == [2.0] * 4
    fixed = np.zeros(4)
    fixed.flags.writeable = False
    for wrong in (np.zeros(3), np.zeros(4, np.int64), fixed, 3.0):
        with pytest.raises(sg.SymgradError):
            k(0.5, ONES, TWOS, out=wrong)
    strided = np.zeros(8)[::2]
    assert k(0.5, ONES, TWOS, out=strided) is strided and strided.tolist() == [2.0] * 4


def test_no_reference_is_kept_or_lost() -> None:
    k = fast(sg.compile(DOT, (x, v, w), v, outputs=("value", "grad")), 0.5, ONES, TWOS)
    _, grad = k(0.5, ONES, TWOS)
    assert sys.getrefcount(grad) == 2
    counted = (ONES, TWOS, k, float, tuple, np.dtype(float))
    before = [sys.getrefcount(c) for c in counted]
    blocks = sys.getallocatedblocks()
    for _ in range(1000):
        k(0.5, ONES, TWOS)
    gc.collect()
    after = [sys.getrefcount(c) for c in counted]
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 100
    assert sys.getallocatedblocks() - blocks < 500


def test_large_workspaces_are_allocated() -> None:
    k = sg.compile(STORED, (X,), X, outputs=("value", "grad"))
    m = np.linspace(-1.0, 1.0, 900).reshape(30, 30) / 9
    wanted = k._call(m)
    assert k.workspace(n=30) > 4096
    same(fast(k, m)(m), wanted)


def test_the_largest_workspace_is_kept_for_later_calls() -> None:
    k = sg.compile(STORED, (X,), X, outputs=("value", "grad"))
    spare = trampoline._SPARE

    def kept_after(size: int) -> tuple[int, int]:
        m = np.linspace(-1.0, 1.0, size * size).reshape(size, size) / 9
        wanted = k._call(m)
        same(k(m), wanted)
        return int(spare[0]), int(spare[1])

    address, held = kept_after(80)
    assert address and held >= k.workspace(n=80) > 4096
    assert kept_after(40) == (address, held)
    assert kept_after(90)[1] >= k.workspace(n=90)


def test_workspaces_begin_with_a_cache_line() -> None:
    """Of slow calls, fast ones and those for many samples; the kernel is a function that only looks."""
    k = sg.compile(STORED, (X,), X, outputs=("value", "grad"))
    seen: list[int] = []

    def look(buffers: int, meta: int) -> None:
        work = 3  # after X, the value and the gradient
        seen.append(ctypes.c_int64.from_address(buffers + 8 * work).value)

    kernel = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(look)
    address = ctypes.cast(kernel, ctypes.c_void_p).value
    for size in (3, 30, 31, 80, 200):
        for shape in ((size, size), (5, size, size)):
            real = k._spec.build(k._spec)
            slow = Samples(k._spec, Loaded(real.source, 0, 0, look, None)) if shape[2:] else None
            run = slow or call_compiled(look, np.dtype(float))
            k._built = replace(real, run=run, call_address=address, samples=slow)
            k._plans.clear()
            for _ in range(3):
                k(np.ones(shape))
    assert len(seen) == 30 and not any(place % 64 for place in seen)


def test_the_code_between_python_and_kernels_comes_from_the_cache() -> None:
    """It holds no address of this process: what it compares with are symbols."""
    kind = "define i64 @answer() {\n  ret i64 ptrtoint (ptr @place to i64)\n}\n@place = external global i8\n"
    for place, text in ((4096, lambda: kind), (8192, lambda: pytest.fail("it was compiled again"))):
        library = llvm_build.load(text, "a test of the cache", {"place": place}, ("answer",))
        assert ctypes.CFUNCTYPE(ctypes.c_int64)(library["answer"])() == place


def test_threads_with_different_shapes_do_not_disturb_each_other() -> None:
    k = sg.compile(DOT, (x, v, w), v, outputs=("value", "grad"))
    wrong: list[Any] = []

    def work(size: int) -> None:
        a = np.arange(float(size))
        for _ in range(300):
            value, grad = k(1.0, a, a)
            if value != (a**3).sum() or not np.array_equal(grad, 2 * a * a):
                wrong.append((size, value))

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 2, 3, 5, 8, 13)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_indices_are_checked_at_every_call() -> None:
    p = sp.IndexedBase("p", shape=(n,), integer=True)
    k = sg.compile(sp.Sum(v[p[i]], (i, 0, n - 1)), (v, p), outputs="value")
    assert k(np.arange(3.0), np.array([2, 2, 0])) == 4.0
    with pytest.raises(sg.errors.IndexOutOfRange):
        k(np.arange(3.0), np.array([2, 3, 0]))


def test_kernels_come_back_from_a_pickle_and_are_fast_again() -> None:
    k = sg.compile(x * y, (x, y), outputs="value")
    k(1.0, 2.0)
    again = fast(pickle.loads(pickle.dumps(k)), 1.0, 2.0)
    assert again(3.0, 4.0) == 12.0


def test_other_interpreters_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpython, "DIMS", cpython.DATA)
    cpython.supported.cache_clear()
    assert not cpython.supported()
    monkeypatch.undo()
    cpython.supported.cache_clear()
    assert cpython.supported()


def test_without_machine_code_a_call_is_the_python_call() -> None:
    class Doubled(fastcall.Plain):
        def _call(self, a: float, *, more: float = 0.0) -> float:
            return 2 * a + more

    assert Doubled()(3.0, more=1.0) == 7.0


def test_none_in_out_asks_for_a_new_array_or_a_number_without_python_code(monkeypatch):
    x, y = sp.symbols("x y")
    kernel = sg.compile(x**2 * y, wrt=(x, y), outputs=("value", "grad", "hess"))
    grad = np.empty(2)
    expected = kernel(2.0, 3.0, out=(None, grad, None))  # the first call makes the record
    monkeypatch.setattr(type(kernel), "_call", lambda *args, **options: pytest.fail("Python was asked"))
    for _ in range(1000):  # a reference too many or too few would show
        value, first, second = kernel(2.0, 3.0, out=(None, grad, None))
    assert value == expected[0] == 12.0 and first is grad
    place = np.empty(())
    assert kernel(2.0, 3.0, out=(place, None, None))[0] is place and place == 12.0
    np.testing.assert_array_equal(grad, [12.0, 4.0])
    np.testing.assert_array_equal(second, [[6.0, 4.0], [4.0, 0.0]])
    assert second is not expected[2] and kernel(2.0, 3.0, out=None)[0] == 12.0
    count = sys.getrefcount(grad)
    for _ in range(50):
        kernel(2.0, 3.0, out=(None, grad, None))
    assert sys.getrefcount(grad) == count


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_nested_results_and_arrays_without_axes_need_no_python_code(monkeypatch, dtype):
    n = sp.Symbol("n", integer=True, positive=True)
    A, v, c = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("v", n, 1), sp.Symbol("c")
    loss = c * (v.T * A * v)[0, 0] ** 2
    words = ("value", "grad", "hess")
    kernel = sg.compile(loss, args=(A, v, c), wrt=(v, c), outputs=words, dtype=dtype)
    rng = np.random.default_rng(0)
    a, x, s = rng.normal(size=(3, 3)).astype(dtype), rng.normal(size=(3, 1)).astype(dtype), np.array(2, dtype)
    expected = kernel(a, x, s)
    monkeypatch.setattr(type(kernel), "_call", lambda *args, **options: pytest.fail("Python was asked"))
    value, (grad_v, grad_c), ((h_vv, h_vc), (h_cv, h_cc)) = kernel(a, x, s)
    for got, wanted in zip((grad_v, h_vv, h_vc, h_cv), (expected[1][0], *expected[2][0], expected[2][1][0]),
                           strict=True):  # fmt: skip
        np.testing.assert_array_equal(got, wanted)
    assert (value, grad_c, h_cc) == (expected[0], expected[1][1], expected[2][1][1])
    given = np.empty((3, 1), dtype)
    out = (None, (given, None), ((None, None), (None, None)))
    count = sys.getrefcount(given)
    for _ in range(300):
        result = kernel(a, x, s, out=out)
    assert result[1][0] is given and np.array_equal(given, grad_v)
    del result
    assert sys.getrefcount(given) == count
    grads = kernel(a, x, s, out=None)[1]
    assert isinstance(grads, tuple) and np.array_equal(grads[0], grad_v)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_calls_that_may_fail_need_no_python_code_until_they_do(monkeypatch, dtype):
    n, x, y = sp.Symbol("n", integer=True, positive=True), *sp.symbols("x y")
    A, B = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, 1)
    solve = sg.compile(sg.linalg.solve(A, B), outputs=("value", "jvp"), wrt=B, dtype=dtype, accuracy=0.1)
    lossy = {"outputs": ("value", "grad"), "accuracy": 0.1, "stabilise": False}
    leg = sg.compile(sp.sqrt(x**2 + y**2) - y, dtype=dtype, **lossy)
    good, bad = np.array([[3, 1], [1, 2]], dtype), np.ones((2, 2), dtype)
    b, grad, asked = np.ones((2, 1), dtype), np.empty(2, dtype), []
    expected = solve(good, b, tangent=b), leg(3.0, 4.0)  # the first calls make the records
    plain = type(leg)._call

    def counted(self, *args, **options):
        asked.append(args)
        return plain(self, *args, **options)

    monkeypatch.setattr(type(leg), "_call", counted)
    for _ in range(100):
        value, product = solve(good, b, tangent=b)
        number, slope = leg(3.0, 4.0, out=(None, grad))
    assert not asked and slope is grad and number == expected[1][0] == 1
    np.testing.assert_array_equal(value, expected[0][0])
    np.testing.assert_array_equal(product, expected[0][1])
    count = sys.getrefcount(grad)
    for _ in range(20):
        with pytest.raises(sg.errors.NoFactorisation):
            solve(bad, b, tangent=b)
        with pytest.raises(sg.errors.PrecisionLost):
            leg(1.0, 1e9, out=(None, grad))
    assert len(asked) == 40 and sys.getrefcount(grad) == count


def test_wrong_structures_of_out_are_left_to_python():
    x, y = sp.symbols("x y")
    n = sp.Symbol("n", integer=True, positive=True)
    v = sp.MatrixSymbol("v", n, 1)
    kernel = sg.compile(x * (v.T * v)[0, 0] + y, wrt=(v, x), outputs=("value", "grad"), args=(v, x, y))
    column = np.ones((4, 1))
    kernel(column, 1.0, 2.0)
    for out in (
        (None,),
        (None, np.empty((4, 1))),
        (None, (np.empty((4, 1)),)),
        (None, (np.empty((3, 1)), None)),
    ):
        with pytest.raises(sg.SymgradError):
            kernel(column, 1.0, 2.0, out=out)
    value, grad = kernel(column, 1.0, 2.0, out=[None, [None, None]])
    assert value == 6.0 and np.array_equal(grad[0], 2 * column) and grad[1] == 4.0


# ---- directions and indices ------------------------------------------------------------------------


def test_tangents_and_cotangents_need_no_python_code() -> None:
    many = sg.compile(DOT, (x, v, w), (v, w), outputs=("value", "hvp"))
    direction = (np.arange(4.0), ONES)
    wanted = many._call(0.5, ONES, TWOS, tangent=direction)
    same(fast(many, 0.5, ONES, TWOS, tangent=direction)(0.5, ONES, TWOS, tangent=direction), wanted)
    single = sg.compile(DOT, (x, v, w), v, outputs="hvp")
    wanted = single._call(0.5, ONES, TWOS, tangent=ONES)
    same(fast(single, 0.5, ONES, TWOS, tangent=ONES)(0.5, ONES, TWOS, tangent=ONES), wanted)
    both = sg.compile(A * 2, (A,), A, outputs=("jvp", "vjp"))
    m = np.arange(6.0).reshape(2, 3)
    wanted = both._call(m, tangent=m, cotangent=-m)
    same(fast(both, m, tangent=m, cotangent=-m)(m, cotangent=-m, tangent=m), wanted)
    out = (np.empty((2, 3)), np.empty((2, 3)))
    found = both(m, out=out, cotangent=-m, tangent=m)
    assert found[0] is out[0]
    same(found, wanted)


def test_directions_that_do_not_fit_are_refused_as_before() -> None:
    many = sg.compile(DOT, (x, v, w), (v, w), outputs="hvp")
    direction = (ONES, TWOS)
    many(0.5, ONES, TWOS, tangent=direction)
    same(many(0.5, ONES, TWOS, tangent=[ONES, TWOS]), many._call(0.5, ONES, TWOS, tangent=direction))
    for bad in (None, ONES, (ONES,), (ONES, TWOS, TWOS)):
        with pytest.raises(SymgradError, match="tangent"):
            many(0.5, ONES, TWOS, tangent=bad)
    with pytest.raises(SymgradError, match="tangent"):
        many(0.5, ONES, TWOS)
    with pytest.raises(SymgradError, match="cotangent"):
        many(0.5, ONES, TWOS, tangent=direction, cotangent=ONES)


def test_indices_are_checked_without_python_code() -> None:
    place, table = (
        sp.IndexedBase("place", shape=(n,)),
        sp.IndexedBase("table", shape=(sp.Symbol("m", integer=True),)),
    )
    k = sg.compile(
        sp.Sum(table[place[i]] ** 2, (i, 0, n - 1)), (place, table), table, outputs=("value", "grad")
    )
    places, numbers = np.array([0, 2, 2, 1]), np.arange(3.0)
    wanted = k._call(places, numbers)
    same(fast(k, places, numbers)(places, numbers), wanted)
    del k._call
    for bad in (-1, 3, 1 << 40):
        with pytest.raises(IndexOutOfRange, match=f"index {bad}"):
            k(np.array([0, bad, 1, 2]), numbers)
    many = np.zeros(20_000, np.int64)
    assert k(many, numbers)[0] == 0.0
    many[-1] = 3
    with pytest.raises(IndexOutOfRange):
        k(many, numbers)
    shorter = np.arange(2.0)
    with pytest.raises(IndexOutOfRange):
        k(places, shorter)


def test_sparse_results_keep_to_python_code() -> None:
    k = sg.compile(DOT, (x, v, w), v, outputs="hess", sparse="csc")
    for _ in range(3):
        assert k(0.5, ONES, TWOS).diagonal().tolist() == [2.0] * 4


def test_kernels_are_called_directly_and_subclasses_by_their_own_call_if_they_have_one() -> None:
    class Doubled(Kernel):
        def __call__(self, *args: Any, **keywords: Any) -> Any:
            return 2 * self._call(*args, **keywords)

    k = sg.compile(x * y, (x, y), outputs="value")
    takes_vectors = 1 << 11  # Py_TPFLAGS_HAVE_VECTORCALL
    assert all(bool(c.__flags__ & takes_vectors) == cpython.supported() for c in (Kernel, type(k)))
    assert not Doubled.__flags__ & takes_vectors
    doubled = Doubled(k._spec)
    assert [doubled(2.0, 3.0), doubled(2.0, y=3.0), k(2.0, 3.0), k(2.0, y=3.0)] == [12.0, 12.0, 6.0, 6.0]


def test_the_gil_is_kept_where_sizes_make_a_call_brief() -> None:
    k = sg.compile(DOT, (x, v, w), v, outputs=("value", "grad"))
    brief = {}
    for size in (0, 5, 4000):
        k(0.5, np.ones(size), np.ones(size))
        brief[size] = is_brief(k._spec.routine, {"n": size})
        assert k._record is None or k._record[13] == brief[size]
    assert brief == {0: True, 5: True, 4000: False}
    assert not is_brief(sg.compile(STORED, (X,))._spec.routine, {"n": 40})
