"""A point to evaluate a program at: what the caller gives, sizes that fit, random numbers for the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symgrad.errors import BadArgument, BadOption, DtypeMismatch, ShapeMismatch, quoted
from symgrad.frontend.arguments import name_of
from symgrad.loops.nest import evaluate_poly
from symgrad.records import dataclass
from symgrad.run.signature import Argument, Signature, Sizes, shape_text, solve_sizes

Array = np.ndarray
Arrays = dict[str, Array]
Interval = tuple[float, float]

_FIRST_SIZES = (3, 2, 5, 4, 7)  # small and different, so that a mixed-up axis shows
_SIZE_ATTEMPTS = 500
_POINT_ATTEMPTS = 60


@dataclass(frozen=True)
class Point:
    """Arrays by argument name in the program's order, the sizes they have, and which names were drawn."""

    arrays: Arrays
    sizes: Sizes
    drawn: tuple[str, ...]


def names_of(given: Mapping[Any, Any] | None) -> dict[str, Any]:
    """The same mapping with names for keys, which may be symbols or names."""
    return {key if isinstance(key, str) else name_of(key): value for key, value in (given or {}).items()}


def directions_of(signature: Signature, sizes: Sizes, seed: int) -> dict[str, Any]:
    """Random `tangent=` and `cotangent=` for a call, as far as its outputs need them."""
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[Array]] = {"tangent": [], "cotangent": []}
    for a in signature.arguments:
        if a.role in drawn:
            drawn[a.role].append(rng.standard_normal([evaluate_poly(e, sizes) for e in a.extents]))
    return {role: parts[0] if len(parts) == 1 else tuple(parts) for role, parts in drawn.items() if parts}


def make_point(
    signature: Signature,
    symbols: Sequence[Any],
    given: Mapping[str, Any],
    sizes: Mapping[str, int],
    seed: int,
    is_usable: Callable[[Arrays, Sizes], bool],
    domain: Mapping[str, Interval] | None = None,
) -> Point:
    """A point where the program can be evaluated.

    symbols    the arguments as SymPy knows them: numbers drawn for a symbol declared positive are positive.
    given      values by name of arguments, or of sizes.
    is_usable  whether the program is finite at a point; what was drawn is drawn again where it is not.
    domain     intervals by name of arguments, to draw their numbers from; see `checked_domain`.

    Raises BadArgument for an unknown name, for sizes that cannot be met, and where no usable point is found.
    """
    arguments = [a for a in signature.arguments if a.role == "input"]
    _check_names(arguments, signature, [*given, *sizes])
    known = {name: int(given[name]) for name in given if _is_size(name, arguments, signature)}
    fixed = {a.name: _as_array(a, given[a.name]) for a in arguments if a.name in given and not a.is_size}
    chosen = choose_sizes(signature, fixed, {**known, **sizes}, seed)
    drawn = tuple(a.name for a in arguments if a.name not in fixed and not a.is_size)
    rng = np.random.default_rng(seed)
    for attempt in range(_POINT_ATTEMPTS):
        arrays = {
            a.name: _draw(signature, k, symbols[k], chosen, rng, attempt, (domain or {}).get(a.name))
            for k, a in enumerate(arguments)
            if a.name not in fixed
        }
        arrays = {a.name: fixed[a.name] if a.name in fixed else arrays[a.name] for a in arguments}
        if not drawn or is_usable(arrays, chosen):
            return Point(arrays, chosen, drawn)
    raise BadArgument(
        "no point was found where the program and its derivatives are finite",
        because=f"{_POINT_ATTEMPTS} random choices of {', '.join(drawn)} were tried",
        try_="give a point: at={symbol: value, ...}",
    )


def _check_names(arguments: Sequence[Argument], signature: Signature, names: Sequence[str]) -> None:
    known = list(dict.fromkeys([*(a.name for a in arguments), *signature.sizes]))
    for name in names:
        if name not in known:
            raise BadArgument(f"there is no argument {quoted(name)}", because=_names_text(known))


def _names_text(names: Iterable[str]) -> str:
    return "the names are " + ", ".join(names)


