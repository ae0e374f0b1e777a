"""`sg.lambdify`: SymPy's `lambdify`, compiled, and broadcasting everywhere, constants included.

SymPy's version gives a number for a constant expression whatever the shape of its input, and fails for a
matrix or a list that mixes constants with arrays; here every entry has the broadcast shape of the arguments.
"""

from __future__ import annotations

import inspect
import itertools
import keyword
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from math import prod
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.tensor.array import NDimArray

from symgrad.errors import BadArgument, BadOption, quoted
from symgrad.frontend.arguments import name_of
from symgrad.frontend.describe import show
from symgrad.frontend.parse import parse_expression
from symgrad.pipeline import compile as compile_kernel
from symgrad.records import dataclass
from symgrad.run.kernel import Kernel

Array = np.ndarray
_ARRAYS = (sp.MatrixSymbol, sp.IndexedBase)
_STOOD_FOR = (AppliedUndef, sp.Derivative, sp.Indexed)
_HAS_EVALUATE = (sp.Add, sp.Mul, sp.Pow, sp.Function, sp.Max, sp.Min)
_MODULES = ("numpy", "scipy")


def lambdify(
    args: Any,
    expr: Any,
    modules: Any = None,
    *,
    backend: str = "llvm",
    dtype: Any = "float64",
    cse: bool = True,
) -> Lambdified:
    """A compiled function of numbers and arrays from a SymPy expression; a drop-in for `sympy.lambdify`.

    args     a symbol, or a sequence of symbols, of nested sequences of symbols (their values are unpacked
             likewise) and of matrices of symbols; MatrixSymbol and IndexedBase take arrays. Functions such as
             f(t), their derivatives, and elements such as v[0] are arguments like symbols.
    expr     a scalar, a relation, a Matrix or Array, a matrix expression, a list or tuple of these, nested as
             you like; or a text, read by the safe parser.
    modules  left out, or "numpy" or "scipy", which change nothing: the code is our own.
    cse      accepted for likeness: common subexpressions are always shared.
    backend, dtype  as for `compile`.

    The function broadcasts its arguments as NumPy would, to a shape S. It returns
        for a scalar             a float, or an array of shape S; for a relation a bool, or an array of them;
        for a Matrix or Array    an array of its own shape followed by S, as SymPy does;
        for a list or tuple      a list or tuple of these;
        for a matrix expression  an array of shape S followed by its own, where S are the axes of arguments
                                 before the declared ones, as for every kernel.

    Raises BadArgument, BadOption, and what `compile` raises: what SymPy's version reports at the first call,
    such as a free symbol that is no argument, or an unknown function, is reported here, before any call.
    """
    _check_modules(modules)
    arguments = _Arguments.of(_with_symbols(args, expr))
    if isinstance(expr, str):
        expr = parse_expression(expr, {name_of(s): s for s in arguments.symbols})
    shape = _Shape()
    result = shape.add(expr)
    scalars = [_replaced(e, arguments.stand_ins) for e in shape.scalars]
    wholes = [_replaced(e, arguments.stand_ins) for e in shape.wholes]

    def compiled(e: Any) -> Kernel:
        return compile_kernel(e, arguments.symbols, (), outputs="value", backend=backend, dtype=dtype)

    # Several scalars are compiled as one list, to share what they have in common. Without any, a constant
    # still tells the shape of the arguments.
    entries = None
    if shape.has_blocks or scalars or not wholes:
        entries = compiled(scalars[0] if len(scalars) == 1 else scalars or sp.Integer(0))
    return Lambdified(arguments, result, len(scalars), entries, tuple(map(compiled, wholes)))


def _check_modules(modules: Any) -> None:
    named = (modules,) if isinstance(modules, str) or modules is None else modules
    if isinstance(named, Mapping) or any(name is not None and name not in _MODULES for name in named):
        raise BadOption(
            f"modules={modules!r} is not used",
            because="the function is compiled; its code calls no Python module",
            try_='leave it out; "numpy" and "scipy" are accepted and change nothing',
        )


