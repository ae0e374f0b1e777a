"""Both compiled targets against NumPy: every op at its special values, every statement, batches."""

from __future__ import annotations

import ctypes
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import routines
from routines import DTYPES, ONE, TARGETS, ZERO, I, M, N, call, loop, numbers_between, routine
from tolerances import ULPS, assert_close

from symgrad.errors import BadName, BadOption, IllegalProgram, MissingCompiler
from symgrad.ir.ops import OPS
from symgrad.ir.special import SPECIAL as SPECIAL_ROWS
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Buffer,
    Cell,
    Compute,
    Const,
    FromInt,
    Load,
    Part,
    SetCell,
    Store,
    poly,
    poly_add,
)
from symgrad.loops.split import split
from symgrad.targets import c_build
from symgrad.targets.base import literal_value, target_named, workspace_elements
from symgrad.targets.c import emit_c
from symgrad.targets.text import comment_text

SPELLED = sorted(name for name, row in OPS.items() if row.c and name != "cast" and name not in SPECIAL_ROWS)
CONDITIONS = {"and": 2, "or": 2, "not": 1, "where": 1, "mask": 1}


def _samples(op: str, dtype: str) -> list[np.ndarray]:
    """Points of the op's domain, and every combination of the values where functions go wrong."""
    row, rng = OPS[op], np.random.default_rng(1)
    info = np.finfo(dtype)
    specials = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        np.inf,
        -np.inf,
        np.nan,
        float(info.smallest_subnormal),
        float(info.max),
    ]
    grid = np.array(list(itertools.product(specials, repeat=row.arity)), dtype).T
    intervals = list(row.domain) * row.arity if len(row.domain) == 1 else list(row.domain)
    plain = [rng.uniform(low, high, 200).astype(dtype) for low, high in intervals[: row.arity]]
    return [np.ascontiguousarray(np.concatenate([p, g])) for p, g in zip(plain, grid, strict=True)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_spelled_op_agrees_with_its_reference_at_special_values_too(target: str, dtype: str) -> None:
    rows = {op: (OPS[op].arity, CONDITIONS.get(op, 0), OPS[op].result == "bool") for op in SPELLED}
    columns = {op: _samples(op, dtype) for op in SPELLED}
    sizes = {f"n{OPS[op].arity}": c[0].size for op, c in columns.items()}
    inputs = {f"x{k}_{op}": c for op, args in columns.items() for k, c in enumerate(args)}
    results = call(target, routines.every_op(rows), sizes, inputs, dtype)
    wrong = []
    for op, args in columns.items():
        conditions = CONDITIONS.get(op, 0)
        with np.errstate(all="ignore"):
            reference = OPS[op].numpy(*(c != 0 if k < conditions else c for k, c in enumerate(args)))
        got, wanted = results[f"y_{op}"], np.asarray(reference).astype(dtype)
        apart = numbers_between(got, wanted)
        bad = apart > (ULPS[op] if ULPS[op] > 1 else 0)  # what IEEE 754 rounds is equal to the bit
        if bad.any():
            at = np.argmax(bad)
            wrong.append((op, [float(c[at]) for c in args], float(got[at]), float(wanted[at]), apart[at]))
    assert not wrong


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_a_matrix_vector_product_and_its_largest_entry(target: str, dtype: str) -> None:
    rng = np.random.default_rng(2)
    kernel = routines.matrix_vector()
    loaded = target_named(target).build(kernel, dtype)
    for n, m in ((1, 1), (3, 5), (17, 64), (8, 129)):
        x, w = rng.normal(size=(n, m)).astype(dtype), rng.normal(size=m).astype(dtype)
        got = call(target, kernel, {"n": n, "m": m}, {"X": x, "w": w}, dtype, loaded=loaded)
        wanted = (x.astype(np.float64) @ w.astype(np.float64)).astype(dtype)
        assert_close(got["y"], wanted)
        assert got["s"] == got["y"].max()


@pytest.mark.parametrize("target", TARGETS)
def test_empty_extents_give_empty_outputs_and_empty_sums(target: str) -> None:
    kernel = routines.matrix_vector()
    no_rows = call(target, kernel, {"n": 0, "m": 3}, {"X": np.ones((0, 3)), "w": np.ones(3)})
    assert no_rows["y"].shape == (0,) and no_rows["s"] == -np.inf
    no_columns = call(target, kernel, {"n": 2, "m": 0}, {"X": np.ones((2, 0)), "w": np.ones(0)})
    assert list(no_columns["y"]) == [0.0, 0.0]


@pytest.mark.parametrize("target", TARGETS)
def test_a_negative_extent_counts_as_zero_in_the_workspace(target: str) -> None:
    below = poly_add(N, poly(-2))
    kernel = routine(
        [Buffer("x", "input", (N,)), Buffer("y", "output", (N,)),
         Buffer("a", "work", (below, M)), Buffer("b", "work", (N,)), Buffer("c", "work", (poly(3), N))],
        [
            loop("i", below, [Load(1, "x", (I,)), Store("a", (I, poly(0)), 1)]),
            loop("i", N, [Load(2, "x", (I,)), Compute(3, "add", (2, 2)), Store("b", (I,), 3)]),
            loop("i", N, [Load(4, "b", (I,)), Store("c", (poly(2), I), 4)]),
            loop("i", N, [Load(5, "c", (poly(2), I)), Store("y", (I,), 5)]),
        ],
    )  # fmt: skip
    assert workspace_elements(kernel, {"n": 1, "m": 5}) == 0 + 8 + 8
    assert workspace_elements(kernel, {"n": 9, "m": 5}) == 40 + 16 + 32
    for n in (0, 1, 2, 9):
        x = np.arange(1.0, n + 1)
        assert list(call(target, kernel, {"n": n, "m": 5}, {"x": x})["y"]) == list(2 * x)


@pytest.mark.parametrize("target", TARGETS)
def test_a_loop_runs_from_the_largest_lower_to_the_smallest_upper_bound(target: str) -> None:
    for n, m in ((6, 4), (3, 8), (5, 1)):
        x = np.random.default_rng(3).normal(size=(n, m))
        got = call(target, routines.triangle(), {"n": n, "m": m}, {"X": x})["y"]
        wanted = np.array([x[i, max(0, i - 2) : min(m, i + 1)].sum() for i in range(n)])
        assert_close(got, wanted)


@pytest.mark.parametrize("target", TARGETS)
def test_a_guarded_read_stays_inside_and_a_cell_keeps_what_was_set(target: str) -> None:
    x = np.array([3.0, 4.0, 5.0, np.nan])
    got = call(target, routines.guarded(), {"n": 4}, {"x": x})
    assert list(got["y"]) == [0.5, 3.0, 4.0, 5.0]
    assert list(got["z"]) == [0.5, 0.5, 1.5, 0.5]


@pytest.mark.parametrize("target", TARGETS)
def test_gathered_rows_are_read_and_scattered_sums_collide_correctly(target: str) -> None:
    x, idx = np.random.default_rng(4).normal(size=(3, 5)), np.array([2, 0, 2, 2, 1])
    got = call(target, routines.gather(), {"n": 5, "m": 3}, {"X": x, "idx": idx})
    assert list(got["y"]) == [x[k, i] for i, k in enumerate(idx)]
    assert list(got["c"]) == [1.0, 1.0, 3.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["max", "min"])
def test_extrema_keep_a_nan_wherever_it_stands(target: str, dtype: str, kind: str) -> None:
    kernel = routines.extremum(kind)
    loaded = target_named(target).build(kernel, dtype)
    for place in (None, 0, 5, 36):
        x = np.random.default_rng(5).normal(size=37).astype(dtype)
        if place is not None:
            x[place] = np.nan
        got = call(target, kernel, {"n": 37}, {"x": x}, dtype, loaded=loaded)
        wanted = np.max(x) if kind == "max" else np.min(x)
        assert np.array_equal(got["s"], wanted, equal_nan=True)
        assert np.array_equal(got["y"], wanted, equal_nan=True)


@pytest.mark.parametrize("target", TARGETS)
def test_sums_and_products_keep_infinities_and_nans(target: str) -> None:
    kernel = routine(
        [Buffer("x", "input", (N,)), Buffer("s", "output", ()), Buffer("p", "output", ())],
        [
            Const(1, ZERO), Const(2, ONE), Cell(3, 1), Cell(4, 2),
            loop("i", N, [Load(5, "x", (I,)), Accumulate("sum", 3, 5)]),
            loop("i", N, [Load(6, "x", (I,)), Accumulate("prod", 4, 6)]),
            Store("s", (), 3), Store("p", (), 4),
        ],
        ("n",),
    )  # fmt: skip
    loaded = target_named(target).build(kernel)
    for special, total, product in ((np.inf,) * 3, (-np.inf, -np.inf, -np.inf), (np.nan,) * 3):
        x = np.ones(40)
        x[17] = special
        got = call(target, kernel, {"n": 40}, {"x": x}, loaded=loaded)
        assert np.array_equal(got["s"], total, equal_nan=True)
        assert np.array_equal(got["p"], product, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_samples_step_through_batched_inputs_and_share_the_others(target: str, dtype: str) -> None:
    rng = np.random.default_rng(6)
    x, w = rng.normal(size=(7, 3, 4)).astype(dtype), rng.normal(size=4).astype(dtype)
    kernel = routines.matrix_vector()
    got = call(target, kernel, {"n": 3, "m": 4}, {"X": x, "w": w}, dtype, samples=7)
    for s in range(7):
        one = call(target, kernel, {"n": 3, "m": 4}, {"X": x[s], "w": w}, dtype)
        assert_close(got["y"][s], one["y"])
    nothing = call(
        target, kernel, {"n": 3, "m": 4}, {"X": x[:0], "w": w}, dtype, samples=1, loaded=_never(target)
    )
    assert nothing["y"].shape == (3,)


def _never(target: str):
    """The loaded kernel, called for no samples at all."""
    loaded = target_named(target).build(routines.matrix_vector())

    def call_for_none(buffers: int, meta: int) -> None:
        ctypes.c_int64.from_address(meta).value = 0
        loaded.call(buffers, meta)

    return replace(loaded, call=call_for_none)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_constants_are_rounded_once_from_their_exact_value(target: str, dtype: str) -> None:
    payloads = [
        ("q", 1, 3), ("q", -7, 5), ("q", 10**40, 1), ("q", -(10**400), 1), ("q", 1, 10**320), ("s", "pi"),
        ("s", "e"), ("f", "inf"), ("f", "-inf"), ("f", "nan"), ("q", 2**24 + 1, 1), ("q", 2**53 + 1, 1),
        ("q", (2**25 + 1) * 2**40 + 1, 2**40), ("q", 0, 1),
    ]  # fmt: skip
    body = [s for k, p in enumerate(payloads) for s in (Const(k, p), Store("y", (poly(k),), k))]
    kernel = routine([Buffer("y", "output", (poly(len(payloads)),))], body, ())
    got = call(target, kernel, {}, {}, dtype)["y"]
    wanted = np.array([literal_value(p, dtype) for p in payloads], dtype)
    assert not numbers_between(got, wanted).any()


def test_a_float32_constant_is_the_nearest_one_where_rounding_twice_would_miss_it() -> None:
    halfway = Fraction(2**24 + 1) + Fraction(1, 2**60)  # float64 drops the tail, then ties to even
    assert literal_value(("q", halfway.numerator, halfway.denominator), "float32") == 2**24 + 2
    assert literal_value(("q", 2**24 + 1, 1), "float32") == 2**24


@pytest.mark.parametrize("target", TARGETS)
def test_truth_values_can_be_constants_cells_and_operands(target: str) -> None:
    kernel = routine(
        [Buffer("x", "input", (N,)), Buffer("y", "output", (N,))],
        [
            Bool(1, True), Bool(2, False), Const(3, ZERO), Const(4, ONE), Cell(5, 2),
            loop("i", N, [
                Load(6, "x", (I,)), Compute(7, "lt", (6, 3)), Compute(8, "or", (5, 7)), SetCell(5, 8),
                Compute(9, "and", (5, 1)), Compute(10, "not", (9,)), Compute(11, "where", (10, 4, 6)),
                Store("y", (I,), 11),
            ]),
        ],
        ("n",),
    )  # fmt: skip
    got = call(target, kernel, {"n": 4}, {"x": np.array([1.0, 2.0, -3.0, 4.0])})["y"]
    assert list(got) == [1.0, 1.0, -3.0, 4.0]  # once x < 0 was seen, x itself


@pytest.mark.parametrize("target", TARGETS)
def test_a_store_comes_after_the_reads_that_stand_before_it(target: str) -> None:
    kernel = routine(
        [Buffer("y", "output", (poly(2),)), Buffer("h", "work", (poly(2),))],
        [
            Const(1, ONE), Const(2, ("q", 5, 1)), Store("h", (poly(0),), 1),
            Load(3, "h", (poly(0),)), Store("h", (poly(0),), 2),
            Load(4, "h", (poly(0),)), Store("y", (poly(0),), 3), Store("y", (poly(1),), 4),
        ],
        (),
    )  # fmt: skip
    assert list(call(target, kernel, {}, {})["y"]) == [1.0, 5.0]


# ---- long straight lines -------------------------------------------------------------------------


def _reference_of_chain(kernel, x: np.ndarray) -> dict[str, np.ndarray]:
    """The straight line evaluated one statement after the other in NumPy."""
    values, out = {}, {"y": np.zeros(4), "z": np.zeros(8)}
    *line, last = kernel.body
    for s in line:
        if isinstance(s, Load):
            values[s.dst] = x[s.index[0][0][1] if s.index[0] else 0]
        elif isinstance(s, Const):
            values[s.dst] = s.payload[1] / s.payload[2]
        elif isinstance(s, Compute):
            values[s.dst] = OPS[s.op].numpy(*(values[a] for a in s.args))
        else:
            out["y"][s.index[0][0][1] if s.index[0] else 0] = values[s.src]
    middle, flag = last.body[1].args[1], last.body[2].args[0]
    out["z"] = np.where(values[flag], x * values[middle], x)
    return out


@pytest.mark.parametrize("target", TARGETS)
def test_a_line_of_20000_ops_in_parts_computes_what_the_whole_line_does(target: str) -> None:
    whole, x = routines.chain(20_000), np.linspace(0.5, 1.5, 8)
    parts = split(whole)
    assert sum(isinstance(s, Part) for s in parts.body) > 10
    got, wanted = call(target, parts, {}, {"x": x}), _reference_of_chain(whole, x)
    for name in ("y", "z"):
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 7, 50])
def test_parts_of_any_length_agree_with_the_whole(length: int) -> None:
    whole, x = routines.chain(300), np.linspace(-1.0, 1.5, 8)
    got = call("llvm", split(whole, limit=10, part=length), {}, {"x": x})
    wanted = call("llvm", whole, {}, {"x": x})
    for name in ("y", "z"):
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-13)


