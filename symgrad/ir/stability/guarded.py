"""Quotients whose removable singularity the user has filled in: Piecewise((1, Eq(x, 0)), (sin(x)/x, True)).

Where the value that is filled in is the limit, the choice is the whole smooth function. As a choice it would
have the derivatives of a constant at that one point.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.ops import OPS
from symgrad.ir.quotients import ROWS as QUOTIENT_ROWS
from symgrad.ir.radial import ROWS as RADIAL_ROWS
from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import Audit, stable
from symgrad.ir.stability.patterns import argument_of, factors_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_NODES = 32  # of an arm that is looked through
_SMOOTH = frozenset((
    "add", "sub", "mul", "neg", "sin", "cos", "exp", "sinh", "cosh", "tanh", "atan", "sqrt", "hypot", "norm",
    "scaled",     *QUOTIENT_ROWS, *RADIAL_ROWS,
))  # fmt: skip


def _may_guard(ops: Sequence[str]) -> bool:
    return ops[0] in ("eq", "ne")


@stable(
    "where",
    "a filled in removable singularity has the derivatives of a constant at that point",
    Audit(
        "Piecewise((1, Eq(x, 0)), (sin(x)/x, True))", "sinc(x)", "what is filled in is the limit",
        "Galassi et al. 2009, GNU Scientific Library, sections 4.3 and 7.16",
        ({"x": 0.0}, {"x": 1e-5}, {"x": 2.5}), is_limit=True,
    ),
    on=_may_guard,
)  # fmt: skip
def filled_in_quotient(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] not in ("eq", "ne") or g.zero not in g.args[a[0]]:
        return None
    first, second = g.args[a[0]]
    x = first if second == g.zero else second
    value, arm = (a[1], a[2]) if g.op[a[0]] == "eq" else (a[2], a[1])
    wanted = g.rational(value)
    return arm if wanted is not None and _limit(g, arm, x) == wanted else None


def _limit(g: Graph, arm: int, x: int) -> Fraction | None:
    """The value at x = 0 of a smooth expression with quotients of x or c*x, if it is a rational number."""
    filled: dict[int, int] = {}
    for n in g.reachable((arm,))[::-1][:_MOST_NODES]:
        op = g.op[n]
        if n == x or g.kind[n] in ("int", "bool"):
            continue
        if (op in OPS and op not in _SMOOTH) or (op in ("sqrt", "norm", "hypot") and not _is_inside(g, n, x)):
            return None
        if op in QUOTIENT_ROWS and x in factors_of(g, g.args[n][0]):
            quotient, order = QUOTIENT_ROWS[op]
            filled[n] = g.const(quotient.term(order, 0))
        elif op in RADIAL_ROWS and x in factors_of(g, g.args[n][0]):
            family, k = RADIAL_ROWS[op]
            filled[n] = g.const(family.term(k, 0))
    if not filled or len(g.reachable((arm,))) > _MOST_NODES:
        return None
    return g.rational(g.substitute(g.substitute(arm, filled), {x: g.zero}))


def _is_inside(g: Graph, n: int, x: int) -> bool:
    """Whether a root is what is compared with 0, or what x is made of."""
    return n in g.reachable((x,)) or argument_of(g, g.op[n], n) == x
