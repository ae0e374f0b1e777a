"""A share p of a whole beside 1: second derivatives of log-sum-exp, softmax and the logistic function.

They are p*(1 - p) and -p*q. Built by the chain rule they come as p - p*p, as p*q*(1 - r) - p*q, or as
p*([k = j] - q), and where a share is near 1 (or near 0) what is left of such a difference has no digits.
The share of the others, 1 - p, is known by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import all_factors, quotient_of, remove

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

COMPLEMENT = "Blanchard, Higham & Higham 2021, section 4"
_OTHER_COMPLEMENTS = ("exp", "tanh", "sech")  # expm1, and the squares of the last two are each other's
_MAY_BE_SHARE = frozenset(
    (
        "logistic",
        "logistic_slope",
        "share",
        "share_of_others",
        "where",
        "read",
        "exp_of_sum",
        *_OTHER_COMPLEMENTS,
    )
)
SHARES = (
    "logistic",
    "logistic_slope",
    "logsumexp",
    "share",
    "share_of_others",
)  # what every share is made of
_MOST_STEPS = 4  # from a read to the exponential it stands for


def _may_differ_by_a_share(ops: Sequence[str]) -> bool:
    """Whether one side may be a product of more than the other."""
    return any(op in ("mul", "neg", "div", "logistic_slope", "exp_of_sum") for op in ops)


@stable(
    "sub",
    "p*q - p*q*r, where r is a share of the whole, is p*q*(1 - r): the share of the others does not cancel",
    Audit(
        "1/(1 + exp(-x)) - 1/(1 + exp(-x))**2", "p*q*(1 - r)",
        "products that differ by one logistic function or softmax; by exp(x), p*q*expm1(x); by tanh(x)**2",
        COMPLEMENT, at(40.0, -30.0, 0.5),
    ),
    on=_may_differ_by_a_share,
    needs=(*SHARES, *_OTHER_COMPLEMENTS),
)  # fmt: skip
def product_less_its_share(g: Graph, a: Args) -> int | None:
    if not any(g.op[factor] in _MAY_BE_SHARE for part in a for factor in all_factors(g, part)[0]):
        return None
    first, second = (share_factors(g, part) for part in a)
    longer = first if len(first) > len(second) else second
    if not first or not second or not any(_has_complement(g, factor) for factor in longer):
        return None
    left, rest = remove(first, second)
    for more, fewer, whole, sign in ((rest, left, first, 1), (left, rest, second, -1)):
        left_over = None if fewer else _complement_of_product(g, more)
        if left_over is not None:
            product = left_over
            for factor in whole:
                product = g.mul(factor, product)
            return product if sign > 0 else g.neg(product)
    return None


def _complement_of_product(g: Graph, factors: list[int]) -> int | None:
    """1 - p, 1 - exp(x), or 1 - tanh(x)**2."""
    if len(factors) == 1 and _has_complement(g, factors[0]):
        return complement_of(g, factors[0])
    if len(factors) == 2 and factors[0] == factors[1] and g.op[factors[0]] in ("tanh", "sech"):
        return g.sub(g.one, g.mul(*factors))
    return None


def _has_complement(g: Graph, node: int) -> bool:
    """Whether 1 less this has digits of its own."""
    return g.op[node] in _OTHER_COMPLEMENTS or is_share(g, node)


def is_whole_less_share(g: Graph, difference: int, part: int) -> int | None:
    """x if the two are x*(1 - p) and x*p for a share p."""
    left, rest = remove(share_factors(g, difference), share_factors(g, part))
    if len(rest) != 1 or not is_share(g, rest[0]):
        return None
    own, missing = remove(left, share_factors(g, complement_of(g, rest[0])))
    if own or missing:
        return None
    _, whole = remove(rest, share_factors(g, part))
    return quotient_of(g, whole, [])


# ---- shares ------------------------------------------------------------------------------------


def share_factors(g: Graph, node: int) -> list[int]:
    """The factors of a product: two logistic functions for the slope of one, two exponentials for that of a
    sum, stored shares as they are.

    What is divided by is the factor 1/x.
    """
    found: list[int] = []
    above, below = all_factors(g, node)
    for factor in (*above, *(g.div(g.one, f) for f in below)):
        if g.op[factor] == "logistic_slope":
            (z,) = g.args[factor]
            found += [g.node("logistic", z), g.node("logistic", g.neg(z))]
        elif g.op[factor] == "exp_of_sum":
            found += [g.node("exp", x) for x in g.args[factor]]
        elif factor != g.one:
            found.append(_stored_share(g, factor))
    return found


def numbers_apart(g: Graph, factors: list[int]) -> tuple[Fraction, list[int]]:
    """The product of the rational factors, and the other factors."""
    product, others = Fraction(1), [f for f in factors if g.rational(f) is None]
    for factor in factors:
        product *= g.rational(factor) or 1
    return product, others


def _stored_share(g: Graph, node: int) -> int:
    """The softmax that a read stands for, or the node itself."""
    inner = node
    for _ in range(_MOST_STEPS):
        if is_share(g, inner):
            return inner
        if g.op[inner] != "read" or g.tensors[g.args[inner][0]].kind != "map":
            return node
        if g.op[g.tensors[g.args[inner][0]].body] not in ("exp", "where", "read"):
            return node
        inner = _unfolded(g, inner)
    return node


def _unfolded(g: Graph, read: int) -> int:
    """What a read of a map stands for."""
    tensor = g.tensors[g.args[read][0]]
    return g.substitute(tensor.body, dict(zip(tensor.out, g.args[read][1:], strict=True)))


def is_share(g: Graph, node: int) -> bool:
    """logistic(z), or exp(x - logsumexp(x)), or that where some x is not -inf and 0 elsewhere."""
    if g.op[node] == "where" and g.args[node][1] == g.zero:
        node = g.args[node][2]
    return g.op[node] in ("logistic", "share", "share_of_others") or (
        g.op[node] == "exp" and _is_less_its_total(g, g.args[node][0])
    )


def _is_less_its_total(g: Graph, node: int) -> bool:
    """x - logsumexp(x), or -(logsumexp(x) + y) where x is -y."""
    op, args = g.op[node], g.args[node]
    totals = args[1:] if op == "sub" else g.args[args[0]] if op == "neg" and g.op[args[0]] == "add" else ()
    return any(g.op[t] == "read" and g.tensors[g.args[t][0]].kind == "logsumexp" for t in totals)


def complement_of(g: Graph, share: int) -> int:
    """1 minus a share."""
    if g.op[share] == "where":
        predicate, _, inner = g.args[share]
        return g.where(predicate, g.one, g.sub(g.one, inner))
    return g.sub(g.one, share)
