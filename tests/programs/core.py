"""What a shared program is, and how its inputs are drawn.

Inputs are made from `RandomState.random_sample` and `randint` with IEEE arithmetic only: NumPy freezes these
streams, and no library function that could differ in the last bit between machines takes part.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

Sizes = Mapping[str, int]
Shape = tuple[int, ...]
Draw = Callable[[np.random.RandomState, Shape, Sizes], np.ndarray]


@dataclass(frozen=True)
class SharedProgram:
    """One expression with everything needed to run it.

    `wrt` is one array symbol or a tuple, as `sg.compile` takes it. `sizes` has one entry per case. `draws`
    tells how to make each argument; a draw gets the random state, the argument's shape and the sizes.
    """

    name: str
    expr: sp.Basic
    args: tuple[sp.Basic, ...]
    wrt: sp.Basic | tuple[sp.Basic, ...]
    sizes: tuple[Sizes, ...]
    draws: Mapping[sp.Basic, Draw]
    outputs: tuple[str, ...] = ("value", "grad", "hvp")

    @property
    def targets(self) -> tuple[sp.Basic, ...]:
        """The differentiated symbols, always as a tuple."""
        return self.wrt if isinstance(self.wrt, tuple) else (self.wrt,)

    def output_shapes(self, case: int) -> dict[str, list[Shape]]:
        """The shapes of every output, by output word: one per differentiated symbol, or just one."""
        value: Shape = self.expr.shape if isinstance(self.expr, sp.MatrixBase) else ()
        derivative = [value + shape_at(symbol, self.sizes[case]) for symbol in self.targets]
        shapes: dict[str, list[Shape]] = {
            "value": [value],
            "grad": derivative,
            "jac": derivative,
            "jvp": [value],
            "hvp": derivative,
        }
        return {word: shapes[word] for word in self.outputs}

    def make_inputs(self, rng: np.random.RandomState, sizes: Sizes) -> dict[str, np.ndarray]:
        """Draw every argument in order; scalars are arrays of rank 0."""
        return {symbol_name(arg): self.draws[arg](rng, shape_at(arg, sizes), sizes) for arg in self.args}

    def inputs(self, case: int) -> dict[str, np.ndarray]:
        """The fixed inputs of one case, by argument name."""
        return self.make_inputs(_random_state(self.name, case), self.sizes[case])

    def tangents(self, case: int) -> tuple[np.ndarray, ...]:
        """The fixed direction of one case: one array per differentiated symbol."""
        rng = _random_state(f"tangent of {self.name}", case)
        draw = uniform(-1.0, 1.0)
        return tuple(draw(rng, shape_at(symbol, self.sizes[case]), {}) for symbol in self.targets)


def symbol_name(symbol: sp.Basic) -> str:
    """The name under which a symbol, matrix symbol or indexed base is passed to a kernel."""
    return str(symbol.label) if isinstance(symbol, sp.IndexedBase) else str(symbol.name)


def shape_at(symbol: sp.Basic, sizes: Sizes) -> Shape:
    """The shape of an argument at given sizes: `()` for a scalar symbol."""
    if isinstance(symbol, sp.Symbol):
        return ()
    return tuple(extent_at(extent, sizes) for extent in symbol.shape)


def extent_at(extent: sp.Expr | int, sizes: Sizes) -> int:
    """The value of an extent such as `2*n + 1` at given sizes."""
    expr = sp.Integer(extent) if isinstance(extent, int) else extent
    return int(expr.xreplace({symbol: sp.Integer(sizes[symbol.name]) for symbol in expr.free_symbols}))


def _random_state(name: str, case: int) -> np.random.RandomState:
    return np.random.RandomState([zlib.crc32(name.encode()), case])


def size_sets(names: str, *rows: Iterable[int]) -> tuple[Sizes, ...]:
    """`size_sets("n d", (1, 2), (3, 4))` is two size sets."""
    return tuple(dict(zip(names.split(), row, strict=True)) for row in rows)


def same_sizes(cases: int) -> tuple[Sizes, ...]:
    """The size sets of a program without sizes: only its inputs change."""
    return tuple({} for _ in range(cases))


def uniform(low: float, high: float) -> Draw:
    """Numbers spread evenly over [low, high)."""

    def draw(rng: np.random.RandomState, shape: Shape, sizes: Sizes) -> np.ndarray:
        return np.asarray(low + (high - low) * rng.random_sample(shape))

    return draw


def integers(below: sp.Expr) -> Draw:
    """int64 numbers 0 <= k < below, where `below` is an extent."""

    def draw(rng: np.random.RandomState, shape: Shape, sizes: Sizes) -> np.ndarray:
        return rng.randint(0, extent_at(below, sizes), size=shape, dtype=np.int64)

    return draw


def one_hot(rng: np.random.RandomState, shape: Shape, sizes: Sizes) -> np.ndarray:
    """Rows with a single one at a random place."""
    rows, columns = shape
    return np.eye(columns)[rng.randint(0, columns, size=rows)]


def signs(rng: np.random.RandomState, shape: Shape, sizes: Sizes) -> np.ndarray:
    """Random -1.0 and 1.0."""
    return 2.0 * rng.randint(0, 2, size=shape) - 1.0
