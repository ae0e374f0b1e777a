"""Constant factors meet those that fewer loops change: their product leaves a loop.

    0.5*(h*x[i])   becomes   (0.5*h)*x[i]

Only products that nothing else uses are taken apart, and nothing but the order of factors changes. Two
factors that are no constants stay apart: a norm may be in range only because of their order. What may be the
same with two axes exchanged, as a Hessian, is left alone: it would no longer be so to the bit. It is the last
pass: in front of others, one form of each product lets more of them meet.
Source: Muchnick 1997, Advanced Compiler Design and Implementation, section 13.2.1 (reassociation of loop
invariants).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.opt.rebuild import Copy, copy_with

_LARGE = Fraction(1000)


def invariant(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Regroup products for the loops around them."""
    below = g.definitions_below(roots)
    chosen = {t: _regrouped(g, t) for t in below if not may_be_symmetric(g, t)}
    if not any(chosen.values()):
        return g, {t: t for t in below}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if old not in chosen.get(t, ()) or copy.new.op[new] != "mul":
            return new
        return _inside_out(copy.new, new)

    return copy_with(g, roots, on_node=on_node, stabilise=False)


def may_be_symmetric(g: Graph, t: TensorId) -> bool:
    """Whether two axes are of one length: what is the same with them exchanged is written in one way."""
    extents = [g.extent(a) for a in g.tensors[t].out]
    return len(set(extents)) < len(extents)


def _regrouped(g: Graph, t: TensorId) -> frozenset[Node]:
    """Products of a factor and a product that nothing else uses, in which two factors can meet."""
    if not g.tensors[t].out and not g.tensors[t].red:
        return frozenset()  # no loops that a product could leave
    nodes = [n for n in g.reachable(g.tensors[t].bodies) if g.axes[n]]
    products = [n for n in nodes if g.op[n] == "mul" and any(g.op[a] == "mul" for a in g.args[n])]
    if not products:
        return frozenset()
    uses = Counter(child for n in nodes for child in g.children(n))
    alone = (n for n in products if any(g.op[a] == "mul" and uses[a] == 1 for a in g.args[n]))
    return frozenset(n for n in alone if _inside_out(g, n) != n)


def _inside_out(g: Graph, n: Node) -> Node:
    """p*(q*x) as (p*q)*x where p or q is a constant, and x has all axes of the other one, and more."""
    for p, product in (g.args[n], g.args[n][::-1]):
        if g.op[product] != "mul":
            continue
        for q, x in (g.args[product], g.args[product][::-1]):
            if g.axes[p] | g.axes[q] < g.axes[x] and (_is_moderate(g, p) or _is_moderate(g, q)):
                return g.intern("mul", (g.mul(p, q), x))
    return n


def _is_moderate(g: Graph, n: Node) -> bool:
    """Whether it is a constant that changes no number's size much."""
    c = g.rational(n)
    return c is not None and 1 / _LARGE <= abs(c) <= _LARGE
