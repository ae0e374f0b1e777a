"""Modified Bessel functions far out, without the exponential that overflows or underflows, and their slopes.

    besselk_far_k(v, x)    (-d/dx)**k of exp(x)*K_v(x)     for x >= 8
    besseli_far_k(v, x)    (-d/dx)**k of exp(-x)*I_v(x)    for x >= 30

(k = 0 is not written.) By the recurrences of DLMF 10.29 they are differences of order 2*k, which lose x**k.
They are integrals of (cosh(t) - 1)**k * exp(-x*(cosh(t) - 1)) * cosh(v*t), and of the same in an angle
(DLMF 10.32.9, 10.32.4; of the latter what is below exp(-2*x) is left out). With s = sqrt(2*x)*sinh(t/2) the
exponential is exp(-s**2), and the trapezoidal rule is exact to the last places from so small an x on: a sum
of a few terms, for K all positive (Trefethen & Weideman 2014, The exponentially convergent trapezoidal rule).

Where the order is large beside sqrt(x) the integrand oscillates or grows, and little is lost by differences.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import comb, exp, pi, sqrt
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import NoDerivative, Op, scipy_function
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]

MOST = 4  # rows up to the fourth derivative
_STEP = Fraction(2, 5)  # of s: what the rule leaves out is exp(-(pi/0.4)**2), also times s**8
_LAST = 7.2  # exp(-s**2)*s**8 is below 1e-15 from here on; less than sqrt(2*x)
_POLYNOMIALS = 3  # whole orders up to here by Chebyshev polynomials


@dataclass(frozen=True)
class Kind:
    """One of the two functions.

    start   the least argument.
    sign    of the argument in the exponential that is taken out: exp(-sign*x) is a factor of the function.
    ratio   the quadrature holds where v**2 <= ratio*x.
    """

    op: str
    start: int
    sign: int
    ratio: int

    def row(self, k: int) -> str:
        return f"{self.op}_far_{k}" if k else f"{self.op}_far"

    @property
    def scaled(self) -> str:
        """The whole function as SciPy computes it, for large orders."""
        return f"{self.op}_scaled_core"


K = Kind("besselk", 8, 1, 32)
I = Kind("besseli", 30, -1, 8)  # noqa: E741  # its name (DLMF 10.25)
KINDS = {kind.op: kind for kind in (K, I)}


def far(g: Graph, kind: Kind, order: int, x: int, k: int = 0) -> int:
    """The row, of an order that is not negative if it is a number and the two are equal."""
    q = g.rational(order)
    is_even = q is not None and (kind is K or q.denominator == 1)
    return g.node(kind.row(k), g.const(abs(q)) if q is not None and is_even else order, x)


# ---- by quadrature -------------------------------------------------------------------------------


@cache
def _weights(k: int, count: int) -> list[Fraction]:
    """exp(-s**2)*s**(2*k) at s = 0 (half of it), one step, ..."""
    steps = (float(j * _STEP) for j in range(count))
    return [Fraction(exp(-s * s) * s ** (2 * k) * (1 if s else 0.5)) for s in steps]


def _count(kind: Kind, order: Fraction | None) -> int:
    """How many nodes: cosh(v*t) moves the largest terms to s = v/sqrt(2*x)."""
    most = sqrt(kind.ratio / 2)
    shift = most if order is None else min(most, float(abs(order)) / sqrt(2 * kind.start))
    return int((_LAST + (shift if kind is K else 0)) / float(_STEP)) + 1


def _wave(g: Graph, kind: Kind, order: int, square: int, s: int) -> int:
    """cosh(v*t), where sinh(t/2) = s; for I cos(v*t), where sin(t/2) = s."""
    q = g.rational(order)
    if q is None or q.denominator != 1 or abs(q) > _POLYNOMIALS:
        outer, inverse = ("cosh", "asinh") if kind is K else ("cos", "asin")
        return g.node(outer, g.mul(g.mul(g.const(2), order), g.node(inverse, s)))
    doubled = g.mul(g.const(2 * kind.sign), square)
    first = g.add(g.one, doubled)
    below, wave = g.one, g.one
    for n in range(abs(int(q))):
        next_wave = first if n == 0 else g.sub(g.mul(g.mul(g.const(2), first), wave), below)
        below, wave = wave, next_wave
    return wave


def _quadrature(g: Graph, kind: Kind, k: int, order: int, x: int) -> int:
    half = g.div(g.const(Fraction(1, 2)), x)
    root = g.node("sqrt", half)
    total = g.zero
    for j, weight in enumerate(_weights(k, _count(kind, g.rational(order)))):
        s = j * _STEP
        square = g.mul(g.const(s * s), half)
        below = g.node("sqrt", g.add(g.one, g.mul(g.const(kind.sign), square)))
        wave = _wave(g, kind, order, square, g.mul(g.const(s), root))
        total = g.add(total, g.mul(g.const(weight), g.div(wave, below)))
    factor = Fraction(float(2 * _STEP) / (1 if kind is K else pi))
    value = g.mul(g.mul(g.const(factor), total), root)
    for _ in range(k):
        value = g.div(value, x)
    return value


# ---- rows ----------------------------------------------------------------------------------------


def _difference(g: Graph, kind: Kind, k: int, order: int, x: int) -> int:
    """Of order 2*k, of the whole functions (DLMF 10.29.5)."""
    total = g.zero
    for j in range(2 * k + 1):
        number = Fraction(comb(2 * k, j) * (-1) ** j * kind.sign**k, 2**k)
        at = g.add(order, g.const(k - j))
        q = g.rational(at)
        if q is not None and (kind is K or q.denominator == 1):
            at = g.const(abs(q))
        total = g.add(total, g.mul(g.const(number), g.node(kind.scaled, at, x)))
    return total


def _expand(kind: Kind, k: int) -> Callable[[Graph, Args], int]:
    def expand(g: Graph, a: Args) -> int:
        order, x = a
        value, q = _quadrature(g, kind, k, order, x), g.rational(order)
        if q is None or q * q > kind.ratio * kind.start:
            is_small = g.node("le", g.mul(order, order), g.mul(g.const(kind.ratio), x))
            value = g.where(is_small, value, _difference(g, kind, k, order, x))
        return g.where(g.node("lt", x, g.const(kind.start)), g.const(float("nan")), value)

    return expand


def _slope(kind: Kind, k: int) -> Callable[[Graph, Args, int], int]:
    if k < MOST:
        return lambda g, a, y: g.neg(far(g, kind, a[0], a[1], k + 1))
    return lambda g, a, y: g.neg(_by_equation(g, kind, a[0], a[1]))


def _by_equation(g: Graph, kind: Kind, order: int, x: int) -> int:
    """The row that would come after the last, by Bessel's equation.

    With c = sign, k = MOST - 1, and M_j the rows, differentiated k times:
    x**2*M_(k+2) = (2*k + 1 - 2*c*x)*x*M_(k+1) + (v**2 + (4*k + 1)*c*x - k**2)*M_k - c*k*(2*k - 1)*M_(k-1)
    """
    c, k = kind.sign, MOST - 1
    low, middle, high = (far(g, kind, order, x, j) for j in (k - 1, k, k + 1))
    of_high = g.mul(g.mul(g.sub(g.const(2 * k + 1), g.mul(g.const(2 * c), x)), x), high)
    inner = g.sub(g.mul(g.const((4 * k + 1) * c), x), g.const(k * k))
    of_middle = g.mul(g.add(g.mul(order, order), inner), middle)
    total = g.sub(g.add(of_high, of_middle), g.mul(g.const(c * k * (2 * k - 1)), low))
    return g.div(g.div(total, x), x)


def _mp(kind: Kind, k: int) -> Callable[[Any, Any], Any]:
    """By differences, in more digits than these lose."""

    def call(v: Any, x: Any) -> Any:
        import mpmath

        if not x >= kind.start:
            return mpmath.mpf("nan")
        if mpmath.isinf(x):
            return mpmath.mpf(0)
        function = getattr(mpmath, kind.op)
        with mpmath.extraprec(60 + 4 * k * max(4, int(mpmath.mag(x)))):
            parts = (
                comb(2 * k, j) * (-1) ** j * function(v + k - j, x, maxprec=100_000) for j in range(2 * k + 1)
            )
            return mpmath.exp(kind.sign * x) * sum(parts, mpmath.mpf(0)) * mpmath.mpf(kind.sign) ** k / 2**k

    return call


def _by_order(op: str) -> NoDerivative:
    return NoDerivative(
        op, "order", "it has no closed form in functions that targets have (DLMF 10.38)",
        "differentiate by the argument only, and give the order as a number or by data",
    )  # fmt: skip


def _row(kind: Kind, k: int) -> Op:
    expand = _expand(kind, k)
    return Op(
        kind.row(k), 2, by_expansion(expand, 2), _mp(kind, k), (_by_order(kind.row(k)), _slope(kind, k)),
        expand=expand, cost=300, domain=((0.0, 5.0 if kind is K else 2.0), (float(kind.start), 90.0)),
        source="DLMF 10.29.5, 10.32.4, 10.32.9; Trefethen & Weideman 2014",
    )  # fmt: skip


def _core(kind: Kind) -> Op:
    scipy = f"{kind.op[-1]}ve"
    return Op(
        kind.scaled, 2, scipy_function(scipy), _mp(kind, 0), (None, None),
        c=f"{{own}}{kind.op}_scaled({{0}}, {{1}})", cost=300,
        llvm=f"external {scipy} orders {scipy[0]}0e {scipy[0]}1e",
        domain=((0.0, 5.0), (float(kind.start), 90.0)), source="DLMF 10.25",
    )  # fmt: skip


ROWS: tuple[Op, ...] = tuple(row for kind in (K, I) for row in
                             (_core(kind), *(_row(kind, k) for k in range(MOST + 1))))  # fmt: skip
