"""Exported C that hands large matrix products to CBLAS: here one of a few lines that counts its calls."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from tolerances import assert_close

import symgrad as sg
from symgrad.cli import main
from symgrad.targets.c_build import find_compiler
from symgrad.targets.contract_c import LARGE

HEADER = """
enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans };
extern int calls;
void cblas_GEMM(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE ta, enum CBLAS_TRANSPOSE tb, int m, int n, int k,
    REAL alpha, const REAL *a, int lda, const REAL *b, int ldb, REAL beta, REAL *c, int ldc);
"""
LIBRARY = """
#include "cblas.h"
int calls = 0;
static long at(int turned, int i, int j, int ld) { return turned ? i + (long)j*ld : (long)i*ld + j; }
void cblas_GEMM(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE ta, enum CBLAS_TRANSPOSE tb, int m, int n, int k,
    REAL alpha, const REAL *a, int lda, const REAL *b, int ldb, REAL beta, REAL *c, int ldc)
{
    const int by_columns = order == CblasColMajor;
    const int ia = by_columns != (ta == CblasTrans), ib = by_columns != (tb == CblasTrans);
    calls += lda >= (ia ? m : k) && ldb >= (ib ? k : n) && ldc >= (by_columns ? m : n) ? 1 : 1000;
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            REAL sum = 0;
            for (int p = 0; p < k; p++) sum += a[at(ia, i, p, lda)]*b[at(ib, p, j, ldb)];
            c[at(by_columns, i, j, ldc)] = alpha*sum + (beta ? beta*c[at(by_columns, i, j, ldc)] : 0);
        }
    }
}
"""
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-fPIC", "-shared")

m, n, k = sp.symbols("m n k", integer=True, positive=True)
A, B, C = sp.MatrixSymbol("A", m, k), sp.MatrixSymbol("B", k, n), sp.MatrixSymbol("C", n, k)


class Built:
    """An exported function beside the library of this file."""

    def __init__(self, folder: Path, expr: sp.Expr, args: tuple, dtype: str = "float64") -> None:
        sg.export_c(expr, "f", folder, args=args, outputs="value", dtype=dtype, blas="cblas")
        real, gemm = ("double", "dgemm") if dtype == "float64" else ("float", "sgemm")
        for name, text in (("cblas.h", HEADER), ("cblas.c", LIBRARY)):
            (folder / name).write_text(text.replace("REAL", real).replace("GEMM", gemm))
        command = [*find_compiler()[0], *STRICT, "-I.", "f.c", "cblas.c", "-o", "f.so", "-lm"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self.library, self.dtype = ctypes.CDLL(str(folder / "f.so")), dtype
        self.sizes = re.findall(r"^ \* (\w+) +size ", (folder / "f.h").read_text(), flags=re.MULTILINE)

    def __call__(self, result: np.ndarray, *arrays: np.ndarray, sizes: dict[str, int]) -> int:
        """Write the value to `result`; how often CBLAS was called."""
        before = self.calls
        self.library.f_work_size.restype = ctypes.c_int64
        integers = [ctypes.c_int64(sizes[s]) for s in self.sizes]
        work = np.empty(self.library.f_work_size(*integers), self.dtype)
        every = [np.ascontiguousarray(a, self.dtype) for a in arrays]
        self.library.f(*(ctypes.c_void_p(a.ctypes.data) for a in (*every, result, work)), *integers)
        return self.calls - before

    @property
    def calls(self) -> int:
        return ctypes.c_int.in_dll(self.library, "calls").value


PRODUCTS = {
    "A B": (A * B, (A, B), lambda a, b: a @ b),
    "A C^T": (A * C.T, (A, C), lambda a, c: a @ c.T),
    "(A B)^T": ((A * B).T, (A, B), lambda a, b: (a @ b).T),
    "C A^T": (C * A.T, (A, C), lambda a, c: c @ a.T),
    "-A B": (-A * B, (A, B), lambda a, b: -a @ b),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_large_products_are_handed_to_cblas_and_small_ones_are_not(
    tmp_path: Path, name: str, dtype: str
) -> None:
    expr, args, reference = PRODUCTS[name]
    f = Built(tmp_path, expr, args, dtype)
    rng = np.random.default_rng(0)
    for size, calls in (((66, 65, 64), 1), ((9, 8, 7), 0)):
        by_name = dict(zip("mkn", size, strict=True))
        left, right = (rng.normal(size=[by_name[str(x)] for x in arg.shape]).astype(dtype) for arg in args)
        expected = reference(left.astype(np.float64), right.astype(np.float64))
        result = np.full(expected.shape, np.nan, dtype)
        assert f(result, left, right, sizes=by_name) == calls
        assert_close(result, expected)


def test_products_that_blas_cannot_take_stay_in_the_file(tmp_path: Path) -> None:
    """Windows of a signal overlap: their rows are one element apart."""
    x, w = sp.IndexedBase("x", shape=(n + k - 1,)), sp.IndexedBase("w", shape=(k, m))
    i, j, p = sp.symbols("i j p", integer=True)
    inner = sp.Sum(x[i + p] * w[p, j], (p, 0, k - 1))
    f = Built(tmp_path, sp.Sum(inner**2, (i, 0, n - 1), (j, 0, m - 1)), (x, w))
    assert "f_contract(" in (tmp_path / "f.c").read_text()
    rng, result = np.random.default_rng(0), np.zeros(())
    signal, filters = rng.normal(size=139), rng.normal(size=(70, 70))
    assert f(result, signal, filters, sizes=dict.fromkeys("mnk", 70)) == 0
    windows = np.lib.stride_tricks.sliding_window_view(signal, 70)
    assert_close(result, ((windows @ filters) ** 2).sum())


def test_the_command_line_has_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    model = tmp_path / "model.py"
    model.write_text(
        "import sympy as sp\n"
        "n = sp.Symbol('n', integer=True, positive=True)\n"
        "A = sp.MatrixSymbol('A', n, n)\n"
        "f = A * A\n"
    )
    arguments = ["export", f"{model}:f", "--outputs", "value", "--directory", str(folder)]
    assert main([*arguments, "--blas", "cblas"]) == 0
    assert "#include <cblas.h>" in (folder / "kernel.c").read_text()
    assert "LDLIBS ?= -lcblas -lm" in (folder / "Makefile").read_text()
    assert main(arguments) == 0
    assert "cblas" not in (folder / "kernel.c").read_text() + (folder / "Makefile").read_text()


def test_without_products_nothing_is_linked(tmp_path: Path) -> None:
    x = sp.Symbol("x")
    sg.export_c(sp.sin(x), "f", tmp_path, args=(x,), wrt=x, blas="cblas")
    assert "cblas" not in (tmp_path / "f.c").read_text() + (tmp_path / "Makefile").read_text()


def test_an_unknown_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sg.errors.BadOption, match="unknown blas 'mkl'"):
        sg.export_c(A * B, "f", tmp_path, args=(A, B), outputs="value", blas="mkl")


def test_the_limit_is_a_cube_of_64() -> None:
    assert LARGE == 64**3
