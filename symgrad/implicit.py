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

from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy.matrices.expressions import FunctionMatrix, MatrixExpr, MatrixSymbol

from symgrad.entries import is_matrix, scalar
from symgrad.errors import BadArgument, BadOption, NonScalarGradient, ShapeMismatch
from symgrad.frontend.describe import show
from symgrad.frontend.gradient import GradientElement
from symgrad.frontend.linalg import MatrixCall
from symgrad.frontend.scan import scan, while_loop
from symgrad.linalg import solve

KINDS = ("root", "fixed_point", "argmin")
_POLISH = 2  # Newton steps that derivatives go through: right up to the third order


def implicit(
    F: Any, unknown: Any, guess: Any, kind: str = "root", *, max_steps: int = 30, tol: float = 1e-10
) -> Any:
    """The value of `unknown` that solves an equation, as an expression in the other symbols of `F`.

    F        kind "root": the expression that is 0 at the solution, of the shape of `unknown`;
             kind "fixed_point": the expression that equals `unknown` there, of its shape;
             kind "argmin": a scalar, of which the solution is a stationary point (a minimum if the guess
             is near one).
    unknown  a Symbol, or a MatrixSymbol of one column, (n, 1).
    guess    where Newton's method starts: a number or expression, of the shape of `unknown`.
    max_steps  of Newton's method, each with one solve of an n x n system.
    tol      the search ends when the entries of a Newton step, divided by tol*(1 + |x|), have a Euclidean
             norm below 1.

    The result is a scalar or a column. Values are as exact as Newton's method makes them, derivatives are
    right up to the third order. A call of the kernel raises NotConverged where the iteration has not
    arrived, NoFactorisation where dF/dx is singular on the way.

    Raises BadOption, BadArgument, ShapeMismatch or NonScalarGradient for what is no equation for `unknown`.

        >>> x, a = sp.symbols("x a")
        >>> root = implicit(x**2 - a, x, guess=1)
        >>> import symgrad as sg
        >>> [round(float(v), 12) for v in sg.compile(root, wrt=a, outputs=("value", "grad", "hess"))(4.0)]
        [2.0, 0.25, -0.03125]
    """
    _check(F, unknown, guess, kind)
    F = F if is_matrix(F) else scalar(F, "implicit")

    def newton(x: Any, t: Any = None) -> Any:
        return x - _step(F.xreplace({unknown: x}), x, kind)

    def search(state: Any, t: Any) -> Any:
        x, _ = state
        after = newton(x)
        return after, _squared_size(after - x, x, tol)

    # One step more than asked for: it says whether those before it have arrived.
    found, size = while_loop(lambda state: state[1] > 1, search, (guess, sp.Integer(2)), max_steps + 1).final
    if is_matrix(found):
        start = MatrixCall("settled", found, _column(found.shape[0], lambda i: size))
    else:
        start = MatrixCall("settled", _column(1, lambda i: found), _column(1, lambda i: size))[0, 0]
    return scan(newton, start, _POLISH).final


def _step(F: Any, x: Any, kind: str) -> Any:
    """(dF/dx)^-1 F: what a Newton step takes away from x."""
    if not is_matrix(x):
        f = GradientElement(F, x) if kind == "argmin" else x - F if kind == "fixed_point" else F
        return f / GradientElement(f, x)
    entries: dict[str, Callable[[Any], Any]] = {
        "argmin": lambda i: GradientElement(F, x, i, 0),
        "fixed_point": lambda i: x[i, 0] - F[i, 0],
        "root": lambda i: F[i, 0],
    }
    entry, size = entries[kind], x.shape[0]
    i, j = sp.Dummy("i", integer=True), sp.Dummy("j", integer=True)
    slope = GradientElement(entry(i), x, j, 0)
    return solve(FunctionMatrix(size, size, sp.Lambda((i, j), slope)), _column(size, entry))


def _squared_size(step: Any, x: Any, tol: float) -> Any:
    """The sum of the squares of (entry of a step) / (tol*(1 + |entry of x|))."""
    if not is_matrix(x):
        return (step / (tol * (1 + sp.Abs(x)))) ** 2
    i = sp.Dummy("i", integer=True)
    return sp.Sum((step[i, 0] / (tol * (1 + sp.Abs(x[i, 0])))) ** 2, (i, 0, x.shape[0] - 1))


def _column(size: Any, entry: Any) -> MatrixExpr:
    i, j = sp.Dummy("i", integer=True), sp.Dummy("j", integer=True)
    return FunctionMatrix(size, 1, sp.Lambda((i, j), entry(i)))


def _check(F: Any, unknown: Any, guess: Any, kind: str) -> None:
    if kind not in KINDS:
        raise BadOption(f"unknown kind {kind!r}", because="the kinds are " + ", ".join(KINDS))
    if not isinstance(unknown, (sp.Symbol, MatrixSymbol)):
        raise BadArgument(
            f"the unknown is a {type(unknown).__name__}",
            where=show(unknown),
            try_="a Symbol, or a MatrixSymbol of one column",
        )
    shape = getattr(unknown, "shape", ())
    if shape and shape[1] != 1:
        raise ShapeMismatch(f"the unknown has shape {shape}", where=show(unknown), try_="a column, (n, 1)")
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
