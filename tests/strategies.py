"""Hypothesis strategies for random programs, to run through every stage and every target.

A drawn program is legal, deterministic, and moderate: every intermediate value stays small, every op
sees arguments inside its domain, and (with `smooth`) nothing jumps, so that two ways to compute it
may be compared with a tolerance. `repr` prints the program as text that can be pasted back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from symgrad.ir.composites.log_products import NAMES as LOGS
from symgrad.ir.composites.norm import NAMES as NORM
from symgrad.ir.composites.quotients import ROWS as QUOTIENT_ROWS
from symgrad.ir.composites.radial import NAMES as RADIAL
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import reduce
from symgrad.ir.series.removable import NAMES as REMOVABLE
from symgrad.ir.special import SPECIAL as SPECIAL_ROWS
from symgrad.ir.text import print_program

_JUMPS = frozenset(("floor", "ceil", "sign", "mod", "fmod"))
_STEEP = frozenset(("tan", "atanh", "asin", "acos", "pow"))  # amplify rounding; for `smooth` too, kept inside
_DERIVATIVES = {op for op, (_, order) in QUOTIENT_ROWS.items() if order}  # differentiation makes these
# Theirs: test_radial.py, test_norms.py, test_removable.py, test_temperature.py, ...
_APART = _DERIVATIVES | RADIAL | NORM | LOGS | {*REMOVABLE} | SPECIAL_ROWS.keys() | {"anchor"}
_PLAIN = {n: row for n, row in OPS.items() if n not in _APART}
_UNARY = sorted(n for n, row in _PLAIN.items() if row.arity == 1 and row.result == "real" and n != "cast")
_BINARY = sorted(n for n, row in _PLAIN.items() if row.arity == 2 and row.result == "real" and n != "mask")
_LARGEST = 30.0  # values above this are squashed before they are used again
_INPUT_BOUND = 1.5
SIZE_NAMES = ("n", "m")


@dataclass(repr=False)
class RandomProgram:
    """A program and what it needs.

    inputs   real and integer input tensors; an integer input indexes axes of `ranges[it]` elements.
    outputs  tensor by name.
    sizes    a value for every size symbol.
    """

    graph: Graph
    inputs: list[TensorId]
    outputs: dict[str, TensorId]
    sizes: dict[str, int]
    ranges: dict[TensorId, Node] = field(default_factory=dict)

    def arrays(self, seed: int = 0, sizes: dict[str, int] | None = None) -> dict[TensorId, np.ndarray]:
        """Random arrays for the inputs, integers within the axes they index."""
        sizes = sizes or self.sizes
        rng = np.random.default_rng(seed)
        out: dict[TensorId, np.ndarray] = {}
        for t in self.inputs:
            shape = tuple(self.extent(e, sizes) for e in self.graph.tensors[t].extents)
            if t in self.ranges:
                out[t] = rng.integers(0, self.extent(self.ranges[t], sizes), shape)
            else:
                out[t] = rng.uniform(-_INPUT_BOUND, _INPUT_BOUND, shape)
        return out

    def extent(self, extent: Node, sizes: dict[str, int] | None = None) -> int:
        """The value of an extent (at least 0)."""
        sizes = sizes or self.sizes
        constant, terms = self.graph.linear(extent)
        return max(constant + sum(k * sizes[self.graph.args[a][0]] for a, k in terms.items()), 0)

    def __repr__(self) -> str:
        return f"sizes {self.sizes}\n{print_program(self.graph, self.outputs)}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How hypothesis prints a failing example."""
        printer.text(repr(self))


@dataclass(frozen=True)
class Term:
    """A node and a bound of its absolute value."""

    node: Node
    bound: float


def scalar_programs(max_ops: int = 12, smooth: bool = True) -> st.SearchStrategy[RandomProgram]:
    """Programs of rank 0: one to three scalar inputs, one shared graph, one or two outputs."""
    return st.composite(_scalar_program)(max_ops, smooth)


def tensor_programs(
    max_definitions: int = 4, max_ops: int = 5, smooth: bool = True, gathers: bool = True, min_size: int = 1
) -> st.SearchStrategy[RandomProgram]:
    """Programs over symbolic sizes: maps, reductions, contractions, shifts, gathers, masks, scatters.

    Sizes are drawn from `min_size` to 4; with gathers they are at least 1, since nothing indexes an
    empty axis.
    """
    return st.composite(_tensor_program)(max_definitions, max_ops, smooth, gathers, min_size)


