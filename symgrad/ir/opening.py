"""Expressions in inputs become expressions in values over further axes, with all definitions on the way.

So the step of a recurrence, written with inputs in the place of its states, becomes a step at all times. A
recurrence in that step runs over the time of the one around as well: an axis of its states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.scan import (
    ReadRule,
    Scan,
    close_scan,
    dependents,
    frontier,
    has_place,
    is_scan,
    new_state,
    scan_of,
)


def opened(g: Graph, body: Node, rules: Mapping[TensorId, ReadRule], axes: Sequence[Node]) -> Node:
    """`body` with reads of inputs replaced by values over further `axes`.

    Definitions on the way are made again with those of the axes in front that they then depend on (behind
    their time, if they are recurrences). An axis of theirs that is one of those wherever they are read is
    that one: `A[t, j]*state[j]` has one time, not two.
    """
    return _Opening(g, body, rules, axes).replaced((body,))[0]


class _Opening:
    """One call of `opened`."""

    def __init__(
        self, g: Graph, body: Node, rules: Mapping[TensorId, ReadRule], axes: Sequence[Node]
    ) -> None:
        self.g, self.axes = g, axes
        self.rules = dict(rules)  # of what is replaced, and of what was made again
        roots = [g.args[r][0] for r in g.reads((body,))]
        order = dependents(g, roots, rules)
        self.tied = _tied(g, body, roots, rules, axes)
        for t in order:
            if not is_scan(g, t):
                self._definition(t)
            elif t not in self.rules:
                self._scan(scan_of(g, t))

    def replaced(self, nodes: Sequence[Node]) -> list[Node]:
        g = self.g
        changes: dict[Node, Node] = {}
        for r in g.reads(nodes):  # those in the indices of others first
            t, *index = g.args[r]
            if t in self.rules:
                changes[r] = self.rules[t](tuple(g.substitute_all(index, changes)))
        return g.substitute_all(nodes, changes)

    def _definition(self, t: TensorId) -> None:
        g, tensor, split = self.g, self.g.tensors[t], _first_place(self.g, t)
        tied = {tensor.out[p - split]: a for p, a in self.tied[t].items()}
        own = {a: g.fresh_axis(g.extent(a)) for a in (*tensor.out, *tensor.red)} | tied
        nodes = self.replaced(g.substitute_all((*tensor.bodies, *tensor.target), own))
        count = len(tensor.bodies)
        more = tuple(a for a in self.axes if any(a in g.axes[n] for n in nodes))
        out = [own[a] for a in tensor.out if a not in tied]
        red = [own[a] for a in tensor.red]
        if tensor.kind == "scatter":
            extents = (*(g.extent(a) for a in more), *tensor.extents)
            new = g.define("scatter", (), (*red, *more), nodes[:count], (*more, *nodes[count:]), extents)
        else:
            new = g.define(tensor.kind, (*more, *out), red, nodes[:count], name=tensor.name)
        self._made(t, new, more, split)

    def _made(self, t: TensorId, new: TensorId, more: Sequence[Node], split: int) -> None:
        """Reads of `t` are reads of `new` from now on."""
        g, tied = self.g, self.tied[t]

        def rule(index: tuple[Node, ...]) -> Node:
            rest = [i for p, i in enumerate(index) if p >= split and p not in tied]
            return g.read(new, *index[:split], *more, *rest)

        self.rules[t] = rule

    def _scan(self, scan: Scan) -> None:
        """All trajectories of a recurrence, over the axes that anything it reads depends on."""
        g, tied = self.g, self.tied[scan.results[0]]
        used = set(tied.values())
        for t in frontier(g, scan):
            if t in self.rules:
                used |= g.axes[self.rules[t](tuple(g.fresh_axis(e) for e in g.tensors[t].extents))]
        more = tuple(a for a in self.axes if a in used)
        inside = _Inside(g, scan, self.rules, self.axes, more, tied)
        firsts = [inside.part(t, 1) for t in scan.firsts]
        steps = [inside.part(t, 0) for t in scan.steps]
        for t, new in zip(scan.results, close_scan(g, inside.states, firsts, steps, scan.lag), strict=True):
            self._made(t, new, more, 1)


class _Inside:
    """The parts of a recurrence over further axes."""

    def __init__(
        self, g: Graph, scan: Scan, rules: Mapping[TensorId, ReadRule], axes: Sequence[Node],
        more: Sequence[Node], tied: Mapping[int, Node],
    ) -> None:  # fmt: skip
        self.g, self.axes, self.more, self.tied = g, axes, more, tied
        self.states, self.rules = [], dict(rules)
        for s in scan.states:
            own = [e for p, e in enumerate(g.tensors[s].extents) if p and p not in tied]
            state = new_state(g, scan.length, (*(g.extent(a) for a in more), *own))
            self.states.append(state)
            self.rules[s] = self._read_of(state)

    def _read_of(self, state: TensorId) -> ReadRule:
        def rule(index: tuple[Node, ...]) -> Node:
            rest = [i for p, i in enumerate(index) if p and p not in self.tied]
            return self.g.read(state, index[0], *self.more, *rest)

        return rule

    def part(self, t: TensorId, left_out: int) -> TensorId:
        """A first value, which has no time (1 place is left out), or a step."""
        g, places = self.g, range(left_out, left_out + self.g.tensors[t].rank)
        index = [
            self.tied.get(p) or g.fresh_axis(e) for p, e in zip(places, g.tensors[t].extents, strict=True)
        ]
        own = [a for p, a in zip(places, index, strict=True) if p not in self.tied]
        clock, rest = own[: 1 - left_out], own[1 - left_out :]
        body = opened(g, g.read(t, *index), self.rules, self.axes)
        return g.define("map", (*clock, *self.more, *rest), (), body)


def _tied(
    g: Graph, body: Node, roots: Sequence[TensorId], rules: Iterable[TensorId], axes: Sequence[Node]
) -> dict[TensorId, dict[int, Node]]:
    """For each definition, the places of its axes that every read of it has at one of `axes`.

    roots  what `body` reads. Definitions in the steps of recurrences are among them.
    """
    below = g.definitions_below(roots)
    states = [s for t in below for s in g.tensors[t].links[0::3]]
    order = list(_depending(g, below, {*rules, *states}))
    tied: dict[TensorId, dict[int, Node]] = {t: {} for t in order}
    seen: set[TensorId] = set()

    def meet(t: TensorId, index: Iterable[Node], names: Mapping[Node, Node]) -> None:
        if t in tied:
            here = {p: names.get(i, i) for p, i in enumerate(index) if names.get(i, i) in axes}
            here = {p: a for p, a in here.items() if _can_be_tied(g, t, p)}
            known = tied[t].items() if t in seen else here.items()
            tied[t] = {p: a for p, a in known if here.get(p) == a}
        seen.add(t)

    def meet_all(nodes: Sequence[Node], names: Mapping[Node, Node]) -> None:
        for r in g.reads(nodes):
            meet(g.args[r][0], g.args[r][1:], names)

    meet_all((body,), {})
    for t in reversed(order):
        tensor = g.tensors[t]
        if not is_scan(g, t):
            names = {tensor.out[p - _first_place(g, t)]: a for p, a in tied[t].items()}
            meet_all((*tensor.bodies, *tensor.target), names)
            continue
        scan = scan_of(g, t)
        if t != min(r for r in scan.results if r in tied):
            continue
        common = _common([tied[r] for r in scan.results if r in seen])
        common = {p: a for p, a in common.items() if has_place(g, scan, p)}
        tied.update(dict.fromkeys(scan.results, common))
        for part, left_out in (*((f, 1) for f in scan.firsts), *((s, 0) for s in scan.steps)):
            places = range(left_out, left_out + g.tensors[part].rank)
            meet(part, (common.get(p, g.zero) for p in places), {})
    return tied


def _common(parts: Sequence[Mapping[int, Node]]) -> dict[int, Node]:
    """What all of them say."""
    first, *rest = parts
    return {p: a for p, a in first.items() if all(part.get(p) == a for part in rest)}


def _can_be_tied(g: Graph, t: TensorId, place: int) -> bool:
    tensor = g.tensors[t]
    if tensor.kind == "call":
        return place < len(tensor.out) - len(MATRIX_FUNCTIONS[tensor.name].result)
    return tensor.kind != "scatter" and place >= _first_place(g, t)


def _first_place(g: Graph, t: TensorId) -> int:
    """The first place in a read that an axis of its own may be at: behind the entry, or the time."""
    return 1 if g.tensors[t].kind == "enum" or is_scan(g, t) else 0


def _depending(g: Graph, tensors: Iterable[TensorId], sources: Iterable[TensorId]) -> Iterable[TensorId]:
    """Those of `tensors`, ascending, that are made of some others, also inside of recurrences."""
    found = set(sources)
    for t in tensors:
        if t not in found and any(s in found for s in g.sources_of(t)):
            found.add(t)
            yield t
