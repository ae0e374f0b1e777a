"""Sums over pairs of points: no nan of a point beside itself, which no pair is, in any derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

jax.config.update("jax_enable_x64", True)

COUNT, SPACE, TOLERANCE = 5, 3, 1e-12
n, d = sp.symbols("n d", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
X, q = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("q", shape=(n,))
SQUARE = sp.Sum((X[i, k] - X[j, k]) ** 2, (k, 0, d - 1))
R = sp.sqrt(SQUARE)

# Energies of a pair, and the same by the squared distance.
ENERGIES: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "Coulomb": (1 / R, lambda s: 1 / jnp.sqrt(s)),
    "logarithmic": (sp.log(SQUARE), jnp.log),
    "Yukawa": (sp.exp(-R) / R, lambda s: jnp.exp(-jnp.sqrt(s)) / jnp.sqrt(s)),
    "Lennard-Jones": (SQUARE**-6 - SQUARE**-3, lambda s: s**-6.0 - s**-3.0),
    "springs": ((R - 1) ** 2, lambda s: (jnp.sqrt(s) - 1) ** 2),
}
PAIRS: dict[str, Callable[[Any], Any]] = {
    "below": lambda e: sp.Sum(e, (j, 0, i - 1), (i, 0, n - 1)),
    "above": lambda e: sp.Sum(e, (j, i + 1, n - 1), (i, 0, n - 1)),
    "both": lambda e: sp.Sum(sp.Piecewise((e, sp.Ne(i, j)), (0, True)), (i, 0, n - 1), (j, 0, n - 1)) / 2,
}


CASES = [("Coulomb", pairs, backend) for pairs in PAIRS for backend in ("llvm", "c", "numpy")]
CASES += [(name, "below", "llvm") for name in ENERGIES if name != "Coulomb"]


@pytest.mark.parametrize(("name", "pairs", "backend"), CASES)
def test_all_derivatives(name: str, pairs: str, backend: str) -> None:
    energy, by_square = ENERGIES[name]
    rng = np.random.default_rng(0)
    x, charges, tangent = (
        2 * rng.standard_normal((COUNT, SPACE)),
        rng.random(COUNT),
        rng.standard_normal((COUNT, SPACE)),
    )

    def total(x: Any) -> Any:
        couples = [(a, b) for a in range(COUNT) for b in range(a)]
        return sum(charges[a] * charges[b] * by_square(((x[a] - x[b]) ** 2).sum()) for a, b in couples)

    kernel = sg.compile(PAIRS[pairs](q[i] * q[j] * energy), args=[X, q], wrt=X,
                        outputs=("value", "grad", "hess", "hess_diag", "hvp"), backend=backend)  # fmt: skip
    hess = np.asarray(jax.hessian(total)(x))
    wanted = (total(x), jax.grad(total)(x), hess, np.einsum("abab->ab", hess), np.tensordot(hess, tangent))
    for found, right in zip(kernel(x, charges, tangent=tangent), wanted, strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=TOLERANCE * np.abs(right).max())
