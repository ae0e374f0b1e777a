"""Equalities of indices solved: a guarded term becomes the loops it lives in, and its place in them.

    sum over (p, q, k) of [p == k + 1, q == a[k]] v(k) at (p, q)   is   v(k) at (k + 1, a[k]), over k

with guards where a place may lie outside; nothing where the guards contradict each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set

from symgrad.ir.bounds import Fact, facts_of, is_implied, is_nonnegative, typical
from symgrad.ir.graph import Graph, Node
from symgrad.ir.reduce import conjunction, conjuncts, reduce
from symgrad.ir.sums.multiplied_out import Term, is_solvable
from symgrad.ir.sums.structure import is_over_integers
from symgrad.records import dataclass


@dataclass(frozen=True)
class Band:
    """`result[target] += value` for all values of `loops` for which the `guards` hold.

    target  one index per axis of the result, over `loops`.
    guards  predicates over integers: loops, sizes, and entries of integer arrays.
    """

    loops: tuple[Node, ...]
    target: tuple[Node, ...]
    guards: tuple[Node, ...]
    value: Node


def bands_of(g: Graph, target: tuple[Node, ...], term: Term, fixed: Collection[Node] = ()) -> list[Band]:
    """A term with its equalities solved, though not for `fixed`; nothing where its guards contradict."""
    loops = set(term.bound) | {a for i in target for a in g.axes[i]}
    guards, value = list(term.guards), term.value
    while (best := _equality_to_solve(g, loops.difference(fixed), guards)) is not None:
        equation, axis = best
        place = _solution(g, equation, axis)
        last = g.iadd(g.extent(axis), g.const(-1))
        limits = [g.ige0(i) for i in (place, g.isub(last, place)) if not is_nonnegative(g, i)]
        rest = [p for p in guards if p != equation] + limits
        moved = g.substitute_all((*rest, value, *target), {axis: place})
        guards, value, target = moved[: len(rest)], moved[len(rest)], tuple(moved[len(rest) + 1 :])
        loops.discard(axis)
    simple = _simplified(g, guards)
    if simple is None or value == g.zero:
        return []
    return _without_inner_sums(g, target, loops, simple, value)


def _without_inner_sums(
    g: Graph, target: tuple[Node, ...], loops: set[Node], guards: list[Node], value: Node
) -> list[Band]:
    """Loops that no place depends on are a sum inside the value."""
    outer = frozenset().union(*(g.axes[i] for i in target))
    inner = sorted(loops - outer, key=g.order_key)
    if inner:
        value = reduce(g, "sum", inner, g.mask(conjunction(g, guards), value))
        if value == g.zero:
            return []
        is_masked = g.op[value] == "mask"
        guards, value = (conjuncts(g, g.args[value][0]), g.args[value][1]) if is_masked else ([], value)
    on_integers = [p for p in guards if is_over_integers(g, p)]
    value = g.mask(conjunction(g, [p for p in guards if p not in on_integers]), value)
    return [Band(tuple(sorted(loops & outer)), target, tuple(on_integers), value)]


def _equality_to_solve(g: Graph, loops: Set[Node | None], guards: Sequence[Node]) -> tuple[Node, Node] | None:
    """An equality and the loop it removes: the longest; among equals the last made, so that rows stay."""
    found = [
        (typical(g, g.extent(axis)), axis, p)
        for p in guards
        if g.op[p] == "ieq"
        for axis in g.axes[p] & loops
        if is_solvable(g, p, axis)
    ]
    if not found:
        return None
    _, axis, p = max(found, key=lambda item: (item[0], g.args[item[1]][0]))
    return p, axis


def _solution(g: Graph, equation: Node, axis: Node) -> Node:
    index = g.args[equation][0]
    k = g.linear(index)[1][axis]
    return g.iscale(g.isub(index, g.iscale(axis, k)), -k)  # k is 1 or -1, so 1/k = k


def _simplified(g: Graph, guards: Sequence[Node]) -> list[Node] | None:
    """The guards without those that always hold or follow from another; None if they never all hold."""
    left = list(dict.fromkeys(q for p in guards for q in conjuncts(g, p)))
    known = {p: facts_of(g, p) for p in left if g.op[p] in ("ige", "ieq")}
    out: list[Node] = []
    for p in left:
        mine = known.pop(p, None)
        others = [f for facts in known.values() for f in facts]
        p = _under(g, p, others)
        if p == g.false:
            return None
        if p != g.true:
            out.append(p)
            if mine is not None:
                known[p] = mine
    return out


def _under(g: Graph, p: Node, facts: Sequence[Fact]) -> Node:
    """A predicate where the facts hold: true, false, or what is left of it."""
    if g.op[p] != "not":
        return _decided(g, p, facts) or p
    parts = [_decided(g, q, facts) or q for q in conjuncts(g, g.args[p][0])]
    return g.node("not", conjunction(g, parts))


def _decided(g: Graph, p: Node, facts: Sequence[Fact]) -> Node | None:
    """True or false where the facts say which."""
    if g.op[p] != "ige":
        return None
    index = g.args[p][0]
    if is_implied(g, index, facts):
        return g.true
    return g.false if is_implied(g, g.isub(g.const(-1), index), facts) else None
