"""From SymPy to the intermediate representation, without recursion over the depth of the expression.

`translate` is the entry; `Translator` holds the state. What each SymPy class means is in the files
beside this one, in tables by class (`heads`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import sympy as sp
from sympy.core.function import AppliedUndef

from symgrad.entries import Entries
from symgrad.errors import BadArgument, SymgradError, UnknownFunction, UnsupportedExpression, quoted
from symgrad.frontend import (
    arguments,
    blocks,
    calculus,
    indexed,
    linalg,
    logic,
    matrices,
    ranges,
    recurrences,
    scalars,
    special,
)
from symgrad.frontend.conditions import check_conditions
from symgrad.frontend.describe import show
from symgrad.frontend.gradient import as_gradient
from symgrad.frontend.guarded import elements_in_arms
from symgrad.frontend.heads import MATRICES, SCALARS, Expr, Head, MakeTask, Task
from symgrad.frontend.matrices import Matrix
from symgrad.frontend.survey import SIZE, Survey
from symgrad.ir.collection import collection_paused
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.guarded import guard
from symgrad.records import dataclass

__all__ = ["Translation", "Translator", "Value", "translate"]
# Imported for what they register.
_TABLES = (blocks, calculus, indexed, linalg, logic, matrices, recurrences, scalars, special)
Differentiate = Callable[[Graph, Node, TensorId, Sequence[Node]], Node]


@dataclass(frozen=True)
class Value:
    """A scalar (no axes), or an array as the value of its entry over its axes.

    axes      one integer node per array axis: an axis node, or the constant 0 for an extent of 1.
    extents   the extent of each.
    body      a real-valued node whose free axes are among `axes`.
    """

    axes: tuple[Node, ...]
    extents: tuple[Node, ...]
    body: Node


@dataclass(frozen=True)
class Translation:
    """A whole expression in the intermediate representation.

    args        the arguments in order (Symbol, MatrixSymbol, IndexedBase, ArraySymbol).
    inputs      the input tensor of each argument. A size listed as an argument is an integer
                scalar input of the same name.
    value       the definition of the result. An explicit Matrix, array, list or Tuple is an "enum".
    shape       of an explicit Matrix or array: its shape, row-major entries; None otherwise.
    is_matrix   True for a 2-D matrix expression or an explicit Matrix.
    sizes       size symbols by name.
    reads       what a call has to check so that no read is out of range (see `ranges`).
    """

    graph: Graph
    args: tuple[Expr, ...]
    inputs: dict[Expr, TensorId]
    value: TensorId
    shape: tuple[int, ...] | None
    is_matrix: bool
    sizes: dict[str, Expr]
    reads: ranges.ReadChecks


class Translator:
    """Translates expressions into one graph, over one set of arguments.

    args           the arguments; None takes the free symbols of the first expression (by name).
    differentiate  called for derivatives inside expressions:
                   `(graph, scalar body, input tensor, one index node per axis) -> node`.
    axes           symbols that number the entries of an array result, in order; default: the free
                   Idx by name.
    extents        of those of `axes` that say nothing of their range.
    """

    def __init__(
        self,
        graph: Graph,
        args: Sequence[Expr] | None = None,
        differentiate: Differentiate | None = None,
        axes: Sequence[Expr] | None = None,
        extents: Mapping[Expr, Expr] | None = None,
    ) -> None:
        self.graph = graph
        self.differentiate = differentiate
        self.inputs: dict[Expr, TensorId] = {}
        self.environment: dict[Expr, Node] = {}  # bound symbols and what they stand for now
        self.survey = Survey()
        for symbol, extent in (extents or {}).items():
            self.survey.axis_shapes[symbol] = extent
            self.survey.absorb(extent, SIZE)
        self._given = None if args is None else tuple(args) if isinstance(args, Iterable) else (args,)
        self._axes = None if axes is None else tuple(axes)
        self._args: tuple[Expr, ...] | None = None
        self._dependences: dict[int, tuple[Expr, ...]] = {}
        self._scalars: dict[Any, Node] = {}
        self._matrices: dict[Any, Matrix] = {}
        self.recurrences: dict[Any, tuple[tuple[TensorId, ...], tuple[Node, ...]]] = {}  # trajectories, axes
        self.hidden: dict[Expr, TensorId] = {}  # inputs that stand for states while a step is translated
        self._roots: list[Expr] = []
        self._in_arms: set[int] = set()  # elements whose gathered indices may be out of range
        self._alive: list[Any] = []  # memo keys are addresses: what was seen must not be freed

    # ---- entry points ----------------------------------------------------------------------

    @property
    def args(self) -> tuple[Expr, ...]:
        """The arguments in order; known after the first expression."""
        assert self._args is not None, "no expression has been translated yet"
        return self._args

    def value(self, expr: Expr) -> Value:
        """The value of a scalar, matrix, or indexed expression."""
        return self.values((expr,))[0]

    def values(self, exprs: Sequence[Expr]) -> list[Value]:
        """The values of several expressions, which share arguments and free axes."""
        root = self.kept(sp.Tuple(*exprs))
        free = self._prepare(root)
        return [self._value(e, free) for e in root._args]

    def _value(self, expr: Expr, free: Sequence[Expr]) -> Value:
        g = self.graph
        if matrices.is_matrix(expr):
            m = self.run(self.matrix(expr))
            if free:
                raise UnsupportedExpression(
                    "a matrix expression with free indices", where=show(expr), try_="its entries M[i, j]"
                )
            index = (matrices.row_index(g, m.rows), matrices.col_index(g, m.cols))
            return Value(index, m.shape, m.body)
        body = self.as_real(self.run(self.real(expr)))
        axes = tuple(next(iter(g.axes[self.environment[s]])) for s in free)
        return Value(axes, tuple(g.extent(a) for a in axes), body)

    def _prepare(self, root: Expr) -> list[Expr]:
        """Arguments, sizes and free axes of a new expression; returns its free axes in order."""
        self.absorbed(root)
        if self._args is None:
            self._args = self._given
            if self._args is None:
                self._args = arguments.default_arguments(self.survey, root, self._axes or ())
            self._register()
        wanted = sorted(self.survey.axes, key=str) if self._axes is None else self._axes
        free = [s for s in wanted if self.survey.is_free(s, root)]
        for symbol in free:
            if symbol not in self.environment:
                self.environment[symbol] = self._free_axis(symbol)
        return free

    def _register(self) -> None:
        assert self._args is not None
        for symbol in self._args:
            arguments.check_argument(symbol)
        arguments.check_not_repeated(self._args)
        for symbol in self._args:
            for extent in arguments.shape_of(symbol):
                self.survey.absorb(extent, SIZE)
        shaped = (a for a in self.survey.arrays if a.shape is not None)  # others stand for an argument
        arguments.check_names(dict.fromkeys((*self._args, *shaped, *self._free_sizes())))
        for symbol in self._args:
            self.inputs[symbol] = self._input(symbol)

    def _free_sizes(self) -> Iterable[Expr]:
        return (s for s in self.survey.sizes if s not in self.survey.bound)

    @property
    def sizes(self) -> dict[str, Expr]:
        """Size symbols by name."""
        return {s.name: s for s in self._free_sizes()}

    def _input(self, symbol: Expr) -> TensorId:
        dims = [sp.sympify(dim) for dim in arguments.shape_of(symbol)]
        extents = [self.run(self.integer(dim, "a shape", symbol, fresh=True)) for dim in dims]
        whole = isinstance(symbol, sp.IndexedBase) and bool(symbol.label.is_integer)
        whole = whole or symbol in self.survey.integers or symbol in self.survey.sizes
        whole = whole or symbol in self.survey.indices
        return self.graph.input(arguments.name_of(symbol), extents, "int" if whole else "real")

    def _free_axis(self, symbol: Expr) -> Node:
        """The value of an index that numbers the entries of the result."""
        low, extent = sp.S.Zero, self.survey.axis_shapes.get(symbol)
        if isinstance(symbol, sp.Idx) and symbol.lower is not None:
            low, extent = symbol.lower, symbol.upper - symbol.lower + 1
        if extent is None:
            raise UnsupportedExpression(
                f"the range of index {quoted(str(symbol))} is not known",
                because="it has none, and it is not the plain index of an array with a shape",
                try_=f"Idx({str(symbol)!r}, n)",
            )
        g = self.graph
        size = self.run(self.integer(sp.sympify(extent), "a range", symbol, fresh=True))
        return g.iadd(g.fresh_axis(size), self.run(self.integer(low, "a range", symbol, fresh=True)))

    # ---- what the tables use ---------------------------------------------------------------

    def kept(self, item: Any) -> Any:
        """`item`, kept alive as long as the translator."""
        self._alive.append(item)
        return item

    def absorbed(self, expr: Expr) -> Expr:
        """An expression that may now be translated: its bound symbols are known."""
        self._roots.append(expr)
        if self.survey.absorb(expr):  # newly bound symbols: what was remembered did not know of them
            self._scalars.clear()
            self._matrices.clear()
            self.recurrences.clear()
            for root in self._roots:
                self.survey.dependences(root)
        if self.survey.bound and self.survey.has_choices:
            check_conditions(expr)
        if self.survey.integers:
            self._in_arms |= elements_in_arms(expr)
        self._dependences = self.survey.dependences(expr)
        return expr

    def symbol(self, e: Expr) -> Node:
        """The value of a Symbol or Idx: what it is bound to, a size, or an argument."""
        bound = self.environment.get(e)
        if bound is not None:
            return self.graph.cast(bound) if self.graph.kind[bound] == "int" else bound
        if e in self.survey.sizes:
            return self.graph.cast(self.graph.size(e.name))
        if isinstance(e, sp.Idx):
            raise BadArgument(f"index {quoted(str(e))} is used outside of its sum", try_="sum over it")
        arguments.check_real(e)
        return self.read(self.argument(e, e), [])

    def argument(self, symbol: Expr, where: Expr) -> TensorId:
        """The input of an argument; BadArgument if it was not listed."""
        tensor = self.inputs.get(symbol)
        if tensor is not None:
            return tensor
        if isinstance(symbol, sp.IndexedBase) and symbol.shape is None:
            for other, tensor in self.inputs.items():  # the same base, declared with its shape in args
                if isinstance(other, sp.IndexedBase) and other.label == symbol.label:
                    return tensor
        arguments.check_argument(symbol)
        arguments.shape_of(symbol)
        raise BadArgument(
            f"{quoted(arguments.name_of(symbol))} is not among the arguments",
            where=show(where),
            because="the arguments are " + (", ".join(map(arguments.name_of, self.args)) or "none"),
            try_="add it to args",
        )

    def read(self, tensor: TensorId, index: Sequence[Node]) -> Node:
        """An element as a real value (integers are cast)."""
        node = self.graph.read(tensor, *index)
        return self.graph.cast(node) if self.graph.kind[node] == "int" else node

    def element(self, e: Expr, tensor: TensorId, index: Sequence[Node]) -> Node:
        """The element `e` at an index; in the arm of a choice it may be outside where it is not used."""
        node = self.read(tensor, index)
        is_guarded = id(e) in self._in_arms and self.graph.op[node] == "read"
        return ranges.guarded_read(self.graph, node) if is_guarded else node

    def as_real(self, node: Node) -> Node:
        """A real value; a condition counts 1 where it holds."""
        return self.graph.mask(node, self.graph.one) if self.graph.kind[node] == "bool" else node

    def equal(self, a: Node, b: Node) -> Node:
        """The predicate a == b: on indices where both are integers."""
        i, j = scalars.as_integer(self.graph, a), scalars.as_integer(self.graph, b)
        if i is not None and j is not None:
            return self.graph.ieq(i, j)
        return self.graph.node("eq", a, b)

    def bind(self, symbol: Expr, value: Node | None) -> None:
        """Give a bound symbol back the value it had before (None: no value)."""
        if value is None:
            self.environment.pop(symbol, None)
        else:
            self.environment[symbol] = value

    def has_matrices(self, expr: Expr) -> bool:
        """True if a matrix expression stands somewhere inside."""
        stack, seen = [expr], set()
        while stack:
            e = stack.pop()
            if id(e) in seen:
                continue
            seen.add(id(e))
            if matrices.is_matrix(e):
                return True
            stack.extend(getattr(e, "_args", ()))
        return False

    # ---- the machine -----------------------------------------------------------------------

    def run(self, task: Task) -> Any:
        """Run a task and the tasks it waits for, on a stack of our own."""
        stack, value = [task], None
        while stack:
            try:
                child = stack[-1].send(value)
            except StopIteration as done:
                stack.pop()
                value = done.value
            else:
                stack.append(child)
                value = None
        return value

    def _key(self, e: Expr) -> Any:
        """The memo key: the object, and the values of the bound symbols it depends on."""
        symbols = self._dependences.get(id(e))
        if symbols is None:
            return id(e)
        return (id(e), *map(self.environment.get, symbols))

    def real(self, root: Expr) -> Task:
        """Task: the node of a scalar or boolean expression."""
        memo = self._scalars
        stack: list[Any] = [root]  # expressions; or what to do once the values of the children are known
        while stack:
            e = stack.pop()
            if type(e) is tuple:
                key, e, combine, children = e
                values = [*map(memo.get, children)]
                if None in values:  # forgotten: symbols were bound meanwhile
                    stack.append(e)
                else:
                    memo[key] = combine(self, e, values)
                continue
            bound = self._dependences
            key = self._key(e) if bound else id(e)
            if key in memo:
                continue
            head = SCALARS.get(type(e)) or self._head(e)
            if head.combine is None:
                assert head.task is not None
                memo[key] = yield head.task(self, e)
                continue
            parts = head.children(e)
            stack.append((key, e, head.combine, [*map(self._key if bound else id, parts)]))
            stack += parts
        return memo[self._key(root)]

    def matrix(self, e: Expr) -> Task:
        """Task: the `Matrix` of a matrix expression."""
        key = self._key(e)
        if key not in self._matrices:
            make = _nearest(MATRICES, type(e))
            if make is None:
                raise scalars.unsupported(self, e)
            self._matrices[key] = yield make(self, e)
        return self._matrices[key]

    def integer(self, e: Expr, what: str, where: Expr, fresh: bool = False) -> Task:
        """Task: the integer node of an index, a limit or an extent (`fresh`: not in the expression)."""
        if fresh:
            self.survey.dependences(self.kept(e))
        value = yield self.real(e)
        integer = scalars.as_integer(self.graph, value)
        return indexed.check_is_index(self, integer, e, what, where)

    def _head(self, e: Expr) -> Head:
        """The head of a class by its nearest base in the table; errors name what is missing."""
        head = _nearest(SCALARS, type(e))
        if head is None:
            if isinstance(e, (AppliedUndef, sp.Function)):
                raise _unknown_function(e)
            raise scalars.unsupported(self, e)
        return head


Entry = TypeVar("Entry", Head, MakeTask)


def _nearest(table: dict[type, Entry], cls: type) -> Entry | None:
    """The table's entry for a class or its nearest base, which is then entered for the class too."""
    for base in cls.__mro__:
        if base in table:
            table[cls] = table[base]
            return table[cls]
    return None


