"""The distance x - c from a constant, to all digits also where c is no floating point number, as pi/2.

A double next to pi/2 is off by up to 1e-16, and so would be x - pi/2: all of what is left at the double that
is closest. The op

    offset(x, c, first, second, third)      ((x - first) - second) - third, and no rule adds these up

has c in three parts. The first has so few bits that x - first is exact near c, in single precision too; the
third is below what can be left of x - first - second. So the result is right to two roundings or so. The
constant itself is for evaluation in more digits.

Source: Muller et al. 2018, Handbook of Floating-Point Arithmetic, section 10.2 (Cody and Waite's reduction).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.op import Op
from symgrad.ir.ops import OPS
from symgrad.ir.series.laurent import formula_of, value_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_BITS = (24, 53, 53)  # of the parts


def offset(g: Graph, x: int, center: int) -> int:
    """x - c for a constant."""
    left, parts = value_of(formula_of(g, center, x)), []
    for bits in _BITS:
        part = _rounded(left, bits)
        parts.append(g.const(part))
        left -= part
    return g.node("offset", x, center, *parts)


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
