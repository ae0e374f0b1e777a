"""What the loop of a recurrence computes on the way, and other definitions need afterwards for all times.

A definition of a step, with the trajectories in the place of the states, is that definition at all times.
Where something outside needs it, the loop stores its values there as it goes: nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import permutations

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.scan import Scan, is_scan
from symgrad.records import dataclass

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


def places(
    g: Graph, images: Mapping[TensorId, TensorId], scope: Iterable[TensorId], wanted: set[TensorId]
) -> dict[TensorId, Record]:
    """The definitions of a step that are asked for at all times, each with its place.

    images  of each definition of the step, the same for all times.
    scope   the definitions around the recurrence.
    wanted  those that are asked for; what has a place is taken out.
    """
    calls = [t for t in (*scope, *images) if g.tensors[t].kind == "call"]
    operands = {s for t in calls for s in g.sources_of(t)}
    found: dict[TensorId, Record] = {}
    for t, image in images.items():
        record = _place(g, image, wanted)
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


def _place(g: Graph, image: TensorId, wanted: Collection[TensorId]) -> Record | None:
    """The tensor among `wanted` that is `image` but for the order of its axes."""
    tensor = g.tensors[image]
    rank = len(tensor.extents)
    same = tuple(range(rank))
    if is_scan(g, image):
        return Record(image, same) if image in wanted else None
    movable = tensor.kind in _PERMUTED and rank <= _MOST_AXES
    for order in permutations(same) if movable else (same,):
        out = [tensor.out[p] for p in order] if movable else tensor.out
        t = g.define(tensor.kind, out, tensor.red, tensor.bodies, tensor.target, tensor.extents, tensor.name)
        if t in wanted:
            return Record(t, order)
    return None
