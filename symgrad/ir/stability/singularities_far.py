"""Formulas of 1/x that are regular where x is large, and lose their digits there: x*sin(1/x).

As at 0 (`singularities`), a series says what they are, here one in 1/x. They are looked for where a
function of a reciprocal is: of few formulas is more than that asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args
from symgrad.ir.series.laurent import INFINITY, meant
from symgrad.ir.series.probe import ALGEBRA, CONSTANT, POINT, value_at, variable_of
from symgrad.ir.series.removable import IS_PART, centers_of, expansion_of, removable_far_out
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import factors_of, quotient_of, remove, without
from symgrad.ir.stability.singularities import CANCELS, SMALL

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_FAR = 1 / POINT  # where formulas are tried
_MOST_STEPS = 64  # of one that is tried
_PLAIN = ALGEBRA | {"div", "const"}


def _audit(written: str, when: str) -> Audit:
    becomes = f"removable(x, radius, series in 1/x, {written})"
    source = "Taylor; Higham 2002, section 1.14"
    return Audit(written, becomes, when, source, at(30.0, -1e3, 1e8, 1e150, 0.7), is_limit=True)


def _is_no_number(ops: Sequence[str]) -> bool:
    return "const" not in ops


@stable(
    "mul",
    "x*f(1/x), where f vanishes at 0, has derivatives that cancel where x is large",
    _audit("x*sin(1/x)", "a factor x, and one with a function of 1/x in it that is 0 where that is"),
    on=_is_no_number,
    needs=("div",),
)
def product_regular_far_out(g: Graph, a: Args) -> int | None:
    if g.variables[a[0]] == a[0] and g.variables[a[1]] == a[1]:  # as in most products
        return None
    if not (_is_of_reciprocal(g, a[0]) or _is_of_reciprocal(g, a[1])) or IS_PART.get():
        return None
    factors = [*factors_of(g, a[0]), *factors_of(g, a[1])]
    for place, factor in enumerate(factors):
        if not _is_of_reciprocal(g, factor) or g.op[factor] == "hypot1m1":  # a length: `widths`
            continue
        x, rest = variable_of(g, factor), without(factors, place)
        for power in range(_order(g, factor, x), 0, -1):
            missing, left = remove(factors_of(g, x) * power, rest)
            made = None if missing else _product(g, x, power, factor)
            if made is not None:
                return quotient_of(g, [*left, made], [])
    return None


def _product(g: Graph, x: int, power: int, factor: int) -> int | None:
    return removable_far_out(g, g.intern("mul", (g.integer_power(x, power), factor)), x)


def _order(g: Graph, factor: int, x: int) -> int:
    """How fast a formula vanishes where x is large: like that power of 1/x."""
    if INFINITY in centers_of(g, factor):
        found = expansion_of(g, g.args[factor][-1], x, g.args[factor][-3])
        return 0 if found is None else found.valuation
    value = abs(_far(g, factor, x))
    return round(log2(value) / log2(POINT)) if 0 < value < SMALL else 0


@stable(
    "div",
    "the same of f(1/x)/g(1/x), where both vanish at 0",
    _audit("sin(1/x)/tanh(1/x)", "f vanishes to as high an order as g"),
    on=_is_no_number,
    needs=("div",),
)
def quotient_regular_far_out(g: Graph, a: Args) -> int | None:
    x = _variable_far_out(g, a)
    if x is None or not all(abs(_far(g, part, x)) < SMALL for part in a):
        return None
    return removable_far_out(g, g.intern("div", a), x)


@stable(
    "sub",
    "a difference of which next to nothing is left where x is large loses its digits there",
    _audit("x - x**2*log(1 + 1/x)", "formulas of x, one of them with a function of 1/x in it"),
    on=_is_no_number,
    needs=("div",),
)
def difference_regular_far_out(g: Graph, a: Args) -> int | None:
    return _regular_sum(g, a, "sub", -1)


def _is_sum(ops: Sequence[str]) -> bool:
    """No number, and no difference, which x + (-y) is about to be."""
    return "const" not in ops and "neg" not in ops


@stable(
    "add",
    "the same for opposite signs",
    _audit("log(1 + 1/x) - 1/x", "likewise"),
    on=_is_sum,
    needs=("div",),
)
def sum_regular_far_out(g: Graph, a: Args) -> int | None:
    return _regular_sum(g, a, "add", 1)


@stable(
    "log",
    "log(f(1/x)), where f is 1 at 0, loses its digits where x is large",
    _audit("log(x*sin(1/x))", "likewise"),
    on=lambda ops: ops[0] not in ("const", "exp"),
    needs=("div",),
)
def log_of_nearly_one_far_out(g: Graph, a: Args) -> int | None:
    if IS_PART.get() or g.op[a[0]] in ("const", "exp") or not _is_of_reciprocal(g, a[0]):
        return None
    x = variable_of(g, a[0])
    return removable_far_out(g, g.intern("log", a), x) if abs(_far(g, a[0], x) - 1) < CANCELS else None


def _regular_sum(g: Graph, a: Args, op: str, sign: int) -> int | None:
    x = _variable_far_out(g, a)
    if x is None:
        return None
    first, second = (_far(g, part, x) for part in a)
    if not abs(first + sign * second) < CANCELS * abs(first):
        return None
    return removable_far_out(g, g.intern(op, a), x)


def _variable_far_out(g: Graph, a: Args) -> int | None:
    """The one variable of two values, with a function of its reciprocal in one of them."""
    x = g.variables[a[0]]
    if x != g.variables[a[1]] or x == CONSTANT or IS_PART.get():  # as in most others
        return None
    return x if _is_of_reciprocal(g, a[0]) or _is_of_reciprocal(g, a[1]) else None


def _is_of_reciprocal(g: Graph, node: int) -> bool:
    """Whether a function of a reciprocal is in a formula: sin(1/x), but not 1/(1 + 1/x).

    Remembered: 0 of formulas without a reciprocal, 1 of those with one, 2 of those with a function of it.
    """
    known, variables = g.reciprocals, g.variables
    if variables[node] in (node, CONSTANT):
        return False
    stack = [] if node in known else [node]
    while stack:
        n = stack[-1]
        inside = () if variables[n] in (n, CONSTANT) else meant(g, n)
        todo = [m for m in inside if m not in known]
        if todo:
            stack += todo
        elif stack.pop() not in known:
            found = max((known[m] for m in inside), default=0)
            is_one = g.op[n] == "div" and variable_of(g, g.args[n][0]) == CONSTANT
            known[n] = 2 if found == 1 and g.op[n] not in _PLAIN else max(found, int(is_one and bool(inside)))
    return known[node] == 2


def _far(g: Graph, node: int, x: int) -> float:
    return value_at(g, node, x, _FAR, _MOST_STEPS)
