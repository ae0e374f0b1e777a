"""Products with exponentials that leave the range of numbers before the product does: x/(exp(x) - 1) at 720.

Far out exp(u), expm1(u), sinh(u), .. are multiples of a power of e: F(u) = F(u - c)*exp(r*c) with a whole
number r. So for a product of such F of one value u

    R*F(u)*G(u)/H(u)  =  (R*F(u - c)*G(u - c)/H(u - c))*k       c = 128, k = exp(r*128) where u > 176
                                                               c = 0, k = 1              where |u| <= 176

and the same to the left: the number that is left out is multiplied last. Nearer to 0 this is what is
written, but that divisions and multiplications take turns. u - c is exact, and at 48 what F differs from
a power of e by is below its last place. Of several values u and v, (exp(u) - 1)/(exp(v) - 1), and where
growing functions stand both above and below, each value is 64 where it is far out, and what is left out
is

    exp(r*(u - 64) + s*(v - 64))        where both are far to the right.

Chosen are products that are divided by what may overflow; those with an exponential above that are divided,
or multiplied by two factors or more, by formulas of the same value: x**2*exp(-x), exp(x)/x; and products of a
growing with a decaying function, exp(x)*sinh(x). This comes after differentiation: the terms of a derivative
are products.

Source: Higham 2002, section 27.8, for scaling; DLMF 4.35 for the functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import exp
from typing import NamedTuple

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.product import Product, product_of
from symgrad.ir.series.probe import CONSTANT, variable_of
from symgrad.opt.outermost import outermost_products
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.opt.scaled_sums import BOUNDED

_MOST_FACTORS = 16  # of a product
_SHIFT = 128
_FAR = 176
_KEPT = 64  # of several values
_MOST_POWERS = 4  # exp(4*176) is a number


class _Rates(NamedTuple):
    """F(u) is a multiple of exp(left*u) far to the left, and of exp(right*u) far to the right."""

    left: int
    right: int


_RATES = {
    "exp": _Rates(1, 1), "expm1": _Rates(0, 1), "sinh": _Rates(-1, 1), "cosh": _Rates(-1, 1),
    "exprel": _Rates(0, 1), "sinhc": _Rates(-1, 1),
    "sech": _Rates(1, -1), "logistic": _Rates(1, 0), "logistic_slope": _Rates(1, -1),
    "exp_share": _Rates(1, 0),
}  # fmt: skip
_GROWING = frozenset(("exp", "expm1", "sinh", "cosh"))
_OVER_ARGUMENT = frozenset(("exprel", "sinhc"))  # a multiple of exp(u)/u
_SINGLE = frozenset(("read", "add", "sub"))  # beside one such factor ..
_WITH_OTHERS = frozenset(("exp", "logistic", "logistic_slope"))  # these have the digits that matter


def far_products(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such products."""
    below = g.definitions_below(roots)
    chosen = {t: found for t in below if (found := _chosen(g, t))} if _may_be_far(g) else {}
    if not chosen:
        return g, {t: t for t in below}
    made_of: dict[tuple[TensorId, Node], Node] = {}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if t in chosen:
            parts = chosen[t].get(old)
            if parts is not None:
                above, divisors = ([made_of[t, n] for n in side] for side in (parts.above, parts.below))
                new = _product(copy.new, new, Product(parts.number, tuple(above), tuple(divisors)))
            made_of[t, old] = new
        return new

    return copy_with(g, roots, on_node=on_node)


def _may_be_far(g: Graph) -> bool:
    return g.stabilise and not _RATES.keys().isdisjoint(g.present)


def is_apart(g: Graph, parts: Product) -> bool:
    """Whether a product has a factor that is multiplied last, as it may be out of range with the others."""
    return any(g.op[n] == "exp_of_sum" or _is_power_of_e(g, n) for n in parts.above)


def _is_power_of_e(g: Graph, n: Node) -> bool:
    return g.op[n] == "where" and all(g.op[arm] in ("const", "where") for arm in g.args[n][1:])


# ---- what is looked for ------------------------------------------------------------------------


def _chosen(g: Graph, t: TensorId) -> dict[Node, Product]:
    """The products of a definition that are computed in another way."""
    nodes = g.reachable(g.tensors[t].bodies)
    if not any(g.op[n] in _RATES for n in nodes):
        return {}
    found = {}
    for n in outermost_products(g, t, nodes):
        parts = product_of(g, n, _MOST_FACTORS)
        if parts is not None and _is_far(g, parts):
            found[n] = parts
    return found


def _is_far(g: Graph, parts: Product) -> bool:
    """Whether an exponential is out of range where the product may not be."""
    above, below = ([n for n in side if _has_rate(g, n)] for side in (parts.above, parts.below))
    if not above and not below:
        return False
    arguments = {g.args[n][0] for n in (*above, *below)}
    if any(max(map(abs, _rates_in(g, parts, u))) > _MOST_POWERS for u in arguments):
        return False
    grows = any(g.op[n] in _GROWING for n in above)
    if any(g.op[n] in _GROWING for n in below) or (grows and len(arguments) > 1) or _is_opposed(g, above):
        return True
    if len(arguments) > 1 or any(_rates_in(g, parts, u) == (0, 0) for u in arguments):
        return False
    variable = variable_of(g, next(iter(arguments)))
    others = [n for n in (*parts.above, *parts.below) if _is_of(g, n, variable)]
    if not others or variable == CONSTANT:
        return False
    has_few = len(others) == 1 and g.op[others[0]] in _SINGLE and others[0] in parts.above
    return not has_few or not all(g.op[n] in _WITH_OTHERS for n in above)


