"""The lower and the upper part of a matrix as unevaluated SymPy objects: `tril(A)`, `triu(A, 1)`."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.core.symbol import Str
from sympy.matrices.expressions import MatrixExpr
from sympy.matrices.expressions.matexpr import MatrixElement

LOWER, UPPER = "tril", "triu"


class Triangle(MatrixExpr):
    """`Triangle(kind, matrix, offset)`: its entries up to (tril) or from (triu) a diagonal, 0 elsewhere.

    The diagonals are numbered as in NumPy: 0 is the main one, positive numbers are above it.
    """

    def __new__(cls, kind: Any, m: Any, offset: Any) -> Triangle:
        return sp.Basic.__new__(cls, Str(str(kind)), m, sp.Integer(offset))  # type: ignore[no-any-return]  # SymPy is untyped

    @property
    def kind(self) -> str:
        return str(self.args[0])

    @property
    def matrix(self) -> Any:
        return self.args[1]

    @property
    def offset(self) -> int:
        return int(self.args[2])

    @property
    def shape(self) -> tuple[Any, Any]:
        rows, cols = self.matrix.shape
        return rows, cols

    @property
    def turned(self) -> Triangle:
        """The part of the transpose that the transpose of this part is; still of the matrix itself."""
        return Triangle(UPPER if self.kind == LOWER else LOWER, self.matrix, -self.offset)

    def of(self, m: Any) -> Triangle:
        """The same part of another matrix."""
        return Triangle(self.kind, m, self.offset)

    @property
    def has_diagonal(self) -> bool:
        return self.offset >= 0 if self.kind == LOWER else self.offset <= 0

    def _entry(self, i: Any, j: Any, **_: Any) -> sp.Expr:
        return MatrixElement(self, i, j)

    def _sympystr(self, printer: Any) -> str:
        return f"{self.kind}({', '.join(map(printer.doprint, self._shown))})"

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{{self.kind}}}\left({', '.join(map(printer.doprint, self._shown))}\right)"

    @property
    def _shown(self) -> list[Any]:
        return [self.matrix, self.offset] if self.offset else [self.matrix]