# ---- scalar graphs -----------------------------------------------------------------------------


def _scalar_program(draw: Callable, max_ops: int, smooth: bool) -> RandomProgram:
    g = Graph()
    inputs = [g.input(f"x{i}") for i in range(draw(st.integers(1, 3)))]
    leaves = [Term(g.read(t), _INPUT_BOUND) for t in inputs]
    pool = draw_terms(draw, g, leaves, max_ops, smooth)
    outputs = {"value": g.define("map", (), (), pool[-1].node)}
    if draw(st.booleans()):
        entries = [draw(st.sampled_from(pool)).node for _ in range(draw(st.integers(1, 3)))]
        outputs["vector"] = g.define("enum", (), (), entries)
    return RandomProgram(g, inputs, outputs, {})


def draw_terms(
    draw: Callable, g: Graph, leaves: Sequence[Term], max_ops: int, smooth: bool, guards: Sequence[Node] = ()
) -> list[Term]:
    """`leaves`, constants, and up to `max_ops` operations on what came before; at least one operation.

    guards  predicates over indices that masks may use.
    """
    pool = [*leaves, _constant(draw, g)]
    kinds = ["unary", "binary", "arithmetic", "arithmetic", "select"]
    for _ in range(draw(st.integers(1, max_ops))):
        kind = draw(st.sampled_from(kinds))
        operands = [draw(st.sampled_from(pool)) for _ in range(2)]
        if kind == "select":
            pool.append(_selection(draw, g, leaves, operands, guards))
        elif kind == "arithmetic":
            pool.append(_arithmetic(draw, g, operands))
        else:
            names = _UNARY if kind == "unary" else _BINARY
            allowed = [n for n in names if not (smooth and n in _JUMPS)]
            pool.append(_operation(g, draw(st.sampled_from(allowed)), operands))
    return pool


def _constant(draw: Callable, g: Graph) -> Term:
    value = draw(st.fractions(-2, 2, max_denominator=4))
    return Term(g.const(value), abs(float(value)))


def _squashed(g: Graph, term: Term, low: float, high: float) -> Node:
    """The term mapped smoothly into [low, high]; itself if it is there already."""
    if -term.bound >= low and term.bound <= high:
        return term.node
    middle, half = g.const((low + high) / 2), g.const((high - low) / 2)
    return g.add(middle, g.mul(half, g.node("sin", term.node)))


def _bounded(g: Graph, node: Node, bound: float) -> Term:
    """A term that may be used further: large values are squashed."""
    return Term(node, bound) if bound <= _LARGEST else Term(g.node("tanh", node), 1.0)


def _operation(g: Graph, op: str, operands: Sequence[Term]) -> Term:
    row = OPS[op]
    arguments = []
    for k in range(row.arity):
        low, high = row.domain[min(k, len(row.domain) - 1)]
        arguments.append(_squashed(g, operands[k], low, high))
    bound = 1e3 if op in _STEEP else _LARGEST
    return _bounded(g, g.node(op, *arguments), bound)


def _arithmetic(draw: Callable, g: Graph, operands: Sequence[Term]) -> Term:
    a, b = operands
    op = draw(st.sampled_from(("add", "sub", "mul", "neg")))
    if op == "neg":
        return Term(g.neg(a.node), a.bound)
    bound = a.bound * b.bound if op == "mul" else a.bound + b.bound
    return _bounded(g, g.node(op, a.node, b.node), bound)


def _selection(
    draw: Callable, g: Graph, leaves: Sequence[Term], operands: Sequence[Term], guards: Sequence[Node]
) -> Term:
    """A where or a mask. Values are compared as read, so every target decides alike."""
    x, y = draw(st.sampled_from(leaves)), draw(st.sampled_from(leaves))
    predicates = [g.node(draw(st.sampled_from(("lt", "le"))), x.node, y.node), *guards]
    p = draw(st.sampled_from(predicates))
    if draw(st.booleans()):
        p = g.node(draw(st.sampled_from(("and", "or"))), p, draw(st.sampled_from(predicates)))
    if draw(st.booleans()):
        p = g.node("not", p)
    a, b = operands
    if draw(st.booleans()):
        return Term(g.mask(p, a.node), a.bound)
    return Term(g.where(p, a.node, b.node), max(a.bound, b.bound))