def _is_of(g: Graph, n: Node, variable: Node) -> bool:
    """Whether a factor is a formula of some value that may be large where the value is."""
    return variable_of(g, n) == variable and not _has_rate(g, n) and g.op[n] not in BOUNDED


def _has_rate(g: Graph, n: Node) -> bool:
    return g.op[n] in _RATES and g.op[g.args[n][0]] != "const"


def _rates_in(g: Graph, parts: Product, u: Node) -> _Rates:
    """The rates of the whole product in u."""
    left = right = 0
    for side, sign in ((parts.above, 1), (parts.below, -1)):
        for n in side:
            if _has_rate(g, n) and g.args[n][0] == u:
                rates = _RATES[g.op[n]]
                left, right = left + sign * rates.left, right + sign * rates.right
    return _Rates(left, right)


# ---- what is made of it ------------------------------------------------------------------------


def _product(g: Graph, written: Node, parts: Product) -> Node:
    """The product; as it is written if its exponentials have become something else."""
    arguments = list(dict.fromkeys(g.args[n][0] for n in (*parts.above, *parts.below) if _has_rate(g, n)))
    if not arguments:
        return written
    is_only = len(arguments) == 1 and not _cancels(g, parts)
    near = {u: _near(g, u, is_only) for u in arguments}
    growing_first = sorted(parts.above, key=lambda n: g.op[n] not in _GROWING)
    above, below = ([_moved(g, n, near) for n in side] for side in (growing_first, parts.below))
    whole = g.mul(g.const(parts.number), _in_turns(g, above, below))
    if is_only:
        (u,) = arguments
        rates = _rates_in(g, parts, u)
        right, left = (g.const(exp(power * _SHIFT)) for power in (rates.right, -rates.left))
        return g.intern("mul", g.ordered(whole, _by_side(g, u, right, left, g.one)))
    exponents = [_left_out(g, u, near[u], _rates_in(g, parts, u)) for u in arguments]
    total, last = g.sum_of(exponents[:-1]), exponents[-1]
    half = g.node("exp_of_sum", total, last)
    return g.intern("mul", g.ordered(g.intern("mul", g.ordered(whole, half)), half))


def _cancels(g: Graph, parts: Product) -> bool:
    """Whether there are growing functions on both sides, which are infinite over infinite if not far out."""
    is_both = all(any(g.op[n] in _GROWING for n in side) for side in (parts.above, parts.below))
    return is_both or _is_opposed(g, [n for n in parts.above if _has_rate(g, n)])


def _is_opposed(g: Graph, factors: Sequence[Node]) -> bool:
    """Whether one of them grows on the side where another one of the same value decays: exp(x)*sinh(x)."""
    for u in {g.args[n][0] for n in factors} if len(factors) > 1 else ():
        rates = [_RATES[g.op[n]] for n in factors if g.args[n][0] == u]
        for side in ([r.left for r in rates], [r.right for r in rates]):
            if min(side) < 0 < max(side):
                return True
    return False


def _in_turns(g: Graph, above: list[Node], below: list[Node]) -> Node:
    """Multiplied and divided in turns: what is in between is between the numbers there are and the result."""
    whole = above[0] if above else g.one
    for k in range(max(len(above) - 1, len(below))):
        whole = g.div(whole, below[k]) if k < len(below) else whole
        whole = g.mul(whole, above[k + 1]) if k + 1 < len(above) else whole
    return whole


def _by_side(g: Graph, u: Node, right: Node, left: Node, between: Node) -> Node:
    """One of three values: far to the right, far to the left, and for all else, nan too."""
    inner = g.where(g.node("lt", u, g.const(-_FAR)), left, between)
    return g.where(g.node("lt", g.const(_FAR), u), right, inner)


def _near(g: Graph, u: Node, is_only: bool) -> Node:
    """What stands for an argument."""
    if not is_only:
        return _by_side(g, u, g.const(_KEPT), g.const(-_KEPT), u)
    return g.intern("sub", (u, _by_side(g, u, g.const(_SHIFT), g.const(-_SHIFT), g.zero)))


def _moved(g: Graph, n: Node, near: dict[Node, Node]) -> Node:
    """A factor at the argument that stands for its own."""
    if not _has_rate(g, n):
        return n
    (u,) = g.args[n]
    made = g.node(g.op[n], near[u])
    if g.op[n] not in _OVER_ARGUMENT:
        return made
    first, second = (_by_side(g, u, x, x, g.one) for x in (near[u], u))
    return g.mul(made, g.div(first, second))


def _left_out(g: Graph, u: Node, near: Node, rates: _Rates) -> Node:
    """Half the exponent that a product lacks, of one of several arguments."""
    right, left = (g.mul(g.const(Fraction(rate, 2)), g.sub(u, near)) for rate in (rates.right, rates.left))
    return _by_side(g, u, right, left, g.zero)
