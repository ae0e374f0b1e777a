"""How many digits of an output are right, and how many places its last digit is off.

One unit in the last place (ulp) of a number is the distance between the two numbers of its type around the
exact result; a correctly rounded result is at most half of one off.
Source: Muller 2005, On the definition of ulp(x), INRIA RR-5504 (here: Goldberg's definition).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from symgrad.records import dataclass
from symgrad.run.point import Array


@dataclass(frozen=True)
class Measurement:
    """One number of an output, `name`, beside its exact value: correct digits, and places off."""

    name: str
    digits: float
    ulps: float


@dataclass(frozen=True)
class Accuracy:
    """Correct decimal digits and errors in units in the last place, of the numbers of one output.

    dtype  the type whose last place it is.
    zeros  how many more have the exact value 0, of which no digits can be counted.
    worst  the number that is furthest off.
    """

    output: str
    dtype: str
    numbers: int
    zeros: int
    least_digits: float
    median_digits: float
    most_ulps: float
    median_ulps: float
    worst: str


def last_places(value: Array, exact: Array, dtype: Any = None, size: Array | None = None) -> Array:
    """|value - exact| in units in the last place of `dtype`; `exact` holds mpmath numbers (or float64).

    size  the numbers whose last place is the unit, as `exact`; by default these are the exact ones.

    Equal infinities and pairs of nan are 0 apart; a finite number and one that is not, infinitely many.
    Below the smallest normal number, a unit is that of the subnormal numbers.
    """
    value = np.asarray(value)
    kind = np.dtype(dtype or value.dtype)
    with np.errstate(all="ignore"):
        nearest = np.asarray(exact, dtype=object).astype(np.float64).astype(kind)
        rounded = nearest if size is None else np.asarray(size, object).astype(np.float64).astype(kind)
        unit = np.spacing(np.minimum(np.abs(rounded), np.finfo(kind).max)).astype(np.float64)
        apart = np.abs(np.asarray(exact, dtype=object) - value.astype(np.float64).astype(object))
        far = np.asarray(apart, dtype=object).astype(np.float64) / unit
        same = (value == nearest) & ~np.isfinite(nearest) | (np.isnan(value) & np.isnan(nearest))
    return np.where(same, 0.0, np.where(np.isnan(far), np.inf, far))


def correct_digits(value: Array, exact: Array, most: float) -> Array:
    """-log10 of the relative error, at least 0 and at most `most`; `exact` (mpmath numbers) is nowhere 0."""
    exact = np.asarray(exact, dtype=object)
    with np.errstate(all="ignore"):
        apart = np.asarray(np.abs(exact - np.asarray(value, dtype=np.float64).astype(object)), dtype=object)
        relative = (apart / np.abs(exact)).astype(np.float64)
        digits = -np.log10(relative)
    return np.clip(np.where(np.isnan(digits), 0.0, digits), 0.0, most) + 0.0  # no -0.0


def measured(
    names: Sequence[str], value: Array, exact: Array, digits: int, dtype: Any
) -> tuple[list[Measurement], int]:
    """Measurements of the entries that are not exactly 0, and how many are.

    value, exact  shape (entries,).
    digits        that `exact` is good to, relative to its largest entry: smaller ones count as 0.
    """
    scale = np.abs(exact).max(initial=0) if exact.size else 0
    size = np.asarray(np.abs(exact) if not scale else np.abs(exact) / scale, dtype=object).astype(np.float64)
    counts = ~(size <= 10.0 ** -(digits // 2)) & np.isfinite(size)
    at = np.nonzero(counts)[0].tolist()
    ulps = last_places(value[at], exact[at], dtype)
    right = correct_digits(value[at], exact[at], float(digits))
    found = [Measurement(names[k], float(d), float(u)) for k, d, u in zip(at, right, ulps, strict=True)]
    return found, int((~counts).sum())


def summary(output: str, dtype: str, found: Iterable[Measurement], zeros: int) -> Accuracy | None:
    """The accuracy of one output; None where no number of it was measured."""
    numbers = list(found)
    if not numbers:
        return None
    digits, ulps = [m.digits for m in numbers], [m.ulps for m in numbers]
    worst = max(numbers, key=lambda m: m.ulps)
    return Accuracy(
        output, dtype, len(numbers), zeros, min(digits), float(np.median(digits)), max(ulps),
        float(np.median(ulps)), worst.name,
    )  # fmt: skip
