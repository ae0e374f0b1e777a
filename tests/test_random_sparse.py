"""Random programs over indices: sparse second derivatives against the same without bands, and their zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import assert_close

import symgrad as sg
from symgrad.ir.evaluate import evaluate

N, M = 5, 4  # lengths at which programs are evaluated
n, m = sp.symbols("n m", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
x = sp.IndexedBase("x", shape=(n,))
y = sp.IndexedBase("y", shape=(2 * n,))
z = sp.IndexedBase("z", shape=(n, 2))
a = sp.IndexedBase(sp.Symbol("a", integer=True), shape=(m,))
b = sp.IndexedBase(sp.Symbol("b", integer=True), shape=(m,))
ARGS = (x, y, z, a, b)

# What a term of a sum over i (in the interior) or over observations j may read.
AT_I = (x[i], x[i + 1], x[i - 1], x[n - 1 - i], y[2 * i], y[2 * i + 1], y[i], z[i, 0], z[i, 1], z[i + 1, 0],
        x[0], z[n - 1, 1])  # fmt: skip
AT_J = (x[a[j]], x[b[j]], z[a[j], 0], z[b[j], 1], y[a[j] + b[j]], y[2 * a[j]], x[2])
FUNCTIONS = (lambda u, v: u**2 * v, lambda u, v: sp.sin(u * v), lambda u, v: sp.exp(u) * v**3,
             lambda u, v: sp.cos(u + v) + u**3, lambda u, v: sp.log(2 + u**2) * v)  # fmt: skip


@st.composite
def terms(draw: Any) -> sp.Expr:
    """One sum; over neighbours, over observations, guarded, or over pairs."""
    kind = draw(
        st.sampled_from(("near", "near", "gathered", "gathered", "guarded", "pairs", "delta", "square"))
    )
    function = draw(st.sampled_from(FUNCTIONS))
    if kind == "gathered":
        return sp.Sum(function(draw(st.sampled_from(AT_J)), draw(st.sampled_from(AT_J))), (j, 0, m - 1))
    first, second = draw(st.sampled_from(AT_I)), draw(st.sampled_from(AT_I))
    if kind == "near":
        return sp.Sum(function(first, second), (i, 1, n - 2))
    if kind == "guarded":
        inside = sp.Piecewise((function(x[i], x[i - 1]), i > 0), (function(x[i], y[i]), True))
        return sp.Sum(inside, (i, 0, n - 1))
    if kind == "square":
        part = draw(st.sampled_from((x[i] * x[i + 1], z[i, 0] - y[2 * i], sp.sin(x[i]) * y[i])))
        return sp.Sum(part, (i, 1, n - 2)) ** 2
    if kind == "delta":
        near = sp.KroneckerDelta(i, k + 1) + sp.KroneckerDelta(i, k) * z[i, 1]
        return sp.Sum(function(x[i], z[k, 0]) * near, (i, 0, n - 1), (k, 0, n - 1))
    return sp.Sum(function(x[i] - y[k], z[i, 0]), (k, 0, i), (i, 0, n - 1))


def values(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = ((N,), (2 * N,), (N, 2))
    return [*(rng.uniform(0.3, 1.4, s) for s in shapes), rng.integers(0, N, M), rng.integers(0, N, M)]


def without_bands(program: sg.Program, word: str, arrays: list[np.ndarray]) -> np.ndarray:
    """The blocks as the chain rule leaves them, evaluated entry by entry."""
    derived = program.derived((word,), to_read=True)
    unit = derived.unit
    inputs = {unit.inputs[p][1]: array for p, array in enumerate(arrays)}
    found = evaluate(unit.graph, [t for _, t in unit.outputs], inputs, {"n": N, "m": M})

    def array(tree: Any) -> np.ndarray:
        return found[tree[0]]

    lengths = [part.size for part in arrays[:3]]
    blocks = derived.results[0]
    return np.block(
        [[array(blocks[p][q]).reshape(lengths[p], lengths[q]) for q in range(3)] for p in range(3)]
    )


@settings(max_examples=18, deadline=None, derandomize=True)
@given(st.lists(terms(), min_size=1, max_size=3), st.integers(0, 2**32 - 1), st.sampled_from(("csc", "csr")))
def test_sparse_hessians_of_random_programs(parts, seed, sparse):
    program = sg.program(sum(parts), args=ARGS, wrt=(x, y, z))
    arrays = values(seed)
    wanted = without_bands(program, "hess", arrays)
    for backend in ("numpy", "llvm"):
        found = sg.compile(program, outputs="hess", sparse=sparse, backend=backend)(*arrays, n=N, m=M)
        assert_close(found.toarray(), wanted)
    rows, columns = found.tocoo().coords
    stored = np.zeros(wanted.shape, bool)
    stored[rows, columns] = True
    assert (stored == (wanted != 0)).all()
    blocks = sg.compile(program, outputs="hess_diag")(*arrays, n=N, m=M)
    assert_close(np.concatenate([part.ravel() for part in blocks]), np.diag(wanted))
