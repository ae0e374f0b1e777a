"""More differences of one function at two arguments (`differences.py`): inverse, hyperbolic and special ones.

asin, asinh and acosh are twice an arc of d over a sum of two roots, by the formulas for half the difference
of two angles. erf and loggamma have no addition theorem: where the arguments are near each other the divided
difference is the mean of the derivative between them, by Gauss and Legendre's rule, all of whose terms have
one sign; where they are not, erf is taken on the side where it is small, as erfc.

Sources: DLMF 4.21.7, 4.35.15, 4.38.15 to 4.38.17 (addition theorems), 3.5.5 (Gauss's rule), 7.4.2 (erfc);
Higham 2002, sections 1.7 and 1.14.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.composites.differences import (
    FAMILIES,
    Args,
    Family,
    difference_node,
    enter,
    middle,
    of_one_size,
    within_one,
)
from symgrad.ir.ops import OPS

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_HALF = Fraction(1, 2)
_MOST = Fraction(3, 4)  # of an argument of atanh, beyond which it loses digits
_MORE = 3  # times as many digits for what is exact
_GAUSS = (  # places in [-1, 1] and weights of Gauss's rule, the half that is not symmetric (DLMF 3.5(v))
    (0.18343464249564981, 0.36268378337836198), (0.52553240991632899, 0.31370664587788729),
    (0.79666647741362674, 0.22238103445337448), (0.96028985649753623, 0.10122853629037626),
)  # fmt: skip


def mean_of_rate(g: Graph, rate: Callable[[Graph, int], int], b: int, d: int) -> int:
    """The mean of a function between b and b + d: eight places, right to a rounding where it is smooth."""
    total = g.zero
    for place, weight in _GAUSS:
        for sign in (1, -1):
            at = g.const(_HALF + sign * Fraction(place) / 2)
            total = g.add(total, g.mul(g.const(Fraction(weight) / 2), rate(g, g.add(b, g.mul(at, d)))))
    return total


def _row_of(name: str) -> Callable[[Graph, int], int]:
    return lambda g, x: g.node(name, x)


def _slope_of(name: str) -> Callable[[Graph, int], int]:
    """f'(x), as the row of f has it."""

    def rate(g: Graph, x: int) -> int:
        made = OPS[name].partials[0]
        assert made is not None
        return made(g, (x,), g.node(name, x))

    return rate


def _plainly(name: str) -> Callable[[Any, Any, Any], Any]:
    """The difference as it is written, with more digits."""

    def exact(c: Any, u: Any, v: Any) -> Any:
        import mpmath

        with mpmath.workprec(_MORE * mpmath.mp.prec):
            made = OPS[name].mpmath(c + u) - OPS[name].mpmath(c + v)
        return +made

    return exact


def _below_most(g: Graph, d: int, size: int) -> int:
    return g.node("lt", g.node("abs", d), g.mul(g.const(_MOST), size))


# ---- twice an arc of d/(s + t) -------------------------------------------------------------------


def _by_arc(name: str, arc: str, side: Callable[[Graph, int], int], sign: int, domain: Any) -> Family:
    """f with f' = 1/side, where f(a) - f(b) = 2 arc(d/(s + t)) for the sides s and t of a and b.

    sign  that of x^2 in side^2.
    """

    def sides(g: Graph, a: int, b: int) -> tuple[int, int]:
        return side(g, a), side(g, b)

    def near(g: Graph, a: int, b: int, d: int) -> int:
        return _below_most(g, d, g.add(*sides(g, a, b)))

    def value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
        return g.mul(g.const(2), g.intern(arc, (g.div(d, g.add(*sides(g, a, b))),)))

    def slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
        below = g.add(*sides(g, a, b))
        t = g.intern("div", (d, below))
        return g.div(g.mul(g.const(2), g.div(g.node(arc, t), t)), below)

    def change(g: Graph, c: int, u: int, v: int, y: int) -> int:
        """1/s - 1/t = (t^2 - s^2)/(s*t*(s + t))."""
        a, b, d = g.add(c, u), g.add(c, v), g.intern("sub", (u, v))
        s, t = sides(g, a, b)
        made = g.div(g.div(g.mul(g.div(d, s), g.div(g.add(a, b), t)), g.add(s, t)), g.const(-sign))
        return g.where(near(g, a, b, d), made, g.intern("sub", (g.div(g.one, s), g.div(g.one, t))))

    return Family(_row_of(name), lambda g, x: g.div(g.one, side(g, x)), change, near, value, slope,
                  _plainly(name), domain, 80)  # fmt: skip