# ---- the function ------------------------------------------------------------------------------


class Lambdified:
    """A function made by `lambdify`: call it as you would call SymPy's. It can be pickled.

    source   the text that was compiled.
    """

    def __init__(
        self,
        arguments: _Arguments,
        result: Any,
        count: int,
        entries: Kernel | None,
        wholes: tuple[Kernel, ...],
    ) -> None:
        self._arguments, self._result, self._count = arguments, result, count
        self._kernel, self._wholes = entries, wholes
        self._is_plain = arguments.is_flat and result == _Entry(0) and entries is not None
        self.__name__ = "lambdified"
        self.__doc__ = f"A function of ({', '.join(arguments.names)}), compiled by symgrad.lambdify."
        # Functions such as SciPy's curve_fit look here for the number of parameters.
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter(_identifier(name, k), inspect.Parameter.POSITIONAL_OR_KEYWORD)
                for k, name in enumerate(arguments.names)
            ]
        )

    @property
    def source(self) -> str:
        kernels = [self._kernel, *self._wholes]
        return "\n".join(kernel.source for kernel in kernels if kernel is not None)

    def __repr__(self) -> str:
        return f"<lambdified ({', '.join(self._arguments.names)})>"

    def __call__(self, *args: Any, **by_name: Any) -> Any:
        """Evaluate at the arguments, by position or by name; see `lambdify` for the shapes.

        Raises BadArgument, ShapeMismatch, DtypeMismatch.
        """
        names = self._arguments.names
        if by_name or len(args) != len(names):
            args = _in_order(names, args, by_name)
        if self._is_plain and self._kernel is not None:
            return self._kernel(*args)
        values = args if self._arguments.is_flat else self._arguments.unpacked(args)
        wholes = [kernel(*values) for kernel in self._wholes]
        return self._result.built(self._entries(values), wholes)

    def _entries(self, values: Sequence[Any]) -> Array:
        """The scalar entries, (entries, *S)."""
        if self._kernel is None:
            return np.zeros(0)
        found = np.asarray(self._kernel(*values))
        if self._count == 0:
            return np.zeros((0, *found.shape), found.dtype)
        return found[None] if self._count == 1 else np.ascontiguousarray(np.moveaxis(found, -1, 0))


def _with_symbols(args: Any, expr: Any) -> Any:
    """Names given as text become the symbols of the expression that have them, as in SymPy."""
    if isinstance(args, (list, tuple)):
        return type(args)([_with_symbols(part, expr) for part in args])
    if not isinstance(args, str):
        return args
    found = sorted((s for s in _free_symbols(expr) if s.name == args), key=repr)
    return found[0] if found else args


def _free_symbols(expr: Any) -> set[Any]:
    if isinstance(expr, (list, tuple)):
        return {s for part in expr for s in _free_symbols(part)}
    return {s for s in getattr(expr, "free_symbols", ()) if isinstance(s, sp.Symbol)}


def _in_order(names: Sequence[str], args: Sequence[Any], by_name: Mapping[str, Any]) -> tuple[Any, ...]:
    given = dict(zip(names, args, strict=False))
    if len(args) > len(names) or given.keys() & by_name.keys() or {*given, *by_name} != {*names}:
        raise BadArgument(
            f"{len(args)} arguments given by position, and {', '.join(by_name) or 'none'} by name",
            because="the arguments are " + (", ".join(names) or "none"),
            try_="give each of them once",
        )
    given.update(by_name)
    return tuple(given[name] for name in names)


def _identifier(name: str, position: int) -> str:
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"argument_{position}"


# ---- what it returns ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """One scalar, a relation if `is_truth`."""

    position: int
    is_truth: bool = False

    def built(self, entries: Array, wholes: Sequence[Any]) -> Any:
        value = entries[self.position]
        value = value != 0 if self.is_truth else value
        return value.item() if np.ndim(value) == 0 else value


