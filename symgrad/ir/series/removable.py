"""Removable singularities: a formula of one value x that is regular at a point and cannot be computed there.

tanh(x)/x is nan at 0, and its derivative is the difference of two large numbers near it; so it is with
coth(x) - 1/x, (x*cos(x) - sin(x))/x^2 and besselj(1, x)/x, and at 1 with log(x)/(x - 1). The op

    removable(x, lower, upper, t, near, away)      near where lower < t < upper, else away

holds the formula, `away`, as it is written in x, and the first terms of its Taylor series, `near`, in
t = x - c (`offset.py`; around 0, t is x itself), less all turns where the formula has a period
(`periods.py`). It is a function of x alone: its derivative is that of `away`, symbolically, as a removable
singularity again, with a series of its own; the derivative of what is left of a series would be
less accurate with every order. Around 0 and 1 there are two, one in the other. Where x is large t is 1/x:
x*sin(1/x) is regular at infinity.

Where x is a root, h = sqrt(s), and the derivative by it is 0 at 0, the formula is differentiated by s (as in
`radial.py`): (1 + h)*exp(-h) is smooth at the zero of a norm h, and the chain rule does not see it.

    radial_removable(h, s, radius, near, away)      the same around 0; by s it is f'(h)/(2*h) near 0

The radius, -lower and upper, is as large as these three allow:

    the terms left out are below the rounding error
    the other terms add up to three quarters of the first: the sum is not much smaller than its terms
    the series converges fast enough for the few terms there are

Where the formula has lost digits there, `near` is another polynomial, which goes on farther
(`economised.py`).

Sources: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.14, for the loss; Taylor.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache
from math import frexp
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.composites.radial import NAMES as RADIAL
from symgrad.ir.composites.radial import by_root
from symgrad.ir.op import Op
from symgrad.ir.ops import OPS
from symgrad.ir.series.economised import economised
from symgrad.ir.series.laurent import (
    BITS,
    INFINITY,
    ROWS,
    Formula,
    Series,
    between,
    formula_of,
    is_number,
    of_reciprocal,
    series_of,
    slope,
    value_of,
)
from symgrad.ir.series.offset import offset, reduced
from symgrad.ir.series.periods import period_of
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
ORDERS = (48, 100)  # terms that are looked at: more where too many of them cancel
LEAST = 26  # terms that have to be left
NAMES = frozenset((*ROWS, "offset", "reduced"))  # what is only made here
IS_PART = ContextVar(
    "whether what is made is part of a formula that a singularity is removed from", default=False
)
_EPSILON = 2.0**-60  # relative size of what the series leaves out
_OTHERS = 0.75  # what all terms but the first may add up to, relative to it
_TIDY, _TIDY_BITS = 10**24, 300  # a fraction with a denominator up to this, right to so many bits, is meant
_DIGITS = 160  # bits of any other coefficient


@dataclass(frozen=True)
class Expansion:
    """The value where lower < t < upper, as far as doubles feel it.

        t^valuation (terms[0] + s (terms[1] + terms[2] (s - middle) + terms[3] (s - middle)^2 + ...))

    Here s is t, or t^2 of an even function.

    series  the Taylor series.
    """

    valuation: int
    terms: tuple[Fraction, ...]
    lower: Fraction
    upper: Fraction
    middle: Fraction
    series: Series

    @property
    def is_flat(self) -> bool:
        """Whether the first derivative is 0 at the point."""
        return self.valuation > 1 or (self.valuation == 0 and not any(self.series.terms[1:2]))


def removable(g: Graph, away: int, x: int, center: int | None = None) -> int | None:
    """The formula as one that can be computed near a point, if it is regular there.

    center  the point, a constant; none: 0. Of a formula with a period it is one of many points.
    """
    at = () if center is None else formula_of(g, center, x)
    found = expansion(formula_of(g, away, x), at)
    return None if found is None else with_expansion(g, away, x, distance(g, away, x, center), found)


def removable_far_out(g: Graph, away: int, x: int) -> int | None:
    """The same where x is large."""
    found = expansion(formula_of(g, away, x), INFINITY)
    return None if found is None else with_expansion(g, away, x, g.div(g.one, x), found)


def distance(g: Graph, away: int, x: int, center: int | None) -> int:
    """x - c, or that less all turns."""
    period = period_of(g, away, x)
    if period is None:
        return x if center is None else offset(g, x, center)
    return reduced(g, x, g.zero if center is None else center, period)


def with_expansion(g: Graph, away: int, x: int, t: int, found: Expansion) -> int:
    """The formula with its expansion in t."""
    found = _with_digits(formula_of(g, away, x), center_of(g, t, x), found)
    formula = plain(g, away, x, t, found.lower, found.upper)
    g.expansions[formula, t] = found
    ends = g.const(found.lower), g.const(found.upper)
    return g.node("removable", x, *ends, t, _polynomial(g, found, t), formula)


def center_of(g: Graph, t: int, x: int) -> Formula:
    """How c is computed for a t that stands for x - c, or for 1/x; empty for 0."""
    if t != x and g.op[t] not in ("offset", "reduced"):
        return INFINITY
    return () if t == x or g.args[t][1] == g.zero else formula_of(g, g.args[t][1], t)


def centers_of(g: Graph, node: int) -> list[Formula]:
    """The points around which a value is computed by series."""
    found = []
    while g.op[node] in ROWS:
        x = g.args[node][0]
        found.append(center_of(g, g.args[node][3], x) if g.op[node] == "removable" else ())
        node = g.args[node][-1]
    return found


def is_around(g: Graph, node: int, center: int) -> bool:
    """Whether one of the series of a value is around a point, or around one that is whole turns away."""
    while g.op[node] in ROWS:
        t = g.args[node][3]
        if g.op[node] == "removable" and g.op[t] == "reduced":
            c, own, period = (value_of(formula_of(g, n, t)) for n in (center, *g.args[t][1:3]))
            turns = (c - own) / period
            if is_number(turns, Fraction(round(turns))):
                return True
        node = g.args[node][-1]
    return False


def near_point(g: Graph, node: int) -> int:
    """Whether the value of a row is that of its series."""
    lower, upper, around, *_ = _parts(g, node, g.args[node])
    return is_near(g, around, lower, upper)


def expansion_of(g: Graph, away: int, x: int, t: int) -> Expansion | None:
    """That of the formula of a removable singularity."""
    return g.expansions.get((away, t)) or expansion(formula_of(g, away, x), center_of(g, t, x))


def plain(g: Graph, away: int, x: int, t: int, lower: Fraction, upper: Fraction) -> int:
    """The formula without singularities that are removed around the point, and without squares of roots."""
    made: dict[int, int] = {x: x}
    for n in between(g, away, x):
        if n == x or not g.children(n):
            made[n] = n
            continue
        args = tuple(made.get(a, a) for a in g.children(n))
        made[n] = by_root(g, g.op[n], args[0]) if g.op[n] in RADIAL else g.intern(g.op[n], args)
        if g.op[n] in ROWS and args[0] == x:
            parts = _parts(g, n, args)
            ends = g.rational(parts[0]), g.rational(parts[1])
            is_covered = parts[2] == t and _is_inside(ends, (lower, upper))
            made[n] = parts[-1] if is_covered else g.intern("removable", (x, *parts))
    return made[away]


def _is_inside(inner: Sequence[Fraction | None], outer: Sequence[Fraction]) -> bool:
    (a, b), (lower, upper) = inner, outer
    return a is not None and b is not None and lower <= a and b <= upper


def _parts(g: Graph, n: int, args: Args) -> Args:
    """Where the series is used, x - c, the series and the formula."""
    if g.op[n] == "removable":
        return args[1:]
    h, _, radius, *rest = args
    return g.neg(radius), radius, h, *rest


@lru_cache(maxsize=4096)  # graphs are copied, and every copy asks again
def expansion(formula: Formula, center: Formula = ()) -> Expansion | None:
    """The Taylor series of a formula, as far as doubles can feel it; None if it is not regular there."""
    if center == INFINITY:
        return expansion(of_reciprocal(formula))
    tried = (series_of(formula, order, center) for order in ORDERS)
    found = next((s for s in tried if s is None or len(s.terms) >= LEAST), None)
    if found is None or found.valuation < 0:
        return None
    return _expanded_series(found)


def _expanded_series(found: Series) -> Expansion | None:
    import mpmath

    with mpmath.workprec(BITS):
        sizes = [abs(c / found.terms[0]) for c in found.terms]
        radius = _radius(sizes) if len(sizes) >= LEAST // 2 else None
        if radius is None:
            return None
        count = len(sizes)
        while count > 1 and sizes[count - 1] * mpmath.mpf(float(radius)) ** (count - 1) <= _EPSILON:
            count -= 1
        terms = tuple(rational(c) for c in found.terms[: count : 2 if _is_even(found) else 1])
        return Expansion(found.valuation, terms, -radius, radius, Fraction(0), found)


def _is_even(found: Series) -> bool:
    """Whether it is a power of t times a function of t^2."""
    return len(found.terms) > 2 and not any(found.terms[1::2])


@lru_cache(maxsize=4096)
def _with_digits(formula: Formula, center: Formula, found: Expansion) -> Expansion:
    """The expansion, or one that goes on to where the formula has its digits."""
    if not formula:
        return found
    if center == INFINITY:
        return _with_digits(of_reciprocal(formula), (), found)
    at = value_of(center) if center else Fraction(0)
    made = economised(formula, at, found.series, _is_even(found.series), found.upper)
    if made is None:
        return found
    return Expansion(found.valuation, made.terms, made.lower, made.upper, made.middle, found.series)


def _derived(own: Expansion | None, divided: int) -> Expansion | None:
    """That of the derivative, divided by x so many times."""
    import mpmath

    if own is None:
        return None
    with mpmath.workprec(BITS):
        by_x = slope(own.series)
    return _expanded_series(Series(by_x.valuation - divided, by_x.terms))


def _derived_far_out(own: Expansion | None) -> Expansion | None:
    """That of the derivative by x, of a series in t = 1/x: -t^2 times that by t."""
    import mpmath

    if own is None:
        return None
    with mpmath.workprec(BITS):
        by_t = slope(own.series)
        return _expanded_series(Series(by_t.valuation + 2, tuple(-c for c in by_t.terms)))


def _radius(sizes: Sequence[Any]) -> Fraction | None:
    """See the module; rounded down to four bits. `sizes` are those of the terms, relative to the first."""
    later = [(k, s) for k, s in enumerate(sizes) if s and k]
    if not later:
        return Fraction(1)
    last = [float((_EPSILON / s) ** (1 / k)) for k, s in later if k >= len(sizes) - 4]
    radius = min(last, default=1 / float(max(s ** (1 / k) for k, s in later)))
    while not _is_dominated(later, radius):
        radius *= 0.875
    mantissa, exponent = frexp(radius)
    return Fraction(int(mantissa * 16)) * Fraction(2) ** (exponent - 4) if radius > 0 else None


def _is_dominated(later: Sequence[tuple[int, Any]], radius: float) -> bool:
    import mpmath

    return bool(mpmath.fsum(s * mpmath.mpf(radius) ** k for k, s in later) <= _OTHERS)


def _polynomial(g: Graph, found: Expansion, t: int) -> int:
    """See `Expansion`; by Horner's rule."""
    s = g.mul(t, t) if _is_even(found.series) else t
    u = g.sub(s, g.const(found.middle))
    first, *terms = (g.const(c) for c in found.terms)
    value = terms[-1] if terms else g.zero
    for c in terms[-2::-1]:
        value = g.add(g.mul(value, u), c)
    value = g.add(g.mul(value, s), first)
    for _ in range(found.valuation):
        value = g.mul(value, t)
    return value


def rational(c: Any) -> Fraction:
    """The fraction that a number of many digits stands for, or one that is close."""
    sign, mantissa, exponent, _ = c._mpf_
    exact = Fraction(-int(mantissa) if sign else int(mantissa)) * Fraction(2) ** int(exponent)
    nice = exact.limit_denominator(_TIDY)
    if abs(nice - exact) * 2**_TIDY_BITS <= abs(exact):
        return nice
    scale = Fraction(2) ** (_DIGITS - exact.numerator.bit_length() + exact.denominator.bit_length())
    return Fraction(round(exact * scale)) / scale


# ---- the rows ----------------------------------------------------------------------------------


def _numpy(x: Any, lower: Any, upper: Any, t: Any, near: Any, away: Any) -> Any:
    at, lower, upper = (np.real(v) for v in (t, lower, upper))
    return np.where((lower < at) & (at < upper), near, away)


def _exact(x: Any, lower: Any, upper: Any, t: Any, near: Any, away: Any) -> Any:
    """Away, but where so many digits cancel that the series has more."""
    import mpmath

    scale = 1 << (mpmath.mp.prec // 10)
    return near if lower < t * scale < upper else away


def _expanded(g: Graph, lower: int, upper: int, t: int, near: int, away: int) -> int:
    return g.where(is_near(g, t, lower, upper), near, away)


def _by_x(g: Graph, args: Args, y: int) -> int:
    x, lower, upper, t, near, away = args
    slopes = _slopes(g, (near, away), x)
    own, is_far = expansion_of(g, away, x, t), center_of(g, t, x) == INFINITY
    found = _derived_far_out(own) if is_far else _derived(own, 0)
    return _of_slopes(g, x, (lower, upper), t, slopes, found)


def _of_slopes(
    g: Graph, x: int, ends: tuple[int, int], t: int, slopes: Sequence[int], found: Expansion | None
) -> int:
    """What the series and the formula have become, with a series of its own if there is one."""
    found = found or expansion(formula_of(g, slopes[1], x), center_of(g, t, x))
    if found is None:
        return g.node("removable", x, *ends, t, *slopes)
    return with_expansion(g, slopes[1], x, t, found)


def _by_h(g: Graph, args: Args, y: int) -> int:
    """Away from 0 through the root, which is smooth there, and in range where its square is not."""
    h, _, radius, _, away = args
    return g.mask(g.node("not", is_near(g, h, g.neg(radius), radius)), _slopes(g, (away,), h)[0])


def _by_s(g: Graph, args: Args, y: int) -> int:
    """Near it d/ds f(sqrt(s)) = f'(h)/(2*h)."""
    h, _, radius, near, away = args
    slopes = [g.intern("div", (by_h, h)) for by_h in _slopes(g, (near, away), h)]
    ends = g.neg(radius), radius
    made = _of_slopes(g, h, ends, h, slopes, _derived(expansion_of(g, away, h, h), 1))
    return g.mask(is_near(g, h, *ends), g.mul(g.const(Fraction(1, 2)), made))


def is_near(g: Graph, t: int, lower: int, upper: int) -> int:
    if g.neg(lower) == upper:
        return g.node("lt", g.node("abs", t), upper)
    return g.node("and", g.node("lt", lower, t), g.node("lt", t, upper))


def _slopes(g: Graph, nodes: Sequence[int], x: int) -> list[int]:
    """The derivatives of functions of x by it, forwards.

    Products and quotients in them are left as the chain rule writes them: what is singular in one is removed
    from the whole. Differences are not: one may lose digits farther from the point than the whole is removed.
    """
    found, is_part = {x: g.one}, IS_PART.set(True)
    try:
        for n in (n for n in g.reachable(nodes) if n != x):
            total = g.zero
            row = OPS.get(g.op[n])
            for a, partial in zip(g.args[n], row.partials_of(len(g.args[n])), strict=True) if row else ():
                if partial is not None and a in found:
                    total = g.add(total, g.mul(partial(g, g.args[n], n), found[a]))
            if total != g.zero:
                found[n] = total
    finally:
        IS_PART.reset(is_part)
    return [found.get(n, g.zero) for n in nodes]


def slope_of(g: Graph, node: int, x: int) -> int:
    """The derivative of a function of x by it, as a part of a formula: with what is singular left in it."""
    return _slopes(g, (node,), x)[0]


def moved(g: Graph, node: int, x: int, y: int) -> int:
    """The same formula of y instead of x, as it is written."""
    made = {x: y}
    for n in g.reachable((node,)):
        args = tuple(made.get(a, a) for a in g.children(n))
        if n != x and args != g.children(n):
            made[n] = g.intern(g.op[n], args)
    return made.get(node, node)


_ANY, _LOWER, _RADIUS = (-1.0, 1.0), (-0.6, -0.5), (0.5, 0.6)

OPS["removable"] = Op(
    "removable", 6, _numpy, _exact, (_by_x, None, None, None, None, None),
    expand=lambda g, a: _expanded(g, *a[1:]), cost=2,
    formulas=4, domain=(_ANY, _LOWER, _RADIUS, _ANY, _ANY, _ANY), source="this module",
)  # fmt: skip
OPS["radial_removable"] = Op(
    "radial_removable", 5, lambda h, s, radius, *rest: _numpy(h, -radius, radius, h, *rest),
    lambda h, s, radius, *rest: _exact(h, -radius, radius, h, *rest),
    (_by_h, _by_s, None, None, None),
    expand=lambda g, a: _expanded(g, g.neg(a[2]), a[2], a[0], *a[3:]), cost=2,
    formulas=2, domain=(_ANY, _ANY, _RADIUS, _ANY, _ANY), source="this module; `ir.composites.radial`",
)  # fmt: skip
