"""For printing: the definitions without what only floating point needs."""

from __future__ import annotations

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.signs import is_never_negative
from symgrad.ir.stability.complements import is_whole_less_share
from symgrad.ir.unit import Unit
from symgrad.opt.cosines import cosines_as_quotients
from symgrad.opt.plain_norms import joined
from symgrad.opt.rebuild import Copy, copy_with


def without_norm_guards(unit: Unit) -> tuple[Unit, dict[TensorId, TensorId]]:
    """The unit as its formulas are written, and where each tensor went.

    The derivative of the root of a sum of squares is 0 where the sum is 0 (the rows of `sqrt` and `hypot`).
    That condition is left out: x/sqrt(x**2 + y**2) stands for itself everywhere else. What is left of 1
    beside a share of the whole is written as a difference again (`ir.stability.complements`), and so is what
    is left of a norm beside a side of it (`opt.plain_norms`).
    """
    plain, places = cosines_as_quotients(unit.graph, unit.roots)
    roots = [places[t] for t in unit.roots]
    graph, moved = copy_with(plain, roots, on_node=_plain, stabilise=unit.graph.stabilise)
    moved = {t: moved[s] for t, s in places.items() if s in moved}
    return unit.moved(graph, moved), moved


def _plain(copy: Copy, t: TensorId, old: Node, made: Node) -> Node:
    g = copy.new
    if g.op[made] in ("add", "sub") and g.op[g.args[made][0]] == "mask" == g.op[g.args[made][1]]:
        return _rejoined(g, made) if g.op[made] == "add" else joined(g, made)
    return _unguarded(g, made) if g.op[made] == "mask" else made


def _rejoined(g: Graph, node: Node) -> Node:
    """[c and k = j]*x + [c]*(-x*p) for [c and k = j]*x*(1 - p) + [c and k != j]*(-x*p)."""
    for on_it, off_it in (g.args[node], g.args[node][::-1]):
        (first, whole), (second, part) = g.args[on_it], g.args[off_it]
        common = conjuncts(g, second)
        for equation in conjuncts(g, first):
            other = g.node("not", equation)
            if g.op[equation] != "ieq" or other not in common:
                continue
            common.remove(other)
            plain = is_whole_less_share(g, whole, g.neg(part))
            if plain is not None and {*conjuncts(g, first)} == {equation, *common}:
                return g.intern("add", (g.mask(first, plain), g.mask(conjunction(g, common), part)))
            return node
    return node


def _unguarded(g: Graph, made: Node) -> Node:
    predicate, inner = g.args[made]
    parts = conjuncts(g, predicate)
    kept = [p for p in parts if not _is_norm_guard(g, p)]
    return made if len(kept) == len(parts) else g.mask(conjunction(g, kept), inner)


def _is_norm_guard(g: Graph, predicate: Node) -> bool:
    """Whether this is s != 0 or sqrt(s) != 0 for an s that is no less than 0, or that a norm is finite."""
    if g.op[predicate] == "ne" and g.op[g.args[predicate][0]] == "norm":
        return g.args[predicate][1] in (g.zero, g.const(float("inf")))
    if g.op[predicate] != "ne" or g.args[predicate][1] != g.zero:
        return False
    root = g.args[predicate][0]
    return is_never_negative(g, g.args[root][0] if g.op[root] == "sqrt" else root)
