"""Differences of means: a root, or a quotient, beside a sum that is nearly the same.

    (x + y)/2 - sqrt(x*y)           ((x - y)/2)**2/((x + y)/2 + sqrt(x*y))
    (x + y)/2 - 2*x*y/(x + y)       (x - y)**2/(2*(x + y))

L + c*sqrt(Q) is (c^2*Q - L^2)/(c*sqrt(Q) - L) and L + c*P/S is (L*S + c*P)/S, with linear forms L and S and
quadratic ones P and Q: what stands above is a form that `ir.quadratic` writes as products. Where their sides
are not small beside L, or S, nothing cancels, and the sum is computed as it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.product import product_of
from symgrad.ir.quadratic import Linear, Product, Quadratic, add_product, as_products, components
from symgrad.ir.stability.audit import AUDITS, Audit, at_pairs
from symgrad.ir.stability.patterns import MOST_FACTORS, MOST_TERMS, terms_of, under_root
from symgrad.ir.stability.quadratic_forms import linear_form, sides_of_products, term_of_form

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

NAME = "difference_of_means"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "(x + y)/2 - 2*x*y/(x + y)",
    "(x - y)**2/(2*(x + y))",
    "a quotient over a sum, or a root of the other sign, beside a sum; what is left is a product of sums",
    "Higham 2002, section 1.8",
    at_pairs((1 + 2.0**-40, 1.0), (1e8 + 1, 1e8), (0.3, 0.7), (3e-200, 2e-200)),
)

_ROOTS = ("sqrt", "norm", "hypot")


def with_differences_of_means(g: Graph, nodes: Sequence[int]) -> Sequence[int]:
    """The terms of a sum, as one if they are such a difference."""
    if not 3 <= len(nodes) <= MOST_TERMS:
        return nodes
    for place, node in enumerate(nodes):
        kind = _kind(g, node)
        if kind:
            others = [*nodes[:place], *nodes[place + 1 :]]
            made = _beside_root(g, node, others) if kind == "root" else _beside_quotient(g, node, others)
            if made is not None:
                g.fired[NAME] += 1
                return [made]
    return nodes


def _kind(g: Graph, node: int) -> str:
    """Whether a term is a root, or divided by a sum; times a number."""
    op, args = g.op, g.args
    if op[node] == "neg":
        (node,) = args[node]
    if op[node] == "mul" and op[args[node][0]] == "const":
        node = args[node][1]
    if op[node] in _ROOTS:
        return "root"
    return "quotient" if op[node] == "div" and op[args[node][1]] in ("add", "sub") else ""


def _sum(g: Graph, nodes: Sequence[int]) -> Linear | None:
    """Of numbers times whatever, but no quotients and roots."""
    total: Linear = {}
    for n in nodes:
        for x, c in (linear_form(g, n) or {}).items():
            if g.op[x] in ("div", *_ROOTS):
                return None
            total[x] = total.get(x, Fraction(0)) + c
    return {x: c for x, c in total.items() if c}


def _products(form: Quadratic) -> list[Product] | None:
    """The form, that may not be 0, as products."""
    made: list[Product] = []
    for part in components({k: q for k, q in form.items() if q}):
        found = as_products(part)
        if not isinstance(found, list):
            return None
        made += found
    return made or None


def _beside_root(g: Graph, node: int, others: Sequence[int]) -> int | None:
    parts = product_of(g, node, 2)
    side = None if parts is None or len(parts.above) != 1 else _sum(g, others)
    if parts is None or side is None or len(side) < 2:
        return None
    (root,), c = parts.above, parts.number
    under = under_root(g, root)
    terms = [(1, g.mul(x, x)) for x in g.args[root]] if under is None else terms_of(g, under)
    form: Quadratic = {}
    for sign, n in terms:
        term = term_of_form(g, n, with_one=True)
        if term is None:
            return None
        add_product(form, c * c * sign * term.number, term.first, term.second)
    add_product(form, Fraction(-1), side, side)
    products = _products(form)
    if products is None:
        return None
    total = g.sum_of(others)
    is_opposite = g.node("lt", g.zero, total) if c < 0 else g.node("lt", total, g.zero)
    return _near(g, products, is_opposite, total, g.sub(node, total), g.add(total, node))


def _beside_quotient(g: Graph, node: int, others: Sequence[int]) -> int | None:
    parts = product_of(g, node, MOST_FACTORS)
    if parts is None or len(parts.below) != 1 or len(parts.above) != 2:
        return None
    sides = [linear_form(g, n) for n in (*parts.above, *parts.below)]
    total = _sum(g, others)
    first, second, below = sides
    if first is None or second is None or below is None or total is None:
        return None
    form: Quadratic = {}
    add_product(form, parts.number, first, second)
    add_product(form, Fraction(1), total, below)
    products = _products(form)
    if products is None or len(products) > 1:
        return None
    return _near(g, products, g.true, parts.below[0], parts.below[0], g.add(g.sum_of(others), node))


def _near(g: Graph, products: Sequence[Product], condition: int, size: int, below: int, written: int) -> int:
    """The sum of the products over something, where their sides are small beside something else."""
    sides = sides_of_products(g, products)
    least = g.mul(g.const(Fraction(1, 4)), g.node("abs", size))
    for node in dict.fromkeys(x for _, *pair in sides for x in pair):
        condition = g.node("and", condition, g.node("lt", g.node("abs", node), least))
    divisor = g.where(condition, below, g.one)
    made = g.sum_of(
        g.mul(g.const(number), g.mul(first, g.div(second, divisor))) for number, first, second in sides
    )
    return g.where(condition, made, written)
