"""A softmax takes one exponential for each exponent, and is the quotient it was."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.graph import Graph

TARGETS = ("numpy", "llvm", "c")
n, c = sp.symbols("n c", integer=True, positive=True)
i, k = sp.symbols("i k", integer=True)
z, y = (sp.IndexedBase(name, shape=(n, c)) for name in "zy")
label = sp.IndexedBase(sp.Symbol("label", integer=True), shape=(n,))
tau = sp.Symbol("tau", positive=True)
BLOCK = np.array([[0.0, 1.5, -2.0], [900.0, 899.0, 100.0], [-1e4, -1e4 + 0.25, -2e4], [5.0, 5.0, 5.0]])
ODD = np.array(
    [[-np.inf, 0.0, 1.0], [-np.inf, -np.inf, 2.0], [-np.inf] * 3, [np.inf, 0.0, 1.0], [1.0, 2.0, np.nan]]
)


def log_sum_exp(exponent: Any) -> Any:
    return sp.log(sp.Sum(sp.exp(exponent), (k, 0, c - 1)))


def weighted(exponent: Any) -> Any:
    """Weighted log-sum-exps: the gradient is the weights' sums times softmaxes."""
    return sp.Sum(log_sum_exp(exponent) * y[i, 0], (i, 0, n - 1))


def exponentials(expr: Any, args: tuple[Any, ...], wrt: Any, words: tuple[str, ...]) -> int:
    """How many definitions with axes compute an exponential."""
    seen: list[Graph] = []

    def watch(stage: str, thing: Any) -> None:
        if stage == "logsumexp":
            seen.append(thing)

    sg.compile(expr, args=args, wrt=wrt, outputs=words, watch=watch)
    (unit,) = seen
    g = unit.graph
    bodies = [g.tensors[t].bodies for t in g.definitions_below(unit.roots)]
    return sum(any(g.op[node] == "exp" for node in g.reachable(b)) for b in bodies)


@pytest.mark.parametrize("words", [("grad",), ("value", "grad"), ("hvp",), ("grad", "hvp")])
def test_every_exponent_has_one_exponential(words: tuple[str, ...]) -> None:
    assert exponentials(weighted(z[i, k]), (z, y), z, words) == 1
    assert exponentials(weighted(z[i, k] / tau), (z, y, tau), (z, tau), words) == 1


def test_a_value_stores_no_exponentials() -> None:
    kernel = sg.compile(weighted(z[i, k]), args=(z, y), backend="c")
    assert exponentials(weighted(z[i, k]), (z, y), z, ("value",)) == 1
    assert "(n, c)" not in "".join(line for line in kernel.source.splitlines() if "* work" in line)


@pytest.mark.parametrize("backend", TARGETS)
def test_softmaxes_are_right_to_the_last_digits(backend: str) -> None:
    kernel = sg.compile(weighted(z[i, k]), args=(z, y), wrt=z, outputs="grad", backend=backend)
    found = kernel(BLOCK, np.ones((4, 3)))
    with mpmath.workdps(60):
        for row, probabilities in zip(BLOCK, found, strict=True):
            powers = [mpmath.exp(mpmath.mpf(x)) for x in row]
            wanted = [float(p / mpmath.fsum(powers)) for p in powers]
            np.testing.assert_allclose(probabilities, wanted, rtol=1e-15, atol=5e-324)


@pytest.mark.parametrize("backend", TARGETS)
def test_infinities_and_nan_are_what_the_exponential_of_a_difference_makes(backend: str) -> None:
    kernel = sg.compile(weighted(z[i, k]), args=(z, y), wrt=z, outputs="grad", backend=backend)
    found = kernel(ODD, np.ones((5, 3)))
    np.testing.assert_allclose(found[0], [0.0, 1 / (1 + np.e), np.e / (1 + np.e)], rtol=1e-15)
    np.testing.assert_array_equal(found[1], [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(found[2], [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(found[3], [1.0, 0.0, 0.0])
    assert np.isnan(found[4]).all()


@pytest.mark.parametrize("backend", TARGETS)
def test_one_exponent_of_many_is_found_at_its_place(backend: str) -> None:
    """A gathered probability, and one in another order of its axes."""
    gathered = sp.Sum(sp.exp(z[i, label[i]] - log_sum_exp(z[i, k])), (i, 0, n - 1))
    rows = sp.Sum(sp.exp(z[i, k] - log_sum_exp(z[i, k])) * y[i, k], (k, 0, c - 1), (i, 0, n - 1))
    kernel = sg.compile(gathered + rows, args=(z, y, label), outputs="value", backend=backend)
    weights = np.arange(12.0).reshape(4, 3)
    labels = np.array([2, 1, 0, 2])
    powers = np.exp(BLOCK - BLOCK.max(axis=1, keepdims=True))
    p = powers / powers.sum(axis=1, keepdims=True)
    wanted = p[np.arange(4), labels].sum() + (p * weights).sum()
    assert kernel(BLOCK, weights, labels) == pytest.approx(wanted, rel=1e-14)
