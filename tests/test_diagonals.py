"""Sparse matrices that are made of diagonals: computed one after the other, and put in order by one table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sympy as sp
from tolerances import assert_close

import symgrad as sg
from symgrad.loops.independent import only_gathers
from symgrad.loops.nest import For
from symgrad.loops.walk import walk

n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
x = sp.IndexedBase("x", shape=(n,))
p = sp.IndexedBase("p", shape=(n,), integer=True)
CHAIN = sp.Sum((x[i + 1] - x[i] ** 2) ** 2 + x[i] ** 3, (i, 0, n - 2)) + sp.Sum(sp.sin(x[i]), (i, 0, n - 1))
WIDE = sp.Sum(x[i] ** 2 * x[i + 3] + sp.exp(x[i] * x[i + 1]), (i, 0, n - 4))
STEPS = (
    x[i] ** 2
    - sp.Piecewise((sp.sin(x[i - 2]), i > 1), (0, True))
    + sp.Piecewise((x[i + 1], i < n - 1), (0, True))
)


def places(kernel: Any) -> list[str]:
    """The integer arrays that the machine code takes."""
    return [b.name for b in kernel._spec.routine.buffers_of("input") if b.dtype == "int"]


@pytest.mark.parametrize("backend", ["llvm", "c"])
@pytest.mark.parametrize("stored_as", ["csc", "csr", "coo"])
def test_diagonals_are_the_dense_matrix_at_every_size(backend: str, stored_as: str) -> None:
    for expr, word in ((CHAIN, "hess"), (WIDE, "hess"), (STEPS, "jac"), (STEPS, "gauss_newton")):
        options: dict[str, Any] = {"args": (x,), "wrt": x, "outputs": word}
        options |= {"axes": [i]} if expr is STEPS else {}
        dense = sg.compile(expr, backend="numpy", **options)
        kernel = sg.compile(expr, backend=backend, sparse=stored_as, **options)
        lower = sg.compile(expr, backend=backend, sparse=stored_as, triangle="lower", **options)
        assert len(places(kernel)) == 1
        for size in (1, 2, 3, 5, 40):
            point = np.linspace(-1.0, 1.5, size)
            wanted, found = dense(point), kernel(point)
            assert_close(found.toarray(), wanted)
            assert found.nnz == np.count_nonzero(kernel.sparsity(n=size).toarray())
            if word == "hess":
                assert_close(lower(point).toarray(), np.tril(wanted))


def test_what_is_no_diagonal_is_added_up_at_its_places() -> None:
    arrow = sp.Sum(sp.sin(x[0] * x[i]) + x[i] ** 4, (i, 1, n - 1))
    gathered = sp.Sum(x[p[i]] ** 2 * x[i], (i, 0, n - 1))
    for expr, args, given in ((arrow, (x,), ()), (gathered, (x, p), (np.array([2, 0, 0, 3, 3, 1]),))):
        kernel = sg.compile(expr, args=args, wrt=x, outputs="hess", sparse="csc")
        point = np.linspace(-1.0, 1.5, 6)
        wanted = sg.compile(expr, args=args, wrt=x, outputs="hess", backend="numpy")(point, *given)
        assert_close(kernel(point, *given).toarray(), wanted)
        assert len([name for name in places(kernel) if name.startswith("places")]) > 1


def test_a_diagonal_depends_on_what_its_guards_read() -> None:
    expr = sp.Sum(sp.Piecewise((x[i] ** 3, p[i] > 1), (0, True)) + x[i] * x[i + 1], (i, 0, n - 2))
    kernel = sg.compile(expr, args=(x, p), wrt=x, outputs="hess", sparse="csr")
    dense = sg.compile(expr, args=(x, p), wrt=x, outputs="hess", backend="numpy")
    point = np.linspace(-1.0, 1.5, 5)
    for chosen in ([0, 2, 0, 3, 5], [2, 2, 2, 0, 0]):
        found = kernel(point, np.array(chosen))
        assert_close(found.toarray(), dense(point, np.array(chosen)))
        assert found.nnz == 8 + sum(c > 1 for c in chosen[:-1])


def test_a_matrix_without_entries_is_no_diagonal() -> None:
    kernel = sg.compile(sp.Sum(3 * x[i], (i, 0, n - 1)), args=(x,), wrt=x, outputs="hess", sparse="csc")
    found = kernel(np.ones(4))
    assert found.shape == (4, 4) and found.nnz == 0


def test_results_share_no_memory_and_one_kernel_serves_several_sizes_in_turn() -> None:
    kernel = sg.compile(CHAIN, args=(x,), wrt=x, outputs=("value", "hess"), sparse="csc")
    dense = sg.compile(CHAIN, args=(x,), wrt=x, outputs="hess", backend="numpy")
    for size in (4, 9, 4):
        one, two = (kernel(np.full(size, 0.5))[1] for _ in range(2))
        two.data[:] = 0.0
        assert isinstance(one, scipy.sparse.csc_array)
        assert_close(one.toarray(), dense(np.full(size, 0.5)))


def test_a_loop_that_only_copies_by_a_table_stays_without_vectors() -> None:
    kernel = sg.compile(CHAIN, args=(x,), wrt=x, outputs="hess", sparse="csc")
    loops = [s for _, s in walk(kernel._spec.routine.body) if isinstance(s, For)]
    (copying,) = filter(only_gathers, loops)
    assert copying is loops[-1] and "llvm.loop.vectorize.enable" in kernel.source
    plain = sg.compile(sp.Sum(x[i] ** 2, (i, 0, n - 1)), args=(x,), wrt=x, outputs="grad")
    assert not any(only_gathers(s) for _, s in walk(plain._spec.routine.body) if isinstance(s, For))
