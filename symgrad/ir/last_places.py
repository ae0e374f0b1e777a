"""How far each op's own result may be off, in units in the last place, its arguments taken as exact.

The numbers are the worst ones of `tools/bench/ACCURACY.md` over all targets, both types and the op's whole
domain, so near a zero of a function too; `tools/accuracy/last_places.py --write` copies them. Arithmetic and
roots are correctly rounded (IEEE 754); what only chooses, or changes a sign, is exact.
"""

from __future__ import annotations

from fractions import Fraction

_UNMEASURED = 4.0  # what ACCURACY.md allows composites, and special functions
_EXACT = frozenset((
    "neg", "abs", "sign", "maximum", "minimum", "floor", "ceil", "where", "mask", "cast", "scaled", "anchor",
    "lt", "le", "eq", "ne", "and", "or", "not", "ige", "ieq", "out_of_range",
))  # fmt: skip
_ROUNDED = frozenset(("add", "sub", "mul", "div", "sqrt", "norm_cosine"))  # one rounding


def last_places(op: str) -> float:
    """The largest error of the op's own in units in the last place."""
    if op in _EXACT:
        return 0.0
    return 0.5 if op in _ROUNDED else MEASURED.get(op, _UNMEASURED)


def is_representable(q: Fraction, bits: int) -> bool:
    """Whether a rational number is one of so many bits (the range of exponents left aside)."""
    return not q.denominator & (q.denominator - 1) and _odd_part(q.numerator).bit_length() <= bits


def is_power_of_two(q: Fraction | None) -> bool:
    """Whether multiplying by the number changes an exponent, and perhaps a sign, alone."""
    return bool(q) and _odd_part(q.numerator) == 1 == _odd_part(q.denominator)  # type: ignore[union-attr]


def _odd_part(n: int) -> int:
    n = abs(n)
    return n >> ((n & -n).bit_length() - 1) if n else 0


MEASURED: dict[str, float] = {
    "add": 0.5,
    "sub": 0.5,
    "mul": 0.5,
    "div": 0.5,
    "neg": 0.0,
    "pow": 0.83,
    "sqrt": 0.5,
    "cbrt": 2.3,
    "exp": 1.9,
    "expm1": 1.7,
    "log": 0.96,
    "log1p": 0.71,
    "sin": 0.77,
    "cos": 0.87,
    "tan": 0.83,
    "asin": 1.8,
    "acos": 0.94,
    "atan": 0.82,
    "atan2": 1.4,
    "sinh": 0.79,
    "cosh": 1.5,
    "tanh": 1.3,
    "asinh": 0.91,
    "acosh": 1.1,
    "atanh": 1.0,
    "erf": 1.9,
    "erfc": 65.0,
    "abs": 0.0,
    "sign": 0.0,
    "maximum": 0.0,
    "minimum": 0.0,
    "floor": 0.0,
    "ceil": 0.0,
    "hypot": 0.81,
    "pow_1": 1.6,
    "pow_2": 1.3,
    "pow_3": 1.9,
    "fmod": 0.0,
    "mod": 0.48,
    "gamma": 3.8,
    "loggamma": 2.0,
    "digamma": 2.6,
    "polygamma": 3.6,
    "zeta": 2.6,
    "riemann_zeta": 44.0,
    "beta": 6400.0,
    "betaln": 1400000.0,
    "binomial": 88.0,
    "rising": 24000.0,
    "erfinv": 1.5,
    "erfcinv": 0.74,
    "erfi": 130.0,
    "polygamma_rise_0": 2.0,
    "polygamma_rise_1": 2.1,
    "polygamma_rise_2": 3.2,
    "gammainc": 3100.0,
    "gammaincc": 4800.0,
    "betainc": 18.0,
    "gamma_weight": 4.2,
    "beta_weight": 17.0,
    "besselj": 210.0,
    "bessely": 120.0,
    "besseli": 54.0,
    "besselk": 45.0,
    "spherical_jn": 110.0,
    "spherical_yn": 36.0,
    "airyai": 15000.0,
    "airyaiprime": 2300.0,
    "airybi": 1500.0,
    "airybiprime": 7000.0,
    "Si": 3.7,
    "Ci": 120000000000.0,
    "Shi": 4.0,
    "Chi": 1400000000.0,
    "Ei": 82000000000.0,
    "expint": 20.0,
    "fresnels": 130.0,
    "fresnelc": 45.0,
    "lambertw": 1.2,
    "lambertw_above": 0.92,
    "elliptic_k": 2.5,
    "elliptic_e": 12.0,
    "elliptic_d": 23.0,
    "elliptic_f": 3.3,
    "incomplete_e": 2.9,
    "incomplete_d": 3.8,
    "elliprd": 2.8,
    "elliptic_moment_11": 5.2,
    "elliptic_moment_21": 3.2,
    "elliptic_moment_22": 5.5,
    "elliptic_moment_32": 8.7,
    "elliptic_moment_33": 8.7,
    "leg": 1.1,
    "leg_cosh": 1.1,
    "leg_sinh": 1.3,
    "hypot_slope": 0.9,
    "inversion": 2.4,
    "direction_cosine": 1.3,
    "double_cosine": 3.4,
    "log_squares": 1.3,
    "log_abs": 1.5,
    "log_product": 1.2,
    "log_quotient": 1.3,
    "xovery": 0.5,
    "xlogy": 1.4,
    "xlog1py": 1.0,
    "relative_entropy": 1.1,
    "sinc_1": 1.4,
    "sinc_2": 2.1,
    "sinc_3": 1.5,
    "sinhc": 0.88,
    "sinhc_1": 1.6,
    "sinhc_2": 1.6,
    "sinhc_3": 1.7,
    "exprel": 1.3,
    "exprel_1": 1.6,
    "exprel_2": 4.0,
    "exprel_3": 5.1,
    "log1prel": 0.95,
    "log1prel_1": 4.3,
    "log1prel_2": 13.0,
    "log1prel_3": 35.0,
    "radial_sinc": 1.1,
    "radial_sinc_1": 1.3,
    "radial_sinc_2": 1.3,
    "radial_sinc_3": 1.3,
    "radial_sinhc": 0.92,
    "radial_sinhc_1": 1.4,
    "radial_sinhc_2": 1.1,
    "radial_sinhc_3": 1.0,
    "radial_besselj": 3.1,
    "radial_besselj_1": 0.74,
    "radial_besselj_2": 0.99,
    "radial_besselj_3": 0.86,
    "radial_besseli": 3.3,
    "radial_besseli_1": 0.71,
    "radial_besseli_2": 0.64,
    "radial_besseli_3": 0.98,
    "radial_cos": 0.92,
    "radial_cosh": 0.99,
    "radial_versine": 1.8,
    "radial_coshm1": 1.4,
    "radial_logcosh": 1.3,
    "logistic_slope": 2.2,
    "log1mexp": 1.6,
    "logexpm1": 0.7,
    "logsubexp": 0.58,
    "logcosh": 1.6,
    "square_difference": 0.97,
    "log1msq": 1.3,
    "loghypot1": 2.5,
    "hypot1m1": 2.0,
    "sqrt1pm1": 2.0,
    "xlogx": 1.8,
    "exp_share": 0.98,
    "exp_of_sum": 1.3,
    "logistic": 2.1,
    "softplus": 0.91,
    "logaddexp": 0.85,
    "sech": 1.8,
    "scaled": 0.0,
    "norm": 0.5,
    "scaled_norm": 0.72,
    "norm_cosine": 0.0,
    "log_in_range": 1.1,
    "sinc": 1.2,
}