def test_no_value_crosses_the_border_of_a_part_and_slots_are_used_again() -> None:
    parts = split(routines.chain(3_000), limit=100, part=100)
    for part in (s for s in parts.body if isinstance(s, Part)):
        here: set[int] = set()
        for s in part.body:
            assert here.issuperset(
                s.args if isinstance(s, Compute) else [s.src] if isinstance(s, Store) else []
            )
            here |= {s.dst} if not isinstance(s, Store) else set()
    stores = sum(isinstance(s, Store) for p in parts.body if isinstance(p, Part) for s in p.body)
    assert 0 < workspace_elements(parts, {}) < stores


@pytest.mark.parametrize("target", TARGETS)
def test_cells_and_loops_between_parts_keep_their_order(target: str) -> None:
    first = [Compute(10 + k, "add", (9 + k, 1)) for k in range(20)]
    second = [Compute(50 + k, "add", (49 + k if k else 40, 29)) for k in range(20)]
    third = [Compute(80 + k, "add", (79 + k if k else 40, 69)) for k in range(20)]
    kernel = routine(
        [Buffer("x", "input", (N,)), Buffer("y", "output", (poly(2),))],
        [
            Load(1, "x", (poly(0),)), Compute(9, "mul", (1, 1)), *first, Cell(40, 29),
            loop("i", N, [Load(41, "x", (I,)), Accumulate("sum", 40, 41)]),
            *second, Store("y", (poly(0),), 69), SetCell(40, 1), *third, Store("y", (poly(1),), 99),
        ],
        ("n",),
    )  # fmt: skip
    parts = split(kernel, limit=10, part=8)
    assert sum(isinstance(s, Part) for s in parts.body) == 9
    x = np.array([1.0, 2.0, 3.0])
    got, wanted = call(target, parts, {"n": 3}, {"x": x}), call(target, kernel, {"n": 3}, {"x": x})
    assert list(got["y"]) == list(wanted["y"]) == [(21 + 6) + 20 * 21, 1 + 20 * 447]


