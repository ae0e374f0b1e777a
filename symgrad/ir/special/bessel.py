"""Bessel functions of real order, spherical Bessel functions, Airy functions: rows of the op table."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.op import NoDerivative, Op, mp_function, scipy_function
from symgrad.ir.special import bessel_ends

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
_ENDS = {"iv": bessel_ends.iv, "kv": bessel_ends.kv}

# How the function of the negative order -n follows from that of n: (-1)**n times it, or equal to it.
_ALTERNATES = {"besselj": True, "bessely": True, "besseli": False, "besselk": False}
_ALTERNATES |= {"besseli_core": False, "besselk_core": False}


def _of_order(g: Graph, op: str, order: int, x: int) -> int:
    """The function, with a negative whole order turned into the positive one."""
    q = g.rational(order)
    if q is None or q >= 0 or (q.denominator != 1 and not op.startswith("besselk")):
        return g.node(op, order, x)
    value = g.node(op, g.const(-q), x)
    return g.neg(value) if _ALTERNATES[op] and q.numerator % 2 else value


def _slope(op: str, sign: int, by: Fraction) -> Any:
    """by * (C_{n-1}(x) + sign * C_{n+1}(x)): DLMF 10.6.1 and 10.29.1; no quotient, so finite at x = 0."""

    def slope(g: Graph, a: Args, y: int) -> int:
        below = _of_order(g, op, g.sub(a[0], g.one), a[1])
        above = _of_order(g, op, g.add(a[0], g.one), a[1])
        both = g.add(below, above) if sign > 0 else g.sub(below, above)
        return g.mul(g.const(by), both)

    return slope


def _by_order(op: str) -> NoDerivative:
    return NoDerivative(
        op,
        "order",
        "it has no closed form in functions that targets have (DLMF 10.15, 10.38)",
        "differentiate by the argument only, and give the order as a number or by data",
    )


def _bessel(op: str, scipy: str, sign: int, by: Fraction, source: str, domain: tuple[float, float]) -> Op:
    """The row; one that ends in "_core" is the same function, which stability rules leave alone."""
    name = op.removesuffix("_core")
    return Op(
        op, 2, _ENDS.get(scipy) or scipy_function(scipy), mp_function(name),
        (_by_order(op), _slope(op, sign, by)),
        sympy=op if op == name else "", c=f"{{own}}{name}({{0}}, {{1}})", cost=300,
        llvm=f"external {scipy} orders {scipy[0]}0 {scipy[0]}1",
        domain=((0.0, 5.0), domain), source=source,
    )  # fmt: skip


# ---- spherical -----------------------------------------------------------------------------------


def _spherical_slope(op: str) -> Any:
    """(n C_{n-1} - (n + 1) C_{n+1})/(2n + 1): DLMF 10.51.2."""

    def slope(g: Graph, a: Args, y: int) -> int:
        n = a[0]
        next_n = g.add(n, g.one)
        above = g.mul(next_n, g.node(op, next_n, a[1]))
        if n == g.zero:
            return g.neg(above)
        below = g.mul(n, g.node(op, g.sub(n, g.one), a[1]))
        return g.div(g.sub(below, above), g.add(g.add(n, n), g.one))

    return slope


def _expand_spherical(op: str, at_zero: str) -> Any:
    """sqrt(pi/(2|x|)) times the function of order n + 1/2, DLMF 10.47.3; even or odd in x as n is."""

    def expand(g: Graph, a: Args) -> int:
        n, x = a
        if n == g.zero and op == "besselj":
            return g.node("sinc", x)
        size = g.node("abs", x)
        half_pi = g.mul(g.const(Fraction(1, 2)), g.const("pi"))
        cylinder = g.node(op, g.add(n, g.const(Fraction(1, 2))), size)
        value = g.mul(g.node("sqrt", g.div(half_pi, size)), cylinder)
        is_odd = g.node("ne", g.node("mod", n, g.const(2)), g.zero)
        flips = is_odd if at_zero == "finite" else g.node("not", is_odd)
        value = g.where(g.node("and", flips, g.node("lt", x, g.zero)), g.neg(value), value)
        infinity = g.const(float("inf"))
        value = g.where(g.node("eq", size, infinity), g.zero, value)
        first = g.where(g.node("eq", n, g.zero), g.one, g.zero)
        zero = first if at_zero == "finite" else g.neg(infinity)
        return g.where(g.node("eq", x, g.zero), zero, value)

    return expand


def _np_spherical(name: str) -> Any:
    def call(n: Any, x: Any) -> Any:
        import scipy.special

        n, x = np.asarray(n), np.asarray(x)
        order, wide = n.astype(int), x.astype(np.float64)
        other = "spherical_yn" if name == "spherical_jn" else "spherical_jn"
        mirrored = getattr(scipy.special, other)(np.maximum(-order - 1, 0), wide)  # DLMF 10.47.10, 10.47.11
        sign = np.where((order % 2 == 0) == (name == "spherical_jn"), 1, -1)
        value = getattr(scipy.special, name)(np.maximum(order, 0), wide)
        value = np.where(order < 0, sign * mirrored, value)
        return np.where(np.isnan(x), np.nan, value).astype(np.result_type(n, x))[()]

    return call


def _mp_spherical(name: str) -> Any:
    def call(n: Any, x: Any) -> Any:
        import mpmath

        if x == 0:
            return -mpmath.inf if name == "bessely" else mpmath.mpf(int(n == 0))
        half = mpmath.mpf(1) / 2
        size = abs(x)
        value = mpmath.sqrt(mpmath.pi / (2 * size)) * getattr(mpmath, name)(n + half, size)
        flips = n % 2 == 0 if name == "bessely" else n % 2 != 0
        return -value if x < 0 and flips else value

    return call


# ---- Airy ----------------------------------------------------------------------------------------


def _airy(name: str, place: int, slope: Any, source: str) -> Op:
    function = mp_function(name.removesuffix("prime"))
    order = int(name.endswith("prime"))
    return Op(
        name, 1, scipy_function("airy", place), lambda x: function(x, derivative=order), (slope,),
        sympy=name, c=f"{{own}}{name}({{0}})", llvm=f"external airy {place} of 4", cost=200,
        domain=((-3.0, 3.0),), source=source,
    )  # fmt: skip


ROWS: tuple[Op, ...] = (
    _bessel("besselj", "jv", -1, Fraction(1, 2), "DLMF 10.2.2, 10.6.1", (0.1, 2.0)),
    _bessel("bessely", "yv", -1, Fraction(1, 2), "DLMF 10.2.3, 10.6.1", (0.1, 0.8)),
    _bessel("besseli", "iv", 1, Fraction(1, 2), "DLMF 10.25.2, 10.29.1", (0.1, 20.0)),
    _bessel("besselk", "kv", 1, Fraction(-1, 2), "DLMF 10.25.3, 10.29.1", (0.1, 20.0)),
    _bessel("besseli_core", "iv", 1, Fraction(1, 2), "DLMF 10.25.2, 10.29.1", (0.1, 20.0)),
    _bessel("besselk_core", "kv", 1, Fraction(-1, 2), "DLMF 10.25.3, 10.29.1", (0.1, 20.0)),
    Op(
        "spherical_jn", 2, _np_spherical("spherical_jn"), _mp_spherical("besselj"),
        (_by_order("jn"), _spherical_slope("spherical_jn")),
        sympy="jn", expand=_expand_spherical("besselj", "finite"), cost=320,
        domain=((0.0, 5.0), (0.1, 2.0)), source="DLMF 10.47.3, 10.51.2",
    ),
    Op(
        "spherical_yn", 2, _np_spherical("spherical_yn"), _mp_spherical("bessely"),
        (_by_order("yn"), _spherical_slope("spherical_yn")),
        sympy="yn", expand=_expand_spherical("bessely", "infinite"), cost=320,
        domain=((0.0, 5.0), (0.1, 1.0)), source="DLMF 10.47.4, 10.51.2",
    ),
    _airy("airyai", 0, lambda g, a, y: g.node("airyaiprime", a[0]), "DLMF 9.2"),
    _airy("airyaiprime", 1, lambda g, a, y: g.mul(a[0], g.node("airyai", a[0])), "DLMF 9.2.1"),
    _airy("airybi", 2, lambda g, a, y: g.node("airybiprime", a[0]), "DLMF 9.2"),
    _airy("airybiprime", 3, lambda g, a, y: g.mul(a[0], g.node("airybi", a[0])), "DLMF 9.2.1"),
)  # fmt: skip
