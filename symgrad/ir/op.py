"""The row type of the op table (`ops.py`), and what its rows are written with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.errors import UnsupportedExpression
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Tangent = Callable[["Graph", tuple[int, ...], int, Mapping[int, int]], int]
Partial = Callable[["Graph", tuple[int, ...], int], int]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Op:
    """One elementwise operation.

    partials  one builder per argument, `(graph, args, y) -> dy/darg`; None where the derivative
              is zero (jumps, predicates); `NoDerivative` where there is one without closed form.
    tangent   `(graph, args, y, dots) -> ydot` from the tangents of arguments that have one, where the sum of
              partial derivatives times tangents would repeat operations.
    c         C expression; `{0}`, `{1}` are the arguments, `{f}` the suffix of libm's float names, and
              `{own}NAME` a function of `targets/special_functions.c` in double precision.
    llvm      an instruction ("fadd"), a comparison ("fcmp olt"), "intrinsic NAME", "call NAME", or
              "external NAME": a function of `scipy.special.cython_special` ("external NAME 1 of 4": the
              second of the four results it writes through pointers; all forms: `targets/external_llvm.py`).
    expand    the op in terms of others, for targets (then `c` and `llvm` are empty).
    cost      rough price in additions.
    domain    one interval per argument to sample in tests.
    kink      where the derivative jumps, in words.
    decay     `(graph, args) -> v`, where derivatives of every order fall at least like exp(-v) (`ir.decay`).
    formulas  how many of the last arguments are formulas of the first one, no arguments of their own.
    total     whether finite arguments give a finite result (overflow aside).
    further   of an op that takes further arguments: the partial derivative by argument number k (from 0).
    """

    name: str
    arity: int
    numpy: Callable[..., Any]
    mpmath: Callable[..., Any]
    partials: tuple[Partial | None, ...] = ()
    tangent: Tangent | None = None
    result: str = "real"
    sympy: str = ""
    c: str = ""
    llvm: str = ""
    expand: Callable[[Graph, tuple[int, ...]], int] | None = None
    cost: int = 1
    domain: tuple[Interval, ...] = ((-2.0, 2.0),)
    kink: str = ""
    decay: Callable[[Graph, tuple[int, ...]], int] | None = None
    formulas: int = 0
    total: bool = False
    source: str = "calculus"
    further: Callable[[int], Partial] | None = None

    def takes(self, count: int) -> bool:
        """Whether there may be so many arguments."""
        return count == self.arity or (count > self.arity and self.further is not None)

    def partials_of(self, count: int) -> tuple[Partial | None, ...]:
        """One builder for each of so many arguments."""
        if count <= self.arity or self.further is None:
            return self.partials
        return (*self.partials, *map(self.further, range(self.arity, count)))


@dataclass(frozen=True)
class NoDerivative:
    """The partial derivative by an argument for which there is no closed form: asking for it is an error."""

    op: str
    argument: str
    because: str
    try_: str

    def __call__(self, g: Graph, args: tuple[int, ...], y: int) -> int:
        raise UnsupportedExpression(
            f"{self.op} has no derivative by its {self.argument}", because=self.because, try_=self.try_
        )


@dataclass(frozen=True)
class Opposite:
    """A partial derivative that is the opposite of one with a name: a sweep carries the sign beside it."""

    partial: Partial

    def __call__(self, g: Graph, args: tuple[int, ...], y: int) -> int:
        return g.neg(self.partial(g, args, y))


def scipy_function(name: str, output: int | None = None) -> Callable[..., Any]:
    """A function of `scipy.special` by name, imported when first used.

    It is computed in double precision, then rounded to the type of the arguments.

    output  which of several results.
    """

    def call(*args: Any) -> Any:
        import scipy.special

        values = [np.asarray(a) for a in args]
        result = getattr(scipy.special, name)(*(v.astype(np.result_type(v, np.float64)) for v in values))
        dtype = np.result_type(*values)
        kind = np.complex128 if dtype.kind == "c" else dtype if dtype.kind == "f" else np.float64
        return np.asarray(result if output is None else result[output]).astype(kind)[()]

    return call


def mp_function(name: str) -> Callable[..., Any]:
    """A function of mpmath by name, imported when first used (mpmath is SymPy's dependency)."""

    def call(*args: Any, **options: Any) -> Any:
        import mpmath

        return getattr(mpmath, name)(*args, **options)

    return call
