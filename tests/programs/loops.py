"""Index form: shifted, triangular, guarded and nested sums and products."""

from __future__ import annotations

import numpy as np
import sympy as sp
from sympy import IndexedBase, KroneckerDelta, Piecewise, Product, Sum

from .core import Shape, SharedProgram, Sizes, size_sets, uniform

n, m, d = sp.symbols("n m d", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
UNIT = uniform(-1.0, 1.0)
LINES = size_sets("n", (1,), (2,), (3,), (8,), (19,))


def rosenbrock() -> SharedProgram:
    """Rosenbrock's function of n numbers: neighbours coupled by a shift, empty for n = 1."""
    x = IndexedBase("x", shape=(n,))
    loss = Sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2, (i, 0, n - 2))
    return SharedProgram("rosenbrock", loss, (x,), x, LINES, {x: uniform(-1.5, 1.5)})


def orthogonality_index() -> SharedProgram:
    """The squared Frobenius distance of W'W from the identity, with the identity as a Kronecker delta."""
    W = IndexedBase("W", shape=(n, d))
    defect = Sum(W[k, i] * W[k, j], (k, 0, n - 1)) - KroneckerDelta(i, j)
    loss = Sum(defect**2, (i, 0, d - 1), (j, 0, d - 1))
    sizes = size_sets("n d", (1, 1), (1, 4), (5, 1), (4, 3), (11, 6))
    return SharedProgram("orthogonality_index", loss, (W,), W, sizes, {W: UNIT})


def banded_form() -> SharedProgram:
    """A double sum that shifted Kronecker deltas thin out to three diagonals."""
    x, A = IndexedBase("x", shape=(n,)), IndexedBase("A", shape=(n, n))
    band = 2 * KroneckerDelta(i, j) - KroneckerDelta(i, j + 1) - KroneckerDelta(i + 1, j)
    form = Sum(sp.sin(x[i]) * A[i, j] * x[j] * band, (i, 0, n - 1), (j, 0, n - 1))
    return SharedProgram("banded_form", form, (x, A), (x, A), LINES, {x: UNIT, A: UNIT})


def cluster(rng: np.random.RandomState, shape: Shape, sizes: Sizes) -> np.ndarray:
    """Points near a cubic lattice of spacing 1.15, so that no two come close."""
    points = np.arange(shape[0])
    lattice = np.stack([points % 3, points // 3 % 3, points // 9], axis=1)
    return 1.15 * lattice + 0.2 * rng.random_sample(shape)


def pair_energy(x: IndexedBase) -> sp.Expr:
    """The Lennard-Jones energy 4 (r^-12 - r^-6) of atoms i and j."""
    square = Sum((x[i, k] - x[j, k]) ** 2, (k, 0, 2))
    return 4 * (square**-6 - square**-3)


def lennard_jones_pairs() -> SharedProgram:
    """The energy of a cluster as a triangular sum over pairs j < i."""
    x = IndexedBase("x", shape=(n, 3))
    energy = Sum(pair_energy(x), (j, 0, i - 1), (i, 0, n - 1))
    sizes = size_sets("n", (1,), (2,), (3,), (7,), (13,))
    return SharedProgram("lennard_jones_pairs", energy, (x,), x, sizes, {x: cluster})


def lennard_jones_guarded() -> SharedProgram:
    """The same energy as half a square sum whose diagonal, a division by zero, is guarded."""
    x = IndexedBase("x", shape=(n, 3))
    guarded = Piecewise((pair_energy(x), sp.Ne(i, j)), (0, True))
    energy = Sum(guarded, (i, 0, n - 1), (j, 0, n - 1)) / 2
    sizes = size_sets("n", (1,), (2,), (3,), (7,), (13,))
    return SharedProgram("lennard_jones_guarded", energy, (x,), x, sizes, {x: cluster})


def total_variation() -> SharedProgram:
    """Smoothed total variation of an image: a square root of two shifted differences."""
    u = IndexedBase("u", shape=(n, m))
    down, right = u[i + 1, j] - u[i, j], u[i, j + 1] - u[i, j]
    root = sp.sqrt(down**2 + right**2 + sp.Rational(1, 100))
    sizes = size_sets("n m", (1, 1), (1, 5), (2, 2), (4, 3), (7, 10))
    loss = Sum(root, (i, 0, n - 2), (j, 0, m - 2))
    return SharedProgram("total_variation", loss, (u,), u, sizes, {u: UNIT})


def leading_zeros(rng: np.random.RandomState, shape: Shape, sizes: Sizes) -> np.ndarray:
    """Numbers in [0.5, 1.5) of which the first (length mod 3) are exactly zero."""
    values = 0.5 + rng.random_sample(shape)
    values[: shape[0] % 3] = 0.0
    return values


def product_with_zeros() -> SharedProgram:
    """A product in which none, one or two factors are zero: dividing it by a factor would make a nan."""
    x = IndexedBase("x", shape=(n,))
    loss = Product(x[i], (i, 0, n - 1)) + Sum(x[i] ** 2, (i, 0, n - 1)) / 2
    return SharedProgram("product_with_zeros", loss, (x,), x, LINES, {x: leading_zeros})


def product_of_rows() -> SharedProgram:
    """A product of sums per row, under a sum: a polynomial in factored form."""
    x, w = IndexedBase("x", shape=(n, m)), IndexedBase("w", shape=(m,))
    factor = 1 + Sum(x[i, k] * w[k], (k, 0, m - 1)) ** 2
    loss = sp.log(Product(factor, (i, 0, n - 1))) + Product(factor, (i, 0, n - 1)) / 100
    sizes = size_sets("n m", (1, 1), (1, 4), (5, 1), (3, 2), (6, 7))
    return SharedProgram("product_of_rows", loss, (x, w), (x, w), sizes, {x: UNIT, w: UNIT})


def prefix_products() -> SharedProgram:
    """The sum of all leading products: the inner range ends at the outer index."""
    x = IndexedBase("x", shape=(n,))
    loss = Sum(Product(x[j], (j, 0, i)), (i, 0, n - 1))
    return SharedProgram("prefix_products", loss, (x,), x, LINES, {x: uniform(0.5, 1.5)})


def guarded_root() -> SharedProgram:
    """A square root in the branch taken for positive arguments only; it must not spoil the other branch."""
    x, w = IndexedBase("x", shape=(n,)), IndexedBase("w", shape=(n,))
    y = x[i] - x[n - 1 - i] * w[i] / 3
    branch = Piecewise((sp.sqrt(y) * w[i], y > 0), (y**2 - w[i], True))
    return SharedProgram(
        "guarded_root", Sum(branch, (i, 0, n - 1)), (x, w), (x, w), LINES, {x: UNIT, w: UNIT}
    )


def reused_index() -> SharedProgram:
    """The same index name bound in nested and neighbouring sums; substitution by name would capture it."""
    x = IndexedBase("x", shape=(n,))
    mean = Sum(x[i], (i, 0, n - 1)) / n
    inner = Sum((x[i] - mean) ** 3, (i, 0, n - 1))
    loss = Sum(sp.tanh(x[i] * inner) + x[i] * Sum(x[i] ** 2, (i, 0, n - 1)), (i, 0, n - 1))
    return SharedProgram("reused_index", loss, (x,), x, LINES, {x: UNIT})


LOOPS = (
    rosenbrock(),
    orthogonality_index(),
    banded_form(),
    lennard_jones_pairs(),
    lennard_jones_guarded(),
    total_variation(),
    product_with_zeros(),
    product_of_rows(),
    prefix_products(),
    guarded_root(),
    reused_index(),
)
