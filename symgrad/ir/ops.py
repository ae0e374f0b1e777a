"""The op table: everything known about an elementwise operation is one row here.

A row holds the reference meaning (NumPy and mpmath), the partial derivatives as builders of
nodes, the SymPy head it comes from, its C and LLVM spelling *or* an expansion in other ops, a
cost, where to sample it in tests, and its kinks. Nothing about an op lives anywhere else. The row type is
in `op.py`; special functions are rows of the same table, in files of their own (`special.py`).

Derivatives at kinks follow the graph's convention (`ir.kinks`); jumps contribute nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.kinks import multiplicity, slope_of_abs_at_zero, tie_goes_to
from symgrad.ir.op import Interval, Op, Opposite, Partial, scipy_function
from symgrad.ir.op import mp_function as _mp
from symgrad.ir.signs import is_root_at_least_value
from symgrad.ir.special import SPECIAL
from symgrad.ir.special.erfc import mp_erfc

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

OPS: dict[str, Op] = {}


def _row(name: str, arity: int, *args: Any, **fields: Any) -> None:
    OPS[name] = Op(name, arity, *args, **fields)


def _square(g: Graph, x: int) -> int:
    return g.mul(x, x)


def _one_minus_square(g: Graph, x: int) -> int:
    """1 - x**2. Near 1 in factors, whose differences are exact; near 0 not, where their slopes cancel."""
    factors = g.mul(g.sub(g.one, x), g.add(g.one, x))
    return g.where(g.node("lt", g.node("abs", x), g.const(0.5)), g.sub(g.one, _square(g, x)), factors)


def _inverse_sqrt(g: Graph, x: int) -> int:
    return g.div(g.one, g.node("sqrt", x))


_WIDE: tuple[Interval, ...] = ((-2.0, 2.0), (-2.0, 2.0))
_POSITIVE: tuple[Interval, ...] = ((0.1, 4.0),)

# ---- arithmetic --------------------------------------------------------------------------------

_row(
    "add", 2, np.add, lambda a, b: a + b,
    (lambda g, a, y: g.one, lambda g, a, y: g.one),
    sympy="Add", c="({0} + {1})", llvm="fadd", domain=_WIDE, total=True,
)  # fmt: skip
_row(
    "sub", 2, np.subtract, lambda a, b: a - b,
    (lambda g, a, y: g.one, Opposite(lambda g, a, y: g.one)),
    c="({0} - {1})", llvm="fsub", domain=_WIDE, total=True,
)  # fmt: skip
_row(
    "mul", 2, np.multiply, lambda a, b: a * b,
    (lambda g, a, y: a[1], lambda g, a, y: a[0]),
    sympy="Mul", c="({0} * {1})", llvm="fmul", domain=_WIDE, total=True,
)  # fmt: skip


_GROWING = frozenset(("exp", "cosh", "sinh"))  # slopes that overflow; rules see them beside what divides them


def _grows(g: Graph, dot: int | None) -> bool:
    """Whether a tangent has such a slope for a factor."""
    stack = [] if dot is None else [dot]
    while stack:
        n = stack.pop()
        if g.op[n] in _GROWING:
            return True
        stack += g.args[n] if g.op[n] in ("mul", "neg") else ()
    return False


def _quotient(g: Graph, a: tuple[int, ...], y: int, dots: Mapping[int, int]) -> int:
    """(xdot - y*bdot)/b, one division; where only b moves, y/b, which other tangents may share.

    Of exponentials it is xdot/b - y*(bdot/b): one of the two is out of range where their quotients are not.

    Of y = c/b/b by a length b it is (cdot - 2*(c/b)*bdot)/b/b: the tangent of c/b is a number that nothing
    else needs. The slopes of a length are at most 1, so that (c/b)*bdot is in range; by others it may not be.
    """
    x, b = a
    if b not in dots:
        return g.div(dots[x], b)
    if _grows(g, dots.get(x)) or _grows(g, dots[b]):
        by_b = g.mul(y, g.div(dots[b], b))
        return g.sub(g.div(dots[x], b), by_b) if x in dots else g.neg(by_b)
    if x not in dots:
        return g.neg(g.mul(g.div(y, b), dots[b]))
    once, times = y, 1
    while g.op[b] == "hypot" and g.op[above := g.args[once][0]] == "div" and g.args[above][1] == b:
        once, times = above, times + 1
    c = g.args[once][0]
    if times == 1 or c not in dots:
        return g.div(g.sub(dots[x], g.mul(y, dots[b])), b)
    moved = g.sub(dots[c], g.mul(g.const(times), g.mul(once, dots[b])))
    for _ in range(times):
        moved = g.div(moved, b)
    return moved


_row(
    "div", 2, np.divide, lambda a, b: a / b,
    (lambda g, a, y: g.div(g.one, a[1]), Opposite(lambda g, a, y: g.div(y, a[1]))), tangent=_quotient,
    c="({0} / {1})", llvm="fdiv", cost=4, domain=((-2.0, 2.0), (0.1, 4.0)),
)  # fmt: skip
_row(
    "neg", 1, np.negative, lambda a: -a, (Opposite(lambda g, a, y: g.one),),
    c="(-{0})", llvm="fneg", total=True,
)  # fmt: skip


def _times_power(g: Graph, factor: int, power: int) -> int:
    """The product, and 0 where it were 0*inf; it still varies with the factor where that is 0."""
    is_finite = g.node("lt", g.node("abs", power), g.const(float("inf")))
    return g.mask(g.node("or", g.node("ne", factor, g.zero), is_finite), g.mul(factor, power))


def _pow_by_base(g: Graph, a: tuple[int, ...], y: int) -> int:
    """b*x**(b - 1), and 0 at b = 0, also where x = 0.

    0 also at the zero of what is never negative, where its root has its least value.
    """
    if g.rational(a[1]) is None:
        slope = g.node("pow_slope", *a)
    else:
        slope = _times_power(g, a[1], g.node("pow", a[0], g.sub(a[1], g.one)))
    return g.mask(g.node("ne", a[0], g.zero), slope) if is_root_at_least_value(g, y) else slope


def _times_log(g: Graph, a: tuple[int, ...], y: int) -> int:
    """y*log(x), and 0 at x = 0, where x**y is 0 on a whole neighbourhood of exponents."""
    return g.mask(g.node("ne", a[0], g.zero), g.mul(y, g.node("log", a[0])))


def _pow_by_exponent(g: Graph, a: tuple[int, ...], y: int) -> int:
    """One op, which has a limit at x = 0; in two where the logarithm is another function, as log1p."""
    is_plain = g.op[g.node("log", a[0])] == "log"
    return g.node("pow_log", *a) if is_plain else _times_log(g, a, y)


def _times_log_again(g: Graph, a: tuple[int, ...], y: int) -> int:
    """Of x**b*log(x), written out: for any x, the logarithm may become another function."""
    return _times_log(g, a, _times_log(g, a, g.node("pow", *a)))


_row(
    "pow", 2, np.power, lambda a, b: a**b,
    (_pow_by_base, _pow_by_exponent),
    sympy="Pow", c="pow{f}({0}, {1})", llvm="intrinsic llvm.pow", cost=40,
    domain=((0.1, 4.0), (-2.0, 2.0)), kink="the zero of a sum of squares (derivative 0)",
)  # fmt: skip


_LOWERED = 3  # so many orders of derivatives of a power are accurate for every exponent


def _pow_minus_by_base(k: int) -> Partial:
    """(b - k)*x**(b - k - 1), and 0 where b = k, also where x = 0."""

    def slope(g: Graph, a: tuple[int, ...], y: int) -> int:
        x, b = a
        plain = k == _LOWERED
        next_power = g.node("pow", x, g.sub(b, g.const(k + 1))) if plain else g.node(f"pow_{k + 1}", x, b)
        return _times_power(g, g.sub(b, g.const(k)), next_power)

    return slope


def _expand_pow_minus(k: int) -> Callable[[Graph, tuple[int, ...]], int]:
    """Where b - k would be rounded (then b < 1, and x**b is in range), x**b divided by x, k times."""

    def expand(g: Graph, a: tuple[int, ...]) -> int:
        x, b = a
        quotient = g.node("pow", x, b)
        for _ in range(k):
            quotient = g.div(quotient, x)
        is_rounded = g.node("lt", b, g.const(0.5) if k == 1 else g.one)
        infinity = g.const(float("inf"))
        divides = g.node("and", g.node("ne", x, g.zero), g.node("lt", g.node("abs", x), infinity))
        direct = g.node("pow", x, g.sub(b, g.const(k)))
        return g.where(g.node("and", is_rounded, divides), quotient, direct)

    return expand


def _np_pow_minus(k: int) -> Callable[[Any, Any], Any]:
    def call(x: Any, b: Any) -> Any:
        quotient = np.power(x, b)
        for _ in range(k):
            quotient = quotient / x
        use = (b < (0.5 if k == 1 else 1)) & np.not_equal(x, 0) & np.isfinite(x)
        return np.where(use, quotient, np.power(x, b - np.result_type(b).type(k)))[()]

    return call


def _mp_pow_minus(k: int) -> Callable[[Any, Any], Any]:
    return lambda a, b: a ** (b - k)


def _by_both(g: Graph, a: tuple[int, ...], y: int) -> int:
    """x**(b - 1)*(1 + b*log(x)); at x = 0 the limit: -inf for 0 < b <= 1, with one term inf, 0 for b > 1.

    0 at x = b = 0, as the slopes are.
    """
    x, b = a
    power, log, at_zero = g.node("pow_1", x, b), g.node("log", x), g.node("eq", x, g.zero)
    apart = g.add(power, g.mul(g.mul(b, power), log))
    together = g.mul(power, g.add(g.one, g.mul(b, log)))
    is_flat = g.node("or", g.node("lt", g.one, b), g.node("eq", b, g.zero))
    return g.mask(g.node("not", g.node("and", at_zero, is_flat)), g.where(at_zero, together, apart))


def _np_pow_slope(x: Any, b: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(b == 0, b, b * OPS["pow_1"].numpy(x, b))


def _np_pow_log(x: Any, b: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(x == 0, np.result_type(x).type(0), np.power(x, b) * np.log(x))


for _k in range(1, _LOWERED + 1):
    _row(
        f"pow_{_k}", 2, _np_pow_minus(_k), _mp_pow_minus(_k),
        (_pow_minus_by_base(_k), _times_log),
        expand=_expand_pow_minus(_k), cost=45, domain=((0.1, 4.0), (-2.0, 2.0)),
        source=f"x**(b - {_k}): derivatives of a power; accurate also where b - {_k} is rounded",
    )  # fmt: skip
# The first derivatives of a power by base and exponent. Of both, a sum of two terms: infinite ones at 0.
_row(
    "pow_slope", 2, _np_pow_slope, lambda x, b: b * x ** (b - 1) if b else b,
    (lambda g, a, y: _times_power(g, a[1], _pow_minus_by_base(1)(g, a, y)), _by_both),
    expand=lambda g, a: _times_power(g, a[1], g.node("pow_1", *a)), cost=48,
    domain=((0.1, 4.0), (-2.0, 2.0)), source="calculus; 0 where b is",
)  # fmt: skip
_row(
    "pow_log", 2, _np_pow_log, lambda x, b: x**b * _mp("log")(x) if x else x,
    (_by_both, _times_log_again), expand=lambda g, a: _times_log(g, a, g.node("pow", *a)), cost=60,
    domain=((0.1, 4.0), (-2.0, 2.0)), source="calculus; 0 where x is",
)  # fmt: skip


def _sqrt_slope(g: Graph, a: tuple[int, ...], y: int) -> int:
    """1/(2*sqrt(x)); 0 at the zero of what is never negative, where a norm is least (not inf*0)."""
    slope = g.div(g.const(0.5), y)
    return g.mask(g.node("ne", y, g.zero), slope) if is_root_at_least_value(g, y) else slope


_row(
    "sqrt", 1, np.sqrt, _mp("sqrt"), (_sqrt_slope,),
    sympy="sqrt", c="sqrt{f}({0})", llvm="intrinsic llvm.sqrt", cost=4, domain=_POSITIVE,
    kink="the zero of a sum of squares (derivative 0)",
)  # fmt: skip
_row(
    "cbrt", 1, np.cbrt, lambda a: _mp("sign")(a) * _mp("cbrt")(abs(a)),
    (lambda g, a, y: g.div(g.one, g.mul(g.const(3), _square(g, y))),),
    sympy="cbrt", c="cbrt{f}({0})", llvm="call cbrt", cost=20, domain=_POSITIVE, total=True,
)  # fmt: skip


# ---- exponentials and logarithms ---------------------------------------------------------------


def _to_the_left(g: Graph, a: tuple[int, ...]) -> int:
    return g.neg(a[0])


def _on_both_sides(g: Graph, a: tuple[int, ...]) -> int:
    return g.node("abs", a[0])


_row(
    "exp", 1, np.exp, _mp("exp"), (lambda g, a, y: y,),
    sympy="exp", c="exp{f}({0})", llvm="intrinsic llvm.exp", cost=15, total=True, decay=_to_the_left,
)  # fmt: skip
_row(
    "expm1", 1, np.expm1, _mp("expm1"), (lambda g, a, y: g.node("exp", a[0]),),
    c="expm1{f}({0})", llvm="call expm1", cost=18, total=True, decay=_to_the_left,
)  # fmt: skip
_row(
    "log", 1, np.log, _mp("log"), (lambda g, a, y: g.div(g.one, a[0]),),
    sympy="log", c="log{f}({0})", llvm="intrinsic llvm.log", cost=18, domain=_POSITIVE,
)  # fmt: skip
_row(
    "log1p", 1, np.log1p, _mp("log1p"), (lambda g, a, y: g.div(g.one, g.add(g.one, a[0])),),
    c="log1p{f}({0})", llvm="call log1p", cost=20, domain=((-0.9, 4.0),),
)  # fmt: skip


def _np_logistic(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, np.asarray(x).dtype.type(1), e) / (1 + e)  # nan: through e


def _expand_logistic(g: Graph, a: tuple[int, ...]) -> int:
    """exp(-|x|) cannot overflow; both halves share it."""
    e = g.node("exp", g.neg(g.node("abs", a[0])))
    above = g.where(g.node("le", g.zero, a[0]), g.one, e)
    return g.intern("div", (above, g.add(g.one, e)))  # a rule would make it a logistic function again


_row(
    "logistic", 1, _np_logistic, lambda a: 1 / (1 + _mp("exp")(-a)),
    (lambda g, a, y: g.node("logistic_slope", a[0]),),
    expand=_expand_logistic, cost=25, total=True, decay=_on_both_sides,
)  # fmt: skip
_row(
    "softplus", 1, lambda x: np.logaddexp(x, x.dtype.type(0) if hasattr(x, "dtype") else 0.0),
    lambda a: _mp("log1p")(_mp("exp")(a)) if a < 0 else a + _mp("log1p")(_mp("exp")(-a)),
    (lambda g, a, y: g.node("logistic", a[0]),),
    expand=lambda g, a: g.add(
        g.node("maximum", a[0], g.zero), g.node("log1p", g.node("exp", g.neg(g.node("abs", a[0]))))
    ),
    cost=40, source="Maechler 2012, Accurately computing log(1 - exp(-|a|))", total=True, decay=_to_the_left,
)  # fmt: skip

# ---- trigonometric and hyperbolic --------------------------------------------------------------

_row(
    "sin", 1, np.sin, _mp("sin"), (lambda g, a, y: g.node("cos", a[0]),),
    sympy="sin", c="sin{f}({0})", llvm="intrinsic llvm.sin", cost=20, total=True,
)  # fmt: skip
_row(
    "cos", 1, np.cos, _mp("cos"), (Opposite(lambda g, a, y: g.node("sin", a[0])),),
    sympy="cos", c="cos{f}({0})", llvm="intrinsic llvm.cos", cost=20, total=True,
)  # fmt: skip
_row(
    "tan", 1, np.tan, _mp("tan"), (lambda g, a, y: g.add(g.one, _square(g, y)),),
    sympy="tan", c="tan{f}({0})", llvm="call tan", cost=30, domain=((-1.4, 1.4),),
)  # fmt: skip
_row(
    "asin", 1, np.arcsin, _mp("asin"), (lambda g, a, y: _inverse_sqrt(g, _one_minus_square(g, a[0])),),
    sympy="asin", c="asin{f}({0})", llvm="call asin", cost=25, domain=((-0.95, 0.95),),
)  # fmt: skip
_row(
    "acos", 1, np.arccos, _mp("acos"),
    (Opposite(lambda g, a, y: _inverse_sqrt(g, _one_minus_square(g, a[0]))),),
    sympy="acos", c="acos{f}({0})", llvm="call acos", cost=25, domain=((-0.95, 0.95),),
)  # fmt: skip
_row(
    "atan", 1, np.arctan, _mp("atan"), (lambda g, a, y: g.div(g.one, g.add(g.one, _square(g, a[0]))),),
    sympy="atan", c="atan{f}({0})", llvm="call atan", cost=25, total=True,
)  # fmt: skip


_row(
    "atan2", 2, np.arctan2, _mp("atan2"),
    (lambda g, a, y: g.node("inversion", a[1], a[0]), Opposite(lambda g, a, y: g.node("inversion", *a))),
    sympy="atan2", c="atan2{f}({0}, {1})", llvm="call atan2", cost=40,
    domain=((0.1, 2.0), (-2.0, 2.0)), kink="the origin (derivative 0) and the negative x axis", total=True,
)  # fmt: skip
_row(
    "sinh", 1, np.sinh, _mp("sinh"), (lambda g, a, y: g.node("cosh", a[0]),),
    sympy="sinh", c="sinh{f}({0})", llvm="call sinh", cost=25, total=True,
)  # fmt: skip
_row(
    "cosh", 1, np.cosh, _mp("cosh"), (lambda g, a, y: g.node("sinh", a[0]),),
    sympy="cosh", c="cosh{f}({0})", llvm="call cosh", cost=25, total=True,
)  # fmt: skip
_row(
    "tanh", 1, np.tanh, _mp("tanh"), (lambda g, a, y: _square(g, g.node("sech", a[0])),),
    sympy="tanh", c="tanh{f}({0})", llvm="call tanh", cost=20, total=True, decay=_on_both_sides,
)  # fmt: skip
_row(  # the derivative of tanh is its square: 1 - tanh(x)**2 has no digits left from |x| = 19 on
    "sech", 1, lambda x: 1 / np.cosh(x), _mp("sech"),
    (lambda g, a, y: g.neg(g.mul(y, g.node("tanh", a[0]))),),
    expand=lambda g, a: g.intern("div", (g.one, g.node("cosh", a[0]))), cost=29, total=True,
    decay=_on_both_sides,
)  # fmt: skip
_row(
    "asinh", 1, np.arcsinh, _mp("asinh"),
    (lambda g, a, y: g.div(g.one, g.node("hypot", g.one, a[0])),),
    sympy="asinh", c="asinh{f}({0})", llvm="call asinh", cost=30, total=True,
)  # fmt: skip
_row(
    "acosh", 1, np.arccosh, _mp("acosh"),
    (
        lambda g, a, y: g.div(
            g.one,
            g.mul(g.node("sqrt", g.sub(a[0], g.one)), g.node("sqrt", g.add(a[0], g.one))),
        ),
    ),
    sympy="acosh", c="acosh{f}({0})", llvm="call acosh", cost=30, domain=((1.1, 4.0),),
)  # fmt: skip
_row(
    "atanh", 1, np.arctanh, _mp("atanh"), (lambda g, a, y: g.div(g.one, _one_minus_square(g, a[0])),),
    sympy="atanh", c="atanh{f}({0})", llvm="call atanh", cost=30, domain=((-0.95, 0.95),),
)  # fmt: skip


def _erf_slope(g: Graph, a: tuple[int, ...], y: int) -> int:
    two_over_root_pi = g.div(g.const(2), g.node("sqrt", g.const("pi")))
    return g.mul(two_over_root_pi, g.node("exp", g.neg(_square(g, a[0]))))


_row(
    "erf", 1, scipy_function("erf"), _mp("erf"), (_erf_slope,),
    sympy="erf", c="erf{f}({0})", llvm="call erf", cost=30, source="DLMF 7.2.1", total=True,
    decay=_on_both_sides,
)  # fmt: skip
_row(
    "erfc", 1, scipy_function("erfc"), mp_erfc, (lambda g, a, y: g.neg(_erf_slope(g, a, y)),),
    sympy="erfc", c="erfc{f}({0})", llvm="call erfc", cost=30, source="DLMF 7.2.2", total=True,
    decay=_on_both_sides,
)  # fmt: skip

# ---- kinks and jumps ---------------------------------------------------------------------------


def _expand_sign(g: Graph, a: tuple[int, ...]) -> int:
    """1, -1, or x itself: keeps 0 and nan."""
    negative = g.where(g.node("lt", a[0], g.zero), g.const(-1), a[0])
    return g.where(g.node("lt", g.zero, a[0]), g.one, negative)


def _expand_maximum(g: Graph, a: tuple[int, ...]) -> int:
    """The first argument on a tie; nan from either side, as NumPy's maximum."""
    first = g.node("or", g.node("le", a[1], a[0]), g.node("ne", a[0], a[0]))
    return g.where(first, a[0], a[1])


