"""Our own elementary functions: how far from exact, special values, and that loops over them vectorise."""

from __future__ import annotations

import importlib
import math
import re
import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import llvmlite.binding as llvm
import mpmath
import numpy as np
import pytest
from routines import DTYPES, TARGETS, ZERO, I, N, call, loop, numbers_between, routine
from tolerances import ulps_apart

from symgrad.ir.ops import OPS
from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    If,
    Load,
    Routine,
    SetCell,
    Store,
    StoreReduce,
    poly,
)
from symgrad.loops.walk import walk
from symgrad.targets import c_build, llvm_build
from symgrad.targets.base import Loaded, target_named
from symgrad.targets.c import emit_c
from symgrad.targets.c_build import find_compiler
from symgrad.targets.export import export_c
from symgrad.targets.llvm import emit_llvm, shape_of
from symgrad.targets.own_functions import MOST_VECTORISED, with_own_functions
from symgrad.targets.trace import INFINITY, REAL, Trace
from symgrad.targets.vector_math import FUNCTIONS, traced

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(name for name in FUNCTIONS if FUNCTIONS[name].arity == 1)
LIMITED = [name for name in NAMES if FUNCTIONS[name].limit < INFINITY]

# The largest error measured over 1.2 million points (erf: 160,000), rounded up; in units in the last place.
WORST = {
    "atan": 1.5, "cos": 0.9, "cosh": 0.9, "exp": 0.95, "expm1": 1.2, "log": 0.8, "log1p": 0.9, "sin": 0.9,
    "sinh": 0.9, "tanh": 1.1, "erf": 1.2, "tan": 1.2, "asin": 1.1, "acos": 1.1,
}  # fmt: skip
WORST_SINGLE = 0.52

# Where to look: between the logarithms of two sizes (both signs), and between two numbers.
SIZES = {
    "exp": (-30, 2), "expm1": (-30, 1.5), "log": (-307, 308), "log1p": (-30, 307), "sin": (-30, 6),
    "cos": (-30, 6), "tanh": (-30, 1.3), "sinh": (-30, 2.8), "cosh": (-30, 2.8), "atan": (-30, 307),
    "erf": (-30, 1), "tan": (-30, 6), "asin": (-30, 0), "acos": (-30, 0),
}  # fmt: skip
RANGES = {
    "exp": [(-745, 709), (-1, 1)], "expm1": [(-40, 709), (-1, 1)], "log": [(0.5, 2), (0, 1e3)],
    "log1p": [(-1, 1), (-0.1, 0.1), (0, 1e3)], "sin": [(-4, 4), (-1e5, 1e5)], "cos": [(-4, 4), (-1e5, 1e5)],
    "tanh": [(-1, 1), (-20, 20)], "sinh": [(-1, 1), (-710, 710)], "cosh": [(-1, 1), (-710, 710)],
    "atan": [(-1, 1), (-3, 3)], "tan": [(-4, 4), (-1e5, 1e5)], "asin": [(-1, 1)], "acos": [(-1, 1)],
    "erf": [(-1, 1), (-6.5, 6.5)],
}  # fmt: skip


def every_function(names: list[str]) -> Routine:
    """y_f[i] = f(x[i]) for every f, one loop each."""
    body = []
    for k, name in enumerate(names):
        a, b = 2 * k, 2 * k + 1
        body.append(loop("i", N, [Load(a, "x", (I,)), Compute(b, name, (a,)), Store(f"y_{name}", (I,), b)]))
    outputs = [Buffer(f"y_{name}", "output", (N,)) for name in names]
    return routine([Buffer("x", "input", (N,)), *outputs], body, ("n",))


@lru_cache
def _loaded(target: str, dtype: str) -> Loaded:
    return target_named(target).build(every_function(NAMES), dtype)


