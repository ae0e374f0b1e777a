"""Arithmetic with operators on nodes of a graph, for formulas that run on NumPy arrays as well."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from symgrad.ir.graph import Graph, Node
from symgrad.records import dataclass

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Value:
    """A node of a graph with the operators of a number."""

    graph: Graph
    node: Node

    def __add__(self, other: Value | float) -> Value:
        return Value(self.graph, self.graph.add(self.node, self._node(other)))

    def __sub__(self, other: Value | float) -> Value:
        return Value(self.graph, self.graph.sub(self.node, self._node(other)))

    def __mul__(self, other: Value | float) -> Value:
        return Value(self.graph, self.graph.mul(self.node, self._node(other)))

    def __truediv__(self, other: Value | float) -> Value:
        return Value(self.graph, self.graph.div(self.node, self._node(other)))

    __radd__ = __add__
    __rmul__ = __mul__

    def _node(self, other: Value | float) -> Node:
        return other.node if isinstance(other, Value) else self.graph.const(float(other))


T = TypeVar("T", Value, Array)


def root(x: T) -> T:
    """The square root."""
    if isinstance(x, Value):
        return Value(x.graph, x.graph.node("sqrt", x.node))
    return np.sqrt(x)


def ratio(top: T, bottom: T) -> T:
    """top / bottom, and 0 where `bottom` is 0."""
    if isinstance(top, Value) and isinstance(bottom, Value):
        g = bottom.graph
        is_zero = g.node("eq", bottom.node, g.zero)
        return Value(g, g.where(is_zero, g.zero, g.div(top.node, bottom.node)))
    return np.divide(top, bottom, out=np.zeros_like(bottom), where=bottom != 0.0)