# ---- tensor programs ---------------------------------------------------------------------------


class Builder:
    """The tensors there are so far, and the ways to read them at given axes."""

    def __init__(self, draw: Callable, gathers: bool) -> None:
        self.draw, self.g, self.gathers = draw, Graph(), gathers
        self.sizes = [self.g.size(name) for name in SIZE_NAMES]
        self.bounds: dict[TensorId, float] = {}
        self.indices: dict[TensorId, Node] = {}  # integer input -> the extent it indexes

    def add_inputs(self) -> None:
        g, draw = self.g, self.draw
        n, m = self.sizes
        for name, extents in (("a", (n, m)), ("b", (m,)), ("c", (n,)), ("d", (m, m)), ("s", ())):
            if draw(st.booleans()) or name == "a":
                self.bounds[g.input(name, extents)] = _INPUT_BOUND
        if self.gathers and draw(st.booleans()):
            self.indices[g.input("k", (n,), "int")] = m

    def axes(self, low: int, high: int) -> list[Node]:
        count = self.draw(st.integers(low, high))
        return [self.g.fresh_axis(self.draw(st.sampled_from(self.sizes))) for _ in range(count)]

    def leaf(self, axes: Sequence[Node]) -> Term:
        """A read of some tensor, or the value of an axis."""
        g, draw = self.g, self.draw
        if axes and draw(st.integers(0, 7)) == 0:
            return Term(g.node("sin", g.cast(draw(st.sampled_from(axes)))), 1.0)
        tensor = draw(st.sampled_from(sorted(self.bounds)))
        guard, index = g.true, []
        for extent in g.tensors[tensor].extents:
            i, needed = self.index(axes, extent)
            index.append(i)
            guard = g.node("and", guard, needed)
        return Term(g.mask(guard, g.read(tensor, *index)), self.bounds[tensor])

    def index(self, axes: Sequence[Node], extent: Node) -> tuple[Node, Node]:
        """An index of an axis of that extent, and the guard it needs."""
        g, draw = self.g, self.draw
        fitting = [a for a in axes if g.extent(a) == extent]
        gathers = [
            g.read(t, a) for t, e in self.indices.items() if e == extent
            for a in axes if g.extent(a) == g.tensors[t].extents[0]
        ]  # fmt: skip
        exact = [*fitting, *gathers]
        if exact and draw(st.integers(0, 3)):
            return draw(st.sampled_from(exact)), g.true
        index = g.const(draw(st.integers(0, 2)))
        for a in axes:
            index = g.iadd(index, a, draw(st.sampled_from((-1, 0, 1, 2))))
        inside = g.node("and", g.ige0(index), g.ige0(g.isub(g.iadd(extent, g.const(-1)), index)))
        return index, inside

    def guards(self, axes: Sequence[Node]) -> list[Node]:
        """Predicates over indices."""
        g, draw = self.g, self.draw
        if not axes:
            return []
        a, b = draw(st.sampled_from(axes)), draw(st.sampled_from(axes))
        difference = g.iadd(g.isub(a, b), g.const(draw(st.integers(-1, 2))))
        return [g.ige0(difference), g.ieq0(difference)]

    def body(self, axes: Sequence[Node], max_ops: int, smooth: bool) -> Term:
        leaves = [self.leaf(axes) for _ in range(self.draw(st.integers(1, 3)))]
        return draw_terms(self.draw, self.g, leaves, max_ops, smooth, self.guards(axes))[-1]

    def product(self, axes: Sequence[Node]) -> Term:
        """A product of reads, some under a guard: what contractions are made of."""
        g, draw = self.g, self.draw
        node, bound = g.one, 1.0
        for _ in range(draw(st.integers(1, 3))):
            leaf = self.leaf(axes)
            if bound * leaf.bound <= _LARGEST:
                node, bound = g.mul(node, leaf.node), bound * leaf.bound
        for guard in self.guards(axes)[: draw(st.integers(0, 2))]:
            node = g.mask(guard, node)
        return Term(node, bound)

    def definition(self, max_ops: int, smooth: bool) -> TensorId:
        """One more tensor."""
        g, draw = self.g, self.draw
        kind = draw(st.sampled_from(("map", "sum", "contraction", "max", "min", "logsumexp", "prod", "enum")))
        out, red = self.axes(0, 2), self.axes(1, 2)
        if kind == "contraction":
            term = self.product((*out, *red))
            node = reduce(g, "sum", red, term.node)
        elif kind in ("map", "enum"):
            term = self.body(out, max_ops, smooth)
            node = term.node
        else:
            term = self.body((*out, *red), max_ops, smooth)
            node = reduce(g, kind, red, term.node)
        node = self._moderate(kind, node)
        if kind == "enum":
            return g.define("enum", out, (), [node, self.body(out, max_ops, smooth).node])
        return g.define("map", out, (), node)

    def _moderate(self, kind: str, node: Node) -> Node:
        """Reductions may be large, or infinite where they are empty."""
        if kind in ("max", "min", "logsumexp", "prod", "sum", "contraction"):
            return self.g.node("tanh", node)
        return node


