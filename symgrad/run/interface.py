"""From derived tensors to the signature a kernel checks its calls against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.failures import matrix_text
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.unit import Unit
from symgrad.loops.nest import Poly
from symgrad.program import Derived
from symgrad.run.signature import Argument, IndexRange, OutputLeaf, OutputTree, Signature, size_poly


def signature_of(derived: Derived, single: bool) -> Signature:
    """Arguments, outputs, and what has to hold for a call to be legal."""
    unit, g = derived.unit, derived.unit.graph
    sizes = _size_names(unit, derived)
    arguments = tuple(
        Argument(
            name,
            tuple(size_poly(g, e) for e in _user_shape(derived, t, role)),
            g.tensors[t].dtype,
            role,
            g.tensors[t].dtype == "int" and name in sizes and not g.tensors[t].extents,
        )
        for (name, t), role in zip(unit.inputs, derived.roles, strict=True)
    )
    return Signature(
        arguments,
        derived.words,
        tuple(_tree(g, r) for r in derived.results),
        single,
        tuple(tuple(size_poly(g, e) for e in g.tensors[t].extents) for _, t in unit.outputs),
        sizes,
        tuple(size_poly(g, c) for c in derived.translation.reads.conditions),
        tuple(_index_ranges(unit, derived)),
        wrt_form=derived.wrt_form,
        escapes=derived.translation.reads.escapes,
        tall=tuple(_tall_matrices(unit)),
    )


def _user_shape(derived: Derived, t: TensorId, role: str) -> tuple[Node, ...]:
    """The shape of an input; the cotangent of an explicit matrix is a matrix, not a list of entries."""
    return derived.value_shape if role == "cotangent" else derived.unit.graph.tensors[t].extents


def _tree(g: Graph, result: Any) -> OutputTree:
    if isinstance(result, tuple):
        position, shape = result
        return OutputLeaf(position, tuple(size_poly(g, e) for e in shape))
    return tuple(_tree(g, r) for r in result)


def _size_names(unit: Unit, derived: Derived) -> tuple[str, ...]:
    """Size symbols in the order the routine takes them: by first use, as `loops.lower` finds them."""
    g = unit.graph
    names = dict.fromkeys(derived.translation.sizes)
    for t in g.definitions_below([*unit.roots, *(t for _, t in unit.inputs)]):
        tensor = g.tensors[t]
        for n in g.reachable((*tensor.extents, *tensor.out, *tensor.red, *tensor.bodies, *tensor.target)):
            if g.op[n] == "size":
                names.setdefault(g.args[n][0])
    return tuple(names)


def _tall_matrices(unit: Unit) -> Iterator[tuple[Poly, str]]:
    """The matrices whose functions need at least as many rows as columns."""
    g, seen = unit.graph, set()
    for t in g.definitions_below(unit.roots):
        tensor = g.tensors[t]
        if tensor.kind == "call" and MATRIX_FUNCTIONS[tensor.name].tall:
            rows, columns = (g.extent(a) for a in tensor.red)
            found = size_poly(g, g.isub(rows, columns)), matrix_text(g, tensor.bodies[0])
            if found not in seen:
                seen.add(found)
                yield found


def _index_ranges(unit: Unit, derived: Derived) -> list[IndexRange]:
    """Bounds of integer inputs that the program's own reads impose."""
    g = unit.graph
    position = {t: k for k, (_, t) in enumerate(unit.inputs)}
    return [
        IndexRange(position[x.tensor], size_poly(g, x.low), size_poly(g, x.high))
        for x in derived.translation.reads.gathers
    ]
