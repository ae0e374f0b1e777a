"""Divisions by a root that a loop repeats are products with its reciprocal, which is computed once.

    x[i, j]/sqrt(v[j])   becomes   x[i, j]*r[j]   with r[j] = 1/sqrt(v[j])

A division keeps a processor as busy as ten products. The reciprocal of a root is never out of range unless
the root is 0 or infinite, where product and quotient are the same; of other divisors, as a norm below 1e-308,
it may be. It is what SymPy's `v**(-1/2)` says: a factor. Where the innermost loop changes the root, its
reciprocals are stored. What may be the same with two axes exchanged, as a Hessian, is left alone.
Source: Granlund & Montgomery 1994, "Division by invariant integers using multiplication" (the idea; the
argument about the range is our own).
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import needs_its_guards, store
from symgrad.opt.invariant import may_be_symmetric
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.opt.unvarying import innermost, is_repeated


def reciprocals(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Replace such divisions."""
    below = g.definitions_below(roots)
    has_both = "sqrt" in g.op and "div" in g.op
    chosen = {t: found for t in below if has_both and (found := _divisions(g, t))}
    if not chosen:
        return g, {t: t for t in below}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        is_stored = chosen.get(t, {}).get(old)
        g = copy.new
        if is_stored is None or g.op[new] != "div":
            return new
        over, under = g.args[new]
        inverse = g.intern("div", (g.one, under))
        if is_stored:
            inverse = store(g, g.first_occurrence(inverse, g.axes[inverse]), inverse)
        return g.intern("mul", (over, inverse))

    return copy_with(g, roots, on_node=on_node, stabilise=False)


def _divisions(g: Graph, t: TensorId) -> dict[Node, bool]:
    """The divisions to replace in a definition: whether the reciprocal changes in the innermost loop."""
    tensor = g.tensors[t]
    loops = frozenset((*tensor.out, *tensor.red))
    inner = innermost(g, t, loops) if loops else None
    if inner is None or may_be_symmetric(g, t):
        return {}
    divisions = [n for n in g.reachable(tensor.bodies) if g.op[n] == "div" and _is_repeated(g, n)]
    if not divisions:
        return {}
    bound = needs_its_guards(g, tensor.bodies)  # a stored value is computed everywhere
    return {n: inner in g.axes[g.args[n][1]] for n in divisions if g.args[n][1] not in bound}


def _is_repeated(g: Graph, n: Node) -> bool:
    """Whether a division by a root is done many times with the same root."""
    over, under = g.args[n]
    return _is_root(g, under) and is_repeated(g, g.axes[over] - g.axes[under])


def _is_root(g: Graph, n: Node) -> bool:
    """Whether it is a square root, perhaps a stored one."""
    if g.op[n] != "read":
        return bool(g.op[n] == "sqrt")
    source = g.tensors[g.args[n][0]]
    return bool(source.kind == "map" and g.op[source.body] == "sqrt")
