"""The distance x - c from a constant, to all digits also where c is no floating point number, as pi/2.

A double next to pi/2 is off by up to 1e-16, and so would be x - pi/2: all of what is left at the double that
is closest. The op

    offset(x, c, first, second, third)      ((x - first) - second) - third, and no rule adds these up

has c in three parts. The first has so few bits that x - first is exact near c, in single precision too; the
third is below what can be left of x - first - second. So the result is right to two roundings or so. The
constant itself is for evaluation in more digits. And

    reduced(x, c, p, ...)      x - c - k*p for the whole number k that makes it smallest

is the distance from the nearest of the points c + k*p, for fewer than 2^12 turns: k times one of the first
parts of p is exact, in single precision for two of them, and what is left of x next to a point is exact until
the last parts are taken away. Farther out k is 0.

Source: Muller et al. 2018, Handbook of Floating-Point Arithmetic, section 10.2 (Cody and Waite's reduction).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op
from symgrad.ir.ops import OPS
from symgrad.ir.series.laurent import formula_of, value_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_BITS = (24, 53, 53)  # of the parts
_BITS_OF_CENTER, _BITS_OF_PERIOD = (24, 24, 24, 53), (12, 12, 24, 24, 53)  # of those of `reduced`
_MOST_TURNS = 1 << 12


def offset(g: Graph, x: int, center: int) -> int:
    """x - c for a constant."""
    return g.node("offset", x, center, *_parts(g, x, center, _BITS))


def reduced(g: Graph, x: int, center: int, period: int) -> int:
    """x - c - k*p for constants."""
    parts = (*_parts(g, x, center, _BITS_OF_CENTER), *_parts(g, x, period, _BITS_OF_PERIOD))
    return g.node("reduced", x, center, period, *parts)


def _parts(g: Graph, x: int, constant: int, bits_of_parts: Sequence[int]) -> list[int]:
    left, parts = value_of(formula_of(g, constant, x)), []
    for bits in bits_of_parts:
        part = _rounded(left, bits)
        parts.append(g.const(part))
        left -= part
    return parts


def _rounded(value: Fraction, bits: int) -> Fraction:
    if not value:
        return value
    size = abs(value.numerator).bit_length() - value.denominator.bit_length()  # below 2**(size + 1)
    unit = Fraction(2) ** (size + 1 - bits)
    return round(value / unit) * unit


def _expanded(g: Graph, x: int, c: int, *parts: int) -> int:
    for part in parts:
        x = x if part == g.zero else g.intern("sub", (x, part))
    return x


def _one(g: Graph, args: tuple[int, ...], y: int) -> int:
    return g.one


def _numpy(x: Any, c: Any, first: Any, second: Any, third: Any) -> Any:
    return ((x - first) - second) - third


OPS["offset"] = Op(
    "offset", 5, _numpy, lambda x, c, *parts: x - c, (_one, None, None, None, None),
    expand=lambda g, a: _expanded(g, *a), cost=2, formulas=0, total=True,
    domain=((0.5, 1.5), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0)), source="this module",
)  # fmt: skip


def _expanded_turns(g: Graph, x: int, c: int, p: int, *parts: int) -> int:
    """The large parts of c and p first."""
    (c1, c2, c3, c4), (p1, p2, p3, p4, p5) = parts[:4], parts[4:]
    turns = g.div(g.sub(x, c1), p1)
    k = g.node("floor", g.add(turns, g.const(Fraction(1, 2))))
    k = g.mask(g.node("lt", g.node("abs", k), g.const(_MOST_TURNS)), k)
    for of_period, of_center in ((p1, c1), (p2, c2), (p3, c3), (p4, g.zero)):
        x = g.intern("sub", (x, g.intern("mul", (k, of_period))))
        x = x if of_center == g.zero else g.intern("sub", (x, of_center))
    return g.intern("sub", (x, g.intern("add", (g.intern("mul", (k, p5)), c4))))


def _exactly_reduced(x: Any, c: Any, p: Any, *parts: Any) -> Any:
    import mpmath

    return x - c - p * mpmath.nint((x - c) / p) if abs(x) < _MOST_TURNS * p else x - c


OPS["reduced"] = Op(
    "reduced", 12, by_expansion(lambda g, a: _expanded_turns(g, *a), 12), _exactly_reduced,
    (_one, *[None] * 11), expand=lambda g, a: _expanded_turns(g, *a), cost=20, formulas=0, total=True,
    domain=((0.5, 1.5), (1.0, 1.0), (4.0, 4.0), (1.0, 1.0), *[(0.0, 0.0)] * 3, (4.0, 4.0), *[(0.0, 0.0)] * 4),
    source="this module",
)  # fmt: skip
