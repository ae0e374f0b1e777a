"""Operation counts of definitions, before any schedule: what a program costs on paper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import prod

import numpy as np

from symgrad.ir.evaluate import evaluate_size
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import conjuncts
from symgrad.ir.running import running_form
from symgrad.ir.tensor import Tensor

_FREE = frozenset(("cast", "and", "or", "not", "mask", "where", "lt", "le", "eq", "ne"))


def operations(g: Graph, roots: Sequence[TensorId], sizes: Mapping[str, int]) -> int:
    """Arithmetic operations and function calls needed for `roots`.

    Each distinct value counts once per point of its own axes where its index conditions hold, also
    when several definitions need it: whether it is stored or computed again is the schedule's
    choice. A reduction counts one more per point of its loops. Selections and predicates choose,
    they do not compute: not counted.
    """
    return round(sum(operations_by_name(g, roots, sizes).values()))


def operations_by_name(g: Graph, roots: Sequence[TensorId], sizes: Mapping[str, int]) -> dict[str, float]:
    """The same, apart for each op; reductions and matrix functions under their own names."""
    found: dict[str, float] = defaultdict(float)
    points: dict[Node, float] = {}
    for t in g.definitions_below(roots):
        tensor = g.tensors[t]
        if tensor.kind != "input":
            found[tensor.name if tensor.kind == "call" else tensor.kind] += _Counter(
                g, tensor, sizes, points
            ).run()
    for n, count in points.items():
        found[g.op[n]] += count
    return {name: count for name, count in found.items() if count}


def operations_below(g: Graph, roots: Iterable[Node]) -> int:
    """Arithmetic operations and function calls of scalar nodes, each distinct value counted once."""
    counted = (n for n in g.reachable(roots) if g.kind[n] == "real" and g.op[n] in OPS)
    return sum(g.op[n] not in _FREE for n in counted)


class _Counter:
    """One definition."""

    def __init__(self, g: Graph, tensor: Tensor, sizes: Mapping[str, int], values: dict[Node, float]) -> None:
        self.g, self.tensor, self.sizes, self.values = g, tensor, sizes, values

    def run(self) -> float:
        """What the reduction itself costs; its values are noted in `values`."""
        g, tensor = self.g, self.tensor
        running = running_form(g, tensor)
        if running is not None:  # one visit per element of the result
            self._values((running.value,))
            return self.points(tensor.out)
        self._values(tensor.bodies)
        if tensor.kind == "call":
            return self._call()
        loops = self.points((*tensor.out, *tensor.red))
        if not tensor.red:
            return 0.0
        share = self.share_of(g.args[tensor.body][0]) if g.op[tensor.body] == "mask" else 1.0
        return loops * share * (3 if tensor.kind == "logsumexp" else 1)

    def _call(self) -> float:
        """What the matrix function says of itself, once per value of the axes before the result's."""
        tensor, row = self.tensor, MATRIX_FUNCTIONS[self.tensor.name]
        letters = [letter for shape in row.operands for letter in shape]
        lengths = {letter: self.points((a,)) for letter, a in zip(letters, tensor.red, strict=True)}
        return row.work(lengths) * self.points(tensor.out[: len(tensor.out) - len(row.result)])

    def _values(self, roots: Sequence[Node]) -> None:
        """Walk down from the roots, carrying the share of points at which each value is needed."""
        g = self.g
        share = dict.fromkeys(roots, 1.0)
        for n in reversed(g.reachable(roots)):
            mine = share.get(n, 0.0)
            if g.op[n] in OPS and g.op[n] not in _FREE and mine:
                points = mine * self.points(sorted(g.axes[n]))
                self.values[n] = max(self.values.get(n, 0.0), points if g.axes[n] else 1.0)
            inside = self._share_inside(n)
            for position, c in enumerate(g.children(n)):
                here = mine * inside[position] if inside else mine
                share[c] = max(share.get(c, 0.0), here)

    def _share_inside(self, n: Node) -> tuple[float, ...] | None:
        """Of a selection on indices: how often each argument is needed."""
        g = self.g
        if g.op[n] not in ("mask", "where") or not _is_on_indices(g, g.args[n][0]):
            return None
        taken = self.share_of(g.args[n][0])
        return (1.0, taken, 1.0 - taken)

    def points(self, axes: Sequence[Node]) -> int:
        return prod(max(evaluate_size(self.g, self.g.extent(a), self.sizes), 0) for a in axes)

    def share_of(self, predicate: Node) -> float:
        """The share of index values at which the index conditions of a predicate hold.

        Conditions on different axes hold independently of each other: no grid has the axes of all of them.
        """
        g = self.g
        if g.op[predicate] == "not":
            return 1.0 - self.share_of(g.args[predicate][0])
        groups: list[list[Node]] = []
        for p in conjuncts(g, predicate):
            near = [group for group in groups if any(g.axes[p] & g.axes[q] for q in group)]
            groups = [group for group in groups if group not in near] + [
                [p, *(q for group in near for q in group)]
            ]
        if groups in ([], [[predicate]]):
            return self._share_on_grid(predicate)
        return prod(self._share_of_group(group) for group in groups)

    def _share_of_group(self, group: Sequence[Node]) -> float:
        return self.share_of(group[0]) if len(group) == 1 else self._share_on_grid(*group)

    def _share_on_grid(self, *parts: Node) -> float:
        g = self.g
        axes = sorted({a for p in parts for a in g.axes[p]})
        grids = np.meshgrid(
            *(np.arange(max(evaluate_size(g, g.extent(a), self.sizes), 0)) for a in axes),
            indexing="ij", sparse=True,
        )  # fmt: skip
        values = dict(zip(axes, grids, strict=True))
        hold = np.asarray(True)
        for p in parts:
            hold = hold & self._holds(p, values)
        holds = np.broadcast_to(hold, [x.size for x in grids] or [1])
        return float(holds.mean()) if holds.size else 0.0

    def _holds(self, predicate: Node, axes: Mapping[Node, np.ndarray]) -> np.ndarray:
        """Truth on the grid; conditions on values count as true."""
        done: dict[Node, np.ndarray] = {}
        g = self.g
        for p in g.reachable((predicate,)):
            if g.kind[p] != "bool":
                continue
            op, args = g.op[p], g.args[p]
            if op in ("ige", "ieq") and self._is_affine(args[0]):
                value = self._index(args[0], axes)
                done[p] = np.asarray(value >= 0 if op == "ige" else value == 0)
            elif op in ("and", "or", "not"):
                done[p] = np.asarray(OPS[op].numpy(*(done[a] for a in args)))
            else:
                done[p] = np.asarray(op != "false")
        return done[predicate]

    def _is_affine(self, index: Node) -> bool:
        return all(self.g.op[a] in ("axis", "size", "imul") for a in self.g.linear(index)[1])

    def _index(self, index: Node, axes: Mapping[Node, np.ndarray]) -> np.ndarray:
        constant, terms = self.g.linear(index)
        total = np.asarray(constant)
        for atom, k in terms.items():
            total = total + k * self._atom(atom, axes)
        return total

    def _atom(self, atom: Node, axes: Mapping[Node, np.ndarray]) -> np.ndarray:
        """An axis, a size, or a product of index expressions."""
        if atom in axes:
            return axes[atom]
        if self.g.op[atom] == "size":
            return np.asarray(self.sizes[self.g.args[atom][0]])
        first, second = self.g.args[atom]
        return np.asarray(self._index(first, axes) * self._index(second, axes))


def _is_on_indices(g: Graph, predicate: Node) -> bool:
    return all(g.op[p] in ("ige", "ieq", "and", "or", "not", "true", "false")
               for p in g.reachable((predicate,)) if g.kind[p] == "bool")  # fmt: skip
