"""Calls in a text to SymPy: functions of numbers, sums over indices, pieces, matrices."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable

import sympy as sp
from sympy.matrices.matrixbase import MatrixBase

from symgrad.errors import ShapeMismatch
from symgrad.frontend.constants import MAX_CONSTANT_TERMS, is_beyond, length_of_limit
from symgrad.frontend.text_operands import Operands
from symgrad.frontend.vocabulary import (
    ELEMENTWISE,
    LARGEST_ARGUMENT,
    LOGIC,
    MATRIX,
    OF_SIZES,
    OVER_INDICES,
    RELATIONS,
    ROUNDING,
    Value,
)


class Calls:
    """One method for each kind of function that a text can call."""

    def __init__(self, operands: Operands) -> None:
        self.operands = operands
        self.refused = operands.refused
        self.special: dict[str, Callable[[ast.Call], Value]] = {
            "Piecewise": self._piecewise,
            "Matrix": self._explicit_matrix,
            "BlockMatrix": self._block_matrix,
            "HadamardPower": self._hadamard_power,
            "Lambda": self._lambda,
            "map": self._map,
        }

    def build(self, node: ast.Call) -> Value:
        assert isinstance(node.func, ast.Name)  # the parser has checked it
        name = node.func.id
        if name in ELEMENTWISE:
            arguments = [self.operands.scalar(part, f"map({name}, X)") for part in node.args]
            return self._elementwise(node, name, arguments)
        if name in RELATIONS:
            return RELATIONS[name](*(self.operands.scalar(part) for part in node.args))
        if name in LOGIC:
            return LOGIC[name](*(self.operands.condition(part) for part in node.args))
        if name in MATRIX:
            return MATRIX[name](*(self.operands.matrix(part) for part in node.args))
        if name in OF_SIZES:
            return OF_SIZES[name](*(self.operands.scalar(part) for part in node.args))
        if name in OVER_INDICES:
            return self._over_indices(node, OVER_INDICES[name])
        return self.special[name](node)

    def _elementwise(self, node: ast.AST, name: str, arguments: list[Value]) -> Value:
        """One function of numbers, after refusing constants that SymPy would compute with at length."""
        largest = LARGEST_ARGUMENT.get(name)
        if largest is not None and any(is_beyond(part, largest) for part in arguments):
            raise self.operands.too_large(node)
        is_exact = [part.is_number and not isinstance(part, (sp.Rational, sp.Float)) for part in arguments]
        if name in ROUNDING and any(is_exact):
            raise self.refused(node, f"{name} of an exact constant is not read", "write it as a decimal")
        return ELEMENTWISE[name](*arguments)

    def _exactly(self, node: ast.Call, *readers: Callable[[ast.expr], Value]) -> list[Value]:
        if len(node.args) != len(readers):
            raise self.refused(node, f"this function takes {len(readers)} arguments, not {len(node.args)}")
        return [reader(part) for reader, part in zip(readers, node.args, strict=True)]

    def _over_indices(self, node: ast.Call, make: Callable[..., Value]) -> Value:
        if len(node.args) < 2:
            raise self.refused(node, "a sum or product needs limits", "Sum(x[i], (i, 0, n - 1))")
        body = self.operands.scalar(node.args[0])
        limits = []
        for part in node.args[1:]:
            limit = self.operands.values[part]
            if not (isinstance(limit, tuple) and len(limit) == 3 and isinstance(limit[0], sp.Symbol)):
                raise self.refused(part, "limits are an index, a first and a last value", "(i, 0, n - 1)")
            limits.append(limit)
        value = make(body, *limits)
        if not value.free_symbols and math.prod(map(length_of_limit, limits)) > MAX_CONSTANT_TERMS:
            raise self.operands.too_large(node)
        return value

    def _piecewise(self, node: ast.Call) -> Value:
        pairs = []
        for part in node.args:
            if not (isinstance(part, ast.Tuple) and len(part.elts) == 2):
                raise self.refused(part, "Piecewise takes pairs", "Piecewise((a, condition), (b, True))")
            pairs.append((self.operands.scalar(part.elts[0]), self.operands.condition(part.elts[1])))
        return sp.Piecewise(*pairs)

    def _explicit_matrix(self, node: ast.Call) -> Value:
        rows = self._rows(node, self.operands.scalar)
        return sp.ImmutableDenseMatrix(rows)

    def _block_matrix(self, node: ast.Call) -> Value:
        return sp.BlockMatrix(self._rows(node, self.operands.matrix))

    def _rows(self, node: ast.Call, reader: Callable[[ast.expr], Value]) -> list[list[Value]]:
        """The rows of `Matrix([[a, b], [c, d]])`; a flat list is a column, as in SymPy."""
        if len(node.args) != 1 or not isinstance(node.args[0], ast.List):
            raise self.refused(node, "this takes one list of rows", "Matrix([[a, b], [c, d]])")
        rows = node.args[0].elts
        if not any(isinstance(row, ast.List) for row in rows):
            return [[reader(row)] for row in rows]
        values = [[reader(part) for part in row.elts] for row in rows if isinstance(row, ast.List)]
        if len(values) < len(rows) or len({len(row) for row in values}) > 1:
            raise ShapeMismatch("the rows have different lengths", where=self.operands.source.where(node))
        return values

    def _hadamard_power(self, node: ast.Call) -> Value:
        return sp.HadamardPower(*self._exactly(node, self.operands.matrix, self.operands.scalar))

    def _lambda(self, node: ast.Call) -> Value:
        variable, body = self._exactly(node, self.operands.scalar, self.operands.scalar)
        if not isinstance(variable, sp.Symbol):
            raise self.refused(node, "the first argument of Lambda is its variable", "Lambda(t, t**2)")
        return sp.Lambda(variable, body)

    def _map(self, node: ast.Call) -> Value:
        if len(node.args) != 2:
            raise self.refused(node, "map takes a function and a matrix", "map(tanh, X)")
        function, matrix = self._mapped_function(node.args[0]), self.operands.matrix(node.args[1])
        if isinstance(matrix, sp.MatrixExpr) and not isinstance(matrix, MatrixBase):
            return matrix.applyfunc(function)
        first = node.args[0]
        if not isinstance(first, ast.Name):
            # Substituting constants could ask for anything, past the checks of single operations.
            raise self.refused(
                node, "a Lambda cannot be mapped over an explicit Matrix", "write its elements"
            )
        name = first.id
        return sp.ImmutableDenseMatrix(
            *matrix.shape, [self._elementwise(node, name, [element]) for element in matrix.flat()]
        )

    def _mapped_function(self, part: ast.expr) -> sp.Lambda:
        if part in self.operands.values:
            function = self.operands.values[part]
            if isinstance(function, sp.Lambda):
                return function
            raise self.refused(
                part, "the first argument of map is a function", "map(tanh, X) or map(Lambda(t, t**2), X)"
            )
        assert isinstance(part, ast.Name)  # the parser leaves out nothing else
        variable = sp.Symbol("t", real=True)
        return sp.Lambda(variable, ELEMENTWISE[part.id](variable))