def _expand_minimum(g: Graph, a: tuple[int, ...]) -> int:
    first = g.node("or", g.node("le", a[0], a[1]), g.node("ne", a[0], a[0]))
    return g.where(first, a[0], a[1])


def _abs_slope(g: Graph, a: tuple[int, ...], y: int) -> int:
    sign, at_zero = g.node("sign", a[0]), slope_of_abs_at_zero(g.kinks)
    return g.where(g.node("eq", a[0], g.zero), g.const(at_zero), sign) if at_zero else sign


def _extremum_slope(op: str, mine: int) -> Partial:
    """1 where argument `mine` alone attains the extremum, 0 where it does not; its share of a tie."""
    other = 1 - mine

    def build(g: Graph, a: tuple[int, ...], y: int) -> int:
        beaten, winner = (a[other], a[mine]) if op == "maximum" else (a[mine], a[other])
        ties = tie_goes_to(g.kinks, op)
        if ties != "all":
            takes_tie = ties == ("first", "last")[mine]
            return g.mask(g.node("le" if takes_tie else "lt", beaten, winner), g.one)
        own, others = multiplicity(g, a[mine], op), multiplicity(g, a[other], op)
        share = g.div(own, g.add(own, others))
        return g.where(g.node("eq", *a), share, g.mask(g.node("lt", beaten, winner), g.one))

    return build


