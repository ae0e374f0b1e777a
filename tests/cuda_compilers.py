"""What compiles CUDA source in the tests without a GPU: a C++ compiler of the host, and NVIDIA's own."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from symgrad.targets.c_build import find_compiler

KERNELS = Path(__file__).parent.parent / "kernels"
_SIGNATURE = re.compile(r'extern "C" __global__ void (\w+)_batch\((.*?)\)\n', re.DOTALL)


class OnHost:
    """The kernels of some CUDA files as functions of this process."""

    def __init__(self, sources: Sequence[str], directory: Path, flags: Sequence[str] = ()) -> None:
        text = directory / "kernels.cu"
        text.write_text("\n".join([*sources, "#include <utility>", *map(_driver, sources)]))
        library = directory / "kernels.so"
        command = [
            *find_compiler()[0], "-x", "c++", "-std=c++17", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra",
            "-Werror", *flags, "-include", str(KERNELS / "cuda_on_host.h"), str(text), "-lm",
            "-o", str(library),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        self.library = ctypes.CDLL(str(library))
        self.sizes = dict(map(_sizes, sources))
        self.arrays = {name: sum("*" in p for p in given) for name, given in map(_parameters, sources)}
        self.with_status = {_parameters(s)[0] for s in sources if "double *status" in _parameters(s)[1]}

    def launch(
        self, name: str, arrays: Sequence[np.ndarray], sizes: Sequence[int], grid: tuple[int, int]
    ) -> int:
        """Launch NAME_batch on a workspace of nan, whose number of elements is returned.

        sizes  those of the program, then the number of samples.
        grid   the number of blocks, and of threads in each.
        """
        elements = getattr(self.library, f"{name}_elements")
        elements.restype = ctypes.c_int64
        work = np.full(elements(_integers([*sizes, grid[0] * grid[1]])), np.nan, arrays[-1].dtype)
        given = [*arrays, *([work] if work.size else [])]
        assert len(given) == self.arrays[name]
        pointers = (ctypes.c_void_p * len(given))(*(a.ctypes.data for a in given))
        getattr(self.library, f"{name}_on_host")(*map(ctypes.c_uint, grid), pointers, _integers(sizes))
        return work.size


def _integers(values: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(values))(*values)


def _parameters(source: str) -> tuple[str, list[str]]:
    """A kernel's name without `_batch`, and its parameters."""
    found = _SIGNATURE.search(source)
    assert found is not None
    return found[1], [p.strip() for p in found[2].split(",")]


def _sizes(source: str) -> tuple[str, list[str]]:
    """The name, and the sizes that a launch takes before the number of samples."""
    name, parameters = _parameters(source)
    return name, [p.split()[-1] for p in parameters if "*" not in p][:-1]


def _driver(source: str) -> str:
    """C functions that launch the kernel, and that size its workspace."""
    name, parameters = _parameters(source)
    arrays = [p for p in parameters if "*" in p]
    integers = len(parameters) - len(arrays)
    arguments = [f"({p[: p.index('*') + 1]})arrays[{k}]" for k, p in enumerate(arrays)]
    arguments += [f"sizes[{k}]" for k in range(integers)]
    every_size = ", ".join(f"sizes[{k}]" for k in range(integers + 1))
    return f"""
extern "C" void {name}_on_host(unsigned blocks, unsigned threads, void **arrays, const int64_t *sizes)
{{
    cuda_launch(blocks, threads, [=] {{ {name}_batch({", ".join(arguments)}); }});
}}
extern "C" int64_t {name}_elements(const int64_t *sizes)
{{
    return {name}_work_size({every_size});
}}
"""


def nvrtc() -> ctypes.CDLL | None:
    """NVIDIA's compiler as a library, which `pip install ".[test]"` brings to Linux on x86-64; else None."""
    found = importlib.util.find_spec("nvidia.cuda_nvrtc") if importlib.util.find_spec("nvidia") else None
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations)), "lib")
    return ctypes.CDLL(str(next(folder.glob("libnvrtc.so.*"))))


def compiled_by_nvrtc(library: ctypes.CDLL, source: str) -> tuple[int, str]:
    """The result of the compilation (0: it went well) and the compiler's messages."""
    program = ctypes.c_void_p()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"k.cu", 0, None, None) == 0
    options = (ctypes.c_char_p * 1)(b"--gpu-architecture=compute_80")
    result = int(library.nvrtcCompileProgram(program, len(options), options))
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return result, log.value.decode()


def compiled_by_nvcc(source: Path) -> tuple[int, str]:
    """The same by nvcc; (0, "") on machines without it."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        return 0, ""
    command = [nvcc, "-arch=sm_80", "-ptx", str(source), "-o", str(source.with_suffix(".ptx"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr
