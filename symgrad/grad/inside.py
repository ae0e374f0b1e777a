"""Derivatives that stand inside expressions: `Derivative`, `Subs`, `sg.grad(f, X)`."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.grad.forward import Forward
from symgrad.grad.reverse import cotangents
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction


def differentiate(g: Graph, body: Node, tensor: TensorId, index: Sequence[Node]) -> Node:
    """d body / d tensor[index], a node over the axes of `body` and of `index`.

    One reverse sweep where `body` is one number; forward mode with a delta seed where it has axes of
    its own (or the tensor is a scalar, where one forward sweep is cheapest).
    """
    if not g.tensors[tensor].extents:
        return Forward(g, {tensor: ((), g.one)}).expression(body)
    if not g.axes[body]:
        value = g.define("map", (), (), body)
        axes, bar = cotangents(g, {value: ((), g.one)}, (tensor,))[0]
        return g.substitute(bar, dict(zip(axes, index, strict=True)))
    axes = tuple(g.fresh_axis(e) for e in g.tensors[tensor].extents)
    here = conjunction(g, [g.ieq(a, i) for a, i in zip(axes, index, strict=True)])
    return Forward(g, {tensor: (axes, g.mask(here, g.one))}).expression(body)
