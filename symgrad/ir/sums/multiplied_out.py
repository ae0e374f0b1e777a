"""Expressions as sums of guarded terms: products of sums multiplied out, definitions opened.

Only what holds an equality of indices is taken apart (such terms live on a diagonal, or in blocks);
everything else stays whole. Iterative: expressions and chains of definitions may be as deep as they like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjuncts


class Term(NamedTuple):
    """`value` where the `guards` hold, summed over the axes `bound`."""

    bound: tuple[Node, ...]
    guards: tuple[Node, ...]
    value: Node


class MultipliedOut:
    """Expressions as sums of guarded terms; what holds no equality of indices stays whole."""

    def __init__(self, g: Graph, rows: Sequence[Node], columns: Sequence[Node]) -> None:
        self.g = g
        self.rows, self.columns = frozenset(rows), frozenset(columns)
        self.splits: dict[Node, bool] = {}
        self.splitting: dict[TensorId, bool] = {}
        self.inside: dict[Node, list[Term]] = {}
        self.done: dict[Node, list[Term]] = {}

    def terms(self, root: Node) -> list[Term]:
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
        if g.op[n] == "mask" and any(fixes_an_axis(g, p) for p in conjuncts(g, g.args[n][0])):
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

    def _combined(self, n: Node, parts: list[Node]) -> list[Term]:
        g, op, args = self.g, self.g.op[n], self.g.args[n]
        if op == "read" and n in self.inside:
            return [
                t._replace(bound=(*loops, *t.bound), guards=_union(here, t.guards))
                for loops, here, body in self.inside[n]
                for t in self.done[body]
            ]
        if not parts:
            return [Term((), (), n)]
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

    def _guarded(self, predicate: Node, terms: list[Term]) -> list[Term]:
        parts = conjuncts(self.g, predicate)
        return [t._replace(guards=_union(t.guards, parts)) for t in terms]

    def _product(self, a: Term, b: Term) -> Term:
        """Bound axes that both have are two sums: one of them is renamed."""
        g = self.g
        names = {x: g.fresh_axis(g.extent(x)) for x in b.bound if x in a.bound}
        *guards, value = g.substitute_all((*b.guards, b.value), names)
        bound = (*a.bound, *(names.get(x, x) for x in b.bound))
        return Term(bound, _union(a.guards, guards), g.mul(a.value, value))

    def _joined(self, terms: list[Term]) -> list[Term]:
        groups: dict[tuple[tuple[Node, ...], frozenset[Node]], Term] = {}
        for t in terms:
            key = (t.bound, frozenset(t.guards))
            old = groups.get(key)
            groups[key] = t if old is None else t._replace(value=self.g.add(old.value, t.value))
        return [t for t in groups.values() if t.value != self.g.zero]

    def _read(self, n: Node) -> list[Term]:
        """What a definition says of this element, its own loops renamed."""
        g = self.g
        t, *index = g.args[n]
        tensor = g.tensors[t]
        fresh = {a: g.fresh_axis(g.extent(a)) for a in tensor.red}
        loops = tuple(fresh.values())
        if tensor.kind == "scatter":
            body, *places = g.substitute_all((tensor.body, *tensor.target), fresh)
            return [Term(loops, tuple(map(g.ieq, index, places)), body)]
        if tensor.kind == "enum":
            own = dict(zip(tensor.out, index[1:], strict=True))
            bodies = g.substitute_all(tensor.bodies, own)
            return [Term((), (g.ieq(index[0], g.const(c)),), b) for c, b in enumerate(bodies)]
        here = fresh | dict(zip(tensor.out, index, strict=True))
        return [Term(loops, (), g.substitute(tensor.body, here))]


def _linear_parts(g: Graph, n: Node) -> list[Node]:
    """The arguments of `n` in which it is linear one at a time."""
    op, args = g.op[n], g.args[n]
    if op in ("add", "sub", "mul", "neg"):
        return list(args)
    if op == "div":
        return [args[0]]
    return list(args[1:]) if op in ("mask", "where") else []


def fixes_an_axis(g: Graph, p: Node) -> bool:
    return g.op[p] == "ieq" and any(is_solvable(g, p, a) for a in g.axes[p])


def is_solvable(g: Graph, equation: Node, axis: Node) -> bool:
    """Whether the equation gives the axis as an integer expression in the others."""
    terms = g.linear(g.args[equation][0])[1]
    return abs(terms.get(axis, 0)) == 1 and not any(axis in g.axes[a] for a in terms if a != axis)


def _union(first: Sequence[Node], second: Sequence[Node]) -> tuple[Node, ...]:
    return tuple(dict.fromkeys((*first, *second)))
