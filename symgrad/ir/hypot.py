"""The length of a vector of two numbers, and its derivatives: the direction cosines.

    hypot(x, y)        sqrt(x^2 + y^2), whose squares may leave the range of numbers
    hypot_slope(x, y)  x/hypot(x, y), 0 at the origin

The squares of sides that are too long or too short are taken of sides over a power of two, as in `norm.py`:
no division, and to the last digit what the plain formula gives wherever that is in range.

Sources: Blue 1978, A portable Fortran program to find the Euclidean norm of a vector; an infinite side makes
the length infinite, whatever the other one is: IEEE 754-2019, section 9.2.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.op import Op, mp_function
from symgrad.ir.ops import OPS

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]


def _expand_hypot(g: Graph, a: Args) -> int:
    s = _sum_of_squares(g, a)
    scaled = _sum_of_squares(g, [g.intern("scaled", (side, s)) for side in a])
    infinity = g.const(float("inf"))
    one, other = (g.node("eq", g.node("abs", side), infinity) for side in a)
    return g.where(g.node("or", one, other), infinity, g.intern("norm", (scaled, s, scaled)))


def _sum_of_squares(g: Graph, sides: Sequence[int]) -> int:
    """Nodes that no rule sees: one might make a composite of them again."""
    x, y = (g.intern("mul", (side, side)) for side in sides)
    return g.intern("add", (x, y))


def _unless_origin(g: Graph, length: int, value: int) -> int:
    return g.mask(g.node("ne", length, g.zero), value)


def _np_slope(x: Any, y: Any) -> Any:
    with np.errstate(all="ignore"):
        length = np.hypot(x, y)
        return np.where(length == 0, length, x / length)


def _expand_slope(g: Graph, a: Args) -> int:
    length = g.node("hypot", *a)
    return _unless_origin(g, length, g.intern("div", (a[0], length)))


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
