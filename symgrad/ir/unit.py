"""A unit: everything one kernel computes, as tensors of one graph."""

from __future__ import annotations

from symgrad.ir.graph import Graph, TensorId
from symgrad.records import dataclass


@dataclass(frozen=True)
class Mirror:
    """`tensor` is `source` with its first `split` axes moved last: T[q, p] = S[p, q].

    A tensor that is its own source is symmetric.
    """

    tensor: TensorId
    source: TensorId
    split: int


@dataclass(frozen=True)
class Few:
    """What a unit is where a size is small: the same inputs and outputs, other layouts (`opt.few`)."""

    size: str
    unit: Unit


@dataclass(frozen=True)
class Unit:
    """Inputs and outputs in call order, by the names the user knows them by.

    Several outputs may be one tensor; stages work on the distinct ones. `mirrors` are equalities of outputs
    that are known from theory (`opt.mirror` uses them). `few` is made by the last stage that asks for it.
    """

    graph: Graph
    inputs: tuple[tuple[str, TensorId], ...]
    outputs: tuple[tuple[str, TensorId], ...]
    mirrors: tuple[Mirror, ...] = ()
    few: Few | None = None

    @property
    def roots(self) -> list[TensorId]:
        """The distinct output tensors."""
        return list(dict.fromkeys(t for _, t in self.outputs))

    def moved(self, graph: Graph, tensors: dict[TensorId, TensorId]) -> Unit:
        """The same unit after a pass that copied the graph. Unused inputs keep their place."""

        def input_of(name: str, t: TensorId) -> TensorId:
            if t in tensors:
                return tensors[t]
            old = self.graph.tensors[t]
            extents = [_copied(self.graph, graph, e) for e in old.extents]
            return graph.input(old.name, extents, old.dtype)

        return Unit(
            graph,
            tuple((n, input_of(n, t)) for n, t in self.inputs),
            tuple((n, tensors[t]) for n, t in self.outputs),
            tuple(Mirror(tensors[m.tensor], tensors[m.source], m.split) for m in self.mirrors),
        )


def _copied(old: Graph, new: Graph, extent: int) -> int:
    """An extent (a polynomial in sizes) in another graph."""
    constant, terms = old.linear(extent)
    total = new.const(constant)
    for atom, k in terms.items():
        op, args = old.op[atom], old.args[atom]
        if op == "size":
            made = new.size(args[0])
        else:
            made = new.imul(_copied(old, new, args[0]), _copied(old, new, args[1]))
        total = new.iadd(total, made, k)
    return total
