"""The pieces of a text as operands: numbers, matrices and conditions, each checked where it is used."""

from __future__ import annotations

import ast

import sympy as sp
from sympy.matrices.matrixbase import MatrixBase

from symgrad.errors import ParseError, ShapeMismatch
from symgrad.frontend.constants import MAX_CONSTANT_BITS, MAX_CONSTANT_TERMS, is_small
from symgrad.frontend.text import Source
from symgrad.frontend.vocabulary import Value

_NOT_NUMBERS = (sp.zoo, sp.nan, sp.oo, -sp.oo)


class Operands:
    """The values of a text's pieces that are built so far, read as what an operation needs.

    Every reader raises an error that points to the piece which is something else.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.values: dict[ast.AST, Value] = {}

    def refused(self, node: ast.AST, summary: str, try_: str = "") -> ParseError:
        return self.source.error(node, summary, try_=try_)

    def operand(self, part: ast.expr) -> Value:
        """A number or a matrix."""
        value = self.values[part]
        if is_matrix(value) or is_scalar(value):
            return value
        hint = "index it: x[i]" if isinstance(value, sp.IndexedBase) else ""
        raise self.refused(part, f"{described(value)} cannot be computed with", hint)

    def scalar(self, part: ast.expr, for_matrices: str = "") -> Value:
        value = self.values[part]
        if is_scalar(value):
            return value
        if is_matrix(value):
            raise ShapeMismatch(
                "a number is needed, not a matrix",
                where=self.source.where(part),
                because="its shape is (" + ", ".join(map(str, value.shape)) + ")",
                try_=for_matrices,
            )
        raise self.refused(part, f"a number is needed, not {described(value)}")

    def matrix(self, part: ast.expr) -> Value:
        value = self.values[part]
        if is_matrix(value):
            return value
        raise self.refused(
            part,
            f"a matrix is needed, not {described(value)}",
            'declare it, for example --let "X = matrix(n, d)"',
        )

    def condition(self, part: ast.expr) -> Value:
        value = self.values[part]
        if isinstance(value, sp.logic.boolalg.Boolean) and not isinstance(value, sp.Symbol):
            return value
        raise self.refused(part, f"a condition is needed, not {described(value)}", "compare with 0: x > 0")

    def check_number(self, node: ast.AST, value: Value) -> None:
        """Constants stay finite, and small enough that nothing computed from them takes long."""
        elements = value.flat() if isinstance(value, MatrixBase) else [value] if is_scalar(value) else []
        for element in elements:
            if element in _NOT_NUMBERS:
                raise self.refused(node, "this is not a finite number")
            if element.is_number and not is_small(element):
                raise self.too_large(node)

    def too_large(self, node: ast.AST) -> ParseError:
        return self.source.error(
            node,
            "this constant is too large to compute",
            f"the limits are {MAX_CONSTANT_BITS} bits and {MAX_CONSTANT_TERMS} terms",
        )


def is_matrix(value: Value) -> bool:
    return isinstance(value, (sp.MatrixExpr, MatrixBase))


def is_scalar(value: Value) -> bool:
    return isinstance(value, sp.Expr) and not isinstance(value, (sp.MatrixExpr, sp.IndexedBase, sp.Lambda))


def described(value: Value) -> str:
    for kinds, description in (
        ((tuple,), "a tuple"),
        ((list,), "a list"),
        ((sp.MatrixExpr, MatrixBase), "a matrix"),
        ((sp.IndexedBase,), "a whole array"),
        ((sp.Lambda,), "a function"),
        ((sp.Expr,), "a number"),
        ((sp.logic.boolalg.Boolean,), "a condition"),
    ):
        if isinstance(value, kinds):
            return description
    return type(value).__name__
