"""Logarithms of products and quotients that leave the range of numbers, and numbers times logarithms.

    log_abs(x)            log|x|
    log_product(x, y)     log(x*y), log_quotient(x, y) log(x/y): of numbers over a power of two, which is 1
                          unless the plain product is out of range, so that it has the same digits elsewhere
    log_in_range(s, r, t) log(s); r where s is out of range: the same as a sum of logarithms. t is that sum as
                          well, there for derivatives and never looked at
    xlogy(x, y)           x*log(y), 0 where both are 0; xlog1py(x, z) is x*log(1 + z), and xovery(x, y) x/y
    relative_entropy(x, y)  x*log(x/y), 0 where x is

`ir/stability/products.py` makes them.

Sources: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 27.8, on scaling; 0*log(0) = 0,
Cover & Thomas 2006, section 2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.composites.norm import by_range, np_scale, power_of_two
from symgrad.ir.op import Op, mp_function
from symgrad.ir.ops import OPS

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
_ANY, _APART, _LARGE = ((-2.0, 2.0), (0.1, 4.0)), ((1.5, 4.0), (0.1, 1.0)), ((1.5, 4.0), (1.0, 4.0))


def _enter(name: str, arity: int, numpy: Any, mpmath: Any, partials: tuple[Any, ...], **fields: Any) -> None:
    OPS[name] = Op(name, arity, numpy, mpmath, partials, **fields)


def _log(x: Any) -> Any:
    return mp_function("log")(x)


def _quietly(function: Any) -> Any:
    def quiet(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args)

    return quiet


def _one_over(place: int, sign: int = 1) -> Any:
    def partial(g: Graph, a: Args, y: int) -> int:
        return g.div(g.const(sign), a[place])

    return partial


_enter(
    "log_abs", 1, _quietly(lambda x: np.log(np.abs(x))), lambda x: _log(abs(x)), (_one_over(0),),
    expand=lambda g, a: g.intern("log", (g.node("abs", a[0]),)), cost=19, domain=((0.1, 4.0),),
)  # fmt: skip


# ---- of two numbers ----------------------------------------------------------------------------


def _np_shifted(plain: Any, m: Any, scale: Any) -> Any:
    m = np.where(np.isnan(m), plain, m)
    return np.log(m) + np.log(scale) * scale.dtype.type(2)


def _np_log_product(x: Any, y: Any) -> Any:
    plain = np.asarray(x * y)
    scale = np_scale(np.abs(plain))
    return _np_shifted(plain, (x / scale) * (y / scale), scale)


def _np_log_quotient(x: Any, y: Any) -> Any:
    plain = np.asarray(x / y)
    scale = np_scale(np.abs(plain))
    return _np_shifted(plain, (x / scale) / (y * scale), scale)


def _shifted(g: Graph, plain: int, m: int, s: int) -> int:
    """log(m) + 2*log(scale); 0 is added to what is in range. Beside a 0 or an infinity m may be nan."""
    m = g.where(g.node("ne", m, m), plain, m)
    large = g.mul(g.const(2), g.intern("log", (power_of_two(g, 0),)))
    return g.intern("add", (g.intern("log", (m,)), by_range(g, s, large, g.neg(large), g.zero)))


def _expand_log_product(g: Graph, a: Args) -> int:
    plain = g.intern("mul", a)
    s = g.node("abs", plain)
    scale = by_range(g, s, power_of_two(g, 0, -1), power_of_two(g, 0), g.one)
    return _shifted(g, plain, g.intern("mul", tuple(g.intern("mul", (n, scale)) for n in a)), s)


def _expand_log_quotient(g: Graph, a: Args) -> int:
    plain = g.intern("div", a)
    s = g.node("abs", plain)
    down = by_range(g, s, power_of_two(g, 0, -1), power_of_two(g, 0), g.one)
    up = by_range(g, s, power_of_two(g, 0), power_of_two(g, 0, -1), g.one)
    return _shifted(
        g, plain, g.intern("div", (g.intern("mul", (a[0], down)), g.intern("mul", (a[1], up)))), s
    )


_enter(
    "log_product", 2, _quietly(_np_log_product), lambda x, y: _log(x * y), (_one_over(0), _one_over(1)),
    expand=_expand_log_product, cost=24, domain=_LARGE, source="Higham 2002, section 27.8",
)  # fmt: skip
_enter(
    "log_quotient", 2, _quietly(_np_log_quotient), lambda x, y: _log(x / y), (_one_over(0), _one_over(1, -1)),
    expand=_expand_log_quotient, cost=28, domain=_APART, source="Higham 2002, section 27.8",
)  # fmt: skip


# ---- of many -----------------------------------------------------------------------------------


def _np_log_in_range(s: Any, r: Any, t: Any) -> Any:
    out = (np_scale(np.abs(s)) != 1) | np.isnan(s)
    return np.where(out & ~(np.real(s) < 0), r, np.log(s))


def _expand_log_in_range(g: Graph, a: Args) -> int:
    """A product that is nan may have been inf*0 on its way."""
    has_left = g.node("or", g.node("out_of_range", g.node("abs", a[0])), g.node("ne", a[0], a[0]))
    other = g.node("and", has_left, g.node("not", g.node("lt", a[0], g.zero)))
    return g.where(other, a[1], g.intern("log", (a[0],)))


_enter(
    "log_in_range", 3, _quietly(_np_log_in_range), lambda s, r, t: _log(s),
    (None, None, lambda g, a, y: g.one), expand=_expand_log_in_range, cost=21, domain=((1.5, 4.0),),
)  # fmt: skip


# ---- numbers times logarithms ------------------------------------------------------------------


def _unless(first: Any, second: Any, value: Any) -> Any:
    """0 where both hold."""
    return np.where(first & second, np.zeros_like(value), value)


def unless_zero(g: Graph, a: Args, zero: int, value: int) -> int:
    both = g.node("and", g.node("eq", a[0], g.zero), g.node("eq", a[1], g.const(zero)))
    return g.where(both, g.zero, value)


def _product(log: str, zero: int) -> Any:
    """x times a logarithm that is -inf at `zero`."""

    def expand(g: Graph, a: Args) -> int:
        return unless_zero(g, a, zero, g.intern("mul", (a[0], g.intern(log, (a[1],)))))

    return expand


_enter(
    "xovery", 2, _quietly(lambda x, y: _unless(x == 0, y == 0, x / y)), lambda x, y: x / y if x or y else x,
    (_one_over(1), lambda g, a, y: g.neg(g.node("xovery", y, a[1]))),
    expand=lambda g, a: unless_zero(g, a, 0, g.intern("div", a)), cost=6, domain=_ANY,
    source="the derivative of x*log(y) by y",
)  # fmt: skip
_enter(
    "xlogy", 2, _quietly(lambda x, y: _unless(x == 0, y == 0, x * np.log(y))),
    lambda x, y: x * _log(y) if x or y else x,
    (lambda g, a, y: g.node("log", a[1]), lambda g, a, y: g.node("xovery", *a)),
    expand=_product("log", 0), cost=20, domain=_ANY, source="Cover & Thomas 2006, section 2.1",
)  # fmt: skip
_enter(
    "xlog1py", 2, _quietly(lambda x, z: _unless(x == 0, z == -1, x * np.log1p(z))),
    lambda x, z: x * mp_function("log1p")(z) if x or z != -1 else x,
    (lambda g, a, y: g.node("log1p", a[1]), lambda g, a, y: g.node("xovery", a[0], g.add(g.one, a[1]))),
    expand=_product("log1p", -1), cost=22, domain=((-2.0, 2.0), (-0.9, 4.0)),
    source="Cover & Thomas 2006, section 2.1",
)  # fmt: skip


def _expand_relative_entropy(g: Graph, a: Args) -> int:
    none = g.node("and", g.node("eq", a[0], g.zero), g.node("le", g.zero, a[1]))
    return g.where(none, g.zero, g.intern("mul", (a[0], g.node("log_quotient", *a))))


_enter(
    "relative_entropy", 2,
    _quietly(lambda x, y: _unless(x == 0, y >= 0, x * _np_log_quotient(x, y))),
    lambda x, y: x * _log(x / y) if x else x,
    (lambda g, a, y: g.add(g.node("log_quotient", *a), g.one),
     lambda g, a, y: g.neg(g.div(a[0], a[1]))),
    expand=_expand_relative_entropy, cost=30, domain=_APART, source="Cover & Thomas 2006, section 2.3",
)  # fmt: skip

NAMES = frozenset(("log_in_range",))  # whose arguments belong together
