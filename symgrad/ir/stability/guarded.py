"""Quotients whose removable singularity the user has filled in: Piecewise((1, Eq(x, 0)), (sin(x)/x, True)).

Where the value that is filled in is the limit, the choice is the whole smooth function. As a choice it would
have the derivatives of a constant at that one point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.composites.quotients import ROWS as QUOTIENT_ROWS
from symgrad.ir.composites.radial import NAMES as RADIAL
from symgrad.ir.rules import Args
from symgrad.ir.series.laurent import ROWS, formula_of, is_number, series_of
from symgrad.ir.series.probe import CONSTANT, is_function, variable_of
from symgrad.ir.stability.audit import Audit, stable
from symgrad.ir.stability.patterns import factors_of
from symgrad.ir.stability.radial import square_of_root

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_QUOTIENTS = frozenset((*QUOTIENT_ROWS, *ROWS, *RADIAL))


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
    variable = variable_of(g, arm)
    if wanted is None or not is_function(g, arm) or not _vanish_together(g, x, variable):
        return None
    formula = formula_of(g, arm, variable)
    if not any(op in _QUOTIENTS for op, *_ in formula):
        return None
    series = series_of(formula, 8)
    is_limit = series is not None and series.valuation >= 0 and is_number(series.constant(), wanted)
    return arm if is_limit else None


def _vanish_together(g: Graph, x: int, variable: int) -> bool:
    """Whether the variable is 0 where x is, for all one can see: c*x, a root of x, what x is a factor of."""
    found = square_of_root(g, variable)
    multiples = factors_of(g, x)
    others = [f for f in multiples if variable_of(g, f) != CONSTANT]
    return others == [variable] or x in factors_of(g, variable) or (found is not None and x == found[1])
