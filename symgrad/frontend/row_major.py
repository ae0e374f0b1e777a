"""Arrays of four indices as matrices: the pair of the row and the pair of the column in row-major order.

The slope of the equations for a matrix by the entries of that matrix has four indices; a linear solver wants
two. Each entry is stored once at its place, so that nothing has to be divided to find an entry again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.matrices.expressions import MatrixExpr
from sympy.matrices.expressions.matexpr import MatrixElement

from symgrad.frontend.heads import Expr, Task, each, matrix
from symgrad.frontend.matrices import of_entries
from symgrad.ir.graph import Graph, Node

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator


class RowMajor(MatrixExpr):
    """The matrix whose entry at (p*n + q, r*l + s) is `entry(p, q, r, s)`, of shape (m*n, k*l).

    extents  (m, n, k, l), those of the four indices; l = k = 1 for a column.
    entry    a Lambda of the four indices.
    """

    def __new__(cls, extents: Any, entry: Any) -> RowMajor:
        return sp.Basic.__new__(cls, sp.Tuple(*extents), entry)  # type: ignore[no-any-return]  # SymPy

    @property
    def shape(self) -> tuple[Any, Any]:
        m, n, k, length = self.args[0].args
        return m * n, k * length

    def _entry(self, i: Any, j: Any, **_: Any) -> sp.Expr:
        return MatrixElement(self, i, j)


@matrix(RowMajor)
def _row_major(tr: Translator, e: Expr) -> Task:
    """A scatter of the entries; it runs over the axes of their surroundings too (steps of a recurrence)."""
    g, entry = tr.graph, e._args[1]
    extents = yield each(tr.integer(n, "a shape", e) for n in e._args[0]._args)
    places = [g.zero if n == g.one else g.fresh_axis(n) for n in extents]
    before = {s: tr.environment.get(s) for s in entry.variables}
    tr.environment.update(zip(entry.variables, places, strict=True))
    body = tr.as_real((yield tr.real(entry._args[1])))
    for symbol, outer in before.items():
        tr.bind(symbol, outer)
    rows, cols = (g.imul(extents[0], extents[1]), g.imul(extents[2], extents[3]))
    own = [a for a in places if a != g.zero]
    further = sorted(g.axes[body] - set(own), key=g.order_key)
    target = (*further, _place(g, places[:2], extents[1]), _place(g, places[2:], extents[3]))
    sides = (*(g.extent(a) for a in further), rows, cols)
    stored = g.define("scatter", (), (*further, *own), body, target, sides)
    return of_entries(g, rows, cols, lambda i, j: g.read(stored, *further, i, j))


def _place(g: Graph, pair: list[Node], inner: Node) -> Node:
    """The place of a pair of indices in row-major order, the second of them below `inner`."""
    return g.iadd(g.imul(pair[0], inner), pair[1])
