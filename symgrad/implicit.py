"""`sg.implicit`: solutions of equations as expressions, differentiated by the implicit function theorem.

The solution is found by Newton's method in compiled code, and is then taken as a constant. Two more Newton
steps from it, which the derivatives go through, make it a function of the parameters again: a Newton step
x - (dF/dx)^-1 F(x, p) squares the error, so after two of them the derivatives up to the third are those of
the exact solution. The slope of the first step is -(dF/dx)^-1 dF/dp, as the implicit function theorem says.
Nothing is differentiated through the search, and the memory does not depend on its length.

Sources: Griewank & Walther 2008, Evaluating Derivatives, section 15.2 (derivatives of iterations); Blondel et
al. 2022, Efficient and modular implicit differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp
from sympy.matrices.expressions import FunctionMatrix, MatrixExpr, MatrixSymbol

from symgrad.entries import is_matrix, scalar
from symgrad.errors import BadArgument, BadOption, NonScalarGradient, ShapeMismatch
from symgrad.frontend.describe import show
from symgrad.frontend.gradient import GradientElement
from symgrad.frontend.linalg import MatrixCall
from symgrad.frontend.named_numbers import EPSILON
from symgrad.frontend.row_major import RowMajor
from symgrad.frontend.scan import scan_of
from symgrad.linalg import solve

KINDS = ("root", "fixed_point", "argmin")
_POLISH = sp.Integer(2)  # Newton steps that derivatives go through: right up to the third order
_ROUNDING = 16  # last places of an entry: a step as small as that is rounding


def implicit(
    F: Any, unknown: Any, guess: Any, kind: str = "root", *, max_steps: int = 30, tol: float = 1e-10
) -> Any:
    """The value of `unknown` that solves an equation, as an expression in the other symbols of `F`.

    F        kind "root": the expression that is 0 at the solution, of the shape of `unknown`;
             kind "fixed_point": the expression that equals `unknown` there, of its shape;
             kind "argmin": a scalar, of which the solution is a stationary point (a minimum if the guess
             is near one).
    unknown  a Symbol, a tuple of Symbols (F and guess are then tuples too), or a MatrixSymbol; its sizes
             may be symbols.
    guess    where Newton's method starts: a number or expression, of the shape of `unknown`.
    max_steps  of Newton's method, each with one solve of a system with one equation for each entry.
    tol      the search ends when the entries of a Newton step, divided by tol*(1 + |x|), have a Euclidean
             norm below 1. Rounding is allowed beside it, so that single precision ends too.

    The result has the form of `unknown`. Values are as exact as Newton's method makes them, derivatives are
    right up to the third order. A call of the kernel raises NotConverged where the iteration has not
    arrived, NoFactorisation where dF/dx is singular on the way.

    Raises BadOption, BadArgument, ShapeMismatch or NonScalarGradient for what is no equation for `unknown`.

        >>> x, a = sp.symbols("x a")
        >>> root = implicit(x**2 - a, x, guess=1)
        >>> import symgrad as sg
        >>> [round(float(v), 12) for v in sg.compile(root, wrt=a, outputs=("value", "grad", "hess"))(4.0)]
        [2.0, 0.25, -0.03125]
        >>> y = sp.Symbol("y")
        >>> pair = implicit((x + y - 3, x*y - a), (x, y), guess=(0, 3))
        >>> [float(v) for v in sg.compile(pair, outputs="value")(2.0)]
        [1.0, 2.0]
    """
    _check(F, unknown, guess, kind)
    _check_guess(unknown, guess)
    _check_search(max_steps, tol)
    options = {"max_steps": max_steps, "tol": tol}
    if isinstance(unknown, tuple | list):
        return _several(F, unknown, guess, kind, options)
    F = F if is_matrix(F) else scalar(F, "implicit")

    def newton(x: Any, t: Any = None) -> Any:
        return x - _step(F.xreplace({unknown: x}), x, kind)

    def search(state: Any, t: Any) -> Any:
        x, _ = state
        after = newton(x)
        return after, _squared_size(after - x, x, tol)

    # One step more than asked for: it says whether those before it have arrived.
    first, turns = (guess, sp.Integer(2)), sp.sympify(max_steps) + 2
    found, size = scan_of(search, first, turns, lambda state: state[1] > 1, by_entries=False).final
    if is_matrix(found):
        start = MatrixCall("settled", found, _of_entries(found.shape, lambda i, j: size))
    else:
        start = MatrixCall("settled", *map(_one_entry, (found, size)))[0, 0]
    return scan_of(newton, start, _POLISH, by_entries=False).final


def _step(F: Any, x: Any, kind: str) -> Any:
    """(dF/dx)^-1 F: what a Newton step takes away from x."""
    if not is_matrix(x):
        f = GradientElement(F, x) if kind == "argmin" else x - F if kind == "fixed_point" else F
        return f / GradientElement(f, x)
    entries: dict[str, Callable[[Any, Any], Any]] = {
        "argmin": lambda i, j: GradientElement(F, x, i, j),
        "fixed_point": lambda i, j: x[i, j] - F[i, j],
        "root": lambda i, j: F[i, j],
    }
    entry, (rows, cols) = entries[kind], x.shape
    i, j, k, m = (sp.Dummy(name, integer=True) for name in "ijkm")
    slope = RowMajor((rows, cols, rows, cols), sp.Lambda((i, j, k, m), GradientElement(entry(i, j), x, k, m)))
    side = RowMajor((rows, cols, 1, 1), sp.Lambda((i, j, k, m), entry(i, j)))
    step = solve(slope, side)
    return step if cols == 1 else _of_entries((rows, cols), lambda i, j: step[i * cols + j, 0])


def _squared_size(step: Any, x: Any, tol: float) -> Any:
    """The sum of the squares of (entry of a step) / (tol*(1 + |entry of x|))."""
    if not is_matrix(x):
        return (step / ((tol + _ROUNDING * EPSILON) * (1 + sp.Abs(x)))) ** 2
    (rows, cols), i, j = x.shape, sp.Dummy("i", integer=True), sp.Dummy("j", integer=True)
    least = tol + _ROUNDING * sp.sqrt(rows * cols) * EPSILON
    ranges = [(i, 0, rows - 1), *([] if cols == 1 else [(j, 0, cols - 1)])]
    j = sp.S.Zero if cols == 1 else j
    return sp.Sum((step[i, j] / (least * (1 + sp.Abs(x[i, j])))) ** 2, *ranges)


def _of_entries(shape: tuple[Any, Any], entry: Callable[[Any, Any], Any]) -> MatrixExpr:
    i, j = sp.Dummy("i", integer=True), sp.Dummy("j", integer=True)
    return FunctionMatrix(*shape, sp.Lambda((i, j), entry(i, j)))


def _one_entry(value: Any) -> MatrixExpr:
    return _of_entries((sp.S.One, sp.S.One), lambda i, j: value)


# ---- several unknowns, as a column --------------------------------------------------------------------


def _several(
    F: Any, unknowns: Sequence[Any], guess: Any, kind: str, options: dict[str, Any]
) -> tuple[Any, ...]:
    """Scalars: the entries of a column."""
    column = MatrixSymbol(sp.Dummy("unknowns"), len(unknowns), 1)
    places = {symbol: column[k, 0] for k, symbol in enumerate(unknowns)}
    if kind == "argmin":
        equations = scalar(F, "implicit").xreplace(places)
    else:
        equations = sp.ImmutableMatrix([scalar(f, "implicit").xreplace(places) for f in F])
    start = sp.ImmutableMatrix([scalar(value, "implicit") for value in guess])
    found = implicit(equations, column, start, kind, **options)
    return tuple(found[k, 0] for k in range(len(unknowns)))


# ---- input that does not fit ---------------------------------------------------------------------------


def _check(F: Any, unknown: Any, guess: Any, kind: str) -> None:
    if kind not in KINDS:
        raise BadOption(f"unknown kind {kind!r}", because="the kinds are " + ", ".join(KINDS))
    if isinstance(unknown, tuple | list):
        _check_several(F, unknown, guess, kind)
        return
    if not isinstance(unknown, (sp.Symbol, MatrixSymbol)):
        raise BadArgument(
            f"the unknown is a {type(unknown).__name__}",
            where=show(unknown),
            try_="a Symbol, a tuple of Symbols, or a MatrixSymbol",
        )
    shape = getattr(unknown, "shape", ())
    if kind == "argmin" and is_matrix(F):
        raise NonScalarGradient("a minimum of a matrix", where=show(F), try_="a scalar, such as its Trace")
    for what, value in (("guess", guess), *((("F", F),) if kind != "argmin" else ())):
        given = value.shape if is_matrix(value) else ()
        if tuple(given) != tuple(shape):
            raise ShapeMismatch(
                f"{what} has shape {tuple(given)}, the unknown {tuple(shape)}",
                where=show(value),
                try_="the shape of the unknown",
            )


def _check_guess(unknown: Any, guess: Any) -> None:
    unknowns = set(unknown if isinstance(unknown, tuple | list) else (unknown,))
    for value in guess if isinstance(guess, tuple | list) else (guess,):
        if unknowns & sp.sympify(value).free_symbols:
            raise BadArgument(
                "the guess depends on the unknown",
                where=show(value),
                because="the search starts there, before there is a value of the unknown",
                try_="a number, or an expression in the other symbols",
            )


def _check_search(max_steps: Any, tol: Any) -> None:
    if not isinstance(tol, float | int) or not 0 < tol < float("inf"):
        raise BadOption(f"tol is {tol!r}", because="a tolerance is a positive number", try_="tol=1e-10")
    steps = sp.sympify(max_steps) if isinstance(max_steps, int | sp.Expr) else None
    if steps is None or not steps.is_integer or steps.is_negative:
        raise BadOption(
            f"max_steps is {max_steps!r}", because="it is a number of steps", try_="max_steps=30, or a size"
        )


def _check_several(F: Any, unknowns: Sequence[Any], guess: Any, kind: str) -> None:
    for symbol in unknowns:
        if not isinstance(symbol, sp.Symbol) or list(unknowns).count(symbol) > 1:
            raise BadArgument(
                f"one of several unknowns is {show(symbol)}",
                where=show(unknowns),
                because="it is there twice" if isinstance(symbol, sp.Symbol) else "it is no Symbol",
                try_="a tuple of different Symbols, or one MatrixSymbol",
            )
    for what, value in (("guess", guess), *((("F", F),) if kind != "argmin" else ())):
        if not isinstance(value, tuple | list) or len(value) != len(unknowns) or not unknowns:
            raise ShapeMismatch(
                f"{what} is not one expression for each of {len(unknowns)} unknowns",
                where=show(value),
                try_=f"a tuple of {len(unknowns)} expressions" if unknowns else "a tuple of Symbols",
            )
