"""Definitions as index notation: sums over named indices, any rank, every index map.

Reads of definitions are written out from the outside inwards. Each read becomes the definition's body with
its indices put in and with bound indices named by the first letters that no enclosing sum uses; equal reads
share one expression.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter

from symgrad.entries import Where
from symgrad.errors import UnsupportedExpression
from symgrad.extrema import Extremum, Maximum, Minimum
from symgrad.frontend.linalg import element_of_call, matrix_of_entries
from symgrad.frontend.printed_size import MOST_SEARCHED
from symgrad.frontend.scalar_builders import reachable_branches
from symgrad.frontend.scalar_form import Leaves, ScalarForm
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.tensor import Tensor
from symgrad.records import dataclass

Expr = Any
Name = Callable[[TensorId, Sequence[Expr], Expr], Expr | None]

LETTERS = "ijklmpqrsuvw"


@dataclass(frozen=True)
class IndexedExpression:
    """An array as the expression of its entry: `[i, j] -> X[i, j] + 1`.

    indices  one index symbol per axis, or 0 for an axis of extent 1.
    shape    the extents.
    """

    indices: tuple[Expr, ...]
    expr: Expr
    shape: tuple[Expr, ...]

    def __getitem__(self, index: Any) -> Expr:
        """The entry at the given indices, SymPy expressions or integers."""
        given = index if isinstance(index, tuple) else (index,)
        places = {n: sp.sympify(at) for n, at in zip(self.indices, given, strict=True) if n != 0}
        taken = set().union(*(at.free_symbols for at in places.values()))
        clashes = {v: sp.Dummy(v.name, integer=True) for v in _bound_symbols(self.expr) if v in taken}
        return self.expr.xreplace(clashes).xreplace(places)

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.indices))}] -> {self.expr}"

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        latex = _LatexPrinter().doprint
        names = ", ".join(map(latex, self.indices))
        return rf"$\displaystyle \left[{names}\right] \mapsto {latex(self.expr)}$"


class _LatexPrinter(LatexPrinter):
    """Without the range that SymPy prints at every occurrence of an Idx."""

    def _print_Idx(self, expr: Expr) -> str:
        return str(self._print(expr.label))


def _bound_symbols(expr: Expr) -> set[Expr]:
    heads = (sp.Sum, sp.Product, Maximum, Minimum)
    binders = (part for part in sp.preorder_traversal(expr) if isinstance(part, heads))
    return {limit[0] for part in binders for limit in part.args[1:]}


@dataclass
class _Expansion:
    """A read of a definition, written out: `kind` over `bound` of `bodies`, several of a call alone.

    build  of a call: its element from the entries of the operands.
    """

    kind: str
    bound: tuple[Node, ...]
    bodies: tuple[Node, ...]
    build: Callable[[Sequence[Expr]], Expr] | None = None


class IndexForm(Leaves):
    """One conversion to index notation.

    used  names of the user's symbols, which indices avoid.
    name  called with a definition that is read more than once, index symbols for its axes and its
          expression; returns the array to write instead (an IndexedBase or a Symbol), or None.
    matrix  a node over axes in matrix notation, None where it has none: operands of matrix functions.
    """

    def __init__(
        self,
        g: Graph,
        symbols: Mapping[TensorId, Expr],
        sizes: Mapping[str, Expr],
        used: frozenset[str],
        name: Name | None = None,
        matrix: Callable[[Node, Sequence[Node]], Expr | None] = lambda node, axes: None,
    ) -> None:
        super().__init__(g, symbols, sizes)
        self._matrix = matrix
        self._names = _index_names(used)
        self._letters: list[str] = []
        self._axes: dict[tuple[int, Node, bool], Node] = {}
        self._indices: dict[Node, Expr] = {}
        self._context: dict[Node, frozenset[int]] = {}
        self._expansions: dict[Node, _Expansion] = {}
        self._values: dict[Node, Expr] = {}
        self._name = name
        self._arrays: dict[TensorId, Expr] = {}
        self._uses: Counter[TensorId] = Counter()
        self._binds = False

    def convert(self, node: Node, axes: Sequence[Node]) -> tuple[Expr, tuple[Expr, ...]]:
        """The entry of an array at its indices, and the indices (0 for an axis of extent 1)."""
        free = self._bind(axes, frozenset(), free=True)
        node = self.g.substitute(node, dict(zip(axes, free, strict=True)))
        if self._name is not None:
            self._name_definitions(node)
        expr = self._expand(node, frozenset(range(len(axes))))
        return expr, tuple(self._indices.get(a, sp.S.Zero) for a in free)

    def convert_scalars(
        self, nodes: Sequence[Node], name: Callable[[Node, Expr], Expr | None] | None
    ) -> list[Expr]:
        """Nodes without axes. `name` names the scalar parts they share (see `ScalarForm`)."""
        if self._name is not None:
            for node in nodes:
                self._name_definitions(node)
        return self._expand_all(nodes, frozenset(), name)

    # ---- naming ------------------------------------------------------------------------------------

    def _bind(self, axes: Sequence[Node], used: frozenset[int], free: bool = False) -> list[Node]:
        """Named axes for `axes`: the first letters not in `used`; 0 for those of extent 1."""
        letters = (k for k in count() if k not in used)
        return [
            self.g.zero if e == self.g.one else self._named_axis(next(letters), e, free)
            for e in map(self.g.extent, axes)
        ]

    def _symbol(self, name: str, extent: Node | None) -> Expr:
        """An Idx with its range for an axis of the result, a Symbol for a bound index."""
        length = None if extent is None else self.integer(extent)
        if length is not None and length.is_integer:
            return sp.Idx(name, length)
        return sp.Symbol(name, integer=True)

    def _named_axis(self, letter: int, extent: Node, free: bool) -> Node:
        key = (letter, extent, free)
        if key not in self._axes:
            while letter >= len(self._letters):
                self._letters.append(next(self._names))
            axis = self._axes[key] = self.g.fresh_axis(extent)
            self._indices[axis] = self._symbol(self._letters[letter], extent if free else None)
        return self._axes[key]

    def _letter_of(self, axis: Node) -> int:
        return self._letters.index(self._indices[axis].name)

    def _name_definitions(self, root: Node) -> None:
        """Shared definitions get names of their own, producers first."""
        reads = [self.g.args[r][0] for r in self.g.reads((root,))]
        self._uses.update(reads)
        order = self.g.definitions_below(reads)
        for t in order:
            tensor = self.g.tensors[t]
            self._uses.update(self.g.args[r][0] for r in self.g.reads((*tensor.bodies, *tensor.target)))
        for t in order:
            tensor = self.g.tensors[t]
            if tensor.kind == "input" or self._uses[t] < 2:
                continue
            axes = self._bind([self.g.fresh_axis(e) for e in tensor.extents], frozenset(), free=True)
            expr = self._expand(self.g.read(t, *axes), frozenset(range(len(axes))))
            array = self._name and self._name(t, [self._indices.get(a, sp.S.Zero) for a in axes], expr)
            if array is not None:
                self._arrays[t] = array

    # ---- expansion ---------------------------------------------------------------------------------

    def _expand(self, root: Node, used: frozenset[int]) -> Expr:
        return self._expand_all((root,), used, None)[0]

    def _expand_all(
        self, roots: Sequence[Node], used: frozenset[int], name: Callable[[Node, Expr], Expr | None] | None
    ) -> list[Expr]:
        """Write out every read below `roots`: names from the outside in, expressions from the inside out."""
        order: list[Node] = []
        queue: list[tuple[int, Node]] = []
        for root in roots:
            self._enqueue(root, used, queue)
        while queue:  # consumers have larger tensor ids than producers
            _, read = heapq.heappop(queue)
            if read in self._expansions:
                continue
            expansion = self._expansions[read] = self._write_out(read, self._context[read])
            order.append(read)
            inner = self._context[read] | {self._letter_of(a) for a in expansion.bound}
            for body in expansion.bodies:
                self._enqueue(body, inner, queue)
        scalar = ScalarForm(self) if name is None else ScalarForm(self, name)
        for read in reversed(order):
            self._values[read] = self.printed.checked(self._reduced(self._expansions[read], scalar))
        return scalar.convert(roots)

    def _enqueue(self, node: Node, used: frozenset[int], queue: list[tuple[int, Node]]) -> None:
        for read in self.g.reads((node,)):
            t = self.g.args[read][0]
            if self.g.tensors[t].kind == "input" or t in self._arrays or read in self._expansions:
                continue
            self._context[read] = self._context.get(read, frozenset()) | used
            heapq.heappush(queue, (-t, read))

    def _write_out(self, read: Node, used: frozenset[int]) -> _Expansion:
        t, *index = self.g.args[read]
        tensor = self.g.tensors[t]
        if tensor.kind == "call":
            return self._write_out_call(tensor, index, used)
        if tensor.links:
            raise UnsupportedExpression(
                "a recurrence has no formula without itself",
                because="its derivative is a recurrence in the other direction of time",
                try_="sg.explain, which prints its steps",
            )
        if tensor.kind == "enum":
            return self._write_out_enum(tensor, index)
        if tensor.kind == "scatter":
            return self._write_out_scatter(tensor, index, used)
        bound = self._bind(tensor.red, used)
        mapping = dict(zip((*tensor.out, *tensor.red), (*index, *bound), strict=True))
        return self._expansion(tensor.kind, bound, self.g.substitute(tensor.body, mapping))

    def _write_out_enum(self, tensor: Tensor, index: Sequence[Node]) -> _Expansion:
        """An entry of an explicit array, chosen by an index."""
        entry, *rest = index
        mapping = dict(zip(tensor.out, rest, strict=True))
        *others, result = self.g.substitute_all(tensor.bodies, mapping)
        for number in reversed(range(len(others))):
            result = self.g.where(self.g.ieq(entry, self.g.const(number)), others[number], result)
        return self._expansion("map", (), result)

    def _expansion(self, kind: str, bound: Sequence[Node], body: Node) -> _Expansion:
        self._binds = self._binds or bool(bound)
        return _Expansion(kind, tuple(b for b in bound if b != self.g.zero), (body,))

    def _write_out_call(self, tensor: Tensor, index: Sequence[Node], used: frozenset[int]) -> _Expansion:
        """An element of a matrix function, of operands in matrix notation or given entry by entry."""
        row, count = MATRIX_FUNCTIONS[tensor.name], len(tensor.out)
        batch = count - len(row.result)
        outer = dict(zip(tensor.out[:batch], index[:batch], strict=True))
        bound = self._bind(tensor.red, used)
        names = {**outer, **dict(zip(tensor.red, bound, strict=True))}
        operands: list[Expr] = []  # in matrix notation; or the sides of a matrix to be made of its entries
        bodies, first = [], 0
        for body, rank in zip(tensor.bodies, row.ranks, strict=True):
            axes = tensor.red[first : first + rank]
            first += rank
            operand = None if self.g.axes[body] & outer.keys() else self._matrix(body, axes)
            if operand is None:
                operand = [(self._indices.get(names[a]), self.integer(self.g.extent(a))) for a in axes]
                bodies.append(self.g.substitute(body, names))
            operands.append(operand)
        place = [self.integer(i) for i in index[batch:]]

        def build(entries: Sequence[Expr]) -> Expr:
            left = iter(entries)
            whole = [matrix_of_entries(o, next(left)) if isinstance(o, list) else o for o in operands]
            return element_of_call(tensor.name, whole, place)

        return _Expansion("call", tuple(b for b in bound if b != self.g.zero), tuple(bodies), build)

    def _write_out_scatter(self, tensor: Tensor, index: Sequence[Node], used: frozenset[int]) -> _Expansion:
        """`T[a(k)] += f(k)` as T[p] = sum over k of [p = a(k)] f(k); loops over an axis of T vanish."""
        mapping: dict[Node, Node] = {}
        for place, at, extent in zip(tensor.target, index, tensor.extents, strict=True):
            if place in tensor.red and self.g.extent(place) == extent:
                mapping.setdefault(place, at)
        rest = [a for a in tensor.red if a not in mapping]
        bound = self._bind(rest, used)
        mapping.update(zip(rest, bound, strict=True))
        body = self._without_range_checks(tensor)
        body = self.g.substitute(body, mapping)
        for place, at in zip(self.g.substitute_all(tensor.target, mapping), index, strict=True):
            body = self.g.mask(self.g.ieq(place, at), body)
        return self._expansion("sum", bound, body)

    def _without_range_checks(self, tensor: Tensor) -> Node:
        """The body without the guards that keep its places inside the result: the equality implies them."""
        g = self.g
        if g.op[tensor.body] != "mask":
            return tensor.body
        implied: set[Node] = set()
        for place, extent in zip(tensor.target, tensor.extents, strict=True):
            implied |= {g.ige0(place), g.ige0(g.isub(g.iadd(extent, g.const(-1)), place))}
        predicate, inner = g.args[tensor.body]
        return g.mask(conjunction(g, [p for p in conjuncts(g, predicate) if p not in implied]), inner)

    def _reduced(self, expansion: _Expansion, scalar: ScalarForm) -> Expr:
        entries = scalar.convert(expansion.bodies)
        if expansion.build is not None:
            return expansion.build(entries)
        (body,) = entries
        if expansion.kind == "map":
            return body
        self.printed.checked(body, MOST_SEARCHED)
        limits = [
            sp.Tuple(self._indices[a], sp.S.Zero, self.integer(self.g.extent(a)) - 1) for a in expansion.bound
        ]
        if expansion.kind == "logsumexp":
            return sp.log(_over(sp.Sum, sp.exp(body), limits))
        if expansion.kind == "sum" and body.has(sp.KroneckerDelta):
            axes = self.g.axes[expansion.bodies[0]]
            return _sum_with_deltas(body, limits, {self._indices[a]: self.g.extent(a) for a in axes})
        return _over(_HEADS[expansion.kind], body, limits)

    # ---- leaves ------------------------------------------------------------------------------------

    def axis(self, node: Node) -> Expr:
        """The symbol of a named axis."""
        return self._indices[node]

    def choice(self, values: Sequence[Expr], exact: bool) -> Expr:
        """`Where` beside sums: SymPy's Sum would pull a Piecewise out of the sums inside it."""
        if not self._binds:
            return super().choice(values, exact)
        *others, (result, _) = reachable_branches(values)
        for value, condition in reversed(others):
            result = Where(condition, value, result)
        return result

    def equality(self, node: Node) -> Expr:
        """KroneckerDelta(i, j)."""
        condition = self.predicate(node)
        if condition in (sp.true, sp.false):
            return sp.S.One if condition == sp.true else sp.S.Zero
        return sp.KroneckerDelta(*condition.args)

    def read(self, node: Node) -> Expr:
        """An element of an input or of a named array, or a definition written out."""
        t, *index = self.g.args[node]
        if t in self._arrays:
            return _element(self._arrays[t], [self.integer(i) for i in index])
        if self.g.tensors[t].kind == "input":
            return _element(self.symbols[t], [self.integer(i) for i in index])
        return self._values[node]