def _unknown_function(e: Expr) -> UnknownFunction:
    name = type(e).__name__
    known = sorted({c.__name__ for c in SCALARS if issubclass(c, sp.Function)})
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return UnknownFunction(
        f"function {quoted(name)} is not known",
        where=show(e),
        because="symgrad has no row for it in its table of operations",
        try_=("did you mean " + ", ".join(near) + "?") if near else "expr.rewrite(exp), or a formula for it",
    )


def translate(
    expr: Any,
    args: Sequence[Expr] | None = None,
    graph: Graph | None = None,
    differentiate: Differentiate | None = None,
    axes: Sequence[Expr] | None = None,
) -> Translation:
    """Translate an expression into a graph.

    expr   a scalar, a matrix expression, an explicit Matrix or array, a list or Tuple of scalars, an
           expression with free `Idx`, or an array in index form (`symgrad.entries.Entries`).
    args   the arguments in order; default: the free symbols by name, without the sizes that shapes of
           arrays give.

    Raises subclasses of SymgradError that name the sub-expression. Time and memory are linear in the
    number of distinct sub-expressions.
    """
    extents: dict[Expr, Expr] = {}
    if isinstance(expr, Entries):
        axes = tuple(sp.Dummy(f"i{k}", integer=True, nonnegative=True) for k in range(len(expr.shape)))
        extents = dict(zip(axes, expr.shape, strict=True))
        expr = expr[axes]
    with collection_paused():
        try:
            translator = Translator(graph or Graph(), args, differentiate, axes, extents)
            return _translate(translator, expr)
        except SymgradError as error:
            error.where = error.where or show(expr)
            raise


