"""What is said where a matrix function has no value."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.errors import ShapeMismatch, SymgradError, quoted
from symgrad.ir.graph import Graph, Node
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS, is_factor

_MOST_NAMES = 4


def matrix_text(g: Graph, body: Node) -> str:
    """The matrix in words: an input's name, or the names of what it is made of."""
    t, turned = _source(g, body)
    if t is not None and g.tensors[t].kind == "input":
        return f"the {'transpose of the ' if turned else ''}matrix {quoted(g.tensors[t].name)}"
    names = [g.tensors[s].name for s in g.definitions_below({g.args[r][0] for r in g.reads((body,))})
             if g.tensors[s].kind == "input"]  # fmt: skip
    shown = ", ".join(map(quoted, names[:_MOST_NAMES])) + (", ..." if len(names) > _MOST_NAMES else "")
    return f"the matrix made of {shown}" if names else "the matrix"


def _source(g: Graph, body: Node) -> tuple[int | None, bool]:
    """The tensor that the operand is a copy of, and whether transposed; factors stand for their matrix."""
    turned = False
    while g.op[body] == "read":
        t = g.args[body][0]
        tensor, index = g.tensors[t], g.args[body][1:]
        if tensor.kind == "input":
            axes = [i for i in index if g.op[i] == "axis"]
            return t, turned ^ (axes != sorted(axes, key=lambda a: int(g.args[a][0])))
        is_copy = tensor.kind == "map" and g.op[tensor.body] == "read"
        if not is_copy and not (tensor.kind == "call" and is_factor(tensor.name)):
            break
        body = tensor.bodies[0]
    return None, False


def failure_text(g: Graph, name: str, body: Node) -> str:
    """What went wrong where the function `name` has no value for the matrix `body`."""
    row = MATRIX_FUNCTIONS[name]
    return f"{matrix_text(g, body).replace('the matrix', row.subject, 1)} {row.fails}"


def no_value(g: Graph, name: str, body: Node, sample: Sequence[int] = ()) -> SymgradError:
    """The error for it."""
    return failed(failure_text(g, name, body), name, sample)


def failed(text: str, name: str, sample: Sequence[int] = ()) -> SymgradError:
    """The error of a call that failed, from `failure_text`."""
    where = f"sample {tuple(sample)}" if sample else ""
    row = MATRIX_FUNCTIONS[name]
    return row.error(text, where=where, try_=row.try_)


def not_tall(g: Graph, name: str, body: Node, shape: Sequence[int]) -> ShapeMismatch:
    return ShapeMismatch(
        f"{matrix_text(g, body)} has {shape[0]} rows and {shape[1]} columns",
        because="the function needs at least as many rows as columns",
        try_="the transpose of the matrix",
    )
