"""Differences of one function in longer sums: z + exp(x + y) - exp(x).

The two terms that cancel are put together first, or three: f(x + h) - 2*f(x) + f(x - h) (`second_steps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import MULTIPLE, POWER, SQUARE, Args
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import ODD, common_terms, sum_of_signed, terms_of
from symgrad.ir.stability.power_steps import (
    difference_of_one_power,
    power_in,
    sum_of_opposite_powers,
)
from symgrad.ir.stability.second_steps import second_difference
from symgrad.ir.stability.steps import (
    FUNCTIONS,
    difference_of_one_function,
    sum_of_odd_function,
    sum_with_opposite_factors,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SUMS = ("add", "sub")
_HELD = FUNCTIONS | {MULTIPLE, SQUARE, POWER, "div", "pow"}  # also times a number, and powers
_HIGHAM = "Higham 2002, section 1.7"


def _may_hold(forms: Sequence[str]) -> bool:
    """A sum, and beside it a function or a power."""
    first, second = forms
    return (first in _SUMS and second in _HELD) or (second in _SUMS and first in _HELD)


def _kind(g: Graph, node: int) -> str:
    """The function that a node is of, also times a number, "pow" for powers; "" for what is neither."""
    op, args = g.op[node], g.args[node]
    if op in FUNCTIONS:
        return op
    if op == "mul":
        one, other = args
        is_multiple = g.op[one] == "const"
        if node in g.powers or (is_multiple and other in g.powers):
            return "pow"
        return _kind_of_factor(g.op[other]) if is_multiple else ""
    return "pow" if op == "pow" or (op == "div" and g.op[args[0]] == "const") else ""


def _kind_of_factor(op: str) -> str:
    return op if op in FUNCTIONS or op == "pow" else ""


def _in_sum(g: Graph, a: Args, sign: int) -> int | None:
    """The sum with two terms of it, or three, put together."""
    single = 0 if g.op[a[0]] not in _SUMS else 1
    kind = _kind(g, a[single])
    if not kind:
        return None
    others = terms_of(g, a[1 - single])
    kept = [k for k, (_, t) in enumerate(others) if _kind(g, t) == kind]
    if not kept or len(others) < 2:
        return None
    if sign < 0 and single == 0:
        others = [(-s, t) for s, t in others]
    last = (sign if single == 1 else 1, a[single])
    made = second_difference(g, [*others, last], [*kept, len(others)])
    if made is not None:
        return made
    for k in kept:
        together = _together(g, last, others[k])
        if together is not None:
            return g.add(sum_of_signed(g, [*others[:k], *others[k + 1 :]]), together)
    return None


def _together(g: Graph, first: tuple[int, int], second: tuple[int, int]) -> int | None:
    """Two signed terms as one difference, if they are of one function of sums with a common term."""
    (s, x), (t, y) = first, second
    one, other = _argument(g, x), _argument(g, y)
    if one is not None and other is not None and s == t and g.op[x] in ODD:
        other = g.neg(other)
    if one is None or other is None or common_terms(g, one, other) is None:
        return None
    rules = (
        (sum_with_opposite_factors, sum_of_opposite_powers, sum_of_odd_function) if s == t
        else (difference_of_one_function, difference_of_one_power)
    )  # fmt: skip
    for rule in rules:
        made = rule.apply(g, (x, y)) if rule.on((g.op[x], g.op[y])) else None
        if made is not None:
            return made if s > 0 else g.neg(made)
    return None


def _argument(g: Graph, node: int) -> int | None:
    op, args = g.op[node], g.args[node]
    if op == "mul" and g.op[args[0]] == "const" and g.op[args[1]] in FUNCTIONS:
        op, args = g.op[args[1]], g.args[args[1]]
    if op in FUNCTIONS:
        return int(args[0])
    if op == "div" and g.op[args[0]] == "const" and g.op[args[1]] not in ("mul", "pow"):
        return int(args[1])
    power = power_in(g, node)
    return None if power is None else power.base


@stable(
    "add",
    "f(x + y) - f(x) cancels in a longer sum, too, and f(x + y) - 2*f(x) + f(x - y) twice",
    Audit("exp(x + y) + exp(x - y) - 2*exp(x)", "exp_difference(x/2, y/2, -y/2)**2",
          "two terms whose arguments have a term in common; three in one distance, of a power or of "
          "exp, sin, cos, tan, sinh, cosh, tanh, log, sqrt, atan, logistic and softplus",
          _HIGHAM + "; DLMF 4.21, 4.35",
          at_pairs((1.0, 1e-6), (0.5, 1e-3), (2.0, 1e-5), (2.0, 0.5))),
    of=_may_hold,
)  # fmt: skip
def difference_in_sum(g: Graph, a: Args) -> int | None:
    return _in_sum(g, a, 1)


@stable(
    "sub",
    "f(x + y) - f(x) cancels in a longer difference, too",
    Audit("exp(x + y) - y - exp(x)", "exp_difference(x, y, 0) - y", "likewise", _HIGHAM,
          at_pairs((3.0, 1e-9), (0.5, 1e-3), (2.0, 1e-5), (2.0, 5.0))),
    of=_may_hold,
)  # fmt: skip
def difference_from_sum(g: Graph, a: Args) -> int | None:
    return _in_sum(g, a, -1)
