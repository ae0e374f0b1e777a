"""Matrices made of parts of others: blocks, slices, matrices given by a function of the indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sympy.matrices.expressions import BlockMatrix, FunctionMatrix, MatrixSlice

from symgrad.errors import ShapeMismatch, UnsupportedExpression
from symgrad.frontend.describe import shape_text, show
from symgrad.frontend.heads import Expr, Task, each, matrix
from symgrad.frontend.matrices import Matrix, col_index, of_entries, row_index, shape_of
from symgrad.ir.graph import Graph, Node

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator


@matrix(BlockMatrix)
def _blocks(tr: Translator, e: Expr) -> Task:
    """Each block, masked to the rows and columns it occupies and read relative to its corner."""
    g = tr.graph
    blocks = tr.kept(e.blocks)  # BlockDiagMatrix makes it anew at each call
    tr.survey.dependences(blocks)
    count_rows, count_cols, flat = blocks._args
    grid: list[list[Matrix]] = []
    for r in range(int(count_rows)):
        line = flat[r * int(count_cols) : (r + 1) * int(count_cols)]
        grid.append((yield each(map(tr.matrix, line))))
    heights = [line[0].rows for line in grid]
    widths = [m.cols for m in grid[0]]
    _check_grid(g, e, grid, heights, widths)
    rows, cols = _total(g, heights), _total(g, widths)
    return of_entries(g, rows, cols, lambda i, j: _entry(g, grid, heights, widths, i, j))


def _check_grid(
    g: Graph, e: Expr, grid: Sequence[Sequence[Matrix]], heights: Sequence[Node], widths: Sequence[Node]
) -> None:
    for r, line in enumerate(grid):
        for c, m in enumerate(line):
            if m.shape != (heights[r], widths[c]):
                raise ShapeMismatch(
                    f"block ({r}, {c}) has shape {shape_text(g, m.shape)}",
                    where=show(e),
                    because=f"its row and column of blocks need {shape_text(g, (heights[r], widths[c]))}",
                    try_="blocks of one height in each row, and of one width in each column",
                )


def _total(g: Graph, parts: Sequence[Node]) -> Node:
    total = g.zero
    for p in parts:
        total = g.iadd(total, p)
    return total


def _entry(
    g: Graph,
    grid: Sequence[Sequence[Matrix]],
    heights: Sequence[Node],
    widths: Sequence[Node],
    i: Node,
    j: Node,
) -> Node:
    total = g.zero
    for r, line in enumerate(grid):
        top, in_rows = _place(g, heights, r, i)
        for c, m in enumerate(line):
            left, in_cols = _place(g, widths, c, j)
            inside = g.node("and", in_rows, in_cols)
            total = g.add(total, g.mask(inside, m.at(g, g.isub(i, top), g.isub(j, left))))
    return total


def _place(g: Graph, lengths: Sequence[Node], number: int, index: Node) -> tuple[Node, Node]:
    """(where block `number` starts, predicate: `index` is inside it)."""
    start = _total(g, lengths[:number])
    inside = g.true
    if number > 0:
        inside = g.ige0(g.isub(index, start))
    if number < len(lengths) - 1:
        last = g.iadd(g.iadd(start, lengths[number]), g.const(-1))
        inside = g.node("and", inside, g.ige0(g.isub(last, index)))
    return start, inside


@matrix(MatrixSlice)
def _slice(tr: Translator, e: Expr) -> Task:
    """M[a:b:s, c:d:t], read at a + s*i, c + t*j."""
    g = tr.graph
    parent, *parts = e._args
    m: Matrix = yield tr.matrix(parent)
    rows, cols = yield from shape_of(tr, e)
    starts, steps = [], []
    for part in parts:
        _check_step(e, part)
        starts.append((yield tr.integer(part[0], "the start of a slice", e)))
        steps.append((yield tr.integer(part[2], "the step of a slice", e)))

    def entry(i: Node, j: Node) -> Node:
        row, col = (g.iadd(a, g.imul(s, x)) for a, s, x in zip(starts, steps, (i, j), strict=True))
        return m.at(g, row, col)

    return of_entries(g, rows, cols, entry)


def _check_step(e: Expr, part: Expr) -> None:
    """SymPy 1.14 counts the rows of M[0:3:2, :] as one; do not guess which two the user means."""
    start, stop, step = part
    if step != 1 and (stop - start) % step != 0:
        raise UnsupportedExpression(
            f"a slice from {start} to {stop} in a step that does not divide it",
            where=show(e),
            because="SymPy gives it one entry less than NumPy does",
            try_=f"an end that is a whole number of steps of {step} from {start}",
        )


@matrix(FunctionMatrix)
def _function_matrix(tr: Translator, e: Expr) -> Task:
    """The entry is a Lambda of the row and column index."""
    g = tr.graph
    rows, cols = yield from shape_of(tr, e)
    function = e._args[2]
    places = (row_index(g, rows), col_index(g, cols))
    own = [p if p == g.zero else g.fresh_axis(g.extent(p)) for p in places]
    before = {s: tr.environment.get(s) for s in function.variables}
    tr.environment.update(zip(function.variables, own, strict=True))
    body = tr.as_real((yield tr.real(function._args[1])))
    for symbol, value in before.items():
        tr.bind(symbol, value)
    back = {f: p for f, p in zip(own, places, strict=True) if p != g.zero}
    return Matrix(rows, cols, g.substitute(body, back))