def test_a_short_routine_is_not_split() -> None:
    kernel = routines.chain(300)
    assert split(kernel) is kernel


def test_statements_nested_a_thousand_deep_do_not_exhaust_the_stack() -> None:
    body = [Store("y", (), 1)]
    for k in range(1_000):
        body = [loop(f"i{k}", poly(1), body)]
    kernel = routine([Buffer("y", "output", ())], [Const(1, ONE), *body], ())
    assert emit_c(kernel).count("for (") == 1_001  # and the loop over samples
    assert "loop" in target_named("llvm").emit(kernel)


# ---- the text ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_text_is_the_same_to_the_byte_each_time(target: str) -> None:
    emit = target_named(target).emit
    for make in (routines.matrix_vector, routines.gather, routines.triangle, lambda: routines.chain(600)):
        assert emit(make()) == emit(make())


def test_emitted_c_reads_as_one_would_write_it() -> None:
    text = emit_c(routines.matrix_vector(), standalone=True)
    assert (
        text[text.rindex("void kernel") :]
        == """\
void kernel(const double *restrict X, const double *restrict w, double *restrict y,
    double *restrict s, double *restrict work, int64_t n, int64_t m)
{
    double *const restrict h = work;
    for (int64_t i = 0; i < n; i++) {
        double c1 = 0.0;
        kernel_SUM(c1)
        for (int64_t j = 0; j < m; j++) {
            c1 += X[i*m + j] * w[j];
        }
        h[i] = c1;
    }
    double c2 = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double t1 = h[i];
        y[i] = t1;
        c2 = (t1 > c2 || t1 != t1) ? t1 : c2;
    }
    s[0] = c2;
}
"""
    )


