"""Matrix functions in SymPy expressions: the unevaluated objects, their translation, and their way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.core.symbol import Str
from sympy.matrices.expressions import FunctionMatrix, Inverse, MatMul, MatrixExpr
from sympy.matrices.expressions.matexpr import MatrixElement

from symgrad.errors import BadArgument, ShapeMismatch
from symgrad.frontend.describe import shape_text, show
from symgrad.frontend.heads import Expr, Task, each, matrix, task
from symgrad.frontend.matrices import as_array, of_array
from symgrad.frontend.matrix_algebra import term_of, transpose
from symgrad.frontend.triangle import LOWER, Triangle
from symgrad.ir.graph import Graph, Node
from symgrad.ir.matrix.call import Array, call
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS, SYMMETRIC, result_extents
from symgrad.ir.matrix.symmetry import is_symmetric

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator

_WRITTEN: dict[str, tuple[str, str]] = {  # as the user writes it: before and after the operands
    "eigenvalues": ("eigvalsh(", ")"),
    "eigenvectors": ("eigh(", ")[1]"),
    "orthogonal_factor": ("qr(", ")[0]"),
    "triangular_factor": ("qr(", ")[1]"),
    "singular_values": ("svdvals(", ")"),
    "sign_det": ("slogdet(", ")[0]"),
    "log_abs_det": ("slogdet(", ")[1]"),
    "log_det": ("logdet(", ")"),
    "log_det_spd": ("logdet(", ", assume='spd')"),
    "solve_spd": ("solve(", ", assume='spd')"),
    "solve_lower": ("solve(", ", assume='lower')"),
    "solve_upper": ("solve(", ", assume='upper')"),
}


def written(name: str, operands: str) -> str:
    """The call of a matrix function as the user writes it."""
    before, after = _WRITTEN.get(name, (f"{name}(", ")"))
    return before + operands + after


def as_matrix(function: str, x: Any) -> Any:
    """`x` as an immutable SymPy matrix; BadArgument for anything else."""
    a = sp.sympify(x)
    if not getattr(a, "is_Matrix", False):
        raise BadArgument(
            f"{function} of a {type(x).__name__}",
            where=show(a),
            try_="a MatrixSymbol or an expression of matrices",
        )
    return a.as_immutable() if isinstance(a, sp.MatrixBase) else a


class MatrixCall(MatrixExpr):
    """A matrix function of `ir.matrix.functions`, by its name, of matrices; a vector result is a column."""

    def __new__(cls, name: Any, *operands: Any) -> MatrixCall:
        return sp.Basic.__new__(cls, Str(str(name)), *operands)  # type: ignore[no-any-return]

    @property
    def function(self) -> str:
        return str(self.args[0])

    @property
    def shape(self) -> tuple[Any, Any]:
        row = MATRIX_FUNCTIONS[self.function]
        known: dict[str, Any] = {}
        for letters, operand in zip(row.operands, self.args[1:], strict=True):
            known |= dict(zip(letters, operand.shape, strict=False))  # a vector is given as a column
        rows, *cols = (known[letter] for letter in row.result)
        return rows, cols[0] if cols else sp.S.One

    def _entry(self, i: Any, j: Any, **_: Any) -> sp.Expr:
        return MatrixElement(self, i, j)

    def _sympystr(self, printer: Any) -> str:
        return _text(printer, self)

    def _latex(self, printer: Any) -> str:
        return _latex(printer, self)


class ScalarCall(sp.Expr):
    """A matrix function whose result is a number."""

    is_commutative = True
    is_extended_real = True

    def __new__(cls, name: Any, *operands: Any) -> ScalarCall:
        return sp.Basic.__new__(cls, Str(str(name)), *operands)  # type: ignore[no-any-return]

    @property
    def function(self) -> str:
        return str(self.args[0])

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        return sp.Derivative(self, symbol, evaluate=False)

    def _sympystr(self, printer: Any) -> str:
        return _text(printer, self)

    def _latex(self, printer: Any) -> str:
        return _latex(printer, self)


def linear_algebra(name: str) -> Callable[..., Any]:
    """The function of matrices called `name` in `ir.matrix.functions`, for a parser."""
    kind = MatrixCall if MATRIX_FUNCTIONS[name].result else ScalarCall
    return lambda *operands: kind(name, *(as_matrix(name, a) for a in operands))


def _text(printer: Any, e: Any) -> str:
    return written(e.function, ", ".join(map(printer.doprint, e.args[1:])))


def _latex(printer: Any, e: Any) -> str:
    name, _, _ = written(e.function, "").partition("(")
    arguments = ", ".join(map(printer.doprint, e.args[1:]))
    detail = _LATEX_DETAILS.get(e.function, "")
    return rf"\operatorname{{{name}}}{detail}\left({arguments}\right)"


_LATEX_DETAILS = {
    "solve_spd": r"_{\mathrm{spd}}", "log_det_spd": r"_{\mathrm{spd}}", "solve_lower": r"_{\mathrm{lower}}",
    "solve_upper": r"_{\mathrm{upper}}", "sign_det": "_0", "log_abs_det": "_1", "eigenvectors": "_1",
    "orthogonal_factor": "_0", "triangular_factor": "_1",
}  # fmt: skip


# ---- translation -----------------------------------------------------------------------------------------


@matrix(MatrixCall)
def _matrix_call(tr: Translator, e: Expr) -> Task:
    return of_array(tr.graph, (yield _called(tr, e)))


@task(ScalarCall)
def _scalar_call(tr: Translator, e: Expr) -> Task:
    made = yield _called(tr, e)
    return made.at()


@matrix(Triangle)
def _triangle(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    a = as_array(g, (yield tr.matrix(e.matrix)))
    sign = 1 if e.kind == LOWER else -1  # j - i <= offset, or >= offset

    def entry(i: Node, j: Node) -> Node:
        inside = g.iadd(g.isub(i, j) if sign > 0 else g.isub(j, i), g.const(sign * e.offset))
        return g.mask(g.ige0(inside), a.at(i, j))

    return of_array(g, Array(a.extents, entry))


def _called(tr: Translator, e: Expr) -> Task:
    """Task: the call's result."""
    g, row = tr.graph, MATRIX_FUNCTIONS[e.function]
    given = [as_array(g, m) for m in (yield each(map(tr.matrix, e._args[1:])))]
    operands = [_column(g, a) if rank == 1 else a for a, rank in zip(given, row.ranks, strict=True)]
    extents = result_extents(g, e.function, [a.extents for a in operands])
    if extents is None:
        raise ShapeMismatch(
            f"{row.title} of matrices of shapes " + " and ".join(shape_text(g, a.extents) for a in operands),
            where=show(e),
            try_="a square matrix, and a right side with as many rows",
        )
    if row.reads == SYMMETRIC:
        operands[0] = symmetric_part(g, operands[0])
    return call(g, e.function, operands, extents)