# ---- others --------------------------------------------------------------------------------------


def _atanh_near(g: Graph, a: int, b: int, d: int) -> int:
    return _below_most(g, d, g.sub(g.one, g.mul(a, b)))


def _atanh_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.intern("atanh", (g.div(d, g.sub(g.one, g.mul(a, b))),))


def _atanh_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    below = g.sub(g.one, g.mul(a, b))
    t = g.intern("div", (d, below))
    return g.div(g.div(g.node("atanh", t), t), below)


def _beside_one(g: Graph, x: int) -> int:
    """(1 - x)*(1 + x)."""
    return g.node("square_difference", g.one, x)


def _atanh_change(g: Graph, c: int, u: int, v: int, y: int) -> int:
    """1/(1 - a^2) - 1/(1 - b^2)."""
    a, b, d = g.add(c, u), g.add(c, v), g.intern("sub", (u, v))
    return g.mul(g.div(d, _beside_one(g, a)), g.div(g.add(a, b), _beside_one(g, b)))


def _tan_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.div(g.div(g.node("sin", d), g.node("cos", a)), g.node("cos", b))


def _tan_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.div(g.div(g.node("sinc", d), g.node("cos", a)), g.node("cos", b))


def _tan_change(g: Graph, c: int, u: int, v: int, y: int) -> int:
    return g.mul(y, g.add(*(g.node("tan", g.add(c, x)) for x in (u, v))))


def _wave(even: str) -> tuple[Any, Any]:
    """sinh and cosh: 2*sinh(d/2) times the other one in the middle."""

    def value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
        rise = g.mul(g.const(2), g.node("sinh", g.mul(g.const(_HALF), d)))
        return g.mul(rise, g.node(even, middle(g, parts)))

    def slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
        return g.mul(g.node("sinhc", g.mul(g.const(_HALF), d)), g.node(even, middle(g, parts)))

    return value, slope


def _log1p_near(g: Graph, a: int, b: int, d: int) -> int:
    return _below_most(g, d, g.add(g.one, b))


def _log1p_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.node("log1p", g.div(d, g.add(g.one, b)))


def _log1p_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    below = g.add(g.one, b)
    return g.div(g.node("log1prel", g.div(d, below)), below)


def _log1p_change(g: Graph, c: int, u: int, v: int, y: int) -> int:
    a, b, d = g.add(c, u), g.add(c, v), g.intern("sub", (u, v))
    return g.neg(g.div(g.div(d, g.add(g.one, a)), g.add(g.one, b)))


def _softplus_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    """log((1 + exp(a))/(1 + exp(b)))."""
    return g.node("log1p", g.mul(g.node("logistic", b), g.node("expm1", d)))


def _softplus_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    share = g.node("logistic", b)
    quotient = g.node("log1prel", g.mul(share, g.node("expm1", d)))
    return g.mul(quotient, g.mul(share, g.node("exprel", d)))


def _xlogx_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.add(g.mul(d, g.node("log", a)), g.mul(b, g.node("log1p", g.div(d, b))))


def _xlogx_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.add(g.node("log", a), g.node("log1prel", g.div(d, b)))


def _erf_function(g: Graph, x: int) -> int:
    return g.node("erf", x)


def _erf_near(g: Graph, a: int, b: int, d: int) -> int:
    """exp(-x^2) varies by a factor of five or so between them, or less."""
    size = g.add(g.const(2), g.add(g.node("abs", a), g.node("abs", b)))
    return g.node("lt", g.mul(g.node("abs", d), size), g.const(Fraction(3, 2)))


def _erf_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return mean_of_rate(g, _slope_of("erf"), b, d)


def _erf_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.mul(d, _erf_slope(g, a, b, d, parts))


def _erf_apart(g: Graph, a: int, b: int) -> int:
    """erfc of what has the sign of both, larger where that is smaller."""
    above = g.node("and", g.node("lt", g.zero, a), g.node("lt", g.zero, b))
    below = g.node("and", g.node("lt", a, g.zero), g.node("lt", b, g.zero))
    x, y = (g.where(below, g.neg(end), end) for end in (a, b))
    tails = g.intern("sub", (g.node("erfc", y), g.node("erfc", x)))
    across = g.intern("sub", (g.node("erf", a), g.node("erf", b)))
    return g.where(g.node("or", above, below), g.where(below, g.neg(tails), tails), across)