@dataclass(frozen=True)
class _Block:
    """An explicit Matrix or Array of scalars."""

    first: int
    shape: tuple[int, ...]

    def built(self, entries: Array, wholes: Sequence[Any]) -> Any:
        part = entries[self.first : self.first + prod(self.shape)]
        return part.reshape(self.shape + entries.shape[1:])


@dataclass(frozen=True)
class _Whole:
    """A matrix expression, by a kernel of its own."""

    position: int

    def built(self, entries: Array, wholes: Sequence[Any]) -> Any:
        return wholes[self.position]


@dataclass(frozen=True)
class _Several:
    """A list or a tuple."""

    make: type
    parts: tuple[Any, ...]

    def built(self, entries: Array, wholes: Sequence[Any]) -> Any:
        return self.make(part.built(entries, wholes) for part in self.parts)


@dataclass
class _Shape:
    """Takes an expression apart: its scalars, its matrix expressions, and how the result is put together."""

    scalars: list[Any] = field(default_factory=list)
    wholes: list[Any] = field(default_factory=list)
    has_blocks: bool = False

    def add(self, expr: Any) -> Any:
        """The recipe for an expression. Recurses over lists in lists, not over expressions."""
        if isinstance(expr, (list, tuple, sp.Tuple)):
            return _Several(list if isinstance(expr, list) else tuple, tuple(self.add(part) for part in expr))
        if isinstance(expr, (sp.MatrixBase, NDimArray)):
            self.has_blocks = True
            block = _Block(len(self.scalars), tuple(int(n) for n in expr.shape))
            self.scalars += (
                expr.flat() if isinstance(expr, sp.MatrixBase) else expr.reshape(len(expr)).tolist()
            )
            return block
        if isinstance(expr, MatrixExpr):
            self.wholes.append(expr)
            return _Whole(len(self.wholes) - 1)
        return self._add_scalar(expr)

    def _add_scalar(self, expr: Any) -> _Entry:
        try:
            scalar = sp.sympify(expr, strict=True)
        except sp.SympifyError:
            scalar = None
        if not isinstance(scalar, (sp.Expr, sp.logic.boolalg.Boolean)):
            raise BadArgument(
                f"{quoted(type(expr).__name__)} is not an expression",
                try_="a scalar, a relation, a Matrix, a matrix expression, or a list of these",
            )
        is_truth = not isinstance(scalar, sp.Expr)
        self.scalars.append(sp.Piecewise((1, scalar), (0, True)) if is_truth else scalar)
        return _Entry(len(self.scalars) - 1, is_truth)


# ---- its arguments -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Leaf:
    """One argument of the kernel."""

    name: str

    def values(self, given: Any) -> Iterator[Any]:
        yield given


@dataclass(frozen=True)
class _Nested:
    """A sequence of arguments; its value is a sequence or an array with one item for each."""

    parts: tuple[Any, ...]

    def values(self, given: Any) -> Iterator[Any]:
        items = list(given) if np.iterable(given) else [given]
        if len(items) != len(self.parts):
            raise BadArgument(
                f"a value has {len(items)} parts, {len(self.parts)} expected",
                because="nested arguments are unpacked along the first axis",
            )
        for part, item in zip(self.parts, items, strict=True):
            yield from part.values(item)


@dataclass(frozen=True)
class _Grid:
    """A matrix of symbols; its value has the same shape, then axes that broadcast (a column may be flat)."""

    shape: tuple[int, int]

    def values(self, given: Any) -> Iterator[Any]:
        array = np.asarray(given)
        rows, columns = self.shape
        if array.shape[:2] == self.shape:
            yield from array.reshape(rows * columns, *array.shape[2:])
        elif 1 in self.shape and array.shape[:1] == (rows * columns,):
            yield from array
        else:
            raise BadArgument(
                f"a value has shape {array.shape}", because=f"its matrix has shape {self.shape}"
            )


