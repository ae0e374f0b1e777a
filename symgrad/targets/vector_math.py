"""Elementary functions of our own, written once for every target.

A library call inside a loop keeps a compiler from computing several elements at once. These functions
have no branches, calls or tables: multiply-add, comparison, selection and integer operations on the bits,
so that a loop in which they are inlined is vectorised like any other arithmetic.

A definition is an ordinary Python function over `Value`s; calling it once writes down the operations it
performs (`trace.py`), and `vector_math_llvm.py` and `vector_math_c.py` print those.

Results do not depend on how a loop was compiled: every operation is rounded by IEEE 754 and none is
fused with another, because a sum never has a product as its operand (`Trace` refuses one; `fma` is
written out). Infinities, nan, signed zeros and subnormal numbers are right. Errors are measured in
tests/test_vector_math.py. Results in single precision are computed in double, with shorter polynomials,
and rounded once.

Sources, by section of J.-M. Muller, Elementary Functions (3rd edition, 2016), unless said otherwise:
reduction by two- and three-part constants (11.2; Cody and Waite 1980), with fused multiply-add; rounding
to an integer by adding 1.5 * 2^52, and sums whose rounding error is kept (Dekker 1971); the reduction of
the logarithm to sqrt(1/2) .. sqrt(2) and s = f/(2 + f) (Sun's fdlibm, 1993); quotients that are corrected;
polynomials by tools/polynomials.py. erf and the two sums of sinh and cosh are our own arrangement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from symgrad.records import dataclass
from symgrad.targets import polynomials
from symgrad.targets.trace import (
    INFINITY,
    NAN,
    REAL,
    SINGLE,
    Operation,
    Trace,
    Value,
    at_least,
    at_most,
    fma,
    horner,
    magnitude,
    polynomial,
    select,
    square_root,
    with_sign_of,
)

_ROUNDER = 1.5 * 2.0**52  # adding it leaves an integer in the low bits
_VANISHING = -1418.0  # about log(2^-2046), which is a product of two powers of 2 with no bit set
_OVERFLOWS = 712.0  # what a compiler adds to it before it rounds does not bring it back
_MANTISSA = (1 << 52) - 1

# ---- exponentials ------------------------------------------------------------------------------

_LOG2 = polynomials.LOG2


@dataclass(frozen=True, slots=True)
class _Exponential:
    """exp(x) = 2^k * exp(r), |r| <= log(2)/2, exp(r) = 1 + r + z*(even + r*odd) + lost with z = r^2.

    shifted  holds k + 2046 in its low bits.
    lost     what rounding r has lost; None for results in single precision.
    """

    k: Value
    shifted: Value
    r: Value
    z: Value
    even: Value
    odd: Value
    lost: Value | None

    def tail(self) -> Value:
        """exp(r) - 1 - r."""
        assert self.lost is not None
        return fma(self.z, fma(self.r, self.odd, self.even), self.lost)

    def rest(self) -> Value:
        """exp(r) - 1, for results in single precision."""
        return fma(self.z, fma(self.r, self.odd, self.even), self.r)

    def odd_tail(self) -> Value:
        """The odd part of exp(r) - r."""
        cube = self.z * self.r
        return cube * self.odd if self.lost is None else fma(cube, self.odd, self.lost)


def _exponential(x: Value, precision: str) -> _Exponential:
    """For |x| < 1100, and `_VANISHING`."""
    rounder = _ROUNDER + 2046.0
    moved = fma(x, 1 / _LOG2[0], rounder)
    k = moved - rounder
    first = fma(-k, _LOG2[0], x)  # exact
    r = fma(-k, _LOG2[1], first)
    z = r * r
    coefficients: Sequence[float] = polynomials.EXP_SINGLE
    lost = None
    if precision == "double":
        coefficients, lost = polynomials.EXP_DOUBLE, fma(-k, _LOG2[1], first - r)
    even, odd = horner(z, coefficients[::2]), horner(z, coefficients[1::2])
    return _Exponential(k, moved.bits(), r, z, even, odd, lost)


def _power_of_two(shifted: Value, plus: int = 0) -> Value:
    """2^(k + plus), where that is a normal number."""
    return (shifted + (plus + 1023 - 2046) << 52).real()


def _in_range(x: Value) -> Value:
    """An exponent whose power is a number or 0.

    What gives 0 becomes one for which both factors of `_scaled` are 0: a product that underflows takes
    processors a hundred cycles, and so would a vector with a masked lane that holds nothing.
    """
    return select(x < -746.0, _VANISHING, at_most(x, _OVERFLOWS))


def _exp(x: Value, precision: str) -> Value:
    if precision == "single":
        e = _exponential(at_least(at_most(x, 100.0), -150.0), precision)
        return (e.rest() + 1.0) * _power_of_two(e.shifted)
    e = _exponential(_in_range(x), precision)
    return _scaled(e.r + e.tail() + 1.0, e)


def _scaled(x: Value, e: _Exponential) -> Value:
    """x * 2^k for any k: the first factor never rounds, the second one where the result is subnormal."""
    half = e.shifted >> 1
    return x * (half << 52).real() * (e.shifted - half << 52).real()


def _expm1(x: Value, precision: str) -> Value:
    """2^k * ((1 - 2^-k) + r + tail), the sum from the largest to the smallest."""
    if precision == "single":
        e = _exponential(at_least(at_most(x, 100.0), -40.0), precision)
        scale = _power_of_two(e.shifted)
        return select(magnitude(x) < 2.0**-27, x, fma(scale, e.rest(), scale - 1.0))
    e = _exponential(at_least(at_most(x, _OVERFLOWS), -40.0), precision)
    first = 1.0 - _inverse_power(e, 0)
    head = first + e.r  # |first| > |r|, or first = 0
    result = _scaled(head + (first - head + e.r + e.tail()), e)
    return select(magnitude(x) < 2.0**-54, x, result)


def _inverse_power(e: _Exponential, plus: int) -> Value:
    """2^(plus - k); from k = 64 on, where it is added to something far larger, 2^(plus - 64)."""
    return ((_ROUNDER + 1023.0 + plus - at_most(e.k, 64.0)).bits() << 52).real()


def _hyperbolic(x: Value, precision: str) -> tuple[tuple[Value, Value], tuple[Value, Value]]:
    """sinh and cosh of |x|, half of each (2^1024 is no number), as sums of two numbers.

    (2^k + 2^-k)/2 and (2^k - 2^-k)/2 times the even and odd parts of exp(r).
    """
    size = at_most(magnitude(x), 710.6 if precision == "double" else 100.0)
    e = _exponential(size, precision)
    up = _power_of_two(e.shifted, -2)
    down = _inverse_power(e, -2)
    more, less = _two_sum(up, down), _two_sum(up, -down)

    def part(a: Value, a_low: Value, b: Value) -> tuple[Value, Value]:
        head = fma(b, e.r, a)
        low = fma(b, e.r, a - head + a_low)
        return head, fma(a * e.z, e.even, fma(b, e.odd_tail(), low))

    return part(*less, more[0]), part(*more, less[0])


def _sinh(x: Value, precision: str) -> Value:
    (head, tail), _ = _hyperbolic(x, precision)
    size = magnitude(x)
    return with_sign_of(select(size < 2.0**-27, size, (head + tail) * 2.0), x)


def _cosh(x: Value, precision: str) -> Value:
    _, (head, tail) = _hyperbolic(x, precision)
    return (head + tail) * 2.0


def _tanh(x: Value, precision: str) -> Value:
    """sinh/cosh with a corrected quotient; a loop that has cosh of x, too, shares all but that."""
    size = magnitude(x)
    if precision == "single":
        e = _exponential(at_most(size + size, 40.0), precision)
        scale, rest = _power_of_two(e.shifted), e.rest()
        return with_sign_of(fma(scale, rest, scale - 1.0) / fma(scale, rest, scale + 1.0), x)
    (over, over_tail), (under, under_tail) = _hyperbolic(x, precision)
    inverse = 1.0 / (under + under_tail)
    quotient = (over + over_tail) * inverse
    rest = fma(-quotient, under_tail, fma(-quotient, under, over) + over_tail)
    return with_sign_of(select(size < 2.0**-27, size, fma(rest, inverse, quotient)), x)


# ---- logarithms --------------------------------------------------------------------------------

_ROOT_HALF = 0x3FE6A09E667F3BCD  # bits of sqrt(1/2)
_ONE = 0x3FF0000000000000


def _split(x: Value) -> tuple[Value, Value, Value]:
    """x = 2^k * (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for positive normal x: k, f, and bits that hold k."""
    moved = x.bits() + (_ONE - _ROOT_HALF)
    exponent = moved >> 52
    k = (exponent | 0x4330000000000000).real() - (2.0**52 + 1023.0)
    f = ((moved & _MANTISSA) + _ROOT_HALF).real() - 1.0
    return k, f, exponent


def _log_sum(k: Value, f: Value, correction: Value | float, precision: str) -> Value:
    """k log(2) + log(1 + f) + correction."""
    s = f / (f + 2.0)
    z = s * s
    half = f * 0.5
    coefficients = polynomials.LOG_DOUBLE if precision == "double" else polynomials.LOG_SINGLE
    # log(1 + f) = f - f^2/2 + s*(f^2/2 + s^2*P(s^2)), Sun's form: f is exact and the rest is small
    low = fma(k, _LOG2[1], correction)
    low = fma(s, fma(half, f, z * polynomial(z, coefficients)), low)
    return fma(k, _LOG2[0], f - fma(half, f, -low))


def _log(x: Value, precision: str) -> Value:
    if precision == "single":  # every float is a normal double
        k, f, _ = _split(x)
    else:
        small = x < 2.0**-1022
        k, f, _ = _split(select(small, x * 2.0**54, x))
        k = k - select(small, 54.0, 0.0)
    return _log_limits(x, _log_sum(k, f, 0.0, precision))


def _log_limits(x: Value, result: Value) -> Value:
    """The logarithm where x is zero, negative, infinite or nan."""
    at_zero = select(x.equals(0.0), -INFINITY, select(x < 0.0, NAN, result))
    return select(x < INFINITY, at_zero, x)


def _log1p(x: Value, precision: str) -> Value:
    """log(u) + (x - (u - 1))/u with u = 1 + x rounded."""
    u = x + 1.0
    k, f, exponent = _split(u)
    if precision == "single":
        return select(magnitude(x) < 2.0**-27, x, _log_limits(u, _log_sum(k, f, 0.0, precision)))
    # What u has lost: x is the smaller term up to 1, the larger one beyond.
    lost = select(x < 1.0, x - (u - 1.0), 1.0 - (u - x))
    half_inverse = fma(-f, horner(f, polynomials.HALF_RECIPROCAL_DOUBLE), 0.5)  # 1/(2 (1 + f))
    scale = (2047 - exponent << 52).real()  # 2^(1 - k), which is zero at the largest k
    result = _log_limits(u, _log_sum(k, f, lost * scale * half_inverse, precision))
    return select(magnitude(x) < 2.0**-54, x, result)


# ---- powers ------------------------------------------------------------------------------------


def _precise_log(x: Value) -> tuple[Value, Value]:
    """log(x) as a sum of two numbers, to about 2^-66 of it, for positive finite x.

    The logarithm's form above, 2s + s*z*(2/3 + z*P(z)) with z = s^2, all but P in twice the precision.
    """
    small = x < 2.0**-1022
    k, f, _ = _split(select(small, x * 2.0**54, x))
    k = k - select(small, 54.0, 0.0)
    under = f + 2.0
    inverse = 1.0 / under
    s = f * inverse
    s_low = fma(-s, 2.0 - under + f, fma(-s, under, f)) * inverse
    z = s * s
    z_low = fma(s * 2.0, s_low, fma(s, s, -z))
    p, (third, third_low) = polynomial(z, polynomials.LOG_REST_DOUBLE), polynomials.TWO_THIRDS
    w = fma(z, p, third)
    w_low = fma(z, p, third - w) + third_low
    v = z * w
    v_low = fma(z_low, w, fma(z, w_low, fma(z, w, -v)))
    log2, log2_low = polynomials.LOG2_EXACT
    first = fma(k, log2, s * 2.0)
    first_low = fma(s, 2.0, fma(k, log2, -first))
    high = fma(s, v, first)
    lost = first_low + fma(s, v, first - high)
    low = fma(k, log2_low, fma(s, v_low, fma(s_low, v, s_low * 2.0))) + lost
    total = high + low
    return total, high - total + low


def _pow(x: Value, y: Value, precision: str) -> Value:
    """exp(y log|x|), negative where x is and y is odd; C's values at the ends of both ranges."""
    size, power = magnitude(x), at_least(at_most(y, 1e300), -1e300)  # 1**infinity is 1
    if precision == "single":
        logarithm = _logarithm_at_ends(size, _log_sum(*_split(size)[:2], 0.0, "double"))
        e = _exponential(at_least(at_most(power * logarithm, 100.0), -150.0), precision)
        result = (e.rest() + 1.0) * _power_of_two(e.shifted)
    else:
        high, low = _precise_log(size)
        high = _logarithm_at_ends(size, high)
        exponent = power * high
        rest = fma(power, low, fma(power, high, -exponent))
        rest = select(magnitude(exponent) < 1000.0, rest, 0.0)
        e = _exponential(_in_range(exponent), precision)
        tail = e.tail()
        result = _scaled(e.r + fma(rest, e.r + tail + 1.0, tail) + 1.0, e)
    parity = magnitude(y)
    odd = select(_is_whole(parity), select(_is_whole(parity * 0.5), 0.0, 1.0), 0.0).equals(1.0)
    negative = (x.bits() >> 63).equals(1)
    signed = select(negative, select(odd, -result, result), result)
    undefined = select(_is_whole(parity), signed, NAN)
    finite = select(size < INFINITY, select(size.equals(0.0), signed, undefined), signed)
    defined = select(x < 0.0, finite, signed)
    return select(y.equals(0.0), 1.0, select(x.equals(1.0), 1.0, defined))


def _logarithm_at_ends(size: Value, logarithm: Value) -> Value:
    """The logarithm of |x| where that is zero, infinite or nan, too."""
    return select(size < INFINITY, select(size.equals(0.0), -INFINITY, logarithm), size)


def _is_whole(x: Value) -> Value:
    """Whether x >= 0 is a whole number; infinity is one."""
    near = at_most(x, 2.0**52)
    return (near + 2.0**52 - 2.0**52).equals(near)


# ---- trigonometric functions -------------------------------------------------------------------

_FAR = 2.0**20  # beyond, the library computes sine and cosine


def _circle(x: Value) -> tuple[Value, Value, Value]:
    """x = k pi/2 + r + low with |r| <= pi/4, for |x| <= _FAR: r, low, and bits that hold k."""
    high, middle, small = polynomials.HALF_PI
    moved = fma(x, 1 / high, _ROUNDER)
    k = moved - _ROUNDER
    first = fma(-k, high, x)  # exact
    r = fma(-k, middle, first)
    return r, fma(-k, small, fma(-k, middle, first - r)), moved.bits()


def _wave(x: Value, precision: str, quarter: int) -> Value:
    """sin(x + quarter pi/2) for |x| <= _FAR: sine or cosine of r, with the sign of the quadrant."""
    r, low, turns = _circle(x)
    z = r * r
    if precision == "double":
        sine = r + fma(z * r, polynomial(z, polynomials.SIN_DOUBLE), low)
        top = fma(z, -0.5, 1.0)
        rest = fma(z * z, polynomial(z, polynomials.COS_DOUBLE), fma(-r, low, fma(z, -0.5, 1.0 - top)))
        cosine = top + rest
    else:
        sine = fma(z * r, polynomial(z, polynomials.SIN_SINGLE), r)
        cosine = fma(z, fma(z, polynomial(z, polynomials.COS_SINGLE), -0.5), 1.0)
    turns = turns + quarter if quarter else turns
    other = (turns & 1).equals(1)
    return (select(other, cosine, sine).bits() ^ ((turns & 2) << 62)).real()


def _sin(x: Value, precision: str) -> Value:
    return select(magnitude(x) < 2.0**-27, x, _wave(x, precision, 0))


def _cos(x: Value, precision: str) -> Value:
    return _wave(x, precision, 1)


def _tan(x: Value, precision: str) -> Value:
    """sin(r)/cos(r), or -cos(r)/sin(r) in every other quadrant; both with what their sums have lost."""
    r, low, turns = _circle(x)
    z = r * r
    other = (turns & 1).equals(1)
    if precision == "double":
        sine, sine_low = _two_sum(r, fma(z * r, polynomial(z, polynomials.SIN_DOUBLE), low))
        top = fma(z, -0.5, 1.0)
        rest = fma(z * z, polynomial(z, polynomials.COS_DOUBLE), fma(-r, low, fma(z, -0.5, 1.0 - top)))
        cosine, cosine_low = _two_sum(top, rest)
        over, over_low = select(other, cosine, sine), select(other, cosine_low, sine_low)
        under, under_low = select(other, sine, cosine), select(other, sine_low, cosine_low)
        inverse = 1.0 / under
        quotient = over * inverse
        rest = fma(-quotient, under_low, fma(-quotient, under, over) + over_low)
        result = fma(rest, inverse, quotient)
    else:
        sine = fma(z * r, polynomial(z, polynomials.SIN_SINGLE), r)
        cosine = fma(z, fma(z, polynomial(z, polynomials.COS_SINGLE), -0.5), 1.0)
        result = select(other, cosine, sine) / select(other, sine, cosine)
    return select(magnitude(x) < 2.0**-27, x, (result.bits() ^ ((turns & 1) << 63)).real())


def _two_sum(large: Value, small: Value) -> tuple[Value, Value]:
    """The rounded sum and what it has lost."""
    total = large + small
    return total, large - total + small


def _asin_parts(x: Value, precision: str) -> tuple[Value, Value, Value, Value]:
    """Whether |x| > 1/2; u; and u^3 and P with asin(u) = u + u^3 P.

    u = |x|, or sqrt((1 - |x|)/2) beyond, where asin(|x|) = pi/2 - 2 asin(u); nan where |x| > 1.
    """
    size = magnitude(x)
    beyond = size > 0.5
    z = select(beyond, (1.0 - size) * 0.5, size * size)
    u = select(beyond, square_root(z), size)
    coefficients = polynomials.ASIN_DOUBLE if precision == "double" else polynomials.ASIN_SINGLE
    return beyond, u, z * u, polynomial(z, coefficients)


def _asin(x: Value, precision: str) -> Value:
    beyond, u, cube, p = _asin_parts(x, precision)
    high, low, _ = polynomials.HALF_PI
    first = high - (u + u)
    far = first + fma(cube * -2.0, p, high - first - (u + u) + low)
    return with_sign_of(select(beyond, far, fma(cube, p, u)), x)


def _acos(x: Value, precision: str) -> Value:
    """pi/2 - asin(x); 2 asin(u) where x > 1/2, and twice pi/2 - asin(u) where x < -1/2."""
    beyond, u, cube, p = _asin_parts(x, precision)
    high, low, _ = polynomials.HALF_PI
    negative = x < 0.0
    taken = select(beyond, u, select(negative, -u, u))
    rest = select(beyond, cube, select(negative, -cube, cube))
    first = high - taken
    middle = first + fma(-rest, p, high - first - taken + low)
    above = fma(cube, p, u) * 2.0
    return select(beyond, select(negative, middle * 2.0, above), middle)


def _atan2(y: Value, x: Value, precision: str) -> Value:
    """atan of the smaller size over the larger one, then from 0, pi/2 or pi on, then the sign of y."""
    up, along = magnitude(y), magnitude(x)
    steep = along < up
    over, under = select(steep, along, up), select(steep, up, along)
    # 0/0 counts as 0, infinity/infinity as 1.
    endless = under.equals(INFINITY)
    over = select(endless, select(over.equals(INFINITY), 1.0, over * 0.0), over)
    under = select(endless, 1.0, select(under.equals(0.0), 1.0, under))
    quotient = over / under
    back = (x.bits() >> 63).equals(1)
    turned = select(steep, -quotient, quotient)
    u = select(back, -turned, turned)
    z = quotient * quotient
    coefficients = polynomials.ATAN_DOUBLE if precision == "double" else polynomials.ATAN_SINGLE
    half, half_low, _ = polynomials.HALF_PI
    base = select(steep, half, select(back, 2.0 * half, 0.0))
    base_low = select(steep, half_low, select(back, 2.0 * half_low, 0.0))
    low = fma(z * u, polynomial(z, coefficients, plain=4), base_low)
    return with_sign_of(magnitude(base + (u + low)), y)


def _atan(x: Value, precision: str) -> Value:
    """atan(u) + u^3 P(u^2) for u = |x| up to 1, pi/2 - the same for u = 1/|x| beyond."""
    size = magnitude(x)
    beyond = size > 1.0
    u = select(beyond, -1.0 / select(beyond, size, 1.0), size)
    z = u * u
    coefficients = polynomials.ATAN_DOUBLE if precision == "double" else polynomials.ATAN_SINGLE
    low = fma(z * u, polynomial(z, coefficients, plain=4), select(beyond, polynomials.HALF_PI[1], 0.0))
    return with_sign_of(select(beyond, polynomials.HALF_PI[0], 0.0) + (u + low), x)


def _erf(x: Value, precision: str) -> Value:
    """x + x*P(x^2) up to 1, and 1 - exp(-Q(x)) with a polynomial Q beyond; from 6 on erf is 1."""
    double = precision == "double"
    size = magnitude(x)
    near = polynomials.ERF_DOUBLE if double else polynomials.ERF_SINGLE
    low = fma(size, polynomial(size * size, near), size)
    far = polynomials.ERFC_EXPONENT_DOUBLE if double else polynomials.ERFC_EXPONENT_SINGLE
    e = _exponential(-polynomial(at_most(size, 6.0) - 1.0, far), precision)
    rest = e.r + e.tail() if double else e.rest()
    high = fma(-_power_of_two(e.shifted), rest + 1.0, 1.0)
    return with_sign_of(select(size < 1.0, low, high), x)


# ---- the functions -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Function:
    """One function. `limit`: where |x| is larger, the definition does not hold (the library's does).

    define  takes the arguments and "double" or "single", how precise the result has to be.
    """

    define: Callable[..., Value]
    limit: float = INFINITY
    arity: int = 1


FUNCTIONS = {
    "exp": Function(_exp),
    "expm1": Function(_expm1),
    "log": Function(_log),
    "log1p": Function(_log1p),
    "sin": Function(_sin, _FAR),
    "cos": Function(_cos, _FAR),
    "tan": Function(_tan, _FAR),
    "asin": Function(_asin),
    "acos": Function(_acos),
    "tanh": Function(_tanh),
    "pow": Function(_pow, arity=2),
    "sinh": Function(_sinh),
    "cosh": Function(_cosh),
    "atan": Function(_atan),
    "atan2": Function(_atan2, arity=2),
    "erf": Function(_erf),
}


# Ops of our own, made by `own_functions.py`. OWN + name is inlined, for arguments within the limit;
# APART + name is a call, for any argument.
OWN, APART = "own_", "apart_"


def function_of(op: str) -> str:
    """The key in `FUNCTIONS` of one of our own ops, "" for any other op."""
    name = op.removeprefix(OWN).removeprefix(APART)
    return name if name != op and name in FUNCTIONS else ""


def is_limited(name: str) -> bool:
    """Whether the library has to compute a function for large arguments."""
    return name in FUNCTIONS and FUNCTIONS[name].limit < INFINITY


@lru_cache
def traced(name: str, dtype: str) -> tuple[Operation, ...]:
    """The operations of a function within its limit, result last; argument k is "argument", constant k."""
    trace, function = Trace(), FUNCTIONS[name]
    kind = REAL if dtype == "float64" else SINGLE
    arguments = [trace.add("argument", kind, constant=k) for k in range(function.arity)]
    if dtype == "float64":
        result = function.define(*arguments, "double")
    else:
        wide = [trace.add("widen", REAL, a) for a in arguments]
        result = trace.add("narrow", SINGLE, function.define(*wide, "single"))
    return _needed(trace.operations, result.number)


def _needed(operations: Sequence[Operation], result: int) -> tuple[Operation, ...]:
    """What the result is computed from, numbered again."""
    wanted = {result}
    for number in range(result, -1, -1):
        if number in wanted:
            wanted.update(operations[number].args)
    new = {number: place for place, number in enumerate(sorted(wanted))}
    return tuple(replace(operations[n], args=tuple(new[a] for a in operations[n].args)) for n in new)
