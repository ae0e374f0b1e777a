"""Differences of one power at two arguments, without cancellation: a row of the op table.

    pow_difference(c, u, v, p) = (c + u)^p - (c + v)^p

Where a = c + u and b = c + v are of one sign and size it is b^p (exp(p*l) - 1) with l = log(1 + (u - v)/b).
A power that is a small whole number is a polynomial in the middle of a and b and half their distance, in
which all signs are equal, times both where the exponent is even: nothing cancels wherever they are.

Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, sections 1.7 and 1.14; DLMF 1.2(i).
"""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.composites.differences import Args, difference_node, middle, of_one_size
from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op
from symgrad.ir.ops import OPS

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_PRODUCTS = 8
_MORE = 3  # times as many digits for what is exact


def power_difference(g: Graph, c: int, u: int, v: int, p: int) -> int:
    """a^p - b^p."""
    exponent = g.rational(p)
    if exponent == 0:
        return g.zero
    if exponent == 1:
        return g.sub(u, v)
    if exponent == -1:
        return difference_node(g, "reciprocal", c, u, v)
    is_central = g.neg(u) == v  # both slopes are sums then
    products = _products(g, c, u, v, p) if is_central else None
    if products is not None:
        return g.mul(g.mul(g.const(2), u), products)
    return g.node("pow_difference", c, u, v, p)


def power_slope(g: Graph, c: int, u: int, v: int, p: int) -> int:
    """The same over u - v, with its limit at u = v."""
    a, b, d = g.add(c, u), g.add(c, v), g.sub(u, v)
    products = _products(g, c, u, v, p)
    if products is not None:
        return products
    t, near = _near(g, a, b, d, p)
    rate = g.mul(p, g.div(g.node("pow", b, p), b))
    regular = g.mul(
        rate, g.mul(g.node("exprel", g.mul(p, g.mul(t, g.node("log1prel", t)))), g.node("log1prel", t))
    )
    apart = g.div(power_difference(g, c, u, v, p), g.where(near, g.one, d))
    return g.where(near, regular, apart)


def _products(g: Graph, c: int, u: int, v: int, p: int) -> int | None:
    """(a^n - b^n)/(u - v) for a small whole number n.

    With a = m + h and b = m - h it is the sum of C(n, k) m^(n - k) h^(k - 1) over odd k.
    """
    n = g.rational(p)
    if n is None or n.denominator != 1 or not 0 < n <= _MOST_PRODUCTS:
        return None
    m = middle(g, (c, u, v))
    h = u if g.neg(u) == v else g.mul(g.const(Fraction(1, 2)), g.sub(u, v))
    total, power = g.zero, g.one
    for k in range(1, int(n) + 1, 2):
        more = g.integer_power(m, int(n) - k)
        total = g.add(total, g.mul(g.const(comb(int(n), k)), g.mul(more, power)))
        power = g.mul(power, g.mul(h, h))
    return total


def _near(g: Graph, a: int, b: int, d: int, p: int) -> tuple[int, int]:
    """d/b, and whether both are of one size and their powers too."""
    is_alike = of_one_size(g, a, b, d)
    t = g.div(g.where(is_alike, d, g.zero), g.where(is_alike, b, g.one))
    growth = g.node("abs", g.mul(p, g.node("log1p", t)))
    return t, g.node("and", is_alike, g.node("lt", growth, g.one))


def _expand(g: Graph, args: Args) -> int:
    c, u, v, p = args
    a, b, d = g.add(c, u), g.add(c, v), g.intern("sub", (u, v))
    products = _products(g, c, u, v, p)
    if products is not None:
        return g.mul(d, products)
    below = g.node("pow", b, p)
    t, near = _near(g, a, b, d, p)
    together = g.mul(below, g.node("expm1", g.mul(p, g.node("log1p", t))))
    return g.where(near, together, g.intern("sub", (g.node("pow", a, p), below)))


_of_any = by_expansion(_expand, 4)


def _numpy(c: Any, u: Any, v: Any, p: Any) -> Any:
    """By what the exponent is, which the expansion does not see in an array."""
    exponents = np.unique(np.real(p))
    n = int(exponents[0]) if exponents.size == 1 and exponents[0] in range(2, _MOST_PRODUCTS + 1) else 0
    if not n:
        return _of_any(c, u, v, p)
    with np.errstate(all="ignore"):
        m, h = c + (u + v) / 2, (u - v) / 2
        return (u - v) * sum(comb(n, k) * m ** (n - k) * h ** (k - 1) for k in range(1, n + 1, 2))


def _exact(c: Any, u: Any, v: Any, p: Any) -> Any:
    import mpmath

    with mpmath.workprec(_MORE * mpmath.mp.prec):
        made = OPS["pow"].mpmath(c + u, p) - OPS["pow"].mpmath(c + v, p)
    return +made


def _rate(g: Graph, x: int, p: int, place: int) -> int:
    q = g.rational(p)
    if place == 0 and q is not None and q.denominator == 1 and q < 0:
        # by powers of 1/x: the slope of a quotient by x^n would leave the range
        return g.mul(p, g.node("pow", g.div(g.one, x), g.sub(g.one, p)))
    made = OPS["pow"].partials[place]
    assert made is not None
    return made(g, (x, p), g.node("pow", x, p))


def _by_common(g: Graph, a: Args, y: int) -> int:
    c, u, v, p = a
    return g.mul(p, power_difference(g, c, u, v, g.sub(p, g.one)))


def _by_exponent(g: Graph, a: Args, y: int) -> int:
    """a^p log(a) - b^p log(b) = (a^p - b^p)*(log(b) + l) + b^p l, where l = log(a) - log(b)."""
    c, u, v, p = a
    first, second = g.add(c, u), g.add(c, v)
    near = of_one_size(g, first, second, g.intern("sub", (u, v)))
    rise = difference_node(g, "log", c, u, v)
    start = g.node("log", g.where(near, second, g.one))
    together = g.add(g.mul(y, g.add(start, rise)), g.mul(g.node("pow", second, p), rise))
    return g.where(near, together, g.intern("sub", (_rate(g, first, p, 1), _rate(g, second, p, 1))))


OPS["pow_difference"] = Op(
    "pow_difference", 4, _numpy, _exact,
    (
        _by_common,
        lambda g, a, y: _rate(g, g.add(a[0], a[1]), a[3], 0),
        lambda g, a, y: g.neg(_rate(g, g.add(a[0], a[2]), a[3], 0)),
        _by_exponent,
    ),
    expand=_expand, cost=150, domain=((0.5, 1.5), (-0.25, 0.25), (-0.25, 0.25), (0.5, 3.0)),
    source="this module",
)  # fmt: skip