def own(name: str, x: np.ndarray, target: str = "llvm") -> np.ndarray:
    """Our function at the points `x`, from a vectorised loop."""
    kernel = every_function(NAMES)
    loaded = _loaded(target, str(x.dtype))
    return call(target, kernel, {"n": x.size}, {"x": x}, str(x.dtype), loaded=loaded)[f"y_{name}"]


def _points(name: str, dtype: str, count: int) -> np.ndarray:
    rng = np.random.default_rng(NAMES.index(name))
    low, high = SIZES[name]
    with np.errstate(over="ignore", under="ignore"):
        parts = [rng.choice([-1.0, 1.0], count) * 10.0 ** rng.uniform(low, high, count)]
        parts += [rng.uniform(*bounds, count) for bounds in RANGES[name]]
        x = np.concatenate(parts).astype(dtype)
    below = {"log": 0.0, "log1p": -1.0}.get(name, -INFINITY)
    x = x[np.abs(x) <= 1] if name in ("asin", "acos") else x
    grows = dtype == "float32" and name in ("exp", "expm1", "sinh", "cosh")
    return x[np.isfinite(x) & (x > below) & (np.abs(x) <= (88.0 if grows else FUNCTIONS[name].limit))]


def _exact(name: str, x: np.ndarray) -> np.ndarray:
    with mpmath.workprec(200):
        function = getattr(mpmath, name)
        return np.array([function(mpmath.mpf(float(v))) for v in x], dtype=object)


# ---- accuracy ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_no_result_is_further_from_the_exact_one_than_the_table_says(name: str, dtype: str) -> None:
    x = _points(name, dtype, 1_500)
    far = ulps_apart(own(name, x), _exact(name, x))
    at = np.argmax(far)
    worst = WORST[name] if dtype == "float64" else WORST_SINGLE
    assert far[at] <= worst, (float(x[at]), far[at])


@pytest.mark.parametrize("name", LIMITED)
def test_sine_cosine_and_tangent_keep_their_digits_next_to_every_multiple_of_half_pi(name: str) -> None:
    with mpmath.workprec(200):
        near = [float(k * mpmath.pi / 2) for k in (1, 2, 3, 11, 355, 10_000, 333_333, 667_543)]
    x = np.array([s * v for v in near for s in (1.0, -1.0)])
    x = np.concatenate([x, np.nextafter(x, 0), np.nextafter(x, np.inf)])
    assert ulps_apart(own(name, x), _exact(name, x)).max() <= WORST[name]


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("sin", "cos", "cosh", "tan", "acos")])
def test_results_grow_with_arguments_that_lie_well_apart(name: str) -> None:
    """Neighbours may be out of order by their rounding errors; points 16 steps apart may not."""
    rng = np.random.default_rng(3)
    for low, high in RANGES[name]:
        start = rng.uniform(low, high, 200)
        x = np.stack([start, start + 16 * np.spacing(np.abs(start))], axis=1).ravel()
        y = own(name, x).reshape(-1, 2)
        assert (y[:, 0] <= y[:, 1]).all()


@pytest.mark.parametrize("name", ["expm1", "log1p", "sin", "tan", "tanh", "sinh", "atan", "asin"])
def test_tiny_arguments_are_returned_as_they_are(name: str) -> None:
    for dtype in DTYPES:
        info = np.finfo(dtype)
        x = np.array([info.smallest_subnormal, info.tiny, 3 * info.smallest_subnormal, 1e-30], dtype)
        for sign in (1, -1):
            np.testing.assert_array_equal(own(name, sign * x), sign * x)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_special_values_are_those_of_ieee_754(name: str, dtype: str, target: str) -> None:
    info = np.finfo(dtype)
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, info.max, -info.max, -1.5], dtype)
    x = x[~(np.abs(x) == info.max)] if name in LIMITED else x
    with np.errstate(all="ignore"):
        wanted = OPS[name].numpy(x)
    found = own(name, x, target)
    plain = ~np.isin(x, (0.0, np.inf, -np.inf)) & np.isfinite(wanted)
    assert (numbers_between(found, wanted)[plain] <= 2).all()
    np.testing.assert_array_equal(found[~plain], wanted[~plain])
    assert (np.signbit(found) == np.signbit(wanted))[~np.isnan(wanted)].all()


