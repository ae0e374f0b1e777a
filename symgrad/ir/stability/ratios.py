"""Forms in x and y over x**2 + y**2, and their logarithms.

A form in two sides over powers of x**2 + y**2 is one in the direction cosines x/h and y/h, of size 1, over
what is left of the powers of h = hypot(x, y): nothing on the way leaves the range of numbers, and the cosines
have derivatives of their own, in which nothing cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.composites.hypot import over_length
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.patterns import (
    MOST_FACTORS,
    factors_of,
    quotient_of,
    remove,
    root_of_square,
    terms_of,
    without,
)
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_NODES = 64  # of a factor that is searched for the length it stands beside


# ---- forms in two sides ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Length:
    """What is divided by: hypot(*sides), `power` times, and others."""

    sides: tuple[int, int]
    power: int
    others: tuple[int, ...]

    def cosine(self, g: Graph, k: int) -> int:
        return g.node("direction_cosine", self.sides[k], self.sides[1 - k])


def _may_be_over_squares(ops: Sequence[str]) -> bool:
    return ops[1] in ("add", "mul", "pow", "hypot")


@stable(
    "div",
    "x**2 + y**2 overflows and underflows before a quotient by it does",
    Audit(
        "x*y/(x**2 + y**2)", "(x/h)*(y/h), h = hypot(x, y)",
        "two squares, and powers of them by halves; beside 1 + x**2, x is a factor above", "Blue 1978",
        at_pairs((3e200, 4e200), (3e-200, -4e-200), (1e9, 1.0), (1e-130, 1e-100), (0.3, 0.4)),
    ),
    on=_may_be_over_squares,
)  # fmt: skip
def form_over_two_squares(g: Graph, a: Args) -> int | None:
    length = _length(g, a[1]) if _may_be_over_squares([g.op[part] for part in a]) else None
    if length is None:
        return None
    signed = terms_of(g, a[0])
    forms = [_form(g, length, term) for _, term in signed] if len(signed) > 1 else []
    if not forms or any(form is None or form[1] for form in forms):  # not a form of their degree
        signed, forms = [(1, a[0])], [_form(g, length, a[0])]
    total = g.zero
    for (sign, _), form in zip(signed, forms, strict=True):
        if form is None:
            return None
        value, left = form
        for _ in range(left):
            value = over_length(g, value, length.sides)
        total = g.add(total, value) if sign > 0 else g.sub(total, value)
    for factor in length.others:
        total = g.div(total, factor)
    return total


@stable(
    "mul",
    "powers of 1/sqrt(1 + x**2) underflow before x times them does",
    Audit(
        "sqrt(1 + x**2)*atan(x)", "of derivatives: inversion(x, 1) for x*(1/h)*(1/h), h = hypot(x, 1)",
        "a side or the length beside the cosine that 1/h is; x/h beside one", "Blue 1978",
        at(1e-6, 0.5, 1e9, 1e100),
    ),
    on=among("mul", "direction_cosine"),
    needs=("direction_cosine",),
)  # fmt: skip
def side_beside_cosine_of_one(g: Graph, a: Args) -> int | None:
    for product, other in (a, a[::-1]):
        if not _may_have_cosine(g, product):
            continue
        own = factors_of(g, product)
        cosines = [f for f in own if g.op[f] == "direction_cosine" and g.args[f][0] == g.one]
        factors = factors_of(g, other) if cosines else []
        for f in cosines:
            side, others = g.args[f][1], without(own, own.index(f))
            lengths = [h for h in factors if g.op[h] == "hypot" and {*g.args[h]} == {side, g.one}]
            if lengths:
                left = [*others, *remove(factors, lengths[:1])[0]]
                power = g.integer_power(f, left.count(f))  # as the chain rule has it in other terms
                return quotient_of(g, [*(n for n in left if n != f), power], [])
            if side in factors:
                rest, _ = remove(factors, [side])
                op = "inversion" if f in others else "direction_cosine"
                others, _ = remove(others, [f] if f in others else [])
                return quotient_of(g, [*others, *rest, g.node(op, side, g.one)], [])
    return None


def _may_have_cosine(g: Graph, node: int) -> bool:
    """Whether one is a factor, or one of a factor: others are not looked for, in products of anything."""
    if g.op[node] == "mul":
        ops = [g.op[f] for f in g.args[node]]
        return "direction_cosine" in ops or any(
            g.op[f] == "direction_cosine" for x in g.args[node] if g.op[x] == "mul" for f in g.args[x]
        )
    return g.op[node] == "direction_cosine"


@stable(
    "log",
    "x**2 + y**2 overflows and underflows before its logarithm does",
    Audit(
        "log(x**2 + y**2)", "log_squares(x, y)", "two squares; not 1 + x**2", "Blue 1978",
        at_pairs((3e200, 4e200), (3e-200, -4e-200), (1e9, 1.0), (1e-310, 1e-200), (0.3, 0.4)),
    ),
    on=among("add"),
)  # fmt: skip
def log_of_two_squares(g: Graph, a: Args) -> int | None:
    found = _power_of_length(g, a[0]) if g.op[a[0]] == "add" else None
    if found is None or any(g.op[side] == "const" for side in found[0]):
        return None
    return g.node("log_squares", *found[0])


def _length(g: Graph, divisor: int) -> _Length | None:
    """The length among the factors of a divisor; None where none is divided by at least twice."""
    sides: tuple[int, int] | None = None
    power, others = 0, []
    for factor in factors_of(g, divisor):
        found = _power_of_length(g, factor)
        if found is None or sides not in (None, found[0]):
            others.append(factor)
        else:
            sides = found[0]
            power += found[1]
    return None if sides is None or power < 2 else _Length(sides, power, tuple(others))


def _power_of_length(g: Graph, node: int) -> tuple[tuple[int, int], int] | None:
    """(sides, k) if the node is hypot(*sides)**k."""
    op, args = g.op[node], g.args[node]
    if op == "hypot":
        return (args[0], args[1]), 1
    if op == "pow":
        q, found = g.rational(args[1]), _power_of_length(g, args[0])
        k = None if q is None or found is None else q * found[1]
        is_whole = k is not None and k.denominator == 1 and 0 < k <= MOST_FACTORS
        return (found[0], int(k)) if found is not None and k is not None and is_whole else None
    if op != "add":
        return None
    x = root_of_square(g, args[0])
    y = None if x is None else root_of_square(g, args[1])
    if x is None or y is None or (g.op[x] == "const" and g.op[y] == "const"):
        return None
    first, second = g.args[g.node("hypot", x, y)]
    return (first, second), 2


def _form(g: Graph, length: _Length, node: int) -> tuple[int, int] | None:
    """(a product over some of the powers of the length, how many are left)."""
    factors = _factors_with_sides(g, node, length.sides)
    value, factors, left = _altitudes(g, length, factors)
    rest, count = [], int(left < length.power)
    for factor in factors:
        cosine = _over_length(g, length, factor) if left else None
        if cosine is not None and cosine[1] <= left:
            value, left, count = g.mul(value, cosine[0]), left - cosine[1], count + 1
        else:
            rest.append(factor)
    is_beside_number = any(g.op[side] == "const" for side in length.sides)
    linear = [factor for factor in rest if _is_linear(g, length, factor)]
    if (is_beside_number and not count) or len(linear) > (not count):
        return None
    if any(_holds(g, length, factor) for factor in rest if factor not in linear):
        return None
    for factor in rest:
        value = g.mul(factor, value)
    return value, left


def _altitudes(g: Graph, length: _Length, factors: list[int]) -> tuple[int, list[int], int]:
    """x*y/h for pairs of both sides, as many as there are more sides than powers; what is left of both."""
    x, y = length.sides
    more = factors.count(x) + factors.count(y) - length.power
    pairs = max(0, min(more, factors.count(x), factors.count(y), length.power))
    altitude = g.node("altitude", x, y) if pairs else g.one
    rest, _ = remove(factors, [x, y] * pairs)
    return g.integer_power(altitude, pairs), rest, length.power - pairs


def _factors_with_sides(g: Graph, node: int, sides: tuple[int, int]) -> list[int]:
    """The factors of a product; a side that is a product itself is one: y**2 in y**4/(x**4 + y**4)."""
    for side in sides:
        if g.op[side] == "mul":
            factors, rest, found = factors_of(g, node), factors_of(g, side), list[int]()
            while len(rest) > 1:
                left, missing = remove(factors, rest)
                if missing:
                    break
                factors, found = left, [*found, side]
            if found:
                return [*found, *factors]
    return factors_of(g, node)


def _over_length(g: Graph, length: _Length, factor: int) -> tuple[int, int] | None:
    """(factor/length**k, k) for a side, a multiple of which may be meant, and a difference of the squares."""
    if g.op[factor] == "square_difference" and set(g.args[factor]) == set(length.sides):
        return g.node("double_cosine", *g.args[factor]), 2
    for k, side in enumerate(length.sides):
        number, base = _multiple(g, side)
        if base == factor:
            return g.mul(g.const(1 / number), length.cosine(g, k)), 1
    return None


def _multiple(g: Graph, side: int) -> tuple[Fraction, int]:
    """(c, x) if a side is c*x for a rational number c."""
    if g.op[side] == "mul":
        c = g.rational(g.args[side][0])
        if c:
            return c, int(g.args[side][1])
    return Fraction(1), side


def _is_linear(g: Graph, length: _Length, node: int) -> bool:
    """A sum of multiples of the sides and of nothing else."""
    if g.op[node] not in ("add", "sub"):
        return False
    bases = {_multiple(g, side)[1] for side in length.sides}
    return all(_multiple(g, term)[1] in bases for _, term in terms_of(g, node))


def _holds(g: Graph, length: _Length, root: int) -> bool:
    """Whether a factor is a function of the length, or a sum that grows with the sides."""
    bases = {_multiple(g, side)[1] for side in length.sides if g.op[side] != "const"}
    is_sum = g.op[root] in ("add", "sub", "square_difference")
    seen, stack = set[int](), [root]
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if len(seen) > _MOST_NODES or (is_sum and n in bases):
            return True
        found = _power_of_length(g, n) if g.op[n] in ("add", "hypot") else None
        if found is not None and found[0] == length.sides:
            return True
        stack += g.children(n)
    return False
