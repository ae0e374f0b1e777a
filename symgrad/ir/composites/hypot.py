"""The length of a vector of two numbers, and its derivatives: the direction cosines.

    hypot(x, y)        sqrt(x^2 + y^2), whose squares may leave the range of numbers
    hypot_slope(x, y)  x/hypot(x, y), 0 at the origin
    inversion(x, y)    x/hypot(x, y)^2, 0 at the origin: the derivatives of an angle are made of it

    direction_cosine(x, y)  x/hypot(x, y), nan at the origin: for quotients that are nothing there
    less_cosine(x, y)       1 - hypot_slope(x, y), with the digits that the difference loses
    double_cosine(x, y)     (x^2 - y^2)/(x^2 + y^2), likewise: the cosine of twice the angle
    log_squares(x, y)       log(x^2 + y^2)

The squares of sides that are too long or too short are taken of sides over a power of two, as in `norm.py`:
no division, and to the last digit what the plain formula gives wherever that is in range.

Sources: Blue 1978, A portable Fortran program to find the Euclidean norm of a vector; an infinite side makes
the length infinite, whatever the other one is: IEEE 754-2019, section 9.2.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.composites.norm import by_range, np_scale, power_of_two, root_in_range
from symgrad.ir.op import Op, Partial, mp_function
from symgrad.ir.ops import OPS

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]


def _expand_hypot(g: Graph, a: Args) -> int:
    s = _sum_of_squares(g, a)
    infinity = g.const(float("inf"))
    one, other = (g.node("eq", g.node("abs", side), infinity) for side in a)
    scaled = _scaled_sum(g, a, s)
    return g.where(g.node("or", one, other), infinity, g.intern("norm", (scaled, s, scaled)))


def _scaled_sum(g: Graph, a: Args, s: int) -> int:
    return _sum_of_squares(g, [g.intern("scaled", (side, s)) for side in a])


def _sum_of_squares(g: Graph, sides: Sequence[int]) -> int:
    """In one order of the sides, for all functions of them; nodes that no rule sees: one might make a
    composite of them again.
    """
    squares = (g.intern("mul", (side, side)) for side in sides)
    return g.intern("add", g.ordered(*squares))


def _unless_origin(g: Graph, length: int, value: int) -> int:
    return g.mask(g.node("ne", length, g.zero), value)


def _np_slope(x: Any, y: Any) -> Any:
    with np.errstate(all="ignore"):
        length = np.hypot(x, y)
        two = np.asarray(length).dtype.type(2)
        near = np.where(length < 1, two**64, two**-2)  # a length that is rounded, or overflows
        is_plain = (length > np.finfo(two.dtype).tiny * two**64) & (length < np.inf)
        scale = np.where(is_plain | np.isinf(x) | np.isinf(y), two / 2, near)
        return np.where(length == 0, length, x * scale / np.hypot(x * scale, y * scale))


def _expand_cosine(g: Graph, a: Args) -> int:
    """By the root of scaled squares, which `hypot` has as well: a length may overflow, or have few digits.

    Of the scaled x/root, or x/root scaled: in this order neither the one nor the other underflows.
    """
    s = _sum_of_squares(g, a)
    t = _scaled_sum(g, a, s)
    x = g.intern("mul", (a[0], by_range(g, s, g.one, power_of_two(g, 0), g.one)))
    cosine = g.intern("div", (x, root_in_range(g, t, s)))
    back = by_range(g, s, power_of_two(g, 0, -1), g.one, g.one)
    return g.intern("mul", (cosine, back))


def _expand_slope(g: Graph, a: Args) -> int:
    return _unless_origin(g, _scaled_sum(g, a, _sum_of_squares(g, a)), _expand_cosine(g, a))


def _expand_double(g: Graph, a: Args) -> int:
    return g.intern("mul", _parts_of_double(g, a))


def bending(g: Graph, a: Args, slope: int) -> int:
    """`slope` times y/hypot, over hypot, without a difference: 1 - (x/hypot)^2 would cancel.

    In this order: 1/hypot may overflow beside a 0.
    """
    length = g.node("hypot", *a)
    return _unless_origin(g, length, g.div(g.mul(slope, g.node("hypot_slope", a[1], a[0])), length))


def _turning(g: Graph, a: Args, n: int, dots: Mapping[int, int]) -> int:
    """y/hypot times the speed of the angle, (y/hypot*xdot - x/hypot*ydot)/hypot, which both slopes share."""
    x, y = sorted(a)
    length = g.node("hypot", x, y)
    across, along = g.node("hypot_slope", y, x), g.node("hypot_slope", x, y)
    xdot, ydot = (dots.get(side, g.zero) for side in (x, y))
    speed = g.div(g.sub(g.mul(across, xdot), g.mul(along, ydot)), length)
    turned = g.mul(g.node("hypot_slope", a[1], a[0]), speed)
    return _unless_origin(g, length, turned if a[0] == x else g.neg(turned))


def _np_inversion(x: Any, y: Any) -> Any:
    with np.errstate(all="ignore"):
        length = np.hypot(x, y)
        return np.where(length == 0, length, _np_slope(x, y) / length)


def _expand_inversion(g: Graph, a: Args) -> int:
    length = g.node("hypot", *a)
    return _unless_origin(g, length, g.intern("div", (g.node("hypot_slope", *a), length)))


def _inversion_by_own(g: Graph, a: Args, n: int) -> int:
    """(y^2 - x^2)/r^4 by the cosine of twice the angle: of its slope nothing cancels at x = 0.

    Beside a number there is no origin.
    """
    length = g.node("hypot", *a)
    turned = g.neg(g.node("double_cosine", *a))
    slope = g.div(g.div(turned, length), length)
    return slope if g.rational(a[1]) else _unless_origin(g, length, slope)


def _inversion_by_other(g: Graph, a: Args, n: int) -> int:
    return g.mul(g.const(-2), g.mul(n, g.node("inversion", a[1], a[0])))


def _turning_inversion(g: Graph, a: Args, n: int, dots: Mapping[int, int]) -> int:
    """Tangents before lengths: the partial derivatives may overflow beside a tangent of 0."""
    x, y = sorted(a)
    length = g.node("hypot", x, y)
    xdot, ydot = (dots.get(side, g.zero) for side in (x, y))
    by_own, by_other = (xdot, ydot) if a[0] == x else (g.neg(ydot), xdot)
    turned = g.div(g.div(g.mul(g.node("double_cosine", x, y), by_own), length), length)
    moved = g.zero  # 0/length is no 0 where the length is not known to be more
    if by_other != g.zero:
        across = g.div(g.mul(g.node("hypot_slope", x, y), by_other), length)
        moved = g.mul(g.const(2), g.mul(across, g.div(g.node("hypot_slope", y, x), length)))
    speed = g.neg(g.add(turned, moved))
    return speed if g.rational(a[1]) else _unless_origin(g, length, speed)


def _np_cosine(x: Any, y: Any) -> Any:
    origin = (np.asarray(x) == 0) & (np.asarray(y) == 0)
    return np.where(origin, np.asarray(x).dtype.type(np.nan), _np_slope(x, y))


def _bent(g: Graph, a: Args, slope: int) -> int:
    """As `bending`, but nan at the origin."""
    return over_length(g, g.mul(slope, g.node("direction_cosine", a[1], a[0])), a)


def over_length(g: Graph, node: int, sides: Sequence[int]) -> int:
    """The node over hypot(*sides); 1/h is a cosine beside a side 1, of which powers have one slope."""
    for one, x in (sides, sides[::-1]):
        if one == g.one:
            cosine = g.node("direction_cosine", one, x)
            factors = g.args[node] if g.op[node] == "mul" else ()
            if cosine in factors:  # a square, as other terms have it
                other = factors[factors[0] == cosine]
                return g.mul(other, g.mul(cosine, cosine))
            return g.mul(node, cosine)
    return g.div(node, g.node("hypot", *sides))


def _np_less_cosine(x: Any, y: Any) -> Any:
    cosine, sine = np.asarray(_np_slope(x, y)), _np_slope(y, x)
    one = cosine.dtype.type(1)
    return np.where(cosine > 0, sine * sine / (one + cosine), one - cosine)


def _expand_less_cosine(g: Graph, a: Args) -> int:
    """(y/h)^2/(1 + x/h) where 1 - x/h cancels; nodes that no rule sees: one makes this op of the latter."""
    cosine, sine = g.node("hypot_slope", *a), g.node("hypot_slope", a[1], a[0])
    square, beside = g.intern("mul", (sine, sine)), g.intern("add", (g.one, cosine))
    less = g.intern("sub", (g.one, cosine))
    return g.where(g.node("lt", g.zero, cosine), g.intern("div", (square, beside)), less)


def _parts_of_double(g: Graph, a: Args) -> tuple[int, int]:
    """((x - y)/h, x/h + y/h), or the same with -y for y: the sum that cancels is of x and y themselves."""
    length = g.node("hypot", *a)
    cosine, sine = g.node("direction_cosine", *a), g.node("direction_cosine", a[1], a[0])
    differ = g.node("lt", g.mul(g.node("sign", a[0]), g.node("sign", a[1])), g.zero)
    exact = g.div(g.where(differ, g.add(*a), g.sub(*a)), length)
    return exact, g.where(differ, g.sub(cosine, sine), g.add(cosine, sine))


def _np_double(x: Any, y: Any) -> Any:
    with np.errstate(all="ignore"):
        cosine, sine = _np_cosine(x, y), _np_cosine(y, x)
        differ = np.sign(x) * np.sign(y) < 0
        exact = np.where(differ, x + y, x - y) / np.hypot(x, y)
        return exact * np.where(differ, cosine - sine, cosine + sine)


def _double_partial(which: int) -> Partial:
    """4*cos*sin^2/h by x, -4*cos^2*sin/h by y: no difference."""

    def partial(g: Graph, a: Args, y: int) -> int:
        cosine, sine = g.node("direction_cosine", *a), g.node("direction_cosine", a[1], a[0])
        both = g.mul(cosine, sine)
        slope = g.mul(both, g.div((sine, cosine)[which], g.node("hypot", *a)))
        return g.mul(g.const((4, -4)[which]), slope)

    return partial


def _np_log_squares(x: Any, y: Any) -> Any:
    with np.errstate(all="ignore"):
        s = np.asarray(x * x + y * y)
        is_plain = np_scale(s) == 1
        return np.log(np.where(is_plain, s, np.hypot(x, y))) * np.where(is_plain, 1, 2).astype(s.dtype)


def _expand_log_squares(g: Graph, a: Args) -> int:
    """One logarithm: of the sum, or of the root where the sum is out of range."""
    s, length = _sum_of_squares(g, a), g.node("hypot", *a)
    inside = g.intern("log", (by_range(g, s, length, length, s),))
    return g.intern("mul", (by_range(g, s, g.const(2), g.const(2), g.one), inside))


def _log_squares_partial(which: int) -> Partial:
    """2*x/h^2, as (x/h)/h."""

    def partial(g: Graph, a: Args, y: int) -> int:
        cosine = g.node("direction_cosine", a[which], a[1 - which])
        return g.div(g.mul(g.const(2), cosine), g.node("hypot", *a))

    return partial


_ANY = ((-2.0, 2.0), (-2.0, 2.0))
_APART = ((0.1, 4.0), (-4.0, 4.0))

OPS["hypot"] = Op(
    "hypot", 2, np.hypot, mp_function("hypot"),
    (lambda g, a, y: g.node("hypot_slope", *a), lambda g, a, y: g.node("hypot_slope", a[1], a[0])),
    expand=_expand_hypot, cost=15, domain=_ANY, kink="the origin (derivative 0)", total=True,
    source="Blue 1978",
)  # fmt: skip
OPS["hypot_slope"] = Op(
    "hypot_slope", 2, _np_slope, lambda x, y: x / mp_function("hypot")(x, y) if x or y else x,
    (
        lambda g, a, y: bending(g, a, g.node("hypot_slope", a[1], a[0])),
        lambda g, a, y: g.neg(bending(g, a, y)),
    ),
    expand=_expand_slope, tangent=_turning, cost=20, domain=_ANY, kink="the origin (value and derivative 0)",
    total=True, source="the direction cosine",
)  # fmt: skip
OPS["inversion"] = Op(
    "inversion", 2, _np_inversion, lambda x, y: x / (x * x + y * y) if x or y else x,
    (_inversion_by_own, _inversion_by_other), expand=_expand_inversion,
    tangent=_turning_inversion, cost=25, domain=_ANY,
    kink="the origin (value and derivative 0)", total=True, source="the inversion in the unit circle",
)  # fmt: skip
OPS["direction_cosine"] = Op(
    "direction_cosine", 2, _np_cosine, lambda x, y: x / mp_function("hypot")(x, y),
    (
        lambda g, a, y: _bent(g, a, g.node("direction_cosine", a[1], a[0])),
        lambda g, a, y: g.neg(_bent(g, a, y)),
    ),
    expand=_expand_cosine, cost=20, domain=_APART, source="the direction cosine",
)  # fmt: skip
OPS["less_cosine"] = Op(
    "less_cosine", 2, _np_less_cosine, lambda x, y: 1 - x / mp_function("hypot")(x, y) if x or y else 1 - x,
    (
        lambda g, a, y: g.neg(bending(g, a, g.node("hypot_slope", a[1], a[0]))),
        lambda g, a, y: bending(g, a, g.node("hypot_slope", *a)),
    ),
    expand=_expand_less_cosine, cost=45, domain=_APART, kink="the origin (derivative 0)",
    source="Higham 2002, section 1.7",
)  # fmt: skip
OPS["double_cosine"] = Op(
    "double_cosine", 2, _np_double, lambda x, y: (x - y) * (x + y) / (x * x + y * y),
    (_double_partial(0), _double_partial(1)), expand=_expand_double, cost=25, domain=_APART,
    source="the cosine of twice the angle; Higham 2002, section 1.7",
)  # fmt: skip
OPS["log_squares"] = Op(
    "log_squares", 2, _np_log_squares, lambda x, y: mp_function("log")(x * x + y * y),
    (_log_squares_partial(0), _log_squares_partial(1)), expand=_expand_log_squares, cost=40,
    domain=((1.5, 4.0), (-4.0, 4.0)),
    source="Blue 1978",
)  # fmt: skip
