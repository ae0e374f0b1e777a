"""Which elements of arrays stand under conditions in the user's expression."""

from __future__ import annotations

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.tensor.array.expressions import ArrayElement

from symgrad.entries import Where


def elements_in_arms(expression: sp.Basic) -> set[int]:
    """The addresses of the elements of arrays that stand in an arm of a `Piecewise` or `Where`."""
    found: set[int] = set()
    seen: set[tuple[int, bool]] = set()
    stack = [(expression, False)]
    while stack:  # not a recursion: the depth is the user's
        part, inside = stack.pop()
        if (id(part), inside) in seen:
            continue
        seen.add((id(part), inside))
        if inside and isinstance(part, (sp.Indexed, MatrixElement, ArrayElement)):
            found.add(id(part))
        if isinstance(part, sp.Piecewise):
            for pair in part.args:
                stack += [(pair.args[0], True), (pair.args[1], inside)]
        elif isinstance(part, Where):
            condition, yes, no = part.args
            stack += [(condition, inside), (yes, True), (no, True)]
        else:
            stack.extend((arg, inside) for arg in getattr(part, "args", ()))
    return found
