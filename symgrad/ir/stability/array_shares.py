"""Scores at fixed places of a sum of exponentials over an axis, and what the others are.

The share of such a score is that of a few which are written out, the logarithm of the sum of all others being
one of them: its derivatives are products of shares then.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING

from symgrad.ir.places import places_of
from symgrad.ir.stability.patterns import negatives
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph, TensorId


@dataclass(frozen=True)
class ArrayShare:
    """x - L: the log-sum-exp L, where it is read, and at which of its axes x stands."""

    total: TensorId
    index: tuple[int, ...]
    place: tuple[int, ...]


def is_over_axis(g: Graph, node: int) -> bool:
    """Whether a node is the logarithm of a sum of exponentials over an axis."""
    return bool(g.op[node] == "read" and g.tensors[g.args[node][0]].kind == "logsumexp")


def array_share(g: Graph, node: int) -> ArrayShare | None:
    """Of x - L, and of -(L + y) where x is -y."""
    is_opposite = g.op[node] == "neg" and g.op[g.args[node][0]] == "add"
    if not is_opposite and g.op[node] != "sub":
        return None
    sides = g.args[g.args[node][0]] if is_opposite else g.args[node]
    for total, x in (sides[::-1], sides) if is_opposite else (sides[::-1],):
        if is_over_axis(g, total):
            t, *index = g.args[total]
            known = dict(zip(g.tensors[t].out, index, strict=True))
            for exponent in negatives(g, x) if is_opposite else (x,):
                place = places_of(g, g.tensors[t].body, known, g.tensors[t].red, exponent)
                if place is not None:
                    return ArrayShare(t, tuple(index), place)
    return None


def score_at(g: Graph, share: ArrayShare, place: Sequence[int]) -> int:
    """The x at a place of the axes that are summed over."""
    tensor = g.tensors[share.total]
    places = zip((*tensor.out, *tensor.red), (*share.index, *place), strict=True)
    return g.substitute(tensor.body, dict(places))


def log_sum_of_others(g: Graph, shares: Sequence[ArrayShare]) -> int | None:
    """log of the sum of all exp(x) but these of one sum; None if it had to be summed up for each of many."""
    first = shares[0]
    tensor, outside = g.tensors[first.total], frozenset[int]().union(*(g.axes[i] for i in first.index))
    if any(not g.axes[i] <= outside for share in shares for i in share.place):
        return None
    known = dict(zip(tensor.out, first.index, strict=True))
    axes = [g.fresh_axis(g.substitute(g.extent(k), known)) for k in tensor.red]

    def is_at(share: ArrayShare) -> int:
        return reduce(partial(g.node, "and"), [g.ieq(k, p) for k, p in zip(axes, share.place, strict=True)])

    is_left_out = reduce(partial(g.node, "or"), map(is_at, shares))
    others = g.where(is_left_out, g.const(float("-inf")), score_at(g, first, axes))
    out = g.first_occurrence(others, g.axes[others] - frozenset(axes))
    return g.read(g.define("logsumexp", out, axes, others), *out)
