"""A root of a quadratic equation, by its coefficients: rows of the op table.

    quadratic_root(x, t, q) = (r - x)/q = t/(r + x)   the root u of q*u^2 + 2*x*u = t, for r = sqrt(x^2 + q*t)
    quadratic_root_slope(x, t, q) = u/r               less its derivative by x

By the equation itself the derivatives are

    u        by x: -u/r        by t: 1/(2*r)        by q: -u^2/(2*r)
    u/r      by x: -t/r^3      by t: x/(2*r^3)      by q: -(u/r)^2*(1 + x/(2*r))

Of the quotient (r - x)/q they are differences that cancel where q*t is small beside x^2, as of the other one
they are products.

Source: Goldberg 1991, What every computer scientist should know about floating-point arithmetic, section 1.4.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op
from symgrad.ir.ops import OPS

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
_HALF = Fraction(1, 2)


def _root(g: Graph, a: Args) -> int:
    x, t, q = a
    return g.node("root_beside_square", g.args[x][0] if g.op[x] == "neg" else x, g.mul(q, t))


def _expand(g: Graph, a: Args) -> int:
    """By the quotient in which nothing cancels."""
    x, t, q = a
    r, is_back = _root(g, a), g.node("le", x, g.zero)
    above = g.where(is_back, g.intern("sub", (r, x)), t)
    return g.div(above, g.where(is_back, q, g.intern("add", (r, x))))


def _exact(x: Any, t: Any, q: Any) -> Any:
    root = OPS["sqrt"].mpmath(x * x + q * t)
    return t / (root + x) if x > 0 else (root - x) / q


def _over_cube(g: Graph, a: Args, n: int) -> int:
    r = _root(g, a)
    return g.div(g.div(g.div(n, r), r), r)


def _by_factor(g: Graph, a: Args, y: int) -> int:
    slope = g.node("quadratic_root_slope", *a)
    return g.mul(g.const(-_HALF), g.mul(y, slope))


def _slope_by_factor(g: Graph, a: Args, y: int) -> int:
    cosine = g.node("norm_cosine", a[0], g.mul(a[2], a[1]), _root(g, a))
    return g.neg(g.mul(g.mul(y, y), g.add(g.one, g.mul(g.const(_HALF), cosine))))


_DOMAIN = ((-2.0, 2.0), (0.1, 2.0), (0.1, 2.0))
OPS["quadratic_root"] = Op(
    "quadratic_root", 3, by_expansion(_expand, 3), _exact,
    (
        lambda g, a, y: g.neg(g.node("quadratic_root_slope", *a)),
        lambda g, a, y: g.div(g.const(_HALF), _root(g, a)),
        _by_factor,
    ),
    expand=_expand, cost=35, domain=_DOMAIN, source="Goldberg 1991",
)  # fmt: skip
OPS["quadratic_root_slope"] = Op(
    "quadratic_root_slope", 3,
    by_expansion(lambda g, a: g.div(g.node("quadratic_root", *a), _root(g, a)), 3),
    lambda x, t, q: _exact(x, t, q) / OPS["sqrt"].mpmath(x * x + q * t),
    (
        lambda g, a, y: g.neg(_over_cube(g, a, a[1])),
        lambda g, a, y: g.mul(g.const(_HALF), _over_cube(g, a, a[0])),
        _slope_by_factor,
    ),
    expand=lambda g, a: g.div(g.node("quadratic_root", *a), _root(g, a)), cost=45, domain=_DOMAIN,
    source="Goldberg 1991",
)  # fmt: skip
NAMES = frozenset(("quadratic_root", "quadratic_root_slope"))
