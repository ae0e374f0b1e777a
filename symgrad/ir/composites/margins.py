"""Rows for differences of two shares of one sum: x and y, and all others that the sum is of.

    margin(x, y, z, ..)        m = p - q, for the shares p and q of x and y
    margin_slope(x, y, z, ..)  p*(1 - m), its derivative by x; that by y is -q*(1 + m)

The one of the two that is less is the other times exp(-|x - y|), so that nothing cancels in m. In 1 - m
nothing does that is made of shares, 2*q + r, where r is what x and y leave; nor in the derivatives of it,

    p*(1 - m)*(r - m) by x        2*p*q*m by y        -p*s*(1 - 2*m) by z, whose share is s

As a formula of p and m that by y were -p*q*(1 - m) + p*q*(1 + m), of which nothing is left where m is small.

Source: Blanchard, Higham & Higham 2021, section 4; Higham 2002, section 1.14.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.composites.softmax import of_some, share, share_of_others
from symgrad.ir.op import Op, Partial, mp_function
from symgrad.ir.ops import OPS
from symgrad.ir.stability.patterns import difference_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
_LEAST = 3
_SOURCE = "Blanchard, Higham & Higham 2021"


def margin(g: Graph, x: int, y: int, rest: Sequence[int]) -> int:
    """p - q; the opposite is made of the same node."""
    made = g.node("margin", min(x, y), max(x, y), *sorted(rest))
    return made if x < y else g.neg(made)


def margin_slope(g: Graph, x: int, y: int, rest: Sequence[int]) -> int:
    """p*(1 - m)."""
    return g.node("margin_slope", x, y, *sorted(rest))


def _share(g: Graph, a: Args, k: int) -> int:
    return share(g, a[k], (*a[:k], *a[k + 1 :]))


def _rest(g: Graph, a: Args) -> int:
    """r."""
    return of_some(g, a, 0, range(2, len(a)))


def _rest_less_margin(g: Graph, a: Args) -> int:
    """r - m, which is 1 - 2*p."""
    return g.sub(_rest(g, a), margin(g, a[0], a[1], a[2:]))


def _one_less_twice(g: Graph, a: Args) -> int:
    """1 - 2*m."""
    return g.add(g.mul(g.const(2), _share(g, a, 1)), _rest_less_margin(g, a))


# ---- derivatives -------------------------------------------------------------------------------


def _margin_by(k: int) -> Partial:
    def partial(g: Graph, a: Args, y: int) -> int:
        if k == 0:
            return margin_slope(g, a[0], a[1], a[2:])
        if k == 1:
            return g.neg(margin_slope(g, a[1], a[0], a[2:]))
        return g.neg(g.mul(_share(g, a, k), y))

    return partial


def _slope_by(k: int) -> Partial:
    def partial(g: Graph, a: Args, y: int) -> int:
        if k == 0:
            return g.mul(y, _rest_less_margin(g, a))
        if k == 1:
            return _slope_by_other(g, a)
        return g.neg(g.mul(g.mul(_share(g, a, 0), _share(g, a, k)), _one_less_twice(g, a)))

    return partial


def _slope_by_other(g: Graph, a: Args) -> int:
    """2*p*q*m."""
    both = g.mul(_share(g, a, 0), _share(g, a, 1))
    return g.mul(g.mul(g.const(2), both), margin(g, a[0], a[1], a[2:]))


def _push_margin(g: Graph, a: Args, y: int, dots: Mapping[int, int]) -> int:
    """2*p*q*(dx - dy) + sum(s*(p*(dx - dz) - q*(dy - dz))) by differences, of which equal ones are none."""
    dx, dy = (dots.get(n, g.zero) for n in a[:2])
    p, q = _share(g, a, 0), _share(g, a, 1)
    total = g.mul(g.mul(g.const(2), g.mul(p, q)), g.sub(dx, dy))
    for k, z in enumerate(a[2:], 2):
        dz = dots.get(z, g.zero)
        moved = g.mul(y, g.sub(dx, dz))  # where x and y move alike
        if dx != dy:
            apart = g.sub(g.mul(p, g.sub(dx, dz)), g.mul(q, g.sub(dy, dz)))
            moved = g.where(g.node("eq", dx, dy), moved, apart)
        total = g.add(total, g.mul(_share(g, a, k), moved))
    return total


def _push_slope(g: Graph, a: Args, y: int, dots: Mapping[int, int]) -> int:
    """2*p*q*m*(dy - dx) - p*(1 - 2*m)*sum(s*(dz - dx))."""
    dx, dy = (dots.get(n, g.zero) for n in a[:2])
    moved = g.zero
    for k, z in enumerate(a[2:], 2):
        moved = g.add(moved, g.mul(_share(g, a, k), g.sub(dots.get(z, g.zero), dx)))
    away = g.mul(g.mul(_share(g, a, 0), _one_less_twice(g, a)), moved)
    return g.sub(g.mul(_slope_by_other(g, a), g.sub(dy, dx)), away)


# ---- in other ops ------------------------------------------------------------------------------


def _expand_margin(g: Graph, a: Args) -> int:
    """The larger share times 1 - exp(-|x - y|); equal infinities are 0 apart."""
    x, y = a[:2]
    apart = g.where(g.node("eq", x, y), g.zero, g.node("abs", difference_of(g, x, y)))
    large = g.where(g.node("lt", x, y), _share(g, a, 1), g.neg(_share(g, a, 0)))
    return g.mul(large, g.node("expm1", g.neg(apart)))


def _expand_slope(g: Graph, a: Args) -> int:
    return g.mul(_share(g, a, 0), g.add(share_of_others(g, a[0], a[1:]), _share(g, a, 1)))


# ---- NumPy, also of complex numbers, by their real parts; mpmath -----------------------------------


def _np_shares(a: Sequence[Any]) -> tuple[Any, Any, Any]:
    """p, q and 1 - p."""
    row, others = OPS["share"].numpy, OPS["share_of_others"].numpy
    return row(*a), row(a[1], a[0], *a[2:]), others(*a)


def _np_margin(*a: Any) -> Any:
    x, y = a[:2]
    p, q, _ = _np_shares(a)
    is_less = np.real(x) < np.real(y)
    with np.errstate(invalid="ignore"):
        apart = np.where(x == y, np.zeros_like(x - y), np.where(is_less, x - y, y - x))
    return (np.where(is_less, q, -p) * np.expm1(apart)).astype(np.result_type(*a))[()]


def _np_slope(*a: Any) -> Any:
    p, q, others = _np_shares(a)
    return (p * (others + q)).astype(np.result_type(*a))[()]


def _mp_margin(*a: Any) -> Any:
    exp = mp_function("exp")
    return exp(a[1]) * mp_function("expm1")(a[0] - a[1]) / sum(map(exp, a))


def _mp_slope(*a: Any) -> Any:
    x, y, *rest = map(mp_function("exp"), a)
    return x * (2 * y + sum(rest)) / (x + y + sum(rest)) ** 2


def _enter(name: str, by: Callable[[int], Partial], numpy: Any, mpmath: Any, **fields: Any) -> None:
    partials = tuple(by(k) for k in range(_LEAST))
    OPS[name] = Op(
        name, _LEAST, numpy, mpmath, partials, further=by, source=_SOURCE, total=True, cost=90, **fields
    )


_enter("margin", _margin_by, _np_margin, _mp_margin, expand=_expand_margin, tangent=_push_margin)
_enter("margin_slope", _slope_by, _np_slope, _mp_slope, expand=_expand_slope, tangent=_push_slope)
