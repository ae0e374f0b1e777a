"""Means under a softmax: which sums are such, and what is left of a number without one.

See `opt.deviation`, which says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from fractions import Fraction

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.ops import OPS
from symgrad.ir.product import Product, product_of, whole_of
from symgrad.ir.reduce import memory_order, store
from symgrad.ir.stability.patterns import negatives, terms_of
from symgrad.opt.saturation import Softmax, Split, softmax_of
from symgrad.records import dataclass

_ROOM = 2**55  # c - r does not overflow if r times this does not
MOST_FACTORS = 20  # a product is searched this far
_CHEAP = 2  # operations that are done again rather than stored


@dataclass(frozen=True)
class Mean:
    """The definition s = sum(p*c): p over the axes of s, and the factors of c."""

    softmax: Softmax
    p: Node
    body: Node  # x as it is compared with the largest
    c: Product


class Means:
    """The sums of one graph that are means under a softmax of it; each is looked at once.

    splits  its log-sum-exps, which may still become more.
    """

    def __init__(self, splits: Collection[Split]) -> None:
        self.splits = splits
        self.known: dict[TensorId, Mean | None] = {}
        self.shifted: dict[TensorId, tuple[TensorId, TensorId, Node]] = {}

    def of(self, g: Graph, node: Node) -> Mean | None:
        """What is read, if that is a mean."""
        if g.op[node] != "read":
            return None
        t = g.args[node][0]
        if t not in self.known:
            self.known[t] = self._found(g, t) if g.tensors[t].kind == "sum" else None
        return self.known[t]

    def keys(self, g: Graph, nodes: Sequence[Node]) -> Counter[object]:
        """The nodes as they count: softmaxes are the same whether stored, guarded, or neither."""
        found = (softmax_of(g, n, self.splits) or n for n in nodes)
        return Counter((s.split.shift, s.x, s.index) if isinstance(s, Softmax) else s for s in found)

    def _found(self, g: Graph, t: TensorId) -> Mean | None:
        tensor = g.tensors[t]
        whole = product_of(g, tensor.body, MOST_FACTORS)
        for place, factor in enumerate(whole.above if whole is not None else ()):
            softmax = softmax_of(g, factor, self.splits)
            body = None if softmax is None else _exponent_over(g, softmax, tensor.red)
            if whole is not None and softmax is not None and body is not None:
                others = (*whole.above[:place], *whole.above[place + 1 :])
                return Mean(softmax, factor, body, Product(whole.number, others, whole.below))
        return self._found_in_sum(g, t)

    def _found_in_sum(self, g: Graph, t: TensorId) -> Mean | None:
        """Of sum(p*c1 + p*c2), as p is in every term."""
        tensor = g.tensors[t]
        terms = [product_of(g, term, MOST_FACTORS, sign) for sign, term in terms_of(g, tensor.body)]
        products = [term for term in terms if term is not None]
        if len(terms) < 2 or len(products) < len(terms):
            return None
        for factor in products[0].above:
            softmax = softmax_of(g, factor, self.splits)
            body = None if softmax is None else _exponent_over(g, softmax, tensor.red)
            if softmax is None or body is None:
                continue
            parts = [self._without(g, product, factor) for product in products]
            found = tuple(part for part in parts if part is not None)
            if len(found) == len(parts):
                c = g.sum_of(whole_of(g, part) for part in found)
                return Mean(softmax, factor, body, Product(Fraction(1), (c,), ()))
        return None

    def _without(self, g: Graph, product: Product, p: Node) -> Product | None:
        """The product without one factor p."""
        for place, factor in enumerate(product.above):
            if self.keys(g, (factor,)) == self.keys(g, (p,)):
                return replace(product, above=(*product.above[:place], *product.above[place + 1 :]))
        return None

    def less(self, g: Graph, mean: Mean, read: Node, places: dict[Node, Node]) -> Node:
        """c - s as (c - r) - sum(p*(c - r)), for the c that stands at `places`."""
        t, *index = g.args[read]
        shift, rest, c = self._shifted(g, t, mean)
        apart = g.intern("sub", (g.substitute(c, places), g.read(shift, *index)))
        return g.mul(g.const(mean.c.number), g.intern("sub", (apart, g.read(rest, *index))))

    def _shifted(self, g: Graph, t: TensorId, mean: Mean) -> tuple[TensorId, TensorId, Node]:
        """The definitions of r and of sum(p*(c - r)), and c, read if it is not cheap; numbers aside."""
        if t not in self.shifted:
            out, red = g.tensors[t].out, g.tensors[t].red
            c = whole_of(g, replace(mean.c, number=Fraction(1)))
            if _is_dear(g, c):
                c = store(g, memory_order(g, c, (*out, *red)), c)
            split, index = mean.softmax.split, mean.softmax.index
            ties = g.read(split.ties, *index)
            has_much = g.node("lt", g.read(split.below, *index), g.mul(g.const(3), ties))
            top = g.where(g.node("eq", mean.body, mean.softmax.m), c, g.zero)
            r = g.div(g.read(g.define("sum", out, red, g.mask(has_much, top)), *out), ties)
            has_room = g.node("lt", g.node("abs", g.mul(g.const(_ROOM), r)), g.const(float("inf")))
            shift = g.define("map", out, (), g.where(has_room, r, g.zero))
            apart = g.intern("sub", (c, g.read(shift, *out)))
            self.shifted[t] = shift, g.define("sum", out, red, g.mul(mean.p, apart)), c
        return self.shifted[t]


def _exponent_over(g: Graph, softmax: Softmax, red: Sequence[Node]) -> Node | None:
    """The exponent at the axes `red` as it is compared with the largest, if x is that at all of these."""
    split, known = softmax.split, dict(zip(softmax.split.out, softmax.index, strict=True))
    for written in (split.written, split.body):
        own = g.first_occurrence(written, frozenset(split.red))
        order = g.first_occurrence(softmax.x, frozenset(red))
        if len(own) != len(split.red) or len(order) != len(red) or len(own) != len(order):
            continue
        if any(g.axes[i] & frozenset(red) for i in softmax.index):
            continue
        places = known | dict(zip(own, order, strict=True))
        exponent = g.substitute(written, places)
        if exponent == softmax.x or _opposite(g, softmax.x) in negatives(g, exponent):
            return g.substitute(split.body, places)
    return None


def _opposite(g: Graph, node: Node) -> Node | None:
    return g.args[node][0] if g.op[node] == "neg" else None


def _is_dear(g: Graph, node: Node) -> bool:
    """Whether a number is more than what is stored anyway, or a little beside it."""
    ops = [OPS[g.op[n]] for n in g.reachable((node,)) if g.op[n] in OPS]
    return sum(row.cost for row in ops) > _CHEAP
