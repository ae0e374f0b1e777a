"""Machine code in a process whose address space is nearly all taken, as by large arrays."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, mmap, random
import numpy as np, sympy as sp, symgrad as sg
from symgrad.targets import llvm_build

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

linked, made = llvm_build._linked, []
llvm_build._linked = lambda *args: made.append(args) or linked(*args)
n, i = sp.Symbol("n", integer=True), sp.Symbol("i", integer=True)
v = sp.IndexedBase("v", shape=(n,))
for k in (1, 2, 3):
    energy = sp.Sum(sp.exp(k * v[i]) * sp.sin(v[i]), (i, 0, n - 1))
    kernel = sg.compile(energy, args=(v,), outputs=("value", "grad"))

choose, page, span, kept = random.Random(1), 4096, 5 << 30, []
flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE: addresses, and no memory
for _ in range(200):  # five gigabytes of addresses that nothing uses, with a hole of a few pages at their end
    start = libc.mmap(None, span, 0, flags, -1, 0)
    hole = choose.randint(1, 12)
    libc.munmap(start + span - page * (hole + choose.randint(0, 3)), page * hole)
    kept.append(linked(*choose.choice(made)))
print(np.isclose(kernel(np.ones(2))[0], 2 * np.exp(3.0) * np.sin(1.0), rtol=1e-14))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="addresses are taken by Linux's mmap")
def test_code_finds_its_constants_wherever_there_is_room() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.strip() == "True"
