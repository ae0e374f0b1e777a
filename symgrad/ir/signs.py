"""What is known about the sign of a real value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_NODES = 1000  # of one search: a derivative rule takes bounded time
_AT_LEAST_ZERO = (
    "exp", "abs", "hypot", "norm", "logistic", "softplus", "logistic_slope", "sech", "logcosh", "share",
    "share_of_others", "logistic_entropy",
)  # fmt: skip


def is_never_negative(g: Graph, node: int) -> bool:
    """Whether a value is, for all one can see, a sum of squares, moduli and their powers, with such factors.

    Where such a value is 0 it is least, and so is a root or a power of it: 0 is an element of the
    subdifferential there, and the one that is taken. Roots do not count themselves: at 0 they end.
    """
    stack, left = [node], _MOST_NODES
    while stack and left:
        left -= 1
        n = stack.pop()
        op, args = g.op[n], g.args[n]
        if op in ("abs", "hypot", "norm") or (op == "mul" and args[0] == args[1]):
            continue
        if op == "pow" and _is_at_least_zero(g, args[0]):
            continue
        if op == "add":
            stack += args
        elif op == "mul" and any(_is_at_least_zero(g, a) for a in args):
            # Weights that are not negative aside, the other factor says whether it is one, and may be 0.
            rest = [
                a for a in args if g.op[a] in ("mul", "abs", "hypot", "norm") or not _is_at_least_zero(g, a)
            ]
            if not rest:
                return False
            stack += rest
        elif op == "div" and _is_at_least_zero(g, args[1]):
            stack.append(args[0])
        elif op in ("mask", "where"):
            stack += args[1:]
        elif op == "read" and g.tensors[args[0]].kind in ("sum", "map"):
            stack += g.tensors[args[0]].bodies
        elif n != g.zero:
            return False  # also for what is positive: its root needs no care
    return not stack


def is_positive(g: Graph, node: int) -> bool:
    """Whether a value is, for all one can see, a positive number and what is never negative: 1 + x**2."""
    if g.op[node] != "add":
        q = g.rational(node)
        return q is not None and q > 0
    first, second = g.args[node]
    return any(is_positive(g, a) and is_never_negative(g, b) for a, b in ((first, second), (second, first)))


def is_root_at_least_value(g: Graph, node: int) -> bool:
    """Whether this is a root, or a power that may be one, of what is never negative: flat at 0, so to say."""
    if g.op[node] == "pow":
        q = g.rational(g.args[node][1])
        if q is not None and not 0 < q < 1:
            return False
    return g.op[node] in ("sqrt", "pow") and is_never_negative(g, g.args[node][0])


def _is_at_least_zero(g: Graph, node: int) -> bool:
    """Seen from one node."""
    op, args = g.op[node], g.args[node]
    if op == "mul":
        return bool(args[0] == args[1])
    if op == "cast":  # of a size; indices may be shifted below 0
        return bool(g.op[args[0]] == "size")
    q = g.rational(node)
    return op in _AT_LEAST_ZERO if q is None else q >= 0
