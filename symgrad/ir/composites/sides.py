"""A root less a side of it, without cancellation: rows of the op table.

    hypot_less_side(x, y) = hypot(x, y) - x
    leg_less_side(x, y) = leg(x, y) - x                sqrt(x^2 - y^2) - x
    root_less_side(x, s, r) = sqrt(x^2 + s) - x        r is the root

For x > 0 it is s/(r + x), the conjugate; r comes with what it is the root of, as it may have been computed
where squares are out of range (`norm.py`, `hypot.py`). Derivatives are by x and s: d/dx = -(r - x)/r.

Sources: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.8; Goldberg 1991, What every
computer scientist should know about floating-point arithmetic, section 1.4 (the quadratic formula).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op
from symgrad.ir.ops import OPS

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
Partial = Callable[["Graph", Args, int], int]
_SMALL = Fraction(1, 1 << 480)  # squares of what is larger have all their digits


def _expand(g: Graph, a: Args) -> int:
    """By the conjugate where the side is positive and the rest is not much larger than its square."""
    x, s, r = a
    is_small = g.node("lt", g.node("abs", s), g.mul(g.const(4), g.mul(x, x)))
    is_near = g.node("and", g.node("lt", g.const(_SMALL), x), is_small)
    return g.where(is_near, g.div(s, g.add(r, x)), g.intern("sub", (r, x)))


def _exact(x: Any, s: Any, r: Any) -> Any:
    root = OPS["sqrt"].mpmath(x * x + s)
    return s / (root + x) if x > 0 else root - x


def _by_side(g: Graph, a: Args, y: int) -> int:
    """-(r - x)/r, by what does not cancel in its own derivative; -1 at r = 0, where r is least.

    x/r - 1 where x is small: the derivative of -(r - x)/r by s, -x/(2*r^3), is next to nothing there.
    """
    x, s, r = a
    is_zero = g.node("eq", r, g.zero)
    below = g.where(is_zero, g.one, r)
    back = g.sub(g.div(g.node("root_less_side", g.neg(x), s, r), below), g.const(2))
    made = g.where(g.node("lt", x, g.zero), back, g.neg(g.div(y, below)))
    is_small = g.node("lt", g.mul(g.const(2), g.node("abs", x)), r)
    made = g.where(is_small, g.sub(g.node("norm_cosine", x, s, below), g.one), made)
    return g.where(is_zero, g.minus_one, made)


def _by_rest(g: Graph, a: Args, y: int) -> int:
    r = a[2]
    is_zero = g.node("eq", r, g.zero)
    return g.mask(g.node("not", is_zero), g.div(g.const(Fraction(1, 2)), g.where(is_zero, g.one, r)))


OPS["root_less_side"] = Op(
    "root_less_side", 3, by_expansion(_expand, 3), _exact, (_by_side, _by_rest, None), expand=_expand,
    cost=20, domain=((-2.0, 2.0), (0.1, 2.0), (0.5, 2.0)), source="this module",
)  # fmt: skip


def _of_two(root: str, sign: int, by_side: Partial, by_other: Partial, domain: Any) -> None:
    """The row for a root of two squares."""

    def expand(g: Graph, a: Args) -> int:
        x, y = a
        r = g.node(root, x, y)
        square = g.mul(y, g.div(y, g.add(r, x)))
        is_near = g.node("lt", g.node("abs", y), g.mul(g.const(2), x))
        return g.where(is_near, square if sign > 0 else g.neg(square), g.intern("sub", (r, x)))

    name = f"{root}_less_side"
    OPS[name] = Op(
        name, 2, by_expansion(expand, 2), lambda x, y: _exact(x, sign * y * y, None), (by_side, by_other),
        expand=expand, cost=30, domain=domain, source="this module",
    )  # fmt: skip


def _leg_by_side(g: Graph, a: Args, y: int) -> int:
    x, other = a
    r = g.node("leg", x, other)
    is_zero = g.node("eq", r, g.zero)
    below = g.where(is_zero, g.one, r)
    back = g.sub(g.div(g.node("leg_less_side", g.neg(x), other), below), g.const(2))
    made = g.where(g.node("lt", x, g.zero), back, g.neg(g.div(y, below)))
    return g.where(is_zero, g.minus_one, made)


_of_two(
    "hypot", 1, lambda g, a, y: g.neg(g.node("less_cosine", *a)),
    lambda g, a, y: g.node("hypot_slope", a[1], a[0]), ((-2.0, 2.0), (-2.0, 2.0)),
)  # fmt: skip
_of_two("leg", -1, _leg_by_side, lambda g, a, y: g.neg(g.node("leg_sinh", *a)), ((1.0, 2.0), (-0.9, 0.9)))
NAMES = frozenset(("root_less_side", "hypot_less_side", "leg_less_side"))