def _column(g: Graph, a: Array) -> Array:
    """A column as a vector."""
    return Array(a.extents[:1], lambda i: a.at(i, g.zero))


def symmetric_part(g: Graph, a: Array) -> Array:
    """(A + A^T)/2; of a matrix that is symmetric as it stands, itself."""
    if is_symmetric(g, a):
        return a

    def entry(i: Node, j: Node) -> Node:
        return g.div(g.add(a.at(i, j), a.at(j, i)), g.const(2))

    return Array(a.extents, entry)


# ---- and back ----------------------------------------------------------------------------------------------


def _solved(a: Any, b: Any) -> Any:
    return MatMul(Inverse(a), b)


def _named(name: str) -> Callable[..., Any]:
    kind = MatrixCall if MATRIX_FUNCTIONS[name].result else ScalarCall
    if MATRIX_FUNCTIONS[name].reads != SYMMETRIC:
        return lambda *operands: kind(name, *operands)
    return lambda a, *operands: kind(name, _whole(a), *operands)


def _whole(a: Any) -> Any:
    """A where `a` is its symmetric part (A + A.T)/2, which is all that is meant of a symmetric operand."""
    coefficient, factors = term_of(a)
    if coefficient != sp.Rational(1, 2) or len(factors) != 1:
        return a
    inner = factors[0].arg if isinstance(factors[0], sp.Transpose) else factors[0]
    if not isinstance(inner, sp.MatAdd) or len(inner.args) != 2:
        return a
    first, second = sorted(inner.args, key=lambda m: isinstance(m, sp.Transpose))
    return first if transpose(first) == second else a


def _turned(name: str) -> Callable[..., Any]:
    """A solve with the transpose of a triangular matrix is one with the other triangle."""
    return lambda a, b: MatrixCall(name, sp.Transpose(a), b)


def matrix_of_entries(sides: Sequence[tuple[Any, Any]], entry: Any) -> Any:
    """The matrix (of one side: the column) with this entry.

    sides  (index, length) for each; the index is None where the length is 1.
    """
    sides = [*sides, (None, sp.S.One)][:2]
    places = [sp.S.Zero if index is None else index for index, _ in sides]
    rows, cols = (length for _, length in sides)
    if isinstance(entry, MatrixElement):
        m, *at = entry.args
        if m.shape == (rows, cols) and at == places:
            return m
        if m.shape == (cols, rows) and at == places[::-1]:
            return sp.Transpose(m)
    indices = [sp.Dummy("k", integer=True) if index is None else index for index, _ in sides]
    return FunctionMatrix(rows, cols, sp.Lambda(tuple(indices), entry))


def element_of_call(name: str, operands: Sequence[Any], place: Sequence[Any]) -> Any:
    """The element of a matrix function at a place; the number itself where there is one only."""
    value = SPELLINGS[name](*operands)
    if isinstance(value, FunctionMatrix | sp.OneMatrix):
        return value[tuple(place) if len(place) == 2 else (*place, 0)]
    return MatrixElement(value, *place, *([0] * (2 - len(place)))) if place else value


_SPELLED: Sequence[str] = (
    "solve_lower", "solve_upper", "cholesky", "eigenvalues", "eigenvectors", "orthogonal_factor",
    "triangular_factor", "singular_values", "left_singular", "right_singular", "reciprocal_gaps",
    "reciprocals", "settled", "solve_spd", "log_det_spd",
)  # fmt: skip
SPELLINGS: dict[str, Callable[..., Any]] = {
    **{name: _named(name) for name in _SPELLED},
    "shared_weights": lambda values, weights: weights,
    "det": sp.Determinant,
    "log_det": lambda a: sp.log(sp.Determinant(a)),
    "log_abs_det": lambda a: sp.log(sp.Abs(sp.Determinant(a))),
    "sign_det": lambda a: sp.sign(sp.Determinant(a)),
    "inverse": Inverse,
    "inverse_spd": Inverse,
    "solve": _solved,
    "solve_transposed": lambda a, b: _solved(sp.Transpose(a), b),
    "solve_lower_transposed": _turned("solve_upper"),
    "solve_upper_transposed": _turned("solve_lower"),
}
