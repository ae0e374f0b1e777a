"""Differences of quotients over one divisor: what cancels is taken away before it is computed.

Of a quotient n/d whose terms are also terms of d, the quotient rule makes 1/d - n/d**2, of which nothing is
left where those terms are nearly all of d. Over d**2 the numerators are sums of the same terms: d - n without
what both have is known by itself. Likewise for powers of d by halves and thirds (x/sqrt(1 + x**2)), and for
divisors with roots and quotients in them, whose squares and products are multiplied out.

A product is a number and a power of each factor, a sum of products a table from powers to numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.product import Factor, product_of
from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import MOST_FACTORS, MOST_TERMS, root_of_square, terms_of, under_root
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Powers = dict[int, Fraction]
Monomial = tuple[tuple[int, Fraction], ...]  # sorted powers
Terms = dict[Monomial, Fraction]

_MOST_FACTORS = 2 * MOST_FACTORS
_MOST_EXPANDED = 2 * MOST_TERMS  # products while sums are multiplied out
_NEAR = 3  # factors before a quotient that is looked for
_MOST_LOOKED_AT = 8  # nodes of a product in which a cosine is looked for
_OVER_LENGTH = {"direction_cosine": 1, "inversion": 2, "double_cosine": 2}  # by so many powers of a length
_ROOTS = ("pow", "hypot", *_OVER_LENGTH, "sqrt", "norm", "leg")
_SUMS = ("add", "sub", "square_difference")


def _may_be_quotients(ops: Sequence[str]) -> bool:
    return ("div" in ops or "mul" in ops) and not any(op in ("add", "sub") for op in ops)


@stable(
    "sub",
    "a/d - a*n/d**2, as the quotient rule makes it, cancels where n is nearly all of d",
    Audit(
        "x/(x + y)", "by x: a/d*((d - n)/d)", "terms of n are terms of d, which is a sum; 1 - n/d counts",
        "Higham 2002, section 1.7", at_pairs((1e9, 1.0), (3e-9, -2.0), (0.3, 0.7), (1e200, 1e-100)),
    ),
    on=_may_be_quotients,
    needs=("div", *_OVER_LENGTH),
)  # fmt: skip
def quotient_less_its_share(g: Graph, a: Args) -> int | None:
    return _over_common_divisor(g, a, -1)


@stable(
    "add",
    "the same where one of the two has a negative number for a factor",
    Audit(
        "1/(1/x + 1/y)", "of second derivatives: a/d*((d - n)/d)", "as above",
        "Higham 2002, section 1.7", at_pairs((1e8, 1.0), (1e-3, 3.0), (2.0, 5.0)),
    ),
    on=_may_be_quotients,
    needs=("div", *_OVER_LENGTH),
)  # fmt: skip
def quotient_plus_its_negative_share(g: Graph, a: Args) -> int | None:
    return _over_common_divisor(g, a, 1)


def _over_common_divisor(g: Graph, a: Args, sign: int) -> int | None:
    """a[0] + sign*a[1] without what cancels over the divisor of both; None if nothing does."""
    has_other_sign = sign < 0 or _is_negative(g, a[0]) != _is_negative(g, a[1])
    if not _may_be_quotients([g.op[n] for n in a]) or not _may_cancel(g, a, has_other_sign):
        return None
    first, second = (powers_of(g, part) for part in a)
    if first is None or second is None:
        return None
    second = second.times(sign)
    factors = first.powers | second.powers
    shared = {f: min(first.powers.get(f, _NONE), second.powers.get(f, _NONE)) for f in factors}
    if all(e >= 0 for e in shared.values()):
        return None
    rest, other = (_divided(q.powers, shared) for q in (first, second))
    if any(shared[f] >= 0 and g.op[f] in _SUMS and not _is_polynomial(g, f) for f in (*rest, *other)):
        return None
    for part, number, divisor in ((a[0], first.number, rest), (a[1], sign * second.number, other)):
        if divisor and all(shared[f] < 0 for f in divisor):  # a share of it: nothing on the way is larger
            left = _sum_of_both(g, rest, first.number / number, other, second.number / number)
            inverse = {f: -e for f, e in divisor.items()}
            return None if left is None or _overflows(g, a, left) else g.mul(part, _over(g, left, inverse))
    left = _sum_of_both(g, rest, first.number, other, second.number)
    return None if left is None or _overflows(g, a, left) else _over(g, left, shared)


def _overflows(g: Graph, a: Args, left: Terms) -> bool:
    """Whether what is left is a polynomial beside cosines, which stay in range as they are."""
    is_divided = any(g.op[n] == "div" for n in a) or all(_is_divided(g, n) for n in a)
    return len(left) > 1 and not is_divided


_NONE = Fraction(0)


@dataclass(frozen=True)
class _Product:
    number: Fraction
    powers: Powers

    def times(self, number: int) -> _Product:
        return _Product(self.number * number, self.powers)

    def squared(self) -> _Product:
        """Of exp(x) the square of a power: as a node it is exp(2*x)."""
        return _Product(self.number**2, {n: 2 * e for n, e in self.powers.items()})


# ---- what is cheap to see of most sums that are not looked for ---------------------------------------


def _is_negative(g: Graph, node: int) -> bool:
    """Whether the number before a product is, as far as the first few factors say."""
    stack, sign = [node], 1
    for _ in range(_NEAR * 4):
        if not stack:
            break
        n = stack.pop()
        if g.op[n] in ("mul", "div"):
            stack += g.args[n][::-1]
        elif (q := g.rational(n)) is not None and q < 0:
            sign = -sign
    return sign < 0


def _is_quotient(g: Graph, node: int) -> bool:
    """Whether a product is divided by something, or has a cosine beside a number for a factor."""
    return _is_divided(g, node) or (not _OVER_LENGTH.keys().isdisjoint(g.present) and _has_cosine(g, node))


def _is_divided(g: Graph, node: int) -> bool:
    """Whether a product with one or two factors before it is divided by something, powers of two aside."""
    for _ in range(_NEAR):
        if g.op[node] != "mul":
            break
        first, node = g.args[node]
        if g.op[node] == "scaled":
            first, node = node, first
        if g.op[first] == "div":
            return True
    return g.op[node] == "div"


def _has_cosine(g: Graph, node: int) -> bool:
    """Whether a factor is a cosine beside a number, which is a quotient, as far as few nodes say."""
    nodes = [node]
    for n in nodes:  # to which their factors are added
        op = g.op[n]
        if op == "mul" and len(nodes) < _MOST_LOOKED_AT:
            nodes += g.args[n]
        elif op in _OVER_LENGTH and _is_one(g, n):
            return True
    return False


def _is_one(g: Graph, node: int) -> bool:
    """A quotient, as what is over a length is where one side is a number."""
    op = g.op[node]
    return op == "div" or (op in _OVER_LENGTH and any(g.op[side] == "const" for side in g.args[node]))


def _may_cancel(g: Graph, a: Args, has_other_sign: bool) -> bool:
    """Whether both may be over one sum, once more in one than in the other, and else of the same factors."""
    ops = g.op[a[0]], g.op[a[1]]
    if "div" not in ops and not (_is_quotient(g, a[0]) and _is_quotient(g, a[1])):
        return False
    first, second = sorted((_sides(g, part) for part in a), key=lambda sides: sides.below.total())
    if not has_other_sign and not any(
        _may_cancel_itself(g, n) for n in (*second.below, *first.above, *second.above)
    ):
        return False
    if first.is_mixed or second.is_mixed:
        return True
    if first.below.total() == second.below.total():
        return False
    if first.below and first.below.keys().isdisjoint(second.below):
        return False
    return first.above <= second.above or any(_has_quotient(g, n) for n in second.below)


@dataclass(frozen=True)
class _Sides:
    """Factors of a product, numbers aside, and whether a sum, or some power of what may be one, is above."""

    above: set[int]
    below: Counter[int]
    is_mixed: bool


def _sides(g: Graph, node: int) -> _Sides:
    ops, args = g.op, g.args
    above, below, is_mixed = set[int](), Counter[int](), False
    stack = [(node, False)]
    while stack and len(stack) + len(above) + below.total() <= _MOST_FACTORS:
        n, is_below = stack.pop()
        op = ops[n]
        if op == "mul" or op == "div":
            first, second = args[n]
            stack += ((first, is_below), (second, is_below != (op == "div")))
        elif op == "neg":
            stack.append((args[n][0], is_below))
        elif op != "const":
            is_mixed |= op in _ROOTS or (not is_below and op in _SUMS)
            if is_below:
                below[n] += 1
            else:
                above.add(n)
    return _Sides(above, below, is_mixed)


def _divided(powers: Powers, divisor: Powers) -> Powers:
    rest = {f: powers.get(f, _NONE) - e for f, e in divisor.items()}
    return {f: e for f, e in rest.items() if e}


def _over(g: Graph, left: Terms, powers: Powers) -> int:
    """The sum times the powers; a single term with them, so that its own factors meet them first."""
    if len(left) != 1:
        return _times_quotient(g, as_node(g, left), powers)
    ((monomial, number),) = left.items()
    met = {**powers}
    for factor, power in monomial:
        met[factor] = met.get(factor, _NONE) + power
    return _times_quotient(g, g.const(number), {f: e for f, e in met.items() if e})


def _times_quotient(g: Graph, left: int, powers: Powers) -> int:
    """left times the powers: what is divided by one after the other, so that no product of them overflows."""
    for factor, power in powers.items():
        for _ in range(int(power)):
            left = g.mul(factor, left)
        if power > 0 and power % 1:
            left = g.mul(g.node("pow", factor, g.const(power % 1)), left)
    for factor, power in powers.items():
        whole, part = divmod(-power, 1)
        if whole >= 2 and g.op[factor] == "hypot":
            square, whole = g.sum_of(g.mul(side, side) for side in g.args[factor]), whole - 2
            left = g.div(left, square)
        for _ in range(int(whole) if power < 0 else 0):
            left = g.div(left, factor)
        if power < 0 and part:
            left = g.div(left, g.node("pow", factor, g.const(part)))
    return left


# ---- products ----------------------------------------------------------------------------------


def powers_of(g: Graph, node: int) -> _Product | None:
    """A product as powers of its factors; a sum of squares is the square of a length, a root half a power."""

    def inside(n: int, is_above: bool) -> list[Factor] | None:
        op, args = g.op[n], g.args[n]
        if op not in _OVER_LENGTH or (op != "direction_cosine" and not _is_one(g, n)):
            return None  # an inversion of two sides is 0 at the origin
        over = g.node("square_difference", *args) if op == "double_cosine" else args[0]
        return [(over, is_above), *[(g.node("hypot", *args), not is_above)] * _OVER_LENGTH[op]]

    parts = product_of(g, node, _MOST_FACTORS, inside=inside)
    if parts is None:
        return None
    powers: Powers = {}
    for factors, sign in ((parts.above, 1), (parts.below, -1)):
        for n in factors:
            base, power = _base(g, n)
            powers[base] = powers.get(base, _NONE) + sign * power
    for n in [n for n in powers if g.op[n] == "sign"]:
        (x,) = g.args[n]
        if powers[n] == 1 and powers.get(x, _NONE) >= 1:  # x*sign(x) is |x|
            size = g.node("abs", x)
            powers |= {n: _NONE, x: powers[x] - 1, size: powers.get(size, _NONE) + 1}
    return _Product(parts.number, {n: e for n, e in powers.items() if e})


def _base(g: Graph, n: int) -> tuple[int, Fraction]:
    op, args = g.op[n], g.args[n]
    if op == "pow":
        q = g.rational(args[1])
        if q is not None:
            base, power = _base(g, args[0])
            return base, q * power
    if op == "add":
        x = root_of_square(g, args[0])
        y = None if x is None else root_of_square(g, args[1])
        if x is not None and y is not None and not (g.op[x] == "const" and g.op[y] == "const"):
            return g.node("hypot", x, y), Fraction(2)
    under = under_root(g, n)
    if under is not None and g.op[under] in _SUMS:
        return under, Fraction(1, 2)
    return n, Fraction(1)


# ---- sums --------------------------------------------------------------------------------------


def _sum_of_both(
    g: Graph, rest: Powers, number: Fraction, other: Powers, other_number: Fraction
) -> Terms | None:
    """The sum of two products multiplied out, without what cancels; None if nothing does."""
    sums = Sums(g)
    first = sums.multiplied_out(rest)
    second = None if first is None else sums.multiplied_out(other)
    if first is None or second is None:
        return None
    total = {term: number * times for term, times in first.items()}
    if not any(total.get(term, 0) * times * other_number < 0 for term, times in second.items()):
        return None
    for term, times in second.items():
        total[term] = total.get(term, _NONE) + other_number * times
    total = {term: times for term, times in total.items() if times}
    if len(total) > 1 and (_has_power_of_sum(g, rest) or _has_power_of_sum(g, other)):
        return None  # (x - y)**2 has more digits as it stands
    is_mixed = len({times > 0 for times in total.values()}) > 1
    if is_mixed and any(_may_cancel_itself(g, f) for f in (*rest, *other)):
        return None
    return total


def _has_power_of_sum(g: Graph, powers: Powers) -> bool:
    return any(e >= 2 and g.op[f] in _SUMS for f, e in powers.items())


class Sums:
    """Multiplies products of sums out, and remembers what the sums are made of."""

    def __init__(self, g: Graph) -> None:
        self.g = g
        self.known: dict[int, tuple[int, list[_Product | None]]] = {}

    def multiplied_out(self, powers: Powers) -> Terms | None:
        """A product of powers as a sum of products without sums in them; None if that is long."""
        done: Terms = {}
        stack: list[tuple[Powers, Fraction]] = [(powers, Fraction(1))]
        while stack:
            if len(stack) + len(done) > _MOST_EXPANDED:
                return None
            product, number = stack.pop()
            factor = next((f for f, e in product.items() if self._is_sum(f, e)), None)
            if factor is None:
                key = tuple(sorted(product.items()))
                done[key] = done.get(key, _NONE) + number
                continue
            power, terms = self._terms(factor)
            for term in terms:
                if term is None:
                    return None
                stack.append((_times(self.g, product, term.powers, factor, power), number * term.number))
        return {term: number for term, number in done.items() if number}

    def _is_sum(self, factor: int, power: Fraction) -> bool:
        op = self.g.op[factor]
        return power >= 2 if op == "hypot" else power >= 1 and op in _SUMS

    def _terms(self, factor: int) -> tuple[int, list[_Product | None]]:
        """(2 for a length and 1 for a sum, the terms of that power of the factor)."""
        if factor not in self.known:
            g, op = self.g, self.g.op[factor]
            if op in ("hypot", "square_difference"):
                sign = 1 if op == "hypot" else -1
                sides = [powers_of(g, side) for side in g.args[factor]]
                parts = [(s, side and side.squared()) for s, side in zip((1, sign), sides, strict=True)]
            else:
                signed = terms_of(g, factor)
                is_long = signed == [(1, factor)]
                parts = [(s, None if is_long else powers_of(g, term)) for s, term in signed]
            self.known[factor] = 2 if op == "hypot" else 1, [part and part.times(s) for s, part in parts]
        return self.known[factor]


def _times(g: Graph, product: Mapping[int, Fraction], term: Powers, factor: int, power: int) -> Powers:
    """product/factor**power*term; squares of |x| are squares of x."""
    made = dict(product)
    made[factor] -= power
    for f, e in term.items():
        made[f] = made.get(f, _NONE) + e
    for f in [f for f in made if g.op[f] == "abs" and made[f] >= 2]:
        (x,) = g.args[f]
        made |= {x: made.get(x, _NONE) + 2, f: made[f] - 2}
    return {f: e for f, e in made.items() if e}


def _is_polynomial(g: Graph, factor: int) -> bool:
    """Whether the terms of a sum are products without quotients and lengths."""
    terms = [powers_of(g, term) for _, term in terms_of(g, factor)]
    return all(t and all(e > 0 and g.op[n] != "hypot" for n, e in t.powers.items()) for t in terms)


def _may_cancel_itself(g: Graph, factor: int) -> bool:
    """Whether this is a sum with a negative term: multiplied out, it would lose what it is made to keep."""
    if g.op[factor] not in _SUMS:
        return g.op[factor] == "double_cosine"
    return any(sign < 0 or _is_negative(g, term) for sign, term in terms_of(g, factor))


def _has_quotient(g: Graph, n: int) -> bool:
    return g.op[n] in _SUMS and any(g.op[term] == "div" for _, term in terms_of(g, n))


def as_node(g: Graph, terms: Terms) -> int:
    """The sum, positive terms first."""
    total = g.zero
    for monomial, number in sorted(terms.items(), key=lambda item: item[1] < 0):
        above, below = g.one, g.one
        for factor, power in monomial:
            raised = factor if abs(power) == 1 else g.node("pow", factor, g.const(abs(power)))
            above, below = (g.mul(above, raised), below) if power > 0 else (above, g.mul(below, raised))
        product = g.mul(g.const(abs(number)), g.div(above, below))
        total = g.sub(total, product) if number < 0 else g.add(total, product)
    return total
