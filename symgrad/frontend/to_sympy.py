"""IR back to SymPy: what `P.grad` and `P.hess` print.

    frontend/scalar_form.py    one body as a scalar expression        (shared by the two forms)
    frontend/matrix_form.py    definitions as matrix products         X.T*(X*w - y)
    frontend/elementwise.py    bodies over two axes as matrices       tanh, scaled rows, outer products
    frontend/matrix_algebra.py products, sums, transposes as one would write them
    frontend/index_form.py     definitions as sums over indices       [i] -> Sum(X[k, i]*r[k], (k, 0, n - 1))

The result equals the program in exact arithmetic. Forms that exist for floating point only are undone:
log-sum-exp prints as log(Sum(exp(...))), softmax as a quotient, log1p as log(1 + x).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import sympy as sp

from symgrad.errors import BadOption, UnsupportedExpression
from symgrad.frontend.elementwise import NoMatrixForm
from symgrad.frontend.index_form import IndexedExpression, IndexForm
from symgrad.frontend.matrix_form import MatrixForm
from symgrad.frontend.printed_size import PrintedSize
from symgrad.ir.graph import Graph, Node, TensorId

__all__ = ["IndexedExpression", "node_to_sympy", "to_sympy", "to_sympy_with_names"]

Expr = Any  # Expr, MatrixExpr, ImmutableMatrix, NDimArray, IndexedExpression, or a tuple of these
Named = list[tuple[Expr, Expr]]

MOST_NODES = 20_000  # of the graph
_WORTH_A_NAME = 6  # operations and symbols


def to_sympy(
    g: Graph,
    tensor: TensorId,
    symbols: Mapping[TensorId, Expr],
    sizes: Mapping[str, Expr],
    prefer: str = "matrix",
    shape: Sequence[Any] | None = None,
) -> Expr:
    """A tensor as a SymPy expression.

    symbols  input tensor -> Symbol, MatrixSymbol (read at two indices) or IndexedBase.
    sizes    size name -> integer Symbol; missing ones are made, integer and positive.
    prefer   "matrix": matrix notation where there is one, if the inputs are MatrixSymbols; "index": sums
             over indices.
    shape    of an explicit array (an enum): (rows, columns), or None for a column.
    Returns a scalar; a matrix expression; an explicit Matrix; an IndexedExpression `[i, j] -> entry`; for
    several arrays that share one definition, a tuple.
    Raises BadOption for another `prefer`; UnsupportedExpression for programs too large to print, or without
    a SymPy spelling.
    """
    return _Conversion(g, symbols, sizes, prefer, None).run(lambda c: c.tensor(tensor, shape))


def node_to_sympy(
    g: Graph,
    node: Node,
    axes: Sequence[Node],
    symbols: Mapping[TensorId, Expr],
    sizes: Mapping[str, Expr],
    prefer: str = "matrix",
) -> Expr:
    """A node over the given axes (in the order of the result's) as a SymPy expression; see `to_sympy`."""
    return _Conversion(g, symbols, sizes, prefer, None).run(lambda c: c.node(node, axes))


def to_sympy_with_names(
    g: Graph,
    tensor: TensorId,
    symbols: Mapping[TensorId, Expr],
    sizes: Mapping[str, Expr],
    prefer: str = "matrix",
    shape: Sequence[Any] | None = None,
) -> tuple[Named, Expr]:
    """As `to_sympy`, with shared parts under names of their own, like `sympy.cse`.

    Returns ([(symbol, expression), ...], result); each expression uses the symbols before it. Symbols are
    `x0, x1, ...` for scalars and `Z0, Z1, ...` for arrays (a MatrixSymbol in matrix notation; in index
    notation an element `Z0[i, j]` stands on the left).
    """
    names = _Names(_used_names(symbols, sizes))
    result = _Conversion(g, symbols, sizes, prefer, names).run(lambda c: c.tensor(tensor, shape))
    return names.entries, result


class _Names:
    """The names given to shared parts, producers first."""

    def __init__(self, used: frozenset[str]) -> None:
        self.entries: Named = []
        self._scalars = (f"x{k}" for k in count() if f"x{k}" not in used)
        self._arrays = (f"Z{k}" for k in count() if f"Z{k}" not in used)

    def scalar(self, node: Node, expr: Expr) -> Expr | None:
        if not _is_large(expr):
            return None
        symbol = sp.Symbol(next(self._scalars), real=True)
        self.entries.append((symbol, expr))
        return symbol

    def matrix(self, tensor: TensorId, expr: Expr, shape: tuple[Expr, Expr] | None) -> Expr | None:
        if shape is None:
            return self.scalar(tensor, expr)
        if not _is_large(expr):
            return None
        symbol = sp.MatrixSymbol(next(self._arrays), *shape)
        self.entries.append((symbol, expr))
        return symbol

    def array(self, tensor: TensorId, indices: Sequence[Expr], expr: Expr) -> Expr | None:
        if not indices:
            return self.scalar(tensor, expr)
        if not _is_large(expr):
            return None
        base = sp.IndexedBase(next(self._arrays))
        self.entries.append((base[tuple(indices)], expr))
        return base


def _is_large(expr: Expr) -> bool:
    stack, seen = [expr], 0
    while stack and seen < _WORTH_A_NAME:
        part = stack.pop()
        if isinstance(part, sp.MatrixSymbol | sp.Indexed) or not part.args:
            seen += 1
        else:
            seen += 1
            stack.extend(part.args)
    return seen >= _WORTH_A_NAME


class _Conversion:
    def __init__(
        self,
        g: Graph,
        symbols: Mapping[TensorId, Expr],
        sizes: Mapping[str, Expr],
        prefer: str,
        names: _Names | None,
    ) -> None:
        if prefer not in ("matrix", "index"):
            raise BadOption(f"unknown form {prefer!r}", try_='one of "matrix", "index"')
        self._g, self._symbols, self._sizes = g, symbols, sizes
        self._prefer, self._names = prefer, names
        self._used = _used_names(symbols, sizes)

    def run(self, convert: Callable[[_Conversion], Expr]) -> Expr:
        """`convert(self)`; what SymPy cannot hold because of its depth becomes an error in words."""
        try:
            return convert(self)
        except RecursionError:
            raise UnsupportedExpression(
                "the expression is nested too deeply for SymPy",
                because="SymPy's constructors recurse over their arguments",
                try_="use to_sympy_with_names, or sys.setrecursionlimit",
            ) from None

    def tensor(self, t: TensorId, shape: Sequence[Any] | None) -> Expr:
        tensor = self._g.tensors[t]
        if tensor.kind != "enum":
            axes = tuple(self._g.fresh_axis(e) for e in tensor.extents)
            return self.node(self._g.read(t, *axes), axes)
        self._check_size(tensor.bodies)
        if tensor.out:
            return tuple(self.node(body, tensor.out) for body in tensor.bodies)
        return _explicit([PrintedSize().checked(e) for e in self._scalars(tensor.bodies)], shape)

    def node(self, node: Node, axes: Sequence[Node]) -> Expr:
        self._check_size((node,))
        if not axes:
            return PrintedSize().checked(self._scalars((node,))[0])
        if self._prefer == "matrix" and self._has_matrices((node,)):
            found = self._in_matrix_form(lambda form: form.convert(node, axes))
            if found is not None:
                return PrintedSize().checked(found)
        form = self._index_form()
        expr, indices = form.convert(node, axes)
        shape = tuple(form.integer(self._g.extent(a)) for a in axes)
        return IndexedExpression(indices, PrintedSize().checked(expr), shape)

    def _in_matrix_form(self, convert: Callable[[MatrixForm], Expr]) -> Expr | None:
        """None where there is no matrix notation; names given on the way are taken back."""
        before = len(self._names.entries) if self._names else 0
        try:
            return convert(self._matrix_form())
        except (NoMatrixForm, RecursionError):  # nested more deeply than SymPy's matrices can be
            if self._names:
                del self._names.entries[before:]
            return None

    def _matrix_form(self) -> MatrixForm:
        if self._names is None:
            return MatrixForm(self._g, self._symbols, self._sizes, self._used)
        return MatrixForm(self._g, self._symbols, self._sizes, self._used, self._names.matrix)

    def _index_form(self) -> IndexForm:
        name = None if self._names is None else self._names.array
        return IndexForm(self._g, self._symbols, self._sizes, self._used, name, self._matrix)

    def _matrix(self, node: Node, axes: Sequence[Node]) -> Expr | None:
        """An operand of a matrix function in matrix notation, a vector as a column."""
        if not self._has_matrices((node,)):
            return None
        return self._in_matrix_form(lambda form: form.convert(node, axes))

    def _scalars(self, nodes: Sequence[Node]) -> list[Expr]:
        """Nodes without free axes."""
        if self._prefer == "matrix" and self._has_matrices(nodes):
            found = self._in_matrix_form(lambda form: form.convert_scalars(nodes))
            if found is not None:
                return list(found)
        return self._index_form().convert_scalars(nodes, None if self._names is None else self._names.scalar)

    def _has_matrices(self, nodes: Sequence[Node]) -> bool:
        """Whether the inputs read are matrices; a constant is a matrix among matrices."""
        reads = [self._g.args[r][0] for r in self._g.reads(nodes)]
        inputs = [t for t in self._g.definitions_below(reads) if self._g.tensors[t].kind == "input"]
        return any(isinstance(self._symbols[t], sp.MatrixSymbol) for t in inputs or self._symbols)

    def _check_size(self, nodes: Sequence[Node]) -> None:
        below = self._g.definitions_below([self._g.args[r][0] for r in self._g.reads(nodes)])
        total = len(self._g.reachable(nodes))
        total += sum(len(self._g.reachable(self._g.tensors[t].bodies)) for t in below)
        if total > MOST_NODES:
            raise UnsupportedExpression(
                f"a program of {total} operations is too large to write as a SymPy expression",
                because=f"the limit is {MOST_NODES}; SymPy would need minutes, and the text pages",
                try_="compile it and print the kernel's source, or look at a part of the expression",
            )


def _used_names(symbols: Mapping[TensorId, Expr], sizes: Mapping[str, Expr]) -> frozenset[str]:
    own = {str(s.label) if isinstance(s, sp.IndexedBase) else str(s) for s in symbols.values()}
    return frozenset(own | {str(s) for s in sizes.values()} | set(sizes))


def _explicit(entries: Iterable[Expr], shape: Sequence[Any] | None) -> Expr:
    """An explicit array; one axis makes a column."""
    flat = list(entries)
    extents = [int(e) for e in shape] if shape is not None else [len(flat)]
    if len(extents) > 2:
        return sp.ImmutableDenseNDimArray(flat, extents)
    rows, cols = extents if len(extents) == 2 else (len(flat), 1)
    return sp.ImmutableDenseMatrix(rows, cols, flat)
