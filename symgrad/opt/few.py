"""Sizes that may be few: whether a program pays for a second layout then.

A row of few numbers is no vector, and a loop over it takes longer to begin than to run. Layouts are chosen
for sizes that are typical. Where one size, if it were few, would have other layouts whose loops cost clearly
less, the program is lowered twice, and the kernel chooses by that size when it runs (`loops.few`). Sizes with
a hint are what they are, and a program has one such size at most: the one that gains most.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.tensor import SCANS
from symgrad.ir.unit import Few, Unit
from symgrad.opt.layout import Layout
from symgrad.opt.rebuild import copy_with

_FEW = 2  # what a size counts as then
_DEARER = 1.3  # so much more the loops of the layouts for many have to cost
_MOST_NODES = 2_000  # of a program that may be compiled twice
_ONCE = frozenset(("call", "state", *SCANS))  # kinds whose loops over time and failures a routine has once


def for_few(unit: Unit) -> Few | None:
    """The unit as it is where one of its sizes is few, still without layouts; None if it gains nothing."""
    size = _size_to_choose_by(unit.graph, unit.roots)
    if size is None:
        return None
    graph, moved = copy_with(unit.graph, unit.roots)
    graph.hints[size] = _FEW
    return Few(size, unit.moved(graph, moved))


def _size_to_choose_by(g: Graph, roots: Sequence[TensorId]) -> str | None:
    """The size without a hint whose few gain most; None if there is no such size, or they gain too little."""
    if len(g.op) > _MOST_NODES or "size" not in g.op:
        return None
    sizes = [s for s in dict.fromkeys(g.args[n][0] for n, op in enumerate(g.op) if op == "size")
             if s not in g.hints]  # fmt: skip
    is_twice = _ONCE.isdisjoint(g.tensors[t].kind for t in g.definitions_below(roots))
    many = Layout(g, roots)
    if not sizes or not is_twice or not many.movable:
        return None
    many.orders()
    known, gains = g.hints, {}
    for size in sizes:
        g.hints = {**known, size: _FEW}
        gains[size] = _gain(g, roots, many)
    g.hints = known
    best = max(gains, key=lambda size: gains[size])
    return best if gains[best] >= _DEARER else None


def _gain(g: Graph, roots: Sequence[TensorId], many: Layout) -> float:
    """What the loops cost with the layouts for many, over what they do with their own.

    No search where even the best order of every array would not gain enough.
    """
    search = Layout(g, roots)
    search.choose(many.last)
    before = search.walking()
    if before >= _DEARER * search.least_walking():
        search.orders()
    return before / max(search.walking(), 1.0)
