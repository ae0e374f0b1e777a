"""Matrix products: our kernel against BLAS, called from machine code both, as shares of the machine's peak.

BLAS is SciPy's dgemm, called by the pointer that `scipy.linalg.cython_blas` exports. The peak is that of
multiply-adds in registers, measured in the same run.
"""

from __future__ import annotations

import ctypes

import numpy as np
import scipy.linalg.cython_blas
import sympy as sp
from common import Contender, Setup, Table, compare, main, measure, number
from machine_code import STRICT, Addresses, CCode, SymgradCode, backends, compiler

import symgrad as sg

SIZES = (4, 8, 16, 32, 33, 64, 65, 100, 127, 128, 129, 192, 255, 256, 257, 384, 512, 513, 1024)
PRODUCTS = ("A B", "A B^T", "A^T B")
m, n, k = sp.symbols("m n k", integer=True, positive=True)

_BLAS = """
typedef void gemm(char *, char *, int *, int *, int *, double *, double *, int *, double *, int *, double *,
                  double *, int *);
void bench(double **b)
{
    gemm *const dgemm = (gemm *)b[3];
    int n = SIZE;
    double one = 1, zero = 0;
    dgemm("LEFT", "RIGHT", &n, &n, &n, &one, b[1], &n, b[0], &n, &zero, b[2], &n);
}
"""
_PEAK = """
typedef double vector __attribute__((vector_size(BYTES)));
void bench(double **b)
{
    vector s[16], x, y;
    for (int i = 0; i < BYTES/8; i++) x[i] = b[0][0], y[i] = b[0][1];
    for (int i = 0; i < 16; i++) s[i] = x;
    for (int t = 0; t < 1000; t++) {
        #pragma GCC unroll 16
        for (int i = 0; i < 16; i++) s[i] = s[i]*y + x;
    }
    for (int i = 1; i < 16; i++) s[0] += s[i];
    b[1][0] = s[0][0];
}
"""


def run(setup: Setup) -> list[Table]:
    """Products of square matrices, plain and with either factor transposed."""
    peak = _peak(setup)
    return [_table(product, peak, setup) for product in PRODUCTS]


def _peak(setup: Setup) -> float | None:
    """Multiplications and additions in a second; None without a compiler."""
    if compiler() is None:
        return None
    rates = []
    for width in (32, 64):
        arrays = [np.array([1e-9, 1 - 1e-9]), np.zeros(1)]
        code = CCode(_PEAK.replace("BYTES", str(width)), STRICT, arrays)
        contender = Contender("peak", "kernel", code.run, list)
        rates.append(2 * 16 * (width // 8) * 1000 / measure([contender], setup)[0])
    return max(rates)


def _table(product: str, peak: float | None, setup: Setup) -> Table:
    rows, agreed, names = [], (), ()
    for size in (4, 9) if setup.tiny else SIZES:
        contenders = _contenders(product, size, setup)
        agreed = compare(contenders, 1e-12)
        names = tuple(c.name for c in contenders)
        rates = [2 * size**3 / s for s in measure(contenders, setup)]
        shares = [f"{100 * r / peak:.0f}" if peak else "-" for r in rates]
        ratio = number(rates[0] / rates[-1]) if names[-1] == "BLAS" else "-"
        rows.append((f"n = {size}", *(number(r / 1e9) for r in rates), *shares, ratio))
    header = (
        "",
        *(f"{x} GF/s" for x in names),
        *(f"{x} % of peak" for x in names),
        f"{names[0]} / {names[-1]}",
    )
    note = f"Square, float64. Peak: {number(peak / 1e9)} GF/s." if peak else "Square, float64."
    return Table(f"Matrix products: {product}", header, tuple(rows), agreed, note)


def _contenders(product: str, size: int, setup: Setup) -> list[Contender]:
    rng = setup.random()
    a, b = rng.normal(size=(2, size, size))
    left, right = "^" in product.split()[0], "^" in product.split()[1]
    sizes = dict.fromkeys("mnk", size)

    def program() -> sg.Program:
        A = sp.MatrixSymbol("A", *((k, m) if left else (m, k)))
        B = sp.MatrixSymbol("B", *((n, k) if right else (k, n)))
        return sg.program((A.T if left else A) * (B.T if right else B), args=(A, B))

    found = [SymgradCode(program, ("value",), backend, [a, b], sizes).contender() for backend in backends()]
    if compiler() is not None:
        found.append(_blas(a, b, left, right))
    return found


def _blas(a: np.ndarray, b: np.ndarray, left: bool, right: bool) -> Contender:
    """c = a b in rows is c^T = b^T a^T in Fortran's columns."""
    c = np.zeros_like(a)
    text = _BLAS.replace("SIZE", str(len(a))).replace("LEFT", "NT"[right]).replace("RIGHT", "NT"[left])
    code = CCode(
        text,
        STRICT,
        [a, b, c],
    )
    code.buffers = Addresses([a, b, c], _dgemm())

    def results() -> list[np.ndarray]:
        code.run(1)
        return [c.copy()]

    return Contender("BLAS", "kernel", code.run, results)


def _dgemm() -> int:
    capsule = scipy.linalg.cython_blas.__pyx_capi__["dgemm"]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


if __name__ == "__main__":
    main(run)
