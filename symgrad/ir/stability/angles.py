"""Angles of points: arcs that are one in all quadrants, and sines and cosines of multiples and halves of it.

A direction that is nearly one of the axes has an angle with all of its digits in `atan2` alone, and what is
nearly 0 of sin(2*t) is not a function of an angle t that is rounded: it is one of the two coordinates.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.arcs import length_of, sides_of
from symgrad.ir.stability.audit import Audit, Point, at_pairs, stable
from symgrad.ir.stability.patterns import (
    PRODUCTS,
    factors_of,
    in_powers_of,
    numbered,
    quotient_of,
    remove,
    root_of_square,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_HALF = Fraction(1, 2)
_SIDES = 3  # and terms, of the law of cosines
_MOST_TURNS = 8  # a multiple of an angle
_LEAST = 2.0**-500  # a length whose square, below second derivatives, is in range
_COSINES = ("direction_cosine", "hypot_slope")  # of two sides
_PLANE = "DLMF 4.21.27 to 4.21.34; Higham 2002, section 1.7"
_LOGARITHM = "Sola, Deray & Atchuthan 2018, A micro Lie theory for state estimation in robotics, appendix B"
_HAVERSINE = "Sinnott 1984, Virtues of the haversine; Kahan 2014, Miscalculating area and angles"
_POLAR = "Kahan 2006, How futile are mindless assessments of roundoff, section 12"
_NEAR_AXES = at_pairs((1e-9, 1.0), (1.0, 1e-9), (1e-9, -1.0), (-3.0, 4.0), (3e-100, 4e-100), (1e200, 1e190))

_THIN: tuple[Point, ...] = ({"x": 1.0, "y": 1.0, "z": 1e-9}, {"x": 2.0, "y": 2.0 + 1e-9, "z": -1e-8},
                            {"x": 0.5, "y": 2.0, "z": 1.0}, {"x": 1e-9, "y": 2.0, "z": 3.0})  # fmt: skip


# ---- arcs --------------------------------------------------------------------------------------


@stable(
    "acos",
    "the inverse cosine of a side over a length has half of its digits where the side is nearly all of it",
    Audit("acos(y/sqrt(x**2 + y**2))", "atan2(abs(x), y)", "the length of two sides or more", _POLAR,
          _NEAR_AXES),
    on=among("div", "neg", "norm_cosine", *_COSINES),
)  # fmt: skip
def acos_of_side_over_length(g: Graph, a: Args) -> int | None:
    found = _side_over_length(g, a[0])
    return None if found is None else _unless_origin(g, found, g.node("atan2", found[1], found[0]))


@stable(
    "asin",
    "the inverse sine of a side over a length has half of its digits where the side is nearly all of it",
    Audit("asin(x/sqrt(x**2 + y**2))", "atan2(x, abs(y))", "likewise", _POLAR, _NEAR_AXES),
    on=among("div", "neg", "norm_cosine", *_COSINES),
)  # fmt: skip
def asin_of_side_over_length(g: Graph, a: Args) -> int | None:
    found = _side_over_length(g, a[0])
    return None if found is None else _unless_origin(g, found, g.node("atan2", *found))


def _side_over_length(g: Graph, node: int) -> tuple[int, int] | None:
    """(x, the length of the other sides) of x/sqrt(x^2 + y^2 + ...); -x counts."""
    sign, quotient = numbered(g, node)
    if abs(sign) != 1:
        return None
    if g.op[quotient] in _COSINES:
        side, other = g.args[quotient]
        rest = g.node("abs", other)
    elif g.op[quotient] == "norm_cosine" and g.op[g.args[quotient][0]] == "scaled":
        side, square = g.args[g.args[quotient][0]]
        own, terms = (1, g.mul(side, side)), terms_of(g, square)
        if own not in terms:
            return None
        rest = g.node("sqrt", sum_of_signed(g, [term for term in terms if term != own]))
    elif g.op[quotient] == "div":
        side, length = g.args[quotient]
        of_side, base = numbered(g, side)
        sides = sides_of(g, length)
        place = next((k for k, s in enumerate(sides) if s in (side, base)), None)
        if place is None or (sides[place] != side and abs(of_side) != 1):
            return None
        rest = length_of(g, without(sides, place))
    else:
        return None
    return (g.neg(side) if sign < 0 else side), rest


def _unless_origin(g: Graph, sides: tuple[int, int], angle: int) -> int:
    """nan there, as the quotient is."""
    origin = g.node("eq", g.node("hypot", *sides), g.zero)
    return g.where(origin, g.const(float("nan")), angle)


@stable(
    "atan",
    "the half of an angle, as x/(y + h) or (h - y)/x of its tangent, loses digits next to the axes",
    Audit("2*atan(x/(y + sqrt(x**2 + y**2)))", "atan2(x, y)", "a length h of two sides", "DLMF 4.21.28",
          _NEAR_AXES),
    on=among("div", "half_tangent"),
    needs=("hypot_less_side", "half_tangent"),
)  # fmt: skip
def atan_of_half_angle(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] == "half_tangent":
        return g.mul(g.const(_HALF), g.node("atan2", *g.args[a[0]]))
    if g.op[a[0]] != "div":
        return None
    above, below = g.args[a[0]]
    if g.op[below] == "hypot_less_side":
        return _half_angle(g, above, below)
    return None


@stable(
    "atan2",
    "the half of an angle, by x and y + h, loses digits next to the axes",
    Audit("2*atan2(x, y + sqrt(x**2 + y**2))", "atan2(x, y)", "a length h of two sides", "DLMF 4.21.28",
          _NEAR_AXES),
    on=lambda ops: ops[1] == "hypot_less_side",
    needs=("hypot_less_side",),
)  # fmt: skip
def atan2_of_half_angle(g: Graph, a: Args) -> int | None:
    if g.op[a[1]] != "hypot_less_side":
        return None
    angle, (side, other) = _half_angle(g, *a), g.args[a[1]]
    has_angle = g.node("or", g.node("ne", other, g.zero), g.node("lt", side, g.zero))
    return None if angle is None else g.mask(has_angle, angle)  # atan2(0, y + h) is 0 for y < 0


def _half_angle(g: Graph, above: int, below: int) -> int | None:
    """The angle whose tangent is x/(h + y), y + h as h - (-y)."""
    side, other = g.args[below]
    return _of_other(g, above, other, g.mul(g.const(_HALF), g.node("atan2", other, g.neg(side))))


def _of_other(g: Graph, node: int, other: int, angle: int) -> int | None:
    """The angle for the side itself, its opposite for the opposite."""
    return angle if node == other else g.neg(angle) if node == g.neg(other) else None


# ---- functions of angles -----------------------------------------------------------------------


@stable(
    "sin",
    "the sine of a multiple of an angle is nearly 0 next to the axes, where the angle is rounded",
    Audit("sin(2*atan2(x, y))", "2*(x/h)*(y/h), h = hypot(x, y)", "multiples up to 8", _PLANE, _NEAR_AXES),
    on=among("mul"),
    needs=("atan2",),
)  # fmt: skip
def sine_of_multiple(g: Graph, a: Args) -> int | None:
    return _of_multiple(g, "sin", a[0])


@stable(
    "cos",
    "the cosine of a multiple of an angle, and of its half next to pi, is nearly 0 where that is rounded",
    Audit("cos(2*atan2(x, y))", "double_cosine(y, x)",
          "multiples up to 8; of the half the sine of what is left of pi", _PLANE, _NEAR_AXES),
    on=among("mul"),
    needs=("atan2",),
)  # fmt: skip
def cosine_of_multiple(g: Graph, a: Args) -> int | None:
    return _of_multiple(g, "cos", a[0])


@stable(
    "tan",
    "the tangent of a multiple of an angle has the digits of the angle next to the axes",
    Audit("tan(2*atan2(x, y))", "2*(x/h)*(y/h)/double_cosine(y, x)",
          "multiples up to 8; of the half (h - y)/x for -y > abs(x)",
          _PLANE, _NEAR_AXES),
    on=among("mul"),
    needs=("atan2",),
)  # fmt: skip
def tangent_of_multiple(g: Graph, a: Args) -> int | None:
    return _of_multiple(g, "tan", a[0])


def _of_multiple(g: Graph, op: str, node: int) -> int | None:
    times, angle = numbered(g, node)
    if g.op[angle] != "atan2":
        return None
    if abs(times) == _HALF:
        return _of_half(g, op, node, times)
    if times.denominator != 1 or not 2 <= abs(times) <= _MOST_TURNS:
        return None
    y, x = g.args[angle]
    cosine, sine = _turned(g, x, y, abs(int(times)))
    sine = sine if times > 0 else g.neg(sine)
    value = cosine if op == "cos" else sine if op == "sin" else g.div(sine, cosine)
    length = g.node("hypot", x, y)
    inside = g.node("and", g.node("lt", g.const(_LEAST), length), g.node("lt", length, g.const(float("inf"))))
    return _where(g, inside, value, op, node)


def _turned(g: Graph, x: int, y: int, times: int) -> tuple[int, int]:
    """Cosine and sine of a multiple of the angle of a point. Next to the axes no sum in them cancels."""
    if times == 1:
        return g.node("direction_cosine", x, y), g.node("direction_cosine", y, x)
    cosine, sine = _turned(g, x, y, times // 2)
    twice = g.mul(g.const(2), g.mul(cosine, sine))
    square = g.node("double_cosine", x, y) if times // 2 == 1 else g.node("square_difference", cosine, sine)
    if times % 2 == 0:
        return square, twice
    cosine, sine = _turned(g, x, y, 1)
    return (
        g.sub(g.mul(square, cosine), g.mul(twice, sine)),
        g.add(g.mul(twice, cosine), g.mul(square, sine)),
    )


def _of_half(g: Graph, op: str, node: int, half: Fraction) -> int | None:
    """For x < 0 by what the angle lacks of pi, whose half is the complement; the tangent is (h - x)/y."""
    y, x = g.args[numbered(g, node)[1]]
    if op == "sin" or g.rational(x) is not None:
        return None
    is_left = g.node("lt", x, g.zero)
    if op == "tan":
        length = g.node("hypot", x, y)
        is_left = g.node("lt", g.node("abs", y), g.neg(x))  # else the slope by y cancels
        is_left = g.node("and", is_left, g.node("lt", length, g.const(float("inf"))))
        made = g.div(g.sub(length, x), y if half > 0 else g.neg(y))
    else:
        sign = g.where(g.node("lt", y, g.zero), g.minus_one, g.one)
        made = g.node("sin", g.mul(g.const(_HALF), g.node("atan2", g.mul(sign, y), g.neg(x))))
    return _where(g, is_left, made, op, node)


def _where(g: Graph, condition: int, value: int, op: str, node: int) -> int:
    """The value, or else the function as it is written, which no rule sees again."""
    return g.where(condition, value, g.node(op, g.where(condition, g.zero, node)))


# ---- the law of cosines ------------------------------------------------------------------------


@stable(
    "sqrt",
    "the third side of a triangle, by the law of cosines, has half of its digits where it is short",
    Audit("sqrt(x**2 + y**2 - 2*x*y*cos(z))", "hypot(x - y + 2*y*sin(z/2)**2, y*sin(z))",
          "the longer side first; x - y*cos(z) where z is more than 60 degrees",
          _HAVERSINE, _THIN),
    on=among("add", "sub"),
    needs=("cos",),
)  # fmt: skip
def side_by_law_of_cosines(g: Graph, a: Args) -> int | None:
    found = _third_side(g, a[0])
    return None if found is None else g.node("hypot", *found)


@stable(
    "log",
    "the logarithm of the square of a triangle's third side has half of its digits where that is short",
    Audit("log(x**2 + y**2 - 2*x*y*cos(z))", "log_squares(x - y + 2*y*sin(z/2)**2, y*sin(z))", "likewise",
          _HAVERSINE, _THIN),
    on=among("add", "sub"),
    needs=("cos",),
)  # fmt: skip
def log_by_law_of_cosines(g: Graph, a: Args) -> int | None:
    found = _third_side(g, a[0])
    return None if found is None else g.node("log_squares", *found)


def _third_side(g: Graph, node: int) -> tuple[int, int] | None:
    """The legs of a right triangle whose hypotenuse is the third side."""
    terms = terms_of(g, node)
    roots = [root_of_square(g, term) if sign > 0 else None for sign, term in terms]
    found = [x for x in roots if x is not None]
    if len(terms) != _SIDES or len(found) != 2:
        return None
    (x, y), (sign, mixed) = found, terms[roots.index(None)]
    number, others = Fraction(sign), list[int]()
    for factor in factors_of(g, mixed):
        q = g.rational(factor)
        number, others = (number, [*others, factor]) if q is None else (number * q, others)
    for side in (x, y):
        q = g.rational(side)
        number = number / q if q else number
    angles, missing = remove(others, [side for side in (x, y) if g.rational(side) is None])
    if abs(number) != 2 or missing or len(angles) != 1 or g.op[angles[0]] != "cos":
        return None
    (cosine,), x = angles, x if number < 0 else g.neg(x)
    (z,) = g.args[cosine]
    is_shorter = g.node("lt", g.node("abs", x), g.node("abs", y))  # with the longer one first nothing cancels
    x, y = g.where(is_shorter, y, x), g.where(is_shorter, x, y)
    half = g.node("sin", g.mul(g.const(_HALF), z))
    near = g.add(g.sub(x, y), g.mul(g.const(2), g.mul(y, g.mul(half, half))))
    along = g.where(g.node("lt", g.const(_HALF), cosine), near, g.sub(x, g.mul(y, cosine)))
    return along, g.mul(y, g.node("sin", z))


# ---- angles over a side ------------------------------------------------------------------------


@stable(
    "div",
    "atan2(y, x)/y, as in the logarithm of a quaternion, is nan at y = 0; its derivatives cancel near it",
    Audit("atan2(y, x)/y", "(atan(t)/t)/x for t = y/x", "|y| < x; a root counts for y, and its square below",
          _LOGARITHM, at_pairs((1.0, 1e-9), (2.0, -1e-3), (0.5, 1.5), (-1.0, 0.5))),
    on=among("atan2", *PRODUCTS),
    needs=("atan2",),
)  # fmt: skip
def angle_over_side(g: Graph, a: Args) -> int | None:
    above = factors_of(g, a[0])
    place = next((k for k, f in enumerate(above) if g.op[f] == "atan2"), None)
    if place is None:
        return None
    y, x = g.args[above[place]]
    below, others = in_powers_of(g, y, factors_of(g, a[1])), without(above, place)
    if y not in below or g.op[y] == "const":
        return None
    is_small = g.node("lt", g.node("abs", y), x)
    t = g.div(y, x)
    slope = g.div(g.node("atan", t), t)
    small = quotient_of(g, [*others, slope], [x, *without(below, below.index(y))])
    other = quotient_of(g, above, [g.where(is_small, g.one, part) for part in below])
    return g.where(is_small, small, other)
