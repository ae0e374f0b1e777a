"""For printing: the definitions without what only guards against division by zero."""

from __future__ import annotations

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.signs import is_never_negative
from symgrad.ir.unit import Unit
from symgrad.opt.rebuild import Copy, copy_with


def without_norm_guards(unit: Unit) -> tuple[Unit, dict[TensorId, TensorId]]:
    """The unit as its formulas are written, and where each tensor went.

    The derivative of the root of a sum of squares is 0 where the sum is 0 (the rows of `sqrt` and `hypot`).
    That condition is left out: x/sqrt(x**2 + y**2) stands for itself everywhere else.
    """
    graph, moved = copy_with(unit.graph, unit.roots, on_node=_unguarded)
    return unit.moved(graph, moved), moved


def _unguarded(copy: Copy, t: TensorId, old: Node, made: Node) -> Node:
    g = copy.new
    if g.op[made] != "mask":
        return made
    predicate, inner = g.args[made]
    parts = conjuncts(g, predicate)
    kept = [p for p in parts if not _is_norm_guard(g, p)]
    return made if len(kept) == len(parts) else g.mask(conjunction(g, kept), inner)


def _is_norm_guard(g: Graph, predicate: Node) -> bool:
    """Whether this is s != 0 or sqrt(s) != 0 for an s that is never negative."""
    if g.op[predicate] != "ne" or g.args[predicate][1] != g.zero:
        return False
    root = g.args[predicate][0]
    return is_never_negative(g, g.args[root][0] if g.op[root] == "sqrt" else root)