# (function, argument, result): the last argument before an overflow or underflow, and the first one after.
THRESHOLDS = [
    ("exp", 709.782712893384, 1.7976931348622732e308), ("exp", 709.7827128933841, np.inf),
    ("exp", -745.1332191019411, 5e-324), ("exp", -745.1332191019412, 0.0),
    ("expm1", 709.782712893384, 1.7976931348622732e308), ("expm1", 709.7827128933841, np.inf),
    ("sinh", 710.4758600739439, 1.7976931348621744e308), ("sinh", 710.475860073944, np.inf),
    ("cosh", -710.4758600739439, 1.7976931348621744e308), ("cosh", -710.475860073944, np.inf),
    ("tanh", 19.0615474653984, 1.0), ("log", 5e-324, -744.4400719213812), ("log1p", -1.0, -np.inf),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x", "y"), THRESHOLDS)
def test_overflow_and_underflow_begin_where_they_should(name: str, x: float, y: float) -> None:
    found = own(name, np.array([x]))
    assert (
        numbers_between(found, np.array([y])).item() <= 1 if 5e-324 < abs(y) < np.inf else found.item() == y
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_results_are_rounded_once(dtype: str) -> None:
    low, high = (-745.1, -708.4) if dtype == "float64" else (-103.9, -87.4)
    x = np.random.default_rng(4).uniform(low, high, 500).astype(dtype)
    nearest = _exact("exp", x).astype(np.float64).astype(dtype)
    assert numbers_between(own("exp", x), nearest).max() <= 1


def test_sines_of_numbers_beyond_the_limit_are_the_librarys() -> None:
    x = np.array([1e6, 2.0**20, 2.0**20 + 1, 1e15, 1e22, 1e300, -1e300, 3.0])
    for name in LIMITED:
        for target in TARGETS:
            assert ulps_apart(own(name, x, target), _exact(name, x)).max() <= 1.0


@pytest.mark.parametrize("target", TARGETS)
def test_one_large_argument_changes_no_other_result(target: str) -> None:
    x = np.random.default_rng(5).uniform(-100, 100, 1_000)
    with_large = np.append(x, 1e300)
    for name in LIMITED:
        np.testing.assert_array_equal(own(name, with_large, target)[:-1], own(name, x, target))


# ---- one definition, many places ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_both_targets_give_the_same_bits(name: str, dtype: str) -> None:
    x = _points(name, dtype, 500)
    np.testing.assert_array_equal(own(name, x, "llvm"), own(name, x, "c"))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_element_alone_gives_what_it_gives_among_many(target: str, dtype: str) -> None:
    for name in NAMES:
        x = _points(name, dtype, 40)
        alone = [own(name, x[i : i + 1], target).item() for i in range(x.size)]
        np.testing.assert_array_equal(own(name, x, target), np.array(alone, dtype))


@pytest.mark.parametrize("name", NAMES)
def test_no_sum_of_a_definition_has_a_product_that_a_compiler_could_fuse(name: str) -> None:
    for dtype in DTYPES:
        operations = traced(name, dtype)
        for o in operations:
            if o.op in ("add", "sub"):
                assert all(operations[a].op != "mul" for a in o.args)


def test_a_definition_that_leaves_a_choice_to_the_compiler_is_refused() -> None:
    x = Trace().add("argument", REAL)
    with pytest.raises(AssertionError, match="use fma"):
        x * x + 1.0


# ---- loops -------------------------------------------------------------------------------------


def _sum_of(name: str) -> Routine:
    return routine(
        [Buffer("x", "input", (N,)), Buffer("s", "output", ())],
        [Const(0, ZERO), Cell(1, 0),
         loop("i", N, [Load(2, "x", (I,)), Compute(3, name, (2,)), Accumulate("sum", 1, 3)]),
         Store("s", (), 1)],
        ("n",),
    )  # fmt: skip


def _optimised_for(machine: llvm.TargetMachine, kernel: Routine, dtype: str) -> llvm.ModuleRef:
    kernel = with_own_functions(kernel, dtype)
    module = llvm.parse_assembly(emit_llvm(kernel, dtype, own=False))
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    llvm_build.optimise(module, machine, shape_of(kernel, dtype))
    return module


def _optimised(kernel: Routine, dtype: str) -> str:
    """LLVM's text after its passes, as `build` runs them."""
    return str(_optimised_for(llvm_build._machine(2), kernel, dtype))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [lambda name: every_function([name]), _sum_of], ids=["map", "sum"])
def test_llvm_computes_several_elements_of_a_loop_at_once(make, name: str) -> None:
    for dtype in DTYPES:
        text = _optimised(make(name), dtype)
        assert " x double> @llvm.fma.v" in text
        assert f"@symgrad.own_{name}(" not in text


@pytest.mark.parametrize(
    ("triple", "cpu", "features", "vector"),
    [
        ("aarch64-unknown-linux-gnu", "generic", "+neon", r"\tfml[as]\tv\d+\.2d"),
        ("x86_64-unknown-linux-gnu", "haswell", "", r"\tvfn?m(add|sub)\d+pd\t.*%ymm"),
        ("x86_64-unknown-linux-gnu", "znver4", "", r"\tvfn?m(add|sub)\d+pd\t.*%zmm"),
    ],
    ids=["neon", "avx2", "avx512"],
)
@pytest.mark.parametrize("name", NAMES)
def test_the_definitions_become_vectors_of_other_processors(
    name: str, triple: str, cpu: str, features: str, vector: str
) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=2)
    text = machine.emit_assembly(_optimised_for(machine, every_function([name]), "float64"))
    assert re.search(vector, text)


