"""Bounds of the rounding errors of matrix functions, in units of u and to first order.

What a factorisation computes is right for a matrix A + E; the bound is E and the operands' own errors,
pushed through the derivative in absolute value. With X = |A^-1| and |.| by entries:

    triangular       |E| <= n |A|                            Higham 2002, theorem 8.5
    Cholesky         |E| <= (n + 1) d d^T, d_i^2 = a_ii      theorems 10.3 and 10.7
    LU, pivots that do not grow: |E|_ij <= 3 n max_k |a_kj|, by the sum instead of the largest
                                                             theorem 9.4 and section 9.4

    Y = solve(A, B)  |Y'| <= X (|B'| + |A'| |Y| + |E| |Y|)
    Y = A^-1         the same with B' = 0
    det, log|det|    sum of X_ji (|A'| + |E|)_ij, of det times |det|, and what n factors or terms add
    cholesky         |L| Phi(|L^-1| (|A'| + |E|) |L^-T|)
    eigenvalues, singular values: the Frobenius norms of A' and of E, n |A| (Weyl; Golub & Van Loan 2013, 8.1)

Pivots lie, growth aside, between the reciprocals of the rows of X and the columns of A: the sum of their
logarithms is off by the largest of those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symgrad.errors import UnsupportedExpression
from symgrad.ir.graph import Graph, Node
from symgrad.ir.matrix.call import Array, Call, call, elementwise, identity, lower_part, product, upper_part
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.matrix.rules import phi
from symgrad.ir.reduce import reduce

Modulus = Callable[[Node], Node]
_DETERMINANTS = ("det", "log_abs_det", "log_det", "log_det_spd")
_VALUES = ("eigenvalues", "singular_values")
_SOLVES = ("solve", "solve_spd", "solve_lower", "solve_upper")


def matrix_error(c: Call, errors: Sequence[Array | None], modulus: Modulus) -> Array | None:
    """The bound of a call's result from those of its operands (None: exact); None where it is exact.

    Raises UnsupportedExpression for a function that has no bound here.
    """
    name = c.name.removesuffix("_transposed")
    if name == "sign_det":
        return None
    if name in ("inverse", "inverse_spd"):
        return _solve(c, "inverse" + name[7:], False, errors[0], None, modulus)
    if name in _SOLVES:
        return _solve(c, name, name != c.name, errors[0], errors[1], modulus)
    if name in _DETERMINANTS:
        return _determinant(c, errors[0], modulus)
    if name in _VALUES:
        return _values(c, errors[0])
    if name == "cholesky":
        return _cholesky(c, errors[0], modulus)
    raise UnsupportedExpression(
        f"the rounding error of the {MATRIX_FUNCTIONS[c.name].title} has no bound here",
        because=_why(c.name),
        try_="the error outputs, or accuracy=, of a formula without it",
    )


def _why(name: str) -> str:
    if name == "settled":
        return "how far an iteration stops from the solution is a matter of its tolerance"
    return "it grows as singular values or eigenvalues come close to each other or to 0"


def _moduli(a: Array, modulus: Modulus) -> Array:
    return Array(a.extents, lambda *index: modulus(a.at(*index)))


def _rows(g: Graph, a: Array) -> Array:
    """The sums of the rows."""

    def entry(i: Node) -> Node:
        k = g.fresh_axis(a.extents[1])
        return reduce(g, "sum", [k], a.at(i, k))

    return Array(a.extents[:1], entry)


def _total(g: Graph, a: Array) -> Node:
    axes = [g.fresh_axis(e) for e in a.extents]
    return reduce(g, "sum", axes, a.at(*axes))


def _times(g: Graph, number: Node, a: Array) -> Array:
    return Array(a.extents, lambda *index: g.mul(number, a.at(*index)))


def _sum(g: Graph, *terms: Array | None) -> Array:
    total, *rest = (t for t in terms if t is not None)
    for term in rest:
        total = elementwise(g, "add", total, term)
    return total


def _matrix(c: Call, name: str) -> Array:
    """The entries of the first operand that count."""
    if "lower" in name:
        return lower_part(c.g, c.operands[0])
    return upper_part(c.g, c.operands[0]) if "upper" in name else c.operands[0]


def _inverse(c: Call, name: str, modulus: Modulus) -> Array:
    """|A^-1|."""
    g, a = c.g, c.operands[0]
    n = a.extents[0]
    if name.startswith("solve_") and name != "solve_spd":
        return _moduli(call(g, name, (a, identity(g, n)), a.extents), modulus)
    return _moduli(call(g, "inverse_spd" if "spd" in name else "inverse", (a,), a.extents), modulus)


def _roots(g: Graph, a: Array) -> Array:
    """The square roots of the diagonal."""
    return Array(a.extents[:1], lambda i: g.node("sqrt", a.at(i, i)))


def _backward(c: Call, name: str, a: Array, y: Array) -> Array:
    """|E| |Y|, over the rows of A and the columns of Y; `a` and `y` hold moduli."""
    g, n = c.g, c.g.cast(a.extents[0])
    if "lower" in name or "upper" in name:
        return _times(g, n, product(g, a, y))
    if "spd" in name:
        d = _roots(g, c.operands[0])
        own = g.add(n, g.one)

        def scaled(i: Node, j: Node) -> Node:
            k = g.fresh_axis(y.extents[0])
            return g.mul(g.mul(own, d.at(i)), reduce(g, "sum", [k], g.mul(d.at(k), y.at(k, j))))

        return Array(y.extents, scaled)
    columns = _rows(g, a.transposed)

    def alike(i: Node, j: Node) -> Node:
        k = g.fresh_axis(y.extents[0])
        return g.mul(g.mul(g.const(3), n), reduce(g, "sum", [k], g.mul(columns.at(k), y.at(k, j))))

    return Array(y.extents, alike)


def _solve(
    c: Call, name: str, turned: bool, of_matrix: Array | None, of_right: Array | None, modulus: Modulus
) -> Array:
    g, inverse = c.g, _inverse(c, name, modulus)
    a, y = _moduli(_matrix(c, name), modulus), _moduli(c.result, modulus)
    if of_matrix is not None and turned:
        of_matrix = of_matrix.transposed
    carried = None if of_matrix is None else product(g, of_matrix, y)
    a, inverse = (a.transposed, inverse.transposed) if turned else (a, inverse)
    return product(g, inverse, _sum(g, _backward(c, name, a, y), carried, of_right))


def _determinant(c: Call, error: Array | None, modulus: Modulus) -> Array:
    g, n = c.g, c.g.cast(c.operands[0].extents[0])
    a, inverse = _moduli(c.operands[0], modulus), _inverse(c, c.name, modulus)
    weights = inverse.transposed
    if "spd" in c.name:
        d = _roots(g, c.operands[0])
        rows = Array(a.extents, lambda i, j: g.mul(g.mul(d.at(i), weights.at(i, j)), d.at(j)))
        slope = g.mul(g.add(n, g.one), _total(g, rows))
    else:
        columns = _rows(g, a.transposed)
        rows = Array(a.extents, lambda i, j: g.mul(weights.at(i, j), columns.at(j)))
        slope = g.mul(g.mul(g.const(3), n), _total(g, rows))
    if error is not None:
        carried = Array(a.extents, lambda i, j: g.mul(weights.at(i, j), error.at(i, j)))
        slope = g.add(slope, _total(g, carried))
    size = modulus(c.result.at())
    if c.name == "det":
        return Array((), lambda: g.mul(size, g.add(slope, n)))
    return Array((), lambda: g.add(slope, g.mul(g.add(n, g.one), g.add(size, _logarithms(c, a, inverse)))))


def _logarithms(c: Call, a: Array, inverse: Array) -> Node:
    """The sum of the largest moduli that the pivots' logarithms can have."""
    g = c.g
    i = g.fresh_axis(a.extents[0])
    columns, rows = _rows(g, a.transposed).at(i), _rows(g, inverse).at(i)
    sizes = [g.node("abs", g.node("log", value)) for value in (columns, rows)]
    return reduce(g, "sum", [i], g.node("maximum", *sizes))


def _norm(g: Graph, a: Array) -> Node:
    """The Frobenius norm."""
    axes = [g.fresh_axis(e) for e in a.extents]
    entry = a.at(*axes)
    return g.node("sqrt", reduce(g, "sum", axes, g.mul(entry, entry)))


def _values(c: Call, error: Array | None) -> Array:
    g, a = c.g, c.operands[0]
    total = g.mul(g.cast(a.extents[0]), _norm(g, a))
    total = total if error is None else g.add(total, _norm(g, error))
    return Array(c.result.extents, lambda i: total)


def _cholesky(c: Call, error: Array | None, modulus: Modulus) -> Array:
    g, a, factor = c.g, c.operands[0], c.result
    inverse = _moduli(call(g, "solve_lower", (factor, identity(g, a.extents[0])), a.extents), modulus)
    d, own = _roots(g, a), g.add(g.cast(a.extents[0]), g.one)
    backward = _sum(g, Array(a.extents, lambda i, j: g.mul(own, g.mul(d.at(i), d.at(j)))), error)
    middle = product(g, product(g, inverse, backward), inverse.transposed)
    return product(g, _moduli(factor, modulus), phi(g, middle))