def _mod_floor(g: Graph, a: tuple[int, ...], y: int) -> int:
    return g.neg(g.node("floor", g.div(a[0], a[1])))


def _fmod_quotient(g: Graph, a: tuple[int, ...], y: int) -> int:
    """Minus the quotient rounded towards zero."""
    q = g.div(a[0], a[1])
    return g.neg(g.mul(g.node("sign", q), g.node("floor", g.node("abs", q))))


def _expand_mod(g: Graph, a: tuple[int, ...]) -> int:
    """C's remainder moved to the sign of the divisor, as Python's and SymPy's Mod."""
    r = g.node("fmod", a[0], a[1])
    differ = g.node("lt", g.mul(g.node("sign", r), g.node("sign", a[1])), g.zero)
    return g.where(differ, g.add(r, a[1]), r)


_row(
    "abs", 1, np.abs, abs, (_abs_slope,),
    sympy="Abs", c="fabs{f}({0})", llvm="intrinsic llvm.fabs", kink="x = 0", total=True,
)  # fmt: skip
_row(
    "sign", 1, np.sign, _mp("sign"), (None,),
    sympy="sign", expand=_expand_sign, cost=2, kink="x = 0 (jump)", total=True,
)  # fmt: skip
_row(
    "maximum", 2, np.maximum, max, (_extremum_slope("maximum", 0), _extremum_slope("maximum", 1)),
    sympy="Max", expand=_expand_maximum, cost=2, domain=_WIDE,
    kink="ties", total=True,
)  # fmt: skip
_row(
    "minimum", 2, np.minimum, min, (_extremum_slope("minimum", 0), _extremum_slope("minimum", 1)),
    sympy="Min", expand=_expand_minimum, cost=2, domain=_WIDE,
    kink="ties", total=True,
)  # fmt: skip
_row(
    "floor", 1, np.floor, _mp("floor"), (None,),
    sympy="floor", c="floor{f}({0})", llvm="intrinsic llvm.floor", cost=2, kink="integers (jump)", total=True,
)  # fmt: skip
_row(
    "ceil", 1, np.ceil, _mp("ceil"), (None,),
    sympy="ceiling", c="ceil{f}({0})", llvm="intrinsic llvm.ceil", cost=2, kink="integers (jump)", total=True,
)  # fmt: skip
_row(
    "fmod", 2, np.fmod, lambda a, b: a - b * _mp("floor")(abs(a / b)) * _mp("sign")(a / b),
    (lambda g, a, y: g.one, _fmod_quotient),
    c="fmod{f}({0}, {1})", llvm="call fmod", cost=20,
    domain=((-2.0, 2.0), (0.3, 4.0)), kink="multiples (jump)",
)  # fmt: skip
_row(
    "mod", 2, np.mod, lambda a, b: a - b * _mp("floor")(a / b),
    (lambda g, a, y: g.one, _mod_floor),
    sympy="Mod", expand=_expand_mod, cost=25, domain=((-2.0, 2.0), (0.3, 4.0)), kink="multiples (jump)",
)  # fmt: skip

