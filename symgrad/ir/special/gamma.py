"""The gamma function and its relatives: rows of the op table.

gamma, loggamma (log|gamma|, as C's lgamma), digamma, polygamma, beta, betaln, binomial, rising, erfinv,
erfcinv, erfi, zeta, riemann_zeta; incomplete functions are in `incomplete.py`
"""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import NoDerivative, Op, mp_function, scipy_function
from symgrad.ir.special.differences import rise

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]

# B_2, B_4, ..., B_24 (DLMF table 24.2.1), and how many terms the sum before them has: the first term left
# out is below 1e-17 of the result for every s > 1 and a > 0.
_BERNOULLI = tuple(
    Fraction(n, d)
    for n, d in (
        (1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510), (43867, 798),
        (-174611, 330), (854513, 138), (-236364091, 2730),
    )
)  # fmt: skip
_DIRECT_TERMS = 10


# ---- derivatives ---------------------------------------------------------------------------------


def digamma(g: Graph, x: int) -> int:
    return g.node("digamma", x)


def _polygamma_slope(g: Graph, a: Args, y: int) -> int:
    return g.node("polygamma", g.add(a[0], g.one), a[1])


def _slope_of_beta(argument: int, logarithm: bool) -> Any:
    def slope(g: Graph, a: Args, y: int) -> int:
        part = g.neg(rise(g, a[argument], a[1 - argument]))
        return part if logarithm else g.mul(y, part)

    return slope


def _binomial_slopes() -> tuple[Any, Any]:
    def by_n(g: Graph, a: Args, y: int) -> int:
        return g.mul(y, rise(g, g.add(g.sub(a[0], a[1]), g.one), a[1]))

    def by_k(g: Graph, a: Args, y: int) -> int:
        return g.mul(y, rise(g, g.add(a[1], g.one), g.sub(g.sub(a[0], a[1]), a[1])))

    return by_n, by_k


def _gaussian_slope(sign: int) -> Any:
    """sign * sqrt(pi)/2 * exp(y**2): of the inverse of an error function."""

    def slope(g: Graph, a: Args, y: int) -> int:
        factor = g.mul(g.const(Fraction(sign, 2)), g.node("sqrt", g.const("pi")))
        return g.mul(factor, g.node("exp", g.mul(y, y)))

    return slope


def _erfi_slope(g: Graph, a: Args, y: int) -> int:
    factor = g.div(g.const(2), g.node("sqrt", g.const("pi")))
    return g.mul(factor, g.node("exp", g.mul(a[0], a[0])))


# ---- digamma of negative numbers -----------------------------------------------------------------


def _expand_digamma(g: Graph, a: Args) -> int:
    """For x < 0 by reflection, DLMF 5.5.4, with the distance to the nearest pole: SciPy's loses that."""
    x = a[0]
    left = g.node("lt", x, g.zero)
    nearest = g.node("floor", g.add(x, g.const(Fraction(1, 2))))
    angle = g.mul(g.const("pi"), g.sub(x, nearest))
    value = g.node("digamma_core", g.where(left, g.sub(g.one, x), x))
    turned = g.mul(g.const("pi"), g.div(g.node("cos", angle), g.node("sin", angle)))
    at_pole = g.node("eq", x, nearest)
    reflected = g.where(at_pole, g.const(float("nan")), g.sub(value, turned))
    return g.where(left, reflected, value)


# ---- zeta and polygamma as sums ------------------------------------------------------------------


def _total(g: Graph, terms: list[int]) -> int:
    total = terms[0]
    for term in terms[1:]:
        total = g.add(total, term)
    return total


def _tail(g: Graph, s: int, far: int, power: int, above: int) -> int:
    """sum of (far + k)**(-s) over k >= 0, given power = far**(-s) and above = far**(1 - s); smallest first.

    Euler-Maclaurin, DLMF 25.11.28: far**(1-s)/(s-1) + far**(-s)/2 + sum of B_2j/(2j)! s(s+1)... far**(1-s-2j)
    """
    terms = [g.div(above, g.sub(s, g.one)), g.mul(g.const(Fraction(1, 2)), power)]
    falling = g.mul(power, g.div(s, far))
    for j, bernoulli in enumerate(_BERNOULLI, start=1):
        terms.append(g.mul(g.const(bernoulli / factorial(2 * j)), falling))
        for k in (2 * j - 1, 2 * j):
            falling = g.mul(falling, g.div(g.add(s, g.const(k)), far))
    return _total(g, terms[::-1])


