"""Arrays in index form: a shape, and a scalar SymPy expression for the entry at given indices.

`symgrad.nn` and `symgrad.losses` are written with what is here: `Entries`, sums over axes with bound indices
of their own, the choice between two values `Where`, and the checks of shapes and constants that layers have
in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from symgrad.errors import BadArgument, BadOption, ShapeMismatch
from symgrad.frontend.conditions import check_conditions

Array = Any  # MatrixExpr | Matrix | IndexedBase | Entries: SymPy's classes have no common type to name
Number = Any  # whatever sympify turns into a scalar expression: int, float, Symbol, Expr


class Where(sp.Expr):
    """`Where(condition, yes, no)`: a choice between two scalars that stays where it was written.

    It means `Piecewise((yes, condition), (no, True))`, and is written instead of it because SymPy's `Sum`
    pulls every `Piecewise` of its body to the top, through the sums inside, so that their index leaves its
    sum: in SymPy 1.14 `Sum(f[i]*Sum(Piecewise((x[i, k], x[i, k] > 0), (0, True)), (k, 0, n)), (i, 0, n))`
    comes out with a condition on a free `k`. A condition that is decided when the expression is built gives
    one of the two values.

        >>> x = sp.Symbol("x", real=True)
        >>> Where(x > 0, x, 0), Where(x > 0, x, 0).subs(x, 3), Where(x > 0, x**2, 0).diff(x)
        (Where(x > 0, x, 0), 3, Where(x > 0, 2*x, 0))
    """

    is_commutative = True

    def __new__(cls, condition: Any, yes: Any, no: Any) -> sp.Expr:
        """A new choice, or one of the two values if the condition is decided."""
        test, if_true, if_false = sp.sympify(condition, strict=True), scalar(yes), scalar(no)
        if test is sp.true or if_true == if_false:
            return if_true
        return if_false if test is sp.false else super().__new__(cls, test, if_true, if_false)

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        condition, yes, no = self.args
        return Where(condition, yes.diff(symbol), no.diff(symbol))

    def _eval_is_extended_real(self) -> bool | None:
        return _agreed(value.is_extended_real for value in self.args[1:])

    def _eval_is_finite(self) -> bool | None:
        return _agreed(value.is_finite for value in self.args[1:])

    def _eval_rewrite_as_Piecewise(self, condition: Any, yes: Any, no: Any, **_: Any) -> sp.Expr:
        return sp.Piecewise((yes, condition), (no, True))

    def _latex(self, printer: Any) -> str:
        choice = sp.Piecewise((self.args[1], self.args[0]), (self.args[2], True), evaluate=False)
        return str(printer.doprint(choice))

    def _numpycode(self, printer: Any) -> str:
        return f"{printer._module_format('numpy.where')}({', '.join(map(printer._print, self.args))})"


def _agreed(facts: Iterable[bool | None]) -> bool | None:
    known = set(facts)
    return known.pop() if len(known) == 1 else None


def piecewise_to_where(expression: sp.Basic) -> Any:
    """The expression with every `Piecewise` written as nested `Where`; `nan` where no condition holds.

    Raises UnsupportedExpression where SymPy has moved a condition out of its sum already.
    """
    check_conditions(expression)
    rewritten: dict[sp.Basic, sp.Basic] = {}
    stack = [expression]
    while stack:  # not a recursion: the depth is the user's
        part = stack[-1]
        missing = [arg for arg in part.args if arg not in rewritten]
        if missing and part not in rewritten:
            stack.extend(missing)
            continue
        stack.pop()
        args = [rewritten[arg] for arg in part.args]
        if isinstance(part, sp.Piecewise):
            rewritten[part] = _chain(args)
        else:
            same = all(new is old for new, old in zip(args, part.args, strict=True))
            rewritten[part] = part if same else part.func(*args)
    return rewritten[expression]


def _chain(pairs: Sequence[Any]) -> sp.Expr:
    result: sp.Expr = sp.S.NaN
    for value, condition in reversed(pairs):
        result = Where(condition, value, result)
    return result


class Entries:
    """An array given by its shape and by its entry at given indices; the index form of a layer's result.

    `shape` is a tuple of sizes; `entry(*indices)` returns a scalar SymPy expression. `A[i, j]` calls it, once
    for each tuple of indices: asking again returns the same object. A `Piecewise` in it is turned into
    `Where`. An `Entries` is also the way to write an array that has no symbol, such as a causal mask:

        >>> n = sp.Symbol("n", integer=True, positive=True)
        >>> causal = Entries((n, n), lambda i, j: Where(j <= i, 0, -sp.oo))
        >>> causal[1, 0], causal[0, 1]
        (0, -oo)

    Raises ShapeMismatch where the number of indices is not the number of axes.
    """

    __slots__ = ("_entry", "_known", "shape")

    def __init__(self, shape: Sequence[Number], entry: Callable[..., Any]) -> None:
        self.shape: tuple[sp.Expr, ...] = tuple(scalar(size) for size in shape)
        self._entry = entry
        self._known: dict[tuple[sp.Expr, ...], sp.Expr] = {}

    def __getitem__(self, indices: Any) -> sp.Expr:
        given = indices if isinstance(indices, tuple) else (indices,)
        key = tuple(scalar(index) for index in given)
        if len(key) != len(self.shape):
            raise ShapeMismatch(
                f"{len(key)} indices for an array of {len(self.shape)} axes",
                where=f"[{', '.join(map(str, key))}]",
                because=f"the array has shape {shape_text(self.shape)}",
                try_="give one index for each axis",
            )
        if key not in self._known:
            self._known[key] = piecewise_to_where(scalar(self._entry(*key)))
        return self._known[key]

    def __repr__(self) -> str:
        return f"Entries(shape={shape_text(self.shape)})"


def entries(array: Array, where: str = "entries") -> Entries:
    """The index form: `Entries` as they are, `IndexedBase` and matrices by their elements.

    Raises BadArgument for anything else, and for an IndexedBase without a shape (its sums would have no
    limits).
    """
    if isinstance(array, Entries):
        return array
    if isinstance(array, sp.IndexedBase):
        if array.shape is None:
            raise BadArgument(
                f"{array} has no shape",
                where=where,
                because="the ranges of the sums in the result come from the shapes",
                try_=f'IndexedBase("{array}", shape=(n, d))',
            )
        return Entries(array.shape, lambda *index: array[index])
    if is_matrix(array):
        return Entries(array.shape, lambda i, j: array[i, j])
    raise not_an_array(array, where)


def is_matrix(array: object) -> bool:
    """Whether this is a SymPy matrix, explicit or not."""
    return isinstance(array, MatrixExpr | sp.MatrixBase)


def is_matrix_form(*arrays: object) -> bool:
    """Whether all arrays given (None means left out) are matrices, so that the result is one."""
    return all(is_matrix(array) for array in arrays if array is not None)


def sum_entries(extents: Sequence[Number], body: Callable[..., Any], indices: Sequence[Any] = ()) -> sp.Sum:
    """The sum of `body(k1, k2, ...)` over `0 <= k1 < extents[0]`, and so on, with bound indices of its own.

    `indices` are those that stand free in the body. The bound indices are numbered upwards from the highest
    number among them, which keeps a sum inside a sum from capturing the outer index, and makes equal formulas
    equal.
    """
    free = set[Any]().union(*(scalar(index).free_symbols for index in indices))
    depth = max((-symbol.dummy_index for symbol in free if _is_bound_index(symbol)), default=1) - 1
    bound = [_bound_index(depth + 1 + axis) for axis in range(len(extents))]
    limits = [(k, 0, scalar(extent) - 1) for k, extent in zip(bound, extents, strict=True)]
    return sp.Sum(scalar(body(*bound)), *limits)


@cache
def _bound_index(number: int) -> sp.Dummy:
    # A Dummy equals no symbol of the user's; its negative dummy_index equals none that SymPy counts up to.
    return sp.Dummy(f"k{number}", integer=True, nonnegative=True, dummy_index=-1 - number)


def _is_bound_index(symbol: object) -> bool:
    return isinstance(symbol, sp.Dummy) and symbol.dummy_index < 0 and symbol.is_integer is True


def shape_text(shape: Sequence[Any]) -> str:
    """A shape as it stands in a message: `(n, 3)`, `(n,)`."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def same_size(a: Number, b: Number) -> bool:
    """Whether two sizes are the same for every value of the symbols in them."""
    return bool(a == b or sp.expand(scalar(a) - scalar(b)) == 0)


