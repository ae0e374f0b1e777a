"""Tensors: inputs and definitions, what they are made of."""

from __future__ import annotations

from symgrad.records import dataclass

Node = int
TensorId = int

REDUCTIONS = ("sum", "prod", "max", "min", "logsumexp")
SCANS = ("scan", "backward_scan")
KINDS = ("input", "map", *REDUCTIONS, "call", "enum", "scatter", "state", *SCANS)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or a definition.

    kind      input; map `T[out] = body`; a reduction `T[out] = reduce over red of body`;
              enum `T[c, out] = bodies[c]` (an explicit matrix, or several outputs sharing one graph);
              call, the matrix function `name` of the bodies (`ir.matrix.functions`);
              scatter `T[target(red)] += body(red)`;
              state, scan and backward_scan, a recurrence: `ir.scan`.
    out       canonical axes of the result (numbers 0..), enum's leading entry axis excluded.
    red       canonical axes that are reduced (or looped over, for scatter), numbered after `out`;
              of a call, the axes of its operands, one operand after the other.
    bodies    one node; enum has one per entry, a call one per operand; an input has none.
    target    scatter only: the index of each result axis as a function of `red`.
    extents   extent of each axis of the result, enum's entry axis included.
    dtype     "real" or "int" (only inputs may be integers).
    name      of an input, or of the function of a call.
    links     scans only: (state, first, step) for each of its states; tensors it is made of.
    entry     scans: which of its states this is; state: its number.
    """

    kind: str
    out: tuple[Node, ...]
    red: tuple[Node, ...]
    bodies: tuple[Node, ...]
    target: tuple[Node, ...]
    extents: tuple[Node, ...]
    dtype: str = "real"
    name: str = ""
    links: tuple[TensorId, ...] = ()
    entry: int = 0

    @property
    def body(self) -> Node:
        (only,) = self.bodies
        return only

    @property
    def rank(self) -> int:
        return len(self.extents)
