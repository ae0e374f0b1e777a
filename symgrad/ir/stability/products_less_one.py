"""Products less one of their parts: (1 + x)*(1 + y) - 1, a*exp(x) - a, 1 - (1 - x**2)**3.

Of a product of factors f that are all near 1 together, less 1, no digit is lost in

    f_1 f_2 ... f_n - 1 = (f_1 - 1) + f_1 (f_2 - 1) + ... + f_1 f_2 ... f_(n-1) (f_n - 1)

where each f - 1 is known by itself: x of 1 + x, expm1(x) of exp(x). Of several factors, where all of them are
between 1/2 and 3/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.product import PRODUCTS, Factor, Product, powers_in, product_of, whole_of
from symgrad.ir.rules import Args
from symgrad.ir.series.probe import CONSTANT
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import MOST_FACTORS, one_plus, remove

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SUMS = ("add", "sub")
_OWN = ("exp", "exp_of_sum", "cos", "cosh", "sqrt", "hypot", "pow", "square_difference")
_POLYNOMIAL = (*_SUMS, "mul", "neg", "const", "square_difference")
_ALONE = ("pow", "exp_of_sum")  # less 1 without other factors, too
_IS_WITHIN = ContextVar("whether such a product is being taken apart", default=False)
_HIGHAM = "Higham 2002, sections 1.7 and 1.14"
_POINTS = at_pairs((1e-9, 2e-10), (0.4, 0.25), (-3.0, 1e5), (-1e-3, 3e-3))


def _may_be_less(ops: Sequence[str]) -> bool:
    return any(op in PRODUCTS for op in ops) or ("const" in ops and any(op in _ALONE for op in ops))


@stable(
    "sub",
    "a product less a part of it cancels where all factors that are left are near 1",
    Audit("1 - sqrt(1 + x)*exp(y)", "-sqrt1pm1(x) - sqrt(1 + x)*expm1(y)",
          "what is left of a product is known less one, factor by factor", _HIGHAM,
          at_pairs((3e-9, 1e-9), (0.5, 1e-3), (2.0, 1.0))),
    on=_may_be_less,
)  # fmt: skip
def product_less_its_part(g: Graph, a: Args) -> int | None:
    return _less_part(g, a, -1)


@stable(
    "add",
    "(1 + x)*(1 + y) + (-1) is that of a difference",
    Audit("(1 + x)*(1 + y) - 1", "x + (1 + x)*y", "likewise; of one high power, (1 + x)**12 - 1, too",
          _HIGHAM, _POINTS),
    on=lambda ops: _may_be_less(ops) and "neg" not in ops,
)  # fmt: skip
def product_plus_negative_part(g: Graph, a: Args) -> int | None:
    is_difference = "neg" in (g.op[a[0]], g.op[a[1]])  # as which it comes again
    return None if is_difference else _less_part(g, a, 1)


def _less_part(g: Graph, a: Args, sign: int) -> int | None:
    """a[0] + sign*a[1], if one of them is the other one times factors that are near 1; not within itself.

    Large graphs are full of sums: what is asked of all of them comes first, and is quick.
    """
    first, second = g.factor_count[a[0]], g.factor_count[a[1]]
    if first == second or first // 1 != second // 1 or first > MOST_FACTORS + 1:
        return None
    whole, part = a if first > second else (a[1], a[0])  # the one with more factors
    is_alone = g.op[whole] in _ALONE and g.op[part] == "const"
    if not is_alone and (g.op[whole] not in PRODUCTS or not _may_hold(g, whole, part)):
        return None
    if _IS_WITHIN.get() or (_has_series(g, whole) and not (_saturates(g, whole) or _has_length(g, whole))):
        return None
    within = _IS_WITHIN.set(True)
    try:
        return _made(g, a, sign, whole, part)
    finally:
        _IS_WITHIN.reset(within)


def _made(g: Graph, a: Args, sign: int, whole: int, part: int) -> int | None:
    own, other = (1, sign) if whole == a[0] else (sign, 1)
    first, second = _factors(g, whole, own), _factors(g, part, other)
    if first is None or _saturates(g, whole):
        power = _less_power(g, a, sign, whole, part)
        if power is not None or first is None:
            return power
    if second is None or first.number + second.number:
        return None
    above, rest = remove(list(first.above), list(second.above))
    below, divisors = remove(list(first.below), list(second.below))
    found = None if rest or divisors else _less_one(g, above, below)
    if found is None:
        return None
    made = g.mul(whole_of(g, Product(-second.number, second.above, second.below)), found.value)
    if found.near is None:
        return made
    hidden = [g.where(found.near, g.one, n) if n == whole else n for n in a]
    return g.where(found.near, made, (g.add if sign > 0 else g.sub)(*hidden))


def _less_power(g: Graph, a: Args, sign: int, whole: int, part: int) -> int | None:
    """The same where what is left is one high power, (1 + x)**12: less 1 it is x times a sum of powers."""
    first, second = powers_in(g, whole, MOST_FACTORS), powers_in(g, part, MOST_FACTORS)
    own, other = (1, sign) if whole == a[0] else (sign, 1)
    if first is None or second is None:
        return None
    factors = first[1].keys() | second[1].keys()
    left = {f: e for f in factors if (e := first[1].get(f, 0) - second[1].get(f, 0))}
    ((base, exponent),) = left.items() if len(left) == 1 else ((whole, 0),)
    if g.op[base] == "expm1":
        own, base = own * (-1) ** exponent, _one_minus_exp(g, base)
    if own * first[0] + other * second[0]:
        return None
    less = _known_less_one(g, base) if g.op[base] in (*_SUMS, "square_difference") else None
    if less is None or exponent <= 0:
        return None
    # Where the power is so near 1; else nothing cancels, but in derivatives of the sum where it is small.
    near = g.node("lt", g.node("abs", less), g.const(Fraction(1, 2 * exponent)))
    made = g.mul(g.mul(g.const(-other), part), g.mul(less, _sum_of_powers(g, base, exponent)))
    hidden = [g.where(near, g.one, n) if n == whole else n for n in a]
    return g.where(near, made, (g.add if sign > 0 else g.sub)(*hidden))


def _sum_of_powers(g: Graph, x: int, n: int) -> int:
    """1 + x + ... + x**(n - 1), by halves: of 2*k powers it is that of k times 1 + x**k."""
    total, power = g.one, x
    for bit in f"{n:b}"[1:]:
        total, power = g.mul(total, g.add(g.one, power)), g.mul(power, power)
        if bit == "1":
            total, power = g.add(g.one, g.mul(x, total)), g.mul(x, power)
    return total


def _has_series(g: Graph, node: int) -> bool:
    """Whether it is a function of one value whose zeros quotients know by its series, but no polynomial.

    A choice has no series: (1 - (1 + x)*exp(-x))/x**2 would have no value at 0.
    """
    variable = g.variables[node]
    if variable in (node, CONSTANT):
        return False
    stack, seen = [node], {variable}
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            if g.op[n] not in _POLYNOMIAL:
                return True
            stack += g.arguments[n]
    return False


def _saturates(g: Graph, node: int) -> bool:
    """Whether a factor is 1 - exp(x), which is near 1 far out, where no series is."""
    stack, left = [node], 2 * MOST_FACTORS
    while stack and left:
        left -= 1
        n = stack.pop()
        if g.op[n] == "expm1":
            return True
        stack += g.args[n] if g.op[n] in PRODUCTS else ()
    return False


def _has_length(g: Graph, product: int) -> bool:
    """Whether a factor is sqrt(1 + (k/x)**2), as beside x: a length, which needs no series (`widths`)."""
    factors = g.args[product] if g.op[product] == "mul" else ()
    return any(g.op[f] == "hypot" and any(g.op[side] == "div" for side in g.args[f]) for f in factors)


def _one_minus_exp(g: Graph, expm1: int) -> int:
    """1 - exp(x) for exp(x) - 1, as it is written."""
    return g.intern("sub", (g.one, g.node("exp", g.args[expm1][0])))


def _factors(g: Graph, node: int, sign: int) -> Product | None:
    """With -(1 - x) for x - 1, also where x is an exponential."""

    def inside(n: int, is_above: bool) -> list[Factor] | None:
        x, y = g.args[n] if g.op[n] in _SUMS else (n, n)
        if g.op[n] == "add" and g.minus_one in (x, y):
            return [(g.minus_one, True), (g.intern("sub", (g.one, x if y == g.minus_one else y)), is_above)]
        if g.op[n] == "expm1":
            return [(g.minus_one, True), (_one_minus_exp(g, n), is_above)]
        if g.op[n] == "sub" and y == g.one:
            return [(g.minus_one, True), (g.intern("sub", (y, x)), is_above)]
        return None

    return product_of(g, node, MOST_FACTORS, sign, inside)


def _may_hold(g: Graph, whole: int, part: int) -> bool:
    """Whether a factor of the part is among those of the whole: quick, as of most it is not."""
    ops, args = g.op, g.args
    wanted = part
    while ops[wanted] in PRODUCTS:
        wanted = args[wanted][-1]
    if ops[wanted] == "const" or (ops[wanted] in _SUMS and _has_one(g, wanted)):
        return True
    stack, left = [whole], 2 * MOST_FACTORS
    while stack and left:
        left -= 1
        n = stack.pop()
        if n == wanted:
            return True
        if ops[n] in PRODUCTS and n > wanted:  # nothing is made of what comes after it
            stack += args[n]
    return False


def _has_one(g: Graph, node: int) -> bool:
    """Whether it is 1 - x, x - 1 or their like, of which one may stand for the other."""
    return g.one in g.args[node] or g.minus_one in g.args[node]


class _Less(NamedTuple):
    """A product less 1, and where that is so; None: wherever the factor is a number."""

    value: int
    near: int | None


def _less_one(g: Graph, above: list[int], below: list[int]) -> _Less | None:
    """The product of some over the product of others, less 1."""
    above, below = remove(above, below)
    if not above or any(g.op[factor] in _SUMS for factor in below):  # shares have rules of their own
        return None
    total, before, near = g.zero, g.one, g.true
    for factor, is_above in [*((f, True) for f in above), *((f, False) for f in below)]:
        less = _known_less_one(g, factor)
        if less is None:
            return None
        near = g.node("and", near, g.node("lt", g.node("abs", less), g.const(Fraction(1, 2))))
        if is_above:
            total, before = g.add(total, g.mul(before, less)), g.mul(before, factor)
        else:
            before = g.div(before, factor)
            total = g.sub(total, g.mul(before, less))
    return _Less(total, None if len(above) + len(below) == 1 else near)


def _known_less_one(g: Graph, factor: int) -> int | None:
    """f - 1 without cancellation, None where that is not known."""
    op, args = g.op[factor], g.args[factor]
    if op in _SUMS:
        return g.neg(args[1]) if op == "sub" and args[0] == g.one else one_plus(g, factor)
    if op == "square_difference":
        return g.neg(g.mul(args[1], args[1])) if args[0] == g.one else None
    if op == "exp_of_sum":
        return _of_exponentials(g, factor)
    if op == "pow" and g.op[args[1]] == "const":
        return _of_power(g, factor)
    if op not in _OWN:
        return None
    made = g.sub(factor, g.one)
    return None if g.op[made] in _SUMS else made


def _of_exponentials(g: Graph, factor: int) -> int:
    """exp(x)*exp(y) - 1."""
    exponent = g.add(*g.args[factor])
    near = g.node("and", *(g.node("lt", g.node("abs", x), g.one) for x in g.args[factor]))
    return g.where(near, g.node("expm1", exponent), g.sub(g.where(near, g.one, factor), g.one))


def _of_power(g: Graph, factor: int) -> int | None:
    """(1 + x)**q - 1 for a number q."""
    base, q = g.args[factor]
    rest = _known_less_one(g, base) if g.op[base] in (*_SUMS, "square_difference") else None
    if rest is None:
        return None
    near = g.node("lt", g.node("abs", rest), g.const(Fraction(1, 2)))
    together = g.node("expm1", g.mul(q, g.node("log1p", rest)))
    return g.where(near, together, g.sub(g.where(near, g.one, factor), g.one))
