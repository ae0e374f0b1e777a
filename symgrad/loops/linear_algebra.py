"""Loop nests of determinants and inverses: Gaussian elimination with partial pivoting.

Source: Golub & Van Loan 2013, Matrix Computations, sections 3.4 and 3.5. Rows are exchanged where
the row number equals the pivot's, so the loop language needs no integer registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symgrad.loops.nest import (
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    Poly,
    SetCell,
    Statement,
    Store,
    Value,
    poly,
    poly_add,
    variable,
)


@dataclass(frozen=True)
class Matrix:
    """A square matrix in memory: `buffer[prefix..., row, column]`."""

    buffer: str
    prefix: tuple[Poly, ...] = ()

    def at(self, row: Poly, column: Poly) -> tuple[Poly, ...]:
        return (*self.prefix, row, column)


class Elimination:
    """Statements for one matrix of `n` rows; `fresh` numbers values, `loop_name(k)` names loops."""

    def __init__(
        self, n: Poly, fresh: Callable[[], Value], loop_name: Callable[[int], str], depth: int
    ) -> None:
        self.n = n
        self.fresh = fresh
        self.k, self.i, self.j = (loop_name(depth + d) for d in range(3))

    def determinant(self, source: Matrix, work: Matrix) -> tuple[list[Statement], Value]:
        """The determinant of `source`, destroying `work`."""
        body, product = self._cell(("q", 1, 1))
        steps: list[Statement] = self._pivot((work,), product)
        pivot = self._load(steps, work, self.k, self.k)
        steps.append(SetCell(product, self._op(steps, "mul", product, pivot)))
        steps.append(self._eliminate_below(work, pivot))
        return [*self._copy(source, work), *body, self._loop(self.k, poly(0), self.n, steps)], product

    def inverse(self, source: Matrix, work: Matrix, result: Matrix) -> list[Statement]:
        """The inverse of `source` into `result`, destroying `work` (Gauss-Jordan)."""
        body, parity = self._cell(("q", 1, 1))
        steps: list[Statement] = self._pivot((work, result), parity)
        pivot = self._load(steps, work, self.k, self.k)
        steps += [self._divide_row(m, pivot) for m in (work, result)]
        below = poly_add(variable(self.k), poly(1))
        for low, high in ((poly(0), variable(self.k)), (below, self.n)):
            steps.append(self._eliminate_rows(work, result, low, high))
        return [
            *self._copy(source, work), *self._identity(result), *body,
            self._loop(self.k, poly(0), self.n, steps),
        ]  # fmt: skip

    # ---- pieces ----------------------------------------------------------------------------

    def _pivot(self, matrices: tuple[Matrix, ...], sign: Value) -> list[Statement]:
        """Bring the largest entry of column k, from row k down, to row k; negate `sign` per exchange."""
        out: list[Statement] = []
        first = self._op(out, "abs", self._load(out, matrices[0], self.k, self.k))
        best, place = self.fresh(), self.fresh()
        row = self.fresh()
        out += [Cell(best, first), FromInt(row, variable(self.k)), Cell(place, row)]
        below = poly_add(variable(self.k), poly(1))
        search: list[Statement] = []
        size = self._op(search, "abs", self._load(search, matrices[0], self.i, self.k))
        better = self._op(search, "lt", best, size)
        here = self.fresh()
        search += [FromInt(here, variable(self.i)), If(better, [SetCell(best, size), SetCell(place, here)])]
        exchange: list[Statement] = []
        number = self.fresh()
        exchange.append(FromInt(number, variable(self.i)))
        chosen = self._op(exchange, "eq", number, place)
        swap: list[Statement] = [self._swap_rows(m) for m in matrices]
        swap.append(SetCell(sign, self._op(swap, "neg", sign)))
        exchange.append(If(chosen, swap))
        return [*out, self._loop(self.i, below, self.n, search), self._loop(self.i, below, self.n, exchange)]

    def _swap_rows(self, m: Matrix) -> Statement:
        body: list[Statement] = []
        a, b = self._load(body, m, self.k, self.j), self._load(body, m, self.i, self.j)
        body += [Store(m.buffer, m.at(variable(self.k), variable(self.j)), b),
                 Store(m.buffer, m.at(variable(self.i), variable(self.j)), a)]  # fmt: skip
        return self._loop(self.j, poly(0), self.n, body)

    def _eliminate_below(self, m: Matrix, pivot: Value) -> Statement:
        outer: list[Statement] = []
        factor = self._op(outer, "div", self._load(outer, m, self.i, self.k), pivot)
        below = poly_add(variable(self.k), poly(1))
        outer.append(self._loop(self.j, below, self.n, self._subtract_row(m, factor)))
        return self._loop(self.i, below, self.n, outer)

    def _eliminate_rows(self, work: Matrix, result: Matrix, low: Poly, high: Poly) -> Statement:
        outer: list[Statement] = []
        factor = self._load(outer, work, self.i, self.k)
        outer += [self._loop(self.j, poly(0), self.n, self._subtract_row(m, factor)) for m in (work, result)]
        return self._loop(self.i, low, high, outer)

    def _subtract_row(self, m: Matrix, factor: Value) -> list[Statement]:
        """row i -= factor * row k, one entry."""
        body: list[Statement] = []
        product = self._op(body, "mul", factor, self._load(body, m, self.k, self.j))
        difference = self._op(body, "sub", self._load(body, m, self.i, self.j), product)
        body.append(Store(m.buffer, m.at(variable(self.i), variable(self.j)), difference))
        return body

    def _divide_row(self, m: Matrix, pivot: Value) -> Statement:
        body: list[Statement] = []
        quotient = self._op(body, "div", self._load(body, m, self.k, self.j), pivot)
        body.append(Store(m.buffer, m.at(variable(self.k), variable(self.j)), quotient))
        return self._loop(self.j, poly(0), self.n, body)

    def _copy(self, source: Matrix, target: Matrix) -> list[Statement]:
        body: list[Statement] = []
        value = self._load(body, source, self.i, self.j)
        body.append(Store(target.buffer, target.at(variable(self.i), variable(self.j)), value))
        return [self._loop(self.i, poly(0), self.n, [self._loop(self.j, poly(0), self.n, body)])]

    def _identity(self, target: Matrix) -> list[Statement]:
        zero, one = self.fresh(), self.fresh()
        row: list[Statement] = [
            Const(zero, ("q", 0, 1)),
            self._loop(self.j, poly(0), self.n,
                       [Store(target.buffer, target.at(variable(self.i), variable(self.j)), zero)]),
            Const(one, ("q", 1, 1)),
            Store(target.buffer, target.at(variable(self.i), variable(self.i)), one),
        ]  # fmt: skip
        return [self._loop(self.i, poly(0), self.n, row)]

    def _cell(self, payload: tuple[Any, ...]) -> tuple[list[Statement], Value]:
        start, cell = self.fresh(), self.fresh()
        return [Const(start, payload), Cell(cell, start)], cell

    def _load(self, out: list[Statement], m: Matrix, row: str, column: str) -> Value:
        value = self.fresh()
        out.append(Load(value, m.buffer, m.at(variable(row), variable(column))))
        return value

    def _op(self, out: list[Statement], op: str, *args: Value) -> Value:
        value = self.fresh()
        out.append(Compute(value, op, args))
        return value

    @staticmethod
    def _loop(var: str, low: Poly, high: Poly, body: list[Statement]) -> Statement:
        return For(var, (low,), (high,), body)