def test_a_sine_and_cosine_of_one_argument_share_its_reduction() -> None:
    """What is computed for both is computed once: less than for the two apart."""
    both = routine(
        [Buffer("x", "input", (N,)), Buffer("y", "output", (N,)), Buffer("z", "output", (N,))],
        [loop("i", N, [
            Load(0, "x", (I,)), Compute(1, "sin", (0,)), Compute(2, "cos", (0,)),
            Store("y", (I,), 1), Store("z", (I,), 2)])],
        ("n",),
    )  # fmt: skip
    counts = [
        len(re.findall(r"call <\d+ x double> @llvm\.fma\.v", _optimised(kernel, "float64")))
        for kernel in (both, every_function(["sin"]), every_function(["cos"]))
    ]
    assert 0 < counts[0] < counts[1] + counts[2]


def test_reciprocals_of_roots_are_computed_in_vectors() -> None:
    kernel = routine(
        [Buffer("x", "input", (N,)), Buffer("y", "output", (N,))],
        [Const(0, ZERO), loop("i", N, [
            Load(1, "x", (I,)), Compute(2, "exp", (0,)), Compute(3, "sqrt", (1,)), Compute(4, "div", (2, 3)),
            Store("y", (I,), 4)])],
        ("n",),
    )  # fmt: skip
    for dtype, kind in (("float64", "double"), ("float32", "float")):
        assert re.search(rf"call <\d+ x {kind}> @llvm\.sqrt\.v", _optimised(kernel, dtype))
        assert re.search(rf"fdiv <\d+ x {kind}>", _optimised(kernel, dtype))


@pytest.mark.parametrize("name", LIMITED)
def test_only_the_second_run_of_a_loop_asks_for_the_size_of_each_argument(name: str) -> None:
    text = emit_llvm(every_function([name]))
    assert text.count(f"@symgrad.own_{name}(double %v") == 1
    assert text.count(f"@symgrad.apart_{name}(double %v") == 1


