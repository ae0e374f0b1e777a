"""What the loop of a recurrence computes on the way, and other definitions need afterwards for all times.

A definition of a step, with the trajectories in the place of the states, is that definition at all times.
Where something outside needs it, the loop stores its values there as it goes: nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import permutations

from symgrad.ir.graph import Graph, Node, Tensor, TensorId
from symgrad.ir.scan import Scan, is_scan, rebuilt, same_place

_MOST_AXES = 4  # of definitions whose axes are tried in every order
_PERMUTED = ("map", "sum", "prod", "max", "min")


@dataclass(frozen=True)
class Record:
    """Where a definition of a step goes: axis k of `tensor` is its axis order[k]."""

    tensor: TensorId
    order: tuple[int, ...]

    @property
    def is_moved(self) -> bool:
        """Whether the axes have another order there."""
        return list(self.order) != sorted(self.order)


def records(g: Graph, scan: Scan, needed: Collection[TensorId]) -> dict[TensorId, Record]:
    """The definitions of the steps of a scan that `needed` asks for at all times, each with its place."""
    wanted = {t for t in needed if not is_scan(g, t)}
    results = {s: same_place(g, r) for s, r in zip(scan.states, scan.results, strict=True)}
    images = rebuilt(g, scan.steps, results)
    calls = [t for t in (*needed, *images) if g.tensors[t].kind == "call"]
    operands = {s for t in calls for s in g.sources_of(t)}
    found: dict[TensorId, Record] = {}
    for t, image in images.items():
        record = _place(g, g.tensors[image], wanted)
        # Matrices lie as their calls expect: rows, then columns.
        if record is not None and not (record.is_moved and operands & {t, record.tensor}):
            wanted.discard(record.tensor)
            found[t] = record
    return found


def last_states(
    g: Graph, scans: Iterable[Scan], tensors: Iterable[TensorId], outputs: Collection[TensorId]
) -> set[TensorId]:
    """The trajectories of scans of which nothing but the last states is read: one time is stored."""
    elsewhere = set(outputs)
    times: dict[TensorId, set[Node]] = {}
    for t in tensors:
        elsewhere.update(g.tensors[t].links)
        for read in g.reads_of(t):
            s, *index = g.args[read]
            if is_scan(g, s):
                times.setdefault(s, set()).add(index[0])
    found: set[TensorId] = set()
    for scan in scans:
        end = {g.zero if scan.lag else scan.length}
        found.update(r for r in scan.results if r not in elsewhere and times.get(r, end) == end)
    return found


def _place(g: Graph, tensor: Tensor, wanted: Collection[TensorId]) -> Record | None:
    """The tensor among `wanted` that is `tensor` but for the order of its axes."""
    rank = len(tensor.extents)
    same = tuple(range(rank))
    movable = tensor.kind in _PERMUTED and rank <= _MOST_AXES
    for order in permutations(same) if movable else (same,):
        out = [tensor.out[p] for p in order] if movable else tensor.out
        t = g.define(tensor.kind, out, tensor.red, tensor.bodies, tensor.target, tensor.extents, tensor.name)
        if t in wanted:
            return Record(t, order)
    return None
