"""Text to SymPy, safely: nothing in the text is ever executed.

    text -> Python's `ast` (mode "eval") -> a walk over a closed list of node types -> SymPy constructors

The walk keeps its own stack, so a long sum or a deep nest cannot exhaust Python's; where Python's own parser
gives up, a ParseError says so. Constants are bounded in size before they are computed (`constants.py`), so
that a short text cannot ask for a long computation. `declare.py` reads what names stand for.

Integers stay exact (`1/3` is a Rational), decimals are Floats. Names that are not declared are real symbols;
indices of sums and sizes are integers.
"""

from __future__ import annotations

import ast
import difflib
import functools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import sympy as sp
from sympy.matrices.matrixbase import MatrixBase
from sympy.tensor.indexed import IndexException

from symgrad.errors import IndexOutOfRange, ShapeMismatch, SymgradError, UnknownFunction, quoted
from symgrad.frontend.constants import (
    MAX_CONSTANT_BITS,
    MAX_EXPLICIT_POWER,
    is_beyond,
    is_small_power,
)
from symgrad.frontend.text import Source, read
from symgrad.frontend.text_calls import Calls
from symgrad.frontend.text_operands import Operands, described, is_matrix
from symgrad.frontend.vocabulary import (
    ALSO_LETTERS,
    CONSTANTS,
    ELEMENTWISE,
    FUNCTION_NAMES,
    OF_SIZES,
    OPERATOR_HINTS,
    OVER_INDICES,
    REFUSED_NAMES,
    REFUSED_NODES,
    RELATION_OF_NODE,
    Value,
)

# What SymPy's constructors raise on operands they cannot combine.
_SYMPY_ERRORS = (
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    LookupError,
    ArithmeticError,
    IndexException,
)


def parse_expression(text: str, symbols: dict[str, object] | None = None) -> Any:
    """The SymPy expression that `text` spells.

    `symbols` says what names stand for: SymPy symbols, MatrixSymbols, IndexedBases or expressions, as
    returned by `declare.parse_declarations`. Other names become `Symbol(name, real=True)`; names that index
    an array or a sum become integers, names in the limits of a sum positive integers. Returns a SymPy
    expression, a Boolean, or an ImmutableMatrix for an explicit `Matrix([[...]])`.

    Raises ParseError, naming the piece and its column, for anything that is not such an expression;
    UnknownFunction, ShapeMismatch and IndexOutOfRange for what their names say.

    >>> parse_expression("x**2/3 + sin(y)")
    x**2/3 + sin(y)
    """
    source = read(text)
    builder = Builder(source, dict(symbols or {}))
    return builder.result()


def size_symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, integer=True, positive=True)


def integer_names(tree: ast.expr) -> dict[str, sp.Symbol]:
    """Names that the text uses as indices (integers) and as sizes (positive integers)."""
    indices: set[str] = set()
    sizes: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            indices |= _names(node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in OVER_INDICES:
                for limit in node.args[1:]:
                    if isinstance(limit, ast.Tuple) and limit.elts:
                        indices |= _names(limit.elts[0])
                        sizes |= {name for end in limit.elts[1:] for name in _names(end)}
            elif node.func.id in OF_SIZES:
                sizes |= {name for argument in node.args for name in _names(argument)}
            elif node.func.id == "KroneckerDelta":
                indices |= {name for argument in node.args for name in _names(argument)}
    # A name that is both, such as the outer index of a triangular sum, is an index: it may be 0.
    return {name: size_symbol(name) for name in sizes} | {
        name: sp.Symbol(name, integer=True) for name in indices
    }


def _names(tree: ast.expr) -> set[str]:
    """Names in an index expression; in a gather `idx[i]` the array is not an index itself."""
    arrays = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
    calls = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in arrays and id(node) not in calls
    }


