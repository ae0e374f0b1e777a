"""How far a computed value may be from the exact one, in units in the last place: the one table.

ULPS holds the worst error allowed for one application of an op at arguments exact in the type, over
the op's `domain`, in either precision; every target and the NumPy reference answer to it.
"""

from __future__ import annotations

import numpy as np

from symgrad.ir.ops import OPS
from symgrad.ir.special import SPECIAL

_EXACT = 0  # no rounding at all
_ROUNDED = 1  # correctly rounded by IEEE, plus the conversion of the reference
_LIBRARY = 4  # one function of a mathematical library

ULPS: dict[str, int] = {
    **dict.fromkeys(OPS, _LIBRARY),
    **dict.fromkeys(("add", "sub", "mul", "div", "sqrt", "cast"), _ROUNDED),
    **dict.fromkeys(("neg", "abs", "sign", "maximum", "minimum", "floor", "ceil", "fmod"), _EXACT),
    **dict.fromkeys(("where", "mask", "lt", "le", "eq", "ne", "and", "or", "not"), _EXACT),
    "mod": _ROUNDED,  # one addition after an exact remainder
    "logistic": 6,  # exp, an addition and a quotient
    "softplus": 6,  # exp, log1p and an addition
    "logaddexp": 6,  # the same
    "exprel_2": 6,  # where the series ends, Leibniz's rule still loses some
    "exprel_3": 12,
    "log1prel_1": 12,  # the series ends early: its singularity at -1 is near
    "log1prel_2": 64,
    "log1prel_3": 256,
    "erf": 6,
    "erfc": 12,  # exp(-x*x) amplifies the rounding of x*x
}

# Special functions: of SciPy (NumPy and LLVM) over each row's domain; next to a zero the error grows.
ULPS |= {
    **dict.fromkeys(SPECIAL, 6),
    **dict.fromkeys(
        ("elliptic_moment_21", "elliptic_moment_22", "erfi", "expint", "Ei", "besseli", "sinhc"), 12
    ),
    **dict.fromkeys(("elliptic_moment_32", "elliptic_moment_33"), 30),
    **dict.fromkeys(("betainc", "rising", "gammaincc", "gammaincc_core"), 20),
    **dict.fromkeys(("beta", "betaln", "beta_weight", "besselj", "bessely", "spherical_jn"), 40),
    **dict.fromkeys(("airyai", "airyaiprime", "airybiprime", "binomial"), 60),
    **dict.fromkeys(("airybi", "gammainc", "gammainc_core"), 150),
    **dict.fromkeys(("besselk", "besselk_core"), 400),
    "besseli_core": 12,
}
ULPS |= dict.fromkeys(("cosine_difference", "sine_difference"), 6)  # four quotients and their sums
ULPS["pow_difference"] = 6  # pow and expm1 of a product, one times the other
# Value, slope and curvature of the cases of test_special.py, on every target.
SPECIAL_ULPS: dict[str, int] = {
    "others": 16,
    **dict.fromkeys(("binomial", "y1", "Bi"), 20),
    **dict.fromkeys(("uppergamma of order -2", "Bi'", "Ci", "fresnels", "fresnelc", "zeta of negatives"), 30),
    **dict.fromkeys(("J0", "J3", "Y0", "Y2", "E1", "E3"), 45),
    **dict.fromkeys(("falling", "Ai", "Ai'"), 60),
    **dict.fromkeys(
        ("binomial, above", "rising", "Y of 1/3", "K of 1/4", "j0", "j2", "J of -5/3", "Y of -5/3"), 110
    ),
    "Ei": 150,  # SciPy's next to 6
    "J of 5/3": 250,  # SciPy's
}

# For composed results: relative to the largest entry, or to 1.
RELATIVE = {"float64": 1e-11, "float32": 2e-4}


def ulps_apart(value: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """|value - exact| in units in the last place of `value`'s type; `exact` is float64 or mpmath numbers.

    Equal infinities and pairs of nan are 0 apart.
    """
    value = np.asarray(value)
    nearest = np.asarray(exact, dtype=object).astype(np.float64)
    spacing = np.spacing(np.maximum(np.abs(nearest), np.finfo(value.dtype).tiny).astype(value.dtype))
    with np.errstate(all="ignore"):
        apart = np.abs((np.asarray(exact, dtype=object) - value.astype(np.float64)).astype(np.float64))
        far = apart / spacing.astype(np.float64)
    same = (value == nearest) | (np.isnan(value) & np.isnan(nearest))
    return np.where(same, 0.0, np.where(np.isnan(far), np.inf, far))


def assert_close(
    found: np.ndarray, wanted: np.ndarray, dtype: str | None = None, factor: float = 1.0
) -> None:
    """Fail unless two composed results agree within RELATIVE of `dtype` (default: the type of `found`).

    The error is measured against the largest finite entry, or 1; nan and infinities must coincide.
    """
    found, wanted = np.asarray(found), np.asarray(wanted, dtype=np.float64)
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    tolerance = factor * RELATIVE[str(np.dtype(dtype or found.dtype))]
    finite = np.isfinite(wanted)
    assert (np.isfinite(found) == finite).all()
    np.testing.assert_array_equal(found[~finite].astype(np.float64), wanted[~finite])
    scale = max(1.0, float(np.abs(wanted[finite]).max(initial=0.0)))
    np.testing.assert_allclose(found[finite], wanted[finite], rtol=0, atol=tolerance * scale)
