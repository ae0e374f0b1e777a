"""Differences of two lengths that are nearly the same: of the distances from two points.

Two terms of a longer sum are put together first, and two with numbers that are opposite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args
from symgrad.ir.signs import is_never_negative
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import (
    MOST_TERMS,
    common_terms,
    numbered,
    remove,
    root_of_square,
    terms_of,
    under_root,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_LENGTHS = ("hypot", "sqrt", "norm")
_SOURCE = "Higham 2002, section 1.8"


def _are_lengths(ops: Sequence[str]) -> bool:
    return all(op in _LENGTHS for op in ops)


@stable(
    "sub",
    "the lengths are rounded before they cancel, and so are their derivatives",
    Audit(
        "sqrt((x - y)**2 + 1) - sqrt((x + y)**2 + 1)", "hypot_difference(x, -y, y, 1)",
        "sums of squares, of which all but one are the same", _SOURCE,
        at_pairs((1.0, 1e-9), (3.0, 1e-3), (1e-9, 2.0), (1e9, 5.0)),
    ),
    on=_are_lengths,
    needs=_LENGTHS,
)  # fmt: skip
def difference_of_lengths(g: Graph, a: Args) -> int | None:
    return _difference(g, *a) if _are_lengths([g.op[length] for length in a]) else None


def with_differences_of_lengths(g: Graph, terms: Sequence[int]) -> Sequence[int]:
    """The terms of a sum; instead of two lengths with opposite numbers their difference."""
    if len(terms) > MOST_TERMS or g.present.isdisjoint(_LENGTHS):
        return terms
    lengths = [(place, *numbered(g, n)) for place, n in enumerate(terms)]
    lengths = [found for found in lengths if g.op[found[2]] in _LENGTHS]
    for k, (place, number, one) in enumerate(lengths):
        for other_place, opposite, other in lengths[k + 1 :]:
            made = _difference(g, one, other) if number + opposite == 0 else None
            if made is not None:
                g.fired[difference_of_lengths.name] += 1
                rest = without(without(list(terms), other_place), place)
                return with_differences_of_lengths(g, [*rest, g.mul(g.const(number), made)])
    return terms


def _difference(g: Graph, one: int, other: int) -> int | None:
    left, right = remove(first := _squares(g, one), second := _squares(g, other))
    if len(left) != 1 or len(right) != 1 or len(second) < 2:
        return None
    common, _ = remove(first, left)
    x, y = root_of_square(g, left[0]), root_of_square(g, right[0])
    if x is None or y is None:
        return None
    w = root_of_square(g, common[0]) if len(common) == 1 else None
    w = g.node("sqrt", g.sum_of(common)) if w is None else w
    return g.node("hypot_difference", *_apart(g, x, y), w)


def _squares(g: Graph, length: int) -> list[int]:
    """The terms of what a length is the root of, none of which is negative."""
    if g.op[length] == "hypot":
        return [g.mul(x, x) for x in g.args[length]]
    inside = under_root(g, length)
    terms = [] if inside is None else terms_of(g, inside)
    is_sum = all(sign > 0 and is_never_negative(g, term) for sign, term in terms)
    return [term for _, term in terms] if is_sum else []


def _apart(g: Graph, x: int, y: int) -> tuple[int, int, int]:
    """c, u and v for x = c + u and y, or -y, = c + v."""
    return common_terms(g, x, y) or common_terms(g, x, g.neg(y)) or (g.zero, x, y)
