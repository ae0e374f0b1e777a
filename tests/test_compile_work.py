"""How much Python runs for each node that a derivative adds to a large scalar graph: a bound without a clock.

Lines of the interpreter are counted, not seconds: the same on every machine, and a rule that asks all sums of
a graph a long question is seen at once, whatever else runs beside the test.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any

import pytest
import sympy as sp

from symgrad.program import program

STRANDS = 4
GRAPHS = {  # operations, functions, joined by, lines per node: as of now and a tenth more, only to be lowered
    "sums, products, sines": (1_000, (sp.sin, sp.cos), "+*", 85),
    "quotients and exponentials": (300, (sp.exp, sp.sin, sp.tanh, sp.atan, sp.cosh), "+*-/", 192),
}


def _graph(operations: int, functions: Sequence[Any], joins: str) -> tuple[sp.Expr, tuple[sp.Symbol, ...]]:
    """Strands side by side that grow by a product, sum or quotient with each other, and by a function."""
    rng = random.Random(1)
    symbols = sp.symbols("x y", real=True)
    strands = [symbols[k % 2] for k in range(STRANDS)]
    for step in range(operations // 2):
        k = step % STRANDS
        other = rng.choice([*symbols, *strands])
        kind = rng.choice(joins)
        if kind == "/":
            joined = sp.Mul(strands[k], sp.Pow(other, -1, evaluate=False), evaluate=False)
        elif kind == "*":
            joined = sp.Mul(strands[k], other, evaluate=False)
        else:
            right = other if kind == "+" else sp.Mul(-1, other, evaluate=False)
            joined = sp.Add(strands[k], right, evaluate=False)
        strands[k] = rng.choice(functions)(joined, evaluate=False)
    return sp.Add(*strands, evaluate=False), symbols


def _work(expression: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> tuple[float, str]:
    """Lines run per new node while the gradient is made, and where most of them are."""
    program(expression, symbols, symbols).derived(("value", "grad"))  # some things are found out once
    source = program(expression, symbols, symbols)
    before = len(source.translation.graph.op)
    lines: Counter[CodeType] = Counter()

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        return count if "symgrad" in frame.f_code.co_filename else None

    def count(frame: FrameType, event: str, arg: object) -> Any:
        if event == "line":
            lines[frame.f_code] += 1
        return count

    was = sys.gettrace()
    sys.settrace(trace)
    try:
        derived = source.derived(("value", "grad"))
    finally:
        sys.settrace(was)
    made = len(derived.unit.graph.op) - before
    most = ", ".join(f"{c.co_qualname} {n / made:.1f}" for c, n in lines.most_common(12))
    return lines.total() / made, most


@pytest.mark.parametrize("name", GRAPHS)
def test_a_gradient_takes_few_lines_per_node(name: str) -> None:
    operations, functions, joins, bound = GRAPHS[name]
    work, most = _work(*_graph(operations, functions, joins))
    assert work < bound, most
