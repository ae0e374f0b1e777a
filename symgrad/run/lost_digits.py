"""Where the digits of a number went: the error of a call that is not as accurate as it was to be.

Made only after the failure, with the reference evaluator at the point of the call. Suspect are the sums and
differences that cancel, and functions that are steep beside their values (condition numbers, by differences).
What the bound of an entry owes to each of them is the slope of the bound by a factor of theirs, all by one
reverse sweep. Blamed is the one with the most bits lost, weighted with its share.
Source: Higham 2002, sections 1.6 and 1.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

import numpy as np

from symgrad.errors import PrecisionLost, SymgradError
from symgrad.frontend.to_sympy import to_sympy
from symgrad.grad.precision import Precision
from symgrad.grad.reverse import cotangents
from symgrad.grad.rounding import Rounding
from symgrad.ir.evaluate import evaluate, evaluate_size
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.last_places import last_places
from symgrad.ir.ops import OPS
from symgrad.ir.scan import on_tensors, outer_definitions, same_place
from symgrad.ir.tensor import SCANS
from symgrad.ir.text import node_text
from symgrad.ir.unit import Unit
from symgrad.opt.plain import without_norm_guards
from symgrad.opt.rebuild import copy_with
from symgrad.records import dataclass

Shape = tuple[int, ...]
_MOST_SUSPECTS = 32
_MOST_ARGUMENTS = 2  # of functions whose steepness is looked at
_LEAST_BITS = 2.0  # lost in a place that is worth a word
_MOST_CHARACTERS = 200


@dataclass(frozen=True)
class _Point:
    """A graph of its own, and values for its inputs and sizes."""

    g: Graph
    inputs: Mapping[TensorId, np.ndarray]
    sizes: Mapping[str, int]
    real: Any

    def values(self, tensors: Sequence[TensorId], inspect: Any = None) -> list[np.ndarray]:
        return evaluate(self.g, tensors, self.inputs, self.sizes, self.real, inspect)


@dataclass(frozen=True)
class _Entry:
    """The entry of an output whose bound is too large by the largest factor."""

    name: str
    tensor: TensorId
    index: Shape
    value: float
    bound: float


@dataclass(frozen=True)
class _Suspect:
    """A node, or a whole definition that is a sum, and the bits that are lost in it."""

    node: Node | None
    tensor: TensorId
    bits: float


def precision_lost(
    unit: Unit,
    precision: Precision,
    inputs: Sequence[np.ndarray],
    results: Sequence[np.ndarray],
    sizes: Mapping[str, int],
    real: np.dtype,
    shapes: Mapping[int, Shape],
    sample: Shape,
) -> PrecisionLost:
    """The error for the entry that exceeds what it may by the largest factor.

    inputs, results  of the sample that failed, in the order of the unit's.
    shapes  of the outputs as the user sees them.
    """
    g, moved = copy_with(unit.graph, unit.roots)
    unit = unit.moved(g, moved)
    given = {}
    for (_, t), x in zip(unit.inputs, inputs, strict=True):
        extents = tuple(max(evaluate_size(g, e, sizes), 0) for e in g.tensors[t].extents)
        given[t] = x.reshape(extents)
    point = _Point(g, given, sizes, real.type)
    entry = _worst(point, unit, precision, results, shapes)
    allowed = precision.accuracy * abs(entry.value) + precision.allowance
    return PrecisionLost(
        f"{entry.name} is {entry.value:.6g} with a rounding error of up to {entry.bound:.2g}",
        where="; ".join(filter(None, (f"sample {sample}" if sample else "", _place(point, unit, entry)))),
        because=f"{allowed:.2g} is allowed: {precision}",
        try_="a form that does not cancel (stabilise=True makes many), a larger accuracy=, or allowance= "
        "for entries that may be 0",
    )


def _worst(
    point: _Point,
    unit: Unit,
    precision: Precision,
    results: Sequence[np.ndarray],
    shapes: Mapping[int, Shape],
) -> _Entry:
    outputs = [unit.outputs[k] for k in precision.checked]
    rounding = Rounding(point.g)
    bounds = [rounding.result(t) for _, t in outputs]
    found = point.values(bounds)
    worst, largest = None, -1.0
    for k, bound in zip(precision.checked, found, strict=True):
        value = np.reshape(results[k], bound.shape)
        if not value.size:
            continue
        with np.errstate(all="ignore"):
            allowed = precision.accuracy * np.abs(value) + precision.allowance
            excess = np.where(bound > 0, bound / allowed, 0.0)
        excess = np.where(np.isfinite(value), np.where(np.isnan(bound), np.inf, excess), 0.0)
        flat = int(np.argmax(excess))
        if excess.flat[flat] > largest:
            largest = float(excess.flat[flat])
            index = tuple(int(i) for i in np.unravel_index(flat, value.shape))
            name, tensor = unit.outputs[k]
            shown = ", ".join(str(int(i)) for i in np.unravel_index(flat, shapes[k])) if shapes[k] else ""
            name = f"{name}[{shown}]" if shown else name
            worst = _Entry(name, tensor, index, float(value.flat[flat]), float(bound.flat[flat]))
    assert worst is not None, "an entry was counted"
    return worst


# ---- the place ---------------------------------------------------------------------------------


def _place(point: _Point, unit: Unit, entry: _Entry) -> str:
    """The place to blame, in words; "" where none stands out."""
    suspects = _suspects(point, entry.tensor)
    if not suspects:
        return ""
    shares = _shares(point, entry, suspects)
    blamed, share = max(zip(suspects, shares, strict=True), key=lambda found: found[0].bits * found[1])
    if not blamed.bits * share >= _LEAST_BITS:
        return ""
    text = _text(point.g, unit, blamed)
    return f"{text}, where {blamed.bits:.0f} bits are lost ({100 * share:.0f}% of the bound)"


def _suspects(point: _Point, tensor: TensorId) -> list[_Suspect]:
    """The places in which most bits are lost at the point."""
    g = point.g
    bits: dict[tuple[Node | None, TensorId], float] = {}

    def note(place: tuple[Node | None, TensorId], factors: Any) -> None:
        known = factors[~np.isnan(factors)]
        factor = min(float(np.max(known, initial=1.0)), 1 / np.finfo(point.real).eps)
        bits[place] = max(bits.get(place, 0.0), log2(factor))

    def inspect(t: TensorId, done: Mapping[Node, Any], poison: Mapping[Node, Any]) -> None:
        definition = g.tensors[t]
        for n, value in done.items():
            if g.kind[n] == "real" and g.op[n] in OPS and last_places(g.op[n]):
                factors = _amplification(g.op[n], [done[a] for a in g.args[n]], value)
                note((n, t), np.where(poison[n], np.nan, factors))
        if definition.kind == "sum":
            grid = np.asarray(done[definition.body])
            axes = tuple(range(len(definition.out), grid.ndim))
            note((None, t), np.abs(grid).sum(axis=axes) / np.abs(grid.sum(axis=axes)))

    point.values([tensor], inspect)
    found = [_Suspect(node, t, lost) for (node, t), lost in bits.items() if lost >= _LEAST_BITS]
    return sorted(found, key=lambda s: -s.bits)[:_MOST_SUSPECTS]


def _amplification(op: str, args: Sequence[Any], value: Any) -> Any:
    """By how much relative errors of the arguments grow: a condition number, at least about."""
    if op in ("add", "sub"):
        return (np.abs(args[0]) + np.abs(args[1])) / np.abs(value)
    row = OPS[op]
    if op in ("mul", "div") or row.formulas or row.arity > _MOST_ARGUMENTS:
        return np.ones(())
    change = np.sqrt(np.finfo(np.asarray(value).dtype).eps)
    total = np.zeros(())
    for k in range(len(args)):
        moved = row.numpy(*(a * (1 + change) if k == j else a for j, a in enumerate(args)))
        total = total + np.abs(moved - value)
    return total / (change * np.abs(value))


def _shares(point: _Point, entry: _Entry, suspects: Sequence[_Suspect]) -> list[float]:
    """How much of the entry's bound comes from each of them or through it, between 0 and 1."""
    g = point.g
    marks = [g.input(f"mark {k}") for k in range(len(suspects))]
    factors = {
        ("tensor", s.tensor) if s.node is None else ("node", s.node): g.read(t)
        for s, t in zip(suspects, marks, strict=True)
    }
    bound = Rounding(g, marks=factors).result(entry.tensor)
    whole = g.define("map", (), (), g.read(bound, *map(g.const, entry.index)))
    slopes = [body for _, body in cotangents(g, {whole: ((), g.one)}, marks)]
    inputs = {**point.inputs, **dict.fromkeys(marks, np.ones((), point.real))}
    tensors = [g.define("map", (), (), body) for body in slopes]
    total, *found = _Point(g, inputs, point.sizes, point.real).values([whole, *tensors])
    with np.errstate(all="ignore"):
        shares = np.array([float(x) for x in found]) / float(total)
    # In a recurrence the bound may pass one place many times; one that is not finite has no shares.
    return [min(float(s), 1.0) if np.isfinite(s) else 1.0 for s in shares]