def _erf_change(g: Graph, c: int, u: int, v: int, y: int) -> int:
    """2/sqrt(pi) times exp(-a^2) - exp(-b^2), from the one closer to 0."""
    a, b, d = g.add(c, u), g.add(c, v), g.intern("sub", (u, v))
    up = g.node("lt", g.node("abs", a), g.node("abs", b))
    least = g.where(up, a, b)
    less = g.neg(g.node("abs", g.mul(d, g.add(a, b))))
    rise = difference_node(
        g, "exp", g.neg(g.mul(least, least)), g.where(up, g.zero, less), g.where(up, less, g.zero)
    )
    return g.mul(g.div(g.const(2), g.node("sqrt", g.const("pi"))), rise)


def _gamma_near(g: Graph, a: int, b: int, d: int) -> int:
    """Both positive, and the larger one at most half as large again."""
    least = g.node("minimum", a, b)
    return g.node("lt", g.node("abs", d), g.mul(g.const(_HALF), least))


def _gamma_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return mean_of_rate(g, _row_of("digamma"), b, d)


def _gamma_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.mul(d, _gamma_slope(g, a, b, d, parts))


def _gamma_change(g: Graph, c: int, u: int, v: int, y: int) -> int:
    return g.node("polygamma_rise_0", g.add(c, v), g.sub(u, v))


def _one_over_size(g: Graph, x: int) -> int:
    return g.div(g.one, _beside_one(g, x))


def _side_of_sine(g: Graph, x: int) -> int:
    return g.node("leg", g.one, x)


def _side_of_sinh(g: Graph, x: int) -> int:
    return g.node("hypot", g.one, x)


def _side_of_cosh(g: Graph, x: int) -> int:
    return g.node("leg", x, g.one)


def _xlogx_rate(g: Graph, x: int) -> int:
    return g.add(g.node("log", x), g.one)


_UNIT = (-0.7, 0.7)
NEW: dict[str, Family] = {
    "asin": _by_arc("asin", "atan", _side_of_sine, -1, _UNIT),
    "asinh": _by_arc("asinh", "atanh", _side_of_sinh, 1, (-2.0, 2.0)),
    "acosh": _by_arc("acosh", "atanh", _side_of_cosh, 1, (1.5, 4.0)),
    "atanh": Family(
        _row_of("atanh"), _one_over_size, _atanh_change, _atanh_near, _atanh_value, _atanh_slope,
        _plainly("atanh"), _UNIT,
    ),
    "tan": Family(
        _row_of("tan"), _slope_of("tan"), _tan_change, within_one, _tan_value, _tan_slope,
        _plainly("tan"), cost=100,
    ),
    "sinh": Family(
        _row_of("sinh"), _row_of("cosh"), lambda g, c, u, v, y: difference_node(g, "cosh", c, u, v),
        within_one, *_wave("cosh"), _plainly("sinh"),
    ),
    "cosh": Family(
        _row_of("cosh"), _row_of("sinh"), lambda g, c, u, v, y: difference_node(g, "sinh", c, u, v),
        within_one, *_wave("sinh"), _plainly("cosh"),
    ),
    "log1p": Family(
        _row_of("log1p"), _slope_of("log1p"), _log1p_change, _log1p_near, _log1p_value, _log1p_slope,
        _plainly("log1p"), (0.0, 2.0),
    ),
    "softplus": Family(
        _row_of("softplus"), _row_of("logistic"),
        lambda g, c, u, v, y: difference_node(g, "logistic", c, u, v),
        within_one, _softplus_value, _softplus_slope, _plainly("softplus"),
    ),
    "xlogx": Family(
        _row_of("xlogx"), _xlogx_rate,
        lambda g, c, u, v, y: difference_node(g, "log", c, u, v),
        of_one_size, _xlogx_value, _xlogx_slope, _plainly("xlogx"), (1.0, 2.0),
    ),
    "erf": Family(
        _erf_function, _slope_of("erf"), _erf_change, _erf_near, _erf_value, _erf_slope,
        _plainly("erf"), cost=300, apart=_erf_apart,
    ),
    "loggamma": Family(
        _row_of("loggamma"), _row_of("digamma"), _gamma_change, _gamma_near, _gamma_value, _gamma_slope,
        _plainly("loggamma"), (2.0, 8.0), 800,
    ),
}  # fmt: skip

for _name, _family in NEW.items():
    FAMILIES[_name] = _family
    enter(_name, _family)

NAMES = frozenset(f"{name}_difference" for name in FAMILIES)