def check_same_shape(where: str, **arrays: Array) -> None:
    """Raise ShapeMismatch unless all arrays have the shape of the first; messages use their names."""
    (first, a), *others = arrays.items()
    for name, b in others:
        if len(a.shape) != len(b.shape) or not all(map(same_size, a.shape, b.shape)):
            raise ShapeMismatch(
                f"{first} and {name} have different shapes",
                where=where,
                because=f"{first} is {shape_text(a.shape)}, {name} is {shape_text(b.shape)}",
                try_="give both the same shape, written with the same size symbols",
            )


def check_size(where: str, name: str, got: Number, expected: Number, of: str) -> None:
    """Raise ShapeMismatch unless the size `got` of `name` is the size `expected` of `of`."""
    if not same_size(got, expected):
        raise ShapeMismatch(
            f"{name} does not fit {of}",
            where=where,
            because=f"{name} is {got}, {of} is {expected}",
            try_="make the two sizes the same expression",
        )


def check_rank(where: str, name: str, array: Entries, least: int, most: int | None = None) -> None:
    """Raise ShapeMismatch unless the number of axes is in `least..most` (no upper limit if None)."""
    rank = len(array.shape)
    if rank < least or (most is not None and rank > most):
        wanted = f"{least} axes" if least == most else f"at least {least} axes"
        raise ShapeMismatch(
            f"{name} has {rank} axes, not {wanted}",
            where=where,
            because=f"its shape is {shape_text(array.shape)}",
            try_="see the layer's docstring for the order of the axes",
        )