# ---- predicates and selection ------------------------------------------------------------------

for _name, _np, _mpf, _c, _llvm in (
    ("lt", np.less, lambda a, b: a < b, "<", "olt"),
    ("le", np.less_equal, lambda a, b: a <= b, "<=", "ole"),
    ("eq", np.equal, lambda a, b: a == b, "==", "oeq"),
    ("ne", np.not_equal, lambda a, b: a != b, "!=", "une"),
):
    _row(
        _name, 2, _np, _mpf, (None, None), result="bool", total=True,
        c=f"({{0}} {_c} {{1}})", llvm=f"fcmp {_llvm}", domain=_WIDE,
    )  # fmt: skip
_row("and", 2, np.logical_and, lambda a, b: a and b, (None, None), result="bool", total=True, sympy="And",
     c="({0} && {1})", llvm="and")  # fmt: skip
_row("or", 2, np.logical_or, lambda a, b: a or b, (None, None), result="bool", total=True, sympy="Or",
     c="({0} || {1})", llvm="or")  # fmt: skip
_row("not", 1, np.logical_not, lambda a: not a, (None,), result="bool", total=True, sympy="Not",
     c="(!{0})", llvm="not")  # fmt: skip
_row(
    "where", 3, np.where, lambda p, a, b: a if p else b,
    (None, lambda g, a, y: g.mask(a[0], g.one), lambda g, a, y: g.mask(g.node("not", a[0]), g.one)),
    sympy="Piecewise", c="({0} ? {1} : {2})", llvm="select", total=True, kink="where the predicate changes",
)  # fmt: skip
_row(
    "mask", 2, lambda p, a: np.where(p, a, np.asarray(a).dtype.type(0)),
    lambda p, a: a if p else _mp("mpf")(0),
    (None, lambda g, a, y: g.mask(a[0], g.one)),
    c="({0} ? {1} : 0)", llvm="select", total=True,
)  # fmt: skip
_row("cast", 1, np.asarray, lambda a: a, (None,), c="({real}){0}", llvm="sitofp", total=True)

OPS |= SPECIAL

# They enter their rows; at the end, because these are built from the table above.
from symgrad.ir import composites, series  # noqa: E402, F401
