"""`Maximum` and `Minimum`: the largest and smallest value of a body over ranges; SymPy has no such object."""

from __future__ import annotations

from typing import Any

import sympy as sp

from symgrad.errors import BadArgument


class Extremum(sp.Expr):
    """The extreme value of a body over ranges; holds its arguments, as an unevaluated `Sum` does."""

    is_commutative = True

    def __new__(cls, body: Any, *limits: Any) -> Extremum:
        """`body` and limits `(index, first, last)`, as for `Sum`; BadArgument for anything else."""
        ranges = [sp.sympify(limit, strict=True) for limit in limits]
        for limit in ranges:
            is_range = isinstance(limit, sp.Tuple) and len(limit) == 3
            if not is_range or not isinstance(limit[0], sp.Symbol | sp.Idx):
                raise BadArgument(
                    f"{limit} is not a range",
                    where=cls.__name__,
                    because="a range is an index, its first and its last value",
                    try_=f"{cls.__name__}(x[i], (i, 0, n - 1))",
                )
        if not ranges:
            raise BadArgument(f"{cls.__name__} needs a range", try_=f"{cls.__name__}(x[i], (i, 0, n - 1))")
        return super().__new__(cls, sp.sympify(body, strict=True), *ranges)  # type: ignore[no-any-return]

    @property
    def limits(self) -> tuple[sp.Tuple, ...]:
        """The ranges; the first is the innermost."""
        return tuple(self.args[1:])

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """Those of the body and the limits that no range binds."""
        free = set(self.args[0].free_symbols)
        for index, first, last in self.limits:
            free = (free - {index}) | first.free_symbols | last.free_symbols
        return free

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real  # type: ignore[no-any-return]

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        return sp.Derivative(self, symbol, evaluate=False)


class Maximum(Extremum):
    """The largest value over the ranges; minus infinity over an empty one.

    `Maximum(x[i], (i, 0, n - 1))`, with limits as for `Sum`. The derivative is that of the entry that attains
    it; of several that do, as the program's `kinks` say, in the row-major order of the body's indices.
    """


class Minimum(Extremum):
    """The smallest value over the ranges; infinity over an empty one. See `Maximum`."""
