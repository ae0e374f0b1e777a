"""What is measured: every row of the op table, read from it, and the composites of `composites.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from regions import OSCILLATIONS, REGIONS, Oscillation, Region, points, uniform, words

from symgrad.frontend.ranges import ReadChecks
from symgrad.frontend.translate import Translation
from symgrad.ir.composites.log_products import NAMES as LOGS
from symgrad.ir.composites.norm import NAMES as NORM
from symgrad.ir.composites.softmax import NAMES as SOFTMAX
from symgrad.ir.graph import Graph
from symgrad.ir.op import NoDerivative
from symgrad.ir.ops import OPS, Op
from symgrad.ir.series.removable import NAMES as REMOVABLE
from symgrad.program import Program

# Functions of these ops are sampled over (nearly) all numbers of the type where they are finite; those of the
# others over the domain that their row gives.
_WIDE = (
    "add sub mul div neg sqrt cbrt hypot pow exp expm1 log log1p logistic softplus logaddexp sin cos tan asin"
    " acos atan atan2 sinh cosh tanh sech asinh acosh atanh erf erfc abs sign maximum minimum floor ceil"
)
WIDE = frozenset(_WIDE.split())
_COMPOSITE = ("logistic", "softplus", "logaddexp", *SOFTMAX, "sech", "sinc", *NORM, *LOGS)
_SELECTIONS = (
    "where",
    "mask",
    "cast",
    "anchor",
    "deviation",
    "nested_share",
    "finite_part",
    *REMOVABLE,
)  # the last: test_removable.py
_TOGETHER = ("root_less_side", "less_norm_cosine", "powm1")  # the last argument is made of the others
_SPECIAL = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, 10.0)

Points = np.ndarray
Sampler = Callable[[np.random.Generator, int, np.dtype], Points]


@dataclass(frozen=True)
class Case:
    """A function of `arity` numbers.

    group   "elementary", "special" or "composite".
    forms   how it is computed: name -> program. "call", "vector" and "matrix" take one point per sample;
            "map" and "loop" take all points in one loop, and are the values and their sum.
    exact   the same function of mpmath numbers, written independently.
    sample  candidates, (count, arity); those without a finite value are left out.
    domain  in words.
    by      the arguments that it has derivatives by.
    oscillation  where errors count by the amplitude.
    """

    name: str
    group: str
    arity: int
    forms: dict[str, Callable[[], Program]]
    exact: Callable[..., Any]
    sample: Sampler
    domain: str
    by: tuple[int, ...] = (0, 1)
    oscillation: Oscillation | None = None


def op_cases() -> list[Case]:
    """One case for each row of the table that computes a real number from real numbers.

    Those that end in "_core" are parts of the expansions of others.
    """
    rows = (row for row in OPS.values() if row.result == "real" and row.name not in _SELECTIONS)
    return [_op_case(row) for row in rows if not row.name.endswith("_core")]


def _op_case(row: Op) -> Case:
    wide = row.name in WIDE
    return Case(
        row.name,
        "composite" if row.name in _COMPOSITE else "elementary" if wide else "special",
        row.arity,
        {
            "call": lambda: call_program(row),
            "map": lambda: map_program(row),
            "loop": lambda: loop_program(row),
        },
        row.mpmath,
        lambda rng, count, dtype: _points(row, wide, rng, count, dtype),
        "every finite number" if wide else words(_regions(row)),
        derivatives_of(row),
        OSCILLATIONS.get(row.name),
    )


def derivatives_of(row: Op) -> tuple[int, ...]:
    """The arguments with a derivative that is not always 0, and known.

    None of functions of a root and of what is under it: these two belong together
    (`ir/composites/radial.py`), as the arguments of a norm do (`ir/composites/norm.py`).
    """
    if row.name.startswith("radial_") or row.name in NORM | LOGS or row.name in _TOGETHER:
        return ()
    known = [p is not None and not isinstance(p, NoDerivative) for p in row.partials]
    return tuple(k for k, is_known in enumerate(known) if is_known)


def _regions(row: Op) -> tuple[Region, ...]:
    return REGIONS.get(row.name) or (tuple(uniform(low, high) for low, high in _domain(row)),)


def _domain(row: Op) -> list[tuple[float, float]]:
    return [row.domain[min(k, len(row.domain) - 1)] for k in range(row.arity)]


# ---- points ------------------------------------------------------------------------------------


def _points(row: Op, wide: bool, rng: np.random.Generator, count: int, dtype: np.dtype) -> Points:
    """Uniform in the domain and around 0, logarithmic around 0 and around 1; and corners."""
    if row.name in NORM | LOGS:
        return _of_one_sum(row, rng, count)
    if row.name == "powm1":
        x, y = (rng.uniform(*row.domain[k], 2 * count).astype(np.float32).astype(float) for k in (0, 1))
        return np.stack([x, y, y * np.log(x)], axis=1)
    if row.name in ("root_less_side", "less_norm_cosine"):
        x, rest = (rng.uniform(*row.domain[k], 2 * count) for k in (0, 1))
        return np.stack([x, rest, np.sqrt(x * x + rest)], axis=1)
    if row.name in REGIONS:
        return points(REGIONS[row.name], rng, count)
    columns = []
    for low, high in _domain(row):
        parts = [rng.uniform(low, high, count)]
        if wide:
            parts += [logarithmic(rng, count, -30, 3), logarithmic(rng, count, *_decades(dtype))]
            parts += [rng.uniform(-30, 30, count // 2)]
        if wide and not row.kink:
            parts += [_near_one(rng, count // 2)]
        else:
            inside = logarithmic(rng, count, -30, np.log10(max(abs(low), abs(high))))
            parts.append(np.clip(np.abs(inside) if low >= 0 else inside, low, high))
        columns.append(rng.permuted(np.concatenate(parts)) if row.arity > 1 else np.concatenate(parts))
    drawn = np.stack(columns, axis=1)
    if row.kink or not wide:
        return drawn
    corners = np.array([x for x in _SPECIAL for _ in range(row.arity)]).reshape(-1, row.arity)
    return np.concatenate([drawn, corners, np.nextafter(corners, 0), np.nextafter(corners, np.inf)])


def _of_one_sum(row: Op, rng: np.random.Generator, count: int) -> Points:
    """Arguments that belong together (`composites/norm.py`): an entry and its sum, or a sum three times."""
    s = rng.uniform(*row.domain[-1], 2 * count)
    first = {"scaled": rng.uniform(-2, 2, 2 * count), "scaled_norm": np.sqrt(s)}.get(row.name, s)
    return np.stack([first, *(s,) * (row.arity - 1)], axis=1)


def logarithmic(rng: np.random.Generator, count: int, low: float, high: float) -> np.ndarray:
    """Both signs, decades equally often."""
    return np.asarray(rng.choice([-1.0, 1.0], count) * 10.0 ** rng.uniform(low, high, count))


def _near_one(rng: np.random.Generator, count: int) -> np.ndarray:
    """Around 1 and -1, at distances of all decades: where domains end."""
    return np.asarray(rng.choice([-1.0, 1.0], count) * (1 + logarithmic(rng, count, -16, -0.5)))


def _decades(dtype: np.dtype) -> tuple[float, float]:
    return (-300, 308) if dtype == np.float64 else (-36, 38)


# ---- programs ----------------------------------------------------------------------------------


def call_program(row: Op) -> Program:
    """The op of scalar symbols: outside of loops."""
    g = Graph()
    symbols = sp.symbols(f"x:{row.arity}", real=True)
    inputs = {s: g.input(str(s)) for s in symbols}
    body = g.node(row.name, *(g.read(t) for t in inputs.values()))
    by = tuple(symbols[k] for k in derivatives_of(row))
    return _program(g, inputs, g.define("map", (), (), body), {}, symbols, by)


def values_program(rows: Sequence[Op]) -> Program:
    """A list of ops, each of symbols of its own: one kernel for all of them."""
    g = Graph()
    symbols, bodies = [], []
    for row in rows:
        own = sp.symbols(f"{row.name}_:{row.arity}", real=True)
        symbols += own
        bodies.append(g.node(row.name, *(g.read(g.input(str(s))) for s in own)))
    inputs = {s: g.input(str(s)) for s in symbols}
    return _program(g, inputs, g.define("enum", (), (), bodies), {}, symbols, (), (len(bodies),))


def map_program(row: Op) -> Program:
    """The op of every element of arrays: inside a loop."""
    return _array_program(row, "map")


def loop_program(row: Op) -> Program:
    """The sum of the same, which has a gradient."""
    return _array_program(row, "sum")


def _array_program(row: Op, kind: str) -> Program:
    g = Graph()
    size = g.size("n")
    n = sp.Symbol("n", integer=True, positive=True)
    arrays = [sp.IndexedBase(f"x{k}", shape=(n,)) for k in range(row.arity)]
    inputs = {a: g.input(str(a), (size,)) for a in arrays}
    axis = g.fresh_axis(size)
    body = g.node(row.name, *(g.read(t, axis) for t in inputs.values()))
    value = g.define("map", (axis,), (), body) if kind == "map" else g.define("sum", (), (axis,), body)
    return _program(g, inputs, value, {"n": n}, arrays, tuple(arrays[k] for k in derivatives_of(row)))


def _program(
    g: Graph, inputs: dict[Any, int], value: int, sizes: dict[str, Any], symbols: Sequence[Any],
    by: tuple[Any, ...], shape: tuple[int, ...] | None = None,
) -> Program:  # fmt: skip
    """A program whose translation is given: most ops have no function of SymPy's that would lead to them."""
    made = Program(sp.Function("f")(*symbols), tuple(symbols), by)
    reads = ReadChecks((), (), ())
    made.__dict__["translation"] = Translation(g, tuple(symbols), inputs, value, shape, False, sizes, reads)
    return made
