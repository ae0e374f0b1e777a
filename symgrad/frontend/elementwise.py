"""Scalar expressions in *atoms* as matrix expressions.

An atom is a dummy scalar that stands for the entry of a matrix: `t` for `M[r, c]`, or for `v[r]` of a
column. An expression in atoms over a row axis and a column axis is rebuilt here with elementwise functions,
elementwise products, outer products and diagonal matrices. Where that is not possible, `NoMatrixForm` is
raised and the caller writes indices instead.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.core.relational import Relational
from sympy.matrices.expressions.diagonal import DiagonalOf

from symgrad.frontend.matrix_algebra import add, apply, diagonal, hadamard, matmul, ones, scale, transpose
from symgrad.frontend.printed_size import MOST_SEARCHED, PrintedSize
from symgrad.frontend.triangle import Triangle
from symgrad.ir.graph import Node
from symgrad.records import dataclass

Expr = Any
Matrix = Any


class NoMatrixForm(Exception):
    """The expression has no matrix notation; never seen by the user."""


@dataclass(frozen=True)
class Atom:
    """`matrix` read at `axes`: (row, column), or (row,) for a column vector."""

    matrix: Matrix
    axes: tuple[Node, ...]


class Atoms:
    """The atoms of one conversion; equal reads are one dummy, so SymPy collects and cancels them.

    lengths  extent of every axis, as a SymPy size.
    used     names that the Lambda's variable avoids.
    printed  the sizes of expressions; a matrix too large to print is refused.
    """

    def __init__(self, used: frozenset[str], printed: PrintedSize) -> None:
        self._printed = printed
        self.lengths: dict[Node, Expr] = {}
        self._atoms: dict[Expr, Atom] = {}
        self._dummies: dict[Atom, Expr] = {}
        self.variable = next(
            sp.Symbol(name, real=True) for name in ("t", "z", "s", "t_", "elementwise_t") if name not in used
        )

    def dummy(self, matrix: Matrix, axes: tuple[Node, ...]) -> Expr:
        """The scalar that stands for the matrix at these axes."""
        atom = Atom(self._printed.checked(matrix, MOST_SEARCHED), axes)
        if atom not in self._dummies:
            made = sp.Dummy(f"a{len(self._atoms):06d}", real=True)
            self._dummies[atom], self._atoms[made] = made, atom
        return self._dummies[atom]

    def of(self, e: Expr) -> list[Expr]:
        """The atoms of an expression, oldest first."""
        return sorted((s for s in e.free_symbols if s in self._atoms), key=lambda s: s.name)

    def atom(self, dummy: Expr) -> Atom:
        """What a dummy stands for."""
        return self._atoms[dummy]

    def axes(self, e: Expr) -> frozenset[Node]:
        """The axes an expression depends on."""
        return frozenset(axis for s in self.of(e) for axis in self._atoms[s].axes)

    def is_delta(self, e: Expr) -> bool:
        """Whether a dummy is an entry of an identity matrix."""
        return e in self._atoms and isinstance(self._atoms[e].matrix, sp.Identity)

    def rename(self, e: Expr, mapping: dict[Node, Node]) -> Expr:
        """The same expression read at other axes."""
        changes = {}
        for s in self.of(e):
            atom = self._atoms[s]
            axes = tuple(mapping.get(a, a) for a in atom.axes)
            if axes != atom.axes:
                constant = (
                    self._on_diagonal_of(atom.matrix) if len(axes) == 2 and axes[0] == axes[1] else None
                )
                changes[s] = self.dummy(atom.matrix, axes) if constant is None else constant
        return e.xreplace(changes) if changes else e

    @staticmethod
    def _on_diagonal_of(matrix: Matrix) -> Expr | None:
        """The number on the diagonal of an identity or a triangle of ones."""
        if isinstance(matrix, Triangle) and isinstance(matrix.matrix, sp.OneMatrix):
            return sp.Integer(matrix.has_diagonal)
        return sp.S.One if isinstance(matrix, sp.Identity) else None

    # ---- matrices ----------------------------------------------------------------------------------

    def column(self, e: Expr, axis: Node) -> Matrix:
        """An expression over one axis (or none) as a column vector."""
        return self.matrix(e, axis, None)

    def matrix(self, e: Expr, row: Node, col: Node | None) -> Matrix:
        """An expression over `row` and `col` as a matrix (a column where `col` is None)."""
        axes = self.axes(e)
        if not axes <= {row, col}:
            raise NoMatrixForm
        if not axes:
            return scale(e, ones(self.lengths[row], self._length(col)))
        if col is not None and axes == {row}:
            return matmul(self.column(e, row), ones(1, self._length(col)))
        if col is not None and axes == {col}:
            return matmul(ones(self.lengths[row], 1), transpose(self.column(e, col)))
        return self._full(e, row, col)

    def _length(self, axis: Node | None) -> Expr:
        return sp.S.One if axis is None else self.lengths[axis]

    def _full(self, e: Expr, row: Node, col: Node | None) -> Matrix:
        """`e` depends on every one of its axes."""
        if col is not None and self._is_flipped(e, row):
            return transpose(self._full(e, col, row))
        if e.is_Symbol:
            return self._oriented(self._atoms[e], row)
        coefficient, rest = self._coefficient(e)
        if coefficient != 1:
            return scale(coefficient, self._full(rest, row, col))
        if e.is_Add and self._is_sum_of_matrices(e):
            return self._sum(e, row, col)
        inner = self._inner(e)
        return self._apply(e, inner, row, col) if e != inner else self._composed(e, row, col)

    def _is_flipped(self, e: Expr, row: Node) -> bool:
        """Whether the first matrix in `e` is the transposed one: then everything is, and it is said once."""
        full = (self._atoms[s] for s in self.of(e) if len(self._atoms[s].axes) == 2 and not self.is_delta(s))
        first = next(full, None)
        return first is not None and first.axes[0] != row

    def _oriented(self, atom: Atom, row: Node) -> Matrix:
        if len(atom.axes) == 2 and atom.axes[0] == atom.axes[1]:
            return DiagonalOf(atom.matrix)
        return atom.matrix if atom.axes[0] == row else transpose(atom.matrix)

    def _coefficient(self, e: Expr) -> tuple[Expr, Expr]:
        if not e.is_Mul:
            return sp.S.One, e
        return e.as_independent(*self.of(e), as_Add=False)  # type: ignore[no-any-return]  # SymPy is untyped

    def _is_sum_of_matrices(self, e: Expr) -> bool:
        """False where one function of one matrix says it better: 1 - tanh(t)**2."""
        return self._inner(e) == e or all(self._is_linear(t) for t in e.args)

    def _is_linear(self, term: Expr) -> bool:
        _, rest = self._coefficient(term)
        return rest.is_Symbol or not self.of(term)

    def _inner(self, e: Expr) -> Expr:
        """The smallest part of `e` through which alone it depends on atoms: t + u in exp(t + u)**2."""
        dummies = self.of(e)
        if len(dummies) == 1:
            return dummies[0]
        mark = sp.Dummy(real=True)
        best = e
        for part in sp.preorder_traversal(e):
            holds_all = part != e and isinstance(part, sp.Expr) and set(dummies) <= part.free_symbols
            if holds_all and not self.of(_replaced(e, part, mark)):
                best = part
        return -best if best != e and best.is_Mul and best.could_extract_minus_sign() else best

    def _apply(self, e: Expr, inner: Expr, row: Node, col: Node | None) -> Matrix:
        """An elementwise function of one matrix."""
        argument = self.matrix(inner, row, col)
        if e.is_Pow and e.base == inner and e.exp.is_number:
            return self._raised(argument, e.exp)
        return apply(self.variable, _replaced(e, inner, self.variable), argument)

    @staticmethod
    def _raised(argument: Matrix, exponent: Expr) -> Matrix:
        if isinstance(argument, sp.HadamardPower):
            return sp.HadamardPower(argument.base, argument.exp * exponent)
        return sp.HadamardPower(argument, exponent)

    def _sum(self, e: Expr, row: Node, col: Node | None) -> Matrix:
        """Terms that are functions of one and the same matrix stay together."""
        groups: dict[Expr, list[Expr]] = {}
        for number, term in enumerate(e.as_ordered_terms()):
            alone = self._is_linear(term) or self.axes(term) != self.axes(e)
            inner = None if alone else self._inner(term)
            groups.setdefault(number if alone else inner, []).append(term)
        return add([self.matrix(sp.Add(*terms), row, col) for terms in groups.values()])

    def _composed(self, e: Expr, row: Node, col: Node | None) -> Matrix:
        """Several matrices, and no single function of one."""
        if e.is_Mul:
            return self._product(e, row, col)
        if e.is_Pow and not self.of(e.exp):
            return self._raised(self.matrix(e.base, row, col), e.exp)
        if isinstance(e, sp.Piecewise):
            return self._choice(e, row, col)
        raise NoMatrixForm

    def _product(self, e: Expr, row: Node, col: Node | None) -> Matrix:
        """Vectors scale rows and columns, matrices multiply elementwise, deltas pick the diagonal."""
        parts: dict[object, Expr] = {}
        deltas = 0
        for factor in sp.Mul.make_args(e):
            if self.is_delta(factor) or (factor.is_Pow and self.is_delta(factor.base)):
                deltas = 1
                continue
            axes = self.axes(factor)
            key = (axes, self._inner(factor)) if axes == {row, col} else axes
            parts[key] = parts.get(key, sp.S.One) * factor
        separable = next((p for p in parts.values() if p.is_Add and self._has_smaller_terms(p)), None)
        if separable is not None and len(parts) + deltas > 1:
            return self.matrix(sp.Add(*(e / separable * term for term in separable.args)), row, col)
        if deltas:
            return self._on_diagonal(list(parts.values()), row, col)
        rows, cols = parts.pop(frozenset((row,)), None), parts.pop(frozenset((col,)), None)
        if col is None:
            vectors = [rows] if rows is not None else []
            return hadamard([self.column(p, row) for p in (*self._split_powers(vectors), *parts.values())])
        if not parts:
            return matmul(self.column(rows, row), transpose(self.column(cols, col)))
        core = hadamard([self._full(p, row, col) for p in parts.values()])
        if rows is not None:
            core = matmul(diagonal(self.column(rows, row)), core)
        return core if cols is None else matmul(core, diagonal(self.column(cols, col)))

    def _has_smaller_terms(self, e: Expr) -> bool:
        """A sum with an identity or an outer product in it: a factor is better multiplied into each term."""
        if len(self.axes(e)) < 2:
            return False
        atoms = [self.of(term) for term in e.args]
        vectors = [a and all(len(self._atoms[s].axes) == 1 for s in a) for a in atoms]
        return any(vectors) or any(map(self.is_delta, self.of(e)))

    def _split_powers(self, vectors: list[Expr]) -> list[Expr]:
        """A product of functions of different vectors, one factor per vector."""
        groups: dict[Expr, Expr] = {}
        for factor in (f for v in vectors for f in sp.Mul.make_args(v)):
            inner = self._inner(factor)
            groups[inner] = groups.get(inner, sp.S.One) * factor
        return list(groups.values())

    def _on_diagonal(self, parts: list[Expr], row: Node, col: Node | None) -> Matrix:
        if col is None:
            raise NoMatrixForm
        size = self.lengths[row]
        full = [p for p in parts if self.axes(p) == {row, col}]
        vector = sp.Mul(*(self.rename(p, {col: row}) for p in parts if p not in full))
        core = diagonal(self.column(vector, row)) if vector != 1 else sp.Identity(size)
        return hadamard([core, *(self._full(p, row, col) for p in full)]) if full else core

    def _choice(self, e: Expr, row: Node, col: Node | None) -> Matrix:
        """Two arms, as indicator * arm + (1 - indicator) * other; the arms must be finite everywhere."""
        (yes, condition), (no, otherwise) = e.args if len(e.args) == 2 else ((None, None), (None, None))
        if otherwise != sp.true or no != 0 or not isinstance(condition, Relational):
            raise NoMatrixForm
        relation = condition
        if len(self.of(condition)) > 1:
            relation = condition.func(condition.lhs - condition.rhs, 0)
        indicator = sp.Piecewise((sp.S.One, relation), (sp.S.Zero, True))
        return self._product(sp.Mul(indicator, yes, evaluate=False), row, col)


def _replaced(e: Expr, part: Expr, by: Expr) -> Expr:
    """`e` with `part` replaced, and with `-part` too."""
    return e.xreplace({part: by, -part: -by})
