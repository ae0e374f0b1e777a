"""The length of a vector of two numbers, and its derivatives: the direction cosines.

    hypot(x, y)        sqrt(x^2 + y^2), whose squares may leave the range of numbers
    hypot_slope(x, y)  x/hypot(x, y), 0 at the origin
    inversion(x, y)    x/hypot(x, y)^2, 0 at the origin: the derivatives of an angle are made of it

The squares of sides that are too long or too short are taken of sides over a power of two, as in `norm.py`:
no division, and to the last digit what the plain formula gives wherever that is in range.

Sources: Blue 1978, A portable Fortran program to find the Euclidean norm of a vector; an infinite side makes
the length infinite, whatever the other one is: IEEE 754-2019, section 9.2.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.norm import by_range, power_of_two, root_in_range
from symgrad.ir.op import Op, mp_function
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


def _expand_slope(g: Graph, a: Args) -> int:
    """By the root of scaled squares, which `hypot` has as well: a length may overflow, or have few digits.

    Of the scaled x/root, or x/root scaled: in this order neither the one nor the other underflows.
    """
    s = _sum_of_squares(g, a)
    t = _scaled_sum(g, a, s)
    x = g.intern("mul", (a[0], by_range(g, s, g.one, power_of_two(g, 0), g.one)))
    cosine = g.intern("div", (x, root_in_range(g, t, s)))
    back = by_range(g, s, power_of_two(g, 0, -1), g.one, g.one)
    return _unless_origin(g, t, g.intern("mul", (cosine, back)))


def _bending(g: Graph, a: Args, slope: int) -> int:
    """`slope` times (y/hypot)/hypot, without a difference: 1 - (x/hypot)^2 would cancel."""
    length = g.node("hypot", *a)
    return _unless_origin(g, length, g.mul(slope, g.div(g.node("hypot_slope", a[1], a[0]), length)))


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
    """(y - x)*(y + x)/r^4: of (y/r)^2 - (x/r)^2 nothing would be left near the diagonals.

    The factor that cancels is of x and y, the other of y/r and x/r, which do not overflow.
    """
    length = g.node("hypot", *a)
    cosine, sine = g.node("hypot_slope", *a), g.node("hypot_slope", a[1], a[0])
    differ = g.node("lt", g.mul(g.node("sign", a[0]), g.node("sign", a[1])), g.zero)
    exact = g.div(g.where(differ, g.add(a[1], a[0]), g.sub(a[1], a[0])), length)
    other = g.where(differ, g.sub(sine, cosine), g.add(sine, cosine))
    return _unless_origin(g, length, g.div(g.div(g.mul(exact, other), length), length))


def _inversion_by_other(g: Graph, a: Args, n: int) -> int:
    return g.mul(g.const(-2), g.mul(n, g.node("inversion", a[1], a[0])))


_ANY = ((-2.0, 2.0), (-2.0, 2.0))

OPS["hypot"] = Op(
    "hypot", 2, np.hypot, mp_function("hypot"),
    (lambda g, a, y: g.node("hypot_slope", *a), lambda g, a, y: g.node("hypot_slope", a[1], a[0])),
    expand=_expand_hypot, cost=15, domain=_ANY, kink="the origin (derivative 0)", total=True,
    source="Blue 1978",
)  # fmt: skip
OPS["hypot_slope"] = Op(
    "hypot_slope", 2, _np_slope, lambda x, y: x / mp_function("hypot")(x, y) if x or y else x,
    (
        lambda g, a, y: _bending(g, a, g.node("hypot_slope", a[1], a[0])),
        lambda g, a, y: g.neg(_bending(g, a, y)),
    ),
    expand=_expand_slope, tangent=_turning, cost=20, domain=_ANY, kink="the origin (value and derivative 0)",
    total=True, source="the direction cosine",
)  # fmt: skip
OPS["inversion"] = Op(
    "inversion", 2, _np_inversion, lambda x, y: x / (x * x + y * y) if x or y else x,
    (_inversion_by_own, _inversion_by_other), expand=_expand_inversion, cost=25, domain=_ANY,
    kink="the origin (value and derivative 0)", total=True, source="the inversion in the unit circle",
)  # fmt: skip
