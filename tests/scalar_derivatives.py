"""Derivatives of scalar nodes by the chain rule over `OPS` rows: plain, slow, and not symgrad's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, Node
from symgrad.ir.ops import OPS


def derivative(g: Graph, root: Node, variable: Node) -> Node:
    """d root / d variable as a node; `variable` is a read."""
    slopes: dict[Node, Node] = {}
    for n in g.reachable((root,)):
        row = OPS.get(g.op[n])
        if n == variable:
            slopes[n] = g.one
        elif row is None:
            slopes[n] = g.zero
        else:
            slopes[n] = g.zero
            for partial, child in zip(row.partials, g.args[n], strict=True):
                if partial is not None and slopes[child] != g.zero:
                    term = g.mul(partial(g, g.args[n], n), slopes[child])
                    slopes[n] = g.add(slopes[n], term)
    return slopes[root]


def variables(g: Graph, count: int) -> list[Node]:
    """Reads of `count` scalar inputs."""
    return [g.read(g.input(f"x{i}")) for i in range(count)]


def value_at(g: Graph, node: Node, point: Mapping[Node, Any], dtype: Any = np.float64) -> Any:
    """A scalar node's value where the reads have the given values."""
    tensor = g.define("map", (), (), node)
    inputs = {g.args[read][0]: value for read, value in point.items()}
    return evaluate(g, [tensor], inputs, {}, dtype)[0][()]