def _expand_zeta(g: Graph, a: Args) -> int:
    """(a + k)**(-s) for k < 10 directly, the rest by Euler-Maclaurin; nan for s < 1 and for a < 0."""
    s, x = a
    minus_s = g.neg(s)
    far = g.add(x, g.const(_DIRECT_TERMS))
    terms = [g.node("pow", g.add(x, g.const(k)), minus_s) for k in range(_DIRECT_TERMS)]
    powers = (g.node("pow", far, minus_s), g.node("pow", far, g.sub(g.one, s)))
    value = g.add(_tail(g, s, far, *powers), _total(g, terms[::-1]))
    at_pole = g.node("or", g.node("eq", s, g.one), g.node("eq", x, g.zero))
    value = g.where(at_pole, g.const(float("inf")), value)
    inside = g.node("and", g.node("le", g.one, s), g.node("le", g.zero, x))
    return g.where(inside, value, g.const(float("nan")))


def _slope_of_sums(g: Graph, s: int, bases: list[int], far: int) -> int:
    """The derivative by s of the sum of base**(-s) and of `_tail`; further ones are derivatives of this."""
    terms = [g.neg(g.mul(g.node("log", base), g.node("pow", base, g.neg(s)))) for base in bases]
    growth, power = g.neg(g.node("log", far)), g.node("pow", far, g.neg(s))
    slope = g.mul(growth, power)
    beyond = g.div(g.one, g.sub(s, g.one))
    above = g.node("pow", far, g.sub(g.one, s))
    tail = [g.mul(g.mul(above, beyond), g.sub(growth, beyond)), g.mul(g.const(Fraction(1, 2)), slope)]
    falling, its_slope = _raised(g, (power, slope), s, far)
    for j, bernoulli in enumerate(_BERNOULLI, start=1):
        tail.append(g.mul(g.const(bernoulli / factorial(2 * j)), its_slope))
        for k in (2 * j - 1, 2 * j):
            falling, its_slope = _raised(g, (falling, its_slope), g.add(s, g.const(k)), far)
    return g.add(_total(g, tail[::-1]), _total(g, terms[::-1]))


def _raised(g: Graph, pair: tuple[int, int], factor: int, far: int) -> tuple[int, int]:
    """A number times factor/far, and its derivative; that of the factor is 1."""
    value, slope = pair
    return g.mul(value, g.div(factor, far)), g.div(g.add(g.mul(slope, factor), value), far)


def _zeta_by_exponent(g: Graph, a: Args, y: int) -> int:
    s, x = a
    bases = [g.add(x, g.const(k)) for k in range(_DIRECT_TERMS)]
    slope = _slope_of_sums(g, s, bases, g.add(x, g.const(_DIRECT_TERMS)))
    inside = g.node("and", g.node("le", g.one, s), g.node("le", g.zero, x))
    return g.where(inside, slope, g.const(float("nan")))


def _riemann_zeta_slope(g: Graph, a: Args, y: int) -> int:
    """For s < -1/2 that of the functional equation 2 (2 pi)**(-t) gamma(t) sin(pi s/2) zeta(t), t = 1 - s.

    Nearer to 0 the pole of zeta(t) and the zero of the sine would cancel.
    """
    s = a[0]
    left, t = _right_of_the_line(g, s, g.const(Fraction(-1, 2)))
    slope = _slope_of_sums(g, t, [g.const(k) for k in range(2, _DIRECT_TERMS)], g.const(_DIRECT_TERMS))
    two_pi = g.mul(g.const(2), g.const("pi"))
    half_pi = g.mul(g.const(Fraction(1, 2)), g.const("pi"))
    sine, cosine = _of_half_turns(g, s)
    growth = g.sub(g.node("log", two_pi), digamma(g, t))
    along = g.add(g.mul(growth, sine), g.mul(half_pi, cosine))
    inner = g.sub(g.mul(along, g.node("riemann_zeta", t)), g.mul(sine, slope))
    return g.where(left, _times_gamma(g, t, inner), slope)


