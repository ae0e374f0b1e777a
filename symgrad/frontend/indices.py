"""Indices that are affine in pieces: `Mod` for periodic arrays, `Max` and `Min` for clamped ones, `Abs`.

Each becomes a few affine indices, each under the predicate where it holds, so that the element is a
sum of masked reads and its derivative needs no scatter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING

import sympy as sp

from symgrad.errors import UnsupportedExpression
from symgrad.frontend.describe import index_text, show
from symgrad.frontend.heads import Expr, Task, each
from symgrad.ir.bounds import is_nonnegative
from symgrad.ir.graph import Graph, Node

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator

Case = tuple[Node, Node]  # (predicate, index where it holds)


def each_case(tr: Translator, indices: Sequence[Expr], e: Expr) -> Task:
    """Task: the cases of every index of the element `e`."""
    return each(_cases(tr, index, e) for index in indices)


def by_cases(g: Graph, places: Sequence[Sequence[Case]], element: Callable[[Sequence[Node]], Node]) -> Node:
    """The element at indices given by cases: the sum over all combinations, each under its predicates."""
    total = g.zero
    for combination in product(*places):
        predicate = g.true
        for p, _ in combination:
            predicate = g.node("and", predicate, p)
        total = g.add(total, g.mask(predicate, element([i for _, i in combination])))
    return total


def _cases(tr: Translator, index: Expr, e: Expr) -> Task:
    g = tr.graph
    if not isinstance(index, (sp.Mod, sp.Max, sp.Min, sp.Abs)):
        return [(g.true, (yield tr.integer(index, "an index", e)))]
    parts = yield each(tr.integer(a, "an index", e) for a in index._args)
    if isinstance(index, sp.Mod):
        return _remainder_cases(g, parts[0], parts[1], index, e)
    if isinstance(index, sp.Abs):
        parts = [parts[0], g.iscale(parts[0], -1)]
    sign = -1 if isinstance(index, sp.Min) else 1
    return _greatest_cases(g, parts, sign)


def _greatest_cases(g: Graph, parts: Sequence[Node], sign: int) -> list[Case]:
    """Cases of the largest (sign 1) or smallest (sign -1) of integers; a tie goes to the earlier."""
    cases: list[Case] = [(g.true, parts[0])]
    for b in parts[1:]:
        kept, wins = [], g.true
        for p, a in cases:
            stays = g.ige0(g.iscale(g.isub(a, b), sign))
            kept.append((g.node("and", p, stays), a))
            wins = g.node("and", wins, g.node("not", g.node("and", p, stays)))
        cases = [*kept, (wins, b)]
    return cases


def _remainder_cases(g: Graph, a: Node, n: Node, index: Expr, e: Expr) -> list[Case]:
    """Cases of a mod n for an `a` that provably lies within one period of 0..n-1 on either side."""
    below, above = not is_nonnegative(g, a), not is_nonnegative(g, _before(g, n, a))
    fits = is_nonnegative(g, g.iadd(a, n)) and is_nonnegative(g, _before(g, g.iscale(n, 2), a))
    if not fits:
        raise UnsupportedExpression(
            f"the index {show(index)}",
            where=show(e),
            because=f"{index_text(g, a)} is not seen to lie between -{index_text(g, n)} and "
            f"2*{index_text(g, n)} - 1",
            try_="an offset of a constant number of places from an index of that range",
        )
    inside, cases = g.true, []
    if below:
        inside = g.ige0(a)
        cases.append((g.node("not", g.ige0(a)), g.iadd(a, n)))
    if above:
        inside = g.node("and", inside, g.ige0(_before(g, n, a)))
        cases.append((g.ige0(g.isub(a, n)), g.isub(a, n)))
    return [(inside, a), *cases]


def _before(g: Graph, end: Node, a: Node) -> Node:
    """end - 1 - a, not negative where a < end."""
    return g.iadd(g.isub(end, a), g.const(-1))
