"""What outputs claim about slopes: the directions that are compared, and the derivative along each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from symgrad.records import dataclass
from symgrad.run.functions import Function, Variables, outputs_of
from symgrad.run.kernel import Kernel
from symgrad.run.point import Array, Arrays, directions_of
from symgrad.run.report import entry_name, entry_text

DIRECTIONS = 3
_MOST_ENTRIES, _LEAST_ENTRIES = 64, 8
_BUDGET = 1_000_000_000  # operations spent on differences, about
_SWEEP = 23  # evaluations per entry
_PER_NUMBER = 100  # operations it takes to look at one number of a result


@dataclass(frozen=True)
class Check:
    """One direction and the derivative claimed along it, (M,): an entry's, or that of a random `vector`.

    noise  a bound of what rounding may change of such a derivative, (M,); None where nobody asked for it.
    """

    claimed: Array
    entry: int | None = None
    vector: Array | None = None
    noise: Array | None = None

    @property
    def lost(self) -> Array:
        """Where the claimed derivative has no digits: rounding alone may make it as large, (M,)."""
        if self.noise is None:
            return np.zeros(self.claimed.shape, dtype=bool)
        return np.asarray((self.noise > 0) & (np.abs(self.claimed) <= self.noise))

    @property
    def lost_noise(self) -> Array:
        """`noise` where the derivative has no digits, else 0, (M,)."""
        return np.where(self.lost, 0.0 if self.noise is None else self.noise, 0.0)

    def direction(self, size: int) -> Array:
        """The direction as a vector, (size,)."""
        if self.vector is not None:
            return self.vector
        unit = np.zeros(size)
        unit[self.entry] = 1.0
        return unit


@dataclass(frozen=True)
class Claim:
    """One output word as a linear map that the slopes of `function` should equal.

    matrix  (M, N), the derivative of the M entries of the function by the N variables; None where the output
            is its product with the one direction in `checks`.
    place   the text for one of the M entries ("" where there is only one).
    pattern  (M, N), where a sparse result has places; None for a dense one.
    is_own  whether the user wrote the derivative.
    of_function, of_value  bounds of the rounding errors of what is differentiated, (M,), and of the value
            (of a Hessian's program); 0 where nobody asked for them.
    """

    word: str
    function: Function
    matrix: Array | None
    checks: tuple[Check, ...]
    place: Callable[[int], str]
    pattern: Array | None = None
    is_own: bool = False
    of_function: Array | float = 0.0
    of_value: float = 0.0

    @property
    def variables(self) -> Variables:
        return self.function.variables

    def along(self, direction: Array) -> Array:
        """The claimed derivative along a direction; needs `matrix`."""
        assert self.matrix is not None
        with np.errstate(all="ignore"):
            return np.asarray(self.matrix @ direction)

    def name(self, check: Check, m: int) -> str:
        """`grad W[3, 4]`, `hess x[0] by y`: entry `m` of what is claimed along the direction of `check`."""
        symbol, index = ("", ()) if check.entry is None else self.variables.entry(check.entry)
        return entry_name(self.word, symbol, index, self.place(m))

    def is_open(self, check: Check) -> Array:
        """The entries that nothing is claimed of, (M,): on the diagonal, all others."""
        return np.asarray((self.word == "hess_diag") & (np.arange(check.claimed.size) != (check.entry or 0)))

    @cached_property
    def _moduli(self) -> tuple[Array, Array]:
        """|matrix|, and the largest entry of each row."""
        assert self.matrix is not None
        moduli = np.abs(self.matrix)
        return moduli, moduli.max(axis=1, initial=0.0)

    def magnitude(self, check: Check) -> Array:
        """What rounding errors are relative to, (M,): the largest entry, or the sum of moduli.

        Not less than a tenth of the function itself: a slope that is zero comes out of terms that cancel.
        """
        with np.errstate(all="ignore"):
            if self.matrix is None:
                largest = np.full(check.claimed.shape, np.abs(check.claimed).max(initial=0.0))
            elif check.vector is None:
                largest = self._moduli[1]
            else:
                largest = self._moduli[0] @ np.abs(check.vector)
        return np.asarray(np.maximum(largest, 0.1 * self.function.magnitude))


@dataclass(frozen=True)
class Analytic:
    """A kernel's outputs by word, and the directions it was given: as it takes them, and flat."""

    outputs: Mapping[str, list[Array]]
    given: Mapping[str, Any]
    tangent: Array | None
    cotangent: Array | None


def analytic_outputs(kernel: Kernel, arrays: Arrays, sizes: dict[str, int], seed: int) -> Analytic:
    """Call the kernel, with random directions where it takes any."""
    given = directions_of(kernel.signature, sizes, seed)
    drawn = {role: x if isinstance(x, tuple) else (x,) for role, x in given.items()}
    flat = {role: np.concatenate([np.ravel(p) for p in parts]) for role, parts in drawn.items()}
    return Analytic(
        outputs_of(kernel, arrays, sizes, given), given, flat.get("tangent"), flat.get("cotangent")
    )


def claim_of(
    word: str, found: Analytic, function: Function, seed: int, most: int | None, value_shape: tuple[int, ...]
) -> Claim:
    """The claim that the output `word` makes."""
    variables, parts = function.variables, found.outputs[word]
    place = _places(word, variables, value_shape)
    if word == "hess_diag":
        return _diagonal_claim(np.concatenate([np.ravel(p) for p in parts]), function, seed, most, place)
    if word in ("jvp", "hvp"):
        claimed = np.concatenate([np.ravel(p) for p in parts])
        return Claim(word, function, None, (Check(claimed, vector=found.tangent),), place)
    matrix = _matrix(word, parts, variables, value_shape)
    rng = np.random.default_rng(seed)
    most = most or _affordable(function, len(matrix))
    entries = [Check(matrix[:, k], entry=k) for k in _sample(variables, most, rng)]
    vectors = [_random_direction(function.at, rng) for _ in range(DIRECTIONS)]
    with np.errstate(all="ignore"):
        along = [Check(matrix @ v, vector=v) for v in vectors]
    return Claim(word, function, matrix, (*entries, *along), place)


def _affordable(function: Function, rows: int) -> int:
    """How many entries take a few seconds."""
    cost = _SWEEP * max(function.operations, _PER_NUMBER * rows)
    return int(np.clip(_BUDGET // cost, _LEAST_ENTRIES, _MOST_ENTRIES))


def _diagonal_claim(
    diagonal: Array, function: Function, seed: int, most: int | None, place: Callable[[int], str]
) -> Claim:
    """Second derivatives by one variable each: of every slope of the gradient, only that one is claimed."""
    rng = np.random.default_rng(seed)
    size = len(diagonal)
    chosen = _sample(function.variables, most or _affordable(function, size), rng)
    checks = tuple(Check(np.where(np.arange(size) == k, diagonal, 0.0), entry=k) for k in chosen)
    return Claim("hess_diag", function, None, checks, place)


def _matrix(word: str, parts: list[Array], variables: Variables, value_shape: tuple[int, ...]) -> Array:
    """The parts of an output side by side: one row per entry of the function, one column per variable."""
    if word in ("grad", "vjp"):
        return np.concatenate([np.ravel(p) for p in parts])[None, :]
    if word == "jac":
        rows = int(np.prod(value_shape))
        return np.concatenate([p.reshape(rows, -1) for p in parts], axis=1)
    lengths = [variables.size] if len(parts) == 1 else list(variables.lengths)
    blocks = [p.reshape(lengths[k // len(lengths)], -1) for k, p in enumerate(parts)]
    rows_of = [blocks[k : k + len(lengths)] for k in range(0, len(blocks), len(lengths))]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows_of])


def _sample(variables: Variables, most: int, rng: np.random.Generator) -> list[int]:
    """Entries to compare: all of them if they are few, else a random choice with some from every symbol."""
    chosen: list[int] = []
    start, left = 0, most
    for k, length in enumerate(variables.lengths):
        share = min(length, max(1, left // (len(variables.lengths) - k)))
        chosen += [start + int(i) for i in np.sort(rng.choice(length, share, replace=False))]
        start, left = start + length, left - share
    return chosen


def _random_direction(point: Array, rng: np.random.Generator) -> Array:
    """Every entry takes part, by an amount that fits its size."""
    signs = rng.choice([-1.0, 1.0], point.size)
    return np.asarray(signs * rng.uniform(0.5, 1.5, point.size) * np.maximum(np.abs(point), 1.0))


def _places(word: str, variables: Variables, value_shape: tuple[int, ...]) -> Callable[[int], str]:
    if word in ("hess", "hvp", "hess_diag"):
        return lambda m: entry_text(*variables.entry(m))
    if word in ("jac", "jvp") and value_shape:
        return lambda m: entry_text("value", tuple(int(i) for i in np.unravel_index(m, value_shape)))
    return lambda m: ""