def _right_of_the_line(g: Graph, s: int, line: int) -> tuple[int, int]:
    """Whether s < line, and where the sums are made: at 1 - s there; zeta(1100) is 1, rounded."""
    left = g.node("lt", s, line)
    return left, g.node("minimum", g.where(left, g.sub(g.one, s), s), g.const(1100))


def _of_half_turns(g: Graph, s: int) -> tuple[int, int]:
    """Sine and cosine of pi*s/2, whose argument is reduced exactly; zeros of the sine are exact."""
    two_pi, turns = g.mul(g.const(2), g.const("pi")), g.div(s, g.const(4))
    whole = g.sub(turns, g.node("floor", g.add(turns, g.const(Fraction(1, 2)))))
    beyond = g.node("lt", g.const(Fraction(1, 4)), g.node("abs", whole))
    half_turn = g.mul(g.const(Fraction(1, 2)), g.node("sign", whole))
    fraction = g.where(beyond, g.sub(half_turn, whole), whole)  # sin(pi - t) = sin(t)
    return g.node("sin", g.mul(two_pi, fraction)), g.node("cos", g.mul(two_pi, whole))


def _times_gamma(g: Graph, t: int, x: int) -> int:
    """2 (2 pi)**(-t) gamma(t) x, with half of the power at a time: gamma overflows late."""
    two_pi = g.mul(g.const(2), g.const("pi"))
    half = g.node("pow", two_pi, g.mul(g.const(Fraction(-1, 2)), t))
    return g.mul(g.mul(g.mul(g.const(2), half), g.node("gamma", t)), g.mul(half, x))


def _expand_riemann_zeta(g: Graph, a: Args) -> int:
    """Euler-Maclaurin for s >= -1/10, the functional equation (DLMF 25.4.1) below: near 0 it loses digits."""
    s = a[0]
    left, t = _right_of_the_line(g, s, g.const(Fraction(-1, 10)))
    minus_t = g.neg(t)
    terms = [g.node("pow", g.const(k), minus_t) for k in range(2, _DIRECT_TERMS)]
    far = g.const(_DIRECT_TERMS)
    powers = (g.node("pow", far, minus_t), g.node("pow", far, g.sub(g.one, t)))
    right = g.add(_tail(g, t, far, *powers), _total(g, [*terms[::-1], g.one]))
    right = g.where(g.node("eq", t, g.one), g.const(float("inf")), right)
    sine, _ = _of_half_turns(g, s)
    return g.where(left, g.mul(_times_gamma(g, t, sine), right), right)


def _expand_polygamma(g: Graph, a: Args) -> int:
    """(-1)**(n+1) * n! * zeta(n + 1, x); an order that is a number has no powers, and any x."""
    n, x = a
    q = g.rational(n)
    if q is not None and q == 0:
        return digamma(g, x)
    if q is not None and q.denominator == 1 and 0 < q <= 170:
        return _polygamma_of_number(g, int(q), x)
    next_n = g.add(n, g.one)
    size = g.mul(g.node("gamma", next_n), g.node("zeta", next_n, x))
    is_even = g.node("eq", g.node("mod", n, g.const(2)), g.zero)
    value = g.where(is_even, g.neg(size), size)
    return g.where(g.node("eq", n, g.zero), digamma(g, x), value)


def _polygamma_of_number(g: Graph, n: int, x: int) -> int:
    """DLMF 5.15.1 for x > 0; for x < 1/2 the reflection 5.15.6, whose cotangent is differentiated here."""
    left = g.node("lt", x, g.const(Fraction(1, 2)))
    t = g.where(left, g.sub(g.one, x), x)
    far = g.add(t, g.const(_DIRECT_TERMS))
    inverse = g.div(g.one, far)
    s = g.const(n + 1)
    terms = [g.integer_power(g.div(g.one, g.add(t, g.const(k))), n + 1) for k in range(_DIRECT_TERMS)]
    powers = (g.integer_power(inverse, n + 1), g.integer_power(inverse, n))
    value = g.add(_tail(g, s, far, *powers), _total(g, terms[::-1]))
    sign = 1 if n % 2 else -1
    value = g.mul(g.const(sign * factorial(n)), value)
    nearest = g.node("floor", g.add(x, g.const(Fraction(1, 2))))
    angle = g.mul(g.const("pi"), g.sub(x, nearest))
    cotangent = g.div(g.node("cos", angle), g.node("sin", angle))
    steps = g.integer_power(g.const("pi"), n + 1)
    turned = g.mul(steps, _horner(g, _cotangent_derivative(n), cotangent))
    reflected = g.sub(g.mul(g.const(-sign), value), turned) if sign < 0 else g.neg(g.add(value, turned))
    pole = g.const(sign * float("inf"))
    below = g.where(g.node("eq", x, nearest), pole, reflected)
    return g.where(left, below, value)


