"""Matrix products of triangular operands, and of results of which a triangle is read."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.loops.nest import Contract, For, If, variable
from symgrad.loops.walk import walk

n, d, k, e = sp.symbols("n d k e", integer=True, positive=True)
i, a, b, c = sp.symbols("i a b c", integer=True)
x = sp.IndexedBase("x", shape=(n, d))
q = sp.IndexedBase("q", shape=(d, d, k))
BACKENDS = ("numpy", "llvm", "c")


def _calls(expr, args, wrt=None, words="value") -> list[tuple[str, Contract]]:
    """The calls of products, each with the variable of the loop just around it."""
    seen = {}
    sg.compile(expr, args, wrt, outputs=words, watch=lambda stage, thing: seen.setdefault(stage, thing))
    loops = [s for _, s in walk(seen["lower"].body) if isinstance(s, For)]
    return [(loop.var, s) for loop in loops for s in _chosen(loop.body) if isinstance(s, Contract)]


def _chosen(body) -> list:
    """The statements of a body, those that a size decides on when the kernel runs included."""
    return [inner for s in body for inner in (s.body if isinstance(s, If) else [s])]


def _lengths(call: Contract) -> tuple:
    return call.rows, call.columns, call.depth


def _turned(is_in) -> sp.Expr:
    """sum over b of x[i, b]*q[a, b, c], of the entries of q that count."""
    entry = sg.Where(is_in(a, b), q[a, b, c], 0)
    return sp.Sum(entry * x[i, b], (b, 0, d - 1))


def _energy(is_in) -> sp.Expr:
    inner = sp.Sum(sp.sin(_turned(is_in)), (a, 0, d - 1))
    return sp.Sum(sp.exp(inner), (i, 0, n - 1), (c, 0, k - 1))


TRIANGLES = {
    "lower": lambda a, b: b <= a,
    "strictly lower": lambda a, b: b < a,
    "upper": lambda a, b: b >= a,
}


def _reference(is_in, X, Q):
    size = len(Q)
    inside = np.array([[bool(is_in(p, r)) for r in range(size)] for p in range(size)])
    turned = np.einsum("ib,abc->aic", X, Q * inside[:, :, None])
    outer = np.exp(np.sin(turned).sum(0))
    slope = np.einsum("aic,ib,ic->abc", np.cos(turned), X, outer) * inside[:, :, None]
    return outer.sum(), slope


@pytest.mark.parametrize("name", TRIANGLES)
def test_the_depth_of_a_product_is_as_long_as_its_triangle(name: str) -> None:
    """The loop over the other axis of the triangle is around the call; its variable is in the length."""
    calls = _calls(_energy(TRIANGLES[name]), (q, x), q, "grad")
    limited = [(var, call) for var, call in calls if (var,) in dict(call.depth)]
    assert limited
    for var, call in limited:
        constant = dict(call.depth)
        assert constant[var,] == (-1 if name == "upper" else 1)
        if name == "upper":
            starts = [p for s in (call.a, call.b) for p in s.start.index]
            assert starts.count(variable(var)) >= 3  # q at (a, a) and x at a


@pytest.mark.parametrize("name", TRIANGLES)
def test_rows_that_nobody_reads_are_not_made(name: str) -> None:
    """The gradient is an output, whole; what it is read from is a product of which it reads a triangle."""
    calls = _calls(_energy(TRIANGLES[name]), (q, x), q, "grad")
    assert any((var,) in dict(length) for var, call in calls for length in (call.rows, call.columns))


def test_a_square_operand_stays_square() -> None:
    calls = _calls(_energy(lambda a, b: sp.true), (q, x), q, "grad")
    assert all((var,) not in dict(length) for var, call in calls for length in _lengths(call))


def test_a_product_that_is_an_output_is_made_whole() -> None:
    """Its upper triangle may not be left as it was, though its loop could be shorter."""
    y = sp.IndexedBase("y", shape=(n, d, k))
    whole = sg.Entries((d, d, k), lambda a, b, c: sp.Sum(x[i, b] * y[i, a, c], (i, 0, n - 1)))
    calls = _calls(whole, (x, y))
    assert calls
    assert all((var,) not in dict(length) for var, call in calls for length in _lengths(call))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", TRIANGLES)
def test_triangles_have_the_values_and_slopes_of_dense_arrays_with_zeros(name: str, backend: str) -> None:
    kernel = sg.compile(_energy(TRIANGLES[name]), (q, x), q, outputs=("value", "grad"), backend=backend)
    for size, samples, parts in ((1, 1, 1), (2, 3, 9), (7, 200, 4)):
        rng = np.random.default_rng(size)
        X, Q = rng.normal(size=(samples, size)), rng.normal(size=(size, size, parts))
        value, slope = kernel(Q, X)
        wanted, gradient = _reference(TRIANGLES[name], X, Q)
        np.testing.assert_allclose(value, wanted, rtol=1e-12)
        np.testing.assert_allclose(slope, gradient, rtol=1e-10, atol=1e-11 * np.abs(gradient).max())


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_what_is_beyond_the_triangle_may_be_anything(backend: str) -> None:
    """A mask annihilates: an infinite number above the diagonal leaves no trace."""
    kernel = sg.compile(_energy(TRIANGLES["lower"]), (q, x), q, outputs=("value", "grad"), backend=backend)
    rng = np.random.default_rng(0)
    X, Q = rng.normal(size=(60, 5)), rng.normal(size=(5, 5, 3))
    clean = kernel(Q, X)
    spoilt = Q.copy()
    spoilt[np.triu_indices(5, 1)] = np.inf
    for one, other in zip(clean, kernel(spoilt, X), strict=True):
        np.testing.assert_array_equal(one, other)
