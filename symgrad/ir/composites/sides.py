"""A root less a side of it, without cancellation: rows of the op table.

    root_beside_square(x, s) = sqrt(x^2 + s)           also where x^2 overflows; by x its `norm_cosine`

    hypot_less_side(x, y) = hypot(x, y) - x
    leg_less_side(x, y) = leg(x, y) - x                sqrt(x^2 - y^2) - x
    root_less_side(x, s, r) = sqrt(x^2 + s) - x        r is the root
    less_norm_cosine(x, s, r) = 1 - x/sqrt(x^2 + s)    likewise, 1 less the `norm_cosine`

For x > 0 it is s/(r + x), the conjugate; r comes with what it is the root of, as it may have been computed
where squares are out of range (`norm.py`, `hypot.py`). Derivatives are by x and s: d/dx = -(r - x)/r.

Sources: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.8; Goldberg 1991, What every
computer scientist should know about floating-point arithmetic, section 1.4 (the quadratic formula); Blue
1978, A portable Fortran program to find the Euclidean norm of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.composites.norm import power_of_two
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


def _expand_root(g: Graph, a: Args) -> int:
    """Of a large side, the root of both over the square of a power of two."""
    x, s = a
    is_single = g.node("eq", g.const(2**1000), g.const(float("inf")))
    is_large = g.node("lt", g.where(is_single, g.const(2**50), g.const(2**480)), g.node("abs", x))
    down = g.where(is_large, power_of_two(g, 0, -1), g.one)
    x, s = g.intern("mul", (x, down)), g.intern("mul", (g.intern("mul", (s, down)), down))
    root = g.intern("sqrt", (g.intern("add", (g.intern("mul", (x, x)), s)),))
    return g.intern("mul", (root, g.where(is_large, power_of_two(g, 0), g.one)))


OPS["root_beside_square"] = Op(
    "root_beside_square", 2, by_expansion(_expand_root, 2), lambda x, s: OPS["sqrt"].mpmath(x * x + s),
    (
        lambda g, a, y: g.node("norm_cosine", *a, y),
        lambda g, a, y: g.div(g.const(Fraction(1, 2)), y),
    ),
    expand=_expand_root, cost=15, domain=((-2.0, 2.0), (0.1, 2.0)), source="Blue 1978",
)  # fmt: skip


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


def _expand_less_cosine(g: Graph, a: Args) -> int:
    """By the conjugate where `root_less_side` is."""
    x, s, r = a
    is_small = g.node("lt", g.node("abs", s), g.mul(g.const(4), g.mul(x, x)))
    is_near = g.node("and", g.node("lt", g.const(_SMALL), x), is_small)
    near = g.div(g.div(s, r), g.add(r, x))
    return g.where(is_near, near, g.intern("sub", (g.one, g.div(x, r))))


OPS["less_norm_cosine"] = Op(
    "less_norm_cosine", 3, by_expansion(_expand_less_cosine, 3),
    lambda x, s, r: _exact(x, s, r) / OPS["sqrt"].mpmath(x * x + s),
    (
        lambda g, a, y: g.neg(g.div(g.div(g.div(a[1], a[2]), a[2]), a[2])),
        lambda g, a, y: g.div(g.div(g.div(g.mul(g.const(Fraction(1, 2)), a[0]), a[2]), a[2]), a[2]),
        None,
    ),
    expand=_expand_less_cosine, cost=25, domain=((-2.0, 2.0), (0.1, 2.0), (0.5, 2.0)), source="this module",
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
NAMES = frozenset(
    ("root_beside_square", "less_norm_cosine", "root_less_side", "hypot_less_side", "leg_less_side")
)
