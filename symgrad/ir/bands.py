"""An array that is zero but in places, as terms that live where they are not: bands.

Derivatives of sums are full of equalities of indices, `[p == q]*a(p) + [p == q + 1]*b(p)`, inside products
and behind reads of other definitions. `bands` multiplies such an expression out and solves the equalities. A
band

    result[target(loops)] += value(loops)   where guards(loops)

is a diagonal, a dense block, one block per observation of a gather (`target` then holds reads of integer
arrays), or the whole array where there is no equality to solve. Equal places may occur again: terms add up.
Structural zeros are no part of any band, so they cost nothing and are exactly 0.
Source: the delta rule of `ir.reduce`, applied to the axes of the result instead of those of a sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from symgrad.ir.bounds import Fact, facts_of, is_implied, is_nonnegative, typical
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms, conjunction, conjuncts, reduce
from symgrad.ir.structure import is_over_integers


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


class _Term(NamedTuple):
    """`value` where the `guards` hold, summed over the axes `bound`."""

    bound: tuple[Node, ...]
    guards: tuple[Node, ...]
    value: Node


def bands(g: Graph, rows: Sequence[Node], columns: Sequence[Node], body: Node) -> list[Band]:
    """`body`, over the axes `rows` and `columns` of a matrix, as bands; their targets are (*rows, *columns).

    Definitions that tie rows to columns are opened where that separates zeros from the rest.
    """
    axes = (*rows, *columns)
    made = [band for t in _Opened(g, rows, columns).terms(body) for band in _bands_of(g, axes, t)]
    return merged(g, made, axes)


def is_split(found: Sequence[Band], axes: Sequence[Node]) -> bool:
    """Whether bands over `axes` say more than that the array is dense."""
    return any(band.target != tuple(axes) for band in found)


def lower_triangle(g: Graph, band: Band) -> list[Band]:
    """The part of a band of a square matrix, rows and columns of one shape, on and below the diagonal.

    Row-major places are compared axis by axis: equal up to some axis, and larger in it.
    """
    half = len(band.target) // 2
    rows, columns = band.target[:half], band.target[half:]
    if not half:
        return [band]
    out: list[Band] = []
    for k in range(half):
        same = [g.ieq(a, b) for a, b in zip(rows[:k], columns[:k], strict=True)]
        strictly = g.const(0 if k == half - 1 else 1)
        more = (*band.guards, *same, g.ige0(g.isub(g.isub(rows[k], columns[k]), strictly)))
        out += _bands_of(g, band.target, _Term(band.loops, more, band.value))
    return out


def on_diagonal(g: Graph, axes: Sequence[Node], found: Iterable[Band]) -> Node:
    """The entries of bands of a square matrix whose row is their column, summed, over fresh `axes`."""
    total = g.zero
    for band in found:
        half = len(band.target) // 2
        parts = [
            p
            for a, row, column in zip(axes, band.target[:half], band.target[half:], strict=True)
            for p in (g.ieq(row, a), g.ieq(row, column))
        ]
        here = conjunction(g, [*parts, *band.guards])
        total = g.add(total, reduce(g, "sum", band.loops, g.mask(here, band.value)))
    return _without_whole_matrices(g, total)


def _without_whole_matrices(g: Graph, body: Node) -> Node:
    """Reads of definitions along a diagonal become expressions of their own: the rest is not computed."""
    while True:
        along = {r: g.args[r] for r in g.reads((body,)) if _is_along_a_diagonal(g, r)}
        if not along:
            return body
        made: dict[Node, Node] = {}
        for r, (t, *index) in along.items():
            tensor = g.tensors[t]
            fresh = {a: g.fresh_axis(g.extent(a)) for a in tensor.red}
            inner = g.substitute(tensor.body, fresh | dict(zip(tensor.out, index, strict=True)))
            made[r] = reduce(g, "sum", tuple(fresh.values()), inner)
        body = g.substitute(body, made)


def _is_along_a_diagonal(g: Graph, read: Node) -> bool:
    """The element of a map or sum of which two indices move together."""
    t, *index = g.args[read]
    moving = [a for i in index for a in g.axes[i]]
    return g.tensors[t].kind in ("map", "sum") and len(set(moving)) < len(moving)


def summed(g: Graph, axes: Sequence[Node], found: Iterable[Band]) -> Node:
    """The bands as one expression over `axes`: masked terms, and scatters where a target gathers."""
    total = g.zero
    for band in found:
        free = set(axes)
        if set(band.loops) <= free:
            equal = [g.ieq(a, i) for a, i in zip(axes, band.target, strict=True)]
            term = g.mask(conjunction(g, [*equal, *band.guards]), band.value)
        else:
            term = g.read(scattered(g, band, [g.extent(a) for a in axes]), *axes)
        total = g.add(total, term)
    return total


def scattered(g: Graph, band: Band, extents: Sequence[Node]) -> TensorId:
    """A band as a definition of its own."""
    body = g.mask(conjunction(g, band.guards), band.value)
    return g.define("scatter", (), band.loops, body, band.target, extents)


def merged(g: Graph, found: Iterable[Band], axes: Sequence[Node] = ()) -> list[Band]:
    """Bands with the same places are one; loops are renamed so that equal places look equal."""
    pool: dict[tuple[Node, int], Node] = {}
    values: dict[tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...]], Node] = {}
    for band in found:
        loops, target, guards, value = _renamed(g, band, frozenset(axes), pool)
        key = (loops, target, guards)
        values[key] = g.add(values.get(key, g.zero), value)
    return [Band(*key, value) for key, value in values.items() if value != g.zero]


def _renamed(
    g: Graph, band: Band, kept: frozenset[Node], pool: dict[tuple[Node, int], Node]
) -> tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...], Node]:
    """Loops that are not `kept` get names by order of appearance in the target."""
    order = dict.fromkeys(a for i in band.target for a in g.first_occurrence(i, g.axes[i]))
    order |= dict.fromkeys(band.loops)
    names: dict[Node, Node] = {}
    for a in order:
        if a in kept:
            continue
        place = (g.extent(a), sum(g.extent(b) == g.extent(a) for b in names))
        if place not in pool:
            pool[place] = g.fresh_axis(g.extent(a))
        names[a] = pool[place]
    *target, value = g.substitute_all((*band.target, band.value), names)
    guards = sorted(set(g.substitute_all(band.guards, names)), key=g.order_key)
    return tuple(names.get(a, a) for a in order), tuple(target), tuple(guards), value


# ---- multiplying out ---------------------------------------------------------------------------


class _Opened:
    """Expressions as sums of guarded terms; what holds no equality of indices stays whole."""

    def __init__(self, g: Graph, rows: Sequence[Node], columns: Sequence[Node]) -> None:
        self.g = g
        self.rows, self.columns = frozenset(rows), frozenset(columns)
        self.splits: dict[Node, bool] = {}
        self.splitting: dict[TensorId, bool] = {}
        self.inside: dict[Node, list[_Term]] = {}
        self.done: dict[Node, list[_Term]] = {}

    def terms(self, root: Node) -> list[_Term]:
        """The terms of `root`; no two of them have the same guards and bound axes."""
        stack = [root]
        while stack:
            n = stack[-1]
            if n in self.done:
                stack.pop()
                continue
            parts = self._parts(n)
            todo = [p for p in parts if p not in self.done]
            if todo:
                stack += todo
                continue
            stack.pop()
            self.done[n] = self._joined(self._combined(n, parts))
        return self.done[root]

    # ---- what is opened --------------------------------------------------------------------

    def _splits(self, n: Node) -> bool:
        """Whether an equality of indices stands in a place where `n` can be multiplied out."""
        if n not in self.splits:
            for m in self._unknown(n):
                self.splits[m] = self._splits_here(m)
        return self.splits[n]

    def _unknown(self, n: Node) -> list[Node]:
        seen: set[Node] = set()
        stack = [n]
        while stack:
            m = stack.pop()
            if m not in seen and m not in self.splits:
                seen.add(m)
                stack += _linear_parts(self.g, m)
        return sorted(seen)

    def _splits_here(self, n: Node) -> bool:
        g = self.g
        if g.op[n] == "mask" and any(_fixes_an_axis(g, p) for p in conjuncts(g, g.args[n][0])):
            return True
        if g.op[n] == "read":
            return bool(g.axes[n]) and self._definition_splits(g.args[n][0])
        return any(self.splits[c] for c in _linear_parts(g, n))

    def _definition_splits(self, t: TensorId) -> bool:
        """Definitions only read earlier ones, so going through them in order needs no recursion."""
        if t not in self.splitting:
            for s in self.g.definitions_below((t,)):
                if s not in self.splitting:
                    tensor = self.g.tensors[s]
                    inside = tensor.kind in ("map", "sum", "enum") and bool(tensor.extents)
                    self.splitting[s] = tensor.kind == "scatter" or (
                        inside and (tensor.kind == "enum" or any(map(self._splits, tensor.bodies)))
                    )
        return self.splitting[t]

    def _is_opened(self, n: Node) -> bool:
        """A read that ties together rows, columns and bound axes: two of the three."""
        g = self.g
        if not self._splits(n):
            return False
        mine = g.axes[n]
        return bool(mine & self.rows) + bool(mine & self.columns) + bool(mine - self.rows - self.columns) > 1

    # ---- terms -----------------------------------------------------------------------------

    def _parts(self, n: Node) -> list[Node]:
        """The nodes whose terms make the terms of `n`; none for one that stays whole."""
        if not self._splits(n):
            return []
        if self.g.op[n] != "read":
            return _linear_parts(self.g, n)
        if not self._is_opened(n):
            return []
        if n not in self.inside:
            self.inside[n] = self._read(n)
        return [body for _, _, body in self.inside[n]]

    def _combined(self, n: Node, parts: list[Node]) -> list[_Term]:
        g, op, args = self.g, self.g.op[n], self.g.args[n]
        if op == "read" and n in self.inside:
            return [
                t._replace(bound=(*loops, *t.bound), guards=_union(here, t.guards))
                for loops, here, body in self.inside[n]
                for t in self.done[body]
            ]
        if not parts:
            return [_Term((), (), n)]
        each = [self.done[p] for p in parts]
        if op == "mask":
            return self._guarded(args[0], each[0])
        if op == "where":
            return self._guarded(args[0], each[0]) + self._guarded(g.node("not", args[0]), each[1])
        if op == "mul":
            return [self._product(a, b) for a in each[0] for b in each[1]]
        if op == "div":
            return [t._replace(value=g.div(t.value, args[1])) for t in each[0]]
        minus = [t._replace(value=g.neg(t.value)) for t in each[-1]] if op in ("sub", "neg") else each[-1]
        return minus if op == "neg" else each[0] + minus

    def _guarded(self, predicate: Node, terms: list[_Term]) -> list[_Term]:
        parts = conjuncts(self.g, predicate)
        return [t._replace(guards=_union(t.guards, parts)) for t in terms]

    def _product(self, a: _Term, b: _Term) -> _Term:
        """Bound axes that both have are two sums: one of them is renamed."""
        g = self.g
        names = {x: g.fresh_axis(g.extent(x)) for x in b.bound if x in a.bound}
        *guards, value = g.substitute_all((*b.guards, b.value), names)
        bound = (*a.bound, *(names.get(x, x) for x in b.bound))
        return _Term(bound, _union(a.guards, guards), g.mul(a.value, value))

    def _joined(self, terms: list[_Term]) -> list[_Term]:
        groups: dict[tuple[tuple[Node, ...], frozenset[Node]], _Term] = {}
        for t in terms:
            key = (t.bound, frozenset(t.guards))
            old = groups.get(key)
            groups[key] = t if old is None else t._replace(value=self.g.add(old.value, t.value))
        return [t for t in groups.values() if t.value != self.g.zero]

    def _read(self, n: Node) -> list[_Term]:
        """What a definition says of this element, its own loops renamed."""
        g = self.g
        t, *index = g.args[n]
        tensor = g.tensors[t]
        fresh = {a: g.fresh_axis(g.extent(a)) for a in tensor.red}
        loops = tuple(fresh.values())
        if tensor.kind == "scatter":
            body, *places = g.substitute_all((tensor.body, *tensor.target), fresh)
            return [_Term(loops, tuple(map(g.ieq, index, places)), body)]
        if tensor.kind == "enum":
            own = dict(zip(tensor.out, index[1:], strict=True))
            bodies = g.substitute_all(tensor.bodies, own)
            return [_Term((), (g.ieq(index[0], g.const(c)),), b) for c, b in enumerate(bodies)]
        here = fresh | dict(zip(tensor.out, index, strict=True))
        return [_Term(loops, (), g.substitute(tensor.body, here))]


def _linear_parts(g: Graph, n: Node) -> list[Node]:
    """The arguments of `n` in which it is linear one at a time."""
    op, args = g.op[n], g.args[n]
    if op in ("add", "sub", "mul", "neg"):
        return list(args)
    if op == "div":
        return [args[0]]
    return list(args[1:]) if op in ("mask", "where") else []


def _fixes_an_axis(g: Graph, p: Node) -> bool:
    return g.op[p] == "ieq" and any(_solvable(g, p, a) for a in g.axes[p])


def _solvable(g: Graph, equation: Node, axis: Node) -> bool:
    """Whether the equation gives the axis as an integer expression in the others."""
    terms = g.linear(g.args[equation][0])[1]
    return abs(terms.get(axis, 0)) == 1 and not any(axis in g.axes[a] for a in terms if a != axis)


def _union(first: Sequence[Node], second: Sequence[Node]) -> tuple[Node, ...]:
    return tuple(dict.fromkeys((*first, *second)))


# ---- solving -----------------------------------------------------------------------------------


def _bands_of(g: Graph, target: tuple[Node, ...], term: _Term, fixed: Node | None = None) -> list[Band]:
    """A term with its equalities solved, though not for `fixed`; nothing where its guards contradict."""
    loops = set(term.bound) | {a for i in target for a in g.axes[i]}
    guards, value = list(term.guards), term.value
    while (best := _equality_to_solve(g, loops - {fixed}, guards)) is not None:
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
        if _solvable(g, p, axis)
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


def masked_bands(
    g: Graph, axes: Sequence[Node], body: Node, fixed: Node | None = None
) -> tuple[list[tuple[int, Node]], list[Band]]:
    """(the dense signed terms, the rest as bands) of a body over `axes` whose terms are masked already.

    fixed  one of the axes that is not solved for.
    """
    dense: list[tuple[int, Node]] = []
    found: list[Band] = []
    for sign, term in additive_terms(g, body):
        parts = conjuncts(g, g.args[term][0]) if g.op[term] == "mask" else []
        if any(g.op[p] == "ieq" and _solvable(g, p, a) for p in parts for a in g.axes[p] - {fixed}):
            inner = g.args[term][1]
            whole = _Term((), tuple(parts), inner if sign > 0 else g.neg(inner))
            found += _bands_of(g, tuple(axes), whole, fixed)
        else:
            dense.append((sign, term))
    return dense, found