def scalar(value: Any, where: str = "scalar") -> sp.Expr:
    """A number or expression as a SymPy scalar; BadArgument for anything else, text included."""
    try:
        result = sp.sympify(value, strict=True)
    except sp.SympifyError:
        result = None
    if not isinstance(result, sp.Expr) or isinstance(result, MatrixExpr):
        raise BadArgument(
            f"{value!r} is not a scalar",
            where=where,
            because=f"it is a {type(value).__name__}",
            try_="a number, a Symbol, or a scalar expression",
        )
    return result


def positive(where: str, name: str, value: Number) -> sp.Expr:
    """The value as an expression; raise BadOption if it is known not to be positive."""
    result = scalar(value, where)
    if result.is_extended_positive is False:
        raise BadOption(
            f"{name} is {value}",
            where=where,
            because=f"{name} has to be positive",
            try_=f"{name}=1, or a symbol declared positive",
        )
    return result


def not_an_array(array: object, where: str) -> BadArgument:
    """The error for something that is no array."""
    return BadArgument(
        f"{array} is not an array",
        where=where,
        because=f"it is a {type(array).__name__}",
        try_="a MatrixSymbol, a matrix expression, an IndexedBase with a shape, or Entries",
    )


def row_vector(where: str, name: str, array: Array, size: Number) -> Array:
    """A vector of one number per column: a `(1, size)` matrix as it is, else `Entries` of shape `(size,)`."""
    if is_matrix(array):
        check_size(where, f"the number of rows of {name}", array.shape[0], 1, "a row")
        check_size(where, f"the length of {name}", array.shape[1], size, "the number of columns")
        return array
    vector = entries(array, where)
    if len(vector.shape) == 2 and vector.shape[0] == 1:  # a row, as in matrix form
        row = vector
        vector = Entries((row.shape[1],), lambda j: row[0, j])
    check_rank(where, name, vector, 1, 1)
    check_size(where, f"the length of {name}", vector.shape[0], size, "the number of columns")
    return vector


def vector_entries(where: str, name: str, array: Array, size: Number) -> Entries:
    """The same as `Entries` of rank 1."""
    vector = row_vector(where, name, array, size)
    return Entries((size,), lambda j: vector[0, j]) if is_matrix(vector) else vector
