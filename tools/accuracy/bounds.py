"""The errors that are allowed, in units in the last place: one table, with a reason for every exception."""

from __future__ import annotations

from dataclasses import dataclass

from special_bounds import LINES

INFINITE = float("inf")

BOUNDS = {
    ("elementary", "value"): 2.0,
    ("elementary", "first"): 4.0,
    ("elementary", "second"): 8.0,
    ("composite", "value"): 4.0,
    ("composite", "first"): 8.0,
    ("composite", "second"): 16.0,
    ("special", "value"): 4.0,
    ("special", "first"): 8.0,
    ("special", "second"): 16.0,
}
"""By group and quantity."""


@dataclass(frozen=True)
class Allowed:
    """More than BOUNDS says: how much, why, and on which targets (default: on all)."""

    ulps: float
    reason: str
    targets: tuple[str, ...] = ("numpy", "llvm", "c")


_VANISHES = (
    "the second derivative vanishes there, and the error is absolute, as large as a rounding of its terms"
)
_AMPLIFIED = "exp amplifies the rounding of its argument by as much as the argument is large"

EXCEPTIONS: dict[tuple[str, str], Allowed] = {
    ("pow", "second"): Allowed(INFINITE, "x**(b - 2) overflows where a tiny factor b makes up for it"),
    ("cbrt", "value"): Allowed(4, "the C library's own cbrt is that far off (glibc)", ("llvm", "c")),
    ("cbrt", "first"): Allowed(10, "the C library's cbrt, whose error counts twice"),
    ("cbrt", "second"): Allowed(25, "the C library's cbrt, whose error counts five times"),
    ("atan", "second"): Allowed(INFINITE, "(1 + x**2)**2 overflows, or x**2 does, where the result is tiny"),
    ("atan_difference", "second"): Allowed(
        INFINITE, f"near |x| = 0.58, of atan's third derivative, {_VANISHES}"
    ),
    ("asinh_difference", "second"): Allowed(
        INFINITE, f"near |x| = 0.71, of asinh's third derivative, {_VANISHES}"
    ),
    ("erf_difference", "second"): Allowed(
        INFINITE, f"near |x| = 0.71, of erf's third derivative, {_VANISHES}"
    ),
    ("reciprocal_root_difference", "value"): Allowed(5, "two roots, a sum and three divisions, each rounded"),
    ("hypot_less_side", "second"): Allowed(32, "squares of what is left are below single precision's range"),
    ("sech", "second"): Allowed(INFINITE, f"near |x| = 0.88 {_VANISHES}"),
    ("logaddexp", "first"): Allowed(800, f"logistic(x - y): {_AMPLIFIED}"),
    ("logaddexp", "second"): Allowed(800, f"logistic(x - y): {_AMPLIFIED}"),
    ("sinc", "second"): Allowed(INFINITE, f"near |x| = 2.08 {_VANISHES}"),
    ("erf", "value"): Allowed(4, "SciPy's erf, which the reference evaluator calls", ("numpy",)),
    ("erf", "first"): Allowed(800, f"exp(-x**2): {_AMPLIFIED}"),
    ("erf", "second"): Allowed(800, f"exp(-x**2): {_AMPLIFIED}"),
    ("erfc", "value"): Allowed(800, "SciPy's erfc, which the reference evaluator calls", ("numpy",)),
    ("erfc", "first"): Allowed(800, f"exp(-x**2): {_AMPLIFIED}"),
    ("erfc", "second"): Allowed(800, f"exp(-x**2): {_AMPLIFIED}"),
    ("log(exp(x) + exp(y))", "first"): Allowed(800, f"logistic(x - y): {_AMPLIFIED}"),
    ("log(exp(x) + exp(y))", "second"): Allowed(800, f"logistic(x - y): {_AMPLIFIED}"),
    ("Gaussian distribution", "first"): Allowed(200, f"exp(-x**2/2): {_AMPLIFIED}"),
    ("Gaussian distribution", "second"): Allowed(200, f"exp(-x**2/2): {_AMPLIFIED}"),
    ("cross-entropy of a logit", "value"): Allowed(
        INFINITE, "softplus(x) and x*y cancel, as they are written"
    ),
    ("cross-entropy of a logit", "first"): Allowed(INFINITE, "logistic(x) and y cancel, as they are written"),
    ("log-sum-exp", "first"): Allowed(2000, f"exp(v - lse), with lse rounded near 1000: {_AMPLIFIED}"),
    ("log-sum-exp", "second"): Allowed(
        INFINITE, "p*(1 - p) where p is rounded near 1: the digits of 1 - p go"
    ),
    ("share", "second"): Allowed(INFINITE, "p*(1 - p)*(1 - 2*p) vanishes, and its terms do not"),
    ("share_of_others", "second"): Allowed(INFINITE, "p*(1 - p)*(1 - 2*p) vanishes, and its terms do not"),
    ("softmax", "value"): Allowed(40, f"exp(v - lse): {_AMPLIFIED}"),
    ("softmax", "first"): Allowed(INFINITE, "p*(1 - p) where p is rounded near 1: the digits of 1 - p go"),
    ("softmax", "second"): Allowed(INFINITE, "p*(1 - p)*(1 - 2*p) vanishes, and its terms do not"),
    ("softmax, temperature 0.004", "value"): Allowed(60, f"exp(250*v - lse): {_AMPLIFIED}"),
    ("softmax, temperature 0.004", "first"): Allowed(INFINITE, "p*(1 - p) where p is rounded near 1"),
    ("softmax, temperature 0.004", "second"): Allowed(INFINITE, "p*(1 - p)*(1 - 2*p) where p is near 1"),
    ("log-softmax", "value"): Allowed(INFINITE, "v - lse cancels where one number is far the largest"),
    ("log-softmax", "first"): Allowed(INFINITE, "1 - p where p is rounded near 1: its digits go"),
    ("log-softmax", "second"): Allowed(
        INFINITE, "p*(1 - p) where p is rounded near 1: the digits of 1 - p go"
    ),
    ("log(1 + x)/x", "second"): Allowed(100, "where the series ends, Leibniz's rule loses some"),
    ("norm of a vector", "second"): Allowed(
        INFINITE, "next to a zero: it vanishes between numbers, and the error is absolute"
    ),
    ("variance", "first"): Allowed(INFINITE, "v - mean cancels where a number is near the mean"),
    ("log-determinant", "first"): Allowed(300, "an entry of the inverse nearly vanishes, its terms do not"),
    ("log-determinant", "second"): Allowed(1000, "an entry of the inverse nearly vanishes, its terms do not"),
    ("variance, offset", "first"): Allowed(INFINITE, "v - mean cancels where the mean is far from 0"),
}
EXCEPTIONS |= {
    (name, quantity): Allowed(ulps, reason)
    for names, quantities, ulps, reason in LINES
    for name in names.split(" ")
    for quantity in quantities.split(" ")
}
"""By case and quantity."""


def bound(name: str, group: str, quantity: str, target: str) -> float:
    """What is allowed of a quantity of a case on a target, in both precisions."""
    exception = EXCEPTIONS.get((name, quantity))
    usual = BOUNDS.get((group, quantity), INFINITE)
    return exception.ulps if exception is not None and target in exception.targets else usual
