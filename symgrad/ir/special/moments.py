"""Moments of elliptic integrals: what the incomplete ones have as derivatives by the parameter m.

    elliptic_moment_jk(phi, m) = integral of sin(t)**(2j) (1 - m sin(t)**2)**(-k - 1/2) from 0 to phi

d/dm of the moment (j, k) is (k + 1/2) times the moment (j + 1, k + 1), and F is (0, 0), D is (1, 0). In
closed form they are differences of F, E and D over powers of m, which cancel for small m sin(phi)**2; there
the integrand is so smooth that Gauss-Legendre quadrature is exact to the last places. The closed forms, of
s = sin(phi) and the integrand's root r:

    moment (n, n - 1) = (moment (n - 1, n - 1) - moment (n - 1, n - 2))/m
    moment (n, n)     = ((2n - 1) moment (n - 1, n - 1) - moment (n, n - 1)
                         - s**(2n - 1) cos(phi)/r**(2n - 1))/((2n - 1) (1 - m))

the second by integrating the derivative of the last term. Moments beyond the rows, in fourth and higher
derivatives of F and E, are written so, quadrature and closed form, where they are needed.
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
from symgrad.ir.special.elliptic import elliptic_d_slope

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]

_NODES = 24  # positive ones of 48
_SMOOTH = (Fraction(-1), Fraction(3, 5))  # m sin(phi)**2, so that the integrand's poles are not too close
_HALF = Fraction(1, 2)
_MOST = 3  # rows up to the moment (3, 3): third derivatives of F and E
_FIRST_BY_QUADRATURE = 3  # of the complete ones
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


def _complete(g: Graph, m: int, j: int, k: int) -> int:
    """The moment of a right angle."""
    if (j, k) == (1, 1):
        return _complete_11(g, m)
    if (j, k) == (2, 1):
        return _complete_21(g, m)
    if j > k:
        closed = g.div(g.sub(_complete(g, m, k, k), _complete(g, m, k, k - 1)), m)
    else:
        closed = _beside_one(g, m, k, _complete(g, m, k - 1, k - 1), _complete(g, m, k, k - 1), g.zero)
    right = g.mul(g.const(_HALF), g.const("pi"))
    return closed if j < _FIRST_BY_QUADRATURE else _smooth_or(g, m, right, g.one, (j, k), closed)


def _beside_one(g: Graph, m: int, n: int, before: int, below: int, product: int) -> int:
    """The closed form of the moment (n, n)."""
    odd = g.const(2 * n - 1)
    numerator = g.sub(g.sub(g.mul(odd, before), below), product)
    return g.div(numerator, g.mul(odd, g.sub(g.one, m)))


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


def _quadrature(g: Graph, m: int, phi: int, j: int, k: int) -> int:
    """Of an even integrand: the positive half of the nodes."""
    total = g.zero
    for node, weight in _gauss_legendre():
        sine = g.node("sin", g.mul(g.const(node), phi))
        square = g.mul(sine, sine)
        below = g.sub(g.one, g.mul(m, square))
        power = g.mul(g.node("sqrt", below), g.integer_power(below, k))
        total = g.add(total, g.mul(g.const(weight), g.div(g.integer_power(square, j), power)))
    return g.mul(phi, total)


def _smooth_or(g: Graph, m: int, phi: int, square: int, order: tuple[int, int], otherwise: int) -> int:
    """By quadrature, or what is said where that is not exact."""
    middle, half = g.const(sum(_SMOOTH) / 2), g.const((_SMOOTH[1] - _SMOOTH[0]) / 2)
    is_smooth = g.node("lt", g.node("abs", g.sub(g.mul(m, square), middle)), half)
    return g.where(is_smooth, _quadrature(g, m, phi, *order), otherwise)


def _expanded(g: Graph, a: Args, j: int, k: int) -> int:
    m, angle = a[1], _Angle(g, *a)
    closed = _closed(g, angle, m, j, k)
    part = _smooth_or(g, m, angle.rest, angle.square, (j, k), closed)
    return angle.with_turns(g, part, _complete(g, m, j, k))


def _closed(g: Graph, angle: _Angle, m: int, j: int, k: int) -> int:
    if j > k:
        return g.div(g.sub(moment(g, angle.rest, m, k, k), moment(g, angle.rest, m, k, k - 1)), m)
    sines = g.mul(g.integer_power(angle.square, k - 1), g.mul(angle.sine, angle.cosine))
    product = g.div(sines, g.mul(g.integer_power(angle.below, k - 1), angle.root))
    below = _closed(g, angle, m, k, k - 1)  # where the closed form is taken, so is that of this
    return _beside_one(g, m, k, moment(g, angle.rest, m, k - 1, k - 1), below, product)


def moment(g: Graph, phi: int, m: int, j: int, k: int) -> int:
    """The moment (j, k) of an angle, j at most one more than k."""
    if (j, k) == (1, 0):
        return g.node("incomplete_d", phi, m)
    return g.node(f"elliptic_moment_{j}{k}", phi, m) if j <= _MOST else _expanded(g, (phi, m), j, k)


# ---- derivatives ---------------------------------------------------------------------------------


def _by_phi(j: int, k: int) -> Callable[[Graph, Args, int], int]:
    def slope(g: Graph, a: Args, y: int) -> int:
        sine = g.node("sin", a[0])
        square = g.mul(sine, sine)
        below = g.sub(g.one, g.mul(a[1], square))
        return g.div(g.integer_power(square, j), g.mul(g.integer_power(below, k), g.node("sqrt", below)))

    return slope


def _by_m(j: int, k: int) -> Callable[[Graph, Args, int], int]:
    def slope(g: Graph, a: Args, y: int) -> int:
        phi, m = a
        return g.mul(g.const(Fraction(2 * k + 1, 2)), moment(g, phi, m, j + 1, k + 1))

    return slope


def _mp_moment(j: int, k: int) -> Callable[[Any, Any], Any]:
    """The integral itself, of an integrand of order 1."""

    def call(phi: Any, m: Any) -> Any:
        import mpmath

        def integrand(u: Any) -> Any:
            sine = mpmath.sin(phi * u)
            return (sine / phi) ** (2 * j) / mpmath.sqrt(1 - m * sine * sine) ** (2 * k + 1)

        return phi ** (2 * j + 1) * mpmath.quad(integrand, [0, mpmath.mpf(1) / 2, 1]) if phi else phi

    return call


def _row(j: int, k: int, expand: Callable[[Graph, Args], int]) -> Op:
    return Op(
        f"elliptic_moment_{j}{k}", 2, by_expansion(expand, 2), _mp_moment(j, k), (_by_phi(j, k), _by_m(j, k)),
        expand=expand, cost=700, domain=_ANGLES, source="DLMF 19.4, 19.25.10, 3.5(v)",
    )  # fmt: skip


def _row_by_quadrature(j: int, k: int) -> Op:
    return _row(j, k, lambda g, a: _expanded(g, a, j, k))


ROWS: tuple[Op, ...] = (
    _row(1, 1, _expand_11),
    *(_row_by_quadrature(n, k) for n in range(2, _MOST + 1) for k in (n - 1, n)),
)