_HEADS = {"sum": sp.Sum, "prod": sp.Product, "max": Maximum, "min": Minimum}


def _sum_with_deltas(body: Expr, limits: list[Expr], lengths: Mapping[Expr, Node]) -> Expr:
    """A sum in which KroneckerDelta(k, j) over k, of one range with j, puts j for k."""
    bound = {limit[0] for limit in limits}
    pending, done = [body], []
    while pending:
        term = pending.pop()
        hidden = [f for f in sp.Mul.make_args(term) if f.is_Add and _deltas_of(f, bound, lengths)]
        if term.is_Add and _deltas_of(term, bound, lengths):
            pending += term.args
        elif hidden:
            pending += [term / hidden[0] * part for part in hidden[0].args]
        else:
            done.append(term)
    return sp.Add(*(_eliminated(term, limits, lengths) for term in _together(done, bound, lengths)))


def _together(terms: list[Expr], bound: set[Expr], lengths: Mapping[Expr, Node]) -> list[Expr]:
    """Terms without a delta to eliminate stay in one sum."""
    plain = [t for t in terms if not _deltas_of(t, bound, lengths)]
    return [t for t in terms if _deltas_of(t, bound, lengths)] + ([sp.Add(*plain)] if plain else [])


def _deltas_of(e: Expr, bound: set[Expr], lengths: Mapping[Expr, Node]) -> list[tuple[Expr, Expr, Expr]]:
    """(delta, bound index, what it equals), for factors of `e` or of the terms of `e`."""
    found = []
    for factor in (f for term in sp.Add.make_args(e) for f in sp.Mul.make_args(term)):
        if isinstance(factor, sp.KroneckerDelta):
            a, b = factor.args
            found += [
                (factor, x, y) for x, y in ((a, b), (b, a))
                if x in bound and x in lengths and y in lengths and lengths[x] == lengths[y]
            ]  # fmt: skip
    return found


