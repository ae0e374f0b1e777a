"""The inverse error function of 1 - x and x - 1: normal quantiles of small probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at, stable

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_DLMF = "DLMF 7.17.1"


def _one_less(g: Graph, node: int) -> tuple[int, int] | None:
    """(x, sign) where the node is sign*(1 - x)."""
    if g.op[node] not in ("sub", "add"):
        return None
    first, second = g.args[node]
    if g.op[node] == "sub":
        return (second, 1) if first == g.one else (first, -1) if second == g.one else None
    for number, other in ((first, second), (second, first)):
        if number == g.const(-1):
            return other, -1
        if number == g.one:
            return g.neg(other), 1
    return None


@stable(
    "erfinv",
    "1 - x is rounded to 1 for the smallest x, where erfinv is infinite",
    Audit("erfinv(1 - x)", "erfcinv(x)", "x - 1 too: -erfcinv(x); 1 + x: erfcinv(-x)", _DLMF,
          at(1e-17, 1e-12, 0.25, 1.75), digits=400),
    on=among("sub", "add"),
)  # fmt: skip
def erfinv_of_complement(g: Graph, a: Args) -> int | None:
    found = _one_less(g, a[0])
    if found is None:
        return None
    x, sign = found
    value = g.node("erfcinv", x)
    return value if sign > 0 else g.neg(value)
