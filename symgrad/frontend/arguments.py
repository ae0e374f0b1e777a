"""The arguments of a program: their order, their names, their shapes, and which of them are sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp
from sympy.matrices.expressions import MatrixSymbol
from sympy.tensor.array.expressions import ArraySymbol

from symgrad.errors import BadArgument, DuplicateNames, NonRealSymbol, UnsupportedExpression, listed, quoted
from symgrad.frontend.heads import Expr
from symgrad.frontend.survey import Survey

ARRAYS = (MatrixSymbol, sp.IndexedBase, ArraySymbol)


def name_of(symbol: Expr) -> str:
    """The plain name of a Symbol, MatrixSymbol, IndexedBase or ArraySymbol."""
    if isinstance(symbol, sp.IndexedBase):
        return str(symbol.label)
    return str(symbol.name)


def shape_of(symbol: Expr) -> tuple[Expr, ...]:
    """The shape of an argument, () for a scalar.

    Raises UnsupportedExpression for an IndexedBase without one: its loops would have no ends.
    """
    if not isinstance(symbol, ARRAYS):
        return ()
    if isinstance(symbol, sp.IndexedBase):
        if symbol.offset or symbol.strides is not None:
            raise UnsupportedExpression(
                f"array {quoted(name_of(symbol))} has an offset or strides",
                because="symgrad lays arrays out itself, row by row",
                try_=f"IndexedBase({name_of(symbol)!r}, shape=...) without them",
            )
        if symbol.shape is None:
            raise UnsupportedExpression(
                f"array {quoted(name_of(symbol))} has no shape",
                because="an index of it could not be checked, nor a derivative be given a shape",
                try_=f"IndexedBase({name_of(symbol)!r}, shape=(n,)), with a symbol or a number for each axis",
            )
    return tuple(symbol.shape)


def check_real(symbol: Expr) -> None:
    """Raise NonRealSymbol for a symbol that says of itself that it is not real."""
    declared_complex = symbol.is_complex and symbol.is_real is None
    if symbol.is_real is False or declared_complex or not symbol.is_commutative:
        kind = "complex" if declared_complex else "not real" if symbol.is_commutative else "not commutative"
        raise NonRealSymbol(
            f"symbol {quoted(symbol.name)} is declared {kind}",
            because="symgrad computes with real numbers",
            try_=f"two real symbols for its parts, or Symbol({symbol.name!r}, real=True)",
        )


def check_argument(symbol: Expr) -> None:
    """Raise BadArgument for what cannot be an argument."""
    if isinstance(symbol, sp.Symbol):
        check_real(symbol)
    elif not isinstance(symbol, ARRAYS):
        raise BadArgument(
            f"an argument has to be a symbol, not {type(symbol).__name__}",
            where=str(symbol)[:80],
            because="it needs a name and a shape",
            try_="a Symbol, a MatrixSymbol, or an IndexedBase with a shape",
        )


def check_names(symbols: Iterable[Expr]) -> None:
    """Raise DuplicateNames if two different symbols print alike."""
    by_name: dict[str, Expr] = {}
    for symbol in symbols:
        other = by_name.setdefault(name_of(symbol), symbol)
        if other is not symbol and other != symbol:
            raise DuplicateNames(
                f"two different symbols are called {quoted(name_of(symbol))}",
                because=f"one is a {_kind(other)}, the other a {_kind(symbol)}",
                try_="create the symbol once and use it everywhere, or rename one of the two",
            )


def _kind(symbol: Expr) -> str:
    facts = ", ".join(f"{k}={v}" for k, v in sorted(getattr(symbol, "_assumptions_orig", {}).items()))
    shape = getattr(symbol, "shape", None)
    if shape:
        facts = f"shape={tuple(shape)}"
    return f"{type(symbol).__name__}({facts})" if facts else type(symbol).__name__


def check_not_repeated(args: Sequence[Expr]) -> None:
    """Raise DuplicateNames if an argument is listed twice."""
    seen: set[Any] = set()
    for symbol in args:
        if symbol in seen:
            raise DuplicateNames(
                f"argument {quoted(name_of(symbol))} is listed twice",
                where="args = (" + listed(map(name_of, args)) + ")",
                because="an argument has one place in a call",
                try_="list it once",
            )
        seen.add(symbol)


def default_arguments(survey: Survey, root: Expr, axes: Sequence[Expr] = ()) -> tuple[Expr, ...]:
    """The free symbols of an expression by name, without the sizes that the shapes of arrays give.

    Names are compared as text. A size that no shape of an array gives (the upper limit of a sum
    over scalars) has to be an argument, and is one. `axes` number the result and are none.
    """
    scalars = [
        s
        for s in (*survey.symbols, *survey.indices)
        if s not in survey.sizes and s not in axes and survey.is_free(s, root)
    ]
    arrays = list(survey.arrays)
    found = dict.fromkeys((*arrays, *scalars, *undetermined_sizes(survey, arrays, root)))
    return tuple(sorted(found, key=name_of))


def undetermined_sizes(survey: Survey, arrays: Sequence[Expr], root: Expr) -> list[Expr]:
    """The sizes that cannot be solved for from the shapes of `arrays`, one unknown at a time."""
    unknown = {s: None for s in survey.sizes if survey.is_free(s, root)}
    dims = [sp.sympify(d) for a in arrays for d in shape_of(a)]
    solved = True
    while solved:
        solved = False
        for dim in dims:
            left = [s for s in dim.free_symbols if s in unknown]
            if len(left) == 1 and sp.degree(dim, left[0]) == 1:
                del unknown[left[0]]
                solved = True
    return list(unknown)
