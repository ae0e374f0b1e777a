"""Which derivative a kinked function has at its kink: one convention per graph.

At a kink the generalised gradient (Clarke 1983, Optimization and Nonsmooth Analysis, chapter 2) holds more
than one element; a convention chooses one, at the kinked function's own arguments, and the chain rule carries
that choice through whatever stands outside. Three things leave a choice open:

             slope of Abs at 0    who takes a tie of Max    of Min
    first           0                    the first           the first
    mean            0                  all, equally        all, equally
    right           1                    the first           the last
    left           -1                    the last            the first

"right" and "left" are the one-sided slopes in the function's first argument. The rest leaves none open and is
the same under every convention: a jump (sign, floor, Mod) adds nothing to the slope of its pieces, the root
of a sum of squares has derivative 0 at 0 (the least element), and a Piecewise says by < or <= which arm a
knot belongs to.

A maximum of maxima is one function of all their arguments, as in SymPy: a tie of three is shared in thirds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from symgrad.errors import BadOption

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Node = int

CONVENTIONS: dict[str, str] = {
    "first": "ties of Max and Min go to the first argument, and Abs has slope 0 at 0",
    "mean": "ties of Max and Min are shared equally, and Abs has slope 0 at 0",
    "right": "ties of Max go to the first argument, of Min to the last, and Abs has slope 1 at 0",
    "left": "ties of Max go to the last argument, of Min to the first, and Abs has slope -1 at 0",
}
DEFAULT = "first"
_TIES = {"first": ("first", "first"), "mean": ("all", "all"), "right": ("first", "last"),
         "left": ("last", "first")}  # fmt: skip


def check_convention(kinks: object) -> str:
    """`kinks` itself; BadOption if it names no convention."""
    if isinstance(kinks, str) and kinks in CONVENTIONS:
        return kinks
    raise BadOption(
        f"unknown convention kinks={kinks!r}",
        because="the conventions are " + ", ".join(CONVENTIONS),
        try_='kinks="mean": ' + CONVENTIONS["mean"],
    )


def tie_goes_to(kinks: str, op: str) -> str:
    """Who takes a tie of `op` ("maximum" or "max", "minimum" or "min"): "first", "last" or "all"."""
    return _TIES[kinks][op.startswith("min")]


def slope_of_abs_at_zero(kinks: str) -> int:
    return {"right": 1, "left": -1}.get(kinks, 0)


# ---- ties of many ------------------------------------------------------------------------------


def multiplicity(g: Graph, root: Node, op: str) -> Node:
    """How many of the arguments of nested `op` (maximum or minimum) below `root` attain its value.

    A node that is no `op` counts 1. Built once per node and remembered by the graph; iterative, because a
    maximum of thousands of arguments is a chain as deep.
    """
    counts = g.multiplicities
    stack = [root]
    while stack:
        n = stack[-1]
        if n in counts:
            stack.pop()
            continue
        inner = _unfolded(g, n, op)
        if inner is None:
            counts[n] = g.one
            continue
        a, b = g.args[inner]
        todo = [c for c in (a, b) if c not in counts]
        if todo:
            stack.extend(todo)
            continue
        larger = ("le", b, a) if op == "maximum" else ("le", a, b)
        other = (larger[0], larger[2], larger[1])
        counts[n] = g.add(g.mask(g.node(*larger), counts[a]), g.mask(g.node(*other), counts[b]))
    return counts[root]


def _unfolded(g: Graph, n: Node, op: str) -> Node | None:
    """The `op` node that `n` is, or that the definition it reads stores; None for anything else."""
    while g.op[n] == "read" and g.tensors[g.args[n][0]].kind == "map":
        tensor = g.tensors[g.args[n][0]]
        if g.op[tensor.body] not in (op, "read"):
            return None
        n = g.substitute(tensor.body, dict(zip(tensor.out, g.args[n][1:], strict=True)))
    return n if g.op[n] == op else None


def arguments_of(g: Graph, root: Node) -> Iterator[Node]:
    """The arguments of a maximum of maxima (or minimum of minima) in their order, as one function's."""
    op = g.op[root]
    stack = [root]
    while stack:
        n = stack.pop()
        inner = _unfolded(g, n, op)
        if inner is None:
            yield n
        else:
            stack += g.args[inner][::-1]