def test_a_long_chain_is_cut_into_lines_of_bounded_length_and_depth() -> None:
    body = [Load(0, "x", (poly(0),))]
    body += [Compute(k + 1, "sqrt" if k % 2 else "add", (k,) if k % 2 else (k, k)) for k in range(5_000)]
    text = emit_c(
        routine(
            [Buffer("x", "input", (poly(1),)), Buffer("y", "output", ())], [*body, Store("y", (), 5_000)], ()
        )
    )
    assert max(map(len, text.splitlines())) < 200
    assert max(line.count("(") for line in text.splitlines()) < 30


def test_nothing_in_a_symbol_can_end_a_comment_or_a_line() -> None:
    for hostile in ("*/ int x; /*", "a\nb", "a\\", "??/", "é\u2028", "***///", "\x00", "/*/*/"):
        text = comment_text(hostile)
        assert not set("\n\\\x00") & set(text) and text.isascii()
        assert "*/" not in text and "/*" not in text and "??" not in text


@pytest.mark.parametrize("target", TARGETS)
def test_buffers_named_like_library_functions_or_local_variables_do_not_clash(target: str) -> None:
    names = ("exp", "t1", "c1", "work", "sample", "meta", "NAN", "kernel_SUM", "i_", "s_n")
    body = [Cell(50, 40), loop("i", N, [Load(41, "exp", (I,)), Accumulate("sum", 50, 41)])]
    for k, name in enumerate(names[1:]):
        body += [Load(k, name, ()), Compute(20 + k, "exp", (k,)), SetCell(50, 20 + k)] if not k else [
            Load(k, name, ()), Accumulate("sum", 50, k)
        ]  # fmt: skip
    kernel = routine(
        [Buffer("exp", "input", (N,)), *(Buffer(n, "input", ()) for n in names[1:]),
         Buffer("log", "output", ()), Buffer("work_1", "work", (N,))],
        [Const(40, ZERO), *body, Store("work_1", (poly(0),), 50),
         Load(60, "work_1", (poly(0),)), Store("log", (), 60)],
        ("n",),
    )  # fmt: skip
    inputs = {name: np.array(0.0) for name in names[1:]} | {"exp": np.ones(3)}
    assert call(target, kernel, {"n": 3}, inputs)["log"] == 1.0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["int", "1x", "a b", "x;", "", "__x", "_X", "class", "é"])
