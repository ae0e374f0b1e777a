"""Recurrences to definitions: the step is translated with hidden inputs in the place of the states.

One that depends on the state of another one, in whose step it is, runs over the time of that one as well,
once the hidden inputs of that one are its states: a recurrence in the step of another (`ir.scan`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sympy as sp

from symgrad.errors import ShapeMismatch
from symgrad.frontend.describe import shape_text, show
from symgrad.frontend.heads import Expr, Task, each, matrix, task
from symgrad.frontend.matrices import Matrix, is_matrix, of_entries
from symgrad.frontend.scan import Recurrence, StateAt, StateElement
from symgrad.ir.bounds import index_is_in_range
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.opening import opened
from symgrad.ir.scan import close_scan, new_state

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator

Value = tuple[tuple[Node, ...], Node]  # axes, and the value over them
Trajectories = tuple[tuple[TensorId, ...], tuple[Node, ...]]  # one tensor per state; further axes


@task(StateElement)
def _element(tr: Translator, e: Expr) -> Task:
    """A number of a trajectory; nan where the index is outside."""
    recurrence, number, *indices = e._args
    tensors, further = yield trajectories(tr, recurrence)
    index = yield each(tr.integer(i, "an index", e) for i in indices)
    tensor = tensors[int(number)]
    if len(index) + len(further) != tr.graph.tensors[tensor].rank:
        raise ShapeMismatch(
            f"{len(index) - 1} indices for a state of {tr.graph.tensors[tensor].rank - 1} axes",
            where=show(e),
            try_="one index for each axis",
        )
    return _inside(tr.graph, tensor, (index[0], *further, *index[1:]))


@matrix(StateAt)
def _matrix(tr: Translator, e: Expr) -> Task:
    recurrence, number, time = e._args
    tensors, further = yield trajectories(tr, recurrence)
    at = yield tr.integer(time, "a time", e)
    tensor = tensors[int(number)]
    rows, cols = tr.graph.tensors[tensor].extents[-2:]
    return of_entries(tr.graph, rows, cols, lambda i, j: _inside(tr.graph, tensor, (at, *further, i, j)))


def _inside(g: Graph, tensor: TensorId, index: Sequence[Node]) -> Node:
    """An element, or nan where an index that may leave the trajectory does."""
    value = g.read(tensor, *index)
    for i, extent in zip(index, g.tensors[tensor].extents, strict=True):
        if not index_is_in_range(g, i, extent):
            last = g.isub(g.isub(extent, g.one), i)
            value = g.where(g.node("and", g.ige0(i), g.ige0(last)), value, g.const(float("nan")))
    return value


def trajectories(tr: Translator, e: Recurrence) -> Task:
    """Task: the trajectories of a recurrence, and the free axes of its surroundings they run over."""
    key = tr._key(e)
    if key not in tr.recurrences:
        tr.recurrences[key] = yield _translated(tr, e)
    return tr.recurrences[key]


def _translated(tr: Translator, e: Recurrence) -> Task:
    g = tr.graph
    states, time, firsts, steps, length, condition = e._args
    count = yield tr.integer(length, "a number of steps", e)
    values = yield each(
        _value(tr, first, state) for state, first in zip(states._args, firsts._args, strict=True)
    )
    extents = [tuple(g.extent(a) for a in axes) for axes, _ in values]
    for state, own in zip(states._args, extents, strict=True):
        if state not in tr.hidden:  # once: what is remembered of the step reads them
            tr.hidden[state] = g.input(f"state {len(g.tensors)}", own)
    hidden = {state: tr.hidden[state] for state in states._args}
    before = {s: tr.inputs.get(s) for s in hidden}
    clock, outer = g.fresh_axis(count), tr.environment.get(time)
    tr.inputs.update(hidden)
    tr.environment[time] = clock
    after = yield each(_value(tr, step, state) for state, step in zip(states._args, steps._args, strict=True))
    if condition is not sp.true:
        going = yield tr.real(condition)
        after = [_while(g, going, clock, t, value) for t, value in zip(hidden.values(), after, strict=True)]
    tr.bind(time, outer)
    for state, tensor in before.items():
        if tensor is None:
            del tr.inputs[state]
        else:
            tr.inputs[state] = tensor
    _check_shapes(g, e, values, after)
    parts = (list(hidden.values()), values, after)
    return _closed(g, clock, *parts)


def _while(g: Graph, going: Node, clock: Node, state: TensorId, after: Value) -> Value:
    """The next state while a condition holds, else the same one; nan where it holds at the last step.

    That nan is a multiple of the state, so that derivatives are nan as well.
    """
    axes, body = after
    places = [g.zero if g.extent(a) == g.one else a for a in axes]
    is_last = g.ieq0(g.isub(g.isub(g.extent(clock), g.one), clock))
    before = g.read(state, *places)
    body = g.where(is_last, g.mul(g.const(float("nan")), before), body)
    return axes, g.where(going, body, before)


def _closed(
    g: Graph, clock: Node, hidden: Sequence[TensorId], firsts: Sequence[Value], steps: Sequence[Value]
) -> Trajectories:
    """Close the recurrence: its states run over the free axes of all its parts as well, behind time."""
    further = _further(g, clock, (*firsts, *steps))
    more = tuple(g.extent(a) for a in further)
    states = [new_state(g, g.extent(clock), (*more, *g.tensors[t].extents)) for t in hidden]
    rules = {
        t: (lambda index, s=s: g.read(s, clock, *further, *index))
        for t, s in zip(hidden, states, strict=True)
    }
    first = [g.define("map", (*further, *axes), (), body) for axes, body in firsts]
    step = [
        g.define("map", (clock, *further, *axes), (), opened(g, body, rules, (clock, *further)))
        for axes, body in steps
    ]
    return close_scan(g, states, first, step), further


def _further(g: Graph, clock: Node, values: Sequence[Value]) -> tuple[Node, ...]:
    """The free axes of all parts of a recurrence: its states run over them as well."""
    used = frozenset().union(*(g.axes[body] - set(axes) for axes, body in values))
    return tuple(sorted(used - {clock}, key=g.order_key))


def _value(tr: Translator, e: Expr, state: Expr) -> Task:
    """Task: a first value or a step, over fresh axes in the shape of the state."""
    g = tr.graph
    if isinstance(e, sp.Tuple):  # an array: indices, and the entry there
        indices, entry = e._args
        shape = yield each(tr.integer(sp.sympify(n), "a shape", e, fresh=True) for n in state.shape)
        axes = tuple(g.fresh_axis(n) for n in shape)
        before = {i: tr.environment.get(i) for i in indices._args}
        tr.environment.update(zip(indices._args, axes, strict=True))
        body = tr.as_real((yield tr.real(entry)))
        for i, outer in before.items():
            tr.bind(i, outer)
        return axes, body
    if is_matrix(e):
        m: Matrix = yield tr.matrix(e)
        axes = (g.fresh_axis(m.rows), g.fresh_axis(m.cols))
        places = [g.zero if g.extent(a) == g.one else a for a in axes]
        return axes, m.at(g, *places)
    return (), tr.as_real((yield tr.real(e)))


def _check_shapes(g: Graph, e: Recurrence, firsts: Sequence[Value], steps: Sequence[Value]) -> None:
    for state, (before, _), (after, _) in zip(e.states, firsts, steps, strict=True):
        shapes = [tuple(g.extent(a) for a in axes) for axes in (before, after)]
        if shapes[0] != shapes[1]:
            raise ShapeMismatch(
                f"a state has shape {shape_text(g, shapes[0])} and its next value {shape_text(g, shapes[1])}",
                where=show(state),
                because="every step gives a state of the shape of the first",
                try_="the same shape before and after the step",
            )