class Builder:
    """Walks the tree in postorder with its own stack and calls SymPy's constructors.

    A chain such as `a + b - c` is one node with three children, so a long sum costs one call of SymPy's.
    """

    def __init__(self, source: Source, symbols: dict[str, object]) -> None:
        self.source = source
        self.symbols = symbols
        self.integers = integer_names(source.tree)
        self.operands = Operands(source)
        self.values = self.operands.values
        self.refused = self.operands.refused
        self.build: dict[type[ast.AST], Callable[[Any], Value]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.BinOp: self._arithmetic,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._logic,
            ast.Compare: self._comparison,
            ast.Call: Calls(self.operands).build,
            ast.Subscript: self._element,
            ast.Attribute: self._attribute,
            ast.Tuple: lambda node: tuple(self.values[part] for part in node.elts),
            ast.List: lambda node: [self.values[part] for part in node.elts],
        }

    def result(self) -> Value:
        """The value of the whole tree."""
        tree = self.source.tree
        for node in self._postorder(tree):
            self.values[node] = self._checked(node)
        value = self.values[tree]
        if isinstance(value, (tuple, list, sp.IndexedBase, sp.Lambda)):
            raise self.source.error(
                tree,
                f"{described(value)} is not an expression",
                try_="write one number, condition or matrix",
            )
        return value

    def _postorder(self, tree: ast.expr) -> Iterator[ast.AST]:
        stack: list[tuple[ast.AST, bool]] = [(tree, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                yield node
                continue
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(self._children(node)))

    def _children(self, node: ast.AST) -> list[ast.expr]:
        """The sub-expressions whose values a node needs; raises for every other node type."""
        match node:
            case ast.Constant() | ast.Name():
                return []
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return [term for _, term in _chain(node, (ast.Add, ast.Sub))]
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return [factor for _, factor in _chain(node, (ast.Mult, ast.Div))]
            case ast.BinOp(op=ast.Pow()):
                return [node.left, node.right]
            case ast.UnaryOp(op=ast.UAdd() | ast.USub() | ast.Not()):
                return [node.operand]
            case ast.BoolOp():
                return node.values
            case ast.Compare():
                return [node.left, *node.comparators]
            case ast.Call():
                return self._arguments(node)
            case ast.Subscript():
                return [node.value, *_index_parts(node)]
            case ast.Attribute():
                if node.attr != "T":
                    raise self.refused(
                        node, f"the attribute .{node.attr} is not read", "`.T` is the only attribute"
                    )
                return [node.value]
            case ast.Tuple() | ast.List():
                return node.elts
            case ast.BinOp() | ast.UnaryOp():
                sign, hint = OPERATOR_HINTS[type(node.op)]
                raise self.refused(node, f"the operator `{sign}` is not read", hint)
        what, hint = REFUSED_NODES.get(type(node), (f"{type(node).__name__} expressions", ""))
        raise self.refused(node, f"{what} are not read", f"write {hint}" if hint else "")

    def _arguments(self, node: ast.Call) -> list[ast.expr]:
        """A call's arguments, after checking that it is a plain call of a known function."""
        if not isinstance(node.func, ast.Name):
            raise self.refused(node, "only functions can be called, by their names")
        name = node.func.id
        if "__" in name:
            raise self.refused(node, f"{quoted(name)} is not read: names with double underscores are refused")
        if name not in FUNCTION_NAMES:
            close = difflib.get_close_matches(name, FUNCTION_NAMES, n=3, cutoff=0.6)
            raise UnknownFunction(
                f"there is no function {quoted(name)}",
                where=self.source.where(node),
                because="" if name not in self.symbols else f"{quoted(name)} is declared, and not a function",
                try_=" or ".join(close) if close else f"write products with `*`: {name}*(...)",
            )
        if node.keywords:
            raise self.refused(node, f"{name} takes no arguments by name")
        if (
            name == "map"
            and node.args
            and isinstance(node.args[0], ast.Name)
            and node.args[0].id in ELEMENTWISE
        ):
            return node.args[1:]  # the first argument is a function's name, not a value
        return node.args

    def _checked(self, node: ast.AST) -> Value:
        """Build one node; what SymPy raises becomes an error that points into the text."""
        try:
            value = self.build[type(node)](node)
            self.operands.check_number(node, value)
        except SymgradError:
            raise
        except sp.ShapeError as error:
            raise ShapeMismatch(
                "shapes do not fit", where=self.source.where(node), because=str(error)
            ) from None
        except IndexError as error:
            raise IndexOutOfRange(
                "an index leaves its array", where=self.source.where(node), because=str(error)
            ) from None
        except RecursionError:
            raise self.source.error(node, "the expression is nested too deeply for SymPy") from None
        except _SYMPY_ERRORS as error:
            raise self.source.error(node, "SymPy cannot build this", because=str(error)) from None
        return value

    # --- one method per node type ---

    def _constant(self, node: ast.Constant) -> Value:
        match node.value:
            case bool():
                return sp.true if node.value else sp.false
            case int():
                return sp.Integer(node.value)
            case float() if math.isfinite(node.value):
                return sp.Float(node.value)
            case float():
                raise self.refused(node, "the number is too large for a double")
            case str() | bytes():
                raise self.refused(node, "texts in quotes are not read")
            case complex():
                raise self.refused(node, "imaginary numbers are not read: symgrad computes with real numbers")
        raise self.refused(node, f"{node.value!r} is not a number")

    def _name(self, node: ast.Name) -> Value:
        name = node.id
        if "__" in name:
            raise self.refused(node, f"{quoted(name)} is not read: names with double underscores are refused")
        if name in self.symbols:
            return self._declared_name(node)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in REFUSED_NAMES:
            raise self.source.error(
                node, f"{quoted(name)} is ambiguous", REFUSED_NAMES[name], f"declare it: `{name} = real`"
            )
        if name in FUNCTION_NAMES and name not in ALSO_LETTERS:
            raise self.refused(node, f"{name} is a function", f"call it: {name}(...)")
        return self.integers.get(name, sp.Symbol(name, real=True))

    def _declared_name(self, node: ast.Name) -> Value:
        value = self.symbols[node.id]
        if node.id in self.integers and isinstance(value, sp.Symbol) and value.is_integer is not True:
            raise self.source.error(
                node,
                f"{quoted(node.id)} is used as an index or a size",
                "it is declared as a symbol that need not be an integer",
                f"declare it as `{node.id} = integer` or `{node.id} = size`",
            )
        if isinstance(value, (bool, int, float)):
            return sp.sympify(value)  # a Python number, not a text
        return value.as_immutable() if isinstance(value, MatrixBase) else value

    def _arithmetic(self, node: ast.BinOp) -> Value:
        if isinstance(node.op, ast.Pow):
            return self._power(node)
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return self._sum(node)
        return self._product(node)

    def _sum(self, node: ast.BinOp) -> Value:
        terms = [(minus, self.operands.operand(part)) for minus, part in _chain(node, (ast.Add, ast.Sub))]
        are_matrices = {is_matrix(term) for _, term in terms}
        if len(are_matrices) == 2:
            raise ShapeMismatch(
                "cannot add a number and a matrix",
                where=self.source.where(node),
                try_="c*OneMatrix(n, d) has c in every place; A[0, 0] is the element of a 1 by 1 matrix",
            )
        signed = [-term if minus else term for minus, term in terms]
        return functools.reduce(operator.add, signed) if are_matrices == {True} else sp.Add(*signed)

    def _product(self, node: ast.BinOp) -> Value:
        factors = []
        for is_divided, part in _chain(node, (ast.Mult, ast.Div)):
            value = self.operands.operand(part)
            if is_divided and is_matrix(value):
                raise ShapeMismatch(
                    "cannot divide by a matrix", where=self.source.where(part), try_="write Inverse(A)*b"
                )
            if is_divided and value.is_zero:
                raise self.refused(part, "division by zero")
            factors.append(1 / value if is_divided else value)
        if any(map(is_matrix, factors)):
            return functools.reduce(operator.mul, factors)
        return sp.Mul(*factors)

    def _power(self, node: ast.BinOp) -> Value:
        base, exponent = self.operands.operand(node.left), self.operands.operand(node.right)
        if is_matrix(exponent):
            raise ShapeMismatch("an exponent cannot be a matrix", where=self.source.where(node))
        if isinstance(base, MatrixBase) and not (exponent.is_Integer and 0 <= exponent <= MAX_EXPLICIT_POWER):
            summary = f"an explicit Matrix has powers from 0 to {MAX_EXPLICIT_POWER}"
            raise self.refused(node, summary, "write Inverse(A), or products")
        is_constant = not is_matrix(base) and base.is_number and exponent.is_number
        if not is_small_power(base, exponent) if is_constant else is_beyond(exponent, MAX_CONSTANT_BITS):
            raise self.operands.too_large(node)
        return base**exponent

    def _unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return sp.Not(self.operands.condition(node.operand))
        value = self.operands.operand(node.operand)
        return -value if isinstance(node.op, ast.USub) else value

    def _logic(self, node: ast.BoolOp) -> Value:
        conditions = [self.operands.condition(part) for part in node.values]
        return (sp.And if isinstance(node.op, ast.And) else sp.Or)(*conditions)

    def _comparison(self, node: ast.Compare) -> Value:
        parts = [node.left, *node.comparators]
        values = [self.operands.scalar(part) for part in parts]
        relations = []
        for kind, left, right in zip(node.ops, values, values[1:], strict=False):
            if type(kind) not in RELATION_OF_NODE:
                raise self.refused(node, "only the comparisons < <= > >= == != are read")
            relations.append(RELATION_OF_NODE[type(kind)](left, right))
        return sp.And(*relations)

    def _element(self, node: ast.Subscript) -> Value:
        array = self.values[node.value]
        indices = [self.operands.scalar(part) for part in _index_parts(node)]
        if is_matrix(array):
            if len(indices) == 1 and array.shape[1] == 1:
                indices.append(sp.Integer(0))  # a column vector: x[i] is x[i, 0]
            if len(indices) != 2:
                raise self.refused(node, f"a matrix has 2 indices, not {len(indices)}")
            return array[tuple(indices)]
        if isinstance(array, sp.IndexedBase):
            if array.shape is not None and len(array.shape) != len(indices):
                raise self.refused(node, f"this array has {len(array.shape)} indices, not {len(indices)}")
            return array[tuple(indices)]
        name = self.source.piece(node.value)[1:-1]
        sizes = ", ".join("nmpq"[: len(indices)])
        raise self.source.error(
            node,
            f"{quoted(name)} is not an array",
            f"it is {described(array)}",
            f"declare it: `{name} = array({sizes})`",
        )

    def _attribute(self, node: ast.Attribute) -> Value:
        value = self.values[node.value]
        if not is_matrix(value):
            raise self.refused(node, f"only matrices have a transpose, not {described(value)}")
        return value.T


def _chain(
    node: ast.BinOp, kinds: tuple[type[ast.operator], type[ast.operator]]
) -> list[tuple[bool, ast.expr]]:
    """The operands along the left spine of `a + b - c`; True marks those after the second kind."""
    parts: list[tuple[bool, ast.expr]] = []
    spine: ast.expr = node
    while isinstance(spine, ast.BinOp) and isinstance(spine.op, kinds):
        parts.append((isinstance(spine.op, kinds[1]), spine.right))
        spine = spine.left
    parts.append((False, spine))
    return parts[::-1]


def _index_parts(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
