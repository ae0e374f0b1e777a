"""Where special functions are measured, and the size that an error is measured by where they oscillate.

A region is one column of numbers per argument. The regions of a function reach far beyond the domain that
its row gives for tests: tiny and huge arguments, ends of the domain, zeros, where algorithms change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from symgrad.ir.special.bessel_far import MOST, I, K

Draw = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Column:
    """Numbers for one argument: in words, and how to draw them (given what the columns before drew)."""

    words: str
    draw: Callable[[np.random.Generator, int, Sequence[np.ndarray]], np.ndarray]


Region = tuple[Column, ...]


def uniform(low: float, high: float) -> Column:
    return Column(f"[{low:g}, {high:g}]", lambda rng, count, before: rng.uniform(low, high, count))


def decades(low: float, high: float, sign: int = 1) -> Column:
    """10**low to 10**high, every decade equally often."""
    ends = (f"1e{low:g}", f"1e{high:g}") if sign > 0 else (f"-1e{high:g}", f"-1e{low:g}")
    return Column(
        f"[{ends[0]}, {ends[1]}]", lambda rng, count, before: sign * 10.0 ** rng.uniform(low, high, count)
    )


def whole(low: int, high: int) -> Column:
    return Column(
        f"{low} ... {high}", lambda rng, count, before: rng.integers(low, high + 1, count).astype(float)
    )


def near(*centres: float, sides: tuple[float, ...] = (-1.0, 1.0)) -> Column:
    """Around numbers, at distances of all decades from 1e-12 to 0.1."""
    words = "near " + ", ".join(f"{c:.5g}" for c in centres)

    def draw(rng: np.random.Generator, count: int, before: Sequence[np.ndarray]) -> np.ndarray:
        far = rng.choice(sides, count) * 10.0 ** rng.uniform(-12, -1, count)
        return np.asarray(rng.choice(centres, count) * (1 + far))

    return Column(words, draw)


def times(place: int, low: float, high: float, spread: bool = False) -> Column:
    """The argument at `place` times [low, high]; with `spread`, 1 + that over its root."""
    words = f"argument {place + 1} times [{low:g}, {high:g}]"
    if spread:
        words = f"within {high:g} deviations of argument {place + 1}"

    def draw(rng: np.random.Generator, count: int, before: Sequence[np.ndarray]) -> np.ndarray:
        factor = rng.uniform(low, high, count)
        return before[place] * (1 + factor / np.sqrt(before[place]) if spread else factor)

    return Column(words, draw)


def points(regions: Sequence[Region], rng: np.random.Generator, count: int) -> np.ndarray:
    """About `count` of each region, (numbers, arity)."""
    parts = []
    for region in regions:
        columns: list[np.ndarray] = []
        for column in region:
            columns.append(column.draw(rng, count, columns))
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def words(regions: Sequence[Region]) -> str:
    return "; ".join(" x ".join(column.words for column in region) for region in regions)


_POSITIVE = (decades(-15, 0), uniform(0, 30), decades(0, 15))
_SHAPE = decades(-3, 3)
_ORDERS: tuple[Column, ...] = (whole(0, 1), whole(0, 40), uniform(0, 40))
_CYLINDER: tuple[Region, ...] = tuple(
    (order, column)
    for order in (*_ORDERS, uniform(-8, 0))
    for column in (decades(-8, 0), uniform(0, 40), decades(0, 3.5))
)
_FAR_K, _FAR_I = (
    (
        (whole(0, 1), decades(start, 6)),
        (uniform(0, 5), decades(start, 6)),
        (uniform(5, 40), uniform(10**start, 200)),
    )
    for start in (0.904, 1.478)
)
_AIRY: tuple[Region, ...] = ((uniform(-12, 12),), (decades(0, 3, -1),), (decades(0, 2),), (decades(-12, 0),))
_INCOMPLETE: tuple[Region, ...] = (
    (decades(-3, 2), decades(-3, 2)),
    (decades(0, 6), times(0, -4, 4, spread=True)),
    (decades(0, 3), times(0, 0.1, 3)),
)
_MODULUS: tuple[Region, ...] = (
    (uniform(-5, 1),), (near(1.0, sides=(-1.0,)),), (decades(-12, 0, -1),), (decades(0, 10, -1),)
)  # fmt: skip
_ANGLE: tuple[Region, ...] = (
    (uniform(-1.5, 1.5), uniform(-5, 1)),
    (uniform(-20, 20), uniform(-5, 1)),
    (decades(-8, 0), uniform(-5, 1)),
    (uniform(-1.5, 1.5), decades(-8, 0, -1)),
    (uniform(-1.5, 1.5), decades(0, 6, -1)),
)
_MOMENT: tuple[Region, ...] = (
    (uniform(-1.5, 1.5), uniform(-3, 0.9)),
    (decades(-8, 0), uniform(-3, 0.9)),
    (uniform(-1.5, 1.5), decades(-8, 0, -1)),
)
_INTEGRAL: tuple[Region, ...] = ((decades(-12, 0),), (uniform(0, 10),), (decades(0, 2.7),))
_SIGNED: tuple[Region, ...] = (*_INTEGRAL, (uniform(-10, 0),))

REGIONS: dict[str, tuple[Region, ...]] = {
    "gamma": ((decades(-15, 0),), (uniform(0, 170),), (uniform(-20, 0),), (near(-1.0, -2.0, -7.0),)),
    "loggamma": (*((c,) for c in _POSITIVE), (near(1.0, 2.0),), (uniform(-20, 0),)),
    "digamma": (*((c,) for c in _POSITIVE), (near(1.4616321449683622),), (uniform(-20, 0),)),
    "polygamma": tuple((whole(0, 6), c) for c in _POSITIVE),
    "zeta": ((uniform(1, 30), decades(-2, 4)), (near(1.0, sides=(1.0,)), decades(-2, 2))),
    "riemann_zeta": ((uniform(1, 30),), (uniform(-30, 1),), (near(1.0),), (decades(-8, 0),)),
    "beta": ((_SHAPE, _SHAPE), (decades(-8, 0), decades(-8, 0)), (uniform(0, 30), uniform(0, 30))),
    "betaln": ((_SHAPE, _SHAPE), (decades(0, 8), decades(0, 8)), (uniform(0, 30), uniform(0, 30))),
    "binomial": (
        (uniform(1, 60), times(0, 0, 1)),
        (whole(1, 60), whole(0, 20)),
        (decades(0, 4), whole(0, 9)),
    ),
    "rising": (
        (decades(-3, 2), uniform(0, 20)),
        (decades(-3, 6), whole(0, 9)),
        (decades(0, 4), uniform(0, 2)),
    ),
    "gammainc": _INCOMPLETE,
    "gammaincc": _INCOMPLETE,
    "betainc": (
        (decades(-2, 2), decades(-2, 2), uniform(0, 1)),
        (decades(-1, 1), decades(-1, 1), decades(-12, 0)),
        (decades(0, 5), times(0, 0.5, 2), uniform(0.4, 0.6)),
    ),
    "erfinv": ((uniform(-1, 1),), (near(1.0, sides=(-1.0,)),), (decades(-12, 0),)),
    "erfcinv": ((uniform(0, 2),), (near(1.0),), (decades(-300, 0),)),
    "erfi": ((decades(-12, 0),), (uniform(-26, 26),)),
    "besselj": _CYLINDER,
    "bessely": _CYLINDER,
    "besseli": _CYLINDER,
    "besselk": _CYLINDER,
    **dict.fromkeys((K.row(k) for k in range(MOST + 1)), _FAR_K),
    **dict.fromkeys((I.row(k) for k in range(MOST + 1)), _FAR_I),
    "spherical_jn": tuple((whole(0, 12), c) for c in (decades(-8, 0), uniform(0, 40), decades(0, 3.5))),
    "spherical_yn": tuple((whole(0, 12), c) for c in (decades(-8, 0), uniform(0, 40), decades(0, 3.5))),
    "airyai": _AIRY,
    "airyaiprime": _AIRY,
    "airybi": _AIRY,
    "airybiprime": _AIRY,
    "Si": _SIGNED,
    "Ci": (*_SIGNED, (near(0.61650548562076),)),
    "Shi": _SIGNED,
    "Chi": (*_SIGNED, (near(0.52382257138986),)),
    "Ei": (*_SIGNED, (near(0.37250741078137),), (decades(0, 2.7, -1),)),
    "expint": tuple((whole(3, 20), column) for (column,) in _INTEGRAL),
    "fresnels": (*_SIGNED, (decades(0, 3),)),
    "fresnelc": (*_SIGNED, (decades(0, 3),)),
    "lambertw": ((uniform(-0.36, 1),), (near(-0.36787944117144233, sides=(-1.0,)),), (decades(-12, 300),)),
    "elliptic_k": _MODULUS,
    "elliptic_e": _MODULUS,
    "elliptic_d": _MODULUS,
    **dict.fromkeys((f"elliptic_moment_{jk}" for jk in (11, 21, 22, 32, 33)), _MOMENT),
    "elliptic_f": _ANGLE,
    "incomplete_e": _ANGLE,
    "incomplete_d": _ANGLE,
}
"""By op; the others are measured over the domain of their row."""


# ---- oscillation -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Oscillation:
    """A function that has zeros between numbers: where, and the function a quarter of a period away from it.

    There the unit of an error is the last place of the amplitude sqrt(f**2 + companion**2), of derivatives
    that of the derivatives' amplitude: what is left of a function at a zero is the rounding of its argument.
    """

    companion: Callable[..., Any]
    where: Callable[..., bool]


def _spherical(name: str) -> Callable[..., Any]:
    def call(n: Any, x: Any) -> Any:
        return mpmath.sqrt(mpmath.pi / (2 * abs(x))) * getattr(mpmath, name)(n + mpmath.mpf(1) / 2, abs(x))

    return call


def _beyond_order(n: Any, x: Any) -> bool:
    return bool(x > abs(n) and x > 0.5)


OSCILLATIONS: dict[str, Oscillation] = {
    "besselj": Oscillation(mpmath.bessely, _beyond_order),
    "bessely": Oscillation(mpmath.besselj, _beyond_order),
    "spherical_jn": Oscillation(_spherical("bessely"), _beyond_order),
    "spherical_yn": Oscillation(_spherical("besselj"), _beyond_order),
    "airyai": Oscillation(mpmath.airybi, lambda x: bool(x < -1)),
    "airybi": Oscillation(mpmath.airyai, lambda x: bool(x < -1)),
    "airyaiprime": Oscillation(lambda x: mpmath.airybi(x, derivative=1), lambda x: bool(x < -1)),
    "airybiprime": Oscillation(lambda x: mpmath.airyai(x, derivative=1), lambda x: bool(x < -1)),
    "Si": Oscillation(mpmath.ci, lambda x: bool(abs(x) > 1)),
    "Ci": Oscillation(lambda x: mpmath.si(abs(x)) - mpmath.pi / 2, lambda x: bool(abs(x) > 1)),
    "fresnels": Oscillation(mpmath.fresnelc, lambda x: bool(abs(x) > 1)),
    "fresnelc": Oscillation(mpmath.fresnels, lambda x: bool(abs(x) > 1)),
}
