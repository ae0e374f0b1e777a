"""The errors that are allowed, in units in the last place: one table, with a reason for every exception."""

from __future__ import annotations

from dataclasses import dataclass

INFINITE = float("inf")

BOUNDS = {
    ("elementary", "value"): 2.0,
    ("elementary", "first"): 4.0,
    ("elementary", "second"): 8.0,
    ("composite", "value"): 4.0,
    ("composite", "first"): 8.0,
    ("composite", "second"): 16.0,
}
"""By group and quantity. Special functions are measured only."""


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
    ("pow", "first"): Allowed(700, "b - 1 is rounded where b < 1, and x**(b - 1) amplifies that by log(x)"),
    ("pow", "second"): Allowed(INFINITE, "x**(b - 2) overflows where a tiny factor b makes up for it"),
    ("cbrt", "value"): Allowed(4, "the C library's own cbrt is that far off (glibc)", ("llvm", "c")),
    ("cbrt", "first"): Allowed(10, "the C library's cbrt, whose error counts twice", ("llvm", "c")),
    ("cbrt", "second"): Allowed(25, "the C library's cbrt, whose error counts five times", ("llvm", "c")),
    ("hypot", "second"): Allowed(INFINITE, "1 - (x/r)**2 cancels where one argument is far the larger one"),
    ("atan2", "second"): Allowed(INFINITE, "a difference of squares cancels where |x| is near |y|"),
    ("logistic", "second"): Allowed(INFINITE, f"at 0 {_VANISHES}"),
    ("sech", "second"): Allowed(INFINITE, f"near |x| = 0.88 {_VANISHES}"),
    ("logaddexp", "first"): Allowed(800, f"logistic(x - y): {_AMPLIFIED}"),
    ("logaddexp", "second"): Allowed(800, f"logistic(x - y): {_AMPLIFIED}"),
    ("sinc", "first"): Allowed(40, "(cos(x) - sinc(x))/x cancels between 1/4 and 1"),
    ("sinc", "second"): Allowed(INFINITE, f"near |x| = 2.08 {_VANISHES}"),
    ("erf", "value"): Allowed(4, "SciPy's erf, which the reference evaluator calls", ("numpy",)),
    ("erf", "first"): Allowed(800, f"exp(-x**2): {_AMPLIFIED}"),
    ("erf", "second"): Allowed(800, f"exp(-x**2): {_AMPLIFIED}"),
    ("erfc", "value"): Allowed(800, "SciPy's erfc, which the reference evaluator calls", ("numpy",)),
    ("erfc", "first"): Allowed(800, f"exp(-x**2): {_AMPLIFIED}"),
    ("erfc", "second"): Allowed(800, f"exp(-x**2): {_AMPLIFIED}"),
}
"""By case and quantity."""


def bound(name: str, group: str, quantity: str, target: str) -> float:
    """What is allowed of a quantity of a case on a target, in both precisions."""
    exception = EXCEPTIONS.get((name, quantity))
    usual = BOUNDS.get((group, quantity), INFINITE)
    return exception.ulps if exception is not None and target in exception.targets else usual
