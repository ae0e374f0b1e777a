"""Our own elementary functions of two arguments."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

import mpmath
import numpy as np
import pytest
from routines import DTYPES, TARGETS, I, N, call, loop, numbers_between, routine
from test_vector_math import _STRICT, _optimised
from tolerances import ulps_apart

from symgrad.ir.ops import OPS
from symgrad.loops.nest import Buffer, Compute, Load, Routine, Store
from symgrad.targets.base import Loaded, target_named
from symgrad.targets.c_build import find_compiler
from symgrad.targets.export import export_c
from symgrad.targets.vector_math import FUNCTIONS, traced

NAMES = sorted(name for name in FUNCTIONS if FUNCTIONS[name].arity == 2)
EXACT = {"atan2": mpmath.atan2, "pow": mpmath.power}
# The largest error measured over 100,000 points, rounded up; in units in the last place.
WORST = {"atan2": 1.6, "pow": 1.1}
WORST_SINGLE = 0.52


def _map(name: str) -> Routine:
    body = [Load(0, "x", (I,)), Load(1, "y", (I,)), Compute(2, name, (0, 1)), Store("z", (I,), 2)]
    buffers = [Buffer("x", "input", (N,)), Buffer("y", "input", (N,)), Buffer("z", "output", (N,))]
    return routine(buffers, [loop("i", N, body)], ("n",))


@lru_cache
def _loaded(name: str, target: str, dtype: str) -> Loaded:
    return target_named(target).build(_map(name), dtype)


def own(name: str, x: np.ndarray, y: np.ndarray, target: str = "llvm") -> np.ndarray:
    dtype = str(x.dtype)
    loaded = _loaded(name, target, dtype)
    return call(target, _map(name), {"n": x.size}, {"x": x, "y": y}, dtype, loaded=loaded)["z"]


def _points(name: str, dtype: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(NAMES.index(name))
    far = 10.0 ** rng.uniform(-30, 30, (2, count)) * rng.choice([-1.0, 1.0], (2, count))
    x, y = np.concatenate([rng.uniform(-3, 3, (2, count)), far], axis=1).astype(dtype)
    return (x, y) if name == "atan2" else _powers(rng, np.abs(x), dtype)


def _powers(rng: np.random.Generator, x: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Bases, some of them near 1, and exponents for results of every size."""
    near = np.exp(rng.uniform(-1, 1, x.size // 2) * 10.0 ** rng.uniform(-6, 0, x.size // 2))
    x = np.concatenate([x, near.astype(dtype)])
    x = x[x != 1]
    y = rng.uniform(-1, 1, x.size) * (700 if dtype == "float64" else 85) / np.log(x.astype(float))
    y[::3] = rng.uniform(-3, 3, y[::3].size)
    inside = np.abs(y * np.log(x.astype(float))) < (700 if dtype == "float64" else 85)
    return x[inside], y[inside].astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_no_result_is_further_from_the_exact_one_than_the_table_says(name: str, dtype: str) -> None:
    x, y = _points(name, dtype, 1_000)
    with mpmath.workprec(200):
        pairs = zip(map(float, x), map(float, y), strict=True)
        exact = np.array([EXACT[name](mpmath.mpf(a), mpmath.mpf(b)) for a, b in pairs], dtype=object)
    far = ulps_apart(own(name, x, y), exact)
    at = np.argmax(far)
    assert far[at] <= (WORST[name] if dtype == "float64" else WORST_SINGLE), (x[at], y[at], far[at])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_special_values_are_those_of_ieee_754(name: str, dtype: str, target: str) -> None:
    info = np.finfo(dtype)
    each = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, info.tiny, info.max, -info.max]
    few, more = (
        [info.smallest_subnormal, -2.5, 0.3],
        [0.5, 2.0, 3.0, -3.0, -4.0, 2 / info.eps, 1 + 2 / info.eps],
    )
    x, y = (v.ravel().astype(dtype) for v in np.meshgrid([*each, *few], [*each, *more]))
    with np.errstate(all="ignore"):
        wanted = OPS[name].numpy(x, y)
    found = own(name, x, y, target)
    known = ~np.isnan(wanted)
    assert (np.isnan(found) == np.isnan(wanted)).all()
    assert (numbers_between(found[known], wanted[known]) <= 1).all()
    assert (np.signbit(found) == np.signbit(wanted))[known].all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_both_targets_give_the_same_bits(name: str, dtype: str) -> None:
    x, y = _points(name, dtype, 500)
    np.testing.assert_array_equal(own(name, x, y, "llvm"), own(name, x, y, "c"))


@pytest.mark.parametrize("name", NAMES)
def test_llvm_computes_several_elements_of_a_loop_at_once(name: str) -> None:
    for dtype in DTYPES:
        text = _optimised(_map(name), dtype)
        assert " x double> @llvm.fma.v" in text and f"@symgrad.own_{name}(" not in text


@pytest.mark.parametrize("name", NAMES)
def test_no_sum_of_a_definition_has_a_product_that_a_compiler_could_fuse(name: str) -> None:
    for dtype in DTYPES:
        operations = traced(name, dtype)
        for o in operations:
            if o.op in ("add", "sub"):
                assert all(operations[a].op != "mul" for a in o.args)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("flags", [(), ("-march=native",)])
def test_exported_functions_compile_without_warnings_with_and_without_fused_multiply_add(
    flags: tuple[str, ...], dtype: str, tmp_path: Path
) -> None:
    for name in NAMES:
        path = export_c(_map(name), name + "_map", tmp_path, dtype, own_functions=True)[0]
        command = [*find_compiler()[0], *_STRICT, *flags, "-c", str(path), "-o", str(tmp_path / "own.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
