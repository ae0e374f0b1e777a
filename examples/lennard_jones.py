"""The shape of a cluster of atoms: the positions of least Lennard-Jones energy, from random starts.

The energy is one sum over pairs for any number of atoms, so one kernel serves every cluster; SciPy minimises.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.optimize
import sympy as sp

import symgrad as sg

# Wales and Doye, J. Phys. Chem. A 101 (1997) 5111, by the number of atoms.
KNOWN = {3: -3.0, 7: -16.505384, 13: -44.326801}


def energy_kernel() -> sg.Kernel:
    """The sum over pairs j < i of 4*(1/r**12 - 1/r**6) and its gradient, by the positions x, shape (n, 3)."""
    n = sp.Symbol("n", integer=True, positive=True)
    i, j, k = sp.symbols("i j k", integer=True)
    x = sp.IndexedBase("x", shape=(n, 3))
    r2 = sp.Sum((x[i, k] - x[j, k]) ** 2, (k, 0, 2))
    energy = sp.Sum(4 * (r2**-6 - r2**-3), (j, 0, i - 1), (i, 0, n - 1))
    return sg.compile(energy, args=(x,), wrt=x, outputs=("value", "grad"))


def least_energy(kernel: sg.Kernel, atoms: int, starts: int, random: np.random.Generator) -> float:
    """The least energy that L-BFGS finds from so many random starts."""

    def energy_and_gradient(positions: np.ndarray) -> tuple[float, np.ndarray]:
        energy, gradient = kernel(positions.reshape(atoms, 3))
        return energy, gradient.ravel()

    radius = atoms ** (1 / 3) / 2
    places = (random.uniform(-radius, radius, 3 * atoms) for _ in range(starts))
    runs = (scipy.optimize.minimize(energy_and_gradient, x0, jac=True, method="L-BFGS-B") for x0 in places)
    return float(min(run.fun for run in runs))


def main(sizes: Sequence[int] = (3, 7, 13), starts: int = 60) -> dict[int, float]:
    """Minimise clusters of several sizes, print, and return the least energies found."""
    kernel = energy_kernel()
    random = np.random.default_rng(0)
    found = {atoms: least_energy(kernel, atoms, starts, random) for atoms in sizes}
    for atoms, energy in found.items():
        print(f"{atoms:2} atoms: {energy:.6f}, the least known is {KNOWN[atoms]:.6f}")
    return found


if __name__ == "__main__":
    main()
