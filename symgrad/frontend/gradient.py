"""`grad(f, X)` as a SymPy expression: a derivative that stays unevaluated until it is compiled."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.matrices.expressions import MatrixExpr, MatrixSymbol
from sympy.matrices.expressions.matexpr import MatrixElement

from symgrad.entries import Entries
from symgrad.errors import BadArgument, NonScalarGradient
from symgrad.frontend.describe import show


class Gradient(MatrixExpr):
    """The gradient of a scalar `f` with respect to a MatrixSymbol `X`: a matrix of the shape of `X`."""

    def __new__(cls, f: Any, x: Any) -> Gradient:
        return sp.Basic.__new__(cls, f, x)  # type: ignore[no-any-return]

    def doit(self, **hints: Any) -> Any:
        """Itself: SymPy would evaluate the sums inside, at great length."""
        return self

    @property
    def shape(self) -> tuple[Any, Any]:
        rows, cols = self.args[1].shape
        return rows, cols

    def _entry(self, i: Any, j: Any, **_: Any) -> sp.Expr:
        return GradientElement(*self.args, i, j)

    def _sympystr(self, printer: Any) -> str:
        return f"grad({printer.doprint(self.args[0])}, {printer.doprint(self.args[1])})"

    def _latex(self, printer: Any) -> str:
        return _latex(printer, self.args[0], self.args[1])


class GradientElement(sp.Expr):
    """The derivative of a scalar `f` with respect to one element `X[i, j]`, or to a scalar symbol."""

    is_commutative = True

    def __new__(cls, f: Any, x: Any, *indices: Any) -> GradientElement:
        return sp.Basic.__new__(cls, f, x, *map(sp.sympify, indices))  # type: ignore[no-any-return]

    def doit(self, **hints: Any) -> Any:
        """Itself: SymPy would evaluate the sums inside, at great length."""
        return self

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        return sp.Derivative(self, symbol, evaluate=False)

    def _sympystr(self, printer: Any) -> str:
        f, x, *indices = map(printer.doprint, self.args)
        at = f"[{', '.join(indices)}]" if indices else ""
        return f"grad({f}, {x}){at}"

    def _latex(self, printer: Any) -> str:
        indices = ", ".join(map(printer.doprint, self.args[2:]))
        text = _latex(printer, self.args[0], self.args[1])
        return f"\\left({text}\\right)_{{{indices}}}" if indices else text


def _latex(printer: Any, f: Any, x: Any) -> str:
    return f"\\nabla_{{{printer.doprint(x)}}} \\left({printer.doprint(f)}\\right)"


def as_gradient(expr: Any) -> Any:
    """A whole expression that is SymPy's derivative of a number by a MatrixSymbol as a Gradient; else itself.

    SymPy leaves `Determinant(X).diff(X)` undone. Only the whole expression is understood, because SymPy takes
    such a derivative for a scalar inside a product, and moves it to the front.
    """
    if not isinstance(expr, sp.Derivative) or len(expr.args) != 2 or getattr(expr.expr, "is_Matrix", False):
        return expr
    x, count = expr.args[1]
    return Gradient(expr.expr, x) if isinstance(x, MatrixSymbol) and count == 1 else expr


def grad(f: Any, x: Any) -> Any:
    """The gradient of the scalar `f` with respect to `x`, to be used inside other expressions.

    x   a MatrixSymbol (gives a matrix expression of its shape), an IndexedBase with a shape (gives
        an array in index form, `result[i, j]`), a scalar Symbol, or an element of an array (give a
        scalar expression). `x` has to be an argument of the program, or bound by a Subs or Lambda.

    Raises NonScalarGradient where `f` is not a scalar, BadArgument where `x` is not a symbol.

        >>> n = sp.Symbol("n", integer=True, positive=True)
        >>> X = MatrixSymbol("X", n, n)
        >>> grad(sp.Trace(X), X).shape
        (n, n)
    """
    f = sp.sympify(f)
    is_array = getattr(f, "is_Matrix", False) and f.shape != (1, 1)
    if is_array or not isinstance(f, (sp.Expr, MatrixExpr)):
        raise NonScalarGradient(
            f"the gradient of a {type(f).__name__}",
            where=show(f),
            because="a gradient is that of a single number",
            try_="a Trace or a Sum of it",
        )
    if isinstance(x, MatrixSymbol):
        return Gradient(f, x)
    if isinstance(x, sp.IndexedBase) and x.shape is not None:
        return Entries(tuple(x.shape), lambda *indices: GradientElement(f, x, *indices))
    if isinstance(x, (sp.Indexed, MatrixElement)):
        return GradientElement(f, *x.args)
    if isinstance(x, sp.Symbol):
        return GradientElement(f, x)
    raise BadArgument(
        f"cannot differentiate with respect to a {type(x).__name__}",
        where=show(x),
        try_="a Symbol, a MatrixSymbol, an IndexedBase with a shape, or an element of one",
    )
