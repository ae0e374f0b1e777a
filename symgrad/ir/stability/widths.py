"""Losses and densities with a width, functions of 1 + (x/k)**2: Cauchy's, pseudo-Huber, Student's t.

SymPy writes (x/k)**2 as x**2/k**2, and both squares leave the range of numbers before the quotient does.
Where the sum with a number stands alone, no other sum looks for either of the squares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.product import product_of
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at_pairs, stable

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_FACTORS = 5  # of the term beside the number
_WHY = "x**2/k**2 is 0/0 or inf/inf where (x/k)**2 is a number"
_POINTS = at_pairs((3e200, 2e200), (-1e-180, 3e-180), (0.3, -0.7), (1.0, 0.25))


@stable(
    "log1p",
    _WHY,
    Audit("log(1 + x**2/y**2)", "log1p((x/y)**2)", "a square over a square", "Blue 1978", _POINTS),
    on=among("div", "mul"),
    needs=("div",),
)  # fmt: skip
def log1p_of_squares(g: Graph, a: Args) -> int | None:
    made = _square_of_quotient(g, a[0])
    return None if made is None or not _is_square(g, made) else g.node("log1p", made)


@stable(
    "sqrt",
    _WHY,
    Audit("sqrt(1 + x**2/y**2)", "hypot(x/y, 1)", "likewise, beside a positive number", "Blue 1978", _POINTS),
    on=among("add"),
    needs=("div",),
)  # fmt: skip
def root_beside_number(g: Graph, a: Args) -> int | None:
    made = _beside_number(g, a[0])
    if made is None:
        return None
    root = g.node("sqrt", made)
    return root if g.op[root] == "hypot" else None


def _is_square(g: Graph, node: int) -> bool:
    return g.op[node] == "mul" and g.args[node][0] == g.args[node][1]


def _beside_number(g: Graph, s: int) -> int | None:
    """c + (x/k)**2 of c + x**2/k**2 for a positive number c."""
    if g.op[s] != "add":
        return None
    for number, term in (g.args[s], g.args[s][::-1]):
        if (q := g.rational(number)) and q > 0:
            made = _square_of_quotient(g, term)
            return None if made is None else g.add(number, made)
    return None


def _square_of_quotient(g: Graph, term: int) -> int | None:
    """The same term with (x/k)**2 for x**2/k**2, if there is nothing else in it but a number."""
    parts = product_of(g, term, _MOST_FACTORS) if g.op[term] in ("div", "mul") else None
    if parts is None or parts.number < 0 or len(parts.above) != 2 or len(parts.below) != 2:
        return None
    (x, other), (k, another) = parts.above, parts.below
    if x != other or k != another or g.op[k] in ("cast", "const"):
        return None
    quotient = g.div(x, k)
    made = g.mul(g.const(parts.number), g.mul(quotient, quotient))
    return None if made == term else made
