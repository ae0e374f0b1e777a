"""Exported CUDA: NVIDIA's compilers take it, and on the host it computes what the LLVM kernel computes."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from cuda_compilers import OnHost, compiled_by_nvcc, compiled_by_nvrtc, nvrtc
from programs import SharedProgram, program_named

import symgrad as sg
from symgrad.cli import main
from symgrad.errors import BadName, BadOption

NAMES = (
    "arm_distance", "attention_index", "batch_norm", "branches", "convolution", "embedding",
    "gaussian_likelihood", "lennard_jones_guarded", "logistic_regression", "mixture_full",
    "product_with_zeros", "special_functions",
)  # fmt: skip
FILES = (*NAMES, "own_attention_index", "own_branches", "own_lennard_jones_guarded")  # with functions of ours
SAMPLES, GRID = 7, (2, 2)  # threads with one sample and with two
x, y = sp.symbols("x y", real=True)


def export(program: SharedProgram, directory: Path, name: str, **options: object) -> str:
    given = sg.program(program.expr, args=program.args, wrt=program.wrt)
    (path,) = sg.export_cuda(given, name, directory, **options)
    return path.read_text()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text of every file."""
    folder = tmp_path_factory.mktemp("cuda")
    return {
        name: export(
            program_named(name.removeprefix("own_")), folder, name, own_functions=name.startswith("own_")
        )
        for name in FILES
    }