def _cotangent_derivative(n: int) -> list[int]:
    """The n-th derivative of cot as a polynomial in cot, lowest power first: cot' = -(1 + cot**2)."""
    p = [0, 1]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(p)][1:]
        p = [-(low + high) for low, high in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return p


def _horner(g: Graph, coefficients: list[int], x: int) -> int:
    result = g.const(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = g.add(g.mul(result, x), g.const(c))
    return result


# ---- references ----------------------------------------------------------------------------------


def _np_zeta(s: Any, a: Any) -> Any:
    """SciPy's for a >= 0; for negative a it is defined at whole s only, and nan here."""
    value = scipy_function("zeta")(s, a)
    return np.where(np.asarray(a) < 0, np.asarray(value).dtype.type(np.nan), value)[()]


def _np_loggamma(x: Any) -> Any:
    """SciPy's; near the zeros at 1 and 2 its complex function, which has the digits there."""
    from scipy.special import gammaln, loggamma

    x = np.asarray(x)
    wide = x.astype(np.float64)
    near = (np.abs(wide - 1) < 0.2) | (np.abs(wide - 2) < 0.2)
    value = np.where(near, loggamma(np.where(near, wide, 1).astype(np.complex128)).real, gammaln(wide))
    return value.astype(x.dtype if x.dtype.kind == "f" else np.float64)[()]


def _mp_loggamma(x: Any) -> Any:
    import mpmath

    if x <= 0 and x == mpmath.floor(x):
        return mpmath.inf
    return mpmath.re(mpmath.loggamma(x))


def _mp_at_pole(name: str, value: str) -> Any:
    """mpmath's function; at 0, -1, -2, ... it would raise."""

    def call(*args: Any) -> Any:
        import mpmath

        x = args[-1]
        is_pole = x <= 0 and x == mpmath.floor(x)
        return getattr(mpmath, value) if is_pole else getattr(mpmath, name)(*args)

    return call


def _mp_erfcinv(x: Any) -> Any:
    """erfinv(1 - x) with as many more digits as the difference loses."""
    import mpmath

    if not 0 < x < 2:
        return {0: mpmath.inf, 2: -mpmath.inf}.get(x, mpmath.nan)
    lost = max(0, -mpmath.mag(x)) + 10
    with mpmath.extraprec(2 * lost):
        value = mpmath.erfinv(1 - x)
    return +value


def _mp_erfinv(x: Any) -> Any:
    import mpmath

    if not -1 < x < 1:
        return {1: mpmath.inf, -1: -mpmath.inf}.get(x, mpmath.nan)
    return mpmath.erfinv(x)


def _mp_log_beta(a: Any, b: Any) -> Any:
    import mpmath

    return mpmath.re(mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b))


_SHAPES = ((0.1, 8.0), (0.1, 8.0))

ROWS: tuple[Op, ...] = (
    Op(
        "gamma", 1, scipy_function("gamma"), _mp_at_pole("gamma", "nan"),
        (lambda g, a, y: g.mul(y, digamma(g, a[0])),),
        sympy="gamma", c="tgamma{f}({0})", llvm="external gamma", cost=60, domain=((0.1, 30.0),),
        source="DLMF 5.2.1",
    ),
    Op(
        "loggamma", 1, _np_loggamma, _mp_loggamma, (lambda g, a, y: digamma(g, a[0]),),
        sympy="loggamma", c="lgamma{f}({0})", llvm="call lgamma", cost=60, domain=((0.1, 30.0),),
        source="DLMF 5.2.1; log|gamma(x)|",
    ),
    Op(
        "digamma", 1, by_expansion(_expand_digamma, 1), _mp_at_pole("digamma", "nan"),
        (lambda g, a, y: g.node("polygamma", g.const(1), a[0]),),
        sympy="digamma", expand=_expand_digamma, cost=100, domain=((0.1, 30.0),),
        source="DLMF 5.2.2, 5.5.4",
    ),
    Op(
        "digamma_core", 1, scipy_function("psi"), _mp_at_pole("digamma", "nan"), (None,),
        c="{own}digamma({0})", llvm="external psi", cost=60, domain=((0.1, 30.0),),
        source="DLMF 5.2.2; x >= 0, written by targets only",
    ),
    Op(
        "polygamma", 2, scipy_function("polygamma"), mp_function("polygamma"),
        (NoDerivative("polygamma", "order", "the order is a whole number", "a number as order"),
         _polygamma_slope),
        sympy="polygamma", expand=_expand_polygamma, cost=150, domain=((1.0, 4.0), (0.1, 30.0)),
        source="DLMF 5.15",
    ),
    Op(
        "zeta", 2, _np_zeta, mp_function("zeta"),
        (_zeta_by_exponent,
         lambda g, a, y: g.neg(g.mul(a[0], g.node("zeta", g.add(a[0], g.const(1)), a[1])))),
        sympy="zeta", expand=_expand_zeta, cost=500, domain=((1.1, 12.0), (0.1, 30.0)),
        source="DLMF 25.11.1, 25.11.28",
    ),
    Op(
        "riemann_zeta", 1, scipy_function("zeta"), mp_function("zeta"), (_riemann_zeta_slope,),
        sympy="zeta", expand=_expand_riemann_zeta, cost=500, domain=((1.1, 30.0),),
        source="DLMF 25.2.1, 25.2.9, 25.4.1",
    ),
    Op(
        "beta", 2, scipy_function("beta"), mp_function("beta"),
        (_slope_of_beta(0, False), _slope_of_beta(1, False)),
        sympy="beta", c="{own}beta({0}, {1})", llvm="external beta", cost=100, domain=_SHAPES,
        source="DLMF 5.12.1",
    ),
    Op(
        "betaln", 2, scipy_function("betaln"), _mp_log_beta,
        (_slope_of_beta(0, True), _slope_of_beta(1, True)),
        c="{own}betaln({0}, {1})", llvm="external betaln", cost=100, domain=_SHAPES,
        source="DLMF 5.12.1; log|beta(a, b)|",
    ),
    Op(
        "binomial", 2, scipy_function("binom"), mp_function("binomial"), _binomial_slopes(),
        sympy="binomial", c="{own}binomial({0}, {1})", llvm="external binom", cost=100,
        domain=((8.1, 30.0), (0.1, 8.0)), source="DLMF 1.2.6",
    ),
    Op(
        "rising", 2, scipy_function("poch"), mp_function("rf"),
        (lambda g, a, y: g.mul(y, rise(g, *a)),
         lambda g, a, y: g.mul(y, digamma(g, g.add(a[0], a[1])))),
        sympy="RisingFactorial", c="{own}rising({0}, {1})", llvm="external poch", cost=100, domain=_SHAPES,
        source="DLMF 5.2.5",
    ),
    Op(
        "erfinv", 1, scipy_function("erfinv"), _mp_erfinv, (_gaussian_slope(1),),
        sympy="erfinv", c="{own}erfinv({0})", llvm="external erfinv", cost=60, domain=((-0.99, 0.99),),
        source="DLMF 7.17.1",
    ),
    Op(
        "erfcinv", 1, scipy_function("erfcinv"), _mp_erfcinv, (_gaussian_slope(-1),),
        sympy="erfcinv", c="{own}erfcinv({0})", llvm="external erfcinv", cost=60, domain=((0.01, 1.99),),
        source="DLMF 7.17.1",
    ),
    Op(
        "erfi", 1, scipy_function("erfi"), mp_function("erfi"), (_erfi_slope,),
        sympy="erfi", c="{own}erfi({0})", llvm="external erfi", cost=60, domain=((-3.0, 3.0),),
        source="DLMF 7.2.3 times i",
    ),
)  # fmt: skip
