"""Moments of elliptic integrals: what the incomplete ones have as derivatives by the parameter m.

    elliptic_moment_jk(phi, m) = integral of sin(t)**(2j) (1 - m sin(t)**2)**(-k - 1/2) from 0 to phi

d/dm of the moment (j, k) is (k + 1/2) times the moment (j + 1, k + 1), and F is (0, 0), D is (1, 0). In
closed form they are differences of F, E and D over powers of m, which cancel for small m sin(phi)**2; there
the integrand is so smooth that Gauss-Legendre quadrature is exact to the last places. Third derivatives of F
and E by m, which are beyond (2, 2), have the closed forms only.
Source: DLMF 19.4, 19.25.9, 19.25.10, 3.5(v).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op
from symgrad.ir.special_elliptic import elliptic_d_slope

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]

_NODES = 12  # positive ones of 24: enough for |m sin(phi)**2| < 1/2
_HALF = Fraction(1, 2)
_ANGLES = ((-1.4, 1.4), (-3.0, 0.95))


class _Angle:
    """phi = turns*pi + r, and sine, cosine, 1 - m sin**2 and its root at r."""

    def __init__(self, g: Graph, phi: int, m: int) -> None:
        pi = g.const("pi")
        self.turns = g.node("floor", g.add(g.div(phi, pi), g.const(_HALF)))
        self.rest = g.sub(phi, g.mul(self.turns, pi))
        self.sine, self.cosine = g.node("sin", self.rest), g.node("cos", self.rest)
        self.square = g.mul(self.sine, self.sine)
        self.below = g.sub(g.one, g.mul(m, self.square))
        self.root = g.node("sqrt", self.below)

    def with_turns(self, g: Graph, part: int, complete: int) -> int:
        whole = g.mul(g.mul(g.const(2), self.turns), complete)
        return g.add(part, g.mask(g.node("ne", self.turns, g.zero), whole))


def _complete_11(g: Graph, m: int) -> int:
    rest = g.sub(g.node("elliptic_k", m), g.node("elliptic_d", m))
    return g.div(rest, g.sub(g.one, m))


def _complete_21(g: Graph, m: int) -> int:
    return g.mul(g.const(2), elliptic_d_slope(g, (m,), g.node("elliptic_d", m)))


def _complete_22(g: Graph, m: int) -> int:
    first = g.sub(g.mul(g.const(3), _complete_11(g, m)), _complete_21(g, m))
    return g.div(first, g.mul(g.const(3), g.sub(g.one, m)))


# ---- values --------------------------------------------------------------------------------------


def _expand_11(g: Graph, a: Args) -> int:
    """sin**3/3 R_D(cos**2, 1, 1 - m sin**2), DLMF 19.25.10, scaled to a last argument of 1."""
    m = a[1]
    angle = _Angle(g, *a)
    carlson = g.node(
        "elliprd", g.div(g.mul(angle.cosine, angle.cosine), angle.below), g.div(g.one, angle.below)
    )
    third = g.div(carlson, g.mul(g.const(3), g.mul(angle.below, angle.root)))
    part = g.mul(g.mul(angle.square, angle.sine), third)
    return angle.with_turns(g, part, _complete_11(g, m))


@cache
def _gauss_legendre() -> list[tuple[Fraction, Fraction]]:
    """Positive nodes and weights, rounded once: NumPy's after a step of Newton's method with more digits."""
    import mpmath

    count, rule = 2 * _NODES, []
    with mpmath.workdps(40):
        for start in np.polynomial.legendre.leggauss(count)[0][_NODES:].tolist():
            x = mpmath.mpf(start)
            for _ in range(3):
                value, before = mpmath.mpf(1), mpmath.mpf(0)
                for n in range(1, count + 1):
                    value, before = ((2 * n - 1) * x * value - (n - 1) * before) / n, value
                slope = count * (x * value - before) / (x * x - 1)
                x -= value / slope
            rule.append((Fraction(float(x)), Fraction(float(2 / ((1 - x * x) * slope**2)))))
    return rule


def _quadrature(g: Graph, m: int, angle: _Angle, j: int, k: int) -> int:
    """Of an even integrand: the positive half of the nodes."""
    total = g.zero
    for node, weight in _gauss_legendre():
        sine = g.node("sin", g.mul(g.const(node), angle.rest))
        square = g.mul(sine, sine)
        below = g.sub(g.one, g.mul(m, square))
        power = g.mul(g.node("sqrt", below), g.integer_power(below, k))
        total = g.add(total, g.mul(g.const(weight), g.div(g.integer_power(square, j), power)))
    return g.mul(angle.rest, total)


def _smooth_or(g: Graph, m: int, angle: _Angle, order: tuple[int, int], otherwise: int) -> int:
    size = g.node("abs", g.mul(m, angle.square))
    is_smooth = g.node("lt", size, g.const(_HALF))
    return g.where(is_smooth, _quadrature(g, m, angle, *order), otherwise)


def _closed_21(g: Graph, rest: int, m: int) -> int:
    """(moment 11 - D)/m."""
    difference = g.sub(g.node("elliptic_moment_11", rest, m), g.node("incomplete_d", rest, m))
    return g.div(difference, m)


def _expand_21(g: Graph, a: Args) -> int:
    m, angle = a[1], _Angle(g, *a)
    part = _smooth_or(g, m, angle, (2, 1), _closed_21(g, angle.rest, m))
    return angle.with_turns(g, part, _complete_21(g, m))


def _expand_22(g: Graph, a: Args) -> int:
    """2/3 of the derivative of (F - D - sin cos/root)/(1 - m), which is the moment 11."""
    m, angle = a[1], _Angle(g, *a)
    product = g.div(g.mul(angle.square, g.mul(angle.sine, angle.cosine)), g.mul(angle.below, angle.root))
    first = g.mul(g.const(3), g.node("elliptic_moment_11", angle.rest, m))
    numerator = g.sub(g.sub(first, _closed_21(g, angle.rest, m)), product)
    closed = g.div(numerator, g.mul(g.const(3), g.sub(g.one, m)))
    part = _smooth_or(g, m, angle, (2, 2), closed)
    return angle.with_turns(g, part, _complete_22(g, m))


# ---- derivatives ---------------------------------------------------------------------------------


def _by_phi(j: int, k: int) -> Callable[[Graph, Args, int], int]:
    def slope(g: Graph, a: Args, y: int) -> int:
        sine = g.node("sin", a[0])
        square = g.mul(sine, sine)
        below = g.sub(g.one, g.mul(a[1], square))
        return g.div(g.integer_power(square, j), g.mul(g.integer_power(below, k), g.node("sqrt", below)))

    return slope


def _11_by_m(g: Graph, a: Args, y: int) -> int:
    return g.mul(g.const(Fraction(3, 2)), g.node("elliptic_moment_22", *a))


def _21_by_m(g: Graph, a: Args, y: int) -> int:
    """3/2 of the moment 32, (moment 22 - moment 21)/m."""
    moment = g.div(g.sub(g.node("elliptic_moment_22", *a), y), a[1])
    return g.mul(g.const(Fraction(3, 2)), moment)


def _22_by_m(g: Graph, a: Args, y: int) -> int:
    """The derivative of (3 G11 - G21 - sin**3 cos/root**3)/(3 (1 - m))."""
    phi, m = a
    sine, cosine = g.node("sin", phi), g.node("cos", phi)
    square = g.mul(sine, sine)
    below = g.sub(g.one, g.mul(m, square))
    fifth = g.mul(g.mul(below, below), g.node("sqrt", below))
    product = g.div(g.mul(g.mul(square, square), g.mul(sine, cosine)), fifth)
    lower = _21_by_m(g, a, g.node("elliptic_moment_21", *a))
    first = g.mul(g.const(Fraction(9, 2)), y)
    numerator = g.sub(g.sub(first, lower), g.mul(g.const(Fraction(3, 2)), product))
    rest = g.sub(g.one, m)
    return g.div(g.add(g.div(numerator, g.const(3)), y), rest)


def _mp_moment(j: int, k: int) -> Callable[[Any, Any], Any]:
    """The integral itself, of an integrand of order 1."""

    def call(phi: Any, m: Any) -> Any:
        import mpmath

        def integrand(u: Any) -> Any:
            sine = mpmath.sin(phi * u)
            return (sine / phi) ** (2 * j) / mpmath.sqrt(1 - m * sine * sine) ** (2 * k + 1)

        return phi ** (2 * j + 1) * mpmath.quad(integrand, [0, mpmath.mpf(1) / 2, 1]) if phi else phi

    return call


def _moment(
    j: int, k: int, expand: Callable[[Graph, Args], int], by_m: Callable[[Graph, Args, int], int]
) -> Op:
    return Op(
        f"elliptic_moment_{j}{k}", 2, by_expansion(expand, 2), _mp_moment(j, k), (_by_phi(j, k), by_m),
        expand=expand, cost=700, domain=_ANGLES, source="DLMF 19.4, 19.25.10, 3.5(v)",
    )  # fmt: skip


ROWS: tuple[Op, ...] = (
    _moment(1, 1, _expand_11, _11_by_m),
    _moment(2, 1, _expand_21, _21_by_m),
    _moment(2, 2, _expand_22, _22_by_m),
)
