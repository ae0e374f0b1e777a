"""Matrix expressions, entry by entry: a matrix is a scalar node over a row and a column axis.

The row axis is always axis 0 and the column axis axis 1, so that elementwise operations need no
renaming; a side of extent 1 has no axis, its index is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import sympy as sp
from sympy.matrices import ImmutableDenseMatrix, ImmutableSparseMatrix
from sympy.matrices.expressions import (
    Adjoint,
    Determinant,
    HadamardPower,
    HadamardProduct,
    Identity,
    Inverse,
    MatAdd,
    MatMul,
    MatPow,
    MatrixExpr,
    MatrixSymbol,
    OneMatrix,
    Trace,
    Transpose,
    ZeroMatrix,
)
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.dotproduct import DotProduct

from symgrad.errors import ShapeMismatch, UnsupportedExpression
from symgrad.frontend.describe import index_text, shape_text, show
from symgrad.frontend.heads import Expr, Task, each, matrix, task
from symgrad.frontend.sums import summed
from symgrad.ir.bounds import typical
from symgrad.ir.graph import Graph, Node
from symgrad.ir.matrix.call import Array, call
from symgrad.ir.stability.whole_sums import as_stable_terms
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator

_MOST_SOLVES = 4  # one after the other; beyond, the power of the inverse is formed
_LONGEST_PLANNED = 40  # the chain order is cubic in the number of factors


def row_index(g: Graph, extent: Node) -> Node:
    """The index along the rows: axis 0, or 0 if there is one row."""
    return g.zero if extent == g.one else g.axis(0, extent)


def col_index(g: Graph, extent: Node) -> Node:
    """The index along the columns: axis 1, or 0 if there is one column."""
    return g.zero if extent == g.one else g.axis(1, extent)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix of extents rows x cols: the value at the row and column index (axes 0 and 1)."""

    rows: Node
    cols: Node
    body: Node

    def at(self, g: Graph, i: Node, j: Node) -> Node:
        """The entry at integers i, j."""
        places = {row_index(g, self.rows): i, col_index(g, self.cols): j}
        places.pop(g.zero, None)
        return g.substitute(self.body, places)

    @property
    def shape(self) -> tuple[Node, Node]:
        return self.rows, self.cols


@dataclass(frozen=True, slots=True)
class InverseOf(Matrix):
    """The inverse of `base` (or of its transpose): in a product, a system is solved instead."""

    base: Array
    turned: bool = False

    def times(self, g: Graph, m: Matrix) -> Matrix:
        """The inverse times `m`."""
        name = "solve_transposed" if self.turned else "solve"
        return of_array(g, call(g, name, (self.base, as_array(g, m)), m.shape))

    def transposed(self, g: Graph) -> InverseOf:
        plain = Matrix(self.rows, self.cols, self.body)
        return InverseOf(*self.shape, transposed(g, plain).body, self.base, not self.turned)


def of_entries(g: Graph, rows: Node, cols: Node, entry: Callable[[Node, Node], Node]) -> Matrix:
    """The matrix whose entry at (i, j) is `entry(i, j)`."""
    return Matrix(rows, cols, entry(row_index(g, rows), col_index(g, cols)))


def as_array(g: Graph, m: Matrix) -> Array:
    """The operand of a matrix function."""
    return Array(m.shape, lambda i, j: m.at(g, i, j))


def of_array(g: Graph, a: Array) -> Matrix:
    """The result of a matrix function; a vector is a column."""
    rows, cols = a.extents if len(a.extents) == 2 else (*a.extents, g.one)
    return of_entries(g, rows, cols, lambda i, j: a.at(*(i, j)[: len(a.extents)]))


def transposed(g: Graph, m: Matrix) -> Matrix:
    if isinstance(m, InverseOf):
        return m.transposed(g)
    return of_entries(g, m.cols, m.rows, lambda i, j: m.at(g, j, i))


