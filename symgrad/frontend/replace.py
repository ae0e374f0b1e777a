"""Replacing a scalar input by a value, through every definition that reads it."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.errors import UnsupportedExpression
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.call import call, over
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.reduce import reduce, store
from symgrad.ir.tensor import Tensor


def replace_input(g: Graph, root: Node, tensor: TensorId, value: Node) -> Node:
    """`root` with every read of the scalar input `tensor` replaced by `value`.

    Definitions that depend on the input are made again, over the free axes of `value` as well.
    """
    target = g.read(tensor)
    read_by_root = [g.args[r][0] for r in g.reads((root,))]
    rebuilt: dict[TensorId, tuple[tuple[Node, ...], Node]] = {}  # (axes, value over those axes)
    for t in g.definitions_below(read_by_root):
        bodies = g.tensors[t].bodies
        used = {g.args[r][0] for r in g.reads(bodies)}
        if t != tensor and (tensor in used or used & rebuilt.keys()):
            rebuilt[t] = _rebuild(g, t, target, value, rebuilt)
    return _replaced(g, root, target, value, rebuilt)


_Rebuilt = dict[TensorId, tuple[tuple[Node, ...], Node]]


def _replaced(g: Graph, body: Node, target: Node, value: Node, rebuilt: _Rebuilt) -> Node:
    mapping = {target: value}
    for r in g.reads((body,)):
        t, *index = g.args[r]
        if t in rebuilt:
            axes, at_axes = rebuilt[t]
            mapping[r] = g.substitute(at_axes, dict(zip(axes, index, strict=True)))
    return g.substitute(body, mapping)


def _rebuild(
    g: Graph, t: TensorId, target: Node, value: Node, rebuilt: _Rebuilt
) -> tuple[tuple[Node, ...], Node]:
    tensor = g.tensors[t]
    if tensor.kind == "scatter":
        raise UnsupportedExpression(
            "a substitution in a derivative with a scatter", try_="a symbol as the point"
        )
    renaming = {a: g.fresh_axis(g.extent(a)) for a in (*tensor.out, *tensor.red)}
    bodies = [_replaced(g, g.substitute(b, renaming), target, value, rebuilt) for b in tensor.bodies]
    out = tuple(renaming[a] for a in tensor.out)
    red = [renaming[a] for a in tensor.red]
    if tensor.kind == "enum":
        free = sorted(frozenset(out).union(*(g.axes[b] for b in bodies)))
        entry = g.fresh_axis(g.const(len(bodies)))
        return (entry, *out), g.read(g.define("enum", free, (), bodies), entry, *free)
    if tensor.kind == "call":
        return out, _rebuilt_call(g, tensor, bodies, red, out)
    (body,) = bodies
    if tensor.kind == "map":
        return out, store(g, sorted(g.axes[body]), body)
    return out, reduce(g, tensor.kind, red, body)


def _rebuilt_call(
    g: Graph, tensor: Tensor, bodies: Sequence[Node], red: Sequence[Node], out: Sequence[Node]
) -> Node:
    """The matrix function of other operands."""
    row, operands, first = MATRIX_FUNCTIONS[tensor.name], [], 0
    for body, rank in zip(bodies, row.ranks, strict=True):
        operands.append(over(g, red[first : first + rank], body))
        first += rank
    places = out[len(out) - len(row.result) :]
    return call(g, tensor.name, operands, [g.extent(a) for a in places]).at(*places)
