"""Functions of the sides of a right triangle, of whose derivatives nothing cancels: rows of the op table.

    half_tangent(x, y) = (h - y)/x = x/(h + y)         the tangent of half the angle between h and y
    altitude(x, y) = x*y/h                             the height over h
    pseudo_huber(x, y) = y*(h - y)                     the loss of width y > 0

where h = hypot(x, y). With the cosines s = x/h and c = y/h their derivatives are

    half_tangent    (c + c*t^2)/(2*h) by x       -t/h by y, t the half tangent itself
    altitude        c^3                          s^3
    pseudo_huber    the altitude                 (h - y)*(1 - c)

By the quotient rule, or Euler's theorem, these are differences of what is far
larger. All of it goes by cosines, so that nothing on the way leaves the range of numbers.

Sources: DLMF 4.21.28; Charbonnier, Blanc-Feraud, Aubert & Barlaud 1997 (the loss).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op, mp_function
from symgrad.ir.ops import OPS

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]


def _cosine(g: Graph, x: int, y: int) -> int:
    """x/h; the sign of an infinite x beside a finite y."""
    infinity = g.const(float("inf"))
    is_flat = g.node(
        "and", g.node("eq", g.node("abs", x), infinity), g.node("lt", g.node("abs", y), infinity)
    )
    return g.where(is_flat, g.node("sign", x), g.node("direction_cosine", x, y))


def _cube(g: Graph, x: int) -> int:
    return g.mul(x, g.mul(x, x))


def _expand_half_tangent(g: Graph, a: Args) -> int:
    """s/(1 + c), or (1 - c)/s where the sum cancels; in nodes that no rule sees."""
    sine, cosine = g.node("direction_cosine", *a), _cosine(g, a[1], a[0])
    is_back = g.node("lt", cosine, g.zero)
    above = g.where(is_back, g.intern("sub", (g.one, cosine)), sine)
    return g.div(above, g.where(is_back, sine, g.intern("add", (g.one, cosine))))


def _half_tangent_by_own(g: Graph, a: Args, t: int) -> int:
    cosine, length = g.node("direction_cosine", a[1], a[0]), g.node("hypot", *a)
    turned = g.mul(g.mul(cosine, t), g.div(t, length))
    return g.mul(g.const(Fraction(1, 2)), g.add(g.div(cosine, length), turned))


def _half_tangent_by_other(g: Graph, a: Args, t: int) -> int:
    """-t/h; of its derivative t*(1 + c)/h^2, where c is nearly -1, nothing is left: -(1 - c)/x there."""
    x, y = a
    is_back = g.node("lt", y, g.zero)
    back = g.div(g.node("less_cosine", y, x), x)
    return g.neg(g.where(is_back, back, g.div(t, g.node("hypot", *a))))


def _expand_altitude(g: Graph, a: Args) -> int:
    """The shorter side times a cosine that is next to 1."""
    x, y = a
    is_shorter = g.node("lt", g.node("abs", x), g.node("abs", y))
    return g.where(is_shorter, g.mul(x, _cosine(g, y, x)), g.mul(y, _cosine(g, x, y)))


def _expand_pseudo_huber(g: Graph, a: Args) -> int:
    """x^2*c/(1 + c) where h - y cancels."""
    x, y = a
    cosine = g.node("direction_cosine", y, x)
    near = g.mul(x, g.mul(x, g.div(cosine, g.intern("add", (g.one, cosine)))))
    far = g.mul(y, g.intern("sub", (g.node("hypot", x, y), y)))
    return g.where(g.node("lt", g.node("abs", x), g.mul(g.const(2), y)), near, far)


def _pseudo_huber_by_width(g: Graph, a: Args, n: int) -> int:
    return g.mul(g.node("hypot_less_side", a[1], a[0]), g.node("less_cosine", a[1], a[0]))


def _hypot(x: Any, y: Any) -> Any:
    return mp_function("hypot")(x, y)


def _exact_half_tangent(x: Any, y: Any) -> Any:
    return x / (_hypot(x, y) + y) if y > 0 else (_hypot(x, y) - y) / x


OPS["half_tangent"] = Op(
    "half_tangent", 2, by_expansion(_expand_half_tangent, 2), _exact_half_tangent,
    (_half_tangent_by_own, _half_tangent_by_other),
    expand=_expand_half_tangent, cost=45, domain=((0.1, 4.0), (-4.0, 4.0)), source="DLMF 4.21.28",
)  # fmt: skip
OPS["altitude"] = Op(
    "altitude", 2, by_expansion(_expand_altitude, 2), lambda x, y: x * y / _hypot(x, y),
    (lambda g, a, n: _cube(g, _cosine(g, a[1], a[0])), lambda g, a, n: _cube(g, _cosine(g, *a))),
    expand=_expand_altitude, cost=40, domain=((0.1, 4.0), (-4.0, 4.0)), source="Pythagoras",
)  # fmt: skip
OPS["pseudo_huber"] = Op(
    "pseudo_huber", 2, by_expansion(_expand_pseudo_huber, 2),
    lambda x, y: x * x * y / (_hypot(x, y) + y) if x else x * x,
    (lambda g, a, n: g.node("altitude", *a), _pseudo_huber_by_width),
    expand=_expand_pseudo_huber, cost=50, domain=((-4.0, 4.0), (0.1, 4.0)), source="Charbonnier et al. 1997",
)  # fmt: skip
NAMES = frozenset(("half_tangent", "altitude", "pseudo_huber"))
