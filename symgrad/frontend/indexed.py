"""Elements of arrays, and sums, products and extremes over ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.tensor.array.expressions import ArrayElement, ArraySymbol

from symgrad.errors import BadArgument, ShapeMismatch, UnsupportedExpression
from symgrad.extrema import Maximum, Minimum
from symgrad.frontend.describe import show
from symgrad.frontend.heads import Expr, Task, task
from symgrad.frontend.indices import by_cases, each_case
from symgrad.frontend.sums import summed
from symgrad.ir.graph import Graph, Node
from symgrad.ir.reduce import reduce

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator


@task(sp.Indexed, ArrayElement)
def _element(tr: Translator, e: Expr) -> Task:
    """x[i, j] for an IndexedBase or an ArraySymbol; indices are affine, or read from integer arrays."""
    base, *indices = e._args
    if isinstance(e, ArrayElement):
        indices = list(indices[0])
    if not isinstance(base, (sp.IndexedBase, ArraySymbol)):
        raise UnsupportedExpression(
            f"an element of {type(base).__name__}", where=show(e), try_="an element of an IndexedBase"
        )
    tensor = tr.argument(base, e)
    rank = tr.graph.tensors[tensor].rank
    if len(indices) != rank:
        raise ShapeMismatch(
            f"{len(indices)} indices for an array of {rank} axes",
            where=show(e),
            because=f"the array has shape {tuple(base.shape)}",
            try_="one index for each axis",
        )
    places = yield each_case(tr, indices, e)
    return by_cases(tr.graph, places, lambda at: tr.element(e, tensor, at))


@task(MatrixElement)
def _matrix_element(tr: Translator, e: Expr) -> Task:
    parent, row, col = e._args
    places = yield each_case(tr, (row, col), e)
    if isinstance(parent, sp.MatrixSymbol):
        tensor = tr.argument(parent, e)
        return by_cases(tr.graph, places, lambda at: tr.element(e, tensor, at))
    matrix = yield tr.matrix(parent)
    return by_cases(tr.graph, places, lambda at: matrix.at(tr.graph, *at))


# ---- sums and products -------------------------------------------------------------------------


_KINDS: dict[type, tuple[str, float]] = {  # and the value of an empty reduction
    sp.Sum: ("sum", 0),
    sp.Product: ("prod", 1),
    Maximum: ("max", float("-inf")),
    Minimum: ("min", float("inf")),
}


@task(*_KINDS)
def sum_or_product(tr: Translator, e: Expr) -> Task:
    """Reduce over one axis per limit; the body is translated with the variables bound to them.

    An upper limit below the lower one makes the range empty (not SymPy's Karr convention, by which
    `Sum(x[i], (i, 0, -3))` is `-x[-1] - x[-2]`).
    """
    g = tr.graph
    kind, empty = next(_KINDS[cls] for cls in type(e).__mro__ if cls in _KINDS)
    axes: list[Node] = []
    conditions: list[Node] = []
    outer: dict[Expr, Node | None] = {}
    for limit in reversed(e._args[1:]):  # SymPy's first limit is the innermost loop
        variable, low, high = limits_of(limit, e)
        a = yield tr.integer(low, "a limit", e)
        b = yield tr.integer(high, "a limit", e)
        value = _bind(g, a, b, axes, conditions, e)
        outer.setdefault(variable, tr.environment.get(variable))
        tr.environment[variable] = value
    body = tr.as_real((yield tr.real(e._args[0])))
    for variable, value_before in outer.items():
        tr.bind(variable, value_before)
    return _reduced(g, kind, g.const(empty), axes, conditions, body)


def limits_of(limit: Expr, e: ExprWithLimits) -> tuple[Expr, Expr, Expr]:
    """(variable, first, last) of one limit; an Idx without limits brings its own range."""
    variable, *bounds = limit._args
    if not bounds and isinstance(variable, sp.Idx) and variable.lower is not None:
        bounds = [variable.lower, variable.upper]
    if len(bounds) != 2:
        raise UnsupportedExpression(
            f"{type(e).__name__} over {variable} without limits",
            where=show(e),
            because="its number of terms is not known",
            try_=f"({variable}, 0, n - 1), or an Idx with a range",
        )
    for bound in bounds:
        if bound is sp.S.Infinity or bound is sp.S.NegativeInfinity:
            raise UnsupportedExpression(
                f"{type(e).__name__} with infinitely many terms",
                where=show(e),
                try_="a finite upper limit, or expr.doit() where SymPy knows the value",
            )
    return variable, bounds[0], bounds[1]


def _bind(g: Graph, a: Node, b: Node, axes: list[Node], conditions: list[Node], e: Expr) -> Node:
    """A new axis for the range a..b; its value as a node.

    Limits that depend on outer axes give an axis over the whole box, and conditions that cut it.
    """
    low, high = extreme(g, a, -1, e), extreme(g, b, 1, e)
    axis = g.fresh_axis(g.iadd(g.isub(high, low), g.one))
    axes.append(axis)
    value = g.iadd(axis, low)
    if low != a:
        conditions.append(g.ige0(g.isub(value, a)))
    if high != b:
        conditions.append(g.ige0(g.isub(b, value)))
    return value


def extreme(g: Graph, index: Node, sign: int, e: Expr) -> Node:
    """The largest (sign 1) or smallest (sign -1) value of `index` over all its axes."""
    while g.axes[index]:
        constant, terms = g.linear(index)
        result = g.const(constant)
        for atom, k in terms.items():
            result = g.iadd(result, _extreme_atom(g, atom, k * sign, e), k)
        index = result
    if any(g.op[n] == "read" for n in g.reachable((index,))):
        raise _data_limit(e)
    return index


def _extreme_atom(g: Graph, atom: Node, direction: int, e: Expr) -> Node:
    """An atom with its axes at the end that `direction` asks for (sizes and axes are >= 0)."""
    if g.op[atom] not in ("axis", "imul", "size"):
        raise _data_limit(e)
    ends = {x: g.iadd(g.extent(x), g.const(-1)) if direction > 0 else g.zero for x in g.axes[atom]}
    return g.substitute(atom, ends)


def _data_limit(e: Expr) -> UnsupportedExpression:
    return UnsupportedExpression(
        f"a limit of a {type(e).__name__} depends on data",
        where=show(e),
        because="the number of terms has to be known from sizes and outer indices",
        try_="a sum over the whole range, with a Piecewise that compares the index with the data",
    )


def _reduced(g: Graph, kind: str, empty: Node, axes: list[Node], conditions: list[Node], body: Node) -> Node:
    extents = [g.rational(g.extent(a)) for a in axes]
    if any(n is not None and n <= 0 for n in extents):
        return empty
    for condition in conditions:
        masked = g.mask(condition, body)
        body = masked if kind == "sum" else g.where(condition, masked, empty)
    return summed(g, axes, body) if kind == "sum" else reduce(g, kind, axes, body)


def check_is_index(tr: Translator, value: Node | None, expr: Expr, what: str, e: Expr) -> Node:
    """The integer node of an index or limit, or the error that says why there is none."""
    if value is not None:
        return value
    if expr.is_integer and not expr.is_number:
        raise UnsupportedExpression(
            f"{what} is an integer, but no sum of sizes and indices: {show(expr)}",
            where=show(e),
            because="ranges are compared and joined as sums of sizes and indices with integer factors; "
            "floor, ceiling, Max and Min are none",
            try_="an IndexedBase of integers that holds the indices"
            if what == "an index"
            else "a size symbol of its own, whose value is given at the call",
        )
    raise BadArgument(
        f"{what} is not an integer: {show(expr)}",
        where=show(e),
        because="indices and limits are sums of indices, sizes and integers with integer factors, "
        "or elements of integer arrays",
        try_="an Idx, a Sum variable, a size symbol, or an IndexedBase of integers",
    )
