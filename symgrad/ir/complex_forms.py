"""Elementwise operations on complex numbers, for derivatives by the complex step.

f(x + ih) = f(x) + ih f'(x) + O(h^2) for an analytic f: the imaginary part carries the derivative,
without the cancellation of differences. An operation that is only piecewise analytic continues the
piece that the real part is on, and at a kink the one that the graph's convention takes (`ir.kinks`): so the
complex step says what the derivative at a kink has to be, without differentiating anything.
Some special functions have no form here: SciPy knows them on the real line only, or loses the small imaginary
part. A program with one of them is not verified by the complex step.

Source: Squire and Trapp 1998, Using complex variables to estimate derivatives of real functions;
Martins, Sturdza and Alonso 2003, The complex-step derivative approximation, sections 2.2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgrad.ir.composites.difference_families import NAMES as DIFFERENCES
from symgrad.ir.composites.distances import NAMES as DISTANCES
from symgrad.ir.composites.quadratic_roots import NAMES as QUADRATICS
from symgrad.ir.composites.quotients import ROWS as QUOTIENT_ROWS
from symgrad.ir.composites.quotients import numpy_value
from symgrad.ir.composites.radial import ROWS as RADIAL_ROWS
from symgrad.ir.composites.radial import numpy_value as radial_value
from symgrad.ir.composites.right_triangles import NAMES as TRIANGLES
from symgrad.ir.composites.sides import NAMES as SIDES
from symgrad.ir.composites.stable_ops import LOGARITHM_ENDS
from symgrad.ir.kinks import DEFAULT, slope_of_abs_at_zero, tie_goes_to
from symgrad.ir.ops import OPS

Form = Callable[..., Any]

_NUMPY_IS_ANALYTIC = (
    "add", "sub", "mul", "div", "neg", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin",
    "acos", "atan", "sinh", "cosh", "tanh", "sech", "asinh", "acosh", "atanh", "erf", "erfc",
    "logaddexp", "share", "share_of_others", "log_share", "margin",
    "margin_slope", "and", "or", "not", "where", "mask", "cast",
)  # fmt: skip


def _pow(x: Any, y: Any) -> Any:
    """x**y; a constant whole exponent is exact for negative x, where log(x) leaves the real line."""
    whole = (np.imag(y) == 0) & (np.real(y) == np.round(np.real(y)))
    turns = np.where(whole & (np.real(x) < 0), np.real(y), 0)
    base = np.where(whole & (np.real(x) < 0), -x, x)
    return np.power(base, y) * np.where(turns % 2 == 1, -1, 1)


def _cbrt(x: Any) -> Any:
    def root(z: Any) -> Any:
        return np.cbrt(np.real(z)) * np.exp(np.log(z / np.real(z)) / 3)

    x = np.asarray(x)
    return np.where(np.real(x) >= 0, root(x), -root(-x))


def _abs(x: Any) -> Any:
    return np.where(np.real(x) >= 0, x, -x)


def _hypot(x: Any, y: Any) -> Any:
    big = np.hypot(np.real(x), np.real(y))
    unit = np.where(big == 0, 1, big)  # squares of the rest neither overflow nor vanish
    return unit * np.sqrt((x / unit) ** 2 + (y / unit) ** 2)


def _hypot_slope(x: Any, y: Any) -> Any:
    length = _hypot(x, y)
    return np.where(length == 0, 0, x / np.where(length == 0, 1, length))


def _inversion(x: Any, y: Any) -> Any:
    length = _hypot(x, y)
    return _hypot_slope(x, y) / np.where(length == 0, 1, length)


def _atan2(y: Any, x: Any) -> Any:
    """The angle of the real parts plus the small angle from there."""
    yr, xr = np.real(y), np.real(x)
    return np.arctan2(yr, xr) + np.arctan((xr * y - yr * x) / (xr * x + yr * y))


def _logistic(x: Any) -> Any:
    e = np.exp(-_abs(x))
    return np.where(np.real(x) >= 0, 1, e) / (1 + e)


def _softplus(x: Any) -> Any:
    return np.where(np.real(x) >= 0, x, 0) + np.log1p(np.exp(-_abs(x)))


def _quotient(op: str) -> Form:
    """By its series near 0, where the imaginary part would cancel."""
    q, order = QUOTIENT_ROWS[op]
    return lambda x: numpy_value(q, order, np.asarray(x, dtype=np.complex128), COMPLEX_FORMS)


def _logistic_slope(x: Any) -> Any:
    e = np.exp(-_abs(x))
    return e / (1 + e) ** 2


def _logistic_entropy(x: Any) -> Any:
    e = np.exp(-_abs(x))
    return np.log1p(e) + _abs(x) * e / (1 + e)


def _log1mexp(x: Any) -> Any:
    return np.where(np.real(x) > -np.log(2), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def _logexpm1(x: Any) -> Any:
    return np.where(np.real(x) < LOGARITHM_ENDS, np.log(np.expm1(x)), x)


def _logsubexp(x: Any, y: Any) -> Any:
    return np.where(np.real(x) == np.real(y), -np.inf, x + _log1mexp(y - x))


def _radial(op: str) -> Form:
    family, k = RADIAL_ROWS[op]
    return lambda h, s: radial_value(family, k, np.asarray(h, dtype=np.complex128), s, COMPLEX_FORMS)


def _logcosh(x: Any) -> Any:
    """log(1 + sinh(x)^2)/2 near 0, and far from it without what overflows."""
    near = np.log1p(np.sinh(x) ** 2) / 2
    return np.where(np.abs(np.real(x)) < 1, near, _abs(x) + np.log1p(np.exp(-2 * _abs(x))) - np.log(2))


def _sqrt1pm1(x: Any) -> Any:
    return x / (1 + np.sqrt(1 + x))


def _log1msq(x: Any) -> Any:
    return np.where(np.real(x) ** 2 < 0.5, np.log1p(-x * x), np.log((1 - x) * (1 + x)))


def _loghypot1(x: Any) -> Any:
    return np.where(np.abs(np.real(x)) < 1, np.log1p(x * x) / 2, np.log(_hypot(1, x)))


def _hypot1m1(x: Any) -> Any:
    return x * (x / (1 + _hypot(1, x)))


def _xlogx(x: Any) -> Any:
    return np.where(x == 0, 0, x * np.log(x))


def _loggamma(x: Any) -> Any:
    """log|gamma(x)| continued: for x < 1/2 by reflection, with the sign of sin(pi*x) taken off."""
    from scipy.special import loggamma

    x = np.asarray(x, dtype=np.complex128)
    left = np.real(x) < 0.5
    value = loggamma(np.where(left, 1 - x, x))
    sine = np.where(left, np.sin(np.pi * x), 1)
    return np.where(left, np.log(np.pi / (sine * np.sign(sine.real))) - value, value)


def _gamma(x: Any) -> Any:
    from scipy.special import gamma

    return gamma(np.asarray(x, dtype=np.complex128))


def _digamma(x: Any) -> Any:
    from scipy.special import psi

    return psi(np.asarray(x, dtype=np.complex128))


def _lambertw(x: Any) -> Any:
    from scipy.special import lambertw

    return lambertw(x)


def _betaln(x: Any, y: Any) -> Any:
    return _loggamma(x) + _loggamma(y) - _loggamma(x + y)


def _gamma_weight(t: Any, s: Any, x: Any) -> Any:
    power = np.where(np.equal(t, 0), 0, t * np.log(x))
    return np.exp(power - x) / _gamma(s)


def _beta_weight(p: Any, q: Any, a: Any, b: Any, x: Any) -> Any:
    left = np.where(np.equal(p, 0), 0, p * np.log(x))
    right = np.where(np.equal(q, 0), 0, q * np.log1p(-x))
    return np.exp(left + right - _loggamma(a) - _loggamma(b) + _loggamma(a + b))


def _real_parts(op: str) -> Form:
    """A jump or a predicate: what the real parts say."""
    return lambda *args: OPS[op].numpy(*map(np.real, args))


def _remainder(op: str) -> Form:
    """x - q*y with the whole quotient q of the real parts."""

    def form(x: Any, y: Any) -> Any:
        xr, yr = np.real(x), np.real(y)
        return x - np.round((xr - OPS[op].numpy(xr, yr)) / yr) * y

    return form


COMPLEX_FORMS: dict[str, Form] = {  # at kinks by the default convention; others below
    **{op: OPS[op].numpy for op in _NUMPY_IS_ANALYTIC},
    "pow": _pow,
    "pow_slope": lambda x, y: y * _pow(x, y - 1),
    "pow_log": lambda x, y: _pow(x, y) * np.log(x),
    "pow_1": lambda x, y: _pow(x, y - 1),
    "pow_2": lambda x, y: _pow(x, y - 2),
    "pow_3": lambda x, y: _pow(x, y - 3),
    "cbrt": _cbrt,
    "hypot": lambda x, y: hypot_at_origin(x, y),
    "atan2": _atan2,
    "logistic": _logistic,
    "softplus": _softplus,
    "gamma": _gamma,
    "loggamma": _loggamma,
    "digamma": _digamma,
    "polygamma_rise_0": lambda x, d: _digamma(x + d) - _digamma(x),
    "beta": lambda x, y: _gamma(x) * _gamma(y) / _gamma(x + y),
    "betaln": _betaln,
    "gamma_weight": _gamma_weight,
    "beta_weight": _beta_weight,
    "lambertw": _lambertw,
    "lambertw_above": lambda x: 1 + _lambertw(x),
    **{op: _quotient(op) for op in QUOTIENT_ROWS},
    **{op: _radial(op) for op in RADIAL_ROWS if not op.startswith("radial_bessel")},
    **{op: OPS[op].numpy for op in ("removable", "radial_removable", "offset")},
    "reduced": lambda x, *points: OPS["reduced"].numpy(np.real(x), *map(np.real, points)) + 1j * np.imag(x),
    "radial_cos": lambda h, s: np.cos(h),
    "radial_cosh": lambda h, s: np.cosh(h),
    "radial_versine": lambda h, s: 2 * np.sin(h / 2) ** 2,
    "radial_coshm1": lambda h, s: 2 * np.sinh(h / 2) ** 2,
    "radial_logcosh": lambda h, s: _logcosh(h),
    "square_difference": OPS["square_difference"].numpy,
    **{
        op: OPS[op].numpy
        for op in (*DIFFERENCES, *DISTANCES, *QUADRATICS, *SIDES, *TRIANGLES, "powm1", "pow_difference")
    },
    "hypot_slope": _hypot_slope,
    "inversion": _inversion,
    "direction_cosine": lambda x, y: x / _hypot(x, y),
    "less_cosine": lambda x, y: 1 - x / _hypot(x, y),
    "log_squares": lambda x, y: 2 * np.log(_hypot(x, y)),
    "double_cosine": lambda x, y: ((x - y) / _hypot(x, y)) * ((x + y) / _hypot(x, y)),
    "leg": lambda x, y: np.sqrt((x - y) * (x + y)),
    "leg_cosh": lambda x, y: x / np.sqrt((x - y) * (x + y)),
    "leg_sinh": lambda x, y: y / np.sqrt((x - y) * (x + y)),
    "logistic_slope": _logistic_slope,
    "logistic_entropy": _logistic_entropy,
    "exp_share": lambda x: -1 / np.expm1(-x),
    "log1mexp": _log1mexp,
    "logexpm1": _logexpm1,
    "logsubexp": _logsubexp,
    "logcosh": _logcosh,
    "sqrt1pm1": _sqrt1pm1,
    "log1msq": _log1msq,
    "loghypot1": _loghypot1,
    "hypot1m1": _hypot1m1,
    "xlogx": _xlogx,
    "exp_of_sum": lambda x, y: np.exp(x + y),
    "log_abs": lambda x: np.log(_abs(x)),
    "log_product": lambda x, y: np.log(x) + np.log(y),
    "log_quotient": lambda x, y: np.log(x) - np.log(y),
    "log_in_range": lambda s, r, t: t,
    "xovery": lambda x, y: np.where((x == 0) & (y == 0), 0, x / np.where(y == 0, 1, y)),
    "xlogy": lambda x, y: x * np.log(y),
    "xlog1py": lambda x, z: x * np.log1p(z),
    "relative_entropy": lambda x, y: x * (np.log(x) - np.log(y)),
    "anchor": np.real,
    "deviation": np.subtract,
    "nested_share": np.multiply,
    "finite_part": lambda x: np.where(np.isinf(x), 0, x),
    "scaled": OPS["scaled"].numpy,
    "norm_cosine": lambda x, q, h: x / h,
    "norm": lambda r, s, t: root_at_least_value("sqrt", t) / OPS["scaled"].numpy(1, s),
    "scaled_norm": lambda y, s, t: np.sqrt(t),
    "out_of_range": OPS["out_of_range"].numpy,
    "abs": lambda x: abs_at(DEFAULT, x),
    "maximum": lambda x, y: extremum(DEFAULT, "maximum", x, y, 1, 1)[0],
    "minimum": lambda x, y: extremum(DEFAULT, "minimum", x, y, 1, 1)[0],
    **{op: _real_parts(op) for op in ("sign", "floor", "ceil", "lt", "le", "eq", "ne")},
    **{op: _remainder(op) for op in ("fmod", "mod")},
}


# ---- at kinks ----------------------------------------------------------------------------------


def abs_at(kinks: str, x: Any) -> Any:
    """|x|, with the slope of the convention at 0."""
    return np.where(np.real(x) == 0, slope_of_abs_at_zero(kinks) * x, _abs(x))


def root_at_least_value(op: str, x: Any, *exponent: Any) -> Any:
    """A root of what is never negative: derivative 0 at 0, where the square of the step is all there is."""
    return np.where(np.real(x) <= 0, COMPLEX_FORMS[op](0 * x, *exponent), COMPLEX_FORMS[op](x, *exponent))


def hypot_at_origin(x: Any, y: Any) -> Any:
    return np.where((np.real(x) == 0) & (np.real(y) == 0), 0, _hypot(x, y))


def extremum(kinks: str, op: str, x: Any, y: Any, x_count: Any, y_count: Any) -> tuple[Any, Any]:
    """Maximum or minimum of two, and how many arguments attain it, given how many attain each of the two."""
    xr, yr = np.real(x), np.real(y)
    x_wins = (xr > yr) if op == "maximum" else (xr < yr)
    tie = xr == yr
    count = np.where(tie, x_count + y_count, np.where(x_wins, x_count, y_count))
    of_tie = {"first": x, "last": y, "all": (x_count * x + y_count * y) / (x_count + y_count)}
    value = np.where(x_wins, x, y)
    value = np.where(np.isnan(xr), x, value)
    return np.where(tie, of_tie[tie_goes_to(kinks, op)], value), count


def extreme_entry(kinks: str, kind: str, grid: Any, over: tuple[int, ...]) -> Any:
    """The largest or smallest entry over the last axes, `over`; of equal ones that of the convention."""
    lead = grid.shape[: grid.ndim - len(over)]
    rows = grid.reshape(*lead, -1)
    best = (np.max if kind == "max" else np.min)(np.real(rows), axis=-1, keepdims=True)
    attained = np.real(rows) == best
    ties = tie_goes_to(kinks, kind)
    if ties == "all":
        number = np.maximum(attained.sum(axis=-1), 1)
        value = np.where(attained, rows, 0).sum(axis=-1) / number
    else:
        place = attained.argmax(axis=-1)
        if ties == "last":
            place = rows.shape[-1] - 1 - attained[..., ::-1].argmax(axis=-1)
        value = np.take_along_axis(rows, place[..., None], axis=-1)[..., 0]
    return np.where(np.isnan(best[..., 0]), np.nan, value)
