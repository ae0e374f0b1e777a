"""Long sums as one statement each, so that what they add up may come from anywhere.

    ((a + b) - c) + ...        becomes        the sum of a, b, -c, ... from left to right

where nothing else reads the sums in between. The order of a sum depends on the user, on SymPy and on the way
derivatives are collected, and its terms are written in no order that repeats; as one statement it is a loop
over terms, which are found through a table. Subtracting a number is adding its negative, exactly.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from symgrad.loops.reroll.code import CHAIN, Code, Ints, colour

_FEWEST_TERMS = 8  # of a sum of terms of few kinds
_TERMS_PER_KIND = 4
_FEWEST_LEFT, _FEWEST_TERMS_LEFT = 16, 4  # sums that nothing else was made of, and terms of each


def collect_sums(code: Code) -> None:
    """Sums of many terms of few kinds become one statement each."""
    found = [
        (parts, terms, signs)
        for parts, terms, signs in _sums(code, np.ones(len(code), bool), _FEWEST_TERMS)
        if len(np.unique(code.colours[terms])) * _TERMS_PER_KIND <= len(terms)
    ]
    _replace(code, found)


def collect_sums_left(code: Code, is_left: NDArray[np.bool_]) -> bool:
    """So do sums of any terms that are in no loop, if there are several; returns whether there are."""
    found = _sums(code, is_left, _FEWEST_TERMS_LEFT)
    if len(found) < _FEWEST_LEFT:
        return False
    _replace(code, found)
    return True


def _sums(code: Code, wanted: NDArray[np.bool_], fewest: int) -> list[tuple[list[int], Ints, Ints]]:
    """(statements, the last one last; terms; signs) of the sums of at least so many terms."""
    kinds, arguments = code.kinds, code.arguments
    add, sub = code.numbers.get("add", -1), code.numbers.get("sub", -1)
    read = np.concatenate([arguments[arguments >= 0], *(terms for terms, _ in code.terms.values())])
    uses = np.bincount(read, minlength=len(kinds))
    (candidates,) = np.nonzero(((kinds == add) | (kinds == sub)) & wanted & ~code.absorbed)
    inside = set(candidates[uses[candidates] == 1].tolist())
    length: dict[int, int] = {}
    before: dict[int, int] = {}  # the sum so far
    for s, kind, a, b in zip(
        candidates.tolist(), kinds[candidates].tolist(), *arguments[candidates, :2].T.tolist(), strict=True
    ):
        la = length.get(a, 0) if a in inside else 0
        lb = length.get(b, 0) if b in inside and kind == add else 0
        length[s] = 1 + max(la, lb)
        if la or lb:
            before[s] = a if la >= lb else b
    continued = set(before.values())
    tops = [s for s, n in length.items() if n + 1 >= fewest and s not in continued]
    return [_sum(code, top, before, sub) for top in tops]


def _sum(code: Code, top: int, before: dict[int, int], sub: int) -> tuple[list[int], Ints, Ints]:
    parts = [top]
    while parts[-1] in before:
        parts.append(before[parts[-1]])
    parts.reverse()
    terms = code.arguments[parts[0], :2].tolist()
    for so_far, s in pairwise(parts):
        a, b = code.arguments[s, :2].tolist()
        terms.append(b if a == so_far else a)
    signs = [1, *(-1 if code.kinds[s] == sub else 1 for s in parts)]
    return parts, np.array(terms, dtype=np.int64), np.array(signs, dtype=np.int64)


def _replace(code: Code, sums: list[tuple[list[int], Ints, Ints]]) -> None:
    for parts, terms, signs in sums:
        code.absorbed[parts[:-1]] = True
        code.kinds[parts[-1]] = CHAIN
        code.arguments[parts] = -1
        code.terms[parts[-1]] = terms, signs
    if sums:
        colour(code)
