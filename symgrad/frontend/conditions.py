"""Conditions that SymPy moved out of the sum their index belongs to.

SymPy's `Sum` and `Product` pull every `Piecewise` of their body to the top, through the sums inside it:
in SymPy 1.14 `Sum(f[i]*Sum(Piecewise((x[i, k], x[i, k] > 0), (0, True)), (k, 0, n)), (i, 0, n))` comes out as
a choice between two sums over k, by a condition on a k that no sum binds. What was meant cannot be had back,
so such an expression is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from symgrad.errors import UnsupportedExpression
from symgrad.extrema import Extremum
from symgrad.frontend.describe import show

Symbols = frozenset[sp.Basic]
Sets = dict[int, Symbols]  # by address: hashing an expression may recurse over its depth
_NONE: Symbols = frozenset()


def check_conditions(expression: sp.Basic) -> None:
    """Refuse a `Piecewise` with a condition on a symbol that a sum, a Lambda or a Subs in its arms binds.

    That includes the rare case in which the condition means another index of the same name: after SymPy's
    rewriting the two look the same. Time is linear in the number of distinct sub-expressions, for a given
    number of bound symbols. Raises UnsupportedExpression.
    """
    order = _arguments_first(expression)
    bound = _union(bound_by(part) for part, _ in order)
    if not bound or not any(isinstance(part, sp.Piecewise) for part, _ in order):
        return
    free: Sets = {}  # of the symbols bound anywhere, those that are free in a part
    within: Sets = {}  # and those that are bound in it
    for part, args in order:
        if isinstance(part, sp.Piecewise):
            _check_arms(part, free, within)
        own = bound_by(part)
        is_bound = isinstance(part, (sp.Symbol, sp.Idx)) and part in bound
        free[id(part)] = frozenset((part,)) if is_bound else _union(free[id(a)] for a in args) - own
        within[id(part)] = _union((own, *(within[id(a)] for a in args)))


def bound_by(part: sp.Basic) -> Symbols:
    """The symbols that this node itself binds."""
    if isinstance(part, (sp.Sum, sp.Product, Extremum)):
        return frozenset(limit.args[0] for limit in part.limits)
    return frozenset(part.variables) if isinstance(part, (sp.Lambda, sp.Subs)) else _NONE


def _check_arms(choice: sp.Piecewise, free: Sets, within: Sets) -> None:
    on = _union(free[id(condition)] for _, condition in choice.args)
    escaped = on & _union(within[id(value)] for value, _ in choice.args)
    if escaped:
        name = min(map(str, escaped))
        raise UnsupportedExpression(
            f"a condition on {name} stands outside of the sum over {name}",
            where=show(choice),
            because="SymPy moves a Piecewise out of the sums inside another Sum, away from their index",
            try_="sg.Where(condition, yes, no) instead of Piecewise((yes, condition), (no, True)); "
            f"or another letter for one of the two {name}, if they are not the same",
        )


def _union(sets: Iterable[Symbols]) -> Symbols:
    """The union; the one set itself where all others are empty, so that few are made."""
    result = _NONE
    for each in sets:
        if each and each is not result:
            result = result | each if result else each
    return result


def _arguments_first(expression: sp.Basic) -> list[tuple[sp.Basic, tuple[sp.Basic, ...]]]:
    """Every part once, with its arguments, which come before it (no recursion: the depth is the user's)."""
    order: list[tuple[sp.Basic, tuple[sp.Basic, ...]]] = []
    seen: set[int] = set()
    stack: list[tuple[sp.Basic, tuple[sp.Basic, ...] | None]] = [(expression, None)]
    while stack:
        part, args = stack.pop()
        if args is not None:
            order.append((part, args))
        elif id(part) not in seen:
            seen.add(id(part))
            args = part.args[1:] if isinstance(part, sp.Idx) else part.args  # its label is another symbol
            stack.append((part, args))
            stack.extend((arg, None) for arg in args)
    return order
