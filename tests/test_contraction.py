"""Contractions: which sums become matrix products, and that every shape and layout gives the same numbers."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest
import sympy as sp
from routines import DTYPES, TARGETS, call

import symgrad as sg
from symgrad.loops.contract import SCRATCH
from symgrad.loops.nest import Buffer, Contract, If, Poly, Routine, Start, Strided, Transpose, poly, variable
from symgrad.loops.walk import walk
from symgrad.targets import contract_llvm, llvm_build
from symgrad.targets.base import Loaded, target_named

I, J, K, P, Q = sp.symbols("i j k p q", integer=True)  # noqa: E741  (indices)
n, m, d, c = sp.symbols("n m d c", integer=True, positive=True)
TOLERANCE = {"float64": 1e-13, "float32": 1e-5}  # of a sum, relative to the sum of the terms' sizes
_NUMBERS = ("m", "n", "k", "ar", "ad", "bd", "bc", "cr", "cc", "keep", "sign", "lower")


def _routine() -> Routine:
    """One call of the function, everything about it given as sizes."""
    x: dict[str, Poly] = {name: variable(name) for name in _NUMBERS}
    a, b, out, work = (Start(name, (poly(0),)) for name in ("a", "b", "c", "w"))
    statement = Contract(
        x["m"], x["n"], x["k"],
        Strided(a, (x["ar"], x["ad"])), Strided(b, (x["bd"], x["bc"])), Strided(out, (x["cr"], x["cc"])),
        x["keep"], x["sign"], x["lower"], work,
    )  # fmt: skip
    extent = (variable("most"),)
    buffers = (Buffer("a", "input", extent), Buffer("b", "input", extent), Buffer("c", "output", extent))
    sizes = (*_NUMBERS, "most")
    return Routine("product", sizes, sizes, (*buffers, Buffer("w", "work", (poly(SCRATCH),))), [statement])


@pytest.fixture(scope="module")
def built() -> dict[tuple[str, str], Loaded]:
    return {(t, dtype): target_named(t).build(_routine(), dtype) for t in TARGETS for dtype in DTYPES}


def _product(
    built: dict[tuple[str, str], Loaded], target: str, dtype: str, a: np.ndarray, b: np.ndarray, turned: bool,
    **numbers: int,
) -> np.ndarray:  # fmt: skip
    """a @ b by the function; `turned` stores the result column by column."""
    (rows, depth), columns, size = a.shape, b.shape[1], a.itemsize
    most = max(1, a.size, b.size, rows * columns)
    memory = [np.resize(x.T if not x.flags.c_contiguous else x, most) for x in (a, b)]
    strides = [s // size for x in (a, b) for s in x.strides]
    sizes = dict(
        zip(
            _NUMBERS,
            (rows, columns, depth, *strides, *((1, rows) if turned else (columns, 1)), 0, 1, 0),
            strict=True,
        )
    )
    sizes |= numbers
    sizes["most"] = most
    out = call(
        target, _routine(), sizes, {"a": memory[0], "b": memory[1]}, dtype, loaded=built[target, dtype]
    )
    entries = out["c"][: rows * columns]
    return entries.reshape(columns, rows).T if turned else entries.reshape(rows, columns)


def _matrix(rng: np.random.Generator, rows: int, columns: int, turned: bool, dtype: str) -> np.ndarray:
    x = rng.normal(size=(columns, rows) if turned else (rows, columns)).astype(dtype)
    return x.T if turned else x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_shape_and_layout_gives_the_product(built, target: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    lengths = (0, 1, 3, 8, 9, 25, 61)
    for rows, columns in itertools.product(lengths, lengths):
        for depth in (0, 1, 7, 200):
            turned = rng.integers(0, 2, size=3).astype(bool)
            a, b = (
                _matrix(rng, *shape, t, dtype)
                for *shape, t in ((rows, depth, turned[0]), (depth, columns, turned[1]))
            )
            got = _product(built, target, dtype, a, b, turned[2])
            bound = np.abs(a.astype(float)) @ np.abs(b.astype(float))
            error = np.abs(got - a.astype(float) @ b.astype(float))
            assert (error <= TOLERANCE[dtype] * bound).all(), (rows, columns, depth, turned)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_squares_of_a_transposed_factor_and_what_is_left_of_them_are_all_there(
    built, target: str, dtype: str
) -> None:
    """Entry for entry: a times the identity is a, so each number of b is read once, and where it belongs."""
    rng = np.random.default_rng(6)
    for columns, depth in itertools.product((1, 7, 8, 9, 17, 24, 25, 50), (1, 5, 8, 15, 16, 33, 192, 200)):
        b = rng.normal(size=(columns, depth)).astype(dtype).T
        got = _product(built, target, dtype, np.eye(depth, dtype=dtype), b, False)
        assert (got == b).all(), (columns, depth)


@pytest.mark.parametrize("dtype", DTYPES)
def test_narrow_vectors_without_masks_are_transposed_too(dtype: str) -> None:
    """The functions of other processors, which this one can run, read what they should and no more."""
    for vectors in (16, 32, 64):
        shape = contract_llvm.Shape(4, 3, vectors // np.dtype(dtype).itemsize, masks=False)
        texts, needs = contract_llvm.functions(shape, dtype, {Transpose})
        name = f"transposed{vectors}_{dtype}"
        call_it = (f"define void @{name}(ptr %a, ptr %b, i64 %r, i64 %w, i64 %m, i64 %n) {{\n  call void "
                   "@transpose(ptr %a, ptr %b, i64 %r, i64 %w, i64 %m, i64 %n)\n  ret void\n}")  # fmt: skip
        text = "\n".join([*texts, call_it, *needs.values(), "attributes #3 = { nounwind noinline }"])
        library = llvm_build.load(lambda text=text: text, f"{name} {text}", {}, [name])
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 4)(library[name])
        for rows, columns in itertools.product((1, 2, 7, 16, 19), (1, 3, 8, 12, 17)):
            a = np.arange(columns * rows, dtype=dtype).reshape(columns, rows)
            b = np.zeros((32, 32), dtype)
            function(a.ctypes.data, b.ctypes.data, rows, 32, rows, columns)
            assert (b[:rows, :columns] == a.T).all(), (vectors, rows, columns)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_more_rows_than_a_block_has_are_all_computed(built, target: str, dtype: str) -> None:
    rng = np.random.default_rng(2)
    for rows, columns, depth in ((300, 50, 400), (2, 300, 200), (300, 2, 200)):
        a, b = rng.normal(size=(rows, depth)).astype(dtype), rng.normal(size=(depth, columns)).astype(dtype)
        got = _product(built, target, dtype, a, b, False)
        assert (np.abs(got - a.astype(float) @ b) <= TOLERANCE[dtype] * (np.abs(a) @ np.abs(b))).all()


@pytest.mark.parametrize("target", TARGETS)
def test_a_symmetric_product_is_exactly_symmetric(built, target: str) -> None:
    rng = np.random.default_rng(3)
    for rows, depth in ((1, 3), (9, 5), (40, 30), (100, 7)):
        a = rng.normal(size=(depth, rows))
        got = _product(built, target, "float64", a.T, a, False, lower=1)
        assert (got == got.T).all()
        assert (np.abs(got - a.T @ a) <= TOLERANCE["float64"] * (np.abs(a).T @ np.abs(a))).all()


@pytest.mark.parametrize("target", TARGETS)
def test_an_entry_is_nan_or_infinite_where_its_own_terms_are(built, target: str) -> None:
    a, b = np.ones((9, 5)), np.ones((5, 26))
    a[2, 3], b[1, 25], a[8, 0] = np.nan, np.inf, -np.inf
    expected = np.full((9, 26), 5.0)
    expected[:, 25], expected[8], expected[2] = np.inf, -np.inf, np.nan
    expected[8, 25] = np.nan
    np.testing.assert_array_equal(_product(built, target, "float64", a, b, False), expected)


# ---- which sums ----------------------------------------------------------------------------------------


def _calls(expr: sp.Expr, args: tuple, **options: object) -> int:
    found: list[Routine] = []

    def watch(stage: str, thing: object) -> None:
        if stage == "lower":
            assert isinstance(thing, Routine)
            found.append(thing)

    sg.compile(expr, args=args, watch=watch, **options)
    body = found[0].body
    versions = [s for s in body if isinstance(s, If)]
    if len(versions) == 2 and len(body) == 4:  # for few and for many: tested, and run if so
        body = versions[1].body
    return sum(isinstance(s, Contract) for _, s in walk(body))


def _agree(expr: sp.Expr, args: tuple, values: tuple, backend: str, words: tuple = ("value", "grad")) -> None:
    got = sg.compile(expr, args=args, outputs=words, backend=backend)(*values)
    expected = sg.compile(expr, args=args, outputs=words, backend="numpy")(*values)
    for one, other in zip(_flat(got), _flat(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * np.abs(other).max(initial=1.0))


def _flat(x: object) -> list[np.ndarray]:
    return [leaf for part in x for leaf in _flat(part)] if isinstance(x, tuple) else [np.asarray(x)]


def _bases(**shapes: tuple) -> tuple[sp.IndexedBase, ...]:
    return tuple(sp.IndexedBase(name, shape=shape) for name, shape in shapes.items())


@pytest.mark.parametrize("backend", TARGETS)
def test_a_product_between_products_and_its_gradients_agree_with_the_reference(backend: str) -> None:
    X, W, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("W", d, c), sp.MatrixSymbol("Y", n, c)
    loss = sp.Trace((X * W - Y).T * (X * W - Y))
    rng = np.random.default_rng(5)
    assert _calls(loss, (X, W, Y), outputs=("value", "grad")) >= 3
    for rows, inner, columns in ((17, 5, 3), (1, 1, 1), (4, 40, 9)):
        values = tuple(rng.normal(size=s) for s in ((rows, inner), (inner, columns), (rows, columns)))
        _agree(loss, (X, W, Y), values, backend)


@pytest.mark.parametrize("backend", TARGETS)
def test_batches_of_products_are_loops_around_a_call(backend: str) -> None:
    a, b = _bases(A=(m, n, d), B=(m, d, c))
    entry = sp.Sum(a[P, I, K] * b[P, K, J], (K, 0, d - 1))
    loss = sp.Sum(entry**2, (P, 0, m - 1), (I, 0, n - 1), (J, 0, c - 1))
    assert _calls(loss, (a, b), outputs="value") == 1
    rng = np.random.default_rng(6)
    _agree(loss, (a, b), (rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 5, 2))), backend)


@pytest.mark.parametrize("backend", TARGETS)
def test_the_windows_of_a_convolution_are_a_product_with_strides(backend: str) -> None:
    x, w = _bases(A=(m, d, n + c - 1), B=(sp.Integer(5), d, c))
    entry = sp.Sum(x[P, K, I + J] * w[Q, K, J], (K, 0, d - 1), (J, 0, c - 1))
    loss = sp.Sum(entry**2, (P, 0, m - 1), (Q, 0, 4), (I, 0, n - 1))
    assert _calls(loss, (x, w), outputs="value") == 1
    rng = np.random.default_rng(7)
    _agree(loss, (x, w), (rng.normal(size=(2, 3, 22)), rng.normal(size=(5, 3, 6))), backend)


@pytest.mark.parametrize("backend", TARGETS)
def test_a_sum_of_products_with_either_sign_is_several_calls(backend: str) -> None:
    a, b = _bases(A=(n, d), B=(n, d))
    entry = sp.Sum(a[I, K] * b[J, K] - b[I, K] * a[J, K], (K, 0, d - 1))
    loss = sp.Sum(sp.exp(entry / 10), (I, 0, n - 1), (J, 0, n - 1))
    assert _calls(loss, (a, b), outputs="value") == 2
    rng = np.random.default_rng(8)
    _agree(loss, (a, b), (rng.normal(size=(11, 4)), rng.normal(size=(11, 4))), backend)


@pytest.mark.parametrize("backend", TARGETS)
def test_integer_factors_are_handed_to_the_product(backend: str) -> None:
    """None of the operands is stored once more for them, nor where the product is a loop in place."""
    a, b = _bases(A=(n, d), B=(n, d))
    entry = sp.Sum(-3 * a[I, K] * b[J, K] + 4 * b[I, K] * a[J, K], (K, 0, d - 1))
    loss = sp.Sum(sp.exp(entry / 10), (I, 0, n - 1), (J, 0, n - 1))
    assert _calls(loss, (a, b), outputs="value") == 2
    text = sg.compile(loss, args=(a, b), outputs="value", backend="c").source
    assert "(n, d)" not in "".join(line for line in text.splitlines() if line.startswith(" * work"))
    rng = np.random.default_rng(9)
    for rows, inner in ((11, 4), (3, 2), (1, 1)):
        _agree(loss, (a, b), (rng.normal(size=(rows, inner)), rng.normal(size=(rows, inner))), backend)


def test_sums_that_lack_an_axis_stay_loops() -> None:
    a, v = _bases(A=(n, n), S=(n,))
    vector = sp.Sum(sp.Sum(a[I, K] * v[K], (K, 0, n - 1)) ** 2, (I, 0, n - 1))
    assert _calls(vector, (a, v), outputs="value") == 0


@pytest.mark.parametrize("backend", TARGETS)
def test_a_triangular_factor_becomes_an_operand_with_zeros(backend: str) -> None:
    a, b = _bases(A=(n, n), B=(n, m))
    loss = sp.Sum(sp.Sum(a[I, K] * b[K, J], (K, 0, I)) ** 2, (I, 0, n - 1), (J, 0, m - 1))
    assert _calls(loss, (a, b), outputs="value") == 1
    rng = np.random.default_rng(10)
    _agree(
        loss, (a, b), (rng.normal(size=(9, 9)), rng.normal(size=(9, 5))), backend, ("value", "grad", "hess")
    )


@pytest.mark.parametrize("backend", TARGETS)
def test_weights_and_differences_are_stored_as_an_operand(backend: str) -> None:
    a, b, v = _bases(A=(n, d), B=(m, d), S=(d,))
    entry = sp.Sum((a[I, K] - 1) * sp.exp(v[K]) * (b[J, K] ** 2) / 3, (K, 0, d - 1))
    loss = sp.Sum(sp.tanh(entry), (I, 0, n - 1), (J, 0, m - 1))
    assert _calls(loss, (a, b, v), outputs="value") == 1
    rng = np.random.default_rng(11)
    _agree(loss, (a, b, v), tuple(rng.normal(size=s) for s in ((6, 4), (7, 4), (4,))), backend)


@pytest.mark.parametrize("backend", TARGETS)
def test_terms_that_are_no_products_leave_the_sum(backend: str) -> None:
    a, b, v = _bases(A=(n, d), B=(m, d), S=(n, m))
    entry = sp.Sum(a[I, K] * b[J, K] - a[I, K] * v[I, J] + sp.sin(a[I, K] * b[J, K]), (K, 0, d - 1))
    loss = sp.Sum(sp.tanh(entry), (I, 0, n - 1), (J, 0, m - 1))
    assert _calls(loss, (a, b, v), outputs="value") == 1
    rng = np.random.default_rng(13)
    _agree(loss, (a, b, v), tuple(rng.normal(size=s) for s in ((6, 4), (7, 4), (6, 7))), backend)


@pytest.mark.parametrize("backend", TARGETS)
def test_the_gradient_of_a_convolution_reads_a_copy_with_zeros_around(backend: str) -> None:
    x, w = _bases(A=(n, d), B=(m, d, c))
    entry = sp.Sum(x[I + J, K] * w[Q, K, J], (K, 0, d - 1), (J, 0, c - 1))
    loss = sp.Sum(entry**3, (Q, 0, m - 1), (I, 0, n - c))
    assert _calls(loss, (x, w), wrt=x, outputs="grad") == 2
    rng = np.random.default_rng(12)
    for shapes in (((12, 3), (5, 3, 4)), ((1, 1), (1, 1, 1)), ((6, 2), (2, 2, 6))):
        _agree(loss, (x, w), tuple(rng.normal(size=s) for s in shapes), backend)


def test_of_a_product_read_on_its_diagonal_only_that_is_computed() -> None:
    X, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("Y", d, n)
    assert _calls(sp.Trace(X * Y), (X, Y), outputs="value") == 0
    rng = np.random.default_rng(14)
    _agree(sp.exp(sp.Trace(X * Y)), (X, Y), (rng.normal(size=(4, 3)), rng.normal(size=(3, 4))), "llvm")


def test_small_products_of_known_sizes_stay_loops() -> None:
    X, Y = sp.MatrixSymbol("X", 3, 3), sp.MatrixSymbol("Y", 3, 3)
    assert _calls(sp.Trace((X * Y).T * (X * Y)), (X, Y), outputs="value") == 0


def test_single_precision_differs_from_double_by_rounding() -> None:
    X, W = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("W", d, c)
    rng = np.random.default_rng(9)
    x, w = rng.normal(size=(33, 70)), rng.normal(size=(70, 29))
    for backend in TARGETS:
        got = sg.compile(X * W, args=(X, W), outputs="value", backend=backend, dtype="float32")(x, w)
        assert (np.abs(got - x @ w) <= TOLERANCE["float32"] * (np.abs(x) @ np.abs(w))).all()