def _eliminated(term: Expr, limits: list[Expr], lengths: Mapping[Expr, Node]) -> Expr:
    left = list(limits)
    while not term.is_Add:
        deltas = _deltas_of(term, {limit[0] for limit in left}, lengths)
        if not deltas:
            break
        delta, index, value = deltas[0]
        term = (term / delta).xreplace({index: value})
        left = [limit for limit in left if limit[0] != index]
    return _over(sp.Sum, term, left) if left else term


def _over(head: type, body: Expr, limits: Sequence[Expr]) -> Expr:
    """`head(body, *limits)` as it stands; SymPy's Sum would rewrite the body."""
    if not limits:
        return body
    if issubclass(head, Extremum):
        return head(body, *limits)
    if head is sp.Sum and body.is_Mul:
        bound = {limit[0] for limit in limits}
        outside = [f for f in body.args if not f.free_symbols & bound]
        if outside:
            inside = sp.Mul(*(f for f in body.args if f.free_symbols & bound))
            return sp.Mul(*outside, _over(head, inside, limits))
    made = sp.Expr.__new__(head, body, *limits)
    made.is_commutative = True
    return made


def _element(array: Expr, index: Sequence[Expr]) -> Expr:
    return array[tuple(index)] if index else array


def _index_names(used: frozenset[str]) -> Iterator[str]:
    """i, j, k, ..., then i1, j1, ..., without the user's names."""
    for number in count():
        for letter in LETTERS:
            name = f"{letter}{number}" if number else letter
            if name not in used:
                yield name
