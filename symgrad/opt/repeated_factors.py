"""Quotients of squares by squares as squares of quotients: x*x/(k*k) as (x/k)*(x/k).

The square of a factor leaves the range of numbers where the quotient does not. Divisions and multiplications
take turns, so that what is between is between the numbers that are there and the result. The same number of
roundings and no more divisions: x/(k*k) stays as it is, and 1/k/k*x is x/k/k.
"""

from __future__ import annotations

from collections import Counter

from symgrad.ir.graph import Graph, Node
from symgrad.ir.product import Product
from symgrad.opt.scaled_sums import BOUNDED

_OF_NORMS = ("scaled", "norm")


def has_repeated_factors(g: Graph, n: Node, parts: Product) -> bool:
    """Whether this product is computed one factor at a time."""
    if len(set(parts.below)) == len(parts.below):
        return False
    if any(g.op[f] in _OF_NORMS for f in (*parts.above, *parts.below)):
        return False  # the power of two of a norm has its place; what is divided by it cancels in derivatives
    above, below = _without_common(parts)
    over, under = _repeated(above), _repeated(below)
    if over and under:
        return True
    in_place = all(g.axes[k] == g.axes[n] for k in under)  # elsewhere it is computed once
    return bool(above and under) and in_place and _divisions(g, n) >= below.total()


def one_at_a_time(g: Graph, parts: Product) -> Node:
    """The product, in nodes that no rule sees: one would put the squares together again."""
    above, below = _without_common(parts)
    squares = list[Node]()
    for k in _repeated(below):
        for x in _repeated(above):
            if g.op[x] in BOUNDED:  # their quotient alone may overflow beside a 0
                continue
            pairs = min(above[x], below[k])
            above[x] -= pairs
            below[k] -= pairs
            squares += [g.intern("div", (x, k))] * pairs if pairs else []
    others = sorted(above.elements(), key=lambda f: (g.op[f] in BOUNDED, above[f]))
    factors = [*squares, *others]
    divisors = list(below.elements())
    whole = factors.pop(0) if factors else g.one
    while factors or divisors:
        if divisors:
            whole = g.intern("div", (whole, divisors.pop(0)))
        if factors:
            whole = g.intern("mul", g.ordered(whole, factors.pop(0)))
    return g.mul(g.const(parts.number), whole)


def _divisions(g: Graph, n: Node) -> int:
    """How many divisions a product is made with."""
    count, stack = 0, [n]
    while stack:
        op = g.op[n := stack.pop()]
        count += op == "div"
        stack += g.args[n] if op in ("mul", "div", "neg") else ()
    return count


def _without_common(parts: Product) -> tuple[Counter[Node], Counter[Node]]:
    above, below = Counter(parts.above), Counter(parts.below)
    return above - below, below - above


def _repeated(factors: Counter[Node]) -> set[Node]:
    return {f for f, times in factors.items() if times > 1}
