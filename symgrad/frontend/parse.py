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

from symgrad.errors import IndexOutOfRange, ParseError, ShapeMismatch, SymgradError, UnknownFunction, quoted
from symgrad.frontend.constants import (
    MAX_CONSTANT_BITS,
    MAX_CONSTANT_TERMS,
    MAX_EXPLICIT_POWER,
    is_beyond,
    is_small,
    is_small_power,
    length_of_limit,
)
from symgrad.frontend.text import Source, read
from symgrad.frontend.vocabulary import (
    ALSO_LETTERS,
    CONSTANTS,
    ELEMENTWISE,
    FUNCTION_NAMES,
    LARGEST_ARGUMENT,
    LOGIC,
    MATRIX,
    OF_SIZES,
    OPERATOR_HINTS,
    OVER_INDICES,
    REFUSED_NAMES,
    REFUSED_NODES,
    RELATION_OF_NODE,
    RELATIONS,
    ROUNDING,
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
_NOT_NUMBERS = (sp.zoo, sp.nan, sp.oo, -sp.oo)


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
        self.values: dict[ast.AST, Value] = {}
        self.build: dict[type[ast.AST], Callable[[Any], Value]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.BinOp: self._arithmetic,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._logic,
            ast.Compare: self._comparison,
            ast.Call: self._call,
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
                f"{_described(value)} is not an expression",
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
                    raise self._refused(
                        node, f"the attribute .{node.attr} is not read", "`.T` is the only attribute"
                    )
                return [node.value]
            case ast.Tuple() | ast.List():
                return node.elts
            case ast.BinOp() | ast.UnaryOp():
                sign, hint = OPERATOR_HINTS[type(node.op)]
                raise self._refused(node, f"the operator `{sign}` is not read", hint)
        what, hint = REFUSED_NODES.get(type(node), (f"{type(node).__name__} expressions", ""))
        raise self._refused(node, f"{what} are not read", f"write {hint}" if hint else "")

    def _refused(self, node: ast.AST, summary: str, try_: str = "") -> ParseError:
        return self.source.error(node, summary, try_=try_)

    def _arguments(self, node: ast.Call) -> list[ast.expr]:
        """A call's arguments, after checking that it is a plain call of a known function."""
        if not isinstance(node.func, ast.Name):
            raise self._refused(node, "only functions can be called, by their names")
        name = node.func.id
        if "__" in name:
            raise self._refused(
                node, f"{quoted(name)} is not read: names with double underscores are refused"
            )
        if name not in FUNCTION_NAMES:
            close = difflib.get_close_matches(name, FUNCTION_NAMES, n=3, cutoff=0.6)
            raise UnknownFunction(
                f"there is no function {quoted(name)}",
                where=self.source.where(node),
                because="" if name not in self.symbols else f"{quoted(name)} is declared, and not a function",
                try_=" or ".join(close) if close else f"write products with `*`: {name}*(...)",
            )
        if node.keywords:
            raise self._refused(node, f"{name} takes no arguments by name")
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
            self._check_number(node, value)
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
                raise self._refused(node, "the number is too large for a double")
            case str() | bytes():
                raise self._refused(node, "texts in quotes are not read")
            case complex():
                raise self._refused(
                    node, "imaginary numbers are not read: symgrad computes with real numbers"
                )
        raise self._refused(node, f"{node.value!r} is not a number")

    def _name(self, node: ast.Name) -> Value:
        name = node.id
        if "__" in name:
            raise self._refused(
                node, f"{quoted(name)} is not read: names with double underscores are refused"
            )
        if name in self.symbols:
            return self._declared_name(node)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in REFUSED_NAMES:
            raise self.source.error(
                node, f"{quoted(name)} is ambiguous", REFUSED_NAMES[name], f"declare it: `{name} = real`"
            )
        if name in FUNCTION_NAMES and name not in ALSO_LETTERS:
            raise self._refused(node, f"{name} is a function", f"call it: {name}(...)")
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
        terms = [(minus, self._operand(part)) for minus, part in _chain(node, (ast.Add, ast.Sub))]
        are_matrices = {_is_matrix(term) for _, term in terms}
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
            value = self._operand(part)
            if is_divided and _is_matrix(value):
                raise ShapeMismatch(
                    "cannot divide by a matrix", where=self.source.where(part), try_="write Inverse(A)*b"
                )
            if is_divided and value.is_zero:
                raise self._refused(part, "division by zero")
            factors.append(1 / value if is_divided else value)
        if any(map(_is_matrix, factors)):
            return functools.reduce(operator.mul, factors)
        return sp.Mul(*factors)

    def _power(self, node: ast.BinOp) -> Value:
        base, exponent = self._operand(node.left), self._operand(node.right)
        if _is_matrix(exponent):
            raise ShapeMismatch("an exponent cannot be a matrix", where=self.source.where(node))
        if isinstance(base, MatrixBase) and not (exponent.is_Integer and 0 <= exponent <= MAX_EXPLICIT_POWER):
            summary = f"an explicit Matrix has powers from 0 to {MAX_EXPLICIT_POWER}"
            raise self._refused(node, summary, "write Inverse(A), or products")
        is_constant = not _is_matrix(base) and base.is_number and exponent.is_number
        if not is_small_power(base, exponent) if is_constant else is_beyond(exponent, MAX_CONSTANT_BITS):
            raise self._too_large(node)
        return base**exponent

    def _unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return sp.Not(self._condition(node.operand))
        value = self._operand(node.operand)
        return -value if isinstance(node.op, ast.USub) else value

    def _logic(self, node: ast.BoolOp) -> Value:
        conditions = [self._condition(part) for part in node.values]
        return (sp.And if isinstance(node.op, ast.And) else sp.Or)(*conditions)

    def _comparison(self, node: ast.Compare) -> Value:
        parts = [node.left, *node.comparators]
        values = [self._scalar(part) for part in parts]
        relations = []
        for kind, left, right in zip(node.ops, values, values[1:], strict=False):
            if type(kind) not in RELATION_OF_NODE:
                raise self._refused(node, "only the comparisons < <= > >= == != are read")
            relations.append(RELATION_OF_NODE[type(kind)](left, right))
        return sp.And(*relations)

    def _element(self, node: ast.Subscript) -> Value:
        array = self.values[node.value]
        indices = [self._scalar(part) for part in _index_parts(node)]
        if _is_matrix(array):
            if len(indices) == 1 and array.shape[1] == 1:
                indices.append(sp.Integer(0))  # a column vector: x[i] is x[i, 0]
            if len(indices) != 2:
                raise self._refused(node, f"a matrix has 2 indices, not {len(indices)}")
            return array[tuple(indices)]
        if isinstance(array, sp.IndexedBase):
            if array.shape is not None and len(array.shape) != len(indices):
                raise self._refused(node, f"this array has {len(array.shape)} indices, not {len(indices)}")
            return array[tuple(indices)]
        name = self.source.piece(node.value)[1:-1]
        sizes = ", ".join("nmpq"[: len(indices)])
        raise self.source.error(
            node,
            f"{quoted(name)} is not an array",
            f"it is {_described(array)}",
            f"declare it: `{name} = array({sizes})`",
        )

    def _attribute(self, node: ast.Attribute) -> Value:
        value = self.values[node.value]
        if not _is_matrix(value):
            raise self._refused(node, f"only matrices have a transpose, not {_described(value)}")
        return value.T

    # --- calls ---

    def _call(self, node: ast.Call) -> Value:
        assert isinstance(node.func, ast.Name)  # _arguments has checked it
        name = node.func.id
        if name in ELEMENTWISE:
            arguments = [self._scalar(part, f"map({name}, X)") for part in node.args]
            return self._elementwise(node, name, arguments)
        if name in RELATIONS:
            return RELATIONS[name](*(self._scalar(part) for part in node.args))
        if name in LOGIC:
            return LOGIC[name](*(self._condition(part) for part in node.args))
        if name in MATRIX:
            return MATRIX[name](*(self._matrix(part) for part in node.args))
        if name in OF_SIZES:
            return OF_SIZES[name](*(self._scalar(part) for part in node.args))
        if name in OVER_INDICES:
            return self._over_indices(node, OVER_INDICES[name])
        special: dict[str, Callable[[ast.Call], Value]] = {
            "Piecewise": self._piecewise,
            "Matrix": self._explicit_matrix,
            "BlockMatrix": self._block_matrix,
            "HadamardPower": lambda call: sp.HadamardPower(*self._exactly(call, self._matrix, self._scalar)),
            "Lambda": self._lambda,
            "map": self._map,
        }
        return special[name](node)

    def _elementwise(self, node: ast.AST, name: str, arguments: list[Value]) -> Value:
        """One function of numbers, after refusing constants that SymPy would compute with at length."""
        largest = LARGEST_ARGUMENT.get(name)
        if largest is not None and any(is_beyond(part, largest) for part in arguments):
            raise self._too_large(node)
        is_exact = [part.is_number and not isinstance(part, (sp.Rational, sp.Float)) for part in arguments]
        if name in ROUNDING and any(is_exact):
            raise self._refused(node, f"{name} of an exact constant is not read", "write it as a decimal")
        return ELEMENTWISE[name](*arguments)

    def _exactly(self, node: ast.Call, *readers: Callable[[ast.expr], Value]) -> list[Value]:
        if len(node.args) != len(readers):
            raise self._refused(node, f"this function takes {len(readers)} arguments, not {len(node.args)}")
        return [reader(part) for reader, part in zip(readers, node.args, strict=True)]

    def _over_indices(self, node: ast.Call, make: Callable[..., Value]) -> Value:
        if len(node.args) < 2:
            raise self._refused(node, "a sum or product needs limits", "Sum(x[i], (i, 0, n - 1))")
        body = self._scalar(node.args[0])
        limits = []
        for part in node.args[1:]:
            limit = self.values[part]
            if not (isinstance(limit, tuple) and len(limit) == 3 and isinstance(limit[0], sp.Symbol)):
                raise self._refused(part, "limits are an index, a first and a last value", "(i, 0, n - 1)")
            limits.append(limit)
        value = make(body, *limits)
        if not value.free_symbols and math.prod(map(length_of_limit, limits)) > MAX_CONSTANT_TERMS:
            raise self._too_large(node)
        return value

    def _piecewise(self, node: ast.Call) -> Value:
        pairs = []
        for part in node.args:
            if not (isinstance(part, ast.Tuple) and len(part.elts) == 2):
                raise self._refused(part, "Piecewise takes pairs", "Piecewise((a, condition), (b, True))")
            pairs.append((self._scalar(part.elts[0]), self._condition(part.elts[1])))
        return sp.Piecewise(*pairs)

    def _explicit_matrix(self, node: ast.Call) -> Value:
        rows = self._rows(node, self._scalar)
        return sp.ImmutableDenseMatrix(rows)

    def _block_matrix(self, node: ast.Call) -> Value:
        return sp.BlockMatrix(self._rows(node, self._matrix))

    def _rows(self, node: ast.Call, reader: Callable[[ast.expr], Value]) -> list[list[Value]]:
        """The rows of `Matrix([[a, b], [c, d]])`; a flat list is a column, as in SymPy."""
        if len(node.args) != 1 or not isinstance(node.args[0], ast.List):
            raise self._refused(node, "this takes one list of rows", "Matrix([[a, b], [c, d]])")
        rows = node.args[0].elts
        if not any(isinstance(row, ast.List) for row in rows):
            return [[reader(row)] for row in rows]
        values = [[reader(part) for part in row.elts] for row in rows if isinstance(row, ast.List)]
        if len(values) < len(rows) or len({len(row) for row in values}) > 1:
            raise ShapeMismatch("the rows have different lengths", where=self.source.where(node))
        return values

    def _lambda(self, node: ast.Call) -> Value:
        variable, body = self._exactly(node, self._scalar, self._scalar)
        if not isinstance(variable, sp.Symbol):
            raise self._refused(node, "the first argument of Lambda is its variable", "Lambda(t, t**2)")
        return sp.Lambda(variable, body)

    def _map(self, node: ast.Call) -> Value:
        if len(node.args) != 2:
            raise self._refused(node, "map takes a function and a matrix", "map(tanh, X)")
        function, matrix = self._mapped_function(node.args[0]), self._matrix(node.args[1])
        if isinstance(matrix, sp.MatrixExpr) and not isinstance(matrix, MatrixBase):
            return matrix.applyfunc(function)
        first = node.args[0]
        if not isinstance(first, ast.Name):
            # Substituting constants could ask for anything, past the checks of single operations.
            raise self._refused(
                node, "a Lambda cannot be mapped over an explicit Matrix", "write its elements"
            )
        name = first.id
        return sp.ImmutableDenseMatrix(
            *matrix.shape, [self._elementwise(node, name, [element]) for element in matrix.flat()]
        )

    def _mapped_function(self, part: ast.expr) -> sp.Lambda:
        if part in self.values:
            function = self.values[part]
            if isinstance(function, sp.Lambda):
                return function
            raise self._refused(
                part, "the first argument of map is a function", "map(tanh, X) or map(Lambda(t, t**2), X)"
            )
        assert isinstance(part, ast.Name)  # _arguments leaves out nothing else
        variable = sp.Symbol("t", real=True)
        return sp.Lambda(variable, ELEMENTWISE[part.id](variable))

    # --- checks of operands ---

    def _operand(self, part: ast.expr) -> Value:
        """A number or a matrix."""
        value = self.values[part]
        if _is_matrix(value) or _is_scalar(value):
            return value
        hint = "index it: x[i]" if isinstance(value, sp.IndexedBase) else ""
        raise self._refused(part, f"{_described(value)} cannot be computed with", hint)

    def _scalar(self, part: ast.expr, for_matrices: str = "") -> Value:
        value = self.values[part]
        if _is_scalar(value):
            return value
        if _is_matrix(value):
            raise ShapeMismatch(
                "a number is needed, not a matrix",
                where=self.source.where(part),
                because="its shape is (" + ", ".join(map(str, value.shape)) + ")",
                try_=for_matrices,
            )
        raise self._refused(part, f"a number is needed, not {_described(value)}")

    def _matrix(self, part: ast.expr) -> Value:
        value = self.values[part]
        if _is_matrix(value):
            return value
        raise self._refused(
            part,
            f"a matrix is needed, not {_described(value)}",
            'declare it, for example --let "X = matrix(n, d)"',
        )

    def _condition(self, part: ast.expr) -> Value:
        value = self.values[part]
        if isinstance(value, sp.logic.boolalg.Boolean) and not isinstance(value, sp.Symbol):
            return value
        raise self._refused(part, f"a condition is needed, not {_described(value)}", "compare with 0: x > 0")

    def _check_number(self, node: ast.AST, value: Value) -> None:
        """Constants stay finite, and small enough that nothing computed from them takes long."""
        elements = value.flat() if isinstance(value, MatrixBase) else [value] if _is_scalar(value) else []
        for element in elements:
            if element in _NOT_NUMBERS:
                raise self._refused(node, "this is not a finite number")
            if element.is_number and not is_small(element):
                raise self._too_large(node)

    def _too_large(self, node: ast.AST) -> ParseError:
        return self.source.error(
            node,
            "this constant is too large to compute",
            f"the limits are {MAX_CONSTANT_BITS} bits and {MAX_CONSTANT_TERMS} terms",
        )


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


def _is_matrix(value: Value) -> bool:
    return isinstance(value, (sp.MatrixExpr, MatrixBase))


def _is_scalar(value: Value) -> bool:
    return isinstance(value, sp.Expr) and not isinstance(value, (sp.MatrixExpr, sp.IndexedBase, sp.Lambda))


def _described(value: Value) -> str:
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
