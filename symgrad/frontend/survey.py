"""One walk over an expression: which symbols it has, which are sizes, which are bound where.

Three contexts tell the roles apart. A symbol in a shape, a range or the limit of a sum is a size;
an IndexedBase inside an index holds integers; everything else is a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import sympy as sp
from sympy.core.function import Subs
from sympy.matrices.expressions import (
    FunctionMatrix,
    Identity,
    MatrixSlice,
    MatrixSymbol,
    OneMatrix,
    ZeroMatrix,
)
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.tensor.array.expressions import ArrayElement, ArraySymbol

from symgrad.extrema import Extremum
from symgrad.frontend.gradient import GradientElement
from symgrad.frontend.heads import Expr
from symgrad.frontend.row_major import RowMajor
from symgrad.frontend.scan import Recurrence, StateArray, StateAt, StateElement, StateMatrix

VALUE, INDEX, SIZE = 0, 1, 2
Context = int
Visit = tuple[Expr, Context]


class Survey:
    """What the expressions seen so far contain; every collection is in order of appearance."""

    def __init__(self) -> None:
        self.symbols: dict[Expr, None] = {}  # Symbols as values
        self.indices: dict[Expr, None] = {}  # plain Symbols inside indices
        self.arrays: dict[Expr, None] = {}  # MatrixSymbol, IndexedBase, ArraySymbol
        self.integers: set[Expr] = set()  # IndexedBases whose entries are indices
        self.sizes: dict[Expr, None] = {}
        self.axes: dict[Expr, None] = {}  # Idx objects
        self.axis_shapes: dict[Expr, Expr] = {}  # extent of the first array axis an index runs along
        self.bound: dict[Expr, None] = {}
        self.has_choices = False  # whether a Piecewise stands anywhere
        self._seen: tuple[set[int], ...] = (set(), set(), set())
        self._dependences: dict[int, tuple[Expr, ...]] = {}
        self._visited: set[int] = set()

    def absorb(self, expr: Expr, context: Context = VALUE) -> bool:
        """Walk `expr`; True if it binds a symbol not bound before (dependences start over)."""
        before = len(self.bound)
        stack: list[Any] = [(expr, context)]  # a bare expression is a value: nearly all of them are
        while stack:
            item = stack.pop()
            e, c = item if type(item) is tuple else (item, VALUE)
            seen = self._seen[c]
            if id(e) in seen:
                continue
            seen.add(id(e))
            kind: Any = type(e)
            visit = _visitor(kind)
            if visit is not None:
                stack.extend(reversed(visit(self, e, c)))
            elif c == VALUE:
                stack.extend(getattr(e, "_args", ())[::-1])
            else:
                stack.extend((a, c) for a in e._args[::-1])
        grown = len(self.bound) > before
        if grown:
            self._dependences.clear()
            self._visited.clear()
        return grown

    def dependences(self, root: Expr) -> dict[int, tuple[Expr, ...]]:
        """id -> the bound symbols that are free in that part of `root`; parts with none are absent.

        The dictionary is shared and grows; it is empty while nothing is bound.
        """
        if not self.bound:
            return self._dependences
        order = {s: n for n, s in enumerate(self.bound)}
        stack = [root]
        while stack:
            e = stack[-1]
            if id(e) in self._visited:
                stack.pop()
                continue
            todo = [a for a in getattr(e, "_args", ()) if id(a) not in self._visited]
            if todo:
                stack.extend(todo)
                continue
            stack.pop()
            self._visited.add(id(e))
            free = self._free(e)
            if free:
                self._dependences[id(e)] = tuple(sorted(free, key=order.__getitem__))
        return self._dependences

    def _of(self, e: Expr) -> Iterable[Expr]:
        return self._dependences.get(id(e), ())

    def _free(self, e: Expr) -> set[Expr]:
        args: tuple[Any, ...] = getattr(e, "_args", ())
        if isinstance(e, (sp.Symbol, sp.Idx)) and e in self.bound:
            return {e}
        if isinstance(e, sp.Idx):
            args = args[1:]  # its range; a bound symbol of the name of its label is another symbol
        if isinstance(e, (sp.Sum, sp.Product, Extremum)):
            free = set(self._of(args[0]))
            for variable, *limits in (limit._args for limit in args[1:]):
                free = (free - {variable}).union(*map(self._of, limits))
            return free
        if isinstance(e, Recurrence):
            return set().union(*map(self._of, args)) - e.bound
        if isinstance(e, sp.Lambda):
            return set(self._of(args[1])) - set(e.variables)
        if isinstance(e, Subs):
            free = set(self._of(args[0]))
            for variable, point in zip(args[1]._args, args[2]._args, strict=True):
                free = (free - {variable}).union(self._of(point))
            return free
        return set().union(*map(self._of, args))

    def is_free(self, symbol: Expr, root: Expr) -> bool:
        """False for a symbol that only occurs bound by a sum, a Lambda or a Subs of `root`."""
        return symbol not in self.bound or symbol in self.dependences(root).get(id(root), ())


def _symbol(s: Survey, e: Expr, c: Context) -> list[Visit]:
    (s.symbols, s.indices, s.sizes)[c][e] = None
    return []


def _idx(s: Survey, e: Expr, c: Context) -> list[Visit]:
    s.axes[e] = None
    return [(a, SIZE) for a in e._args[1:]]


def _array(s: Survey, e: Expr, c: Context) -> list[Visit]:
    s.arrays[e] = None
    if c != VALUE:
        s.integers.add(e)
    return [(a, SIZE) for a in e._args[1:]]


def _element(s: Survey, e: Expr, c: Context) -> list[Visit]:
    base, *indices = e._args
    if isinstance(e, ArrayElement):
        indices = list(indices[0])
    shape = getattr(base, "shape", None) or ()
    for index, extent in zip(indices, shape, strict=False):
        if isinstance(index, (sp.Symbol, sp.Idx)):
            s.axis_shapes.setdefault(index, extent)
    return [(base, c), *((i, INDEX) for i in indices)]


def _gradient_element(s: Survey, e: Expr, c: Context) -> list[Visit]:
    f, x, *indices = e._args
    return [(f, VALUE), (x, VALUE), *((i, INDEX) for i in indices)]


def _sum(s: Survey, e: Expr, c: Context) -> list[Visit]:
    visits = [(e._args[0], c)]
    for limit in e._args[1:]:
        variable, *bounds = limit._args
        s.bound[variable] = None
        visits += [(b, SIZE) for b in bounds]
        if not bounds:
            visits.append((variable, SIZE))
    return visits


def _choice(s: Survey, e: Expr, c: Context) -> list[Visit]:
    s.has_choices = True
    return [(part, c) for part in e._args]


def _lambda(s: Survey, e: Expr, c: Context) -> list[Visit]:
    s.bound.update(dict.fromkeys(e.variables))
    return [(e._args[1], VALUE)]


def _subs(s: Survey, e: Expr, c: Context) -> list[Visit]:
    s.bound.update(dict.fromkeys(e._args[1]._args))
    return [(e._args[0], c), *((p, c) for p in e._args[2]._args)]


def _recurrence(s: Survey, e: Expr, c: Context) -> list[Visit]:
    _, _, firsts, steps, length, condition = e._args
    s.bound.update(dict.fromkeys(sorted(e.bound, key=str)))
    shapes = [(sp.sympify(n), SIZE) for state in e.states for n in getattr(state, "shape", ())]
    return [(firsts, VALUE), (steps, VALUE), (condition, VALUE), (length, SIZE), *shapes]


def _nothing(s: Survey, e: Expr, c: Context) -> list[Visit]:
    return []


def _state_element(s: Survey, e: Expr, c: Context) -> list[Visit]:
    recurrence, _, *indices = e._args
    return [(recurrence, VALUE), *((i, INDEX) for i in indices)]


def _sizes_only(s: Survey, e: Expr, c: Context) -> list[Visit]:
    return [(a, SIZE) for a in e._args]


def _function_matrix(s: Survey, e: Expr, c: Context) -> list[Visit]:
    rows, cols, entry = e._args
    return [(rows, SIZE), (cols, SIZE), (entry, VALUE)]


def _row_major(s: Survey, e: Expr, c: Context) -> list[Visit]:
    extents, entry = e._args
    return [*((n, SIZE) for n in extents._args), (entry, VALUE)]


def _slice(s: Survey, e: Expr, c: Context) -> list[Visit]:
    return [(e._args[0], c), *((a, SIZE) for a in e._args[1:])]


_VISITORS: dict[type, Callable[[Survey, Expr, Context], list[Visit]]] = {
    sp.Symbol: _symbol,
    sp.Idx: _idx,
    sp.IndexedBase: _array,
    MatrixSymbol: _array,
    ArraySymbol: _array,
    sp.Indexed: _element,
    MatrixElement: _element,
    ArrayElement: _element,
    GradientElement: _gradient_element,
    Recurrence: _recurrence,
    StateArray: _nothing,
    StateAt: _state_element,
    StateElement: _state_element,
    StateMatrix: _nothing,
    sp.Sum: _sum,
    sp.Product: _sum,
    Extremum: _sum,
    sp.Piecewise: _choice,
    sp.Lambda: _lambda,
    Subs: _subs,
    Identity: _sizes_only,
    ZeroMatrix: _sizes_only,
    OneMatrix: _sizes_only,
    FunctionMatrix: _function_matrix,
    MatrixSlice: _slice,
    RowMajor: _row_major,
}


@cache
def _visitor(cls: Any) -> Any:
    """The visitor of a class or of the nearest of its bases that has one."""
    return next((_VISITORS[c] for c in cls.__mro__ if c in _VISITORS), None)
