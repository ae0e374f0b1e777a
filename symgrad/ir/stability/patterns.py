"""What the stability rules look for: terms, factors, squares, exponents. All take constant time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, TypeVar

from symgrad.ir.product import powers_in
from symgrad.ir.signs import is_never_negative

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Item = TypeVar("Item")

MOST_FACTORS = 8  # a product is searched this far
MOST_TERMS = 8  # and a sum
MOST_SCORES = 64  # and a sum of exponentials
LOGARITHM_IN = {"xlogy": "log", "xlog1py": "log1p"}  # products with a logarithm
ODD = frozenset(("sin", "tan", "sinh", "tanh", "asin", "atan", "asinh", "atanh", "erf"))
PRODUCTS = ("mul", "neg", *LOGARITHM_IN)  # what `factors_of` takes apart


def factors_of(g: Graph, node: int) -> list[int]:
    """The factors of a product (-1 for a sign); a product of more than a few is one factor."""
    ops, args = g.op, g.args
    if ops[node] not in PRODUCTS:
        return [node]
    if ops[node] == "mul" and ops[args[node][0]] not in PRODUCTS and ops[args[node][1]] not in PRODUCTS:
        return list(args[node])
    factors: list[int] = []
    stack = [node]
    while stack and len(stack) + len(factors) <= MOST_FACTORS:
        part = stack.pop()
        op = ops[part]
        if op == "mul":
            first, second = args[part]
            stack += (second, first)
        elif op == "neg":
            stack += (g.minus_one, args[part][0])
        elif op in LOGARITHM_IN:
            x, y = args[part]
            stack += (g.node(LOGARITHM_IN[op], y), x)
        else:
            factors.append(part)
    return [node] if stack else factors


def above_and_below(g: Graph, node: int) -> tuple[list[int], list[int]]:
    """The factors above and below, of a product with quotients for factors."""
    above: list[int] = []
    below: list[int] = []
    for factor in factors_of(g, node):
        is_quotient = g.op[factor] == "div"
        above += factors_of(g, g.args[factor][0]) if is_quotient else [factor]
        below += factors_of(g, g.args[factor][1]) if is_quotient else []
    return above, below


def all_factors(g: Graph, node: int) -> tuple[list[int], list[int]]:
    """The factors above and below, of products and quotients of each other; of more than a few one above."""
    above: list[int] = []
    below: list[int] = []
    stack = [node]
    while stack and len(above) + len(below) <= 2 * MOST_FACTORS:
        for factor in factors_of(g, stack.pop()):
            if g.op[factor] == "div":
                stack.append(g.args[factor][0])
                below += factors_of(g, g.args[factor][1])
            else:
                above.append(factor)
    return ([node], []) if stack else (above, below)


def in_powers_of(g: Graph, root: int, factors: list[int]) -> list[int]:
    """The factors with root*root for what is under a square root, and so for its powers by halves."""
    under = under_root(g, root)
    if under is None and g.op[root] != "hypot":
        return factors
    square = g.sum_of(g.mul(x, x) for x in g.args[root]) if under is None else under
    found: list[int] = []
    for factor in factors:
        base, q = (
            (g.args[factor][0], g.rational(g.args[factor][1])) if g.op[factor] == "pow" else (factor, None)
        )
        times = 2 if q is None else 2 * q
        is_power = base == square and times > 0 and times.denominator == 1 and times <= MOST_FACTORS
        found += [root] * int(times) if is_power else [factor]
    return found


def under_root(g: Graph, node: int) -> int | None:
    """s if `node` is sqrt(s), also one that is computed as a norm."""
    if g.op[node] == "leg":
        return g.node("square_difference", *g.args[node])
    place = {"sqrt": 0, "norm": 1}.get(g.op[node])
    return None if place is None else int(g.args[node][place])


def quotient_of(g: Graph, above: list[int], below: list[int]) -> int:
    """The product of one list divided by the product of the other."""
    numerator, denominator = g.one, g.one
    for factor in above:
        numerator = g.mul(numerator, factor)
    for factor in below:
        denominator = g.mul(denominator, factor)
    return g.div(numerator, denominator)


def without(items: list[int], place: int) -> list[int]:
    return items[:place] + items[place + 1 :]


def remove(items: list[Item], unwanted: list[Item]) -> tuple[list[Item], list[Item]]:
    """What is left of both lists when what they have in common is taken out of each."""
    left, rest = list(items), []
    for item in unwanted:
        if item in left:
            left.remove(item)
        else:
            rest.append(item)
    return left, rest


def terms_of(g: Graph, node: int, most: int = MOST_TERMS) -> list[tuple[int, int]]:
    """The (sign, term) of a sum; a sum of more than `most` terms is one term."""
    terms: list[tuple[int, int]] = []
    stack = [(1, node)]
    while stack and len(stack) + len(terms) <= most:
        sign, part = stack.pop()
        op, args = g.op[part], g.args[part]
        if op == "neg":
            stack.append((-sign, args[0]))
        elif op in ("add", "sub"):
            stack += [(-sign if op == "sub" else sign, args[1]), (sign, args[0])]
        else:
            terms.append((sign, part))
    return [(1, node)] if stack else terms


def common_terms(g: Graph, x: int, y: int) -> tuple[int, int, int] | None:
    """c, u and v with x = c + u and y = c + v; None if they have no term in common."""
    first, second = terms_of(g, x), terms_of(g, y)
    if len(first) + len(second) < 3:
        return None
    left, right = remove(first, second)
    common, _ = remove(first, left)
    if not common:
        return None
    return sum_of_signed(g, common), sum_of_signed(g, left), sum_of_signed(g, right)


def conditions_of(g: Graph, predicate: int) -> list[int]:
    """The parts of a conjunction; one of more than a few is one part."""
    parts: list[int] = []
    stack = [predicate]
    while stack and len(stack) + len(parts) <= MOST_TERMS:
        part = stack.pop()
        if g.op[part] == "and":
            stack += g.args[part][::-1]
        else:
            parts.append(part)
    return [predicate] if stack else parts


def sum_of_signed(g: Graph, terms: list[tuple[int, int]]) -> int:
    total = g.zero
    for sign, term in terms:
        total = g.add(total, term) if sign > 0 else g.sub(total, term)
    return total


def argument_of(g: Graph, op: str, node: int) -> int | None:
    """x if `node` is op(x)."""
    return int(g.args[node][0]) if g.op[node] == op else None


def exponent_of(g: Graph, node: int) -> int | None:
    return argument_of(g, "exp", node)


def beside_one(g: Graph, node: int) -> int | None:
    """x if `node` is 1 + x; 1 - x counts, and 1 + x + y where x and y are never negative."""
    if g.op[node] == "sub" and g.args[node][0] == g.one:
        return g.neg(g.args[node][1])
    rest = one_plus(g, node)
    if rest is not None or g.op[node] != "add":
        return rest
    terms = terms_of(g, node)
    others = [term for sign, term in terms if sign > 0 and term != g.one]
    if len(others) != len(terms) - 1 or not all(is_never_negative(g, term) for term in others):
        return None
    return g.sum_of(others)


def one_minus_square(g: Graph, node: int) -> int | None:
    """x if `node` is 1 - x**2."""
    is_one = g.op[node] == "square_difference" and g.args[node][0] == g.one
    return int(g.args[node][1]) if is_one else None


def one_plus(g: Graph, node: int) -> int | None:
    """x if `node` is 1 + x."""
    if g.op[node] != "add":
        return None
    a, b = g.arguments[node]
    if a == g.one:
        return b
    return a if b == g.one else None


def numbered(g: Graph, node: int) -> tuple[Fraction, int]:
    """(q, x) of q*x for a rational number q."""
    if g.op[node] == "neg":
        return Fraction(-1), int(g.args[node][0])
    if g.op[node] == "mul" and (q := g.rational(g.args[node][0])):
        return q, int(g.args[node][1])
    return Fraction(1), node


def multiple_of(g: Graph, x: int, z: int) -> Fraction | None:
    """q if x is q*z for a rational number q; sums are compared term by term, also above a divisor."""
    if x == z:
        return Fraction(1)
    first, second = linear_terms(g, x), linear_terms(g, z)
    if not second or first.keys() != second.keys():
        return None
    ratios = {first[k] / second[k] for k in second}
    return ratios.pop() if len(ratios) == 1 else None


def linear_terms(g: Graph, node: int) -> dict[tuple[int, ...], Fraction]:
    """A sum as multiples of its terms: {(term, divisors): number}."""
    found: dict[tuple[int, ...], Fraction] = {}
    stack: list[tuple[Fraction, int, tuple[int, ...]]] = [(Fraction(1), node, ())]
    while stack:
        if len(stack) + len(found) > MOST_FACTORS:
            return {(node,): Fraction(1)}
        number, n, below = stack.pop()
        op, args = g.op[n], g.args[n]
        if op in ("add", "sub"):
            stack += [(number, args[0], below), (number if op == "add" else -number, args[1], below)]
        elif op == "neg":
            stack.append((-number, args[0], below))
        elif op == "mul" and (q := g.rational(args[0])):
            stack.append((number * q, args[1], below))
        elif op == "div":
            stack.append((number, args[0], (*below, args[1])))
        else:
            q = g.rational(n)
            key = (n if q is None else g.one, *sorted(below))
            found[key] = found.get(key, Fraction(0)) + (number if q is None else number * q)
    return {key: number for key, number in found.items() if number}


def powers_of(g: Graph, nodes: Sequence[int]) -> tuple[Fraction, dict[int, int]] | None:
    """The number before a product of these, and the whole powers in it; None if one has many factors."""
    number, powers = Fraction(1), dict[int, int]()
    for node in nodes:
        parts = powers_in(g, node, MOST_FACTORS)
        if parts is None:
            return None
        number *= parts[0]
        for x, e in parts[1].items():
            powers[x] = powers.get(x, 0) + e
    return number, {x: e for x, e in powers.items() if e}


def product_of_powers(g: Graph, number: Fraction, powers: Mapping[int, int]) -> int:
    """The product of whole powers and a number."""
    above = [g.integer_power(x, e) for x, e in powers.items() if e > 0]
    below = [g.integer_power(x, -e) for x, e in powers.items() if e < 0]
    return g.mul(g.const(number), quotient_of(g, above, below))


def root_of_square(g: Graph, node: int) -> int | None:
    """x if `node` is x*x, or the square of a rational number x, or the product of two such squares."""
    op = g.op[node]
    if op == "mul":
        a, b = g.args[node]
        if a == b:
            return int(a)
        if g.op[b] != "mul":
            return None
        if g.op[a] == "const":
            number, rest = _rational_root(g, a), g.args[b]
            return g.mul(number, rest[0]) if number is not None and rest[0] == rest[1] else None
        x, y = (root_of_square(g, factor) for factor in (a, b))
        return None if x is None or y is None else g.mul(x, y)
    if op == "cast":
        return _root_of_size(g, g.args[node][0])
    return _rational_root(g, node)


def _root_of_size(g: Graph, node: int) -> int | None:
    """n as a number if `node` is the integer n*n, a product of sizes."""
    factors = g.factors(node)
    if len(factors) % 2 or factors[::2] != factors[1::2]:
        return None
    root = g.one
    for factor in factors[::2]:
        root = g.imul(root, factor)
    return g.cast(root)


def _rational_root(g: Graph, node: int) -> int | None:
    q = g.rational(node)
    if q is None or q <= 0:
        return None
    n, d = isqrt(q.numerator), isqrt(q.denominator)
    return g.const(Fraction(n, d)) if n * n == q.numerator and d * d == q.denominator else None


def difference_of(g: Graph, a: int, b: int) -> int:
    """a - b, a common factor or divisor outside: what is large and cancels is not rounded first."""
    for op in ("mul", "div"):
        if g.op[a] == op == g.op[b]:
            (p, q), (r, s) = g.args[a], g.args[b]
            if op == "mul" and p == r:
                return g.mul(p, g.sub(q, s))
            if q == s:
                inner = g.sub(p, r)
                return g.mul(inner, q) if op == "mul" else g.div(inner, q)
    if g.op[a] == "neg" == g.op[b]:
        return difference_of(g, g.args[b][0], g.args[a][0])
    return g.sub(a, b)


def negatives(g: Graph, x: int) -> tuple[int, ...]:
    """How -x may be written."""
    return g.neg(x), *((g.div(g.neg(g.args[x][0]), g.args[x][1]),) if g.op[x] == "div" else ())


def signed_factors(g: Graph, node: int) -> list[int]:
    """The factors, each x - y in one order, x + (-1) as x - 1; x^2 - y^2 is (x - y)*(x + y)."""
    found: list[int] = []
    for factor in factors_of(g, node):
        if g.op[factor] == "add":
            x, y = g.args[factor]
            numbers = [(part, q) for part, c in ((x, y), (y, x)) if (q := g.rational(c)) is not None]
            factor = next((g.sub(part, g.const(-q)) for part, q in numbers if q < 0), factor)
        if g.op[factor] == "sub" and not g.is_ordered(*g.args[factor]):
            found += [g.minus_one, g.neg(factor)]
        elif g.op[factor] == "square_difference" and g.one not in g.args[factor]:
            x, y = g.args[factor]
            found += [*signed_factors(g, difference_of(g, x, y)), g.add(x, y)]
        else:
            found.append(factor)
    return found
