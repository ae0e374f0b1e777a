"""The difference of two squares. The last module: rules for particular squares are tried before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import root_of_square

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph


@stable(
    "sub",
    "the squares are rounded before they cancel; x - y is exact where x is near y",
    Audit(
        "x**2 - y**2", "square_difference(x, y)", "two squares; the square of a rational number counts",
        "Higham 2002, section 1.7",
        at_pairs((1 + 2.0**-40, 1.0), (3e200, 1e200), (2e-170, 1e-170), (0.3, -0.30000000000000004)),
    ),
    on=among("mul"),
)  # fmt: skip
def difference_of_squares(g: Graph, a: Args) -> int | None:
    if all(g.op[part] == "const" for part in a):
        return None
    x, y = (root_of_square(g, part) for part in a)
    if x is None or y is None:
        return None
    return g.node("square_difference", x, y)
