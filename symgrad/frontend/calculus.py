"""Derivatives and substitutions inside expressions.

A derivative is made by the differentiator handed to the Translator (`symgrad.grad`), on the nodes
of its operand; SymPy's own differentiation is never used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sympy as sp
from sympy.core.function import Subs
from sympy.matrices.expressions.matexpr import MatrixElement

from symgrad.errors import UnsupportedExpression
from symgrad.frontend.describe import show
from symgrad.frontend.gradient import Gradient, GradientElement, grad
from symgrad.frontend.heads import Expr, Task, each, matrix, task
from symgrad.frontend.matrices import of_entries
from symgrad.frontend.replace import replace_input
from symgrad.ir.graph import Node, TensorId

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator

__all__ = ["Gradient", "GradientElement", "grad"]


@task(Subs)
def _subs(tr: Translator, e: Expr) -> Task:
    """The expression with its variables bound to the values of the points.

    SymPy merges nested Subs, so a variable also stands in the points before it: the last is bound first.
    """
    expr, variables, points = e._args
    before = {v: tr.environment.get(v) for v in variables._args}
    for variable, point in zip(reversed(variables._args), reversed(points._args), strict=True):
        value = yield tr.real(point)
        tr.environment[variable] = value
    result = yield tr.real(expr)
    for symbol, value in before.items():
        tr.bind(symbol, value)
    return result


@task(sp.Derivative)
def _derivative(tr: Translator, e: Expr) -> Task:
    """Derivative(f, (x, 2), y): once for each variable and each time."""
    body_expr, *counts = e._args
    variables = []
    for pair in counts:
        variable, count = pair._args
        if not isinstance(count, sp.Integer):
            raise UnsupportedExpression(
                f"the derivative of order {count}", where=show(e), try_="a whole number"
            )
        variables += [variable] * int(count)
    return (yield _differentiated(tr, e, body_expr, variables))


@task(GradientElement)
def _gradient_element(tr: Translator, e: Expr) -> Task:
    f, x, *indices = e._args
    if not indices:
        return (yield _differentiated(tr, e, f, [x]))
    at = yield each(tr.integer(index, "an index", e) for index in indices)
    body = tr.as_real((yield tr.real(f)))
    return _at_element(tr, e, body, tr.argument(x, e), at)


@matrix(Gradient)
def _gradient(tr: Translator, e: Expr) -> Task:
    g = tr.graph
    f, x = e._args
    body = tr.as_real((yield tr.real(f)))
    tensor = tr.argument(x, e)
    rows, cols = g.tensors[tensor].extents
    return of_entries(g, rows, cols, lambda i, j: _at_element(tr, e, body, tensor, (i, j)))


def _at_element(tr: Translator, e: Expr, body: Node, tensor: TensorId, at: Sequence[Node]) -> Node:
    """d body / d tensor[at]: over fresh axes first, because `at` may use the axes of `body`."""
    g = tr.graph
    axes = [g.fresh_axis(extent) for extent in g.tensors[tensor].extents]
    if tr.differentiate is None:
        raise UnsupportedExpression(
            f"a {type(e).__name__} inside an expression",
            where=show(e),
            because="this translator was given no way to differentiate",
        )
    slope = tr.differentiate(g, body, tensor, axes)
    return g.substitute(slope, dict(zip(axes, at, strict=True)))


def _differentiated(tr: Translator, e: Expr, f: Expr, variables: Sequence[Expr]) -> Task:
    """f differentiated by scalar symbols and elements of arrays, one after the other.

    A variable that is bound (by Subs or a Lambda) stands for a value; the derivative is taken with
    respect to a hidden argument in its place, and the value put in afterwards.
    """
    g = tr.graph
    hidden: dict[Expr, tuple[TensorId, Node]] = {}
    for v in dict.fromkeys(variables):
        bound = tr.environment.get(v) if isinstance(v, sp.Symbol) else None
        if bound is not None:
            if g.kind[bound] == "int":
                raise UnsupportedExpression(f"the derivative by the index {v}", where=show(e))
            tensor = g.input(f"d {v.name} {len(g.tensors)}")
            hidden[v] = (tensor, bound)
            tr.environment[v] = g.read(tensor)
    node = tr.as_real((yield tr.real(f)))
    for v in variables:
        if v in hidden:
            node = _at_element(tr, e, node, hidden[v][0], ())
        else:
            tensor, at = yield _place(tr, e, v)
            node = _at_element(tr, e, node, tensor, at)
    for v, (tensor, value) in hidden.items():
        tr.environment[v] = value
        node = replace_input(g, node, tensor, value)
    return node


def _place(tr: Translator, e: Expr, v: Expr) -> Task:
    """(tensor, indices) of a variable to differentiate by."""
    if isinstance(v, sp.Symbol):
        if v in tr.survey.sizes:
            raise UnsupportedExpression(f"the derivative by the size {v}", where=show(e))
        return tr.argument(v, e), ()
    if isinstance(v, (sp.Indexed, MatrixElement)):
        at = yield each(tr.integer(index, "an index", e) for index in v._args[1:])
        return tr.argument(v._args[0], e), at
    raise UnsupportedExpression(
        f"the derivative by a {type(v).__name__}", where=show(e), try_="sg.grad(f, X) for a MatrixSymbol X"
    )
