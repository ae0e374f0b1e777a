"""Which one value a formula is made of, and what it is close to 0: where cancellation is looked for first.

The variable of a formula is the one node that every path from it ends in, constants aside: x in tanh(2*x)/x,
the product a*b in sin(a*b) - a*b. It is found when a node is made (`Graph.variables`): most are asked for.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from math import nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from symgrad.ir.composites.radial import NAMES as RADIAL
from symgrad.ir.ops import OPS
from symgrad.ir.series.laurent import FUNCTIONS, ROWS, between, meant

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

POINT = 2.0**-30  # where formulas are tried
_PARTLY = RADIAL.union(ROWS)  # made of some of their arguments
CONSTANT = -1  # the variable of what has none
ALGEBRA = frozenset(("add", "sub", "mul", "neg", "square_difference"))
_PYTHON: dict[str, Callable[..., float]] = {  # much quicker for one number
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg,
    **{name: getattr(math, name) for name in ("sin", "cos", "tan", "exp", "expm1", "log1p", "tanh", "sqrt")},
}  # fmt: skip
_NAMED = {"pi": np.pi, "e": np.e, "euler": np.euler_gamma, "phi": (1 + 5**0.5) / 2}


class Probe(NamedTuple):
    """A formula of one variable, or of none.

    value       where the variable is `POINT`.
    is_algebra  whether it is made of sums and products alone.
    """

    value: float
    is_algebra: bool


_ITSELF = Probe(POINT, True)


def is_formula(op: str) -> bool | None:
    """Whether values of an op are made of the variables of their arguments; None: of those of some."""
    return op in FUNCTIONS and (True if op not in _PARTLY else None)


def variable_among(g: Graph, node: int, args: Iterable[int]) -> int:
    """The variable of a formula with these arguments."""
    found = {g.variables[a] for a in args} - {CONSTANT}
    return found.pop() if len(found) == 1 else node if found else CONSTANT


def variable_of(g: Graph, node: int) -> int:
    """The one node that a value is made of, itself if there are several, `CONSTANT` if there is none."""
    return g.variables[node]


def is_function(g: Graph, node: int) -> bool:
    """Whether it is made of one variable, and not the variable itself."""
    return variable_of(g, node) not in (CONSTANT, node)


def probe(g: Graph, node: int) -> Probe:
    """What a formula is close to 0; iterative, and remembered. Of a variable itself: the point."""
    known = g.probes
    stack = [node]
    while stack:
        n = stack[-1]
        inside = () if variable_of(g, n) == n else meant(g, n)
        todo = [a for a in inside if a not in known]
        if todo:
            stack += todo
        elif stack.pop() not in known:
            known[n] = _ITSELF if variable_of(g, n) == n else _probed(g, n, [known[a] for a in inside])
    return known[node]


def _probed(g: Graph, n: int, inside: Sequence[Probe]) -> Probe:
    if g.op[n] == "const":
        return Probe(_value(g, n), True)
    is_algebra = variable_of(g, n) == CONSTANT or (g.op[n] in ALGEBRA and all(p.is_algebra for p in inside))
    return Probe(_value_at_point(g, n, inside), is_algebra)


def value_at(g: Graph, node: int, variable: int, point: float, most: int) -> float:
    """What a formula is where its variable is some number; nan if it takes more than so many steps."""
    nodes = between(g, node, variable, most)
    if len(nodes) > most:
        return nan
    values = {variable: point}
    for n in nodes:
        if n != variable:
            inside = [values[a] for a in meant(g, n)]
            is_known = g.op[n] in ROWS
            constant = _value(g, n) if g.op[n] == "const" else nan
            values[n] = inside[0] if is_known else _applied(g, n, inside) if inside else constant
    return values[node]


def _value_at_point(g: Graph, n: int, inside: Sequence[Probe]) -> float:
    if g.op[n] in ROWS:  # by the series: the formula has no digits there
        return inside[0].value if _is_elsewhere(g, n) else probe(g, g.args[n][-2]).value
    return _applied(g, n, [p.value for p in inside])


def _is_elsewhere(g: Graph, n: int) -> bool:
    """Whether a series is one around another point than 0, or where x is large."""
    x, t = g.args[n][0], g.args[n][-3]
    is_around_zero = t == x or (g.op[t] == "reduced" and g.args[t][1] == g.zero)
    return g.op[n] == "removable" and not is_around_zero


def _applied(g: Graph, n: int, values: Sequence[float]) -> float:
    function = _PYTHON.get(g.op[n])
    try:
        if function is not None:
            return function(*values)
    except (ValueError, OverflowError):
        return nan
    if g.op[n] not in OPS:  # the number of an axis
        return nan
    with np.errstate(all="ignore"):
        return float(OPS[g.op[n]].numpy(*values, *(v * v for v in values if g.op[n] in RADIAL)))


def _value(g: Graph, n: int) -> float:
    q = g.rational(n)
    if q is not None:
        try:
            return float(q)
        except OverflowError:
            return float("inf")
    return float(_NAMED.get(g.args[n][1], nan))
