"""What is divided by a length twice, beside a side of it: x*(1/h/h) as (1/h)*(x/h).

Second derivatives of lengths are such products, and 1/h/h is out of range long before they are. Divided by h
once for each side, no part of a product is out of range before the product is: x/h is at most 1.

Only products of h, its sides and numbers are looked at. Beside anything else that may be large, x/h might be
the part that underflows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import factors_of, terms_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_NODES = 24  # of a product
_COSINES = ("hypot_slope", "direction_cosine")
_LENGTHS = ("hypot", "sqrt", "norm")


def _may_repeat(ops: Sequence[str]) -> bool:
    return any(op in ("div", "mul") for op in ops)


@stable(
    "mul",
    "1/h**2 leaves the range of numbers before x/h**2 does, for a length h with the side x",
    Audit(
        "sqrt(1 + x**2 + y**2)", "of second derivatives: (1/h)*(x/h) for x*(1/h/h)",
        "products of h, its sides and numbers", "Blue 1978",
        at_pairs((1e300, 1e300), (1e-80, -1e80), (1e10, -1e155), (0.3, 0.4)),
    ),
    on=_may_repeat,
    needs=_LENGTHS,
)  # fmt: skip
def side_over_repeated_divisor(g: Graph, a: Args) -> int | None:
    for product, other in (a, a[::-1]):
        if g.op[other] in ("const", "div") or g.op[product] not in ("mul", "div"):
            continue
        divisor = _repeated(g, product)
        if divisor is None:
            continue
        for x in factors_of(g, other):
            if g.op[x] != "const" and _is_side(g, divisor, x):
                less = divided_once_less(g, product, divisor)
                assert less is not None, "the divisor is one of those of the product"
                made = g.mul(less, g.div(x, divisor))
                for factor in _others(g, other, x):
                    made = g.mul(factor, made)
                return made
    return None


def _repeated(g: Graph, node: int) -> int | None:
    """What a product of numbers and sides is divided by twice or more; None if there are other factors."""
    ops, args = g.op, g.args
    divisors, above, nodes = list[int](), list[int](), [node]
    for n in nodes:  # to which its factors are added
        op = ops[n]
        if op == "mul":
            nodes += args[n]
            if len(nodes) > _MOST_NODES:
                return None
        elif op == "div":
            nodes.append(args[n][0])
            divisors.append(args[n][1])
            if len(divisors) > _MOST_NODES:
                return None
        elif op == "neg":
            nodes += args[n]
        elif op != "const":
            above.append(n)
    for u in divisors:
        if g.op[u] not in _LENGTHS:
            continue
        others = [d for d in divisors if not _is_same_length(g, u, d)]
        is_twice = len(divisors) - len(others) >= 2
        has_only_sides = all(_is_bounded(g, n) or _is_side(g, u, n) for n in above)
        if is_twice and has_only_sides and all(_is_bounded(g, d) for d in others):
            return u
    return None


def _is_same_length(g: Graph, u: int, other: int) -> bool:
    """Whether this is the same length, or a norm for the root `u` of its squares in range."""
    return other == u or (g.op[u] == "sqrt" and g.op[other] == "norm" and g.args[other][2] == g.args[u][0])


def _is_bounded(g: Graph, n: int) -> bool:
    """A number, a cosine, or a power of two by which sides are divided."""
    return g.op[n] in ("const", "double_cosine") or (g.op[n] == "scaled" and g.op[g.args[n][0]] == "const")


def _is_side(g: Graph, u: int, x: int) -> bool:
    """Whether a length is the root of a sum with the square of x in it, or x is a share of it."""
    op, args = g.op[u], g.args[u]
    if g.op[x] in _COSINES and op == "hypot":  # beside a number a length is not small: nothing overflows
        return g.node("hypot", *g.args[x]) == u and not any(g.op[side] == "const" for side in args)
    if op == "hypot":
        return x in args
    if op == "norm":
        return _has_square(g, args[1], x)
    return _has_square(g, args[0], x)


def _has_square(g: Graph, total: int, x: int) -> bool:
    if g.op[total] != "add":
        return False
    return any(sign > 0 and factors_of(g, term).count(x) == 2 for sign, term in terms_of(g, total))


def _others(g: Graph, product: int, x: int) -> list[int]:
    factors = factors_of(g, product)
    factors.remove(x)
    return factors


def divided_once_less(g: Graph, node: int, u: int) -> int | None:
    """node*u, by leaving one division by u out; None if there is none among its factors."""
    op, args = g.op[node], g.args[node]
    if op == "div":
        if args[1] == u:
            return int(args[0])
        less = divided_once_less(g, args[0], u)
        return None if less is None else g.div(less, args[1])
    if op == "neg":
        less = divided_once_less(g, args[0], u)
        return None if less is None else g.neg(less)
    if op == "mul":
        for part, other in (args, args[::-1]):
            less = divided_once_less(g, part, u)
            if less is not None:
                return g.mul(less, other)
    return None