@dataclass(frozen=True)
class _Arguments:
    """The arguments as the user nests them, and as the kernel takes them.

    names      of the outermost arguments; `tree` what each of them consists of.
    symbols    of the kernel, in order.
    stand_ins  expression -> the symbol that the kernel takes for it.
    """

    names: tuple[str, ...]
    tree: tuple[Any, ...]
    symbols: tuple[Any, ...]
    stand_ins: Mapping[Any, Any]

    @property
    def is_flat(self) -> bool:
        return all(isinstance(part, _Leaf) for part in self.tree)

    @staticmethod
    def of(args: Any) -> _Arguments:
        is_sequence = isinstance(args, (list, tuple, sp.Tuple, sp.MatrixBase))
        given = list(args) if is_sequence else [args]
        collected = _Collected()
        tree = tuple(collected.add(part) for part in given)
        names = tuple(
            part.name if isinstance(part, _Leaf) else f"argument_{k}" for k, part in enumerate(tree)
        )
        return _Arguments(names, tree, tuple(collected.symbols), collected.stand_ins)

    def unpacked(self, args: Sequence[Any]) -> list[Any]:
        return [value for part, given in zip(self.tree, args, strict=True) for value in part.values(given)]


class _Collected:
    """Gathers the symbols of nested arguments, with one name for each."""

    def __init__(self) -> None:
        self.symbols: list[Any] = []
        self.stand_ins: dict[Any, Any] = {}
        self._taken: dict[str, Any] = {}

    def add(self, part: Any) -> Any:
        if isinstance(part, (list, tuple, sp.Tuple)):
            return _Nested(tuple(self.add(inner) for inner in part))
        if isinstance(part, sp.MatrixBase):
            for symbol in part.flat():
                self.add(symbol)
            return _Grid(tuple(part.shape))
        if isinstance(part, str):
            part = sp.Symbol(part)
        if isinstance(part, _ARRAYS):
            symbol = part
        elif isinstance(part, (sp.Symbol, *_STOOD_FOR)):
            symbol = self._with_own_name(part)
        else:
            raise BadArgument(
                f"an argument has to be a symbol, not {type(part).__name__}",
                where=show(part) if isinstance(part, sp.Basic) else repr(part)[:80],
                try_="symbols, sequences of symbols, or matrices of symbols",
            )
        self.symbols.append(symbol)
        return _Leaf(name_of(symbol))

    def _with_own_name(self, part: Any) -> Any:
        """The symbol itself, or a stand-in where it is no symbol or another one prints like it."""
        name = part.name if isinstance(part, sp.Symbol) else show(part)
        if isinstance(part, sp.Symbol) and self._taken.setdefault(name, part) == part:
            return part
        own = next(n for n in (f"{name}_{k}" for k in itertools.count(1)) if self._taken.get(n, part) == part)
        self._taken[own] = part
        self.stand_ins[part] = sp.Symbol(own, real=True)
        return self.stand_ins[part]


def _replaced(expr: Any, stand_ins: Mapping[Any, Any]) -> Any:
    """The expression with stand-ins put in, without recursion over its depth."""
    if not stand_ins:
        return expr
    done: dict[Any, Any] = dict(stand_ins)
    stack = [expr]
    while stack:
        part = stack[-1]
        missing = [arg for arg in part.args if arg not in done] if part not in done else []
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        if part not in done:
            args = [done[arg] for arg in part.args]
            is_same = all(a is b for a, b in zip(args, part.args, strict=True))
            # Evaluating again would recurse, and change nothing: the parts already are as SymPy left them.
            unevaluated = {"evaluate": False} if isinstance(part, _HAS_EVALUATE) else {}
            done[part] = part if is_same else part.func(*args, **unevaluated)
    return done[expr]