def test_functions_are_defined_once_and_only_if_they_are_used() -> None:
    text = emit_llvm(every_function(["exp", "exp", "tanh"]))
    assert text.count("define internal") == 2
    assert "symgrad.log" not in text and "define internal" not in emit_llvm(every_function([]))
    text = emit_c(every_function(["exp", "tanh"]), own=True)
    assert text.count("INLINE double kernel_own_") == 2
    assert "own_" not in emit_c(every_function(["exp", "tanh"]))


def test_outside_of_loops_the_library_computes_what_it_computes_faster() -> None:
    kernel = routine(
        [Buffer("x", "input", ()), Buffer("y", "output", ())],
        [Load(1, "x", ()), Compute(2, "exp", (1,)), Compute(3, "tanh", (2,)), Store("y", (), 3)], (),
    )  # fmt: skip
    ops = [s.op for _, s in walk(with_own_functions(kernel, "float64").body) if isinstance(s, Compute)]
    assert ops == ["exp", "apart_tanh"]
    for target in TARGETS:
        assert call(target, kernel, {}, {"x": np.array(-0.5)})["y"].item() == pytest.approx(
            math.tanh(math.exp(-0.5)), rel=4e-16
        )


def test_a_routine_without_elementary_functions_is_left_alone() -> None:
    kernel = every_function([])
    assert with_own_functions(kernel, "float64") is kernel


@pytest.mark.parametrize("target", TARGETS)
def test_reductions_and_conditions_start_again_when_a_loop_runs_twice(target: str) -> None:
    kernel = routine(
        [Buffer("x", "input", (N,)), Buffer("s", "output", ()), Buffer("last", "output", ())],
        [
            Const(0, ("q", 10, 1)), Cell(1, 0), Cell(2, 0), Const(3, ZERO),
            loop("i", N, [
                Load(4, "x", (I,)), Compute(5, "sin", (4,)), Compute(6, "exp", (5,)), Accumulate("sum", 1, 6),
                Compute(7, "lt", (3, 4)),
                If(7, [Compute(8, "cos", (4,)), SetCell(2, 8)]),
            ]),
            Store("s", (), 1), Store("last", (), 2),
        ],
        ("n",),
    )  # fmt: skip
    for x in (np.array([1.0, 2.0, -3.0]), np.array([1.0, 1e9, -3.0]), np.array([-1e9]), np.array([])):
        found = call(target, kernel, {"n": x.size}, {"x": x})
        positive = x[x > 0]
        assert found["s"].item() == pytest.approx(10 + np.exp(np.sin(x)).sum(), rel=1e-14)
        assert found["last"].item() == pytest.approx(np.cos(positive[-1]) if positive.size else 10, rel=1e-14)


def test_a_loop_whose_second_run_would_find_other_numbers_keeps_the_librarys_sine() -> None:
    in_place = loop("i", N, [Load(1, "y", (I,)), Compute(2, "sin", (1,)), Store("y", (I,), 2)])
    added = loop(
        "i", N, [Load(3, "x", (I,)), Compute(4, "sin", (3,)), StoreReduce("sum", "y", (poly(0),), 4)]
    )
    long = loop("i", N, [Load(5, "x", (I,)), *(Compute(6 + k, "sin", (5 + k,)) for k in range(600))])
    for body in (in_place, added, long):
        kernel = routine([Buffer("x", "input", (N,)), Buffer("y", "output", (N,))], [body], ("n",))
        ops = {s.op for _, s in walk(with_own_functions(kernel, "float64").body) if isinstance(s, Compute)}
        assert ops == {"sin"}


@pytest.mark.parametrize("target", TARGETS)
def test_a_loop_that_reads_one_row_and_writes_another_runs_twice_where_it_has_to(target: str) -> None:
    before, after = (poly(0), I), (poly(1), I)
    rows = [
        loop("i", N, [Load(1, "x", (I,)), Store("y", before, 1)]),
        loop("i", N, [Load(2, "y", before), Compute(3, "sin", (2,)), Store("y", after, 3)]),
    ]
    kernel = routine([Buffer("x", "input", (N,)), Buffer("y", "output", (poly(2), N))], rows, ("n",))
    ops = {s.op for _, s in walk(with_own_functions(kernel, "float64").body) if isinstance(s, Compute)}
    assert {"own_sin", "apart_sin"} <= ops
    for x in (np.array([1.0, -2.0, 0.5]), np.array([1.0, 1e9, -1e300])):
        found = call(target, kernel, {"n": 3}, {"x": x})["y"]
        np.testing.assert_array_max_ulp(found, np.array([x, np.sin(x)]), 2)


