"""Derivatives written by hand: functions or SymPy expressions, as arrays that fit the variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from symgrad.errors import BadArgument, ShapeMismatch, quoted
from symgrad.frontend.arguments import name_of
from symgrad.program import Program, program
from symgrad.run.functions import Variables, flat_parts, outputs_of
from symgrad.run.point import Array, Point

Shape = tuple[int, ...]
_NAMES = {"grad": "gradient", "hess": "Hessian"}


def own_derivative(word: str, given: Any, source: Program, point: Point, variables: Variables) -> list[Array]:
    """What the user's gradient or Hessian is at the point, one array per part of the output `word`.

    given  a function of the program's arguments, in their order, or SymPy expressions in them: one per symbol
           of `wrt`, nested for a Hessian, or a mapping from the symbols to those.
    Raises ShapeMismatch where the parts do not have the shapes of `wrt`, and BadArgument for a mapping that
    leaves a symbol out.
    """
    result = given(*point.arrays.values()) if _is_function(given) else _numbers(given, source, point)
    try:
        parts = flat_parts(result)
    except (TypeError, ValueError):
        raise BadArgument(
            f"the {_NAMES[word]} given is not made of numbers",
            because=f"it is {type(result).__name__}: {str(result)[:60]}",
            try_="return arrays of real numbers, in the structure of wrt",
        ) from None
    return _fitted(word, parts, variables)


def _is_function(given: Any) -> bool:
    return callable(given) and not hasattr(given, "free_symbols")


# ---- expressions -------------------------------------------------------------------------------


def _numbers(given: Any, source: Program, point: Point) -> Any:
    """The expressions in `given` evaluated, in its structure."""
    if isinstance(given, Mapping):
        return tuple(_numbers(part, source, point) for part in _in_order(given, source))
    if isinstance(given, (tuple, list)):
        return tuple(_numbers(part, source, point) for part in given)
    if isinstance(given, (np.ndarray, int, float)):
        return np.asarray(given, dtype=np.float64)
    return _evaluated(given, source, point)


def _in_order(given: Mapping[Any, Any], source: Program) -> list[Any]:
    by_name = {key if isinstance(key, str) else name_of(key): value for key, value in given.items()}
    names = [name_of(symbol) for symbol in source.wrt]
    for name in [*names, *by_name]:
        if name not in by_name or name not in names:
            wrong = "missing from" if name in names else "not differentiated by, but it is in"
            raise BadArgument(
                f"{quoted(name)} is {wrong} the derivative given",
                because="wrt is " + ", ".join(names),
                try_="give one expression for each of them",
            )
    return [by_name[name] for name in names]


def _evaluated(expr: Any, source: Program, point: Point) -> Array:
    """One expression in the program's arguments, by the reference evaluator."""
    from symgrad.pipeline import compile as compile_kernel  # the pipeline itself imports this folder

    known = {*source.args, *source.translation.sizes}
    used = program(expr).args
    args = [symbol for symbol in source.args if symbol in used]
    unknown = [symbol for symbol in used if symbol not in known]
    if unknown:
        raise BadArgument(
            f"the derivative given holds {quoted(name_of(unknown[0]))}",
            because="the program's arguments are " + ", ".join(map(name_of, source.args)),
            try_="write it in those, with the same symbols (assumptions count)",
        )
    kernel = compile_kernel(program(expr, args), outputs="value", backend="numpy")
    arrays = {name_of(symbol): point.arrays[name_of(symbol)] for symbol in args}
    return outputs_of(kernel, arrays, point.sizes, {})["value"][0]


# ---- shapes ------------------------------------------------------------------------------------


def _fitted(word: str, parts: list[Array], variables: Variables) -> list[Array]:
    order = 1 if word == "grad" else 2
    if variables.is_packed:
        shapes = [(variables.size,) * order]
        if len(parts) == variables.size**order:  # single numbers, in rows
            parts = [np.concatenate([np.ravel(part) for part in parts])]
        elif order == 2 and len(parts) == variables.size:
            parts = [np.stack([np.ravel(part) for part in parts])]
        if len(parts) == 1 and parts[0].size == prod(shapes[0]) and _is_vector_like(parts[0], order):
            parts = [parts[0].reshape(shapes[0])]
    else:
        shapes = [sum(pair, ()) for pair in product(variables.shapes, repeat=order)]
    if [part.shape for part in parts] != shapes:
        raise _misfit(word, parts, shapes, variables)
    return parts


def _is_vector_like(part: Array, order: int) -> bool:
    """Whether the numbers can only be meant in one order: a vector in any shape, or rows of a matrix."""
    return order == 2 or sum(n != 1 for n in part.shape) <= 1


def _misfit(word: str, parts: list[Array], shapes: Sequence[Shape], variables: Variables) -> ShapeMismatch:
    given = [part.shape for part in parts]
    about = zip(variables.names, variables.shapes, strict=True)
    is_transposed = given == [shape[::-1] for shape in shapes]
    what = "one array per symbol in wrt, of its shape" if word == "grad" else "one array per pair of symbols"
    return ShapeMismatch(
        f"the {_NAMES[word]} given has parts of shape {', '.join(map(str, given))}",
        because="; ".join(f"{name} has shape {shape}" for name, shape in about),
        try_="transpose it" if is_transposed else f"return {what}: {', '.join(map(str, shapes))}",
    )
