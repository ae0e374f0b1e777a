"""Rows of the op table that stability rules make: composites whose digits a plain formula loses.

Each expands into other ops, so every target computes it the same way. The formulas of an expansion are
interned without rules, which would make the composite again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.composites import quotients
from symgrad.ir.op import Op
from symgrad.ir.ops import OPS
from symgrad.ir.signs import is_never_negative

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
__all__ = ["LOGARITHM_ENDS", "quotients"]  # the rows of `quotients` are entered before the ones here

_LOG2 = math.log(2.0)
_NO_ODDS = 1024  # beyond, exp(-x) is 0
LOGARITHM_ENDS = 37  # from here on log(1 - exp(-x)) is less than half of x's last place


def _enter(name: str, arity: int, *args: Any, **fields: Any) -> None:
    OPS[name] = Op(name, arity, *args, **fields)


def _mp(name: str) -> Any:
    import mpmath

    return getattr(mpmath, name)


# ---- sums of exponentials ----------------------------------------------------------------------


def _np_logistic_slope(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return e / ((1 + e) * (1 + e))


def _expand_logistic_slope(g: Graph, a: Args) -> int:
    """e/(1 + e)^2 with e = exp(-|x|), which `logistic` shares."""
    e = g.node("exp", g.neg(g.node("abs", a[0])))
    below = g.intern("add", (g.one, e))
    return g.intern("div", (e, g.intern("mul", (below, below))))


def _logistic_slope_partial(g: Graph, a: Args, y: int) -> int:
    """-tanh(x/2) times the slope: logistic(-x) - logistic(x) would cancel at 0."""
    return g.neg(g.mul(g.node("tanh", g.mul(g.const(0.5), a[0])), y))


_enter(
    "logistic_slope", 1, _np_logistic_slope, lambda x: 1 / (2 * _mp("cosh")(x / 2)) ** 2,
    (_logistic_slope_partial,), expand=_expand_logistic_slope, cost=25, total=True,
    decay=lambda g, a: g.node("abs", a[0]),
)  # fmt: skip


def _np_logistic_entropy(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    with np.errstate(invalid="ignore"):
        return np.log1p(e) + np.minimum(np.abs(x), np.asarray(x).dtype.type(_NO_ODDS)) * (e / (1 + e))


def _expand_logistic_entropy(g: Graph, a: Args) -> int:
    """log(1 + e) + |x|*e/(1 + e) with e = exp(-|x|): neither term is negative; 0 at infinity."""
    size = g.node("abs", a[0])
    e = g.node("exp", g.neg(size))
    weight = g.intern("div", (e, g.intern("add", (g.one, e))))
    bounded = g.node("minimum", size, g.const(_NO_ODDS))
    return g.intern("add", (g.intern("log1p", (e,)), g.intern("mul", (bounded, weight))))


_enter(
    "logistic_entropy", 1, _np_logistic_entropy,
    lambda x: _mp("log1p")(_mp("exp")(-abs(x))) + abs(x) / (1 + _mp("exp")(abs(x))),
    (lambda g, a, y: g.neg(g.mul(a[0], g.node("logistic_slope", a[0]))),),
    expand=_expand_logistic_entropy, cost=55, domain=((-1.0, 1.0),), total=True,
    decay=lambda g, a: g.node("abs", a[0]), source="Cover & Thomas 2006, section 2.1",
)  # fmt: skip


def _np_log1mexp(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(x > -_LOG2, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def _expand_log1mexp(g: Graph, a: Args) -> int:
    near = g.node("lt", g.const(-_LOG2), a[0])
    small = g.intern("log", (g.intern("neg", (g.node("expm1", a[0]),)),))
    large = g.intern("log1p", (g.intern("neg", (g.node("exp", a[0]),)),))
    return g.where(near, small, large)


_enter(
    "log1mexp", 1, _np_log1mexp, lambda x: _mp("log")(-_mp("expm1")(x)),
    (lambda g, a, y: g.div(g.node("exp", a[0]), g.node("expm1", a[0])),),
    expand=_expand_log1mexp, cost=60, domain=((-8.0, -0.01),), decay=lambda g, a: g.neg(a[0]),
    source="Maechler 2012, Accurately computing log(1 - exp(-|a|)), equation 7",
)  # fmt: skip


def _np_logexpm1(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(x < LOGARITHM_ENDS, np.log(np.expm1(x)), x)


def _expand_logexpm1(g: Graph, a: Args) -> int:
    small = g.intern("log", (g.node("expm1", a[0]),))
    return g.where(g.node("le", g.const(LOGARITHM_ENDS), a[0]), a[0], small)


_enter(
    "logexpm1", 1, _np_logexpm1, lambda x: _mp("log")(_mp("expm1")(x)),
    (lambda g, a, y: g.neg(g.div(g.one, g.node("expm1", g.neg(a[0])))),),
    expand=_expand_logexpm1, cost=40, domain=((1.0, 8.0),),
    source="Maechler 2012, section 3: the inverse of softplus",
)  # fmt: skip


def _np_logsubexp(x: Any, y: Any) -> Any:
    with np.errstate(all="ignore"):
        apart = x + _np_log1mexp(y - x)
        return np.where((x == y) & (x < np.inf), np.asarray(x).dtype.type(-np.inf), apart)


def _expand_logsubexp(g: Graph, a: Args) -> int:
    """x + log(1 - exp(y - x)); -inf where the two are equal, which for -inf no difference says."""
    apart = g.intern("add", (a[0], g.node("log1mexp", g.intern("sub", (a[1], a[0])))))
    infinity = g.const(float("inf"))
    equal = g.node("and", g.node("eq", *a), g.node("lt", a[0], infinity))
    return g.where(equal, g.const(float("-inf")), apart)


def _share(g: Graph, x: int, y: int) -> int:
    """exp(x)/(exp(x) - exp(y)) = -1/expm1(y - x)."""
    return g.neg(g.div(g.one, g.node("expm1", g.sub(y, x))))


_enter(
    "logsubexp", 2, _np_logsubexp, lambda x, y: x + _mp("log")(-_mp("expm1")(y - x)),
    (lambda g, a, y: _share(g, a[0], a[1]),
     lambda g, a, y: g.div(g.node("exp", g.sub(a[1], a[0])), g.node("expm1", g.sub(a[1], a[0])))),
    expand=_expand_logsubexp, cost=62, domain=((2.0, 6.0), (-2.0, 1.0)),
    source="Maechler 2012, equation 7",
)  # fmt: skip


def _np_exp_share(x: Any) -> Any:
    with np.errstate(all="ignore"):
        size = np.abs(x)
        return np.where(x < 0, np.exp(-size), -np.ones_like(size)) / np.expm1(-size)


def _expand_exp_share(g: Graph, a: Args) -> int:
    """exp(x)/(exp(x) - 1) for x < 0, else 1/(1 - exp(-x)): neither overflows."""
    back = g.neg(g.node("abs", a[0]))
    above = g.where(g.node("lt", a[0], g.zero), g.node("exp", back), g.minus_one)
    return g.intern("div", (above, g.node("expm1", back)))


_enter(
    "exp_share", 1, _np_exp_share, lambda x: 1 / -_mp("expm1")(-x),
    (lambda g, a, y: g.neg(g.div(y, g.node("expm1", a[0]))),), expand=_expand_exp_share, cost=45,
    domain=((0.1, 4.0),), source="Higham 2002, section 1.14: exp(x)/(exp(x) - 1)",
)  # fmt: skip


# A number that cancels, whatever it is, in exact arithmetic: 0 there, and a constant for derivatives.
_enter(
    "anchor", 1, lambda m: np.asarray(m), lambda m: 0 * m, (None,), expand=lambda g, a: a[0],
    domain=((0.0, 0.0),), total=True, source="Chan, Golub & LeVeque 1983, section 2",
)  # fmt: skip


# A number less a mean of such under a softmax (`grad.softmaxes`), for which `opt.logsumexp` has digits.
_enter(
    "deviation", 2, lambda x, y: x - y, lambda x, y: x - y,
    (lambda g, a, y: g.one, lambda g, a, y: g.minus_one), expand=lambda g, a: g.intern("sub", a),
    domain=((-2.0, 2.0), (-2.0, 2.0)), total=True, source="Chan, Golub & LeVeque 1983, section 2",
)  # fmt: skip

# A number that is not counted where it is infinite, and moves as it does (`ir.stability.anchors`).
_enter(
    "finite_part", 1, lambda x: np.where(np.isinf(x), 0, x)[()], lambda x: x, (lambda g, a, y: g.one,),
    expand=lambda g, a: g.where(g.node("eq", g.node("abs", a[0]), g.const(float("inf"))), g.zero, a[0]),
    domain=((-2.0, 2.0),), total=True, source="Blanchard, Higham & Higham 2021, section 4",
)  # fmt: skip

# The share of an element in an array that is itself a share of more, as one (`grad.nested_shares`).
_enter(
    "nested_share", 2, lambda x, y: x * y, lambda x, y: x * y,
    (lambda g, a, y: a[1], lambda g, a, y: a[0]), expand=lambda g, a: g.mul(*a),
    domain=((0.0, 1.0), (0.0, 1.0)), total=True, source="Blanchard, Higham & Higham 2021, section 4",
)  # fmt: skip


# ---- hyperbolic functions ----------------------------------------------------------------------

_COSH_IS_EXP = 20  # from here on exp(-2x) is less than half of log(cosh(x))'s last place


def _np_logcosh(x: Any) -> Any:
    with np.errstate(all="ignore"):
        size = np.abs(x)
        near = np.log1p(np.sinh(x) * np.sinh(x)) * 0.5
        return np.where(size < _COSH_IS_EXP, near, size - np.asarray(x).dtype.type(_LOG2))


def _expand_logcosh(g: Graph, a: Args) -> int:
    """log(1 + sinh(x)^2)/2, which keeps the digits near 0; |x| - log(2) far away."""
    size, sinh = g.node("abs", a[0]), g.node("sinh", a[0])
    near = g.mul(g.const(0.5), g.intern("log1p", (g.intern("mul", (sinh, sinh)),)))
    far = g.intern("sub", (size, g.const(_LOG2)))
    return g.where(g.node("lt", size, g.const(_COSH_IS_EXP)), near, far)


_enter(
    "logcosh", 1, _np_logcosh, lambda x: _mp("log1p")(_mp("sinh")(x) ** 2) / 2,
    (lambda g, a, y: g.node("tanh", a[0]),), expand=_expand_logcosh, cost=50, total=True,
)  # fmt: skip


# ---- squares -----------------------------------------------------------------------------------


_enter(
    "square_difference", 2, lambda x, y: (x - y) * (x + y), lambda x, y: (x - y) * (x + y),
    (lambda g, a, y: g.mul(g.const(2), a[0]), lambda g, a, y: g.mul(g.const(-2), a[1])),
    expand=lambda g, a: g.mul(g.sub(*a), g.add(*a)), cost=3, domain=((-2.0, 2.0), (-2.0, 2.0)), total=True,
    source="Higham 2002, section 1.7",
)  # fmt: skip


# ---- with 1 and a square -----------------------------------------------------------------------


def _np_log1msq(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(x * x < 0.5, np.log1p(-(x * x)), np.log((1 - x) * (1 + x)))


def _expand_log1msq(g: Graph, a: Args) -> int:
    """log(1 - x^2): log1p near 0, and near |x| = 1 the factors, which are exact there."""
    x = a[0]
    square = g.mul(x, x)
    factors = g.intern("mul", (g.intern("sub", (g.one, x)), g.intern("add", (g.one, x))))
    near, far = g.intern("log1p", (g.neg(square),)), g.intern("log", (factors,))
    return g.where(g.node("lt", square, g.const(0.5)), near, far)


_enter(
    "log1msq", 1, _np_log1msq, lambda x: _mp("log")((1 - x) * (1 + x)),
    (lambda g, a, y: g.div(g.mul(g.const(-2), a[0]), g.node("square_difference", g.one, a[0])),),
    expand=_expand_log1msq, cost=40, domain=((-0.95, 0.95),), source="Higham 2002, sections 1.7 and 1.14",
)  # fmt: skip


def _np_loghypot1(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(np.abs(x) < 1, np.log1p(x * x) * 0.5, np.log(np.hypot(1, x)))


def _expand_loghypot1(g: Graph, a: Args) -> int:
    near = g.mul(g.const(0.5), g.intern("log1p", (g.mul(a[0], a[0]),)))
    far = g.intern("log", (g.intern("hypot", (g.one, a[0])),))
    return g.where(g.node("lt", g.node("abs", a[0]), g.one), near, far)


def _loghypot1_slope(g: Graph, a: Args, y: int) -> int:
    """x/(1 + x^2), whose square would overflow."""
    return g.node("inversion", a[0], g.one)


_enter(
    "loghypot1", 1, _np_loghypot1, lambda x: _mp("log1p")(x * x) / 2, (_loghypot1_slope,),
    expand=_expand_loghypot1, cost=45, total=True, source="Higham 2002, section 1.14",
)  # fmt: skip


def _np_hypot1m1(x: Any) -> Any:
    with np.errstate(all="ignore"):
        length = np.hypot(1, x)
        return np.where(np.abs(x) < 2, x * (x / (1 + length)), length - 1)


def _expand_hypot1m1(g: Graph, a: Args) -> int:
    length = g.intern("hypot", (g.one, a[0]))
    near = g.intern("mul", (a[0], g.intern("div", (a[0], g.intern("add", (g.one, length))))))
    return g.where(g.node("lt", g.node("abs", a[0]), g.const(2)), near, g.intern("sub", (length, g.one)))


_enter(
    "hypot1m1", 1, _np_hypot1m1, lambda x: x * x / (1 + _mp("sqrt")(1 + x * x)),
    (lambda g, a, y: g.div(a[0], g.node("hypot", g.one, a[0])),),
    expand=_expand_hypot1m1, cost=20, total=True, source="Higham 2002, section 1.8: the conjugate",
)  # fmt: skip


# ---- roots and products ------------------------------------------------------------------------


def _np_sqrt1pm1(x: Any) -> Any:
    with np.errstate(all="ignore"):
        root = np.sqrt(1 + x)
        return np.where(x < 1, x / (1 + root), root - 1)


def _expand_sqrt1pm1(g: Graph, a: Args) -> int:
    root = g.node("sqrt", g.intern("add", (g.one, a[0])))
    near = g.intern("div", (a[0], g.intern("add", (g.one, root))))
    return g.where(g.node("lt", a[0], g.one), near, g.intern("sub", (root, g.one)))


_enter(
    "sqrt1pm1", 1, _np_sqrt1pm1, lambda x: x / (1 + _mp("sqrt")(1 + x)),
    (lambda g, a, y: g.div(g.const(0.5), g.node("sqrt", g.add(g.one, a[0]))),),
    expand=_expand_sqrt1pm1, cost=10, domain=((-0.9, 4.0),),
    source="Higham 2002, section 1.8: the conjugate",
)  # fmt: skip


def _xlogx_slope(g: Graph, a: Args, y: int) -> int:
    """1 + log(x); 0 at the zero of what is never negative, where it is least: r^2 log(r) is flat there."""
    log = g.node("log", a[0])
    slope = g.add(log, g.one)
    root = g.node("hypot", *g.args[log]) if g.op[log] == "log_squares" else a[0]  # does not underflow
    return g.mask(g.node("ne", root, g.zero), slope) if is_never_negative(g, a[0]) else slope


def _np_xlogx(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(x == 0, np.asarray(x).dtype.type(0), x * np.log(x))


_enter(
    "xlogx", 1, _np_xlogx, lambda x: x * _mp("log")(x) if x else x,
    (_xlogx_slope,),
    expand=lambda g, a: g.where(
        g.node("eq", a[0], g.zero), g.zero, g.intern("mul", (a[0], g.node("log", a[0])))
    ),
    cost=20, domain=((0.1, 0.9),), source="the limit 0 at 0; Cover & Thomas 2006, section 2.1",
)  # fmt: skip


def _np_exp_of_sum(x: Any, y: Any) -> Any:
    """exp(x + y) with the rounding error of the sum (Knuth's two-sum) put back."""
    with np.errstate(all="ignore"):
        total = x + y
        back = total - x
        lost = (x - (total - back)) + (y - back)
        value = np.exp(total)
        return np.where(np.isfinite(value) & np.isfinite(total), value + value * lost, value)


def _expand_exp_of_sum(g: Graph, a: Args) -> int:
    x, y = a
    total = g.intern("add", (x, y))
    back = g.intern("sub", (total, x))
    lost = g.intern("add", (g.intern("sub", (x, g.intern("sub", (total, back)))), g.intern("sub", (y, back))))
    value = g.node("exp", total)
    infinity = g.const(float("inf"))
    finite = g.node("and", g.node("lt", value, infinity), g.node("lt", g.node("abs", total), infinity))
    return g.where(finite, g.intern("add", (value, g.intern("mul", (value, lost)))), value)


_enter(
    "exp_of_sum", 2, _np_exp_of_sum, lambda x, y: _mp("exp")(x + y),
    (lambda g, a, y: y, lambda g, a, y: y),
    expand=_expand_exp_of_sum, cost=25, domain=((-2.0, 2.0), (-2.0, 2.0)), total=True,
    decay=lambda g, a: g.neg(g.add(*a)),
    source="Knuth 1997, The Art of Computer Programming 2, section 4.2.2, theorem B",
)  # fmt: skip
