"""The errors that are allowed, in units in the last place, and the reason for each that is larger.

What is larger is stated in `tools/bench/ACCURACY.md`: `TIMES` what was measured there is allowed, no more.
Other processors and C libraries have errors of their own.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from special_bounds import LINES

TABLE = Path(__file__).resolve().parents[1] / "bench" / "ACCURACY.md"
INFINITE = float("inf")
TIMES = 2.0

BOUNDS = {
    (group, quantity): ulps
    for group, ulps in (("elementary", 2.0), ("composite", 4.0), ("special", 4.0))
    for quantity in ("value", "first", "second")
}
"""By group and quantity."""

_VANISHES = (
    "the second derivative vanishes there, and the error is absolute, as large as a rounding of its terms"
)
_ROOTS_OF_SLOPE = "1 - 2*p or 1 - 2*(p - q) vanishes, and its terms do not"
_AMPLIFIED = "exp amplifies the rounding of its argument by as much as the argument is large"
_STEPS = "a product of several numbers, each of which is rounded; nothing cancels"
_LIBRARY = "the C library's own cbrt is that far off (glibc)"
_NEAR_ONE = "p*(1 - p) where p is near 1, or its terms p and p**2"

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("pow", "second"): "x**(b - 2) overflows where a tiny factor b makes up for it",
    ("cbrt", "value"): _LIBRARY,
    ("cbrt", "first"): f"{_LIBRARY}, and counts twice",
    ("cbrt", "second"): f"{_LIBRARY}, and counts five times",
    ("atan_difference", "second"): f"near |x| = 0.58, of atan's third derivative, {_VANISHES}",
    ("asinh_difference", "second"): f"near |x| = 0.71, of asinh's third derivative, {_VANISHES}",
    ("erf_difference", "second"): f"near |x| = 0.71, of erf's third derivative, {_VANISHES}",
    ("reciprocal_root_difference", "value"): "two roots, a sum and three divisions, each rounded",
    ("sech", "second"): f"near |x| = 0.88 {_VANISHES}",
    ("logaddexp", "first"): f"logistic(x - y): {_AMPLIFIED}",
    ("logaddexp", "second"): f"logistic(x - y): {_AMPLIFIED}",
    ("erf", "first"): f"exp(-x**2): {_AMPLIFIED}",
    ("erf", "second"): f"exp(-x**2): {_AMPLIFIED}",
    ("erfc", "value"): "SciPy's erfc, which the reference evaluator calls",
    ("erfc", "first"): f"exp(-x**2): {_AMPLIFIED}",
    ("erfc", "second"): f"exp(-x**2): {_AMPLIFIED}",
    ("log(exp(x) + exp(y))", "first"): f"logistic(x - y): {_AMPLIFIED}",
    ("log(exp(x) + exp(y))", "second"): f"logistic(x - y): {_AMPLIFIED}",
    ("Gaussian distribution", "first"): f"exp(-x**2/2): {_AMPLIFIED}",
    ("Gaussian distribution", "second"): f"exp(-x**2/2): {_AMPLIFIED}",
    ("cross-entropy of a logit", "value"): "softplus(x) and x*y cancel, as they are written",
    ("cross-entropy of a logit", "first"): "logistic(x) and y cancel, as they are written",
    ("share", "second"): "p*(1 - p)*(1 - 2*p) vanishes, and its terms do not",
    ("share_of_others", "second"): "p*(1 - p)*(1 - 2*p) vanishes, and its terms do not",
    ("margin", "second"): _ROOTS_OF_SLOPE,
    ("margin_slope", "first"): _ROOTS_OF_SLOPE,
    ("margin_slope", "second"): _ROOTS_OF_SLOPE,
    ("softmax", "value"): f"exp(v - lse): {_AMPLIFIED}",
    ("softmax", "first"): f"{_NEAR_ONE}; exp(v - lse): {_AMPLIFIED}",
    ("softmax", "second"): "p*(1 - p)*(1 - 2*p) vanishes, and its terms do not",
    ("softmax, temperature 0.004", "value"): f"exp(250*v - lse): {_AMPLIFIED}",
    ("softmax, temperature 0.004", "first"): f"{_NEAR_ONE}; exp(250*v - lse): {_AMPLIFIED}",
    ("softmax, temperature 0.004", "second"): "p*(1 - p)*(1 - 2*p) vanishes, and its terms do not",
    ("log-softmax", "first"): f"exp(v - lse): {_AMPLIFIED}",
    ("log-softmax", "second"): f"exp(v - lse): {_AMPLIFIED}",
    ("log(1 + x)/x", "first"): "where the series ends, Leibniz's rule loses some",
    ("log(1 + x)/x", "second"): "where the series ends, Leibniz's rule loses some",
    ("norm of a vector", "second"): "one number is most of the norm: 1/r and x**2/r**3 cancel",
    ("variance", "first"): "v - mean cancels where a number is near the mean",
    ("log-determinant", "first"): "an entry of the inverse nearly vanishes, its terms do not",
    ("log-determinant", "second"): "an entry of the inverse nearly vanishes, its terms do not",
}
EXCEPTIONS |= {
    (name, quantity): _STEPS
    for quantity, names in (
        ("first", "div atan atan2 tanh acosh"),
        ("second", "sqrt log1p tan asin acos atan atan2 tanh asinh acosh atanh hypot log_share"),
    )
    for name in names.split(" ")
} | {("sqrt(1 + x) - 1", "second"): _STEPS}
EXCEPTIONS |= {
    (name, quantity): reason
    for names, quantities, reason in LINES
    for name in names.split(" ")
    for quantity in quantities.split(" ")
}
"""By case and quantity: the reasons."""


def bound(name: str, group: str, quantity: str, target: str) -> float:
    """What is allowed of a quantity of a case on a target, in both precisions."""
    usual = BOUNDS.get((group, quantity), INFINITE)
    if (name, quantity) not in EXCEPTIONS:
        return usual
    return max(usual, TIMES * stated().get((name, quantity, target), 0.0))


@cache
def stated() -> dict[tuple[str, str, str], float]:
    """Case, quantity and target -> the worst error in the table, of both precisions."""
    quantities = {"value": "value", "1st": "first", "2nd": "second"}
    found: dict[tuple[str, str, str], float] = {}
    name, targets = "", []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line[1:].replace("\\|", "\0").split("|")]
        if cells[0] == "function":
            targets = [cell.split(" ")[0] for cell in cells[3:]]
        if len(cells) < 4 or cells[2] not in quantities:
            continue
        name = cells[0].replace("\\", "").replace("\0", "|") or name
        for target, cell in zip(targets, cells[3:], strict=False):
            if cell:
                key = name, quantities[cells[2]], target
                found[key] = max(found.get(key, 0.0), float(cell.strip("*").split("/")[0]))
    return found
