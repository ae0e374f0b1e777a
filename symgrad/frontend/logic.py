"""Conditions: relations, boolean operations, and the choices they make.

A relation between integers (indices, sizes) is an index predicate, which may become the bound of a
loop; a relation between values is a comparison, which selects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import sympy as sp
from sympy.logic.boolalg import BooleanFalse, BooleanTrue, Xnor

from symgrad.entries import Where
from symgrad.frontend.heads import SCALARS, Expr, Head, leaf, scalar
from symgrad.frontend.scalars import as_integer
from symgrad.ir.bounds import is_index_predicate
from symgrad.ir.graph import Graph, Node

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator


def as_predicate(g: Graph, node: Node) -> Node:
    """A condition; a number counts as true where it is not 0, as in Python."""
    return node if g.kind[node] == "bool" else g.node("ne", node, g.zero)


# ---- relations ---------------------------------------------------------------------------------


def _relation(real: str, swapped: bool, of_integers: Callable[[Graph, Node, Node], Node]) -> Head:
    def combine(tr: Translator, e: Expr, values: list[Node]) -> Node:
        g = tr.graph
        a, b = reversed(values) if swapped else values
        if g.kind[a] == "bool" or g.kind[b] == "bool":
            return _of_booleans(g, real, a, b)
        i, j = as_integer(g, a), as_integer(g, b)
        if i is not None and j is not None:
            return of_integers(g, i, j)
        return g.node(real, a, b)

    return Head(combine)


def _of_booleans(g: Graph, real: str, a: Node, b: Node) -> Node:
    """Eq and Ne of conditions."""
    differ = _xor(g, as_predicate(g, a), as_predicate(g, b))
    return g.node("not", differ) if real == "eq" else differ


def _less(g: Graph, i: Node, j: Node) -> Node:
    return g.ige0(g.iadd(g.isub(j, i), g.const(-1)))


def _at_most(g: Graph, i: Node, j: Node) -> Node:
    return g.ige0(g.isub(j, i))


SCALARS[sp.StrictLessThan] = _relation("lt", False, _less)
SCALARS[sp.LessThan] = _relation("le", False, _at_most)
SCALARS[sp.StrictGreaterThan] = _relation("lt", True, _less)
SCALARS[sp.GreaterThan] = _relation("le", True, _at_most)
SCALARS[sp.Equality] = _relation("eq", False, Graph.ieq)
SCALARS[sp.Unequality] = _relation("ne", False, lambda g, i, j: g.node("not", g.ieq(i, j)))

# ---- boolean operations ------------------------------------------------------------------------


def _xor(g: Graph, p: Node, q: Node) -> Node:
    either, both = g.node("or", p, q), g.node("and", p, q)
    return g.node("and", either, g.node("not", both))


def _chain(g: Graph, op: Callable[[Graph, Node, Node], Node], parts: Sequence[Node], empty: Node) -> Node:
    result = parts[0] if parts else empty
    for p in parts[1:]:
        result = op(g, result, p)
    return result


def _and(g: Graph, *parts: Node) -> Node:
    return _chain(g, lambda g, p, q: g.node("and", p, q), parts, g.true)


def _or(g: Graph, *parts: Node) -> Node:
    return _chain(g, lambda g, p, q: g.node("or", p, q), parts, g.false)


def _not(g: Graph, p: Node) -> Node:
    return g.node("not", p)


def _if_then_else(g: Graph, p: Node, a: Node, b: Node) -> Node:
    return _or(g, _and(g, p, a), _and(g, _not(g, p), b))


def _all_equal(g: Graph, *parts: Node) -> Node:
    return _or(g, _and(g, *parts), _and(g, *(_not(g, p) for p in parts)))


def _boolean(build: Callable[..., Node]) -> Head:
    def combine(tr: Translator, e: Expr, values: list[Node]) -> Node:
        return build(tr.graph, *(as_predicate(tr.graph, v) for v in values))

    return Head(combine, lambda e: e.args)  # Equivalent keeps its arguments in a set


_OPERATIONS: dict[type, Callable[..., Node]] = {
    sp.And: _and,
    sp.Or: _or,
    sp.Not: _not,
    sp.Xor: lambda g, *parts: _chain(g, _xor, parts, g.false),
    sp.Nand: lambda g, *parts: _not(g, _and(g, *parts)),
    sp.Nor: lambda g, *parts: _not(g, _or(g, *parts)),
    Xnor: lambda g, *parts: _not(g, _chain(g, _xor, parts, g.false)),
    sp.Implies: lambda g, p, q: _or(g, _not(g, p), q),
    sp.Equivalent: _all_equal,
    sp.ITE: _if_then_else,
}
for _class, _build in _OPERATIONS.items():
    SCALARS[_class] = _boolean(_build)


@scalar(BooleanTrue, BooleanFalse, children=leaf)
def _truth(tr: Translator, e: Expr, _: list[Node]) -> Node:
    return tr.graph.true if isinstance(e, BooleanTrue) else tr.graph.false


# ---- choices -----------------------------------------------------------------------------------


def choose(g: Graph, predicate: Node, a: Node, b: Node) -> Node:
    """`a` where the predicate holds, else `b`.

    Under an index predicate arms that vary are masked, because they may only be readable there.
    """
    if not is_index_predicate(g, predicate) or not (g.axes[a] or g.axes[b]):
        return g.where(predicate, a, b)
    return g.add(g.mask(predicate, a), g.mask(g.node("not", predicate), b))


def _pair_children(e: Expr) -> list[Expr]:
    return [part for pair in e._args for part in pair._args]


@scalar(sp.Piecewise, children=_pair_children)
def _piecewise(tr: Translator, e: Expr, values: list[Node]) -> Node:
    """The first arm whose condition holds; nan where none does."""
    g = tr.graph
    arms = list(zip(values[::2], values[1::2], strict=True))
    result = g.const(float("nan"))
    for value, condition in reversed(arms):
        result = choose(g, as_predicate(g, condition), tr.as_real(value), result)
    return result


@scalar(Where)
def _where(tr: Translator, e: Expr, values: list[Node]) -> Node:
    condition, yes, no = values
    return choose(tr.graph, as_predicate(tr.graph, condition), tr.as_real(yes), tr.as_real(no))
