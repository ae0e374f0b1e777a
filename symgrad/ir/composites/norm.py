"""Norms: sqrt(s) of a sum of squares s that may overflow, or lose its digits to underflow.

The squares are then summed again, of numbers divided by a power of two. It is 1 for every other s, where the
plain sum is taken to the last digit, and a constant for derivatives, which go through the divided numbers:

    scaled(x, s)          x over the power of two for s
    norm(r, s, t)         sqrt(s); r and t are the sum s of scaled numbers: r is right, and looked at, only
                          where out_of_range(s); t is there for derivatives, and never looked at
    scaled_norm(y, s, t)  sqrt(t), from y = norm(.., s, t)
    norm_cosine(x, q, h)  x/h, where h^2 is q and a multiple of x^2: by x it is q/h^3, and not 1/h - x^2/h^3
    leg(x, y)             sqrt(x^2 - y^2), by its factors and likewise; leg_cosh is x, leg_sinh y over it

So the arguments of an operation belong together. `ir/stability/norms.py` makes them.

Source: Blue 1978, A portable Fortran program to find the Euclidean norm of a vector.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.op import Op, mp_function
from symgrad.ir.ops import OPS
from symgrad.ir.signs import is_never_negative

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]

_SINGLE, _DOUBLE = (90, -100), (760, -900)  # log2 of the power, and of the s below which it is its inverse


def np_scale(s: Any) -> Any:
    s = np.real(np.asarray(s))
    power, tiny = _SINGLE if s.dtype == np.float32 else _DOUBLE
    two = s.dtype.type(2)
    return np.where(s == np.inf, two**power, np.where(s < two**tiny, two**-power, s.dtype.type(1)))


def power_of_two(g: Graph, which: int, sign: int = 1) -> int:
    """A power of two of double precision; of single precision where 2^1000 is infinite."""
    double, single = (g.const(Fraction(2) ** (sign * powers[which])) for powers in (_DOUBLE, _SINGLE))
    return g.where(g.node("eq", g.const(2**1000), g.const(float("inf"))), single, double)


def by_range(g: Graph, s: int, over: int, under: int, inside: int) -> int:
    """One of three values: for an s that has overflowed, one that has underflowed, and any other."""
    is_tiny = g.node("lt", s, power_of_two(g, 1))
    return g.where(g.node("eq", s, g.const(float("inf"))), over, g.where(is_tiny, under, inside))


def _expand_scaled(g: Graph, a: Args) -> int:
    return g.intern("mul", (a[0], by_range(g, a[1], power_of_two(g, 0, -1), power_of_two(g, 0), g.one)))


def root_in_range(g: Graph, r: int, s: int) -> int:
    """The root of the scaled sum `r`; of s itself where that is in range, which is the same number."""
    return g.intern("sqrt", (by_range(g, s, r, r, s),))


def _expand_norm(g: Graph, a: Args) -> int:
    r, s, _ = a
    scale = by_range(g, s, power_of_two(g, 0), power_of_two(g, 0, -1), g.one)
    return g.intern("mul", (scale, root_in_range(g, r, s)))


def _expand_out_of_range(g: Graph, a: Args) -> int:
    return g.node("or", g.node("eq", a[0], g.const(float("inf"))), g.node("lt", a[0], power_of_two(g, 1)))


def _norm_slope(g: Graph, a: Args, y: int) -> int:
    """(1/(2*sqrt(t)))/(1/scale), in this order: so second derivatives are in range too. 0 where the norm is.

    Where t is a sum over an axis, its root comes from the norm: only derivatives go through the sum.
    """
    r, s, t = a
    root = g.intern("sqrt", (t,)) if r == t else g.node("scaled_norm", y, s, t)
    slope = g.div(g.div(g.const(0.5), root), g.node("scaled", g.one, s))
    at_zero = root if r == t else y  # the root has a mask like this of its own
    return g.mask(g.node("ne", at_zero, g.zero), slope) if is_never_negative(g, s) else slope


def _np_leg(x: Any, y: Any) -> Any:
    with np.errstate(all="ignore"):
        x, y = np.abs(x), np.abs(y)
        scale = np_scale(np.where(x == y, x.dtype.type(np.inf), np.abs((x - y) * (x + y))))
        x, y = x / scale, y / scale
        return np.sqrt((x - y) * (x + y)) * scale


def _expand_leg(g: Graph, a: Args) -> int:
    """The power of two is by the product of the factors; small where one is 0, that the other is finite."""
    x, y = (g.node("abs", n) for n in a)
    size = g.node("abs", g.intern("mul", (g.sub(x, y), g.add(x, y))))
    s = g.where(g.node("eq", x, y), g.const(float("inf")), size)
    down, up = (
        g.intern("mul", (n, by_range(g, s, power_of_two(g, 0, -1), power_of_two(g, 0), g.one)))
        for n in (x, y)
    )
    root = g.intern("sqrt", (g.intern("mul", (g.sub(down, up), g.add(down, up))),))
    return g.intern("mul", (by_range(g, s, power_of_two(g, 0), power_of_two(g, 0, -1), g.one), root))


def _enter(name: str, arity: int, numpy: Any, mpmath: Any, partials: tuple[Any, ...], **fields: Any) -> None:
    domain = ((-2.0, 2.0), (0.1, 4.0)) if name == "scaled" else ((0.1, 4.0),) * arity
    domain = ((2.0, 4.0), (-1.9, 1.9)) if name.startswith("leg") else domain
    OPS[name] = Op(name, arity, numpy, mpmath, partials, **fields, domain=domain, source="Blue 1978")


_enter(
    "scaled", 2, lambda x, s: x / np_scale(s), lambda x, s: x,
    (lambda g, a, y: g.node("scaled", g.one, a[1]), None), expand=_expand_scaled, cost=3, total=True,
)  # fmt: skip
_enter(
    "out_of_range", 1, lambda s: np_scale(s) != 1, lambda s: False, (None,), result="bool",
    expand=_expand_out_of_range, cost=3, total=True,
)  # fmt: skip
_enter(
    "norm", 3, lambda r, s, t: np.where(np_scale(s) == 1, np.sqrt(s), np_scale(s) * np.sqrt(r)),
    lambda r, s, t: mp_function("sqrt")(t), (None, None, _norm_slope), expand=_expand_norm, cost=10,
    kink="the zero of a sum of squares (derivative 0)",
)  # fmt: skip
_enter(
    "scaled_norm", 3, lambda y, s, t: y / np_scale(s), lambda y, s, t: mp_function("sqrt")(t),
    (None, None, lambda g, a, y: g.div(g.const(0.5), y)), expand=_expand_scaled, cost=3, total=True,
)  # fmt: skip


def _cosine_by_square(g: Graph, a: Args, y: int) -> int:
    """-x/(2*h^3)."""
    return g.mul(g.const(Fraction(-1, 2)), g.div(g.div(y, a[2]), a[2]))


_enter(
    "norm_cosine", 3, lambda x, q, h: x / h, lambda x, q, h: x / h,
    (lambda g, a, y: g.div(g.div(g.div(a[1], a[2]), a[2]), a[2]), _cosine_by_square, None), formulas=1,
    expand=lambda g, a: g.div(a[0], a[2]), cost=4,
)  # fmt: skip


def _mp_leg(x: Any, y: Any) -> Any:
    return mp_function("sqrt")((x - y) * (x + y))


def _leg_product(g: Graph, a: Args, first: str, second: str) -> int:
    return g.mul(g.node(first, *a), g.div(g.node(second, *a), g.node("leg", *a)))


_enter(
    "leg", 2, _np_leg, _mp_leg,
    (lambda g, a, y: g.node("leg_cosh", *a), lambda g, a, y: g.neg(g.node("leg_sinh", *a))),
    expand=_expand_leg, cost=12,
)  # fmt: skip
# x/leg and y/leg are as cosh and sinh; by the quotient rule their derivatives would cancel.
_enter(
    "leg_cosh", 2, lambda x, y: x / _np_leg(x, y), lambda x, y: x / _mp_leg(x, y),
    (lambda g, a, y: g.neg(_leg_product(g, a, "leg_sinh", "leg_sinh")),
     lambda g, a, y: _leg_product(g, a, "leg_cosh", "leg_sinh")),
    expand=lambda g, a: g.div(a[0], g.node("leg", *a)), cost=16,
)  # fmt: skip
_enter(
    "leg_sinh", 2, lambda x, y: y / _np_leg(x, y), lambda x, y: y / _mp_leg(x, y),
    (lambda g, a, y: g.neg(_leg_product(g, a, "leg_cosh", "leg_sinh")),
     lambda g, a, y: _leg_product(g, a, "leg_cosh", "leg_cosh")),
    expand=lambda g, a: g.div(a[1], g.node("leg", *a)), cost=16,
)  # fmt: skip

NAMES = frozenset(
    ("scaled", "out_of_range", "norm", "scaled_norm", "norm_cosine")
)  # whose arguments belong together
