"""Which kinks of a program a point is on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgrad.frontend.arguments import name_of
from symgrad.frontend.translate import Translation
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Node, TensorId
from symgrad.kinks import Kink

Test = Callable[..., Any]
"""From the values of a kink's arguments to where they are on it."""


def kinks_at(
    translation: Translation, kinks: Sequence[Kink], arrays: Mapping[str, Any], sizes: Mapping[str, int]
) -> tuple[Kink, ...]:
    """Those of `kinks` that some entry of their arguments is on, at the point given by name.

    Arguments that depend on a read outside its tensor (under a guard that does not hold) do not count.
    """
    if not kinks:
        return ()
    wanted: dict[TensorId, list[Kink]] = {}
    for kink in kinks:
        wanted.setdefault(kink.tensor, []).append(kink)
    found: set[int] = set()

    def inspect(t: TensorId, done: Mapping[Node, Any], poison: Mapping[Node, Any]) -> None:
        for kink in wanted.get(t, ()):
            if all(n in done for n in kink.nodes) and _is_on(kink, done, poison):
                found.add(id(kink))

    inputs = {t: arrays[name_of(s)] for s, t in translation.inputs.items() if name_of(s) in arrays}
    evaluate(translation.graph, (translation.value,), inputs, sizes, inspect=inspect)
    return tuple(kink for kink in kinks if id(kink) in found)


def _is_on(kink: Kink, done: Mapping[Node, Any], poison: Mapping[Node, Any]) -> bool:
    values = np.broadcast_arrays(*(done[n] for n in kink.nodes))
    hidden: Any = False
    for n in kink.nodes:
        hidden = hidden | np.asarray(poison[n])
    is_on: Test = _TESTS.get(kink.function, _are_equal)
    with np.errstate(all="ignore"):
        on = np.asarray(is_on(*values))
    return bool((on & ~np.asarray(hidden)).any())


def _are_equal(*values: Any) -> Any:
    """For a relation: both sides equal."""
    return values[0] == values[1]


def _is_zero(*values: Any) -> Any:
    return np.all([v == 0 for v in values], axis=0)


def _tie(sign: int) -> Test:
    def test(*values: Any) -> Any:
        ordered = np.sort(np.stack([sign * v for v in values]), axis=0)
        return ordered[-1] == ordered[-2]

    return test


def _extreme_entries_tie(sign: int) -> Test:
    def test(*values: Any) -> Any:
        flat = np.sort(sign * np.ravel(values[0]))
        return np.full(values[0].shape, flat.size > 1 and flat[-1] == flat[-2])

    return test


def _is_whole(value: Any) -> Any:
    return value == np.round(value)


def _has_no_full_rank(matrix: Any) -> Any:
    """Whether the least singular value, over the last two axes, is 0 but for rounding."""
    a = np.asarray(matrix, dtype=np.float64)
    s = np.linalg.svd(a, compute_uv=False) if np.isfinite(a).all() else np.ones((*a.shape[:-2], 1))
    return (s[..., -1:] <= max(a.shape[-2:]) * np.finfo(np.float64).eps * s[..., :1])[..., None]


_TESTS: Mapping[str, Test] = {
    "Abs": _is_zero,
    "sign": _is_zero,
    "sqrt": _is_zero,
    "norm": _is_zero,
    "Pow": lambda base, exponent: base == 0,
    "hypot": _is_zero,
    "atan2": lambda y, x: (y == 0) & (x <= 0),
    "Max": _tie(1),
    "Min": _tie(-1),
    "Maximum": _extreme_entries_tie(1),
    "svdvals": _has_no_full_rank,
    "Minimum": _extreme_entries_tie(-1),
    "floor": _is_whole,
    "ceiling": _is_whole,
    "Mod": lambda a, b: _is_whole(a / b),
    "fmod": lambda a, b: _is_whole(a / b),
}
