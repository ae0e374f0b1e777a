"""The reasons for what special functions, and the parts of stable formulas, have beyond their bounds.

One line each: cases, quantities, and why.
"""

from __future__ import annotations

ALL = "value first second"
SLOPES = "first second"

_SCIPY = "SciPy's function on NumPy and LLVM"
_TAIL = "exp amplifies the rounding of its exponent, which is large in the tails"
_VANISHES = "it vanishes between numbers, and the error is absolute, as large as a rounding of its terms"
_ZERO = f"next to a zero: {_VANISHES}"
_SQUARE = "exp amplifies the rounding of its argument, a square, by as much as that is large"
_PHASE = "the phase 2/3 |x|**1.5 is rounded, as the argument is: half a place of x changes as much"
_SMALL_SHAPES = "1/a + 1/b takes all digits of the mixed derivative where both shapes are tiny"
_END = "the parameter is next to 1, where a difference of K, E and D is divided by a power of 1 - m"
_MILLS = "next to 0 on the left, where products of a few numbers are subtracted"
_FIFTH = "fifth and higher derivatives of log(erfc(x)) cancel far out"
_LARGE_ORDERS = "orders above sqrt(x): terms of a quadrature that oscillate or grow, or differences; zeros"
_EQUATION = "derivatives beyond the fourth order by the differential equation, which cancels far out"
_QUADRATURE = "closed forms where the quadrature ends, which cancel some"

_STEPS = "a product or a sum of several numbers, each of which is rounded; little cancels"
_LEIBNIZ = "where the series ends, Leibniz's rule loses some"
_RISE = "polygammas of nearly the same number are subtracted in the derivative"

