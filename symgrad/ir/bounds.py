"""What is known about integers: lower bounds, and typical values that rank alternatives."""

from __future__ import annotations

from symgrad.ir.graph import Graph, Node

TYPICAL_SIZE = 64  # a size nobody gave a hint for


def is_nonnegative(g: Graph, index: Node) -> bool:
    """True when `index >= 0` holds for every value of its axes, all sizes being >= 0.

    Axes range over [0, extent), and a loop that runs has extents >= 1. False means "not proven".
    """
    constant, terms = g.linear(index)
    low: dict[Node, int] = {}
    for atom, k in terms.items():
        if g.op[atom] == "axis":
            if k < 0:  # the axis is at most extent - 1
                constant -= k
                for a, c in _terms_of(g, g.extent(atom)):
                    if a is None:
                        constant += k * c
                    else:
                        low[a] = low.get(a, 0) + k * c
        elif g.op[atom] in ("size", "imul"):
            low[atom] = low.get(atom, 0) + k
        else:
            return False  # a gathered index: nothing is known
    return _with_facts(g, constant, {a: k for a, k in low.items() if k}, index)


def _terms_of(g: Graph, extent: Node) -> list[tuple[Node | None, int]]:
    constant, terms = g.linear(extent)
    return [(None, constant), *terms.items()]


def _with_facts(g: Graph, constant: int, low: dict[Node, int], index: Node) -> bool:
    """Use `extent >= 1` of the axes in `index` to cancel positive size terms into the constant."""
    if any(k < 0 for k in low.values()):
        return False
    if constant >= 0:
        return True
    for axis in sorted(g.axes[index]):
        c, terms = g.linear(g.extent(axis))
        if all(low.get(a, 0) >= k >= 0 for a, k in terms.items()) and constant + 1 - c >= 0:
            return True  # low = extent + (rest >= 0), and extent >= 1
    return False


def typical(g: Graph, extent: Node) -> int:
    """A typical value of an extent, from hints where there are any (never used for correctness)."""
    constant, terms = g.linear(extent)
    total = constant
    for atom, k in terms.items():
        if g.op[atom] == "size":
            total += k * g.hints.get(g.args[atom][0], TYPICAL_SIZE)
        elif g.op[atom] == "imul":
            total += k * typical(g, g.args[atom][0]) * typical(g, g.args[atom][1])
    return max(total, 1)
