"""The reasons for what special functions, and the parts of stable formulas, have beyond their bounds.

One line each: cases, quantities, how much is allowed, and why.
"""

from __future__ import annotations

ANY = float("inf")
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

LINES: tuple[tuple[str, str, float, str], ...] = (
    ("pow_1 pow_2", "second", 400, _ZERO),
    ("pow_3 pow_slope", SLOPES, 400, _ZERO),
    ("pow_log", "second", 400, _ZERO),
    ("hypot_slope inversion logistic_slope loghypot1", "second", ANY, _ZERO),
    ("direction_cosine less_cosine log_squares double_cosine", "second", ANY, _ZERO),
    ("xlogx", "first", ANY, _ZERO),
    ("gamma loggamma", "first", ANY, f"digamma, {_ZERO}"),
    ("digamma", "second", 200, "polygamma of negative numbers by reflection"),
    ("zeta", "first", 40, "logarithms of powers of large exponents, whose rounding counts by the exponent"),
    ("zeta", "second", 300, "powers of large exponents, whose rounding counts by the exponent"),
    ("riemann_zeta", "first", 200, "next to 0 sums cancel"),
    ("riemann_zeta", "second", 300, "next to 0 sums cancel; for s < -1/2 four factors are differentiated"),
    ("riemann_zeta", "value", 400, "SciPy's on NumPy; for s < 1 powers, gamma and sine are multiplied"),
    ("beta", "value first", 5e4, f"{_SCIPY}; gamma of a rounded sum in C"),
    ("beta", "second", ANY, _SMALL_SHAPES),
    ("betaln", "value", ANY, f"{_SCIPY} loses what cancels beside a large shape"),
    ("binomial", "value", 1000, f"{_SCIPY}; gamma of rounded sums in C"),
    ("binomial", SLOPES, ANY, "nan for whole n < k, where 0 is multiplied by a pole of digamma"),
    ("rising", ALL, 5e5, f"{_SCIPY}; logarithms of gamma are subtracted"),
    ("polygamma_rise_1", "second", ANY, _ZERO),
    ("polygamma_rise_2", SLOPES, ANY, "polygammas of order 3 are subtracted as they are"),
    ("erfinv erfcinv", SLOPES, 5e3, f"exp(y**2): {_SQUARE}"),
    ("erfi", ALL, 2e3, f"{_SCIPY}; exp(x**2): {_SQUARE}"),
    ("gammainc gammaincc", ALL, 5e4, _TAIL),
    ("betainc", ALL, 2e3, f"{_SCIPY}; {_TAIL}"),
    ("gamma_weight", "value", 40, "the error of gamma, of a power and of exp together"),
    ("gamma_weight", "second", ANY, _ZERO),
    ("beta_weight", ALL, 400, f"{_SCIPY} beta"),
    ("erfc_hazard erfc_excess", "second", 32, _MILLS),
    ("erfc_bend", "value first", 32, _MILLS),
    ("erfc_rise", "first", 32, _MILLS),
    ("erfc_bend_slope", "value", 32, _MILLS),
    ("erfc_bend erfc_rise", "second", 2e4, _FIFTH),
    ("erfc_bend_slope", "first", 2e4, _FIFTH),
    ("erfc_bend_slope", "second", ANY, _FIFTH),
    ("besselj bessely", "value first", 5e3, f"{_SCIPY}; recurrences over the order in C"),
    ("besselj", "second", 2e4, "differences of three functions of neighbouring orders"),
    ("bessely", "second", ANY, "functions of neighbouring orders overflow before their difference does"),
    ("besseli besselk", ALL, 2e3, f"{_SCIPY}; powers and exp in C"),
    ("besselk_far besselk_far_1 besselk_far_2 besselk_far_3 besselk_far_4", ALL, 100, _LARGE_ORDERS),
    ("besselk_far_3", "second", ANY, _EQUATION),
    ("besselk_far_4", SLOPES, ANY, _EQUATION),
    ("besseli_far", "value", 2e3, _LARGE_ORDERS),
    ("besseli_far", SLOPES, ANY, _LARGE_ORDERS),
    ("besseli_far_1 besseli_far_2", ALL, ANY, _LARGE_ORDERS),
    ("besseli_far_3", "value first", ANY, _LARGE_ORDERS),
    ("besseli_far_3", "second", ANY, _EQUATION),
    ("besseli_far_4", "value", ANY, _LARGE_ORDERS),
    ("besseli_far_4", SLOPES, ANY, _EQUATION),
    ("spherical_jn spherical_yn", ALL, 3e3, "Bessel functions of half-integer order"),
    ("airyai airyaiprime airybi airybiprime", ALL, 5e5, _PHASE),
    ("Ci Chi Ei", "value", ANY, _ZERO),
    ("expint", ALL, 100, f"{_SCIPY}; a continued fraction in C"),
    ("fresnels fresnelc", "value", 1000, f"{_SCIPY} for large arguments"),
    ("fresnels fresnelc", SLOPES, ANY, "the phase pi/2 x**2 is rounded; half a place of x changes as much"),
    ("lambertw", SLOPES, 3e3, "exp(-W) amplifies the rounding of W where that is large"),
    ("elliptic_k elliptic_d", SLOPES, 1e3, _END),
    ("elliptic_e", ALL, 1e3, f"a sum over means, of large terms for a large negative m; {_END}"),
    ("elliptic_d", "value", 200, "a sum over means, of large terms for a large negative m"),
    ("elliptic_f", "second", 1e3, "complete integrals are added for each half turn"),
    ("elliptic_moment_11 elliptic_moment_22", "value", 12, _QUADRATURE),
    ("elliptic_moment_32", ALL, 80, _QUADRATURE),
    ("elliptic_moment_33", ALL, 40, _QUADRATURE),
    ("exprel_2 exprel_3 log1prel log1prel_1 log1prel_2 log1prel_3", ALL, 1e3,
     "where the series ends, Leibniz's rule loses some"),
)  # fmt: skip
