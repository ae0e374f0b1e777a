"""Many steps of a method in one call of compiled code: data access, value, gradient and update.

The loop of `run.loop` hands over the steps in which nobody looks; where one of them should have ended the
run, the same call with fewer steps leads up to it, and the loop sees the end itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symgrad.errors import BadOption
from symgrad.frontend.arguments import name_of
from symgrad.grad.descent import Descent, Samples, descent
from symgrad.ir.algebra import Value
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.scan import is_scan
from symgrad.ir.unit import Unit
from symgrad.program import Program
from symgrad.program import program as make_program
from symgrad.run.batches import Batches, Chosen
from symgrad.run.calls import Leap
from symgrad.run.flat import Vector
from symgrad.run.kernel import Kernel
from symgrad.run.objective import Objective
from symgrad.run.optim.elementwise import Elementwise, Kept
from symgrad.run.signature import Argument, IndexRange, OutputLeaf, Signature, size_poly

WORTH_IT = 20_000
"""Runs of fewer steps than this are not compiled unless asked for."""
_MOST_STEPS = 4096
_MOST_MEMORY = 1 << 25  # bytes of workspace that a call may take for the sake of more steps


class Fused:
    """The steps of a method on an objective, compiled; called with as many as there are at a time."""

    def __init__(
        self, program: Program, objective: Objective, method: Elementwise, batches: Batches | None
    ) -> None:
        self._method, self._layout, self._batches = method, objective.layout, batches
        self._dtype, self._data = objective.layout.dtype, objective.data
        self._kernel, self._steps = _compiled(program, objective, method, batches)
        self._most: int | None = None

    def __call__(
        self, x: Vector, state: Kept, data: Mapping[Any, Any], chosen: Sequence[Chosen] | None, count: int
    ) -> Leap:
        """`count` steps from x. `chosen`: the samples of each step, equally many; None for all the data."""
        arguments = self._arguments(x, state, data, chosen, count)
        found = iter(self._kernel(*arguments))
        entries, kept = len(self._layout.entries), self._method.kept
        after = self._layout.pack([next(found) for _ in range(entries)])
        parts = [[next(found) for _ in range(kept)] for _ in range(entries)]
        arrays = tuple(self._layout.pack([part[k] for part in parts]) for k in range(kept))
        values, norms = found
        return Leap(after, Kept(state.step + count, arrays), values, norms)

    def most(self, x: Vector, state: Kept, data: Mapping[Any, Any], chosen: Sequence[Chosen] | None) -> int:
        """The most steps of one call: what is known before the loop is computed for all of them at once."""
        if self._most is None:
            one = self._arguments(x, state, data, None if chosen is None else chosen[:1], 1)
            sizes, most = self._kernel.sizes_of(*one), _MOST_STEPS
            while most > 1 and self._kernel.workspace(**{**sizes, self._steps: most}) > _MOST_MEMORY:
                most //= 2
            self._most = most
        return self._most

    def _arguments(
        self, x: Vector, state: Kept, data: Mapping[Any, Any], chosen: Sequence[Chosen] | None, count: int
    ) -> list[Any]:
        kept = [self._layout.unpack(array) for array in state.arrays]
        numbers = [self._method.numbers(step) for step in range(state.step, state.step + count)]
        key = None if self._batches is None else self._batches.size_key
        return [
            *self._layout.unpack(x).values(),
            *(arrays[name] for name in self._layout.keys for arrays in kept),
            *(len(chosen[0]) if chosen is not None and name == key else data[name] for name in self._data),
            *([] if chosen is None else [np.stack(chosen[:count])]),
            np.array(numbers, self._dtype),
        ]


def compiled_steps(
    objective: Objective, method: object, batches: Batches | None, wanted: bool
) -> Fused | None:
    """The steps of a method on an objective as compiled code; None where that is not possible.

    Raises BadOption with the reason where it is not possible and `wanted`.
    """
    program = make_program(objective.program, args=objective.params + objective.data, wrt=objective.params)
    reason = _why_not(program, objective, method, batches)
    if not reason and isinstance(method, Elementwise):
        return Fused(program, objective, method, batches)
    if wanted:
        raise BadOption("the loop cannot be compiled", where="fused=True", because=reason, try_="fused=False")
    return None


def _why_not(program: Program, objective: Objective, method: object, batches: Batches | None) -> str:
    """The reason; empty where there is none."""
    if not isinstance(method, Elementwise):
        return f"a step of {type(method).__name__} is more than a formula for each entry of the parameters"
    if objective.backend == "numpy":
        return 'the backend is "numpy", which compiles nothing'
    if batches is not None and not getattr(batches.size_key, "is_Symbol", False):
        return f"the samples run over an axis of the size {batches.size_key}, which is no symbol"
    g = program.translation.graph
    if any(is_scan(g, t) for t in g.definitions_below([program.translation.value])):
        return "the program has a recurrence of its own, and one recurrence inside another is not possible"
    if program.translation.reads.escapes:
        return "the program has indices made of data, which every call has to check"
    return ""


def _compiled(
    program: Program, objective: Objective, method: Elementwise, batches: Batches | None
) -> tuple[Kernel, str]:
    """The kernel of the loop, and the name of the size that is its number of steps."""
    from symgrad.pipeline import assemble  # the pipeline itself imports this folder

    tr = program.translation
    g, problem = tr.graph, replace(program.problem(), packed=False)
    data = [tr.inputs[key] for key in objective.data]
    samples = None if batches is None else _samples(program, data, batches)
    update = _update_of(method)
    count = len(method.numbers(0))
    loop = descent(problem, update, method.kept, count, data, samples, program.free_name)
    inputs = [*problem.wrt, *loop.kept, *(loop.data[t] for t in data), *loop.given]
    outputs = [*loop.params, *loop.kept_after, *loop.seen]
    unit = Unit(
        g,
        tuple((g.tensors[t].name, t) for t in inputs),
        tuple((f"result {k}", t) for k, t in enumerate(outputs)),
    )
    signature = _signature(program, loop, unit)
    kernel = assemble(signature, unit, signature.words, "kernel", objective.backend, objective.dtype)
    return kernel, loop.steps


def _samples(program: Program, data: Sequence[TensorId], batches: Batches) -> Samples:
    """The axes over samples of each input; the number of all of them is a size of its own."""
    g = program.translation.graph
    name = name_of(batches.size_key)
    batch = g.size(name)
    axes = {t: tuple(k for k, e in enumerate(g.tensors[t].extents) if e == batch) for t in data}
    axes = {t: found for t, found in axes.items() if found}
    return Samples(axes, batch, g.size(program.free_name(f"all {name}")))


def _update_of(method: Elementwise) -> Any:
    def update(
        g: Graph, x: Node, grad: Node, kept: Sequence[Node], numbers: Sequence[Node]
    ) -> tuple[Node, tuple[Node, ...]]:
        def values(nodes: Sequence[Node]) -> tuple[Value, ...]:
            return tuple(Value(g, n) for n in nodes)

        after, arrays = method.rule(Value(g, x), Value(g, grad), values(kept), values(numbers))
        return after.node, tuple(a.node for a in arrays)

    return update


def _signature(program: Program, loop: Descent, unit: Unit) -> Signature:
    """What a call of the loop takes and checks: what the program checks, with all samples."""
    tr, g = program.translation, unit.graph
    place = {t: k for k, (_, t) in enumerate(unit.inputs)}
    sizes = dict.fromkeys((*tr.sizes, *loop.sizes))

    def shape(t: TensorId) -> Any:
        return tuple(size_poly(g, e) for e in g.tensors[t].extents)

    def argument(name: str, t: TensorId) -> Argument:
        dtype = g.tensors[t].dtype
        return Argument(name, shape(t), dtype, is_size=dtype == "int" and name in sizes and not shape(t))

    ranges = tuple(
        IndexRange(place[loop.data[x.tensor]], size_poly(g, x.low), size_poly(g, x.high))
        for x in tr.reads.gathers
    )
    leaves = tuple(OutputLeaf(k, shape(t)) for k, (_, t) in enumerate(unit.outputs))
    return Signature(
        tuple(argument(name, t) for name, t in unit.inputs),
        tuple(name for name, _ in unit.outputs),
        leaves,
        False,
        tuple(leaf.shape for leaf in leaves),
        tuple(sizes),
        tuple(size_poly(g, c) for c in tr.reads.conditions),
        ranges,
    )
