"""Inverse cosines next to 1, inverse tangents next to pi/2, angles, logarithms that are asinh or acosh."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.series.probe import CONSTANT, variable_of
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import (
    all_factors,
    factors_of,
    quotient_of,
    remove,
    root_of_square,
    sum_of_signed,
    terms_of,
    under_root,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_HALF = Fraction(1, 2)
_MOST_SIDES = 4
_LEAST, _LARGEST = 2.0**-960, 2.0**960  # of the product of two lengths, whose parts are in range
_MOST_ANGLE = 8  # of latitudes and longitudes, whose sums have nearly all of their digits
_SPHERE = "Sinnott 1984, Virtues of the haversine; DLMF 4.21"
_COTANGENT = "DLMF 4.23.18; Higham 2002, section 1.7"
_MAY_BE_ARC = ("atan", "mul", "div", "neg")
_KAHAN = "Kahan 2006, How futile are mindless assessments of roundoff, section 12"


def _beside_one(g: Graph, node: int) -> int | None:
    """x of 1 + x, a sum of several terms too."""
    terms = terms_of(g, node)
    if len(terms) < 2 or (1, g.one) not in terms:
        return None
    return sum_of_signed(g, [term for term in terms if term != (1, g.one)])


@stable(
    "acos",
    "1 - x is rounded where acos grows fastest",
    Audit("acos(1 - x)", "2*asin(sqrt(x/2))", "x < 1, else as it is written", "the half-angle formula; "
          "DLMF 4.21.8", at(1e-12, 1e-3, 0.75, 1.5)),
    on=among("add", "sub"),
)  # fmt: skip
def acos_of_nearly_one(g: Graph, a: Args) -> int | None:
    rest = _beside_one(g, a[0])
    if rest is None:
        return None
    x = g.neg(rest)
    near = g.node("lt", x, g.one)
    root = g.node("sqrt", g.mul(g.const(_HALF), g.where(near, x, g.one)))
    arc = g.mul(g.const(2), g.node("asin", root))
    return g.where(near, arc, g.node("acos", g.where(near, g.zero, a[0])))


@stable(
    "acosh",
    "1 + x is rounded where acosh grows fastest",
    Audit("acosh(1 + x)", "2*asinh(sqrt(x/2))", "always", "the half-angle formula; DLMF 4.35.21",
          at(1e-12, 1e-3, 0.75, 1e300)),
    on=among("add", "sub"),
)  # fmt: skip
def acosh_of_nearly_one(g: Graph, a: Args) -> int | None:
    rest = _beside_one(g, a[0])
    if rest is None:
        return None
    return g.mul(g.const(2), g.node("asinh", g.node("sqrt", g.mul(g.const(_HALF), rest))))


@stable(
    "sub",
    "pi/2 - atan(x) cancels where x is large",
    Audit("pi/2 - atan(x)", "atan2(1, x)", "multiples; 1 - 2*atan(x)/pi counts", _COTANGENT,
          at(1e9, 1e200, 0.5, -3.0)),
    on=lambda ops: any(op in _MAY_BE_ARC for op in ops),
    needs=("atan",),
)  # fmt: skip
def right_angle_less_arc(g: Graph, a: Args) -> int | None:
    return _beside_right_angle(g, a, -1)


@stable(
    "add",
    "1/2 + atan(x)/pi cancels where -x is large, as distributions of Cauchy do",
    Audit("1/2 + atan(x)/pi", "atan2(1, -x)/pi", "likewise", _COTANGENT, at(-1e9, -1e200, 0.5, 3.0)),
    on=lambda ops: "neg" not in ops and any(op in _MAY_BE_ARC for op in ops),
    needs=("atan",),
)  # fmt: skip
def right_angle_plus_arc(g: Graph, a: Args) -> int | None:
    if "neg" in (g.op[a[0]], g.op[a[1]]):  # a difference, as which it comes again
        return None
    return _beside_right_angle(g, a, 1)


def _beside_right_angle(g: Graph, a: Args, sign: int) -> int | None:
    """t*(atan(x) + pi/2) as t*atan2(1, -x), t*(atan(x) - pi/2) as -t*atan2(1, x)."""
    for angle, arc, times in ((a[0], a[1], sign), (a[1], a[0], 1)):
        if variable_of(g, angle) != CONSTANT:  # as in most sums
            continue
        above, below = all_factors(g, arc)
        place = next((k for k, f in enumerate(above) if g.op[f] == "atan"), None)
        if place is None:
            continue
        (x,), rest = g.args[above[place]], without(above, place)
        number, powers = _in_pi(g, rest, below)
        own, own_powers = _in_pi(g, *all_factors(g, angle))
        if number is None or own is None or powers + 1 != own_powers or abs(own) != abs(number) / 2:
            continue
        is_sum = (own > 0) == (times * number > 0) if angle == a[0] else (own * sign > 0) == (number > 0)
        made = g.node("atan2", g.one, g.neg(x) if is_sum else x)
        return g.mul(g.const(times if is_sum else -times), quotient_of(g, [*rest, made], below))
    return None


def _in_pi(g: Graph, above: list[int], below: list[int]) -> tuple[Fraction | None, int]:
    """q and k of q*pi**k; None for other products."""
    number, power, pi = Fraction(1), 0, g.const("pi")
    for factors, sign in ((above, 1), (below, -1)):
        for factor in factors:
            q = Fraction(1) if factor == pi else g.rational(factor)
            if not q:
                return None, 0
            number, power = number * q**sign, power + sign * (factor == pi)
    return number, power


@stable(
    "acos",
    "the cosine of a small angle has half of its digits, and none of its slope",
    Audit("acos((v[0]*v[2] + v[1]*v[3])/(sqrt(v[0]**2 + v[1]**2)*sqrt(v[2]**2 + v[3]**2)))",
          "atan2(abs(v[0]*v[3] - v[1]*v[2]), v[0]*v[2] + v[1]*v[3])",
          "vectors of two to four numbers, and their lengths below", _KAHAN,
          ({"v": (1.0, 0.0, 1.0, 1e-6)}, {"v": (0.5, 1.0, -2.0, 3.0)}, {"v": (1.0, 2.0, -3.0, 0.5)})),
    on=among("div"),
)  # fmt: skip
def angle_between(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "div":
        return None
    above, below = g.args[a[0]]
    lengths = factors_of(g, below)
    if len(lengths) != 2:
        return None
    first, second = (sides_of(g, length) for length in lengths)
    pairs = _pairs(g, above, first, second)
    if pairs is None:
        return None
    inside = g.node("and", g.node("lt", g.const(_LEAST), below), g.node("lt", below, g.const(_LARGEST)))
    parts = [g.sub(g.mul(p, s), g.mul(q, r)) for (p, r), (q, s) in combinations(pairs, 2)]
    across = length_of(g, [g.where(inside, part, g.one) for part in parts])
    angle = g.node("atan2", across, g.where(inside, above, g.one))
    return g.where(inside, angle, g.node("acos", g.where(inside, g.zero, a[0])))


@stable(
    "acos",
    "the cosine of a small distance on a sphere has half of its digits, and none of its slope",
    Audit("acos(sin(x)*sin(y) + cos(x)*cos(y)*cos(z))",
          "2*atan2(hypot(s, t), hypot(u, v)), the sides of two right triangles of half angles",
          "latitudes x and y and a difference of longitudes z, all below 8", _SPHERE,
          ({"x": 0.5, "y": 0.5 + 1e-6, "z": 1e-6}, {"x": 0.5, "y": -0.25, "z": 1.0},
           {"x": -0.5, "y": 0.5, "z": 3.125})),
    on=among("add"),
    needs=("sin",),
)  # fmt: skip
def great_circle(g: Graph, a: Args) -> int | None:
    """Where x - y, x + y and z are halved: the haversine s^2 + t^2, and what is left of 1, u^2 + v^2."""
    found = _on_sphere(g, a[0])
    if found is None:
        return None
    inside = g.true
    for angle in found:
        inside = g.node("and", inside, g.node("lt", g.node("abs", angle), g.const(_MOST_ANGLE)))
    x, y, z = (g.where(inside, angle, g.one) for angle in found)
    apart, across, turn = (g.mul(g.const(_HALF), angle) for angle in (g.sub(x, y), g.add(x, y), z))
    (s, c), (p, q), (t, d) = ((g.node("sin", h), g.node("cos", h)) for h in (apart, across, turn))
    near = g.node("hypot", g.mul(s, d), g.mul(t, q))
    far = g.node("hypot", g.mul(c, d), g.mul(t, p))
    arc = g.mul(g.const(2), g.node("atan2", near, far))
    return g.where(inside, arc, g.node("acos", g.where(inside, g.zero, a[0])))


def _on_sphere(g: Graph, node: int) -> tuple[int, int, int] | None:
    """x, y and z of sin(x)*sin(y) + cos(x)*cos(y)*cos(z)."""
    terms = [factors_of(g, term) for sign, term in terms_of(g, node) if sign > 0]
    if sorted(map(len, terms)) != [2, 3] or len(terms_of(g, node)) != 2:
        return None
    sines, cosines = sorted(terms, key=len)
    if any(g.op[f] != "sin" for f in sines) or any(g.op[f] != "cos" for f in cosines):
        return None
    (x, y), angles = (g.args[f][0] for f in sines), [g.args[f][0] for f in cosines]
    _, missing = remove(angles, [x, y])
    left, _ = remove(angles, [x, y])
    return None if missing else (x, y, left[0])


def sides_of(g: Graph, length: int) -> list[int]:
    """x, y, ... of sqrt(x^2 + y^2 + ...)."""
    if g.op[length] == "hypot":
        return list(g.args[length])
    inside = under_root(g, length)
    terms = [] if inside is None else terms_of(g, inside)
    sides = [root_of_square(g, term) for sign, term in terms if sign > 0]
    return [side for side in sides if side is not None] if len(sides) == len(terms) else []


def _pairs(g: Graph, dot: int, first: list[int], second: list[int]) -> list[tuple[int, int]] | None:
    """The sides that are multiplied with each other in a scalar product of two vectors."""
    terms = terms_of(g, dot)
    if not 2 <= len(terms) == len(first) == len(second) <= _MOST_SIDES:
        return None
    left, right, pairs = list(first), list(second), []
    for sign, term in terms:
        factors = factors_of(g, term)
        if sign < 0 or len(factors) != 2:
            return None
        p, q = factors if factors[0] in left and factors[1] in right else factors[::-1]
        if p not in left or q not in right:
            return None
        left.remove(p)
        right.remove(q)
        pairs.append((p, q))
    return pairs


def length_of(g: Graph, parts: list[int]) -> int:
    if len(parts) == 1:
        return g.node("abs", parts[0])
    total = g.zero
    for part in parts:
        total = g.add(total, g.mul(part, part))
    return g.node("sqrt", total)


@stable(
    "log",
    "x + sqrt(1 + x**2) leaves the range of numbers before its logarithm does, and so do its derivatives",
    Audit("log(x + sqrt(1 + x**2))", "asinh(x)", "sqrt(x**2 - 1) counts: acosh(x)", "DLMF 4.37.16, 4.37.19",
          at(1e-9, -3.0, -1e200, -1.7e308)),
    on=among("hypot_less_side", "leg_less_side"),
)  # fmt: skip
def log_of_root_and_side(g: Graph, a: Args) -> int | None:
    inverse = {"hypot_less_side": "asinh", "leg_less_side": "acosh"}.get(g.op[a[0]])
    if inverse is None:
        return None
    side, other = g.args[a[0]]
    return g.node(inverse, g.neg(side)) if other == g.one else None