def _is_size(name: str, arguments: Sequence[Argument], signature: Signature) -> bool:
    return name in signature.sizes and all(a.is_size for a in arguments if a.name == name)


def _as_array(a: Argument, value: Any) -> Array:
    """The value as an array of the declared rank; a vector may stand for a column or a row."""
    array = np.asarray(value)
    if array.dtype.kind not in ("biu" if a.dtype == "int" else "biuf"):
        raise DtypeMismatch(
            f"argument {quoted(a.name)} has dtype {array.dtype}",
            because="it holds indices, which are integers" if a.dtype == "int" else "it holds real numbers",
            try_="pass an integer array" if a.dtype == "int" else "pass real numbers",
        )
    ones = [axis for axis, extent in enumerate(a.extents) if extent == (((), 1),)]
    if array.ndim == len(a.extents) - 1 and len(ones) == 1:
        array = np.expand_dims(array, ones[0])
    if array.ndim != len(a.extents):
        raise ShapeMismatch(
            f"argument {quoted(a.name)} has shape {array.shape}",
            because=f"its declared shape is {shape_text(a.extents)}",
            try_="pass one array of that many axes, without samples",
        )
    return np.asarray(array, dtype=np.int64 if a.dtype == "int" else np.float64)


# ---- sizes -------------------------------------------------------------------------------------