def test_a_loop_too_long_to_be_vectorised_keeps_the_librarys_functions() -> None:
    many = MOST_VECTORISED // len(traced("exp", "float64")) + 1
    body: list = [Load(0, "x", (I,)), *(Compute(1 + k, "exp", (k,)) for k in range(many))]
    kernel = routine([Buffer("x", "input", (N,))], [loop("i", N, body)], ("n",))
    ops = {s.op for _, s in walk(with_own_functions(kernel, "float64").body) if isinstance(s, Compute)}
    assert ops == {"exp"}


def test_loops_nested_a_thousand_deep_do_not_exhaust_the_stack() -> None:
    body: list = [Load(0, "x", (I,)), Compute(1, "sin", (0,)), Store("y", (I,), 1)]
    for k in range(1_000):
        body = [For(f"j{k}" if k else "i", ((),), (N,), body)]
    kernel = routine([Buffer("x", "input", (N,)), Buffer("y", "output", (N,))], body, ("n",))
    ops = {s.op for _, s in walk(with_own_functions(kernel, "float64").body) if isinstance(s, Compute)}
    assert ops == {"own_sin", "abs", "lt", "apart_sin"}


# ---- C -----------------------------------------------------------------------------------------

_STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("flags", [(), ("-march=native",), ("-march=native", "-O0")])
def test_exported_functions_compile_without_warnings_with_and_without_fused_multiply_add(
    flags: tuple[str, ...], dtype: str, tmp_path: Path
) -> None:
    paths = export_c(every_function(NAMES), "own", tmp_path, dtype, own_functions=True)
    compiler, _ = find_compiler()
    command = [*compiler, *_STRICT, *flags, "-c", str(paths[0]), "-o", str(tmp_path / "own.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_the_c_compiler_computes_several_elements_of_a_loop_at_once(name: str) -> None:
    packed = re.compile(r"vfn?m(add|sub)\d+p[sd]|fml[as]\s+[vz]\d")  # x86, ARM
    compiler, _ = find_compiler()
    command = [*compiler, "-O3", *c_build._FLAGS, "-S", "-x", "c", "-", "-o", "-"]
    for kernel in (every_function([name]), _sum_of(name)):
        text = emit_c(kernel, own=True)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        assert packed.search(done.stdout)


def test_an_exported_file_calls_the_library_unless_asked(tmp_path: Path) -> None:
    kernel = replace(every_function(["exp"]))
    plain = export_c(kernel, "one", tmp_path)[0].read_text()
    asked = export_c(kernel, "two", tmp_path, own_functions=True)[0].read_text()
    assert "= exp(x[i]);" in plain and "own_" not in plain
    assert "= two_own_exp(x[i]);" in asked


# ---- the benchmark -----------------------------------------------------------------------------


def test_the_benchmark_compares_what_it_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "bench"))
    common, bench = importlib.import_module("common"), importlib.import_module("vector_math")
    tables = bench.run(common.TINY)
    assert [table.title for table in tables[:2]] == ["Loops, float64", "Loops, float32"]
    for table in tables[:2]:
        assert {"symgrad llvm, loop", "symgrad c, loop", "NumPy, loop"} <= set(table.agreed)
        assert [row[0] for row in table.rows] == ["exp", "erf"]
    assert len(tables) == 5


# ---- where the polynomials come from -----------------------------------------------------------


def test_the_table_of_polynomials_is_what_the_tool_derives() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "polynomials.py")], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("up to date\n")
