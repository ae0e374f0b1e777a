"""Differences of polygamma functions, without cancellation: rows of the op table.

    polygamma_rise_n(x, d) = polygamma(n, x + d) - polygamma(n, x)        n = 0, 1, 2

They are the derivatives of beta, binomial and rising factorial; beside a large x a small d would leave no
digits.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import factorial, prod
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op, mp_function

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]

ORDERS = 3
_DIRECT_TERMS = 10
_BERNOULLI = tuple(  # B_2, B_4, ..., B_20 (DLMF table 24.2.1)
    Fraction(n, d)
    for n, d in (
        (1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510), (43867, 798),
        (-174611, 330),
    )
)  # fmt: skip


def polygamma_node(g: Graph, n: int, x: int) -> int:
    return g.node("digamma", x) if n == 0 else g.node("polygamma", g.const(n), x)


def rise(g: Graph, x: int, d: int) -> int:
    """digamma(x + d) - digamma(x)."""
    return g.node("polygamma_rise_0", x, d)


class _Powers:
    """(x + d)**-e - x**-e for e = 1, 2, ... from the inverses u = 1/x, v = 1/(x + d), and v - u = -d u v."""

    def __init__(self, g: Graph, x: int, end: int, d: int) -> None:
        self.g = g
        self.u, self.v = g.div(g.one, x), g.div(g.one, end)
        least, most = (g.node(op, self.u, self.v) for op in ("minimum", "maximum"))
        self.first = g.neg(g.mul(g.mul(d, least), most))  # in this order it is in range
        self.found = [g.zero, self.first]
        self.power = g.one  # of u

    def __getitem__(self, exponent: int) -> int:
        g = self.g
        while len(self.found) <= exponent:
            self.power = g.mul(self.power, self.u)
            self.found.append(g.add(g.mul(self.v, self.found[-1]), g.mul(self.power, self.first)))
        return self.found[exponent]


def _total(g: Graph, terms: list[int]) -> int:
    total = terms[0]
    for term in terms[1:]:
        total = g.add(total, term)
    return total


def _log_of_growth(g: Graph, step: int, start: int) -> int:
    """log((start + step)/start), also where next to nothing of the start is left."""
    t = g.div(step, start)
    falls = g.node("lt", t, g.const(Fraction(-1, 2)))
    left = g.node("log", g.where(falls, g.div(g.add(start, step), start), g.one))
    return g.where(falls, left, g.node("log1p", g.where(falls, g.zero, t)))


def _expand(n: int) -> Callable[[Graph, Args], int]:
    """By terms of the series (DLMF 5.7.6, 5.15.1), and of the asymptotic one after ten (5.11.2, 5.15.8)."""

    def expand(g: Graph, a: Args) -> int:
        x, d = a
        end = g.add(x, d)
        above = g.node("and", g.node("lt", g.zero, x), g.node("lt", g.zero, end))
        inside = g.node("and", above, g.node("lt", d, g.const(float("inf"))))
        start, step = g.where(inside, x, g.one), g.where(inside, d, g.one)
        stop = g.where(inside, end, g.const(2))
        near = [
            _Powers(g, g.add(start, g.const(k)), g.add(stop, g.const(k)), step)[n + 1]
            for k in range(_DIRECT_TERMS)
        ]
        far = g.add(start, g.const(_DIRECT_TERMS))
        powers = _Powers(g, far, g.add(stop, g.const(_DIRECT_TERMS)), step)
        # polygamma(n, z) = sign * (the sum of z**-(n + 1) over k, and the rest): n! = 1 for n = 0
        leading = g.neg(_log_of_growth(g, step, far)) if n == 0 else g.div(powers[n], g.const(n))
        rest = [leading, g.mul(g.const(Fraction(1, 2)), powers[n + 1])]
        for j, bernoulli in enumerate(_BERNOULLI, start=1):
            factor = bernoulli * prod(range(n + 1, n + 2 * j)) / factorial(2 * j)
            rest.append(g.mul(g.const(factor), powers[n + 2 * j]))
        value = g.add(_total(g, rest[::-1]), _total(g, near[::-1]))
        value = g.mul(g.const((-1) ** (n + 1) * factorial(n)), value)
        direct = g.sub(polygamma_node(g, n, end), polygamma_node(g, n, x))
        return g.where(inside, value, direct)

    return expand


def _by_start(n: int) -> Callable[[Graph, Args, int], int]:
    def slope(g: Graph, a: Args, y: int) -> int:
        if n + 1 < ORDERS:
            return g.node(f"polygamma_rise_{n + 1}", *a)
        return g.sub(polygamma_node(g, n + 1, g.add(*a)), polygamma_node(g, n + 1, a[0]))

    return slope


def _by_step(n: int) -> Callable[[Graph, Args, int], int]:
    return lambda g, a, y: polygamma_node(g, n + 1, g.add(*a))


def _exact(n: int) -> Callable[[Any, Any], Any]:
    return lambda x, d: mp_function("polygamma")(n, x + d) - mp_function("polygamma")(n, x)


ROWS: tuple[Op, ...] = tuple(
    Op(
        f"polygamma_rise_{n}", 2, by_expansion(_expand(n), 2), _exact(n), (_by_start(n), _by_step(n)),
        expand=_expand(n), cost=300, domain=((0.1, 8.0), (0.1, 8.0)), source="DLMF 5.7.6, 5.11.2, 5.15",
    )
    for n in range(ORDERS)
)  # fmt: skip
