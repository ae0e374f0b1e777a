"""Naming the user's expressions in messages, however deep they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import MatrixBase

from symgrad.errors import quoted
from symgrad.ir.graph import Graph, Node

_MOST_NODES = 60


def show(expr: Any) -> str:
    """The expression as text if it is small, else its outermost operation.

    SymPy's printers recurse over the depth, so a large expression must not reach them.
    """
    if _is_small(expr):
        text = str(expr)
        return text if text.isprintable() else quoted(text)
    return f"{type(expr).__name__}(...)"


def _is_small(expr: Any) -> bool:
    stack, count = [expr], 0
    while stack:
        count += 1
        if count > _MOST_NODES:
            return False
        stack.extend(_parts(stack.pop()))
    return True


def _parts(expr: Any) -> Sequence[Any]:
    if isinstance(expr, MatrixBase):
        return list(expr.flat())
    return expr if isinstance(expr, list | tuple) else getattr(expr, "_args", ())


def index_text(g: Graph, index: Node) -> str:
    """An integer of sizes, constants and axes in the notation of the user's formula."""
    constant, terms = g.linear(index)
    parts = [_scaled(_atom_text(g, atom), k) for atom, k in terms.items()]
    if constant or not parts:
        parts.append(str(constant))
    text = parts[0]
    for part in parts[1:]:
        text += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    return text


def _scaled(text: str, k: int) -> str:
    return {1: text, -1: f"-{text}"}.get(k, f"{k}*{text}")


def _atom_text(g: Graph, atom: Node) -> str:
    if g.op[atom] == "size":
        return str(g.args[atom][0])
    if g.op[atom] == "imul":  # a short left-leaning chain: a product of sizes
        return "*".join(index_text(g, a) for a in g.args[atom])
    return {"axis": "i", "read": "index"}.get(g.op[atom], g.op[atom])


def shape_text(g: Graph, extents: tuple[Node, ...]) -> str:
    """A shape as in `(n, 3)`."""
    inner = ", ".join(index_text(g, e) for e in extents)
    return f"({inner},)" if len(extents) == 1 else f"({inner})"
