"""Many steps of a first-order method as one recurrence: data access, value, gradient and update in one.

The states are the parameters, the arrays that the method keeps for each of them, and what a step saw: the
value and the largest absolute entry of the gradient where it began. All else of a step is what it always is,
with the parameters read from the state and the samples from the data of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symgrad.grad.outputs import Problem, gradient_parts
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.opening import opened
from symgrad.ir.reduce import reduce
from symgrad.ir.scan import ReadRule, close_scan, new_state
from symgrad.records import dataclass

Update = Callable[[Graph, Node, Node, Sequence[Node], Sequence[Node]], tuple[Node, tuple[Node, ...]]]
"""`(graph, parameter, gradient, kept, numbers) -> next parameter, next kept`, entry by entry."""


@dataclass(frozen=True)
class Samples:
    """Which data a step sees: samples chosen by their numbers.

    axes   of each input, those that run over samples.
    batch  the extent of these axes in a step; `total`: in all the data.
    """

    axes: Mapping[TensorId, tuple[int, ...]]
    batch: Node
    total: Node


@dataclass(frozen=True)
class Descent:
    """The inputs and results of a run of steps, tensors of one graph.

    kept      inputs: the method's arrays before the first step, for each parameter in turn.
    data      where the data of an input come from: the input of all samples, or itself.
    given     inputs of the run: the samples of each step, integers (steps, batch), where a step does not see
              all the data; the numbers of each step (its rate, ...), (steps, count).
    params    after the last step; `kept_after` as `kept`.
    seen      results (steps,): values, and largest absolute entries of the gradients, before each step.
    steps     the name of the size that is the number of steps; `sizes`: of all sizes that are new.
    """

    kept: tuple[TensorId, ...]
    data: dict[TensorId, TensorId]
    given: tuple[TensorId, ...]
    params: tuple[TensorId, ...]
    kept_after: tuple[TensorId, ...]
    seen: tuple[TensorId, TensorId]
    steps: str
    sizes: tuple[str, ...]


def descent(
    p: Problem,
    update: Update,
    kept_count: int,
    number_count: int,
    data: Sequence[TensorId],
    samples: Samples | None,
    free_name: Callable[[str], str],
) -> Descent:
    """The recurrence of a method that updates each entry from its gradient alone.

    p           a scalar value and the parameters to differentiate it by.
    kept_count  arrays that the method keeps for each parameter; `number_count`: numbers it gets in each step.
    free_name   a name that no input has, from a wanted one.
    """
    g, name = p.graph, free_name("steps")
    steps = g.size(name)
    clock = g.fresh_axis(steps)
    order = [] if samples is None else [g.input(free_name("order"), (steps, samples.batch), "int")]
    numbers = g.input(free_name("numbers"), (steps, g.const(number_count)))
    whole = {t: _of_all(g, t, samples) for t in data}
    kept = tuple(g.input(free_name(f"{g.tensors[t].name} kept {k}"), g.tensors[t].extents)
                 for t in p.wrt for k in range(kept_count))  # fmt: skip
    firsts = [*(_copy(g, t) for t in (*p.wrt, *kept)), _zero(g), _zero(g)]
    states = [new_state(g, steps, g.tensors[t].extents) for t in firsts]
    count = len(p.wrt)
    rules = {t: _at_time(g, s, clock) for t, s in zip(p.wrt, states[:count], strict=True)}
    if samples is not None:
        rules |= {t: _chosen(g, whole[t], axes, order[0], clock) for t, axes in samples.axes.items()}
    last = close_scan(g, states, firsts, _steps(p, update, states, rules, clock, numbers, number_count))
    return Descent(
        kept,
        whole,
        (*order, numbers),
        tuple(_final(g, t) for t in last[:count]),
        tuple(_final(g, t) for t in last[count:-2]),
        (_without_first(g, last[-2]), _without_first(g, last[-1])),
        name,
        (name,) if samples is None else (name, g.args[samples.total][0]),
    )


def _steps(
    p: Problem, update: Update, states: Sequence[TensorId], rules: Mapping[TensorId, ReadRule],
    clock: Node, numbers: TensorId, number_count: int,
) -> list[TensorId]:  # fmt: skip
    """The step of every state: parameters, kept arrays, value, size of the gradient."""
    g, count = p.graph, len(p.wrt)
    per_param = (len(states) - 2 - count) // count
    given = [g.read(numbers, clock, g.const(k)) for k in range(number_count)]
    params, kept, sizes = [], [], []
    for k, (axes, body) in enumerate(gradient_parts(p, "grad")):
        grad = g.read(g.define("map", (clock, *axes), (), opened(g, body, rules, (clock,))), clock, *axes)
        own = states[count + k * per_param : count + (k + 1) * per_param]
        x, *before = (g.read(s, clock, *axes) for s in (states[k], *own))
        x, after = update(g, x, grad, before, given)
        params.append(g.define("map", (clock, *axes), (), x))
        kept += [g.define("map", (clock, *axes), (), body) for body in after]
        sizes.append(reduce(g, "max", axes, g.node("abs", grad)))
    places = [g.zero] * g.tensors[p.value].rank
    value = opened(g, g.read(p.value, *places), rules, (clock,))
    largest = sizes[0]
    for size in sizes[1:]:
        largest = g.node("maximum", largest, size)
    return [*params, *kept, g.define("map", (clock,), (), value), g.define("map", (clock,), (), largest)]


def _of_all(g: Graph, t: TensorId, samples: Samples | None) -> TensorId:
    """The input that has all samples where `t` has those of one step."""
    if samples is None or t not in samples.axes:
        return t
    tensor = g.tensors[t]
    extents = [samples.total if k in samples.axes[t] else e for k, e in enumerate(tensor.extents)]
    return g.input(tensor.name, extents, tensor.dtype)


def _at_time(g: Graph, state: TensorId, clock: Node) -> ReadRule:
    return lambda index: g.read(state, clock, *index)


def _chosen(g: Graph, whole: TensorId, axes: Sequence[int], order: TensorId, clock: Node) -> ReadRule:
    return lambda index: g.read(
        whole, *(g.read(order, clock, i) if k in axes else i for k, i in enumerate(index))
    )


def _zero(g: Graph) -> TensorId:
    return g.define("map", (), (), g.zero)


def _copy(g: Graph, t: TensorId) -> TensorId:
    axes = [g.fresh_axis(e) for e in g.tensors[t].extents]
    return g.define("map", axes, (), g.read(t, *axes))


def _final(g: Graph, t: TensorId) -> TensorId:
    """The state after the last step."""
    length, *extents = g.tensors[t].extents
    axes = [g.fresh_axis(e) for e in extents]
    return g.define("map", axes, (), g.read(t, g.isub(length, g.one), *axes))


def _without_first(g: Graph, t: TensorId) -> TensorId:
    time = g.fresh_axis(g.isub(g.tensors[t].extents[0], g.one))
    return g.define("map", (time,), (), g.read(t, g.iadd(time, g.one)))