@pytest.fixture(scope="module")
def host(sources: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> OnHost:
    return OnHost(tuple(sources.values()), tmp_path_factory.mktemp("host"))


def samples_of(program: SharedProgram) -> list[list[np.ndarray]]:
    """The inputs of each sample; real ones differ a little from sample to sample."""
    inputs = [np.asarray(a) for a in program.inputs(0).values()]
    return [
        [a * (1 + s / 64) if a.dtype.kind == "f" else a.astype(np.int64) for a in inputs]
        for s in range(SAMPLES)
    ]


def flat(outputs: object) -> Iterator[np.ndarray]:
    """The arrays of a kernel's outputs, one after the other."""
    if isinstance(outputs, tuple | list):
        for part in outputs:
            yield from flat(part)
    else:
        yield np.asarray(outputs)


@pytest.mark.parametrize("name", FILES)
def test_a_launch_computes_every_sample_as_the_llvm_kernel_does(host: OnHost, name: str) -> None:
    program = program_named(name.removeprefix("own_"))
    kernel = sg.compile(program.expr, args=program.args, wrt=program.wrt, outputs=("value", "grad"))
    samples = samples_of(program)
    wanted = [list(flat(kernel(*inputs))) for inputs in samples]
    arrays = [np.ascontiguousarray(np.stack(column, axis=-1)) for column in zip(*samples, strict=True)]
    outputs = [np.full((*a.shape, SAMPLES), np.nan) for a in wanted[0]]
    outputs += [np.full(SAMPLES, np.nan)] * (name in host.with_status)
    sizes = [program.sizes[0][s] for s in host.sizes[name]]
    host.launch(name, [*arrays, *outputs], [*sizes, SAMPLES], GRID)
    for s, expected in enumerate(wanted):
        largest = max(float(abs(part).max(initial=0.0)) for part in expected)
        expected += [np.array(0.0)] * (len(outputs) - len(expected))  # the status: all went well
        for output, part in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(output[..., s], part, rtol=0, atol=1e-12 * (largest or 1.0))


def test_nvidias_compilers_take_every_file(sources: dict[str, str], tmp_path: Path) -> None:
    text = "\n".join(sources.values())
    library = nvrtc()
    has_one = sys.platform == "linux" and platform.machine() == "x86_64"
    assert library is not None or not has_one, 'pip install ".[test]" brings NVRTC'
    if library is not None:
        assert compiled_by_nvrtc(library, text) == (0, "")
    path = tmp_path / "all.cu"
    path.write_text(text)
    code, messages = compiled_by_nvcc(path)
    assert code == 0, messages
    assert "warning" not in messages, messages


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_our_functions_are_the_same_to_the_bit_in_cuda_as_in_llvm(tmp_path: Path, dtype: str) -> None:
    """There is one definition for every target."""
    names = ["exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "asin", "acos", "atan", "erf"]
    expr = sp.Matrix([*(getattr(sp, name)(x) for name in names), sp.atan2(x, y), x**y])
    (path,) = sg.export_cuda(
        expr, "functions", tmp_path, args=(x, y), outputs="value", dtype=dtype, own_functions=True
    )
    host = OnHost([path.read_text()], tmp_path, ["-march=native", "-ffp-contract=off"])
    at = np.random.default_rng(7).uniform(0.01, 0.99, (2, 1000)).astype(dtype)
    out = np.full((14, 1, 1000), np.nan, dtype)
    host.launch("functions", [*at, out], [1000], (3, 5))
    np.testing.assert_array_equal(
        np.moveaxis(out, -1, 0), sg.compile(expr, args=(x, y), outputs="value", dtype=dtype)(*at)
    )


def test_inputs_that_samples_share_have_no_further_axis(tmp_path: Path) -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    k = sp.Symbol("k", integer=True)
    w, v = sp.IndexedBase("w", shape=(n,)), sp.IndexedBase("v", shape=(n,))
    loss = sp.Sum((sp.tanh(w[k] * x) - v[k]) ** 2, (k, 0, n - 1))
    (path,) = sg.export_cuda(loss, "shared_loss", tmp_path, args=(w, v, x), wrt=x, shared=(w, "v"))
    host = OnHost([path.read_text()], tmp_path)
    weights, values, points = np.array([0.5, -2.0, 1.5]), np.array([0.1, 0.2, 0.3]), np.linspace(-1, 1, 11)
    value, grad = np.full(11, np.nan), np.full(11, np.nan)
    host.launch("shared_loss", [weights, values, points, value, grad], [3, 11], (2, 3))
    bent = np.tanh(weights * points[:, None])
    np.testing.assert_allclose(value, ((bent - values) ** 2).sum(axis=1), rtol=1e-14)
    slope = (2 * (bent - values) * (1 - bent**2) * weights).sum(axis=1)
    np.testing.assert_allclose(grad, slope, rtol=1e-12)


def test_hostile_names_do_not_hide_what_cuda_defines(tmp_path: Path) -> None:
    names = (
        "threadIdx", "blockDim", "samples", "threads", "sample", "thread", "linux", "M_PI", "SNAN",
        "MAXFLOAT", "UINT8_WIDTH", "CUDART_VERSION", "double", "norm", "max", "*/ evil();", "a\nb", "é",
        "__global__", "work",
    )  # fmt: skip
    symbols = [sp.Symbol(name, real=True) for name in names]
    expr = sum(k * sp.sin(s) for k, s in enumerate(symbols, 1))
    (path,) = sg.export_cuda(expr, "nasty", tmp_path, args=symbols, wrt=symbols)
    text = path.read_text()
    assert text.isascii() and "evil()" not in text.split("*/", 1)[1]
    host = OnHost([text], tmp_path)
    at = [np.linspace(0.1, 1, 5) + k for k in range(len(names))]
    value, grad = np.full(5, np.nan), np.full((len(names), 5), np.nan)
    host.launch("nasty", [*at, value, grad], [5], (1, 2))
    np.testing.assert_allclose(grad, [k * np.cos(a) for k, a in enumerate(at, 1)], rtol=1e-14)
    library = nvrtc()
    if library is not None:
        assert compiled_by_nvrtc(library, text) == (0, "")


def test_a_long_formula_is_cut_into_device_functions(tmp_path: Path) -> None:
    expr = x
    for k in range(1, 700):
        expr = sp.sin(expr + sp.Rational(k, 7)) * y + sp.Rational(1, k)
    (path,) = sg.export_cuda(expr, "long_line", tmp_path, args=(x, y), outputs="value")
    text = path.read_text()
    assert "static __device__ long_line_NOINLINE void long_line_part2(" in text
    host = OnHost([text], tmp_path)
    at = [np.linspace(0.1, 0.9, 9), np.linspace(0.9, 0.1, 9)]
    value = np.full(9, np.nan)
    assert host.launch("long_line", [*at, value], [9], (2, 2)) > 0
    np.testing.assert_allclose(value, sg.compile(expr, args=(x, y), outputs="value")(*at), rtol=1e-12)


def test_an_argument_that_is_none_cannot_be_shared(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="the program has no argument 'z'"):
        sg.export_cuda(x * y, "product", tmp_path, args=(x, y), shared=("z",))


def test_a_name_that_the_library_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadName):
        sg.export_cuda(x, "exp", tmp_path, args=(x,), outputs="value")
    assert not list(tmp_path.iterdir())


def test_the_command_line_writes_cuda(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "x**2*sin(y)", "--target", "cuda", "--name", "wave", "--directory", str(tmp_path)]
    assert main([*command, "--shared", "y"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'wave.cu'}\n"
    assert "wave(x + sample, y, value + sample, " in (tmp_path / "wave.cu").read_text()
    assert main([*command, "--blas", "cblas"]) == 2
    assert "CUDA code cannot call CBLAS" in capsys.readouterr().err
    assert main(["export", "x*y", "--shared", "x", "--directory", str(tmp_path)]) == 2
    assert "exported C computes one sample" in capsys.readouterr().err


def test_exports_are_the_same_to_the_byte(tmp_path: Path) -> None:
    one, two = (export(program_named("batch_norm"), tmp_path / d, "same") for d in ("a", "b"))
    assert one == two