def choose_sizes(signature: Signature, fixed: Arrays, given: Mapping[str, int], seed: int) -> Sizes:
    """The sizes given and those that the arrays in `fixed` have, and small different numbers for the others.

    Raises BadArgument where some index then leaves its array, ShapeMismatch for a contradiction.
    """
    arguments = [a for a in signature.arguments if a.role == "input"]
    shaped = [a for a in arguments if a.name in fixed]
    solved = solve_sizes(shaped, [fixed[a.name].shape for a in shaped], given, ())
    free = [name for name in signature.sizes if name not in solved]
    rng = np.random.default_rng(seed)
    for attempt in range(_SIZE_ATTEMPTS):
        some = [_FIRST_SIZES[k % len(_FIRST_SIZES)] for k in range(len(free))]
        if attempt:
            some = [int(n) for n in rng.integers(1, 4 + attempt // 20, len(free))]
        sizes = {**solved, **dict(zip(free, some, strict=True))}
        if _fits(signature, arguments, sizes):
            return sizes
        if not free:
            break
    tried = f"{', '.join(free)} up to {3 + _SIZE_ATTEMPTS // 20} were tried"
    raise BadArgument(
        "no sizes were found for which every index stays in its array",
        because=tried if free else f"the sizes are {solved}",
        try_="give them: sizes={symbol: number, ...}",
    )


def _fits(signature: Signature, arguments: Sequence[Argument], sizes: Sizes) -> bool:
    ranges = [(evaluate_poly(r.low, sizes), evaluate_poly(r.high, sizes)) for r in signature.index_ranges]
    shapes_fit = all(evaluate_poly(e, sizes) >= 1 for a in arguments for e in a.extents)
    ranges_fit = all(low <= high for low, high in ranges)
    conditions = [*signature.conditions, *(surplus for surplus, _ in signature.tall)]
    return shapes_fit and ranges_fit and all(evaluate_poly(c, sizes) >= 0 for c in conditions)


# ---- numbers -----------------------------------------------------------------------------------


def checked_domain(
    domain: Mapping[Any, Any] | None, symbols: Sequence[Any], fixed: Collection[str]
) -> dict[str, Interval]:
    """Intervals by name of arguments.

    domain  symbol or name -> (low, high); an end may be infinite.
    fixed   names that have a value already.
    Raises BadArgument for a name that is no argument, and BadOption for an interval that is empty, that
    contradicts what is declared of its symbol, or that belongs to a symbol with a value.
    """
    by_name = {name_of(symbol): getattr(symbol, "label", symbol) for symbol in symbols}
    checked = {}
    for name, interval in names_of(domain).items():
        if name not in by_name:
            raise BadArgument(
                f"there is no argument {quoted(name)}", where="domain", because=_names_text(by_name)
            )
        if name in fixed:
            raise BadOption(
                f"{quoted(name)} has a domain and a value", because="only what at= leaves open is drawn"
            )
        low, high = _ends(name, interval)
        if (by_name[name].is_nonnegative and low < 0) or (by_name[name].is_nonpositive and high > 0):
            sign = "negative" if by_name[name].is_nonnegative else "positive"
            raise BadOption(
                f"the domain of {quoted(name)} is ({low:g}, {high:g})",
                because=f"the symbol is declared not to be {sign}",
                try_="an interval of its sign",
            )
        checked[name] = low, high
    return checked


def _ends(name: str, interval: Any) -> Interval:
    try:
        low, high = (float(end) for end in interval)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not low < high:
        raise BadOption(
            f"the domain of {quoted(name)} is {interval}",
            because="it has to be an interval: two numbers, the smaller one first",
            try_="domain={symbol: (0, 1)}, or (0, float('inf'))",
        )
    return low, high


def _draw(
    signature: Signature, k: int, symbol: Any, sizes: Sizes, rng: np.random.Generator, attempt: int,
    interval: Interval | None,
) -> Array:  # fmt: skip
    """Numbers for argument `k`."""
    a = signature.arguments[k]
    if a.is_size:
        return np.asarray(sizes[a.name])
    shape = tuple(evaluate_poly(e, sizes) for e in a.extents)
    if a.dtype == "int":
        bounds = [r for r in signature.index_ranges if r.argument == k]
        least, most = (1, 3) if interval is None else _whole(a.name, interval)
        low = max((evaluate_poly(r.low, sizes) for r in bounds), default=least)
        high = min((evaluate_poly(r.high, sizes) for r in bounds), default=most)
        return rng.integers(low, high + 1, shape)
    if interval is not None:
        return _inside(interval, shape, rng)
    return np.asarray(_signed(symbol, _real_numbers(shape, rng, attempt)))


def _real_numbers(shape: tuple[int, ...], rng: np.random.Generator, attempt: int) -> Array:
    """Normal numbers first; then what logarithms, inverse functions and determinants can take."""
    kind = attempt if attempt < 4 else int(rng.integers(0, 4))
    if kind == 0:
        return np.asarray(rng.standard_normal(shape))
    if kind == 1:
        return np.asarray(rng.uniform(0.2, 0.8, shape))
    if kind == 2 or len(shape) != 2 or shape[0] != shape[1]:
        return np.asarray(rng.uniform(1.1, 2.0, shape))
    return np.eye(shape[0]) * 2 + rng.uniform(-0.3, 0.3, shape)  # far from singular


def _whole(name: str, interval: Interval) -> tuple[int, int]:
    """The smallest and the largest whole number to draw."""
    low, high = (float(np.ceil(interval[0])), float(np.floor(interval[1])))
    if low > high:
        raise BadOption(
            f"the domain of {quoted(name)} is ({interval[0]:g}, {interval[1]:g})",
            because="there is no whole number in it, and the symbol stands for one",
        )
    low = low if np.isfinite(low) else min(high, 10.0) - 10
    return int(low), int(high if np.isfinite(high) else low + 10)


def _inside(interval: Interval, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Numbers between the ends: uniform, or log-normal away from the one end that is finite."""
    low, high = interval
    if np.isfinite(low) and np.isfinite(high):
        return np.asarray(rng.uniform(low, high, shape))
    away = np.exp(rng.standard_normal(shape))
    if np.isfinite(low):
        return np.asarray(low + away)
    return np.asarray(high - away if np.isfinite(high) else rng.standard_normal(shape))


def _signed(symbol: Any, numbers: Array) -> Array:
    """Numbers of the sign that the symbol is declared to have."""
    about = getattr(symbol, "label", symbol)  # what is declared of an IndexedBase, its label knows
    if getattr(about, "is_nonnegative", None):
        return np.asarray(np.abs(numbers))
    return np.asarray(-np.abs(numbers) if getattr(about, "is_nonpositive", None) else numbers)
