"""Why a derivative written by hand is wrong: the simple mistake that explains it, if one does.

A hint explains every wrong number of a block to seven digits: the sign, a factor (also 1/2, or a size), a
constant, the transpose, two symbols exchanged. The comparison is with our own derivative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np

from symgrad.run.functions import Variables
from symgrad.run.point import Array

_CLOSE = 1e-7  # relative to the largest number of the block
_MOST_DENOMINATOR = 64


def hints(
    word: str, given: Sequence[Array], right: Sequence[Array], variables: Variables, sizes: Mapping[str, int]
) -> list[str]:
    """One sentence per block that is wrong and can be explained.

    given, right  the parts of the output `word`, in the same shapes.
    """
    names, given, right = _blocks(word, given, right, variables)
    found = _exchanged(names, given, right)
    if found:
        return [found]
    sentences = []
    for name, a, b in zip(names, given, right, strict=True):
        explained = _explained(a, b, sizes)
        if explained:
            sentences.append(f"{word} {name}: {explained}".replace("  ", " ").replace(" :", ":"))
    return sentences


def _blocks(
    word: str, given: Sequence[Array], right: Sequence[Array], variables: Variables
) -> tuple[list[str], list[Array], list[Array]]:
    """The parts with names; a gradient by scalars has one part per scalar, a Hessian by them is one block."""
    if word == "grad":
        if variables.is_packed:
            parts = [list(np.ravel(x[0])) for x in (given, right)]
            return list(variables.names), [np.asarray(x) for x in parts[0]], [np.asarray(x) for x in parts[1]]
        return list(variables.names), list(given), list(right)
    if len(given) == 1:
        size = variables.size
        return [""], [given[0].reshape(size, size)], [right[0].reshape(size, size)]
    names = [f"{a} by {b}" for a in variables.names for b in variables.names]
    return names, list(given), list(right)


def _is_close(a: Array, b: Array) -> bool:
    with np.errstate(all="ignore"):
        scale = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0))
        return bool(a.shape == b.shape and np.isfinite(scale) and (np.abs(a - b) <= _CLOSE * scale).all())


def _exchanged(names: Sequence[str], given: Sequence[Array], right: Sequence[Array]) -> str:
    """Two blocks that stand in each other's place."""
    for i, j in combinations(range(len(names)), 2):
        is_wrong = not (_is_close(given[i], right[i]) and _is_close(given[j], right[j]))
        if is_wrong and _is_close(given[i], right[j]) and _is_close(given[j], right[i]):
            return f"the derivatives by {names[i]} and {names[j]} are exchanged"
    return ""


def _explained(a: Array, b: Array, sizes: Mapping[str, int]) -> str:
    """What turns the right numbers `b` into the given ones; empty if they agree or nothing simple does."""
    if _is_close(a, b) or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return ""
    whole = _mistake(a, b, sizes)
    if whole:
        return whole
    if a.ndim == 2 and a.shape[0] == a.shape[1]:
        for sign, text in ((1, "transposed"), (-1, "transposed, and of the opposite sign")):
            if _is_close(a, sign * b.T):
                return text
        if _is_close(b, b.T) and not _is_close(a, a.T):
            i, j = np.unravel_index(int(np.abs(a - a.T).argmax()), a.shape)
            return f"not symmetric: [{i}, {j}] is {a[i, j]:.6g}, [{j}, {i}] is {a[j, i]:.6g}"
    scale = np.abs(b).max(initial=0.0)
    wrong = np.abs(a - b) > _CLOSE * scale
    count = int(wrong.sum())
    part = _mistake(a[wrong], b[wrong], sizes) if count < a.size else ""
    text = f"{count} of {a.size} entries {'is' if count == 1 else 'are'} wrong" if a.size > 1 else ""
    return text + (f", there: {part}" if part else "")


def _mistake(a: Array, b: Array, sizes: Mapping[str, int]) -> str:
    """A sign, a factor or a constant."""
    if _is_close(a, -b):
        return "the opposite sign"
    if not np.abs(a).any():
        return "0, where the derivative is not"
    square = float((b * b).sum())
    factor = float((a * b).sum()) / square if square else 0.0
    if factor and _is_close(a, factor * b):
        simple = _simple(factor, sizes)
        if simple or a.size > 1:
            return f"{simple or f'{factor:.6g}'} times the derivative"
    shift = float((a - b).mean())
    simple = _simple(shift, {})
    if simple and _is_close(a, b + shift):
        return f"the derivative {'+' if shift > 0 else '-'} {simple.removeprefix('-')}"
    return ""


def _simple(number: float, sizes: Mapping[str, int]) -> str:
    """A factor as a person would write it, a fraction, with the size it is; empty if it is neither."""
    near = Fraction(number).limit_denominator(_MOST_DENOMINATOR)
    is_near = abs(number - float(near)) <= _CLOSE * abs(number)
    simple = str(near) if is_near and abs(near.numerator) <= 10 * _MOST_DENOMINATOR else ""
    for name, n in sizes.items():
        for value, text in ((n, name), (-n, f"-{name}"), (1 / n, f"1/{name}"), (-1 / n, f"-1/{name}")):
            if n > 1 and abs(number - value) <= _CLOSE * abs(value):
                return f"{simple or f'{number:.6g}'} ({text})"
    return simple