def _translate(tr: Translator, expr: Any) -> Translation:
    entries, shape = _explicit(expr)
    if entries is None:
        expr = as_gradient(_sympified(expr))
        value = tr.value(expr)
        tensor = _definition(tr.graph, value)
        is_matrix = matrices.is_matrix(expr)
    else:
        values = tr.values(entries)
        axes = next((v.axes for v in values if v.axes), ())
        tensor = tr.graph.define("enum", axes, (), [v.body for v in values])
        is_matrix = len(shape or ()) == 2
    tensor = guard(tr.graph, tensor)
    reads = ranges.check_reads(tr.graph, (tensor,))
    tr.graph.entries = ranges.known_entries(tr.graph, reads)
    return Translation(tr.graph, tr.args, tr.inputs, tensor, shape, is_matrix, tr.sizes, reads)


def _definition(g: Graph, value: Value) -> TensorId:
    """The value as a definition; an existing one if the value is exactly that."""
    number_of_axes = [
        a if g.op[a] == "axis" else g.fresh_axis(e) for a, e in zip(value.axes, value.extents, strict=True)
    ]
    if g.op[value.body] == "read":
        tensor, *index = g.args[value.body]
        t = g.tensors[tensor]
        if tuple(index) == value.axes and t.extents == value.extents and t.kind not in ("input", "enum"):
            return int(tensor)
    return g.define("map", number_of_axes, (), value.body)