def _tensor_program(
    draw: Callable, max_definitions: int, max_ops: int, smooth: bool, gathers: bool, min_size: int
) -> RandomProgram:
    b = Builder(draw, gathers)
    b.add_inputs()
    outputs: dict[str, TensorId] = {}
    for number in range(draw(st.integers(1, max_definitions))):
        tensor = b.definition(max_ops, smooth)
        b.bounds[tensor] = _LARGEST
        outputs[f"y{number}"] = tensor
    if draw(st.booleans()):
        outputs["total"] = b.g.define("map", (), (), _total(b, max(outputs.values())))
    inputs = [t for t, tensor in enumerate(b.g.tensors) if tensor.kind == "input"]
    low = max(min_size, 1) if b.indices else min_size
    sizes = {name: draw(st.integers(low, 4)) for name in SIZE_NAMES}
    return RandomProgram(b.g, inputs, outputs, sizes, dict(b.indices))


def _total(b: Builder, tensor: TensorId) -> Node:
    """The sum of all elements of a tensor: a scalar to differentiate."""
    g = b.g
    axes = [g.fresh_axis(e) for e in g.tensors[tensor].extents]
    return reduce(g, "sum", axes, g.read(tensor, *axes))


@dataclass(repr=False)
class RandomReduction(RandomProgram):
    """A reduction as it was written, `outputs["plain"]`, and as `reduce` makes it, `outputs["reduced"]`."""

    kind: str = "sum"


def reductions(
    kinds: Sequence[str], max_size: int = 5, gathers: bool = True
) -> st.SearchStrategy[RandomReduction]:
    """Reductions of products of reads with guards, of sums of them, and of arbitrary bodies."""
    return st.composite(_reduction)(kinds, max_size, gathers)


def _reduction(draw: Callable, kinds: Sequence[str], max_size: int, gathers: bool) -> RandomReduction:
    b = Builder(draw, gathers)
    b.add_inputs()
    g, kind = b.g, draw(st.sampled_from(kinds))
    out, red = b.axes(0, 2), b.axes(1, 3)
    axes = (*out, *red)
    shape = draw(st.sampled_from(("product", "product", "terms", "body")))
    if shape == "product":
        body = b.product(axes).node
    elif shape == "body":
        body = b.body(axes, 4, True).node
    else:
        body = g.zero
        for _ in range(draw(st.integers(2, 4))):
            body = draw(st.sampled_from((g.add, g.sub)))(body, b.product(axes).node)
        if draw(st.booleans()):
            body = g.mask(draw(st.sampled_from(b.guards(axes))), body)
    plain = g.define(kind, out, red, body)
    reduced = g.define("map", out, (), reduce(g, kind, red, body))
    inputs = [t for t, tensor in enumerate(g.tensors) if tensor.kind == "input"]
    sizes = {name: draw(st.integers(1 if b.indices else 0, max_size)) for name in SIZE_NAMES}
    outputs = {"plain": plain, "reduced": reduced}
    return RandomReduction(g, inputs, outputs, sizes, dict(b.indices), kind)