def test_a_name_that_is_no_identifier_is_refused(target: str, name: str) -> None:
    with pytest.raises(BadName):
        target_named(target).emit(replace(routines.matrix_vector(), name=name))
    with pytest.raises(BadName):
        target_named(target).emit(routine([Buffer(name, "output", ())], [], ()))


# ---- building ------------------------------------------------------------------------------------


def test_there_are_two_compiled_targets_and_another_word_is_refused() -> None:
    with pytest.raises(BadOption) as caught:
        target_named("fortran")
    assert str(caught.value) == "there is no compiled target 'fortran'\n  try      one of llvm, c"
    with pytest.raises(BadOption):
        emit_c(routines.matrix_vector(), "float16")


def test_a_missing_compiler_is_reported_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(MissingCompiler, match='backend="llvm", which needs none') as caught:
        target_named("c").build(routines.matrix_vector())
    assert "because  CC=/nowhere/cc does not run" in str(caught.value)


def test_gcc_moves_the_instructions_of_loops_before_it_allocates_registers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other compilers, which refuse the flags or warn, and code without loops are compiled without them."""
    taken: list[tuple[str, ...]] = []

    def library(source: str, flags: tuple[str, ...]) -> None:
        taken.append(flags)
        raise IllegalProgram("not built")

    monkeypatch.setattr(c_build, "shared_library", library)
    gnu = "gcc (Debian) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc."
    for version, loops in ((gnu, True), (gnu, False), ("Debian clang version 14.0.6", True)):
        monkeypatch.setattr(c_build, "find_compiler", lambda version=version: (("cc",), version))
        with pytest.raises(IllegalProgram):
            c_build.build("text", "f", 10, loops)
    assert ["-fschedule-insns" in flags for flags in taken] == [True, False, False]


def test_a_refused_text_shows_what_the_compiler_said() -> None:
    with pytest.raises(IllegalProgram, match="undeclared"):
        c_build.build("void f(void) { nonsense; }\n", "f", 1, False)


def test_a_second_build_of_the_same_text_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = replace(routines.matrix_vector(), title="cached")
    target_named("c").build(kernel)

    def fail(*args: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(c_build, "_compile", fail)
    x = np.ones((2, 2))
    assert call("c", kernel, {"n": 2, "m": 2}, {"X": x, "w": x[0]})["s"] == 2.0


def test_threads_can_build_and_call_at_the_same_time() -> None:
    def work(seed: int) -> bool:
        payload = ("q", seed, 7)
        kernel = routine([Buffer("y", "output", ())], [Const(1, payload), Store("y", (), 1)], ())
        return bool(call("llvm", kernel, {}, {})["y"] == seed / 7)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(12)))


@pytest.mark.parametrize("target", TARGETS)
def test_a_call_releases_the_interpreter_lock(target: str) -> None:
    inner = [FromInt(3, I), Compute(4, "sin", (3,)), Accumulate("sum", 2, 4)]
    kernel = routine(
        [Buffer("y", "output", ())],
        [Const(1, ZERO), Cell(2, 1), loop("i", N, inner), Store("y", (), 2)],
        ("n",),
    )
    loaded = target_named(target).build(kernel)
    progress, seen = [0], []

    def slow(buffers: int, meta: int) -> None:
        seen.append(progress[0])
        loaded.call(buffers, meta)
        seen.append(progress[0])

    thread = threading.Thread(
        target=call,
        args=(target, kernel, {"n": 5_000_000}, {}),
        kwargs={"loaded": replace(loaded, call=slow)},
    )
    thread.start()
    while thread.is_alive():
        progress[0] += 1
    assert seen[1] > seen[0]
