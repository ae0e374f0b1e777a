"""Roots of sums of squares: norms, which overflow or underflow long before their value does.

A root of two squares is `hypot` (`differences.py`). One of more, or of a sum over an axis, is op `norm`: the
root of the same sum of numbers that are divided by a power of two, which is 1 unless the plain sum overflows
or loses digits to underflow. Derivatives of all orders go through the numbers that are divided. Their sum
over an axis is computed only where it is needed: elsewhere the plain one is the same to the last digit.

Derivatives have the power for a factor, and its reciprocal: they cancel where they meet, and what is left is
multiplied last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.kinks import slope_of_abs_at_zero
from symgrad.ir.product import product_of
from symgrad.ir.rules import Args, among, rule
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import (
    MOST_FACTORS,
    factors_of,
    quotient_of,
    sum_of_signed,
    terms_of,
    without,
)
from symgrad.ir.stability.repeated_divisors import divided_once_less

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_NODES = 256  # of a sum of squares that is searched
_IN_SPACE = ((3e150, -4e150, 1e150), (3e-40, 1e-40, -1e-40), (1.0, 3.0, -0.5), (1e9, 1.0, 2.0))
_DEEP = 6  # levels of products and sums in which a mask is looked for


@stable(
    "sqrt",
    "x**2 overflows and underflows before its root does, and by the chain rule |x|'' is no 0",
    Audit(
        "sqrt(x**2 - 2*x*y + y**2)", "|x - y|", "factors in pairs, times a positive number", "Blue 1978",
        at_pairs((5e200, 3e200), (5e-200, -3e-200), (1 + 2.0**-40, 1.0), (-3.0, 0.5)),
    ),
    on=among("mul"),
)  # fmt: skip
def root_of_square_to_modulus(g: Graph, a: Args) -> int | None:
    parts = product_of(g, a[0], MOST_FACTORS) if g.op[a[0]] == "mul" else None
    if parts is None or parts.below or parts.number <= 0:
        return None
    if slope_of_abs_at_zero(g.kinks):
        return None  # that of a root of a square is 0 there, whatever the convention
    times = Counter(parts.above)
    moduli = [g.node("abs", x) for x, n in times.items() for _ in range(n // 2)]
    if not moduli:
        return None
    rest = quotient_of(g, [g.const(parts.number), *(x for x, n in times.items() if n % 2)], [])
    return quotient_of(g, [g.node("sqrt", rest), *moduli], [])


@stable(
    "sqrt",
    "a sum of squares overflows and underflows before its root does",
    Audit(
        "sqrt(Sum(v[i]**2, (i, 0, n - 1)))", "2**k*sqrt(Sum((v[i]/2**k)**2, ...)), k = 0 but at the ends",
        "one square or more than two, with positive factors; numbers beside a sum, not beside one per row",
        "Blue 1978",
        ({"v": (3e200, 4e200, 1e200)}, {"v": (3e-200, 4e-200, -1e-200)}, {"v": (0.5, 1.0, -2.0)}),
    ),
    on=among("add", "read", "mul", "div", "mask"),
)  # fmt: skip
def root_of_squares_to_norm(g: Graph, a: Args) -> int | None:
    s, squares = a[0], _Squares(g, a[0])
    scaled = squares.scaled(s)
    if scaled is None or not squares.has_square:
        return None
    if squares.has_number and squares.has_sum and g.axes[s]:
        return None  # a variance per row or column with a small number: twice the work of a layer
    guarded = _Squares(g, s, g.node("out_of_range", s)).scaled(s) if squares.has_sum else scaled
    return None if guarded is None else g.node("norm", guarded, s, scaled)


@stable(
    "sqrt",
    "a product of sums of squares overflows and underflows before its root does",
    Audit(
        "sqrt(Trace(A.T*A)*Trace((A + A.T).T*(A + A.T)))", "norm(A)*norm(A + A.T)",
        "several sums over axes, each of squares; numbers and sizes beside them", "Blue 1978",
        ({"A": ((3e120, 4e120), (1e120, 2e120))}, {"A": ((3e-120, 4e-120), (1e-120, 2e-120))},
         {"A": ((2.0, 1.0), (1.0, 3.0))}),
    ),
    on=among("mul", "div"),
    needs=("sum",),
)  # fmt: skip
def root_of_product_to_norms(g: Graph, a: Args) -> int | None:
    parts = product_of(g, a[0], MOST_FACTORS) if g.op[a[0]] in ("mul", "div") else None
    if parts is None or parts.number <= 0:
        return None
    sums = [f for f in parts.above if _Squares(g, f).is_sum(f)]
    others = [f for f in parts.above if f not in sums]
    if len(set(sums)) < max(2, len(sums)) or not all(is_weight(g, f) for f in (*others, *parts.below)):
        return None
    rest = quotient_of(g, [g.const(parts.number), *others], list(parts.below))
    return quotient_of(g, [g.node("sqrt", f) for f in (rest, *sums)], [])


@stable(
    "div",
    "a power of a sum of squares by halves overflows and underflows before a quotient by it does",
    Audit(
        "x/(x**2 + y**2 + z**2)**(3/2)", "x/h/h/h, h = sqrt(x**2 + y**2 + z**2)",
        "what `sqrt` makes a norm, to an odd power above 1; not of all pairs of rows", "Blue 1978",
        tuple(dict(zip("xyz", p, strict=True)) for p in _IN_SPACE),
    ),
    on=lambda ops: ops[1] in ("pow", "mul"),
    needs=("pow",),
)  # fmt: skip
def over_power_of_norm(g: Graph, a: Args) -> int | None:
    below = factors_of(g, a[1])
    for place, factor in enumerate(below):
        q = g.rational(g.args[factor][1]) if g.op[factor] == "pow" else None
        if q is None or q.denominator != 2 or not 1 < q <= MOST_FACTORS:
            continue
        if len(g.axes[factor]) > 1:
            continue  # over all pairs, of bodies, it would take half as much time again
        norm = g.node("sqrt", g.args[factor][0])
        if g.op[norm] != "norm":
            continue
        made = a[0]
        for length in [norm] * int(2 * q):  # one after the other: of derivatives nothing is squared
            made = g.div(made, length)
        return quotient_of(g, [made], without(below, place))
    return None


@stable(
    "sqrt",
    "a difference of squares overflows and underflows before its root does",
    Audit(
        "sqrt(x**2 - y**2)", "leg(x, y)", "two squares; not 1 - x**2, which does neither", "Blue 1978",
        at_pairs((5e200, 3e200), (5e-200, -3e-200), (1 + 2.0**-40, 1.0), (-3.0, 0.5)),
    ),
    on=among("square_difference"),
)  # fmt: skip
def root_of_difference_to_leg(g: Graph, a: Args) -> int | None:
    x, y = g.args[a[0]] if g.op[a[0]] == "square_difference" else (g.one, g.one)
    return None if g.op[x] == "const" else g.node("leg", x, y)


@rule("div", "a power of two over itself is 1", on=lambda ops: ops[1] == "scaled", needs=("scaled",))
def power_over_itself(g: Graph, a: Args) -> int | None:
    factors = factors_of(g, a[0])
    if not _is_power(g, a[1]) or a[1] not in factors:
        return None
    return quotient_of(g, without(factors, factors.index(a[1])), [])


@rule("mul", "a power of two beside its reciprocal is 1", on=among("scaled"), needs=("scaled",))
def power_beside_its_reciprocal(g: Graph, a: Args) -> int | None:
    for power, other in (a, a[::-1]):
        if _is_power(g, power) and g.op[other] in ("mul", "div"):
            less = divided_once_less(g, other, power)
            if less is not None:
                return less
    return None


@rule(
    "mask",
    "where a length is not 0, a mask that says so takes nothing away",
    on=among("mul", "add", "sub"),
    needs=("scaled",),
)
def mask_inside_mask(g: Graph, a: Args) -> int | None:
    """So that the terms of second derivatives meet, which cancel."""
    if g.op[a[0]] != "ne" or g.zero not in g.args[a[0]]:
        return None
    bare = _without_mask(g, a[0], a[1], _DEEP)
    return None if bare == a[1] else g.mask(a[0], bare)


def _without_mask(g: Graph, predicate: int, node: int, depth: int) -> int:
    """The factors and terms of a node without masks of this predicate."""
    op, args = g.op[node], g.args[node]
    if op == "mask":
        return int(args[1]) if args[0] == predicate else node
    if depth == 0 or op not in ("mul", "add", "sub"):
        return node
    bare = tuple(_without_mask(g, predicate, part, depth - 1) for part in args)
    return node if bare == args else g.node(op, *bare)


@rule(
    "mul",
    "a power of two is multiplied last, with what is of the size of the result",
    on=among("mul"),
    needs=("scaled",),
)
def power_outwards(g: Graph, a: Args) -> int | None:
    for product, other in (a, a[::-1]):
        if g.op[product] != "mul" or g.op[other] == "const" or _is_power(g, other):
            continue
        for power, rest in (g.args[product], g.args[product][::-1]):
            if _is_power(g, power):
                return g.mul(power, g.mul(other, rest))
    return None


def _is_power(g: Graph, n: int) -> bool:
    """Whether this is the power of two by which the sides of a norm are divided."""
    return g.op[n] == "scaled" and g.args[n][0] == g.one


def _may_divide_by_hypot(ops: Sequence[str]) -> bool:
    return ops[1] in ("hypot", "mul", "neg") and ops[0] in ("read", "mul", "neg", "sub", "add")


@stable(
    "div",
    "x/sqrt(x**2 + y**2) by the quotient rule cancels where x is far above y",
    Audit(
        "x/sqrt(x**2 + y**2)", "hypot_slope(x, y)", "a side over its hypot, numbers and entries as factors",
        "the direction cosine",
        at_pairs((1e9, 1.0), (5e200, 3e200), (5e-200, -3e-200), (-3.0, 0.5)),
    ),
    on=_may_divide_by_hypot,
    needs=("hypot",),
)  # fmt: skip
def side_by_hypot(g: Graph, a: Args) -> int | None:
    below = factors_of(g, a[1]) if _may_divide_by_hypot([g.op[part] for part in a]) else []
    place = next((k for k, f in enumerate(below) if g.op[f] == "hypot"), None)
    above = [] if place is None else factors_of(g, a[0])
    for k, x in enumerate(above):
        others = without(above, k)
        if place is None or x not in g.args[below[place]] or g.op[x] == "const":
            continue
        if all(g.op[f] in ("const", "read", "cast") for f in others):  # sin(r)/r is another matter
            first, second = g.args[below[place]]
            cosine = g.node("hypot_slope", x, second if x == first else first)
            return quotient_of(g, [*others, cosine], without(below, place))
    return None


@stable(
    "div",
    "x/|(x, y, z)| by the quotient rule, 1/h - x**2/h**3, cancels where x is nearly all of it",
    Audit(
        "x/sqrt(x**2 + y**2 + 1)", "norm_cosine(x, y**2 + 1, h), by x: (y**2 + 1)/h**3",
        "a side over a norm of a few, numbers and entries as factors", "the direction cosine",
        at_pairs((1e9, 1.0), (1e200, 3e150), (1e-9, 2.0), (-3.0, 0.5)),
    ),
    on=lambda ops: ops[1] in ("norm", "mul"),
    needs=("norm",),
)  # fmt: skip
def side_by_norm(g: Graph, a: Args) -> int | None:
    below = factors_of(g, a[1]) if g.op[a[1]] in ("norm", "mul") else []
    place = next((k for k, f in enumerate(below) if g.op[f] == "norm"), None)
    if place is None:
        return None
    r, s, t = g.args[below[place]]
    above, terms = factors_of(g, a[0]), terms_of(g, t)
    if r != t or len(terms) < 2:
        return None
    for k, x in enumerate(above):
        others, side = without(above, k), g.node("scaled", x, s)
        own = [term for _, term in terms if _is_square_of(g, term, side)]
        if len(own) == 1 and all(g.op[f] in ("const", "read", "cast") for f in others):
            rest = sum_of_signed(g, [(sign, term) for sign, term in terms if term != own[0]])
            cosine = g.node("norm_cosine", side, rest, g.node("sqrt", t))
            return quotient_of(g, [*others, cosine], without(below, place))
    return None


def _is_square_of(g: Graph, term: int, side: int) -> bool:
    """Whether a term is the square of a side, numbers aside."""
    return [f for f in factors_of(g, term) if g.rational(f) is None] == [side, side]


def is_weight(g: Graph, n: int) -> bool:
    """A number or a size, at least 0."""
    q = g.rational(n)
    is_size = g.op[n] == "cast" and g.op[g.args[n][0]] == "size"
    return is_size if q is None else q >= 0


class _Squares:
    """A sum of squares with every square divided by the square of one power of two.

    s      the sum under the root, which the power depends on.
    guard  a condition under which sums over axes are needed.
    left   how many nodes may still be looked at.
    """

    def __init__(self, g: Graph, s: int, guard: int | None = None) -> None:
        self.g, self.s, self.guard, self.left = g, s, guard, _MOST_NODES
        self.has_number = self.has_sum = self.has_square = False

    def scaled(self, node: int) -> int | None:
        """`node` over the square of the power; None if it is not made of squares only."""
        order, stack, parts = [], [node], {}
        while stack:
            n = stack.pop()
            self.left -= 1
            if self.left < 0:
                return None
            order.append(n)
            parts[n] = self._parts(n)
            stack += parts[n]
        done: dict[int, int] = {}
        for n in reversed(order):  # parts before wholes
            if n not in done:
                made = self._whole(n, parts[n], done) if parts[n] else self._part(n)
                if made is None:
                    return None
                done[n] = made
        return done[node]

    def is_sum(self, node: int) -> bool:
        """Whether this is a sum of squares over axes, as a norm is the root of."""
        g = self.g
        return g.op[node] == "read" and self.scaled(node) is not None and self.has_sum and self.has_square

    def _parts(self, n: int) -> list[int]:
        """The terms of a sum; what a positive factor, divisor or mask belongs to."""
        g, args = self.g, self.g.args[n]
        if g.op[n] == "add":
            return list(args)
        if g.op[n] == "mul" and args[0] != args[1]:
            return [y for x, y in (args, args[::-1]) if is_weight(g, x)][:1]
        if g.op[n] == "div" and is_weight(g, args[1]):
            return [args[0]]
        return [args[1]] if g.op[n] == "mask" else []

    def _whole(self, n: int, parts: list[int], done: dict[int, int]) -> int:
        g = self.g
        return g.node(g.op[n], *(done[x] if x in parts else x for x in g.args[n]))

    def _part(self, n: int) -> int | None:
        g, args = self.g, self.g.args[n]
        if g.op[n] == "mul" and args[0] == args[1]:
            if g.op[args[0]] == "scaled":
                return None  # it is in range
            self.has_square = True
            divided = g.node("scaled", args[0], self.s)
            return g.mul(divided, divided)
        q = g.rational(n)
        if q is not None and q >= 0:
            self.has_number = True
            return g.node("scaled", g.node("scaled", n, self.s), self.s)
        if g.op[n] == "read" and g.tensors[args[0]].kind == "sum":
            self.has_sum = True
            return self._sum(n)
        return None

    def _sum(self, read: int) -> int | None:
        """A sum over axes, with the power inside: nested as deep as sums are, at most as `left` says."""
        g, tensor = self.g, self.g.tensors[self.g.args[read][0]]
        red = {r: g.fresh_axis(g.extent(r)) for r in tensor.red}
        places = dict(zip(tensor.out, g.args[read][1:], strict=True))
        body = self.scaled(g.substitute(tensor.body, {**red, **places}))
        if body is None:
            return None
        body = body if self.guard is None else g.mask(self.guard, body)
        axes = tuple(red.values())
        out = g.first_occurrence(body, g.axes[body] - frozenset(axes))
        return g.read(g.define("sum", out, axes, body), *out)