LINES: tuple[tuple[str, str, str], ...] = (
    ("acosh_difference asin_difference softplus_difference hypot1m1 leg_cosh leg_sinh sqrt1pm1 Chi gamma",
     "second", _STEPS),
    ("logistic_difference logsubexp reciprocal_root_difference tan_difference incomplete_d", SLOPES, _STEPS),
    ("double_cosine gamma_weight inversion", "first", _STEPS),
    ("lambertw_above incomplete_e half_tangent pseudo_huber", "second", _STEPS),
    ("altitude", SLOPES, _STEPS),
    ("quadratic_root", "second", _STEPS),
    ("quadratic_root_slope", "first", _STEPS),
    ("quadratic_root_slope", "second", _ZERO),
    ("cosine_difference", "value first", _STEPS),
    ("hypot_difference", "second", _STEPS),
    ("cosine_difference sine_difference", "second", _ZERO),
    ("sine_difference", "first", _ZERO),
    ("polygamma_rise_0", "second", _RISE),
    ("polygamma_rise_1", "first", _RISE),
    ("elliptic_moment_22", "second", _QUADRATURE),
    ("erfc_excess", "first", _MILLS),
    ("pow_1 pow_2", "second", _ZERO),
    ("pow_3 pow_slope", SLOPES, _ZERO),
    ("pow_log", "second", _ZERO),
    ("hypot_slope inversion logistic_slope loghypot1", "second", _ZERO),
    ("direction_cosine less_cosine log_squares double_cosine", "second", _ZERO),
    ("xlogx", "first", _ZERO),
    ("gamma loggamma", "first", f"digamma, {_ZERO}"),
    ("digamma", "second", "polygamma of negative numbers by reflection"),
    ("zeta", "first", "logarithms of powers of large exponents, whose rounding counts by the exponent"),
    ("zeta", "second", "powers of large exponents, whose rounding counts by the exponent"),
    ("riemann_zeta", "first", "next to 0 sums cancel"),
    ("riemann_zeta", "second", "next to 0 sums cancel; for s < -1/2 four factors are differentiated"),
    ("riemann_zeta", "value", "SciPy's on NumPy; for s < 1 powers, gamma and sine are multiplied"),
    ("beta", "value first", f"{_SCIPY}; gamma of a rounded sum in C"),
    ("beta", "second", _SMALL_SHAPES),
    ("betaln", "value", f"{_SCIPY} loses what cancels beside a large shape"),
    ("binomial", "value", f"{_SCIPY}; gamma of rounded sums in C"),
    ("binomial", SLOPES, "nan for whole n < k, where 0 is multiplied by a pole of digamma"),
    ("rising", ALL, f"{_SCIPY}; logarithms of gamma are subtracted"),
    ("polygamma_rise_1", "second", _ZERO),
    ("polygamma_rise_2", SLOPES, "polygammas of order 3 are subtracted as they are"),
    ("erfinv erfcinv", SLOPES, f"exp(y**2): {_SQUARE}"),
    ("erfi", ALL, f"{_SCIPY}; exp(x**2): {_SQUARE}"),
    ("gammainc gammaincc", ALL, _TAIL),
    ("betainc", ALL, f"{_SCIPY}; {_TAIL}"),
    ("gamma_weight", "value", "the error of gamma, of a power and of exp together"),
    ("gamma_weight", "second", _ZERO),
    ("beta_weight", ALL, f"{_SCIPY} beta"),
    ("erfc_hazard erfc_excess", "second", _MILLS),
    ("erfc_bend", "value first", _MILLS),
    ("erfc_rise", "first", _MILLS),
    ("erfc_bend_slope", "value", _MILLS),
    ("erfc_bend erfc_rise", "second", _FIFTH),
    ("erfc_bend_slope", "first", _FIFTH),
    ("erfc_bend_slope", "second", _FIFTH),
    ("besselj bessely", "value first", f"{_SCIPY}; recurrences over the order in C"),
    ("besselj", "second", "differences of three functions of neighbouring orders"),
    ("bessely", "second", "functions of neighbouring orders overflow before their difference does"),
    ("besseli besselk", ALL, f"{_SCIPY}; powers and exp in C"),
    ("besselk_far", SLOPES, _LARGE_ORDERS),
    ("besselk_far besselk_far_1 besselk_far_2 besselk_far_3 besselk_far_4", "value", _LARGE_ORDERS),
    ("besselk_far_3", "first", _LARGE_ORDERS),
    ("besselk_far_3", "second", _EQUATION),
    ("besselk_far_4", SLOPES, _EQUATION),
    ("besseli_far", "value", _LARGE_ORDERS),
    ("besseli_far", SLOPES, _LARGE_ORDERS),
    ("besseli_far_1 besseli_far_2", ALL, _LARGE_ORDERS),
    ("besseli_far_3", "value", _LARGE_ORDERS),
    ("besseli_far_3", "second", _EQUATION),
    ("besseli_far_4", "value", _LARGE_ORDERS),
    ("besseli_far_4", SLOPES, _EQUATION),
    ("spherical_jn spherical_yn", ALL, "Bessel functions of half-integer order"),
    ("airyai airyaiprime airybi airybiprime", ALL, _PHASE),
    ("Ci Chi Ei", "value", _ZERO),
    ("expint", ALL, f"{_SCIPY}; a continued fraction in C"),
    ("fresnels fresnelc", "value", f"{_SCIPY} for large arguments"),
    ("fresnels fresnelc", SLOPES, "the phase pi/2 x**2 is rounded; half a place of x changes as much"),
    ("lambertw", SLOPES, "exp(-W) amplifies the rounding of W where that is large"),
    ("elliptic_k elliptic_d", SLOPES, _END),
    ("elliptic_e", ALL, f"a sum over means, of large terms for a large negative m; {_END}"),
    ("elliptic_d", "value", "a sum over means, of large terms for a large negative m"),
    ("elliptic_f", "second", "complete integrals are added for each half turn"),
    ("elliptic_moment_11 elliptic_moment_22", "value", _QUADRATURE),
    ("elliptic_moment_32", ALL, _QUADRATURE),
    ("elliptic_moment_33", ALL, _QUADRATURE),
    ("exprel_3 log1prel_1 log1prel_2 log1prel_3", ALL, _LEIBNIZ),
    ("exprel_2 log1prel", SLOPES, _LEIBNIZ),
    ("exprel exprel_1", "second", _LEIBNIZ),
)  # fmt: skip