def _explicit(expr: Any) -> tuple[list[Expr] | None, tuple[int, ...] | None]:
    """(entries, shape) of an explicit matrix, array, list or Tuple; (None, None) for anything else."""
    if isinstance(expr, sp.MatrixBase):
        return list(expr.flat()), tuple(int(n) for n in expr.shape)
    if isinstance(expr, sp.NDimArray):
        return list(sp.flatten(expr.tolist())), tuple(int(n) for n in expr.shape)
    if isinstance(expr, (list, tuple, sp.Tuple)):
        if any(isinstance(x, (list, tuple)) for x in expr):
            return _explicit(sp.Array(expr))
        entries = [_sympified(x) for x in expr]
        for entry in entries:
            if matrices.is_matrix(entry) or isinstance(entry, sp.Tuple):
                raise UnsupportedExpression(
                    f"a list that contains a {type(entry).__name__}",
                    where=show(entry),
                    try_="one array, or several outputs",
                )
        return entries, (len(entries),)
    return None, None


def _sympified(expr: Any) -> Expr:
    """A SymPy object; Python numbers become exact, text is not evaluated."""
    try:
        return sp.sympify(expr, strict=True)
    except sp.SympifyError:
        is_text = isinstance(expr, str)
        raise BadArgument(
            f"an expression has to be a SymPy object, not {type(expr).__name__}",
            where=repr(expr)[:80],
            because="SymPy would evaluate the text as Python code" if is_text else "",
            try_="symgrad.frontend.parse for text that a user typed" if is_text else "sympy.sympify",
        ) from None
