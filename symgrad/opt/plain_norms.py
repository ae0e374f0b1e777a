"""For printing: second derivatives of norms over an axis as they are written by hand.

    [k = j]*q[k]/h**3 - [k != j]*x[k]*x[j]/h**3    is    [k = j]/h - x[k]*x[j]/h**3

for h**2 = t, where q[k] is t without x[k]**2: what is computed, as nothing of it cancels (`grad.norm_sides`).
"""

from __future__ import annotations

from collections import Counter
from itertools import permutations

from symgrad.ir.graph import Graph, Node
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.stability.patterns import all_factors, quotient_of, remove, terms_of
from symgrad.opt.others import others_in


def joined(g: Graph, node: Node) -> Node:
    """Such a difference as the right side; any other node as it is."""
    on_it, off_it = g.args[node]
    (first, own), (second, crossed) = g.args[on_it], g.args[off_it]
    for elsewhere in conjuncts(g, second):
        if g.op[elsewhere] != "not":
            continue
        equations = conjuncts(g, g.args[elsewhere][0])
        common = [p for p in conjuncts(g, second) if p != elsewhere]
        if {*conjuncts(g, first)} != {*equations, *common}:
            continue
        equal = {a: b for p in equations for a, b in _equal_axes(g, p).items()}
        inverse = _inverse(g, own, g.substitute(crossed, equal))
        if inverse is not None:
            return g.intern("sub", (g.mask(first, inverse), g.mask(conjunction(g, common), crossed)))
    return node


def _equal_axes(g: Graph, equation: Node) -> dict[Node, Node]:
    """The axis that an equation says is another one, and that one."""
    constant, terms = g.linear(g.args[equation][0]) if g.op[equation] == "ieq" else (1, {})
    axes = sorted(terms)
    plain = not constant and len(axes) == 2 and not sum(terms.values()) and abs(terms[axes[0]]) == 1
    return {axes[1]: axes[0]} if plain and all(g.op[a] == "axis" for a in axes) else {}


def _inverse(g: Graph, own: Node, square: Node) -> Node | None:
    """c/h if these are c*q/h**3 and c*x**2/h**3, at the same place."""
    above, below = all_factors(g, own)
    root = next((f for f in below if g.op[f] == "scaled_norm" and below.count(f) > 2), None)
    over, under = all_factors(g, square)
    if root is None or Counter(under) != Counter(below):
        return None
    for q in above:
        factors, _ = remove(above, [q])
        sides, missing = remove(over, factors)
        if not missing and len(sides) == 2 and sides[0] == sides[1] and _is_without(g, root, q, sides[0]):
            return quotient_of(g, factors, remove(below, [root, root])[0])
    return None


def _is_without(g: Graph, root: Node, q: Node, x: Node) -> bool:
    """Whether q is what stands under a norm without x*x."""
    left, rest = remove(terms_of(g, g.args[g.args[root][0]][2]), terms_of(g, q))
    if len(left) != 1 or len(rest) != 1 or left[0][0] != rest[0][0]:
        return False
    whole, part = left[0][1], rest[0][1]
    if g.op[whole] != "read" or g.op[part] != "read":
        return False
    others = others_in(g, g.args[part][0])
    if others is None:
        return False
    outside, tensor = g.tensors[g.args[whole][0]], g.tensors[g.args[part][0]]
    here = dict(zip(tensor.out, g.args[part][1:], strict=True))
    there = dict(zip(outside.out, g.args[whole][1:], strict=True))
    own, body = (
        g.substitute(g.substitute(others.value, others.places), here),
        g.substitute(others.value, here),
    )
    if outside.kind != "sum" or len(outside.red) != len(tensor.red) or own != g.mul(x, x):
        return False
    orders = permutations(tensor.red)
    return any(
        g.substitute(outside.body, there | dict(zip(outside.red, p, strict=True))) == body for p in orders
    )
