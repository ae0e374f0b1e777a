"""Terms of one value in longer sums: (exp(x) - 1 - x) + y**2, a divergence of normal distributions.

A sum is made term by term, in any order. What its last term and others are of, one value, is looked at as a
formula of its own (`singularities`), with the number beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args
from symgrad.ir.series.laurent import ROWS
from symgrad.ir.series.probe import CONSTANT, probe, variable_of
from symgrad.ir.series.removable import IS_PART, near_point, removable
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import MOST_TERMS, sum_of_signed, terms_of
from symgrad.ir.stability.singularities import CANCELS, has_function

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SUMS = ("add", "sub")
_LEAST = 2  # terms of a group
_SOURCE = "Taylor; Higham 2002, section 1.14; Kingma & Welling 2014, appendix B"
_POINTS = at_pairs((1e-3, 1e-12), (1e-6, 1e-20), (0.3, 1e-3), (-2.0, 1.5))


def _has_sum(ops: Sequence[str]) -> bool:
    return any(op in _SUMS or op == "where" for op in ops)


@stable(
    "add",
    "sin(x) - x cancels in a longer sum, too, whatever stands between its terms",
    Audit("y - x + sin(x)", "y + removable(x, radius, series, sin(x) - x)",
          "terms of one value, and numbers, between others", _SOURCE, _POINTS),
    on=_has_sum,
)  # fmt: skip
def terms_of_one_value(g: Graph, a: Args) -> int | None:
    return _grouped(g, a, 1)


@stable(
    "sub",
    "sin(x) - x cancels in a longer difference, too",
    Audit("sin(x) - x - y", "removable(x, radius, series, sin(x) - x) - y", "likewise", _SOURCE,
          _POINTS),
    on=_has_sum,
)  # fmt: skip
def terms_of_one_value_less_one(g: Graph, a: Args) -> int | None:
    return _grouped(g, a, -1)


def _grouped(g: Graph, a: Args, sign: int) -> int | None:
    for part in a:
        if g.op[part] == "where" and _is_made_here(g, part):  # with one more term
            near, grouped, written = g.args[part]
            arms = ([arm if n == part else n for n in a] for arm in (grouped, written))
            return g.where(near, *((g.add if sign > 0 else g.sub)(*arm) for arm in arms))
    total, part = a if g.op[a[0]] in _SUMS else a[::-1]
    if g.op[total] not in _SUMS or g.op[part] in _SUMS:
        return None
    variable = variable_of(g, part)
    if variable == part > total:  # as most terms of a large graph: none of the others is made of it
        return None
    if variable_of(g, total) in (variable, CONSTANT) or IS_PART.get():  # one value in all: no group
        return None
    if variable != CONSTANT and not _may_hold_one(g, total, variable):
        return None
    terms = _with_numbers(g, [*terms_of(g, a[0]), *((s * sign, t) for s, t in terms_of(g, a[1]))])
    if variable == CONSTANT:
        others = dict.fromkeys(variable_of(g, t) for _, t in terms if has_function(g, t))
    else:
        others = dict.fromkeys((variable,))
    for one in others:
        made = _of_one(g, a, sign, terms, one) if one != CONSTANT else None
        if made is not None:
            return made
    return None


def _may_hold_one(g: Graph, total: int, variable: int) -> bool:
    """Whether some term of a sum is of this value, or is or has a number; quick, as none is of most sums."""
    ops, args, variables, found, count, stack = g.op, g.args, g.variables, False, 0, [total]
    while stack:
        part = stack.pop()
        op = ops[part]
        if op in _SUMS:
            stack += args[part]
        elif op == "neg":
            stack.append(args[part][0])
        else:
            count += 1
            found = found or variables[part] in (variable, CONSTANT) or op == "square_difference"
        if len(stack) + count > MOST_TERMS:
            return False
    return found


def _is_made_here(g: Graph, node: int) -> bool:
    near, grouped, _ = g.args[node]
    if g.op[near] != "lt" or g.op[grouped] not in _SUMS:
        return False
    return any(g.op[part] in ROWS and near_point(g, part) == near for part in g.args[grouped])


def _with_numbers(g: Graph, terms: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """With x*x and -1 for x**2 - 1."""
    found = []
    for s, t in terms:
        x, y = g.args[t] if g.op[t] == "square_difference" else (t, t)
        is_beside_number = g.op[x] == "const" or g.op[y] == "const"
        found += [(s, g.mul(x, x)), (-s, g.mul(y, y))] if x != y and is_beside_number else [(s, t)]
    return found


def _of_one(g: Graph, a: Args, sign: int, terms: list[tuple[int, int]], variable: int) -> int | None:
    """By its series near 0, and as it is written else: another order of terms is another rounding."""
    group = [(s, t) for s, t in terms if variable_of(g, t) in (variable, CONSTANT)]
    if not _LEAST <= len(group) < len(terms) or not any(has_function(g, t) for _, t in group):
        return None
    values = [s * probe(g, t).value for s, t in group]
    if not abs(sum(values)) < CANCELS * max(abs(v) for v in values):
        return None
    away = g.zero
    for s, t in group:
        away = (t if s > 0 else g.neg(t)) if away == g.zero else _interned(g, away, s, t)
    made = removable(g, away, variable)
    if made is None or g.op[made] not in ROWS:
        return None
    near = near_point(g, made)
    rest = [term for term in terms if term not in group]
    x, y = (g.where(near, g.zero, part) for part in a)
    return g.where(near, g.add(sum_of_signed(g, rest), made), g.add(x, y) if sign > 0 else g.sub(x, y))


def _interned(g: Graph, total: int, sign: int, term: int) -> int:
    """Rules would take the sum apart."""
    return g.intern("add", g.ordered(total, term)) if sign > 0 else g.intern("sub", (total, term))
