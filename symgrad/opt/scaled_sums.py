"""Sums with squares, and the same sums of sides that are multiplied with a power of two.

The power is 1 wherever the sum is in range. Squares may be added up over axes: such a sum has a second one,
of scaled squares, which is computed only where the first one is out of range.

Source: Blue 1978, A portable Fortran program to find the Euclidean norm of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from symgrad.ir.composites.norm import by_range, power_of_two, root_in_range
from symgrad.ir.graph import Graph, Node
from symgrad.ir.signs import is_never_negative
from symgrad.records import dataclass

_MOST_NODES = 48  # of a sum that is searched
_DEEP = 4  # levels of a side that is compared
BOUNDED = frozenset(
    ("sin", "cos", "tanh", "atan", "asin", "acos", "erf", "logistic", "sech", "log", "log1p", "asinh",
     "hypot_slope", "direction_cosine", "norm_cosine", "share", "scaled")
)  # fmt: skip
_TAKEN_APART = ("add", "sub", "neg", "mul", "div")
Form = Any  # of a side: the same for all elements of an array
Wanted = Mapping["Scaled", int]  # how often something is multiplied by the scale of a sum


class Powers(NamedTuple):
    """log2 of the scale of a sum `above` which multiples of it overflow, and `below` which it loses digits.

    The sum of up to 2^16 scaled squares, in single precision of 2^6, is in range for all numbers, and no less
    than 2^-24 if it was large.
    """

    down: int
    up: int
    above: int
    below: int


SINGLE, DOUBLE = Powers(-67, 86, 120, -96), Powers(-520, 600, 1016, -960)


def by_precision(g: Graph, double: Fraction | float, single: Fraction | float) -> Node:
    """A number for double precision, or one for single precision, where 2^1000 is infinite."""
    is_single = g.node("eq", g.const(2**1000), g.const(float("inf")))
    return g.where(is_single, g.const(single), g.const(double))


# ---- what a sum is made of ---------------------------------------------------------------------


def form_of(g: Graph, n: Node, deep: int = _DEEP) -> Form:
    """What two elements of one array have in common; the node itself where there is no axis."""
    if g.op[n] == "read" and len(g.args[n]) > 1:
        return "read", g.args[n][0]
    if not g.axes[n] or deep == 0 or g.op[n] not in ("add", "sub", "mul", "div", "neg"):
        return n
    return g.op[n], *(form_of(g, part, deep - 1) for part in g.args[n])


def is_sum(g: Graph, n: Node) -> bool:
    """Whether this is a sum over axes: one number, or one per row; of all pairs of rows two would be dear."""
    return bool(g.op[n] == "read" and len(g.axes[n]) <= 1 and g.tensors[g.args[n][0]].kind == "sum")


def length_of(g: Graph, n: Node) -> Node | None:
    """The norm of a sum over an axis that a divisor is, or is but for its power of two."""
    norm = g.args[n][0] if g.op[n] == "scaled_norm" else n
    return norm if g.op[norm] == "norm" and g.args[norm][0] != g.args[norm][2] else None


def sides_of(g: Graph, s: Node) -> frozenset[Form]:
    """The forms of what is squared in a sum; nothing if it is too long to be searched."""
    found, stack, left = set[Form](), [s], _MOST_NODES
    while stack:
        left -= 1
        if left < 0:
            return frozenset()
        n = stack.pop()
        op, args = g.op[n], g.args[n]
        if op in ("add", "sub", "neg"):
            stack += args
        elif op == "mul":
            if args[0] == args[1] and g.op[args[0]] not in BOUNDED:
                found.add(form_of(g, args[0]))
            elif args[0] != args[1]:
                stack += [a for a in args if g.op[a] == "mul" or is_sum(g, a)]
        elif op == "div":
            stack.append(args[0])
        elif is_sum(g, n):
            stack.append(g.tensors[args[0]].body)
    return frozenset(found)


def degree_of(g: Graph, n: Node, sides: frozenset[Form], left: int = _MOST_NODES) -> int:
    """How many sides the terms of this have for factors, at most."""
    op, args = g.op[n], g.args[n]
    if form_of(g, n) in sides:
        return 1
    if left <= 0 or op not in (*_TAKEN_APART, "read"):
        return 0
    if op == "read":
        return degree_of(g, g.tensors[args[0]].body, sides, left // 2) if is_sum(g, n) else 0
    if op == "div":
        return degree_of(g, args[0], sides, left - 1)
    degrees = [degree_of(g, part, sides, left // 2) for part in args]
    return sum(degrees) if op == "mul" else max(degrees)


def has_number(g: Graph, s: Node) -> bool:
    """Whether a sum has a positive number for a term, which no sum of squares that matters is far below."""
    stack = [s]
    while stack:
        n = stack.pop()
        if g.op[n] == "add":
            stack += g.args[n]
        elif (q := g.rational(n)) and q > 0:
            return True
    return False


# ---- the scaled sum ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Scaled:
    """A sum s of squares, or its root, with its sides multiplied by a power of two.

    degree  2 for a sum, 1 for a root
    sides   the forms of what is squared
    scale   1, or the power where s has overflowed, and where it has underflowed
    up, down  it where s has underflowed, and where it has overflowed, else 1
    is_out  where it is not 1
    over, under  where s has overflowed, and underflowed if that matters
    """

    sum: Node
    degree: int
    has_number: bool
    sides: frozenset[Form]
    scale: Node
    up: Node
    down: Node
    is_out: Node
    over: Node
    under: Node | None = None


def scaled_sum(g: Graph, s: Node, may_underflow: bool = True) -> Scaled:
    """A sum, out of range where it is above a power of two, or below one and that matters."""

    def power(which: int) -> Node:
        return by_precision(g, Fraction(2) ** DOUBLE[which], Fraction(2) ** SINGLE[which])

    over = g.node("lt", power(2), s)
    is_apart, sides = has_number(g, s), sides_of(g, s)
    if is_apart or not may_underflow or not is_never_negative(g, s):
        down = g.where(over, power(0), g.one)
        return Scaled(s, 2, is_apart, sides, down, g.one, down, over, over)
    under = g.node("lt", s, power(3))
    up, down = g.where(under, power(1), g.one), g.where(over, power(0), g.one)
    scale = g.where(over, power(0), up)
    return Scaled(s, 2, False, sides, scale, up, down, g.node("or", over, under), over, under)


def scaled_length(g: Graph, norm: Node) -> Scaled:
    """A norm, with the power of its own sides."""
    s = g.args[norm][1]
    is_out = g.node("out_of_range", s)
    small, large = power_of_two(g, 0, -1), power_of_two(g, 0)
    scale, up, down = (by_range(g, s, *p, g.one) for p in ((small, large), (g.one, large), (small, g.one)))
    return Scaled(norm, 1, has_number(g, s), sides_of(g, s), scale, up, down, is_out, is_out, None)


def total_of(g: Graph, scaled: Scaled) -> Node:
    """The sum of the scaled squares, or its root."""
    if scaled.degree == 2:
        return scaled_by(g, scaled.sum, {scaled: 2})
    r, s, _ = g.args[scaled.sum]
    return root_in_range(g, r, s)


def times(g: Graph, n: Node, power: Node, count: int = 1) -> Node:
    """One after the other, without any rule: the product of powers would be out of range."""
    for _ in range(count if power != g.one else 0):
        n = power if n == g.one else g.intern("mul", (n, power))
    return n


def scaled_by(g: Graph, n: Node, wanted: Wanted) -> Node:
    """n times the scales of sums, each so many times; inside of sums, sides are what they are beside."""
    wanted = {scaled: degree for scaled, degree in wanted.items() if degree}
    op, args = g.op[n], g.args[n]
    is_side = any(form_of(g, n) in scaled.sides for scaled in wanted)
    if not wanted or is_side or not (op in _TAKEN_APART or is_sum(g, n)):
        for scaled, degree in wanted.items():
            n = times(g, n, scaled.scale, degree)
        return n
    if op == "mul":
        return g.intern("mul", tuple(scaled_by(g, *part) for part in _shared_out(g, args, wanted)))
    if op == "div":
        return g.intern("div", (scaled_by(g, args[0], wanted), args[1]))
    if op == "read":
        return _scaled_sum(g, n, wanted)
    return g.intern(op, tuple(scaled_by(g, part, wanted) for part in args))


def _shared_out(g: Graph, args: tuple[Node, ...], wanted: Wanted) -> list[tuple[Node, Wanted]]:
    """Which factor of a product takes which scales: its sides first, then any that is no number."""
    first, second = dict[Scaled, int](), dict[Scaled, int]()
    for scaled, degree in wanted.items():
        has = [degree_of(g, n, scaled.sides) for n in args]
        first[scaled] = min(has[0], degree // 2 if args[0] == args[1] else degree)
        second[scaled] = min(has[1], degree - first[scaled])
        left = degree - first[scaled] - second[scaled]
        is_number = [g.op[n] in ("const", "cast") for n in args]
        fair = (left + (first[scaled] <= second[scaled])) // 2
        to_first = 0 if is_number[0] else left if is_number[1] else fair
        first[scaled] += to_first
        second[scaled] += left - to_first
    return [(args[0], first), (args[1], second)]


def _scaled_sum(g: Graph, read: Node, wanted: Wanted) -> Node:
    """A sum over axes of scaled terms where a scale is not 1, that of the plain ones elsewhere."""
    tensor = g.tensors[g.args[read][0]]
    red = {r: g.fresh_axis(g.extent(r)) for r in tensor.red}
    places = dict(zip(tensor.out, g.args[read][1:], strict=True))
    is_out, *others = (scaled.is_out for scaled in wanted)
    for other in others:
        is_out = g.node("or", is_out, other)
    body = g.mask(is_out, scaled_by(g, g.substitute(tensor.body, {**red, **places}), wanted))
    axes = tuple(red.values())
    out = g.first_occurrence(body, g.axes[body] - frozenset(axes))
    return g.where(is_out, g.read(g.define("sum", out, axes, body), *out), read)
