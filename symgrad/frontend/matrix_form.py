"""Definitions as matrix notation: products, traces, elementwise functions, no indices.

Every definition becomes a scalar expression in atoms (see `elementwise`) over at most two axes. A sum over
an axis contracts the atoms that mention it into a matrix product, which is again an atom. Axes of extent 1
(columns and rows) do not count. Whatever needs three axes at once, shifted or gathered indices, or partial
ranges has no matrix notation and raises `NoMatrixForm`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement

from symgrad.frontend.elementwise import Atoms, NoMatrixForm
from symgrad.frontend.linalg import SPELLINGS
from symgrad.frontend.matrix_algebra import diagonal, effort, matmul, ones, trace, transpose
from symgrad.frontend.printed_size import MOST_SEARCHED
from symgrad.frontend.scalar_form import Leaves, ScalarForm
from symgrad.frontend.triangle import LOWER, Triangle
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.tensor import Tensor

Expr = Any
Matrix = Any
Name = Callable[[TensorId, Expr, tuple[Expr, Expr] | None], Expr | None]

_DEEPEST = 200  # SymPy's xreplace recurses; deeper elementwise formulas are written with indices


class MatrixForm(Leaves):
    """One conversion to matrix notation.

    name  called with a tensor that is read more than once, its expression and its shape (None for a
          scalar); returns the symbol to write instead, or None to write the expression out.
    """

    def __init__(
        self,
        g: Graph,
        symbols: Mapping[TensorId, Expr],
        sizes: Mapping[str, Expr],
        used: frozenset[str],
        name: Name = lambda tensor, expr, shape: None,
    ) -> None:
        super().__init__(g, symbols, sizes)
        self.atoms = Atoms(used, self.printed)
        self._name = name
        self._values: dict[TensorId, Expr] = {}
        self._uses: Counter[TensorId] = Counter()

    def convert(self, node: Node, axes: Sequence[Node]) -> Expr:
        """`node` as a matrix over the (at most two) axes that are longer than 1, or as a scalar.

        Raises NoMatrixForm.
        """
        node, kept = self._without_unit_axes(node, axes)
        if len(kept) > 2:
            raise NoMatrixForm
        self._define_all((node,))
        return self._laid_out(self._scalar(node), axes, kept)

    def convert_scalars(self, nodes: Sequence[Node]) -> list[Expr]:
        """Nodes without axes. Raises NoMatrixForm."""
        self._define_all(nodes)
        return [self._scalar(node) for node in nodes]

    def _laid_out(self, e: Expr, axes: Sequence[Node], kept: Sequence[Node]) -> Expr:
        if not kept:
            return e
        for a in kept:
            self._length_of(a)
        if len(kept) == 2:
            return self.atoms.matrix(e, *kept)
        column = self.atoms.column(e, kept[0])
        return transpose(column) if len(axes) == 2 and axes[1] == kept[0] else column

    # ---- definitions -------------------------------------------------------------------------------

    def _define_all(self, roots: Sequence[Node]) -> None:
        reads = [self.g.args[r][0] for r in self.g.reads(roots)]
        self._uses.update(reads)
        below = self.g.definitions_below(reads)
        for t in below:
            bodies = self.g.tensors[t].bodies
            self._uses.update(self.g.args[r][0] for r in self.g.reads(bodies))
        for t in below:
            if t not in self._values and self.g.tensors[t].kind != "input":
                self._values[t] = self._definition(t, self.g.tensors[t])

    def _definition(self, t: TensorId, tensor: Tensor) -> Expr:
        if tensor.kind == "call":
            return self._matrix_function(t, tensor)
        if tensor.kind not in ("map", "sum", "logsumexp"):
            raise NoMatrixForm
        body, kept = self._without_unit_axes(tensor.body, (*tensor.out, *tensor.red))
        out = [a for a in kept if a in tensor.out]
        if len(out) > 2:
            raise NoMatrixForm
        e = self._scalar(body)
        red = frozenset(kept) - frozenset(out)
        if tensor.kind == "sum":
            e = self._contract(e, red)
        elif tensor.kind == "logsumexp":
            e = sp.log(self._contract(sp.exp(e), red))
        self.printed.checked(e, MOST_SEARCHED)
        return self._named(t, e, out) if self._uses[t] > 1 else e

    def _matrix_function(self, t: TensorId, tensor: Tensor) -> Expr:
        """A function of one matrix (not of one per value of further axes)."""
        row, operands = MATRIX_FUNCTIONS[tensor.name], []
        if len(tensor.out) != len(row.result) or tensor.name not in SPELLINGS:
            raise NoMatrixForm
        for a in (*tensor.out, *tensor.red):
            self._length_of(a)
        first = 0
        for body, rank in zip(tensor.bodies, row.ranks, strict=True):
            operands.append(self._operand(body, tensor.red[first : first + rank]))
            first += rank
        e = SPELLINGS[tensor.name](*operands)
        if not tensor.out:
            return e
        _, kept = self._without_unit_axes(self.g.zero, tensor.out)
        e = self.atoms.dummy(e, tuple(kept)) if kept else e[0, 0]
        return self._named(t, e, kept) if self._uses[t] > 1 else e

    def _operand(self, body: Node, axes: Sequence[Node]) -> Expr:
        """A matrix or a column; sides of length 1 have no axis."""
        body, kept = self._without_unit_axes(body, axes)
        e = self._scalar(body)
        if len(kept) == 2:
            return self.atoms.matrix(e, *kept)
        if not kept:
            return sp.Matrix([[e]]).as_immutable()
        column = self.atoms.column(e, kept[0])
        return transpose(column) if axes[-1] == kept[0] and len(axes) == 2 else column

    def _named(self, t: TensorId, e: Expr, out: list[Node]) -> Expr:
        if not out:
            return self._name(t, e, None) or e
        row, col = out[0], out[1] if len(out) == 2 else None
        shape = (self._length_of(row), sp.S.One if col is None else self._length_of(col))
        symbol = self._name(t, self.atoms.matrix(e, row, col), shape)
        return e if symbol is None else self.atoms.dummy(symbol, tuple(out))

    def _without_unit_axes(self, node: Node, axes: Iterable[Node]) -> tuple[Node, list[Node]]:
        unit = {a: self.g.zero for a in axes if self.g.extent(a) == self.g.one}
        return self.g.substitute(node, unit), [a for a in axes if a not in unit]

    def _scalar(self, node: Node) -> Expr:
        if self._is_deep(node):
            raise NoMatrixForm
        (e,) = ScalarForm(self).convert((node,))
        return self.printed.checked(e, MOST_SEARCHED)

    def _is_deep(self, root: Node) -> bool:
        depth: dict[Node, int] = {}
        for n in self.g.reachable((root,)):
            depth[n] = 1 + max((depth[c] for c in self.g.children(n)), default=0)
        return depth[root] > _DEEPEST

    # ---- leaves ------------------------------------------------------------------------------------

    def axis(self, node: Node) -> Expr:
        """Refused: a matrix has no notation for the value of an index."""
        raise NoMatrixForm

    def predicate(self, node: Node) -> Expr:
        """A condition on sizes; conditions on indices are refused."""
        if self.g.axes[node]:
            raise NoMatrixForm
        return super().predicate(node)

    def equality(self, node: Node) -> Expr:
        """A Kronecker delta is an entry of the identity."""
        constant, terms = self.g.linear(self.g.args[node][0])
        if not self.g.axes[node]:
            return sp.KroneckerDelta(self.affine(constant, terms), 0)
        if constant or sorted(terms.values()) != [-1, 1]:
            raise NoMatrixForm
        a, b = terms
        if self.g.op[a] != "axis" or self.g.op[b] != "axis" or self.g.extent(a) != self.g.extent(b):
            raise NoMatrixForm
        self._length_of(b)
        return self.atoms.dummy(sp.Identity(self._length_of(a)), (a, b))

    def indicator(self, node: Node) -> Expr | None:
        """A condition on a row and a column is an entry of a triangle of ones."""
        if self.g.op[node] != "ige" or not self.g.axes[node]:
            return super().indicator(node)
        constant, terms = self.g.linear(self.g.args[node][0])
        if sorted(terms.values()) != [-1, 1] or any(self.g.op[a] != "axis" for a in terms):
            raise NoMatrixForm
        row, col = sorted(terms, key=lambda a: -terms[a])  # row - col + constant >= 0
        lengths = self._length_of(row), self._length_of(col)
        return self.atoms.dummy(Triangle(LOWER, ones(*lengths), constant), (row, col))

    def read(self, node: Node) -> Expr:
        """An atom, or the definition's expression in atoms."""
        t, *index = self.g.args[node]
        tensor = self.g.tensors[t]
        if tensor.kind == "input":
            return self._read_input(self.symbols[t], tensor, index)
        return self._read_definition(self._values[t], tensor, index)

    def _read_input(self, symbol: Expr, tensor: Tensor, index: Sequence[Node]) -> Expr:
        if not tensor.extents:
            return symbol
        if not isinstance(symbol, sp.MatrixSymbol):
            raise NoMatrixForm
        if not any(self.g.axes[i] for i in index):
            rows, cols = (self.integer(i) for i in index)
            return MatrixElement(symbol, rows, cols)
        axes = self._axes_of(index, tensor.extents)
        if len(axes) == 1 and tensor.extents[0] == self.g.one:
            return self.atoms.dummy(sp.Transpose(symbol), axes)  # atoms of one axis are columns
        return self.atoms.dummy(symbol, axes)

    def _read_definition(self, e: Expr, tensor: Tensor, index: Sequence[Node]) -> Expr:
        axes = iter(self._axes_of(index, tensor.extents))
        own = [a for a, extent in zip(tensor.out, tensor.extents, strict=True) if extent != self.g.one]
        return self.atoms.rename(e, dict(zip(own, axes, strict=True)))

    def _axes_of(self, index: Sequence[Node], extents: Sequence[Node]) -> tuple[Node, ...]:
        """The axes that run along the longer dimensions, each over all of it."""
        axes = []
        for i, extent in zip(index, extents, strict=True):
            if extent == self.g.one:
                continue
            if self.g.op[i] != "axis" or self.g.extent(i) != extent:
                raise NoMatrixForm
            self._length_of(i)
            axes.append(i)
        return tuple(axes)

    def _length_of(self, axis: Node) -> Expr:
        length = self.atoms.lengths[axis] = self.integer(self.g.extent(axis))
        return length

    # ---- contraction -------------------------------------------------------------------------------

    def _contract(self, e: Expr, red: frozenset[Node]) -> Expr:
        """The sum of `e` over the axes `red`."""
        pending, total = [(sp.S.One, e, red)], []
        while pending:
            outside, e, red = pending.pop()
            axes = self.atoms.axes(e)
            outside = sp.Mul(outside, *(self._length_of(a) for a in red - axes))
            red = red & axes
            if not red:
                total.append(outside * e)
            elif e.is_Add and (len(axes) > 2 or any(self.atoms.axes(t) != axes for t in e.args)):
                pending += [(outside, term, red) for term in e.args]
            else:
                result = self._contract_product(e, red)
                if result is None:
                    pending.append((outside, self._expanded(e), red))
                else:
                    total.append(outside * result)
        return sp.Add(*total)

    def _expanded(self, e: Expr) -> Expr:
        expanded = sp.expand_mul(e)
        if expanded == e or not expanded.is_Add:
            raise NoMatrixForm
        return expanded

    def _contract_product(self, e: Expr, red: frozenset[Node]) -> Expr | None:
        """The sum of a product, one axis after another; None if the product has to be expanded first."""
        factors = list(sp.Mul.make_args(e))
        outside = [f for f in factors if not self.atoms.axes(f) & red]
        factors = [f for f in factors if f not in outside]
        while red:
            inside = [f for f in factors if self.atoms.axes(f) & red]
            everything = frozenset().union(*(self.atoms.axes(f) for f in inside))
            if everything == red and len(red) <= 2:
                rest = [f for f in factors if f not in inside]
                return sp.Mul(*outside, *rest, self._inner_product(inside, sorted(red)))
            axis = min(sorted(red), key=lambda a: len(self._neighbours(factors, a)))
            mine = [f for f in factors if axis in self.atoms.axes(f)]
            made = self._contract_axis(mine, axis, sorted(self._neighbours(factors, axis)))
            if made is None:
                return None
            factors = [f for f in factors if f not in mine] + [made]
            red = red - {axis}
        return sp.Mul(*outside, *factors)

    def _neighbours(self, factors: Sequence[Expr], axis: Node) -> frozenset[Node]:
        axes = [self.atoms.axes(f) for f in factors]
        return frozenset().union(*(a for a in axes if axis in a)) - {axis}

    def _contract_axis(self, factors: list[Expr], k: Node, others: Sequence[Node]) -> Expr | None:
        """sum over k of a product that mentions k and at most two more axes."""
        vectors = [f for f in factors if self.atoms.axes(f) == {k}]
        if len(others) == 1:
            left = [f for f in factors if f not in vectors]
            m = self.atoms.matrix(sp.Mul(*left), others[0], k)
            v = self.atoms.column(sp.Mul(*vectors), k)
            return self.atoms.dummy(matmul(m, v), (others[0],))
        if len(others) != 2 or any(len(self.atoms.axes(f)) > 2 for f in factors):
            return None
        r, c = others
        left = self.atoms.matrix(sp.Mul(*(f for f in factors if r in self.atoms.axes(f))), r, k)
        right = self.atoms.matrix(sp.Mul(*(f for f in factors if c in self.atoms.axes(f))), k, c)
        middle = [diagonal(self.atoms.column(sp.Mul(*vectors), k))] if vectors else []
        product = matmul(left, *middle, right)
        flipped = transpose(product)
        if effort(flipped) < effort(product):
            return self.atoms.dummy(flipped, (c, r))
        return self.atoms.dummy(product, (r, c))

    def _inner_product(self, factors: list[Expr], axes: Sequence[Node]) -> Expr:
        """The sum over all axes of the factors, as a trace."""
        if len(axes) == 1:
            return self._vector_product(factors, axes[0])
        row, col = axes
        rows = [f for f in factors if self.atoms.axes(f) == {row}]
        cols = [f for f in factors if self.atoms.axes(f) == {col}]
        full = [f for f in factors if f not in rows and f not in cols]
        if len(full) == 1 and not rows and not cols:
            full = self._halves(full[0])
        if rows or cols or len(full) == 1:
            middle = self.atoms.matrix(sp.Mul(*full), row, col)
            left = transpose(self.atoms.column(sp.Mul(*rows), row))
            return trace(matmul(left, middle, self.atoms.column(sp.Mul(*cols), col)))
        rest = sp.Mul(*full[1:])
        pairs = [[self.atoms.matrix(e, *w) for e in (full[0], rest)] for w in ((row, col), (col, row))]
        return trace(*(matmul(transpose(first), second) for first, second in pairs))

    def _vector_product(self, factors: list[Expr], axis: Node) -> Expr:
        if len(factors) == 1:
            if factors[0].is_Symbol and len(self.atoms.atom(factors[0]).axes) == 2:
                return trace(self.atoms.atom(factors[0]).matrix)
            factors = self._halves(factors[0])
        if len(factors) == 1:
            v = self.atoms.column(factors[0], axis)
            return trace(matmul(ones(1, self._length_of(axis)), v))
        first, second = factors[0], sp.Mul(*factors[1:])
        return trace(matmul(transpose(self.atoms.column(first, axis)), self.atoms.column(second, axis)))

    @staticmethod
    def _halves(factor: Expr) -> list[Expr]:
        """x**2 as [x, x]."""
        if factor.is_Pow and factor.exp.is_Integer and factor.exp > 0 and factor.exp % 2 == 0:
            return [factor.base ** (factor.exp / 2)] * 2
        return [factor]