def is_matrix(e: Expr) -> bool:
    """True for matrix expressions and explicit matrices."""
    return bool(getattr(e, "is_Matrix", False))


def _check_equal_shapes(g: Graph, e: Expr, what: str, parts: Sequence[tuple[Expr, Matrix]]) -> None:
    first_expr, first = parts[0]
    for other_expr, other in parts[1:]:
        if other.shape != first.shape:
            raise ShapeMismatch(
                f"cannot {what} shapes {shape_text(g, first.shape)} and {shape_text(g, other.shape)}",
                where=show(e),
                because=f"{show(first_expr)} and {show(other_expr)} have different shapes",
                try_="matrices of one shape",
            )


def check_square(g: Graph, e: Expr, m: Matrix) -> None:
    """Raise ShapeMismatch unless the matrix is square."""
    if m.rows != m.cols:
        raise ShapeMismatch(
            f"{type(e).__name__} of a matrix of shape {shape_text(g, m.shape)}",
            where=show(e),
            because=f"it has {index_text(g, m.rows)} rows and {index_text(g, m.cols)} columns",
            try_="a square matrix",
        )


# ---- leaves ------------------------------------------------------------------------------------


@matrix(MatrixSymbol)
def _symbol(tr: Translator, e: Expr) -> Task:
    tensor = tr.argument(e, e)
    rows, cols = tr.graph.tensors[tensor].extents
    return of_entries(tr.graph, rows, cols, lambda i, j: tr.graph.read(tensor, i, j))
    yield