def _text(g: Graph, unit: Unit, suspect: _Suspect) -> str:
    """The place in SymPy's notation, or in that of the program where there is none."""
    node = suspect.node
    if node is None:
        node = g.read(suspect.tensor, *g.tensors[suspect.tensor].out)
    inputs = dict(unit.inputs)
    node = _with_named_states(g, node, inputs)
    axes = sorted(g.axes[node], key=g.order_key)
    place, _ = without_norm_guards(
        Unit(g, tuple(inputs.items()), (("place", g.define("map", axes, (), node)),))
    )
    try:
        text = str(to_sympy(place.graph, place.roots[0], _symbols(place), {}))
    except SymgradError:
        text = node_text(g, node)
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 4] + " ..."


def _symbols(unit: Unit) -> dict[TensorId, Any]:
    """A symbol for each input, by its name."""
    import sympy as sp

    ranks = {name: unit.graph.tensors[t].rank for name, t in unit.inputs}
    return {t: sp.IndexedBase(name) if ranks[name] else sp.Symbol(name) for name, t in unit.inputs}


def _with_named_states(g: Graph, node: Node, inputs: dict[str, TensorId]) -> Node:
    """The node with the states of recurrences that it reads as further inputs "state"."""
    below = outer_definitions(g, [g.args[r][0] for r in g.reads((node,))])
    rules = {}
    for k, t in enumerate(t for t in below if g.tensors[t].kind in ("state", *SCANS)):
        name = f"state_{k + 1}" if k else "state"
        inputs[name] = g.input(name, g.tensors[t].extents)
        rules[t] = same_place(g, inputs[name])
    return on_tensors(g, node, rules) if rules else node
