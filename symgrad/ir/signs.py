"""What is known about the sign of a real value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_NODES = 1000  # of one search: a derivative rule takes bounded time
_AT_LEAST_ZERO = ("exp", "abs", "hypot", "logistic", "softplus")  # with finite slopes: not sqrt


def is_flat_at_zero(g: Graph, node: int) -> bool:
    """Whether a value is, for all one can see, a sum of squares with factors that are not negative.

    Such a value is never negative, so that where it is 0 all its first derivatives are 0 as well: it is
    smooth there, or has a kink (of an absolute value) whose slope counts as 0.
    """
    stack, left = [node], _MOST_NODES
    while stack and left:
        left -= 1
        n = stack.pop()
        op, args = g.op[n], g.args[n]
        if op == "mul" and args[0] == args[1]:
            continue
        if op == "add":
            stack += args
        elif op == "mul" and any(_is_at_least_zero(g, a) for a in args):
            stack.append(args[1] if _is_at_least_zero(g, args[0]) else args[0])
        elif op == "div" and _is_at_least_zero(g, args[1]):
            stack.append(args[0])
        elif op in ("mask", "where"):
            stack += args[1:]
        elif op == "read" and g.tensors[args[0]].kind in ("sum", "map"):
            stack += g.tensors[args[0]].bodies
        elif n != g.zero:
            return False
    return not stack


def _is_at_least_zero(g: Graph, node: int) -> bool:
    if g.op[node] == "cast":  # of a size; indices may be shifted below 0
        return bool(g.op[g.args[node][0]] == "size")
    q = g.rational(node)
    return g.op[node] in _AT_LEAST_ZERO if q is None else q >= 0