@matrix(Identity, ZeroMatrix, OneMatrix)
def _constant(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    rows, cols = yield from shape_of(tr, e)
    if isinstance(e, Identity):
        return of_entries(g, rows, cols, lambda i, j: g.mask(g.ieq(i, j), g.one))
    value = g.zero if isinstance(e, ZeroMatrix) else g.one
    return Matrix(rows, cols, value)


def shape_of(tr: Translator, e: Expr) -> Task:
    """The extents of a matrix expression, from SymPy's `shape`."""
    rows = yield tr.integer(sp.sympify(e.shape[0]), "a shape", e, fresh=True)
    cols = yield tr.integer(sp.sympify(e.shape[1]), "a shape", e, fresh=True)
    return rows, cols


@matrix(ImmutableDenseMatrix, ImmutableSparseMatrix)
def _explicit(tr: Translator, e: Expr) -> Task:
    """An explicit matrix inside a matrix expression: one definition with an entry per element."""
    g = tr.graph
    entries = yield each(map(tr.real, tr.kept(list(e.flat()))))
    bodies = [tr.as_real(b) for b in entries]
    rows, cols = e.shape
    free = sorted(frozenset().union(*(g.axes[b] for b in bodies)))
    tensor = g.define("enum", free, (), bodies)

    def entry_at(i: Node, j: Node) -> Node:
        return g.read(tensor, g.iadd(j, i, cols), *free)

    return of_entries(g, g.const(rows), g.const(cols), entry_at)


# ---- elementwise -------------------------------------------------------------------------------


@matrix(MatAdd)
def _add(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    parts = list(zip(e._args, (yield each(map(tr.matrix, e._args))), strict=True))
    _check_equal_shapes(g, e, "add", parts)
    first = parts[0][1]
    bodies = [m.body for _, m in parts]
    return Matrix(first.rows, first.cols, g.sum_of(as_stable_terms(g, bodies) if g.stabilise else bodies))


@matrix(HadamardProduct)
def _hadamard_product(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    parts = list(zip(e._args, (yield each(map(tr.matrix, e._args))), strict=True))
    _check_equal_shapes(g, e, "multiply elementwise", parts)
    body = parts[0][1].body
    for _, m in parts[1:]:
        body = g.mul(body, m.body)
    return Matrix(parts[0][1].rows, parts[0][1].cols, body)


@matrix(HadamardPower)
def _hadamard_power(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    parts = []
    bodies = []
    for a in e._args:
        if is_matrix(a):
            m = yield tr.matrix(a)
            parts.append((a, m))
            bodies.append(m.body)
        else:
            bodies.append((yield tr.real(a)))
    _check_equal_shapes(g, e, "raise elementwise", parts)
    rows, cols = parts[0][1].shape
    return Matrix(rows, cols, g.node("pow", *bodies))


@matrix(ElementwiseApplyFunction)
def _apply(tr: Translator, e: Expr) -> Task:
    """A Lambda on every entry; its variable is bound to the entry.

    A Lambda with matrices of its own gets the entry at axes of its own, so that they do not meet.
    """
    g = tr.graph
    function, argument = e._args
    m = yield tr.matrix(argument)
    if not isinstance(function, sp.Lambda):
        variable = sp.Dummy("entry")
        function = tr.absorbed(sp.Lambda(variable, function(variable)))
    (variable,) = function.variables
    back: dict[Node, Node] = {}
    if tr.has_matrices(function._args[1]):
        places = (row_index(g, m.rows), col_index(g, m.cols))
        back = {g.fresh_axis(g.extent(p)): p for p in places if p != g.zero}
    body = g.substitute(m.body, {p: f for f, p in back.items()})
    before = tr.environment.get(variable)
    tr.environment[variable] = body
    result = tr.as_real((yield tr.real(function._args[1])))
    tr.bind(variable, before)
    return Matrix(m.rows, m.cols, g.substitute(result, back))


@matrix(Transpose, Adjoint)
def _transpose(tr: Translator, e: Expr) -> Task:
    return transposed(tr.graph, (yield tr.matrix(e._args[0])))


# ---- diagonals ---------------------------------------------------------------------------------


@matrix(DiagMatrix)
def _diagonal_from_vector(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    v = yield tr.matrix(e._args[0])
    n = v.rows if v.cols == g.one else v.cols

    def entry(i: Node, j: Node) -> Node:
        value = v.at(g, i, g.zero) if v.cols == g.one else v.at(g, g.zero, i)
        return g.mask(g.ieq(i, j), value)

    return of_entries(g, n, n, entry)


@matrix(DiagonalMatrix)
def _diagonal_part(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    m = yield tr.matrix(e._args[0])
    return of_entries(g, m.rows, m.cols, lambda i, j: g.mask(g.ieq(i, j), m.body))


@matrix(DiagonalOf)
def _diagonal_to_vector(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    m = yield tr.matrix(e._args[0])
    check_square(g, e, m)
    return of_entries(g, m.rows, g.one, lambda i, j: m.at(g, i, i))


# ---- products ----------------------------------------------------------------------------------


@matrix(MatMul)
def _multiply(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    scale, factors = yield from _factors(tr, e)
    product = multiply_chain(g, factors)
    return Matrix(product.rows, product.cols, g.mul(scale, product.body))


def _factors(tr: Translator, e: Expr) -> Task:
    """(product of the scalar factors, matrix factors) of a MatMul, shapes checked."""
    g = tr.graph
    scale = g.one
    factors: list[Matrix] = []
    last: Expr = None
    for a in e._args:
        if not is_matrix(a):
            # A negative factor makes a difference of a sum, as which it is looked at for what cancels.
            is_negative = not a.is_number and a.as_coeff_Mul()[0].is_negative
            value = yield tr.real(-a if is_negative else a)
            scale = g.mul(scale, g.neg(value) if is_negative else value)
            continue
        m = yield tr.matrix(a)
        if factors and factors[-1].cols != m.rows:
            raise ShapeMismatch(
                f"cannot multiply shapes {shape_text(g, factors[-1].shape)} and {shape_text(g, m.shape)}",
                where=show(e),
                because=f"{show(last)} has {index_text(g, factors[-1].cols)} columns and {show(a)} has "
                f"{index_text(g, m.rows)} rows",
                try_="a transpose, or HadamardProduct for the elementwise product",
            )
        factors += yield from _repeated(tr, a, m)
        last = a
    return scale, factors


def _repeated(tr: Translator, a: Expr, m: Matrix) -> Task:
    """The factors that one stands for: a power of an inverse solves one system after the other."""
    if not isinstance(a, MatPow) or not isinstance(a.exp, sp.Integer) or not -_MOST_SOLVES <= a.exp < -1:
        return [m]
    base = yield tr.matrix(a._args[0])
    return [_inverted(tr.graph, base)] * -int(a.exp)


def multiply(g: Graph, a: Matrix, b: Matrix) -> Matrix:
    """The matrix product, a sum over a fresh axis; with an inverse, the solution of a system."""
    if isinstance(a, InverseOf):
        return a.times(g, b)
    if isinstance(b, InverseOf):
        return transposed(g, b.transposed(g).times(g, transposed(g, a)))
    k = g.zero if a.cols == g.one else g.fresh_axis(a.cols)

    def entry(i: Node, j: Node) -> Node:
        body = g.mul(a.at(g, i, k), b.at(g, k, j))
        return body if k == g.zero else summed(g, [k], body)

    return of_entries(g, a.rows, b.cols, entry)


def multiply_chain(g: Graph, factors: Sequence[Matrix]) -> Matrix:
    """The product of many matrices in the cheapest order (typical sizes; Cormen et al., section 15.2)."""
    stack: list[Matrix] = []
    for step in _chain_program(g, factors):
        if step >= 0:
            stack.append(factors[step])
        else:
            b, a = stack.pop(), stack.pop()
            stack.append(multiply(g, a, b))
    (product,) = stack
    return product


def _chain_program(g: Graph, factors: Sequence[Matrix]) -> list[int]:
    """Postfix order of the chain: factor numbers, and -1 for "multiply the last two"."""
    n = len(factors)
    sizes = [typical(g, factors[0].rows), *(typical(g, m.cols) for m in factors)]
    if n > _LONGEST_PLANNED:
        from_right = sizes[-1] < sizes[0]
        return [*range(n), *[-1] * (n - 1)] if from_right else [0, *(s for i in range(1, n) for s in (i, -1))]
    _, split = chain_costs(sizes)
    program: list[int] = []
    todo: list[tuple[int, int] | None] = [(0, n - 1)]
    while todo:
        item = todo.pop()
        if item is None:
            program.append(-1)
        elif item[0] == item[1]:
            program.append(item[0])
        else:
            middle = split[item]
            todo += [None, (middle + 1, item[1]), (item[0], middle)]
    return program


def chain_costs(sizes: Sequence[int]) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
    """Cheapest multiplications and best split of every part i..j of a chain."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, s] + cost[s + 1, j] + sizes[i] * sizes[s + 1] * sizes[j + 1], s) for s in range(i, j)
            )
    return cost, split


@matrix(MatPow)
def _power(tr: Translator, e: Expr) -> Task:
    """Whole powers by repeated squaring."""
    g = tr.graph
    base, exponent = e._args
    if not isinstance(exponent, sp.Integer):
        raise UnsupportedExpression(
            f"a matrix to the power {show(exponent)}",
            where=show(e),
            because="only whole powers of matrices are supported",
            try_="a product, or HadamardPower for the power of each entry",
        )
    m = yield tr.matrix(base)
    check_square(g, e, m)
    n = int(exponent)
    if n < 0:
        m, n = _inverted(g, m), -n
    if n == 0:
        return of_entries(g, m.rows, m.cols, lambda i, j: g.mask(g.ieq(i, j), g.one))
    result: Matrix | None = None
    while n:
        if n & 1:
            result = m if result is None else multiply(g, result, m)
        n >>= 1
        if n:
            m = multiply(g, m, m)
    return result


@matrix(Inverse)
def _inverse(tr: Translator, e: Expr) -> Task:
    m = yield tr.matrix(e._args[0])
    check_square(tr.graph, e, m)
    return _inverted(tr.graph, m)


def _inverted(g: Graph, m: Matrix) -> Matrix:
    """A 1x1 matrix has no axes to eliminate over."""
    if m.rows == g.one:
        return Matrix(*m.shape, g.div(g.one, m.body))
    base = as_array(g, m)
    return InverseOf(*m.shape, of_array(g, call(g, "inverse", (base,), m.shape)).body, base)


@task(Determinant)
def _determinant(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    m = yield tr.matrix(e._args[0])
    check_square(g, e, m)
    if m.rows == g.one:
        return m.body
    return call(g, "det", (as_array(g, m),), ()).at()


@task(Trace)
def _trace(tr: Translator, e: Expr) -> Task:
    """The sum of the diagonal; of a product without forming the product."""
    g = tr.graph
    (inner,) = e._args
    scale = g.one
    if isinstance(inner, MatMul):
        scale, factors = yield from _factors(tr, inner)
    else:
        factors = [(yield tr.matrix(inner))]
    check_square(g, e, Matrix(factors[0].rows, factors[-1].cols, g.zero))
    return g.mul(scale, _trace_of_chain(g, factors))


def _trace_of_chain(g: Graph, factors: Sequence[Matrix]) -> Node:
    if len(factors) == 1:
        (m,) = factors
        if m.rows == g.one:
            return m.body
        k = g.fresh_axis(m.rows)
        return summed(g, [k], m.at(g, k, k))
    left, right = _best_halves(g, factors)
    a, b = multiply_chain(g, left), multiply_chain(g, right)
    i, k = (g.zero if n == g.one else g.fresh_axis(n) for n in a.shape)
    body = g.mul(a.at(g, i, k), b.at(g, k, i))
    return summed(g, [x for x in (i, k) if x != g.zero], body)


def _best_halves(g: Graph, factors: Sequence[Matrix]) -> tuple[Sequence[Matrix], Sequence[Matrix]]:
    """tr(ABCD) = tr((BC)(DA)): the cheapest two halves over all rotations of a short chain."""
    n = len(factors)
    if n > _LONGEST_PLANNED:
        return factors[: n // 2], factors[n // 2 :]
    best: tuple[int, int, int] | None = None
    for start in range(n if n <= 8 else 1):
        turned = [*factors[start:], *factors[:start]]
        sizes = [typical(g, turned[0].rows), *(typical(g, m.cols) for m in turned)]
        cost, _ = chain_costs(sizes)
        for s in range(1, n):
            total = cost[0, s - 1] + cost[s, n - 1] + sizes[0] * sizes[s]
            if best is None or total < best[0]:
                best = (total, start, s)
    assert best is not None
    _, start, s = best
    turned = [*factors[start:], *factors[:start]]
    return turned[:s], turned[s:]


@task(DotProduct)
def _dot(tr: Translator, e: Expr) -> Task:
    """The sum of the products of entries of two vectors, whichever way each of them lies."""
    g = tr.graph
    a = yield tr.matrix(e._args[0])
    b = yield tr.matrix(e._args[1])
    a, b = (m if m.cols == g.one else transposed(g, m) for m in (a, b))
    return _trace_of_chain(g, [transposed(g, a), b])


@task(MatrixExpr, ImmutableDenseMatrix, ImmutableSparseMatrix)
def _as_scalar(tr: Translator, e: Expr) -> Task:
    """A 1x1 matrix where a number is wanted."""
    m = yield tr.matrix(e)
    if m.shape != (tr.graph.one, tr.graph.one):
        raise ShapeMismatch(
            f"a matrix of shape {shape_text(tr.graph, m.shape)} where a number is needed",
            where=show(e),
            because="functions of numbers do not apply to matrices",
            try_="M.applyfunc(f) for a function of each entry, or Trace, or an element M[i, j]",
        )
    return m.body
